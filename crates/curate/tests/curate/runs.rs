//! Whole runs: the same bytes every time, finished folders recognised, interrupted ones begun anew.

use crate::world::{Made, World, source};
use gmai_curate::{Outcome, run};
use gmai_schema::Form;
use std::collections::BTreeMap;
use std::path::Path;

fn config() -> String {
    let kind = "modality = \"ct\"\nkind = { class_folders = { images = \"{class}/{stem}.png\" } }\n";
    let attribute = "[[source.attribute]]\nkey = \"body_part\"\nname = { en = \"body part\", zh = \"部位\" }\ntask = \"body_part_recognition\"\n\
        from = \"class\"\nvalues = [{ is = \"head\", en = \"head\", zh = \"头部\" }, { is = \"chest\", en = \"chest\", zh = \"胸部\" }]\n";
    let boxes = "modality = \"ct\"\nkind = { mask_beside = { images = \"head/{stem}.png\", masks = \"masks/{stem}.png\", instances = \"components\" } }\n\
        [source.regions]\ntask = \"disease_diagnosis\"\nexhaustive = true\nterms = [{ is = \"x\", en = \"lesion\", zh = \"病灶\" }]\n";
    source("parts", &format!("{kind}{attribute}")) + &source("lesions", boxes)
}

fn world(name: &str) -> World {
    let world = World::new(name);
    for index in 0..30 {
        world.picture(&format!("head/{index}.png"), index, 40, 40);
        world.picture(&format!("chest/{index}.png"), 100 + index, 40, 40);
        world.mask(&format!("masks/{index}.png"), [40, 40], &[[5, 5, 20, 25]]);
    }
    world
}

/// Every file of a folder by name.
pub fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())).collect()
}

#[test]
fn the_same_bytes_come_out_with_one_worker_and_with_many() {
    let world = world("workers");
    let mut outs = Vec::new();
    for workers in [1, 2, 7] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(workers).build().unwrap();
        let mut job = world.job(&config());
        job.out = world.folder.join(format!("out-{workers}"));
        pool.install(|| run(&job, &mut |_| {})).unwrap();
        outs.push(contents(&job.out));
    }
    assert!(outs[0] == outs[1] && outs[0] == outs[2]);
    let names: Vec<&str> = outs[0].keys().map(String::as_str).collect();
    assert!(names.contains(&"manifest.json") && names.contains(&"card.md"));
    assert!(!names.iter().any(|name| name.contains("partial")), "{names:?}");
}

#[test]
fn all_six_forms_and_both_languages_come_out() {
    let made = world("forms").curate(&config());
    for form in Form::ALL {
        assert!(made.summary.manifest.counts.form.contains_key(form.key()), "{form:?}");
    }
    assert_eq!(made.summary.manifest.counts.language.len(), 2);
    assert_eq!(made.summary.manifest.counts.split.len(), 3);
}

#[test]
fn a_finished_folder_is_recognised_and_another_dataset_is_not_overwritten() {
    let world = world("again");
    let first = world.curate(&config());
    let before = contents(&world.folder.join("out"));
    let again = run(&world.job(&config()), &mut |_| {}).unwrap();
    assert_eq!((again.outcome, &again.manifest), (Outcome::AlreadyThere, &first.summary.manifest));
    let message = world.refused(&config().replace("病灶", "病变"));
    assert!(message.contains("another config"), "{message}");
    world.picture("head/0.png", 555, 40, 40);
    let message = world.refused(&config());
    assert!(message.contains("other input files"), "{message}");
    assert!(contents(&world.folder.join("out")) == before);
}

#[test]
fn an_interrupted_run_is_begun_anew_and_gives_the_same_bytes() {
    let world = world("interrupted");
    world.curate(&config());
    let out = world.folder.join("out");
    let finished = contents(&out);
    std::fs::remove_file(out.join("manifest.json")).unwrap();
    std::fs::write(out.join("train-00000.parquet"), "half").unwrap();
    std::fs::write(out.join("train-00007.parquet"), "left over").unwrap();
    std::fs::write(out.join("train-00000.parquet.partial"), "left over").unwrap();
    std::fs::write(out.join("manifest.partial"), "left over").unwrap();
    std::fs::create_dir(out.join("work.partial")).unwrap();
    std::fs::write(out.join("work.partial/read.journal"), "of another run").unwrap();
    let summary = run(&world.job(&config()), &mut |_| {}).unwrap();
    Made::read(&out, summary);
    assert!(contents(&out) == finished);
}

#[test]
fn progress_is_reported_to_the_end_of_each_phase() {
    let world = world("progress");
    let mut last: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    run(&world.job(&config()), &mut |report| {
        let before = last.insert(report.phase.clone(), (report.done, report.total));
        assert!(before.is_none_or(|(done, _)| done <= report.done), "{report:?}");
    })
    .unwrap();
    assert!(last.values().all(|(done, total)| done == total), "{last:?}");
    assert!(last.contains_key("read parts") && last.contains_key("write rows"));
}
