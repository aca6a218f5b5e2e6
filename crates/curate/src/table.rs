//! Tables whose rows describe images, and their joining to items.

use crate::config::{Source, Table};
use crate::inputs::Inputs;
use crate::ledger::{Defect, IMAGE_LEFT_OUT, Ledger, Of};
use crate::sheet::{self, Sheet, SheetRow, Unreadable};
use crate::source::Item;
use crate::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};

/// One row of one table of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub(crate) struct RowId {
    /// Index of the table in the config.
    pub(crate) table: usize,
    /// Index of the row among the sound ones.
    pub(crate) row: usize,
}

struct LoadedTable {
    file: String,
    key: String,
    columns: Vec<String>,
    rows: Vec<SheetRow>,
    by_key: BTreeMap<String, usize>,
}

/// The tables of a source and what became of their rows.
#[derive(Default)]
pub(crate) struct Tables {
    tables: Vec<LoadedTable>,
    matched: BTreeSet<RowId>,
    defective: BTreeMap<RowId, Defect>,
}

impl Tables {
    /// Reads the tables of a source.
    pub(crate) fn read(source: &Source, inputs: &Inputs, ledger: &mut Ledger) -> Result<Tables> {
        let mut tables = Tables::default();
        for table in &source.tables {
            tables.tables.push(load(table, inputs, ledger)?);
        }
        Ok(tables)
    }

    /// Adds the columns of each row that belongs to an item to its fields.
    pub(crate) fn join(&mut self, source: &Source, item: &mut Item) {
        for (index, (rule, table)) in source.tables.iter().zip(&self.tables).enumerate() {
            let filled = rule.matches.fill(&item.fields);
            let row = filled.literal().and_then(|key| table.by_key.get(key));
            let Some(&row) = row else { continue };
            let id = RowId { table: index, row };
            self.matched.insert(id);
            item.rows.push(id);
            for (column, value) in table.columns.iter().zip(&table.rows[row].values) {
                item.fields.entry(column.clone()).or_insert_with(|| value.clone());
            }
        }
    }

    /// The row of an item that has `column`, if any: where a wrong value came from.
    pub(crate) fn origin(&self, item: &Item, column: &str) -> Option<RowId> {
        item.rows.iter().copied().find(|id| self.tables[id.table].columns.iter().any(|name| name == column))
    }

    /// File and field of a column in a row, for messages.
    pub(crate) fn place(&self, id: RowId, column: &str) -> (String, String) {
        let table = &self.tables[id.table];
        (table.file.clone(), format!("{}, column {column}", table.rows[id.row].place))
    }

    /// Notes that a row holds a value that cannot be used. One line per row: the first stays.
    pub(crate) fn note_defect(&mut self, id: RowId, defect: Defect) {
        self.defective.entry(id).or_insert(defect);
    }

    /// Accounts for every row: `used` are those of the images in the dataset.
    pub(crate) fn settle(self, used: &BTreeSet<RowId>, ledger: &mut Ledger) {
        let Tables { tables, matched, mut defective } = self;
        for (index, table) in tables.into_iter().enumerate() {
            for (row, content) in table.rows.iter().enumerate() {
                let id = RowId { table: index, row };
                if let Some(defect) = defective.remove(&id) {
                    ledger.quarantine(Of::Annotations, defect);
                } else if used.contains(&id) {
                    ledger.used(Of::Annotations, 1);
                } else if matched.contains(&id) {
                    ledger.skip(Of::Annotations, IMAGE_LEFT_OUT, 1);
                } else {
                    let column = table.columns.iter().position(|name| *name == table.key);
                    let key = column.map_or("", |column| content.values[column].as_str());
                    let field = format!("{}, column {}", content.place, table.key);
                    let reason = format!("label without image: no image belongs to `{key}`");
                    let remedy = "add the image, remove the row, or correct `matches` in the config";
                    ledger.quarantine(Of::Annotations, Defect::new(&table.file, field, reason, remedy));
                }
            }
        }
    }
}

fn load(table: &Table, inputs: &Inputs, ledger: &mut Ledger) -> Result<LoadedTable> {
    let path = inputs.path(&table.file);
    let refuse = |Unreadable { field, reason }| Error::Annotation { path: path.clone(), field, reason };
    let sheet = sheet::read(inputs, &table.file, table.delimiter).map_err(refuse)?;
    let key = sheet.column(&table.key).map_err(refuse)?;
    let Sheet { columns, rows, broken } = sheet;
    let mut loaded = LoadedTable {
        file: table.file.clone(),
        key: table.key.clone(),
        columns,
        rows: Vec::new(),
        by_key: BTreeMap::new(),
    };
    ledger.found(Of::Annotations, (rows.len() + broken.len()) as u64);
    broken.into_iter().for_each(|defect| ledger.quarantine(Of::Annotations, defect));
    rows.into_iter().for_each(|row| loaded.add(key, row, ledger));
    Ok(loaded)
}

impl LoadedTable {
    /// Adds a row unless another with the same key came before.
    fn add(&mut self, key: usize, row: SheetRow, ledger: &mut Ledger) {
        let name = row.values[key].clone();
        match self.by_key.get(&name) {
            None => {
                self.by_key.insert(name, self.rows.len());
                self.rows.push(row);
            }
            Some(&first) if self.rows[first].values == row.values => {
                ledger.skip(Of::Annotations, "the row repeats an earlier one", 1);
            }
            Some(&first) => {
                let field = format!("{}, column {}", row.place, self.columns[key]);
                let reason = format!("`{name}` stands in {} already, with other values", self.rows[first].place);
                let defect = Defect::new(&self.file, field, reason, "keep the right one of the two rows");
                ledger.quarantine(Of::Annotations, defect);
            }
        }
    }
}
