//! How a checkpoint wants to be asked: its `generation_config.json`.

use crate::error::{Error, Result};
use gmai_schema::Sampling;
use serde_json::Value;
use std::path::Path;

/// The settings that count where a request has none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Defaults {
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Whether the file says how many tokens to write.
    pub names_max_tokens: bool,
    /// Ids that end a reply (`eos_token_id`, one or several).
    pub stop_ids: Vec<u32>,
}

impl Defaults {
    /// Reads `generation_config.json` in `folder`; without the file, or without `do_sample`, the likeliest token is taken.
    ///
    /// Where the file says `do_sample` but not how, transformers' own defaults count: temperature 1, top-k 50.
    pub fn from_folder(folder: &Path) -> Result<Defaults> {
        let path = folder.join("generation_config.json");
        if !path.exists() {
            return Ok(Defaults::default());
        }
        let text = std::fs::read_to_string(&path).map_err(|source| Error::Io { path: path.clone(), source })?;
        read(&text).map_err(|reason| Error::GenerationConfig { path, reason })
    }
}

fn read(text: &str) -> std::result::Result<Defaults, String> {
    let json: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if !json.is_object() {
        return Err("must be an object".to_owned());
    }
    let field = |key: &str| json.get(key).filter(|value| !value.is_null());
    let number = |key: &str| {
        field(key).map(|value| value.as_f64().ok_or_else(|| format!("{key} must be a number, not {value}"))).transpose()
    };
    let count = |key: &str| {
        let whole = |value: &Value| value.as_u64().ok_or_else(|| format!("{key} must be a whole number, not {value}"));
        field(key).map(|value| whole(value).map(|number| number as usize)).transpose()
    };
    let samples = match field("do_sample") {
        None => false,
        Some(value) => value.as_bool().ok_or_else(|| format!("do_sample must be true or false, not {value}"))?,
    };
    let max_tokens = count("max_new_tokens")?;
    let mut sampling = Sampling {
        max_tokens: max_tokens.unwrap_or(Sampling::default().max_tokens),
        repetition_penalty: number("repetition_penalty")?.map_or(1.0, |penalty| penalty as f32),
        no_repeat_ngram_size: count("no_repeat_ngram_size")?.unwrap_or(0),
        ..Sampling::default()
    };
    if samples {
        sampling.temperature = number("temperature")?.map_or(1.0, |temperature| temperature as f32);
        sampling.top_k = count("top_k")?.unwrap_or(50);
        sampling.top_p = number("top_p")?.map_or(1.0, |share| share as f32);
        sampling.min_p = number("min_p")?.map_or(0.0, |share| share as f32);
    }
    let stop_ids = match field("eos_token_id") {
        None => Vec::new(),
        Some(Value::Array(ids)) => ids.iter().map(id).collect::<std::result::Result<_, _>>()?,
        Some(value) => vec![id(value)?],
    };
    Ok(Defaults { sampling, names_max_tokens: max_tokens.is_some(), stop_ids })
}

fn id(value: &Value) -> std::result::Result<u32, String> {
    let id = value.as_u64().and_then(|id| u32::try_from(id).ok());
    id.ok_or_else(|| format!("eos_token_id must be an id or a list of ids, not {value}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn without_do_sample_the_likeliest_token_is_taken_whatever_the_temperature() {
        let defaults =
            read(r#"{"temperature": 0.7, "top_k": 5, "eos_token_id": 2, "repetition_penalty": 1.1}"#).unwrap();
        assert_eq!(defaults.sampling, Sampling { repetition_penalty: 1.1, ..Sampling::default() });
        assert_eq!(defaults.stop_ids, [2]);
    }

    #[test]
    fn settings_of_sampling_checkpoints_are_taken() {
        let text =
            r#"{"do_sample": true, "temperature": 0.8, "top_p": 0.9, "max_new_tokens": 7, "eos_token_id": [2, 92542]}"#;
        let defaults = read(text).unwrap();
        assert_eq!((defaults.sampling.temperature, defaults.sampling.top_k), (0.8, 50));
        assert_eq!((defaults.sampling.max_tokens, defaults.names_max_tokens), (7, true));
        assert_eq!(defaults.stop_ids, [2, 92542]);
    }

    #[test]
    fn wrong_values_are_refused_by_name() {
        for (text, field) in [
            (r#"{"do_sample": 1}"#, "do_sample"),
            (r#"{"eos_token_id": "</s>"}"#, "eos_token_id"),
            (r#"{"repetition_penalty": "high"}"#, "repetition_penalty"),
            (r#"{"no_repeat_ngram_size": -1}"#, "no_repeat_ngram_size"),
            ("[]", "object"),
            ("{", "EOF"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(field), "{error}");
        }
    }
}
