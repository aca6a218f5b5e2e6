//! Which records stay together, which are duplicates, and on which side of the split each group falls.
//!
//! Pictures are compared twice: records of equal or nearly equal ones stay on one side, and those that contradict each other are left out.
//! Memory holds ten bytes a record; keys are sorted on disk, and what a record says is looked up where two are similar.

use crate::config::SplitShares;
use crate::inputs::hash_of;
use crate::journal::Position;
use crate::labels::by_attribute;
use crate::similarity::{Fingerprint, Similar};
use crate::sorted::{Sorted, Sorter};
use crate::{Error, Result};
use gmai_schema::{Modality, Record, Split};
use sha2::{Digest, Sha256};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The longest pseudonym.
const PATIENT_BYTES: usize = 16;
/// Bytes of a position on disk.
const POSITION_BYTES: usize = 12;
/// What so many records say is remembered while they are compared.
const MAX_REMEMBERED: usize = 1 << 12;
/// Not a record.
const NONE: u32 = u32::MAX;

/// What becomes of a record when its picture occurs more than once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is used.
    Keep,
    /// It says what an earlier record says.
    Repeats,
    /// Another record says something else about the same picture, or nearly the same; its file is named.
    Contradicts(String),
}

/// What comparing all records gave.
#[derive(Debug)]
pub(crate) struct Comparison {
    splits: Vec<Split>,
    /// Records that say what an earlier one says.
    repeats: Vec<bool>,
    /// The file that contradicts, by record.
    contradicts: BTreeMap<u32, String>,
    /// Pairs of records with pictures that are equal or nearly so.
    pub(crate) num_similar: usize,
}

impl Comparison {
    /// The side of a record.
    pub(crate) fn split(&self, record: u32) -> Split {
        self.splits[record as usize]
    }

    /// What becomes of a record.
    pub(crate) fn fate(&self, record: u32) -> Fate {
        match self.contradicts.get(&record) {
            Some(file) => Fate::Contradicts(file.clone()),
            None if self.repeats[record as usize] => Fate::Repeats,
            None => Fate::Keep,
        }
    }
}

/// All records of a dataset, to be compared.
pub(crate) struct Candidates {
    num_records: u32,
    /// Pseudonym and record.
    patients: Sorter<{ PATIENT_BYTES + 4 }>,
    /// Hash of the file's hash, and record.
    files: Sorter<20>,
    /// Source, hash of the pixels, record: of records with one picture.
    pixels: Sorter<24>,
    similar: Similar,
    positions: BufWriter<File>,
    path: PathBuf,
}

impl Candidates {
    /// None yet. Temporary files are made in `folder`.
    pub(crate) fn new(folder: &Path) -> Result<Candidates> {
        let path = folder.join("positions");
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path);
        Ok(Candidates {
            num_records: 0,
            patients: Sorter::new(folder, "patients.sort"),
            files: Sorter::new(folder, "files.sort"),
            pixels: Sorter::new(folder, "pixels.sort"),
            similar: Similar::new(folder)?,
            positions: BufWriter::new(file.map_err(Error::io(&path))?),
            path,
        })
    }

    /// Records so far.
    pub(crate) fn len(&self) -> u32 {
        self.num_records
    }

    /// Adds a record of a source. `prints` are of its pictures: none for slices of volumes, since neighbouring ones resemble each other, and
    /// blank ones those of strangers.
    pub(crate) fn add(&mut self, source: u32, record: &Record, prints: &[Fingerprint], at: Position) -> Result<()> {
        let index = self.num_records;
        let mut patient = [0; PATIENT_BYTES + 4];
        let name = record.patient.as_bytes();
        assert!(name.len() <= PATIENT_BYTES, "pseudonyms have {PATIENT_BYTES} characters");
        patient[..name.len()].copy_from_slice(name);
        patient[PATIENT_BYTES..].copy_from_slice(&index.to_be_bytes());
        self.patients.push(patient)?;
        let mut file = [0; 20];
        file[..16].copy_from_slice(&Sha256::digest(record.provenance.file_sha256.as_bytes())[..16]);
        file[16..].copy_from_slice(&index.to_be_bytes());
        self.files.push(file)?;
        // What several pictures show together is not repeated by one of them.
        if let [only] = prints {
            let mut pixels = [0; 24];
            pixels[..4].copy_from_slice(&source.to_be_bytes());
            pixels[4..20].copy_from_slice(&only.pixels);
            pixels[20..].copy_from_slice(&index.to_be_bytes());
            self.pixels.push(pixels)?;
        }
        for print in prints {
            self.similar.add(index, print)?;
        }
        let mut position = [0; POSITION_BYTES];
        position[..8].copy_from_slice(&at.frame.to_le_bytes());
        position[8..].copy_from_slice(&at.index.to_le_bytes());
        self.positions.write_all(&position).map_err(Error::io(&self.path))?;
        self.num_records += 1;
        Ok(())
    }

    /// Compares all records. `look_up` gives back the record at a position.
    pub(crate) fn compare(
        self,
        shares: SplitShares,
        seed: u64,
        look_up: &mut dyn FnMut(Position) -> Result<Record>,
    ) -> Result<Comparison> {
        let Candidates { num_records, patients, files, pixels, similar, positions, path } = self;
        let positions = positions.into_inner().map_err(|error| Error::io(&path)(error.into_error()))?;
        let sayings = Sayings { positions, path, look_up, remembered: HashMap::new() };
        let mut groups = Groups { parent: (0..num_records).collect() };
        let patients = patients.finish()?;
        groups.join_equal(&patients)?;
        groups.join_equal(&files.finish()?)?;
        let mut copies = Copies::of(&pixels.finish()?, num_records)?;
        let num_similar = copies.oppose(&similar.finish()?, &mut groups, sayings)?;
        let splits = groups.sides(&patients, shares, seed)?;
        let Copies { repeats, contradicts, .. } = copies;
        Ok(Comparison { splits, repeats, contradicts, num_similar })
    }
}

/// The record at the end of a sorted entry.
fn record_of(entry: &[u8]) -> u32 {
    entry[entry.len() - 4..].iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// Sets of records that are joined step by step.
struct Groups {
    parent: Vec<u32>,
}

impl Groups {
    fn find(&mut self, mut index: u32) -> u32 {
        while self.parent[index as usize] != index {
            let above = self.parent[self.parent[index as usize] as usize];
            self.parent[index as usize] = above;
            index = above;
        }
        index
    }

    /// The smaller index stays the representative: the result does not depend on the order of joining.
    fn join(&mut self, first: u32, second: u32) {
        let (first, second) = (self.find(first), self.find(second));
        self.parent[first.max(second) as usize] = first.min(second);
    }

    /// Joins all records that have the same key.
    fn join_equal<const N: usize>(&mut self, keys: &Sorted<N>) -> Result<()> {
        let mut entries = keys.entries()?;
        let mut before: Option<[u8; N]> = None;
        while let Some(entry) = entries.next()? {
            if let Some(before) = before.filter(|before| before[..N - 4] == entry[..N - 4]) {
                self.join(record_of(&before), record_of(&entry));
            }
            before = Some(entry);
        }
        Ok(())
    }

    /// The split of each record: by patient, joined with every record of the same file, the same pixels or nearly the same picture.
    ///
    /// A group falls by the hash of its smallest patient pseudonym, so that a patient stays on its side when data are added.
    fn sides(mut self, patients: &Sorted<{ PATIENT_BYTES + 4 }>, shares: SplitShares, seed: u64) -> Result<Vec<Split>> {
        let mut decided = vec![None; self.parent.len()];
        let mut entries = patients.entries()?;
        while let Some(entry) = entries.next()? {
            let root = self.find(record_of(&entry)) as usize;
            if decided[root].is_none() {
                let name = entry[..PATIENT_BYTES].split(|byte| *byte == 0).next().unwrap_or_default();
                decided[root] = Some(side(&String::from_utf8_lossy(name), shares, seed));
            }
        }
        let all = 0..self.parent.len() as u32;
        let of_group = |index| decided[self.find(index) as usize].expect("every record has a patient");
        Ok(all.map(of_group).collect())
    }
}

fn side(name: &str, shares: SplitShares, seed: u64) -> Split {
    let hash = hash_of(&["gmai-split", &seed.to_string(), name]);
    let number = u64::from_str_radix(&hash[..13], 16).expect("a hash is hexadecimal"); // 52 bits: exact as f64.
    let place = number as f64 / (1u64 << 52) as f64;
    if place < shares.test {
        Split::Test
    } else if place < shares.test + shares.validation {
        Split::Validation
    } else {
        Split::Train
    }
}

/// Records with the same picture, and those that are not used for it. Only records of one source are compared, since sources ask different
/// things about a picture.
struct Copies {
    /// Of each record with one picture the next with the same, in a ring; empty where no record has one.
    next: Vec<u32>,
    repeats: Vec<bool>,
    contradicts: BTreeMap<u32, String>,
}

impl Copies {
    fn of(pixels: &Sorted<24>, num_records: u32) -> Result<Copies> {
        let next = if pixels.is_empty() { Vec::new() } else { vec![NONE; num_records as usize] };
        let repeats = vec![false; num_records as usize];
        let mut copies = Copies { next, repeats, contradicts: BTreeMap::new() };
        let mut entries = pixels.entries()?;
        let mut first: Option<[u8; 24]> = None;
        while let Some(entry) = entries.next()? {
            let index = record_of(&entry);
            match first.filter(|first| first[..20] == entry[..20]) {
                Some(first) => {
                    let first = record_of(&first) as usize;
                    copies.next[index as usize] = copies.next[first];
                    copies.next[first] = index;
                    copies.repeats[index as usize] = true;
                }
                None => {
                    copies.next[index as usize] = index;
                    first = Some(entry);
                }
            }
        }
        Ok(copies)
    }

    /// Joins similar records and leaves out those that contradict each other: nobody knows which is right, and none of that picture is used.
    fn oppose(&mut self, similar: &Sorted<8>, groups: &mut Groups, mut sayings: Sayings) -> Result<usize> {
        let mut entries = similar.entries()?;
        let mut before = None;
        let mut count = 0;
        while let Some(entry) = entries.next()? {
            if before == Some(entry) {
                continue;
            }
            before = Some(entry);
            count += 1;
            let (first, second) = (record_of(&entry[..4]), record_of(&entry));
            groups.join(first, second);
            if sayings.of_one_source(first, second)? && sayings.contradict(first, second)? {
                self.leave_out(first, second, &mut sayings)?;
                self.leave_out(second, first, &mut sayings)?;
            }
        }
        Ok(count)
    }

    /// Leaves out `this` and its copies, which `other` contradicts.
    fn leave_out(&mut self, this: u32, other: u32, sayings: &mut Sayings) -> Result<()> {
        if self.next[this as usize] == NONE {
            return Ok(());
        }
        let mut copy = this;
        loop {
            if let Entry::Vacant(entry) = self.contradicts.entry(copy) {
                // A copy may agree with `other`; then `this` is what it contradicts.
                let opponent = if sayings.contradict(copy, other)? { other } else { this };
                entry.insert(sayings.record(opponent)?.provenance.file);
            }
            copy = self.next[copy as usize];
            if copy == this {
                return Ok(());
            }
        }
    }
}

/// What records say, looked up when two are similar.
struct Sayings<'a> {
    positions: File,
    path: PathBuf,
    look_up: &'a mut dyn FnMut(Position) -> Result<Record>,
    remembered: HashMap<u32, Saying>,
}

/// What a record says, as far as another may contradict it.
#[derive(Clone)]
struct Saying {
    source: u64,
    modality: Option<Modality>,
    /// Hashes of each attribute and of its values.
    values: Vec<[u64; 2]>,
}

impl Sayings<'_> {
    fn record(&mut self, index: u32) -> Result<Record> {
        let mut bytes = [0; POSITION_BYTES];
        let start = u64::from(index) * POSITION_BYTES as u64;
        self.positions.seek(SeekFrom::Start(start)).map_err(Error::io(&self.path))?;
        self.positions.read_exact(&mut bytes).map_err(Error::io(&self.path))?;
        let number = |range: std::ops::Range<usize>| {
            bytes[range].iter().rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte))
        };
        (self.look_up)(Position { frame: number(0..8), index: number(8..12) as u32 })
    }

    fn saying(&mut self, index: u32) -> Result<Saying> {
        if let Some(saying) = self.remembered.get(&index) {
            return Ok(saying.clone());
        }
        let record = self.record(index)?;
        let values = by_attribute(&record.labels);
        let values = values.iter().map(|(attribute, values)| [hashed(attribute), hashed(values)]).collect();
        let saying = Saying { source: hashed(&record.source), modality: record.modality, values };
        if self.remembered.len() >= MAX_REMEMBERED {
            self.remembered.clear();
        }
        self.remembered.insert(index, saying.clone());
        Ok(saying)
    }

    fn of_one_source(&mut self, first: u32, second: u32) -> Result<bool> {
        Ok(self.saying(first)?.source == self.saying(second)?.source)
    }

    /// Whether two records say different things about one attribute, or differ in modality.
    fn contradict(&mut self, first: u32, second: u32) -> Result<bool> {
        let (left, right) = (self.saying(first)?, self.saying(second)?);
        let other = |attribute: u64| right.values.iter().find(|other| other[0] == attribute);
        let differ = left.values.iter().any(|own| other(own[0]).is_some_and(|other| other[1] != own[1]));
        Ok(differ || left.modality != right.modality)
    }
}

fn hashed(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use gmai_schema::{Department, Label, PixelSource, Provenance, Rgb8, Term};

    fn record(file: &str, patient: &str, diagnosis: &str) -> Record {
        let file_sha256 = hash_of(&[file]);
        let pixels = PixelSource::File(file.into());
        Record {
            labels: vec![Label { attribute: "diagnosis".into(), value: Term::english(diagnosis) }],
            provenance: Provenance { file: file.into(), file_sha256, ..Provenance::default() },
            ..Record::new(file.into(), "busi".into(), Department::Oncology, pixels, patient.into())
        }
    }

    /// The fingerprint of a checkered picture that no other seed gives.
    fn print(seed: usize) -> Fingerprint {
        let grey = |cell: usize| (((cell + 1) * (2 * seed + 3) * 2_654_435_761) >> 13) as u8;
        let pixels = (0..16 * 16).flat_map(|cell| [grey(cell); 3]).collect();
        Fingerprint::of(&Rgb8::new(16, 16, pixels).unwrap())
    }

    /// Compares records with a picture each, as far as there are fingerprints.
    fn compare(records: &[Record], prints: &[Fingerprint], shares: SplitShares, seed: u64) -> Comparison {
        let folder = tempfile::tempdir().unwrap();
        let mut candidates = Candidates::new(folder.path()).unwrap();
        for (index, record) in records.iter().enumerate() {
            let at = Position { frame: index as u64, index: 0 };
            candidates.add(0, record, prints.get(index..=index).unwrap_or_default(), at).unwrap();
        }
        candidates.compare(shares, seed, &mut |at| Ok(records[at.frame as usize].clone())).unwrap()
    }

    fn sides(records: &[Record], prints: &[Fingerprint], shares: SplitShares, seed: u64) -> Vec<Split> {
        compare(records, prints, shares, seed).splits
    }

    #[test]
    fn patients_and_near_duplicates_stay_on_one_side() {
        // Patients 0..200 have two pictures each; the picture of patient 2n+1 resembles that of patient 2n.
        let name = |index: usize| format!("patient-{:03}", index / 2);
        let records: Vec<Record> = (0..400).map(|index| record(&format!("{index}"), &name(index), "a")).collect();
        let prints: Vec<Fingerprint> = (0..400).map(|index| print(index / 4 * 2 + index % 2)).collect();
        let shares = SplitShares { train: 0.5, validation: 0.2, test: 0.3 };
        let splits = sides(&records, &prints, shares, 7);
        assert!(Split::ALL.iter().all(|split| splits.contains(split)));
        for start in (0..400).step_by(4) {
            assert!(splits[start..start + 4].iter().all(|split| *split == splits[start]), "group at {start}");
        }
    }

    #[test]
    fn shares_are_kept_and_a_patient_keeps_its_side_when_data_are_added() {
        let records: Vec<Record> =
            (0..2000).map(|index| record(&format!("{index}"), &format!("p{index}"), "a")).collect();
        let splits = sides(&records, &[], SplitShares::default(), 7);
        let share = |split| splits.iter().filter(|other| **other == split).count() as f64 / 2000.0;
        assert!((share(Split::Test) - 0.15).abs() < 0.03 && (share(Split::Validation) - 0.05).abs() < 0.02);
        assert_eq!(sides(&records[..500], &[], SplitShares::default(), 7), splits[..500]);
        assert_ne!(sides(&records, &[], SplitShares::default(), 8), splits);
    }

    #[test]
    fn one_picture_under_two_labels_is_never_used() {
        let records = [
            record("1", "a", "benign"),
            record("2", "b", "malignant"),
            record("3", "c", "benign"),
            record("4", "d", "benign"),
            record("5", "e", "benign"),
        ];
        let prints = [print(1), print(1), print(1), print(90), print(90)];
        let comparison = compare(&records, &prints, SplitShares::default(), 7);
        let fates: Vec<Fate> = (0..5).map(|index| comparison.fate(index)).collect();
        assert_eq!(fates[0], Fate::Contradicts("2".into()));
        assert_eq!(fates[1], Fate::Contradicts("1".into()));
        assert!(matches!(&fates[2], Fate::Contradicts(_)));
        assert_eq!(fates[3..], [Fate::Keep, Fate::Repeats]);
    }
}
