//! Points: what lies at one, and where one of a name is.

use super::dice::Dice;
use super::phrase::Phrases;
use super::{Draft, Exchange, Maker, wording};
use gmai_schema::{Form, Language, Point, Term};

const NAME_QUESTION: Phrases = Phrases {
    id: "point/name_question@1",
    en: &[
        "What lies at the point {point} of this image?",
        "Focus on the point {point}. What is it?",
        "Name the object at {point}.",
        "What target is marked by the point {point}?",
        "Identify what is found at {point} in this image.",
        "Which object is located at the point {point}?",
    ],
    zh: &[
        "该图像{point}处是什么？",
        "请关注点{point}，这是什么？",
        "请说出{point}处目标的名称。",
        "点{point}标记的是什么目标？",
        "请识别图像中{point}处的目标。",
        "位于点{point}的是什么？",
    ],
};

const NAME_ANSWER: Phrases = Phrases {
    id: "point/name_answer@1",
    en: &[
        "<ref>{name}</ref>",
        "It is <ref>{name}</ref>.",
        "The point marks <ref>{name}</ref>.",
        "This is <ref>{name}</ref>.",
        "The object is <ref>{name}</ref>.",
        "<ref>{name}</ref> lies there.",
    ],
    zh: &[
        "<ref>{name}</ref>",
        "是<ref>{name}</ref>。",
        "该点标记的是<ref>{name}</ref>。",
        "这是<ref>{name}</ref>。",
        "该目标为<ref>{name}</ref>。",
        "此处为<ref>{name}</ref>。",
    ],
};

const FIND_QUESTION: Phrases = Phrases {
    id: "point/find_question@1",
    en: &[
        "Point to one <ref>{name}</ref> in this image.",
        "Where can <ref>{name}</ref> be seen in this image? Give one point.",
        "Give a point that lies on one <ref>{name}</ref>.",
        "Mark one <ref>{name}</ref> with a point.",
        "Locate one instance of <ref>{name}</ref> and give its point.",
        "Find one <ref>{name}</ref> and point to it.",
    ],
    zh: &[
        "请在图像中指出一个<ref>{name}</ref>。",
        "图像中何处可见<ref>{name}</ref>？请给出一个点。",
        "请给出位于一个<ref>{name}</ref>上的点。",
        "请用点标出一个<ref>{name}</ref>。",
        "请定位一个<ref>{name}</ref>并给出其点坐标。",
        "请找出一个<ref>{name}</ref>并指出其位置。",
    ],
};

const FIND_ANSWER: Phrases = Phrases {
    id: "point/find_answer@1",
    en: &[
        "{point}",
        "<ref>{name}</ref>{point}",
        "One lies {place}, at {point}.",
        "<ref>{name}</ref> can be seen at {point}.",
        "It lies at {point}.",
        "One is found {place}: {point}.",
    ],
    zh: &[
        "{point}",
        "<ref>{name}</ref>{point}",
        "其中一个位于{place}：{point}。",
        "<ref>{name}</ref>见于{point}。",
        "位置为{point}。",
        "可在{place}找到一个：{point}。",
    ],
};

/// Points of two names nearer than this are not asked for: two decimals of a fraction do not tell them apart.
const LEAST_DISTANCE: f32 = 0.02;

/// Adds the texts about points of a record.
pub(super) fn write(maker: &mut Maker) {
    let copies = maker.options.per_record.point_questions;
    maker.slot(
        "point",
        copies,
        |maker, language, dice, copy| {
            if copy % 2 == 0 { name(maker, language, dice) } else { find(maker, language, dice) }
        },
    );
}

/// A point with no other name beside it; each name is equally likely, so that the commonest cell does not fill the dataset.
fn draw<'a>(points: &'a [Point], dice: &mut Dice) -> Option<&'a Point> {
    let is_clear = |point: &&Point| {
        let near = |other: &Point| (other.x - point.x).hypot(other.y - point.y) < LEAST_DISTANCE;
        points.iter().all(|other| other.term == point.term || !near(other))
    };
    let mut groups: Vec<(&Term, Vec<&Point>)> = Vec::new();
    for point in points.iter().filter(is_clear) {
        match groups.iter_mut().find(|(term, _)| **term == point.term) {
            Some((_, members)) => members.push(point),
            None => groups.push((&point.term, vec![point])),
        }
    }
    let (_, members) = dice.choose(&groups)?;
    dice.choose(members).copied()
}

fn name(maker: &Maker, language: Language, dice: &mut Dice) -> Option<Draft> {
    let point = draw(&maker.record.points, dice)?;
    let (question, answer) = (NAME_QUESTION.pick(language, dice), NAME_ANSWER.pick(language, dice));
    let exchange = Exchange {
        question: question.fill(&[("point", &wording::point(point))]),
        answer: answer.fill(&[("name", point.term.text(language)?)]),
    };
    Some(draft(maker, exchange, question.generator()))
}

fn find(maker: &Maker, language: Language, dice: &mut Dice) -> Option<Draft> {
    let point = draw(&maker.record.points, dice)?;
    let (question, answer) = (FIND_QUESTION.pick(language, dice), FIND_ANSWER.pick(language, dice));
    let name = point.term.text(language)?;
    let facts =
        [("name", name), ("point", &wording::point(point)), ("place", wording::place_of_point(point, language))];
    let exchange = Exchange { question: question.fill(&[("name", name)]), answer: answer.fill(&facts) };
    Some(draft(maker, exchange, question.generator()))
}

fn draft(maker: &Maker, exchange: Exchange, generator: String) -> Draft {
    Draft {
        form: Form::Perception,
        exchanges: vec![exchange],
        quiz: None,
        attribute: Some("point".to_owned()),
        task: maker.facts.region_task,
        boxes: Vec::new(),
        generator,
    }
}
