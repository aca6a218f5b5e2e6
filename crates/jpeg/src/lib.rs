//! JPEG files, decoded to the very values that libjpeg-turbo gives with its default settings, which is what Pillow, and so every published
//! processor, sees. Other decoders differ by up to 3 of 255 a sample: they interpolate chroma or round colours in another way.
//!
//! ```text
//! bytes -> header.rs   segments: tables, frame, scans (ITU T.81 annex B)
//!       -> bits.rs     entropy-coded bits, Huffman codes (annex F.2.2, C)
//!       -> lossless.rs differences -> samples of up to 16 bits (annex H)
//!       -> scan.rs     baseline and progressive scans -> coefficients (F.2, G.2)
//!       -> idct.rs     coefficients -> samples: libjpeg's accurate integer transform
//!       -> upsample.rs every component at full size: libjpeg's triangle filter
//!       -> colour.rs   YCbCr, YCCK, CMYK -> RGB: libjpeg's and Pillow's integer arithmetic
//! ```
//! Baseline, extended and progressive Huffman files of 8 bits are read, with 1, 3 or 4 components; as samples also lossless ones and grey
//! ones of 12 bits ([`decode_samples`]); JPEG-LS ([`decode_jpeg_ls`]) is another coding under the same markers, in `jpeg_ls/`. Damaged or incomplete data is an error:
//! a picture that is grey from somewhere on is not a picture of a patient.

mod bits;
mod colour;
mod error;
mod frame;
mod header;
mod idct;
mod jpeg_ls;
mod lossless;
mod scan;
mod upsample;

pub use colour::cmyk_to_rgb;
pub use error::{Error, Result};

pub use header::Unmarked;
pub use jpeg_ls::decode_jpeg_ls;

use frame::Planes;
use header::{Coding, ColourSpace, Frame, Header};
use idct::Sample;

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

/// Samples as a stream holds them: no colour is converted, nothing is rounded to 8 bits. Two bytes each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Samples {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Samples a pixel.
    pub channels: u8,
    /// Bits of a sample that count, 2 to 16.
    pub bits: u8,
    /// Row by row, the channels of a pixel side by side.
    pub values: Vec<u16>,
}

/// What the header of a JPEG stream says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Components.
    pub channels: u8,
    /// Bits a sample.
    pub bits: u8,
    /// Whether the samples themselves are coded, and not their cosine transform.
    pub is_lossless: bool,
}

/// Reads the header of a JPEG stream; nothing is decoded.
pub fn head(bytes: &[u8]) -> Result<Head> {
    let frame = Header::read(bytes)?.frame;
    Ok(Head {
        width: u32::from(frame.width),
        height: u32::from(frame.height),
        channels: frame.components.len() as u8,
        bits: frame.bits,
        is_lossless: frame.coding == Coding::Lossless,
    })
}

/// Decodes a JPEG file of at most `max_pixels`. CMYK and YCCK come out as RGB, read as Adobe's programs write them (inverted), as Pillow does.
pub fn decode(bytes: &[u8], max_pixels: u64) -> Result<Picture> {
    decode_with(bytes, max_pixels, Unmarked::Usual)
}

/// As [`decode`], for a file of which something outside says what unmarked components hold.
pub fn decode_with(bytes: &[u8], max_pixels: u64, unmarked: Unmarked) -> Result<Picture> {
    let header = Header::read(bytes)?;
    check_size(&header.frame, max_pixels)?;
    if header.frame.coding == Coding::Lossless {
        return Err(Error::Unsupported { what: "JPEG coding", value: "0xC3 (lossless)".to_string() });
    }
    if header.frame.bits != 8 {
        return Err(Error::Unsupported { what: "JPEG bits a sample", value: header.frame.bits.to_string() });
    }
    picture(&header, &scan::decode(&header, bytes)?, unmarked)
}

/// Decodes a JPEG stream of at most `max_pixels` to its samples: lossless (2 to 16 bits, up to 4 channels), or grey by the cosine transform
/// (8 or 12 bits). Colour by the cosine transform has no samples of its own at full size: see [`decode`].
pub fn decode_samples(bytes: &[u8], max_pixels: u64) -> Result<Samples> {
    let header = Header::read(bytes)?;
    let frame = &header.frame;
    check_size(frame, max_pixels)?;
    let (width, height) = (u32::from(frame.width), u32::from(frame.height));
    if frame.coding == Coding::Lossless {
        let values = lossless::decode(&header, bytes)?;
        return Ok(Samples { width, height, channels: frame.components.len() as u8, bits: frame.bits, values });
    }
    if frame.components.len() > 1 {
        let value = format!("{} components of {} bits as samples", frame.components.len(), frame.bits);
        return Err(Error::Unsupported { what: "JPEG coding", value });
    }
    let values = if frame.bits == 8 {
        samples_of(&scan::decode::<u8>(&header, bytes)?)
    } else {
        samples_of(&scan::decode::<u16>(&header, bytes)?)
    };
    Ok(Samples { width, height, channels: 1, bits: frame.bits, values })
}

fn check_size(frame: &Frame, max_pixels: u64) -> Result<()> {
    let pixels = u64::from(frame.width) * u64::from(frame.height);
    if pixels == 0 {
        return Err(Error::Damaged("its header says that it has no pixels"));
    }
    if pixels > max_pixels {
        return Err(Error::TooLarge { pixels, max_pixels });
    }
    Ok(())
}

/// The only component without what fills up its last blocks.
fn samples_of<S: Sample>(planes: &Planes<S>) -> Vec<u16> {
    let plane = &planes.components[0];
    let rows = plane.samples.chunks_exact(plane.shape.stride()).take(plane.shape.height);
    rows.flat_map(|row| row[..plane.shape.width].iter().map(|sample| (*sample).into())).collect()
}

fn picture(header: &Header, planes: &Planes<u8>, unmarked: Unmarked) -> Result<Picture> {
    let (width, height) = (u32::from(header.frame.width), u32::from(header.frame.height));
    let row_samples = usize::from(header.frame.width);
    let num_components = planes.components.len();
    let is_grey = num_components == 1;
    let out_channels = if is_grey { 1 } else { 3 };
    let space = header.colour_space(unmarked);
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
