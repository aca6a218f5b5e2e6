//! Vision transformer: a picture's patches to one feature each (`CLIPVisionModel` and `SiglipVisionModel` of transformers).
//!
//! Shapes: B images, N patches, R rows (CLIP: N + 1, the class token first; SigLIP: N), P numbers in a patch, H heads, C head
//! width, D width.

use crate::config::{VisionConfig, VisionType};
use crate::fused::{self, AttentionLayout, HeadGroup};
use crate::host::{self, HostLinear, HostNorm, HostVisionBlock, View, VisionShape, run_vision};
use crate::initialise::Initialiser;
use crate::layers::{Activation, LayerNorm, Linear, attention};
use crate::parameter::parameters;
use burn::tensor::Tensor;
use std::sync::Arc;

/// The encoder under its checkpoint prefix.
#[derive(Debug, Clone)]
pub struct VisionTower {
    /// The transformer.
    pub vision_model: VisionTransformer,
}
parameters!(VisionTower { vision_model });

/// Embeddings, blocks, and what only pooled features pass.
#[derive(Debug, Clone)]
pub struct VisionTransformer {
    /// Patches to hidden states.
    pub embeddings: Embeddings,
    /// CLIP's norm before the first block; the name is misspelt in every checkpoint.
    pub pre_layrnorm: Option<LayerNorm>,
    /// The blocks.
    pub encoder: Encoder,
    /// Norm of the pooled feature; image tokens are taken before it.
    pub post_layernorm: LayerNorm,
    /// SigLIP's pooling head, kept for saving: image tokens never pass it.
    pub head: Option<PoolingHead>,
}
parameters!(VisionTransformer { embeddings, pre_layrnorm, encoder, post_layernorm, head });

/// Patch projection, class token and positions.
#[derive(Debug, Clone)]
pub struct Embeddings {
    /// CLIP's class token. `[D]`
    pub class_embedding: Option<Tensor<1>>,
    /// Convolution whose stride is its size.
    pub patch_embedding: PatchEmbedding,
    /// One row for the class token, if there is one, then one per patch.
    pub position_embedding: PositionEmbedding,
}
parameters!(Embeddings { class_embedding, patch_embedding, position_embedding });

/// The convolution's kernel.
#[derive(Debug, Clone)]
pub struct PatchEmbedding {
    /// `[D, 3, patch, patch]`
    pub weight: Tensor<4>,
    /// SigLIP's. `[D]`
    pub bias: Option<Tensor<1>>,
}
parameters!(PatchEmbedding { weight, bias });

/// The learned positions.
#[derive(Debug, Clone)]
pub struct PositionEmbedding {
    /// `[R, D]`
    pub weight: Tensor<2>,
}
parameters!(PositionEmbedding { weight });

/// The list of blocks.
#[derive(Debug, Clone)]
pub struct Encoder {
    /// In order.
    pub layers: Vec<VisionBlock>,
}
parameters!(Encoder { layers });

/// Pre-norm transformer block.
#[derive(Debug, Clone)]
pub struct VisionBlock {
    /// Multi-head attention over all patches.
    pub self_attn: VisionAttention,
    /// Norm before attention.
    pub layer_norm1: LayerNorm,
    /// Feed-forward part.
    pub mlp: VisionMlp,
    /// Norm before the feed-forward part.
    pub layer_norm2: LayerNorm,
}
parameters!(VisionBlock { self_attn, layer_norm1, mlp, layer_norm2 });

/// Attention with separate projections.
#[derive(Debug, Clone)]
pub struct VisionAttention {
    /// `[D, D]`
    pub k_proj: Linear,
    /// `[D, D]`
    pub v_proj: Linear,
    /// `[D, D]`
    pub q_proj: Linear,
    /// `[D, D]`
    pub out_proj: Linear,
    num_heads: usize,
}
parameters!(VisionAttention { k_proj, v_proj, q_proj, out_proj });

/// Two linear layers with an activation between them.
#[derive(Debug, Clone)]
pub struct VisionMlp {
    /// Widens.
    pub fc1: Linear,
    /// Narrows.
    pub fc2: Linear,
    activation: Activation,
}
parameters!(VisionMlp { fc1, fc2 });

/// Attention of one learned query over all patches, and a feed-forward part.
#[derive(Debug, Clone)]
pub struct PoolingHead {
    /// The query. `[1, 1, D]`
    pub probe: Tensor<3>,
    /// PyTorch's `MultiheadAttention`.
    pub attention: PoolingAttention,
    /// Norm before the feed-forward part.
    pub layernorm: LayerNorm,
    /// Feed-forward part.
    pub mlp: VisionMlp,
}
parameters!(PoolingHead { probe, attention, layernorm, mlp });

/// Query, key and value projections on top of each other.
#[derive(Debug, Clone)]
pub struct PoolingAttention {
    /// `[3 D, D]`
    pub in_proj_weight: Tensor<2>,
    /// `[3 D]`
    pub in_proj_bias: Tensor<1>,
    /// `[D, D]`
    pub out_proj: Linear,
}
parameters!(PoolingAttention { in_proj_weight, in_proj_bias, out_proj });

impl VisionTower {
    /// Fresh weights.
    pub fn new(name: &str, config: &VisionConfig, init: &Initialiser) -> VisionTower {
        let name = format!("{name}.vision_model");
        let width = config.hidden_size;
        // Scales as in transformers' CLIPPreTrainedModel._init_weights with factor 1.
        let patch = config.patch_size;
        let clip = config.model_type == VisionType::Clip;
        let class = || init.normal(&format!("{name}.class"), [width], (width as f64).powf(-0.5));
        let norm = || LayerNorm::new(width, config.layer_norm_eps, init);
        let embeddings = Embeddings {
            class_embedding: clip.then(class),
            patch_embedding: PatchEmbedding {
                weight: init.normal(
                    &format!("{name}.patch"),
                    [width, 3, patch, patch],
                    (config.patch_width() as f64).powf(-0.5),
                ),
                bias: (!clip).then(|| init.constant([width], 0.0)),
            },
            position_embedding: PositionEmbedding {
                weight: init.normal(&format!("{name}.position"), [config.num_rows(), width], 0.02),
            },
        };
        let layers = (0..config.num_hidden_layers)
            .map(|index| VisionBlock::new(&format!("{name}.layers.{index}"), config, init))
            .collect();
        VisionTower {
            vision_model: VisionTransformer {
                embeddings,
                pre_layrnorm: clip.then(norm),
                encoder: Encoder { layers },
                post_layernorm: norm(),
                head: (!clip && config.vision_use_head)
                    .then(|| PoolingHead::new(&format!("{name}.head"), config, init)),
            },
        }
    }
}

impl Embeddings {
    /// Patches `[B, N, P]` (see [`patches`]) to `[B, R, D]`, CLIP's class token first.
    pub fn forward(&self, patches: Tensor<3>) -> Tensor<3> {
        let [batch, num_patches, patch_width] = patches.dims();
        let width = self.position_embedding.weight.dims()[1];
        let kernel = self.patch_embedding.weight.clone().reshape([width, patch_width]);
        let mut rows = patches.reshape([batch * num_patches, patch_width]).matmul(kernel.transpose());
        if let Some(bias) = &self.patch_embedding.bias {
            rows = rows + bias.clone().unsqueeze();
        }
        let mut embedded = rows.reshape([batch, num_patches, width]);
        if let Some(class) = &self.class_embedding {
            let class = class.clone().reshape([1, 1, width]).expand([batch, 1, width]);
            embedded = Tensor::cat(vec![class, embedded], 1);
        }
        embedded + self.position_embedding.weight.clone().unsqueeze()
    }
}

impl VisionTransformer {
    /// Patches `[B, N, P]` to the state before the first block, `[B, R, D]`.
    pub fn embed(&self, patches: Tensor<3>) -> Tensor<3> {
        let embedded = self.embeddings.forward(patches);
        match &self.pre_layrnorm {
            Some(norm) => norm.forward(embedded),
            None => embedded,
        }
    }

    /// Patches `[B, N, P]` to the state after `num_blocks` blocks, `[B, R, D]`.
    pub fn forward(&self, patches: Tensor<3>, num_blocks: usize) -> Tensor<3> {
        let x = self.embed(patches);
        let blocks = &self.encoder.layers[..num_blocks];
        match View::of(&x).zip(blocks.iter().map(VisionBlock::host).collect::<Option<Vec<_>>>()) {
            Some((values, blocks)) => {
                let [_, rows_per_picture, width] = x.dims();
                let Some(first) = self.encoder.layers.first() else { return x };
                let shape = VisionShape { width, num_heads: first.self_attn.num_heads, rows_per_picture };
                let mut rows = values.values().to_vec();
                run_vision(&blocks, shape, &mut rows);
                host::tensor(rows, x.dims())
            }
            None => blocks.iter().fold(x, |x, block| block.forward(x)),
        }
    }
}

impl VisionBlock {
    fn new(name: &str, config: &VisionConfig, init: &Initialiser) -> VisionBlock {
        let width = config.hidden_size;
        let depth = residual_scale(config);
        let attention = (width as f64).powf(-0.5);
        let square =
            |part: &str, deviation| Linear::new(&format!("{name}.{part}"), [width, width], true, deviation, init);
        VisionBlock {
            self_attn: VisionAttention {
                k_proj: square("k_proj", attention * depth),
                v_proj: square("v_proj", attention * depth),
                q_proj: square("q_proj", attention * depth),
                out_proj: square("out_proj", attention),
                num_heads: config.num_attention_heads,
            },
            layer_norm1: LayerNorm::new(width, config.layer_norm_eps, init),
            mlp: VisionMlp::new(name, config, init),
            layer_norm2: LayerNorm::new(width, config.layer_norm_eps, init),
        }
    }

    /// The block as slices, where all of its parameters can be seen as such.
    fn host(&self) -> Option<HostVisionBlock> {
        let VisionAttention { q_proj, k_proj, v_proj, out_proj, .. } = &self.self_attn;
        Some(HostVisionBlock {
            norm1: HostNorm::layer(&self.layer_norm1)?,
            qkv: [HostLinear::of(q_proj)?, HostLinear::of(k_proj)?, HostLinear::of(v_proj)?],
            output: HostLinear::of(out_proj)?,
            norm2: HostNorm::layer(&self.layer_norm2)?,
            fc1: HostLinear::of(&self.mlp.fc1)?,
            fc2: HostLinear::of(&self.mlp.fc2)?,
            activation: self.mlp.activation,
        })
    }

    /// `[B, R, D]` to the same.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = x.clone() + self.self_attn.forward(self.layer_norm1.forward(x));
        x.clone() + self.mlp.forward(self.layer_norm2.forward(x))
    }
}

impl VisionAttention {
    /// `[B, N, D]` to the same.
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, tokens, width] = x.dims();
        let head_dim = width / self.num_heads;
        if fused::takes(&x) {
            let rows = self.packed().forward_rows(x.reshape([batch * tokens, width])); // [B N, 3 D]
            let mixed = fused::packed_attention(rows, Arc::new(self.layout(batch, tokens, head_dim)));
            return self.out_proj.forward(mixed.reshape([batch, tokens, width]));
        }
        let heads = |projection: &Linear| {
            let y = projection.forward(x.clone());
            y.reshape([batch, tokens, self.num_heads, head_dim]).swap_dims(1, 2) // [B, H, N, C]
        };
        let mixed = attention(heads(&self.q_proj), heads(&self.k_proj), heads(&self.v_proj), None);
        self.out_proj.forward(mixed.swap_dims(1, 2).reshape([batch, tokens, width]))
    }

    /// The three projections as one: queries, keys, values side by side.
    fn packed(&self) -> Linear {
        let parts = [&self.q_proj, &self.k_proj, &self.v_proj];
        let biases: Option<Vec<_>> = parts.iter().map(|part| part.bias.clone()).collect();
        Linear {
            weight: Tensor::cat(parts.iter().map(|part| part.weight.clone()).collect(), 0),
            bias: biases.map(|biases| Tensor::cat(biases, 0)),
        }
    }

    /// Every patch of a picture sees every other; pictures are samples.
    fn layout(&self, batch: usize, tokens: usize, head_dim: usize) -> AttentionLayout {
        let width = self.num_heads * head_dim;
        let group = |head: usize| HeadGroup {
            queries: vec![head * head_dim],
            key: width + head * head_dim,
            value: 2 * width + head * head_dim,
        };
        AttentionLayout {
            head_dim,
            row_width: 3 * width,
            groups: (0..self.num_heads).map(group).collect(),
            causal: false,
            samples: (0..batch).map(|picture| picture * tokens..(picture + 1) * tokens).collect(),
            branches: Vec::new(),
            rotary: None,
        }
    }
}

impl VisionMlp {
    fn new(name: &str, config: &VisionConfig, init: &Initialiser) -> VisionMlp {
        let (width, wide) = (config.hidden_size, config.intermediate_size);
        let narrow = (width as f64).powf(-0.5) * residual_scale(config);
        VisionMlp {
            fc1: Linear::new(&format!("{name}.fc1"), [width, wide], true, (2.0 * width as f64).powf(-0.5), init),
            fc2: Linear::new(&format!("{name}.fc2"), [wide, width], true, narrow, init),
            activation: config.hidden_act,
        }
    }

    /// `[B, N, D]` to the same.
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.fc2.forward(self.activation.forward(self.fc1.forward(x)))
    }
}

impl PoolingHead {
    fn new(name: &str, config: &VisionConfig, init: &Initialiser) -> PoolingHead {
        let width = config.hidden_size;
        let deviation = (width as f64).powf(-0.5);
        PoolingHead {
            probe: init.normal(&format!("{name}.probe"), [1, 1, width], deviation),
            attention: PoolingAttention {
                in_proj_weight: init.normal(&format!("{name}.in_proj"), [3 * width, width], deviation),
                in_proj_bias: init.constant([3 * width], 0.0),
                out_proj: Linear::new(&format!("{name}.out_proj"), [width, width], true, deviation, init),
            },
            layernorm: LayerNorm::new(width, config.layer_norm_eps, init),
            mlp: VisionMlp::new(name, config, init),
        }
    }
}

/// Residual branches start smaller the deeper the network.
fn residual_scale(config: &VisionConfig) -> f64 {
    (2.0 * config.num_hidden_layers as f64).powf(-0.5)
}

/// Cuts a picture `[3, size, size]` into whole patches, row by row: appends `N * P` values to `out`, each patch in the kernel's order (colour, y, x).
pub fn patches(pixel_values: &[f32], size: usize, patch: usize, out: &mut Vec<f32>) {
    let seen = size / patch * patch;
    for top in (0..seen).step_by(patch) {
        for left in (0..seen).step_by(patch) {
            for colour in 0..3 {
                for y in top..top + patch {
                    let start = (colour * size + y) * size + left;
                    out.extend_from_slice(&pixel_values[start..start + patch]);
                }
            }
        }
    }
}
