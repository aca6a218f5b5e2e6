//! Encodes texts for comparison with another tokenizer: `cargo run --release -p gmai-processor --example encode_lines -- FILE < texts.jsonl`.
//! FILE is a `tokenizer.json` or a `tokenizer.model`; each line read is a JSON string, each line written a JSON object with `ids` and
//! `decoded`.
#![allow(clippy::print_stdout)] // Printing the lines is what it is for.

use gmai_processor::{Result, Tokenizer};
use std::path::PathBuf;

fn main() -> Result<()> {
    let path = PathBuf::from(std::env::args_os().nth(1).unwrap_or_else(|| "tokenizer.json".into()));
    let is_model = path.extension().is_some_and(|extension| extension == "model");
    let tokenizer = if is_model { Tokenizer::from_sentencepiece(&path)? } else { Tokenizer::from_file(&path)? };
    for line in std::io::stdin().lines().map_while(|line| line.ok()) {
        let text: String = serde_json::from_str(&line).unwrap_or_default();
        let ids = tokenizer.encode_text(&text)?;
        let decoded = tokenizer.decode(&ids)?;
        println!("{}", serde_json::json!({ "ids": ids, "decoded": decoded }));
    }
    Ok(())
}
