//! Decodes picture files to raw RGB bytes, for comparison with another decoder:
//! `cargo run --release -p gmai-imaging --example decode_picture -- OUT_FOLDER FILE...` writes `OUT_FOLDER/<index>.rgb` and prints one line
//! for each file: width, height, milliseconds, or why it cannot be read.
#![allow(clippy::print_stdout)] // Printing the lines is what it is for.

use gmai_imaging::{DeepGrey, Limits, read_picture};
use std::path::{Path, PathBuf};
use std::time::Instant;

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let out = arguments.next().unwrap_or_else(|| PathBuf::from("."));
    for (index, path) in arguments.enumerate() {
        let start = Instant::now();
        match read_picture(Path::new(&path), DeepGrey::Clip, &Limits::default()) {
            Ok(picture) => {
                let milliseconds = start.elapsed().as_secs_f64() * 1e3;
                std::fs::write(out.join(format!("{index}.rgb")), picture.pixels())?;
                println!("ok {} {} {milliseconds:.2}", picture.width(), picture.height());
            }
            Err(error) => println!("error {error}"),
        }
    }
    Ok(())
}
