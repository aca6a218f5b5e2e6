//! `gmai eval run|score|report`: questions asked, replies judged, the report written.
//!
//! ```text
//! run.json  questions.jsonl  replies-real.jsonl  replies-blank.jsonl      what `run` asked and was told
//! verdicts-real.jsonl  verdicts-blank.jsonl  summary.json  summary.csv    what `score` makes of it
//! report.html                                                            what `report` shows of it
//! ```

use crate::args::{EvalCommand, EvalRunArguments};
use crate::curves;
use crate::output::Output;
use crate::progress::Bars;
use crate::questions::{self, QuestionSet};
use anyhow::{Context, Result, bail};
use gmai_eval::{
    Control, Example, Fact, FactTable, MajorityAnswers, Reply, ReportInput, RunOptions, Skipped, Summary, Verdict,
};
use gmai_schema::{Responder, Split};
use gmai_shard::Reader;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Examples shown in a report, right and wrong ones.
const NUM_EXAMPLES: usize = 24;

/// What is asked of which model.
#[derive(Debug, Clone)]
pub struct Request {
    /// Model folder.
    pub model: PathBuf,
    /// Dataset folder.
    pub data: PathBuf,
    /// Folder for replies and scores.
    pub out: PathBuf,
    /// Which part of the dataset.
    pub split: Split,
    /// The most questions of each source; all when `None`.
    pub per_source: Option<usize>,
    /// Questions asked at once.
    pub batch_size: usize,
    /// Run folder of the training, for loss curves.
    pub run: Option<PathBuf>,
}

/// `run.json`: where questions and replies came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RunNote {
    data: PathBuf,
    model: PathBuf,
    run: Option<PathBuf>,
    split: Split,
    per_source: Option<usize>,
    checkpoint: Option<String>,
    skipped: Vec<NotAsked>,
}

/// A question that could not be put.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NotAsked {
    id: String,
    reason: String,
}

/// Runs the command.
pub fn run(command: &EvalCommand, output: Output) -> Result<()> {
    let summary = match command {
        EvalCommand::Run(arguments) => evaluate(&Request::from(arguments), output)?,
        EvalCommand::Score { folder } => {
            let summary = score(folder)?;
            report(folder, None)?;
            summary
        }
        EvalCommand::Report { folder, run } => {
            report(folder, run.as_deref())?;
            read_json(&folder.join("summary.json"))?
        }
    };
    let folder = match command {
        EvalCommand::Run(arguments) => &arguments.out,
        EvalCommand::Score { folder } | EvalCommand::Report { folder, .. } => folder,
    };
    output.document(&summary)?;
    if !matches!(command, EvalCommand::Report { .. }) {
        output.line(gmai_eval::summary_text(&summary))?;
    }
    output.line(format!("report: {}", folder.join("report.html").display()))?;
    Ok(())
}

impl From<&EvalRunArguments> for Request {
    fn from(arguments: &EvalRunArguments) -> Request {
        Request {
            model: arguments.model.clone(),
            data: arguments.data.clone(),
            out: arguments.out.clone(),
            split: arguments.split.split(),
            per_source: arguments.per_source,
            batch_size: arguments.batch,
            run: arguments.run.clone(),
        }
    }
}

/// Asks with the pictures and with blank ones, scores, writes the report.
pub fn evaluate(request: &Request, output: Output) -> Result<Summary> {
    let set = QuestionSet::open(&request.data, request.split, request.per_source)?;
    if set.len() == 0 {
        bail!("{}: the {} split has no question that can be judged", request.data.display(), request.split.key());
    }
    let mut engine = crate::engine::open(&request.model)?;
    fs::create_dir_all(&request.out).with_context(|| format!("cannot make the folder {}", request.out.display()))?;
    let real = ask(&set, &mut engine, Control::Real, request)?;
    let blank = ask(&set, &mut engine, Control::Blank, request)?;
    gmai_eval::write_questions(&request.out.join("questions.jsonl"), &real.questions)?;
    let skipped: BTreeSet<(String, String)> =
        real.skipped.into_iter().chain(blank.skipped).map(|Skipped { id, reason }| (id, reason)).collect();
    for (id, reason) in &skipped {
        output.line(format!("not asked: {id}: {reason}"))?;
    }
    let note = RunNote {
        data: request.data.clone(),
        model: request.model.clone(),
        run: request.run.clone(),
        split: request.split,
        per_source: request.per_source,
        checkpoint: real.checkpoint,
        skipped: skipped.into_iter().map(|(id, reason)| NotAsked { id, reason }).collect(),
    };
    write_json(&request.out.join("run.json"), &note)?;
    let summary = score(&request.out)?;
    report(&request.out, None)?;
    Ok(summary)
}

fn ask(
    set: &QuestionSet,
    responder: &mut dyn Responder,
    control: Control,
    request: &Request,
) -> Result<gmai_eval::Run> {
    let options =
        RunOptions { batch_size: request.batch_size, num_items: set.len() as u64, ..RunOptions::new(control) };
    let mut bars = Bars::default();
    let items = set.items().map(|item| item.map_err(|error| format!("{error:#}")));
    Ok(gmai_eval::ask(items, responder, &options, &request.out.join(control.file_name()), &mut |progress| {
        bars.show(progress)
    })?)
}

/// Judges the stored replies of a run folder and stores verdicts and scores.
pub fn score(folder: &Path) -> Result<Summary> {
    let note: RunNote = read_note(folder)?;
    let questions = gmai_eval::read_questions(&folder.join("questions.jsonl"))?;
    let mut verdicts = Vec::new();
    for control in [Control::Real, Control::Blank] {
        let replies = read_replies(folder, control, &note)?;
        let judged = gmai_eval::score(&questions, &replies);
        gmai_eval::write_verdicts(&verdict_file(folder, control), &judged)?;
        verdicts.push(judged);
    }
    let majority = majority(&note.data)?;
    let summary = gmai_eval::summarise(&questions, &verdicts[0], &verdicts[1], &majority);
    write_json(&folder.join("summary.json"), &summary)?;
    let table = folder.join("summary.csv");
    fs::write(&table, gmai_eval::summary_csv(&summary)).with_context(|| format!("cannot write {}", table.display()))?;
    Ok(summary)
}

/// Stored replies of the weights that the run was about: the folder may hold those of others too.
fn read_replies(folder: &Path, control: Control, note: &RunNote) -> Result<Vec<Reply>> {
    let mut replies = gmai_eval::read_replies(&folder.join(control.file_name()))?;
    replies.retain(|reply| Some(&reply.checkpoint) == note.checkpoint.as_ref());
    Ok(replies)
}

/// The file of the verdicts on the replies to one kind of picture.
pub fn verdict_file(folder: &Path, control: Control) -> PathBuf {
    folder.join(format!("verdicts-{}.jsonl", control.key()))
}

/// The most frequent answers of the training split.
fn majority(data: &Path) -> Result<MajorityAnswers> {
    let reader = Reader::open(data)?;
    let mut answers = MajorityAnswers::default();
    for sample in reader.samples(Split::Train) {
        if let Some(question) = questions::question(&sample?.conversation) {
            answers.observe(&question.source, &question.attribute, question.language, &question.quiz);
        }
    }
    Ok(answers)
}

/// Writes `report.html` of a scored run folder; `run` replaces the training run that was named when it was asked.
pub fn report(folder: &Path, run: Option<&Path>) -> Result<()> {
    let note = read_note(folder)?;
    let summary: Summary = read_json(&folder.join("summary.json"))?;
    let stored = gmai_eval::read_questions(&folder.join("questions.jsonl"))?;
    let verdicts = gmai_eval::read_verdicts(&verdict_file(folder, Control::Real))?;
    let replies = read_replies(folder, Control::Real, &note)?;
    let run = run.or(note.run.as_deref());
    let curves = run.map(curves::read).transpose()?.unwrap_or_default();
    let picked = gmai_eval::pick_examples(&stored, &verdicts, NUM_EXAMPLES);
    let skipped = note.skipped.iter().map(|item| Skipped { id: item.id.clone(), reason: item.reason.clone() });
    let html = gmai_eval::report_html(&ReportInput {
        title: "gmai evaluation".to_string(),
        summary: &summary,
        examples: examples(&note, &picked, replies, verdicts)?,
        curves,
        facts: facts(&note)?,
        skipped: skipped.collect(),
    })?;
    let path = folder.join("report.html");
    fs::write(&path, html).with_context(|| format!("cannot write {}", path.display()))
}

/// The picked questions with their pictures, replies and first verdicts, in the order of `picked`.
fn examples(note: &RunNote, picked: &[String], replies: Vec<Reply>, verdicts: Vec<Verdict>) -> Result<Vec<Example>> {
    let mut replies: BTreeMap<String, Reply> =
        replies.into_iter().map(|reply| (reply.question.clone(), reply)).collect();
    let mut first = BTreeMap::<String, Verdict>::new();
    for verdict in verdicts {
        first.entry(verdict.question.clone()).or_insert(verdict);
    }
    let mut found = BTreeMap::new();
    for item in questions::items_of(&note.data, note.split, picked)? {
        let id = item.question.id.clone();
        if let Some(verdict) = first.remove(&id) {
            let reply = replies.remove(&id);
            found.insert(id, Example { question: item.question, images: item.images, reply, verdict });
        }
    }
    Ok(picked.iter().filter_map(|id| found.remove(id)).collect())
}

fn facts(note: &RunNote) -> Result<Vec<FactTable>> {
    let fact = |name: &str, value: String| Fact { name: name.to_string(), value };
    let reader = Reader::open(&note.data)?;
    let manifest = reader.manifest();
    let sources: Vec<&str> = manifest.sources.iter().map(|source| source.facts.name.as_str()).collect();
    let model = vec![
        fact("folder", note.model.display().to_string()),
        fact("checkpoint", note.checkpoint.clone().unwrap_or_else(|| "unknown".to_string())),
    ];
    let data = vec![
        fact("folder", note.data.display().to_string()),
        fact("name", manifest.name.clone()),
        fact("made by", manifest.program.clone()),
        fact("config", manifest.config_sha256.clone()),
        fact("sources", sources.join(", ")),
        fact("training pairs", manifest.num_rows(Split::Train).to_string()),
        fact(
            "asked",
            note.per_source.map_or_else(|| "every question".to_string(), |most| format!("at most {most} of a source")),
        ),
        fact("split", note.split.key().to_string()),
    ];
    let table = |title: &str, facts| FactTable { title: title.to_string(), facts };
    Ok(vec![table("Model", model), table("Data", data)])
}

fn read_note(folder: &Path) -> Result<RunNote> {
    let path = folder.join("run.json");
    read_json(&path).with_context(|| format!("{}: not a folder that gmai eval run made", folder.display()))
}

fn read_json<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<T> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is damaged; make it again", path.display()))
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)? + "\n";
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
