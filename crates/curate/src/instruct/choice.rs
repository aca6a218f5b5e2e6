//! Questions with lettered options, answered by the letter alone.
//!
//! They ask with the same sentences as the open questions, so that the same knowledge can be measured with and without options.

use super::classify::{ATTRIBUTE_OPEN, MODALITY_OPEN};
use super::dice::Dice;
use super::{Draft, Exchange, Known, Maker, wording};
use gmai_schema::conversation::letter_instruction;
use gmai_schema::{Attribute, BoundingBox, Form, Language, Modality, Quiz, Task, Term};

/// All values are offered up to this many ...
const MAX_ALL_OPTIONS: usize = 5;
/// ... and this many when there are more.
const DRAWN_OPTIONS: usize = 4;

/// Option texts in random order, and which is right.
pub(super) struct Choice {
    options: Vec<String>,
    answer: usize,
}

impl Choice {
    /// Draws options among `terms`: all of them when there are at most five, else the right one and three others.
    ///
    /// Every option set can stem from each of its members, so that it does not tell which is right. `None` when there are fewer than
    /// two, `right` is not among them, or a name is missing or doubled in this language.
    pub(super) fn among(terms: &[Term], right: &Term, language: Language, dice: &mut Dice) -> Option<Choice> {
        if terms.len() < 2 || !terms.contains(right) {
            return None;
        }
        let mut others: Vec<&Term> = terms.iter().filter(|term| *term != right).collect();
        if terms.len() > MAX_ALL_OPTIONS {
            others.retain(|term| term.text(language).is_some());
            dice.shuffle(&mut others);
            others.truncate(DRAWN_OPTIONS - 1);
        }
        let mut options = vec![right.text(language)?.to_owned()];
        for term in others {
            let text = term.text(language)?;
            if options.iter().any(|option| option.eq_ignore_ascii_case(text)) {
                return None;
            }
            options.push(text.to_owned());
        }
        if options.len() < 2 {
            return None;
        }
        Some(Choice::shuffled(options, dice))
    }

    /// Draws four modalities of which no two could rightly name the same image.
    fn of_modality(right: Modality, pool: &[Modality], language: Language, dice: &mut Dice) -> Choice {
        let mut first: Vec<Modality> = pool.to_vec();
        dice.shuffle(&mut first);
        let mut reserve: Vec<Modality> = Modality::ALL.to_vec();
        dice.shuffle(&mut reserve);
        let mut chosen = vec![right];
        for modality in first.into_iter().chain(reserve) {
            if chosen.len() < DRAWN_OPTIONS && !chosen.iter().any(|taken| wording::confusable(*taken, modality)) {
                chosen.push(modality);
            }
        }
        Choice::shuffled(chosen.iter().map(|modality| modality.name(language).to_owned()).collect(), dice)
    }

    /// Shuffles options of which the first is right.
    fn shuffled(options: Vec<String>, dice: &mut Dice) -> Choice {
        let mut order: Vec<usize> = (0..options.len()).collect();
        dice.shuffle(&mut order);
        let answer = order.iter().position(|index| *index == 0).expect("a permutation holds 0");
        Choice { options: order.iter().map(|index| options[*index].clone()).collect(), answer }
    }
}

/// What a question with options asks, without the options.
pub(super) struct Stem {
    pub text: String,
    pub generator: String,
    pub attribute: String,
    pub task: Task,
    pub boxes: Vec<BoundingBox>,
}

/// Letters of options, A first.
const LETTERS: [&str; 5] = ["A", "B", "C", "D", "E"];

/// The question with its options, one on each line, and the letter as its answer.
pub(super) fn draft(choice: Choice, language: Language, stem: Stem) -> Draft {
    let mut question = stem.text;
    for (letter, option) in LETTERS.iter().zip(&choice.options) {
        question.push_str(&format!("\n{letter}. {option}"));
    }
    question.push('\n');
    question.push_str(letter_instruction(language));
    Draft {
        form: Form::MultipleChoice,
        exchanges: vec![Exchange { question, answer: LETTERS[choice.answer].to_owned() }],
        quiz: Some(Quiz::MultipleChoice { options: choice.options, answer: choice.answer }),
        attribute: Some(stem.attribute),
        task: stem.task,
        boxes: stem.boxes,
        generator: stem.generator,
    }
}

/// Adds the questions with options on modality and attributes.
pub(super) fn write(maker: &mut Maker) {
    let copies = maker.options.per_record.choice_questions;
    maker.slot("choice/modality", copies, |maker, language, dice, _| modality(maker, language, dice));
    let facts = maker.facts;
    for attribute in &facts.attributes {
        maker.slot(&format!("choice/attribute/{}", attribute.key), copies, |maker, language, dice, _| {
            single(maker, attribute, language, dice)
        });
    }
}

fn modality(maker: &Maker, language: Language, dice: &mut Dice) -> Option<Draft> {
    let right = maker.record.modality?;
    let choice = Choice::of_modality(right, &maker.options.modality_options, language, dice);
    let question = MODALITY_OPEN.pick(language, dice);
    let stem = Stem {
        text: question.fill(&[]),
        generator: question.generator(),
        attribute: "modality".to_owned(),
        task: Task::ModalityRecognition,
        boxes: Vec::new(),
    };
    Some(draft(choice, language, stem))
}

fn single(maker: &Maker, attribute: &Attribute, language: Language, dice: &mut Dice) -> Option<Draft> {
    let Some(Known::Single(value)) = maker.known(attribute) else { return None };
    let choice = Choice::among(&attribute.values, value, language, dice)?;
    let question = ATTRIBUTE_OPEN.pick(language, dice);
    let stem = Stem {
        text: question.fill(&[("attribute", attribute.name.text(language)?)]),
        generator: question.generator(),
        attribute: attribute.key.clone(),
        task: attribute.task,
        boxes: Vec::new(),
    };
    Some(draft(choice, language, stem))
}
