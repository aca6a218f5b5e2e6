//! YOLO: one text file per picture; a line is `class x y width height` (centre, shares of the picture) or
//! `class x1 y1 x2 y2 ...` (a polygon). An empty file says that nothing is marked.

use super::{Boxes, Folder, Frame, Item, MarkedBox, Marks, quarantine_unlabelled, quarantine_unreadable};
use crate::Result;
use crate::kind::Yolo;
use crate::ledger::{Defect, Ledger};
use std::collections::BTreeSet;

/// Rounding of six decimals moves an edge that lies on the border by this much at most; it is put back on it.
const BORDER_TOLERANCE: f64 = 2e-6;

pub(super) fn read(folder: &Folder, kind: &Yolo, ledger: &mut Ledger) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    let mut used = BTreeSet::new();
    for mut item in folder.pictures(&kind.images)? {
        let filled = kind.labels.fill(&item.fields);
        let Some(file) = filled.literal().filter(|file| folder.inputs.files.contains(*file)) else {
            quarantine_unlabelled(&item.name, &format!("`{}` does not exist", filled.as_str()), ledger);
            continue;
        };
        used.insert(file.to_string());
        let text = std::fs::read(folder.inputs.path(file))
            .map_err(|error| error.to_string())
            .and_then(|bytes| String::from_utf8(bytes).map_err(|_| "the file is not UTF-8 text".to_string()));
        match text {
            Ok(text) => {
                item.annotation = Some(file.to_string());
                item.marks = Marks::Boxes(parse(file, &text));
                items.push(item);
            }
            Err(reason) => {
                let defect = Defect::new(file, "file", reason, "export the labels again");
                quarantine_unreadable(&item.name, defect, ledger);
            }
        }
    }
    folder.quarantine_orphans(&kind.labels, &used, ledger);
    Ok(items)
}

/// Every line that is not blank is a box; what cannot be read becomes a box of not-a-number, which is quarantined by its line.
fn parse(file: &str, text: &str) -> Boxes {
    let mut boxes = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let mut words = line.split_whitespace();
        let Some(name) = words.next() else { continue };
        let numbers: Vec<f64> = words.map(|word| word.parse().unwrap_or(f64::NAN)).collect();
        let edges = match numbers[..] {
            [x, y, width, height] => [x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0],
            _ if numbers.len() >= 6 && numbers.len().is_multiple_of(2) => around(&numbers),
            _ => [f64::NAN; 4],
        };
        let place = format!("line {}", index + 1);
        boxes.push(MarkedBox::new(name, edges.map(onto_border), place));
    }
    Boxes { boxes, ..Boxes::none(file, Frame::Fractions) }
}

/// The box around a polygon; not-a-number when one of its numbers is.
fn around(numbers: &[f64]) -> [f64; 4] {
    if numbers.iter().any(|number| number.is_nan()) {
        return [f64::NAN; 4];
    }
    let fold = |offset: usize, pick: fn(f64, f64) -> f64| {
        numbers.iter().skip(offset).step_by(2).copied().reduce(pick).unwrap_or(f64::NAN)
    };
    [fold(0, f64::min), fold(1, f64::min), fold(0, f64::max), fold(1, f64::max)]
}

fn onto_border(edge: f64) -> f64 {
    if edge < 0.0 && edge > -BORDER_TOLERANCE {
        0.0
    } else if edge > 1.0 && edge < 1.0 + BORDER_TOLERANCE {
        1.0
    } else {
        edge
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_and_polygons_are_read() {
        let boxes = parse("a.txt", "0 0.5 0.5 0.5 0.25\n\n1 0.1 0.2 0.3 0.2 0.3 0.4 0.1 0.4\n").boxes;
        assert_eq!((boxes[0].name.as_str(), boxes[0].edges), ("0", [0.25, 0.375, 0.75, 0.625]));
        assert_eq!((boxes[1].name.as_str(), boxes[1].edges), ("1", [0.1, 0.2, 0.3, 0.4]));
        assert_eq!(boxes[1].place, "line 3");
    }

    #[test]
    fn rounded_border_is_kept_and_wrong_lines_are_not_numbers() {
        let boxes = parse("a.txt", "0 0.999999 0.5 0.000004 0.5\n0 0.5 0.5\n0 a b c d\n0 0.9 0.5 0.4 0.5").boxes;
        assert_eq!(boxes[0].edges[2], 1.0);
        assert!(boxes[1].edges[0].is_nan() && boxes[2].edges[0].is_nan());
        assert!(boxes[3].edges[2] > 1.05, "a box that really leaves the image stays outside");
    }
}
