//! Text files that annotate images: Pascal VOC, COCO, YOLO, tables, questions and answers.

use super::files::{FileFacts, Holds, TextKind, split, stem};
use super::tables::{self, Table};
use super::{AnnotationKind, AnnotationSet};
use gmai_schema::Progress;
use quick_xml::Reader;
use quick_xml::events::Event;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Text files above this size are not looked into: annotations of a million images take less.
const MAX_TEXT_BYTES: u64 = 256 << 20;

/// Annotations with what the layout needs to know of them.
pub(super) struct Annotation {
    pub set: AnnotationSet,
    pub detail: Detail,
    /// Indices of the annotated images, sorted.
    pub images: BTreeSet<usize>,
}

/// What differs between kinds.
pub(super) enum Detail {
    /// One file per image, all in one folder and with one ending.
    PerImage {
        ending: String,
    },
    /// One file for many images.
    Coco,
    Table(Table),
    Questions(Keys),
}

/// Keys of a JSON list of questions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keys {
    pub image: String,
    pub question: String,
    pub answer: String,
}

/// Images by name and by name without ending.
pub(super) struct Images<'a> {
    files: &'a [FileFacts],
    by_name: BTreeMap<&'a str, Vec<usize>>,
    by_stem: BTreeMap<&'a str, Vec<usize>>,
}

impl<'a> Images<'a> {
    fn new(files: &'a [FileFacts]) -> Images<'a> {
        let mut images = Images { files, by_name: BTreeMap::new(), by_stem: BTreeMap::new() };
        for (index, file) in files.iter().enumerate() {
            if matches!(file.holds, Holds::Picture { .. } | Holds::Volume { .. } | Holds::Dicom) {
                images.by_name.entry(file.name()).or_default().push(index);
                images.by_stem.entry(file.stem()).or_default().push(index);
            }
        }
        images
    }

    /// The image called `name`, ending included (a path counts by its last part), near `folder`.
    pub(super) fn named(&self, name: &str, folder: &str) -> Option<usize> {
        self.nearest(self.by_name.get(split(name).1)?, folder)
    }

    /// The image called `name` without its ending, near `folder`.
    pub(super) fn with_stem(&self, name: &str, folder: &str) -> Option<usize> {
        self.nearest(self.by_stem.get(name)?, folder)
    }

    /// Of several images the one below `folder`, else below its parent; pictures rather than masks; then the first.
    fn nearest(&self, candidates: &[usize], folder: &str) -> Option<usize> {
        for scope in [folder, split(folder).0] {
            let inside = candidates.iter().copied().filter(|index| is_below(&self.files[*index].path, scope));
            let best = inside.min_by_key(|index| match self.files[*index].holds {
                Holds::Picture { mask_like, .. } => (mask_like, *index),
                _ => (false, *index),
            });
            if best.is_some() {
                return best;
            }
        }
        None
    }
}

/// Whether a path lies below a folder; everything lies below the empty one.
pub(super) fn is_below(path: &str, folder: &str) -> bool {
    folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// Looks into every text file.
pub(super) fn find(dir: &Path, files: &[FileFacts], on_progress: &mut dyn FnMut(Progress)) -> Vec<Annotation> {
    let images = Images::new(files);
    let texts: Vec<&FileFacts> =
        files.iter().filter(|file| matches!(file.holds, Holds::Text(_)) && file.bytes <= MAX_TEXT_BYTES).collect();
    let mut found = Vec::new();
    let mut per_image: BTreeMap<(AnnotationKind, String, String), Annotation> = BTreeMap::new();
    for (done, file) in texts.iter().enumerate() {
        if done % 64 == 0 || done + 1 == texts.len() {
            let (done, total) = (done as u64 + 1, texts.len() as u64);
            on_progress(Progress { phase: "look into annotations".to_owned(), done, total, note: String::new() });
        }
        let Ok(bytes) = std::fs::read(dir.join(&file.path)) else { continue };
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_start_matches('\u{feff}');
        match file.holds {
            Holds::Text(TextKind::Json) if labelme(text).is_some() => {
                merge(&mut per_image, file, AnnotationKind::LabelMe, labelme(text), &images);
            }
            Holds::Text(TextKind::Json) => {
                found.extend(coco(file, text, &images).or_else(|| questions(file, text, &images)))
            }
            Holds::Text(TextKind::Xml) => merge(&mut per_image, file, AnnotationKind::Voc, voc(text), &images),
            Holds::Text(TextKind::Plain) => match file.ending().to_lowercase().as_str() {
                ".txt" => {
                    let readings = [
                        (AnnotationKind::Yolo, yolo(text)),
                        (AnnotationKind::Kitti, kitti(text)),
                        (AnnotationKind::Points, points(text)),
                    ];
                    // A file has one kind: the first whose grammar all of its lines follow.
                    let first = readings.into_iter().find(|(_, classes)| classes.is_some());
                    if let Some((kind, classes)) = first {
                        merge(&mut per_image, file, kind, classes, &images);
                    }
                }
                ".csv" | ".tsv" => found.extend(table(file, text, &images)),
                _ => {}
            },
            _ => {}
        }
    }
    found.extend(per_image.into_values().filter(|annotation| !annotation.images.is_empty()));
    found.sort_by(|a, b| a.set.path.cmp(&b.set.path));
    found
}

/// Adds the class names of one file to those of its folder.
fn merge(
    all: &mut BTreeMap<(AnnotationKind, String, String), Annotation>,
    file: &FileFacts,
    kind: AnnotationKind,
    classes: Option<Vec<String>>,
    images: &Images,
) {
    let Some(classes) = classes else { return };
    let folder = file.folder().to_owned();
    let key = (kind, folder.clone(), file.ending().to_owned());
    let annotation = all.entry(key).or_insert_with(|| Annotation {
        set: AnnotationSet { path: folder, kind, files: 0, entries: 0, matched_images: 0, classes: BTreeMap::new() },
        detail: Detail::PerImage { ending: file.ending().to_owned() },
        images: BTreeSet::new(),
    });
    annotation.set.files += 1;
    annotation.set.entries += classes.len() as u64;
    for class in classes {
        *annotation.set.classes.entry(class).or_default() += 1;
    }
    if let Some(image) = images.with_stem(file.stem(), file.folder()) {
        annotation.images.insert(image);
        annotation.set.matched_images = annotation.images.len() as u64;
    }
}

/// The names of the objects of a VOC file; `None` when it is no such file.
fn voc(text: &str) -> Option<Vec<String>> {
    let mut reader = Reader::from_str(text);
    let mut open: Vec<String> = Vec::new();
    let mut names = Vec::new();
    let mut is_voc = false;
    loop {
        match reader.read_event().ok()? {
            Event::Eof => return is_voc.then_some(names),
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
fn yolo(text: &str) -> Option<Vec<String>> {
    let mut classes = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let mut words = line.split_whitespace();
        let class: u32 = words.next()?.parse().ok()?;
        let numbers: Vec<f64> = words.map(|word| word.parse().ok()).collect::<Option<_>>()?;
        let shape = numbers.len() == 4 || (numbers.len() >= 6 && numbers.len().is_multiple_of(2));
        if !shape || !numbers.iter().all(|number| (0.0..=1.0).contains(number)) {
            return None;
        }
        classes.push(class.to_string());
    }
    (!classes.is_empty()).then_some(classes)
}

/// The types of a KITTI file; `None` when a line is none of its: a name, then 14 or 15 numbers of which the fifth to eighth are edges.
fn kitti(text: &str) -> Option<Vec<String>> {
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
    (!classes.is_empty()).then_some(classes)
}

/// The classes of a file of points; `None` when a line is not two numbers from 0 and a whole number.
fn points(text: &str) -> Option<Vec<String>> {
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
    (!classes.is_empty()).then_some(classes)
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
}

/// The labels of a LabelMe file; `None` when it is no such file.
fn labelme(text: &str) -> Option<Vec<String>> {
    let file: LabelMeFile = serde_json::from_str(text).ok()?;
    Some(file.shapes.into_iter().map(|shape| shape.label).collect())
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
}

#[derive(Deserialize)]
struct CocoCategory {
    id: i64,
    name: String,
}

fn coco(file: &FileFacts, text: &str, images: &Images) -> Option<Annotation> {
    let content: CocoFile = serde_json::from_str(text).ok()?;
    let names: BTreeMap<i64, &str> =
        content.categories.iter().map(|category| (category.id, category.name.as_str())).collect();
    let mut classes: BTreeMap<String, u64> = BTreeMap::new();
    for annotation in &content.annotations {
        let name = names
            .get(&annotation.category_id)
            .map_or_else(|| format!("category {} without a name", annotation.category_id), |name| (*name).to_owned());
        *classes.entry(name).or_default() += 1;
    }
    let found: BTreeSet<usize> =
        content.images.iter().filter_map(|image| images.named(&image.file_name, file.folder())).collect();
    Some(Annotation {
        set: AnnotationSet {
            path: file.path.clone(),
            kind: AnnotationKind::Coco,
            files: 1,
            entries: content.annotations.len() as u64,
            matched_images: found.len() as u64,
            classes,
        },
        detail: Detail::Coco,
        images: found,
    })
}

type JsonObject = serde_json::Map<String, serde_json::Value>;

fn questions(file: &FileFacts, text: &str, images: &Images) -> Option<Annotation> {
    let list: Vec<JsonObject> = match serde_json::from_str(text) {
        Ok(list) => list,
        Err(_) => text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| serde_json::from_str(line).ok())
            .collect::<Option<_>>()?,
    };
    let first = list.first()?;
    let called = |word: &str| -> Option<String> {
        let exact = first.keys().find(|key| key.eq_ignore_ascii_case(word));
        exact.or_else(|| first.keys().find(|key| key.to_lowercase().contains(word))).cloned()
    };
    let image_of = |object: &JsonObject, key: &str| {
        let name = object.get(key)?.as_str()?;
        images.named(name, file.folder()).or_else(|| images.with_stem(name, file.folder()))
    };
    let matches = |key: &String| list.iter().filter(|object| image_of(object, key).is_some()).count();
    let image = first.keys().map(|key| (matches(key), key)).max_by_key(|(count, _)| *count);
    let image = image.filter(|(count, _)| *count > 0).map(|(_, key)| key.clone())?;
    let keys = Keys { image, question: called("question")?, answer: called("answer")? };
    let found: BTreeSet<usize> = list.iter().filter_map(|object| image_of(object, &keys.image)).collect();
    Some(Annotation {
        set: AnnotationSet {
            path: file.path.clone(),
            kind: AnnotationKind::QaJson,
            files: 1,
            entries: list.len() as u64,
            matched_images: found.len() as u64,
            classes: BTreeMap::new(),
        },
        detail: Detail::Questions(keys),
        images: found,
    })
}

fn table(file: &FileFacts, text: &str, images: &Images) -> Option<Annotation> {
    let table = tables::read(file, text, images)?;
    let mut classes = BTreeMap::new();
    for column in table.label_columns() {
        for (value, count) in &column.values {
            classes.insert(format!("{}: {value}", column.name), *count);
        }
    }
    let found = table.images.clone();
    Some(Annotation {
        set: AnnotationSet {
            path: file.path.clone(),
            kind: AnnotationKind::Table,
            files: 1,
            entries: table.num_rows,
            matched_images: found.len() as u64,
            classes,
        },
        detail: Detail::Table(table),
        images: found,
    })
}

/// The name of an image as a table or JSON file may write it: with or without its ending.
pub(super) fn find_image(images: &Images, name: &str, folder: &str, with_ending: bool) -> Option<usize> {
    if with_ending { images.named(name, folder) } else { images.with_stem(stem_if_path(name), folder) }
}

fn stem_if_path(name: &str) -> &str {
    if name.contains('/') { stem(split(name).1) } else { name }
}
