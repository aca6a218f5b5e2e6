//! Prints what this crate decodes from DICOM files: `cargo run --release -p gmai-imaging --example stored -- OUT FILE...`. For each file one
//! line of JSON, and the numbers as little-endian floats in OUT/N.f32. `bench/imaging/compare_decoders.py` compares them with other decoders.
#![allow(clippy::print_stdout)] // This is what the program is for.

use gmai_imaging::{Limits, read_dicom_samples};
use std::path::{Path, PathBuf};

fn main() -> std::io::Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let Some((out, files)) = arguments.split_first() else {
        println!("usage: stored OUT FILE...");
        return Ok(());
    };
    for (index, path) in files.iter().enumerate() {
        println!("{}", line(out, index, path)?);
    }
    Ok(())
}

fn line(out: &Path, index: usize, path: &Path) -> std::io::Result<serde_json::Value> {
    let file = path.display().to_string();
    Ok(match read_dicom_samples(path, &Limits::default()) {
        Err(error) => serde_json::json!({ "file": file, "refused": error.to_string() }),
        Ok(samples) => {
            let bytes: Vec<u8> = samples.values.iter().flat_map(|value| value.to_le_bytes()).collect();
            std::fs::write(out.join(format!("{index}.f32")), bytes)?;
            let shape = [samples.frames, samples.rows, samples.columns, samples.channels];
            serde_json::json!({ "file": file, "shape": shape, "values": format!("{index}.f32") })
        }
    })
}
