//! The sizes of the network as `config.json` has them, and which tensors there must be.

use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use serde_json::Value;
use std::collections::BTreeMap;

/// How the language model's tensors are named and packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Packed `wqkv`, names of InternLM2.
    InternLm2,
    /// Llama and Mistral.
    Llama,
    /// Llama's names, with biases at q, k and v.
    Qwen2,
}

/// Which encoder sees the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vision {
    /// CLIP: class token, norm before the blocks.
    Clip,
    /// SigLIP: neither.
    Siglip,
}

/// The sizes that decide the shapes of tensors.
#[derive(Debug, Clone, PartialEq)]
pub struct Shapes {
    /// Names and packing of the language model.
    pub family: Family,
    /// The vision encoder.
    pub vision: Vision,
    /// Rows of the embedding table.
    pub vocab_size: usize,
    /// Width of the language model.
    pub hidden_size: usize,
    /// Width inside its feed-forward part.
    pub intermediate_size: usize,
    /// Its blocks.
    pub num_layers: usize,
    /// Query heads.
    pub num_heads: usize,
    /// Key-value heads.
    pub num_kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Whether q, k, v have biases, and whether o has one.
    pub attention_bias: [bool; 2],
    /// Whether the output head is the embedding table.
    pub tied: bool,
    /// Width of the vision encoder.
    pub vision_hidden_size: usize,
    /// Width inside its feed-forward part.
    pub vision_intermediate_size: usize,
    /// Its blocks.
    pub vision_num_layers: usize,
    /// Its heads.
    pub vision_num_heads: usize,
    /// Side of the picture, pixels.
    pub image_size: usize,
    /// Side of a patch, pixels.
    pub patch_size: usize,
    /// Blocks that run before the features are taken.
    pub num_vision_blocks: usize,
    /// Whether the class token is dropped (`default`) or kept (`full`).
    pub drops_class_token: bool,
}

/// Reads fields of a checkpoint's `config.json`, naming what is missing.
pub struct Fields<'a> {
    checkpoint: &'a Checkpoint,
}

impl<'a> Fields<'a> {
    /// The fields of this checkpoint.
    pub fn new(checkpoint: &'a Checkpoint) -> Fields<'a> {
        Fields { checkpoint }
    }

    /// The value under `keys`; null counts as missing.
    pub fn get(&self, keys: &[&str]) -> Option<&'a Value> {
        let found = keys.iter().try_fold(self.checkpoint.config(), |value, key| value.get(key))?;
        Some(found).filter(|value| !value.is_null())
    }

    /// A whole number.
    pub fn count(&self, keys: &[&str]) -> Result<usize> {
        self.optional_count(keys)?.ok_or_else(|| self.wrong(keys, "is missing"))
    }

    /// A whole number, if it is there.
    pub fn optional_count(&self, keys: &[&str]) -> Result<Option<usize>> {
        let whole = |value: &Value| value.as_u64().ok_or_else(|| self.wrong(keys, "must be a whole number"));
        self.get(keys).map(|value| whole(value).map(|number| number as usize)).transpose()
    }

    /// A number, or `default` where there is none.
    pub fn number(&self, keys: &[&str], default: f64) -> Result<f64> {
        self.get(keys).map_or(Ok(default), |value| value.as_f64().ok_or_else(|| self.wrong(keys, "must be a number")))
    }

    /// A text, or `default` where there is none.
    pub fn text(&self, keys: &[&str], default: &'a str) -> Result<&'a str> {
        self.get(keys).map_or(Ok(default), |value| value.as_str().ok_or_else(|| self.wrong(keys, "must be text")))
    }

    /// True or false, false where it is not there.
    pub fn flag(&self, keys: &[&str]) -> Result<bool> {
        self.get(keys)
            .map_or(Ok(false), |value| value.as_bool().ok_or_else(|| self.wrong(keys, "must be true or false")))
    }

    fn wrong(&self, keys: &[&str], reason: &str) -> Error {
        Error::Field {
            path: self.checkpoint.folder().join("config.json"),
            key: keys.join("."),
            reason: reason.to_owned(),
        }
    }
}

/// A setting that cannot be converted.
pub(crate) fn unsupported(key: &str, value: impl ToString, reason: &str) -> Error {
    Error::Unsupported { key: key.to_owned(), value: value.to_string(), reason: reason.to_owned() }
}

impl Shapes {
    /// Reads and checks a checkpoint's sizes.
    pub fn read(checkpoint: &Checkpoint) -> Result<Shapes> {
        let fields = Fields::new(checkpoint);
        let kind = fields.text(&["model_type"], "")?;
        if !["enhanced_llava", "llava"].contains(&kind) {
            return Err(unsupported("model_type", kind, "enhanced_llava and llava are converted"));
        }
        let family = match fields.text(&["text_config", "model_type"], "")? {
            "internlm2" => Family::InternLm2,
            "llama" | "mistral" => Family::Llama,
            "qwen2" => Family::Qwen2,
            other => {
                let reason = "internlm2, llama, mistral and qwen2 are converted";
                return Err(unsupported("text_config.model_type", other, reason));
            }
        };
        let vision = match fields.text(&["vision_config", "model_type"], "clip_vision_model")? {
            "clip_vision_model" => Vision::Clip,
            "siglip_vision_model" => Vision::Siglip,
            other => {
                let reason = "clip_vision_model and siglip_vision_model are converted";
                return Err(unsupported("vision_config.model_type", other, reason));
            }
        };
        let text = |key| fields.count(&["text_config", key]);
        let seen = |key| fields.count(&["vision_config", key]);
        let (hidden_size, num_heads) = (text("hidden_size")?, text("num_attention_heads")?);
        let num_kv_heads = fields.optional_count(&["text_config", "num_key_value_heads"])?.unwrap_or(num_heads);
        if num_heads == 0 || num_kv_heads == 0 || !num_heads.is_multiple_of(num_kv_heads) {
            let reason = "it must divide num_attention_heads";
            return Err(unsupported("text_config.num_key_value_heads", num_kv_heads, reason));
        }
        let head_dim = fields.optional_count(&["text_config", "head_dim"])?.unwrap_or(hidden_size / num_heads);
        if head_dim == 0 || !head_dim.is_multiple_of(2) {
            return Err(unsupported("text_config.head_dim", head_dim, "it must be an even number"));
        }
        let attention_bias = match family {
            Family::InternLm2 => [fields.flag(&["text_config", "bias"])?; 2],
            Family::Llama => [fields.flag(&["text_config", "attention_bias"])?; 2],
            Family::Qwen2 => [true, false],
        };
        let vision_num_layers = seen("num_hidden_layers")?;
        let patch_size = seen("patch_size")?;
        if patch_size == 0 {
            return Err(unsupported("vision_config.patch_size", 0, "it must be above 0"));
        }
        let strategy = fields.text(&["vision_feature_select_strategy"], "default")?;
        if !["default", "full"].contains(&strategy) {
            return Err(unsupported("vision_feature_select_strategy", strategy, "default and full are converted"));
        }
        Ok(Shapes {
            family,
            vision,
            vocab_size: text("vocab_size")?,
            hidden_size,
            intermediate_size: text("intermediate_size")?,
            num_layers: text("num_hidden_layers")?,
            num_heads,
            num_kv_heads,
            head_dim,
            attention_bias,
            tied: fields.flag(&["text_config", "tie_word_embeddings"])?,
            vision_hidden_size: seen("hidden_size")?,
            vision_intermediate_size: seen("intermediate_size")?,
            vision_num_layers,
            vision_num_heads: seen("num_attention_heads")?,
            image_size: seen("image_size")?,
            patch_size,
            num_vision_blocks: num_vision_blocks(&fields, vision_num_layers)?,
            drops_class_token: strategy == "default",
        })
    }

    /// Query heads per key-value head.
    pub fn num_query_groups(&self) -> usize {
        self.num_heads / self.num_kv_heads
    }

    /// Patches of a picture.
    pub fn num_patches(&self) -> usize {
        (self.image_size / self.patch_size).pow(2)
    }

    /// Refuses a checkpoint whose tensors are not exactly those of its config; all differences are listed together.
    pub fn check(&self, checkpoint: &Checkpoint) -> Result<()> {
        let wanted = self.tensors();
        let mut missing = Vec::new();
        let mut misshapen = Vec::new();
        for (name, shape) in &wanted {
            match checkpoint.tensor(name) {
                // Stored or not: with tied heads both are found.
                None if self.tied && name == self.head_name() => {}
                None => missing.push(name.clone()),
                Some(tensor) if tensor.shape != shape.as_slice() => {
                    misshapen.push(format!("{name}: wanted {shape:?}, found {:?}", tensor.shape));
                }
                Some(_) => {}
            }
        }
        // The pooling head of SigLIP takes no part in LLaVA; some checkpoints carry it.
        let known = |name: &&str| wanted.contains_key(*name) || name.starts_with("vision_tower.vision_model.head.");
        let unexpected: Vec<String> = checkpoint.names().filter(|name| !known(name)).map(str::to_owned).collect();
        if missing.is_empty() && unexpected.is_empty() && misshapen.is_empty() {
            return Ok(());
        }
        Err(Error::Tensors { path: checkpoint.folder().to_owned(), missing, unexpected, misshapen })
    }

    /// The name of the output head in the stored layout.
    pub fn head_name(&self) -> &'static str {
        if self.family == Family::InternLm2 { "language_model.output.weight" } else { "language_model.lm_head.weight" }
    }

    /// Name and shape of every tensor of the stored layout.
    pub fn tensors(&self) -> BTreeMap<String, Vec<usize>> {
        let mut wanted = BTreeMap::new();
        self.language_tensors(&mut wanted);
        self.vision_tensors(&mut wanted);
        let mut linear = |name: &str, outputs: usize, inputs: usize| {
            wanted.insert(format!("multi_modal_projector.{name}.weight"), vec![outputs, inputs]);
            wanted.insert(format!("multi_modal_projector.{name}.bias"), vec![outputs]);
        };
        linear("linear_1", self.hidden_size, self.vision_hidden_size);
        linear("linear_2", self.hidden_size, self.hidden_size);
        wanted
    }

    fn language_tensors(&self, wanted: &mut BTreeMap<String, Vec<usize>>) {
        let (width, wide) = (self.hidden_size, self.intermediate_size);
        let (queries, keys) = (self.num_heads * self.head_dim, self.num_kv_heads * self.head_dim);
        let [qkv_bias, o_bias] = self.attention_bias;
        wanted.insert(self.head_name().to_owned(), vec![self.vocab_size, width]);
        let model = "language_model.model";
        let embeddings = if self.family == Family::InternLm2 { "tok_embeddings" } else { "embed_tokens" };
        wanted.insert(format!("{model}.{embeddings}.weight"), vec![self.vocab_size, width]);
        wanted.insert(format!("{model}.norm.weight"), vec![width]);
        let linears: Vec<(&str, usize, usize, bool)> = match self.family {
            Family::InternLm2 => vec![
                ("attention.wqkv", queries + 2 * keys, width, qkv_bias),
                ("attention.wo", width, queries, o_bias),
                ("feed_forward.w1", wide, width, false),
                ("feed_forward.w2", width, wide, false),
                ("feed_forward.w3", wide, width, false),
            ],
            Family::Llama | Family::Qwen2 => vec![
                ("self_attn.q_proj", queries, width, qkv_bias),
                ("self_attn.k_proj", keys, width, qkv_bias),
                ("self_attn.v_proj", keys, width, qkv_bias),
                ("self_attn.o_proj", width, queries, o_bias),
                ("mlp.gate_proj", wide, width, false),
                ("mlp.down_proj", width, wide, false),
                ("mlp.up_proj", wide, width, false),
            ],
        };
        let norms = match self.family {
            Family::InternLm2 => ["attention_norm", "ffn_norm"],
            Family::Llama | Family::Qwen2 => ["input_layernorm", "post_attention_layernorm"],
        };
        for layer in 0..self.num_layers {
            for (name, outputs, inputs, bias) in &linears {
                wanted.insert(format!("{model}.layers.{layer}.{name}.weight"), vec![*outputs, *inputs]);
                if *bias {
                    wanted.insert(format!("{model}.layers.{layer}.{name}.bias"), vec![*outputs]);
                }
            }
            for norm in norms {
                wanted.insert(format!("{model}.layers.{layer}.{norm}.weight"), vec![width]);
            }
        }
    }

    fn vision_tensors(&self, wanted: &mut BTreeMap<String, Vec<usize>>) {
        let (width, wide) = (self.vision_hidden_size, self.vision_intermediate_size);
        let tower = "vision_tower.vision_model";
        let mut add = |name: &str, shape: Vec<usize>| wanted.insert(format!("{tower}.{name}"), shape);
        let patch = vec![width, 3, self.patch_size, self.patch_size];
        add("embeddings.patch_embedding.weight", patch);
        let mut norms = vec!["post_layernorm".to_owned()];
        let places = match self.vision {
            Vision::Clip => {
                add("embeddings.class_embedding", vec![width]);
                norms.push("pre_layrnorm".to_owned()); // Spelled so in every CLIP checkpoint.
                self.num_patches() + 1
            }
            Vision::Siglip => {
                add("embeddings.patch_embedding.bias", vec![width]);
                self.num_patches()
            }
        };
        add("embeddings.position_embedding.weight", vec![places, width]);
        for layer in 0..self.vision_num_layers {
            let block = format!("encoder.layers.{layer}");
            for name in ["q_proj", "k_proj", "v_proj", "out_proj"] {
                add(&format!("{block}.self_attn.{name}.weight"), vec![width, width]);
                add(&format!("{block}.self_attn.{name}.bias"), vec![width]);
            }
            for (name, outputs, inputs) in [("fc1", wide, width), ("fc2", width, wide)] {
                add(&format!("{block}.mlp.{name}.weight"), vec![outputs, inputs]);
                add(&format!("{block}.mlp.{name}.bias"), vec![outputs]);
            }
            norms.extend([format!("{block}.layer_norm1"), format!("{block}.layer_norm2")]);
        }
        for norm in norms {
            add(&format!("{norm}.weight"), vec![width]);
            add(&format!("{norm}.bias"), vec![width]);
        }
    }
}

fn num_vision_blocks(fields: &Fields<'_>, num_layers: usize) -> Result<usize> {
    let value = fields.get(&["vision_feature_layer"]).cloned().unwrap_or(Value::from(-2));
    let reason =
        "one layer, counted from the end (-1 is after the last block) or from the embeddings (0), is converted";
    let refuse = || unsupported("vision_feature_layer", &value, reason);
    let layer = value.as_i64().ok_or_else(refuse)?;
    let blocks = if layer < 0 { num_layers as i64 + 1 + layer } else { layer };
    usize::try_from(blocks).ok().filter(|&blocks| blocks <= num_layers).ok_or_else(refuse)
}
