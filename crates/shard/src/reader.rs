//! Reads a dataset folder, a row group at a time.

use crate::columns::BatchReader;
use crate::hashing::sha256_file;
use crate::{EncodedImage, Error, Manifest, Quarantined, Result};
use arrow_array::RecordBatch;
use gmai_schema::{Conversation, Split};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use std::fs::File;
use std::path::{Path, PathBuf};

/// Rows decoded at once: a row group as [`crate::Writer`] makes them.
const BATCH_ROWS: usize = 100;

/// A finished dataset folder.
#[derive(Debug, Clone)]
pub struct Reader {
    folder: PathBuf,
    manifest: Manifest,
}

/// One row of a dataset.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The text and all that is known of it.
    pub conversation: Conversation,
    /// One picture per `<image>` marker. Rows of one record have pictures of equal `path`: decode once, cache by it.
    pub images: Vec<EncodedImage>,
}

impl Reader {
    /// Opens a dataset folder: reads the manifest, not yet the shards.
    pub fn open(folder: &Path) -> Result<Reader> {
        Ok(Reader { folder: folder.to_path_buf(), manifest: Manifest::read(folder)? })
    }

    /// What the folder holds.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The folder it was opened from.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Rows of one split.
    pub fn num_rows(&self, split: Split) -> usize {
        self.manifest.num_rows(split) as usize
    }

    /// Checks every shard against the hash in the manifest.
    pub fn verify(&self) -> Result<()> {
        let shards = self.manifest.shards.iter().map(|shard| (shard.file.as_str(), &shard.sha256));
        for (file, expected) in shards.chain([("quarantine.jsonl", &self.manifest.quarantine_sha256)]) {
            let path = self.folder.join(file);
            let found = sha256_file(&path)?;
            if found != *expected {
                return Err(Error::Changed { path, expected: expected.clone(), found });
            }
        }
        Ok(())
    }

    /// The rows of one split in the order in which they were written. Memory holds one row group at a time.
    ///
    /// After an error the iterator ends.
    pub fn samples(&self, split: Split) -> Samples {
        let shards = self.manifest.shards.iter().filter(|shard| shard.split == split);
        let mut pending: Vec<_> = shards.map(|shard| self.folder.join(&shard.file)).collect();
        pending.reverse();
        Samples { pending, current: None, ready: Vec::new() }
    }

    /// Every line of `quarantine.jsonl`.
    pub fn quarantined(&self) -> Result<Vec<Quarantined>> {
        let path = self.folder.join("quarantine.jsonl");
        let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
        let line = |(index, line): (usize, &str)| {
            serde_json::from_str(line).map_err(|error| Error::BadManifest {
                path: path.clone(),
                reason: format!("line {}: {error}", index + 1),
            })
        };
        text.lines().enumerate().map(line).collect()
    }
}

/// The shard that is being read.
struct OpenShard {
    path: PathBuf,
    batches: ParquetRecordBatchReader,
    rows_read: usize,
}

/// The rows of a split: see [`Reader::samples`].
pub struct Samples {
    /// Shards not yet opened, the next one last.
    pending: Vec<PathBuf>,
    current: Option<OpenShard>,
    /// Decoded rows, the next one last.
    ready: Vec<Sample>,
}

impl Samples {
    fn open(path: PathBuf) -> Result<OpenShard> {
        let file = File::open(&path).map_err(Error::io(&path))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(Error::parquet(&path))?;
        let batches = builder.with_batch_size(BATCH_ROWS).build().map_err(Error::parquet(&path))?;
        Ok(OpenShard { path, batches, rows_read: 0 })
    }

    /// Decodes the next batch into `ready`; `false` at the end of the split.
    fn advance(&mut self) -> Result<bool> {
        loop {
            let Some(shard) = &mut self.current else {
                let Some(path) = self.pending.pop() else { return Ok(false) };
                self.current = Some(Samples::open(path)?);
                continue;
            };
            match shard.batches.next() {
                None => self.current = None,
                Some(Err(error)) => return Err(Error::parquet(&shard.path)(error.into())),
                Some(Ok(batch)) => {
                    self.ready = read_batch(&batch, &shard.path, shard.rows_read)?;
                    shard.rows_read += batch.num_rows();
                    return Ok(true);
                }
            }
        }
    }
}

/// The rows of a batch, last one first.
fn read_batch(batch: &RecordBatch, path: &Path, first_row: usize) -> Result<Vec<Sample>> {
    let reader = BatchReader::new(batch, path, first_row)?;
    let sample = |row| reader.row(row).map(|row| Sample { conversation: row.conversation, images: row.images });
    (0..batch.num_rows()).rev().map(sample).collect()
}

impl Iterator for Samples {
    type Item = Result<Sample>;

    fn next(&mut self) -> Option<Result<Sample>> {
        while self.ready.is_empty() {
            match self.advance() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.pending.clear();
                    self.current = None;
                    return Some(Err(error));
                }
            }
        }
        self.ready.pop().map(Ok)
    }
}
