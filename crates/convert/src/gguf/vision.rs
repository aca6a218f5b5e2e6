//! `mmproj`: vision encoder and projector, as clip.cpp reads LLaVA (projector type `mlp`).

use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::gguf::Model;
use crate::gguf::quantize::{Number, Outtype};
use crate::gguf::writer::{File, Source, Tensor, Value};
use crate::shapes::{Fields, Vision, unsupported};

/// Parts of a block: Hugging Face's name, clip.cpp's. Its first converter called the feed-forward part's first matrix `down` and its second `up`; files
/// of LLaVA have been written so ever since. clip.cpp before May 2025 reads nothing else, later ones turn them round where the sizes tell.
const BLOCK_NAMES: [(&str, &str); 8] = [
    ("layer_norm1", "ln1"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.out_proj", "attn_out"),
    ("layer_norm2", "ln2"),
    ("mlp.fc1", "ffn_down"),
    ("mlp.fc2", "ffn_up"),
];

/// Everything outside of blocks. The norm after the last block is not written: features are taken before it.
const NAMES: [(&str, &str); 8] = [
    ("vision_tower.vision_model.embeddings.class_embedding", "v.class_embd"),
    ("vision_tower.vision_model.embeddings.patch_embedding.weight", "v.patch_embd.weight"),
    ("vision_tower.vision_model.embeddings.patch_embedding.bias", "v.patch_embd.bias"),
    ("vision_tower.vision_model.embeddings.position_embedding.weight", "v.position_embd.weight"),
    ("vision_tower.vision_model.pre_layrnorm.weight", "v.pre_ln.weight"),
    ("vision_tower.vision_model.pre_layrnorm.bias", "v.pre_ln.bias"),
    ("multi_modal_projector.linear_1", "mm.0"),
    ("multi_modal_projector.linear_2", "mm.2"),
];

/// The file, from tensors under Hugging Face's names.
pub fn file(model: &Model<'_>, notes: &mut Vec<String>) -> Result<File> {
    let Model { checkpoint, shapes, tensors, outtype, .. } = *model;
    let fields = Fields::new(checkpoint);
    if shapes.drops_class_token != (shapes.vision == Vision::Clip) {
        let strategy = if shapes.drops_class_token { "default" } else { "full" };
        let reason = "llama.cpp gives the language model all patches and never the class token";
        return Err(unsupported("vision_feature_select_strategy", strategy, reason));
    }
    let mut file = model.begin("clip", "mmproj");
    // clip.cpp before May 2025 does not load a file without a description.
    file.text("general.description", "vision encoder and projector of a LLaVA");
    file.key("clip.has_vision_encoder", Value::Bool(true));
    file.key("clip.has_text_encoder", Value::Bool(false));
    file.key("clip.has_llava_projector", Value::Bool(true));
    file.text("clip.projector_type", "mlp");
    activations(&mut file, &fields, notes)?;
    file.count("clip.vision.image_size", shapes.image_size);
    file.count("clip.vision.patch_size", shapes.patch_size);
    file.count("clip.vision.embedding_length", shapes.vision_hidden_size);
    file.count("clip.vision.feed_forward_length", shapes.vision_intermediate_size);
    file.count("clip.vision.projection_dim", shapes.hidden_size);
    file.count("clip.vision.attention.head_count", shapes.vision_num_heads);
    let default_eps = if shapes.vision == Vision::Clip { 1e-5 } else { 1e-6 };
    let eps = fields.number(&["vision_config", "layer_norm_eps"], default_eps)?;
    file.key("clip.vision.attention.layer_norm_epsilon", Value::F32(eps as f32));
    // Readers that know the key take the states after that many blocks; older ones run all written blocks but one. Both then do the same.
    let written = shapes.vision_num_layers.min(shapes.num_vision_blocks + 1);
    file.count("clip.vision.block_count", written);
    file.key("clip.vision.feature_layer", Value::I32s(vec![shapes.num_vision_blocks as i32]));
    normalisation(&mut file, checkpoint, notes)?;
    for tensor in tensors.iter().filter(|tensor| !tensor.name.starts_with("language_model.")) {
        if let Some(name) = converted_name(&tensor.name, written) {
            let number = number(&name, &tensor.shape, outtype);
            let source = Source::Stored(tensor.clone());
            file.tensor(Tensor { name, shape: tensor.shape.clone(), number, source });
        }
    }
    Ok(file)
}

fn activations(file: &mut File, fields: &Fields<'_>, notes: &mut Vec<String>) -> Result<()> {
    let vision = fields.text(&["vision_config", "hidden_act"], "quick_gelu")?;
    let uses_gelu = match vision {
        "quick_gelu" => false,
        "gelu" | "gelu_pytorch_tanh" | "gelu_new" => true,
        other => {
            let reason = "quick_gelu, gelu and gelu_pytorch_tanh are converted";
            return Err(unsupported("vision_config.hidden_act", other, reason));
        }
    };
    let projector = fields.text(&["projector_hidden_act"], "gelu")?;
    if !["gelu", "gelu_pytorch_tanh", "gelu_new"].contains(&projector) {
        return Err(unsupported("projector_hidden_act", projector, "llama.cpp's projector has gelu"));
    }
    if vision == "gelu" || projector == "gelu" {
        let note = "gelu: llama.cpp takes its tanh approximation, and computes the encoder partly in half precision; some builds also shift CLIP positions (docs/convert.md)";
        notes.push(note.to_owned());
    }
    file.key("clip.use_gelu", Value::Bool(uses_gelu));
    Ok(())
}

/// Mean and deviation of `preprocessor_config.json`; CLIP's where the folder has none.
fn normalisation(file: &mut File, checkpoint: &Checkpoint, notes: &mut Vec<String>) -> Result<()> {
    let config = checkpoint.json("preprocessor_config.json")?;
    if config.is_none() {
        notes.push("the folder has no preprocessor_config.json: CLIP's mean and deviation are written".to_owned());
    }
    for (key, name, default) in [
        ("image_mean", "clip.vision.image_mean", [0.481_454_66_f64, 0.457_827_5, 0.408_210_73]),
        ("image_std", "clip.vision.image_std", [0.268_629_54, 0.261_302_58, 0.275_777_11]),
    ] {
        let given = config.as_ref().and_then(|config| config.get(key));
        let values = match given {
            None => default.map(|value| value as f32).to_vec(),
            Some(given) => serde_json::from_value::<Vec<f32>>(given.clone()).unwrap_or_default(),
        };
        if values.len() != 3 {
            let path = checkpoint.folder().join("preprocessor_config.json");
            return Err(Error::Field { path, key: key.to_owned(), reason: "must be three numbers".to_owned() });
        }
        file.key(name, Value::F32s(values));
    }
    Ok(())
}

/// Small tensors stay exact; the patch kernel is never quantised, because clip.cpp convolves with it.
fn number(name: &str, shape: &[usize], outtype: Outtype) -> Number {
    if shape.len() < 2 || name == "v.position_embd.weight" {
        return Number::F32;
    }
    match outtype {
        Outtype::F32 => Number::F32,
        Outtype::F16 => Number::F16,
        Outtype::Q8_0 if name == "v.patch_embd.weight" => Number::F32,
        Outtype::Q8_0 => outtype.number(shape[shape.len() - 1]),
    }
}

/// clip.cpp's name; `None` for what it does not read: later blocks, the norm after the last, SigLIP's pooling head.
fn converted_name(stored: &str, num_blocks: usize) -> Option<String> {
    if let Some(rest) = stored.strip_prefix("vision_tower.vision_model.encoder.layers.") {
        let (layer, part) = rest.split_once('.')?;
        let (part, kind) = part.rsplit_once('.')?;
        let (_, short) = BLOCK_NAMES.iter().find(|(long, _)| *long == part)?;
        let within = layer.parse::<usize>().is_ok_and(|layer| layer < num_blocks);
        return within.then(|| format!("v.blk.{layer}.{short}.{kind}"));
    }
    let (long, short) = NAMES.iter().find(|(long, _)| stored.starts_with(long))?;
    Some(format!("{short}{}", &stored[long.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_clip_cpps_and_what_it_does_not_read_has_none() {
        let name = |stored: &str| converted_name(&format!("vision_tower.vision_model.{stored}"), 3);
        assert_eq!(name("encoder.layers.2.mlp.fc1.bias").as_deref(), Some("v.blk.2.ffn_down.bias"));
        assert_eq!(name("encoder.layers.3.mlp.fc1.bias"), None);
        assert_eq!(name("post_layernorm.weight"), None);
        assert_eq!(name("embeddings.class_embedding").as_deref(), Some("v.class_embd"));
        assert_eq!(converted_name("multi_modal_projector.linear_2.bias", 3).as_deref(), Some("mm.2.bias"));
    }
}
