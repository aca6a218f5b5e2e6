//! TIFF files: the `tiff` crate's samples, read as Pillow reads them. Palettes, CMYK and grey with alpha, which the `image` crate refuses or
//! converts in another way, are done here.

use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::raster::{Raster, Values};
use gmai_jpeg::cmyk_to_rgb;
use gmai_schema::Rgb8;
use std::io::{Cursor, Read, Seek};
use std::path::Path;
use tiff::ColorType;
use tiff::decoder::{Decoder, DecodingResult};
use tiff::tags::Tag;

/// Photometric interpretations (TIFF 6.0, tag 262).
const BLACK_IS_ZERO: u16 = 1;
const PALETTE: u16 = 3;
/// ExtraSamples (tag 338): colours are multiplied by alpha.
const ASSOCIATED_ALPHA: u16 = 1;

/// Decodes the first picture of a TIFF file.
pub(crate) fn decode(path: &Path, bytes: &[u8], limits: &Limits) -> Result<Raster> {
    let failed = |error: tiff::TiffError| tiff_error(path, error);
    let mut decoder = open(bytes, limits).map_err(failed)?;
    let (width, height) = decoder.dimensions().map_err(failed)?;
    limits.check_pixels(path, u64::from(width), u64::from(height))?;
    let photometric = decoder.find_tag_unsigned::<u16>(Tag::PhotometricInterpretation).map_err(failed)?;
    let values = if photometric == Some(PALETTE) {
        let colours = decoder.get_tag_u16_vec(Tag::ColorMap).map_err(failed)?;
        let indices_only =
            with_photometric(bytes, BLACK_IS_ZERO).ok_or_else(|| unsupported(path, "palette in a BigTIFF"))?;
        let mut decoder = open(&indices_only, limits).map_err(failed)?;
        let indices = samples(path, &mut decoder)?;
        look_up(&indices, &colours).ok_or_else(|| Error::malformed(path, "ColorMap", "is too short for the pixels"))?
    } else {
        let samples = samples(path, &mut decoder)?;
        let extra = decoder.find_tag_unsigned_vec::<u16>(Tag::ExtraSamples).map_err(failed)?.unwrap_or_default();
        values(samples, extra.first() == Some(&ASSOCIATED_ALPHA)).map_err(|kind| unsupported(path, &kind))?
    };
    let orientation = decoder.find_tag_unsigned::<u16>(Tag::Orientation).map_err(failed)?.unwrap_or(1);
    Ok(oriented(Raster { width, height, values }, orientation))
}

/// Turns a picture as its orientation tag says (TIFF 6.0, tag 274): of all formats Pillow does it for this one alone.
fn oriented(raster: Raster, orientation: u16) -> Raster {
    if !(2..=8).contains(&orientation) {
        return raster;
    }
    let (width, height) = (raster.width as usize, raster.height as usize);
    let is_turned = orientation >= 5;
    let (new_width, new_height) = if is_turned { (height, width) } else { (width, height) };
    // Where the pixel at column x and row y of the result lies in the file.
    let source = move |x: usize, y: usize| {
        let (x, y) = if is_turned { (y, x) } else { (x, y) };
        let x = if matches!(orientation, 2 | 3 | 7 | 8) { width - 1 - x } else { x };
        let y = if matches!(orientation, 3 | 4 | 6 | 7) { height - 1 - y } else { y };
        y * width + x
    };
    let places = || (0..new_height).flat_map(move |y| (0..new_width).map(move |x| source(x, y)));
    let values = match raster.values {
        Values::Grey(grey) => Values::Grey(places().map(|place| grey[place]).collect()),
        Values::DeepGrey(grey) => Values::DeepGrey(places().map(|place| grey[place]).collect()),
        Values::Rgb(rgb) => {
            Values::Rgb(places().flat_map(|place| [0, 1, 2].map(|channel| rgb[3 * place + channel])).collect())
        }
    };
    Raster { width: new_width as u32, height: new_height as u32, values }
}

fn open<'a>(bytes: &'a [u8], limits: &Limits) -> tiff::TiffResult<Decoder<Cursor<&'a [u8]>>> {
    Ok(Decoder::new(Cursor::new(bytes))?.with_limits(bounds(limits)))
}

/// What the `tiff` crate may allocate.
pub(crate) fn bounds(limits: &Limits) -> tiff::decoder::Limits {
    let mut bounds = tiff::decoder::Limits::default();
    let max_bytes = usize::try_from(limits.max_pixels.saturating_mul(8)).unwrap_or(usize::MAX);
    (bounds.decoding_buffer_size, bounds.intermediate_buffer_size) = (max_bytes, max_bytes);
    bounds
}

/// Decodes one tile or strip of the decoder's current picture.
pub(crate) fn decode_chunk<R: Read + Seek>(
    path: &Path,
    decoder: &mut Decoder<R>,
    index: u32,
    limits: &Limits,
) -> Result<Rgb8> {
    let failed = |error: tiff::TiffError| tiff_error(path, error);
    let (width, height) = decoder.chunk_data_dimensions(index);
    let pixels = limits.check_pixels(path, u64::from(width), u64::from(height))?;
    let colour = decoder.colortype().map_err(failed)?;
    let values = match (colour, decoder.read_chunk(index).map_err(failed)?) {
        (ColorType::RGB(8), DecodingResult::U8(rgb)) => rgb,
        (ColorType::RGBA(8), DecodingResult::U8(rgba)) => {
            rgba.as_chunks::<4>().0.iter().flat_map(|[red, green, blue, _]| [*red, *green, *blue]).collect()
        }
        (ColorType::Gray(8), DecodingResult::U8(grey)) => grey.into_iter().flat_map(|value| [value; 3]).collect(),
        (colour, _) => return Err(unsupported(path, &format!("{colour:?} in tiles"))),
    };
    if values.len() < pixels * 3 {
        return Err(Error::decode(path, "a tile has fewer pixels than it should"));
    }
    Rgb8::new(width, height, values).ok_or_else(|| Error::decode(path, "a tile has other pixels than it should"))
}

pub(crate) fn tiff_error(path: &Path, error: tiff::TiffError) -> Error {
    match error {
        tiff::TiffError::IoError(source) if source.kind() == std::io::ErrorKind::UnexpectedEof => {
            Error::decode(path, "the file ends too early: copy it again from its source")
        }
        tiff::TiffError::LimitsExceeded => {
            Error::malformed(path, "image size", "needs more memory than its pixels may take")
        }
        error => Error::decode(path, error),
    }
}

fn unsupported(path: &Path, kind: &str) -> Error {
    let remedy = "convert it to 8-bit RGB, e.g. with `magick in.tif out.png`";
    Error::Unsupported { path: path.into(), field: "TIFF pixel format", value: kind.to_string(), remedy }
}

/// Samples of all pixels, channel by channel within each pixel.
struct Samples {
    colour: ColorType,
    channels: usize,
    values: DecodingResult,
}

fn samples(path: &Path, decoder: &mut Decoder<Cursor<&[u8]>>) -> Result<Samples> {
    let failed = |error: tiff::TiffError| tiff_error(path, error);
    let colour = decoder.colortype().map_err(failed)?;
    let (width, height) = decoder.dimensions().map_err(failed)?;
    let mut values = DecodingResult::U8(Vec::new());
    let layout = decoder.read_image_to_buffer(&mut values).map_err(failed)?;
    if values.as_buffer(0).as_bytes().len() < layout.complete_len {
        return Err(Error::malformed(path, "image size", "needs more memory than its pixels may take"));
    }
    let num_pixels = width as usize * height as usize;
    let channels = usize::from(colour.num_samples());
    if let (ColorType::Gray(bits @ (1 | 2 | 4)), DecodingResult::U8(packed)) = (colour, &values) {
        let unpacked = unpack(packed, width as usize, bits);
        return Ok(Samples { colour, channels, values: DecodingResult::U8(unpacked) });
    }
    if layout.planes > 1 {
        let stride = layout.plane_stride.map_or(0, |stride| stride.get());
        values = match values {
            DecodingResult::U8(planes) => DecodingResult::U8(interleaved(&planes, stride, channels, num_pixels)),
            DecodingResult::U16(planes) => DecodingResult::U16(interleaved(&planes, stride / 2, channels, num_pixels)),
            _ => return Err(unsupported(path, &format!("{colour:?} in planes"))),
        };
    }
    Ok(Samples { colour, channels, values })
}

/// One value a pixel out of rows of whole bytes.
fn unpack(packed: &[u8], width: usize, bits: u8) -> Vec<u8> {
    let per_byte = 8 / usize::from(bits);
    let mask = (1u8 << bits) - 1;
    let row = |row: &[u8]| -> Vec<u8> {
        let value = |x: usize| (row[x / per_byte] >> (8 - usize::from(bits) * (x % per_byte + 1))) & mask;
        (0..width).map(value).collect()
    };
    packed.chunks_exact(width.div_ceil(per_byte)).flat_map(row).collect()
}

fn interleaved<T: Copy>(planes: &[T], stride: usize, channels: usize, num_pixels: usize) -> Vec<T> {
    (0..num_pixels)
        .flat_map(|pixel| (0..channels).filter_map(move |channel| planes.get(channel * stride + pixel).copied()))
        .collect()
}

/// Grey or RGB of what is not a palette; the format's name where it is not known.
fn values(samples: Samples, is_associated: bool) -> std::result::Result<Values, String> {
    let Samples { colour, channels, values } = samples;
    let first_of_each = |values: Vec<u8>| values.into_iter().step_by(channels).collect();
    Ok(match (colour, values) {
        (ColorType::Gray(8), DecodingResult::U8(grey)) => Values::Grey(grey),
        (ColorType::Gray(bits @ (1 | 2 | 4)), DecodingResult::U8(grey)) => {
            let scale = u8::MAX / ((1 << bits) - 1);
            Values::Grey(grey.into_iter().map(|value| value * scale).collect())
        }
        (ColorType::Gray(16), DecodingResult::U16(grey)) => Values::DeepGrey(grey),
        (ColorType::GrayA(8) | ColorType::Multiband { bit_depth: 8, num_samples: 2 }, DecodingResult::U8(grey)) => {
            Values::Grey(first_of_each(grey))
        }
        (ColorType::RGB(8), DecodingResult::U8(rgb)) if channels == 3 => Values::Rgb(rgb),
        (ColorType::RGBA(8) | ColorType::RGB(8), DecodingResult::U8(pixels)) => {
            let pixel = |pixel: &[u8]| match is_associated && channels == 4 {
                true => without_alpha([pixel[0], pixel[1], pixel[2], pixel[3]]),
                false => [pixel[0], pixel[1], pixel[2]],
            };
            Values::Rgb(pixels.chunks_exact(channels).flat_map(pixel).collect())
        }
        (ColorType::RGB(16) | ColorType::RGBA(16), DecodingResult::U16(pixels)) => {
            let high = |pixel: &[u16]| [pixel[0], pixel[1], pixel[2]].map(|value| (value >> 8) as u8);
            Values::Rgb(pixels.chunks_exact(channels).flat_map(high).collect())
        }
        (ColorType::CMYK(8) | ColorType::CMYKA(8), DecodingResult::U8(inks)) => {
            let pixel = |ink: &[u8]| cmyk_to_rgb([ink[0], ink[1], ink[2], ink[3]]);
            Values::Rgb(inks.chunks_exact(channels).flat_map(pixel).collect())
        }
        (ColorType::CMYK(16), DecodingResult::U16(inks)) => {
            let pixel = |ink: &[u16]| cmyk_to_rgb([ink[0], ink[1], ink[2], ink[3]].map(|value| (value >> 8) as u8));
            Values::Rgb(inks.chunks_exact(channels).flat_map(pixel).collect())
        }
        (colour, _) => return Err(format!("{colour:?}")),
    })
}

/// Colours that were multiplied by alpha, divided again as Pillow does (`rgba2rgb_` after `unpackRGBa`).
fn without_alpha([red, green, blue, alpha]: [u8; 4]) -> [u8; 3] {
    match alpha {
        0 => [0; 3],
        255 => [red, green, blue],
        _ => [red, green, blue].map(|value| (255 * u32::from(value) / u32::from(alpha)).min(255) as u8),
    }
}

/// The colours of indices. A colour map holds all reds, all greens, all blues, in 16 bits.
fn look_up(indices: &Samples, colours: &[u16]) -> Option<Values> {
    let DecodingResult::U8(indices) = &indices.values else { return None };
    let (num_colours, rest) = (colours.len() / 3, colours.len() % 3);
    let largest = usize::from(indices.iter().copied().max().unwrap_or(0));
    if largest >= num_colours || rest != 0 {
        return None;
    }
    let colour =
        |index: &u8| [0, 1, 2].map(|channel| (colours[channel * num_colours + usize::from(*index)] >> 8) as u8);
    Some(Values::Rgb(indices.iter().flat_map(colour).collect()))
}

/// A copy of the file whose first directory says another photometric interpretation: the `tiff` crate decodes no palettes, but indices of
/// a palette are stored exactly as grey values are. `None` when the tag is not where classic TIFF has it.
fn with_photometric(bytes: &[u8], photometric: u16) -> Option<Vec<u8>> {
    let is_little = bytes.starts_with(b"II*\0");
    if !is_little && !bytes.starts_with(b"MM\0*") {
        return None;
    }
    let short = |at: usize| {
        let two = bytes.get(at..at + 2)?.try_into().ok()?;
        Some(if is_little { u16::from_le_bytes(two) } else { u16::from_be_bytes(two) })
    };
    let four = bytes.get(4..8)?.try_into().ok()?;
    let directory = if is_little { u32::from_le_bytes(four) } else { u32::from_be_bytes(four) } as usize;
    let num_entries = usize::from(short(directory)?);
    let entry = (0..num_entries).map(|index| directory + 2 + 12 * index);
    let at = entry.into_iter().find(|at| short(*at) == Some(Tag::PhotometricInterpretation.to_u16()))? + 8;
    let mut copy = bytes.to_vec();
    let value = if is_little { photometric.to_le_bytes() } else { photometric.to_be_bytes() };
    copy.get_mut(at..at + 2)?.copy_from_slice(&value);
    Some(copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_samples_are_unpacked_row_by_row() {
        assert_eq!(unpack(&[0b1010_0000, 0b0110_0000], 3, 1), [1, 0, 1, 0, 1, 1]);
        assert_eq!(unpack(&[0x12, 0x30, 0xFE, 0xD0], 3, 4), [1, 2, 3, 15, 14, 13]);
    }

    #[test]
    fn premultiplied_colours_are_divided_by_alpha() {
        assert_eq!(without_alpha([100, 50, 0, 128]), [199, 99, 0]);
        assert_eq!(without_alpha([9, 9, 9, 0]), [0; 3]);
    }
}
