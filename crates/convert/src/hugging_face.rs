//! Folders that transformers, vLLM and SGLang read without code of their own: `LlavaForConditionalGeneration`; and GMAI-VL's own layout.

use crate::Converted;
use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result, io};
use crate::gather::Gather;
use crate::packing;
use crate::shapes::{Family, Fields, Shapes, Vision, unsupported};
use crate::template;
use safetensors::tensor::Dtype;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// The two folder layouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `llava` with Llama text: q, k and v apart.
    HfLlava,
    /// `enhanced_llava` with InternLM2 text: `wqkv` packed.
    EnhancedLlava,
}

/// Files that are taken over as they are.
const COPIED: [&str; 9] = [
    "tokenizer.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "preprocessor_config.json",
    "generation_config.json",
    "README.md",
];

/// Converts the checkpoint in `folder` to `layout`, as the new folder `out`. Number formats and the cut into files stay; values are never touched.
pub fn to_hugging_face(folder: &Path, layout: Layout, out: &Path) -> Result<Converted> {
    if out.exists() {
        return Err(Error::Exists { path: out.to_owned() });
    }
    let checkpoint = Checkpoint::open(folder)?;
    let shapes = Shapes::read(&checkpoint)?;
    shapes.check(&checkpoint)?;
    let (tensors, config) = match layout {
        Layout::HfLlava => (packing::unpacked(&checkpoint, &shapes)?, llava_config(&checkpoint, &shapes)?),
        Layout::EnhancedLlava => {
            let config = enhanced_config(&checkpoint, &shapes)?;
            (packing::packed(&checkpoint, &shapes)?, config)
        }
    };
    // Made aside and renamed: a folder that is there is whole.
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = out.with_file_name(name);
    if partial.exists() {
        std::fs::remove_dir_all(&partial).map_err(io(&partial))?;
    }
    std::fs::create_dir_all(&partial).map_err(io(&partial))?;
    let mut writer = Folder { checkpoint: &checkpoint, path: partial.clone(), files: Vec::new(), notes: Vec::new() };
    writer.json("config.json", &config)?;
    writer.tokenizer_and_processor(layout, &shapes)?;
    writer.weights(&tensors)?;
    let files = writer.files.iter().map(|file| out.join(file)).collect();
    let notes = writer.notes;
    std::fs::rename(&partial, out).map_err(io(out))?;
    Ok(Converted { files, num_tensors: tensors.len(), notes })
}

/// A folder that is being written.
struct Folder<'a> {
    checkpoint: &'a Checkpoint,
    path: PathBuf,
    files: Vec<String>,
    notes: Vec<String>,
}

impl Folder<'_> {
    fn text(&mut self, name: &str, text: &str) -> Result<()> {
        let path = self.path.join(name);
        std::fs::write(&path, text).map_err(io(&path))?;
        self.files.push(name.to_owned());
        Ok(())
    }

    fn json(&mut self, name: &str, value: &Value) -> Result<()> {
        self.text(name, &format!("{value:#}\n"))
    }

    fn tokenizer_and_processor(&mut self, layout: Layout, shapes: &Shapes) -> Result<()> {
        for name in COPIED {
            let from = self.checkpoint.folder().join(name);
            if from.exists() {
                let to = self.path.join(name);
                std::fs::copy(&from, &to).map_err(io(&from))?;
                self.files.push(name.to_owned());
            }
        }
        if !self.files.iter().any(|name| name == "tokenizer.json" || name == "tokenizer.model") {
            self.notes.push("the folder has no tokenizer; copy one beside the weights before use".to_owned());
        }
        if !self.files.iter().any(|name| name == "preprocessor_config.json") {
            self.notes
                .push("the folder has no preprocessor_config.json; copy one beside the weights before use".to_owned());
        }
        self.chat_template(layout)?;
        if layout == Layout::HfLlava {
            let config = processor_config(self.checkpoint, shapes)?;
            self.json("processor_config.json", &config)?;
        }
        Ok(())
    }

    /// `tokenizer_config.json` without code of its own, and the chat template wherever a reader looks for it.
    fn chat_template(&mut self, layout: Layout) -> Result<()> {
        let Some(mut config) = self.checkpoint.json("tokenizer_config.json")? else { return Ok(()) };
        let own = self.checkpoint.text("chat_template.jinja")?;
        let written = config["chat_template"].as_str().map(str::to_owned);
        let Some(config_fields) = config.as_object_mut() else { return Ok(()) };
        if layout == Layout::HfLlava {
            config_fields.remove("auto_map");
            let has_code = |class: &Value| class.as_str().is_some_and(|class| class.starts_with("InternLM2"));
            if config_fields.get("tokenizer_class").is_some_and(has_code) {
                config_fields.insert("tokenizer_class".to_owned(), json!("PreTrainedTokenizerFast"));
            }
            config_fields.insert("processor_class".to_owned(), json!("LlavaProcessor"));
            // A general tokenizer also gives token_type_ids, which the model refuses.
            let inputs = json!(["input_ids", "attention_mask"]);
            config_fields.entry("model_input_names".to_owned()).or_insert(inputs);
        }
        if let Some(source) = own.or(written) {
            let source = template::as_trained(&source);
            let source = if layout == Layout::HfLlava { template::for_lists(source) } else { source.to_owned() };
            config_fields.insert("chat_template".to_owned(), json!(source));
            self.text("chat_template.jinja", &source)?;
            if layout == Layout::HfLlava {
                // Where processors before transformers 4.50 look.
                self.json("chat_template.json", &json!({ "chat_template": source }))?;
            }
        }
        self.json("tokenizer_config.json", &config)
    }

    fn weights(&mut self, tensors: &[Gather]) -> Result<()> {
        let names: Vec<String> = self.checkpoint.file_names().into_iter().map(str::to_owned).collect();
        let mut weight_map = BTreeMap::new();
        let mut total_size = 0;
        for (index, name) in names.iter().enumerate() {
            let within: Vec<&Gather> = tensors.iter().filter(|tensor| tensor.file(self.checkpoint) == index).collect();
            if within.is_empty() {
                continue;
            }
            for tensor in &within {
                weight_map.insert(tensor.name.clone(), name.clone());
                total_size += tensor.num_values() * tensor.dtype.bitsize() / 8;
            }
            write_tensors(self.checkpoint, &within, &self.path.join(name))?;
            self.files.push(name.clone());
        }
        if names.len() > 1 {
            let index = json!({ "metadata": { "total_size": total_size }, "weight_map": weight_map });
            self.json("model.safetensors.index.json", &index)?;
        }
        Ok(())
    }
}

/// Gives the bytes of a tensor when its turn to be written comes.
struct Lazy<'a> {
    checkpoint: &'a Checkpoint,
    tensor: &'a Gather,
}

impl safetensors::View for Lazy<'_> {
    fn dtype(&self) -> Dtype {
        self.tensor.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.tensor.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        self.tensor.bytes(self.checkpoint).expect("the tensor was found when it was planned")
    }
    fn data_len(&self) -> usize {
        self.tensor.num_values() * self.tensor.dtype.bitsize() / 8
    }
}

fn write_tensors(checkpoint: &Checkpoint, tensors: &[&Gather], path: &Path) -> Result<()> {
    let views = tensors.iter().map(|tensor| (tensor.name.as_str(), Lazy { checkpoint, tensor }));
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]); // transformers refuses files without it
    safetensors::serialize_to_file(views, Some(metadata), path)
        .map_err(|error| Error::Damaged { path: path.to_owned(), reason: error.to_string() })
}

/// The config with the keys of `llava` and Llama; what both layouts share is taken over.
fn llava_config(checkpoint: &Checkpoint, shapes: &Shapes) -> Result<Value> {
    let fields = Fields::new(checkpoint);
    let mut config = top_level(checkpoint);
    config.insert("architectures".to_owned(), json!(["LlavaForConditionalGeneration"]));
    config.insert("model_type".to_owned(), json!("llava"));
    let places = shapes.num_patches() + usize::from(shapes.vision == Vision::Clip);
    let image_seq_length = places - usize::from(shapes.drops_class_token);
    config.insert("image_seq_length".to_owned(), json!(image_seq_length));
    // Tied heads are a matter of the language model; LLaVA reads the key here too.
    config.insert("tie_word_embeddings".to_owned(), json!(shapes.tied));
    if shapes.family == Family::InternLm2 {
        let mut text = Map::new();
        text.insert("architectures".to_owned(), json!(["LlamaForCausalLM"]));
        text.insert("model_type".to_owned(), json!("llama"));
        take(&fields, &mut text, &SHARED_TEXT_KEYS);
        let bias = shapes.attention_bias[0];
        for (key, value) in [
            ("num_key_value_heads", json!(shapes.num_kv_heads)),
            ("head_dim", json!(shapes.head_dim)),
            ("attention_bias", json!(bias)),
            ("mlp_bias", json!(false)),
            ("attention_dropout", json!(0.0)),
            ("pretraining_tp", json!(1)),
            ("rope_theta", json!(fields.number(&["text_config", "rope_theta"], 10_000.0)?)),
        ] {
            text.insert(key.to_owned(), value);
        }
        text.insert("rope_scaling".to_owned(), rope_scaling(&fields, "rope_type")?);
        config.insert("text_config".to_owned(), Value::Object(text));
    }
    Ok(Value::Object(config))
}

/// The config with the keys of `enhanced_llava` and InternLM2.
fn enhanced_config(checkpoint: &Checkpoint, shapes: &Shapes) -> Result<Value> {
    let fields = Fields::new(checkpoint);
    let kind = fields.text(&["text_config", "model_type"], "")?;
    if kind != "llama" {
        let reason = "only Llama text can be packed as InternLM2";
        return Err(unsupported("text_config.model_type", kind, reason));
    }
    if shapes.head_dim * shapes.num_heads != shapes.hidden_size {
        let reason = "InternLM2's heads fill hidden_size exactly";
        return Err(unsupported("text_config.head_dim", shapes.head_dim, reason));
    }
    if fields.flag(&["text_config", "mlp_bias"])? {
        return Err(unsupported("text_config.mlp_bias", true, "InternLM2 has no biases there"));
    }
    if shapes.vision != Vision::Clip {
        return Err(unsupported(
            "vision_config.model_type",
            "siglip_vision_model",
            "enhanced_llava has a CLIP encoder",
        ));
    }
    let mut config = top_level(checkpoint);
    config.shift_remove("image_seq_length");
    config.shift_remove("tie_word_embeddings");
    config.insert("architectures".to_owned(), json!(["LlavaForConditionalGeneration"]));
    config.insert("model_type".to_owned(), json!("enhanced_llava"));
    let mut text = Map::new();
    text.insert("architectures".to_owned(), json!(["InternLM2ForCausalLM"]));
    text.insert("model_type".to_owned(), json!("internlm2"));
    take(&fields, &mut text, &SHARED_TEXT_KEYS);
    text.insert("num_key_value_heads".to_owned(), json!(shapes.num_kv_heads));
    text.insert("bias".to_owned(), json!(shapes.attention_bias[0]));
    text.insert("rope_theta".to_owned(), json!(fields.number(&["text_config", "rope_theta"], 10_000.0)?));
    text.insert("rope_scaling".to_owned(), rope_scaling(&fields, "type")?);
    config.insert("text_config".to_owned(), Value::Object(text));
    Ok(Value::Object(config))
}

/// Keys of the language model that mean the same in both layouts.
const SHARED_TEXT_KEYS: [&str; 14] = [
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "max_position_embeddings",
    "rms_norm_eps",
    "hidden_act",
    "initializer_range",
    "tie_word_embeddings",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "use_cache",
];

fn take(fields: &Fields<'_>, into: &mut Map<String, Value>, keys: &[&str]) {
    for key in keys {
        if let Some(value) = fields.get(&["text_config", key]) {
            into.insert((*key).to_owned(), value.clone());
        }
    }
    // InternLM2 and Llama differ in what an absent key means, so none of these is left out.
    for (key, default) in
        [("rms_norm_eps", json!(1e-6)), ("hidden_act", json!("silu")), ("tie_word_embeddings", json!(false))]
    {
        into.entry(key.to_owned()).or_insert(default);
    }
}

fn top_level(checkpoint: &Checkpoint) -> Map<String, Value> {
    let mut config = checkpoint.config().as_object().cloned().unwrap_or_default();
    // Names code that the folder does not hold.
    config.shift_remove("auto_map");
    config
}

/// Scaling that both know; `key` is what the layout calls its kind: `rope_type` for Llama, `type` for InternLM2.
fn rope_scaling(fields: &Fields<'_>, key: &str) -> Result<Value> {
    let keys = ["text_config", "rope_scaling"];
    if fields.get(&keys).is_none() {
        return Ok(Value::Null);
    }
    let kind = fields.text(&["text_config", "rope_scaling", "rope_type"], "")?;
    let kind = if kind.is_empty() { fields.text(&["text_config", "rope_scaling", "type"], "")? } else { kind };
    match kind {
        "default" => Ok(Value::Null),
        "linear" | "dynamic" => {
            let factor = fields.number(&["text_config", "rope_scaling", "factor"], 1.0)?;
            Ok(json!({ key: kind, "factor": factor }))
        }
        other => Err(unsupported("text_config.rope_scaling.type", other, "linear and dynamic exist in both layouts")),
    }
}

/// What `LlavaProcessor` must know to put as many image tokens in the text as the model has features.
fn processor_config(checkpoint: &Checkpoint, shapes: &Shapes) -> Result<Value> {
    let strategy = Fields::new(checkpoint).text(&["vision_feature_select_strategy"], "default")?;
    let class_tokens = usize::from(shapes.vision == Vision::Clip);
    Ok(json!({
        "processor_class": "LlavaProcessor",
        "image_token": "<image>",
        "patch_size": shapes.patch_size,
        "vision_feature_select_strategy": strategy,
        "num_additional_image_tokens": class_tokens,
    }))
}
