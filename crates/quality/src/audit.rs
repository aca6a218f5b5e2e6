//! What is wrong with the pictures of a dataset: copies, contradictions, leaks, oddities, imbalance.

use crate::benchmark::Benchmark;
use crate::fingerprint::Pose;
use crate::flags::Flag;
use crate::near::{Index, Pair, Relation};
use crate::pictures::{Collection, Pictured};
use gmai_schema::Split;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Pairs that are listed; the rest is counted.
pub const MAX_LISTED: usize = 10_000;

/// A picture as a finding names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Path, or key in the dataset.
    pub name: String,
    /// The file that it was made of.
    pub origin: String,
    /// Source, or folder.
    pub group: String,
    /// Side of the split.
    pub split: Option<Split>,
    /// Index in the collection.
    #[serde(skip)]
    pub index: usize,
}

/// Two copies of one picture.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Copies {
    /// How the second follows from the first.
    pub relation: Relation,
    /// What was done to the first.
    pub pose: Pose,
    /// Correlation of the thumbnails, 1 for equal pixels.
    pub correlation: f32,
    /// One picture.
    pub first: Place,
    /// The other.
    pub second: Place,
    /// Whether they lie on different sides of the split.
    pub is_leak: bool,
    /// The attribute about which they say different things.
    pub contradicts: Option<String>,
}

/// A picture that is in a benchmark, too.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BenchmarkHit {
    /// The picture.
    pub picture: Place,
    /// Its name in the benchmark.
    pub benchmark: String,
    /// How the picture follows from the benchmark's.
    pub relation: Relation,
    /// What was done to it.
    pub pose: Pose,
    /// Correlation of the thumbnails.
    pub correlation: f32,
}

/// How often each value of an attribute occurs in a source.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Balance {
    /// Source, or the folder that was looked at.
    pub group: String,
    /// The attribute.
    pub attribute: String,
    /// Pictures, by value.
    pub values: BTreeMap<String, u64>,
    /// How many times the most frequent value occurs for each time of the rarest.
    pub ratio: f64,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Audit {
    /// Pictures that were looked at.
    pub pictures: u64,
    /// Pictures that cannot be read, with the reason.
    pub unreadable: Vec<String>,
    /// Pairs of copies, by relation.
    pub copies: BTreeMap<Relation, u64>,
    /// Groups of pictures that are copies of each other.
    pub groups_of_copies: u64,
    /// Pairs on different sides of the split, by relation.
    pub leaks: BTreeMap<Relation, u64>,
    /// Those of equal pixels, without slices of volumes: blank slices of strangers are equal, too.
    pub certain_leaks: u64,
    /// Pairs that say different things about one picture.
    pub contradictions: u64,
    /// Pairs of one patient on one side of the split: follow-ups and repeats. They are counted among the copies, not listed.
    pub same_patient: u64,
    /// The pairs: leaks first, then contradictions.
    pub listed: Vec<Copies>,
    /// Pictures of the benchmark that are in the dataset.
    pub in_benchmark: Vec<BenchmarkHit>,
    /// Odd pictures, by what is odd.
    pub flags: BTreeMap<Flag, Vec<Place>>,
    /// Balance of every attribute of every source.
    pub balance: Vec<Balance>,
}

fn place(pictures: &[Pictured], index: usize) -> Place {
    let Pictured { name, origin, group, split, .. } = &pictures[index];
    Place { name: name.clone(), origin: origin.clone(), group: group.clone(), split: *split, index }
}

/// The attribute about which two pictures of one source say different things.
fn contradiction(first: &Pictured, second: &Pictured) -> Option<String> {
    let is_folder = first.labels.contains_key("folder");
    if !is_folder && first.group != second.group {
        return None; // Sources ask different things about a picture.
    }
    let differs = |(attribute, values): (&String, &Vec<String>)| {
        second.labels.get(attribute).is_some_and(|other| other != values)
    };
    first.labels.iter().find(|entry| differs(*entry)).map(|(attribute, _)| attribute.clone())
}

/// Looks for everything that can be found without a person.
pub fn audit(collection: &Collection, benchmark: Option<&Benchmark>) -> Audit {
    let pictures = &collection.pictures;
    let index = Index::new(pictures.iter().map(|picture| &picture.print).collect(), |index| pictures[index].by_look);
    let mut audit = Audit {
        pictures: pictures.len() as u64,
        unreadable: collection
            .unreadable
            .iter()
            .map(|unreadable| format!("{}: {}", unreadable.name, unreadable.reason))
            .collect(),
        balance: balance(pictures),
        ..Audit::default()
    };
    let mut pairs = index.pairs();
    add_augmented(pictures, &mut pairs);
    audit.groups_of_copies = groups(pictures.len(), &pairs);
    let mut listed: Vec<Copies> = Vec::new();
    for pair in pairs {
        let (first, second) = (&pictures[pair.first], &pictures[pair.second]);
        let is_leak = first.split.zip(second.split).is_some_and(|(one, other)| one != other);
        let contradicts = contradiction(first, second);
        *audit.copies.entry(pair.relation).or_default() += 1;
        if is_leak {
            *audit.leaks.entry(pair.relation).or_default() += 1;
            let is_certain = pair.relation == Relation::Equal && first.by_look && second.by_look;
            audit.certain_leaks += u64::from(is_certain);
        }
        audit.contradictions += u64::from(contradicts.is_some());
        if !is_leak && contradicts.is_none() && first.patient.is_some() && first.patient == second.patient {
            audit.same_patient += 1;
            continue;
        }
        let (first, second) = (place(pictures, pair.first), place(pictures, pair.second));
        let Pair { relation, pose, correlation, .. } = pair;
        listed.push(Copies { relation, pose, correlation, first, second, is_leak, contradicts });
    }
    listed.sort_by_key(|pair| {
        (!pair.is_leak, pair.contradicts.is_none(), pair.relation, pair.first.index, pair.second.index)
    });
    listed.truncate(MAX_LISTED);
    audit.listed = listed;
    for (number, picture) in pictures.iter().enumerate() {
        for flag in &picture.flags {
            audit.flags.entry(*flag).or_default().push(place(pictures, number));
        }
    }
    if let Some(benchmark) = benchmark {
        audit.in_benchmark = hits(pictures, benchmark);
    }
    audit
}

/// The picture that an augmented copy was made of, from Roboflow's names: `NAME.rf.<32 hexadecimal digits>.jpg`.
fn augmented_from(origin: &str) -> Option<&str> {
    let file = origin.rsplit('/').next()?;
    let (name, rest) = file.split_once(".rf.")?;
    let hash = rest.split('.').next()?;
    (hash.len() == 32 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(name)
}

/// Adds the pairs that names tell: copies that were turned by odd angles, cropped or sheared look like no copy.
fn add_augmented(pictures: &[Pictured], pairs: &mut Vec<Pair>) {
    let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, picture) in pictures.iter().enumerate() {
        if let Some(name) = augmented_from(&picture.origin) {
            by_name.entry(name).or_default().push(index);
        }
    }
    let known: BTreeSet<(usize, usize)> = pairs.iter().map(|pair| (pair.first, pair.second)).collect();
    for same in by_name.into_values() {
        for (place, first) in same.iter().enumerate() {
            for second in &same[place + 1..] {
                if known.contains(&(*first, *second)) || pictures[*first].name == pictures[*second].name {
                    continue;
                }
                let likeness = |pose| pictures[*first].print.likeness(pose, &pictures[*second].print).correlation;
                let correlation = Pose::ALL.into_iter().map(likeness).fold(-1.0, f32::max);
                let (first, second, relation, pose) = (*first, *second, Relation::Augmented, Pose::Upright);
                pairs.push(Pair { first, second, relation, pose, correlation });
            }
        }
    }
}

/// Groups of more than one picture that pairs connect.
fn groups(count: usize, pairs: &[Pair]) -> u64 {
    let mut parent: Vec<usize> = (0..count).collect();
    fn find(parent: &mut [usize], mut index: usize) -> usize {
        while parent[index] != index {
            parent[index] = parent[parent[index]];
            index = parent[index];
        }
        index
    }
    for pair in pairs {
        let (first, second) = (find(&mut parent, pair.first), find(&mut parent, pair.second));
        parent[first.max(second)] = first.min(second);
    }
    let members: BTreeSet<usize> = pairs.iter().flat_map(|pair| [pair.first, pair.second]).collect();
    let roots: BTreeSet<usize> = members.into_iter().map(|index| find(&mut parent, index)).collect();
    roots.len() as u64
}

/// Pictures of the dataset that a benchmark has, too; each with its closest.
fn hits(pictures: &[Pictured], benchmark: &Benchmark) -> Vec<BenchmarkHit> {
    let index = Index::new(benchmark.prints.iter().collect(), |_| true);
    let hit = |(number, picture): (usize, &Pictured)| {
        let pixels = picture.print.pixels_hex();
        let by_hash = picture.hashes.iter().chain([&pixels]).find_map(|hash| benchmark.hashes.get(hash));
        let by_hash = by_hash.map(|name| (name, Relation::Equal, Pose::Upright, 1.0));
        let copies = index.copies(&picture.print).into_iter();
        let copies = copies.filter(|(_, relation, ..)| picture.by_look || *relation == Relation::Equal);
        let closest = copies.min_by(|one, other| one.1.cmp(&other.1).then(other.3.total_cmp(&one.3)));
        let closest =
            closest.map(|(name, relation, pose, correlation)| (&benchmark.names[name], relation, pose, correlation));
        let (name, relation, pose, correlation) = by_hash.or(closest)?;
        let picture = place(pictures, number);
        Some(BenchmarkHit { picture, benchmark: name.clone(), relation, pose, correlation })
    };
    pictures.iter().enumerate().filter_map(hit).collect()
}

fn balance(pictures: &[Pictured]) -> Vec<Balance> {
    let mut counts: BTreeMap<(String, String), BTreeMap<String, u64>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for picture in pictures {
        for (attribute, values) in &picture.labels {
            let group = if attribute == "folder" { String::new() } else { picture.group.clone() };
            if !seen.insert((group.clone(), attribute.clone(), picture.name.clone())) {
                continue; // A picture that lies in two splits counts once.
            }
            let counts = counts.entry((group, attribute.clone())).or_default();
            for value in values {
                *counts.entry(value.clone()).or_default() += 1;
            }
        }
    }
    let line = |((group, attribute), values): ((String, String), BTreeMap<String, u64>)| {
        let (most, least) = (values.values().max().copied().unwrap_or(0), values.values().min().copied().unwrap_or(0));
        Balance { group, attribute, values, ratio: most as f64 / least.max(1) as f64 }
    };
    counts.into_iter().map(line).collect()
}

impl Audit {
    /// Pictures that a benchmark has with equal pixels.
    pub fn certain_hits(&self) -> u64 {
        self.in_benchmark.iter().filter(|hit| hit.relation == Relation::Equal).count() as u64
    }

    /// What was found, as lines for people.
    pub fn lines(&self, most: usize) -> Vec<String> {
        let mut lines = vec![format!("{} pictures looked at, {} cannot be read", self.pictures, self.unreadable.len())];
        lines.extend(self.unreadable.iter().take(most).map(|line| format!("  {line}")));
        let counts = |map: &BTreeMap<Relation, u64>| {
            let parts: Vec<String> =
                map.iter().map(|(relation, count)| format!("{count} {}", relation.words())).collect();
            if parts.is_empty() { "none".to_string() } else { parts.join(", ") }
        };
        lines.push(format!(
            "pairs of copies: {} (in {} groups; {} pairs are one patient's)",
            counts(&self.copies),
            self.groups_of_copies,
            self.same_patient
        ));
        lines.push(format!("across splits: {}", counts(&self.leaks)));
        lines.push(format!("the same picture with different labels: {}", self.contradictions));
        for pair in self.listed.iter().take(most) {
            lines.push(format!("  {}", pair.line()));
        }
        if self.listed.len() > most {
            lines.push(format!("  and {} more pairs: see --json or --sheet", self.listed.len() - most));
        }
        if !self.in_benchmark.is_empty() {
            lines.push(format!("in the benchmark: {} pictures", self.in_benchmark.len()));
        }
        for hit in self.in_benchmark.iter().take(most) {
            let place = &hit.picture;
            lines.push(format!(
                "  {} {} = {} ({}, {})",
                place.group,
                place.origin,
                hit.benchmark,
                hit.relation.words(),
                hit.pose.words()
            ));
        }
        for (flag, places) in &self.flags {
            // Slices of one volume have one name.
            let names: BTreeSet<&str> = places.iter().map(|place| place.origin.as_str()).collect();
            let names: Vec<&str> = names.into_iter().take(3).collect();
            lines.push(format!("{}: {} pictures, e.g. {}", flag.words(), places.len(), names.join(", ")));
        }
        lines
    }
}

impl Copies {
    /// The pair as a line for people.
    pub fn line(&self) -> String {
        let side = |place: &Place| place.split.map_or_else(String::new, |split| format!(" [{}]", split.key()));
        let what = match self.relation {
            Relation::Turned => self.pose.words().to_string(),
            relation => relation.words().to_string(),
        };
        let mut line = format!(
            "{} {}{} ~ {} {}{}: {what}, correlation {:.3}",
            self.first.group,
            self.first.origin,
            side(&self.first),
            self.second.group,
            self.second.origin,
            side(&self.second),
            self.correlation
        );
        if self.is_leak {
            line += "; ACROSS SPLITS";
        }
        if let Some(attribute) = &self.contradicts {
            line += &format!("; DIFFERENT {attribute}");
        }
        line
    }
}
