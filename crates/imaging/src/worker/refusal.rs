//! A refusal on its way between processes: an [`Error`] without its path, which the client knows better.

use crate::error::Error;
use crate::sniff::FileKind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;

/// Names of fields, limits and remedies that are kept; the readers have some dozens.
const MAX_NAMES: usize = 512;
/// Longest of them, in bytes.
const MAX_NAME_BYTES: usize = 256;

/// Why a decoding process read no image.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Refusal {
    Io(String),
    Empty,
    NotAnImage,
    WrongKind { found: FileKind, expected: String },
    TooLarge { what: String, found: u64, limit: u64 },
    Truncated { field: String, needed: u64, available: u64 },
    Malformed { field: String, reason: String },
    MissingAttribute { name: String },
    Unsupported { field: String, value: String, remedy: String },
    Decode { reason: String },
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        match error {
            Error::Io { source, .. } => Refusal::Io(source.to_string()),
            Error::Empty { .. } => Refusal::Empty,
            Error::NotAnImage { .. } => Refusal::NotAnImage,
            Error::WrongKind { found, expected, .. } => Refusal::WrongKind { found, expected: expected.into() },
            Error::TooLarge { what, found, limit, .. } => Refusal::TooLarge { what: what.into(), found, limit },
            Error::Truncated { field, needed, available, .. } => Refusal::Truncated { field, needed, available },
            Error::Malformed { field, reason, .. } => Refusal::Malformed { field, reason },
            Error::MissingAttribute { name, .. } => Refusal::MissingAttribute { name: name.into() },
            Error::Unsupported { field, value, remedy, .. } => {
                Refusal::Unsupported { field: field.into(), value, remedy: remedy.into() }
            }
            Error::Decode { reason, .. } => Refusal::Decode { reason },
            // What is said of several files is found by the client, never by the process.
            other => Refusal::Decode { reason: other.to_string() },
        }
    }
}

impl Refusal {
    /// The error for the file at `path`: the same text as if it had been decoded here.
    pub(crate) fn into_error(self, path: &Path) -> Error {
        let path = path.to_path_buf();
        match self {
            Refusal::Io(reason) => Error::Io { path, source: std::io::Error::other(reason) },
            Refusal::Empty => Error::Empty { path },
            Refusal::NotAnImage => Error::NotAnImage { path },
            Refusal::WrongKind { found, expected } => Error::WrongKind { path, found, expected: kept(&expected) },
            Refusal::TooLarge { what, found, limit } => Error::TooLarge { path, what: kept(&what), found, limit },
            Refusal::Truncated { field, needed, available } => Error::Truncated { path, field, needed, available },
            Refusal::Malformed { field, reason } => Error::Malformed { path, field, reason },
            Refusal::MissingAttribute { name } => Error::MissingAttribute { path, name: kept(&name) },
            Refusal::Unsupported { field, value, remedy } => {
                Error::Unsupported { path, field: kept(&field), value, remedy: kept(&remedy) }
            }
            Refusal::Decode { reason } => Error::Decode { path, reason },
        }
    }
}

/// The same text for as long as the program runs. The readers know few such texts; a process that invents others to fill
/// our memory gets one for all of them.
fn kept(text: &str) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(known) = names.get(text) {
        return known;
    }
    if names.len() >= MAX_NAMES || text.len() > MAX_NAME_BYTES {
        return "something that the decoding process does not name";
    }
    let kept: &'static str = Box::leak(text.into());
    names.insert(kept);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_reads_as_the_error_that_it_was() {
        let path = || Path::new("a.dcm").to_path_buf();
        let errors = [
            Error::Empty { path: path() },
            Error::WrongKind { path: path(), found: FileKind::Png, expected: "a NIfTI label map" },
            Error::TooLarge { path: path(), what: "image size in pixels", found: 9, limit: 8 },
            Error::Truncated { path: path(), field: "PixelData".into(), needed: 9, available: 8 },
            Error::MissingAttribute { path: path(), name: "Rows" },
            Error::Unsupported { path: path(), field: "BitsAllocated", value: "7".into(), remedy: "convert it" },
            Error::decode(&path(), "bad code"),
            Error::Io { path: path(), source: std::io::Error::other("unplugged") },
        ];
        for error in errors {
            let (told, kind) = (error.to_string(), std::mem::discriminant(&error));
            let back = Refusal::from(error).into_error(Path::new("a.dcm"));
            assert_eq!((back.to_string(), std::mem::discriminant(&back)), (told, kind));
        }
    }

    #[test]
    fn invented_names_are_not_kept() {
        assert_eq!(kept(&"x".repeat(MAX_NAME_BYTES + 1)), "something that the decoding process does not name");
    }
}
