//! The kinds of dataset folder that can be read, as `[source.kind.<name>]` describes them.

mod pictures;
mod texts;
mod volumes;
mod windows;

pub use pictures::{
    ClassFolders, Coco, CsvBoxes, CsvLabels, InstanceMasks, Instances, Kitti, LabelMe, MarkColumns, MaskBeside,
    ObserverMasks, PointColumn, Points, Units, Voc, Yolo,
};
pub use texts::{Conversations, QaJson, ReportTable, Reports};
pub use volumes::{DicomSeries, NiftiLabelMap, SliceChoice, SliceRules};
pub use windows::{Preset, Window, Windows};

use crate::pattern::Pattern;
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
    /// Boxes in KITTI text.
    Kitti(Kitti),
    /// Polygons, boxes and points in LabelMe JSON.
    #[serde(rename = "labelme")]
    LabelMe(LabelMe),
    /// Boxes or points in tables.
    CsvBoxes(CsvBoxes),
    /// Points in text files.
    Points(Points),
    /// A mask picture per instance.
    InstanceMasks(InstanceMasks),
    /// A mask picture per picture.
    MaskBeside(MaskBeside),
    /// A mask picture per picture and observer.
    ObserverMasks(ObserverMasks),
    /// Volumes with label maps in NIfTI.
    NiftiLabelMap(NiftiLabelMap),
    /// DICOM series, with or without a NIfTI label map.
    DicomSeries(DicomSeries),
    /// Questions and answers in JSON.
    QaJson(QaJson),
    /// Conversations in LLaVA's, ShareGPT's or OpenAI's JSON.
    Conversations(Conversations),
    /// Reports in plain text.
    TextReport(Reports),
    /// Reports in the rows of tables.
    ReportTable(ReportTable),
    /// Reports and results in FHIR R4 JSON.
    Fhir(Reports),
    /// Reports and results in HL7 v2 messages.
    Hl7v2(Reports),
    /// Reports in C-CDA XML.
    Ccda(Reports),
    /// Reports in BioC XML.
    Bioc(Reports),
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
            Kind::Kitti(_) => "kitti",
            Kind::LabelMe(_) => "labelme",
            Kind::CsvBoxes(_) => "csv_boxes",
            Kind::Points(_) => "points",
            Kind::InstanceMasks(_) => "instance_masks",
            Kind::MaskBeside(_) => "mask_beside",
            Kind::ObserverMasks(_) => "observer_masks",
            Kind::NiftiLabelMap(_) => "nifti_label_map",
            Kind::DicomSeries(_) => "dicom_series",
            Kind::QaJson(_) => "qa_json",
            Kind::Conversations(_) => "conversations",
            Kind::TextReport(_) => "text_report",
            Kind::ReportTable(_) => "report_table",
            Kind::Fhir(_) => "fhir",
            Kind::Hl7v2(_) => "hl7v2",
            Kind::Ccda(_) => "ccda",
            Kind::Bioc(_) => "bioc",
        }
    }
}

impl Kind {
    /// How volumes are cut; `None` for kinds without volumes.
    pub fn slices(&self) -> Option<&SliceRules> {
        match self {
            Kind::NiftiLabelMap(kind) => Some(&kind.slices),
            Kind::DicomSeries(kind) => Some(&kind.slices),
            _ => None,
        }
    }

    /// Whether boxes, points or masks are read.
    pub fn marks_regions(&self) -> bool {
        match self {
            Kind::Voc(_) | Kind::Coco(_) | Kind::Yolo(_) | Kind::Kitti(_) | Kind::LabelMe(_) | Kind::CsvBoxes(_) => {
                true
            }
            Kind::Points(_) | Kind::NiftiLabelMap(_) => true,
            Kind::DicomSeries(kind) => {
                kind.labels.is_some() || kind.segmentations.is_some() || kind.structures.is_some()
            }
            _ => self.has_one_meaning(),
        }
    }

    /// Whether all masks of the kind mark the same.
    pub fn has_one_meaning(&self) -> bool {
        matches!(self, Kind::InstanceMasks(_) | Kind::MaskBeside(_) | Kind::ObserverMasks(_))
    }
}
