//! `config.json` as text: read with the defaults of `LlavaConfig` (transformers 4.46.3) and `EnhancedLlavaConfig` (GMAI-VL
//! release), saved as it was read. Keys that name no property of the network are kept as they are and written again.

use super::defaults::{text, vision};
use super::fields::{Fields, Reason, unsupported};
use super::{Config, FeatureSelect, ModelType, RopeScaling, TextConfig, TextType, VisionConfig, VisionType};
use crate::layers::Activation;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::sync::Arc;

/// The file that a config was read from. Two configs are equal whatever their files looked like.
#[derive(Debug, Clone, Default)]
pub struct Written {
    text: Option<Arc<str>>,
    absent: Arc<Vec<String>>,
}

impl PartialEq for Written {
    fn eq(&self, _: &Written) -> bool {
        true
    }
}

impl Written {
    /// Whether the file left `key` out, so that its default was taken.
    pub fn lacks(&self, key: &str) -> bool {
        self.absent.iter().any(|absent| absent == key)
    }

    /// Keys that the file left out, of those that decide shapes.
    pub fn absent(&self) -> &[String] {
        &self.absent
    }
}

impl Config {
    /// Parses the text of a `config.json`; [`Config::check`] must follow. The error names the key.
    pub fn from_text(text: &str) -> Result<Config, Reason> {
        let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let mut config = Config::from_value(&value)?;
        config.written.text = Some(text.into());
        Ok(config)
    }

    /// The text to save: what was read, letter by letter, unless a setting has changed since; then only that differs.
    pub fn to_text(&self) -> String {
        let fresh = || pretty(&self.to_value());
        let Some(text) = &self.written.text else { return fresh() };
        let (Ok(before), Ok(mut value)) = (Config::from_text(text), serde_json::from_str::<Value>(text)) else {
            return fresh();
        };
        if before == *self {
            return text.to_string();
        }
        overlay(&mut value, &before.to_value(), &self.to_value());
        pretty(&value)
    }

    fn from_value(value: &Value) -> Result<Config, Reason> {
        let absent = RefCell::new(Vec::new());
        let top = Fields::new("", value, &absent)?;
        let model_type = match top.required_text("model_type")? {
            "enhanced_llava" => ModelType::EnhancedLlava,
            "llava" => ModelType::Llava,
            other => return Err(unsupported("model_type", other, "\"enhanced_llava\" or \"llava\"")),
        };
        if top.get("quantization_config").is_some() {
            return Err(unsupported("quantization_config", "{...}", "weights in f32, f16 or bf16"));
        }
        let config = Config {
            architectures: top.texts("architectures").unwrap_or_else(|| vec![ARCHITECTURE.to_owned()]),
            model_type,
            ignore_index: top.integer("ignore_index", -100)?,
            image_token_index: top.id(&["image_token_index", "image_token_id"])?.unwrap_or_else(|| {
                top.note("image_token_index");
                32000
            }),
            image_seq_length: top.length("image_seq_length", 576)?,
            pad_token_id: top.id(&["pad_token_id"])?,
            projector_hidden_act: top.activation("projector_hidden_act", Activation::Gelu)?,
            multimodal_projector_bias: top.flag("multimodal_projector_bias", true)?,
            vision_feature_select_strategy: match top.text("vision_feature_select_strategy", "default")? {
                "default" => FeatureSelect::Default,
                "full" => FeatureSelect::Full,
                other => return Err(unsupported("vision_feature_select_strategy", other, "\"default\" or \"full\"")),
            },
            vision_feature_layer: top.integer("vision_feature_layer", -2)?,
            vision_config: vision(&Fields::new("vision_config", top.required("vision_config")?, &absent)?)?,
            text_config: text(&Fields::new("text_config", top.required("text_config")?, &absent)?, &top)?,
            torch_dtype: match top.get("torch_dtype").or(top.get("dtype")) {
                Some(Value::String(name)) => name.clone(),
                _ => "float32".to_owned(),
            },
            written: Written::default(),
        };
        Ok(Config { written: Written { text: None, absent: Arc::new(absent.into_inner()) }, ..config })
    }

    /// Every setting under the key that the reference library knows.
    fn to_value(&self) -> Value {
        let mut top = json!({
            "architectures": self.architectures,
            "model_type": self.model_type.name(),
            "ignore_index": self.ignore_index,
            "image_token_index": self.image_token_index,
            "pad_token_id": self.pad_token_id,
            "projector_hidden_act": self.projector_hidden_act.name(),
            "vision_feature_select_strategy": match self.vision_feature_select_strategy {
                FeatureSelect::Default => "default",
                FeatureSelect::Full => "full",
            },
            "vision_feature_layer": self.vision_feature_layer,
            "vision_config": vision_value(&self.vision_config),
            "text_config": text_value(&self.text_config),
            "torch_dtype": self.torch_dtype,
        });
        if self.model_type == ModelType::Llava {
            top["image_seq_length"] = json!(self.image_seq_length);
        }
        // The GMAI-VL release and transformers up to 4.46 know no projector without biases.
        if !self.multimodal_projector_bias {
            top["multimodal_projector_bias"] = json!(false);
        }
        top
    }
}

const ARCHITECTURE: &str = "LlavaForConditionalGeneration";

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Config, D::Error> {
        Config::from_value(&Value::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl Serialize for Config {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_value().serialize(serializer)
    }
}

fn vision_value(config: &VisionConfig) -> Value {
    let mut value = json!({
        "model_type": match config.model_type { VisionType::Clip => "clip_vision_model", VisionType::Siglip => "siglip_vision_model" },
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "num_channels": 3,
        "image_size": config.image_size,
        "patch_size": config.patch_size,
        "hidden_act": config.hidden_act.name(),
        "layer_norm_eps": config.layer_norm_eps,
        "projection_dim": config.projection_dim,
    });
    if config.model_type == VisionType::Siglip {
        value["vision_use_head"] = json!(config.vision_use_head);
    }
    value
}

fn text_value(config: &TextConfig) -> Value {
    let mut value = json!({
        "model_type": match config.model_type {
            TextType::InternLm2 => "internlm2",
            TextType::Llama => "llama",
            TextType::Mistral => "mistral",
            TextType::Qwen2 => "qwen2",
        },
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_key_value_heads,
        "max_position_embeddings": config.max_position_embeddings,
        "rms_norm_eps": config.rms_norm_eps,
        "rope_theta": config.rope_theta,
        "rope_scaling": config.rope_scaling.as_ref().map(|scaling| scaling_value(scaling, config.model_type)),
        "hidden_act": config.hidden_act.name(),
        "tie_word_embeddings": config.tie_word_embeddings,
        "bos_token_id": config.bos_token_id,
        "eos_token_id": match config.eos_token_id.as_slice() { [one] => json!(one), many => json!(many) },
        "pad_token_id": config.pad_token_id,
        "initializer_range": config.initializer_range,
    });
    match config.model_type {
        TextType::InternLm2 => value["bias"] = json!(config.qkv_bias),
        TextType::Llama => {
            value["attention_bias"] = json!(config.qkv_bias);
            value["mlp_bias"] = json!(config.mlp_bias);
        }
        TextType::Mistral => value["sliding_window"] = json!(config.sliding_window),
        TextType::Qwen2 => value["use_sliding_window"] = json!(false),
    }
    if config.model_type != TextType::InternLm2 {
        value["head_dim"] = json!(config.head_dim);
    }
    value
}

/// The GMAI-VL release reads `type`, transformers `rope_type`, and the release takes no third key.
fn scaling_value(scaling: &RopeScaling, model_type: TextType) -> Value {
    let key = if model_type == TextType::InternLm2 { "type" } else { "rope_type" };
    match *scaling {
        RopeScaling::Linear { factor } => json!({ key: "linear", "factor": factor }),
        RopeScaling::Dynamic { factor } => json!({ key: "dynamic", "factor": factor }),
        RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_position_embeddings } => json!({
            key: "llama3",
            "factor": factor,
            "low_freq_factor": low_freq_factor,
            "high_freq_factor": high_freq_factor,
            "original_max_position_embeddings": original_max_position_embeddings,
        }),
    }
}

/// Keys that newer files of transformers spell otherwise.
const OTHER_SPELLINGS: [(&str, &str); 2] = [("torch_dtype", "dtype"), ("image_token_index", "image_token_id")];

/// Writes into `target` what differs between `before` and `after`.
fn overlay(target: &mut Value, before: &Value, after: &Value) {
    let (Value::Object(target), Value::Object(after)) = (target, after) else { return };
    for (key, value) in after {
        let old = before.get(key).unwrap_or(&Value::Null);
        if old == value {
            continue;
        }
        match target.get_mut(key) {
            Some(inner @ Value::Object(_)) if value.is_object() && old.is_object() => overlay(inner, old, value),
            _ => {
                let other = OTHER_SPELLINGS.iter().find(|(known, _)| known == key).map(|(_, other)| *other);
                let spelled = other.filter(|other| target.contains_key(*other)).unwrap_or(key);
                target.insert(spelled.to_owned(), value.clone());
            }
        }
    }
}

fn pretty(value: &Value) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("a config is plain data");
    text.push('\n');
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn llava(text: &str) -> Result<Config, Reason> {
        Config::from_text(&format!(
            r#"{{"model_type": "llava", "image_token_index": 9, "vision_config": {{"model_type": "siglip_vision_model"}},
                 "text_config": {{"vocab_size": 10, "hidden_size": 64, "num_attention_heads": 8, {text}}}}}"#
        ))
    }

    #[test]
    fn absent_keys_take_the_defaults_of_transformers() {
        let config = llava(r#""model_type": "qwen2", "num_key_value_heads": null"#).unwrap();
        assert_eq!((config.vision_feature_layer, config.image_seq_length), (-2, 576));
        assert_eq!((config.vision_config.patch_size, config.vision_config.layer_norm_eps), (16, 1e-6));
        let text = config.text_config;
        assert_eq!((text.num_key_value_heads, text.head_dim, text.max_position_embeddings), (8, 8, 32768));
        assert!(text.qkv_bias && !text.attention_output_bias && text.eos_token_id.is_empty());
        assert!(
            config.written.lacks("text_config.intermediate_size") && !config.written.lacks("text_config.vocab_size")
        );
    }

    #[test]
    fn rotary_scaling_is_read_in_all_spellings() {
        let scaling = |text: &str| llava(text).unwrap().text_config.rope_scaling;
        let linear = Some(RopeScaling::Linear { factor: 2.0 });
        assert_eq!(scaling(r#""rope_scaling": {"type": "linear", "factor": 2.0}"#), linear);
        assert_eq!(scaling(r#""rope_scaling": {"rope_type": "linear", "factor": 2}"#), linear);
        assert_eq!(scaling(r#""rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 5.0}"#), linear);
        assert_eq!(scaling(r#""rope_scaling": {"rope_type": "default"}"#), None);
        assert_eq!(scaling(r#""rope_scaling": null"#), None);
        let theta = r#""rope_parameters": {"rope_type": "default", "rope_theta": 5.0}"#;
        assert_eq!(llava(theta).unwrap().text_config.rope_theta, 5.0);
    }

    #[test]
    fn unsupported_settings_are_refused_by_name() {
        for (text, name) in [
            (r#""model_type": "gemma""#, "text_config.model_type = gemma"),
            (r#""model_type": "internlm2""#, "text_config.model_type = internlm2"),
            (r#""rope_scaling": {"rope_type": "yarn", "factor": 2.0}"#, "text_config.rope_scaling.rope_type = yarn"),
            (r#""rope_scaling": {"rope_type": "llama3", "factor": 2.0}"#, "text_config.rope_scaling.low_freq_factor"),
            (r#""model_type": "qwen2", "use_sliding_window": true"#, "text_config.use_sliding_window"),
            (r#""model_type": "mistral", "sliding_window": 16"#, "text_config.sliding_window = 16"),
            (r#""hidden_act": "mish""#, "text_config.hidden_act = \"mish\""),
            (r#""partial_rotary_factor": 0.5"#, "text_config.partial_rotary_factor"),
            (r#""intermediate_size": "big""#, "text_config.intermediate_size: wanted a whole number"),
        ] {
            let reason = llava(text).unwrap_err();
            assert!(reason.contains(name), "{reason}");
        }
        let list =
            r#"{"model_type": "llava", "vision_feature_layer": [-2, -5], "vision_config": {}, "text_config": {}}"#;
        assert!(Config::from_text(list).unwrap_err().contains("vision_feature_layer"));
        let missing = r#"{"model_type": "llava", "vision_config": {}}"#;
        assert_eq!(Config::from_text(missing).unwrap_err(), "missing field `text_config`");
    }

    #[test]
    fn a_config_is_saved_as_it_was_read_and_unknown_keys_survive_a_change() {
        let text = r#"{ "model_type": "llava", "mystery": [1,  2], "image_token_index": 7,
            "vision_config": {"patch_size": 14}, "text_config": {"vocab_size": 8, "also": null} }"#;
        let mut config = Config::from_text(text).unwrap();
        assert_eq!(config.to_text(), text);
        config.text_config.vocab_size = 9;
        let changed: Value = serde_json::from_str(&config.to_text()).unwrap();
        assert_eq!((&changed["mystery"], &changed["text_config"]["vocab_size"]), (&json!([1, 2]), &json!(9)));
        assert_eq!(changed["vision_config"], json!({"patch_size": 14}));
        let newer = text.replace("\"mystery\"", "\"dtype\": \"bfloat16\", \"mystery\"");
        let mut newer = Config::from_text(&newer).unwrap();
        newer.torch_dtype = "float32".to_owned();
        let changed: Value = serde_json::from_str(&newer.to_text()).unwrap();
        assert_eq!((&changed["dtype"], changed.get("torch_dtype")), (&json!("float32"), None));
        assert_eq!(Config::from_text(&config.to_text()).unwrap(), config);
    }

    #[test]
    fn a_fresh_config_reads_as_it_was_written() {
        for text in
            [r#""model_type": "mistral", "sliding_window": null"#, r#""tie_word_embeddings": true, "mlp_bias": true"#]
        {
            let config = llava(text).unwrap();
            assert_eq!(Config::from_text(&pretty(&config.to_value())).unwrap(), config);
        }
    }
}
