//! Overlay planes: which there are, whether letters may be drawn in them, whether they hide in the pixels' spare bits.

use super::text_of;
use super::tree::{DataSet, Element};
use crate::picture;
use dicom_core::Tag;
use std::collections::BTreeSet;

const ROWS: u16 = 0x0010;
const COLUMNS: u16 = 0x0011;
const FRAMES: u16 = 0x0015;
const BIT_POSITION: u16 = 0x0102;
const DATA: u16 = 0x3000;

/// Largest overlay looked at, in pixels; a larger one goes unseen.
const MAX_PIXELS: usize = 100_000_000;

/// Overlay groups of a data set.
pub(super) fn groups(data_set: &DataSet) -> BTreeSet<u16> {
    data_set.keys().map(|tag| tag.0).filter(|group| (0x6000..=0x60FF).contains(group) && group % 2 == 0).collect()
}

/// Whether letters may be drawn in a plane, or nobody can tell.
pub(super) fn may_hold_text(data_set: &DataSet, group: u16, big_endian: bool) -> bool {
    let number = |element: u16| short(data_set, Tag(group, element), big_endian).map(usize::from);
    let (Some(rows), Some(columns)) = (number(ROWS), number(COLUMNS)) else { return true };
    let several = !matches!(text_of(data_set, Tag(group, FRAMES)).as_str(), "" | "1");
    let bits = data_set.get(&Tag(group, DATA)).map(Element::plain).unwrap_or_default();
    let pixels = rows * columns;
    if several || pixels == 0 || pixels > MAX_PIXELS || bits.len() * 8 < pixels || big_endian {
        return true;
    }
    let grey = (0..pixels).map(|index| if bits[index / 8] >> (index % 8) & 1 == 1 { 255 } else { 0 }).collect();
    picture::Grey::new(columns, rows, grey).is_none_or(|grey| picture::detect(&[grey]).is_flagged())
}

/// Planes that lie in spare bits of the pixels, which are kept as they are.
pub(super) fn concerns(data_set: &DataSet, big_endian: bool) -> Vec<String> {
    let hidden = |group: &u16| {
        let position = short(data_set, Tag(*group, BIT_POSITION), big_endian);
        !data_set.contains_key(&Tag(*group, DATA)) && position.is_some_and(|position| position > 0)
    };
    let hidden = groups(data_set).into_iter().filter(hidden);
    hidden.map(|group| format!("overlay {group:04X} lies in spare bits of the pixel data, which are kept")).collect()
}

fn short(data_set: &DataSet, tag: Tag, big_endian: bool) -> Option<u16> {
    let bytes: [u8; 2] = data_set.get(&tag)?.plain().get(..2)?.try_into().ok()?;
    Some(if big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
}
