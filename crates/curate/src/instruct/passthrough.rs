//! Text that people wrote: questions with answers, and reports.

use super::dice::Dice;
use super::phrase::Phrases;
use super::{Draft, Exchange, Maker, wording};
use gmai_schema::conversation::IMAGE_MARKER;
use gmai_schema::{Form, Language, QuestionAnswer, Quiz, Task};

const REPORT_QUESTION: Phrases = Phrases {
    id: "passthrough/report@1",
    en: &[
        "Write a short report on this image.",
        "Please report the findings of this image.",
        "Give a brief report of this image.",
        "What would a report on this image say?",
        "Please provide a concise report for this image.",
        "Draft a short findings report for this image.",
    ],
    zh: &[
        "请为该图像写一份简短的报告。",
        "请报告该图像的所见。",
        "请给出这幅图像的简要报告。",
        "这幅图像的报告应如何书写？",
        "请为该图像提供一份简明的报告。",
        "请为这幅图像撰写一份简短的影像所见。",
    ],
};

/// What conversations of text taken over from people carry as their generator.
const SOURCE: &str = "source";

/// Adds the questions and the report of a record.
pub(super) fn write(maker: &mut Maker) {
    let record = maker.record;
    for question in &record.questions {
        if maker.options.languages.contains(&question.language) {
            maker.push(asked(question), question.language);
        }
    }
    if let Some(report) = record.report.as_deref().map(str::trim).filter(|report| !report.is_empty()) {
        let language = language_of(report);
        if maker.options.languages.contains(&language) {
            let mut dice = Dice::new(maker.options.seed, &record.id, "report", 0);
            let draft = reported(maker, report, language, &mut dice);
            maker.push(draft, language);
        }
    }
}

/// A question of people, unchanged, but for a closed answer, which is written as every other yes/no answer.
fn asked(question: &QuestionAnswer) -> Draft {
    let closed = closed_answer(&question.answer, question.language);
    let answer = match closed {
        Some(answer) => wording::yes_no(answer, question.language).to_owned(),
        None => without_marker(&question.answer),
    };
    Draft {
        form: Form::Instruction,
        quiz: Some(match closed {
            Some(answer) => Quiz::YesNo { answer },
            None => Quiz::Open { answers: vec![answer.clone()] },
        }),
        exchanges: vec![Exchange { question: without_marker(&question.question), answer }],
        attribute: Some(question.kind.clone().unwrap_or_else(|| "question".to_owned())),
        task: Task::QuestionAnswering,
        boxes: Vec::new(),
        generator: SOURCE.to_owned(),
    }
}

fn reported(maker: &Maker, report: &str, language: Language, dice: &mut Dice) -> Draft {
    let question = REPORT_QUESTION.pick(language, dice);
    Draft {
        form: Form::ImageCaption,
        exchanges: vec![Exchange { question: question.fill(&[]), answer: without_marker(report) }],
        quiz: None,
        attribute: Some("report".to_owned()),
        task: maker.main_task(),
        boxes: Vec::new(),
        generator: SOURCE.to_owned(),
    }
}

/// Whether the answer is a plain yes or no.
fn closed_answer(answer: &str, language: Language) -> Option<bool> {
    let plain = answer.trim().trim_end_matches(['.', '。']).to_lowercase();
    match (plain.as_str(), language) {
        ("yes", Language::En) | ("是" | "有", Language::Zh) => Some(true),
        ("no", Language::En) | ("否" | "不是" | "没有" | "无", Language::Zh) => Some(false),
        _ => None,
    }
}

/// The text without `<image>`: the marker stands for a picture, and a source's text must not ask for another one.
fn without_marker(text: &str) -> String {
    text.replace(IMAGE_MARKER, "").trim().to_owned()
}

/// Chinese when the text has any Han character, else English.
fn language_of(text: &str) -> Language {
    let han = |letter: char| ('\u{4e00}'..='\u{9fff}').contains(&letter);
    if text.chars().any(han) { Language::Zh } else { Language::En }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_answers_are_told_from_open_ones() {
        assert_eq!(closed_answer("Yes ", Language::En), Some(true));
        assert_eq!(closed_answer("no.", Language::En), Some(false));
        assert_eq!(closed_answer("yes, on the left", Language::En), None);
        assert_eq!(closed_answer("否", Language::Zh), Some(false));
    }
}
