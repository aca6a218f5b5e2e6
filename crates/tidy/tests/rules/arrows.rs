//! Which crate may know which.

use crate::{assert_none, workspace};
use std::collections::BTreeMap;

/// What each crate may be built from, among our own. A new arrow is its own commit and a dated line in ARCHITECTURE.md.
const ARROWS: [(&str, &[&str]); 19] = [
    ("schema", &[]),
    ("archive", &[]),
    ("jpeg", &[]),
    ("imaging", &["schema", "jpeg"]),
    ("shard", &["schema", "jpeg"]),
    ("curate", &["schema", "imaging", "shard", "deid"]),
    ("exchange", &["schema", "shard"]),
    ("quality", &["schema", "imaging", "shard"]),
    ("processor", &["schema"]),
    ("model", &[]),
    ("train", &["schema", "shard", "processor", "model"]),
    ("infer", &["schema", "processor", "model"]),
    ("eval", &["schema", "imaging"]),
    ("convert", &[]),
    ("deid", &["schema", "imaging"]),
    ("endpoint", &["schema"]),
    (
        "cli",
        &[
            "schema",
            "archive",
            "imaging",
            "shard",
            "curate",
            "exchange",
            "quality",
            "processor",
            "model",
            "train",
            "infer",
            "eval",
            "convert",
            "endpoint",
            "deid",
            "testkit",
        ],
    ),
    ("testkit", &["schema"]),
    ("tidy", &[]),
];

/// Crates that may name the tensor library.
const TENSOR_CRATES: [&str; 3] = ["model", "train", "infer"];

fn ours(name: &str) -> Option<&str> {
    name.strip_prefix("gmai-")
}

#[test]
fn crates_depend_on_each_other_only_along_the_arrows() {
    let arrows = BTreeMap::from(ARROWS);
    let mut broken = Vec::new();
    for manifest in workspace().manifests() {
        let Some(allowed) = arrows.get(manifest.name.as_str()) else {
            broken.push(format!("{}: a crate without a line in ARROWS", manifest.name));
            continue;
        };
        let used = manifest.dependencies();
        let wrong = used.iter().filter_map(|name| ours(name)).filter(|name| !allowed.contains(name));
        broken.extend(wrong.map(|name| format!("{} -> {name}", manifest.name)));
    }
    assert_none("arrows that the style page does not have", broken);
}

#[test]
fn tests_reach_beyond_the_arrows_only_for_made_up_scans() {
    let arrows = BTreeMap::from(ARROWS);
    let mut broken = Vec::new();
    for manifest in workspace().manifests() {
        let allowed = arrows.get(manifest.name.as_str()).copied().unwrap_or_default();
        let used = manifest.test_dependencies();
        let wrong =
            used.iter().filter_map(|name| ours(name)).filter(|name| *name != "testkit" && !allowed.contains(name));
        broken.extend(wrong.map(|name| format!("{} -> {name} (dev)", manifest.name)));
    }
    assert_none("test dependencies that no arrow allows", broken);
}

#[test]
fn packages_are_named_after_their_folders() {
    let wrong = workspace().manifests().into_iter().filter_map(|manifest| {
        let name = manifest.table["package"]["name"].as_str().unwrap_or_default().to_string();
        (name != format!("gmai-{}", manifest.name)).then(|| format!("crates/{}: package {name}", manifest.name))
    });
    assert_none("package name is not the folder's with the prefix gmai-", wrong.collect());
}

#[test]
fn versions_and_lints_have_one_home() {
    let mut broken = Vec::new();
    for manifest in workspace().manifests() {
        let inherits = |value: &toml::Value| value.get("workspace").and_then(toml::Value::as_bool) == Some(true);
        let entries = manifest.entries();
        let own = entries.iter().filter(|(_, entry)| !inherits(entry)).map(|(name, _)| format!("dependency {name}"));
        let lints = manifest.table.get("lints").is_some_and(inherits);
        let fields = own.chain((!lints).then(|| "lints".to_string()));
        broken.extend(
            fields.map(|field| format!("crates/{}/Cargo.toml: {field} is not taken from the workspace", manifest.name)),
        );
    }
    assert_none("write `workspace = true` and put the value into the root Cargo.toml", broken);
}

#[test]
fn only_model_train_and_infer_know_the_tensor_library() {
    let workspace = workspace();
    let may = |name: &str| TENSOR_CRATES.iter().any(|tensor| name.starts_with(&format!("crates/{tensor}/")));
    let mut broken = Vec::new();
    for manifest in workspace.manifests().iter().filter(|manifest| !TENSOR_CRATES.contains(&manifest.name.as_str())) {
        let entries = manifest.entries();
        let named = entries.keys().filter(|name| *name == "burn" || name.starts_with("burn-"));
        broken.extend(named.map(|name| format!("crates/{}/Cargo.toml: {name}", manifest.name)));
    }
    broken.extend(crate::lines_with(&workspace.sources(), |source| source.hits_in_built("burn::"), may));
    assert_none("burn outside model, train and infer", broken);
}

#[test]
fn anyhow_stands_in_cli_alone() {
    let named = workspace().manifests().into_iter().filter(|manifest| manifest.name != "cli");
    let broken = named.filter(|manifest| manifest.entries().contains_key("anyhow")).map(|manifest| manifest.name);
    assert_none("libraries have an error enum of their own", broken.collect());
}
