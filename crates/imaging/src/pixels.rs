//! The image pixel module of DICOM: from the pixel element to samples. Rules: PS3.3 C.7.6.3.1 and PS3.5 chapter 8.

use crate::codec;
use crate::data_set::{DicomFile, PixelData};
use crate::error::{Error, Result};
use crate::limits::Limits;
use dicom_dictionary_std::tags;
use std::borrow::Cow;

/// Shape and encoding of the pixels of one file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Layout {
    pub(crate) rows: u16,
    pub(crate) columns: u16,
    pub(crate) samples: u16,
    pub(crate) frames: u32,
    pub(crate) allocated: u16,
    pub(crate) stored: u16,
    high_bit: u16,
    signed: bool,
    planar: bool,
    pub(crate) photometric: Photometric,
}

/// What the samples mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Photometric {
    /// High values are bright.
    Monochrome2,
    /// High values are dark.
    Monochrome1,
    Palette,
    Rgb,
    /// Luminance and two colour differences for each pixel.
    YbrFull,
    /// The same, colour differences stored for every second pixel when uncompressed.
    YbrFull422,
    /// JPEG 2000 colour transforms, undone by the decoder.
    YbrDecoded,
}

impl Photometric {
    pub(crate) fn is_grey(self) -> bool {
        matches!(self, Photometric::Monochrome1 | Photometric::Monochrome2)
    }

    fn read(file: &DicomFile) -> Result<Photometric> {
        // Old files leave it out; grey is the only choice with one sample.
        let Some(text) = file.root().text(tags::PHOTOMETRIC_INTERPRETATION) else {
            return Err(Error::MissingAttribute { path: file.path.clone(), name: "PhotometricInterpretation" });
        };
        Ok(match text.as_str() {
            "MONOCHROME2" => Photometric::Monochrome2,
            "MONOCHROME1" => Photometric::Monochrome1,
            "PALETTE COLOR" => Photometric::Palette,
            "RGB" => Photometric::Rgb,
            "YBR_FULL" => Photometric::YbrFull,
            "YBR_FULL_422" => Photometric::YbrFull422,
            "YBR_RCT" | "YBR_ICT" => Photometric::YbrDecoded,
            _ => {
                let remedy = "convert it to MONOCHROME2 or RGB";
                let (path, field) = (file.path.clone(), "PhotometricInterpretation");
                return Err(Error::Unsupported { path, field, value: text, remedy });
            }
        })
    }
}

impl Layout {
    /// Reads and checks the attributes; nothing of the size they claim is allocated before.
    pub(crate) fn read(file: &DicomFile, limits: &Limits) -> Result<Layout> {
        let root = file.root();
        let missing = |name| Error::MissingAttribute { path: file.path.clone(), name };
        let rows = root.short(tags::ROWS).ok_or_else(|| missing("Rows"))?;
        let columns = root.short(tags::COLUMNS).ok_or_else(|| missing("Columns"))?;
        limits.check_pixels(&file.path, u64::from(columns), u64::from(rows))?;
        let allocated = root.short(tags::BITS_ALLOCATED).ok_or_else(|| missing("BitsAllocated"))?;
        let stored = root.short(tags::BITS_STORED).unwrap_or(allocated);
        let high_bit = root.short(tags::HIGH_BIT).unwrap_or(stored.saturating_sub(1));
        let fits = stored >= 1 && stored <= allocated && high_bit < allocated && high_bit + 1 >= stored;
        if !matches!(allocated, 1 | 8 | 16 | 32) || !fits {
            let reason =
                format!("{allocated} bits allocated, {stored} stored, high bit {high_bit} do not fit together");
            return Err(file.malformed(tags::BITS_ALLOCATED, reason));
        }
        let frames = match root.decimal(tags::NUMBER_OF_FRAMES) {
            None => 1,
            Some(frames) if (1.0..=1e8).contains(&frames) => frames as u32,
            Some(frames) => return Err(file.malformed(tags::NUMBER_OF_FRAMES, format!("{frames} is not possible"))),
        };
        let photometric = Photometric::read(file)?;
        let samples = root.short(tags::SAMPLES_PER_PIXEL).unwrap_or(1);
        let expected = if photometric.is_grey() || photometric == Photometric::Palette { 1 } else { 3 };
        if samples != expected {
            return Err(
                file.malformed(tags::SAMPLES_PER_PIXEL, format!("{samples} samples do not fit {photometric:?}"))
            );
        }
        if samples == 3 && allocated != 8 && allocated != 16 {
            let (path, value) = (file.path.clone(), format!("{allocated} with colour"));
            let remedy = "convert it to 8 bits a sample";
            return Err(Error::Unsupported { path, field: "BitsAllocated", value, remedy });
        }
        Ok(Layout {
            rows,
            columns,
            samples,
            frames,
            allocated,
            stored,
            high_bit,
            signed: root.short(tags::PIXEL_REPRESENTATION) == Some(1),
            planar: root.short(tags::PLANAR_CONFIGURATION) == Some(1),
            photometric,
        })
    }

    pub(crate) fn pixels(&self) -> usize {
        usize::from(self.rows) * usize::from(self.columns)
    }

    /// Samples of a frame, three a pixel for colour.
    pub(crate) fn frame_samples(&self) -> usize {
        self.pixels() * usize::from(self.samples)
    }

    /// One stored sample as a number: the bits below `HighBit`, sign extended.
    pub(crate) fn sample(&self, word: u32) -> f32 {
        let shifted = word >> (self.high_bit + 1 - self.stored);
        let unused = 32 - u32::from(self.stored);
        if self.signed { ((shifted << unused) as i32 >> unused) as f32 } else { (shifted << unused >> unused) as f32 }
    }
}

/// The frames of a file, decoded one at a time.
pub(crate) struct Frames<'a> {
    file: &'a DicomFile,
    pub(crate) layout: Layout,
    data: PixelData<'a>,
}

impl<'a> Frames<'a> {
    /// Checks layout and length of the pixel data.
    pub(crate) fn open(file: &'a DicomFile, limits: &Limits) -> Result<Frames<'a>> {
        let Some(data) = file.pixel_data() else {
            return Err(Error::MissingAttribute { path: file.path.clone(), name: "PixelData" });
        };
        let frames = Frames { file, layout: Layout::read(file, limits)?, data };
        if let PixelData::Native { bytes, .. } = frames.data {
            let layout = &frames.layout;
            let needed = frames.frame_bytes(u64::from(layout.frames));
            let available = bytes.len() as u64;
            if needed > available {
                let field = "PixelData".to_string();
                return Err(Error::Truncated { path: file.path.clone(), field, needed, available });
            }
        }
        Ok(frames)
    }

    /// Bytes of the first `count` uncompressed frames.
    fn frame_bytes(&self, count: u64) -> u64 {
        let layout = &self.layout;
        // PS3.3 C.7.6.3.1.2: uncompressed 4:2:2 holds two bytes a pixel, two luminances and two differences a pair.
        let bits = match layout.photometric {
            Photometric::YbrFull422 => layout.pixels() as u64 * 2 * u64::from(layout.allocated),
            _ => layout.frame_samples() as u64 * u64::from(layout.allocated),
        };
        bits.saturating_mul(count).div_ceil(8)
    }

    /// One frame of grey values or palette indices, as stored (not rescaled).
    pub(crate) fn grey(&self, frame: u32) -> Result<Vec<f32>> {
        let layout = &self.layout;
        if layout.allocated == 1 {
            return self.bits(frame);
        }
        let (bytes, allocated) = self.frame(frame)?;
        Ok(match allocated {
            8 => bytes.iter().map(|byte| layout.sample(u32::from(*byte))).collect(),
            16 => {
                let (words, _) = bytes.as_chunks::<2>();
                words.iter().map(|word| layout.sample(u32::from(u16::from_le_bytes(*word)))).collect()
            }
            _ => {
                let (words, _) = bytes.as_chunks::<4>();
                words.iter().map(|word| layout.sample(u32::from_le_bytes(*word))).collect()
            }
        })
    }

    /// One frame as red, green and blue bytes.
    pub(crate) fn colour(&self, frame: u32) -> Result<Vec<u8>> {
        let layout = &self.layout;
        let (bytes, allocated) = self.frame(frame)?;
        let native = matches!(self.data, PixelData::Native { .. });
        let samples: Cow<[u8]> = match allocated {
            8 => bytes,
            // The high byte carries the visible part, wherever the stored bits end.
            _ => {
                let shift = layout.stored.saturating_sub(8).min(8);
                let (words, _) = bytes.as_chunks::<2>();
                words.iter().map(|word| (u16::from_le_bytes(*word) >> shift).min(255) as u8).collect()
            }
        };
        if native && layout.photometric == Photometric::YbrFull422 {
            return Ok(samples
                .chunks_exact(4)
                .flat_map(|pair| {
                    let [a, b] = [0, 1].map(|index| rgb_of_ybr([pair[index], pair[2], pair[3]]));
                    [a[0], a[1], a[2], b[0], b[1], b[2]]
                })
                .collect());
        }
        let mut pixels = if native && layout.planar { interleave(&samples) } else { samples.into_owned() };
        // JPEG decoders give RGB; what they and the uncompressed forms leave as YBR is converted here.
        let convert = layout.photometric == Photometric::YbrFull && !codec::gives_rgb(&self.file.transfer_syntax);
        if convert {
            for pixel in pixels.as_chunks_mut::<3>().0 {
                *pixel = rgb_of_ybr(*pixel);
            }
        }
        Ok(pixels)
    }

    /// Little-endian bytes of a frame, and the bits that each sample takes.
    fn frame(&self, frame: u32) -> Result<(Cow<'a, [u8]>, u16)> {
        match &self.data {
            PixelData::Native { bytes, big_endian, words } => {
                let start = self.frame_bytes(u64::from(frame)) as usize;
                let bytes = &bytes[start..self.frame_bytes(u64::from(frame) + 1) as usize];
                let width = match self.layout.allocated {
                    // PS3.5 A.3: big-endian bytes in words come in swapped pairs.
                    8 if *words => 2,
                    allocated => usize::from(allocated / 8),
                };
                if *big_endian && width > 1 {
                    let mut swapped = bytes.to_vec();
                    swapped.chunks_exact_mut(width).for_each(<[u8]>::reverse);
                    return Ok((swapped.into(), self.layout.allocated));
                }
                Ok((bytes.into(), self.layout.allocated))
            }
            PixelData::Fragments(fragments) => {
                let decoded = codec::decode_frame(self.file, &self.layout, fragments, frame)?;
                Ok((decoded.bytes.into(), decoded.allocated))
            }
        }
    }

    /// Bits of a binary image: one stream over all frames, lowest bit of a byte first (PS3.5 8.1.1).
    fn bits(&self, frame: u32) -> Result<Vec<f32>> {
        let PixelData::Native { bytes, .. } = &self.data else {
            let (path, field) = (self.file.path.clone(), "BitsAllocated");
            let remedy = "decompress the file first (dcmdrle, gdcmconv --raw)";
            return Err(Error::Unsupported { path, field, value: "1 in compressed form".into(), remedy });
        };
        let start = frame as usize * self.layout.pixels();
        let bit = |index: usize| f32::from(bytes[index / 8] >> (index % 8) & 1);
        Ok((start..start + self.layout.pixels()).map(bit).collect())
    }
}

/// Plane after plane to pixel after pixel.
fn interleave(planes: &[u8]) -> Vec<u8> {
    let pixels = planes.len() / 3;
    (0..pixels).flat_map(|pixel| [planes[pixel], planes[pixels + pixel], planes[2 * pixels + pixel]]).collect()
}

/// PS3.3 C.7.6.3.1.2, inverted: full-range YCbCr of ITU-R BT.601.
fn rgb_of_ybr([y, blue, red]: [u8; 3]) -> [u8; 3] {
    let [y, blue, red] = [f32::from(y), f32::from(blue) - 128.0, f32::from(red) - 128.0];
    [y + 1.402 * red, y - 0.344_136 * blue - 0.714_136 * red, y + 1.772 * blue]
        .map(|value| (value + 0.5).clamp(0.0, 255.0) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(stored: u16, high_bit: u16, signed: bool) -> Layout {
        Layout {
            rows: 1,
            columns: 1,
            samples: 1,
            frames: 1,
            allocated: 16,
            stored,
            high_bit,
            signed,
            planar: false,
            photometric: Photometric::Monochrome2,
        }
    }

    #[test]
    fn only_stored_bits_count_and_the_sign_is_extended() {
        assert_eq!(layout(12, 11, false).sample(0xF800), 2048.0);
        assert_eq!(layout(12, 11, true).sample(0x0800), -2048.0);
        assert_eq!(layout(12, 15, true).sample(0xFFF0), -1.0);
        assert_eq!(layout(16, 15, false).sample(0xFFFF), 65535.0);
    }

    #[test]
    fn grey_ybr_stays_grey() {
        assert_eq!(rgb_of_ybr([77, 128, 128]), [77, 77, 77]);
        assert_eq!(rgb_of_ybr([76, 85, 255]), [254, 0, 0]);
    }
}
