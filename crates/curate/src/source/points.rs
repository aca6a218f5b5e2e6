//! Points in text: one file per picture, a line per point with its place and its class.

use super::{Boxes, Folder, Frame, Item, MarkedPoint, Marks};
use crate::Result;
use crate::kind::{PointColumn, Points, Units};
use crate::ledger::{Defect, Ledger};
use std::collections::BTreeSet;

pub(super) fn read(folder: &Folder, kind: &Points, ledger: &mut Ledger) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    let mut used = BTreeSet::new();
    for mut item in folder.pictures(&kind.images)? {
        let parsed =
            folder.beside(&item, &kind.labels, |file, text| parse(kind, file, text), (&mut used, &mut *ledger));
        if let Some((file, points)) = parsed {
            item.annotation = Some(file);
            item.marks = Marks::Boxes(points);
            items.push(item);
        }
    }
    folder.quarantine_orphans(&kind.labels, &used, ledger);
    Ok(items)
}

/// Every line that is not blank is a point; what cannot be read becomes a point at not-a-number, which is quarantined by its line.
fn parse(kind: &Points, file: &str, text: &str) -> std::result::Result<Boxes, Defect> {
    let frame = match kind.units {
        Units::Pixels => Frame::Unstated,
        Units::Fractions => Frame::Fractions,
    };
    let mut marks = Boxes::none(file, frame);
    for (index, line) in text.lines().enumerate() {
        let split = |letter: char| letter.is_whitespace() || letter == ',' || letter == ';';
        let words: Vec<&str> = line.split(split).filter(|word| !word.is_empty()).collect();
        if words.is_empty() {
            continue;
        }
        let word = |wanted: PointColumn| {
            let column = kind.order.iter().position(|column| *column == wanted)?;
            words.get(column).copied()
        };
        let number = |wanted| word(wanted).and_then(|word| word.parse().ok()).unwrap_or(f64::NAN);
        // A line with more or fewer words is of another kind: none of its numbers can be trusted.
        let is_whole = words.len() == kind.order.len();
        let at = if is_whole { [number(PointColumn::X), number(PointColumn::Y)] } else { [f64::NAN; 2] };
        let name = word(PointColumn::Class).unwrap_or_default().to_string();
        marks.points.push(MarkedPoint { name, at, place: format!("line {}", index + 1) });
    }
    Ok(marks)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn points(order: &str, text: &str) -> Vec<MarkedPoint> {
        let config = format!("images = \"a\"\nlabels = \"b\"\n{order}");
        parse(&toml::from_str(&config).unwrap(), "a.txt", text).unwrap().points
    }

    #[test]
    fn words_are_read_in_the_order_of_the_config() {
        let read = points("", "482 125 9\n\n340 43 5\n");
        assert_eq!((read[0].name.as_str(), read[0].at), ("9", [482.0, 125.0]));
        assert_eq!(read[1].place, "line 3");
        let read = points("order = [\"class\", \"ignored\", \"x\", \"y\"]", "cell, 7, 1.5; 2");
        assert_eq!((read[0].name.as_str(), read[0].at), ("cell", [1.5, 2.0]));
    }

    #[test]
    fn lines_of_another_kind_are_no_points() {
        let read = points("", "1 2\n1 2 3 4\n1 b 3\n");
        assert!(read[0].at[0].is_nan() && read[1].at[0].is_nan() && read[2].at[1].is_nan());
    }
}
