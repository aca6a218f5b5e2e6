//! A curate run in order: list, read, compare, split, write, account. What a killed run leaves is taken over by the next.

use crate::author::{self, Author, Estimate, Templates};
use crate::config::{Config, Source};
use crate::deidentify::Cleaner;
use crate::inputs::{Inputs, hash_of};
use crate::journal::Journal;
use crate::reading::{ReadSource, Sink, read_source};
use crate::source::Folder;
use crate::split::{Candidates, Comparison, Fate};
use crate::writing::{Step, Writing, text_options};
use crate::{Error, Result, card, check};
use gmai_imaging::Decoder;
use gmai_schema::{Progress, Record, Responder, SourceFacts, Split};
use gmai_shard::{Counts, Manifest, Reader, SourceSummary, Writer, WriterOptions, WriterSummary};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Name of the folder that a run keeps while it is not finished.
const WORK_FOLDER: &str = "work.partial";

/// Program and version, as the manifest names them.
const PROGRAM: &str = concat!("gmai ", env!("CARGO_PKG_VERSION"));

/// What to do.
#[derive(Debug, Clone)]
pub struct Job {
    /// The config file: roots are relative to its folder, messages name it.
    pub config_path: PathBuf,
    /// Its text.
    pub config_text: String,
    /// What `${NAME}` in a `root` stands for.
    pub variables: BTreeMap<String, String>,
    /// The dataset folder.
    pub out: PathBuf,
    /// What reads the images; the dataset does not depend on where they are decoded.
    pub decoder: Decoder,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The dataset was made.
    Made,
    /// The folder already held the dataset of the same config, inputs and program; nothing was written.
    AlreadyThere,
}

/// What a run gave.
#[derive(Debug, Clone)]
pub struct Summary {
    /// What the dataset folder holds.
    pub manifest: Manifest,
    /// Whether it was made now.
    pub outcome: Outcome,
    /// What an interrupted run had done already.
    pub resumed: Resumed,
}

/// What a run took over from an interrupted one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resumed {
    /// Pictures, volumes, series and texts that were not read again.
    pub items: u64,
    /// Rows in shards that were not written again.
    pub rows: u64,
}

impl Job {
    /// The prompt templates: the config's own folder, where it names one.
    fn templates(&self, options: &author::Options) -> Result<Templates> {
        let beside = self.config_path.parent().unwrap_or(Path::new(""));
        Templates::load(options.templates.as_ref().map(|folder| beside.join(folder)).as_deref())
    }

    /// A job that reads its config from a file and decodes in this process.
    pub fn from_file(config_path: &Path, variables: BTreeMap<String, String>, out: &Path) -> Result<Job> {
        let config_text = std::fs::read_to_string(config_path).map_err(Error::io(config_path))?;
        let (config_path, out) = (config_path.to_path_buf(), out.to_path_buf());
        Ok(Job { config_path, config_text, variables, out, decoder: Decoder::default() })
    }
}

/// Makes a dataset folder from a config.
///
/// An interrupted run leaves no manifest; the next one takes over what it read and wrote, when config, inputs and program are the same.
/// A finished folder is recognised by them too.
///
/// # Errors
/// Also when the config asks for texts by a language model: see [`run_with_author`].
pub fn run(job: &Job, on_progress: &mut dyn FnMut(Progress)) -> Result<Summary> {
    make(job, None, on_progress)
}

/// Like [`run`], with the model that `[author]` of the config asks for.
pub fn run_with_author(
    job: &Job,
    responder: &mut dyn Responder,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Summary> {
    make(job, Some(responder), on_progress)
}

/// The records of one source, as a run would use them.
#[derive(Debug, Clone)]
pub struct SourceRecords {
    /// What holds for the source.
    pub facts: SourceFacts,
    /// Its records with their side of the split, in the order of a run.
    pub records: Vec<(Record, Split)>,
}

/// Reads every record that a run would use. Makes nothing; what is read passes through a folder in the dataset folder, which is removed.
pub fn records(job: &Job, on_progress: &mut dyn FnMut(Progress)) -> Result<Vec<SourceRecords>> {
    let config = Config::parse(&job.config_path, &job.config_text)?.resolved(&job.config_path, &job.variables)?;
    check::check(&config, &job.config_path)?;
    let cleaner = Cleaner::open(&config.dataset.deidentify, &job.out)?;
    let inputs = list_inputs(&config, on_progress)?;
    let was_there = job.out.is_dir();
    let work = Work::begin(&job.out, "records.partial")?;
    let Read { sources, mut journal, comparison, .. } =
        read(&config, &inputs, (job, &cleaner), &work, "", on_progress)?;
    let mut collected = Vec::new();
    let (mut at, mut record) = (journal.first(), 0);
    for (source, read) in config.sources.iter().zip(sources) {
        let facts = read.facts(source);
        let mut records = Vec::new();
        for _ in 0..read.num_items {
            let frame = journal.next(&mut at)?.ok_or_else(|| journal.damaged())?;
            for entry in frame.kept.entries {
                if comparison.fate(record) == Fate::Keep {
                    records.push((entry.record, comparison.split(record)));
                }
                record += 1;
            }
        }
        collected.push(SourceRecords { facts, records });
    }
    drop(journal);
    work.end()?;
    if !was_there {
        std::fs::remove_dir(&job.out).map_err(Error::io(&job.out))?;
    }
    Ok(collected)
}

/// What `[author]` of the config will ask a model for. Reads all pictures, asks nothing and makes nothing.
pub fn estimate(job: &Job, on_progress: &mut dyn FnMut(Progress)) -> Result<Estimate> {
    let config = Config::parse(&job.config_path, &job.config_text)?;
    let Some(options) = &config.author else { return Err(no_author(job)) };
    let templates = job.templates(options)?;
    let mut estimate = Estimate { sources: Vec::new(), attempts: options.attempts };
    for SourceRecords { facts, records } in records(job, on_progress)? {
        let chosen = records.iter().filter(|(_, split)| options.splits.contains(split)).map(|(record, _)| record);
        estimate.sources.push(author::estimate_source(&facts.name, &facts, chosen, &templates, options)?);
    }
    Ok(estimate)
}

fn no_author(job: &Job) -> Error {
    Error::ConfigValue {
        path: job.config_path.clone(),
        key: "author".to_string(),
        reason: "the config has no [author]; docs/author.md tells what stands there".to_string(),
    }
}

fn make(job: &Job, responder: Option<&mut dyn Responder>, on_progress: &mut dyn FnMut(Progress)) -> Result<Summary> {
    let config = Config::parse(&job.config_path, &job.config_text)?.resolved(&job.config_path, &job.variables)?;
    check::check(&config, &job.config_path)?;
    let cleaner = Cleaner::open(&config.dataset.deidentify, &job.out)?;
    let inputs = list_inputs(&config, on_progress)?;
    let folders: Vec<&str> = inputs.iter().map(Inputs::total_hash).collect();
    // Another key gives other pseudonyms.
    let config_hash = match cleaner.fingerprint() {
        fingerprint if fingerprint.is_empty() => hash_of(&[&job.config_text]),
        fingerprint => hash_of(&[&job.config_text, &fingerprint]),
    };
    let identity = Identity { config: config_hash, inputs: hash_of(&folders) };
    if let Some(manifest) = identity.find(&job.out)? {
        Work::remove(&job.out, WORK_FOLDER)?; // Of a run that was stopped after its last file.
        return Ok(Summary { manifest, outcome: Outcome::AlreadyThere, resumed: Resumed::default() });
    }
    let templates = config.author.as_ref().map(|options| job.templates(options)).transpose()?;
    let mut author = match (&config.author, &templates, responder) {
        (Some(options), Some(templates), Some(responder)) => {
            Some(Author { options, templates, responder, account: Default::default(), quarantined: Vec::new() })
        }
        (Some(_), _, _) => {
            let reason = "the config asks for texts by a language model, but none was given".to_string();
            return Err(Error::Author { reason });
        }
        (None, ..) => None,
    };
    let work = Work::begin(&job.out, WORK_FOLDER)?;
    let read = read(&config, &inputs, (job, &cleaner), &work, &identity.text(job), on_progress)?;
    drop(inputs);
    let Read { sources: read, mut journal, comparison, num_replayed } = read;
    let mut writer = open_writer(job, &work, author.is_some(), num_replayed)?;
    let resumed = Resumed { items: num_replayed, rows: writer.num_kept() };
    let mut counts = Counts::default();
    let mut sources = Vec::new();
    let writing = Writing {
        options: text_options(&config, &read),
        comparison: &comparison,
        cleaner: &cleaner,
        total: read.iter().map(|source| source.num_records).sum(),
    };
    let at = journal.first();
    let mut step =
        Step { author: author.as_mut(), writer: &mut writer, journal: &mut journal, at, counts: &mut counts, done: 0 };
    for (source, read) in config.sources.iter().zip(read) {
        sources.push(writing.write_source(source, read, &mut step, on_progress)?);
    }
    drop(journal);
    if counts.split.is_empty() {
        work.end()?;
        return Err(nothing(job, &sources));
    }
    let card = card::card(&config, &counts, &sources);
    let manifest = writer.finish(WriterSummary {
        name: config.dataset.name.clone(),
        program: PROGRAM.to_string(),
        config_sha256: identity.config,
        inputs_sha256: identity.inputs,
        seed: config.dataset.seed,
        sources,
        card,
    })?;
    work.end()?;
    Ok(Summary { manifest, outcome: Outcome::Made, resumed })
}

/// A writer that goes on from the shards of an earlier run, where their rows must come again as they were: everything that was read is
/// still there, and no text comes from a model, which may have another answer to what it refused.
fn open_writer(job: &Job, work: &Work, has_author: bool, num_replayed: u64) -> Result<Writer> {
    let log = work.folder.join("shards.jsonl");
    if has_author || num_replayed == 0 {
        let removed = std::fs::remove_file(&log);
        removed.or_else(not_found_is_fine).map_err(Error::io(&log))?;
    }
    Ok(Writer::resume(&job.out, WriterOptions::default(), &log)?)
}

fn not_found_is_fine(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// What the first half of a run gave.
struct Read {
    sources: Vec<ReadSource>,
    journal: Journal,
    comparison: Comparison,
    /// Items that an earlier run had read.
    num_replayed: u64,
}

/// Reads and compares everything.
fn read(
    config: &Config,
    inputs: &[Inputs],
    (job, cleaner): (&Job, &Cleaner),
    work: &Work,
    identity: &str,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Read> {
    let mut journal = Journal::open(&work.folder, identity)?;
    let mut candidates = Candidates::new(&work.folder)?;
    let mut num_replayed = 0;
    let mut sources = Vec::new();
    for (number, (source, inputs)) in config.sources.iter().zip(inputs).enumerate() {
        let folder = Folder { source, inputs, decoder: &job.decoder, config: &job.config_path };
        let (journal, candidates, num_replayed) = (&mut journal, &mut candidates, &mut num_replayed);
        let mut sink = Sink { cleaner, journal, candidates, num_replayed };
        sources.push(read_source(config, number as u32, &folder, &mut sink, on_progress)?);
    }
    let total = u64::from(candidates.len());
    let report = |done, note| Progress { phase: "compare pictures".to_string(), done, total, note };
    on_progress(report(0, String::new()));
    let (shares, seed) = (config.dataset.split, config.dataset.seed);
    let comparison = candidates.compare(shares, seed, &mut |position| journal.record(position))?;
    on_progress(report(total, format!("{} similar pairs", comparison.num_similar)));
    Ok(Read { sources, journal, comparison, num_replayed })
}

/// The folder of what a run needs only while it runs, in the dataset folder.
struct Work {
    folder: PathBuf,
}

impl Work {
    fn begin(out: &Path, name: &str) -> Result<Work> {
        let folder = out.join(name);
        std::fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        Ok(Work { folder })
    }

    fn end(self) -> Result<()> {
        std::fs::remove_dir_all(&self.folder).map_err(Error::io(&self.folder))
    }

    fn remove(out: &Path, name: &str) -> Result<()> {
        let folder = out.join(name);
        std::fs::remove_dir_all(&folder).or_else(not_found_is_fine).map_err(Error::io(&folder))
    }
}

fn list_inputs(config: &Config, on_progress: &mut dyn FnMut(Progress)) -> Result<Vec<Inputs>> {
    let list = |source: &Source| {
        let mut inputs = Inputs::list(Path::new(&source.root))?;
        inputs.hash(&format!("check {}", source.name), on_progress);
        Ok(inputs)
    };
    config.sources.iter().map(list).collect()
}

fn nothing(job: &Job, sources: &[SourceSummary]) -> Error {
    let tallies = || sources.iter().flat_map(|source| [&source.images, &source.annotations]);
    Error::Nothing {
        path: job.config_path.clone(),
        num_quarantined: tallies().map(|tally| tally.quarantined).sum(),
        num_skipped: tallies().map(|tally| tally.num_skipped()).sum(),
        quarantine: job.out.join("quarantine.jsonl"),
    }
}

/// What a dataset is made from.
struct Identity {
    config: String,
    inputs: String,
}

impl Identity {
    /// All that what is read depends on.
    fn text(&self, job: &Job) -> String {
        let Identity { config, inputs } = self;
        format!("{PROGRAM}\nconfig {config}\ninputs {inputs}\n{:?}", job.decoder.limits())
    }

    /// The manifest of `out` when it is this dataset; an error when it is another.
    fn find(&self, out: &Path) -> Result<Option<Manifest>> {
        let manifest = match Reader::open(out) {
            Ok(reader) => reader.manifest().clone(),
            Err(gmai_shard::Error::Unfinished { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let difference = if manifest.config_sha256 != self.config {
            "another config"
        } else if manifest.inputs_sha256 != self.inputs {
            "other input files"
        } else if manifest.program != PROGRAM {
            "the same files by another version of gmai"
        } else {
            return Ok(Some(manifest));
        };
        Err(Error::OtherDataset { folder: out.to_path_buf(), difference })
    }
}
