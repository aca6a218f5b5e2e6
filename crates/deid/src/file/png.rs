//! PNG: chunks that make the picture stay (PNG specification, third edition, chapter 11).

use super::Stripped;
use crate::error::{Error, Result};

const SIGNATURE: &[u8; 8] = b"\x89PNG\r\n\x1a\n";
const STAY: [&[u8; 4]; 11] =
    [b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"bKGD", b"pHYs"];

/// Leaves texts (tEXt, zTXt, iTXt), EXIF, times, profiles, unknown chunks and whatever follows the picture behind.
pub fn clean_png(bytes: &[u8]) -> Result<Stripped> {
    let mut rest = bytes.strip_prefix(SIGNATURE).ok_or_else(|| Error::malformed("PNG", "has no signature"))?;
    let mut out = Stripped::new(bytes.len());
    out.bytes.extend(SIGNATURE);
    loop {
        let header: [u8; 8] =
            rest.get(..8).and_then(|head| head.try_into().ok()).ok_or_else(|| truncated(8, rest.len()))?;
        let length = u32::from_be_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let name: [u8; 4] = [header[4], header[5], header[6], header[7]];
        let total = length.checked_add(12).ok_or_else(|| truncated(length, rest.len()))?;
        let chunk = rest.get(..total).ok_or_else(|| truncated(total, rest.len()))?;
        if STAY.contains(&&name) {
            out.bytes.extend(chunk);
        } else {
            out.note(String::from_utf8_lossy(&name));
        }
        rest = &rest[total..];
        if &name == b"IEND" {
            break;
        }
    }
    if !rest.is_empty() {
        out.note("bytes after the picture");
    }
    Ok(out)
}

fn truncated(needed: usize, available: usize) -> Error {
    Error::Truncated { field: "PNG chunk".into(), needed: needed as u64, available: available as u64 }
}
