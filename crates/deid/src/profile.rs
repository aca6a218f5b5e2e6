//! What is asked for: the basic profile of DICOM PS3.15 Annex E with its options.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Edition of the standard whose table E.1-1 is followed.
pub const STANDARD: &str = "DICOM PS3.15 2024e, table E.1-1";

/// An option of PS3.15 E.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProfileOption {
    /// E.3.1: text burned into pictures is looked for and blanked.
    CleanPixelData,
    /// E.3.3: overlays stay when no text is found in them, graphics without their texts.
    CleanGraphics,
    /// E.3.4: structured reports keep codes and numbers; their texts are cleaned.
    CleanStructuredContent,
    /// E.3.5: descriptions stay without the identifiers found in them.
    CleanDescriptors,
    /// E.3.6: dates stay as they are.
    RetainFullDates,
    /// E.3.6: dates are moved by a number of days of the patient's own; distances stay.
    RetainModifiedDates,
    /// E.3.7: sex, age, size, weight and the like stay.
    RetainPatientCharacteristics,
    /// E.3.8: device identity stays.
    RetainDevice,
    /// E.3.9: UIDs stay.
    RetainUids,
    /// E.3.10: private attributes that are known to be safe stay.
    RetainSafePrivate,
    /// E.3.11: the institution stays.
    RetainInstitution,
}

/// A concept of DICOM's own coding scheme `DCM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// Code value.
    pub value: &'static str,
    /// Code meaning.
    pub meaning: &'static str,
}

/// CID 7050: the basic profile itself.
pub(crate) const BASIC: Code = Code { value: "113100", meaning: "Basic Application Confidentiality Profile" };

impl ProfileOption {
    /// All options.
    pub const ALL: [ProfileOption; 11] = [
        ProfileOption::CleanPixelData,
        ProfileOption::CleanGraphics,
        ProfileOption::CleanStructuredContent,
        ProfileOption::CleanDescriptors,
        ProfileOption::RetainFullDates,
        ProfileOption::RetainModifiedDates,
        ProfileOption::RetainPatientCharacteristics,
        ProfileOption::RetainDevice,
        ProfileOption::RetainUids,
        ProfileOption::RetainSafePrivate,
        ProfileOption::RetainInstitution,
    ];

    /// Name in configs and on the command line.
    pub fn key(self) -> &'static str {
        match self {
            ProfileOption::CleanPixelData => "clean_pixel_data",
            ProfileOption::CleanGraphics => "clean_graphics",
            ProfileOption::CleanStructuredContent => "clean_structured_content",
            ProfileOption::CleanDescriptors => "clean_descriptors",
            ProfileOption::RetainFullDates => "retain_full_dates",
            ProfileOption::RetainModifiedDates => "retain_modified_dates",
            ProfileOption::RetainPatientCharacteristics => "retain_patient_characteristics",
            ProfileOption::RetainDevice => "retain_device",
            ProfileOption::RetainUids => "retain_uids",
            ProfileOption::RetainSafePrivate => "retain_safe_private",
            ProfileOption::RetainInstitution => "retain_institution",
        }
    }

    /// The option of that name.
    pub fn from_key(key: &str) -> Option<ProfileOption> {
        ProfileOption::ALL.into_iter().find(|option| option.key() == key)
    }

    /// Its concept in CID 7050.
    pub fn code(self) -> Code {
        let (value, meaning) = match self {
            ProfileOption::CleanPixelData => ("113101", "Clean Pixel Data Option"),
            ProfileOption::CleanGraphics => ("113103", "Clean Graphics Option"),
            ProfileOption::CleanStructuredContent => ("113104", "Clean Structured Content Option"),
            ProfileOption::CleanDescriptors => ("113105", "Clean Descriptors Option"),
            ProfileOption::RetainFullDates => ("113106", "Retain Longitudinal Temporal Information Full Dates Option"),
            ProfileOption::RetainModifiedDates => {
                ("113107", "Retain Longitudinal Temporal Information Modified Dates Option")
            }
            ProfileOption::RetainPatientCharacteristics => ("113108", "Retain Patient Characteristics Option"),
            ProfileOption::RetainDevice => ("113109", "Retain Device Identity Option"),
            ProfileOption::RetainUids => ("113110", "Retain UIDs Option"),
            ProfileOption::RetainSafePrivate => ("113111", "Retain Safe Private Option"),
            ProfileOption::RetainInstitution => ("113112", "Retain Institution Identity Option"),
        };
        Code { value, meaning }
    }
}

/// What identifiers in texts are replaced by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Replacement {
    /// `[NAME]`, `[DATE]` and the like.
    #[default]
    Tag,
    /// Made-up values of the same kind; dates moved as the patient's other dates.
    Surrogate,
    /// Underscores of a fixed number.
    Blank,
}

/// What happens to pictures in which text seems to be burned in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BurnedIn {
    /// They are left out and listed.
    #[default]
    Quarantine,
    /// The boxes are painted black where the pixels are stored plainly; else as [`BurnedIn::Quarantine`].
    Blank,
    /// They are written as they are, and listed.
    Flag,
}

/// A profile with its options. The default is the basic profile without any: all dates, characteristics and texts go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Profile {
    /// Options beyond the basic profile.
    pub options: BTreeSet<ProfileOption>,
    /// What identifiers in texts are replaced by.
    pub replacement: Replacement,
    /// What happens to pictures with burned-in text.
    pub burned_in: BurnedIn,
}

impl Profile {
    /// The basic profile with options; fails when they exclude each other.
    pub fn with_options(options: impl IntoIterator<Item = ProfileOption>) -> Result<Profile> {
        let profile = Profile { options: options.into_iter().collect(), ..Profile::default() };
        profile.check()?;
        Ok(profile)
    }

    /// Fails when options exclude each other.
    pub fn check(&self) -> Result<()> {
        if self.has(ProfileOption::RetainFullDates) && self.has(ProfileOption::RetainModifiedDates) {
            return Err(Error::Options { first: "retain_full_dates", second: "retain_modified_dates" });
        }
        Ok(())
    }

    /// Whether an option was asked for.
    pub fn has(&self, option: ProfileOption) -> bool {
        self.options.contains(&option)
    }

    /// The profile in one line, for `provenance.deidentification` and DeidentificationMethod's companions.
    pub fn name(&self) -> String {
        let mut name = format!("{STANDARD}: basic profile");
        for option in &self.options {
            name.push_str(" + ");
            name.push_str(option.key());
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_and_modified_dates_exclude_each_other() {
        let both = [ProfileOption::RetainFullDates, ProfileOption::RetainModifiedDates];
        assert!(matches!(Profile::with_options(both), Err(Error::Options { .. })));
    }

    #[test]
    fn keys_are_those_of_configs() {
        for option in ProfileOption::ALL {
            assert_eq!(serde_json::to_value(option).expect("a string"), option.key());
            assert_eq!(ProfileOption::from_key(option.key()), Some(option));
        }
    }
}
