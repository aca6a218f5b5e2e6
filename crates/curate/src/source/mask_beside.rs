//! One mask picture per picture, found by name.

use super::{Folder, Item, Marks, quarantine_unlabelled};
use crate::Result;
use crate::kind::MaskBeside;
use crate::ledger::Ledger;
use std::collections::BTreeSet;

pub(super) fn read(folder: &Folder, kind: &MaskBeside, ledger: &mut Ledger) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    let mut used = BTreeSet::new();
    for mut item in folder.pictures(&kind.images)? {
        let filled = kind.masks.fill(&item.fields);
        let Some((file, _)) = filled.find(&folder.inputs.files).into_iter().next() else {
            quarantine_unlabelled(&item.name, &format!("`{}` does not exist", filled.as_str()), ledger);
            continue;
        };
        used.insert(file.clone());
        item.annotation = Some(file.clone());
        item.marks = Marks::Masks { files: vec![file], instances: kind.instances };
        items.push(item);
    }
    folder.quarantine_orphans(&kind.masks, &used, ledger);
    Ok(items)
}
