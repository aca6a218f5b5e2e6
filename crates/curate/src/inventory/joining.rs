//! Tables and the images they describe.

use super::Layout;
use super::annotations::{Annotation, Detail, is_below};
use super::draft::{AttributeDraft, SourceDraft, TableDraft};
use super::files::common_folder;
use super::layout::{Builder, Building, list, relative};
use super::tables::{KeyForm, Table};
use std::collections::BTreeSet;

impl Builder<'_> {
    /// Tables whose images are in a group describe that group further; others make one.
    pub(super) fn tables(&mut self, annotations: &[Annotation]) {
        for annotation in annotations {
            let Detail::Table(table) = &annotation.detail else { continue };
            let free = self.free(&table.images);
            let at = if free.len() * 2 > table.images.len() {
                let paths = free.iter().map(|index| self.files[*index].path.as_str());
                let root = common_folder(paths.chain([table.file.as_str()]));
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
        let group = &mut self.groups[at].group;
        if !table.one_row_per_image {
            group.notes.push(format!("{}: several rows per image; tables of boxes are not read", table.file));
            return;
        }
        if !is_below(&table.file, &group.folder) {
            group.notes.push(format!("{}: describes these images but lies outside their folder", table.file));
            return;
        }
        if group.layout == Layout::DicomSeries {
            group.notes.push(format!("{}: names files of series; join it to the series by hand", table.file));
            return;
        }
        let described = self.groups[at].images.intersection(&table.images).count() as u64;
        self.groups[at].group.annotated = self.groups[at].group.annotated.max(described);
        let ending = match table.key_form {
            KeyForm::Stem => Some(String::new()),
            KeyForm::Name => {
                let images = self.groups[at].images.intersection(&table.images);
                let endings: BTreeSet<&str> = images.map(|index| self.files[*index].ending()).collect();
                (endings.len() == 1).then(|| endings.first().map_or(String::new(), |ending| (*ending).to_owned()))
            }
        };
        let group = &mut self.groups[at].group;
        let Some(ending) = ending else {
            group.notes.push(format!("{}: names images with several endings; join it by hand", table.file));
            return;
        };
        let Some(draft) = &mut group.draft else { return };
        draft.tables.push(TableDraft {
            file: relative(&table.file, &group.folder).to_owned(),
            key: table.columns[table.key].name.clone(),
            matches: format!("{{stem}}{ending}"),
            delimiter: table.delimiter,
        });
        for column in table.label_columns() {
            for (value, count) in &column.values {
                *group.classes.entry(format!("{}: {value}", column.name)).or_default() += count;
            }
            draft.attributes.push(AttributeDraft {
                from: column.name.clone(),
                separator: column.separator,
                values: column.values.keys().cloned().collect(),
            });
        }
        draft.patient = draft.patient.take().or_else(|| table.patient_column().map(|column| column.name.clone()));
        draft.report = draft.report.take().or_else(|| table.report_column().map(|column| column.name.clone()));
    }
}
