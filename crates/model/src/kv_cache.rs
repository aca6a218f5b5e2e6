//! Keys and values of the tokens already seen, so that each new token costs one row.
//!
//! Shapes: K key-value heads, S tokens so far, C head width, D model width.

use crate::host::Segment;
use burn::tensor::Tensor;
use std::sync::Arc;

/// The cache of one decoder block: as tensors, or where answering runs on slices as segments.
#[derive(Debug, Clone, Default)]
pub struct LayerCache {
    keys: Option<Tensor<4>>,   // [1, K, S, C], rotated
    values: Option<Tensor<4>>, // [1, K, S, C]
    pub(crate) segments: Vec<Arc<Segment>>,
}

impl LayerCache {
    /// Appends `[1, K, T, C]` and returns everything so far, `[1, K, S + T, C]`.
    pub fn append(&mut self, keys: Tensor<4>, values: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let join = |old: Option<Tensor<4>>, new: Tensor<4>| match old {
            Some(old) => Tensor::cat(vec![old, new], 2),
            None => new,
        };
        let keys = join(self.keys.take(), keys);
        let values = join(self.values.take(), values);
        self.keys = Some(keys.clone());
        self.values = Some(values.clone());
        (keys, values)
    }
}

/// One sequence in all decoder blocks. Cloning shares what was read: continuing two replies from one prompt costs no copy.
#[derive(Debug, Clone)]
pub struct KvCache {
    /// One per block.
    pub layers: Vec<LayerCache>,
    num_tokens: usize,
    inputs: Option<Tensor<3>>, // [1, S, D], only where rotary positions may change
}

impl KvCache {
    /// An empty cache for `num_layers` blocks.
    pub fn new(num_layers: usize) -> KvCache {
        KvCache { layers: vec![LayerCache::default(); num_layers], num_tokens: 0, inputs: None }
    }

    /// Tokens seen so far.
    pub fn num_tokens(&self) -> usize {
        self.num_tokens
    }

    /// Bytes that keys and values take.
    pub fn num_bytes(&self) -> usize {
        let values = |tensor: &Option<Tensor<4>>| tensor.as_ref().map_or(0, |tensor| tensor.dims().iter().product());
        let of = |layer: &LayerCache| {
            let segments: usize = layer.segments.iter().map(|segment| segment.num_values()).sum();
            values(&layer.keys) + values(&layer.values) + segments
        };
        self.layers.iter().map(of).sum::<usize>() * size_of::<f32>()
    }

    pub(crate) fn advance(&mut self, num_tokens: usize) {
        self.num_tokens += num_tokens;
    }

    /// Remembers what went in, `[1, T, D]`, and returns all that ever went in, `[1, S + T, D]`.
    pub(crate) fn remember(&mut self, x: Tensor<3>) -> Tensor<3> {
        let all = match self.inputs.take() {
            Some(earlier) => Tensor::cat(vec![earlier, x], 1),
            None => x,
        };
        self.inputs = Some(all.clone());
        all
    }

    /// Forgets keys and values, not the inputs.
    pub(crate) fn restart(&mut self) {
        self.layers.iter_mut().for_each(|layer| *layer = LayerCache::default());
        self.num_tokens = 0;
    }
}
