//! Places, counts, sizes and grades of a text against the record's boxes and numbers.

use super::contradiction::Judge;
use super::lexicon::{Id, Kind};
use super::mention::{Mention, Polarity, Text};
use super::number::{self, Count, FoundCount};
use super::support::Standing;
use super::{Rule, Violation, position};
use gmai_schema::BoundingBox;
use std::ops::Range;

/// Words that may stand for whatever is marked.
const THINGS: &[&str] =
    &["lesion", "region", "area", "structure", "object", "instance", "abnormality", "finding", "spot", "item"];

/// How far a counted thing may stand behind its number, in tokens.
const REACH: usize = 6;

/// How far a share of the picture may be off, in points and as a part of the true share.
const SHARE_POINTS: f64 = 5.0;
const SHARE_PART: f64 = 0.35;

/// Adds what is wrong with places, counts, sizes and grades.
pub(super) fn check(
    judge: &Judge,
    text: &Text,
    question: Option<&Text>,
    own: &[Mention],
    known: &[Mention],
    violations: &mut Vec<Violation>,
) {
    places(judge, text, own, known, violations);
    counts(judge, text, question, own, known, violations);
    measures(judge, text, own, violations);
    if judge.is_region {
        sizes(judge, text, own, known, violations);
    }
    for found in number::grades(text) {
        if !judge.support.grades.contains(&found.grade) {
            let told: Vec<String> =
                judge.support.grades.iter().map(|grade| format!("{} {}", grade.scale, grade.value)).collect();
            let reason = if told.is_empty() {
                "but the record tells no grade".to_string()
            } else {
                format!("but the record says {}", told.join(", "))
            };
            violations.push(Violation::new(Rule::Grade, text.words(&found.tokens), reason));
        }
    }
}

/// The boxes that a sentence speaks of: those of the marked things that it names, else the only one.
fn boxes_in(judge: &Judge, own: &[Mention], sentence: usize) -> Vec<BoundingBox> {
    let support = judge.support;
    let named = own.iter().filter(|mention| mention.sentence == sentence && mention.polarity == Polarity::Affirmed);
    let boxes: Vec<BoundingBox> =
        named.flat_map(|mention| &mention.ids).flat_map(|id| support.boxes_of(Some(*id))).collect();
    let all = support.boxes_of(None);
    if boxes.is_empty() && all.len() == 1 { all } else { boxes }
}

fn places(judge: &Judge, text: &Text, own: &[Mention], known: &[Mention], violations: &mut Vec<Violation>) {
    let claims = position::claims(text, known, judge.lexicon);
    for claim in &claims {
        let sentence = text.words(&text.sentences[claim.sentence]).to_lowercase();
        let reaches =
            ["extend", "from ", "across", "spread", "toward", "延伸", "从", "跨", "から", "至", "between", "both"]
                .iter()
                .any(|word| sentence.contains(word));
        let several = claims.iter().filter(|other| other.sentence == claim.sentence).count() > 1;
        if reaches && several {
            continue; // From one place to another.
        }
        let boxes = boxes_in(judge, own, claim.sentence);
        if !boxes.is_empty() && !boxes.iter().any(|bounds| claim.place.holds(bounds)) {
            violations.push(Violation::new(Rule::Position, text.words(&claim.tokens), "is not where the box lies"));
        }
    }
}

/// How many there are of what a mention names; `None` when it names nothing that is marked.
fn number_of(judge: &Judge, own: &[Mention], known: &[Mention], at: usize) -> Option<u64> {
    let support = judge.support;
    let begins = |mention: &&Mention| mention.tokens.start == at;
    if let Some(mention) = own.iter().find(begins) {
        let marked =
            |id: &&Id| support.own[**id].region_term.is_some() && support.own[**id].standing == Standing::Holds;
        let id = mention.ids.iter().find(marked)?;
        return Some(support.boxes_of(Some(*id)).len() as u64);
    }
    let mention = known.iter().find(begins)?;
    let counted = |id: &Id| matches!(judge.lexicon.concepts[*id].kind, Kind::Finding | Kind::Structure | Kind::Organ);
    let ids: Vec<Id> = mention.ids.iter().copied().filter(counted).collect();
    let total: usize = support
        .own
        .iter()
        .enumerate()
        .filter(|(_, own)| own.region_term.is_some() && own.standing == Standing::Holds)
        .filter(|(_, own)| ids.iter().any(|id| judge.lexicon.upwards(own.heads.iter().copied()).contains(id)))
        .map(|(index, _)| support.boxes_of(Some(index)).len())
        .sum();
    (total > 0).then_some(total as u64)
}

fn counts(
    judge: &Judge,
    text: &Text,
    question: Option<&Text>,
    own: &[Mention],
    known: &[Mention],
    violations: &mut Vec<Violation>,
) {
    if judge.support.boxes.is_empty() {
        return;
    }
    for found in number::counts(text) {
        let Some(expected) = counted(judge, text, question, own, known, &found) else { continue };
        let is_wrong = match found.count {
            Count::Exactly(value) => value != expected,
            Count::Several => expected == 1 && judge.support.is_complete && !judge.is_region,
        };
        if is_wrong {
            let reason = format!("but {expected} are marked");
            violations.push(Violation::new(Rule::Number, around(text, &found), reason));
        }
    }
}

fn around<'a>(text: &Text<'a>, found: &FoundCount) -> &'a str {
    let end = (found.tokens.end + 3).min(text.sentences[found.sentence].end);
    text.words(&(found.tokens.start..end))
}

/// How many there are of what a number counts.
fn counted(
    judge: &Judge,
    text: &Text,
    question: Option<&Text>,
    own: &[Mention],
    known: &[Mention],
    found: &FoundCount,
) -> Option<u64> {
    let sentence = &text.sentences[found.sentence];
    let behind = found.tokens.end..(found.tokens.end + REACH).min(sentence.end);
    let in_front = found.tokens.start.saturating_sub(2 * REACH).max(sentence.start)..found.tokens.start;
    let stops = |at: &usize| {
        matches!(
            text.tokens[*at].plain.as_str(),
            "." | "。" | "in" | "with" | "at" | "on" | "which" | "that" | "，" | "、" | "and" | "和"
        )
    };
    let mut first_stop = behind.clone();
    first_stop.end = behind.clone().find(stops).unwrap_or(behind.end);
    for at in first_stop.clone() {
        if let Some(number) = number_of(judge, own, known, at) {
            return Some(number);
        }
        if THINGS.contains(&text.tokens[at].word.as_str()) {
            return Some(judge.support.boxes.len() as u64);
        }
    }
    let is_cjk = text.language != gmai_schema::Language::En;
    if (is_cjk || text.plain(first_stop).next().is_none())
        && let Some(number) = in_front.rev().find_map(|at| number_of(judge, own, known, at))
    {
        return Some(number);
    }
    // "How many polyps are there?" "Three."
    let question = question?;
    if sentence.len() > 5 {
        return None;
    }
    let (own, known) = (judge.support.own_in(question), question.concepts(judge.lexicon));
    (0..question.tokens.len()).find_map(|at| number_of(judge, &own, &known, at))
}

fn measures(judge: &Judge, text: &Text, own: &[Mention], violations: &mut Vec<Violation>) {
    for found in number::measures(text) {
        let words = text.words(&found.tokens);
        if judge.support.measures.contains(&found.measure) {
            continue;
        }
        if found.measure.unit != "%" {
            violations.push(Violation::new(Rule::Size, words, "is a measure that the record does not tell"));
            continue;
        }
        let boxes = boxes_in(judge, own, found.sentence);
        let boxes = if boxes.is_empty() { judge.support.boxes_of(None) } else { boxes };
        let fits = |bounds: &BoundingBox| {
            let share = f64::from(bounds.area()) * 100.0;
            (found.measure.value - share).abs() <= SHARE_POINTS.max(share * SHARE_PART)
        };
        if !boxes.iter().any(fits) {
            violations.push(Violation::new(Rule::Size, words, "is not the share of the picture that the box covers"));
        }
    }
}

/// Adjectives of size from very small to large, as steps 0 to 3.
fn step(word: &str, previous: &str) -> Option<usize> {
    match word {
        "tiny" | "minute" | "minuscule" | "punctate" | "微" => Some(0),
        "small" | "little" if previous == "very" || previous == "extremely" => Some(0),
        "small" | "little" | "小" => Some(1),
        "large" | "big" | "huge" | "massive" | "extensive" | "giant" | "enormous" | "sizeable" | "大" | "巨" => {
            Some(3)
        }
        _ => None,
    }
}

/// The same steps for a box: below 1 %, below 5 %, below 20 % of the picture, or more.
fn true_step(bounds: &BoundingBox) -> usize {
    [0.01, 0.05, 0.20].iter().filter(|limit| bounds.area() >= **limit).count()
}

/// "This region shows a large polyp" against its box.
fn sizes(judge: &Judge, text: &Text, own: &[Mention], known: &[Mention], violations: &mut Vec<Violation>) {
    let Some(bounds) = judge.support.boxes_of(None).first().copied() else { return };
    for range in &text.sentences {
        for at in range.clone() {
            let word = text.tokens[at].plain.as_str();
            let previous = if at > range.start { text.tokens[at - 1].plain.as_str() } else { "" };
            let next = text.tokens.get(at + 1).map(|token| token.plain.as_str()).unwrap_or_default();
            let is_word = text.language == gmai_schema::Language::En
                || matches!(previous, "较" | "很" | "极" | "巨" | "个" | "的" | "非")
                || next == "的"
                || next == "き"
                || next == "さ";
            let (Some(said), true) = (step(word, previous), is_word) else { continue };
            if said.abs_diff(true_step(&bounds)) >= 2 && belongs_to_region(judge, text, own, known, at, range) {
                violations.push(Violation::new(
                    Rule::Size,
                    text.words(&(at..(at + 3).min(range.end))),
                    "is not the size of the box",
                ));
            }
        }
    }
}

/// Whether a word of size stands before what the region is, or is said of it.
fn belongs_to_region(
    judge: &Judge,
    text: &Text,
    own: &[Mention],
    known: &[Mention],
    at: usize,
    sentence: &Range<usize>,
) -> bool {
    let behind = at + 1..(at + 5).min(sentence.end);
    let is_region = |place: usize| {
        number_of(judge, own, known, place).is_some() || THINGS.contains(&text.tokens[place].word.as_str())
    };
    let previous = if at > sentence.start { text.tokens[at - 1].plain.as_str() } else { "" };
    let is_predicate = matches!(previous, "is" | "very" | "appears" | "extremely" | "较" | "很")
        && text.plain(behind.clone()).next().is_none_or(|word| matches!(word, "." | "," | "and" | "。" | "，"));
    behind.into_iter().any(is_region) || is_predicate
}
