//! The vocabulary of checks: what generated text can speak of, and how these things hang together.

use super::token::{Token, tokens};
use gmai_schema::{Language, Modality};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::LazyLock;

/// Index of a [`Concept`].
pub(super) type Id = usize;

/// What a concept is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A way of acquiring images.
    Modality,
    /// A part of the body.
    Organ,
    /// A part of tissue: cells and what is in them.
    Structure,
    /// A disease, sign or device.
    Finding,
    /// The statement that all is well.
    Normal,
    /// The statement that something is not.
    Abnormal,
    /// One of several values that exclude each other: index of its [`Family`].
    Value(usize),
    /// Words that hold the name of something else.
    Ignore,
}

/// Something that text can speak of.
#[derive(Debug)]
pub(super) struct Concept {
    /// Its name in messages.
    pub(super) key: String,
    pub(super) kind: Kind,
    /// Said of anything that is not normal, e.g. `lesion`.
    pub(super) generic: bool,
    /// A thing that was put into the body.
    pub(super) device: bool,
    /// Wholes that it is part of, kinds that it belongs to.
    pub(super) wholes: Vec<Id>,
    /// Organs where it lies.
    pub(super) at: Vec<Id>,
    /// Other findings that come with it.
    pub(super) shows: Vec<Id>,
    /// Modalities that may be called by either name.
    pub(super) like: Vec<Id>,
    /// Names in Japanese, for terms whose source has none.
    pub(super) japanese: Vec<String>,
    english: Vec<String>,
}

/// Values that exclude each other.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) key: String,
    /// Whether a value may be told only where the record has one.
    pub(super) strict: bool,
    /// Whether its words belong to what they stand beside and say nothing alone.
    pub(super) attached: bool,
}

/// Names of one language, found by their first word.
pub(super) type Names = HashMap<String, Vec<(Vec<String>, Id)>>;

/// The vocabulary.
#[derive(Debug)]
pub(super) struct Lexicon {
    pub(super) concepts: Vec<Concept>,
    pub(super) families: Vec<Family>,
    names: BTreeMap<&'static str, Names>,
    by_key: HashMap<String, Id>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    modality: BTreeMap<String, Entry>,
    ignore: BTreeMap<String, Entry>,
    organ: BTreeMap<String, Entry>,
    structure: BTreeMap<String, Entry>,
    finding: BTreeMap<String, Entry>,
    normal: BTreeMap<String, Entry>,
    value: BTreeMap<String, BTreeMap<String, FamilyEntry>>,
}

/// A setting of a family, or one of its values.
#[derive(Deserialize)]
#[serde(untagged)]
enum FamilyEntry {
    Setting(bool),
    Value(Box<Entry>),
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Entry {
    en: String,
    zh: String,
    ja: String,
    #[serde(rename = "in")]
    wholes: String,
    at: String,
    shows: String,
    like: Vec<String>,
    generic: bool,
    device: bool,
}

static LEXICON: LazyLock<Lexicon> = LazyLock::new(|| {
    let file: File = toml::from_str(include_str!("lexicon.toml")).expect("a test reads the shipped vocabulary");
    Lexicon::build(file)
});

/// The vocabulary that ships with the program.
pub(super) fn lexicon() -> &'static Lexicon {
    &LEXICON
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty())
}

impl Lexicon {
    fn build(file: File) -> Lexicon {
        let mut entries: Vec<(String, Kind, Entry)> = Vec::new();
        let kinds = [
            (Kind::Modality, file.modality),
            (Kind::Ignore, file.ignore),
            (Kind::Organ, file.organ),
            (Kind::Structure, file.structure),
            (Kind::Finding, file.finding),
        ];
        for (kind, group) in kinds {
            entries.extend(group.into_iter().map(|(key, entry)| (key, kind, entry)));
        }
        let normal = |key: &str| if key == "normal" { Kind::Normal } else { Kind::Abnormal };
        entries.extend(file.normal.into_iter().map(|(key, entry)| (key.clone(), normal(&key), entry)));
        let mut families = Vec::new();
        for (key, group) in file.value {
            let mut family = Family { key, strict: false, attached: false };
            for (name, entry) in group {
                match entry {
                    FamilyEntry::Setting(value) if name == "strict" => family.strict = value,
                    FamilyEntry::Setting(value) => family.attached = value,
                    FamilyEntry::Value(entry) => entries.push((name, Kind::Value(families.len()), *entry)),
                }
            }
            families.push(family);
        }
        let by_key: HashMap<String, Id> = entries.iter().enumerate().map(|(id, (key, ..))| (key.clone(), id)).collect();
        let ids = |text: &str| list(text).filter_map(|key| by_key.get(key).copied()).collect::<Vec<Id>>();
        let mut names: BTreeMap<&'static str, Names> = BTreeMap::new();
        let mut concepts = Vec::new();
        for (id, (key, kind, entry)) in entries.into_iter().enumerate() {
            for (language, text) in [("en", &entry.en), ("zh", &entry.zh), ("ja", &entry.ja)] {
                list(text).for_each(|name| add(names.entry(language).or_default(), name, id));
            }
            concepts.push(Concept {
                kind,
                generic: entry.generic,
                device: entry.device,
                wholes: ids(&entry.wholes),
                at: ids(&entry.at),
                shows: ids(&entry.shows),
                like: entry.like.iter().filter_map(|key| by_key.get(key).copied()).collect(),
                japanese: list(&entry.ja).map(str::to_string).collect(),
                english: list(&entry.en).map(str::to_lowercase).collect(),
                key,
            });
        }
        Lexicon { concepts, families, names, by_key }
    }

    /// The concept with this key.
    pub(super) fn id(&self, key: &str) -> Option<Id> {
        self.by_key.get(key).copied()
    }

    /// The concept of a modality of the closed vocabulary.
    pub(super) fn modality(&self, modality: Modality) -> Option<Id> {
        self.id(modality.key())
    }

    /// Japanese names of an English term that the vocabulary knows as it stands.
    pub(super) fn japanese(&self, english: &str) -> &[String] {
        let wanted = english.to_lowercase();
        let concept = self.concepts.iter().find(|concept| concept.english.contains(&wanted));
        concept.map_or(&[], |concept| &concept.japanese)
    }

    /// Names that a text in `language` is searched for: English ones stand in every text.
    pub(super) fn names(&self, language: Language) -> Vec<&Names> {
        let mut names: Vec<&Names> = self.names.get(language.key()).into_iter().collect();
        if language != Language::En {
            names.extend(self.names.get("en"));
        }
        names
    }

    /// `ids` with everything that they are parts or kinds of.
    pub(super) fn upwards(&self, ids: impl IntoIterator<Item = Id>) -> BTreeSet<Id> {
        let mut all = BTreeSet::new();
        let mut open: Vec<Id> = ids.into_iter().collect();
        while let Some(id) = open.pop() {
            if all.insert(id) {
                open.extend(&self.concepts[id].wholes);
            }
        }
        all
    }

    /// The outermost wholes of an organ.
    pub(super) fn roots(&self, id: Id) -> BTreeSet<Id> {
        self.upwards([id]).into_iter().filter(|id| self.concepts[*id].wholes.is_empty()).collect()
    }
}

/// Adds a name.
pub(super) fn add(names: &mut Names, name: &str, id: Id) {
    let words: Vec<String> =
        tokens(name).into_iter().filter(|token| token.plain != "-").map(|token| token.word).collect();
    let Some(first) = words.first().cloned() else { return };
    let entries = names.entry(first).or_default();
    entries.push((words, id));
    entries.sort_by_key(|(words, _)| std::cmp::Reverse(words.len())); // The longest is tried first.
}

/// The longest name that begins at `start`: its concepts, and where it ends. Hyphens between words do not count.
pub(super) fn longest(names: &Names, tokens: &[Token], start: usize) -> Option<(Vec<Id>, usize)> {
    let entries = names.get(&tokens[start].word)?;
    let mut found: Option<(Vec<Id>, usize, usize)> = None;
    for (words, id) in entries {
        match &mut found {
            Some((ids, _, length)) if words.len() == *length => {
                if found_end(words, tokens, start).is_some() {
                    ids.push(*id);
                }
            }
            Some(_) => break,
            None => found = found_end(words, tokens, start).map(|end| (vec![*id], end, words.len())),
        }
    }
    found.map(|(ids, end, _)| (ids, end))
}

fn found_end(words: &[String], tokens: &[Token], start: usize) -> Option<usize> {
    let mut at = start;
    for (index, word) in words.iter().enumerate() {
        while index > 0 && tokens.get(at).is_some_and(|token| token.plain == "-" || token.plain == "‑") {
            at += 1;
        }
        if tokens.get(at)?.word != *word {
            return None;
        }
        at += 1;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_of_the_vocabulary_has_an_entry_and_every_entry_a_name_in_each_language() {
        let text = include_str!("lexicon.toml");
        let file: toml::Table = toml::from_str(text).expect("valid");
        let lexicon = lexicon();
        for (section, group) in &file {
            for (key, entry) in group.as_table().into_iter().flatten() {
                for field in ["in", "at", "shows"] {
                    for name in list(entry.get(field).and_then(toml::Value::as_str).unwrap_or_default()) {
                        assert!(lexicon.id(name).is_some(), "{section}.{key}: {field} names `{name}`");
                    }
                }
                for language in ["en", "zh", "ja"] {
                    let named =
                        entry.get(language).and_then(toml::Value::as_str).is_some_and(|names| !names.is_empty());
                    assert!(named || section == "value", "{section}.{key} has no {language}");
                }
            }
        }
        for modality in Modality::ALL {
            assert!(lexicon.modality(*modality).is_some(), "{modality}");
        }
        let mut keys: Vec<&str> = lexicon.concepts.iter().map(|concept| concept.key.as_str()).collect();
        keys.sort_unstable();
        assert!(keys.windows(2).all(|pair| pair[0] != pair[1]), "keys are unique over all sections");
    }

    #[test]
    fn the_longest_name_wins_and_hyphens_do_not_matter() {
        let found = |text: &str| {
            let tokens = tokens(text);
            let (ids, end) = longest(lexicon().names(Language::En)[0], &tokens, 0).expect("a name");
            (lexicon().concepts[ids[0]].key.clone(), end)
        };
        assert_eq!(found("pleural effusion"), ("pleural_effusion".to_string(), 2));
        assert_eq!(found("X-rays"), ("x_ray".to_string(), 3));
        assert_eq!(found("ground-glass opacities"), ("opacity".to_string(), 4));
    }
}
