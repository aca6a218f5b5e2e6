//! KITTI, LabelMe, tables of boxes, points, run lengths, observers, tables of labels.

use crate::world::{Made, World, source};

const CELLS: &str = "[source.regions]\ntask = \"cell_recognition\"\nexhaustive = true\nterms = [\n\
    { is = \"RBC\", en = \"red blood cell\", zh = \"红细胞\" },\n{ is = \"WBC\", en = \"white blood cell\", zh = \"白细胞\" }]\n";

fn boxes_of(made: &Made, file: &str) -> Vec<String> {
    let about = made.samples.iter().filter(|sample| sample.conversation.provenance.file == file);
    let mut boxes: Vec<String> =
        about.flat_map(|sample| &sample.conversation.boxes).map(|bounds| bounds.to_string()).collect();
    boxes.sort();
    boxes.dedup();
    boxes
}

fn texts<'a>(made: &'a Made, attribute: &'a str) -> Vec<&'a str> {
    let about = made.samples.iter().filter(move |sample| sample.conversation.attribute.as_deref() == Some(attribute));
    about.flat_map(|sample| sample.conversation.turns.iter().map(|turn| turn.value.as_str())).collect()
}

fn cells(kind: &str) -> String {
    source("cells", &format!("modality = \"microscopy\"\n{kind}\n{CELLS}"))
}

#[test]
fn kitti_boxes_with_two_classes_are_never_used() {
    let world = World::new("kitti");
    for (seed, stem) in ["good", "twice", "empty", "missing"].iter().enumerate() {
        world.picture(&format!("images/{stem}.png"), seed as u32, 100, 50);
    }
    world.write("labels/good.txt", "RBC 0.00 0 0 10.0 10.0 60.0 35.0 0 0 0 0 0 0 0\n");
    world.write(
        "labels/twice.txt",
        "RBC 0 0 0 10 10 60 35\nWBC 0 0 0 10 10 60 35\nRBC 0 0 0 70 10 90 35\nRBC WBC 0 0 0 1 1 5 5\nDontCare -1 -1 -10 1 1 9 9\n",
    );
    world.write("labels/empty.txt", "");
    let made =
        world.curate(&cells("kind = { kitti = { images = \"images/{stem}.png\", labels = \"labels/{stem}.txt\" } }"));
    assert_eq!(boxes_of(&made, "images/good.png"), ["[[0.1, 0.2, 0.6, 0.7]]"]);
    assert_eq!(boxes_of(&made, "images/twice.png"), ["[[0.7, 0.2, 0.9, 0.7]]"]);
    assert!(made.files().contains("images/empty.png"), "an empty file says that nothing is marked");
    let lines: Vec<_> = made.quarantined.iter().filter(|line| line.file == "labels/twice.txt").collect();
    assert_eq!(lines.len(), 3);
    assert!(lines.iter().all(|line| line.reason.contains("at once")), "{lines:?}");
    assert_eq!(made.source().annotations.num_skipped(), 1, "DontCare");
}

#[test]
fn labelme_gives_boxes_and_points() {
    let world = World::new("labelme");
    world.picture("a.png", 1, 100, 50);
    world.write(
        "a.json",
        r#"{"imageWidth": 100, "imageHeight": 50, "shapes": [{"label": "RBC", "points": [[10, 10], [60, 10], [60, 35], [10, 35]], "shape_type": "polygon"},
        {"label": "WBC", "points": [[80, 25]], "shape_type": "point"}, {"label": "WBC", "points": [[1, 1], [2, 2]], "shape_type": "line"}]}"#,
    );
    let made = world.curate(&cells("kind = { labelme = { images = \"{stem}.png\", annotations = \"{stem}.json\" } }"));
    assert_eq!(boxes_of(&made, "a.png"), ["[[0.1, 0.2, 0.6, 0.7]]"]);
    assert!(texts(&made, "point").iter().any(|text| text.contains("<point>[[0.8, 0.5]]</point>")));
    assert_eq!(made.line("a.json").field, "shapes, entry 3");
    assert_eq!((made.source().annotations.given, made.source().annotations.used), (3, 2));
}

#[test]
fn tables_of_boxes_have_several_rows_for_a_picture() {
    let world = World::new("csv_boxes");
    for (seed, stem) in ["a", "b", "none", "missing"].iter().enumerate() {
        world.picture(&format!("images/{stem}.png"), seed as u32, 100, 50);
    }
    let rows = "image,x,y,w,h,label\na.png,10,10,50,25,RBC\na.png,70,10,20,25,WBC\nb.png,90,10,50,25,RBC\nnone.png,,,,,\ngone.png,1,1,2,2,RBC\na.png,1,1\n";
    world.write("boxes.csv", rows);
    let kind = "[source.kind.csv_boxes]\nimages = \"images/{stem}.png\"\nfiles = [\"boxes.csv\"]\nkey = \"image\"\nmatches = \"{stem}.png\"\n\
        label = \"label\"\ncolumns = { corner_size = [\"x\", \"y\", \"w\", \"h\"] }\nunits = \"pixels\"\n";
    let made = world.curate(&cells(kind));
    let boxes = boxes_of(&made, "images/a.png");
    assert!(boxes.iter().all(|bounds| ["[[0.1, 0.2, 0.6, 0.7]]", "[[0.7, 0.2, 0.9, 0.7]]"].contains(&bounds.as_str())));
    assert!(!boxes.is_empty() && made.files().contains("images/none.png"));
    let lines: Vec<_> = made.quarantined.iter().map(|line| (line.file.as_str(), line.field.as_str())).collect();
    let expected = [
        ("boxes.csv", "line 4"),
        ("boxes.csv", "line 6, column image"),
        ("boxes.csv", "line 7"),
        ("images/missing.png", "annotation"),
    ];
    assert_eq!(lines, expected);
    let refused = world_with_column("csv_boxes_column", &kind.replace("\"h\"", "\"height\""));
    assert!(refused.contains("there is no column `height`; the columns are: image, x, y, w, h, label"), "{refused}");
}

fn world_with_column(name: &str, kind: &str) -> String {
    let world = World::new(name);
    world.picture("images/a.png", 1, 100, 50);
    world.write("boxes.csv", "image,x,y,w,h,label\n");
    world.refused(&cells(kind))
}

#[test]
fn points_are_counted_named_and_found() {
    let world = World::new("points");
    world.picture("images/a.png", 1, 100, 50);
    world.write("labels/a.txt", "10 10 RBC\n50 25 RBC\n90 45 WBC\n");
    world.picture("images/b.png", 2, 100, 50);
    world.write("labels/b.txt", "10 10 RBC\n101 10 RBC\n5 RBC\n5 5 dust\n");
    let made =
        world.curate(&cells("kind = { points = { images = \"images/{stem}.png\", labels = \"labels/{stem}.txt\" } }"));
    let points = texts(&made, "point").join("\n");
    assert!(["[[0.1, 0.2]]", "[[0.5, 0.5]]", "[[0.9, 0.9]]"].iter().any(|point| points.contains(point)), "{points}");
    let counts: Vec<_> =
        made.samples.iter().filter(|sample| sample.conversation.attribute.as_deref() == Some("count")).collect();
    assert!(!counts.is_empty());
    for sample in counts {
        assert_eq!(sample.conversation.provenance.file, "images/a.png", "what is incomplete is not counted");
        let [question, answer] = [0, 1].map(|turn| sample.conversation.turns[turn].value.as_str());
        let is_red = question.contains("red blood cell") || question.contains("红细胞");
        assert!(answer.contains(if is_red { "2" } else { "1" }), "{question} {answer}");
    }
    assert_eq!(made.source().annotations.quarantined, 3);
    assert!(made.samples.iter().all(|sample| sample.conversation.boxes.is_empty()));
}

#[test]
fn crowds_and_broken_run_lengths_end_counting() {
    let world = World::new("coco_rle");
    for (seed, stem) in ["a", "b", "c"].iter().enumerate() {
        world.picture(&format!("{stem}.png"), seed as u32, 10, 10);
    }
    // Column-major: rows 2 to 6 of columns 1 to 4.
    let rle = |counts: &str| format!(r#"{{"size": [10, 10], "counts": {counts}}}"#);
    let good = rle("[12, 5, 5, 5, 5, 5, 5, 5, 53]");
    let annotation = |id: u32, image: u32, segmentation: &str, crowd: u32| {
        format!(
            r#"{{"id": {id}, "image_id": {image}, "category_id": 1, "segmentation": {segmentation}, "iscrowd": {crowd}}}"#
        )
    };
    let annotations = [
        annotation(1, 0, &good, 0),
        annotation(2, 1, &good, 0),
        annotation(3, 1, &good, 1),
        annotation(4, 2, &good, 0),
        annotation(5, 2, &rle("[12, 5]"), 0),
    ];
    let images: Vec<String> = ["a", "b", "c"]
        .iter()
        .enumerate()
        .map(|(id, stem)| format!(r#"{{"id": {id}, "file_name": "{stem}.png", "width": 10, "height": 10}}"#))
        .collect();
    world.write(
        "coco.json",
        format!(
            r#"{{"images": [{}], "annotations": [{}], "categories": [{{"id": 1, "name": "RBC"}}]}}"#,
            images.join(", "),
            annotations.join(", ")
        ),
    );
    let made = world.curate(&cells("kind = { coco = { images = \"{stem}.png\", annotations = [\"coco.json\"] } }"));
    for file in ["a.png", "b.png", "c.png"] {
        assert_eq!(boxes_of(&made, file), ["[[0.1, 0.2, 0.5, 0.7]]"], "{file}");
        let counted = made.samples.iter().any(|sample| {
            sample.conversation.provenance.file == file && sample.conversation.attribute.as_deref() == Some("count")
        });
        assert_eq!(counted, file == "a.png", "{file}");
    }
    assert_eq!(made.line("coco.json").field, "annotations, id 5");
}

#[test]
fn observers_who_disagree_are_told_apart_from_those_who_agree() {
    let world = World::new("observers");
    for (seed, stem) in ["agree", "disagree", "alone"].iter().enumerate() {
        world.picture(&format!("images/{stem}.png"), seed as u32, 100, 50);
    }
    world.mask("first/agree.png", [100, 50], &[[10, 10, 60, 35]]);
    world.mask("second/agree.png", [100, 50], &[[10, 10, 50, 35]]);
    world.mask("first/disagree.png", [100, 50], &[[10, 10, 60, 35]]);
    world.mask("second/disagree.png", [100, 50], &[[50, 10, 90, 35]]);
    world.mask("first/alone.png", [100, 50], &[[10, 10, 60, 35]]);
    let kind = "[source.kind.observer_masks]\nimages = \"images/{stem}.png\"\nmasks = [\"first/{stem}.png\", \"second/{stem}.png\"]\ninstances = \"whole\"\n";
    let one = "[source.regions]\ntask = \"cell_recognition\"\nexhaustive = true\nterms = [{ is = \"cell\", en = \"cell\" }]\n";
    let made = world.curate(&source("cells", &format!("modality = \"microscopy\"\n{kind}{one}")));
    assert_eq!(boxes_of(&made, "images/agree.png"), ["[[0.1, 0.2, 0.6, 0.7]]"], "those of the first observer");
    assert_eq!(made.files(), ["images/agree.png"].into());
    let disagree = made.line("first/disagree.png");
    assert!(disagree.reason.contains("Dice coefficient of 0.222, below least_dice = 0.7"), "{}", disagree.reason);
    assert!(made.line("images/alone.png").reason.contains("second/alone.png"));
    let agreement = made.source().agreement.as_ref().unwrap();
    assert_eq!((agreement.pairs, agreement.num_below), (2, 1));
    // 2 * 40 / (50 + 40) and 2 * 10 / (50 + 40).
    assert!((agreement.mean_dice - (80.0 / 90.0 + 20.0 / 90.0) / 2.0).abs() < 1e-9);
    let card = std::fs::read_to_string(world.folder.join("out/card.md")).unwrap();
    assert!(card.contains("| cells | 2 | 0.556 | 0.222 | 1 |"), "{card}");
}

const FLAGS: &str = r#"
modality_by = { from = "device" }
department_by = { from = "ward" }
body_part = "胸部"
kind = { csv_labels = { images = "{stem}.png" } }
[[source.table]]
file = "labels.jsonl"
key = "id"
matches = "{stem}"
[[source.attribute]]
key = "finding"
name = { en = "finding", zh = "所见" }
task = "disease_diagnosis"
flags = {}
unknown = ["-1"]
values = [{ is = "Edema", en = "pulmonary edema", zh = "肺水肿" }, { is = "Mass", en = "lung mass", zh = "肿块" }]
[[source.attribute]]
key = "grade"
name = { en = "severity", zh = "严重程度" }
task = "severity_grading"
from = "grade"
ordinal = true
values = [{ is = "0", en = "none", zh = "无" }, { is = "1", en = "mild", zh = "轻度" }, { is = "2", en = "severe", zh = "重度" }]
"#;

#[test]
fn one_field_per_class_grades_and_words_of_the_vocabulary() {
    let world = World::new("flags");
    for (seed, stem) in ["a", "b", "c", "d"].iter().enumerate() {
        world.picture(&format!("{stem}.png"), seed as u32, 100, 50);
    }
    world.write(
        "labels.jsonl",
        r#"{"id": "a", "device": "Radiograph", "ward": "呼吸科", "Edema": 1, "Mass": 0, "grade": 1}
{"id": "b", "device": "X线", "ward": "Pulmonology", "Edema": 0, "Mass": -1, "grade": 2}
{"id": "c", "device": "sonar", "ward": "Pulmonology", "Edema": 0, "Mass": 0}
{"id": "d", "device": "CR", "ward": "Pulmonology", "Edema": "perhaps", "Mass": 1}
"#,
    );
    let text = format!("[[source]]\nname = \"x\"\nroot = \"${{DATA}}\"\nlicence = \"CC0\"{FLAGS}");
    let made = world.curate(&text);
    assert_eq!(made.labels("a.png"), ["finding=pulmonary edema", "grade=mild"]);
    assert_eq!(made.labels("b.png"), ["grade=severe"]);
    let unknown = made.line("c.png");
    assert!(unknown.reason.contains("`sonar` is no modality of the vocabulary; the nearest are"), "{}", unknown.reason);
    assert!(made.line("labels.jsonl").reason.contains("`perhaps`"));
    for sample in made.samples.iter().filter(|sample| sample.conversation.provenance.file == "b.png") {
        let text: String = sample.conversation.turns.iter().map(|turn| turn.value.as_str()).collect();
        assert!(!text.contains("lung mass") && !text.contains("肿块"), "of the mass nothing is known: {text}");
    }
    assert!(made.of("x").all(|conversation| conversation.department == gmai_schema::Department::PulmonaryMedicine));
    let body_part = made.of("x").filter(|conversation| conversation.attribute.as_deref() == Some("body_part"));
    assert!(body_part.count() > 0);
    let grades = made.of("x").filter(|conversation| conversation.generator.contains("grade/"));
    assert!(grades.count() > 0);
}
