//! Kills curation at many random moments and compares what comes out with a run that was left alone.
//!
//! ```text
//! cargo run --release -p gmai-curate --example kill_and_restart -- FOLDER [KILLS] [SEED]
//! ```
//! FOLDER gets a tree of some 5,000 made-up DICOM, NIfTI and PNG files. Then datasets are made from it again and again, each killed several
//! times (SIGKILL, at moments spread over what is left of the run) before it may come to its end, until there were KILLS kills (100).
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use gmai_curate::{Job, run};
use gmai_testkit::{ScanSet, write_quickstart_data};
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Kills of one dataset before it may come to its end.
const KILLS_PER_DATASET: usize = 5;
/// About 5,000 files.
const SET: ScanSet = ScanSet { ct_patients: 60, mr_patients: 60, pictures: 700, picture_size: 96 };

/// How a process came to its end.
struct Ended {
    killed: bool,
    time: Duration,
}

fn child(folder: &Path, out: &Path) {
    let summary =
        run(&Job::from_file(&folder.join("config.toml"), BTreeMap::new(), out).unwrap(), &mut |_| {}).unwrap();
    std::fs::write(out.with_extension("items"), summary.resumed.items.to_string()).unwrap();
}

fn start(folder: &Path, out: &Path, kill_after: Option<Duration>) -> Ended {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let begin = Instant::now();
    let mut child = command.args(["--child".as_ref(), folder, out]).stdout(Stdio::null()).spawn().unwrap();
    let Some(time) = kill_after else {
        assert!(child.wait().unwrap().success());
        return Ended { killed: false, time: begin.elapsed() };
    };
    while begin.elapsed() < time {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            return Ended { killed: false, time: begin.elapsed() };
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    Ended { killed: true, time: begin.elapsed() }
}

fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())).collect()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, folder, out] = arguments.as_slice()
        && flag == "--child"
    {
        return child(Path::new(folder), Path::new(out));
    }
    let folder = PathBuf::from(arguments.first().expect("usage: kill_and_restart FOLDER [KILLS] [SEED]"));
    let number = |index: usize, usual: u64| arguments.get(index).map_or(usual, |text| text.parse().unwrap());
    let (kills, seed) = (number(1, 100) as usize, number(2, 1));
    if !folder.join("config.toml").exists() {
        let made = write_quickstart_data(&folder.join("scans"), seed, SET).unwrap();
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/curate/quickstart.toml");
        std::fs::copy(config, folder.join("config.toml")).unwrap();
        println!("{} files", made.num_files());
    }
    let unbroken = folder.join("unbroken");
    let _ = std::fs::remove_dir_all(&unbroken);
    let whole = start(&folder, &unbroken, None).time;
    let expected = contents(&unbroken);
    println!("left alone: {:.2} s, {} files in the folder", whole.as_secs_f64(), expected.len());
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let (mut killed, mut datasets, mut different) = (0, 0, 0);
    let (mut spent, mut resumed) = (Duration::ZERO, Vec::new());
    while killed < kills {
        let out = folder.join("killed");
        let _ = std::fs::remove_dir_all(&out);
        let mut ended = false;
        let mut spent_here = Duration::ZERO;
        for _ in 0..KILLS_PER_DATASET.min(kills - killed) {
            // Moments in the whole of the run, and at times behind its end.
            let share: f64 = random.random_range(0.0..1.0);
            let run = start(&folder, &out, Some(whole.mul_f64(share)));
            spent_here += run.time;
            killed += usize::from(run.killed);
            ended |= !run.killed;
            if ended {
                break;
            }
        }
        if !ended {
            spent_here += start(&folder, &out, None).time;
            resumed.push(std::fs::read_to_string(out.with_extension("items")).unwrap().parse::<u64>().unwrap());
        }
        spent += spent_here;
        datasets += 1;
        different += usize::from(contents(&out) != expected);
    }
    resumed.sort_unstable();
    let ratio = spent.as_secs_f64() / datasets as f64 / whole.as_secs_f64();
    println!("{killed} kills over {datasets} datasets; {different} of them differ from the one left alone");
    println!("a dataset took {ratio:.2} times as long as one left alone, all its killed runs together");
    println!(
        "items taken over by the last run of each, least, median, most: {:?}",
        [resumed.first(), resumed.get(resumed.len() / 2), resumed.last()]
    );
    assert_eq!(different, 0);
}
