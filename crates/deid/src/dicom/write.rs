//! A tree of elements as a DICOM file, in the transfer syntax that it came in.

use super::tree::{
    DEFLATED, DataSet, EXPLICIT_BIG_ENDIAN, Element, IMPLICIT_LITTLE_ENDIAN, ITEM, ITEM_END, SEQUENCE_END,
    UNDEFINED_LENGTH, Value, has_long_length,
};
use dicom_core::Tag;
use std::borrow::Cow;
use std::io::Write as _;

/// ImplementationClassUID: a UUID of this program under 2.25.
const IMPLEMENTATION_CLASS_UID: &str = "2.25.324606880108864261518908050950266516807";
const IMPLEMENTATION_VERSION_NAME: &str = "GMAI_DEID_1";

/// What the file meta information says; it is always written anew.
pub(super) struct Meta<'a> {
    pub(super) transfer_syntax: &'a str,
    pub(super) class_uid: &'a str,
    pub(super) instance_uid: &'a str,
}

/// The bytes of a file: an empty preamble, fresh meta information, the data set.
pub(super) fn file_bytes(meta: &Meta, data_set: &DataSet) -> Vec<u8> {
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM");
    let mut writer = Writer { bytes: Vec::new(), explicit: true, big_endian: false };
    let text = |value: &str| Element::bytes(b"UI", padded(value.as_bytes().to_vec(), 0));
    let elements = [
        (0x0001, Element::bytes(b"OB", vec![0, 1])),
        (0x0002, text(meta.class_uid)),
        (0x0003, text(meta.instance_uid)),
        (0x0010, text(meta.transfer_syntax)),
        (0x0012, text(IMPLEMENTATION_CLASS_UID)),
        (0x0013, Element::bytes(b"SH", padded(IMPLEMENTATION_VERSION_NAME.as_bytes().to_vec(), b' '))),
    ];
    elements.iter().for_each(|(number, element)| writer.element(Tag(2, *number), element));
    let length = writer.bytes.len() as u32;
    bytes.extend([2, 0, 0, 0, b'U', b'L', 4, 0]);
    bytes.extend(length.to_le_bytes());
    bytes.extend(&writer.bytes);
    let explicit = meta.transfer_syntax != IMPLICIT_LITTLE_ENDIAN;
    let mut writer = Writer { bytes: Vec::new(), explicit, big_endian: meta.transfer_syntax == EXPLICIT_BIG_ENDIAN };
    writer.data_set(data_set);
    if meta.transfer_syntax == DEFLATED {
        let mut encoder = flate2::write::DeflateEncoder::new(bytes, flate2::Compression::default());
        encoder.write_all(&writer.bytes).expect("writing to memory does not fail");
        let mut bytes = encoder.finish().expect("writing to memory does not fail");
        if bytes.len() % 2 == 1 {
            bytes.push(0);
        }
        return bytes;
    }
    bytes.append(&mut writer.bytes);
    bytes
}

/// Values have an even length.
pub(super) fn padded(mut bytes: Vec<u8>, pad: u8) -> Vec<u8> {
    if bytes.len() % 2 == 1 {
        bytes.push(pad);
    }
    bytes
}

struct Writer {
    bytes: Vec<u8>,
    explicit: bool,
    big_endian: bool,
}

impl Writer {
    fn data_set(&mut self, data_set: &DataSet) {
        data_set.iter().for_each(|(tag, element)| self.element(*tag, element));
    }

    fn element(&mut self, tag: Tag, element: &Element) {
        match &element.value {
            Value::Bytes(value) => {
                let value: Cow<[u8]> = if value.len() % 2 == 1 {
                    let pad = if matches!(&element.vr, b"UI" | b"OB" | b"UN") { 0 } else { b' ' };
                    Cow::Owned(padded(value.to_vec(), pad))
                } else {
                    Cow::Borrowed(value)
                };
                self.header(tag, element.vr, value.len() as u32);
                self.bytes.extend(&*value);
            }
            Value::Items(items) => {
                self.header(tag, *b"SQ", UNDEFINED_LENGTH);
                for item in items {
                    self.delimiter(ITEM, UNDEFINED_LENGTH);
                    self.data_set(item);
                    self.delimiter(ITEM_END, 0);
                }
                self.delimiter(SEQUENCE_END, 0);
            }
            Value::Fragments(fragments) => {
                self.header(tag, element.vr, UNDEFINED_LENGTH);
                for fragment in fragments {
                    self.delimiter(ITEM, fragment.len() as u32);
                    self.bytes.extend(*fragment);
                }
                self.delimiter(SEQUENCE_END, 0);
            }
        }
    }

    fn header(&mut self, tag: Tag, vr: [u8; 2], length: u32) {
        self.u16(tag.0);
        self.u16(tag.1);
        if !self.explicit {
            return self.u32(length);
        }
        // A value too long for its VR can only be written as unknown (PS3.5 6.2.2, note 5).
        let vr = if !has_long_length(vr) && length > u32::from(u16::MAX) { *b"UN" } else { vr };
        self.bytes.extend(vr);
        if has_long_length(vr) {
            self.u16(0);
            self.u32(length);
        } else {
            self.u16(length as u16);
        }
    }

    fn delimiter(&mut self, tag: Tag, length: u32) {
        self.u16(tag.0);
        self.u16(tag.1);
        self.u32(length);
    }

    fn u16(&mut self, value: u16) {
        self.bytes.extend(if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() });
    }

    fn u32(&mut self, value: u32) {
        self.bytes.extend(if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() });
    }
}
