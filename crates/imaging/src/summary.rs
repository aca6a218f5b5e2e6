//! What the header of one DICOM file says, for those who take stock: which series, how it was acquired, what it may give away.

use crate::data_set::{Attributes, DicomFile};
use crate::dicom;
use crate::error::Result;
use crate::limits::Limits;
use crate::series::Part;
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use gmai_schema::Modality;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Attributes by which a person can be found, directly or with what others know (PS3.15 Annex E has all of them).
const IDENTIFYING: [(&str, Tag); 21] = [
    ("PatientName", tags::PATIENT_NAME),
    ("PatientID", tags::PATIENT_ID),
    ("PatientBirthDate", tags::PATIENT_BIRTH_DATE),
    ("PatientBirthName", tags::PATIENT_BIRTH_NAME),
    ("PatientMotherBirthName", tags::PATIENT_MOTHER_BIRTH_NAME),
    ("PatientAddress", tags::PATIENT_ADDRESS),
    ("PatientTelephoneNumbers", tags::PATIENT_TELEPHONE_NUMBERS),
    ("PatientComments", tags::PATIENT_COMMENTS),
    ("OtherPatientIDs", Tag(0x0010, 0x1000)), // Retired, and still in archives.
    ("OtherPatientNames", tags::OTHER_PATIENT_NAMES),
    ("AccessionNumber", tags::ACCESSION_NUMBER),
    ("StudyDate", tags::STUDY_DATE),
    ("InstitutionName", tags::INSTITUTION_NAME),
    ("InstitutionAddress", tags::INSTITUTION_ADDRESS),
    ("StationName", tags::STATION_NAME),
    ("DeviceSerialNumber", tags::DEVICE_SERIAL_NUMBER),
    ("ReferringPhysicianName", tags::REFERRING_PHYSICIAN_NAME),
    ("PerformingPhysicianName", tags::PERFORMING_PHYSICIAN_NAME),
    ("PhysiciansOfRecord", tags::PHYSICIANS_OF_RECORD),
    ("RequestingPhysician", tags::REQUESTING_PHYSICIAN),
    ("OperatorsName", tags::OPERATORS_NAME),
];

/// The header of one DICOM file. Identifiers are raw: whoever shows or stores them must not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DicomSummary {
    /// SOPClassUID: what kind of object the file is.
    pub sop_class: Option<String>,
    /// Modality as written.
    pub modality_code: Option<String>,
    /// Modality of the vocabulary; `None` for codes that name no kind of image in it.
    pub modality: Option<Modality>,
    /// BodyPartExamined.
    pub body_part: Option<String>,
    /// PatientID.
    pub patient: Option<String>,
    /// StudyInstanceUID.
    pub study: Option<String>,
    /// SeriesInstanceUID.
    pub series: Option<String>,
    /// What tells volumes under one SeriesInstanceUID apart (direction, size, echo, diffusion weighting, kind of MR image).
    pub part: String,
    /// SOPInstanceUID.
    pub instance: Option<String>,
    /// SeriesInstanceUIDs that a segmentation, structure set or report refers to at its first level.
    pub refers_to: Vec<String>,
    /// Whether there are pixels to be shown.
    pub has_pixels: bool,
    /// Columns and rows.
    pub size: [u16; 2],
    /// Frames in this file.
    pub frames: u32,
    /// BitsStored.
    pub bits: u16,
    /// SamplesPerPixel: 1 grey or palette, 3 colour.
    pub channels: u16,
    /// Distance of neighbouring columns, rows and slices in mm; 0 where the file says nothing. Of projections, at the detector.
    pub spacing: [f64; 3],
    /// BurnedInAnnotation: what the maker of the file says of writing in the pixels.
    pub burned_in: Option<bool>,
    /// Whether the picture was captured from a screen or scanned, where writing in the pixels is common.
    pub is_capture: bool,
    /// Keywords of identifying attributes that have a value; `private attributes` and `overlays` for such groups.
    pub identifying: Vec<String>,
}

impl DicomSummary {
    /// Reads the part of a file before its pixels.
    pub fn read(path: &Path, limits: &Limits) -> Result<DicomSummary> {
        Ok(DicomSummary::of(&DicomFile::read_header(path, limits)?))
    }

    pub(crate) fn of(header: &DicomFile) -> DicomSummary {
        let root = header.root();
        let code = root.text(tags::MODALITY);
        let numbers = |tag| root.decimals(tag).filter(|values| values.len() >= 2);
        let in_plane = numbers(tags::PIXEL_SPACING).or_else(|| numbers(tags::IMAGER_PIXEL_SPACING));
        let [row, column] = in_plane.map_or([0.0; 2], |values| [values[0], values[1]]);
        let step = root.decimal(tags::SPACING_BETWEEN_SLICES).or_else(|| root.decimal(tags::SLICE_THICKNESS));
        let sop_class = root.text(tags::SOP_CLASS_UID);
        DicomSummary {
            is_capture: is_capture(&root, sop_class.as_deref()),
            sop_class,
            modality: code.as_deref().and_then(dicom::modality),
            modality_code: code,
            body_part: root.text(tags::BODY_PART_EXAMINED),
            patient: root.text(tags::PATIENT_ID),
            study: root.text(tags::STUDY_INSTANCE_UID),
            series: root.text(tags::SERIES_INSTANCE_UID),
            part: Part::read(&root).key(),
            instance: root.text(tags::SOP_INSTANCE_UID),
            refers_to: referred(&root),
            has_pixels: root.has(tags::ROWS)
                && [tags::PIXEL_DATA, tags::FLOAT_PIXEL_DATA, tags::DOUBLE_FLOAT_PIXEL_DATA]
                    .into_iter()
                    .any(|tag| root.has(tag)),
            size: [tags::COLUMNS, tags::ROWS].map(|tag| root.short(tag).unwrap_or(0)),
            frames: root.decimal(tags::NUMBER_OF_FRAMES).map_or(1, |frames| frames.clamp(1.0, 1e9) as u32),
            bits: root.short(tags::BITS_STORED).unwrap_or(0),
            channels: root.short(tags::SAMPLES_PER_PIXEL).unwrap_or(1),
            spacing: [column, row, step.unwrap_or(0.0).abs()],
            burned_in: root.text(tags::BURNED_IN_ANNOTATION).map(|text| text.eq_ignore_ascii_case("YES")),
            identifying: identifying(&root),
        }
    }
}

/// PS3.4 B.5: Secondary Capture and its multi-frame kinds.
const SECONDARY_CAPTURE: &str = "1.2.840.10008.5.1.4.1.1.7";

fn is_capture(root: &Attributes<'_>, sop_class: Option<&str>) -> bool {
    let is_class = sop_class.is_some_and(|uid| {
        uid.strip_prefix(SECONDARY_CAPTURE).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    });
    // PS3.3 C.8.6.1: from a screen, a digitised film or a workstation.
    is_class || root.text(tags::CONVERSION_TYPE).is_some()
}

fn identifying(root: &Attributes<'_>) -> Vec<String> {
    let named = IDENTIFYING.iter().filter(|(_, tag)| root.text(*tag).is_some()).map(|(name, _)| (*name).to_string());
    let mut found: Vec<String> = named.collect();
    if root.tags().any(|tag| tag.0 % 2 == 1) {
        found.push("private attributes".to_string());
    }
    if root.tags().any(|tag| (0x6000..0x6100).contains(&tag.0)) {
        found.push("overlays".to_string());
    }
    found
}

/// The series that an object says it is about: ReferencedSeriesSequence, or within a frame of reference of a structure set.
fn referred(root: &Attributes<'_>) -> Vec<String> {
    let mut series: Vec<String> = Vec::new();
    let mut add = |item: &Attributes<'_>| series.extend(item.text(tags::SERIES_INSTANCE_UID));
    root.items(tags::REFERENCED_SERIES_SEQUENCE).iter().for_each(&mut add);
    for frame in root.items(tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE) {
        for study in frame.items(tags::RT_REFERENCED_STUDY_SEQUENCE) {
            study.items(tags::RT_REFERENCED_SERIES_SEQUENCE).iter().for_each(&mut add);
        }
    }
    for evidence in root.items(tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE) {
        evidence.items(tags::REFERENCED_SERIES_SEQUENCE).iter().for_each(&mut add);
    }
    series.sort();
    series.dedup();
    series
}
