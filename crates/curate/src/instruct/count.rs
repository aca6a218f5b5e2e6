//! Whether something is marked in the image, and how often: only where every instance is marked.

use super::classify::{self, Subject};
use super::dice::Dice;
use super::phrase::Phrases;
use super::{Draft, Maker};
use gmai_schema::{Language, Task, Term};

const PRESENCE: Phrases = Phrases {
    id: "count/presence@1",
    en: &[
        "Is {name} visible in this image?",
        "Does this image show {name}?",
        "Can {name} be seen in this image?",
        "Is {name} present in this image?",
        "Is there any {name} in this image?",
        "Does the picture contain {name}?",
    ],
    zh: &[
        "图像中可见{name}吗？",
        "该图像是否显示{name}？",
        "这幅图像中能看到{name}吗？",
        "该图像中存在{name}吗？",
        "这幅图像中有{name}吗？",
        "图片中是否包含{name}？",
    ],
};

const COUNT: Phrases = Phrases {
    id: "count/count@1",
    en: &[
        "How many instances of {name} are visible in this image?",
        "Count the instances of {name} in this image.",
        "What is the number of instances of {name} in this image?",
        "How often does {name} appear in this image?",
        "How many times can {name} be seen in this image?",
        "Please count {name} in this image. How many are there?",
    ],
    zh: &[
        "图像中可见多少个{name}？",
        "请数出该图像中{name}的数目。",
        "这幅图像中{name}的数量是多少？",
        "该图像中出现了几个{name}？",
        "图中能看到几个{name}？",
        "请对图像中的{name}计数，共有几个？",
    ],
};

const NUMBER_EN: &str = " Give the number.";
const NUMBER_ZH: &str = "请给出数字。";

/// Larger numbers are not asked for: people do not count them at a glance either.
pub(super) const MAX_COUNT: usize = 30;

/// Adds the questions on presence and number of a record.
pub(super) fn write(maker: &mut Maker) {
    if !maker.facts.regions_exhaustive {
        return; // What is not marked may still be there.
    }
    let per_record = &maker.options.per_record;
    maker.slot("presence", per_record.presence_questions, |maker, language, dice, _| presence(maker, language, dice));
    maker.slot("count", per_record.count_questions, |maker, language, dice, _| count(maker, language, dice));
}

/// How many regions and points of the record carry this name.
pub(super) fn number_of(maker: &Maker, term: &Term) -> usize {
    let regions = maker.record.regions.iter().filter(|region| region.term == *term).count();
    regions + maker.record.points.iter().filter(|point| point.term == *term).count()
}

/// A name that is marked in the image, or one that is not.
pub(super) fn draw<'a>(maker: &Maker<'a>, present: bool, dice: &mut Dice) -> Option<&'a Term> {
    let facts = maker.facts;
    let terms: Vec<&Term> = facts.region_terms.iter().filter(|term| (number_of(maker, term) > 0) == present).collect();
    dice.choose(&terms).copied()
}

fn presence(maker: &Maker, language: Language, dice: &mut Dice) -> Option<Draft> {
    let answer = dice.chance(0.5);
    let term = draw(maker, answer, dice)?;
    let facts = [("name", term.text(language)?)];
    let question = PRESENCE.pick(language, dice);
    Some(classify::yes_no(classify::region_subject(maker), &question, &facts, answer, language))
}

fn count(maker: &Maker, language: Language, dice: &mut Dice) -> Option<Draft> {
    let wanted = dice.chance(0.75);
    let term = draw(maker, wanted, dice).or_else(|| draw(maker, !wanted, dice))?;
    let number = number_of(maker, term);
    if number > MAX_COUNT {
        return None;
    }
    let question = COUNT.pick(language, dice);
    let subject = Subject { attribute: "count".to_owned(), task: Task::Counting };
    let instruction = match language {
        Language::En | Language::Ja => NUMBER_EN,
        Language::Zh => NUMBER_ZH,
    };
    let facts = [("name", term.text(language)?)];
    let answers = vec![number.to_string()];
    Some(classify::open(subject, &question, &facts, answers, instruction))
}
