//! What holds for texts about points, measurements, grades and report sections, checked on made-up records.

#![allow(clippy::unwrap_used)]

use super::*;
use gmai_schema::{BodyPart, Department, Label, Measurement, PixelSource, Point, Section, SectionKind};
use std::collections::{BTreeMap, BTreeSet};

fn facts() -> SourceFacts {
    let attribute = |key: &str, values: &[(&str, &str)], ordinal: bool, open: bool| Attribute {
        key: key.to_owned(),
        name: Term::new(key, if ordinal { "严重程度" } else { "所见" }),
        task: Task::SeverityGrading,
        values: values.iter().map(|(en, zh)| Term::new(*en, *zh)).collect(),
        multiple: open,
        ordinal,
        open,
    };
    SourceFacts {
        name: "made-up".to_owned(),
        department: Department::Hematology,
        modalities: vec![Modality::Microscopy],
        attributes: vec![
            attribute(
                "severity",
                &[("none", "无"), ("mild", "轻度"), ("moderate", "中度"), ("severe", "重度")],
                true,
                false,
            ),
            attribute("finding", &[("edema", "水肿"), ("mass", "肿块"), ("fracture", "骨折")], false, true),
        ],
        region_terms: vec![Term::new("white blood cell", "白细胞"), Term::new("red blood cell", "红细胞")],
        region_task: Task::CellRecognition,
        regions_exhaustive: true,
        licence: "CC0".to_owned(),
    }
}

fn record(number: usize, pixels: PixelSource) -> Record {
    let facts = facts();
    let point = |term: usize, x: f32, y: f32| Point { term: facts.region_terms[term].clone(), x, y };
    let measurement = |name: Term, value: &str, unit: &str| Measurement {
        name,
        value: value.to_owned(),
        unit: unit.to_owned(),
        site: Some(Term::new("liver", "肝脏")),
        finding: None,
    };
    let label = |attribute: &str, value: &Term| Label { attribute: attribute.to_owned(), value: value.clone() };
    Record {
        body_part: Some(BodyPart::Chest),
        labels: vec![
            label("severity", &facts.attributes[0].values[number % 4]),
            label("finding", &facts.attributes[1].values[0]),
        ],
        absent: vec![label("finding", &facts.attributes[1].values[1])],
        points: vec![point(0, 0.25, 0.5), point(1, 0.75, 0.75), point(1, 0.1, 0.1)],
        measurements: vec![
            measurement(Term::new("diameter", "直径"), "45", "mm"),
            measurement(Term::english("volume"), "3.10", "ml"),
        ],
        ..Record::new(format!("record-{number}"), facts.name.clone(), facts.department, pixels, "p".to_owned())
    }
}

fn picture() -> PixelSource {
    PixelSource::File("x.png".into())
}

fn only(language: Language) -> Options {
    Options { seed: 7, languages: vec![language], ..Options::default() }
}

fn text(conversation: &Conversation) -> String {
    conversation.turns.iter().map(|turn| turn.value.as_str()).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_new_kind_of_fact_is_spoken_of_in_both_languages() {
    for language in [Language::En, Language::Zh] {
        let mut tables: BTreeSet<String> = BTreeSet::new();
        for number in 0..60 {
            for conversation in conversations(&record(number, picture()), &facts(), &only(language)) {
                assert!(!text(&conversation).contains(['{', '}']), "{}", text(&conversation));
                tables.extend(
                    conversation.generator.trim_start_matches("template:").split('#').next().map(str::to_owned),
                );
            }
        }
        for table in [
            "point/name_question@1",
            "point/find_question@1",
            "measure/of_image@1",
            "grade/at_least@1",
            "grade/step@1",
            "classify/body_part_open@1",
            "count/count@1",
        ] {
            assert!(tables.contains(table), "{language:?} {table}: {tables:?}");
        }
    }
}

#[test]
fn grades_are_reached_or_not_as_the_scale_says() {
    let steps = ["none", "mild", "moderate", "severe"];
    let mut polarity: BTreeMap<bool, usize> = BTreeMap::new();
    for number in 0..400 {
        for conversation in conversations(&record(number, picture()), &facts(), &only(Language::En)) {
            if !conversation.generator.contains("grade/at_least") {
                continue;
            }
            let question = &conversation.turns[0].value;
            let asked = question
                .replace("none", " ")
                .replace("to severe", " ")
                .replace("severe as the highest", " ")
                .replace("up to severe", " ");
            let asked = steps.iter().position(|step| asked.contains(step)).unwrap_or_else(|| panic!("{question}"));
            let Some(Quiz::YesNo { answer }) = conversation.quiz else { panic!("{question}") };
            assert_eq!(answer, number % 4 >= asked, "{question} of {}", steps[number % 4]);
            *polarity.entry(answer).or_default() += 1;
        }
    }
    let (yes, no) = (polarity[&true] as f64, polarity[&false] as f64);
    assert!((yes - no).abs() / (yes + no).sqrt() < 4.0, "{yes} yes, {no} no");
}

#[test]
fn what_is_not_known_of_an_open_attribute_is_never_spoken_of() {
    for number in 0..200 {
        for language in [Language::En, Language::Zh] {
            for conversation in conversations(&record(number, picture()), &facts(), &only(language)) {
                let text = text(&conversation);
                assert!(!text.contains("fracture") && !text.contains("骨折"), "{text}");
                let denied = text.contains("mass") || text.contains("肿块");
                assert!(!denied || matches!(conversation.quiz, Some(Quiz::YesNo { answer: false })), "{text}");
            }
        }
    }
}

#[test]
fn measurements_without_a_chinese_name_stay_english() {
    for number in 0..100 {
        for conversation in conversations(&record(number, picture()), &facts(), &only(Language::Zh)) {
            if conversation.attribute.as_deref() == Some("measurement") {
                assert!(text(&conversation).contains("直径（肝脏）"), "{}", text(&conversation));
                assert_eq!(conversation.turns[1].value, "45 mm");
            }
        }
    }
    let twice = Record {
        measurements: [45, 46]
            .map(|value| Measurement {
                name: Term::english("size"),
                value: value.to_string(),
                unit: String::new(),
                site: None,
                finding: None,
            })
            .to_vec(),
        ..record(0, picture())
    };
    let all = conversations(&twice, &facts(), &only(Language::En));
    assert!(
        all.iter().all(|conversation| conversation.attribute.as_deref() != Some("measurement")),
        "two values are no value"
    );
}

#[test]
fn a_text_without_picture_is_never_called_an_image() {
    let section =
        |kind, title: &str, text: &str| Section { kind: Some(kind), title: title.to_owned(), text: text.to_owned() };
    for number in 0..100 {
        let record = Record {
            report: Some("Findings: the heart is large <image>.\nImpression: cardiomegaly.".to_owned()),
            sections: vec![
                section(SectionKind::Findings, "Findings", "the heart is large <image>."),
                section(SectionKind::Impression, "Impression", "cardiomegaly."),
            ],
            ..record(number, PixelSource::Absent)
        };
        let all = conversations(&record, &facts(), &only(Language::En));
        assert!(all.len() >= 4, "read, concluded, labelled, measured: {all:?}");
        for conversation in all {
            let text = text(&conversation);
            assert!(!text.contains("<image>") && !text.contains("image"), "{text}");
            assert_ne!(conversation.form, Form::ImageCaption);
        }
    }
}
