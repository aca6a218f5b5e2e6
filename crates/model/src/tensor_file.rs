//! One safetensors file: opened with its header checked, read tensor by tensor, written tensor by tensor.

use crate::error::{Error, Result};
use burn::tensor::{bf16, f16};
use bytes::Bytes;
use memmap2::Mmap;
use safetensors::tensor::{Dtype, Metadata, SafeTensors, TensorInfo};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Largest header that is read, as in the safetensors library: 100 million bytes.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// Bytes converted before the pages they came from are handed back: what a mapped file adds to memory stays this small.
const PIECE_BYTES: usize = 4 << 20;

/// An open file whose header is sound: every tensor's bytes are there.
pub struct TensorFile {
    path: PathBuf,
    map: Arc<Mmap>,
    data_start: usize,
    metadata: Metadata,
}

/// A map that lives as long as a tensor reads from it.
struct Mapped(Arc<Mmap>);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Values of a tensor, and whether all of them are numbers.
pub struct Values<T> {
    /// In row-major order.
    pub values: Vec<T>,
    /// False when one is NaN or infinite.
    pub finite: bool,
}

impl TensorFile {
    /// Opens and maps a file.
    ///
    /// # Errors
    /// A missing file; a header that is too long, no JSON, or describes other bytes than the file holds.
    pub fn open(path: &Path) -> Result<TensorFile> {
        let io = |source| Error::Io { path: path.to_owned(), source };
        let damaged = |reason: String| Error::Damaged { path: path.to_owned(), reason };
        let mut file = File::open(path).map_err(io)?;
        let file_bytes = file.metadata().map_err(io)?.len();
        let mut length = [0; 8];
        if file_bytes < 8 {
            return Err(damaged(format!("{file_bytes} bytes, too few for a header")));
        }
        file.read_exact(&mut length).map_err(io)?;
        let header_bytes = u64::from_le_bytes(length);
        if header_bytes > MAX_HEADER_BYTES {
            return Err(damaged(format!("claims a header of {header_bytes} bytes, the limit is {MAX_HEADER_BYTES}")));
        }
        if header_bytes > file_bytes - 8 {
            return Err(damaged(format!("truncated: a header of {header_bytes} bytes in a file of {file_bytes}")));
        }
        // SAFETY: the map is only read; another process truncating the file meanwhile is the operator's fault.
        let map = unsafe { Mmap::map(&file) }.map_err(io)?;
        let (header, metadata) = SafeTensors::read_metadata(&map).map_err(|error| {
            use safetensors::SafeTensorError as Cause;
            damaged(match error {
                Cause::MetadataIncompleteBuffer => {
                    format!("truncated or overlong: its header describes another length than its {file_bytes} bytes")
                }
                other => other.to_string(),
            })
        })?;
        Ok(TensorFile { path: path.to_owned(), map: Arc::new(map), data_start: 8 + header, metadata })
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names in the order of their bytes.
    pub fn names(&self) -> Vec<String> {
        self.metadata.offset_keys()
    }

    /// Type and shape of a tensor.
    pub fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.metadata.info(name)
    }

    /// The bytes of a tensor as stored.
    pub fn bytes(&self, info: &TensorInfo) -> &[u8] {
        let (start, end) = info.data_offsets;
        &self.map[self.data_start + start..self.data_start + end]
    }

    /// The values of an f32 tensor where they lie in the file: memory is taken by what is touched, and shared between processes. `None`
    /// for other types, and where the file places them so that they cannot be read in place.
    pub fn mapped(&self, info: &TensorInfo) -> Option<Bytes> {
        let (start, end) = info.data_offsets;
        let in_place = cfg!(target_endian = "little")
            && info.dtype == Dtype::F32
            && start < end
            && self.bytes(info).as_ptr().cast::<f32>().is_aligned();
        in_place
            .then(|| Bytes::from_owner(Mapped(self.map.clone())).slice(self.data_start + start..self.data_start + end))
    }

    /// Whether all values of a tensor are numbers; `on_bytes` sees its bytes in order. Hands the pages back.
    ///
    /// # Errors
    /// A type that weights do not have.
    pub fn check(&self, name: &str, info: &TensorInfo, on_bytes: &mut dyn FnMut(&[u8])) -> Result<bool> {
        if info.dtype != Dtype::F32 {
            return Ok(self.values(name, info, |_| (), on_bytes)?.finite);
        }
        let mut finite = true;
        let mut position = info.data_offsets.0 + self.data_start;
        for piece in self.bytes(info).chunks(PIECE_BYTES) {
            on_bytes(piece);
            // Without an early end this is vector code: all exponent bits set is infinity or no number.
            let broken =
                piece.as_chunks::<4>().0.iter().filter(|b| u32::from_le_bytes(**b) >> 23 & 0xff == 0xff).count();
            finite &= broken == 0;
            self.release(position, piece.len());
            position += piece.len();
        }
        Ok(finite)
    }

    /// The values of a tensor, each widened to f32 and handed to `narrow`; `on_bytes` sees the stored bytes in order, in pieces.
    ///
    /// # Errors
    /// A type that weights do not have.
    pub fn values<T>(
        &self,
        name: &str,
        info: &TensorInfo,
        narrow: impl Fn(f32) -> T,
        on_bytes: &mut dyn FnMut(&[u8]),
    ) -> Result<Values<T>> {
        let width = info.dtype.bitsize() / 8;
        let mut out = Values { values: Vec::with_capacity(info.shape.iter().product()), finite: true };
        let mut push = |value: f32| {
            out.finite &= value.is_finite();
            out.values.push(narrow(value));
        };
        let pair = |bytes: &[u8]| u16::from_le_bytes([bytes[0], bytes[1]]);
        let mut position = info.data_offsets.0 + self.data_start;
        for piece in self.bytes(info).chunks(PIECE_BYTES) {
            on_bytes(piece);
            match info.dtype {
                Dtype::F32 => {
                    piece.chunks_exact(4).for_each(|b| push(f32::from_le_bytes([b[0], b[1], b[2], b[3]])));
                }
                Dtype::BF16 => piece.chunks_exact(2).for_each(|b| push(bf16::from_bits(pair(b)).to_f32())),
                Dtype::F16 => piece.chunks_exact(2).for_each(|b| push(f16::from_bits(pair(b)).to_f32())),
                Dtype::I64 => piece
                    .chunks_exact(8)
                    .for_each(|b| push(i64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]) as f32)),
                other => {
                    let reason = format!("{name} has type {other:?}; f32, f16 and bf16 are read");
                    return Err(Error::Damaged { path: self.path.clone(), reason });
                }
            }
            debug_assert!(piece.len() % width == 0, "pieces hold whole values");
            self.release(position, piece.len());
            position += piece.len();
        }
        Ok(out)
    }

    /// Hands pages back that have been read: they can be had again from the file.
    fn release(&self, start: usize, len: usize) {
        #[cfg(unix)]
        {
            const PAGE_BYTES: usize = 4096;
            let first = start / PAGE_BYTES * PAGE_BYTES;
            // The last page may hold the next tensor's first values; it goes with those.
            let end = (start + len) / PAGE_BYTES * PAGE_BYTES;
            if end > first {
                // SAFETY: the map is shared with the file and never written: dropped pages come back unchanged.
                // A kernel that refuses the advice costs memory, nothing else.
                unsafe {
                    self.map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, first, end - first).ok();
                }
            }
        }
        #[cfg(not(unix))]
        let _ = (start, len);
    }
}

/// A tensor by value, as it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnedTensor {
    /// Sizes along each dimension.
    pub shape: Vec<usize>,
    /// Values in row-major order.
    pub values: Vec<f32>,
}

impl safetensors::View for &OwnedTensor {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(to_bytes(&self.values, Dtype::F32))
    }
    fn data_len(&self) -> usize {
        self.values.len() * 4
    }
}

/// Writes named tensors into one safetensors file.
pub fn save_tensors(tensors: &BTreeMap<String, OwnedTensor>, path: &Path) -> Result<()> {
    write(tensors, path)
}

/// Writes anything that can be seen as named tensors; their bytes are asked for one after the other.
pub(crate) fn write<S, V>(tensors: impl IntoIterator<Item = (S, V)>, path: &Path) -> Result<()>
where
    S: AsRef<str> + Ord + std::fmt::Display,
    V: safetensors::View,
{
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]); // transformers refuses files without it
    let io = |source| Error::Io { path: path.to_owned(), source };
    // The library writes a private file aside and renames it; others may read weights as they may read any new file here.
    let permissions = match std::fs::metadata(path) {
        Ok(metadata) => metadata.permissions(),
        Err(_) => File::create(path).and_then(|file| file.metadata()).map_err(io)?.permissions(),
    };
    safetensors::serialize_to_file(tensors, Some(metadata), path).map_err(|error| match error {
        safetensors::SafeTensorError::IoError(source) => io(source),
        other => Error::Damaged { path: path.to_owned(), reason: other.to_string() },
    })?;
    std::fs::set_permissions(path, permissions).map_err(io)
}

/// Reads every tensor of a safetensors file as f32.
pub fn load_tensors(path: &Path) -> Result<BTreeMap<String, OwnedTensor>> {
    let file = TensorFile::open(path)?;
    let mut tensors = BTreeMap::new();
    for name in file.names() {
        let info = file.info(&name).expect("the name is from this file");
        let values = file.values(&name, info, |value| value, &mut |_| {})?.values;
        tensors.insert(name, OwnedTensor { shape: info.shape.clone(), values });
    }
    Ok(tensors)
}

/// Values as they are stored in `dtype`, which must be f32, f16 or bf16; rounded to nearest, ties to even.
pub(crate) fn to_bytes(values: &[f32], dtype: Dtype) -> Vec<u8> {
    match dtype {
        Dtype::BF16 => values.iter().flat_map(|value| bf16::from_f32(*value).to_bits().to_le_bytes()).collect(),
        Dtype::F16 => values.iter().flat_map(|value| f16::from_f32(*value).to_bits().to_le_bytes()).collect(),
        _ => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn refused(bytes: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.safetensors");
        std::fs::write(&path, bytes).unwrap();
        let message = TensorFile::open(&path).err().unwrap().to_string();
        assert!(message.contains("weights.safetensors"), "{message}");
        message
    }

    fn sound() -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.safetensors");
        let tensor = OwnedTensor { shape: vec![2, 3], values: vec![0.5; 6] };
        save_tensors(&BTreeMap::from([("t".to_owned(), tensor)]), &path).unwrap();
        std::fs::read(&path).unwrap()
    }

    #[test]
    fn damaged_files_are_refused_by_name() {
        let file = sound();
        assert!(refused(&file[..4]).contains("too few"));
        assert!(refused(&file[..20]).contains("truncated"));
        assert!(refused(&file[..file.len() - 1]).contains("truncated"));
        assert!(refused(&[&u64::MAX.to_le_bytes()[..], &file[8..]].concat()).contains("limit is 100000000"));
        assert!(refused(b"\x10\0\0\0\0\0\0\0this is no JSON!").contains("not a readable safetensors file"));
        let mut overlapping = file;
        let place = overlapping.windows(4).position(|four| four == b"24]}").unwrap();
        overlapping[place..place + 2].copy_from_slice(b"99");
        refused(&overlapping);
    }

    #[test]
    fn half_precision_keeps_its_bits_through_f32() {
        for bits in (0..=u16::MAX).step_by(7) {
            let (brain, half) = (bf16::from_bits(bits), f16::from_bits(bits));
            if brain.is_finite() {
                assert_eq!(to_bytes(&[brain.to_f32()], Dtype::BF16), bits.to_le_bytes());
            }
            if half.is_finite() {
                assert_eq!(to_bytes(&[half.to_f32()], Dtype::F16), bits.to_le_bytes());
            }
        }
    }
}
