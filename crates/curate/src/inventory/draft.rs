//! A config for `gmai curate` from what was found. What files cannot tell is marked CHECK.

use super::Group;
use std::collections::BTreeSet;
use std::path::Path;
use toml::Value;

/// A source of a curate config. Paths and patterns are relative to the group's folder.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct SourceDraft {
    /// Lines of `[source.kind.<name>]`.
    pub kind: Vec<(&'static str, Value)>,
    /// Whether headers tell the modality, so that the config need not.
    pub header_modality: bool,
    /// Column whose values are words for modalities.
    pub modality_by: Option<String>,
    /// Whether there are no images, so that nothing needs to be said about them.
    pub is_text: bool,
    /// Fields with the patient and with the report.
    pub patient: Option<String>,
    pub report: Option<String>,
    pub tables: Vec<TableDraft>,
    pub attributes: Vec<AttributeDraft>,
    /// Raw names of what boxes and masks mark; empty when nothing is marked.
    pub region_terms: Vec<String>,
    /// What follows `{stem}` in the names of images and masks.
    pub stem_end: String,
}

impl SourceDraft {
    /// Puts a folder before every path and pattern.
    pub(super) fn move_below(&mut self, folder: &str) {
        const PATHS: [&str; 9] = [
            "images",
            "annotations",
            "labels",
            "masks",
            "volumes",
            "files",
            "segmentations",
            "structures",
            "measurements",
        ];
        fn moved(value: &mut Value, folder: &str) {
            match value {
                Value::String(path) => *path = format!("{folder}/{path}"),
                Value::Array(list) => list.iter_mut().for_each(|value| moved(value, folder)),
                _ => {}
            }
        }
        for (_, value) in self.kind.iter_mut().filter(|(key, _)| PATHS.contains(key) || *key == "image_folder") {
            moved(value, folder);
        }
        self.tables.iter_mut().for_each(|table| table.file = format!("{folder}/{}", table.file));
    }
}

/// A `[[source.table]]`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TableDraft {
    pub file: String,
    pub key: String,
    pub matches: String,
    pub delimiter: char,
}

/// A `[[source.attribute]]`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AttributeDraft {
    /// Field that it is read from; its key and name are made of it.
    from: String,
    separator: Option<char>,
    /// Raw values with their names.
    values: Vec<(String, String)>,
    unknown: Vec<String>,
    /// Whether each value has a field of its own, and exactly one holds.
    flags: Option<bool>,
}

/// Values that say nothing.
const UNKNOWN: [&str; 9] =
    ["unknown", "n/a", "na", "nan", "?", "not available", "not known", "undetermined", "missing"];

impl AttributeDraft {
    /// One field with one value, or several between separators.
    pub(super) fn values(from: &str, separator: Option<char>, values: Vec<String>) -> AttributeDraft {
        let (unknown, known) = values.into_iter().partition(|value| UNKNOWN.contains(&value.to_lowercase().as_str()));
        let known: Vec<String> = known;
        let values = known.into_iter().map(|value| (value.clone(), readable(&value))).collect();
        AttributeDraft { from: from.to_owned(), separator, values, unknown, flags: None }
    }

    /// One field that says whether one thing holds.
    pub(super) fn flag(from: &str, values: Vec<String>) -> AttributeDraft {
        let (unknown, known): (Vec<String>, Vec<String>) =
            values.into_iter().partition(|value| super::columns::is_uncertain(value));
        let name = readable(from);
        let named = |value: String| {
            let said = if super::columns::is_set(&value) { name.clone() } else { format!("no {name}") };
            (value, said)
        };
        let values = known.into_iter().map(named).collect();
        AttributeDraft { from: from.to_owned(), separator: None, values, unknown, flags: None }
    }

    /// A field per value.
    pub(super) fn flags(names: Vec<String>, single: bool, uncertain: bool) -> AttributeDraft {
        let values = names.into_iter().map(|name| (name.clone(), readable(&name))).collect();
        let unknown = if uncertain { vec!["-1".to_owned(), "-1.0".to_owned()] } else { Vec::new() };
        AttributeDraft { from: "finding".to_owned(), separator: None, values, unknown, flags: Some(single) }
    }

    /// Number of different values.
    pub(super) fn num_values(&self) -> usize {
        self.values.len()
    }
}

/// Keys that texts use for something else.
const RESERVED_KEYS: [&str; 4] = ["modality", "region", "count", "report"];

/// The whole config.
pub(super) fn config(dir: &Path, groups: &[Group]) -> String {
    let absolute = std::fs::canonicalize(dir).unwrap_or_else(|_| dir.to_path_buf());
    let name = absolute.file_name().map_or("dataset".to_owned(), |name| name.to_string_lossy().into_owned());
    let mut config = String::from(
        "# Drafted by `gmai inventory`. Files cannot tell everything: put right every line marked CHECK before use.\n\
         # Add Chinese names (zh = \"...\") to get texts in Chinese; docs/curate.md lists all keys.\n\n[dataset]\n",
    );
    let mut line = |text: String| {
        config.push_str(&text);
        config.push('\n');
    };
    line(format!("name = {}", text(&name)));
    line("seed = 1".to_owned());
    let mut used = BTreeSet::new();
    for group in groups {
        if let (Some(draft), Some(kind)) = (&group.draft, group.layout.config_key()) {
            line(String::new());
            line(source(&absolute, &unique_name(group, &name, &mut used), group, draft, kind));
        }
    }
    if used.is_empty() {
        config.push_str(
            "\n# No source: nothing here is annotated in a way that can be read. docs/curate.md shows what can.\n",
        );
    }
    config
}

fn text(value: &str) -> String {
    Value::String(value.to_owned()).to_string()
}

/// The last folder of the group, with a number when another source has that name.
fn unique_name(group: &Group, dataset: &str, used: &mut BTreeSet<String>) -> String {
    let name = group.folder.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(dataset);
    unique(name, '-', used)
}

/// The name, with a number after `mark` when it is used already.
fn unique(name: &str, mark: char, used: &mut BTreeSet<String>) -> String {
    let mut unique = name.to_owned();
    let mut number = 1;
    while !used.insert(unique.clone()) {
        number += 1;
        unique = format!("{name}{mark}{number}");
    }
    unique
}

fn source(root: &Path, name: &str, group: &Group, draft: &SourceDraft, kind: &str) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    let folder = if group.folder.is_empty() { root.to_path_buf() } else { root.join(&group.folder) };
    line(format!("# {} {}, {}", group.images, group.layout.unit(), group.layout.name()));
    line("[[source]]".to_owned());
    line(format!("name = {}", text(name)));
    line(format!("root = {}", text(&folder.to_string_lossy())));
    line("licence = \"not stated\" # CHECK".to_owned());
    line(
        "department = \"laboratory_medicine_pathology\" # CHECK: the clinical department; files do not tell it"
            .to_owned(),
    );
    if let Some(column) = &draft.modality_by {
        line(format!("modality_by = {{ from = {} }}", text(column)));
    } else if !draft.header_modality && !draft.is_text {
        line("# modality = \"x_ray\" # CHECK: without it, nothing is said about the modality".to_owned());
    }
    if let Some(patient) = &draft.patient {
        line(format!("patient = {}", text(patient)));
    } else if !draft.is_text {
        line("# patient = \"...\" # CHECK: the field that tells patients apart; without it each image is a patient of its own".to_owned());
    }
    if let Some(report) = &draft.report {
        line(format!("report = {}", text(report)));
    }
    line(format!("\n[source.kind.{kind}]"));
    for (key, value) in &draft.kind {
        line(format!("{key} = {value}"));
    }
    for table in &draft.tables {
        line(format!("\n[[source.table]]\nfile = {}\nkey = {}", text(&table.file), text(&table.key)));
        line(format!("matches = {}", text(&table.matches)));
        if table.delimiter != ',' {
            line(format!("delimiter = {}", text(&table.delimiter.to_string())));
        }
    }
    for attribute in keyed(&draft.attributes) {
        line(attribute);
    }
    if !draft.region_terms.is_empty() {
        line("\n[source.regions]\ntask = \"attribute_recognition\" # CHECK".to_owned());
        line("exhaustive = false # CHECK: true only if every instance in each image is marked".to_owned());
        let terms: Vec<(String, String)> =
            draft.region_terms.iter().map(|raw| (raw.clone(), region_name(raw))).collect();
        line(values("terms", &terms));
    }
    out.trim_end().to_owned() + "\n"
}

/// The attributes as text, each with a key of its own.
fn keyed(attributes: &[AttributeDraft]) -> Vec<String> {
    let mut used = BTreeSet::new();
    let mut all = Vec::new();
    for attribute in attributes {
        let key = unique(&attribute_key(&attribute.from), '_', &mut used);
        let mut out = format!("\n[[source.attribute]]\nkey = {}\n", text(&key));
        out.push_str(&format!("name = {{ en = {} }} # CHECK\n", text(&readable(&attribute.from))));
        out.push_str("task = \"attribute_recognition\" # CHECK, e.g. \"disease_diagnosis\"\n");
        match attribute.flags {
            Some(true) => out.push_str("flags = { single = true }\n"),
            Some(false) => out.push_str("flags = {}\n"),
            None => out.push_str(&format!("from = {}\n", text(&attribute.from))),
        }
        if let Some(separator) = attribute.separator {
            out.push_str(&format!("separator = {}\n", text(&separator.to_string())));
        }
        if !attribute.unknown.is_empty() {
            let unknown: Vec<String> = attribute.unknown.iter().map(|value| text(value)).collect();
            out.push_str(&format!("unknown = [{}]\n", unknown.join(", ")));
        }
        out.push_str(&values("values", &attribute.values));
        all.push(out);
    }
    all
}

/// A list of raw values with the names they get.
fn values(key: &str, values: &[(String, String)]) -> String {
    let mut out = format!("{key} = [ # CHECK: names as used in the middle of a sentence\n");
    for (raw, name) in values {
        out.push_str(&format!("  {{ is = {}, en = {} }},\n", text(raw), text(name)));
    }
    out.push(']');
    out
}

/// The name of what a box or mask marks: class numbers say nothing by themselves.
fn region_name(raw: &str) -> String {
    if raw.parse::<f64>().is_ok() { format!("structure {raw}") } else { readable(raw) }
}

/// Lower-case letters, digits and `_`; a name that is taken gets an addition.
fn attribute_key(column: &str) -> String {
    let letters: String =
        column.to_lowercase().chars().map(|letter| if letter.is_alphanumeric() { letter } else { '_' }).collect();
    let key = letters.trim_matches('_').to_owned();
    match key.as_str() {
        "" => "attribute".to_owned(),
        taken if RESERVED_KEYS.contains(&taken) => format!("{taken}_label"),
        _ => key,
    }
}

/// A raw name with spaces for underlines.
fn readable(raw: &str) -> String {
    let name = raw.replace('_', " ").trim().to_owned();
    if name.is_empty() { raw.to_owned() } else { name }
}
