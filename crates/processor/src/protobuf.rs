//! The wire format of protocol buffers, as far as a SentencePiece model needs it: fields, one after another, nothing copied.

/// One field of a message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Field<'a> {
    /// Its number in the schema.
    pub number: u64,
    /// What it holds.
    pub value: FieldValue<'a>,
}

/// The value of a field by its wire type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum FieldValue<'a> {
    /// An integer, an enumeration or a truth value.
    Varint(u64),
    /// Eight bytes.
    Fixed64([u8; 8]),
    /// Text, bytes or a message.
    Bytes(&'a [u8]),
    /// Four bytes.
    Fixed32([u8; 4]),
}

impl<'a> FieldValue<'a> {
    pub(crate) fn bytes(self) -> Option<&'a [u8]> {
        if let FieldValue::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    pub(crate) fn integer(self) -> Option<u64> {
        if let FieldValue::Varint(integer) = self { Some(integer) } else { None }
    }

    pub(crate) fn float(self) -> Option<f32> {
        if let FieldValue::Fixed32(bytes) = self { Some(f32::from_le_bytes(bytes)) } else { None }
    }
}

/// Reads the fields of a message. The iterator ends with `Err` where the bytes are no message.
pub(crate) fn fields(bytes: &[u8]) -> impl Iterator<Item = Result<Field<'_>, &'static str>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let field = next_field(&mut rest).ok_or("is cut off or no SentencePiece model");
        if field.is_err() {
            rest = &[];
        }
        Some(field)
    })
}

fn next_field<'a>(rest: &mut &'a [u8]) -> Option<Field<'a>> {
    let key = varint(rest)?;
    let value = match key & 7 {
        0 => FieldValue::Varint(varint(rest)?),
        1 => FieldValue::Fixed64(take(rest, 8)?.try_into().ok()?),
        2 => {
            let length = usize::try_from(varint(rest)?).ok()?;
            FieldValue::Bytes(take(rest, length)?)
        }
        5 => FieldValue::Fixed32(take(rest, 4)?.try_into().ok()?),
        _ => return None,
    };
    Some(Field { number: key >> 3, value })
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, left) = rest.split_first()?;
        *rest = left;
        value |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_out_in_order() {
        let bytes = [0x08, 0x96, 0x01, 0x12, 2, b'h', b'i', 0x1D, 0, 0, 0x80, 0x3F];
        let found: Vec<Field> = fields(&bytes).map(|field| field.expect("a message")).collect();
        assert_eq!(found[0], Field { number: 1, value: FieldValue::Varint(150) });
        assert_eq!(found[1].value.bytes(), Some(&b"hi"[..]));
        assert_eq!((found[2].number, found[2].value.float()), (3, Some(1.0)));
    }

    #[test]
    fn lengths_beyond_the_end_and_endless_numbers_are_errors() {
        for bytes in [&[0x12, 200, b'h'][..], &[0x08, 0xFF], &[0xFF; 20], &[0x0B]] {
            assert!(fields(bytes).any(|field| field.is_err()), "{bytes:?}");
        }
    }
}
