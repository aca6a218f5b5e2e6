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
    /// The prompt leaves no room for a reply.
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
