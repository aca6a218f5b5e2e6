//! NIfTI volumes with a label map of class numbers, or one binary map per class.

use super::{Folder, ImageFiles, Item, LabelFile, Marks, quarantine_unlabelled};
use crate::Result;
use crate::kind::NiftiLabelMap;
use crate::ledger::Ledger;
use crate::pattern::Pattern;
use std::collections::BTreeSet;

/// The placeholder that names what a binary map marks.
const CLASS: &str = "class";

pub(super) fn read(folder: &Folder, kind: &NiftiLabelMap, ledger: &mut Ledger) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    let mut used = BTreeSet::new();
    for (name, fields) in folder.matching(&kind.volumes)? {
        used.insert(name.clone()); // A pattern with `{class}` may match the volume itself.
        let mut item = Item::new(name, ImageFiles::Volume, fields);
        let files = label_files(folder, &kind.labels, &item);
        if files.is_empty() {
            let expected = format!("no file matches `{}`", kind.labels.fill(&item.fields).as_str());
            quarantine_unlabelled(&item.name, &expected, ledger);
            continue;
        }
        used.extend(files.iter().map(|label| label.file.clone()));
        item.annotation = Some(annotation_name(&files));
        item.marks = Marks::LabelMaps { files, instances: kind.instances };
        items.push(item);
    }
    folder.quarantine_orphans(&kind.labels, &used, ledger);
    Ok(items)
}

/// The label maps of an item.
pub(super) fn label_files(folder: &Folder, labels: &Pattern, item: &Item) -> Vec<LabelFile> {
    let found = labels.fill(&item.fields).find(&folder.inputs.files);
    let labels = found.into_iter().filter(|(file, _)| *file != item.name);
    labels.map(|(file, captured)| LabelFile { file, class: captured.get(CLASS).cloned() }).collect()
}

/// What the provenance names as annotation: the file, or the folder of several.
pub(super) fn annotation_name(files: &[LabelFile]) -> String {
    match files {
        [only] => only.file.clone(),
        several => several[0].file.rsplit_once('/').map_or(".", |(parent, _)| parent).to_string(),
    }
}
