//! Bits of entropy-coded data and the Huffman codes in them (ITU T.81 annexes C and F.2.2).

use crate::error::{Error, Result};

/// Bits that the first look at a code takes; nearly all codes are shorter.
const LOOK_BITS: u32 = 9;

/// A Huffman table, ready for decoding.
#[derive(Debug, Clone)]
pub(crate) struct HuffmanTable {
    /// For each value of the next [`LOOK_BITS`] bits: symbol in the low byte, length of its code above; 0 for longer codes.
    look: Vec<u16>,
    /// For each code length: one more than the largest code, moved to the top of 16 bits; for finding longer codes.
    limits: [u32; 18],
    /// For each code length: what added to a code gives its symbol's place.
    offsets: [i32; 17],
    symbols: Vec<u8>,
}

impl HuffmanTable {
    /// From the number of codes of each length, 1 to 16, and the symbols in the order of their codes.
    pub(crate) fn new(counts: &[u8; 16], symbols: &[u8]) -> Result<HuffmanTable> {
        let impossible = Error::Damaged("a Huffman table has more codes than fit");
        if symbols.len() > 256 {
            return Err(impossible);
        }
        let mut table = HuffmanTable {
            look: vec![0; 1 << LOOK_BITS],
            limits: [0; 18],
            offsets: [0; 17],
            symbols: symbols.to_vec(),
        };
        let (mut code, mut place) = (0u32, 0usize);
        for (index, &count) in counts.iter().enumerate() {
            let length = index as u32 + 1;
            table.offsets[length as usize] = place as i32 - code as i32;
            for _ in 0..count {
                if length <= LOOK_BITS {
                    let first = (code << (LOOK_BITS - length)) as usize;
                    let entry = (length as u16) << 8 | u16::from(symbols[place]);
                    let span = table.look.get_mut(first..first + (1 << (LOOK_BITS - length)));
                    span.ok_or_else(|| impossible.clone())?.fill(entry);
                }
                code += 1;
                place += 1;
            }
            if code > 1 << length {
                return Err(impossible);
            }
            table.limits[length as usize] = code << (16 - length);
            code <<= 1;
        }
        table.limits[17] = u32::MAX;
        Ok(table)
    }

    /// Whether every symbol is a possible bit count of a difference, `most` or less.
    pub(crate) fn fits_differences(&self, most: u8) -> bool {
        self.symbols.iter().all(|symbol| *symbol <= most)
    }
}

/// Reads bits of one scan.
#[derive(Debug)]
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    /// The next byte to take.
    at: usize,
    /// Taken bits that are not used yet, at the top.
    buffer: u64,
    /// How many of them there are. Below them are zeros.
    available: u32,
}

impl<'a> BitReader<'a> {
    /// Begins at `at`, the first byte of entropy-coded data.
    pub(crate) fn new(bytes: &'a [u8], at: usize) -> BitReader<'a> {
        BitReader { bytes, at, buffer: 0, available: 0 }
    }

    /// The first byte that was not taken: where the next marker is looked for.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Fills up to more than 48 bits, or up to the next marker.
    #[inline]
    fn refill(&mut self) {
        if self.available > 32 {
            return;
        }
        if let Some(four) = self.bytes.get(self.at..self.at + 4).and_then(|four| <[u8; 4]>::try_from(four).ok()) {
            let word = u32::from_be_bytes(four);
            // Whether a byte is 0xFF: its complement is a zero byte.
            let zeros = (!word).wrapping_sub(0x0101_0101) & word & 0x8080_8080;
            if zeros == 0 {
                self.buffer |= u64::from(word) << (32 - self.available);
                self.available += 32;
                self.at += 4;
                return;
            }
        }
        self.refill_slowly();
    }

    #[cold]
    fn refill_slowly(&mut self) {
        while self.available <= 56 {
            let byte = match self.bytes.get(self.at..) {
                Some([0xFF, 0, ..]) => {
                    self.at += 2;
                    0xFF
                }
                Some([0xFF, 0xFF, ..]) => {
                    self.at += 1; // A fill byte.
                    continue;
                }
                Some([0xFF, ..]) | Some([]) | None => return,
                Some([byte, ..]) => {
                    self.at += 1;
                    *byte
                }
            };
            self.buffer |= u64::from(byte) << (56 - self.available);
            self.available += 8;
        }
    }

    #[inline]
    fn consume(&mut self, count: u32) -> Result<()> {
        if count > self.available {
            return Err(self.ended());
        }
        self.buffer <<= count;
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

    /// The next symbol.
    #[inline]
    pub(crate) fn symbol(&mut self, table: &HuffmanTable) -> Result<u8> {
        self.refill();
        let entry = table.look[(self.buffer >> (64 - LOOK_BITS)) as usize];
        if entry != 0 {
            self.consume(u32::from(entry >> 8))?;
            return Ok(entry as u8);
        }
        let next = (self.buffer >> 48) as u32;
        let mut length = LOOK_BITS as usize + 1;
        while next >= table.limits[length] {
            length += 1;
        }
        if length > 16 {
            return Err(if self.available < 16 { self.ended() } else { Error::Damaged("it holds an unknown code") });
        }
        self.consume(length as u32)?;
        let place = (next >> (16 - length)) as i32 + table.offsets[length];
        table.symbols.get(place as usize).copied().ok_or(Error::Damaged("it holds an unknown code"))
    }

    /// The next `count` bits, at most 16, as a number.
    #[inline]
    pub(crate) fn bits(&mut self, count: u32) -> Result<u32> {
        self.refill();
        let value = ((self.buffer >> 32) >> (32 - count)) as u32; // In two steps: `count` may be 0.
        self.consume(count)?;
        Ok(value)
    }

    /// A value of `count` bits with its sign as the standard codes it (F.2.2.1, EXTEND).
    #[inline]
    pub(crate) fn signed(&mut self, count: u32) -> Result<i32> {
        let value = self.bits(count)? as i32;
        let is_negative = count > 0 && value < 1 << (count - 1);
        Ok(if is_negative { value - (1 << count) + 1 } else { value })
    }

    /// Passes over the rest of the interval and the restart marker with this number.
    pub(crate) fn restart(&mut self, number: u8) -> Result<()> {
        (self.buffer, self.available) = (0, 0);
        loop {
            match self.bytes.get(self.at..self.at + 2) {
                None => return Err(Error::Truncated),
                Some([0xFF, code]) if *code == 0xD0 + number => {
                    self.at += 2;
                    return Ok(());
                }
                Some([0xFF, 0 | 0xFF]) => self.at += 1,
                Some([0xFF, _]) => return Err(Error::Damaged("a restart marker is missing; the file is damaged")),
                Some(_) => self.at += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes 0, 10, 110, 1110 and, with sixteen bits, 1110 1111 1111 1111 less one.
    fn table() -> HuffmanTable {
        let mut counts = [0; 16];
        (counts[0], counts[1], counts[2], counts[15]) = (1, 1, 1, 1);
        HuffmanTable::new(&counts, &[7, 8, 9, 200]).expect("a possible table")
    }

    #[test]
    fn short_and_long_codes_are_found() {
        let bytes = [0b0101_1011, 0b1000_0000, 0b0000_0000, 0b0000_0000];
        let mut reader = BitReader::new(&bytes, 0);
        let symbols: Vec<u8> = (0..3).map(|_| reader.symbol(&table()).expect("complete")).collect();
        assert_eq!(symbols, [7, 8, 9]);
        let mut reader = BitReader::new(&[0b1110_0000, 0, 0b1100_0000], 0);
        assert_eq!(reader.symbol(&table()), Ok(200));
    }

    #[test]
    fn stuffed_bytes_are_bytes_and_markers_end_the_data() {
        let mut reader = BitReader::new(&[0xFF, 0, 0xA5, 0xFF, 0xD9], 0);
        assert_eq!(reader.bits(16), Ok(0xFFA5));
        assert!(matches!(reader.bits(1), Err(Error::Damaged(_))));
        assert_eq!(reader.position(), 3);
    }

    #[test]
    fn signed_values_follow_the_standard() {
        let mut reader = BitReader::new(&[0b0111_0000], 0);
        assert_eq!((reader.signed(1), reader.signed(2), reader.signed(3)), (Ok(-1), Ok(3), Ok(4)));
        assert_eq!(reader.signed(0), Ok(0));
    }

    #[test]
    fn impossible_tables_are_refused() {
        let mut counts = [0; 16];
        counts[0] = 3;
        assert!(HuffmanTable::new(&counts, &[1, 2, 3]).is_err());
    }
}
