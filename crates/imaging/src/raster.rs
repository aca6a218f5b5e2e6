//! PNG, JPEG, TIFF, BMP and WebP files.

use crate::error::{Error, Result};
use crate::limits::Limits;
use gmai_schema::Rgb8;
use image::{DynamicImage, ImageDecoder, ImageReader};
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Grey values as stored: 8 bits (0 to 255) or 16 bits (0 to 65535).
pub(crate) struct Grey {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) values: Vec<u16>,
}

/// Decodes a picture to 8-bit RGB. Alpha is dropped (as Pillow's `convert("RGB")` does), EXIF orientation is applied;
/// 16-bit grey is stretched from its smallest to its largest value.
pub(crate) fn decode(path: &Path, bytes: &[u8], limits: &Limits) -> Result<Rgb8> {
    let picture = match decode_any(path, bytes, limits)? {
        DynamicImage::ImageLuma16(grey) => stretch(grey.width(), grey.height(), grey.into_raw()),
        DynamicImage::ImageLumaA16(grey) => {
            let (width, height) = grey.dimensions();
            stretch(width, height, grey.into_raw().into_iter().step_by(2).collect())
        }
        other => other,
    };
    let rgb = picture.into_rgb8();
    let (width, height) = rgb.dimensions();
    Rgb8::new(width, height, rgb.into_raw()).ok_or_else(|| Error::malformed(path, "image size", "is 0"))
}

/// Reads a picture file as grey values.
pub(crate) fn read_grey(path: &Path, limits: &Limits) -> Result<Grey> {
    limits.check_file(path)?;
    let bytes = std::fs::read(path).map_err(|source| Error::io(path, source))?;
    match decode_any(path, &bytes, limits)? {
        DynamicImage::ImageLuma16(grey) => {
            Ok(Grey { width: grey.width(), height: grey.height(), values: grey.into_raw() })
        }
        other => {
            let grey = other.into_luma8();
            let (width, height) = grey.dimensions();
            Ok(Grey { width, height, values: grey.into_raw().into_iter().map(u16::from).collect() })
        }
    }
}

fn decode_any(path: &Path, bytes: &[u8], limits: &Limits) -> Result<DynamicImage> {
    // A decoder that panics on hostile bytes must not end a run over thousands of files.
    catch_unwind(AssertUnwindSafe(|| decode_within(path, bytes, limits)))
        .unwrap_or_else(|_| Err(Error::decode(path, "the decoder gave up")))
}

fn decode_within(path: &Path, bytes: &[u8], limits: &Limits) -> Result<DynamicImage> {
    let reader =
        ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|source| Error::io(path, source))?;
    if reader.format().is_none() {
        return Err(Error::NotAnImage { path: path.into() });
    }
    let mut reader = reader;
    let mut decoder_limits = image::Limits::default();
    decoder_limits.max_alloc = Some(limits.max_pixels.saturating_mul(8));
    reader.limits(decoder_limits);
    let mut decoder = reader.into_decoder().map_err(|error| decode_error(path, error))?;
    let (width, height) = decoder.dimensions();
    limits.check_pixels(path, u64::from(width), u64::from(height))?;
    let orientation = decoder.orientation().map_err(|error| decode_error(path, error))?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| decode_error(path, error))?;
    picture.apply_orientation(orientation);
    Ok(picture)
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

fn stretch(width: u32, height: u32, values: Vec<u16>) -> DynamicImage {
    let low = values.iter().copied().min().unwrap_or(0);
    let range = u32::from(values.iter().copied().max().unwrap_or(0) - low).max(1);
    let to_byte = |value: u16| ((u32::from(value - low) * 255 + range / 2) / range) as u8;
    let bytes = values.into_iter().map(to_byte).collect();
    let grey = image::GrayImage::from_raw(width, height, bytes).expect("one byte a pixel");
    DynamicImage::ImageLuma8(grey)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_bit_grey_is_stretched_to_its_range() {
        let picture = stretch(3, 1, vec![1000, 1500, 2000]).into_luma8();
        assert_eq!(picture.as_raw(), &[0, 128, 255]);
        assert_eq!(stretch(2, 1, vec![9, 9]).into_luma8().as_raw(), &[0, 0]);
    }
}
