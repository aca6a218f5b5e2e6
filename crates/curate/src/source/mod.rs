//! The readers: one file per kind of dataset folder. Each turns files and annotations into [`Item`]s and reads no pixels.
//!
//! A reader notes what it finds in the ledger: images as given when it makes an item of them, annotations that belong to no image.
//! Annotations that hang on an item are counted by the caller ([`Item::num_annotations`]).

mod coco;
mod dicom_series;
mod instance_masks;
mod mask_beside;
mod nifti_label_map;
mod qa_json;
mod voc;
mod yolo;

use crate::config::Source;
use crate::inputs::Inputs;
use crate::kind::{Instances, Kind, Patterns};
use crate::ledger::{Defect, Ledger, Of};
use crate::pattern::Pattern;
use crate::table::RowId;
use crate::{Error, Result};
use gmai_imaging::Limits;
use gmai_schema::QuestionAnswer;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Largest annotation file that is read: it is held in memory as a whole.
const MAX_ANNOTATION_BYTES: u64 = 1 << 30;

/// One image, volume or series with what its annotation says, before pixels are read.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// Path of the image file (of a series: of its first file), relative to the root.
    pub(crate) name: String,
    pub(crate) image: ImageFiles,
    /// What placeholders, tables, headers and JSON objects say about it.
    pub(crate) fields: BTreeMap<String, String>,
    /// The annotation file, for the record's provenance.
    pub(crate) annotation: Option<String>,
    pub(crate) marks: Marks,
    pub(crate) questions: Vec<QuestionAnswer>,
    /// Table rows joined to it.
    pub(crate) rows: Vec<RowId>,
}

/// Which pixels an item has.
#[derive(Debug, Clone)]
pub(crate) enum ImageFiles {
    /// One picture file.
    Picture,
    /// One volume file.
    Volume,
    /// The files of one series, sorted.
    Series(Vec<String>),
}

/// What marks the regions of an item.
#[derive(Debug, Clone)]
pub(crate) enum Marks {
    None,
    Boxes(Boxes),
    Masks { files: Vec<String>, instances: Instances },
    LabelMaps { files: Vec<LabelFile>, instances: Instances },
}

/// Boxes of one picture.
#[derive(Debug, Clone)]
pub(crate) struct Boxes {
    /// The file they stand in.
    pub(crate) file: String,
    pub(crate) frame: Frame,
    pub(crate) boxes: Vec<MarkedBox>,
}

/// What box edges are measured in.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Frame {
    /// Pixels of a picture of this size.
    Pixels { width: u32, height: u32 },
    /// Pixels of the picture as it is.
    Unstated,
    /// Shares of width and height.
    Fractions,
}

/// One box as written.
#[derive(Debug, Clone)]
pub(crate) struct MarkedBox {
    pub(crate) name: String,
    /// Left, top, right, bottom; right and bottom exclusive.
    pub(crate) edges: [f64; 4],
    /// Where it stands in the file, for messages.
    pub(crate) place: String,
}

/// A label map file.
#[derive(Debug, Clone)]
pub(crate) struct LabelFile {
    pub(crate) file: String,
    /// Raw name of what the file marks; `None` when its values are class numbers.
    pub(crate) class: Option<String>,
}

impl Item {
    /// An item with nothing but an image.
    pub(crate) fn new(name: String, image: ImageFiles, fields: BTreeMap<String, String>) -> Item {
        Item { name, image, fields, annotation: None, marks: Marks::None, questions: Vec::new(), rows: Vec::new() }
    }

    /// Annotation entries that hang on this item, table rows not counted.
    pub(crate) fn num_annotations(&self) -> u64 {
        let marks = match &self.marks {
            Marks::None => 0,
            Marks::Boxes(boxes) => boxes.boxes.len(),
            Marks::Masks { files, .. } => files.len(),
            Marks::LabelMaps { files, .. } => files.len(),
        };
        (marks + self.questions.len()) as u64
    }
}

/// What a reader needs.
pub(crate) struct Folder<'a> {
    pub(crate) source: &'a Source,
    pub(crate) inputs: &'a Inputs,
    pub(crate) limits: &'a Limits,
    /// The config file, for messages.
    pub(crate) config: &'a Path,
}

/// Reads a source folder into items, sorted by name.
pub(crate) fn read(folder: &Folder, ledger: &mut Ledger) -> Result<Vec<Item>> {
    let mut items = match &folder.source.kind {
        Kind::ClassFolders(kind) => folder.pictures(&kind.images)?,
        Kind::CsvLabels(kind) => folder.pictures(&kind.images)?,
        Kind::Voc(kind) => voc::read(folder, kind, ledger)?,
        Kind::Coco(kind) => coco::read(folder, kind, ledger)?,
        Kind::Yolo(kind) => yolo::read(folder, kind, ledger)?,
        Kind::InstanceMasks(kind) => instance_masks::read(folder, kind, ledger)?,
        Kind::MaskBeside(kind) => mask_beside::read(folder, kind, ledger)?,
        Kind::NiftiLabelMap(kind) => nifti_label_map::read(folder, kind, ledger)?,
        Kind::DicomSeries(kind) => dicom_series::read(folder, kind, ledger)?,
        Kind::QaJson(kind) => qa_json::read(folder, kind, ledger)?,
    };
    for name in &folder.inputs.unreadable_names {
        ledger.found(Of::Images, 1);
        let reason = "the file name is not valid UTF-8";
        ledger.quarantine(Of::Images, Defect::new(name, "file name", reason, "rename the file"));
    }
    let pictures = items.iter().filter(|item| matches!(item.image, ImageFiles::Picture)).count();
    ledger.found(Of::Images, pictures as u64);
    ledger.found(Of::Annotations, items.iter().map(Item::num_annotations).sum());
    items.sort_by(|first, second| first.name.cmp(&second.name));
    Ok(items)
}

impl Folder<'_> {
    /// The files that match, each once, with what the placeholders and the path say.
    fn matching(&self, patterns: &Patterns) -> Result<BTreeMap<String, BTreeMap<String, String>>> {
        let mut found: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for pattern in patterns.as_slice() {
            for (file, mut fields) in pattern.find(&self.inputs.files) {
                fields.insert("file".to_string(), file.clone());
                found.entry(file).or_insert(fields);
            }
        }
        if found.is_empty() {
            let patterns: Vec<&str> = patterns.as_slice().iter().map(Pattern::as_str).collect();
            let example = self.inputs.files.first().map_or("the folder is empty".to_string(), |file| {
                format!("the folder holds {} files, the first is `{file}`", self.inputs.files.len())
            });
            let reason = format!(
                "no file below {} matches `{}`; {example}",
                self.inputs.root().display(),
                patterns.join("`, `")
            );
            return Err(self.config_error("kind", reason));
        }
        Ok(found)
    }

    /// An item per picture that matches.
    fn pictures(&self, patterns: &Patterns) -> Result<Vec<Item>> {
        let found = self.matching(patterns)?;
        Ok(found.into_iter().map(|(file, fields)| Item::new(file, ImageFiles::Picture, fields)).collect())
    }

    /// An error about a key of this source.
    pub(crate) fn config_error(&self, key: &str, reason: String) -> Error {
        let key = format!("source `{}`, {key}", self.source.name);
        Error::ConfigValue { path: self.config.to_path_buf(), key, reason }
    }

    /// Text of an annotation file. The error is what is wrong with it.
    fn text(&self, file: &str) -> std::result::Result<String, Defect> {
        let remedy = "copy the file again from its source";
        let path = self.inputs.path(file);
        if std::fs::metadata(&path).is_ok_and(|metadata| metadata.len() > MAX_ANNOTATION_BYTES) {
            let reason = format!("the file is larger than {MAX_ANNOTATION_BYTES} bytes");
            return Err(Defect::new(file, "file", reason, "split the annotation into several files"));
        }
        let bytes = std::fs::read(&path).map_err(|error| Defect::new(file, "file", error.to_string(), remedy))?;
        let text = String::from_utf8(bytes)
            .map_err(|_| Defect::new(file, "file", "the file is not UTF-8 text", "convert the file to UTF-8"))?;
        if text.trim().is_empty() {
            return Err(Defect::new(file, "file", "the file is empty", remedy));
        }
        Ok(text)
    }

    /// Quarantines annotation files that belong to no image.
    fn quarantine_orphans(&self, pattern: &Pattern, used: &BTreeSet<String>, ledger: &mut Ledger) {
        for (file, _) in pattern.find(&self.inputs.files) {
            if !used.contains(&file) {
                ledger.found(Of::Annotations, 1);
                let reason = "label without image: no image of the source belongs to this file";
                let remedy = "add the image or remove the annotation";
                ledger.quarantine(Of::Annotations, Defect::new(&file, "file", reason, remedy));
            }
        }
    }
}

/// Quarantines an image that has no annotation where the kind demands one.
fn quarantine_unlabelled(name: &str, expected: &str, ledger: &mut Ledger) {
    ledger.found(Of::Images, 1);
    let reason = format!("image without label: {expected}");
    let remedy = "add the annotation or remove the image";
    ledger.quarantine(Of::Images, Defect::new(name, "annotation", reason, remedy));
}

/// Quarantines an image whose annotation cannot be read: nothing is known about it.
fn quarantine_unreadable(name: &str, defect: Defect, ledger: &mut Ledger) {
    ledger.found(Of::Images, 1);
    let reason = format!("its annotation cannot be read: {}", defect.reason);
    let field = format!("annotation {}, {}", defect.file, defect.field);
    ledger.quarantine(Of::Images, Defect::new(name, field, reason, &defect.remedy));
}
