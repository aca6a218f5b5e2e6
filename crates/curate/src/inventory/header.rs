//! Size and kind of stored values by the first bytes of a file, for images that are not decoded and for what decoding hides.
//!
//! Nothing is believed: numbers only describe, and no memory is reserved by them.

use flate2::read::GzDecoder;
use gmai_imaging::FileKind;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// What a header says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Header {
    /// Width, height, depth in stored order; 1 for axes that are not there.
    pub size: Option<[usize; 3]>,
    /// Distance of neighbours in mm, in stored order.
    pub spacing: Option<[f64; 3]>,
    /// Kind of stored value; empty when it is not told.
    pub depth: String,
    /// Whether EXIF or text stands beside the pixels (PNG and JPEG).
    pub has_metadata: bool,
}

/// Bytes looked at: EXIF data may put the size of a JPEG behind them, which then is not known.
const HEAD_BYTES: u64 = 128 << 10;
/// Bytes of a NIfTI-2 header.
const NIFTI_BYTES: u64 = 540;

/// Reads the header of a file; what cannot be understood stays unknown.
pub(super) fn read(path: &Path, kind: FileKind) -> Header {
    let mut head = Vec::new();
    if File::open(path).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head)).is_err() {
        return Header::default();
    }
    let found = match kind {
        FileKind::Png => png(&head),
        FileKind::Jpeg => jpeg(&head),
        FileKind::Bmp => bmp(&head),
        FileKind::Tiff => tiff(&head),
        FileKind::Webp => Some(Header { depth: "8-bit RGB".to_owned(), ..Header::default() }),
        FileKind::Nifti => nifti(&head),
        FileKind::Nrrd => Some(nrrd(&head)),
        FileKind::MetaImage => Some(metaimage(&head)),
        FileKind::Dicom => None,
    };
    Header { has_metadata: has_metadata(kind, &head), ..found.unwrap_or_default() }
}

/// Chunks and segments that hold what people or devices wrote.
fn has_metadata(kind: FileKind, head: &[u8]) -> bool {
    let holds = |part: &[u8], name: &[u8]| part.windows(name.len()).any(|window| window == name);
    match kind {
        FileKind::Jpeg => holds(&head[..head.len().min(4096)], b"Exif\0\0"),
        FileKind::Png => {
            let pixels = head.windows(4).position(|window| window == b"IDAT").unwrap_or(head.len());
            [b"tEXt", b"iTXt", b"zTXt", b"eXIf"].iter().any(|name| holds(&head[..pixels], *name))
        }
        _ => false,
    }
}

/// The words for bits per value and number of channels.
pub(super) fn depth(bits: u16, channels: u16) -> String {
    let colour = match channels {
        0 | 1 => "grey",
        2 => "grey with alpha",
        3 => "RGB",
        _ => "RGB with alpha",
    };
    format!("{bits}-bit {colour}")
}

fn flat(width: u32, height: u32, depth: String) -> Header {
    Header { size: Some([width as usize, height as usize, 1]), depth, ..Header::default() }
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// PNG 1.2, 11.2.2: IHDR is the first chunk.
fn png(head: &[u8]) -> Option<Header> {
    let bits = u16::from(*head.get(24)?);
    let depth = match *head.get(25)? {
        0 => depth(bits, 1),
        2 => depth(bits, 3),
        3 => format!("{bits}-bit palette"),
        4 => depth(bits, 2),
        _ => depth(bits, 4),
    };
    Some(flat(be32(head, 16)?, be32(head, 20)?, depth))
}

/// The first frame header (ITU-T T.81, B.2.2).
fn jpeg(head: &[u8]) -> Option<Header> {
    let short = |at: usize| Some(u16::from_be_bytes(head.get(at..at + 2)?.try_into().ok()?));
    let mut at = 2;
    loop {
        if *head.get(at)? != 0xFF {
            return None;
        }
        match *head.get(at + 1)? {
            0xFF => at += 1,
            0xC4 | 0xC8 | 0xCC => at += 2 + usize::from(short(at + 2)?),
            0xC0..=0xCF | 0xF7 => {
                let channels = u16::from(*head.get(at + 9)?);
                let depth = depth(u16::from(*head.get(at + 4)?), channels);
                return Some(flat(u32::from(short(at + 7)?), u32::from(short(at + 5)?), depth));
            }
            0xD0..=0xD9 | 0x01 => at += 2,
            _ => at += 2 + usize::from(short(at + 2)?),
        }
    }
}

fn bmp(head: &[u8]) -> Option<Header> {
    let int = |at: usize| Some(i32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?));
    let bits = u16::from_le_bytes(head.get(28..30)?.try_into().ok()?);
    let depth = if bits <= 8 { format!("{bits}-bit palette") } else { depth(8, bits / 8) };
    Some(flat(int(18)?.unsigned_abs(), int(22)?.unsigned_abs(), depth))
}

/// The first directory of a TIFF, where it lies within the head.
fn tiff(head: &[u8]) -> Option<Header> {
    let little = head.starts_with(b"II");
    let bytes = |at: usize, count: usize| {
        let mut value: Vec<u8> = head.get(at..at.checked_add(count)?)?.to_vec();
        if !little {
            value.reverse();
        }
        Some(value.iter().rev().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte)))
    };
    if bytes(2, 2)? != 42 {
        return None; // BigTIFF: only decoding tells.
    }
    let directory = bytes(4, 4)? as usize;
    let (mut width, mut height, mut bits, mut channels) = (None, None, 1, 1);
    for entry in 0..bytes(directory, 2)?.min(256) as usize {
        let at = directory + 2 + 12 * entry;
        let length = if bytes(at + 2, 2)? == 3 { 2 } else { 4 };
        let count = bytes(at + 4, 4)?;
        let place = if count * length > 4 { bytes(at + 8, 4)? as usize } else { at + 8 };
        match bytes(at, 2)? {
            256 => width = bytes(place, length as usize),
            257 => height = bytes(place, length as usize),
            258 => bits = bytes(place, 2).unwrap_or(8),
            277 => channels = bytes(place, 2)?,
            _ => {}
        }
    }
    Some(flat(width? as u32, height? as u32, depth(bits as u16, channels as u16)))
}

fn nifti(head: &[u8]) -> Option<Header> {
    let inflated;
    let head = if head.starts_with(&[0x1F, 0x8B]) {
        let mut content = Vec::new();
        // The head may end in mid-stream; what came before is enough.
        let _ = GzDecoder::new(head).take(NIFTI_BYTES).read_to_end(&mut content);
        inflated = content;
        &inflated
    } else {
        head
    };
    let second = head.get(4..8).is_some_and(|magic| magic.starts_with(b"n+2") || magic.starts_with(b"ni2"));
    let word = |at: usize, little: bool| {
        let pair: [u8; 2] = head.get(at..at + 2)?.try_into().ok()?;
        Some(if little { i16::from_le_bytes(pair) } else { i16::from_be_bytes(pair) })
    };
    let long = |at: usize, little: bool| {
        let bytes: [u8; 8] = head.get(at..at + 8)?.try_into().ok()?;
        Some(if little { i64::from_le_bytes(bytes) } else { i64::from_be_bytes(bytes) })
    };
    let size_of = |axis: usize, little: bool| {
        if second { long(16 + 8 * axis, little) } else { word(40 + 2 * axis, little).map(i64::from) }
    };
    let little = (1..=7).contains(&size_of(0, true)?);
    let step = |axis: usize| {
        Some(if second {
            let bytes: [u8; 8] = head.get(104 + 8 * axis..112 + 8 * axis)?.try_into().ok()?;
            if little { f64::from_le_bytes(bytes) } else { f64::from_be_bytes(bytes) }
        } else {
            let bytes: [u8; 4] = head.get(76 + 4 * axis..80 + 4 * axis)?.try_into().ok()?;
            f64::from(if little { f32::from_le_bytes(bytes) } else { f32::from_be_bytes(bytes) })
        })
    };
    let axes = size_of(0, little)?;
    let mut size = [1; 3];
    let mut spacing = [0.0; 3];
    let stored = size.iter_mut().zip(&mut spacing).enumerate().take(axes.max(0) as usize);
    for (axis, (size, spacing)) in stored {
        *size = usize::try_from(size_of(axis + 1, little)?).unwrap_or(0);
        *spacing = step(axis + 1)?.abs();
    }
    let depth = match word(if second { 12 } else { 70 }, little)? {
        2 => "uint8",
        4 => "int16",
        8 => "int32",
        16 => "float32",
        64 => "float64",
        128 => "RGB",
        256 => "int8",
        512 => "uint16",
        768 => "uint32",
        1024 => "int64",
        1280 => "uint64",
        _ => "",
    };
    Some(Header { size: Some(size), spacing: Some(spacing), depth: depth.to_owned(), has_metadata: false })
}

/// `name<mark> value` lines of a text header.
fn fields(head: &[u8], mark: char) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(head);
    let lines = text.lines().take_while(|line| !line.trim().is_empty());
    lines
        .filter_map(|line| line.split_once(mark))
        .map(|(name, value)| (name.trim().into(), value.trim().into()))
        .collect()
}

fn value_of<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields.iter().find(|field| field.0 == name).map(|field| field.1.as_str())
}

fn three<T: Copy + std::str::FromStr>(text: &str, rest: T) -> Option<[T; 3]> {
    let numbers: Vec<T> = text.split_whitespace().map(|word| word.parse().ok()).collect::<Option<_>>()?;
    Some([0, 1, 2].map(|axis| numbers.get(axis).copied().unwrap_or(rest)))
}

/// NRRD0005, 5: fields end at the first empty line.
fn nrrd(head: &[u8]) -> Header {
    let fields = fields(head, ':');
    let directions = value_of(&fields, "space directions").map(|text| {
        let vectors = text.split(')').filter_map(|vector| vector.split_once('(').map(|(_, inside)| inside));
        let length = |vector: &str| {
            let squares = vector.split(',').filter_map(|part| part.trim().parse::<f64>().ok()).map(|part| part * part);
            squares.sum::<f64>().sqrt()
        };
        vectors.map(length).collect::<Vec<f64>>()
    });
    let spacing = match directions {
        Some(steps) if steps.len() == 3 => Some([steps[0], steps[1], steps[2]]),
        _ => value_of(&fields, "spacings").and_then(|text| three(text, 0.0)),
    };
    let depth = match value_of(&fields, "type").unwrap_or_default() {
        "short" | "signed short" | "int16_t" => "int16",
        "ushort" | "unsigned short" | "uint16_t" => "uint16",
        "uchar" | "unsigned char" | "uint8_t" => "uint8",
        "signed char" | "int8_t" => "int8",
        "int" | "signed int" | "int32_t" => "int32",
        "unsigned int" | "uint32_t" => "uint32",
        "float" => "float32",
        "double" => "float64",
        other => other,
    };
    Header {
        size: value_of(&fields, "sizes").and_then(|text| three(text, 1)),
        spacing,
        depth: depth.to_owned(),
        has_metadata: false,
    }
}

fn metaimage(head: &[u8]) -> Header {
    let fields = fields(head, '=');
    let depth = match value_of(&fields, "ElementType").unwrap_or_default() {
        "MET_SHORT" => "int16",
        "MET_USHORT" => "uint16",
        "MET_UCHAR" => "uint8",
        "MET_CHAR" => "int8",
        "MET_INT" => "int32",
        "MET_UINT" => "uint32",
        "MET_FLOAT" => "float32",
        "MET_DOUBLE" => "float64",
        other => other,
    };
    Header {
        size: value_of(&fields, "DimSize").and_then(|text| three(text, 1)),
        spacing: value_of(&fields, "ElementSpacing").and_then(|text| three(text, 0.0)),
        depth: depth.to_owned(),
        has_metadata: false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use gmai_schema::Rgb8;
    use gmai_testkit::{NiftiImage, NiftiVoxels, write_grey_png, write_nifti, write_rgb_png};

    #[test]
    fn sizes_and_depths_are_told_without_decoding() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        write_rgb_png(&path("a.png"), &Rgb8::filled(5, 3, [1, 2, 3])).unwrap();
        assert_eq!(read(&path("a.png"), FileKind::Png), flat(5, 3, "8-bit RGB".into()));
        write_grey_png(&path("b.png"), 4, 2, &[0; 8]).unwrap();
        assert_eq!(read(&path("b.png"), FileKind::Png), flat(4, 2, "8-bit grey".into()));
        for (name, format) in [("a.jpg", image::ImageFormat::Jpeg), ("a.bmp", image::ImageFormat::Bmp)] {
            image::RgbImage::new(7, 4).save_with_format(path(name), format).unwrap();
        }
        assert_eq!(read(&path("a.jpg"), FileKind::Jpeg), flat(7, 4, "8-bit RGB".into()));
        assert_eq!(read(&path("a.bmp"), FileKind::Bmp), flat(7, 4, "8-bit RGB".into()));
        write_nifti(&path("a.nii.gz"), &NiftiImage::new([2, 3, 4], NiftiVoxels::I16(vec![0; 24]))).unwrap();
        let volume = read(&path("a.nii.gz"), FileKind::Nifti);
        assert_eq!((volume.size, volume.depth.as_str()), (Some([2, 3, 4]), "int16"));
    }

    #[test]
    fn text_headers_give_size_spacing_and_type() {
        let nrrd = nrrd(
            b"NRRD0005\ntype: short\ndimension: 3\nsizes: 4 5 6\nspace directions: (0.5,0,0) (0,0.5,0) (0,0,3)\n\n\0\0",
        );
        assert_eq!((nrrd.size, nrrd.spacing, nrrd.depth.as_str()), (Some([4, 5, 6]), Some([0.5, 0.5, 3.0]), "int16"));
        let meta = metaimage(
            b"ObjectType = Image\nNDims = 3\nDimSize = 4 5 6\nElementSpacing = 1 1 2\nElementType = MET_FLOAT\n",
        );
        assert_eq!((meta.size, meta.spacing, meta.depth.as_str()), (Some([4, 5, 6]), Some([1.0, 1.0, 2.0]), "float32"));
    }

    #[test]
    fn cut_and_hostile_headers_stay_unknown() {
        for head in [
            &b"\xFF\xD8\xFF\xC0\0"[..],
            b"\xFF\xD8\xFF\xFE\0\0",
            b"II*\0\xFF\xFF\xFF\xFF",
            b"MM\0*\0\0\0\x08\0\x01",
            b"BM",
            b"",
        ] {
            assert!(jpeg(head).is_none() && tiff(head).is_none() && bmp(head).is_none() && nifti(head).is_none());
        }
    }
}
