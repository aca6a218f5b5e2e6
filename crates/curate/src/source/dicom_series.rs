//! Folders of DICOM files, grouped into series by their headers, with or without label maps, segmentations, structures and measurements.

use super::dicom_objects::{DicomMarks, Objects, SeriesKey};
use super::nifti_label_map::{annotation_name, label_files};
use super::{Folder, ImageFiles, Item, Marks};
use crate::Result;
use crate::kind::DicomSeries;
use crate::ledger::{Defect, Ledger, Of};
use gmai_imaging::Series;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

pub(super) fn read(folder: &Folder, kind: &DicomSeries, ledger: &mut Ledger) -> Result<Vec<Item>> {
    let mut matching = folder.matching(&kind.files)?;
    let objects = Objects::read(folder, kind, ledger)?;
    matching.retain(|file, _| !objects.files.contains(file));
    let survey = folder.decoder.survey_series(folder.inputs.root());
    let survey = survey.map_err(|error| folder.config_error("root", error.to_string()))?;
    let name_of = |path: &Path| -> Option<String> {
        let relative = path.strip_prefix(folder.inputs.root()).ok()?.to_str()?;
        let name = relative.replace(std::path::MAIN_SEPARATOR, "/");
        matching.contains_key(&name).then_some(name)
    };
    for (path, error) in &survey.unreadable {
        if let Some(name) = name_of(path) {
            let reason = crate::regions::without_path(error, folder.inputs);
            quarantine_file(&name, &reason, ledger);
        }
    }
    for name in survey.other_files.iter().filter_map(|path| name_of(path)) {
        quarantine_file(&name, "the file is not DICOM", ledger);
    }
    let without_uid = survey.without_images.iter().filter_map(|path| name_of(path)).collect();
    let mut found: Vec<(Item, SeriesKey)> = Vec::new();
    let mut candidates = survey.series;
    candidates.extend(series_by_folder(folder, without_uid, ledger));
    for series in candidates {
        let files: Vec<String> = series.files.iter().filter_map(|path| name_of(path)).collect();
        let Some(first) = files.first().cloned() else { continue };
        let mut fields: BTreeMap<String, String> = matching[&first].clone();
        for (field, value) in [
            ("PatientID", series.patient),
            ("StudyInstanceUID", series.study),
            ("SeriesInstanceUID", Some(series.uid).filter(|uid| !uid.is_empty())),
            ("SeriesDescription", series.description),
            ("BodyPartExamined", series.body_part),
            ("Modality", series.modality.map(|modality| modality.key().to_string())),
        ] {
            if let Some(value) = value {
                fields.insert(field.to_string(), value);
            }
        }
        let uid = fields.get("SeriesInstanceUID").cloned().unwrap_or_default();
        let paths: Vec<PathBuf> = files.iter().map(|file| folder.inputs.path(file)).collect();
        // Headers are read a second time only where something refers to them; an unreadable file is told when pixels are read.
        let instances = match objects.files.is_empty() {
            true => Vec::new(),
            false => folder.decoder.instances(&paths).unwrap_or_default(),
        };
        found.push((Item::new(first, ImageFiles::Series(files), fields), SeriesKey { uid, instances }));
    }
    let marks = objects.assign(&mut found, ledger);
    Ok(attach(folder, kind, found.into_iter().map(|(item, _)| item).zip(marks), ledger))
}

/// Gives every series what marks it; one without any where the config names some is quarantined.
fn attach(
    folder: &Folder,
    kind: &DicomSeries,
    found: impl Iterator<Item = (Item, Vec<DicomMarks>)>,
    ledger: &mut Ledger,
) -> Vec<Item> {
    let mut used = BTreeSet::new();
    let mut items = Vec::new();
    for (mut item, objects) in found {
        let maps = kind.labels.as_ref().map_or(Vec::new(), |labels| label_files(folder, labels, &item));
        let needs_map = kind.labels.is_some() && maps.is_empty();
        let needs_object = kind.labels.is_none() && (kind.segmentations.is_some() || kind.structures.is_some());
        if objects.is_empty() && (needs_map || needs_object) {
            let expected = match &kind.labels {
                Some(labels) => format!("no file matches `{}`", labels.fill(&item.fields).as_str()),
                None => "no segmentation or structure set refers to the series".to_string(),
            };
            super::quarantine_unlabelled(&item.name, &expected, ledger);
            ledger.found(Of::Annotations, item.num_annotations());
            ledger.skip(Of::Annotations, crate::ledger::IMAGE_LEFT_OUT, item.num_annotations());
            continue;
        }
        used.extend(maps.iter().map(|label| label.file.clone()));
        let instances = kind.instances;
        if let Some(object) = objects.first() {
            item.annotation = Some(object.file.clone());
            item.marks = Marks::Dicom { objects, maps, instances };
        } else if !maps.is_empty() {
            item.annotation = Some(annotation_name(&maps));
            item.marks = Marks::LabelMaps { files: maps, instances };
        }
        items.push(item);
    }
    if let Some(labels) = &kind.labels {
        folder.quarantine_orphans(labels, &used, ledger);
    }
    items
}

/// Series of files whose SeriesInstanceUID was removed: those in one folder are one series, and reading it finds out if they are not.
fn series_by_folder(folder: &Folder, names: Vec<String>, ledger: &mut Ledger) -> Vec<Series> {
    let mut by_folder: BTreeMap<String, Series> = BTreeMap::new();
    for name in names {
        let path = folder.inputs.path(&name);
        match folder.decoder.read(&path) {
            Err(gmai_imaging::Error::MissingAttribute { .. }) => {
                ledger.found(Of::Images, 1);
                ledger.skip(Of::Images, "a DICOM file without pixels", 1);
            }
            Err(error) => quarantine_file(&name, &crate::regions::without_path(&error, folder.inputs), ledger),
            Ok(scan) => {
                let parent = name.rsplit_once('/').map_or("", |(parent, _)| parent).to_string();
                let series = by_folder.entry(parent).or_insert_with(|| Series {
                    uid: String::new(),
                    part: None,
                    files: Vec::new(),
                    patient: scan.patient,
                    study: scan.study,
                    modality: scan.modality,
                    description: None,
                    body_part: None,
                });
                series.files.push(path);
            }
        }
    }
    by_folder.into_values().collect()
}

fn quarantine_file(name: &str, reason: &str, ledger: &mut Ledger) {
    ledger.found(Of::Images, 1);
    let remedy = "export the file again, or narrow the pattern of files";
    ledger.quarantine(Of::Images, Defect::new(name, "file", reason, remedy));
}
