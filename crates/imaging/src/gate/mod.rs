//! The gate before every decoder: what a file's header claims, compared by our own arithmetic with the bytes that are there
//! and with the limits, before a decoder sees any of it or anything of the claimed size is reserved.
//!
//! ```text
//! PNG, JPEG, BMP, WebP   picture.rs   size; PNG and BMP also against the file's length
//! TIFF                   tiff.rs      size, every value outside the directory, uncompressed strips
//! DICOM                  dicom.rs     size, frames, the length of the pixel element
//! NIfTI, NRRD, MetaImage ../grid.rs   size, data type, offset; gzip against its greatest ratio
//! ```
//! The gate refuses what cannot be true or must not be; everything else that may be wrong with a file is the reader's to say.
//! It reads a few KiB, at most [`MAX_HEADER_BYTES`], and products are formed in 128 bits.

mod dicom;
mod picture;
mod tiff;

use crate::error::{Error, Result};
use crate::grid::{self, Input, MAX_DEFLATE_RATIO, Promise};
use crate::limits::Limits;
use crate::sniff::{FileKind, HEAD_BYTES, kind_of, sniff};
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

/// Headers longer than this are left to the reader.
const MAX_HEADER_BYTES: u64 = 64 << 20;

/// What a file that passed the gate may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Promised {
    /// Length of the file, in bytes.
    pub(crate) file_bytes: u64,
    /// Voxels, where it is a volume; 0 for pictures.
    pub(crate) voxels: u64,
    /// Whether the file can be decoded without another beside it.
    pub(crate) is_alone: bool,
}

/// Refuses a file whose header claims what its bytes cannot hold or the limits do not allow.
pub(crate) fn check(path: &Path, limits: &Limits) -> Result<Promised> {
    let failed = |source| Error::io(path, source);
    let file_bytes = match limits.check_file(path) {
        Err(Error::TooLarge { .. }) if sniff(path)?.is_none() => return Err(Error::NotAnImage { path: path.into() }),
        length => length?,
    };
    let mut file = File::open(path).map_err(failed)?;
    let head = read_head(&mut file).map_err(failed)?;
    let mut promised = Promised { file_bytes, voxels: 0, is_alone: true };
    let header = Header { path, file_bytes, limits };
    match kind_of(&head) {
        Some(FileKind::Png) => picture::png(&header, &head)?,
        Some(FileKind::Bmp) => picture::bmp(&header, &head)?,
        Some(FileKind::Webp) => picture::webp(&header, &head)?,
        Some(FileKind::Jpeg) => {
            file.rewind().map_err(failed)?;
            picture::jpeg(&header, BufReader::new(file))?;
        }
        Some(FileKind::Tiff) => tiff::check(&header, BufReader::new(file))?,
        Some(FileKind::Dicom) => promised.voxels = dicom::voxels(&header, file)?,
        Some(kind @ (FileKind::Nifti | FileKind::Nrrd | FileKind::MetaImage)) => {
            if let Some(reader) = grid::reader(kind) {
                let Promise { voxels, is_alone } = (reader.promise)(path, Input::File, limits)?;
                promised = Promised { voxels, is_alone, ..promised };
            }
        }
        None => {}
    }
    Ok(promised)
}

/// Whether a file is a TIFF whose first picture is made of tiles, as those of whole slides are; refuses one whose lists of
/// tiles lie outside the file.
pub(crate) fn is_tiled(path: &Path) -> Result<bool> {
    let failed = |source| Error::io(path, source);
    let mut file = File::open(path).map_err(failed)?;
    let head = read_head(&mut file).map_err(failed)?;
    if kind_of(&head) != Some(FileKind::Tiff) {
        return Ok(false);
    }
    let file_bytes = file.metadata().map_err(failed)?.len();
    tiff::is_tiled(&Header { path, file_bytes, limits: &Limits::default() }, BufReader::new(file))
}

fn read_head(file: &mut File) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD_BYTES as usize);
    file.by_ref().take(HEAD_BYTES).read_to_end(&mut head)?;
    Ok(head)
}

/// The file whose header is looked at.
struct Header<'a> {
    path: &'a Path,
    file_bytes: u64,
    limits: &'a Limits,
}

impl Header<'_> {
    /// Refuses a picture with no pixels or more than allowed.
    fn check_size(&self, width: u64, height: u64) -> Result<()> {
        self.limits.check_pixels(self.path, width, height).map(|_| ())
    }

    /// Refuses a file with fewer bytes than `needed` for `field`.
    fn check_length(&self, field: &str, needed: u128) -> Result<()> {
        if needed <= u128::from(self.file_bytes) {
            return Ok(());
        }
        let needed = u64::try_from(needed).unwrap_or(u64::MAX);
        Err(Error::Truncated { path: self.path.into(), field: field.into(), needed, available: self.file_bytes })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// What the gate says of a file with these bytes.
    pub(super) fn judged(bytes: &[u8]) -> Result<Promised> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("claim");
        std::fs::write(&path, bytes).unwrap();
        check(&path, &Limits::default())
    }

    #[test]
    fn text_passes_to_the_reader_and_an_empty_file_does_not() {
        assert_eq!(judged(b"a,b\n").unwrap(), Promised { file_bytes: 4, voxels: 0, is_alone: true });
        assert!(matches!(judged(b""), Err(Error::Empty { .. })));
    }
}
