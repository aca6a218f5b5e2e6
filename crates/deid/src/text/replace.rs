//! What is written in place of an identifier: a tag, a made-up value of the same form, or a blank.

use super::{Kind, Span};
use crate::date::Day;
use crate::key::Key;
use crate::profile::{Profile, ProfileOption, Replacement};

/// What becomes of dates in texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextDates {
    /// Replaced as any identifier.
    Replace,
    /// Moved by the patient's days; one that cannot be read is replaced.
    Shift,
    /// Left as they are.
    Keep,
}

impl TextDates {
    /// As the profile treats dates in headers.
    pub fn of(profile: &Profile) -> TextDates {
        if profile.has(ProfileOption::RetainFullDates) {
            TextDates::Keep
        } else if profile.has(ProfileOption::RetainModifiedDates) {
            TextDates::Shift
        } else {
            TextDates::Replace
        }
    }
}

/// How identifiers of one patient are replaced.
#[derive(Debug, Clone, Copy)]
pub struct Style<'s> {
    /// What is written.
    pub replacement: Replacement,
    /// What becomes of dates.
    pub dates: TextDates,
    /// The project's secret: the same value always gets the same replacement.
    pub key: &'s Key,
    /// The patient whose dates are moved, as PatientID has it.
    pub patient: &'s str,
}

const GIVEN: [&str; 16] = [
    "Alex", "Robin", "Kim", "Sasha", "Jordan", "Noa", "Andrea", "Cris", "Ariel", "Dani", "Gene", "Jamie", "Lou",
    "Morgan", "Sam", "Toni",
];
const FAMILY: [&str; 16] = [
    "Abbot", "Barros", "Castell", "Duran", "Eliot", "Ferro", "Galvan", "Holt", "Ibarra", "Keller", "Larsen", "Molina",
    "Norton", "Ortega", "Prescott", "Rovira",
];
const HAN_FAMILY: [&str; 8] = ["赵", "钱", "孙", "李", "周", "吴", "郑", "冯"];
const HAN_GIVEN: [&str; 8] = ["文", "华", "明", "平", "安", "宁", "新", "立"];
const PLACES: [&str; 8] =
    ["Northfield", "Eastmere", "Villanueva", "Riverton", "Montalto", "Lakeside", "Sanford", "Puente"];

const ENGLISH_MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const SPANISH_MONTHS: [&str; 12] = [
    "enero",
    "febrero",
    "marzo",
    "abril",
    "mayo",
    "junio",
    "julio",
    "agosto",
    "septiembre",
    "octubre",
    "noviembre",
    "diciembre",
];

impl Style<'_> {
    /// The text with every span replaced. Spans are in order and do not overlap, as [`Finder::find`](super::Finder::find) gives them.
    pub fn replace(&self, text: &str, spans: &[Span]) -> String {
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        for span in spans {
            out.push_str(&text[at..span.start]);
            out.push_str(&self.value(text, *span));
            at = span.end;
        }
        out.push_str(&text[at..]);
        out
    }

    fn value(&self, text: &str, span: Span) -> String {
        if span.kind == Kind::Date && self.dates != TextDates::Replace {
            let date = &text[span.start..span.end];
            let moved = || self.moved(date, is_day_first(text)).unwrap_or_else(|| "[DATE]".into());
            return if self.dates == TextDates::Keep { date.to_string() } else { moved() };
        }
        match self.replacement {
            Replacement::Tag => format!("[{}]", span.kind.key().to_uppercase()),
            Replacement::Blank => "____".to_string(),
            Replacement::Surrogate => self.surrogate(&text[span.start..span.end], span.kind, is_day_first(text)),
        }
    }

    fn surrogate(&self, value: &str, kind: Kind, order: DayOrder) -> String {
        let hash = self.key.hash(kind.key(), value.trim().to_lowercase().as_bytes());
        let wide = value.chars().any(|letter| u32::from(letter) >= 0x2E80);
        let pick = |list: &[&'static str], byte: usize| list[usize::from(hash[byte]) % list.len()];
        match kind {
            Kind::Name if wide => format!("{}{}", pick(&HAN_FAMILY, 0), pick(&HAN_GIVEN, 1)),
            Kind::Name if value.split_whitespace().count() == 1 => pick(&FAMILY, 0).to_string(),
            Kind::Name => format!("{} {}", pick(&GIVEN, 1), pick(&FAMILY, 0)),
            Kind::Date => self.moved(value, order).unwrap_or_else(|| "[DATE]".to_string()),
            // All ages above 89 become one.
            Kind::Age => rewritten(value, &numbers_of(value), [90, 0, 0]),
            Kind::Phone | Kind::Id => other_digits(value, &hash),
            Kind::Email => format!("person{}@example.org", u16::from_be_bytes([hash[0], hash[1]])),
            Kind::Url => "https://example.org".to_string(),
            Kind::Address if wide => format!("和平路{}号", u16::from(hash[0]) + 1),
            Kind::Address => format!("{} Street {}", pick(&PLACES, 0), u16::from(hash[1]) + 1),
            Kind::Place if value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') => {
                other_digits(value, &hash)
            }
            Kind::Place if wide => "某市".to_string(),
            Kind::Place => pick(&PLACES, 0).to_string(),
            Kind::Hospital if wide => "某医院".to_string(),
            Kind::Hospital => format!("Hospital {}", pick(&PLACES, 0)),
        }
    }

    /// The date moved by the patient's days, written as it was; `None` when it cannot be read.
    fn moved(&self, value: &str, order: DayOrder) -> Option<String> {
        let days = self.key.shift_days(self.patient);
        let numbers = numbers_of(value);
        let lower = value.to_lowercase();
        // Abbreviations of English only: "may" is no Spanish month.
        let spanish = SPANISH_MONTHS.iter().position(|month| has_word(&lower, month));
        let english = ENGLISH_MONTHS.iter().position(|month| has_word(&lower, month) || has_word(&lower, &month[..3]));
        if let Some(month) = spanish {
            return moved_words(&numbers, month, days, &SPANISH_MONTHS, " de ");
        }
        if let Some(month) = english {
            return moved_words(&numbers, month, days, &ENGLISH_MONTHS, " ");
        }
        let number = |index: usize| numbers.get(index).map(|(_, text)| text.parse::<i64>().unwrap_or(0));
        match (number(0), number(1), number(2)) {
            (Some(year), Some(month), Some(day)) if year >= 1000 => {
                let day = Day::new(year, month as u32, day as u32)?.shifted(days);
                Some(rewritten(value, &numbers, [day.year, day.month.into(), day.day.into()]))
            }
            (Some(first), Some(second), Some(year)) => {
                let year = if year < 100 { year + if year < 50 { 2000 } else { 1900 } } else { year };
                let day_first = first > 12 || (second <= 12 && order == DayOrder::DayFirst);
                let (day, month) = if day_first { (first, second) } else { (second, first) };
                let day = Day::new(year, month as u32, day as u32)?.shifted(days);
                let [a, b] = if day_first { [day.day, day.month] } else { [day.month, day.day] };
                Some(rewritten(value, &numbers, [a.into(), b.into(), day.year]))
            }
            (Some(year), Some(month), None) if year >= 1000 => {
                let day = Day::new(year, month as u32, 15)?.shifted(days);
                Some(rewritten(value, &numbers, [day.year, day.month.into(), 0]))
            }
            (Some(month), Some(year), None) if year >= 1000 => {
                let day = Day::new(year, month as u32, 15)?.shifted(days);
                Some(rewritten(value, &numbers, [day.month.into(), day.year, 0]))
            }
            (Some(year), None, None) if (1000..3000).contains(&year) => {
                let day = Day::new(year, 7, 1)?.shifted(days);
                Some(rewritten(value, &numbers, [day.year, 0, 0]))
            }
            _ => None,
        }
    }
}

/// Which of two numbers of a date is the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DayOrder {
    DayFirst,
    MonthFirst,
}

/// Only English texts (told by their commonest words) may put the month first.
fn is_day_first(text: &str) -> DayOrder {
    let head: String = text.chars().take(4000).collect::<String>().to_lowercase();
    let count = |words: &[&str]| head.split_whitespace().filter(|word| words.contains(word)).count();
    let english = count(&["the", "of", "with", "and", "is", "was", "patient", "on"]);
    let spanish = count(&["el", "la", "de", "con", "del", "los", "que", "paciente"]);
    if english > spanish { DayOrder::MonthFirst } else { DayOrder::DayFirst }
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|letter: char| !letter.is_alphabetic()).any(|part| part == word)
}

/// Runs of digits with their places.
fn numbers_of(value: &str) -> Vec<(usize, &str)> {
    let mut numbers = Vec::new();
    let mut rest = 0;
    while let Some(start) = value[rest..].find(|letter: char| letter.is_ascii_digit()).map(|at| at + rest) {
        let end = value[start..].find(|letter: char| !letter.is_ascii_digit()).map_or(value.len(), |at| at + start);
        numbers.push((start, &value[start..end]));
        rest = end;
    }
    if let [(start, text)] = numbers[..]
        && text.len() == 8
    {
        numbers = vec![(start, &text[..4]), (start + 4, &text[4..6]), (start + 6, &text[6..])];
    }
    numbers
}

/// Puts new numbers in the places of the old ones, as wide as they were.
fn rewritten(value: &str, numbers: &[(usize, &str)], new: [i64; 3]) -> String {
    let mut out = String::new();
    let mut at = 0;
    for ((start, old), new) in numbers.iter().zip(new) {
        out.push_str(&value[at..*start]);
        let new = if old.len() == 2 && new > 99 { new % 100 } else { new };
        let width = if old.starts_with('0') || old.len() == 4 { old.len() } else { 1 };
        out.push_str(&format!("{new:0width$}"));
        at = start + old.len();
    }
    out.push_str(&value[at..]);
    out
}

fn moved_words(
    numbers: &[(usize, &str)],
    month: usize,
    days: i64,
    months: &[&str; 12],
    between: &str,
) -> Option<String> {
    let parsed: Vec<i64> = numbers.iter().filter_map(|(_, text)| text.parse().ok()).collect();
    let year = parsed.iter().copied().find(|number| *number >= 1000);
    let day = parsed.iter().copied().find(|number| (1..=31).contains(number));
    let moved = Day::new(year.unwrap_or(2000), month as u32 + 1, day.unwrap_or(15) as u32)?.shifted(days);
    let mut parts = Vec::new();
    if day.is_some() {
        parts.push(moved.day.to_string());
    }
    parts.push(months[moved.month as usize - 1].to_string());
    if year.is_some() {
        parts.push(moved.year.to_string());
    }
    Some(parts.join(between))
}

/// The same form with other digits and letters.
fn other_digits(value: &str, hash: &[u8; 32]) -> String {
    let other = |(index, letter): (usize, char)| {
        let byte = hash[index % 32].wrapping_add((index / 32) as u8);
        match letter {
            '0'..='9' => char::from(b'0' + byte % 10),
            'A'..='Z' => char::from(b'A' + byte % 26),
            'a'..='z' => char::from(b'a' + byte % 26),
            other => other,
        }
    };
    value.chars().enumerate().map(other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(value: &str, order: DayOrder) -> Option<String> {
        let key = Key::new([3; 32]);
        Style { replacement: Replacement::Surrogate, dates: TextDates::Replace, key: &key, patient: "MRN1" }
            .moved(value, order)
    }

    #[test]
    fn dates_keep_their_distance_and_form() {
        let days = Key::new([3; 32]).shift_days("MRN1");
        let expected = Day::new(2019, 7, 22).expect("exists").shifted(days);
        let (year, month, day) = (expected.year, expected.month, expected.day);
        assert_eq!(moved("22/07/2019", DayOrder::DayFirst), Some(format!("{day}/{month:02}/{year:04}")));
        assert_eq!(moved("07-22-2019", DayOrder::MonthFirst), Some(format!("{month:02}-{day}-{year:04}")));
        assert_eq!(moved("2019年7月22日", DayOrder::DayFirst), Some(format!("{year}年{month}月{day}日")));
        assert_eq!(
            moved("22 de julio de 2019", DayOrder::DayFirst),
            Some(format!("{day} de {} de {year}", SPANISH_MONTHS[month as usize - 1]))
        );
        assert_eq!(
            moved("July 22, 2019", DayOrder::MonthFirst),
            Some(format!("{day} {} {year}", ENGLISH_MONTHS[month as usize - 1]))
        );
        assert_eq!(moved("someday", DayOrder::DayFirst), None);
    }

    #[test]
    fn the_same_value_gets_the_same_surrogate_and_never_itself() {
        let key = Key::new([3; 32]);
        let style =
            Style { replacement: Replacement::Surrogate, dates: TextDates::Replace, key: &key, patient: "MRN1" };
        let text = "MRN 1234567 and MRN 1234567";
        let spans = [Span { start: 4, end: 11, kind: Kind::Id }, Span { start: 20, end: 27, kind: Kind::Id }];
        let replaced = style.replace(text, &spans);
        assert_eq!(replaced[4..11], replaced[20..27]);
        assert_ne!(&replaced[4..11], "1234567");
    }
}
