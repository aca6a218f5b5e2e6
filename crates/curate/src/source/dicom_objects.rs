//! DICOM objects that refer to series: Segmentations, RT Structure Sets and Structured Reports with measurements.
//!
//! An object belongs to the series that it names, or whose images it names; one whose series is not there is quarantined.

use super::{Folder, Item, Measured};
use crate::Result;
use crate::kind::{DicomSeries, Patterns};
use crate::ledger::{Defect, Ledger, Of};
use crate::regions::without_path;
use gmai_imaging::{Instance, MeasurementReport, ReportedMeasurement};
use gmai_schema::{Measurement, Term};
use std::collections::{BTreeMap, BTreeSet};

/// A file that marks parts of a series.
#[derive(Debug, Clone)]
pub(crate) struct DicomMarks {
    pub(crate) file: String,
    pub(crate) kind: ObjectKind,
    /// Names of what it marks: each is an annotation.
    names: Vec<String>,
}

/// What a file that marks parts of a series is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ObjectKind {
    Segmentation,
    Structures,
}

impl DicomMarks {
    /// Annotations in the file.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }
}

/// The objects of a folder on their way to their series.
pub(super) struct Objects {
    marks: Vec<(DicomMarks, References)>,
    reports: Vec<(String, MeasurementReport)>,
    /// All object files: none of them is an image of a series.
    pub(super) files: BTreeSet<String>,
    /// UIDs of segmentations, by their file: reports refer to them instead of to images.
    uids: BTreeMap<String, String>,
}

/// What an object refers to.
#[derive(Debug, Clone, Default)]
struct References {
    series: BTreeSet<String>,
    images: BTreeSet<String>,
}

/// The identifiers of a series.
pub(super) struct SeriesKey {
    pub(super) uid: String,
    pub(super) instances: Vec<Instance>,
}

impl SeriesKey {
    fn holds(&self, images: &BTreeSet<String>) -> bool {
        self.instances.iter().any(|instance| images.contains(&instance.uid))
    }
}

impl Objects {
    /// Reads the objects that the config names; broken ones are quarantined.
    pub(super) fn read(folder: &Folder, kind: &DicomSeries, ledger: &mut Ledger) -> Result<Objects> {
        let mut objects =
            Objects { marks: Vec::new(), reports: Vec::new(), files: BTreeSet::new(), uids: BTreeMap::new() };
        let listed = |patterns: &Option<Patterns>| match patterns {
            Some(patterns) => folder.matching(patterns).map(|found| found.into_keys().collect::<Vec<_>>()),
            None => Ok(Vec::new()),
        };
        for file in listed(&kind.segmentations)? {
            let read = folder.decoder.read_segmentation(&folder.inputs.path(&file));
            if let Some(read) = objects.accept(&file, read, folder, ledger) {
                objects.uids.extend(read.uid.clone().map(|uid| (uid, file.clone())));
                let names = read.segments.iter().map(|segment| segment.label.clone()).collect();
                let marks = DicomMarks { file, kind: ObjectKind::Segmentation, names };
                objects
                    .marks
                    .push((marks, References { series: read.series.into_iter().collect(), images: read.images }));
            }
        }
        for file in listed(&kind.structures)? {
            let read = folder.decoder.read_structures(&folder.inputs.path(&file));
            if let Some(read) = objects.accept(&file, read, folder, ledger) {
                let names = read.rois.iter().map(|roi| roi.name.clone()).collect();
                let marks = DicomMarks { file, kind: ObjectKind::Structures, names };
                objects.marks.push((marks, References { series: read.series, images: read.images }));
            }
        }
        for file in listed(&kind.measurements)? {
            let read = folder.decoder.read_measurements(&folder.inputs.path(&file));
            if let Some(read) = objects.accept(&file, read, folder, ledger) {
                objects.reports.push((file, read));
            }
        }
        Ok(objects)
    }

    fn accept<T>(
        &mut self,
        file: &str,
        read: gmai_imaging::Result<T>,
        folder: &Folder,
        ledger: &mut Ledger,
    ) -> Option<T> {
        self.files.insert(file.to_string());
        match read {
            Ok(read) => Some(read),
            Err(error) => {
                ledger.found(Of::Annotations, 1);
                let reason = without_path(&error, folder.inputs);
                let remedy = "export the object again, or narrow the pattern that names it";
                ledger.quarantine(Of::Annotations, Defect::new(file, "file", reason, remedy));
                None
            }
        }
    }

    /// Gives every object to its series: `items` with the keys of their series, in the same order.
    pub(super) fn assign(self, items: &mut [(Item, SeriesKey)], ledger: &mut Ledger) -> Vec<Vec<DicomMarks>> {
        let mut marks: Vec<Vec<DicomMarks>> = items.iter().map(|_| Vec::new()).collect();
        let mut series_of: BTreeMap<String, usize> = BTreeMap::new();
        for (object, references) in self.marks {
            match find(items, &references) {
                Ok(index) => {
                    series_of.insert(object.file.clone(), index);
                    marks[index].push(object);
                }
                Err(reason) => {
                    let remedy = "add the series, remove the object, or narrow the patterns";
                    ledger.found(Of::Annotations, 1);
                    ledger.quarantine(Of::Annotations, Defect::new(&object.file, "references", reason, remedy));
                }
            }
        }
        for (file, report) in self.reports {
            let reason = "the report says that it could not be measured";
            ledger.found(Of::Annotations, report.num_unmeasured);
            ledger.skip(Of::Annotations, reason, report.num_unmeasured);
            let mut lost = 0;
            for measured in report.measurements {
                let of_segment = measured.images.iter().find_map(|uid| series_of.get(self.uids.get(uid)?)).copied();
                let references = References { series: measured.series.clone(), images: measured.images.clone() };
                match of_segment.map_or_else(|| find(items, &references), Ok) {
                    Ok(index) => {
                        let (item, key) = &mut items[index];
                        item.measurements.push(measure(measured, key));
                        item.annotation.get_or_insert_with(|| file.clone());
                    }
                    Err(_) => lost += 1,
                }
            }
            if lost > 0 {
                // One line for a file: its numbers share what they refer to.
                ledger.found(Of::Annotations, 1);
                let reason =
                    format!("label without image: {lost} of its measurements refer to images that are not there");
                let remedy = "add the images that were measured, or remove the report";
                ledger.quarantine(Of::Annotations, Defect::new(&file, "references", reason, remedy));
            }
        }
        marks
    }
}

/// The series that an object belongs to.
fn find(items: &[(Item, SeriesKey)], references: &References) -> std::result::Result<usize, String> {
    let named = items.iter().position(|(_, key)| !key.uid.is_empty() && references.series.contains(&key.uid));
    match named {
        Some(index) if references.images.is_empty() || items[index].1.holds(&references.images) => Ok(index),
        Some(index) => Err(format!(
            "it names the series of `{}`, and images that are not among the files of that series",
            items[index].0.name
        )),
        None => {
            let holding = items.iter().position(|(_, key)| key.holds(&references.images));
            holding.ok_or_else(|| "label without image: neither its series nor one of its images is there".to_string())
        }
    }
}

fn measure(reported: ReportedMeasurement, key: &SeriesKey) -> Measured {
    let own: BTreeSet<String> = key
        .instances
        .iter()
        .filter(|instance| reported.images.contains(&instance.uid))
        .map(|instance| instance.uid.clone())
        .collect();
    let term = |text: String| Term::english(in_sentence(&text));
    Measured {
        measurement: Measurement {
            name: term(reported.name),
            value: reported.value,
            unit: reported.unit,
            site: reported.site.map(term),
            finding: reported.finding.map(term),
        },
        // Measured on all images, or on a file that is the whole series: it holds for every picture.
        images: if own.len() == key.instances.len() { BTreeSet::new() } else { own },
    }
}

/// A code's meaning as it stands in the middle of a sentence: `Area of region` begins small, `SUVbw` and `T2 value` do not.
fn in_sentence(text: &str) -> String {
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            let rest = &text[first.len_utf8()..];
            let word_end = rest.find(|letter: char| !letter.is_alphanumeric()).unwrap_or(rest.len());
            let is_plain = rest[..word_end].chars().all(char::is_lowercase);
            if is_plain { first.to_lowercase().chain(rest.chars()).collect() } else { text.to_string() }
        }
        _ => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_begin_small_unless_they_are_symbols() {
        assert_eq!(in_sentence("Area of defined region"), "area of defined region");
        assert_eq!(in_sentence("SUVbw (Mean)"), "SUVbw (Mean)");
        assert_eq!(in_sentence("T2 value"), "T2 value");
        assert_eq!(in_sentence("McBurney's point"), "McBurney's point");
    }
}
