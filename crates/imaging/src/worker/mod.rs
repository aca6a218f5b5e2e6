//! Decoding in another process, which can do nothing but decode: what a hostile file breaks there, it breaks for itself alone.
//!
//! ```text
//! pool.rs      client: processes that wait, what they are allowed, what their end means; watchdog.rs ends the late ones
//! protocol.rs  what both say to each other; refusal.rs, errors on their way
//! serve.rs     the process; confine.rs, what it takes from itself first
//! ```
//! The client gates every file (`gate/`), sends its bytes through a pipe and reads raw pixels back: the process needs no path,
//! no network and no disk. One process decodes many files, one after the other; one that dies, hangs or answers garbage is
//! replaced, and its file has an error that says so.

mod confine;
mod pool;
mod protocol;
mod refusal;
mod serve;
mod watchdog;

pub(crate) use pool::Workers;
pub(crate) use protocol::{Ask, Grid};
pub use serve::serve_decode_worker;

use crate::error::{Error, Result};
use crate::label::LabelMap;
use crate::mask::Mask;
use crate::series::{HeaderFacts, Slice, SlicePixels};
use crate::summary::DicomSummary;
use crate::volume::Volume;
use crate::{Content, Scan};
use gmai_schema::Rgb8;
use protocol::{Answer, Facts, Payload, Shape};
use serde::de::DeserializeOwned;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// How decoding processes are started, and what each may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerOptions {
    /// The program; it must call [`serve_decode_worker`] when it gets these arguments.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Address space of a process in bytes. Volumes have more where their size, checked before, needs it.
    pub memory_bytes: u64,
    /// Processor time for one file in seconds; volumes of more than 16 million voxels have more.
    pub cpu_seconds: u64,
}

impl WorkerOptions {
    /// 1 GiB and 5 seconds for each process of `program`, started with `arguments`.
    pub fn new(program: PathBuf, arguments: Vec<OsString>) -> WorkerOptions {
        WorkerOptions { program, arguments, memory_bytes: 1 << 30, cpu_seconds: 5 }
    }
}

/// An answer with its pixels.
#[derive(Debug)]
pub(crate) struct Answered {
    answer: Answer,
    payload: Payload,
}

impl Answered {
    pub(crate) fn scan(self, path: &Path) -> Result<Scan> {
        match (self.answer, self.payload) {
            (Answer::Scan { facts, shape: Shape::Picture { width, height } }, Payload::Bytes(pixels)) => {
                Ok(facts.with(Content::Picture(rgb(path, width, height, pixels)?)))
            }
            (Answer::Scan { facts, shape: Shape::Volume { grid, padding } }, Payload::Floats(values)) => {
                let Grid { dims, spacing, affine } = grid;
                Ok(facts.with(Content::Volume(Volume { dims, spacing, values, affine, padding })))
            }
            (answer, _) => Err(no_answer(path, answer)),
        }
    }

    pub(crate) fn picture(self, path: &Path) -> Result<Rgb8> {
        match (self.answer, self.payload) {
            (Answer::Picture { width, height }, Payload::Bytes(pixels)) => rgb(path, width, height, pixels),
            (answer, _) => Err(no_answer(path, answer)),
        }
    }

    pub(crate) fn mask(self, path: &Path) -> Result<Mask> {
        match (self.answer, self.payload) {
            (Answer::Mask { width, height }, Payload::Bytes(inside)) => {
                Ok(Mask { width, height, inside: inside.into_iter().map(|byte| byte != 0).collect() })
            }
            (answer, _) => Err(no_answer(path, answer)),
        }
    }

    pub(crate) fn label_map(self, path: &Path) -> Result<LabelMap> {
        match (self.answer, self.payload) {
            (Answer::LabelMap(Grid { dims, spacing, affine }), Payload::Words(values)) => {
                Ok(LabelMap { dims, spacing, values, affine })
            }
            (answer, _) => Err(no_answer(path, answer)),
        }
    }

    /// What was asked for as a document.
    pub(crate) fn document<T: DeserializeOwned>(self, path: &Path) -> Result<T> {
        match (self.answer, self.payload) {
            (Answer::Document { .. }, Payload::Bytes(bytes)) => match postcard::take_from_bytes(&bytes) {
                Ok((document, [])) => Ok(document),
                _ => Err(another(path)),
            },
            (answer, _) => Err(no_answer(path, answer)),
        }
    }

    pub(crate) fn header(self, path: &Path) -> Result<HeaderFacts> {
        match self.answer {
            Answer::Header(facts) => Ok(facts),
            answer => Err(no_answer(path, answer)),
        }
    }

    pub(crate) fn summary(self, path: &Path) -> Result<DicomSummary> {
        match self.answer {
            Answer::Summary(summary) => Ok(*summary),
            answer => Err(no_answer(path, answer)),
        }
    }

    pub(crate) fn slice_head(self, path: &Path) -> Result<Slice> {
        match self.answer {
            Answer::SliceHead(mut slice) => {
                slice.path = path.into();
                Ok(*slice)
            }
            answer => Err(no_answer(path, answer)),
        }
    }

    pub(crate) fn slice_pixels(self, path: &Path) -> Result<SlicePixels> {
        match (self.answer, self.payload) {
            (Answer::SlicePixels { facts, padding, .. }, Payload::Floats(values)) => {
                let scan = Facts::with(facts, Content::Picture(Rgb8::filled(1, 1, [0; 3])));
                Ok(SlicePixels { scan, values, padding })
            }
            (answer, _) => Err(no_answer(path, answer)),
        }
    }
}

fn rgb(path: &Path, width: u32, height: u32, pixels: Vec<u8>) -> Result<Rgb8> {
    Rgb8::new(width, height, pixels).ok_or_else(|| Error::malformed(path, "image size", "is 0"))
}

/// A refusal as the error that it is; an answer to another question as a process that went wrong.
fn no_answer(path: &Path, answer: Answer) -> Error {
    match answer {
        Answer::Refused(refusal) => refusal.into_error(path),
        _ => another(path),
    }
}

/// An answer to another question.
pub(crate) fn another(path: &Path) -> Error {
    Error::DecodingStopped { path: path.into(), reason: "the decoding process answered another question".into() }
}
