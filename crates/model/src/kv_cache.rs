//! Keys and values of the tokens already seen, so that each new token costs one row.
//!
//! Shapes: B sequences, K key-value heads, S tokens so far, C head width.

use burn::tensor::Tensor;

/// The cache of one decoder block.
#[derive(Debug, Clone, Default)]
pub struct LayerCache {
    keys: Option<Tensor<4>>,   // [B, K, S, C], rotated
    values: Option<Tensor<4>>, // [B, K, S, C]
}

impl LayerCache {
    /// Appends `[B, K, T, C]` and returns everything so far, `[B, K, S + T, C]`.
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

/// The caches of all decoder blocks. Cloning shares the tensors: continuing two replies from one prompt costs no copy.
#[derive(Debug, Clone)]
pub struct KvCache {
    /// One per block.
    pub layers: Vec<LayerCache>,
    num_tokens: usize,
    inputs: Option<Tensor<3>>, // [B, S, D], only where rotary positions may change
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
        let numbers: usize = self.layers.iter().map(|layer| values(&layer.keys) + values(&layer.values)).sum();
        numbers * size_of::<f32>()
    }

    pub(crate) fn advance(&mut self, num_tokens: usize) {
        self.num_tokens += num_tokens;
    }

    /// Remembers what went in, `[B, T, D]`, and returns all that ever went in, `[B, S + T, D]`.
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
