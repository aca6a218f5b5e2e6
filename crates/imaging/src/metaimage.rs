//! MetaImage volumes (.mha, .mhd; itk.org, "MetaIO"): a header of `Key = Value` lines, voxels behind it or in a file beside it.

use crate::error::{Error, Result};
use crate::grid::{GridImage, Input, MAX_DEFLATE_RATIO, Promise, affine_from_lps, check_room, sibling};
use crate::limits::Limits;
use crate::orient::Stored;
use crate::voxels::{Channels, Encoding, VoxelType, read_text, read_voxels};
use flate2::read::ZlibDecoder;
use std::collections::BTreeMap;
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

/// No header is longer.
const MAX_HEADER_BYTES: u64 = 1 << 20;
/// The line after which voxels come.
const LAST_KEY: &str = "ElementDataFile";

/// Reads the first volume of a MetaImage file in the order of the file.
pub(crate) fn read_stored(path: &Path, input: Input<'_>, limits: &Limits) -> Result<GridImage> {
    let (mut reader, _) = input.open(path, limits)?;
    let header = Header::read(path, &mut reader)?;
    let mut notes = Vec::new();
    let layout = header.layout(limits, &mut notes)?;
    let mut data_files = Vec::new();
    let name = header.needed(LAST_KEY)?;
    let values = if is_local(name) {
        header.values(path, reader, &layout, limits)?
    } else if name.starts_with("LIST") || name.contains('%') {
        let (value, remedy) = ("of several files".to_string(), "save it as one .mha file");
        return Err(Error::Unsupported { path: path.into(), field: LAST_KEY, value, remedy });
    } else {
        let beside = sibling(path, LAST_KEY, name)?;
        let (data, _) = input.beside(path)?.open(&beside, limits)?;
        data_files.push(beside.clone());
        header.values(&beside, data, &layout, limits)?
    };
    let affine = header.affine(layout.num_axes)?;
    Ok(GridImage { stored: Stored { dims: layout.dims, affine, values }, notes, data_files })
}

/// What the header promises; an error where the bytes of the file cannot hold it.
pub(crate) fn promise(path: &Path, input: Input<'_>, limits: &Limits) -> Result<Promise> {
    let (mut reader, length) = input.open(path, limits)?;
    let header = Header::read(path, &mut reader)?;
    let layout = header.layout(limits, &mut Vec::new())?;
    let is_alone = is_local(header.needed(LAST_KEY)?);
    if is_alone && !header.is_text() {
        let ratio = if header.is_true(&["CompressedData"]) { MAX_DEFLATE_RATIO } else { 1 };
        check_room(path, length, layout.voxels as u64 * layout.encoding.num_bytes() as u64, ratio)?;
    }
    Ok(Promise { voxels: layout.voxels as u64, is_alone })
}

/// Whether the voxels follow the header.
fn is_local(data_file: &str) -> bool {
    matches!(data_file, "LOCAL" | "Local" | "local")
}

struct Header {
    path: PathBuf,
    fields: BTreeMap<String, String>,
}

struct Layout {
    /// Axes in the header, of which three at most are space.
    num_axes: usize,
    dims: [usize; 3],
    voxels: usize,
    encoding: Encoding,
}

impl Header {
    fn read(path: &Path, reader: &mut impl BufRead) -> Result<Header> {
        let mut head = reader.take(MAX_HEADER_BYTES);
        let mut fields = BTreeMap::new();
        let mut line = Vec::new();
        while !fields.contains_key(LAST_KEY) {
            line.clear();
            let length = head.read_until(b'\n', &mut line).map_err(|source| Error::io(path, source))?;
            if length == 0 {
                return Err(Error::malformed(path, LAST_KEY, "is missing: the header has no end"));
            }
            let text = String::from_utf8_lossy(&line);
            if let Some((key, value)) = text.split_once('=') {
                fields.insert(key.trim().to_string(), value.trim().to_string());
            }
        }
        Ok(Header { path: path.into(), fields })
    }

    fn field(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.fields.get(*name)).map(String::as_str)
    }

    fn needed(&self, name: &'static str) -> Result<&str> {
        self.field(&[name]).ok_or_else(|| Error::malformed(&self.path, name, "is missing"))
    }

    /// Numbers of a field; `None` when it is absent.
    fn numbers(&self, names: &[&'static str]) -> Result<Option<Vec<f64>>> {
        let Some(text) = self.field(names) else { return Ok(None) };
        let numbers: Option<Vec<f64>> =
            text.split_whitespace().map(|word| word.parse::<f64>().ok().filter(|number| number.is_finite())).collect();
        let numbers = numbers.ok_or_else(|| Error::malformed(&self.path, names[0], "holds what is not a number"))?;
        Ok(Some(numbers))
    }

    fn is_true(&self, names: &[&str]) -> bool {
        self.field(names).is_some_and(|value| value.eq_ignore_ascii_case("true") || value == "1")
    }

    fn is_text(&self) -> bool {
        self.field(&["BinaryData"]).is_some_and(|value| value.eq_ignore_ascii_case("false"))
    }

    fn layout(&self, limits: &Limits, notes: &mut Vec<String>) -> Result<Layout> {
        let path = &self.path;
        let sizes: Option<Vec<usize>> =
            self.needed("DimSize")?.split_whitespace().map(|size| size.parse().ok().filter(|size| *size > 0)).collect();
        let sizes = sizes
            .filter(|sizes| (1..=10).contains(&sizes.len()))
            .ok_or_else(|| Error::malformed(path, "DimSize", "is not possible"))?;
        if self.needed("NDims")?.parse() != Ok(sizes.len()) {
            return Err(Error::malformed(path, "NDims", "is not the number of sizes in DimSize"));
        }
        let size = |axis: usize| sizes.get(axis).copied().unwrap_or(1);
        let dims = [size(0), size(1), size(2)];
        let volumes = sizes.iter().skip(3).fold(1usize, |product, size| product.saturating_mul(*size));
        if volumes > 1 {
            notes.push(format!("{volumes} volumes in one file, the first is used"));
        }
        let channels: usize = self
            .field(&["ElementNumberOfChannels"])
            .map_or(Ok(1), str::parse)
            .ok()
            .filter(|channels| (1..=4096).contains(channels))
            .ok_or_else(|| Error::malformed(path, "ElementNumberOfChannels", "is not possible"))?;
        if channels > 1 {
            notes.push(format!("{channels} numbers a voxel, the first is used"));
        }
        let voxels = limits.check_voxels(path, dims)?;
        let encoding = self.encoding(Channels::First(channels))?;
        Ok(Layout { num_axes: sizes.len(), dims, voxels, encoding })
    }

    fn encoding(&self, channels: Channels) -> Result<Encoding> {
        let name = self.needed("ElementType")?;
        let voxel_type = match name.trim_end_matches("_ARRAY") {
            "MET_CHAR" => VoxelType::I8,
            "MET_UCHAR" => VoxelType::U8,
            "MET_SHORT" => VoxelType::I16,
            "MET_USHORT" => VoxelType::U16,
            "MET_INT" | "MET_LONG" => VoxelType::I32,
            "MET_UINT" | "MET_ULONG" => VoxelType::U32,
            "MET_LONG_LONG" => VoxelType::I64,
            "MET_ULONG_LONG" => VoxelType::U64,
            "MET_FLOAT" => VoxelType::F32,
            "MET_DOUBLE" => VoxelType::F64,
            other => {
                let (path, value) = (self.path.clone(), other.to_string());
                let remedy = "save it with whole or floating-point voxels";
                return Err(Error::Unsupported { path, field: "ElementType", value, remedy });
            }
        };
        let little_endian = !self.is_true(&["BinaryDataByteOrderMSB", "ElementByteOrderMSB"]);
        Ok(Encoding { voxel_type, little_endian, channels })
    }

    fn values(
        &self,
        path: &Path,
        mut reader: Box<dyn BufRead + '_>,
        layout: &Layout,
        limits: &Limits,
    ) -> Result<Vec<f32>> {
        let needed = layout.voxels as u64 * layout.encoding.num_bytes() as u64;
        let truncated = || Error::Truncated { path: path.into(), field: "voxels".into(), needed, available: 0 };
        if self.is_text() {
            let mut text = String::new();
            let read = reader.take(limits.max_file_bytes).read_to_string(&mut text);
            read.map_err(|error| Error::decode(path, error))?;
            return read_text(&text, layout.voxels, layout.encoding.channels).ok_or_else(truncated);
        }
        let skip: i64 = self.field(&["HeaderSize"]).unwrap_or("0").parse().unwrap_or(-2);
        if skip < 0 {
            let (path, value) = (self.path.clone(), "counted from the end".to_string());
            return Err(Error::Unsupported { path, field: "HeaderSize", value, remedy: "save it as one .mha file" });
        }
        let skipped = std::io::copy(&mut reader.by_ref().take(skip as u64), &mut std::io::sink());
        if skipped.map_err(|error| Error::decode(path, error))? < skip as u64 {
            return Err(truncated());
        }
        let mut stream: Box<dyn Read + '_> =
            if self.is_true(&["CompressedData"]) { Box::new(ZlibDecoder::new(reader)) } else { Box::new(reader) };
        read_voxels(path, &mut stream, layout.voxels, layout.encoding).map_err(|error| error.unwrap_or_else(truncated))
    }

    /// Steps and origin, in LPS, to RAS.
    fn affine(&self, num_axes: usize) -> Result<crate::orient::Affine> {
        let count = num_axes.min(3);
        let fits = |numbers: &Option<Vec<f64>>, expected: usize| numbers.as_ref().is_none_or(|n| n.len() == expected);
        let spacing = self.numbers(&["ElementSpacing", "ElementSize"])?;
        let matrix = self.numbers(&["TransformMatrix", "Rotation", "Orientation"])?;
        let origin = self.numbers(&["Offset", "Position", "Origin"])?;
        for (name, fits) in [
            ("ElementSpacing", fits(&spacing, num_axes)),
            ("TransformMatrix", fits(&matrix, num_axes * num_axes)),
            ("Offset", fits(&origin, num_axes)),
        ] {
            if !fits {
                return Err(Error::malformed(&self.path, name, "has another number of entries than DimSize needs"));
            }
        }
        let mut steps = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        for (axis, step) in steps.iter_mut().enumerate().take(count) {
            if let Some(matrix) = &matrix {
                *step = [0.0; 3];
                step[..count].copy_from_slice(&matrix[axis * num_axes..axis * num_axes + count]);
            }
            let length = spacing.as_ref().map_or(1.0, |spacing| spacing[axis]);
            step.iter_mut().for_each(|part| *part *= length);
        }
        let mut start = [0.0; 3];
        if let Some(origin) = &origin {
            start[..count].copy_from_slice(&origin[..count]);
        }
        Ok(affine_from_lps(steps, start))
    }
}
