//! A folder per image with one mask picture per instance (Data Science Bowl 2018).

use super::{Folder, Item, Marks, quarantine_unlabelled};
use crate::Result;
use crate::kind::{InstanceMasks, Instances};
use crate::ledger::Ledger;
use std::collections::BTreeSet;

pub(super) fn read(folder: &Folder, kind: &InstanceMasks, ledger: &mut Ledger) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    let mut used = BTreeSet::new();
    for mut item in folder.pictures(&kind.images)? {
        let filled = kind.masks.fill(&item.fields);
        let files: Vec<String> = filled.find(&folder.inputs.files).into_iter().map(|(file, _)| file).collect();
        if files.is_empty() {
            quarantine_unlabelled(&item.name, &format!("no file matches `{}`", filled.as_str()), ledger);
            continue;
        }
        used.extend(files.iter().cloned());
        item.annotation =
            files.first().map(|file| file.rsplit_once('/').map_or(file.as_str(), |(parent, _)| parent).to_string());
        item.marks = Marks::Masks { files, instances: Instances::Whole };
        items.push(item);
    }
    folder.quarantine_orphans(&kind.masks, &used, ledger);
    Ok(items)
}
