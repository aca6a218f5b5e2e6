//! Reading `tokenizer.model`: the few fields of SentencePiece's protocol buffer that a vocabulary needs.
//!
//! Field numbers: sentencepiece_model.proto. Unknown fields are skipped, as protocol buffers want it.

/// A piece of the vocabulary; its place is its id.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// How it is written, with `▁` for spaces.
    pub text: String,
    /// Which merge is done first: the higher.
    pub score: f32,
    /// SentencePiece's number of the type; 1 normal, 2 unknown, 3 control, 4 user defined, 5 unused, 6 byte. GGUF has the same.
    pub kind: i32,
}

/// What a `tokenizer.model` says.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// The vocabulary.
    pub pieces: Vec<Piece>,
    /// Whether text is merged from characters (`BPE`); otherwise it is a unigram model or of another kind.
    pub is_bpe: bool,
    /// Whether a space is put before each text.
    pub adds_prefix: bool,
}

/// A field's value.
enum Value<'a> {
    Number(u64),
    Float(f32),
    Bytes(&'a [u8]),
    Other,
}

/// Reads the bytes of a `tokenizer.model`; what is wrong otherwise.
pub fn read(bytes: &[u8]) -> Result<Model, String> {
    const PIECES: u64 = 1;
    const TRAINER: u64 = 2;
    const NORMALIZER: u64 = 3;
    let mut model = Model { pieces: Vec::new(), is_bpe: false, adds_prefix: true };
    each_field(bytes, &mut |field, value| {
        match (field, value) {
            (PIECES, Value::Bytes(piece)) => model.pieces.push(read_piece(piece)?),
            (TRAINER, Value::Bytes(trainer)) => model.is_bpe = read_number(trainer, 3)? == Some(2),
            (NORMALIZER, Value::Bytes(normalizer)) => model.adds_prefix = read_number(normalizer, 3)? != Some(0),
            _ => {}
        }
        Ok(())
    })?;
    if model.pieces.is_empty() {
        return Err("it holds no vocabulary".to_owned());
    }
    Ok(model)
}

fn read_piece(bytes: &[u8]) -> Result<Piece, String> {
    let mut piece = Piece { text: String::new(), score: 0.0, kind: 1 };
    each_field(bytes, &mut |field, value| {
        match (field, value) {
            (1, Value::Bytes(text)) => {
                piece.text = String::from_utf8(text.to_vec()).map_err(|_| "a piece is not UTF-8".to_owned())?;
            }
            (2, Value::Float(score)) => piece.score = score,
            (3, Value::Number(kind)) => piece.kind = i32::try_from(kind).unwrap_or(1),
            _ => {}
        }
        Ok(())
    })?;
    Ok(piece)
}

/// The last number stored under `wanted` in a message.
fn read_number(bytes: &[u8], wanted: u64) -> Result<Option<u64>, String> {
    let mut found = None;
    each_field(bytes, &mut |field, value| {
        if let (true, Value::Number(number)) = (field == wanted, value) {
            found = Some(number);
        }
        Ok(())
    })?;
    Ok(found)
}

/// Calls `visit` for every field of a message.
fn each_field<'a>(
    mut bytes: &'a [u8],
    visit: &mut dyn FnMut(u64, Value<'a>) -> Result<(), String>,
) -> Result<(), String> {
    while !bytes.is_empty() {
        let tag = take_number(&mut bytes)?;
        let value = match tag & 7 {
            0 => Value::Number(take_number(&mut bytes)?),
            1 => take(&mut bytes, 8).map(|_| Value::Other)?,
            2 => {
                let length = take_number(&mut bytes)?;
                Value::Bytes(take(&mut bytes, usize::try_from(length).unwrap_or(usize::MAX))?)
            }
            5 => take(&mut bytes, 4)
                .map(|four| Value::Float(f32::from_le_bytes([four[0], four[1], four[2], four[3]])))?,
            kind => return Err(format!("a field has the unknown wire type {kind}")),
        };
        visit(tag >> 3, value)?;
    }
    Ok(())
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Result<&'a [u8], String> {
    let (taken, rest) = bytes.split_at_checked(count).ok_or("it ends within a field")?;
    *bytes = rest;
    Ok(taken)
}

/// A number in seven bits a byte, lowest first.
fn take_number(bytes: &mut &[u8]) -> Result<u64, String> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)?[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err("a number is too long".to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn pieces_and_settings_are_read_and_other_fields_skipped() {
        let mut bytes = vec![0x0a, 9, 0x0a, 2, b'a', b'b', 0x15];
        bytes.extend_from_slice(&(-2.5_f32).to_le_bytes());
        bytes.extend_from_slice(&[0x12, 2, 0x18, 2]); // trainer: model_type BPE
        bytes.extend_from_slice(&[0x1a, 2, 0x18, 0]); // normalizer: no dummy prefix
        bytes.extend_from_slice(&[0x22, 1, 0]); // a field of no interest
        let model = read(&bytes).unwrap();
        assert_eq!(model.pieces, [Piece { text: "ab".to_owned(), score: -2.5, kind: 1 }]);
        assert!(model.is_bpe && !model.adds_prefix);
    }

    #[test]
    fn damaged_bytes_are_refused() {
        assert!(read(&[]).is_err());
        assert!(read(&[0x0a, 200, 1, 2]).is_err());
        assert!(read(&[0xff; 12]).is_err());
        assert!(read(&[0x0a, 3, 0x0a, 1, 0xff]).is_err());
    }
}
