//! Questions and answers about pictures in JSON: a list of objects, or one object per line (VQA-RAD and its kin).

use super::{Folder, Item, quarantine_unlabelled};
use crate::Result;
use crate::kind::QaJson;
use crate::ledger::{Defect, Ledger, Of};
use crate::sheet::scalar;
use gmai_schema::{QuestionAnswer, Split};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn read(folder: &Folder, kind: &QaJson, ledger: &mut Ledger) -> Result<Vec<Item>> {
    let mut items: BTreeMap<String, Item> =
        folder.pictures(&kind.images)?.into_iter().map(|item| (item.name.clone(), item)).collect();
    // Fields on which the entries of one picture differ say nothing about the picture.
    let mut ambiguous: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in &kind.files {
        folder.demand(file, "files")?;
        for entry in entries(folder, file, ledger) {
            let object = match &entry.value {
                Value::Object(object) => object,
                other => {
                    let reason = format!("an object is needed, found {other}");
                    quarantine_entry(file, &entry.place, &reason, ledger);
                    continue;
                }
            };
            match question(kind, object, &items) {
                Err(Problem { key, reason }) => {
                    quarantine_entry(file, &format!("{}, {key}", entry.place), &reason, ledger);
                }
                Ok((name, question)) => {
                    let item = items.get_mut(&name).expect("question() looked the picture up");
                    item.annotation = Some(file.clone());
                    item.questions.push(question);
                    let differing = ambiguous.entry(name).or_default();
                    for (key, value) in object.iter().filter_map(|(key, value)| Some((key, scalar(value)?))) {
                        let known = item.fields.entry(key.clone()).or_insert_with(|| value.clone());
                        if *known != value {
                            differing.insert(key.clone());
                        }
                    }
                }
            }
        }
    }
    let (asked, silent): (Vec<Item>, Vec<Item>) = items.into_values().partition(|item| !item.questions.is_empty());
    for item in silent {
        quarantine_unlabelled(&item.name, "no usable entry of the JSON files asks about it", ledger);
    }
    let mut asked = asked;
    for item in &mut asked {
        for key in ambiguous.get(&item.name).into_iter().flatten() {
            item.fields.remove(key);
        }
    }
    Ok(asked)
}

pub(super) struct Entry {
    pub(super) place: String,
    pub(super) value: Value,
}

struct Problem {
    key: String,
    reason: String,
}

fn quarantine_entry(file: &str, field: &str, reason: &str, ledger: &mut Ledger) {
    ledger.found(Of::Annotations, 1);
    ledger.quarantine(Of::Annotations, Defect::new(file, field, reason, "correct or remove the entry"));
}

/// The entries of a file. A list that cannot be read is one defect, a line that cannot be read is one each.
pub(super) fn entries(folder: &Folder, file: &str, ledger: &mut Ledger) -> Vec<Entry> {
    let text = match folder.text(file) {
        Ok(text) => text,
        Err(defect) => {
            ledger.found(Of::Annotations, 1);
            ledger.quarantine(Of::Annotations, defect);
            return Vec::new();
        }
    };
    let place = |index: usize| format!("entry {}", index + 1);
    if text.trim_start().starts_with('[') {
        return match serde_json::from_str::<Vec<Value>>(&text) {
            Ok(values) => {
                values.into_iter().enumerate().map(|(index, value)| Entry { place: place(index), value }).collect()
            }
            Err(error) => {
                let field = format!("line {}, column {}", error.line(), error.column());
                quarantine_entry(file, &field, &error.to_string(), ledger);
                Vec::new()
            }
        };
    }
    let mut entries = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match serde_json::from_str(line) {
            Ok(value) => entries.push(Entry { place: format!("line {}", index + 1), value }),
            Err(error) => quarantine_entry(file, &format!("line {}", index + 1), &error.to_string(), ledger),
        }
    }
    entries
}

/// The picture that an entry is about, and its question.
fn question(
    kind: &QaJson,
    object: &Map<String, Value>,
    items: &BTreeMap<String, Item>,
) -> std::result::Result<(String, QuestionAnswer), Problem> {
    let text = |key: &str| {
        let found = object.get(key).and_then(scalar).filter(|text| !text.is_empty());
        found.ok_or_else(|| Problem { key: key.to_string(), reason: "the text is missing or empty".to_string() })
    };
    let image = text(&kind.image_key)?;
    let name = match kind.image_folder.as_deref().map(|parent| parent.trim_end_matches('/')) {
        None | Some("") => image,
        Some(parent) => format!("{parent}/{image}"),
    };
    if !items.contains_key(&name) {
        let reason = format!("label without image: `{name}` does not exist or is not matched by `images`");
        return Err(Problem { key: kind.image_key.clone(), reason });
    }
    let official = kind.split_key.as_ref().and_then(|key| object.get(key)).and_then(scalar);
    let official_split = official.map(|value| {
        let is_test = kind.test_prefixes.iter().any(|prefix| value.starts_with(prefix.as_str()));
        if is_test { Split::Test } else { Split::Train }
    });
    let question = QuestionAnswer {
        question: text(&kind.question_key)?,
        answer: text(&kind.answer_key)?,
        language: kind.language,
        kind: kind.kind_key.as_ref().and_then(|key| object.get(key)).and_then(scalar),
        official_split,
    };
    Ok((name, question))
}
