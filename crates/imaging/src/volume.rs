//! A volume in patient orientation, and the planes that are cut from it.

use crate::grey;
use crate::orient::{self, Affine, Stored};
use crate::plane::{Geometry, Plane};
use gmai_schema::{Axis, SliceRef, WindowRef};

/// Values on a regular grid: x to the patient's right, y to the front, z to the head.
#[derive(Debug, Clone)]
pub struct Volume {
    /// Voxels along x, y, z.
    pub dims: [usize; 3],
    /// Distance between neighbouring voxels along x, y, z, in mm; 1 where the file gives none.
    pub spacing: [f32; 3],
    /// Rescaled values (Hounsfield units for CT), x fastest.
    pub values: Vec<f32>,
    /// Voxel index to millimetres in RAS.
    pub affine: Affine,
    /// Values in this range mark what was not imaged (DICOM's pixel padding): they take no part in finding a window.
    pub padding: Option<WindowRef>,
}

/// Percentiles look at no more than about this many evenly spread values: exact enough for a window, bounded in memory.
const MAX_SAMPLED: usize = 4 << 20;

impl Volume {
    /// Wraps an array that already has patient orientation.
    pub(crate) fn from_ras(ras: Stored<f32>) -> Volume {
        let spacing = [0, 1, 2].map(|axis| orient::step_length(&ras.affine, axis) as f32);
        Volume { dims: ras.dims, spacing, values: ras.values, affine: ras.affine, padding: None }
    }

    /// Slices along `axis`.
    pub fn num_slices(&self, axis: Axis) -> usize {
        self.dims[axis_index(axis)]
    }

    /// The slice in the middle of `axis`.
    pub fn middle(&self, axis: Axis) -> SliceRef {
        SliceRef { axis, index: self.num_slices(axis) / 2 }
    }

    /// One slice as a radiologist expects it (see [`Plane`]); `None` when the index is out of range.
    pub fn plane(&self, slice: SliceRef) -> Option<Plane> {
        let Geometry { width, height, spacing } = geometry(self.dims, self.spacing, slice)?;
        Some(Plane { width, height, values: cut(self.dims, &self.values, slice), spacing })
    }

    /// Smallest and largest finite value outside the padding; 0 and 0 when there is none.
    pub fn value_range(&self) -> WindowRef {
        grey::value_range(&self.values, self.padding)
    }

    /// MONOCHROME1 shows low values bright. A volume has no such switch, so its values are mirrored within their range.
    pub(crate) fn mirror_values(&mut self, notes: &mut Vec<String>) {
        let range = self.value_range();
        let mirrored = |value: f32| range.low + range.high - value;
        self.values.iter_mut().for_each(|value| *value = mirrored(*value));
        self.padding =
            self.padding.map(|padding| WindowRef { low: mirrored(padding.high), high: mirrored(padding.low) });
        notes.push("MONOCHROME1: values are mirrored so that bright means bright".to_string());
    }

    /// The value below which `percent` (0 to 100) of the finite values outside the padding lie; 0 when there is none.
    pub fn percentile(&self, percent: f32) -> f32 {
        let step = self.values.len().div_ceil(MAX_SAMPLED).max(1);
        let counts = |value: &f32| {
            value.is_finite() && self.padding.is_none_or(|padding| *value < padding.low || *value > padding.high)
        };
        let mut sample: Vec<f32> = self.values.iter().step_by(step).copied().filter(counts).collect();
        if sample.is_empty() {
            return 0.0;
        }
        let share = f64::from(percent.clamp(0.0, 100.0)) / 100.0;
        let rank = (share * (sample.len() - 1) as f64).round() as usize;
        *sample.select_nth_unstable_by(rank, f32::total_cmp).1
    }
}

fn axis_index(axis: Axis) -> usize {
    match axis {
        Axis::Sagittal => 0,
        Axis::Coronal => 1,
        Axis::Axial => 2,
    }
}

/// The two axes that span a plane: across, then down.
fn plane_axes(axis: Axis) -> [usize; 2] {
    match axis {
        Axis::Sagittal => [1, 2],
        Axis::Coronal => [0, 2],
        Axis::Axial => [0, 1],
    }
}

/// Size and spacing of a slice; `None` when there is no such slice.
pub(crate) fn geometry(dims: [usize; 3], spacing: [f32; 3], slice: SliceRef) -> Option<Geometry> {
    let [across, down] = plane_axes(slice.axis);
    let exists = slice.index < dims[axis_index(slice.axis)];
    exists.then(|| Geometry { width: dims[across], height: dims[down], spacing: [spacing[across], spacing[down]] })
}

/// Copies a slice out of an array in patient orientation. Both directions are mirrored: the patient's right (or front)
/// comes to the left of the picture, the front (or head) to its top.
pub(crate) fn cut<T: Copy>(dims: [usize; 3], values: &[T], slice: SliceRef) -> Vec<T> {
    let strides = [1, dims[0], dims[0] * dims[1]];
    let [across, down] = plane_axes(slice.axis);
    let base = slice.index * strides[axis_index(slice.axis)];
    let mut plane = Vec::with_capacity(dims[across] * dims[down]);
    for row in (0..dims[down]).rev() {
        let start = base + row * strides[down];
        plane.extend((0..dims[across]).rev().map(|column| values[start + column * strides[across]]));
    }
    plane
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::*;

    /// A volume with 1 mm voxels.
    pub(crate) fn volume(dims: [usize; 3], values: Vec<f32>) -> Volume {
        let affine = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]];
        Volume::from_ras(Stored { dims, affine, values })
    }

    #[test]
    fn right_and_front_and_head_are_where_radiologists_expect_them() {
        // The value tells the place: x + 10 y + 100 z.
        let values = (0..24).map(|i| (i % 2 + 10 * (i / 2 % 3) + 100 * (i / 6)) as f32).collect();
        let volume = volume([2, 3, 4], values);
        let top_left = |axis, index| volume.plane(SliceRef { axis, index }).unwrap().values[0];
        assert_eq!(top_left(Axis::Axial, 0), 21.0); // right, front
        assert_eq!(top_left(Axis::Coronal, 0), 301.0); // right, head
        assert_eq!(top_left(Axis::Sagittal, 0), 320.0); // front, head
        assert!(volume.plane(SliceRef { axis: Axis::Axial, index: 4 }).is_none());
    }

    #[test]
    fn values_that_are_not_numbers_do_not_enter_the_range() {
        let volume = volume([2, 2, 1], vec![f32::NAN, 3.0, f32::INFINITY, 5.0]);
        assert_eq!(volume.value_range(), WindowRef { low: 3.0, high: 5.0 });
        assert_eq!(volume.percentile(100.0), 5.0);
    }

    #[test]
    fn padding_does_not_enter_range_or_percentiles() {
        let mut volume = volume([2, 2, 1], vec![-2000.0, -1000.0, 100.0, 200.0]);
        volume.padding = Some(WindowRef { low: -2000.0, high: -2000.0 });
        assert_eq!(volume.value_range(), WindowRef { low: -1000.0, high: 200.0 });
        assert_eq!(volume.percentile(0.0), -1000.0);
        volume.mirror_values(&mut Vec::new());
        assert_eq!(volume.values, [1200.0, 200.0, -900.0, -1000.0]);
        assert_eq!(volume.value_range(), WindowRef { low: -1000.0, high: 200.0 });
    }
}
