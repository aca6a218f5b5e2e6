//! The language model: architecture `llama` (InternLM2, Llama, Mistral) or `qwen2`.

use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::gather::Gather;
use crate::gguf::Model;
use crate::gguf::quantize::{Number, Outtype};
use crate::gguf::vocabulary;
use crate::gguf::writer::{File, Source, Tensor, Value};
use crate::shapes::{Family, Fields, Shapes, unsupported};

/// Parts of a block: Llama's name, llama.cpp's.
const BLOCK_NAMES: [(&str, &str); 9] = [
    ("input_layernorm", "attn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("post_attention_layernorm", "ffn_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
];

/// The file, from tensors under Llama's names.
pub fn file(model: &Model<'_>, notes: &mut Vec<String>) -> Result<File> {
    let Model { checkpoint, shapes, tensors, outtype, .. } = *model;
    let architecture = if shapes.family == Family::Qwen2 { "qwen2" } else { "llama" };
    let mut file = model.begin(architecture, "model");
    hyperparameters(&mut file, checkpoint, shapes, architecture, notes)?;
    vocabulary::write(&mut file, checkpoint, shapes.vocab_size, notes)?;
    if let Some(factors) = llama3_factors(checkpoint, shapes)? {
        let shape = vec![factors.len()];
        let source = Source::Made(factors);
        file.tensor(Tensor { name: "rope_freqs.weight".to_owned(), shape, number: Number::F32, source });
    }
    for tensor in tensors.iter().filter(|tensor| tensor.name.starts_with("language_model.")) {
        // Written twice, a tied head would only cost memory: llama.cpp takes the embeddings where there is none.
        if shapes.tied && tensor.name == "language_model.lm_head.weight" {
            continue;
        }
        file.tensor(converted(tensor, shapes, outtype)?);
    }
    Ok(file)
}

fn hyperparameters(
    file: &mut File,
    checkpoint: &Checkpoint,
    shapes: &Shapes,
    architecture: &str,
    notes: &mut Vec<String>,
) -> Result<()> {
    let fields = Fields::new(checkpoint);
    let activation = fields.text(&["text_config", "hidden_act"], "silu")?;
    if activation != "silu" {
        return Err(unsupported("text_config.hidden_act", activation, "llama.cpp runs these models with silu"));
    }
    if fields.flag(&["text_config", "mlp_bias"])? {
        return Err(unsupported("text_config.mlp_bias", true, "these blocks are written without it"));
    }
    let window = fields.optional_count(&["text_config", "sliding_window"])?;
    let uses_window = shapes.family == Family::Llama || fields.flag(&["text_config", "use_sliding_window"])?;
    if let Some(window) = window.filter(|_| uses_window) {
        return Err(unsupported(
            "text_config.sliding_window",
            window,
            "set it to null: all tokens see all earlier ones",
        ));
    }
    let key = |name: &str| format!("{architecture}.{name}");
    file.count(key("block_count"), shapes.num_layers);
    let context_length = fields.optional_count(&["text_config", "max_position_embeddings"])?.unwrap_or(2048);
    file.count(key("context_length"), context_length);
    file.count(key("embedding_length"), shapes.hidden_size);
    file.count(key("feed_forward_length"), shapes.intermediate_size);
    file.count(key("attention.head_count"), shapes.num_heads);
    file.count(key("attention.head_count_kv"), shapes.num_kv_heads);
    file.count(key("attention.key_length"), shapes.head_dim);
    file.count(key("attention.value_length"), shapes.head_dim);
    file.count(key("rope.dimension_count"), shapes.head_dim);
    file.count(key("vocab_size"), shapes.vocab_size);
    let theta = fields.number(&["text_config", "rope_theta"], 10_000.0)?;
    file.key(key("rope.freq_base"), Value::F32(theta as f32));
    let eps = fields.number(&["text_config", "rms_norm_eps"], 1e-6)?;
    file.key(key("attention.layer_norm_rms_epsilon"), Value::F32(eps as f32));
    match rope_kind(&fields)? {
        "" | "default" | "llama3" => {}
        "linear" => {
            let factor = fields.number(&["text_config", "rope_scaling", "factor"], 1.0)?;
            file.text(key("rope.scaling.type"), "linear");
            file.key(key("rope.scaling.factor"), Value::F32(factor as f32));
        }
        "dynamic" => notes.push(format!(
            "rope_scaling dynamic: llama.cpp has none; equal up to {context_length} tokens, which is written as the context length"
        )),
        other => {
            let reason = "linear, dynamic and llama3 are converted";
            return Err(unsupported("text_config.rope_scaling.type", other, reason));
        }
    }
    Ok(())
}

fn rope_kind<'a>(fields: &Fields<'a>) -> Result<&'a str> {
    let kind = fields.text(&["text_config", "rope_scaling", "rope_type"], "")?;
    if kind.is_empty() { fields.text(&["text_config", "rope_scaling", "type"], "") } else { Ok(kind) }
}

/// What each rotary frequency of Llama 3.1 is divided by: 1 for short waves, `factor` for long ones, a mixture between.
fn llama3_factors(checkpoint: &Checkpoint, shapes: &Shapes) -> Result<Option<Vec<f32>>> {
    let fields = Fields::new(checkpoint);
    if rope_kind(&fields)? != "llama3" {
        return Ok(None);
    }
    let scaling = |key, default| fields.number(&["text_config", "rope_scaling", key], default);
    let (factor, low, high) =
        (scaling("factor", 8.0)?, scaling("low_freq_factor", 1.0)?, scaling("high_freq_factor", 4.0)?);
    let trained = scaling("original_max_position_embeddings", 8192.0)?;
    let theta = fields.number(&["text_config", "rope_theta"], 10_000.0)?;
    let divisor = |index: usize| {
        let frequency = theta.powf(-2.0 * index as f64 / shapes.head_dim as f64);
        let wavelength = 2.0 * std::f64::consts::PI / frequency;
        let share = (trained / wavelength - low) / (high - low);
        let divisor = if wavelength < trained / high {
            1.0
        } else if wavelength > trained / low {
            factor
        } else {
            1.0 / ((1.0 - share) / factor + share)
        };
        divisor as f32
    };
    Ok(Some((0..shapes.head_dim / 2).map(divisor).collect()))
}

/// A tensor under llama.cpp's name, in its number format and order.
fn converted(tensor: &Gather, shapes: &Shapes, outtype: Outtype) -> Result<Tensor> {
    let mut gather = tensor.clone();
    // llama.cpp's `llama` rotates neighbours, Hugging Face's Llama the halves of a head: the rows are laid so that the result is the same.
    if shapes.family != Family::Qwen2 {
        if tensor.name.contains(".self_attn.q_proj.") {
            gather.reorder(interleaved(shapes.num_heads, shapes.head_dim));
        } else if tensor.name.contains(".self_attn.k_proj.") {
            gather.reorder(interleaved(shapes.num_kv_heads, shapes.head_dim));
        }
    }
    let name = name(&tensor.name).ok_or_else(|| unsupported("tensor", &tensor.name, "llama.cpp has no name for it"))?;
    let is_matrix = tensor.shape.len() > 1;
    let number = if is_matrix { outtype.number(tensor.shape[tensor.shape.len() - 1]) } else { Number::F32 };
    Ok(Tensor { name, shape: tensor.shape.clone(), number, source: Source::Stored(gather) })
}

/// Which row of the halves layout stands at each row of the neighbours layout.
fn interleaved(num_heads: usize, head_dim: usize) -> impl Iterator<Item = usize> {
    let half = head_dim / 2;
    (0..num_heads * head_dim).map(move |row| {
        let (head, place) = (row / head_dim, row % head_dim);
        head * head_dim + place % 2 * half + place / 2
    })
}

fn name(stored: &str) -> Option<String> {
    let name = stored.strip_prefix("language_model.")?;
    match name {
        "lm_head.weight" => return Some("output.weight".to_owned()),
        "model.embed_tokens.weight" => return Some("token_embd.weight".to_owned()),
        "model.norm.weight" => return Some("output_norm.weight".to_owned()),
        _ => {}
    }
    let (layer, part) = name.strip_prefix("model.layers.")?.split_once('.')?;
    let (part, kind) = part.rsplit_once('.')?;
    let (_, short) = BLOCK_NAMES.iter().find(|(long, _)| *long == part)?;
    Some(format!("blk.{layer}.{short}.{kind}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_head_are_taken_from_its_halves_in_turn() {
        assert_eq!(interleaved(2, 4).collect::<Vec<_>>(), [0, 2, 1, 3, 4, 6, 5, 7]);
    }

    #[test]
    fn names_are_llama_cpps() {
        assert_eq!(name("language_model.model.layers.7.mlp.up_proj.weight").as_deref(), Some("blk.7.ffn_up.weight"));
        assert_eq!(name("language_model.model.layers.0.self_attn.q_proj.bias").as_deref(), Some("blk.0.attn_q.bias"));
        assert_eq!(name("language_model.model.layers.0.strange.weight"), None);
    }
}
