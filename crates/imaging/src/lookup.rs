//! Lookup tables of DICOM: modality and VOI tables (PS3.3 C.11.1, C.11.2) and the three tables of a palette (C.7.6.3.1.5, C.7.9).

use crate::data_set::Attributes;
use dicom_core::Tag;
use dicom_dictionary_std::tags;

/// More entries than a descriptor can name.
const MAX_ENTRIES: usize = 1 << 16;

/// A table from stored numbers to others; numbers before its first entry have the first, those after its last the last.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Table {
    first: f32,
    pub(crate) entries: Vec<u16>,
    /// Bits of an entry that count.
    pub(crate) bits: u16,
}

/// Where a table stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TableTags {
    pub(crate) descriptor: Tag,
    pub(crate) data: Tag,
    /// The same table in segments (C.7.9.2).
    pub(crate) segmented: Option<Tag>,
}

impl TableTags {
    /// Inside an item of the modality or VOI LUT sequence.
    pub(crate) const ITEM: TableTags =
        TableTags { descriptor: tags::LUT_DESCRIPTOR, data: tags::LUT_DATA, segmented: None };
    /// Red, green, blue.
    pub(crate) const PALETTE: [TableTags; 3] = [
        TableTags {
            descriptor: tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            data: tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
            segmented: Some(tags::SEGMENTED_RED_PALETTE_COLOR_LOOKUP_TABLE_DATA),
        },
        TableTags {
            descriptor: tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            data: tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
            segmented: Some(tags::SEGMENTED_GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA),
        },
        TableTags {
            descriptor: tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            data: tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
            segmented: Some(tags::SEGMENTED_BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA),
        },
    ];
}

/// What is wrong with a table: the field, and in words.
pub(crate) type Fault = (Tag, String);

impl Table {
    /// Reads a table. `is_signed` tells how its first number is written.
    pub(crate) fn read(item: &Attributes<'_>, place: TableTags, is_signed: bool) -> Result<Table, Fault> {
        let descriptor = item.shorts(place.descriptor);
        let &[count, first, bits] = descriptor.as_slice() else {
            return Err((place.descriptor, "needs three numbers".to_string()));
        };
        let count = if count == 0 { MAX_ENTRIES } else { usize::from(count) };
        let first = if is_signed { f32::from(first as i16) } else { f32::from(first) };
        let entries = match place.segmented.filter(|tag| item.bytes(*tag).is_some()) {
            Some(tag) => expand(&segment_words(item, tag, bits), bits, count).ok_or_else(|| {
                (tag, format!("its segments do not give the {count} entries that the descriptor names"))
            })?,
            None => plain_entries(item, place.data, count, bits),
        };
        if entries.is_empty() {
            return Err((place.data, "is missing or empty".to_string()));
        }
        Ok(Table { first, entries, bits })
    }

    /// Which entry a number has.
    pub(crate) fn place(&self, number: f32) -> usize {
        ((number - self.first).max(0.0) as usize).min(self.entries.len() - 1)
    }

    /// The entry of a number.
    pub(crate) fn look_up(&self, number: f32) -> u16 {
        self.entries[self.place(number)]
    }

    /// Bits that the largest entry takes: descriptors often name more.
    pub(crate) fn used_bits(&self) -> u32 {
        let largest = self.entries.iter().copied().max().unwrap_or(0);
        (16 - largest.leading_zeros()).max(1)
    }
}

fn plain_entries(item: &Attributes<'_>, tag: Tag, count: usize, bits: u16) -> Vec<u16> {
    let raw = item.bytes(tag).unwrap_or_default();
    if bits <= 8 && raw.len() < count * 2 {
        return raw.iter().take(count).map(|byte| u16::from(*byte)).collect();
    }
    item.shorts(tag).into_iter().take(count).collect()
}

/// Words of segmented data: bytes where entries have 8 bits (C.7.9.2).
fn segment_words(item: &Attributes<'_>, tag: Tag, bits: u16) -> Vec<u16> {
    match bits {
        0..=8 => item.bytes(tag).unwrap_or_default().iter().map(|byte| u16::from(*byte)).collect(),
        _ => item.shorts(tag),
    }
}

/// Discrete, linear and indirect segments as entries (C.7.9.2.1 to .3); `None` when they do not give `count` entries.
fn expand(words: &[u16], bits: u16, count: usize) -> Option<Vec<u16>> {
    let mut entries = Vec::new();
    let mut at = 0;
    // Where each segment begins, for indirect ones; these do not count themselves.
    let mut starts: Vec<usize> = Vec::new();
    while at < words.len() && entries.len() < count {
        // A padding byte at the end of an odd table is no segment.
        if words.len() - at < 3 {
            break;
        }
        let (code, length) = (words[at], usize::from(words[at + 1]));
        if code == 2 {
            // An offset in bytes of two words; an offset in 8-bit tables takes four of them.
            let (offset, next) = if bits > 8 {
                (usize::from(*words.get(at + 2)?) | usize::from(*words.get(at + 3)?) << 16, at + 4)
            } else {
                let bytes = words.get(at + 2..at + 6)?;
                (bytes.iter().rev().fold(0, |offset, byte| offset << 8 | usize::from(*byte)), at + 6)
            };
            let target = if bits > 8 { offset / 2 } else { offset };
            let first = starts.iter().position(|start| *start == target)?;
            for start in starts.clone().into_iter().skip(first).take(length) {
                segment(words, start, &mut entries)?;
                if entries.len() > MAX_ENTRIES {
                    return None;
                }
            }
            at = next;
            continue;
        }
        starts.push(at);
        at = segment(words, at, &mut entries)?;
        if entries.len() > MAX_ENTRIES {
            return None;
        }
    }
    entries.truncate(count);
    (entries.len() == count).then_some(entries)
}

/// Adds the entries of the segment at `at`; gives the place after it.
fn segment(words: &[u16], at: usize, entries: &mut Vec<u16>) -> Option<usize> {
    let (code, length) = (*words.get(at)?, usize::from(*words.get(at + 1)?));
    match code {
        0 => {
            entries.extend(words.get(at + 2..at + 2 + length)?);
            Some(at + 2 + length)
        }
        1 => {
            let (start, end) = (f64::from(*entries.last()?), f64::from(*words.get(at + 2)?));
            let step = |index: usize| (start + (end - start) * index as f64 / length as f64).round() as u16;
            entries.extend((1..=length).map(step));
            Some(at + 3)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_outside_a_table_have_its_ends() {
        let table = Table { first: -2.0, entries: vec![5, 6, 7], bits: 8 };
        assert_eq!([-9.0, -2.0, -1.0, 0.0, 9.0].map(|number| table.look_up(number)), [5, 5, 6, 7, 7]);
        assert_eq!(table.used_bits(), 3);
    }

    #[test]
    fn segments_become_entries() {
        // Discrete 10, 20; linear to 50 in three steps; the same two again.
        let words = [0, 2, 10, 20, 1, 3, 50, 2, 2, 0, 0];
        let expected = vec![10, 20, 30, 40, 50, 10, 20, 30, 40, 50];
        assert_eq!(expand(&words, 16, 10), Some(expected));
        assert_eq!(expand(&words, 16, 11), None, "too few");
        assert_eq!(expand(&[1, 2, 3], 16, 2), None, "a line that starts nowhere");
        assert_eq!(expand(&[0, 9, 1], 16, 9), None, "cut off");
        for end in 0..words.len() {
            let _ = expand(&words[..end], 8, 10);
        }
    }
}
