//! From the axes of a file to the axes of the patient: x to the right, y to the front, z to the head (RAS).
//!
//! Voxel arrays are turned and mirrored to the nearest RAS order, never interpolated: an oblique volume stays oblique
//! and its planes carry the name of the nearest axis.

use crate::error::{Error, Result};
use std::path::Path;

/// Voxel index to millimetres in RAS: three rows of a 4 x 4 matrix.
pub type Affine = [[f64; 4]; 3];

/// A voxel array in the order of its file, first axis fastest.
pub(crate) struct Stored<T> {
    pub(crate) dims: [usize; 3],
    pub(crate) affine: Affine,
    pub(crate) values: Vec<T>,
}

/// Length of a step along one voxel axis, in mm.
pub(crate) fn step_length(affine: &Affine, axis: usize) -> f64 {
    affine.iter().map(|row| row[axis].powi(2)).sum::<f64>().sqrt()
}

/// Turns and mirrors an array so that its axes run right, front, head.
pub(crate) fn to_ras<T: Copy>(path: &Path, stored: Stored<T>) -> Result<Stored<T>> {
    let steps = [0, 1, 2].map(|axis| step_length(&stored.affine, axis));
    let usable = stored.affine.iter().flatten().all(|value| value.is_finite())
        && steps.iter().all(|step| *step > 1e-6 && *step < 1e6);
    if !usable {
        return Err(Error::malformed(path, "orientation", format!("voxel steps of {steps:?} mm are not possible")));
    }
    let order = nearest_axes(&stored.affine, steps);
    let mirrored = [0, 1, 2].map(|axis| stored.affine[axis][order[axis]] < 0.0);
    if order == [0, 1, 2] && mirrored == [false; 3] {
        return Ok(stored);
    }
    let dims = order.map(|axis| stored.dims[axis]);
    let values = rearrange(&stored, dims, order, mirrored);
    Ok(Stored { dims, affine: rearranged_affine(&stored, order, mirrored), values })
}

/// For each patient axis the voxel axis that follows it most closely: of all six assignments the one whose direction
/// cosines sum highest.
fn nearest_axes(affine: &Affine, steps: [f64; 3]) -> [usize; 3] {
    const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let closeness = |order: &[usize; 3]| -> f64 {
        (0..3).map(|patient| (affine[patient][order[patient]] / steps[order[patient]]).abs()).sum()
    };
    let mut best = ORDERS[0];
    for order in ORDERS {
        if closeness(&order) > closeness(&best) + 1e-9 {
            best = order;
        }
    }
    best
}

fn rearrange<T: Copy>(stored: &Stored<T>, dims: [usize; 3], order: [usize; 3], mirrored: [bool; 3]) -> Vec<T> {
    let strides = [1, stored.dims[0], stored.dims[0] * stored.dims[1]];
    let offset = |axis: usize, index: usize| {
        let source = if mirrored[axis] { dims[axis] - 1 - index } else { index };
        source * strides[order[axis]]
    };
    let columns: Vec<usize> = (0..dims[0]).map(|x| offset(0, x)).collect();
    let mut values = Vec::with_capacity(stored.values.len());
    for z in 0..dims[2] {
        for y in 0..dims[1] {
            let row = offset(2, z) + offset(1, y);
            values.extend(columns.iter().map(|column| stored.values[row + column]));
        }
    }
    values
}

fn rearranged_affine<T>(stored: &Stored<T>, order: [usize; 3], mirrored: [bool; 3]) -> Affine {
    let mut affine = [[0.0; 4]; 3];
    for (row, source) in affine.iter_mut().zip(&stored.affine) {
        row[3] = source[3];
        for axis in 0..3 {
            let step = source[order[axis]];
            row[axis] = if mirrored[axis] { -step } else { step };
            if mirrored[axis] {
                row[3] += step * (stored.dims[order[axis]] - 1) as f64;
            }
        }
    }
    affine
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn mirrored_and_turned_array_comes_back_in_patient_order() {
        // Axis 0 runs to the feet (2 mm), axis 1 to the left, axis 2 to the front.
        let affine = [[0.0, -1.0, 0.0, 9.0], [0.0, 0.0, 1.0, 0.0], [-2.0, 0.0, 0.0, 6.0]];
        let stored = Stored { dims: [2, 3, 1], affine, values: vec![0, 1, 2, 3, 4, 5] };
        let ras = to_ras(Path::new(""), stored).unwrap();
        assert_eq!(ras.dims, [3, 1, 2]);
        assert_eq!(ras.values, [5, 3, 1, 4, 2, 0]);
        assert_eq!(ras.affine, [[1.0, 0.0, 0.0, 7.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 2.0, 4.0]]);
    }

    #[test]
    fn degenerate_orientation_is_refused() {
        let affine = [[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, f64::NAN, 0.0]];
        assert!(to_ras(Path::new("a.nii"), Stored { dims: [1, 1, 1], affine, values: vec![0u8] }).is_err());
    }
}
