//! Values of the reference implementations (transformers, Pillow, SentencePiece), where the shared folder is there; skipped otherwise.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // In a test a panic is the report, and a skipped one says so.

use gmai_processor::{ImageConfig, ImageProcessor, Padding, Pixels, Processor, Tokenizer};
use gmai_schema::{Rgb8, Role, Turn};
use safetensors::SafeTensors;
use std::path::{Path, PathBuf};

/// Folders of `golden/` that hold the file `marker`, in order; empty, with a notice, when there is no shared folder.
fn golden_folders(marker: &str) -> Vec<PathBuf> {
    let shared = std::env::var_os("GMAI_SHARED").map(PathBuf::from);
    let shared = shared.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"));
    let Ok(entries) = std::fs::read_dir(shared.join("golden")) else {
        println!("skipped: no golden folder in {} (set GMAI_SHARED)", shared.display());
        return Vec::new();
    };
    let mut folders: Vec<PathBuf> =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.join(marker).exists()).collect();
    folders.sort();
    folders
}

fn read_rgb(path: &Path) -> Rgb8 {
    // By content: names lie. Alpha is dropped and palettes are looked up, as Pillow's convert("RGB") does.
    let reader = image::ImageReader::open(path).unwrap().with_guessed_format().unwrap();
    let picture = reader.decode().unwrap().into_rgb8();
    Rgb8::new(picture.width(), picture.height(), picture.into_raw()).unwrap()
}

/// JPEG decoders may round differently, so pixels of a JPEG cannot be compared exactly.
fn is_jpeg(path: &Path) -> bool {
    std::fs::read(path).unwrap().starts_with(&[0xFF, 0xD8])
}

#[test]
fn tiles_equal_those_of_clip_image_processor_byte_for_byte() {
    for folder in golden_folders("outputs.safetensors") {
        let config_path = folder.join("preprocessor_config.json");
        let config = ImageConfig::from_json(&std::fs::read_to_string(&config_path).unwrap(), &config_path).unwrap();
        let bytes = std::fs::read(folder.join("outputs.safetensors")).unwrap();
        let outputs = SafeTensors::deserialize(&bytes).unwrap();
        let mut inputs: Vec<PathBuf> =
            std::fs::read_dir(folder.join("inputs")).unwrap().map(|entry| entry.unwrap().path()).collect();
        inputs.sort();
        let mut num_compared = 0;
        for path in inputs {
            let picture = read_rgb(&path);
            let name = path.file_name().unwrap().to_string_lossy();
            for (suffix, padding) in [("crop", Padding::None), ("pad", Padding::Square)] {
                let processor = ImageProcessor::new(ImageConfig { padding, ..config.clone() }).unwrap();
                let tile = processor.pixels(&picture);
                let Ok(expected) = outputs.tensor(&format!("{name}.{suffix}")) else {
                    println!("{name}.{suffix}: no reference");
                    continue;
                };
                num_compared += 1;
                let differing = tile.bytes.iter().zip(expected.data()).filter(|(ours, theirs)| ours != theirs).count();
                let largest = tile.bytes.iter().zip(expected.data()).map(|(ours, theirs)| ours.abs_diff(*theirs)).max();
                println!(
                    "{name}.{suffix}: {differing} of {} values differ, at most by {}",
                    tile.bytes.len(),
                    largest.unwrap()
                );
                assert_eq!(tile.bytes.len(), expected.data().len(), "{name}.{suffix}");
                assert!(differing == 0 || is_jpeg(&path), "{name}.{suffix}: {differing} values differ");
            }
        }
        assert!(num_compared > 0);
    }
}

#[test]
fn normalized_values_equal_those_of_clip_image_processor() {
    for folder in golden_folders("outputs.safetensors") {
        let config_path = folder.join("preprocessor_config.json");
        let config = ImageConfig::from_json(&std::fs::read_to_string(&config_path).unwrap(), &config_path).unwrap();
        let processor = ImageProcessor::new(config).unwrap();
        let bytes = std::fs::read(folder.join("outputs.safetensors")).unwrap();
        let outputs = SafeTensors::deserialize(&bytes).unwrap();
        let mut num_compared = 0;
        for key in outputs.names() {
            let Some(tile) = key.strip_suffix(".normalized") else { continue };
            let tile = outputs.tensor(tile).unwrap();
            let pixels = Pixels { size: tile.shape()[0], bytes: tile.data().to_vec() };
            let mut ours = vec![0.0; pixels.bytes.len()];
            processor.normalize(&pixels, &mut ours).unwrap();
            let theirs = outputs.tensor(key).unwrap();
            let theirs = theirs.data().chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap()));
            for (ours, theirs) in ours.iter().zip(theirs) {
                assert_eq!(*ours, theirs, "{key}");
                num_compared += 1;
            }
        }
        assert!(num_compared > 0);
    }
}

#[test]
fn ids_and_decoded_text_equal_those_of_the_reference_tokenizer() {
    for folder in golden_folders("vectors.jsonl") {
        let tokenizer = Tokenizer::from_file(&folder.join("tokenizer.json")).unwrap();
        let vectors = std::fs::read_to_string(folder.join("vectors.jsonl")).unwrap();
        let mut num_compared = 0;
        for line in vectors.lines() {
            let vector: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = vector["text"].as_str().unwrap();
            let ids = ids_of(&vector["ids"]);
            assert_eq!(tokenizer.encode_markup(text).unwrap(), ids, "{text:?}");
            assert_eq!(tokenizer.decode(&ids).unwrap(), vector["decoded"].as_str().unwrap(), "{text:?}");
            let mut streamed = String::new();
            let mut stream = gmai_processor::StreamDecoder::new(&tokenizer);
            ids.iter().for_each(|id| streamed += &stream.push(*id).unwrap());
            streamed += &stream.finish().unwrap();
            assert_eq!(streamed, vector["decoded"].as_str().unwrap(), "streamed {text:?}");
            num_compared += 1;
        }
        println!("{num_compared} texts");
        assert!(num_compared > 0);
    }
}

#[test]
fn prompts_equal_those_of_the_reference_chat_template() {
    for folder in golden_folders("chat_vectors.json") {
        // The folder has no picture settings of its own: any will do.
        let dir = tempfile::tempdir().unwrap();
        for name in ["tokenizer.json", "tokenizer_config.json"] {
            std::fs::copy(folder.join(name), dir.path().join(name)).unwrap();
        }
        std::fs::write(dir.path().join("preprocessor_config.json"), ImageConfig::clip(56).to_json()).unwrap();
        let processor = Processor::from_folder(dir.path(), 1).unwrap();
        let text = std::fs::read_to_string(folder.join("chat_vectors.json")).unwrap();
        let vectors: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        for vector in vectors {
            let turns: Vec<Turn> = vector["messages"].as_array().unwrap().iter().map(turn_of).collect();
            let num_images = turns.iter().map(|turn| turn.value.matches("<image>").count()).sum();
            let ours = processor.encode_prompt(&turns, num_images).unwrap().input_ids;
            // The published template begins with <s>; training sequences, and so our prompts, do not.
            assert_eq!(ours, ids_of(&vector["ids"])[1..], "{vector}");
        }
    }
}

fn ids_of(value: &serde_json::Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

fn turn_of(message: &serde_json::Value) -> Turn {
    let from = match message["role"].as_str().unwrap() {
        "system" => Role::System,
        "user" => Role::Human,
        _ => Role::Assistant,
    };
    Turn { from, value: message["content"].as_str().unwrap().to_string() }
}
