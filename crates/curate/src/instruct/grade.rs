//! Severities on ordered scales: which step, and whether a step is reached.

use super::classify::{self, Subject};
use super::dice::Dice;
use super::phrase::Phrases;
use super::{Draft, Known, Maker};
use gmai_schema::conversation::short_answer_instruction;
use gmai_schema::{Attribute, Language};

const AT_LEAST: Phrases = Phrases {
    id: "grade/at_least@1",
    en: &[
        "On the scale from {lowest} to {highest}, does the {attribute} in this image reach at least {value}?",
        "Is the {attribute} in this image {value} or higher on the scale from {lowest} to {highest}?",
        "With {lowest} as the lowest and {highest} as the highest grade, is the {attribute} here at least {value}?",
        "Is the {attribute} shown in this image at least {value}, graded from {lowest} to {highest}?",
        "Graded from {lowest} up to {highest}: is the {attribute} of this image {value} or above?",
        "Would the {attribute} in this image be graded {value} or above, from {lowest} to {highest}?",
    ],
    zh: &[
        "按从{lowest}到{highest}的分级，该图像的{attribute}是否达到{value}或以上？",
        "在从{lowest}到{highest}的等级中，这幅图像的{attribute}是否为{value}或更高？",
        "以{lowest}为最低、{highest}为最高，此处的{attribute}是否至少为{value}？",
        "按{lowest}至{highest}分级，该图像的{attribute}是否不低于{value}？",
        "从{lowest}到{highest}分级，该图像的{attribute}是{value}或以上吗？",
        "该图像的{attribute}应评为{value}或以上吗（从{lowest}到{highest}）？",
    ],
};

const STEP: Phrases = Phrases {
    id: "grade/step@1",
    en: &[
        "The grades of {attribute} are, from lowest to highest: {scale}. Which one does this image show?",
        "Grade the {attribute} in this image on this scale: {scale}.",
        "From lowest to highest the {attribute} is graded {scale}. What is the grade here?",
        "Choose the {attribute} of this image from these grades, lowest first: {scale}.",
        "Which step of the scale {scale} fits the {attribute} in this image?",
        "How would the {attribute} of this image be graded? The grades are {scale}, lowest first.",
    ],
    zh: &[
        "{attribute}的分级由低到高为：{scale}。该图像属于哪一级？",
        "请按以下等级对该图像的{attribute}进行分级：{scale}。",
        "{attribute}由低到高分为{scale}。此处为哪一级？",
        "请从以下由低到高的等级中选出该图像的{attribute}：{scale}。",
        "等级{scale}中，哪一级符合该图像的{attribute}？",
        "该图像的{attribute}应如何分级？等级由低到高为{scale}。",
    ],
};

/// With fewer steps the question is the yes/no question on the value itself.
const MIN_LEVELS: usize = 3;

/// Adds the questions on the severities of a record.
pub(super) fn write(maker: &mut Maker) {
    let copies = maker.options.per_record.grade_questions;
    let facts = maker.facts;
    for attribute in facts.attributes.iter().filter(|attribute| attribute.ordinal) {
        maker.slot(&format!("grade/at_least/{}", attribute.key), copies, |maker, language, dice, _| {
            at_least(maker, attribute, language, dice)
        });
        maker.slot(&format!("grade/step/{}", attribute.key), copies, |maker, language, dice, _| {
            step(maker, attribute, language, dice)
        });
    }
}

/// The step of a record on an attribute's scale, when the scale has enough of them.
fn level(maker: &Maker, attribute: &Attribute) -> Option<usize> {
    let Some(Known::Single(value)) = maker.known(attribute) else { return None };
    let level = attribute.values.iter().position(|known| known == value)?;
    (attribute.values.len() >= MIN_LEVELS).then_some(level)
}

fn at_least(maker: &Maker, attribute: &Attribute, language: Language, dice: &mut Dice) -> Option<Draft> {
    let level = level(maker, attribute)?;
    let (values, answer) = (&attribute.values, dice.chance(0.5));
    // The lowest step is always reached, so it is never asked for.
    let steps: Vec<usize> = if answer { (1..=level).collect() } else { (level + 1..values.len()).collect() };
    let asked = *dice.choose(&steps)?;
    let facts = [
        ("attribute", attribute.name.text(language)?),
        ("value", values[asked].text(language)?),
        ("lowest", values.first()?.text(language)?),
        ("highest", values.last()?.text(language)?),
    ];
    Some(classify::yes_no(subject(attribute), &AT_LEAST.pick(language, dice), &facts, answer, language))
}

fn step(maker: &Maker, attribute: &Attribute, language: Language, dice: &mut Dice) -> Option<Draft> {
    let level = level(maker, attribute)?;
    let names: Vec<&str> = attribute.values.iter().map(|value| value.text(language)).collect::<Option<_>>()?;
    let scale = names.join(if language == Language::Zh { "、" } else { ", " });
    let facts = [("attribute", attribute.name.text(language)?), ("scale", scale.as_str())];
    let answers = vec![names[level].to_owned()];
    let question = STEP.pick(language, dice);
    Some(classify::open(subject(attribute), &question, &facts, answers, short_answer_instruction(language)))
}

fn subject(attribute: &Attribute) -> Subject {
    Subject { attribute: attribute.key.clone(), task: attribute.task }
}
