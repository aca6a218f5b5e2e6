//! NIfTI-1 files. The header is laid out by hand (nifti1.h), so that a reader is not tested against its own library.

use crate::error::{Error, Result, write_file};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::path::Path;

/// Voxels in one of the number formats that real files use; first axis fastest.
#[derive(Debug, Clone)]
pub enum NiftiVoxels {
    /// Unsigned bytes: label maps.
    U8(Vec<u8>),
    /// 16-bit integers: most scans.
    I16(Vec<i16>),
    /// Floating point.
    F32(Vec<f32>),
}

impl NiftiVoxels {
    fn len(&self) -> usize {
        match self {
            NiftiVoxels::U8(values) => values.len(),
            NiftiVoxels::I16(values) => values.len(),
            NiftiVoxels::F32(values) => values.len(),
        }
    }

    /// NIFTI_TYPE code and bits a voxel.
    fn format(&self) -> [i16; 2] {
        match self {
            NiftiVoxels::U8(_) => [2, 8],
            NiftiVoxels::I16(_) => [4, 16],
            NiftiVoxels::F32(_) => [16, 32],
        }
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            NiftiVoxels::U8(values) => values.clone(),
            NiftiVoxels::I16(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            NiftiVoxels::F32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        }
    }
}

/// What a NIfTI file holds.
#[derive(Debug, Clone)]
pub struct NiftiImage {
    /// Voxels along each axis.
    pub dims: [usize; 3],
    /// Voxel index to millimetres in RAS (written as sform).
    pub affine: [[f32; 4]; 3],
    /// The voxels; a multiple of the product of `dims` writes a fourth axis.
    pub voxels: NiftiVoxels,
    /// Factor of the stored values; 0 means that they are not scaled.
    pub slope: f32,
    /// Added after the factor.
    pub intercept: f32,
}

impl NiftiImage {
    /// An unscaled image with 1 mm voxels in RAS order.
    pub fn new(dims: [usize; 3], voxels: NiftiVoxels) -> NiftiImage {
        let affine = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]];
        NiftiImage { dims, affine, voxels, slope: 0.0, intercept: 0.0 }
    }
}

/// The bytes of an uncompressed `.nii` file.
pub fn nifti_bytes(path: &Path, image: &NiftiImage) -> Result<Vec<u8>> {
    let count: usize = image.dims.iter().product();
    let fits = count > 0 && image.voxels.len() > 0 && image.voxels.len().is_multiple_of(count);
    if !fits || image.dims.iter().any(|size| *size > i16::MAX as usize) {
        return Err(Error::encode(path, format!("{} voxels for dims {:?}", image.voxels.len(), image.dims)));
    }
    let volumes = image.voxels.len() / count;
    let mut header = [0u8; 352];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &348i32.to_le_bytes());
    let axes = if volumes > 1 { 4 } else { 3 };
    let dim = [axes, image.dims[0], image.dims[1], image.dims[2], volumes, 1, 1, 1];
    for (index, size) in dim.iter().enumerate() {
        put(40 + 2 * index, &(*size as i16).to_le_bytes());
    }
    let [datatype, bits] = image.voxels.format();
    put(70, &datatype.to_le_bytes());
    put(72, &bits.to_le_bytes());
    put(76, &1f32.to_le_bytes());
    for axis in 0..3 {
        let step = image.affine.iter().map(|row| row[axis].powi(2)).sum::<f32>().sqrt();
        put(80 + 4 * axis, &step.to_le_bytes());
    }
    put(108, &352f32.to_le_bytes());
    put(112, &image.slope.to_le_bytes());
    put(116, &image.intercept.to_le_bytes());
    put(123, &[2]); // Millimetres.
    put(254, &1i16.to_le_bytes()); // sform: scanner coordinates.
    for (index, value) in image.affine.iter().flatten().enumerate() {
        put(280 + 4 * index, &value.to_le_bytes());
    }
    put(344, b"n+1\0");
    Ok([&header[..], &image.voxels.bytes()].concat())
}

/// Writes a NIfTI file, gzipped when the name ends with `.gz`.
pub fn write_nifti(path: &Path, image: &NiftiImage) -> Result<()> {
    let bytes = nifti_bytes(path, image)?;
    if path.extension().is_none_or(|ending| ending != "gz") {
        return write_file(path, &bytes);
    }
    write_file(path, &gzip(&bytes))
}

/// Gzipped bytes; the header carries no time, so equal input gives equal output.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("writing to memory does not fail")
}
