//! Descriptions of the whole image: modality, plane, department, labels, and what is marked where.

use super::dice::Dice;
use super::phrase::Phrases;
use super::{Draft, Exchange, Maker, wording};
use gmai_schema::{BoundingBox, Form, Language, Region};

const QUESTION: Phrases = Phrases {
    id: "caption/question@1",
    en: &[
        "Describe this medical image.",
        "Please generate a description of this image.",
        "Could you kindly provide a caption that gives an overview of this medical image?",
        "What does this medical image show? Describe it as a whole.",
        "Write a caption for this image.",
        "Summarize what can be stated about this image.",
        "Please give an overview of the medical image shown here.",
        "Provide a factual description of this medical image.",
    ],
    zh: &[
        "请描述这幅医学图像。",
        "请为该图像生成一段描述。",
        "请概括介绍这幅医学图像的内容。",
        "这幅医学图像显示了什么？请作整体描述。",
        "请为这幅图像写一段说明文字。",
        "请总结该图像中可以确定的信息。",
        "请对所示医学图像作一概述。",
        "请客观描述这幅医学图像。",
    ],
};

const OPENING: Phrases = Phrases {
    id: "caption/opening@1",
    en: &[
        "This is {image}.",
        "The picture is {image}.",
        "Shown here is {image}.",
        "The image presented is {image}.",
        "What is shown is {image}.",
        "This medical image is {image}.",
    ],
    zh: &[
        "这是一幅{image}。",
        "图中所示为{image}。",
        "该图为{image}。",
        "所示图像为{image}。",
        "本图是一幅{image}。",
        "这幅医学图像是{image}。",
    ],
};

const PLANE: Phrases = Phrases {
    id: "caption/plane@1",
    en: &[
        "The slice is {plane}.",
        "It was cut in the {plane} plane.",
        "The view is {plane}.",
        "It shows {article} {plane} slice.",
        "The slice lies in the {plane} plane.",
        "The section plane is {plane}.",
    ],
    zh: &[
        "切面为{plane}。",
        "该切片为{plane}。",
        "图像取自{plane}。",
        "所示为{plane}切片。",
        "切片方向为{plane}。",
        "断面为{plane}。",
    ],
};

const BODY_PART: Phrases = Phrases {
    id: "caption/body_part@1",
    en: &[
        "It shows the following part of the body: {part}.",
        "The body part is: {part}.",
        "Part of the body shown: {part}.",
        "The region of the body is: {part}.",
        "Body region: {part}.",
        "What was imaged is this part of the body: {part}.",
    ],
    zh: &[
        "检查部位为{part}。",
        "图像显示的部位是{part}。",
        "所示部位为{part}。",
        "成像部位：{part}。",
        "该图像的检查部位为{part}。",
        "身体部位为{part}。",
    ],
};

const DEPARTMENT: Phrases = Phrases {
    id: "caption/department@1",
    en: &[
        "It belongs to the field of {department}.",
        "The clinical field is {department}.",
        "The department concerned is {department}.",
        "It is an image from {department}.",
        "It falls within {department}.",
        "Its clinical department is {department}.",
    ],
    zh: &[
        "该图像属于{department}。",
        "所属科室为{department}。",
        "相关科室为{department}。",
        "图像来自{department}。",
        "临床科室为{department}。",
        "该图像归属于{department}领域。",
    ],
};

const LABEL: Phrases = Phrases {
    id: "caption/label@1",
    en: &[
        "The {attribute} is {value}.",
        "It is labelled with the {attribute} {value}.",
        "{attribute}: {value}.",
        "The annotated {attribute} is {value}.",
        "For the {attribute}, the image is labelled {value}.",
        "As to the {attribute}, it is {value}.",
    ],
    zh: &[
        "{attribute}为{value}。",
        "{attribute}：{value}。",
        "图像标注的{attribute}为{value}。",
        "其{attribute}是{value}。",
        "就{attribute}而言，标注为{value}。",
        "该图像的{attribute}为{value}。",
    ],
};

const COUNTED: Phrases = Phrases {
    id: "caption/counted@1",
    en: &[
        "The following can be seen, with their numbers: {list}.",
        "Marked in the image, by number: {list}.",
        "The image contains {list}.",
        "Numbers of what is marked: {list}.",
        "Visible in the image: {list}.",
        "The marked objects are {list}.",
    ],
    zh: &[
        "图中可见（括号内为数量）：{list}。",
        "图像中标注的目标及数量：{list}。",
        "图像包含{list}。",
        "标注目标的数量如下：{list}。",
        "可见目标：{list}。",
        "所标注的目标为{list}。",
    ],
};

const UNCOUNTED: Phrases = Phrases {
    id: "caption/uncounted@1",
    en: &[
        "Among other things, the following is marked: {list}.",
        "The image shows {list}.",
        "Marked in the image: {list}.",
        "It includes {list}.",
        "One can see {list}.",
        "Visible in the image: {list}.",
    ],
    zh: &[
        "图中标注有{list}。",
        "图像显示{list}。",
        "图像中可见{list}。",
        "其中包括{list}。",
        "可以看到{list}。",
        "图中可见{list}。",
    ],
};

const POSITION: Phrases = Phrases {
    id: "caption/position@1",
    en: &[
        "{name} lies {place}.",
        "{name} is located {place}.",
        "{name} is found {place}.",
        "{name} can be seen {place}.",
        "{name} is marked {place}.",
        "{name} appears {place}.",
    ],
    zh: &[
        "{name}位于{place}。",
        "{name}见于{place}。",
        "在{place}可见{name}。",
        "{place}可见{name}。",
        "{name}标注于{place}。",
        "{name}出现在{place}。",
    ],
};

/// Positions named in one caption, at most: with more the text becomes a table of boxes.
const MAX_POSITIONS: usize = 3;
/// Names of regions in one caption, at most, when they are not all counted.
const MAX_NAMES: usize = 12;
/// Share of captions that name the clinical department.
const DEPARTMENT_SHARE: f32 = 0.4;

/// Adds the captions of a record.
pub(super) fn write(maker: &mut Maker) {
    maker.slot("caption", maker.options.per_record.image_captions, |maker, language, dice, _| {
        caption(maker, language, dice)
    });
}

fn caption(maker: &Maker, language: Language, dice: &mut Dice) -> Option<Draft> {
    let record = maker.record;
    let question = QUESTION.pick(language, dice);
    let mut sentences = Vec::new();
    if let Some(modality) = record.modality {
        let opening = OPENING.pick(language, dice);
        sentences.push(opening.fill(&[("image", wording::image_noun(modality, language))]));
    }
    if let Some(slice) = record.provenance.slice {
        let plane = wording::plane(slice.axis, language);
        let article = if plane.starts_with('a') { "an" } else { "a" };
        sentences.push(PLANE.pick(language, dice).fill(&[("plane", plane), ("article", article)]));
    }
    if let Some(part) = record.body_part {
        sentences.push(BODY_PART.pick(language, dice).fill(&[("part", part.name(language))]));
    }
    sentences.extend(label_sentences(maker, language, dice)?);
    let marked = region_sentences(maker, language, dice)?;
    sentences.extend(marked.sentences);
    if sentences.is_empty() {
        return None; // The department alone describes nothing.
    }
    if dice.chance(DEPARTMENT_SHARE) {
        let department = DEPARTMENT.pick(language, dice);
        sentences.insert(1, department.fill(&[("department", record.department.name(language))]));
    }
    let answer = match language {
        Language::En | Language::Ja => sentences.join(" "),
        Language::Zh => sentences.concat(),
    };
    Some(Draft {
        form: Form::ImageCaption,
        exchanges: vec![Exchange { question: question.fill(&[]), answer }],
        quiz: None,
        attribute: None,
        task: maker.main_task(),
        boxes: marked.bounds,
        generator: question.generator(),
    })
}

/// One sentence per attribute that the record labels; `None` when a name is missing in this language.
fn label_sentences(maker: &Maker, language: Language, dice: &mut Dice) -> Option<Vec<String>> {
    let mut sentences = Vec::new();
    for attribute in &maker.facts.attributes {
        let Some(known) = maker.known(attribute) else { continue };
        let values = known.values();
        let names: Vec<&str> = values.iter().map(|value| value.text(language)).collect::<Option<_>>()?;
        let facts = [("attribute", attribute.name.text(language)?), ("value", &wording::joined(&names, language))];
        sentences.push(LABEL.pick(language, dice).fill(&facts));
    }
    Some(sentences)
}

/// Sentences about what is marked, and the boxes whose place they tell.
#[derive(Default)]
struct Marked {
    sentences: Vec<String>,
    bounds: Vec<BoundingBox>,
}

/// What is marked, how often (only where every instance is marked), and where.
fn region_sentences(maker: &Maker, language: Language, dice: &mut Dice) -> Option<Marked> {
    let (regions, points) = (&maker.record.regions, &maker.record.points);
    if regions.is_empty() && points.is_empty() {
        return Some(Marked::default());
    }
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for term in regions.iter().map(|region| &region.term).chain(points.iter().map(|point| &point.term)) {
        let name = term.text(language)?;
        match counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => counts.push((name, 1)),
        }
    }
    let list = if maker.facts.regions_exhaustive {
        let counted: Vec<String> = counts.iter().map(|(name, count)| counted(name, *count, language)).collect();
        let names: Vec<&str> = counted.iter().map(String::as_str).collect();
        COUNTED.pick(language, dice).fill(&[("list", &wording::joined(&names, language))])
    } else {
        let names: Vec<&str> = counts.iter().map(|(name, _)| *name).take(MAX_NAMES).collect();
        UNCOUNTED.pick(language, dice).fill(&[("list", &wording::joined(&names, language))])
    };
    let mut sentences = vec![list];
    // A position is told of names that are marked once: "the cell lies ..." must not mean one of many.
    let mut single: Vec<&Region> = regions
        .iter()
        .filter(|region| counts.iter().any(|(name, count)| Some(*name) == region.term.text(language) && *count == 1))
        .collect();
    dice.shuffle(&mut single);
    single.truncate(MAX_POSITIONS);
    for region in &single {
        let facts = [("name", region.term.text(language)?), ("place", wording::place(&region.bounds, language))];
        sentences.push(POSITION.pick(language, dice).fill(&facts));
    }
    Some(Marked { bounds: single.iter().map(|region| region.bounds).collect(), sentences })
}

/// A name with its number: `white blood cell (2)`.
fn counted(name: &str, count: usize, language: Language) -> String {
    match language {
        Language::En | Language::Ja => format!("{name} ({count})"),
        Language::Zh => format!("{name}（{count}）"),
    }
}
