//! The chain through the real binary on made-up scans: curate, train for seconds, evaluate, ask, and what is said when it goes wrong.
#![allow(clippy::unwrap_used)]

use gmai_testkit::{ScanSet, write_quickstart_data};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const CURATE_CONFIG: &str = include_str!("../../../configs/curate/quickstart.toml");

/// As small as the network can be: the test is about the chain, not about what is learnt.
const RECIPE: &str = r#"
name = "chain"
seed = 1
max_length = 256

[model.fresh.vision]
hidden_size = 16
intermediate_size = 32
num_hidden_layers = 2
num_attention_heads = 2
image_size = 32
patch_size = 16
projection_dim = 16

[model.fresh.language]
vocab_size = 420
hidden_size = 16
intermediate_size = 32
num_hidden_layers = 1
num_attention_heads = 2
num_key_value_heads = 1
max_position_embeddings = 1024

[[stage]]
name = "alignment"
objective = "instruction"
trainable = ["projector"]
learning_rate = 1e-3
epochs = 0.05
batch_rows = 4
forms = ["image_caption"]

[[stage]]
name = "tuning"
objective = "instruction"
trainable = ["vision", "projector", "language"]
learning_rate = 1e-3
epochs = 0.05
batch_rows = 4
"#;

/// A folder of its own for one test, removed at its end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("chain-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Place(folder)
    }

    fn at(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_string()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn gmai(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gmai")).args(arguments).output().unwrap()
}

fn succeeds(arguments: &[&str]) -> String {
    let told = gmai(arguments);
    assert!(told.status.success(), "gmai {arguments:?}\n{}", String::from_utf8_lossy(&told.stderr));
    String::from_utf8(told.stdout).unwrap()
}

fn json(arguments: &[&str]) -> serde_json::Value {
    let text = succeeds(&[&["--json"], arguments].concat());
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("gmai --json {arguments:?}: {error}\n{text}"))
}

fn fails(arguments: &[&str]) -> String {
    let told = gmai(arguments);
    assert_eq!(told.status.code(), Some(1), "gmai {arguments:?} must fail");
    let message = String::from_utf8(told.stderr).unwrap();
    assert!(message.contains("error: "), "{message}");
    message
}

fn first_file(folder: &Path) -> String {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files[0].to_str().unwrap().to_string()
}

#[test]
fn made_up_scans_become_a_dataset_a_model_scores_and_an_answer() {
    let place = Place::new("whole");
    write_quickstart_data(
        &place.0.join("scans"),
        3,
        ScanSet { pictures: 12, ct_patients: 4, mr_patients: 4, ..ScanSet::TINY },
    )
    .unwrap();
    fs::write(place.at("curate.toml"), CURATE_CONFIG).unwrap();
    fs::write(place.at("recipe.toml"), RECIPE).unwrap();
    let (data, run, eval) = (place.at("dataset"), place.at("run"), place.at("eval"));

    let manifest = json(&["curate", &place.at("curate.toml"), "--out", &data]);
    assert_eq!(manifest["sources"].as_array().unwrap().len(), 6);
    assert_eq!(manifest["num_quarantined"], 0);
    let check = json(&["dataset", "check", &data]);
    assert_eq!(check["num_defects"], 0);
    assert!(succeeds(&["dataset", "stats", &data]).contains("chest-x-ray"));
    assert!(succeeds(&["dataset", "sample", &data, "--form", "multiple_choice", "--count", "1"]).contains("A. "));

    let trained = json(&["train", &place.at("recipe.toml"), "--data", &data, "--out", &run]);
    assert_eq!(trained["plans"].as_array().unwrap().len(), 2);
    assert!(fails(&["train", &place.at("recipe.toml"), "--data", &data, "--out", &run]).contains("--resume"));
    assert_eq!(json(&["model", "info", &run])["image_size"], 32);

    let asked = ["eval", "run", "--model", &run, "--data", &data, "--out", &eval, "--per-source", "4", "--run", &run];
    let summary = json(&asked);
    assert!(summary["num_questions"].as_u64().unwrap() >= 12);
    assert!(fs::read_to_string(place.0.join("eval/report.html")).unwrap().contains("<svg"));
    assert_eq!(json(&asked), summary, "a second run asks nothing anew and gives the same scores");
    assert_eq!(json(&["eval", "score", &eval]), summary);

    let picture = first_file(&place.0.join("scans/fundus"));
    let options = ["--option", "left eye", "--option", "right eye"];
    let chat =
        [&["chat", "--model", &run, "--image", &picture, "Which eye is this?", "--max-tokens", "4"][..], &options]
            .concat();
    let told = json(&chat);
    let probabilities: f64 =
        told["options"].as_array().unwrap().iter().map(|o| o["probability"].as_f64().unwrap()).sum();
    assert!((probabilities - 1.0).abs() < 1e-6);

    // The same weights as a plain LLaVA answer the same: another decoder block, other names, one projection in three.
    let llava = place.at("llava");
    succeeds(&["model", "convert", "--to", "hf-llava", &run, "--out", &llava]);
    let mut converted = chat.clone();
    converted[2] = &llava;
    let converted = json(&converted);
    assert!(told["answer"]["text"].is_string());
    assert_eq!(converted["answer"]["text"], told["answer"]["text"]);
    for (ours, theirs) in told["options"].as_array().unwrap().iter().zip(converted["options"].as_array().unwrap()) {
        let of = |option: &serde_json::Value| option["probability"].as_f64().unwrap();
        assert!((of(ours) - of(theirs)).abs() < 1e-4, "{ours} {theirs}");
    }
    let series = place.at("scans/ct/CT001");
    succeeds(&[
        "chat",
        "--model",
        &run,
        "--image",
        &series,
        "--slice",
        "coronal:20",
        "What is this?",
        "--max-tokens",
        "2",
    ]);
}

#[test]
fn a_run_that_was_stopped_goes_on_to_the_same_model() {
    let place = Place::new("stages");
    write_quickstart_data(&place.0.join("scans"), 3, ScanSet::TINY).unwrap();
    fs::write(place.at("curate.toml"), CURATE_CONFIG).unwrap();
    fs::write(place.at("recipe.toml"), RECIPE).unwrap();
    let data = place.at("dataset");
    succeeds(&["curate", &place.at("curate.toml"), "--out", &data]);
    let train = |out: &str| succeeds(&["train", &place.at("recipe.toml"), "--data", &data, "--out", out]);
    train(&place.at("whole"));
    train(&place.at("again"));
    // As if the second run had been killed in its last stage.
    fs::remove_dir_all(place.0.join("again/checkpoints/02-tuning")).unwrap();
    fs::remove_dir_all(place.0.join("again/model")).unwrap();
    succeeds(&["train", &place.at("recipe.toml"), "--data", &data, "--out", &place.at("again"), "--resume"]);
    let weights = |run: &str| fs::read(place.0.join(run).join("model/model.safetensors")).unwrap();
    assert!(weights("whole") == weights("again"));
}

const ABLATION: &str = r#"
recipe = "recipe.toml"
[[row]]
name = "I"
stages = ["alignment"]
[[row]]
name = "I + III"
stages = ["alignment", "tuning"]
"#;

#[test]
fn an_ablation_trains_shared_stages_once_and_compares_the_rows() {
    let place = Place::new("ablation");
    write_quickstart_data(&place.0.join("scans"), 3, ScanSet::TINY).unwrap();
    for (name, text) in [("curate.toml", CURATE_CONFIG), ("recipe.toml", RECIPE), ("ablation.toml", ABLATION)] {
        fs::write(place.at(name), text).unwrap();
    }
    let data = place.at("dataset");
    succeeds(&["curate", &place.at("curate.toml"), "--out", &data]);
    let out = place.at("ablation");
    let run = || json(&["ablation", &place.at("ablation.toml"), "--data", &data, "--out", &out, "--json"]);
    let rows = run();
    assert_eq!(rows[0]["name"], "I");
    assert!(rows[0]["scores"][0]["difference"].is_array() && rows[1]["scores"][0]["difference"].is_null());
    let models = fs::read_dir(place.0.join("ablation/models")).unwrap().count();
    assert_eq!(models, 2, "the alignment is trained once for both rows");
    assert!(fs::read_to_string(place.0.join("ablation/ablation.md")).unwrap().contains("| I + III |"));
    assert_eq!(rows, run(), "a second run finds everything there");

    fs::write(place.at("ablation.toml"), ABLATION.replace("\"tuning\"", "\"tunnig\"")).unwrap();
    let message = fails(&["ablation", &place.at("ablation.toml"), "--data", &data, "--out", &out]);
    assert!(message.contains("tunnig") && message.contains("ablation.toml"), "{message}");
}

/// Every recipe and curate config of the repository is accepted by the code that reads it.
#[test]
fn committed_configs_load() {
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    let files = |folder: &str| {
        let entries = fs::read_dir(configs.join(folder)).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect::<Vec<_>>()
    };
    for path in files("recipe").iter().filter(|path| !path.ends_with("ablation.toml")) {
        gmai_train::Recipe::load(path).unwrap_or_else(|error| panic!("{error}"));
    }
    let variables = std::collections::BTreeMap::from([("GMAI_SHARED".to_owned(), "shared".to_owned())]);
    for path in files("curate") {
        gmai_curate::Config::load(&path, &variables).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_writes_a_checkpoint_that_a_second_run_goes_on_from() {
    let place = Place::new("interrupt");
    write_quickstart_data(&place.0.join("scans"), 3, ScanSet::TINY).unwrap();
    fs::write(place.at("curate.toml"), CURATE_CONFIG).unwrap();
    fs::write(place.at("recipe.toml"), RECIPE.replace("epochs = 0.05", "epochs = 3.0")).unwrap();
    let data = place.at("dataset");
    succeeds(&["curate", &place.at("curate.toml"), "--out", &data]);
    let train = ["train", &place.at("recipe.toml"), "--data", &data, "--out", &place.at("run")];
    let child = Command::new(env!("CARGO_BIN_EXE_gmai"))
        .args(train)
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let events = place.0.join("run/events.jsonl");
    while fs::read_to_string(&events).map_or(0, |text| text.lines().count()) < 2 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let told = child.wait_with_output().unwrap();
    let message = String::from_utf8(told.stderr).unwrap();
    assert!(told.status.code() == Some(1) && message.contains("--resume"), "{message}");
    let resumed = [&train[..], &["--resume"]].concat();
    succeeds(&resumed);
    assert!(place.0.join("run/model/config.json").is_file());
}

#[test]
fn mistakes_are_told_with_file_and_remedy() {
    let place = Place::new("mistakes");
    assert!(fails(&["dataset", "check", &place.at("nothing")]).contains("nothing"));
    assert!(fails(&["train", &place.at("no.toml"), "--data", "x", "--out", &place.at("run")]).contains("no.toml"));
    fs::write(place.at("recipe.toml"), RECIPE.replace("epochs", "epoch")).unwrap();
    let message = fails(&["train", &place.at("recipe.toml"), "--data", "x", "--out", &place.at("run")]);
    assert!(message.contains("epoch") && message.contains("line"), "{message}");
    fs::write(place.at("curate.toml"), CURATE_CONFIG.replace("max_side", "maximum_side")).unwrap();
    let message = fails(&["curate", &place.at("curate.toml"), "--out", &place.at("dataset")]);
    assert!(message.contains("maximum_side") && message.contains("curate.toml"), "{message}");
    fs::write(place.at("file.txt"), "mine").unwrap();
    assert!(fails(&["quickstart", "--out", place.0.to_str().unwrap()]).contains("another --out"));
    assert_eq!(fs::read_to_string(place.at("file.txt")).unwrap(), "mine");
    fs::write(place.at("empty.png"), "").unwrap();
    assert!(
        fails(&["chat", "--model", &place.at("none"), "--image", &place.at("empty.png"), "What?"])
            .contains("empty.png")
    );
}

#[test]
fn help_and_doctor_need_nothing() {
    assert!(succeeds(&["--help"]).contains("quickstart"));
    assert!(succeeds(&["train", "--help"]).contains("Examples:"));
    assert!(!json(&["doctor"])["findings"].as_array().unwrap().is_empty());
}
