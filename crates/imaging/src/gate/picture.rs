//! PNG, JPEG, BMP and WebP headers. Fields that are not there are left to the reader, which says so.

use super::{Header, MAX_DEFLATE_RATIO};
use crate::error::Result;
use std::io::{Read, Seek};

/// Segments before the frame header of a JPEG; real files have some dozens.
const MAX_SEGMENTS: usize = 4096;

/// IHDR (PNG specification, 11.2.2); the pixels are deflated.
pub(super) fn png(header: &Header, head: &[u8]) -> Result<()> {
    let (Some(width), Some(height)) = (be32(head, 16), be32(head, 20)) else { return Ok(()) };
    header.check_size(width, height)?;
    let (Some(depth), Some(colour)) = (head.get(24), head.get(25)) else { return Ok(()) };
    let channels = match colour {
        2 => 3u128,
        4 => 2,
        6 => 4,
        _ => 1,
    };
    let bits = u128::from(width) * u128::from(height) * channels * u128::from(*depth);
    header.check_length("IDAT", bits / 8 / u128::from(MAX_DEFLATE_RATIO))
}

/// Walks the segments to the frame header (ITU T.81, B.2.2). A height of 0 is told later by the stream itself.
pub(super) fn jpeg(header: &Header, mut file: impl Read + Seek) -> Result<()> {
    let mut marker = [0; 2];
    if file.read_exact(&mut marker).is_err() {
        return Ok(());
    }
    for _ in 0..MAX_SEGMENTS {
        let mut fixed = [0; 4];
        if file.read_exact(&mut fixed).is_err() || fixed[0] != 0xFF {
            return Ok(());
        }
        if fixed[1] == 0xFF {
            // A fill byte: the marker begins one byte later.
            if file.seek_relative(-3).is_err() {
                return Ok(());
            }
            continue;
        }
        let length = u16::from_be_bytes([fixed[2], fixed[3]]);
        if (0xC0..=0xCF).contains(&fixed[1]) && !matches!(fixed[1], 0xC4 | 0xC8 | 0xCC) {
            let mut frame = [0; 5];
            if file.read_exact(&mut frame).is_err() {
                return Ok(());
            }
            let [height, width] = [1, 3].map(|at| u64::from(u16::from_be_bytes([frame[at], frame[at + 1]])));
            return header.check_size(width, height.max(1));
        }
        if length < 2 || file.seek_relative(i64::from(length) - 2).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// BITMAPCOREHEADER and BITMAPINFOHEADER.
pub(super) fn bmp(header: &Header, head: &[u8]) -> Result<()> {
    let (Some(pixels_at), Some(header_length)) = (le32(head, 10), le32(head, 14)) else { return Ok(()) };
    let (width, height, bits, compression) = if header_length == 12 {
        (le16(head, 18), le16(head, 20), le16(head, 24), Some(0))
    } else {
        // Both are signed; a negative height means that the first row is the upper one.
        let size = |at| le32(head, at).map(|size| u64::from((size as u32 as i32).unsigned_abs()));
        (size(18), size(22), le16(head, 28), le32(head, 30))
    };
    let (Some(width), Some(height)) = (width, height) else { return Ok(()) };
    header.check_size(width, height)?;
    let (Some(bits), Some(0 | 3)) = (bits, compression) else { return Ok(()) };
    // Rows are padded to 4 bytes; the padding of the last may be missing.
    let row = (u128::from(width) * u128::from(bits)).div_ceil(8);
    let rows = row.div_ceil(4) * 4 * u128::from(height.saturating_sub(1)) + row;
    header.check_length("pixels", u128::from(pixels_at) + rows)
}

/// The first chunk of a WebP file (RFC 9649): VP8X, VP8L or VP8.
pub(super) fn webp(header: &Header, head: &[u8]) -> Result<()> {
    let size = match head.get(12..16) {
        Some(b"VP8X") => le24(head, 24).zip(le24(head, 27)).map(|(width, height)| (width + 1, height + 1)),
        Some(b"VP8L") => le32(head, 21).map(|bits| ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)),
        Some(b"VP8 ") => le16(head, 26).zip(le16(head, 28)).map(|(width, height)| (width & 0x3FFF, height & 0x3FFF)),
        _ => None,
    };
    size.map_or(Ok(()), |(width, height)| header.check_size(width, height))
}

fn be32(head: &[u8], at: usize) -> Option<u64> {
    Some(u64::from(u32::from_be_bytes(head.get(at..at + 4)?.try_into().ok()?)))
}

fn le32(head: &[u8], at: usize) -> Option<u64> {
    Some(u64::from(u32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?)))
}

fn le24(head: &[u8], at: usize) -> Option<u64> {
    let bytes = head.get(at..at + 3)?;
    Some(u64::from(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0])))
}

fn le16(head: &[u8], at: usize) -> Option<u64> {
    Some(u64::from(u16::from_le_bytes(head.get(at..at + 2)?.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use crate::error::Error;
    use crate::gate::tests::judged;

    fn png(width: u32, height: u32, length: usize) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        bytes.extend(width.to_be_bytes());
        bytes.extend(height.to_be_bytes());
        bytes.extend([8, 2, 0, 0, 0]);
        bytes.resize(length, 0);
        bytes
    }

    #[test]
    fn png_may_not_claim_more_pixels_than_deflate_can_give() {
        assert!(matches!(judged(&png(20_000, 20_000, 4000)), Err(Error::TooLarge { .. })));
        assert!(matches!(judged(&png(8000, 8000, 4000)), Err(Error::Truncated { .. })));
        assert!(judged(&png(1000, 1000, 4000)).is_ok());
    }

    #[test]
    fn jpeg_size_is_found_behind_other_segments_and_fill_bytes() {
        let before =
            [&[0xFF, 0xD8, 0xFF, 0xE1, 0x10, 0][..], &[7; 0x0FFE], &[0xFF, 0xFF, 0xFF, 0xC2, 0, 17, 8]].concat();
        let huge = [&before[..], &[0xFF, 0xFF, 0xFF, 0xFE, 3, 0, 0]].concat();
        assert!(matches!(judged(&huge), Err(Error::TooLarge { found: 4_294_770_690, .. })));
        let usual = [&before[..], &[2, 0, 2, 0, 3, 0, 0]].concat();
        assert!(judged(&usual).is_ok());
        assert!(judged(&before).is_ok(), "the reader says that the frame is missing");
    }

    #[test]
    fn bmp_needs_all_its_rows_but_not_the_last_padding() {
        let bmp = |width: i32, height: i32, length: usize| {
            let mut bytes = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
            bytes.extend(width.to_le_bytes());
            bytes.extend(height.to_le_bytes());
            bytes.extend([1, 0, 24, 0, 0, 0, 0, 0]);
            bytes.resize(length, 0);
            bytes
        };
        assert!(judged(&bmp(3, -2, 54 + 12 + 9)).is_ok());
        assert!(matches!(judged(&bmp(3, -2, 54 + 12 + 8)), Err(Error::Truncated { .. })));
        assert!(matches!(judged(&bmp(i32::MIN, 2, 60)), Err(Error::TooLarge { .. })));
    }

    #[test]
    fn webp_canvas_is_limited() {
        let mut bytes = b"RIFF\0\0\0\0WEBPVP8X\x0A\0\0\0\0\0\0\0".to_vec();
        bytes.extend([0xFF, 0x3F, 0, 0xFF, 0x3F, 0]);
        assert!(matches!(judged(&bytes), Err(Error::TooLarge { found: 268_435_456, .. })));
    }
}
