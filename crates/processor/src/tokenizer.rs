//! Text to ids and back: the `tokenizers` crate behind the few functions that are needed, with text and control tokens kept apart.
//!
//! The reference tokenises a whole prompt as one text, in which its control tokens are looked for first. The same is done here piece by piece:
//! where a text stands behind something, it is encoded as [`Place::Continued`], so that no space is put before it that the whole would not have.

use crate::error::{Error, Result};
use crate::sentencepiece;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::Path;
use tokenizers::AddedToken;

/// Largest `tokenizer.json` that is read, bytes. The largest published ones have about 35 MB.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// Stands before continued text, for tokenizers that treat the beginning of a text in a special way; a private-use character.
const SENTINEL: char = '\u{F0002}';

/// Where a text stands in its sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nothing stands before it.
    Start,
    /// Tokens stand before it.
    Continued,
}

/// An id and where the token's text ends, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub id: u32,
    pub end: usize,
}

/// What a control token does to the spaces around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Strips {
    /// Spaces before it are dropped.
    pub left: bool,
    /// Spaces behind it are dropped.
    pub right: bool,
}

/// A tokenizer as stored in a `tokenizer.json` or a `tokenizer.model`.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// Control tokens by their text.
    control: BTreeMap<String, u32>,
    /// Control tokens by their id.
    strips: HashMap<u32, Strips>,
    vocab_size: usize,
    /// What is needed to encode continued text, where that differs.
    sentinel: Option<Sentinel>,
}

/// The token that was added to tell continued text from the beginning of one.
#[derive(Debug, Clone)]
struct Sentinel {
    id: u32,
    /// How the character itself is written.
    spelling: Vec<u32>,
}

impl Tokenizer {
    /// Reads the tokenizer of a model folder: `tokenizer.json`, or else `tokenizer.model` with `tokenizer_config.json` and
    /// `added_tokens.json` where they are there.
    pub fn from_folder(dir: &Path) -> Result<Tokenizer> {
        let json_path = dir.join("tokenizer.json");
        let model_path = dir.join("tokenizer.model");
        if json_path.exists() || !model_path.exists() {
            return Tokenizer::from_file(&json_path);
        }
        Tokenizer::from_sentencepiece(&model_path)
    }

    /// Reads a `tokenizer.json`.
    pub fn from_file(path: &Path) -> Result<Tokenizer> {
        let text = crate::folder::read_limited(path, MAX_FILE_BYTES)?;
        Tokenizer::from_json(&text)
    }

    /// Reads a SentencePiece model with the `tokenizer_config.json` and `added_tokens.json` beside it.
    pub fn from_sentencepiece(path: &Path) -> Result<Tokenizer> {
        let bytes = crate::folder::read_bytes_limited(path, MAX_FILE_BYTES)?;
        let beside = |name: &str| -> Result<Value> {
            let path = path.with_file_name(name);
            if path.exists() { crate::folder::read_json(&path) } else { Ok(Value::Object(Default::default())) }
        };
        let (config, added) = (beside("tokenizer_config.json")?, beside("added_tokens.json")?);
        let json = sentencepiece::to_tokenizer_json(&bytes, &config, &added, path)?;
        let tokenizer = Tokenizer::from_json(&json.to_string())?;
        for token in json["added_tokens"].as_array().into_iter().flatten() {
            let text = token["content"].as_str().unwrap_or_default();
            let found = tokenizer.inner.token_to_id(text);
            if found.map(u64::from) != token["id"].as_u64() {
                let reason =
                    format!("the added token {text:?} has the id {}, which does not follow the others", token["id"]);
                return Err(Error::SentencePiece { path: path.to_path_buf(), reason });
            }
        }
        Ok(tokenizer)
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
        let (mut control, mut strips) = (BTreeMap::new(), HashMap::new());
        for (id, token) in inner.get_added_tokens_decoder() {
            if token.special && !token.content.is_empty() {
                control.insert(token.content.clone(), id);
                strips.insert(id, Strips { left: token.lstrip, right: token.rstrip });
            }
        }
        let highest = inner.get_vocab(true).into_values().max();
        let Some(highest) = highest else {
            return Err(Error::TokenizerFile { reason: "the vocabulary is empty".to_string() });
        };
        let mut tokenizer = Tokenizer { inner, control, strips, vocab_size: highest as usize + 1, sentinel: None };
        if tokenizer.treats_beginnings_differently() {
            let spelling = tokenizer.encode_text(&SENTINEL.to_string())?;
            let token = AddedToken::from(SENTINEL, false).normalized(false);
            tokenizer.inner.add_tokens([token]).map_err(unusable)?;
            let id = tokenizer.inner.token_to_id(&SENTINEL.to_string());
            tokenizer.sentinel = id.map(|id| Sentinel { id, spelling });
        }
        Ok(tokenizer)
    }

    /// Whether the first text of a sequence gets a space that others do not get.
    fn treats_beginnings_differently(&self) -> bool {
        let pre_tokenizer = self.inner.get_pre_tokenizer().and_then(|it| serde_json::to_string(it).ok());
        pre_tokenizer.is_some_and(|json| json.contains(r#""prepend_scheme":"first""#))
    }

    /// The text of a `tokenizer.json` that reads back as this. Equal tokenizers give equal bytes.
    pub fn to_json(&self) -> Result<String> {
        let failed = |reason: String| Error::Tokenize { reason };
        let text = self.inner.to_string(false).map_err(|source| failed(source.to_string()))?;
        let Some(sentinel) = &self.sentinel else { return Ok(text) };
        let mut json: Value = serde_json::from_str(&text).map_err(|source| failed(source.to_string()))?;
        if let Some(added) = json.get_mut("added_tokens").and_then(Value::as_array_mut) {
            added.retain(|token| token["id"] != sentinel.id);
        }
        Ok(json.to_string())
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

    /// What a control token does to the spaces around it.
    pub(crate) fn strips(&self, id: u32) -> Strips {
        self.strips.get(&id).copied().unwrap_or_default()
    }

    /// Control tokens that the tokenizer itself puts before a text: the one that begins a text, or none.
    pub(crate) fn prefix(&self) -> Result<Vec<u32>> {
        let empty =
            self.inner.encode_fast("", true).map_err(|source| Error::Tokenize { reason: source.to_string() })?;
        Ok(empty.get_ids().first().filter(|id| self.strips.contains_key(id)).copied().into_iter().collect())
    }

    /// Ids of plain text at the beginning of a sequence. A control token written out in it is spelled in ordinary tokens; nothing is put
    /// before or after.
    pub fn encode_text(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.tokens(text, Place::Start)?.into_iter().map(|token| token.id).collect())
    }

    /// Tokens of plain text, with where each ends.
    pub(crate) fn tokens(&self, text: &str, place: Place) -> Result<Vec<Token>> {
        let mut tokens = Vec::new();
        let (mut place, mut start) = (place, 0);
        let Some(sentinel) = &self.sentinel else {
            self.push_tokens(text, Place::Start, start, &mut tokens)?;
            return Ok(tokens);
        };
        // What holds the sentinel itself is cut there, so that nobody can write it.
        for (index, part) in text.split(SENTINEL).enumerate() {
            if index > 0 {
                start += SENTINEL.len_utf8();
                tokens.extend(sentinel.spelling.iter().map(|id| Token { id: *id, end: start }));
                place = Place::Continued;
            }
            self.push_tokens(part, place, start, &mut tokens)?;
            start += part.len();
        }
        Ok(tokens)
    }

    fn push_tokens(&self, text: &str, place: Place, start: usize, tokens: &mut Vec<Token>) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let failed = |source: tokenizers::Error| Error::Tokenize { reason: source.to_string() };
        let leading = if place == Place::Continued { SENTINEL.to_string() } else { String::new() };
        let encoding = self.inner.encode(format!("{leading}{text}"), false).map_err(failed)?;
        let is_sentinel = |id: &u32| self.sentinel.as_ref().is_some_and(|sentinel| sentinel.id == *id);
        for (id, (from, to)) in encoding.get_ids().iter().zip(encoding.get_offsets()) {
            if is_sentinel(id) {
                continue;
            }
            let (from, to) = (from.saturating_sub(leading.len()), to.saturating_sub(leading.len()));
            let end = start + to;
            let is_control = self.strips.contains_key(id);
            match text.get(from..to).filter(|written| is_control && self.control.get(*written) == Some(id)) {
                Some(written) => tokens.extend(self.spelled(written).into_iter().map(|id| Token { id, end })),
                None => tokens.push(Token { id: *id, end }),
            }
        }
        Ok(())
    }

    /// A control token's text in ordinary tokens. Some vocabularies have merges that lead to their control tokens (`<s` and `>`), so that
    /// typed text could become one.
    fn spelled(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        for character in text.chars() {
            let character = character.to_string();
            match self.inner.token_to_id(&character) {
                Some(id) => ids.push(id),
                None => {
                    let bytes = character.bytes().map(|byte| self.inner.token_to_id(&format!("<0x{byte:02X}>")));
                    ids.extend(bytes.flatten());
                }
            }
        }
        ids
    }

    /// Ids of trusted text, in which control tokens count as such. Never for what a user wrote.
    pub fn encode_markup(&self, text: &str) -> Result<Vec<u32>> {
        let parts = self.split_markup(text);
        let mut ids: Vec<u32> = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            match part {
                Markup::Control(_, id) => ids.push(*id),
                Markup::Text(text) => {
                    let before = index.checked_sub(1).and_then(|before| parts.get(before)).and_then(Markup::control);
                    let after = parts.get(index + 1).and_then(Markup::control);
                    let place = if index == 0 { Place::Start } else { Place::Continued };
                    let tokens = self.tokens(&text[self.kept(text, before, after)], place)?;
                    ids.extend(tokens.into_iter().map(|token| token.id));
                }
            }
        }
        Ok(ids)
    }

    /// The part of a text that is left when the control tokens before and after it have dropped the spaces beside them.
    pub(crate) fn kept(&self, text: &str, before: Option<u32>, after: Option<u32>) -> Range<usize> {
        let drops = |token: Option<u32>, side: fn(Strips) -> bool| token.is_some_and(|id| side(self.strips(id)));
        let start = if drops(before, |strips| strips.right) { text.len() - text.trim_start().len() } else { 0 };
        let end = if drops(after, |strips| strips.left) { text.trim_end().len() } else { text.len() };
        start..end.max(start)
    }

    /// Cuts trusted text at its control tokens: leftmost first, the longest where several begin.
    pub(crate) fn split_markup<'a>(&self, text: &'a str) -> Vec<Markup<'a>> {
        let mut begins = [false; 256];
        self.control.keys().filter_map(|token| token.bytes().next()).for_each(|byte| begins[usize::from(byte)] = true);
        let mut parts = Vec::new();
        let (mut begin, mut at) = (0, 0);
        while at < text.len() {
            let rest = &text[at..];
            let possible = begins[usize::from(rest.as_bytes()[0])];
            let found = self.control.iter().filter(|(token, _)| possible && rest.starts_with(token.as_str()));
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

    /// Whether a text spells out a control token.
    pub(crate) fn spells_control(&self, text: &str) -> bool {
        self.split_markup(text).iter().any(|part| part.control().is_some())
    }

    /// The text of `ids`, control tokens left out.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        let failed = |source: tokenizers::Error| Error::Tokenize { reason: source.to_string() };
        match &self.sentinel {
            Some(sentinel) if ids.contains(&sentinel.id) => {
                let ids: Vec<u32> = ids.iter().copied().filter(|id| *id != sentinel.id).collect();
                self.inner.decode(&ids, true).map_err(failed)
            }
            _ => self.inner.decode(ids, true).map_err(failed),
        }
    }

    /// How an id is written in the vocabulary, e.g. `▁the` or `<0x0A>`; `None` for an id that has no token.
    pub fn token_text(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id).filter(|_| (id as usize) < self.vocab_size)
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

impl Markup<'_> {
    fn control(&self) -> Option<u32> {
        if let Markup::Control(_, id) = self { Some(*id) } else { None }
    }
}
