//! Whether a sentence says that something is so, is not so, or says nothing of it.
//!
//! After NegEx (Chapman and others, 2001): words before and after a name, with a reach that ends at certain others. Japanese denies after the name.

use super::mention::{Polarity, Text};
use gmai_schema::Language;
use std::ops::Range;

/// Words after which what follows is denied.
const DENIES: &[&str] = &[
    "no",
    "not",
    "without",
    "absence",
    "absent",
    "negative",
    "neither",
    "nor",
    "never",
    "lack",
    "lacks",
    "lacking",
    "none",
    "excludes",
    "excluding",
    "denies",
    "cannot",
    "isn",
    "aren",
    "doesn",
    "don",
    "wasn",
    "unlike",
    "excluded",
    "non",
    "nothing",
];

/// Two words after which what follows is denied.
const DENIES_TOGETHER: &[[&str; 2]] = &[
    ["free", "of"],
    ["free", "from"],
    ["rather", "than"],
    ["instead", "of"],
    ["opposed", "to"],
    ["contrast", "to"],
    ["ruled", "out"],
    ["rules", "out"],
    ["fails", "to"],
    ["devoid", "of"],
];

/// What stands after a denying word when it denies nothing.
const DENIES_NOT: &[&str] =
    &["only", "doubt", "longer", "just", "merely", "mention", "limited", "necessarily", "surprisingly", "more"];

/// Words that end the reach of a denial.
const ENDS: &[&str] = &[
    "but",
    "however",
    "although",
    "though",
    "except",
    "while",
    "whereas",
    "yet",
    "is",
    "are",
    "was",
    "were",
    "there",
    "shows",
    "which",
    "consistent",
    "compatible",
    "representing",
    "indicating",
    "instead",
];

/// After a comma, words that begin something new.
const BEGINS: &[&str] = &[
    "the",
    "a",
    "an",
    "this",
    "it",
    "there",
    "with",
    "and",
    "but",
    "its",
    "findings",
    "consistent",
    "showing",
    "image",
    "we",
    "one",
    "in",
    "on",
    "at",
    "these",
    "instead",
];

/// Between a denial and a name: only more of it is denied, or another sort.
const ELSE: &[&str] = &[
    "other",
    "additional",
    "further",
    "elsewhere",
    "otherwise",
    "remaining",
    "rest",
    "surrounding",
    "adjacent",
    "contralateral",
    "background",
    "second",
    "large",
    "massive",
    "tension",
    "new",
    "another",
    "beyond",
    "outside",
    "apart",
    "besides",
    "neighboring",
    "neighbouring",
    "extra",
    "loculated",
];

/// Words after which nothing is said of what follows.
const SETS_ASIDE: &[&str] = &[
    "differentiate",
    "differential",
    "distinguish",
    "distinguishes",
    "distinguished",
    "distinguishing",
    "mimic",
    "mimics",
    "mistaken",
    "confused",
    "whether",
    "recommend",
    "recommended",
    "correlation",
    "correlate",
    "versus",
    "vs",
    "differentiated",
];

/// How something is said to be there; after `not`, that it is not.
const SEEN: &[&str] = &[
    "seen",
    "present",
    "identified",
    "visible",
    "evident",
    "detected",
    "found",
    "noted",
    "demonstrated",
    "appreciated",
    "observed",
    "shown",
    "visualized",
    "visualised",
    "apparent",
    "recognized",
    "recognised",
    "depicted",
    "discernible",
    "there",
    "included",
    "marked",
    "labelled",
    "labeled",
];

/// The polarity of what stands at `name` in a sentence.
pub(super) fn of(text: &Text, sentence: usize, name: &Range<usize>) -> Polarity {
    match text.language {
        Language::En => english(text, sentence, name),
        Language::Zh => chinese(text.before(sentence, name.start), text.after(sentence, name.end)),
        Language::Ja => japanese(text.before(sentence, name.start), text.after(sentence, name.end)),
    }
}

fn english(text: &Text, sentence: usize, name: &Range<usize>) -> Polarity {
    let range = text.sentences[sentence].clone();
    let before: Vec<&str> = text.plain(range.start..name.start).collect();
    let after: Vec<&str> = text.plain(name.end..range.end).collect();
    if before.iter().rev().take(8).any(|word| SETS_ASIDE.contains(word)) {
        return Polarity::Neutral;
    }
    if matches!(before.as_slice(), [.., "non"] | [.., "non", "-"]) {
        return Polarity::Negated;
    }
    if let Some(polarity) = denied_after(&after) {
        return polarity;
    }
    denied_before(&before, &after).unwrap_or(Polarity::Affirmed)
}

/// `... is not seen`, `... is absent`, `... cannot be excluded`.
fn denied_after(after: &[&str]) -> Option<Polarity> {
    // In a list the predicate stands behind its last part.
    let in_list = |word: &&str| matches!(*word, "or" | "and" | "nor" | ",");
    let is_link = |word: &str| {
        matches!(
            word,
            "is" | "are"
                | "was"
                | "were"
                | "be"
                | "been"
                | "has"
                | "have"
                | "can"
                | "could"
                | "clearly"
                | "definitely"
                | "also"
        )
    };
    let mut rest = after;
    if rest.first().is_some_and(in_list) {
        let end = rest.iter().take(12).position(|word| matches!(*word, "is" | "are" | "was" | "were"))?;
        rest = &rest[end..];
    }
    let links = rest.iter().take_while(|word| is_link(word)).count();
    let rest = &rest[links..];
    let skip = |rest: &[&str], words: &[&str]| rest.iter().take_while(|word| words.contains(*word)).count();
    match rest.first().copied() {
        Some("absent" | "excluded" | "unlikely" | "lacking") if links > 0 => Some(Polarity::Negated),
        Some("ruled") if rest.get(1) == Some(&"out") => Some(Polarity::Negated),
        Some("not" | "cannot" | "t") => {
            let rest = &rest[1..];
            let rest = &rest[skip(
                rest,
                &["be", "been", "clearly", "definitely", "convincingly", "reliably", "entirely", "fully"],
            )..];
            match rest.first().copied() {
                Some("excluded") => Some(Polarity::Neutral),
                Some("ruled") => Some(Polarity::Neutral),
                Some(word) if SEEN.contains(&word) => Some(Polarity::Negated),
                _ => None,
            }
        }
        _ => None,
    }
}

/// `no ...`, `without ...`, `free of ...`, up to a word that ends the reach.
fn denied_before(before: &[&str], after: &[&str]) -> Option<Polarity> {
    let mut is_other = false;
    for at in (0..before.len()).rev() {
        let (word, next) = (before[at], before.get(at + 1).copied());
        let together = next.is_some_and(|next| DENIES_TOGETHER.contains(&[word, next]));
        if (DENIES.contains(&word) && !next.is_some_and(|next| DENIES_NOT.contains(&next))) || together {
            let is_post = matches!(word, "absent" | "excluded" | "negative" | "not" | "none")
                && next.is_none_or(|next| next == "." || next == ",");
            return (!is_post).then_some(if is_other { Polarity::Neutral } else { Polarity::Negated });
        }
        is_other |= ELSE.contains(&word);
        let begins = next.is_some_and(|next| BEGINS.contains(&next));
        if ENDS.contains(&word)
            && !(matches!(word, "is" | "are" | "there") && next.is_some_and(|next| DENIES.contains(&next)))
        {
            return None;
        }
        let joins = |words: &[&str]| words.iter().any(|word| matches!(*word, "or" | "nor" | "and"));
        match word {
            ":" | "(" | ")" | "—" | "–" => return None,
            "," if begins => return None,
            "," if !joins(&before[at..]) && !joins(after) => return None,
            "and"
                if next.is_some_and(|next| {
                    matches!(next, "the" | "a" | "an" | "there" | "this" | "it" | "shows" | "is")
                }) =>
            {
                return None;
            }
            _ => {}
        }
    }
    None
}

const ZH_DENIES: &[&str] = &[
    "未见",
    "未发现",
    "未显示",
    "未出现",
    "未检出",
    "未观察到",
    "未提示",
    "没有",
    "没见",
    "不存在",
    "不是",
    "并非",
    "不见",
    "不伴",
    "不含",
    "不属于",
    "不支持",
    "不显示",
    "排除",
    "除外",
    "缺乏",
    "否认",
    "而非",
    "不像",
    "不同于",
    "不考虑",
    "无",
    "未",
    "非",
];
const ZH_ENDS: &[&str] =
    &["但", "可见", "提示", "表现为", "考虑", "符合", "而是", "显示出", "伴有", "存在", "诊断为", "标注为"];
const ZH_ELSE: &[&str] =
    &["其他", "其它", "其余", "另外", "更多", "周围", "别的", "额外", "邻近", "大量", "张力性", "以外", "之外"];
const ZH_ASIDE: &[&str] = &["鉴别", "区分", "是否", "建议", "有无", "有没有"];
const ZH_AFTER: &[&str] = &[
    "未见",
    "不明显",
    "缺如",
    "未发现",
    "未显示",
    "未出现",
    "不存在",
    "未检出",
    "被排除",
    "可排除",
    "可以排除",
    "阴性",
    "不可见",
    "均未",
    "均无",
    "都没有",
    "均不",
    "未被发现",
    "未能见到",
    "看不到",
    "未能",
    "并未",
];

/// The part of `text` after the last of `marks`.
fn last_clause<'a>(text: &'a str, marks: &[char]) -> &'a str {
    text.rfind(marks).map_or(text, |at| text[at..].trim_start_matches(marks))
}

fn chinese(before: &str, after: &str) -> Polarity {
    let marks = ['，', '。', '；', '：', ',', ';', '（', '('];
    let clause = last_clause(before, &marks);
    let follows = after.split(marks).next().unwrap_or_default();
    // 气胸的征象未见: what is denied is the sign.
    let signs = ["的征象", "的表现", "的迹象", "的证据", "的改变", "征象", "表现", "影", "的"];
    let follows = signs.iter().find_map(|sign| follows.strip_prefix(sign)).unwrap_or(follows);
    if ZH_ASIDE.iter().any(|word| clause.contains(word)) {
        return Polarity::Neutral;
    }
    let listed = follows.trim_start_matches(|letter: char| !matches!(letter, '均' | '都')).to_string();
    let denied_after = |part: &str| {
        ZH_AFTER.iter().any(|word| part.trim_start_matches(['则', '也', '并', '尚', '均', '都']).starts_with(word))
    };
    if denied_after(follows)
        || (follows.starts_with(['、', '和', '及', '或', '与']) && ZH_AFTER.iter().any(|word| listed.starts_with(word)))
    {
        return Polarity::Negated;
    }
    let trigger = ZH_DENIES.iter().filter_map(|word| clause.rfind(word).map(|at| (at + word.len(), *word))).max();
    let Some((end, word)) = trigger else { return Polarity::Affirmed };
    let between = &clause[end..];
    let is_near = match word {
        "非" => between.is_empty(),
        "未" | "无" => between.chars().count() <= 24,
        _ => true,
    };
    // 无 and 非 also stand inside other words.
    let inside = word == "无" && (clause[..end].ends_with("有无") || between.starts_with("论"))
        || word == "非" && clause[..end].ends_with("是非");
    if inside || !is_near || ZH_ENDS.iter().any(|word| between.contains(word)) {
        return Polarity::Affirmed;
    }
    if ZH_ELSE.iter().any(|word| between.contains(word)) { Polarity::Neutral } else { Polarity::Negated }
}

const JA_DENIES: &[&str] = &[
    "認められない",
    "認められず",
    "認めない",
    "認めず",
    "見られない",
    "みられない",
    "見られず",
    "みられず",
    "認められません",
    "見られません",
    "みられません",
    "なし",
    "はない",
    "もない",
    "はなく",
    "もなく",
    "ではない",
    "ではなく",
    "でなく",
    "でない",
    "ありません",
    "否定",
    "除外",
    "確認できない",
    "確認されない",
    "存在しない",
    "示さない",
    "伴わない",
    "含まない",
];

fn japanese(before: &str, after: &str) -> Polarity {
    let marks = ['。', '、', '，'];
    let clause = last_clause(before, &marks);
    if ["その他", "他の", "以外", "かどうか", "鑑別"]
        .iter()
        .any(|word| clause.contains(word) || after.contains("鑑別") || after.starts_with(word))
    {
        return Polarity::Neutral;
    }
    if clause.ends_with('非') {
        return Polarity::Negated;
    }
    let is_list = after.starts_with(['、', 'や', '・'])
        || after.starts_with("および")
        || after.starts_with("または")
        || after.starts_with("と");
    let reach = if is_list { after.split('。').next() } else { after.split(marks).next() };
    let reach = reach.unwrap_or_default();
    match JA_DENIES.iter().any(|word| reach.contains(word)) {
        true => Polarity::Negated,
        false => Polarity::Affirmed,
    }
}

#[cfg(test)]
mod tests {
    use super::super::lexicon::lexicon;
    use super::*;

    /// Polarities of everything that the vocabulary knows of findings in the text.
    fn polarities(text: &str, language: Language) -> Vec<Polarity> {
        let text = Text::new(text, language);
        let lexicon = lexicon();
        let mentions = text.concepts(lexicon);
        let is_finding = |id: usize| lexicon.concepts[id].kind == super::super::lexicon::Kind::Finding;
        mentions.into_iter().filter(|mention| is_finding(mention.ids[0])).map(|mention| mention.polarity).collect()
    }

    #[test]
    fn english_denials_reach_over_lists_and_end_at_new_statements() {
        use Polarity::{Affirmed, Negated, Neutral};
        for (text, expected) in [
            ("No pneumothorax, effusion or consolidation is seen.", vec![Negated, Negated, Negated]),
            ("There is no pneumothorax, but an effusion is present.", vec![Negated, Affirmed]),
            ("There is a pneumothorax without effusion.", vec![Affirmed, Negated]),
            ("Pneumothorax is not seen.", vec![Negated]),
            ("The polyp is not large.", vec![Affirmed]),
            ("Not only atelectasis but also effusion.", vec![Affirmed, Affirmed]),
            ("No other nodule is visible.", vec![Neutral]),
            ("Pneumonia cannot be excluded.", vec![Neutral]),
            ("Effusion and pneumothorax are absent.", vec![Negated, Negated]),
            ("Consistent with melanoma rather than nevus.", vec![Affirmed, Negated]),
            ("The lungs are free of consolidation, and cardiomegaly is present.", vec![Negated, Affirmed]),
        ] {
            assert_eq!(polarities(text, Language::En), expected, "{text}");
        }
    }

    #[test]
    fn chinese_and_japanese_denials() {
        use Polarity::{Affirmed, Negated, Neutral};
        for (text, language, expected) in [
            ("未见气胸，可见胸腔积液。", Language::Zh, vec![Negated, Affirmed]),
            ("无气胸、胸腔积液及肺不张。", Language::Zh, vec![Negated, Negated, Negated]),
            ("气胸未见。", Language::Zh, vec![Negated]),
            ("未见其他结节。", Language::Zh, vec![Neutral]),
            ("符合肺炎表现，而非肺水肿。", Language::Zh, vec![Affirmed, Negated]),
            ("気胸や胸水は認められない。", Language::Ja, vec![Negated, Negated]),
            ("胸水を認める。", Language::Ja, vec![Affirmed]),
            ("ポリープが見られ、潰瘍は認められない。", Language::Ja, vec![Affirmed, Negated]),
        ] {
            assert_eq!(polarities(text, language), expected, "{text}");
        }
    }
}
