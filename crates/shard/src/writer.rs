//! Writes a dataset folder, the manifest last. Shards are written aside and renamed, and a later run can keep those that are whole.

use crate::columns::{self, Row};
use crate::finished::Finished;
use crate::hashing::{HashingWriter, sha256_file};
use crate::manifest::MANIFEST_FILE;
use crate::{Counts, EncodedImage, Error, Manifest, Quarantined, Result, SCHEMA_VERSION, ShardFile, SourceSummary};
use gmai_schema::{Conversation, Split};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// The most picture bytes in one row group, counted per row. Bounds memory here and in every reader.
const MAX_ROW_GROUP_BYTES: usize = 256 << 20;

/// How rows are laid out in files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterOptions {
    /// Rows of a row group. 100 is what Hugging Face's viewer uses for pictures: larger groups make single rows slow to reach.
    pub rows_per_group: usize,
    /// Rows of a shard file.
    pub rows_per_shard: usize,
    /// A shard file that has become so long is ended, whatever its rows: a file of gigabytes is slow to move and to make again.
    pub bytes_per_shard: u64,
}

impl Default for WriterOptions {
    fn default() -> WriterOptions {
        WriterOptions { rows_per_group: 100, rows_per_shard: 20_000, bytes_per_shard: 512 << 20 }
    }
}

/// What only the maker of the dataset knows, for the manifest and the card.
#[derive(Debug, Clone)]
pub struct WriterSummary {
    /// Name of the dataset.
    pub name: String,
    /// Program and version, e.g. `gmai 0.1.0`.
    pub program: String,
    /// SHA-256 of the configuration.
    pub config_sha256: String,
    /// SHA-256 over all input files.
    pub inputs_sha256: String,
    /// Seed of the split and of the text.
    pub seed: u64,
    /// What each source gave.
    pub sources: Vec<SourceSummary>,
    /// Text of `card.md`.
    pub card: String,
}

/// A shard that is being written, under its name with `.partial` behind it.
struct OpenShard {
    file: String,
    path: PathBuf,
    writer: ArrowWriter<HashingWriter<BufWriter<File>>>,
    rows: usize,
}

/// The rows of one split on their way to disk.
struct SplitWriter {
    split: Split,
    shard: Option<OpenShard>,
    buffer: Vec<Row>,
    buffered_bytes: usize,
    finished: Vec<ShardFile>,
    /// Rows to come that shards of an earlier run hold already.
    rows_kept: u64,
}

/// Writes a dataset folder. Rows keep their order within each split; the same pushes give the same bytes.
pub struct Writer {
    folder: PathBuf,
    options: WriterOptions,
    splits: Vec<SplitWriter>,
    counts: Counts,
    quarantine: BufWriter<File>,
    num_quarantined: u64,
    log: Option<Finished>,
}

/// Whether a writer makes files of this name: those of an interrupted run are removed before a new one begins.
fn is_own_name(name: &str) -> bool {
    let name = name.strip_suffix(".partial").unwrap_or(name);
    ["manifest", "card"].contains(&name) || is_shard_name(name)
}

fn is_shard_name(name: &str) -> bool {
    Split::ALL.iter().any(|split| {
        let number = name.strip_prefix(split.key()).and_then(|rest| rest.strip_prefix('-'));
        let number = number.and_then(|rest| rest.strip_suffix(".parquet"));
        number.is_some_and(|digits| digits.len() >= 5 && digits.bytes().all(|digit| digit.is_ascii_digit()))
    })
}

impl Writer {
    /// Begins a dataset in `folder`, which is made when it does not exist.
    ///
    /// Shards that an interrupted run left there are removed; a folder with a manifest is refused.
    pub fn create(folder: &Path, options: WriterOptions) -> Result<Writer> {
        Writer::begin(folder, options, None)
    }

    /// Like [`create`](Writer::create), but keeps the whole shards of an earlier run that gave the same `log`: the rows in them are then counted
    /// and not written again. The caller answers for that run having pushed the same rows, and removes the log when it did not.
    pub fn resume(folder: &Path, options: WriterOptions, log: &Path) -> Result<Writer> {
        std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
        let log = Finished::open(folder, log)?;
        Writer::begin(folder, options, Some(log))
    }

    fn begin(folder: &Path, options: WriterOptions, log: Option<Finished>) -> Result<Writer> {
        std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
        if folder.join(MANIFEST_FILE).exists() {
            return Err(Error::AlreadyFinished { folder: folder.to_path_buf() });
        }
        let kept: &[ShardFile] = log.as_ref().map_or(&[], |log| log.shards());
        for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
            let entry = entry.map_err(Error::io(folder))?;
            let is_kept = |name: &str| kept.iter().any(|shard| shard.file == name);
            if entry.file_name().to_str().is_some_and(|name| is_own_name(name) && !is_kept(name)) {
                std::fs::remove_file(entry.path()).map_err(Error::io(entry.path()))?;
            }
        }
        let path = folder.join("quarantine.jsonl");
        let quarantine = BufWriter::new(File::create(&path).map_err(Error::io(&path))?);
        let splits = Split::ALL.map(|split| {
            let finished: Vec<ShardFile> = kept.iter().filter(|shard| shard.split == split).cloned().collect();
            let rows_kept = finished.iter().map(|shard| shard.rows).sum();
            SplitWriter { split, shard: None, buffer: Vec::new(), buffered_bytes: 0, finished, rows_kept }
        });
        let (folder, counts) = (folder.to_path_buf(), Counts::default());
        Ok(Writer { folder, options, splits: splits.into(), counts, quarantine, num_quarantined: 0, log })
    }

    /// Rows in shards of an earlier run that were kept.
    pub fn num_kept(&self) -> u64 {
        self.splits.iter().flat_map(|split| &split.finished).map(|shard| shard.rows).sum()
    }

    /// Whether the next row of a split stands in a shard of an earlier run: its pictures are then not looked at.
    pub fn has_next(&self, split: Split) -> bool {
        self.splits.iter().any(|writer| writer.split == split && writer.rows_kept > 0)
    }

    /// Adds a row to the shard of the conversation's split.
    pub fn push(&mut self, conversation: &Conversation, images: &[EncodedImage]) -> Result<()> {
        self.counts.add(conversation);
        let split = self.splits.iter_mut().find(|writer| writer.split == conversation.split);
        let split = split.expect("there is a writer for every split");
        if split.rows_kept > 0 {
            split.rows_kept -= 1;
            return Ok(());
        }
        let num_bytes: usize = images.iter().map(|image| image.bytes.len()).sum();
        if split.buffered_bytes + num_bytes > MAX_ROW_GROUP_BYTES {
            split.write_group(&self.folder)?;
        }
        split.buffer.push(Row { conversation: conversation.clone(), images: images.to_vec() });
        split.buffered_bytes += num_bytes;
        let shard_rows = split.shard.as_ref().map_or(0, |shard| shard.rows) + split.buffer.len();
        let has_all_rows = shard_rows >= self.options.rows_per_shard;
        if has_all_rows || split.buffer.len() >= self.options.rows_per_group {
            split.write_group(&self.folder)?;
        }
        let is_long = |shard: &OpenShard| shard.writer.bytes_written() as u64 >= self.options.bytes_per_shard;
        let shard_is_full = has_all_rows || split.shard.as_ref().is_some_and(is_long);
        // Rows that wait would begin the next one.
        let shard_is_full = shard_is_full && split.buffer.is_empty();
        if shard_is_full
            && let Some(shard) = split.close_shard(&self.folder)?
            && let Some(log) = &mut self.log
        {
            log.add(shard)?;
        }
        Ok(())
    }

    /// Notes a defective input.
    pub fn quarantine(&mut self, entry: &Quarantined) -> Result<()> {
        let path = self.folder.join("quarantine.jsonl");
        let mut line = serde_json::to_string(entry).expect("a struct of strings is JSON");
        line.push('\n');
        self.quarantine.write_all(line.as_bytes()).map_err(Error::io(path))?;
        self.num_quarantined += 1;
        Ok(())
    }

    /// Closes all files and writes the manifest: from now on the folder is a dataset.
    pub fn finish(mut self, summary: WriterSummary) -> Result<Manifest> {
        let mut shards = Vec::new();
        for split in &mut self.splits {
            split.write_group(&self.folder)?;
            split.close_shard(&self.folder)?;
            shards.append(&mut split.finished);
        }
        let quarantine = self.folder.join("quarantine.jsonl");
        let file = self.quarantine.into_inner().map_err(|error| Error::io(&quarantine)(error.into_error()))?;
        file.sync_all().map_err(Error::io(&quarantine))?;
        write_whole(&self.folder.join("card.md"), summary.card.as_bytes())?;
        let manifest = Manifest {
            schema_version: SCHEMA_VERSION,
            name: summary.name,
            program: summary.program,
            config_sha256: summary.config_sha256,
            inputs_sha256: summary.inputs_sha256,
            seed: summary.seed,
            counts: self.counts,
            sources: summary.sources,
            shards,
            num_quarantined: self.num_quarantined,
            quarantine_sha256: sha256_file(&quarantine)?,
        };
        let mut text = serde_json::to_string_pretty(&manifest).expect("a manifest has only text keys");
        text.push('\n');
        write_whole(&self.folder.join(MANIFEST_FILE), text.as_bytes())?;
        sync_folder(&self.folder)?;
        Ok(manifest)
    }
}

/// Writes a file aside and renames it, so that it is there in full or not at all.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let partial = path.with_extension("partial"); // is_own_name() knows it.
    let mut file = File::create(&partial).map_err(Error::io(&partial))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(Error::io(&partial))?;
    std::fs::rename(&partial, path).map_err(Error::io(path))
}

/// Makes renamed files last a loss of power, where the system can do that for folders.
fn sync_folder(folder: &Path) -> Result<()> {
    match File::open(folder) {
        Ok(opened) if cfg!(unix) => opened.sync_all().map_err(Error::io(folder)),
        _ => Ok(()),
    }
}

impl SplitWriter {
    /// Writes the buffered rows as one row group.
    fn write_group(&mut self, folder: &Path) -> Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        if self.shard.is_none() {
            self.shard = Some(self.open_shard(folder)?);
        }
        let shard = self.shard.as_mut().expect("opened above");
        let wrap = |error| Error::writing(&shard.path)(error);
        let batch = columns::to_batch(&self.buffer).map_err(|error| wrap(error.into()))?;
        shard.writer.write(&batch).map_err(wrap)?;
        shard.writer.flush().map_err(wrap)?;
        shard.rows += self.buffer.len();
        self.buffer.clear();
        self.buffered_bytes = 0;
        Ok(())
    }

    fn open_shard(&self, folder: &Path) -> Result<OpenShard> {
        let file = format!("{}-{:05}.parquet", self.split.key(), self.finished.len());
        let path = folder.join(format!("{file}.partial"));
        let sink = BufWriter::new(File::create(&path).map_err(Error::io(&path))?);
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            // A dictionary as large as a row group: the rows of one picture then store its bytes once.
            .set_dictionary_page_size_limit(MAX_ROW_GROUP_BYTES)
            .set_column_statistics_enabled("images.list.item.bytes".into(), EnabledStatistics::None)
            .set_created_by(format!("gmai {}", env!("CARGO_PKG_VERSION")))
            .set_key_value_metadata(Some(vec![KeyValue::new(
                "huggingface".to_string(),
                columns::huggingface_features(),
            )]))
            .build();
        let writer = ArrowWriter::try_new(HashingWriter::new(sink), columns::schema(), Some(properties))
            .map_err(Error::writing(&path))?;
        Ok(OpenShard { file, path, writer, rows: 0 })
    }

    /// Finishes the open shard and gives it its name.
    fn close_shard(&mut self, folder: &Path) -> Result<Option<&ShardFile>> {
        let Some(shard) = self.shard.take() else { return Ok(None) };
        let sink = shard.writer.into_inner().map_err(Error::writing(&shard.path))?;
        let (sink, sha256, bytes) = sink.finish();
        let file = sink.into_inner().map_err(|error| Error::io(&shard.path)(error.into_error()))?;
        file.sync_all().map_err(Error::io(&shard.path))?;
        std::fs::rename(&shard.path, folder.join(&shard.file)).map_err(Error::io(&shard.path))?;
        let rows = shard.rows as u64;
        self.finished.push(ShardFile { file: shard.file, split: self.split, rows, bytes, sha256 });
        Ok(self.finished.last())
    }
}
