//! Voxels of NIfTI, NRRD and MetaImage files: number formats, and reading them as a stream that never outgrows what the header was checked
//! for.

use crate::error::Error;
use std::io::Read;
use std::path::Path;

/// Voxels converted at a time.
const CHUNK_VOXELS: usize = 1 << 16;

/// Number format of a voxel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VoxelType {
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
    pub(crate) fn num_bytes(self) -> usize {
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

/// What becomes of several numbers a voxel, which lie side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channels {
    /// The first of so many is used.
    First(usize),
    /// Red, green, blue (and what follows): their luminance.
    Luminance(usize),
}

impl Channels {
    pub(crate) fn count(self) -> usize {
        match self {
            Channels::First(count) | Channels::Luminance(count) => count,
        }
    }

    fn value(self, numbers: &[f32]) -> f32 {
        match (self, numbers) {
            // ITU-R BT.601.
            (Channels::Luminance(_), [red, green, blue, ..]) => 0.299 * red + 0.587 * green + 0.114 * blue,
            _ => numbers[0],
        }
    }
}

/// How the voxels of one file are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Encoding {
    pub(crate) voxel_type: VoxelType,
    pub(crate) little_endian: bool,
    pub(crate) channels: Channels,
}

impl Encoding {
    /// Bytes of one voxel.
    pub(crate) fn num_bytes(self) -> usize {
        self.voxel_type.num_bytes() * self.channels.count()
    }
}

/// Reads voxels chunk by chunk; memory grows with what arrives, not with what the header claims. `Err(None)` when the stream ends early.
pub(crate) fn read_voxels(
    path: &Path,
    source: &mut impl Read,
    count: usize,
    encoding: Encoding,
) -> Result<Vec<f32>, Option<Error>> {
    let (width, channels) = (encoding.voxel_type.num_bytes(), encoding.channels.count());
    let chunk_voxels = (CHUNK_VOXELS / channels).max(1);
    let mut values = Vec::with_capacity(count.min(chunk_voxels));
    let mut numbers = Vec::new();
    let mut bytes = vec![0; count.min(chunk_voxels) * encoding.num_bytes()];
    while values.len() < count {
        let chunk = &mut bytes[..(count - values.len()).min(chunk_voxels) * encoding.num_bytes()];
        source.read_exact(chunk).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => None,
            _ => Some(Error::decode(path, error)),
        })?;
        if !encoding.little_endian {
            chunk.chunks_exact_mut(width).for_each(<[u8]>::reverse);
        }
        if encoding.channels == Channels::First(1) {
            encoding.voxel_type.convert(chunk, &mut values);
        } else {
            numbers.clear();
            encoding.voxel_type.convert(chunk, &mut numbers);
            values.extend(numbers.chunks_exact(channels).map(|numbers| encoding.channels.value(numbers)));
        }
    }
    Ok(values)
}

/// Numbers written out as text, for formats that allow it.
pub(crate) fn read_text(text: &str, count: usize, channels: Channels) -> Option<Vec<f32>> {
    let is_between = |c: char| c.is_ascii_whitespace() || c == ',';
    let parsed = text.split(is_between).filter(|word| !word.is_empty()).map(|word| word.parse::<f32>().ok());
    let numbers: Vec<f32> = parsed.take(count.checked_mul(channels.count())?).collect::<Option<_>>()?;
    let values: Vec<f32> = numbers.chunks_exact(channels.count()).map(|numbers| channels.value(numbers)).collect();
    (values.len() == count).then_some(values)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_picked_or_mixed() {
        let encoding = |channels| Encoding { voxel_type: VoxelType::U16, little_endian: false, channels };
        let bytes = [0, 1, 0, 2, 0, 3, 1, 0, 0, 9, 0, 9];
        let read = |channels, count| read_voxels(Path::new("a"), &mut &bytes[..], count, encoding(channels));
        assert_eq!(read(Channels::First(3), 2).unwrap(), [1.0, 256.0]);
        assert_eq!(read(Channels::First(1), 6).unwrap(), [1.0, 2.0, 3.0, 256.0, 9.0, 9.0]);
        assert!((read(Channels::Luminance(3), 1).unwrap()[0] - 1.815).abs() < 1e-5);
        assert!(read(Channels::First(3), 3).is_err_and(|error| error.is_none()));
        assert_eq!(read_text("1 2\n3,4", 2, Channels::First(2)), Some(vec![1.0, 3.0]));
        assert_eq!(read_text("1 2 x", 3, Channels::First(1)), None);
    }
}
