//! One item to records with pictures: reads pixels, places regions, notes every defect. Items are independent of each other.

use crate::config::Source;
use crate::inputs::{Inputs, hash_of};
use crate::kind::{Kind, SliceRules};
use crate::labels::{Description, axis_labels, pseudonym};
use crate::ledger::{Defect, IMAGE_LEFT_OUT, Ledger, Of};
use crate::picture;
use crate::regions::{self, Marked, Size};
use crate::similarity::Fingerprint;
use crate::slices;
use crate::source::{ImageFiles, Item, Marks};
use gmai_imaging::{Content, Limits, Scan, Volume};
use gmai_schema::{PixelSource, Provenance, Record, Rgb8, SliceRef};
use gmai_shard::{EncodedImage, encode_png};
use std::path::PathBuf;

/// The patient field that DICOM headers give.
const PATIENT_ID: &str = "PatientID";

/// What is the same for all items of a source.
pub(crate) struct Job<'a> {
    pub(crate) source: &'a Source,
    pub(crate) inputs: &'a Inputs,
    pub(crate) limits: &'a Limits,
    pub(crate) seed: u64,
    pub(crate) max_side: u32,
}

/// A record with its picture.
pub(crate) struct Prepared {
    pub(crate) record: Record,
    pub(crate) picture: EncodedImage,
    /// `None` for slices of volumes.
    pub(crate) fingerprint: Option<Fingerprint>,
    /// Whether something that was marked is missing from the record, so that it must not count.
    pub(crate) incomplete: bool,
}

/// What an item gave.
#[derive(Default)]
pub(crate) struct Loaded {
    pub(crate) prepared: Vec<Prepared>,
    /// Annotations that are used if one of the records is.
    pub(crate) num_annotations: u64,
    pub(crate) ledger: Ledger,
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
    /// Makes the records of an item.
    pub(crate) fn load(&self, item: &Item, description: &Description) -> Loaded {
        let scan = match &item.image {
            ImageFiles::Picture | ImageFiles::Volume => gmai_imaging::read(&self.inputs.path(&item.name), self.limits),
            ImageFiles::Series(files) => {
                let paths: Vec<PathBuf> = files.iter().map(|file| self.inputs.path(file)).collect();
                gmai_imaging::read_series(&paths, self.limits)
            }
        };
        let is_picture = matches!(item.image, ImageFiles::Picture);
        let refuse = |field: &str, reason: String, remedy: &str| {
            let mut loaded = Loaded::default();
            if !is_picture {
                loaded.ledger.found(Of::Images, 1); // A picture was counted when it was found, a volume counts by slices.
            }
            loaded.refuse(Defect::new(&item.name, field, reason, remedy), item.num_annotations())
        };
        match scan {
            Err(error) => {
                let reason = regions::without_path(&error, self.inputs);
                refuse("file", reason, "copy the file again from its source, convert it, or remove it")
            }
            Ok(scan) => match (&scan.content, is_picture) {
                (Content::Picture(picture), true) => self.load_picture(item, description, &scan, picture),
                (Content::Volume(volume), false) => self.load_volume(item, description, &scan, volume),
                (Content::Volume(_), true) => {
                    let remedy = "read volumes with kind nifti_label_map or dicom_series";
                    refuse("file", "the file is a volume where a picture is needed".to_string(), remedy)
                }
                (Content::Picture(_), false) => {
                    let remedy = "read pictures with a kind for pictures";
                    refuse("file", "the file is a picture where a volume is needed".to_string(), remedy)
                }
            },
        }
    }

    fn load_picture(&self, item: &Item, description: &Description, scan: &Scan, picture: &Rgb8) -> Loaded {
        let mut loaded = Loaded::default();
        let size = Size { width: picture.width(), height: picture.height() };
        let marked = match (&item.marks, &self.source.regions) {
            (Marks::Boxes(boxes), Some(rules)) => regions::from_boxes(rules, boxes, size, &mut loaded.ledger),
            (Marks::Masks { files, instances }, Some(rules)) => {
                let frame = (size, self.inputs, self.limits);
                Ok(regions::from_masks(rules, files, *instances, frame, &mut loaded.ledger))
            }
            _ => Ok(Marked::default()),
        };
        let marked = match marked {
            Ok(marked) => marked,
            Err(defect) => return loaded.refuse(defect, item.num_annotations()),
        };
        let stored = picture::store(&self.inputs.path(&item.name), scan.kind, picture, self.max_side);
        let stored = match stored {
            Ok(stored) => stored,
            Err(error) => {
                let defect = Defect::new(&item.name, "pixels", error.to_string(), "convert the picture to PNG");
                loaded.ledger.skip(Of::Annotations, IMAGE_LEFT_OUT, marked.num_used + item.questions.len() as u64);
                return loaded.refuse(defect, 0);
            }
        };
        loaded.num_annotations = marked.num_used + item.questions.len() as u64;
        let mut record = self.record(item, description, scan, None);
        record.regions = marked.regions;
        record.questions = item.questions.clone();
        record.provenance.window = scan.window;
        let fingerprint = Some(Fingerprint::of(picture));
        loaded.prepared.push(Prepared { record, picture: stored, fingerprint, incomplete: marked.incomplete });
        loaded
    }

    fn load_volume(&self, item: &Item, description: &Description, scan: &Scan, volume: &Volume) -> Loaded {
        let mut loaded = Loaded::default();
        let rules = self.slice_rules();
        let labelled = match (&item.marks, &self.source.regions) {
            (Marks::LabelMaps { files, instances }, Some(regions)) => {
                let (inputs, limits) = (self.inputs, self.limits);
                let reading = slices::Reading { regions, instances: *instances, rules, inputs, limits };
                let labelled = slices::read_labels(volume, files, &reading, &mut loaded.ledger);
                if labelled.num_used == 0 {
                    loaded.ledger.found(Of::Images, 1);
                    let reason = "image without label: none of its label maps can be used";
                    let remedy = "see the quarantine lines of its label maps";
                    return loaded.refuse(Defect::new(&item.name, "annotation", reason, remedy), 0);
                }
                loaded.num_annotations = labelled.num_used;
                Some(labelled.slices)
            }
            _ => None,
        };
        let window = gmai_imaging::window(volume, rules.window);
        let mut labelled = labelled;
        for slice in slices::choose(volume, rules, labelled.as_ref(), &mut loaded.ledger) {
            let plane = volume.plane(slice).expect("choose() gives slices of the volume");
            let shown = picture::fit(&gmai_imaging::render(&plane, window), self.max_side);
            let mut record = self.record(item, description, scan, Some(slice));
            let marked = labelled.as_mut().and_then(|slices| slices.remove(&(slice.axis, slice.index)));
            let marked = marked.unwrap_or_default();
            record.regions = marked.regions;
            record.provenance.window = Some(window);
            match encode_png(&shown) {
                Ok(picture) => {
                    let incomplete = marked.incomplete;
                    loaded.prepared.push(Prepared { record, picture, fingerprint: None, incomplete });
                }
                Err(error) => {
                    let field = format!("{} slice {}", slice.axis.key(), slice.index);
                    let defect = Defect::new(&item.name, field, error.to_string(), "report it with the volume's size");
                    loaded.ledger.quarantine(Of::Images, defect);
                }
            }
        }
        if loaded.prepared.is_empty() {
            loaded.ledger.skip(Of::Annotations, IMAGE_LEFT_OUT, std::mem::take(&mut loaded.num_annotations));
        }
        loaded
    }

    fn slice_rules(&self) -> &SliceRules {
        match &self.source.kind {
            Kind::NiftiLabelMap(kind) => &kind.slices,
            Kind::DicomSeries(kind) => &kind.slices,
            _ => unreachable!("only these kinds make items of volumes"),
        }
    }

    /// The record of a picture or slice, without regions and questions.
    fn record(&self, item: &Item, description: &Description, scan: &Scan, slice: Option<SliceRef>) -> Record {
        let place = slice.map_or(String::new(), |slice| format!("{}-{}", slice.axis.key(), slice.index));
        let path = PathBuf::from(&item.name);
        let series_folder = || path.parent().map_or(PathBuf::new(), |parent| parent.to_path_buf());
        let pixels = match (&item.image, slice) {
            (ImageFiles::Series(_), Some(slice)) => PixelSource::Slice { path: series_folder(), slice },
            (_, Some(slice)) => PixelSource::Slice { path: path.clone(), slice },
            (_, None) => PixelSource::File(path.clone()),
        };
        let mut labels = description.labels.clone();
        if let Some(slice) = slice {
            labels.extend(axis_labels(self.source, slice.axis));
        }
        Record {
            id: hash_of(&[&self.source.name, &scan.sha256, &place])[..32].to_string(),
            source: self.source.name.clone(),
            modality: description.modality.or(scan.modality),
            department: description.department,
            pixels,
            labels,
            regions: Vec::new(),
            questions: Vec::new(),
            report: description.report.clone(),
            patient: self.patient(description, scan),
            provenance: Provenance {
                file: item.name.clone(),
                file_sha256: scan.sha256.clone(),
                annotation: item.annotation.clone(),
                slice,
                window: None,
                deidentification: None,
            },
        }
    }

    /// The pseudonym of the patient; of the study or the file when the patient is not known.
    fn patient(&self, description: &Description, scan: &Scan) -> String {
        let from_header = || match self.source.patient.as_deref() {
            Some(PATIENT_ID) => scan.patient.clone().filter(|id| !id.trim().is_empty()),
            _ => None,
        };
        match (description.patient.clone().or_else(from_header), &scan.study) {
            (Some(raw), _) => pseudonym(self.seed, "patient", raw.trim()),
            (None, Some(study)) => pseudonym(self.seed, "study", study),
            (None, None) => pseudonym(self.seed, "file", &scan.sha256),
        }
    }
}
