//! Every checkpoint of the shared data that comes with reference vectors (`$GMAI_SHARED/golden`, or `../shared/golden`).
#![allow(clippy::unwrap_used)]

use gmai_model::weights::load_tensors;
use gmai_train::parity::{self, VECTORS_FILE};
use std::path::{Path, PathBuf};

/// Folders with a checkpoint and vectors; empty (and said so) without the shared data.
fn folders() -> Vec<PathBuf> {
    let shared = std::env::var_os("GMAI_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let Ok(entries) = std::fs::read_dir(shared.join("golden")) else {
        eprintln!("skipped: no shared data; set GMAI_SHARED");
        return Vec::new();
    };
    let mut folders: Vec<PathBuf> =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.join(VECTORS_FILE).exists()).collect();
    folders.sort();
    folders
}

#[test]
fn every_quantity_of_every_checkpoint_equals_the_reference() {
    for folder in folders() {
        let report = parity::run(&folder).unwrap();
        let failed: Vec<_> = report.lines.iter().filter(|line| !line.pass).collect();
        assert!(failed.is_empty() && !report.lines.is_empty(), "{}: {failed:#?}", folder.display());
    }
}

#[test]
fn own_tensors_are_written_under_the_names_and_shapes_of_the_reference() {
    for folder in folders() {
        let report = parity::run(&folder).unwrap();
        let out = tempfile::tempdir().unwrap();
        let path = out.path().join("own.safetensors");
        report.save(&path).unwrap();
        let (own, vectors) = (load_tensors(&path).unwrap(), load_tensors(&folder.join(VECTORS_FILE)).unwrap());
        for line in &report.lines {
            let name = format!("{}.{}", line.case, line.name);
            assert_eq!(own[&name].shape, vectors[&name].shape, "{name}");
        }
    }
}
