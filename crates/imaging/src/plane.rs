//! A slice of a volume, its label counterpart, and the one geometry in which both are shown.

use crate::mask::Mask;
use std::collections::BTreeSet;

/// Size and pixel distances of a slice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Geometry {
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// Distance between neighbouring pixels across and down, in mm.
    pub spacing: [f32; 2],
}

/// Width and height of a picture in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DisplaySize {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

/// Spacings that differ by less than this share are shown as they are.
const SQUARE_TOLERANCE: f32 = 0.01;
/// No scanner makes slices this much thicker than their pixels; a file that says so is not stretched without end.
const MAX_STRETCH: f32 = 16.0;

impl Geometry {
    /// Size of the picture with square pixels: the coarser direction is stretched to the spacing of the finer.
    ///
    /// [`render`](crate::render) and [`LabelPlane::mask`] both use it, so that boxes fit the picture.
    pub fn display_size(&self) -> DisplaySize {
        let [across, down] = self.spacing;
        let finer = across.min(down);
        let stretch = |size: usize, spacing: f32| {
            let ratio = (spacing / finer).min(MAX_STRETCH);
            let ratio = if ratio > 1.0 + SQUARE_TOLERANCE { ratio } else { 1.0 };
            ((size as f32 * ratio).round() as u32).max(1)
        };
        DisplaySize { width: stretch(self.width, across), height: stretch(self.height, down) }
    }
}

/// One slice as a radiologist expects it: axial with the front up, coronal and sagittal with the head up; the patient's
/// right on the left side of the picture, the front on the left of a sagittal one. Pixels are as stored, maybe not square.
#[derive(Debug, Clone)]
pub struct Plane {
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// Rescaled values, row by row from the top left.
    pub values: Vec<f32>,
    /// Distance between neighbouring pixels across and down, in mm.
    pub spacing: [f32; 2],
}

impl Plane {
    /// Size and spacing.
    pub fn geometry(&self) -> Geometry {
        Geometry { width: self.width, height: self.height, spacing: self.spacing }
    }
}

/// The label counterpart of a [`Plane`], in the same geometry.
#[derive(Debug, Clone)]
pub struct LabelPlane {
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// Class of each pixel, row by row from the top left; 0 is background.
    pub values: Vec<u16>,
    /// Distance between neighbouring pixels across and down, in mm.
    pub spacing: [f32; 2],
}

impl LabelPlane {
    /// Size and spacing.
    pub fn geometry(&self) -> Geometry {
        Geometry { width: self.width, height: self.height, spacing: self.spacing }
    }

    /// The classes on this slice, without background.
    pub fn classes(&self) -> BTreeSet<u16> {
        self.values.iter().copied().filter(|class| *class != 0).collect()
    }

    /// Where `class` lies, in pixels of the picture that [`render`](crate::render) makes of the image plane.
    pub fn mask(&self, class: u16) -> Mask {
        let size = self.geometry().display_size();
        let columns = nearest(self.width, size.width);
        let mut inside = Vec::with_capacity(size.width as usize * size.height as usize);
        for row in nearest(self.height, size.height) {
            let start = row * self.width;
            inside.extend(columns.iter().map(|column| self.values[start + column] == class));
        }
        Mask { width: size.width, height: size.height, inside }
    }
}

/// For each of `shown` pixels the stored one whose area holds its centre.
fn nearest(stored: usize, shown: u32) -> Vec<usize> {
    let scale = stored as f64 / f64::from(shown);
    (0..shown).map(|index| (((f64::from(index) + 0.5) * scale) as usize).min(stored - 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coarse_direction_is_stretched_to_square_pixels() {
        let geometry = Geometry { width: 10, height: 4, spacing: [0.5, 2.0] };
        assert_eq!(geometry.display_size(), DisplaySize { width: 10, height: 16 });
        let nearly = Geometry { width: 10, height: 4, spacing: [1.0, 1.005] };
        assert_eq!(nearly.display_size(), DisplaySize { width: 10, height: 4 });
        let absurd = Geometry { width: 1, height: 1, spacing: [1e-6, 1e6] };
        assert!(absurd.display_size().height <= 16);
    }

    #[test]
    fn label_box_grows_with_the_picture() {
        let plane = LabelPlane { width: 3, height: 2, values: vec![0, 0, 0, 0, 7, 0], spacing: [1.0, 3.0] };
        let bounds = plane.mask(7).tight_box().expect("class 7 is there");
        assert_eq!((bounds.left, bounds.top, bounds.right, bounds.bottom), (1, 3, 2, 6));
        assert_eq!(plane.classes().into_iter().collect::<Vec<_>>(), [7]);
    }
}
