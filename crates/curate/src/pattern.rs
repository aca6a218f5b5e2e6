//! File names with placeholders: `images/{patient:4}_{stem}.png`.
//!
//! `{name}` stands for one or more characters other than `/`, `{name:n}` for exactly n of them, `*` for any number of them.
//! A pattern is matched against the path of a file, or filled with values to find the files that belong to another.

use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// A path with placeholders.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    /// `*`.
    Any,
    /// `{name}` or `{name:n}`.
    Field {
        name: String,
        length: Option<usize>,
    },
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Pattern, String> {
        let mut parts = Vec::new();
        let mut rest = text.as_str();
        while let Some(start) = rest.find(['*', '{', '}']) {
            if start > 0 {
                parts.push(Part::Literal(rest[..start].to_string()));
            }
            let (special, after) = rest[start..].split_at(1);
            rest = match special {
                "*" => {
                    parts.push(Part::Any);
                    after
                }
                "{" => {
                    let (inside, after) =
                        after.split_once('}').ok_or_else(|| format!("`{text}`: `{{` is not closed by `}}`"))?;
                    parts.push(field(inside).map_err(|reason| format!("`{text}`: {reason}"))?);
                    after
                }
                _ => return Err(format!("`{text}`: `}}` without `{{`")),
            };
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_string()));
        }
        Ok(Pattern { text, parts })
    }
}

fn field(inside: &str) -> Result<Part, String> {
    let (name, length) = match inside.split_once(':') {
        None => (inside, None),
        Some((name, digits)) => match digits.parse() {
            Ok(length) if length > 0 => (name, Some(length)),
            _ => return Err(format!("`{digits}` is not a length; write `{{{name}:3}}` for three characters")),
        },
    };
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    if name.is_empty() || !name.chars().all(is_word) {
        return Err(format!("`{{{name}}}` is no placeholder; its name has letters, digits and `_`, e.g. `{{stem}}`"));
    }
    Ok(Part::Field { name: name.to_string(), length })
}

impl Pattern {
    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Names of the placeholders.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Field { name, .. } => Some(name.as_str()),
            _ => None,
        })
    }

    /// What the placeholders stand for in `path`; `None` when the pattern does not match all of it.
    /// A placeholder that occurs twice must stand for the same text.
    pub fn captures(&self, path: &str) -> Option<BTreeMap<String, String>> {
        let mut captured = BTreeMap::new();
        matches(&self.parts, path, &mut captured).then_some(captured)
    }

    /// Puts values in place of placeholders; those without a value stay.
    pub fn fill(&self, values: &BTreeMap<String, String>) -> Pattern {
        let mut parts: Vec<Part> = Vec::new();
        for part in &self.parts {
            let filled = match part {
                Part::Field { name, .. } => match values.get(name) {
                    Some(value) => Part::Literal(value.clone()),
                    None => part.clone(),
                },
                _ => part.clone(),
            };
            match (parts.last_mut(), filled) {
                (Some(Part::Literal(before)), Part::Literal(next)) => before.push_str(&next),
                (_, filled) => parts.push(filled),
            }
        }
        let text = parts.iter().map(Part::to_text).collect();
        Pattern { text, parts }
    }

    /// The text itself, when no placeholder and no `*` is left.
    pub fn literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// The files that match, in order, with what the placeholders stand for.
    pub fn find(&self, files: &BTreeSet<String>) -> Vec<(String, BTreeMap<String, String>)> {
        let prefix = match self.parts.first() {
            Some(Part::Literal(text)) => text.as_str(),
            _ => "",
        };
        let candidates = files.range(prefix.to_string()..).take_while(|file| file.starts_with(prefix));
        candidates.filter_map(|file| Some((file.clone(), self.captures(file)?))).collect()
    }
}

impl Part {
    fn to_text(&self) -> String {
        match self {
            Part::Literal(text) => text.clone(),
            Part::Any => "*".to_string(),
            Part::Field { name, length: None } => format!("{{{name}}}"),
            Part::Field { name, length: Some(length) } => format!("{{{name}:{length}}}"),
        }
    }
}

/// Matches by trying the shortest text for each open part first. Paths are short, so trying again is cheap.
fn matches(parts: &[Part], path: &str, captured: &mut BTreeMap<String, String>) -> bool {
    let Some((part, rest)) = parts.split_first() else { return path.is_empty() };
    match part {
        Part::Literal(text) => path.strip_prefix(text.as_str()).is_some_and(|path| matches(rest, path, captured)),
        Part::Any => ends(path, 0).any(|end| matches(rest, &path[end..], captured)),
        Part::Field { name, length } => {
            if let Some(value) = captured.get(name).cloned() {
                return path.strip_prefix(value.as_str()).is_some_and(|path| matches(rest, path, captured));
            }
            for end in ends(path, 1).filter(|end| length.is_none_or(|length| path[..*end].chars().count() == length)) {
                captured.insert(name.clone(), path[..end].to_string());
                if matches(rest, &path[end..], captured) {
                    return true;
                }
                captured.remove(name);
            }
            false
        }
    }
}

/// Byte positions after `least` or more characters, up to the next `/`.
fn ends(path: &str, least: usize) -> impl Iterator<Item = usize> {
    let segment = path.find('/').unwrap_or(path.len());
    let starts = path[..segment].char_indices().map(|(position, _)| position);
    starts.chain([segment]).skip(least)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::try_from(text.to_string()).unwrap()
    }

    fn captured(text: &str, path: &str) -> Option<Vec<(String, String)>> {
        Some(pattern(text).captures(path)?.into_iter().collect())
    }

    #[test]
    fn placeholders_are_read_from_a_path() {
        let eye = captured("Image_{child:2}{eye:1}.jpg", "Image_08R.jpg").unwrap();
        assert_eq!(eye, [("child".into(), "08".into()), ("eye".into(), "R".into())]);
        let slide = captured("{part}/{slide}_png.rf.*.jpg", "train/image-9_png.rf.0d.jpg").unwrap();
        assert_eq!(slide[1].1, "image-9");
        assert_eq!(captured("{class}/{stem}.png", "a/b/c.png"), None, "a placeholder stays in its folder");
        assert_eq!(captured("{class}/{stem}.png", "a/.png"), None, "a placeholder is not empty");
        assert!(captured("{case}/images/{case}.png", "7/images/7.png").is_some());
        assert!(captured("{case}/images/{case}.png", "7/images/8.png").is_none());
        assert!(captured("*.png", "正常 (1).png").is_some());
    }

    #[test]
    fn a_filled_pattern_finds_the_files_that_belong_to_an_image() {
        let files = ["a/masks/1.png", "a/masks/2.png", "b/masks/1.png"].map(str::to_string).into();
        let values = BTreeMap::from([("case".to_string(), "a".to_string())]);
        let found = pattern("{case}/masks/*.png").fill(&values).find(&files);
        assert_eq!(found.iter().map(|(file, _)| file.as_str()).collect::<Vec<_>>(), ["a/masks/1.png", "a/masks/2.png"]);
        assert_eq!(pattern("x{case}y").fill(&values).literal(), Some("xay"));
        let open = pattern("{case}/{class}.nii").fill(&values);
        assert_eq!((open.literal(), open.as_str()), (None, "a/{class}.nii"));
    }

    #[test]
    fn wrong_patterns_are_explained() {
        for text in ["a{b", "a}b", "{}", "{a:0}", "{a:x}", "{a/{b}.png"] {
            let error = Pattern::try_from(text.to_string()).unwrap_err();
            assert!(error.contains(text), "{error}");
        }
    }
}
