//! A record: one image, what its annotation says, and where all of it came from.

use crate::annotation::{Label, QuestionAnswer, Region};
use crate::vocabulary::{Department, Modality};
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
    /// Where the pixels lie.
    pub pixels: PixelSource,
    /// What is known of the image as a whole.
    pub labels: Vec<Label>,
    /// Named parts.
    pub regions: Vec<Region>,
    /// Questions that people wrote about this image.
    pub questions: Vec<QuestionAnswer>,
    /// A free-text report, verbatim.
    pub report: Option<String>,
    /// Pseudonym of the patient, or of the study or image when nothing else is known. Splits never separate equal values.
    pub patient: String,
    /// The trail back to the files.
    pub provenance: Provenance,
}
