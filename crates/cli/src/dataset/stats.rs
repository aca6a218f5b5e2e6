//! `gmai dataset stats`: what a dataset holds, as text, JSON and a data card with figures.

use super::args::StatsArguments;
use crate::output::Output;
use crate::progress::Bars;
use anyhow::{Context, Result};
use gmai_processor::Tokenizer;
use gmai_quality::TokenCounter;
use gmai_shard::Reader;

/// Runs the command.
pub fn run(arguments: &StatsArguments, output: Output) -> Result<()> {
    let reader = Reader::open(&arguments.folder)?;
    let tokenizer = arguments.tokenizer.as_deref().map(Tokenizer::from_folder).transpose()?;
    let mut count = |text: &str| {
        let tokenizer = tokenizer.as_ref().expect("called only with a tokenizer");
        tokenizer.encode_text(text).map(|ids| ids.len() as u64).map_err(|error| error.to_string())
    };
    let counter = tokenizer.is_some().then_some(&mut count as &mut TokenCounter);
    let mut bars = Bars::default();
    let stats = gmai_quality::stats(&reader, counter, &mut |progress| bars.show(progress))?;
    drop(bars);
    for line in stats.lines() {
        output.line(line)?;
    }
    for line in super::source_lines(reader.manifest()) {
        output.line(line)?;
    }
    if let Some(out) = &arguments.out {
        let page = gmai_quality::stats_html(&stats, &gmai_quality::samples(&reader)?)?;
        std::fs::write(out, page).with_context(|| format!("cannot write {}", out.display()))?;
        output.line(format!("written: {}", out.display()))?;
    }
    output.document(&stats)
}
