//! Why training cannot start or go on.

use std::path::PathBuf;

/// Result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// Why training cannot start or go on.
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
    /// The recipe is not valid TOML or has an unknown or missing key.
    #[error("{path}: {reason}")]
    Recipe {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and key.
        reason: String,
    },
    /// A setting of the recipe cannot be carried out.
    #[error("recipe, {field}: {reason}")]
    Setting {
        /// The key, e.g. `stage.deep_alignment.learning_rate`.
        field: String,
        /// What is wrong and what would be accepted.
        reason: String,
    },
    /// The dataset gives nothing to train on.
    #[error("{dataset}: stage {stage} finds no conversation to train on ({reason})")]
    NoSamples {
        /// The dataset folder.
        dataset: PathBuf,
        /// The stage.
        stage: String,
        /// Which filter left nothing.
        reason: String,
    },
    /// A checkpoint does not belong to this run.
    #[error("{path}: {reason}; give another --out, or start again without --resume")]
    Checkpoint {
        /// The checkpoint folder.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// The loss is no number any more: weights so far are in the last checkpoint.
    #[error(
        "stage {stage}, step {step}: the loss is {loss}; lower the stage's learning_rate and resume from the last checkpoint"
    )]
    Diverged {
        /// The stage.
        stage: String,
        /// The step.
        step: usize,
        /// The value.
        loss: f64,
    },
    /// The caller asked to stop.
    #[error("stopped at stage {stage}, step {step}; go on with --resume")]
    Stopped {
        /// The stage.
        stage: String,
        /// The last finished step.
        step: usize,
    },
    /// The dataset cannot be read.
    #[error(transparent)]
    Shard(#[from] gmai_shard::Error),
    /// Text or pictures cannot be encoded.
    #[error(transparent)]
    Processor(#[from] gmai_processor::Error),
    /// The model cannot be built, read or written.
    #[error(transparent)]
    Model(#[from] gmai_model::Error),
}
