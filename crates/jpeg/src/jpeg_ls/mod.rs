//! JPEG-LS streams (ITU T.87), lossless and near-lossless, of 2 to 16 bits; components apart, line by line or sample by sample.
//!
//! ```text
//! bytes -> mod.rs     segments: frame, coding parameters, scans (annex C)
//!       -> bits.rs    entropy-coded bits: after a byte of ones comes a stuffed zero (A.1)
//!       -> contexts.rs gradients to contexts; what a context has learned (A.2, A.3, A.6)
//!       -> scan.rs    regular and run mode (A.4, A.5, A.7)
//! ```

mod bits;
mod contexts;
mod scan;

use crate::error::{Error, Result};
use crate::{Samples, header::next_marker};
use scan::{Scan, decode_scan};

/// The frame header.
#[derive(Debug, Clone)]
struct Frame {
    width: usize,
    height: usize,
    bits: u8,
    /// Identifiers of the components.
    components: Vec<u8>,
}

/// Coding parameters of a LSE segment; 0 stands for the default (C.2.4.1.1).
#[derive(Debug, Clone, Copy, Default)]
struct Preset {
    max_value: u16,
    thresholds: [u16; 3],
    reset: u16,
}

/// How the samples of a scan's components alternate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interleave {
    /// One component in a scan.
    None,
    Line,
    Sample,
}

/// Decodes a JPEG-LS stream of at most `max_pixels` to its samples.
pub fn decode_jpeg_ls(bytes: &[u8], max_pixels: u64) -> Result<Samples> {
    if !bytes.starts_with(&[0xFF, 0xD8]) {
        return Err(Error::Damaged("it does not begin as a JPEG-LS stream does"));
    }
    let mut stream = Stream { bytes, at: 2, frame: None, preset: Preset::default(), restart_lines: 0 };
    let mut values = Vec::new();
    let mut is_done = Vec::new();
    loop {
        let (scan, components) = stream.next_scan(max_pixels)?;
        let channels = scan.channels;
        is_done.resize(channels, false);
        for component in components {
            if std::mem::replace(&mut is_done[component], true) {
                return Err(Error::Damaged("a component has two scans"));
            }
        }
        stream.at = decode_scan(&scan, bytes, stream.at, &mut values)?;
        if is_done.iter().all(|done| *done) {
            next_marker(bytes, stream.at)?;
            let (width, height) = (scan.width as u32, scan.height as u32);
            return Ok(Samples { width, height, channels: channels as u8, bits: scan.bits, values });
        }
    }
}

struct Stream<'a> {
    bytes: &'a [u8],
    at: usize,
    frame: Option<Frame>,
    preset: Preset,
    /// Lines between restart markers; 0 without.
    restart_lines: usize,
}

impl Stream<'_> {
    /// Reads segments up to the data of the next scan; gives it and the components it is about.
    fn next_scan(&mut self, max_pixels: u64) -> Result<(Scan, Vec<usize>)> {
        loop {
            let (marker, after) = next_marker(self.bytes, self.at)?;
            self.at = after;
            match marker {
                0xD9 => return Err(Error::Damaged("a component has no scan")),
                0x01 | 0xD0..=0xD8 => continue, // Markers without a segment.
                _ => {}
            }
            let length = self.bytes.get(after..after + 2).ok_or(Error::Truncated)?;
            let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
            if length < 2 {
                return Err(Error::Damaged("a segment is shorter than its own length field"));
            }
            let segment = self.bytes.get(after + 2..after + length).ok_or(Error::Truncated)?;
            self.at += length;
            match marker {
                0xF7 if self.frame.is_some() => return Err(Error::Damaged("it has two frame headers")),
                0xF7 => self.frame = Some(read_frame(segment, max_pixels)?),
                0xF8 => self.read_preset(segment)?,
                0xDD => {
                    // 2, 3 or 4 bytes (C.2.5).
                    let value = segment.iter().take(4).fold(0u64, |value, byte| value << 8 | u64::from(*byte));
                    self.restart_lines = value as usize;
                }
                0xDA => return self.read_scan(segment),
                0xC0..=0xCF => {
                    return Err(Error::Unsupported { what: "JPEG-LS frame", value: format!("0x{marker:02X}") });
                }
                // HP's colour transform, an extension that CharLS knows.
                0xE8 if segment.starts_with(b"mrfx") && segment.get(4).is_some_and(|transform| *transform != 0) => {
                    let value = segment[4].to_string();
                    return Err(Error::Unsupported { what: "JPEG-LS colour transform", value });
                }
                _ => {} // Comments and other programs' data.
            }
        }
    }

    fn read_preset(&mut self, segment: &[u8]) -> Result<()> {
        let (&kind, rest) = segment.split_first().ok_or(Error::Damaged("a LSE segment is empty"))?;
        if kind != 1 {
            let value = format!("{kind} (mapping table or large size)");
            return Err(Error::Unsupported { what: "JPEG-LS LSE segment", value });
        }
        let (words, _) = rest.as_chunks::<2>();
        let words: Vec<u16> = words.iter().map(|word| u16::from_be_bytes(*word)).collect();
        let [max_value, low, middle, high, reset] = words[..] else {
            return Err(Error::Damaged("the coding parameters are cut off"));
        };
        self.preset = Preset { max_value, thresholds: [low, middle, high], reset };
        Ok(())
    }

    fn read_scan(&self, segment: &[u8]) -> Result<(Scan, Vec<usize>)> {
        let damaged = || Error::Damaged("a scan header is not possible");
        let frame = self.frame.as_ref().ok_or(Error::Damaged("a scan comes before the frame header"))?;
        let (&count, rest) = segment.split_first().ok_or_else(damaged)?;
        let count = usize::from(count);
        let list = rest.get(..2 * count).filter(|_| (1..=4).contains(&count)).ok_or_else(damaged)?;
        let mut components = Vec::new();
        for [id, mapping] in list.as_chunks::<2>().0 {
            let index = frame.components.iter().position(|component| component == id).ok_or_else(damaged)?;
            if components.contains(&index) {
                return Err(damaged());
            }
            if *mapping != 0 {
                return Err(Error::Unsupported { what: "JPEG-LS mapping table", value: mapping.to_string() });
            }
            components.push(index);
        }
        let [near, interleave, transform] =
            rest.get(2 * count..2 * count + 3).and_then(|end| end.try_into().ok()).ok_or_else(damaged)?;
        if transform & 15 != 0 {
            return Err(Error::Unsupported { what: "JPEG-LS point transform", value: (transform & 15).to_string() });
        }
        let interleave = match (interleave, count) {
            (0, 1) | (1 | 2, 1) => Interleave::None,
            (1, _) => Interleave::Line,
            (2, _) => Interleave::Sample,
            _ => return Err(damaged()),
        };
        let coding = contexts::Coding::new(frame.bits, near, self.preset)?;
        let scan = Scan {
            width: frame.width,
            height: frame.height,
            bits: frame.bits,
            channels: frame.components.len(),
            components: components.clone(),
            interleave,
            coding,
            restart_lines: self.restart_lines,
        };
        Ok((scan, components))
    }
}

fn read_frame(segment: &[u8], max_pixels: u64) -> Result<Frame> {
    let cut_off = Error::Damaged("the frame header is cut off");
    let [bits, height_high, height_low, width_high, width_low, num_components] =
        segment.get(..6).and_then(|head| <[u8; 6]>::try_from(head).ok()).ok_or(cut_off.clone())?;
    let (width, height) = (u16::from_be_bytes([width_high, width_low]), u16::from_be_bytes([height_high, height_low]));
    if !(2..=16).contains(&bits) {
        return Err(Error::Unsupported { what: "JPEG-LS bits a sample", value: bits.to_string() });
    }
    if !(1..=4).contains(&num_components) {
        return Err(Error::Unsupported { what: "number of JPEG-LS components", value: num_components.to_string() });
    }
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        return Err(Error::Damaged("its header says that it has no pixels"));
    }
    if pixels > max_pixels {
        return Err(Error::TooLarge { pixels, max_pixels });
    }
    let list = segment.get(6..6 + 3 * usize::from(num_components)).ok_or(cut_off)?;
    let mut components = Vec::new();
    for [id, sampling, _] in list.as_chunks::<3>().0 {
        if *sampling != 0x11 && num_components > 1 {
            return Err(Error::Unsupported { what: "JPEG-LS sampling", value: format!("0x{sampling:02X}") });
        }
        components.push(*id);
    }
    Ok(Frame { width: usize::from(width), height: usize::from(height), bits, components })
}
