//! Columns of tables: what their names and values say they are.

use crate::sheet::SheetRow;
use std::collections::BTreeMap;

/// A column with more different values is no label.
const MAX_LABEL_VALUES: usize = 40;
/// Longer values are text, not names of classes.
const MAX_LABEL_CHARS: usize = 60;
/// Characters that separate several labels in one field.
const SEPARATORS: [char; 2] = ['|', ';'];
/// Average length from which a column of a telling name is taken for reports, in characters.
const MIN_REPORT_CHARS: u64 = 25;
/// Average length from which any column is taken for reports where a table names no image.
const MIN_PROSE_CHARS: u64 = 60;
/// A column of numbers is a label with at most this many values, all small whole numbers (`0`, `1.0`); else it is a measurement.
const MAX_NUMBER_VALUES: usize = 3;
/// Numbers above this are no class numbers.
const MAX_CLASS_NUMBER: f64 = 9.0;

/// A column of a table.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub name: String,
    /// How often each value occurs, split at the separator; empty when there are too many.
    pub values: BTreeMap<String, u64>,
    /// The character between several values of one field.
    pub separator: Option<char>,
    /// Fields that are not empty.
    pub filled: u64,
    characters: u64,
}

impl Column {
    pub(super) fn read(index: usize, name: &str, rows: &[SheetRow]) -> Column {
        let fields = || rows.iter().map(|row| row.values[index].as_str()).filter(|field| !field.is_empty());
        let separator = SEPARATORS.into_iter().find(|separator| fields().any(|field| field.contains(*separator)));
        let mut values: BTreeMap<String, u64> = BTreeMap::new();
        let is_text = fields().any(|field| {
            field.len() > MAX_LABEL_CHARS
                && field.split(|letter| Some(letter) == separator).any(|value| value.chars().count() > MAX_LABEL_CHARS)
        });
        for value in fields().flat_map(|field| field.split(|letter| Some(letter) == separator)) {
            if is_text || values.len() > MAX_LABEL_VALUES {
                break;
            }
            *values.entry(value.trim().to_owned()).or_default() += 1;
        }
        if values.len() > MAX_LABEL_VALUES {
            values.clear();
        }
        Column {
            name: name.to_owned(),
            values,
            separator,
            filled: fields().count() as u64,
            characters: fields().map(|field| field.chars().count() as u64).sum(),
        }
    }

    pub(super) fn is_label(&self) -> bool {
        let numbers: Vec<f64> = self.values.keys().filter_map(|value| value.parse().ok()).collect();
        // A few words such as `unknown` do not make a measurement a label.
        let is_measurement = numbers.len() * 2 > self.values.len()
            && (numbers.len() > MAX_NUMBER_VALUES || !numbers.iter().all(|number| is_class_number(*number)));
        // Values that never recur name things; they do not class them.
        let recurs = self.values.len() as u64 * 2 <= self.values.values().sum();
        self.values.len() > 1 && recurs && !is_measurement && !names_a_person(&self.name)
    }

    /// Whether it says of one thing whether it holds: all values are 0, 1, true, false, or -1 for uncertain.
    pub(super) fn is_flag(&self) -> bool {
        let known = |value: &String| is_set(value) || is_unset(value) || is_uncertain(value);
        !self.values.is_empty()
            && self.values.keys().all(known)
            && self.values.keys().any(|value| is_set(value) || is_unset(value))
    }

    /// Whether it holds sentences; `only` where the table names no image, so that any long text counts.
    pub(super) fn is_report(&self, only: bool) -> bool {
        const NAMES: [&str; 12] = [
            "report",
            "reports",
            "findings",
            "impression",
            "text",
            "caption",
            "note",
            "notes",
            "description",
            "narrative",
            "reporttext",
            "conclusion",
        ];
        let average = self.characters.checked_div(self.filled).unwrap_or(0);
        let is_named = NAMES.contains(&plain(&self.name).as_str());
        (is_named && average >= MIN_REPORT_CHARS) || (only && average >= MIN_PROSE_CHARS)
    }

    /// Average length of a field, in characters.
    pub(super) fn average(&self) -> u64 {
        self.characters.checked_div(self.filled).unwrap_or(0)
    }
}

pub(super) fn is_set(value: &str) -> bool {
    ["1", "1.0", "true", "True", "TRUE"].contains(&value)
}

pub(super) fn is_unset(value: &str) -> bool {
    ["0", "0.0", "false", "False", "FALSE"].contains(&value)
}

pub(super) fn is_uncertain(value: &str) -> bool {
    ["-1", "-1.0"].contains(&value)
}

fn is_class_number(number: f64) -> bool {
    number.fract() == 0.0 && (0.0..=MAX_CLASS_NUMBER).contains(&number)
}

/// A column name in lower-case letters and digits only.
pub(super) fn plain(name: &str) -> String {
    name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whether a column tells patients apart.
pub(super) fn tells_patients(column: &str) -> bool {
    const NAMES: [&str; 10] = [
        "patient",
        "patientid",
        "subject",
        "subjectid",
        "caseid",
        "participantid",
        "patientno",
        "patientnumber",
        "mrn",
        "patid",
    ];
    NAMES.contains(&plain(column).as_str())
}

/// Whether a column says which part of an official split a row belongs to.
pub(super) fn tells_split(column: &Column) -> bool {
    ["split", "partition", "subset", "fold", "set", "usage"].contains(&plain(&column.name).as_str())
        && column.values.keys().any(|value| split_value(value).is_some())
}

/// The part of a split that a value names.
pub(super) fn split_value(value: &str) -> Option<&'static str> {
    super::walk::split_part(&format!("{value}/"))
}

/// Whether a column's name says that it identifies a person.
pub(super) fn names_a_person(column: &str) -> bool {
    let name = plain(column);
    const WHOLE: [&str; 12] = [
        "patient",
        "patientid",
        "subject",
        "subjectid",
        "name",
        "mrn",
        "ssn",
        "dob",
        "phone",
        "email",
        "accession",
        "accessionnumber",
    ];
    const PART: [&str; 7] = ["patientname", "birth", "address", "firstname", "lastname", "surname", "patientno"];
    WHOLE.contains(&name.as_str()) || PART.iter().any(|part| name.contains(part))
}

/// Where the rows of a table of boxes or points say that a mark lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MarkPlace {
    /// The config's key: `edges`, `corner_size`, `center_size` or `point`.
    pub shape: &'static str,
    pub columns: Vec<String>,
    pub label: String,
    /// Whether all numbers are shares of the picture.
    pub fractions: bool,
}

/// Names of the columns of boxes, the most telling first.
const PLACES: [(&str, &[&str]); 10] = [
    ("edges", &["xmin", "ymin", "xmax", "ymax"]),
    ("edges", &["x1", "y1", "x2", "y2"]),
    ("edges", &["left", "top", "right", "bottom"]),
    ("corner_size", &["xmin", "ymin", "width", "height"]),
    ("corner_size", &["left", "top", "width", "height"]),
    ("corner_size", &["bboxx", "y", "w", "h"]),
    ("center_size", &["xcenter", "ycenter", "width", "height"]),
    ("center_size", &["cx", "cy", "w", "h"]),
    ("corner_size", &["x", "y", "width", "height"]),
    ("corner_size", &["x", "y", "w", "h"]),
];
const POINTS: [&[&str]; 2] = [&["x", "y"], &["xcoord", "ycoord"]];
const LABELS: [&str; 9] =
    ["label", "class", "classname", "celltype", "category", "findinglabel", "name", "type", "finding"];

/// The columns of boxes or points of a table; `None` when it has none, or none that names what is marked.
pub(super) fn mark_place(columns: &[String], rows: &[SheetRow]) -> Option<MarkPlace> {
    let names: Vec<String> = columns.iter().map(|name| plain(name)).collect();
    let find = |wanted: &[&str]| -> Option<Vec<usize>> {
        wanted.iter().map(|name| names.iter().position(|own| own == name)).collect()
    };
    let boxes = PLACES.iter().find_map(|(shape, wanted)| Some((*shape, find(wanted)?)));
    let (shape, at) = boxes.or_else(|| POINTS.iter().find_map(|wanted| Some(("point", find(wanted)?))))?;
    let label = LABELS.iter().find_map(|name| names.iter().position(|own| own == name))?;
    let numbers = || {
        let fields = rows.iter().flat_map(|row| at.iter().map(|column| row.values[*column].as_str()));
        fields.filter(|field| !field.is_empty()).map(|field| field.parse::<f64>().ok())
    };
    if numbers().next().is_none() || numbers().any(|number| number.is_none()) {
        return None;
    }
    let fractions = numbers().flatten().all(|number| (0.0..=1.0).contains(&number));
    let columns_of = at.iter().map(|column| columns[*column].clone()).collect();
    Some(MarkPlace { shape, columns: columns_of, label: columns[label].clone(), fractions })
}
