//! PNG files.

use crate::error::{Error, Result, write_file};
use gmai_schema::Rgb8;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use std::path::Path;

/// Writes an 8-bit grey PNG from `width * height` bytes.
pub fn write_grey_png(path: &Path, width: u32, height: u32, pixels: &[u8]) -> Result<()> {
    write(path, [width, height], pixels, ExtendedColorType::L8)
}

/// Writes a 16-bit grey PNG from `width * height` values.
pub fn write_grey16_png(path: &Path, width: u32, height: u32, pixels: &[u16]) -> Result<()> {
    let bytes: Vec<u8> = pixels.iter().flat_map(|value| value.to_ne_bytes()).collect();
    write(path, [width, height], &bytes, ExtendedColorType::L16)
}

/// Writes a colour PNG.
pub fn write_rgb_png(path: &Path, picture: &Rgb8) -> Result<()> {
    write(path, [picture.width(), picture.height()], picture.pixels(), ExtendedColorType::Rgb8)
}

fn write(path: &Path, [width, height]: [u32; 2], bytes: &[u8], colour: ExtendedColorType) -> Result<()> {
    let bytes_per_pixel = u64::from(colour.bits_per_pixel()) / 8;
    if bytes.len() as u64 != u64::from(width) * u64::from(height) * bytes_per_pixel {
        return Err(Error::encode(path, format!("{} bytes for {width} x {height} pixels", bytes.len())));
    }
    let mut file = Vec::new();
    let encoder = PngEncoder::new(&mut file);
    encoder.write_image(bytes, width, height, colour).map_err(|error| Error::encode(path, error))?;
    write_file(path, &file)
}
