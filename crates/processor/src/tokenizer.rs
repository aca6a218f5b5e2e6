//! Text to ids and back: the `tokenizers` crate behind the few functions that are needed, with text and control tokens kept apart.

use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// Largest `tokenizer.json` that is read, bytes. The largest published ones have about 35 MB.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// A tokenizer as stored in a `tokenizer.json`.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// Control tokens by their text.
    control: BTreeMap<String, u32>,
    vocab_size: usize,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`.
    pub fn from_file(path: &Path) -> Result<Tokenizer> {
        let text = crate::folder::read_limited(path, MAX_FILE_BYTES)?;
        Tokenizer::from_json(&text)
    }

    /// Takes the text of a `tokenizer.json`.
    pub fn from_json(text: &str) -> Result<Tokenizer> {
        let unusable = |source: tokenizers::Error| Error::TokenizerFile { reason: source.to_string() };
        let mut inner = tokenizers::Tokenizer::from_bytes(text.as_bytes()).map_err(unusable)?;
        // A limit stored in the file would cut training text without a word.
        inner.with_truncation(None).map_err(unusable)?;
        inner.with_padding(None);
        // Text that people type never becomes a control token: those are placed by their id.
        inner.set_encode_special_tokens(true);
        let added = inner.get_added_tokens_decoder();
        let control: BTreeMap<String, u32> = added
            .iter()
            .filter(|(_, token)| token.special && !token.content.is_empty())
            .map(|(id, token)| (token.content.clone(), *id))
            .collect();
        let highest = inner.get_vocab(true).into_values().max();
        let Some(highest) = highest else {
            return Err(Error::TokenizerFile { reason: "the vocabulary is empty".to_string() });
        };
        Ok(Tokenizer { inner, control, vocab_size: highest as usize + 1 })
    }

    /// The text of a `tokenizer.json` that reads back as this. Equal tokenizers give equal bytes.
    pub fn to_json(&self) -> Result<String> {
        self.inner.to_string(false).map_err(|source| Error::Tokenize { reason: source.to_string() })
    }

    /// Number of ids: one more than the highest.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The id of a control token, e.g. `<|im_end|>`.
    pub fn control_id(&self, token: &str) -> Option<u32> {
        self.control.get(token).copied()
    }

    /// Control tokens with their ids, in the order of their text.
    pub fn control_tokens(&self) -> &BTreeMap<String, u32> {
        &self.control
    }

    /// Ids of plain text. A control token written out in it is spelled in ordinary tokens; nothing is put before or after.
    pub fn encode_text(&self, text: &str) -> Result<Vec<u32>> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let encoding =
            self.inner.encode_fast(text, false).map_err(|source| Error::Tokenize { reason: source.to_string() })?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Ids of trusted text, in which control tokens count as such. Never for what a user wrote.
    pub fn encode_markup(&self, text: &str) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        for part in self.split_markup(text) {
            match part {
                Markup::Control(_, id) => ids.push(id),
                Markup::Text(text) => ids.extend(self.encode_text(text)?),
            }
        }
        Ok(ids)
    }

    /// Cuts trusted text at its control tokens: leftmost first, the longest where several begin.
    pub(crate) fn split_markup<'a>(&self, text: &'a str) -> Vec<Markup<'a>> {
        let mut parts = Vec::new();
        let (mut begin, mut at) = (0, 0);
        while at < text.len() {
            let rest = &text[at..];
            let found = self.control.iter().filter(|(token, _)| rest.starts_with(token.as_str()));
            let Some((token, id)) = found.max_by_key(|(token, _)| token.len()) else {
                at += rest.chars().next().map_or(1, char::len_utf8);
                continue;
            };
            if begin < at {
                parts.push(Markup::Text(&text[begin..at]));
            }
            at += token.len();
            parts.push(Markup::Control(&text[at - token.len()..at], *id));
            begin = at;
        }
        if begin < text.len() {
            parts.push(Markup::Text(&text[begin..]));
        }
        parts
    }

    /// The text of `ids`, control tokens left out.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.inner.decode(ids, true).map_err(|source| Error::Tokenize { reason: source.to_string() })
    }

    /// How an id is written in the vocabulary, e.g. `▁the` or `<0x0A>`; `None` for an id that has no token.
    pub fn token_text(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }
}

/// A piece of trusted text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Markup<'a> {
    /// A control token.
    Control(&'a str, u32),
    /// What stands between.
    Text(&'a str),
}
