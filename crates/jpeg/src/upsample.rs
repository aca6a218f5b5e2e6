//! Components brought to the picture's size as libjpeg does by default (`jdsample.c`): halved sides by a triangle filter ("fancy
//! upsampling"), other ratios by repeating samples.

use crate::error::{Error, Result};
use crate::frame::{Plane, Planes};
use crate::header::Frame;

/// How a component's rows become rows of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    /// One to one.
    Copy,
    /// Triangle filter across.
    HalfWidth,
    /// Triangle filter down.
    HalfHeight,
    /// Both, in one step.
    Quarter,
    /// Each sample repeated this often across and down.
    Repeat { across: usize, down: usize },
}

/// Narrower components are repeated instead: the filter needs a neighbour on either side.
const LEAST_WIDTH: usize = 3;

/// Writes the rows of one component at the picture's size.
#[derive(Debug)]
pub(crate) struct Upsampler<'a> {
    plane: &'a Plane<u8>,
    method: Method,
    /// Weighted sums of two rows, for [`Method::Quarter`].
    sums: Vec<i32>,
    /// A row at twice the component's width, which may be one more than the picture's.
    doubled: Vec<u8>,
}

impl<'a> Upsampler<'a> {
    /// One for each component.
    pub(crate) fn for_planes(frame: &Frame, planes: &'a Planes<u8>) -> Result<Vec<Upsampler<'a>>> {
        let (max_across, max_down) = (frame.max_across(), frame.max_down());
        let upsampler = |(plane, component): (&'a Plane<u8>, &crate::header::Component)| {
            if !max_across.is_multiple_of(component.across) || !max_down.is_multiple_of(component.down) {
                let ratio = format!("{max_across}x{max_down} to {}x{}", component.across, component.down);
                return Err(Error::Unsupported { what: "JPEG sampling", value: ratio });
            }
            let method = match (max_across / component.across, max_down / component.down) {
                (1, 1) => Method::Copy,
                (2, 1) if plane.shape.width >= LEAST_WIDTH => Method::HalfWidth,
                (2, 2) if plane.shape.width >= LEAST_WIDTH => Method::Quarter,
                (1, 2) => Method::HalfHeight,
                (across, down) => Method::Repeat { across, down },
            };
            let width = plane.shape.width;
            Ok(Upsampler { plane, method, sums: vec![0; width], doubled: vec![0; 2 * width] })
        };
        planes.components.iter().zip(&frame.components).map(upsampler).collect()
    }

    /// The component's row; above the first it is the first, below the last the last.
    fn row(&self, index: i64) -> &'a [u8] {
        let shape = &self.plane.shape;
        let start = index.clamp(0, shape.height as i64 - 1) as usize * shape.stride();
        &self.plane.samples[start..start + shape.width]
    }

    /// Writes row `y` of the picture.
    pub(crate) fn write_row(&mut self, y: usize, out: &mut [u8]) {
        match self.method {
            Method::Copy => out.copy_from_slice(&self.row(y as i64)[..out.len()]),
            Method::HalfWidth => {
                double_width(self.row(y as i64), &mut self.doubled);
                out.copy_from_slice(&self.doubled[..out.len()]);
            }
            Method::HalfHeight => {
                let (near, far) = self.two_rows(y);
                // Rounding alternates from row to row, so that it does not darken or brighten the whole.
                let bias = if y.is_multiple_of(2) { 1 } else { 2 };
                for ((out, near), far) in out.iter_mut().zip(near).zip(far) {
                    *out = ((3 * u16::from(*near) + u16::from(*far) + bias) >> 2) as u8;
                }
            }
            Method::Quarter => {
                let (near, far) = self.two_rows(y);
                for ((sum, near), far) in self.sums.iter_mut().zip(near).zip(far) {
                    *sum = 3 * i32::from(*near) + i32::from(*far);
                }
                double_sums(&self.sums, &mut self.doubled);
                out.copy_from_slice(&self.doubled[..out.len()]);
            }
            Method::Repeat { across, down } => {
                let row = self.row((y / down) as i64);
                for (out, sample) in out.chunks_mut(across).zip(row) {
                    out.fill(*sample);
                }
            }
        }
    }

    /// The row that holds picture row `y` at half height, and the nearest other one.
    fn two_rows(&self, y: usize) -> (&'a [u8], &'a [u8]) {
        let near = (y / 2) as i64;
        let far = if y.is_multiple_of(2) { near - 1 } else { near + 1 };
        (self.row(near), self.row(far))
    }
}

/// Three quarters of the nearer sample and one of the farther (`h2v1_fancy_upsample`).
fn double_width(row: &[u8], out: &mut [u8]) {
    let last = row.len() - 1;
    let weighted = |near: u8, far: u8, bias: u16| ((3 * u16::from(near) + u16::from(far) + bias) >> 2) as u8;
    let inner = out[2..2 * last].as_chunks_mut::<2>().0;
    for (pair, three) in inner.iter_mut().zip(row.windows(3)) {
        *pair = [weighted(three[1], three[0], 1), weighted(three[1], three[2], 2)];
    }
    (out[0], out[1]) = (row[0], weighted(row[0], row[1], 2));
    (out[2 * last], out[2 * last + 1]) = (weighted(row[last], row[last - 1], 1), row[last]);
}

/// The same over sums of two rows, each of weight four (`h2v2_fancy_upsample`).
fn double_sums(sums: &[i32], out: &mut [u8]) {
    let last = sums.len() - 1;
    let weighted = |near: i32, far: i32, bias: i32| ((3 * near + far + bias) >> 4) as u8;
    let inner = out[2..2 * last].as_chunks_mut::<2>().0;
    for (pair, three) in inner.iter_mut().zip(sums.windows(3)) {
        *pair = [weighted(three[1], three[0], 8), weighted(three[1], three[2], 7)];
    }
    (out[0], out[1]) = (((4 * sums[0] + 8) >> 4) as u8, weighted(sums[0], sums[1], 7));
    (out[2 * last], out[2 * last + 1]) = (weighted(sums[last], sums[last - 1], 8), ((4 * sums[last] + 7) >> 4) as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_doubled_by_the_triangle_filter() {
        let mut out = [0; 8];
        double_width(&[0, 100, 200, 100], &mut out);
        assert_eq!(out, [0, 25, 75, 125, 175, 175, 125, 100]);
    }

    #[test]
    fn equal_samples_stay_equal() {
        let mut out = [0; 10];
        double_sums(&[4 * 77; 5], &mut out);
        assert_eq!(out, [77; 10]);
    }
}
