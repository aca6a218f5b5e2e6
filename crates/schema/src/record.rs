//! A record: one image (or several, or a text alone), what its annotation says, and where all of it came from.

use crate::annotation::{Dialogue, Grade, Label, Measurement, Point, QuestionAnswer, Region, Section};
use crate::vocabulary::{BodyPart, Department, Modality};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The axis along which a volume was cut, in patient coordinates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Axis {
    /// Left-right runs along the normal.
    Sagittal,
    /// Front-back runs along the normal.
    Coronal,
    /// Head-feet runs along the normal.
    Axial,
}

impl Axis {
    /// The three axes in array order (x, y, z) of a volume in RAS orientation.
    pub const ALL: [Axis; 3] = [Axis::Sagittal, Axis::Coronal, Axis::Axial];

    /// The key written in configs and shards.
    pub fn key(self) -> &'static str {
        match self {
            Axis::Sagittal => "sagittal",
            Axis::Coronal => "coronal",
            Axis::Axial => "axial",
        }
    }
}

/// Which slice of a volume a picture shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SliceRef {
    /// The axis along the normal.
    pub axis: Axis,
    /// Index along that axis, from 0, in RAS order.
    pub index: usize,
}

/// The grey-value window that made 8 bits out of the stored values, in rescaled units (Hounsfield units for CT).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct WindowRef {
    /// Value shown black.
    pub low: f32,
    /// Value shown white.
    pub high: f32,
}

/// Where a record's pixels lie.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PixelSource {
    /// A picture file.
    File(PathBuf),
    /// A slice of a volume file or of a series folder.
    Slice {
        /// The volume file, or the folder of the series.
        path: PathBuf,
        /// The slice.
        slice: SliceRef,
    },
    /// Several picture files, in the order of the `<image>` markers.
    Files(Vec<PathBuf>),
    /// None: a report or dialogue without a picture.
    Absent,
}

impl PixelSource {
    /// Pictures of the record.
    pub fn num_pictures(&self) -> usize {
        match self {
            PixelSource::File(_) | PixelSource::Slice { .. } => 1,
            PixelSource::Files(files) => files.len(),
            PixelSource::Absent => 0,
        }
    }
}

/// The trail from a training item back to the bytes it was made from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Path of the image file, relative to the source's folder, with `/` between parts.
    pub file: String,
    /// SHA-256 of that file's bytes (for a series: of the sorted hashes of its files), in hex.
    pub file_sha256: String,
    /// Path of the annotation file, relative to the source's folder; absent when the folder name is the annotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotation: Option<String>,
    /// The slice, when the picture was cut from a volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice: Option<SliceRef>,
    /// The window, when stored values were mapped to 8 bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowRef>,
    /// Name of the de-identification profile that was applied; absent when none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deidentification: Option<String>,
}

/// One image with its annotation.
///
/// What is absent from an older file is read as not known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Hash of source name, file hash and slice: the same image gets the same id in every run.
    pub id: String,
    /// Name of the source in the config.
    pub source: String,
    /// How the image was acquired; `None` when the source does not say.
    pub modality: Option<Modality>,
    /// Clinical department.
    pub department: Department,
    /// What part of the body it shows; `None` when the source does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_part: Option<BodyPart>,
    /// Where the pixels lie.
    pub pixels: PixelSource,
    /// What is known of the image as a whole.
    pub labels: Vec<Label>,
    /// Values that the source says the image does not have, of attributes whose other values are not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<Label>,
    /// Severities: the labels of ordinal attributes as steps of their scales.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grades: Vec<Grade>,
    /// Named parts.
    pub regions: Vec<Region>,
    /// Named places without extent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub points: Vec<Point>,
    /// What was measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measurements: Vec<Measurement>,
    /// Questions that people wrote about this image.
    pub questions: Vec<QuestionAnswer>,
    /// Conversations that others wrote about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dialogues: Vec<Dialogue>,
    /// A free-text report, verbatim but for dates.
    pub report: Option<String>,
    /// The same report by sections, where it has titles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sections: Vec<Section>,
    /// Pseudonym of the patient, or of the study or image when nothing else is known. Splits never separate equal values.
    pub patient: String,
    /// Licence of the data, as written in the config.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub licence: String,
    /// The trail back to the files.
    pub provenance: Provenance,
}

impl Record {
    /// A record with nothing but an identity: everything else is empty or not known.
    pub fn new(id: String, source: String, department: Department, pixels: PixelSource, patient: String) -> Record {
        Record {
            id,
            source,
            modality: None,
            department,
            body_part: None,
            pixels,
            labels: Vec::new(),
            absent: Vec::new(),
            grades: Vec::new(),
            regions: Vec::new(),
            points: Vec::new(),
            measurements: Vec::new(),
            questions: Vec::new(),
            dialogues: Vec::new(),
            report: None,
            sections: Vec::new(),
            patient,
            licence: String::new(),
            provenance: Provenance::default(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn records_of_earlier_versions_are_read() {
        let text = r#"{"id": "1", "source": "s", "modality": "ct", "department": "oncology", "pixels": {"file": "a.png"}, "labels": [],
            "regions": [{"term": {"en": "liver"}, "bounds": {"x1": 0.0, "y1": 0.0, "x2": 0.5, "y2": 0.5}}], "questions": [],
            "report": null, "patient": "p", "provenance": {"file": "a.png", "file_sha256": "00"}}"#;
        let record: Record = serde_json::from_str(text).unwrap();
        assert_eq!((record.pixels.num_pictures(), record.regions[0].mask.is_none()), (1, true));
        let written = serde_json::to_string(&record).unwrap();
        assert!(!written.contains("measurements") && !written.contains("mask"), "{written}");
        assert_eq!(serde_json::from_str::<Record>(&written).unwrap(), record);
    }
}
