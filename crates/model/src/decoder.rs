//! The language model: token embeddings, decoder blocks, final norm, head; and what the blocks of all kinds share.
//!
//! Shapes: B rows, T tokens, H heads, K key-value heads, C head width, D width, V vocabulary.

use crate::config::{TextConfig, TextType};
use crate::fused::{self, AttentionLayout, HeadGroup};
use crate::gmai_vl::TokenRows;
use crate::host::{self, HostBlock, HostLinear, View};
use crate::initialise::Initialiser;
use crate::internlm2::{self, InternLm2Block};
use crate::kv_cache::LayerCache;
use crate::layers::{AttentionMask, Linear, RmsNorm, attention, packed_causal_mask, sample_ranges};
use crate::llama::{self, LlamaBlock};
use crate::parameter::{ParameterMut, Parameters, join, parameters};
use crate::rope::{Frequencies, RotaryAngles, RotaryPositions};
use burn::tensor::{DType, Device, Int, Tensor};
use std::sync::Arc;

/// The decoder with its output head.
#[derive(Debug, Clone)]
pub struct LanguageModel {
    /// Embeddings, blocks and final norm.
    pub model: Decoder,
    /// `[V, D]`: hidden state to logits; `None` when the head shares the embedding table.
    pub output: Option<Linear>,
}

/// Embeddings, blocks and final norm.
#[derive(Debug, Clone)]
pub struct Decoder {
    /// Token ids to hidden states.
    pub tok_embeddings: TokenEmbeddings,
    /// The blocks in order.
    pub layers: Vec<DecoderBlock>,
    /// Norm after the last block.
    pub norm: RmsNorm,
    names: Names,
}

/// What a family's checkpoints call the parts outside of the blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Names {
    embeddings: &'static str,
    head: &'static str,
}

/// The embedding table.
#[derive(Debug, Clone)]
pub struct TokenEmbeddings {
    /// `[V, D]`
    pub weight: Tensor<2>,
}
parameters!(TokenEmbeddings { weight });

/// A block of whichever family the checkpoint is.
#[derive(Debug, Clone)]
pub enum DecoderBlock {
    /// Packed projections.
    InternLm2(Box<InternLm2Block>),
    /// Separate projections: Llama, Mistral, Qwen2.
    Llama(Box<LlamaBlock>),
}

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

/// A token's projections, split into heads.
pub(crate) struct Heads {
    /// `[B, H, T, C]`
    pub q: Tensor<4>,
    /// `[B, K, T, C]`
    pub k: Tensor<4>,
    /// `[B, K, T, C]`
    pub v: Tensor<4>,
}

impl Names {
    fn of(model_type: TextType) -> Names {
        match model_type {
            TextType::InternLm2 => Names { embeddings: "tok_embeddings", head: "output" },
            _ => Names { embeddings: "embed_tokens", head: "lm_head" },
        }
    }
}

impl Parameters for LanguageModel {
    fn visit_parameters(&mut self, name: &str, visit: &mut dyn FnMut(&str, ParameterMut<'_>)) {
        self.model.visit_parameters(&join(name, "model"), visit);
        self.output.visit_parameters(&join(name, self.model.names.head), visit);
    }
}

impl Parameters for Decoder {
    fn visit_parameters(&mut self, name: &str, visit: &mut dyn FnMut(&str, ParameterMut<'_>)) {
        self.tok_embeddings.visit_parameters(&join(name, self.names.embeddings), visit);
        self.layers.visit_parameters(&join(name, "layers"), visit);
        self.norm.visit_parameters(&join(name, "norm"), visit);
    }
}

impl Parameters for DecoderBlock {
    fn visit_parameters(&mut self, name: &str, visit: &mut dyn FnMut(&str, ParameterMut<'_>)) {
        match self {
            DecoderBlock::InternLm2(block) => block.visit_parameters(name, visit),
            DecoderBlock::Llama(block) => block.visit_parameters(name, visit),
        }
    }
}

impl LanguageModel {
    /// Fresh weights.
    pub fn new(name: &str, config: &TextConfig, init: &Initialiser) -> LanguageModel {
        let (width, deviation) = (config.hidden_size, config.initializer_range);
        let names = Names::of(config.model_type);
        let layers = (0..config.num_hidden_layers)
            .map(|index| DecoderBlock::new(&format!("{name}.layers.{index}"), config, init))
            .collect();
        let table = init.normal(&format!("{name}.tok_embeddings"), [config.vocab_size, width], deviation);
        let head = || Linear::new(&format!("{name}.output"), [width, config.vocab_size], false, deviation, init);
        LanguageModel {
            model: Decoder {
                tok_embeddings: TokenEmbeddings { weight: table },
                layers,
                norm: RmsNorm::new(width, config.rms_norm_eps, init),
                names,
            },
            output: (!config.tie_word_embeddings).then(head),
        }
    }

    /// Hidden states `[N, D]` after the last block to logits `[N, V]`, in f32.
    pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        let normed: Tensor<3> = self.model.norm.forward(hidden.unsqueeze());
        let normed: Tensor<2> = normed.squeeze_dim(0);
        if let Some((normed, head)) = View::of(&normed).zip(HostLinear::new(self.head(), None)) {
            let num_rows = normed.values().len() / self.head().dims()[1];
            let mut logits = vec![0.0; num_rows * head.outputs()];
            host::product(&[&head], normed.values(), &mut logits, host::Onto::Nothing);
            return host::tensor(logits, [num_rows, head.outputs()]);
        }
        normed.matmul(self.head().clone().transpose()).cast(DType::F32)
    }

    /// `[V, D]`: what turns a normed state into logits.
    pub fn head(&self) -> &Tensor<2> {
        self.output.as_ref().map_or(&self.model.tok_embeddings.weight, |output| &output.weight)
    }

    /// The checkpoint name that a head of its own has, below the language model.
    pub fn separate_head_name(&self) -> String {
        format!("{}.weight", self.model.names.head)
    }

    /// The head's checkpoint name below the language model; the embedding's when they are one.
    pub fn head_name(&self) -> String {
        match &self.output {
            Some(_) => self.separate_head_name(),
            None => format!("{}.weight", self.embeddings_name()),
        }
    }

    /// The embedding table's checkpoint name below the language model.
    pub fn embeddings_name(&self) -> String {
        format!("model.{}", self.model.names.embeddings)
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
        match config.model_type {
            TextType::InternLm2 => DecoderBlock::InternLm2(Box::new(InternLm2Block::new(name, config, init))),
            _ => DecoderBlock::Llama(Box::new(LlamaBlock::new(name, config, init))),
        }
    }

    /// The block as slices, where all of its parameters can be seen as such.
    pub(crate) fn host(&self) -> Option<HostBlock> {
        match self {
            DecoderBlock::InternLm2(block) => block.host(),
            DecoderBlock::Llama(block) => block.host(),
        }
    }

    /// `[B, T, D]` to the same.
    pub fn forward(&self, x: Tensor<3>, context: &TokenContext, cache: Option<&mut LayerCache>) -> Tensor<3> {
        match self {
            DecoderBlock::InternLm2(block) => block.forward(x, context, cache),
            DecoderBlock::Llama(block) => block.forward(x, context, cache),
        }
    }
}

impl Heads {
    /// Rotates, remembers and mixes: `[B, T, H * C]`.
    pub fn attend(self, context: &ComposedContext, cache: Option<&mut LayerCache>) -> Tensor<3> {
        let [batch, heads, tokens, head_dim] = self.q.dims();
        let (q, k) = (context.rope.rotate(self.q), context.rope.rotate(self.k));
        let (k, v) = match cache {
            Some(cache) => cache.append(k, self.v),
            None => (k, self.v),
        };
        let mixed = attention(q, k, v, context.mask.as_ref()); // [B, H, T, C]
        mixed.swap_dims(1, 2).reshape([batch, tokens, heads * head_dim])
    }
}

/// The fused kernel on packed projections `[B, T, W]`: `[B, T, H * C]`.
pub(crate) fn attend_fused(packed: Tensor<3>, layout: &Arc<AttentionLayout>) -> Tensor<3> {
    let [batch, tokens, row_width] = packed.dims();
    let mixed = fused::packed_attention(packed.reshape([batch * tokens, row_width]), layout.clone());
    let width = mixed.dims()[1];
    mixed.reshape([batch, tokens, width])
}

/// Context of packed rows without a cache: causal, closed between samples and between the branches of one.
pub fn packed_context(config: &TextConfig, rows: &TokenRows, device: &Device) -> TokenContext {
    if !fused::is_available(device) {
        return composed_context(config, rows, device);
    }
    let positions = &rows.positions;
    TokenContext::Fused(Arc::new(AttentionLayout {
        head_dim: config.head_dim,
        row_width: config.packed_width(),
        groups: head_groups(config),
        causal: true,
        samples: sample_ranges(&rows.samples),
        branches: rows.branches.concat(),
        rotary: Some(rotary_angles(config, positions, reach(positions)).into()),
    }))
}

/// The same for attention composed of burn operations, on any device and in any precision.
pub fn composed_context(config: &TextConfig, rows: &TokenRows, device: &Device) -> TokenContext {
    let positions = &rows.positions;
    let angles = rotary_angles(config, positions, reach(positions));
    let rope = RotaryPositions::new(&angles, positions.len(), device);
    let mask = Some(packed_causal_mask(&rows.samples, &rows.branches, device));
    TokenContext::Composed(Box::new(ComposedContext { rope, mask }))
}

/// Context of new tokens after `past` cached ones: each sees all earlier tokens and itself.
pub fn cached_context(config: &TextConfig, batch: usize, past: usize, tokens: usize, device: &Device) -> TokenContext {
    let positions = vec![(past..past + tokens).collect::<Vec<_>>(); batch];
    let angles = rotary_angles(config, &positions, past + tokens);
    let mask = (tokens > 1).then(|| crate::layers::causal_mask(batch, past, tokens, device));
    TokenContext::Composed(Box::new(ComposedContext { rope: RotaryPositions::new(&angles, batch, device), mask }))
}

/// Where the heads stand in a projected row.
pub(crate) fn head_groups(config: &TextConfig) -> Vec<HeadGroup> {
    match config.model_type {
        TextType::InternLm2 => internlm2::head_groups(config),
        _ => llama::head_groups(config),
    }
}

/// Tokens that the longest sequence has.
fn reach(positions: &[Vec<usize>]) -> usize {
    positions.iter().flatten().max().map_or(0, |position| position + 1)
}

/// Rotary angles for sequences that reach `longest` tokens.
pub(crate) fn rotary_angles(config: &TextConfig, positions: &[Vec<usize>], longest: usize) -> RotaryAngles {
    RotaryAngles::new(positions, &Frequencies::new(config, longest))
}
