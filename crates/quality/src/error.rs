//! What can go wrong while a dataset is looked at.

use std::path::{Path, PathBuf};

/// An error of this crate. Defects of data are findings, not errors.
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
    /// A file cannot be understood.
    #[error("{path}, {field}: {reason}")]
    BadFile {
        /// The file.
        path: PathBuf,
        /// The key, line or column.
        field: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// There is no picture to look at.
    #[error(
        "{path}: no pictures found; give a dataset folder, a folder of pictures, a TSV or Parquet file with a column `image`, or a list of hashes"
    )]
    NoPictures {
        /// Where was looked.
        path: PathBuf,
    },
    /// A figure cannot be drawn.
    #[error("figure {name}: {reason}")]
    Figure {
        /// What it shows.
        name: String,
        /// What the drawing library said.
        reason: String,
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
}
