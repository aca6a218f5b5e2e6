//! The model that `[author]` of a curate config names: an endpoint with its ledger, or a model folder of gmai's own.

use crate::output::Output;
use crate::progress::Bars;
use crate::{engine, environment};
use anyhow::{Context, Result, bail};
use gmai_curate::author::{Options, SourceEstimate};
use gmai_curate::{Config, Job};
use gmai_endpoint::{ApiKey, Endpoint, Settings};
use gmai_infer::Engine;
use gmai_schema::Responder;
use gmai_shard::Manifest;
use serde::Serialize;
use std::path::Path;

/// Name of the ledger in the dataset folder.
const LEDGER: &str = "author.jsonl";

/// A model that writes.
pub enum Model {
    /// Behind an address.
    Endpoint(Box<Endpoint>),
    /// In this process.
    Engine(Box<Engine>),
}

/// What `--author-dry-run` tells.
#[derive(Serialize)]
struct DryRun {
    sources: Vec<SourceEstimate>,
    total: SourceEstimate,
    /// Tokens read when every text passes at once, pictures included.
    prompt_tokens: u64,
    /// What that costs, in the currency of the config's price; absent without a price.
    cost: Option<f64>,
    /// The same if every text takes all attempts.
    most_calls: u64,
    most_cost: Option<f64>,
}

impl Model {
    /// The model of a job; `None` when its config has no `[author]`.
    pub fn of(job: &Job, ledger: Option<&Path>) -> Result<Option<Model>> {
        let Some(options) = options(job)? else { return Ok(None) };
        let Some(settings) = settings(&options)? else {
            let folder = options.checkpoint.as_deref().unwrap_or_default();
            let beside = job.config_path.parent().unwrap_or(Path::new(""));
            return Ok(Some(Model::Engine(Box::new(engine::open(&beside.join(folder))?))));
        };
        let key = match &settings.api_key_variable {
            Some(name) => match environment::named(name) {
                Some(key) => Some(ApiKey::new(&key)),
                None => bail!("author.endpoint.api_key_variable: the environment variable {name} is not set"),
            },
            None => None,
        };
        let path = ledger.map_or_else(|| job.out.join(LEDGER), Path::to_path_buf);
        Ok(Some(Model::Endpoint(Box::new(Endpoint::with_ledger(settings, key, &path)?))))
    }

    /// Who answers.
    pub fn responder(&mut self) -> &mut dyn Responder {
        match self {
            Model::Endpoint(endpoint) => endpoint.as_mut(),
            Model::Engine(engine) => engine.as_mut(),
        }
    }

    /// What came of it, for people.
    pub fn lines(&self, manifest: &Manifest) -> Vec<String> {
        let accounts = || manifest.sources.iter().filter_map(|source| source.authored.as_ref());
        let sum = |part: fn(&gmai_shard::Authored) -> u64| accounts().map(part).sum::<u64>();
        let mut lines = vec![format!(
            "texts by a model: {} asked, {} passed ({} at once), {} quarantined, {} unanswered",
            sum(|a| a.asked),
            sum(|a| a.passed),
            sum(|a| a.passed_at_once),
            sum(|a| a.quarantined),
            sum(|a| a.unanswered)
        )];
        if let Model::Endpoint(endpoint) = self
            && let Some(totals) = endpoint.totals()
        {
            lines.push(format!(
                "calls: {} sent, {} answered, cost {:.4}, all runs with this ledger",
                totals.num_asked, totals.num_answered, totals.cost
            ));
        }
        lines
    }
}

fn options(job: &Job) -> Result<Option<Options>> {
    Ok(Config::parse(&job.config_path, &job.config_text)?.author)
}

/// The endpoint's settings; `None` when gmai's own model writes.
fn settings(options: &Options) -> Result<Option<Settings>> {
    let Some(table) = &options.endpoint else { return Ok(None) };
    let settings: Settings = table.clone().try_into().context("author.endpoint")?;
    settings.check()?;
    Ok(Some(settings))
}

/// Tells what a run will take. Nothing is asked and nothing is made.
pub fn dry_run(job: &Job, output: Output) -> Result<()> {
    let settings = options(job)?.as_ref().map(settings).transpose()?.flatten();
    let mut bars = Bars::default();
    let estimate = gmai_curate::estimate(job, &mut |progress| bars.show(progress))?;
    drop(bars);
    let total = estimate.total();
    let image_tokens = settings.as_ref().map_or(0, |settings| settings.image_tokens);
    let prompt_tokens = total.text_tokens + total.images * image_tokens;
    let cost = settings
        .as_ref()
        .map(|settings| settings.price.of(prompt_tokens, total.reply_tokens))
        .filter(|cost| *cost > 0.0);
    let most = |value: f64| value * estimate.attempts as f64;
    for source in estimate.sources.iter().chain([&total]) {
        output.line(format!(
            "{}: {} records, {} calls, {} tokens of text and {} pictures read, {} tokens written",
            source.source, source.records, source.calls, source.text_tokens, source.images, source.reply_tokens
        ))?;
    }
    let money = |cost: Option<f64>| cost.map_or("no price is set".to_string(), |cost| format!("cost {cost:.2}"));
    output.line(format!("when every text passes at once: {} calls, {}", total.calls, money(cost)))?;
    output.line(format!(
        "at most, {} attempts each: {} calls, {}",
        estimate.attempts,
        total.calls * estimate.attempts as u64,
        money(cost.map(most))
    ))?;
    let most_calls = total.calls * estimate.attempts as u64;
    output.document(&DryRun {
        sources: estimate.sources.clone(),
        total,
        prompt_tokens,
        cost,
        most_calls,
        most_cost: cost.map(most),
    })
}
