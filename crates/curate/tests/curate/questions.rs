//! Questions and answers in JSON.

use crate::world::{World, source};
use gmai_schema::{Language, Quiz};

const QA: &str = r#"
patient = "case"
[source.kind.qa_json]
images = "images/{stem}.png"
files = ["qa.json"]
image_key = "image"
image_folder = "images"
question_key = "question"
answer_key = "answer"
kind_key = "type"
language = "en"
split_key = "part"
test_prefixes = ["test_"]
[[source.attribute]]
key = "body_part"
name = { en = "body part" }
task = "body_part_recognition"
from = "organ"
values = [{ is = "HEAD", en = "head" }, { is = "CHEST", en = "chest" }]
"#;

const ENTRIES: &str = r#"[
 {"image": "a.png", "organ": "HEAD", "case": "u1", "question": " Is there a bleed? ", "answer": "Yes\t", "type": "PRES", "part": "train"},
 {"image": "a.png", "organ": "HEAD", "case": "u1", "question": "How many lesions?", "answer": 2, "type": "COUNT", "part": "test_freeform"},
 {"image": "b.png", "organ": "HEAD", "case": "u2", "question": "Which organ?", "answer": "lung", "type": "ORGAN", "part": "train"},
 {"image": "b.png", "organ": "CHEST", "case": "u2", "question": "Which side?", "answer": "left", "type": "POS", "part": "train"},
 {"image": "gone.png", "organ": "HEAD", "question": "Is it there?", "answer": "no"},
 {"image": "a.png", "question": "", "answer": "no"},
 {"image": "a.png", "question": "What?"},
 "text"
]"#;

#[test]
fn questions_of_people_are_taken_over_and_broken_entries_are_named() {
    let world = World::new("qa_json");
    world.picture("images/a.png", 1, 32, 32);
    world.picture("images/b.png", 2, 32, 32);
    world.picture("images/silent.png", 3, 32, 32);
    world.write("qa.json", ENTRIES);
    let made = world.curate(&source("vqa", QA));
    let own: Vec<_> = made.of("vqa").filter(|conversation| conversation.generator == "source").collect();
    assert_eq!(own.len(), 4);
    let bleed = own.iter().find(|conversation| conversation.turns[0].value.contains("Is there a bleed?")).unwrap();
    assert_eq!((bleed.turns[1].value.as_str(), bleed.language), ("Yes", Language::En));
    assert_eq!(bleed.quiz, Some(Quiz::YesNo { answer: true }));
    assert!(own.iter().any(|conversation| conversation.turns[1].value == "2"), "numbers are answers");
    assert_eq!(made.labels("images/a.png"), ["body_part=head"]);
    assert!(
        made.of("vqa").filter(|c| c.provenance.file == "images/b.png").all(|c| c.labels.is_empty()),
        "entries disagree: nothing is stated"
    );
    assert!(made.of("vqa").all(|conversation| conversation.modality.is_none()));
    let lines: Vec<_> = made.quarantined.iter().map(|entry| entry.field.as_str()).collect();
    assert_eq!(lines, ["annotation", "entry 5, image", "entry 6, question", "entry 7, answer", "entry 8"]);
    assert_eq!((made.source().annotations.given, made.source().annotations.used), (8, 4));
}

#[test]
fn a_truncated_file_is_one_line() {
    let world = World::new("qa_truncated");
    world.picture("images/a.png", 1, 32, 32);
    world.write("qa.json", &ENTRIES[..200]);
    let message = world
        .refused(&source("vqa", &QA[..QA.find("[[source.attribute]]").unwrap()].replace("patient = \"case\"", "")));
    assert!(message.contains("no input gave a pair; 2 inputs were quarantined"), "{message}");
    let lines = std::fs::read_to_string(world.folder.join("out/quarantine.jsonl")).unwrap();
    assert!(lines.contains("qa.json") && lines.contains("line "), "{lines}");
}
