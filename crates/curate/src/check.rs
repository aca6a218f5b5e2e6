//! What a config must fulfil beyond its grammar. Found before any data are read, except for names of fields.

use crate::config::{Config, Source};
use crate::kind::{Kind, PointColumn, Window};
use crate::labels::AXIS_FIELD;
use crate::source::Item;
use crate::{Error, Result};
use gmai_schema::{Axis, Modality};
use std::collections::BTreeSet;
use std::path::Path;

/// Smallest longer side that may be asked for: below it no encoder has a patch to see.
const LEAST_MAX_SIDE: u32 = 16;

/// How far the shares of the split may miss 1.
const SHARE_TOLERANCE: f64 = 1e-6;

struct Checker<'a> {
    path: &'a Path,
}

impl Checker<'_> {
    fn refuse(&self, key: impl Into<String>, reason: impl Into<String>) -> Error {
        Error::ConfigValue { path: self.path.to_path_buf(), key: key.into(), reason: reason.into() }
    }

    fn demand(&self, holds: bool, key: &str, reason: &str) -> Result<()> {
        if holds { Ok(()) } else { Err(self.refuse(key, reason)) }
    }
}

/// Checks a config that came from `path`.
pub(crate) fn check(config: &Config, path: &Path) -> Result<()> {
    let checker = Checker { path };
    let shares = config.dataset.split;
    let all = [shares.train, shares.validation, shares.test];
    let is_whole = (all.iter().sum::<f64>() - 1.0).abs() <= SHARE_TOLERANCE && all.iter().all(|share| *share >= 0.0);
    checker.demand(is_whole, "dataset.split", "train, validation and test must be at least 0 and add up to 1")?;
    let is_visible = config.dataset.max_side >= LEAST_MAX_SIDE;
    checker.demand(is_visible, "dataset.max_side", "must be at least 16 pixels")?;
    if let Some((key, reason)) = config.dataset.deidentify.defect() {
        return Err(checker.refuse(key, reason));
    }
    let share = config.instruct.chinese_share;
    checker.demand((0.0..=1.0).contains(&share), "instruct.chinese_share", "must lie between 0 and 1")?;
    checker.demand(!config.instruct.languages.is_empty(), "instruct.languages", "name at least one of en, zh")?;
    let speaks = config.instruct.languages.iter().all(|language| *language != gmai_schema::Language::Ja);
    checker.demand(
        speaks,
        "instruct.languages",
        "templates are written in en and zh; Japanese is written by [author]",
    )?;
    if let Some((key, reason)) = config.author.as_ref().and_then(crate::author::Options::defect) {
        return Err(checker.refuse(key, reason));
    }
    checker.demand(!config.sources.is_empty(), "source", "there must be at least one [[source]]")?;
    let mut names = BTreeSet::new();
    for source in &config.sources {
        let key = format!("source `{}`, name", source.name);
        checker.demand(!source.name.trim().is_empty(), &key, "must not be empty")?;
        checker.demand(names.insert(&source.name), &key, "another source has the same name; rename one")?;
        check_source(&checker, source)?;
    }
    Ok(())
}

fn check_source(checker: &Checker, source: &Source) -> Result<()> {
    let key = |name: &str| format!("source `{}`, {name}", source.name);
    let is_folder = Path::new(&source.root).is_dir();
    let reason = format!("the folder {} does not exist; correct the path or remove the source", source.root);
    checker.demand(is_folder, &key("root"), &reason)?;
    let has_one = source.department.is_some() != source.department_by.is_some();
    checker.demand(has_one, &key("department"), "give exactly one of `department` and `department_by`")?;
    let has_both = source.modality.is_some() && source.modality_by.is_some();
    checker.demand(!has_both, &key("modality"), "give `modality` or `modality_by`, not both")?;
    let has_both = source.body_part.is_some() && source.body_part_by.is_some();
    checker.demand(!has_both, &key("body_part"), "give `body_part` or `body_part_by`, not both")?;
    for attribute in &source.attributes {
        let key = key(&format!("attribute `{}`", attribute.key));
        checker.demand(!attribute.values.is_empty(), &key, "`values` must not be empty")?;
        let has_one = attribute.from.is_empty() == attribute.flags.is_some();
        checker.demand(has_one, &key, "give exactly one of `from` and `flags`")?;
        let has_both = attribute.flags.is_some() && attribute.separator.is_some();
        checker.demand(!has_both, &key, "`separator` has no meaning with `flags`: each value has its own field")?;
        let is_single = attribute.separator.is_none() && attribute.flags.as_ref().is_none_or(|flags| flags.single);
        checker.demand(!attribute.ordinal || is_single, &key, "an ordinal attribute has one value per image")?;
        let distinct: BTreeSet<&str> = attribute.values.iter().map(|value| value.is.as_str()).collect();
        checker.demand(distinct.len() == attribute.values.len(), &key, "two `values` have the same `is`")?;
        let misses = |axis: &Axis| !distinct.contains(axis.key());
        if attribute.from == AXIS_FIELD && slice_axes(source).iter().any(misses) {
            return Err(checker.refuse(key, "`values` must list every axis that slices are cut along"));
        }
    }
    let keys: BTreeSet<&str> = source.attributes.iter().map(|attribute| attribute.key.as_str()).collect();
    checker.demand(keys.len() == source.attributes.len(), &key("attribute"), "two attributes have the same key")?;
    check_kind(checker, source)?;
    match &source.regions {
        None => Ok(()),
        Some(regions) => {
            checker.demand(!regions.terms.is_empty(), &key("regions.terms"), "must not be empty")?;
            let share = regions.min_mask_share;
            checker.demand((0.0..1.0).contains(&share), &key("regions.min_mask_share"), "must lie between 0 and 1")
        }
    }
}

fn slice_axes(source: &Source) -> &[Axis] {
    source.kind.slices().map_or(&[], |rules| &rules.axes)
}

/// Which parts of a source its kind needs.
fn check_kind(checker: &Checker, source: &Source) -> Result<()> {
    let key = |name: &str| format!("source `{}`, {name}", source.name);
    let (needs_regions, has_one_meaning) = (source.kind.marks_regions(), source.kind.has_one_meaning());
    let reason = format!("kind {} needs [source.regions]", source.kind.key());
    checker.demand(source.regions.is_some() || !needs_regions, &key("regions"), &reason)?;
    let reason = format!("kind {} marks no regions: remove [source.regions]", source.kind.key());
    checker.demand(source.regions.is_none() || needs_regions, &key("regions"), &reason)?;
    let num_terms = source.regions.as_ref().map_or(0, |regions| regions.terms.len());
    let reason = "masks of this kind have a single meaning: give one entry";
    checker.demand(!has_one_meaning || num_terms == 1, &key("regions.terms"), reason)?;
    if let Kind::CsvLabels(_) = source.kind {
        checker.demand(
            !source.tables.is_empty(),
            &key("table"),
            "kind csv_labels needs at least one [[source.table]]",
        )?;
    }
    if let Kind::ObserverMasks(kind) = &source.kind {
        checker.demand(kind.masks.len() >= 2, &key("kind.masks"), "name the masks of at least two observers")?;
        let share = kind.least_dice;
        checker.demand((0.0..=1.0).contains(&share), &key("kind.least_dice"), "must lie between 0 and 1")?;
    }
    if let Kind::Points(kind) = &source.kind {
        let holds_once = |column| kind.order.iter().filter(|other| **other == column).count() == 1;
        let is_whole = [PointColumn::X, PointColumn::Y, PointColumn::Class].into_iter().all(holds_once);
        checker.demand(is_whole, &key("kind.order"), "must hold each of x, y and class once")?;
    }
    if let Some(rules) = source.kind.slices() {
        let has_preset = rules.window.as_slice().iter().any(|window| matches!(window, Window::Preset(_)));
        let may_be_ct = source.modality.is_none_or(|modality| modality == Modality::Ct);
        let reason = "the named windows are in Hounsfield units and hold for CT alone; write `fixed` values";
        checker.demand(!has_preset || may_be_ct, &key("kind.slices.window"), reason)?;
        checker.demand(!rules.axes.is_empty(), &key("kind.slices.axes"), "name at least one axis")?;
        checker.demand(rules.every >= 1, &key("kind.slices.every"), "must be at least 1")?;
        checker.demand(rules.max_per_axis >= 1, &key("kind.slices.max_per_axis"), "must be at least 1")?;
    }
    Ok(())
}

/// Checks that every field that the source's rules read exists in at least one item.
pub(crate) fn check_fields(source: &Source, items: impl Iterator<Item = Item>, path: &Path) -> Result<()> {
    let mut read: Vec<(String, &str)> = Vec::new();
    let attributes = || source.attributes.iter().filter(|rule| rule.from != AXIS_FIELD);
    let plain = attributes().filter(|rule| rule.flags.is_none());
    read.extend(plain.map(|rule| (format!("attribute `{}`, from", rule.key), rule.from.as_str())));
    for rule in attributes().filter(|rule| rule.flags.is_some()) {
        let key = format!("attribute `{}`, values", rule.key);
        read.extend(rule.values.iter().map(|value| (key.clone(), value.is.as_str())));
    }
    // A header may give the patient of a picture later.
    let patient = source.patient.as_deref().filter(|field| *field != "PatientID");
    read.extend(patient.map(|field| ("patient".to_string(), field)));
    read.extend(source.report.as_deref().map(|field| ("report".to_string(), field)));
    read.extend(source.modality_by.as_ref().map(|by| ("modality_by.from".to_string(), by.from.as_str())));
    read.extend(source.department_by.as_ref().map(|by| ("department_by.from".to_string(), by.from.as_str())));
    // A header need not name the body part.
    let body_part = source.body_part_by.as_ref().filter(|by| by.from != "BodyPartExamined");
    read.extend(body_part.map(|by| ("body_part_by.from".to_string(), by.from.as_str())));
    let mut known = BTreeSet::new();
    let mut is_empty = true;
    for item in items {
        is_empty = false;
        read.retain(|(_, field)| !item.fields.contains_key(*field));
        if read.is_empty() {
            return Ok(());
        }
        known.extend(item.fields.into_keys());
    }
    // Without any item all images were quarantined; there is nothing to look a field up in.
    let Some((key, field)) = read.first().filter(|_| !is_empty) else { return Ok(()) };
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let reason = format!("no image has a field `{field}`; the fields are: {}", known.join(", "));
    let key = format!("source `{}`, {key}", source.name);
    Err(Error::ConfigValue { path: path.to_path_buf(), key, reason })
}
