//! Made-up trees as hospitals and downloads have them.

use crate::{curate, look};
use gmai_curate::inventory::{Inventory, Layout, Options, UseKind, inventory, inventory_html, inventory_text};
use gmai_imaging::Decoder;
use gmai_schema::{Form, Rgb8};
use gmai_testkit::{DicomImage, NiftiImage, NiftiVoxels, write_dicom, write_grey_png, write_nifti, write_rgb_png};
use std::path::{Path, PathBuf};

struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Tree {
        Tree(tempfile::tempdir().unwrap())
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn path(&self, name: &str) -> PathBuf {
        let path = self.folder().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn text(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// A smooth colour picture that resembles no other of another seed.
    fn picture(&self, name: &str, seed: u32) {
        write_rgb_png(&self.path(name), &picture(seed)).unwrap();
    }

    fn mask(&self, name: &str, columns: u32) {
        let pixels: Vec<u8> = (0..64 * 48).map(|index| if index % 64 < columns { 255 } else { 0 }).collect();
        write_grey_png(&self.path(name), 64, 48, &pixels).unwrap();
    }

    /// A CT slice of 24 x 24 pixels.
    fn ct(&self, name: &str, patient: &str, slice: u32) {
        let values = (0..24 * 24).map(|index| (index as i16 * 7 + slice as i16 * 31) % 900 - 400).collect();
        let mut image = DicomImage::ct(24, 24, values);
        image.patient = patient.to_owned();
        image.study = format!("1.2.3.{}", patient.len() * 100 + usize::from(patient.as_bytes()[patient.len() - 1]));
        image.series = format!("{}.1", image.study);
        image.instance = format!("{}.{}", image.series, slice + 1);
        image.instance_number = slice + 1;
        image.position[2] = f64::from(slice) * 3.0;
        write_dicom(&self.path(name), &image).unwrap();
    }

    fn curated(&self) -> (Inventory, std::collections::BTreeSet<Form>) {
        let found = look(&self.folder());
        let (_, forms) =
            curate(&found, self.0.path()).unwrap_or_else(|error| panic!("{error}\n{}", found.draft_config));
        let made = forms.into_values().flatten().collect();
        (found, made)
    }
}

fn picture(seed: u32) -> Rgb8 {
    let wave = |index: u32, channel: u32| {
        let (x, y) = (f64::from(index % 64) / 64.0, f64::from(index / 64) / 48.0);
        let phase = f64::from(seed * 3 + channel);
        (127.0 + 60.0 * (x * (5.0 + phase)).sin() + 60.0 * (y * (7.0 - phase) + phase).cos()) as u8
    };
    Rgb8::new(64, 48, (0..64 * 48).flat_map(|index| [0, 1, 2].map(|channel| wave(index, channel))).collect()).unwrap()
}

#[test]
fn a_hospital_export_is_one_group_with_its_table() {
    let tree = Tree::new();
    let mut table = "MRN,diagnosis,age\n".to_owned();
    for (number, patient) in ["PAT-A1", "PAT-B2", "PAT-C3", "PAT-D4"].into_iter().enumerate() {
        for slice in 0..4 {
            tree.ct(&format!("export/{patient}/S1/IM{slice}"), patient, slice);
        }
        let diagnosis = if number % 2 == 0 { "embolism" } else { "no embolism" };
        table.push_str(&format!("{patient},{diagnosis},{}\n", 40 + number));
    }
    tree.text("export/labels.csv", &table);
    tree.text("export/PAT-A1/S1/IM9", "not an image, not DICOM");
    let whole = std::fs::read(tree.path("export/PAT-A1/S1/IM0")).unwrap();
    std::fs::write(tree.path("export/PAT-A1/S1/cut.dcm"), &whole[..whole.len() / 2]).unwrap();
    tree.text("export/more.zip", b"PK\x03\x04rest");
    let (found, made) = tree.curated();
    let layouts: Vec<(Layout, u64)> = found.groups.iter().map(|group| (group.layout, group.images)).collect();
    assert_eq!(layouts, [(Layout::DicomSeries, 16)]);
    let group = &found.groups[0];
    assert_eq!((group.facts.series, group.facts.studies), (4, Some(4)));
    assert_eq!(group.facts.patients.as_ref().map(|told| told.count), Some(4));
    assert_eq!(group.classes.get("diagnosis: embolism"), Some(&2));
    assert!(group.uses.iter().any(|one| one.kind == UseKind::Classification && one.items == 16), "{:?}", group.uses);
    assert!(made.contains(&Form::MultipleChoice) && made.contains(&Form::Conversation), "{made:?}");
    assert_eq!(found.broken.len(), 1, "{:?}", found.broken);
    for text in [inventory_html(&found).unwrap(), inventory_text(&found), found.draft_config.clone()] {
        assert!(!text.contains("embolism,40"));
    }
    assert!(found.identifiers.iter().any(|risk| risk.what == "DICOM PatientID" && risk.files >= 16));
    assert!(found.identifiers.iter().any(|risk| risk.what == "column `MRN`"));
}

#[test]
fn tables_of_flags_boxes_and_reports_are_drafted() {
    let tree = Tree::new();
    let mut flags = "image,Edema,Cardiomegaly,split\n".to_owned();
    let mut boxes = "image,class,xmin,ymin,xmax,ymax\n".to_owned();
    for seed in 0..12 {
        tree.picture(&format!("cxr/images/{seed:02}.png"), seed);
        tree.text(
            &format!("cxr2/{seed:02}.txt"),
            format!("FINDINGS: The heart is of normal size {seed}.\nIMPRESSION: No acute disease in this patient."),
        );
        tree.picture(&format!("cxr2/{seed:02}.png"), 40 + seed);
        let (edema, heart) = (seed % 2, if seed == 3 { "-1".to_owned() } else { (seed % 3 % 2).to_string() });
        flags += &format!("{seed:02}.png,{edema},{heart},{}\n", if seed < 9 { "train" } else { "test" });
        tree.picture(&format!("cells/{seed:02}.png"), 80 + seed);
        boxes +=
            &format!("{seed:02}.png,{},4,5,30,40\n{seed:02}.png,rbc,8,5,60,40\n", ["rbc", "wbc"][seed as usize % 2]);
    }
    tree.text("cxr/labels.csv", &flags);
    tree.text("cells/boxes.csv", &boxes);
    let (found, made) = tree.curated();
    let layouts: Vec<(Layout, &str)> = found.groups.iter().map(|group| (group.layout, group.folder.as_str())).collect();
    let expected = [(Layout::CsvBoxes, "cells"), (Layout::CsvLabels, "cxr"), (Layout::TextReport, "cxr2")];
    assert_eq!(layouts, expected);
    assert!(found.draft_config.contains("flags = {}") && found.draft_config.contains("unknown = [\"-1\", \"-1.0\"]"));
    assert!(found.draft_config.contains("units = \"pixels\""));
    assert_eq!(found.groups[1].facts.splits.get("test"), Some(&3));
    assert_eq!(found.groups[0].classes, [("rbc".to_owned(), 18), ("wbc".to_owned(), 6)].into());
    for form in [Form::ImageCaption, Form::Perception, Form::RegionCaption, Form::Instruction] {
        assert!(made.contains(&form), "{form:?}");
    }
}

#[test]
fn class_maps_and_label_maps_of_volumes_are_paired_by_content() {
    let tree = Tree::new();
    let volume = |name: &str, seed: i16| {
        let noise = |index: i32| ((index * 7919 + i32::from(seed) * 31) % 811) as i16;
        let values = (0..12 * 10 * 8).map(noise).collect();
        write_nifti(&tree.path(name), &NiftiImage::new([12, 10, 8], NiftiVoxels::I16(values))).unwrap();
    };
    let map = |name: &str, first: usize| {
        let values = (0..12 * 10 * 8).map(|index| u8::from(index / 120 >= first && index % 12 > 3)).collect();
        write_nifti(&tree.path(name), &NiftiImage::new([12, 10, 8], NiftiVoxels::U8(values))).unwrap();
    };
    for case in 0..3 {
        volume(&format!("total/s{case}/ct.nii.gz"), case);
        map(&format!("total/s{case}/organs/liver.nii.gz"), 2);
        map(&format!("total/s{case}/organs/spleen.nii.gz"), 5);
        volume(&format!("lesions/c{case}_t1.nii"), 20 + case);
        map(&format!("lesions/c{case}_roi_mask.nii"), 4);
        volume(&format!("lesions/c{case}.nii"), 40 + case);
    }
    let (found, made) = tree.curated();
    let total = found.groups.iter().find(|group| group.folder == "total").unwrap();
    assert_eq!((total.layout, total.images), (Layout::NiftiLabelMap, 3));
    assert_eq!(total.classes, [("liver".to_owned(), 3), ("spleen".to_owned(), 3)].into());
    assert!(found.draft_config.contains("labels = \"{case}/organs/{class}.nii.gz\""), "{}", found.draft_config);
    assert!(made.contains(&Form::RegionCaption));
    assert_eq!(total.facts.depths.keys().collect::<Vec<_>>(), ["int16"]);
}

#[test]
fn conversations_are_found_with_their_pictures() {
    let tree = Tree::new();
    let mut all = Vec::new();
    for seed in 0..8 {
        tree.picture(&format!("pictures/{seed}.png"), seed);
        all.push(format!(
            r#"{{"id": {seed}, "image": "{seed}.png", "conversations": [{{"from": "human", "value": "<image>\nWhat is shown?"}}, {{"from": "gpt", "value": "A pattern of kind {seed}."}}]}}"#
        ));
    }
    tree.text("llava.json", format!("[{}]", all.join(",")));
    let (found, made) = tree.curated();
    assert_eq!(found.groups.iter().map(|group| group.layout).collect::<Vec<_>>(), [Layout::Conversations]);
    assert!(found.draft_config.contains("image_folder = \"pictures\""), "{}", found.draft_config);
    assert!(!made.is_empty());
    assert!(found.groups[0].forms.iter().any(|form| made.contains(form)));
}

#[test]
fn official_parts_with_class_folders_are_one_group_and_its_leaks_are_found() {
    let tree = Tree::new();
    for seed in 0..10 {
        let part = if seed < 6 { "train" } else { "test" };
        tree.picture(&format!("{part}/{}/{seed}.png", ["benign", "malignant"][seed as usize % 2]), seed);
    }
    tree.picture("test/benign/copy.png", 0);
    tree.picture("test/malignant/other.png", 2);
    let (found, _) = tree.curated();
    assert_eq!(found.groups.len(), 1);
    assert_eq!(found.groups[0].classes, [("benign".to_owned(), 6), ("malignant".to_owned(), 6)].into());
    let leaks: Vec<&[String; 2]> = found.repeats.leaks.iter().map(|leak| &leak.paths).collect();
    assert_eq!(leaks.len(), 2, "{leaks:?}");
    let contradictions = &found.repeats.contradictions;
    assert_eq!(contradictions.len(), 1);
    assert_eq!(contradictions[0].paths, ["test/malignant/other.png", "train/benign/2.png"]);
}

#[test]
fn large_folders_are_sampled_and_counted_in_full() {
    let tree = Tree::new();
    for seed in 0..60 {
        tree.picture(&format!("{}/{seed}.png", ["a", "b"][seed as usize % 2]), seed);
        tree.mask(&format!("masks/{seed}.png"), 1 + seed);
    }
    let options = Options { max_decoded: 30 };
    let found = inventory(&tree.folder(), &Decoder::default(), options, &mut |_| {}).unwrap();
    assert_eq!((found.coverage.images, found.num_files), (120, 120));
    assert!((28..=36).contains(&found.coverage.decoded), "{:?}", found.coverage);
    assert_eq!(found.pictures.as_ref().map(|sizes| (sizes.count, sizes.width)), Some((120, (64, 64))));
    assert_eq!(found.broken, []);
    let headers = inventory(&tree.folder(), &Decoder::default(), Options { max_decoded: 0 }, &mut |_| {}).unwrap();
    assert_eq!((headers.coverage.decoded, headers.pictures.unwrap().count), (0, 120));
}

#[cfg(unix)]
#[test]
fn links_to_folders_are_counted_and_not_followed() {
    let tree = Tree::new();
    tree.picture("a/1.png", 1);
    std::os::unix::fs::symlink(tree.folder(), tree.folder().join("a/loop")).unwrap();
    std::os::unix::fs::symlink(tree.folder().join("a/1.png"), tree.folder().join("link.png")).unwrap();
    std::os::unix::fs::symlink(Path::new("/nowhere/2.png"), tree.folder().join("dangling.png")).unwrap();
    let found = look(&tree.folder());
    assert_eq!((found.num_files, found.coverage.links_not_followed), (2, 1));
    assert_eq!(found.repeats.equal, [vec!["a/1.png".to_owned(), "link.png".to_owned()]]);
    assert!(found.broken.iter().any(|broken| broken.path == "dangling.png"));
}

#[test]
fn the_page_has_pictures_uses_and_what_is_missing_and_loads_nothing() {
    let tree = Tree::new();
    for seed in 0..6 {
        tree.picture(&format!("images/{seed}.png"), seed);
        tree.mask(&format!("masks/{seed}.png"), 20 + seed);
    }
    let page = inventory_html(&look(&tree.folder())).unwrap();
    assert_eq!(page.matches("data:image/jpeg;base64,").count(), 6);
    assert!(page.contains("segmentation") && page.contains("Set `modality` in the draft"));
    for remote in ["http://", "https://", "<script", "@import", "<link"] {
        assert!(!page.contains(remote), "{remote}");
    }
    assert!(page.contains("prefers-color-scheme: dark"));
}
