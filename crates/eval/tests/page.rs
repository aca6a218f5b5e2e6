//! The report of a run with many groups: written to the target folder, where a person can open it.

#![allow(clippy::unwrap_used)]

use gmai_eval::{
    Control, Curve, CurvePoint, Example, Fact, FactTable, MajorityAnswers, Outcome, Protocol, Reply, ReportInput,
    Verdict, pick_examples, report_html, summarise, summary_text,
};
use gmai_schema::{FinishReason, Language, Modality, OptionLikelihood, Question, Quiz, Rgb8, Task};

const SOURCES: [(&str, Modality, Task, usize); 5] = [
    ("chest_films", Modality::XRay, Task::DiseaseDiagnosis, 240),
    ("skin_lesions_of_a_hospital_group", Modality::Dermoscopy, Task::DiseaseDiagnosis, 150),
    ("blood_cells", Modality::Microscopy, Task::CellRecognition, 90),
    ("abdomen_volumes", Modality::Ct, Task::OrganRecognitionAbdomen, 60),
    ("fundus_grades", Modality::Fundus, Task::SeverityGrading, 24),
];

fn questions() -> Vec<Question> {
    let mut questions = Vec::new();
    for (source, modality, task, count) in SOURCES {
        for index in 0..count {
            let (attribute, language) =
                (["diagnosis", "modality"][index % 2], [Language::En, Language::Zh][index % 3 % 2]);
            let quiz = match index % 4 {
                0 | 1 => Quiz::MultipleChoice {
                    options: ["正常", "nodule", "mass", "<b>other</b>"].map(String::from).to_vec(),
                    answer: index % 4,
                },
                2 => Quiz::YesNo { answer: index % 8 == 2 },
                _ => Quiz::Open { answers: vec!["left lower lobe".to_string()] },
            };
            questions.push(Question {
                id: format!("{source}-{index}"),
                prompt: "<image>\nWhat is the finding?\nA. 正常\nB. nodule\nC. mass\nD. other\n请直接回答选项字母。"
                    .to_string(),
                quiz,
                attribute: attribute.to_string(),
                source: source.to_string(),
                task,
                modality: Some(modality),
                language,
                patient: format!("{source} patient {}", index / 3),
            });
        }
    }
    questions
}

/// Verdicts of which about `share` are right.
fn verdicts(questions: &[Question], control: Control, share: usize) -> Vec<Verdict> {
    let verdict = |(index, question): (usize, &Question)| {
        let open = matches!(question.quiz, Quiz::Open { .. });
        let right = index * 37 % 100 < share;
        Verdict {
            question: question.id.clone(),
            control,
            protocol: if open { Protocol::Generated } else { Protocol::Likelihood },
            outcome: match (right, index % 29) {
                (true, _) => Outcome::Right,
                (false, 0) => Outcome::Unparsed,
                (false, _) => Outcome::Wrong,
            },
            answer: (right || index % 29 != 0).then(|| "nodule".to_string()),
            token_f1: open.then_some(if right { 1.0 } else { 0.25 }),
            probability: None,
        }
    };
    let mut verdicts: Vec<Verdict> = questions.iter().enumerate().map(verdict).collect();
    let written = verdicts.iter().filter(|verdict| verdict.protocol == Protocol::Likelihood).cloned();
    let written: Vec<Verdict> = written.map(|verdict| Verdict { protocol: Protocol::Generated, ..verdict }).collect();
    verdicts.extend(written);
    verdicts
}

fn gradient(seed: u8) -> Rgb8 {
    let pixels = (0..160u32 * 200).flat_map(|at| [(at % 160) as u8, (at / 160) as u8, seed]).collect();
    Rgb8::new(160, 200, pixels).unwrap()
}

fn reply(id: &str) -> Reply {
    let option = |text: &str, probability: f64| OptionLikelihood {
        text: text.to_string(),
        log_probability: probability.ln(),
        num_tokens: 2,
        probability,
    };
    Reply {
        question: id.to_string(),
        control: Control::Real,
        prompt_sha256: String::new(),
        image_sha256: Vec::new(),
        settings: String::new(),
        checkpoint: "0123abcd".to_string(),
        text: "B".to_string(),
        num_tokens: 2,
        log_probability: -0.3,
        options: vec![option("A", 0.1), option("B", 0.72), option("C", 0.08), option("D", 0.1)],
        finish: FinishReason::Stop,
        refused: None,
    }
}

fn curve(name: &str, stage: &str, start: f64) -> Curve {
    let value = |step: u64| 0.4 + start * (-(step as f64) / 150.0).exp() + 0.1 * ((step * 7919 % 13) as f64 / 13.0);
    let points = (0..600).map(|step| CurvePoint { step, value: value(step) }).collect();
    Curve { name: name.to_string(), stage: stage.to_string(), points }
}

#[test]
fn a_full_report_is_one_page_of_bounded_size() {
    let questions = questions();
    let real = verdicts(&questions, Control::Real, 78);
    let blank = verdicts(&questions, Control::Blank, 31);
    let summary = summarise(&questions, &real, &blank, &MajorityAnswers::from_questions(&questions));
    let picked = pick_examples(&questions, &real, 12);
    let examples = picked.iter().enumerate().map(|(index, id)| Example {
        question: questions.iter().find(|question| question.id == *id).unwrap().clone(),
        images: vec![gradient(index as u8 * 20)],
        reply: Some(reply(id)),
        verdict: real.iter().find(|verdict| verdict.question == *id).unwrap().clone(),
    });
    let fact = |name: &str, value: &str| Fact { name: name.to_string(), value: value.to_string() };
    let input = ReportInput {
        title: "Made-up questions, made-up answers".to_string(),
        summary: &summary,
        examples: examples.collect(),
        curves: vec![
            curve("loss", "shallow alignment", 3.0),
            curve("loss", "deep alignment", 1.0),
            curve("validation", "deep alignment", 1.4),
        ],
        facts: vec![FactTable {
            title: "Model".into(),
            facts: vec![fact("checkpoint", "0123abcd"), fact("parameters", "12,345,678")],
        }],
        skipped: Vec::new(),
    };
    let page = report_html(&input).unwrap();
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("eval-report.html");
    std::fs::write(path, &page).unwrap();
    assert!(page.len() < 3_000_000, "{} bytes", page.len());
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    assert_eq!(page.matches("<article").count(), 12);
    assert!(!page.contains("<b>other</b>"));
    // Each row of the terminal table is a row of the page.
    let rows = summary.overall.len() + summary.tables.iter().map(|table| table.rows.len()).sum::<usize>();
    let text = summary_text(&summary);
    assert_eq!(page.matches("<td data-value").count(), rows * 8);
    assert!(text.lines().count() >= rows, "{text}");
}
