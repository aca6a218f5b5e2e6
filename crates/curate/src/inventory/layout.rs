//! Which images belong together and how they are annotated. Each image goes to the first layout that explains it.

use super::annotations::{Annotation, Detail, is_below};
use super::draft::{AttributeDraft, SourceDraft};
use super::files::{FileFacts, Holds, Survey, common_folder, split};
use super::pairing::{self, Pairs};
use super::{AnnotationKind, Group, Layout};
use gmai_imaging::Decoder;
use gmai_schema::Form;
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
}

pub(super) struct Builder<'a> {
    dir: &'a Path,
    decoder: &'a Decoder,
    pub(super) files: &'a [FileFacts],
    taken: BTreeSet<usize>,
    pub(super) groups: Vec<Building>,
}

/// Sorts all images into groups.
pub(super) fn groups(
    dir: &Path,
    decoder: &Decoder,
    files: &[FileFacts],
    survey: &Survey,
    annotations: &[Annotation],
) -> Vec<Group> {
    let mut builder = Builder { dir, decoder, files, taken: BTreeSet::new(), groups: Vec::new() };
    builder.dicom(survey);
    builder.coco(annotations);
    builder.per_image(annotations);
    builder.questions(annotations);
    builder.instance_masks();
    builder.label_maps();
    builder.masks();
    builder.class_folders();
    builder.tables(annotations);
    builder.rest();
    let mut groups: Vec<Group> = builder.groups.into_iter().map(|building| building.finish(files)).collect();
    groups.sort_by(|a, b| a.folder.cmp(&b.folder).then_with(|| a.layout.cmp(&b.layout)));
    groups
}

impl Building {
    /// Adds what follows from the draft.
    fn finish(self, files: &[FileFacts]) -> Group {
        let mut group = self.group;
        if group.layout == Layout::CsvLabels && group.draft.as_ref().is_some_and(|draft| draft.tables.is_empty()) {
            group.draft = None; // No table could be joined; the notes say why.
        }
        let images: Vec<usize> = self.images.into_iter().collect();
        let count = images.len().min(MAX_SAMPLES);
        group.samples = (0..count).map(|sample| files[images[sample * images.len() / count]].path.clone()).collect();
        group.forms = forms(&group);
        group
    }
}

/// The forms of pair that a group's annotation supports.
fn forms(group: &Group) -> Vec<Form> {
    let Some(draft) = &group.draft else { return Vec::new() };
    let labels = !draft.attributes.is_empty();
    let regions = !draft.region_terms.is_empty();
    let known = labels || draft.header_modality;
    let supported = |form: &Form| match form {
        Form::ImageCaption => known || regions || draft.report.is_some(),
        Form::RegionCaption | Form::Perception => regions,
        Form::Instruction => known || regions || group.layout == Layout::QaJson,
        Form::Conversation => draft.attributes.len() + usize::from(draft.header_modality) + usize::from(regions) > 1,
        Form::MultipleChoice => known || draft.region_terms.len() > 1,
    };
    Form::ALL.into_iter().filter(supported).collect()
}

/// A path below `folder`, relative to it.
pub(super) fn relative<'a>(path: &'a str, folder: &str) -> &'a str {
    if folder.is_empty() { path } else { path.strip_prefix(folder).map_or(path, |rest| rest.trim_start_matches('/')) }
}

fn joined(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// Whether a path can stand in a pattern as it is.
fn is_plain(path: &str) -> bool {
    !path.contains(['{', '}', '*'])
}

pub(super) fn list(patterns: Vec<String>) -> Value {
    Value::Array(patterns.into_iter().map(Value::String).collect())
}

fn word(text: impl Into<String>) -> Value {
    Value::String(text.into())
}

impl Builder<'_> {
    /// A group without draft; images count as taken.
    pub(super) fn start(&mut self, folder: String, layout: Layout, images: BTreeSet<usize>, annotated: usize) -> usize {
        self.taken.extend(&images);
        self.groups.push(Building {
            group: Group {
                folder,
                layout,
                images: images.len() as u64,
                annotated: annotated as u64,
                classes: BTreeMap::new(),
                modality: None,
                forms: Vec::new(),
                notes: Vec::new(),
                draft: None,
                samples: Vec::new(),
                thumbnails: Vec::new(),
            },
            images,
        });
        self.groups.len() - 1
    }

    fn common(&self, indices: &BTreeSet<usize>) -> String {
        common_folder(indices.iter().map(|index| self.files[*index].path.as_str()))
    }

    pub(super) fn free(&self, images: &BTreeSet<usize>) -> BTreeSet<usize> {
        images.difference(&self.taken).copied().collect()
    }

    /// Patterns that match images by folder and ending: `images/{stem}.png`.
    pub(super) fn patterns(&self, images: &BTreeSet<usize>, root: &str) -> Vec<String> {
        let places: BTreeSet<(&str, &str)> = images
            .iter()
            .map(|index| &self.files[*index])
            .map(|file| (relative(file.folder(), root), file.ending()))
            .collect();
        let folders: BTreeSet<&str> = places.iter().map(|(folder, _)| *folder).collect();
        let general = folders.len() > MAX_FOLDERS || !folders.iter().all(|folder| is_plain(folder));
        let patterns: BTreeSet<String> = places
            .into_iter()
            .map(|(folder, ending)| {
                let folder = match (folder.is_empty(), general) {
                    (true, _) => String::new(),
                    (false, false) => format!("{folder}/"),
                    (false, true) => "*/".repeat(folder.split('/').count()),
                };
                format!("{folder}{{stem}}{ending}")
            })
            .collect();
        patterns.into_iter().collect()
    }

    fn dicom(&mut self, survey: &Survey) {
        let mut by_top: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, (_, paths)) in survey.series.iter().enumerate() {
            let top = paths.first().and_then(|path| path.split_once('/')).map_or("", |(top, _)| top);
            by_top.entry(top).or_default().push(index);
        }
        let position: BTreeMap<&str, usize> =
            self.files.iter().enumerate().map(|(index, file)| (file.path.as_str(), index)).collect();
        for series in by_top.into_values() {
            let paths = || series.iter().flat_map(|index| &survey.series[*index].1);
            let images: BTreeSet<usize> = paths().filter_map(|path| position.get(path.as_str()).copied()).collect();
            let folder = self.common(&images);
            let modalities: BTreeSet<_> = series.iter().map(|index| survey.series[*index].0.modality).collect();
            let patterns: Vec<String> =
                self.patterns(&images, &folder).into_iter().map(|pattern| pattern.replace("{stem}", "*")).collect();
            let identified = series.iter().all(|index| survey.series[*index].0.patient.is_some());
            let at = self.start(folder, Layout::DicomSeries, images, 0);
            let group = &mut self.groups[at].group;
            group.modality = if modalities.len() == 1 { modalities.first().copied().flatten() } else { None };
            group.notes.push(format!("{} series; headers tell the modality where it is known", series.len()));
            group.draft = Some(SourceDraft {
                kind: vec![("files", list(patterns))],
                header_modality: modalities.iter().any(Option::is_some),
                patient: identified.then(|| "PatientID".to_owned()),
                ..SourceDraft::default()
            });
        }
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
            let all = common_folder(
                images
                    .iter()
                    .map(|index| self.files[*index].path.as_str())
                    .chain(parts.iter().map(|part| part.set.path.as_str())),
            );
            let root = if place.is_empty() { all } else { place };
            let files = parts.iter().map(|part| relative(&part.set.path, &root).to_owned()).collect();
            let kind = vec![("images", list(self.patterns(&images, &root))), ("annotations", list(files))];
            self.boxes(root, Layout::Coco, images, &parts, kind);
        }
    }

    /// Boxes with one annotation file per image: VOC, YOLO, KITTI, LabelMe, points.
    fn per_image(&mut self, annotations: &[Annotation]) {
        for annotation in annotations {
            let Detail::PerImage { ending } = &annotation.detail else { continue };
            let images = self.free(&annotation.images);
            if images.is_empty() {
                continue;
            }
            let (layout, key) = match annotation.set.kind {
                AnnotationKind::Yolo => (Layout::Yolo, "labels"),
                AnnotationKind::Kitti => (Layout::Kitti, "labels"),
                AnnotationKind::Points => (Layout::Points, "labels"),
                AnnotationKind::LabelMe => (Layout::LabelMe, "annotations"),
                _ => (Layout::Voc, "annotations"),
            };
            let first = joined(&annotation.set.path, "x");
            let paths = images.iter().map(|index| self.files[*index].path.as_str());
            let root = common_folder(paths.chain([first.as_str()]));
            let pattern = joined(relative(&annotation.set.path, &root), &format!("{{stem}}{ending}"));
            let kind = vec![("images", list(self.patterns(&images, &root))), (key, word(pattern))];
            self.boxes(root, layout, images, &[annotation], kind);
        }
    }

    fn boxes(
        &mut self,
        root: String,
        layout: Layout,
        images: BTreeSet<usize>,
        parts: &[&Annotation],
        kind: Vec<(&'static str, Value)>,
    ) {
        let annotated = images.len();
        let at = self.start(root, layout, images, annotated);
        let group = &mut self.groups[at].group;
        for part in parts {
            for (class, count) in &part.set.classes {
                *group.classes.entry(class.clone()).or_default() += count;
            }
        }
        let region_terms: Vec<String> = group.classes.keys().cloned().collect();
        group.draft = Some(SourceDraft { kind, region_terms, ..SourceDraft::default() });
    }

    fn questions(&mut self, annotations: &[Annotation]) {
        for annotation in annotations {
            let Detail::Questions(keys) = &annotation.detail else { continue };
            let images = self.free(&annotation.images);
            if images.is_empty() {
                continue;
            }
            let paths = images.iter().map(|index| self.files[*index].path.as_str());
            let root = common_folder(paths.chain([annotation.set.path.as_str()]));
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
            group.notes.push(format!("{} questions; their language is taken for English", annotation.set.entries));
            group.draft = Some(SourceDraft { kind, ..SourceDraft::default() });
        }
    }

    fn instance_masks(&mut self) {
        for found in pairing::instance_folders(self.files, &self.taken) {
            let endings = |indices: &BTreeSet<usize>| -> BTreeSet<&str> {
                indices.iter().map(|index| self.files[*index].ending()).collect()
            };
            let images = endings(&found.images)
                .into_iter()
                .map(|ending| format!("{{case}}/{}/{{stem}}{ending}", found.image_folder));
            let kind =
                vec![("images", list(images.collect())), ("masks", word(format!("{{case}}/{}/*", found.mask_folder)))];
            let num_masks = found.masks.len();
            self.taken.extend(&found.masks);
            let annotated = found.images.len();
            let at = self.start(found.root, Layout::InstanceMasks, found.images, annotated);
            let group = &mut self.groups[at].group;
            group.classes.insert("instance".to_owned(), num_masks as u64);
            group.draft =
                Some(SourceDraft { kind, region_terms: vec!["instance".to_owned()], ..SourceDraft::default() });
        }
    }

    fn label_maps(&mut self) {
        for found in pairing::volumes(self.files, &self.taken) {
            let images = self.free(&found.images());
            if images.is_empty() {
                continue;
            }
            let mut classes: BTreeMap<String, u64> = BTreeMap::new();
            let mut notes = Vec::new();
            for (_, label) in &found.pairs {
                match self.decoder.read_label_map(&self.dir.join(&self.files[*label].path)) {
                    Ok(map) => {
                        let present = map.class_sizes().into_keys().filter(|class| *class > 0);
                        present.for_each(|class| *classes.entry(class.to_string()).or_default() += 1);
                    }
                    Err(error) => notes.push(format!("not a label map: {error}")),
                }
            }
            let kind = |root: &str| {
                let pattern = |folder: &str, suffix: &str, ending: &str| {
                    joined(relative(folder, root), &format!("{{stem}}{suffix}{ending}"))
                };
                vec![
                    ("volumes", word(pattern(&found.image_folder, "", &found.image_ending))),
                    ("labels", word(pattern(&found.mask_folder, &found.suffix, &found.mask_ending))),
                    ("instances", word("whole")),
                ]
            };
            self.paired(&found, Layout::NiftiLabelMap, images, classes, notes, &kind);
        }
    }

    fn masks(&mut self) {
        for found in pairing::pictures(self.files, &self.taken) {
            let images = self.free(&found.images());
            if images.is_empty() {
                let at = self.groups.iter().position(|building| found.images().is_subset(&building.images));
                if let Some(at) = at {
                    let note = format!(
                        "more masks of the same pictures: names end in `{}{}`",
                        found.suffix, found.mask_ending
                    );
                    self.groups[at].group.notes.push(note);
                    self.taken.extend(found.pairs.iter().map(|pair| pair.1));
                }
                continue;
            }
            let Some(end) = found.telling_end(self.files) else {
                self.untold(&found, images);
                continue;
            };
            let classes = BTreeMap::from([("mask".to_owned(), images.len() as u64)]);
            let notes = vec![
                "each connected part of a mask becomes a box; set instances = \"whole\" for one box around all"
                    .to_owned(),
            ];
            let kind = |root: &str| {
                let image =
                    joined(relative(&found.image_folder, root), &format!("{{stem}}{end}{}", found.image_ending));
                let mask = format!("{{stem}}{end}{}{}", found.suffix, found.mask_ending);
                vec![
                    ("images", word(image)),
                    ("masks", word(joined(relative(&found.mask_folder, root), &mask))),
                    ("instances", word("components")),
                ]
            };
            self.paired(&found, Layout::MaskBeside, images, classes, notes, &kind);
        }
    }

    /// Images and masks of one folder that no pattern tells apart.
    fn untold(&mut self, found: &Pairs, images: BTreeSet<usize>) {
        self.taken.extend(found.pairs.iter().map(|pair| pair.1));
        let annotated = images.len();
        let at = self.start(found.image_folder.clone(), Layout::MaskBeside, images, annotated);
        let note = format!(
            "masks lie beside the pictures with names ending in `{}{}`; move them to a folder of their own, so that a pattern can tell them apart",
            found.suffix, found.mask_ending
        );
        self.groups[at].group.notes.push(note);
    }

    fn paired(
        &mut self,
        found: &Pairs,
        layout: Layout,
        images: BTreeSet<usize>,
        classes: BTreeMap<String, u64>,
        notes: Vec<String>,
        kind: &dyn Fn(&str) -> Vec<(&'static str, Value)>,
    ) {
        let (image, mask) = (joined(&found.image_folder, "x"), joined(&found.mask_folder, "x"));
        let root = common_folder([image.as_str(), mask.as_str()].into_iter());
        self.taken.extend(found.pairs.iter().map(|pair| pair.1));
        let plain = is_plain(&found.image_folder) && is_plain(&found.mask_folder) && is_plain(&found.suffix);
        let draft = SourceDraft {
            kind: kind(&root),
            region_terms: classes.keys().cloned().collect(),
            ..SourceDraft::default()
        };
        let annotated = images.len();
        let at = self.start(root, layout, images, annotated);
        let group = &mut self.groups[at].group;
        group.draft = (plain && !classes.is_empty()).then_some(draft);
        group.classes = classes;
        group.notes = notes;
    }

    fn class_folders(&mut self) {
        let mut by_parent: BTreeMap<&str, BTreeMap<&str, BTreeSet<usize>>> = BTreeMap::new();
        let mut free: Vec<usize> = Vec::new();
        for (index, file) in self.files.iter().enumerate() {
            if file.is_picture() && !self.taken.contains(&index) && !file.folder().is_empty() {
                let (parent, class) = split(file.folder());
                by_parent.entry(parent).or_default().entry(class).or_default().insert(index);
                free.push(index);
            }
        }
        for (parent, classes) in by_parent {
            let images: BTreeSet<usize> = classes.values().flatten().copied().collect();
            let below = free.iter().filter(|index| is_below(&self.files[**index].path, parent)).count();
            let all_here = images.len() as f64 >= MIN_CLASS_SHARE * below as f64;
            if classes.len() < 2 || !all_here || classes.keys().any(|class| is_generic(class)) {
                continue;
            }
            let endings: BTreeSet<&str> = images.iter().map(|index| self.files[*index].ending()).collect();
            let patterns = endings.into_iter().map(|ending| format!("{{class}}/{{stem}}{ending}")).collect();
            let attribute = AttributeDraft {
                from: "class".to_owned(),
                separator: None,
                values: classes.keys().map(|class| (*class).to_owned()).collect(),
            };
            let counts = classes.iter().map(|(class, members)| ((*class).to_owned(), members.len() as u64)).collect();
            let annotated = images.len();
            let at = self.start(parent.to_owned(), Layout::ClassFolders, images, annotated);
            let group = &mut self.groups[at].group;
            group.classes = counts;
            group.draft = Some(SourceDraft {
                kind: vec![("images", list(patterns))],
                attributes: vec![attribute],
                ..SourceDraft::default()
            });
        }
    }

    /// Images that nothing explains, by the first folder of their path.
    fn rest(&mut self) {
        let mut by_top: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
        for (index, file) in self.files.iter().enumerate() {
            let is_image = matches!(file.holds, Holds::Picture { .. } | Holds::Volume { .. });
            if is_image && !self.taken.contains(&index) {
                let top = file.path.split_once('/').map_or("", |(top, _)| top);
                by_top.entry(top).or_default().insert(index);
            }
        }
        for images in by_top.into_values() {
            let folder = self.common(&images);
            self.start(folder, Layout::Unannotated, images, 0);
        }
    }
}

/// Share of the pictures below a folder that must lie in its class folders.
const MIN_CLASS_SHARE: f64 = 0.8;

/// Whether a folder's name says what role its files have, not what they show.
fn is_generic(folder: &str) -> bool {
    const ROLES: [&str; 15] = [
        "images",
        "image",
        "imgs",
        "img",
        "masks",
        "mask",
        "labels",
        "label",
        "annotations",
        "data",
        "png",
        "jpg",
        "jpeg",
        "jpegimages",
        "tiles",
    ];
    const PARTS: [&str; 7] = ["train", "training", "test", "testing", "val", "valid", "validation"];
    let folder = folder.to_lowercase();
    let is_part = folder.split(|letter: char| !letter.is_alphabetic()).any(|word| PARTS.contains(&word));
    is_part || ROLES.contains(&folder.as_str())
}
