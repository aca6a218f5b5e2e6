//! Curates a config as `gmai curate` does and prints the manifest as JSON: for `bench/curate/run.py`, without the parts of the program that
//! curation does not use.
//!
//! ```text
//! cargo run --release -p gmai-curate --example curate_speed -- CONFIG OUT THREADS [--in-process]
//! ```
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use gmai_curate::{Job, run};
use gmai_imaging::{Decoder, Limits, WorkerOptions};
use std::collections::BTreeMap;
use std::path::Path;

/// What the program calls itself with, to be a decoding process.
const WORKER: &str = "decode-worker";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments == [WORKER] {
        return gmai_imaging::serve_decode_worker().unwrap();
    }
    let [config, out, threads, rest @ ..] = arguments.as_slice() else {
        panic!("usage: CONFIG OUT THREADS [--in-process]")
    };
    rayon::ThreadPoolBuilder::new().num_threads(threads.parse().unwrap()).build_global().unwrap();
    let mut job = Job::from_file(Path::new(config), BTreeMap::new(), Path::new(out)).unwrap();
    if rest.is_empty() {
        let options = WorkerOptions::new(std::env::current_exe().unwrap(), vec![WORKER.into()]);
        job.decoder = Decoder::with_workers(options, Limits::default()).unwrap();
    }
    // Inside the pool, as the program does it.
    let made = rayon::scope(|_| run(&job, &mut |_| {})).unwrap();
    println!("{}", serde_json::to_string(&made.manifest).unwrap());
}
