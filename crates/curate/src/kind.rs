//! The kinds of dataset folder that can be read, as `[source.kind.<name>]` describes them.

use crate::pattern::Pattern;
use gmai_imaging::WindowRule;
use gmai_schema::{Axis, Language};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// One pattern or several; a file counts when one of them matches. In a config a text or a list of texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Patterns(Vec<Pattern>);

impl<'de> Deserialize<'de> for Patterns {
    /// By hand: serde's untagged enums would hide what is wrong with a pattern.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Patterns, D::Error> {
        struct TextOrList;
        impl<'de> Visitor<'de> for TextOrList {
            type Value = Patterns;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a pattern such as \"images/{stem}.png\", or a list of patterns")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Patterns, E> {
                Pattern::try_from(text.to_string()).map(|pattern| Patterns(vec![pattern])).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Patterns, A::Error> {
                let mut patterns = Vec::new();
                while let Some(pattern) = list.next_element()? {
                    patterns.push(pattern);
                }
                Ok(Patterns(patterns))
            }
        }
        deserializer.deserialize_any(TextOrList)
    }
}

impl Patterns {
    /// The patterns in order.
    pub fn as_slice(&self) -> &[Pattern] {
        &self.0
    }
}

/// `[source.kind.<name>]`: how the folder is read.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Pictures whose path tells what they are.
    ClassFolders(ClassFolders),
    /// Pictures described by the rows of tables.
    CsvLabels(CsvLabels),
    /// Boxes in Pascal VOC XML.
    Voc(Voc),
    /// Boxes in COCO JSON.
    Coco(Coco),
    /// Boxes and polygons in YOLO text.
    Yolo(Yolo),
    /// A mask picture per instance.
    InstanceMasks(InstanceMasks),
    /// A mask picture per picture.
    MaskBeside(MaskBeside),
    /// Volumes with label maps in NIfTI.
    NiftiLabelMap(NiftiLabelMap),
    /// DICOM series, with or without a NIfTI label map.
    DicomSeries(DicomSeries),
    /// Questions and answers in JSON.
    QaJson(QaJson),
}

impl Kind {
    /// The name written in the config.
    pub fn key(&self) -> &'static str {
        match self {
            Kind::ClassFolders(_) => "class_folders",
            Kind::CsvLabels(_) => "csv_labels",
            Kind::Voc(_) => "voc",
            Kind::Coco(_) => "coco",
            Kind::Yolo(_) => "yolo",
            Kind::InstanceMasks(_) => "instance_masks",
            Kind::MaskBeside(_) => "mask_beside",
            Kind::NiftiLabelMap(_) => "nifti_label_map",
            Kind::DicomSeries(_) => "dicom_series",
            Kind::QaJson(_) => "qa_json",
        }
    }
}

/// `[source.kind.class_folders]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassFolders {
    /// The pictures, e.g. `{class}/{stem}.png`.
    pub images: Patterns,
}

/// `[source.kind.csv_labels]`; the tables stand in `[[source.table]]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CsvLabels {
    /// The pictures, e.g. `images/{stem}.png`.
    pub images: Patterns,
}

/// `[source.kind.voc]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Voc {
    /// The pictures, e.g. `JPEGImages/{stem}.jpg`.
    pub images: Patterns,
    /// The XML file of a picture, e.g. `Annotations/{stem}.xml`.
    pub annotations: Pattern,
}

/// `[source.kind.coco]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coco {
    /// The pictures, e.g. `train/*.jpg`.
    pub images: Patterns,
    /// The JSON files.
    pub annotations: Vec<String>,
    /// Folder that `file_name` is relative to; the JSON file's own folder when absent.
    pub image_folder: Option<String>,
}

/// `[source.kind.yolo]`; region terms are named by class number.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Yolo {
    /// The pictures, e.g. `images/{stem}.jpg`.
    pub images: Patterns,
    /// The text file of a picture, e.g. `labels/{stem}.txt`.
    pub labels: Pattern,
}

/// How many boxes a mask gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Instances {
    /// One around all of it: an organ, a vessel tree.
    Whole,
    /// One around each connected part: lesions, cells.
    Components,
}

/// `[source.kind.instance_masks]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceMasks {
    /// The pictures, e.g. `{case}/images/{stem}.png`.
    pub images: Patterns,
    /// The masks of a picture, e.g. `{case}/masks/*.png`.
    pub masks: Pattern,
}

/// `[source.kind.mask_beside]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaskBeside {
    /// The pictures, e.g. `images/{stem}.png`.
    pub images: Patterns,
    /// The mask of a picture, e.g. `masks/{stem}.png`.
    pub masks: Pattern,
    /// How many boxes a mask gives.
    pub instances: Instances,
}

/// Which slices of a volume become pictures.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SliceRules {
    /// Axes to cut along; all three by default.
    pub axes: Vec<Axis>,
    /// Takes every n-th of the slices that qualify; 1 by default.
    pub every: usize,
    /// The most slices of one volume along one axis, evenly spaced over those that qualify; 8 by default.
    pub max_per_axis: usize,
    /// Which slices qualify.
    pub choose: SliceChoice,
    /// How values become grey levels; the 0.5th to the 99.5th percentile by default.
    pub window: WindowRule,
}

impl Default for SliceRules {
    fn default() -> SliceRules {
        SliceRules {
            axes: Axis::ALL.to_vec(),
            every: 1,
            max_per_axis: 8,
            choose: SliceChoice::Annotated,
            window: WindowRule::default(),
        }
    }
}

/// Which slices of a volume qualify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SliceChoice {
    /// Those in which the label map marks something large enough; all of them when there is no label map.
    Annotated,
    /// All of them.
    All,
}

/// `[source.kind.nifti_label_map]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NiftiLabelMap {
    /// The volumes, e.g. `images/{stem}.nii.gz`.
    pub volumes: Patterns,
    /// The label map of a volume, e.g. `labels/{stem}.nii.gz`, region terms named by class number;
    /// with the placeholder `{class}` one file per class, region terms named by it.
    pub labels: Pattern,
    /// How many boxes a class gives in a slice.
    pub instances: Instances,
    /// Which slices become pictures.
    #[serde(default)]
    pub slices: SliceRules,
}

/// `[source.kind.dicom_series]`. Fields: `PatientID`, `StudyInstanceUID`, `SeriesInstanceUID`, `SeriesDescription`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DicomSeries {
    /// The files, e.g. `ct/{patient}/*.dcm`; files of one series may lie in any order.
    pub files: Patterns,
    /// A label map for a series, as for `nifti_label_map`.
    pub labels: Option<Pattern>,
    /// How many boxes a class gives in a slice; one around all of it by default.
    #[serde(default = "whole")]
    pub instances: Instances,
    /// Which slices become pictures.
    #[serde(default)]
    pub slices: SliceRules,
}

fn whole() -> Instances {
    Instances::Whole
}

/// `[source.kind.qa_json]`: a JSON list of objects, or one object per line. An object's other texts are fields.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QaJson {
    /// The pictures, e.g. `images/{stem}.jpg`.
    pub images: Patterns,
    /// The JSON files.
    pub files: Vec<String>,
    /// Key of the picture's name.
    pub image_key: String,
    /// Folder that the picture's name is relative to; the root when absent.
    pub image_folder: Option<String>,
    /// Key of the question.
    pub question_key: String,
    /// Key of the answer.
    pub answer_key: String,
    /// Key of the source's own kind of question.
    pub kind_key: Option<String>,
    /// Language of questions and answers.
    pub language: Language,
    /// Key whose value tells the official split.
    pub split_key: Option<String>,
    /// Texts with which the value of `split_key` begins when the question belongs to the official test split.
    #[serde(default)]
    pub test_prefixes: Vec<String>,
}
