//! Sentence tables: several ways to say one thing, in both languages.

use super::dice::Dice;
use gmai_schema::Language;

/// Ways to say one thing. Words in braces are replaced by facts.
pub(super) struct Phrases {
    /// File, table and version, e.g. `choice/modality@1`. The version rises whenever a sentence changes, moves or is added.
    pub id: &'static str,
    /// English sentences; one that begins with a brace is capitalised after filling.
    pub en: &'static [&'static str],
    /// Chinese sentences.
    pub zh: &'static [&'static str],
}

impl Phrases {
    /// Draws a sentence.
    pub(super) fn pick(&self, language: Language, dice: &mut Dice) -> Phrase {
        let all = match language {
            Language::En | Language::Ja => self.en,
            Language::Zh => self.zh,
        };
        let index = dice.below(all.len());
        Phrase { table: self.id, index, language, template: all[index] }
    }
}

/// A sentence whose facts are still to be filled in.
pub(super) struct Phrase {
    table: &'static str,
    index: usize,
    language: Language,
    template: &'static str,
}

impl Phrase {
    /// The sentence with `facts` in place of the words in braces.
    pub(super) fn fill(&self, facts: &[(&str, &str)]) -> String {
        let filled = fill(self.template, facts);
        match self.language {
            Language::En | Language::Ja => capitalised(&filled),
            Language::Zh => filled,
        }
    }

    /// Which sentence this is, for a conversation's `generator`.
    pub(super) fn generator(&self) -> String {
        format!("template:{}#{}", self.table, self.index)
    }

    /// Like [`Phrase::generator`] without the leading word, to be joined with others.
    pub(super) fn reference(&self) -> String {
        format!("{}#{}", self.table, self.index)
    }
}

/// Replaces `{name}` by the fact of that name, once: braces inside a fact stay as they are.
fn fill(template: &str, facts: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(template.len() + 32);
    let mut rest = template;
    while let Some(start) = rest.find('{') {
        let (before, from_brace) = rest.split_at(start);
        filled.push_str(before);
        let end = from_brace.find('}').map_or(from_brace.len(), |end| end + 1);
        let name = from_brace[..end].trim_start_matches('{').trim_end_matches('}');
        match facts.iter().find(|(key, _)| *key == name) {
            Some((_, value)) => filled.push_str(value),
            None => filled.push_str(&from_brace[..end]),
        }
        rest = &from_brace[end..];
    }
    filled.push_str(rest);
    filled
}

/// The text with its first letter in upper case.
pub(super) fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_with_braces_are_not_filled_again() {
        assert_eq!(fill("{a} and {b}.", &[("a", "{b}"), ("b", "x")]), "{b} and x.");
        assert_eq!(fill("open {a", &[]), "open {a");
    }
}
