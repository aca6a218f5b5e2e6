//! TIFF and whole-slide files: pixels and what is needed to read them are copied to their places, everything else becomes zeros.
//!
//! So texts, EXIF, GPS, thumbnails in other directories, and bytes that no directory names are gone by construction. Label and
//! macro pictures of slides show handwriting and stickers: they go too (Aperio SVS: directories that are stripped, not tiled).

use super::Stripped;
use crate::error::{Error, Result};

/// Tags that say how pixels are stored (TIFF 6.0, and the supplements for tiles and JPEG).
const STAY: [u16; 34] = [
    254, 255, 256, 257, 258, 259, 262, 263, 266, 273, 274, 277, 278, 279, 280, 281, 282, 283, 284, 292, 293, 296, 297,
    317, 318, 319, 320, 322, 323, 324, 325, 338, 339, 340,
];
const STAY_TOO: [u16; 8] = [341, 347, 512, 513, 529, 530, 531, 532];
const DESCRIPTION: u16 = 270;
const MAX_DIRECTORIES: usize = 100_000;

#[derive(Clone, Copy)]
struct Layout {
    big_endian: bool,
    /// BigTIFF: 8-byte offsets.
    big_tiff: bool,
}

#[derive(Clone)]
struct Entry {
    tag: u16,
    kind: u16,
    count: u64,
    /// Where the value lies.
    at: usize,
    length: usize,
    raw: Vec<u8>,
}

struct Directory {
    at: usize,
    entries: Vec<Entry>,
    /// Where the offset of the next one stands.
    next_at: usize,
    next: usize,
}

/// Leaves everything behind but the pixels of the main pictures; of an Aperio description magnification and pixel size stay.
pub fn clean_tiff(bytes: &[u8]) -> Result<Stripped> {
    let layout = layout_of(bytes)?;
    let reader = Reader { bytes, layout };
    let (first_at, mut next) = if layout.big_tiff { (8, reader.offset(8)?) } else { (4, reader.offset(4)?) };
    let mut out = Stripped { bytes: vec![0; bytes.len()], removed: Default::default() };
    out.bytes[..first_at].copy_from_slice(&bytes[..first_at]);
    let mut link_at = first_at;
    let mut seen = std::collections::BTreeSet::new();
    while next != 0 {
        if !seen.insert(next) || seen.len() > MAX_DIRECTORIES {
            return Err(Error::malformed("TIFF directories", "form a loop or are more than allowed"));
        }
        let directory = reader.directory(next)?;
        next = directory.next;
        let is_first = link_at == first_at;
        if !is_first && is_label(&reader, &directory) {
            out.note("label or macro picture");
            continue;
        }
        write_offset(&mut out.bytes, layout, link_at, directory.at);
        copy(&reader, &directory, &mut out)?;
        link_at = kept_next_at(layout, &directory, &out);
    }
    if link_at == first_at {
        return Err(Error::malformed("TIFF", "has no picture"));
    }
    write_offset(&mut out.bytes, layout, link_at, 0);
    Ok(out)
}

fn layout_of(bytes: &[u8]) -> Result<Layout> {
    let layout = match bytes.get(..4) {
        Some(b"II*\0") => Layout { big_endian: false, big_tiff: false },
        Some(b"MM\0*") => Layout { big_endian: true, big_tiff: false },
        Some(b"II+\0") => Layout { big_endian: false, big_tiff: true },
        Some(b"MM\0+") => Layout { big_endian: true, big_tiff: true },
        _ => return Err(Error::malformed("TIFF", "has no signature")),
    };
    if bytes.len() < 16 {
        return Err(truncated("header", 16, bytes.len()));
    }
    Ok(layout)
}

/// Whether a later directory shows a slide's sticker: stripped instead of tiled beside tiled ones, or named so.
fn is_label(reader: &Reader, directory: &Directory) -> bool {
    let description = text_of(reader, directory, DESCRIPTION).to_lowercase();
    let subfile = directory
        .entries
        .iter()
        .find(|entry| entry.tag == 254)
        .map_or(0, |entry| reader.number(&entry.raw, entry.kind));
    let aperio = description.starts_with("aperio");
    let named = ["label", "macro"].iter().any(|word| description.contains(word));
    subfile == 9 || (named && (aperio || subfile != 0))
}

fn text_of(reader: &Reader, directory: &Directory, tag: u16) -> String {
    let Some(entry) = directory.entries.iter().find(|entry| entry.tag == tag) else { return String::new() };
    let bytes = reader.bytes.get(entry.at..entry.at + entry.length.min(4096)).unwrap_or_default();
    String::from_utf8_lossy(bytes).trim_matches('\0').to_string()
}

fn stays(tag: u16) -> bool {
    STAY.contains(&tag) || STAY_TOO.contains(&tag)
}

/// Copies the entries that stay, their values and the pixels they point to.
fn copy(reader: &Reader, directory: &Directory, out: &mut Stripped) -> Result<()> {
    let layout = reader.layout;
    let mut kept: Vec<Vec<u8>> = Vec::new();
    for entry in &directory.entries {
        let safe =
            (entry.tag == DESCRIPTION).then(|| safe_description(&text_of(reader, directory, DESCRIPTION))).flatten();
        if let Some(text) = safe
            && text.len() < entry.length
            && entry.length > layout.inline()
        {
            // In the old place: the rest of it stays zero, and so ends the text.
            out.bytes[entry.at..entry.at + text.len()].copy_from_slice(text.as_bytes());
            kept.push(entry.raw.clone());
            out.note("description cut to magnification and pixel size");
        } else if stays(entry.tag) {
            if entry.length > layout.inline() {
                let range = entry.at..entry.at + entry.length;
                out.bytes[range.clone()].copy_from_slice(&reader.bytes[range]);
            }
            kept.push(entry.raw.clone());
        } else {
            out.note(format!("tag {}", entry.tag));
        }
    }
    for (offsets, lengths) in [(273, 279), (324, 325), (513, 514)] {
        let numbers = |tag: u16| {
            directory.entries.iter().find(|entry| entry.tag == tag).map(|entry| reader.numbers(entry)).transpose()
        };
        let (Some(offsets), Some(lengths)) = (numbers(offsets)?, numbers(lengths)?) else { continue };
        for (start, length) in offsets.into_iter().zip(lengths) {
            let (start, length) =
                (usize::try_from(start).unwrap_or(usize::MAX), usize::try_from(length).unwrap_or(usize::MAX));
            let end = start.saturating_add(length);
            let source = reader.bytes.get(start..end).ok_or_else(|| truncated("pixels", end, reader.bytes.len()))?;
            out.bytes[start..end].copy_from_slice(source);
        }
    }
    write_directory(layout, directory, &kept, &mut out.bytes);
    Ok(())
}

/// Writes a directory in its old place, with fewer entries.
fn write_directory(layout: Layout, directory: &Directory, kept: &[Vec<u8>], out: &mut [u8]) {
    let count = kept.len() as u64;
    let mut at = directory.at;
    if layout.big_tiff {
        out[at..at + 8].copy_from_slice(&if layout.big_endian { count.to_be_bytes() } else { count.to_le_bytes() });
        at += 8;
    } else {
        let count = count as u16;
        out[at..at + 2].copy_from_slice(&if layout.big_endian { count.to_be_bytes() } else { count.to_le_bytes() });
        at += 2;
    }
    for entry in kept {
        out[at..at + entry.len()].copy_from_slice(entry);
        at += entry.len();
    }
}

/// Where the link to the next directory stands after entries were left out.
fn kept_next_at(layout: Layout, directory: &Directory, out: &Stripped) -> usize {
    let reader = Reader { bytes: &out.bytes, layout };
    let count = reader.entry_count(directory.at).unwrap_or(0);
    directory.at + layout.count_width() + count * layout.entry_width()
}

/// What a program needs of Aperio's description: magnification and pixel size.
fn safe_description(text: &str) -> Option<String> {
    if !text.starts_with("Aperio") {
        return None;
    }
    let fields = text.split('|').filter(|field| {
        let name = field.split('=').next().unwrap_or_default().trim();
        let value = field.split('=').nth(1).unwrap_or_default().trim();
        let numeric = value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        numeric && matches!(name, "AppMag" | "MPP" | "OriginalWidth" | "OriginalHeight")
    });
    Some(std::iter::once("Aperio").chain(fields.map(str::trim)).collect::<Vec<_>>().join("|"))
}

impl Layout {
    fn inline(self) -> usize {
        if self.big_tiff { 8 } else { 4 }
    }

    fn count_width(self) -> usize {
        if self.big_tiff { 8 } else { 2 }
    }

    fn entry_width(self) -> usize {
        if self.big_tiff { 20 } else { 12 }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    layout: Layout,
}

impl Reader<'_> {
    fn uint(&self, at: usize, width: usize) -> Result<u64> {
        let end = at.saturating_add(width);
        let bytes = self.bytes.get(at..end).ok_or_else(|| truncated("directory", end, self.bytes.len()))?;
        let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        Ok(if self.layout.big_endian { bytes.iter().fold(0, fold) } else { bytes.iter().rev().fold(0, fold) })
    }

    fn offset(&self, at: usize) -> Result<usize> {
        let value = self.uint(at, self.layout.inline())?;
        usize::try_from(value).map_err(|_| truncated("offset", usize::MAX, self.bytes.len()))
    }

    fn entry_count(&self, at: usize) -> Result<usize> {
        Ok(self.uint(at, self.layout.count_width())? as usize)
    }

    fn directory(&self, at: usize) -> Result<Directory> {
        let layout = self.layout;
        let count = self.entry_count(at)?;
        let start = at.saturating_add(layout.count_width());
        let end = count.checked_mul(layout.entry_width()).and_then(|length| start.checked_add(length));
        let end = end
            .filter(|end| *end <= self.bytes.len())
            .ok_or_else(|| truncated("directory", usize::MAX, self.bytes.len()))?;
        let entries = (start..end).step_by(layout.entry_width()).map(|at| self.entry(at)).collect::<Result<_>>()?;
        Ok(Directory { at, entries, next_at: end, next: self.offset(end)? }.checked(self.bytes.len()))
    }

    fn entry(&self, at: usize) -> Result<Entry> {
        let (tag, kind) = (self.uint(at, 2)? as u16, self.uint(at + 2, 2)? as u16);
        let count = self.uint(at + 4, self.layout.inline())?;
        let value_at = at + 4 + self.layout.inline();
        let length = count.checked_mul(width_of(kind) as u64).and_then(|length| usize::try_from(length).ok());
        let length = length.ok_or_else(|| truncated("value", usize::MAX, self.bytes.len()))?;
        let at_value = if length > self.layout.inline() { self.offset(value_at)? } else { value_at };
        if at_value.saturating_add(length) > self.bytes.len() {
            return Err(truncated("value", at_value.saturating_add(length), self.bytes.len()));
        }
        let raw = self.bytes[at..at + self.layout.entry_width()].to_vec();
        Ok(Entry { tag, kind, count, at: at_value, length, raw })
    }

    /// The number of an entry with one inline value.
    fn number(&self, raw: &[u8], kind: u16) -> u64 {
        let reader = Reader { bytes: raw, layout: self.layout };
        reader.uint(4 + self.layout.inline(), width_of(kind).min(8)).unwrap_or(0)
    }

    fn numbers(&self, entry: &Entry) -> Result<Vec<u64>> {
        let width = width_of(entry.kind);
        (0..entry.count as usize).map(|index| self.uint(entry.at + index * width, width)).collect()
    }
}

impl Directory {
    /// The link must lie within the file: it is written to.
    fn checked(self, length: usize) -> Directory {
        debug_assert!(self.next_at <= length);
        self
    }
}

fn width_of(kind: u16) -> usize {
    match kind {
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16 | 17 | 18 => 8,
        _ => 1,
    }
}

fn write_offset(out: &mut [u8], layout: Layout, at: usize, value: usize) {
    let value = value as u64;
    let bytes = if layout.big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
    let width = layout.inline();
    let part = if layout.big_endian { &bytes[8 - width..] } else { &bytes[..width] };
    out[at..at + width].copy_from_slice(part);
}

fn truncated(field: &str, needed: usize, available: usize) -> Error {
    Error::Truncated { field: format!("TIFF {field}"), needed: needed as u64, available: available as u64 }
}
