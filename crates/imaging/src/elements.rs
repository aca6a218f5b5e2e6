//! DICOM data elements, read without ever trusting a length: values stay ranges of the file's own bytes.
//!
//! dicom-object reserves what an element claims (a 288-byte file makes it take 4 GiB) and refuses files without
//! preamble or meta group; this reader checks each length against what is there. Encoding: DICOM PS3.5, chapter 7.

use crate::error::{Error, Result};
use dicom_core::Tag;
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

const ITEM: Tag = Tag(0xFFFE, 0xE000);
const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);
const UNDEFINED_LENGTH: u32 = u32::MAX;

/// Nesting deeper than this is an attack: real files stay below 10.
const MAX_DEPTH: usize = 32;
/// Elements kept in memory; the largest real headers (per-frame groups of whole-slide images) have some hundred thousand.
pub(crate) const MAX_ELEMENTS: usize = 2_000_000;

/// Sequences whose items are read; others of known length are stepped over.
const SEQUENCES: &[Tag] = &[
    tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
    tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
    tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE,
    tags::PLANE_POSITION_SEQUENCE,
    tags::PLANE_ORIENTATION_SEQUENCE,
    tags::PIXEL_MEASURES_SEQUENCE,
    tags::FRAME_VOILUT_SEQUENCE,
    tags::VOILUT_SEQUENCE,
    tags::MODALITY_LUT_SEQUENCE,
    tags::FRAME_CONTENT_SEQUENCE,
    tags::MR_ECHO_SEQUENCE,
    tags::MR_DIFFUSION_SEQUENCE,
    // Segmentations.
    tags::SEGMENT_SEQUENCE,
    tags::SEGMENT_IDENTIFICATION_SEQUENCE,
    tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE,
    tags::DERIVATION_IMAGE_SEQUENCE,
    tags::SOURCE_IMAGE_SEQUENCE,
    tags::REFERENCED_SERIES_SEQUENCE,
    tags::REFERENCED_INSTANCE_SEQUENCE,
    // Structure sets.
    tags::STRUCTURE_SET_ROI_SEQUENCE,
    tags::ROI_CONTOUR_SEQUENCE,
    tags::CONTOUR_SEQUENCE,
    tags::CONTOUR_IMAGE_SEQUENCE,
    tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE,
    tags::RT_REFERENCED_STUDY_SEQUENCE,
    tags::RT_REFERENCED_SERIES_SEQUENCE,
    // Structured reports.
    tags::CONTENT_SEQUENCE,
    tags::CONCEPT_NAME_CODE_SEQUENCE,
    tags::CONCEPT_CODE_SEQUENCE,
    tags::MEASURED_VALUE_SEQUENCE,
    tags::MEASUREMENT_UNITS_CODE_SEQUENCE,
    tags::REFERENCED_SOP_SEQUENCE,
    tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE,
    tags::PERTINENT_OTHER_EVIDENCE_SEQUENCE,
    tags::PLANE_POSITION_SLIDE_SEQUENCE,
];

pub(crate) type Elements = BTreeMap<Tag, Element>;

/// Where one element's value lies.
pub(crate) struct Element {
    /// Value representation in letters; zeros when the file leaves it out.
    pub(crate) vr: [u8; 2],
    pub(crate) value: Range<usize>,
    /// Items of a sequence.
    pub(crate) items: Vec<Elements>,
    /// Offset table and fragments of compressed pixels.
    pub(crate) fragments: Option<Vec<Range<usize>>>,
}

/// How much of a file is taken apart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What stands before the pixels.
    Header,
    /// What stands before the pixels, of which only the attributes that say how large they are; then the length of the
    /// pixels, whatever it is. Memory does not grow with the file.
    Sizes,
    /// Everything.
    Whole,
}

/// Tag, VR and claimed length of an element.
pub(crate) struct ElementHeader {
    pub(crate) tag: Tag,
    vr: [u8; 2],
    pub(crate) length: u32,
}

/// Walks over the bytes of a data set.
pub(crate) struct Reader<'a> {
    pub(crate) path: &'a Path,
    pub(crate) bytes: &'a [u8],
    pub(crate) position: usize,
    pub(crate) explicit: bool,
    pub(crate) big_endian: bool,
    /// Elements that may still be read.
    pub(crate) remaining: usize,
    pub(crate) extent: Extent,
}

impl Reader<'_> {
    /// Elements up to `end`, or to the delimiter of the item they are in.
    pub(crate) fn elements(&mut self, end: usize, depth: usize) -> Result<Elements> {
        let mut elements = Elements::new();
        if depth > MAX_DEPTH {
            return Err(Error::malformed(self.path, "sequences", format!("nested more than {MAX_DEPTH} deep")));
        }
        while end.saturating_sub(self.position) >= 8 {
            let header = self.header()?;
            let is_pixels =
                matches!(header.tag, tags::PIXEL_DATA | tags::FLOAT_PIXEL_DATA | tags::DOUBLE_FLOAT_PIXEL_DATA);
            if header.tag == ITEM_END || header.tag == SEQUENCE_END {
                return Ok(elements);
            }
            // Trailing zeros and padding after the last element are common and harmless.
            if depth == 0
                && header.tag < elements.last_key_value().map_or(Tag(0, 0), |(tag, _)| *tag)
                && header.tag.0 == 0
            {
                break;
            }
            if depth == 0 && is_pixels && self.extent == Extent::Header {
                let element =
                    Element { vr: header.vr, value: self.position..self.position, items: vec![], fragments: None };
                elements.insert(header.tag, element);
                break;
            }
            if depth == 0 && is_pixels && self.extent == Extent::Sizes {
                let fragments = (header.length == UNDEFINED_LENGTH).then(Vec::new);
                let length = if fragments.is_some() { 0 } else { header.length as usize };
                let value = self.position..self.position.saturating_add(length);
                elements.insert(header.tag, Element { vr: header.vr, value, items: vec![], fragments });
                break;
            }
            self.count_element()?;
            let element = self.value(&header, end, depth)?;
            // The group of the image pixel attributes.
            if self.extent != Extent::Sizes || (depth == 0 && header.tag.0 == tags::ROWS.0) {
                elements.insert(header.tag, element);
            }
        }
        Ok(elements)
    }

    pub(crate) fn count_element(&mut self) -> Result<()> {
        self.remaining = self
            .remaining
            .checked_sub(1)
            .ok_or_else(|| Error::malformed(self.path, "data set", format!("has more than {MAX_ELEMENTS} elements")))?;
        Ok(())
    }

    pub(crate) fn value(&mut self, header: &ElementHeader, end: usize, depth: usize) -> Result<Element> {
        let start = self.position;
        let mut element = Element { vr: header.vr, value: start..start, items: vec![], fragments: None };
        if header.length == UNDEFINED_LENGTH {
            if header.tag == tags::PIXEL_DATA {
                element.fragments = Some(self.fragments(end)?);
            } else if matches!(&header.vr, b"SQ" | b"UN" | [0, 0]) {
                // PS3.5 6.2.2: the content of an unknown element of undefined length is implicit VR.
                let explicit = self.explicit;
                self.explicit = explicit && header.vr != *b"UN";
                element.items = self.items(end, depth)?;
                self.explicit = explicit;
            } else {
                return Err(Error::malformed(self.path, name_of(header.tag), "has no length"));
            }
            return Ok(element);
        }
        let value_end = self.advance(header.length, end, header.tag)?;
        element.value = start..value_end;
        if SEQUENCES.contains(&header.tag) {
            self.position = start;
            element.items = self.items(value_end, depth)?;
            self.position = value_end;
        }
        Ok(element)
    }

    /// Moves over `length` bytes, which must lie before `end`; gives the new position.
    fn advance(&mut self, length: u32, end: usize, tag: Tag) -> Result<usize> {
        let available = end.saturating_sub(self.position);
        if length as usize > available {
            let (needed, available) = (u64::from(length), available as u64);
            return Err(Error::Truncated { path: self.path.into(), field: name_of(tag), needed, available });
        }
        self.position += length as usize;
        Ok(self.position)
    }

    fn items(&mut self, end: usize, depth: usize) -> Result<Vec<Elements>> {
        let mut items = Vec::new();
        while end.saturating_sub(self.position) >= 8 {
            let (tag, length) = self.item_header()?;
            match tag {
                SEQUENCE_END => break,
                ITEM => {
                    self.count_element()?;
                    let item_end = if length == UNDEFINED_LENGTH {
                        end
                    } else {
                        let start = self.position;
                        let item_end = self.advance(length, end, tag)?;
                        self.position = start;
                        item_end
                    };
                    let item = self.elements(item_end, depth + 1)?;
                    if self.extent != Extent::Sizes {
                        items.push(item);
                    }
                    if length != UNDEFINED_LENGTH {
                        self.position = item_end;
                    }
                }
                other => return Err(Error::malformed(self.path, name_of(other), "stands where an item should begin")),
            }
        }
        Ok(items)
    }

    /// The offset table and fragments of compressed pixels. A missing end delimiter is forgiven: the data is complete.
    fn fragments(&mut self, end: usize) -> Result<Vec<Range<usize>>> {
        let mut fragments = Vec::new();
        while end.saturating_sub(self.position) >= 8 {
            let (tag, length) = self.item_header()?;
            if tag != ITEM {
                break;
            }
            self.count_element()?;
            let start = self.position;
            fragments.push(start..self.advance(length, end, tags::PIXEL_DATA)?);
        }
        Ok(fragments)
    }

    fn item_header(&mut self) -> Result<(Tag, u32)> {
        let explicit = std::mem::replace(&mut self.explicit, false);
        let header = self.header();
        self.explicit = explicit;
        header.map(|header| (header.tag, header.length))
    }

    pub(crate) fn header(&mut self) -> Result<ElementHeader> {
        let at = self.position;
        let fixed: [u8; 8] = self.take(at)?;
        let tag = Tag(self.u16([fixed[0], fixed[1]]), self.u16([fixed[2], fixed[3]]));
        let vr = [fixed[4], fixed[5]];
        self.position = at + 8;
        // Some writers fall back to implicit VR inside an explicit file; delimiters never have a VR.
        if !self.explicit || tag.0 == 0xFFFE || !vr.iter().all(u8::is_ascii_uppercase) {
            let length = self.u32([fixed[4], fixed[5], fixed[6], fixed[7]]);
            return Ok(ElementHeader { tag, vr: [0, 0], length });
        }
        let long = matches!(
            &vr,
            b"OB" | b"OD" | b"OF" | b"OL" | b"OV" | b"OW" | b"SQ" | b"SV" | b"UC" | b"UN" | b"UR" | b"UT" | b"UV"
        );
        if !long {
            return Ok(ElementHeader { tag, vr, length: u32::from(self.u16([fixed[6], fixed[7]])) });
        }
        let length: [u8; 4] = self.take(at + 8)?;
        self.position = at + 12;
        Ok(ElementHeader { tag, vr, length: self.u32(length) })
    }

    fn take<const N: usize>(&self, at: usize) -> Result<[u8; N]> {
        let available = self.bytes.len().saturating_sub(at);
        self.bytes.get(at..at + N).and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| Error::Truncated {
            path: self.path.into(),
            field: "element header".into(),
            needed: N as u64,
            available: available as u64,
        })
    }

    fn u16(&self, bytes: [u8; 2]) -> u16 {
        if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    }

    fn u32(&self, bytes: [u8; 4]) -> u32 {
        if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }
}

pub(crate) fn name_of(tag: Tag) -> String {
    match StandardDataDictionary.by_tag(tag) {
        Some(entry) => entry.alias().to_string(),
        None => format!("element ({:04X},{:04X})", tag.0, tag.1),
    }
}
