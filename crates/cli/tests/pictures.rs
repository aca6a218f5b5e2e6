//! Picture files, read and processed as for the network, against the reference processor (transformers on Pillow); skipped without the
//! shared folder.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // In a test a panic is the report, and a skipped one says so.

use gmai_imaging::{DeepGrey, Limits, read_picture};
use gmai_processor::{ImageConfig, ImageProcessor, Padding};
use safetensors::SafeTensors;
use std::path::{Path, PathBuf};

/// Folders of `golden/` with pictures and their tiles.
fn golden_folders() -> Vec<PathBuf> {
    let shared = std::env::var_os("GMAI_SHARED").map(PathBuf::from);
    let shared = shared.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"));
    let Ok(entries) = std::fs::read_dir(shared.join("golden")) else {
        println!("skipped: no golden folder in {} (set GMAI_SHARED)", shared.display());
        return Vec::new();
    };
    let mut folders: Vec<PathBuf> =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.join("inputs").is_dir()).collect();
    folders.sort();
    folders
}

#[test]
fn tiles_of_picture_files_equal_those_of_the_reference_byte_for_byte() {
    for folder in golden_folders() {
        let config_path = folder.join("preprocessor_config.json");
        let text = std::fs::read_to_string(&config_path).unwrap();
        let config = ImageConfig::from_json(&text, &config_path, Padding::None).unwrap();
        let bytes = std::fs::read(folder.join("outputs.safetensors")).unwrap();
        let outputs = SafeTensors::deserialize(&bytes).unwrap();
        let mut inputs: Vec<PathBuf> =
            std::fs::read_dir(folder.join("inputs")).unwrap().map(|entry| entry.unwrap().path()).collect();
        inputs.sort();
        let mut num_compared = 0;
        for path in inputs {
            let picture = read_picture(&path, DeepGrey::Clip, &Limits::default()).unwrap();
            let name = path.file_name().unwrap().to_string_lossy();
            for (suffix, padding) in [("crop", Padding::None), ("pad", Padding::Square)] {
                let processor = ImageProcessor::new(ImageConfig { padding, ..config.clone() }).unwrap();
                let tile = processor.pixels(&picture);
                let key = format!("{name}.{suffix}");
                let Ok(expected) = outputs.tensor(&key) else {
                    println!("{key}: no reference");
                    continue;
                };
                assert_eq!(expected.shape(), [tile.extent.height, tile.extent.width, 3], "{key}");
                let differing = tile.bytes.iter().zip(expected.data()).filter(|(ours, theirs)| ours != theirs).count();
                assert_eq!(differing, 0, "{key}: of {} values", tile.bytes.len());
                num_compared += 1;
            }
        }
        println!("{}: {num_compared} tiles", folder.display());
        assert!(num_compared > 0);
    }
}
