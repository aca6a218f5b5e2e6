//! One pass over the tree: an action for every element, counted by attribute.

use super::identifiers::{self, Identifier};
use super::overlay;
use super::table::{self, Action, Family, Place, Rule};
use super::tree::{self, DataSet, Element, Value};
use super::value::{self, Charset};
use super::write::padded;
use super::{Settings, text_of};
use crate::profile::ProfileOption;
use crate::text::{Known, Style, TextDates};
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// How often each thing was done to an attribute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Elements that are gone.
    pub removed: u64,
    /// Values made empty.
    pub emptied: u64,
    /// Values replaced by made-up ones or pseudonyms.
    pub replaced: u64,
    /// UIDs mapped.
    pub new_uids: u64,
    /// Dates moved.
    pub shifted: u64,
    /// Texts in which identifiers were replaced.
    pub cleaned: u64,
    /// Values kept as they are.
    pub kept: u64,
}

impl Tally {
    /// Adds another count.
    pub fn add(&mut self, other: &Tally) {
        self.removed += other.removed;
        self.emptied += other.emptied;
        self.replaced += other.replaced;
        self.new_uids += other.new_uids;
        self.shifted += other.shifted;
        self.cleaned += other.cleaned;
        self.kept += other.kept;
    }
}

/// What a sequence was kept for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// As any.
    Plain,
    /// Structured content or coded descriptors: texts are cleaned.
    Structured,
    /// Graphics: texts become made-up ones.
    Graphics,
}

/// UIDs that name kinds of things, not things.
const CLASS_UIDS: [Tag; 6] = [
    tags::SOP_CLASS_UID,
    tags::REFERENCED_SOP_CLASS_UID,
    tags::CODING_SCHEME_UID,
    tags::CONTEXT_UID,
    tags::MAPPING_RESOURCE_UID,
    tags::RELATED_GENERAL_SOP_CLASS_UID,
];

pub(super) struct Walk<'w> {
    settings: &'w Settings<'w>,
    patient: String,
    shift_days: i64,
    family: Family,
    charset: Charset,
    big_endian: bool,
    known: Known,
    pub(super) tallies: BTreeMap<String, Tally>,
    pub(super) identifiers: BTreeSet<Identifier>,
    pub(super) suspicious: BTreeSet<String>,
    pub(super) concerns: Vec<String>,
}

impl<'w> Walk<'w> {
    pub(super) fn new(
        settings: &'w Settings<'w>,
        data_set: &DataSet,
        patient: &str,
        family: Family,
        big_endian: bool,
    ) -> Walk<'w> {
        let charset = Charset::of(data_set.get(&tags::SPECIFIC_CHARACTER_SET).map(Element::plain));
        let direct = identifiers::direct(data_set, charset);
        Walk {
            settings,
            patient: patient.to_string(),
            shift_days: settings.key.shift_days(patient),
            family,
            charset,
            big_endian,
            known: Known::new(direct.into_iter().map(|identifier| identifier.text)),
            tallies: BTreeMap::new(),
            identifiers: BTreeSet::new(),
            suspicious: BTreeSet::new(),
            concerns: Vec::new(),
        }
    }

    pub(super) fn patient(&self) -> &str {
        &self.patient
    }

    /// The cleaned data set.
    pub(super) fn root<'a>(&mut self, mut data_set: DataSet<'a>) -> DataSet<'a> {
        self.concerns.extend(overlay::concerns(&data_set, self.big_endian));
        let keep_overlays = self.has(ProfileOption::CleanGraphics);
        for group in overlay::groups(&data_set) {
            if !keep_overlays || overlay::may_hold_text(&data_set, group, self.big_endian) {
                let removed: Vec<Tag> = data_set.keys().copied().filter(|tag| tag.0 == group).collect();
                for tag in removed {
                    let element = data_set.remove(&tag).expect("its tag was just listed");
                    self.remove(tag, &element);
                }
            }
        }
        self.data_set(data_set, Place::Root, Mode::Plain)
    }

    fn has(&self, option: ProfileOption) -> bool {
        self.settings.profile.has(option)
    }

    fn tally(&mut self, tag: Tag) -> &mut Tally {
        self.tallies.entry(table::report_name(tag)).or_default()
    }

    fn data_set<'a>(&mut self, data_set: DataSet<'a>, place: Place, mode: Mode) -> DataSet<'a> {
        let creators = self.safe_creators(&data_set);
        let mut kept = DataSet::new();
        for (tag, element) in data_set {
            let safe = tag.0 % 2 == 1 && creators.contains(&tag);
            let cleaned = if safe {
                self.tally(tag).kept += 1;
                Some(element)
            } else {
                self.element(tag, element, place, mode)
            };
            if let Some(element) = cleaned {
                kept.insert(tag, element);
            }
        }
        kept
    }

    /// Private elements that are known to be safe, with the elements that name their creators.
    fn safe_creators(&self, data_set: &DataSet) -> BTreeSet<Tag> {
        let mut safe = BTreeSet::new();
        if !self.has(ProfileOption::RetainSafePrivate) {
            return safe;
        }
        for (tag, element) in data_set.iter().filter(|(tag, _)| tag.0 % 2 == 1 && tag.1 >= 0x1000) {
            let creator_tag = Tag(tag.0, tag.1 >> 8);
            let creator = text_of(data_set, creator_tag);
            let numeric = matches!(&element.vr, b"US" | b"SS" | b"UL" | b"SL" | b"FL" | b"FD")
                || (matches!(&element.vr, b"DS" | b"IS") && value::has_form(*b"DS", element.vr, element.plain()));
            if numeric && table::is_safe_private(&creator, *tag) {
                safe.extend([*tag, creator_tag]);
            }
        }
        safe
    }

    fn element<'a>(&mut self, tag: Tag, element: Element<'a>, place: Place, mode: Mode) -> Option<Element<'a>> {
        let action = match table::rule(tag, self.settings.profile, self.family, place) {
            Rule::Listed(action) => action,
            Rule::Unlisted => return self.unlisted(tag, element, mode),
        };
        match action {
            Action::Remove => self.remove(tag, &element),
            Action::Empty => Some(self.empty(tag, element)),
            Action::Dummy => Some(self.dummy(tag, element)),
            Action::NewUid => self.new_uid(tag, element),
            Action::ShiftDate => self.shift(tag, element, mode),
            Action::Keep => self.keep(tag, element, mode),
            Action::CleanText => self.clean(tag, element, Mode::Structured),
            Action::CleanStructured => self.clean(tag, element, Mode::Structured),
            Action::CleanGraphics => self.clean(tag, element, Mode::Graphics),
        }
    }

    /// A standard attribute without a row: kept, but names, dates, addresses and free texts only as far as options allow.
    fn unlisted<'a>(&mut self, tag: Tag, element: Element<'a>, mode: Mode) -> Option<Element<'a>> {
        let standard = tree::standard_vr(tag).unwrap_or(element.vr);
        let vr = if element.vr == *b"UN" { standard } else { element.vr };
        if let Value::Items(_) = element.value {
            // Items where the standard has a plain value could hold anything.
            return if standard == *b"SQ" { self.keep(tag, element, mode) } else { self.remove(tag, &element) };
        }
        let texts_stay = mode == Mode::Structured || self.has(ProfileOption::CleanDescriptors);
        match &vr {
            b"PN" => Some(self.dummy(tag, element)),
            b"DA" | b"DT" | b"TM" if self.has(ProfileOption::RetainFullDates) => self.keep(tag, element, mode),
            b"DA" | b"DT" | b"TM" if self.has(ProfileOption::RetainModifiedDates) => self.shift(tag, element, mode),
            b"DA" | b"DT" | b"TM" => Some(self.empty(tag, element)),
            b"UI" if !CLASS_UIDS.contains(&tag) && !self.has(ProfileOption::RetainUids) => self.new_uid(tag, element),
            b"AE" if !self.has(ProfileOption::RetainDevice) => self.remove(tag, &element),
            b"ST" | b"LT" | b"UT" | b"UC" if texts_stay && mode != Mode::Graphics => self.clean(tag, element, mode),
            b"ST" | b"LT" | b"UT" | b"UC" | b"UR" => Some(self.dummy(tag, element)),
            b"LO" | b"SH" if mode == Mode::Structured => self.clean(tag, element, mode),
            _ => self.keep(tag, element, mode),
        }
    }

    pub(super) fn remove<'a>(&mut self, tag: Tag, element: &Element) -> Option<Element<'a>> {
        identifiers::note(&mut self.identifiers, tag, element, self.charset);
        self.tally(tag).removed += 1;
        None
    }

    fn empty<'a>(&mut self, tag: Tag, element: Element<'a>) -> Element<'a> {
        identifiers::note(&mut self.identifiers, tag, &element, self.charset);
        if let Some(value) = self.pseudonym(tag, &element) {
            self.tally(tag).replaced += 1;
            return Element::bytes(&element.vr, padded(value.into_bytes(), b' '));
        }
        self.tally(tag).emptied += 1;
        match element.value {
            Value::Items(_) => Element::items(Vec::new()),
            _ => Element::bytes(&element.vr, Vec::new()),
        }
    }

    /// Z allows a value that says nothing: pseudonyms keep files of one patient, and reports with their pictures, together.
    fn pseudonym(&self, tag: Tag, element: &Element) -> Option<String> {
        let value = String::from_utf8_lossy(element.plain()).trim_matches(['\0', ' ']).to_string();
        match tag {
            tags::PATIENT_ID if value.is_empty() => Some(self.settings.key.pseudonym(&self.patient)),
            tags::PATIENT_ID => Some(self.settings.key.pseudonym(&value)),
            tags::PATIENT_NAME => Some(self.settings.key.pseudonym(&self.patient)),
            tags::ACCESSION_NUMBER if !value.is_empty() => Some(self.settings.key.short("accession", &value, 'A')),
            _ => None,
        }
    }

    fn dummy<'a>(&mut self, tag: Tag, element: Element<'a>) -> Element<'a> {
        identifiers::note(&mut self.identifiers, tag, &element, self.charset);
        self.tally(tag).replaced += 1;
        if let Some(value) = self.pseudonym(tag, &element) {
            return Element::bytes(&element.vr, padded(value.into_bytes(), b' '));
        }
        if tag == tags::CONTENT_SEQUENCE {
            return Element::items(vec![removed_content()]);
        }
        self.blank(element)
    }

    /// The same form without content: what stands in the first item of a sequence, all made up.
    fn blank<'a>(&self, element: Element<'a>) -> Element<'a> {
        match element.value {
            Value::Items(items) => {
                let first = items.into_iter().next().map(|item| {
                    let known = item.into_iter().filter(|(tag, _)| tag.0 % 2 == 0 && tree::standard_vr(*tag).is_some());
                    known.map(|(tag, element)| (tag, self.blank(element))).collect()
                });
                Element::items(first.into_iter().collect())
            }
            Value::Bytes(bytes) if bytes.is_empty() => Element::bytes(&element.vr, Vec::new()),
            Value::Bytes(bytes) if element.vr == *b"UI" => {
                let text = String::from_utf8_lossy(&bytes).to_string();
                let standard = text.starts_with("1.2.840.10008.") && value::has_form(*b"UI", *b"UI", &bytes);
                let uid = if standard { text } else { self.settings.key.uid(&text) };
                Element::bytes(b"UI", padded(uid.into_bytes(), 0))
            }
            Value::Bytes(bytes) => Element::bytes(&element.vr, value::dummy(element.vr, bytes.len())),
            Value::Fragments(_) => Element::bytes(b"OB", vec![0; 2]),
        }
    }

    fn new_uid<'a>(&mut self, tag: Tag, element: Element<'a>) -> Option<Element<'a>> {
        let Value::Bytes(bytes) = &element.value else { return self.remove(tag, &element) };
        let text = String::from_utf8_lossy(bytes).to_string();
        let mapped = text.split('\\').map(|uid| match uid.trim_matches(['\0', ' ']) {
            "" => String::new(),
            // What the standard itself defines names nobody: frames of reference of atlases, palettes.
            uid if uid.starts_with("1.2.840.10008.") && value::has_form(*b"UI", *b"UI", uid.as_bytes()) => {
                uid.to_string()
            }
            uid => self.settings.key.uid(uid),
        });
        let mapped: Vec<String> = mapped.collect();
        identifiers::note(&mut self.identifiers, tag, &element, self.charset);
        self.tally(tag).new_uids += 1;
        Some(Element::bytes(b"UI", padded(mapped.join("\\").into_bytes(), 0)))
    }

    fn shift<'a>(&mut self, tag: Tag, element: Element<'a>, mode: Mode) -> Option<Element<'a>> {
        let vr = tree::standard_vr(tag).filter(|_| element.vr == *b"UN").unwrap_or(element.vr);
        if !matches!(&vr, b"DA" | b"DT" | b"TM") {
            // Offsets from UTC and the like hold no date; what has the form of neither goes.
            let is_number = matches!(&vr, b"SH" | b"DS" | b"IS") && value::has_form(*b"DS", vr, element.plain());
            return if is_number { self.keep(tag, element, mode) } else { Some(self.dummy(tag, element)) };
        }
        match value::shifted(vr, element.plain(), self.shift_days) {
            Some(moved) => {
                identifiers::note(&mut self.identifiers, tag, &element, self.charset);
                self.tally(tag).shifted += 1;
                Some(Element::bytes(&element.vr, moved))
            }
            None => Some(self.empty(tag, element)),
        }
    }

    fn keep<'a>(&mut self, tag: Tag, element: Element<'a>, mode: Mode) -> Option<Element<'a>> {
        let standard = tree::standard_vr(tag).unwrap_or(element.vr);
        let vr = element.vr;
        let bytes = match element.value {
            Value::Items(items) => {
                self.tally(tag).kept += 1;
                let items = items.into_iter().map(|item| self.data_set(item, Place::Nested, mode)).collect();
                return Some(Element::items(items));
            }
            Value::Fragments(_) if tag == tags::PIXEL_DATA => {
                self.tally(tag).kept += 1;
                return Some(element);
            }
            Value::Fragments(_) => return self.remove(tag, &element),
            Value::Bytes(ref bytes) => bytes,
        };
        if !value::has_form(standard, vr, bytes) || (standard == *b"SQ" && !bytes.is_empty()) {
            return self.remove(tag, &element);
        }
        if tag == tags::PATIENT_AGE && value::is_above_89(bytes) {
            self.tally(tag).cleaned += 1;
            return Some(Element::bytes(b"AS", b"090Y".to_vec()));
        }
        if value::is_text(standard) && standard != *b"UI" {
            let text = self.charset.decode(bytes).unwrap_or_else(|| Charset::Latin1.decode(bytes).unwrap_or_default());
            if self.known.stands_in(&text) && !self.is_retained_institution(tag) {
                return Some(self.dummy(tag, element));
            }
            if matches!(&standard, b"LO" | b"SH" | b"UC") || value::is_free_text(standard) {
                self.suspect(tag, &text);
            }
        }
        self.tally(tag).kept += 1;
        Some(element)
    }

    /// The institution's own name is an identifier that its option keeps.
    fn is_retained_institution(&self, tag: Tag) -> bool {
        self.has(ProfileOption::RetainInstitution)
            && matches!(tag, tags::INSTITUTION_NAME | tags::INSTITUTION_ADDRESS | tags::INSTITUTIONAL_DEPARTMENT_NAME)
    }

    fn suspect(&mut self, tag: Tag, text: &str) {
        for span in self.settings.finder.find(text, &self.known) {
            self.suspicious.insert(format!("{}: {}", table::report_name(tag), span.kind.key()));
        }
    }

    /// C: identifiers in texts are replaced, sequences walked.
    fn clean<'a>(&mut self, tag: Tag, element: Element<'a>, mode: Mode) -> Option<Element<'a>> {
        let Value::Bytes(bytes) = &element.value else { return self.keep(tag, element, mode) };
        let vr = element.vr;
        if mode == Mode::Graphics || (!value::is_text(vr) && vr != *b"UN") {
            return Some(self.dummy(tag, element));
        }
        let Some(text) = self.charset.decode(bytes) else { return Some(self.dummy(tag, element)) };
        let spans = self.settings.finder.find(&text, &self.known);
        if spans.is_empty() {
            self.tally(tag).kept += 1;
            return Some(element);
        }
        let style = Style {
            replacement: self.settings.profile.replacement,
            dates: TextDates::of(self.settings.profile),
            key: self.settings.key,
            patient: &self.patient,
        };
        let cleaned: String = style.replace(&text, &spans).chars().take(value::longest(vr)).collect();
        for span in &spans {
            let text: String = text[span.start..span.end].chars().take(200).collect();
            if text.chars().count() >= 6 {
                self.identifiers.insert(Identifier { kind: identifiers::IdentifierKind::Text, text });
            }
        }
        self.tally(tag).cleaned += 1;
        Some(Element::bytes(&vr, padded(self.charset.encode(&cleaned), b' ')))
    }
}

/// The one content item that stands for a report whose content was removed: a report must have one (PS3.3 C.17.3).
fn removed_content<'a>() -> DataSet<'a> {
    let text = |vr: &[u8; 2], value: &str| Element::bytes(vr, padded(value.as_bytes().to_vec(), b' '));
    let name = DataSet::from([
        (tags::CODE_VALUE, text(b"SH", "121106")),
        (tags::CODING_SCHEME_DESIGNATOR, text(b"SH", "DCM")),
        (tags::CODE_MEANING, text(b"LO", "Comment")),
    ]);
    DataSet::from([
        (tags::RELATIONSHIP_TYPE, text(b"CS", "CONTAINS")),
        (tags::VALUE_TYPE, text(b"CS", "TEXT")),
        (tags::CONCEPT_NAME_CODE_SEQUENCE, Element::items(vec![name])),
        (tags::TEXT_VALUE, text(b"UT", value::REMOVED)),
    ])
}
