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
mod frame;
mod header;
mod idct;
mod scan;
mod upsample;

pub(crate) use colour::cmyk_to_rgb;

use crate::error::{Error, Result};
use crate::limits::Limits;
use frame::Planes;
use header::{ColourSpace, Header};
use std::path::Path;

/// Why a stream cannot be decoded, before the path is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The data ends before the picture does.
    Truncated,
    /// Something that the standard does not allow.
    Damaged(&'static str),
    /// Something that the standard allows and that is not read here: what, and its value.
    Unsupported(&'static str, String),
}

type Decoded<T> = std::result::Result<T, Fault>;

/// Samples of a decoded file.
#[derive(Debug)]
pub(crate) struct Picture {
    /// Columns.
    pub(crate) width: u32,
    /// Rows.
    pub(crate) height: u32,
    /// Grey or RGB values, row by row.
    pub(crate) bytes: Vec<u8>,
    /// Whether there is one value a pixel instead of three.
    pub(crate) is_grey: bool,
}

/// Decodes a JPEG file. CMYK and YCCK come out as RGB, read as Adobe's programs write them (inverted), as Pillow does.
pub(crate) fn decode(path: &Path, bytes: &[u8], limits: &Limits) -> Result<Picture> {
    let named = |fault| match fault {
        Fault::Truncated => Error::decode(path, "the file ends too early: copy it again from its source"),
        Fault::Damaged(reason) => Error::decode(path, reason),
        Fault::Unsupported(field, value) => Error::Unsupported {
            path: path.into(),
            field,
            value,
            remedy: "convert it to a baseline JPEG or to PNG, e.g. with `magick in.jpg out.png`",
        },
    };
    let header = Header::read(bytes).map_err(named)?;
    limits.check_pixels(path, u64::from(header.frame.width), u64::from(header.frame.height))?;
    let planes = scan::decode(&header, bytes).map_err(named)?;
    picture(&header, &planes).map_err(named)
}

fn picture(header: &Header, planes: &Planes) -> Decoded<Picture> {
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
            _ => return Err(Fault::Unsupported("number of components", num_components.to_string())),
        }
    }
    Ok(Picture { width, height, bytes, is_grey })
}
