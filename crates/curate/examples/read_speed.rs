//! Reads every file of a list and does nothing with it: what decoding alone takes, for `bench/curate/run.py`.
//!
//! ```text
//! cargo run --release -p gmai-curate --example read_speed -- LIST THREADS
//! ```
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use gmai_imaging::{Content, Decoder};
use gmai_schema::Axis;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, list, threads] = arguments.as_slice() else { panic!("usage: read_speed LIST THREADS") };
    let text = std::fs::read_to_string(list).unwrap();
    let paths: Vec<&str> = text.lines().collect();
    let (next, pictures) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let decoder = Decoder::default();
    std::thread::scope(|scope| {
        for _ in 0..threads.parse::<usize>().unwrap() {
            scope.spawn(|| {
                while let Some(path) = paths.get(next.fetch_add(1, Ordering::SeqCst)) {
                    // Slices of label maps are no pictures.
                    let is_label = path.contains("/labels/");
                    let count = match decoder.read(Path::new(path)).unwrap().content {
                        _ if is_label => 0,
                        Content::Picture(_) => 1,
                        Content::Volume(volume) => volume.num_slices(Axis::Axial),
                    };
                    pictures.fetch_add(count, Ordering::SeqCst);
                }
            });
        }
    });
    println!("{{\"pictures\": {}}}", pictures.into_inner());
}
