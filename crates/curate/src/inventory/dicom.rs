//! DICOM files: the series they form, the objects among them that mark or measure, and what their headers give away.

use super::files::{FileFacts, common_folder};
use super::{ObjectFacts, SeriesFacts};
use crate::similarity::Fingerprint;
use gmai_imaging::{Decoder, DicomSummary};
use gmai_schema::Modality;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What is kept of one DICOM file.
#[derive(Debug, Clone)]
pub(super) struct DicomFacts {
    /// Index of its series in the catalogue.
    pub series: Option<usize>,
    pub role: Role,
    /// Index of the list of identifying attributes in the catalogue.
    pub identifying: usize,
    pub burned_in: Option<bool>,
    /// Captured from a screen or a film, or ultrasound: writing in the pixels is common.
    pub is_written_on: bool,
    /// Why its pixels cannot be decoded.
    pub failure: Option<String>,
    pub print: Option<Box<Fingerprint>>,
}

impl DicomFacts {
    /// Whether it is an image that can be shown.
    pub(super) fn is_image(&self) -> bool {
        self.role == Role::Image && self.failure.is_none()
    }
}

/// What a DICOM file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Image,
    Segmentation,
    Structures,
    Report,
    /// By name.
    Other(&'static str),
}

/// One volume or picture series.
#[derive(Debug, Clone)]
pub(super) struct SeriesEntry {
    pub uid: String,
    /// Indices of its files.
    pub files: Vec<usize>,
    pub patient: Option<String>,
    pub study: Option<String>,
    pub modality: Option<Modality>,
    pub body_part: Option<String>,
    pub size: [u16; 2],
    pub frames: u32,
    pub bits: u16,
    pub channels: u16,
    pub spacing: [f64; 3],
    /// Whether its files are slices of a volume.
    pub is_volume: bool,
}

/// A DICOM file that is no image.
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub file: usize,
    pub role: Role,
    pub refers_to: Vec<String>,
    /// Whether it has pixels, so that a pattern of images would take it for one.
    pub has_pixels: bool,
}

/// All DICOM files of a folder.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    pub series: Vec<SeriesEntry>,
    pub objects: Vec<Object>,
    /// Images without a SeriesInstanceUID.
    pub without_series: Vec<usize>,
    /// Lists of identifying attributes that occur.
    pub identifying: Vec<Vec<String>>,
    by_key: BTreeMap<(String, String), usize>,
    by_list: BTreeMap<Vec<String>, usize>,
}

/// Whether a file is an image, by its header.
pub(super) fn is_image(summary: &DicomSummary) -> bool {
    role(summary) == Role::Image
}

/// Whether a file is a slice of a volume, by its header.
pub(super) fn is_slice(summary: &DicomSummary) -> bool {
    matches!(summary.modality, Some(Modality::Ct | Modality::Mr | Modality::Pet))
        && summary.channels <= 1
        && !summary.is_capture
}

fn role(summary: &DicomSummary) -> Role {
    match summary.modality_code.as_deref().unwrap_or_default() {
        "SEG" => Role::Segmentation,
        "RTSTRUCT" => Role::Structures,
        "SR" => Role::Report,
        "RTDOSE" => Role::Other("radiotherapy dose"),
        "RTPLAN" => Role::Other("radiotherapy plan"),
        "PR" => Role::Other("presentation state"),
        "KO" => Role::Other("key object selection"),
        "REG" => Role::Other("registration"),
        "RWV" => Role::Other("real-world value map"),
        _ if summary.has_pixels => Role::Image,
        "ECG" | "HD" | "EPS" => Role::Other("waveform"),
        _ => Role::Other("without pixels"),
    }
}

impl Catalogue {
    /// Takes a file up, by its header; `file` is its index, `folder` where it lies.
    pub(super) fn add(
        &mut self,
        (file, folder): (usize, &str),
        summary: DicomSummary,
        failure: Option<String>,
        print: Option<Box<Fingerprint>>,
    ) -> DicomFacts {
        let role = role(&summary);
        let (is_volume, burned_in) = (is_slice(&summary), summary.burned_in);
        let is_written_on = summary.is_capture || summary.modality == Some(Modality::Ultrasound);
        let next = self.by_list.len();
        let identifying = *self.by_list.entry(summary.identifying.clone()).or_insert(next);
        if identifying == self.identifying.len() {
            self.identifying.push(summary.identifying.clone());
        }
        let mut series = None;
        if role != Role::Image {
            let (refers_to, has_pixels) = (summary.refers_to, summary.has_pixels);
            self.objects.push(Object { file, role, refers_to, has_pixels });
        } else if summary.series.is_some() || is_volume {
            // Slices without SeriesInstanceUID: those of a folder are one series, as curate reads them.
            let uid = summary.series.clone().unwrap_or_default();
            let place = if uid.is_empty() { folder.to_owned() } else { summary.part.clone() };
            if uid.is_empty() && failure.is_none() {
                self.without_series.push(file);
            }
            let next = self.series.len();
            let at = *self.by_key.entry((uid.clone(), place)).or_insert(next);
            if at == next {
                self.series.push(SeriesEntry {
                    uid,
                    files: Vec::new(),
                    patient: summary.patient,
                    study: summary.study,
                    modality: summary.modality,
                    body_part: summary.body_part,
                    size: summary.size,
                    frames: summary.frames,
                    bits: summary.bits,
                    channels: summary.channels,
                    spacing: summary.spacing,
                    is_volume,
                });
            }
            // A file that cannot be decoded is listed as broken, not as part of a series.
            if failure.is_none() {
                self.series[at].files.push(file);
            }
            series = Some(at);
        } else if failure.is_none() {
            self.without_series.push(file);
        }
        DicomFacts { series, role, identifying, burned_in, is_written_on, failure, print }
    }

    /// What is shown of each series.
    pub(super) fn series_facts(&self, files: &[FileFacts]) -> Vec<SeriesFacts> {
        let sound = self.series.iter().filter(|series| !series.files.is_empty());
        let facts = sound.map(|series| SeriesFacts {
            folder: common_folder(series.files.iter().map(|file| files[*file].path.as_str())),
            files: series.files.len() as u64,
            modality: series.modality,
            body_part: series.body_part.clone(),
            size: series.size,
            frames: series.frames,
            bits: series.bits,
            spacing: series.spacing,
        });
        facts.collect()
    }

    /// Looks into the objects: what they mark or measure.
    pub(super) fn object_facts(&self, dir: &Path, files: &[FileFacts], decoder: &Decoder) -> Vec<ObjectFacts> {
        let uids: BTreeSet<&str> = self.series.iter().map(|series| series.uid.as_str()).collect();
        let look = |object: &Object| look_into(object, &dir.join(&files[object.file].path), &uids, decoder);
        let looked: Vec<Inside> = self.objects.par_iter().map(look).collect();
        let facts = self.objects.iter().zip(looked).map(|(object, inside)| ObjectFacts {
            path: files[object.file].path.clone(),
            kind: match object.role {
                Role::Segmentation => "segmentation",
                Role::Structures => "structure set",
                Role::Report if inside.entries > 0 => "measurement report",
                Role::Report => "report",
                Role::Other(name) => name,
                Role::Image => "image",
            },
            entries: inside.entries,
            names: inside.names,
            has_series: inside.has_series,
        });
        facts.collect()
    }

    /// What the series of a patient, study or series identifier are called in a config, with the series of each value.
    pub(super) fn identifiers(&self) -> [(&'static str, BTreeMap<&str, Vec<usize>>); 3] {
        let by = |value: fn(&SeriesEntry) -> Option<&str>| {
            let mut found: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
            for (index, series) in self.series.iter().enumerate() {
                if let Some(value) = value(series).map(str::trim).filter(|value| !value.is_empty()) {
                    found.entry(value).or_default().push(index);
                }
            }
            found
        };
        [
            ("PatientID", by(|series| series.patient.as_deref())),
            ("StudyInstanceUID", by(|series| series.study.as_deref())),
            ("SeriesInstanceUID", by(|series| Some(&series.uid))),
        ]
    }
}

#[derive(Default)]
struct Inside {
    entries: u64,
    names: Vec<String>,
    has_series: bool,
}

/// What cannot be read is shown as empty here; a draft that names it has the reader's own message.
fn look_into(object: &Object, path: &Path, series: &BTreeSet<&str>, decoder: &Decoder) -> Inside {
    let known = |uid: &String| series.contains(uid.as_str());
    let has_series = object.refers_to.iter().any(known);
    match object.role {
        Role::Segmentation => decoder.read_segmentation(path).map_or_else(
            |_| Inside { has_series: false, ..Inside::default() },
            |read| {
                let names: Vec<String> = read.segments.iter().map(|segment| segment.label.clone()).collect();
                Inside {
                    entries: names.len() as u64,
                    names,
                    has_series: has_series || read.series.as_ref().is_some_and(known),
                }
            },
        ),
        Role::Structures => decoder.read_structures(path).map_or_else(
            |_| Inside { has_series: false, ..Inside::default() },
            |read| {
                let names: Vec<String> = read.rois.iter().map(|roi| roi.name.clone()).collect();
                Inside { entries: names.len() as u64, names, has_series: has_series || read.series.iter().any(known) }
            },
        ),
        Role::Report => decoder.read_measurements(path).map_or_else(
            |_| Inside { has_series, ..Inside::default() },
            |read| {
                let of_series = |measurement: &gmai_imaging::ReportedMeasurement| measurement.series.iter().any(known);
                Inside {
                    entries: read.measurements.len() as u64,
                    names: Vec::new(),
                    has_series: has_series || read.measurements.iter().any(of_series),
                }
            },
        ),
        Role::Image | Role::Other(_) => Inside { has_series, ..Inside::default() },
    }
}
