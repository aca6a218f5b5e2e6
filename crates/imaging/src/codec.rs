//! Compressed DICOM frames: which bytes are a frame, and which decoder reads them.
//!
//! Decoders allocate what a stream's own header claims, so that header is compared with the DICOM attributes (already checked against the
//! limits) first.

use crate::data_set::DicomFile;
use crate::error::{Error, Result};
use crate::pixels::{Layout, Photometric, Words, unpacked, words_of};
use crate::{jpeg2000, rle};
use flate2::read::DeflateDecoder;
use gmai_jpeg::Unmarked;
use std::borrow::Cow;
use std::io::Read;

/// How the pixels of a transfer syntax are coded (PS3.5 A.4, PS3.6 A).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Jpeg,
    JpegLs,
    Jpeg2000,
    Rle,
    /// Each frame deflated on its own.
    Deflate,
}

impl Coding {
    fn of(transfer_syntax: &str) -> Option<Coding> {
        let ending = transfer_syntax.strip_prefix("1.2.840.10008.1.2.")?;
        Some(match ending {
            // The retired processes are decoded or refused by what their streams say.
            "4.50" | "4.51" | "4.53" | "4.55" | "4.57" | "4.70" => Coding::Jpeg,
            "4.80" | "4.81" => Coding::JpegLs,
            "4.90" | "4.91" | "4.92" | "4.93" | "4.201" | "4.202" | "4.203" => Coding::Jpeg2000,
            "5" => Coding::Rle,
            "8.1" => Coding::Deflate,
            _ => return None,
        })
    }
}

/// What the samples of a decoded colour frame are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colours {
    /// What PhotometricInterpretation says.
    AsNamed,
    /// Red, green and blue: the decoder has undone the stream's own transform.
    Rgb,
}

/// Decodes frame number `frame` (from 0) out of the offset table and fragments of a file.
pub(crate) fn decode_frame(
    file: &DicomFile,
    layout: &Layout,
    fragments: &[&[u8]],
    frame: u32,
) -> Result<(Words<'static>, Colours)> {
    let Some(coding) = Coding::of(&file.transfer_syntax) else {
        let (path, value) = (file.path.clone(), named(&file.transfer_syntax));
        let remedy = "decompress the file first, e.g. with `gdcmconv --raw`";
        return Err(Error::Unsupported { path, field: "TransferSyntaxUID", value, remedy });
    };
    let stream = frame_stream(fragments, layout.frames, frame)
        .ok_or_else(|| Error::decode(&file.path, format!("the fragments of frame {frame} cannot be told apart")))?;
    let (words, colours) = match coding {
        Coding::Jpeg => jpeg(file, layout, &stream)?,
        Coding::JpegLs => (jpeg_ls(file, layout, &stream)?, Colours::AsNamed),
        Coding::Jpeg2000 => (jpeg_2000(file, layout, &stream)?, Colours::AsNamed),
        Coding::Rle => (run_lengths(file, layout, &stream)?, Colours::AsNamed),
        Coding::Deflate => (deflated(file, layout, &stream)?, Colours::AsNamed),
    };
    if words.len() != layout.frame_samples() {
        let (field, available) = (format!("samples of frame {frame}"), words.len() as u64);
        return Err(Error::Truncated {
            path: file.path.clone(),
            field,
            needed: layout.frame_samples() as u64,
            available,
        });
    }
    Ok((words, colours))
}

/// A transfer syntax that is not read, with what it is (PS3.6 table A-1).
fn named(uid: &str) -> String {
    let name = match uid.strip_prefix("1.2.840.10008.1.2.").unwrap_or_default() {
        "1.98" => "encapsulated uncompressed",
        "4.94" | "4.95" | "4.204" | "4.205" => "JPIP: the pixels are on a server",
        "4.100" | "4.101" | "4.100.1" | "4.101.1" => "MPEG-2 video",
        "4.102" | "4.103" | "4.104" | "4.105" | "4.106" => "MPEG-4 video",
        "4.107" | "4.108" => "HEVC video",
        "4.110" | "4.111" | "4.112" => "JPEG XL",
        ending if ending.starts_with("7.") => "SMPTE stream",
        ending if ending.starts_with("4.") => "retired JPEG process",
        _ => "not a transfer syntax of pictures",
    };
    format!("{uid} ({name})")
}

/// Fails unless the stream holds the picture that the attributes speak of.
fn check_size(file: &DicomFile, layout: &Layout, [width, height, channels]: [u32; 3]) -> Result<()> {
    let expected = [u32::from(layout.columns), u32::from(layout.rows), u32::from(layout.samples)];
    if [width, height, channels] != expected {
        let reason = format!(
            "the compressed stream is {width} x {height} x {channels}, the attributes say {} x {} x {}",
            expected[0], expected[1], expected[2]
        );
        return Err(Error::malformed(&file.path, "PixelData", reason));
    }
    Ok(())
}

/// Fails unless a sample of the stream has room in the layout.
fn check_bits(file: &DicomFile, layout: &Layout, bits: u8) -> Result<()> {
    if u16::from(bits) > layout.allocated {
        let reason = format!("the compressed stream has {bits} bits a sample, BitsAllocated is {}", layout.allocated);
        return Err(Error::malformed(&file.path, "PixelData", reason));
    }
    Ok(())
}

fn jpeg(file: &DicomFile, layout: &Layout, stream: &[u8]) -> Result<(Words<'static>, Colours)> {
    let failed = |error| jpeg_error(file, error);
    let pixels = layout.pixels() as u64;
    let head = gmai_jpeg::head(stream).map_err(failed)?;
    check_size(file, layout, [head.width, head.height, u32::from(head.channels)])?;
    check_bits(file, layout, head.bits)?;
    if head.is_lossless || head.channels == 1 {
        let samples = gmai_jpeg::decode_samples(stream, pixels).map_err(failed)?;
        return Ok((narrow(samples.values, samples.bits), Colours::AsNamed));
    }
    // A stream without a marker that says how colour is stored holds what the attributes say.
    let unmarked = if layout.photometric == Photometric::Rgb { Unmarked::Rgb } else { Unmarked::Usual };
    let picture = gmai_jpeg::decode_with(stream, pixels, unmarked).map_err(failed)?;
    Ok((Words::Bytes(picture.into_rgb().into()), Colours::Rgb))
}

fn jpeg_ls(file: &DicomFile, layout: &Layout, stream: &[u8]) -> Result<Words<'static>> {
    let samples = gmai_jpeg::decode_jpeg_ls(stream, layout.pixels() as u64).map_err(|error| jpeg_error(file, error))?;
    check_size(file, layout, [samples.width, samples.height, u32::from(samples.channels)])?;
    check_bits(file, layout, samples.bits)?;
    Ok(narrow(samples.values, samples.bits))
}

/// Samples of 8 bits or less in bytes.
fn narrow(values: Vec<u16>, bits: u8) -> Words<'static> {
    if bits <= 8 {
        Words::Bytes(values.iter().map(|value| *value as u8).collect::<Vec<u8>>().into())
    } else {
        Words::Shorts(values)
    }
}

fn jpeg_error(file: &DicomFile, error: gmai_jpeg::Error) -> Error {
    match error {
        gmai_jpeg::Error::Unsupported { what, value } => {
            let remedy = "decompress the file first, e.g. with `gdcmconv --raw` or `dcmdjpeg`";
            Error::Unsupported { path: file.path.clone(), field: what, value, remedy }
        }
        error => Error::decode(&file.path, error),
    }
}

fn jpeg_2000(file: &DicomFile, layout: &Layout, stream: &[u8]) -> Result<Words<'static>> {
    let failed = |reason: String| Error::decode(&file.path, reason);
    let head =
        jpeg2000::Head::find(stream).ok_or_else(|| failed("no JPEG 2000 header in the pixel data".to_string()))?;
    check_size(file, layout, [head.width, head.height, u32::from(head.channels)])?;
    check_bits(file, layout, head.bits)?;
    let values = jpeg2000::decode(stream, layout.pixels() as u64).map_err(failed)?.values;
    if head.signed == layout.signed {
        return Ok(Words::Longs(values.iter().map(|value| *value as u32).collect()));
    }
    // Writers forget the sign on one side; the bits themselves are right, and the attributes say what they mean.
    let unused = 32 - u32::from(head.bits);
    let word = |value: &i32| match layout.signed {
        true => ((value << unused) >> unused) as u32,
        false => (*value as u32) << unused >> unused,
    };
    Ok(Words::Longs(values.iter().map(word).collect()))
}

fn run_lengths(file: &DicomFile, layout: &Layout, stream: &[u8]) -> Result<Words<'static>> {
    let failed = |reason: String| Error::decode(&file.path, reason);
    if layout.allocated == 1 {
        let bytes = rle::decode(stream, 1, layout.pixels().div_ceil(8)).map_err(failed)?;
        return Ok(unpacked(&bytes[0], layout.pixels()));
    }
    let (samples, width) = (usize::from(layout.samples), usize::from(layout.allocated / 8));
    let segments = rle::decode(stream, samples * width, layout.pixels()).map_err(failed)?;
    let mut words = vec![0u32; layout.frame_samples()];
    for (index, segment) in segments.iter().enumerate() {
        // The highest byte of a sample comes first.
        let (sample, shift) = (index / width, 8 * (width - 1 - index % width));
        for (word, byte) in words.iter_mut().skip(sample).step_by(samples).zip(segment) {
            *word |= u32::from(*byte) << shift;
        }
    }
    Ok(match width {
        1 => Words::Bytes(words.iter().map(|word| *word as u8).collect::<Vec<u8>>().into()),
        2 => Words::Shorts(words.iter().map(|word| *word as u16).collect()),
        _ => Words::Longs(words),
    })
}

/// Deflated image frame compression (PS3.5 A.4.13): the bytes of the frame as they would stand uncompressed.
fn deflated(file: &DicomFile, layout: &Layout, stream: &[u8]) -> Result<Words<'static>> {
    let length = (layout.frame_samples() as u64 * u64::from(layout.allocated)).div_ceil(8);
    let mut bytes = Vec::new();
    let mut decoder = DeflateDecoder::new(stream).take(length);
    decoder.read_to_end(&mut bytes).map_err(|error| Error::decode(&file.path, error))?;
    Ok(match layout.allocated {
        1 if bytes.len() as u64 == length => unpacked(&bytes, layout.pixels()),
        _ => words_of(Cow::Owned(bytes), layout, false),
    })
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

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn transfer_syntaxes_are_told_apart_and_named() {
        assert_eq!(Coding::of("1.2.840.10008.1.2.4.202"), Some(Coding::Jpeg2000));
        assert_eq!(Coding::of("1.2.840.10008.1.2.4.100"), None);
        assert!(named("1.2.840.10008.1.2.4.100").contains("MPEG-2"));
        assert!(named("1.2.3").contains("not a transfer syntax"));
    }
}
