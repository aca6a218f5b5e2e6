//! A dataset folder to another format.

use crate::companion::{CARD_FILE, COMPANION_FILE, Companion, QUARANTINE_FILE};
use crate::format::{self, Row};
use crate::side::Side;
use crate::staging::Staging;
use crate::{Error, Format, Result};
use gmai_schema::{Progress, Split};
use gmai_shard::Reader;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Rows between two reports of progress.
const ROWS_PER_REPORT: u64 = 100;

/// Where the pictures of OpenAI messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pictures {
    /// Into files, named by path.
    Files,
    /// Into the text, as `data:` URLs.
    Inline,
}

/// What to write, beyond the format.
#[derive(Debug, Clone)]
pub struct ExportOptions {
    /// The splits to write, in this order.
    pub splits: Vec<Split>,
    /// Where the pictures of OpenAI messages go.
    pub pictures: Pictures,
    /// Samples of one WebDataset shard.
    pub samples_per_shard: u64,
    /// Bytes of pictures in one zip of the GMAI-VL layout.
    pub chunk_bytes: u64,
    /// `sample_ratio` of a source in a list file; 1 where nothing is said.
    pub sample_ratios: BTreeMap<String, f64>,
}

impl Default for ExportOptions {
    fn default() -> ExportOptions {
        ExportOptions {
            splits: Split::ALL.to_vec(),
            pictures: Pictures::Files,
            samples_per_shard: 5_000,
            chunk_bytes: 2 << 30,
            sample_ratios: BTreeMap::new(),
        }
    }
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ExportSummary {
    /// Rows, by split.
    pub rows: BTreeMap<String, u64>,
    /// Files that hold text, in reading order.
    pub files: Vec<String>,
}

/// Writes a dataset in `format` to the new folder `out`. Interrupted, it leaves nothing there; the same call begins anew.
///
/// # Errors
/// A damaged dataset, a folder that exists, a full disk; a `sample_ratio` for a source that the dataset does not have.
pub fn export(
    reader: &Reader,
    format: Format,
    out: &Path,
    options: &ExportOptions,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<ExportSummary> {
    let manifest = reader.manifest();
    let known = &manifest.counts.source;
    if let Some(source) = options.sample_ratios.keys().find(|source| !known.contains_key(*source)) {
        let known: Vec<&str> = known.keys().map(String::as_str).collect();
        let reason = format!("the dataset has no such source; its sources are {}", known.join(", "));
        return Err(Error::bad_file(reader.folder(), format!("sample ratio of `{source}`"), reason));
    }
    let staging = Staging::create(out)?;
    let mut sink = format::sink(format, staging.folder(), manifest, options);
    let mut summary = ExportSummary::default();
    let total = options.splits.iter().map(|split| manifest.num_rows(*split)).sum();
    let mut done = 0;
    for split in &options.splits {
        for sample in reader.samples(*split) {
            let sample = sample?;
            let side = Side::text(&sample.conversation, &sample.images);
            sink.push(&Row { conversation: &sample.conversation, images: &sample.images, side })?;
            *summary.rows.entry(split.key().to_string()).or_default() += 1;
            done += 1;
            if done % ROWS_PER_REPORT == 0 || done == total {
                on_progress(Progress {
                    phase: format!("export as {}", format.key()),
                    done,
                    total,
                    note: String::new(),
                });
            }
        }
    }
    let files = sink.finish()?;
    summary.files = files.iter().map(|file| file.file.clone()).collect();
    let is_whole = Split::ALL.iter().all(|split| options.splits.contains(split) || manifest.num_rows(*split) == 0);
    let companion = Companion { format: format.key().to_string(), is_whole, files, manifest: manifest.clone() };
    companion.write(staging.folder())?;
    for (from, to) in [("quarantine.jsonl", QUARANTINE_FILE), (CARD_FILE, CARD_FILE)] {
        let (from, to) = (reader.folder().join(from), staging.folder().join(to));
        std::fs::copy(&from, &to).map_err(Error::io(&from))?;
    }
    debug_assert!(staging.folder().join(COMPANION_FILE).is_file());
    staging.finish()?;
    Ok(summary)
}
