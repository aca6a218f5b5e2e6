//! Boxes, points, masks and label maps of an item to named regions and points, by the rules of its source.

use crate::config::{Regions, ValueRule};
use crate::inputs::Inputs;
use crate::kind::Instances;
use crate::ledger::{Defect, Ledger, Of};
use crate::source::{Boxes, Frame, MarkedBox, MarkedPoint};
use gmai_imaging::{Decoder, Mask};
use gmai_schema::{BoundingBox, Point, Region, RleMask, Term};
use std::collections::BTreeMap;

/// A picture may differ from the size its annotation states by this share: whoever scaled it rounded.
const ASPECT_TOLERANCE: f64 = 0.01;

/// Reason of a mask that is left out for its size (SA-Med2D-20M's rule).
pub(crate) const TOO_SMALL: &str = "the mask is smaller than the config's min_mask_share";

/// Regions of one picture.
#[derive(Default)]
pub(crate) struct Marked {
    pub(crate) regions: Vec<Region>,
    pub(crate) points: Vec<Point>,
    /// Annotation entries behind the regions.
    pub(crate) num_used: u64,
    /// Whether something that was marked is missing here, so that counts would be wrong.
    pub(crate) incomplete: bool,
    /// Pixels that masks mark; 0 for boxes.
    pub(crate) area: usize,
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
    let mut marked = Marked { incomplete: boxes.is_incomplete, ..Marked::default() };
    let twice = named_twice(&boxes.boxes);
    let mut account = Account { rules, file: &boxes.file, marked: &mut marked, ledger };
    for (index, entry) in boxes.boxes.iter().enumerate() {
        match twice.get(&index) {
            Some(Twice::Repeats) => account.ledger.skip(Of::Annotations, "the box repeats an earlier one", 1),
            Some(Twice::Contradicts(other)) => {
                let reason = format!("the same box is named `{}` and `{other}`: two classes at once", entry.name);
                account.quarantine(&entry.place, reason, "find out which name is right and remove the other box");
            }
            None if entry.is_crowd => {
                account.ledger.skip(Of::Annotations, "the box is around a crowd, or marks what was not annotated", 1);
                account.marked.incomplete = true;
            }
            None => account.add_box(entry, frame),
        }
    }
    for entry in &boxes.points {
        account.add_point(entry, frame);
    }
    Ok(marked)
}

/// Why a box is left out because of another one of the picture.
enum Twice {
    /// An earlier one says the same.
    Repeats,
    /// Another one with the same edges has this name.
    Contradicts(String),
}

/// Edges that differ by less than this share of the box are the same: whoever wrote them twice rounded.
const SAME_EDGE: f64 = 1e-4;

/// The boxes that occur more than once with the same edges, by index.
fn named_twice(boxes: &[MarkedBox]) -> BTreeMap<usize, Twice> {
    // Boxes are sorted by their left edge, so that only neighbours are compared.
    let mut order: Vec<usize> = (0..boxes.len()).filter(|index| !boxes[*index].is_crowd).collect();
    order.sort_by(|one, other| boxes[*one].edges[0].total_cmp(&boxes[*other].edges[0]).then(one.cmp(other)));
    let mut twice = BTreeMap::new();
    for (place, first) in order.iter().enumerate() {
        let [left, top, right, bottom] = boxes[*first].edges;
        let tolerance = SAME_EDGE * (right - left).max(bottom - top);
        for second in &order[place + 1..] {
            let other = &boxes[*second];
            // Edges that are no numbers are sorted to the end and are never the same.
            if other.edges[0].is_nan() || other.edges[0] - left > tolerance {
                break;
            }
            let is_same = tolerance > 0.0
                && other.edges.iter().zip([left, top, right, bottom]).all(|(one, two)| (one - two).abs() <= tolerance);
            if is_same && other.name == boxes[*first].name {
                twice.entry(*first.max(second)).or_insert(Twice::Repeats);
            } else if is_same {
                twice.insert(*first, Twice::Contradicts(other.name.clone()));
                twice.insert(*second, Twice::Contradicts(boxes[*first].name.clone()));
            }
        }
    }
    twice
}

/// Where the marks of one file are accounted for.
struct Account<'a> {
    rules: &'a Regions,
    file: &'a str,
    marked: &'a mut Marked,
    ledger: &'a mut Ledger,
}

impl Account<'_> {
    fn quarantine(&mut self, place: &str, reason: String, remedy: &str) {
        self.ledger.quarantine(Of::Annotations, Defect::new(self.file, place, reason, remedy));
        self.marked.incomplete = true;
    }

    /// The term of a name; `None` when it is left out, which is accounted for.
    fn term(&mut self, name: &str, place: &str) -> Option<Term> {
        match look_up(self.rules, name) {
            Name::Known(rule) => return Some(rule.term()),
            Name::LeftOut => {
                self.ledger.skip(Of::Annotations, "the config lists the region name as unknown", 1);
                self.marked.incomplete = true;
            }
            Name::Unlisted => {
                let joined = joined_names(self.rules, name);
                let reason = match joined.is_empty() {
                    true => format!("region name `{name}` is not in the config"),
                    false => format!("`{name}` names {} at once: two classes for one mark", joined.join(" and ")),
                };
                let remedy = "add the name to `terms` or to `unknown` under [source.regions]";
                self.quarantine(place, reason, remedy);
            }
        }
        None
    }

    fn add_box(&mut self, entry: &MarkedBox, frame: Size) {
        let Some(term) = self.term(&entry.name, &entry.place) else { return };
        match bounds(entry, frame) {
            Ok(bounds) => {
                self.marked.area += entry.mask.as_ref().map_or(0, |mask| mask.area() as usize);
                self.marked.regions.push(Region { term, bounds, mask: entry.mask.clone() });
                self.marked.num_used += 1;
            }
            Err(reason) => {
                let remedy = "correct or remove the box; the other boxes of the picture are used";
                self.quarantine(&entry.place, reason, remedy);
            }
        }
    }

    fn add_point(&mut self, entry: &MarkedPoint, frame: Size) {
        let Some(term) = self.term(&entry.name, &entry.place) else { return };
        let [x, y] = entry.at;
        let (x, y) = (x / f64::from(frame.width), y / f64::from(frame.height));
        if (0.0..=1.0).contains(&x) && (0.0..=1.0).contains(&y) {
            self.marked.points.push(Point { term, x: x as f32, y: y as f32 });
            self.marked.num_used += 1;
        } else {
            let [x, y] = entry.at;
            let reason = format!("the point ({x}, {y}) is not in the image of {} x {}", frame.width, frame.height);
            self.quarantine(&entry.place, reason, "correct or remove the point; the others of the picture are used");
        }
    }
}

/// The known names that an unlisted one is put together of; empty unless there are several.
fn joined_names<'a>(rules: &'a Regions, name: &'a str) -> Vec<&'a str> {
    let parts: Vec<&str> =
        name.split([' ', ',', ';', '/', '|', '+', '&', '-', '_']).filter(|part| !part.is_empty()).collect();
    let all_known = parts.iter().all(|part| rules.terms.iter().any(|rule| rule.is == *part));
    if parts.len() > 1 && all_known { parts } else { Vec::new() }
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
    /// Each box with the pixels inside, where one box holds all of them.
    pub(crate) boxes: Vec<(BoundingBox, Option<RleMask>)>,
    /// Whether a part was left out for its size.
    pub(crate) some_too_small: bool,
    /// Pixels of the parts that are kept.
    pub(crate) area: usize,
}

/// The tight boxes of a mask, without parts below the least share of the picture.
pub(crate) fn mask_boxes(mask: &Mask, instances: Instances, min_share: f64) -> MaskBoxes {
    let least = min_share * f64::from(mask.width) * f64::from(mask.height);
    let parts: Vec<(gmai_imaging::PixelBox, usize)> = match instances {
        Instances::Whole => mask.tight_box().map(|bounds| (bounds, mask.num_pixels())).into_iter().collect(),
        Instances::Components => mask.components().iter().map(|part| (part.bounds, part.num_pixels)).collect(),
    };
    let kept: Vec<&(gmai_imaging::PixelBox, usize)> =
        parts.iter().filter(|(_, pixels)| *pixels as f64 >= least).collect();
    let some_too_small = kept.len() < parts.len();
    let area = kept.iter().map(|(_, pixels)| pixels).sum();
    let whole = match (kept.as_slice(), some_too_small) {
        ([_], false) => RleMask::from_rows(mask.width, mask.height, &mask.inside),
        _ => None,
    };
    let bounds = |(bounds, _): &&(gmai_imaging::PixelBox, usize)| {
        let edges = [bounds.left, bounds.top, bounds.right, bounds.bottom].map(f64::from);
        let bounds = BoundingBox::from_pixels(edges[0], edges[1], edges[2], edges[3], mask.width, mask.height)
            .expect("the box of a mask lies inside it");
        (bounds, whole.clone())
    };
    MaskBoxes { boxes: kept.iter().map(bounds).collect(), some_too_small, area }
}

/// What mask pictures are put on, and how they are read.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub(crate) size: Size,
    pub(crate) inputs: &'a Inputs,
    pub(crate) decoder: &'a Decoder,
}

/// A mask picture of the size of its picture, with something inside.
pub(crate) fn read_mask(file: &str, reading: Reading) -> Result<Mask, Defect> {
    let size = reading.size;
    match reading.decoder.read_mask(&reading.inputs.path(file)) {
        Err(error) => {
            let remedy = "replace the mask; the picture is used without it";
            Err(Defect::new(file, "file", without_path(&error, reading.inputs), remedy))
        }
        Ok(mask) if (mask.width, mask.height) != (size.width, size.height) => {
            let (width, height) = (mask.width, mask.height);
            let reason =
                format!("the mask has {width} x {height} pixels, the picture {} x {}", size.width, size.height);
            Err(Defect::new(file, "image size", reason, "pair the mask with the picture it was drawn on"))
        }
        Ok(mask) if mask.num_pixels() == 0 => {
            Err(Defect::new(file, "pixels", "the mask is empty", "remove the mask or draw it again"))
        }
        Ok(mask) => Ok(mask),
    }
}

/// Mask pictures of one meaning to regions; each file is one annotation.
pub(crate) fn from_masks(
    rules: &Regions,
    files: &[String],
    instances: Instances,
    reading: Reading,
    ledger: &mut Ledger,
) -> Marked {
    let mut marked = Marked::default();
    for file in files {
        match read_mask(file, reading) {
            Ok(mask) => marked.add_mask(rules, &mask, instances, ledger),
            Err(defect) => {
                marked.incomplete = true;
                ledger.quarantine(Of::Annotations, defect);
            }
        }
    }
    marked
}

impl Marked {
    /// Adds the parts of a mask of the only meaning of the source.
    pub(crate) fn add_mask(&mut self, rules: &Regions, mask: &Mask, instances: Instances, ledger: &mut Ledger) {
        let term = rules.terms[0].term();
        let found = mask_boxes(mask, instances, rules.min_mask_share);
        self.incomplete |= found.some_too_small;
        self.area += found.area;
        if found.boxes.is_empty() {
            ledger.skip(Of::Annotations, TOO_SMALL, 1);
        } else {
            self.num_used += 1;
        }
        let region = |(bounds, mask)| Region { term: term.clone(), bounds, mask };
        self.regions.extend(found.boxes.into_iter().map(region));
    }
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
        let entry = |(name, edges): &(&str, [f64; 4])| MarkedBox::new(*name, *edges, "object".to_string());
        Boxes { boxes: entries.iter().map(entry).collect(), ..Boxes::none("a.xml", frame) }
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
            ("dust", [3.0, 3.0, 4.0, 4.0]),
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
        assert_eq!((parts.boxes.len(), parts.some_too_small, parts.area), (1, true, 25));
        assert_eq!(parts.boxes[0].0.to_string(), "[[0, 0, 0.5, 0.5]]");
        assert!(parts.boxes[0].1.is_none(), "the mask holds more than the part");
        let whole = mask_boxes(&mask, Instances::Whole, 0.1);
        assert_eq!(whole.boxes[0].0.to_string(), "[[0, 0, 1, 1]]");
        assert_eq!(whole.boxes[0].1.as_ref().unwrap().area(), 26);
        assert!(mask_boxes(&mask, Instances::Whole, 0.5).boxes.is_empty());
    }

    #[test]
    fn one_box_under_two_names_is_never_used() {
        let rbc = ValueRule { is: "RBC".into(), en: "red blood cell".into(), zh: None };
        let wbc = ValueRule { is: "WBC".into(), en: "white blood cell".into(), zh: None };
        let rules = Regions { terms: vec![rbc, wbc], ..rules() };
        let entries = [
            ("RBC", [10.0, 10.0, 60.0, 35.0]),
            ("RBC", [1.0, 1.0, 9.0, 9.0]),
            ("WBC", [10.001, 10.0, 60.0, 35.0]),
            ("RBC", [1.0, 1.0, 9.0, 9.0]),
            ("RBC WBC", [70.0, 1.0, 80.0, 9.0]),
            ("WBC", [10.0, 10.0, 60.0, 40.0]),
        ];
        let mut ledger = Ledger::default();
        let marked = from_boxes(&rules, &boxes(Frame::Unstated, &entries), SIZE, &mut ledger).unwrap();
        assert_eq!((marked.regions.len(), marked.num_used, marked.incomplete), (2, 2, true));
        let reasons: Vec<&str> = ledger.defects.iter().map(|defect| defect.reason.as_str()).collect();
        assert_eq!(reasons[0], "the same box is named `RBC` and `WBC`: two classes at once");
        assert_eq!(reasons[1], "the same box is named `WBC` and `RBC`: two classes at once");
        assert!(reasons[2].contains("names RBC and WBC at once"));
        assert_eq!(
            (ledger.annotations.quarantined, ledger.annotations.num_skipped()),
            (3, 1),
            "the repeated box is a skip"
        );
    }

    #[test]
    fn points_lie_in_the_picture_or_are_quarantined() {
        let point = |name: &str, at| MarkedPoint { name: name.into(), at, place: "line 1".into() };
        let marks = Boxes {
            points: vec![point("RBC", [50.0, 25.0]), point("RBC", [101.0, 1.0]), point("RBC", [f64::NAN, 1.0])],
            ..Boxes::none("a.txt", Frame::Unstated)
        };
        let mut ledger = Ledger::default();
        let marked = from_boxes(&rules(), &marks, SIZE, &mut ledger).unwrap();
        assert_eq!(marked.points.iter().map(Point::to_string).collect::<Vec<_>>(), ["[[0.5, 0.5]]"]);
        assert_eq!((marked.num_used, ledger.annotations.quarantined), (1, 2));
    }
}
