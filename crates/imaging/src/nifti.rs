//! NIfTI-1 and NIfTI-2 volumes, plain or gzipped, in one file or as header and image, read as a stream that never outgrows what the header
//! was checked for.

use crate::error::{Error, Result};
use crate::grid::{GridImage, Input, MAX_DEFLATE_RATIO, Promise};
use crate::limits::Limits;
use crate::nifti_header::Header;
use crate::orient::Stored;
use crate::sniff::is_gzip;
use crate::voxels::{Channels, Encoding, VoxelType, read_voxels};
use flate2::read::MultiGzDecoder;
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

/// Header extensions between header and voxels: real ones stay below a MiB.
const MAX_EXTENSION_BYTES: u64 = 64 << 20;

/// Bytes of the uncompressed file.
#[derive(Clone, Copy)]
enum Available {
    Exactly(u64),
    AtMost(u64),
}

/// A file, gzipped or not, as a stream.
struct Source<'a> {
    stream: Box<dyn Read + 'a>,
    available: Available,
}

impl<'a> Source<'a> {
    fn open(path: &Path, input: Input<'a>, limits: &Limits) -> Result<Source<'a>> {
        let (mut bytes, length) = input.open(path, limits)?;
        let head = bytes.fill_buf().map_err(|source| Error::io(path, source))?;
        Ok(if is_gzip(head) {
            let most = length.saturating_mul(MAX_DEFLATE_RATIO).min(limits.max_file_bytes);
            Source { stream: Box::new(MultiGzDecoder::new(bytes)), available: Available::AtMost(most) }
        } else {
            Source { stream: Box::new(bytes), available: Available::Exactly(length) }
        })
    }
}

/// Reads the first volume of a NIfTI file in the order of the file.
pub(crate) fn read_stored(path: &Path, input: Input<'_>, limits: &Limits) -> Result<GridImage> {
    let mut source = Source::open(path, input, limits)?;
    let header = Header::read(path, &mut source.stream)?;
    let mut data_files = Vec::new();
    let (mut data, voxel_path, position) = if header.is_pair {
        let beside = input.beside(path)?;
        let image = image_beside(path)?;
        data_files.push(image.clone());
        (Source::open(&image, beside, limits)?, image, 0)
    } else {
        let position = header.bytes;
        (source, path.to_path_buf(), position)
    };
    let mut notes = Vec::new();
    let (dims, mut values) = read_values(&voxel_path, &mut data, position, &header, limits, &mut notes)?;
    rescale(&mut values, &header);
    let affine = header.affine(&mut notes);
    Ok(GridImage { stored: Stored { dims, affine, values }, notes, data_files })
}

/// What the header promises; an error where the bytes of the file cannot hold it.
pub(crate) fn promise(path: &Path, input: Input<'_>, limits: &Limits) -> Result<Promise> {
    let mut source = Source::open(path, input, limits)?;
    let header = Header::read(path, &mut source.stream)?;
    let voxels = if header.is_pair {
        encoding(path, &header)?;
        Shape::check(path, &header, limits)?.voxels
    } else {
        Plan::check(path, &header, header.bytes, source.available, limits)?.shape.voxels
    };
    Ok(Promise { voxels: voxels as u64, is_alone: !header.is_pair })
}

/// The file with the voxels of a two-file NIfTI: the same name with another ending.
fn image_beside(header: &Path) -> Result<PathBuf> {
    let stem = header.file_name().map(|name| name.to_string_lossy().to_string()).unwrap_or_default();
    let stem = stem.strip_suffix(".gz").unwrap_or(&stem);
    let stem = stem.strip_suffix(".hdr").unwrap_or(stem);
    let candidates = [format!("{stem}.img"), format!("{stem}.img.gz")];
    let found = candidates.iter().map(|name| header.with_file_name(name)).find(|path| path.is_file());
    found.ok_or_else(|| {
        Error::malformed(header, "magic", format!("says two files, but {} is not there", candidates.join(" or ")))
    })
}

/// What is known of the voxels before one of them is read.
struct Plan {
    shape: Shape,
    encoding: Encoding,
    offset: u64,
    needed: u64,
}

impl Plan {
    /// Compares what the header promises with the limits and with the bytes that are there.
    fn check(path: &Path, header: &Header, position: u64, available: Available, limits: &Limits) -> Result<Plan> {
        let shape = Shape::check(path, header, limits)?;
        let encoding = encoding(path, header)?;
        let offset = voxel_offset(path, header, position)?;
        let volume_bytes = shape.voxels as u64 * encoding.num_bytes() as u64;
        let needed = offset.saturating_add(volume_bytes.saturating_mul(shape.volumes));
        let plan = Plan { shape, encoding, offset, needed };
        let (most, exact) = match available {
            Available::Exactly(length) => (length, true),
            Available::AtMost(length) => (length, false),
        };
        if most < offset.saturating_add(volume_bytes) || (exact && most < needed) {
            return Err(plan.truncated(path, most));
        }
        if exact && most > needed {
            let reason = format!("the file has {} bytes more than dim and datatype give", most - needed);
            return Err(Error::malformed(path, "file size", reason));
        }
        Ok(plan)
    }

    fn truncated(&self, path: &Path, available: u64) -> Error {
        Error::Truncated { path: path.into(), field: "voxel data".into(), needed: self.needed, available }
    }
}

fn read_values(
    path: &Path,
    source: &mut Source<'_>,
    position: u64,
    header: &Header,
    limits: &Limits,
    notes: &mut Vec<String>,
) -> Result<([usize; 3], Vec<f32>)> {
    let plan = Plan::check(path, header, position, source.available, limits)?;
    let Plan { shape, encoding, offset, .. } = &plan;
    if encoding.channels.count() > 1 {
        notes.push("colour voxels, their luminance is used".to_string());
    }
    let stream = &mut source.stream;
    let skipped = std::io::copy(&mut stream.by_ref().take(offset - position), &mut std::io::sink());
    skipped.map_err(|error| Error::decode(path, error))?;
    let values = read_voxels(path, stream, shape.voxels, *encoding)
        .map_err(|error| error.unwrap_or_else(|| plan.truncated(path, *offset)))?;
    if shape.volumes == 1 && stream.read(&mut [0]).map_err(|error| Error::decode(path, error))? > 0 {
        return Err(Error::malformed(path, "file size", "more data follows the voxels that dim and datatype give"));
    }
    if shape.volumes > 1 {
        notes.push(format!("{} volumes in one file, the first is used", shape.volumes));
    }
    Ok((shape.dims, values))
}

struct Shape {
    dims: [usize; 3],
    voxels: usize,
    volumes: u64,
}

impl Shape {
    fn check(path: &Path, header: &Header, limits: &Limits) -> Result<Shape> {
        let sizes: Option<Vec<usize>> =
            header.dim.iter().map(|size| usize::try_from(*size).ok().filter(|size| *size > 0)).collect();
        let sizes =
            sizes.ok_or_else(|| Error::malformed(path, "dim", format!("sizes {:?} are not possible", header.dim)))?;
        let size = |axis: usize| sizes.get(axis).copied().unwrap_or(1);
        let dims = [size(0), size(1), size(2)];
        let volumes = sizes.iter().skip(3).map(|size| *size as u64).fold(1, u64::saturating_mul);
        Ok(Shape { dims, voxels: limits.check_voxels(path, dims)?, volumes })
    }
}

fn voxel_offset(path: &Path, header: &Header, position: u64) -> Result<u64> {
    let offset = header.vox_offset;
    if offset.fract() == 0.0 && offset >= position as f64 && offset <= MAX_EXTENSION_BYTES as f64 {
        Ok(offset as u64)
    } else {
        let reason = format!("{offset} is not between {position} and {MAX_EXTENSION_BYTES}");
        Err(Error::malformed(path, "vox_offset", reason))
    }
}

/// How the voxels are stored (NIFTI_TYPE codes).
fn encoding(path: &Path, header: &Header) -> Result<Encoding> {
    let one = Channels::First(1);
    let (voxel_type, channels) = match header.datatype {
        2 => (VoxelType::U8, one),
        256 => (VoxelType::I8, one),
        4 => (VoxelType::I16, one),
        512 => (VoxelType::U16, one),
        8 => (VoxelType::I32, one),
        768 => (VoxelType::U32, one),
        1024 => (VoxelType::I64, one),
        1280 => (VoxelType::U64, one),
        16 => (VoxelType::F32, one),
        64 => (VoxelType::F64, one),
        128 => (VoxelType::U8, Channels::Luminance(3)),
        2304 => (VoxelType::U8, Channels::Luminance(4)),
        other => {
            let value = match other {
                32 | 1792 | 2048 => format!("{other} (complex)"),
                1 => "1 (bits)".to_string(),
                1536 => "1536 (128-bit float)".to_string(),
                other => other.to_string(),
            };
            let remedy = "convert it to whole or floating-point grey values";
            return Err(Error::Unsupported { path: path.into(), field: "datatype", value, remedy });
        }
    };
    Ok(Encoding { voxel_type, little_endian: header.little_endian, channels })
}

/// nifti1.h: "if scl_slope is nonzero, then y = scl_slope * x + scl_inter", not for colour; 0 means that values stand as they are.
fn rescale(values: &mut [f32], header: &Header) {
    let [slope, intercept] = header.scaling;
    let is_colour = matches!(header.datatype, 128 | 2304);
    let is_plain = slope == 1.0 && intercept == 0.0;
    if slope == 0.0 || !slope.is_finite() || !intercept.is_finite() || is_plain || is_colour {
        return;
    }
    for value in values {
        *value = (f64::from(*value) * slope + intercept) as f32;
    }
}
