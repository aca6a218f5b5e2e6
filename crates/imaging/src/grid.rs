//! Files that hold a regular grid of values: NIfTI, NRRD, MetaImage.

use crate::digest::{sha256_bytes, sha256_file, sha256_of_hashes};
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::orient::{self, Affine, Stored};
use crate::sniff::FileKind;
use crate::volume::Volume;
use crate::{Content, Scan, metaimage, nifti, nrrd};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Component, Path, PathBuf};

/// Deflate cannot shrink data further than this factor (zlib, "maximum compression factor").
pub(crate) const MAX_DEFLATE_RATIO: u64 = 1032;

/// A grid as stored, rescaled, with what was noticed on the way.
pub(crate) struct GridImage {
    pub(crate) stored: Stored<f32>,
    pub(crate) notes: Vec<String>,
    /// Files beside the one named that hold the voxels.
    pub(crate) data_files: Vec<PathBuf>,
}

/// Where the bytes of the named file are.
#[derive(Clone, Copy)]
pub(crate) enum Input<'a> {
    /// On the disk, read as a stream: such files can be large. Files beside it can be read too.
    File,
    /// In memory, and no other file is within reach.
    Memory(&'a [u8]),
}

impl<'a> Input<'a> {
    /// The bytes from the beginning, and how many there are.
    pub(crate) fn open(self, path: &Path, limits: &Limits) -> Result<(Box<dyn BufRead + 'a>, u64)> {
        match self {
            Input::Memory(bytes) => Ok((Box::new(bytes), bytes.len() as u64)),
            Input::File => {
                let length = limits.check_file(path)?;
                let file = File::open(path).map_err(|source| Error::io(path, source))?;
                Ok((Box::new(BufReader::with_capacity(1 << 16, file)), length))
            }
        }
    }

    /// The input for the voxels when they lie in a file beside the named one.
    pub(crate) fn beside(self, path: &Path) -> Result<Input<'static>> {
        match self {
            Input::File => Ok(Input::File),
            Input::Memory(_) => Err(Error::decode(path, "its voxels are in a second file, which was not given")),
        }
    }

    fn sha256(self, path: &Path) -> Result<String> {
        match self {
            Input::File => sha256_file(path),
            Input::Memory(bytes) => Ok(sha256_bytes(bytes)),
        }
    }
}

/// What the header of a grid file promises, before a voxel is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Promise {
    /// Voxels of the first volume.
    pub(crate) voxels: u64,
    /// Whether they lie in the file itself.
    pub(crate) is_alone: bool,
}

/// The functions that understand one kind of grid file.
#[derive(Clone, Copy)]
pub(crate) struct Reader {
    /// Reads header and voxels.
    pub(crate) read: for<'a> fn(&Path, Input<'a>, &Limits) -> Result<GridImage>,
    /// Reads the header, and refuses voxels that the file cannot hold.
    pub(crate) promise: for<'a> fn(&Path, Input<'a>, &Limits) -> Result<Promise>,
}

/// The reader of a kind of grid file; `None` for other kinds.
pub(crate) fn reader(kind: FileKind) -> Option<Reader> {
    Some(match kind {
        FileKind::Nifti => Reader { read: nifti::read_stored, promise: nifti::promise },
        FileKind::Nrrd => Reader { read: nrrd::read_stored, promise: nrrd::promise },
        FileKind::MetaImage => Reader { read: metaimage::read_stored, promise: metaimage::promise },
        _ => return None,
    })
}

/// Reads a grid file as a volume in patient orientation.
pub(crate) fn read(path: &Path, kind: FileKind, reader: Reader, input: Input<'_>, limits: &Limits) -> Result<Scan> {
    let image = (reader.read)(path, input, limits)?;
    let volume = Volume::from_ras(orient::to_ras(path, image.stored)?);
    let mut hashes = vec![input.sha256(path)?];
    for file in &image.data_files {
        hashes.push(sha256_file(file)?);
    }
    let sha256 = if hashes.len() == 1 { hashes.remove(0) } else { sha256_of_hashes(hashes) };
    Ok(Scan {
        kind,
        content: Content::Volume(volume),
        modality: None,
        patient: None,
        study: None,
        series: None,
        sha256,
        window: None,
        notes: image.notes,
    })
}

/// Refuses a file of `length` bytes that cannot hold `needed` bytes of voxels, stored at best at 1 : `ratio`.
pub(crate) fn check_room(path: &Path, length: u64, needed: u64, ratio: u64) -> Result<()> {
    if needed / ratio <= length {
        return Ok(());
    }
    Err(Error::Truncated { path: path.into(), field: "voxels".into(), needed, available: length.saturating_mul(ratio) })
}

/// The file with voxels that a header names. It must lie beside the header: a header from outside must not open any file it likes.
pub(crate) fn sibling(header: &Path, field: &'static str, name: &str) -> Result<PathBuf> {
    let mut parts = Path::new(name).components().filter(|part| *part != Component::CurDir);
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(file)), None) => Ok(header.with_file_name(file)),
        _ => {
            let reason = format!("{name:?} is not the name of a file beside the header");
            Err(Error::malformed(header, field, reason))
        }
    }
}

/// Columns of steps along the axes of a file and its origin, all in LPS, as an affine in RAS.
pub(crate) fn affine_from_lps(steps: [[f64; 3]; 3], origin: [f64; 3]) -> Affine {
    let mut affine = [[0.0; 4]; 3];
    for (axis, row) in affine.iter_mut().enumerate() {
        let sign = if axis < 2 { -1.0 } else { 1.0 };
        *row = [sign * steps[0][axis], sign * steps[1][axis], sign * steps[2][axis], sign * origin[axis]];
    }
    affine
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn headers_open_no_file_outside_their_folder() {
        let header = Path::new("scans/a.nhdr");
        assert_eq!(sibling(header, "data file", "./a.raw").unwrap(), Path::new("scans/a.raw"));
        for name in ["/etc/passwd", "../a.raw", "sub/a.raw", "..", ""] {
            assert!(sibling(header, "data file", name).is_err(), "{name}");
        }
    }
}
