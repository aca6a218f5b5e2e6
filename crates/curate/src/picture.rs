//! What a shard stores of a picture: the file as it is where that is safe, else a PNG, made smaller when it is large.

use gmai_imaging::FileKind;
use gmai_schema::Rgb8;
use gmai_shard::{EncodedImage, encode_png};
use image::imageops::FilterType;
use image::metadata::Orientation;
use image::{ColorType, ImageDecoder, ImageFormat, ImageReader, RgbImage};
use std::io::Cursor;
use std::path::Path;

/// Encodes a picture for storage. `picture` is what `file` shows.
///
/// A PNG or JPEG file is kept, without metadata, when it is 8-bit grey or RGB, within `max_side` and not turned by EXIF.
pub(crate) fn store(
    file: &Path,
    kind: FileKind,
    picture: &Rgb8,
    max_side: u32,
) -> Result<EncodedImage, gmai_shard::Error> {
    if picture.width().max(picture.height()) <= max_side {
        let bare = std::fs::read(file).ok().and_then(|bytes| bare_file(&bytes, kind));
        if let Some(kept) = bare {
            return Ok(kept);
        }
    }
    encode_png(&fit(picture, max_side))
}

fn bare_file(bytes: &[u8], kind: FileKind) -> Option<EncodedImage> {
    let format = match kind {
        FileKind::Png => ImageFormat::Png,
        FileKind::Jpeg => ImageFormat::Jpeg,
        _ => return None,
    };
    let mut decoder = ImageReader::with_format(Cursor::new(bytes), format).into_decoder().ok()?;
    let is_plain = matches!(decoder.color_type(), ColorType::L8 | ColorType::Rgb8);
    if !is_plain || decoder.orientation().ok()? != Orientation::NoTransforms {
        return None;
    }
    match format {
        ImageFormat::Png => gmai_shard::bare_png(bytes).map(EncodedImage::from_png),
        _ => gmai_shard::bare_jpeg(bytes).map(EncodedImage::from_jpeg),
    }
}

/// The picture with its longer side at most `max_side`, proportions kept. For storage only: what the model sees is made by the
/// processor's own resampler.
pub(crate) fn fit(picture: &Rgb8, max_side: u32) -> Rgb8 {
    let longer = picture.width().max(picture.height());
    if longer <= max_side {
        return picture.clone();
    }
    let scaled = |side: u32| ((f64::from(side) * f64::from(max_side) / f64::from(longer)).round() as u32).max(1);
    let full = RgbImage::from_raw(picture.width(), picture.height(), picture.pixels().to_vec())
        .expect("Rgb8 holds as many bytes as its size says");
    let (width, height) = (scaled(picture.width()), scaled(picture.height()));
    let small = image::imageops::resize(&full, width, height, FilterType::Lanczos3);
    Rgb8::new(width, height, small.into_raw()).expect("both sides are at least 1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_pictures_shrink_and_small_ones_stay() {
        let wide = fit(&Rgb8::filled(100, 40, [9, 9, 9]), 50);
        assert_eq!((wide.width(), wide.height(), wide.pixel(0, 0)), (50, 20, [9, 9, 9]));
        assert_eq!(fit(&Rgb8::filled(3, 1000, [0; 3]), 10).width(), 1);
        assert_eq!(fit(&Rgb8::filled(50, 50, [0; 3]), 50).width(), 50);
    }
}
