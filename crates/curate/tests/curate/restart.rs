//! Runs that are killed: whatever the moment, the next one goes on and the folder ends up as if nothing had happened.

use crate::runs::contents;
use gmai_curate::{Job, Outcome, Summary, run};
use gmai_schema::Progress;
use gmai_testkit::{ScanSet, write_quickstart_data};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Names the folder of the dataset that [`child`] makes.
const OUT: &str = "GMAI_RESTART_OUT";
/// The number of the progress report at which the child kills itself.
const END_AT: &str = "GMAI_RESTART_END_AT";
/// The number of the progress report at which the child stops for good, and waits for its end.
const WAIT_AT: &str = "GMAI_RESTART_WAIT_AT";

/// A tree of DICOM series, NIfTI volumes and PNG pictures, with the config that reads it.
fn tree(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("restart").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    let set = ScanSet { ct_patients: 4, mr_patients: 4, pictures: 40, picture_size: 64 };
    write_quickstart_data(&folder.join("scans"), 5, set).unwrap();
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/curate/quickstart.toml");
    std::fs::copy(config, folder.join("config.toml")).unwrap();
    folder
}

fn make(out: &Path, on_progress: &mut dyn FnMut(Progress)) -> Result<Summary, gmai_curate::Error> {
    let config = out.parent().unwrap().join("config.toml");
    run(&Job::from_file(&config, BTreeMap::new(), out).unwrap(), on_progress)
}

/// Not a test of its own: the process that the others start and kill.
#[test]
fn child() {
    let Ok(out) = std::env::var(OUT) else { return };
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (end_at, wait_at) = (number(END_AT), number(WAIT_AT));
    let mut reports = 0;
    let result = make(Path::new(&out), &mut |_| {
        reports += 1;
        if end_at == Some(reports) {
            std::process::abort(); // Nothing is dropped or flushed.
        }
        if wait_at == Some(reports) {
            std::thread::sleep(Duration::from_secs(60));
        }
    });
    let summary = match result {
        Ok(summary) => summary,
        Err(error) => {
            eprintln!("error: {error}");
            std::process::exit(3);
        }
    };
    assert_eq!(summary.outcome, Outcome::Made);
    std::fs::write(Path::new(&out).with_extension("reports"), reports.to_string()).unwrap();
    std::fs::write(Path::new(&out).with_extension("resumed"), summary.resumed.items.to_string()).unwrap();
}

fn command(out: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["restart::child", "--exact", "--nocapture", "--test-threads=1"]).env(OUT, out);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn number(out: &Path, ending: &str) -> u64 {
    std::fs::read_to_string(out.with_extension(ending)).unwrap().parse().unwrap()
}

/// What a run that is left alone makes, how many reports of progress it gives, and how long it takes.
struct Unbroken {
    folder: PathBuf,
    contents: BTreeMap<String, Vec<u8>>,
    reports: u64,
    time: Duration,
}

fn unbroken(name: &str) -> Unbroken {
    let folder = tree(name);
    let out = folder.join("unbroken");
    let begin = Instant::now();
    assert!(command(&out).status().unwrap().success());
    Unbroken { contents: contents(&out), reports: number(&out, "reports"), time: begin.elapsed(), folder }
}

fn wait(mut child: Child) -> (bool, String) {
    let mut words = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut words).unwrap();
    (child.wait().unwrap().success(), words)
}

#[test]
fn a_run_killed_at_any_step_is_taken_up_and_ends_the_same() {
    let unbroken = unbroken("steps");
    assert!(unbroken.contents.contains_key("manifest.json"));
    let mut most = 0;
    // Each run but the last is ended some steps later than the one before.
    for first in [2, 5, unbroken.reports / 2] {
        let out = unbroken.folder.join(format!("killed-{first}"));
        let mut end_at = first;
        while end_at < unbroken.reports {
            let (done, words) = wait(command(&out).env(END_AT, end_at.to_string()).spawn().unwrap());
            assert!(!done && !out.join("manifest.json").exists(), "{words}");
            end_at += 1 + unbroken.reports / 5;
        }
        let (done, words) = wait(command(&out).spawn().unwrap());
        assert!(done, "{words}");
        assert!(contents(&out) == unbroken.contents, "the run first ended at report {first} differs");
        most = most.max(number(&out, "resumed"));
    }
    assert!(most > 150, "only {most} items were taken over");
}

#[test]
fn a_run_killed_at_any_moment_is_taken_up_and_ends_the_same() {
    let unbroken = unbroken("moments");
    let mut state = 20_261_124u64;
    for round in 0..3 {
        let out = unbroken.folder.join(format!("killed-{round}"));
        for _ in 0..3 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let share = (state >> 40) as f64 / (1u64 << 24) as f64;
            let mut child = command(&out).spawn().unwrap();
            std::thread::sleep(unbroken.time.mul_f64(share));
            let _ = child.kill(); // SIGKILL; it may have come to its end.
            let _ = child.wait();
        }
        let _ = std::fs::remove_file(out.join("manifest.json")); // One that came to its end goes on as if it had not.
        let (done, words) = wait(command(&out).spawn().unwrap());
        assert!(done, "{words}");
        assert!(contents(&out) == unbroken.contents, "round {round} differs");
    }
}

#[test]
fn what_another_config_or_other_files_gave_is_not_taken_over() {
    let unbroken = unbroken("other");
    let out = unbroken.folder.join("killed");
    let (done, _) = wait(command(&out).env(END_AT, unbroken.reports.to_string()).spawn().unwrap());
    assert!(!done && out.join("work.partial/read.journal").exists());
    let config = unbroken.folder.join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("肝脏病灶", "肝内病灶")).unwrap();
    let summary = make(&out, &mut |_| {}).unwrap();
    assert_eq!((summary.outcome, summary.resumed.items), (Outcome::Made, 0));
    assert!(!out.join("work.partial").exists());
}

#[test]
fn a_torn_or_damaged_journal_is_read_again_from_the_files() {
    let unbroken = unbroken("torn");
    for damage in ["torn", "changed"] {
        let out = unbroken.folder.join(damage);
        let (done, _) = wait(command(&out).env(END_AT, unbroken.reports.to_string()).spawn().unwrap());
        assert!(!done);
        let journal = out.join("work.partial/read.journal");
        let mut bytes = std::fs::read(&journal).unwrap();
        let middle = bytes.len() / 2;
        match damage {
            "torn" => bytes.truncate(middle),
            _ => bytes[middle] ^= 1,
        }
        std::fs::write(&journal, bytes).unwrap();
        let (done, words) = wait(command(&out).spawn().unwrap());
        assert!(done, "{words}");
        let resumed = number(&out, "resumed");
        assert!(resumed > 10 && contents(&out) == unbroken.contents, "{damage}: {resumed} items were taken over");
    }
}

#[test]
fn two_runs_do_not_write_into_one_folder() {
    let unbroken = unbroken("two");
    let out = unbroken.folder.join("shared");
    let mut first = command(&out).env(WAIT_AT, (unbroken.reports / 2).to_string()).spawn().unwrap();
    let begin = Instant::now();
    while !out.join("work.partial/read.journal").exists() && begin.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let (done, words) = wait(command(&out).spawn().unwrap());
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(!done && words.contains("another run of gmai is using it"), "{words}");
    assert!(wait(command(&out).spawn().unwrap()).0);
    assert!(contents(&out) == unbroken.contents);
}

/// A file that may not grow stands for a full disk.
#[cfg(unix)]
#[test]
fn a_full_disk_is_named_and_the_folder_goes_on_when_there_is_room() {
    let unbroken = unbroken("full");
    let journal = 1; // Blocks of 1024 bytes: less than what any run writes to its first file.
    for blocks in [journal, 40, 200] {
        let out = unbroken.folder.join(format!("full-{blocks}"));
        let mut shell = Command::new("sh");
        // Without the trap the signal of the limit would end the process, as it may do anywhere.
        shell.args(["-c", &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"")]);
        shell.arg(std::env::current_exe().unwrap()).args([
            "restart::child",
            "--exact",
            "--nocapture",
            "--test-threads=1",
        ]);
        shell.env(OUT, &out).stdout(Stdio::null()).stderr(Stdio::piped());
        let (done, words) = wait(shell.spawn().unwrap());
        assert!(!done && !out.join("manifest.json").exists());
        assert!(words.contains(&format!("full-{blocks}")) && words.contains("the disk has room"), "{words}");
        let (done, words) = wait(command(&out).spawn().unwrap());
        assert!(done, "{words}");
        assert!(contents(&out) == unbroken.contents, "{blocks} blocks");
    }
}
