//! JPEG 2000 and its high-throughput form, through `openjp2` (OpenJPEG translated to Rust).

use jpeg2k::{DecodeParameters, Image};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Size and depth as the codestream itself states them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) channels: u16,
    /// Bits of the first channel.
    pub(crate) bits: u8,
    pub(crate) signed: bool,
}

/// A decoded stream: numbers with their sign, pixel by pixel.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) head: Head,
    pub(crate) values: Vec<i32>,
}

impl Head {
    /// Reads the SIZ segment (ITU T.800, A.5.1): first in a bare codestream, behind some boxes in a JP2 file.
    pub(crate) fn find(stream: &[u8]) -> Option<Head> {
        let start = stream.windows(4).take(4096).position(|bytes| bytes == [0xFF, 0x4F, 0xFF, 0x51])?;
        let segment = &stream[start + 4..];
        let long = |at: usize| segment.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
        let channels = segment.get(36..38)?.try_into().ok().map(u16::from_be_bytes)?;
        let width = long(4)?.checked_sub(long(12)?)?;
        let height = long(8)?.checked_sub(long(16)?)?;
        let depth = *segment.get(38)?;
        // Tiles: each takes memory of its own before its data is looked at.
        let (tile_width, tile_height) = (long(20)?, long(24)?);
        let tiles = u64::from(long(4)?.div_ceil(tile_width.max(1))) * u64::from(long(8)?.div_ceil(tile_height.max(1)));
        let fits = tile_width > 0 && tile_height > 0 && tiles <= 65_535;
        fits.then_some(Head { width, height, channels, bits: (depth & 0x7F) + 1, signed: depth & 0x80 != 0 })
    }
}

/// Decodes a stream of at most `max_pixels` pixels. The error says in words what is wrong.
pub(crate) fn decode(stream: &[u8], max_pixels: u64) -> Result<Decoded, String> {
    let head = Head::find(stream).ok_or("no JPEG 2000 header in the pixel data")?;
    let pixels = u64::from(head.width) * u64::from(head.height);
    if pixels == 0 || pixels > max_pixels || head.channels == 0 || head.channels > 4 {
        return Err(format!("a JPEG 2000 header of {} x {} x {}", head.width, head.height, head.channels));
    }
    // A stream that ends too early must not become a picture that is grey from somewhere on.
    let read = || Image::from_bytes_with(stream, DecodeParameters::new().strict(true));
    let image = catch_unwind(AssertUnwindSafe(read))
        .map_err(|_| "the decoder gave up".to_string())?
        .map_err(|error| error.to_string())?;
    let components = image.components();
    let is_full =
        |component: &jpeg2k::ImageComponent| (component.width(), component.height()) == (head.width, head.height);
    if components.len() != usize::from(head.channels) || !components.iter().all(is_full) {
        return Err("JPEG 2000 components of different size".to_string());
    }
    let channels = components.len();
    let mut values = vec![0; pixels as usize * channels];
    for (channel, component) in components.iter().enumerate() {
        for (value, sample) in values.iter_mut().skip(channel).step_by(channels).zip(component.data()) {
            *value = *sample;
        }
    }
    Ok(Decoded { head, values })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_and_sign_are_read_from_the_stream_itself() {
        let mut stream = vec![0xFF, 0x4F, 0xFF, 0x51, 0, 41, 0, 0];
        for word in [512u32, 256, 0, 0, 512, 256, 0, 0] {
            stream.extend(word.to_be_bytes());
        }
        stream.extend([0, 1, 0x8B, 1, 1]);
        let head = Head { width: 512, height: 256, channels: 1, bits: 12, signed: true };
        assert_eq!(Head::find(&stream), Some(head));
        assert_eq!(Head::find(&stream[..40]), None);
        stream[24..28].copy_from_slice(&1u32.to_be_bytes());
        stream[28..32].copy_from_slice(&1u32.to_be_bytes());
        assert_eq!(Head::find(&stream), None, "more tiles than the standard allows");
    }
}
