//! The first directory of a TIFF file (TIFF 6.0, section 2; BigTIFF with 8-byte counts and offsets).

use super::Header;
use crate::error::Result;
use std::io::{Read, Seek, SeekFrom};

const WIDTH: u16 = 256;
const HEIGHT: u16 = 257;
const BITS_PER_SAMPLE: u16 = 258;
const COMPRESSION: u16 = 259;
const SAMPLES_PER_PIXEL: u16 = 277;
const TILE_WIDTH: u16 = 322;
/// Tags without which no pixel is found: sizes, strips, tiles, palette.
const ESSENTIAL: [u16; 13] = [256, 257, 258, 259, 262, 273, 277, 279, 320, 322, 323, 324, 325];
/// Entries of one directory; real ones have some dozens.
const MAX_ENTRIES: u64 = 4096;

/// Refuses sizes beyond the limits, essential values outside the file, and uncompressed pixels that the file cannot hold.
pub(super) fn check(header: &Header, mut file: impl Read + Seek) -> Result<()> {
    // What cannot be read is the reader's to report.
    let Some(directory) = Directory::read(&mut file) else { return Ok(()) };
    directory.check_places(header)?;
    let value = |tag| directory.entries.iter().find(|entry| entry.tag == tag).and_then(|entry| entry.value);
    let (Some(width), Some(height)) = (value(WIDTH), value(HEIGHT)) else { return Ok(()) };
    header.check_size(width, height)?;
    if value(COMPRESSION).unwrap_or(1) == 1 {
        // Where bits are listed for each sample, the list stands elsewhere: 8 is the fewest that several samples have.
        let samples = u128::from(value(SAMPLES_PER_PIXEL).unwrap_or(1));
        let bits = value(BITS_PER_SAMPLE).map_or(if samples > 1 { 8 } else { 1 }, u128::from);
        let pixels = u128::from(width) * u128::from(height);
        // Colour differences may be stored for every fourth pixel only.
        header.check_length("strips", (pixels * bits).div_ceil(8))?;
    }
    Ok(())
}

/// Whether the first picture is made of tiles; refuses essential values outside the file.
pub(super) fn is_tiled(header: &Header, mut file: impl Read + Seek) -> Result<bool> {
    let Some(directory) = Directory::read(&mut file) else { return Ok(false) };
    let is_tiled = directory.entries.iter().any(|entry| entry.tag == TILE_WIDTH);
    if is_tiled {
        directory.check_places(header)?;
    }
    Ok(is_tiled)
}

struct Directory {
    entries: Vec<Entry>,
}

struct Entry {
    tag: u16,
    count: u64,
    /// Bytes of one value.
    width: u64,
    /// The value, where there is one and it stands in the entry.
    value: Option<u64>,
    /// Where the values stand, when not in the entry.
    offset: Option<u64>,
}

impl Directory {
    fn read(file: &mut (impl Read + Seek)) -> Option<Directory> {
        file.rewind().ok()?;
        let start = take::<8>(file)?;
        let little = start.starts_with(b"II");
        let big = number(little, &start[2..4]) == 43;
        let at = if big { number(little, &take::<8>(file)?) } else { number(little, &start[4..8]) };
        file.seek(SeekFrom::Start(at)).ok()?;
        let count = if big { number(little, &take::<8>(file)?) } else { number(little, &take::<2>(file)?) };
        let mut entries = Vec::new();
        for _ in 0..count.min(MAX_ENTRIES) {
            entries.push(if big {
                Entry::of(little, &take::<20>(file)?)
            } else {
                Entry::of(little, &take::<12>(file)?)
            });
        }
        Some(Directory { entries })
    }

    /// Refuses essential values that stand outside the file.
    fn check_places(&self, header: &Header) -> Result<()> {
        for entry in self.entries.iter().filter(|entry| ESSENTIAL.contains(&entry.tag)) {
            if let Some(offset) = entry.offset {
                let needed = u128::from(offset) + u128::from(entry.count) * u128::from(entry.width);
                header.check_length(&format!("TIFF tag {}", entry.tag), needed)?;
            }
        }
        Ok(())
    }
}

impl Entry {
    /// An entry of 12 bytes, or 20 in a BigTIFF.
    fn of(little: bool, bytes: &[u8]) -> Entry {
        let field = (bytes.len() - 4) / 2;
        let (count, place) = (number(little, &bytes[4..4 + field]), &bytes[4 + field..]);
        let width = match number(little, &bytes[2..4]) {
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 | 16..=18 => 8,
            _ => 1,
        };
        let inside = u128::from(count) * u128::from(width) <= place.len() as u128;
        Entry {
            tag: number(little, &bytes[..2]) as u16,
            count,
            width,
            value: (inside && count == 1).then(|| number(little, &place[..width as usize])),
            offset: (!inside).then(|| number(little, place)),
        }
    }
}

fn number(little: bool, bytes: &[u8]) -> u64 {
    let shift = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
    if little { bytes.iter().rev().fold(0, shift) } else { bytes.iter().fold(0, shift) }
}

fn take<const N: usize>(file: &mut impl Read) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use crate::error::Error;
    use crate::gate::tests::judged;

    /// A little-endian file with one directory of LONG entries.
    fn tiff(entries: &[(u16, u32, u32)], length: usize) -> Vec<u8> {
        let mut bytes = b"II*\0\x08\0\0\0".to_vec();
        bytes.extend((entries.len() as u16).to_le_bytes());
        for (tag, count, value) in entries {
            bytes.extend(tag.to_le_bytes());
            bytes.extend([4, 0]);
            bytes.extend(count.to_le_bytes());
            bytes.extend(value.to_le_bytes());
        }
        bytes.resize(length.max(bytes.len()), 0);
        bytes
    }

    #[test]
    fn claims_are_compared_with_the_file() {
        let sized = |width, height| [(256, 1, width), (257, 1, height), (258, 1, 8)];
        assert!(judged(&tiff(&sized(100, 100), 20_000)).is_ok());
        assert!(matches!(judged(&tiff(&sized(u32::MAX, u32::MAX), 200)), Err(Error::TooLarge { .. })));
        assert!(matches!(judged(&tiff(&sized(1000, 1000), 20_000)), Err(Error::Truncated { .. })));
        let list = [(256, 1, 10), (257, 1, 10), (273, u32::MAX, 8)];
        assert!(matches!(judged(&tiff(&list, 500)), Err(Error::Truncated { field, .. }) if field == "TIFF tag 273"));
    }

    #[test]
    fn directory_that_is_cut_off_is_left_to_the_reader() {
        let bytes = tiff(&[(256, 1, 10)], 0);
        for end in 4..bytes.len() {
            assert!(judged(&bytes[..end]).is_ok());
        }
    }
}
