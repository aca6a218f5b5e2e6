//! Reports in the rows of tables, with what the other columns say about them.

use super::super::{Folder, Item};
use super::{Joining, Outcome, Parsed, ReportText};
use crate::kind::ReportTable;
use crate::ledger::Ledger;
use crate::sheet::{self, Unreadable};
use crate::{Error, Result};
use std::collections::BTreeMap;

pub(in crate::source) fn read(folder: &Folder, kind: &ReportTable, ledger: &mut Ledger) -> Result<Vec<Item>> {
    let mut joining = Joining::new(folder, kind.images.as_ref());
    for file in &kind.files {
        folder.demand(file, "files")?;
        let path = folder.inputs.path(file);
        let refuse = |Unreadable { field, reason }| Error::Annotation { path: path.clone(), field, reason };
        let mut sheet = sheet::read(folder.inputs, file, None).map_err(refuse)?;
        let text = sheet.column(&kind.text).map_err(refuse)?;
        for defect in std::mem::take(&mut sheet.broken) {
            joining.refuse(defect, ledger);
        }
        for row in &sheet.rows {
            let report = Some(row.values[text].as_str()).filter(|text| !text.is_empty()).map(ReportText::of);
            let fields = sheet.fields(row);
            let place = row.place.clone();
            let parsed = Parsed { place, report, measurements: Vec::new(), fields, patient: None };
            joining.add(file, &BTreeMap::new(), Outcome::of(parsed), ledger);
        }
    }
    Ok(joining.finish(ledger))
}
