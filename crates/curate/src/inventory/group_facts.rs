//! What the images of a group have in common: modalities, sizes, depths, spacing, patients, parts of a split.

use super::GroupFacts;
use super::dicom::Catalogue;
use super::files::{self, FileFacts, Holds};
use super::header;
use super::layout::Building;
use super::walk::split_part;
use super::{Layout, Told};
use gmai_schema::Language;
use std::collections::{BTreeMap, BTreeSet};

/// Different sizes that are written out; the rest is one entry.
const MAX_SIZES: usize = 12;

/// Fills in what is known of the images of a group.
pub(super) fn fill(building: &mut Building, files: &[FileFacts], catalogue: &Catalogue) {
    let mut facts = GroupFacts::default();
    let add = |counts: &mut BTreeMap<String, u64>, key: String| *counts.entry(key).or_default() += 1;
    let (mut patients, mut studies, mut series) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut without_patient = 0;
    for &index in &building.images {
        let file = &files[index];
        add(&mut facts.formats, files::format_of(file));
        if let Some(part) = building.splits.get(&index).copied().or_else(|| split_part(&file.path)) {
            add(&mut facts.splits, part.to_owned());
        }
        match &file.holds {
            Holds::Picture(picture) => {
                add(&mut facts.sizes, format!("{} × {}", picture.width, picture.height));
                if !picture.depth.is_empty() {
                    add(&mut facts.depths, picture.depth.clone());
                }
                if let Some(microns) = picture.slide.as_ref().and_then(|slide| slide.microns_per_pixel) {
                    widen(&mut facts.spacing, [microns / 1000.0, microns / 1000.0, 0.0]);
                }
            }
            Holds::Volume(volume) => {
                add(&mut facts.sizes, volume.dims.map(|size| size.to_string()).join(" × "));
                if !volume.depth.is_empty() {
                    add(&mut facts.depths, volume.depth.clone());
                }
                widen(&mut facts.spacing, volume.spacing);
            }
            Holds::Dicom(dicom) => {
                let Some(entry) = dicom.series.map(|at| &catalogue.series[at]) else {
                    without_patient += 1;
                    continue;
                };
                let [columns, rows] = entry.size;
                let frames = if entry.frames > 1 { format!(" × {} frames", entry.frames) } else { String::new() };
                add(&mut facts.sizes, format!("{columns} × {rows}{frames}"));
                if entry.bits > 0 {
                    add(&mut facts.depths, header::depth(entry.bits, entry.channels));
                }
                let modality =
                    entry.modality.map_or("not stated".to_owned(), |modality| modality.name(Language::En).to_owned());
                add(&mut facts.modalities, modality);
                if let Some(part) = &entry.body_part {
                    add(&mut facts.body_parts, part.to_lowercase());
                }
                widen(&mut facts.spacing, entry.spacing);
                series.extend(dicom.series);
                studies.extend(entry.study.as_deref());
                match entry.patient.as_deref().map(str::trim).filter(|patient| !patient.is_empty()) {
                    Some(patient) => drop(patients.insert(patient)),
                    None => without_patient += 1,
                }
            }
            _ => {}
        }
    }
    facts.series = series.len() as u64;
    facts.studies = (!studies.is_empty()).then_some(studies.len() as u64);
    facts.patients = if !patients.is_empty() {
        let by = if without_patient > 0 {
            format!("PatientID, absent in {without_patient} files")
        } else {
            "PatientID".into()
        };
        Some(Told { count: patients.len() as u64, by })
    } else {
        by_table(building)
    };
    shorten(&mut facts.sizes);
    building.group.facts = facts;
}

/// Patients that a table or report messages tell apart.
fn by_table(building: &Building) -> Option<Told> {
    let patients: BTreeSet<&str> = building.patients.values().map(String::as_str).collect();
    let by = match &building.patient_column {
        Some(column) => format!("column `{column}`"),
        None if building.group.layout == Layout::TextReport => return None,
        None => "the messages".to_owned(),
    };
    (!patients.is_empty()).then_some(Told { count: patients.len() as u64, by })
}

/// Keeps the most frequent sizes.
fn shorten(sizes: &mut BTreeMap<String, u64>) {
    if sizes.len() <= MAX_SIZES {
        return;
    }
    let mut all: Vec<(String, u64)> = std::mem::take(sizes).into_iter().collect();
    all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let rest = all.split_off(MAX_SIZES);
    sizes.extend(all);
    sizes.insert(format!("{} other sizes", rest.len()), rest.iter().map(|size| size.1).sum());
}

/// Extends ranges of spacing; 0 is not stated.
fn widen(ranges: &mut Option<[(f64, f64); 3]>, spacing: [f64; 3]) {
    if spacing[0] <= 0.0 || spacing.iter().any(|step| !step.is_finite()) {
        return;
    }
    let own = spacing.map(|step| (step, step));
    let ranges = ranges.get_or_insert(own);
    for (range, step) in ranges.iter_mut().zip(spacing) {
        *range = (range.0.min(step), range.1.max(step));
    }
}
