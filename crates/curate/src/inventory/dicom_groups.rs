//! Groups of DICOM files: volumes with what marks and measures them, and pictures by how they were acquired.

use super::Layout;
use super::dicom::{Role, SeriesEntry};
use super::draft::SourceDraft;
use super::files::split;
use super::layout::{Builder, is_plain, list, relative, word};
use super::pairing;
use gmai_schema::Modality;
use std::collections::{BTreeMap, BTreeSet};

/// Image files written out one by one where no pattern can tell them from objects with pixels.
const MAX_LISTED: usize = 400;
/// Objects listed in a draft.
const MAX_OBJECTS: usize = 5000;

/// Names of files that stand at the top of a dataset.
const MARKERS: [&str; 8] =
    ["readme", "license", "licence", "source", "copying", "dataset_description", "dataset", "datacard"];

impl Builder<'_> {
    /// The folder of the dataset that a file belongs to: the deepest above it that says what it holds.
    fn dataset_of(&self, path: &str, marked: &BTreeSet<&str>) -> String {
        let mut folder = split(path).0;
        while !folder.is_empty() && !marked.contains(folder) {
            folder = split(folder).0;
        }
        folder.to_owned()
    }

    /// All DICOM images.
    pub(super) fn dicom(&mut self) {
        let marked: BTreeSet<&str> = self
            .files
            .iter()
            .filter(|file| MARKERS.contains(&file.stem().to_lowercase().as_str()))
            .map(|file| file.folder())
            .collect();
        let mut places: BTreeMap<(String, Option<Modality>, bool), Vec<usize>> = BTreeMap::new();
        for (index, series) in self.catalogue.series.iter().enumerate() {
            let Some(first) = series.files.first() else { continue };
            let dataset = self.dataset_of(&self.files[*first].path, &marked);
            let modality = series.modality.filter(|_| !series.is_volume);
            places.entry((dataset, modality, series.is_volume)).or_default().push(index);
        }
        for ((_, _, is_volume), series) in places {
            if is_volume { self.dicom_volumes(&series) } else { self.dicom_pictures(&series) }
        }
        self.dicom_without_series(&marked);
    }

    fn files_of(&self, series: &[usize]) -> BTreeSet<usize> {
        series.iter().flat_map(|index| self.catalogue.series[*index].files.iter().copied()).collect()
    }

    fn dicom_volumes(&mut self, series: &[usize]) {
        let (catalogue, facts) = (self.catalogue, self.objects);
        let entries = || series.iter().map(|index| &catalogue.series[*index]);
        let uids: BTreeSet<&str> = entries().map(|series| series.uid.as_str()).collect();
        let objects: Vec<usize> = (0..catalogue.objects.len())
            .filter(|index| {
                let object = &catalogue.objects[*index];
                facts[*index].has_series && object.refers_to.iter().any(|uid| uids.contains(uid.as_str()))
            })
            .take(MAX_OBJECTS)
            .collect();
        let images = self.files_of(series);
        let label = self.label_of_series(&images, entries());
        let mut all = images.clone();
        all.extend(objects.iter().map(|index| catalogue.objects[*index].file));
        all.extend(label);
        let root = self.common(&all);
        let files = self.image_patterns(&images, &root);
        let headers_tell = entries().any(|series| series.modality.is_some());
        let identified = entries().all(|series| series.patient.is_some());
        let (count, num_images) = (series.len(), images.len());
        let at = self.start(root.clone(), Layout::DicomSeries, images, 0);
        let mut kind = vec![("files", list(files))];
        let mut terms: BTreeMap<String, u64> = BTreeMap::new();
        for (key, role) in
            [("segmentations", Role::Segmentation), ("structures", Role::Structures), ("measurements", Role::Report)]
        {
            let of_role = objects.iter().filter(|index| catalogue.objects[**index].role == role);
            let of_role: Vec<usize> = of_role.copied().filter(|index| facts[*index].entries > 0).collect();
            let paths = of_role.iter().map(|index| relative(&facts[*index].path, &root).to_owned());
            let paths: Vec<String> = paths.filter(|path| is_plain(path)).collect();
            if paths.is_empty() {
                continue;
            }
            for object in of_role.iter().map(|index| &facts[*index]) {
                let building = &mut self.groups[at];
                building.group.entries += object.entries;
                building.measurements += if role == Role::Report { object.entries } else { 0 };
                object.names.iter().for_each(|name| *terms.entry(name.clone()).or_default() += 1);
            }
            kind.push((key, list(paths)));
        }
        if let Some(label) = label {
            kind.push(("labels", word(relative(&self.files[label].path, &root))));
            terms.extend(self.classes_of(&[label]).0);
            self.taken.insert(label);
            self.groups[at].group.entries += 1;
        }
        let has_marks = !terms.is_empty();
        let building = &mut self.groups[at];
        building.outlines = terms.values().sum();
        building.group.annotated = if has_marks || building.measurements > 0 { num_images as u64 } else { 0 };
        building.group.notes.push(format!("{count} series; headers tell the modality where it is known"));
        building.group.draft = Some(SourceDraft {
            kind,
            header_modality: headers_tell,
            patient: identified.then(|| "PatientID".to_owned()),
            region_terms: terms.keys().cloned().collect(),
            ..SourceDraft::default()
        });
        building.group.classes = terms;
    }

    /// Patterns of image files; where they would match objects with pixels too, the files one by one.
    fn image_patterns(&self, images: &BTreeSet<usize>, root: &str) -> Vec<String> {
        let folders: BTreeSet<(&str, &str)> =
            images.iter().map(|index| (self.files[*index].folder(), self.files[*index].ending())).collect();
        let among = self.catalogue.objects.iter().filter(|object| object.has_pixels).any(|object| {
            let file = &self.files[object.file];
            folders.contains(&(file.folder(), file.ending()))
        });
        let plain = images.iter().all(|index| is_plain(&self.files[*index].path));
        if among && plain && images.len() <= MAX_LISTED {
            return images.iter().map(|index| relative(&self.files[*index].path, root).to_owned()).collect();
        }
        self.patterns(images, root).into_iter().map(|pattern| pattern.replace("{stem}", "*")).collect()
    }

    /// The only label map that has the size of the only series, next to its folder or in it.
    fn label_of_series<'s>(
        &self,
        images: &BTreeSet<usize>,
        mut series: impl Iterator<Item = &'s SeriesEntry>,
    ) -> Option<usize> {
        let (only, None) = (series.next()?, series.next()) else { return None };
        let mut dims = [usize::from(only.size[0]), usize::from(only.size[1]), only.files.len()];
        dims.sort_unstable();
        let folder = self.common(images);
        let near = [split(&folder).0.to_owned(), folder];
        let is_label = |index: &usize| {
            let file = &self.files[*index];
            file.volume().is_some_and(|volume| {
                let mut own = volume.dims;
                own.sort_unstable();
                own == dims
            }) && pairing::is_label(file)
                && near.iter().any(|folder| folder == file.folder())
        };
        let found: Vec<usize> = (0..self.files.len()).filter(is_label).take(2).collect();
        let is_plain_path = |index: &usize| is_plain(&self.files[*index].path);
        match found.as_slice() {
            [only] => Some(*only).filter(is_plain_path),
            _ => None,
        }
    }

    fn dicom_pictures(&mut self, series: &[usize]) {
        let catalogue = self.catalogue;
        let entries = || series.iter().map(|index| &catalogue.series[*index]);
        let images = self.files_of(series);
        let root = self.common(&images);
        let patterns = self.image_patterns(&images, &root);
        let modalities: BTreeSet<Option<Modality>> = entries().map(|series| series.modality).collect();
        let loops = entries().filter(|series| series.frames > 1).count();
        let identified = entries().all(|series| series.patient.is_some());
        let at = self.start(root, Layout::DicomPictures, images, 0);
        let group = &mut self.groups[at].group;
        group.notes.push(format!("{} series of single pictures", series.len()));
        if loops > 0 {
            group
                .notes
                .push(format!("{loops} series have several frames in a file: curate takes single pictures only"));
        }
        group.draft = Some(SourceDraft {
            kind: vec![("images", list(patterns))],
            header_modality: !modalities.contains(&None),
            patient: identified.then(|| "PatientID".to_owned()),
            ..SourceDraft::default()
        });
    }

    /// Images whose SeriesInstanceUID was removed: pictures that headers say little about.
    fn dicom_without_series(&mut self, marked: &BTreeSet<&str>) {
        let mut places: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
        let catalogue = self.catalogue;
        for index in catalogue.without_series.iter().filter(|index| !self.taken.contains(index)) {
            places.entry(self.dataset_of(&self.files[*index].path, marked)).or_default().insert(*index);
        }
        for images in places.into_values() {
            let root = self.common(&images);
            let at = self.start(root, Layout::DicomPictures, images, 0);
            let note = "no SeriesInstanceUID: the files cannot be put together to volumes";
            self.groups[at].group.notes.push(note.to_owned());
        }
    }
}
