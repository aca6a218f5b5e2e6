//! Tables and the images they describe.

use super::Layout;
use super::annotations::{Annotation, Detail, is_below};
use super::columns;
use super::draft::{AttributeDraft, SourceDraft, TableDraft};
use super::files::common_folder;
use super::layout::{Builder, Building, list, relative};
use super::tables::{KeyForm, Table};
use gmai_schema::Modality;
use std::collections::BTreeSet;
use toml::Value;

impl Builder<'_> {
    /// Tables whose images are in a group describe that group further; others make one.
    pub(super) fn tables(&mut self, annotations: &[Annotation]) {
        for annotation in annotations {
            let Detail::Table(table) = &annotation.detail else { continue };
            if table.marks.is_some() || table.key.is_none() {
                continue;
            }
            let free: BTreeSet<usize> =
                self.free(&table.images).into_iter().filter(|index| self.files[*index].is_picture()).collect();
            let at = if free.len() * 2 > table.images.len() {
                let root = common_folder(self.paths(&free).chain([table.file.as_str()]));
                let images = self.patterns(&free, &root);
                let at = self.start(root, Layout::CsvLabels, free, 0);
                let group = &mut self.groups[at].group;
                group.draft = Some(SourceDraft { kind: vec![("images", list(images))], ..SourceDraft::default() });
                Some(at)
            } else {
                let shared = |building: &Building| building.images.intersection(&table.images).count();
                let most =
                    self.groups.iter().enumerate().max_by_key(|(at, building)| (shared(building), usize::MAX - at));
                most.filter(|(_, building)| shared(building) > 0).map(|(at, _)| at)
            };
            if let Some(at) = at {
                self.join_table(at, table);
            }
        }
    }

    fn join_table(&mut self, at: usize, table: &Table) {
        let building = &mut self.groups[at];
        building.patients.extend(table.patients.clone());
        building.patient_column = building.patient_column.take().or_else(|| table.patient.clone());
        building.splits.extend(&table.splits);
        for (image, labels) in &table.labels_of {
            building.labels.entry(*image).or_default().extend(labels.iter().cloned());
        }
        let described = building.images.intersection(&table.images).count() as u64;
        building.group.annotated = building.group.annotated.max(described);
        if !table.labels.is_empty() || !table.flags.is_empty() {
            building.group.entries = building.group.entries.max(described);
        }
        if !table.one_row_per_image {
            let note = format!("{}: several rows per image, and no columns of boxes: it is not joined", table.file);
            building.group.notes.push(note);
            return;
        }
        let Some((key, form)) = &table.key else { return };
        let Some(matches) = self.place_of_key(at, table, form) else { return };
        let group = &mut self.groups[at].group;
        let Some(draft) = &mut group.draft else { return };
        draft.tables.push(TableDraft {
            file: relative(&table.file, &group.folder).to_owned(),
            key: key.clone(),
            matches,
            delimiter: table.delimiter,
        });
        for (class, count) in table.classes() {
            *group.classes.entry(class).or_default() += count;
        }
        for column in table.labels.iter().map(|label| &table.columns[*label]) {
            let is_modality = columns::plain(&column.name) == "modality"
                && column.separator.is_none()
                && column.values.keys().all(|value| Modality::lookup(value).is_ok());
            if is_modality && !draft.header_modality {
                draft.modality_by = Some(column.name.clone());
                continue;
            }
            let values = column.values.keys().filter(|value| !value.is_empty()).cloned().collect();
            draft.attributes.push(match column.is_flag() {
                true => AttributeDraft::flag(&column.name, values),
                false => AttributeDraft::values(&column.name, column.separator, values),
            });
        }
        if !table.flags.is_empty() {
            let flags = || table.flags.iter().map(|flag| &table.columns[*flag]);
            let uncertain = flags().any(|column| column.values.keys().any(|value| columns::is_uncertain(value)));
            let names = flags().map(|column| column.name.clone()).collect();
            draft.attributes.push(AttributeDraft::flags(names, table.single_flag, uncertain));
        }
        draft.patient = draft.patient.take().or_else(|| table.patient.clone());
        draft.report = draft.report.take().or_else(|| table.report.clone());
    }

    /// What the key equals in a config; `None`, with a note, where no field of the images has it.
    fn place_of_key(&mut self, at: usize, table: &Table, form: &KeyForm) -> Option<String> {
        let layout = self.groups[at].group.layout;
        let described: BTreeSet<usize> = self.groups[at].images.intersection(&table.images).copied().collect();
        let folder = self.groups[at].group.folder.clone();
        let refuse = |builder: &mut Self, why: &str| {
            builder.groups[at].group.notes.push(format!("{}: {why}", table.file));
            None
        };
        if !is_below(&table.file, &folder) && !self.widen(at, &table.file) {
            return refuse(self, "describes these images but lies outside their folder; move it there");
        }
        match form {
            KeyForm::Header(_) if layout != Layout::DicomSeries => {
                refuse(self, "names patients or studies of single pictures; add a column with file names to join it")
            }
            KeyForm::Name | KeyForm::Stem if layout == Layout::DicomSeries => {
                refuse(self, "names files of series; give it a column with PatientID, study or series to join it")
            }
            KeyForm::Folder(level) => {
                let folder = self.groups[at].group.folder.clone();
                let depth = folder.split('/').filter(|name| !name.is_empty()).count();
                let images = self.groups[at].images.clone();
                let key = match layout {
                    Layout::DicomSeries => "files",
                    Layout::CsvLabels | Layout::DicomPictures => "images",
                    _ => return refuse(self, "names folders of cases; put the folder into the pattern as {case}"),
                };
                let Some(case) = level.checked_sub(depth) else {
                    return refuse(self, "names a folder above the images");
                };
                let patterns = self.patterns_of_cases(&images, &folder, Some(case));
                let star = |pattern: String| if key == "files" { pattern.replace("{stem}", "*") } else { pattern };
                self.set_kind(at, key, list(patterns.into_iter().map(star).collect()));
                Some("{case}".to_owned())
            }
            _ => match self.matches(form, &described) {
                Some(matches) => Some(matches),
                None => refuse(self, "names images with several endings; join it by hand"),
            },
        }
    }

    fn set_kind(&mut self, at: usize, key: &str, value: Value) {
        if let Some(draft) = &mut self.groups[at].group.draft {
            draft.kind.iter_mut().filter(|(name, _)| *name == key).for_each(|(_, own)| *own = value.clone());
        }
    }

    /// Moves the root of a group up to where a table lies, when that is one of the two folders above; says whether it did.
    fn widen(&mut self, at: usize, table: &str) -> bool {
        let old = self.groups[at].group.folder.clone();
        let root = common_folder([table, &format!("{old}/x")].into_iter());
        let depth = |folder: &str| folder.split('/').filter(|name| !name.is_empty()).count();
        if depth(&old) - depth(&root) > MAX_WIDENING || relative(table, &root).contains('/') {
            return false;
        }
        let Some(draft) = &mut self.groups[at].group.draft else { return false };
        let prefix = relative(&old, &root).to_owned();
        if !super::layout::is_plain(&prefix) {
            return false;
        }
        draft.move_below(&prefix);
        self.groups[at].group.folder = root;
        true
    }
}

/// Folders between a table and the images it describes.
const MAX_WIDENING: usize = 3;
