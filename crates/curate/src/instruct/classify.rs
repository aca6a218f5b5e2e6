//! Questions on modality and attributes that are answered by a name, or by yes or no alone.

use super::dice::Dice;
use super::phrase::{Phrase, Phrases};
use super::{Draft, Exchange, Known, Maker, wording};
use gmai_schema::conversation::short_answer_instruction;
use gmai_schema::{Attribute, Form, Language, Modality, Quiz, Task, Term};

pub(super) const MODALITY_OPEN: Phrases = Phrases {
    id: "classify/modality_open@1",
    en: &[
        "Which imaging modality was used to acquire this image?",
        "What is the imaging modality of this image?",
        "Name the modality of this image.",
        "By which imaging technique was this picture obtained?",
        "What type of imaging is this?",
        "Identify the imaging modality.",
        "What kind of medical imaging produced this image?",
    ],
    zh: &[
        "该图像采用了哪种成像方式？",
        "这幅图像的成像模态是什么？",
        "请说出该图像的成像模态。",
        "该图像是通过什么成像技术获得的？",
        "这是哪种类型的影像？",
        "请识别成像方式。",
        "这幅图像由哪种医学成像方法产生？",
    ],
};

const BODY_PART_OPEN: Phrases = Phrases {
    id: "classify/body_part_open@1",
    en: &[
        "Which part of the body does this image show?",
        "What body part is shown in this image?",
        "Name the body part in this image.",
        "Which body region was imaged here?",
        "Identify the part of the body in this image.",
        "What region of the body is this?",
    ],
    zh: &[
        "该图像显示的是身体的哪个部位？",
        "这幅图像显示的检查部位是什么？",
        "请说出该图像的检查部位。",
        "此处成像的是哪个部位？",
        "请识别该图像中的身体部位。",
        "这是身体的哪个部位？",
    ],
};

const MODALITY_YES_NO: Phrases = Phrases {
    id: "classify/modality_yes_no@1",
    en: &[
        "Is this {image}?",
        "Is the picture shown {image}?",
        "Would you say that this is {image}?",
        "Can this be identified as {image}?",
        "Is it correct that this is {image}?",
        "Is what is shown here {image}?",
    ],
    zh: &[
        "这是{image}吗？",
        "所示图片是{image}吗？",
        "可以认为这是{image}吗？",
        "该图能被识别为{image}吗？",
        "“这是{image}”这一说法正确吗？",
        "此处显示的是{image}吗？",
    ],
};

pub(super) const ATTRIBUTE_OPEN: Phrases = Phrases {
    id: "classify/attribute_open@1",
    en: &[
        "What is the {attribute} in this image?",
        "Which {attribute} does this image show?",
        "Name the {attribute} in this image.",
        "Based on this image, what is the {attribute}?",
        "Looking at the picture, what is the {attribute}?",
        "Please state the {attribute} for this image.",
        "Identify the {attribute} in this image.",
    ],
    zh: &[
        "该图像的{attribute}是什么？",
        "这幅图像显示的{attribute}是什么？",
        "请说出该图像的{attribute}。",
        "根据这幅图像，{attribute}是什么？",
        "观察图片，其{attribute}是什么？",
        "请给出该图像的{attribute}。",
        "请识别该图像的{attribute}。",
    ],
};

const ATTRIBUTE_YES_NO: Phrases = Phrases {
    id: "classify/attribute_yes_no@1",
    en: &[
        "Is the {attribute} in this image {value}?",
        "Is {value} the correct {attribute} for this image?",
        "Would you say that the {attribute} in this image is {value}?",
        "Based on this image, is the {attribute} {value}?",
        "Is it correct that the {attribute} in this image is {value}?",
        "The {attribute} in this image is said to be {value}. Is this right?",
        "Does this image match the {attribute} {value}?",
    ],
    zh: &[
        "该图像的{attribute}是{value}吗？",
        "对该图像而言，{attribute}为{value}正确吗？",
        "可以认为这幅图像的{attribute}是{value}吗？",
        "根据这幅图像，{attribute}是{value}吗？",
        "“该图像的{attribute}为{value}”这一说法正确吗？",
        "有人认为该图像的{attribute}是{value}，对吗？",
        "这幅图像与{attribute}“{value}”相符吗？",
    ],
};

const SEVERAL_OPEN: Phrases = Phrases {
    id: "classify/several_open@1",
    en: &[
        "List every {attribute} that applies to this image.",
        "Which values of the {attribute} apply to this image?",
        "Name all that apply to this image under {attribute}.",
        "What is present in this image with regard to {attribute}?",
        "State each {attribute} that this image shows.",
        "Looking at the picture, list each {attribute} that is present.",
    ],
    zh: &[
        "请列出该图像的全部{attribute}。",
        "该图像有哪些{attribute}？",
        "请说出符合该图像的所有{attribute}。",
        "就{attribute}而言，该图像中存在哪些？",
        "请写出这幅图像显示的每一项{attribute}。",
        "观察图片，请列出存在的各项{attribute}。",
    ],
};

const SEVERAL_YES_NO: Phrases = Phrases {
    id: "classify/several_yes_no@1",
    en: &[
        "With regard to {attribute}, does {value} apply to this image?",
        "Does this image show {value}?",
        "Is {value} present in this image?",
        "Can {value} be seen in this image?",
        "Is there {value} in this image?",
        "Does the {attribute} of this image include {value}?",
        "Is {value} recorded for this image under {attribute}?",
    ],
    zh: &[
        "就{attribute}而言，该图像是否符合{value}？",
        "该图像是否显示{value}？",
        "这幅图像中存在{value}吗？",
        "图像中能看到{value}吗？",
        "该图像中有{value}吗？",
        "该图像的{attribute}包括{value}吗？",
        "在{attribute}方面，这幅图像可见{value}吗？",
    ],
};

const YES_NO_EN: &str = " Answer with yes or no.";
const YES_NO_ZH: &str = "请回答“是”或“否”。";

/// Adds the questions on modality and attributes of a record.
pub(super) fn write(maker: &mut Maker) {
    let (open, yes_no) = (maker.options.per_record.open_questions, maker.options.per_record.yes_no_questions);
    maker.slot("open/body_part", open, |maker, language, dice, _| body_part_open(maker, language, dice));
    maker.slot("open/modality", open, |maker, language, dice, _| modality_open(maker, language, dice));
    maker.slot("yes_no/modality", yes_no, |maker, language, dice, _| modality_yes_no(maker, language, dice));
    let facts = maker.facts;
    for attribute in &facts.attributes {
        maker.slot(&format!("open/attribute/{}", attribute.key), open, |maker, language, dice, _| {
            attribute_open(maker, attribute, language, dice)
        });
        maker.slot(&format!("yes_no/attribute/{}", attribute.key), yes_no, |maker, language, dice, _| {
            attribute_yes_no(maker, attribute, language, dice)
        });
    }
}

/// What a question is filed under.
pub(super) struct Subject {
    pub attribute: String,
    pub task: Task,
}

impl Subject {
    fn modality() -> Subject {
        Subject { attribute: "modality".to_owned(), task: Task::ModalityRecognition }
    }

    fn of(attribute: &Attribute) -> Subject {
        Subject { attribute: attribute.key.clone(), task: attribute.task }
    }
}

/// A question, with `instruction` on the form of the answer, that is answered by the first of `answers` alone.
pub(super) fn open(
    subject: Subject,
    question: &Phrase,
    facts: &[(&str, &str)],
    answers: Vec<String>,
    instruction: &str,
) -> Draft {
    let exchange = Exchange {
        question: format!("{}{instruction}", question.fill(facts)),
        answer: answers.first().cloned().unwrap_or_default(),
    };
    single(subject, exchange, Quiz::Open { answers }, question)
}

/// A question answered by yes or no alone.
pub(super) fn yes_no(
    subject: Subject,
    question: &Phrase,
    facts: &[(&str, &str)],
    answer: bool,
    language: Language,
) -> Draft {
    let instruction = match language {
        Language::En | Language::Ja => YES_NO_EN,
        Language::Zh => YES_NO_ZH,
    };
    let exchange = Exchange {
        question: format!("{}{instruction}", question.fill(facts)),
        answer: wording::yes_no(answer, language).to_owned(),
    };
    single(subject, exchange, Quiz::YesNo { answer }, question)
}

fn single(subject: Subject, exchange: Exchange, quiz: Quiz, question: &Phrase) -> Draft {
    Draft {
        form: Form::Instruction,
        exchanges: vec![exchange],
        quiz: Some(quiz),
        attribute: Some(subject.attribute),
        task: subject.task,
        boxes: Vec::new(),
        generator: question.generator(),
    }
}

fn modality_open(maker: &Maker, language: Language, dice: &mut Dice) -> Option<Draft> {
    let answers = wording::modality_answers(maker.record.modality?, language);
    Some(open(
        Subject::modality(),
        &MODALITY_OPEN.pick(language, dice),
        &[],
        answers,
        short_answer_instruction(language),
    ))
}

fn modality_yes_no(maker: &Maker, language: Language, dice: &mut Dice) -> Option<Draft> {
    let right = maker.record.modality?;
    let answer = dice.chance(0.5);
    let wrong = |pool: &[Modality]| -> Vec<Modality> {
        pool.iter().copied().filter(|modality| !wording::confusable(right, *modality)).collect()
    };
    let mut others = wrong(&maker.options.modality_options);
    if others.is_empty() {
        others = wrong(Modality::ALL);
    }
    let asked = if answer { right } else { *dice.choose(&others)? };
    let facts = [("image", wording::image_noun(asked, language))];
    Some(yes_no(Subject::modality(), &MODALITY_YES_NO.pick(language, dice), &facts, answer, language))
}

/// Which part of the body is shown, where no attribute of the source asks the same.
fn body_part_open(maker: &Maker, language: Language, dice: &mut Dice) -> Option<Draft> {
    let is_asked = maker.facts.attributes.iter().any(|attribute| attribute.task == Task::BodyPartRecognition);
    let part = maker.record.body_part.filter(|_| !is_asked)?;
    let question = BODY_PART_OPEN.pick(language, dice);
    let subject = Subject { attribute: "body_part".to_owned(), task: Task::BodyPartRecognition };
    let answers = vec![part.name(language).to_owned()];
    Some(open(subject, &question, &[], answers, short_answer_instruction(language)))
}

fn attribute_open(maker: &Maker, attribute: &Attribute, language: Language, dice: &mut Dice) -> Option<Draft> {
    if attribute.values.len() < 2 {
        return None; // The answer would not depend on the image.
    }
    let name = attribute.name.text(language)?;
    match maker.known(attribute)? {
        Known::Single(value) => {
            let answers = vec![value.text(language)?.to_owned()];
            let question = ATTRIBUTE_OPEN.pick(language, dice);
            Some(open(
                Subject::of(attribute),
                &question,
                &[("attribute", name)],
                answers,
                short_answer_instruction(language),
            ))
        }
        Known::Several(values) => {
            if !maker.is_complete(attribute, &values) {
                return None; // A list would leave out what is not known.
            }
            let names: Vec<&str> = values.iter().map(|value| value.text(language)).collect::<Option<_>>()?;
            let answers = vec![wording::joined(&names, language)];
            let question = SEVERAL_OPEN.pick(language, dice);
            Some(open(
                Subject::of(attribute),
                &question,
                &[("attribute", name)],
                answers,
                short_answer_instruction(language),
            ))
        }
    }
}

fn attribute_yes_no(maker: &Maker, attribute: &Attribute, language: Language, dice: &mut Dice) -> Option<Draft> {
    let (present, table): (Vec<&Term>, _) = match maker.known(attribute) {
        Some(Known::Single(value)) => (vec![value], &ATTRIBUTE_YES_NO),
        Some(Known::Several(values)) => (values, &SEVERAL_YES_NO),
        // Nothing is there, and some of it is known not to be.
        None if attribute.open => (Vec::new(), &SEVERAL_YES_NO),
        None => return None,
    };
    let absent = maker.absent(attribute, &present);
    if attribute.values.len() < 2 && !attribute.multiple {
        return None; // Only "yes" could be asked for.
    }
    // The answer is drawn before the value: where it cannot be had there is no question, so that "no" does not outnumber "yes".
    let answer = dice.chance(0.5);
    let value = dice.choose(if answer { &present } else { &absent })?;
    let facts = [("attribute", attribute.name.text(language)?), ("value", value.text(language)?)];
    Some(yes_no(Subject::of(attribute), &table.pick(language, dice), &facts, answer, language))
}

/// The subject of questions about regions of the source.
pub(super) fn region_subject(maker: &Maker) -> Subject {
    Subject { attribute: "region".to_owned(), task: maker.facts.region_task }
}
