//! The image pixel module of DICOM: from the pixel element to samples. Rules: PS3.3 C.7.6.3.1 and PS3.5 chapter 8.

use crate::codec::{self, Colours};
use crate::data_set::{DicomFile, Number, PixelData};
use crate::error::{Error, Result};
use crate::limits::Limits;
use dicom_dictionary_std::tags;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Shape and encoding of the pixels of one file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Layout {
    pub(crate) rows: u16,
    pub(crate) columns: u16,
    pub(crate) samples: u16,
    pub(crate) frames: u32,
    pub(crate) allocated: u16,
    pub(crate) stored: u16,
    high_bit: u16,
    pub(crate) signed: bool,
    planar: bool,
    pub(crate) photometric: Photometric,
    pub(crate) number: Number,
}

/// Samples of one frame as stored: only the bits that the layout names count.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Words<'a> {
    Bytes(Cow<'a, [u8]>),
    Shorts(Vec<u16>),
    Longs(Vec<u32>),
    /// Values that are no bits to be picked from: FloatPixelData and DoubleFloatPixelData.
    Floats(Vec<f32>),
}

impl Words<'_> {
    /// How many samples there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Words::Bytes(bytes) => bytes.len(),
            Words::Shorts(words) => words.len(),
            Words::Longs(words) => words.len(),
            Words::Floats(values) => values.len(),
        }
    }
}

/// What the samples mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
        let number = file.pixel_number();
        let allocated = match number {
            Number::Whole => root.short(tags::BITS_ALLOCATED).ok_or_else(|| missing("BitsAllocated"))?,
            Number::Float => 32,
            Number::Double => 64,
        };
        let stored = root.short(tags::BITS_STORED).filter(|_| number == Number::Whole).unwrap_or(allocated);
        let high_bit =
            root.short(tags::HIGH_BIT).filter(|_| number == Number::Whole).unwrap_or(stored.saturating_sub(1));
        let fits = stored >= 1 && stored <= allocated && high_bit < allocated && high_bit + 1 >= stored;
        if !fits {
            let reason =
                format!("{allocated} bits allocated, {stored} stored, high bit {high_bit} do not fit together");
            return Err(file.malformed(tags::BITS_ALLOCATED, reason));
        }
        if number == Number::Whole && !matches!(allocated, 1 | 8 | 16 | 32) {
            let (path, value) = (file.path.clone(), allocated.to_string());
            let remedy = "store it with 8, 16 or 32 bits a sample";
            return Err(Error::Unsupported { path, field: "BitsAllocated", value, remedy });
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
        if samples == 3 && (number != Number::Whole || allocated == 1) {
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
            number,
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

/// What the transfer syntaxes of the standard begin with (PS3.6 table A-1).
const STANDARD_SYNTAXES: &str = "1.2.840.10008.1.2";

impl<'a> Frames<'a> {
    /// Checks layout and length of the pixel data.
    pub(crate) fn open(file: &'a DicomFile, limits: &Limits) -> Result<Frames<'a>> {
        let Some(data) = file.pixel_data() else {
            return Err(Error::MissingAttribute { path: file.path.clone(), name: "PixelData" });
        };
        let frames = Frames { file, layout: Layout::read(file, limits)?, data };
        if let PixelData::Native { bytes, .. } = frames.data {
            // Private syntaxes store words in an order of their own (GE's has a little-endian header before big-endian pixels).
            if !file.transfer_syntax.starts_with(STANDARD_SYNTAXES) {
                return Err(Error::Unsupported {
                    path: file.path.clone(),
                    field: "TransferSyntaxUID",
                    value: file.transfer_syntax.clone(),
                    remedy: "it is no syntax of the standard; export the image as Explicit VR Little Endian",
                });
            }
            let layout = &frames.layout;
            let needed = frames.frame_bytes(u64::from(layout.frames));
            let available = bytes.len() as u64;
            if needed > available {
                let field = "PixelData".to_string();
                return Err(Error::Truncated { path: file.path.clone(), field, needed, available });
            }
        }
        if let PixelData::Fragments(fragments) = &frames.data {
            // Each frame has at least one fragment, after the offset table; what is counted is then bounded by the file.
            let (needed, available) = (u64::from(frames.layout.frames), fragments.len().saturating_sub(1) as u64);
            if needed > available {
                let reason = format!("{available} fragments cannot hold {needed} frames");
                return Err(Error::malformed(&file.path, "PixelData", reason));
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
        Ok(self.numbers(self.words(frame)?.0))
    }

    /// Words to the numbers that they stand for.
    fn numbers(&self, words: Words<'_>) -> Vec<f32> {
        let layout = &self.layout;
        match words {
            Words::Bytes(bytes) => bytes.iter().map(|byte| layout.sample(u32::from(*byte))).collect(),
            Words::Shorts(words) => words.iter().map(|word| layout.sample(u32::from(*word))).collect(),
            Words::Longs(words) => words.iter().map(|word| layout.sample(*word)).collect(),
            Words::Floats(values) => values,
        }
    }

    /// One frame's samples as the file means them, pixel by pixel: stored numbers, in colour red, green and blue.
    pub(crate) fn samples(&self, frame: u32) -> Result<Vec<f32>> {
        if self.layout.samples == 1 {
            return self.grey(frame);
        }
        let (words, colours) = self.words(frame)?;
        if self.layout.allocated == 8 || self.is_ybr(colours) {
            return Ok(self.rgb_bytes(words, colours).into_iter().map(f32::from).collect());
        }
        Ok(self.numbers(words))
    }

    /// One frame as red, green and blue bytes.
    pub(crate) fn colour(&self, frame: u32) -> Result<Vec<u8>> {
        let (words, colours) = self.words(frame)?;
        Ok(self.rgb_bytes(words, colours))
    }

    /// Whether the words are luminance and colour differences.
    fn is_ybr(&self, colours: Colours) -> bool {
        colours == Colours::AsNamed && matches!(self.layout.photometric, Photometric::YbrFull | Photometric::YbrFull422)
    }

    fn rgb_bytes(&self, words: Words<'_>, colours: Colours) -> Vec<u8> {
        // The highest stored bits carry the visible part.
        let shift = self.layout.stored.saturating_sub(8);
        let mut samples: Vec<u8> = match words {
            Words::Bytes(bytes) => bytes.into_owned(),
            Words::Shorts(words) => words.iter().map(|word| (word >> shift.min(8)).min(255) as u8).collect(),
            Words::Longs(words) => words.iter().map(|word| (word >> shift.min(24)).min(255) as u8).collect(),
            Words::Floats(values) => values.iter().map(|value| *value as u8).collect(),
        };
        if self.is_ybr(colours) {
            for pixel in samples.as_chunks_mut::<3>().0 {
                *pixel = rgb_of_ybr(*pixel);
            }
        }
        samples
    }

    /// The samples of a frame, colour pixel by pixel and at full size.
    fn words(&self, frame: u32) -> Result<(Words<'a>, Colours)> {
        match &self.data {
            PixelData::Native { .. } if self.layout.allocated == 1 => Ok((self.bits(frame), Colours::AsNamed)),
            PixelData::Native { bytes, big_endian, words } => {
                let start = self.frame_bytes(u64::from(frame)) as usize;
                let end = self.frame_bytes(u64::from(frame) + 1) as usize;
                // PS3.5 A.3: big-endian bytes in words come in swapped pairs; the other byte of a pair may belong to another frame or
                // be the padding at the end.
                let bytes = if self.layout.allocated == 8 && *big_endian && *words {
                    Cow::Owned((start..end).map(|at| bytes.get(at ^ 1).copied().unwrap_or(0)).collect())
                } else {
                    Cow::<'a, [u8]>::Borrowed(&bytes[start..end])
                };
                Ok((self.native_words(bytes, *big_endian), Colours::AsNamed))
            }
            PixelData::Fragments(fragments) => codec::decode_frame(self.file, &self.layout, fragments, frame),
        }
    }

    fn native_words(&self, bytes: Cow<'a, [u8]>, big_endian: bool) -> Words<'a> {
        let words = words_of(bytes, &self.layout, big_endian);
        if self.layout.photometric == Photometric::YbrFull422 {
            return full_width(words);
        }
        if self.layout.samples == 3 && self.layout.planar { interleaved(words) } else { words }
    }

    /// Bits of a binary image: one stream over all frames, lowest bit of a byte first (PS3.5 8.1.1).
    fn bits(&self, frame: u32) -> Words<'a> {
        let PixelData::Native { bytes, big_endian, words } = &self.data else {
            return Words::Bytes(Cow::Borrowed(&[]));
        };
        let start = frame as usize * self.layout.pixels();
        // PS3.5 A.3: big-endian bytes in words come in swapped pairs.
        let swap = usize::from(*big_endian && *words);
        let bit = |index: usize| bytes.get((index / 8) ^ swap).map_or(0, |byte| byte >> (index % 8) & 1);
        Words::Bytes((start..start + self.layout.pixels()).map(bit).collect::<Vec<u8>>().into())
    }
}

/// Uncompressed bytes as words of the layout's width.
pub(crate) fn words_of<'a>(bytes: Cow<'a, [u8]>, layout: &Layout, big_endian: bool) -> Words<'a> {
    fn each<const N: usize, T>(bytes: &[u8], big_endian: bool, convert: impl Fn([u8; N]) -> T) -> Vec<T> {
        let turned = |mut word: [u8; N]| {
            if big_endian {
                word.reverse();
            }
            word
        };
        bytes.as_chunks::<N>().0.iter().map(|word| convert(turned(*word))).collect()
    }
    match (layout.number, layout.allocated) {
        (Number::Float, _) => Words::Floats(each(&bytes, big_endian, f32::from_le_bytes)),
        (Number::Double, _) => Words::Floats(each(&bytes, big_endian, |word| f64::from_le_bytes(word) as f32)),
        (Number::Whole, 16) => Words::Shorts(each(&bytes, big_endian, u16::from_le_bytes)),
        (Number::Whole, 32) => Words::Longs(each(&bytes, big_endian, u32::from_le_bytes)),
        (Number::Whole, _) => Words::Bytes(bytes),
    }
}

/// Packed bits, lowest first, as `count` words.
pub(crate) fn unpacked(bytes: &[u8], count: usize) -> Words<'static> {
    let bit = |index: usize| bytes.get(index / 8).map_or(0, |byte| byte >> (index % 8) & 1);
    Words::Bytes((0..count).map(bit).collect::<Vec<u8>>().into())
}

/// Plane after plane to pixel after pixel.
fn interleaved(words: Words<'_>) -> Words<'_> {
    fn turn<T: Copy>(planes: &[T]) -> Vec<T> {
        let pixels = planes.len() / 3;
        (0..pixels).flat_map(|pixel| [planes[pixel], planes[pixels + pixel], planes[2 * pixels + pixel]]).collect()
    }
    match words {
        Words::Bytes(planes) => Words::Bytes(turn(&planes).into()),
        Words::Shorts(planes) => Words::Shorts(turn(&planes)),
        Words::Longs(planes) => Words::Longs(turn(&planes)),
        floats => floats,
    }
}

/// Two luminances and the two differences that they share, to two whole pixels.
fn full_width(words: Words<'_>) -> Words<'_> {
    fn widen<T: Copy>(pairs: &[T]) -> Vec<T> {
        pairs.as_chunks::<4>().0.iter().flat_map(|[a, b, blue, red]| [*a, *blue, *red, *b, *blue, *red]).collect()
    }
    match words {
        Words::Bytes(pairs) => Words::Bytes(widen(&pairs).into()),
        Words::Shorts(pairs) => Words::Shorts(widen(&pairs)),
        Words::Longs(pairs) => Words::Longs(widen(&pairs)),
        floats => floats,
    }
}

/// PS3.3 C.7.6.3.1.2, inverted: full-range YCbCr of ITU-R BT.601.
pub(crate) fn rgb_of_ybr([y, blue, red]: [u8; 3]) -> [u8; 3] {
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
            number: Number::Whole,
        }
    }

    #[test]
    fn shared_colour_differences_are_given_to_both_pixels() {
        assert_eq!(full_width(Words::Shorts(vec![1, 2, 3, 4])), Words::Shorts(vec![1, 3, 4, 2, 3, 4]));
        assert_eq!(interleaved(Words::Longs(vec![1, 2, 3, 4, 5, 6])), Words::Longs(vec![1, 3, 5, 2, 4, 6]));
        assert_eq!(unpacked(&[0b0000_0101, 1], 9), Words::Bytes(vec![1, 0, 1, 0, 0, 0, 0, 0, 1].into()));
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
