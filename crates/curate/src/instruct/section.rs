//! Sections of reports: written for a picture, concluded from the findings, read out of the report; labels of reports without picture.
//!
//! The language is the report's own: people's text is never translated.

use super::classify::{self, Subject};
use super::dice::Dice;
use super::passthrough::{SOURCE, language_of, without_marker};
use super::phrase::Phrases;
use super::{Draft, Exchange, Maker};
use gmai_schema::{Attribute, Form, Language, Section, SectionKind, Task, Term};

const WRITE: Phrases = Phrases {
    id: "section/write@1",
    en: &[
        "Write the section \"{section}\" of a report on this examination.",
        "What would the section \"{section}\" of a report on this say?",
        "Please write \"{section}\" for a report on what is shown.",
        "Draft the part \"{section}\" of the report.",
        "Give the text of \"{section}\" for this examination's report.",
        "Compose \"{section}\" as it would stand in the report.",
    ],
    zh: &[
        "请为本次检查的报告书写“{section}”部分。",
        "该检查报告的“{section}”应如何书写？",
        "请根据所示内容书写报告的“{section}”。",
        "请起草报告中的“{section}”部分。",
        "请给出本次检查报告中“{section}”的内容。",
        "请撰写报告的“{section}”。",
    ],
};

const CONCLUDE: Phrases = Phrases {
    id: "section/conclude@1",
    en: &[
        "These are the findings of a report:\n{findings}\n\nWrite the impression.",
        "Findings: {findings}\n\nWhat is the impression?",
        "Summarize these findings of a report as its impression.\n{findings}",
        "A report has the following findings.\n{findings}\n\nWhat impression would conclude it?",
        "From these findings, write the impression of the report.\n{findings}",
        "{findings}\n\nWrite the impression that follows these findings.",
    ],
    zh: &[
        "以下是一份报告的检查所见：\n{findings}\n\n请书写诊断意见。",
        "检查所见：{findings}\n\n诊断意见是什么？",
        "请将以下检查所见总结为诊断意见。\n{findings}",
        "一份报告的检查所见如下。\n{findings}\n\n相应的诊断意见是什么？",
        "请根据以下检查所见书写报告的诊断意见。\n{findings}",
        "{findings}\n\n请写出与上述检查所见相应的诊断意见。",
    ],
};

const READ: Phrases = Phrases {
    id: "section/read@1",
    en: &[
        "{report}\n\nWhat does the section \"{section}\" of this report say?",
        "This is a report:\n{report}\n\nGive the text of its section \"{section}\".",
        "Read this report and state what stands under \"{section}\".\n{report}",
        "{report}\n\nWhat is written under \"{section}\"?",
        "Extract \"{section}\" from the following report.\n{report}",
        "{report}\n\nRepeat the part \"{section}\" of this report.",
    ],
    zh: &[
        "{report}\n\n该报告的“{section}”部分写了什么？",
        "以下是一份报告：\n{report}\n\n请给出其中“{section}”的内容。",
        "请阅读报告并说明“{section}”的内容。\n{report}",
        "{report}\n\n“{section}”中写了什么？",
        "请从以下报告中摘出“{section}”。\n{report}",
        "{report}\n\n请重述该报告的“{section}”部分。",
    ],
};

const LABEL: Phrases = Phrases {
    id: "section/label@1",
    en: &[
        "{report}\n\nAccording to this report, is there {value}?",
        "Read this report: {report}\n\nDoes it state that {value} is present?",
        "{report}\n\nIs {value} present according to the report?",
        "Report: {report}\n\nDoes the patient have {value} according to it?",
        "From the following report, tell whether {value} is present.\n{report}\n\nIs it?",
        "{report}\n\nWith regard to {attribute}, does this report affirm {value}?",
    ],
    zh: &[
        "{report}\n\n根据该报告，是否存在{value}？",
        "请阅读报告：{report}\n\n报告是否指出存在{value}？",
        "{report}\n\n按报告所述，有{value}吗？",
        "报告：{report}\n\n据此患者是否有{value}？",
        "请根据以下报告判断是否存在{value}。\n{report}\n\n存在吗？",
        "{report}\n\n就{attribute}而言，该报告是否肯定{value}？",
    ],
};

/// Longer texts are not put into a question: they would fill the model's context.
const MAX_LETTERS: usize = 4000;

/// Adds the texts about the sections of a record's report.
pub(super) fn write(maker: &mut Maker) {
    let record = maker.record;
    let Some(language) = record.report.as_deref().and_then(language_of) else { return };
    if !maker.options.languages.contains(&language) {
        return;
    }
    let has_picture = record.pixels.num_pictures() > 0;
    for copy in 0..maker.options.per_record.section_questions {
        let dice = |slot: &str| Dice::new(maker.options.seed, &record.id, slot, copy);
        let mut drafts = vec![conclude(maker, language, &mut dice("section/conclude"))];
        if has_picture {
            drafts.push(written(maker, language, &mut dice("section/write")));
        } else {
            drafts.push(read(maker, language, &mut dice("section/read")));
            let facts = maker.facts;
            for attribute in &facts.attributes {
                let slot = format!("section/label/{}", attribute.key);
                drafts.push(label(maker, attribute, language, &mut dice(&slot)));
            }
        }
        drafts.into_iter().flatten().for_each(|draft| maker.push(draft, language));
    }
}

fn of_kind(sections: &[Section], kind: SectionKind) -> Option<&Section> {
    sections.iter().find(|section| section.kind == Some(kind))
}

fn is_short(text: &str) -> bool {
    text.chars().count() <= MAX_LETTERS
}

/// Findings and impression are what a picture shows; history and comparison are not.
fn written(maker: &Maker, language: Language, dice: &mut Dice) -> Option<Draft> {
    let sections = &maker.record.sections;
    let shown: Vec<&Section> = [SectionKind::Findings, SectionKind::Impression]
        .into_iter()
        .filter_map(|kind| of_kind(sections, kind))
        .collect();
    let section = *dice.choose(&shown)?;
    let title = section.kind?.name(language);
    let question = WRITE.pick(language, dice);
    let exchange = Exchange { question: question.fill(&[("section", title)]), answer: without_marker(&section.text) };
    Some(draft(maker, Form::ImageCaption, exchange))
}

fn conclude(maker: &Maker, language: Language, dice: &mut Dice) -> Option<Draft> {
    let sections = &maker.record.sections;
    let (findings, impression) =
        (of_kind(sections, SectionKind::Findings)?, of_kind(sections, SectionKind::Impression)?);
    if !is_short(&findings.text) {
        return None;
    }
    let question = CONCLUDE.pick(language, dice).fill(&[("findings", &without_marker(&findings.text))]);
    Some(draft(maker, Form::Instruction, Exchange { question, answer: without_marker(&impression.text) }))
}

fn read(maker: &Maker, language: Language, dice: &mut Dice) -> Option<Draft> {
    let report = maker.record.report.as_deref().filter(|report| is_short(report))?;
    let titled = |section: &&Section| section.kind.is_some() && !section.title.is_empty();
    let once =
        |section: &&Section| maker.record.sections.iter().filter(|other| other.title == section.title).count() == 1;
    let titled: Vec<&Section> = maker.record.sections.iter().filter(titled).collect();
    if titled.len() < 2 {
        return None; // The section would be the whole report.
    }
    let single: Vec<&Section> = titled.into_iter().filter(once).collect();
    let section = *dice.choose(&single)?;
    let facts = [("report", without_marker(report)), ("section", section.title.clone())];
    let facts = facts.each_ref().map(|(key, value)| (*key, value.as_str()));
    let question = READ.pick(language, dice).fill(&facts);
    Some(draft(maker, Form::Instruction, Exchange { question, answer: without_marker(&section.text) }))
}

/// Whether a report without picture affirms a value: only values of which its labels say so are asked for.
fn label(maker: &Maker, attribute: &Attribute, language: Language, dice: &mut Dice) -> Option<Draft> {
    let report = maker.record.report.as_deref().filter(|report| is_short(report))?;
    let present = maker.known(attribute).map_or(Vec::new(), |known| known.values());
    let absent: Vec<&Term> = maker.absent(attribute, &present);
    let answer = dice.chance(0.5);
    let value = dice.choose(if answer { &present } else { &absent })?;
    let report = without_marker(report);
    let facts =
        [("report", report.as_str()), ("attribute", attribute.name.text(language)?), ("value", value.text(language)?)];
    let subject = Subject { attribute: attribute.key.clone(), task: attribute.task };
    Some(classify::yes_no(subject, &LABEL.pick(language, dice), &facts, answer, language))
}

/// The answer is people's own text, as in every conversation of generator `source`.
fn draft(maker: &Maker, form: Form, exchange: Exchange) -> Draft {
    let has_picture = maker.record.pixels.num_pictures() > 0;
    Draft {
        form,
        exchanges: vec![exchange],
        quiz: None,
        attribute: Some("report".to_owned()),
        task: if has_picture { maker.main_task() } else { Task::QuestionAnswering },
        boxes: Vec::new(),
        generator: SOURCE.to_owned(),
    }
}
