//! Takes out of picture files what is not needed to show them: EXIF, comments, text, thumbnails, colour profiles, trailing data.
//!
//! File metadata may name patients, places and devices. Pixels decode to the same values with and without it.

/// A PNG file with its critical chunks only (PNG specification, 5.4); `None` when the chunks cannot be followed.
pub fn bare_png(bytes: &[u8]) -> Option<Vec<u8>> {
    const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
    let mut rest = bytes.strip_prefix(SIGNATURE)?;
    let mut bare = SIGNATURE.to_vec();
    loop {
        let length = u32::from_be_bytes(rest.get(..4)?.try_into().ok()?) as usize;
        let kind = rest.get(4..8)?;
        let chunk = rest.get(..length.checked_add(12)?)?; // Length, type, data, checksum.
        let is_critical = kind[0].is_ascii_uppercase();
        if is_critical {
            bare.extend_from_slice(chunk);
        }
        if kind == b"IEND" {
            return Some(bare);
        }
        rest = &rest[chunk.len()..];
    }
}

/// A JPEG file without application segments other than JFIF and Adobe, which decoders need, and without comments;
/// `None` when the segments cannot be followed to the end marker.
pub fn bare_jpeg(bytes: &[u8]) -> Option<Vec<u8>> {
    const START_OF_IMAGE: &[u8] = &[0xff, 0xd8];
    let mut rest = bytes.strip_prefix(START_OF_IMAGE)?;
    let mut bare = START_OF_IMAGE.to_vec();
    loop {
        if *rest.first()? != 0xff {
            return None;
        }
        let fill = rest.iter().position(|byte| *byte != 0xff)?; // A marker may be preceded by any number of 0xff.
        let marker = rest[fill];
        rest = &rest[fill + 1..];
        if marker == 0xd9 {
            bare.extend_from_slice(&[0xff, marker]);
            return Some(bare);
        }
        let length = usize::from(u16::from_be_bytes(rest.get(..2)?.try_into().ok()?));
        let segment = rest.get(..length).filter(|segment| segment.len() >= 2)?;
        if is_needed(marker, &segment[2..]) {
            bare.extend_from_slice(&[0xff, marker]);
            bare.extend_from_slice(segment);
        }
        rest = &rest[length..];
        if marker == 0xda {
            let scan = scan_length(rest)?;
            bare.extend_from_slice(&rest[..scan]);
            rest = &rest[scan..];
        }
    }
}

fn is_needed(marker: u8, content: &[u8]) -> bool {
    match marker {
        0xe0 => content.starts_with(b"JFIF\0") && content.len() == 14, // 14 bytes: no thumbnail.
        0xee => content.starts_with(b"Adobe"),
        0xe1..=0xef | 0xfe => false,
        _ => true,
    }
}

/// Bytes of entropy-coded data up to the next marker other than a restart.
fn scan_length(data: &[u8]) -> Option<usize> {
    let is_end = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0x00 | 0xd0..=0xd7 | 0xff);
    data.windows(2).position(is_end)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use image::{ExtendedColorType, ImageEncoder};

    fn pixels() -> Vec<u8> {
        (0..64 * 48 * 3).map(|index| (index * 7 % 251) as u8).collect()
    }

    fn with_segment(jpeg: &[u8], marker: u8, content: &[u8]) -> Vec<u8> {
        let length = (content.len() as u16 + 2).to_be_bytes();
        [&jpeg[..2], &[0xff, marker], &length, content, &jpeg[2..]].concat()
    }

    #[test]
    fn jpeg_loses_its_metadata_and_keeps_its_pixels() {
        let mut jpeg = Vec::new();
        let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 90);
        encoder.write_image(&pixels(), 64, 48, ExtendedColorType::Rgb8).unwrap();
        let named = with_segment(&with_segment(&jpeg, 0xe1, b"Exif\0\0 DOE^JOHN"), 0xfe, b"DOE^JOHN");
        let named = [named.as_slice(), b"DOE^JOHN after the end"].concat();
        let bare = bare_jpeg(&named).unwrap();
        assert!(!bare.windows(3).any(|bytes| bytes == b"DOE"));
        assert_eq!(image::load_from_memory(&bare).unwrap(), image::load_from_memory(&named).unwrap());
        assert_eq!(bare_jpeg(&jpeg[..jpeg.len() - 2]), None, "without an end nothing is promised");
    }

    #[test]
    fn png_loses_its_text_and_keeps_its_pixels() {
        let mut png = Vec::new();
        let encoder = image::codecs::png::PngEncoder::new(&mut png);
        encoder.write_image(&pixels(), 64, 48, ExtendedColorType::Rgb8).unwrap();
        let text = [&8u32.to_be_bytes()[..], b"tEXt", b"DOE^JOHN", &[0; 4]].concat();
        let header = 8 + 25; // Signature and IHDR.
        let named = [&png[..header], &text, &png[header..], b"DOE^JOHN"].concat();
        let bare = bare_png(&named).unwrap();
        assert!(!bare.windows(3).any(|bytes| bytes == b"DOE"));
        assert_eq!(image::load_from_memory(&bare).unwrap(), image::load_from_memory(&png).unwrap());
        assert_eq!(bare_png(&png[..png.len() / 2]), None);
    }
}
