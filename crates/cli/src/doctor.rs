//! `gmai doctor`: what this machine offers. Looks at files of this machine only; nothing is sent anywhere.

use crate::environment;
use crate::output::Output;
use anyhow::Result;
use serde::Serialize;
use std::path::Path;
use std::process::Command;

/// Free memory below this makes `gmai quickstart` slow or impossible.
const QUICKSTART_BYTES: u64 = 2 << 30;

/// What was found.
#[derive(Debug, Serialize)]
struct Report {
    version: &'static str,
    findings: Vec<Finding>,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    found: String,
    verdict: Verdict,
}

/// Whether it is as gmai needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Good,
    /// Not needed, and not there.
    Absent,
    /// Something will be slow or will not work.
    Poor,
}

/// Runs the command.
pub fn run(output: Output) -> Result<()> {
    let findings = vec![cores(), instructions(), memory(), disk(), toolchain(), tensor_device(), gpu(), shared_data()];
    let report = Report { version: env!("CARGO_PKG_VERSION"), findings };
    output.line(format!("gmai {}", report.version))?;
    for finding in &report.findings {
        let mark = match finding.verdict {
            Verdict::Good => "ok  ",
            Verdict::Absent => "-   ",
            Verdict::Poor => "poor",
        };
        output.line(format!("  {mark} {:14} {}", finding.what, finding.found))?;
    }
    output.line("Nothing was sent anywhere. Next: gmai quickstart")?;
    output.document(&report)
}

fn good(what: &'static str, found: impl Into<String>) -> Finding {
    Finding { what, found: found.into(), verdict: Verdict::Good }
}

fn absent(what: &'static str, found: impl Into<String>) -> Finding {
    Finding { what, found: found.into(), verdict: Verdict::Absent }
}

fn poor(what: &'static str, found: impl Into<String>) -> Finding {
    Finding { what, found: found.into(), verdict: Verdict::Poor }
}

fn cores() -> Finding {
    match std::thread::available_parallelism() {
        Ok(cores) => good("cores", format!("{cores} usable")),
        Err(error) => poor("cores", format!("number unknown ({error}); give --threads")),
    }
}

#[cfg(target_arch = "x86_64")]
fn instructions() -> Finding {
    let has = std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma");
    match has {
        true => good("instructions", "AVX2 and FMA"),
        false => poor("instructions", "no AVX2 or FMA: build with RUSTFLAGS=\"-C target-cpu=native\""),
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn instructions() -> Finding {
    good("instructions", std::env::consts::ARCH)
}

fn memory() -> Finding {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let Some(bytes) = memory_available(&text) else { return absent("memory", "free memory unknown on this system") };
    let limit =
        std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse::<u64>().ok());
    let usable = limit.map_or(bytes, |limit| limit.min(bytes));
    let found = format!("{} free", size(usable));
    match usable >= QUICKSTART_BYTES {
        true => good("memory", found),
        false => poor("memory", format!("{found}; quickstart wants {}", size(QUICKSTART_BYTES))),
    }
}

/// Bytes of the line `MemAvailable:  N kB`.
fn memory_available(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

fn disk() -> Finding {
    // The standard library cannot ask for free space; df is part of POSIX.
    let told = Command::new("df")
        .args(["-Pk", "."])
        .output()
        .ok()
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    match told.as_deref().and_then(disk_free) {
        Some(bytes) if bytes >= QUICKSTART_BYTES => good("disk", format!("{} free here", size(bytes))),
        Some(bytes) => poor("disk", format!("{} free here; datasets and checkpoints want more", size(bytes))),
        None => absent("disk", "free space unknown: df did not say"),
    }
}

/// The fourth column of the second line of `df -Pk`.
fn disk_free(text: &str) -> Option<u64> {
    Some(text.lines().nth(1)?.split_whitespace().nth(3)?.parse::<u64>().ok()? * 1024)
}

fn toolchain() -> Finding {
    match first_line("rustc", &["--version"]) {
        Some(version) => good("toolchain", version),
        None => absent("toolchain", "no rustc on the path; needed only to build"),
    }
}

fn tensor_device() -> Finding {
    good("tensors", gmai_model::device::describe())
}

fn gpu() -> Finding {
    match first_line("nvidia-smi", &["--query-gpu=name,memory.total", "--format=csv,noheader"]) {
        Some(name) => absent("gpu", format!("{name}; this build computes on the CPU")),
        None => absent("gpu", "none seen; none needed"),
    }
}

fn shared_data() -> Finding {
    let Some(folder) = environment::shared_folder() else {
        return absent("shared data", format!("none: set {} to the folder that holds data/<set>", environment::SHARED));
    };
    match num_folders(&folder.join("data")) {
        Some(sets) => good("shared data", format!("{sets} data sets in {}", folder.display())),
        None => {
            poor("shared data", format!("{} has no folder data: set {} right", folder.display(), environment::SHARED))
        }
    }
}

fn num_folders(folder: &Path) -> Option<usize> {
    let entries = std::fs::read_dir(folder).ok()?;
    Some(entries.filter(|entry| entry.as_ref().is_ok_and(|entry| entry.path().is_dir())).count())
}

/// The first line that a program of this machine prints; `None` when it is not there or fails.
fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let told = Command::new(program).args(arguments).output().ok()?;
    let line = String::from_utf8_lossy(&told.stdout).lines().next()?.trim().to_string();
    (told.status.success() && !line.is_empty()).then_some(line)
}

/// Bytes in binary units, as people say them.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let step = (0..UNITS.len() - 1).find(|&step| bytes >> (10 * (step + 1)) == 0).unwrap_or(UNITS.len() - 1);
    match step {
        0 => format!("{bytes} B"),
        step => format!("{:.1} {}", bytes as f64 / (1_u64 << (10 * step)) as f64, UNITS[step]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_texts_are_read() {
        assert_eq!(memory_available("MemTotal:  9 kB\nMemAvailable:   2048 kB\n"), Some(2 << 20));
        assert_eq!(memory_available("MemTotal:  9 kB\n"), None);
        assert_eq!(disk_free("Filesystem 1024-blocks Used Available\n/dev/a 100 60 40 60% /\n"), Some(40 << 10));
        assert_eq!(disk_free(""), None);
    }

    #[test]
    fn sizes_read_as_people_say_them() {
        assert_eq!([0, 1023, 1536, 5 << 30].map(size), ["0 B", "1023 B", "1.5 KiB", "5.0 GiB"]);
    }
}
