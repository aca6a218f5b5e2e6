//! Inventories of made-up folders, one per layout, and of real data where they are at hand.

#![allow(clippy::unwrap_used)]

use super::*;
use gmai_schema::{Form, Rgb8};
use gmai_testkit::{
    DicomImage, NiftiImage, NiftiVoxels, ScanSet, hostile, write_dicom, write_grey_png, write_nifti,
    write_quickstart_data, write_rgb_png,
};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A folder that files are put into.
struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Tree {
        Tree(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn text(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// A colour picture that differs by `seed`.
    fn picture(&self, name: &str, seed: u8) {
        let pixels = (0..16 * 12 * 3).map(|index| (index as u8).wrapping_mul(7).wrapping_add(seed)).collect();
        write_rgb_png(&self.path(name), &Rgb8::new(16, 12, pixels).unwrap()).unwrap();
    }

    /// A mask of `width` columns.
    fn mask(&self, name: &str, width: usize) {
        let pixels: Vec<u8> = (0..16 * 12).map(|index| if index % 16 < width { 255 } else { 0 }).collect();
        write_grey_png(&self.path(name), 16, 12, &pixels).unwrap();
    }

    fn inventory(&self) -> Inventory {
        let inventory = inventory(self.0.path(), &Decoder::default(), Options::default(), &mut |_| {}).unwrap();
        self.draft_is_accepted(&inventory);
        inventory
    }

    fn draft_is_accepted(&self, inventory: &Inventory) {
        if inventory.groups.iter().any(|group| group.draft.is_some()) {
            let path = Path::new("draft.toml");
            let config = crate::Config::parse(path, &inventory.draft_config);
            let config = config.unwrap_or_else(|error| panic!("{error}\n{}", inventory.draft_config));
            crate::check::check(&config, path).unwrap_or_else(|error| panic!("{error}\n{}", inventory.draft_config));
        }
    }
}

/// The layouts that were found, with folder and number of images.
fn layouts(inventory: &Inventory) -> Vec<(Layout, &str, u64)> {
    inventory.groups.iter().map(|group| (group.layout, group.folder.as_str(), group.images)).collect()
}

#[test]
fn class_folders_are_found_with_their_numbers() {
    let tree = Tree::new();
    for seed in 0..5 {
        let class = if seed < 3 { "Hand" } else { "Head" };
        tree.picture(&format!("{class}/{seed}.png"), seed);
    }
    tree.text("README.md", "About the data.");
    let found = tree.inventory();
    assert_eq!(layouts(&found), [(Layout::ClassFolders, "", 5)]);
    let group = &found.groups[0];
    assert_eq!(group.classes, BTreeMap::from([("Hand".to_owned(), 3), ("Head".to_owned(), 2)]));
    assert!(group.forms.contains(&Form::MultipleChoice) && !group.forms.contains(&Form::Perception));
    assert_eq!((found.num_files, group.thumbnails.len()), (6, 5));
    assert_eq!(found.pictures.unwrap().width, (16, 16));
}

#[test]
fn a_table_describes_pictures() {
    let tree = Tree::new();
    let mut table = "Image Index,Finding Labels,Patient ID,age\n".to_owned();
    for seed in 0..6 {
        tree.picture(&format!("images/{seed:03}.png"), seed);
        let finding = ["Effusion", "Effusion|Nodule", "No Finding"][usize::from(seed) % 3];
        table.push_str(&format!("{seed:03}.png,{finding},p{},{}\n", seed / 2, 40 + u32::from(seed)));
    }
    tree.text("labels.csv", &table);
    let found = tree.inventory();
    assert_eq!(layouts(&found), [(Layout::CsvLabels, "", 6)]);
    assert_eq!(found.groups[0].classes["Finding Labels: Effusion"], 4);
    assert!(
        found.draft_config.contains("patient = \"Patient ID\"") && found.draft_config.contains("separator = \"|\"")
    );
    assert!(!found.draft_config.contains("from = \"age\""), "a measurement is no label");
    assert!(found.identifiers.iter().any(|risk| risk.what == "column `Patient ID`"));
}

#[test]
fn boxes_are_found_in_voc_coco_and_yolo() {
    let tree = Tree::new();
    for seed in 0..2u8 {
        tree.picture(&format!("voc/JPEGImages/{seed}.png"), seed);
        let object = "<object><name>WBC</name><bndbox><xmin>1</xmin></bndbox></object>";
        tree.text(&format!("voc/Annotations/{seed}.xml"), &format!("<annotation>{object}{object}</annotation>"));
        tree.picture(&format!("coco/train/{seed}.png"), 10 + seed);
        tree.picture(&format!("yolo/images/{seed}.png"), 20 + seed);
        tree.text(&format!("yolo/labels/{seed}.txt"), "0 0.5 0.5 0.2 0.2\n1 0.1 0.1 0.2 0.1 0.2 0.2\n");
    }
    let coco = r#"{"images":[{"id":1,"file_name":"0.png"},{"id":2,"file_name":"1.png"}],
        "categories":[{"id":7,"name":"cell"}],"annotations":[{"category_id":7},{"category_id":7},{"category_id":7}]}"#;
    tree.text("coco/train/_annotations.coco.json", coco);
    let found = tree.inventory();
    let expected = [(Layout::Coco, "coco/train", 2), (Layout::Voc, "voc", 2), (Layout::Yolo, "yolo", 2)];
    assert_eq!(layouts(&found), expected);
    assert_eq!(found.groups[0].classes, BTreeMap::from([("cell".to_owned(), 3)]));
    assert_eq!(found.groups[1].classes, BTreeMap::from([("WBC".to_owned(), 4)]));
    assert_eq!(found.groups[2].classes, BTreeMap::from([("0".to_owned(), 2), ("1".to_owned(), 2)]));
    assert!(found.groups[1].forms.contains(&Form::RegionCaption));
}

#[test]
fn boxes_and_points_are_found_in_kitti_labelme_and_text() {
    let tree = Tree::new();
    for seed in 0..2u8 {
        tree.picture(&format!("kitti/images/{seed}.png"), seed);
        tree.text(&format!("kitti/labels/{seed}.txt"), "wbc 0.0 0 0 1.5 2 30 40 0 0 0 0 0 0 0\n");
        tree.picture(&format!("labelme/{seed}.png"), 10 + seed);
        let shape = r#"{"label": "polyp", "points": [[1, 2], [3, 4]], "shape_type": "rectangle"}"#;
        tree.text(&format!("labelme/{seed}.json"), &format!(r#"{{"shapes": [{shape}], "imagePath": "{seed}.png"}}"#));
        tree.picture(&format!("points/Dataset/{seed}.png"), 20 + seed);
        tree.text(&format!("points/Label/{seed}.txt"), "482 125 9\n340 43 5\n");
    }
    let found = tree.inventory();
    let expected = [(Layout::Kitti, "kitti", 2), (Layout::LabelMe, "labelme", 2), (Layout::Points, "points", 2)];
    assert_eq!(layouts(&found), expected);
    assert_eq!(found.groups[2].classes, BTreeMap::from([("5".to_owned(), 2), ("9".to_owned(), 2)]));
    let path = std::path::Path::new("draft.toml");
    let draft = crate::Config::parse(path, &found.draft_config).unwrap();
    let kinds: Vec<&str> = draft.sources.iter().map(|source| source.kind.key()).collect();
    assert_eq!(kinds, ["kitti", "labelme", "points"]);
}

#[test]
fn masks_are_paired_by_name() {
    let tree = Tree::new();
    for seed in 0..3u8 {
        tree.picture(&format!("eye/Image_{seed}.png"), seed);
        tree.mask(&format!("eye/Image_{seed}_1stHO.png"), 3 + usize::from(seed));
        tree.mask(&format!("eye/Image_{seed}_2ndHO.png"), 7 + usize::from(seed));
        tree.picture(&format!("polyp/images/{seed}.png"), 10 + seed);
        tree.mask(&format!("polyp/masks/{seed}.png"), 1 + usize::from(seed));
        tree.picture(&format!("cells/{seed}/images/{seed}.png"), 20 + seed);
        tree.mask(&format!("cells/{seed}/masks/a{seed}.png"), 10 + usize::from(seed));
        tree.mask(&format!("cells/{seed}/masks/b{seed}.png"), 13);
    }
    let found = tree.inventory();
    let expected =
        [(Layout::InstanceMasks, "cells", 3), (Layout::ObserverMasks, "eye", 3), (Layout::MaskBeside, "polyp", 3)];
    assert_eq!(layouts(&found), expected);
    assert_eq!(found.groups[0].classes["instance"], 6);
    assert!(found.draft_config.contains("{stem}_2ndHO.png"), "{}", found.draft_config);
    assert!(found.draft_config.contains("masks = \"masks/{stem}.png\""), "{}", found.draft_config);
}

#[test]
fn volumes_and_their_label_maps_are_paired() {
    let tree = Tree::new();
    for case in 0..2 {
        let values = (0..4 * 5 * 6).map(|index| index as i16 + case).collect();
        let path = tree.path(&format!("images/case_{case}.nii.gz"));
        write_nifti(&path, &NiftiImage::new([4, 5, 6], NiftiVoxels::I16(values))).unwrap();
        let classes = (0..4 * 5 * 6).map(|index| (index % 3) as u8).collect();
        let path = tree.path(&format!("labels/case_{case}.nii.gz"));
        write_nifti(&path, &NiftiImage::new([4, 5, 6], NiftiVoxels::U8(classes))).unwrap();
    }
    let found = tree.inventory();
    assert_eq!(layouts(&found), [(Layout::NiftiLabelMap, "", 2)]);
    assert_eq!(found.groups[0].classes, BTreeMap::from([("1".to_owned(), 2), ("2".to_owned(), 2)]));
    assert_eq!(found.volumes, [VolumeSizes { dims: [4, 5, 6], count: 4 }]);
    assert_eq!(found.groups[0].thumbnails.len(), 2);
}

#[test]
fn series_are_found_and_identifiers_named_without_values() {
    let tree = Tree::new();
    for slice in 0..3 {
        let mut image = DicomImage::ct(8, 8, (0..64).collect());
        image.patient = "SECRET-77".to_owned();
        image.instance = format!("{}.{slice}", image.instance);
        image.position[2] = f64::from(slice);
        write_dicom(&tree.path(&format!("ct/p1/{slice}.dcm")), &image).unwrap();
    }
    let found = tree.inventory();
    assert_eq!(layouts(&found), [(Layout::DicomSeries, "ct/p1", 3)]);
    assert_eq!(found.groups[0].facts.modalities, BTreeMap::from([("CT".to_owned(), 3)]));
    let risk = found.identifiers.iter().find(|risk| risk.what == "DICOM PatientID").unwrap();
    assert_eq!(risk.files, 3);
    let page = inventory_html(&found).unwrap();
    let json = serde_json::to_string(&found).unwrap();
    for text in [&page, &json, &inventory_text(&found)] {
        assert!(!text.contains("SECRET-77"));
    }
}

#[test]
fn questions_in_json_are_found() {
    let tree = Tree::new();
    tree.picture("pictures/a.png", 1);
    tree.text("qa.json", r#"[{"image_name":"a.png","question":"Is it?","answer":"yes"},{"image_name":"gone.png","question":"?","answer":"no"}]"#);
    let found = tree.inventory();
    assert_eq!(layouts(&found), [(Layout::QaJson, "", 1)]);
    assert_eq!((found.annotations[0].entries, found.annotations[0].matched_images), (2, 1));
    assert_eq!(found.groups[0].forms, [Form::Instruction]);
}

#[test]
fn broken_and_equal_files_are_listed_and_the_rest_goes_on() {
    let tree = Tree::new();
    tree.picture("a.png", 1);
    tree.picture("copy/b.png", 1);
    tree.picture("c.png", 2);
    let whole = std::fs::read(tree.path("c.png")).unwrap();
    std::fs::write(tree.path("cut.png"), &whole[..whole.len() / 2]).unwrap();
    tree.text("empty.png", "");
    tree.text("renamed.jpg", "this is text");
    std::fs::write(tree.path("huge.png"), hostile::png_claiming_too_much()).unwrap();
    std::fs::write(tree.path("huge.dcm"), hostile::dicom_claiming_4_gib()).unwrap();
    std::fs::write(tree.path("cut.nii"), hostile::truncated_nifti().unwrap()).unwrap();
    let found = tree.inventory();
    let broken: Vec<&str> = found.broken.iter().map(|broken| broken.path.as_str()).collect();
    assert_eq!(broken, ["cut.nii", "cut.png", "empty.png", "huge.dcm", "huge.png", "renamed.jpg"]);

    assert_eq!(found.repeats.equal, [vec!["a.png".to_owned(), "copy/b.png".to_owned()]]);
    assert_eq!(found.groups.iter().map(|group| group.images).sum::<u64>(), 3);
    assert_eq!(found.formats.iter().map(|format| format.files).sum::<u64>(), found.num_files);
}

#[test]
fn names_from_outside_do_not_become_markup() {
    let tree = Tree::new();
    tree.picture("<b>&\"x/1.png", 1);
    tree.picture("y'{z}/1.png", 2);
    let page = inventory_html(&tree.inventory()).unwrap();
    assert!(!page.contains("<b>") && page.contains("&#60;b&#62;&#38;&#34;x"));
}

#[test]
fn a_missing_folder_is_an_error_and_an_empty_one_is_not() {
    let tree = Tree::new();
    let missing = tree.0.path().join("missing");
    let error = inventory(&missing, &Decoder::default(), Options::default(), &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("missing"));
    let empty = tree.inventory();
    assert_eq!((empty.num_files, empty.groups.len()), (0, 0));
}

#[test]
fn the_quickstart_data_are_understood() {
    let tree = Tree::new();
    write_quickstart_data(tree.0.path(), 3, ScanSet::TINY).unwrap();
    let found = tree.inventory();
    assert_eq!(found.broken, []);
    let layouts: Vec<Layout> = found.groups.iter().map(|group| group.layout).collect();
    for layout in [
        Layout::DicomSeries,
        Layout::NiftiLabelMap,
        Layout::ClassFolders,
        Layout::MaskBeside,
        Layout::CsvLabels,
        Layout::Coco,
    ] {
        assert!(layouts.contains(&layout), "{layout:?} is not among {layouts:?}");
    }
    let again = inventory(tree.0.path(), &Decoder::default(), Options::default(), &mut |_| {}).unwrap();
    assert_eq!(found, again);
}

/// Every set of real data alone; without the folder this is said and nothing is tested.
#[test]
fn real_data_are_read_without_losing_an_image() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var_os("GMAI_SHARED").map_or(beside, PathBuf::from);
    let Ok(sets) = std::fs::read_dir(shared.join("data")) else {
        println!("skipped: no shared data; set GMAI_SHARED to the folder that holds them");
        return;
    };
    let mut sets: Vec<PathBuf> = sets.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    sets.sort();
    let mut usable = 0;
    for set in sets {
        let found = inventory(&set, &Decoder::default(), Options::default(), &mut |_| {}).unwrap();
        println!("{}", inventory_text(&found));
        usable += usize::from(found.groups.iter().any(|group| !group.forms.is_empty()));
        let tree = Tree::new();
        tree.draft_is_accepted(&found);
        let images = found.groups.iter().filter(|group| group.layout.unit() != "reports").map(|group| group.images);
        let images: u64 = images.sum();
        assert!(images <= found.coverage.images, "{}: {images} images in groups", set.display());
        assert!(images > 0 || found.coverage.images == 0, "{}", set.display());
    }
    assert!(usable >= 10, "only {usable} sets could be used");
}
