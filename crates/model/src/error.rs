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
    #[error("{path}: {reason}; gmai reads model_type \"enhanced_llava\" with CLIP vision and InternLM2 text")]
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
        "{path}: weights do not fit config.json: missing {missing:?}, unexpected {unexpected:?}, wrong shape {misshapen:?}"
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
