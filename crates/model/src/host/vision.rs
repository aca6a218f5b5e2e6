//! A vision block over pictures.

use super::attention::attend_pictures;
use super::decoder::{Room, sized};
use super::linear::{HostLinear, Onto, product};
use super::rows::{HostNorm, activate};
use crate::layers::Activation;

/// A vision block's values.
pub(crate) struct HostVisionBlock {
    pub norm1: HostNorm,
    /// Queries, keys, values.
    pub qkv: [HostLinear; 3],
    pub output: HostLinear,
    pub norm2: HostNorm,
    pub fc1: HostLinear,
    pub fc2: HostLinear,
    pub activation: Activation,
}

/// What all blocks share.
#[derive(Clone, Copy)]
pub(crate) struct VisionShape {
    /// D
    pub width: usize,
    /// H
    pub num_heads: usize,
    /// R
    pub rows_per_picture: usize,
}

/// Rows of pictures `[B R, D]` through the blocks, in place.
pub(crate) fn run_vision(blocks: &[HostVisionBlock], shape: VisionShape, x: &mut [f32]) {
    let mut room = Room::default();
    for block in blocks {
        block.forward(x, shape, &mut room);
    }
}

impl HostVisionBlock {
    fn forward(&self, x: &mut [f32], shape: VisionShape, room: &mut Room) {
        let VisionShape { width, num_heads, rows_per_picture } = shape;
        let num_rows = x.len() / width;
        let normed = sized(&mut room.normed, x.len());
        self.norm1.apply(x, normed);
        let rows = sized(&mut room.wide, num_rows * 3 * width);
        let [q, k, v] = &self.qkv;
        product(&[q, k, v], normed, rows, Onto::Nothing);
        let mixed = sized(&mut room.mixed, x.len());
        attend_pictures(rows, width, num_heads, rows_per_picture, mixed);
        product(&[&self.output], mixed, x, Onto::Residual);

        self.norm2.apply(x, normed);
        let inner = sized(&mut room.wide, num_rows * self.fc1.outputs());
        product(&[&self.fc1], normed, inner, Onto::Nothing);
        activate(self.activation, inner);
        product(&[&self.fc2], inner, x, Onto::Residual);
    }
}
