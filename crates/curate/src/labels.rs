//! What the fields of an item say about the image as a whole, by the rules of its source.

use crate::config::{AttributeRule, By, Source, ValueRule};
use crate::inputs::hash_of;
use crate::ledger::Defect;
use crate::source::Item;
use crate::table::Tables;
use gmai_schema::{Attribute, Axis, Department, Label, Modality, SourceFacts, Task, Term};
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
        multiple: rule.separator.is_some(),
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

/// The department that stands for the source as a whole.
pub(crate) fn main_department(source: &Source) -> Option<Department> {
    let by_value = || source.department_by.as_ref().and_then(|by| by.values.values().next().copied());
    source.department.or_else(by_value)
}

/// Applies the rules of a source to an item.
///
/// A wrong value in a table row costs the label and the row; one that comes from the image's own name costs the image.
pub(crate) fn describe(source: &Source, item: &Item, tables: &mut Tables) -> Result<Description, Defect> {
    let mut labels = Vec::new();
    for rule in source.attributes.iter().filter(|rule| rule.from != AXIS_FIELD) {
        let raw = item.fields.get(&rule.from).map_or("", |raw| raw.as_str());
        match attribute_labels(rule, raw) {
            Ok(found) => labels.extend(found),
            Err(value) => {
                let reason = format!("value `{value}` of attribute `{}` is not in the config", rule.key);
                let remedy = "add the value to `values` or to `unknown` of the attribute, or correct the data";
                match tables.origin(item, &rule.from) {
                    Some(row) => {
                        let (file, field) = tables.place(row, &rule.from);
                        tables.note_defect(row, Defect::new(&file, field, reason, remedy));
                    }
                    None => return Err(Defect::new(&item.name, rule.from.clone(), reason, remedy)),
                }
            }
        }
    }
    let modality = match (&source.modality, &source.modality_by) {
        (Some(modality), _) => Some(*modality),
        (None, Some(by)) => Some(choose(by, item)?),
        (None, None) => None,
    };
    let department = match (&source.department, &source.department_by) {
        (Some(department), _) => *department,
        (None, Some(by)) => choose(by, item)?,
        (None, None) => unreachable!("check.rs demands one of the two"),
    };
    let text = |name: &Option<String>| {
        let value = name.as_ref().and_then(|name| item.fields.get(name)).map(|value| value.trim());
        value.filter(|value| !value.is_empty()).map(str::to_string)
    };
    Ok(Description { labels, modality, department, patient: text(&source.patient), report: text(&source.report) })
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

fn choose<T: Copy>(by: &By<T>, item: &Item) -> Result<T, Defect> {
    let value = item.fields.get(&by.from).map_or("", |value| value.as_str());
    by.values.get(value).copied().ok_or_else(|| {
        let known: Vec<&str> = by.values.keys().map(String::as_str).collect();
        let reason = format!("value `{value}` is none of: {}", known.join(", "));
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

    #[test]
    fn pseudonyms_depend_on_the_seed_and_hide_the_identifier() {
        assert_eq!(pseudonym(1, "patient", "61"), pseudonym(1, "patient", "61"));
        assert_ne!(pseudonym(1, "patient", "61"), pseudonym(2, "patient", "61"));
        assert_ne!(pseudonym(1, "patient", "61"), pseudonym(1, "image", "61"));
        assert!(!pseudonym(1, "patient", "61").is_empty());
    }
}
