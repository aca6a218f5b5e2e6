//! Files that hold a regular grid of values: NIfTI, NRRD, MetaImage.

use crate::digest::{sha256_file, sha256_of_hashes};
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::orient::{self, Affine, Stored};
use crate::sniff::FileKind;
use crate::volume::Volume;
use crate::{Content, Scan, metaimage, nifti, nrrd};
use std::path::{Component, Path, PathBuf};

/// A grid as stored, rescaled, with what was noticed on the way.
pub(crate) struct GridImage {
    pub(crate) stored: Stored<f32>,
    pub(crate) notes: Vec<String>,
    /// Files beside the one named that hold the voxels.
    pub(crate) data_files: Vec<PathBuf>,
}

/// The reader of a kind of grid file; `None` for other kinds.
pub(crate) fn reader(kind: FileKind) -> Option<fn(&Path, &Limits) -> Result<GridImage>> {
    Some(match kind {
        FileKind::Nifti => nifti::read_stored,
        FileKind::Nrrd => nrrd::read_stored,
        FileKind::MetaImage => metaimage::read_stored,
        _ => return None,
    })
}

/// Reads a grid file as a volume in patient orientation.
pub(crate) fn read(
    path: &Path,
    kind: FileKind,
    reader: fn(&Path, &Limits) -> Result<GridImage>,
    limits: &Limits,
) -> Result<Scan> {
    let image = reader(path, limits)?;
    let volume = Volume::from_ras(orient::to_ras(path, image.stored)?);
    let mut hashes = vec![sha256_file(path)?];
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
