//! Pictures as shards hold them: PNG or JPEG bytes under a name made of their hash.

use crate::hashing::sha256;
use crate::{Error, Result};
use gmai_schema::Rgb8;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, ImageFormat, ImageReader, Limits};
use std::io::Cursor;

/// The most bytes that decoding one stored picture may take: 64 megapixels with 8-bit RGBA.
const MAX_DECODED_BYTES: u64 = 256 << 20;

/// An encoded picture with its key.
#[derive(Clone, PartialEq, Eq)]
pub struct EncodedImage {
    /// The bytes of a PNG or JPEG file.
    pub bytes: Vec<u8>,
    /// `<sha256 of the bytes>.png` or `.jpg`: equal pictures have equal keys, so readers can cache by it.
    pub path: String,
}

impl EncodedImage {
    /// Takes over the bytes of a PNG file unchanged.
    pub fn from_png(bytes: Vec<u8>) -> EncodedImage {
        let path = format!("{}.png", sha256(&bytes));
        EncodedImage { bytes, path }
    }

    /// Takes over the bytes of a JPEG file unchanged.
    pub fn from_jpeg(bytes: Vec<u8>) -> EncodedImage {
        let path = format!("{}.jpg", sha256(&bytes));
        EncodedImage { bytes, path }
    }

    /// The pixels. Errors when the bytes are damaged or would take more than 256 MiB.
    pub fn decode(&self) -> Result<Rgb8> {
        let refused = |reason: String| Error::Picture { path: self.path.clone(), reason };
        if !self.path.ends_with(".png") {
            let picture = gmai_jpeg::decode(&self.bytes, MAX_DECODED_BYTES / 4);
            let picture = picture.map_err(|error| refused(error.to_string()))?;
            let (width, height) = (picture.width, picture.height);
            let pixels = Rgb8::new(width, height, picture.into_rgb());
            return pixels.ok_or_else(|| refused("the picture has no pixels".to_string()));
        }
        let mut reader = ImageReader::with_format(Cursor::new(&self.bytes), ImageFormat::Png);
        let mut limits = Limits::default();
        limits.max_alloc = Some(MAX_DECODED_BYTES);
        reader.limits(limits);
        let pixels = reader.decode().map_err(|error| refused(error.to_string()))?.into_rgb8();
        let (width, height) = pixels.dimensions();
        Rgb8::new(width, height, pixels.into_raw()).ok_or_else(|| refused("the picture has no pixels".to_string()))
    }
}

impl std::fmt::Debug for EncodedImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EncodedImage({}, {} bytes)", self.path, self.bytes.len())
    }
}

/// The grey values of a picture whose three channels are equal everywhere.
pub fn grey_plane(picture: &Rgb8) -> Option<Vec<u8>> {
    /// Pixels between two looks at whether there was colour.
    const PIXELS: usize = 1024;
    let mut grey = vec![0; picture.pixels().len() / 3];
    for (grey, pixels) in grey.chunks_mut(PIXELS).zip(picture.pixels().chunks(3 * PIXELS)) {
        let mut colour = 0;
        for (grey, pixel) in grey.iter_mut().zip(pixels.as_chunks::<3>().0) {
            *grey = pixel[0];
            colour |= (pixel[0] ^ pixel[1]) | (pixel[0] ^ pixel[2]);
        }
        if colour != 0 {
            return None;
        }
    }
    Some(grey)
}

/// Encodes a picture without loss; a picture whose three channels are equal is stored as grey.
pub fn encode_png(picture: &Rgb8) -> Result<EncodedImage> {
    let mut bytes = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Adaptive);
    let (width, height) = (picture.width(), picture.height());
    let written = match grey_plane(picture) {
        Some(grey) => encoder.write_image(&grey, width, height, ExtendedColorType::L8),
        None => encoder.write_image(picture.pixels(), width, height, ExtendedColorType::Rgb8),
    };
    written.map_err(|error| Error::Picture { path: format!("{picture:?}"), reason: error.to_string() })?;
    Ok(EncodedImage::from_png(bytes))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn png_gives_back_the_same_pixels_and_key() {
        let colour = Rgb8::new(2, 1, vec![255, 0, 0, 1, 2, 3]).unwrap();
        let grey = Rgb8::filled(5, 4, [7, 7, 7]);
        for picture in [colour, grey] {
            let encoded = encode_png(&picture).unwrap();
            assert!(encoded.decode().unwrap() == picture);
            assert_eq!(encoded, encode_png(&picture).unwrap());
            assert_eq!(encoded.path.len(), 64 + ".png".len());
        }
    }

    #[test]
    fn damaged_bytes_are_an_error() {
        let mut encoded = encode_png(&Rgb8::filled(64, 64, [1, 2, 3])).unwrap();
        encoded.bytes.truncate(encoded.bytes.len() / 2);
        assert!(encoded.decode().is_err());
        assert!(EncodedImage::from_jpeg(Vec::new()).decode().is_err());
    }
}
