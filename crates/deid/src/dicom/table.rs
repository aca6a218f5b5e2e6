//! What table E.1-1 asks for an attribute, with its options and choices resolved.

use super::tree::{self, name_of};
use crate::profile::{Profile, ProfileOption};
use dicom_core::Tag;
use std::collections::HashMap;
use std::sync::LazyLock;

static TABLE: &str = include_str!("table_e1_1.tsv");
static TYPES: &str = include_str!("types.tsv");
static SAFE_PRIVATE: &str = include_str!("safe_private.tsv");

/// What is to be done with an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// K; sequences are walked.
    Keep,
    /// X.
    Remove,
    /// Z.
    Empty,
    /// D.
    Dummy,
    /// U.
    NewUid,
    /// C for dates: moved by the patient's days.
    ShiftDate,
    /// C for texts: identifiers replaced, the rest stays.
    CleanText,
    /// C for structured content: codes and numbers stay, texts are cleaned.
    CleanStructured,
    /// C for graphics: shapes stay, texts go.
    CleanGraphics,
}

/// What the table has no row for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// The table, or the rule for private and unknown attributes, decides.
    Listed(Action),
    /// A standard attribute that the table does not name: kept as its value representation allows.
    Unlisted,
}

/// One row.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// `X`, `Z`, `D`, `U` or choices of them.
    pub(super) basic: &'static str,
    options: Vec<(ProfileOption, char)>,
}

/// All rows by tag; repeating groups stand under their first group (5000, 6000).
pub(super) static ROWS: LazyLock<HashMap<Tag, Row>> = LazyLock::new(|| {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| row(line).unwrap_or_else(|| panic!("table E.1-1: bad row {line}"))).collect()
});

fn row(line: &'static str) -> Option<(Tag, Row)> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [tag, _name, basic, options] = fields[..] else { return None };
    let options = options.split_whitespace().map(|option| {
        let (key, letter) = option.split_once('=')?;
        Some((option_of(key)?, letter.chars().next()?))
    });
    Some((tag_of(tag)?, Row { basic, options: options.collect::<Option<_>>()? }))
}

fn option_of(key: &str) -> Option<ProfileOption> {
    Some(match key {
        "private" => ProfileOption::RetainSafePrivate,
        "uids" => ProfileOption::RetainUids,
        "device" => ProfileOption::RetainDevice,
        "institution" => ProfileOption::RetainInstitution,
        "patient" => ProfileOption::RetainPatientCharacteristics,
        "full_dates" => ProfileOption::RetainFullDates,
        "modified_dates" => ProfileOption::RetainModifiedDates,
        "descriptors" => ProfileOption::CleanDescriptors,
        "structured" => ProfileOption::CleanStructuredContent,
        "graphics" => ProfileOption::CleanGraphics,
        _ => return None,
    })
}

fn tag_of(text: &str) -> Option<Tag> {
    let (group, element) = text.split_once(',')?;
    let number = |text: &str| u16::from_str_radix(&text.replace('x', "0"), 16).ok();
    Some(Tag(number(group)?, number(element)?))
}

/// SOP classes that share types of attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Family {
    /// Classic single-frame images: CR, CT, MR, US, NM, SC, XA, PET.
    Plain,
    /// DX, mammography, intra-oral.
    DigitalXray,
    /// Enhanced multi-frame images, segmentations, whole slides.
    Enhanced,
    /// Structured reports and key object selections.
    StructuredReport,
    /// Presentation states.
    Presentation,
    /// Radiotherapy.
    Radiotherapy,
    /// Everything else.
    Other,
}

impl Family {
    pub(super) fn of(class_uid: &str) -> Family {
        let Some(rest) = class_uid.strip_prefix("1.2.840.10008.5.1.4.1.1.") else { return Family::Other };
        let starts = |prefixes: &[&str]| {
            prefixes
                .iter()
                .any(|prefix| rest.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
        };
        if ["1", "2", "4", "6.1", "3.1", "7", "20", "12.1", "12.2", "128"].contains(&rest) {
            Family::Plain
        } else if starts(&["1"]) {
            Family::DigitalXray
        } else if starts(&["88"]) {
            Family::StructuredReport
        } else if starts(&["481"]) {
            Family::Radiotherapy
        } else if starts(&["11"]) {
            Family::Presentation
        } else if starts(&["2", "4", "6", "12", "13", "30", "66", "77.1.6", "128", "130"]) {
            Family::Enhanced
        } else {
            Family::Other
        }
    }

    fn key(self) -> &'static str {
        match self {
            Family::Plain => "plain",
            Family::DigitalXray => "digital_xray",
            Family::Enhanced => "enhanced",
            Family::StructuredReport => "sr",
            Family::Presentation => "presentation",
            Family::Radiotherapy => "rt",
            Family::Other => "other",
        }
    }
}

static TYPE_ROWS: LazyLock<HashMap<(Tag, &'static str), u8>> = LazyLock::new(|| {
    let mut types = HashMap::new();
    for line in TYPES.lines().filter(|line| !line.starts_with('#')) {
        let (tag, families) = line.split_once('\t').unwrap_or_else(|| panic!("types: bad row {line}"));
        let tag = tag_of(tag).unwrap_or_else(|| panic!("types: bad tag {line}"));
        for entry in families.split_whitespace() {
            let (family, number) = entry.split_once('=').unwrap_or_else(|| panic!("types: bad entry {line}"));
            types.insert((tag, family), number.parse().unwrap_or_else(|_| panic!("types: bad type {line}")));
        }
    }
    types
});

/// Type of an attribute outside sequences: 1, 2 or 3; `None` when it is not known.
fn type_of(tag: Tag, family: Family) -> Option<u8> {
    let all = if family == Family::Other { None } else { TYPE_ROWS.get(&(tag, "all")) };
    TYPE_ROWS.get(&(tag, family.key())).or(all).copied()
}

/// Where an element stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Outside sequences.
    Root,
    /// In an item.
    Nested,
}

/// What is to be done with a standard or private element.
pub(super) fn rule(tag: Tag, profile: &Profile, family: Family, place: Place) -> Rule {
    if tag.1 == 0 || tag.0 < 0x0008 || tag.0 % 2 == 1 {
        return Rule::Listed(Action::Remove); // Group lengths, commands, directories; private ones are looked at by the caller.
    }
    match tag.0 {
        // A curve has no raster to look at, so it cannot be cleaned.
        0x5000..=0x50FF => return Rule::Listed(Action::Remove),
        // All attributes of an overlay plane go or stay together; whether it may stay is told from its bits by the caller.
        0x6000..=0x60FF => {
            let comments = matches!(tag.1, 0x4000 | 0x0022 | 0x1500);
            let stays = profile.has(ProfileOption::CleanGraphics) && !comments;
            return Rule::Listed(if stays { Action::Keep } else { Action::Remove });
        }
        _ => {}
    }
    match ROWS.get(&tag) {
        Some(row) => Rule::Listed(resolve(tag, row, profile, family, place)),
        None if tree::standard_vr(tag).is_none() => Rule::Listed(Action::Remove),
        None => Rule::Unlisted,
    }
}

fn resolve(tag: Tag, row: &Row, profile: &Profile, family: Family, place: Place) -> Action {
    let asked = || row.options.iter().filter(|(option, _)| profile.has(*option));
    if asked().any(|(_, letter)| *letter == 'K') {
        return Action::Keep;
    }
    for (option, _) in asked() {
        match option {
            ProfileOption::RetainModifiedDates => return Action::ShiftDate,
            ProfileOption::CleanDescriptors | ProfileOption::RetainPatientCharacteristics => return Action::CleanText,
            ProfileOption::CleanStructuredContent => return Action::CleanStructured,
            ProfileOption::CleanGraphics => return Action::CleanGraphics,
            _ => {} // C for device: AE titles cannot be cleaned, so the basic profile holds.
        }
    }
    // U*: references stay, with new UIDs in their items. Without them, series would fall apart.
    if row.basic.contains("U*") {
        return Action::Keep;
    }
    let has = |letter: char| row.basic.contains(letter);
    let known = if place == Place::Root { type_of(tag, family) } else { None };
    match known {
        Some(3) if has('X') => Action::Remove,
        Some(2 | 3) if has('Z') => Action::Empty,
        _ if has('U') => Action::NewUid,
        _ if has('D') => Action::Dummy,
        _ if has('Z') => Action::Empty,
        _ => Action::Remove,
    }
}

/// Whether a private element may stay under Retain Safe Private: its creator is known, and it holds numbers.
pub(super) fn is_safe_private(creator: &str, tag: Tag) -> bool {
    static ENTRIES: LazyLock<Vec<(&str, u16, u16)>> = LazyLock::new(|| {
        let lines = SAFE_PRIVATE.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| {
                let fields: Vec<&str> = line.split('\t').collect();
                let number =
                    |text: &str| u16::from_str_radix(text, 16).unwrap_or_else(|_| panic!("safe private: {line}"));
                (fields[0], number(fields[1]), number(fields[2]))
            })
            .collect()
    });
    ENTRIES.iter().any(|(name, group, element)| *name == creator && *group == tag.0 && *element == tag.1 & 0xFF)
}

/// The standard's name of an attribute for reports.
pub(super) fn report_name(tag: Tag) -> String {
    if tag.0 % 2 == 1 {
        return "private attributes".into();
    }
    match tag.0 {
        0x5000..=0x50FF => "curves (50xx)".into(),
        0x6000..=0x60FF => "overlays (60xx)".into(),
        _ => name_of(tag),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(tag: Tag, family: Family) -> Rule {
        rule(tag, &Profile::default(), family, Place::Root)
    }

    #[test]
    fn table_is_whole() {
        assert_eq!(ROWS.len(), 620);
        assert_eq!(ROWS[&Tag(0x0010, 0x0010)].basic, "Z");
        assert!(ROWS.values().all(|row| row.basic.split('/').all(|part| ["X", "Z", "D", "U", "U*"].contains(&part))));
    }

    #[test]
    fn choices_follow_the_type() {
        let serial_number = Tag(0x0018, 0x1000); // X/Z/D
        assert_eq!(basic(serial_number, Family::Plain), Rule::Listed(Action::Remove));
        assert_eq!(basic(serial_number, Family::Enhanced), Rule::Listed(Action::Dummy));
        let operators = Tag(0x0008, 0x1070); // X/Z/D, type 2 in radiotherapy
        assert_eq!(basic(operators, Family::Radiotherapy), Rule::Listed(Action::Empty));
        assert_eq!(basic(operators, Family::Other), Rule::Listed(Action::Dummy));
        assert_eq!(basic(Tag(0x0008, 0x0022), Family::of("1.2.840.10008.5.1.4.1.1.2")), Rule::Listed(Action::Remove));
    }

    #[test]
    fn options_change_what_they_name() {
        let profile = Profile::with_options([ProfileOption::RetainModifiedDates, ProfileOption::CleanDescriptors]);
        let profile = profile.expect("these go together");
        let rule = |tag| rule(tag, &profile, Family::Plain, Place::Root);
        assert_eq!(rule(Tag(0x0008, 0x0020)), Rule::Listed(Action::ShiftDate));
        assert_eq!(rule(Tag(0x0008, 0x103E)), Rule::Listed(Action::CleanText));
        assert_eq!(rule(Tag(0x0010, 0x0010)), Rule::Listed(Action::Empty));
    }

    #[test]
    fn private_unknown_and_drawn_things_go_by_default() {
        for tag in
            [Tag(0x0009, 0x1001), Tag(0x0008, 0xFFF0), Tag(0x5002, 0x3000), Tag(0x6010, 0x0010), Tag(0x0088, 0x0200)]
        {
            assert_eq!(basic(tag, Family::Plain), Rule::Listed(Action::Remove), "{tag}");
        }
        assert_eq!(basic(Tag(0x0028, 0x0010), Family::Plain), Rule::Unlisted);
    }

    #[test]
    fn classes_fall_into_their_families() {
        let family = |rest: &str| Family::of(&format!("1.2.840.10008.5.1.4.1.1.{rest}"));
        assert_eq!(family("1.1"), Family::DigitalXray);
        assert_eq!(family("2.1"), Family::Enhanced);
        assert_eq!(family("88.59"), Family::StructuredReport);
        assert_eq!(family("481.3"), Family::Radiotherapy);
        assert_eq!(family("104.1"), Family::Other);
    }
}
