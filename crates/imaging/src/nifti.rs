//! NIfTI-1 volumes, plain or gzipped, read as a stream that never outgrows what the header was checked for.
//!
//! Header fields and orientation: nifti1.h, "3D IMAGE (VOLUME) ORIENTATION AND LOCATION IN SPACE". The header is parsed by
//! the nifti crate; voxels are read here, because the crate inflates whole files into memory.

use crate::digest::sha256_file;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::orient::{self, Affine, Stored};
use crate::sniff::{FileKind, is_gzip};
use crate::volume::Volume;
use crate::{Content, Scan};
use flate2::read::MultiGzDecoder;
use nifti::{Endianness, NiftiHeader};
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

/// Bytes of a NIfTI-1 header.
const HEADER_BYTES: u64 = 348;
/// Header extensions between header and voxels: real ones stay below a MiB.
const MAX_EXTENSION_BYTES: u64 = 64 << 20;
/// Deflate cannot shrink data further than this factor (zlib, "maximum compression factor").
const MAX_DEFLATE_RATIO: u64 = 1032;
/// Voxels converted at a time.
const CHUNK_VOXELS: usize = 1 << 16;

/// Voxels as stored, rescaled, with what was noticed on the way.
pub(crate) struct NiftiImage {
    pub(crate) stored: Stored<f32>,
    pub(crate) notes: Vec<String>,
}

/// Reads a NIfTI file as a volume in patient orientation.
pub(crate) fn read(path: &Path, limits: &Limits) -> Result<Scan> {
    let image = read_stored(path, limits)?;
    let volume = Volume::from_ras(orient::to_ras(path, image.stored)?);
    Ok(Scan {
        kind: FileKind::Nifti,
        content: Content::Volume(volume),
        modality: None,
        patient: None,
        study: None,
        series: None,
        sha256: sha256_file(path)?,
        window: None,
        notes: image.notes,
    })
}

/// Reads the first volume of a NIfTI file in the order of the file.
pub(crate) fn read_stored(path: &Path, limits: &Limits) -> Result<NiftiImage> {
    let length = limits.check_file(path)?;
    let mut file = File::open(path).map_err(|source| Error::io(path, source))?;
    let mut magic = [0; 2];
    let compressed = file.read_exact(&mut magic).is_ok() && is_gzip(&magic);
    file.rewind().map_err(|source| Error::io(path, source))?;
    let buffered = BufReader::with_capacity(1 << 16, file);
    if compressed {
        let available = length.saturating_mul(MAX_DEFLATE_RATIO).min(limits.max_file_bytes);
        read_from(path, MultiGzDecoder::new(buffered), limits, Available::AtMost(available))
    } else {
        read_from(path, buffered, limits, Available::Exactly(length))
    }
}

/// Bytes of the uncompressed file.
#[derive(Clone, Copy)]
enum Available {
    Exactly(u64),
    AtMost(u64),
}

fn read_from(path: &Path, mut source: impl Read, limits: &Limits, available: Available) -> Result<NiftiImage> {
    let header = read_header(path, &mut source)?;
    let shape = Shape::check(path, &header, limits)?;
    let little_endian = header.endianness == Endianness::Little;
    let encoding = Encoding { voxel_type: VoxelType::of(path, header.datatype)?, little_endian };
    let offset = voxel_offset(path, &header)?;
    let volume_bytes = shape.voxels as u64 * encoding.voxel_type.num_bytes() as u64;
    let needed = offset.saturating_add(volume_bytes.saturating_mul(shape.volumes));
    let (most, exact) = match available {
        Available::Exactly(length) => (length, true),
        Available::AtMost(length) => (length, false),
    };
    let truncated = |available| Error::Truncated { path: path.into(), field: "voxel data".into(), needed, available };
    if most < offset.saturating_add(volume_bytes) || (exact && most < needed) {
        return Err(truncated(most));
    }
    if exact && most > needed {
        let reason = format!("the file has {} bytes more than dim and datatype give", most - needed);
        return Err(Error::malformed(path, "file size", reason));
    }
    let skipped = std::io::copy(&mut source.by_ref().take(offset - HEADER_BYTES), &mut std::io::sink());
    skipped.map_err(|error| Error::decode(path, error))?;
    let mut values = read_voxels(path, &mut source, shape.voxels, encoding)
        .map_err(|error| error.unwrap_or_else(|| truncated(offset)))?;
    if shape.volumes == 1 && source.read(&mut [0]).map_err(|error| Error::decode(path, error))? > 0 {
        return Err(Error::malformed(path, "file size", "more data follows the voxels that dim and datatype give"));
    }
    rescale(&mut values, &header);
    let mut notes = Vec::new();
    if shape.volumes > 1 {
        notes.push(format!("{} volumes in one file, the first is used", shape.volumes));
    }
    let affine = affine(&header, &mut notes);
    Ok(NiftiImage { stored: Stored { dims: shape.dims, affine, values }, notes })
}

fn read_header(path: &Path, source: &mut impl Read) -> Result<NiftiHeader> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES as usize);
    source.take(HEADER_BYTES).read_to_end(&mut bytes).map_err(|error| Error::decode(path, error))?;
    if matches!(bytes.get(4..8), Some(b"n+2\0" | b"ni2\0")) {
        let remedy = "convert it to NIfTI-1 (nibabel, fslchfiletype)";
        return Err(Error::Unsupported { path: path.into(), field: "magic", value: "NIfTI-2".into(), remedy });
    }
    if bytes.len() < HEADER_BYTES as usize {
        let (field, available) = ("header".to_string(), bytes.len() as u64);
        return Err(Error::Truncated { path: path.into(), field, needed: HEADER_BYTES, available });
    }
    if &bytes[344..348] == b"ni1\0" {
        let remedy = "convert it to a single .nii file";
        return Err(Error::Unsupported { path: path.into(), field: "magic", value: "two-file NIfTI".into(), remedy });
    }
    let header = NiftiHeader::from_reader(bytes.as_slice());
    header.map_err(|error| Error::malformed(path, "NIfTI header", error.to_string()))
}

struct Shape {
    dims: [usize; 3],
    voxels: usize,
    volumes: u64,
}

impl Shape {
    fn check(path: &Path, header: &NiftiHeader, limits: &Limits) -> Result<Shape> {
        let dim = header.dim().map_err(|error| Error::malformed(path, "dim", error.to_string()))?;
        let size = |axis: usize| dim.get(axis).copied().map_or(1, usize::from);
        let dims = [size(0), size(1), size(2)];
        // dim is signed in the standard; the crate reads it unsigned, so that -1 arrives as 65535.
        if let Some(axis) = (0..dim.len()).find(|axis| size(*axis) > i16::MAX as usize) {
            return Err(Error::malformed(
                path,
                "dim",
                format!("size {} of axis {axis} is out of range", dim[axis] as i16),
            ));
        }
        let volumes = dim.iter().skip(3).map(|size| u64::from(*size)).fold(1, u64::saturating_mul);
        Ok(Shape { dims, voxels: limits.check_voxels(path, dims)?, volumes })
    }
}

fn voxel_offset(path: &Path, header: &NiftiHeader) -> Result<u64> {
    let offset = header.vox_offset;
    if offset.fract() == 0.0 && offset >= HEADER_BYTES as f32 && offset <= MAX_EXTENSION_BYTES as f32 {
        Ok(offset as u64)
    } else {
        Err(Error::malformed(
            path,
            "vox_offset",
            format!("{offset} is not between {HEADER_BYTES} and {MAX_EXTENSION_BYTES}"),
        ))
    }
}

/// How the voxels of one file are stored.
#[derive(Clone, Copy)]
struct Encoding {
    voxel_type: VoxelType,
    little_endian: bool,
}

/// Number format of a voxel (NIFTI_TYPE codes).
#[derive(Clone, Copy)]
enum VoxelType {
    U8,
    I8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    F32,
    F64,
}

impl VoxelType {
    fn of(path: &Path, code: i16) -> Result<VoxelType> {
        Ok(match code {
            2 => VoxelType::U8,
            256 => VoxelType::I8,
            4 => VoxelType::I16,
            512 => VoxelType::U16,
            8 => VoxelType::I32,
            768 => VoxelType::U32,
            1024 => VoxelType::I64,
            1280 => VoxelType::U64,
            16 => VoxelType::F32,
            64 => VoxelType::F64,
            other => {
                let value = match other {
                    128 => "128 (RGB)".to_string(),
                    32 | 1792 | 2048 => format!("{other} (complex)"),
                    other => other.to_string(),
                };
                let remedy = "convert it to whole or floating-point grey values";
                return Err(Error::Unsupported { path: path.into(), field: "datatype", value, remedy });
            }
        })
    }

    fn num_bytes(self) -> usize {
        match self {
            VoxelType::U8 | VoxelType::I8 => 1,
            VoxelType::I16 | VoxelType::U16 => 2,
            VoxelType::I32 | VoxelType::U32 | VoxelType::F32 => 4,
            VoxelType::I64 | VoxelType::U64 | VoxelType::F64 => 8,
        }
    }

    /// Bytes in little-endian order to values.
    fn convert(self, bytes: &[u8], values: &mut Vec<f32>) {
        match self {
            VoxelType::U8 => values.extend(bytes.iter().map(|byte| f32::from(*byte))),
            VoxelType::I8 => values.extend(bytes.iter().map(|byte| f32::from(*byte as i8))),
            VoxelType::I16 => extend(values, bytes, |bytes| f32::from(i16::from_le_bytes(bytes))),
            VoxelType::U16 => extend(values, bytes, |bytes| f32::from(u16::from_le_bytes(bytes))),
            VoxelType::I32 => extend(values, bytes, |bytes| i32::from_le_bytes(bytes) as f32),
            VoxelType::U32 => extend(values, bytes, |bytes| u32::from_le_bytes(bytes) as f32),
            VoxelType::I64 => extend(values, bytes, |bytes| i64::from_le_bytes(bytes) as f32),
            VoxelType::U64 => extend(values, bytes, |bytes| u64::from_le_bytes(bytes) as f32),
            VoxelType::F32 => extend(values, bytes, f32::from_le_bytes),
            VoxelType::F64 => extend(values, bytes, |bytes| f64::from_le_bytes(bytes) as f32),
        }
    }
}

fn extend<const N: usize>(values: &mut Vec<f32>, bytes: &[u8], convert: impl Fn([u8; N]) -> f32) {
    let (voxels, _) = bytes.as_chunks::<N>();
    values.extend(voxels.iter().map(|voxel| convert(*voxel)));
}

/// Reads voxels chunk by chunk; memory grows with what arrives, not with what the header claims. `Err(None)` when the
/// stream ends early.
fn read_voxels(
    path: &Path,
    source: &mut impl Read,
    count: usize,
    encoding: Encoding,
) -> std::result::Result<Vec<f32>, Option<Error>> {
    let width = encoding.voxel_type.num_bytes();
    let mut values = Vec::with_capacity(count.min(CHUNK_VOXELS));
    let mut bytes = vec![0; count.min(CHUNK_VOXELS) * width];
    while values.len() < count {
        let chunk = &mut bytes[..(count - values.len()).min(CHUNK_VOXELS) * width];
        source.read_exact(chunk).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => None,
            _ => Some(Error::decode(path, error)),
        })?;
        if !encoding.little_endian {
            chunk.chunks_exact_mut(width).for_each(<[u8]>::reverse);
        }
        encoding.voxel_type.convert(chunk, &mut values);
    }
    Ok(values)
}

/// nifti1.h: "if scl_slope is nonzero, then y = scl_slope * x + scl_inter"; 0 means that values stand as they are.
fn rescale(values: &mut [f32], header: &NiftiHeader) {
    let (slope, intercept) = (f64::from(header.scl_slope), f64::from(header.scl_inter));
    if slope == 0.0 || !slope.is_finite() || !intercept.is_finite() || (slope == 1.0 && intercept == 0.0) {
        return;
    }
    for value in values {
        *value = (f64::from(*value) * slope + intercept) as f32;
    }
}

/// Voxel to RAS: sform, else qform, else spacing alone (nibabel's order).
fn affine(header: &NiftiHeader, notes: &mut Vec<String>) -> Affine {
    if header.sform_code > 0 {
        let rows = [header.srow_x, header.srow_y, header.srow_z];
        return rows.map(|row| row.map(f64::from));
    }
    let mut spacing = [1, 2, 3].map(|axis| f64::from(header.pixdim[axis].abs()));
    if spacing.contains(&0.0) {
        notes.push("pixdim holds 0 mm, taken as 1 mm".to_string());
        spacing = spacing.map(|step| if step == 0.0 { 1.0 } else { step });
    }
    if header.qform_code > 0 {
        return quaternion_affine(header, spacing);
    }
    notes.push("neither sform nor qform: the patient's sides are not known, RAS is assumed".to_string());
    [[spacing[0], 0.0, 0.0, 0.0], [0.0, spacing[1], 0.0, 0.0], [0.0, 0.0, spacing[2], 0.0]]
}

/// nifti1.h, METHOD 2.
fn quaternion_affine(header: &NiftiHeader, spacing: [f64; 3]) -> Affine {
    let [b, c, d] = [header.quatern_b, header.quatern_c, header.quatern_d].map(f64::from);
    let a = (1.0 - (b * b + c * c + d * d)).max(0.0).sqrt();
    let rotation = [
        [a * a + b * b - c * c - d * d, 2.0 * (b * c - a * d), 2.0 * (b * d + a * c)],
        [2.0 * (b * c + a * d), a * a + c * c - b * b - d * d, 2.0 * (c * d - a * b)],
        [2.0 * (b * d - a * c), 2.0 * (c * d + a * b), a * a + d * d - b * b - c * c],
    ];
    let handedness = if header.pixdim[0] < 0.0 { -1.0 } else { 1.0 };
    let step = [spacing[0], spacing[1], spacing[2] * handedness];
    let origin = [header.quatern_x, header.quatern_y, header.quatern_z].map(f64::from);
    [0, 1, 2]
        .map(|row| [rotation[row][0] * step[0], rotation[row][1] * step[1], rotation[row][2] * step[2], origin[row]])
}
