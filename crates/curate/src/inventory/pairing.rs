//! Masks and label maps found by name: beside the image with a longer name, or under the same name in a folder next to it.

use super::files::{FileFacts, split};
use super::mask_like::Likeness;
use std::collections::{BTreeMap, BTreeSet};

/// Images of one folder with their masks, all named alike.
pub(super) struct Pairs {
    /// Folder and ending of the images, and what their names have after the part that they share with the mask's.
    pub image_folder: String,
    pub image_ending: String,
    pub image_suffix: String,
    /// The same of the masks.
    pub mask_folder: String,
    pub mask_ending: String,
    pub suffix: String,
    /// Image and mask of each pair, in order of the images.
    pub pairs: Vec<(usize, usize)>,
}

/// Lengths of names written out one by one in patterns.
const MAX_LENGTHS: usize = 12;

impl Pairs {
    /// The images.
    pub(super) fn images(&self) -> BTreeSet<usize> {
        self.pairs.iter().map(|pair| pair.0).collect()
    }

    /// Names of images without their ending, as patterns that match no mask of the same folder; `None` when there are none.
    /// The second text is what follows the placeholder in the names of masks, before their suffix.
    pub(super) fn image_patterns(&self, files: &[FileFacts]) -> Option<(Vec<String>, String)> {
        let suffix = &self.image_suffix;
        if self.image_folder != self.mask_folder || self.image_ending != self.mask_ending || !suffix.is_empty() {
            return Some((vec![format!("{{stem}}{suffix}")], String::new()));
        }
        let ends: BTreeSet<Option<char>> =
            self.pairs.iter().map(|(image, _)| files[*image].stem().chars().next_back()).collect();
        if let (1, Some(Some(end))) = (ends.len(), ends.first())
            && !self.suffix.ends_with(*end)
            && !"{}*/".contains(*end)
        {
            return Some((vec![format!("{{stem}}{end}")], end.to_string()));
        }
        let lengths = |indices: &mut dyn Iterator<Item = usize>| -> BTreeSet<usize> {
            indices.map(|index| files[index].stem().chars().count()).collect()
        };
        let of_images = lengths(&mut self.pairs.iter().map(|pair| pair.0));
        let of_masks = lengths(&mut self.pairs.iter().map(|pair| pair.1));
        let tells = of_images.len() <= MAX_LENGTHS && of_images.is_disjoint(&of_masks);
        tells.then(|| (of_images.iter().map(|length| format!("{{stem:{length}}}")).collect(), String::new()))
    }
}

/// Words by which folders and names of masks are known.
const MASK_WORDS: [&str; 7] = ["mask", "label", "seg", "annot", "_gt", "groundtruth", "ground_truth"];

/// Whether a name or path speaks of masks.
pub(super) fn says_mask(text: &str) -> bool {
    let text = text.to_lowercase();
    MASK_WORDS.iter().any(|word| text.contains(word)) || text == "gt"
}

/// Where a mask belongs: how names differ.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    image_folder: String,
    image_ending: String,
    image_suffix: String,
    mask_folder: String,
    suffix: String,
    mask_ending: String,
}

/// Which files are paired.
struct Rule<'a> {
    is_mask: &'a dyn Fn(usize) -> bool,
    is_image: &'a dyn Fn(usize) -> bool,
    fits: &'a dyn Fn(&FileFacts, &FileFacts) -> bool,
}

/// Pairs of picture and mask picture among files that are not `taken`.
pub(super) fn pictures(files: &[FileFacts], taken: &BTreeSet<usize>) -> Vec<Pairs> {
    let is_mask = |index: usize| files[index].picture().is_some_and(|picture| picture.mask_like);
    let is_image = |index: usize| files[index].is_picture();
    find(files, taken, &Rule { is_mask: &is_mask, is_image: &is_image, fits: &same_picture_size })
}

/// Pairs of volume and label map among files that are not `taken`.
pub(super) fn volumes(files: &[FileFacts], taken: &BTreeSet<usize>) -> Vec<Pairs> {
    let is_volume =
        |index: usize| files[index].volume().is_some() && !is_label(&files[index]) && !is_empty(&files[index]);
    let is_label = |index: usize| is_label(&files[index]);
    find(files, taken, &Rule { is_mask: &is_label, is_image: &is_volume, fits: &same_dims })
}

/// Whether a volume is a label map: by its values, else by its name.
pub(super) fn is_label(file: &FileFacts) -> bool {
    let named = || says_mask(split(file.folder()).1) || says_mask(file.stem());
    file.volume().is_some_and(|volume| match volume.likeness {
        Some(Likeness::Flat) => true,
        Some(Likeness::Image) => false,
        Some(Likeness::Few | Likeness::Empty) | None => named(),
    })
}

fn same_picture_size(image: &FileFacts, mask: &FileFacts) -> bool {
    match (image.picture(), mask.picture()) {
        (Some(a), Some(b)) => (a.width, a.height) == (b.width, b.height),
        _ => false,
    }
}

/// Axes of volumes whose header alone was read are in stored order, so that only the sizes can be compared.
pub(super) fn same_dims(image: &FileFacts, mask: &FileFacts) -> bool {
    let sorted = |file: &FileFacts| {
        let mut dims = file.volume()?.dims;
        dims.sort_unstable();
        Some(dims)
    };
    sorted(image).is_some() && sorted(image) == sorted(mask)
}

fn find(files: &[FileFacts], taken: &BTreeSet<usize>, rule: &Rule) -> Vec<Pairs> {
    let mut by_folder: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    let mut next_to: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (index, file) in files.iter().enumerate().filter(|(index, _)| (rule.is_image)(*index) && !taken.contains(index))
    {
        by_folder.entry(file.folder()).or_default().entry(file.stem()).or_insert(index);
        next_to.entry(split(file.folder()).0).or_default().insert(file.folder());
    }
    let mut found: BTreeMap<Key, Vec<(usize, usize)>> = BTreeMap::new();
    for (mask, file) in files.iter().enumerate().filter(|(index, _)| (rule.is_mask)(*index) && !taken.contains(index)) {
        let names = by_folder.get(file.folder());
        let beside = names.and_then(|names| shorter_name(names, file.stem()));
        let siblings = next_to.get(split(file.folder()).0).into_iter().flatten();
        let opposite = || {
            siblings
                .filter(|folder| **folder != file.folder() && says_mask(split(file.folder()).1))
                .find_map(|folder| by_folder.get(folder)?.get(file.stem()).copied())
        };
        let fits = |image: usize| (rule.fits)(&files[image], file);
        let (image, shared) = match beside.or_else(opposite).filter(|image| fits(*image)) {
            Some(image) if beside.is_some() || !(rule.is_mask)(image) => (image, files[image].stem().len()),
            _ => {
                let others = |index: usize| !(rule.is_mask)(index) && fits(index);
                match names.and_then(|names| other_role(names, file.stem(), &others)) {
                    Some(found) => found,
                    None => continue,
                }
            }
        };
        let owned = |text: &str| text.to_owned();
        let key = Key {
            image_folder: owned(files[image].folder()),
            image_ending: owned(files[image].ending()),
            image_suffix: owned(&files[image].stem()[shared..]),
            mask_folder: owned(file.folder()),
            suffix: owned(&file.stem()[shared..]),
            mask_ending: owned(file.ending()),
        };
        found.entry(key).or_default().push((image, mask));
    }
    let pairs = |(key, mut pairs): (Key, Vec<(usize, usize)>)| {
        pairs.sort_unstable();
        let Key { image_folder, image_ending, image_suffix, mask_folder, suffix, mask_ending } = key;
        Pairs { image_folder, image_ending, image_suffix, mask_folder, mask_ending, suffix, pairs }
    };
    found.into_iter().map(pairs).collect()
}

/// Marks between the words of a name.
const MARKS: [char; 4] = ['_', '-', '.', ' '];

/// The only file whose name differs from a mask's in the last words: `brain1_image` for `brain1_label`. With it, the length of what
/// both names share.
fn other_role(names: &BTreeMap<&str, usize>, name: &str, fits: &dyn Fn(usize) -> bool) -> Option<(usize, usize)> {
    let cuts = name.char_indices().rev().filter(|(_, letter)| MARKS.contains(letter));
    for (position, _) in cuts {
        let (shared, role) = name.split_at(position);
        let others: Vec<usize> = names
            .range(shared..)
            .take_while(|(other, _)| other.starts_with(shared))
            .filter(|(other, index)| other[shared.len()..].starts_with(MARKS) && **other != name && fits(**index))
            .map(|(_, index)| *index)
            .collect();
        match others.as_slice() {
            [only] if says_mask(role) => return Some((*only, position)),
            [] => {}
            _ => return None,
        }
    }
    None
}

/// The longest name of which `name` is a continuation after a mark such as `_`.
fn shorter_name(names: &BTreeMap<&str, usize>, name: &str) -> Option<usize> {
    let cuts = name.char_indices().rev().filter(|(_, letter)| MARKS.contains(letter));
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

/// Volumes, each with its maps.
type Cases = Vec<(usize, Vec<usize>)>;

/// Folders with one binary label map per class, named after it, and the volume that they belong to.
pub(super) struct ClassMaps {
    /// Folder that holds the cases, or the volume when there is one case.
    pub root: String,
    /// The volume and the folder of the maps, relative to a case.
    pub image_name: String,
    pub mask_folder: String,
    pub mask_ending: String,
    /// Whether there are several cases, each in a folder of its own below the root.
    pub has_cases: bool,
    /// Each volume with its maps.
    pub cases: Cases,
}

/// Whether a volume holds zeros alone: as a map, nothing is marked in it.
pub(super) fn is_empty(file: &FileFacts) -> bool {
    file.volume().is_some_and(|volume| volume.likeness == Some(Likeness::Empty))
}

/// Class maps among volumes that are not `taken`: a folder of label maps of one size next to exactly one volume of that size.
pub(super) fn class_maps(files: &[FileFacts], taken: &BTreeSet<usize>) -> Vec<ClassMaps> {
    let mut by_folder: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, file) in
        files.iter().enumerate().filter(|(index, file)| file.volume().is_some() && !taken.contains(index))
    {
        by_folder.entry(file.folder()).or_default().push(index);
    }
    let mut found: BTreeMap<(&str, &str, &str, &str), Cases> = BTreeMap::new();
    for (folder, maps) in &by_folder {
        let first = &files[maps[0]];
        let alike = maps.iter().all(|map| {
            let file = &files[*map];
            (is_label(file) || is_empty(file)) && same_dims(first, file) && file.ending() == first.ending()
        });
        let (parent, leaf) = split(folder);
        let beside = by_folder.get(parent).into_iter().flatten().copied();
        let volumes: Vec<usize> = beside
            .filter(|index| !is_label(&files[*index]) && !is_empty(&files[*index]) && same_dims(first, &files[*index]))
            .collect();
        if let ([volume], true, true) = (volumes.as_slice(), alike, maps.len() > 1 && !folder.is_empty()) {
            let key = (split(parent).0, leaf, files[*volume].name(), first.ending());
            found.entry(key).or_default().push((*volume, maps.clone()));
        }
    }
    let all = found.into_iter().map(|((grandparent, leaf, image, ending), cases)| {
        let has_cases = cases.len() > 1;
        let root = if has_cases { grandparent } else { files[cases[0].0].folder() };
        let (root, image_name, mask_folder, mask_ending) = (root.into(), image.into(), leaf.into(), ending.into());
        ClassMaps { root, image_name, mask_folder, mask_ending, has_cases, cases }
    });
    all.collect()
}
