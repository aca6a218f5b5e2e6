//! What an inventory says. Paths are relative to the folder looked at, with `/` between parts; values that name people are never in it.

use super::draft::SourceDraft;
use super::files::common_folder;
use super::uses::Use;
use gmai_schema::{Form, Modality};
use serde::Serialize;
use std::collections::BTreeMap;

/// All that was found in a folder.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inventory {
    /// The folder as it was given.
    pub root: String,
    /// Regular files below it.
    pub num_files: u64,
    /// Their bytes.
    pub num_bytes: u64,
    /// How thoroughly the images were looked at.
    pub coverage: Coverage,
    /// Files per format, most frequent first.
    pub formats: Vec<FormatCount>,
    /// Sizes of the pictures; absent when there are none.
    pub pictures: Option<PictureSizes>,
    /// DICOM series.
    pub series: Vec<SeriesFacts>,
    /// DICOM files that are no images: segmentations, structure sets, reports, plans.
    pub objects: Vec<ObjectFacts>,
    /// DICOM images without a SeriesInstanceUID.
    pub outside_series: Vec<FileNote>,
    /// Volumes in NIfTI, NRRD and MetaImage per size in voxels, most frequent first.
    pub volumes: Vec<VolumeSizes>,
    /// Files that annotate images, or could.
    pub annotations: Vec<AnnotationSet>,
    /// Images, or texts, that belong together.
    pub groups: Vec<Group>,
    /// Images that were taken for the same, and what is wrong with that.
    pub repeats: Repeats,
    /// Images and annotations that cannot be read.
    pub broken: Vec<FileNote>,
    /// What could tell who a patient is. Values are never shown.
    pub identifiers: Vec<IdentifierRisk>,
    /// A config that `gmai curate` reads; lines marked CHECK state what files cannot tell.
    pub draft_config: String,
}

/// How thoroughly the images of a folder were looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Images: pictures, volumes and DICOM files with pixels.
    pub images: u64,
    /// Images that were decoded, evenly spread over the folders; of the others the header was read.
    pub decoded: u64,
    /// Links to folders, which are not followed.
    pub links_not_followed: u64,
    /// Files below version control and other program's own folders, which are left out.
    pub left_out: u64,
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
    /// Pictures whose size is known.
    pub count: u64,
    /// Smallest and largest width.
    pub width: (u32, u32),
    /// Smallest and largest height.
    pub height: (u32, u32),
    /// Number of different sizes.
    pub different: u64,
}

/// One DICOM series, or one volume of it where it holds several.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeriesFacts {
    /// Folder that holds all of its files.
    pub folder: String,
    /// Its files.
    pub files: u64,
    /// How it was acquired, where the header says so.
    pub modality: Option<Modality>,
    /// BodyPartExamined.
    pub body_part: Option<String>,
    /// Columns and rows.
    pub size: [u16; 2],
    /// Frames of a file.
    pub frames: u32,
    /// BitsStored.
    pub bits: u16,
    /// Distance of columns, rows and slices in mm; 0 where not stated.
    pub spacing: [f64; 3],
}

/// A DICOM file that is no image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ObjectFacts {
    /// The file.
    pub path: String,
    /// What it is: `segmentation`, `structure set`, `measurement report`, `report`, `plan`, ...
    pub kind: &'static str,
    /// Segments, regions of interest or measurements in it.
    pub entries: u64,
    /// Their names, for segmentations and structure sets.
    pub names: Vec<String>,
    /// Whether the series that it is about is among the files.
    pub has_series: bool,
}

/// Volumes of one size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VolumeSizes {
    /// Voxels along left-right, back-front and feet-head; in the file's order where only the header was read.
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
    /// A table with a row per image or patient.
    Table,
    /// A table with a row per box or point.
    BoxTable,
    /// A table with a report per row.
    ReportTable,
    /// Questions and answers in JSON.
    QaJson,
    /// Conversations in LLaVA's, ShareGPT's or OpenAI's JSON.
    Conversations,
    /// Reports in plain text.
    TextReport,
    /// FHIR resources in JSON.
    Fhir,
    /// HL7 v2 messages.
    Hl7v2,
    /// C-CDA documents.
    Ccda,
    /// BioC collections.
    Bioc,
    /// Spans in BRAT stand-off, which are listed only.
    StandOff,
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
            AnnotationKind::BoxTable => "table of boxes",
            AnnotationKind::ReportTable => "table of reports",
            AnnotationKind::QaJson => "questions and answers",
            AnnotationKind::Conversations => "conversations",
            AnnotationKind::TextReport => "text reports",
            AnnotationKind::Fhir => "FHIR resources",
            AnnotationKind::Hl7v2 => "HL7 v2 messages",
            AnnotationKind::Ccda => "C-CDA documents",
            AnnotationKind::Bioc => "BioC documents",
            AnnotationKind::StandOff => "stand-off spans",
        }
    }
}

/// One annotation file, or all of one kind in a folder where there is one file per image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AnnotationSet {
    /// The file, or the folder.
    pub path: String,
    /// Its kind, told by content.
    pub kind: AnnotationKind,
    /// Files.
    pub files: u64,
    /// Boxes, rows, questions, reports or conversations.
    pub entries: u64,
    /// Entries with a drawn outline: polygons and run-length masks.
    pub outlines: u64,
    /// Numbers with units that reports give.
    pub measurements: u64,
    /// Reports of two known sections or more, in English or Chinese: questions can be asked of them without a picture.
    pub askable: u64,
    /// Images that they name and that are there.
    pub matched_images: u64,
    /// How often each class occurs: box names, or per column of a table `column: value`.
    pub classes: BTreeMap<String, u64>,
}

impl AnnotationSet {
    /// One file with nothing in it yet.
    pub(super) fn new(path: String, kind: AnnotationKind) -> AnnotationSet {
        AnnotationSet {
            path,
            kind,
            files: 1,
            entries: 0,
            outlines: 0,
            measurements: 0,
            askable: 0,
            matched_images: 0,
            classes: BTreeMap::new(),
        }
    }
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
    /// Rows of a table, one per box or point.
    CsvBoxes,
    /// Points in text.
    Points,
    /// A folder of masks per image.
    InstanceMasks,
    /// A mask per image.
    MaskBeside,
    /// A mask per image and observer.
    ObserverMasks,
    /// A label map per volume, or one per class.
    NiftiLabelMap,
    /// DICOM series.
    DicomSeries,
    /// DICOM pictures: projections, ultrasound, captures.
    DicomPictures,
    /// Questions and answers.
    QaJson,
    /// Conversations.
    Conversations,
    /// Reports in plain text.
    TextReport,
    /// Reports in a table.
    ReportTable,
    /// FHIR.
    Fhir,
    /// HL7 v2.
    Hl7v2,
    /// C-CDA.
    Ccda,
    /// BioC.
    Bioc,
    /// No annotation was found.
    Unannotated,
}

impl Layout {
    /// The kind's key in a curate config; `None` when there is none to write.
    pub fn config_key(self) -> Option<&'static str> {
        Some(match self {
            // Pictures by pattern; what is known of them stands in their headers.
            Layout::ClassFolders | Layout::DicomPictures => "class_folders",
            Layout::CsvLabels => "csv_labels",
            Layout::Voc => "voc",
            Layout::Coco => "coco",
            Layout::Yolo => "yolo",
            Layout::Kitti => "kitti",
            Layout::LabelMe => "labelme",
            Layout::CsvBoxes => "csv_boxes",
            Layout::Points => "points",
            Layout::InstanceMasks => "instance_masks",
            Layout::MaskBeside => "mask_beside",
            Layout::ObserverMasks => "observer_masks",
            Layout::NiftiLabelMap => "nifti_label_map",
            Layout::DicomSeries => "dicom_series",
            Layout::QaJson => "qa_json",
            Layout::Conversations => "conversations",
            Layout::TextReport => "text_report",
            Layout::ReportTable => "report_table",
            Layout::Fhir => "fhir",
            Layout::Hl7v2 => "hl7v2",
            Layout::Ccda => "ccda",
            Layout::Bioc => "bioc",
            Layout::Unannotated => return None,
        })
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
            Layout::CsvBoxes => "boxes in a table",
            Layout::Points => "points in text",
            Layout::InstanceMasks => "a mask per instance",
            Layout::MaskBeside => "a mask per picture",
            Layout::ObserverMasks => "masks by several observers",
            Layout::NiftiLabelMap => "volumes with label maps",
            Layout::DicomSeries => "DICOM series",
            Layout::DicomPictures => "DICOM pictures",
            Layout::QaJson => "questions and answers",
            Layout::Conversations => "conversations",
            Layout::TextReport => "reports in text",
            Layout::ReportTable => "reports in a table",
            Layout::Fhir => "reports in FHIR",
            Layout::Hl7v2 => "reports in HL7 v2",
            Layout::Ccda => "reports in C-CDA",
            Layout::Bioc => "reports in BioC",
            Layout::Unannotated => "no annotation found",
        }
    }

    /// What one item of the group is, in the plural.
    pub fn unit(self) -> &'static str {
        match self {
            Layout::NiftiLabelMap => "volumes",
            Layout::Unannotated => "images",
            Layout::DicomSeries => "files",
            Layout::TextReport | Layout::ReportTable | Layout::Fhir | Layout::Hl7v2 | Layout::Ccda | Layout::Bioc => {
                "reports"
            }
            _ => "pictures",
        }
    }

    /// Whether the group is of texts that need no image.
    pub(super) fn is_text(self) -> bool {
        self.unit() == "reports"
    }
}

/// What images of a group have in common, counted over its images.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct GroupFacts {
    /// Images per modality that headers state.
    pub modalities: BTreeMap<String, u64>,
    /// Images per BodyPartExamined.
    pub body_parts: BTreeMap<String, u64>,
    /// Images per format.
    pub formats: BTreeMap<String, u64>,
    /// Images per size in pixels or voxels.
    pub sizes: BTreeMap<String, u64>,
    /// Images per kind of stored value, e.g. `8-bit RGB`, `int16`.
    pub depths: BTreeMap<String, u64>,
    /// Least and greatest distance of neighbouring pixels or voxels in mm, along each axis; absent when not stated.
    pub spacing: Option<[(f64, f64); 3]>,
    /// Images per part of an official split that folders or tables name.
    pub splits: BTreeMap<String, u64>,
    /// Different patients, and where they are told apart.
    pub patients: Option<Told>,
    /// Different studies.
    pub studies: Option<u64>,
    /// DICOM series.
    pub series: u64,
}

/// A number with the field that it was counted by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Told {
    /// How many.
    pub count: u64,
    /// By what.
    pub by: String,
}

/// Images, or texts, that belong together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// Folder that all of it lies below; empty for the folder looked at.
    pub folder: String,
    /// How it is annotated.
    pub layout: Layout,
    /// Images: pictures, volumes, or files of series; texts where there are no images.
    pub images: u64,
    /// Images with an annotation.
    pub annotated: u64,
    /// Boxes, masks, points, questions or reports.
    pub entries: u64,
    /// How often each class occurs.
    pub classes: BTreeMap<String, u64>,
    /// What is known of its images.
    pub facts: GroupFacts,
    /// Forms of image-text pair that the annotation supports as it is.
    pub forms: Vec<Form>,
    /// What the group is good for, and what stands in the way of the rest.
    pub uses: Vec<Use>,
    /// What a person should know before using it.
    pub notes: Vec<String>,
    /// The group in a curate config, without `[[source]]`'s name and place; absent when nothing can be made of it.
    #[serde(skip)]
    pub(crate) draft: Option<SourceDraft>,
    /// Paths of up to six images, evenly spread.
    pub samples: Vec<String>,
    /// The same as pictures, with what is marked drawn over them; shown by the page only.
    #[serde(skip)]
    pub(crate) thumbnails: Vec<Thumbnail>,
    /// Colours of names in the thumbnails.
    #[serde(skip)]
    pub(crate) legend: BTreeMap<String, String>,
}

impl Group {
    /// The folder that its images lie below, for people: [`folder`](Self::folder) may be above that for a table's sake.
    pub(super) fn place(&self) -> String {
        let place = common_folder(self.samples.iter().map(String::as_str));
        if place.len() > self.folder.len() { place } else { self.folder.clone() }
    }
}

/// A small picture for the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Thumbnail {
    /// The image.
    pub path: String,
    /// `data:` URL.
    pub url: String,
}

/// Images that are the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Repeats {
    /// Files with equal bytes or pixels, each list sorted.
    pub equal: Vec<Vec<String>>,
    /// Pairs of pictures that look nearly the same.
    pub alike: Vec<[String; 2]>,
    /// Pairs of equal or nearly equal pictures that are labelled differently.
    pub contradictions: Vec<Contradiction>,
    /// Equal pictures, or one patient, on several sides of an official split.
    pub leaks: Vec<Leak>,
}

/// A picture under two labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Contradiction {
    /// The two files.
    pub paths: [String; 2],
    /// What each is labelled as.
    pub labels: [String; 2],
    /// Whether the pixels are equal; else nearly so.
    pub is_equal: bool,
}

/// Something that is on two sides of a split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leak {
    /// Names of the parts, e.g. `test` and `train`.
    pub parts: [String; 2],
    /// A file of each.
    pub paths: [String; 2],
    /// Why: `equal pixels`, `nearly equal pixels`, `same patient`.
    pub what: &'static str,
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
    /// What it is, e.g. `DICOM PatientName` or `date in a path`.
    pub what: String,
    /// Files that have it.
    pub files: u64,
    /// One of them.
    pub example: String,
}
