//! `gmai curate` with `[author]`: the real program against a scripted endpoint.
#![allow(clippy::unwrap_used)]

use gmai_shard::Reader;
use gmai_testkit::fake_endpoint::{FakeEndpoint, Reaction, Received};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

/// A folder with pictures of two classes and a config.
fn world(name: &str, server: &FakeEndpoint, settings: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("author").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    for (class, shade) in [("polyp", 90u8), ("colitis", 180)] {
        std::fs::create_dir_all(folder.join("data").join(class)).unwrap();
        for number in 0..12u8 {
            let pixels: Vec<u8> =
                (0..32 * 32 * 3u32).map(|i| shade.wrapping_add((i * u32::from(number * 7 + 3) % 61) as u8)).collect();
            let picture = gmai_schema::Rgb8::new(32, 32, pixels).unwrap();
            gmai_testkit::write_rgb_png(&folder.join("data").join(class).join(format!("p{number}.png")), &picture)
                .unwrap();
        }
    }
    let config = format!(
        r#"
[dataset]
name = "author"
seed = 1
split = {{ train = 1.0, validation = 0.0, test = 0.0 }}
[author]
languages = {{ en = 0.7, zh = 0.3 }}
per_record = {{ image_captions = 1, region_captions = 0, instructions = 1, conversations = 0 }}
{settings}
[author.endpoint]
base_url = "{}"
model = "scripted"
api_key_variable = "GMAI_TEST_KEY"
first_wait_seconds = 0.01
longest_wait_seconds = 0.1
price = {{ prompt_per_million = 1.0, completion_per_million = 2.0 }}
[[source]]
name = "endoscopy"
root = "data"
licence = "CC0"
department = "gastroenterology_hepatology"
modality = "endoscopy"
kind = {{ class_folders = {{ images = "{{class}}/{{stem}}.png" }} }}
[[source.attribute]]
key = "diagnosis"
name = {{ en = "diagnosis", zh = "诊断" }}
task = "disease_diagnosis"
from = "class"
values = [
    {{ is = "polyp", en = "colorectal polyp", zh = "结直肠息肉" }},
    {{ is = "colitis", en = "ulcerative colitis", zh = "溃疡性结肠炎" }},
]
"#,
        server.base_url()
    );
    std::fs::write(folder.join("config.toml"), config).unwrap();
    folder
}

fn gmai(folder: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gmai"));
    command
        .args(["curate", "--json", "--threads", "1"])
        .arg(folder.join("config.toml"))
        .arg("--out")
        .arg(folder.join("out"));
    command.args(more).env("GMAI_TEST_KEY", "sk-very-secret");
    command
}

fn whole(output: Output) -> (serde_json::Value, String) {
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    (serde_json::from_slice(&output.stdout).unwrap(), errors)
}

/// A right answer to our own prompts.
fn right(received: &Received) -> String {
    let text = received.text();
    let (is_polyp, is_chinese) = (text.contains("colorectal polyp"), text.contains("Chinese"));
    let name = match (is_polyp, is_chinese) {
        (true, false) => "a colorectal polyp",
        (false, false) => "ulcerative colitis",
        (true, true) => "结直肠息肉",
        (false, true) => "溃疡性结肠炎",
    };
    let pairs = text.contains("questions about the image");
    match (pairs, is_chinese) {
        (false, false) => {
            format!("{{\"caption\": \"An endoscopic image of the colon that shows {name} in good light.\"}}")
        }
        (false, true) => format!("{{\"caption\": \"这是一幅内镜图像，可见{name}，光线良好。\"}}"),
        (true, false) => {
            format!("{{\"pairs\": [{{\"question\": \"What is seen?\", \"answer\": \"The image shows {name}.\"}}]}}")
        }
        (true, true) => {
            format!("{{\"pairs\": [{{\"question\": \"图中可见什么？\", \"answer\": \"图中可见{name}。\"}}]}}")
        }
    }
}

/// Every kind of trouble on the first attempts.
fn trouble(received: &Received) -> Reaction {
    let good = right(received);
    match (received.number % 12, received.repetition) {
        (0, 0) => Reaction::Status { status: 429, retry_after: Some(0), body: "slow down".into() },
        (1, 0) => Reaction::Status { status: 500, retry_after: None, body: "oops".into() },
        (2, 0) => Reaction::Torn(good),
        (3, _) => Reaction::Answer("I see something.".into()),
        (4, _) => Reaction::Answer("{\"caption\": \"".into()),
        (5, _) => {
            Reaction::Answer(good.replace("colorectal polyp", "pulmonary embolism").replace("结直肠息肉", "肺栓塞"))
        }
        (6, _) => Reaction::Answer(good.replace("image", "CT image").replace("图", "CT图")),
        (7, _) => Reaction::Late(Duration::from_millis(50), Box::new(Reaction::Answer(good))),
        (8, _) => Reaction::Answer(good.replace("shows", "was taken on 12/03/2019 and shows")),
        _ => Reaction::Answer(good),
    }
}

#[test]
fn model_texts_are_checked_counted_and_the_same_after_a_second_run() {
    let server = FakeEndpoint::start(trouble).unwrap();
    let folder = world("trouble", &server, "attempts = 4");
    let (manifest, errors) = whole(gmai(&folder, &[]).output().unwrap());
    let authored = &manifest["sources"][0]["authored"];
    let count = |key: &str| authored[key].as_u64().unwrap();
    assert_eq!(count("asked"), 48);
    assert_eq!(count("passed") + count("quarantined") + count("unanswered"), 48);
    // Which request meets which trouble is chance: four bad attempts in a row happen to about one of them in thirty.
    assert!(count("passed") >= 38 && count("passed_at_once") < count("passed"), "{authored}");
    assert!(authored["broken_rules"].as_object().unwrap().len() >= 3, "{authored}");
    let reader = Reader::open(&folder.join("out")).unwrap();
    reader.verify().unwrap();
    let rows: Vec<_> = reader.samples(gmai_schema::Split::Train).map(Result::unwrap).collect();
    let by_model = rows.iter().filter(|row| row.conversation.generator.starts_with("model:scripted at http"));
    assert!(by_model.count() as u64 >= count("passed"));
    for text in rows.iter().flat_map(|row| &row.conversation.turns) {
        assert!(
            !text.value.contains("embolism") && !text.value.contains("2019") && !text.value.contains("sk-very"),
            "{}",
            text.value
        );
    }
    let ledger = std::fs::read_to_string(folder.join("out/author.jsonl")).unwrap();
    assert!(!ledger.contains("sk-very-secret") && !errors.contains("sk-very-secret"), "the key is never written");
    let card = std::fs::read_to_string(folder.join("out/card.md")).unwrap();
    assert!(card.contains("Texts by a language model"), "{card}");

    // The same again from the ledger alone: nothing is asked, and the shards are the same.
    let asked = server.num_received();
    std::fs::rename(folder.join("out"), folder.join("first")).unwrap();
    let first = folder.join("first/author.jsonl");
    let (again, _) = whole(gmai(&folder, &["--author-ledger", first.to_str().unwrap()]).output().unwrap());
    assert_eq!(server.num_received(), asked);
    assert_eq!(again["shards"], manifest["shards"]);
}

#[test]
fn killed_while_it_asks_it_goes_on_and_pays_for_nothing_twice() {
    let slow =
        |received: &Received| Reaction::Late(Duration::from_millis(15), Box::new(Reaction::Answer(right(received))));
    let server = FakeEndpoint::start_idempotent(slow).unwrap();
    let folder = world("killed", &server, "");
    let mut kills = 0;
    for target in [6, 17, 30, 41] {
        let mut child =
            gmai(&folder, &[]).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
        while server.num_received() < target && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        kills += u64::from(child.try_wait().unwrap().is_none());
        let _ = child.kill();
        child.wait().unwrap();
    }
    let (manifest, _) = whole(gmai(&folder, &[]).output().unwrap());
    assert!(kills >= 2, "killed {kills} times");
    assert_eq!(manifest["sources"][0]["authored"]["passed"], 48);
    assert_eq!(server.num_charged(), 48, "each text was paid once");
    let ledger = std::fs::read_to_string(folder.join("out/author.jsonl")).unwrap();
    assert_eq!(ledger.matches("\"answered\"").count(), 48);
}

#[test]
fn a_dry_run_tells_calls_and_cost_and_asks_nothing() {
    let server = FakeEndpoint::start(|received| Reaction::Answer(right(received))).unwrap();
    let folder = world("dry", &server, "");
    let (told, _) = whole(gmai(&folder, &["--author-dry-run"]).output().unwrap());
    assert_eq!((told["total"]["calls"].as_u64(), told["most_calls"].as_u64()), (Some(48), Some(144)));
    assert!(told["cost"].as_f64().unwrap() > 0.0 && told["prompt_tokens"].as_u64().unwrap() > 48 * 1000);
    assert_eq!(server.num_received(), 0);
    assert!(!folder.join("out").exists());
}

#[test]
fn a_key_that_is_missing_is_named() {
    let server = FakeEndpoint::start(|received| Reaction::Answer(right(received))).unwrap();
    let folder = world("key", &server, "");
    let output = gmai(&folder, &[]).env_remove("GMAI_TEST_KEY").output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && errors.contains("GMAI_TEST_KEY"), "{errors}");
    assert_eq!(server.num_received(), 0);
}
