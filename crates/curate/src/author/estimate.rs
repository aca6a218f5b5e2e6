//! What a run will take, before anything is asked.

use super::options::Options;
use super::plan::plan;
use super::prompt::Templates;
use crate::Result;
use gmai_schema::{Form, Record, SourceFacts};
use serde::Serialize;

/// Tokens that a reply is expected to have: a description, and one question with its answer. Means of what models write to the shipped templates.
const CAPTION_TOKENS: u64 = 140;
const PAIR_TOKENS: u64 = 75;

/// What the texts of one source will take.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SourceEstimate {
    /// Name of the source.
    pub source: String,
    /// Records that are written about.
    pub records: u64,
    /// Calls when every text passes at once.
    pub calls: u64,
    /// Tokens of their prompts without pictures.
    pub text_tokens: u64,
    /// Pictures in their prompts.
    pub images: u64,
    /// Tokens of their replies.
    pub reply_tokens: u64,
}

/// What a run will take when every text passes at once; `attempts` times as much at most.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// By source.
    pub sources: Vec<SourceEstimate>,
    /// How often a text is asked for at most.
    pub attempts: usize,
}

impl Estimate {
    /// The sum over the sources.
    pub fn total(&self) -> SourceEstimate {
        let mut total = SourceEstimate { source: "all".to_string(), ..SourceEstimate::default() };
        for source in &self.sources {
            total.records += source.records;
            total.calls += source.calls;
            total.text_tokens += source.text_tokens;
            total.images += source.images;
            total.reply_tokens += source.reply_tokens;
        }
        total
    }
}

/// Tokens of a text, roughly: four letters of Latin script or one character of others.
fn tokens(text: &str) -> u64 {
    let (mut latin, mut other) = (0u64, 0u64);
    for letter in text.chars() {
        if letter.is_ascii() { latin += 1 } else { other += 1 }
    }
    latin.div_ceil(4) + other
}

/// What the texts about `records` will take.
pub(crate) fn of_source<'a>(
    name: &str,
    facts: &SourceFacts,
    records: impl Iterator<Item = &'a Record>,
    templates: &Templates,
    options: &Options,
) -> Result<SourceEstimate> {
    let mut estimate = SourceEstimate { source: name.to_string(), ..SourceEstimate::default() };
    for record in records {
        let wanted = plan(record, options);
        estimate.records += u64::from(!wanted.is_empty());
        for text in wanted {
            let prompt = templates.prompt(record, facts, &text, options)?;
            estimate.calls += 1;
            estimate.images += 1;
            estimate.text_tokens += prompt.iter().map(|turn| tokens(&turn.value)).sum::<u64>();
            estimate.reply_tokens += match text.form {
                Form::Instruction | Form::Conversation => PAIR_TOKENS * options.pairs as u64,
                _ => CAPTION_TOKENS,
            };
        }
    }
    Ok(estimate)
}
