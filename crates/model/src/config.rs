//! The checkpoint's `config.json`: `enhanced_llava` with `clip_vision_model` and `internlm2` (GMAI-VL release).

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Configuration of the whole network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Class names as written by transformers.
    #[serde(default = "default_architectures")]
    pub architectures: Vec<String>,
    /// `enhanced_llava`.
    pub model_type: String,
    /// Label value that takes no part in the loss; always -100.
    #[serde(default = "default_ignore_index")]
    pub ignore_index: i64,
    /// Id of the image token in the tokenizer.
    pub image_token_index: u32,
    /// Activation between the projector's two layers; `gelu` is the exact form.
    #[serde(default = "default_projector_act")]
    pub projector_hidden_act: String,
    /// `default` drops the class token, `full` keeps it.
    #[serde(default = "default_select")]
    pub vision_feature_select_strategy: String,
    /// Which hidden state is taken as image feature: -1 after the last block, -2 after the last but one.
    #[serde(default = "default_feature_layer")]
    pub vision_feature_layer: i64,
    /// Vision encoder.
    pub vision_config: VisionConfig,
    /// Language model.
    pub text_config: TextConfig,
    /// Number format of the stored weights.
    #[serde(default = "default_dtype")]
    pub torch_dtype: String,
}

/// CLIP vision transformer (`clip_vision_model`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VisionConfig {
    /// `clip_vision_model`.
    #[serde(default = "default_vision_type")]
    pub model_type: String,
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
    #[serde(default = "default_vision_act")]
    pub hidden_act: String,
    /// Added to the variance in layer norms.
    #[serde(default = "default_eps")]
    pub layer_norm_eps: f64,
    /// Width of the image-text embedding (used by vision pretraining only).
    #[serde(default = "default_projection_dim")]
    pub projection_dim: usize,
}

/// InternLM2 decoder (`internlm2`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextConfig {
    /// `internlm2`.
    #[serde(default = "default_text_type")]
    pub model_type: String,
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
    /// Longest sequence before dynamic NTK scaling of the rotary base sets in.
    pub max_position_embeddings: usize,
    /// Added to the mean square in RMS norms.
    #[serde(default = "default_eps")]
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    #[serde(default = "default_theta")]
    pub rope_theta: f64,
    /// How the base changes for long sequences.
    #[serde(default)]
    pub rope_scaling: Option<RopeScaling>,
    /// Activation of the feed-forward part; `silu`.
    #[serde(default = "default_text_act")]
    pub hidden_act: String,
    /// Whether linear layers have biases; InternLM2.5 has none.
    #[serde(default)]
    pub bias: bool,
    /// Whether the output head shares the embedding table; InternLM2.5 does not.
    #[serde(default)]
    pub tie_word_embeddings: bool,
    /// First token of a sequence.
    #[serde(default = "default_bos")]
    pub bos_token_id: u32,
    /// Token that ends a text.
    #[serde(default = "default_eos")]
    pub eos_token_id: u32,
    /// Token that fills short rows.
    #[serde(default = "default_eos")]
    pub pad_token_id: u32,
    /// Standard deviation of fresh weights.
    #[serde(default = "default_initializer_range")]
    pub initializer_range: f64,
}

/// Scaling of rotary positions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RopeScaling {
    /// `linear` or `dynamic`.
    #[serde(rename = "type", alias = "rope_type")]
    pub kind: String,
    /// Scaling factor.
    pub factor: f64,
}

fn default_architectures() -> Vec<String> {
    vec!["LlavaForConditionalGeneration".to_owned()]
}
fn default_ignore_index() -> i64 {
    -100
}
fn default_projector_act() -> String {
    "gelu".to_owned()
}
fn default_select() -> String {
    "default".to_owned()
}
fn default_feature_layer() -> i64 {
    -2
}
fn default_dtype() -> String {
    "float32".to_owned()
}
fn default_vision_type() -> String {
    "clip_vision_model".to_owned()
}
fn default_text_type() -> String {
    "internlm2".to_owned()
}
fn default_vision_act() -> String {
    "quick_gelu".to_owned()
}
fn default_text_act() -> String {
    "silu".to_owned()
}
fn default_eps() -> f64 {
    1e-5
}
fn default_projection_dim() -> usize {
    768
}
fn default_theta() -> f64 {
    1_000_000.0
}
fn default_bos() -> u32 {
    1
}
fn default_eos() -> u32 {
    2
}
fn default_initializer_range() -> f64 {
    0.02
}

impl Config {
    /// Reads and checks `config.json` in a checkpoint folder.
    pub fn from_folder(folder: &Path) -> Result<Config> {
        let path = folder.join("config.json");
        let text = std::fs::read_to_string(&path).map_err(|source| Error::Io { path: path.clone(), source })?;
        let config: Config =
            serde_json::from_str(&text).map_err(|error| Error::Config { path, reason: error.to_string() })?;
        config.check()?;
        Ok(config)
    }

    /// Refuses settings that the network does not implement or that contradict each other.
    pub fn check(&self) -> Result<()> {
        let text = &self.text_config;
        let vision = &self.vision_config;
        let expect = |field, value: &str, allowed: &[&str], remedy| {
            if allowed.contains(&value) {
                Ok(())
            } else {
                Err(Error::Unsupported { field, value: format!("{value:?}"), remedy })
            }
        };
        expect("model_type", &self.model_type, &["enhanced_llava"], "use \"enhanced_llava\"")?;
        expect("text_config.model_type", &text.model_type, &["internlm2"], "use \"internlm2\"")?;
        expect("vision_config.model_type", &vision.model_type, &["clip_vision_model"], "use \"clip_vision_model\"")?;
        expect("projector_hidden_act", &self.projector_hidden_act, &["gelu"], "use \"gelu\"")?;
        expect(
            "vision_feature_select_strategy",
            &self.vision_feature_select_strategy,
            &["default", "full"],
            "use \"default\" or \"full\"",
        )?;
        expect(
            "vision_config.hidden_act",
            &vision.hidden_act,
            &["quick_gelu", "gelu"],
            "use \"quick_gelu\" or \"gelu\"",
        )?;
        expect("text_config.hidden_act", &text.hidden_act, &["silu"], "use \"silu\"")?;
        if let Some(scaling) = &text.rope_scaling {
            expect(
                "text_config.rope_scaling.type",
                &scaling.kind,
                &["linear", "dynamic"],
                "use \"linear\" or \"dynamic\"",
            )?;
        }
        let refuse = |field, value: String, remedy| Err(Error::Unsupported { field, value, remedy });
        if text.bias {
            return refuse("text_config.bias", "true".into(), "InternLM2.5 has no biases");
        }
        if text.tie_word_embeddings {
            return refuse("text_config.tie_word_embeddings", "true".into(), "InternLM2.5 has its own output head");
        }
        if text.num_key_value_heads == 0 || !text.num_attention_heads.is_multiple_of(text.num_key_value_heads) {
            let value = text.num_key_value_heads.to_string();
            return refuse("text_config.num_key_value_heads", value, "it must divide num_attention_heads");
        }
        if text.num_attention_heads == 0 || !text.hidden_size.is_multiple_of(2 * text.num_attention_heads) {
            let value = text.hidden_size.to_string();
            return refuse("text_config.hidden_size", value, "it must be an even multiple of num_attention_heads");
        }
        if vision.num_attention_heads == 0 || !vision.hidden_size.is_multiple_of(vision.num_attention_heads) {
            let value = vision.hidden_size.to_string();
            return refuse("vision_config.hidden_size", value, "it must be a multiple of num_attention_heads");
        }
        if vision.patch_size == 0 || !vision.image_size.is_multiple_of(vision.patch_size) {
            let value = vision.image_size.to_string();
            return refuse("vision_config.image_size", value, "it must be a multiple of patch_size");
        }
        let deepest = -(vision.num_hidden_layers as i64) - 1;
        if !(deepest..=-1).contains(&self.vision_feature_layer) {
            let value = self.vision_feature_layer.to_string();
            return refuse("vision_feature_layer", value, "count from the end: -1 is the last block");
        }
        Ok(())
    }

    /// Vision blocks to run before the image features are taken.
    pub fn num_vision_blocks(&self) -> usize {
        // Hidden state 0 is the embedding, so -1 names the last of `num_hidden_layers + 1` states.
        (self.vision_config.num_hidden_layers as i64 + 1 + self.vision_feature_layer) as usize
    }

    /// Tokens that one image takes in the sequence.
    pub fn num_image_tokens(&self) -> usize {
        let class_token = usize::from(self.vision_feature_select_strategy == "full");
        self.vision_config.num_patches() + class_token
    }
}

impl VisionConfig {
    /// Patches of one image, without the class token.
    pub fn num_patches(&self) -> usize {
        (self.image_size / self.patch_size).pow(2)
    }

    /// Numbers in one patch: three colours of `patch_size` x `patch_size` pixels.
    pub fn patch_width(&self) -> usize {
        3 * self.patch_size * self.patch_size
    }
}

impl TextConfig {
    /// Width of one attention head.
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }

    /// Query heads per key-value head.
    pub fn num_query_groups(&self) -> usize {
        self.num_attention_heads / self.num_key_value_heads
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn config() -> Config {
        serde_json::from_str(
            r#"{"model_type": "enhanced_llava", "image_token_index": 99,
                "vision_config": {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4, "image_size": 56, "patch_size": 14},
                "text_config": {"vocab_size": 100, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
                    "num_key_value_heads": 2, "max_position_embeddings": 64}}"#,
        )
        .unwrap()
    }

    #[test]
    fn features_are_taken_after_the_last_but_one_block() {
        assert_eq!(config().num_vision_blocks(), 3);
        assert_eq!(config().num_image_tokens(), 16);
    }

    #[test]
    fn unsupported_settings_are_refused_by_name() {
        let mut wrong = config();
        wrong.text_config.rope_scaling = Some(RopeScaling { kind: "yarn".into(), factor: 2.0 });
        assert!(wrong.check().unwrap_err().to_string().contains("rope_scaling"));
        let mut wrong = config();
        wrong.text_config.num_key_value_heads = 3;
        assert!(wrong.check().unwrap_err().to_string().contains("num_key_value_heads"));
    }
}
