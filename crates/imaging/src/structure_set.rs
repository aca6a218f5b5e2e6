//! DICOM RT Structure Sets (PS3.3 A.19, C.8.8): contours as label maps on the volume that they were drawn on.
//!
//! Contours of one structure on one slice combine by exclusive or: a contour inside another is a hole, and the bridges of
//! keyhole contours have no area. A voxel is inside when its middle is.

use crate::data_set::DicomFile;
use crate::error::{Error, Result};
use crate::label::LabelMap;
use crate::limits::Limits;
use crate::placement::{self, Grid};
use crate::volume::Volume;
use dicom_dictionary_std::tags;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A contour whose points leave its plane by more than this share of a voxel is not planar.
const PLANE_TOLERANCE: f64 = 0.25;
/// A place in a contour, whole numbers are middles of voxels: more than this are an attack.
const MAX_POINTS: usize = 50_000_000;

/// One structure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Roi {
    /// ROINumber.
    pub number: i64,
    /// ROIName.
    pub name: String,
    /// Its closed contours: points in RAS, in mm.
    contours: Vec<Vec<[f64; 3]>>,
    /// Contours that are no closed planar ones (points, open lines).
    pub num_open: usize,
}

impl Roi {
    /// Closed contours.
    pub fn num_contours(&self) -> usize {
        self.contours.len()
    }
}

/// A structure set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StructureSet {
    /// For messages; whoever reads the file knows it.
    #[serde(skip)]
    pub(crate) path: PathBuf,
    /// SeriesInstanceUIDs of the images that were drawn on.
    pub series: BTreeSet<String>,
    /// SOPInstanceUIDs of these images.
    pub images: BTreeSet<String>,
    /// The structures, by number.
    pub rois: Vec<Roi>,
}

/// What a structure marks in a volume.
#[derive(Debug, Clone)]
pub struct Drawn {
    /// 1 inside, 0 elsewhere.
    pub map: LabelMap,
    /// Contours on slices of the volume.
    pub num_inside: usize,
    /// Contours on slices that the volume does not have.
    pub num_outside: usize,
}

impl StructureSet {
    /// Reads a structure set.
    pub fn read(path: &Path, limits: &Limits) -> Result<StructureSet> {
        StructureSet::of(&DicomFile::read(path, limits)?)
    }

    /// As [`read`](StructureSet::read), of a file that was taken apart already.
    pub(crate) fn of(file: &DicomFile) -> Result<StructureSet> {
        let path = &file.path;
        let root = file.root();
        if root.text(tags::MODALITY).as_deref() != Some("RTSTRUCT") {
            let value = root.text(tags::MODALITY).unwrap_or_default();
            let remedy = "give RT Structure Set objects";
            return Err(Error::Unsupported { path: path.into(), field: "Modality", value, remedy });
        }
        let mut set =
            StructureSet { path: path.into(), series: BTreeSet::new(), images: BTreeSet::new(), rois: Vec::new() };
        for frame in root.items(tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE) {
            for study in frame.items(tags::RT_REFERENCED_STUDY_SEQUENCE) {
                for series in study.items(tags::RT_REFERENCED_SERIES_SEQUENCE) {
                    set.series.extend(series.text(tags::SERIES_INSTANCE_UID));
                    let images = series.items(tags::CONTOUR_IMAGE_SEQUENCE);
                    set.images.extend(images.iter().filter_map(|item| item.text(tags::REFERENCED_SOP_INSTANCE_UID)));
                }
            }
        }
        let mut rois: BTreeMap<i64, Roi> = BTreeMap::new();
        for item in root.items(tags::STRUCTURE_SET_ROI_SEQUENCE) {
            let missing = || Error::MissingAttribute { path: path.into(), name: "ROINumber" };
            let number = item.decimal(tags::ROI_NUMBER).ok_or_else(missing)? as i64;
            let name = item.text(tags::ROI_NAME).unwrap_or_else(|| number.to_string());
            rois.insert(number, Roi { number, name, contours: Vec::new(), num_open: 0 });
        }
        let mut num_points = 0;
        for item in root.items(tags::ROI_CONTOUR_SEQUENCE) {
            let number = item.decimal(tags::REFERENCED_ROI_NUMBER).map(|number| number as i64);
            let Some(roi) = number.and_then(|number| rois.get_mut(&number)) else {
                return Err(file.malformed(tags::REFERENCED_ROI_NUMBER, "names no item of StructureSetROISequence"));
            };
            for contour in item.items(tags::CONTOUR_SEQUENCE) {
                let images = contour.items(tags::CONTOUR_IMAGE_SEQUENCE);
                set.images.extend(images.iter().filter_map(|item| item.text(tags::REFERENCED_SOP_INSTANCE_UID)));
                let kind = contour.text(tags::CONTOUR_GEOMETRIC_TYPE).unwrap_or_default();
                if !kind.starts_with("CLOSED_PLANAR") && kind != "CLOSEDPLANAR_XOR" {
                    roi.num_open += 1;
                    continue;
                }
                let numbers = contour.decimals(tags::CONTOUR_DATA).unwrap_or_default();
                let (points, rest) = numbers.as_chunks::<3>();
                num_points += points.len();
                if points.len() < 3 || !rest.is_empty() || num_points > MAX_POINTS {
                    let reason = format!(
                        "a contour of `{}` has {} numbers: points are threes, at least three",
                        roi.name,
                        numbers.len()
                    );
                    return Err(file.malformed(tags::CONTOUR_DATA, reason));
                }
                roi.contours.push(points.iter().map(|point| placement::ras(*point)).collect());
            }
        }
        set.rois = rois.into_values().collect();
        Ok(set)
    }

    /// What one structure marks on the grid of `volume`.
    pub fn draw(&self, roi: &Roi, volume: &Volume) -> Result<Drawn> {
        let grid = Grid::new(&volume.affine).ok_or_else(|| placement::no_grid(&self.path))?;
        let mut values = placement::blank(volume);
        let (mut num_inside, mut num_outside) = (0, 0);
        for (number, contour) in roi.contours.iter().enumerate() {
            let points: Vec<[f64; 3]> = contour.iter().map(|point| grid.voxel(*point)).collect();
            let Some(axis) = plane_axis(&points) else {
                let reason = format!("contour {} of `{}` is not in the plane of a slice", number + 1, roi.name);
                return Err(Error::malformed(&self.path, "ContourData", reason));
            };
            let slice = points.iter().map(|point| point[axis]).sum::<f64>() / points.len() as f64;
            let slice = slice.round();
            if slice < 0.0 || slice >= volume.dims[axis] as f64 {
                num_outside += 1;
                continue;
            }
            num_inside += 1;
            fill(&mut values, volume.dims, (axis, slice as usize), &points);
        }
        let map = LabelMap { dims: volume.dims, spacing: volume.spacing, values, affine: volume.affine };
        Ok(Drawn { map, num_inside, num_outside })
    }
}

/// The voxel axis along which all points are at one place; the last one first, for contours of a single point's height.
fn plane_axis(points: &[[f64; 3]]) -> Option<usize> {
    let extent = |axis: usize| {
        let all = points.iter().map(|point| point[axis]);
        all.clone().fold(f64::NEG_INFINITY, f64::max) - all.fold(f64::INFINITY, f64::min)
    };
    [2, 1, 0].into_iter().find(|axis| extent(*axis) <= 2.0 * PLANE_TOLERANCE)
}

/// Turns every voxel of the slice whose middle the contour encloses from outside to inside, or back (even-odd rule).
fn fill(values: &mut [u16], dims: [usize; 3], (axis, slice): (usize, usize), points: &[[f64; 3]]) {
    let [across, down] = [[1, 2], [0, 2], [0, 1]][axis];
    let strides = [1, dims[0], dims[0] * dims[1]];
    let mut crossings = Vec::new();
    for row in 0..dims[down] {
        let y = row as f64;
        crossings.clear();
        for (index, from) in points.iter().enumerate() {
            let to = points[(index + 1) % points.len()];
            // Half-open: a corner on the row belongs to one of its two edges.
            if (from[down] <= y) != (to[down] <= y) {
                let share = (y - from[down]) / (to[down] - from[down]);
                crossings.push(from[across] + share * (to[across] - from[across]));
            }
        }
        crossings.sort_by(f64::total_cmp);
        for pair in crossings.chunks_exact(2) {
            let first = pair[0].ceil().max(0.0);
            let last = pair[1].min(dims[across] as f64); // Exclusive: an edge on a middle belongs to the left side.
            let mut column = first as usize;
            while (column as f64) < last {
                values[column * strides[across] + row * strides[down] + slice * strides[axis]] ^= 1;
                column += 1;
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::volume::tests::volume;

    fn square(from: f64, to: f64, z: f64) -> Vec<[f64; 3]> {
        vec![[from, from, z], [to, from, z], [to, to, z], [from, to, z]]
    }

    fn drawn(contours: Vec<Vec<[f64; 3]>>) -> Result<Drawn> {
        let roi = Roi { number: 1, name: "made-up".into(), contours, num_open: 0 };
        let set = StructureSet { path: "a.dcm".into(), series: BTreeSet::new(), images: BTreeSet::new(), rois: vec![] };
        set.draw(&roi, &volume([8, 8, 3], vec![0.0; 192]))
    }

    #[test]
    fn a_contour_in_another_is_a_hole() {
        let found = drawn(vec![square(0.5, 6.5, 1.0), square(2.5, 4.5, 1.0), square(0.5, 1.5, 7.0)]).unwrap();
        assert_eq!((found.num_inside, found.num_outside), (2, 1));
        let inside = found.map.values.iter().filter(|value| **value == 1).count();
        assert_eq!(inside, 36 - 4);
        assert_eq!(found.map.values[64 + 3 * 8 + 3], 0, "the hole");
        assert_eq!(found.map.values[64 + 8 + 1], 1);
        assert!(found.map.values[..64].iter().all(|value| *value == 0), "other slices stay empty");
    }

    #[test]
    fn tilted_contours_are_refused() {
        let mut tilted = square(1.0, 5.0, 1.0);
        tilted[0][2] = 3.0;
        assert!(drawn(vec![tilted]).unwrap_err().to_string().contains("not in the plane"));
    }

    #[test]
    fn a_contour_beyond_the_border_fills_up_to_it() {
        let found = drawn(vec![square(-5.0, 50.0, 0.0)]).unwrap();
        assert_eq!(found.map.values.iter().filter(|value| **value == 1).count(), 64);
    }
}
