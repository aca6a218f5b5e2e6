//! Why made-up data could not be written.

use std::path::{Path, PathBuf};

/// Result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why made-up data could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    #[error("{path}: cannot be written: {source}; choose a folder with room and write permission", path = .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The values do not make a file of that format.
    #[error("{path}: cannot be encoded: {reason}; check sizes and value counts", path = .path.display())]
    Encode {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl Error {
    pub(crate) fn encode(path: &Path, reason: impl std::fmt::Display) -> Error {
        Error::Encode { path: path.into(), reason: reason.to_string() }
    }
}

/// Writes a whole file, making its folders.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    make_folder_of(path)?;
    std::fs::write(path, bytes).map_err(|source| Error::Io { path: path.into(), source })
}

pub(crate) fn make_folder_of(path: &Path) -> Result<()> {
    match path.parent() {
        Some(folder) => std::fs::create_dir_all(folder).map_err(|source| Error::Io { path: folder.into(), source }),
        None => Ok(()),
    }
}
