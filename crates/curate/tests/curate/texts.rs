//! Reports and conversations of others, with and without pictures.

use crate::world::{Made, World, source};
use gmai_schema::{Conversation, Form, Language, Quiz};

fn values(conversation: &Conversation) -> String {
    conversation.turns.iter().map(|turn| turn.value.as_str()).collect::<Vec<_>>().join("\n")
}

fn of_reports(made: &Made) -> Vec<&Conversation> {
    made.of("reports").filter(|conversation| conversation.attribute.as_deref() == Some("report")).collect()
}

#[test]
fn reports_beside_pictures_are_written_by_sections() {
    let world = World::new("reports_beside");
    for (seed, stem) in ["en", "zh", "none"].iter().enumerate() {
        world.picture(&format!("images/{stem}.png"), seed as u32, 64, 64);
    }
    world.write(
        "reports/en.txt",
        "Exam of 03/01/2011.\nFINDINGS: The lungs are clear. No effusion is seen.\nIMPRESSION: Normal chest.",
    );
    world.write("reports/zh.txt", "检查所见：双肺清晰。\n诊断意见：未见异常。");
    world.write("reports/orphan.txt", "FINDINGS: x");
    world.write("reports/blank.txt", " ");
    let kind = "modality = \"x_ray\"\nkind = { text_report = { files = \"reports/{stem}.txt\", images = \"images/{stem}.png\" } }";
    let made = world.curate(&source("reports", kind));
    let all = of_reports(&made);
    assert!(
        all.iter()
            .all(|conversation| conversation.generator == "source"
                && conversation.turns[0].value.starts_with("<image>\n"))
    );
    assert!(all.iter().any(|conversation| conversation.turns[1].value == "Normal chest."));
    let whole = all.iter().find(|conversation| conversation.turns[1].value.contains("FINDINGS")).unwrap();
    assert!(whole.turns[1].value.starts_with("Exam of [date]."), "dates stay behind");
    let chinese: Vec<_> = all.iter().filter(|conversation| conversation.language == Language::Zh).collect();
    assert!(chinese.iter().any(|conversation| conversation.turns[1].value == "未见异常。"));
    assert!(made.line("reports/orphan.txt").reason.starts_with("label without image"));
    assert!(made.line("reports/blank.txt").reason.contains("empty"));
    assert!(made.line("images/none.png").reason.contains("no report is about it"));
    assert_eq!((made.source().images.used, made.source().annotations.used), (2, 2));
}

#[test]
fn reports_without_pictures_are_texts_with_labels() {
    let world = World::new("report_table");
    world.write(
        "reports.tsv",
        "text\tEdema\tMass\nThere is edema of the lungs. No mass is seen.\t1\t0\nThe lungs are clear.\t0\t\n\t1\t1\nThere is a mass.\toops\t1\n",
    );
    let kind = "kind = { report_table = { files = [\"reports.tsv\"], text = \"text\" } }\n[[source.attribute]]\nkey = \"finding\"\n\
        name = { en = \"findings\" }\ntask = \"disease_diagnosis\"\nflags = {}\nvalues = [{ is = \"Edema\", en = \"edema\" }, { is = \"Mass\", en = \"a mass\" }]\n";
    let made = world.curate(&source("reports", kind));
    assert!(
        made.samples.iter().all(|sample| sample.images.is_empty() && !values(&sample.conversation).contains("<image>"))
    );
    for conversation in made.of("reports") {
        let Some(Quiz::YesNo { answer }) = conversation.quiz else { panic!("{conversation:?}") };
        let question = &conversation.turns[0].value;
        if question.contains("The lungs are clear") {
            assert!(
                !answer && question.contains("edema") && !question.contains("a mass"),
                "the mass is not judged: {question}"
            );
        }
    }
    assert_eq!(made.source().images.given, 4);
    assert!(made.source().images.skipped.keys().any(|reason| reason.contains("neither text nor results")));
    assert!(made.line("reports.tsv#line 5").reason.contains("`oops`"));
}

#[test]
fn a_text_report_alone_is_read_and_concluded() {
    let world = World::new("report_alone");
    world.write("a.txt", "Findings: the heart is large and there is no effusion.\nImpression: cardiomegaly.");
    world.write(
        "es.txt",
        "Hallazgos: paciente con dolor en la pierna, sin fiebre por la noche.\nConclusión: nada de interés.",
    );
    let made = world.curate(&source("reports", "kind = { text_report = { files = \"{stem}.txt\" } }"));
    let all = of_reports(&made);
    assert_eq!(all.len(), 2, "read and concluded");
    assert!(
        all.iter()
            .all(|conversation| conversation.form == Form::Instruction && conversation.provenance.file == "a.txt")
    );
    assert!(all.iter().any(|conversation| conversation.turns[1].value == "cardiomegaly."));
    assert_eq!(made.source().images.num_skipped(), 1, "Spanish is not written");
}

#[test]
fn results_become_questions_on_a_list() {
    let world = World::new("hl7");
    world.write(
        "a.hl7",
        "MSH|^~\\&|A||||2014||ORU^R01|1\rPID|1||77||DOE^JOHN\rOBR|1|||1^Blood count\rOBX|1|NM|1^HEMATOCRIT^LN||40.1|%|||||F\rOBX|2|NM|2^PLATELETS^LN||221|giga.l-1|||||F\r",
    );
    world.write("b.hl7", "MSH|^~\\&|A||||2014||ADT^A01|1\r");
    let made = world.curate(&source("results", "kind = { hl7v2 = { files = \"{stem}.hl7\" } }"));
    assert!(made.of("results").count() >= 1);
    for conversation in made.of("results") {
        let text = values(conversation);
        assert!(text.contains("HEMATOCRIT: 40.1 %\nPLATELETS: 221 giga.l-1"), "{text}");
        let answer = &conversation.turns[1].value;
        assert!(["40.1 %", "221 giga.l-1"].contains(&answer.as_str()));
        assert!(!text.contains("DOE") && !text.contains("77"));
    }
    assert_eq!((made.source().images.used, made.source().images.num_skipped()), (1, 1));
}

#[test]
fn conversations_of_others_pass_unchanged_and_wrong_counts_of_pictures_are_found() {
    let world = World::new("conversations");
    world.picture("images/a.png", 1, 64, 64);
    world.picture("images/b.png", 2, 64, 64);
    let say =
        |text: &str| format!(r#"[{{"from": "human", "value": "{text}"}}, {{"from": "gpt", "value": "An answer."}}]"#);
    let entries = [
        format!(r#"{{"id": 1, "image": "a.png", "conversations": {}}}"#, say("<image>\\nWhat?")),
        format!(r#"{{"id": 2, "image": "a.png", "conversations": {}}}"#, say("<image>\\nWhere?")),
        format!(
            r#"{{"id": 3, "images": ["a.png", "b.png"], "conversations": {}}}"#,
            say("Compare <image> and <image>.")
        ),
        format!(r#"{{"id": 4, "conversations": {}}}"#, say("What is a lung?")),
        format!(r#"{{"id": 5, "image": "b.png", "conversations": {}}}"#, say("No marker")),
        format!(r#"{{"id": 6, "image": "b.png", "conversations": {}}}"#, say("<image> and <image>")),
        format!(r#"{{"id": 7, "image": "gone.png", "conversations": {}}}"#, say("<image>")),
    ];
    world.write("train.json", format!("[{}]", entries.join(", ")));
    world.write(
        "openai.jsonl",
        "{\"messages\": [{\"role\": \"system\", \"content\": \"Be brief.\"}, {\"role\": \"user\", \"content\": [{\"type\": \"image_url\", \"image_url\": {\"url\": \"b.png\"}}, {\"type\": \"text\", \"text\": \"这是什么？\"}]}, {\"role\": \"assistant\", \"content\": \"一幅图。\"}]}\n{\"messages\": []}\nnot json\n",
    );
    let kind = "kind = { conversations = { files = [\"train.json\", \"openai.jsonl\"], image_folder = \"images\" } }";
    let made = world.curate(&source("talk", kind));
    let texts: Vec<String> = made.of("talk").map(values).collect();
    assert_eq!(texts.len(), 5, "{texts:?}");
    assert!(texts.contains(&"Compare <image> and <image>.\nAn answer.".to_string()));
    assert!(texts.contains(&"Be brief.\n<image>\n这是什么？\n一幅图。".to_string()));
    let two = made.samples.iter().find(|sample| sample.images.len() == 2).unwrap();
    let one = made.samples.iter().find(|sample| values(&sample.conversation).contains("What?")).unwrap();
    assert_eq!(two.images[0].path, one.images[0].path, "pictures in the order of the markers");
    assert_eq!(two.conversation.split, one.conversation.split, "records that share a picture stay together");
    let reasons: Vec<String> = made.quarantined.iter().map(|line| format!("{} {}", line.field, line.reason)).collect();
    assert_eq!(reasons.len(), 5, "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason == "entry 5, image 0 `<image>` in the text, 1 pictures"));
    assert!(reasons.iter().any(|reason| reason == "entry 6, image 2 `<image>` in the text, 1 pictures"));
    assert!(reasons.iter().any(|reason| reason.contains("`images/gone.png` does not exist")));
    assert_eq!((made.source().images.used, made.source().annotations.used), (4, 5));
}
