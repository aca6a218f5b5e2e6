//! Boxes: what one holds (described, named, chosen), and where a named thing lies.

use super::choice::{self, Choice};
use super::dice::Dice;
use super::phrase::Phrases;
use super::{Draft, Exchange, Maker, wording};
use gmai_schema::{BoundingBox, Form, Language, Region, Term};

const DESCRIBE_QUESTION: Phrases = Phrases {
    id: "locate/describe_question@1",
    en: &[
        "Describe the area within {box} of this image.",
        "What can be said about the region {box}?",
        "Please describe the region marked by {box}.",
        "Give a description of the part of the image inside {box}.",
        "Focus on the area {box} and describe it.",
        "Write a caption for the region {box} of this image.",
        "Please look at the area within {box} and report what it shows.",
    ],
    zh: &[
        "请描述图像中{box}范围内的区域。",
        "关于{box}这一区域，可以得出什么信息？",
        "请描述{box}所标记的区域。",
        "请对图像中{box}内的部分作描述。",
        "请关注{box}区域并加以描述。",
        "请为该图像的{box}区域写一段说明。",
        "请查看{box}范围内的区域，并说明其内容。",
    ],
};

const DESCRIBE_ANSWER: Phrases = Phrases {
    id: "locate/describe_answer@1",
    en: &[
        "This region, {place}, shows {name}. It is {size} and covers {share} of the image area.",
        "This region shows {name}. It lies {place} and is {size}, taking up {share} of the image.",
        "This region contains {name}; it is found {place}, and its box is {size}, {share} of the image area.",
        "This region is labelled as {name}. It is {size} in relation to the image ({share} of its area) and lies {place}.",
        "This region corresponds to {name}, located {place}. Its extent is {size}, covering {share} of the image.",
        "This region depicts {name}. Relative to the whole image it is {size}, with {share} of the area, and lies {place}.",
    ],
    zh: &[
        "该区域位于{place}，显示{name}。其范围{size}，面积占比{share}。",
        "该区域显示{name}，位于{place}，范围{size}，占图像面积的比例为{share}。",
        "该区域包含{name}，见于{place}；其范围{size}，面积占比{share}。",
        "该区域标注为{name}。相对于整幅图像，其范围{size}（面积占比{share}），位于{place}。",
        "该区域对应{name}，位于{place}，范围{size}，面积占比{share}。",
        "该区域为{name}。与整幅图像相比，其范围{size}，面积占比{share}，位于{place}。",
    ],
};

const NAME_QUESTION: Phrases = Phrases {
    id: "locate/name_question@1",
    en: &[
        "Focus on the area {box} of this image. What target does it most likely show?",
        "What is in the area {box}?",
        "Name the object inside {box}.",
        "Which target lies within {box} of this image?",
        "Identify what is shown in the region {box}.",
        "What does the box {box} contain?",
        "Please recognize the target in {box}.",
    ],
    zh: &[
        "请关注图像中的{box}区域，其中最可能是什么目标？",
        "{box}区域内是什么？",
        "请说出{box}内目标的名称。",
        "该图像{box}范围内是哪种目标？",
        "请识别{box}区域所显示的内容。",
        "边界框{box}中包含什么？",
        "请辨认{box}中的目标。",
    ],
};

const NAME_ANSWER: Phrases = Phrases {
    id: "locate/name_answer@1",
    en: &[
        "The area most likely depicts <ref>{name}</ref>.",
        "It shows <ref>{name}</ref>.",
        "The target is <ref>{name}</ref>.",
        "This area contains <ref>{name}</ref>.",
        "The box contains <ref>{name}</ref>.",
        "What is shown there is <ref>{name}</ref>.",
    ],
    zh: &[
        "该区域最可能为<ref>{name}</ref>。",
        "其中显示的是<ref>{name}</ref>。",
        "该目标为<ref>{name}</ref>。",
        "该区域包含<ref>{name}</ref>。",
        "框内为<ref>{name}</ref>。",
        "此处所示为<ref>{name}</ref>。",
    ],
};

/// Asked when a name is marked once or several times and every instance is marked.
const FIND_ALL_QUESTION: Phrases = Phrases {
    id: "locate/find_all_question@1",
    en: &[
        "Where is <ref>{name}</ref> in this image? Give a box for each instance.",
        "Locate every instance of <ref>{name}</ref>.",
        "Mark <ref>{name}</ref> in this image, one box per instance.",
        "Detect <ref>{name}</ref> and give the boxes of all instances.",
        "Please provide the bounding box of each <ref>{name}</ref> in this image.",
        "Find <ref>{name}</ref> wherever it is visible.",
    ],
    zh: &[
        "图像中<ref>{name}</ref>在哪里？请为每个目标给出边界框。",
        "请定位所有的<ref>{name}</ref>。",
        "请在图像中标出<ref>{name}</ref>，每个目标一个框。",
        "请检测<ref>{name}</ref>，并给出全部目标的边界框。",
        "请给出图像中每个<ref>{name}</ref>的边界框。",
        "请找出图中所有可见的<ref>{name}</ref>。",
    ],
};

/// Asked when other instances may be there unmarked.
const FIND_ONE_QUESTION: Phrases = Phrases {
    id: "locate/find_one_question@1",
    en: &[
        "Where can <ref>{name}</ref> be seen in this image? Give one box.",
        "Locate one instance of <ref>{name}</ref>.",
        "Mark one <ref>{name}</ref> in this image with a box.",
        "Give the bounding box of one <ref>{name}</ref>.",
        "Please point out one <ref>{name}</ref> by its box.",
        "Find one <ref>{name}</ref> and give its box.",
    ],
    zh: &[
        "图像中何处可见<ref>{name}</ref>？请给出一个边界框。",
        "请定位一个<ref>{name}</ref>。",
        "请用边界框标出图像中的一个<ref>{name}</ref>。",
        "请给出一个<ref>{name}</ref>的边界框。",
        "请用框指出一个<ref>{name}</ref>。",
        "请找出一个<ref>{name}</ref>，并给出其边界框。",
    ],
};

const FIND_ANSWER: Phrases = Phrases {
    id: "locate/find_answer@1",
    en: &[
        "<ref>{name}</ref>{box}",
        "{box}",
        "<ref>{name}</ref> is located at {box}.",
        "It lies at {box}.",
        "The box is {box}.",
        "<ref>{name}</ref> can be seen at {box}.",
    ],
    zh: &[
        "<ref>{name}</ref>{box}",
        "{box}",
        "<ref>{name}</ref>位于{box}。",
        "位置为{box}。",
        "边界框为{box}。",
        "<ref>{name}</ref>见于{box}。",
    ],
};

const CHOOSE_QUESTION: Phrases = Phrases {
    id: "locate/choose_question@1",
    en: &[
        "What does the area {box} of this image show?",
        "Which of the following lies within {box}?",
        "Focus on the area {box}. Which target is it?",
        "Which option names the content of {box}?",
        "Identify the target inside {box}.",
        "What is marked by the box {box}?",
    ],
    zh: &[
        "该图像{box}区域显示的是什么？",
        "下列哪一项位于{box}范围内？",
        "请关注{box}区域，该目标是什么？",
        "哪个选项是{box}内目标的名称？",
        "请识别{box}内的目标。",
        "边界框{box}标记的是什么？",
    ],
};

/// Boxes in one answer, at most; names with more instances are not asked for.
const MAX_BOXES: usize = 5;

/// Intersection over union from which two boxes count as one place: with two names it has no single answer.
const SAME_PLACE: f32 = 0.7;

/// Adds the texts about boxes of a record.
pub(super) fn write(maker: &mut Maker) {
    let per_record = &maker.options.per_record;
    maker
        .slot("region_caption", per_record.region_captions, |maker, language, dice, _| describe(maker, language, dice));
    maker.slot("perception", per_record.perceptions, |maker, language, dice, copy| {
        if copy % 2 == 0 { name(maker, language, dice) } else { find(maker, language, dice) }
    });
    maker.slot("region_choice", per_record.region_choices, |maker, language, dice, _| choose(maker, language, dice));
}

/// The regions of each name, in the record's order, without those too thin to be written as a box.
fn by_name(regions: &[Region]) -> Vec<(&Term, Vec<&Region>)> {
    let mut groups: Vec<(&Term, Vec<&Region>)> = Vec::new();
    for region in regions.iter().filter(|region| wording::writable(&region.bounds)) {
        match groups.iter_mut().find(|(term, _)| **term == region.term) {
            Some((_, members)) => members.push(region),
            None => groups.push((&region.term, vec![region])),
        }
    }
    groups
}

/// A region whose box holds no other name; each name is equally likely, so that the commonest cell does not fill the dataset.
fn draw<'a>(regions: &'a [Region], dice: &mut Dice) -> Option<&'a Region> {
    let mut groups = by_name(regions);
    for (term, members) in &mut groups {
        let others: Vec<&Region> = regions.iter().filter(|other| other.term != **term).collect();
        members.retain(|region| others.iter().all(|other| region.bounds.iou(&other.bounds) < SAME_PLACE));
    }
    groups.retain(|(_, members)| !members.is_empty());
    let (_, members) = dice.choose(&groups)?;
    dice.choose(members).copied()
}

fn describe(maker: &Maker, language: Language, dice: &mut Dice) -> Option<Draft> {
    let region = draw(&maker.record.regions, dice)?;
    let (question, answer) = (DESCRIBE_QUESTION.pick(language, dice), DESCRIBE_ANSWER.pick(language, dice));
    let facts = [
        ("name", region.term.text(language)?),
        ("place", wording::place(&region.bounds, language)),
        ("size", wording::size(&region.bounds, language)),
        ("share", &wording::share(&region.bounds, language)),
    ];
    let exchange = Exchange {
        question: question.fill(&[("box", &wording::boxes(&[region.bounds]))]),
        answer: answer.fill(&facts),
    };
    Some(draft(maker, Form::RegionCaption, exchange, vec![region.bounds], question.generator()))
}

fn name(maker: &Maker, language: Language, dice: &mut Dice) -> Option<Draft> {
    let region = draw(&maker.record.regions, dice)?;
    let (question, answer) = (NAME_QUESTION.pick(language, dice), NAME_ANSWER.pick(language, dice));
    let exchange = Exchange {
        question: question.fill(&[("box", &wording::boxes(&[region.bounds]))]),
        answer: answer.fill(&[("name", region.term.text(language)?)]),
    };
    Some(draft(maker, Form::Perception, exchange, vec![region.bounds], question.generator()))
}

fn find(maker: &Maker, language: Language, dice: &mut Dice) -> Option<Draft> {
    let exhaustive = maker.facts.regions_exhaustive;
    let mut groups = by_name(&maker.record.regions);
    let drawn_often = |term: &Term| maker.record.regions.iter().filter(|region| region.term == *term).count();
    if exhaustive {
        // "Every instance" must mean every one: names with too many, or with one too thin to be written, are left out.
        groups.retain(|(term, members)| members.len() <= MAX_BOXES && members.len() == drawn_often(term));
    }
    let (term, members) = dice.choose(&groups)?;
    let bounds: Vec<BoundingBox> = if exhaustive {
        members.iter().map(|region| region.bounds).collect()
    } else {
        vec![dice.choose(members)?.bounds]
    };
    let asked = if exhaustive { &FIND_ALL_QUESTION } else { &FIND_ONE_QUESTION };
    let (question, answer) = (asked.pick(language, dice), FIND_ANSWER.pick(language, dice));
    let name = term.text(language)?;
    let exchange = Exchange {
        question: question.fill(&[("name", name)]),
        answer: answer.fill(&[("name", name), ("box", &wording::boxes(&bounds))]),
    };
    Some(draft(maker, Form::Perception, exchange, bounds, question.generator()))
}

fn choose(maker: &Maker, language: Language, dice: &mut Dice) -> Option<Draft> {
    let region = draw(&maker.record.regions, dice)?;
    let choice = Choice::among(&maker.facts.region_terms, &region.term, language, dice)?;
    let question = CHOOSE_QUESTION.pick(language, dice);
    Some(choice::draft(
        choice,
        language,
        choice::Stem {
            text: question.fill(&[("box", &wording::boxes(&[region.bounds]))]),
            generator: question.generator(),
            attribute: "region".to_owned(),
            task: maker.facts.region_task,
            boxes: vec![region.bounds],
        },
    ))
}

fn draft(maker: &Maker, form: Form, exchange: Exchange, boxes: Vec<BoundingBox>, generator: String) -> Draft {
    Draft {
        form,
        exchanges: vec![exchange],
        quiz: None,
        attribute: Some("region".to_owned()),
        task: maker.facts.region_task,
        boxes,
        generator,
    }
}
