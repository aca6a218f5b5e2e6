//! Files that annotate images, or are texts of their own: told by content, and matched with the images that they name.

use super::boxes::{self, Marked};
use super::files::{FileFacts, Holds, TextKind, split, stem};
use super::tables::{self, Table};
use super::texts::{self, Keys};
use super::{AnnotationKind, AnnotationSet, FileNote};
use crate::inventory::dicom::Catalogue;
use gmai_schema::Progress;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Text files above this size are not looked into: annotations of a million images take less.
const MAX_TEXT_BYTES: u64 = 256 << 20;
/// Files of one image or one report are never larger.
const MAX_SINGLE_BYTES: u64 = 4 << 20;

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
    Table(Box<Table>),
    Questions(Keys),
    Conversations,
    /// Report files of one folder and ending, their indices, and those that are about the image of the same name.
    Reports {
        ending: String,
        files: Vec<usize>,
        patients: BTreeSet<String>,
    },
}

/// All annotations, and the files that look like some and cannot be read.
#[derive(Default)]
pub(super) struct Found {
    pub annotations: Vec<Annotation>,
    pub broken: Vec<FileNote>,
}

/// Images by name and by name without ending.
pub(super) struct Images<'a> {
    pub(super) files: &'a [FileFacts],
    by_name: BTreeMap<&'a str, Vec<usize>>,
    by_stem: BTreeMap<&'a str, Vec<usize>>,
}

impl<'a> Images<'a> {
    fn new(files: &'a [FileFacts]) -> Images<'a> {
        let mut images = Images { files, by_name: BTreeMap::new(), by_stem: BTreeMap::new() };
        for (index, file) in files.iter().enumerate().filter(|(_, file)| file.is_image()) {
            images.by_name.entry(file.name()).or_default().push(index);
            images.by_stem.entry(file.stem()).or_default().push(index);
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
            let best = inside.min_by_key(|index| match self.files[*index].picture() {
                Some(picture) => (picture.mask_like, *index),
                None => (false, *index),
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
pub(super) fn find(
    dir: &Path,
    files: &[FileFacts],
    catalogue: &Catalogue,
    on_progress: &mut dyn FnMut(Progress),
) -> Found {
    let images = Images::new(files);
    let mut search = Search { dir, images: &images, catalogue, found: Found::default(), per_image: BTreeMap::new() };
    let texts: Vec<usize> = (0..files.len())
        .filter(|index| matches!(files[*index].holds, Holds::Text(_)) && files[*index].bytes <= MAX_TEXT_BYTES)
        .collect();
    for (done, index) in texts.iter().enumerate() {
        if done % 64 == 0 || done + 1 == texts.len() {
            let (done, total) = (done as u64 + 1, texts.len() as u64);
            on_progress(Progress { phase: "look into annotations".to_owned(), done, total, note: String::new() });
        }
        let file = &files[*index];
        let Ok(bytes) = std::fs::read(dir.join(&file.path)) else { continue };
        let text = String::from_utf8_lossy(&bytes);
        search.look(*index, text.trim_start_matches('\u{feff}'));
    }
    search.finish()
}

/// Annotations of one kind with a file per image: kind, folder and ending.
type PerImage = BTreeMap<(AnnotationKind, String, String), Annotation>;

struct Search<'a> {
    dir: &'a Path,
    images: &'a Images<'a>,
    catalogue: &'a Catalogue,
    found: Found,
    per_image: PerImage,
}

impl Search<'_> {
    fn look(&mut self, index: usize, text: &str) {
        let file = &self.images.files[index];
        match file.holds {
            Holds::Text(TextKind::Json) => self.json(index, text),
            Holds::Text(TextKind::Xml) => {
                if let Some(marked) = boxes::voc(text) {
                    self.merge(file, AnnotationKind::Voc, marked);
                } else if let Some(kind) = texts::kind_of_xml(text) {
                    self.reports(index, kind, text);
                } else if file.ending().eq_ignore_ascii_case(".xml") && text.contains("<annotation") {
                    let reason =
                        "looks like a Pascal VOC file, and is not well-formed XML or names no object".to_owned();
                    self.found.broken.push(FileNote { path: file.path.clone(), reason });
                }
            }
            Holds::Text(TextKind::Plain) => self.plain(index, text),
            _ => {}
        }
    }

    fn json(&mut self, index: usize, text: &str) {
        let file = &self.images.files[index];
        if file.bytes <= MAX_SINGLE_BYTES
            && let Some(marked) = boxes::labelme(text)
        {
            return self.merge(file, AnnotationKind::LabelMe, marked);
        }
        if texts::is_fhir(text) {
            return self.reports(index, AnnotationKind::Fhir, text);
        }
        let whole = boxes::coco(file, text, self.images)
            .or_else(|| texts::conversations(file, text, self.images))
            .or_else(|| texts::questions(file, text, self.images))
            .or_else(|| tables::read(self.dir, file, text, self.images, self.catalogue));
        if whole.is_none() && serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() && !texts::is_lines(text) {
            let reason = "begins like JSON and is none: it may be cut off; copy it again".to_owned();
            self.found.broken.push(FileNote { path: file.path.clone(), reason });
        }
        self.found.annotations.extend(whole);
    }

    fn plain(&mut self, index: usize, text: &str) {
        let file = &self.images.files[index];
        if texts::is_hl7(text) {
            return self.reports(index, AnnotationKind::Hl7v2, text);
        }
        match file.ending().to_lowercase().as_str() {
            ".csv" | ".tsv" | ".tab" => {
                self.found.annotations.extend(tables::read(self.dir, file, text, self.images, self.catalogue));
            }
            ".ann" => {
                if let Some(marked) = boxes::stand_off(text) {
                    self.merge(file, AnnotationKind::StandOff, marked);
                }
            }
            ".txt" | ".text" | ".rpt" | ".rep" if file.bytes <= MAX_SINGLE_BYTES => {
                type Reading = fn(&str) -> Option<Marked>;
                let readings: [(AnnotationKind, Reading); 3] = [
                    (AnnotationKind::Yolo, boxes::yolo),
                    (AnnotationKind::Kitti, boxes::kitti),
                    (AnnotationKind::Points, boxes::points),
                ];
                // A file has one kind: the first whose grammar all of its lines follow.
                let first = readings.into_iter().find_map(|(kind, read)| Some((kind, read(text)?)));
                if let Some((kind, marked)) = first {
                    self.merge(file, kind, marked);
                } else if texts::is_prose(file, text) {
                    self.reports(index, AnnotationKind::TextReport, text);
                }
            }
            _ => {}
        }
    }

    /// Adds what one file marks to that of its folder.
    fn merge(&mut self, file: &FileFacts, kind: AnnotationKind, marked: Marked) {
        let annotation = self.per_image(file, kind, Detail::PerImage { ending: file.ending().to_owned() });
        annotation.set.files += 1;
        annotation.set.entries += marked.classes.len() as u64;
        annotation.set.outlines += marked.outlines;
        for class in marked.classes {
            *annotation.set.classes.entry(class).or_default() += 1;
        }
        self.match_image(file, kind);
    }

    fn per_image(&mut self, file: &FileFacts, kind: AnnotationKind, detail: Detail) -> &mut Annotation {
        let folder = file.folder().to_owned();
        let key = (kind, folder.clone(), file.ending().to_owned());
        self.per_image.entry(key).or_insert_with(|| {
            let set = AnnotationSet { files: 0, ..AnnotationSet::new(folder, kind) };
            Annotation { set, detail, images: BTreeSet::new() }
        })
    }

    fn match_image(&mut self, file: &FileFacts, kind: AnnotationKind) {
        let Some(image) = self.images.with_stem(file.stem(), file.folder()) else { return };
        let key = (kind, file.folder().to_owned(), file.ending().to_owned());
        if let Some(annotation) = self.per_image.get_mut(&key) {
            annotation.images.insert(image);
            annotation.set.matched_images = annotation.images.len() as u64;
        }
    }

    /// Adds a report file to those of its folder.
    fn reports(&mut self, index: usize, kind: AnnotationKind, text: &str) {
        let file = &self.images.files[index];
        let holding = match texts::report(kind, &file.path, text) {
            Ok(holding) => holding,
            Err(reason) => return self.found.broken.push(FileNote { path: file.path.clone(), reason }),
        };
        let detail = Detail::Reports { ending: file.ending().to_owned(), files: Vec::new(), patients: BTreeSet::new() };
        let annotation = self.per_image(file, kind, detail);
        annotation.set.files += 1;
        annotation.set.entries += holding.reports;
        annotation.set.measurements += holding.measurements;
        annotation.set.askable += holding.askable;
        for section in holding.sections {
            *annotation.set.classes.entry(section).or_default() += 1;
        }
        if let Detail::Reports { files, patients, .. } = &mut annotation.detail {
            files.push(index);
            patients.extend(holding.patients);
        }
        self.match_image(file, kind);
    }

    fn finish(self) -> Found {
        let mut found = self.found;
        let is_shown = |annotation: &Annotation| match &annotation.detail {
            Detail::Reports { files, .. } => {
                annotation.set.kind != AnnotationKind::TextReport
                    || !annotation.images.is_empty()
                    || files.len() >= texts::MIN_PROSE_FILES
                    || !annotation.set.classes.is_empty()
            }
            _ => !annotation.images.is_empty() || annotation.set.kind == AnnotationKind::StandOff,
        };
        found.annotations.extend(self.per_image.into_values().filter(is_shown));
        found.annotations.sort_by(|a, b| a.set.path.cmp(&b.set.path).then(a.set.kind.cmp(&b.set.kind)));
        found
    }
}

/// The name of an image as a table or JSON file may write it: with or without its ending.
pub(super) fn find_image(images: &Images, name: &str, folder: &str, with_ending: bool) -> Option<usize> {
    if with_ending { images.named(name, folder) } else { images.with_stem(stem_if_path(name), folder) }
}

fn stem_if_path(name: &str) -> &str {
    if name.contains('/') { stem(split(name).1) } else { name }
}
