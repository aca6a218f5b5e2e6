//! Why text or pictures could not be turned into tensors' values, or back.

use std::path::PathBuf;

/// Result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why text or pictures could not be processed: each names the file or the turn, the field and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    #[error("{path}: {source}", path = .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of the model folder is larger than any real one.
    #[error("{path}: {bytes} bytes, more than the {max_bytes} that such a file may have; is this the right file?", path = .path.display())]
    FileTooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The limit.
        max_bytes: u64,
    },
    /// A file of the model folder is not JSON of the expected form.
    #[error("{path}: {source}; compare it with a file written by `gmai model init`", path = .path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What the parser said, with line and column.
        source: serde_json::Error,
    },
    /// A value of `preprocessor_config.json` asks for something that is not done here.
    #[error("preprocessor_config.json: {field}: {reason}")]
    ImageConfig {
        /// The key.
        field: String,
        /// What is wrong and what can be had.
        reason: String,
    },
    /// `tokenizer.json` cannot be used.
    #[error("tokenizer.json: {reason}")]
    TokenizerFile {
        /// What is wrong.
        reason: String,
    },
    /// `tokenizer.model` cannot be used.
    #[error("{path}: {reason}; convert it to tokenizer.json with transformers, or copy the file again", path = .path.display())]
    SentencePiece {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A token that the chat template or the model needs is not in the tokenizer.
    #[error(
        "tokenizer: no special token {token:?} ({purpose}); add it to tokenizer.json's `added_tokens` with `special: true`"
    )]
    MissingToken {
        /// The token's text.
        token: String,
        /// What it is needed for.
        purpose: &'static str,
    },
    /// The tokenizer failed on a text or on ids.
    #[error("tokenizer failed: {reason}")]
    Tokenize {
        /// What it said.
        reason: String,
    },
    /// A corpus or a size from which no tokenizer can be trained.
    #[error("cannot train a tokenizer: {reason}")]
    Train {
        /// What is wrong and what would do.
        reason: String,
    },
    /// The chat template of a model folder cannot be used.
    #[error("chat_template (in tokenizer_config.json, or in chat_template.json or .jinja beside it): {reason}")]
    ChatTemplate {
        /// What is wrong.
        reason: String,
    },
    /// Markers in the text and pictures given do not agree.
    #[error(
        "the human turns hold {markers} `<image>` markers, but {images} images were given; they must be equally many"
    )]
    ImageCount {
        /// Markers found in human turns.
        markers: usize,
        /// Pictures given.
        images: usize,
    },
    /// A conversation without a turn that could be learned or answered.
    #[error("the conversation has {turns} turns, none of them {needed}")]
    MissingTurn {
        /// Turns given.
        turns: usize,
        /// The role that is needed.
        needed: &'static str,
    },
    /// A buffer of the wrong length was passed for pixel values.
    #[error("pixel values need {expected} places (3 x {height} x {width}), the buffer has {given}")]
    BufferLength {
        /// Columns of the tile.
        width: usize,
        /// Rows of the tile.
        height: usize,
        /// Three for each pixel.
        expected: usize,
        /// Length of the buffer.
        given: usize,
    },
}
