//! Class folders and tables, and every defect that pictures and tables can have.

use crate::world::{World, picture, source};

const CLASSES: &str = r#"
modality = "ultrasound"
kind = { class_folders = { images = "{class}/{stem}.png" } }
[[source.attribute]]
key = "diagnosis"
name = { en = "diagnosis", zh = "诊断" }
task = "disease_diagnosis"
from = "class"
values = [{ is = "benign", en = "benign lesion", zh = "良性病变" }, { is = "malignant", en = "malignant lesion", zh = "恶性病变" }]
"#;

#[test]
fn folder_names_become_labels_and_broken_files_are_named() {
    let world = World::new("class_folders");
    for index in 0..10 {
        world.picture(&format!("benign/{index}.png"), index, 40, 30);
        world.picture(&format!("malignant/{index}.png"), 100 + index, 40, 30);
    }
    let whole = std::fs::read(world.path("benign/0.png")).unwrap();
    world.write("benign/zero.png", "");
    world.write("benign/truncated.png", &whole[..whole.len() / 2]);
    world.write("benign/text.png", "not a picture");
    world.picture("foot/1.png", 999, 40, 30);
    let made = world.curate(&source("busi", CLASSES));
    assert_eq!(made.source().images.used, 20);
    assert_eq!(made.labels("malignant/3.png"), ["diagnosis=malignant lesion"]);
    assert!(made.line("benign/zero.png").reason.contains("empty"));
    assert_eq!(made.line("benign/truncated.png").field, "file");
    assert!(made.line("benign/text.png").reason.contains("not an image"));
    let unlisted = made.line("foot/1.png");
    assert_eq!(unlisted.field, "class");
    assert!(unlisted.reason.contains("`foot`") && unlisted.remedy.contains("`values`"), "{unlisted:?}");
    let reasons: String = made.quarantined.iter().map(|entry| entry.reason.as_str()).collect();
    assert!(!reasons.contains(world.folder.to_str().unwrap()), "lines do not depend on where the data lie");
}

#[test]
fn one_picture_under_two_labels_is_quarantined_and_copies_are_used_once() {
    let world = World::new("duplicates");
    for index in 0..4 {
        world.picture(&format!("benign/{index}.png"), index, 40, 30);
    }
    world.picture("malignant/same.png", 0, 40, 30);
    world.picture("benign/copy.png", 1, 40, 30);
    let made = world.curate(&source("busi", CLASSES));
    assert_eq!(
        made.line("malignant/same.png").reason,
        "the same or nearly the same picture has other labels in `benign/0.png`"
    );
    assert_eq!(
        made.line("benign/0.png").reason,
        "the same or nearly the same picture has other labels in `malignant/same.png`"
    );
    let skipped = &made.source().images.skipped;
    assert_eq!(skipped.values().sum::<u64>(), 1, "{skipped:?}");
    assert!(made.files().contains("benign/1.png") && !made.files().contains("benign/copy.png"));
}

const TABLE: &str = r#"
modality = "x_ray"
patient = "patient"
report = "text"
kind = { csv_labels = { images = "{folder}/{stem}.png" } }
[[source.table]]
file = "labels.csv"
key = "file"
matches = "{stem}"
[[source.attribute]]
key = "finding"
name = { en = "finding" }
task = "disease_diagnosis"
from = "findings"
separator = "|"
values = [{ is = "Mass", en = "mass" }, { is = "Edema", en = "edema" }, { is = "No Finding", en = "no finding" }]
[[source.attribute]]
key = "sex"
name = { en = "sex" }
task = "attribute_recognition"
from = "sex"
values = [{ is = "f", en = "female" }, { is = "m", en = "male" }]
unknown = ["unknown"]
"#;

#[test]
fn tables_give_several_labels_patients_and_reports() {
    let world = World::new("tables");
    for index in 0..8 {
        world.picture(&format!("a/{index}.png"), index, 32, 32);
    }
    world.picture("b/9.png", 9, 32, 32);
    world.picture("a/no_row.png", 10, 32, 32);
    let rows = "\u{feff}file,patient,findings,sex,text\n0,61,Mass|Edema,f,A mass.\n1,61,No Finding,unknown,\n2,62,Mass,m,\n\
        3,63,Tumour,m,\n4,64,,f,\n5,65,Edema,f\n6,66,Edema,f,\n6,66,Edema,f,\n6,66,Mass,f,\n9,61,Edema,f,\n77,70,Mass,f,\n";
    world.write("labels.csv", rows);
    let made = world.curate(&source("cxr", TABLE));
    assert_eq!(made.labels("a/0.png"), ["finding=mass", "finding=edema", "sex=female"]);
    assert_eq!(made.labels("a/1.png"), ["finding=no finding"], "unknown says nothing");
    assert_eq!(made.labels("a/3.png"), ["sex=male"], "a wrong value costs the label, not the image");
    let patient = |file: &str| {
        let sample = made.samples.iter().find(|sample| sample.conversation.provenance.file == file).unwrap();
        (sample.conversation.patient.clone(), sample.conversation.split)
    };
    assert_eq!(patient("a/0.png"), patient("b/9.png"), "one patient in two folders stays together");
    assert_ne!(patient("a/0.png").0, patient("a/2.png").0);
    assert!(made.samples.iter().all(|sample| sample.conversation.patient != "61"), "identifiers do not get out");
    assert!(made.of("cxr").any(|conversation| conversation.turns[1].value == "A mass."), "reports are verbatim");

    let lines: Vec<(&str, &str)> =
        made.quarantined.iter().map(|entry| (entry.field.as_str(), entry.reason.as_str())).collect();
    let has = |field: &str, text: &str| lines.iter().any(|(f, reason)| f.starts_with(field) && reason.contains(text));
    assert!(has("line 5, column findings", "`Tumour`"), "{lines:?}");
    assert!(has("line 7", "length") || has("line 7", "fields"), "a row with too few columns: {lines:?}");
    assert!(has("line 10, column file", "with other values"), "{lines:?}");
    assert!(has("line 12, column file", "label without image"), "{lines:?}");
    assert!(made.line("a/no_row.png").reason.starts_with("image without label"));
    assert!(made.line("a/7.png").reason.starts_with("image without label"));
    assert_eq!(made.source().annotations.given, 11);
    assert_eq!(made.source().annotations.used, 6);
    assert_eq!(made.source().annotations.num_skipped(), 1, "the repeated row");
}

#[test]
fn one_patient_in_two_sources_stays_on_one_side() {
    let world = World::new("two_sources");
    let mut rows = "file,patient,findings,sex,text\n".to_string();
    for index in 0..30 {
        world.picture(&format!("a/{index}.png"), index, 32, 32);
        world.picture(&format!("b/{}.png", index + 100), 500 + index, 32, 32);
        rows += &format!("{index},{index},Mass,f,\n{},{index},Edema,f,\n", index + 100);
    }
    world.write("labels.csv", rows);
    let of = |folder: &str| source(folder, &TABLE.replace("{folder}/", &format!("{folder}/")));
    let made = world.curate(&(of("a") + &of("b")));
    let splits: std::collections::BTreeSet<_> = made.samples.iter().map(|sample| sample.conversation.split).collect();
    assert!(splits.len() > 1, "check_sums() has compared sides of more than one split");
    let patients = |name: &str| made.of(name).map(|c| c.patient.clone()).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(patients("a"), patients("b"));
}

#[test]
fn large_pictures_are_stored_smaller_and_metadata_is_not_stored() {
    let world = World::new("storage");
    world.picture("benign/large.png", 1, 1600, 800);
    let mut jpeg = Vec::new();
    let small = picture(2, 64, 48);
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 90)
        .encode(small.pixels(), 64, 48, image::ExtendedColorType::Rgb8)
        .unwrap();
    let comment = [&jpeg[..2], &[0xff, 0xfe, 0, 10], b"DOE^JOHN", &jpeg[2..]].concat();
    world.write("benign/small.png", &comment); // A JPEG by content.
    let made = world.curate(&source("busi", CLASSES));
    let image = |file: &str| {
        let sample = made.samples.iter().find(|sample| sample.conversation.provenance.file == file).unwrap();
        made.picture(sample).clone()
    };
    let large = image("benign/large.png").decode().unwrap();
    assert_eq!((large.width(), large.height()), (1024, 512));
    let small = image("benign/small.png");
    assert!(small.path.ends_with(".jpg"));
    assert!(!small.bytes.windows(3).any(|bytes| bytes == b"DOE"));
    let shown = gmai_imaging::read(&world.path("benign/small.png"), &gmai_imaging::Limits::default()).unwrap();
    assert!(matches!(shown.content, gmai_imaging::Content::Picture(pixels) if pixels == small.decode().unwrap()));
}
