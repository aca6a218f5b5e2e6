//! A format to one dataset folder.

use crate::companion::{CARD_FILE, Companion, QUARANTINE_FILE};
use crate::facts::{FactsFile, GivenFacts};
use crate::receiver::{Received, Receiver};
use crate::{Error, Format, Result, digest, format};
use gmai_schema::{Progress, SourceFacts, Split, Task};
use gmai_shard::{Manifest, Quarantined, SourceSummary, Writer, WriterOptions, WriterSummary};
use serde::Serialize;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// Program and version, as the manifest names them.
const PROGRAM: &str = concat!("gmai ", env!("CARGO_PKG_VERSION"));

/// What is done with the `sample_ratio` of a list file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ratios {
    /// Every row is taken once: ratios belong to training.
    Ignore,
    /// That share of the rows is taken, always the same ones.
    Apply,
}

/// What is done with a row that has pictures but no image marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Markers {
    /// It is quarantined.
    AsTheyStand,
    /// One marker per picture is put before the first question.
    Prepend,
}

/// What an import is told.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// Name of the dataset.
    pub name: String,
    /// Name of the source of rows whose format names none.
    pub source: String,
    /// What holds where [`ImportOptions::facts`] is silent.
    pub defaults: GivenFacts,
    /// Facts by source.
    pub facts: FactsFile,
    /// The split of rows whose file names none; training when absent.
    pub split: Option<Split>,
    /// What is done with rows without image markers.
    pub markers: Markers,
    /// What is done with sampling ratios.
    pub ratios: Ratios,
    /// Folder that pictures are named from; the imported folder when absent.
    pub images: Option<PathBuf>,
}

/// What an import gave: `given == used + skipped + quarantined`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImportSummary {
    /// Rows that were found.
    pub given: u64,
    /// Rows in the dataset.
    pub used: u64,
    /// Rows left out by a sampling ratio.
    pub skipped: u64,
    /// Rows left out because they are defective.
    pub quarantined: u64,
    /// Rows whose text was changed since the export.
    pub edited: u64,
    /// Whether the very dataset came back that was exported.
    pub is_same_dataset: bool,
    /// What the dataset folder holds.
    pub manifest: Manifest,
}

/// Makes the dataset folder `out` from `source`, a file or folder in `format`.
///
/// An untouched export gives back the exported dataset, byte for byte. Interrupted, it leaves no manifest; the same call begins anew.
///
/// # Errors
/// Nothing of the format at `source`, a finished dataset at `out`, a fact that rows need and nobody states, no row that can be used.
pub fn import(
    source: &Path,
    format: Format,
    out: &Path,
    options: &ImportOptions,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<ImportSummary> {
    let root = root_of(source);
    let companion = Companion::read(&root)?;
    let mut writer = Writer::create(out, WriterOptions::default())?;
    if companion.is_some() {
        copy_quarantine(&root.join(QUARANTINE_FILE), &mut writer)?;
    }
    let total = companion.as_ref().map_or(0, |companion| companion.files.iter().map(|file| file.rows).sum());
    let images = options.images.as_deref().unwrap_or(&root);
    let mut receiver = Receiver::new(options, images, writer, total, on_progress);
    format::read(format, source, options, &mut receiver)?;
    let (given, used, skipped) = (receiver.given, receiver.used, receiver.skipped);
    let (quarantined, edited) = (receiver.quarantined, receiver.edited);
    if used == 0 {
        let first = receiver.first_reason.take().unwrap_or_else(|| "there are no rows".to_string());
        return Err(Error::Nothing { path: source.to_path_buf(), given, first });
    }
    let sources = std::mem::take(&mut receiver.sources);
    let (writer, content) = receiver.finish();
    let untouched = match &companion {
        Some(companion) if quarantined == 0 && edited == 0 && used == total => companion.is_untouched(&root)?,
        _ => false,
    };
    let summary = match &companion {
        Some(companion) if untouched => same(&companion.manifest, &root)?,
        _ => anew(format, options, companion.as_ref(), &sources, content),
    };
    let manifest = writer.finish(summary)?;
    let is_same_dataset = companion.is_some_and(|companion| companion.manifest == manifest);
    Ok(ImportSummary { given, used, skipped, quarantined, edited, is_same_dataset, manifest })
}

/// The manifest of the dataset that was exported to `source`; `None` when another program wrote it.
///
/// # Errors
/// A companion file that cannot be understood.
pub fn exported_manifest(source: &Path) -> Result<Option<Manifest>> {
    Ok(Companion::read(&root_of(source))?.map(|companion| companion.manifest))
}

/// The folder that an import's names are relative to.
fn root_of(source: &Path) -> PathBuf {
    match source.is_dir() {
        true => source.to_path_buf(),
        false => {
            source.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_path_buf()
        }
    }
}

/// The lines of the exported dataset's quarantine.
fn copy_quarantine(path: &Path, writer: &mut Writer) -> Result<()> {
    let Ok(file) = std::fs::File::open(path) else { return Ok(()) };
    for (index, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(Error::io(path))?;
        let entry: Quarantined = serde_json::from_str(&line).map_err(|error| {
            Error::bad_file(path, format!("line {}", index + 1), format!("{error}; delete the file, or export again"))
        })?;
        writer.quarantine(&entry)?;
    }
    Ok(())
}

/// The summary of the dataset that was exported.
fn same(manifest: &Manifest, root: &Path) -> Result<WriterSummary> {
    let path = root.join(CARD_FILE);
    let manifest = manifest.clone();
    Ok(WriterSummary {
        name: manifest.name,
        program: manifest.program,
        config_sha256: manifest.config_sha256,
        inputs_sha256: manifest.inputs_sha256,
        seed: manifest.seed,
        sources: manifest.sources,
        card: std::fs::read_to_string(&path).map_err(Error::io(&path))?,
    })
}

/// The summary of a dataset that has not been one before.
fn anew(
    format: Format,
    options: &ImportOptions,
    companion: Option<&Companion>,
    sources: &[Received],
    content: String,
) -> WriterSummary {
    // A source whose rows are all defective has its lines in the quarantine and no summary.
    let summarise = |source: &Received| {
        let exported = companion.and_then(|companion| {
            companion.manifest.sources.iter().find(|exported| exported.facts.name == source.name)
        });
        let facts = exported.map_or_else(|| facts_of(source), |exported| Some(exported.facts.clone()))?;
        let kind = exported.map_or_else(|| format!("import:{}", format.key()), |exported| exported.kind.clone());
        let pairs = source.rows.used;
        Some(SourceSummary {
            facts,
            kind,
            images: source.images.clone(),
            annotations: source.rows.clone(),
            pairs,
            agreement: exported.and_then(|exported| exported.agreement.clone()),
            authored: exported.and_then(|exported| exported.authored.clone()),
            deidentified: exported.and_then(|exported| exported.deidentified.clone()),
        })
    };
    let sources: Vec<SourceSummary> = sources.iter().filter_map(summarise).collect();
    let card = card(&options.name, format, &sources);
    let stated = format!("{:?} {:?} {:?} {:?}", options.defaults, options.facts, options.split, options.ratios);
    WriterSummary {
        name: options.name.clone(),
        program: PROGRAM.to_string(),
        config_sha256: digest::of_parts(&["import", format.key(), &stated]),
        inputs_sha256: content,
        seed: companion.map_or(0, |companion| companion.manifest.seed),
        sources,
        card,
    }
}

/// What holds for a source's rows; `None` for one without a sound row, of which nothing is known.
fn facts_of(source: &Received) -> Option<SourceFacts> {
    let department = source.facts.department.or(source.department)?;
    Some(SourceFacts {
        name: source.name.clone(),
        department,
        modalities: source.modalities.iter().copied().collect(),
        attributes: Vec::new(),
        region_terms: Vec::new(),
        region_task: source.facts.task.unwrap_or(Task::QuestionAnswering),
        regions_exhaustive: false,
        licence: source.facts.licence.clone().unwrap_or_else(|| "not stated".to_string()),
    })
}

/// `card.md` of an imported dataset.
fn card(name: &str, format: Format, sources: &[SourceSummary]) -> String {
    let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
    let mut text = format!(
        "# {name}\n\nImage-text pairs imported by `gmai dataset import` from the format {}.\n\n## Sources\n\n",
        format.key()
    );
    text += "| source | licence | rows | rows left out | pictures |\n|---|---|---|---|---|\n";
    for source in sources {
        let rows = &source.annotations;
        let left_out = rows.num_skipped() + rows.quarantined;
        let (name, licence) = (cell(&source.facts.name), cell(&source.facts.licence));
        text += &format!("| {name} | {licence} | {} | {left_out} | {} |\n", rows.used, source.images.used);
    }
    text + "\n## What to know\n\n- Texts, splits and picture names are those of the imported files; nobody checked them against an annotation.\n\
        - Where no patient is known, a picture stands for one: different pictures of the same person may lie on both sides of a split.\n\
        - Not for use in care. Licences differ by source: see above before you share the data or a model made from them.\n"
}
