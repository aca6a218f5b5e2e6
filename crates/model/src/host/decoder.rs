//! A decoder block over rows of several sequences.

use super::attention::{Projected, Segment, SequenceKeys, attend, remember};
use super::linear::{HostLinear, Onto, product};
use super::rows::{HostNorm, gate};
use crate::fused::{HeadGroup, Rotary};
use crate::layers::Activation;
use std::sync::Arc;

/// A decoder block's values; the same for all families.
pub(crate) struct HostBlock {
    pub attention_norm: HostNorm,
    /// Query, key and value projections: one packed, or three side by side.
    pub qkv: Vec<HostLinear>,
    pub output: HostLinear,
    pub feed_forward_norm: HostNorm,
    pub gate: HostLinear,
    pub up: HostLinear,
    pub down: HostLinear,
    pub activation: Activation,
}

/// What all blocks share in one pass.
pub(crate) struct HostDecoder {
    pub groups: Vec<HeadGroup>,
    pub head_dim: usize,
    /// Of each row.
    pub rotary: Rotary,
}

/// New rows of one sequence and its cache in one block.
pub(crate) struct SequenceRows<'a> {
    pub num_rows: usize,
    pub segments: &'a mut Vec<Arc<Segment>>,
}

impl HostBlock {
    /// Rows `[N, D]` of sequences, one after another, in place.
    pub fn forward(&self, x: &mut [f32], context: &HostDecoder, sequences: &mut [SequenceRows<'_>], room: &mut Room) {
        let width = self.output.outputs();
        let num_rows = x.len() / width;
        let parts: Vec<&HostLinear> = self.qkv.iter().collect();
        let row_width: usize = parts.iter().map(|part| part.outputs()).sum();
        let normed = sized(&mut room.normed, x.len());
        self.attention_norm.apply(x, normed);
        let rows = sized(&mut room.wide, num_rows * row_width);
        product(&parts, normed, rows, Onto::Nothing);
        let projected =
            Projected { rows, row_width, head_dim: context.head_dim, groups: &context.groups, rotary: &context.rotary };
        let num_heads: usize = context.groups.iter().map(|group| group.queries.len()).sum();
        let mixed = sized(&mut room.mixed, num_rows * num_heads * context.head_dim);
        mix(&projected, sequences, mixed);
        product(&[&self.output], mixed, x, Onto::Residual);

        self.feed_forward_norm.apply(x, normed);
        let inner = self.gate.outputs();
        let both = sized(&mut room.wide, num_rows * 2 * inner);
        product(&[&self.gate, &self.up], normed, both, Onto::Nothing);
        let gated = sized(&mut room.mixed, num_rows * inner);
        gate(self.activation, both, inner, gated);
        product(&[&self.down], gated, x, Onto::Residual);
    }
}

fn mix(projected: &Projected<'_>, sequences: &mut [SequenceRows<'_>], out: &mut [f32]) {
    let mut first_row = 0;
    for sequence in sequences.iter_mut() {
        remember(projected, first_row, sequence.num_rows, sequence.segments);
        first_row += sequence.num_rows;
    }
    let mut first_row = 0;
    let keys: Vec<SequenceKeys<'_>> = sequences
        .iter()
        .map(|sequence| {
            let keys = SequenceKeys { first_row, num_rows: sequence.num_rows, segments: sequence.segments };
            first_row += sequence.num_rows;
            keys
        })
        .collect();
    attend(projected, &keys, out);
}

/// Room that the blocks of a pass use one after another.
#[derive(Default)]
pub(crate) struct Room {
    pub normed: Vec<f32>,
    pub wide: Vec<f32>,
    pub mixed: Vec<f32>,
}

/// The first `len` values of `room`, which grows when it is smaller. What stands in it is of no use.
pub(crate) fn sized(room: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if room.len() < len {
        room.resize(len, 0.0);
    }
    &mut room[..len]
}
