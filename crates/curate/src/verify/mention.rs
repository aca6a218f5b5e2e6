//! Where a text speaks of something, and whether it says that it is so.

use super::lexicon::{Id, Kind, Lexicon, Names, longest};
use super::polarity;
use super::token::{Token, sentences, tokens};
use gmai_schema::Language;
use std::ops::Range;

/// A text that was split.
#[derive(Debug)]
pub(super) struct Text<'a> {
    pub(super) source: &'a str,
    pub(super) language: Language,
    pub(super) tokens: Vec<Token>,
    pub(super) sentences: Vec<Range<usize>>,
}

/// Whether a text says that something is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Polarity {
    /// It is so, or may be.
    Affirmed,
    /// It is not so.
    Negated,
    /// Nothing is said: asked, compared, or set aside.
    Neutral,
}

/// Something that a text speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mention {
    /// Concepts of the vocabulary, or numbers of own names, by what was searched.
    pub(super) ids: Vec<Id>,
    /// Tokens.
    pub(super) tokens: Range<usize>,
    /// Index of the sentence.
    pub(super) sentence: usize,
    pub(super) polarity: Polarity,
}

impl<'a> Text<'a> {
    pub(super) fn new(source: &'a str, language: Language) -> Text<'a> {
        let tokens = tokens(source);
        let sentences = sentences(&tokens, source);
        Text { source, language, tokens, sentences }
    }

    /// The words between two tokens as written.
    pub(super) fn words(&self, range: &Range<usize>) -> &'a str {
        match (self.tokens.get(range.start), range.end.checked_sub(1).and_then(|last| self.tokens.get(last))) {
            (Some(first), Some(last)) if first.bytes.start < last.bytes.end => {
                &self.source[first.bytes.start..last.bytes.end]
            }
            _ => "",
        }
    }

    /// The text from the start of a sentence to a token.
    pub(super) fn before(&self, sentence: usize, token: usize) -> &'a str {
        let start = self.sentences[sentence].start;
        &self.source[self.tokens[start].bytes.start..self.tokens[token].bytes.start]
    }

    /// The text from a token to the end of a sentence.
    pub(super) fn after(&self, sentence: usize, token: usize) -> &'a str {
        let end = self.tokens[self.sentences[sentence].end - 1].bytes.end;
        let start = self.tokens.get(token).map_or(end, |token| token.bytes.start.min(end));
        &self.source[start..end]
    }

    /// Plain forms of the tokens in a range.
    pub(super) fn plain(&self, range: Range<usize>) -> impl DoubleEndedIterator<Item = &str> {
        self.tokens[range].iter().map(|token| token.plain.as_str())
    }

    /// Everything in the text that `names` have, the longest name first, without overlaps.
    pub(super) fn find(&self, names: &[&Names]) -> Vec<Mention> {
        let mut mentions = Vec::new();
        for (sentence, range) in self.sentences.iter().enumerate() {
            let mut at = range.start;
            while at < range.end {
                let best =
                    names.iter().filter_map(|names| longest(names, &self.tokens, at)).max_by_key(|(_, end)| *end);
                match best {
                    Some((ids, end)) if end <= range.end => {
                        let polarity = polarity::of(self, sentence, &(at..end));
                        mentions.push(Mention { ids, tokens: at..end, sentence, polarity });
                        at = end;
                    }
                    _ => at += 1,
                }
            }
        }
        mentions
    }

    /// What the vocabulary knows of the text.
    pub(super) fn concepts(&self, lexicon: &Lexicon) -> Vec<Mention> {
        let mut mentions = self.find(&lexicon.names(self.language));
        mentions.retain(|mention| lexicon.concepts[mention.ids[0]].kind != Kind::Ignore);
        mentions
    }
}
