//! What lies in a folder, before any config is written: formats, annotations, pairs of image and mask, duplicates, broken files,
//! identifiers at risk, what each group of images could become, and a draft of the config for `gmai curate`.
//!
//! ```text
//! files.rs        every file: format, hash, size of its pixels, whether it can be read
//! annotations.rs  text files: what they annotate; tables.rs does CSV
//! layout.rs       which images belong together, and how they are annotated; pairing.rs finds masks and label maps by name,
//!                 joining.rs gives tables to the images they describe
//! identifiers.rs  what could tell who a patient is
//! draft.rs        the config; page.rs the HTML page with its thumbnails; text.rs the summary for a terminal
//! ```
//! Files are told by content, never by ending. Every count is exact: all files are hashed, all pictures decoded.

mod annotations;
mod draft;
mod files;
mod identifiers;
mod joining;
mod layout;
mod page;
mod pairing;
mod tables;
mod text;

#[cfg(test)]
mod tests;

pub use page::inventory_html;
pub use text::inventory_text;

use crate::Result;
use gmai_imaging::Decoder;
use gmai_schema::{Form, Modality, Progress};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// All that was found in a folder. Paths are relative to it, with `/` between parts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inventory {
    /// The folder as it was given.
    pub root: String,
    /// Regular files below it.
    pub num_files: u64,
    /// Their bytes.
    pub num_bytes: u64,
    /// Files per format, most frequent first.
    pub formats: Vec<FormatCount>,
    /// Sizes of the pictures; absent when there are none.
    pub pictures: Option<PictureSizes>,
    /// DICOM series.
    pub series: Vec<SeriesFacts>,
    /// DICOM files that belong to no series: without pixels (reports, plans), or without a SeriesInstanceUID.
    pub outside_series: Vec<FileNote>,
    /// NIfTI volumes per size in voxels, most frequent first.
    pub volumes: Vec<VolumeSizes>,
    /// Files that annotate images, or could.
    pub annotations: Vec<AnnotationSet>,
    /// Images that belong together.
    pub groups: Vec<Group>,
    /// Files with equal bytes, each list sorted.
    pub duplicates: Vec<Vec<String>>,
    /// Images that cannot be read.
    pub broken: Vec<FileNote>,
    /// What could tell who a patient is. Values are never shown.
    pub identifiers: Vec<IdentifierRisk>,
    /// A config that `gmai curate` reads; lines marked CHECK state what files cannot tell.
    pub draft_config: String,
}

/// How many files have one format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FormatCount {
    /// Format told by content (`png`, `dicom`, `nifti`, `json`, ...); for other files `other` with the ending of the name.
    pub format: String,
    /// Files of it.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Widths and heights of pictures, in pixels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PictureSizes {
    /// Pictures that were decoded.
    pub count: u64,
    /// Smallest and largest width.
    pub width: (u32, u32),
    /// Smallest and largest height.
    pub height: (u32, u32),
    /// Number of different sizes.
    pub different: u64,
}

/// One DICOM series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeriesFacts {
    /// Folder that holds all of its files.
    pub folder: String,
    /// Its files.
    pub files: u64,
    /// How it was acquired, where the header says so.
    pub modality: Option<Modality>,
    /// BodyPartExamined.
    pub body_part: Option<String>,
}

/// Volumes of one size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VolumeSizes {
    /// Voxels along left-right, back-front and feet-head.
    pub dims: [usize; 3],
    /// Volumes of that size.
    pub count: u64,
}

/// The format of an annotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AnnotationKind {
    /// Boxes in Pascal VOC XML.
    Voc,
    /// Boxes in COCO JSON.
    Coco,
    /// Boxes or polygons in YOLO text.
    Yolo,
    /// Boxes in KITTI text.
    Kitti,
    /// Shapes in LabelMe JSON.
    #[serde(rename = "labelme")]
    LabelMe,
    /// Points in text.
    Points,
    /// A table with a row per image or more.
    Table,
    /// Questions and answers in JSON.
    QaJson,
}

impl AnnotationKind {
    /// What a reader sees.
    pub fn name(self) -> &'static str {
        match self {
            AnnotationKind::Voc => "Pascal VOC boxes",
            AnnotationKind::Coco => "COCO boxes",
            AnnotationKind::Yolo => "YOLO boxes",
            AnnotationKind::Kitti => "KITTI boxes",
            AnnotationKind::LabelMe => "LabelMe shapes",
            AnnotationKind::Points => "points",
            AnnotationKind::Table => "table",
            AnnotationKind::QaJson => "questions and answers",
        }
    }
}

/// One annotation file, or all of one kind in a folder where there is one file per image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AnnotationSet {
    /// The file, or the folder.
    pub path: String,
    /// Its guessed kind.
    pub kind: AnnotationKind,
    /// Files.
    pub files: u64,
    /// Boxes, rows or questions.
    pub entries: u64,
    /// Images that they name and that are there.
    pub matched_images: u64,
    /// How often each class occurs: box names, or per column of a table `column: value`.
    pub classes: BTreeMap<String, u64>,
}

/// How the images of a group are annotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// Folders that name a class.
    ClassFolders,
    /// Rows of a table.
    CsvLabels,
    /// Pascal VOC.
    Voc,
    /// COCO.
    Coco,
    /// YOLO.
    Yolo,
    /// KITTI.
    Kitti,
    /// LabelMe.
    #[serde(rename = "labelme")]
    LabelMe,
    /// Points in text.
    Points,
    /// A folder of masks per image.
    InstanceMasks,
    /// A mask per image.
    MaskBeside,
    /// A label map per NIfTI volume.
    NiftiLabelMap,
    /// DICOM series.
    DicomSeries,
    /// Questions and answers.
    QaJson,
    /// No annotation was found.
    Unannotated,
}

impl Layout {
    /// The kind's key in a curate config; `None` when there is none to write.
    pub fn config_key(self) -> Option<&'static str> {
        match self {
            Layout::ClassFolders => Some("class_folders"),
            Layout::CsvLabels => Some("csv_labels"),
            Layout::Voc => Some("voc"),
            Layout::Coco => Some("coco"),
            Layout::Yolo => Some("yolo"),
            Layout::Kitti => Some("kitti"),
            Layout::LabelMe => Some("labelme"),
            Layout::Points => Some("points"),
            Layout::InstanceMasks => Some("instance_masks"),
            Layout::MaskBeside => Some("mask_beside"),
            Layout::NiftiLabelMap => Some("nifti_label_map"),
            Layout::DicomSeries => Some("dicom_series"),
            Layout::QaJson => Some("qa_json"),
            Layout::Unannotated => None,
        }
    }

    /// What a reader sees.
    pub fn name(self) -> &'static str {
        match self {
            Layout::ClassFolders => "class folders",
            Layout::CsvLabels => "pictures with a table",
            Layout::Voc => "boxes in Pascal VOC",
            Layout::Coco => "boxes in COCO",
            Layout::Yolo => "boxes in YOLO",
            Layout::Kitti => "boxes in KITTI text",
            Layout::LabelMe => "shapes in LabelMe",
            Layout::Points => "points in text",
            Layout::InstanceMasks => "a mask per instance",
            Layout::MaskBeside => "a mask per picture",
            Layout::NiftiLabelMap => "volumes with label maps",
            Layout::DicomSeries => "DICOM series",
            Layout::QaJson => "questions and answers",
            Layout::Unannotated => "no annotation found",
        }
    }
}

/// Images that belong together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// Folder that all of it lies below; empty for the folder looked at.
    pub folder: String,
    /// How it is annotated.
    pub layout: Layout,
    /// Images: pictures, volumes, or files of series.
    pub images: u64,
    /// Images with an annotation.
    pub annotated: u64,
    /// How often each class occurs.
    pub classes: BTreeMap<String, u64>,
    /// How the images were acquired, where headers agree on it.
    pub modality: Option<Modality>,
    /// Forms of image-text pair that the annotation supports.
    pub forms: Vec<Form>,
    /// What a person should know before using it.
    pub notes: Vec<String>,
    /// The group in a curate config, without `[[source]]`'s name and place; absent when nothing can be made of it.
    #[serde(skip)]
    pub(crate) draft: Option<draft::SourceDraft>,
    /// Paths of up to six images, evenly spread.
    pub samples: Vec<String>,
    /// The same as small PNG pictures in base64, where they could be drawn; shown by [`inventory_html`] only.
    #[serde(skip)]
    pub thumbnails: Vec<String>,
}

/// Something about one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileNote {
    /// The file.
    pub path: String,
    /// What is wrong, and what to do.
    pub reason: String,
}

/// A place where something could tell who a patient is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IdentifierRisk {
    /// What it is, e.g. `DICOM PatientName` or `date in path`.
    pub what: String,
    /// Files that have it.
    pub files: u64,
    /// One of them.
    pub example: String,
}

/// Looks at every file below `dir`.
///
/// A file that cannot be read is listed, not an error; an error is a folder that cannot be opened.
pub fn inventory(dir: &Path, decoder: &Decoder, on_progress: &mut dyn FnMut(Progress)) -> Result<Inventory> {
    let files = files::examine_all(dir, decoder, on_progress)?;
    let survey = files::dicom_series(dir, decoder, &files, on_progress);
    let annotations = annotations::find(dir, &files, on_progress);
    let mut groups = layout::groups(dir, decoder, &files, &survey, &annotations);
    page::draw_thumbnails(dir, decoder, &mut groups, on_progress);
    let draft_config = draft::config(dir, &groups);
    Ok(Inventory {
        root: dir.display().to_string(),
        num_files: files.len() as u64,
        num_bytes: files.iter().map(|file| file.bytes).sum(),
        formats: files::formats(&files),
        pictures: files::picture_sizes(&files),
        series: survey.facts(),
        outside_series: survey.outside.clone(),
        volumes: files::volume_sizes(&files),
        identifiers: identifiers::find(dir, &files, &annotations),
        annotations: annotations.into_iter().map(|annotation| annotation.set).collect(),
        groups,
        duplicates: files::duplicates(&files),
        broken: files::broken(&files, &survey),
        draft_config,
    })
}
