//! Which images belong together and how they are annotated. Each image goes to the first layout that explains it.
//!
//! `dicom_groups.rs`, `mask_groups.rs`, `class_groups.rs`, `text_groups.rs` and `joining.rs` add their layouts to the builder here.

use super::annotations::{Annotation, Detail};
use super::dicom::Catalogue;
use super::draft::SourceDraft;
use super::files::{FileFacts, common_folder, split};
use super::{AnnotationKind, Group, GroupFacts, Layout, ObjectFacts};
use gmai_imaging::Decoder;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use toml::Value;

/// Images whose pictures are shown, per group.
const MAX_SAMPLES: usize = 6;
/// Image folders written out one by one; more of them become `*`.
const MAX_FOLDERS: usize = 8;

/// A group while it is put together, with the indices of its images.
pub(super) struct Building {
    pub(super) group: Group,
    pub(super) images: BTreeSet<usize>,
    /// Mask pictures of each image, for the page.
    pub(super) masks: BTreeMap<usize, Vec<usize>>,
    /// Labels of single images, e.g. the class of their folder.
    pub(super) labels: BTreeMap<usize, Vec<String>>,
    /// What a table says of the patient and the official split.
    pub(super) patients: BTreeMap<usize, String>,
    pub(super) patient_column: Option<String>,
    pub(super) splits: BTreeMap<usize, &'static str>,
    /// Entries with an outline, and measurements.
    pub(super) outlines: u64,
    pub(super) measurements: u64,
    /// Reports that questions can be asked of without a picture.
    pub(super) askable: u64,
}

pub(super) struct Builder<'a> {
    pub(super) dir: &'a Path,
    pub(super) decoder: &'a Decoder,
    pub(super) files: &'a [FileFacts],
    pub(super) catalogue: &'a Catalogue,
    pub(super) objects: &'a [ObjectFacts],
    pub(super) taken: BTreeSet<usize>,
    pub(super) groups: Vec<Building>,
}

/// Sorts all images into groups, ordered by folder.
pub(super) fn groups(mut builder: Builder, annotations: &[Annotation]) -> Vec<Building> {
    builder.dicom();
    builder.coco(annotations);
    builder.per_image(annotations);
    builder.box_tables(annotations);
    builder.questions(annotations);
    builder.conversations(annotations);
    builder.instance_masks();
    builder.class_maps();
    builder.label_maps();
    builder.masks();
    builder.reports_with_images(annotations);
    builder.class_folders();
    builder.tables(annotations);
    builder.reports(annotations);
    builder.rest();
    let files = builder.files;
    let mut groups: Vec<Building> = builder.groups.into_iter().map(|building| building.finish(files)).collect();
    groups.sort_by(|a, b| (&a.group.folder, a.group.layout).cmp(&(&b.group.folder, b.group.layout)));
    groups
}

impl Building {
    fn finish(mut self, files: &[FileFacts]) -> Building {
        let group = &mut self.group;
        if group.layout == Layout::CsvLabels && group.draft.as_ref().is_some_and(|draft| draft.tables.is_empty()) {
            group.draft = None; // No table could be joined; the notes say why.
        }
        let images: Vec<usize> = self.images.iter().copied().collect();
        let count = images.len().min(MAX_SAMPLES);
        group.samples = (0..count).map(|sample| files[images[sample * images.len() / count]].path.clone()).collect();
        self
    }
}

/// A path below `folder`, relative to it.
pub(super) fn relative<'a>(path: &'a str, folder: &str) -> &'a str {
    if folder.is_empty() { path } else { path.strip_prefix(folder).map_or(path, |rest| rest.trim_start_matches('/')) }
}

pub(super) fn joined(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// Whether a path can stand in a pattern as it is.
pub(super) fn is_plain(path: &str) -> bool {
    !path.contains(['{', '}', '*'])
}

pub(super) fn list(patterns: Vec<String>) -> Value {
    Value::Array(patterns.into_iter().map(Value::String).collect())
}

pub(super) fn word(text: impl Into<String>) -> Value {
    Value::String(text.into())
}

impl Builder<'_> {
    /// A group without draft; images count as taken.
    pub(super) fn start(&mut self, folder: String, layout: Layout, images: BTreeSet<usize>, annotated: usize) -> usize {
        self.taken.extend(&images);
        let group = Group {
            folder,
            layout,
            images: images.len() as u64,
            annotated: annotated as u64,
            entries: 0,
            classes: BTreeMap::new(),
            facts: GroupFacts::default(),
            forms: Vec::new(),
            uses: Vec::new(),
            notes: Vec::new(),
            draft: None,
            samples: Vec::new(),
            thumbnails: Vec::new(),
            legend: BTreeMap::new(),
        };
        self.groups.push(Building {
            group,
            images,
            masks: BTreeMap::new(),
            labels: BTreeMap::new(),
            patients: BTreeMap::new(),
            patient_column: None,
            splits: BTreeMap::new(),
            outlines: 0,
            measurements: 0,
            askable: 0,
        });
        self.groups.len() - 1
    }

    pub(super) fn common(&self, indices: &BTreeSet<usize>) -> String {
        common_folder(self.paths(indices))
    }

    pub(super) fn paths(&self, indices: &BTreeSet<usize>) -> impl Iterator<Item = &str> {
        indices.iter().map(|index| self.files[*index].path.as_str())
    }

    pub(super) fn free(&self, images: &BTreeSet<usize>) -> BTreeSet<usize> {
        images.difference(&self.taken).copied().collect()
    }

    /// Patterns that match images by folder and ending: `images/{stem}.png`.
    pub(super) fn patterns(&self, images: &BTreeSet<usize>, root: &str) -> Vec<String> {
        self.patterns_of_cases(images, root, None)
    }

    /// The same, where the folder at a level below the root names the case: `{case}/ct/{stem}.dcm`.
    pub(super) fn patterns_of_cases(&self, images: &BTreeSet<usize>, root: &str, case: Option<usize>) -> Vec<String> {
        let places: BTreeSet<(&str, &str)> = images
            .iter()
            .map(|index| &self.files[*index])
            .map(|file| (relative(file.folder(), root), file.ending()))
            .collect();
        let folders: BTreeSet<&str> = places.iter().map(|(folder, _)| *folder).collect();
        let general = folders.len() > MAX_FOLDERS || !folders.iter().all(|folder| is_plain(folder));
        let part = |(level, name): (usize, &str)| match (Some(level) == case, general) {
            (true, _) => "{case}/".to_owned(),
            (false, true) => "*/".to_owned(),
            (false, false) => format!("{name}/"),
        };
        let patterns: BTreeSet<String> = places
            .into_iter()
            .map(|(folder, ending)| {
                let parts = folder.split('/').filter(|name| !name.is_empty()).enumerate();
                format!("{}{{stem}}{ending}", parts.map(part).collect::<String>())
            })
            .collect();
        patterns.into_iter().collect()
    }

    fn coco(&mut self, annotations: &[Annotation]) {
        let mut by_place: BTreeMap<String, Vec<&Annotation>> = BTreeMap::new();
        for annotation in annotations.iter().filter(|annotation| matches!(annotation.detail, Detail::Coco)) {
            // `train/x.json` and `valid/x.json` are parts of one set.
            let (folder, name) = split(&annotation.set.path);
            let others = annotations.iter().filter(|other| matches!(other.detail, Detail::Coco));
            let parts = others.filter(|other| {
                split(split(&other.set.path).0).0 == split(folder).0 && split(&other.set.path).1 == name
            });
            let place = if parts.count() > 1 { split(folder).0 } else { folder };
            by_place.entry(place.to_owned()).or_default().push(annotation);
        }
        for (place, parts) in by_place {
            let images = self.free(&parts.iter().flat_map(|part| part.images.iter().copied()).collect());
            if images.is_empty() {
                continue;
            }
            let root = {
                let files = parts.iter().map(|part| part.set.path.as_str());
                let all = common_folder(self.paths(&images).chain(files));
                if place.is_empty() || !all.starts_with(&place) { all } else { place }
            };
            let files = parts.iter().map(|part| relative(&part.set.path, &root).to_owned()).collect();
            let mut kind = vec![("images", list(self.patterns(&images, &root))), ("annotations", list(files))];
            if let Some(folder) = self.image_folder(&images, &parts, &root) {
                kind.push(("image_folder", word(folder)));
            }
            self.boxes(root, Layout::Coco, images, &parts, kind);
        }
    }

    /// The folder that one COCO file's paths are relative to, where it is not the file's own.
    fn image_folder(&self, images: &BTreeSet<usize>, parts: &[&Annotation], root: &str) -> Option<String> {
        let [part] = parts else { return None };
        let folder = self.folder_of_names(part, images, root).unwrap_or_default();
        (folder != relative(split(&part.set.path).0, root)).then_some(folder)
    }

    /// Boxes with one annotation file per image: VOC, YOLO, KITTI, LabelMe, points.
    fn per_image(&mut self, annotations: &[Annotation]) {
        for annotation in annotations {
            let Detail::PerImage { ending } = &annotation.detail else { continue };
            let (layout, key) = match annotation.set.kind {
                AnnotationKind::Yolo => (Layout::Yolo, "labels"),
                AnnotationKind::Kitti => (Layout::Kitti, "labels"),
                AnnotationKind::Points => (Layout::Points, "labels"),
                AnnotationKind::LabelMe => (Layout::LabelMe, "annotations"),
                AnnotationKind::Voc => (Layout::Voc, "annotations"),
                _ => continue,
            };
            let images = self.free(&annotation.images);
            if images.is_empty() {
                continue;
            }
            let first = joined(&annotation.set.path, "x");
            let root = common_folder(self.paths(&images).chain([first.as_str()]));
            let pattern = joined(relative(&annotation.set.path, &root), &format!("{{stem}}{ending}"));
            let kind = vec![("images", list(self.patterns(&images, &root))), (key, word(pattern))];
            self.boxes(root, layout, images, &[annotation], kind);
        }
    }

    pub(super) fn boxes(
        &mut self,
        root: String,
        layout: Layout,
        images: BTreeSet<usize>,
        parts: &[&Annotation],
        kind: Vec<(&'static str, Value)>,
    ) -> usize {
        let annotated = images.len();
        let at = self.start(root, layout, images, annotated);
        let building = &mut self.groups[at];
        for part in parts {
            building.group.entries += part.set.entries;
            building.outlines += part.set.outlines;
            for (class, count) in &part.set.classes {
                *building.group.classes.entry(class.clone()).or_default() += count;
            }
        }
        let region_terms: Vec<String> = building.group.classes.keys().cloned().collect();
        let draft = SourceDraft { kind, region_terms, ..SourceDraft::default() };
        building.group.draft = (!draft.region_terms.is_empty()).then_some(draft);
        at
    }

    fn questions(&mut self, annotations: &[Annotation]) {
        for annotation in annotations {
            let Detail::Questions(keys) = &annotation.detail else { continue };
            let images = self.free(&annotation.images);
            if images.is_empty() {
                continue;
            }
            let root = common_folder(self.paths(&images).chain([annotation.set.path.as_str()]));
            let image_folder = relative(&self.common(&images), &root).to_owned();
            let mut kind = vec![
                ("images", list(self.patterns(&images, &root))),
                ("files", list(vec![relative(&annotation.set.path, &root).to_owned()])),
                ("image_key", word(&keys.image)),
                ("question_key", word(&keys.question)),
                ("answer_key", word(&keys.answer)),
                ("language", word("en")),
            ];
            if !image_folder.is_empty() {
                kind.push(("image_folder", word(image_folder)));
            }
            let annotated = images.len();
            let at = self.start(root, Layout::QaJson, images, annotated);
            let group = &mut self.groups[at].group;
            group.entries = annotation.set.entries;
            group.notes.push(format!("{} questions; their language is taken for English", annotation.set.entries));
            group.draft = Some(SourceDraft { kind, ..SourceDraft::default() });
        }
    }
}
