//! Made-up medical data: scans of six modalities with annotations for the quickstart, and small files for tests.
//!
//! Everything is computed from a seed: shapes and value noise, no clock, no network. Equal seeds give equal bytes. Nothing
//! here shows a person; the shapes are chosen so that a tiny network can learn the classes, not to look real.

mod dicom_file;
mod error;
pub mod fake_endpoint;
pub mod hostile;
mod mutate;
mod nifti_file;
mod picture_file;
pub mod scans;

pub use dicom_file::{DicomImage, write_dicom};
pub use error::{Error, Result};
pub use mutate::mutant;
pub use nifti_file::{NiftiImage, NiftiVoxels, nifti_bytes, write_nifti};
pub use picture_file::{write_grey_png, write_grey16_png, write_rgb_png};
pub use scans::{FolderSummary, ScanSet, ScanSetSummary, write_quickstart_data};
