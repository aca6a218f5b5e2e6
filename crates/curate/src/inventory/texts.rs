//! Files of texts: questions and answers, conversations, reports in plain text and in the formats of hospitals.

use super::annotations::{Annotation, Detail, Images};
use super::files::FileFacts;
use super::{AnnotationKind, AnnotationSet};
use crate::source::{Holding, ReportFormat, take_stock};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Plain texts without a title that the vocabulary knows count as reports when a folder has at least this many.
pub(super) const MIN_PROSE_FILES: usize = 5;
/// A report has more words than this.
const MIN_WORDS: usize = 8;
/// Entries of a list of questions or conversations that are looked at to learn its keys.
const MAX_PROBED: usize = 2000;

/// Keys of a JSON list of questions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keys {
    pub image: String,
    pub question: String,
    pub answer: String,
}

type JsonObject = Map<String, Value>;

/// The objects of a JSON list, or of JSON lines.
fn objects(text: &str) -> Option<Vec<JsonObject>> {
    match serde_json::from_str(text) {
        Ok(list) => Some(list),
        Err(_) => {
            let lines = text.lines().filter(|line| !line.trim().is_empty());
            lines.map(|line| serde_json::from_str(line).ok()).collect()
        }
    }
}

/// Whether the first line is a JSON document of its own.
pub(super) fn is_lines(text: &str) -> bool {
    text.lines().next().is_some_and(|line| serde_json::from_str::<serde::de::IgnoredAny>(line).is_ok())
}

pub(super) fn questions(file: &FileFacts, text: &str, images: &Images) -> Option<Annotation> {
    let list = objects(text)?;
    let first = list.first()?;
    let called = |word: &str| -> Option<String> {
        let exact = first.keys().find(|key| key.eq_ignore_ascii_case(word));
        exact.or_else(|| first.keys().find(|key| key.to_lowercase().contains(word))).cloned()
    };
    let (question, answer) = (called("question")?, called("answer")?);
    let image_of = |object: &JsonObject, key: &str| {
        let name = object.get(key)?.as_str()?;
        images.named(name, file.folder()).or_else(|| images.with_stem(name, file.folder()))
    };
    let matches = |key: &String| list.iter().take(MAX_PROBED).filter(|object| image_of(object, key).is_some()).count();
    let image = first.keys().map(|key| (matches(key), key)).max_by_key(|(count, _)| *count);
    let image = image.filter(|(count, _)| *count > 0).map(|(_, key)| key.clone())?;
    let keys = Keys { image, question, answer };
    let found: BTreeSet<usize> = list.iter().filter_map(|object| image_of(object, &keys.image)).collect();
    let mut set = AnnotationSet::new(file.path.clone(), AnnotationKind::QaJson);
    set.entries = list.len() as u64;
    set.matched_images = found.len() as u64;
    Some(Annotation { set, detail: Detail::Questions(keys), images: found })
}

/// Conversations: entries with a list `conversations` or `messages`.
pub(super) fn conversations(file: &FileFacts, text: &str, images: &Images) -> Option<Annotation> {
    let list = objects(text)?;
    let is_conversation = |object: &JsonObject| {
        ["conversations", "messages"].iter().any(|key| {
            object.get(*key).is_some_and(|list| {
                list.as_array()
                    .and_then(|list| list.first())
                    .is_some_and(|turn| turn.get("from").or_else(|| turn.get("role")).is_some_and(Value::is_string))
            })
        })
    };
    if !list.first().is_some_and(is_conversation) {
        return None;
    }
    let mut set = AnnotationSet::new(file.path.clone(), AnnotationKind::Conversations);
    set.entries = list.iter().filter(|object| is_conversation(object)).count() as u64;
    let mut names = Vec::new();
    for object in &list {
        for key in ["image", "images", "conversations", "messages"] {
            object.get(key).into_iter().for_each(|value| picture_names(value, 0, &mut names));
        }
    }
    let found: BTreeSet<usize> = names.into_iter().filter_map(|name| images.named(name, file.folder())).collect();
    set.matched_images = found.len() as u64;
    Some(Annotation { set, detail: Detail::Conversations, images: found })
}

/// Texts that may be paths of pictures: all that have a dot and no blank before their last six letters.
fn picture_names<'a>(value: &'a Value, depth: usize, names: &mut Vec<&'a str>) {
    match value {
        Value::String(text) if text.len() < 1024 && text.rfind('.').is_some_and(|dot| text.len() - dot <= 6) => {
            names.push(text.strip_prefix("file://").unwrap_or(text));
        }
        Value::Array(list) if depth < 6 => list.iter().for_each(|value| picture_names(value, depth + 1, names)),
        Value::Object(object) if depth < 6 => {
            object.values().for_each(|value| picture_names(value, depth + 1, names));
        }
        _ => {}
    }
}

/// Whether JSON is a FHIR resource.
pub(super) fn is_fhir(text: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Resource {
        #[serde(rename = "resourceType")]
        _kind: String,
    }
    text.contains("\"resourceType\"") && serde_json::from_str::<Resource>(text).is_ok()
}

/// Whether text begins like HL7 v2 messages.
pub(super) fn is_hl7(text: &str) -> bool {
    let text = text.trim_start();
    ["MSH", "FHS", "BHS"].iter().any(|name| text.strip_prefix(name).is_some_and(|rest| rest.starts_with("|^~\\")))
}

/// The kind of report that an XML file is.
pub(super) fn kind_of_xml(text: &str) -> Option<AnnotationKind> {
    let elements = text.split('<').skip(1).filter(|element| !element.starts_with(['?', '!']));
    let root =
        elements.map(|element| element.split([' ', '>', '/', '\n', '\r', '\t']).next().unwrap_or_default()).next()?;
    match root.rsplit(':').next().unwrap_or(root) {
        "ClinicalDocument" => Some(AnnotationKind::Ccda),
        "collection" if text.contains("<document") && text.contains("<passage") => Some(AnnotationKind::Bioc),
        _ => None,
    }
}

/// Names of texts that describe data or software.
const ABOUT: [&str; 9] =
    ["readme", "license", "licence", "source", "changelog", "requirements", "copying", "citation", "notice"];

/// Whether a plain text reads like a report: sentences, not a list of names or numbers, and not about the data themselves.
pub(super) fn is_prose(file: &FileFacts, text: &str) -> bool {
    let name = file.name().to_lowercase();
    if ABOUT.iter().any(|about| name.starts_with(about)) {
        return false;
    }
    let words: Vec<&str> = text.split_whitespace().take(4000).collect();
    let lines = text.lines().filter(|line| !line.trim().is_empty()).count();
    let are_letters = words.iter().filter(|word| word.chars().any(char::is_alphabetic)).count();
    let has_wide_letters = text.chars().filter(|letter| ('\u{3040}'..='\u{9fff}').contains(letter)).count() > 20;
    let is_list = words.len() <= lines * 2;
    has_wide_letters || (words.len() > MIN_WORDS && are_letters * 3 >= words.len() * 2 && !is_list)
}

/// What a report file holds, by the reader that curate uses; the error is what is wrong with it.
pub(super) fn report(kind: AnnotationKind, path: &str, text: &str) -> Result<Holding, String> {
    let format = match kind {
        AnnotationKind::Fhir => ReportFormat::Fhir,
        AnnotationKind::Hl7v2 => ReportFormat::Hl7v2,
        AnnotationKind::Ccda => ReportFormat::Ccda,
        AnnotationKind::Bioc => ReportFormat::Bioc,
        _ => ReportFormat::Text,
    };
    take_stock(format, path, text)
}
