//! InternLM2 decoder: a Llama block whose query, key and value projections are packed per key-value head.
//!
//! Shapes: B rows, T tokens, H heads, K key-value heads, G = H / K, C head width, D width, V vocabulary.

use crate::config::TextConfig;
use crate::fused::{self, AttentionLayout, HeadGroup};
use crate::gmai_vl::TokenRows;
use crate::initialise::Initialiser;
use crate::kv_cache::LayerCache;
use crate::layers::{
    AttentionMask, Linear, RmsNorm, RotaryAngles, RotaryPositions, attention, packed_causal_mask, sample_ranges,
};
use crate::parameter::parameters;
use burn::tensor::{Device, Int, Tensor, activation};
use std::sync::Arc;

/// Where the tokens of a batch stand and which of them see each other.
#[derive(Debug, Clone)]
pub enum TokenContext {
    /// For the fused kernel: samples as ranges, rotation per token.
    Fused(Arc<AttentionLayout>),
    /// For attention composed of burn operations.
    Composed(Box<ComposedContext>),
}

/// Context of attention that is composed of burn operations.
#[derive(Debug, Clone)]
pub struct ComposedContext {
    /// Rotation of queries and keys.
    pub rope: RotaryPositions,
    /// True where a query may not see a key; `None` when it sees all.
    pub mask: Option<AttentionMask>,
}

/// The decoder with its output head, under the checkpoint's names.
#[derive(Debug, Clone)]
pub struct InternLm2 {
    /// Embeddings, blocks and final norm.
    pub model: Decoder,
    /// `[V, D]`: hidden state to logits.
    pub output: Linear,
}
parameters!(InternLm2 { model, output });

/// Embeddings, blocks and final norm.
#[derive(Debug, Clone)]
pub struct Decoder {
    /// Token ids to hidden states.
    pub tok_embeddings: TokenEmbeddings,
    /// The blocks in order.
    pub layers: Vec<DecoderBlock>,
    /// Norm after the last block.
    pub norm: RmsNorm,
}
parameters!(Decoder { tok_embeddings, layers, norm });

/// The embedding table.
#[derive(Debug, Clone)]
pub struct TokenEmbeddings {
    /// `[V, D]`
    pub weight: Tensor<2>,
}
parameters!(TokenEmbeddings { weight });

/// Pre-norm decoder block.
#[derive(Debug, Clone)]
pub struct DecoderBlock {
    /// Grouped-query attention.
    pub attention: Attention,
    /// Gated feed-forward part.
    pub feed_forward: FeedForward,
    /// Norm before attention.
    pub attention_norm: RmsNorm,
    /// Norm before the feed-forward part.
    pub ffn_norm: RmsNorm,
}
parameters!(DecoderBlock { attention, feed_forward, attention_norm, ffn_norm });

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
}
parameters!(FeedForward { w1, w2, w3 });

struct Heads {
    q: Tensor<4>, // [B, H, T, C]
    k: Tensor<4>, // [B, K, T, C]
    v: Tensor<4>, // [B, K, T, C]
}

impl InternLm2 {
    /// Fresh weights.
    pub fn new(name: &str, config: &TextConfig, init: &Initialiser) -> InternLm2 {
        let width = config.hidden_size;
        let layers = (0..config.num_hidden_layers)
            .map(|index| DecoderBlock::new(&format!("{name}.layers.{index}"), config, init))
            .collect();
        InternLm2 {
            model: Decoder {
                tok_embeddings: TokenEmbeddings {
                    weight: init.normal(
                        &format!("{name}.tok_embeddings"),
                        [config.vocab_size, width],
                        config.initializer_range,
                    ),
                },
                layers,
                norm: RmsNorm::new(width, config.rms_norm_eps, init),
            },
            output: Linear::new(
                &format!("{name}.output"),
                [width, config.vocab_size],
                false,
                config.initializer_range,
                init,
            ),
        }
    }

    /// Hidden states `[N, D]` after the last block to logits `[N, V]`.
    pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        let normed: Tensor<3> = self.model.norm.forward(hidden.unsqueeze());
        self.output.forward_rows(normed.squeeze_dim(0))
    }
}

impl TokenEmbeddings {
    /// Ids `[B, T]` to `[B, T, D]`.
    pub fn forward(&self, input_ids: Tensor<2, Int>) -> Tensor<3> {
        burn::tensor::module::embedding(self.weight.clone(), input_ids)
    }
}

impl DecoderBlock {
    fn new(name: &str, config: &TextConfig, init: &Initialiser) -> DecoderBlock {
        let (width, wide) = (config.hidden_size, config.intermediate_size);
        let deviation = config.initializer_range;
        // Residual branches start smaller the deeper the network, so that the sum keeps its scale (GPT-2).
        let residual = deviation * (2.0 * config.num_hidden_layers as f64).powf(-0.5);
        let head_dim = config.head_dim();
        let packed = (config.num_attention_heads + 2 * config.num_key_value_heads) * head_dim;
        let linear =
            |part: &str, shape, deviation| Linear::new(&format!("{name}.{part}"), shape, false, deviation, init);
        DecoderBlock {
            attention: Attention {
                wqkv: linear("wqkv", [width, packed], deviation),
                wo: linear("wo", [width, width], residual),
                num_kv_heads: config.num_key_value_heads,
                num_groups: config.num_query_groups(),
                head_dim,
            },
            feed_forward: FeedForward {
                w1: linear("w1", [width, wide], deviation),
                w2: linear("w2", [wide, width], residual),
                w3: linear("w3", [width, wide], deviation),
            },
            attention_norm: RmsNorm::new(width, config.rms_norm_eps, init),
            ffn_norm: RmsNorm::new(width, config.rms_norm_eps, init),
        }
    }

    /// `[B, T, D]` to the same. With a cache, `x` holds only the new tokens and the context's mask covers all keys.
    pub fn forward(&self, x: Tensor<3>, context: &TokenContext, cache: Option<&mut LayerCache>) -> Tensor<3> {
        let x = x.clone() + self.attention.forward(self.attention_norm.forward(x), context, cache);
        x.clone() + self.feed_forward.forward(self.ffn_norm.forward(x))
    }
}

impl Attention {
    fn forward(&self, x: Tensor<3>, context: &TokenContext, cache: Option<&mut LayerCache>) -> Tensor<3> {
        let [batch, tokens, width] = x.dims();
        let packed = self.wqkv.forward(x);
        let (rope, mask) = match context {
            TokenContext::Fused(layout) => {
                let rows = packed.reshape([batch * tokens, layout.row_width]);
                let mixed = fused::packed_attention(rows, layout.clone());
                return self.wo.forward(mixed.reshape([batch, tokens, width]));
            }
            TokenContext::Composed(context) => (&context.rope, context.mask.as_ref()),
        };
        let Heads { q, k, v } = self.split_heads(packed);
        let (q, k) = (rope.rotate(q), rope.rotate(k));
        let (k, v) = match cache {
            Some(cache) => cache.append(k, v),
            None => (k, v),
        };
        let mixed = attention(q, k, v, mask); // [B, H, T, C]
        self.wo.forward(mixed.swap_dims(1, 2).reshape([batch, tokens, width]))
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
        let (gate, value) = (self.w1.forward(x.clone()), self.w3.forward(x));
        self.w2.forward(if fused::is_available(&gate.device()) {
            fused::swiglu(gate, value)
        } else {
            activation::silu(gate) * value
        })
    }
}

/// Context of packed rows without a cache: causal, closed between samples and between the branches of one.
pub fn packed_context(config: &TextConfig, rows: &TokenRows, device: &Device) -> TokenContext {
    let positions = &rows.positions;
    let longest = positions.iter().flatten().max().map_or(0, |position| position + 1);
    let angles = rotary_angles(config, positions, longest);
    if !fused::is_available(device) {
        let rope = RotaryPositions::new(&angles, positions.len(), device);
        return TokenContext::Composed(Box::new(ComposedContext {
            rope,
            mask: Some(packed_causal_mask(&rows.samples, &rows.branches, device)),
        }));
    }
    let (groups, head_dim) = (config.num_query_groups(), config.head_dim());
    let slots = groups + 2; // of each key-value head: its queries, its key, its value
    let group = |head: usize| {
        let slot = |slot: usize| (head * slots + slot) * head_dim;
        HeadGroup { queries: (0..groups).map(slot).collect(), key: slot(groups), value: slot(groups + 1) }
    };
    TokenContext::Fused(Arc::new(AttentionLayout {
        head_dim,
        row_width: config.num_key_value_heads * slots * head_dim,
        groups: (0..config.num_key_value_heads).map(group).collect(),
        causal: true,
        samples: sample_ranges(&rows.samples),
        branches: rows.branches.concat(),
        rotary: Some(angles.into()),
    }))
}

/// Context of new tokens after `past` cached ones: each sees all earlier tokens and itself.
pub fn cached_context(config: &TextConfig, batch: usize, past: usize, tokens: usize, device: &Device) -> TokenContext {
    let positions = vec![(past..past + tokens).collect::<Vec<_>>(); batch];
    let angles = rotary_angles(config, &positions, past + tokens);
    let mask = (tokens > 1).then(|| crate::layers::causal_mask(batch, past, tokens, device));
    TokenContext::Composed(Box::new(ComposedContext { rope: RotaryPositions::new(&angles, batch, device), mask }))
}

/// Rotary angles for sequences that reach `longest` tokens.
///
/// Dynamic NTK (InternLM2): beyond `max_position_embeddings` the base grows with the longest sequence, so angles are made per forward pass.
fn rotary_angles(config: &TextConfig, positions: &[Vec<usize>], longest: usize) -> RotaryAngles {
    let head_dim = config.head_dim();
    let mut base = config.rope_theta;
    let mut factor = 1.0;
    if let Some(scaling) = &config.rope_scaling {
        if scaling.kind == "linear" {
            factor = scaling.factor;
        } else if longest > config.max_position_embeddings {
            let stretch = scaling.factor * longest as f64 / config.max_position_embeddings as f64;
            base *= (stretch - (scaling.factor - 1.0)).powf(head_dim as f64 / (head_dim as f64 - 2.0));
        }
    }
    RotaryAngles::new(positions, head_dim, base, factor)
}
