//! From places in the patient to voxels: what DICOM objects that refer to a series mark in its volume.

use crate::data_set::{Attributes, DicomFile};
use crate::error::Result;
use crate::limits::Limits;
use crate::orient::Affine;
use crate::stack::SliceGeometry;
use crate::volume::Volume;
use dicom_dictionary_std::tags;
use gmai_schema::{Axis, SliceRef};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// One file of a series: what other objects refer to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    /// The file.
    pub path: PathBuf,
    /// SOPInstanceUID.
    pub uid: String,
    /// Middle of the first pixel in RAS, in mm; `None` where the header does not say.
    pub position: Option<[f64; 3]>,
}

/// The identifiers and places of files, in their order; files without a SOPInstanceUID are left out.
pub fn instances(files: &[PathBuf], limits: &Limits) -> Result<Vec<Instance>> {
    let read = |path: &PathBuf| Ok(Instance::of(path, &DicomFile::read_header(path, limits)?.root()));
    files.iter().filter_map(|path| read(path).transpose()).collect()
}

impl Instance {
    /// What a header says; `None` without a SOPInstanceUID.
    pub(crate) fn of(path: &Path, root: &Attributes<'_>) -> Option<Instance> {
        let uid = root.text(tags::SOP_INSTANCE_UID)?;
        let position = root.decimal_array(tags::IMAGE_POSITION_PATIENT).map(ras);
        Some(Instance { path: path.into(), uid, position })
    }
}

/// The slice of `volume` that begins at `position` (RAS, in mm), along the axis that its files were stacked along; `None` when the
/// place lies outside, or is no corner of a slice.
pub fn slice_of(volume: &Volume, position: [f64; 3]) -> Option<SliceRef> {
    let voxel = Grid::new(&volume.affine)?.voxel(position);
    // The first pixel of a slice lies at a corner of the volume in the two directions of the slice.
    let at_corner = |axis: usize| {
        let last = volume.dims[axis] as f64 - 1.0;
        voxel[axis].abs() < 0.5 || (voxel[axis] - last).abs() < 0.5
    };
    let axis = [2, 1, 0].into_iter().find(|axis| (0..3).filter(|other| other != axis).all(at_corner))?;
    let index = voxel[axis].round();
    let inside = index >= 0.0 && index < volume.dims[axis] as f64;
    inside.then(|| SliceRef { axis: Axis::ALL[axis], index: index as usize })
}

/// A place in DICOM's patient system (LPS) in RAS, and back.
pub(crate) fn ras(place: [f64; 3]) -> [f64; 3] {
    [-place[0], -place[1], place[2]]
}

/// Voxels of a volume by places in the patient.
pub(crate) struct Grid {
    inverse: [[f64; 3]; 3],
    origin: [f64; 3],
}

impl Grid {
    /// `None` when the voxel axes do not span space.
    pub(crate) fn new(affine: &Affine) -> Option<Grid> {
        let a = |row: usize, column: usize| affine[row][column];
        let minor = |r: [usize; 2], c: [usize; 2]| a(r[0], c[0]) * a(r[1], c[1]) - a(r[0], c[1]) * a(r[1], c[0]);
        let others = |index: usize| [[1, 2], [0, 2], [0, 1]][index];
        let determinant = (0..3).map(|c| sign(c) * a(0, c) * minor([1, 2], others(c))).sum::<f64>();
        if !determinant.is_finite() || determinant.abs() < 1e-12 {
            return None;
        }
        let mut inverse = [[0.0; 3]; 3];
        for (row, line) in inverse.iter_mut().enumerate() {
            for (column, cell) in line.iter_mut().enumerate() {
                *cell = sign(row + column) * minor(others(column), others(row)) / determinant;
            }
        }
        Some(Grid { inverse, origin: [a(0, 3), a(1, 3), a(2, 3)] })
    }

    /// Voxel coordinates of a place (RAS, in mm); whole numbers are middles of voxels.
    pub(crate) fn voxel(&self, place: [f64; 3]) -> [f64; 3] {
        self.step([0, 1, 2].map(|axis| place[axis] - self.origin[axis]))
    }

    /// Voxel coordinates of a step in the patient.
    pub(crate) fn step(&self, step: [f64; 3]) -> [f64; 3] {
        [0, 1, 2].map(|row| (0..3).map(|axis| self.inverse[row][axis] * step[axis]).sum())
    }

    /// Where the pixels of a slice lie, when all of them are voxels.
    pub(crate) fn place(&self, geometry: &SliceGeometry) -> Placed {
        let direction = |cosines: [f64; 3], spacing: f64| self.step(ras(cosines).map(|part| part * spacing));
        Placed {
            first: self.voxel(ras(geometry.position)),
            across: direction(geometry.row, geometry.spacing[0]),
            down: direction(geometry.column, geometry.spacing[1]),
        }
    }
}

fn sign(power: usize) -> f64 {
    if power.is_multiple_of(2) { 1.0 } else { -1.0 }
}

/// A slice in voxel coordinates.
pub(crate) struct Placed {
    first: [f64; 3],
    across: [f64; 3],
    down: [f64; 3],
}

impl Placed {
    /// Coordinates of the pixel in `column` of `row`.
    pub(crate) fn at(&self, column: usize, row: usize) -> [f64; 3] {
        [0, 1, 2].map(|axis| self.first[axis] + column as f64 * self.across[axis] + row as f64 * self.down[axis])
    }
}

/// The voxel at coordinates that may miss its middle by `tolerance`: `Err` with the miss when they do by more, `Ok(None)` outside.
pub(crate) fn index(at: [f64; 3], dims: [usize; 3], tolerance: f64) -> std::result::Result<Option<usize>, f64> {
    let miss = at.iter().map(|value| (value - value.round()).abs()).fold(0.0, f64::max);
    // max() passes over what is not a number.
    if at.iter().any(|value| !value.is_finite()) || miss > tolerance {
        return Err(miss);
    }
    let inside = (0..3).all(|axis| at[axis].round() >= 0.0 && at[axis].round() < dims[axis] as f64);
    let cell = |axis: usize| at[axis].round() as usize;
    Ok(inside.then(|| cell(0) + dims[0] * (cell(1) + dims[1] * cell(2))))
}

/// An empty label map's values on the grid of a volume.
pub(crate) fn blank(volume: &Volume) -> Vec<u16> {
    vec![0; volume.dims.iter().product()]
}

/// Names a file in messages that are not about a single path.
pub(crate) fn no_grid(path: &Path) -> crate::error::Error {
    crate::error::Error::malformed(path, "grid", "the voxel axes of the volume do not span space")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const TILTED: Affine = [[-2.0, 0.1, 0.0, 10.0], [0.0, 3.0, 0.2, -5.0], [0.3, 0.0, 4.0, 7.0]];

    #[test]
    fn places_of_voxels_come_back() {
        let grid = Grid::new(&TILTED).unwrap();
        let voxel = [3.0, 5.0, 2.0];
        let place =
            [0, 1, 2].map(|row| (0..3).map(|axis| TILTED[row][axis] * voxel[axis]).sum::<f64>() + TILTED[row][3]);
        for (found, expected) in grid.voxel(place).into_iter().zip(voxel) {
            assert!((found - expected).abs() < 1e-9);
        }
        assert!(Grid::new(&[[1.0, 2.0, 0.0, 0.0], [2.0, 4.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]).is_none());
    }

    #[test]
    fn voxels_are_found_within_the_tolerance_only() {
        assert_eq!(index([1.1, 0.0, 1.9], [3, 3, 3], 0.25), Ok(Some(1 + 3 * 3 * 2)));
        assert_eq!(index([3.0, 0.0, 0.0], [3, 3, 3], 0.25), Ok(None));
        assert!(index([1.5, 0.0, 0.0], [3, 3, 3], 0.25).is_err());
        assert!(index([f64::NAN, 0.0, 0.0], [3, 3, 3], 0.25).is_err());
    }

    #[test]
    fn the_slice_that_begins_at_a_place_is_found() {
        let volume = crate::volume::tests::volume([4, 5, 6], vec![0.0; 120]);
        let corner = slice_of(&volume, [0.0, 4.0, 3.0]);
        assert_eq!(corner, Some(SliceRef { axis: Axis::Axial, index: 3 }));
        assert_eq!(slice_of(&volume, [0.0, 0.0, 9.0]), None);
        assert_eq!(slice_of(&volume, [2.0, 2.0, 3.0]), None);
    }
}
