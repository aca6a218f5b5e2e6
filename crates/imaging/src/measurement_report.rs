//! Numbers in DICOM Structured Reports: measurement groups of TID 1500 (PS3.16) with units, sites and what they were measured on.

use crate::data_set::{Attributes, DicomFile};
use crate::error::{Error, Result};
use crate::limits::Limits;
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;

/// Deeper content is not read: TID 1500 needs five levels.
const MAX_DEPTH: usize = 16;

/// Concept codes as (value, scheme); SRT and SCT are two generations of SNOMED.
const MEASUREMENT_GROUP: &[[&str; 2]] = &[["125007", "DCM"]];
const FINDING: &[[&str; 2]] = &[["121071", "DCM"]];
const FINDING_SITE: &[[&str; 2]] = &[["G-C0E3", "SRT"], ["363698007", "SCT"]];
const DERIVATION: &[[&str; 2]] = &[["121401", "DCM"]];
const SOURCE_SERIES: &[[&str; 2]] = &[["121232", "DCM"]];

/// One number of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedMeasurement {
    /// What was measured, with how it was derived: `SUVbw (Mean)`.
    pub name: String,
    /// The number as written.
    pub value: String,
    /// Unit in UCUM without annotations in braces; empty for plain numbers.
    pub unit: String,
    /// Where, with its modifiers: `kidney (Left)`.
    pub site: Option<String>,
    /// What was found there.
    pub finding: Option<String>,
    /// SOPInstanceUIDs of the images, or of the segmentation, that it was measured on.
    pub images: BTreeSet<String>,
    /// SeriesInstanceUIDs of these images.
    pub series: BTreeSet<String>,
}

/// The numbers of a report and what it refers to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasurementReport {
    /// All numbers of measurement groups, in order.
    pub measurements: Vec<ReportedMeasurement>,
    /// Numbers that the report says could not be measured.
    pub num_unmeasured: u64,
    /// SeriesInstanceUIDs of all evidence.
    pub series: BTreeSet<String>,
}

/// Reads the measurement groups of a structured report.
pub fn read_measurements(path: &Path, limits: &Limits) -> Result<MeasurementReport> {
    measurements_of(&DicomFile::read(path, limits)?)
}

/// As [`read_measurements`], of a file that was taken apart already.
pub(crate) fn measurements_of(file: &DicomFile) -> Result<MeasurementReport> {
    let path = &file.path;
    let root = file.root();
    if root.text(tags::MODALITY).as_deref() != Some("SR") {
        let value = root.text(tags::MODALITY).unwrap_or_default();
        let remedy = "give structured reports";
        return Err(Error::Unsupported { path: path.into(), field: "Modality", value, remedy });
    }
    let mut report = MeasurementReport::default();
    for evidence in [tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE, tags::PERTINENT_OTHER_EVIDENCE_SEQUENCE] {
        for study in root.items(evidence) {
            let series = study.items(tags::REFERENCED_SERIES_SEQUENCE);
            report.series.extend(series.iter().filter_map(|series| series.text(tags::SERIES_INSTANCE_UID)));
        }
    }
    walk(&root, 0, &mut report);
    Ok(report)
}

fn walk(node: &Attributes<'_>, depth: usize, report: &mut MeasurementReport) {
    for item in node.items(tags::CONTENT_SEQUENCE) {
        if is(&item, MEASUREMENT_GROUP) {
            read_group(&item, report);
        } else if depth < MAX_DEPTH {
            walk(&item, depth + 1, report);
        }
    }
}

/// One measurement group: its context first, then its numbers.
fn read_group(group: &Attributes<'_>, report: &mut MeasurementReport) {
    let items = group.items(tags::CONTENT_SEQUENCE);
    let named = |codes| items.iter().find(|item| is(item, codes));
    let finding = named(FINDING).and_then(|item| meaning(item, tags::CONCEPT_CODE_SEQUENCE));
    let site = named(FINDING_SITE).and_then(with_modifiers);
    let (mut images, mut series) = (BTreeSet::new(), BTreeSet::new());
    for item in &items {
        references(item, 0, &mut images);
        if is(item, SOURCE_SERIES) {
            series.extend(item.text(tags::UID));
        }
    }
    for item in items.iter().filter(|item| item.text(tags::VALUE_TYPE).as_deref() == Some("NUM")) {
        let value = item.items(tags::MEASURED_VALUE_SEQUENCE).first().copied();
        let number = value.and_then(|value| value.text(tags::NUMERIC_VALUE));
        let name = meaning(item, tags::CONCEPT_NAME_CODE_SEQUENCE);
        let (Some(value), Some(number), Some(name)) = (value, number, name) else {
            report.num_unmeasured += 1;
            continue;
        };
        let children = item.items(tags::CONTENT_SEQUENCE);
        let child = |codes| children.iter().find(|child| is(child, codes));
        let derivation = child(DERIVATION).and_then(|child| meaning(child, tags::CONCEPT_CODE_SEQUENCE));
        let units = value.items(tags::MEASUREMENT_UNITS_CODE_SEQUENCE);
        let unit = units.first().and_then(|unit| unit.text(tags::CODE_VALUE)).unwrap_or_default();
        report.measurements.push(ReportedMeasurement {
            name: derivation.map_or(name.clone(), |derivation| format!("{name} ({derivation})")),
            value: number,
            unit: plain_unit(&unit),
            site: child(FINDING_SITE).and_then(with_modifiers).or_else(|| site.clone()),
            finding: finding.clone(),
            images: images.clone(),
            series: series.clone(),
        });
    }
}

/// Images that an item, or what it was selected from, refers to.
fn references(item: &Attributes<'_>, depth: usize, images: &mut BTreeSet<String>) {
    let is_image = item.text(tags::VALUE_TYPE).as_deref() == Some("IMAGE");
    if is_image {
        let referenced = item.items(tags::REFERENCED_SOP_SEQUENCE);
        images.extend(referenced.iter().filter_map(|image| image.text(tags::REFERENCED_SOP_INSTANCE_UID)));
    }
    if depth < MAX_DEPTH {
        item.items(tags::CONTENT_SEQUENCE).iter().for_each(|child| references(child, depth + 1, images));
    }
}

/// Whether an item's concept name has one of the codes.
fn is(item: &Attributes<'_>, codes: &[[&str; 2]]) -> bool {
    let names = item.items(tags::CONCEPT_NAME_CODE_SEQUENCE);
    let Some(name) = names.first() else { return false };
    let (value, scheme) = (name.text(tags::CODE_VALUE), name.text(tags::CODING_SCHEME_DESIGNATOR));
    codes.iter().any(|[code, designator]| {
        value.as_deref() == Some(code) && scheme.as_deref().is_some_and(|scheme| scheme == *designator)
    })
}

fn meaning(item: &Attributes<'_>, sequence: Tag) -> Option<String> {
    item.items(sequence).first().and_then(|code| code.text(tags::CODE_MEANING))
}

/// The meaning of a code item with its modifiers (laterality, topography) in brackets.
fn with_modifiers(item: &Attributes<'_>) -> Option<String> {
    let name = meaning(item, tags::CONCEPT_CODE_SEQUENCE)?;
    let children = item.items(tags::CONTENT_SEQUENCE);
    let modifiers: Vec<String> =
        children.iter().filter_map(|child| meaning(child, tags::CONCEPT_CODE_SEQUENCE)).collect();
    Some(if modifiers.is_empty() { name } else { format!("{name} ({})", modifiers.join(", ")) })
}

/// A UCUM code without annotations: `{SUVbw}g/ml` is `g/ml`, `{pixels}` and `1` are nothing.
fn plain_unit(code: &str) -> String {
    let mut unit = String::new();
    let mut depth = 0;
    for letter in code.chars() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            letter if depth == 0 => unit.push(letter),
            _ => {}
        }
    }
    if unit == "1" { String::new() } else { unit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_are_no_part_of_a_unit() {
        assert_eq!(plain_unit("{SUVbw}g/ml"), "g/ml");
        assert_eq!(plain_unit("mm2"), "mm2");
        assert_eq!((plain_unit("{pixels}"), plain_unit("1")), (String::new(), String::new()));
    }
}
