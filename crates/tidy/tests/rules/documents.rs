//! What documents, configs and the check script may say.

use crate::{assert_none, workspace};
use gmai_tidy::FileMap;
use std::collections::BTreeSet;

/// The command that runs every test. The README tells it to people, `.ci/run` obeys it.
const TEST_COMMAND: &str = "cargo test --release --workspace";

#[test]
fn the_file_map_lists_every_crate() {
    let workspace = workspace();
    let document = workspace.text("ARCHITECTURE.md").expect("ARCHITECTURE.md exists");
    let map = FileMap::read(&document).expect("ARCHITECTURE.md has a block under `## File map`");
    let listed: BTreeSet<String> = map.files.into_keys().collect();
    let existing: BTreeSet<String> = workspace.manifests().into_iter().map(|manifest| manifest.name).collect();
    assert_eq!(listed, existing, "crates in ARCHITECTURE.md (left) and in crates/ (right)");
}

#[test]
fn the_file_map_lists_only_files_that_exist() {
    let workspace = workspace();
    let document = workspace.text("ARCHITECTURE.md").expect("ARCHITECTURE.md exists");
    let map = FileMap::read(&document).expect("ARCHITECTURE.md has a block under `## File map`");
    let folder_of = |name: &str, file: &str| match file.ends_with(".html") {
        true => format!("crates/{name}/templates/{file}"),
        false => format!("crates/{name}/src/{file}"),
    };
    let files = map.files.iter().flat_map(|(name, files)| files.iter().map(move |file| folder_of(name, file)));
    assert_none(
        "in ARCHITECTURE.md, but not in the tree",
        files.filter(|name| !workspace.root().join(name).is_file()).collect(),
    );
}

#[test]
fn every_config_parses() {
    let workspace = workspace();
    let configs = workspace.files().iter().map(|path| workspace.name(path)).filter(|name| name.starts_with("configs/"));
    let broken = configs.filter_map(|name| {
        let text = workspace.text(&name).unwrap_or_default();
        let error = match name.rsplit('.').next() {
            Some("toml") => text.parse::<toml::Table>().err().map(|error| error.to_string()),
            Some("json") => serde_json::from_str::<serde_json::Value>(&text).err().map(|error| error.to_string()),
            Some("jinja") => None, // Prompt templates: a test of curate renders each.
            _ => Some("configs are TOML, prompt templates, or a checkpoint's config.json".to_string()),
        };
        error.map(|error| format!("{name}: {error}"))
    });
    assert_none("configs that do not parse", broken.collect());
}

#[test]
fn no_machine_path_is_written_down() {
    let workspace = workspace();
    // In parts, or this file would break its own rule.
    let places = [["/wo", "rk/"], ["/ro", "ot/"], ["/ho", "me/"]].map(|parts| parts.concat());
    let mut broken = Vec::new();
    for path in workspace.files() {
        let Ok(text) = std::fs::read_to_string(path) else { continue }; // Pictures and other bytes.
        let lines =
            text.lines().enumerate().filter(|(_, line)| places.iter().any(|place| line.contains(place.as_str())));
        broken.extend(lines.map(|(index, _)| format!("{}:{}", workspace.name(path), index + 1)));
    }
    assert_none("paths of one machine; use GMAI_SHARED or ../shared", broken);
}

#[test]
fn the_readme_and_the_check_script_run_the_same_tests() {
    let workspace = workspace();
    for name in ["README.md", ".ci/run"] {
        let text = workspace.text(name).unwrap_or_else(|| panic!("{name} exists"));
        assert!(text.contains(TEST_COMMAND), "{name} does not have `{TEST_COMMAND}`");
    }
}
