//! What hostile files cost, and what decoding in other processes costs: the figures of `docs/performance.md`.
//!
//! `untrusted hostile`: time and memory until each hostile file is refused, in this process.
//! `untrusted speed FOLDER`: files a second here, in waiting processes, and with a new process for every file.
#![allow(clippy::print_stdout)]

use gmai_imaging::{Decoder, Limits, WorkerOptions, read, serve_decode_worker, sniff};
use gmai_testkit::hostile;
use std::path::{Path, PathBuf};
use std::time::Instant;

type Done<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Done<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["decode-worker"] => Ok(serve_decode_worker()?),
        ["hostile"] => hostile_files(),
        ["refuse", file] => refuse(Path::new(file)),
        ["speed", folder] => speed(Path::new(folder)),
        _ => Err("untrusted hostile | untrusted speed FOLDER".into()),
    }
}

/// The size fields of a picture header, as large as asked.
fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = hostile::png_claiming_too_much();
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    bytes.resize(4 << 20, 0);
    bytes
}

fn jpeg() -> Vec<u8> {
    let mut bytes =
        vec![0xFF, 0xD8, 0xFF, 0xC0, 0, 17, 8, 0xFF, 0xFF, 0xFF, 0xFF, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1];
    bytes.resize(1 << 20, 0);
    bytes
}

fn tiff() -> Vec<u8> {
    let mut bytes = b"II*\0\x08\0\0\0\x02\0".to_vec();
    for tag in [0u16, 1] {
        bytes.extend((256 + tag).to_le_bytes());
        bytes.extend([4, 0, 1, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF]);
    }
    bytes.resize(4096, 0);
    bytes
}

fn hostile_files() -> Done<()> {
    let dir = tempfile::tempdir()?;
    let files = [
        ("288-byte DICOM claiming 4 GiB", hostile::dicom_claiming_4_gib()),
        ("NIfTI claiming 35e12 voxels", hostile::nifti_gz_claiming_too_much()?),
        ("NIfTI with 2.9 GB behind its voxels", hostile::nifti_gz_bomb(2900)?),
        ("PNG of 20,000 x 20,000", png(20_000, 20_000)),
        ("PNG of 9,000 x 9,000 without data", png(9_000, 9_000)[..2000].to_vec()),
        ("JPEG of 65,535 x 65,535", jpeg()),
        ("TIFF of 2^32 x 2^32", tiff()),
    ];
    println!("{:38} {:>10} {:>10} {:>10}", "file", "bytes", "ms", "peak MiB");
    for (name, bytes) in &files {
        let path = dir.path().join("file");
        std::fs::write(&path, bytes)?;
        // A process of its own: this one has made the files in memory, and a peak never falls.
        let told = std::process::Command::new(std::env::current_exe()?).arg("refuse").arg(&path).output()?;
        println!("{name:38} {:>10} {}", bytes.len(), String::from_utf8_lossy(&told.stdout).trim_end());
    }
    Ok(())
}

/// Time until one file is refused, and the peak of the whole process.
fn refuse(path: &Path) -> Done<()> {
    let start = Instant::now();
    let refused = read(path, &Limits::default()).is_err();
    let taken = start.elapsed().as_secs_f64() * 1e3;
    let peak = peak_mib().map_or("?".to_string(), |peak| format!("{peak:.1}"));
    println!("{taken:>10.3} {peak:>10}{}", if refused { "" } else { "  NOT REFUSED" });
    Ok(())
}

/// The most memory held so far, in MiB; known on Linux.
fn peak_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? / 1024.0)
}

fn speed(folder: &Path) -> Done<()> {
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    let start = Instant::now();
    let first = workers()?;
    println!("{} files; the first process was ready after {:.1} ms", files.len(), start.elapsed().as_secs_f64() * 1e3);
    for note in first.notes() {
        println!("note: {note}");
    }
    // Once before anything is measured: files come from memory then.
    let read_all = |decoder: &Decoder| files.iter().filter(|path| decoder.read(path).is_ok()).count();
    read_all(&Decoder::default());
    for round in 0..3 {
        measure(&format!("round {round}: in this process"), files.len(), || Ok(read_all(&Decoder::default())))?;
        measure(&format!("round {round}: in waiting processes"), files.len(), || Ok(read_all(&workers()?)))?;
        let each = || -> Done<usize> {
            let mut count = 0;
            for path in &files {
                count += usize::from(workers()?.read(path).is_ok());
            }
            Ok(count)
        };
        measure(&format!("round {round}: a new process each"), files.len(), each)?;
    }
    Ok(())
}

fn workers() -> Done<Decoder> {
    let options = WorkerOptions::new(std::env::current_exe()?, vec!["decode-worker".into()]);
    Ok(Decoder::with_workers(options, Limits::default())?)
}

/// Says how long `work` took, and how much processor time of this process and those that it started and saw ending.
fn measure(name: &str, num_files: usize, work: impl FnOnce() -> Done<usize>) -> Done<()> {
    let (start, before) = (Instant::now(), processor_seconds());
    let read = work()?;
    let per_file = |seconds: f64| seconds / num_files as f64 * 1e3;
    let used = processor_seconds().zip(before).map(|(after, before)| per_file(after - before));
    let used = used.map_or("?".to_string(), |milliseconds| format!("{milliseconds:.2}"));
    println!(
        "{name:36} {:>8.2} ms a file, {used:>7} ms of processor time ({read} read)",
        per_file(start.elapsed().as_secs_f64())
    );
    Ok(())
}

/// User and system time of this process and its children, known on Linux (proc(5), ticks of 10 ms).
fn processor_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: f64 = fields.get(11..15)?.iter().filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
    Some(ticks / 100.0)
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> Done<()> {
    let mut entries = std::fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, files)?;
        } else if sniff(&path)?.is_some() {
            files.push(path);
        }
    }
    Ok(())
}
