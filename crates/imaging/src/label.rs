//! Label maps: a class number for every voxel of a volume.

use crate::error::{Error, Result};
use crate::gate;
use crate::grid::{self, GridImage, Input};
use crate::limits::Limits;
use crate::orient::{self, Affine, Stored};
use crate::plane::{Geometry, LabelPlane};
use crate::sniff::{FileKind, kind_of_file, sniff};
use crate::volume::{self, Volume};
use gmai_schema::SliceRef;
use std::collections::BTreeMap;
use std::path::Path;

/// Class numbers on a regular grid in patient orientation (as [`Volume`]); 0 is background.
#[derive(Debug, Clone)]
pub struct LabelMap {
    /// Voxels along x, y, z.
    pub dims: [usize; 3],
    /// Distance between neighbouring voxels along x, y, z, in mm.
    pub spacing: [f32; 3],
    /// Class of each voxel, x fastest.
    pub values: Vec<u16>,
    /// Voxel index to millimetres in RAS.
    pub affine: Affine,
}

/// A label map that is stored as floating point may miss whole numbers by rounding, never by more than this.
const INTEGER_TOLERANCE: f32 = 1e-3;
/// Corners of image and label map may lie apart by this share of the smallest voxel side: headers are rounded.
const GRID_TOLERANCE: f64 = 0.25;

impl LabelMap {
    /// One slice in the geometry of the image's slice; `None` when the index is out of range.
    pub fn plane(&self, slice: SliceRef) -> Option<LabelPlane> {
        let Geometry { width, height, spacing } = volume::geometry(self.dims, self.spacing, slice)?;
        Some(LabelPlane { width, height, values: volume::cut(self.dims, &self.values, slice), spacing })
    }

    /// Voxels of each class that occurs, without background.
    pub fn class_sizes(&self) -> BTreeMap<u16, usize> {
        let mut sizes = vec![0; usize::from(u16::MAX) + 1];
        for class in &self.values {
            sizes[usize::from(*class)] += 1;
        }
        (1..=u16::MAX).map(|class| (class, sizes[usize::from(class)])).filter(|(_, size)| *size > 0).collect()
    }

    /// Whether the map lies on the grid of `volume`: same size, and every corner in the same place of the patient.
    pub fn matches(&self, volume: &Volume) -> bool {
        let smallest = volume.spacing.iter().copied().fold(f32::INFINITY, f32::min);
        let corner = |affine: &Affine, row: usize, corner: usize| -> f64 {
            let far = |axis: usize| if corner >> axis & 1 == 1 { (self.dims[axis] - 1) as f64 } else { 0.0 };
            (0..3).map(|axis| affine[row][axis] * far(axis)).sum::<f64>() + affine[row][3]
        };
        let apart =
            |row: usize, index: usize| (corner(&self.affine, row, index) - corner(&volume.affine, row, index)).abs();
        self.dims == volume.dims
            && (0..8).all(|index| (0..3).all(|row| apart(row, index) <= GRID_TOLERANCE * f64::from(smallest)))
    }
}

/// Reads a NIfTI, NRRD or MetaImage label map. Values must be whole numbers from 0 to 65535.
pub fn read_label_map(path: &Path, limits: &Limits) -> Result<LabelMap> {
    let reader = check(path, limits)?;
    gate::check(path, limits)?;
    of_image(path, (reader.read)(path, Input::File, limits)?)
}

/// As [`read_label_map`], from the file's bytes.
pub(crate) fn from_bytes(path: &Path, bytes: &[u8], limits: &Limits) -> Result<LabelMap> {
    let reader = reader(path, kind_of_file(bytes))?;
    of_image(path, (reader.read)(path, Input::Memory(bytes), limits)?)
}

/// Refuses a file of another kind.
pub(crate) fn check(path: &Path, limits: &Limits) -> Result<grid::Reader> {
    limits.check_file(path)?;
    reader(path, sniff(path)?)
}

fn reader(path: &Path, kind: Option<FileKind>) -> Result<grid::Reader> {
    let found = kind.ok_or_else(|| Error::NotAnImage { path: path.into() })?;
    let expected = "a NIfTI, NRRD or MetaImage label map";
    grid::reader(found).ok_or_else(|| Error::WrongKind { path: path.into(), found, expected })
}

fn of_image(path: &Path, image: GridImage) -> Result<LabelMap> {
    let stored = image.stored;
    let values = stored.values.iter().map(|value| class_of(path, *value)).collect::<Result<Vec<u16>>>()?;
    let ras = orient::to_ras(path, Stored { dims: stored.dims, affine: stored.affine, values })?;
    let spacing = [0, 1, 2].map(|axis| orient::step_length(&ras.affine, axis) as f32);
    Ok(LabelMap { dims: ras.dims, spacing, values: ras.values, affine: ras.affine })
}

fn class_of(path: &Path, value: f32) -> Result<u16> {
    let whole = value.round();
    if (value - whole).abs() <= INTEGER_TOLERANCE && (0.0..=65535.0).contains(&whole) {
        Ok(whole as u16)
    } else {
        let reason = format!("value {value} is no class number (whole, 0 to 65535); is this a label map?");
        Err(Error::malformed(path, "voxels", reason))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::volume::tests::volume;
    use gmai_schema::Axis;

    fn label_map(dims: [usize; 3], values: Vec<u16>) -> LabelMap {
        let affine = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]];
        LabelMap { dims, spacing: [1.0; 3], values, affine }
    }

    #[test]
    fn only_the_same_grid_matches() {
        let image = volume([2, 2, 2], vec![0.0; 8]);
        let mut labels = label_map([2, 2, 2], vec![0; 8]);
        assert!(labels.matches(&image));
        labels.affine[0][3] = 1.0;
        assert!(!labels.matches(&image));
        assert!(!label_map([2, 2, 1], vec![0; 4]).matches(&image));
    }

    #[test]
    fn label_and_image_planes_show_the_same_voxel_at_the_same_place() {
        let image = volume([2, 3, 2], (0..12).map(|value| value as f32).collect());
        let labels = label_map([2, 3, 2], (0..12).collect());
        for axis in Axis::ALL {
            let slice = SliceRef { axis, index: 1 };
            let greys = image.plane(slice).unwrap().values;
            let classes = labels.plane(slice).unwrap().values;
            assert!(greys.iter().zip(&classes).all(|(grey, class)| *grey == f32::from(*class)));
        }
        assert_eq!(labels.class_sizes().len(), 11);
    }

    #[test]
    fn values_between_classes_are_refused() {
        assert_eq!(class_of(Path::new("a"), 2.0001).unwrap(), 2);
        assert!(class_of(Path::new("a"), 0.5).is_err());
        assert!(class_of(Path::new("a"), -1.0).is_err());
        assert!(class_of(Path::new("a"), f32::NAN).is_err());
    }
}
