//! Kinds of folders with volumes, and which slices of them become pictures.

use super::pictures::Instances;
use super::{Patterns, Windows};
use crate::pattern::Pattern;
use gmai_schema::Axis;
use serde::Deserialize;

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
    /// How values become grey levels; the 0.5th to the 99.5th percentile by default. Several give a picture each.
    pub window: Windows,
}

impl Default for SliceRules {
    fn default() -> SliceRules {
        SliceRules {
            axes: Axis::ALL.to_vec(),
            every: 1,
            max_per_axis: 8,
            choose: SliceChoice::Annotated,
            window: Windows::default(),
        }
    }
}

/// Which slices of a volume qualify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SliceChoice {
    /// Those in which the label map marks something large enough; all of them when there is no label map.
    Annotated,
    /// Of those, the ones with the largest marked area.
    Largest,
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
    /// DICOM Segmentations of these series, found by the series and images that they name; region terms named by SegmentLabel.
    pub segmentations: Option<Patterns>,
    /// DICOM RT Structure Sets of these series; region terms named by ROIName.
    pub structures: Option<Patterns>,
    /// DICOM Structured Reports with measurements (TID 1500) of these series.
    pub measurements: Option<Patterns>,
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
