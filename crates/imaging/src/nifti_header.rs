//! Headers of NIfTI-1 and NIfTI-2 (nifti1.h, nifti2.h), read field by field with nothing believed.

use crate::error::{Error, Result};
use crate::orient::Affine;
use std::io::Read;
use std::path::Path;

const FIRST_BYTES: usize = 348;
const SECOND_BYTES: usize = 540;

/// The fields that say what the voxels are and where they lie.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Header {
    pub(crate) little_endian: bool,
    /// Voxels lie in a second file.
    pub(crate) is_pair: bool,
    /// Bytes of the header itself.
    pub(crate) bytes: u64,
    /// Sizes of the axes in use.
    pub(crate) dim: Vec<i64>,
    pub(crate) datatype: i16,
    pub(crate) vox_offset: f64,
    /// scl_slope and scl_inter.
    pub(crate) scaling: [f64; 2],
    pixdim: [f64; 4],
    qform_code: i32,
    sform_code: i32,
    quaternion: [f64; 3],
    offset: [f64; 3],
    srow: Affine,
}

/// Numbers at fixed places of one byte order.
struct Fields<'a> {
    bytes: &'a [u8],
    little_endian: bool,
}

impl Fields<'_> {
    fn take<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut field: [u8; N] = std::array::from_fn(|index| self.bytes.get(at + index).copied().unwrap_or(0));
        if !self.little_endian {
            field.reverse();
        }
        field
    }

    fn short(&self, at: usize) -> i16 {
        i16::from_le_bytes(self.take(at))
    }

    fn int(&self, at: usize) -> i32 {
        i32::from_le_bytes(self.take(at))
    }

    fn long(&self, at: usize) -> i64 {
        i64::from_le_bytes(self.take(at))
    }

    fn floats<const N: usize>(&self, at: usize) -> [f64; N] {
        std::array::from_fn(|index| f64::from(f32::from_le_bytes(self.take(at + 4 * index))))
    }

    fn doubles<const N: usize>(&self, at: usize) -> [f64; N] {
        std::array::from_fn(|index| f64::from_le_bytes(self.take(at + 8 * index)))
    }
}

impl Header {
    /// Reads the header at the beginning of a stream.
    pub(crate) fn read(path: &Path, source: &mut impl Read) -> Result<Header> {
        let mut bytes = Vec::with_capacity(SECOND_BYTES);
        let mut fill = |bytes: &mut Vec<u8>, length: usize| -> Result<()> {
            let missing = (length - bytes.len()) as u64;
            source.by_ref().take(missing).read_to_end(bytes).map_err(|error| Error::decode(path, error))?;
            if bytes.len() == length {
                return Ok(());
            }
            let (needed, available) = (length as u64, bytes.len() as u64);
            Err(Error::Truncated { path: path.into(), field: "header".to_string(), needed, available })
        };
        fill(&mut bytes, FIRST_BYTES)?;
        if matches!(bytes.get(4..8), Some(b"n+2\0" | b"ni2\0")) {
            fill(&mut bytes, SECOND_BYTES)?;
            return Header::second(path, &bytes);
        }
        match &bytes[344..348] {
            b"n+1\0" | b"ni1\0" => Header::first(path, &bytes),
            _ => Err(Error::malformed(path, "magic", "is not that of NIfTI")),
        }
    }

    /// The byte order in which the number of axes makes sense.
    fn is_little_endian(path: &Path, num_axes: impl Fn(bool) -> i64) -> Result<bool> {
        let fits = |little_endian: bool| (1..=7).contains(&num_axes(little_endian));
        match (fits(true), fits(false)) {
            (true, _) => Ok(true),
            (false, true) => Ok(false),
            (false, false) => Err(Error::malformed(path, "dim", format!("{} axes are not possible", num_axes(true)))),
        }
    }

    fn first(path: &Path, bytes: &[u8]) -> Result<Header> {
        let of = |little_endian| Fields { bytes, little_endian };
        let little_endian = Header::is_little_endian(path, |order| i64::from(of(order).short(40)))?;
        let fields = of(little_endian);
        let num_axes = fields.short(40) as usize;
        Ok(Header {
            little_endian,
            is_pair: &bytes[344..348] == b"ni1\0",
            bytes: FIRST_BYTES as u64,
            dim: (1..=num_axes).map(|axis| i64::from(fields.short(40 + 2 * axis))).collect(),
            datatype: fields.short(70),
            vox_offset: fields.floats::<1>(108)[0],
            scaling: fields.floats(112),
            pixdim: fields.floats(76),
            qform_code: i32::from(fields.short(252)),
            sform_code: i32::from(fields.short(254)),
            quaternion: fields.floats(256),
            offset: fields.floats(268),
            srow: [fields.floats(280), fields.floats(296), fields.floats(312)],
        })
    }

    fn second(path: &Path, bytes: &[u8]) -> Result<Header> {
        let of = |little_endian| Fields { bytes, little_endian };
        let little_endian = Header::is_little_endian(path, |order| of(order).long(16))?;
        let fields = of(little_endian);
        let num_axes = fields.long(16) as usize;
        Ok(Header {
            little_endian,
            is_pair: bytes[4..8] == *b"ni2\0",
            bytes: SECOND_BYTES as u64,
            dim: (1..=num_axes).map(|axis| fields.long(16 + 8 * axis)).collect(),
            datatype: fields.short(12),
            vox_offset: fields.long(168) as f64,
            scaling: fields.doubles(176),
            pixdim: fields.doubles(104),
            qform_code: fields.int(344),
            sform_code: fields.int(348),
            quaternion: fields.doubles(352),
            offset: fields.doubles(376),
            srow: [fields.doubles(400), fields.doubles(432), fields.doubles(464)],
        })
    }

    /// Voxel to RAS: sform, else qform, else spacing alone (nibabel's order).
    pub(crate) fn affine(&self, notes: &mut Vec<String>) -> Affine {
        if self.sform_code > 0 {
            return self.srow;
        }
        let mut spacing = [1, 2, 3].map(|axis| self.pixdim[axis].abs());
        if spacing.contains(&0.0) {
            notes.push("pixdim holds 0 mm, taken as 1 mm".to_string());
            spacing = spacing.map(|step| if step == 0.0 { 1.0 } else { step });
        }
        if self.qform_code > 0 {
            return self.quaternion_affine(spacing);
        }
        notes.push("neither sform nor qform: the patient's sides are not known, RAS is assumed".to_string());
        [[spacing[0], 0.0, 0.0, 0.0], [0.0, spacing[1], 0.0, 0.0], [0.0, 0.0, spacing[2], 0.0]]
    }

    /// nifti1.h, METHOD 2.
    fn quaternion_affine(&self, spacing: [f64; 3]) -> Affine {
        let [b, c, d] = self.quaternion;
        let a = (1.0 - (b * b + c * c + d * d)).max(0.0).sqrt();
        let rotation = [
            [a * a + b * b - c * c - d * d, 2.0 * (b * c - a * d), 2.0 * (b * d + a * c)],
            [2.0 * (b * c + a * d), a * a + c * c - b * b - d * d, 2.0 * (c * d - a * b)],
            [2.0 * (b * d - a * c), 2.0 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ];
        let handedness = if self.pixdim[0] < 0.0 { -1.0 } else { 1.0 };
        let step = [spacing[0], spacing[1], spacing[2] * handedness];
        [0, 1, 2].map(|row| {
            let [x, y, z] = rotation[row];
            [x * step[0], y * step[1], z * step[2], self.offset[row]]
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A NIfTI-2 header of 3 x 4 x 5 voxels, in one byte order.
    fn second(little_endian: bool) -> Vec<u8> {
        let mut bytes = vec![0; SECOND_BYTES];
        let mut put = |at: usize, field: &[u8]| {
            let mut field = field.to_vec();
            if !little_endian {
                field.reverse();
            }
            bytes[at..at + field.len()].copy_from_slice(&field);
        };
        put(0, &540i32.to_le_bytes());
        put(12, &512i16.to_le_bytes());
        for (index, size) in [3i64, 3, 4, 5].iter().enumerate() {
            put(16 + 8 * index, &size.to_le_bytes());
        }
        put(168, &544i64.to_le_bytes());
        put(176, &2.0f64.to_le_bytes());
        put(348, &1i32.to_le_bytes());
        for (row, value) in [1.5f64, 2.5, 3.5].iter().enumerate() {
            put(400 + 32 * row + 8 * row, &value.to_le_bytes());
        }
        bytes[4..12].copy_from_slice(b"n+2\0\r\n\x1a\n");
        bytes
    }

    #[test]
    fn second_kind_is_read_in_both_byte_orders() {
        for little_endian in [true, false] {
            let header = Header::read(Path::new("a.nii"), &mut second(little_endian).as_slice()).unwrap();
            assert_eq!((header.little_endian, header.dim.as_slice()), (little_endian, &[3, 4, 5][..]));
            assert_eq!((header.datatype, header.vox_offset, header.scaling), (512, 544.0, [2.0, 0.0]));
            let affine = header.affine(&mut Vec::new());
            assert_eq!([affine[0][0], affine[1][1], affine[2][2]], [1.5, 2.5, 3.5]);
        }
    }

    #[test]
    fn headers_that_end_too_early_are_refused() {
        let bytes = second(true);
        for end in 0..bytes.len() {
            assert!(Header::read(Path::new("a.nii"), &mut &bytes[..end]).is_err(), "{end}");
        }
    }
}
