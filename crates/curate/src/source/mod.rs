//! The readers: one file per kind of dataset folder. Each turns files and annotations into [`Item`]s and reads no pixels.
//!
//! A reader notes what it finds in the ledger: images as given when it makes an item of them, annotations that belong to no image.
//! Annotations that hang on an item are counted by the caller ([`Item::num_annotations`]).

mod coco;
mod conversations;
mod csv_boxes;
mod dicom_objects;
mod dicom_series;
mod instance_masks;
mod kitti;
mod labelme;
mod mask_beside;
mod nifti_label_map;
mod observer_masks;
mod outline;
mod points;
mod qa_json;
mod report;
mod voc;
mod yolo;

pub(crate) use dicom_objects::{DicomMarks, ObjectKind};
pub(crate) use report::{Holding, ReportFormat, ReportText, take_stock};

use crate::config::Source;
use crate::inputs::Inputs;
use crate::kind::{Instances, Kind, Patterns};
use crate::ledger::{Defect, Ledger, Of};
use crate::pattern::Pattern;
use crate::table::RowId;
use crate::{Error, Result};
use gmai_imaging::Decoder;
use gmai_schema::{Dialogue, Measurement, QuestionAnswer, RleMask};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Largest annotation file that is read: it is held in memory as a whole.
const MAX_ANNOTATION_BYTES: u64 = 1 << 30;

/// One image, volume, series or text with what its annotation says, before pixels are read.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// Path of the image file (of several, and of a series: of the first), relative to the root. Of a text without image: its file, and
    /// behind `#` its place when the file holds several.
    pub(crate) name: String,
    pub(crate) image: ImageFiles,
    /// What placeholders, tables, headers and JSON objects say about it.
    pub(crate) fields: BTreeMap<String, String>,
    /// The annotation file, for the record's provenance.
    pub(crate) annotation: Option<String>,
    pub(crate) marks: Marks,
    pub(crate) questions: Vec<QuestionAnswer>,
    pub(crate) dialogues: Vec<Dialogue>,
    pub(crate) measurements: Vec<Measured>,
    pub(crate) report: Option<ReportText>,
    /// The patient's identifier, where the annotation file gives one.
    pub(crate) patient: Option<String>,
    /// Table rows joined to it.
    pub(crate) rows: Vec<RowId>,
}

/// A measurement and the image of a series that it belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    pub(crate) measurement: Measurement,
    /// SOPInstanceUIDs; empty when it holds for all images of the item.
    pub(crate) images: BTreeSet<String>,
}

/// Which pixels an item has.
#[derive(Debug, Clone)]
pub(crate) enum ImageFiles {
    /// One picture file.
    Picture,
    /// Several picture files, seen together.
    Pictures(Vec<String>),
    /// None: a text.
    Nothing,
    /// One volume file.
    Volume,
    /// The files of one series, sorted.
    Series(Vec<String>),
}

impl ImageFiles {
    /// Whether the item counts by the slices that are cut from it, not as one.
    pub(crate) fn counts_by_slices(&self) -> bool {
        matches!(self, ImageFiles::Volume | ImageFiles::Series(_))
    }
}

/// What marks the regions of an item.
#[derive(Debug, Clone)]
pub(crate) enum Marks {
    None,
    Boxes(Boxes),
    Masks {
        files: Vec<String>,
        instances: Instances,
    },
    /// Masks of one thing by several observers; that of the first is the region.
    Observers {
        files: Vec<String>,
        instances: Instances,
        least_dice: f64,
    },
    LabelMaps {
        files: Vec<LabelFile>,
        instances: Instances,
    },
    /// Segmentations and structure sets of a DICOM series, beside label maps.
    Dicom {
        objects: Vec<DicomMarks>,
        maps: Vec<LabelFile>,
        instances: Instances,
    },
}

/// Boxes of one picture.
#[derive(Debug, Clone)]
pub(crate) struct Boxes {
    /// The file they stand in.
    pub(crate) file: String,
    pub(crate) frame: Frame,
    pub(crate) boxes: Vec<MarkedBox>,
    pub(crate) points: Vec<MarkedPoint>,
    /// Whether something that is marked could not be read, so that nothing may be counted.
    pub(crate) is_incomplete: bool,
}

impl Boxes {
    /// Nothing marked yet.
    pub(crate) fn none(file: &str, frame: Frame) -> Boxes {
        Boxes { file: file.to_string(), frame, boxes: Vec::new(), points: Vec::new(), is_incomplete: false }
    }
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
    /// The pixels inside, where the annotation draws them.
    pub(crate) mask: Option<RleMask>,
    /// Whether it is around many instances at once.
    pub(crate) is_crowd: bool,
}

impl MarkedBox {
    /// A box around one instance, without a mask.
    pub(crate) fn new(name: impl Into<String>, edges: [f64; 4], place: String) -> MarkedBox {
        MarkedBox { name: name.into(), edges, place, mask: None, is_crowd: false }
    }
}

/// One point as written.
#[derive(Debug, Clone)]
pub(crate) struct MarkedPoint {
    pub(crate) name: String,
    /// From the left and from the top; not a number when it cannot be read.
    pub(crate) at: [f64; 2],
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
        Item {
            name,
            image,
            fields,
            annotation: None,
            marks: Marks::None,
            questions: Vec::new(),
            dialogues: Vec::new(),
            measurements: Vec::new(),
            report: None,
            patient: None,
            rows: Vec::new(),
        }
    }

    /// Annotation entries that hang on this item, table rows not counted.
    pub(crate) fn num_annotations(&self) -> u64 {
        let marks = match &self.marks {
            Marks::None => 0,
            Marks::Boxes(boxes) => boxes.boxes.len() + boxes.points.len(),
            Marks::Masks { files, .. } | Marks::Observers { files, .. } => files.len(),
            Marks::LabelMaps { files, .. } => files.len(),
            Marks::Dicom { objects, maps, .. } => objects.iter().map(DicomMarks::len).sum::<usize>() + maps.len(),
        };
        marks as u64 + self.num_texts()
    }

    /// Annotation entries that need no pixels: questions, conversations, measurements, the report of an image.
    pub(crate) fn num_texts(&self) -> u64 {
        // A report without image is itself what is counted as given.
        let has_report = self.report.is_some() && !matches!(self.image, ImageFiles::Nothing);
        (self.questions.len() + self.dialogues.len() + self.measurements.len() + usize::from(has_report)) as u64
    }
}

/// What a reader needs.
pub(crate) struct Folder<'a> {
    pub(crate) source: &'a Source,
    pub(crate) inputs: &'a Inputs,
    pub(crate) decoder: &'a Decoder,
    /// The config file, for messages.
    pub(crate) config: &'a Path,
}

/// The items of a source, sorted by name.
pub(crate) enum Items<'a> {
    /// The pictures that match, which are found in the list of files one by one: there may be millions.
    Pictures(&'a Folder<'a>, &'a Patterns),
    /// Items that were read from annotations.
    Listed(Vec<Item>),
}

impl<'a> Items<'a> {
    /// All of them, one by one.
    pub(crate) fn all(self) -> Box<dyn Iterator<Item = Item> + 'a> {
        match self {
            Items::Pictures(folder, patterns) => Box::new(folder.each_picture(patterns)),
            Items::Listed(items) => Box::new(items.into_iter()),
        }
    }

    /// A look at all of them.
    pub(crate) fn look(&self) -> Box<dyn Iterator<Item = Cow<'_, Item>> + '_> {
        match self {
            Items::Pictures(folder, patterns) => Box::new(folder.each_picture(patterns).map(Cow::Owned)),
            Items::Listed(items) => Box::new(items.iter().map(Cow::Borrowed)),
        }
    }
}

/// Finds the items of a source.
pub(crate) fn read<'a>(folder: &'a Folder, ledger: &mut Ledger) -> Result<Items<'a>> {
    let items = match &folder.source.kind {
        Kind::ClassFolders(kind) => folder.lazy_pictures(&kind.images)?,
        Kind::CsvLabels(kind) => folder.lazy_pictures(&kind.images)?,
        _ => Items::Listed(read_listed(folder, ledger)?),
    };
    for name in &folder.inputs.unreadable_names {
        ledger.found(Of::Images, 1);
        let reason = "the file name is not valid UTF-8";
        ledger.quarantine(Of::Images, Defect::new(name, "file name", reason, "rename the file"));
    }
    for item in items.look() {
        ledger.found(Of::Images, u64::from(!item.image.counts_by_slices()));
        ledger.found(Of::Annotations, item.num_annotations());
    }
    Ok(items)
}

/// The items of a kind that has annotation files.
fn read_listed(folder: &Folder, ledger: &mut Ledger) -> Result<Vec<Item>> {
    let mut items = match &folder.source.kind {
        Kind::ClassFolders(kind) => folder.pictures(&kind.images)?,
        Kind::CsvLabels(kind) => folder.pictures(&kind.images)?,
        Kind::Voc(kind) => voc::read(folder, kind, ledger)?,
        Kind::Coco(kind) => coco::read(folder, kind, ledger)?,
        Kind::Yolo(kind) => yolo::read(folder, kind, ledger)?,
        Kind::Kitti(kind) => kitti::read(folder, kind, ledger)?,
        Kind::LabelMe(kind) => labelme::read(folder, kind, ledger)?,
        Kind::CsvBoxes(kind) => csv_boxes::read(folder, kind, ledger)?,
        Kind::Points(kind) => points::read(folder, kind, ledger)?,
        Kind::ObserverMasks(kind) => observer_masks::read(folder, kind, ledger)?,
        Kind::InstanceMasks(kind) => instance_masks::read(folder, kind, ledger)?,
        Kind::MaskBeside(kind) => mask_beside::read(folder, kind, ledger)?,
        Kind::NiftiLabelMap(kind) => nifti_label_map::read(folder, kind, ledger)?,
        Kind::DicomSeries(kind) => dicom_series::read(folder, kind, ledger)?,
        Kind::QaJson(kind) => qa_json::read(folder, kind, ledger)?,
        Kind::Conversations(kind) => conversations::read(folder, kind, ledger)?,
        Kind::TextReport(kind) => report::read_files(folder, kind, report::text::parse, ledger)?,
        Kind::ReportTable(kind) => report::table::read(folder, kind, ledger)?,
        Kind::Fhir(kind) => report::read_files(folder, kind, report::fhir::parse, ledger)?,
        Kind::Hl7v2(kind) => report::read_files(folder, kind, report::hl7v2::parse, ledger)?,
        Kind::Ccda(kind) => report::read_files(folder, kind, report::ccda::parse, ledger)?,
        Kind::Bioc(kind) => report::read_files(folder, kind, report::bioc::parse, ledger)?,
    };
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
        if found.is_empty() { Err(self.nothing_matches(patterns)) } else { Ok(found) }
    }

    fn nothing_matches(&self, patterns: &Patterns) -> Error {
        let patterns: Vec<&str> = patterns.as_slice().iter().map(Pattern::as_str).collect();
        let example = self.inputs.files.first().map_or("the folder is empty".to_string(), |file| {
            format!("the folder holds {} files, the first is `{file}`", self.inputs.files.len())
        });
        let reason =
            format!("no file below {} matches `{}`; {example}", self.inputs.root().display(), patterns.join("`, `"));
        self.config_error("kind", reason)
    }

    /// The items of [`pictures`](Folder::pictures), made one by one.
    fn each_picture<'a>(&'a self, patterns: &'a Patterns) -> impl Iterator<Item = Item> + 'a {
        self.inputs.files.iter().filter_map(move |file| {
            let mut fields = patterns.as_slice().iter().find_map(|pattern| pattern.captures(file))?;
            fields.insert("file".to_string(), file.clone());
            Some(Item::new(file.clone(), ImageFiles::Picture, fields))
        })
    }

    /// The same, to be gone through later. Fails when there is none.
    fn lazy_pictures<'a>(&'a self, patterns: &'a Patterns) -> Result<Items<'a>> {
        let any = self.each_picture(patterns).next().is_some();
        if any { Ok(Items::Pictures(self, patterns)) } else { Err(self.nothing_matches(patterns)) }
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

    /// The annotation file of an item by a pattern: read and parsed, or the item is quarantined. Files that were looked at join `used`.
    fn beside<T>(
        &self,
        item: &Item,
        pattern: &Pattern,
        parse: impl FnOnce(&str, &str) -> std::result::Result<T, Defect>,
        (used, ledger): (&mut BTreeSet<String>, &mut Ledger),
    ) -> Option<(String, T)> {
        let filled = pattern.fill(&item.fields);
        let Some(file) = filled.literal().filter(|file| self.inputs.files.contains(*file)) else {
            quarantine_unlabelled(&item.name, &format!("`{}` does not exist", filled.as_str()), ledger);
            return None;
        };
        used.insert(file.to_string());
        match self.text(file).and_then(|text| parse(file, &text)) {
            Ok(parsed) => Some((file.to_string(), parsed)),
            Err(defect) => {
                quarantine_unreadable(&item.name, defect, ledger);
                None
            }
        }
    }

    /// Fails when a file that the config names does not exist.
    fn demand(&self, file: &str, key: &str) -> Result<()> {
        if self.inputs.files.contains(file) {
            return Ok(());
        }
        let reason = format!("the file that the config names does not exist; correct `{key}`");
        Err(Error::Annotation { path: self.inputs.path(file), field: "file".to_string(), reason })
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
