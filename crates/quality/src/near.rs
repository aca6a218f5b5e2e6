//! Finds copies among many pictures without comparing each with each.

use crate::fingerprint::{Fingerprint, Likeness, Pose};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::HashMap;

/// Bits of the 64 in which hashes of copies may differ. Ten of 144 was the distance at which known copies in two open sets are found.
const MAX_HASH_DISTANCE: u32 = 7;

/// Bits of one part of the hash. With four parts and seven wrong bits, one part has at most one wrong bit.
const PART_BITS: u32 = 16;

/// Correlation of thumbnails from which pictures count as copies.
const MIN_CORRELATION: f32 = 0.985;

/// Mean difference of thumbnails, in grey levels, up to which a copy counts as unchanged in brightness.
const MAX_DIFFERENCE: f32 = 4.0;

/// How one picture follows from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// Every pixel is equal.
    Equal,
    /// Recompressed or resized.
    Near,
    /// The same shapes in other brightness or colours.
    Recoloured,
    /// Flipped, or turned by quarters.
    Turned,
    /// Augmented copies of one picture by their names, as Roboflow writes them: `NAME.rf.HASH.jpg`.
    Augmented,
}

impl Relation {
    /// The relation in words.
    pub fn words(self) -> &'static str {
        match self {
            Relation::Equal => "equal pixels",
            Relation::Near => "nearly equal",
            Relation::Recoloured => "recoloured",
            Relation::Turned => "turned or flipped",
            Relation::Augmented => "augmented copies by name",
        }
    }
}

/// Two pictures, by index, of which one is a copy of the other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// Index of the first.
    pub first: usize,
    /// Index of the second.
    pub second: usize,
    /// How it follows from the first.
    pub relation: Relation,
    /// The pose of the first that gives the second.
    pub pose: Pose,
    /// Correlation of the thumbnails.
    pub correlation: f32,
}

/// Fingerprints that can be looked up.
pub struct Index<'a> {
    prints: Vec<&'a Fingerprint>,
    /// Which of them are compared by more than their pixels.
    by_look: Vec<bool>,
    /// First picture with these pixels.
    equal: HashMap<[u8; 32], Vec<usize>>,
    /// Representatives of equal pictures by each part of their hash.
    parts: Vec<HashMap<u16, Vec<usize>>>,
}

fn part(hash: u64, index: usize) -> u16 {
    (hash >> (PART_BITS * index as u32)) as u16
}

impl<'a> Index<'a> {
    /// An index over `prints`; only those that `by_look` names are compared by more than their pixels.
    pub fn new(prints: Vec<&'a Fingerprint>, by_look: impl Fn(usize) -> bool) -> Index<'a> {
        let by_look: Vec<bool> = (0..prints.len()).map(by_look).collect();
        let mut equal: HashMap<[u8; 32], Vec<usize>> = HashMap::new();
        let mut parts = vec![HashMap::<u16, Vec<usize>>::new(); 4];
        for (index, print) in prints.iter().enumerate() {
            let same = equal.entry(print.pixels).or_default();
            same.push(index);
            if same.len() == 1 && print.is_telling() && by_look[index] {
                for (number, part_map) in parts.iter_mut().enumerate() {
                    part_map.entry(part(print.hash, number)).or_default().push(index);
                }
            }
        }
        Index { prints, by_look, equal, parts }
    }

    /// Pictures that look like `print` in any pose, with the best-fitting pose.
    fn alike(&self, print: &Fingerprint) -> Vec<(usize, Likeness)> {
        let mut best: HashMap<usize, Likeness> = HashMap::new();
        if !print.is_telling() {
            return Vec::new();
        }
        for pose in Pose::ALL {
            let hash = print.hash_in(pose);
            for (number, map) in self.parts.iter().enumerate() {
                let own = part(hash, number);
                let probes = std::iter::once(own).chain((0..PART_BITS).map(|bit| own ^ (1 << bit)));
                for index in probes.filter_map(|key| map.get(&key)).flatten() {
                    let other = self.prints[*index];
                    if (hash ^ other.hash).count_ones() > MAX_HASH_DISTANCE {
                        continue;
                    }
                    let likeness = print.likeness(pose, other);
                    // A symmetric picture fits in several poses: upright wins when it fits at all.
                    let fits = likeness.correlation >= MIN_CORRELATION;
                    let better = |old: &Likeness| old.pose != Pose::Upright && likeness.correlation > old.correlation;
                    if fits && best.get(index).is_none_or(better) {
                        best.insert(*index, likeness);
                    }
                }
            }
        }
        let mut found: Vec<(usize, Likeness)> = best.into_iter().collect();
        found.sort_by_key(|(index, _)| *index);
        found
    }

    /// Every picture of the index that is a copy of `print`.
    pub fn copies(&self, print: &Fingerprint) -> Vec<(usize, Relation, Pose, f32)> {
        let equal = self.equal.get(&print.pixels).into_iter().flatten();
        let mut found: Vec<_> = equal.map(|index| (*index, Relation::Equal, Pose::Upright, 1.0)).collect();
        for (index, likeness) in self.alike(print) {
            if self.prints[index].pixels == print.pixels {
                continue;
            }
            let relation = match likeness.pose {
                Pose::Upright if likeness.difference <= MAX_DIFFERENCE => Relation::Near,
                Pose::Upright => Relation::Recoloured,
                _ => Relation::Turned,
            };
            // All that have the pixels of the representative are copies, too.
            for same in &self.equal[&self.prints[index].pixels] {
                found.push((*same, relation, likeness.pose, likeness.correlation));
            }
        }
        found
    }

    /// Every pair of copies within the index, each once.
    pub fn pairs(&self) -> Vec<Pair> {
        let of_picture = |first: usize| {
            let copies = self.copies(self.prints[first]);
            let is_compared = move |relation: Relation, second: usize| {
                relation == Relation::Equal || (self.by_look[first] && self.by_look[second])
            };
            let copies = copies.into_iter().filter(move |(second, relation, ..)| is_compared(*relation, *second));
            let later = copies.filter(move |(second, ..)| *second > first);
            later.map(move |(second, relation, pose, correlation)| Pair { first, second, relation, pose, correlation })
        };
        let mut pairs: Vec<Pair> = (0..self.prints.len()).into_par_iter().flat_map_iter(of_picture).collect();
        pairs.sort_by_key(|pair| (pair.first, pair.second));
        pairs
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::fingerprint::tests::picture;
    use gmai_schema::Rgb8;

    fn pairs(pictures: &[Rgb8]) -> Vec<(usize, usize, Relation)> {
        let prints: Vec<Fingerprint> = pictures.iter().map(Fingerprint::of).collect();
        let index = Index::new(prints.iter().collect(), |_| true);
        index.pairs().iter().map(|pair| (pair.first, pair.second, pair.relation)).collect()
    }

    fn changed(picture: &Rgb8, change: impl Fn(u8) -> u8) -> Rgb8 {
        let pixels = picture.pixels().iter().map(|byte| change(*byte)).collect();
        Rgb8::new(picture.width(), picture.height(), pixels).unwrap()
    }

    fn mirrored(picture: &Rgb8) -> Rgb8 {
        let (width, height) = (picture.width(), picture.height());
        let pixels = (0..height).flat_map(|y| (0..width).flat_map(move |x| picture.pixel(width - 1 - x, y))).collect();
        Rgb8::new(width, height, pixels).unwrap()
    }

    #[test]
    fn every_kind_of_copy_is_named() {
        let original = picture(1, 128, 128);
        let darker = changed(&original, |byte| byte / 2 + 10);
        let all =
            [original.clone(), picture(2, 128, 128), original.clone(), picture(1, 96, 96), darker, mirrored(&original)];
        let found = pairs(&all);
        let of_first: Vec<_> = found.iter().filter(|pair| pair.0 == 0).map(|pair| (pair.1, pair.2)).collect();
        let expected = [(2, Relation::Equal), (3, Relation::Near), (4, Relation::Recoloured), (5, Relation::Turned)];
        assert_eq!(of_first, expected);
        assert!(found.iter().all(|pair| pair.0 != 1 && pair.1 != 1), "{found:?}");
    }

    #[test]
    fn blank_pictures_are_copies_only_when_they_are_equal() {
        let flat = |grey: u8| Rgb8::filled(20, 20, [grey; 3]);
        assert_eq!(pairs(&[flat(0), flat(100), flat(200), flat(100)]), [(1, 3, Relation::Equal)]);
    }
}
