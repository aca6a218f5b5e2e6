//! How memory grows with the number of records: curates made-up pictures or volumes and prints what the process holds.
//!
//! ```text
//! cargo run --release -p gmai-curate --example memory_slope -- FOLDER pictures|volumes COUNT
//! ```
//! FOLDER gets COUNT pictures of 16 x 16 pixels, or volumes with COUNT slices in all. Memory is what cannot be taken from the process
//! (RssAnon): pages of files that the system keeps for it are not counted. The slope is taken from a tenth of each phase to its end.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use gmai_curate::{Job, run};
use gmai_schema::Rgb8;
use gmai_testkit::{NiftiImage, NiftiVoxels, write_nifti, write_rgb_png};
use std::collections::BTreeMap;
use std::path::Path;

/// Slices of a made-up volume.
const SLICES: usize = 500;

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

fn noise(seed: usize, count: usize) -> Vec<u8> {
    let mut state = seed as u64 ^ 0x9E37_79B9_7F4A_7C15;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..count).map(|_| next()).collect()
}

fn pictures(folder: &Path, count: usize) -> String {
    for index in 0..count {
        let name = format!("files/{}/{:03}/{index:07}.png", ["a", "b"][index % 2], index / 1000);
        write_rgb_png(&folder.join(name), &Rgb8::new(16, 16, noise(index, 768)).unwrap()).unwrap();
    }
    "kind = { class_folders = { images = \"{class}/{part}/{stem}.png\" } }\n[[source.attribute]]\nkey = \"finding\"\n\
     name = { en = \"finding\" }\ntask = \"disease_diagnosis\"\nfrom = \"class\"\n\
     values = [{ is = \"a\", en = \"first\" }, { is = \"b\", en = \"second\" }]\n"
        .to_string()
}

fn volumes(folder: &Path, count: usize) -> String {
    for index in 0..count.div_ceil(SLICES) {
        for kind in ["images", "labels"] {
            let mut values = noise(index, 16 * 16 * SLICES);
            if kind == "labels" {
                values
                    .iter_mut()
                    .enumerate()
                    .for_each(|(at, value)| *value = u8::from(at % 16 > 3 && at / 16 % 16 > 5));
            }
            let image = NiftiImage::new([16, 16, SLICES], NiftiVoxels::U8(values));
            write_nifti(&folder.join(format!("files/{kind}/{index:06}.nii")), &image).unwrap();
        }
    }
    "[source.kind.nifti_label_map]\nvolumes = \"images/{stem}.nii\"\nlabels = \"labels/{stem}.nii\"\ninstances = \"whole\"\n\
     slices = { max_per_axis = 1000, axes = [\"axial\"], choose = \"all\" }\n[source.regions]\ntask = \"disease_diagnosis\"\n\
     exhaustive = false\nmin_mask_share = 0.0\nterms = [{ is = \"1\", en = \"lesion\" }]\n"
        .to_string()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, kind, count] = arguments.as_slice() else {
        panic!("usage: memory_slope FOLDER pictures|volumes COUNT")
    };
    let (folder, count) = (Path::new(folder), count.parse::<usize>().unwrap());
    let kind = if kind == "volumes" { volumes(folder, count) } else { pictures(folder, count) };
    let config = format!(
        "[dataset]\nname = \"memory\"\nseed = 1\n[[source]]\nname = \"memory\"\nroot = \"files\"\nlicence = \"none\"\n\
         department = \"oncology\"\nmodality = \"ct\"\n{kind}"
    );
    std::fs::write(folder.join("config.toml"), config).unwrap();
    let job = Job::from_file(&folder.join("config.toml"), BTreeMap::new(), &folder.join("out")).unwrap();
    let mut points: BTreeMap<String, Vec<(u64, u64)>> = BTreeMap::new();
    let before = resident_bytes();
    let made = run(&job, &mut |report| {
        points.entry(report.phase.clone()).or_default().push((report.done, resident_bytes()));
    })
    .unwrap();
    let images = &made.manifest.sources[0].images;
    println!("{} records used of {} given; {} MiB before the run", images.used, images.given, before >> 20);
    for (phase, points) in points {
        let last = *points.last().unwrap();
        let first = points.iter().copied().find(|(done, _)| *done * 10 >= last.0).unwrap();
        let peak = points.iter().map(|(_, bytes)| *bytes).max().unwrap();
        let share = images.used as f64 / last.0.max(1) as f64 * (last.0 - first.0) as f64;
        let slope = (last.1 as f64 - first.1 as f64) / 1e6 / share.max(1.0) * 1e5;
        println!(
            "{phase}: {:.1} MB at its end, {:.1} at most; {slope:.2} MB per 100,000 records",
            last.1 as f64 / 1e6,
            peak as f64 / 1e6
        );
    }
}
