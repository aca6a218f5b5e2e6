//! `gmai dataset ...`: a dataset folder as it lies on disk. Every subcommand but `sample` has a file of its own.

pub mod args;
mod check;
mod exchange;
pub mod licence;
mod review;
mod stats;

use crate::doctor::size;
use crate::output::Output;
use anyhow::{Context, Result, bail};
use args::{DatasetCommand, SampleArguments};
use gmai_schema::{Conversation, Form};
use gmai_shard::{Manifest, Reader, Sample, Tally};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Runs the command.
pub fn run(command: &DatasetCommand, output: Output) -> Result<()> {
    match command {
        DatasetCommand::Check(arguments) => check::run(arguments, output),
        DatasetCommand::Stats(arguments) => stats::run(arguments, output),
        DatasetCommand::Review(arguments) => review::run(arguments, output),
        DatasetCommand::Export(arguments) => exchange::export(arguments, output),
        DatasetCommand::Import(arguments) => exchange::import(arguments, output),
        DatasetCommand::Sample(arguments) => sample(arguments, output),
    }
}

/// The manifest's counts as a page of text.
pub fn stats_lines(manifest: &Manifest) -> Vec<String> {
    let rows: u64 = manifest.shards.iter().map(|shard| shard.rows).sum();
    let bytes: u64 = manifest.shards.iter().map(|shard| shard.bytes).sum();
    let mut lines =
        vec![format!("{}: {rows} pairs, {} in {} shards", manifest.name, size(bytes), manifest.shards.len())];
    let counts = &manifest.counts;
    let groups = [
        ("split", &counts.split),
        ("form", &counts.form),
        ("language", &counts.language),
        ("task", &counts.task),
        ("modality", &counts.modality),
    ];
    for (name, counts) in groups {
        let list: Vec<String> = counts.iter().map(|(key, count)| format!("{key} {count}")).collect();
        lines.push(format!("  {name:9} {}", list.join(", ")));
    }
    lines.extend(source_lines(manifest));
    lines
}

/// What became of every source's images, as a table.
fn source_lines(manifest: &Manifest) -> Vec<String> {
    let mut lines = Vec::new();
    let width =
        manifest.sources.iter().map(|source| source.facts.name.chars().count()).max().unwrap_or(0).max("source".len());
    lines.push(format!(
        "  {:width$} {:>8} {:>8} {:>8} {:>12} {:>8}",
        "source", "pairs", "images", "skipped", "quarantined", "given"
    ));
    for source in &manifest.sources {
        let Tally { given, used, quarantined, .. } = source.images;
        let skipped = source.images.num_skipped();
        let name = &source.facts.name;
        lines.push(format!("  {name:width$} {:>8} {used:>8} {skipped:>8} {quarantined:>12} {given:>8}", source.pairs));
    }
    lines
}

/// One shown row.
#[derive(Debug, Serialize)]
struct Shown {
    conversation: Conversation,
    pictures: Vec<PathBuf>,
}

fn sample(arguments: &SampleArguments, output: Output) -> Result<()> {
    let form = arguments.form.as_deref().map(read_form).transpose()?;
    let reader = Reader::open(&arguments.folder)?;
    let split = arguments.split.split();
    let wanted = |sample: &Sample| {
        let conversation = &sample.conversation;
        form.is_none_or(|form| conversation.form == form)
            && arguments.source.as_deref().is_none_or(|source| conversation.source == source)
    };
    let mut matching = 0_usize;
    for sample in reader.samples(split) {
        matching += usize::from(wanted(&sample?));
    }
    if matching == 0 {
        let sources: Vec<&str> = reader.manifest().counts.source.keys().map(String::as_str).collect();
        bail!("{}: no {} row matches; sources are {}", arguments.folder.display(), split.key(), sources.join(", "));
    }
    let picked = spread(matching, arguments.count);
    let (mut shown, mut index) = (Vec::new(), 0);
    for sample in reader.samples(split) {
        let sample = sample?;
        if !wanted(&sample) {
            continue;
        }
        if picked.contains(&index) {
            let pictures = write_pictures(&sample, arguments.out.as_deref())?;
            show(&sample.conversation, &pictures, output)?;
            shown.push(Shown { conversation: sample.conversation, pictures });
        }
        index += 1;
    }
    output.document(&shown)
}

fn read_form(key: &str) -> Result<Form> {
    let keys = Form::ALL.map(Form::key).join(", ");
    Form::from_key(key).with_context(|| format!("--form {key}: no such form; forms are {keys}"))
}

/// `count` of `total` indices, evenly spaced from the first on.
pub fn spread(total: usize, count: usize) -> BTreeSet<usize> {
    let count = count.min(total);
    (0..count).map(|place| place * total / count).collect()
}

fn write_pictures(sample: &Sample, out: Option<&Path>) -> Result<Vec<PathBuf>> {
    let Some(out) = out else { return Ok(Vec::new()) };
    std::fs::create_dir_all(out).with_context(|| format!("cannot make the folder {}", out.display()))?;
    let write = |image: &gmai_shard::EncodedImage| {
        let path = out.join(&image.path);
        std::fs::write(&path, &image.bytes).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    };
    sample.images.iter().map(write).collect()
}

fn show(conversation: &Conversation, pictures: &[PathBuf], output: Output) -> Result<()> {
    let modality = conversation.modality.map_or("modality unknown", |modality| modality.key());
    let form = conversation.form.key();
    let file = &conversation.provenance.file;
    output.line(format!("-- {} {form} {} {modality} {file}", conversation.source, conversation.language.key()))?;
    for picture in pictures {
        output.line(format!("   picture {}", picture.display()))?;
    }
    for turn in &conversation.turns {
        let speaker = match turn.from {
            gmai_schema::Role::System => "system",
            gmai_schema::Role::Human => "human",
            gmai_schema::Role::Assistant => "model",
        };
        output.line(format!("   {speaker:6} {}", turn.value.replace('\n', "\n          ")))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picks_are_spread_over_all_that_match() {
        assert_eq!(spread(10, 3).into_iter().collect::<Vec<_>>(), [0, 3, 6]);
        assert_eq!(spread(2, 5).len(), 2);
        assert!(spread(0, 5).is_empty());
    }
}
