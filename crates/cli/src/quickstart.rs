//! `gmai quickstart`: the whole chain on made-up scans, by the very functions that the commands call.

use crate::args::QuickstartArguments;
use crate::chat;
use crate::curate;
use crate::engine;
use crate::eval::{self, Request};
use crate::inventory;
use crate::output::Output;
use crate::progress::{Bars, duration};
use crate::questions::QuestionSet;
use crate::train;
use anyhow::{Context, Result, bail};
use gmai_eval::summary::{ALL_CLOSED, LABEL_QUESTIONS};
use gmai_eval::{Measure, Summary};
use gmai_imaging::Decoder;
use gmai_schema::{ChatRequest, Progress, Quiz, Rgb8, Sampling, Split};
use gmai_testkit::{ScanSet, ScanSetSummary};
use gmai_train::recipe::Recipe;
use gmai_train::run::RunOptions;
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The recipe and the curate config, as they lie in the repository.
const RECIPE: &str = include_str!("../../../configs/recipe/quickstart.toml");
const CURATE_CONFIG: &str = include_str!("../../../configs/curate/quickstart.toml");

/// Written first and last: what folder this is, and whether all of it was made.
const MARK: &str = "quickstart.json";

/// Places in the quickstart's folder.
struct Places {
    root: PathBuf,
}

impl Places {
    fn at(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn scans(&self) -> PathBuf {
        self.at("scans")
    }

    fn dataset(&self) -> PathBuf {
        self.at("dataset")
    }

    fn run(&self) -> PathBuf {
        self.at("run")
    }

    fn eval(&self) -> PathBuf {
        self.at("eval")
    }
}

/// The command's result for programs.
#[derive(Debug, Serialize)]
struct Made {
    report: PathBuf,
    dataset: PathBuf,
    model: PathBuf,
    answer: Answered,
    scores: Summary,
    seconds: f64,
    peak_memory_bytes: Option<u64>,
}

/// The one chat answer.
#[derive(Debug, Serialize)]
struct Answered {
    picture: PathBuf,
    prompt: String,
    text: String,
    right: String,
}

/// Runs the command.
pub fn run(arguments: &QuickstartArguments, output: Output) -> Result<()> {
    let started = Instant::now();
    let places = Places { root: arguments.out.clone() };
    prepare(&places.root)?;
    let scans = make_scans(&places, arguments.seed)?;
    show_scans(&scans, &places, output)?;

    announce(output, &["inventory", &shown(&places.scans()), "--out", &shown(&places.at("inventory"))])?;
    let decoder = Decoder::default(); // These scans were made here.
    let looking = (&decoder, gmai_curate::inventory::Options::default());
    inventory::look(&places.scans(), Some(&places.at("inventory")), looking, output)?;

    let config = write_text(&places.at("curate.toml"), CURATE_CONFIG)?;
    announce(output, &["curate", &shown(&config), "--out", &shown(&places.dataset())])?;
    curate::make(&config, &places.dataset(), &[], decoder, output)?;

    let recipe = write_text(&places.at("recipe.toml"), RECIPE)?;
    announce(output, &["train", &shown(&recipe), "--data", &shown(&places.dataset()), "--out", &shown(&places.run())])?;
    let options =
        RunOptions { recipe: Recipe::load(&recipe)?, dataset: places.dataset(), out: places.run(), resume: false };
    let (trained, _) = train::train(&options, output)?;

    let scores = evaluate(&places, output)?;
    let answer = answer_one(&places, output)?;

    let report = places.at("report.html");
    fs::copy(places.eval().join("report.html"), &report)
        .with_context(|| format!("cannot write {}", report.display()))?;
    let made = Made {
        report,
        dataset: places.dataset(),
        model: trained.model,
        answer,
        scores,
        seconds: started.elapsed().as_secs_f64(),
        peak_memory_bytes: peak_memory(),
    };
    close(&made, &places, output)?;
    output.document(&made)
}

/// Makes the folder, or empties that of an earlier quickstart. Any other folder is refused: its files are not ours.
fn prepare(root: &Path) -> Result<()> {
    let is_ours = root.join(MARK).is_file();
    let is_empty = fs::read_dir(root).map_or(true, |mut entries| entries.next().is_none());
    if !is_ours && !is_empty {
        bail!("{}: holds files that no quickstart made; give another --out", root.display());
    }
    if is_ours {
        fs::remove_dir_all(root).with_context(|| format!("cannot empty {}", root.display()))?;
    }
    fs::create_dir_all(root).with_context(|| format!("cannot make the folder {}", root.display()))?;
    write_text(&root.join(MARK), "{\"made_by\": \"gmai quickstart\"}\n")?;
    Ok(())
}

fn write_text(path: &Path, text: &str) -> Result<PathBuf> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path.to_path_buf())
}

fn make_scans(places: &Places, seed: u64) -> Result<ScanSetSummary> {
    let mut bars = Bars::default();
    let phase = |done, total| Progress { phase: "make scans".to_string(), done, total, note: String::new() };
    bars.show(phase(0, 0));
    let made = gmai_testkit::write_quickstart_data(&places.scans(), seed, ScanSet::QUICKSTART)?;
    let files = made.num_files() as u64;
    bars.show(phase(files, files));
    Ok(made)
}

fn show_scans(scans: &ScanSetSummary, places: &Places, output: Output) -> Result<()> {
    output.line(format!("Made-up scans in {} (drawn from a seed; they show no person):", shown(&places.scans())))?;
    for folder in &scans.folders {
        output.line(format!("  {:11} {:>3}  {}", folder.folder, folder.num_items, folder.about))?;
    }
    Ok(())
}

/// Shows the command that does what comes next.
fn announce(output: Output, words: &[&str]) -> Result<()> {
    let quoted =
        words.iter().map(|word| if word.contains([' ', '\n']) { format!("{word:?}") } else { word.to_string() });
    Ok(output.line(format!("\n$ gmai {}", quoted.collect::<Vec<_>>().join(" ")))?)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn evaluate(places: &Places, output: Output) -> Result<Summary> {
    let (model, data, out) = (shown(&places.run()), shown(&places.dataset()), shown(&places.eval()));
    announce(output, &["eval", "run", "--model", &model, "--data", &data, "--out", &out, "--run", &model])?;
    let request = Request {
        model: places.run(),
        data: places.dataset(),
        out: places.eval(),
        split: Split::Test,
        per_source: None,
        batch_size: 16,
        run: Some(places.run()),
    };
    eval::evaluate(&request, output)
}

/// Asks the first multiple-choice question of a test patient, as a user would.
fn answer_one(places: &Places, output: Output) -> Result<Answered> {
    let set = QuestionSet::open(&places.dataset(), Split::Test, None)?;
    for item in set.items() {
        let item = item?;
        let Quiz::MultipleChoice { options, answer } = &item.question.quiz else { continue };
        let [picture] = item.images.as_slice() else { continue };
        let path = places.at("question.png");
        write_png(&path, picture)?;
        let text = item.question.prompt.replace("<image>", "").trim().to_string();
        announce(output, &["chat", "--model", &shown(&places.run()), "--image", &shown(&path), &text])?;
        let asked = chat::ask(&text, 1, &[])?;
        let mut engine = engine::open(&places.run())?;
        let request =
            ChatRequest { images: vec![picture.clone()], sampling: Sampling::greedy(64), ..ChatRequest::default() };
        let told = chat::answer(&mut engine, &asked, request, output)?;
        let right = options.get(*answer).cloned().unwrap_or_default();
        output.line(format!("  (right: {right})"))?;
        return Ok(Answered { picture: path, prompt: asked.prompt, text: told.text, right });
    }
    bail!("{}: the test split has no multiple-choice question", shown(&places.dataset()))
}

fn write_png(path: &Path, picture: &Rgb8) -> Result<()> {
    let encoded = gmai_shard::encode_png(picture)?;
    fs::write(path, encoded.bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// Says what was made, how good it is, and what to do next.
fn close(made: &Made, places: &Places, output: Output) -> Result<()> {
    output.line("\nScores on patients that were never trained on, in per cent (n; 95 % interval by patient):")?;
    for (group, name) in [(ALL_CLOSED, "all closed questions"), (LABEL_QUESTIONS, "label questions")] {
        let Some(row) = made.scores.overall_row(group, Measure::ChoiceLikelihood) else { continue };
        let percent = |share: f64| format!("{:.1}", 100.0 * share);
        let beside = |share: Option<f64>| share.map_or("-".to_string(), percent);
        output.line(format!(
            "  {name:22} {} ({}; {} to {})   chance {}, majority {}, blank picture {}",
            percent(row.score.estimate),
            row.num_questions,
            percent(row.score.low),
            percent(row.score.high),
            percent(row.chance),
            beside(row.majority),
            beside(row.blank.map(|blank| blank.estimate))
        ))?;
    }
    let memory = made.peak_memory_bytes.map(|bytes| format!(", at most {} of memory", crate::doctor::size(bytes)));
    output.line(format!("\nMade in {}{}:", duration(made.seconds), memory.unwrap_or_default()))?;
    let things = [
        (shown(&made.report), "the report: scores, loss curves, questions with pictures"),
        (shown(&places.at("inventory/inventory.html")), "what lay in the scans' folder"),
        (shown(&places.at("curate.toml")), "how it became pairs; a pattern for your own"),
        (shown(&made.dataset), "the dataset"),
        (shown(&made.model), "the model"),
    ];
    for (path, about) in things {
        output.line(format!("  {path:40} {about}"))?;
    }
    output.line("\nNext, with your own data: see what can be made of it, and get a draft for gmai curate:")?;
    output.line("  gmai inventory FOLDER --out out/inventory")?;
    Ok(())
}

/// The most memory that this process has held, in bytes; known on Linux only.
fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}
