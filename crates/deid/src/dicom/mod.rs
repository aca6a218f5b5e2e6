//! DICOM files after PS3.15 Annex E: table E.1-1 of the edition in [`STANDARD`](crate::profile::STANDARD), with options.
//!
//! ```text
//! bytes -> tree.rs (every element, lengths checked) -> walk.rs (an action each: table.rs, value.rs) -> write.rs -> bytes
//! ```
//! The preamble, the file meta information, group lengths, and whatever follows the data set are never taken over. Bytes of
//! pixels are.

mod identifiers;
mod overlay;
mod pixels;
mod table;
mod tree;
mod value;
mod walk;
mod write;

pub use identifiers::{Identifier, IdentifierKind};
pub use walk::Tally;

use crate::error::{Error, Result};
use crate::key::Key;
use crate::picture::PixelRect;
use crate::profile::{self, Profile, ProfileOption};
use crate::text::Finder;
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use std::collections::{BTreeMap, BTreeSet};
use table::Family;
use tree::{DataSet, Element, Source};
use walk::Walk;
use write::Meta;

/// What is known of text in the pixels; it becomes BurnedInAnnotation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PixelText {
    /// Nobody looked: the attribute stays as it is.
    #[default]
    NotExamined,
    /// Looked for, none found: `NO` under Clean Pixel Data, else as it is.
    NoneFound,
    /// Found and painted over: `NO`.
    Blanked,
    /// Found and left: `YES`.
    Found,
}

/// How one file is treated.
#[derive(Clone, Copy)]
pub struct Settings<'s> {
    /// What is asked for.
    pub profile: &'s Profile,
    /// The project's secret.
    pub key: &'s Key,
    /// Finds identifiers in texts.
    pub finder: &'s Finder,
    /// What is known of the pixels.
    pub pixel_text: PixelText,
    /// Boxes to paint over in the pixels.
    pub blank: &'s [PixelRect],
    /// The most that a deflated file may grow to, in bytes.
    pub max_bytes: u64,
}

/// A de-identified file, and what was done to it.
#[derive(Debug, Clone)]
pub struct Deidentified {
    /// The file, in the transfer syntax it came in.
    pub bytes: Vec<u8>,
    /// The same without pixels: where short identifiers are searched.
    pub header_bytes: Vec<u8>,
    /// PatientID as it was; StudyInstanceUID where it is empty.
    pub patient: String,
    /// The pseudonym written in its place.
    pub pseudonym: String,
    /// New SOPInstanceUID, for the file's name; empty when the file had none.
    pub instance_uid: String,
    /// What was done, by attribute.
    pub tallies: BTreeMap<String, Tally>,
    /// What was removed, to be searched for in the output.
    pub identifiers: BTreeSet<Identifier>,
    /// Attributes whose kept text looks as if it named somebody, with the kind of what was found.
    pub suspicious: BTreeSet<String>,
    /// What this program cannot vouch for; such a file should be left out.
    pub concerns: Vec<String>,
}

/// De-identifies one DICOM file.
///
/// Errors: a length beyond the file, nesting or numbers beyond the limits, a DICOMDIR (its file names and records cannot be kept).
pub fn deidentify(bytes: &[u8], settings: &Settings) -> Result<Deidentified> {
    settings.profile.check()?;
    let source = Source::open(bytes, settings.max_bytes)?;
    let data_set = source.data_set()?;
    if data_set.contains_key(&tags::DIRECTORY_RECORD_SEQUENCE) {
        return Err(Error::Unsupported {
            what: "a DICOMDIR".into(),
            remedy: "make a new one from the de-identified files",
        });
    }
    let class_uid = text_of(&data_set, tags::SOP_CLASS_UID);
    let patient = match text_of(&data_set, tags::PATIENT_ID) {
        id if id.is_empty() => text_of(&data_set, tags::STUDY_INSTANCE_UID),
        id => id,
    };
    let mut walk = Walk::new(settings, &data_set, &patient, Family::of(&class_uid), source.big_endian());
    let mut cleaned = walk.root(data_set);
    if !settings.blank.is_empty() && !pixels::blank(&mut cleaned, settings.blank, source.big_endian()) {
        walk.concerns.push("text in the pixels cannot be painted over: they are compressed or of a rare kind".into());
    }
    record_method(&mut cleaned, settings, &walk);
    let instance_uid = text_of(&cleaned, tags::SOP_INSTANCE_UID);
    let meta = Meta { transfer_syntax: &source.transfer_syntax, class_uid: &class_uid, instance_uid: &instance_uid };
    let bytes = write::file_bytes(&meta, &cleaned);
    for tag in [tags::PIXEL_DATA, tags::FLOAT_PIXEL_DATA, tags::DOUBLE_FLOAT_PIXEL_DATA] {
        cleaned.remove(&tag);
    }
    // Without deflation: compressed bytes cannot be searched.
    let searched = Meta { transfer_syntax: searchable(&source.transfer_syntax), ..meta };
    let header_bytes = write::file_bytes(&searched, &cleaned);
    drop(cleaned);
    Ok(Deidentified {
        bytes,
        header_bytes,
        pseudonym: settings.key.pseudonym(&patient),
        patient,
        instance_uid,
        tallies: walk.tallies,
        identifiers: walk.identifiers,
        suspicious: walk.suspicious,
        concerns: walk.concerns,
    })
}

fn searchable(transfer_syntax: &str) -> &str {
    if transfer_syntax == tree::DEFLATED { tree::EXPLICIT_LITTLE_ENDIAN } else { transfer_syntax }
}

fn text_of(data_set: &DataSet, tag: Tag) -> String {
    let bytes = data_set.get(&tag).map(Element::plain).unwrap_or_default();
    String::from_utf8_lossy(bytes).trim_matches(|c: char| c == '\0' || c.is_whitespace()).to_string()
}

/// PS3.15 E.2 and PS3.3 C.7.1.1, C.12.1: what a de-identified file says about itself.
fn record_method(data_set: &mut DataSet, settings: &Settings, walk: &Walk) {
    let profile = settings.profile;
    let text = |vr: &[u8; 2], value: &str| Element::bytes(vr, write::padded(value.as_bytes().to_vec(), b' '));
    data_set.insert(tags::PATIENT_IDENTITY_REMOVED, text(b"CS", "YES"));
    let method = format!("gmai deid {}\\{}", env!("CARGO_PKG_VERSION"), profile::STANDARD);
    data_set.insert(tags::DEIDENTIFICATION_METHOD, text(b"LO", &method));
    let codes = std::iter::once(profile::BASIC).chain(profile.options.iter().map(|option| option.code()));
    let items = codes.map(|code| {
        DataSet::from([
            (tags::CODE_VALUE, text(b"SH", code.value)),
            (tags::CODING_SCHEME_DESIGNATOR, text(b"SH", "DCM")),
            (tags::CODE_MEANING, text(b"LO", code.meaning)),
        ])
    });
    data_set.insert(tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE, Element::items(items.collect()));
    let dates = if profile.has(ProfileOption::RetainFullDates) {
        "UNMODIFIED"
    } else if profile.has(ProfileOption::RetainModifiedDates) {
        "MODIFIED"
    } else {
        "REMOVED"
    };
    data_set.insert(tags::LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED, text(b"CS", dates));
    let burned_in = match settings.pixel_text {
        PixelText::Found => Some("YES"),
        PixelText::Blanked => Some("NO"),
        PixelText::NoneFound if profile.has(ProfileOption::CleanPixelData) => Some("NO"),
        PixelText::NoneFound | PixelText::NotExamined => None,
    };
    if let Some(burned_in) = burned_in {
        data_set.insert(tags::BURNED_IN_ANNOTATION, text(b"CS", burned_in));
    }
    // A file without PatientID gets its pseudonym all the same, so that its pictures stay together.
    let pseudonym = || text(b"LO", &settings.key.pseudonym(walk.patient()));
    data_set.entry(tags::PATIENT_ID).or_insert_with(pseudonym);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests;
