//! Whether a text has the form, the language and the length that were asked for.

use super::mention::Text;
use super::token::{TokenKind, is_cjk, is_kana};
use super::{Draft, Lengths, Rule, Violation};
use gmai_schema::{Form, Language};
use std::collections::BTreeMap;

/// How a region's description may begin.
fn region_starts(language: Language) -> &'static [&'static str] {
    match language {
        Language::En => &["This region"],
        Language::Zh => &["该区域", "此区域", "这个区域", "这一区域", "本区域", "这片区域"],
        Language::Ja => &["この領域", "この部位", "この部分", "この範囲"],
    }
}

/// How a region's description shall begin.
pub(crate) fn region_start(language: Language) -> &'static str {
    region_starts(language)[0]
}

/// Characters that only traditional Chinese has, and that image descriptions need.
const TRADITIONAL: &str = "顯圖區該與為標準這個變診斷觀結構組織腫臟腦動靜脈膽腸胸腔積異見無體於點裡邊狀徑內層緣";
const SIMPLIFIED_TOO: &str = "胸腔於"; // Stand in both, or rarely tell.

/// Words that tell languages with Latin letters apart.
const ENGLISH: &[&str] = &[
    "the", "of", "and", "is", "with", "this", "in", "a", "an", "are", "to", "at", "on", "from", "by", "that", "no",
    "shows", "image",
];
const OTHERS: &[&str] = &[
    "el", "la", "los", "las", "una", "del", "con", "esta", "este", "imagen", "muestra", "se", "der", "die", "das",
    "und", "mit", "ist", "eine", "einer", "bild", "zeigt", "le", "les", "des", "du", "une", "est", "et", "avec",
    "cette", "dans", "montre", "di", "della", "che", "il", "uma", "da", "os", "em",
];

/// Adds what is wrong with the form.
pub(super) fn check(draft: &Draft, lengths: Lengths) -> Vec<Violation> {
    let mut violations = Vec::new();
    if draft.exchanges.is_empty() {
        violations.push(Violation::new(Rule::Length, "", "holds no text"));
    }
    for exchange in draft.exchanges {
        check_length(&exchange.answer, draft, lengths, &mut violations);
        if matches!(draft.form, Form::Instruction | Form::Conversation) {
            let length = exchange.question.trim().chars().count();
            if !(3..=600).contains(&length) {
                violations.push(Violation::new(
                    Rule::Length,
                    excerpt(&exchange.question),
                    "is no question of a fitting length",
                ));
            }
        }
    }
    if violations.is_empty() {
        let whole: Vec<&str> = draft
            .exchanges
            .iter()
            .flat_map(|exchange| [exchange.question.as_str(), exchange.answer.as_str()])
            .collect();
        violations.extend(
            whole.iter().filter(|text| !text.trim().is_empty()).filter_map(|text| check_language(text, draft.language)),
        );
    }
    if draft.form == Form::RegionCaption {
        let text = draft.exchanges.first().map_or("", |exchange| exchange.answer.trim());
        let starts = region_starts(draft.language);
        if !starts.iter().any(|start| text.starts_with(start)) {
            violations.push(Violation::new(
                Rule::RegionStart,
                excerpt(text),
                format!("must begin with \"{}\"", starts[0]),
            ));
        }
    }
    violations
}

fn excerpt(text: &str) -> String {
    text.trim().chars().take(40).collect()
}

fn check_length(answer: &str, draft: &Draft, lengths: Lengths, violations: &mut Vec<Violation>) {
    let length = answer.trim().chars().count();
    let least = match (draft.form, draft.language) {
        (Form::ImageCaption | Form::RegionCaption, Language::En) => lengths.least,
        (Form::ImageCaption | Form::RegionCaption, _) => lengths.least / 3,
        _ => 1,
    };
    if length < least || length > lengths.most {
        let reason = format!("has {length} characters; {least} to {} are asked for", lengths.most);
        violations.push(Violation::new(Rule::Length, excerpt(answer), reason));
        return;
    }
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for sentence in answer.split(['.', '。', '\n']).map(str::trim).filter(|sentence| !sentence.is_empty()) {
        let count = times.entry(sentence).or_default();
        *count += 1;
        let most = if sentence.chars().count() < 5 { 5 } else { 3 }; // "No." may stand more often.
        if *count == most {
            violations.push(Violation::new(Rule::Length, excerpt(sentence), "stands again and again"));
        }
    }
}

/// Whether a text is in `language`.
fn check_language(text: &str, language: Language) -> Option<Violation> {
    let count = |is: &dyn Fn(char) -> bool| text.chars().filter(|letter| is(*letter)).count();
    let (cjk, kana) = (count(&is_cjk), count(&is_kana));
    let letters = count(&|letter| letter.is_alphabetic()).max(1);
    let refuse = |reason: &str| Some(Violation::new(Rule::Language, excerpt(text), reason));
    match language {
        Language::En => {
            if cjk * 20 > letters {
                return refuse("is not English");
            }
            let known = |list: &[&str]| {
                text.split(|letter: char| !letter.is_alphabetic())
                    .filter(|word| list.contains(&word.to_lowercase().as_str()))
                    .count()
            };
            let (english, other) = (known(ENGLISH), known(OTHERS));
            if other >= 3 && other > english { refuse("is not English") } else { None }
        }
        Language::Zh => {
            let traditional = count(&|letter| TRADITIONAL.contains(letter) && !SIMPLIFIED_TOO.contains(letter));
            if kana >= 2 || (cjk * 5 < letters * 2 && letters > 4) {
                refuse("is not Chinese")
            } else if traditional >= 3 {
                refuse("is not in simplified characters")
            } else {
                None
            }
        }
        Language::Ja if letters > 12 && kana * 12 < cjk.max(1) => refuse("is not Japanese"),
        Language::Ja if cjk * 4 < letters && letters > 4 => refuse("is not Japanese"),
        Language::Ja => None,
    }
}

/// Sentences that ask for yes or no: what they name is asked, not said.
pub(super) fn yes_no_sentences(text: &Text) -> Vec<usize> {
    let asks = |sentence: &std::ops::Range<usize>| {
        let words: Vec<&str> = text.plain(sentence.clone()).collect();
        let whole = text.words(sentence);
        let ends = matches!(words.last(), Some(&"?" | &"？"));
        let first = text.tokens[sentence.clone()]
            .iter()
            .find(|token| token.kind == TokenKind::Word)
            .map(|token| token.plain.as_str());
        match text.language {
            Language::En => {
                ends && first.is_some_and(|word| {
                    matches!(
                        word,
                        "is" | "are"
                            | "does"
                            | "do"
                            | "did"
                            | "can"
                            | "could"
                            | "has"
                            | "have"
                            | "was"
                            | "were"
                            | "will"
                            | "would"
                            | "should"
                            | "am"
                            | "any"
                    )
                }) || words.contains(&"whether")
            }
            Language::Zh => {
                ["吗", "是否", "有没有", "是不是", "能否", "有无", "还是"].iter().any(|word| whole.contains(word))
            }
            Language::Ja => {
                let open = ["何", "どこ", "どの", "いくつ", "どれ", "どちら", "なぜ", "どう", "いつ", "誰"];
                (ends || whole.trim_end_matches('。').ends_with('か')) && !open.iter().any(|word| whole.contains(word))
            }
        }
    };
    (0..text.sentences.len()).filter(|index| asks(&text.sentences[*index])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_told_apart() {
        let fits = |text: &str, language| check_language(text, language).is_none();
        assert!(fits("This region shows a polyp.", Language::En));
        assert!(!fits("该区域显示息肉。", Language::En));
        assert!(!fits("La imagen muestra una lesión en el colon con bordes.", Language::En));
        assert!(fits("该区域为CT图像中的肝脏。", Language::Zh));
        assert!(!fits("この領域はポリープです。", Language::Zh));
        assert!(!fits("該區域顯示圖像中的結構。", Language::Zh));
        assert!(!fits("This region shows a polyp.", Language::Zh));
        assert!(fits("この領域には大腸ポリープが見られます。", Language::Ja));
        assert!(!fits("该区域显示结直肠息肉的影像。", Language::Ja));
    }
}
