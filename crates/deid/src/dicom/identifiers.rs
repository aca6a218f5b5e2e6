//! What was removed: kept in memory only, to be searched for in the output.

use super::tree::{DataSet, Element, Value};
use super::value::{self, Charset};
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use std::collections::BTreeSet;

/// Longest piece of a value that is searched for, in characters.
const MAX_LENGTH: usize = 200;
/// Most identifiers noted for one file.
const MAX_IDENTIFIERS: usize = 20_000;

/// What an identifier tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IdentifierKind {
    /// Part of a person's name.
    Name,
    /// Number of a patient, an examination or an insurance; birth date; address; telephone.
    Number,
    /// UID that was replaced.
    Uid,
    /// Another date.
    Date,
    /// Another text.
    Text,
}

impl IdentifierKind {
    /// Whether it tells by itself who the patient is: such a one must never be found in the output.
    pub fn is_direct(self) -> bool {
        matches!(self, IdentifierKind::Name | IdentifierKind::Number | IdentifierKind::Uid)
    }
}

/// A value that was removed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identifier {
    /// What it tells.
    pub kind: IdentifierKind,
    /// The value, or a part of it.
    pub text: String,
}

/// Attributes whose values are numbers of people, or lead to their door; retired ones are still written.
#[allow(deprecated)]
const NUMBERS: [Tag; 22] = [
    tags::PATIENT_ID,
    tags::OTHER_PATIENT_I_DS,
    tags::ACCESSION_NUMBER,
    tags::ADMISSION_ID,
    tags::MEDICAL_RECORD_LOCATOR,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_ADDRESS,
    tags::PATIENT_TELEPHONE_NUMBERS,
    tags::PATIENT_TELECOM_INFORMATION,
    tags::CLINICAL_TRIAL_SUBJECT_ID,
    tags::INSURANCE_PLAN_IDENTIFICATION,
    tags::MILITARY_RANK,
    tags::REFERRING_PHYSICIAN_ADDRESS,
    tags::REFERRING_PHYSICIAN_TELEPHONE_NUMBERS,
    tags::PERSON_ADDRESS,
    tags::PERSON_TELEPHONE_NUMBERS,
    tags::INSTITUTION_ADDRESS,
    tags::INSTITUTION_NAME,
    tags::SERVICE_EPISODE_ID,
    tags::PLACER_ORDER_NUMBER_IMAGING_SERVICE_REQUEST,
    tags::FILLER_ORDER_NUMBER_IMAGING_SERVICE_REQUEST,
    tags::REQUESTED_PROCEDURE_ID,
];

/// Words of PN values that are no names.
const NO_NAMES: [&str; 14] = [
    "anonymous",
    "anonymized",
    "anon",
    "removed",
    "test",
    "phantom",
    "unknown",
    "none",
    "patient",
    "doctor",
    "the",
    "and",
    "prof",
    "med",
];

/// Notes everything that an element tells, at any depth.
pub(super) fn note(identifiers: &mut BTreeSet<Identifier>, tag: Tag, element: &Element, charset: Charset) {
    match &element.value {
        Value::Items(items) => items.iter().for_each(|item| note_all(identifiers, item, charset)),
        Value::Fragments(_) => {}
        Value::Bytes(bytes) if identifiers.len() < MAX_IDENTIFIERS => {
            note_value(identifiers, tag, element.vr, bytes, charset);
        }
        Value::Bytes(_) => {}
    }
}

/// [`note`] for all elements of a data set.
fn note_all(identifiers: &mut BTreeSet<Identifier>, data_set: &DataSet, charset: Charset) {
    data_set.iter().for_each(|(tag, element)| note(identifiers, *tag, element, charset));
}

/// The direct identifiers of the whole tree: what texts are searched for.
pub(super) fn direct(data_set: &DataSet, charset: Charset) -> BTreeSet<Identifier> {
    let mut all = BTreeSet::new();
    note_all(&mut all, data_set, charset);
    all.retain(|identifier| matches!(identifier.kind, IdentifierKind::Name | IdentifierKind::Number));
    all
}

fn note_value(into: &mut BTreeSet<Identifier>, tag: Tag, vr: [u8; 2], bytes: &[u8], charset: Charset) {
    let printable = || {
        bytes.len() < 4096 && bytes.iter().all(|byte| *byte == 0 || *byte == b'\r' || *byte == b'\n' || *byte >= 0x20)
    };
    if !(value::is_text(vr) || (vr == *b"UN" && printable())) {
        return;
    }
    let text = charset.decode(bytes).unwrap_or_else(|| Charset::Latin1.decode(bytes).unwrap_or_default());
    for part in text.split(['\\', '\0']).map(str::trim).filter(|part| !part.is_empty()) {
        let mut add = |kind: IdentifierKind, text: &str| {
            into.insert(Identifier { kind, text: text.chars().take(MAX_LENGTH).collect() });
        };
        let length = part.chars().count();
        match &vr {
            b"PN" => names(part).into_iter().for_each(|name| add(IdentifierKind::Name, &name)),
            b"UI" if !part.starts_with("1.2.840.10008.") && length >= 8 => add(IdentifierKind::Uid, part),
            b"UI" | b"TM" | b"CS" | b"AS" | b"DS" | b"IS" => {}
            _ if NUMBERS.contains(&tag) && length >= 4 => add(IdentifierKind::Number, part),
            b"DA" if length >= 8 => add(IdentifierKind::Date, part),
            b"DT" if length >= 8 => {
                add(IdentifierKind::Date, &part[..part.char_indices().nth(8).map_or(part.len(), |(at, _)| at)])
            }
            _ if length >= 6 => add(IdentifierKind::Text, part),
            _ => {}
        }
    }
}

/// The words of a PN value that could be somebody's name.
fn names(value: &str) -> Vec<String> {
    let words = value.split(|letter: char| !letter.is_alphanumeric() && letter != '-' && letter != '\'');
    let is_name = |word: &&str| {
        let letters = word.chars().filter(|letter| letter.is_alphabetic()).count();
        let wide = word.chars().any(|letter| u32::from(letter) > 0x2E80); // One Chinese character is a family name.
        (letters >= 3 || (wide && letters >= 2)) && !NO_NAMES.contains(&word.to_lowercase().as_str())
    };
    words.filter(is_name).map(str::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        assert_eq!(names("O'Neil-Smith^Mary Ann^^Dr"), ["O'Neil-Smith", "Mary", "Ann"]);
        assert_eq!(names("Wang^XiaoDong=王^小东"), ["Wang", "XiaoDong", "小东"]);
        assert!(names("Anonymous^^").is_empty());
    }
}
