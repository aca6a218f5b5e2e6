//! The checkpoint's `config.json` as checked values: which network its weights belong to.
//!
//! Two layouts of the whole: `enhanced_llava` (GMAI-VL release) and `llava` (transformers). Either holds a vision encoder
//! (CLIP or SigLIP) and a decoder (InternLM2, Llama, Mistral or Qwen2).
//!
//! ```text
//! mod.rs        settings and what follows from them      defaults.rs  what absent keys stand for
//! json.rs       the file, read and saved                 fields.rs    the keys of one object
//! ```

mod defaults;
mod fields;
mod json;

use crate::error::{Error, Result};
use crate::layers::Activation;
pub use json::Written;
use std::path::Path;

/// Configuration of the whole network.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Class names as written by transformers.
    pub architectures: Vec<String>,
    /// Which library's layout this is.
    pub model_type: ModelType,
    /// Label value that takes no part in the loss; always -100.
    pub ignore_index: i64,
    /// Id of the image token in the tokenizer.
    pub image_token_index: u32,
    /// Most image tokens of a prompt that the reference library still expands by itself, less one (`image_seq_length`).
    pub image_seq_length: usize,
    /// Padding token of the reference's batches, if it names one.
    pub pad_token_id: Option<u32>,
    /// Activation between the projector's two layers.
    pub projector_hidden_act: Activation,
    /// Whether the projector's layers have biases.
    pub multimodal_projector_bias: bool,
    /// Which rows of the vision encoder become image tokens.
    pub vision_feature_select_strategy: FeatureSelect,
    /// Which hidden state is taken as image feature: -1 after the last block, -2 after the last but one; 0 the embeddings.
    pub vision_feature_layer: i64,
    /// Vision encoder.
    pub vision_config: VisionConfig,
    /// Language model.
    pub text_config: TextConfig,
    /// Number format of the stored weights, by PyTorch's name.
    pub torch_dtype: String,
    /// What the file said, for saving it again and for error messages.
    pub written: Written,
}

/// Which library's layout a checkpoint has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelType {
    /// `enhanced_llava`: the GMAI-VL release.
    EnhancedLlava,
    /// `llava`: `LlavaForConditionalGeneration` of transformers.
    Llava,
}

impl ModelType {
    /// The name that checkpoints use.
    pub fn name(self) -> &'static str {
        match self {
            ModelType::EnhancedLlava => "enhanced_llava",
            ModelType::Llava => "llava",
        }
    }
}

/// Rows of the vision encoder that become image tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeatureSelect {
    /// All but the first: CLIP's class token. (With SigLIP, which has none, the first patch is left out, as the reference does.)
    Default,
    /// All.
    Full,
}

/// Kind of vision encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VisionType {
    /// `clip_vision_model`: class token, norm before the first block.
    Clip,
    /// `siglip_vision_model`: patches only, patch bias, pooling head.
    Siglip,
}

/// Vision transformer.
#[derive(Debug, Clone, PartialEq)]
pub struct VisionConfig {
    /// Kind of encoder.
    pub model_type: VisionType,
    /// Width of the hidden states.
    pub hidden_size: usize,
    /// Width inside the feed-forward part.
    pub intermediate_size: usize,
    /// Blocks stored in the checkpoint.
    pub num_hidden_layers: usize,
    /// Attention heads.
    pub num_attention_heads: usize,
    /// Side of the square input in pixels.
    pub image_size: usize,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// Activation of the feed-forward part.
    pub hidden_act: Activation,
    /// Added to the variance in layer norms.
    pub layer_norm_eps: f64,
    /// Width of the image-text embedding (used by vision pretraining only).
    pub projection_dim: usize,
    /// Whether a SigLIP checkpoint stores its pooling head, which image features never pass.
    pub vision_use_head: bool,
}

/// Kind of decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextType {
    /// `internlm2`: packed query-key-value projections.
    InternLm2,
    /// `llama`
    Llama,
    /// `mistral`: Llama's parameters.
    Mistral,
    /// `qwen2`: Llama's parameters and biases of the query, key and value projections.
    Qwen2,
}

/// Decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct TextConfig {
    /// Kind of decoder.
    pub model_type: TextType,
    /// Rows of the embedding table.
    pub vocab_size: usize,
    /// Width of the hidden states.
    pub hidden_size: usize,
    /// Width inside the feed-forward part.
    pub intermediate_size: usize,
    /// Decoder blocks.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key-value heads; divides `num_attention_heads`.
    pub num_key_value_heads: usize,
    /// Width of one attention head.
    pub head_dim: usize,
    /// Longest sequence before rotary scaling; with dynamic NTK scaling, longer ones stretch the rotary base.
    pub max_position_embeddings: usize,
    /// Tokens that the reference's attention looks back, if it does not see all: longer sequences are refused.
    pub sliding_window: Option<usize>,
    /// Added to the mean square in RMS norms.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// How the rotary frequencies change for long sequences.
    pub rope_scaling: Option<RopeScaling>,
    /// Activation of the feed-forward part's gate.
    pub hidden_act: Activation,
    /// Whether the query, key and value projections have biases.
    pub qkv_bias: bool,
    /// Whether the projection after attention has one.
    pub attention_output_bias: bool,
    /// Whether the feed-forward part's layers have them.
    pub mlp_bias: bool,
    /// Whether the output head shares the embedding table.
    pub tie_word_embeddings: bool,
    /// First token of a sequence.
    pub bos_token_id: Option<u32>,
    /// Tokens that end a text.
    pub eos_token_id: Vec<u32>,
    /// Token that fills short rows.
    pub pad_token_id: Option<u32>,
    /// Standard deviation of fresh weights.
    pub initializer_range: f64,
}

/// Scaling of rotary positions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RopeScaling {
    /// Every position is divided by `factor`.
    Linear {
        /// Scaling factor.
        factor: f64,
    },
    /// Dynamic NTK: beyond `max_position_embeddings` the base grows with the sequence.
    Dynamic {
        /// Scaling factor.
        factor: f64,
    },
    /// Llama 3: low frequencies are divided by `factor`, high ones kept, those between blended.
    Llama3 {
        /// Divisor of low frequencies.
        factor: f64,
        /// Below this many turns within the original length a frequency is low.
        low_freq_factor: f64,
        /// Above this many turns a frequency is high.
        high_freq_factor: f64,
        /// The original length in tokens.
        original_max_position_embeddings: usize,
    },
}

impl Config {
    /// Reads and checks `config.json` in a checkpoint folder.
    pub fn from_folder(folder: &Path) -> Result<Config> {
        let path = folder.join("config.json");
        let text = std::fs::read_to_string(&path).map_err(|source| Error::Io { path: path.clone(), source })?;
        let config = Config::from_text(&text).map_err(|reason| Error::Config { path, reason })?;
        config.check()?;
        Ok(config)
    }

    /// Refuses settings that the network does not implement or that contradict each other.
    pub fn check(&self) -> Result<()> {
        self.text_config.check()?;
        self.vision_config.check()?;
        let states = self.vision_config.num_hidden_layers as i64 + 1; // hidden state 0 is the embedding
        if !(-states..states).contains(&self.vision_feature_layer) {
            let remedy = "name a hidden state of the vision encoder: 0 the embeddings, -1 after the last block";
            return refuse("vision_feature_layer", self.vision_feature_layer, remedy);
        }
        if self.image_token_index as usize >= self.text_config.vocab_size {
            let field = if self.written.lacks("image_token_index") {
                "image_token_index (absent, so transformers' default)"
            } else {
                "image_token_index"
            };
            let remedy = "the image token must lie inside the embedding: below text_config.vocab_size";
            return refuse(field, self.image_token_index, remedy);
        }
        Ok(())
    }

    /// Vision blocks to run before the image features are taken.
    pub fn num_vision_blocks(&self) -> usize {
        let states = self.vision_config.num_hidden_layers as i64 + 1;
        let layer = self.vision_feature_layer;
        (if layer < 0 { states + layer } else { layer }) as usize
    }

    /// Tokens that one image takes in the sequence.
    pub fn num_image_tokens(&self) -> usize {
        let rows = self.vision_config.num_rows();
        match self.vision_feature_select_strategy {
            FeatureSelect::Default => rows - 1,
            FeatureSelect::Full => rows,
        }
    }
}

impl VisionConfig {
    /// Patches of one image, without the class token. Pixels beyond the last whole patch are not seen.
    pub fn num_patches(&self) -> usize {
        (self.image_size / self.patch_size).pow(2)
    }

    /// Rows of a hidden state: the patches, and CLIP's class token before them.
    pub fn num_rows(&self) -> usize {
        self.num_patches() + self.first_patch()
    }

    /// Index of the first patch in a hidden state.
    pub fn first_patch(&self) -> usize {
        usize::from(self.model_type == VisionType::Clip)
    }

    /// Numbers in one patch: three colours of `patch_size` x `patch_size` pixels.
    pub fn patch_width(&self) -> usize {
        3 * self.patch_size * self.patch_size
    }

    fn check(&self) -> Result<()> {
        let heads = self.num_attention_heads;
        if heads == 0 || self.hidden_size == 0 || !self.hidden_size.is_multiple_of(heads) {
            let remedy = "it must be a multiple of vision_config.num_attention_heads";
            return refuse("vision_config.hidden_size", self.hidden_size, remedy);
        }
        if self.patch_size == 0 || self.image_size < self.patch_size {
            return refuse("vision_config.patch_size", self.patch_size, "an image must hold at least one patch");
        }
        check_size("vision_config.image_size", self.image_size)?;
        check_size("vision_config.hidden_size", self.hidden_size)?;
        check_size("vision_config.intermediate_size", self.intermediate_size)?;
        check_size("vision_config.num_hidden_layers", self.num_hidden_layers)
    }
}

impl TextConfig {
    /// Query heads per key-value head.
    pub fn num_query_groups(&self) -> usize {
        self.num_attention_heads / self.num_key_value_heads
    }

    /// Width of a token's queries, keys and values side by side.
    pub fn packed_width(&self) -> usize {
        (self.num_attention_heads + 2 * self.num_key_value_heads) * self.head_dim
    }

    /// Longest sequence that the model takes; `None` where the rotary base adapts to any length (dynamic NTK).
    ///
    /// Without scaling and with Llama 3 scaling: `max_position_embeddings`. With linear scaling: that times the factor, as
    /// transformers keeps the unscaled length in the config. Never more than a sliding window that attention would have.
    pub fn max_tokens(&self) -> Option<usize> {
        let trained = match self.rope_scaling {
            None | Some(RopeScaling::Llama3 { .. }) => Some(self.max_position_embeddings),
            Some(RopeScaling::Linear { factor }) => Some((self.max_position_embeddings as f64 * factor) as usize),
            Some(RopeScaling::Dynamic { .. }) => None,
        };
        match (trained, self.sliding_window) {
            (Some(trained), Some(window)) => Some(trained.min(window)),
            (trained, window) => trained.or(window),
        }
    }

    fn check(&self) -> Result<()> {
        let (heads, kv_heads) = (self.num_attention_heads, self.num_key_value_heads);
        if kv_heads == 0 || heads == 0 || !heads.is_multiple_of(kv_heads) {
            let remedy = "it must divide text_config.num_attention_heads";
            return refuse("text_config.num_key_value_heads", kv_heads, remedy);
        }
        if self.head_dim == 0 || !self.head_dim.is_multiple_of(2) {
            let remedy = "rotary positions turn pairs: hidden_size / num_attention_heads (or head_dim) must be even";
            return refuse("text_config.head_dim", self.head_dim, remedy);
        }
        if self.model_type == TextType::InternLm2 && self.head_dim * heads != self.hidden_size {
            let remedy = "InternLM2's heads fill the hidden size: it must be a multiple of num_attention_heads";
            return refuse("text_config.hidden_size", self.hidden_size, remedy);
        }
        if !(self.rope_theta.is_finite() && self.rope_theta > 0.0) {
            return refuse("text_config.rope_theta", self.rope_theta, "it must be above 0");
        }
        check_size("text_config.hidden_size", self.hidden_size)?;
        check_size("text_config.intermediate_size", self.intermediate_size)?;
        check_size("text_config.vocab_size", self.vocab_size)?;
        check_size("text_config.max_position_embeddings", self.max_position_embeddings)?;
        check_size("text_config.num_hidden_layers", self.num_hidden_layers)?;
        if let Some(scaling) = &self.rope_scaling { scaling.check() } else { Ok(()) }
    }
}

impl RopeScaling {
    fn check(&self) -> Result<()> {
        let factor = match *self {
            RopeScaling::Linear { factor } | RopeScaling::Dynamic { factor } => factor,
            RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_position_embeddings } => {
                if low_freq_factor <= 0.0 || high_freq_factor <= low_freq_factor {
                    let remedy = "it must be above low_freq_factor, and that above 0";
                    return refuse("text_config.rope_scaling.high_freq_factor", high_freq_factor, remedy);
                }
                check_size(
                    "text_config.rope_scaling.original_max_position_embeddings",
                    original_max_position_embeddings,
                )?;
                factor
            }
        };
        if factor.is_finite() && factor >= 1.0 {
            Ok(())
        } else {
            refuse("text_config.rope_scaling.factor", factor, "it must be at least 1")
        }
    }
}

/// Sizes beyond this belong to no network that a program could hold; products of them stay within 64 bits.
const LARGEST_SIZE: usize = 1 << 24;

fn check_size(field: &'static str, size: usize) -> Result<()> {
    if (1..=LARGEST_SIZE).contains(&size) { Ok(()) } else { refuse(field, size, "it must be from 1 to 16777216") }
}

fn refuse<T>(field: &'static str, value: impl ToString, remedy: &'static str) -> Result<T> {
    Err(Error::Unsupported { field, value: value.to_string(), remedy })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn config() -> Config {
        serde_json::from_str(include_str!("../../../../configs/model/tiny.json")).unwrap()
    }

    #[test]
    fn features_are_taken_after_the_last_but_one_block() {
        assert_eq!(config().num_vision_blocks(), 2);
        assert_eq!(config().num_image_tokens(), 16);
    }

    #[test]
    fn feature_layers_count_from_either_end() {
        let mut config = config();
        for (layer, blocks) in [(-1, 3), (-4, 0), (0, 0), (3, 3)] {
            config.vision_feature_layer = layer;
            config.check().unwrap();
            assert_eq!(config.num_vision_blocks(), blocks, "layer {layer}");
        }
        for layer in [4, -5] {
            config.vision_feature_layer = layer;
            assert!(config.check().unwrap_err().to_string().contains("vision_feature_layer"));
        }
    }

    #[test]
    fn contradictions_are_refused_by_name() {
        let refused = |change: &dyn Fn(&mut Config)| {
            let mut config = config();
            change(&mut config);
            config.check().unwrap_err().to_string()
        };
        assert!(refused(&|config| config.text_config.num_key_value_heads = 3).contains("num_key_value_heads"));
        assert!(refused(&|config| config.image_token_index = 328).contains("image_token_index = 328"));
        assert!(refused(&|config| config.vision_config.patch_size = 0).contains("patch_size"));
        let zero = RopeScaling::Linear { factor: 0.0 };
        assert!(refused(&|config| config.text_config.rope_scaling = Some(zero)).contains("rope_scaling.factor"));
    }

    #[test]
    fn the_longest_sequence_follows_the_scaling() {
        let mut text = config().text_config;
        assert_eq!(text.max_tokens(), None);
        text.rope_scaling = Some(RopeScaling::Linear { factor: 4.0 });
        assert_eq!(text.max_tokens(), Some(2048));
        text.rope_scaling = None;
        assert_eq!(text.max_tokens(), Some(512));
        text.sliding_window = Some(64);
        assert_eq!(text.max_tokens(), Some(64));
    }
}
