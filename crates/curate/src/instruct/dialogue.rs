//! Questions answered by a full sentence: alone, and two to four of them in one conversation.

use super::dice::Dice;
use super::phrase::Phrases;
use super::{Draft, Exchange, Maker, count, wording};
use gmai_schema::{Attribute, BoundingBox, Form, Language, Region, Task};

/// A question and its answer: each is drawn on its own, so every question must take every answer.
struct Topic {
    question: Phrases,
    answer: Phrases,
}

impl Topic {
    fn speak(&self, facts: &[(&str, &str)], filed: Filed, language: Language, dice: &mut Dice) -> Spoken {
        let (question, answer) = (self.question.pick(language, dice), self.answer.pick(language, dice));
        Spoken {
            exchange: Exchange { question: question.fill(facts), answer: answer.fill(facts) },
            filed,
            boxes: Vec::new(),
            reference: question.reference(),
        }
    }
}

const MODALITY: Topic = Topic {
    question: Phrases {
        id: "dialogue/modality@1",
        en: &[
            "What kind of image is this?",
            "Can you tell me how this image was acquired?",
            "Please tell me the imaging modality.",
            "Which imaging modality am I looking at?",
            "What type of medical image do you see?",
            "What sort of image is it?",
        ],
        zh: &[
            "这是什么类型的图像？",
            "请问这幅图像是如何采集的？",
            "请告诉我成像模态。",
            "我看到的是哪种成像方式？",
            "您看到的是哪类医学图像？",
            "这属于哪种图像？",
        ],
    },
    answer: Phrases {
        id: "dialogue/modality_answer@1",
        en: &[
            "This is {image}.",
            "It is {image}.",
            "The picture is {image}.",
            "What you see is {image}.",
            "You are looking at {image}.",
            "The image shown is {image}.",
        ],
        zh: &[
            "这是{image}。",
            "该图为{image}。",
            "图片是{image}。",
            "您看到的是{image}。",
            "所示为{image}。",
            "这幅图像是{image}。",
        ],
    },
};

const ATTRIBUTE: Topic = Topic {
    question: Phrases {
        id: "dialogue/attribute@1",
        en: &[
            "What can you say about the {attribute}?",
            "What about the {attribute}?",
            "Could you tell me the {attribute}?",
            "What is the {attribute} here?",
            "How would you put the {attribute} of this image?",
            "I would like to know the {attribute}.",
        ],
        zh: &[
            "关于{attribute}，您能说明什么？",
            "{attribute}如何？",
            "请告诉我{attribute}。",
            "这里的{attribute}是什么？",
            "该图像的{attribute}如何判断？",
            "我想了解{attribute}。",
        ],
    },
    answer: Phrases {
        id: "dialogue/attribute_answer@1",
        en: &[
            "The {attribute} is {value}.",
            "In this image the {attribute} is {value}.",
            "It is {value}.",
            "The {attribute} here is {value}.",
            "I would state the {attribute} as {value}.",
            "The image corresponds to the {attribute} {value}.",
        ],
        zh: &[
            "{attribute}为{value}。",
            "该图像的{attribute}是{value}。",
            "是{value}。",
            "此处的{attribute}为{value}。",
            "{attribute}可表述为{value}。",
            "图像对应的{attribute}是{value}。",
        ],
    },
};

const PRESENCE_QUESTION: Phrases = Phrases {
    id: "dialogue/presence@1",
    en: &[
        "Do you see {name}?",
        "Is there any {name}?",
        "Can {name} be made out?",
        "Does the image contain {name}?",
        "I am looking for {name}. Is it shown?",
        "Is {name} part of this image?",
    ],
    zh: &[
        "您看到{name}了吗？",
        "有{name}吗？",
        "能辨认出{name}吗？",
        "图像中包含{name}吗？",
        "我在找{name}，图中有吗？",
        "这幅图像中是否有{name}？",
    ],
};

const PRESENT: Topic = Topic {
    question: PRESENCE_QUESTION,
    answer: Phrases {
        id: "dialogue/presence_answer@1",
        en: &[
            "Yes, {name} can be seen.",
            "Yes, {name} is present in this image.",
            "Yes, the image shows {name}.",
            "Yes, {name} is visible.",
            "Yes. The image contains {name}.",
            "Yes, {name} is there.",
        ],
        zh: &[
            "是的，可以看到{name}。",
            "是的，图像中存在{name}。",
            "是的，该图像显示{name}。",
            "有，可见{name}。",
            "是的，图中包含{name}。",
            "有，图中有{name}。",
        ],
    },
};

const ABSENT: Topic = Topic {
    question: PRESENCE_QUESTION,
    answer: Phrases {
        id: "dialogue/absence_answer@1",
        en: &[
            "No, {name} cannot be seen.",
            "No, {name} is not present in this image.",
            "No, the image does not show {name}.",
            "No, {name} is not visible.",
            "No. The image does not contain {name}.",
            "No, there is no {name}.",
        ],
        zh: &[
            "没有，看不到{name}。",
            "没有，图像中不存在{name}。",
            "没有，该图像未显示{name}。",
            "没有，未见{name}。",
            "没有，图中不包含{name}。",
            "没有，图中没有{name}。",
        ],
    },
};

const NUMBER: Topic = Topic {
    question: Phrases {
        id: "dialogue/number@1",
        en: &[
            "How many instances of {name} do you count?",
            "How often does {name} occur?",
            "What is the count for {name}?",
            "Could you count {name} for me?",
            "How many times is {name} seen?",
            "Please tell me the number for {name}.",
        ],
        zh: &[
            "您数到几个{name}？",
            "{name}出现了几个？",
            "{name}的计数是多少？",
            "能帮我数一下{name}吗？",
            "能看到几个{name}？",
            "请告诉我{name}的数量。",
        ],
    },
    answer: Phrases {
        id: "dialogue/number_answer@1",
        en: &[
            "The count of {name} is {number}.",
            "Instances of {name}: {number}.",
            "I count {number} for {name}.",
            "For {name} the number is {number}.",
            "The number of instances of {name} is {number}.",
            "{name}: {number} in all.",
        ],
        zh: &[
            "{name}的数量为{number}个。",
            "{name}：{number}个。",
            "共数到{number}个{name}。",
            "{name}的计数为{number}。",
            "图中共有{number}个{name}。",
            "{name}共{number}个。",
        ],
    },
};

const WHERE: Topic = Topic {
    question: Phrases {
        id: "dialogue/where@1",
        en: &[
            "Where does {name} lie?",
            "In which part of the image is {name}?",
            "Can you point to {name}?",
            "Please tell me where to look for {name}.",
            "Where on the picture do I find {name}?",
            "What is the position of {name}?",
        ],
        zh: &[
            "{name}位于哪里？",
            "{name}在图像的哪个位置？",
            "能指出{name}吗？",
            "请告诉我在哪里可以看到{name}。",
            "在图片的什么位置能找到{name}？",
            "{name}的位置在哪里？",
        ],
    },
    answer: Phrases {
        id: "dialogue/where_answer@1",
        en: &[
            "It lies {place}, at {box}.",
            "{name} is located {place}: {box}.",
            "You find it {place}, within {box}.",
            "{name} is seen {place}; its box is {box}.",
            "It is found {place}. The box is {box}.",
            "Look {place}: {name} lies at {box}.",
        ],
        zh: &[
            "位于{place}，坐标为{box}。",
            "{name}位于{place}：{box}。",
            "可在{place}找到，范围为{box}。",
            "{name}见于{place}，边界框为{box}。",
            "位于{place}，边界框为{box}。",
            "请看{place}：{name}位于{box}。",
        ],
    },
};

/// Questions in one conversation.
const MIN_TURNS: usize = 2;
const MAX_TURNS: usize = 4;

/// What an exchange is filed under when it stands alone.
struct Filed {
    attribute: String,
    task: Task,
}

impl Filed {
    fn new(attribute: &str, task: Task) -> Filed {
        Filed { attribute: attribute.to_owned(), task }
    }
}

/// One exchange with its place in the tables.
struct Spoken {
    exchange: Exchange,
    filed: Filed,
    boxes: Vec<BoundingBox>,
    reference: String,
}

/// Something the record allows to be spoken about.
#[derive(Clone, Copy)]
enum Subject<'a> {
    Modality,
    Attribute(&'a Attribute),
    Presence,
    Number,
    Where,
}

/// Adds the sentence answers and conversations of a record.
pub(super) fn write(maker: &mut Maker) {
    let per_record = &maker.options.per_record;
    maker.slot("sentence", per_record.sentence_answers, |maker, language, dice, _| sentence(maker, language, dice));
    maker
        .slot("conversation", per_record.conversations, |maker, language, dice, _| conversation(maker, language, dice));
}

/// Every subject in random order, with its exchange; those that the record or the language does not support are left out.
fn spoken(maker: &Maker, language: Language, dice: &mut Dice) -> Vec<Spoken> {
    let facts = maker.facts;
    let mut subjects = vec![Subject::Modality, Subject::Presence, Subject::Number, Subject::Where];
    subjects.extend(facts.attributes.iter().map(Subject::Attribute));
    dice.shuffle(&mut subjects);
    subjects.into_iter().filter_map(|subject| speak(maker, subject, language, dice)).collect()
}

fn sentence(maker: &Maker, language: Language, dice: &mut Dice) -> Option<Draft> {
    let spoken = spoken(maker, language, dice).into_iter().next()?;
    Some(Draft {
        form: Form::Instruction,
        exchanges: vec![spoken.exchange],
        quiz: None,
        attribute: Some(spoken.filed.attribute),
        task: spoken.filed.task,
        boxes: spoken.boxes,
        generator: format!("template:{}", spoken.reference),
    })
}

fn conversation(maker: &Maker, language: Language, dice: &mut Dice) -> Option<Draft> {
    let turns = MIN_TURNS + dice.below(MAX_TURNS - MIN_TURNS + 1);
    let mut spoken = spoken(maker, language, dice);
    spoken.truncate(turns);
    if spoken.len() < MIN_TURNS {
        return None;
    }
    let references: Vec<&str> = spoken.iter().map(|one| one.reference.as_str()).collect();
    let generator = format!("template:{}", references.join("+"));
    let boxes = spoken.iter().flat_map(|one| one.boxes.iter().copied()).collect();
    Some(Draft {
        form: Form::Conversation,
        exchanges: spoken.into_iter().map(|one| one.exchange).collect(),
        quiz: None,
        attribute: None,
        task: maker.main_task(),
        boxes,
        generator,
    })
}

fn speak(maker: &Maker, subject: Subject, language: Language, dice: &mut Dice) -> Option<Spoken> {
    match subject {
        Subject::Modality => {
            let image = wording::image_noun(maker.record.modality?, language);
            let filed = Filed::new("modality", Task::ModalityRecognition);
            Some(MODALITY.speak(&[("image", image)], filed, language, dice))
        }
        Subject::Attribute(attribute) => speak_attribute(maker, attribute, language, dice),
        Subject::Presence => speak_presence(maker, language, dice),
        Subject::Number => speak_number(maker, language, dice),
        Subject::Where => speak_where(maker, language, dice),
    }
}

fn speak_attribute(maker: &Maker, attribute: &Attribute, language: Language, dice: &mut Dice) -> Option<Spoken> {
    let values = maker.known(attribute)?.values();
    if !maker.is_complete(attribute, &values) {
        return None; // "The finding is ..." would deny what is not known.
    }
    let names: Vec<&str> = values.iter().map(|value| value.text(language)).collect::<Option<_>>()?;
    let facts = [("attribute", attribute.name.text(language)?), ("value", &wording::joined(&names, language))];
    Some(ATTRIBUTE.speak(&facts, Filed::new(&attribute.key, attribute.task), language, dice))
}

fn speak_presence(maker: &Maker, language: Language, dice: &mut Dice) -> Option<Spoken> {
    if !maker.facts.regions_exhaustive {
        return None; // Absence is not known.
    }
    let present = dice.chance(0.5);
    let name = count::draw(maker, present, dice)?.text(language)?;
    let topic = if present { &PRESENT } else { &ABSENT };
    Some(topic.speak(&[("name", name)], Filed::new("region", maker.facts.region_task), language, dice))
}

fn speak_number(maker: &Maker, language: Language, dice: &mut Dice) -> Option<Spoken> {
    if !maker.facts.regions_exhaustive {
        return None;
    }
    let term = count::draw(maker, true, dice)?;
    let number = count::number_of(maker, term);
    if number > count::MAX_COUNT {
        return None;
    }
    let facts = [("name", term.text(language)?), ("number", &number.to_string())];
    Some(NUMBER.speak(&facts, Filed::new("count", Task::Counting), language, dice))
}

/// Tells where something lies that is marked exactly once, so that "it" is clear.
fn speak_where(maker: &Maker, language: Language, dice: &mut Dice) -> Option<Spoken> {
    let once = |region: &&Region| {
        wording::writable(&region.bounds)
            && maker.record.regions.iter().filter(|other| other.term == region.term).count() == 1
    };
    let candidates: Vec<&Region> = maker.record.regions.iter().filter(once).collect();
    let region = dice.choose(&candidates)?;
    let facts = [
        ("name", region.term.text(language)?),
        ("place", wording::place(&region.bounds, language)),
        ("box", &wording::boxes(&[region.bounds])),
    ];
    let mut spoken = WHERE.speak(&facts, Filed::new("region", maker.facts.region_task), language, dice);
    spoken.boxes.push(region.bounds);
    Some(spoken)
}
