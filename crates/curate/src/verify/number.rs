//! Counts, sizes and grades in a text.

use super::mention::Text;
use super::token::TokenKind;
use std::ops::Range;

/// A scale with a value on it: grade 2, stage III, BI-RADS 4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grade {
    pub(super) scale: &'static str,
    pub(super) value: String,
}

/// A grade in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FoundGrade {
    pub(super) grade: Grade,
    pub(super) tokens: Range<usize>,
}

/// A length, area or share with its unit.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Measure {
    pub(super) value: f64,
    pub(super) unit: &'static str,
}

/// A measure in a text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FoundMeasure {
    pub(super) measure: Measure,
    pub(super) sentence: usize,
    pub(super) tokens: Range<usize>,
}

/// A number of things in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FoundCount {
    pub(super) count: Count,
    pub(super) sentence: usize,
    pub(super) tokens: Range<usize>,
}

/// How many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    /// So many.
    Exactly(u64),
    /// More than one.
    Several,
}

/// What "one" does where it is no number: "One finds exactly two."
const OF_A_PERSON: &[&str] = &[
    "can",
    "could",
    "may",
    "might",
    "must",
    "should",
    "would",
    "will",
    "counts",
    "discerns",
    "finds",
    "identifies",
    "notes",
    "notices",
    "observes",
    "recognises",
    "recognizes",
    "sees",
];

const WORDS: &[&str] = &[
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
];

const CJK_DIGITS: &[char] = &['〇', '一', '二', '三', '四', '五', '六', '七', '八', '九'];

/// Words that count things in Chinese and Japanese.
const COUNTERS: &[&str] =
    &["个", "枚", "处", "只", "块", "条", "颗", "粒", "例", "根", "つ", "個", "箇", "本", "匹", "か", "ヶ", "カ", "团"];

/// The value of a Chinese or Japanese number up to 99; how many tokens it takes.
fn cjk_number(text: &Text, at: usize) -> Option<(u64, usize)> {
    let digit = |index: usize| -> Option<u64> {
        let letter = text.tokens.get(index)?.plain.chars().next()?;
        match letter {
            '两' => Some(2),
            letter => CJK_DIGITS.iter().position(|digit| *digit == letter).map(|value| value as u64),
        }
    };
    let is_ten = |index: usize| text.tokens.get(index).is_some_and(|token| token.plain == "十");
    match (digit(at), is_ten(at), is_ten(at + 1)) {
        (Some(tens), _, true) => match digit(at + 2) {
            Some(ones) => Some((tens * 10 + ones, 3)),
            None => Some((tens * 10, 2)),
        },
        (Some(value), _, false) => Some((value, 1)),
        (None, true, _) => match digit(at + 1) {
            Some(ones) => Some((10 + ones, 2)),
            None => Some((10, 1)),
        },
        (None, false, _) => None,
    }
}

/// A whole number at a token, in digits or words.
fn whole_number(text: &Text, at: usize) -> Option<(u64, usize)> {
    let token = text.tokens.get(at)?;
    match token.kind {
        TokenKind::Number => token.plain.replace(',', "").parse().ok().map(|value| (value, 1)),
        TokenKind::Word => match token.plain.as_str() {
            "single" | "solitary" | "sole" | "lone" => Some((1, 1)),
            "pair" => Some((2, 1)),
            "dozen" => Some((12, 1)),
            "one" if text.tokens.get(at + 1).is_some_and(|next| OF_A_PERSON.contains(&next.plain.as_str())) => None,
            word => WORDS.iter().position(|known| *known == word).map(|value| (value as u64, 1)),
        },
        TokenKind::Character => cjk_number(text, at),
        TokenKind::Mark => None,
    }
}

/// The numbers of things that a text tells. Numbers of other things (sizes, grades, coordinates, "one of") are left out.
pub(super) fn counts(text: &Text) -> Vec<FoundCount> {
    let grades: Vec<Range<usize>> = grades(text).into_iter().map(|found| found.tokens).collect();
    let measures: Vec<Range<usize>> = measures(text).into_iter().map(|found| found.tokens).collect();
    let mut found = Vec::new();
    for (sentence, range) in text.sentences.iter().enumerate() {
        let mut at = range.start;
        while at < range.end {
            let word = text.tokens[at].plain.as_str();
            if matches!(word, "several" | "multiple" | "numerous" | "many" | "various") {
                found.push(FoundCount { count: Count::Several, sentence, tokens: at..at + 1 });
                at += 1;
                continue;
            }
            let Some((value, length)) = whole_number(text, at) else {
                at += 1;
                continue;
            };
            let tokens = at..at + length;
            let taken =
                grades.iter().chain(&measures).any(|other| other.start < tokens.end && tokens.start < other.end);
            if !taken && counts_things(text, &tokens, range) {
                found.push(FoundCount { count: Count::Exactly(value), sentence, tokens: tokens.clone() });
            }
            at = tokens.end;
        }
    }
    found
}

fn counts_things(text: &Text, tokens: &Range<usize>, sentence: &Range<usize>) -> bool {
    let plain = |index: usize| if sentence.contains(&index) { text.tokens[index].plain.as_str() } else { "" };
    let next = plain(tokens.end);
    let previous = if tokens.start > sentence.start { plain(tokens.start - 1) } else { "" };
    if text.tokens[tokens.start].kind == TokenKind::Character
        || (super::token::is_cjk(next.chars().next().unwrap_or(' ')))
    {
        return COUNTERS.contains(&next)
            && !matches!(previous, "第" | "每" | "这" | "那" | "该" | "另" | "同" | "某" | "其");
    }
    let is_part = matches!(
        next,
        "of" | "can"
            | "side"
            | "may"
            | "another"
            | "."
            | ","
            | ")"
            | "%"
            | "x"
            | "×"
            | "-"
            | "/"
            | "half"
            | "third"
            | "hand"
            | "would"
            | "might"
            | "should"
            | "must"
            | "sees"
            | "is"
            | "fold"
            | "year"
            | "sided"
            | "o"
    );
    let is_after = matches!(
        previous,
        "figure"
            | "no"
            | "this"
            | "that"
            | "the"
            | "type"
            | "at"
            | "least"
            | "most"
            | "every"
            | "each"
            | "-"
            | "["
            | "."
            | "/"
            | "than"
            | "only-"
            | "zone"
            | "level"
            | "t"
            | "number"
            | "not"
    );
    let is_pair_of = next == "of" && matches!(plain(tokens.start), "pair" | "dozen");
    is_pair_of || !(is_part || is_after && !matches!(previous, "least" | "the" | "most"))
}

fn unit(text: &Text, at: usize) -> Option<(&'static str, usize)> {
    let plain = |index: usize| text.tokens.get(index).map(|token| token.plain.as_str()).unwrap_or_default();
    let pair = [plain(at), plain(at + 1)].concat();
    match plain(at) {
        "mm" | "millimeter" | "millimeters" | "millimetre" | "millimetres" => Some(("mm", 1)),
        "cm" | "centimeter" | "centimeters" | "centimetre" | "centimetres" => Some(("cm", 1)),
        "um" | "µm" | "μm" | "micron" | "microns" | "micrometer" | "micrometers" | "micrometre" | "micrometres" => {
            Some(("um", 1))
        }
        "ml" | "milliliter" | "milliliters" | "cc" => Some(("ml", 1)),
        "%" | "percent" | "％" => Some(("%", 1)),
        "hu" => Some(("HU", 1)),
        "ミ" => Some(("mm", 2)),
        "セ" => Some(("cm", 3)),
        _ => match pair.as_str() {
            "毫米" => Some(("mm", 2)),
            "厘米" | "公分" => Some(("cm", 2)),
            "微米" => Some(("um", 2)),
            "毫升" => Some(("ml", 2)),
            "percentage" | "percent" => Some(("%", 2)),
            _ => None,
        },
    }
}

/// Numbers with a unit.
pub(super) fn measures(text: &Text) -> Vec<FoundMeasure> {
    let mut found = Vec::new();
    for (sentence, range) in text.sentences.iter().enumerate() {
        for at in range.clone() {
            let token = &text.tokens[at];
            let Ok(value) = token.plain.replace(',', "").parse::<f64>() else { continue };
            let hyphen = usize::from(text.tokens.get(at + 1).is_some_and(|token| token.plain == "-"));
            // "3 x 4 cm": the unit stands behind the last.
            let product = usize::from(
                text.tokens.get(at + 1).is_some_and(|token| matches!(token.plain.as_str(), "x" | "×" | "by")),
            ) * 2;
            let place = at + 1 + hyphen.max(product);
            if token.kind == TokenKind::Number
                && let Some((unit, length)) = unit(text, place)
            {
                found.push(FoundMeasure { measure: Measure { value, unit }, sentence, tokens: at..place + length });
            }
        }
    }
    found
}

/// The scale that a word begins.
fn scale(text: &Text, at: usize) -> Option<(&'static str, usize)> {
    let plain = |index: usize| text.tokens.get(index).map(|token| token.plain.as_str()).unwrap_or_default();
    match plain(at) {
        "grade" | "graded" | "グ" => Some(("grade", if plain(at) == "グ" { 4 } else { 1 })),
        "stage" | "staged" | "ス" => match plain(at) {
            "ス" if plain(at + 1) != "テ" => None,
            "ス" => Some(("stage", 4)),
            _ => Some(("stage", 1)),
        },
        "birads" | "pirads" | "lirads" | "tirads" => Some(("RADS", 1)),
        "bi" | "pi" | "li" | "ti" if plain(at + 1) == "-" && plain(at + 2) == "rads" => Some(("RADS", 3)),
        "kellgren" if plain(at + 2) == "lawrence" => Some(("KL", 3)),
        "kl" => Some(("KL", 1)),
        "gleason" => Some(("Gleason", 1)),
        "bosniak" => Some(("Bosniak", 1)),
        "score" => Some(("score", 1)),
        _ => None,
    }
}

fn level(text: &Text, at: usize) -> Option<String> {
    let token = text.tokens.get(at)?;
    let roman = ["i", "ii", "iii", "iv", "v", "vi"];
    if let Some(value) = roman.iter().position(|numeral| *numeral == token.plain) {
        return Some((value + 1).to_string());
    }
    let kind = token.kind;
    match kind {
        TokenKind::Number => Some(token.plain.clone()),
        TokenKind::Word => {
            let digits: String = token.plain.chars().take_while(char::is_ascii_digit).collect();
            let known = WORDS.iter().position(|word| *word == token.plain).map(|value| value.to_string());
            if digits.is_empty() { known } else { Some(digits) }
        }
        TokenKind::Character => cjk_number(text, at).map(|(value, _)| value.to_string()),
        TokenKind::Mark => None,
    }
}

/// Grades, stages and categories with their value.
pub(super) fn grades(text: &Text) -> Vec<FoundGrade> {
    let mut found = Vec::new();
    for at in 0..text.tokens.len() {
        if let Some((scale_name, length)) = scale(text, at) {
            let mut place = at + length;
            while text.tokens.get(place).is_some_and(|token| {
                matches!(
                    token.plain.as_str(),
                    "category"
                        | "grade"
                        | "score"
                        | "of"
                        | "-"
                        | ":"
                        | "is"
                        | "as"
                        | "class"
                        | "为"
                        | "("
                        | "分"
                        | "类"
                )
            }) {
                place += 1;
            }
            if let Some(value) = level(text, place) {
                found.push(FoundGrade { grade: Grade { scale: scale_name, value }, tokens: at..place + 1 });
            }
        }
        // 2级, III期, 三级.
        let next = text.tokens.get(at + 1).map(|token| token.plain.as_str()).unwrap_or_default();
        let after = text.tokens.get(at + 2).map(|token| token.plain.as_str()).unwrap_or_default();
        let scale_name = match next {
            "级" | "級" | "度" if after != "数" => Some("grade"),
            "期" => Some("stage"),
            "类" if text.tokens.len() > at + 1 => Some("RADS"),
            _ => None,
        };
        let is_first = at == 0 || !matches!(text.tokens[at - 1].plain.as_str(), "这" | "一" | "两" | "各");
        if let (Some(scale_name), Some(value), true) = (scale_name, level(text, at), is_first) {
            found.push(FoundGrade { grade: Grade { scale: scale_name, value }, tokens: at..at + 2 });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use gmai_schema::Language;

    fn counted(text: &str, language: Language) -> Vec<Count> {
        counts(&Text::new(text, language)).into_iter().map(|found| found.count).collect()
    }

    #[test]
    fn things_are_counted_and_other_numbers_are_not() {
        use Count::{Exactly, Several};
        for (text, language, expected) in [
            ("Three polyps and 2 nodules.", Language::En, vec![Exactly(3), Exactly(2)]),
            ("One of the polyps is 12 mm wide, grade 2.", Language::En, vec![]),
            ("One finds exactly two polyps; one polyp is large.", Language::En, vec![Exactly(2), Exactly(1)]),
            ("Multiple nuclei; a single cell.", Language::En, vec![Several, Exactly(1)]),
            ("图中有三个息肉，占12%。", Language::Zh, vec![Exactly(3)]),
            ("第二个，十五枚细胞核。", Language::Zh, vec![Exactly(15)]),
            ("赤血球が3個見られる。", Language::Ja, vec![Exactly(3)]),
        ] {
            assert_eq!(counted(text, language), expected, "{text}");
        }
    }

    #[test]
    fn grades_and_measures_are_read_with_their_scale() {
        let found = |text: &str, language| -> Vec<(&str, String)> {
            grades(&Text::new(text, language)).into_iter().map(|found| (found.grade.scale, found.grade.value)).collect()
        };
        assert_eq!(found("Stage III, BI-RADS category 4", Language::En), [("stage", "3".into()), ("RADS", "4".into())]);
        assert_eq!(found("骨关节炎2级", Language::Zh), [("grade", "2".to_string())]);
        let text = Text::new("It is 3 x 4 cm and covers about 12% of the image.", Language::En);
        let units: Vec<(f64, &str)> =
            measures(&text).iter().map(|found| (found.measure.value, found.measure.unit)).collect();
        assert_eq!(units, [(3.0, "cm"), (4.0, "cm"), (12.0, "%")]);
    }
}
