//! What an import must be told: other formats do not say what kind of picture a row shows, or under which licence.

use crate::{Error, Result};
use gmai_schema::{Department, Language, Modality, Task};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// What holds for all rows of a source. What is absent is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenFacts {
    /// Licence of the data.
    pub licence: Option<String>,
    /// Clinical department. A row needs one.
    pub department: Option<Department>,
    /// How the images were acquired.
    pub modality: Option<Modality>,
    /// What the questions examine; `question_answering` where nothing is said.
    pub task: Option<Task>,
    /// Language of all text; read from the script where nothing is said.
    pub language: Option<Language>,
}

impl GivenFacts {
    /// These facts, and those of `others` where these are silent.
    pub(crate) fn or(&self, others: &GivenFacts) -> GivenFacts {
        GivenFacts {
            licence: self.licence.clone().or_else(|| others.licence.clone()),
            department: self.department.or(others.department),
            modality: self.modality.or(others.modality),
            task: self.task.or(others.task),
            language: self.language.or(others.language),
        }
    }
}

/// A TOML file with facts by source: `[source."crc100k"]`, `licence = "CC BY 4.0"`, `department = "oncology"`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactsFile {
    /// Facts by the name of the source.
    #[serde(default)]
    pub source: BTreeMap<String, GivenFacts>,
}

impl FactsFile {
    /// Reads the file.
    ///
    /// # Errors
    /// A file that cannot be read, an unknown key or an unknown word, by line.
    pub fn read(path: &Path) -> Result<FactsFile> {
        let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
        toml::from_str(&text).map_err(|error| Error::bad_file(path, "TOML", error.to_string()))
    }
}

/// The language that a text's letters tell; the reason when they tell another than the two that a dataset knows.
pub(crate) fn language_of<'a>(texts: impl Iterator<Item = &'a str>) -> std::result::Result<Language, String> {
    let (mut latin, mut han, mut other) = (0_usize, 0_usize, 0_usize);
    for letter in texts.flat_map(str::chars).filter(|letter| letter.is_alphabetic()) {
        match u32::from(letter) {
            0..=0x024f => latin += 1,
            0x3400..=0x4dbf | 0x4e00..=0x9fff => han += 1,
            0x0370..=0x03ff => {} // Greek letters are part of every medical language.
            _ => other += 1,
        }
    }
    // One ideograph is a word: a tenth of the letters makes a Chinese text with foreign names in it.
    if other * 10 > latin + han + other {
        return Err("the text is in a script that is neither English nor Chinese; state it with --language to take it all the same".to_string());
    }
    Ok(if han * 10 > latin + han { Language::Zh } else { Language::En })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_tells_the_language() {
        let of = |text: &'static str| language_of([text].into_iter());
        assert_eq!(of("Is there a pneumothorax? β-blocker, 3 µg"), Ok(Language::En));
        assert_eq!(of("这张 CT 图像显示什么？"), Ok(Language::Zh));
        assert!(of("この画像には何が写っていますか").is_err());
        assert!(of("Что видно на снимке?").is_err());
        assert_eq!(of("1 2 3"), Ok(Language::En));
    }

    #[test]
    fn unknown_words_are_refused() {
        assert!(toml::from_str::<FactsFile>("[source.a]\ndepartment = \"oncology\"").is_ok());
        assert!(toml::from_str::<FactsFile>("[source.a]\ndepartment = \"cancer\"").is_err());
        assert!(toml::from_str::<FactsFile>("[source.a]\nlicense = \"CC0\"").is_err());
    }
}
