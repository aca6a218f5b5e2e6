//! Why a JPEG stream cannot be decoded.

/// Result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why a JPEG stream cannot be decoded. The caller knows which file it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The data ends before the picture does.
    #[error("the file ends too early: copy it again from its source")]
    Truncated,
    /// Something that the standard does not allow.
    #[error("{0}")]
    Damaged(&'static str),
    /// Something that the standard allows and that is not read here.
    #[error("{what} {value} is not read; convert it to a baseline JPEG or to PNG")]
    Unsupported {
        /// What it is.
        what: &'static str,
        /// What the file has of it.
        value: String,
    },
    /// More pixels than the caller allows.
    #[error("has {pixels} pixels, the limit is {max_pixels}")]
    TooLarge {
        /// Pixels that the header declares.
        pixels: u64,
        /// The limit.
        max_pixels: u64,
    },
}
