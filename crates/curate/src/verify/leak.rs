//! What must not shine through: the instructions, the fields, the files, the person.

use super::mention::Text;
use super::support::Support;
use super::token::TokenKind;
use super::{Rule, Violation};
use gmai_schema::{Record, SourceFacts};

/// Phrases of instructions and of models that speak about themselves, in lower case.
const LEAKS: &[&str] = &[
    "as an ai",
    "language model",
    "i cannot",
    "i can't",
    "i'm sorry",
    "i am sorry",
    "i apologize",
    "i am unable",
    "i'm unable",
    "as requested",
    "provided label",
    "provided annotation",
    "given label",
    "given annotation",
    "annotation data",
    "annotations provided",
    "metadata",
    "bounding box",
    "bbox",
    "the prompt",
    "ground truth",
    "ground-truth",
    "according to the label",
    "according to the annotation",
    "based on the label",
    "based on the annotation",
    "based on the provided",
    "as per the label",
    "json",
    "the instructions",
    "system prompt",
    "given facts",
    "provided facts",
    "the facts",
    "knowledge cutoff",
    "here is the",
    "here's a",
    "caption:",
    "question:",
    "answer:",
    "sure,",
    "certainly!",
    "certainly,",
    "of course!",
    "dataset",
    "data set",
    "record states",
    "record says",
    "<image",
    "<|",
    "|>",
    "{{",
    "}}",
    "{%",
    "```",
    "</",
    "\":",
    "\\n",
    "undefined",
    "placeholder",
    "[insert",
    "openai",
    "chatgpt",
    "gpt-4",
    "training data",
    "作为一个人工智能",
    "作为人工智能",
    "作为ai",
    "语言模型",
    "根据标注",
    "根据提供的",
    "提供的标签",
    "标注信息",
    "标注框",
    "边界框",
    "元数据",
    "提示词",
    "抱歉",
    "给定的标签",
    "数据集",
    "根据标签",
    "标签信息",
    "以下是",
    "好的，",
    "根据给定",
    "aiとして",
    "言語モデル",
    "アノテーション",
    "メタデータ",
    "バウンディングボックス",
    "提供された",
    "申し訳",
    "データセット",
    "プロンプト",
];

/// Endings of file names.
const ENDINGS: &[&str] = &[
    "png", "jpg", "jpeg", "dcm", "nii", "gz", "tif", "tiff", "bmp", "webp", "csv", "xml", "toml", "jinja", "mhd",
    "nrrd", "svs",
];

/// Words that introduce an identifier, in lower case.
const IDENTIFYING: &[&str] = &[
    "patient id",
    "mrn",
    "medical record number",
    "accession",
    "date of birth",
    "dob",
    "social security",
    "patient name",
    "hospital",
    "clinic,",
    "medical center",
    "medical centre",
    "www.",
    "http",
    "@",
    "姓名",
    "住院号",
    "病历号",
    "身份证",
    "出生日期",
    "医院",
    "门诊号",
    "氏名",
    "病院",
    "生年月日",
    "患者番号",
    "电话",
];

const MONTHS: &[&str] = &[
    "january",
    "may",
    "february",
    "march",
    "april",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "jan",
    "feb",
    "aug",
    "sept",
    "oct",
    "nov",
    "dec",
];

/// Adds what shines through.
pub(super) fn check(
    text: &Text,
    record: &Record,
    facts: &SourceFacts,
    support: &Support,
    violations: &mut Vec<Violation>,
) {
    let lower = text.source.to_lowercase();
    if let Some(phrase) = LEAKS.iter().find(|phrase| holds(&lower, phrase)) {
        violations.push(Violation::new(Rule::Leakage, *phrase, "speaks of the instructions or of the model"));
    }
    for word in text.source.split_whitespace().map(|word| word.trim_matches(|letter: char| !letter.is_alphanumeric())) {
        if let Some(reason) = leaked_word(word, record, facts) {
            violations.push(Violation::new(Rule::Leakage, word, reason));
        }
    }
    if let Some(phrase) = IDENTIFYING.iter().find(|phrase| holds(&lower, phrase)) {
        violations.push(Violation::new(Rule::Identifier, *phrase, "may tell who the patient is, or where"));
    }
    violations.extend(identifying_numbers(text, support));
    violations.extend(names(text));
}

/// Whether a phrase stands in a text, not inside a longer word.
fn holds(lower: &str, phrase: &str) -> bool {
    lower.match_indices(phrase).any(|(at, found)| {
        let is_letter = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_alphanumeric());
        let (begins, ends) = (
            found.starts_with(|l: char| l.is_ascii_alphanumeric()),
            found.ends_with(|l: char| l.is_ascii_alphanumeric()),
        );
        let before = lower[..at].chars().next_back();
        let after = lower[at + found.len()..].chars().next();
        !(begins && is_letter(before) || ends && is_letter(after) && !lower[at + found.len()..].starts_with('s'))
    })
}

fn leaked_word(word: &str, record: &Record, facts: &SourceFacts) -> Option<&'static str> {
    let lower = word.to_lowercase();
    let is_key = lower.contains('_') && lower.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    if is_key {
        return Some("is the name of a field");
    }
    let is_file = lower.rsplit_once('.').is_some_and(|(stem, ending)| !stem.is_empty() && ENDINGS.contains(&ending));
    if is_file || (lower.matches('/').count() >= 2 && lower.is_ascii() && !lower.contains(' ')) {
        return Some("is the name of a file");
    }
    let told = |name: &str| {
        name.len() >= 4 && name.contains(|letter: char| letter.is_ascii_digit()) && lower.contains(&name.to_lowercase())
    };
    let file = record.provenance.file.rsplit('/').next().unwrap_or_default();
    if told(file.split('.').next().unwrap_or_default())
        || told(&facts.name)
        || told(&record.patient)
        || told(&record.id)
    {
        return Some("names the file, the source or the patient");
    }
    None
}

/// Dates, ages, telephone and file numbers.
fn identifying_numbers(text: &Text, support: &Support) -> Option<Violation> {
    let plain = |at: usize| text.tokens.get(at).map(|token| token.plain.as_str()).unwrap_or_default();
    let is_number = |at: usize| text.tokens.get(at).is_some_and(|token| token.kind == TokenKind::Number);
    let joined = |at: usize| text.tokens.get(at + 1).is_some_and(|next| text.tokens[at].bytes.end == next.bytes.start);
    for at in 0..text.tokens.len() {
        if !is_number(at) {
            continue;
        }
        let number = plain(at);
        let refuse = |end: usize, reason: &str| {
            Some(Violation::new(Rule::Identifier, text.words(&(at..end.min(text.tokens.len()))), reason))
        };
        if support.numbers.contains(number) {
            continue;
        }
        if number.chars().filter(char::is_ascii_digit).count() >= 6 && !number.contains('.') {
            return refuse(at + 1, "is a long number, as files and telephones have");
        }
        let is_date = matches!(plain(at + 1), "-" | "/" | ".")
            && plain(at + 1) == plain(at + 3)
            && is_number(at + 2)
            && is_number(at + 4)
            && joined(at);
        let is_year = number.len() == 4 && (number.starts_with("19") || number.starts_with("20"));
        let month_near = (at.saturating_sub(3)..at + 3).any(|near| MONTHS.contains(&plain(near)));
        let is_cjk_date = is_year && plain(at + 1) == "年" || plain(at + 1) == "月" && is_number(at + 2);
        if is_date || is_cjk_date || (is_year && month_near) {
            return refuse(at + 5, "is a date");
        }
        let is_age = matches!(plain(at + 1), "岁" | "歳")
            || (plain(at + 1) == "-" && plain(at + 2).starts_with("year"))
            || (plain(at + 1) == "years" && plain(at + 2) == "old")
            || (plain(at + 1) == "year" && plain(at + 2) == "old");
        if is_age {
            return refuse(at + 3, "is an age that the record does not tell");
        }
        let parts = (0..3)
            .take_while(|part| is_number(at + part * 2) && (*part == 0 || plain(at + part * 2 - 1) == "-"))
            .count();
        let digits: usize = (0..parts).map(|part| plain(at + part * 2).len()).sum();
        if parts >= 2 && digits >= 7 {
            return refuse(at + parts * 2, "is a number with parts, as telephones have");
        }
    }
    None
}

/// `Dr. Smith`, `Mrs Jones`.
fn names(text: &Text) -> Option<Violation> {
    let titles = ["dr", "mr", "mrs", "ms", "prof", "professor", "doctor"];
    for at in 0..text.tokens.len() {
        if !titles.contains(&text.tokens[at].plain.as_str()) {
            continue;
        }
        let title_is_written = text.source[text.tokens[at].bytes.clone()].starts_with(char::is_uppercase);
        let next = if text.tokens.get(at + 1).is_some_and(|token| token.plain == ".") { at + 2 } else { at + 1 };
        let Some(name) = text.tokens.get(next) else { continue };
        let written = &text.source[name.bytes.clone()];
        let is_name = written.chars().count() >= 3
            && written.starts_with(char::is_uppercase)
            && written.chars().skip(1).all(char::is_lowercase);
        // `MR` and `DR` in capitals are a modality and a disease.
        let is_title = text.source[text.tokens[at].bytes.clone()].chars().skip(1).all(char::is_lowercase);
        if title_is_written && is_title && is_name {
            return Some(Violation::new(Rule::Identifier, written, "is a person's name"));
        }
    }
    None
}
