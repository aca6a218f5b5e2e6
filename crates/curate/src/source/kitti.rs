//! KITTI: one text file per picture; a line is `type truncated occluded alpha left top right bottom` and more numbers, in pixels.
//! `DontCare` lines mark what was not annotated.

use super::{Boxes, Folder, Frame, Item, MarkedBox, Marks};
use crate::Result;
use crate::kind::Kitti;
use crate::ledger::{Defect, Ledger};
use std::collections::BTreeSet;

/// Words between the type and the edges: truncated, occluded, alpha.
const BEFORE_EDGES: usize = 3;
/// KITTI's type of regions that were not annotated.
const NOT_ANNOTATED: &str = "DontCare";

pub(super) fn read(folder: &Folder, kind: &Kitti, ledger: &mut Ledger) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    let mut used = BTreeSet::new();
    for mut item in folder.pictures(&kind.images)? {
        let filled = kind.labels.fill(&item.fields);
        let empty = filled.literal().is_some_and(|file| {
            folder.inputs.files.contains(file)
                && std::fs::metadata(folder.inputs.path(file)).is_ok_and(|metadata| metadata.len() == 0)
        });
        let parsed = match (empty, filled.literal()) {
            // An empty file says that nothing is marked.
            (true, Some(file)) => {
                used.insert(file.to_string());
                Some((file.to_string(), Boxes::none(file, Frame::Unstated)))
            }
            _ => folder.beside(&item, &kind.labels, parse, (&mut used, &mut *ledger)),
        };
        if let Some((file, boxes)) = parsed {
            item.annotation = Some(file);
            item.marks = Marks::Boxes(boxes);
            items.push(item);
        }
    }
    folder.quarantine_orphans(&kind.labels, &used, ledger);
    Ok(items)
}

/// Every line that is not blank is a box; what cannot be read becomes a box of not-a-number, which is quarantined by its line.
fn parse(file: &str, text: &str) -> std::result::Result<Boxes, Defect> {
    let mut boxes = Boxes::none(file, Frame::Unstated);
    for (index, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.is_empty() {
            continue;
        }
        // A type may be written in several words, or several types at once: they end at the first number.
        let numbers = words.iter().position(|word| word.parse::<f64>().is_ok()).unwrap_or(words.len());
        let name = words[..numbers].join(" ");
        let edge = |edge: usize| {
            let word = words.get(numbers + BEFORE_EDGES + edge);
            word.and_then(|word| word.parse().ok()).unwrap_or(f64::NAN)
        };
        let mut marked = MarkedBox::new(name, [0, 1, 2, 3].map(edge), format!("line {}", index + 1));
        marked.is_crowd = marked.name == NOT_ANNOTATED;
        boxes.boxes.push(marked);
    }
    Ok(boxes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn types_and_edges_are_read() {
        let text = "wbc 0.00 0 0 79.9 88.5 151 178 0 0 0 0 0 0 0\n\nred cell 0 0 0 1 2 3 4\nDontCare -1 -1 -10 5 6 7 8\nrbc 0 0 0 1 2 x 4\n";
        let boxes = parse("a.txt", text).unwrap().boxes;
        assert_eq!((boxes[0].name.as_str(), boxes[0].edges), ("wbc", [79.9, 88.5, 151.0, 178.0]));
        assert_eq!((boxes[1].name.as_str(), boxes[1].place.as_str()), ("red cell", "line 3"));
        assert!(boxes[2].is_crowd && !boxes[1].is_crowd);
        assert!(boxes[3].edges[2].is_nan());
    }
}
