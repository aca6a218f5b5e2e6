//! Annotation-guided text: from what an annotation says about an image to questions and answers, in English and Chinese.
//!
//! ```text
//! caption.rs      descriptions of the whole image                      image_caption
//! locate.rs       boxes: described, named, found, chosen               region_caption, perception, multiple_choice
//! classify.rs     modality and attributes: open and yes/no questions   instruction
//! choice.rs       modality and attributes: lettered options            multiple_choice
//! count.rs        how many, and whether at all                         instruction
//! point.rs        points: named and found                              perception
//! grade.rs        steps of severity scales                             instruction
//! measure.rs      what was measured                                    instruction
//! section.rs      sections of reports                                  image_caption, instruction
//! dialogue.rs     full-sentence answers, alone and in several turns    instruction, conversation
//! passthrough.rs  questions, conversations and reports written by people
//! phrase.rs, wording.rs, dice.rs   sentence tables, words for facts, seeded choice
//! ```
//! Nothing is stated that the record or its source's facts do not say: every builder returns `None` where a fact or a name in the
//! wanted language is missing. Each text draws its own random numbers from (seed, record id, slot), so that more texts of one kind
//! leave all others as they were, and the number of workers does not matter.

mod caption;
mod choice;
mod classify;
mod count;
mod dialogue;
pub(crate) mod dice;
mod grade;
mod locate;
mod measure;
mod passthrough;
mod phrase;
mod point;
mod section;
mod wording;

#[cfg(test)]
mod fact_tests;
#[cfg(test)]
mod tests;

pub(crate) use passthrough::language_of;

use dice::Dice;
use gmai_schema::{
    Attribute, BoundingBox, Conversation, Form, Language, Modality, Quiz, Record, SourceFacts, Split, Task, Term, Turn,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How many texts are written for one record, at most: a record yields those that its annotation supports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PerRecord {
    /// Descriptions of the whole image; default 1. A report written by people comes on top.
    pub image_captions: usize,
    /// Descriptions of one boxed part; default 1.
    pub region_captions: usize,
    /// Boxes to be named and names to be boxed, by turns; default 2.
    pub perceptions: usize,
    /// Questions on modality and on each attribute, answered by the bare name; default 1 each.
    pub open_questions: usize,
    /// Yes/no questions on modality and on each attribute; default 1 each, with either answer equally likely.
    pub yes_no_questions: usize,
    /// Yes/no questions whether something is marked in the image, where all instances are marked; default 1.
    pub presence_questions: usize,
    /// Questions how many of something there are, where all instances are marked; default 1.
    pub count_questions: usize,
    /// Single questions answered by a full sentence; default 1.
    pub sentence_answers: usize,
    /// Conversations of two to four questions; default 1.
    pub conversations: usize,
    /// Questions with lettered options on the modality and on each attribute with one value; default 1 each.
    pub choice_questions: usize,
    /// Questions with lettered options that ask what a box holds; default 1.
    pub region_choices: usize,
    /// Points to be named and names to be pointed at, by turns; default 2.
    pub point_questions: usize,
    /// Questions on measured values; default 2.
    pub measurement_questions: usize,
    /// Questions on each severity grade, of both kinds; default 1 each.
    pub grade_questions: usize,
    /// Texts of each kind about the sections of a report; default 1.
    pub section_questions: usize,
}

impl Default for PerRecord {
    fn default() -> PerRecord {
        PerRecord {
            image_captions: 1,
            region_captions: 1,
            perceptions: 2,
            open_questions: 1,
            yes_no_questions: 1,
            presence_questions: 1,
            count_questions: 1,
            sentence_answers: 1,
            conversations: 1,
            choice_questions: 1,
            region_choices: 1,
            point_questions: 2,
            measurement_questions: 2,
            grade_questions: 1,
            section_questions: 1,
        }
    }
}

/// How texts are written: `[instruct]` of a curate config.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Seed of every choice. The same seed and record give the same texts.
    pub seed: u64,
    /// Share of texts in Chinese when both languages are written, 0 to 1; default 0.3 as in GMAI-VL-5.5M (paper, 3.1).
    /// Texts whose terms have no Chinese name stay English.
    pub chinese_share: f32,
    /// Languages that may be written; default both. Texts of people in another language are left out.
    pub languages: Vec<Language>,
    /// How many texts of each kind.
    pub per_record: PerRecord,
    /// Modalities to draw wrong options from: best those that occur in the dataset, so that an option which is never right does not
    /// give itself away. Empty (the default) means all 13.
    pub modality_options: Vec<Modality>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            seed: 0,
            chinese_share: 0.3,
            languages: vec![Language::En, Language::Zh],
            per_record: PerRecord::default(),
            modality_options: Vec::new(),
        }
    }
}

/// Writes every conversation that `record` supports, in a fixed order.
///
/// All carry [`Split::Train`]: the caller, who knows the patients of the whole dataset, decides the split.
pub fn conversations(record: &Record, facts: &SourceFacts, options: &Options) -> Vec<Conversation> {
    let mut maker = Maker { record, facts, options, written: Vec::new() };
    // Sentences about "this image" need exactly one.
    if record.pixels.num_pictures() == 1 {
        caption::write(&mut maker);
        locate::write(&mut maker);
        point::write(&mut maker);
        classify::write(&mut maker);
        choice::write(&mut maker);
        count::write(&mut maker);
        grade::write(&mut maker);
        dialogue::write(&mut maker);
    }
    measure::write(&mut maker);
    section::write(&mut maker);
    passthrough::write(&mut maker);
    maker.written
}

/// The hash of record id, form, attribute, language and text that names a conversation.
pub(crate) fn conversation_id(
    record_id: &str,
    form: Form,
    attribute: Option<&str>,
    language: Language,
    turns: &[Turn],
) -> String {
    let mut hash = Sha256::new();
    let mut feed = |part: &str| {
        hash.update((part.len() as u64).to_le_bytes()); // Lengths keep neighbouring parts apart.
        hash.update(part.as_bytes());
    };
    feed(record_id);
    feed(form.key());
    feed(attribute.unwrap_or_default());
    feed(language.key());
    for turn in turns {
        feed(&turn.value);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The task under which a description of a whole record is filed: that of its first label, else of its regions, else modality.
pub(crate) fn main_task(record: &Record, facts: &SourceFacts) -> Task {
    let first = record.labels.first().map(|label| &label.attribute);
    let labelled = first.and_then(|key| facts.attributes.iter().find(|attribute| attribute.key == *key));
    match labelled {
        Some(attribute) => attribute.task,
        None if !record.regions.is_empty() || !record.points.is_empty() => facts.region_task,
        None if record.modality.is_some() => Task::ModalityRecognition,
        None => Task::QuestionAnswering,
    }
}

/// The varying part of a conversation, before record and source are added.
struct Draft {
    form: Form,
    /// Question and answer of each turn, without the image marker.
    exchanges: Vec<Exchange>,
    quiz: Option<Quiz>,
    attribute: Option<String>,
    task: Task,
    boxes: Vec<BoundingBox>,
    generator: String,
}

/// One question with its answer.
struct Exchange {
    question: String,
    answer: String,
}

/// What the annotation says about one attribute of a record.
enum Known<'a> {
    /// The value of an attribute that has one value per image.
    Single(&'a Term),
    /// The values that are present, at least one, in the attribute's order; all others are absent.
    Several(Vec<&'a Term>),
}

impl<'a> Known<'a> {
    /// The values that are present.
    fn values(self) -> Vec<&'a Term> {
        match self {
            Known::Single(value) => vec![value],
            Known::Several(values) => values,
        }
    }
}

/// Collects the conversations of one record.
struct Maker<'a> {
    record: &'a Record,
    facts: &'a SourceFacts,
    options: &'a Options,
    written: Vec<Conversation>,
}

impl<'a> Maker<'a> {
    /// Writes up to `copies` texts with `build`, each with its own random numbers; a language that `build` cannot serve gives way to the next.
    fn slot(
        &mut self,
        name: &str,
        copies: usize,
        build: impl Fn(&Maker<'a>, Language, &mut Dice, usize) -> Option<Draft>,
    ) {
        for copy in 0..copies {
            let mut dice = Dice::new(self.options.seed, &self.record.id, name, copy);
            for language in self.languages(&mut dice) {
                // A fresh copy per language: the English text is the same whether or not Chinese was tried first.
                if let Some(draft) = build(self, language, &mut dice.clone(), copy) {
                    self.push(draft, language);
                    break;
                }
            }
        }
    }

    /// The languages to try, the drawn one first. Templates speak English and Chinese: Japanese never comes up.
    fn languages(&self, dice: &mut Dice) -> Vec<Language> {
        let allowed = |language: Language| self.options.languages.contains(&language);
        let chinese_first = dice.chance(self.options.chinese_share);
        let order = if chinese_first { [Language::Zh, Language::En] } else { [Language::En, Language::Zh] };
        let mut languages: Vec<Language> = order.into_iter().filter(|language| allowed(*language)).collect();
        if !chinese_first && allowed(Language::En) {
            languages.truncate(1); // Every English text can be written, so Chinese never stands in for it.
        }
        languages
    }

    /// Completes a draft and keeps it, unless the same text has been written for this record already.
    fn push(&mut self, mut draft: Draft, language: Language) {
        let markers = "<image>\n".repeat(self.record.pixels.num_pictures());
        let mut turns = Vec::with_capacity(draft.exchanges.len() * 2);
        for (index, exchange) in std::mem::take(&mut draft.exchanges).into_iter().enumerate() {
            let marker = if index == 0 { markers.as_str() } else { "" };
            turns.push(Turn::human(format!("{marker}{}", exchange.question)));
            turns.push(Turn::assistant(exchange.answer));
        }
        self.push_turns(turns, draft, language);
    }

    /// Keeps turns with their markers under what a draft says of them, unless the same text has been written already.
    fn push_turns(&mut self, turns: Vec<Turn>, draft: Draft, language: Language) {
        let id = conversation_id(&self.record.id, draft.form, draft.attribute.as_deref(), language, &turns);
        if self.written.iter().any(|conversation| conversation.id == id) {
            return;
        }
        self.written.push(Conversation {
            id,
            record: self.record.id.clone(),
            turns,
            form: draft.form,
            quiz: draft.quiz,
            attribute: draft.attribute,
            source: self.facts.name.clone(),
            task: draft.task,
            modality: self.record.modality,
            department: self.record.department,
            labels: self.record.labels.clone(),
            boxes: draft.boxes,
            language,
            patient: self.record.patient.clone(),
            split: Split::Train,
            generator: draft.generator,
            provenance: self.record.provenance.clone(),
        });
    }

    /// What the record says about `attribute`.
    ///
    /// `None` when it gives no value, as sources do where an image was not judged (an image judged to be without any value of a
    /// multi-label attribute has a value that says so, e.g. `no finding`), or several for an attribute that has one.
    fn known(&self, attribute: &Attribute) -> Option<Known<'a>> {
        let record = self.record;
        let given: Vec<&Term> =
            record.labels.iter().filter(|label| label.attribute == attribute.key).map(|label| &label.value).collect();
        if !attribute.multiple {
            return if let [value] = given[..] { Some(Known::Single(value)) } else { None };
        }
        let mut present: Vec<&Term> = Vec::new();
        for value in &attribute.values {
            if let Some(found) = given.iter().find(|term| **term == value) {
                present.push(found);
            }
        }
        if present.is_empty() { None } else { Some(Known::Several(present)) }
    }

    /// The task under which a description of the whole record is filed.
    fn main_task(&self) -> Task {
        main_task(self.record, self.facts)
    }

    /// The values of `attribute` that the record is known not to have, given those it has.
    fn absent<'b>(&self, attribute: &'b Attribute, present: &[&Term]) -> Vec<&'b Term> {
        let record = self.record;
        let says_absent = |value: &&Term| {
            record.absent.iter().any(|label| label.attribute == attribute.key && label.value == **value)
        };
        let others = attribute.values.iter().filter(|value| !present.contains(value));
        if attribute.open { others.filter(says_absent).collect() } else { others.collect() }
    }

    /// Whether everything that an attribute can say is known of the record.
    fn is_complete(&self, attribute: &Attribute, present: &[&Term]) -> bool {
        !attribute.open || self.absent(attribute, present).len() + present.len() == attribute.values.len()
    }
}
