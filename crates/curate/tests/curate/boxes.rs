//! VOC, COCO, YOLO and masks.

use crate::world::{Made, World, source};

fn regions(extra: &str) -> String {
    format!(
        "[source.regions]\ntask = \"cell_recognition\"\nexhaustive = true\n{extra}\nterms = [\n\
         {{ is = \"RBC\", en = \"red blood cell\", zh = \"红细胞\" }},\n{{ is = \"WBC\", en = \"white blood cell\", zh = \"白细胞\" }}]\n"
    )
}

fn one_term() -> &'static str {
    "[source.regions]\ntask = \"cell_recognition\"\nexhaustive = true\nterms = [{ is = \"nucleus\", en = \"nucleus\", zh = \"细胞核\" }]\n"
}

/// Boxes that texts about a file speak of.
fn boxes_of(made: &Made, file: &str) -> Vec<String> {
    let about = made.samples.iter().filter(|sample| sample.conversation.provenance.file == file);
    let mut boxes: Vec<String> =
        about.flat_map(|sample| &sample.conversation.boxes).map(|bounds| bounds.to_string()).collect();
    boxes.sort();
    boxes.dedup();
    boxes
}

fn counts(made: &Made, file: &str) -> usize {
    let about = made.samples.iter().filter(|sample| sample.conversation.provenance.file == file);
    about.filter(|sample| sample.conversation.attribute.as_deref() == Some("count")).count()
}

fn voc(objects: &[(&str, [i32; 4])]) -> String {
    let object = |(name, [left, top, right, bottom]): &(&str, [i32; 4])| {
        format!(
            "<object><name>{name}</name><bndbox><xmin>{left}</xmin><ymin>{top}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
        )
    };
    let objects: String = objects.iter().map(object).collect();
    format!("<annotation><size><width>100</width><height>50</height></size>{objects}</annotation>")
}

#[test]
fn voc_boxes_are_used_and_defective_ones_are_quarantined_alone() {
    let world = World::new("voc");
    for (seed, stem) in ["good", "defective", "no_label", "broken"].iter().enumerate() {
        world.picture(&format!("images/{stem}.png"), seed as u32, 100, 50);
    }
    world.write("xml/good.xml", voc(&[("RBC", [10, 10, 60, 35])]));
    world.write(
        "xml/defective.xml",
        voc(&[("RBC", [10, 10, 60, 35]), ("WBC", [90, 10, 120, 35]), ("RBC", [5, 5, 5, 9])]),
    );
    world.write("xml/broken.xml", &voc(&[("RBC", [10, 10, 60, 35])])[..60]);
    world.write("xml/orphan.xml", voc(&[]));
    let kind = "kind = { voc = { images = \"images/{stem}.png\", annotations = \"xml/{stem}.xml\" } }\n";
    let made = world.curate(&source("bccd", &format!("modality = \"microscopy\"\n{kind}{}", regions(""))));
    assert_eq!(boxes_of(&made, "images/good.png"), ["[[0.1, 0.2, 0.6, 0.7]]"]);
    assert_eq!(boxes_of(&made, "images/defective.png"), ["[[0.1, 0.2, 0.6, 0.7]]"]);
    assert!(counts(&made, "images/good.png") > 0, "all are marked: counts are true");
    assert_eq!(counts(&made, "images/defective.png"), 0, "a box is missing: counts would be false");
    let lines: Vec<_> = made.quarantined.iter().map(|entry| (entry.file.as_str(), entry.field.as_str())).collect();
    assert_eq!(
        lines,
        [
            ("images/broken.png", "annotation xml/broken.xml, byte 55"),
            ("images/no_label.png", "annotation"),
            ("xml/defective.xml", "object 2, bndbox"),
            ("xml/defective.xml", "object 3, bndbox"),
            ("xml/orphan.xml", "file"),
        ]
    );
    assert!(made.quarantined[2].reason.contains("leaves the image") && made.quarantined[3].reason.contains("no area"));
    assert_eq!((made.source().images.used, made.source().annotations.used), (2, 2));
}

#[test]
fn coco_reads_several_files_and_names_what_does_not_fit() {
    let world = World::new("coco");
    world.picture("train/a.png", 1, 100, 50);
    world.picture("train/unlisted.png", 2, 100, 50);
    world.picture("test/b.png", 3, 100, 50);
    let categories = r#""categories": [{"id": 1, "name": "RBC"}, {"id": 2, "name": "WBC"}]"#;
    world.write(
        "train/coco.json",
        format!(
            r#"{{"images": [{{"id": 0, "file_name": "a.png", "width": 200, "height": 100}}, {{"id": 5, "file_name": "gone.png"}}],
            "annotations": [{{"id": 1, "image_id": 0, "category_id": 1, "bbox": [20, 20, 100, 50]}},
            {{"id": 2, "image_id": 0, "category_id": 9, "bbox": [0, 0, 1, 1]}}, {{"id": 3, "image_id": 7, "category_id": 1, "bbox": [0, 0, 1, 1]}},
            {{"id": 4, "image_id": 5, "category_id": 1, "bbox": [0, 0, 1, 1]}}, {{"id": 5, "image_id": 0, "category_id": 1, "bbox": [0, 0, 9, 9], "iscrowd": 1}}],
            {categories}}}"#
        ),
    );
    world.write(
        "test/coco.json",
        format!(r#"{{"images": [{{"id": 0, "file_name": "b.png"}}], "annotations": [{{"image_id": 0, "category_id": 2, "bbox": [0, 0, 50, 50]}}], {categories}}}"#),
    );
    world.write("valid/coco.json", r#"{"images": [{"id": 0,"#);
    let kind = "[source.kind.coco]\nimages = \"{part}/{stem}.png\"\nannotations = [\"train/coco.json\", \"test/coco.json\", \"valid/coco.json\"]\n";
    let made = world.curate(&source("cells", &format!("modality = \"microscopy\"\n{kind}{}", regions(""))));
    assert_eq!(boxes_of(&made, "train/a.png"), ["[[0.1, 0.2, 0.6, 0.7]]"], "sizes of the file, not of the picture");
    assert_eq!(boxes_of(&made, "test/b.png"), ["[[0, 0, 0.5, 1]]"]);
    let lines: Vec<_> = made.quarantined.iter().map(|entry| format!("{}: {}", entry.file, entry.field)).collect();
    let expected = [
        "train/coco.json: annotations, id 2",
        "train/coco.json: annotations, id 3",
        "train/coco.json: images, id 5",
        "train/unlisted.png: annotation",
    ];
    assert_eq!(lines[..4], expected);
    assert!(lines[4].starts_with("valid/coco.json: line 1"), "{lines:?}");
    assert_eq!(made.source().annotations.num_skipped(), 2, "the crowd, and the box of the missing picture");
}

#[test]
fn yolo_reads_boxes_polygons_and_empty_files() {
    let world = World::new("yolo");
    for (seed, stem) in ["boxes", "polygon", "empty", "missing"].iter().enumerate() {
        world.picture(&format!("images/{stem}.png"), seed as u32, 100, 50);
    }
    world.write("labels/boxes.txt", "RBC 0.35 0.45 0.5 0.5\nRBC 0.5 0.5 oops 0.5\n");
    world.write("labels/polygon.txt", "WBC 0.25 0.25 0.75 0.25 0.5 0.75\n");
    world.write("labels/empty.txt", "");
    let kind = "kind = { yolo = { images = \"images/{stem}.png\", labels = \"labels/{stem}.txt\" } }\n";
    let made = world.curate(&source("cells", &format!("modality = \"microscopy\"\n{kind}{}", regions(""))));
    assert_eq!(boxes_of(&made, "images/boxes.png"), ["[[0.1, 0.2, 0.6, 0.7]]"]);
    assert_eq!(boxes_of(&made, "images/polygon.png"), ["[[0.25, 0.25, 0.75, 0.75]]"]);
    assert!(made.files().contains("images/empty.png"), "an empty file says that nothing is marked");
    assert_eq!(made.line("labels/boxes.txt").field, "line 2");
    assert!(made.line("images/missing.png").reason.starts_with("image without label"));
}

#[test]
fn instance_masks_become_boxes_and_defective_masks_are_named() {
    let world = World::new("instance_masks");
    for (seed, case) in ["1", "2", "3"].iter().enumerate() {
        world.picture(&format!("{case}/images/{case}.png"), seed as u32, 100, 50);
    }
    world.mask("1/masks/a.png", [100, 50], &[[10, 10, 60, 35]]);
    world.mask("1/masks/b.png", [100, 50], &[[80, 10, 90, 20]]);
    world.mask("1/masks/tiny.png", [100, 50], &[[1, 1, 2, 2]]);
    world.mask("1/masks/empty.png", [100, 50], &[]);
    world.mask("1/masks/other_shape.png", [50, 50], &[[1, 1, 20, 20]]);
    world.write("1/masks/zero.png", "");
    world.mask("2/masks/a.png", [100, 50], &[[0, 0, 100, 50]]);
    world.mask("4/masks/orphan.png", [100, 50], &[[0, 0, 100, 50]]);
    let kind =
        "kind = { instance_masks = { images = \"{case}/images/{stem}.png\", masks = \"{case}/masks/*.png\" } }\n";
    let made = world.curate(&source("nuclei", &format!("modality = \"microscopy\"\n{kind}{}", one_term())));
    let about: Vec<_> = boxes_of(&made, "1/images/1.png");
    assert!(
        about.iter().all(|bounds| ["[[0.1, 0.2, 0.6, 0.7]]", "[[0.8, 0.2, 0.9, 0.4]]"].contains(&bounds.as_str())),
        "{about:?}"
    );
    assert_eq!(counts(&made, "1/images/1.png"), 0, "masks were left out");
    assert!(counts(&made, "2/images/2.png") > 0);
    assert_eq!(made.line("1/masks/empty.png").reason, "the mask is empty");
    assert_eq!(made.line("1/masks/other_shape.png").field, "image size");
    assert!(made.line("1/masks/zero.png").reason.contains("empty (0 bytes)"));
    assert!(made.line("3/images/3.png").reason.starts_with("image without label"));
    assert!(made.line("4/masks/orphan.png").reason.starts_with("label without image"));
    assert_eq!(made.source().annotations.num_skipped(), 1, "the tiny mask");
    assert_eq!(made.source().annotations.used, 3);
}

#[test]
fn a_mask_beside_the_picture_gives_a_box_per_part() {
    let world = World::new("mask_beside");
    world.picture("images/a.png", 1, 100, 50);
    world.mask("masks/a.png", [100, 50], &[[0, 0, 50, 25], [80, 30, 100, 50]]);
    let kind = "kind = { mask_beside = { images = \"images/{stem}.png\", masks = \"masks/{stem}.png\", instances = \"INSTANCES\" } }\n";
    let config = source("polyps", &format!("modality = \"endoscopy\"\n{kind}{}", one_term()));
    let made = world.curate(&config.replace("INSTANCES", "components"));
    assert_eq!(made.source().facts.region_terms.len(), 1);
    let numbers = made.samples.iter().filter(|sample| sample.conversation.attribute.as_deref() == Some("count"));
    let texts: Vec<&str> = numbers.map(|sample| sample.conversation.turns[1].value.as_str()).collect();
    assert!(
        !texts.is_empty() && texts.iter().all(|text| text.contains('2') || text.contains("two") || text.contains('两')),
        "{texts:?}"
    );
    std::fs::remove_dir_all(world.folder.join("out")).unwrap();
    let whole = world.curate(&config.replace("INSTANCES", "whole"));
    assert_eq!(boxes_of(&whole, "images/a.png"), ["[[0, 0, 1, 1]]"]);
}
