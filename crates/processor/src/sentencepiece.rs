//! A SentencePiece model (`tokenizer.model`) as the `tokenizer.json` that transformers' conversion of it would give: byte-pair or unigram
//! pieces, bytes as fallback, its normalisation, the tokens that `tokenizer_config.json` adds.
//!
//! One thing is done differently, without changing an id of the reference: merges are made of pieces that text may give only. With a control
//! piece among them, as in the published conversions, the letters `<s>` in a question would merge into the token that begins a text.

use crate::error::{Error, Result};
use crate::protobuf::{FieldValue, fields};
use base64::Engine;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// The sign that SentencePiece writes for a space.
const SPACE: &str = "▁";
/// Most pieces that a model may have; the largest published vocabularies have a quarter of that.
const MAX_PIECES: usize = 1 << 20;

/// How a model cuts text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Unigram,
    BytePairs,
}

/// What a piece is for (`ModelProto.SentencePiece.Type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Unused,
    Byte,
}

#[derive(Debug, Clone, PartialEq)]
struct Piece {
    text: String,
    score: f32,
    kind: Kind,
}

/// The parts of a model that decide its ids.
#[derive(Debug)]
struct Model {
    pieces: Vec<Piece>,
    algorithm: Algorithm,
    charsmap: Vec<u8>,
    adds_prefix: bool,
    removes_extra_spaces: bool,
}

/// What `tokenizer_config.json` decides beside the model.
#[derive(Debug)]
struct Settings {
    class: String,
    /// Whether every part between special tokens begins with a space of its own, as before transformers 4.31.
    is_legacy: bool,
    adds_prefix: bool,
    adds_bos: bool,
    adds_eos: bool,
}

/// The `tokenizer.json` of a model. `config` is the content of `tokenizer_config.json`, `added` that of `added_tokens.json`; each may be an
/// empty object. `path` is named in errors.
pub(crate) fn to_tokenizer_json(bytes: &[u8], config: &Value, added: &Value, path: &Path) -> Result<Value> {
    let refused = |reason: &str| Error::SentencePiece { path: path.to_path_buf(), reason: reason.to_string() };
    let mut model = Model::read(bytes).map_err(|reason| refused(&reason))?;
    let settings = Settings::read(config, &model);
    let added_tokens = added_tokens(&model, config, added).map_err(|reason| refused(&reason))?;
    model.rename(&added_tokens);
    let (normalizer, pre_tokenizer) = whitespace(&model, &settings);
    Ok(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added_tokens,
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": post_processor(&model, config, &settings),
        "decoder": decoder(&settings),
        "model": model.to_json(),
    }))
}

impl Model {
    fn read(bytes: &[u8]) -> std::result::Result<Model, String> {
        let mut model = Model {
            pieces: Vec::new(),
            algorithm: Algorithm::Unigram,
            charsmap: Vec::new(),
            adds_prefix: true,
            removes_extra_spaces: true,
        };
        let mut escapes_spaces = true;
        for field in fields(bytes) {
            let field = field?;
            match (field.number, field.value) {
                (1, FieldValue::Bytes(piece)) if model.pieces.len() < MAX_PIECES => {
                    model.pieces.push(read_piece(piece)?)
                }
                (1, _) => return Err(format!("has more than {MAX_PIECES} pieces")),
                (2, FieldValue::Bytes(trainer)) => model.read_trainer(trainer)?,
                (3, FieldValue::Bytes(normalizer)) => {
                    for field in fields(normalizer) {
                        let field = field?;
                        match (field.number, field.value) {
                            (2, FieldValue::Bytes(charsmap)) => model.charsmap = charsmap.to_vec(),
                            (3, FieldValue::Varint(flag)) => model.adds_prefix = flag != 0,
                            (4, FieldValue::Varint(flag)) => model.removes_extra_spaces = flag != 0,
                            (5, FieldValue::Varint(flag)) => escapes_spaces = flag != 0,
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        if model.pieces.is_empty() {
            return Err("has no pieces; is it a SentencePiece model?".to_string());
        }
        if !escapes_spaces {
            return Err("keeps spaces as they are (escape_whitespaces false), which is not supported".to_string());
        }
        Ok(model)
    }

    fn read_trainer(&mut self, bytes: &[u8]) -> std::result::Result<(), String> {
        for field in fields(bytes) {
            let field = field?;
            match (field.number, field.value.integer()) {
                (3, Some(1)) => self.algorithm = Algorithm::Unigram,
                (3, Some(2)) => self.algorithm = Algorithm::BytePairs,
                (3, Some(other)) => {
                    return Err(format!("is of type {other}; 1 (unigram) and 2 (byte pairs) are supported"));
                }
                (24, Some(1)) => return Err("writes spaces at the end of words, which is not supported".to_string()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Gives pieces the names that the config has for their ids: unused places of a vocabulary are filled so.
    fn rename(&mut self, added_tokens: &[Value]) {
        for token in added_tokens {
            let id = token["id"].as_u64().and_then(|id| usize::try_from(id).ok());
            let piece = id.and_then(|id| self.pieces.get_mut(id));
            if let (Some(piece), Some(text)) = (piece, token["content"].as_str())
                && piece.text != text
            {
                *piece = Piece { text: text.to_string(), score: piece.score, kind: Kind::Control };
            }
        }
    }

    fn unknown(&self) -> Option<usize> {
        self.pieces.iter().position(|piece| piece.kind == Kind::Unknown)
    }

    fn has_bytes(&self) -> bool {
        self.pieces.iter().any(|piece| piece.kind == Kind::Byte)
    }

    fn to_json(&self) -> Value {
        match self.algorithm {
            Algorithm::Unigram => json!({
                "type": "Unigram",
                "unk_id": self.unknown(),
                // Scores of single precision, written exactly.
                "vocab": self.pieces.iter().map(|piece| json!([piece.text, f64::from(piece.score)])).collect::<Vec<_>>(),
                "byte_fallback": self.has_bytes(),
            }),
            Algorithm::BytePairs => json!({
                "type": "BPE",
                "dropout": null,
                "unk_token": self.unknown().map(|id| &self.pieces[id].text),
                "continuing_subword_prefix": null,
                "end_of_word_suffix": null,
                "fuse_unk": true,
                "byte_fallback": self.has_bytes(),
                "ignore_merges": false,
                "vocab": self.pieces.iter().enumerate().map(|(id, piece)| (piece.text.clone(), json!(id))).collect::<Map<_, _>>(),
                "merges": self.merges(),
            }),
        }
    }

    /// Every way to make a piece out of two, best score first; of equal ones the longer left part first.
    fn merges(&self) -> Vec<[&str; 2]> {
        let ids: HashMap<&str, usize> = self
            .pieces
            .iter()
            .enumerate()
            .filter(|(_, piece)| piece.kind == Kind::Normal)
            .map(|(id, piece)| (piece.text.as_str(), id))
            .collect();
        let mut merges = Vec::new();
        for piece in self.pieces.iter().filter(|piece| piece.kind == Kind::Normal) {
            for (middle, _) in piece.text.char_indices().skip(1) {
                let (left, right) = piece.text.split_at(middle);
                if let (Some(left_id), Some(right_id)) = (ids.get(left), ids.get(right)) {
                    merges.push((piece.score, left, right, *left_id, *right_id));
                }
            }
        }
        let lengths = |merge: &(f32, &str, &str, usize, usize)| (merge.1.chars().count(), merge.2.chars().count());
        merges.sort_by(|a, b| {
            b.0.total_cmp(&a.0).then_with(|| lengths(b).cmp(&lengths(a))).then_with(|| (a.3, a.4).cmp(&(b.3, b.4)))
        });
        merges.into_iter().map(|(_, left, right, _, _)| [left, right]).collect()
    }
}

fn read_piece(bytes: &[u8]) -> std::result::Result<Piece, String> {
    let mut piece = Piece { text: String::new(), score: 0.0, kind: Kind::Normal };
    for field in fields(bytes) {
        let field = field?;
        match (field.number, field.value) {
            (1, value) => {
                let text = value.bytes().and_then(|bytes| std::str::from_utf8(bytes).ok());
                piece.text = text.ok_or("has a piece that is not text")?.to_string();
            }
            (2, value) => {
                piece.score = value.float().filter(|score| !score.is_nan()).ok_or("has a piece without score")?
            }
            (3, FieldValue::Varint(kind)) => {
                piece.kind = match kind {
                    1 => Kind::Normal,
                    2 => Kind::Unknown,
                    3 => Kind::Control,
                    4 => Kind::UserDefined,
                    5 => Kind::Unused,
                    6 => Kind::Byte,
                    _ => return Err(format!("has a piece of unknown type {kind}")),
                }
            }
            _ => {}
        }
    }
    Ok(piece)
}

impl Settings {
    fn read(config: &Value, model: &Model) -> Settings {
        let flag = |key: &str| config.get(key).and_then(Value::as_bool);
        let class = config.get("tokenizer_class").and_then(Value::as_str).unwrap_or("LlamaTokenizer");
        let class = class.trim_end_matches("Fast").to_string();
        let knows_legacy = matches!(class.as_str(), "LlamaTokenizer" | "CodeLlamaTokenizer" | "GemmaTokenizer");
        let adds_bos =
            matches!(class.as_str(), "LlamaTokenizer" | "CodeLlamaTokenizer" | "GemmaTokenizer" | "InternLM2Tokenizer");
        Settings {
            is_legacy: !knows_legacy || flag("legacy").unwrap_or(true),
            adds_prefix: model.adds_prefix && flag("add_prefix_space").unwrap_or(true),
            adds_bos: flag("add_bos_token").unwrap_or(adds_bos),
            adds_eos: flag("add_eos_token").unwrap_or(false),
            class,
        }
    }
}

/// Normaliser and pre-tokeniser: the model's own normalisation, then spaces as SentencePiece writes them.
fn whitespace(model: &Model, settings: &Settings) -> (Value, Value) {
    let mut steps = Vec::new();
    if !model.charsmap.is_empty() {
        let charsmap = base64::engine::general_purpose::STANDARD.encode(&model.charsmap);
        steps.push(json!({ "type": "Precompiled", "precompiled_charsmap": charsmap }));
    }
    if model.removes_extra_spaces {
        // Spaces only: the `Strip` of tokenizer.json would take tabs and line breaks too.
        for (pattern, content) in [("^ +", ""), (" +$", ""), (" {2,}", " ")] {
            steps.push(json!({ "type": "Replace", "pattern": { "Regex": pattern }, "content": content }));
        }
    }
    if !settings.is_legacy {
        let scheme = if settings.adds_prefix { "first" } else { "never" };
        let metaspace = json!({ "type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme, "split": false });
        let normalizer =
            if steps.is_empty() { Value::Null } else { json!({ "type": "Sequence", "normalizers": steps }) };
        return (normalizer, metaspace);
    }
    if settings.adds_prefix {
        steps.push(json!({ "type": "Prepend", "prepend": SPACE }));
    }
    steps.push(json!({ "type": "Replace", "pattern": { "String": " " }, "content": SPACE }));
    (json!({ "type": "Sequence", "normalizers": steps }), Value::Null)
}

fn decoder(settings: &Settings) -> Value {
    let mut steps = vec![
        json!({ "type": "Replace", "pattern": { "String": SPACE }, "content": " " }),
        json!({ "type": "ByteFallback" }),
        json!({ "type": "Fuse" }),
    ];
    // InternLM2's own tokenizer drops a leading space in any case.
    if settings.adds_prefix || settings.class == "InternLM2Tokenizer" {
        steps.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
    }
    json!({ "type": "Sequence", "decoders": steps })
}

/// Puts the tokens that begin and end a text around it, where the config says so.
fn post_processor(model: &Model, config: &Value, settings: &Settings) -> Value {
    let known = |key: &str, usual: &str| {
        let text = token_text(config.get(key)).unwrap_or(usual);
        let id = model.pieces.iter().position(|piece| piece.text == text);
        id.map(|id| (text.to_string(), id))
    };
    let bos = known("bos_token", "<s>").filter(|_| settings.adds_bos);
    let eos = known("eos_token", "</s>").filter(|_| settings.adds_eos);
    if bos.is_none() && eos.is_none() {
        return Value::Null;
    }
    let special = |(text, _): &(String, usize)| json!({ "SpecialToken": { "id": text, "type_id": 0 } });
    let sequence = |id: &str| json!({ "Sequence": { "id": id, "type_id": 0 } });
    let around = |ids: &[&str]| -> Vec<Value> {
        let one = |id: &&str| [bos.as_ref().map(special), Some(sequence(id)), eos.as_ref().map(special)];
        ids.iter().flat_map(one).flatten().collect()
    };
    let entries = bos.iter().chain(&eos);
    let tokens: Map<String, Value> =
        entries.map(|(text, id)| (text.clone(), json!({ "id": text, "ids": [id], "tokens": [text] }))).collect();
    json!({ "type": "TemplateProcessing", "single": around(&["A"]), "pair": around(&["A", "B"]), "special_tokens": tokens })
}

/// The text of a token given as text or as an object.
fn token_text(value: Option<&Value>) -> Option<&str> {
    let value = value?;
    value.as_str().or_else(|| value.get("content")?.as_str())
}

/// The tokens beside the model's pieces, and those pieces that are matched before anything else, in the order of their ids.
fn added_tokens(model: &Model, config: &Value, added: &Value) -> std::result::Result<Vec<Value>, String> {
    let mut tokens: BTreeMap<u64, Value> = BTreeMap::new();
    let entry = |id: u64, text: &str, special: bool| json!({ "id": id, "content": text, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": special });
    for (id, piece) in model.pieces.iter().enumerate() {
        match piece.kind {
            Kind::Unknown | Kind::Control => tokens.insert(id as u64, entry(id as u64, &piece.text, true)),
            Kind::UserDefined => tokens.insert(id as u64, entry(id as u64, &piece.text, false)),
            _ => None,
        };
    }
    for (text, id) in added.as_object().into_iter().flatten() {
        let id = id.as_u64().ok_or_else(|| format!("added_tokens.json: {text:?} has no id"))?;
        tokens.insert(id, entry(id, text, true));
    }
    for (id, token) in config.get("added_tokens_decoder").and_then(Value::as_object).into_iter().flatten() {
        let id: u64 =
            id.parse().map_err(|_| format!("tokenizer_config.json: added_tokens_decoder: {id:?} is no id"))?;
        let text = token_text(Some(token)).ok_or_else(|| format!("added_tokens_decoder: {id} has no content"))?;
        let mut value = entry(id, text, true);
        for key in ["single_word", "lstrip", "rstrip", "normalized", "special"] {
            if let Some(flag) = token.get(key).and_then(Value::as_bool) {
                value[key] = json!(flag);
            }
        }
        tokens.insert(id, value);
    }
    append_unnumbered(model, config, &mut tokens);
    Ok(tokens.into_values().collect())
}

/// Special tokens that a config names without an id stand behind all others, in order, as transformers adds them.
fn append_unnumbered(model: &Model, config: &Value, tokens: &mut BTreeMap<u64, Value>) {
    let named = ["bos_token", "eos_token", "unk_token", "pad_token"].into_iter().map(|key| config.get(key));
    let additional = config.get("additional_special_tokens").and_then(Value::as_array);
    let all: Vec<&str> = named.chain(additional.into_iter().flatten().map(Some)).filter_map(token_text).collect();
    for text in all {
        let place = model.pieces.iter().position(|piece| piece.text == text).map(|id| id as u64);
        let is_added = tokens.values().any(|token| token["content"] == text);
        if is_added {
            continue;
        }
        let next = tokens.keys().next_back().map_or(0, |last| last + 1).max(model.pieces.len() as u64);
        let id = place.unwrap_or(next);
        let value = json!({ "id": id, "content": text, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true });
        tokens.insert(id, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, wire: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![number << 3 | wire];
        if wire == 2 {
            bytes.push(content.len() as u8);
        }
        bytes.extend_from_slice(content);
        bytes
    }

    fn piece(text: &str, score: f32, kind: u8) -> Vec<u8> {
        let content = [field(1, 2, text.as_bytes()), field(2, 5, &score.to_le_bytes()), field(3, 0, &[kind])].concat();
        field(1, 2, &content)
    }

    /// Pieces for "ab" and its parts, byte pairs, no prefix.
    fn model() -> Vec<u8> {
        let pieces = [
            ("<unk>", 2),
            ("<s>", 3),
            ("</s>", 3),
            ("a", 1),
            ("b", 1),
            ("ab", 1),
            ("<", 1),
            ("s", 1),
            (">", 1),
            ("\u{2581}", 1),
        ];
        let pieces = pieces.iter().enumerate().flat_map(|(id, (text, kind))| piece(text, -(id as f32), *kind));
        let trainer = field(2, 2, &field(3, 0, &[2]));
        let normalizer = field(3, 2, &[field(3, 0, &[0]), field(4, 0, &[0])].concat());
        pieces.chain(trainer).chain(normalizer).collect()
    }

    fn converted(config: Value) -> Result<crate::Tokenizer> {
        let json = to_tokenizer_json(&model(), &config, &json!({}), Path::new("tokenizer.model"))?;
        crate::Tokenizer::from_json(&json.to_string())
    }

    #[test]
    fn pieces_keep_their_ids_and_control_pieces_are_never_made_of_text() {
        let tokenizer = converted(json!({ "additional_special_tokens": ["<image>"] })).expect("a model");
        assert_eq!(tokenizer.encode_text("abba").expect("text"), [5, 4, 3]);
        assert_eq!(tokenizer.encode_text("<s>").expect("text"), [6, 7, 8]);
        assert_eq!((tokenizer.control_id("<s>"), tokenizer.control_id("<image>")), (Some(1), Some(10)));
        assert_eq!(tokenizer.decode(&[1, 3, 9, 4]).expect("ids"), "a b");
    }

    #[test]
    fn other_kinds_of_model_are_refused_by_name() {
        let words = [piece("a", 0.0, 1), field(2, 2, &field(3, 0, &[3]))].concat();
        for (bytes, named) in
            [(&b"{}"[..], "SentencePiece"), (&[], "no pieces"), (&words, "type 3"), (&model()[..29], "cut off")]
        {
            let error =
                to_tokenizer_json(bytes, &json!({}), &json!({}), Path::new("tokenizer.model")).expect_err(named);
            assert!(error.to_string().contains(named), "{error}");
        }
    }
}
