//! `gmai dataset review`: sheets and requests to score samples by, and the verdict on every source.

use super::args::ReviewArguments;
use crate::output::Output;
use anyhow::{Context, Result, bail};
use gmai_quality::review::{self, ScoreFile};
use gmai_shard::Reader;
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;

/// What was written.
#[derive(Debug, Serialize)]
struct Written {
    sources: usize,
    pairs: usize,
    files: Vec<PathBuf>,
}

/// Runs the command.
pub fn run(arguments: &ReviewArguments, output: Output) -> Result<()> {
    let reader = Reader::open(&arguments.folder)?;
    if !arguments.scores.is_empty() {
        return judge(&reader, arguments, output);
    }
    if arguments.out.is_none() && arguments.requests.is_none() {
        bail!("nothing to do: give --out for a sheet, --requests for a model, or --scores to judge by");
    }
    let drawn = review::draw(&reader, arguments.per_source, arguments.seed)?;
    let rows = review::drawn_rows(&reader, &drawn)?;
    let mut written = Written { sources: drawn.len(), pairs: rows.len(), files: Vec::new() };
    if let Some(out) = &arguments.out {
        let manifest = reader.manifest();
        let content = &manifest.inputs_sha256[..manifest.inputs_sha256.len().min(12)];
        let page = gmai_quality::review_html(&manifest.name, content, &rows);
        std::fs::write(out, page).with_context(|| format!("cannot write {}", out.display()))?;
        written.files.push(out.clone());
    }
    if let (Some(requests), Some(model)) = (&arguments.requests, &arguments.model) {
        let cannot = || format!("cannot write {}", requests.display());
        let mut file = std::io::BufWriter::new(std::fs::File::create(requests).with_context(cannot)?);
        for row in &rows {
            writeln!(file, "{}", review::request(row, model)).with_context(cannot)?;
        }
        file.flush().with_context(cannot)?;
        written.files.push(requests.clone());
    }
    for file in &written.files {
        output.line(format!("{}: {} pairs of {} sources", file.display(), written.pairs, written.sources))?;
    }
    output.document(&written)
}

fn judge(reader: &Reader, arguments: &ReviewArguments, output: Output) -> Result<()> {
    let files = arguments.scores.iter().map(|path| review::read_scores(path)).collect::<Result<Vec<ScoreFile>, _>>()?;
    let outcome = review::judge(reader, &files, arguments.per_source)?;
    for line in outcome.lines() {
        output.line(line)?;
    }
    output.document(&outcome)
}
