//! Boxes, masks and label maps of an item to named regions, by the rules of its source.

use crate::config::{Regions, ValueRule};
use crate::inputs::Inputs;
use crate::kind::Instances;
use crate::ledger::{Defect, Ledger, Of};
use crate::source::{Boxes, Frame, MarkedBox};
use gmai_imaging::{Limits, Mask};
use gmai_schema::{BoundingBox, Region, Term};

/// A picture may differ from the size its annotation states by this share: whoever scaled it rounded.
const ASPECT_TOLERANCE: f64 = 0.01;

/// Reason of a mask that is left out for its size (SA-Med2D-20M's rule).
pub(crate) const TOO_SMALL: &str = "the mask is smaller than the config's min_mask_share";

/// Regions of one picture.
#[derive(Default)]
pub(crate) struct Marked {
    pub(crate) regions: Vec<Region>,
    /// Annotation entries behind the regions.
    pub(crate) num_used: u64,
    /// Whether something that was marked is missing here, so that counts would be wrong.
    pub(crate) incomplete: bool,
}

/// Entry of `unknown` that stands for every name that `terms` does not list.
const ANY_OTHER: &str = "*";

/// What a raw name means.
pub(crate) enum Name<'a> {
    Known(&'a ValueRule),
    LeftOut,
    Unlisted,
}

/// Looks a raw region name up in the config.
pub(crate) fn look_up<'a>(rules: &'a Regions, name: &str) -> Name<'a> {
    match rules.terms.iter().find(|rule| rule.is == name) {
        Some(rule) => Name::Known(rule),
        None if rules.unknown.iter().any(|unknown| unknown == name || unknown == ANY_OTHER) => Name::LeftOut,
        None => Name::Unlisted,
    }
}

/// Size of the picture that boxes are put on, in pixels.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// Boxes to regions. `file` is the annotation file. The error is a defect of the annotation as a whole.
pub(crate) fn from_boxes(rules: &Regions, boxes: &Boxes, size: Size, ledger: &mut Ledger) -> Result<Marked, Defect> {
    let frame = match boxes.frame {
        Frame::Fractions => Size { width: 1, height: 1 },
        Frame::Pixels { width, height } => {
            let stretch = f64::from(width) * f64::from(size.height) / (f64::from(height) * f64::from(size.width));
            if (stretch - 1.0).abs() > ASPECT_TOLERANCE {
                let reason = format!(
                    "the annotation is for a picture of {width} x {height}, the picture has {} x {}",
                    size.width, size.height
                );
                let remedy = "pair the annotation with the picture it was drawn on";
                return Err(Defect::new(&boxes.file, "image size", reason, remedy));
            }
            Size { width, height }
        }
        Frame::Unstated => size,
    };
    let mut marked = Marked::default();
    for entry in &boxes.boxes {
        match look_up(rules, &entry.name) {
            Name::Known(rule) => match bounds(entry, frame) {
                Ok(bounds) => marked.add(rule.term(), bounds),
                Err(reason) => {
                    let remedy = "correct or remove the box; the other boxes of the picture are used";
                    ledger.quarantine(Of::Annotations, Defect::new(&boxes.file, entry.place.clone(), reason, remedy));
                    marked.incomplete = true;
                }
            },
            Name::LeftOut => {
                ledger.skip(Of::Annotations, "the config lists the region name as unknown", 1);
                marked.incomplete = true;
            }
            Name::Unlisted => {
                let reason = format!("region name `{}` is not in the config", entry.name);
                let remedy = "add the name to `terms` or to `unknown` under [source.regions]";
                ledger.quarantine(Of::Annotations, Defect::new(&boxes.file, entry.place.clone(), reason, remedy));
                marked.incomplete = true;
            }
        }
    }
    Ok(marked)
}

impl Marked {
    fn add(&mut self, term: Term, bounds: BoundingBox) {
        self.regions.push(Region { term, bounds });
        self.num_used += 1;
    }
}

fn bounds(entry: &MarkedBox, frame: Size) -> Result<BoundingBox, String> {
    let [left, top, right, bottom] = entry.edges;
    let edges = format!("({left}, {top}) to ({right}, {bottom})");
    // Written so that a missing edge, which is not a number, is refused as well.
    if !(right > left && bottom > top) {
        return Err(format!("the box {edges} has no area"));
    }
    BoundingBox::from_pixels(left, top, right, bottom, frame.width, frame.height)
        .ok_or_else(|| format!("the box {edges} leaves the image of {} x {}", frame.width, frame.height))
}

/// Boxes of one mask; empty when it is too small everywhere.
pub(crate) struct MaskBoxes {
    pub(crate) boxes: Vec<BoundingBox>,
    /// Whether a part was left out for its size.
    pub(crate) some_too_small: bool,
}

/// The tight boxes of a mask, without parts below the least share of the picture.
pub(crate) fn mask_boxes(mask: &Mask, instances: Instances, min_share: f64) -> MaskBoxes {
    let least = min_share * f64::from(mask.width) * f64::from(mask.height);
    let parts: Vec<(gmai_imaging::PixelBox, usize)> = match instances {
        Instances::Whole => mask.tight_box().map(|bounds| (bounds, mask.num_pixels())).into_iter().collect(),
        Instances::Components => mask.components().iter().map(|part| (part.bounds, part.num_pixels)).collect(),
    };
    let kept = parts.iter().filter(|(_, pixels)| *pixels as f64 >= least);
    let boxes: Vec<BoundingBox> = kept
        .map(|(bounds, _)| {
            let edges = [bounds.left, bounds.top, bounds.right, bounds.bottom].map(f64::from);
            BoundingBox::from_pixels(edges[0], edges[1], edges[2], edges[3], mask.width, mask.height)
                .expect("the box of a mask lies inside it")
        })
        .collect();
    MaskBoxes { some_too_small: boxes.len() < parts.len(), boxes }
}

/// Mask pictures of one meaning to regions; each file is one annotation.
pub(crate) fn from_masks(
    rules: &Regions,
    files: &[String],
    instances: Instances,
    frame: (Size, &Inputs, &Limits),
    ledger: &mut Ledger,
) -> Marked {
    let (size, inputs, limits) = frame;
    let mut marked = Marked::default();
    let term = rules.terms[0].term();
    for file in files {
        let defect = match gmai_imaging::read_mask(&inputs.path(file), limits) {
            Err(error) => Defect::new(
                file,
                "file",
                without_path(&error, inputs),
                "replace the mask; the picture is used without it",
            ),
            Ok(mask) if (mask.width, mask.height) != (size.width, size.height) => {
                let (width, height) = (mask.width, mask.height);
                let reason =
                    format!("the mask has {width} x {height} pixels, the picture {} x {}", size.width, size.height);
                Defect::new(file, "image size", reason, "pair the mask with the picture it was drawn on")
            }
            Ok(mask) if mask.num_pixels() == 0 => {
                Defect::new(file, "pixels", "the mask is empty", "remove the mask or draw it again")
            }
            Ok(mask) => {
                let found = mask_boxes(&mask, instances, rules.min_mask_share);
                marked.incomplete |= found.some_too_small;
                if found.boxes.is_empty() {
                    ledger.skip(Of::Annotations, TOO_SMALL, 1);
                } else {
                    marked.num_used += 1;
                }
                marked.regions.extend(found.boxes.into_iter().map(|bounds| Region { term: term.clone(), bounds }));
                continue;
            }
        };
        marked.incomplete = true;
        ledger.quarantine(Of::Annotations, defect);
    }
    marked
}

/// The text of an imaging error with paths relative to the source's folder: the same line on every machine.
pub(crate) fn without_path(error: &gmai_imaging::Error, inputs: &Inputs) -> String {
    let root = inputs.root().display().to_string();
    error.to_string().replace(&format!("{root}/"), "").replace(&root, ".")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use gmai_schema::Task;

    fn rules() -> Regions {
        Regions {
            task: Task::CellRecognition,
            exhaustive: true,
            terms: vec![ValueRule { is: "RBC".into(), en: "red blood cell".into(), zh: None }],
            unknown: vec!["dust".into()],
            min_mask_share: 0.1,
        }
    }

    fn boxes(frame: Frame, entries: &[(&str, [f64; 4])]) -> Boxes {
        let entry = |(name, edges): &(&str, [f64; 4])| MarkedBox {
            name: name.to_string(),
            edges: *edges,
            place: "object".to_string(),
        };
        Boxes { file: "a.xml".into(), frame, boxes: entries.iter().map(entry).collect() }
    }

    const SIZE: Size = Size { width: 100, height: 50 };

    #[test]
    fn defective_boxes_are_quarantined_and_the_others_are_used() {
        let entries = [
            ("RBC", [10.0, 10.0, 60.0, 35.0]),
            ("RBC", [10.0, 10.0, 10.0, 35.0]),
            ("RBC", [90.0, 10.0, 101.0, 35.0]),
            ("RBC", [f64::NAN, 10.0, 20.0, 35.0]),
            ("WBC", [1.0, 1.0, 2.0, 2.0]),
            ("dust", [1.0, 1.0, 2.0, 2.0]),
        ];
        let mut ledger = Ledger::default();
        let frame = Frame::Pixels { width: 100, height: 50 };
        let marked = from_boxes(&rules(), &boxes(frame, &entries), SIZE, &mut ledger).unwrap();
        assert_eq!(marked.regions.len(), 1);
        assert_eq!(marked.regions[0].bounds.to_string(), "[[0.1, 0.2, 0.6, 0.7]]");
        assert!(marked.incomplete, "counts are no longer true");
        let reasons: Vec<&str> = ledger.defects.iter().map(|defect| defect.reason.as_str()).collect();
        assert_eq!(reasons[0], "the box (10, 10) to (10, 35) has no area");
        assert_eq!(reasons[1], "the box (90, 10) to (101, 35) leaves the image of 100 x 50");
        assert!(reasons[2].contains("no area") && reasons[3].contains("`WBC` is not in the config"));
        assert_eq!((ledger.annotations.quarantined, ledger.annotations.num_skipped()), (4, 1));
    }

    #[test]
    fn boxes_follow_a_picture_that_was_scaled_but_not_one_of_another_shape() {
        let entries = [("RBC", [0.0, 0.0, 100.0, 100.0])];
        let scaled = Frame::Pixels { width: 200, height: 100 };
        let marked = from_boxes(&rules(), &boxes(scaled, &entries), SIZE, &mut Ledger::default()).unwrap();
        assert_eq!(marked.regions[0].bounds.to_string(), "[[0, 0, 0.5, 1]]");
        let other = Frame::Pixels { width: 100, height: 100 };
        let defect =
            from_boxes(&rules(), &boxes(other, &entries), SIZE, &mut Ledger::default()).map(|_| ()).unwrap_err();
        assert_eq!(defect.field, "image size");
    }

    #[test]
    fn small_parts_of_a_mask_are_left_out() {
        let inside = |index: usize| index % 10 < 5 && index < 50 || index == 99;
        let mask = Mask { width: 10, height: 10, inside: (0..100).map(inside).collect() };
        let parts = mask_boxes(&mask, Instances::Components, 0.1);
        assert_eq!((parts.boxes.len(), parts.some_too_small), (1, true));
        assert_eq!(parts.boxes[0].to_string(), "[[0, 0, 0.5, 0.5]]");
        let whole = mask_boxes(&mask, Instances::Whole, 0.1);
        assert_eq!(whole.boxes[0].to_string(), "[[0, 0, 1, 1]]");
        assert!(mask_boxes(&mask, Instances::Whole, 0.5).boxes.is_empty());
    }
}
