//! What client and decoding process say to each other.
//!
//! ```text
//! process -> client  Hello                                 once
//! client  -> process Request, then the file's bytes        for each file
//! process -> client  Reply, then the pixels                for each file
//! ```
//! A message is its length (4 bytes, little endian) and a postcard document of at most [`MAX_MESSAGE_BYTES`]; bytes and
//! pixels follow raw, as many as the message says. Neither side believes the other: a length is compared with the limits
//! before anything is reserved, and pixels must fill exactly the shape that the reply names.

use super::refusal::Refusal;
use crate::limits::Limits;
use crate::orient::Affine;
use crate::raster::DeepGrey;
use crate::series::{HeaderFacts, Slice};
use crate::sniff::FileKind;
use crate::summary::DicomSummary;
use crate::{Content, Scan};
use gmai_schema::{Modality, WindowRef};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{Error, ErrorKind, Read, Result, Write};

/// Raised whenever a message changes.
pub(super) const VERSION: u32 = 2;
/// Largest message without its pixels; real ones stay below a few KiB.
pub(super) const MAX_MESSAGE_BYTES: usize = 4 << 20;
/// Pixel values converted at a time.
const CHUNK_VALUES: usize = 1 << 16;

/// The first words of a decoding process.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    /// [`VERSION`] of the process.
    pub(super) version: u32,
    /// Protections that this system does not offer.
    pub(super) notes: Vec<String>,
}

/// What is wanted of a file.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) enum Ask {
    /// As [`read`](crate::read).
    Scan,
    /// As [`read_picture`](crate::read_picture).
    Picture(DeepGrey),
    /// As [`read_mask`](crate::read_mask).
    Mask,
    /// As [`read_label_map`](crate::read_label_map).
    LabelMap,
    /// The attributes that sort a DICOM file into a series.
    Header,
    /// As [`DicomSummary::read`].
    Summary,
    /// What a series must know of one of its files before it is decoded.
    SliceHead,
    /// The pixels of one file of a series.
    SlicePixels,
    /// What a DICOM segmentation says beside its pixels.
    Segmentation,
    /// What one segment marks on the grid of a volume.
    Segment { number: u16, grid: Grid },
    /// A structure set.
    Structures,
    /// The measurements of a structured report.
    Measurements,
}

/// One question about one file; its bytes follow.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) ask: Ask,
    pub(super) limits: Limits,
    /// Address space that the process may take, in bytes.
    pub(super) memory_bytes: u64,
    /// Processor time for this file, in seconds.
    pub(super) cpu_seconds: u64,
    /// Length of the file.
    pub(super) file_bytes: u64,
}

/// One answer; `payload_bytes` of pixels follow.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Reply {
    pub(super) answer: Answer,
    pub(super) payload_bytes: u64,
}

/// What came of a question, without pixels.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    Scan {
        facts: Facts,
        shape: Shape,
    },
    Picture {
        width: u32,
        height: u32,
    },
    Mask {
        width: u32,
        height: u32,
    },
    LabelMap(Grid),
    Header(HeaderFacts),
    Summary(Box<DicomSummary>),
    SliceHead(Box<Slice>),
    SlicePixels {
        facts: Facts,
        padding: Option<WindowRef>,
        num_values: u64,
    },
    /// A postcard document of what was asked for follows: too long for a message.
    Document {
        num_bytes: u64,
    },
    Refused(Refusal),
}

/// What a [`Scan`](crate::Scan) says beside its pixels.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Facts {
    pub(crate) kind: FileKind,
    pub(crate) modality: Option<Modality>,
    pub(crate) patient: Option<String>,
    pub(crate) study: Option<String>,
    pub(crate) series: Option<String>,
    pub(crate) sha256: String,
    pub(crate) window: Option<WindowRef>,
    pub(crate) notes: Vec<String>,
}

impl Facts {
    /// A scan, taken apart.
    pub(super) fn of(scan: Scan) -> (Facts, Content) {
        let Scan { kind, content, modality, patient, study, series, sha256, window, notes } = scan;
        (Facts { kind, modality, patient, study, series, sha256, window, notes }, content)
    }

    /// The scan with its pixels.
    pub(super) fn with(self, content: Content) -> Scan {
        let Facts { kind, modality, patient, study, series, sha256, window, notes } = self;
        Scan { kind, content, modality, patient, study, series, sha256, window, notes }
    }
}

/// The shape of a scan's pixels.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Shape {
    Picture {
        width: u32,
        height: u32,
    },
    /// With the values that mark what was not imaged.
    Volume {
        grid: Grid,
        padding: Option<WindowRef>,
    },
}

/// Where the values of a volume or label map lie.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Grid {
    pub(crate) dims: [usize; 3],
    pub(crate) spacing: [f32; 3],
    pub(crate) affine: Affine,
}

/// Pixels of an answer.
#[derive(Debug)]
pub(crate) enum Payload {
    None,
    /// Colours, or 0 and 1 of a mask.
    Bytes(Vec<u8>),
    /// Classes of a label map.
    Words(Vec<u16>),
    /// Values of a volume or slice.
    Floats(Vec<f32>),
}

impl Payload {
    pub(super) fn num_bytes(&self) -> u64 {
        match self {
            Payload::None => 0,
            Payload::Bytes(values) => values.len() as u64,
            Payload::Words(values) => 2 * values.len() as u64,
            Payload::Floats(values) => 4 * values.len() as u64,
        }
    }

    pub(super) fn write(&self, output: &mut impl Write) -> Result<()> {
        match self {
            Payload::None => Ok(()),
            Payload::Bytes(values) => output.write_all(values),
            Payload::Words(values) => write_values(output, values, u16::to_le_bytes),
            Payload::Floats(values) => write_values(output, values, f32::to_le_bytes),
        }
    }

    /// Reads the pixels that `reply` must have, and no others.
    pub(super) fn read(input: &mut impl Read, reply: &Reply, limits: &Limits) -> Result<Payload> {
        let Some((kind, sizes)) = reply.answer.expected() else {
            return if reply.payload_bytes == 0 { Ok(Payload::None) } else { Err(garbage("pixels where none belong")) };
        };
        // In u128 no product of these sizes wraps around.
        let count = sizes.iter().map(|size| u128::from(*size)).product::<u128>();
        let most = match kind {
            ValueKind::Byte => 3 * u128::from(limits.max_pixels),
            _ => u128::from(limits.max_voxels.max(limits.max_pixels)),
        };
        if count == 0 || count > most || count * kind.num_bytes() != u128::from(reply.payload_bytes) {
            return Err(garbage("a shape that does not fit its pixels or the limits"));
        }
        let count = usize::try_from(count).map_err(|_| garbage("a shape beyond this machine"))?;
        Ok(match kind {
            ValueKind::Byte => Payload::Bytes(read_values(input, count, |[byte]| byte)?),
            ValueKind::Word => Payload::Words(read_values(input, count, u16::from_le_bytes)?),
            ValueKind::Float => Payload::Floats(read_values(input, count, f32::from_le_bytes)?),
        })
    }
}

#[derive(Clone, Copy)]
enum ValueKind {
    Byte,
    Word,
    Float,
}

impl ValueKind {
    fn num_bytes(self) -> u128 {
        match self {
            ValueKind::Byte => 1,
            ValueKind::Word => 2,
            ValueKind::Float => 4,
        }
    }
}

impl Answer {
    /// The kind of the values that follow, and the sizes whose product is their number.
    fn expected(&self) -> Option<(ValueKind, [u64; 3])> {
        let grid = |grid: &Grid| grid.dims.map(|size| size as u64);
        let flat = |width: u32, height: u32, channels| [u64::from(width), u64::from(height), channels];
        Some(match self {
            Answer::Scan { shape: Shape::Picture { width, height }, .. } | Answer::Picture { width, height } => {
                (ValueKind::Byte, flat(*width, *height, 3))
            }
            Answer::Scan { shape: Shape::Volume { grid: volume, .. }, .. } => (ValueKind::Float, grid(volume)),
            Answer::Mask { width, height } => (ValueKind::Byte, flat(*width, *height, 1)),
            Answer::LabelMap(map) => (ValueKind::Word, grid(map)),
            Answer::SlicePixels { num_values, .. } => (ValueKind::Float, [*num_values, 1, 1]),
            Answer::Document { num_bytes } => (ValueKind::Byte, [*num_bytes, 1, 1]),
            Answer::Header(_) | Answer::Summary(_) | Answer::SliceHead(_) | Answer::Refused(_) => return None,
        })
    }
}

/// An error for an answer that no decoding process of ours gives.
pub(super) fn garbage(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what.to_string())
}

/// Writes a message. One longer than allowed is an error and nothing is written.
pub(super) fn write_message<T: Serialize>(output: &mut impl Write, message: &T) -> Result<()> {
    let bytes = postcard::to_stdvec(message).map_err(|error| garbage(&error.to_string()))?;
    if bytes.len() > MAX_MESSAGE_BYTES {
        return Err(garbage("a message that is too long"));
    }
    output.write_all(&(bytes.len() as u32).to_le_bytes())?;
    output.write_all(&bytes)
}

/// Reads a message; `None` where the stream ends before one begins.
pub(super) fn read_message<T: DeserializeOwned>(input: &mut impl Read) -> Result<Option<T>> {
    let mut length = [0; 4];
    if input.read(&mut length[..1])? == 0 {
        return Ok(None);
    }
    input.read_exact(&mut length[1..])?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_MESSAGE_BYTES {
        return Err(garbage("a message that is too long"));
    }
    let mut bytes = vec![0; length];
    input.read_exact(&mut bytes)?;
    match postcard::take_from_bytes(&bytes) {
        Ok((message, [])) => Ok(Some(message)),
        _ => Err(garbage("a message that cannot be read")),
    }
}

fn write_values<T: Copy, const N: usize>(
    output: &mut impl Write,
    values: &[T],
    bytes: impl Fn(T) -> [u8; N],
) -> Result<()> {
    let mut buffer = vec![0; values.len().min(CHUNK_VALUES) * N];
    for chunk in values.chunks(CHUNK_VALUES) {
        let filled = &mut buffer[..chunk.len() * N];
        for (place, value) in filled.as_chunks_mut::<N>().0.iter_mut().zip(chunk) {
            *place = bytes(*value);
        }
        output.write_all(filled)?;
    }
    Ok(())
}

fn read_values<T, const N: usize>(input: &mut impl Read, count: usize, value: impl Fn([u8; N]) -> T) -> Result<Vec<T>> {
    let mut values = Vec::new();
    values.try_reserve_exact(count).map_err(|_| Error::from(ErrorKind::OutOfMemory))?;
    let mut buffer = vec![0; count.min(CHUNK_VALUES) * N];
    while values.len() < count {
        let chunk = &mut buffer[..(count - values.len()).min(CHUNK_VALUES) * N];
        input.read_exact(chunk)?;
        values.extend(chunk.as_chunks::<N>().0.iter().map(|bytes| value(*bytes)));
    }
    Ok(values)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn pixels_come_back_bit_by_bit() {
        let values = vec![0.1f32, f32::NAN, -0.0, f32::INFINITY];
        let mut sent = Vec::new();
        Payload::Floats(values.clone()).write(&mut sent).unwrap();
        let answer = Answer::LabelMap(Grid { dims: [8, 1, 1], spacing: [1.0; 3], affine: [[0.0; 4]; 3] });
        let reply = Reply { answer, payload_bytes: sent.len() as u64 };
        let Payload::Words(words) = Payload::read(&mut sent.as_slice(), &reply, &Limits::default()).unwrap() else {
            panic!("a label map has words");
        };
        assert_eq!(words.len(), 8);
        let back = read_values(&mut sent.as_slice(), 4, f32::from_le_bytes).unwrap();
        assert!(values.iter().zip(&back).all(|(a, b)| a.to_bits() == b.to_bits()));
    }

    #[test]
    fn shape_that_lies_is_garbage_before_anything_is_reserved() {
        let limits = Limits::default();
        for (dims, payload_bytes) in [([usize::MAX, usize::MAX, 2], 0), ([2, 2, 2], 17), ([0, 1, 1], 0)] {
            let answer = Answer::LabelMap(Grid { dims, spacing: [1.0; 3], affine: [[0.0; 4]; 3] });
            assert!(Payload::read(&mut [0; 64].as_slice(), &Reply { answer, payload_bytes }, &limits).is_err());
        }
        let header = Answer::Refused(Refusal::NotAnImage);
        let reply = Reply { answer: header, payload_bytes: 1 };
        assert!(Payload::read(&mut [0; 64].as_slice(), &reply, &limits).is_err());
    }

    #[test]
    fn message_that_is_cut_off_too_long_or_followed_by_more_is_refused() {
        let mut sent = Vec::new();
        write_message(&mut sent, &Hello { version: 7, notes: vec!["none".into()] }).unwrap();
        assert_eq!(read_message::<Hello>(&mut sent.as_slice()).unwrap().unwrap().version, 7);
        for end in 1..sent.len() {
            assert!(read_message::<Hello>(&mut &sent[..end]).is_err(), "{end} bytes were enough");
        }
        assert!(read_message::<Hello>(&mut [].as_slice()).unwrap().is_none());
        assert!(read_message::<Hello>(&mut [0xFF; 64].as_slice()).is_err());
        sent[0] += 1;
        sent.push(0);
        assert!(read_message::<Hello>(&mut sent.as_slice()).is_err());
    }
}
