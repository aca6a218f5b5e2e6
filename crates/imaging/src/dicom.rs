//! One DICOM file: a picture, or a volume when it holds several grey frames or a mosaic of slices.

use crate::data_set::{Attributes, DicomFile};
use crate::digest::sha256_bytes;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::mosaic::{self, Mosaic};
use crate::pixels::{Frames, Photometric};
use crate::sniff::FileKind;
use crate::{Content, Scan, frames, grey, palette};
use dicom_dictionary_std::tags;
use gmai_schema::{Modality, Rgb8};
use std::path::Path;

/// Reads one DICOM file.
pub(crate) fn read(path: &Path, limits: &Limits) -> Result<Scan> {
    limits.check_file(path)?;
    from_bytes(path, std::fs::read(path).map_err(|source| Error::io(path, source))?, limits)
}

/// As [`read`], from the file's bytes.
pub(crate) fn from_bytes(path: &Path, bytes: Vec<u8>, limits: &Limits) -> Result<Scan> {
    let sha256 = sha256_bytes(&bytes);
    let file = DicomFile::from_bytes(path, bytes, limits)?;
    let mut scan = Scan { sha256, ..identified(&file.root()) };
    let frames = Frames::open(&file, limits)?;
    let layout = &frames.layout;
    let is_grey = layout.photometric.is_grey();
    if is_grey && layout.frames > 1 {
        scan.content = Content::Volume(frames::read_volume(&file, &frames, limits, &mut scan.notes)?);
        return Ok(scan);
    }
    if is_grey && mosaic::is_mosaic(&file.root()) {
        match Mosaic::read(&file.root(), layout) {
            Ok(mosaic) => {
                scan.content = Content::Volume(mosaic.volume(&file, &frames, limits)?);
                return Ok(scan);
            }
            Err(reason) => scan.notes.push(format!("a mosaic whose slices lie side by side in one picture: {reason}")),
        }
    }
    if layout.frames > 1 {
        scan.notes.push(format!("{} colour frames, the first is used", layout.frames));
    }
    let pixels = match layout.photometric {
        Photometric::Monochrome1 | Photometric::Monochrome2 => {
            let shown = grey::show(&file, layout, 0, frames.grey(0)?)?;
            scan.window = shown.window;
            scan.notes.extend(shown.notes);
            shown.pixels
        }
        Photometric::Palette => palette::picture(&file, &frames, 0)?,
        _ => frames.colour(0)?,
    };
    let picture = Rgb8::new(u32::from(layout.columns), u32::from(layout.rows), pixels);
    scan.content = Content::Picture(picture.ok_or_else(|| Error::decode(path, "pixels do not fill the picture"))?);
    Ok(scan)
}

/// A scan with what the header says of patient and acquisition; pixels and hash are filled in by the caller.
pub(crate) fn identified(root: &Attributes<'_>) -> Scan {
    Scan {
        kind: FileKind::Dicom,
        content: Content::Picture(Rgb8::filled(1, 1, [0; 3])),
        modality: root.text(tags::MODALITY).and_then(|code| modality(&code)),
        patient: root.text(tags::PATIENT_ID),
        study: root.text(tags::STUDY_INSTANCE_UID),
        series: root.text(tags::SERIES_INSTANCE_UID),
        sha256: String::new(),
        window: None,
        notes: Vec::new(),
    }
}

/// The modality that a DICOM code stands for (PS3.3 C.7.3.1.1.1); `None` for codes that do not name an image modality of
/// the vocabulary.
pub(crate) fn modality(code: &str) -> Option<Modality> {
    Some(match code {
        "CT" => Modality::Ct,
        "MR" => Modality::Mr,
        "CR" | "DX" | "DR" | "RG" | "RF" | "XA" | "MG" | "PX" | "IO" => Modality::XRay,
        "US" | "IVUS" => Modality::Ultrasound,
        "PT" => Modality::Pet,
        "SM" => Modality::Pathology,
        "GM" => Modality::Microscopy,
        "ES" => Modality::Endoscopy,
        "DMS" => Modality::Dermoscopy,
        "OP" => Modality::Fundus,
        "OPT" => Modality::Oct,
        _ => return None,
    })
}
