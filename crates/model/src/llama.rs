//! Llama's decoder block, which Mistral and Qwen2 share: separate query, key and value projections, with or without biases.
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
pub struct LlamaBlock {
    /// Grouped-query attention.
    pub self_attn: Attention,
    /// Gated feed-forward part.
    pub mlp: Mlp,
    /// Norm before attention.
    pub input_layernorm: RmsNorm,
    /// Norm before the feed-forward part.
    pub post_attention_layernorm: RmsNorm,
}
parameters!(LlamaBlock { self_attn, mlp, input_layernorm, post_attention_layernorm });

/// Grouped-query attention with separate projections.
#[derive(Debug, Clone)]
pub struct Attention {
    /// `[H C, D]`
    pub q_proj: Linear,
    /// `[K C, D]`
    pub k_proj: Linear,
    /// `[K C, D]`
    pub v_proj: Linear,
    /// `[D, H C]`
    pub o_proj: Linear,
    head_dim: usize,
}
parameters!(Attention { q_proj, k_proj, v_proj, o_proj });

/// `down_proj(silu(gate_proj x) * up_proj x)`.
#[derive(Debug, Clone)]
pub struct Mlp {
    /// Gate.
    pub gate_proj: Linear,
    /// Value.
    pub up_proj: Linear,
    /// Back to the model width.
    pub down_proj: Linear,
    activation: Activation,
}
parameters!(Mlp { gate_proj, up_proj, down_proj });

impl LlamaBlock {
    /// Fresh weights.
    pub fn new(name: &str, config: &TextConfig, init: &Initialiser) -> LlamaBlock {
        let (width, wide) = (config.hidden_size, config.intermediate_size);
        let queries = config.num_attention_heads * config.head_dim;
        let keys = config.num_key_value_heads * config.head_dim;
        let deviation = config.initializer_range;
        // Residual branches start smaller the deeper the network, so that the sum keeps its scale (GPT-2).
        let residual = deviation * (2.0 * config.num_hidden_layers as f64).powf(-0.5);
        let linear =
            |part: &str, shape, bias, deviation| Linear::new(&format!("{name}.{part}"), shape, bias, deviation, init);
        LlamaBlock {
            self_attn: Attention {
                q_proj: linear("q_proj", [width, queries], config.qkv_bias, deviation),
                k_proj: linear("k_proj", [width, keys], config.qkv_bias, deviation),
                v_proj: linear("v_proj", [width, keys], config.qkv_bias, deviation),
                o_proj: linear("o_proj", [queries, width], config.attention_output_bias, residual),
                head_dim: config.head_dim,
            },
            mlp: Mlp {
                gate_proj: linear("gate_proj", [width, wide], config.mlp_bias, deviation),
                up_proj: linear("up_proj", [width, wide], config.mlp_bias, deviation),
                down_proj: linear("down_proj", [wide, width], config.mlp_bias, residual),
                activation: config.hidden_act,
            },
            input_layernorm: RmsNorm::new(width, config.rms_norm_eps, init),
            post_attention_layernorm: RmsNorm::new(width, config.rms_norm_eps, init),
        }
    }

    pub(crate) fn host(&self) -> Option<HostBlock> {
        let Attention { q_proj, k_proj, v_proj, o_proj, .. } = &self.self_attn;
        Some(HostBlock {
            attention_norm: HostNorm::rms(&self.input_layernorm)?,
            qkv: [q_proj, k_proj, v_proj].into_iter().map(HostLinear::of).collect::<Option<_>>()?,
            output: HostLinear::of(o_proj)?,
            feed_forward_norm: HostNorm::rms(&self.post_attention_layernorm)?,
            gate: HostLinear::of(&self.mlp.gate_proj)?,
            up: HostLinear::of(&self.mlp.up_proj)?,
            down: HostLinear::of(&self.mlp.down_proj)?,
            activation: self.mlp.activation,
        })
    }

    /// `[B, T, D]` to the same.
    pub fn forward(&self, x: Tensor<3>, context: &TokenContext, cache: Option<&mut LayerCache>) -> Tensor<3> {
        let x = x.clone() + self.self_attn.forward(self.input_layernorm.forward(x), context, cache);
        x.clone() + self.mlp.forward(self.post_attention_layernorm.forward(x))
    }
}

impl Attention {
    /// `[B, T, D]` to the same.
    pub fn forward(&self, x: Tensor<3>, context: &TokenContext, cache: Option<&mut LayerCache>) -> Tensor<3> {
        let q = self.q_proj.forward(x.clone()); // [B, T, H C]
        let k = self.k_proj.forward(x.clone()); // [B, T, K C]
        let v = self.v_proj.forward(x); // [B, T, K C]
        self.o_proj.forward(match context {
            TokenContext::Fused(layout) => attend_fused(Tensor::cat(vec![q, k, v], 2), layout),
            TokenContext::Composed(context) => {
                let heads = Heads { q: self.split_heads(q), k: self.split_heads(k), v: self.split_heads(v) };
                heads.attend(context, cache)
            }
        })
    }

    /// `[B, T, heads * C]` to `[B, heads, T, C]`.
    fn split_heads(&self, x: Tensor<3>) -> Tensor<4> {
        let [batch, tokens, width] = x.dims();
        x.reshape([batch, tokens, width / self.head_dim, self.head_dim]).swap_dims(1, 2)
    }
}

impl Mlp {
    /// `[B, T, D]` to the same.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.down_proj.forward(self.activation.gated(self.gate_proj.forward(x.clone()), self.up_proj.forward(x)))
    }
}

/// Where the heads stand in queries, keys and values side by side.
pub fn head_groups(config: &TextConfig) -> Vec<HeadGroup> {
    let (groups, head_dim) = (config.num_query_groups(), config.head_dim);
    let (heads, kv_heads) = (config.num_attention_heads, config.num_key_value_heads);
    let group = |head: usize| HeadGroup {
        queries: (0..groups).map(|query| (head * groups + query) * head_dim).collect(),
        key: (heads + head) * head_dim,
        value: (heads + kv_heads + head) * head_dim,
    };
    (0..kv_heads).map(group).collect()
}
