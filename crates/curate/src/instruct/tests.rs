//! What holds for all generated text, checked on made-up records.

#![allow(clippy::unwrap_used)]

use super::*;
use gmai_schema::{Department, Label, PixelSource, Provenance, QuestionAnswer, Region, Role};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

fn facts() -> SourceFacts {
    SourceFacts {
        name: "made-up".to_owned(),
        department: Department::Hematology,
        modalities: vec![Modality::Microscopy],
        attributes: vec![
            Attribute {
                key: "stain".to_owned(),
                name: Term::new("stain", "染色"),
                task: Task::AttributeRecognition,
                values: vec![Term::new("Giemsa", "吉姆萨"), Term::new("Wright", "瑞特"), Term::english("hematoxylin")],
                multiple: false,
                ordinal: false,
                open: false,
            },
            Attribute {
                key: "diagnosis".to_owned(),
                name: Term::new("diagnosis", "诊断"),
                task: Task::DiseaseDiagnosis,
                values: ["normal", "anemia", "leukemia", "malaria", "sepsis", "lymphoma"]
                    .iter()
                    .zip(["正常", "贫血", "白血病", "疟疾", "脓毒症", "淋巴瘤"])
                    .map(|(en, zh)| Term::new(*en, zh))
                    .collect(),
                multiple: false,
                ordinal: false,
                open: false,
            },
            Attribute {
                key: "finding".to_owned(),
                name: Term::new("finding", "所见"),
                task: Task::DiseaseDiagnosis,
                values: vec![
                    Term::new("blasts", "原始细胞"),
                    Term::new("parasites", "寄生虫"),
                    Term::new("clumps", "聚集"),
                ],
                multiple: true,
                ordinal: false,
                open: false,
            },
        ],
        region_terms: vec![
            Term::new("white blood cell", "白细胞"),
            Term::new("red blood cell", "红细胞"),
            Term::new("platelet", "血小板"),
        ],
        region_task: Task::CellRecognition,
        regions_exhaustive: true,
        licence: "CC0".to_owned(),
    }
}

fn region(term: Term, left: f32, top: f32) -> Region {
    Region { term, bounds: BoundingBox { x1: left, y1: top, x2: left + 0.125, y2: top + 0.25 }, mask: None }
}

/// Record `number` of a source in which everything that can be known is known; values go round.
fn record(number: usize) -> Record {
    let facts = facts();
    let diagnosis = facts.attributes[1].values[number % 6].clone();
    let label = |attribute: &str, value: Term| Label { attribute: attribute.to_owned(), value };
    let (id, pixels) = (format!("record-{number}"), PixelSource::File(PathBuf::from("x.png")));
    Record {
        modality: Some(Modality::Microscopy),
        labels: vec![
            label("stain", facts.attributes[0].values[number % 2].clone()),
            label("diagnosis", diagnosis),
            label("finding", facts.attributes[2].values[number % 3].clone()),
        ],
        regions: vec![
            region(facts.region_terms[0].clone(), 0.0625, 0.125),
            region(facts.region_terms[1].clone(), 0.5, 0.5),
            region(facts.region_terms[1].clone(), 0.75, 0.125),
        ],
        provenance: Provenance { file: "x.png".to_owned(), ..Provenance::default() },
        ..Record::new(id, facts.name.clone(), facts.department, pixels, format!("patient-{number}"))
    }
}

fn options() -> Options {
    Options { seed: 7, ..Options::default() }
}

fn only(language: Language) -> Options {
    Options { languages: vec![language], ..options() }
}

fn many(count: usize, options: &Options) -> Vec<Conversation> {
    (0..count).flat_map(|number| conversations(&record(number), &facts(), options)).collect()
}

fn text(conversation: &Conversation) -> String {
    conversation.turns.iter().map(|turn| turn.value.as_str()).collect::<Vec<_>>().join("\n")
}

fn has_han(text: &str) -> bool {
    text.chars().any(|letter| ('\u{4e00}'..='\u{9fff}').contains(&letter))
}

#[test]
fn all_six_forms_are_written_in_both_languages() {
    for language in [Language::En, Language::Zh] {
        let forms: BTreeSet<Form> = many(20, &only(language)).iter().map(|conversation| conversation.form).collect();
        assert_eq!(forms, BTreeSet::from(Form::ALL), "{language:?}");
    }
}

#[test]
fn same_seed_gives_same_text_and_another_seed_another() {
    let all = many(5, &options());
    assert_eq!(all, many(5, &options()));
    assert_ne!(all, many(5, &Options { seed: 8, ..options() }));
    let ids: BTreeSet<&str> = all.iter().map(|conversation| conversation.id.as_str()).collect();
    assert_eq!(ids.len(), all.len());
}

#[test]
fn more_texts_of_one_kind_leave_the_others_as_they_were() {
    let few = many(3, &options());
    let per_record = PerRecord { image_captions: 4, conversations: 3, ..PerRecord::default() };
    let more = many(3, &Options { per_record, ..options() });
    assert!(more.len() > few.len());
    assert!(few.iter().all(|conversation| more.contains(conversation)));
}

#[test]
fn the_image_is_shown_once_in_the_first_turn() {
    for conversation in many(50, &options()) {
        assert!(conversation.turns[0].value.starts_with("<image>\n"));
        assert_eq!(text(&conversation).matches("<image>").count(), 1);
        for (index, turn) in conversation.turns.iter().enumerate() {
            assert_eq!(turn.from, if index % 2 == 0 { Role::Human } else { Role::Assistant });
        }
        let turns = conversation.turns.len() / 2;
        assert_eq!(conversation.form == Form::Conversation, turns > 1);
        assert!(turns <= 4 && conversation.turns.len().is_multiple_of(2));
    }
}

#[test]
fn unknown_modality_is_never_mentioned() {
    for number in 0..100 {
        let record = Record { modality: None, ..record(number) };
        for conversation in conversations(&record, &facts(), &options()) {
            let text = text(&conversation).to_lowercase();
            for modality in Modality::ALL {
                for language in [Language::En, Language::Zh] {
                    let name = modality.name(language).to_lowercase();
                    let word = |text: &str| text.split(|c: char| !c.is_alphanumeric()).any(|part| part == name);
                    let found =
                        if language == Language::En { word(&text) } else { has_han(&name) && text.contains(&name) };
                    assert!(!found, "{name}: {text}");
                    assert!(!text.contains(&wording::image_noun(*modality, language).to_lowercase()), "{text}");
                }
            }
            assert!(!text.contains("modality") && !text.contains("模态"), "{text}");
        }
    }
}

#[test]
fn nothing_is_said_in_chinese_without_a_chinese_name() {
    let mut facts = facts();
    let mut without = |term: &mut Term| term.zh = None;
    facts.attributes.iter_mut().flat_map(|attribute| &mut attribute.values).for_each(&mut without);
    facts.region_terms.iter_mut().for_each(&mut without);
    for number in 0..50 {
        let mut record = record(number);
        record.labels.iter_mut().for_each(|label| without(&mut label.value));
        record.regions.iter_mut().for_each(|region| without(&mut region.term));
        let options = Options { chinese_share: 1.0, ..options() };
        for conversation in conversations(&record, &facts, &options) {
            let chinese = conversation.language == Language::Zh;
            assert_eq!(has_han(&text(&conversation)), chinese);
            let about_modality = conversation.attribute.as_deref() == Some("modality");
            assert!(!chinese || about_modality, "{}", text(&conversation));
        }
    }
}

#[test]
fn each_text_is_in_one_language() {
    let all = many(200, &options());
    for conversation in &all {
        assert_eq!(has_han(&text(conversation)), conversation.language == Language::Zh, "{}", text(conversation));
    }
    let chinese = all.iter().filter(|conversation| conversation.language == Language::Zh).count() as f64;
    let share = chinese / all.len() as f64;
    assert!((0.2..0.35).contains(&share), "{share}"); // Below 0.3: questions with a value that has no Chinese name stay English.
}

#[test]
fn numbers_and_absence_need_exhaustive_marks() {
    let facts = SourceFacts { regions_exhaustive: false, ..facts() };
    for number in 0..100 {
        let record = Record { modality: None, labels: Vec::new(), ..record(number) };
        for conversation in conversations(&record, &facts, &options()) {
            assert_ne!(conversation.attribute.as_deref(), Some("count"));
            assert_ne!(conversation.task, Task::Counting);
            assert!(!text(&conversation).contains("platelet") || conversation.form == Form::MultipleChoice);
            assert!(!text(&conversation).contains("(2)") && !text(&conversation).contains("（2）"));
            assert!(!matches!(conversation.quiz, Some(Quiz::YesNo { .. })));
        }
    }
}

#[test]
fn sentences_name_only_what_the_record_has() {
    for number in 0..100 {
        let record = record(number);
        let facts = facts();
        for conversation in conversations(&record, &facts, &only(Language::En)) {
            let answers: String = conversation
                .turns
                .iter()
                .skip(1)
                .step_by(2)
                .map(|turn| turn.value.as_str())
                .collect::<Vec<_>>()
                .join(" ");
            if conversation.quiz.is_some() {
                continue;
            }
            for value in facts.attributes.iter().flat_map(|attribute| &attribute.values) {
                let given = record.labels.iter().any(|label| label.value == *value);
                assert!(given || !answers.contains(&value.en), "{answers}");
            }
            let absent = answers.split_inclusive('.').filter(|sentence| sentence.contains("platelet"));
            for sentence in absent {
                assert!(answers.contains("No") && (sentence.contains("not") || sentence.contains("no ")), "{answers}");
            }
        }
    }
}

#[test]
fn quizzes_agree_with_the_record_and_the_reply() {
    let facts = facts();
    for number in 0..200 {
        let record = record(number);
        for conversation in conversations(&record, &facts, &options()) {
            let reply = &conversation.turns[1].value;
            let language = conversation.language;
            let key = conversation.attribute.as_deref().unwrap_or_default();
            let label = record.labels.iter().find(|label| label.attribute == key);
            match &conversation.quiz {
                Some(Quiz::MultipleChoice { options, answer }) => {
                    assert_eq!(reply, ["A", "B", "C", "D", "E"][*answer]);
                    assert!(conversation.turns[0].value.contains(&format!("\n{reply}. {}\n", options[*answer])));
                    if let Some(label) = label {
                        assert_eq!(Some(options[*answer].as_str()), label.value.text(language));
                    }
                    let distinct: BTreeSet<&String> = options.iter().collect();
                    assert_eq!(distinct.len(), options.len());
                    assert!((2..=5).contains(&options.len()));
                }
                Some(Quiz::YesNo { answer }) => {
                    assert_eq!(reply, wording::yes_no(*answer, language));
                    if let Some(label) = label {
                        let named = conversation.turns[0].value.contains(label.value.text(language).unwrap());
                        assert_eq!(named, *answer, "{}", text(&conversation));
                    }
                }
                Some(Quiz::Open { answers }) => assert_eq!(reply, &answers[0]),
                None => {}
            }
        }
    }
}

#[test]
fn each_attribute_gets_one_quiz_of_each_kind() {
    let all = conversations(&record(3), &facts(), &options());
    let mut kinds: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for conversation in &all {
        let kind = match conversation.quiz {
            Some(Quiz::MultipleChoice { .. }) => "choice",
            Some(Quiz::YesNo { .. }) => "yes_no",
            Some(Quiz::Open { .. }) => "open",
            None => continue,
        };
        *kinds.entry((conversation.attribute.as_deref().unwrap(), kind)).or_default() += 1;
    }
    for attribute in ["modality", "stain", "diagnosis"] {
        for kind in ["choice", "yes_no", "open"] {
            assert_eq!(kinds.get(&(attribute, kind)), Some(&1), "{attribute} {kind}");
        }
    }
    assert_eq!(kinds.get(&("finding", "choice")), None); // Several values may be right.
    assert_eq!(kinds.get(&("region", "choice")), Some(&1));
    assert_eq!(kinds.get(&("count", "open")), Some(&1));
}

#[test]
fn letters_and_polarity_are_uniform() {
    let per_record = PerRecord { image_captions: 0, conversations: 0, perceptions: 0, ..PerRecord::default() };
    let mut letters: BTreeMap<(usize, usize), f64> = BTreeMap::new();
    let mut polarity: BTreeMap<(String, bool), f64> = BTreeMap::new();
    for conversation in many(2000, &Options { per_record, ..options() }) {
        match conversation.quiz {
            Some(Quiz::MultipleChoice { options, answer }) => {
                *letters.entry((options.len(), answer)).or_default() += 1.0
            }
            Some(Quiz::YesNo { answer }) => {
                *polarity.entry((conversation.attribute.unwrap(), answer)).or_default() += 1.0
            }
            _ => {}
        }
    }
    for size in [3, 4] {
        let counts: Vec<f64> = (0..size).map(|answer| letters[&(size, answer)]).collect();
        let expected = counts.iter().sum::<f64>() / size as f64;
        let chi_square: f64 = counts.iter().map(|count| (count - expected).powi(2) / expected).sum();
        assert!(chi_square < 16.3, "{size} options: {counts:?}"); // 0.999 quantile at 3 degrees of freedom.
    }
    for attribute in ["modality", "stain", "diagnosis", "finding", "region"] {
        let yes = polarity[&(attribute.to_owned(), true)];
        let no = polarity[&(attribute.to_owned(), false)];
        let deviation = (yes - no).abs() / (yes + no).sqrt();
        assert!(deviation < 4.0, "{attribute}: {yes} yes, {no} no"); // Four standard deviations of a fair coin.
    }
}

#[test]
fn an_option_set_does_not_tell_which_option_is_right() {
    // With six balanced diagnoses each set of four must have each of its members right about equally often.
    let mut right: BTreeMap<String, BTreeMap<String, f64>> = BTreeMap::new();
    for conversation in many(6000, &Options { languages: vec![Language::En], ..options() }) {
        if let (Some("diagnosis"), Some(Quiz::MultipleChoice { options, answer })) =
            (conversation.attribute.as_deref(), &conversation.quiz)
        {
            let mut set = options.clone();
            set.sort();
            *right.entry(set.join("|")).or_default().entry(options[*answer].clone()).or_default() += 1.0;
        }
    }
    assert_eq!(right.len(), 15);
    for (set, counts) in right {
        let expected = counts.values().sum::<f64>() / 4.0;
        let chi_square: f64 = counts.values().map(|count| (count - expected).powi(2) / expected).sum();
        assert!(counts.len() == 4 && chi_square < 20.0, "{set}: {counts:?}"); // 0.9998 quantile: fifteen sets are looked at.
    }
}

#[test]
fn modalities_that_mean_the_same_are_never_offered_together() {
    for modality in Modality::ALL {
        for number in 0..200 {
            let record = Record { modality: Some(*modality), ..record(number) };
            for conversation in conversations(&record, &facts(), &only(Language::En)) {
                if let (Some("modality"), Some(Quiz::MultipleChoice { options, .. })) =
                    (conversation.attribute.as_deref(), &conversation.quiz)
                {
                    assert_eq!(options.len(), 4);
                    let both = |a: &str, b: &str| options.iter().any(|o| o == a) && options.iter().any(|o| o == b);
                    assert!(!both("microscopy", "histopathology") && !both("fundus photography", "ophthalmoscopy"));
                }
            }
        }
    }
}

#[test]
fn wrong_modalities_come_from_the_given_pool() {
    let pool = vec![Modality::Microscopy, Modality::Ct, Modality::Mr, Modality::XRay];
    let options = Options { modality_options: pool, languages: vec![Language::En], ..options() };
    for conversation in many(50, &options) {
        if let (Some("modality"), Some(Quiz::MultipleChoice { options, .. })) =
            (conversation.attribute.as_deref(), &conversation.quiz)
        {
            let mut sorted = options.clone();
            sorted.sort();
            assert_eq!(sorted, ["CT", "MR", "X-ray", "microscopy"]);
        }
    }
}

#[test]
fn boxes_in_the_text_are_the_records_boxes() {
    for conversation in many(100, &options()) {
        let text = text(&conversation);
        let written: BTreeSet<String> = text
            .split("<box>[")
            .skip(1)
            .flat_map(|rest| {
                rest.split("]</box>").next().unwrap().split("], ").map(|one| one.trim_matches(['[', ']']).to_owned())
            })
            .collect();
        let allowed: BTreeSet<String> =
            conversation.boxes.iter().map(|bounds| bounds.to_string().trim_matches(['[', ']']).to_owned()).collect();
        assert!(written.is_subset(&allowed), "{text}: {allowed:?}");
        assert_eq!(text.matches("<box>").count(), text.matches("</box>").count());
        if conversation.form == Form::RegionCaption {
            let answer = &conversation.turns[1].value;
            assert!(answer.starts_with("This region") || answer.starts_with("该区域"), "{answer}");
        }
    }
}

#[test]
fn boxes_too_thin_for_two_decimals_are_not_written() {
    let mut record = record(0);
    for region in &mut record.regions {
        region.bounds.x2 = region.bounds.x1 + 0.001;
    }
    let all = conversations(&record, &facts(), &options());
    assert!(all.iter().all(|conversation| !text(conversation).contains("<box>")));
}

#[test]
fn peoples_text_passes_unchanged() {
    let question = |question: &str, answer: &str, language| QuestionAnswer {
        question: question.to_owned(),
        answer: answer.to_owned(),
        language,
        kind: Some("PRES".to_owned()),
        official_split: None,
    };
    let record = Record {
        questions: vec![
            question("Is there <image> a fracture?", "no", Language::En),
            question("Where is the mass?", "Left lobe", Language::En),
            question("Where is the mass?", "Left lobe", Language::En),
            question("有骨折吗？", "是", Language::Zh),
        ],
        report: Some(" No acute finding. ".to_owned()),
        labels: Vec::new(),
        regions: Vec::new(),
        modality: None,
        ..record(0)
    };
    let all = conversations(&record, &facts(), &options());
    let source: Vec<_> = all.iter().filter(|conversation| conversation.generator == "source").collect();
    assert_eq!(source.len(), 4, "the doubled question is written once");
    assert_eq!(source[0].quiz, Some(Quiz::YesNo { answer: false }));
    assert_eq!(source[0].turns[1].value, "No");
    assert_eq!(source[0].turns[0].value.matches("<image>").count(), 1);
    assert_eq!(source[1].turns[0].value, "<image>\nWhere is the mass?");
    assert_eq!(source[1].quiz, Some(Quiz::Open { answers: vec!["Left lobe".to_owned()] }));
    assert_eq!(source[2].turns[1].value, "是");
    assert_eq!((source[3].form, source[3].turns[1].value.as_str()), (Form::ImageCaption, "No acute finding."));
}

#[test]
fn sentences_are_filled_completely_and_vary() {
    let all = many(400, &options());
    for conversation in &all {
        assert!(!text(conversation).contains(['{', '}']), "{}", text(conversation));
        assert!(conversation.generator.starts_with("template:") && conversation.generator.contains("@1#"));
    }
    let mut sentences: BTreeMap<(&str, Language), BTreeSet<&str>> = BTreeMap::new();
    for conversation in all.iter().filter(|conversation| !conversation.generator.contains('+')) {
        let (table, index) = conversation.generator.split_once('#').unwrap();
        sentences.entry((table, conversation.language)).or_default().insert(index);
    }
    for ((table, language), indices) in sentences {
        assert!(indices.len() >= 3, "{table} {language:?} has {} sentences", indices.len());
    }
}

/// One record in both languages as a page that a person can read; written anew with `GMAI_UPDATE_SNAPSHOTS=1`.
#[test]
fn one_records_full_output_is_as_reviewed() {
    let mut page = String::new();
    for language in [Language::En, Language::Zh] {
        for conversation in conversations(&record(1), &facts(), &only(language)) {
            let quiz = conversation.quiz.as_ref().map(|quiz| serde_json::to_string(quiz).unwrap());
            page.push_str(&format!(
                "== {} / {} / {} / {} / {}\n",
                language.key(),
                conversation.form.key(),
                conversation.attribute.as_deref().unwrap_or("-"),
                conversation.task,
                conversation.generator
            ));
            for turn in &conversation.turns {
                let who = if turn.from == Role::Human { "human" } else { "gpt" };
                page.push_str(&format!("{who}: {}\n", turn.value));
            }
            page.push_str(&format!("quiz: {}\n\n", quiz.unwrap_or_else(|| "-".to_owned())));
        }
    }
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots/instruct.txt");
    if std::env::var_os("GMAI_UPDATE_SNAPSHOTS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &page).unwrap();
    }
    let reviewed = std::fs::read_to_string(&path).unwrap();
    assert_eq!(page, reviewed, "if the change is meant, read the new text and set GMAI_UPDATE_SNAPSHOTS=1");
}
