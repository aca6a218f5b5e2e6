//! Images that are the same, and what is wrong with that: two labels for one picture, one picture on two sides of a split.

use super::dicom::Catalogue;
use super::files::{FileFacts, Holds};
use super::layout::Building;
use super::walk::split_part;
use super::{Contradiction, Leak, Repeats, pairing};
use crate::similarity::{Fingerprint, near_pairs};
use std::collections::{BTreeMap, BTreeSet};

/// Pairs formed of one list of equal files, at most.
const MAX_PAIRS: usize = 50;

/// Compares all images; masks and label maps are alike by nature and left out.
pub(super) fn find(files: &[FileFacts], catalogue: &Catalogue, buildings: &[Building]) -> Repeats {
    let masks: BTreeSet<usize> =
        buildings.iter().flat_map(|building| building.masks.values().flatten().copied()).collect();
    let compared: Vec<usize> = (0..files.len())
        .filter(|index| files[*index].is_image() && !masks.contains(index) && !is_mask(&files[*index]))
        .collect();
    let mut by_key: BTreeMap<&[u8], Vec<usize>> = BTreeMap::new();
    for &index in &compared {
        let file = &files[index];
        let key = file.print().map_or(file.sha256.as_bytes(), |print| print.pixels.as_slice());
        if !key.is_empty() && file.bytes > 0 {
            by_key.entry(key).or_default().push(index);
        }
    }
    let equal: Vec<Vec<usize>> = by_key.into_values().filter(|same| same.len() > 1).collect();
    let prints: Vec<Option<&Fingerprint>> = compared.iter().map(|index| files[*index].print()).collect();
    let alike: Vec<[usize; 2]> = near_pairs(&prints)
        .into_iter()
        .map(|pair| pair.map(|at| compared[at]))
        .filter(|[a, b]| pixels(files, *a) != pixels(files, *b))
        .collect();
    let mut pairs: Vec<(usize, usize, bool)> = Vec::new();
    for same in &equal {
        let all = same.iter().enumerate().flat_map(|(at, a)| same[at + 1..].iter().map(|b| (*a, *b, true)));
        pairs.extend(all.take(MAX_PAIRS));
    }
    pairs.extend(alike.iter().map(|[a, b]| (*a, *b, false)));
    let mut leaks = leaked_pictures(files, buildings, &pairs);
    leaks.extend(leaked_patients(files, catalogue, buildings));
    let path = |index: &usize| files[*index].path.clone();
    let mut equal: Vec<Vec<String>> = equal.iter().map(|same| same.iter().map(path).collect()).collect();
    equal.sort();
    Repeats {
        equal,
        alike: alike.iter().map(|pair| pair.each_ref().map(path)).collect(),
        contradictions: contradictions(files, buildings, &pairs),
        leaks,
    }
}

fn pixels(files: &[FileFacts], index: usize) -> Option<&[u8; 16]> {
    files[index].print().map(|print| &print.pixels)
}

fn is_mask(file: &FileFacts) -> bool {
    match &file.holds {
        Holds::Picture(picture) => picture.mask_like,
        Holds::Volume(_) => pairing::is_label(file) || pairing::is_empty(file),
        _ => false,
    }
}

/// Pairs with different values for one label.
fn contradictions(files: &[FileFacts], buildings: &[Building], pairs: &[(usize, usize, bool)]) -> Vec<Contradiction> {
    let mut labels: BTreeMap<usize, Vec<&String>> = BTreeMap::new();
    for building in buildings {
        building.labels.iter().for_each(|(image, own)| labels.entry(*image).or_default().extend(own));
    }
    let contradiction = |(a, b, is_equal): &(usize, usize, bool)| {
        let (one, other) = (labels.get(a)?, labels.get(b)?);
        let differing = one.iter().find_map(|label| {
            let name = label.split_once(": ")?.0;
            let same_name = |text: &&&String| text.split_once(": ").is_some_and(|(own, _)| own == name);
            let others: Vec<&&String> = other.iter().filter(same_name).collect();
            let agrees = others.is_empty() || others.contains(&label);
            (!agrees).then(|| [(*label).clone(), (*others[0]).clone()])
        })?;
        Some(Contradiction {
            paths: [files[*a].path.clone(), files[*b].path.clone()],
            labels: differing,
            is_equal: *is_equal,
        })
    };
    pairs.iter().filter_map(contradiction).collect()
}

/// The part of an official split that an image belongs to, by its table or its folder.
fn parts(files: &[FileFacts], buildings: &[Building]) -> BTreeMap<usize, &'static str> {
    let mut parts: BTreeMap<usize, &'static str> = BTreeMap::new();
    for building in buildings {
        for image in &building.images {
            let part = building.splits.get(image).copied().or_else(|| split_part(&files[*image].path));
            parts.extend(part.map(|part| (*image, part)));
        }
    }
    parts
}

fn leaked_pictures(files: &[FileFacts], buildings: &[Building], pairs: &[(usize, usize, bool)]) -> Vec<Leak> {
    let parts = parts(files, buildings);
    let leak = |(a, b, is_equal): &(usize, usize, bool)| {
        let (one, other) = (parts.get(a)?, parts.get(b)?);
        let what = if *is_equal { "equal pixels" } else { "nearly equal pixels" };
        (one != other).then(|| Leak {
            parts: [(*one).to_owned(), (*other).to_owned()],
            paths: [files[*a].path.clone(), files[*b].path.clone()],
            what,
        })
    };
    pairs.iter().filter_map(leak).collect()
}

/// Patients with images on several sides, one line each.
fn leaked_patients(files: &[FileFacts], catalogue: &Catalogue, buildings: &[Building]) -> Vec<Leak> {
    let mut leaks = Vec::new();
    for building in buildings {
        let mut sides: BTreeMap<&str, BTreeMap<&'static str, usize>> = BTreeMap::new();
        for image in &building.images {
            let of_header = || {
                let series = files[*image].dicom()?.series?;
                catalogue.series[series].patient.as_deref().filter(|patient| !patient.trim().is_empty())
            };
            let patient = building.patients.get(image).map(String::as_str).or_else(of_header);
            let part = building.splits.get(image).copied().or_else(|| split_part(&files[*image].path));
            if let (Some(patient), Some(part)) = (patient, part) {
                sides.entry(patient).or_default().entry(part).or_insert(*image);
            }
        }
        for own in sides.into_values().filter(|own| own.len() > 1) {
            let mut two = own.into_iter().take(2).map(|(part, image)| (part.to_owned(), files[image].path.clone()));
            if let (Some(one), Some(other)) = (two.next(), two.next()) {
                leaks.push(Leak { parts: [one.0, other.0], paths: [one.1, other.1], what: "same patient" });
            }
        }
    }
    leaks
}
