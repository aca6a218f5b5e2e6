//! Uncompressed DICOM slices, written with dicom-object.

use crate::error::{Error, Result, make_folder_of};
use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use std::path::Path;

/// One grey slice with its place in the patient.
#[derive(Debug, Clone)]
pub struct DicomImage {
    /// PatientID; PatientName is made from it.
    pub patient: String,
    /// StudyInstanceUID.
    pub study: String,
    /// SeriesInstanceUID.
    pub series: String,
    /// SOPInstanceUID.
    pub instance: String,
    /// InstanceNumber.
    pub instance_number: u32,
    /// DICOM code, e.g. `CT`.
    pub modality: String,
    /// Columns.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
    /// Stored values, row by row.
    pub values: Vec<i16>,
    /// RescaleSlope.
    pub slope: f64,
    /// RescaleIntercept.
    pub intercept: f64,
    /// WindowCenter and WindowWidth in rescaled units.
    pub window: Option<[f64; 2]>,
    /// PhotometricInterpretation: `MONOCHROME1` or `MONOCHROME2`.
    pub photometric: String,
    /// ImagePositionPatient in mm.
    pub position: [f64; 3],
    /// ImageOrientationPatient.
    pub orientation: [f64; 6],
    /// PixelSpacing (between rows, between columns) in mm.
    pub spacing: [f64; 2],
    /// SliceThickness in mm.
    pub thickness: f64,
}

impl DicomImage {
    /// An axial CT slice of 1 mm pixels at the origin, values in Hounsfield units, without a window.
    pub fn ct(columns: u16, rows: u16, values: Vec<i16>) -> DicomImage {
        DicomImage {
            patient: "P0".to_string(),
            study: "2.25.1".to_string(),
            series: "2.25.2".to_string(),
            instance: "2.25.3".to_string(),
            instance_number: 1,
            modality: "CT".to_string(),
            columns,
            rows,
            values,
            slope: 1.0,
            intercept: 0.0,
            window: None,
            photometric: "MONOCHROME2".to_string(),
            position: [0.0; 3],
            orientation: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
            spacing: [1.0; 2],
            thickness: 1.0,
        }
    }
}

/// Writes one slice as DICOM part 10, explicit VR little endian.
pub fn write_dicom(path: &Path, image: &DicomImage) -> Result<()> {
    if image.values.len() != usize::from(image.columns) * usize::from(image.rows) {
        let reason = format!("{} values for {} x {} pixels", image.values.len(), image.columns, image.rows);
        return Err(Error::encode(path, reason));
    }
    make_folder_of(path)?;
    let class = if image.modality == "MR" { uids::MR_IMAGE_STORAGE } else { uids::CT_IMAGE_STORAGE };
    let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let object = InMemDicomObject::from_element_iter(elements(image, class));
    let file = object.with_meta(meta).map_err(|error| Error::encode(path, error))?;
    file.write_to_file(path).map_err(|error| Error::encode(path, error))
}

fn elements(image: &DicomImage, class: &str) -> Vec<DataElement<InMemDicomObject>> {
    let text = |tag: Tag, vr: VR, value: &str| DataElement::new(tag, vr, PrimitiveValue::from(value));
    let short = |tag: Tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
    let numbers = |tag: Tag, values: &[f64]| {
        let parts: Vec<String> = values.iter().map(|value| decimal_string(*value)).collect();
        DataElement::new(tag, VR::DS, PrimitiveValue::Strs(parts.into()))
    };
    let mut elements = vec![
        text(tags::SOP_CLASS_UID, VR::UI, class),
        text(tags::SOP_INSTANCE_UID, VR::UI, &image.instance),
        text(tags::MODALITY, VR::CS, &image.modality),
        text(tags::SERIES_DESCRIPTION, VR::LO, "made-up scan"),
        text(tags::PATIENT_NAME, VR::PN, &format!("MADEUP^{}", image.patient)),
        text(tags::PATIENT_ID, VR::LO, &image.patient),
        numbers(tags::SLICE_THICKNESS, &[image.thickness]),
        text(tags::STUDY_INSTANCE_UID, VR::UI, &image.study),
        text(tags::SERIES_INSTANCE_UID, VR::UI, &image.series),
        text(tags::INSTANCE_NUMBER, VR::IS, &image.instance_number.to_string()),
        numbers(tags::IMAGE_POSITION_PATIENT, &image.position),
        numbers(tags::IMAGE_ORIENTATION_PATIENT, &image.orientation),
        short(tags::SAMPLES_PER_PIXEL, 1),
        text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, &image.photometric),
        short(tags::ROWS, image.rows),
        short(tags::COLUMNS, image.columns),
        numbers(tags::PIXEL_SPACING, &image.spacing),
        short(tags::BITS_ALLOCATED, 16),
        short(tags::BITS_STORED, 16),
        short(tags::HIGH_BIT, 15),
        short(tags::PIXEL_REPRESENTATION, 1),
    ];
    if let Some([centre, width]) = image.window {
        elements.push(numbers(tags::WINDOW_CENTER, &[centre]));
        elements.push(numbers(tags::WINDOW_WIDTH, &[width]));
    }
    elements.push(numbers(tags::RESCALE_INTERCEPT, &[image.intercept]));
    elements.push(numbers(tags::RESCALE_SLOPE, &[image.slope]));
    let words: Vec<u16> = image.values.iter().map(|value| *value as u16).collect();
    elements.push(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(words.into())));
    elements
}

/// A decimal string holds at most 16 characters (PS3.5 6.2).
fn decimal_string(value: f64) -> String {
    let text = format!("{value}");
    if text.len() <= 16 { text } else { format!("{value:.8}").chars().take(16).collect() }
}
