//! Wrong configs: each message names file, key and remedy.

use crate::world::{World, source};

const GOOD: &str = "modality = \"ct\"\nkind = { class_folders = { images = \"{class}/{stem}.png\" } }\n";

fn world(name: &str) -> World {
    let world = World::new(name);
    for index in 0..5 {
        world.picture(&format!("a/{index}.png"), index, 20, 20);
    }
    world
}

fn assert_names(message: &str, parts: &[&str]) {
    for part in ["config.toml"].iter().chain(parts) {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

#[test]
fn unknown_keys_are_refused_with_their_line() {
    let world = world("unknown_key");
    let message = world
        .refused(&source("a", "modality = \"ct\"\ncolour = \"red\"\nkind = { class_folders = { images = \"*\" } }"));
    assert_names(&message, &["line 10", "colour"]);
    let message =
        world.refused(&source("a", "modality = \"ct\"\nkind = { class_folders = { images = \"*\", masks = \"*\" } }"));
    assert_names(&message, &["line 10", "masks"]);
    let message = world.refused(&source("a", "modality = \"x-rays\"\nkind = { class_folders = { images = \"*\" } }"));
    assert_names(&message, &["line 9", "x_ray"]);
}

#[test]
fn missing_things_are_named() {
    let world = world("missing");
    let message = world.refused(&source("a", GOOD).replace("${DATA}", "${DATA}/nowhere"));
    assert_names(&message, &["source `a`, root", "nowhere does not exist"]);
    let message = world.refused(&source("a", GOOD).replace("${DATA}", "${NOT_SET}/data"));
    assert_names(&message, &["source `a`, root", "NOT_SET", "environment variable"]);
    let message = world.refused(&source("a", &GOOD.replace(".png", ".tif")));
    assert_names(&message, &["`{class}/{stem}.tif`", "the folder holds 5 files, the first is `a/0.png`"]);
    let message = world.refused(&source("a", GOOD).replace("department = \"oncology\"\n", ""));
    assert_names(&message, &["source `a`, department", "exactly one"]);
    let table = "[[source.table]]\nfile = \"gone.csv\"\nkey = \"id\"\nmatches = \"{stem}\"\n";
    assert!(world.refused(&source("a", &format!("{GOOD}{table}"))).contains("gone.csv"));
    world.write("t.csv", "name,label\n0,x\n");
    let message = world.refused(&source("a", &format!("{GOOD}{}", table.replace("gone", "t"))));
    assert!(message.contains("no column `id`; the columns are: name, label"), "{message}");
}

#[test]
fn fields_that_do_not_exist_are_named_with_those_that_do() {
    let world = world("fields");
    let message = world.refused(&source("a", &format!("patient = \"who\"\n{GOOD}")));
    assert_names(&message, &["source `a`, patient", "no image has a field `who`; the fields are: class, file, stem"]);
}

#[test]
fn values_out_of_range_are_refused() {
    let world = world("ranges");
    let message =
        world.refused(&format!("split = {{ train = 0.9, validation = 0.05, test = 0.15 }}\n{}", source("a", GOOD)));
    assert_names(&message, &["dataset.split", "add up to 1"]);
    let message = world.refused(&(source("a", GOOD) + &source("a", GOOD)));
    assert_names(&message, &["source `a`, name", "rename"]);
    let message = world.refused(&source("a", &GOOD.replace("{class}", "{class")));
    assert_names(&message, &["line 10", "`{class/{stem}` is no placeholder"]);
}
