//! Pictures of benchmarks that must not be in training data: a folder, a dataset, a TSV or Parquet file, or a list of hashes.

use crate::fingerprint::Fingerprint;
use crate::pictures::{self, Collection};
use crate::{Error, Result};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gmai_schema::{Progress, Rgb8};
use gmai_shard::Reader;
use image::{ImageReader, Limits};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor};
use std::path::Path;

/// The most bytes that decoding one picture may take.
const MAX_DECODED_BYTES: u64 = 256 << 20;
/// The most characters of one TSV field: a picture of 48 MiB in base64.
const MAX_FIELD: usize = 64 << 20;
/// Rows of a Parquet file decoded at once.
const BATCH_ROWS: usize = 16;

/// A benchmark, ready to be looked up.
#[derive(Debug, Clone, Default)]
pub struct Benchmark {
    /// Names of the pictures, in order.
    pub names: Vec<String>,
    /// Their fingerprints; empty for a list of hashes.
    pub prints: Vec<Fingerprint>,
    /// Names by SHA-256 in hex of files, stored bytes or pixels.
    pub hashes: HashMap<String, String>,
    /// Pictures that cannot be read.
    pub unreadable: Vec<pictures::Unreadable>,
}

impl Benchmark {
    fn of(collection: Collection) -> Benchmark {
        let mut benchmark = Benchmark { unreadable: collection.unreadable, ..Benchmark::default() };
        for pictured in collection.pictures {
            let hashes = pictured.hashes.into_iter().filter(|hash| !hash.is_empty());
            benchmark.hashes.extend(hashes.map(|hash| (hash, pictured.name.clone())));
            benchmark.names.push(pictured.name);
            benchmark.prints.push(pictured.print);
        }
        benchmark
    }

    /// Both benchmarks as one.
    pub fn joined(mut self, other: Benchmark) -> Benchmark {
        self.names.extend(other.names);
        self.prints.extend(other.prints);
        self.hashes.extend(other.hashes);
        self.unreadable.extend(other.unreadable);
        self
    }

    fn add(&mut self, name: String, bytes: &[u8]) {
        match decode(bytes) {
            Ok(picture) => {
                self.names.push(name);
                self.prints.push(Fingerprint::of(&picture));
            }
            Err(reason) => self.unreadable.push(pictures::Unreadable { name, reason }),
        }
    }

    /// Reads what lies at `path`; its kind is found out.
    ///
    /// # Errors
    /// Nothing of a known kind there, a file that cannot be read, or no picture at all.
    pub fn read(path: &Path, on_progress: &mut dyn FnMut(Progress)) -> Result<Benchmark> {
        let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        let benchmark = match ending.as_str() {
            _ if path.join("manifest.json").is_file() => {
                Benchmark::of(pictures::of_dataset(&Reader::open(path)?, on_progress)?)
            }
            _ if path.is_dir() => Benchmark::of_folder(path, on_progress)?,
            "tsv" => of_tsv(path)?,
            "parquet" => of_parquet(path)?,
            _ => of_hashes(path)?,
        };
        match benchmark.names.is_empty() && benchmark.hashes.is_empty() {
            true => Err(Error::NoPictures { path: path.to_path_buf() }),
            false => Ok(benchmark),
        }
    }

    /// Pictures of a folder, and of the TSV and Parquet files that lie in it.
    fn of_folder(path: &Path, on_progress: &mut dyn FnMut(Progress)) -> Result<Benchmark> {
        let mut benchmark = match pictures::of_folder(path, on_progress) {
            Ok(collection) => Benchmark::of(collection),
            Err(Error::NoPictures { .. }) => Benchmark::default(),
            Err(error) => return Err(error),
        };
        let mut tables: Vec<_> =
            std::fs::read_dir(path).map_err(Error::io(path))?.filter_map(|entry| Some(entry.ok()?.path())).collect();
        tables.sort();
        for table in tables {
            let more = match table.extension().and_then(|ending| ending.to_str()) {
                Some("tsv") => of_tsv(&table)?,
                Some("parquet") => of_parquet(&table)?,
                _ => continue,
            };
            benchmark.names.extend(more.names);
            benchmark.prints.extend(more.prints);
            benchmark.unreadable.extend(more.unreadable);
        }
        Ok(benchmark)
    }
}

fn decode(bytes: &[u8]) -> std::result::Result<Rgb8, String> {
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    if bytes.starts_with(&[0xff, 0xd8]) {
        // The pixels that a dataset's own JPEG files decode to: other decoders differ by a level here and there.
        return gmai_shard::EncodedImage::from_jpeg(bytes.to_vec()).decode().map_err(|error| error.to_string());
    }
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| error.to_string())?;
    reader.limits(limits);
    let pixels = reader.decode().map_err(|error| error.to_string())?.into_rgb8();
    let (width, height) = pixels.dimensions();
    Rgb8::new(width, height, pixels.into_raw()).ok_or_else(|| "the picture has no pixels".to_string())
}

/// VLMEvalKit's TSV: a column `image` in base64, which may hold the index of an earlier row instead, and a column `index`.
fn of_tsv(path: &Path) -> Result<Benchmark> {
    let file = File::open(path).map_err(Error::io(path))?;
    let mut reader = csv::ReaderBuilder::new().delimiter(b'\t').flexible(true).from_reader(BufReader::new(file));
    let refused = |error: csv::Error| Error::bad_file(path, "TSV", error.to_string());
    let headers = reader.headers().map_err(refused)?.clone();
    let column = |name: &str| headers.iter().position(|header| header == name);
    let Some(image) = column("image") else {
        let columns: Vec<&str> = headers.iter().collect();
        return Err(Error::bad_file(path, "header", format!("no column `image`; columns are {}", columns.join(", "))));
    };
    let index = column("index");
    let mut benchmark = Benchmark::default();
    for (number, record) in reader.into_records().enumerate() {
        let record = record.map_err(refused)?;
        let field = record.get(image).unwrap_or_default();
        let name = index.and_then(|index| record.get(index)).map_or_else(|| (number + 1).to_string(), str::to_string);
        // Rows about an earlier row's picture name that row; short fields are no picture.
        if field.len() < 64 || field.len() > MAX_FIELD {
            continue;
        }
        match STANDARD.decode(field.trim()) {
            Ok(bytes) => benchmark.add(format!("{} row {name}", file_name(path)), &bytes),
            Err(error) => benchmark.unreadable.push(pictures::Unreadable { name, reason: format!("base64: {error}") }),
        }
    }
    Ok(benchmark)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A Parquet file with pictures as Hugging Face `datasets` stores them: `{bytes, path}`, a list of those, or plain bytes.
fn of_parquet(path: &Path) -> Result<Benchmark> {
    let refused = |reason: String| Error::bad_file(path, "Parquet", reason);
    let file = File::open(path).map_err(Error::io(path))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| refused(error.to_string()))?;
    let batches = builder.with_batch_size(BATCH_ROWS).build().map_err(|error| refused(error.to_string()))?;
    let (mut benchmark, mut row) = (Benchmark::default(), 0);
    for batch in batches {
        let batch = batch.map_err(|error| refused(error.to_string()))?;
        for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
            for index in 0..batch.num_rows() {
                for bytes in pictures_at(column, index) {
                    benchmark.add(format!("{} row {}, {}", file_name(path), row + index + 1, field.name()), &bytes);
                }
            }
        }
        row += batch.num_rows();
    }
    Ok(benchmark)
}

/// Bytes of the pictures in one cell; none when the column holds something else.
fn pictures_at(column: &ArrayRef, index: usize) -> Vec<Vec<u8>> {
    if column.is_null(index) {
        return Vec::new();
    }
    match column.data_type() {
        DataType::Binary => vec![column.as_binary::<i32>().value(index).to_vec()],
        DataType::LargeBinary => vec![column.as_binary::<i64>().value(index).to_vec()],
        DataType::Struct(fields) if fields.iter().any(|field| field.name() == "bytes") => {
            let column = column.as_struct().column_by_name("bytes");
            column.map_or_else(Vec::new, |bytes| pictures_at(bytes, index))
        }
        DataType::List(_) => {
            let items = column.as_list::<i32>().value(index);
            (0..items.len()).flat_map(|item| pictures_at(&items, item)).collect()
        }
        _ => Vec::new(),
    }
}

/// A text file with one hash a line: SHA-256 in hex first, then whatever names the picture (`sha256sum` writes such files).
fn of_hashes(path: &Path) -> Result<Benchmark> {
    let file = BufReader::new(File::open(path).map_err(Error::io(path))?);
    let mut benchmark = Benchmark::default();
    for (number, line) in file.lines().enumerate() {
        let line = line.map_err(Error::io(path))?;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (hash, name) = line.split_once(char::is_whitespace).unwrap_or((line, line));
        if hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let reason = "not a SHA-256 in hex; write one a line, as sha256sum does, or name a .tsv or .parquet file";
            return Err(Error::bad_file(path, format!("line {}", number + 1), reason));
        }
        benchmark.hashes.insert(hash.to_lowercase(), name.trim().trim_start_matches('*').to_string());
    }
    Ok(benchmark)
}
