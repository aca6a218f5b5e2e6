//! The tokenizer as llama.cpp has it inside the model file.
//!
//! `tokenizer.model` is taken where there is one; else `tokenizer.json`, of the SentencePiece kind (bytes as `<0x0A>`) or byte-level.

use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result, io};
use crate::gguf::pretokenizer;
use crate::gguf::sentencepiece;
use crate::gguf::writer::{File, Value as GgufValue};
use crate::shapes::unsupported;
use crate::template;
use serde_json::Value;
use std::collections::HashMap;

/// Token types, as SentencePiece and GGUF number them.
const NORMAL: i32 = 1;
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;
const BYTE: i32 = 6;
/// Scores of tokens that no merge makes: below every merge.
const NO_MERGE: f32 = -1e6;

/// A vocabulary under construction.
struct Vocabulary {
    /// `llama` (SentencePiece's way) or `gpt2` (byte-level).
    model: &'static str,
    pre: &'static str,
    texts: Vec<String>,
    scores: Vec<f32>,
    kinds: Vec<i32>,
    merges: Vec<String>,
    adds_prefix: bool,
}

/// Writes the tokenizer's keys. Ids up to `vocab_size` that have no token are filled up.
pub fn write(file: &mut File, checkpoint: &Checkpoint, vocab_size: usize, notes: &mut Vec<String>) -> Result<()> {
    let json = checkpoint.json("tokenizer.json")?;
    let config = checkpoint.json("tokenizer_config.json")?.unwrap_or(Value::Null);
    let mut vocabulary = match read_sentencepiece(checkpoint, vocab_size)? {
        Some(vocabulary) => vocabulary,
        None => match &json {
            Some(json) => from_json(checkpoint, json, vocab_size)?,
            None => {
                notes
                    .push("the folder has no tokenizer: the model file has none either, and takes ids only".to_owned());
                file.text("tokenizer.ggml.model", "none");
                return Ok(());
            }
        },
    };
    vocabulary.add_tokens(checkpoint, json.as_ref(), &config)?;
    let ids: HashMap<&str, usize> = vocabulary.texts.iter().enumerate().map(|(id, text)| (text.as_str(), id)).collect();
    let special: Vec<(&str, usize)> =
        [("bos", "bos_token"), ("eos", "eos_token"), ("unknown", "unk_token"), ("padding", "pad_token")]
            .iter()
            .filter_map(|(key, field)| Some((*key, *ids.get(token_text(&config, field)?.as_str())?)))
            .collect();
    file.text("tokenizer.ggml.model", vocabulary.model);
    file.text("tokenizer.ggml.pre", vocabulary.pre);
    for (key, id) in special {
        file.count(format!("tokenizer.ggml.{key}_token_id"), id);
    }
    let source = chat_template(checkpoint, &config)?;
    // Where a template writes the first token itself, or training had none, a second one must not come.
    let adds_bos = config["add_bos_token"].as_bool().unwrap_or(vocabulary.model == "llama");
    let adds_bos = source.as_ref().map_or(adds_bos, |source| adds_bos && source.contains("bos_token"));
    file.key("tokenizer.ggml.add_bos_token", GgufValue::Bool(adds_bos));
    file.key("tokenizer.ggml.add_eos_token", GgufValue::Bool(false));
    if vocabulary.model == "llama" {
        file.key("tokenizer.ggml.add_space_prefix", GgufValue::Bool(vocabulary.adds_prefix));
        file.key("tokenizer.ggml.remove_extra_whitespaces", GgufValue::Bool(false));
        file.key("tokenizer.ggml.scores", GgufValue::F32s(vocabulary.scores));
    } else {
        file.key("tokenizer.ggml.merges", GgufValue::Texts(vocabulary.merges));
    }
    file.key("tokenizer.ggml.tokens", GgufValue::Texts(vocabulary.texts));
    file.key("tokenizer.ggml.token_type", GgufValue::I32s(vocabulary.kinds));
    if let Some(source) = source {
        file.text("tokenizer.chat_template", &source);
    }
    Ok(())
}

/// The chat template for contents as text, which is how llama.cpp gives them.
fn chat_template(checkpoint: &Checkpoint, config: &Value) -> Result<Option<String>> {
    let written = config["chat_template"].as_str().map(str::to_owned);
    let source = checkpoint.text("chat_template.jinja")?.or(written);
    Ok(source.map(|source| template::as_trained(&source).to_owned()))
}

/// A token given as text or as an object with `content`.
fn token_text(config: &Value, field: &str) -> Option<String> {
    let value = config.get(field)?;
    value.as_str().or_else(|| value.get("content")?.as_str()).map(str::to_owned)
}

fn damaged(checkpoint: &Checkpoint, name: &str, reason: impl Into<String>) -> Error {
    Error::Damaged { path: checkpoint.folder().join(name), reason: reason.into() }
}

fn read_sentencepiece(checkpoint: &Checkpoint, vocab_size: usize) -> Result<Option<Vocabulary>> {
    let path = checkpoint.folder().join("tokenizer.model");
    if !path.exists() {
        return Ok(None);
    }
    let bytes = std::fs::read(&path).map_err(io(&path))?;
    let model = sentencepiece::read(&bytes).map_err(|reason| damaged(checkpoint, "tokenizer.model", reason))?;
    if !model.is_bpe {
        return Err(unsupported("tokenizer.model", "unigram", "llama.cpp runs these models with merges (BPE)"));
    }
    let mut vocabulary = Vocabulary::unused("llama", "default", vocab_size);
    vocabulary.adds_prefix = model.adds_prefix;
    for (id, piece) in model.pieces.into_iter().enumerate() {
        // llama.cpp reads texts up to a zero byte; a token of nothing else would be empty there.
        if !piece.text.contains('\0') {
            vocabulary.set(checkpoint, id, piece.text, piece.score, piece.kind)?;
        }
    }
    Ok(Some(vocabulary))
}

fn from_json(checkpoint: &Checkpoint, json: &Value, vocab_size: usize) -> Result<Vocabulary> {
    let model = &json["model"];
    if model["type"].as_str().is_some_and(|kind| kind != "BPE") {
        return Err(unsupported("tokenizer.json: model.type", &model["type"], "BPE is converted"));
    }
    let wrong = |reason: &str| damaged(checkpoint, "tokenizer.json", reason);
    let tokens = model["vocab"].as_object().ok_or_else(|| wrong("model.vocab is no object"))?;
    let merges = model["merges"].as_array().ok_or_else(|| wrong("model.merges is no list"))?;
    let pairs: Vec<(&str, &str)> =
        merges.iter().map(pair).collect::<Option<_>>().ok_or_else(|| wrong("a merge is no pair"))?;
    let byte_level = pretokenizer::is_byte_level(json);
    let mut vocabulary = if byte_level {
        let refuse = |pattern: String| {
            unsupported("tokenizer.json: pre_tokenizer", pattern, "llama.cpp has no pre-tokenizer with this pattern")
        };
        Vocabulary::unused("gpt2", pretokenizer::name(json).map_err(refuse)?, vocab_size)
    } else {
        Vocabulary::unused("llama", "default", vocab_size)
    };
    vocabulary.adds_prefix = !byte_level && adds_prefix(json);
    // The merge that makes a token says how early it is made; llama.cpp merges the pair with the highest score first.
    let mut ranks: HashMap<String, usize> = HashMap::new();
    for (rank, (left, right)) in pairs.iter().enumerate() {
        ranks.entry(format!("{left}{right}")).or_insert(rank);
    }
    let unknown = model["unk_token"].as_str();
    for (text, id) in tokens {
        let id = id.as_u64().ok_or_else(|| wrong("an id is no whole number"))? as usize;
        let kind = match text.as_str() {
            text if Some(text) == unknown => UNKNOWN,
            text if !byte_level && is_byte(text) => BYTE,
            _ => NORMAL,
        };
        let score = ranks.get(text).map_or(NO_MERGE, |&rank| -(rank as f32));
        if !text.contains('\0') {
            vocabulary.set(checkpoint, id, text.clone(), score, kind)?;
        }
    }
    vocabulary.merges = pairs.iter().map(|(left, right)| format!("{left} {right}")).collect();
    Ok(vocabulary)
}

/// A merge as `"a b"` or as `["a", "b"]`.
fn pair(merge: &Value) -> Option<(&str, &str)> {
    match merge.as_array() {
        Some(parts) => Some((parts.first()?.as_str()?, parts.get(1)?.as_str()?)),
        None => merge.as_str()?.split_once(' '),
    }
}

/// Whether a token stands for one byte, as in `<0x0A>`.
fn is_byte(text: &str) -> bool {
    let digits = text.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
    digits.is_some_and(|digits| digits.len() == 2 && u8::from_str_radix(digits, 16).is_ok())
}

/// Whether a space is put before each text, by the normalizer or by the pre-tokenizer.
fn adds_prefix(json: &Value) -> bool {
    let steps = |value: &'_ Value, list: &str| match value[list].as_array() {
        Some(steps) => steps.clone(),
        None => vec![value.clone()],
    };
    let prepends = steps(&json["normalizer"], "normalizers").iter().any(|step| step["type"] == "Prepend");
    prepends
        || steps(&json["pre_tokenizer"], "pretokenizers").iter().any(|step| {
            let scheme = step["prepend_scheme"].as_str();
            step["type"] == "Metaspace" && scheme.map_or(step["add_prefix_space"] != false, |scheme| scheme != "never")
        })
}

impl Vocabulary {
    /// Nothing but places without a token.
    fn unused(model: &'static str, pre: &'static str, vocab_size: usize) -> Vocabulary {
        Vocabulary {
            model,
            pre,
            texts: (0..vocab_size).map(|id| format!("[PAD{id}]")).collect(),
            scores: vec![NO_MERGE; vocab_size],
            kinds: vec![UNUSED; vocab_size],
            merges: Vec::new(),
            adds_prefix: false,
        }
    }

    fn set(&mut self, checkpoint: &Checkpoint, id: usize, text: String, score: f32, kind: i32) -> Result<()> {
        if id >= self.texts.len() {
            let path = checkpoint.folder().join("config.json");
            let reason = format!("is {}, but the tokenizer has {text:?} at id {id}", self.texts.len());
            return Err(Error::Field { path, key: "text_config.vocab_size".to_owned(), reason });
        }
        (self.texts[id], self.scores[id], self.kinds[id]) = (text, score, kind);
        Ok(())
    }

    /// Tokens that were added to the trained ones: in `tokenizer.json`, `tokenizer_config.json` and `added_tokens.json`.
    fn add_tokens(&mut self, checkpoint: &Checkpoint, json: Option<&Value>, config: &Value) -> Result<()> {
        let mut added: Vec<(usize, String, bool)> = Vec::new();
        if let Some(plain) = checkpoint.json("added_tokens.json")?.as_ref().and_then(Value::as_object) {
            added.extend(plain.iter().filter_map(|(text, id)| Some((id.as_u64()? as usize, text.clone(), false))));
        }
        let entry = |id: usize, value: &Value| {
            let text = value["content"].as_str()?.to_owned();
            Some((id, text, value["special"].as_bool().unwrap_or(false)))
        };
        if let Some(list) = json.and_then(|json| json["added_tokens"].as_array()) {
            added.extend(list.iter().filter_map(|value| entry(value["id"].as_u64()? as usize, value)));
        }
        if let Some(table) = config["added_tokens_decoder"].as_object() {
            added.extend(table.iter().filter_map(|(id, value)| entry(id.parse().ok()?, value)));
        }
        for (id, text, special) in added {
            let known = self.kinds.get(id).copied();
            let kind = match known {
                Some(UNKNOWN) => UNKNOWN,
                _ if special => CONTROL,
                _ => USER_DEFINED,
            };
            // llama.cpp looks for added tokens in the text as typed, where spaces are spaces.
            let text = if kind == USER_DEFINED { text.replace('▁', " ") } else { text };
            self.set(checkpoint, id, text, NO_MERGE, kind)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn merges_are_read_in_both_forms_and_bytes_by_their_digits() {
        assert_eq!(pair(&json!("a b")), Some(("a", "b")));
        assert_eq!(pair(&json!(["▁ a", "b"])), Some(("▁ a", "b")));
        assert_eq!(pair(&json!(["a"])), None);
        assert!(is_byte("<0x0A>") && !is_byte("<0xZZ>") && !is_byte("<0x0A") && !is_byte("a"));
    }

    #[test]
    fn a_space_before_the_text_comes_from_normalizer_or_metaspace() {
        assert!(adds_prefix(&json!({ "normalizer": { "normalizers": [{ "type": "Prepend", "prepend": "▁" }] } })));
        assert!(adds_prefix(&json!({ "pre_tokenizer": { "type": "Metaspace", "prepend_scheme": "first" } })));
        assert!(!adds_prefix(&json!({ "pre_tokenizer": { "type": "Metaspace", "prepend_scheme": "never" } })));
        assert!(!adds_prefix(&json!({ "normalizer": { "type": "Replace" }, "pre_tokenizer": null })));
    }
}
