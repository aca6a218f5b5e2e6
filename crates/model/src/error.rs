//! What can go wrong with a model: its configuration and its weights.

use std::path::PathBuf;

/// Result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a model cannot be built, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// `config.json` is not the JSON of a supported model.
    #[error("{path}: {reason}")]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong, naming the key.
        reason: String,
    },
    /// A setting has a value that this program does not implement, or that contradicts another.
    #[error("config: {field} = {value} is not supported: {remedy}")]
    Unsupported {
        /// The key.
        field: &'static str,
        /// Its value.
        value: String,
        /// What would be accepted.
        remedy: &'static str,
    },
    /// The weights do not fit the configuration.
    #[error(
        "{path}: weights do not fit config.json: missing {missing:?}, unexpected {unexpected:?}, wrong shape {misshapen:?}{defaults}"
    )]
    Weights {
        /// The file or folder.
        path: PathBuf,
        /// Parameters of the model that no file holds.
        missing: Vec<String>,
        /// Tensors of the files that the model lacks.
        unexpected: Vec<String>,
        /// Tensors whose shape differs: name, shape wanted, shape found.
        misshapen: Vec<String>,
        /// Which keys the config leaves out, as a clause; empty if none.
        defaults: String,
    },
    /// Weights hold values that are no numbers.
    #[error("{path}: NaN or infinite values in {names:?}; the training that wrote them had diverged")]
    NotNumbers {
        /// The file or folder.
        path: PathBuf,
        /// Tensors with such values.
        names: Vec<String>,
    },
    /// A token id has no row in the embedding.
    #[error("token id {id} lies outside the vocabulary of {vocab_size}; the tokenizer belongs to another model")]
    TokenOutsideVocabulary {
        /// The id.
        id: u32,
        /// Rows of the embedding table.
        vocab_size: usize,
    },
    /// A sequence is longer than the model takes.
    #[error("a sequence of {tokens} tokens, image tokens included; the model takes at most {limit} ({setting})")]
    SequenceTooLong {
        /// Its tokens.
        tokens: usize,
        /// The most that are accepted.
        limit: usize,
        /// The setting that says so.
        setting: &'static str,
    },
    /// Pixel values do not make up whole pictures.
    #[error("{values} pixel values are no whole number of pictures of 3 x {size} x {size}")]
    PixelCount {
        /// How many there are.
        values: usize,
        /// Side of a picture.
        size: usize,
    },
    /// A weight file is damaged or not safetensors.
    #[error("{path}: not a readable safetensors file ({reason}); copy it again from its source")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        reason: String,
    },
    /// The prompt has another number of image tokens than the images give.
    #[error("prompt reserves {reserved} image tokens, images give {given}")]
    ImageTokenMismatch {
        /// Image token ids in the prompt.
        reserved: usize,
        /// Rows that the vision encoder made.
        given: usize,
    },
}
