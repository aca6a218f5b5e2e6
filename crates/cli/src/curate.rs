//! `gmai curate`: annotated datasets to image-text pairs.

use crate::args::CurateArguments;
use crate::author;
use crate::dataset::{licence, stats_lines};
use crate::environment;
use crate::output::Output;
use crate::overrides;
use crate::progress::Bars;
use anyhow::{Context, Result};
use gmai_curate::{Config, Job, Outcome, Summary};
use gmai_imaging::Decoder;
use gmai_shard::Manifest;
use std::path::Path;

/// Runs the command.
pub fn run(arguments: &CurateArguments, output: Output) -> Result<()> {
    let decoder = arguments.decoding.decoder()?;
    let job = job(&arguments.config, &arguments.out, &arguments.overrides, decoder)?;
    demand_licences(&job, arguments.licence_policy.as_deref())?;
    if arguments.author_dry_run {
        return author::dry_run(&job, output);
    }
    let manifest = carry_out(&job, arguments.author_ledger.as_deref(), output)?;
    output.line(format!("next: gmai dataset sample {} --out out/samples", arguments.out.display()))?;
    output.document(&manifest)
}

/// Judges the licences that the config states, before anything is read.
fn demand_licences(job: &Job, policy: Option<&str>) -> Result<()> {
    let Some(policy) = policy else { return Ok(()) };
    let config = Config::parse(&job.config_path, &job.config_text)?;
    licence::demand(Some(policy), config.sources.iter().map(|source| (source.name.as_str(), source.licence.as_str())))
}

/// Makes the dataset and shows what came of it.
pub fn make(config: &Path, out: &Path, replaced: &[String], decoder: Decoder, output: Output) -> Result<Manifest> {
    carry_out(&job(config, out, replaced, decoder)?, None, output)
}

/// What is to be done, with `--set` put into the config.
fn job(config: &Path, out: &Path, replaced: &[String], decoder: Decoder) -> Result<Job> {
    let mut job = Job { decoder, ..Job::from_file(config, environment::variables(), out)? };
    job.config_text = overrides::apply(&job.config_text, replaced).with_context(|| config.display().to_string())?;
    Ok(job)
}

fn carry_out(job: &Job, ledger: Option<&Path>, output: Output) -> Result<Manifest> {
    let out = &job.out;
    let mut bars = Bars::default();
    let mut model = author::Model::of(job, ledger)?;
    let Summary { manifest, outcome, resumed } = match &mut model {
        Some(model) => gmai_curate::run_with_author(job, model.responder(), &mut |progress| bars.show(progress))?,
        None => gmai_curate::run(job, &mut |progress| bars.show(progress))?,
    };
    drop(bars);
    for line in model.iter().flat_map(|model| model.lines(&manifest)) {
        output.line(line)?;
    }
    if resumed.items > 0 {
        output.line(format!(
            "gone on from an interrupted run: {} images were not read again, {} rows not written again",
            resumed.items, resumed.rows
        ))?;
    }
    if outcome == Outcome::AlreadyThere {
        output.line(format!("{} holds this dataset already; nothing was written", out.display()))?;
    }
    for line in stats_lines(&manifest) {
        output.line(line)?;
    }
    if manifest.num_quarantined > 0 {
        let list = out.join("quarantine.jsonl");
        output.line(format!(
            "{} defective inputs were left out; {} says why",
            manifest.num_quarantined,
            list.display()
        ))?;
    }
    Ok(manifest)
}
