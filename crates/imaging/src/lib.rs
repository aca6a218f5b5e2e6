//! DICOM, NIfTI, NRRD, MetaImage, PNG, JPEG, TIFF, BMP and WebP files as pixels with physical meaning, and those as 8-bit RGB.
//!
//! ```text
//! file -> sniff -> read / read_series -> Scan { Picture | Volume }      sniff.rs, dicom.rs, series.rs, nifti.rs, raster.rs
//!                  Volume -> plane -> window -> render -> Rgb8            volume.rs, plane.rs, window.rs, render.rs
//!                  read_label_map -> plane -> mask -> boxes               label.rs, mask.rs
//!                  Segmentation, StructureSet -> label maps on a volume   segmentation.rs, structure_set.rs, placement.rs
//!                  read_measurements -> numbers with units and sites      measurement_report.rs
//! ```
//! Volumes are in patient orientation (x right, y front, z head); see `orient.rs`. Files come from outside: sizes are
//! checked with our own arithmetic before anything is allocated (`gate/`, `limits.rs`, `elements.rs`), decoders that panic give an
//! error, and a [`Decoder`] runs them in processes that can do nothing else (`worker/`). The same bytes always give the same pixels.

mod codec;
mod data_set;
mod decoder;
mod dicom;
mod digest;
mod elements;
mod error;
mod frames;
mod gate;
mod grey;
mod grid;
mod jpeg2000;
mod label;
mod limits;
mod lookup;
mod mask;
mod measurement_report;
mod metaimage;
mod mosaic;
mod nifti;
mod nifti_header;
mod nrrd;
mod orient;
mod palette;
mod pixels;
mod placement;
mod plane;
mod raster;
mod render;
mod rle;
mod samples;
mod segmentation;
mod series;
mod slide;
mod sniff;
mod stack;
mod structure_set;
mod summary;
mod tiff;
mod volume;
mod voxels;
mod window;
mod worker;

pub use decoder::Decoder;
pub use digest::sha256_file;
pub use error::{Error, Result};
pub use label::{LabelMap, read_label_map};
pub use limits::Limits;
pub use mask::{Component, Mask, PixelBox, read_mask};
pub use measurement_report::{MeasurementReport, ReportedMeasurement, read_measurements};
pub use orient::Affine;
pub use placement::{Instance, instances, slice_of};
pub use plane::{DisplaySize, Geometry, LabelPlane, Plane};
pub use raster::DeepGrey;
pub use render::render;
pub use samples::{DicomSamples, read_dicom_samples};
pub use segmentation::{Segment, Segmentation, SegmentationFacts};
pub use series::{Series, SeriesSurvey, group_series, read_series, survey_series};
pub use slide::{Slide, SlideLevel, SlidePicture};
pub use sniff::{FileKind, sniff};
pub use structure_set::{Drawn, Roi, StructureSet};
pub use summary::DicomSummary;
pub use volume::Volume;
pub use window::{WindowRule, window};
pub use worker::{WorkerOptions, serve_decode_worker};

use gmai_schema::{Modality, Rgb8, SliceRef, WindowRef};
use std::path::Path;

/// An image file, read.
#[derive(Debug, Clone)]
pub struct Scan {
    /// Format of the file.
    pub kind: FileKind,
    /// Its pixels.
    pub content: Content,
    /// How it was acquired, where the file says so (DICOM only).
    pub modality: Option<Modality>,
    /// Raw PatientID (DICOM only): the caller must turn it into a pseudonym.
    pub patient: Option<String>,
    /// StudyInstanceUID (DICOM only).
    pub study: Option<String>,
    /// SeriesInstanceUID (DICOM only).
    pub series: Option<String>,
    /// SHA-256 of the file's bytes in hex; for a series, of the sorted hashes of its files.
    pub sha256: String,
    /// The window that made a picture out of stored grey values (DICOM only).
    pub window: Option<WindowRef>,
    /// What a person should know: volumes left out, sides not known, tables not applied.
    pub notes: Vec<String>,
}

/// The pixels of a [`Scan`].
#[derive(Debug, Clone)]
pub enum Content {
    /// A finished picture.
    Picture(Rgb8),
    /// A volume, to be cut and windowed.
    Volume(Volume),
}

/// Reads an image file of any format.
///
/// - PNG, JPEG, TIFF, BMP, WebP: a picture, with Pillow's values; alpha dropped, orientation applied in TIFF and not in the
///   other formats (as the processors of published checkpoints see it), 16-bit grey stretched to its range ([`DeepGrey::Stretch`]).
/// - Whole-slide TIFF: the finest picture of at most 4096 x 4096 pixels, with a note; see [`Slide`] for its levels and tiles.
/// - NIfTI, NRRD, MetaImage: a volume in patient orientation, rescaled; of several volumes the first, with a note.
/// - DICOM with one frame, or colour: a picture, rescaled and windowed as the file says (else its full range), MONOCHROME1
///   inverted, palettes and YBR turned to RGB. DICOM with several grey frames: a volume.
pub fn read(path: &Path, limits: &Limits) -> Result<Scan> {
    if let Some(scan) = read_slide(path, limits)? {
        return Ok(scan);
    }
    gate::check(path, limits)?;
    read_gated(path, limits)
}

/// The overview of a whole slide; `None` for every other file. Its tiles are read where they lie in a file of any length.
pub(crate) fn read_slide(path: &Path, limits: &Limits) -> Result<Option<Scan>> {
    if gate::is_tiled(path)? { slide::read_overview(path, limits) } else { Ok(None) }
}

/// Reads a file that passed the gate.
pub(crate) fn read_gated(path: &Path, limits: &Limits) -> Result<Scan> {
    let kind = sniff(path)?.ok_or_else(|| Error::NotAnImage { path: path.into() })?;
    match grid::reader(kind) {
        Some(reader) => grid::read(path, kind, reader, grid::Input::File, limits),
        None => read_bytes(path, std::fs::read(path).map_err(|source| Error::io(path, source))?, limits),
    }
}

/// As [`read`], from the file's bytes; `path` is for messages. A file that needs another beside it is refused.
pub(crate) fn read_bytes(path: &Path, bytes: Vec<u8>, limits: &Limits) -> Result<Scan> {
    let kind = sniff::kind_of_file(&bytes).ok_or_else(|| Error::NotAnImage { path: path.into() })?;
    if let Some(reader) = grid::reader(kind) {
        return grid::read(path, kind, reader, grid::Input::Memory(&bytes), limits);
    }
    match kind {
        FileKind::Dicom => dicom::from_bytes(path, bytes, limits),
        kind => Ok(Scan {
            kind,
            content: Content::Picture(raster::decode(path, &bytes, DeepGrey::Stretch, limits)?),
            modality: None,
            patient: None,
            study: None,
            series: None,
            sha256: digest::sha256_bytes(&bytes),
            window: None,
            notes: Vec::new(),
        }),
    }
}

/// Reads a PNG, JPEG, TIFF, BMP or WebP file as 8-bit RGB, with a rule of one's own for 16-bit grey.
pub fn read_picture(path: &Path, deep_grey: DeepGrey, limits: &Limits) -> Result<Rgb8> {
    gate::check(path, limits)?;
    let bytes = std::fs::read(path).map_err(|source| Error::io(path, source))?;
    raster::decode(path, &bytes, deep_grey, limits)
}

/// What chat and review pages show of a file or of a folder with one DICOM series: a picture as it is; of a volume the
/// given slice, or the middle axial one, in the default window ([`WindowRule::default`]).
pub fn display(path: &Path, slice: Option<SliceRef>, limits: &Limits) -> Result<Rgb8> {
    display_with(path, slice, WindowRule::default(), limits)
}

/// As [`display`], with a window of one's own for volumes: give the rule that the model was trained with.
pub fn display_with(path: &Path, slice: Option<SliceRef>, rule: WindowRule, limits: &Limits) -> Result<Rgb8> {
    Decoder::in_process(*limits).display_with(path, slice, rule)
}
