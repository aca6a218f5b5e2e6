//! The processor's files in a model folder, in the layout of Hugging Face checkpoints.

use crate::chat_template::{ChatTemplate, INTERNLM2_TEMPLATE};
use crate::error::{Error, Result};
use crate::image::ImageConfig;
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
}

/// Reads a folder. `tokenizer.json` and `preprocessor_config.json` must be there.
pub(crate) fn read(dir: &Path) -> Result<Folder> {
    let image_path = dir.join("preprocessor_config.json");
    let image = ImageConfig::from_json(&read_limited(&image_path, MAX_CONFIG_BYTES)?, &image_path)?;
    let tokenizer = Tokenizer::from_file(&dir.join("tokenizer.json"))?;
    Ok(Folder { tokenizer, tokenizer_config: read_tokenizer_config(dir)?, image })
}

fn read_tokenizer_config(dir: &Path) -> Result<TokenizerConfig> {
    let path = dir.join("tokenizer_config.json");
    let mut config = TokenizerConfig::default();
    if path.exists() {
        let text = read_limited(&path, MAX_CONFIG_BYTES)?;
        let json: Value = serde_json::from_str(&text).map_err(|source| Error::Json { path, source })?;
        config.bos_token = token_text(&json, "bos_token");
        config.eos_token = token_text(&json, "eos_token");
        config.pad_token = token_text(&json, "pad_token");
        config.chat_template =
            json.get("chat_template").filter(|value| !value.is_null()).map(template_text).transpose()?;
    }
    // Newer checkpoints keep the template in a file of its own, which then counts.
    let template_path = dir.join("chat_template.jinja");
    if template_path.exists() {
        config.chat_template = Some(read_limited(&template_path, MAX_CONFIG_BYTES)?);
    }
    Ok(config)
}

/// A token given as text or as an object with `content`.
fn token_text(json: &Value, key: &str) -> Option<String> {
    let value = json.get(key)?;
    value.as_str().or_else(|| value.get("content")?.as_str()).map(str::to_string)
}

/// The template given as text, or the one named `default` in a list of named templates.
fn template_text(value: &Value) -> Result<String> {
    let named = || value.as_array()?.iter().find(|entry| entry["name"] == "default")?["template"].as_str();
    let reason = || "must be text, or a list with an entry named `default`".to_string();
    value.as_str().or_else(named).map(str::to_string).ok_or_else(|| Error::ChatTemplate { reason: reason() })
}

/// Writes the five files into `dir`, which must exist.
pub(crate) fn write(
    dir: &Path,
    tokenizer: &Tokenizer,
    config: &TokenizerConfig,
    template: &ChatTemplate,
    image: &ImageConfig,
) -> Result<()> {
    let source = template.source().unwrap_or(INTERNLM2_TEMPLATE);
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
        // Training sequences begin without one (paper.md 2.5), so prompts do.
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
    let failed = |source| Error::Io { path: path.to_path_buf(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    if bytes > max_bytes {
        return Err(Error::FileTooLarge { path: path.to_path_buf(), bytes, max_bytes });
    }
    let mut text = String::with_capacity(bytes as usize);
    // The length is checked again while reading: a pipe or a growing file has none that holds.
    file.take(max_bytes).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}
