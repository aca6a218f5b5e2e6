//! CSV tables: which column names the images, which columns could be labels.

use super::annotations::{Images, find_image};
use super::files::FileFacts;
use std::collections::{BTreeMap, BTreeSet};

/// Characters between columns, in the order in which they are tried.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// A column with more different values is no label.
const MAX_LABEL_VALUES: usize = 40;
/// Longer values are text, not names of classes.
const MAX_LABEL_CHARS: usize = 60;
/// Characters that separate several labels in one field.
const SEPARATORS: [char; 2] = ['|', ';'];
/// Share of rows whose image must be there for a column to count as naming images.
const MIN_MATCHED_SHARE: f64 = 0.2;
/// Average length from which a column of mostly different texts is taken for reports, in characters.
const MIN_REPORT_CHARS: u64 = 25;
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

/// How a table names images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyForm {
    /// With the ending of the file name.
    Name,
    /// Without.
    Stem,
}

/// A table that names images.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub file: String,
    pub delimiter: char,
    pub columns: Vec<Column>,
    /// Index of the column that names images.
    pub key: usize,
    pub key_form: KeyForm,
    pub num_rows: u64,
    /// Whether no image has two rows.
    pub one_row_per_image: bool,
    pub images: BTreeSet<usize>,
}

impl Table {
    /// Columns whose values could be classes.
    pub(super) fn label_columns(&self) -> impl Iterator<Item = &Column> {
        let key = self.key;
        self.columns
            .iter()
            .enumerate()
            .filter(move |(index, column)| *index != key && column.is_label() && !names_a_person(&column.name))
            .map(|(_, column)| column)
    }

    /// The column that tells patients apart, by its name.
    pub(super) fn patient_column(&self) -> Option<&Column> {
        self.columns.iter().find(|column| {
            let name = plain(&column.name);
            ["patient", "patientid", "subject", "subjectid", "caseid"].contains(&name.as_str())
        })
    }

    /// A column of sentences.
    pub(super) fn report_column(&self) -> Option<&Column> {
        self.columns.iter().find(|column| {
            column.filled > 0
                && column.characters / column.filled >= MIN_REPORT_CHARS
                && ["report", "findings", "impression", "text", "caption"].contains(&plain(&column.name).as_str())
        })
    }
}

impl Column {
    fn is_label(&self) -> bool {
        let numbers = self.numbers();
        // A few words such as `unknown` do not make a measurement a label.
        let is_measurement = numbers.len() * 2 > self.values.len()
            && (numbers.len() > MAX_NUMBER_VALUES || !numbers.iter().all(|number| is_class_number(*number)));
        // Values that never recur name things; they do not class them.
        let recurs = self.values.len() as u64 * 2 <= self.values.values().sum();
        self.values.len() > 1 && recurs && !is_measurement
    }

    /// Those of the different values that are numbers.
    fn numbers(&self) -> Vec<f64> {
        self.values.keys().filter_map(|value| value.parse().ok()).collect()
    }
}

fn is_class_number(number: f64) -> bool {
    number.fract() == 0.0 && (0.0..=MAX_CLASS_NUMBER).contains(&number)
}

/// A column name in lower-case letters and digits only.
fn plain(name: &str) -> String {
    name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whether a column's name says that it identifies a person.
pub(super) fn names_a_person(column: &str) -> bool {
    let name = plain(column);
    const WHOLE: [&str; 10] =
        ["patient", "patientid", "subject", "subjectid", "name", "mrn", "ssn", "dob", "phone", "email"];
    const PART: [&str; 6] = ["patientname", "birth", "address", "firstname", "lastname", "surname"];
    WHOLE.contains(&name.as_str()) || PART.iter().any(|part| name.contains(part))
}

/// Names of the columns of a table that say they identify a person.
pub(super) fn person_columns(text: &str) -> Vec<String> {
    let Some(delimiter) = delimiter_of(text) else { return Vec::new() };
    let header = reader(text, delimiter).headers().map(|header| header.iter().map(str::to_owned).collect::<Vec<_>>());
    header.unwrap_or_default().into_iter().filter(|name| names_a_person(name)).collect()
}

/// The delimiter that cuts the first line into most columns; `None` when none cuts it.
fn delimiter_of(text: &str) -> Option<u8> {
    let header = text.lines().next()?;
    let count = |delimiter: &u8| header.bytes().filter(|byte| byte == delimiter).count();
    let best = DELIMITERS.into_iter().rev().max_by_key(|delimiter| count(delimiter))?;
    (count(&best) > 0).then_some(best)
}

fn reader(text: &str, delimiter: u8) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text.as_bytes())
}

/// Reads a table; `None` when no column names images that are there.
pub(super) fn read(file: &FileFacts, text: &str, images: &Images) -> Option<Table> {
    let delimiter = delimiter_of(text)?;
    let mut reader = reader(text, delimiter);
    let header: Vec<String> = reader.headers().ok()?.iter().map(str::to_owned).collect();
    let rows: Vec<csv::StringRecord> = reader.records().filter_map(std::result::Result::ok).collect();
    let key = find_key(&header, &rows, images, file.folder())?;
    let keys: Vec<&str> = rows.iter().filter_map(|row| row.get(key.column)).collect();
    let different: BTreeSet<&str> = keys.iter().copied().collect();
    Some(Table {
        file: file.path.clone(),
        delimiter: char::from(delimiter),
        columns: header.iter().enumerate().map(|(index, name)| column(index, name, &rows)).collect(),
        key: key.column,
        key_form: key.form,
        num_rows: rows.len() as u64,
        one_row_per_image: different.len() == keys.len(),
        images: key.images,
    })
}

struct Key {
    column: usize,
    form: KeyForm,
    images: BTreeSet<usize>,
}

/// The column that names most images.
fn find_key(header: &[String], rows: &[csv::StringRecord], images: &Images, folder: &str) -> Option<Key> {
    let mut best: Option<Key> = None;
    for column in 0..header.len() {
        for form in [KeyForm::Name, KeyForm::Stem] {
            let found: Vec<usize> = rows
                .iter()
                .filter_map(|row| find_image(images, row.get(column)?, folder, form == KeyForm::Name))
                .collect();
            if (found.len() as f64) < MIN_MATCHED_SHARE * rows.len() as f64 {
                continue;
            }
            let images: BTreeSet<usize> = found.into_iter().collect();
            if images.len() > best.as_ref().map_or(0, |best| best.images.len()) {
                best = Some(Key { column, form, images });
            }
        }
    }
    best
}

fn column(index: usize, name: &str, rows: &[csv::StringRecord]) -> Column {
    let fields = || rows.iter().filter_map(|row| row.get(index)).map(str::trim).filter(|field| !field.is_empty());
    let separator = SEPARATORS.into_iter().find(|separator| fields().any(|field| field.contains(*separator)));
    let mut values: BTreeMap<String, u64> = BTreeMap::new();
    for field in fields() {
        for value in field.split(|letter| Some(letter) == separator) {
            if value.chars().count() <= MAX_LABEL_CHARS {
                *values.entry(value.trim().to_owned()).or_default() += 1;
            }
        }
        if values.len() > MAX_LABEL_VALUES {
            break;
        }
    }
    if values.len() > MAX_LABEL_VALUES || fields().any(|field| field.chars().count() > MAX_LABEL_CHARS) {
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
