//! Masks and label maps found by name: beside the image with a longer name, or under the same name in a folder next to it.

use super::files::{FileFacts, Holds, split};
use std::collections::{BTreeMap, BTreeSet};

/// Images of one folder with their masks, all named alike.
pub(super) struct Pairs {
    /// Folder and ending of the images.
    pub image_folder: String,
    pub image_ending: String,
    /// Folder and ending of the masks, and what their names have after the image's.
    pub mask_folder: String,
    pub mask_ending: String,
    pub suffix: String,
    /// Image and mask of each pair, in order of the images.
    pub pairs: Vec<(usize, usize)>,
}

impl Pairs {
    /// The images.
    pub(super) fn images(&self) -> BTreeSet<usize> {
        self.pairs.iter().map(|pair| pair.0).collect()
    }

    /// Text with which all image names end but no mask name does, so that a pattern can tell them apart; empty where it is not needed.
    /// `None` when images and masks of one folder and ending cannot be told apart by the end of their names.
    pub(super) fn telling_end(&self, files: &[FileFacts]) -> Option<String> {
        if self.image_folder != self.mask_folder || self.image_ending != self.mask_ending {
            return Some(String::new());
        }
        let ends: BTreeSet<Option<char>> =
            self.pairs.iter().map(|(image, _)| files[*image].stem().chars().next_back()).collect();
        match (ends.len(), ends.first()) {
            (1, Some(Some(end))) if !self.suffix.ends_with(*end) && !"{}*/".contains(*end) => Some(end.to_string()),
            _ => None,
        }
    }
}

/// Words by which folders and names of masks are known.
const MASK_WORDS: [&str; 7] = ["mask", "label", "seg", "annot", "_gt", "groundtruth", "ground_truth"];

fn says_mask(text: &str) -> bool {
    let text = text.to_lowercase();
    MASK_WORDS.iter().any(|word| text.contains(word)) || text == "gt"
}

/// Where a mask belongs: how names differ, and the image.
type Key = (String, String, String, String, String);

/// Pairs of picture and mask picture among files that are not `taken`.
pub(super) fn pictures(files: &[FileFacts], taken: &BTreeSet<usize>) -> Vec<Pairs> {
    let is_mask = |index: usize| matches!(files[index].holds, Holds::Picture { mask_like: true, .. });
    let is_image = |index: usize| matches!(files[index].holds, Holds::Picture { .. });
    find(files, taken, &is_mask, &is_image, &same_picture_size)
}

/// Pairs of volume and label map among files that are not `taken`.
pub(super) fn volumes(files: &[FileFacts], taken: &BTreeSet<usize>) -> Vec<Pairs> {
    let is_volume = |index: usize| matches!(files[index].holds, Holds::Volume { .. });
    let is_label = |index: usize| is_volume(index) && says_mask(&files[index].path);
    find(files, taken, &is_label, &is_volume, &same_dims)
}

fn same_picture_size(image: &FileFacts, mask: &FileFacts) -> bool {
    match (&image.holds, &mask.holds) {
        (Holds::Picture { width: a, height: b, .. }, Holds::Picture { width: c, height: d, .. }) => (a, b) == (c, d),
        _ => false,
    }
}

fn same_dims(image: &FileFacts, mask: &FileFacts) -> bool {
    matches!((&image.holds, &mask.holds), (Holds::Volume { dims: a }, Holds::Volume { dims: b }) if a == b)
}

fn find(
    files: &[FileFacts],
    taken: &BTreeSet<usize>,
    is_mask: &dyn Fn(usize) -> bool,
    is_image: &dyn Fn(usize) -> bool,
    fits: &dyn Fn(&FileFacts, &FileFacts) -> bool,
) -> Vec<Pairs> {
    let mut by_folder: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    let mut next_to: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (index, file) in files.iter().enumerate().filter(|(index, _)| is_image(*index) && !taken.contains(index)) {
        by_folder.entry(file.folder()).or_default().entry(file.stem()).or_insert(index);
        next_to.entry(split(file.folder()).0).or_default().insert(file.folder());
    }
    let mut found: BTreeMap<Key, Vec<(usize, usize)>> = BTreeMap::new();
    for (mask, file) in files.iter().enumerate().filter(|(index, _)| is_mask(*index) && !taken.contains(index)) {
        let beside = by_folder.get(file.folder()).and_then(|names| shorter_name(names, file.stem()));
        let siblings = next_to.get(split(file.folder()).0).into_iter().flatten();
        let opposite = siblings
            .filter(|folder| **folder != file.folder() && says_mask(split(file.folder()).1))
            .find_map(|folder| by_folder.get(folder)?.get(file.stem()).copied());
        let Some(image) = beside.or(opposite) else { continue };
        if is_mask(image) && beside.is_none() || !fits(&files[image], file) {
            continue;
        }
        let suffix = file.stem()[files[image].stem().len()..].to_owned();
        let owned = |text: &str| text.to_owned();
        let key = (
            owned(files[image].folder()),
            owned(files[image].ending()),
            owned(file.folder()),
            suffix,
            owned(file.ending()),
        );
        found.entry(key).or_default().push((image, mask));
    }
    found
        .into_iter()
        .map(|((image_folder, image_ending, mask_folder, suffix, mask_ending), mut pairs)| {
            pairs.sort_unstable();
            Pairs { image_folder, image_ending, mask_folder, mask_ending, suffix, pairs }
        })
        .collect()
}

/// The longest name of which `name` is a continuation after a mark such as `_`.
fn shorter_name(names: &BTreeMap<&str, usize>, name: &str) -> Option<usize> {
    let cuts = name.char_indices().rev().filter(|(_, letter)| ['_', '-', '.', ' '].contains(letter));
    cuts.filter_map(|(position, _)| names.get(&name[..position]).copied()).next()
}

/// Folders `<root>/<case>/images` and `<root>/<case>/masks` in which masks are named after instances, not after images.
pub(super) struct InstanceFolders {
    pub root: String,
    /// Names of the two folders.
    pub image_folder: String,
    pub mask_folder: String,
    pub images: BTreeSet<usize>,
    pub masks: BTreeSet<usize>,
}

/// Instance masks among pictures that are not `taken`.
pub(super) fn instance_folders(files: &[FileFacts], taken: &BTreeSet<usize>) -> Vec<InstanceFolders> {
    let mut cases: BTreeMap<&str, BTreeMap<&str, Vec<usize>>> = BTreeMap::new();
    for (index, file) in files.iter().enumerate().filter(|(index, file)| file.is_picture() && !taken.contains(index)) {
        let (case, leaf) = split(file.folder());
        if !case.is_empty() {
            cases.entry(case).or_default().entry(leaf).or_default().push(index);
        }
    }
    let mut found: BTreeMap<(String, String, String), InstanceFolders> = BTreeMap::new();
    let mut num_cases: BTreeMap<(String, String, String), usize> = BTreeMap::new();
    for (case, leaves) in &cases {
        let mask_leaf = leaves.keys().find(|leaf| says_mask(leaf));
        let image_leaf = leaves.keys().find(|leaf| leaf.to_lowercase().starts_with("im"));
        let (Some(mask_leaf), Some(image_leaf)) = (mask_leaf, image_leaf) else { continue };
        let (masks, images) = (&leaves[mask_leaf], &leaves[image_leaf]);
        let stems: BTreeSet<&str> = images.iter().map(|index| files[*index].stem()).collect();
        if leaves.len() != 2 || masks.iter().any(|index| stems.contains(files[*index].stem())) {
            continue;
        }
        let root = split(case).0.to_owned();
        let key = (root.clone(), (*image_leaf).to_owned(), (*mask_leaf).to_owned());
        *num_cases.entry(key.clone()).or_default() += 1;
        let all = found.entry(key).or_insert_with(|| InstanceFolders {
            root,
            image_folder: (*image_leaf).to_owned(),
            mask_folder: (*mask_leaf).to_owned(),
            images: BTreeSet::new(),
            masks: BTreeSet::new(),
        });
        all.images.extend(images);
        all.masks.extend(masks);
    }
    found.retain(|key, _| num_cases[key] > 1); // One folder of masks is no layout.
    found.into_values().collect()
}
