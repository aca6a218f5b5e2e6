//! The inventory of real sets: every draft is curated as it is, and what SOURCE.md admits is found.

use crate::{curate, look};
use gmai_curate::inventory::{Inventory, Layout, UseKind, inventory_html};
use gmai_schema::Form;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The folder of the sets, or `None` with a note.
fn shared() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = std::env::var_os("GMAI_SHARED").map_or(beside, PathBuf::from).join("data");
    if !folder.is_dir() {
        eprintln!("skipped: no {}; set GMAI_SHARED to the folder that holds data/", folder.display());
        return None;
    }
    Some(folder)
}

fn set(name: &str) -> Option<Inventory> {
    let folder = shared()?.join(name);
    if !folder.is_dir() {
        eprintln!("skipped: no {}", folder.display());
        return None;
    }
    Some(look(&folder))
}

/// Pages stay for those who want to look at them.
fn keep_page(set: &Path, found: &Inventory) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("inventory");
    std::fs::create_dir_all(&folder).unwrap();
    let name = format!("{}.html", set.file_name().unwrap().to_string_lossy());
    std::fs::write(folder.join(name), inventory_html(found).unwrap()).unwrap();
}

#[test]
fn drafts_of_all_sets_are_curated_as_they_are() {
    let Some(shared) = shared() else { return };
    let mut sets: Vec<PathBuf> = std::fs::read_dir(shared).unwrap().map(|entry| entry.unwrap().path()).collect();
    sets.retain(|path| path.is_dir());
    sets.sort();
    let (mut curated, mut wrong) = (0, Vec::new());
    for set in &sets {
        let found = look(set);
        keep_page(set, &found);
        let claimed: BTreeSet<Form> = found.groups.iter().flat_map(|group| group.forms.iter().copied()).collect();
        if !found.draft_config.contains("[[source]]") || claimed.is_empty() {
            println!("{}: no draft, or one that promises no pair", set.display());
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        match curate(&found, folder.path()) {
            Ok((manifest, forms)) => {
                let made: BTreeSet<Form> = forms.values().flatten().copied().collect();
                let rows: u64 = manifest.shards.iter().map(|shard| shard.rows).sum();
                println!("{}: {rows} rows, {made:?}", set.display());
                if made != claimed {
                    wrong.push(format!("{}: promised {claimed:?}, made {made:?}", set.display()));
                }
                curated += 1;
            }
            Err(error) => wrong.push(format!("{}: {error}\n{}", set.display(), found.draft_config)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(curated * 4 >= sets.len() * 3, "only {curated} of {} sets", sets.len());
}

#[test]
fn one_picture_in_two_classes_is_found() {
    let Some(found) = set("busi-breast-ultrasound") else { return };
    let pairs: BTreeSet<[&str; 2]> = found
        .repeats
        .contradictions
        .iter()
        .map(|one| one.paths.each_ref().map(|path| path.rsplit('/').next().unwrap()))
        .collect();
    for known in [
        ["benign (433).png", "malignant (145).png"],
        ["benign (131).png", "malignant (51).png"],
        ["benign (42).png", "malignant (51).png"],
    ] {
        assert!(pairs.contains(&known), "{known:?} is not among {pairs:?}");
    }
}

#[test]
fn leaks_between_official_parts_are_found() {
    let Some(found) = set("isic2017-skin") else { return };
    let leaks: BTreeSet<[&str; 2]> = found
        .repeats
        .leaks
        .iter()
        .map(|leak| leak.paths.each_ref().map(|path| path.rsplit('/').next().unwrap()))
        .collect();
    for known in [
        ["ISIC_0012989.jpg", "ISIC_0012887.jpg"],
        ["ISIC_0013109.jpg", "ISIC_0013163.jpg"],
        ["ISIC_0015982.jpg", "ISIC_0012175.jpg"],
        ["ISIC_0016018.jpg", "ISIC_0012271.jpg"],
    ] {
        let [one, other] = known;
        assert!(leaks.contains(&[one, other]) || leaks.contains(&[other, one]), "{known:?} is not among {leaks:?}");
    }
}

#[test]
fn every_kind_of_annotation_is_recognised() {
    for (name, layout, items) in [
        ("bccd-blood-cells-voc", Layout::Voc, 280),
        ("blood-cells-coco", Layout::Coco, 120),
        ("blood-cells-kitti-csv", Layout::Kitti, 20),
        ("chase-db1-retina", Layout::ObserverMasks, 20),
        ("chula-rbc12-points", Layout::Points, 30),
        ("covid-cxr-hannover", Layout::CsvLabels, 40),
        ("dsb2018-nuclei", Layout::InstanceMasks, 60),
        ("hyperkvasir-polyps", Layout::MaskBeside, 5),
        ("mednist", Layout::ClassFolders, 1500),
        ("msd-hippocampus-mr", Layout::NiftiLabelMap, 65),
        ("nrrd-image-label", Layout::NiftiLabelMap, 2),
        ("nih-chestxray14-sample", Layout::CsvLabels, 20),
        ("phi-notes-en", Layout::ReportTable, 0),
        ("phi-notes-es-meddocan", Layout::TextReport, 150),
        ("vqa-rad", Layout::QaJson, 236),
    ] {
        let Some(found) = set(name) else { continue };
        let group = found.groups.iter().find(|group| group.layout == layout);
        let layouts: Vec<Layout> = found.groups.iter().map(|group| group.layout).collect();
        let group = group.unwrap_or_else(|| panic!("{name}: {layouts:?}"));
        assert!(items == 0 || group.images == items, "{name}: {} items", group.images);
    }
}

#[test]
fn hospital_formats_are_told_apart_and_measured() {
    let Some(found) = set("clinical-reports-fhir-hl7") else { return };
    let layouts: BTreeSet<Layout> = found.groups.iter().map(|group| group.layout).collect();
    for layout in [Layout::Fhir, Layout::Hl7v2, Layout::Ccda, Layout::Bioc, Layout::ReportTable, Layout::TextReport] {
        assert!(layouts.contains(&layout), "{layout:?} is not among {layouts:?}");
    }
    let measured = |group: &&gmai_curate::inventory::Group| {
        group.uses.iter().any(|one| one.kind == UseKind::Measurements && one.items > 0)
    };
    assert!(found.groups.iter().any(|group| measured(&group)), "laboratory results are measurements");
    assert!(found.identifiers.iter().any(|risk| risk.what.contains("HL7 v2")));
}

#[test]
fn objects_find_their_series() {
    if let Some(found) = set("dicom-rtstruct") {
        let set = found.objects.iter().find(|object| object.kind == "structure set").unwrap();
        assert!(set.has_series && set.entries == 10 && set.names.iter().any(|name| name == "Heart"), "{set:?}");
        assert!(found.draft_config.contains("structures = ["), "{}", found.draft_config);
    }
    if let Some(found) = set("dicom-seg-sr") {
        let segmentations = found.objects.iter().filter(|object| object.kind == "segmentation");
        assert!(segmentations.filter(|object| object.has_series && object.entries > 0).count() > 2);
        assert!(found.objects.iter().any(|object| object.kind == "measurement report" && object.entries > 0));
    }
}

#[test]
fn what_must_be_refused_is_listed_with_a_reason() {
    if let Some(found) = set("wsi-histology") {
        assert!(found.broken.iter().any(|broken| broken.path.ends_with("broken.svs")), "{:?}", found.broken);
        let slide = found.groups.iter().find(|group| group.facts.formats.contains_key("whole slide")).unwrap();
        assert!(slide.facts.spacing.is_some_and(|spacing| spacing[0].1 < 0.001), "half a micrometre per pixel");
    }
    if let Some(found) = set("dicom-transfer-syntaxes") {
        assert!(found.broken.iter().any(|broken| broken.path.ends_with("MR_truncated.dcm")), "{:?}", found.broken);
        let writing = found.identifiers.iter().filter(|risk| risk.what.starts_with("writing in the pixels"));
        assert!(writing.map(|risk| risk.files).sum::<u64>() > 0, "ultrasound may be written on");
    }
}
