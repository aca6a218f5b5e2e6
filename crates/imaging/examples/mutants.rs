//! Damaged copies of all image files below a folder, by the hundred thousand, through the gate and decoding processes.
//!
//! `mutants FOLDER COUNT [SEED] [MAX_FILE_BYTES]`: says how many were read, refused and stopped, and keeps each copy that
//! stopped a process in `mutants-found` in the current folder. Two threads; a copy is known by seed and number.

use gmai_imaging::{Decoder, Error, Limits, WorkerOptions, serve_decode_worker, sniff};
use gmai_testkit::mutant;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[derive(Default)]
struct Counts {
    read: u64,
    refused: u64,
    stopped: BTreeMap<String, u64>,
    slowest: Duration,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "decode-worker") {
        return Ok(serve_decode_worker()?);
    }
    let [folder, count, rest @ ..] = arguments.as_slice() else {
        return Err("mutants FOLDER COUNT [SEED] [MAX_FILE_BYTES]".into());
    };
    let number = |index: usize, default: u64| rest.get(index).map_or(Ok(default), |text| text.parse());
    let (count, seed, max_bytes): (u64, u64, u64) = (count.parse()?, number(0, 1)?, number(1, 1 << 20)?);
    let mut files = Vec::new();
    collect(Path::new(folder), max_bytes, &mut files)?;
    let options = WorkerOptions::new(std::env::current_exe()?, vec!["decode-worker".into()]);
    let decoder = Decoder::with_workers(options, Limits::default())?;
    let (next, counts) = (AtomicU64::new(0), Mutex::new(Counts::default()));
    let start = Instant::now();
    std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..2).map(|_| scope.spawn(|| work(&decoder, &files, seed, count, &next, &counts))).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("the loop does not panic"))
    })?;
    let counts = counts.into_inner().expect("no thread panicked");
    let stopped: u64 = counts.stopped.values().sum();
    let seconds = start.elapsed().as_secs_f64();
    eprintln!(
        "{} files, {count} copies in {seconds:.0} s: {} read, {} refused, {stopped} stopped, slowest {:?}",
        files.len(),
        counts.read,
        counts.refused,
        counts.slowest
    );
    for (reason, number) in counts.stopped {
        eprintln!("  {number} {reason}");
    }
    Ok(())
}

fn collect(dir: &Path, max_bytes: u64, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn std::error::Error>> {
    let mut entries = std::fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, max_bytes, files)?;
        } else if path.metadata()?.len() <= max_bytes && sniff(&path)?.is_some() {
            files.push(path);
        }
    }
    Ok(())
}

fn work(
    decoder: &Decoder,
    files: &[PathBuf],
    seed: u64,
    count: u64,
    next: &AtomicU64,
    counts: &Mutex<Counts>,
) -> std::io::Result<()> {
    let place = std::env::temp_dir().join(format!("mutant-{}-{:?}", std::process::id(), std::thread::current().id()));
    loop {
        let index = next.fetch_add(1, Ordering::SeqCst);
        if index >= count {
            return std::fs::remove_file(&place);
        }
        // A prime step: neighbours in the list are alike.
        let original = &files[(index as usize).wrapping_mul(7919) % files.len()];
        let copy = mutant(&std::fs::read(original)?, seed, index);
        std::fs::write(&place, &copy)?;
        let begun = Instant::now();
        let result = decoder.read(&place);
        let took = begun.elapsed();
        let mut counts = counts.lock().expect("no thread panicked");
        counts.slowest = counts.slowest.max(took);
        match result {
            Ok(_) => counts.read += 1,
            Err(error) => {
                let told = error.to_string().replace(&place.display().to_string(), "");
                if matches!(error, Error::DecodingStopped { .. }) || told.contains("the reader gave up") {
                    *counts.stopped.entry(told.clone()).or_default() += 1;
                    std::fs::create_dir_all("mutants-found")?;
                    std::fs::write(format!("mutants-found/{seed}-{index}"), &copy)?;
                    eprintln!("{index} of {}: {told}", original.display());
                } else {
                    counts.refused += 1;
                }
            }
        }
    }
}
