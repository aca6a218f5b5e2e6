//! JPEG: segments that make the picture stay (ITU-T T.81, annex B); of EXIF only which way is up.

use super::Stripped;
use crate::error::{Error, Result};

/// Leaves comments, EXIF, XMP, IPTC, profiles, thumbnails and whatever follows the picture behind.
pub fn clean_jpeg(bytes: &[u8]) -> Result<Stripped> {
    if bytes.get(..2) != Some(&[0xFF, 0xD8]) {
        return Err(Error::malformed("JPEG", "does not begin with its marker"));
    }
    let mut out = Stripped::new(bytes.len());
    out.bytes.extend([0xFF, 0xD8]);
    let mut at = 2;
    loop {
        while bytes.get(at..at + 2) == Some(&[0xFF, 0xFF]) {
            at += 1; // Fill bytes may stand before any marker.
        }
        let marker = match bytes.get(at..at + 2) {
            Some([0xFF, marker]) => *marker,
            Some(_) => return Err(Error::malformed("JPEG", format!("has no marker at byte {at}"))),
            None => return Err(truncated("marker", 2, bytes.len() - at.min(bytes.len()))),
        };
        match marker {
            0xD9 => {
                out.bytes.extend([0xFF, 0xD9]);
                if at + 2 < bytes.len() {
                    out.note("bytes after the picture");
                }
                return Ok(out);
            }
            0xD0..=0xD7 | 0x01 => {
                out.bytes.extend([0xFF, marker]);
                at += 2;
            }
            _ => {
                let segment = segment(bytes, at)?;
                keep_or_leave(&mut out, marker, segment);
                at += segment.len();
                if marker == 0xDA {
                    let end = entropy_end(bytes, at);
                    out.bytes.extend(&bytes[at..end]);
                    at = end;
                    if at >= bytes.len() {
                        // Cut off, as cameras and archives leave them; decoders show what is there.
                        return Ok(out);
                    }
                }
            }
        }
    }
}

/// A segment with its marker.
fn segment(bytes: &[u8], at: usize) -> Result<&[u8]> {
    let available = bytes.len().saturating_sub(at);
    let length = match bytes.get(at + 2..at + 4) {
        Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
        _ => return Err(truncated("segment", 4, available)),
    };
    if length < 2 {
        return Err(Error::malformed("JPEG segment", "claims less than its own length"));
    }
    bytes.get(at..at + 2 + length).ok_or_else(|| truncated("segment", length + 2, available))
}

fn keep_or_leave(out: &mut Stripped, marker: u8, segment: &[u8]) {
    let body = &segment[4..];
    match marker {
        0xE0 if body.starts_with(b"JFIF\0") && body.len() >= 14 => {
            out.bytes.extend([0xFF, 0xE0, 0, 16]);
            out.bytes.extend(&body[..12]);
            out.bytes.extend([0, 0]); // No thumbnail: it shows the picture before anything was painted over.
            if body.len() > 14 {
                out.note("JFIF thumbnail");
            }
        }
        0xEE if body.starts_with(b"Adobe") && body.len() >= 12 => {
            out.bytes.extend([0xFF, 0xEE, 0, 14]);
            out.bytes.extend(&body[..12]); // Says how colours are stored.
        }
        0xE1 if body.starts_with(b"Exif\0\0") => {
            if let Some(orientation) = orientation(&body[6..]).filter(|value| (2..=8).contains(value)) {
                out.bytes.extend(exif_with(orientation));
            }
            out.note("EXIF");
        }
        0xE0..=0xEF => out.note(format!("APP{}", marker - 0xE0)),
        0xFE => out.note("comment"),
        // Frame, tables, scan, restart interval; reserved markers carry nothing a picture needs.
        0xC0..=0xCF | 0xDA..=0xDF => out.bytes.extend(segment),
        _ => out.note(format!("segment FF{marker:02X}")),
    }
}

/// Where the coded data ends: at the next marker that is neither stuffing nor a restart.
fn entropy_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    while at + 1 < bytes.len() {
        if bytes[at] == 0xFF && !matches!(bytes[at + 1], 0x00 | 0xD0..=0xD7 | 0xFF) {
            return at;
        }
        at += 1;
    }
    bytes.len()
}

/// Orientation (274) of the first directory of EXIF.
fn orientation(tiff: &[u8]) -> Option<u8> {
    let big = match tiff.get(..2)? {
        b"MM" => true,
        b"II" => false,
        _ => return None,
    };
    let u16_at = |at: usize| {
        let bytes: [u8; 2] = tiff.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    };
    let (high, low) = (u16_at(4)?, u16_at(6)?);
    let start =
        if big { usize::from(high) << 16 | usize::from(low) } else { usize::from(low) << 16 | usize::from(high) };
    let count = usize::from(u16_at(start)?);
    let entries = (0..count).map(|index| start + 2 + 12 * index);
    let entry = entries.into_iter().find(|at| u16_at(*at) == Some(274))?;
    u8::try_from(u16_at(entry + 8)?).ok()
}

/// A segment of EXIF that says nothing but which way is up.
fn exif_with(orientation: u8) -> Vec<u8> {
    let mut segment = vec![0xFF, 0xE1, 0, 34];
    segment.extend(b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0");
    segment.extend([orientation, 0, 0, 0, 0, 0, 0]);
    segment
}

fn truncated(field: &str, needed: usize, available: usize) -> Error {
    Error::Truncated { field: format!("JPEG {field}"), needed: needed as u64, available: available as u64 }
}
