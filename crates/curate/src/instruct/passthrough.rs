//! Text that people wrote: questions with answers, and reports.

use super::dice::Dice;
use super::phrase::Phrases;
use super::{Draft, Exchange, Maker, wording};
use gmai_schema::conversation::IMAGE_MARKER;
use gmai_schema::{Dialogue, Form, Language, QuestionAnswer, Quiz, Role, Task};

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

const REPORT_QUESTION_SEVERAL: Phrases = Phrases {
    id: "passthrough/report_several@1",
    en: &[
        "Write a short report on these images.",
        "Please report the findings of these images.",
        "Give a brief report of these images together.",
        "What would a report on these images say?",
        "Please provide a concise report for these images.",
        "Draft a short findings report for these images.",
    ],
    zh: &[
        "请为这些图像写一份简短的报告。",
        "请报告这些图像的所见。",
        "请给出这些图像的简要报告。",
        "这些图像的报告应如何书写？",
        "请为这些图像提供一份简明的报告。",
        "请为这些图像撰写一份简短的影像所见。",
    ],
};

/// What conversations of text taken over from people carry as their generator.
pub(super) const SOURCE: &str = "source";

/// Adds the questions and the report of a record.
pub(super) fn write(maker: &mut Maker) {
    let record = maker.record;
    for question in &record.questions {
        if maker.options.languages.contains(&question.language) {
            maker.push(asked(question), question.language);
        }
    }
    for dialogue in &record.dialogues {
        if maker.options.languages.contains(&dialogue.language) {
            let turns = dialogue.turns.clone();
            maker.push_turns(turns, spoken(dialogue), dialogue.language);
        }
    }
    let report = record.report.as_deref().map(str::trim).filter(|report| !report.is_empty());
    if let Some(report) = report.filter(|_| record.pixels.num_pictures() > 0) {
        let language = language_of(report);
        if let Some(language) = language.filter(|language| maker.options.languages.contains(language)) {
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

/// What a conversation of others is filed under; its turns are taken over unchanged.
fn spoken(dialogue: &Dialogue) -> Draft {
    let exchanges = dialogue.turns.iter().filter(|turn| turn.from == Role::Human).count();
    Draft {
        form: if exchanges > 1 { Form::Conversation } else { Form::Instruction },
        exchanges: Vec::new(),
        quiz: None,
        attribute: Some(dialogue.kind.clone().unwrap_or_else(|| "conversation".to_owned())),
        task: Task::QuestionAnswering,
        boxes: Vec::new(),
        generator: SOURCE.to_owned(),
    }
}

fn reported(maker: &Maker, report: &str, language: Language, dice: &mut Dice) -> Draft {
    let table = if maker.record.pixels.num_pictures() == 1 { &REPORT_QUESTION } else { &REPORT_QUESTION_SEVERAL };
    let question = table.pick(language, dice);
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
pub(super) fn without_marker(text: &str) -> String {
    text.replace(IMAGE_MARKER, "").trim().to_owned()
}

/// Chinese when the text has any Han character and no kana; English unless it has more small words of another language (Spanish, French,
/// Portuguese, German), of which nothing is written.
pub(crate) fn language_of(text: &str) -> Option<Language> {
    const ENGLISH: [&str; 16] =
        ["the", "of", "and", "with", "is", "are", "no", "in", "to", "was", "there", "for", "or", "this", "on", "at"];
    const OTHER: [&str; 30] = [
        "el", "la", "los", "las", "de", "del", "que", "con", "sin", "una", "por", "para", "le", "les", "des", "du",
        "et", "avec", "une", "est", "der", "die", "das", "und", "mit", "ohne", "kein", "da", "com", "sem",
    ];
    let han = |letter: char| ('\u{4e00}'..='\u{9fff}').contains(&letter);
    let kana = |letter: char| ('\u{3040}'..='\u{30ff}').contains(&letter);
    if text.chars().any(kana) {
        return None; // Japanese: no template asks in it.
    }
    if text.chars().any(han) {
        return Some(Language::Zh);
    }
    let (mut english, mut other) = (0, 0);
    for word in text.split(|letter: char| !letter.is_alphabetic()) {
        let word = word.to_lowercase();
        english += usize::from(ENGLISH.contains(&word.as_str()));
        other += usize::from(OTHER.contains(&word.as_str()));
    }
    (other <= english || other < 2).then_some(Language::En)
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

    #[test]
    fn text_in_a_third_language_is_told_apart() {
        assert_eq!(language_of("No focal consolidation. The heart is normal."), Some(Language::En));
        assert_eq!(language_of("双肺清晰。"), Some(Language::Zh));
        assert_eq!(language_of("両肺は清明です。"), None);
        assert_eq!(language_of("Stable chest."), Some(Language::En));
        assert_eq!(language_of("Paciente con dolor en la pierna, sin fiebre por la noche."), None);
        assert_eq!(language_of("Kein Nachweis einer Fraktur mit der Methode und ohne Befund."), None);
    }
}
