//! Identifiers in report texts: English, Spanish and Chinese, by rules and lexicons. Recall comes first.
//!
//! ```text
//! rules.rs      what looks the same everywhere: e-mail, numbers, dates      english.rs, spanish.rs, chinese.rs   each language's own
//! names.rs      names by lexicon, cut at words that are none                signature.rs   blocks that hold nothing but people and places
//! replace.rs    what is written in their place
//! ```
//! All rules of all languages are tried on every text: reports mix languages, and no text says which it is in.

mod chinese;
mod english;
mod names;
mod replace;
mod rules;
mod signature;
mod spanish;

pub use replace::{Style, TextDates};

use regex::Regex;
use rules::Rule;
use std::collections::BTreeSet;

/// What an identifier is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A person: patient, relative, doctor.
    Name,
    /// A day, a month of a year, or a year told as a date.
    Date,
    /// An age above 89.
    Age,
    /// Telephone or fax.
    Phone,
    /// E-mail address.
    Email,
    /// Web or network address.
    Url,
    /// Street and number.
    Address,
    /// Town, region, postal code.
    Place,
    /// Hospital, practice, institute.
    Hospital,
    /// Number of a patient, a case, an insurance, a licence.
    Id,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 10] = [
        Kind::Name,
        Kind::Date,
        Kind::Age,
        Kind::Phone,
        Kind::Email,
        Kind::Url,
        Kind::Address,
        Kind::Place,
        Kind::Hospital,
        Kind::Id,
    ];

    /// Name in reports; in capitals it is the tag.
    pub fn key(self) -> &'static str {
        match self {
            Kind::Name => "name",
            Kind::Date => "date",
            Kind::Age => "age",
            Kind::Phone => "phone",
            Kind::Email => "email",
            Kind::Url => "url",
            Kind::Address => "address",
            Kind::Place => "place",
            Kind::Hospital => "hospital",
            Kind::Id => "id",
        }
    }
}

/// An identifier found in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// Byte after the last.
    pub end: usize,
    /// What it is.
    pub kind: Kind,
}

/// Identifiers known from elsewhere, e.g. from the header of the picture that a report belongs to.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Lower case, longest first.
    words: Vec<String>,
}

impl Known {
    /// Takes the words; shorter than two letters they say nothing.
    pub fn new(words: impl IntoIterator<Item = String>) -> Known {
        let lower: BTreeSet<String> =
            words.into_iter().map(|word| word.trim().to_lowercase()).filter(|word| word.chars().count() >= 2).collect();
        let mut words: Vec<String> = lower.into_iter().collect();
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        Known { words }
    }

    /// Whether a known identifier stands in the text as a word of its own.
    pub fn stands_in(&self, text: &str) -> bool {
        !self.spans(text).is_empty()
    }

    fn spans(&self, text: &str) -> Vec<Span> {
        if self.words.is_empty() {
            return Vec::new();
        }
        let (lower, places) = lower_with_places(text);
        let mut spans = Vec::new();
        for word in &self.words {
            for (at, _) in lower.match_indices(word.as_str()) {
                let (start, end) = (places[at], places[at + word.len()]);
                if is_word(text, start, end) {
                    let kind = if word.bytes().any(|byte| byte.is_ascii_digit()) { Kind::Id } else { Kind::Name };
                    spans.push(Span { start, end, kind });
                }
            }
        }
        spans
    }
}

/// The text in lower case, and for each of its bytes (and the end) the byte of the text it comes from.
fn lower_with_places(text: &str) -> (String, Vec<usize>) {
    let (mut lower, mut places) = (String::with_capacity(text.len()), Vec::with_capacity(text.len() + 1));
    for (at, letter) in text.char_indices() {
        let before = lower.len();
        lower.extend(letter.to_lowercase());
        places.extend(std::iter::repeat_n(at, lower.len() - before));
    }
    places.push(text.len());
    (lower, places)
}

/// Whether no letter or digit of the same script touches the span. Chinese has no gaps between words, so there every place is one.
fn is_word(text: &str, start: usize, end: usize) -> bool {
    let joins =
        |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() && u32::from(letter) < 0x2E80);
    let first_wide = text[start..].chars().next().is_some_and(|letter| u32::from(letter) >= 0x2E80);
    first_wide || !(joins(text[..start].chars().next_back()) || joins(text[end..].chars().next()))
}

/// Finds identifiers. Making one compiles some hundred patterns: make it once.
pub struct Finder {
    rules: Vec<Rule>,
    names: names::Names,
    signature: signature::Signature,
}

impl Default for Finder {
    fn default() -> Finder {
        Finder::new()
    }
}

impl Finder {
    /// With the rules and lexicons of all languages.
    pub fn new() -> Finder {
        let patterns = [rules::PATTERNS, english::PATTERNS, spanish::PATTERNS, chinese::PATTERNS];
        Finder {
            rules: patterns.into_iter().flatten().map(Rule::new).collect(),
            names: names::Names::new(),
            signature: signature::Signature::new(),
        }
    }

    /// Identifiers in a text, in order, none overlapping another.
    pub fn find(&self, text: &str, known: &Known) -> Vec<Span> {
        let mut spans: Vec<Span> = self.rules.iter().flat_map(|rule| rule.spans(text)).collect();
        spans.retain_mut(|span| span.kind != Kind::Name || names::cut(text, span));
        spans.retain_mut(|span| chinese::is_name(text, span) && chinese::cut(text, span));
        spans.extend(self.names.spans(text));
        spans.extend(self.signature.spans(text));
        spans.extend(known.spans(text));
        spans.extend(names::repeated(text, &spans));
        merge(text, spans)
    }
}

/// Sorts spans and joins those that overlap; the longest gives the kind.
fn merge(text: &str, mut spans: Vec<Span>) -> Vec<Span> {
    for span in &mut spans {
        let inner = &text[span.start..span.end];
        let shorter = inner.trim_end_matches(|c: char| c.is_whitespace() || ".,;:".contains(c));
        span.end = span.start + shorter.len();
        span.start += shorter.len() - shorter.trim_start().len();
    }
    spans.retain(|span| span.start < span.end);
    spans.sort_by_key(|span| (span.start, std::cmp::Reverse(span.end)));
    let mut merged: Vec<(Span, usize)> = Vec::new();
    for span in spans {
        let length = span.end - span.start;
        match merged.last_mut() {
            Some((last, longest)) if span.start < last.end => {
                last.end = last.end.max(span.end);
                let says_more = length == *longest && last.kind == Kind::Id; // A telephone is also a long number.
                if length > *longest || says_more {
                    (last.kind, *longest) = (span.kind, length);
                }
            }
            _ => merged.push((span, length)),
        }
    }
    merged.into_iter().map(|(span, _)| span).collect()
}

/// Compiles a pattern of this crate.
fn compiled(pattern: &str) -> Regex {
    let mut builder = regex::RegexBuilder::new(pattern);
    builder.size_limit(64 << 20).build().unwrap_or_else(|error| panic!("bad pattern {pattern}: {error}"))
}

#[cfg(test)]
mod tests;
