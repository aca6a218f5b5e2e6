//! Compressed DICOM frames: JPEG, JPEG lossless, RLE and JPEG 2000 through the decoders of dicom-rs.
//!
//! The decoders allocate what the compressed stream's own header claims, so that header is compared with the DICOM
//! attributes (already checked against the limits) first; a decoder that panics on hostile bytes gives an error.

use crate::data_set::DicomFile;
use crate::error::{Error, Result};
use crate::pixels::{Layout, Photometric};
use dicom_encoding::TransferSyntaxIndex;
use dicom_encoding::adapters::{PixelDataObject, RawPixelData};
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

const RLE: &str = "1.2.840.10008.1.2.5";

/// Little-endian samples of one frame, colour pixel by pixel.
pub(crate) struct DecodedFrame {
    pub(crate) bytes: Vec<u8>,
    /// Bits that each sample takes: 8 when the stream is 8 bits deep, whatever `BitsAllocated` says.
    pub(crate) allocated: u16,
}

/// Whether the decoder of this transfer syntax already turns YBR into RGB: JPEG does, RLE and uncompressed do not.
pub(crate) fn gives_rgb(transfer_syntax: &str) -> bool {
    // 1.2.840.10008.1.2.4.50 to .70 are JPEG, .90 and above JPEG 2000.
    ["50", "51", "57", "70"].iter().any(|end| transfer_syntax.strip_prefix("1.2.840.10008.1.2.4.") == Some(end))
}

/// Decodes frame number `frame` (from 0) out of the offset table and fragments of a file.
pub(crate) fn decode_frame(file: &DicomFile, layout: &Layout, fragments: &[&[u8]], frame: u32) -> Result<DecodedFrame> {
    let uid = file.transfer_syntax.as_str();
    let syntax = TransferSyntaxRegistry.get(uid);
    let Some(decoder) = syntax.and_then(|syntax| syntax.pixel_data_reader()) else {
        let name = syntax.map_or("unknown", |syntax| syntax.name());
        let (path, value) = (file.path.clone(), format!("{uid} ({name})"));
        let remedy = "decompress the file first, e.g. with `gdcmconv --raw` or `dcmdjpls`";
        return Err(Error::Unsupported { path, field: "TransferSyntaxUID", value, remedy });
    };
    if layout.allocated > 16 {
        let (path, value) = (file.path.clone(), format!("{} in compressed form", layout.allocated));
        let remedy = "decompress the file first, e.g. with `gdcmconv --raw`";
        return Err(Error::Unsupported { path, field: "BitsAllocated", value, remedy });
    }
    let mut stream = frame_stream(fragments, layout.frames, frame)
        .ok_or_else(|| Error::decode(&file.path, format!("the fragments of frame {frame} cannot be told apart")))?;
    let mut allocated = layout.allocated;
    if let Some(head) = StreamHead::find(&stream) {
        if (head.width, head.height) != (u32::from(layout.columns), u32::from(layout.rows))
            || head.samples != layout.samples
        {
            let reason = format!(
                "the compressed stream is {} x {} x {}, the attributes say {} x {} x {}",
                head.width, head.height, head.samples, layout.columns, layout.rows, layout.samples
            );
            return Err(Error::malformed(&file.path, "PixelData", reason));
        }
        if head.lossy && head.bits > 8 {
            let (path, value) = (file.path.clone(), format!("{} bits a sample", head.bits));
            let remedy = "decompress the file first, e.g. with `gdcmconv --raw` or `dcmdjpeg`";
            return Err(Error::Unsupported { path, field: "lossy JPEG with", value, remedy });
        }
        if head.bits <= 8 {
            allocated = 8;
        }
    } else if uid != RLE {
        return Err(Error::decode(&file.path, "no JPEG or JPEG 2000 header in the pixel data"));
    }
    if layout.photometric == Photometric::Rgb {
        stream = marked_as_rgb(stream);
    }
    let source = Frame { uid, layout, allocated, stream: &stream };
    let mut bytes = Vec::new();
    catch_unwind(AssertUnwindSafe(|| decoder.decode_frame(&source, 0, &mut bytes)))
        .map_err(|_| Error::decode(&file.path, "the decoder gave up"))?
        .map_err(|error| Error::decode(&file.path, error))?;
    let needed = layout.frame_samples() * usize::from(allocated / 8);
    if bytes.len() < needed {
        let (field, available) = (format!("frame {frame}"), bytes.len() as u64);
        return Err(Error::Truncated { path: file.path.clone(), field, needed: needed as u64, available });
    }
    bytes.truncate(needed);
    Ok(DecodedFrame { bytes, allocated })
}

/// The bytes of one frame. Fragments belong to frames one to one, or all to the only frame, or as the offset table says,
/// or a frame begins wherever a fragment starts with the marker of a stream (PS3.5 A.4).
fn frame_stream<'a>(fragments: &[&'a [u8]], frames: u32, frame: u32) -> Option<Cow<'a, [u8]>> {
    let (table, fragments) = fragments.split_first()?;
    let (frames, frame) = (frames as usize, frame as usize);
    if fragments.len() == frames {
        return fragments.get(frame).map(|fragment| Cow::Borrowed(*fragment));
    }
    if frames == 1 {
        return (!fragments.is_empty()).then(|| Cow::Owned(fragments.concat()));
    }
    let offsets: Vec<usize> =
        table.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes) as usize).collect();
    let mut starts = Vec::new();
    let mut position = 0;
    for (index, fragment) in fragments.iter().enumerate() {
        let begins =
            if offsets.len() == frames { offsets.binary_search(&position).is_ok() } else { is_stream_start(fragment) };
        if begins {
            starts.push(index);
        }
        position += fragment.len() + 8;
    }
    if starts.len() != frames {
        return None;
    }
    let end = starts.get(frame + 1).copied().unwrap_or(fragments.len());
    Some(Cow::Owned(fragments[starts[frame]..end].concat()))
}

fn is_stream_start(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xFF, 0xD8]) || bytes.starts_with(&[0xFF, 0x4F, 0xFF, 0x51])
}

/// Size and depth as the compressed stream itself states them.
#[derive(Debug, PartialEq, Eq)]
struct StreamHead {
    width: u32,
    height: u32,
    samples: u16,
    bits: u8,
    /// Made by the discrete cosine transform, which the decoder knows for 8 bits only.
    lossy: bool,
}

impl StreamHead {
    fn find(stream: &[u8]) -> Option<StreamHead> {
        if stream.starts_with(&[0xFF, 0xD8]) {
            return StreamHead::of_jpeg(stream);
        }
        // JPEG 2000: a bare codestream begins with SOC and SIZ; inside a JP2 file they follow some boxes.
        let soc = stream.windows(4).take(4096).position(|bytes| bytes == [0xFF, 0x4F, 0xFF, 0x51])?;
        StreamHead::of_jpeg2000(&stream[soc + 4..])
    }

    /// Walks the segments to the frame header (ITU T.81, B.2.2).
    fn of_jpeg(stream: &[u8]) -> Option<StreamHead> {
        let mut at = 2;
        loop {
            let [marker, code, high, low] = stream.get(at..at + 4)?.try_into().ok()?;
            if marker != 0xFF {
                return None;
            }
            if code == 0xFF {
                at += 1; // Fill byte.
                continue;
            }
            let is_frame_header = (0xC0..=0xCF).contains(&code) && !matches!(code, 0xC4 | 0xC8 | 0xCC);
            if is_frame_header {
                let segment = stream.get(at + 4..at + 10)?;
                return Some(StreamHead {
                    bits: segment[0],
                    height: u32::from(u16::from_be_bytes([segment[1], segment[2]])),
                    width: u32::from(u16::from_be_bytes([segment[3], segment[4]])),
                    samples: u16::from(segment[5]),
                    lossy: matches!(code, 0xC0..=0xC2),
                });
            }
            at += 2 + usize::from(u16::from_be_bytes([high, low]));
        }
    }

    /// Reads the SIZ segment (ITU T.800, A.5.1), which begins with its length.
    fn of_jpeg2000(segment: &[u8]) -> Option<StreamHead> {
        let long = |at: usize| segment.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
        let samples = segment.get(36..38)?.try_into().ok().map(u16::from_be_bytes)?;
        let width = long(4)?.checked_sub(long(12)?)?;
        let height = long(8)?.checked_sub(long(16)?)?;
        Some(StreamHead { width, height, samples, bits: (segment.get(38)? & 0x7F) + 1, lossy: false })
    }
}

/// A JPEG whose attributes say RGB, without a complete JFIF or Adobe marker that says how colour is stored, holds RGB;
/// decoders would take it for YBR. An Adobe marker with transform 0 tells them.
fn marked_as_rgb(stream: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    const ADOBE_RGB: &[u8] = b"\xFF\xEE\x00\x0EAdobe\x00\x64\x00\x00\x00\x00\x00";
    let head = &stream[..stream.len().min(4096)];
    // Length, then name; an Adobe marker shorter than 14 bytes has lost the byte that matters.
    let says_how = head.windows(7).any(|bytes| {
        let length = u16::from_be_bytes([bytes[0], bytes[1]]);
        (&bytes[2..] == b"Adobe" && length >= 14) || &bytes[2..] == b"JFIF\0"
    });
    if !stream.starts_with(&[0xFF, 0xD8]) || says_how {
        return stream;
    }
    Cow::Owned([&stream[..2], ADOBE_RGB, &stream[2..]].concat())
}

/// One frame as the decoders of dicom-rs want to see it: an object with a single frame and fragment.
struct Frame<'a> {
    uid: &'a str,
    layout: &'a Layout,
    allocated: u16,
    stream: &'a [u8],
}

impl PixelDataObject for Frame<'_> {
    fn transfer_syntax_uid(&self) -> &str {
        self.uid
    }

    fn rows(&self) -> Option<u16> {
        Some(self.layout.rows)
    }

    fn cols(&self) -> Option<u16> {
        Some(self.layout.columns)
    }

    fn samples_per_pixel(&self) -> Option<u16> {
        Some(self.layout.samples)
    }

    fn bits_allocated(&self) -> Option<u16> {
        Some(self.allocated)
    }

    fn bits_stored(&self) -> Option<u16> {
        Some(self.layout.stored.min(self.allocated))
    }

    fn photometric_interpretation(&self) -> Option<&str> {
        Some(if self.layout.samples == 1 { "MONOCHROME2" } else { "RGB" })
    }

    fn number_of_frames(&self) -> Option<u32> {
        Some(1)
    }

    fn number_of_fragments(&self) -> Option<u32> {
        Some(1)
    }

    fn fragment(&self, fragment: usize) -> Option<Cow<'_, [u8]>> {
        (fragment == 0).then_some(Cow::Borrowed(self.stream))
    }

    fn offset_table(&self) -> Option<Cow<'_, [u32]>> {
        Some(Cow::Borrowed(&[0]))
    }

    fn raw_pixel_data(&self) -> Option<RawPixelData> {
        Some(RawPixelData {
            fragments: std::iter::once(self.stream.to_vec()).collect(),
            offset_table: std::iter::once(0).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_is_read_from_the_stream_itself() {
        let jpeg = [&[0xFF, 0xD8, 0xFF, 0xE0, 0, 4, 9, 9, 0xFF, 0xC3, 0, 11, 12][..], &[1, 0, 2, 0, 1, 0, 0]].concat();
        let head = StreamHead { width: 512, height: 256, samples: 1, bits: 12, lossy: false };
        assert_eq!(StreamHead::find(&jpeg), Some(head));
        assert_eq!(StreamHead::find(&jpeg[..12]), None);
        assert_eq!(StreamHead::find(&[]), None);
    }

    #[test]
    fn fragments_are_grouped_by_offset_table_or_marker() {
        let (a, b, c) = ([0xFF, 0xD8, 1, 1], [2, 2, 2, 2], [0xFF, 0xD8, 3, 3]);
        let without_table: [&[u8]; 4] = [&[], &a, &b, &c];
        assert_eq!(frame_stream(&without_table, 2, 0).as_deref(), Some(&[0xFF, 0xD8, 1, 1, 2, 2, 2, 2][..]));
        let table = [0, 0, 0, 0, 12, 0, 0, 0];
        let with_table: [&[u8]; 4] = [&table, &a, &b, &c];
        assert_eq!(frame_stream(&with_table, 2, 1).as_deref(), Some(&[2, 2, 2, 2, 0xFF, 0xD8, 3, 3][..]));
        assert_eq!(frame_stream(&without_table, 3, 2).as_deref(), Some(&c[..]));
        assert_eq!(frame_stream(&without_table, 7, 0), None);
    }
}
