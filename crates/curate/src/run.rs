//! A curate run in order: list, read, compare, split, write, account.

use crate::author::{self, Author, Estimate, Subject, Templates};
use crate::config::{Config, Source};
use crate::deidentify::Cleaner;
use crate::inputs::{Inputs, hash_of};
use crate::kind::Kind;
use crate::ledger::{Defect, IMAGE_LEFT_OUT, Ledger, Of};
use crate::load::{self, Loaded, Prepared};
use crate::similarity::Fingerprint;
use crate::source::{self, Folder, Item};
use crate::split::{Candidate, Fate};
use crate::spool::{Spool, Spooled};
use crate::table::{RowId, Tables};
use crate::{Error, Result, card, check, instruct, labels, split};
use gmai_imaging::Decoder;
use gmai_schema::{Conversation, Department, Modality, Progress, Record, Responder, SourceFacts, Split};
use gmai_shard::{
    Agreement, Counts, Deidentified, Manifest, Reader, SourceSummary, Writer, WriterOptions, WriterSummary,
};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Items read between two visits to the disk. Bounds memory; order does not depend on it.
const ITEMS_PER_STEP: usize = 64;

/// Records written as text at once.
const RECORDS_PER_STEP: usize = 256;

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
/// Interrupted runs leave no manifest and are begun anew; a finished folder is recognised by config, inputs and program.
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

/// Reads every record that a run would use. Makes nothing; pictures pass through a file in the dataset folder, which is removed.
pub fn records(job: &Job, on_progress: &mut dyn FnMut(Progress)) -> Result<Vec<SourceRecords>> {
    let config = Config::parse(&job.config_path, &job.config_text)?.resolved(&job.config_path, &job.variables)?;
    check::check(&config, &job.config_path)?;
    let cleaner = Cleaner::open(&config.dataset.deidentify, &job.out)?;
    let inputs = list_inputs(&config, on_progress)?;
    let folder = job.out.join("records.partial");
    let was_there = job.out.is_dir();
    std::fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
    let mut spool = Spool::create(&folder)?;
    let mut read = Vec::new();
    for (source, inputs) in config.sources.iter().zip(&inputs) {
        let folder = Folder { source, inputs, decoder: &job.decoder, config: &job.config_path };
        read.push(read_source(&config, &folder, &cleaner, &mut spool, on_progress)?);
    }
    drop(spool);
    let made = if was_there { &folder } else { &job.out };
    std::fs::remove_dir_all(made).map_err(Error::io(made))?;
    let splits = compare(&config, &mut read, on_progress);
    let sources = config.sources.iter().zip(read).zip(splits);
    let collect = |((source, read), splits): ((&Source, ReadSource), Vec<Split>)| SourceRecords {
        facts: source_facts(source, &read.entries),
        records: read
            .entries
            .into_iter()
            .zip(splits)
            .filter(|(entry, _)| matches!(entry.fate, Fate::Keep))
            .map(|(entry, split)| (entry.record, split))
            .collect(),
    };
    Ok(sources.map(collect).collect())
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

/// Whether a language model is asked about a record.
fn is_written_about(entry: &Entry, split: Split, options: &author::Options) -> bool {
    matches!(entry.fate, Fate::Keep) && options.splits.contains(&split) && entry.pictures.len() == 1
}

/// What holds for a source, given what was read of it.
fn source_facts(source: &Source, entries: &[Entry]) -> SourceFacts {
    let modalities: BTreeSet<Modality> = entries.iter().filter_map(|entry| entry.record.modality).collect();
    labels::facts(source, modalities.into_iter().collect(), main_department(source, entries))
}

fn make(job: &Job, responder: Option<&mut dyn Responder>, on_progress: &mut dyn FnMut(Progress)) -> Result<Summary> {
    let config = Config::parse(&job.config_path, &job.config_text)?.resolved(&job.config_path, &job.variables)?;
    check::check(&config, &job.config_path)?;
    let cleaner = Cleaner::open(&config.dataset.deidentify, &job.out)?;
    let inputs = list_inputs(&config, on_progress)?;
    let folders: Vec<String> = inputs.iter().map(Inputs::total_hash).collect();
    let folders: Vec<&str> = folders.iter().map(String::as_str).collect();
    // Another key gives other pseudonyms.
    let config_hash = match cleaner.fingerprint() {
        fingerprint if fingerprint.is_empty() => hash_of(&[&job.config_text]),
        fingerprint => hash_of(&[&job.config_text, &fingerprint]),
    };
    let identity = Identity { config: config_hash, inputs: hash_of(&folders) };
    if let Some(manifest) = identity.find(&job.out)? {
        return Ok(Summary { manifest, outcome: Outcome::AlreadyThere });
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
    let mut writer = Writer::create(&job.out, WriterOptions::default())?;
    let mut spool = Spool::create(&job.out)?;
    let mut read = Vec::new();
    for (source, inputs) in config.sources.iter().zip(&inputs) {
        let folder = Folder { source, inputs, decoder: &job.decoder, config: &job.config_path };
        read.push(read_source(&config, &folder, &cleaner, &mut spool, on_progress)?);
    }
    let splits = compare(&config, &mut read, on_progress);
    let mut counts = Counts::default();
    let mut sources = Vec::new();
    let writing =
        Writing { options: text_options(&config, &read), total: read.iter().map(|s| s.entries.len() as u64).sum() };
    let mut done = 0;
    for ((source, read), splits) in config.sources.iter().zip(read).zip(splits) {
        let (writer, spool, counts, done) = (&mut writer, &mut spool, &mut counts, &mut done);
        let cleaner = &cleaner;
        let mut step = Step { cleaner, writer, spool, counts, done, author: author.as_mut() };
        sources.push(writing.write_source(source, read, &splits, &mut step, on_progress)?);
    }
    drop(spool);
    if counts.split.is_empty() {
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
    Ok(Summary { manifest, outcome: Outcome::Made })
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

/// A record that waits to be written.
struct Entry {
    record: Record,
    pictures: Vec<Spooled>,
    fingerprints: Vec<Fingerprint>,
    incomplete: bool,
    /// Index of its item in [`ReadSource::items`].
    item: usize,
    fate: Fate,
}

/// What is needed of an item after its pixels were read.
struct ReadItem {
    num_annotations: u64,
    rows: Vec<RowId>,
}

/// A source whose pixels were read.
struct ReadSource {
    entries: Vec<Entry>,
    items: Vec<ReadItem>,
    tables: Tables,
    /// Dice coefficients of observers of one picture.
    dice: Vec<f64>,
    ledger: Ledger,
    deidentified: Deidentified,
}

fn read_source(
    config: &Config,
    folder: &Folder,
    cleaner: &Cleaner,
    spool: &mut Spool,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<ReadSource> {
    let source = folder.source;
    let mut ledger = Ledger::default();
    let mut items = source::read(folder, &mut ledger)?;
    let mut tables = Tables::join(source, folder.inputs, &mut items, &mut ledger)?;
    check::check_fields(source, &items, folder.config)?;
    let described = describe_all(source, items, &mut tables, &mut ledger);
    let job = load::Job {
        source,
        inputs: folder.inputs,
        decoder: folder.decoder,
        seed: config.dataset.seed,
        max_side: config.dataset.max_side,
        cleaner,
    };
    let total = described.len() as u64;
    let mut read = ReadSource {
        entries: Vec::new(),
        items: Vec::new(),
        tables,
        dice: Vec::new(),
        ledger,
        deidentified: Default::default(),
    };
    let report = |done, note| Progress { phase: format!("read {}", source.name), done, total, note };
    on_progress(report(0, String::new())); // Bars measure a phase from its first report.
    for chunk in described.chunks(ITEMS_PER_STEP) {
        let loaded: Vec<Loaded> = chunk.par_iter().map(|(item, description)| job.load(item, description)).collect();
        for ((item, _), loaded) in chunk.iter().zip(loaded) {
            read.ledger.absorb(loaded.ledger);
            read.dice.extend(loaded.dice);
            read.deidentified.absorb(loaded.deidentified);
            let index = read.items.len();
            read.items.push(ReadItem { num_annotations: loaded.num_annotations, rows: item.rows.clone() });
            for prepared in loaded.prepared {
                let Prepared { record, pictures, fingerprints, incomplete } = prepared;
                let pictures = pictures.into_iter().map(|picture| spool.put(picture)).collect::<Result<_>>()?;
                read.entries.push(Entry { record, pictures, fingerprints, incomplete, item: index, fate: Fate::Keep });
            }
        }
        let (done, note) = (read.items.len() as u64, format!("{} pictures", read.entries.len()));
        on_progress(report(done, note));
    }
    Ok(read)
}

/// Applies the source's rules to every item; items that cannot be described are quarantined.
fn describe_all(
    source: &Source,
    items: Vec<Item>,
    tables: &mut Tables,
    ledger: &mut Ledger,
) -> Vec<(Item, labels::Description)> {
    let needs_row = matches!(source.kind, Kind::CsvLabels(_));
    let mut described = Vec::with_capacity(items.len());
    for item in items {
        let result = if needs_row && item.rows.is_empty() {
            let keys: Vec<String> = source
                .tables
                .iter()
                .map(|table| format!("{} `{}`", table.file, table.matches.fill(&item.fields).as_str()))
                .collect();
            let reason = format!("image without label: no row for it in {}", keys.join(", "));
            Err(Defect::new(&item.name, "annotation", reason, "add a row, remove the image, or correct `matches`"))
        } else {
            labels::describe(source, &item, tables)
        };
        match result {
            Ok(description) => described.push((item, description)),
            Err(defect) => {
                if item.image.counts_by_slices() {
                    ledger.found(Of::Images, 1); // Volumes count by slices, and none was cut.
                }
                ledger.quarantine(Of::Images, defect);
                ledger.skip(Of::Annotations, IMAGE_LEFT_OUT, item.num_annotations());
            }
        }
    }
    described
}

/// Finds duplicates and gives every record its side.
fn compare(config: &Config, read: &mut [ReadSource], on_progress: &mut dyn FnMut(Progress)) -> Vec<Vec<Split>> {
    let total = read.iter().map(|source| source.entries.len() as u64).sum();
    let report = |done, note| Progress { phase: "compare pictures".to_string(), done, total, note };
    on_progress(report(0, String::new()));
    let candidates: Vec<Candidate> = read
        .iter()
        .flat_map(|source| &source.entries)
        .map(|entry| Candidate { record: &entry.record, fingerprints: &entry.fingerprints })
        .collect();
    let comparison = split::compare(&candidates, config.dataset.split, config.dataset.seed);
    let (mut fates, mut splits) = (comparison.fates.into_iter(), comparison.splits.into_iter());
    let mut by_source = Vec::new();
    for source in read.iter_mut() {
        by_source.push(splits.by_ref().take(source.entries.len()).collect());
        for (entry, fate) in source.entries.iter_mut().zip(fates.by_ref()) {
            entry.fate = fate;
        }
    }
    on_progress(report(total, format!("{} similar pairs", comparison.num_similar)));
    by_source
}

/// Options of the text generator: wrong modality options come from what the dataset holds, when that is enough.
fn text_options(config: &Config, read: &[ReadSource]) -> instruct::Options {
    /// A multiple-choice question on the modality has this many options.
    const NUM_OPTIONS: usize = 4;
    let mut options = config.instruct.clone();
    if options.modality_options.is_empty() {
        let entries = read.iter().flat_map(|source| &source.entries);
        let present: BTreeSet<Modality> = entries.filter_map(|entry| entry.record.modality).collect();
        if present.len() >= NUM_OPTIONS {
            options.modality_options = present.into_iter().collect();
        }
    }
    options
}

/// What is the same for all sources while rows are written.
struct Writing {
    options: instruct::Options,
    total: u64,
}

/// Where rows go.
struct Step<'a, 'b> {
    author: Option<&'a mut Author<'b>>,
    cleaner: &'a Cleaner,
    writer: &'a mut Writer,
    spool: &'a mut Spool,
    counts: &'a mut Counts,
    done: &'a mut u64,
}

impl Writing {
    /// Writes the rows of a source and closes its account.
    fn write_source(
        &self,
        source: &Source,
        read: ReadSource,
        splits: &[Split],
        step: &mut Step,
        on_progress: &mut dyn FnMut(Progress),
    ) -> Result<SourceSummary> {
        let ReadSource { entries, items, tables, dice, mut ledger, deidentified } = read;
        let facts = source_facts(source, &entries);
        let uncounted = SourceFacts { regions_exhaustive: false, ..facts.clone() };
        let mut used_items = BTreeSet::new();
        let mut pairs = 0;
        let numbered: Vec<(&Entry, Split)> = entries.iter().zip(splits.iter().copied()).collect();
        for chunk in numbered.chunks(RECORDS_PER_STEP) {
            let mut texts: Vec<Vec<Conversation>> = chunk
                .par_iter()
                .map(|(entry, _)| match entry.fate {
                    Fate::Keep => {
                        let facts = if entry.incomplete { &uncounted } else { &facts };
                        instruct::conversations(&entry.record, facts, &self.options)
                    }
                    _ => Vec::new(),
                })
                .collect();
            write_by_model(chunk, [&facts, &uncounted], &mut texts, step, &mut |done, total| {
                let phase = format!("texts by a model, {}", source.name);
                on_progress(Progress { phase, done, total, note: String::new() });
            })?;
            for ((entry, split), texts) in chunk.iter().zip(texts) {
                pairs += texts.len() as u64;
                if settle(entry, texts.is_empty(), &mut ledger) {
                    used_items.insert(entry.item);
                    let pictures =
                        entry.pictures.iter().map(|picture| step.spool.get(picture)).collect::<Result<Vec<_>>>()?;
                    for mut conversation in texts {
                        conversation.split = *split;
                        step.counts.add(&conversation);
                        step.writer.push(&conversation, &pictures)?;
                    }
                }
            }
            *step.done += chunk.len() as u64;
            let (done, total, note) =
                (*step.done, self.total, format!("{} rows", step.counts.split.values().sum::<u64>()));
            on_progress(Progress { phase: "write rows".to_string(), done, total, note });
        }
        settle_annotations(&items, &used_items, tables, &mut ledger);
        ledger.check(&source.name)?;
        let (authored, mut lines) = match &mut step.author {
            Some(author) => (Some(std::mem::take(&mut author.account)), std::mem::take(&mut author.quarantined)),
            None => (None, Vec::new()),
        };
        lines.extend(ledger.quarantined(&source.name));
        for line in lines {
            step.writer.quarantine(&step.cleaner.line(line))?;
        }
        let kind = source.kind.key().to_string();
        let agreement = agreement(&dice, source);
        let (images, annotations) = (ledger.images, ledger.annotations);
        let deidentified = (deidentified != Deidentified::default()).then_some(deidentified);
        Ok(SourceSummary { facts, kind, images, annotations, agreement, pairs, authored, deidentified })
    }
}

/// Adds the texts of a language model to those of templates. `facts` are those of sound records and of records in which nothing may be counted.
fn write_by_model(
    chunk: &[(&Entry, Split)],
    facts: [&SourceFacts; 2],
    texts: &mut [Vec<Conversation>],
    step: &mut Step,
    on_done: &mut dyn FnMut(u64, u64),
) -> Result<()> {
    let Some(author) = &mut step.author else { return Ok(()) };
    let options = author.options;
    let chosen: Vec<usize> =
        (0..chunk.len()).filter(|index| is_written_about(chunk[*index].0, chunk[*index].1, options)).collect();
    let mut done = 0;
    for batch in chosen.chunks(options.batch) {
        let mut subjects = Vec::with_capacity(batch.len());
        for index in batch {
            let entry = chunk[*index].0;
            let wanted = author::plan(&entry.record, options);
            let picture = step.spool.get(&entry.pictures[0])?;
            let facts = if entry.incomplete { facts[1] } else { facts[0] };
            subjects.push(Subject { record: &entry.record, facts, picture, wanted });
        }
        for (index, written) in batch.iter().zip(author.write(&subjects)?) {
            texts[*index].extend(written);
        }
        done += batch.len() as u64;
        on_done(done, chosen.len() as u64);
    }
    Ok(())
}

/// The department that stands for the source as a whole: that of most of its records.
fn main_department(source: &Source, entries: &[Entry]) -> Department {
    let mut counts: BTreeMap<Department, usize> = BTreeMap::new();
    for entry in entries {
        *counts.entry(entry.record.department).or_default() += 1;
    }
    let most = counts.into_iter().max_by_key(|(department, count)| (*count, std::cmp::Reverse(*department)));
    let listed = || source.department_by.as_ref().and_then(|by| by.values.values().next().copied());
    let of_records = source.department.or(most.map(|(department, _)| department)).or_else(listed);
    of_records.unwrap_or(Department::ALL[0]) // A source without any record says nothing about a department: no row has it.
}

/// How far the observers of a source agree; `None` when no picture has several.
fn agreement(dice: &[f64], source: &Source) -> Option<Agreement> {
    let Kind::ObserverMasks(kind) = &source.kind else { return None };
    let least = dice.iter().copied().reduce(f64::min)?;
    Some(Agreement {
        pairs: dice.len() as u64,
        mean_dice: dice.iter().sum::<f64>() / dice.len() as f64,
        least_dice: least,
        num_below: dice.iter().filter(|dice| **dice < kind.least_dice).count() as u64,
    })
}

/// Accounts for one record; whether it is used.
fn settle(entry: &Entry, has_no_text: bool, ledger: &mut Ledger) -> bool {
    match &entry.fate {
        Fate::Repeats => ledger.skip(Of::Images, "the picture occurs earlier with the same labels", 1),
        Fate::Contradicts(other) => {
            let reason = format!("the same or nearly the same picture has other labels in `{other}`");
            let remedy = "find out which label is right and remove the other file";
            ledger.quarantine(Of::Images, Defect::new(&entry.record.provenance.file, "labels", reason, remedy));
        }
        Fate::Keep if has_no_text => {
            ledger.skip(Of::Images, "nothing can be said about it with the configured facts, forms and languages", 1);
        }
        Fate::Keep => {
            ledger.used(Of::Images, 1);
            return true;
        }
    }
    false
}

/// Accounts for annotations: they are used when a record of their item is.
fn settle_annotations(items: &[ReadItem], used_items: &BTreeSet<usize>, tables: Tables, ledger: &mut Ledger) {
    let mut used_rows = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        if used_items.contains(&index) {
            ledger.used(Of::Annotations, item.num_annotations);
            used_rows.extend(item.rows.iter().copied());
        } else {
            ledger.skip(Of::Annotations, IMAGE_LEFT_OUT, item.num_annotations);
        }
    }
    tables.settle(&used_rows, ledger);
}
