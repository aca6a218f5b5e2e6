//! Vision encoder and decoder of a `config.json`, with the defaults that transformers takes for keys that a file leaves out.
//!
//! Defaults are those of transformers 4.46.3 (`CLIPVisionConfig`, `SiglipVisionConfig`, `LlamaConfig`, `MistralConfig`,
//! `Qwen2Config`) and of the GMAI-VL release (`InternLM2Config`): transformers writes only what differs from them.

use super::fields::{Fields, Reason};
use super::{RopeScaling, TextConfig, TextType, VisionConfig, VisionType};
use crate::layers::Activation;
use serde_json::{Value, json};

/// The object `vision_config`.
pub(super) fn vision(fields: &Fields<'_>) -> Result<VisionConfig, Reason> {
    let model_type = match fields.text("model_type", "clip_vision_model")? {
        "clip_vision_model" => VisionType::Clip,
        "siglip_vision_model" => VisionType::Siglip,
        other => {
            return Err(fields.unsupported("model_type", other, "\"clip_vision_model\" or \"siglip_vision_model\""));
        }
    };
    if fields.length("num_channels", 3)? != 3 {
        return Err(fields.refuse("num_channels", "3"));
    }
    let clip = model_type == VisionType::Clip;
    Ok(VisionConfig {
        model_type,
        hidden_size: fields.size("hidden_size", 768)?,
        intermediate_size: fields.size("intermediate_size", 3072)?,
        num_hidden_layers: fields.size("num_hidden_layers", 12)?,
        num_attention_heads: fields.size("num_attention_heads", 12)?,
        image_size: fields.size("image_size", 224)?,
        patch_size: fields.size("patch_size", if clip { 32 } else { 16 })?,
        hidden_act: fields.activation("hidden_act", if clip { Activation::QuickGelu } else { Activation::GeluTanh })?,
        layer_norm_eps: fields.number("layer_norm_eps", if clip { 1e-5 } else { 1e-6 })?,
        projection_dim: fields.length("projection_dim", 512)?,
        vision_use_head: fields.flag("vision_use_head", true)?,
    })
}

/// Defaults in which the kinds of decoder differ.
struct TextDefaults {
    vocab_size: usize,
    intermediate_size: usize,
    num_key_value_heads: Option<usize>,
    max_position_embeddings: usize,
    bos: Option<u32>,
    eos: &'static [u32],
    pad: Option<u32>,
}

impl TextDefaults {
    fn of(model_type: TextType) -> TextDefaults {
        let llama = TextDefaults {
            vocab_size: 32000,
            intermediate_size: 11008,
            num_key_value_heads: None,
            max_position_embeddings: 2048,
            bos: Some(1),
            eos: &[2],
            pad: None,
        };
        match model_type {
            TextType::Llama => llama,
            TextType::InternLm2 => TextDefaults { vocab_size: 103_168, pad: Some(0), ..llama },
            TextType::Mistral => TextDefaults {
                intermediate_size: 14336,
                num_key_value_heads: Some(8),
                max_position_embeddings: 131_072,
                ..llama
            },
            TextType::Qwen2 => TextDefaults {
                vocab_size: 151_936,
                intermediate_size: 22016,
                num_key_value_heads: Some(32),
                max_position_embeddings: 32768,
                bos: None,
                eos: &[],
                ..llama
            },
        }
    }
}

/// The object `text_config`; `top` is the file's own.
pub(super) fn text(fields: &Fields<'_>, top: &Fields<'_>) -> Result<TextConfig, Reason> {
    let model_type = match fields.text("model_type", "llama")? {
        "internlm2" => TextType::InternLm2,
        "llama" => TextType::Llama,
        "mistral" => TextType::Mistral,
        "qwen2" => TextType::Qwen2,
        other => {
            let known = "\"internlm2\", \"llama\", \"mistral\" or \"qwen2\"";
            return Err(fields.unsupported("model_type", other, known));
        }
    };
    if model_type == TextType::InternLm2 && top.get("model_type") != Some(&json!("enhanced_llava")) {
        return Err(fields.unsupported(
            "model_type",
            "internlm2",
            "InternLM2 text in an \"enhanced_llava\" checkpoint",
        ));
    }
    let defaults = TextDefaults::of(model_type);
    let hidden_size = fields.size("hidden_size", 4096)?;
    let num_attention_heads = fields.size("num_attention_heads", 32)?;
    let max_position_embeddings = fields.length("max_position_embeddings", defaults.max_position_embeddings)?;
    let (qkv_bias, attention_output_bias, mlp_bias) = match model_type {
        TextType::InternLm2 => {
            let bias = fields.flag("bias", true)?;
            (bias, bias, false)
        }
        TextType::Llama => {
            let bias = fields.flag("attention_bias", false)?;
            (bias, bias, fields.flag("mlp_bias", false)?)
        }
        TextType::Mistral => (false, false, false),
        TextType::Qwen2 => (true, false, false),
    };
    let kv_heads = match fields.get("num_key_value_heads") {
        Some(_) => fields.size("num_key_value_heads", 0)?,
        // `null` is no default of transformers: it stands for as many heads as there are queries.
        None if fields.is_null("num_key_value_heads") => num_attention_heads,
        None => {
            fields.note("num_key_value_heads");
            defaults.num_key_value_heads.unwrap_or(num_attention_heads)
        }
    };
    full_rotation_and_attention(fields)?;
    Ok(TextConfig {
        model_type,
        vocab_size: fields.size("vocab_size", defaults.vocab_size)?,
        hidden_size,
        intermediate_size: fields.size("intermediate_size", defaults.intermediate_size)?,
        num_hidden_layers: fields.size("num_hidden_layers", 32)?,
        num_attention_heads,
        num_key_value_heads: kv_heads,
        head_dim: match fields.get("head_dim") {
            Some(_) => fields.size("head_dim", 0)?,
            None => hidden_size / num_attention_heads.max(1),
        },
        max_position_embeddings,
        sliding_window: sliding_window(fields, model_type, max_position_embeddings)?,
        rms_norm_eps: fields.number("rms_norm_eps", 1e-6)?,
        rope_theta: rope_theta(fields)?,
        rope_scaling: rope_scaling(fields, max_position_embeddings)?,
        hidden_act: fields.activation("hidden_act", Activation::Silu)?,
        qkv_bias,
        attention_output_bias,
        mlp_bias,
        tie_word_embeddings: match fields.get("tie_word_embeddings") {
            Some(_) => fields.flag("tie_word_embeddings", false)?,
            // Newer files may say it once, for the whole.
            None => top.flag("tie_word_embeddings", false)?,
        },
        bos_token_id: fields.id(&["bos_token_id"])?.or(defaults.bos),
        eos_token_id: fields.ids("eos_token_id")?.unwrap_or_else(|| defaults.eos.to_vec()),
        pad_token_id: fields.id(&["pad_token_id"])?.or(defaults.pad),
        initializer_range: fields.number("initializer_range", 0.02)?,
    })
}

/// Refuses settings of newer decoders under the same names: rotation of a part of each head, layers with local attention.
fn full_rotation_and_attention(fields: &Fields<'_>) -> Result<(), Reason> {
    if fields.number("partial_rotary_factor", 1.0)? != 1.0 {
        return Err(fields.refuse("partial_rotary_factor", "1"));
    }
    if fields.texts("layer_types").is_some_and(|types| types.iter().any(|kind| kind != "full_attention")) {
        return Err(fields.refuse("layer_types", "\"full_attention\" throughout"));
    }
    Ok(())
}

/// Window of a Mistral or Qwen2 file: an explicit one is refused, Mistral's silent default bounds the sequence.
fn sliding_window(fields: &Fields<'_>, model_type: TextType, longest: usize) -> Result<Option<usize>, Reason> {
    let off = "null: up to the window's length the results are the same";
    match model_type {
        TextType::Qwen2 if fields.flag("use_sliding_window", false)? => Err(fields.unsupported(
            "use_sliding_window",
            "true",
            "false: up to the window's length the results are the same",
        )),
        TextType::Mistral => match fields.get("sliding_window") {
            Some(_) if fields.size("sliding_window", 0)? < longest => Err(fields.refuse("sliding_window", off)),
            Some(_) => Ok(None),
            None if fields.is_null("sliding_window") => Ok(None),
            None => Ok(Some(MISTRAL_WINDOW).filter(|window| *window < longest)),
        },
        _ => Ok(None),
    }
}

/// `sliding_window` of `MistralConfig` where a file leaves it out.
const MISTRAL_WINDOW: usize = 4096;

fn rope_theta(fields: &Fields<'_>) -> Result<f64, Reason> {
    match fields.get("rope_parameters").and_then(|parameters| parameters.get("rope_theta")) {
        Some(theta) => theta.as_f64().ok_or_else(|| fields.wrong("rope_parameters.rope_theta", theta, "a number")),
        None => fields.number("rope_theta", 10000.0),
    }
}

/// Old spelling `rope_scaling: {type}`, newer `rope_scaling: {rope_type}`, newest `rope_parameters`.
fn rope_scaling(fields: &Fields<'_>, longest: usize) -> Result<Option<RopeScaling>, Reason> {
    let found = ["rope_scaling", "rope_parameters"].iter().find_map(|key| fields.get(key).map(|value| (*key, value)));
    let Some((key, value)) = found else { return Ok(None) };
    let kind = value.get("rope_type").or_else(|| value.get("type")).and_then(Value::as_str);
    let number = |name: &str| {
        let number = value.get(name).and_then(Value::as_f64);
        number
            .ok_or_else(|| fields.wrong(&format!("{key}.{name}"), value.get(name).unwrap_or(&Value::Null), "a number"))
    };
    Ok(Some(match kind {
        Some("default") => return Ok(None),
        Some("linear") => RopeScaling::Linear { factor: number("factor")? },
        Some("dynamic") => RopeScaling::Dynamic { factor: number("factor")? },
        Some("llama3") => RopeScaling::Llama3 {
            factor: number("factor")?,
            low_freq_factor: number("low_freq_factor")?,
            high_freq_factor: number("high_freq_factor")?,
            original_max_position_embeddings: match value.get("original_max_position_embeddings") {
                Some(_) => number("original_max_position_embeddings")? as usize,
                None => longest,
            },
        },
        other => {
            let known = "\"default\", \"linear\", \"dynamic\" or \"llama3\"";
            return Err(fields.unsupported(&format!("{key}.rope_type"), other.unwrap_or("(none)"), known));
        }
    }))
}
