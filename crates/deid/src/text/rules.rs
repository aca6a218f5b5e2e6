//! Rules: a pattern and the kind of what it finds. Here those of no language.

use super::{Kind, Span, compiled};
use regex::Regex;

/// A pattern in writing. Its group 1 is the identifier; without groups all of it is.
pub(super) struct Pattern {
    pub(super) kind: Kind,
    pub(super) text: &'static str,
}

pub(super) const fn pattern(kind: Kind, text: &'static str) -> Pattern {
    Pattern { kind, text }
}

/// A pattern, compiled.
pub(super) struct Rule {
    kind: Kind,
    regex: Regex,
}

impl Rule {
    /// `{CAP}` stands for a capitalised word, `{NAME}` for one to six of them with the particles between, `{ID}` for a number with
    /// at least one digit,
    /// `{FAMILY}` for a Chinese family name.
    pub(super) fn new(pattern: &Pattern) -> Rule {
        Rule { kind: pattern.kind, regex: compiled(&expanded(pattern.text)) }
    }

    pub(super) fn spans<'t>(&'t self, text: &'t str) -> impl Iterator<Item = Span> + 't {
        self.regex.captures_iter(text).filter_map(|found| {
            let inner = if found.len() > 1 { found.get(1)? } else { found.get(0)? };
            Some(Span { start: inner.start(), end: inner.end(), kind: self.kind })
        })
    }
}

const CAP: &str = r"(?:[dlDL]['’´])?\p{Lu}(?:[\p{L}\p{M}]+(?:['’\-]\p{L}[\p{L}\p{M}]*)*|['’]\p{Lu}\p{L}+|\.)";
const PARTICLES: &str =
    r"(?:(?:de|del|la|las|los|y|i|e|da|do|dos|di|van|von|der|den|al|el|bin|ibn|De|Del|La|San|Santa)[ \t]+)*";
const ID: &str = r"[A-Za-z]{0,4}[ \-]?\d[\dA-Za-z]*(?:[ \-./]?\d[\dA-Za-z]*)*";

pub(super) fn expanded(pattern: &str) -> String {
    let name = format!(r"{CAP}(?:[ \t]+{PARTICLES}{CAP}){{0,5}}");
    let pattern = pattern.replace("{NAME}", &name).replace("{CAP}", CAP).replace("{ID}", ID);
    if pattern.contains("{FAMILY}") { pattern.replace("{FAMILY}", &families()) } else { pattern }
}

/// Chinese family names as alternatives, those of two characters first.
fn families() -> String {
    let mut names = lexicon(include_str!("lexicon/chinese_family.txt"));
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    format!("(?:{})", names.join("|"))
}

/// The entries of a lexicon file.
pub(super) fn lexicon(text: &'static str) -> Vec<&'static str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

pub(super) static PATTERNS: &[Pattern] = &[
    pattern(Kind::Email, r"[\p{L}\p{N}._%+\-]+(?: ?@ ?|\[at\]|\(at\))[\p{L}\p{N}\-]+(?:\.[\p{L}\p{N}\-]+)*\.\p{L}{2,}"),
    pattern(Kind::Email, r"[\p{L}\p{N}._%+\-]+@[\p{L}\p{N}.\-]+"),
    pattern(Kind::Url, r"(?i)(?-u:\b)(?:https?|ftp)://[^\s<>「」，。；]+"),
    pattern(Kind::Url, r"(?i)(?-u:\b)www\.[^\s<>，。；]+"),
    pattern(Kind::Url, r"(?-u:\b)(?:\d{1,3}\.){3}\d{1,3}(?-u:\b)"),
    // Dates in figures: day, month and year in any order, with any separator.
    pattern(
        Kind::Date,
        r"(?-u:\b)(?:0?[1-9]|[12]\d|3[01])[/\-.](?:0?[1-9]|[12]\d|3[01])[/\-.](?:1[89]\d{2}|20\d{2}|\d{2})(?-u:\b)",
    ),
    // The longest form of a day comes first: nothing after it makes "15" more than its "1".
    pattern(
        Kind::Date,
        r"(?-u:\b)(?:1[89]\d{2}|20\d{2})[/\-.](?:1[0-2]|0?[1-9])[/\-.](?:3[01]|[12]\d|0?[1-9])(?:[T ]\d{1,2}:\d{2}(?::\d{2})?)?",
    ),
    pattern(Kind::Date, r"(?-u:\b)(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?-u:\b)"),
    pattern(Kind::Date, r"(?-u:\b)(?:0?[1-9]|1[0-2])/(?:19|20)\d{2}(?-u:\b)"),
    // Telephones: with a country code, in blocks, after a word that announces them.
    pattern(
        Kind::Phone,
        r"(?m)(?:^|[\s:：(])((?:\+|00)\d{1,3}[ .\-]?(?:\(\d{1,4}\)[ .\-]?)?\d{2,4}(?:[ .\-]?\d{2,4}){2,5})",
    ),
    pattern(Kind::Phone, r"\(\d{2,4}\)[ .\-]?\d{3,4}[ .\-]?\d{3,4}(?:\s*(?:x|ext\.?)\s*\d{1,6})?"),
    pattern(Kind::Phone, r"(?-u:\b)(?:1[ .\-])?\d{3}[ .\-]\d{3}[ .\-]\d{4}(?:\s*(?:x|ext\.?)\s*\d{1,6})?(?-u:\b)"),
    pattern(
        Kind::Phone,
        r"(?i)\b(?:tel[eé]?(?:fono|phone)?s?|tlfn?o?s?|tfn?o?s?|phone|fax|m[oó]vil|mobile|cell|pager|beeper|ph)(?-u:\b)\.?(?: (?:no|number|autor))?\.?\s*[:#]?\s*((?:\+?\(?\d[\d() .\-/]{4,22}\d)(?:\s*(?:-\s*)?(?:x|ext\.?)\s*\d{1,6})?)",
    ),
    // Long numbers are nobody's measurement.
    pattern(Kind::Id, r"(?-u:\b)[A-Z]{0,3}\d{7,}[A-Z]?(?-u:\b)"),
    pattern(Kind::Id, r"(?-u:\b)\d{3}-\d{2}-\d{4}(?-u:\b)"),
    pattern(Kind::Id, r"(?-u:\b)\d{2}[ \-]\d{7,8}[ \-]\d{1,2}(?-u:\b)"),
    pattern(Kind::Id, r"(?-u:\b)\d{8}-?[A-HJ-NP-TV-Z](?-u:\b)"),
    pattern(Kind::Id, r"(?-u:\b)[XYZ]-?\d{7}-?[A-Z](?-u:\b)"),
    pattern(Kind::Id, r"(?-u:\b)\d+(?:\.\d+){4,}(?-u:\b)"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_measurements_are_no_dates() {
        let rules: Vec<Rule> = PATTERNS.iter().map(Rule::new).collect();
        let found = |text: &str| rules.iter().any(|rule| rule.spans(text).next().is_some());
        for text in ["12.5 x 3.4 cm", "TA 120/80 mmHg", "1.16 ng/ml", "G3/4", "480 minutos", "T2-T3", "3,4-5,6"] {
            assert!(!found(text), "{text}");
        }
        for text in ["06/02/1990", "28-05-1989", "1/12/2017", "2017-03-01", "07.03.19", "20170301"] {
            assert!(found(text), "{text}");
        }
    }
}
