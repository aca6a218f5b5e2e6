//! The processor's files in a model folder, in the layout of Hugging Face checkpoints.

use crate::chat_template::ChatTemplate;
use crate::error::{Error, Result};
use crate::image::{ImageConfig, Padding};
use crate::tokenizer::Tokenizer;
use serde_json::{Map, Value, json};
use std::io::Read;
use std::path::Path;

/// Largest configuration file that is read, bytes.
const MAX_CONFIG_BYTES: u64 = 16 << 20;

/// What `tokenizer_config.json` says beyond the tokenizer itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct TokenizerConfig {
    /// Begins a text; only templates that name it use it.
    pub bos_token: Option<String>,
    /// Ends a text.
    pub eos_token: Option<String>,
    /// Fills up short sequences.
    pub pad_token: Option<String>,
    /// The Jinja text, where there is one.
    pub chat_template: Option<String>,
}

/// Everything a folder holds for the processor.
pub(crate) struct Folder {
    pub tokenizer: Tokenizer,
    pub tokenizer_config: TokenizerConfig,
    pub image: ImageConfig,
    /// The token that stands for an image, where the folder names it.
    pub image_token: Option<String>,
}

/// Reads a folder: a tokenizer (`tokenizer.json` or `tokenizer.model`) and `preprocessor_config.json` must be there.
pub(crate) fn read(dir: &Path) -> Result<Folder> {
    let image_path = dir.join("preprocessor_config.json");
    let image_text = read_limited(&image_path, MAX_CONFIG_BYTES)?;
    let image = ImageConfig::from_json(&image_text, &image_path, unstated_padding(dir)?)?;
    let processor = optional_json(&dir.join("processor_config.json"))?;
    let image_token = processor.as_ref().and_then(|json| token_text(json, "image_token"));
    let tokenizer = Tokenizer::from_folder(dir)?;
    Ok(Folder { tokenizer, tokenizer_config: read_tokenizer_config(dir)?, image, image_token })
}

/// What a processor that does not speak of padding does. transformers does not pad. The GMAI-VL release (`enhanced_llava`) pads without saying
/// so, and models of the original LLaVA say it in the model's config.
fn unstated_padding(dir: &Path) -> Result<Padding> {
    let Some(config) = optional_json(&dir.join("config.json"))? else { return Ok(Padding::None) };
    let says_pad = config["image_aspect_ratio"] == "pad";
    Ok(if says_pad || config["model_type"] == "enhanced_llava" { Padding::Square } else { Padding::None })
}

fn read_tokenizer_config(dir: &Path) -> Result<TokenizerConfig> {
    let mut config = TokenizerConfig::default();
    if let Some(json) = optional_json(&dir.join("tokenizer_config.json"))? {
        config.bos_token = token_text(&json, "bos_token");
        config.eos_token = token_text(&json, "eos_token");
        config.pad_token = token_text(&json, "pad_token");
        config.chat_template = stored_template(&json)?;
    }
    // Processors keep theirs in a file of its own; of several the newest form counts, as in transformers.
    if let Some(json) = optional_json(&dir.join("chat_template.json"))? {
        config.chat_template = stored_template(&json)?.or(config.chat_template);
    }
    let template_path = dir.join("chat_template.jinja");
    if template_path.exists() {
        config.chat_template = Some(read_limited(&template_path, MAX_CONFIG_BYTES)?);
    }
    Ok(config)
}

/// The content of a JSON file that may be absent.
fn optional_json(path: &Path) -> Result<Option<Value>> {
    if path.exists() { read_json(path).map(Some) } else { Ok(None) }
}

/// The content of a JSON file.
pub(crate) fn read_json(path: &Path) -> Result<Value> {
    let text = read_limited(path, MAX_CONFIG_BYTES)?;
    serde_json::from_str(&text).map_err(|source| Error::Json { path: path.to_path_buf(), source })
}

/// A token given as text or as an object with `content`.
fn token_text(json: &Value, key: &str) -> Option<String> {
    let value = json.get(key)?;
    value.as_str().or_else(|| value.get("content")?.as_str()).map(str::to_string)
}

/// The template given as text, or the one named `default` in a list (or an object) of named templates.
fn stored_template(json: &Value) -> Result<Option<String>> {
    let Some(value) = json.get("chat_template").filter(|value| !value.is_null()) else { return Ok(None) };
    let listed = || value.as_array()?.iter().find(|entry| entry["name"] == "default")?["template"].as_str();
    let text = value.as_str().or_else(listed).or_else(|| value.get("default")?.as_str());
    let reason = || "must be text, or a list with an entry named `default`".to_string();
    text.map(|text| Some(text.to_string())).ok_or_else(|| Error::ChatTemplate { reason: reason() })
}

/// Writes the five files into `dir`, which must exist.
pub(crate) fn write(
    dir: &Path,
    tokenizer: &Tokenizer,
    config: &TokenizerConfig,
    template: &ChatTemplate,
    image: &ImageConfig,
) -> Result<()> {
    let source = &template.source();
    let tokenizer_config = tokenizer_config_json(tokenizer, config, source);
    write_file(dir, "tokenizer.json", &tokenizer.to_json()?)?;
    write_file(dir, "tokenizer_config.json", &format!("{tokenizer_config:#}\n"))?;
    write_file(dir, "special_tokens_map.json", &format!("{:#}\n", special_tokens(tokenizer, config)))?;
    write_file(dir, "chat_template.jinja", source)?;
    write_file(dir, "preprocessor_config.json", &image.to_json())
}

fn tokenizer_config_json(tokenizer: &Tokenizer, config: &TokenizerConfig, template: &str) -> Value {
    let mut by_id: Vec<(&String, &u32)> = tokenizer.control_tokens().iter().collect();
    by_id.sort_by_key(|(_, id)| **id);
    let entry = |text: &str| json!({ "content": text, "lstrip": false, "normalized": false, "rstrip": false, "single_word": false, "special": true });
    let added: Map<String, Value> = by_id.into_iter().map(|(text, id)| (id.to_string(), entry(text))).collect();
    let mut json = json!({
        "added_tokens_decoder": added,
        // The template says whether a sequence begins with one.
        "add_bos_token": false,
        "add_eos_token": false,
        "clean_up_tokenization_spaces": false,
        "chat_template": template,
        "tokenizer_class": "PreTrainedTokenizerFast",
    });
    if let (Some(json), Value::Object(tokens)) = (json.as_object_mut(), special_tokens(tokenizer, config)) {
        json.extend(tokens);
    }
    json
}

fn special_tokens(tokenizer: &Tokenizer, config: &TokenizerConfig) -> Value {
    let named = [("bos_token", &config.bos_token), ("eos_token", &config.eos_token), ("pad_token", &config.pad_token)];
    let mut map = Map::new();
    for (key, token) in named {
        if let Some(token) = token {
            map.insert(key.to_string(), json!(token));
        }
    }
    if tokenizer.control_id("<unk>").is_some() {
        map.insert("unk_token".to_string(), json!("<unk>"));
    }
    let taken: Vec<&str> = map.values().filter_map(Value::as_str).collect();
    let others: Vec<&String> =
        tokenizer.control_tokens().keys().filter(|text| !taken.contains(&text.as_str())).collect();
    let others = json!(others);
    map.insert("additional_special_tokens".to_string(), others);
    Value::Object(map)
}

fn write_file(dir: &Path, name: &str, text: &str) -> Result<()> {
    let path = dir.join(name);
    std::fs::write(&path, text).map_err(|source| Error::Io { path, source })
}

/// Reads a text file that must not exceed `max_bytes`.
pub(crate) fn read_limited(path: &Path, max_bytes: u64) -> Result<String> {
    String::from_utf8(read_bytes_limited(path, max_bytes)?).map_err(|error| {
        let source = std::io::Error::new(std::io::ErrorKind::InvalidData, error.utf8_error());
        Error::Io { path: path.to_path_buf(), source }
    })
}

/// Reads a file that must not exceed `max_bytes`.
pub(crate) fn read_bytes_limited(path: &Path, max_bytes: u64) -> Result<Vec<u8>> {
    let failed = |source| Error::Io { path: path.to_path_buf(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    if bytes > max_bytes {
        return Err(Error::FileTooLarge { path: path.to_path_buf(), bytes, max_bytes });
    }
    let mut content = Vec::with_capacity(bytes as usize);
    // The length is checked again while reading: a pipe or a growing file has none that holds.
    file.take(max_bytes).read_to_end(&mut content).map_err(failed)?;
    Ok(content)
}
