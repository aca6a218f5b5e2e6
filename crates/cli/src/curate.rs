//! `gmai curate`: annotated datasets to image-text pairs.

use crate::args::CurateArguments;
use crate::dataset::stats_lines;
use crate::environment;
use crate::output::Output;
use crate::overrides;
use crate::progress::Bars;
use anyhow::{Context, Result};
use gmai_curate::{Job, Outcome, Summary};
use gmai_shard::Manifest;
use std::path::Path;

/// Runs the command.
pub fn run(arguments: &CurateArguments, output: Output) -> Result<()> {
    let manifest = make(&arguments.config, &arguments.out, &arguments.overrides, output)?;
    output.line(format!("next: gmai dataset sample {} --out out/samples", arguments.out.display()))?;
    output.document(&manifest)
}

/// Makes the dataset and shows what came of it.
pub fn make(config: &Path, out: &Path, replaced: &[String], output: Output) -> Result<Manifest> {
    let mut job = Job::from_file(config, environment::variables(), out)?;
    job.config_text = overrides::apply(&job.config_text, replaced).with_context(|| config.display().to_string())?;
    let mut bars = Bars::default();
    let Summary { manifest, outcome } = gmai_curate::run(&job, &mut |progress| bars.show(progress))?;
    drop(bars);
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
