//! Tables, whatever they are written in: which column names the images, what the others say about them.

use super::annotations::{Annotation, Detail, Images, find_image};
use super::columns::{self, Column, MarkPlace};
use super::dicom::Catalogue;
use super::files::FileFacts;
use super::{AnnotationKind, AnnotationSet};
use crate::inputs::Inputs;
use crate::sheet::{self, Sheet, SheetRow};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Characters between columns, in the order in which they are tried.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// Share of rows whose image must be there for a column to count as naming images.
const MIN_MATCHED_SHARE: f64 = 0.2;
/// Rows that are tried to find the column that names images.
const MAX_PROBED_ROWS: usize = 2000;

/// How a table names images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeyForm {
    /// With the ending of the file name.
    Name,
    /// Without.
    Stem,
    /// By an identifier of DICOM headers.
    Header(&'static str),
    /// By a folder in the path, counted from the folder looked at.
    Folder(usize),
}

/// A table that describes images, or holds reports.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub file: String,
    pub delimiter: char,
    pub columns: Vec<Column>,
    /// Name of the column that names images, and how.
    pub key: Option<(String, KeyForm)>,
    pub num_rows: u64,
    /// Whether no image has two rows.
    pub one_row_per_image: bool,
    pub images: BTreeSet<usize>,
    pub marks: Option<MarkPlace>,
    /// The column of reports.
    pub report: Option<String>,
    /// The column that tells patients apart, and what it says of each image.
    pub patient: Option<String>,
    pub patients: BTreeMap<usize, String>,
    /// Part of an official split of each image.
    pub splits: BTreeMap<usize, &'static str>,
    /// Columns with one label or several, by index.
    pub labels: Vec<usize>,
    /// Columns that each say whether one thing holds, by index; two at least.
    pub flags: Vec<usize>,
    /// Whether exactly one of the flags is set in each row.
    pub single_flag: bool,
    /// Labels of each image, as `column: value`.
    pub labels_of: BTreeMap<usize, Vec<String>>,
}

/// The delimiter that cuts the first line into most columns; `None` when none cuts it.
fn delimiter_of(text: &str) -> Option<u8> {
    let header = text.lines().next()?;
    let count = |delimiter: &u8| header.bytes().filter(|byte| byte == delimiter).count();
    let best = DELIMITERS.into_iter().rev().max_by_key(|delimiter| count(delimiter))?;
    (count(&best) > 0).then_some(best)
}

/// Names of the columns of a table that say they identify a person.
pub(super) fn person_columns(text: &str) -> Vec<String> {
    let Some(delimiter) = delimiter_of(text) else { return Vec::new() };
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text.as_bytes());
    let header = reader.headers().map(|header| header.iter().map(str::to_owned).collect::<Vec<_>>());
    header.unwrap_or_default().into_iter().filter(|name| columns::names_a_person(name)).collect()
}

/// Reads a table; `None` when it neither names images that are there nor holds reports.
pub(super) fn read(
    dir: &Path,
    file: &FileFacts,
    text: &str,
    images: &Images,
    catalogue: &Catalogue,
) -> Option<Annotation> {
    let is_json = text.starts_with(['{', '[']);
    let delimiter = if is_json { b',' } else { delimiter_of(text)? };
    let sheet =
        sheet::read(&Inputs::some(dir, BTreeSet::new()), &file.path, (!is_json).then(|| char::from(delimiter))).ok()?;
    if sheet.rows.is_empty() {
        return None;
    }
    let all: Vec<Column> =
        sheet.columns.iter().enumerate().map(|(index, name)| Column::read(index, name, &sheet.rows)).collect();
    let key = find_key(&sheet, images, file.folder(), catalogue);
    let only = key.is_none();
    let is_whole_json = is_json && text.starts_with('{') && !super::texts::is_lines(text);
    let reports = all.iter().filter(|column| column.is_report(only && !is_whole_json));
    let report = reports.max_by_key(|column| column.average()).map(|column| column.name.clone());
    if key.is_none() && report.is_none() {
        return None;
    }
    let mut table = Table {
        file: file.path.clone(),
        delimiter: char::from(delimiter),
        key: key.as_ref().map(|key| (sheet.columns[key.column].clone(), key.form.clone())),
        num_rows: sheet.rows.len() as u64,
        one_row_per_image: true,
        images: key.as_ref().map(|key| key.images.clone()).unwrap_or_default(),
        marks: columns::mark_place(&sheet.columns, &sheet.rows).filter(|_| key.is_some()),
        report,
        patient: None,
        patients: BTreeMap::new(),
        splits: BTreeMap::new(),
        labels: Vec::new(),
        flags: Vec::new(),
        single_flag: false,
        labels_of: BTreeMap::new(),
        columns: all,
    };
    if let Some(key) = &key {
        table.describe(&sheet, key);
    }
    Some(table.annotation(key.is_some()))
}

struct Key {
    column: usize,
    form: KeyForm,
    images: BTreeSet<usize>,
    /// Images of each row.
    rows: Vec<Vec<usize>>,
}

/// The column that names most images: by file name, by identifiers of DICOM headers, or by a folder.
fn find_key(sheet: &Sheet, images: &Images, folder: &str, catalogue: &Catalogue) -> Option<Key> {
    let identifiers = catalogue.identifiers();
    let folders = folder_index(images);
    let of_header = |values: &BTreeMap<&str, Vec<usize>>, value: &str| -> Vec<usize> {
        let series = values.get(value).into_iter().flatten();
        series.flat_map(|series| catalogue.series[*series].files.iter().copied()).collect()
    };
    let mut best: Option<Key> = None;
    for column in 0..sheet.columns.len() {
        let mut consider = |form: KeyForm, find: &dyn Fn(&str) -> Vec<usize>| {
            let value = |row: &SheetRow| match row.values[column].as_str() {
                "" => Vec::new(),
                value => find(value),
            };
            let probed: Vec<&SheetRow> = sheet.rows.iter().take(MAX_PROBED_ROWS).collect();
            let hits = probed.iter().filter(|row| !value(row).is_empty()).count();
            if (hits as f64) < MIN_MATCHED_SHARE * probed.len() as f64 || hits == 0 {
                return;
            }
            // A folder that several rows name is a class, not a case.
            let named = probed.iter().filter(|row| !value(row).is_empty()).map(|row| row.values[column].as_str());
            if matches!(form, KeyForm::Folder(_)) && named.collect::<BTreeSet<_>>().len() < hits {
                return;
            }
            let rows: Vec<Vec<usize>> = sheet.rows.iter().map(value).collect();
            let found: BTreeSet<usize> = rows.iter().flatten().copied().collect();
            if found.len() > best.as_ref().map_or(0, |best| best.images.len()) {
                best = Some(Key { column, form, images: found, rows });
            }
        };
        for form in [KeyForm::Name, KeyForm::Stem] {
            let with_ending = form == KeyForm::Name;
            consider(form, &|value| find_image(images, value, folder, with_ending).into_iter().collect());
        }
        for (name, values) in &identifiers {
            consider(KeyForm::Header(name), &|value| of_header(values, value));
        }
        for (level, names) in folders.iter().enumerate() {
            consider(KeyForm::Folder(level), &|value| names.get(value).cloned().unwrap_or_default());
        }
    }
    best
}

/// Levels of folders that may name cases.
const MAX_CASE_LEVELS: usize = 6;

/// Images below each folder, by the folder's name and its level.
fn folder_index<'a>(images: &Images<'a>) -> Vec<BTreeMap<&'a str, Vec<usize>>> {
    let mut levels: Vec<BTreeMap<&str, Vec<usize>>> = Vec::new();
    for (index, file) in images.files.iter().enumerate().filter(|(_, file)| file.is_image()) {
        for (level, name) in file.folder().split('/').filter(|name| !name.is_empty()).take(MAX_CASE_LEVELS).enumerate()
        {
            if levels.len() <= level {
                levels.push(BTreeMap::new());
            }
            levels[level].entry(name).or_default().push(index);
        }
    }
    levels
}

impl Table {
    /// What the columns say of each image.
    fn describe(&mut self, sheet: &Sheet, key: &Key) {
        let named: Vec<&str> =
            sheet.rows.iter().map(|row| row.values[key.column].as_str()).filter(|name| !name.is_empty()).collect();
        self.one_row_per_image = named.iter().collect::<BTreeSet<_>>().len() == named.len();
        let is_report = |column: &Column| self.report.as_ref() == Some(&column.name);
        let others =
            || self.columns.iter().enumerate().filter(|(index, column)| *index != key.column && !is_report(column));
        let flags: Vec<usize> = others().filter(|(_, column)| column.is_flag()).map(|(index, _)| index).collect();
        let flags = if flags.len() >= 2 { flags } else { Vec::new() };
        let labels: Vec<usize> = others()
            .filter(|(index, column)| !flags.contains(index) && column.is_label() && !columns::tells_split(column))
            .map(|(index, _)| index)
            .collect();
        let patient = self.columns.iter().position(|column| columns::tells_patients(&column.name));
        let split = self.columns.iter().position(columns::tells_split);
        let set = |row: &SheetRow| flags.iter().filter(|flag| columns::is_set(&row.values[**flag])).count();
        self.single_flag = !flags.is_empty() && sheet.rows.iter().all(|row| set(row) == 1);
        for (row, images) in sheet.rows.iter().zip(&key.rows) {
            for image in images {
                let of_image = self.labels_of.entry(*image).or_default();
                let said = labels.iter().filter(|label| !row.values[**label].is_empty());
                of_image.extend(said.map(|label| format!("{}: {}", sheet.columns[*label], row.values[*label])));
                let held = flags.iter().filter(|flag| columns::is_set(&row.values[**flag]));
                of_image.extend(held.map(|flag| sheet.columns[*flag].clone()));
                if let Some(value) = patient.map(|column| &row.values[column]).filter(|value| !value.is_empty()) {
                    self.patients.insert(*image, value.clone());
                }
                if let Some(part) = split.and_then(|column| columns::split_value(&row.values[column])) {
                    self.splits.insert(*image, part);
                }
            }
        }
        self.patient = patient.map(|column| self.columns[column].name.clone());
        (self.labels, self.flags) = (labels, flags);
    }

    fn annotation(self, names_images: bool) -> Annotation {
        let kind = match (&self.marks, names_images) {
            (Some(_), _) => AnnotationKind::BoxTable,
            (None, true) => AnnotationKind::Table,
            (None, false) => AnnotationKind::ReportTable,
        };
        let mut set = AnnotationSet::new(self.file.clone(), kind);
        set.entries = self.num_rows;
        set.matched_images = self.images.len() as u64;
        set.classes = self.classes();
        Annotation { set, images: self.images.clone(), detail: Detail::Table(Box::new(self)) }
    }

    /// How often each class occurs: what is marked, or each value of each label.
    pub(super) fn classes(&self) -> BTreeMap<String, u64> {
        if let Some(marks) = &self.marks {
            let column = self.columns.iter().find(|column| column.name == marks.label);
            return column.map(|column| column.values.clone()).unwrap_or_default();
        }
        let mut classes = BTreeMap::new();
        for column in self.labels.iter().map(|label| &self.columns[*label]) {
            for (value, count) in &column.values {
                classes.insert(format!("{}: {value}", column.name), *count);
            }
        }
        for column in self.flags.iter().map(|flag| &self.columns[*flag]) {
            let set = column.values.iter().filter(|(value, _)| columns::is_set(value)).map(|(_, count)| count);
            classes.insert(column.name.clone(), set.sum());
        }
        classes
    }
}
