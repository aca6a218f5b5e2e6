//! JPEG files, decoded to the very values that libjpeg-turbo gives with its default settings, which is what Pillow, and so every published
//! processor, sees. Other decoders differ by up to 3 of 255 a sample: they interpolate chroma or round colours in another way.
//!
//! ```text
//! bytes -> header.rs   segments: tables, frame, scans (ITU T.81 annex B)
//!       -> bits.rs     entropy-coded bits, Huffman codes (annex F.2.2, C)
//!       -> scan.rs     baseline and progressive scans -> coefficients (F.2, G.2)
//!       -> idct.rs     coefficients -> samples: libjpeg's accurate integer transform
//!       -> upsample.rs every component at full size: libjpeg's triangle filter
//!       -> colour.rs   YCbCr, YCCK, CMYK -> RGB: libjpeg's and Pillow's integer arithmetic
//! ```
//! Baseline, extended and progressive Huffman files of 8 bits are read, with 1, 3 or 4 components. Damaged or incomplete data is an error:
//! a picture that is grey from somewhere on is not a picture of a patient.

mod bits;
mod colour;
mod error;
mod frame;
mod header;
mod idct;
mod scan;
mod upsample;

pub use colour::cmyk_to_rgb;
pub use error::{Error, Result};

use frame::Planes;
use header::{ColourSpace, Header};

/// A decoded file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Its values.
    pub values: Values,
}

/// Values of a picture, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Values {
    /// One byte a pixel.
    Grey(Vec<u8>),
    /// Three bytes a pixel: red, green, blue.
    Rgb(Vec<u8>),
}

impl Picture {
    /// Three bytes a pixel, grey or not.
    pub fn into_rgb(self) -> Vec<u8> {
        match self.values {
            Values::Rgb(rgb) => rgb,
            Values::Grey(grey) => grey.into_iter().flat_map(|value| [value; 3]).collect(),
        }
    }
}

/// Decodes a JPEG file of at most `max_pixels`. CMYK and YCCK come out as RGB, read as Adobe's programs write them (inverted), as Pillow does.
pub fn decode(bytes: &[u8], max_pixels: u64) -> Result<Picture> {
    let header = Header::read(bytes)?;
    let pixels = u64::from(header.frame.width) * u64::from(header.frame.height);
    if pixels == 0 {
        return Err(Error::Damaged("its header says that it has no pixels"));
    }
    if pixels > max_pixels {
        return Err(Error::TooLarge { pixels, max_pixels });
    }
    picture(&header, &scan::decode(&header, bytes)?)
}

fn picture(header: &Header, planes: &Planes) -> Result<Picture> {
    let (width, height) = (u32::from(header.frame.width), u32::from(header.frame.height));
    let row_samples = usize::from(header.frame.width);
    let num_components = planes.components.len();
    let is_grey = num_components == 1;
    let out_channels = if is_grey { 1 } else { 3 };
    let space = header.colour_space();
    let mut bytes = vec![0; row_samples * usize::from(header.frame.height) * out_channels];
    let mut upsamplers = upsample::Upsampler::for_planes(&header.frame, planes)?;
    let mut rows = vec![vec![0u8; row_samples]; num_components];
    for (y, out) in bytes.chunks_exact_mut(row_samples * out_channels).enumerate() {
        for (upsampler, row) in upsamplers.iter_mut().zip(&mut rows) {
            upsampler.write_row(y, row);
        }
        match (space, &rows[..]) {
            (_, [grey]) => out.copy_from_slice(grey),
            (ColourSpace::Rgb, [red, green, blue]) => colour::interleave(red, green, blue, out),
            (_, [luma, blue, red]) => colour::ycc_to_rgb(luma, blue, red, out),
            (ColourSpace::Cmyk, [cyan, magenta, yellow, key]) => {
                colour::inverted_cmyk_to_rgb(cyan, magenta, yellow, key, out)
            }
            (_, [luma, blue, red, key]) => colour::inverted_ycck_to_rgb(luma, blue, red, key, out),
            _ => return Err(Error::Unsupported { what: "number of components", value: num_components.to_string() }),
        }
    }
    let values = if is_grey { Values::Grey(bytes) } else { Values::Rgb(bytes) };
    Ok(Picture { width, height, values })
}
