//! Why an endpoint cannot be used at all. A call that fails is not an error of this kind: see `failure.rs`.

use std::path::PathBuf;

/// Why an endpoint cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting has a value that cannot be used.
    #[error("endpoint, {field}: {reason}")]
    Setting {
        /// The key in the config.
        field: &'static str,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The operating system refused.
    #[error("{path}: {source}; check that the file may be written and the disk has room")]
    Io {
        /// The ledger.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process writes the ledger.
    #[error("{path}: another gmai process is using this ledger; wait until it has ended, or name another file")]
    InUse {
        /// The ledger.
        path: PathBuf,
    },
    /// A line of the ledger, not the last one, is not ours.
    #[error("{path}, line {line}: {reason}; remove the line, or name another file")]
    BadLine {
        /// The ledger.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What the parser said.
        reason: String,
    },
}

impl Error {
    /// Wraps an error of the operating system with the path it is about.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.into();
        move |source| Error::Io { path, source }
    }
}
