//! Figures as SVG text for the report. Ink is `currentColor` where it carries text, so that the page decides light or dark.

use crate::error::{Error, Result};
use crate::report::Curve;
use crate::summary::Row;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Grey that reads on white and on black.
const INK: RGBColor = RGBColor(118, 118, 118);
const REAL: RGBColor = RGBColor(31, 119, 180);
const BLANK: RGBColor = RGBColor(230, 126, 34);
const PALETTE: [RGBColor; 6] =
    [REAL, BLANK, RGBColor(44, 160, 44), RGBColor(200, 60, 60), RGBColor(148, 103, 189), RGBColor(23, 170, 190)];

/// Points drawn of one curve at most; more are averaged in neighbouring groups.
const MAX_POINTS: usize = 400;

/// The curves of one stage in one picture; `None` when no point is finite.
pub(crate) fn curves(stage: &str, curves: &[&Curve]) -> Result<Option<String>> {
    let series: Vec<(&str, Vec<(f64, f64)>)> = curves
        .iter()
        .map(|curve| (curve.name.as_str(), thinned(curve)))
        .filter(|(_, points)| !points.is_empty())
        .collect();
    let points = || series.iter().flat_map(|(_, points)| points.iter().copied());
    let range = |values: Vec<f64>| {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (low, high)
    };
    if series.is_empty() {
        return Ok(None);
    }
    let (first, last) = range(points().map(|point| point.0).collect());
    let (low, high) = range(points().map(|point| point.1).collect());
    let margin = ((high - low) * 0.05).max(1e-6);
    // A loss that comes near 0 is shown down to 0: a cut axis makes a small change look large.
    let floor = if low >= 0.0 && low < 0.5 * high { 0.0 } else { low - margin };
    let axes = floor..high + margin;
    let mut svg = String::new();
    draw_curves(&mut svg, &series, first..last.max(first + 1.0), axes)
        .map_err(|error| Error::Plot { name: format!("loss of stage {stage}"), reason: error.to_string() })?;
    Ok(Some(themed(&svg)))
}

type DrawResult = std::result::Result<(), Box<dyn std::error::Error>>;

fn draw_curves(
    svg: &mut String,
    series: &[(&str, Vec<(f64, f64)>)],
    steps: std::ops::Range<f64>,
    values: std::ops::Range<f64>,
) -> DrawResult {
    let area = SVGBackend::with_string(svg, (640, 260)).into_drawing_area();
    let mut chart = ChartBuilder::on(&area)
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(54)
        .build_cartesian_2d(steps, values)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(INK.mix(0.25))
        .axis_style(INK)
        .label_style(("sans-serif", 13).into_font().color(&INK))
        .axis_desc_style(("sans-serif", 13).into_font().color(&INK))
        .x_desc("step")
        .x_label_formatter(&|step| format!("{step:.0}"))
        .draw()?;
    for (index, (_, points)) in series.iter().enumerate() {
        let colour = PALETTE[index % PALETTE.len()];
        chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?;
        if let [point] = points.as_slice() {
            chart.draw_series(std::iter::once(Circle::new(*point, 3, colour.filled())))?;
        }
    }
    area.present()?;
    Ok(())
}

/// Colour of the curve with this index, as CSS has it; for legends outside the picture.
pub(crate) fn curve_colour(index: usize) -> String {
    let RGBColor(red, green, blue) = PALETTE[index % PALETTE.len()];
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// Finite points in step order, neighbours averaged where there are too many to see.
fn thinned(curve: &Curve) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> = curve
        .points
        .iter()
        .filter(|point| point.value.is_finite())
        .map(|point| (point.step as f64, point.value))
        .collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let group = points.len().div_ceil(MAX_POINTS).max(1);
    points
        .chunks(group)
        .map(|chunk| {
            let count = chunk.len() as f64;
            (
                chunk.iter().map(|point| point.0).sum::<f64>() / count,
                chunk.iter().map(|point| point.1).sum::<f64>() / count,
            )
        })
        .collect()
}

/// Rows under one another: the score with its interval, blank pictures below it, a tick at chance.
pub(crate) fn forest(title: &str, rows: &[&Row]) -> Result<Option<String>> {
    if rows.is_empty() {
        return Ok(None);
    }
    let mut svg = String::new();
    draw_forest(&mut svg, rows).map_err(|error| Error::Plot { name: title.to_string(), reason: error.to_string() })?;
    Ok(Some(themed(&svg)))
}

/// Height of a row and of the axis below, width of the names, in pixels.
const ROW_HEIGHT: i32 = 30;
const AXIS_HEIGHT: i32 = 30;
const NAME_WIDTH: i32 = 250;
const FOREST_WIDTH: i32 = 760;
const RIGHT_MARGIN: i32 = 24;

fn draw_forest(svg: &mut String, rows: &[&Row]) -> DrawResult {
    let height = ROW_HEIGHT * rows.len() as i32 + AXIS_HEIGHT + 8;
    let area = SVGBackend::with_string(svg, (FOREST_WIDTH as u32, height as u32)).into_drawing_area();
    let at = |share: f64| NAME_WIDTH + (share * f64::from(FOREST_WIDTH - NAME_WIDTH - RIGHT_MARGIN)).round() as i32;
    let bottom = ROW_HEIGHT * rows.len() as i32 + 8;
    let centred = TextStyle::from(("sans-serif", 13)).color(&INK).pos(Pos::new(HPos::Center, VPos::Top));
    for tick in 0..=4 {
        let share = f64::from(tick) / 4.0;
        area.draw(&PathElement::new([(at(share), 4), (at(share), bottom)], INK.mix(0.25)))?;
        area.draw(&Text::new(format!("{:.0} %", 100.0 * share), (at(share), bottom + 6), centred.clone()))?;
    }
    let named = TextStyle::from(("sans-serif", 13)).color(&INK).pos(Pos::new(HPos::Right, VPos::Center));
    for (index, row) in rows.iter().enumerate() {
        let middle = ROW_HEIGHT * index as i32 + ROW_HEIGHT / 2 + 4;
        area.draw(&Text::new(
            format!("{} (n {})", shortened(&row.group), row.num_questions),
            (NAME_WIDTH - 10, middle),
            named.clone(),
        ))?;
        area.draw(&PathElement::new(
            [(at(row.chance), middle - 11), (at(row.chance), middle + 11)],
            INK.stroke_width(2),
        ))?;
        for (interval, offset, colour) in [(Some(&row.score), -4, REAL), (row.blank.as_ref(), 5, BLANK)] {
            let Some(interval) = interval else { continue };
            let line = [(at(interval.low), middle + offset), (at(interval.high), middle + offset)];
            area.draw(&PathElement::new(line, colour.stroke_width(2)))?;
            area.draw(&Circle::new((at(interval.estimate), middle + offset), 4, colour.filled()))?;
        }
    }
    area.present()?;
    Ok(())
}

/// Names longer than the column lose their middle: the ends tell groups apart.
fn shortened(name: &str) -> String {
    const MAX_CHARS: usize = 27;
    let chars: Vec<char> = name.chars().collect();
    if chars.len() <= MAX_CHARS {
        return name.to_string();
    }
    let (head, tail) = (&chars[..MAX_CHARS / 2], &chars[chars.len() - MAX_CHARS / 2..]);
    format!("{}…{}", head.iter().collect::<String>(), tail.iter().collect::<String>())
}

/// Lets the page set the size and the ink.
fn themed(svg: &str) -> String {
    svg.replace("#767676", "currentColor").replacen("<svg ", "<svg class=\"figure\" role=\"img\" ", 1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::report::CurvePoint;

    #[test]
    fn long_curves_are_thinned_and_broken_values_left_out() {
        let points =
            (0..10_000).map(|step| CurvePoint { step, value: if step == 5 { f64::NAN } else { 2.0 } }).collect();
        let curve = Curve { name: "loss".into(), stage: "one".into(), points };
        let thin = thinned(&curve);
        assert!(thin.len() <= MAX_POINTS && thin.iter().all(|point| (point.1 - 2.0).abs() < 1e-12));
        assert!(curves("one", &[&curve]).unwrap().unwrap().starts_with("<svg class"));
        let empty = Curve { points: Vec::new(), ..curve };
        assert!(curves("one", &[&empty]).unwrap().is_none());
    }
}
