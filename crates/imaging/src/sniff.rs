//! What kind of image a file holds, told by its content alone: names and endings lie.

use crate::data_set;
use crate::error::{Error, Result};
use flate2::read::GzDecoder;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A format that [`read`](crate::read) understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FileKind {
    /// DICOM part 10, or a bare data set.
    Dicom,
    /// NIfTI, plain or gzipped; also the header of a pair.
    Nifti,
    /// NRRD, its header at least.
    Nrrd,
    /// MetaImage (.mha, .mhd), its header at least.
    MetaImage,
    /// Portable Network Graphics.
    Png,
    /// JPEG.
    Jpeg,
    /// TIFF, whole-slide variants included.
    Tiff,
    /// Windows bitmap.
    Bmp,
    /// WebP.
    Webp,
}

impl FileKind {
    /// The key written in reports and logs.
    pub fn key(self) -> &'static str {
        match self {
            FileKind::Dicom => "dicom",
            FileKind::Nifti => "nifti",
            FileKind::Nrrd => "nrrd",
            FileKind::MetaImage => "metaimage",
            FileKind::Png => "png",
            FileKind::Jpeg => "jpeg",
            FileKind::Tiff => "tiff",
            FileKind::Bmp => "bmp",
            FileKind::Webp => "webp",
        }
    }

    /// Whether one file may hold a volume.
    pub fn may_be_volume(self) -> bool {
        matches!(self, FileKind::Dicom | FileKind::Nifti | FileKind::Nrrd | FileKind::MetaImage)
    }
}

/// Bytes looked at: the NIfTI magic ends at 348, DICOM needs 132 and a few elements.
pub(crate) const HEAD_BYTES: u64 = 1024;

/// The kind of image in a file; `None` when it is not an image (an empty file included).
pub fn sniff(path: &Path) -> Result<Option<FileKind>> {
    let file = File::open(path).map_err(|source| Error::io(path, source))?;
    let mut head = Vec::with_capacity(HEAD_BYTES as usize);
    file.take(HEAD_BYTES).read_to_end(&mut head).map_err(|source| Error::io(path, source))?;
    Ok(kind_of(&head))
}

/// The kind of image that all bytes of a file are: what [`sniff`] says of it.
pub(crate) fn kind_of_file(bytes: &[u8]) -> Option<FileKind> {
    kind_of(&bytes[..bytes.len().min(HEAD_BYTES as usize)])
}

/// The kind of image that bytes begin like.
pub(crate) fn kind_of(head: &[u8]) -> Option<FileKind> {
    // First: the preamble of a DICOM file may hold the beginning of another format, TIFF as a rule (PS3.10 7.1).
    if head.get(128..132) == Some(b"DICM") {
        Some(FileKind::Dicom)
    } else if head.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some(FileKind::Png)
    } else if head.starts_with(&[0xFF, 0xD8, 0xFF]) {
        Some(FileKind::Jpeg)
    } else if head.starts_with(b"II*\0") || head.starts_with(b"MM\0*") || head.starts_with(b"II+\0") {
        Some(FileKind::Tiff)
    } else if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP") {
        Some(FileKind::Webp)
    } else if is_bmp(head) {
        Some(FileKind::Bmp)
    } else if is_nifti(head) || is_gzipped_nifti(head) {
        Some(FileKind::Nifti)
    } else if head.starts_with(b"NRRD000") {
        Some(FileKind::Nrrd)
    } else if is_metaimage(head) {
        Some(FileKind::MetaImage)
    } else if data_set::looks_like_bare_data_set(head) {
        Some(FileKind::Dicom)
    } else {
        None
    }
}

/// "BM" alone begins many texts; the size of the second header takes one of few values.
fn is_bmp(head: &[u8]) -> bool {
    head.starts_with(b"BM") && matches!(head.get(14..18), Some([12 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0]))
}

/// NIfTI-1 (single file or header of a pair) or NIfTI-2.
fn is_nifti(head: &[u8]) -> bool {
    matches!(head.get(344..348), Some(b"n+1\0" | b"ni1\0")) || matches!(head.get(4..8), Some(b"n+2\0" | b"ni2\0"))
}

/// The first lines of a MetaImage name the kind of object and its axes; other text does not.
fn is_metaimage(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head);
    let has = |key: &str| text.lines().any(|line| line.split_once('=').is_some_and(|(name, _)| name.trim() == key));
    let first = text.lines().next().and_then(|line| line.split_once('=')).map_or("", |(name, _)| name.trim());
    matches!(first, "ObjectType" | "NDims" | "Comment") && has("NDims") && has("DimSize")
}

pub(crate) fn is_gzip(head: &[u8]) -> bool {
    head.starts_with(&[0x1F, 0x8B])
}

fn is_gzipped_nifti(head: &[u8]) -> bool {
    if !is_gzip(head) {
        return false;
    }
    let mut content = Vec::new();
    // An error after enough bytes is expected: the head is cut off in mid-stream.
    let _ = GzDecoder::new(head).take(348).read_to_end(&mut content);
    is_nifti(&content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_begins_like_an_image_is_not_one() {
        assert_eq!(kind_of(b"BMI,age\n23.4,50\n"), None);
        assert_eq!(kind_of(b"II* and MM"), None);
        assert_eq!(kind_of(b"NDims = 3 axes of the grid\n"), None);
        assert_eq!(kind_of(b"ObjectType = Image\nNDims = 3\nDimSize = 2 2 2\n"), Some(FileKind::MetaImage));
        assert_eq!(kind_of(b""), None);
        let dual = [b"II*\0".as_slice(), &[0; 124], b"DICM"].concat();
        assert_eq!(kind_of(&dual), Some(FileKind::Dicom), "a TIFF directory in the preamble");
        assert_eq!(kind_of(&[8, 0]), None);
    }
}
