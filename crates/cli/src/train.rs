//! `gmai train`: a recipe carried out.

use crate::args::TrainArguments;
use crate::interrupt::Patience;
use crate::model::thousands;
use crate::output::Output;
use crate::overrides;
use crate::progress::Bars;
use anyhow::{Context, Result, bail};
use gmai_train::plan::StagePlan;
use gmai_train::recipe::{ModelSource, Recipe};
use gmai_train::run::{Hooks, RunOptions, RunSummary};
use serde::Serialize;
use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};

/// The command's result for programs.
#[derive(Debug, Serialize)]
struct Trained {
    model: PathBuf,
    stages: Vec<PathBuf>,
    plans: Vec<StagePlan>,
}

/// Runs the command.
pub fn run(arguments: &TrainArguments, output: Output) -> Result<()> {
    let mut recipe = read_recipe(&arguments.recipe, &arguments.overrides)?;
    keep_stages(&mut recipe, &arguments.stages)?;
    let options =
        RunOptions { recipe, dataset: arguments.data.clone(), out: arguments.out.clone(), resume: arguments.resume };
    let (summary, plans) = train(&options, output)?;
    output.line(format!("model: {}", summary.model.display()))?;
    output.line(format!(
        "next: gmai eval run --model {} --data {} --out {} --run {}",
        summary.model.display(),
        arguments.data.display(),
        arguments.out.join("eval").display(),
        arguments.out.display()
    ))?;
    output.document(&Trained { model: summary.model, stages: summary.stages, plans })
}

/// Carries out the run with bars; Ctrl-C writes a checkpoint and stops.
pub fn train(options: &RunOptions, output: Output) -> Result<(RunSummary, Vec<StagePlan>)> {
    if !options.resume && options.out.join("checkpoints").is_dir() {
        bail!("{}: holds an earlier run; go on with --resume, or give another --out", options.out.display());
    }
    let patience = Patience::begin();
    let bars = RefCell::new(Bars::default());
    let mut plans = Vec::new();
    let mut on_plan = |plan: &StagePlan| {
        bars.borrow_mut().end_phase();
        plans.push(plan.clone());
        // Standard output may be closed; the run matters more.
        let _ = output.line(describe(plan));
    };
    let mut hooks = Hooks {
        on_progress: &mut |progress| bars.borrow_mut().show(progress),
        on_plan: &mut on_plan,
        should_stop: &|| patience.is_over(),
    };
    let summary = gmai_train::run::run(options, &mut hooks)?;
    Ok((summary, plans))
}

/// What a stage will do, on one line.
fn describe(plan: &StagePlan) -> String {
    let stage = &plan.stage;
    let parts: Vec<String> = stage.trainable.iter().map(|part| format!("{part:?}").to_lowercase()).collect();
    format!(
        "stage {}: {} of {} parameters ({}), {} samples, {} steps, {} tokens, peak rate {:e}",
        stage.name,
        thousands(plan.num_trainable),
        thousands(plan.num_parameters),
        parts.join(", "),
        thousands(plan.num_samples),
        thousands(plan.num_steps),
        thousands(plan.num_tokens),
        stage.learning_rate
    )
}

/// Reads a recipe with values replaced.
fn read_recipe(path: &Path, replaced: &[String]) -> Result<Recipe> {
    if replaced.is_empty() {
        return Ok(Recipe::load(path)?);
    }
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let text = overrides::apply(&text, replaced).with_context(|| path.display().to_string())?;
    let mut recipe = Recipe::parse(&text, path)?;
    if let (ModelSource::StartFrom(folder), Some(parent)) = (&mut recipe.model, path.parent()) {
        *folder = parent.join(&*folder); // As `Recipe::load` does.
    }
    Ok(recipe)
}

/// Leaves out the stages that are not named; all stay when none is.
fn keep_stages(recipe: &mut Recipe, names: &[String]) -> Result<()> {
    let known: Vec<String> = recipe.stages.iter().map(|stage| stage.name.clone()).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
        bail!("--stages {unknown}: the recipe has no such stage; it has {}", known.join(", "));
    }
    recipe.stages.retain(|stage| names.is_empty() || names.contains(&stage.name));
    Ok(())
}
