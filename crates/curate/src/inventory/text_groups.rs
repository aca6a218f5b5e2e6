//! Groups made by tables of boxes, conversations and reports, with or without images.

use super::annotations::{Annotation, Detail};
use super::columns::MarkPlace;
use super::draft::SourceDraft;
use super::files::common_folder;
use super::layout::{Builder, is_plain, joined, list, relative, word};
use super::tables::{KeyForm, Table};
use super::{AnnotationKind, Layout};
use std::collections::{BTreeMap, BTreeSet};
use toml::Value;

fn layout_of(kind: AnnotationKind) -> Layout {
    match kind {
        AnnotationKind::Fhir => Layout::Fhir,
        AnnotationKind::Hl7v2 => Layout::Hl7v2,
        AnnotationKind::Ccda => Layout::Ccda,
        AnnotationKind::Bioc => Layout::Bioc,
        _ => Layout::TextReport,
    }
}

/// `columns = { edges = [...] }` as a value.
fn columns_value(marks: &MarkPlace) -> Value {
    let columns = marks.columns.iter().cloned().map(Value::String).collect();
    Value::Table(toml::map::Map::from_iter([(marks.shape.to_owned(), Value::Array(columns))]))
}

impl Builder<'_> {
    /// Tables with a row per box or point.
    pub(super) fn box_tables(&mut self, annotations: &[Annotation]) {
        for annotation in annotations {
            let Detail::Table(table) = &annotation.detail else { continue };
            let (Some(marks), Some((key, form))) = (&table.marks, &table.key) else { continue };
            let images: BTreeSet<usize> =
                self.free(&table.images).into_iter().filter(|index| self.files[*index].is_picture()).collect();
            if images.is_empty() {
                let known = self.groups.iter().position(|group| !group.images.is_disjoint(&table.images));
                if let Some(at) = known {
                    let note =
                        format!("{}: boxes of the same pictures in a table, which are not drafted again", table.file);
                    self.groups[at].group.notes.push(note);
                }
                continue;
            }
            let root = common_folder(self.paths(&images).chain([table.file.as_str()]));
            let Some(matches) = self.matches(form, &images) else { continue };
            let kind = vec![
                ("images", list(self.patterns(&images, &root))),
                ("files", list(vec![relative(&table.file, &root).to_owned()])),
                ("key", word(key)),
                ("matches", word(matches)),
                ("label", word(&marks.label)),
                ("columns", columns_value(marks)),
                ("units", word(if marks.fractions { "fractions" } else { "pixels" })),
            ];
            let at = self.boxes(root, Layout::CsvBoxes, images, &[annotation], kind);
            let building = &mut self.groups[at];
            building.patients = table.patients.clone();
            building.patient_column = table.patient.clone();
            building.splits = table.splits.clone();
        }
    }

    /// What the key of a table equals: by the name of the file, where all images have one ending.
    pub(super) fn matches(&self, form: &KeyForm, images: &BTreeSet<usize>) -> Option<String> {
        match form {
            KeyForm::Stem => Some("{stem}".to_owned()),
            KeyForm::Header(name) => Some(format!("{{{name}}}")),
            KeyForm::Folder(_) => Some("{case}".to_owned()),
            KeyForm::Name => {
                let endings: BTreeSet<&str> = images.iter().map(|index| self.files[*index].ending()).collect();
                match endings.into_iter().collect::<Vec<_>>().as_slice() {
                    [only] => Some(format!("{{stem}}{only}")),
                    _ => None,
                }
            }
        }
    }

    pub(super) fn conversations(&mut self, annotations: &[Annotation]) {
        for annotation in annotations.iter().filter(|annotation| matches!(annotation.detail, Detail::Conversations)) {
            let images = self.free(&annotation.images);
            let root = common_folder(self.paths(&images).chain([annotation.set.path.as_str()]));
            let mut kind = vec![("files", list(vec![relative(&annotation.set.path, &root).to_owned()]))];
            if let Some(folder) = self.folder_of_names(annotation, &images, &root) {
                kind.push(("image_folder", word(folder)));
            }
            let annotated = images.len();
            let at = self.start(root, Layout::Conversations, images, annotated);
            let group = &mut self.groups[at].group;
            group.entries = annotation.set.entries;
            if annotated == 0 {
                group.images = annotation.set.entries;
                group.notes.push("none of the pictures that are named is there, or none is named".to_owned());
            }
            let plain = is_plain(&annotation.set.path);
            group.draft = plain.then(|| SourceDraft { kind, ..SourceDraft::default() });
        }
    }

    /// The folder that the paths of pictures in a file are relative to; `None` for the root.
    pub(super) fn folder_of_names(
        &self,
        annotation: &Annotation,
        images: &BTreeSet<usize>,
        root: &str,
    ) -> Option<String> {
        let path = &self.files[*images.first()?].path;
        let text = std::fs::read(self.dir.join(&annotation.set.path)).ok()?;
        let text = String::from_utf8_lossy(&text);
        // The longest end of the path that the file writes is what follows the folder.
        let below = relative(path, root);
        let mut starts = std::iter::once(0).chain(below.match_indices('/').map(|(position, _)| position + 1));
        let written = starts.find(|start| text.contains(&format!("\"{}\"", &below[*start..])))?;
        Some(below[..written].trim_end_matches('/').to_owned()).filter(|folder| !folder.is_empty())
    }

    /// Report files that are named after pictures.
    pub(super) fn reports_with_images(&mut self, annotations: &[Annotation]) {
        for annotation in annotations {
            let Detail::Reports { ending, .. } = &annotation.detail else { continue };
            let images: BTreeSet<usize> =
                self.free(&annotation.images).into_iter().filter(|index| self.files[*index].is_picture()).collect();
            if images.len() * 2 <= annotation.set.files as usize {
                continue;
            }
            let first = joined(&annotation.set.path, "x");
            let root = common_folder(self.paths(&images).chain([first.as_str()]));
            let patterns = self.patterns(&images, &root);
            let [pattern] = patterns.as_slice() else { continue };
            let files = joined(relative(&annotation.set.path, &root), &format!("{{stem}}{ending}"));
            let kind = vec![("files", list(vec![files])), ("images", word(pattern))];
            let annotated = images.len();
            let at = self.start(root, layout_of(annotation.set.kind), images, annotated);
            self.fill_report(at, annotation, kind);
            self.groups[at].group.notes.push("each report is about the picture of the same name".to_owned());
        }
    }

    fn fill_report(&mut self, at: usize, annotation: &Annotation, kind: Vec<(&'static str, Value)>) {
        let building = &mut self.groups[at];
        building.measurements = annotation.set.measurements;
        building.askable = annotation.set.askable;
        building.group.entries = annotation.set.entries;
        building.group.classes =
            annotation.set.classes.iter().map(|(section, count)| (format!("section: {section}"), *count)).collect();
        let plain = is_plain(&annotation.set.path);
        building.group.draft = (plain && annotation.set.entries > 0).then(|| SourceDraft {
            kind,
            header_modality: false,
            is_text: true,
            ..SourceDraft::default()
        });
    }

    /// Reports without pictures.
    pub(super) fn reports(&mut self, annotations: &[Annotation]) {
        for annotation in annotations {
            match &annotation.detail {
                Detail::Reports { ending, files, patients } if annotation.images.is_empty() => {
                    let root = annotation.set.path.clone();
                    // Files beside others of the ending, such as a licence, are named one by one.
                    let others =
                        self.files.iter().filter(|file| file.folder() == root && file.ending() == ending).count();
                    let names = files.iter().map(|file| self.files[*file].name().to_owned());
                    let patterns = match others == files.len() && is_plain(ending) {
                        true => vec![format!("{{stem}}{ending}")],
                        false => names.filter(|name| is_plain(name)).collect(),
                    };
                    let at = self.start(root, layout_of(annotation.set.kind), BTreeSet::new(), 0);
                    self.fill_report(at, annotation, vec![("files", list(patterns))]);
                    let building = &mut self.groups[at];
                    building.group.images = annotation.set.entries;
                    building.group.annotated = annotation.set.entries;
                    building.patients = patients.iter().cloned().enumerate().collect::<BTreeMap<usize, String>>();
                    building.group.samples = files.iter().take(3).map(|file| self.files[*file].path.clone()).collect();
                }
                Detail::Table(table) if table.key.is_none() => self.report_table(annotation, table),
                _ => {}
            }
        }
    }

    fn report_table(&mut self, annotation: &Annotation, table: &Table) {
        let Some(report) = &table.report else { return };
        let (root, name) = super::files::split(&table.file);
        let kind = vec![("files", list(vec![name.to_owned()])), ("text", word(report))];
        let at = self.start(root.to_owned(), Layout::ReportTable, BTreeSet::new(), 0);
        self.fill_report(at, annotation, kind);
        let building = &mut self.groups[at];
        building.group.images = annotation.set.entries;
        building.group.annotated = annotation.set.entries;
        building.group.classes.clear();
        if table.delimiter != ',' {
            building.group.draft = None; // The kind reads commas, tabs and JSON.
            building.group.notes.push("columns are not separated by commas: write the table as CSV or TSV".to_owned());
        }
        building.group.samples = vec![table.file.clone()];
    }
}
