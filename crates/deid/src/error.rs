//! Why something could not be de-identified.

use std::path::{Path, PathBuf};

/// Result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why something could not be de-identified: each names the file, the field and what to do.
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
    /// The file ends before the data that its header promises.
    #[error("{field}: {needed} bytes are claimed, {available} are there; copy the file again from its source")]
    Truncated {
        /// The part that is cut off.
        field: String,
        /// Bytes claimed.
        needed: u64,
        /// Bytes present.
        available: u64,
    },
    /// A field holds what the format does not allow.
    #[error("{field}: {reason}; export the file again or leave it out")]
    Malformed {
        /// The field.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file asks for more than is allowed.
    #[error("{what} is {found}, the limit is {limit}; split the file or raise the limit if it can be trusted")]
    TooLarge {
        /// What is too large, with its unit.
        what: &'static str,
        /// What the file asks for.
        found: u64,
        /// What is allowed.
        limit: u64,
    },
    /// A format that cannot be cleaned with certainty.
    #[error("{what} cannot be de-identified: {remedy}")]
    Unsupported {
        /// What it is.
        what: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Options that exclude each other.
    #[error("options {first} and {second} exclude each other; keep one")]
    Options {
        /// Key of the first.
        first: &'static str,
        /// Key of the second.
        second: &'static str,
    },
    /// A key file that is not one.
    #[error("{path}: {reason}; name a key file made by gmai deid, or a new path", path = .path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The system gave no random bytes.
    #[error("no random bytes for a new key: {0}; try again, or copy an existing key file")]
    Random(String),
    /// Two folders that must be apart lie in one another.
    #[error("{path}: {reason}", path = .path.display())]
    Place {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: &'static str,
    },
    /// A picture could not be read or written.
    #[error("picture: {0}")]
    Picture(String),
    /// The report could not be written.
    #[error("report: {0}")]
    Report(String),
}

impl Error {
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Error {
        Error::Io { path: path.into(), source }
    }

    pub(crate) fn malformed(field: impl Into<String>, reason: impl Into<String>) -> Error {
        Error::Malformed { field: field.into(), reason: reason.into() }
    }
}
