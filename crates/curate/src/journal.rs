//! What was read of each item, in a file: memory need not hold it until it is written, and a run that was killed goes on from it.
//!
//! ```text
//! head      identity of the run: what the file was made from; a journal of anything else is begun anew
//! frame     one item: lengths, checksum, records (CBOR), fingerprints, pictures
//! ...
//! ```
//! Frames stand in the order of the items, so those of a killed run are a beginning of what the next one needs. A torn frame is the
//! last one; its checksum does not fit, and it is read again from its files.

use crate::ledger::Ledger;
use crate::load::Loaded;
use crate::similarity::{Fingerprint, PRINT_BYTES};
use crate::table::RowId;
use crate::{Error, Result};
use gmai_schema::Record;
use gmai_shard::{Deidentified, EncodedImage};
use serde::{Deserialize, Serialize};
use std::fs::{File, TryLockError};
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Changes with everything that a frame holds or means.
const FORMAT: &str = "gmai-journal-1";
/// Bytes before the payload of a frame.
const HEAD_BYTES: usize = 32;
/// Bytes that pass through memory at a time.
const BUFFER_BYTES: usize = 1 << 18;
/// The longest payload that is believed: a volume has at most some ten thousand slices of some kilobytes.
const MAX_PAYLOAD_BYTES: u32 = 1 << 30;

/// The file of what was read.
pub(crate) struct Journal {
    path: PathBuf,
    writer: BufWriter<File>,
    reader: BufReader<File>,
    /// Where the first frame begins.
    start: u64,
    /// Where the next frame begins.
    end: u64,
    /// Whether frames of an earlier run may follow at `end`.
    replaying: bool,
}

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// Where its frame begins.
    pub(crate) frame: u64,
    /// Its place among the frame's records.
    pub(crate) index: u32,
}

/// A record as it is kept.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) record: Record,
    /// Keys and lengths of its pictures.
    pictures: Vec<(String, u64)>,
    num_prints: u32,
    /// Whether something that was marked is missing from the record, so that it must not count.
    pub(crate) incomplete: bool,
}

/// What an item gave, without pictures.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) entries: Vec<Entry>,
    pub(crate) num_annotations: u64,
    pub(crate) rows: Vec<RowId>,
    pub(crate) dice: Vec<f64>,
    pub(crate) ledger: Ledger,
    pub(crate) deidentified: Deidentified,
}

/// A frame, read.
pub(crate) struct Frame {
    pub(crate) kept: Kept,
    /// Where it begins.
    pub(crate) start: u64,
    prints: Vec<Fingerprint>,
    /// Where its pictures begin.
    pictures: u64,
}

/// A picture that waits to be written.
#[derive(Debug, Clone)]
pub(crate) struct Spooled {
    key: String,
    start: u64,
    length: u64,
}

/// A record with its pictures.
pub(crate) type WithPictures = (Entry, Vec<Spooled>);

/// The lengths of a frame.
#[derive(Debug, Clone, Copy)]
struct Head {
    source: u32,
    payload: u32,
    prints: u32,
    pictures: u64,
    checksum: u32,
}

impl Head {
    fn to_bytes(self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        bytes[..4].copy_from_slice(b"item");
        for (place, number) in [self.source, self.payload, self.prints].into_iter().enumerate() {
            bytes[4 * place + 4..][..4].copy_from_slice(&number.to_le_bytes());
        }
        bytes[16..24].copy_from_slice(&self.pictures.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.checksum.to_le_bytes());
        let own = crc32fast::hash(&bytes[..28]);
        bytes[28..].copy_from_slice(&own.to_le_bytes());
        bytes
    }

    /// `None` when the bytes are no head.
    fn from_bytes(bytes: &[u8; HEAD_BYTES]) -> Option<Head> {
        let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let sound = bytes[..4] == *b"item" && number(28) == crc32fast::hash(&bytes[..28]);
        let head = Head {
            source: number(4),
            payload: number(8),
            prints: number(12),
            pictures: u64::from(number(16)) | u64::from(number(20)) << 32,
            checksum: number(24),
        };
        (sound && head.payload <= MAX_PAYLOAD_BYTES).then_some(head)
    }

    fn prints_bytes(&self) -> u64 {
        u64::from(self.prints) * PRINT_BYTES as u64
    }

    /// Bytes of the frame, head included.
    fn length(&self) -> u64 {
        HEAD_BYTES as u64 + u64::from(self.payload) + self.prints_bytes() + self.pictures
    }
}

impl Journal {
    /// Opens the journal in `folder`; that of a run with another identity is emptied. Fails while another process has it open.
    pub(crate) fn open(folder: &Path, identity: &str) -> Result<Journal> {
        let path = folder.join("read.journal");
        let wrap = |error| Error::io(&path)(error);
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(wrap)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Busy { folder: folder.to_path_buf() }),
            Err(TryLockError::Error(error)) => return Err(wrap(error)),
        }
        let identity = format!("{FORMAT}\n{identity}\n\0");
        let mut found = vec![0; identity.len()];
        let replaying = file.read_exact(&mut found).is_ok() && found == identity.as_bytes();
        if !replaying {
            file.set_len(0).map_err(wrap)?;
            file.seek(SeekFrom::Start(0)).map_err(wrap)?;
            file.write_all(identity.as_bytes()).map_err(wrap)?;
        }
        let reader = BufReader::with_capacity(BUFFER_BYTES, File::open(&path).map_err(wrap)?);
        let start = identity.len() as u64;
        let writer = BufWriter::with_capacity(BUFFER_BYTES, file);
        Ok(Journal { path, writer, reader, start, end: start, replaying })
    }

    /// The next item of an earlier run, if it was of this source and is whole.
    pub(crate) fn replay(&mut self, source: u32) -> Result<Option<Frame>> {
        if !self.replaying {
            return Ok(None);
        }
        let Some(head) = self.head(self.end)? else {
            self.replaying = false;
            return Ok(None);
        };
        if head.source != source {
            return Ok(None);
        }
        let Some(frame) = self.body(self.end, head, Check::Whole)? else {
            self.replaying = false;
            return Ok(None);
        };
        self.end += head.length();
        Ok(Some(frame))
    }

    /// Adds what an item gave. Frames of an earlier run that were not replayed are dropped.
    pub(crate) fn append(&mut self, source: u32, loaded: Loaded, rows: &[RowId]) -> Result<Frame> {
        if self.replaying || self.end == self.start {
            self.replaying = false;
            self.writer.get_ref().set_len(self.end).map_err(Error::io(&self.path))?;
            // What was read ahead is no longer there.
            self.reader.seek(SeekFrom::Start(self.end)).map_err(Error::io(&self.path))?;
        }
        let Loaded { prepared, num_annotations, dice, ledger, deidentified } = loaded;
        let (mut entries, mut prints, mut pictures) = (Vec::new(), Vec::new(), Vec::new());
        for one in prepared {
            let keys = one.pictures.iter().map(|picture| (picture.path.clone(), picture.bytes.len() as u64)).collect();
            let num_prints = one.fingerprints.len() as u32;
            entries.push(Entry { record: one.record, pictures: keys, num_prints, incomplete: one.incomplete });
            prints.extend(one.fingerprints);
            pictures.extend(one.pictures);
        }
        let kept = Kept { entries, num_annotations, rows: rows.to_vec(), dice, ledger, deidentified };
        let mut payload = Vec::new();
        ciborium::into_writer(&kept, &mut payload).expect("records have no keys but text and no recursion");
        let stored: Vec<[u8; PRINT_BYTES]> = prints.iter().map(Fingerprint::to_bytes).collect();
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(&payload);
        checksum.update(stored.as_flattened());
        pictures.iter().for_each(|picture| checksum.update(&picture.bytes));
        let head = Head {
            source,
            payload: payload.len() as u32,
            prints: prints.len() as u32,
            pictures: pictures.iter().map(|picture| picture.bytes.len() as u64).sum(),
            checksum: checksum.finalize(),
        };
        self.write(&head, [&payload, stored.as_flattened()], &pictures).map_err(Error::io(&self.path))?;
        let start = self.end;
        self.end += head.length();
        Ok(Frame { kept, start, prints, pictures: self.end - head.pictures })
    }

    fn write(&mut self, head: &Head, parts: [&[u8]; 2], pictures: &[EncodedImage]) -> std::io::Result<()> {
        self.writer.seek(SeekFrom::Start(self.end))?;
        self.writer.write_all(&head.to_bytes())?;
        for part in parts {
            self.writer.write_all(part)?;
        }
        for picture in pictures {
            self.writer.write_all(&picture.bytes)?;
        }
        // What was given to the system survives the end of this process.
        self.writer.flush()
    }

    /// The frame at `start`, without a look at its pictures.
    pub(crate) fn frame(&mut self, start: u64) -> Result<Frame> {
        let frame = match self.head(start)? {
            Some(head) => self.body(start, head, Check::Lengths)?,
            None => None,
        };
        frame.ok_or_else(|| self.damaged())
    }

    /// Where the first frame begins, for [`next`](Journal::next).
    pub(crate) fn first(&self) -> u64 {
        self.start
    }

    /// The frame at `at`, which is moved behind it; `None` behind the last.
    pub(crate) fn next(&mut self, at: &mut u64) -> Result<Option<Frame>> {
        if *at >= self.end {
            return Ok(None);
        }
        let frame = self.frame(*at)?;
        *at = frame.end();
        Ok(Some(frame))
    }

    /// The record at a position.
    pub(crate) fn record(&mut self, position: Position) -> Result<Record> {
        let mut frame = self.frame(position.frame)?;
        let index = position.index as usize;
        if index >= frame.kept.entries.len() {
            return Err(self.damaged());
        }
        Ok(frame.kept.entries.swap_remove(index).record)
    }

    /// A picture of a frame.
    pub(crate) fn picture(&mut self, spooled: &Spooled) -> Result<EncodedImage> {
        let mut bytes = vec![0; spooled.length as usize];
        self.seek(spooled.start)?;
        self.reader.read_exact(&mut bytes).map_err(Error::io(&self.path))?;
        Ok(EncodedImage { bytes, path: spooled.key.clone() })
    }

    fn seek(&mut self, to: u64) -> Result<()> {
        let wrap = Error::io(&self.path);
        // Within what is buffered nothing is read again.
        let here = self.reader.stream_position().map_err(Error::io(&self.path))?;
        self.reader.seek_relative(to as i64 - here as i64).map_err(wrap)
    }

    /// The head at `start`; `None` where no whole frame follows.
    fn head(&mut self, start: u64) -> Result<Option<Head>> {
        let length = self.reader.get_ref().metadata().map_err(Error::io(&self.path))?.len();
        if start + HEAD_BYTES as u64 > length {
            return Ok(None);
        }
        self.seek(start)?;
        let mut bytes = [0; HEAD_BYTES];
        self.reader.read_exact(&mut bytes).map_err(Error::io(&self.path))?;
        let head = Head::from_bytes(&bytes);
        Ok(head.filter(|head| head.pictures <= length && start + head.length() <= length))
    }

    /// What follows a head that was just read; `None` when it is not what was written.
    fn body(&mut self, start: u64, head: Head, check: Check) -> Result<Option<Frame>> {
        let mut bytes = vec![0; head.payload as usize + head.prints_bytes() as usize];
        self.reader.read_exact(&mut bytes).map_err(Error::io(&self.path))?;
        if check == Check::Whole {
            let mut checksum = crc32fast::Hasher::new();
            checksum.update(&bytes);
            let mut left = head.pictures;
            let mut buffer = vec![0; BUFFER_BYTES.min(left as usize)];
            while left > 0 {
                let part = &mut buffer[..BUFFER_BYTES.min(left as usize)];
                self.reader.read_exact(part).map_err(Error::io(&self.path))?;
                checksum.update(part);
                left -= part.len() as u64;
            }
            if checksum.finalize() != head.checksum {
                return Ok(None);
            }
        }
        let (payload, prints) = bytes.split_at(head.payload as usize);
        let Ok(kept) = ciborium::from_reader::<Kept, _>(payload) else { return Ok(None) };
        let num_prints: u64 = kept.entries.iter().map(|entry| u64::from(entry.num_prints)).sum();
        if num_prints != u64::from(head.prints) {
            return Ok(None);
        }
        let prints = prints.as_chunks::<PRINT_BYTES>().0.iter().map(Fingerprint::from_bytes).collect();
        Ok(Some(Frame { kept, start, prints, pictures: start + head.length() - head.pictures }))
    }

    /// The error for a file that is not what was written.
    pub(crate) fn damaged(&self) -> Error {
        Error::Work { path: self.path.clone(), reason: "it was changed while this run used it".to_string() }
    }
}

/// What of a frame is compared with its checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Check {
    Whole,
    Lengths,
}

impl Frame {
    fn end(&self) -> u64 {
        let entries = self.kept.entries.iter();
        self.pictures + entries.flat_map(|entry| &entry.pictures).map(|(_, length)| length).sum::<u64>()
    }

    /// Each record with its fingerprints.
    pub(crate) fn prints(&self) -> impl Iterator<Item = (&Entry, &[Fingerprint])> {
        let mut rest = self.prints.as_slice();
        self.kept.entries.iter().map(move |entry| {
            let (own, others) = rest.split_at(entry.num_prints as usize);
            rest = others;
            (entry, own)
        })
    }

    /// The records with their pictures, and what belongs to the item as a whole: its annotations, and its rows of tables.
    pub(crate) fn into_entries(self) -> (Vec<WithPictures>, u64, Vec<RowId>) {
        let mut start = self.pictures;
        let with_pictures = |mut entry: Entry| {
            let place = |(key, length): (String, u64)| {
                let spooled = Spooled { key, start, length };
                start += length;
                spooled
            };
            let pictures = std::mem::take(&mut entry.pictures).into_iter().map(place).collect();
            (entry, pictures)
        };
        let Kept { entries, num_annotations, rows, .. } = self.kept;
        (entries.into_iter().map(with_pictures).collect(), num_annotations, rows)
    }
}
