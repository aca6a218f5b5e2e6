//! PNG, JPEG, TIFF, BMP and WebP files, with the values that Pillow's `open(...).convert("RGB")` gives: what the published processors saw.

use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::sniff::FileKind;
use crate::tiff;
use gmai_schema::Rgb8;
use image::{DynamicImage, ImageDecoder, ImageReader};
use serde::{Deserialize, Serialize};
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// What becomes of grey values above 255 in a picture file of 16 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum DeepGrey {
    /// The smallest value of the picture becomes black, the largest white: such files hold 10 to 14 bits of a detector, rarely all 16.
    #[default]
    Stretch,
    /// What is above 255 is white, as Pillow's `convert("RGB")` does: for comparison with reference implementations.
    Clip,
}

/// Grey values as stored: 8 bits (0 to 255) or 16 bits (0 to 65535).
pub(crate) struct Grey {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) values: Vec<u16>,
}

/// A decoded picture.
#[derive(Debug)]
pub(crate) struct Raster {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) values: Values,
}

/// Its values, row by row.
#[derive(Debug)]
pub(crate) enum Values {
    /// 8-bit grey.
    Grey(Vec<u8>),
    /// 16-bit grey.
    DeepGrey(Vec<u16>),
    /// 8-bit RGB.
    Rgb(Vec<u8>),
}

/// Decodes a picture to 8-bit RGB. Alpha is dropped; orientation is applied in TIFF alone, as in the reference; of 16-bit colour the upper
/// 8 bits count.
pub(crate) fn decode(path: &Path, bytes: &[u8], deep_grey: DeepGrey, limits: &Limits) -> Result<Rgb8> {
    let Raster { width, height, values } = decode_any(path, bytes, limits)?;
    let rgb = match values {
        Values::Rgb(rgb) => rgb,
        Values::Grey(grey) => grey_to_rgb(grey),
        Values::DeepGrey(grey) => grey_to_rgb(to_bytes(&grey, deep_grey)),
    };
    Rgb8::new(width, height, rgb).ok_or_else(|| Error::malformed(path, "image size", "is 0"))
}

/// Decodes a picture to grey values.
pub(crate) fn decode_grey(path: &Path, bytes: &[u8], limits: &Limits) -> Result<Grey> {
    let Raster { width, height, values } = decode_any(path, bytes, limits)?;
    let values = match values {
        Values::DeepGrey(grey) => grey,
        Values::Grey(grey) => grey.into_iter().map(u16::from).collect(),
        Values::Rgb(rgb) => rgb.as_chunks::<3>().0.iter().map(|pixel| u16::from(luma(*pixel))).collect(),
    };
    Ok(Grey { width, height, values })
}

/// ITU-R 601-2 luminance as Pillow's `convert("L")` rounds it.
fn luma([red, green, blue]: [u8; 3]) -> u8 {
    ((u32::from(red) * 19_595 + u32::from(green) * 38_470 + u32::from(blue) * 7_471 + 0x8000) >> 16) as u8
}

fn decode_any(path: &Path, bytes: &[u8], limits: &Limits) -> Result<Raster> {
    // A decoder that panics on hostile bytes must not end a run over thousands of files.
    catch_unwind(AssertUnwindSafe(|| decode_within(path, bytes, limits)))
        .unwrap_or_else(|_| Err(Error::decode(path, "the decoder gave up")))
}

fn decode_within(path: &Path, bytes: &[u8], limits: &Limits) -> Result<Raster> {
    match crate::sniff::kind_of(bytes) {
        Some(FileKind::Jpeg) => {
            let picture = gmai_jpeg::decode(bytes, limits.max_pixels).map_err(|error| jpeg_error(path, error))?;
            let values = match picture.values {
                gmai_jpeg::Values::Grey(grey) => Values::Grey(grey),
                gmai_jpeg::Values::Rgb(rgb) => Values::Rgb(rgb),
            };
            Ok(Raster { width: picture.width, height: picture.height, values })
        }
        Some(FileKind::Tiff) => tiff::decode(path, bytes, limits),
        _ => decode_other(path, bytes, limits),
    }
}

fn decode_other(path: &Path, bytes: &[u8], limits: &Limits) -> Result<Raster> {
    let mut reader =
        ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|source| Error::io(path, source))?;
    if reader.format().is_none() {
        return Err(Error::NotAnImage { path: path.into() });
    }
    let mut decoder_limits = image::Limits::default();
    decoder_limits.max_alloc = Some(limits.max_pixels.saturating_mul(8));
    reader.limits(decoder_limits);
    let decoder = reader.into_decoder().map_err(|error| decode_error(path, error))?;
    let (width, height) = decoder.dimensions();
    limits.check_pixels(path, u64::from(width), u64::from(height))?;
    let picture = DynamicImage::from_decoder(decoder).map_err(|error| decode_error(path, error))?;
    let high = |value: &u16| (value >> 8) as u8;
    let values = match picture {
        DynamicImage::ImageLuma8(grey) => Values::Grey(grey.into_raw()),
        DynamicImage::ImageLuma16(grey) => Values::DeepGrey(grey.into_raw()),
        DynamicImage::ImageLumaA16(grey) => Values::DeepGrey(grey.into_raw().into_iter().step_by(2).collect()),
        DynamicImage::ImageRgb16(rgb) => Values::Rgb(rgb.as_raw().iter().map(high).collect()),
        DynamicImage::ImageRgba16(rgba) => {
            let colours = rgba.as_raw().as_chunks::<4>().0.iter().flat_map(|pixel| &pixel[..3]);
            Values::Rgb(colours.map(high).collect())
        }
        other => Values::Rgb(other.into_rgb8().into_raw()),
    };
    Ok(Raster { width, height, values })
}

fn jpeg_error(path: &Path, error: gmai_jpeg::Error) -> Error {
    match error {
        gmai_jpeg::Error::Unsupported { what, value } => {
            let remedy = "convert it to a baseline JPEG or to PNG, e.g. with `magick in.jpg out.png`";
            Error::Unsupported { path: path.into(), field: what, value, remedy }
        }
        gmai_jpeg::Error::TooLarge { pixels: found, max_pixels: limit } => {
            Error::TooLarge { path: path.into(), what: "image size in pixels", found, limit }
        }
        error => Error::decode(path, error),
    }
}

fn decode_error(path: &Path, error: image::ImageError) -> Error {
    match error {
        image::ImageError::Limits(reason) => Error::malformed(path, "image size", reason.to_string()),
        image::ImageError::IoError(source) if source.kind() == std::io::ErrorKind::UnexpectedEof => {
            Error::decode(path, "the file ends too early: copy it again from its source")
        }
        error => Error::decode(path, error),
    }
}

fn grey_to_rgb(grey: Vec<u8>) -> Vec<u8> {
    let mut rgb = vec![0; grey.len() * 3];
    for (pixel, value) in rgb.as_chunks_mut::<3>().0.iter_mut().zip(grey) {
        *pixel = [value; 3];
    }
    rgb
}

fn to_bytes(values: &[u16], deep_grey: DeepGrey) -> Vec<u8> {
    if deep_grey == DeepGrey::Clip {
        return values.iter().map(|value| (*value).min(255) as u8).collect();
    }
    let low = values.iter().copied().min().unwrap_or(0);
    let range = u32::from(values.iter().copied().max().unwrap_or(0) - low).max(1);
    values.iter().map(|value| ((u32::from(value - low) * 255 + range / 2) / range) as u8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_bit_grey_is_stretched_to_its_range_or_clipped() {
        assert_eq!(to_bytes(&[1000, 1500, 2000], DeepGrey::Stretch), [0, 128, 255]);
        assert_eq!(to_bytes(&[9, 9], DeepGrey::Stretch), [0, 0]);
        assert_eq!(to_bytes(&[9, 255, 256, 65535], DeepGrey::Clip), [9, 255, 255, 255]);
    }
}
