//! Reading an answer out of a reply: an option letter, yes or no, or normalised text; English and Chinese.
//!
//! Nothing is guessed. A reply that does not say one thing is [`Extracted::Unparsed`]; it counts as wrong and is counted
//! on its own. Statements are looked for in this order: an explicit one ("the answer is B", `\boxed{B}`, `答案是B`; the last
//! one counts), the first token, the last line, the only letter, the only option text.

use crate::normalise::{fold_width, is_chinese, tokens};
use serde::{Deserialize, Serialize};

/// What was read from a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extracted<T> {
    /// The reply says this.
    Found(T),
    /// The reply says nothing that counts, or several things.
    Unparsed,
}

impl<T> Extracted<T> {
    /// The value, if there is one.
    pub fn found(self) -> Option<T> {
        match self {
            Extracted::Found(value) => Some(value),
            Extracted::Unparsed => None,
        }
    }
}

impl<T> From<Option<T>> for Extracted<T> {
    fn from(value: Option<T>) -> Extracted<T> {
        value.map_or(Extracted::Unparsed, Extracted::Found)
    }
}

/// Words before an answer, lower case. Longer ones first where one begins like another.
const ANSWER_CUES: [&str; 17] = [
    "\\boxed{",
    "<answer>",
    "answer is",
    "answer:",
    "answer would be",
    "option is",
    "choice is",
    "答案应该是",
    "答案应为",
    "答案是",
    "答案为",
    "答案:",
    "选项是",
    "选项为",
    "应选",
    "故选",
    "选择",
];

/// Words that turn the letter or text after them into its opposite.
const NEGATIONS: [&str; 8] = ["not", "isn't", "never", "neither", "except", "不是", "不选", "排除"];

/// Characters that may stand around a letter: `(B)`, `**B**`, `"B"`.
fn is_wrapping(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '(' | '[' | '{' | '*' | '_' | '"' | '\'' | '`' | ':' | '$' | '<' | '“' | '‘' | '【' | '「')
}

/// Characters after which a letter stands alone: `B.`, `B)`, `B:`.
fn ends_letter(c: char) -> bool {
    matches!(
        c,
        '.' | ')'
            | ']'
            | '}'
            | ':'
            | ','
            | ';'
            | '*'
            | '"'
            | '\''
            | '`'
            | '$'
            | '<'
            | '\n'
            | '\r'
            | '、'
            | '。'
            | '”'
            | '】'
            | '」'
            | '!'
    )
}

/// Which option a written reply names, as an index; `options` are the texts in the order of their letters.
pub fn option_letter(reply: &str, options: &[String]) -> Extracted<usize> {
    let text = fold(reply);
    let chars: Vec<char> = text.trim().chars().collect();
    let count = options.len();
    if let Some(statement) = last_statement(&chars, |after| leading_letter(after, Place::Statement)) {
        return Extracted::from(letter_index(statement, count));
    }
    if let Some(letter) = leading_letter(&chars, Place::Start) {
        return Extracted::from(letter_index(letter, count));
    }
    if let Some(index) = last_line(&text).and_then(|line| lone_letter(line, count)) {
        return Extracted::Found(index);
    }
    match only_letter(&chars, count) {
        Letters::One(index) => Extracted::Found(index),
        Letters::Several => Extracted::Unparsed,
        Letters::None => Extracted::from(only_option_text(&text, options)),
    }
}

/// Whether a written reply says yes or no, in English or Chinese.
pub fn yes_no(reply: &str) -> Extracted<bool> {
    let text = fold(reply).to_lowercase();
    let chars: Vec<char> = text.trim().chars().collect();
    if let Some(statement) = last_statement(&chars, leading_yes_no) {
        return Extracted::Found(statement);
    }
    if let Some(leading) = leading_yes_no(&chars) {
        return Extracted::Found(leading);
    }
    let last = last_line(&text).map(|line| line.chars().collect::<Vec<_>>());
    Extracted::from(last.and_then(|line| leading_yes_no(&line)))
}

/// Longest part of a reply that is read, in characters; of a longer reply the end, where answers stand.
const MAX_REPLY_CHARS: usize = 20_000;

/// The part of a reply that may hold an answer, full-width forms folded: `<think>` parts are left out.
fn fold(text: &str) -> String {
    let answer = match (text.find("<think>"), text.rfind("</think>")) {
        (_, Some(end)) => &text[end + "</think>".len()..],
        (Some(start), None) => &text[..start], // Thinking that never ended holds no answer.
        (None, None) => text,
    };
    let surplus = answer.chars().count().saturating_sub(MAX_REPLY_CHARS);
    fold_width(answer.chars().skip(surplus)).collect()
}

/// What `read` makes of the text after the last cue that it can read.
fn last_statement<T>(chars: &[char], read: impl Fn(&[char]) -> Option<T>) -> Option<T> {
    let cues: Vec<Vec<char>> = ANSWER_CUES.iter().map(|cue| cue.chars().collect()).collect();
    (0..chars.len()).rev().find_map(|start| {
        let cue = cues.iter().find(|cue| starts_with_ignoring_case(&chars[start..], cue))?;
        read(&chars[start + cue.len()..])
    })
}

fn starts_with_ignoring_case(chars: &[char], lower: &[char]) -> bool {
    chars.len() >= lower.len() && chars.iter().zip(lower).all(|(c, expected)| c.to_ascii_lowercase() == *expected)
}

/// Where a letter is looked for; decides how much must show that it is meant as an answer.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// At the beginning of the reply: followed by punctuation or nothing.
    Start,
    /// After "the answer is": words may follow.
    Statement,
    /// Anywhere: upper case, words may follow.
    Anywhere,
}

/// The letter that the text begins with, wrappings aside; it must stand alone and, outside [`Place::Anywhere`], be the only one offered.
fn leading_letter(chars: &[char], place: Place) -> Option<char> {
    let mut start = chars.iter().position(|&c| !is_wrapping(c))?;
    for cue in ["option ", "choice ", "选项", "选"] {
        let cue: Vec<char> = cue.chars().collect();
        if starts_with_ignoring_case(&chars[start..], &cue) {
            start += cue.len();
            start += chars[start..].iter().position(|&c| !is_wrapping(c))?;
            break;
        }
    }
    let letter = chars[start];
    let rest = &chars[start + 1..];
    let right_case = letter.is_ascii_uppercase() || (place != Place::Anywhere && letter.is_ascii_lowercase());
    let alone = match rest.first() {
        None => true,
        Some(&next) if ends_letter(next) => true,
        // "B is right", but neither "A patient ..." nor "I think ...": an article and a pronoun are no answers.
        Some(&next) if next.is_whitespace() => {
            let words_may_follow = place != Place::Start && letter.is_ascii_uppercase() && !matches!(letter, 'A' | 'I');
            words_may_follow || rest.iter().all(|c| c.is_whitespace())
        }
        Some(&next) => is_chinese(next),
    };
    let only = place == Place::Anywhere || !offers_another(rest); // Elsewhere every letter is looked at anyway.
    (right_case && alone && only).then_some(letter)
}

/// Whether the text after a letter goes on to a second one: `B or C`, `A, C`, `A、B`, `A或B`.
fn offers_another(rest: &[char]) -> bool {
    let text: String = rest.iter().skip_while(|c| is_wrapping(**c) || **c == ')').take(12).collect();
    let joins = [",", "/", "、", "or ", "and ", "或者", "或", "和", "与"];
    joins.iter().filter_map(|join| text.strip_prefix(join)).any(|after| {
        let after: Vec<char> = after.chars().skip_while(|c| is_wrapping(*c)).take(2).collect();
        after.first().is_some_and(char::is_ascii_uppercase)
            && after.get(1).is_none_or(|c| !c.is_alphanumeric() || is_chinese(*c))
    })
}

fn letter_index(letter: char, count: usize) -> Option<usize> {
    let index = (letter.to_ascii_uppercase() as u32).checked_sub('A' as u32)? as usize;
    (index < count).then_some(index)
}

fn last_line(text: &str) -> Option<&str> {
    text.lines().map(str::trim).rfind(|line| !line.is_empty())
}

/// The letter of a line that holds one letter and nothing else but punctuation.
fn lone_letter(line: &str, count: usize) -> Option<usize> {
    let mut letters = line.chars().filter(|c| c.is_alphanumeric());
    match (letters.next(), letters.next()) {
        (Some(letter), None) => letter_index(letter, count),
        _ => None,
    }
}

enum Letters {
    None,
    One(usize),
    Several,
}

/// The option letters that stand alone anywhere in the text, negated ones and words ("A", "I") aside.
fn only_letter(chars: &[char], count: usize) -> Letters {
    let mut found: Option<usize> = None;
    for (at, &c) in chars.iter().enumerate() {
        let border_before = at == 0 || !chars[at - 1].is_alphanumeric() || is_chinese(chars[at - 1]);
        if !border_before || !c.is_ascii_uppercase() || leading_letter(&chars[at..], Place::Anywhere).is_none() {
            continue;
        }
        let Some(index) = letter_index(c, count) else { continue };
        if is_negated(&chars[..at]) {
            continue;
        }
        match found {
            Some(earlier) if earlier != index => return Letters::Several,
            _ => found = Some(index),
        }
    }
    found.map_or(Letters::None, Letters::One)
}

/// Whether one of the few words before stands for "not".
fn is_negated(before: &[char]) -> bool {
    const REACH: usize = 16; // Characters: "not the option (" and the like.
    let text: String = before[before.len().saturating_sub(REACH)..].iter().collect::<String>().to_lowercase();
    let clause = text.rsplit(['.', ',', ';', '。', '，', '\n']).next().unwrap_or_default();
    NEGATIONS.iter().any(|negation| match negation.is_ascii() {
        true => clause.split(|c: char| !c.is_alphanumeric() && c != '\'').any(|word| word == *negation),
        false => clause.contains(negation),
    })
}

/// The only option whose text occurs between word borders and not negated. An option inside a longer one that also
/// occurs ("lung" in "left lung") does not count.
fn only_option_text(text: &str, options: &[String]) -> Option<usize> {
    let reply = tokens(text);
    let spans: Vec<Vec<(usize, usize)>> = options.iter().map(|option| occurrences(&reply, &tokens(option))).collect();
    let inside_other = |option: usize, span: (usize, usize)| {
        spans.iter().enumerate().any(|(other, found)| {
            other != option
                && found.iter().any(|&(start, end)| start <= span.0 && span.1 <= end && end - start > span.1 - span.0)
        })
    };
    let mut named = (0..options.len()).filter(|&option| {
        spans[option].iter().any(|&span| !inside_other(option, span) && !is_negated_token(&reply, span.0))
    });
    match (named.next(), named.next()) {
        (Some(index), None) => Some(index),
        _ => None,
    }
}

/// Where `part` occurs in `whole`, as start and end (exclusive).
fn occurrences(whole: &[String], part: &[String]) -> Vec<(usize, usize)> {
    if part.is_empty() {
        return Vec::new();
    }
    whole
        .windows(part.len())
        .enumerate()
        .filter(|(_, window)| *window == part)
        .map(|(at, _)| (at, at + part.len()))
        .collect()
}

fn is_negated_token(reply: &[String], start: usize) -> bool {
    const REACH: usize = 3; // Tokens: "no evidence of", "not a", "并 不 是".
    let before = &reply[start.saturating_sub(REACH)..start];
    before.iter().any(|token| {
        matches!(token.as_str(), "no" | "not" | "isnt" | "without" | "never" | "不" | "非" | "无" | "未" | "没")
    })
}

/// Yes or no at the beginning of the text, wrappings aside. Expects lower case.
fn leading_yes_no(chars: &[char]) -> Option<bool> {
    let start = chars.iter().position(|&c| !is_wrapping(c))?;
    let text: String = chars[start..].iter().take(8).collect(); // The longest word below has four characters.
    for (word, value) in [("yes", true), ("no", false)] {
        if let Some(rest) = text.strip_prefix(word)
            && rest.chars().next().is_none_or(|c| !c.is_alphanumeric() || is_chinese(c))
        {
            return Some(value);
        }
    }
    // "是否" asks, it does not answer; longer words first, since "不是" must not be read as "是".
    const CHINESE: [(&str, Option<bool>); 12] = [
        ("是否", None),
        ("有没有", None),
        ("不确定", None),
        ("不是", Some(false)),
        ("不存在", Some(false)),
        ("没有", Some(false)),
        ("否", Some(false)),
        ("无", Some(false)),
        ("不", Some(false)),
        ("是", Some(true)),
        ("有", Some(true)),
        ("存在", Some(true)),
    ];
    // "无法判断", "不能确定", "不清楚": undecided.
    if ["无法", "不能", "不清", "不知", "不好说", "有可能", "有时"].iter().any(|undecided| text.starts_with(undecided))
    {
        return None;
    }
    CHINESE.iter().find(|(word, _)| text.starts_with(word)).and_then(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(reply: &str) -> Extracted<usize> {
        let options: Vec<String> = ["lung", "left lung", "heart", "liver"].map(String::from).to_vec();
        option_letter(reply, &options)
    }

    #[test]
    fn a_letter_is_read_in_its_usual_shapes() {
        let shapes = [
            "B",
            "b",
            "B.",
            "(B)",
            "b)",
            "**B**",
            "B. left lung",
            "Ｂ",
            "[B]",
            "\"B\"",
            "B\nbecause",
            "Option B",
            "选项B",
            "选B",
            "The answer is B.",
            "Answer: (B)",
            "答案是B",
            "答案：B。",
            "\\boxed{B}",
            "<answer>B</answer>",
            "I looked at it.\nB",
            "It shows the left lung, so B is right.",
            "<think>A or C</think>B",
            "B是正确的",
        ];
        for shape in shapes {
            assert_eq!(letter(shape), Extracted::Found(1), "{shape:?}");
        }
    }

    #[test]
    fn the_last_explicit_statement_counts() {
        assert_eq!(letter("The answer is A. No, wait: the answer is C."), Extracted::Found(2));
    }

    #[test]
    fn what_names_no_option_or_several_is_unread() {
        let unread = [
            "",
            "   ",
            "E",
            "the answer is F",
            "A patient with a cough",
            "I cannot tell",
            "B or C",
            "The answer is A, C",
            "A、B",
            "B and C are both right",
            "It is not B.",
            "It could be the heart or the liver",
            "no heart visible",
            "<think>B",
            "I am sorry",
            "答案不是B",
        ];
        for reply in unread {
            assert_eq!(letter(reply), Extracted::Unparsed, "{reply:?}");
        }
    }

    #[test]
    fn a_unique_option_text_counts_and_the_longer_one_wins() {
        assert_eq!(letter("This is the heart"), Extracted::Found(2));
        assert_eq!(letter("the left lung"), Extracted::Found(1));
        assert_eq!(letter("a lung"), Extracted::Found(0));
    }

    #[test]
    fn yes_and_no_are_read_in_two_languages() {
        for reply in [
            "Yes",
            "yes.",
            "**Yes**, there is",
            "The answer is yes",
            "是",
            "是的",
            "有",
            "答案：是",
            "存在结节",
            "I see a mass.\nYes",
        ] {
            assert_eq!(yes_no(reply), Extracted::Found(true), "{reply:?}");
        }
        for reply in
            ["No", "no, it is normal", "NO!", "Answer: No", "否", "不是", "没有", "不存在", "答案是否", "无异常"]
        {
            assert_eq!(yes_no(reply), Extracted::Found(false), "{reply:?}");
        }
        for reply in [
            "",
            "normal",
            "Not sure",
            "nothing",
            "yesterday",
            "是否有结节？",
            "无法判断",
            "不确定",
            "maybe yes, maybe no",
        ] {
            assert_eq!(yes_no(reply), Extracted::Unparsed, "{reply:?}");
        }
    }

    #[test]
    fn long_hostile_replies_are_read_in_bounded_time() {
        let reply = "answer is ".repeat(20_000);
        assert_eq!(letter(&reply), Extracted::Unparsed);
    }
}
