//! Bits of entropy-coded data: a byte of ones is followed by a byte whose first bit is a stuffed zero (T.87 A.1); a set first bit there
//! means a marker.

use crate::error::{Error, Result};

/// Reads the bits of one scan.
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    /// The next byte to take.
    at: usize,
    /// Taken bits that are not used yet, at the top; below them zeros.
    buffer: u64,
    available: u32,
    /// Whether the last byte taken was all ones.
    is_stuffed: bool,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> BitReader<'a> {
        BitReader { bytes, at, buffer: 0, available: 0, is_stuffed: false }
    }

    /// The first byte that was not taken: where the next marker is looked for.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Fills up to more than 56 bits, or up to the next marker.
    #[inline]
    fn refill(&mut self) {
        while self.available <= 56 {
            let Some(&byte) = self.bytes.get(self.at) else { return };
            if byte == 0xFF && self.bytes.get(self.at + 1).is_none_or(|next| *next >= 0x80) {
                return;
            }
            let width = if self.is_stuffed { 7 } else { 8 };
            self.buffer |= u64::from(byte) << (64 - width - self.available);
            self.available += width;
            self.is_stuffed = byte == 0xFF;
            self.at += 1;
        }
    }

    #[inline]
    fn consume(&mut self, count: u32) -> Result<()> {
        if count > self.available {
            return Err(self.ended());
        }
        self.buffer = if count < 64 { self.buffer << count } else { 0 };
        self.available -= count;
        Ok(())
    }

    #[cold]
    fn ended(&self) -> Error {
        if self.at + 1 >= self.bytes.len() {
            Error::Truncated
        } else {
            Error::Damaged("a scan ends before its picture does; the file is damaged")
        }
    }

    /// The next `count` bits, at most 32, as a number.
    #[inline]
    pub(super) fn bits(&mut self, count: u32) -> Result<u32> {
        if self.available < count {
            self.refill();
        }
        let value = ((self.buffer >> 32) >> (32 - count)) as u32; // In two steps: `count` may be 0.
        self.consume(count)?;
        Ok(value)
    }

    /// Zeros before the next one, which is taken too; `most` or more is damage.
    #[inline]
    pub(super) fn zeros(&mut self, most: u32) -> Result<u32> {
        let mut count = 0;
        loop {
            if self.available < 32 {
                self.refill();
            }
            let zeros = self.buffer.leading_zeros();
            if zeros < self.available {
                self.consume(zeros + 1)?;
                count += zeros;
                return if count <= most { Ok(count) } else { Err(Error::Damaged("it holds an unknown code")) };
            }
            count += self.available;
            if self.available == 0 {
                return Err(self.ended());
            }
            if count > most {
                return Err(Error::Damaged("it holds an unknown code"));
            }
            self.consume(self.available)?;
        }
    }

    /// Passes over the restart marker with this number.
    pub(super) fn restart(&mut self, number: u8) -> Result<()> {
        (self.buffer, self.available, self.is_stuffed) = (0, 0, false);
        match self.bytes.get(self.at..self.at + 2) {
            None => Err(Error::Truncated),
            Some([0xFF, code]) if *code == 0xD0 + number => {
                self.at += 2;
                Ok(())
            }
            Some(_) => Err(Error::Damaged("a restart marker is missing; the file is damaged")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zero_is_stuffed_after_a_byte_of_ones() {
        let mut reader = BitReader::new(&[0xFF, 0x2A, 0x80, 0xFF, 0xD9], 0);
        assert_eq!(reader.bits(8), Ok(0xFF));
        assert_eq!(reader.bits(7), Ok(0x2A));
        assert_eq!(reader.zeros(9), Ok(0));
        assert_eq!(reader.bits(7), Ok(0));
        assert!(reader.bits(1).is_err());
        assert_eq!(reader.position(), 3);
    }

    #[test]
    fn long_runs_of_zeros_are_counted_or_refused() {
        let bytes = [0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        assert_eq!(BitReader::new(&bytes, 0).zeros(90), Ok(79));
        assert!(BitReader::new(&bytes, 0).zeros(70).is_err());
        assert_eq!(BitReader::new(&bytes[..9], 0).zeros(90), Err(Error::Truncated));
    }
}
