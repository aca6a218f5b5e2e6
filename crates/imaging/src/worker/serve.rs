//! The decoding process: reads questions and files from standard input, writes answers and pixels to standard output.

use super::confine::{self, Allowance};
use super::protocol::{Answer, Ask, Facts, Grid, Hello, Payload, Reply, Request, Shape, VERSION};
use super::protocol::{garbage, read_message, write_message};
use super::refusal::Refusal;
use crate::data_set::DicomFile;
use crate::error::{Error, Result};
use crate::measurement_report::measurements_of;
use crate::segmentation::Segmentation;
use crate::series::{HeaderFacts, Slice, SlicePixels};
use crate::structure_set::StructureSet;
use crate::summary::DicomSummary;
use crate::volume::Volume;
use crate::{Content, Scan, label, mask, raster, read_bytes};
use serde::Serialize;
use std::io::{BufReader, BufWriter, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Bytes that pass a pipe at a time.
const PIPE_BYTES: usize = 1 << 16;

/// Runs as a decoding process until standard input ends: to be called first thing in `main`, before any thread is started.
///
/// It confines itself (`confine.rs`), then decodes what it is sent. Whoever starts it is the client in `pool.rs`.
pub fn serve_decode_worker() -> std::io::Result<()> {
    let mut output = BufWriter::with_capacity(PIPE_BYTES, confine::take_output()?);
    let mut input = BufReader::with_capacity(PIPE_BYTES, std::io::stdin().lock());
    // A decoder that gives up is an answer, not a message on the client's terminal.
    std::panic::set_hook(Box::new(|_| {}));
    let notes = confine::confine()?;
    write_message(&mut output, &Hello { version: VERSION, notes })?;
    output.flush()?;
    while let Some(request) = read_message::<Request>(&mut input)? {
        confine::allow(Allowance { memory_bytes: request.memory_bytes, cpu_seconds: request.cpu_seconds })?;
        let bytes = read_file(&mut input, &request)?;
        let (answer, payload) = answer(&request, bytes);
        let reply = Reply { answer, payload_bytes: payload.num_bytes() };
        if write_message(&mut output, &reply).is_err() {
            // Nothing was written yet: the texts of the file were too long for a message.
            let (field, reason) =
                ("text attributes".to_string(), "are longer than any that are meant to be read".to_string());
            let answer = Answer::Refused(Refusal::Malformed { field, reason });
            write_message(&mut output, &Reply { answer, payload_bytes: 0 })?;
        } else {
            payload.write(&mut output)?;
        }
        output.flush()?;
    }
    Ok(())
}

fn read_file(input: &mut impl Read, request: &Request) -> std::io::Result<Vec<u8>> {
    if request.file_bytes > request.limits.max_file_bytes {
        return Err(garbage("a file beyond its own limit"));
    }
    let mut bytes = Vec::with_capacity(request.file_bytes as usize);
    input.take(request.file_bytes).read_to_end(&mut bytes)?;
    if (bytes.len() as u64) < request.file_bytes {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

/// Decodes; an answer that fails in any way is a refusal.
fn answer(request: &Request, bytes: Vec<u8>) -> (Answer, Payload) {
    // The client knows the path and puts it into the message.
    let path = Path::new("");
    let decoded = catch_unwind(AssertUnwindSafe(|| decode(path, request, bytes)));
    match decoded.unwrap_or_else(|_| Err(Error::decode(path, "the reader gave up"))) {
        Ok(decoded) => decoded,
        Err(error) => (Answer::Refused(error.into()), Payload::None),
    }
}

fn decode(path: &Path, request: &Request, bytes: Vec<u8>) -> Result<(Answer, Payload)> {
    let limits = &request.limits;
    Ok(match request.ask {
        Ask::Scan => of_scan(read_bytes(path, bytes, limits)?),
        Ask::Picture(deep_grey) => {
            let picture = raster::decode(path, &bytes, deep_grey, limits)?;
            let (width, height) = (picture.width(), picture.height());
            (Answer::Picture { width, height }, Payload::Bytes(picture.into_pixels()))
        }
        Ask::Mask => {
            let mask = mask::from_bytes(path, &bytes, limits)?;
            let inside = mask.inside.into_iter().map(u8::from).collect();
            (Answer::Mask { width: mask.width, height: mask.height }, Payload::Bytes(inside))
        }
        Ask::LabelMap => {
            let map = label::from_bytes(path, &bytes, limits)?;
            let grid = Grid { dims: map.dims, spacing: map.spacing, affine: map.affine };
            (Answer::LabelMap(grid), Payload::Words(map.values))
        }
        Ask::Header => {
            let header = DicomFile::header_from_bytes(path, bytes, limits)?;
            (Answer::Header(HeaderFacts::of(&header)), Payload::None)
        }
        Ask::Summary => {
            let header = DicomFile::header_from_bytes(path, bytes, limits)?;
            (Answer::Summary(Box::new(DicomSummary::of(&header))), Payload::None)
        }
        Ask::SliceHead => (Answer::SliceHead(Box::new(Slice::of(path, bytes, limits)?)), Payload::None),
        Ask::SlicePixels => {
            let SlicePixels { scan, values, padding } = SlicePixels::of(path, bytes, limits)?;
            let num_values = values.len() as u64;
            (Answer::SlicePixels { facts: Facts::of(scan).0, padding, num_values }, Payload::Floats(values))
        }
        Ask::Segmentation => {
            document(path, &Segmentation::of(DicomFile::from_bytes(path, bytes, limits)?, limits)?.facts)?
        }
        Ask::Segment { number, grid } => {
            let segmentation = Segmentation::of(DicomFile::from_bytes(path, bytes, limits)?, limits)?;
            let Grid { dims, spacing, affine } = grid;
            let volume = Volume { dims, spacing, values: Vec::new(), affine, padding: None };
            (Answer::LabelMap(grid), Payload::Words(segmentation.label_map(number, &volume)?.values))
        }
        Ask::Structures => document(path, &StructureSet::of(&DicomFile::from_bytes(path, bytes, limits)?)?)?,
        Ask::Measurements => document(path, &measurements_of(&DicomFile::from_bytes(path, bytes, limits)?)?)?,
    })
}

fn document<T: Serialize>(path: &Path, value: &T) -> Result<(Answer, Payload)> {
    let bytes = postcard::to_stdvec(value).map_err(|error| Error::decode(path, error))?;
    Ok((Answer::Document { num_bytes: bytes.len() as u64 }, Payload::Bytes(bytes)))
}

fn of_scan(scan: Scan) -> (Answer, Payload) {
    let (facts, content) = Facts::of(scan);
    match content {
        Content::Picture(picture) => {
            let shape = Shape::Picture { width: picture.width(), height: picture.height() };
            (Answer::Scan { facts, shape }, Payload::Bytes(picture.into_pixels()))
        }
        Content::Volume(volume) => {
            let grid = Grid { dims: volume.dims, spacing: volume.spacing, affine: volume.affine };
            let shape = Shape::Volume { grid, padding: volume.padding };
            (Answer::Scan { facts, shape }, Payload::Floats(volume.values))
        }
    }
}
