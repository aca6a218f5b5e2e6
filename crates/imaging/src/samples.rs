//! What a DICOM file stores, frame by frame, before any rescale, window or palette.

use crate::data_set::DicomFile;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::pixels::Frames;
use crate::sniff::{FileKind, sniff};
use std::path::Path;

/// The stored numbers of all frames of a DICOM file.
#[derive(Debug, Clone, PartialEq)]
pub struct DicomSamples {
    /// Columns of a frame.
    pub columns: usize,
    /// Rows of a frame.
    pub rows: usize,
    /// Frames.
    pub frames: usize,
    /// Samples a pixel: 1, or 3 for colour, which is red, green and blue whatever the file stores.
    pub channels: usize,
    /// Frame by frame, row by row, the samples of a pixel side by side. Numbers as stored, with their sign; palette indices as indices.
    pub values: Vec<f32>,
}

/// Reads the stored numbers of a DICOM file: for comparisons with other decoders, and for objects whose frames are no pictures
/// (segmentations, dose, parametric maps).
pub fn read_dicom_samples(path: &Path, limits: &Limits) -> Result<DicomSamples> {
    limits.check_file(path)?;
    match sniff(path)? {
        Some(FileKind::Dicom) => {}
        Some(found) => return Err(Error::WrongKind { path: path.into(), found, expected: "a DICOM file" }),
        None => return Err(Error::NotAnImage { path: path.into() }),
    }
    let file = DicomFile::read(path, limits)?;
    let frames = Frames::open(&file, limits)?;
    let layout = &frames.layout;
    let (columns, rows) = (usize::from(layout.columns), usize::from(layout.rows));
    let num_frames = layout.frames as usize;
    limits.check_voxels(path, [columns * usize::from(layout.samples), rows, num_frames])?;
    let mut values = Vec::new();
    for frame in 0..layout.frames {
        values.extend(frames.samples(frame)?);
    }
    Ok(DicomSamples { columns, rows, frames: num_frames, channels: usize::from(layout.samples), values })
}
