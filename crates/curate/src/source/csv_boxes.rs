//! Boxes and points in tables: a row each, several rows about one picture.

use super::{Boxes, Folder, Frame, Item, MarkedBox, MarkedPoint, Marks, quarantine_unlabelled};
use crate::kind::{CsvBoxes, MarkColumns, Units};
use crate::ledger::{Defect, Ledger, Of};
use crate::sheet::{self, Sheet, SheetRow, Unreadable};
use crate::{Error, Result};
use std::collections::BTreeMap;

pub(super) fn read(folder: &Folder, kind: &CsvBoxes, ledger: &mut Ledger) -> Result<Vec<Item>> {
    let mut items = folder.pictures(&kind.images)?;
    let frame = match kind.units {
        Units::Pixels => Frame::Unstated,
        Units::Fractions => Frame::Fractions,
    };
    // Several pictures may have one key, and one picture may be in several tables.
    let mut by_key: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, item) in items.iter().enumerate() {
        if let Some(key) = kind.matches.fill(&item.fields).literal() {
            by_key.entry(key.to_string()).or_default().push(index);
        }
    }
    for file in &kind.files {
        folder.demand(file, "files")?;
        let path = folder.inputs.path(file);
        let refuse = |Unreadable { field, reason }| Error::Annotation { path: path.clone(), field, reason };
        let table = Table::read(folder, kind, file).map_err(refuse)?;
        ledger.found(Of::Annotations, table.sheet.broken.len() as u64);
        table.sheet.broken.iter().cloned().for_each(|defect| ledger.quarantine(Of::Annotations, defect));
        for row in &table.sheet.rows {
            let key = &row.values[table.key];
            let Some(about) = by_key.get(key) else {
                ledger.found(Of::Annotations, 1);
                let field = format!("{}, column {}", row.place, kind.key);
                let reason = format!("label without image: no image belongs to `{key}`");
                let remedy = "add the image, remove the row, or correct `matches` in the config";
                ledger.quarantine(Of::Annotations, Defect::new(file, field, reason, remedy));
                continue;
            };
            for index in about {
                let item = &mut items[*index];
                if !matches!(item.marks, Marks::Boxes(_)) {
                    item.marks = Marks::Boxes(Boxes::none(file, frame));
                    item.annotation = Some(file.clone());
                }
                if let Marks::Boxes(marks) = &mut item.marks {
                    let place = if marks.file == *file { row.place.clone() } else { format!("{file}, {}", row.place) };
                    table.mark(kind, row, place, marks);
                }
            }
        }
    }
    let (marked, unmarked): (Vec<Item>, Vec<Item>) =
        items.into_iter().partition(|item| matches!(item.marks, Marks::Boxes(_)));
    for item in unmarked {
        let expected = format!("no row has `{}` in column {}", kind.matches.fill(&item.fields).as_str(), kind.key);
        quarantine_unlabelled(&item.name, &expected, ledger);
    }
    Ok(marked)
}

/// A table with the places of its columns.
struct Table {
    sheet: Sheet,
    key: usize,
    label: usize,
    numbers: Vec<usize>,
}

impl Table {
    fn read(folder: &Folder, kind: &CsvBoxes, file: &str) -> std::result::Result<Table, Unreadable> {
        let sheet = sheet::read(folder.inputs, file, None)?;
        let numbers =
            kind.columns.names().iter().map(|name| sheet.column(name)).collect::<std::result::Result<_, _>>()?;
        Ok(Table { key: sheet.column(&kind.key)?, label: sheet.column(&kind.label)?, numbers, sheet })
    }

    /// Adds what a row marks; nothing when all of its numbers are empty.
    fn mark(&self, kind: &CsvBoxes, row: &SheetRow, place: String, marks: &mut Boxes) {
        if self.numbers.iter().all(|column| row.values[*column].is_empty()) {
            return;
        }
        let number = |index: usize| row.values[self.numbers[index]].parse().unwrap_or(f64::NAN);
        let name = row.values[self.label].clone();
        let edges = match &kind.columns {
            MarkColumns::Point(_) => {
                marks.points.push(MarkedPoint { name, at: [number(0), number(1)], place });
                return;
            }
            MarkColumns::Edges(_) => [number(0), number(1), number(2), number(3)],
            MarkColumns::CornerSize(_) => [number(0), number(1), number(0) + number(2), number(1) + number(3)],
            MarkColumns::CenterSize(_) => {
                let [x, y, width, height] = [number(0), number(1), number(2), number(3)];
                [x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0]
            }
        };
        marks.boxes.push(MarkedBox::new(name, edges, place));
    }
}
