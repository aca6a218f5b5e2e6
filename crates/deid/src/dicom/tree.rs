//! A DICOM file as a tree of elements: everything is seen, nothing is decoded, no length is trusted.
//!
//! `imaging` steps over what it needs not; here each sequence is walked to its end. Encoding: PS3.5, chapter 7.

use crate::error::{Error, Result};
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry, VirtualVr};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;
use flate2::read::DeflateDecoder;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read;

pub(super) const ITEM: Tag = Tag(0xFFFE, 0xE000);
pub(super) const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
pub(super) const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);
pub(super) const UNDEFINED_LENGTH: u32 = u32::MAX;
const PIXEL_DATA: Tag = Tag(0x7FE0, 0x0010);
const TRANSFER_SYNTAX_UID: Tag = Tag(0x0002, 0x0010);

pub(super) const IMPLICIT_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2";
pub(super) const EXPLICIT_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1";
pub(super) const EXPLICIT_BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";
pub(super) const DEFLATED: &str = "1.2.840.10008.1.2.1.99";

/// Nesting deeper than this is an attack: real files stay below 10.
const MAX_DEPTH: usize = 32;
/// Elements and items of one file; the largest real headers have some hundred thousand.
const MAX_ELEMENTS: usize = 1_000_000;

/// Elements by tag: of the data set, or of one item.
pub(super) type DataSet<'a> = BTreeMap<Tag, Element<'a>>;

/// One element.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Element<'a> {
    /// Value representation in letters; the dictionary's where the file leaves it out, `UN` where that has none.
    pub(super) vr: [u8; 2],
    pub(super) value: Value<'a>,
}

/// What an element holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'a> {
    /// Bytes as stored.
    Bytes(Cow<'a, [u8]>),
    /// Items of a sequence.
    Items(Vec<DataSet<'a>>),
    /// Offset table and fragments of compressed pixels.
    Fragments(Vec<&'a [u8]>),
}

impl<'a> Element<'a> {
    pub(super) fn bytes(vr: &[u8; 2], bytes: Vec<u8>) -> Element<'a> {
        Element { vr: *vr, value: Value::Bytes(Cow::Owned(bytes)) }
    }

    pub(super) fn items(items: Vec<DataSet<'a>>) -> Element<'a> {
        Element { vr: *b"SQ", value: Value::Items(items) }
    }

    /// Bytes of a plain value; nothing for sequences and fragments.
    pub(super) fn plain(&self) -> &[u8] {
        match &self.value {
            Value::Bytes(bytes) => bytes,
            Value::Items(_) | Value::Fragments(_) => &[],
        }
    }
}

/// The bytes of a file with its transfer syntax, inflated where it was deflated.
pub(super) struct Source<'a> {
    bytes: Cow<'a, [u8]>,
    /// Where the data set begins.
    start: usize,
    pub(super) transfer_syntax: String,
}

impl<'a> Source<'a> {
    /// Finds the data set. The preamble and the file meta information hold nothing that is taken over but the syntax.
    pub(super) fn open(bytes: &'a [u8], max_bytes: u64) -> Result<Source<'a>> {
        let start = if bytes.get(128..132) == Some(b"DICM") { 132 } else { 0 };
        let mut reader = Reader { bytes, position: start, explicit: true, big_endian: false, remaining: MAX_ELEMENTS };
        let mut declared = None;
        while reader.bytes.get(reader.position..reader.position + 2) == Some(&[2, 0]) {
            let header = reader.header()?;
            let element = reader.value(&header, bytes.len(), 0)?;
            if header.tag == TRANSFER_SYNTAX_UID {
                declared = Some(String::from_utf8_lossy(element.plain()).trim_matches(['\0', ' ']).to_string());
            }
        }
        let start = reader.position;
        let rest = bytes.get(start..).unwrap_or_default();
        let transfer_syntax = declared.filter(|uid| !uid.is_empty()).unwrap_or_else(|| guess(rest).to_string());
        if transfer_syntax != DEFLATED {
            return Ok(Source { bytes: Cow::Borrowed(bytes), start, transfer_syntax });
        }
        Ok(Source { bytes: Cow::Owned(inflate(rest, max_bytes)?), start: 0, transfer_syntax })
    }

    pub(super) fn big_endian(&self) -> bool {
        self.transfer_syntax == EXPLICIT_BIG_ENDIAN
    }

    /// Every element.
    pub(super) fn data_set(&self) -> Result<DataSet<'_>> {
        let explicit = self.transfer_syntax != IMPLICIT_LITTLE_ENDIAN;
        let (bytes, big_endian) = (&*self.bytes, self.big_endian());
        let mut reader = Reader { bytes, position: self.start, explicit, big_endian, remaining: MAX_ELEMENTS };
        let elements = reader.elements(bytes.len(), 0)?;
        if elements.is_empty() {
            return Err(Error::malformed("data set", "holds no data element"));
        }
        Ok(elements)
    }
}

/// Told from the first element: a VR in letters means explicit, a group number in the second byte means big endian.
fn guess(bytes: &[u8]) -> &'static str {
    let explicit = bytes.get(4..6).is_some_and(|vr| vr.iter().all(u8::is_ascii_uppercase));
    match (explicit, bytes.first()) {
        (true, Some(0)) => EXPLICIT_BIG_ENDIAN,
        (true, _) => EXPLICIT_LITTLE_ENDIAN,
        (false, _) => IMPLICIT_LITTLE_ENDIAN,
    }
}

fn inflate(compressed: &[u8], max_bytes: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut decoder = DeflateDecoder::new(compressed).take(max_bytes.saturating_add(1));
    decoder.read_to_end(&mut bytes).map_err(|error| Error::malformed("deflated data set", error.to_string()))?;
    if bytes.len() as u64 > max_bytes {
        return Err(Error::TooLarge { what: "inflated size in bytes", found: bytes.len() as u64, limit: max_bytes });
    }
    Ok(bytes)
}

struct Header {
    tag: Tag,
    /// Zeros where the file leaves it out.
    vr: [u8; 2],
    length: u32,
}

struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
    explicit: bool,
    big_endian: bool,
    /// Elements that may still be read.
    remaining: usize,
}

impl<'a> Reader<'a> {
    fn elements(&mut self, end: usize, depth: usize) -> Result<DataSet<'a>> {
        if depth > MAX_DEPTH {
            return Err(Error::malformed("sequences", format!("nested more than {MAX_DEPTH} deep")));
        }
        let mut elements = DataSet::new();
        while end.saturating_sub(self.position) >= 8 {
            let header = self.header()?;
            if header.tag == ITEM_END || header.tag == SEQUENCE_END {
                return Ok(elements);
            }
            // Trailing zeros after the last element are common; they are not written again.
            if depth == 0 && header.tag.0 == 0 && !elements.is_empty() {
                break;
            }
            let element = self.value(&header, end, depth)?;
            elements.insert(header.tag, element);
        }
        Ok(elements)
    }

    fn value(&mut self, header: &Header, end: usize, depth: usize) -> Result<Element<'a>> {
        self.count()?;
        let vr = if header.vr == [0, 0] { standard_vr(header.tag).unwrap_or(*b"UN") } else { header.vr };
        if header.length == UNDEFINED_LENGTH {
            if header.tag == PIXEL_DATA {
                return Ok(Element { vr, value: Value::Fragments(self.fragments(end)?) });
            }
            if !matches!(&header.vr, b"SQ" | b"UN" | [0, 0]) {
                return Err(Error::malformed(name_of(header.tag), "has no length"));
            }
            let items = if header.vr == *b"UN" { self.implicit_items(end, depth)? } else { self.items(end, depth)? };
            return Ok(Element { vr: *b"SQ", value: Value::Items(items) });
        }
        let start = self.position;
        let value_end = self.advance(header.length, end, header.tag)?;
        let is_sequence = vr == *b"SQ" || (vr == *b"UN" && standard_vr(header.tag) == Some(*b"SQ"));
        if !is_sequence {
            return Ok(Element { vr, value: Value::Bytes(Cow::Borrowed(&self.bytes[start..value_end])) });
        }
        self.position = start;
        let items = if vr == *b"UN" { self.implicit_items(value_end, depth)? } else { self.items(value_end, depth)? };
        self.position = value_end;
        Ok(Element { vr: *b"SQ", value: Value::Items(items) })
    }

    /// PS3.5 6.2.2: what an element of unknown VR holds is implicit VR little endian.
    fn implicit_items(&mut self, end: usize, depth: usize) -> Result<Vec<DataSet<'a>>> {
        if self.big_endian {
            return Err(Error::Unsupported {
                what: "a sequence of unknown VR in a big endian file".into(),
                remedy: "convert the file to little endian first",
            });
        }
        let explicit = std::mem::replace(&mut self.explicit, false);
        let items = self.items(end, depth);
        self.explicit = explicit;
        items
    }

    fn items(&mut self, end: usize, depth: usize) -> Result<Vec<DataSet<'a>>> {
        let mut items = Vec::new();
        while end.saturating_sub(self.position) >= 8 {
            let (tag, length) = self.item_header()?;
            match tag {
                SEQUENCE_END => break,
                ITEM if length == UNDEFINED_LENGTH => {
                    self.count()?;
                    items.push(self.elements(end, depth + 1)?);
                }
                ITEM => {
                    self.count()?;
                    let start = self.position;
                    let item_end = self.advance(length, end, tag)?;
                    self.position = start;
                    items.push(self.elements(item_end, depth + 1)?);
                    self.position = item_end;
                }
                other => return Err(Error::malformed(name_of(other), "stands where an item should begin")),
            }
        }
        Ok(items)
    }

    /// Offset table and fragments of compressed pixels. A missing end delimiter is forgiven: the data is complete.
    fn fragments(&mut self, end: usize) -> Result<Vec<&'a [u8]>> {
        let mut fragments = Vec::new();
        while end.saturating_sub(self.position) >= 8 {
            let (tag, length) = self.item_header()?;
            if tag != ITEM {
                break;
            }
            self.count()?;
            let start = self.position;
            fragments.push(&self.bytes[start..self.advance(length, end, PIXEL_DATA)?]);
        }
        Ok(fragments)
    }

    fn count(&mut self) -> Result<()> {
        let limit = MAX_ELEMENTS as u64;
        let too_many = || Error::TooLarge { what: "number of data elements", found: limit + 1, limit };
        self.remaining = self.remaining.checked_sub(1).ok_or_else(too_many)?;
        Ok(())
    }

    /// Moves over `length` bytes, which must lie before `end`; gives the new position.
    fn advance(&mut self, length: u32, end: usize, tag: Tag) -> Result<usize> {
        let available = end.saturating_sub(self.position) as u64;
        if u64::from(length) > available {
            return Err(Error::Truncated { field: name_of(tag), needed: u64::from(length), available });
        }
        self.position += length as usize;
        Ok(self.position)
    }

    fn item_header(&mut self) -> Result<(Tag, u32)> {
        let explicit = std::mem::replace(&mut self.explicit, false);
        let header = self.header();
        self.explicit = explicit;
        header.map(|header| (header.tag, header.length))
    }

    fn header(&mut self) -> Result<Header> {
        let at = self.position;
        let fixed: [u8; 8] = self.take(at)?;
        let tag = Tag(self.u16([fixed[0], fixed[1]]), self.u16([fixed[2], fixed[3]]));
        let vr = [fixed[4], fixed[5]];
        self.position = at + 8;
        // Some writers fall back to implicit VR inside an explicit file; delimiters never have a VR.
        if !self.explicit || tag.0 == 0xFFFE || !vr.iter().all(u8::is_ascii_uppercase) {
            let length = self.u32([fixed[4], fixed[5], fixed[6], fixed[7]]);
            return Ok(Header { tag, vr: [0, 0], length });
        }
        if !has_long_length(vr) {
            return Ok(Header { tag, vr, length: u32::from(self.u16([fixed[6], fixed[7]])) });
        }
        let length: [u8; 4] = self.take(at + 8)?;
        self.position = at + 12;
        Ok(Header { tag, vr, length: self.u32(length) })
    }

    fn take<const N: usize>(&self, at: usize) -> Result<[u8; N]> {
        let available = self.bytes.len().saturating_sub(at) as u64;
        self.bytes.get(at..at + N).and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| Error::Truncated {
            field: "element header".into(),
            needed: N as u64,
            available,
        })
    }

    fn u16(&self, bytes: [u8; 2]) -> u16 {
        if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    }

    fn u32(&self, bytes: [u8; 4]) -> u32 {
        if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }
}

/// VRs whose length takes four bytes in explicit encoding (PS3.5 7.1.2).
pub(super) fn has_long_length(vr: [u8; 2]) -> bool {
    matches!(&vr, b"OB" | b"OD" | b"OF" | b"OL" | b"OV" | b"OW" | b"SQ" | b"SV" | b"UC" | b"UN" | b"UR" | b"UT" | b"UV")
}

/// VR of the standard's dictionary; of several possible ones the most general.
pub(super) fn standard_vr(tag: Tag) -> Option<[u8; 2]> {
    let entry = StandardDataDictionary.by_tag(tag)?;
    Some(match entry.vr() {
        VirtualVr::Exact(vr) => letters(vr),
        VirtualVr::Xs => *b"US",
        VirtualVr::Ox | VirtualVr::Px | VirtualVr::Lt => *b"OW",
        _ => *b"UN",
    })
}

fn letters(vr: VR) -> [u8; 2] {
    vr.to_bytes()
}

/// Keyword of an attribute, or its number.
pub(super) fn name_of(tag: Tag) -> String {
    match StandardDataDictionary.by_tag(tag) {
        Some(entry) => entry.alias().to_string(),
        None => format!("({:04X},{:04X})", tag.0, tag.1),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Result<usize> {
        let source = Source::open(bytes, 1 << 20)?;
        source.data_set().map(|elements| elements.len())
    }

    #[test]
    fn claimed_lengths_are_never_believed() {
        assert!(matches!(parse(&gmai_testkit::hostile::dicom_claiming_4_gib()), Err(Error::Truncated { .. })));
    }

    #[test]
    fn endless_nesting_is_refused() {
        let mut bytes = Vec::new();
        for _ in 0..100_000 {
            bytes.extend([0x08, 0, 0x40, 0x11, b'S', b'Q', 0, 0, 0xFF, 0xFF, 0xFF, 0xFF]);
            bytes.extend([0xFE, 0xFF, 0x00, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF]);
        }
        assert!(matches!(parse(&bytes), Err(Error::Malformed { .. })));
    }

    #[test]
    fn any_prefix_of_a_file_ends_without_panic() {
        let mut bytes = vec![0x28, 0, 0x10, 0, b'U', b'S', 2, 0, 5, 0];
        bytes.extend([0xE0, 0x7F, 0x10, 0, b'O', b'B', 0, 0, 0xFF, 0xFF, 0xFF, 0xFF]);
        bytes.extend([0xFE, 0xFF, 0x00, 0xE0, 0, 0, 0, 0, 0xFE, 0xFF, 0x00, 0xE0, 2, 0, 0, 0, 1, 2]);
        for end in 0..bytes.len() {
            let _ = parse(&bytes[..end]);
        }
        assert_eq!(parse(&bytes).unwrap(), 2);
    }

    #[test]
    fn deflate_bombs_end_at_the_limit() {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::Write::write_all(&mut encoder, &vec![0; 4 << 20]).unwrap();
        let mut bytes = vec![0; 128];
        bytes.extend(b"DICM\x02\0\x10\0UI\x16\x001.2.840.10008.1.2.1.99");
        bytes.extend(encoder.finish().unwrap());
        assert!(matches!(parse(&bytes), Err(Error::TooLarge { .. })));
    }
}
