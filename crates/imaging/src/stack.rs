//! How the slices of a volume lie in the patient, and the order in which they follow each other.
//! Image plane attributes: PS3.3 C.7.6.2.

use crate::data_set::Attributes;
use crate::orient::Affine;
use dicom_dictionary_std::tags;
use serde::{Deserialize, Serialize};

/// Slices nearer than this lie at the same place, in mm: headers are rounded.
const SAME_PLACE_MM: f64 = 1e-2;
/// Tilts below this are rounding, in degrees.
const LEAST_TILT: f64 = 0.1;
/// Direction cosines of one volume may differ by this.
const SAME_DIRECTION: f64 = 1e-3;

/// Where one slice lies, in the DICOM patient system (x to the left, y to the back, z to the head), in mm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SliceGeometry {
    /// Centre of the first pixel.
    pub(crate) position: [f64; 3],
    /// Direction in which the column index grows.
    pub(crate) row: [f64; 3],
    /// Direction in which the row index grows.
    pub(crate) column: [f64; 3],
    /// Distance between pixels along a row and along a column.
    pub(crate) spacing: [f64; 2],
    /// Thickness, or distance to the next slice where the file names it.
    pub(crate) thickness: Option<f64>,
}

impl SliceGeometry {
    /// From the attributes (or functional groups) that hold position, orientation and spacing.
    pub(crate) fn read(
        position: &Attributes<'_>,
        orientation: &Attributes<'_>,
        measures: &Attributes<'_>,
    ) -> Option<SliceGeometry> {
        let [a, b, c, d, e, f] = orientation.decimal_array(tags::IMAGE_ORIENTATION_PATIENT)?;
        let [between_rows, between_columns] = measures.decimal_array(tags::PIXEL_SPACING)?;
        let between = measures.decimal(tags::SPACING_BETWEEN_SLICES);
        Some(SliceGeometry {
            position: position.decimal_array(tags::IMAGE_POSITION_PATIENT)?,
            row: [a, b, c],
            column: [d, e, f],
            spacing: [between_columns, between_rows],
            thickness: between.or_else(|| measures.decimal(tags::SLICE_THICKNESS)).map(f64::abs),
        })
    }

    pub(crate) fn normal(&self) -> [f64; 3] {
        let (r, c) = (self.row, self.column);
        [r[1] * c[2] - r[2] * c[1], r[2] * c[0] - r[0] * c[2], r[0] * c[1] - r[1] * c[0]]
    }

    /// Place along the normal, in mm.
    pub(crate) fn depth(&self, normal: [f64; 3]) -> f64 {
        (0..3).map(|axis| self.position[axis] * normal[axis]).sum()
    }

    /// The same slice, moved along its normal.
    pub(crate) fn moved(&self, millimetres: f64) -> SliceGeometry {
        let normal = self.normal();
        let position = [0, 1, 2].map(|axis| self.position[axis] + normal[axis] * millimetres);
        SliceGeometry { position, ..self.clone() }
    }

    /// Whether both slices face the same way.
    pub(crate) fn is_parallel(&self, other: &SliceGeometry) -> bool {
        let near = |a: &[f64; 3], b: &[f64; 3]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= SAME_DIRECTION);
        near(&self.row, &other.row) && near(&self.column, &other.column)
    }
}

/// Slices in order.
#[derive(Debug, Clone)]
pub(crate) struct Stack {
    /// Indices of the slices used, along the normal.
    pub(crate) order: Vec<usize>,
    /// Voxel (column, row, slice) to RAS.
    pub(crate) affine: Affine,
    /// Slices found at most places: more than 1 for time series and several echoes.
    pub(crate) repeats: usize,
    /// Places with another number of slices.
    pub(crate) odd_places: usize,
    /// Angle between the normal and the way from slice to slice: the tilt of a gantry.
    pub(crate) tilt_degrees: f64,
    /// Distances between neighbours that differ from the usual one by more than a percent, as `(index in order, mm)`.
    pub(crate) uneven: Vec<(usize, f64)>,
    /// Usual distance between neighbours, in mm.
    pub(crate) step_mm: f64,
}

impl Stack {
    /// Slices whose place is not known, one after the other; `spacing` is column, row and slice distance in mm.
    pub(crate) fn as_stored(count: usize, spacing: [f64; 3]) -> Stack {
        let affine = [[-spacing[0], 0.0, 0.0, 0.0], [0.0, -spacing[1], 0.0, 0.0], [0.0, 0.0, spacing[2], 0.0]];
        Stack {
            order: (0..count).collect(),
            affine,
            repeats: 1,
            odd_places: 0,
            tilt_degrees: 0.0,
            uneven: Vec::new(),
            step_mm: spacing[2],
        }
    }

    /// What a person should know of how the slices lie; `what` they are called.
    pub(crate) fn describe(&self, what: &str, notes: &mut Vec<String>) {
        if self.repeats > 1 {
            notes.push(format!(
                "{} {what} at each position (time, echo or diffusion weighting), the first is used",
                self.repeats
            ));
        }
        if self.odd_places > 0 {
            notes.push(format!(
                "{} positions hold more or fewer than {} {what}: duplicates, or an unfinished series",
                self.odd_places, self.repeats
            ));
        }
        if !self.uneven.is_empty() {
            let widest = self.uneven.iter().map(|(_, gap)| *gap).fold(0.0, f64::max);
            notes.push(format!(
                "{} distances between slices differ from {:.3} mm by more than 1 %, the widest is {widest:.3} mm",
                self.uneven.len(),
                self.step_mm
            ));
        }
        if self.tilt_degrees > LEAST_TILT {
            notes.push(format!(
                "gantry tilt: slices are shifted against each other by {:.1} degrees",
                self.tilt_degrees
            ));
        }
    }
}

/// Orders slices along their normal. Where several lie at one place the first given is used. `slices` must not be empty. The error says in words why there is no order.
pub(crate) fn arrange(slices: &[SliceGeometry]) -> Result<Stack, String> {
    let first = &slices[0];
    if let Some(index) = slices.iter().position(|slice| !slice.is_parallel(first)) {
        return Err(format!("slice {index} faces another way than slice 0"));
    }
    let normal = first.normal();
    let depths: Vec<f64> = slices.iter().map(|slice| slice.depth(normal)).collect();
    if depths.iter().any(|depth| !depth.is_finite()) {
        return Err("a position is not a number".to_string());
    }
    let mut sorted: Vec<usize> = (0..slices.len()).collect();
    sorted.sort_by(|a, b| depths[*a].total_cmp(&depths[*b]).then(a.cmp(b)));
    let mut places: Vec<Vec<usize>> = Vec::new();
    for index in sorted {
        match places.last_mut() {
            Some(place) if depths[index] - depths[place[0]] <= SAME_PLACE_MM => place.push(index),
            _ => places.push(vec![index]),
        }
    }
    let mut counts: Vec<usize> = places.iter().map(Vec::len).collect();
    counts.sort_unstable();
    let repeats = counts[counts.len() / 2];
    let odd_places = counts.iter().filter(|count| **count != repeats).count();
    // The first given of each place: rounding may have put another one in front.
    let order: Vec<usize> = places.iter().map(|place| place.iter().copied().min().unwrap_or(place[0])).collect();
    let steps: Vec<f64> = order.windows(2).map(|pair| depths[pair[1]] - depths[pair[0]]).collect();
    let step_mm = median(&steps).or(first.thickness.filter(|thickness| *thickness > 0.0)).unwrap_or(1.0);
    let uneven = steps.iter().enumerate().filter(|(_, step)| (**step - step_mm).abs() > 0.01 * step_mm);
    let uneven = uneven.map(|(index, step)| (index + 1, *step)).collect();
    let affine = affine(slices, &order, step_mm);
    Ok(Stack { tilt_degrees: tilt(&affine, normal), order, affine, repeats, odd_places, uneven, step_mm })
}

/// Degrees between the normal (LPS) and the third column of an affine (RAS).
fn tilt(affine: &Affine, normal: [f64; 3]) -> f64 {
    let step = [-affine[0][2], -affine[1][2], affine[2][2]];
    let length = |vector: [f64; 3]| vector.iter().map(|part| part * part).sum::<f64>().sqrt();
    let cosine = (0..3).map(|axis| step[axis] * normal[axis]).sum::<f64>() / (length(step) * length(normal));
    cosine.abs().min(1.0).acos().to_degrees()
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

/// Columns: step along a row, along a column, to the next slice; x and y change sign from LPS to RAS. The step to the
/// next slice follows the positions themselves: with a tilted gantry it is not the normal.
fn affine(slices: &[SliceGeometry], order: &[usize], step_mm: f64) -> Affine {
    let first = &slices[order[0]];
    let last = &slices[order[order.len() - 1]];
    let normal = first.normal();
    let depth = last.depth(normal) - first.depth(normal);
    let mut affine = [[0.0; 4]; 3];
    for (axis, row) in affine.iter_mut().enumerate() {
        let sign = if axis < 2 { -1.0 } else { 1.0 };
        let direction =
            if depth > SAME_PLACE_MM { (last.position[axis] - first.position[axis]) / depth } else { normal[axis] };
        *row = [
            sign * first.row[axis] * first.spacing[0],
            sign * first.column[axis] * first.spacing[1],
            sign * direction * step_mm,
            sign * first.position[axis],
        ];
    }
    affine
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn slice(z: f64) -> SliceGeometry {
        SliceGeometry {
            position: [10.0, 20.0, z],
            row: [1.0, 0.0, 0.0],
            column: [0.0, 1.0, 0.0],
            spacing: [0.5, 0.75],
            thickness: Some(5.0),
        }
    }

    #[test]
    fn slices_are_sorted_by_position_not_by_name() {
        let stack = arrange(&[slice(4.0), slice(0.0), slice(2.0)]).unwrap();
        assert_eq!((stack.order, stack.repeats, stack.step_mm), (vec![1, 2, 0], 1, 2.0));
        assert_eq!(stack.affine, [[-0.5, 0.0, 0.0, -10.0], [0.0, -0.75, 0.0, -20.0], [0.0, 0.0, 2.0, 0.0]]);
    }

    #[test]
    fn time_series_gives_its_first_volume() {
        let stack = arrange(&[slice(0.0), slice(2.0), slice(0.0), slice(2.001)]).unwrap();
        assert_eq!((stack.order, stack.repeats), (vec![0, 1], 2));
    }

    #[test]
    fn duplicates_and_tilts_are_noticed() {
        let notes = |slices: &[SliceGeometry]| {
            let mut notes = Vec::new();
            arrange(slices).unwrap().describe("images", &mut notes);
            notes.join("; ")
        };
        assert_eq!(notes(&[slice(0.0), slice(2.0), slice(4.0)]), "");
        let twice = notes(&[slice(0.0), slice(2.0), slice(0.0), slice(4.0)]);
        assert!(twice.starts_with("1 positions hold more or fewer than 1 images"), "{twice}");
        let tilted = |z: f64| SliceGeometry { position: [10.0, 20.0 + z * 0.2, z], ..slice(z) };
        let tilt = notes(&[tilted(0.0), tilted(2.0), tilted(4.0)]);
        assert!(tilt.contains("tilt") && tilt.contains("11.3 degrees"), "{tilt}"); // atan 0.2
    }

    #[test]
    fn missing_slice_is_seen_as_an_uneven_step() {
        let stack = arrange(&[slice(0.0), slice(1.0), slice(2.0), slice(4.0)]).unwrap();
        assert_eq!(stack.uneven, [(3, 2.0)]);
    }

    #[test]
    fn slices_that_face_another_way_are_refused() {
        let turned = SliceGeometry { column: [0.0, 0.0, -1.0], ..slice(2.0) };
        assert!(arrange(&[slice(0.0), turned]).is_err());
    }
}
