//! `gmai ablation`: models that differ in their stages, trained on the same data and asked the same questions.
//!
//! Each row is a list of stages. A stage is trained once for every distinct list of stages before it: rows share their beginnings.

use crate::args::AblationArguments;
use crate::eval::{self, Request};
use crate::output::Output;
use crate::train;
use anyhow::{Context, Result, bail};
use gmai_eval::summary::{ALL_CLOSED, ALL_OPEN, LABEL_QUESTIONS};
use gmai_eval::{Control, Measure, Summary};
use gmai_schema::Split;
use gmai_train::recipe::{ModelSource, Recipe};
use gmai_train::run::RunOptions;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// An ablation as written in its file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ablation {
    /// The recipe whose stages are combined; relative to the ablation file.
    recipe: PathBuf,
    /// Stages that every row begins with.
    #[serde(default)]
    shared: Vec<String>,
    /// The models to compare; each difference is to the last one.
    #[serde(rename = "row")]
    rows: Vec<RowConfig>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RowConfig {
    name: String,
    stages: Vec<String>,
}

/// One trained and measured row.
#[derive(Debug, Serialize)]
struct RowResult {
    name: String,
    model: PathBuf,
    eval: PathBuf,
    #[serde(skip)]
    summary: Summary,
    scores: Vec<ScoreResult>,
}

#[derive(Debug, Serialize)]
struct ScoreResult {
    group: String,
    measure: &'static str,
    n: usize,
    score: [f64; 3],
    blank: Option<[f64; 3]>,
    /// Against the last row, paired by question; absent for the last row itself.
    difference: Option<[f64; 3]>,
}

/// What is reported of each row: the two headline accuracies and the open answers.
const COLUMNS: [(&str, Measure, &str); 4] = [
    (ALL_CLOSED, Measure::ChoiceLikelihood, "closed, likeliest option"),
    (ALL_CLOSED, Measure::ChoiceGenerated, "closed, written answer"),
    (LABEL_QUESTIONS, Measure::ChoiceLikelihood, "label questions, likeliest option"),
    (ALL_OPEN, Measure::OpenExact, "open, exact match"),
];

/// Runs the command.
pub fn run(arguments: &AblationArguments, output: Output) -> Result<()> {
    let ablation = Ablation::load(&arguments.config)?;
    let folder = arguments.config.parent().unwrap_or(Path::new("."));
    let recipe = Recipe::load(&folder.join(&ablation.recipe))?;
    ablation.check(&recipe, &arguments.config)?;
    let mut rows = Vec::new();
    for row in &ablation.rows {
        let stages: Vec<&String> = ablation.shared.iter().chain(&row.stages).collect();
        let model = train_row(&recipe, &stages, arguments, output)?;
        output.line(format!("row {}: asking the questions", row.name))?;
        let eval = arguments.out.join("eval").join(file_name(&row.name));
        let request = Request {
            model: model.clone(),
            data: arguments.data.clone(),
            out: eval.clone(),
            split: Split::Test,
            per_source: arguments.per_source,
            batch_size: 16,
            run: None,
        };
        let summary = eval::evaluate(&request, output)?;
        rows.push(RowResult { name: row.name.clone(), model, eval, summary, scores: Vec::new() });
    }
    fill_scores(&mut rows)?;
    let table = table(&rows);
    let path = arguments.out.join("ablation.md");
    fs::write(&path, &table).with_context(|| format!("cannot write {}", path.display()))?;
    output.line(&table)?;
    output.line(format!("written: {}", path.display()))?;
    output.document(&rows)
}

impl Ablation {
    /// Reads an ablation file.
    pub fn load(path: &Path) -> Result<Ablation> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        toml::from_str(&text).with_context(|| path.display().to_string())
    }

    fn check(&self, recipe: &Recipe, path: &Path) -> Result<()> {
        if self.rows.is_empty() {
            bail!("{}: row: give at least one [[row]]", path.display());
        }
        let known: Vec<&str> = recipe.stages.iter().map(|stage| stage.name.as_str()).collect();
        for stage in self.shared.iter().chain(self.rows.iter().flat_map(|row| &row.stages)) {
            if !known.contains(&stage.as_str()) {
                bail!("{}: stage {stage:?} is not in the recipe, which has {known:?}", path.display());
            }
        }
        Ok(())
    }
}

/// Trains the stages one after the other, each from the model before it; what is there already is kept. Returns the last model.
fn train_row(recipe: &Recipe, stages: &[&String], arguments: &AblationArguments, output: Output) -> Result<PathBuf> {
    let mut model: Option<PathBuf> = None;
    for end in 1..=stages.len() {
        let name = stages[..end].iter().map(|stage| stage.as_str()).collect::<Vec<_>>().join("+");
        let out = arguments.out.join("models").join(name);
        if !out.join("model/config.json").exists() {
            let mut part = recipe.clone();
            part.stages.retain(|stage| stage.name == *stages[end - 1]);
            if let Some(folder) = model {
                part.model = ModelSource::StartFrom(folder);
            }
            let options = RunOptions { recipe: part, dataset: arguments.data.clone(), out: out.clone(), resume: true };
            train::train(&options, output)?;
        }
        model = Some(out.join("model"));
    }
    model.context("a row needs at least one stage")
}

/// Scores of every row, and each one's difference to the last.
fn fill_scores(rows: &mut [RowResult]) -> Result<()> {
    let verdicts = |row: &RowResult| gmai_eval::read_verdicts(&eval::verdict_file(&row.eval, Control::Real));
    let last = rows.last().context("there is a row")?;
    let questions = gmai_eval::read_questions(&last.eval.join("questions.jsonl"))?;
    let reference = verdicts(last)?;
    let num_rows = rows.len();
    for (index, row) in rows.iter_mut().enumerate() {
        let own = verdicts(row)?;
        for (group, measure, name) in COLUMNS {
            let Some(found) = row.summary.overall_row(group, measure) else { continue };
            let members: Vec<_> = questions
                .iter()
                .filter(|question| group != LABEL_QUESTIONS || gmai_eval::group::is_label_question(question))
                .cloned()
                .collect();
            let difference = (index + 1 < num_rows).then(|| gmai_eval::compare(&members, &own, &reference, measure));
            let three = |interval: &gmai_eval::Interval| [interval.estimate, interval.low, interval.high];
            row.scores.push(ScoreResult {
                group: group.to_string(),
                measure: name,
                n: found.num_questions,
                score: three(&found.score),
                blank: found.blank.as_ref().map(three),
                difference: difference.flatten().as_ref().map(three),
            });
        }
    }
    Ok(())
}

/// The table in Markdown, per cent with 95 % intervals.
fn table(rows: &[RowResult]) -> String {
    let mut text = String::from(
        "| stages | questions | n | score | blank | difference to the last row |\n|---|---|---|---|---|---|\n",
    );
    let percent =
        |[estimate, low, high]: [f64; 3]| format!("{:.1} [{:.1}, {:.1}]", 100.0 * estimate, 100.0 * low, 100.0 * high);
    for row in rows {
        for score in &row.scores {
            let (blank, difference) = (score.blank.map(percent), score.difference.map(percent));
            text.push_str(&format!(
                "| {} | {} | {} | {} | {} | {} |\n",
                row.name,
                score.measure,
                score.n,
                percent(score.score),
                blank.as_deref().unwrap_or("-"),
                difference.as_deref().unwrap_or("-")
            ));
        }
    }
    text
}

/// A row's name as a folder name.
fn file_name(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}
