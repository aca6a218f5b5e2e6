//! Text as tokens and sentences: one token for each word or number of Latin script, for each Chinese or Japanese character, for each mark.

use std::ops::Range;

/// One token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    /// In lower case, English plurals as singulars.
    pub(super) word: String,
    /// In lower case, as written.
    pub(super) plain: String,
    /// Bytes of the text.
    pub(super) bytes: Range<usize>,
    /// What kind of token it is.
    pub(super) kind: TokenKind,
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// Letters, or letters and digits, of an alphabet.
    Word,
    /// Digits, with a decimal point or thousands comma inside.
    Number,
    /// A Chinese or Japanese character.
    Character,
    /// Anything else that is not white space.
    Mark,
}

/// Han characters, kana, and the marks between them.
pub(super) fn is_cjk(letter: char) -> bool {
    matches!(letter, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '々')
        || is_kana(letter)
}

/// Hiragana or katakana.
pub(super) fn is_kana(letter: char) -> bool {
    matches!(letter, '\u{3041}'..='\u{309f}' | '\u{30a1}'..='\u{30ff}') && letter != '・'
}

/// Splits a text.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let letters: Vec<(usize, char)> = text.char_indices().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < letters.len() {
        let letter = letters[at].1;
        if letter.is_whitespace() {
            at += 1;
            continue;
        }
        let (kind, end) = match letter {
            letter if is_cjk(letter) => (TokenKind::Character, at + 1),
            letter if letter.is_alphanumeric() => run(&letters, at),
            _ => (TokenKind::Mark, at + 1),
        };
        let bytes = letters[at].0..letters.get(end).map_or(text.len(), |(start, _)| *start);
        let plain = text[bytes.clone()].to_lowercase();
        let word = if kind == TokenKind::Word { singular(&plain) } else { plain.clone() };
        tokens.push(Token { word, plain, bytes, kind });
        at = end;
    }
    tokens
}

/// The end of a word or number.
fn run(letters: &[(usize, char)], start: usize) -> (TokenKind, usize) {
    let is_digit = |at: usize| letters.get(at).is_some_and(|(_, letter)| letter.is_ascii_digit());
    let is_part = |at: usize| letters.get(at).is_some_and(|(_, letter)| letter.is_alphanumeric() && !is_cjk(*letter));
    let mut end = start;
    if is_digit(start) {
        while is_digit(end)
            || (matches!(letters.get(end), Some((_, '.' | ','))) && is_digit(end + 1) && is_digit(end - 1))
        {
            end += 1;
        }
        return (TokenKind::Number, end); // `12mm` is a number and a word.
    }
    while is_part(end) {
        end += 1;
    }
    (TokenKind::Word, end)
}

/// The singular of an English noun, roughly: what matters is that plural and singular come out as one.
fn singular(word: &str) -> String {
    let irregular = [
        ("nuclei", "nucleus"),
        ("hippocampi", "hippocampus"),
        ("thrombi", "thrombus"),
        ("emboli", "embolus"),
        ("menisci", "meniscus"),
        ("bronchi", "bronchus"),
        ("vertebrae", "vertebra"),
        ("foci", "focus"),
        ("women", "woman"),
        ("men", "man"),
    ];
    if let Some((_, one)) = irregular.iter().find(|(many, _)| *many == word) {
        return (*one).to_string();
    }
    if word.len() <= 3 || !word.is_ascii() || word.ends_with("ss") || word.ends_with("us") || word.ends_with("is") {
        return word.to_string();
    }
    if let Some(stem) = word.strip_suffix("ies") {
        return format!("{stem}y");
    }
    for ending in ["sses", "shes", "ches", "xes", "zes"] {
        if word.ends_with(ending) {
            return word[..word.len() - 2].to_string();
        }
    }
    word.strip_suffix('s').unwrap_or(word).to_string()
}

/// Ranges of tokens that are sentences, with their end mark.
pub(super) fn sentences(tokens: &[Token], text: &str) -> Vec<Range<usize>> {
    let mut sentences = Vec::new();
    let mut start = 0;
    for (index, token) in tokens.iter().enumerate() {
        let gap_end = tokens.get(index + 1).map_or(text.len(), |next| next.bytes.start);
        let gap = &text[token.bytes.end..gap_end];
        let ends = match token.plain.as_str() {
            "。" | "！" | "？" | "!" | "?" | "；" | ";" => true,
            "." => gap.contains(char::is_whitespace) || gap_end == text.len(),
            _ => gap.contains('\n'),
        };
        if ends {
            sentences.push(start..index + 1);
            start = index + 1;
        }
    }
    if start < tokens.len() {
        sentences.push(start..tokens.len());
    }
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        tokens(text).into_iter().map(|token| token.word).collect()
    }

    #[test]
    fn words_numbers_and_characters_are_told_apart() {
        assert_eq!(words("Two X-rays, 12.5mm."), ["two", "x", "-", "ray", ",", "12.5", "mm", "."]);
        assert_eq!(words("左肺CT：3个"), ["左", "肺", "ct", "：", "3", "个"]);
        assert_eq!(words("Opacities, nuclei and masses"), ["opacity", ",", "nucleus", "and", "mass"]);
    }

    #[test]
    fn sentences_end_at_marks_and_not_inside_numbers() {
        let text = "It measures 1.5 cm. No effusion; 未见异常。正常";
        assert_eq!(sentences(&tokens(text), text).len(), 4);
    }
}
