//! Pictures whose folders name a class, and images that nothing explains.

use super::Layout;
use super::annotations::is_below;
use super::draft::{AttributeDraft, SourceDraft};
use super::files::split;
use super::layout::{Builder, is_plain, joined, list, relative};
use super::pairing;
use super::walk::split_part;
use std::collections::{BTreeMap, BTreeSet};

/// Share of the pictures below a folder that must lie in its class folders.
const MIN_CLASS_SHARE: f64 = 0.8;
/// More folders than this name cases or patients, not classes.
const MAX_CLASSES: usize = 200;

/// Folders of pictures by class.
type Classes<'a> = BTreeMap<&'a str, BTreeSet<usize>>;

impl Builder<'_> {
    pub(super) fn class_folders(&mut self) {
        let files = self.files;
        let mut by_parent: BTreeMap<&str, Classes> = BTreeMap::new();
        let mut free: Vec<usize> = Vec::new();
        for (index, file) in files.iter().enumerate() {
            if file.is_picture() && !self.taken.contains(&index) && !file.folder().is_empty() {
                let (parent, class) = split(file.folder());
                by_parent.entry(parent).or_default().entry(class).or_default().insert(index);
                free.push(index);
            }
        }
        let count_below = |parent: &str| free.iter().filter(|index| is_below(&files[**index].path, parent)).count();
        by_parent.retain(|parent, classes| {
            let images: usize = classes.values().map(BTreeSet::len).sum();
            let names_classes = classes.len() >= 2 && classes.len() <= MAX_CLASSES && images >= 2 * classes.len();
            names_classes
                && !classes.keys().any(|class| is_generic(class))
                && images as f64 >= MIN_CLASS_SHARE * count_below(parent) as f64
        });
        // `train` and `test` with the same classes are parts of one set.
        let mut sets: BTreeMap<(String, bool), Vec<&str>> = BTreeMap::new();
        for parent in by_parent.keys() {
            let is_part = !parent.is_empty() && split_part(&format!("{}/", split(parent).1)).is_some();
            let place = if is_part { split(parent).0 } else { *parent };
            sets.entry((place.to_owned(), is_part)).or_default().push(*parent);
        }
        for ((place, _), parents) in sets {
            self.class_set(place, &parents, &by_parent);
        }
    }

    fn class_set(&mut self, place: String, parents: &[&str], by_parent: &BTreeMap<&str, Classes>) {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        let mut labels: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        let mut patterns: BTreeSet<String> = BTreeSet::new();
        for parent in parents {
            for (class, images) in &by_parent[parent] {
                *counts.entry((*class).to_owned()).or_default() += images.len() as u64;
                for image in images {
                    labels.insert(*image, vec![format!("class: {class}")]);
                    let ending = self.files[*image].ending();
                    patterns.insert(joined(relative(parent, &place), &format!("{{class}}/{{stem}}{ending}")));
                }
            }
        }
        let images: BTreeSet<usize> = labels.keys().copied().collect();
        let attribute = AttributeDraft::values("class", None, counts.keys().cloned().collect());
        let plain = parents.iter().all(|parent| is_plain(relative(parent, &place)));
        let annotated = images.len();
        let at = self.start(place, Layout::ClassFolders, images, annotated);
        self.groups[at].labels = labels;
        let group = &mut self.groups[at].group;
        group.classes = counts;
        group.draft = plain.then(|| SourceDraft {
            kind: vec![("images", list(patterns.into_iter().collect()))],
            attributes: vec![attribute],
            ..SourceDraft::default()
        });
    }

    /// Images that nothing explains, by the first folder of their path.
    pub(super) fn rest(&mut self) {
        let mut by_top: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
        for (index, file) in self.files.iter().enumerate() {
            if (file.is_picture() || file.volume().is_some()) && !self.taken.contains(&index) {
                let top = file.path.split_once('/').map_or("", |(top, _)| top);
                by_top.entry(top).or_default().insert(index);
            }
        }
        for images in by_top.into_values() {
            let folder = self.common(&images);
            let maps = images.iter().filter(|index| pairing::is_label(&self.files[**index])).count();
            let slides = images.iter().filter_map(|index| self.files[*index].picture()?.slide.as_ref());
            let levels = slides.map(|slide| slide.levels).max();
            let at = self.start(folder, Layout::Unannotated, images, 0);
            let notes = &mut self.groups[at].group.notes;
            if maps > 0 {
                notes.push(format!(
                    "{maps} of them look like label maps; no single image of their size lies beside them"
                ));
            }
            if let Some(levels) = levels {
                let note =
                    "whole slides with up to {} levels: an overview of at most 4096 x 4096 pixels is what curate sees";
                notes.push(note.replace("{}", &levels.to_string()));
            }
        }
    }
}

/// Whether a folder's name says what role its files have, not what they show.
fn is_generic(folder: &str) -> bool {
    const ROLES: [&str; 18] = [
        "images",
        "image",
        "imgs",
        "img",
        "masks",
        "mask",
        "labels",
        "label",
        "annotations",
        "data",
        "png",
        "jpg",
        "jpeg",
        "jpegimages",
        "tiles",
        "dataset",
        "pictures",
        "scans",
    ];
    ROLES.contains(&folder.to_lowercase().as_str()) || split_part(&format!("{folder}/")).is_some()
}
