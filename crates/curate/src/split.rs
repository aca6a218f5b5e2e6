//! Which records stay together, which are duplicates, and on which side of the split each group falls.
//!
//! Pictures are compared twice: records of equal or nearly equal ones stay on one side, and those that contradict each other are left out.

use crate::config::SplitShares;
use crate::inputs::hash_of;
use crate::labels::by_attribute;
use crate::similarity::{Fingerprint, near_pairs};
use gmai_schema::{Record, Split};
use std::collections::BTreeMap;

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
pub(crate) struct Comparison {
    /// Side of each record.
    pub(crate) splits: Vec<Split>,
    /// What becomes of each record.
    pub(crate) fates: Vec<Fate>,
    /// Pairs of pictures that are equal or nearly so.
    pub(crate) num_similar: usize,
}

/// Compares all records of a dataset.
pub(crate) fn compare(candidates: &[Candidate], shares: SplitShares, seed: u64) -> Comparison {
    let (mut prints, mut owners): (Vec<Option<&Fingerprint>>, Vec<usize>) = (Vec::new(), Vec::new());
    for (index, candidate) in candidates.iter().enumerate() {
        prints.extend(candidate.fingerprints.iter().map(Some));
        owners.resize(prints.len(), index);
    }
    let pairs = near_pairs(&prints).into_iter().map(|pair| pair.map(|print| owners[print]));
    let similar: Vec<[usize; 2]> = pairs.filter(|[first, second]| first != second).collect();
    Comparison {
        splits: assign(candidates, &similar, shares, seed),
        fates: duplicates(candidates, &similar),
        num_similar: similar.len(),
    }
}

/// A record with what is needed to compare it.
pub(crate) struct Candidate<'a> {
    pub(crate) record: &'a Record,
    /// One per picture. None for slices of volumes: neighbouring ones resemble each other, and blank ones those of strangers.
    pub(crate) fingerprints: &'a [Fingerprint],
}

impl<'a> Candidate<'a> {
    /// The fingerprint of a record's only picture: what several show together is not repeated by one of them.
    fn only(&self) -> Option<&'a Fingerprint> {
        match self.fingerprints {
            [only] => Some(only),
            _ => None,
        }
    }
}

/// Sets of indices that are joined step by step.
struct Groups {
    parent: Vec<usize>,
}

impl Groups {
    fn find(&mut self, mut index: usize) -> usize {
        while self.parent[index] != index {
            self.parent[index] = self.parent[self.parent[index]];
            index = self.parent[index];
        }
        index
    }

    /// The smaller index stays the representative: the result does not depend on the order of joining.
    fn join(&mut self, first: usize, second: usize) {
        let (first, second) = (self.find(first), self.find(second));
        self.parent[first.max(second)] = first.min(second);
    }

    /// Joins all indices that have the same key.
    fn join_equal<'a>(&mut self, keys: impl Iterator<Item = (usize, &'a str)>) {
        let mut first_with: BTreeMap<&str, usize> = BTreeMap::new();
        for (index, key) in keys {
            let first = *first_with.entry(key).or_insert(index);
            self.join(first, index);
        }
    }
}

/// The split of each record: by patient, joined with every record of the same file, the same pixels or nearly the same picture.
///
/// A group falls by the hash of its smallest patient pseudonym, so that a patient stays on its side when data are added.
fn assign(candidates: &[Candidate], similar: &[[usize; 2]], shares: SplitShares, seed: u64) -> Vec<Split> {
    let mut groups = Groups { parent: (0..candidates.len()).collect() };
    let enumerate = || candidates.iter().enumerate();
    groups.join_equal(enumerate().map(|(index, candidate)| (index, candidate.record.patient.as_str())));
    groups.join_equal(enumerate().map(|(index, candidate)| (index, candidate.record.provenance.file_sha256.as_str())));
    for [first, second] in similar {
        groups.join(*first, *second);
    }
    let mut names: BTreeMap<usize, &str> = BTreeMap::new();
    for (index, candidate) in enumerate() {
        let name = names.entry(groups.find(index)).or_insert(&candidate.record.patient);
        *name = (*name).min(&candidate.record.patient);
    }
    (0..candidates.len()).map(|index| side(names[&groups.find(index)], shares, seed)).collect()
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

/// What becomes of each record. Only records of one source are compared, since sources ask different things about a picture.
///
/// When records of similar pictures contradict each other, nobody knows which is right, and none of that picture is used.
fn duplicates(candidates: &[Candidate], similar: &[[usize; 2]]) -> Vec<Fate> {
    let mut same: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for (index, candidate) in candidates.iter().enumerate() {
        if let Some(print) = candidate.only() {
            same.entry((&candidate.record.source, &print.pixels)).or_default().push(index);
        }
    }
    let mut fates = vec![Fate::Keep; candidates.len()];
    for copy in same.values().flat_map(|members| &members[1..]) {
        fates[*copy] = Fate::Repeats;
    }
    for [first, second] in similar {
        let (left, right) = (candidates[*first].record, candidates[*second].record);
        if left.source != right.source || !contradict(left, right) {
            continue;
        }
        for (index, this, other) in [(first, left, right), (second, right, left)] {
            let Some(print) = candidates[*index].only() else { continue };
            for copy in &same[&(other.source.as_str(), print.pixels.as_str())] {
                if !matches!(fates[*copy], Fate::Contradicts(_)) {
                    // A copy may agree with `other`; then `this` is what it contradicts.
                    let opponent = if contradict(candidates[*copy].record, other) { other } else { this };
                    fates[*copy] = Fate::Contradicts(opponent.provenance.file.clone());
                }
            }
        }
    }
    fates
}

/// Whether two records say different things about one attribute, or differ in modality.
fn contradict(first: &Record, second: &Record) -> bool {
    let (left, right) = (by_attribute(&first.labels), by_attribute(&second.labels));
    let differ = left.iter().any(|(attribute, values)| right.get(attribute).is_some_and(|other| other != values));
    differ || first.modality != second.modality
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

    fn sides(candidates: &[Candidate], shares: SplitShares, seed: u64) -> Vec<Split> {
        compare(candidates, shares, seed).splits
    }

    fn candidates<'a>(records: &'a [Record], prints: &'a [Fingerprint]) -> Vec<Candidate<'a>> {
        let pair = |(record, print)| Candidate { record, fingerprints: std::slice::from_ref(print) };
        records.iter().zip(prints).map(pair).collect()
    }

    #[test]
    fn patients_and_near_duplicates_stay_on_one_side() {
        // Patients 0..200 have two pictures each; the picture of patient 2n+1 resembles that of patient 2n.
        let name = |index: usize| format!("patient-{:03}", index / 2);
        let records: Vec<Record> = (0..400).map(|index| record(&format!("{index}"), &name(index), "a")).collect();
        let prints: Vec<Fingerprint> = (0..400).map(|index| print(index / 4 * 2 + index % 2)).collect();
        let shares = SplitShares { train: 0.5, validation: 0.2, test: 0.3 };
        let splits = sides(&candidates(&records, &prints), shares, 7);
        assert!(Split::ALL.iter().all(|split| splits.contains(split)));
        for start in (0..400).step_by(4) {
            assert!(splits[start..start + 4].iter().all(|split| *split == splits[start]), "group at {start}");
        }
    }

    #[test]
    fn shares_are_kept_and_a_patient_keeps_its_side_when_data_are_added() {
        let records: Vec<Record> =
            (0..2000).map(|index| record(&format!("{index}"), &format!("p{index}"), "a")).collect();
        let plain = |record| Candidate { record, fingerprints: &[] };
        let all: Vec<Candidate> = records.iter().map(plain).collect();
        let splits = sides(&all, SplitShares::default(), 7);
        let share = |split| splits.iter().filter(|other| **other == split).count() as f64 / 2000.0;
        assert!((share(Split::Test) - 0.15).abs() < 0.03 && (share(Split::Validation) - 0.05).abs() < 0.02);
        assert_eq!(sides(&all[..500], SplitShares::default(), 7), splits[..500]);
        assert_ne!(sides(&all, SplitShares::default(), 8), splits);
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
        let fates = compare(&candidates(&records, &prints), SplitShares::default(), 7).fates;
        assert_eq!(fates[0], Fate::Contradicts("2".into()));
        assert_eq!(fates[1], Fate::Contradicts("1".into()));
        assert!(matches!(&fates[2], Fate::Contradicts(_)));
        assert_eq!(fates[3..], [Fate::Keep, Fate::Repeats]);
    }
}
