//! T-14: canaries in every attribute, at any depth, in private tags, file meta, overlays, curves; files made with dicom-object.

use super::*;
use crate::profile::{ProfileOption, Replacement};
use dicom_core::value::{DataSetSequence, PrimitiveValue};
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::uids;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use std::sync::LazyLock;

static FINDER: LazyLock<Finder> = LazyLock::new(Finder::new);
static KEY: LazyLock<Key> = LazyLock::new(|| Key::new([9; 32]));

fn clean_with(bytes: &[u8], profile: &Profile) -> Result<Deidentified> {
    let settings = Settings {
        profile,
        key: &KEY,
        finder: &FINDER,
        pixel_text: PixelText::NotExamined,
        blank: &[],
        max_bytes: 64 << 20,
    };
    deidentify(bytes, &settings)
}

fn clean(bytes: &[u8]) -> Deidentified {
    clean_with(bytes, &Profile::default()).unwrap()
}

fn reread(bytes: &[u8]) -> dicom_object::DefaultDicomObject {
    dicom_object::from_reader(bytes).unwrap()
}

fn text_at(object: &InMemDicomObject, tag: Tag) -> String {
    object.element(tag).map(|element| element.to_str().unwrap().to_string()).unwrap_or_default()
}

fn put(object: &mut InMemDicomObject, tag: Tag, vr: VR, text: &str) {
    object.put(DataElement::new(tag, vr, PrimitiveValue::from(text)));
}

fn file_of(object: InMemDicomObject, transfer_syntax: &str) -> Vec<u8> {
    let meta = FileMetaTableBuilder::new().transfer_syntax(transfer_syntax);
    let mut bytes = Vec::new();
    object.with_meta(meta).unwrap().write_all(&mut bytes).unwrap();
    bytes
}

/// A small CT slice with the attributes that any has.
fn slice() -> InMemDicomObject {
    let mut object = InMemDicomObject::new_empty();
    put(&mut object, tags::SOP_CLASS_UID, VR::UI, uids::CT_IMAGE_STORAGE);
    put(&mut object, tags::SOP_INSTANCE_UID, VR::UI, "1.2.3.4.5.6.7.8.9");
    put(&mut object, tags::STUDY_INSTANCE_UID, VR::UI, "1.2.3.4.5.6.7");
    put(&mut object, tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3.4.5.6.7.8");
    put(&mut object, tags::STUDY_DATE, VR::DA, "20190722");
    put(&mut object, tags::MODALITY, VR::CS, "CT");
    put(&mut object, tags::PATIENT_NAME, VR::PN, "Smith^John");
    put(&mut object, tags::PATIENT_ID, VR::LO, "MRN-4711");
    put(&mut object, tags::ACCESSION_NUMBER, VR::SH, "ACC123");
    put(&mut object, tags::STUDY_DESCRIPTION, VR::LO, "CT chest of John Smith");
    put(&mut object, tags::PATIENT_AGE, VR::AS, "093Y");
    for (tag, value) in
        [(tags::ROWS, 2u16), (tags::COLUMNS, 2), (tags::BITS_ALLOCATED, 16), (tags::SAMPLES_PER_PIXEL, 1)]
    {
        object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    }
    put(&mut object, tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2");
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16([1u16, 2, 3, 4].as_slice().into())));
    object
}

#[test]
fn no_canary_survives_in_any_attribute() {
    for seed in 0..12 {
        let made = canaries::file(seed);
        let cleaned = clean(&made.bytes);
        let left = made.found_in(&cleaned.bytes);
        assert!(left.is_empty(), "seed {seed}: {left:?}");
        reread(&cleaned.bytes);
    }
}

#[test]
fn canaries_in_cleaned_texts_and_structured_content_go_too() {
    let options = [
        ProfileOption::CleanDescriptors,
        ProfileOption::CleanStructuredContent,
        ProfileOption::CleanGraphics,
        ProfileOption::RetainModifiedDates,
        ProfileOption::RetainSafePrivate,
    ];
    let profile = Profile::with_options(options).unwrap();
    let mut object = slice();
    put(&mut object, tags::SERIES_DESCRIPTION, VR::LO, "Thorax, SMITH, Dr. Miller");
    put(&mut object, Tag(0x0009, 0x0010), VR::LO, "ACME");
    put(&mut object, Tag(0x0009, 0x1001), VR::LO, "Smith");
    let cleaned = clean_with(&file_of(object, uids::EXPLICIT_VR_LITTLE_ENDIAN), &profile).unwrap();
    let object = reread(&cleaned.bytes);
    assert_eq!(text_at(&object, tags::SERIES_DESCRIPTION), "Thorax, [NAME], Dr. [NAME]");
    assert_eq!(text_at(&object, tags::STUDY_DESCRIPTION), "CT chest of [NAME]");
    assert!(object.element(Tag(0x0009, 0x1001)).is_err());
}

#[test]
fn a_cleaned_file_says_what_was_done() {
    let profile = Profile::with_options([ProfileOption::RetainModifiedDates]).unwrap();
    let object = reread(&clean_with(&file_of(slice(), uids::IMPLICIT_VR_LITTLE_ENDIAN), &profile).unwrap().bytes);
    assert_eq!(text_at(&object, tags::PATIENT_IDENTITY_REMOVED), "YES");
    assert_eq!(text_at(&object, tags::LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED), "MODIFIED");
    assert!(text_at(&object, tags::DEIDENTIFICATION_METHOD).contains("PS3.15"));
    let codes = object.element(tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE).unwrap().items().unwrap();
    let codes: Vec<String> = codes.iter().map(|item| text_at(item, tags::CODE_VALUE)).collect();
    assert_eq!(codes, ["113100", "113107"]);
    assert_eq!(object.meta().transfer_syntax(), uids::IMPLICIT_VR_LITTLE_ENDIAN);
    assert_eq!(object.meta().media_storage_sop_instance_uid(), text_at(&object, tags::SOP_INSTANCE_UID));
}

#[test]
fn pixels_stay_bit_for_bit() {
    let bytes = file_of(slice(), uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let cleaned = reread(&clean(&bytes).bytes);
    let pixels = |object: &InMemDicomObject| object.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().to_vec();
    assert_eq!(pixels(&cleaned), pixels(&reread(&bytes)));
}

#[test]
fn ids_dates_and_uids_are_the_same_in_all_files_of_a_patient() {
    let profile = Profile::with_options([ProfileOption::RetainModifiedDates]).unwrap();
    let mut other = slice();
    put(&mut other, tags::SOP_INSTANCE_UID, VR::UI, "1.2.3.4.5.6.7.8.10");
    put(&mut other, tags::STUDY_DATE, VR::DA, "20190723");
    let [one, two] = [slice(), other]
        .map(|object| reread(&clean_with(&file_of(object, uids::EXPLICIT_VR_LITTLE_ENDIAN), &profile).unwrap().bytes));
    for tag in [tags::PATIENT_ID, tags::STUDY_INSTANCE_UID, tags::SERIES_INSTANCE_UID, tags::ACCESSION_NUMBER] {
        assert_eq!(text_at(&one, tag), text_at(&two, tag));
    }
    assert_ne!(text_at(&one, tags::SOP_INSTANCE_UID), text_at(&two, tags::SOP_INSTANCE_UID));
    assert_eq!(text_at(&one, tags::PATIENT_ID), KEY.pseudonym("MRN-4711"));
    let days = KEY.shift_days("MRN-4711");
    assert_eq!(text_at(&one, tags::STUDY_DATE), crate::date::shift_da("20190722", days).unwrap());
    assert_eq!(text_at(&two, tags::STUDY_DATE), crate::date::shift_da("20190723", days).unwrap());
}

#[test]
fn options_keep_what_they_name_and_no_more() {
    let with = |options: &[ProfileOption]| {
        let profile = Profile::with_options(options.iter().copied()).unwrap();
        reread(&clean_with(&file_of(slice(), uids::EXPLICIT_VR_LITTLE_ENDIAN), &profile).unwrap().bytes)
    };
    let plain = with(&[]);
    assert!(plain.element(tags::PATIENT_AGE).is_err() && plain.element(tags::STUDY_DESCRIPTION).is_err());
    assert_eq!(text_at(&plain, tags::STUDY_DATE), "");
    let characteristics = with(&[ProfileOption::RetainPatientCharacteristics]);
    assert_eq!(text_at(&characteristics, tags::PATIENT_AGE), "090Y", "ages above 89 are one group");
    assert_eq!(text_at(&with(&[ProfileOption::RetainFullDates]), tags::STUDY_DATE), "20190722");
    assert_eq!(text_at(&with(&[ProfileOption::RetainUids]), tags::STUDY_INSTANCE_UID), "1.2.3.4.5.6.7");
}

#[test]
fn identifiers_in_kept_attributes_are_found_and_replaced() {
    let mut object = slice();
    put(&mut object, tags::MANUFACTURER, VR::LO, "Smith and sons");
    put(&mut object, tags::BODY_PART_EXAMINED, VR::CS, "CHEST");
    let object = reread(&clean(&file_of(object, uids::EXPLICIT_VR_LITTLE_ENDIAN)).bytes);
    assert_eq!(text_at(&object, tags::MANUFACTURER), "REMOVED");
    assert_eq!(text_at(&object, tags::BODY_PART_EXAMINED), "CHEST");
}

#[test]
fn boxes_are_painted_over_and_the_rest_stays() {
    let bytes = file_of(slice(), uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let profile = Profile { replacement: Replacement::Tag, ..Profile::default() };
    let blank = [PixelRect { left: 0, top: 0, right: 1, bottom: 2 }];
    let settings = Settings {
        profile: &profile,
        key: &KEY,
        finder: &FINDER,
        pixel_text: PixelText::Blanked,
        blank: &blank,
        max_bytes: 1 << 20,
    };
    let object = reread(&deidentify(&bytes, &settings).unwrap().bytes);
    let pixels: Vec<u16> = object.element(tags::PIXEL_DATA).unwrap().to_multi_int().unwrap();
    assert_eq!(pixels, [0, 2, 0, 4]);
    assert_eq!(text_at(&object, tags::BURNED_IN_ANNOTATION), "NO");
}

#[test]
fn hostile_files_are_refused() {
    assert!(clean_with(&gmai_testkit::hostile::dicom_claiming_4_gib(), &Profile::default()).is_err());
    let bytes = file_of(slice(), uids::EXPLICIT_VR_LITTLE_ENDIAN);
    for end in (0..bytes.len()).step_by(7) {
        let _ = clean_with(&bytes[..end], &Profile::default());
    }
}

#[test]
fn structured_reports_lose_their_texts_or_have_them_cleaned() {
    let mut item = InMemDicomObject::new_empty();
    put(&mut item, tags::VALUE_TYPE, VR::CS, "TEXT");
    put(&mut item, tags::TEXT_VALUE, VR::UT, "Seen with Dr. Miller: no nodule.");
    let mut person = InMemDicomObject::new_empty();
    put(&mut person, tags::VALUE_TYPE, VR::CS, "PNAME");
    put(&mut person, tags::PERSON_NAME, VR::PN, "Miller^Ann");
    let mut object = slice();
    put(&mut object, tags::SOP_CLASS_UID, VR::UI, uids::BASIC_TEXT_SR_STORAGE);
    object.put(DataElement::new(tags::CONTENT_SEQUENCE, VR::SQ, DataSetSequence::from(vec![item, person])));
    let bytes = file_of(object, uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let texts = |profile: &Profile| {
        let object = reread(&clean_with(&bytes, profile).unwrap().bytes);
        let items = object.element(tags::CONTENT_SEQUENCE).unwrap().items().unwrap().to_vec();
        items.iter().map(|item| text_at(item, tags::TEXT_VALUE)).collect::<Vec<_>>()
    };
    assert_eq!(texts(&Profile::default()), ["REMOVED"]);
    let structured = Profile::with_options([ProfileOption::CleanStructuredContent]).unwrap();
    assert_eq!(texts(&structured), ["Seen with Dr. [NAME]: no nodule.", ""]);
    assert!(!String::from_utf8_lossy(&clean_with(&bytes, &structured).unwrap().bytes).contains("Miller"));
}

#[path = "../../tests/canaries/mod.rs"]
mod canaries;
