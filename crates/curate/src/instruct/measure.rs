//! Measurements: what a number is, of the examination of a picture or of a list of results.

use super::classify::{self, Subject};
use super::dice::Dice;
use super::phrase::Phrases;
use super::{Draft, Maker};
use gmai_schema::{Language, Measurement, Task, Term};

const OF_IMAGE: Phrases = Phrases {
    id: "measure/of_image@1",
    en: &[
        "In the examination that this image is from, what was measured for {measure}?",
        "What is the {measure} in the examination shown?",
        "Which value was measured for {measure} in this examination?",
        "For the examination of this image, state the {measure}.",
        "How large is the {measure} as measured in this examination?",
        "Give the measured {measure} for the examination of this image.",
    ],
    zh: &[
        "在该图像所属的检查中，{measure}的测量值是多少？",
        "所示检查中的{measure}是多少？",
        "本次检查测得的{measure}是多少？",
        "请给出该图像所属检查的{measure}。",
        "本次检查中测量的{measure}为多少？",
        "请说明该图像所属检查中测得的{measure}。",
    ],
};

const OF_LIST: Phrases = Phrases {
    id: "measure/of_list@1",
    en: &[
        "These are the results of an examination:\n{list}\n\nWhat is the value for {measure}?",
        "Results:\n{list}\n\nWhich value was found for {measure}?",
        "{list}\n\nState the value of {measure} from these results.",
        "Consider these results.\n{list}\n\nWhat was measured for {measure}?",
        "From the following results, give the value for {measure}.\n{list}",
        "An examination gave the following.\n{list}\n\nHow large is the value for {measure}?",
    ],
    zh: &[
        "以下是一项检查的结果：\n{list}\n\n{measure}的数值是多少？",
        "结果：\n{list}\n\n{measure}测得多少？",
        "{list}\n\n请从上述结果中给出{measure}的数值。",
        "请看以下结果。\n{list}\n\n{measure}的测量值是多少？",
        "请根据以下结果给出{measure}的数值。\n{list}",
        "一项检查得到以下结果。\n{list}\n\n{measure}是多少？",
    ],
};

const NUMBER_EN: &str = " Give the number with its unit.";
const NUMBER_ZH: &str = "请给出数值及单位。";

/// Results in one list, at most: longer ones are cut to those around the one that is asked for.
const MAX_LISTED: usize = 40;

/// Adds the questions on measurements of a record.
pub(super) fn write(maker: &mut Maker) {
    let copies = maker.options.per_record.measurement_questions;
    let table = if maker.record.pixels.num_pictures() == 0 { &OF_LIST } else { &OF_IMAGE };
    maker.slot("measurement", copies, |maker, language, dice, _| ask(maker, table, language, dice));
}

fn ask(maker: &Maker, table: &Phrases, language: Language, dice: &mut Dice) -> Option<Draft> {
    let all = &maker.record.measurements;
    let name = |measurement: &Measurement| subject(measurement, language);
    // What was measured twice has no single value.
    let is_single = |measurement: &&Measurement| {
        let twin = |other: &&Measurement| {
            (&other.name, &other.site, &other.finding) == (&measurement.name, &measurement.site, &measurement.finding)
        };
        name(measurement).is_some() && all.iter().filter(twin).count() == 1
    };
    let single: Vec<&Measurement> = all.iter().filter(is_single).collect();
    let asked = *dice.choose(&single)?;
    let place = all.iter().position(|measurement| measurement == asked)?;
    let start = place.saturating_sub(MAX_LISTED / 2);
    let colon = if language == Language::Zh { "：" } else { ": " };
    let line = |measurement: &Measurement| Some(format!("{}{colon}{}", name(measurement)?, measurement.quantity()));
    let list: Vec<String> = all.iter().skip(start).take(MAX_LISTED).filter_map(line).collect();
    if maker.record.pixels.num_pictures() == 0 && list.len() < 2 {
        return None; // The list would be the answer.
    }
    let question = table.pick(language, dice);
    let instruction = match language {
        Language::En | Language::Ja => NUMBER_EN,
        Language::Zh => NUMBER_ZH,
    };
    let facts = [("measure", name(asked)?), ("list", list.join("\n"))];
    let facts = facts.each_ref().map(|(key, value)| (*key, value.as_str()));
    let about = Subject { attribute: "measurement".to_owned(), task: Task::AttributeRecognition };
    Some(classify::open(about, &question, &facts, vec![asked.quantity()], instruction))
}

/// What was measured, with finding and site in brackets; `None` when a name is missing in this language.
fn subject(measurement: &Measurement, language: Language) -> Option<String> {
    let parts = [&measurement.finding, &measurement.site].into_iter().flatten();
    let parts: Vec<&str> = parts.map(|term: &Term| term.text(language)).collect::<Option<_>>()?;
    let name = measurement.name.text(language)?;
    Some(match (parts.is_empty(), language) {
        (true, _) => name.to_owned(),
        (false, Language::En | Language::Ja) => format!("{name} ({})", parts.join(", ")),
        (false, Language::Zh) => format!("{name}（{}）", parts.join("、")),
    })
}
