//! `[author]` of a curate config.

use crate::verify::Lengths;
use gmai_schema::{Language, Sampling, Split};
use serde::Deserialize;
use std::collections::BTreeMap;

/// How a language model writes texts.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// An OpenAI-compatible endpoint: docs/author.md lists its keys. Exactly one of `endpoint` and `checkpoint`.
    pub endpoint: Option<toml::Table>,
    /// A model folder of gmai's own, or a run folder of `gmai train`.
    pub checkpoint: Option<String>,
    /// Folder of prompt templates, relative to the config; those that it lacks, and all by default, are the shipped ones.
    pub templates: Option<String>,
    /// Share of texts in each language; default English alone. A record without names in the drawn language is written about in English.
    #[serde(default = "languages")]
    pub languages: BTreeMap<Language, f32>,
    /// How many texts of each form.
    #[serde(default)]
    pub per_record: PerRecord,
    /// Questions with answers in one reply, for `instructions` and `conversations`; default 3.
    #[serde(default = "pairs")]
    pub pairs: usize,
    /// Share of the records that are written about, 0 to 1; default 1.
    #[serde(default = "whole")]
    pub share: f32,
    /// Parts of the dataset that are written about; default train: scores rest on texts of templates and people.
    #[serde(default = "splits")]
    pub splits: Vec<Split>,
    /// Seed of every choice and of the model's draws.
    #[serde(default)]
    pub seed: u64,
    /// Variety of the model's words; default 0.7.
    #[serde(default = "temperature")]
    pub temperature: f32,
    /// Keep the likeliest tokens whose probabilities sum to this; default 0.95.
    #[serde(default = "top_p")]
    pub top_p: f32,
    /// The most tokens of one reply; default 800.
    #[serde(default = "max_tokens")]
    pub max_tokens: usize,
    /// How often a text is asked for until it passes the checks; default 3.
    #[serde(default = "attempts")]
    pub attempts: usize,
    /// Bounds of descriptions and answers in characters.
    #[serde(default)]
    pub lengths: Lengths,
    /// Longer side of the picture that the model is shown; default 768.
    #[serde(default = "max_side")]
    pub max_side: u32,
    /// Whether reports and questions of people are put into the prompt; default no: they may tell who the patient is. Checks use them either way.
    #[serde(default)]
    pub send_texts: bool,
    /// The most characters of one text of the annotation in a prompt; default 600.
    #[serde(default = "max_fact_characters")]
    pub max_fact_characters: usize,
    /// Japanese names by English ones, for terms that the shipped vocabulary does not know.
    #[serde(default)]
    pub japanese: BTreeMap<String, String>,
    /// Records whose texts are asked for at once; default 16. Bounds memory.
    #[serde(default = "batch")]
    pub batch: usize,
}

/// How many texts are asked for about one record, at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PerRecord {
    /// Descriptions of the whole image; default 1.
    pub image_captions: usize,
    /// Descriptions of one boxed part each; default 1.
    pub region_captions: usize,
    /// Replies of several questions, of which each becomes a pair; default 1.
    pub instructions: usize,
    /// Conversations; default 1.
    pub conversations: usize,
}

impl Default for PerRecord {
    fn default() -> PerRecord {
        PerRecord { image_captions: 1, region_captions: 1, instructions: 1, conversations: 1 }
    }
}

fn languages() -> BTreeMap<Language, f32> {
    BTreeMap::from([(Language::En, 1.0)])
}

fn pairs() -> usize {
    3
}

fn whole() -> f32 {
    1.0
}

fn splits() -> Vec<Split> {
    vec![Split::Train]
}

fn temperature() -> f32 {
    0.7
}

fn top_p() -> f32 {
    0.95
}

fn max_tokens() -> usize {
    800
}

fn attempts() -> usize {
    3
}

fn max_side() -> u32 {
    768
}

fn max_fact_characters() -> usize {
    600
}

fn batch() -> usize {
    16
}

impl Options {
    /// What is wrong with the values: the key, and why.
    pub(crate) fn defect(&self) -> Option<(&'static str, String)> {
        let refuse = |key, reason: &str| Some((key, reason.to_string()));
        let sum: f32 = self.languages.values().sum();
        if self.endpoint.is_some() == self.checkpoint.is_some() {
            refuse("author", "name exactly one of `endpoint` and `checkpoint`")
        } else if self.languages.values().any(|share| !share.is_finite() || *share < 0.0) || (sum - 1.0).abs() > 1e-3 {
            refuse("author.languages", "shares must be at least 0 and add up to 1, e.g. { en = 0.7, zh = 0.3 }")
        } else if !(1..=8).contains(&self.pairs) {
            refuse("author.pairs", "must be 1 to 8")
        } else if !(0.0..=1.0).contains(&self.share) {
            refuse("author.share", "must lie between 0 and 1")
        } else if !(1..=10).contains(&self.attempts) {
            refuse("author.attempts", "must be 1 to 10")
        } else if !(1..=1024).contains(&self.batch) {
            refuse("author.batch", "must be 1 to 1024")
        } else if self.max_side < 32 {
            refuse("author.max_side", "must be at least 32 pixels")
        } else if self.max_tokens == 0 || self.lengths.least > self.lengths.most {
            refuse("author.lengths", "max_tokens must be at least 1, and `least` not above `most`")
        } else if !(0.0..=2.0).contains(&self.temperature) || !(0.0..=1.0).contains(&self.top_p) {
            refuse("author.temperature", "must be 0 to 2, and top_p 0 to 1")
        } else {
            None
        }
    }

    /// How the model draws its words, for the text with this number and in this attempt: another attempt must be able to say something else.
    pub(crate) fn sampling(&self, seed: u64) -> Sampling {
        Sampling { temperature: self.temperature, top_p: self.top_p, seed, ..Sampling::greedy(self.max_tokens) }
    }
}
