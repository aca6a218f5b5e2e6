//! NIfTI: numbers stay, texts and extensions go.

use super::Stripped;
use crate::error::{Error, Result};
use flate2::read::MultiGzDecoder;
use std::io::{Read, Write};

/// Text fields of NIfTI-1 (data_type, db_name, descrip, aux_file, intent_name) as start and length.
const TEXTS_1: [(&str, usize, usize); 5] =
    [("data_type", 4, 10), ("db_name", 14, 18), ("descrip", 148, 80), ("aux_file", 228, 24), ("intent_name", 328, 16)];
/// The same of NIfTI-2.
const TEXTS_2: [(&str, usize, usize); 3] = [("descrip", 240, 80), ("aux_file", 320, 24), ("intent_name", 508, 16)];

/// Empties text fields and extensions of a NIfTI file, plain or gzipped; voxels stay where they are. `max_bytes` bounds what a
/// gzipped file may grow to.
pub fn clean_nifti(bytes: &[u8], max_bytes: u64) -> Result<Stripped> {
    if bytes.get(..2) != Some(&[0x1F, 0x8B]) {
        return clean_plain(bytes.to_vec());
    }
    let mut plain = Vec::new();
    let mut decoder = MultiGzDecoder::new(bytes).take(max_bytes.saturating_add(1));
    decoder.read_to_end(&mut plain).map_err(|error| Error::malformed("gzip", error.to_string()))?;
    if plain.len() as u64 > max_bytes {
        return Err(Error::TooLarge { what: "inflated size in bytes", found: plain.len() as u64, limit: max_bytes });
    }
    let mut out = clean_plain(plain)?;
    // A fresh header of gzip has no file name and no time.
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let packed = encoder.write_all(&out.bytes).and_then(|()| encoder.finish());
    out.bytes = packed.map_err(|error| Error::malformed("gzip", error.to_string()))?;
    Ok(out)
}

fn clean_plain(mut bytes: Vec<u8>) -> Result<Stripped> {
    let size: [u8; 4] =
        bytes.get(..4).and_then(|size| size.try_into().ok()).ok_or_else(|| truncated(348, bytes.len()))?;
    let (texts, header, big): (&[(&str, usize, usize)], usize, bool) =
        match (u32::from_le_bytes(size), u32::from_be_bytes(size)) {
            (348, _) => (&TEXTS_1, 348, false),
            (_, 348) => (&TEXTS_1, 348, true),
            (540, _) => (&TEXTS_2, 540, false),
            (_, 540) => (&TEXTS_2, 540, true),
            _ => return Err(Error::malformed("NIfTI header", "has neither 348 nor 540 bytes")),
        };
    if bytes.len() < header {
        return Err(truncated(header, bytes.len()));
    }
    let mut out = Stripped::new(0);
    for (name, start, length) in texts {
        let field = &mut bytes[*start..start + length];
        if field.iter().any(|byte| *byte != 0) {
            field.fill(0);
            out.note(*name);
        }
    }
    let start_of_voxels = voxel_offset(&bytes, header, big);
    // Between header and voxels stand extensions: DICOM headers, comments, whatever.
    let end = start_of_voxels.min(bytes.len());
    if end > header {
        if bytes[header..end].iter().any(|byte| *byte != 0) {
            out.note("extensions");
        }
        bytes[header..end].fill(0);
    } else if start_of_voxels == 0 && bytes.len() > header {
        // A header file of a pair: nothing belongs after it but the extension flag.
        if bytes[header..].iter().any(|byte| *byte != 0) {
            out.note("extensions");
        }
        bytes.truncate(header);
        bytes.extend([0; 4]);
    }
    out.bytes = bytes;
    Ok(out)
}

/// First byte of the voxels; 0 for a header file of its own.
fn voxel_offset(bytes: &[u8], header: usize, big: bool) -> usize {
    if header == 348 {
        let field: [u8; 4] = bytes[108..112].try_into().expect("four bytes");
        let single = &bytes[344..347] == b"n+1";
        let offset = if big { f32::from_be_bytes(field) } else { f32::from_le_bytes(field) };
        return if single && offset >= 348.0 {
            offset as usize
        } else if single {
            352
        } else {
            0
        };
    }
    let field: [u8; 8] = bytes[168..176].try_into().expect("eight bytes");
    let offset = if big { i64::from_be_bytes(field) } else { i64::from_le_bytes(field) };
    let single = &bytes[4..7] == b"n+2";
    if single { usize::try_from(offset).unwrap_or(544).max(540) } else { 0 }
}

fn truncated(needed: usize, available: usize) -> Error {
    Error::Truncated { field: "NIfTI header".into(), needed: needed as u64, available: available as u64 }
}
