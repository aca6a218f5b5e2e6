//! Recall and precision on texts with marked identifiers other than MEDDOCAN's:
//! `cargo run --release -p gmai-deid --example gold -- chinese|english|notes develop|report|all [--misses]`.
//!
//! `chinese` and `english` are made up for this project (`tests/gold/*.txt`). `notes` are the four notes of `$GMAI_SHARED/data/phi-notes-en`,
//! marked by hand in `tests/gold/english_notes.tsv`. Halves go by the SHA-256 of a text's id; rules were written with `develop`.
#![allow(clippy::print_stdout)]

#[path = "../tests/gold/mod.rs"]
mod gold;

use gmai_deid::text::Finder;
use gold::{Gold, Marked, Score};
use std::path::PathBuf;

const NOTES: &str = include_str!("../tests/gold/english_notes.tsv");

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |index: usize, default: &str| arguments.get(index).cloned().unwrap_or_else(|| default.to_string());
    let (set, half) = (argument(0, "chinese"), argument(1, "report"));
    let mut texts = match set.as_str() {
        "chinese" => gold::parse(include_str!("../tests/gold/chinese.txt")),
        "english" => gold::parse(include_str!("../tests/gold/english.txt")),
        "notes" => notes(),
        other => panic!("no set {other}; there are chinese, english and notes"),
    };
    texts.retain(|text| gold::in_half(&text.id, &half));
    let score = Score::of(&Finder::new(), &texts);
    println!("{set}: {} texts ({half})", score.num_texts);
    score.print(|_| true);
    if arguments.iter().any(|argument| argument == "--misses") {
        score.errors.iter().for_each(|line| println!("{line}"));
    }
}

/// The shared notes with each occurrence of what is marked in them.
fn notes() -> Vec<Marked> {
    let shared =
        std::env::var_os("GMAI_SHARED").map(PathBuf::from).expect("GMAI_SHARED names the folder of shared data");
    let path = shared.join("data/phi-notes-en/ehr_deidentification/notes.jsonl");
    let file = std::fs::read_to_string(path).expect("the notes");
    let note = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).expect("a JSON line");
        let id = value["meta"]["note_id"].as_str().expect("a note has an id").to_string();
        let text = value["text"].as_str().expect("a note has a text").to_string();
        let mut gold = Vec::new();
        for line in NOTES.lines().filter(|line| !line.starts_with('#')) {
            let facts: Vec<&str> = line.split('\t').collect();
            if facts[0] == id {
                assert!(text.contains(facts[2]), "{line}: not in the note");
                let found = text.match_indices(facts[2]);
                gold.extend(found.map(|(start, words)| Gold {
                    kind: facts[1].into(),
                    start,
                    end: start + words.len(),
                }));
            }
        }
        Marked { id, text, gold }
    };
    file.lines().map(note).collect()
}
