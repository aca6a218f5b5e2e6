//! Every format: a dataset is exported and imported again, untouched, edited and damaged.
#![allow(clippy::unwrap_used)]

use gmai_exchange::*;
use gmai_schema::*;
use gmai_shard::*;
use std::path::Path;

fn picture(seed: u32) -> EncodedImage {
    let size = 8 + seed % 5;
    let pixels = (0..size * size * 3).map(|index| (index * 31 + seed * 97) as u8).collect();
    encode_png(&Rgb8::new(size, size, pixels).unwrap()).unwrap()
}

/// Rows with none, one and two pictures, with and without a system turn, quiz, slice and Chinese text.
fn conversation(number: usize) -> Conversation {
    let markers = "<image>".repeat(number % 3);
    let mut turns = vec![
        Turn::human(format!("{markers}\nWhat is \"shown\" in {number}?\n乳腺？")),
        Turn::assistant("A lesion.\n\nBenign."),
    ];
    if number.is_multiple_of(4) {
        turns.insert(0, Turn { from: Role::System, value: "You are a radiologist.".into() });
        turns.extend([Turn::human(" And now?"), Turn::assistant("The same.")]);
    }
    let split = [Split::Train, Split::Train, Split::Validation, Split::Train, Split::Test][number % 5];
    Conversation {
        id: format!("id-{number}"),
        record: format!("record-{number}"),
        turns,
        form: if number.is_multiple_of(4) { Form::Conversation } else { Form::Instruction },
        quiz: Some(Quiz::Open { answers: vec!["benign".into()] }),
        attribute: Some("diagnosis".into()),
        source: if number < 20 { "busi" } else { "ct / thorax" }.into(),
        task: Task::DiseaseDiagnosis,
        modality: Some(if number < 20 { Modality::Ultrasound } else { Modality::Ct }),
        department: Department::Oncology,
        labels: vec![Label { attribute: "diagnosis".into(), value: Term::new("benign", "良性") }],
        boxes: vec![BoundingBox::from_pixels(1.0, 2.0, 30.0, 41.0, 64, 48).unwrap()],
        language: Language::En,
        patient: format!("p{number}"),
        split,
        generator: "template:classify@1#3".into(),
        provenance: Provenance {
            file: "benign/1.png".into(),
            slice: (number >= 20).then_some(SliceRef { axis: Axis::Axial, index: 7 }),
            window: Some(WindowRef { low: -160.1, high: 240.3 }),
            ..Provenance::default()
        },
    }
}

fn source(name: &str, kind: &str, pairs: u64) -> SourceSummary {
    let facts = SourceFacts {
        name: name.into(),
        department: Department::Oncology,
        modalities: vec![Modality::Ct],
        attributes: Vec::new(),
        region_terms: Vec::new(),
        region_task: Task::DiseaseDiagnosis,
        regions_exhaustive: false,
        licence: "CC BY 4.0".into(),
    };
    SourceSummary {
        facts,
        kind: kind.into(),
        images: Tally::default(),
        annotations: Tally::default(),
        pairs,
        agreement: None,
        authored: None,
        deidentified: None,
    }
}

/// A dataset of 40 rows.
fn dataset(folder: &Path) -> Reader {
    let mut writer = Writer::create(folder, WriterOptions::default()).unwrap();
    for number in 0..40 {
        // The second picture is the first of the next row: files are shared.
        let images: Vec<_> = (0..number % 3).map(|index| picture((number + index) as u32)).collect();
        writer.push(&conversation(number), &images).unwrap();
    }
    let entry = Quarantined {
        source: "busi".into(),
        file: "a.png".into(),
        field: "file".into(),
        reason: "空".into(),
        remedy: "delete it".into(),
    };
    writer.quarantine(&entry).unwrap();
    let summary = WriterSummary {
        name: "测试 set".into(),
        program: "gmai test".into(),
        config_sha256: "c".into(),
        inputs_sha256: "i".into(),
        seed: 7,
        sources: vec![source("busi", "class_folders", 20), source("ct / thorax", "nifti_label_map", 20)],
        card: "# card\n".into(),
    };
    writer.finish(summary).unwrap();
    Reader::open(folder).unwrap()
}

fn options() -> ImportOptions {
    ImportOptions {
        name: "imported".into(),
        source: "foreign".into(),
        defaults: facts::none(),
        facts: FactsFile::default(),
        split: None,
        markers: Markers::AsTheyStand,
        ratios: Ratios::Ignore,
        images: None,
    }
}

mod facts {
    use super::*;

    pub fn none() -> GivenFacts {
        GivenFacts::default()
    }

    pub fn oncology() -> GivenFacts {
        GivenFacts { department: Some(Department::Oncology), licence: Some("CC0".into()), ..GivenFacts::default() }
    }
}

fn bring(source: &Path, format: Format, out: &Path, options: &ImportOptions) -> gmai_exchange::Result<ImportSummary> {
    import(source, format, out, options, &mut |_| ())
}

fn rows(reader: &Reader) -> Vec<(Conversation, Vec<EncodedImage>)> {
    let samples = Split::ALL.into_iter().flat_map(|split| reader.samples(split));
    samples.map(|sample| sample.unwrap()).map(|sample| (sample.conversation, sample.images)).collect()
}

#[test]
fn every_format_gives_back_the_very_same_dataset() {
    let folder = tempfile::tempdir().unwrap();
    let reader = dataset(&folder.path().join("data"));
    let inline = ExportOptions { pictures: Pictures::Inline, ..ExportOptions::default() };
    let small = ExportOptions { samples_per_shard: 7, chunk_bytes: 2_000, ..ExportOptions::default() };
    let ways = Format::ALL.into_iter().map(|format| (format, ExportOptions::default()));
    let more = [(Format::Messages, inline), (Format::WebDataset, small.clone()), (Format::GmaiVl, small)];
    for (number, (format, how)) in ways.chain(more).enumerate() {
        let (out, back) = (folder.path().join(format!("out{number}")), folder.path().join(format!("back{number}")));
        let summary = export(&reader, format, &out, &how, &mut |_| ()).unwrap();
        assert_eq!(summary.rows.values().sum::<u64>(), 40, "{format:?}");
        let summary = bring(&out, format, &back, &options()).unwrap();
        assert_eq!((summary.given, summary.used, summary.quarantined, summary.edited), (40, 40, 0, 0), "{format:?}");
        assert!(summary.is_same_dataset, "{format:?}: equal shards, quarantine and manifest");
        let back = Reader::open(&back).unwrap();
        back.verify().unwrap();
        assert_eq!(rows(&back), rows(&reader), "{format:?}");
        assert_eq!(back.quarantined().unwrap(), reader.quarantined().unwrap());
    }
}

#[test]
fn the_same_export_gives_the_same_bytes_and_never_overwrites() {
    let folder = tempfile::tempdir().unwrap();
    let reader = dataset(&folder.path().join("data"));
    for format in Format::ALL {
        let [one, two] = ["one", "two"].map(|name| folder.path().join(format!("{}-{name}", format.key())));
        for out in [&one, &two] {
            export(&reader, format, out, &ExportOptions::default(), &mut |_| ()).unwrap();
        }
        let list = |root: &Path| {
            let mut files: Vec<_> = walk(root)
                .into_iter()
                .map(|path| (path.strip_prefix(root).unwrap().to_path_buf(), std::fs::read(&path).unwrap()))
                .collect();
            files.sort();
            files
        };
        assert!(list(&one) == list(&two), "{format:?}");
        let again = export(&reader, format, &one, &ExportOptions::default(), &mut |_| ());
        assert!(matches!(again, Err(gmai_exchange::Error::Exists { .. })), "{format:?}");
    }
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(walk(&path)) } else { files.push(path) }
    }
    files
}

#[test]
fn others_find_what_their_format_promises() {
    let folder = tempfile::tempdir().unwrap();
    let reader = dataset(&folder.path().join("data"));
    let out = |format: Format| {
        let out = folder.path().join(format.key());
        export(&reader, format, &out, &ExportOptions::default(), &mut |_| ()).unwrap();
        out
    };
    let json = |path: std::path::PathBuf| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    };
    let llava = json(out(Format::LlavaJson).join("train.json"));
    assert_eq!(llava[1]["image"], format!("images/{}/{}", &picture(1).path[..2], picture(1).path));
    assert_eq!(llava[1]["conversations"][0]["from"], "human");
    let share_gpt = out(Format::ShareGpt);
    let info = json(share_gpt.join("dataset_info.json"));
    let entry = info.as_object().unwrap().iter().find(|(name, _)| name.ends_with("_train")).unwrap().1;
    assert_eq!(entry["file_name"], "train.json");
    assert_eq!(json(share_gpt.join("train.json"))[0]["system"], "You are a radiologist.");
    let list = out(Format::List);
    let entries = json(list.join("list.json"));
    assert_eq!(entries["busi.train"]["length"], 12);
    assert!(entries.get("busi.test").is_none(), "training never sees other splits by accident");
    assert_eq!(json(list.join("internvl_meta.test.json"))["busi.test"]["repeat_time"], 1.0);
    let published = out(Format::GmaiVl);
    let text = std::fs::read_to_string(published.join("annotations/train_part_001.jsonl")).unwrap();
    let mut rows = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let row = rows.find(|row| row["image"].as_str().is_some_and(|path| path.starts_with("images/3d/"))).unwrap();
    assert!(row["image"].as_str().unwrap().starts_with("images/3d/seg/ct/ct___thorax/images/"), "{}", row["image"]);
    assert!(row["id"].as_str().unwrap().starts_with("3d#seg#ct#ct___thorax#"));
    assert!(row["width"].as_u64().unwrap() >= 8 && published.join("zips/images_chunk_001.zip").is_file());
}

#[test]
fn edited_rows_are_taken_under_new_ids_and_damaged_ones_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let reader = dataset(&folder.path().join("data"));
    let out = folder.path().join("out");
    export(&reader, Format::LlavaJsonl, &out, &ExportOptions::default(), &mut |_| ()).unwrap();
    let path = out.join("train.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
    lines[0] = lines[0].replace("Benign.", "Malignant.");
    lines[1] = lines[1].replace("\"image\":\"images/", "\"image\":\"../");
    lines[3] = "{\"id\": 3".to_string();
    std::fs::write(&path, lines.join("\n")).unwrap();
    let missing = out.join(format!("images/{}/{}", &picture(8).path[..2], picture(8).path));
    std::fs::write(missing, picture(6).bytes).unwrap();
    let summary = bring(&out, Format::LlavaJsonl, &folder.path().join("back"), &options()).unwrap();
    assert_eq!(summary.given, summary.used + summary.quarantined);
    assert!(!summary.is_same_dataset && summary.edited == 1, "{summary:?}");
    let back = Reader::open(&folder.path().join("back")).unwrap();
    let edited: Vec<_> = rows(&back)
        .into_iter()
        .filter(|(row, _)| row.turns.iter().any(|turn| turn.value.contains("Malignant")))
        .collect();
    let (row, _) = &edited[0];
    assert!(!row.id.starts_with("id-") && row.quiz.is_none() && row.generator.ends_with(", edited"));
    let reasons: Vec<String> = back
        .quarantined()
        .unwrap()
        .into_iter()
        .map(|line| format!("{} {} {}", line.file, line.field, line.reason))
        .collect();
    let named = |words: &[&str]| reasons.iter().any(|reason| words.iter().all(|word| reason.contains(word)));
    assert!(named(&["train.jsonl row 2", "leads out of the folder"]), "{reasons:?}");
    assert!(named(&["train.jsonl row 4", "not JSON"]), "{reasons:?}");
    assert!(named(&["sha256 is"]), "{reasons:?}");
    assert!(named(&["空"]), "the dataset's own quarantine comes along: {reasons:?}");
}

#[test]
fn rows_of_other_programs_need_a_department_and_keep_their_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("foreign");
    std::fs::create_dir_all(source.join("pictures")).unwrap();
    std::fs::write(source.join("pictures/a.png"), picture(1).bytes).unwrap();
    std::fs::write(source.join("pictures/broken.png"), b"no picture").unwrap();
    let row = |image: &str, question: &str| serde_json::json!({"id": 1, "image": image, "conversations": [{"from": "human", "value": question}, {"from": "gpt", "value": "a mass"}]});
    let all = serde_json::json!([
        row("pictures/a.png", "<image>\nWhat is it?"),
        row("pictures/a.png", "这是什么？"),
        row("pictures/missing.png", "<image>\nWhat is it?"),
        row("pictures/broken.png", "<image>\nWhat is it?"),
        row("/etc/hostname", "<image>\nWhat is it?"),
        row("pictures/a.png", "<image>\nЧто видно на снимке?"),
    ]);
    std::fs::write(source.join("slake_val.json"), all.to_string()).unwrap();
    let out = folder.path().join("out");
    let error = bring(&source, Format::LlavaJson, &out, &options()).unwrap_err().to_string();
    assert!(error.contains("no department") && error.contains("--department"), "{error}");
    let told = ImportOptions { defaults: facts::oncology(), markers: Markers::Prepend, ..options() };
    let summary = bring(&source, Format::LlavaJson, &out, &told).unwrap();
    assert_eq!((summary.given, summary.used, summary.quarantined), (6, 2, 4));
    let source_summary = &summary.manifest.sources[0];
    assert_eq!((source_summary.facts.licence.as_str(), source_summary.annotations.adds_up()), ("CC0", true));
    let reader = Reader::open(&out).unwrap();
    let rows = rows(&reader);
    assert!(rows.iter().all(|(row, images)| row.split == Split::Validation && images == &[picture(1)]));
    assert_eq!(rows[1].0.turns[0].value, "<image>\n这是什么？");
    assert_eq!((rows[0].0.language, rows[1].0.language), (Language::En, Language::Zh));
    assert_eq!(rows[0].0.patient, rows[1].0.patient, "rows of one picture stay together");
    let reasons: Vec<String> = reader.quarantined().unwrap().into_iter().map(|line| line.reason).collect();
    assert!(reasons[0].contains("missing.png") && reasons[2].contains("/etc/hostname"), "{reasons:?}");
}

#[test]
fn hostile_archives_are_errors_or_defects() {
    let folder = tempfile::tempdir().unwrap();
    let reader = dataset(&folder.path().join("data"));
    let told = ImportOptions { defaults: facts::oncology(), ..options() };
    for format in [Format::WebDataset, Format::GmaiVl] {
        let out = folder.path().join(format.key());
        export(&reader, format, &out, &ExportOptions::default(), &mut |_| ()).unwrap();
        for path in walk(&out)
            .into_iter()
            .filter(|path| path.extension().is_some_and(|ending| ending == "tar" || ending == "zip"))
        {
            let bytes = std::fs::read(&path).unwrap();
            std::fs::write(&path, &bytes[..bytes.len() * 2 / 3]).unwrap();
        }
        let back = folder.path().join(format!("{}-back", format.key()));
        match bring(&out, format, &back, &told) {
            Ok(summary) => assert!(summary.quarantined > 0 && !summary.is_same_dataset, "{summary:?}"),
            Err(error) => assert!(error.to_string().contains(".zip"), "{error}"),
        }
    }
    // A tar member that claims far more than there is, under a name that leads out.
    let source = folder.path().join("hostile");
    std::fs::create_dir(&source).unwrap();
    let mut header = tar_header("../../0001.png", 1 << 40);
    header.extend_from_slice(&[0; 512]);
    std::fs::write(source.join("a.tar"), header).unwrap();
    let error = bring(&source, Format::WebDataset, &folder.path().join("hostile-back"), &told).unwrap_err();
    assert!(matches!(error, gmai_exchange::Error::Nothing { .. }), "{error}");
}

/// A USTAR header by hand.
fn tar_header(name: &str, size: u64) -> Vec<u8> {
    let mut header = vec![0_u8; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[100..107].copy_from_slice(b"0000644");
    header[124..136].copy_from_slice(&[&[0x80, 0, 0, 0][..], &size.to_be_bytes()].concat());
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    header[148..156].copy_from_slice(b"        ");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    header
}

#[test]
fn list_ratios_draw_the_same_share_every_time() {
    let folder = tempfile::tempdir().unwrap();
    let reader = dataset(&folder.path().join("data"));
    let out = folder.path().join("out");
    let half = ExportOptions { sample_ratios: [("busi".to_string(), 0.5)].into(), ..ExportOptions::default() };
    export(&reader, Format::List, &out, &half, &mut |_| ()).unwrap();
    let told = ImportOptions { ratios: Ratios::Apply, ..options() };
    let drawn = |name: &str| bring(&out, Format::List, &folder.path().join(name), &told).unwrap();
    let (one, two) = (drawn("one"), drawn("two"));
    assert!(one.skipped > 3 && one.skipped < 17 && one.given == one.used + one.skipped, "{one:?}");
    assert_eq!(one.manifest, two.manifest);
    let unknown = ExportOptions { sample_ratios: [("nobody".to_string(), 0.5)].into(), ..ExportOptions::default() };
    assert!(export(&reader, Format::List, &folder.path().join("other"), &unknown, &mut |_| ()).is_err());
}
