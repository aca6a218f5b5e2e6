//! Texts made comparable, in English and Chinese.

use gmai_schema::conversation::IMAGE_MARKER;

/// Text for comparison: lower case, full-width forms folded, tags, punctuation and English articles removed,
/// number words up to ten as digits, single spaces. Chinese text keeps its characters.
pub fn normalise(text: &str) -> String {
    tokens(text).join(" ")
}

/// The parts compared by token F1: words, and single Chinese characters.
pub fn tokens(text: &str) -> Vec<String> {
    let mut text = fold_width(text.chars()).collect::<String>().to_lowercase();
    for tag in [IMAGE_MARKER, "<ref>", "</ref>", "<box>", "</box>"] {
        text = text.replace(tag, " ");
    }
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut word = String::new();
    for (index, &c) in chars.iter().enumerate() {
        let digit = |offset: Option<usize>| offset.and_then(|at| chars.get(at)).is_some_and(char::is_ascii_digit);
        let decimal_point = c == '.' && digit(index.checked_sub(1)) && digit(Some(index + 1));
        if is_chinese(c) {
            push_word(&mut tokens, &mut word);
            tokens.push(c.to_string());
        } else if c.is_alphanumeric() || decimal_point {
            word.push(c);
        } else if c != '\'' && c != '’' {
            push_word(&mut tokens, &mut word); // An apostrophe stays inside its word: "alzheimer's" is one.
        }
    }
    push_word(&mut tokens, &mut word);
    tokens
}

fn push_word(tokens: &mut Vec<String>, word: &mut String) {
    const NUMBERS: [&str; 11] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
    let word = std::mem::take(word);
    if word.is_empty() || matches!(word.as_str(), "a" | "an" | "the") {
        return;
    }
    match NUMBERS.iter().position(|number| *number == word) {
        Some(value) => tokens.push(value.to_string()),
        None => tokens.push(word),
    }
}

/// Whether a character is a Chinese one: a token of its own.
pub(crate) fn is_chinese(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{2FA1F}')
}

/// Full-width letters, digits and punctuation as their ASCII forms.
pub(crate) fn fold_width(chars: impl Iterator<Item = char>) -> impl Iterator<Item = char> {
    chars.map(|c| match c {
        '\u{3000}' => ' ',
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(c as u32 - 0xFEE0).unwrap_or(c),
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalised_text_ignores_case_articles_punctuation_and_width() {
        assert_eq!(normalise("The X-ray, of a CHEST."), "x ray of chest");
        assert_eq!(normalise("Two nodules of 3.5 cm"), "2 nodules of 3.5 cm");
        assert_eq!(normalise("<ref>白细胞</ref>。"), "白 细 胞");
        assert_eq!(normalise("ＣＴ"), "ct");
    }
}
