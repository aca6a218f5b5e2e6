//! Picture and volume files without what stands beside the pixels: texts, EXIF, labels, thumbnails, trailing bytes.
//!
//! Each cleaner copies what it knows to be needed for the pixels; everything else stays behind. Pixels are not decoded, so they are
//! the same bit for bit.

mod jpeg;
mod name;
mod nifti;
mod png;
mod tiff;
mod webp;

pub use jpeg::clean_jpeg;
pub use name::{clean_path, risk_in_name};
pub use nifti::clean_nifti;
pub use png::clean_png;
pub use tiff::clean_tiff;
pub use webp::clean_webp;

use std::collections::BTreeMap;

/// A file without its side matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stripped {
    /// The file.
    pub bytes: Vec<u8>,
    /// What was left behind, e.g. `EXIF` or `tEXt`, with the number of times.
    pub removed: BTreeMap<String, u64>,
}

impl Stripped {
    fn new(capacity: usize) -> Stripped {
        Stripped { bytes: Vec::with_capacity(capacity), removed: BTreeMap::new() }
    }

    fn note(&mut self, what: impl Into<String>) {
        *self.removed.entry(what.into()).or_default() += 1;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
