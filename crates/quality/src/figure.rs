//! Figures as SVG text: bars, a histogram, areas. Drawn 420 units wide, so that their text can be read on a phone.

use crate::html::{number, shortened};
use crate::stats::Spread;
use crate::{Error, Result};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Dark text on white.
static INK: RGBColor = RGBColor(29, 35, 41);
static SOFT: RGBColor = RGBColor(86, 97, 108);
const LINE: RGBColor = RGBColor(216, 221, 226);
const BLUE: RGBColor = RGBColor(31, 119, 180);

/// Fills of areas, light enough for dark text.
const AREAS: [RGBColor; 10] = [
    RGBColor(158, 202, 225),
    RGBColor(253, 208, 162),
    RGBColor(161, 217, 155),
    RGBColor(188, 189, 220),
    RGBColor(252, 187, 161),
    RGBColor(199, 233, 229),
    RGBColor(254, 230, 145),
    RGBColor(217, 217, 217),
    RGBColor(244, 202, 228),
    RGBColor(204, 219, 178),
];

const WIDTH: i32 = 420;
const BAR_ROW: i32 = 36;
/// Bars of one figure; the rest is one bar.
const MAX_BARS: usize = 14;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type DrawResult = std::result::Result<(), Box<dyn std::error::Error>>;

/// Draws into an SVG of `height` and takes out what a page must not have twice.
fn draw(name: &str, height: i32, paint: impl FnOnce(&Area) -> DrawResult) -> Result<String> {
    let mut svg = String::new();
    let failed =
        |error: Box<dyn std::error::Error>| Error::Figure { name: name.to_string(), reason: error.to_string() };
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH as u32, height as u32)).into_drawing_area();
        paint(&area).map_err(failed)?;
        area.present().map_err(|error| failed(error.into()))?;
    }
    let escaped = crate::html::escape(name);
    Ok(svg.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{escaped}\" "), 1))
}

fn text(size: u32, colour: &'static RGBColor, horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    TextStyle::from(("system-ui, sans-serif", size)).color(colour).pos(Pos::new(horizontal, vertical))
}

/// The largest counts, and the rest as one.
fn largest(counts: &[(String, u64)]) -> Vec<(String, u64)> {
    if counts.len() <= MAX_BARS {
        return counts.to_vec();
    }
    let (shown, rest) = counts.split_at(MAX_BARS - 1);
    let sum = rest.iter().map(|(_, count)| count).sum();
    shown.iter().cloned().chain([(format!("{} more", rest.len()), sum)]).collect()
}

/// Horizontal bars with name, count and share.
pub(crate) fn bars(name: &str, counts: &[(String, u64)]) -> Result<String> {
    let total: u64 = counts.iter().map(|(_, count)| count).sum();
    let counts = largest(counts);
    let most = counts.iter().map(|(_, count)| *count).max().unwrap_or(1).max(1);
    let height = BAR_ROW * counts.len() as i32 + 4;
    draw(name, height, |area| {
        for (index, (key, count)) in counts.iter().enumerate() {
            let top = BAR_ROW * index as i32;
            let share = 100.0 * *count as f64 / total.max(1) as f64;
            area.draw(&Text::new(
                shortened(&key.replace('_', " "), 38),
                (0, top + 2),
                text(15, &INK, HPos::Left, VPos::Top),
            ))?;
            let value = format!("{} · {share:.1} %", number(*count));
            area.draw(&Text::new(value, (WIDTH, top + 2), text(14, &SOFT, HPos::Right, VPos::Top)))?;
            let length = ((f64::from(WIDTH) * *count as f64 / most as f64).round() as i32).max(2);
            area.draw(&Rectangle::new([(0, top + 22), (WIDTH, top + 30)], LINE.mix(0.6).filled()))?;
            area.draw(&Rectangle::new([(0, top + 22), (length, top + 30)], BLUE.filled()))?;
        }
        Ok(())
    })
}

/// A histogram of values with its median.
pub(crate) fn histogram(name: &str, spread: &Spread) -> Result<String> {
    const HEIGHT: i32 = 190;
    const BOTTOM: i32 = 150;
    let bins = spread.histogram(20);
    let most = bins.iter().map(|bin| bin.1).max().unwrap_or(1).max(1);
    draw(name, HEIGHT, |area| {
        let step = WIDTH as f64 / bins.len().max(1) as f64;
        for (index, (_, count)) in bins.iter().enumerate() {
            let (left, right) = ((index as f64 * step) as i32, ((index + 1) as f64 * step) as i32 - 1);
            let top = BOTTOM - (f64::from(BOTTOM - 10) * *count as f64 / most as f64).round() as i32;
            area.draw(&Rectangle::new(
                [(left, top.min(BOTTOM - i32::from(*count > 0))), (right.max(left + 1), BOTTOM)],
                BLUE.filled(),
            ))?;
        }
        area.draw(&PathElement::new([(0, BOTTOM), (WIDTH, BOTTOM)], SOFT))?;
        let every = (bins.len() / 5).max(1);
        for (index, (first, _)) in bins.iter().enumerate().step_by(every) {
            let place = ((index as f64 * step) as i32, BOTTOM + 5);
            if place.0 < WIDTH - 30 {
                area.draw(&Text::new(number(*first), place, text(13, &SOFT, HPos::Left, VPos::Top)))?;
            }
        }
        let [least, _, median, _, largest] = spread.quantiles;
        let note =
            format!("median {}, mean {:.0}, {} to {}", number(median), spread.mean, number(least), number(largest));
        area.draw(&Text::new(note, (0, HEIGHT - 2), text(14, &INK, HPos::Left, VPos::Bottom)))?;
        Ok(())
    })
}

/// A rectangle of a treemap, in units of the figure.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Frame {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

/// Cuts `frame` into areas proportional to `values`, which must fall (squarified treemap: Bruls, Huizing, van Wijk 2000).
fn squarified(values: &[f64], frame: Frame) -> Vec<Frame> {
    let total: f64 = values.iter().sum();
    let scale = frame.width * frame.height / total.max(f64::MIN_POSITIVE);
    let areas: Vec<f64> = values.iter().map(|value| value * scale).collect();
    let (mut rest, mut frames, mut start) = (frame, Vec::new(), 0);
    while start < areas.len() {
        let side = rest.width.min(rest.height);
        let worst = |row: &[f64]| {
            let sum: f64 = row.iter().sum();
            let ratio = |area: &f64| (side * side * area / (sum * sum)).max(sum * sum / (side * side * area));
            row.iter().map(ratio).fold(0.0, f64::max)
        };
        let mut end = start + 1;
        while end < areas.len() && worst(&areas[start..=end]) <= worst(&areas[start..end]) {
            end += 1;
        }
        let row = &areas[start..end];
        let thickness = row.iter().sum::<f64>() / side;
        let mut offset = 0.0;
        for area in row {
            let length = area / thickness;
            frames.push(match rest.width >= rest.height {
                true => Frame { x: rest.x, y: rest.y + offset, width: thickness, height: length },
                false => Frame { x: rest.x + offset, y: rest.y, width: length, height: thickness },
            });
            offset += length;
        }
        match rest.width >= rest.height {
            true => (rest.x, rest.width) = (rest.x + thickness, (rest.width - thickness).max(0.0)),
            false => (rest.y, rest.height) = (rest.y + thickness, (rest.height - thickness).max(0.0)),
        }
        start = end;
    }
    frames
}

/// Areas in proportion to counts, largest first.
pub(crate) fn areas(name: &str, counts: &[(String, u64)]) -> Result<String> {
    const HEIGHT: i32 = 300;
    let total: u64 = counts.iter().map(|(_, count)| count).sum();
    let counts: Vec<(String, u64)> = largest(counts).into_iter().filter(|(_, count)| *count > 0).collect();
    let values: Vec<f64> = counts.iter().map(|(_, count)| *count as f64).collect();
    let frame = Frame { x: 0.0, y: 0.0, width: f64::from(WIDTH), height: f64::from(HEIGHT) };
    let frames = squarified(&values, frame);
    draw(name, HEIGHT, |area| {
        for (index, ((key, count), frame)) in counts.iter().zip(&frames).enumerate() {
            let corner = |x: f64, y: f64| (x.round() as i32, y.round() as i32);
            let (from, to) = (corner(frame.x, frame.y), corner(frame.x + frame.width, frame.y + frame.height));
            let fill = AREAS[index % AREAS.len()];
            area.draw(&Rectangle::new([from, (to.0 - 2, to.1 - 2)], fill.filled()))?;
            // Seven units a letter: a name that does not fit is read from the bars beside.
            let letters = ((frame.width - 12.0) / 7.4) as usize;
            if letters >= 4 && frame.height >= 24.0 {
                let label = shortened(&key.replace('_', " "), letters);
                area.draw(&Text::new(label, (from.0 + 6, from.1 + 5), text(14, &INK, HPos::Left, VPos::Top)))?;
            }
            if letters >= 6 && frame.height >= 44.0 {
                let share = format!("{:.1} %", 100.0 * *count as f64 / total.max(1) as f64);
                area.draw(&Text::new(share, (from.0 + 6, from.1 + 24), text(13, &INK, HPos::Left, VPos::Top)))?;
            }
        }
        Ok(())
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn areas_fill_the_frame_without_overlap() {
        let values = [50.0, 20.0, 10.0, 8.0, 7.0, 3.0, 1.0, 1.0];
        let frame = Frame { x: 0.0, y: 0.0, width: 420.0, height: 300.0 };
        let frames = squarified(&values, frame);
        for (value, area) in values.iter().zip(&frames) {
            assert!((area.width * area.height - value * 1_260.0).abs() < 1e-6);
            assert!(area.x >= -1e-9 && area.x + area.width <= 420.0 + 1e-6 && area.y + area.height <= 300.0 + 1e-6);
        }
        for (index, one) in frames.iter().enumerate() {
            for other in &frames[index + 1..] {
                let apart = one.x + one.width <= other.x + 1e-6
                    || other.x + other.width <= one.x + 1e-6
                    || one.y + one.height <= other.y + 1e-6
                    || other.y + other.height <= one.y + 1e-6;
                assert!(apart, "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn figures_name_every_large_share_and_are_whole_svg() {
        let counts: Vec<(String, u64)> = (0..30).map(|index| (format!("kind_{index}"), 100 - index)).collect();
        for svg in [bars("Modality", &counts).unwrap(), areas("Modality", &counts).unwrap()] {
            assert!(svg.contains("kind 0") && svg.contains("17 more") && svg.trim_end().ends_with("</svg>"), "{svg}");
            assert!(svg.contains("aria-label=\"Modality\""));
        }
        assert!(bars("None", &[]).unwrap().contains("</svg>"));
    }
}
