//! Why a checkpoint cannot be converted.

use std::path::{Path, PathBuf};

/// Result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why a checkpoint cannot be converted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is not what its name says.
    #[error("{path}: {reason}; copy it again from its source")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A key of a configuration file is missing or of the wrong kind.
    #[error("{path}: {key} {reason}")]
    Field {
        /// The file.
        path: PathBuf,
        /// The key, with the keys it stands under.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// The target cannot express a setting.
    #[error("{key} = {value} cannot be converted: {reason}")]
    Unsupported {
        /// The key.
        key: String,
        /// Its value.
        value: String,
        /// Why not, or what would be possible.
        reason: String,
    },
    /// The tensors are not those of the configuration.
    #[error(
        "{path}: tensors do not fit config.json: missing {missing:?}, unexpected {unexpected:?}, wrong shape {misshapen:?}"
    )]
    Tensors {
        /// The folder.
        path: PathBuf,
        /// Names that config.json asks for and no file has.
        missing: Vec<String>,
        /// Names that the files have and config.json has no place for.
        unexpected: Vec<String>,
        /// Name, shape wanted, shape found.
        misshapen: Vec<String>,
    },
    /// The target folder is there already.
    #[error("{path}: exists; choose another --out")]
    Exists {
        /// The folder.
        path: PathBuf,
    },
}

/// Names the path of a system error.
pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { path, source }
}
