//! Why a model cannot answer.

use std::path::PathBuf;

/// Result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a model cannot answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file of the checkpoint cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// `generation_config.json` is not what it should be.
    #[error("{path}: {reason}; correct or remove it")]
    GenerationConfig {
        /// The file.
        path: PathBuf,
        /// What is wrong, naming the key.
        reason: String,
    },
    /// The model's config and its processor's files do not belong together.
    #[error(
        "config.json: {field} is {written}, the tokenizer and processor files have {needed}; take both from one checkpoint"
    )]
    Disagreement {
        /// The key of the config.
        field: &'static str,
        /// Its value.
        written: usize,
        /// What the other files say.
        needed: usize,
    },
    /// The tokenizer gives an id that the model has no embedding for.
    #[error(
        "the tokenizer gives the id {id}, the model's vocabulary has {vocabulary} (text_config.vocab_size); take both from one checkpoint"
    )]
    UnknownToken {
        /// The id.
        id: u32,
        /// Rows of the embedding table.
        vocabulary: usize,
    },
    /// Nothing was asked.
    #[error("turns: the last one must be from \"human\"")]
    NotAsked,
    /// The pass over several replies failed.
    #[error("{reason} (while several replies were written side by side)")]
    Together {
        /// What happened.
        reason: String,
    },
    /// A logit is not a number.
    #[error("the model computed values that are not numbers for token {position}; its weights are damaged")]
    NotANumber {
        /// Place in the sequence, from 0.
        position: usize,
    },
    /// The settings forbid every token.
    #[error("no token is left to write at place {position}; lower no_repeat_ngram_size")]
    NothingLeft {
        /// Place in the sequence, from 0.
        position: usize,
    },
    /// The prompt is longer than the model reads.
    #[error("the prompt has {tokens} tokens, the model takes {limit}; shorten the text or send fewer images")]
    TooLong {
        /// Tokens of the prompt, image tokens included.
        tokens: usize,
        /// The most that are accepted.
        limit: usize,
    },
    /// A sampling setting is out of range.
    #[error("{field} = {value}: {remedy}")]
    Sampling {
        /// The setting.
        field: &'static str,
        /// Its value.
        value: f32,
        /// What is accepted.
        remedy: &'static str,
    },
    /// Text or pictures cannot be encoded.
    #[error(transparent)]
    Processor(#[from] gmai_processor::Error),
    /// The model cannot be loaded or run.
    #[error(transparent)]
    Model(#[from] gmai_model::Error),
}
