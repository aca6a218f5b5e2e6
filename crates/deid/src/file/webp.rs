//! WebP: chunks that make the picture stay.

use super::Stripped;
use crate::error::{Error, Result};

/// Leaves EXIF, XMP, profiles, unknown chunks and whatever follows the picture behind.
pub fn clean_webp(bytes: &[u8]) -> Result<Stripped> {
    if bytes.get(..4) != Some(b"RIFF") || bytes.get(8..12) != Some(b"WEBP") {
        return Err(Error::malformed("WebP", "has no signature"));
    }
    let claimed = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]) as usize;
    let end = claimed.saturating_add(8).min(bytes.len());
    let mut out = Stripped::new(bytes.len());
    out.bytes.extend(b"RIFF\0\0\0\0WEBP");
    let mut at = 12;
    while at + 8 <= end {
        let name = &bytes[at..at + 4];
        let length = u32::from_le_bytes([bytes[at + 4], bytes[at + 5], bytes[at + 6], bytes[at + 7]]) as usize;
        let total = 8 + length + length % 2;
        let available = bytes.len() - at;
        if total > available {
            return Err(Error::Truncated {
                field: "WebP chunk".into(),
                needed: total as u64,
                available: available as u64,
            });
        }
        if [&b"VP8 "[..], b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF"].contains(&name) {
            let start = out.bytes.len();
            out.bytes.extend(&bytes[at..at + total]);
            if name == b"VP8X" && length > 0 {
                out.bytes[start + 8] &= !0x2C; // Flags of the profile, EXIF and XMP that are gone.
            }
        } else {
            out.note(String::from_utf8_lossy(name));
        }
        at += total;
    }
    if end < bytes.len() {
        out.note("bytes after the picture");
    }
    let size = (out.bytes.len() - 8) as u32;
    out.bytes[4..8].copy_from_slice(&size.to_le_bytes());
    Ok(out)
}
