//! Why an archive was not unpacked.

use std::path::{Path, PathBuf};

/// Result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why an archive was not unpacked; nothing of it is left on disk.
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
    /// The content is no archive that is read.
    #[error("{path}: not a zip, tar or tar.gz file; unpack it with the program that made it", path = .path.display())]
    NotAnArchive {
        /// The file.
        path: PathBuf,
    },
    /// The folder to unpack into exists already.
    #[error("{path}: exists already; remove it or name another folder", path = .path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// An entry's name leads out of the folder, or is no name of a file.
    #[error("{path}: entry {entry:?}: {reason}; such an archive is not unpacked", path = .path.display())]
    Name {
        /// The archive.
        path: PathBuf,
        /// The entry, as far as it can be shown.
        entry: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The archive is larger than allowed, once unpacked.
    #[error("{path}: {what} is above {limit}; if the archive can be trusted, unpack it by hand and name the folder", path = .path.display())]
    TooLarge {
        /// The archive.
        path: PathBuf,
        /// What is too large, with its unit.
        what: &'static str,
        /// What is allowed.
        limit: u64,
    },
    /// The archive contradicts itself or its format.
    #[error("{path}: {place}: {reason}; copy the archive again from its source", path = .path.display())]
    Malformed {
        /// The archive.
        path: PathBuf,
        /// The part of it.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_path_buf();
        |source| Error::Io { path, source }
    }

    pub(crate) fn malformed(path: &Path, place: impl Into<String>, reason: impl Into<String>) -> Error {
        Error::Malformed { path: path.into(), place: place.into(), reason: reason.into() }
    }
}
