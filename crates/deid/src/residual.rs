//! The second reader: searches finished bytes for what was removed, in every way it could be written.

use crate::dicom::{Identifier, IdentifierKind};
use crate::error::{Error, Result};
use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use std::collections::BTreeSet;

/// Identifiers of fewer letters are searched where no pixels are: in millions of random bytes three letters stand by chance.
const MIN_IN_PIXELS: usize = 7;
/// Shorter ones must stand as words of their own.
const MIN_WITHIN_WORDS: usize = 6;
/// Most identifiers of one search.
const MAX_PATTERNS: usize = 1_000_000;

/// How a text was written where it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Encoding {
    /// UTF-8 or ASCII.
    Utf8,
    /// ISO 8859-1.
    Latin1,
    /// UTF-16, low byte first.
    Utf16Le,
    /// UTF-16, high byte first.
    Utf16Be,
}

/// An identifier that is still there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Residue {
    /// The identifier.
    pub identifier: Identifier,
    /// How it is written.
    pub encoding: Encoding,
    /// Byte at which it begins.
    pub at: usize,
}

/// Searches bytes for identifiers.
pub struct Search {
    automaton: AhoCorasick,
    patterns: Vec<(Identifier, Encoding)>,
}

impl Search {
    /// For these identifiers, each in UTF-8, Latin-1 and UTF-16 of both byte orders; letters of ASCII in any case.
    pub fn new<'i>(identifiers: impl IntoIterator<Item = &'i Identifier>) -> Result<Search> {
        let mut patterns = Vec::new();
        let mut bytes: Vec<Vec<u8>> = Vec::new();
        let mut seen = BTreeSet::new();
        for identifier in identifiers {
            for (encoding, pattern) in written(&identifier.text) {
                if pattern.len() >= 3 && seen.insert(pattern.clone()) {
                    patterns.push((identifier.clone(), encoding));
                    bytes.push(pattern);
                }
            }
            if patterns.len() > MAX_PATTERNS {
                let (found, limit) = (patterns.len() as u64, MAX_PATTERNS as u64);
                return Err(Error::TooLarge { what: "number of identifiers to search for", found, limit });
            }
        }
        let kind = if bytes.len() > 5000 { AhoCorasickKind::ContiguousNFA } else { AhoCorasickKind::NoncontiguousNFA };
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .kind(Some(kind))
            .build(&bytes);
        let automaton = automaton.map_err(|error| Error::malformed("identifiers", error.to_string()))?;
        Ok(Search { automaton, patterns })
    }

    /// All identifiers in bytes that hold no pixels.
    pub fn in_header(&self, bytes: &[u8]) -> Vec<Residue> {
        self.find(bytes, 0)
    }

    /// Longer identifiers in bytes that hold pixels.
    pub fn in_file(&self, bytes: &[u8]) -> Vec<Residue> {
        self.find(bytes, MIN_IN_PIXELS)
    }

    fn find(&self, bytes: &[u8], min_length: usize) -> Vec<Residue> {
        let mut found = BTreeSet::new();
        for hit in self.automaton.find_overlapping_iter(bytes) {
            let (identifier, encoding) = &self.patterns[hit.pattern().as_usize()];
            let letters = identifier.text.chars().count();
            let is_number = identifier.kind != IdentifierKind::Name && identifier.kind != IdentifierKind::Text;
            let alone = letters >= MIN_WITHIN_WORDS && !is_number;
            if letters >= min_length && (alone || stands_alone(bytes, hit.start(), hit.end(), *encoding)) {
                found.insert(Residue { identifier: identifier.clone(), encoding: *encoding, at: hit.start() });
            }
        }
        found.into_iter().collect()
    }
}

/// Whether no ASCII letter or digit touches the place.
fn stands_alone(bytes: &[u8], start: usize, end: usize, encoding: Encoding) -> bool {
    let joins = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let (before, after) = match encoding {
        Encoding::Utf8 | Encoding::Latin1 => (start.checked_sub(1), end),
        Encoding::Utf16Le => (start.checked_sub(2), end),
        Encoding::Utf16Be => (start.checked_sub(1), end + 1),
    };
    !(before.is_some_and(|at| joins(bytes.get(at))) || joins(bytes.get(after)))
}

fn written(text: &str) -> Vec<(Encoding, Vec<u8>)> {
    let wide = |bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect();
    let mut written = vec![
        (Encoding::Utf8, text.as_bytes().to_vec()),
        (Encoding::Utf16Le, wide(u16::to_le_bytes)),
        (Encoding::Utf16Be, wide(u16::to_be_bytes)),
    ];
    let latin: Option<Vec<u8>> = text.chars().map(|letter| u8::try_from(u32::from(letter)).ok()).collect();
    written.extend(latin.map(|bytes| (Encoding::Latin1, bytes)));
    written
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn search(kind: IdentifierKind, text: &str) -> Search {
        Search::new(&[Identifier { kind, text: text.into() }]).unwrap()
    }

    #[test]
    fn every_way_of_writing_is_found() {
        let search = search(IdentifierKind::Name, "Müller");
        for bytes in [&b"xM\xFCllerx"[..], "MÜLLER Müller".as_bytes(), &utf16("Müller")] {
            assert!(!search.in_header(bytes).is_empty());
        }
        assert!(search.in_header(b"Miller").is_empty());
    }

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn short_and_numeric_ones_count_only_alone() {
        assert!(search(IdentifierKind::Name, "Ann").in_header(b"Annotation").is_empty());
        assert_eq!(search(IdentifierKind::Name, "Ann").in_header(b"^ANN^").len(), 1);
        assert!(search(IdentifierKind::Number, "123456").in_header(b"0.91234567").is_empty());
        assert_eq!(search(IdentifierKind::Number, "123456").in_header(b"#123456 ").len(), 1);
        assert!(search(IdentifierKind::Name, "Ann").in_file(b"^ANN^").is_empty());
    }
}
