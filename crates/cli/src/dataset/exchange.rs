//! `gmai dataset export` and `gmai dataset import`.

use super::args::{ExportArguments, ImportArguments};
use super::licence;
use crate::args::SplitName;
use crate::output::Output;
use crate::progress::Bars;
use anyhow::{Context, Result, bail};
use gmai_exchange::{ExportOptions, FactsFile, GivenFacts, ImportOptions, Markers, Pictures, Ratios};
use gmai_schema::{Department, Language, Modality, Split, Task};
use gmai_shard::Reader;
use std::collections::BTreeMap;
use std::path::Path;

/// Writes a dataset in another format.
pub fn export(arguments: &ExportArguments, output: Output) -> Result<()> {
    let reader = Reader::open(&arguments.folder)?;
    let sources = &reader.manifest().sources;
    let sources = sources.iter().map(|source| (source.facts.name.as_str(), source.facts.licence.as_str()));
    licence::demand(arguments.licence_policy.as_deref(), sources)?;
    let splits = match arguments.splits.as_slice() {
        [] => Split::ALL.to_vec(),
        // In the dataset's order, each once.
        named => Split::ALL.into_iter().filter(|split| named.iter().any(|name| name.split() == *split)).collect(),
    };
    let options = ExportOptions {
        splits,
        pictures: if arguments.inline_images { Pictures::Inline } else { Pictures::Files },
        samples_per_shard: arguments.samples_per_shard,
        chunk_bytes: arguments.chunk_mib << 20,
        sample_ratios: ratios(&arguments.sample_ratios)?,
    };
    let mut bars = Bars::default();
    let (format, out) = (arguments.to.format(), &arguments.out);
    let summary = gmai_exchange::export(&reader, format, out, &options, &mut |progress| bars.show(progress))?;
    drop(bars);
    let rows: Vec<String> = summary.rows.iter().map(|(split, rows)| format!("{split} {rows}")).collect();
    output.line(format!("{}: {} as {}", out.display(), rows.join(", "), format.key()))?;
    output.document(&summary)
}

fn ratios(given: &[String]) -> Result<BTreeMap<String, f64>> {
    let read = |text: &String| {
        let (source, ratio) =
            text.rsplit_once('=').with_context(|| format!("--sample-ratio {text}: write SOURCE=RATIO"))?;
        let ratio: f64 = ratio.parse().with_context(|| format!("--sample-ratio {text}: {ratio} is no number"))?;
        if !ratio.is_finite() || ratio < 0.0 {
            bail!("--sample-ratio {text}: the ratio must be 0 or more");
        }
        Ok((source.to_string(), ratio))
    };
    given.iter().map(read).collect()
}

/// The member of a vocabulary that a word means.
fn member<T: Copy>(
    option: &str,
    word: Option<&String>,
    all: &[T],
    key: impl Fn(T) -> &'static str,
) -> Result<Option<T>> {
    let Some(word) = word else { return Ok(None) };
    let found = all.iter().copied().find(|member| key(*member) == word.as_str());
    let known: Vec<&str> = all.iter().map(|member| key(*member)).collect();
    found.map(Some).with_context(|| format!("--{option} {word}: not one of {}", known.join(", ")))
}

/// Makes a dataset folder from another format.
pub fn import(arguments: &ImportArguments, output: Output) -> Result<()> {
    let stem =
        |path: &Path| path.canonicalize().ok().and_then(|path| Some(path.file_stem()?.to_string_lossy().into_owned()));
    let name = arguments.name.clone().or_else(|| stem(&arguments.source));
    let name = name.with_context(|| format!("{}: there is no such file or folder", arguments.source.display()))?;
    let defaults = GivenFacts {
        licence: arguments.licence.clone(),
        department: member("department", arguments.department.as_ref(), Department::ALL, Department::key)?,
        modality: member("modality", arguments.modality.as_ref(), Modality::ALL, Modality::key)?,
        task: member("task", arguments.task.as_ref(), Task::ALL, Task::key)?,
        language: member("language", arguments.language.as_ref(), &[Language::En, Language::Zh], Language::key)?,
    };
    let facts = arguments.facts.as_deref().map(FactsFile::read).transpose()?.unwrap_or_default();
    let options = ImportOptions {
        source: arguments.source_name.clone().unwrap_or_else(|| name.clone()),
        name,
        defaults,
        facts,
        split: Some(SplitName::split(arguments.split)),
        markers: if arguments.prepend_markers { Markers::Prepend } else { Markers::AsTheyStand },
        ratios: if arguments.apply_ratio { Ratios::Apply } else { Ratios::Ignore },
        images: arguments.images.clone(),
    };
    let mut bars = Bars::default();
    let format = arguments.from.format();
    demand_licences(arguments, &options)?;
    let summary = gmai_exchange::import(&arguments.source, format, &arguments.out, &options, &mut |progress| {
        bars.show(progress)
    })?;
    drop(bars);
    let out = arguments.out.display();
    output.line(format!(
        "{out}: {} rows of {}; {} left out by ratio, {} quarantined, {} edited since the export",
        summary.used, summary.given, summary.skipped, summary.quarantined, summary.edited
    ))?;
    if summary.is_same_dataset {
        output.line("this is the very dataset that was exported")?;
    }
    if summary.quarantined > 0 {
        output.line(format!("{out}/quarantine.jsonl says why rows were left out"))?;
    }
    output.document(&summary)
}

/// Judges every licence that a row of the import can have: those of the exported dataset, or those that were stated.
fn demand_licences(arguments: &ImportArguments, options: &ImportOptions) -> Result<()> {
    if arguments.licence_policy.is_none() {
        return Ok(());
    }
    let mut licences: BTreeMap<String, String> = BTreeMap::new();
    match gmai_exchange::exported_manifest(&arguments.source)? {
        Some(manifest) => {
            licences.extend(manifest.sources.into_iter().map(|source| (source.facts.name, source.facts.licence)));
        }
        None => {
            let stated = |facts: &GivenFacts| {
                facts.licence.clone().or_else(|| options.defaults.licence.clone()).unwrap_or_default()
            };
            licences.insert(options.source.clone(), stated(&options.defaults));
            licences.extend(options.facts.source.iter().map(|(name, facts)| (name.clone(), stated(facts))));
        }
    }
    let sources = licences.iter().map(|(name, licence)| (name.as_str(), licence.as_str()));
    licence::demand(arguments.licence_policy.as_deref(), sources)
}
