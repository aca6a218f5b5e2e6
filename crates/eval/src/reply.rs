//! Replies: what a model said, stored once, append-only, one JSON line each.

use crate::error::{Error, Result};
use crate::jsonl::{Lines, read_lines};
use gmai_schema::{FinishReason, OptionLikelihood, Rgb8};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// What the model sees in place of the question's pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// The pictures themselves.
    Real,
    /// Mid-grey pictures of the same size: what is still right needed no picture.
    Blank,
}

/// Grey of [`Control::Blank`], the middle of the 8-bit range.
const BLANK_GREY: u8 = 128;

impl Control {
    /// Every control.
    pub const ALL: [Control; 2] = [Control::Real, Control::Blank];

    /// The key written in files and file names.
    pub fn key(self) -> &'static str {
        match self {
            Control::Real => "real",
            Control::Blank => "blank",
        }
    }

    /// Usual name of the reply file in a run's folder, e.g. `replies-blank.jsonl`.
    pub fn file_name(self) -> String {
        format!("replies-{}.jsonl", self.key())
    }

    /// The picture shown for `image`.
    pub fn apply(self, image: Rgb8) -> Rgb8 {
        match self {
            Control::Real => image,
            Control::Blank => Rgb8::filled(image.width(), image.height(), [BLANK_GREY; 3]),
        }
    }
}

/// What a model said to one question under one control.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// Id of the question.
    pub question: String,
    /// What the model saw.
    pub control: Control,
    /// SHA-256 of the prompt, in hex.
    pub prompt_sha256: String,
    /// SHA-256 of each picture shown (width, height, pixels), in hex: a blank picture never passes for the real one.
    pub image_sha256: Vec<String>,
    /// How it was asked, e.g. `options=A,B,C,D max_tokens=8 temperature=0`.
    pub settings: String,
    /// Identity of the weights that answered.
    pub checkpoint: String,
    /// The text written; empty when none was asked for.
    pub text: String,
    /// Tokens written.
    pub num_tokens: usize,
    /// Sum of their log-probabilities.
    pub log_probability: f64,
    /// Likelihood of each option, in the order of the letters (or yes, no); empty when none was asked for.
    pub options: Vec<OptionLikelihood>,
    /// Why writing stopped.
    pub finish: FinishReason,
    /// Why there is no answer, when the model refused the request; such a reply counts as wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// Everything that makes two requests the same: equal keys are asked once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ReplyKey {
    pub question: String,
    pub control: Control,
    pub prompt_sha256: String,
    pub image_sha256: Vec<String>,
    pub settings: String,
    pub checkpoint: String,
}

impl Reply {
    pub(crate) fn key(&self) -> ReplyKey {
        ReplyKey {
            question: self.question.clone(),
            control: self.control,
            prompt_sha256: self.prompt_sha256.clone(),
            image_sha256: self.image_sha256.clone(),
            settings: self.settings.clone(),
            checkpoint: self.checkpoint.clone(),
        }
    }

    /// Whether every number can be written as JSON and compared.
    pub(crate) fn is_finite(&self) -> bool {
        self.log_probability.is_finite()
            && self.options.iter().all(|option| option.log_probability.is_finite() && option.probability.is_finite())
    }
}

/// SHA-256 of a prompt, in hex.
pub(crate) fn prompt_sha256(prompt: &str) -> String {
    hex(&Sha256::digest(prompt.as_bytes()))
}

/// SHA-256 of a picture's width, height (little-endian, 4 bytes each) and pixels, in hex.
pub(crate) fn image_sha256(image: &Rgb8) -> String {
    let mut hash = Sha256::new();
    hash.update(image.width().to_le_bytes());
    hash.update(image.height().to_le_bytes());
    hash.update(image.pixels());
    hex(&hash.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads every reply of a file, in file order; a torn last line is left out.
///
/// # Errors
/// A complete line that is not a reply, or a file that cannot be read.
pub fn read_replies(path: &Path) -> Result<Vec<Reply>> {
    let file = File::open(path).map_err(Error::file(path, "open"))?;
    let lines: Lines<Reply> = read_lines(&file, path)?;
    match lines.damaged.first() {
        Some(&line) => Err(Error::BadLine { path: path.to_path_buf(), line }),
        None => Ok(lines.values),
    }
}

/// The reply file of one run: replies are added at its end and found by key.
pub(crate) struct ReplyStore {
    path: PathBuf,
    file: File,
    by_key: BTreeMap<ReplyKey, Reply>,
    /// Lines that could not be read; their questions are asked again.
    pub num_damaged: usize,
}

impl ReplyStore {
    /// Opens or creates the file, locks it against other writers, drops a torn last line.
    pub fn open(path: &Path) -> Result<ReplyStore> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(Error::file(path, "open"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Busy { path: path.to_path_buf() }),
            Err(TryLockError::Error(_)) => {} // Some network file systems have no locks; the file is still usable.
        }
        let lines: Lines<Reply> = read_lines(&file, path)?;
        file.set_len(lines.complete_bytes).map_err(Error::file(path, "shorten"))?;
        file.seek(SeekFrom::End(0)).map_err(Error::file(path, "seek in"))?;
        let by_key = lines.values.into_iter().map(|reply| (reply.key(), reply)).collect();
        Ok(ReplyStore { path: path.to_path_buf(), file, by_key, num_damaged: lines.damaged.len() })
    }

    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    pub fn get(&self, key: &ReplyKey) -> Option<&Reply> {
        self.by_key.get(key)
    }

    /// Adds replies and waits until the disk has them. Returns them as a later run will read them.
    ///
    /// A key that is already stored keeps its first reply.
    pub fn append(&mut self, replies: Vec<Reply>) -> Result<Vec<Reply>> {
        let mut bytes = Vec::new();
        let mut stored = Vec::with_capacity(replies.len());
        for reply in replies {
            let key = reply.key();
            if let Some(earlier) = self.by_key.get(&key) {
                stored.push(earlier.clone());
                continue;
            }
            let encode = |source| Error::Encode { path: self.path.clone(), id: reply.question.clone(), source };
            let line = serde_json::to_string(&reply).map_err(encode)?;
            // Read back: the shortest decimal form may differ from the number in memory by one unit in the last place,
            // and a resumed run must not differ from an uninterrupted one.
            let reply: Reply = serde_json::from_str(&line).map_err(encode)?;
            bytes.extend_from_slice(line.as_bytes());
            bytes.push(b'\n');
            self.by_key.insert(key, reply.clone());
            stored.push(reply);
        }
        self.file.write_all(&bytes).map_err(Error::file(&self.path, "write"))?;
        self.file.sync_data().map_err(Error::file(&self.path, "write"))?;
        Ok(stored)
    }
}
