//! What can stop an evaluation.

use gmai_schema::ResponderError;
use std::path::PathBuf;

/// Why an evaluation, or a report of it, could not be finished. Replies already stored stay stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be opened, read or written.
    #[error("{path}: cannot {action}: {source}; check that the folder exists, is writable and has space")]
    File {
        /// The file.
        path: PathBuf,
        /// What was tried, e.g. `open`.
        action: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Another run appends to the same file.
    #[error("{path}: another run is writing to this file; wait for it, or choose another output folder")]
    Busy {
        /// The reply file.
        path: PathBuf,
    },
    /// A value cannot be written as JSON.
    #[error("{path}: cannot write {id} as JSON: {source}")]
    Encode {
        /// The file meant to hold it.
        path: PathBuf,
        /// Question id.
        id: String,
        /// The encoder's reason.
        source: serde_json::Error,
    },
    /// A stored line cannot be read and the file is not one that can be asked again.
    #[error("{path}: line {line} is not a valid entry; restore the file or make it again")]
    BadLine {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
    },
    /// The model stopped working; everything before is stored.
    #[error("question {id}: {source}; replies so far are stored, run the same command again to go on")]
    Responder {
        /// Question id.
        id: String,
        /// The model's reason.
        source: ResponderError,
    },
    /// A batch of answers has another length than its batch of requests.
    #[error("the responder gave {given} answers to {asked} requests; replies so far are stored")]
    AnswerCount {
        /// Requests sent.
        asked: usize,
        /// Answers received.
        given: usize,
    },
    /// The weights that answered are not those that were to be measured.
    #[error(
        "question {id}: answered by checkpoint {given}, expected {expected}; one run measures one checkpoint, \
         start a run of its own for the other"
    )]
    CheckpointChanged {
        /// Question id.
        id: String,
        /// Identity expected.
        expected: String,
        /// Identity that answered.
        given: String,
    },
    /// An option of the run is out of range.
    #[error("option {field} is {value}, must be {rule}")]
    Option {
        /// Name of the field.
        field: &'static str,
        /// Its value.
        value: usize,
        /// What is allowed.
        rule: &'static str,
    },
    /// A figure of the report could not be drawn.
    #[error("figure {name}: {reason}")]
    Plot {
        /// Which figure.
        name: String,
        /// The plotter's reason.
        reason: String,
    },
    /// The page could not be put together.
    #[error("report page: {0}")]
    Page(#[from] askama::Error),
    /// A picture of the report could not be encoded.
    #[error("picture of question {id}: {source}")]
    Picture {
        /// Question id.
        id: String,
        /// The encoder's reason.
        source: image::ImageError,
    },
}

impl Error {
    /// For `map_err`: an [`Error::File`] about `path`.
    pub(crate) fn file(path: &std::path::Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Error + use<> {
        let path = path.to_path_buf();
        move |source| Error::File { path, action, source }
    }
}

/// Result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;
