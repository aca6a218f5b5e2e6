//! Values as ggml stores them.

use half::f16;

/// Values of one block of q8_0.
const BLOCK: usize = 32;

/// How the large tensors of a file are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outtype {
    /// 4 bytes a value, exact for weights in f32, f16 and bf16.
    F32,
    /// 2 bytes a value.
    F16,
    /// 34 bytes for 32 values: one scale, 8 bits each.
    Q8_0,
}

/// How one tensor is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// IEEE single.
    F32,
    /// IEEE half.
    F16,
    /// Blocks of 32 with a half as scale.
    Q8_0,
}

impl Outtype {
    /// As typed and as in file names.
    pub fn key(self) -> &'static str {
        match self {
            Outtype::F32 => "f32",
            Outtype::F16 => "f16",
            Outtype::Q8_0 => "q8_0",
        }
    }

    /// llama.cpp's number for a file whose large tensors are written so (`general.file_type`).
    pub fn file_type(self) -> usize {
        match self {
            Outtype::F32 => 0,
            Outtype::F16 => 1,
            Outtype::Q8_0 => 7,
        }
    }

    /// How a large tensor of rows of `width` values is written: blocks must fill rows, else it is f16.
    pub fn number(self, width: usize) -> Number {
        match self {
            Outtype::F32 => Number::F32,
            Outtype::Q8_0 if width.is_multiple_of(BLOCK) => Number::Q8_0,
            Outtype::F16 | Outtype::Q8_0 => Number::F16,
        }
    }
}

impl Number {
    /// ggml's number of the type.
    pub fn type_id(self) -> u32 {
        match self {
            Number::F32 => 0,
            Number::F16 => 1,
            Number::Q8_0 => 8,
        }
    }

    /// Bytes that so many values take.
    pub fn num_bytes(self, num_values: usize) -> usize {
        match self {
            Number::F32 => 4 * num_values,
            Number::F16 => 2 * num_values,
            Number::Q8_0 => num_values / BLOCK * (2 + BLOCK),
        }
    }
}

/// Values as bytes. For q8_0 their number must be a multiple of 32.
pub fn encode(values: &[f32], number: Number) -> Vec<u8> {
    match number {
        Number::F32 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        Number::F16 => values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect(),
        Number::Q8_0 => {
            let mut bytes = Vec::with_capacity(number.num_bytes(values.len()));
            values.chunks_exact(BLOCK).for_each(|block| encode_q8_0(block, &mut bytes));
            bytes
        }
    }
}

/// ggml's own arithmetic: scale by the largest, multiply by its reciprocal in single precision, round halves away from zero.
fn encode_q8_0(block: &[f32], bytes: &mut Vec<u8>) {
    let largest = block.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let scale = largest / 127.0;
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    bytes.extend_from_slice(&f16::from_f32(scale).to_le_bytes());
    bytes.extend(block.iter().map(|value| (value * inverse).round() as i8 as u8));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_its_scale_and_rounded_shares_of_it() {
        let mut block = [0.0_f32; 32];
        (block[0], block[1], block[2]) = (127.0, -63.5, 0.5);
        let bytes = encode(&block, Number::Q8_0);
        assert_eq!(bytes.len(), 34);
        assert_eq!(bytes[..2], f16::from_f32(1.0).to_le_bytes());
        // Halves go away from zero.
        assert_eq!(bytes[2..6].iter().map(|&byte| byte as i8).collect::<Vec<_>>(), [127, -64, 1, 0]);
        assert_eq!(encode(&[0.0; 32], Number::Q8_0), [0; 34]);
    }

    #[test]
    fn rows_that_blocks_do_not_fill_are_halves() {
        assert_eq!(Outtype::Q8_0.number(48), Number::F16);
        assert_eq!(Outtype::Q8_0.number(64), Number::Q8_0);
        assert_eq!(encode(&[1.0, 65519.0, 1e-8], Number::F16), [0, 0x3c, 0xff, 0x7b, 0, 0]);
    }
}
