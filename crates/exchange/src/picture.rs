//! Pictures on their way out of and into a dataset.

use crate::{Error, Result, digest, paths};
use gmai_schema::Rgb8;
use gmai_shard::{EncodedImage, encode_png};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use std::io::{Cursor, Read};
use std::path::Path;

/// The most bytes of one picture file.
pub(crate) const MAX_PICTURE_BYTES: u64 = 64 << 20;

/// The most bytes that decoding one picture may take, as in a dataset folder.
const MAX_DECODED_BYTES: u64 = 256 << 20;

/// `images/ab/<key>` below an export: two letters of the key keep folders small.
pub(crate) fn name(image: &EncodedImage) -> String {
    let shelf: String = image.path.chars().take(2).collect();
    format!("images/{}/{}", paths::part(&shelf), paths::part(&image.path))
}

/// Writes a picture under its name below `folder`, once.
pub(crate) fn write(folder: &Path, image: &EncodedImage) -> Result<String> {
    let name = name(image);
    let path = folder.join(&name);
    if !path.exists() {
        let parent = path.parent().expect("the name has folders");
        std::fs::create_dir_all(parent).map_err(Error::io(parent))?;
        std::fs::write(&path, &image.bytes).map_err(Error::io(&path))?;
    }
    Ok(name)
}

/// Bytes of a file that is at most [`MAX_PICTURE_BYTES`] long; the reason otherwise.
pub(crate) fn read_file(path: &Path) -> std::result::Result<Vec<u8>, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    read_limited(file)
}

/// All bytes of `reader` when they are at most [`MAX_PICTURE_BYTES`]; the reason otherwise.
pub(crate) fn read_limited(reader: impl Read) -> std::result::Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    reader.take(MAX_PICTURE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    match bytes.len() as u64 > MAX_PICTURE_BYTES {
        true => Err(format!("the file has more than {} MiB", MAX_PICTURE_BYTES >> 20)),
        false => Ok(bytes),
    }
}

/// Width and height as the header says; 0 when it cannot be read.
pub(crate) fn dimensions(image: &EncodedImage) -> (u32, u32) {
    let reader = ImageReader::new(Cursor::new(&image.bytes)).with_guessed_format();
    reader.ok().and_then(|reader| reader.into_dimensions().ok()).unwrap_or_default()
}

/// A picture that an export wrote: unchanged, or the reason.
pub(crate) fn exported(bytes: Vec<u8>, key: &str) -> std::result::Result<EncodedImage, String> {
    let found = digest::of_bytes(&bytes);
    if key.split('.').next() != Some(found.as_str()) {
        return Err(format!("sha256 is {found}, exported was {key}"));
    }
    Ok(match key.ends_with(".png") {
        true => EncodedImage::from_png(bytes),
        false => EncodedImage::from_jpeg(bytes),
    })
}

/// A picture from elsewhere: PNG and JPEG files stay as they are but for metadata, which may name patients; others become PNG.
///
/// A picture that EXIF turns is turned here, since models see pixels, not EXIF.
pub(crate) fn foreign(bytes: &[u8]) -> std::result::Result<EncodedImage, String> {
    let format = image::guess_format(bytes).map_err(|_| {
        "neither PNG, JPEG, TIFF, BMP nor WebP; convert it, or make the dataset with gmai curate".to_string()
    })?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| error.to_string())?;
    let orientation = decoder.orientation().map_err(|error| error.to_string())?;
    if orientation == Orientation::NoTransforms {
        let bare = match format {
            ImageFormat::Png => gmai_shard::bare_png(bytes).map(EncodedImage::from_png),
            ImageFormat::Jpeg => gmai_shard::bare_jpeg(bytes).map(EncodedImage::from_jpeg),
            _ => None,
        };
        // What a shard stores must decode everywhere: 16-bit and CMYK pictures become plain PNG below.
        let is_plain = matches!(decoder.color_type(), image::ColorType::L8 | image::ColorType::Rgb8);
        if let Some(bare) = bare.filter(|_| is_plain) {
            return bare.decode().map(|_| bare).map_err(|error| error.to_string());
        }
    }
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| error.to_string())?;
    picture.apply_orientation(orientation);
    let pixels = picture.into_rgb8();
    let (width, height) = pixels.dimensions();
    let pixels = Rgb8::new(width, height, pixels.into_raw()).ok_or("the picture has no pixels")?;
    encode_png(&pixels).map_err(|error| error.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn files_of_other_kinds_become_png_with_the_same_pixels() {
        let picture = Rgb8::new(2, 1, vec![255, 0, 0, 0, 0, 255]).unwrap();
        let raw = image::RgbImage::from_raw(2, 1, picture.pixels().to_vec()).unwrap();
        let mut bmp = Cursor::new(Vec::new());
        raw.write_to(&mut bmp, ImageFormat::Bmp).unwrap();
        let read = foreign(&bmp.into_inner()).unwrap();
        assert!(read.path.ends_with(".png") && read.decode().unwrap() == picture);
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        assert!(foreign(b"GIF, not").is_err());
        let whole = encode_png(&Rgb8::filled(32, 32, [1, 2, 3])).unwrap();
        assert!(foreign(&whole.bytes[..whole.bytes.len() / 2]).is_err());
        assert_eq!(foreign(&whole.bytes).unwrap(), whole);
        assert!(exported(whole.bytes.clone(), &whole.path).is_ok());
        assert!(exported(b"other".to_vec(), &whole.path).is_err());
    }

    #[test]
    fn files_are_read_up_to_a_limit() {
        assert!(read_limited(std::io::repeat(7)).unwrap_err().contains("64 MiB"));
    }
}
