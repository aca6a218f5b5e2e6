//! Is what a model wrote about an image true to its annotation?
//!
//! ```text
//! token.rs, lexicon.rs, lexicon.toml   text as words; what text can speak of
//! mention.rs, polarity.rs              where it does, and whether it says so, denies it, or sets it aside
//! side.rs, position.rs, number.rs      left and right of the body; places in the picture; counts, measures, grades
//! support.rs                           what the record says
//! contradiction.rs, quantity.rs        the one against the other
//! shape.rs, leak.rs                    language, length and beginning; instructions and identifiers that shine through
//! ```
//! A text must not contradict the record and must not add findings to it; it need not say all that the record says. Where the record is silent, sides,
//! measures and numeric grades are refused as well: nobody could tell whether they are right. Sentences are read in English and Chinese; in Japanese,
//! names, sides, modalities, numbers and denials are.

mod contradiction;
mod leak;
mod lexicon;
mod mention;
mod number;
mod polarity;
mod position;
mod quantity;
mod shape;
mod side;
mod support;
mod token;

use gmai_schema::{Form, Language, Record, SourceFacts};
use lexicon::lexicon;
use mention::{Polarity, Text};
use serde::{Deserialize, Serialize};
pub(crate) use shape::region_start;
use std::collections::BTreeMap;
use support::Support;

/// What a text can be refused for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The reply is not of the form that was asked for.
    Format,
    /// Another label than the record's, or the record's label denied.
    Label,
    /// Another way of acquisition.
    Modality,
    /// An organ of another part of the body.
    Organ,
    /// Another side of the body, or a side that the record does not tell.
    Side,
    /// Another number of things.
    Number,
    /// Another size, or a measure that the record does not tell.
    Size,
    /// Another severity, grade or stage, or one that the record does not tell.
    Grade,
    /// Another place in the picture.
    Position,
    /// A finding that the record does not tell.
    InventedFinding,
    /// A region's description does not begin as asked.
    RegionStart,
    /// Words of the instructions, field names, files.
    Leakage,
    /// What could tell who the patient is.
    Identifier,
    /// Another language than asked.
    Language,
    /// Too short, too long, or the same again and again.
    Length,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Rule; 15] = [
        Rule::Format,
        Rule::Label,
        Rule::Modality,
        Rule::Organ,
        Rule::Side,
        Rule::Number,
        Rule::Size,
        Rule::Grade,
        Rule::Position,
        Rule::InventedFinding,
        Rule::RegionStart,
        Rule::Leakage,
        Rule::Identifier,
        Rule::Language,
        Rule::Length,
    ];

    /// The key in reports and quarantine lines.
    pub fn key(self) -> &'static str {
        match self {
            Rule::Format => "format",
            Rule::Label => "label",
            Rule::Modality => "modality",
            Rule::Organ => "organ",
            Rule::Side => "side",
            Rule::Number => "number",
            Rule::Size => "size",
            Rule::Grade => "grade",
            Rule::Position => "position",
            Rule::InventedFinding => "invented_finding",
            Rule::RegionStart => "region_start",
            Rule::Leakage => "leakage",
            Rule::Identifier => "identifier",
            Rule::Language => "language",
            Rule::Length => "length",
        }
    }
}

/// Why a text is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// The words that break it.
    pub words: String,
    /// What is wrong with them.
    pub reason: String,
}

impl Violation {
    /// A broken rule with the words that break it.
    pub fn new(rule: Rule, words: impl Into<String>, reason: impl Into<String>) -> Violation {
        Violation { rule, words: words.into(), reason: reason.into() }
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: \"{}\" {}", self.rule.key(), self.words, self.reason)
    }
}

/// A question with its answer, as a model wrote them. Descriptions have no question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// What is asked; empty for descriptions.
    pub question: String,
    /// What is answered.
    pub answer: String,
}

/// A text to check.
#[derive(Debug, Clone, Copy)]
pub struct Draft<'a> {
    /// What kind of text it is.
    pub form: Form,
    /// The language that was asked for.
    pub language: Language,
    /// Index of the region that a region's description is about.
    pub region: Option<usize>,
    /// What was written.
    pub exchanges: &'a [Exchange],
}

/// How long texts may be, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lengths {
    /// Shortest description in English; a third of it in Chinese and Japanese.
    pub least: usize,
    /// Longest description or answer.
    pub most: usize,
}

impl Default for Lengths {
    fn default() -> Lengths {
        Lengths { least: 30, most: 2400 }
    }
}

/// Checks texts about the records of one source.
#[derive(Debug, Clone, Copy)]
pub struct Checker<'a> {
    /// What holds for the source.
    pub facts: &'a SourceFacts,
    /// Japanese names of the source's terms by their English names, beyond those that the vocabulary has.
    pub japanese: &'a BTreeMap<String, String>,
    /// Bounds of lengths.
    pub lengths: Lengths,
}

impl Checker<'_> {
    /// Everything that a text about `record` does wrong, in reading order; empty when it may be used.
    pub fn check(&self, record: &Record, draft: &Draft) -> Vec<Violation> {
        let mut violations = shape::check(draft, self.lengths);
        if violations.iter().any(|violation| violation.rule == Rule::Length) {
            return violations; // What is too long is not read.
        }
        let lexicon = lexicon();
        let region = draft.region.filter(|_| draft.form == Form::RegionCaption);
        let support = Support::of(record, self.facts, self.japanese, lexicon, region);
        for exchange in draft.exchanges {
            let question = Text::new(&exchange.question, draft.language);
            let answer = Text::new(&exchange.answer, draft.language);
            let judge = contradiction::Judge { support: &support, lexicon, is_region: region.is_some() };
            let asked = shape::yes_no_sentences(&question);
            let replied = support::answer_polarity(&exchange.answer);
            let said = |sentence: usize, polarity: Polarity| match (asked.contains(&sentence), replied) {
                (false, _) => polarity,
                (true, None) => Polarity::Neutral,
                (true, Some(true)) => polarity,
                (true, Some(false)) => match polarity {
                    Polarity::Affirmed => Polarity::Negated,
                    Polarity::Negated | Polarity::Neutral => Polarity::Neutral,
                },
            };
            judge.check(&question, said, None, &mut violations);
            judge.check(&answer, |_, polarity| polarity, Some(&question), &mut violations);
            for text in [&question, &answer] {
                leak::check(text, record, self.facts, &support, &mut violations);
            }
        }
        violations.dedup();
        violations
    }
}

/// Whether something can be said of `record` in `language`: every label and region needs a name in it.
pub fn is_nameable(
    record: &Record,
    region: Option<usize>,
    language: Language,
    japanese: &BTreeMap<String, String>,
) -> bool {
    let named = |term: &gmai_schema::Term| match language {
        Language::Ja => japanese.contains_key(&term.en) || !lexicon().japanese(&term.en).is_empty(),
        language => term.text(language).is_some(),
    };
    let mut regions = record.regions.iter().enumerate().filter(|(index, _)| region.is_none_or(|only| only == *index));
    record.labels.iter().all(|label| named(&label.value)) && regions.all(|(_, region)| named(&region.term))
}

/// The Japanese name of a term: of the config, else of the vocabulary.
pub fn japanese_name<'a>(english: &str, japanese: &'a BTreeMap<String, String>) -> Option<&'a str> {
    let known = || lexicon().japanese(english).first().map(String::as_str);
    japanese.get(english).map(String::as_str).or_else(known)
}

#[cfg(test)]
mod tests;
