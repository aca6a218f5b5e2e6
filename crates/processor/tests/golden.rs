//! Values of the reference implementations (transformers, Pillow, SentencePiece), where the shared folder is there; skipped otherwise.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // In a test a panic is the report, and a skipped one says so.

use gmai_processor::{Extent, ImageConfig, ImageProcessor, Padding, Pixels, Processor, Tokenizer};
use gmai_schema::{Role, Turn};
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

#[test]
fn normalized_values_equal_those_of_clip_image_processor() {
    for folder in golden_folders("outputs.safetensors") {
        let config_path = folder.join("preprocessor_config.json");
        let config =
            ImageConfig::from_json(&std::fs::read_to_string(&config_path).unwrap(), &config_path, Padding::None)
                .unwrap();
        let processor = ImageProcessor::new(config).unwrap();
        let bytes = std::fs::read(folder.join("outputs.safetensors")).unwrap();
        let outputs = SafeTensors::deserialize(&bytes).unwrap();
        let mut num_compared = 0;
        for key in outputs.names() {
            let Some(tile) = key.strip_suffix(".normalized") else { continue };
            let tile = outputs.tensor(tile).unwrap();
            let extent = Extent { height: tile.shape()[0], width: tile.shape()[1] };
            let pixels = Pixels { extent, bytes: tile.data().to_vec() };
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

/// The tokenizers of a folder: each of the files that hold one, on its own.
fn tokenizers(folder: &Path) -> Vec<(&'static str, Tokenizer)> {
    let mut found = Vec::new();
    if folder.join("tokenizer.json").exists() {
        found.push(("tokenizer.json", Tokenizer::from_file(&folder.join("tokenizer.json")).unwrap()));
    }
    if folder.join("tokenizer.model").exists() {
        found.push(("tokenizer.model", Tokenizer::from_sentencepiece(&folder.join("tokenizer.model")).unwrap()));
    }
    found
}

#[test]
fn ids_and_decoded_text_equal_those_of_the_reference_tokenizer() {
    for folder in golden_folders("vectors.jsonl") {
        let vectors = std::fs::read_to_string(folder.join("vectors.jsonl")).unwrap();
        for (name, tokenizer) in tokenizers(&folder) {
            let mut num_compared = 0;
            for line in vectors.lines() {
                let vector: serde_json::Value = serde_json::from_str(line).unwrap();
                let text = vector["text"].as_str().unwrap();
                let ids = ids_of(&vector["ids"]);
                assert_eq!(tokenizer.encode_markup(text).unwrap(), ids, "{name}: {text:?}");
                assert_eq!(tokenizer.decode(&ids).unwrap(), vector["decoded"].as_str().unwrap(), "{name}: {text:?}");
                let mut streamed = String::new();
                let mut stream = gmai_processor::StreamDecoder::new(&tokenizer);
                ids.iter().for_each(|id| streamed += &stream.push(*id).unwrap());
                streamed += &stream.finish().unwrap();
                assert_eq!(streamed, vector["decoded"].as_str().unwrap(), "{name}: streamed {text:?}");
                num_compared += 1;
            }
            println!("{name}: {num_compared} texts");
            assert!(num_compared > 0);
        }
    }
}

#[test]
fn no_typed_text_becomes_a_control_token() {
    for folder in golden_folders("vectors.jsonl") {
        for (name, tokenizer) in tokenizers(&folder) {
            let controls: Vec<(String, u32)> = tokenizer.control_tokens().clone().into_iter().collect();
            for (token, _) in &controls {
                for text in [token.clone(), format!("a{token}b"), format!("<{token}>{token}"), format!(" {token} ")] {
                    let ids = tokenizer.encode_text(&text).unwrap();
                    let forged =
                        ids.iter().any(|id| token != "<unk>" && controls.iter().any(|(_, control)| control == id));
                    assert!(!forged, "{name}: {text:?} {ids:?}");
                }
            }
        }
    }
}

#[test]
fn prompts_equal_those_of_the_reference_chat_template() {
    for folder in golden_folders("chat_vectors.json") {
        // The folder has no picture settings of its own: any will do.
        let dir = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
        }
        std::fs::write(dir.path().join("preprocessor_config.json"), ImageConfig::clip(56).to_json()).unwrap();
        for tokenizer in ["tokenizer.json", "tokenizer.model"] {
            // The first is taken where both are there; without it the second is.
            let processor = Processor::from_folder(dir.path(), 1).unwrap();
            let text = std::fs::read_to_string(folder.join("chat_vectors.json")).unwrap();
            let vectors: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
            for vector in vectors {
                let turns: Vec<Turn> = vector["messages"].as_array().unwrap().iter().map(turn_of).collect();
                let num_images = turns.iter().map(|turn| turn.value.matches("<image>").count()).sum();
                let ours = processor.encode_prompt(&turns, num_images).unwrap().input_ids;
                assert_eq!(ours, ids_of(&vector["ids"]), "{tokenizer} {vector}");
            }
            let _ = std::fs::remove_file(dir.path().join("tokenizer.json"));
            if !dir.path().join("tokenizer.model").exists() {
                break;
            }
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
