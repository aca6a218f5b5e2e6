//! What Rust files may hold.

use crate::{assert_none, lines_with, workspace};
use gmai_tidy::Source;

/// Past this a file has a second subject: split it.
const MAX_LINES: usize = 800;

/// Names that say nothing of what a file holds.
const EMPTY_NAMES: [&str; 6] = ["util", "utils", "common", "misc", "helper", "helpers"];

#[test]
fn no_file_is_longer_than_one_subject() {
    let long = workspace().sources().into_iter().filter(|(_, source)| source.num_lines() > MAX_LINES);
    assert_none("files past 800 lines", long.map(|(name, source)| format!("{name}: {}", source.num_lines())).collect());
}

#[test]
fn nothing_unwraps_outside_tests() {
    let broken = lines_with(&workspace().built_sources(), |source| source.hits_in_built(".unwrap()"), |_| false);
    assert_none("return the error, or state the invariant with expect", broken);
}

#[test]
fn environment_is_read_in_cli_alone() {
    let reads = |source: &Source| {
        let found = ["env::var(", "env::var_os(", "env::vars(", "env::vars_os("].map(|call| source.hits_in_built(call));
        found.concat()
    };
    let broken = lines_with(&workspace().built_sources(), reads, |name| name.starts_with("crates/cli/"));
    assert_none("pass what the environment says as an argument", broken);
}

#[test]
fn cuda_is_chosen_in_one_file() {
    let needle = concat!("feature = ", "\"cuda\"");
    let broken = lines_with(
        &workspace().sources(),
        |source| source.hits_in_code(needle),
        |name| name == "crates/model/src/device.rs",
    );
    assert_none("cfg on the cuda feature outside model/src/device.rs", broken);
}

#[test]
fn configs_are_never_flattened() {
    let hits = |source: &Source| {
        source.hits_in_built("flatten").into_iter().filter(|hit| hit.text.contains("serde(")).collect()
    };
    let broken = lines_with(&workspace().built_sources(), hits, |_| false);
    assert_none("serde(flatten) lets wrong keys and values vanish", broken);
}

#[test]
fn every_part_is_named_for_what_it_holds() {
    let workspace = workspace();
    let empty = |name: &&String| {
        let mut parts = name.split('/').map(|part| part.trim_end_matches(".rs"));
        parts.any(|part| EMPTY_NAMES.contains(&part))
    };
    let names: Vec<String> = workspace.files().iter().map(|path| workspace.name(path)).collect();
    assert_none("a name that says nothing", names.iter().filter(empty).cloned().collect());
}

#[test]
fn nothing_is_left_to_do() {
    let marks = ["TO", "FIX", "XX"].map(|start| {
        format!(
            "{start}{}",
            if start == "TO" {
                "DO"
            } else if start == "FIX" {
                "ME"
            } else {
                "X:"
            }
        )
    });
    let hits = |source: &Source| {
        let lines = source.text().lines().enumerate();
        let marked = lines.filter(|(_, line)| marks.iter().any(|mark| line.contains(mark.as_str())));
        marked.map(|(index, line)| gmai_tidy::source::Hit { line: index + 1, text: line.trim().to_string() }).collect()
    };
    assert_none("finish it or write an issue", lines_with(&workspace().sources(), hits, |_| false));
}
