//! One HTML page that shows a run: scores with intervals, figures, examples. Self-contained; can be mailed and printed.

use crate::error::Result;
use crate::example::{Example, ExampleView};
use crate::plot;
use crate::run::Skipped;
use crate::summary::{Caution, MIN_QUESTIONS, Measure, Row, Summary};
use crate::text::{cautions_text, gain_text, interval_text, percent};
use askama::Template;

/// A quantity over training, e.g. the loss.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// What it is, e.g. `loss`.
    pub name: String,
    /// The stage it belongs to; curves of one stage share a figure.
    pub stage: String,
    /// Its points.
    pub points: Vec<CurvePoint>,
}

/// One point of a [`Curve`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CurvePoint {
    /// Optimizer step, from the beginning of the stage.
    pub step: u64,
    /// Value; points that are not finite are left out.
    pub value: f64,
}

/// A line of a [`FactTable`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What it is about, e.g. `checkpoint`.
    pub name: String,
    /// What holds.
    pub value: String,
}

/// Facts about the model, the data or the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactTable {
    /// Heading, e.g. `Model`.
    pub title: String,
    /// The facts, in order.
    pub facts: Vec<Fact>,
}

/// Everything that a report shows.
#[derive(Debug, Clone)]
pub struct ReportInput<'a> {
    /// Heading of the page.
    pub title: String,
    /// The scores.
    pub summary: &'a Summary,
    /// Questions with pictures, right and wrong ones (see [`crate::pick_examples`]).
    pub examples: Vec<Example>,
    /// Training curves; may be empty.
    pub curves: Vec<Curve>,
    /// Facts about model, data and run.
    pub facts: Vec<FactTable>,
    /// Items that were not asked.
    pub skipped: Vec<Skipped>,
}

/// The page. It loads nothing from elsewhere; pictures are shrunk to at most [`crate::example::THUMBNAIL`] pixels a side.
///
/// # Errors
/// A figure that cannot be drawn or a picture that cannot be encoded.
pub fn report_html(input: &ReportInput<'_>) -> Result<String> {
    let summary = input.summary;
    let mut tables = vec![TableView::new("Overall", "overall", &summary.overall)?];
    for table in summary.tables.iter().filter(|table| !table.rows.is_empty()) {
        tables.push(TableView::new(&format!("By {}", table.dimension.key()), table.dimension.key(), &table.rows)?);
    }
    let examples = input.examples.iter().map(ExampleView::new).collect::<Result<Vec<_>>>()?;
    let (right, wrong) = examples.into_iter().partition(|example| example.is_right);
    let page = Page {
        title: &input.title,
        headline: headline(summary),
        words: words(input),
        tables,
        stages: stages(&input.curves)?,
        example_groups: [("Wrong", wrong), ("Right", right)]
            .into_iter()
            .map(|(title, examples)| ExampleGroup { title, examples })
            .filter(|group: &ExampleGroup| !group.examples.is_empty())
            .collect(),
        facts: &input.facts,
        skipped: &input.skipped,
    };
    Ok(page.render()?)
}

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    title: &'a str,
    headline: Vec<Headline>,
    words: Vec<String>,
    tables: Vec<TableView>,
    stages: Vec<StageView>,
    example_groups: Vec<ExampleGroup>,
    facts: &'a [FactTable],
    skipped: &'a [Skipped],
}

/// A score in large type.
struct Headline {
    label: String,
    score: String,
    interval: String,
    beside: String,
}

fn headline(summary: &Summary) -> Vec<Headline> {
    let view = |row: &Row| {
        let mut beside = vec![format!("chance {}", percent(row.chance))];
        beside.extend(row.majority.map(|majority| format!("majority {}", percent(majority))));
        beside.extend(row.blank.map(|blank| format!("blank pictures {}", interval_text(&blank))));
        beside.extend(row.gain.map(|gain| format!("gain {}", gain_text(&gain))));
        Headline {
            label: format!("{}, {}", row.group, row.measure.name()),
            score: format!("{} %", percent(row.score.estimate)),
            interval: format!(
                "{} to {} · n {} · {} patients",
                percent(row.score.low),
                percent(row.score.high),
                row.num_questions,
                row.num_patients
            ),
            beside: beside.join(" · "),
        }
    };
    // One card for each group: the measure that reads the least into the reply.
    let shown = |row: &&Row| {
        let likelihood = summary.overall_row(&row.group, Measure::ChoiceLikelihood).is_some();
        row.measure == Measure::ChoiceLikelihood
            || row.measure == Measure::OpenTokenF1
            || (row.measure == Measure::ChoiceGenerated && !likelihood)
    };
    summary.overall.iter().filter(shown).map(view).collect()
}

/// What a reader must know before reading the numbers.
fn words(input: &ReportInput<'_>) -> Vec<String> {
    let summary = input.summary;
    let rows: Vec<&Row> = summary.overall.iter().chain(summary.tables.iter().flat_map(|table| &table.rows)).collect();
    let with = |caution| rows.iter().filter(|row| row.cautions.contains(&caution)).count();
    let mut words = vec![
        "Intervals hold for new patients of the same kind; they do not cover other hospitals, devices or ways of asking."
            .to_string(),
    ];
    let few = with(Caution::FewQuestions);
    if few > 0 {
        words.push(format!(
            "{few} of {} rows rest on fewer than {MIN_QUESTIONS} questions (set in grey): they are impressions, not measurements.",
            rows.len()
        ));
    }
    let wide = with(Caution::WideInterval);
    if wide > 0 {
        words.push(format!(
            "{wide} of {} rows have an interval of more than ten points to either side: differences between them mean little.",
            rows.len()
        ));
    }
    words.extend(summary.overall.iter().filter_map(unbeaten));
    words.extend(unusable(summary));
    if !input.skipped.is_empty() {
        words.push(format!(
            "{} items were not asked; they are listed at the end and are in no score.",
            input.skipped.len()
        ));
    }
    if summary.overall.iter().all(|row| row.blank.is_none()) {
        words.push("The blank-picture control was not run: how much is read from the pictures is unknown.".to_string());
    }
    words
}

/// Which baselines a score is not told apart from, in words.
fn unbeaten(row: &Row) -> Option<String> {
    let mut baselines = Vec::new();
    if row.score.low <= row.chance {
        baselines.push("a blind draw");
    }
    if row.majority.is_some_and(|majority| row.score.low <= majority) {
        baselines.push("always giving the answer most frequent in training");
    }
    if row.gain.is_some_and(|gain| gain.low <= 0.0) {
        baselines.push("the same model before blank pictures");
    }
    let name = || format!("{}, {}", row.group, row.measure.name());
    (!baselines.is_empty())
        .then(|| format!("{}: not shown to be better than {}.", name(), baselines.join(", nor than ")))
}

/// Replies that could not be used, in words.
fn unusable(summary: &Summary) -> Vec<String> {
    let mut words = Vec::new();
    for row in &summary.overall {
        let parts = [(row.num_unparsed, "unread"), (row.num_refused, "refused"), (row.num_missing, "missing")];
        let parts: Vec<String> =
            parts.iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}")).collect();
        if !parts.is_empty() {
            words.push(format!(
                "{}, {}: {} of {} replies count as wrong.",
                row.group,
                row.measure.name(),
                parts.join(", "),
                row.num_questions
            ));
        }
    }
    words
}

/// A table with its figure.
struct TableView {
    title: String,
    id: String,
    figure: Option<String>,
    rows: Vec<RowView>,
}

/// Dimensions whose groups are worth a figure, and the most groups that fit one.
const FIGURES: [&str; 4] = ["source", "modality", "task", "attribute"];
const MAX_FIGURE_ROWS: usize = 40;

impl TableView {
    fn new(title: &str, id: &str, rows: &[Row]) -> Result<TableView> {
        let is_closed = |row: &&Row| matches!(row.measure, Measure::ChoiceLikelihood | Measure::ChoiceGenerated);
        let measure = rows.iter().filter(is_closed).map(|row| row.measure).min();
        let mut drawn: Vec<&Row> = rows.iter().filter(|row| Some(row.measure) == measure).collect();
        drawn.truncate(MAX_FIGURE_ROWS);
        let figure = if FIGURES.contains(&id) { plot::forest(title, &drawn)? } else { None };
        Ok(TableView {
            title: title.to_string(),
            id: id.to_string(),
            figure,
            rows: rows.iter().map(RowView::new).collect(),
        })
    }
}

/// A number as shown, with its interval below it and the value that sorts it.
struct Cell {
    text: String,
    ends: Option<String>,
    value: f64,
}

impl Cell {
    /// Absent numbers sort below all others.
    fn absent() -> Cell {
        Cell { text: "–".to_string(), ends: None, value: -2.0 }
    }
}

struct RowView {
    group: String,
    measure: &'static str,
    is_small: bool,
    cells: Vec<Cell>,
    cautions: String,
}

impl RowView {
    fn new(row: &Row) -> RowView {
        let count = |count: usize| Cell { text: count.to_string(), ends: None, value: count as f64 };
        let share = |share: f64| Cell { text: percent(share), ends: None, value: share };
        let split = |text: String, value: f64| match text.split_once(' ') {
            Some((estimate, ends)) => Cell { text: estimate.to_string(), ends: Some(ends.to_string()), value },
            None => Cell { text, ends: None, value },
        };
        let interval = |interval: &crate::Interval| split(interval_text(interval), interval.estimate);
        let gain = |gain: &crate::Interval| split(gain_text(gain), gain.estimate);
        RowView {
            group: row.group.clone(),
            measure: row.measure.name(),
            is_small: row.num_questions < MIN_QUESTIONS,
            cells: vec![
                count(row.num_questions),
                count(row.num_patients),
                interval(&row.score),
                share(row.chance),
                row.majority.map_or_else(Cell::absent, share),
                row.blank.as_ref().map_or_else(Cell::absent, interval),
                row.gain.as_ref().map_or_else(Cell::absent, gain),
                count(row.num_unparsed),
            ],
            cautions: cautions_text(&row.cautions),
        }
    }
}

struct StageView {
    title: String,
    figure: String,
    legend: Vec<LegendEntry>,
}

struct LegendEntry {
    name: String,
    colour: String,
    last: String,
}

/// One figure a stage, stages in the order of their first curve.
fn stages(curves: &[Curve]) -> Result<Vec<StageView>> {
    let mut names: Vec<&str> = Vec::new();
    for curve in curves {
        if !names.contains(&curve.stage.as_str()) {
            names.push(&curve.stage);
        }
    }
    let mut views = Vec::new();
    for name in names {
        let drawable = |curve: &&Curve| curve.stage == name && curve.points.iter().any(|point| point.value.is_finite());
        let members: Vec<&Curve> = curves.iter().filter(drawable).collect();
        let Some(figure) = plot::curves(name, &members)? else { continue };
        let legend = members.iter().enumerate().map(|(index, curve)| legend_entry(index, curve)).collect();
        views.push(StageView { title: name.to_string(), figure, legend });
    }
    Ok(views)
}

fn legend_entry(index: usize, curve: &Curve) -> LegendEntry {
    let last = curve.points.iter().filter(|point| point.value.is_finite()).max_by_key(|point| point.step);
    LegendEntry {
        name: curve.name.clone(),
        colour: plot::curve_colour(index),
        last: last.map_or(String::new(), |point| format!("last {:.4} at step {}", point.value, point.step)),
    }
}

struct ExampleGroup {
    title: &'static str,
    examples: Vec<ExampleView>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::baseline::MajorityAnswers;
    use crate::score::score;
    use crate::score::tests::{choice, open, reply};
    use crate::summary::summarise;
    use gmai_schema::{Question, Rgb8};

    fn input(summary: &Summary) -> ReportInput<'_> {
        ReportInput {
            title: "Test <run>".into(),
            summary,
            examples: Vec::new(),
            curves: vec![Curve {
                name: "loss".into(),
                stage: "shallow alignment".into(),
                points: (0..20).map(|step| CurvePoint { step, value: 3.0 / (step + 1) as f64 }).collect(),
            }],
            facts: vec![FactTable {
                title: "Model".into(),
                facts: vec![Fact { name: "checkpoint".into(), value: "abc".into() }],
            }],
            skipped: vec![Skipped { id: "item 3".into(), reason: "broken picture".into() }],
        }
    }

    #[test]
    fn the_page_is_self_contained_and_escapes_what_data_says() {
        let questions = [
            Question { source: "<script>alert(1)</script>".into(), ..choice("q0", &["cat", "dog"], 0) },
            open("q1", &["lung"]),
        ];
        let replies = [reply(&questions[0], "A", &[-0.1, -2.0]), reply(&questions[1], "<b>heart</b>", &[])];
        let verdicts = score(&questions, &replies);
        let summary = summarise(&questions, &verdicts, &[], &MajorityAnswers::default());
        let examples = questions.iter().zip(&replies).map(|(question, reply)| Example {
            question: question.clone(),
            images: vec![Rgb8::filled(300, 150, [9, 9, 9])],
            reply: Some(reply.clone()),
            verdict: verdicts.iter().find(|verdict| verdict.question == question.id).unwrap().clone(),
        });
        let input = ReportInput { examples: examples.collect(), ..input(&summary) };
        let page = report_html(&input).unwrap();
        assert_eq!(page, report_html(&input).unwrap());
        assert!(!page.contains("<script>alert") && !page.contains("<b>heart"));
        for remote in ["src=\"http", "href=\"http", "url(http", "@import"] {
            assert!(!page.contains(remote), "{remote}");
        }
        for expected in
            ["data:image/png;base64,", "broken picture", "fewer than 50 questions", "shallow alignment", "<svg"]
        {
            assert!(page.contains(expected), "{expected}");
        }
    }
}
