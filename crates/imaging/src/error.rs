//! Why a scan could not be read.

use crate::sniff::FileKind;
use std::path::{Path, PathBuf};

/// Result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why a scan could not be read: each names the file, the field and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    #[error("{path}: cannot be read: {source}", path = .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file has no bytes.
    #[error("{path}: the file is empty (0 bytes); copy it again from its source", path = .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The content is none of the formats that are read.
    #[error(
        "{path}: not an image: the content is none of DICOM, NIfTI, NRRD, MetaImage, PNG, JPEG, TIFF, BMP, WebP; remove it or convert it",
        path = .path.display()
    )]
    NotAnImage {
        /// The file.
        path: PathBuf,
    },
    /// The content is an image, but of a kind that cannot serve here.
    #[error("{path}: is a {found} file where {expected} is needed", path = .path.display(), found = .found.key())]
    WrongKind {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: FileKind,
        /// What was needed.
        expected: &'static str,
    },
    /// The file asks for more than [`Limits`](crate::Limits) allow.
    #[error("{path}: {what} is {found}, the limit is {limit}; raise the limit if the file can be trusted", path = .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What is too large, with its unit.
        what: &'static str,
        /// What the file asks for.
        found: u64,
        /// What is allowed.
        limit: u64,
    },
    /// The file ends before the data that its header promises.
    #[error(
        "{path}: truncated: {field} needs {needed} bytes, {available} are there; copy the file again from its source",
        path = .path.display()
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// The part that is cut off.
        field: String,
        /// Bytes promised.
        needed: u64,
        /// Bytes present.
        available: u64,
    },
    /// A field holds what the format does not allow.
    #[error("{path}: {field}: {reason}; export the file again or leave it out", path = .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The field.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A DICOM attribute that the image needs is absent.
    #[error("{path}: missing attribute {name}; the file holds no image that can be shown", path = .path.display())]
    MissingAttribute {
        /// The file.
        path: PathBuf,
        /// DICOM keyword.
        name: &'static str,
    },
    /// The format allows it, this program does not read it.
    #[error("{path}: {field} {value} is not supported; {remedy}", path = .path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// What the field holds.
        value: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Compressed pixels could not be decoded.
    #[error("{path}: pixel data cannot be decoded ({reason}); the file is damaged or uses a rare encoding", path = .path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        reason: String,
    },
    /// The process that decoded the file was ended, or ended itself.
    #[error(
        "{path}: decoding was stopped: {reason}; if the file can be trusted, give decoding more memory or time, else leave it out",
        path = .path.display()
    )]
    DecodingStopped {
        /// The file.
        path: PathBuf,
        /// What it exceeded, or how the process ended.
        reason: String,
    },
    /// No process for decoding could be started.
    #[error("{program}: no decoding process could be started: {source}", program = .program.display())]
    NoDecodingProcess {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Files that were given as one series do not belong together.
    #[error(
        "{path}: {field} is {found}, the first file of the series has {expected}; give each series (or orientation) on its own",
        path = .path.display()
    )]
    MixedSeries {
        /// The file that differs.
        path: PathBuf,
        /// DICOM keyword of what differs.
        field: &'static str,
        /// Value of the first file.
        expected: String,
        /// Value of this file.
        found: String,
    },
    /// Slices are missing between two files of a series.
    #[error(
        "{path}: gap of {gap_mm:.2} mm before this slice where slices are {spacing_mm:.2} mm apart; find the missing files or give the parts as separate series",
        path = .path.display()
    )]
    SliceGap {
        /// The first file after the gap.
        path: PathBuf,
        /// Distance to the slice before, in mm.
        gap_mm: f64,
        /// Usual distance, in mm.
        spacing_mm: f64,
    },
    /// A folder was to be shown as one volume but holds none or several.
    #[error("{path}: {count} DICOM series in this folder, exactly one is needed; name the files or the series' own folder", path = .path.display())]
    SeriesCount {
        /// The folder.
        path: PathBuf,
        /// Series found.
        count: usize,
    },
    /// A slice was asked for that is not there.
    #[error("{path}: no {axis} slice {index}, there are {count} (from 0)", path = .path.display())]
    NoSlice {
        /// The file.
        path: PathBuf,
        /// Key of the axis.
        axis: &'static str,
        /// Index asked for.
        index: usize,
        /// Slices along that axis; 0 when the file holds a plain picture.
        count: usize,
    },
}

impl Error {
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Error {
        Error::Io { path: path.into(), source }
    }

    pub(crate) fn malformed(path: &Path, field: impl Into<String>, reason: impl Into<String>) -> Error {
        Error::Malformed { path: path.into(), field: field.into(), reason: reason.into() }
    }

    pub(crate) fn decode(path: &Path, reason: impl std::fmt::Display) -> Error {
        Error::Decode { path: path.into(), reason: reason.to_string() }
    }
}
