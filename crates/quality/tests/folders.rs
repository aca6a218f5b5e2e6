//! Datasets and benchmarks of every form, made up.
#![allow(clippy::unwrap_used)]

use base64::Engine;
use gmai_quality::pictures::{of_dataset, of_folder};
use gmai_quality::*;
use gmai_schema::*;
use gmai_shard::*;
use std::path::Path;

/// A picture without symmetry that depends on `seed`.
fn picture(seed: u32) -> Rgb8 {
    let phase = f64::from(seed) * 1.7;
    let pixel = |index: u32| {
        let (x, y) = (f64::from(index % 96) / 96.0, f64::from(index / 96) / 64.0);
        let wave = 60.0 * (x * 7.0 + phase).sin() + 50.0 * (y * (5.0 + phase % 3.0) + x * x * 4.0).cos();
        [(127.0 + wave) as u8; 3]
    };
    Rgb8::new(96, 64, (0..96 * 64).flat_map(pixel).collect()).unwrap()
}

fn conversation(number: u32, split: Split) -> Conversation {
    Conversation {
        id: format!("id-{number}"),
        record: format!("record-{number}"),
        turns: vec![Turn::human("<image>\nWhat is <b>shown</b>?"), Turn::assistant(format!("Lesion {number}."))],
        form: if number.is_multiple_of(2) { Form::Instruction } else { Form::ImageCaption },
        quiz: None,
        attribute: None,
        source: if number < 5 { "a" } else { "b" }.into(),
        task: Task::DiseaseDiagnosis,
        modality: Some(Modality::Ct),
        department: Department::Oncology,
        labels: vec![Label {
            attribute: "diagnosis".into(),
            value: Term::english(if number < 8 { "benign" } else { "malignant" }),
        }],
        boxes: Vec::new(),
        language: Language::En,
        patient: format!("p{number}"),
        split,
        generator: "template".into(),
        provenance: Provenance {
            file: format!("{number}.png"),
            file_sha256: format!("{number:064}"),
            ..Provenance::default()
        },
    }
}

fn source(name: &str, licence: &str) -> SourceSummary {
    let facts = SourceFacts {
        name: name.into(),
        department: Department::Oncology,
        modalities: vec![Modality::Ct],
        attributes: Vec::new(),
        region_terms: Vec::new(),
        region_task: Task::DiseaseDiagnosis,
        regions_exhaustive: false,
        licence: licence.into(),
    };
    SourceSummary {
        facts,
        kind: "class_folders".into(),
        images: Tally::default(),
        annotations: Tally::default(),
        pairs: 5,
        agreement: None,
        authored: None,
        deidentified: None,
    }
}

/// Ten rows; rows 0 and 9 (another split), 7 and 8 (another label) show the same picture.
fn dataset(folder: &Path) -> Reader {
    let mut writer = Writer::create(folder, WriterOptions::default()).unwrap();
    for number in 0..10 {
        let shown = if number == 9 {
            0
        } else if number == 8 {
            7
        } else {
            number
        };
        let split = if number == 9 { Split::Test } else { Split::Train };
        writer.push(&conversation(number, split), &[encode_png(&picture(shown)).unwrap()]).unwrap();
    }
    let summary = WriterSummary {
        name: "set <x>".into(),
        program: "test".into(),
        config_sha256: "c".into(),
        inputs_sha256: "0123456789abcdef".into(),
        seed: 0,
        sources: vec![source("a", "CC0"), source("b", "CC BY 4.0")],
        card: String::new(),
    };
    writer.finish(summary).unwrap();
    Reader::open(folder).unwrap()
}

#[test]
fn leaks_and_benchmarks_of_every_form_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let reader = dataset(&folder.path().join("data"));
    let collection = of_dataset(&reader, &mut |_| ()).unwrap();
    let found = audit(&collection, None);
    assert_eq!(found.leaks[&Relation::Equal], 1);
    assert_eq!((found.certain_leaks, found.in_benchmark.len()), (1, 0));
    let png = encode_png(&picture(3)).unwrap();
    let pictures = folder.path().join("benchmark");
    std::fs::create_dir(&pictures).unwrap();
    std::fs::write(pictures.join("x.png"), &png.bytes).unwrap();
    let table = folder.path().join("questions.tsv");
    let base64 = base64::engine::general_purpose::STANDARD.encode(&png.bytes);
    std::fs::write(&table, format!("index\tquestion\timage\n12\twhat\t{base64}\n13\tand\t12\n")).unwrap();
    let pixels = folder.path().join("pixels.txt");
    let hash = Fingerprint::of(&picture(3)).pixels_hex();
    std::fs::write(&pixels, format!("# hashes\n{hash}  x.png\n")).unwrap();
    let files = folder.path().join("files.txt");
    std::fs::write(&files, format!("{:064} *x.png\n", 3)).unwrap();
    let parquet = folder.path().join("other");
    let mut writer = Writer::create(&parquet, WriterOptions::default()).unwrap();
    writer.push(&conversation(3, Split::Train), &[png]).unwrap();
    let summary = WriterSummary {
        name: "o".into(),
        program: "t".into(),
        config_sha256: "c".into(),
        inputs_sha256: "i".into(),
        seed: 0,
        sources: Vec::new(),
        card: String::new(),
    };
    writer.finish(summary).unwrap();
    for place in [pictures, table, pixels, files, parquet.join("train-00000.parquet"), parquet] {
        let benchmark = Benchmark::read(&place, &mut |_| ()).unwrap();
        let hits = audit(&collection, Some(&benchmark)).in_benchmark;
        assert_eq!(hits.len(), 1, "{}", place.display());
        assert_eq!((hits[0].picture.origin.as_str(), hits[0].relation), ("3.png", Relation::Equal));
    }
    let bad = folder.path().join("bad.txt");
    std::fs::write(&bad, "no hash\n").unwrap();
    assert!(Benchmark::read(&bad, &mut |_| ()).unwrap_err().to_string().contains("line 1"));
}

#[test]
fn plain_folders_have_labels_and_splits_by_name() {
    let folder = tempfile::tempdir().unwrap();
    for (number, place) in ["train/benign", "train/malignant", "test/benign"].iter().enumerate() {
        let inner = folder.path().join(place);
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::write(inner.join("same.png"), encode_png(&picture(1)).unwrap().bytes).unwrap();
        std::fs::write(inner.join("own.png"), encode_png(&picture(10 + number as u32)).unwrap().bytes).unwrap();
    }
    std::fs::write(folder.path().join("notes.txt"), "no picture").unwrap();
    std::fs::write(folder.path().join("train/broken.png"), b"\x89PNG\r\n\x1a\nno").unwrap();
    let found = audit(&of_folder(folder.path(), &mut |_| ()).unwrap(), None);
    assert_eq!((found.pictures, found.unreadable.len()), (6, 1));
    assert_eq!((found.copies[&Relation::Equal], found.leaks[&Relation::Equal], found.contradictions), (3, 2, 2));
    assert_eq!(found.groups_of_copies, 1);
}

#[test]
fn stats_count_pairs_pictures_and_patients() {
    let folder = tempfile::tempdir().unwrap();
    let reader = dataset(folder.path());
    let mut words = |text: &str| Ok(text.split_whitespace().count() as u64);
    let found = stats(&reader, Some(&mut words), &mut |_| ()).unwrap();
    assert_eq!((found.rows, found.pictures, found.records, found.patients), (10, 8, 10, 10));
    assert_eq!(found.original_task["2D classification"], 10);
    assert_eq!((found.split["train"], found.split["test"]), (9, 1));
    assert_eq!((found.sizes["96 x 64"], found.longer_side.quantiles[2]), (8, 96));
    assert_eq!(found.answer_characters.quantiles, [9; 5]);
    assert_eq!(found.tokens.as_ref().unwrap().quantiles, [6; 5]);
    assert_eq!(found.balance.iter().map(|line| line.values.values().sum::<u64>()).sum::<u64>(), 10);
    let page = stats_html(&found, &samples(&reader).unwrap()).unwrap();
    assert!(
        page.contains("set &lt;x&gt;") && page.contains("CC BY 4.0") && !page.contains("<b>shown"),
        "texts are escaped"
    );
    assert!(
        !page.contains("http://") || page.matches("http://").count() == page.matches("http://www.w3.org/").count(),
        "nothing is loaded"
    );
    assert!(page.matches("data:image/jpeg").count() >= 3);
}

#[test]
fn reviews_draw_judge_and_exclude() {
    let folder = tempfile::tempdir().unwrap();
    let reader = dataset(folder.path());
    let drawn = review::draw(&reader, 3, 1).unwrap();
    assert_eq!(drawn, review::draw(&reader, 3, 1).unwrap());
    assert!(drawn.values().all(|ids| ids.len() == 3));
    assert_ne!(drawn, review::draw(&reader, 3, 2).unwrap());
    let rows = review::drawn_rows(&reader, &drawn).unwrap();
    assert_eq!(rows.len(), 6);
    let page = review_html("set", "content", &rows);
    assert_eq!(page.matches("type=\"radio\"").count(), 30);
    let request = review::request(&rows[0], "judge");
    assert_eq!(request["custom_id"], rows[0].conversation.id);
    assert!(request["body"]["messages"][0]["content"][1]["text"].as_str().unwrap().contains("diagnosis: benign"));
    let scores = |reviewer: &str, score: u8| review::ScoreFile {
        dataset: "set".into(),
        reviewer: reviewer.into(),
        scores: drawn["b"].iter().map(|id| review::Score { id: id.clone(), score, comments: String::new() }).collect(),
    };
    let outcome = review::judge(&reader, &[scores("AB", 3), scores("CD", 4)], 3).unwrap();
    assert_eq!((outcome.verdicts[0].mean, outcome.verdicts[0].passes), (3.5, false));
    assert_eq!((outcome.excluded, outcome.not_scored), (vec!["b".to_string()], vec!["a".to_string()]));
    let twice = review::judge(&reader, &[scores("AB", 3), scores("AB", 4)], 3);
    assert!(twice.unwrap_err().to_string().contains("two scores"));
    let mut foreign = scores("AB", 1);
    foreign.scores[0].id = "elsewhere".into();
    assert!(review::judge(&reader, &[foreign], 3).is_err());
}
