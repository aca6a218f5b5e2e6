//! The masks of several observers for each picture: how far they agree is measured when pixels are read.

use super::{Folder, Item, Marks, quarantine_unlabelled};
use crate::Result;
use crate::kind::ObserverMasks;
use crate::ledger::Ledger;
use std::collections::BTreeSet;

pub(super) fn read(folder: &Folder, kind: &ObserverMasks, ledger: &mut Ledger) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    let mut used = BTreeSet::new();
    for mut item in folder.pictures(&kind.images)? {
        let mut files = Vec::new();
        let mut missing = None;
        for pattern in &kind.masks {
            let filled = pattern.fill(&item.fields);
            match filled.find(&folder.inputs.files).into_iter().next() {
                Some((file, _)) => files.push(file),
                None => missing = Some(filled.as_str().to_string()),
            }
        }
        used.extend(files.iter().cloned());
        // One observer alone is no agreement: the picture waits for the others.
        if let Some(missing) = missing {
            quarantine_unlabelled(&item.name, &format!("the mask `{missing}` of an observer does not exist"), ledger);
            continue;
        }
        item.annotation = files.first().cloned();
        item.marks = Marks::Observers { files, instances: kind.instances, least_dice: kind.least_dice };
        items.push(item);
    }
    let mut seen = BTreeSet::new();
    for pattern in kind.masks.iter().filter(|pattern| seen.insert(pattern.as_str())) {
        folder.quarantine_orphans(pattern, &used, ledger);
    }
    Ok(items)
}
