//! What could tell who a patient is: header fields, dates in names, columns. Values are never taken over.

use super::IdentifierRisk;
use super::annotations::Annotation;
use super::files::{FileFacts, Holds, TextKind};
use super::tables;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

/// Identifying attributes looked for, with the value representation that explicit transfer syntaxes write before the value.
const DICOM_FIELDS: [(&str, [u8; 4], [u8; 2]); 11] = [
    ("AccessionNumber", [0x08, 0x00, 0x50, 0x00], *b"SH"),
    ("InstitutionName", [0x08, 0x00, 0x80, 0x00], *b"LO"),
    ("InstitutionAddress", [0x08, 0x00, 0x81, 0x00], *b"ST"),
    ("ReferringPhysicianName", [0x08, 0x00, 0x90, 0x00], *b"PN"),
    ("StudyDate", [0x08, 0x00, 0x20, 0x00], *b"DA"),
    ("PatientName", [0x10, 0x00, 0x10, 0x00], *b"PN"),
    ("PatientID", [0x10, 0x00, 0x20, 0x00], *b"LO"),
    ("PatientBirthDate", [0x10, 0x00, 0x30, 0x00], *b"DA"),
    ("OtherPatientIDs", [0x10, 0x00, 0x00, 0x10], *b"LO"),
    ("PatientAddress", [0x10, 0x00, 0x40, 0x10], *b"LO"),
    ("PatientTelephoneNumbers", [0x10, 0x00, 0x54, 0x21], *b"SH"),
];

/// Bytes of a DICOM file searched: the patient's fields stand near the front.
const HEADER_BYTES: u64 = 64 << 10;

/// Collects what is at risk, most files first.
pub(super) fn find(dir: &Path, files: &[FileFacts], annotations: &[Annotation]) -> Vec<IdentifierRisk> {
    let mut risks: BTreeMap<String, IdentifierRisk> = BTreeMap::new();
    let mut note = |what: String, path: &str| {
        let risk =
            risks.entry(what.clone()).or_insert_with(|| IdentifierRisk { what, files: 0, example: path.to_owned() });
        risk.files += 1;
    };
    for file in files {
        if let Some(what) = risk_in_path(&file.path) {
            note(what.to_owned(), &file.path);
        }
        match file.holds {
            Holds::Dicom => dicom_fields(&dir.join(&file.path))
                .into_iter()
                .for_each(|field| note(format!("DICOM {field}"), &file.path)),
            Holds::Text(TextKind::Plain) if [".csv", ".tsv"].contains(&file.ending().to_lowercase().as_str()) => {
                let header = read_head(&dir.join(&file.path));
                let text = String::from_utf8_lossy(&header);
                let first = text.lines().next().unwrap_or_default();
                for column in tables::person_columns(first) {
                    note(format!("column `{column}`"), &file.path);
                }
            }
            _ => {}
        }
    }
    let reports = annotations.iter().filter(|annotation| match &annotation.detail {
        super::annotations::Detail::Table(table) => table.report_column().is_some(),
        _ => false,
    });
    for annotation in reports {
        note("free text in a table, which may name people".to_owned(), &annotation.set.path);
    }
    let mut risks: Vec<IdentifierRisk> = risks.into_values().collect();
    risks.sort_by(|a, b| b.files.cmp(&a.files).then_with(|| a.what.cmp(&b.what)));
    risks
}

fn read_head(path: &Path) -> Vec<u8> {
    let mut head = Vec::new();
    // A file that has become unreadable since shows as having no identifiers; it is listed as broken elsewhere.
    let _ = std::fs::File::open(path).and_then(|file| file.take(HEADER_BYTES).read_to_end(&mut head));
    head
}

/// Names of the identifying attributes that have a value.
fn dicom_fields(path: &Path) -> Vec<&'static str> {
    let head = read_head(path);
    DICOM_FIELDS.iter().filter(|(_, tag, kind)| has_value(&head, *tag, *kind)).map(|(name, _, _)| *name).collect()
}

/// Whether a little-endian header holds `tag` with a value that is not blank, in explicit or implicit form.
fn has_value(head: &[u8], tag: [u8; 4], kind: [u8; 2]) -> bool {
    head.windows(8).enumerate().filter(|(_, window)| window[..4] == tag).any(|(start, window)| {
        let length = if window[4..6] == kind {
            usize::from(u16::from_le_bytes([window[6], window[7]]))
        } else {
            u32::from_le_bytes([window[4], window[5], window[6], window[7]]) as usize
        };
        let value = head.get(start + 8..start + 8 + length.min(1024)).unwrap_or_default();
        let printable = value.iter().all(|byte| *byte == 0 || *byte >= 0x20);
        length <= 1024 && printable && value.iter().any(|byte| !matches!(byte, 0 | b' '))
    })
}

/// What a path may give away: a date, or a word that announces a name.
fn risk_in_path(path: &str) -> Option<&'static str> {
    if path.split(|letter: char| !letter.is_ascii_digit()).any(is_date) {
        return Some("date in a path");
    }
    let lower = path.to_lowercase();
    const WORDS: [&str; 6] = ["patientname", "patient_name", "name=", "mrn", "birthdate", "dob_"];
    WORDS
        .iter()
        .any(|word| lower.contains(word))
        .then_some("word in a path that announces a name or number of a patient")
}

/// Whether eight digits are a calendar day from 1900 on, year first.
fn is_date(digits: &str) -> bool {
    let number = |range: std::ops::Range<usize>| digits.get(range).and_then(|part| part.parse::<u32>().ok());
    let (Some(year), Some(month), Some(day)) = (number(0..4), number(4..6), number(6..8)) else { return false };
    digits.len() == 8 && (1900..2100).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_told_from_numbers() {
        assert!(risk_in_path("scans/20190403/a.png").is_some());
        assert!(risk_in_path("scans/00000318_002.png").is_none());
        assert!(risk_in_path("scans/20191332.png").is_none());
    }

    #[test]
    fn blank_header_fields_are_no_risk() {
        let tag = [0x10, 0, 0x10, 0];
        assert!(has_value(b"\x10\0\x10\0PN\x04\0A^B ", tag, *b"PN"));
        assert!(has_value(b"\x10\0\x10\0\x04\0\0\0A^B ", tag, *b"PN"));
        assert!(!has_value(b"\x10\0\x10\0PN\x02\0  ", tag, *b"PN"));
        assert!(!has_value(b"\x10\0\x10\0PN\0\0", tag, *b"PN"));
    }
}
