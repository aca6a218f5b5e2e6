//! What can go wrong with a dataset folder.

use std::path::PathBuf;

/// Why a dataset folder cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    #[error("{path}: {source}; check that the path exists, may be used, and that the disk has room")]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The folder has no manifest.
    #[error(
        "{folder}: manifest.json is missing, so the dataset is unfinished; run `gmai curate` again with this folder as --out"
    )]
    Unfinished {
        /// The dataset folder.
        folder: PathBuf,
    },
    /// The folder already holds a finished dataset.
    #[error(
        "{folder}: manifest.json exists, so the folder holds a finished dataset; choose another folder or delete this one"
    )]
    AlreadyFinished {
        /// The dataset folder.
        folder: PathBuf,
    },
    /// The manifest cannot be understood.
    #[error("{path}: {reason}; make the dataset again with this version of gmai")]
    BadManifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong, naming the field.
        reason: String,
    },
    /// The Parquet library refused.
    #[error("{path}: {source}; the file is damaged or was not written by gmai: make the dataset again")]
    Parquet {
        /// The shard.
        path: PathBuf,
        /// What the library said.
        source: parquet::errors::ParquetError,
    },
    /// A row holds something that gmai does not write.
    #[error(
        "{path}: row {row}, column {column}: {reason}; the file is damaged or from another version: make the dataset again"
    )]
    BadRow {
        /// The shard.
        path: PathBuf,
        /// Row of the shard, from 0.
        row: usize,
        /// Column name.
        column: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A shard's bytes are not those that were written.
    #[error(
        "{path}: sha256 is {found}, the manifest says {expected}; the file was changed or damaged: make the dataset again"
    )]
    Changed {
        /// The shard.
        path: PathBuf,
        /// Hash in the manifest.
        expected: String,
        /// Hash of the file.
        found: String,
    },
    /// A stored picture cannot be decoded, or a picture cannot be encoded.
    #[error("picture {path}: {reason}")]
    Picture {
        /// Key of the picture.
        path: String,
        /// What is wrong.
        reason: String,
    },
}

impl Error {
    /// Wraps an error of the operating system with the path it is about.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.into();
        move |source| Error::Io { path, source }
    }

    /// Wraps an error of the Parquet library while a shard is written: nearly always that of the operating system.
    pub(crate) fn writing(path: impl Into<PathBuf>) -> impl FnOnce(parquet::errors::ParquetError) -> Error {
        let path = path.into();
        move |error| match error {
            parquet::errors::ParquetError::External(source) => match source.downcast::<std::io::Error>() {
                Ok(source) => Error::Io { path, source: *source },
                Err(source) => Error::Parquet { path, source: parquet::errors::ParquetError::External(source) },
            },
            source => Error::Parquet { path, source },
        }
    }

    /// Wraps an error of the Parquet library with the shard it is about.
    pub(crate) fn parquet(path: impl Into<PathBuf>) -> impl FnOnce(parquet::errors::ParquetError) -> Error {
        let path = path.into();
        move |source| Error::Parquet { path, source }
    }
}
