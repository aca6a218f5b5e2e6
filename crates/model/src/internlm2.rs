//! InternLM2's decoder block: a Llama block whose query, key and value projections are packed per key-value head.
//!
//! Shapes: B rows, T tokens, H heads, K key-value heads, G = H / K, C head width, D width.

use crate::config::TextConfig;
use crate::decoder::{Heads, TokenContext, attend_fused};
use crate::fused::HeadGroup;
use crate::host::{HostBlock, HostLinear, HostNorm};
use crate::initialise::Initialiser;
use crate::kv_cache::LayerCache;
use crate::layers::{Activation, Linear, RmsNorm};
use crate::parameter::parameters;
use burn::tensor::Tensor;

/// Pre-norm decoder block.
#[derive(Debug, Clone)]
pub struct InternLm2Block {
    /// Grouped-query attention.
    pub attention: Attention,
    /// Gated feed-forward part.
    pub feed_forward: FeedForward,
    /// Norm before attention.
    pub attention_norm: RmsNorm,
    /// Norm before the feed-forward part.
    pub ffn_norm: RmsNorm,
}
parameters!(InternLm2Block { attention, feed_forward, attention_norm, ffn_norm });

/// Grouped-query attention with packed projections.
#[derive(Debug, Clone)]
pub struct Attention {
    /// `[(H + 2 K) C, D]`: for each key-value head its G queries, its key, its value.
    pub wqkv: Linear,
    /// `[D, D]`
    pub wo: Linear,
    num_kv_heads: usize,
    num_groups: usize,
    head_dim: usize,
}
parameters!(Attention { wqkv, wo });

/// `w2(silu(w1 x) * w3 x)`.
#[derive(Debug, Clone)]
pub struct FeedForward {
    /// Gate.
    pub w1: Linear,
    /// Back to the model width.
    pub w2: Linear,
    /// Value.
    pub w3: Linear,
    activation: Activation,
}
parameters!(FeedForward { w1, w2, w3 });

impl InternLm2Block {
    /// Fresh weights.
    pub fn new(name: &str, config: &TextConfig, init: &Initialiser) -> InternLm2Block {
        let (width, wide) = (config.hidden_size, config.intermediate_size);
        let deviation = config.initializer_range;
        // Residual branches start smaller the deeper the network, so that the sum keeps its scale (GPT-2).
        let residual = deviation * (2.0 * config.num_hidden_layers as f64).powf(-0.5);
        let linear =
            |part: &str, shape, bias, deviation| Linear::new(&format!("{name}.{part}"), shape, bias, deviation, init);
        InternLm2Block {
            attention: Attention {
                wqkv: linear("wqkv", [width, config.packed_width()], config.qkv_bias, deviation),
                wo: linear("wo", [width, width], config.attention_output_bias, residual),
                num_kv_heads: config.num_key_value_heads,
                num_groups: config.num_query_groups(),
                head_dim: config.head_dim,
            },
            feed_forward: FeedForward {
                w1: linear("w1", [width, wide], false, deviation),
                w2: linear("w2", [wide, width], false, residual),
                w3: linear("w3", [width, wide], false, deviation),
                activation: config.hidden_act,
            },
            attention_norm: RmsNorm::new(width, config.rms_norm_eps, init),
            ffn_norm: RmsNorm::new(width, config.rms_norm_eps, init),
        }
    }

    pub(crate) fn host(&self) -> Option<HostBlock> {
        Some(HostBlock {
            attention_norm: HostNorm::rms(&self.attention_norm)?,
            qkv: vec![HostLinear::of(&self.attention.wqkv)?],
            output: HostLinear::of(&self.attention.wo)?,
            feed_forward_norm: HostNorm::rms(&self.ffn_norm)?,
            gate: HostLinear::of(&self.feed_forward.w1)?,
            up: HostLinear::of(&self.feed_forward.w3)?,
            down: HostLinear::of(&self.feed_forward.w2)?,
            activation: self.feed_forward.activation,
        })
    }

    /// `[B, T, D]` to the same.
    pub fn forward(&self, x: Tensor<3>, context: &TokenContext, cache: Option<&mut LayerCache>) -> Tensor<3> {
        let x = x.clone() + self.attention.forward(self.attention_norm.forward(x), context, cache);
        x.clone() + self.feed_forward.forward(self.ffn_norm.forward(x))
    }
}

impl Attention {
    /// `[B, T, D]` to the same.
    pub fn forward(&self, x: Tensor<3>, context: &TokenContext, cache: Option<&mut LayerCache>) -> Tensor<3> {
        let packed = self.wqkv.forward(x); // [B, T, (H + 2 K) C]
        self.wo.forward(match context {
            TokenContext::Fused(layout) => attend_fused(packed, layout),
            TokenContext::Composed(context) => self.split_heads(packed).attend(context, cache),
        })
    }

    /// `[B, T, (H + 2 K) C]` to queries, keys and values.
    fn split_heads(&self, packed: Tensor<3>) -> Heads {
        let [batch, tokens, _] = packed.dims();
        let (kv_heads, groups, head_dim) = (self.num_kv_heads, self.num_groups, self.head_dim);
        // [B, T, K, G + 2, C] -> [B, K, G + 2, T, C]
        let slots: Tensor<5> = packed.reshape([batch, tokens, kv_heads, groups + 2, head_dim]).permute([0, 2, 3, 1, 4]);
        let single = |slot| slots.clone().narrow(2, slot, 1).reshape([batch, kv_heads, tokens, head_dim]);
        Heads {
            q: slots.clone().narrow(2, 0, groups).reshape([batch, kv_heads * groups, tokens, head_dim]),
            k: single(groups),
            v: single(groups + 1),
        }
    }
}

impl FeedForward {
    /// `[B, T, D]` to the same.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.w2.forward(self.activation.gated(self.w1.forward(x.clone()), self.w3.forward(x)))
    }
}

/// Where the heads stand in a packed row: each key-value head's queries, its key, its value.
pub fn head_groups(config: &TextConfig) -> Vec<HeadGroup> {
    let (groups, head_dim) = (config.num_query_groups(), config.head_dim);
    let group = |head: usize| {
        let slot = |slot: usize| (head * (groups + 2) + slot) * head_dim;
        HeadGroup { queries: (0..groups).map(slot).collect(), key: slot(groups), value: slot(groups + 1) }
    };
    (0..config.num_key_value_heads).map(group).collect()
}
