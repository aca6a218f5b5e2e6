//! What could tell who a patient is: header fields, dates in names, columns, texts, writing in pixels. Values are never taken over.

use super::annotations::{Annotation, Detail};
use super::dicom::Catalogue;
use super::files::{FileFacts, Holds, TextKind};
use super::{AnnotationKind, IdentifierRisk, tables};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

/// Bytes of a table that hold its first line.
const HEAD_BYTES: u64 = 64 << 10;

struct Risks(BTreeMap<String, IdentifierRisk>);

impl Risks {
    fn note(&mut self, what: &str, files: u64, path: &str) {
        let new = || IdentifierRisk { what: what.to_owned(), files: 0, example: path.to_owned() };
        self.0.entry(what.to_owned()).or_insert_with(new).files += files;
    }
}

/// Collects what is at risk, most files first.
pub(super) fn find(
    dir: &Path,
    files: &[FileFacts],
    catalogue: &Catalogue,
    annotations: &[Annotation],
) -> Vec<IdentifierRisk> {
    let mut risks = Risks(BTreeMap::new());
    for file in files {
        if let Some(what) = risk_in_path(&file.path) {
            risks.note(what, 1, &file.path);
        }
        match &file.holds {
            Holds::Dicom(dicom) => {
                for field in &catalogue.identifying[dicom.identifying] {
                    risks.note(&format!("DICOM {field}"), 1, &file.path);
                }
                match dicom.burned_in {
                    Some(true) => risks.note("writing in the pixels: BurnedInAnnotation says YES", 1, &file.path),
                    None if dicom.is_written_on && dicom.is_image() => {
                        let what =
                            "writing in the pixels is likely: capture or ultrasound, BurnedInAnnotation not stated";
                        risks.note(what, 1, &file.path);
                    }
                    _ => {}
                }
            }
            Holds::Picture(picture) => {
                if picture.slide.as_ref().is_some_and(|slide| slide.shows_label) {
                    risks.note("picture of the glass or its label in a whole slide", 1, &file.path);
                }
                if picture.has_metadata {
                    risks.note("metadata in pictures (EXIF or text): dates, places, devices, names", 1, &file.path);
                }
            }
            Holds::Text(TextKind::Plain)
                if [".csv", ".tsv", ".tab"].contains(&file.ending().to_lowercase().as_str()) =>
            {
                let header = read_head(&dir.join(&file.path));
                for column in tables::person_columns(&String::from_utf8_lossy(&header)) {
                    risks.note(&format!("column `{column}`"), 1, &file.path);
                }
            }
            _ => {}
        }
    }
    for annotation in annotations {
        let set = &annotation.set;
        match (&annotation.detail, set.kind) {
            (Detail::Table(table), _) if table.report.is_some() => {
                risks.note("free text in a table, which may name people", 1, &set.path);
            }
            (_, AnnotationKind::Fhir | AnnotationKind::Hl7v2 | AnnotationKind::Ccda) => {
                risks.note(&format!("{}: made to name patients and physicians", set.kind.name()), set.files, &set.path);
            }
            (_, AnnotationKind::TextReport | AnnotationKind::Bioc) => {
                risks.note("free text, which may name people", set.files, &set.path);
            }
            _ => {}
        }
    }
    let mut risks: Vec<IdentifierRisk> = risks.0.into_values().collect();
    risks.sort_by(|a, b| b.files.cmp(&a.files).then_with(|| a.what.cmp(&b.what)));
    risks
}

fn read_head(path: &Path) -> Vec<u8> {
    let mut head = Vec::new();
    // A file that has become unreadable since shows as having no identifiers; it is listed as broken elsewhere.
    let _ = std::fs::File::open(path).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head));
    head
}

/// What a path may give away: a date, or a word that announces a name.
fn risk_in_path(path: &str) -> Option<&'static str> {
    if path.split(|letter: char| !letter.is_ascii_digit()).any(is_date) || has_written_date(path) {
        return Some("date in a path");
    }
    let lower = path.to_lowercase();
    const WORDS: [&str; 8] =
        ["patientname", "patient_name", "name=", "mrn", "birthdate", "dob_", "surname", "lastname"];
    if WORDS.iter().any(|word| lower.contains(word)) {
        return Some("word in a path that announces a name or number of a patient");
    }
    // DICOM writes names as FAMILY^GIVEN, and exports take them over.
    path.contains('^').then_some("name of a person in a path, as DICOM writes it")
}

/// Whether eight digits are a calendar day from 1900 on, year first.
fn is_date(digits: &str) -> bool {
    let number = |range: std::ops::Range<usize>| digits.get(range).and_then(|part| part.parse::<u32>().ok());
    let (Some(year), Some(month), Some(day)) = (number(0..4), number(4..6), number(6..8)) else { return false };
    digits.len() == 8 && is_day(year, month, day)
}

fn is_day(year: u32, month: u32, day: u32) -> bool {
    (1900..2100).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day)
}

/// Whether a path has a day as `2019-04-03` or `2019_04_03`.
fn has_written_date(path: &str) -> bool {
    let words: Vec<&str> = path.split(|letter: char| !letter.is_ascii_digit()).collect();
    let separators: Vec<char> = path.chars().filter(|letter| !letter.is_ascii_digit()).collect();
    (0..words.len().saturating_sub(2)).any(|at| {
        let [year, month, day] = [words[at], words[at + 1], words[at + 2]];
        let lengths = (year.len(), month.len(), day.len()) == (4, 2, 2);
        let joined = separators.get(at) == separators.get(at + 1) && matches!(separators.get(at), Some('-' | '_'));
        let number = |text: &str| text.parse().unwrap_or(0);
        lengths && joined && is_day(number(year), number(month), number(day))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_told_from_numbers() {
        assert!(risk_in_path("scans/20190403/a.png").is_some());
        assert!(risk_in_path("scans/2019-04-03/a.png").is_some());
        assert!(risk_in_path("DOE^JANE/a.dcm").is_some());
        assert!(risk_in_path("scans/00000318_002.png").is_none());
        assert!(risk_in_path("scans/20191332.png").is_none());
        assert!(risk_in_path("scans/2019-13-03/1-02-03.png").is_none());
    }
}
