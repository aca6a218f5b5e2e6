//! Tables as rows of named columns, whatever they are written in: CSV, TSV, a JSON list or object, JSON lines.

use crate::inputs::Inputs;
use crate::ledger::Defect;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Column that holds the keys of a JSON object whose values are the rows.
pub(crate) const KEY_COLUMN: &str = "key";
/// Column that holds the values of a JSON object of plain values.
const VALUE_COLUMN: &str = "value";
/// What joins the plain values of a JSON list: such a column is read with `separator = "|"`.
const LIST_SEPARATOR: &str = "|";
/// Objects nested deeper than this are left out: tables are flat.
const MAX_NESTING: usize = 8;
/// Largest table that is read: it is held in memory as a whole.
const MAX_TABLE_BYTES: u64 = 1 << 30;

/// The rows of a table.
#[derive(Debug, Default)]
pub(crate) struct Sheet {
    /// Names of the columns, in the order of the file.
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<SheetRow>,
    /// Rows that cannot be read.
    pub(crate) broken: Vec<Defect>,
}

/// One row.
#[derive(Debug)]
pub(crate) struct SheetRow {
    /// Where it stands, for messages: `line 5`, `entry 3`.
    pub(crate) place: String,
    /// A value per column of the sheet, without surrounding blanks; empty where the row has none.
    pub(crate) values: Vec<String>,
}

/// Why a table cannot be read at all.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) field: String,
    pub(crate) reason: String,
}

impl Unreadable {
    pub(crate) fn new(field: &str, reason: impl Into<String>) -> Unreadable {
        Unreadable { field: field.to_string(), reason: reason.into() }
    }
}

impl Sheet {
    /// The index of a column.
    pub(crate) fn column(&self, name: &str) -> Result<usize, Unreadable> {
        self.columns.iter().position(|column| column == name).ok_or_else(|| {
            let reason = format!("there is no column `{name}`; the columns are: {}", self.columns.join(", "));
            Unreadable::new("first line", reason)
        })
    }

    /// The values of a row by column.
    pub(crate) fn fields(&self, row: &SheetRow) -> BTreeMap<String, String> {
        self.columns.iter().cloned().zip(row.values.iter().cloned()).collect()
    }
}

/// Reads a table; its ending tells what it is written in. `delimiter` overrules the comma or tab between columns.
pub(crate) fn read(inputs: &Inputs, file: &str, delimiter: Option<char>) -> Result<Sheet, Unreadable> {
    let path = inputs.path(file);
    let length = std::fs::metadata(&path).map_err(|error| Unreadable::new("file", error.to_string()))?.len();
    if length > MAX_TABLE_BYTES {
        return Err(Unreadable::new(
            "file",
            format!("{length} bytes are more than {MAX_TABLE_BYTES}; split the table"),
        ));
    }
    let bytes = std::fs::read(&path).map_err(|error| Unreadable::new("file", error.to_string()))?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes); // A byte-order mark would become part of the first column.
    let ending = file.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
    match ending.as_str() {
        "json" => json(file, text(bytes)?),
        "jsonl" | "ndjson" => json_lines(file, text(bytes)?),
        _ => {
            let usual = if matches!(ending.as_str(), "tsv" | "tab") { '\t' } else { ',' };
            let delimiter = delimiter.unwrap_or(usual);
            let byte = u8::try_from(delimiter)
                .map_err(|_| Unreadable::new("delimiter", format!("`{delimiter}` is not a single byte")))?;
            csv(file, bytes, byte)
        }
    }
}

fn text(bytes: &[u8]) -> Result<&str, Unreadable> {
    std::str::from_utf8(bytes).map_err(|_| Unreadable::new("file", "the file is not UTF-8 text"))
}

fn csv(file: &str, bytes: &[u8], delimiter: u8) -> Result<Sheet, Unreadable> {
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(bytes);
    let headers = reader.headers().map_err(|error| Unreadable::new("first line", error.to_string()))?;
    let mut sheet = Sheet { columns: headers.iter().map(|name| name.trim().to_string()).collect(), ..Sheet::default() };
    for record in reader.records() {
        match record {
            Ok(record) => {
                let place = format!("line {}", record.position().map_or(0, csv::Position::line));
                let values = record.iter().map(|value| value.trim().to_string()).collect();
                sheet.rows.push(SheetRow { place, values });
            }
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                let remedy = "give the row as many columns as the first line has, in UTF-8";
                sheet.broken.push(Defect::new(file, format!("line {line}"), error.to_string(), remedy));
            }
        }
    }
    Ok(sheet)
}

fn json(file: &str, text: &str) -> Result<Sheet, Unreadable> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        Unreadable::new(&format!("line {}, column {}", error.line(), error.column()), error.to_string())
    })?;
    let mut entries = Entries::default();
    match value {
        Value::Array(list) => {
            for (index, value) in list.into_iter().enumerate() {
                entries.add(file, format!("entry {}", index + 1), value);
            }
        }
        Value::Object(object) => {
            for (key, value) in object {
                let place = format!("key {key}");
                let mut row = Map::from_iter([(KEY_COLUMN.to_string(), Value::String(key))]);
                match value {
                    Value::Object(fields) => row.extend(fields),
                    plain => {
                        row.insert(VALUE_COLUMN.to_string(), plain);
                    }
                }
                entries.add(file, place, Value::Object(row));
            }
        }
        other => return Err(Unreadable::new("file", format!("a list or an object is needed, found {other}"))),
    }
    Ok(entries.into_sheet())
}

fn json_lines(file: &str, text: &str) -> Result<Sheet, Unreadable> {
    let mut entries = Entries::default();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let place = format!("line {}", index + 1);
        match serde_json::from_str(line) {
            Ok(value) => entries.add(file, place, value),
            Err(error) => {
                let remedy = "write one JSON object per line";
                entries.broken.push(Defect::new(file, place, error.to_string(), remedy));
            }
        }
    }
    Ok(entries.into_sheet())
}

/// JSON objects on their way to rows: columns are known only after all were read.
#[derive(Default)]
struct Entries {
    columns: Vec<String>,
    index: BTreeMap<String, usize>,
    rows: Vec<(String, Vec<(usize, String)>)>,
    broken: Vec<Defect>,
}

impl Entries {
    fn add(&mut self, file: &str, place: String, value: Value) {
        let Value::Object(object) = value else {
            let reason = format!("an object is needed, found {value}");
            self.broken.push(Defect::new(file, place, reason, "write each row as a JSON object"));
            return;
        };
        let mut cells = Vec::new();
        flatten("", &object, 0, &mut cells);
        let cells = cells.into_iter().map(|(name, value)| (self.column(name), value)).collect();
        self.rows.push((place, cells));
    }

    fn column(&mut self, name: String) -> usize {
        let next = self.columns.len();
        *self.index.entry(name.clone()).or_insert_with(|| {
            self.columns.push(name);
            next
        })
    }

    fn into_sheet(self) -> Sheet {
        let width = self.columns.len();
        let row = |(place, cells): (String, Vec<(usize, String)>)| {
            let mut values = vec![String::new(); width];
            cells.into_iter().for_each(|(index, value)| values[index] = value);
            SheetRow { place, values }
        };
        Sheet { columns: self.columns, rows: self.rows.into_iter().map(row).collect(), broken: self.broken }
    }
}

/// Plain values by column; those of nested objects under `outer.inner`. Lists of objects are no cell and left out.
fn flatten(prefix: &str, object: &Map<String, Value>, depth: usize, cells: &mut Vec<(String, String)>) {
    for (key, value) in object {
        let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            Value::Object(inner) if depth < MAX_NESTING => flatten(&name, inner, depth + 1, cells),
            Value::Array(list) => {
                let parts: Option<Vec<String>> = list.iter().map(scalar).collect();
                cells.extend(parts.map(|parts| (name, parts.join(LIST_SEPARATOR))));
            }
            plain => cells.extend(scalar(plain).map(|value| (name, value))),
        }
    }
}

/// Text, number or truth value as text.
pub(crate) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn written(name: &str, content: &str) -> Result<Sheet, Unreadable> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(name), content).unwrap();
        read(&Inputs::list(folder.path()).unwrap(), name, None)
    }

    fn rows(sheet: &Sheet) -> Vec<Vec<&str>> {
        sheet.rows.iter().map(|row| row.values.iter().map(String::as_str).collect()).collect()
    }

    #[test]
    fn one_table_in_five_spellings() {
        for (name, content) in [
            ("a.csv", "id,grade\n1,mild\n2,\n"),
            ("a.tsv", "\u{feff}id\tgrade\n1\tmild\n2\t\n"),
            ("a.json", r#"[{"id": 1, "grade": "mild"}, {"id": 2, "grade": null}]"#),
            ("a.jsonl", "{\"id\": 1, \"grade\": \" mild \"}\n\n{\"id\": 2}\n"),
        ] {
            let sheet = written(name, content).unwrap();
            assert_eq!(sheet.columns, ["id", "grade"], "{name}");
            assert_eq!(rows(&sheet), [["1", "mild"], ["2", ""]], "{name}");
        }
        let keyed =
            written("a.json", r#"{"1": {"grade": "mild", "eye": {"side": "left"}}, "2": {"tags": ["a", "b"]}}"#);
        let keyed = keyed.unwrap();
        assert_eq!(keyed.columns, ["key", "grade", "eye.side", "tags"]);
        assert_eq!(rows(&keyed), [["1", "mild", "left", ""], ["2", "", "", "a|b"]]);
        assert_eq!(rows(&written("a.json", r#"{"1": "mild"}"#).unwrap()), [["1", "mild"]]);
    }

    #[test]
    fn broken_rows_are_told_from_broken_tables() {
        let sheet = written("a.csv", "id,grade\n1\n2,b\n").unwrap();
        assert_eq!((sheet.rows.len(), sheet.broken[0].field.as_str()), (1, "line 2"));
        let sheet = written("a.jsonl", "{\"id\": 1}\n[2]\n{\"id\"\n").unwrap();
        assert_eq!((sheet.rows.len(), sheet.broken.len()), (1, 2));
        assert_eq!(written("a.json", "[{").unwrap_err().field, "line 1, column 2");
        assert!(written("a.json", "3").unwrap_err().reason.contains("found 3"));
        assert!(sheet.column("name").unwrap_err().reason.contains("the columns are: id"));
    }
}
