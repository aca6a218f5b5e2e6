//! Files that lie about themselves: what a reader must refuse without taking memory or time.

use crate::error::Result;
use crate::nifti_file::{NiftiImage, NiftiVoxels, gzip, nifti_bytes};
use std::path::Path;

/// A 288-byte DICOM file whose pixel element claims 4 GiB.
pub fn dicom_claiming_4_gib() -> Vec<u8> {
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM");
    let mut short = |group: u16, element: u16, vr: &[u8; 2], value: &[u8]| {
        bytes.extend(group.to_le_bytes());
        bytes.extend(element.to_le_bytes());
        bytes.extend(vr);
        bytes.extend((value.len() as u16).to_le_bytes());
        bytes.extend(value);
    };
    short(0x0002, 0x0010, b"UI", b"1.2.840.10008.1.2.1\0");
    short(0x0008, 0x0060, b"CS", b"CT");
    short(0x0010, 0x0020, b"LO", b"HOSTILE-0001");
    short(0x0028, 0x0002, b"US", &1u16.to_le_bytes());
    short(0x0028, 0x0004, b"CS", b"MONOCHROME2 ");
    short(0x0028, 0x0010, b"US", &4u16.to_le_bytes());
    short(0x0028, 0x0011, b"US", &4u16.to_le_bytes());
    short(0x0028, 0x0100, b"US", &16u16.to_le_bytes());
    bytes.extend([0xE0, 0x7F, 0x10, 0x00]);
    bytes.extend(b"OW\0\0");
    bytes.extend(0xFFFF_FFF0u32.to_le_bytes());
    bytes.resize(288, 0);
    bytes
}

/// A small NIfTI file with 1 mm voxels whose header claims `dims`, whatever they are.
fn nifti_claiming(dims: [u16; 3]) -> Result<Vec<u8>> {
    let image = NiftiImage::new([2, 2, 2], NiftiVoxels::U8(vec![1; 8]));
    let mut bytes = nifti_bytes(Path::new("hostile.nii"), &image)?;
    for (axis, size) in dims.iter().enumerate() {
        bytes[42 + 2 * axis..44 + 2 * axis].copy_from_slice(&size.to_le_bytes());
    }
    Ok(bytes)
}

/// A NIfTI file that ends in the middle of its voxels.
pub fn truncated_nifti() -> Result<Vec<u8>> {
    nifti_claiming([16, 16, 16])
}

/// The same, gzipped: only the end of the stream shows that voxels are missing.
pub fn truncated_nifti_gz() -> Result<Vec<u8>> {
    Ok(gzip(&truncated_nifti()?))
}

/// A gzipped NIfTI file of some hundred bytes that claims more than 30 million million voxels.
pub fn nifti_gz_claiming_too_much() -> Result<Vec<u8>> {
    Ok(gzip(&nifti_claiming([32767, 32767, 32767])?))
}

/// A gzipped NIfTI file with 8 voxels, followed by `megabytes` of zeros that compress a thousandfold.
pub fn nifti_gz_bomb(megabytes: usize) -> Result<Vec<u8>> {
    let mut bytes = nifti_claiming([2, 2, 2])?;
    bytes.resize(bytes.len() + (megabytes << 20), 0);
    Ok(gzip(&bytes))
}

/// The head of a PNG file that claims 60,000 x 60,000 pixels.
pub fn png_claiming_too_much() -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    bytes.extend(60_000u32.to_be_bytes());
    bytes.extend(60_000u32.to_be_bytes());
    bytes.extend([8, 0, 0, 0, 0]);
    bytes.extend(checksum(&bytes[12..29]).to_be_bytes());
    bytes.extend(b"\0\0\0\0IDAT");
    bytes.extend(checksum(b"IDAT").to_be_bytes());
    bytes
}

/// CRC-32 as PNG chunks carry it (PNG specification, annex D).
fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { 0xEDB8_8320 ^ (crc >> 1) } else { crc >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_dicom_is_as_small_as_the_one_that_took_4_gib() {
        assert_eq!(dicom_claiming_4_gib().len(), 288);
    }

    #[test]
    fn checksum_is_the_one_of_the_png_standard() {
        assert_eq!(checksum(b"IEND"), 0xAE42_6082);
    }
}
