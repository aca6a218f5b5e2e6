//! Agreement with reference statistics, where the shared folder is at hand.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use gmai_eval::interval::wilson;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn shared() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = std::env::var_os("GMAI_SHARED").map_or(beside, PathBuf::from).join("eval_vectors");
    folder.is_dir().then_some(folder)
}

#[test]
fn wilson_intervals_agree_with_the_reference() {
    let Some(folder) = shared() else {
        println!("skipped: no shared folder; set GMAI_SHARED");
        return;
    };
    let mut checked = 0;
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "jsonl")) {
        for line in std::fs::read_to_string(file).unwrap().lines() {
            let row: Value = serde_json::from_str(line).unwrap();
            if !row["function"].as_str().unwrap().contains("proportion_confint(method=wilson, alpha=0.05)") {
                continue;
            }
            let count = |name: &str| row["inputs"][name].as_f64().unwrap();
            let interval = wilson(count("count"), count("nobs"));
            for (ours, theirs) in [(interval.low, &row["output"][0]), (interval.high, &row["output"][1])] {
                assert!((ours - theirs.as_f64().unwrap()).abs() < 1e-9, "{}", row["id"]);
            }
            checked += 1;
        }
    }
    println!("{checked} reference intervals agree");
}
