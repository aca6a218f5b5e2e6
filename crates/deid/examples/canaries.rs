//! T-14 at full size: `cargo run --release -p gmai-deid --example canaries -- 10000`. Prints the canaries left, and checks the UID map.
//!
//! Every third file keeps moved dates. There each date of the data set must be its old value moved by the patient's own days, all by the same
//! number, and no old date may be left; a day that another day was moved onto is none left.
#![allow(clippy::print_stdout)]

#[path = "../tests/canaries/mod.rs"]
mod canaries;

use dicom_core::VR;
use dicom_object::{DefaultDicomObject, from_reader};
use gmai_deid::dicom::{PixelText, Settings, deidentify};
use gmai_deid::text::Finder;
use gmai_deid::{Key, Profile, ProfileOption};
use std::collections::{BTreeMap, BTreeSet, HashMap};

fn main() {
    let count: u64 = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(1000);
    let (key, finder) = (Key::new([4; 32]), Finder::new());
    let profiles = [
        Profile::default(),
        Profile::with_options([ProfileOption::CleanGraphics, ProfileOption::RetainSafePrivate]).expect("go together"),
        Profile::with_options([ProfileOption::RetainModifiedDates]).expect("one option"),
    ];
    let (mut planted, mut left, mut bytes_read) = (0u64, 0u64, 0u64);
    let mut uids: HashMap<String, String> = HashMap::new();
    let mut dates = Dates::default();
    let started = std::time::Instant::now();
    let first: u64 = std::env::args().nth(2).and_then(|first| first.parse().ok()).unwrap_or(0);
    for seed in first..first + count {
        let made = canaries::file(seed);
        let settings = Settings {
            profile: &profiles[seed as usize % 3],
            key: &key,
            finder: &finder,
            pixel_text: PixelText::NotExamined,
            blank: &[],
            max_bytes: 1 << 30,
        };
        let cleaned = deidentify(&made.bytes, &settings).expect("a made-up file is readable");
        planted += made.canaries.len() as u64;
        bytes_read += made.bytes.len() as u64;
        let moved = if seed % 3 == 2 {
            dates.check(seed, &made, &cleaned.bytes, key.shift_days(&cleaned.patient))
        } else {
            BTreeSet::new()
        };
        for canary in made.found_in(&cleaned.bytes).into_iter().filter(|canary| !moved.contains(canary)) {
            left += 1;
            println!("seed {seed}: {canary} in {}", context(&cleaned.bytes, &canary));
        }
        dates.check_uids(&made, &cleaned.bytes, &key);
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
        "{} dates moved in {} patients' files, {} wrong; {} different shifts; {} UIDs of studies, series and instances, {} wrong; {} files compared with no other reader",
        dates.moved,
        dates.patients,
        dates.wrong,
        dates.shifts.len(),
        dates.uids,
        dates.wrong_uids,
        dates.unreadable
    );
    println!(
        "{:.0} files per second, {:.1} MB per second, making them included",
        count as f64 / seconds,
        bytes_read as f64 / 1e6 / seconds
    );
}

/// What is checked of dates and UIDs by reading both files again with another reader.
#[derive(Default)]
struct Dates {
    patients: u64,
    moved: u64,
    wrong: u64,
    /// Days moved by, with the number of patients.
    shifts: BTreeMap<i64, u64>,
    uids: u64,
    wrong_uids: u64,
    /// Made-up files that the other reader refuses.
    unreadable: u64,
}

impl Dates {
    /// Compares the dates of the data set; gives the days that planted days become.
    fn check(&mut self, seed: u64, made: &canaries::Made, cleaned: &[u8], shift: i64) -> BTreeSet<String> {
        let numbers: BTreeSet<i64> = made.days().filter_map(|text| day(text)).map(|day| day + shift).collect();
        let moved = made.days().filter(|text| day(text).is_some_and(|day| numbers.contains(&day))).cloned().collect();
        let Some((before, after)) = both(made, cleaned) else {
            self.unreadable += 1;
            return moved;
        };
        self.patients += 1;
        *self.shifts.entry(shift).or_default() += 1;
        for element in before.iter().filter(|element| element.vr() == VR::DA) {
            let Ok(new) = after.element(element.header().tag) else { continue };
            let (old, new) = (text(element), text(new));
            if new.is_empty() {
                continue;
            }
            self.moved += 1;
            if day(&new) != day(&old).map(|day| day + shift) || shift == 0 {
                self.wrong += 1;
                println!("seed {seed}: {} is {new}, was {old}, shift {shift}", element.header().tag);
            }
        }
        moved
    }

    /// UIDs of the study, the series and the instance are what the key makes of the old ones.
    fn check_uids(&mut self, made: &canaries::Made, cleaned: &[u8], key: &Key) {
        use dicom_dictionary_std::tags::{SERIES_INSTANCE_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID};
        let Some((before, after)) = both(made, cleaned) else { return };
        for tag in [STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID] {
            let Ok(old) = before.element(tag) else { continue };
            self.uids += 1;
            self.wrong_uids += u64::from(after.element(tag).map(text).ok() != Some(key.uid(&text(old))));
        }
    }
}

/// What stands around a canary.
fn context(bytes: &[u8], canary: &str) -> String {
    let at = bytes.windows(canary.len()).rposition(|window| window == canary.as_bytes()).unwrap_or(0);
    bytes[at.saturating_sub(40)..(at + 40).min(bytes.len())].escape_ascii().to_string()
}

/// Both files. The made-up one may be beyond the other reader (canaries stand where it expects lengths); the cleaned one may not.
fn both(made: &canaries::Made, cleaned: &[u8]) -> Option<(DefaultDicomObject, DefaultDicomObject)> {
    let after = from_reader(cleaned).expect("a cleaned file is readable");
    Some((from_reader(&made.bytes[..]).ok()?, after))
}

fn text(element: &dicom_object::mem::InMemElement) -> String {
    element.to_str().map(|text| text.trim_end_matches(['\0', ' ']).to_string()).unwrap_or_default()
}

/// Days since the year 0 of a date in DA form (civil calendar, H. Hinnant).
fn day(text: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(4..6)?, number(6..8)?);
    let year = if month <= 2 { year - 1 } else { year };
    Some(365 * year + year / 4 - year / 100 + year / 400 + (153 * ((month + 9) % 12) + 2) / 5 + day - 1)
}
