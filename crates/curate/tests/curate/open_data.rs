//! configs/curate/open_data.toml: it always parses; where the shared data lie beside the repository, it runs over them.

use crate::world::Made;
use gmai_curate::{Config, Job, run};
use gmai_schema::Form;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn config_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/curate/open_data.toml")
}

/// The folder named by GMAI_SHARED, else `../shared` beside the repository.
fn shared() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = std::env::var_os("GMAI_SHARED").map_or(beside, PathBuf::from);
    folder.join("data").is_dir().then_some(folder)
}

#[test]
fn every_term_of_the_open_sets_has_a_chinese_name() {
    let config = Config::parse(&config_path(), &std::fs::read_to_string(config_path()).unwrap()).unwrap();
    assert!(config.sources.len() >= 12);
    for source in &config.sources {
        let terms = source.attributes.iter().flat_map(|attribute| &attribute.values);
        let terms = terms.chain(source.regions.iter().flat_map(|regions| &regions.terms));
        assert!(terms.into_iter().all(|term| term.zh.is_some()), "{}", source.name);
        assert!(source.attributes.iter().all(|attribute| attribute.name.zh.is_some()), "{}", source.name);
    }
}

/// Sources whose folder is there: another folder of the same layout may hold fewer sets.
fn available(text: &str, data: &Path) -> (String, Vec<String>) {
    let head_end = text.find("[[source]]").unwrap();
    let (mut kept, mut missing) = (text[..head_end].to_string(), Vec::new());
    for part in text[head_end..].split("[[source]]\n").skip(1) {
        let root = part.lines().find_map(|line| line.strip_prefix("root = \"${GMAI_SHARED}/data/")).unwrap();
        match data.join(root.trim_end_matches('"')).is_dir() {
            true => kept += &format!("[[source]]\n{part}"),
            false => missing.push(root.to_string()),
        }
    }
    (kept, missing)
}

#[test]
fn the_open_sets_are_curated_and_every_input_is_accounted_for() {
    let Some(shared) = shared() else {
        eprintln!("skipped: no shared data; set GMAI_SHARED to the folder that holds data/");
        return;
    };
    let (config_text, missing) = available(&std::fs::read_to_string(config_path()).unwrap(), &shared.join("data"));
    if !missing.is_empty() {
        eprintln!("skipped sets that are not there: {}", missing.join(", "));
    }
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("curate/open_data");
    let _ = std::fs::remove_dir_all(&out);
    let variables = BTreeMap::from([("GMAI_SHARED".to_string(), shared.display().to_string())]);
    let decoder = gmai_imaging::Decoder::default();
    let job = Job { config_path: config_path(), config_text, variables, out: out.clone(), decoder };
    let summary = run(&job, &mut |_| {}).unwrap_or_else(|error| panic!("{error}"));
    let made = Made::read(&out, summary); // Checks sums, splits and ids.
    for source in &made.summary.manifest.sources {
        assert!(source.original_task().is_some(), "`{}` is a kind without an original task", source.kind);
        let images = &source.images;
        eprintln!(
            "{}: {} of {} images, {} of {} annotations, {} rows, {} + {} quarantined",
            source.facts.name,
            images.used,
            images.given,
            source.annotations.used,
            source.annotations.given,
            source.pairs,
            images.quarantined,
            source.annotations.quarantined
        );
        assert!(images.used > 0 && source.pairs > 0, "{}", source.facts.name);
        let files = files_in(&shared.join("data"), &source.facts.name);
        if let Some(files) = files {
            assert_eq!(images.given, files, "{}: every picture of the folder is an input", source.facts.name);
        }
    }
    for form in Form::ALL {
        assert!(made.summary.manifest.counts.form.contains_key(form.key()), "{form:?}");
    }
}

/// Picture files of the sets whose folder holds nothing else with that ending, counted apart from the program.
fn files_in(data: &Path, source: &str) -> Option<u64> {
    let (folder, ending) = match source {
        "mednist" => ("mednist", "jpeg"),
        "busi" => ("busi-breast-ultrasound", "png"),
        "isic2017" => ("isic2017-skin/ISIC-2017_Training_Data", "jpg"),
        "bccd" => ("bccd-blood-cells-voc", "jpg"),
        "blood-cells-coco" => ("blood-cells-coco", "jpg"),
        "chase-db1" => ("chase-db1-retina", "jpg"),
        "nih-chestxray14" => ("nih-chestxray14-sample", "png"),
        "covid-cxr" => ("covid-cxr-hannover", "png"),
        "vqa-rad" => ("vqa-rad", "jpg"),
        _ => return None,
    };
    Some(count(&data.join(folder), ending))
}

fn count(folder: &Path, ending: &str) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| {
            if path.is_dir() { count(&path, ending) } else { u64::from(path.extension().is_some_and(|e| e == ending)) }
        })
        .sum()
}
