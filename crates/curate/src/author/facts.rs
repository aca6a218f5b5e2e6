//! A record as JSON for the prompt: everything that may be said of it, and nothing that could be taken for an instruction.

use super::options::Options;
use crate::verify::japanese_name;
use gmai_schema::{BoundingBox, Language, Record, SourceFacts, Term};
use serde_json::{Map, Value, json};

/// The most regions that a prompt lists one by one.
const MAX_REGIONS: usize = 40;

/// The facts of a record. Names stand in English, and in the language of the text where they have one.
pub(crate) fn facts(record: &Record, source: &SourceFacts, language: Language, options: &Options) -> String {
    let name = |term: &Term| name(term, language, options);
    let mut facts = Map::new();
    if let Some(modality) = record.modality {
        facts.insert("modality".into(), modality.name(Language::En).into());
    }
    facts.insert("department".into(), record.department.name(Language::En).into());
    if let Some(slice) = record.provenance.slice {
        facts.insert("plane".into(), slice.axis.key().into());
    }
    let mut labels = Map::new();
    for attribute in &source.attributes {
        let values: Vec<Value> = record
            .labels
            .iter()
            .filter(|label| label.attribute == attribute.key)
            .map(|label| name(&label.value))
            .collect();
        if !values.is_empty() {
            labels.insert(plain(&attribute.name.en, options), Value::Array(values));
        }
    }
    if !labels.is_empty() {
        facts.insert("labels".into(), Value::Object(labels));
    }
    if !record.regions.is_empty() {
        let region = |region: &gmai_schema::Region| json!({"name": name(&region.term), "box": corners(&region.bounds)});
        let listed: Vec<Value> = record.regions.iter().take(MAX_REGIONS).map(region).collect();
        facts.insert("marked".into(), Value::Array(listed));
    }
    if !record.regions.is_empty() || !record.points.is_empty() {
        facts.insert("number_marked".into(), counts(record, options));
        facts.insert("everything_of_these_kinds_is_marked".into(), source.regions_exhaustive.into());
    }
    if options.send_texts {
        facts.extend(record.report.as_ref().map(|report| ("report".to_string(), plain(report, options).into())));
        let pair =
            |pair: &gmai_schema::QuestionAnswer| json!([plain(&pair.question, options), plain(&pair.answer, options)]);
        let pairs: Vec<Value> = record.questions.iter().take(MAX_REGIONS).map(pair).collect();
        if !pairs.is_empty() {
            facts.insert("answered_questions".into(), Value::Array(pairs));
        }
    }
    quoted(&Value::Object(facts))
}

/// JSON without `<`: no text of a dataset can stand for a picture or begin a turn.
fn quoted(value: &Value) -> String {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.replace('<', "\\u003c").replace('>', "\\u003e")
}

/// A text of the annotation without control characters, at most as long as the options say.
pub(crate) fn plain(text: &str, options: &Options) -> String {
    let printable = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    let mut short: String = printable.take(options.max_fact_characters).collect();
    if text.chars().count() > options.max_fact_characters {
        short.push('…');
    }
    short.split_whitespace().collect::<Vec<&str>>().join(" ")
}

/// A box as the prompt has it.
pub(crate) fn corners(bounds: &BoundingBox) -> Value {
    let round = |value: f32| (f64::from(value) * 100.0).round() / 100.0;
    json!([round(bounds.x1), round(bounds.y1), round(bounds.x2), round(bounds.y2)])
}

fn name(term: &Term, language: Language, options: &Options) -> Value {
    let english = plain(&term.en, options);
    match own_name(term, language, options) {
        Some(own) if language != Language::En => json!({"en": english, language.key(): plain(own, options)}),
        _ => english.into(),
    }
}

/// The name of a term in the language of a text.
pub(crate) fn own_name<'a>(term: &'a Term, language: Language, options: &'a Options) -> Option<&'a str> {
    match language {
        Language::Ja => japanese_name(&term.en, &options.japanese),
        language => term.text(language),
    }
}

fn counts(record: &Record, options: &Options) -> Value {
    let mut counts = Map::new();
    let points = record.points.iter().map(|point| &point.term);
    for term in record.regions.iter().map(|region| &region.term).chain(points) {
        let entry = counts.entry(plain(&term.en, options)).or_insert(json!(0));
        *entry = json!(entry.as_u64().unwrap_or(0) + 1);
    }
    Value::Object(counts)
}
