//! What can go wrong between a dataset folder and another format.

use std::path::{Path, PathBuf};

/// An error that ends an export or an import. Defective rows do not: they are quarantined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The dataset folder refused.
    #[error(transparent)]
    Shard(#[from] gmai_shard::Error),
    /// The place to write to is taken.
    #[error("{path}: exists already; choose another --out or delete it")]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// Nothing of the format lies there.
    #[error("{path}: no {expected} found; give the file or the folder that holds it, or another --from")]
    NoFiles {
        /// Where was looked.
        path: PathBuf,
        /// What the format consists of.
        expected: &'static str,
    },
    /// A file that everything else hangs on cannot be understood.
    #[error("{path}, {field}: {reason}")]
    BadFile {
        /// The file.
        path: PathBuf,
        /// The key or place in it.
        field: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The data do not say something that every row of a dataset needs.
    #[error(
        "{file}, {place}: source `{source_name}` has no {fact}; give {option}, or a [source.\"{source_name}\"] in a --facts file"
    )]
    MissingFact {
        /// The file that the row came from.
        file: String,
        /// The row.
        place: String,
        /// The source of the row.
        source_name: String,
        /// What is not known.
        fact: &'static str,
        /// The option that states it for all rows.
        option: &'static str,
    },
    /// An archive cannot be written or read.
    #[error("{path}: {reason}")]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// No row could be used.
    #[error("{path}: none of {given} rows can be used; the first was left out because: {first}")]
    Nothing {
        /// What was imported.
        path: PathBuf,
        /// Rows that were found.
        given: u64,
        /// Why the first row was left out.
        first: String,
    },
}

impl Error {
    /// Wraps an error of the operating system with the path it is about.
    pub(crate) fn io(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.as_ref().to_path_buf();
        move |source| Error::Io { path, source }
    }

    /// Names the place in a file that cannot be understood.
    pub(crate) fn bad_file(path: &Path, field: impl Into<String>, reason: impl Into<String>) -> Error {
        Error::BadFile { path: path.to_path_buf(), field: field.into(), reason: reason.into() }
    }

    /// Wraps what an archive library said.
    pub(crate) fn archive(path: &Path, reason: impl std::fmt::Display) -> Error {
        Error::Archive { path: path.to_path_buf(), reason: reason.to_string() }
    }
}
