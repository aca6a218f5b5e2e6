//! A dataset folder is written and read back through the public interface.
#![allow(clippy::unwrap_used)]

use gmai_schema::*;
use gmai_shard::*;
use std::path::{Path, PathBuf};

/// An empty folder of this test under cargo's own.
fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shard").join(name);
    let _ = std::fs::remove_dir_all(&path);
    path
}

fn conversation(number: usize, split: Split) -> Conversation {
    Conversation {
        id: format!("id-{number}"),
        record: format!("record-{}", number / 10),
        turns: vec![Turn::human("<image>\n这是什么检查？"), Turn::assistant("腹部 CT。")],
        form: Form::MultipleChoice,
        quiz: Some(Quiz::MultipleChoice { options: vec!["腹部".into(), "chest".into()], answer: 0 }),
        attribute: number.is_multiple_of(2).then(|| "body_part".to_string()),
        source: "mednist".into(),
        task: Task::BodyPartRecognition,
        modality: (!number.is_multiple_of(3)).then_some(Modality::Ct),
        department: Department::Gastroenterology,
        labels: vec![
            Label { attribute: "body_part".into(), value: Term::new("abdomen", "腹部") },
            Label { attribute: "body_part".into(), value: Term::english("liver") },
        ],
        boxes: vec![BoundingBox::from_pixels(1.0, 2.0, 30.0, 41.0, 64, 48).unwrap(); number % 3],
        language: Language::Zh,
        patient: "p1".into(),
        split,
        generator: "template:classify@1#3".into(),
        provenance: Provenance {
            file: "AbdomenCT/1.jpeg".into(),
            slice: Some(SliceRef { axis: Axis::Coronal, index: 7 }),
            window: Some(WindowRef { low: -160.1, high: 240.3 }),
            ..Provenance::default()
        },
    }
}

/// A picture that does not compress: noise from a linear congruential generator.
fn picture(seed: u32, size: u32) -> EncodedImage {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let mut pixel = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let pixels = (0..size * size * 3).map(|_| pixel()).collect();
    encode_png(&Rgb8::new(size, size, pixels).unwrap()).unwrap()
}

fn summary() -> WriterSummary {
    WriterSummary {
        name: "测试".into(),
        program: "gmai test".into(),
        config_sha256: "c".into(),
        inputs_sha256: "i".into(),
        seed: 7,
        sources: Vec::new(),
        card: "# card\n".into(),
    }
}

fn write(folder: &Path, num_rows: usize, size: u32) -> Manifest {
    let options = WriterOptions { rows_per_group: 20, rows_per_shard: 50, ..WriterOptions::default() };
    let mut writer = Writer::create(folder, options).unwrap();
    for number in 0..num_rows {
        let split = if number % 10 == 9 { Split::Test } else { Split::Train };
        writer.push(&conversation(number, split), &[picture(number as u32 / 10, size)]).unwrap();
    }
    let entry = Quarantined {
        source: "mednist".into(),
        file: "Hand/2.jpeg".into(),
        field: "file".into(),
        reason: "空文件".into(),
        remedy: "delete it".into(),
    };
    writer.quarantine(&entry).unwrap();
    writer.finish(summary()).unwrap()
}

#[test]
fn what_is_written_is_read_back() {
    let folder = folder("round_trip");
    let manifest = write(&folder, 120, 8);
    let reader = Reader::open(&folder).unwrap();
    reader.verify().unwrap();
    assert_eq!(*reader.manifest(), manifest);
    assert_eq!((reader.num_rows(Split::Train), reader.num_rows(Split::Validation)), (108, 0));
    assert_eq!(manifest.shards.iter().map(|shard| shard.rows).collect::<Vec<_>>(), [50, 50, 8, 12]);
    let expected = (0..120).filter(|number| number % 10 != 9);
    let samples: Vec<Sample> = reader.samples(Split::Train).collect::<Result<_>>().unwrap();
    assert_eq!(samples.len(), 108);
    for (sample, number) in samples.iter().zip(expected) {
        assert_eq!(sample.conversation, conversation(number, Split::Train));
        assert_eq!(sample.images, [picture(number as u32 / 10, 8)]);
    }
    assert_eq!(reader.samples(Split::Test).count(), 12);
    assert_eq!(reader.quarantined().unwrap()[0].reason, "空文件");
}

#[test]
fn equal_input_gives_equal_bytes() {
    let (first, second) = (folder("equal_first"), folder("equal_second"));
    write(&first, 60, 8);
    write(&second, 60, 8);
    let mut names: Vec<_> = std::fs::read_dir(&first).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names.len(), 6, "three shards, manifest, card, quarantine: {names:?}");
    for name in names {
        let equal = std::fs::read(first.join(&name)).unwrap() == std::fs::read(second.join(&name)).unwrap();
        assert!(equal, "{name:?} differs");
    }
}

#[test]
fn rows_of_one_picture_store_its_bytes_once_per_row_group() {
    let folder = folder("dictionary");
    let one = picture(0, 200).bytes.len() as u64;
    let mut writer = Writer::create(&folder, WriterOptions::default()).unwrap();
    for number in 0..100 {
        writer.push(&conversation(number, Split::Train), &[picture(number as u32 / 50, 200)]).unwrap();
    }
    let manifest = writer.finish(summary()).unwrap();
    let bytes = manifest.shards[0].bytes;
    assert!(bytes > 2 * one && bytes < 2 * one + one / 2, "two pictures of {one} bytes took {bytes}");
}

#[test]
fn an_unfinished_folder_is_not_opened_and_is_written_anew() {
    let folder = folder("unfinished");
    let mut writer =
        Writer::create(&folder, WriterOptions { rows_per_group: 1, rows_per_shard: 1, ..WriterOptions::default() })
            .unwrap();
    for number in 0..3 {
        writer.push(&conversation(number, Split::Train), &[picture(1, 4)]).unwrap();
    }
    drop(writer); // As if the program had been stopped.
    let error = Reader::open(&folder).unwrap_err();
    assert!(matches!(error, Error::Unfinished { .. }), "{error}");
    write(&folder, 20, 4);
    assert!(!folder.join("train-00002.parquet").exists(), "the interrupted run's shards are gone");
    assert!(matches!(Writer::create(&folder, WriterOptions::default()), Err(Error::AlreadyFinished { .. })));
}

/// Ten rows to a shard; the run ends after `pushed` of 64 rows, or comes to its end.
fn resumed(folder: &Path, pushed: Option<usize>) -> (u64, Option<Manifest>) {
    let options = WriterOptions { rows_per_group: 5, rows_per_shard: 10, ..WriterOptions::default() };
    let mut writer = Writer::resume(folder, options, &folder.join("shards.jsonl")).unwrap();
    let kept = writer.num_kept();
    for number in 0..pushed.unwrap_or(64) {
        let split = if number % 4 == 3 { Split::Test } else { Split::Train };
        // Rows that stand in a kept shard need no pictures.
        let pictures = if writer.has_next(split) { Vec::new() } else { vec![picture(number as u32, 8)] };
        writer.push(&conversation(number, split), &pictures).unwrap();
    }
    (kept, pushed.is_none().then(|| writer.finish(summary()).unwrap()))
}

#[test]
fn whole_shards_of_an_interrupted_run_are_kept_and_the_rest_is_written_anew() {
    let (whole, broken) = (folder("resume_whole"), folder("resume_broken"));
    let expected = resumed(&whole, None).1.unwrap();
    assert_eq!(resumed(&broken, Some(15)).0, 0);
    assert_eq!(resumed(&broken, Some(47)).0, 10, "one shard of train was whole");
    assert!(broken.join("train-00002.parquet").exists() && broken.join("test-00000.parquet").exists());
    // A shard that was changed, and all of its split behind it, are written anew; so is a line that was torn.
    std::fs::write(broken.join("train-00001.parquet"), "changed").unwrap();
    let log = broken.join("shards.jsonl");
    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::write(&log, format!("{text}{{\"file\": \"train-0")).unwrap();
    let (kept, manifest) = resumed(&broken, None);
    assert_eq!((kept, manifest.unwrap()), (20, expected.clone()));
    Reader::open(&broken).unwrap().verify().unwrap();
    let partial = |path: &Path| {
        std::fs::read_dir(path)
            .unwrap()
            .any(|entry| entry.unwrap().path().extension().is_some_and(|ending| ending == "partial"))
    };
    assert!(!partial(&broken) && !partial(&whole));
    assert_eq!(expected.counts.split.values().sum::<u64>(), 64);
}

#[test]
fn long_shards_are_ended_whatever_their_rows() {
    let folder = folder("long");
    let picture_bytes = picture(0, 400).bytes.len() as u64;
    let options = WriterOptions { rows_per_group: 2, bytes_per_shard: 3 * picture_bytes, ..WriterOptions::default() };
    let mut writer = Writer::create(&folder, options).unwrap();
    for number in 0..12 {
        writer.push(&conversation(number, Split::Train), &[picture(number as u32, 400)]).unwrap();
    }
    let manifest = writer.finish(summary()).unwrap();
    let sizes: Vec<u64> = manifest.shards.iter().map(|shard| shard.bytes).collect();
    assert!(
        sizes.len() > 1 && sizes.iter().all(|size| *size < 10 * picture_bytes + (1 << 14)),
        "{sizes:?} of {picture_bytes}"
    );
    assert_eq!(Reader::open(&folder).unwrap().samples(Split::Train).count(), 12);
}

#[test]
fn changed_and_truncated_shards_are_named() {
    let folder = folder("changed");
    write(&folder, 20, 4);
    let shard = folder.join("train-00000.parquet");
    let bytes = std::fs::read(&shard).unwrap();
    std::fs::write(&shard, &bytes[..bytes.len() / 2]).unwrap();
    let reader = Reader::open(&folder).unwrap();
    assert!(matches!(reader.verify(), Err(Error::Changed { path, .. }) if path == shard));
    let mut samples = reader.samples(Split::Train);
    let error = samples.next().unwrap().unwrap_err();
    assert!(error.to_string().contains("train-00000.parquet"), "{error}");
    assert!(samples.next().is_none());
    std::fs::remove_file(&shard).unwrap();
    assert!(matches!(reader.samples(Split::Train).next(), Some(Err(Error::Io { .. }))));
}

#[test]
fn another_schema_version_is_refused_by_name() {
    let folder = folder("version");
    write(&folder, 10, 4);
    let path = folder.join("manifest.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"schema_version\": 1", "\"schema_version\": 99")).unwrap();
    let error = Reader::open(&folder).unwrap_err().to_string();
    assert!(error.contains("schema_version is 99"), "{error}");
    std::fs::write(&path, text.replace("train-00000.parquet", "../train-00000.parquet")).unwrap();
    assert!(Reader::open(&folder).is_err(), "a shard outside the folder is refused");
}
