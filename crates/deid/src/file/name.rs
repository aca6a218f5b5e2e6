//! Names of files and folders: pseudonyms, but for words that say what a folder holds.

use crate::key::Key;
use std::path::{Component, Path, PathBuf};

/// Folder and file words that name kinds of things. Lower case.
const WORDS: &[&str] = &[
    "images",
    "image",
    "img",
    "imgs",
    "masks",
    "mask",
    "labels",
    "label",
    "annotations",
    "annotation",
    "train",
    "training",
    "test",
    "testing",
    "val",
    "valid",
    "validation",
    "data",
    "dataset",
    "reports",
    "report",
    "notes",
    "dicom",
    "nifti",
    "png",
    "jpg",
    "jpeg",
    "ct",
    "mr",
    "mri",
    "us",
    "xray",
    "cr",
    "dx",
    "mg",
    "pt",
    "pet",
    "series",
    "study",
    "studies",
    "axial",
    "coronal",
    "sagittal",
    "left",
    "right",
    "segmentations",
    "segmentation",
    "benign",
    "malignant",
    "normal",
    "readme",
    "metadata",
    "volumes",
    "slices",
    "original",
    "processed",
];

/// The path with pseudonyms in place of all names that are not plain words for kinds of things. Equal names get equal pseudonyms, so that
/// `images/a.png` and `masks/a.png` still belong together; endings stay.
pub fn clean_path(path: &Path, key: &Key) -> PathBuf {
    let parts = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        _ => None,
    });
    let names: Vec<String> = parts.collect();
    let last = names.len().saturating_sub(1);
    let clean = |(index, name): (usize, &String)| {
        if index == last { clean_file_name(name, key) } else { clean_word(name, key) }
    };
    names.iter().enumerate().map(clean).collect()
}

fn clean_file_name(name: &str, key: &Key) -> String {
    let lower = name.to_lowercase();
    let double = [".nii.gz", ".ome.tiff", ".ome.tif"].into_iter().find(|ending| lower.ends_with(ending));
    let ending = double.map(str::len).or_else(|| {
        let dot = name.rfind('.').filter(|dot| *dot > 0)?;
        // Only an ending that is one: `John.Smith` ends in a name.
        let known = ["png", "jpg", "jpeg", "tif", "tiff", "svs", "webp", "dcm", "nii", "hdr", "txt"];
        known.contains(&&lower[dot + 1..]).then_some(name.len() - dot)
    });
    let (stem, ending) = name.split_at(name.len() - ending.unwrap_or(0));
    format!("{}{}", clean_word(stem, key), ending.to_lowercase())
}

fn clean_word(word: &str, key: &Key) -> String {
    // What is a pseudonym already stays: cleaned names may pass here again.
    let is_pseudonym = word.len() == 16
        && word.starts_with('F')
        && word.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
    if is_pseudonym {
        return word.to_string();
    }
    if WORDS.contains(&word.to_lowercase().as_str()) { word.to_lowercase() } else { key.short("path", word, 'F') }
}

/// What a name may give away: a date, a long number, two capitalised words.
pub fn risk_in_name(name: &str) -> Option<&'static str> {
    let digits = name.split(|letter: char| !letter.is_ascii_digit()).map(str::len).max().unwrap_or(0);
    let words: Vec<&str> = name.split(|letter: char| !letter.is_alphabetic()).filter(|word| word.len() > 2).collect();
    let capitalised = words.iter().filter(|word| word.chars().next().is_some_and(char::is_uppercase)).count();
    match () {
        () if digits >= 6 => Some("a long number or a date"),
        () if capitalised >= 2 => Some("words that may be a person's name"),
        () => None,
    }
}
