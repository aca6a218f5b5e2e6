//! Training of a small byte-pair tokenizer in InternLM2's layout, for models that begin from nothing.
//!
//! Ids: `<unk>` `<s>` `</s>`, the 256 bytes, frequent characters, merges in the order they were made, InternLM2's control tokens, `<image>`.
//! Every text can be written (what has no character falls back to bytes) and comes back unchanged, except that `▁` (U+2581) comes back as
//! a space, as in SentencePiece.
//!
//! The merges are found here and not by the `tokenizers` trainer, whose result can depend on the order of a hash map: the most frequent pair
//! comes first, of equally frequent ones the one with the lower ids. The same corpus gives the same bytes, in whatever order its texts come.

use crate::error::{Error, Result};
use crate::tokenizer::Tokenizer;
use gmai_schema::Progress;
use gmai_schema::conversation::IMAGE_MARKER;
use rayon::prelude::*;
use serde_json::{Map, Value, json};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

/// Tokens of SentencePiece with the ids 0, 1, 2.
const FIRST_TOKENS: [&str; 3] = ["<unk>", "<s>", "</s>"];
/// Control tokens after the merges, in InternLM2's order, and the image marker.
const LAST_TOKENS: [&str; 7] =
    ["<|plugin|>", "<|interpreter|>", "<|action_end|>", "<|action_start|>", "<|im_end|>", "<|im_start|>", IMAGE_MARKER];
/// Ids that every tokenizer has: the above and one per byte.
const NUM_FIXED: usize = FIRST_TOKENS.len() + 256 + LAST_TOKENS.len();
/// Most ids that can be asked for: larger vocabularies are not small ones.
const MAX_VOCAB: usize = 1 << 20;

/// A character or a pair seen less often is not worth an id: its embedding would be learned from one place.
const MIN_COUNT: u64 = 2;
/// Share of the free ids that single characters may take, so that a corpus with many Chinese characters still gets merges.
const MAX_CHARACTER_SHARE: f64 = 0.5;
/// Longest token in characters, as SentencePiece's default.
const MAX_TOKEN_CHARACTERS: usize = 16;
/// Longest token that holds a Chinese character. Chinese has no spaces: without this limit whole template sentences become one token.
const MAX_HAN_CHARACTERS: usize = 4;
/// Texts that are cut into words at a time.
const BATCH: usize = 4096;

/// Pieces inside which merges may happen: a word with the space before it, a run of Chinese, one digit, a run of signs, spaces, line breaks.
/// Read by the `regex` crate here and by Oniguruma in Python; both know `&&`.
const WORD_PATTERN: &str = r"▁?[\p{L}\p{M}&&[^\p{Han}]]+|▁?\p{Han}+|\p{N}|▁?[\p{P}\p{S}&&[^▁]]+|▁+|\n+";

/// Trains a tokenizer of at most `vocab_size` ids (control tokens and `<image>` included; fewer when the corpus has no more pairs).
pub fn train_tokenizer(
    texts: impl Iterator<Item = String>,
    vocab_size: usize,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Tokenizer> {
    if !(NUM_FIXED..=MAX_VOCAB).contains(&vocab_size) {
        let reason =
            format!("vocab_size is {vocab_size}; it must be {NUM_FIXED} (bytes and control tokens) to {MAX_VOCAB}");
        return Err(Error::Train { reason });
    }
    let words = count_words(texts, on_progress)?;
    if words.is_empty() {
        return Err(Error::Train { reason: "the corpus holds no text; give at least one non-empty text".to_string() });
    }
    let free = vocab_size - NUM_FIXED;
    let characters = frequent_characters(&words, (free as f64 * MAX_CHARACTER_SHARE) as usize);
    let num_merges = free - characters.len();
    let mut corpus = Corpus::new(&words, &characters);
    let merges = corpus.merge(num_merges, on_progress);
    Tokenizer::from_json(&tokenizer_json(&characters, &corpus.tokens, &merges).to_string())
}

/// How often each word occurs.
fn count_words(
    mut texts: impl Iterator<Item = String>,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<BTreeMap<String, u64>> {
    let unusable = |source: serde_json::Error| Error::Train { reason: source.to_string() };
    let splitter: tokenizers::PreTokenizerWrapper = serde_json::from_value(pre_tokenizer_json()).map_err(unusable)?;
    let mut words = BTreeMap::new();
    let mut done = 0;
    loop {
        let batch: Vec<String> = texts.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            return Ok(words);
        }
        let counted: Result<Vec<BTreeMap<String, u64>>> =
            batch.par_chunks(BATCH / 16).map(|texts| count_chunk(texts, &splitter)).collect();
        for (word, count) in counted?.into_iter().flatten() {
            *words.entry(word).or_default() += count;
        }
        done += batch.len() as u64;
        on_progress(Progress {
            phase: "count words".to_string(),
            done,
            total: 0,
            note: format!("{} words", words.len()),
        });
    }
}

fn count_chunk(texts: &[String], splitter: &tokenizers::PreTokenizerWrapper) -> Result<BTreeMap<String, u64>> {
    let mut words = BTreeMap::new();
    for text in texts {
        let mut split = PreTokenizedString::from(text.replace(' ', "▁"));
        splitter.pre_tokenize(&mut split).map_err(|source| Error::Tokenize { reason: source.to_string() })?;
        for (word, _, _) in split.get_splits(OffsetReferential::Original, OffsetType::Byte) {
            match words.get_mut(word) {
                Some(count) => *count += 1,
                None => drop(words.insert(word.to_string(), 1)),
            }
        }
    }
    Ok(words)
}

/// The most frequent characters, at most `limit`, in code point order.
fn frequent_characters(words: &BTreeMap<String, u64>, limit: usize) -> Vec<char> {
    let mut counts: BTreeMap<char, u64> = BTreeMap::new();
    for (word, count) in words {
        for character in word.chars() {
            *counts.entry(character).or_default() += count;
        }
    }
    let mut ranked: Vec<(char, u64)> = counts.into_iter().filter(|(_, count)| *count >= MIN_COUNT).collect();
    ranked.sort_by_key(|(character, count)| (Reverse(*count), *character));
    let mut kept: Vec<char> = ranked.into_iter().take(limit).map(|(character, _)| character).collect();
    kept.sort_unstable();
    kept
}

/// Two neighbouring symbols, by index into [`Corpus::tokens`].
type Pair = (u32, u32);

/// A word as symbols, with the number of times it occurs.
struct Word {
    symbols: Vec<u32>,
    count: u64,
}

/// A token as text, with what limits its growth.
struct Token {
    text: String,
    num_characters: usize,
    has_han: bool,
}

impl Token {
    fn new(text: String) -> Token {
        let has_han = text.chars().any(is_han);
        Token { num_characters: text.chars().count(), has_han, text }
    }
}

/// Chinese characters of the basic plane; rarer ones are bytes in a small tokenizer.
fn is_han(character: char) -> bool {
    matches!(character, '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}')
}

/// The words while they are being merged.
struct Corpus {
    tokens: Vec<Token>,
    words: Vec<Word>,
    pair_counts: BTreeMap<Pair, u64>,
    /// Words in which a pair occurs, or once occurred.
    pair_words: BTreeMap<Pair, BTreeSet<usize>>,
}

impl Corpus {
    fn new(words: &BTreeMap<String, u64>, characters: &[char]) -> Corpus {
        let index: BTreeMap<char, u32> = characters.iter().copied().zip(0..).collect();
        let mut corpus = Corpus {
            tokens: characters.iter().map(|character| Token::new(character.to_string())).collect(),
            words: Vec::new(),
            pair_counts: BTreeMap::new(),
            pair_words: BTreeMap::new(),
        };
        for (word, count) in words {
            let mut symbols = Vec::new();
            for character in word.chars() {
                match index.get(&character) {
                    Some(symbol) => symbols.push(*symbol),
                    // Becomes bytes, which nothing merges with.
                    None => corpus.add_word(std::mem::take(&mut symbols), *count),
                }
            }
            corpus.add_word(symbols, *count);
        }
        corpus
    }

    fn add_word(&mut self, symbols: Vec<u32>, count: u64) {
        if symbols.len() < 2 {
            return;
        }
        let word = self.words.len();
        for pair in pairs(&symbols) {
            *self.pair_counts.entry(pair).or_default() += count;
            self.pair_words.entry(pair).or_default().insert(word);
        }
        self.words.push(Word { symbols, count });
    }

    /// Makes up to `num_merges` tokens and returns the pairs they were made of.
    fn merge(&mut self, num_merges: usize, on_progress: &mut dyn FnMut(Progress)) -> Vec<Pair> {
        let mut queue: BinaryHeap<(u64, Reverse<Pair>)> =
            self.pair_counts.iter().map(|(pair, count)| (*count, Reverse(*pair))).collect();
        let mut known: BTreeSet<String> = self.tokens.iter().map(|token| token.text.clone()).collect();
        let mut merges = Vec::new();
        while merges.len() < num_merges {
            let Some((count, Reverse(pair))) = queue.pop() else { break };
            if self.pair_counts.get(&pair) != Some(&count) {
                continue; // The count has changed since; the pair is queued again with the new one.
            }
            if count < MIN_COUNT {
                break;
            }
            let text = format!("{}{}", self.tokens[pair.0 as usize].text, self.tokens[pair.1 as usize].text);
            // The same text can arise from two pairs; one token has one pair, as SentencePiece has it.
            if !self.may_merge(pair) || !known.insert(text.clone()) {
                continue;
            }
            let token = self.tokens.len() as u32;
            self.tokens.push(Token::new(text));
            merges.push(pair);
            for changed in self.apply(pair, token) {
                if let Some(count) = self.pair_counts.get(&changed) {
                    queue.push((*count, Reverse(changed)));
                }
            }
            if merges.len() % 256 == 0 {
                on_progress(merge_progress(merges.len(), num_merges));
            }
        }
        // The corpus may have no more pairs: what was made is then all there is.
        on_progress(merge_progress(merges.len(), merges.len()));
        merges
    }

    fn may_merge(&self, pair: Pair) -> bool {
        let (left, right) = (&self.tokens[pair.0 as usize], &self.tokens[pair.1 as usize]);
        let limit = if left.has_han || right.has_han { MAX_HAN_CHARACTERS } else { MAX_TOKEN_CHARACTERS };
        left.num_characters + right.num_characters <= limit
    }

    /// Replaces `pair` by `token` in every word and returns the pairs whose count changed.
    fn apply(&mut self, pair: Pair, token: u32) -> BTreeSet<Pair> {
        let mut changed = BTreeSet::new();
        for index in self.pair_words.remove(&pair).unwrap_or_default() {
            let Word { symbols, count } = &self.words[index];
            let merged = replace(symbols, pair, token);
            for old in pairs(symbols) {
                let left = self.pair_counts.get(&old).copied().unwrap_or(0).saturating_sub(*count);
                self.pair_counts.insert(old, left);
                changed.insert(old);
            }
            for new in pairs(&merged) {
                *self.pair_counts.entry(new).or_default() += count;
                self.pair_words.entry(new).or_default().insert(index);
                changed.insert(new);
            }
            self.words[index].symbols = merged;
        }
        self.pair_counts.remove(&pair);
        changed
    }
}

fn merge_progress(done: usize, total: usize) -> Progress {
    Progress { phase: "merge pairs".to_string(), done: done as u64, total: total as u64, note: String::new() }
}

fn pairs(symbols: &[u32]) -> impl Iterator<Item = Pair> + '_ {
    symbols.windows(2).map(|two| (two[0], two[1]))
}

/// `symbols` with each `pair`, from the left, replaced by `token`.
fn replace(symbols: &[u32], pair: Pair, token: u32) -> Vec<u32> {
    let mut merged = Vec::with_capacity(symbols.len());
    let mut at = 0;
    while at < symbols.len() {
        if at + 1 < symbols.len() && (symbols[at], symbols[at + 1]) == pair {
            merged.push(token);
            at += 2;
        } else {
            merged.push(symbols[at]);
            at += 1;
        }
    }
    merged
}

fn pre_tokenizer_json() -> Value {
    json!({ "type": "Split", "pattern": { "Regex": WORD_PATTERN }, "behavior": "Isolated", "invert": false })
}

/// The `tokenizer.json`. `tokens` are the characters followed by one token per merge.
fn tokenizer_json(characters: &[char], tokens: &[Token], merges: &[Pair]) -> Value {
    let bytes = (0..=255u8).map(|byte| format!("<0x{byte:02X}>"));
    let learned = tokens.iter().map(|token| token.text.clone());
    debug_assert_eq!(tokens.len(), characters.len() + merges.len());
    let vocab: Vec<String> = FIRST_TOKENS.iter().map(|token| token.to_string()).chain(bytes).chain(learned).collect();
    let first = FIRST_TOKENS.iter().zip(0..);
    let last = LAST_TOKENS.iter().zip(vocab.len()..);
    let added: Vec<Value> = first
        .chain(last)
        .map(|(content, id)| {
            json!({ "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true })
        })
        .collect();
    let text = |index: u32| &tokens[index as usize].text;
    let merges: Vec<[&String; 2]> = merges.iter().map(|(left, right)| [text(*left), text(*right)]).collect();
    let vocab: Map<String, Value> = vocab.into_iter().zip(0..).map(|(token, id)| (token, json!(id as u32))).collect();
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": { "type": "Replace", "pattern": { "String": " " }, "content": "▁" },
        "pre_tokenizer": pre_tokenizer_json(),
        "post_processor": null,
        "decoder": { "type": "Sequence", "decoders": [
            { "type": "Replace", "pattern": { "String": "▁" }, "content": " " },
            { "type": "ByteFallback" },
            { "type": "Fuse" },
        ] },
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": "<unk>",
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": true,
            "byte_fallback": true,
            "ignore_merges": false,
            "vocab": vocab,
            "merges": merges,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CORPUS: [&str; 8] = [
        "The image shows a chest X-ray of a patient with pneumonia.",
        "The image shows a CT scan of the abdomen with a liver lesion at [[0.18, 0.16, 0.5, 0.43]].",
        "<box>[[0.18, 0.16, 0.5, 0.43]]</box> shows the <ref>liver</ref>.",
        "这张图像属于哪种模态？\n这是一张磁共振图像。",
        "这张图像显示了什么？\n这张图像显示了肝脏。",
        "Which modality is shown?\nA. CT\nB. MR\nC. X-ray\nAnswer with the letter.",
        "Is there a fracture? No, there is no fracture.",
        "The patient has no fracture of the chest.",
    ];

    fn train(vocab_size: usize) -> Tokenizer {
        train_tokenizer(CORPUS.iter().map(|text| text.to_string()), vocab_size, &mut |_| {}).expect("a corpus")
    }

    #[test]
    fn every_text_comes_back_unchanged() {
        let tokenizer = train(420);
        for text in [
            "The image shows the liver.",
            "  leading and trailing  ",
            "box [[0.18, 0.16, 0.5, 0.43]] <box>[[1, 0, 0.07, 1]]</box>",
            "这张图像属于哪种模态？罕见字：龘𠮷，。",
            "a\n\n\tb\r\n c",
            "emoji 🩻👩🏽‍⚕️ café Ärzte naïve ﬁ µ ½ x²",
            "<|im_end|><image></s><unk><0x41>",
            "\u{0}\u{7f}\u{feff}",
            "",
        ] {
            let ids = tokenizer.encode_text(text).expect("any text");
            assert_eq!(tokenizer.decode(&ids).expect("own ids"), text);
            assert!(ids.iter().all(|id| !tokenizer.control_tokens().values().any(|control| control == id)), "{text}");
        }
    }

    #[test]
    fn ids_are_laid_out_as_internlm2_has_them() {
        let tokenizer = train(370);
        let size = tokenizer.vocab_size() as u32;
        assert_eq!(size, 370);
        assert_eq!((tokenizer.control_id("<unk>"), tokenizer.control_id("</s>")), (Some(0), Some(2)));
        assert_eq!(tokenizer.token_text(3 + 0x0A).as_deref(), Some("<0x0A>"));
        assert_eq!(tokenizer.control_id("<|im_end|>"), Some(size - 3));
        assert_eq!(tokenizer.control_id("<|im_start|>"), Some(size - 2));
        assert_eq!(tokenizer.control_id("<image>"), Some(size - 1));
    }

    #[test]
    fn digits_stay_alone_and_frequent_words_become_one_token() {
        let tokenizer = train(420);
        let tokens = |text: &str| -> Vec<String> {
            let ids = tokenizer.encode_text(text).expect("any text");
            ids.iter().map(|id| tokenizer.token_text(*id).expect("own id")).collect()
        };
        assert_eq!(tokens("0.18"), ["0", ".", "1", "8"]);
        assert_eq!(tokens(" image"), ["▁image"]);
        assert_eq!(tokens("这张图像"), ["这张图像"]);
    }

    #[test]
    fn order_of_the_texts_does_not_matter_and_the_bytes_repeat() {
        let first = train(420).to_json().expect("own tokenizer");
        let reversed = CORPUS.iter().rev().map(|text| text.to_string());
        let second = train_tokenizer(reversed, 420, &mut |_| {}).expect("a corpus").to_json().expect("own tokenizer");
        assert_eq!(first, second);
        let read = Tokenizer::from_json(&first).expect("own output").to_json().expect("own tokenizer");
        assert_eq!(first, read);
    }

    #[test]
    fn a_corpus_without_enough_pairs_gives_fewer_ids() {
        let texts = ["aa aa".to_string()].into_iter();
        let tokenizer = train_tokenizer(texts, 1000, &mut |_| {}).expect("a corpus");
        assert_eq!(tokenizer.vocab_size(), NUM_FIXED + 2); // The character `a` and `aa`; `▁` occurs once.
    }

    #[test]
    fn the_first_merge_is_the_most_frequent_pair() {
        // ab occurs 3 times, bc twice: ab first, then bc is left once (in xbc) and abc is made of ab and c.
        let words = BTreeMap::from([("abc".to_string(), 2), ("ab".to_string(), 1), ("bc".to_string(), 1)]);
        let mut corpus = Corpus::new(&words, &['a', 'b', 'c']);
        assert_eq!(corpus.merge(10, &mut |_| {}), [(0, 1), (3, 2)]);
    }

    #[test]
    fn empty_corpora_and_impossible_sizes_are_refused() {
        let error = train_tokenizer(std::iter::empty(), 1000, &mut |_| {}).expect_err("no text");
        assert!(error.to_string().contains("no text"), "{error}");
        let error = train_tokenizer(std::iter::once("a".to_string()), 100, &mut |_| {}).expect_err("too small");
        assert!(error.to_string().contains("266"), "{error}");
    }
}
