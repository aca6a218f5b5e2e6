//! Files of boxes, points and outlines, told by their grammar: Pascal VOC, YOLO, KITTI, points, LabelMe, COCO, stand-off spans.

use super::annotations::{Annotation, Detail, Images};
use super::files::FileFacts;
use super::{AnnotationKind, AnnotationSet};
use quick_xml::Reader;
use quick_xml::events::Event;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::{BTreeMap, BTreeSet};

/// What one file marks.
pub(super) struct Marked {
    /// A name per mark.
    pub classes: Vec<String>,
    /// How many of them have a drawn outline.
    pub outlines: u64,
}

impl Marked {
    fn boxes(classes: Vec<String>) -> Marked {
        Marked { classes, outlines: 0 }
    }
}

/// The names of the objects of a VOC file; `None` when it is no such file.
pub(super) fn voc(text: &str) -> Option<Marked> {
    let mut reader = Reader::from_str(text);
    let mut open: Vec<String> = Vec::new();
    let mut names = Vec::new();
    let mut is_voc = false;
    loop {
        match reader.read_event().ok()? {
            Event::Eof => return is_voc.then(|| Marked::boxes(names)),
            Event::Start(start) => {
                open.push(start.name().as_ref().to_owned());
                is_voc |= open == ["annotation", "object"] || open == ["annotation", "size"];
            }
            Event::End(_) => drop(open.pop()),
            Event::Text(name) if open == ["annotation", "object", "name"] => {
                names.push(name.xml10_content().trim().to_owned());
            }
            _ => {}
        }
    }
}

/// The class numbers of a YOLO file; `None` when a line is none of its.
pub(super) fn yolo(text: &str) -> Option<Marked> {
    let mut classes = Vec::new();
    let mut outlines = 0;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let mut words = line.split_whitespace();
        let class: u32 = words.next()?.parse().ok()?;
        let numbers: Vec<f64> = words.map(|word| word.parse().ok()).collect::<Option<_>>()?;
        let shape = numbers.len() == 4 || (numbers.len() >= 6 && numbers.len().is_multiple_of(2));
        if !shape || !numbers.iter().all(|number| (0.0..=1.0).contains(number)) {
            return None;
        }
        outlines += u64::from(numbers.len() > 4);
        classes.push(class.to_string());
    }
    (!classes.is_empty()).then_some(Marked { classes, outlines })
}

/// The types of a KITTI file; `None` when a line is none of its: a name, then 14 or 15 numbers of which the fifth to eighth are edges.
pub(super) fn kitti(text: &str) -> Option<Marked> {
    let mut classes = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (name, numbers) = words.split_first()?;
        let numbers: Vec<f64> = numbers.iter().map(|word| word.parse().ok()).collect::<Option<_>>()?;
        let has_edges = matches!(numbers.len(), 14 | 15) && numbers[3] <= numbers[5] && numbers[4] <= numbers[6];
        if name.parse::<f64>().is_ok() || !has_edges {
            return None;
        }
        classes.push((*name).to_owned());
    }
    (!classes.is_empty()).then(|| Marked::boxes(classes))
}

/// The classes of a file of points; `None` when a line is not two numbers from 0 and a whole number.
pub(super) fn points(text: &str) -> Option<Marked> {
    let mut classes = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [x, y, class] = words[..] else { return None };
        let is_place = |word: &str| word.parse::<f64>().is_ok_and(|number| number >= 0.0);
        if !is_place(x) || !is_place(y) || class.parse::<u32>().is_err() {
            return None;
        }
        classes.push(class.to_owned());
    }
    (!classes.is_empty()).then(|| Marked::boxes(classes))
}

/// The types of the spans of a BRAT file; `None` when a line is none of its: `T1<tab>TYPE 0 9<tab>text`.
pub(super) fn stand_off(text: &str) -> Option<Marked> {
    let mut classes = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let mut parts = line.split('\t');
        let id = parts.next()?;
        let is_id = id.len() > 1 && id[1..].bytes().all(|byte| byte.is_ascii_digit());
        if !is_id || !id.starts_with(['T', 'A', 'R', 'E', 'N', '#', 'M']) {
            return None;
        }
        if id.starts_with('T') {
            let mut words = parts.next()?.split_whitespace();
            let class = words.next()?;
            words.next()?.parse::<u64>().ok()?;
            classes.push(class.to_owned());
        }
    }
    (!classes.is_empty()).then(|| Marked::boxes(classes))
}

#[derive(Deserialize)]
struct LabelMeFile {
    shapes: Vec<LabelMeShape>,
}

#[derive(Deserialize)]
struct LabelMeShape {
    label: String,
    #[serde(rename = "points")]
    _points: Vec<[f64; 2]>,
    #[serde(default)]
    shape_type: String,
}

/// The labels of a LabelMe file; `None` when it is no such file.
pub(super) fn labelme(text: &str) -> Option<Marked> {
    let file: LabelMeFile = serde_json::from_str(text).ok()?;
    let is_outline = |shape: &&LabelMeShape| !matches!(shape.shape_type.as_str(), "rectangle" | "point");
    let outlines = file.shapes.iter().filter(is_outline).count() as u64;
    Some(Marked { classes: file.shapes.into_iter().map(|shape| shape.label).collect(), outlines })
}

#[derive(Deserialize)]
struct CocoFile {
    images: Vec<CocoImage>,
    annotations: Vec<CocoAnnotation>,
    categories: Vec<CocoCategory>,
}

#[derive(Deserialize)]
struct CocoImage {
    file_name: String,
}

#[derive(Deserialize)]
struct CocoAnnotation {
    category_id: i64,
    #[serde(default)]
    segmentation: Option<Outline>,
}

/// Polygons as lists, run lengths as an object.
#[derive(Deserialize)]
#[serde(untagged)]
enum Outline {
    Polygons(Vec<IgnoredAny>),
    RunLengths {
        #[serde(rename = "counts")]
        _counts: IgnoredAny,
    },
    Other(IgnoredAny),
}

#[derive(Deserialize)]
struct CocoCategory {
    id: i64,
    name: String,
}

pub(super) fn coco(file: &FileFacts, text: &str, images: &Images) -> Option<Annotation> {
    let content: CocoFile = serde_json::from_str(text).ok()?;
    let names: BTreeMap<i64, &str> =
        content.categories.iter().map(|category| (category.id, category.name.as_str())).collect();
    let mut classes: BTreeMap<String, u64> = BTreeMap::new();
    let mut outlines = 0;
    for annotation in &content.annotations {
        let name = names
            .get(&annotation.category_id)
            .map_or_else(|| format!("category {} without a name", annotation.category_id), |name| (*name).to_owned());
        *classes.entry(name).or_default() += 1;
        outlines += match &annotation.segmentation {
            Some(Outline::Polygons(polygons)) => u64::from(!polygons.is_empty()),
            Some(Outline::RunLengths { .. }) => 1,
            Some(Outline::Other(_)) | None => 0,
        };
    }
    let found: BTreeSet<usize> =
        content.images.iter().filter_map(|image| images.named(&image.file_name, file.folder())).collect();
    let mut set = AnnotationSet::new(file.path.clone(), AnnotationKind::Coco);
    set.entries = content.annotations.len() as u64;
    set.outlines = outlines;
    set.matched_images = found.len() as u64;
    set.classes = classes;
    Some(Annotation { set, detail: Detail::Coco, images: found })
}
