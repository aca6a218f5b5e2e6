//! Defects that the shared sets are known to have (their SOURCE.md names them) are found without being told.
#![allow(clippy::unwrap_used)]

use gmai_quality::pictures::{of_dataset, of_folder};
use gmai_quality::{Audit, Benchmark, Relation, audit};
use gmai_schema::*;
use gmai_shard::*;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A set of the shared data; `None` (said aloud) where there is none.
fn shared(set: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = std::env::var_os("GMAI_SHARED").map_or(beside, PathBuf::from).join("data").join(set);
    if !folder.is_dir() {
        eprintln!("skipped: no folder {} (set GMAI_SHARED)", folder.display());
        return None;
    }
    Some(folder)
}

fn look(folder: &Path) -> Audit {
    audit(&of_folder(folder, &mut |_| ()).unwrap(), None)
}

/// File names of each listed pair, without folders.
fn pairs(audit: &Audit) -> Vec<(String, String, Relation)> {
    let name = |origin: &str| origin.rsplit('/').next().unwrap().to_string();
    audit.listed.iter().map(|pair| (name(&pair.first.origin), name(&pair.second.origin), pair.relation)).collect()
}

#[test]
fn one_ultrasound_picture_under_two_diagnoses_is_found() {
    let Some(folder) = shared("busi-breast-ultrasound") else { return };
    let audit = look(&folder);
    let contradictions: BTreeSet<(String, String)> = audit
        .listed
        .iter()
        .filter(|pair| pair.contradicts.is_some())
        .map(|pair| (pair.first.origin.clone(), pair.second.origin.clone()))
        .collect();
    // SOURCE.md: benign (433) = malignant (145); benign (131) = benign (42) = malignant (51); benign (269) ~ normal (1).
    for (benign, other) in [("(433)", "(145)"), ("(131)", "(51)"), ("(42)", "(51)"), ("(269)", "(1)")] {
        let found = contradictions.iter().any(|(first, second)| first.contains(benign) && second.contains(other));
        assert!(found, "{benign} {other}: {contradictions:#?}");
    }
    assert!(contradictions.len() <= 8, "few false alarms: {contradictions:#?}");
}

#[test]
fn leaks_between_the_official_skin_splits_are_found() {
    let Some(folder) = shared("isic2017-skin") else { return };
    let audit = look(&folder);
    let leaks: Vec<_> = audit.listed.iter().filter(|pair| pair.is_leak).collect();
    let found = |test: &str, train: &str| {
        leaks.iter().find(|pair| {
            let both = format!("{} {}", pair.first.origin, pair.second.origin);
            both.contains(test) && both.contains(train)
        })
    };
    let known = [
        ("ISIC_0012989", "ISIC_0012887"),
        ("ISIC_0013109", "ISIC_0013163"),
        ("ISIC_0015982", "ISIC_0012175"),
        ("ISIC_0016018", "ISIC_0012271"),
        ("ISIC_0015071", "ISIC_0000174"),
    ];
    for (test, train) in known {
        assert!(found(test, train).is_some(), "{test} = {train}: {leaks:#?}");
    }
    assert_eq!(found("ISIC_0015071", "ISIC_0000174").unwrap().relation, Relation::Recoloured);
    assert!(leaks.len() <= 8, "few false alarms: {leaks:#?}");
    // The same by another door: the test folder as a benchmark.
    let train = of_folder(&folder.join("ISIC-2017_Training_Data"), &mut |_| ()).unwrap();
    let benchmark = Benchmark::read(&folder.join("ISIC-2017_Test_v2_Data"), &mut |_| ()).unwrap();
    let hits = gmai_quality::audit(&train, Some(&benchmark)).in_benchmark;
    for (test, train) in known {
        assert!(
            hits.iter().any(|hit| hit.benchmark.contains(test) && hit.picture.origin.contains(train)),
            "{test}: {hits:#?}"
        );
    }
}

#[test]
fn augmented_copies_of_a_slide_are_found() {
    let Some(folder) = shared("blood-cells-coco") else { return };
    let audit = look(&folder);
    let slide = |name: &str| name.split("_png.rf.").next().unwrap().to_string();
    let found = pairs(&audit);
    // Counted from the names alone: pairs of files of one slide.
    let mut slides: std::collections::BTreeMap<String, u64> = Default::default();
    for part in ["train", "valid", "test"] {
        for entry in std::fs::read_dir(folder.join(part)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".jpg") {
                *slides.entry(slide(&name)).or_default() += 1;
            }
        }
    }
    let expected: u64 = slides.values().map(|count| count * (count - 1) / 2).sum();
    let same = found.iter().filter(|pair| slide(&pair.0) == slide(&pair.1)).count() as u64;
    assert!(expected > 0);
    assert_eq!(same, expected, "{found:#?}");
    assert_eq!(found.len() as u64, same, "no slides that have nothing to do with each other: {found:#?}");
}

#[test]
fn x_rays_that_lie_on_their_side_are_suspected() {
    use gmai_quality::{Fingerprint, Flag, Shows, flags};
    let Some(folder) = shared("nih-chestxray14-sample") else { return };
    let limits = gmai_imaging::Limits::default();
    let mut suspected = 0;
    let mut count = 0;
    for entry in std::fs::read_dir(folder.join("images")).unwrap() {
        let picture = gmai_imaging::display(&entry.unwrap().path(), None, &limits).unwrap();
        let found = flags(&picture, &Fingerprint::of(&picture), Shows::ChestXRay);
        suspected += usize::from(found.contains(&Flag::Sideways));
        count += 1;
    }
    // About half of them lie on their side (SOURCE.md); none may be suspected among those that stand.
    assert!(suspected * 4 >= count && suspected * 20 <= count * 13, "{suspected} of {count}");
    let Some(folder) = shared("covid-cxr-hannover") else { return };
    let upright = of_folder(&folder, &mut |_| ()).unwrap();
    let wrong = upright.pictures.iter().filter(|picture| {
        let picture = gmai_imaging::display(&folder.join(&picture.name), None, &limits).unwrap();
        flags(&picture, &Fingerprint::of(&picture), Shows::ChestXRay).contains(&Flag::Sideways)
    });
    // Borders and lateral views deceive the measure: a suspicion for a person to look at.
    assert!(wrong.count() * 4 <= upright.pictures.len(), "upright X-rays that are suspected");
}

/// VQA-RAD with its official split, as many have trained on it.
fn official_vqa_rad(folder: &Path, out: &Path) -> Reader {
    let text = std::fs::read_to_string(folder.join("VQA_RAD Dataset Public.json")).unwrap();
    let records: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let mut writer = Writer::create(out, WriterOptions::default()).unwrap();
    for record in &records {
        let said = |key: &str| record[key].as_str().map_or_else(|| record[key].to_string(), str::to_string);
        let image = said("image_name");
        let bytes = std::fs::read(folder.join("VQA_RAD Image Folder").join(&image)).unwrap();
        let split = if said("phrase_type").starts_with("test_") { Split::Test } else { Split::Train };
        let conversation = Conversation {
            id: said("qid"),
            record: image.clone(),
            turns: vec![Turn::human(format!("<image>\n{}", said("question"))), Turn::assistant(said("answer"))],
            form: Form::Instruction,
            quiz: None,
            attribute: None,
            source: "vqa-rad".into(),
            task: Task::QuestionAnswering,
            modality: None,
            department: Department::PulmonaryMedicine,
            labels: Vec::new(),
            boxes: Vec::new(),
            language: Language::En,
            patient: said("image_case_url"),
            split,
            generator: "source".into(),
            provenance: Provenance { file: image, ..Provenance::default() },
        };
        writer.push(&conversation, &[EncodedImage::from_jpeg(bytes)]).unwrap();
    }
    let summary = WriterSummary {
        name: "vqa-rad".into(),
        program: "test".into(),
        config_sha256: "c".into(),
        inputs_sha256: "i".into(),
        seed: 0,
        sources: Vec::new(),
        card: String::new(),
    };
    writer.finish(summary).unwrap();
    Reader::open(out).unwrap()
}

#[test]
fn the_official_vqa_rad_split_shares_pictures() {
    let Some(folder) = shared("vqa-rad") else { return };
    let out = tempfile::tempdir().unwrap();
    let reader = official_vqa_rad(&folder, out.path());
    let audit = audit(&of_dataset(&reader, &mut |_| ()).unwrap(), None);
    // Counted from the file by itself: pictures with questions on both sides.
    let text = std::fs::read_to_string(folder.join("VQA_RAD Dataset Public.json")).unwrap();
    let records: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let names = |is_test: bool| -> BTreeSet<&str> {
        let own =
            records.iter().filter(|record| record["phrase_type"].as_str().unwrap().starts_with("test_") == is_test);
        own.map(|record| record["image_name"].as_str().unwrap()).collect()
    };
    let shared = names(true).intersection(&names(false)).count() as u64;
    assert!(shared > 0);
    assert!(audit.leaks[&Relation::Equal] >= shared, "{:?}, expected {shared}", audit.leaks);
}
