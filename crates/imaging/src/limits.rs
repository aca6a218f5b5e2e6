//! How much a file from outside may ask for: checked with our own arithmetic before anything is allocated.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Bounds on one file. [`Default`] suits a workstation; lower them where several files are read at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Largest file read, and the most a compressed file may grow to, in bytes.
    pub max_file_bytes: u64,
    /// Largest picture or slice, in pixels.
    pub max_pixels: u64,
    /// Largest volume, in voxels; each takes 4 bytes in memory.
    pub max_voxels: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { max_file_bytes: 2 << 30, max_pixels: 100_000_000, max_voxels: 512 << 20 }
    }
}

impl Limits {
    /// Fails when the file is empty or larger than allowed; gives its length in bytes.
    pub(crate) fn check_file(&self, path: &Path) -> Result<u64> {
        let length = std::fs::metadata(path).map_err(|source| Error::io(path, source))?.len();
        match length {
            0 => Err(Error::Empty { path: path.into() }),
            length if length > self.max_file_bytes => Err(Error::TooLarge {
                path: path.into(),
                what: "file size in bytes",
                found: length,
                limit: self.max_file_bytes,
            }),
            length => Ok(length),
        }
    }

    /// Fails when a picture has no pixels or more than allowed; gives their number.
    pub(crate) fn check_pixels(&self, path: &Path, width: u64, height: u64) -> Result<usize> {
        bounded_product(path, "image size in pixels", &[width, height], self.max_pixels)
    }

    /// Fails when a volume has no voxels or more than allowed; gives their number.
    pub(crate) fn check_voxels(&self, path: &Path, dims: [usize; 3]) -> Result<usize> {
        bounded_product(path, "volume size in voxels", &dims.map(|size| size as u64), self.max_voxels)
    }
}

fn bounded_product(path: &Path, what: &'static str, sizes: &[u64], limit: u64) -> Result<usize> {
    let product = sizes.iter().fold(1u64, |product, size| product.saturating_mul(*size));
    if product == 0 {
        return Err(Error::Malformed { path: path.into(), field: what.into(), reason: format!("is 0 ({sizes:?})") });
    }
    if product > limit || usize::try_from(product).is_err() {
        return Err(Error::TooLarge { path: path.into(), what, found: product, limit });
    }
    Ok(product as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_overflow_are_refused() {
        let limits = Limits::default();
        let huge = limits.check_voxels(Path::new("a.nii"), [usize::MAX, usize::MAX, 2]);
        assert!(matches!(huge, Err(Error::TooLarge { .. })));
        assert!(limits.check_pixels(Path::new("a.png"), 0, 5).is_err());
        assert!(limits.check_pixels(Path::new("a.png"), 4, 5).is_ok_and(|count| count == 20));
    }
}
