//! What the fields of an item say about the image as a whole, by the rules of its source.

use crate::config::{AttributeRule, By, Flags, Source, ValueRule};
use crate::inputs::hash_of;
use crate::ledger::Defect;
use crate::source::Item;
use crate::table::Tables;
use gmai_schema::{
    Attribute, Axis, BodyPart, Department, Grade, Label, Modality, SourceFacts, Task, Term, UnknownWord,
};
use std::collections::BTreeMap;

/// The field that every slice of a volume has: `axial`, `coronal` or `sagittal`. It is known only when slices are cut.
pub(crate) const AXIS_FIELD: &str = "axis";

/// Labels that follow from the axis of a slice. check.rs has made sure that every axis has a value.
pub(crate) fn axis_labels(source: &Source, axis: Axis) -> Vec<Label> {
    let rules = source.attributes.iter().filter(|rule| rule.from == AXIS_FIELD);
    rules.flat_map(|rule| attribute_labels(rule, axis.key()).unwrap_or_default()).collect()
}

/// What is known of an image apart from its regions and questions.
pub(crate) struct Description {
    pub(crate) labels: Vec<Label>,
    /// Values that the image is said not to have.
    pub(crate) absent: Vec<Label>,
    pub(crate) body_part: Option<BodyPart>,
    pub(crate) modality: Option<Modality>,
    pub(crate) department: Department,
    /// The patient's identifier as the data have it.
    pub(crate) patient: Option<String>,
    pub(crate) report: Option<String>,
}

/// Distinct terms in the order of the config: several raw values may mean the same.
fn distinct_terms(rules: &[ValueRule]) -> Vec<Term> {
    let mut terms: Vec<Term> = Vec::new();
    for rule in rules {
        if !terms.contains(&rule.term()) {
            terms.push(rule.term());
        }
    }
    terms
}

/// What holds for every image of a source. `modalities` are those that its records have.
pub(crate) fn facts(source: &Source, modalities: Vec<Modality>, department: Department) -> SourceFacts {
    let attribute = |rule: &AttributeRule| Attribute {
        key: rule.key.clone(),
        name: rule.name.clone(),
        task: rule.task,
        values: distinct_terms(&rule.values),
        multiple: rule.separator.is_some() || is_open(rule),
        ordinal: rule.ordinal,
        open: is_open(rule),
    };
    SourceFacts {
        name: source.name.clone(),
        department,
        modalities,
        attributes: source.attributes.iter().map(attribute).collect(),
        region_terms: source.regions.as_ref().map_or(Vec::new(), |regions| distinct_terms(&regions.terms)),
        region_task: source.regions.as_ref().map_or(Task::AttributeRecognition, |regions| regions.task),
        regions_exhaustive: source.regions.as_ref().is_some_and(|regions| regions.exhaustive),
        licence: source.licence.clone(),
    }
}

/// Whether of a value that is not listed nothing is known.
fn is_open(rule: &AttributeRule) -> bool {
    rule.flags.as_ref().is_some_and(|flags| !flags.single)
}

/// The severities among labels: the values of ordinal attributes as steps of their scales.
pub(crate) fn grades(source: &Source, labels: &[Label]) -> Vec<Grade> {
    let grade = |label: &Label| {
        let rule = source.attributes.iter().find(|rule| rule.ordinal && rule.key == label.attribute)?;
        let scale = distinct_terms(&rule.values);
        let level = scale.iter().position(|term| *term == label.value)?;
        Some(Grade { attribute: rule.key.clone(), level, num_levels: scale.len() })
    };
    labels.iter().filter_map(grade).collect()
}

/// Applies the rules of a source to an item.
///
/// A wrong value in a table row costs the label and the row; one that comes from the image's own name costs the image.
pub(crate) fn describe(source: &Source, item: &Item, tables: &mut Tables) -> Result<Description, Defect> {
    let (mut labels, mut absent) = (Vec::new(), Vec::new());
    for rule in source.attributes.iter().filter(|rule| rule.from != AXIS_FIELD) {
        if let Some(flags) = &rule.flags {
            match flagged(rule, flags, item) {
                Ok(found) => {
                    labels.extend(found.present);
                    absent.extend(found.absent);
                }
                Err((field, reason)) => {
                    let remedy = "correct the table, or name what the field may say under `flags` or `unknown`";
                    note_or_refuse(item, &field, reason, remedy, tables)?;
                }
            }
            continue;
        }
        let raw = item.fields.get(&rule.from).map_or("", |raw| raw.as_str());
        match attribute_labels(rule, raw) {
            Ok(found) => labels.extend(found),
            Err(value) => {
                let reason = format!("value `{value}` of attribute `{}` is not in the config", rule.key);
                let remedy = "add the value to `values` or to `unknown` of the attribute, or correct the data";
                note_or_refuse(item, &rule.from, reason, remedy, tables)?;
            }
        }
    }
    let modality = match (&source.modality, &source.modality_by) {
        (Some(modality), _) => Some(*modality),
        (None, Some(by)) => Some(choose(by, item, Modality::lookup)?),
        (None, None) => None,
    };
    let body_part = match (&source.body_part, &source.body_part_by) {
        (Some(part), _) => Some(*part),
        (None, Some(by)) if item.fields.get(&by.from).is_none_or(|value| value.trim().is_empty()) => None,
        (None, Some(by)) => Some(choose(by, item, BodyPart::lookup)?),
        (None, None) => None,
    };
    let department = match (&source.department, &source.department_by) {
        (Some(department), _) => *department,
        (None, Some(by)) => choose(by, item, Department::lookup)?,
        (None, None) => unreachable!("check.rs demands one of the two"),
    };
    let text = |name: &Option<String>| {
        let value = name.as_ref().and_then(|name| item.fields.get(name)).map(|value| value.trim());
        value.filter(|value| !value.is_empty()).map(str::to_string)
    };
    let patient = text(&source.patient).or_else(|| item.patient.clone());
    Ok(Description { labels, absent, body_part, modality, department, patient, report: text(&source.report) })
}

/// Notes a wrong value with its table row; without one the image itself is defective.
fn note_or_refuse(item: &Item, field: &str, reason: String, remedy: &str, tables: &mut Tables) -> Result<(), Defect> {
    let Some(row) = tables.origin(item, field) else {
        return Err(Defect::new(&item.name, field, reason, remedy));
    };
    let (file, field) = tables.place(row, field);
    tables.note_defect(row, Defect::new(&file, field, reason, remedy));
    Ok(())
}

/// What the fields of an attribute with one field per value say.
#[derive(Debug)]
struct Flagged {
    present: Vec<Label>,
    absent: Vec<Label>,
}

/// Reads one field per value. The error is the field and what is wrong with it.
fn flagged(rule: &AttributeRule, flags: &Flags, item: &Item) -> Result<Flagged, (String, String)> {
    let mut found = Flagged { present: Vec::new(), absent: Vec::new() };
    let mut first = None;
    for value in &rule.values {
        let raw = item.fields.get(&value.is).map_or("", |raw| raw.trim());
        let label = Label { attribute: rule.key.clone(), value: value.term() };
        let says = |words: &[String]| words.iter().any(|word| word == raw);
        if says(&flags.present) {
            first.get_or_insert(&value.is);
            found.present.push(label);
        } else if says(&flags.absent) {
            found.absent.push(label);
        } else if !raw.is_empty() && !says(&rule.unknown) {
            return Err((value.is.clone(), format!("value `{raw}` of attribute `{}` is not in the config", rule.key)));
        }
    }
    // Two fields may mean the same value: one that holds in one of them holds.
    found.absent.retain(|label| !found.present.contains(label));
    let is_judged = !found.present.is_empty() || !found.absent.is_empty();
    if flags.single && is_judged && found.present.len() != 1 {
        let names: Vec<&str> = found.present.iter().map(|label| label.value.en.as_str()).collect();
        let reason = match names.is_empty() {
            true => format!("none of the values of attribute `{}` holds, and exactly one must", rule.key),
            false => format!("several values of attribute `{}` hold at once: {}", rule.key, names.join(", ")),
        };
        let field = first.or(rule.values.first().map(|value| &value.is)).cloned().unwrap_or_default();
        return Err((field, reason));
    }
    if flags.single {
        found.absent.clear(); // The one that holds excludes all others.
    }
    Ok(found)
}

/// The labels in a raw value; the value that no rule names is the error.
fn attribute_labels(rule: &AttributeRule, raw: &str) -> Result<Vec<Label>, String> {
    let parts: Vec<&str> = match &rule.separator {
        Some(separator) => raw.split(separator.as_str()).collect(),
        None => vec![raw],
    };
    let mut labels: Vec<Label> = Vec::new();
    for part in parts.iter().map(|part| part.trim()) {
        if part.is_empty() || rule.unknown.iter().any(|unknown| unknown == part) {
            continue;
        }
        let value = rule.values.iter().find(|value| value.is == part).ok_or_else(|| part.to_string())?;
        let label = Label { attribute: rule.key.clone(), value: value.term() };
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
    Ok(labels)
}

/// The property for an item's value: by the config, else by the vocabulary.
fn choose<T: Copy>(by: &By<T>, item: &Item, lookup: impl Fn(&str) -> Result<T, UnknownWord>) -> Result<T, Defect> {
    let value = item.fields.get(&by.from).map_or("", |value| value.as_str());
    if let Some(chosen) = by.values.get(value) {
        return Ok(*chosen);
    }
    lookup(value).map_err(|unknown| {
        let known: Vec<&str> = by.values.keys().map(String::as_str).collect();
        let listed = if known.is_empty() { String::new() } else { format!("; the config lists {}", known.join(", ")) };
        let reason = format!("{unknown}{listed}");
        Defect::new(&item.name, by.from.clone(), reason, "add the value to the config or correct the data")
    })
}

/// A name for the patient that does not tell who it is: a hash keyed by the dataset's seed.
///
/// The source's name is not part of it, so that one patient in two sources keeps one name.
pub(crate) fn pseudonym(seed: u64, kind: &str, raw: &str) -> String {
    hash_of(&["gmai-patient", &seed.to_string(), kind, raw])[..16].to_string()
}

/// The values of each attribute, for comparing two records.
pub(crate) fn by_attribute(labels: &[Label]) -> BTreeMap<&str, Vec<&Term>> {
    let mut values: BTreeMap<&str, Vec<&Term>> = BTreeMap::new();
    for label in labels {
        values.entry(&label.attribute).or_default().push(&label.value);
    }
    values.values_mut().for_each(|terms| terms.sort());
    values
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn rule(separator: Option<&str>) -> AttributeRule {
        let value = |is: &str, en: &str| ValueRule { is: is.into(), en: en.into(), zh: None };
        AttributeRule {
            key: "finding".into(),
            name: Term::english("finding"),
            task: Task::DiseaseDiagnosis,
            from: "Finding Labels".into(),
            flags: None,
            ordinal: false,
            separator: separator.map(str::to_string),
            values: vec![value("Mass", "mass"), value("Tumour", "mass"), value("Edema", "edema")],
            unknown: vec!["unknown".into()],
        }
    }

    fn names(separator: Option<&str>, raw: &str) -> Result<Vec<String>, String> {
        Ok(attribute_labels(&rule(separator), raw)?.into_iter().map(|label| label.value.en).collect())
    }

    #[test]
    fn several_values_are_split_and_said_once() {
        assert_eq!(names(Some("|"), "Edema|Mass | Tumour").unwrap(), ["edema", "mass"]);
        assert_eq!(names(None, "Edema|Mass").unwrap_err(), "Edema|Mass");
    }

    #[test]
    fn unknown_and_empty_say_nothing_and_unlisted_values_are_refused() {
        assert_eq!(names(None, "unknown").unwrap(), Vec::<String>::new());
        assert_eq!(names(None, " ").unwrap(), Vec::<String>::new());
        assert_eq!(names(None, "mass").unwrap_err(), "mass", "letter case matters");
    }

    fn flagged_as(single: bool, fields: &[(&str, &str)]) -> Result<[Vec<String>; 2], (String, String)> {
        let rule = AttributeRule { unknown: vec!["-1.0".into()], ..rule(None) };
        let fields = fields.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        let item = Item::new("a.png".into(), crate::source::ImageFiles::Picture, fields);
        let flags = Flags { present: vec!["1".into(), "1.0".into()], absent: vec!["0.0".into()], single };
        let names = |labels: Vec<Label>| labels.into_iter().map(|label| label.value.en).collect();
        flagged(&rule, &flags, &item).map(|found| [names(found.present), names(found.absent)])
    }

    #[test]
    fn a_field_per_value_says_what_holds_what_does_not_and_what_is_not_known() {
        let found = flagged_as(false, &[("Mass", "1.0"), ("Tumour", "0.0"), ("Edema", "0.0")]).unwrap();
        assert_eq!(found, [vec!["mass"], vec!["edema"]], "two spellings: one that holds is enough");
        let found = flagged_as(false, &[("Mass", "-1.0"), ("Edema", "")]).unwrap();
        assert_eq!(found, [Vec::<String>::new(), Vec::new()]);
        let (field, reason) = flagged_as(false, &[("Mass", "maybe")]).unwrap_err();
        assert_eq!(field, "Mass");
        assert!(reason.contains("`maybe`"));
    }

    #[test]
    fn exactly_one_value_must_hold_where_the_config_says_so() {
        assert_eq!(flagged_as(true, &[("Mass", "1"), ("Edema", "0.0")]).unwrap(), [vec!["mass"], vec![]]);
        assert!(flagged_as(true, &[("Mass", "1"), ("Edema", "1")]).unwrap_err().1.contains("mass, edema"));
        assert!(flagged_as(true, &[("Mass", "0.0"), ("Edema", "0.0")]).unwrap_err().1.contains("none of the values"));
        assert_eq!(flagged_as(true, &[]).unwrap(), [Vec::<String>::new(), Vec::new()], "not judged");
    }

    #[test]
    fn pseudonyms_depend_on_the_seed_and_hide_the_identifier() {
        assert_eq!(pseudonym(1, "patient", "61"), pseudonym(1, "patient", "61"));
        assert_ne!(pseudonym(1, "patient", "61"), pseudonym(2, "patient", "61"));
        assert_ne!(pseudonym(1, "patient", "61"), pseudonym(1, "image", "61"));
        assert!(!pseudonym(1, "patient", "61").is_empty());
    }
}
