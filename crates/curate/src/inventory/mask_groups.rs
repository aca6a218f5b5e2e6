//! Groups of images with masks: one per instance, one per image, one per observer, label maps of volumes.

use super::Layout;
use super::draft::SourceDraft;
use super::files::common_folder;
use super::layout::{Builder, is_plain, joined, list, relative, word};
use super::pairing::{self, Pairs};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use toml::Value;

/// Label maps that are read to count classes; of more, evenly spread ones.
const MAX_COUNTED_MAPS: usize = 400;

/// Words by which the masks of several people on one picture are known.
const OBSERVERS: [&str; 9] = ["observer", "rater", "reader", "expert", "annotator", "1st", "2nd", "doctor", "manual"];

impl Builder<'_> {
    pub(super) fn instance_masks(&mut self) {
        for found in pairing::instance_folders(self.files, &self.taken) {
            let endings = |indices: &BTreeSet<usize>| -> BTreeSet<&str> {
                indices.iter().map(|index| self.files[*index].ending()).collect()
            };
            let images = endings(&found.images)
                .into_iter()
                .map(|ending| format!("{{case}}/{}/{{stem}}{ending}", found.image_folder));
            let kind =
                vec![("images", list(images.collect())), ("masks", word(format!("{{case}}/{}/*", found.mask_folder)))];
            let num_masks = found.masks.len() as u64;
            let mut masks: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
            let by_case: BTreeMap<&str, usize> =
                found.images.iter().map(|image| (super::files::split(self.files[*image].folder()).0, *image)).collect();
            for mask in &found.masks {
                if let Some(image) = by_case.get(super::files::split(self.files[*mask].folder()).0) {
                    masks.entry(*image).or_default().push(*mask);
                }
            }
            self.taken.extend(&found.masks);
            let annotated = found.images.len();
            let at = self.start(found.root, Layout::InstanceMasks, found.images, annotated);
            self.groups[at].masks = masks;
            self.groups[at].outlines = num_masks;
            let group = &mut self.groups[at].group;
            group.entries = num_masks;
            group.classes.insert("instance".to_owned(), num_masks);
            group.draft =
                Some(SourceDraft { kind, region_terms: vec!["instance".to_owned()], ..SourceDraft::default() });
        }
    }

    /// How many of the label maps have each class, and what is wrong with those that cannot be read.
    pub(super) fn classes_of(&self, maps: &[usize]) -> (BTreeMap<String, u64>, Vec<String>) {
        let step = maps.len().div_ceil(MAX_COUNTED_MAPS).max(1);
        let read: Vec<Result<Vec<u16>, String>> = maps
            .par_iter()
            .step_by(step)
            .map(|map| {
                let read = self.decoder.read_label_map(&self.dir.join(&self.files[*map].path));
                read.map(|map| map.class_sizes().into_keys().collect()).map_err(|error| error.to_string())
            })
            .collect();
        let mut classes: BTreeMap<String, u64> = BTreeMap::new();
        let mut notes = Vec::new();
        for one in read {
            match one {
                Ok(present) => present
                    .into_iter()
                    .filter(|class| *class > 0)
                    .for_each(|class| *classes.entry(class.to_string()).or_default() += 1),
                Err(error) => notes.push(format!("not a label map: {error}")),
            }
        }
        if step > 1 {
            notes.push(format!("classes are counted in every {step}th label map"));
        }
        (classes, notes)
    }

    pub(super) fn class_maps(&mut self) {
        for found in pairing::class_maps(self.files, &self.taken) {
            let images: BTreeSet<usize> = found.cases.iter().map(|case| case.0).collect();
            let mut classes: BTreeMap<String, u64> = BTreeMap::new();
            for map in found.cases.iter().flat_map(|case| &case.1) {
                // A map of zeros alone says that there is none.
                let marked = u64::from(!pairing::is_empty(&self.files[*map]));
                *classes.entry(self.files[*map].stem().to_owned()).or_default() += marked;
                self.taken.insert(*map);
            }
            let case = if found.has_cases { "{case}/" } else { "" };
            let kind = vec![
                ("volumes", word(format!("{case}{}", found.image_name))),
                ("labels", word(format!("{case}{}/{{class}}{}", found.mask_folder, found.mask_ending))),
                ("instances", word("whole")),
            ];
            let annotated = images.len();
            let at = self.start(found.root, Layout::NiftiLabelMap, images, annotated);
            self.groups[at].masks = found.cases.into_iter().collect();
            self.groups[at].outlines = classes.values().sum();
            let group = &mut self.groups[at].group;
            group.entries = classes.values().sum();
            group.notes.push("one label map per class, named after it".to_owned());
            let plain = is_plain(&found.image_name) && is_plain(&found.mask_folder);
            let region_terms = classes.keys().cloned().collect();
            group.draft = plain.then(|| SourceDraft { kind, region_terms, ..SourceDraft::default() });
            group.classes = classes;
        }
    }

    pub(super) fn label_maps(&mut self) {
        for found in pairing::volumes(self.files, &self.taken) {
            let images = self.free(&found.images());
            if images.is_empty() {
                self.further_masks(&found, "label maps of the same volumes");
                continue;
            }
            let maps: Vec<usize> = found.pairs.iter().map(|pair| pair.1).collect();
            let (classes, mut notes) = self.classes_of(&maps);
            let (patterns, end) = found.image_patterns(self.files).unwrap_or_else(|| {
                notes.push("label maps lie beside the volumes; those are tried as volumes too and left out".to_owned());
                (vec!["{stem}".to_owned()], String::new())
            });
            let kind = |root: &str| {
                let volume = |name: &String| {
                    joined(relative(&found.image_folder, root), &format!("{name}{}", found.image_ending))
                };
                let label = format!("{{stem}}{end}{}{}", found.suffix, found.mask_ending);
                vec![
                    ("volumes", list(patterns.iter().map(volume).collect())),
                    ("labels", word(joined(relative(&found.mask_folder, root), &label))),
                    ("instances", word("whole")),
                ]
            };
            let structures = classes.values().sum();
            let at = self.paired(&found, Layout::NiftiLabelMap, (images, classes, notes), &kind);
            self.groups[at].outlines = structures;
        }
    }

    /// Masks of images that are in a group already: those of another observer join it, others are noted.
    fn further_masks(&mut self, found: &Pairs, what: &str) {
        let images = found.images();
        let Some(at) = self.groups.iter().position(|building| images.is_subset(&building.images)) else { return };
        self.taken.extend(found.pairs.iter().map(|pair| pair.1));
        let complete = images.len() == self.groups[at].images.len();
        let root = self.groups[at].group.folder.clone();
        let building = &mut self.groups[at];
        let spoken = |text: &str| OBSERVERS.iter().any(|word| text.to_lowercase().contains(word));
        let by_people = spoken(&found.suffix) || spoken(&found.mask_folder);
        let is_mask_group = matches!(building.group.layout, Layout::MaskBeside | Layout::ObserverMasks);
        if let (true, true, true, Some(draft)) = (complete, by_people, is_mask_group, &mut building.group.draft) {
            let end = draft.stem_end.clone();
            let mask = format!("{{stem}}{end}{}{}", found.suffix, found.mask_ending);
            let mask = joined(relative(&found.mask_folder, &root), &mask);
            for (key, value) in &mut draft.kind {
                if *key == "masks" {
                    let mut masks = match std::mem::replace(value, Value::Boolean(false)) {
                        Value::Array(masks) => masks,
                        one => vec![one],
                    };
                    masks.push(word(mask.clone()));
                    *value = Value::Array(masks);
                }
            }
            building.group.layout = Layout::ObserverMasks;
            building.group.entries += found.pairs.len() as u64;
            let note = "several people drew on each picture: the first one's masks are the regions, Dice between them is measured";
            if !building.group.notes.iter().any(|known| known == note) {
                building.group.notes.push(note.to_owned());
            }
            return;
        }
        let note = format!("more {what}: names end in `{}{}`", found.suffix, found.mask_ending);
        building.group.notes.push(note);
    }

    pub(super) fn masks(&mut self) {
        for found in pairing::pictures(self.files, &self.taken) {
            let images = self.free(&found.images());
            if images.is_empty() {
                self.further_masks(&found, "masks of the same pictures");
                continue;
            }
            let Some((patterns, end)) = found.image_patterns(self.files) else {
                self.untold(&found, images);
                continue;
            };
            let classes = BTreeMap::from([("mask".to_owned(), images.len() as u64)]);
            let notes = vec![
                "each connected part of a mask becomes a box; set instances = \"whole\" for one box around all"
                    .to_owned(),
            ];
            let kind = |root: &str| {
                let image = |name: &String| {
                    joined(relative(&found.image_folder, root), &format!("{name}{}", found.image_ending))
                };
                let mask = format!("{{stem}}{end}{}{}", found.suffix, found.mask_ending);
                vec![
                    ("images", list(patterns.iter().map(image).collect())),
                    ("masks", word(joined(relative(&found.mask_folder, root), &mask))),
                    ("instances", word("components")),
                ]
            };
            let at = self.paired(&found, Layout::MaskBeside, (images, classes, notes), &kind);
            if let Some(draft) = &mut self.groups[at].group.draft {
                draft.stem_end = end;
            }
        }
    }

    /// Images and masks of one folder that no pattern tells apart.
    fn untold(&mut self, found: &Pairs, images: BTreeSet<usize>) {
        self.taken.extend(found.pairs.iter().map(|pair| pair.1));
        let annotated = images.len();
        let at = self.start(found.image_folder.clone(), Layout::MaskBeside, images, annotated);
        let note = format!(
            "masks lie beside the pictures with names ending in `{}{}`; move them to a folder of their own, so that a pattern can tell them apart",
            found.suffix, found.mask_ending
        );
        self.groups[at].group.notes.push(note);
    }

    fn paired(
        &mut self,
        found: &Pairs,
        layout: Layout,
        (images, classes, notes): (BTreeSet<usize>, BTreeMap<String, u64>, Vec<String>),
        kind: &dyn Fn(&str) -> Vec<(&'static str, Value)>,
    ) -> usize {
        let (image, mask) = (joined(&found.image_folder, "x"), joined(&found.mask_folder, "x"));
        let root = common_folder([image.as_str(), mask.as_str()].into_iter());
        self.taken.extend(found.pairs.iter().map(|pair| pair.1));
        let plain = is_plain(&found.image_folder) && is_plain(&found.mask_folder) && is_plain(&found.suffix);
        let region_terms = classes.keys().cloned().collect();
        let draft = SourceDraft { kind: kind(&root), region_terms, ..SourceDraft::default() };
        let annotated = images.len();
        let at = self.start(root, layout, images, annotated);
        self.groups[at].masks = found.pairs.iter().map(|(image, mask)| (*image, vec![*mask])).collect();
        self.groups[at].outlines = found.pairs.len() as u64;
        let group = &mut self.groups[at].group;
        group.entries = found.pairs.len() as u64;
        group.draft = (plain && !classes.is_empty()).then_some(draft);
        group.classes = classes;
        group.notes = notes;
        at
    }
}
