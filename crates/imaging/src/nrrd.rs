//! NRRD volumes (teem.sourceforge.net/nrrd/format.html): attached or with their voxels in a file beside the header; raw, gzip or text.

use crate::error::{Error, Result};
use crate::grid::{GridImage, Input, MAX_DEFLATE_RATIO, Promise, affine_from_lps, check_room, sibling};
use crate::limits::Limits;
use crate::orient::Stored;
use crate::voxels::{Channels, Encoding, VoxelType, read_text, read_voxels};
use flate2::read::MultiGzDecoder;
use std::collections::BTreeMap;
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

/// No header is longer; those with many measured directions have some hundred KiB.
const MAX_HEADER_BYTES: u64 = 4 << 20;
/// The format's own limit of axes.
const MAX_AXES: usize = 16;

/// Fields by their lower-case name.
type Fields = BTreeMap<String, String>;

/// Reads the first volume of an NRRD file in the order of the file.
pub(crate) fn read_stored(path: &Path, input: Input<'_>, limits: &Limits) -> Result<GridImage> {
    let (mut reader, _) = input.open(path, limits)?;
    let header = Header::read(path, &mut reader)?;
    let mut notes = Vec::new();
    let layout = header.layout(path, limits, &mut notes)?;
    let mut data_files = Vec::new();
    let values = match header.data_file() {
        None => header.values(path, reader, &layout, limits)?,
        Some(name) => {
            if name.starts_with("LIST") || name.contains('%') {
                let value = "of several files".to_string();
                let remedy = "save it as one .nrrd file";
                return Err(Error::Unsupported { path: path.into(), field: "data file", value, remedy });
            }
            let beside = sibling(path, "data file", name)?;
            let (data, _) = input.beside(path)?.open(&beside, limits)?;
            data_files.push(beside.clone());
            header.values(&beside, data, &layout, limits)?
        }
    };
    let affine = header.affine(path, &layout, &mut notes)?;
    Ok(GridImage { stored: Stored { dims: layout.dims, affine, values }, notes, data_files })
}

/// What the header promises; an error where the bytes of the file cannot hold it.
pub(crate) fn promise(path: &Path, input: Input<'_>, limits: &Limits) -> Result<Promise> {
    let (mut reader, length) = input.open(path, limits)?;
    let header = Header::read(path, &mut reader)?;
    let layout = header.layout(path, limits, &mut Vec::new())?;
    let is_alone = header.data_file().is_none();
    let ratio = match header.field("encoding").unwrap_or_default().to_ascii_lowercase().as_str() {
        "raw" => Some(1),
        "gzip" | "gz" => Some(MAX_DEFLATE_RATIO),
        // Text, and what the reader does not know.
        _ => None,
    };
    if let Some(ratio) = ratio.filter(|_| is_alone) {
        check_room(path, length, layout.voxels as u64 * layout.encoding.num_bytes() as u64, ratio)?;
    }
    Ok(Promise { voxels: layout.voxels as u64, is_alone })
}

struct Header {
    path: PathBuf,
    fields: Fields,
}

/// Which axes are space, and how a voxel is stored.
struct Layout {
    /// Of the file's axes those of space, in their order.
    space_axes: Vec<usize>,
    dims: [usize; 3],
    voxels: usize,
    encoding: Encoding,
}

impl Header {
    /// Reads the lines up to the first empty one; a detached header may end with the file.
    fn read(path: &Path, reader: &mut impl BufRead) -> Result<Header> {
        let mut head = reader.take(MAX_HEADER_BYTES);
        let mut fields = Fields::new();
        let mut line = Vec::new();
        let mut is_first = true;
        loop {
            line.clear();
            let length = head.read_until(b'\n', &mut line).map_err(|source| Error::io(path, source))?;
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end_matches(['\n', '\r']);
            if is_first && !text.starts_with("NRRD") {
                return Err(Error::malformed(path, "magic", "is not that of NRRD"));
            }
            if length == 0 && head.limit() == 0 {
                return Err(Error::malformed(path, "header", format!("is longer than {MAX_HEADER_BYTES} bytes")));
            }
            if length == 0 || (text.is_empty() && !is_first) {
                return Ok(Header { path: path.into(), fields });
            }
            // `key:=value` is a remark of the writer, `#` a comment.
            if let Some((name, value)) = text.split_once(": ").filter(|_| !is_first && !text.starts_with('#')) {
                fields.insert(name.trim().to_ascii_lowercase(), value.trim().to_string());
            }
            is_first = false;
        }
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    /// The file with the voxels, where it is another one.
    fn data_file(&self) -> Option<&str> {
        self.field("data file").or_else(|| self.field("datafile"))
    }

    fn needed(&self, name: &'static str) -> Result<&str> {
        self.field(name).ok_or_else(|| Error::malformed(&self.path, name, "is missing"))
    }

    fn layout(&self, path: &Path, limits: &Limits, notes: &mut Vec<String>) -> Result<Layout> {
        let sizes: Option<Vec<usize>> =
            self.needed("sizes")?.split_whitespace().map(|size| size.parse().ok().filter(|size| *size > 0)).collect();
        let sizes = sizes
            .filter(|sizes| (1..=MAX_AXES).contains(&sizes.len()))
            .ok_or_else(|| Error::malformed(path, "sizes", "are not possible"))?;
        let dimension: Option<usize> = self.needed("dimension")?.parse().ok();
        if dimension != Some(sizes.len()) {
            return Err(Error::malformed(path, "dimension", "is not the number of sizes"));
        }
        let space_axes = self.space_axes(sizes.len());
        let is_space = |axis: &usize| space_axes.contains(axis);
        let others: Vec<usize> = (0..sizes.len()).filter(|axis| !is_space(axis) && sizes[*axis] > 1).collect();
        if space_axes.is_empty() || space_axes.len() > 3 {
            let value = format!("{} axes of space", space_axes.len());
            let remedy = "save one volume with three axes";
            return Err(Error::Unsupported { path: path.into(), field: "kinds", value, remedy });
        }
        // Faster than space: numbers of one voxel. Slower: volumes, of which the first comes first.
        let product = |axes: &[usize]| axes.iter().fold(1usize, |product, axis| product.saturating_mul(sizes[*axis]));
        let (faster, slower): (Vec<usize>, Vec<usize>) = others.iter().partition(|axis| **axis < space_axes[0]);
        if slower.iter().any(|axis| *axis < space_axes[space_axes.len() - 1]) {
            let value = "an axis that is no space between axes of space".to_string();
            let remedy = "save one volume with three axes";
            return Err(Error::Unsupported { path: path.into(), field: "kinds", value, remedy });
        }
        let channels = product(&faster);
        if channels > 4096 {
            return Err(Error::malformed(path, "sizes", format!("{channels} numbers a voxel are not possible")));
        }
        let kinds: Vec<&str> = self.field("kinds").unwrap_or_default().split_whitespace().collect();
        let is_colour = faster.iter().any(|axis| {
            kinds.get(*axis).is_some_and(|kind| kind.to_ascii_lowercase().ends_with("-color")) && sizes[*axis] >= 3
        });
        let channels = if is_colour { Channels::Luminance(channels) } else { Channels::First(channels) };
        if is_colour {
            notes.push("colour voxels, their luminance is used".to_string());
        } else if channels.count() > 1 {
            notes.push(format!("{} numbers a voxel, the first is used", channels.count()));
        }
        if product(&slower) > 1 {
            notes.push(format!("{} volumes in one file, the first is used", product(&slower)));
        }
        let mut dims = [1; 3];
        for (size, axis) in dims.iter_mut().zip(&space_axes) {
            *size = sizes[*axis];
        }
        let voxels = limits.check_voxels(path, dims)?;
        Ok(Layout { space_axes, dims, voxels, encoding: self.encoding(path, channels)? })
    }

    /// Axes with a direction; else those of kind space or domain; else the last three.
    fn space_axes(&self, num_axes: usize) -> Vec<usize> {
        let chosen = |words: Vec<String>, is_space: &dyn Fn(&str) -> bool| -> Option<Vec<usize>> {
            let axes = words.iter().enumerate().filter(|(_, word)| is_space(word)).map(|(axis, _)| axis);
            (words.len() == num_axes).then(|| axes.collect())
        };
        let directions = self.field("space directions").map(vectors);
        let by_direction = directions.and_then(|words| chosen(words, &|word| word != "none"));
        let kinds = self.field("kinds").map(|kinds| kinds.split_whitespace().map(str::to_string).collect());
        let by_kind = || {
            let axes = chosen(kinds?, &|kind| matches!(kind, "space" | "domain" | "???"))?;
            (axes.len() <= 3).then_some(axes)
        };
        by_direction.or_else(by_kind).unwrap_or_else(|| (0..num_axes.min(3)).collect())
    }

    fn encoding(&self, path: &Path, channels: Channels) -> Result<Encoding> {
        let voxel_type = match self.needed("type")? {
            "signed char" | "int8" | "int8_t" => VoxelType::I8,
            "uchar" | "unsigned char" | "uint8" | "uint8_t" => VoxelType::U8,
            "short" | "short int" | "signed short" | "signed short int" | "int16" | "int16_t" => VoxelType::I16,
            "ushort" | "unsigned short" | "unsigned short int" | "uint16" | "uint16_t" => VoxelType::U16,
            "int" | "signed int" | "int32" | "int32_t" => VoxelType::I32,
            "uint" | "unsigned int" | "uint32" | "uint32_t" => VoxelType::U32,
            "longlong"
            | "long long"
            | "long long int"
            | "signed long long"
            | "signed long long int"
            | "int64"
            | "int64_t" => VoxelType::I64,
            "ulonglong" | "unsigned long long" | "unsigned long long int" | "uint64" | "uint64_t" => VoxelType::U64,
            "float" => VoxelType::F32,
            "double" => VoxelType::F64,
            other => {
                let remedy = "save it with whole or floating-point voxels";
                return Err(Error::Unsupported { path: path.into(), field: "type", value: other.to_string(), remedy });
            }
        };
        let little_endian = match self.field("endian") {
            Some("little") | None => true,
            Some("big") => false,
            Some(other) => return Err(Error::malformed(path, "endian", format!("{other:?} is not little or big"))),
        };
        Ok(Encoding { voxel_type, little_endian, channels })
    }

    /// Reads the voxels from where the header (or the beginning of the data file) ends.
    fn values(
        &self,
        path: &Path,
        mut reader: Box<dyn BufRead + '_>,
        layout: &Layout,
        limits: &Limits,
    ) -> Result<Vec<f32>> {
        let number = |name: &'static str| -> Result<i64> {
            let text = self.field(name).or_else(|| self.field(&name.replace(' ', ""))).unwrap_or("0");
            text.parse().map_err(|_| Error::malformed(&self.path, name, format!("{text:?} is not a number")))
        };
        let (lines, bytes) = (number("line skip")?, number("byte skip")?);
        let needed = layout.voxels as u64 * layout.encoding.num_bytes() as u64;
        let truncated = || Error::Truncated { path: path.into(), field: "voxels".into(), needed, available: 0 };
        for _ in 0..lines.max(0) {
            if reader.skip_until(b'\n').map_err(|error| Error::decode(path, error))? == 0 {
                return Err(truncated());
            }
        }
        let name = self.needed("encoding")?.to_ascii_lowercase();
        let mut stream: Box<dyn Read + '_> = match name.as_str() {
            "raw" => Box::new(reader),
            "gzip" | "gz" => Box::new(MultiGzDecoder::new(reader)),
            "txt" | "text" | "ascii" => {
                let mut text = String::new();
                let read = reader.take(limits.max_file_bytes).read_to_string(&mut text);
                read.map_err(|error| Error::decode(path, error))?;
                return read_text(&text, layout.voxels, layout.encoding.channels).ok_or_else(truncated);
            }
            other => {
                let (field, value, remedy) = ("encoding", other.to_string(), "save it with encoding gzip or raw");
                return Err(Error::Unsupported { path: path.into(), field, value, remedy });
            }
        };
        if bytes < 0 {
            let value = "counted from the end".to_string();
            let remedy = "save it as one .nrrd file";
            return Err(Error::Unsupported { path: path.into(), field: "byte skip", value, remedy });
        }
        let skip = bytes as u64;
        let skipped = std::io::copy(&mut stream.by_ref().take(skip), &mut std::io::sink());
        if skipped.map_err(|error| Error::decode(path, error))? < skip {
            return Err(truncated());
        }
        read_voxels(path, &mut stream, layout.voxels, layout.encoding).map_err(|error| error.unwrap_or_else(truncated))
    }

    /// Steps and origin to RAS.
    fn affine(&self, path: &Path, layout: &Layout, notes: &mut Vec<String>) -> Result<crate::orient::Affine> {
        // In which direction each coordinate of the file's space grows, seen from LPS.
        let signs = match self.field("space").unwrap_or_default().to_ascii_lowercase().as_str() {
            "left-posterior-superior" | "lps" | "left-posterior-superior-time" | "lpst" => [1.0, 1.0, 1.0],
            "right-anterior-superior" | "ras" | "right-anterior-superior-time" | "rast" => [-1.0, -1.0, 1.0],
            "left-anterior-superior" | "las" | "left-anterior-superior-time" | "last" => [1.0, -1.0, 1.0],
            _ => {
                notes.push("no space of the patient: sides are not known, LPS is assumed".to_string());
                [1.0, 1.0, 1.0]
            }
        };
        let malformed = |field: &'static str| Error::malformed(path, field, "are not three numbers for each axis");
        let mut steps = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        if let Some(text) = self.field("space directions") {
            let words = vectors(text);
            for (step, axis) in steps.iter_mut().zip(&layout.space_axes) {
                let words = words.get(*axis).ok_or_else(|| malformed("space directions"))?;
                *step = vector(words).ok_or_else(|| malformed("space directions"))?;
            }
            if layout.space_axes.len() == 2 {
                steps[2] = across(steps[0], steps[1]);
            }
        } else if let Some(text) = self.field("spacings") {
            let spacings: Vec<f64> = text.split_whitespace().map(|word| word.parse().unwrap_or(f64::NAN)).collect();
            for (index, axis) in layout.space_axes.iter().enumerate() {
                let spacing = spacings.get(*axis).copied().filter(|spacing| spacing.is_finite() && *spacing != 0.0);
                steps[index][index] = spacing.unwrap_or(1.0);
            }
        }
        let origin = match self.field("space origin") {
            Some(text) => vector(text).ok_or_else(|| malformed("space origin"))?,
            None => [0.0; 3],
        };
        let turned = |vector: [f64; 3]| [0, 1, 2].map(|axis| vector[axis] * signs[axis]);
        Ok(affine_from_lps(steps.map(turned), turned(origin)))
    }
}

/// The vectors of a field, `(1,0,0) none (0,1,0)`, as words.
fn vectors(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let length = if rest.starts_with('(') {
            rest.find(')').map_or(rest.len(), |end| end + 1)
        } else {
            rest.find(char::is_whitespace).unwrap_or(rest.len())
        };
        words.push(rest[..length].to_string());
        rest = rest[length..].trim_start();
    }
    words
}

/// `(1,0,0)` as numbers; a vector of the plane gets a third of 0.
fn vector(word: &str) -> Option<[f64; 3]> {
    let inner = word.trim().strip_prefix('(')?.strip_suffix(')')?;
    let numbers: Vec<f64> = inner.split(',').map(|number| number.trim().parse().ok()).collect::<Option<Vec<f64>>>()?;
    if numbers.iter().any(|number| !number.is_finite()) {
        return None;
    }
    match numbers.as_slice() {
        [x, y] => Some([*x, *y, 0.0]),
        [x, y, z] => Some([*x, *y, *z]),
        _ => None,
    }
}

/// A step of one unit across a plane.
fn across(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    let normal = [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
    let length = normal.iter().map(|part| part * part).sum::<f64>().sqrt();
    if length > 0.0 { normal.map(|part| part / length) } else { [0.0, 0.0, 1.0] }
}
