//! A DICOM file in memory: its transfer syntax, its attributes by tag, the bytes of its pixels.
//!
//! More is read than dicom-object accepts: files without preamble, without meta group or without a transfer syntax.

use crate::elements::{Elements, Extent, MAX_ELEMENTS, Reader, name_of};
use crate::error::{Error, Result};
use crate::limits::Limits;
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use flate2::read::DeflateDecoder;
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::path::{Path, PathBuf};

const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
const IMPLICIT_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2";
const EXPLICIT_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1";
const EXPLICIT_BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";

/// First part of a file that usually holds the whole header, in bytes.
pub(crate) const HEADER_BYTES: u64 = 256 << 10;

/// A DICOM file in memory with the places of its elements.
pub(crate) struct DicomFile {
    pub(crate) path: PathBuf,
    bytes: Vec<u8>,
    big_endian: bool,
    pub(crate) transfer_syntax: String,
    elements: Elements,
}

impl DicomFile {
    /// Reads everything before the pixels, usually without touching the rest of the file.
    pub(crate) fn read_header(path: &Path, limits: &Limits) -> Result<DicomFile> {
        let length = limits.check_file(path)?;
        if length > HEADER_BYTES {
            let file = std::fs::File::open(path).map_err(|source| Error::io(path, source))?;
            let mut head = Vec::new();
            file.take(HEADER_BYTES).read_to_end(&mut head).map_err(|source| Error::io(path, source))?;
            if let Ok(header) = DicomFile::parse(path, head, limits, Extent::Header) {
                return Ok(header);
            }
        }
        let bytes = std::fs::read(path).map_err(|source| Error::io(path, source))?;
        DicomFile::parse(path, bytes, limits, Extent::Header)
    }

    /// Takes the part of bytes before the pixels apart.
    pub(crate) fn header_from_bytes(path: &Path, bytes: Vec<u8>, limits: &Limits) -> Result<DicomFile> {
        DicomFile::parse(path, bytes, limits, Extent::Header)
    }

    /// Takes apart what says how large the pixels are. Only attributes of the image pixel group can be asked for.
    pub(crate) fn sizes_from_bytes(path: &Path, bytes: Vec<u8>, limits: &Limits) -> Result<DicomFile> {
        DicomFile::parse(path, bytes, limits, Extent::Sizes)
    }

    /// Where the value of uncompressed pixels begins and ends, as the file claims it; `None` when they are compressed.
    pub(crate) fn claimed_pixels(&self) -> Option<std::ops::Range<u64>> {
        let element = self.elements.get(&self.pixel_tag())?;
        element.fragments.is_none().then_some(element.value.start as u64..element.value.end as u64)
    }

    /// Reads the whole file.
    pub(crate) fn read(path: &Path, limits: &Limits) -> Result<DicomFile> {
        limits.check_file(path)?;
        DicomFile::from_bytes(path, std::fs::read(path).map_err(|source| Error::io(path, source))?, limits)
    }

    /// Takes bytes apart that were read elsewhere.
    pub(crate) fn from_bytes(path: &Path, bytes: Vec<u8>, limits: &Limits) -> Result<DicomFile> {
        DicomFile::parse(path, bytes, limits, Extent::Whole)
    }

    fn parse(path: &Path, mut bytes: Vec<u8>, limits: &Limits, extent: Extent) -> Result<DicomFile> {
        let mut start = if bytes.get(128..132) == Some(b"DICM") { 132 } else { 0 };
        let (meta, meta_end) = read_meta(path, &bytes, start)?;
        start = meta_end;
        let declared = meta.get(&tags::TRANSFER_SYNTAX_UID).map(|element| text_of(&bytes[element.value.clone()]));
        let transfer_syntax = match declared {
            Some(uid) if !uid.is_empty() => uid,
            _ => guess_transfer_syntax(&bytes[start..]).to_string(),
        };
        if transfer_syntax == DEFLATED && extent == Extent::Sizes {
            // What is inside is seen by the one who inflates it.
            let elements = Elements::new();
            return Ok(DicomFile { path: path.into(), bytes, big_endian: false, transfer_syntax, elements });
        }
        if transfer_syntax == DEFLATED {
            bytes = inflate(path, &bytes[start..], limits)?;
            start = 0;
        }
        let explicit = transfer_syntax != IMPLICIT_LITTLE_ENDIAN;
        let big_endian = transfer_syntax == EXPLICIT_BIG_ENDIAN;
        let mut reader =
            Reader { path, bytes: &bytes, position: start, explicit, big_endian, remaining: MAX_ELEMENTS, extent };
        let elements = reader.elements(bytes.len(), 0)?;
        if elements.is_empty() {
            return Err(Error::malformed(path, "data set", "holds no data element"));
        }
        Ok(DicomFile { path: path.into(), bytes, big_endian, transfer_syntax, elements })
    }

    /// The attributes outside any sequence.
    pub(crate) fn root(&self) -> Attributes<'_> {
        Attributes { file: self, elements: &self.elements }
    }

    /// What kind of numbers the pixels are: the element that holds them tells.
    pub(crate) fn pixel_number(&self) -> Number {
        let has = |tag| self.elements.contains_key(&tag);
        match has(tags::PIXEL_DATA) {
            false if has(tags::FLOAT_PIXEL_DATA) => Number::Float,
            false if has(tags::DOUBLE_FLOAT_PIXEL_DATA) => Number::Double,
            _ => Number::Whole,
        }
    }

    fn pixel_tag(&self) -> Tag {
        match self.pixel_number() {
            Number::Whole => tags::PIXEL_DATA,
            Number::Float => tags::FLOAT_PIXEL_DATA,
            Number::Double => tags::DOUBLE_FLOAT_PIXEL_DATA,
        }
    }

    /// Bytes of the pixel element.
    pub(crate) fn pixel_data(&self) -> Option<PixelData<'_>> {
        let element = self.elements.get(&self.pixel_tag())?;
        Some(match &element.fragments {
            Some(fragments) => PixelData::Fragments(fragments.iter().map(|range| &self.bytes[range.clone()]).collect()),
            None => PixelData::Native {
                bytes: &self.bytes[element.value.clone()],
                big_endian: self.big_endian,
                words: element.vr == *b"OW",
            },
        })
    }

    pub(crate) fn malformed(&self, tag: Tag, reason: impl Into<String>) -> Error {
        Error::malformed(&self.path, name_of(tag), reason)
    }
}

/// Kinds of numbers that pixels are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Number {
    /// Whole numbers of the bits that the attributes name.
    Whole,
    /// FloatPixelData, 32 bits.
    Float,
    /// DoubleFloatPixelData, 64 bits.
    Double,
}

/// The bytes of the pixel element as stored.
pub(crate) enum PixelData<'a> {
    /// Uncompressed.
    Native { bytes: &'a [u8], big_endian: bool, words: bool },
    /// Compressed: the offset table, then the fragments.
    Fragments(Vec<&'a [u8]>),
}

/// The attributes of the data set or of one item of a sequence.
#[derive(Clone, Copy)]
pub(crate) struct Attributes<'a> {
    file: &'a DicomFile,
    elements: &'a Elements,
}

impl<'a> Attributes<'a> {
    pub(crate) fn bytes(&self, tag: Tag) -> Option<&'a [u8]> {
        let element = self.elements.get(&tag)?;
        Some(&self.file.bytes[element.value.clone()]).filter(|bytes| !bytes.is_empty())
    }

    pub(crate) fn has(&self, tag: Tag) -> bool {
        self.elements.contains_key(&tag)
    }

    /// The tags that are there, in order.
    pub(crate) fn tags(&self) -> impl Iterator<Item = Tag> {
        self.elements.keys().copied()
    }

    /// A text value; `None` when absent or blank.
    pub(crate) fn text(&self, tag: Tag) -> Option<String> {
        self.bytes(tag).map(text_of).filter(|text| !text.is_empty())
    }

    /// Unsigned 16-bit values (VR US, and AT, OW read as words).
    pub(crate) fn shorts(&self, tag: Tag) -> Vec<u16> {
        let pair = |bytes: &[u8]| {
            let bytes = [bytes[0], bytes[1]];
            if self.file.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
        };
        self.bytes(tag).map(|bytes| bytes.chunks_exact(2).map(pair).collect()).unwrap_or_default()
    }

    /// The first unsigned 16-bit value.
    pub(crate) fn short(&self, tag: Tag) -> Option<u16> {
        self.shorts(tag).first().copied()
    }

    /// Numbers written as text (VR DS, IS); `None` when absent or when one of them is not a finite number.
    pub(crate) fn decimals(&self, tag: Tag) -> Option<Vec<f64>> {
        let parse = |part: &str| part.trim().parse::<f64>().ok().filter(|value| value.is_finite());
        self.text(tag)?.split('\\').map(parse).collect()
    }

    /// The first number of a DS or IS value.
    pub(crate) fn decimal(&self, tag: Tag) -> Option<f64> {
        self.decimals(tag)?.first().copied()
    }

    /// Exactly `N` numbers of a DS value.
    pub(crate) fn decimal_array<const N: usize>(&self, tag: Tag) -> Option<[f64; N]> {
        self.decimals(tag)?.try_into().ok()
    }

    /// The first double (VR FD).
    pub(crate) fn double(&self, tag: Tag) -> Option<f64> {
        let bytes = self.bytes(tag)?.first_chunk::<8>()?;
        let value = if self.file.big_endian { f64::from_be_bytes(*bytes) } else { f64::from_le_bytes(*bytes) };
        value.is_finite().then_some(value)
    }

    /// The first unsigned 32-bit value (VR UL).
    pub(crate) fn long(&self, tag: Tag) -> Option<u32> {
        let bytes = self.bytes(tag)?.first_chunk::<4>()?;
        Some(if self.file.big_endian { u32::from_be_bytes(*bytes) } else { u32::from_le_bytes(*bytes) })
    }

    /// One item of a sequence.
    pub(crate) fn item(&self, tag: Tag, index: usize) -> Option<Attributes<'a>> {
        let elements = self.elements.get(&tag)?.items.get(index)?;
        Some(Attributes { file: self.file, elements })
    }

    /// The items of a sequence; none when it is absent.
    pub(crate) fn items(&self, tag: Tag) -> Vec<Attributes<'a>> {
        let items = self.elements.get(&tag).map(|element| element.items.as_slice()).unwrap_or_default();
        items.iter().map(|elements| Attributes { file: self.file, elements }).collect()
    }
}

/// Whether a file without the DICOM preamble begins with two plausible elements of group 8 or 2.
pub(crate) fn looks_like_bare_data_set(head: &[u8]) -> bool {
    let syntax = guess_transfer_syntax(head);
    let big_endian = syntax == EXPLICIT_BIG_ENDIAN;
    let explicit = syntax != IMPLICIT_LITTLE_ENDIAN;
    let path = Path::new("");
    let mut reader =
        Reader { path, bytes: head, position: 0, explicit, big_endian, remaining: 4, extent: Extent::Header };
    let mut last = Tag(0, 0);
    for _ in 0..2 {
        let Ok(header) = reader.header() else { return false };
        let expected_group = matches!(header.tag.0, 0x0002 | 0x0008);
        if !expected_group || header.tag <= last || header.length as usize > head.len() {
            return false;
        }
        last = header.tag;
        reader.position += header.length as usize;
    }
    true
}

/// The file meta group (always explicit little endian); it ends where the group number changes.
fn read_meta(path: &Path, bytes: &[u8], start: usize) -> Result<(Elements, usize)> {
    let mut reader = Reader {
        path,
        bytes,
        position: start,
        explicit: true,
        big_endian: false,
        remaining: MAX_ELEMENTS,
        extent: Extent::Whole,
    };
    let mut meta = Elements::new();
    while bytes.get(reader.position..reader.position + 2) == Some(&[2, 0]) {
        let header = reader.header()?;
        reader.count_element()?;
        let element = reader.value(&header, bytes.len(), 0)?;
        meta.insert(header.tag, element);
    }
    Ok((meta, reader.position))
}

/// Told from the first element: a VR in letters means explicit, a group number in the second byte means big endian.
fn guess_transfer_syntax(bytes: &[u8]) -> &'static str {
    let explicit = bytes.get(4..6).is_some_and(|vr| vr.iter().all(u8::is_ascii_uppercase));
    match (explicit, bytes.first()) {
        (true, Some(0)) => EXPLICIT_BIG_ENDIAN,
        (true, _) => EXPLICIT_LITTLE_ENDIAN,
        (false, _) => IMPLICIT_LITTLE_ENDIAN,
    }
}

fn inflate(path: &Path, compressed: &[u8], limits: &Limits) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut decoder = DeflateDecoder::new(compressed).take(limits.max_file_bytes.saturating_add(1));
    decoder.read_to_end(&mut bytes).map_err(|error| Error::decode(path, error))?;
    if bytes.len() as u64 > limits.max_file_bytes {
        let (found, limit) = (bytes.len() as u64, limits.max_file_bytes);
        return Err(Error::TooLarge { path: path.into(), what: "inflated size in bytes", found, limit });
    }
    Ok(bytes)
}

/// Text without the padding. UTF-8 where it is valid, else Latin-1: identifiers and keywords are ASCII.
fn text_of(bytes: &[u8]) -> String {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.to_string(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    };
    text.trim_matches(|c: char| c == '\0' || c.is_whitespace()).to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Result<DicomFile> {
        DicomFile::from_bytes(Path::new("made-up.dcm"), bytes.to_vec(), &Limits::default())
    }

    /// Explicit little endian, Rows = 5.
    const ROWS: [u8; 10] = [0x28, 0, 0x10, 0, b'U', b'S', 2, 0, 5, 0];

    #[test]
    fn bare_data_set_is_read_with_a_guessed_syntax() {
        let file = parse(&ROWS).unwrap();
        assert_eq!((file.transfer_syntax.as_str(), file.root().short(tags::ROWS)), (EXPLICIT_LITTLE_ENDIAN, Some(5)));
        let implicit = [0x28, 0, 0x10, 0, 2, 0, 0, 0, 5, 0];
        assert_eq!(parse(&implicit).unwrap().root().short(tags::ROWS), Some(5));
        let big_endian = [0, 0x28, 0, 0x10, b'U', b'S', 0, 2, 0, 5];
        assert_eq!(parse(&big_endian).unwrap().root().short(tags::ROWS), Some(5));
    }

    #[test]
    fn claimed_length_beyond_the_file_is_truncated() {
        let mut bytes = ROWS.to_vec();
        bytes.extend([0xE0, 0x7F, 0x10, 0, b'O', b'W', 0, 0, 0xF0, 0xFF, 0xFF, 0xFF]);
        let error = parse(&bytes).err().unwrap();
        assert!(
            matches!(&error, Error::Truncated { field, needed: 0xFFFF_FFF0, .. } if field == "PixelData"),
            "{error}"
        );
    }

    #[test]
    fn endless_nesting_is_refused() {
        let mut bytes = Vec::new();
        for _ in 0..100_000 {
            bytes.extend([0x08, 0, 0x40, 0x11, b'S', b'Q', 0, 0, 0xFF, 0xFF, 0xFF, 0xFF]);
            bytes.extend([0xFE, 0xFF, 0x00, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF]);
        }
        assert!(parse(&bytes).is_err());
    }

    #[test]
    fn any_prefix_of_a_file_ends_without_panic() {
        let mut bytes = ROWS.to_vec();
        bytes.extend([0xE0, 0x7F, 0x10, 0, b'O', b'B', 0, 0, 0xFF, 0xFF, 0xFF, 0xFF]);
        bytes.extend([0xFE, 0xFF, 0x00, 0xE0, 0, 0, 0, 0, 0xFE, 0xFF, 0x00, 0xE0, 2, 0, 0, 0, 1, 2]);
        for end in 0..bytes.len() {
            let _ = parse(&bytes[..end]);
        }
        assert!(matches!(parse(&bytes).unwrap().pixel_data(), Some(PixelData::Fragments(parts)) if parts.len() == 2));
    }
}
