//! T-14 at full size: `cargo run --release -p gmai-deid --example canaries -- 10000`. Prints the canaries left, and checks the UID map.

#[path = "../tests/canaries/mod.rs"]
mod canaries;

use gmai_deid::dicom::{PixelText, Settings, deidentify};
use gmai_deid::text::Finder;
use gmai_deid::{Key, Profile, ProfileOption};
use std::collections::HashMap;

fn main() {
    let count: u64 = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(1000);
    let (key, finder) = (Key::new([4; 32]), Finder::new());
    let profiles = [
        Profile::default(),
        Profile::with_options([ProfileOption::CleanGraphics, ProfileOption::RetainSafePrivate]).expect("go together"),
    ];
    let (mut planted, mut left, mut bytes_read) = (0u64, 0u64, 0u64);
    let mut uids: HashMap<String, String> = HashMap::new();
    let started = std::time::Instant::now();
    for seed in 0..count {
        let made = canaries::file(seed);
        let settings = Settings {
            profile: &profiles[seed as usize % 2],
            key: &key,
            finder: &finder,
            pixel_text: PixelText::NotExamined,
            blank: &[],
            max_bytes: 1 << 30,
        };
        let cleaned = deidentify(&made.bytes, &settings).expect("a made-up file is readable");
        planted += made.canaries.len() as u64;
        bytes_read += made.bytes.len() as u64;
        for canary in made.found_in(&cleaned.bytes) {
            left += 1;
            println!("seed {seed}: {canary}");
        }
        for uid in made.canaries.iter().filter(|canary| canary.starts_with("1.9.77")) {
            let mapped = key.uid(uid);
            if let Some(other) = uids.insert(mapped, uid.clone())
                && other != *uid
            {
                println!("two UIDs became one: {other} and {uid}");
                left += 1;
            }
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{count} files, {planted} canaries planted, {left} left; {} different UIDs mapped, no two to one",
        uids.len()
    );
    println!(
        "{:.0} files per second, {:.1} MB per second, making them included",
        count as f64 / seconds,
        bytes_read as f64 / 1e6 / seconds
    );
}
