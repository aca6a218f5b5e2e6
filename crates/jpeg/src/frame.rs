//! Sizes of components in blocks and samples, and the planes that hold them.

use crate::header::{Component, Frame};
use crate::idct::{self, Sample};

/// Size of one component (ITU T.81 A.1.1, A.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Blocks across and down that hold samples of the picture; scans of this component alone have exactly these.
    pub(crate) blocks_across: usize,
    pub(crate) blocks_down: usize,
    /// Blocks across and down with those that only fill up the last MCUs.
    pub(crate) padded_across: usize,
    pub(crate) padded_down: usize,
    /// Samples that belong to the picture.
    pub(crate) width: usize,
    pub(crate) height: usize,
}

impl Shape {
    pub(crate) fn new(frame: &Frame, component: &Component) -> Shape {
        let (max_across, max_down) = (frame.max_across(), frame.max_down());
        let (width, height) = (usize::from(frame.width), usize::from(frame.height));
        let samples_across = (width * component.across).div_ceil(max_across);
        let samples_down = (height * component.down).div_ceil(max_down);
        Shape {
            blocks_across: samples_across.div_ceil(8),
            blocks_down: samples_down.div_ceil(8),
            padded_across: width.div_ceil(8 * max_across) * component.across,
            padded_down: height.div_ceil(8 * max_down) * component.down,
            width: samples_across,
            height: samples_down,
        }
    }

    /// Samples from one row of the plane to the next.
    pub(crate) fn stride(&self) -> usize {
        self.padded_across * 8
    }
}

/// One component's samples, in whole blocks.
#[derive(Debug)]
pub(crate) struct Plane<S> {
    pub(crate) shape: Shape,
    pub(crate) samples: Vec<S>,
}

impl<S: Sample> Plane<S> {
    /// Transforms a block of coefficients into its place.
    pub(crate) fn put(&mut self, column: usize, row: usize, block: &[i16; 64], steps: &[u16; 64]) {
        let stride = self.shape.stride();
        let out = &mut self.samples[row * 8 * stride + column * 8..];
        if block[1..].iter().any(|value| *value != 0) {
            idct::block_to_samples(block, steps, out, stride);
        } else {
            idct::mean_to_samples(block[0], steps[0], out, stride);
        }
    }
}

/// All components' samples.
#[derive(Debug)]
pub(crate) struct Planes<S> {
    pub(crate) components: Vec<Plane<S>>,
}

impl<S: Sample> Planes<S> {
    /// Room for the samples of a frame.
    pub(crate) fn new(frame: &Frame) -> Planes<S> {
        let plane = |component| {
            let shape = Shape::new(frame, component);
            Plane { samples: vec![S::default(); shape.stride() * shape.padded_down * 8], shape }
        };
        Planes { components: frame.components.iter().map(plane).collect() }
    }
}
