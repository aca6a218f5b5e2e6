//! What vision encoder and language model share.
//!
//! Shapes: B batch, T tokens, H heads, K key-value heads, C head width, D model width.

use crate::fused;
use crate::host::{self, HostLinear, HostNorm, View};
use crate::initialise::Initialiser;
use crate::parameter::parameters;
use burn::tensor::activation;
use burn::tensor::{Bool, DType, Device, Tensor, TensorData};
use std::ops::Range;

/// `y = x W^T + b`, with the weight stored as checkpoints have it.
#[derive(Debug, Clone)]
pub struct Linear {
    /// `[out, in]`
    pub weight: Tensor<2>,
    /// `[out]`
    pub bias: Option<Tensor<1>>,
}
parameters!(Linear { weight, bias });

impl Linear {
    /// Fresh weights with standard deviation `deviation`; a bias starts at 0.
    pub fn new(name: &str, [inputs, outputs]: [usize; 2], bias: bool, deviation: f64, init: &Initialiser) -> Linear {
        Linear {
            weight: init.normal(&format!("{name}.weight"), [outputs, inputs], deviation),
            bias: bias.then(|| init.constant([outputs], 0.0)),
        }
    }

    /// `[B, T, in]` to `[B, T, out]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, tokens, inputs] = x.dims();
        let rows = self.forward_rows(x.reshape([batch * tokens, inputs]));
        let outputs = rows.dims()[1];
        rows.reshape([batch, tokens, outputs])
    }

    /// `[N, in]` to `[N, out]`.
    pub fn forward_rows(&self, x: Tensor<2>) -> Tensor<2> {
        if let Some((x, linear)) = View::of(&x).zip(HostLinear::of(self)) {
            let num_rows = x.values().len() / self.weight.dims()[1];
            let mut out = vec![0.0; num_rows * linear.outputs()];
            host::product(&[&linear], x.values(), &mut out, host::Onto::Nothing);
            return host::tensor(out, [num_rows, linear.outputs()]);
        }
        let y = x.matmul(self.weight.clone().transpose());
        match &self.bias {
            Some(bias) => y + bias.clone().unsqueeze(),
            None => y,
        }
    }
}

/// Normalises each row to mean 0 and variance 1, then scales and shifts.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    /// `[D]`
    pub weight: Tensor<1>,
    /// `[D]`
    pub bias: Tensor<1>,
    /// Added to the variance.
    pub eps: f64,
}
parameters!(LayerNorm { weight, bias });

impl LayerNorm {
    /// Scale 1, shift 0.
    pub fn new(width: usize, eps: f64, init: &Initialiser) -> LayerNorm {
        LayerNorm { weight: init.constant([width], 1.0), bias: init.constant([width], 0.0), eps }
    }

    /// `[B, T, D]` to `[B, T, D]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        if let Some((values, norm)) = View::of(&x).zip(HostNorm::layer(self)) {
            return norm.forward(&values, x.dims());
        }
        burn::tensor::module::layer_norm(x, self.weight.clone(), Some(self.bias.clone()), self.eps)
    }
}

/// Divides each row by its root mean square, then scales.
#[derive(Debug, Clone)]
pub struct RmsNorm {
    /// `[D]`
    pub weight: Tensor<1>,
    /// Added to the mean square.
    pub eps: f64,
}
parameters!(RmsNorm { weight });

impl RmsNorm {
    /// Scale 1.
    pub fn new(width: usize, eps: f64, init: &Initialiser) -> RmsNorm {
        RmsNorm { weight: init.constant([width], 1.0), eps }
    }

    /// `[B, T, D]` to `[B, T, D]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        if let Some((values, norm)) = View::of(&x).zip(HostNorm::rms(self)) {
            return norm.forward(&values, x.dims());
        }
        let dtype = x.dtype();
        let x = x.cast(DType::F32); // Squares of half-precision numbers overflow; the reference widens too.
        let mean_square = (x.clone() * x.clone()).mean_dim(2); // [B, T, 1]
        (x * (mean_square + self.eps).sqrt().recip()).cast(dtype) * self.weight.clone().unsqueeze()
    }
}

/// What stands between two linear layers, under the names that checkpoints use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// CLIP's approximation `x * sigmoid(1.702 x)`.
    QuickGelu,
    /// `x * P(X <= x)` of a normal X, exact.
    Gelu,
    /// The same approximated by a hyperbolic tangent.
    GeluTanh,
    /// `x * sigmoid(x)`.
    Silu,
    /// `max(x, 0)`.
    Relu,
}

impl Activation {
    /// By a name of transformers' `ACT2FN`; `None` for others.
    pub fn named(name: &str) -> Option<Activation> {
        Some(match name {
            "quick_gelu" => Activation::QuickGelu,
            "gelu" | "gelu_python" => Activation::Gelu,
            "gelu_pytorch_tanh" | "gelu_tanh" | "gelu_new" | "gelu_fast" => Activation::GeluTanh,
            "silu" | "swish" => Activation::Silu,
            "relu" => Activation::Relu,
            _ => return None,
        })
    }

    /// The name that checkpoints use.
    pub fn name(self) -> &'static str {
        match self {
            Activation::QuickGelu => "quick_gelu",
            Activation::Gelu => "gelu",
            Activation::GeluTanh => "gelu_pytorch_tanh",
            Activation::Silu => "silu",
            Activation::Relu => "relu",
        }
    }

    /// Each value by itself.
    pub fn forward(self, x: Tensor<3>) -> Tensor<3> {
        if let Some(values) = View::of(&x) {
            let mut out = values.values().to_vec();
            host::activate(self, &mut out);
            return host::tensor(out, x.dims());
        }
        match self {
            Activation::QuickGelu if fused::takes(&x) => fused::quick_gelu(x),
            Activation::QuickGelu => x.clone() * activation::sigmoid(x * 1.702),
            Activation::Gelu => activation::gelu(x),
            Activation::GeluTanh => gelu_tanh(x),
            Activation::Silu => activation::silu(x),
            Activation::Relu => activation::relu(x),
        }
    }

    /// `activation(gate) * value`, the middle of a gated feed-forward part.
    pub fn gated(self, gate: Tensor<3>, value: Tensor<3>) -> Tensor<3> {
        if self == Activation::Silu && fused::takes(&gate) {
            fused::swiglu(gate, value)
        } else {
            self.forward(gate) * value
        }
    }
}

/// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`.
fn gelu_tanh(x: Tensor<3>) -> Tensor<3> {
    // Not burn's form: its general power takes a logarithm where two products do.
    let cube = x.clone() * x.clone() * x.clone();
    let inner = (x.clone() + cube * 0.044715) * (2.0 / std::f64::consts::PI).sqrt();
    x * (inner.tanh() + 1.0) * 0.5
}

/// Which pairs of tokens may see each other, as a mask that is true where they may not: `[B, 1, T, T]` over keys in the last dimension.
pub type AttentionMask = Tensor<4, Bool>;

/// Builds the mask of packed rows: causal, and closed between samples.
///
/// `samples[b][t]` is the number of the sample that token t of row b belongs to; padding ([`PADDING`]) is a sample of its own.
/// `branches[b][t]` is its branch within the sample: branch 0 is seen by all branches, the others only by themselves.
pub fn packed_causal_mask(samples: &[Vec<u32>], branches: &[Vec<u32>], device: &Device) -> AttentionMask {
    let batch = samples.len();
    let tokens = samples.first().map_or(0, Vec::len);
    let mut hidden = vec![true; batch * tokens * tokens];
    for (row, (sample, branch)) in samples.iter().zip(branches).enumerate() {
        for query in 0..tokens {
            let line = &mut hidden[(row * tokens + query) * tokens..][..tokens];
            for (key, cell) in line.iter_mut().enumerate().take(query + 1) {
                *cell = sample[key] != sample[query] || (branch[key] != 0 && branch[key] != branch[query]);
            }
        }
    }
    Tensor::from_data(TensorData::new(hidden, [batch, 1, tokens, tokens]), device)
}

/// Scaled dot-product attention with grouped queries.
///
/// `q` is `[B, H, T, C]`; `k` and `v` are `[B, K, S, C]`, query head h reads key-value head `h / (H / K)`. `[B, H, T, C]` to the same.
pub fn attention(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, mask: Option<&AttentionMask>) -> Tensor<4> {
    let [batch, heads, queries, width] = q.dims();
    let [_, kv_heads, keys, _] = k.dims();
    let group = heads / kv_heads;
    let scale = (width as f64).powf(-0.5);
    // Queries of one group share keys: stack them along T instead of repeating the keys.
    let q = (q * scale).reshape([batch, kv_heads, group * queries, width]);
    let mut scores = q.matmul(k.swap_dims(2, 3)).reshape([batch, heads, queries, keys]); // [B, H, T, S]
    if let Some(mask) = mask {
        // Any value far below real scores becomes exactly 0 after softmax; -inf would give NaN in rows without a visible key.
        scores = scores.mask_fill(mask.clone().expand([batch, heads, queries, keys]), -1e9);
    }
    let dtype = scores.dtype();
    let weights = activation::softmax(scores.cast(DType::F32), 3).cast(dtype);
    let weights = weights.reshape([batch, kv_heads, group * queries, keys]);
    weights.matmul(v).reshape([batch, heads, queries, width])
}

/// Samples of packed rows as ranges of flattened tokens; padding (`u32::MAX`) is left out.
pub fn sample_ranges(samples: &[Vec<u32>]) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    for row in samples {
        for piece in row.chunk_by(|a, b| a == b) {
            if piece[0] != PADDING {
                ranges.push(start..start + piece.len());
            }
            start += piece.len();
        }
    }
    ranges
}

/// Sample number of padding tokens.
pub const PADDING: u32 = u32::MAX;

/// New tokens see all earlier ones and themselves: `[B, 1, T, past + T]`.
pub fn causal_mask(batch: usize, past: usize, tokens: usize, device: &Device) -> AttentionMask {
    let keys = past + tokens;
    let row: Vec<bool> = (0..tokens).flat_map(|query| (0..keys).map(move |key| key > past + query)).collect();
    Tensor::from_data(TensorData::new(row.repeat(batch), [batch, 1, tokens, keys]), device)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::device::cpu;

    #[test]
    fn packed_mask_is_causal_and_closed_between_samples() {
        let mask = packed_causal_mask(&[vec![0, 0, 1]], &[vec![0; 3]], &cpu());
        let visible: Vec<bool> = mask.into_data().iter::<bool>().map(|hidden| !hidden).collect();
        assert_eq!(visible, [true, false, false, true, true, false, false, false, true]);
    }

    #[test]
    fn grouped_attention_equals_attention_with_repeated_keys() {
        let device = cpu();
        let init = Initialiser::new(1, &device);
        let q = init.normal("q", [2, 4, 3, 8], 1.0);
        let k: Tensor<4> = init.normal("k", [2, 2, 3, 8], 1.0);
        let v: Tensor<4> = init.normal("v", [2, 2, 3, 8], 1.0);
        let repeat = |x: Tensor<4>| {
            let heads: Vec<Tensor<4>> = (0..4).map(|head| x.clone().narrow(1, head / 2, 1)).collect();
            Tensor::cat(heads, 1)
        };
        let grouped = attention(q.clone(), k.clone(), v.clone(), None);
        let repeated = attention(q, repeat(k), repeat(v), None);
        let difference: f32 = (grouped - repeated).abs().max().into_scalar();
        assert!(difference < 1e-6, "{difference}");
    }
}
