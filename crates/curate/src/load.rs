//! One item to records with pictures: reads pixels, places regions, notes every defect. Items are independent of each other.

use crate::agreement;
use crate::config::Source;
use crate::deidentify::Cleaner;
use crate::inputs::{Inputs, hash_of};
use crate::kind::{SliceRules, Window};
use crate::labels::{self, Description, axis_labels, pseudonym};
use crate::ledger::{Defect, IMAGE_LEFT_OUT, Ledger, Of};
use crate::picture;
use crate::regions::{self, Marked, Reading, Size};
use crate::similarity::Fingerprint;
use crate::slices::{self, Labelled};
use crate::source::{ImageFiles, Item, Marks, ReportText};
use gmai_imaging::{Content, Decoder, FileKind, Scan, Volume};
use gmai_schema::{Measurement, PixelSource, Provenance, Record, Rgb8, SliceRef, Term};
use gmai_shard::{Deidentified, EncodedImage, encode_png};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The patient field that DICOM headers give.
const PATIENT_ID: &str = "PatientID";

/// What is the same for all items of a source.
pub(crate) struct Job<'a> {
    pub(crate) source: &'a Source,
    pub(crate) inputs: &'a Inputs,
    pub(crate) decoder: &'a Decoder,
    pub(crate) seed: u64,
    pub(crate) max_side: u32,
    pub(crate) cleaner: &'a Cleaner,
}

/// A record with its picture.
pub(crate) struct Prepared {
    pub(crate) record: Record,
    /// In the order of the `<image>` markers; none for a text.
    pub(crate) pictures: Vec<EncodedImage>,
    /// One per picture; none for slices of volumes.
    pub(crate) fingerprints: Vec<Fingerprint>,
    /// Whether something that was marked is missing from the record, so that it must not count.
    pub(crate) incomplete: bool,
}

/// What an item gave.
#[derive(Default)]
pub(crate) struct Loaded {
    pub(crate) prepared: Vec<Prepared>,
    /// Annotations that are used if one of the records is.
    pub(crate) num_annotations: u64,
    /// Dice coefficients of observers of one picture.
    pub(crate) dice: Vec<f64>,
    pub(crate) ledger: Ledger,
    pub(crate) deidentified: Deidentified,
}

impl Loaded {
    /// Quarantines the image and leaves out the annotations that hang on it.
    fn refuse(mut self, defect: Defect, num_annotations: u64) -> Loaded {
        self.ledger.quarantine(Of::Images, defect);
        self.ledger.skip(Of::Annotations, IMAGE_LEFT_OUT, num_annotations);
        self
    }
}

impl Job<'_> {
    /// Makes the records of an item, without what tells who somebody is.
    pub(crate) fn load(&self, item: &Item, description: &Description) -> Loaded {
        let mut loaded = self.load_item(item, description);
        let patients = [description.patient.as_ref(), item.patient.as_ref()];
        let headers = [PATIENT_ID, "PatientName"].map(|field| item.fields.get(field));
        let known: Vec<String> =
            patients.into_iter().chain(headers).flatten().flat_map(|text| words_of(text)).collect();
        for prepared in &mut loaded.prepared {
            self.cleaner.clean(&mut prepared.record, &known, &mut loaded.deidentified);
        }
        loaded
    }

    fn load_item(&self, item: &Item, description: &Description) -> Loaded {
        let scan = match &item.image {
            ImageFiles::Nothing => return self.load_text(item, description),
            ImageFiles::Pictures(files) => return self.load_pictures(item, description, files),
            ImageFiles::Picture | ImageFiles::Volume => self.decoder.read(&self.inputs.path(&item.name)),
            ImageFiles::Series(files) => {
                let paths: Vec<PathBuf> = files.iter().map(|file| self.inputs.path(file)).collect();
                self.decoder.read_series(&paths)
            }
        };
        let is_picture = matches!(item.image, ImageFiles::Picture);
        match scan {
            Err(error) => self.unreadable(item, &item.name, &error),
            Ok(scan) => match (&scan.content, is_picture) {
                (Content::Picture(picture), true) => self.load_picture(item, description, &scan, picture),
                (Content::Volume(volume), false) => self.load_volume(item, description, &scan, volume),
                (Content::Volume(_), true) => {
                    let remedy = "read volumes with kind nifti_label_map or dicom_series";
                    self.refuse(item, &item.name, "the file is a volume where a picture is needed".to_string(), remedy)
                }
                (Content::Picture(_), false) => {
                    let remedy = "read pictures with a kind for pictures";
                    self.refuse(item, &item.name, "the file is a picture where a volume is needed".to_string(), remedy)
                }
            },
        }
    }

    /// Quarantines an item for one of its files.
    fn refuse(&self, item: &Item, file: &str, reason: String, remedy: &str) -> Loaded {
        let mut loaded = Loaded::default();
        if item.image.counts_by_slices() {
            loaded.ledger.found(Of::Images, 1); // Others were counted when they were found.
        }
        loaded.refuse(Defect::new(file, "file", reason, remedy), item.num_annotations())
    }

    fn unreadable(&self, item: &Item, file: &str, error: &gmai_imaging::Error) -> Loaded {
        let remedy = "copy the file again from its source, convert it, or remove it";
        self.refuse(item, file, regions::without_path(error, self.inputs), remedy)
    }

    fn load_picture(&self, item: &Item, description: &Description, scan: &Scan, picture: &Rgb8) -> Loaded {
        let mut loaded = Loaded::default();
        let size = Size { width: picture.width(), height: picture.height() };
        let reading = Reading { size, inputs: self.inputs, decoder: self.decoder };
        let marked = match (&item.marks, &self.source.regions) {
            (Marks::Boxes(boxes), Some(rules)) => regions::from_boxes(rules, boxes, size, &mut loaded.ledger),
            (Marks::Masks { files, instances }, Some(rules)) => {
                Ok(regions::from_masks(rules, files, *instances, reading, &mut loaded.ledger))
            }
            (Marks::Observers { files, instances, least_dice }, Some(rules)) => {
                let drawn = (*instances, *least_dice);
                match agreement::from_observers(rules, files, drawn, reading, &mut loaded.ledger) {
                    Ok(agreed) => {
                        loaded.dice = agreed.dice;
                        Ok(agreed.marked)
                    }
                    Err((defect, dice)) => {
                        loaded.dice = dice;
                        Err(defect)
                    }
                }
            }
            _ => Ok(Marked::default()),
        };
        let marked = match marked {
            Ok(marked) => marked,
            Err(defect) => return loaded.refuse(defect, item.num_annotations()),
        };
        let num_annotations = marked.num_used + item.num_texts();
        let looked = self.cleaner.look(&item.name, picture, &mut loaded.deidentified);
        let stored = match looked.and_then(|()| self.store(&item.name, scan, picture)) {
            Ok(stored) => stored,
            Err(defect) => return loaded.refuse(defect, num_annotations),
        };
        loaded.num_annotations = num_annotations;
        let mut record = self.record(item, description, Pixels::File(scan));
        record.regions = marked.regions;
        record.points = marked.points;
        record.provenance.window = scan.window;
        let fingerprints = vec![Fingerprint::of(picture)];
        let incomplete = marked.incomplete;
        loaded.prepared.push(Prepared { record, pictures: vec![stored], fingerprints, incomplete });
        loaded
    }

    fn store(&self, file: &str, scan: &Scan, picture: &Rgb8) -> Result<EncodedImage, Defect> {
        picture::store(&self.inputs.path(file), scan.kind, picture, self.max_side)
            .map_err(|error| Defect::new(file, "pixels", error.to_string(), "convert the picture to PNG"))
    }

    /// Several pictures that are seen together.
    fn load_pictures(&self, item: &Item, description: &Description, files: &[String]) -> Loaded {
        let (mut pictures, mut fingerprints, mut scans) = (Vec::new(), Vec::new(), Vec::new());
        let mut deidentified = Deidentified::default();
        for file in files {
            let scan = match self.decoder.read(&self.inputs.path(file)) {
                Ok(scan) => scan,
                Err(error) => return self.unreadable(item, file, &error),
            };
            let Content::Picture(picture) = &scan.content else {
                let reason = "the file is a volume where a picture is needed".to_string();
                return self.refuse(item, file, reason, "cut volumes into pictures first");
            };
            let looked = self.cleaner.look(file, picture, &mut deidentified);
            match looked.and_then(|()| self.store(file, &scan, picture)) {
                Ok(stored) => pictures.push(stored),
                Err(defect) => {
                    return Loaded { deidentified, ..Loaded::default() }.refuse(defect, item.num_annotations());
                }
            }
            fingerprints.push(Fingerprint::of(picture));
            scans.push(Scan { content: Content::Picture(Rgb8::filled(1, 1, [0; 3])), ..scan });
        }
        let mut loaded = Loaded { num_annotations: item.num_texts(), deidentified, ..Loaded::default() };
        let record = self.record(item, description, Pixels::Files(files, &scans));
        loaded.prepared.push(Prepared { record, pictures, fingerprints, incomplete: false });
        loaded
    }

    /// A text without picture.
    fn load_text(&self, item: &Item, description: &Description) -> Loaded {
        let file = item.annotation.as_deref().unwrap_or(&item.name);
        let sha256 = match gmai_imaging::sha256_file(&self.inputs.path(file)) {
            Ok(sha256) => sha256,
            Err(error) => return self.unreadable(item, file, &error),
        };
        // Of several texts in a file each stands for itself: the split must be free to part them.
        let sha256 = if item.name == file { sha256 } else { hash_of(&[&sha256, &item.name]) };
        let mut loaded = Loaded { num_annotations: item.num_texts(), ..Loaded::default() };
        let record = self.record(item, description, Pixels::Text { sha256: &sha256 });
        loaded.prepared.push(Prepared { record, pictures: Vec::new(), fingerprints: Vec::new(), incomplete: false });
        loaded
    }

    fn load_volume(&self, item: &Item, description: &Description, scan: &Scan, volume: &Volume) -> Loaded {
        let mut loaded = Loaded::default();
        let rules = self.slice_rules();
        let labelled = self.labelled(item, volume, &mut loaded.ledger);
        if labelled.as_ref().is_some_and(|labelled| labelled.num_used == 0) {
            loaded.ledger.found(Of::Images, 1);
            let reason = "image without label: nothing that marks it can be used";
            let remedy = "see the quarantine lines and skips of its label maps";
            return loaded.refuse(Defect::new(&item.name, "annotation", reason, remedy), item.num_texts());
        }
        loaded.num_annotations = labelled.as_ref().map_or(0, |labelled| labelled.num_used) + item.num_texts();
        let mut slices_of = labelled.map(|labelled| labelled.slices);
        let chosen = slices::choose(volume, rules, slices_of.as_ref(), &mut loaded.ledger);
        let windows = rules.window.as_slice();
        // Every further window of a slice is a picture of its own.
        loaded.ledger.found(Of::Images, (chosen.len() * (windows.len() - 1)) as u64);
        let shown_in = self.places(item, volume);
        for slice in chosen {
            let marked = slices_of.as_mut().and_then(|slices| slices.remove(&(slice.axis, slice.index)));
            let marked = marked.unwrap_or_default();
            for window in windows {
                let cut = Cut { scan, volume, slice, window: *window };
                match self.load_slice(item, description, cut, &mut loaded.deidentified) {
                    Ok(None) => loaded.ledger.skip(Of::Images, "the slice shows one shade and nothing else", 1),
                    Ok(Some((mut record, picture))) => {
                        record.regions = marked.regions.clone();
                        record.measurements = self.measurements(item, |image| shown_in.get(image) == Some(&slice));
                        let incomplete = marked.incomplete;
                        let fingerprints = Vec::new();
                        loaded.prepared.push(Prepared { record, pictures: vec![picture], fingerprints, incomplete });
                    }
                    Err(defect) => loaded.ledger.quarantine(Of::Images, defect),
                }
            }
        }
        if loaded.prepared.is_empty() {
            loaded.ledger.skip(Of::Annotations, IMAGE_LEFT_OUT, std::mem::take(&mut loaded.num_annotations));
        }
        loaded
    }

    /// What is marked in the slices of a volume; `None` when nothing was to mark it.
    fn labelled(&self, item: &Item, volume: &Volume, ledger: &mut Ledger) -> Option<Labelled> {
        let regions = self.source.regions.as_ref()?;
        let reading = |instances| {
            let (rules, inputs, decoder) = (self.slice_rules(), self.inputs, self.decoder);
            slices::Reading { regions, instances, rules, inputs, decoder }
        };
        match &item.marks {
            Marks::LabelMaps { files, instances } => {
                Some(slices::read_labels(volume, files, &reading(*instances), ledger))
            }
            Marks::Dicom { objects, maps, instances } => {
                let reading = reading(*instances);
                let mut labelled = slices::read_labels(volume, maps, &reading, ledger);
                slices::read_objects(volume, objects, &reading, (&mut labelled, ledger));
                Some(labelled)
            }
            _ => None,
        }
    }

    /// One slice in one window; `None` when nothing can be seen in it.
    fn load_slice(
        &self,
        item: &Item,
        description: &Description,
        cut: Cut,
        deidentified: &mut Deidentified,
    ) -> Result<Option<(Record, EncodedImage)>, Defect> {
        let Cut { scan, volume, slice, window } = cut;
        let plane = volume.plane(slice).expect("choose() gives slices of the volume");
        let window_ref = gmai_imaging::window(volume, window.rule());
        let shown = gmai_imaging::render(&plane, window_ref);
        // Ends of volumes are often air: such slices would be equal pictures of strangers.
        if is_flat(&shown) {
            return Ok(None);
        }
        // Secondary captures come as series too; voxels of NIfTI are no pictures of a screen.
        if scan.kind == FileKind::Dicom {
            self.cleaner.look(&item.name, &shown, deidentified)?;
        }
        let shown = picture::fit(&shown, self.max_side);
        let picture = encode_png(&shown).map_err(|error| {
            let field = format!("{} slice {}", slice.axis.key(), slice.index);
            Defect::new(&item.name, field, error.to_string(), "report it with the volume's size")
        })?;
        let windowed = self.slice_rules().window.as_slice().len() > 1;
        let mut record =
            self.record(item, description, Pixels::Slice { scan, slice, window: windowed.then_some(window) });
        record.provenance.window = Some(window_ref);
        Ok(Some((record, picture)))
    }

    /// The slice that each image of a series became, where measurements belong to single images.
    fn places(&self, item: &Item, volume: &Volume) -> BTreeMap<String, SliceRef> {
        let ImageFiles::Series(files) = &item.image else { return BTreeMap::new() };
        if item.measurements.iter().all(|measured| measured.images.is_empty()) {
            return BTreeMap::new();
        }
        let paths: Vec<PathBuf> = files.iter().map(|file| self.inputs.path(file)).collect();
        let instances = self.decoder.instances(&paths).unwrap_or_default();
        let place = |instance: gmai_imaging::Instance| {
            Some((instance.uid, gmai_imaging::slice_of(volume, instance.position?)?))
        };
        instances.into_iter().filter_map(place).collect()
    }

    /// The measurements of a picture, by the names of the config; `shows` tells whether it is the image of a SOPInstanceUID.
    fn measurements(&self, item: &Item, shows: impl Fn(&String) -> bool) -> Vec<Measurement> {
        let named = |term: &Term| {
            let rule = self.source.measurements.iter().find(|rule| rule.is == term.en);
            rule.map_or_else(|| term.clone(), |rule| rule.term())
        };
        let all = item
            .measurements
            .iter()
            .filter(|measured| measured.images.is_empty() || measured.images.iter().any(&shows));
        all.map(|measured| {
            let raw = &measured.measurement;
            let (site, finding) = (raw.site.as_ref().map(named), raw.finding.as_ref().map(named));
            Measurement { name: named(&raw.name), site, finding, ..raw.clone() }
        })
        .collect()
    }

    fn slice_rules(&self) -> &SliceRules {
        self.source.kind.slices().expect("only kinds with slices make items of volumes")
    }

    /// The record of a picture, slice or text, without regions.
    fn record(&self, item: &Item, description: &Description, pixels: Pixels) -> Record {
        let path = PathBuf::from(&item.name);
        let slice = match pixels {
            Pixels::Slice { slice, .. } => Some(slice),
            _ => None,
        };
        let source = match pixels {
            Pixels::Text { .. } => PixelSource::Absent,
            Pixels::File(_) => PixelSource::File(path),
            Pixels::Files(files, _) => PixelSource::Files(files.iter().map(PathBuf::from).collect()),
            Pixels::Slice { slice, .. } => {
                let is_series = matches!(item.image, ImageFiles::Series(_));
                let folder = path.parent().filter(|_| is_series).map(|parent| parent.to_path_buf());
                PixelSource::Slice { path: folder.unwrap_or(path), slice }
            }
        };
        let sha256 = pixels.sha256();
        let id = hash_of(&[&self.source.name, &sha256, &pixels.place(item)])[..32].to_string();
        let patient = self.patient(description, pixels.scan(), &sha256);
        let mut record = Record::new(id, self.source.name.clone(), description.department, source, patient);
        record.modality = description.modality.or(pixels.scan().and_then(|scan| scan.modality));
        record.body_part = description.body_part;
        record.labels = description.labels.clone();
        if let Some(slice) = slice {
            record.labels.extend(axis_labels(self.source, slice.axis));
        }
        record.absent = description.absent.clone();
        record.grades = labels::grades(self.source, &record.labels);
        record.questions = item.questions.clone();
        record.dialogues = item.dialogues.clone();
        record.measurements = self.measurements(item, |_| true);
        let of_field = || description.report.as_deref().map(ReportText::of);
        if let Some(report) = item.report.clone().or_else(of_field) {
            record.report = Some(report.text);
            record.sections = report.sections;
        }
        record.licence = self.source.licence.clone();
        record.provenance = Provenance {
            file: item.name.clone(),
            file_sha256: sha256,
            annotation: item.annotation.clone(),
            slice,
            window: None,
            deidentification: None,
        };
        record
    }

    /// The pseudonym of the patient; of the study or the file when the patient is not known.
    fn patient(&self, description: &Description, scan: Option<&Scan>, sha256: &str) -> String {
        let from_header = || match self.source.patient.as_deref() {
            Some(PATIENT_ID) => scan.and_then(|scan| scan.patient.clone()).filter(|id| !id.trim().is_empty()),
            _ => None,
        };
        match (description.patient.clone().or_else(from_header), scan.and_then(|scan| scan.study.as_deref())) {
            (Some(raw), _) => self.pseudonym("patient", raw.trim()),
            (None, Some(study)) => self.pseudonym("study", study),
            (None, None) => self.pseudonym("file", sha256),
        }
    }

    /// By the project's key where there is one, else by the seed.
    fn pseudonym(&self, kind: &str, raw: &str) -> String {
        self.cleaner.patient(kind, raw).unwrap_or_else(|| pseudonym(self.seed, kind, raw))
    }
}

/// Whether all pixels are the same.
fn is_flat(picture: &Rgb8) -> bool {
    let pixels = picture.pixels().as_chunks::<3>().0;
    pixels.iter().all(|pixel| *pixel == pixels[0])
}

/// An identifier and the parts of a name, to be found in texts.
fn words_of(text: &str) -> Vec<String> {
    let parts = text.split(['^', '=', ',', ' ']).filter(|part| part.chars().count() >= 3);
    std::iter::once(text).chain(parts).map(str::to_string).collect()
}

/// A slice of a volume to be shown in a window.
struct Cut<'a> {
    scan: &'a Scan,
    volume: &'a Volume,
    slice: SliceRef,
    window: Window,
}

/// What a record is of.
#[derive(Clone, Copy)]
enum Pixels<'a> {
    File(&'a Scan),
    Files(&'a [String], &'a [Scan]),
    Slice {
        scan: &'a Scan,
        slice: SliceRef,
        /// Where a slice is shown in several windows.
        window: Option<Window>,
    },
    Text {
        sha256: &'a str,
    },
}

impl<'a> Pixels<'a> {
    /// The file that says who the patient is: of several the first.
    fn scan(&self) -> Option<&'a Scan> {
        match *self {
            Pixels::File(scan) | Pixels::Slice { scan, .. } => Some(scan),
            Pixels::Files(_, scans) => scans.first(),
            Pixels::Text { .. } => None,
        }
    }

    fn sha256(&self) -> String {
        match *self {
            Pixels::File(scan) | Pixels::Slice { scan, .. } => scan.sha256.clone(),
            Pixels::Files(_, scans) => hash_of(&scans.iter().map(|scan| scan.sha256.as_str()).collect::<Vec<_>>()),
            Pixels::Text { sha256 } => sha256.to_string(),
        }
    }

    /// What tells records of one file, and texts and sets of pictures with equal bytes, apart.
    fn place(&self, item: &Item) -> String {
        match *self {
            Pixels::Slice { slice, window, .. } => {
                let window = window.map_or(String::new(), |window| format!(" {:?}", window.rule()));
                format!("{}-{}{window}", slice.axis.key(), slice.index)
            }
            Pixels::File(_) => String::new(),
            Pixels::Files(files, _) => files.join("\n"),
            Pixels::Text { .. } => item.name.clone(),
        }
    }
}
