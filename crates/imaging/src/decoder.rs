//! The one object that reads files from outside: in this process, or in processes that can do nothing else.

use crate::data_set::HEADER_BYTES;
use crate::error::{Error, Result};
use crate::gate::{self, Promised};
use crate::label::{self, LabelMap};
use crate::limits::Limits;
use crate::mask::{self, Mask};
use crate::measurement_report::{self, MeasurementReport};
use crate::placement::{self, Instance};
use crate::raster::DeepGrey;
use crate::render::render;
use crate::segmentation::{Segmentation, SegmentationFacts};
use crate::series::{self, HeaderFacts, SeriesSurvey, Slice, SlicePixels, SliceSource};
use crate::structure_set::StructureSet;
use crate::summary::DicomSummary;
use crate::volume::Volume;
use crate::window::{WindowRule, window};
use crate::worker::{self, Answered, Ask, WorkerOptions, Workers};
use crate::{Content, Scan};
use gmai_schema::{Axis, Rgb8, SliceRef};
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Reads image files within limits. Both forms give the same pixels and the same errors.
///
/// Cheap to clone; clones share their decoding processes. Any number of threads may read at once, and as many processes
/// are started.
#[derive(Debug, Clone)]
pub struct Decoder {
    limits: Limits,
    /// `None`: in this process.
    workers: Option<Arc<Workers>>,
}

/// In this process, with the usual limits.
impl Default for Decoder {
    fn default() -> Decoder {
        Decoder::in_process(Limits::default())
    }
}

impl Decoder {
    /// Decodes in this process: for tests, and for files that were made here.
    pub fn in_process(limits: Limits) -> Decoder {
        Decoder { limits, workers: None }
    }

    /// Decodes in processes of their own: for files from outside. Fails when the program cannot be started.
    pub fn with_workers(options: WorkerOptions, limits: Limits) -> Result<Decoder> {
        Ok(Decoder { limits, workers: Some(Arc::new(Workers::start(options)?)) })
    }

    /// The limits on each file.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Protections of the decoding processes that this system does not offer, in words.
    pub fn notes(&self) -> &[String] {
        self.workers.as_ref().map(|workers| workers.notes()).unwrap_or_default()
    }

    /// As [`read`](crate::read).
    pub fn read(&self, path: &Path) -> Result<Scan> {
        match &self.workers {
            None => crate::read(path, &self.limits),
            Some(workers) => self.scan(workers, path),
        }
    }

    /// As [`read_picture`](crate::read_picture).
    pub fn read_picture(&self, path: &Path, deep_grey: DeepGrey) -> Result<Rgb8> {
        match &self.workers {
            None => crate::read_picture(path, deep_grey, &self.limits),
            Some(workers) => self.ask(workers, path, Ask::Picture(deep_grey))?.picture(path),
        }
    }

    /// As [`read_mask`](crate::read_mask).
    pub fn read_mask(&self, path: &Path) -> Result<Mask> {
        match &self.workers {
            None => mask::read_mask(path, &self.limits),
            Some(workers) => self.ask(workers, path, Ask::Mask)?.mask(path),
        }
    }

    /// As [`read_label_map`](crate::read_label_map).
    pub fn read_label_map(&self, path: &Path) -> Result<LabelMap> {
        match &self.workers {
            None => label::read_label_map(path, &self.limits),
            Some(workers) => {
                label::check(path, &self.limits)?;
                let promised = gate::check(path, &self.limits)?;
                if !promised.is_alone {
                    return label::read_label_map(path, &self.limits);
                }
                workers.ask(path, Ask::LabelMap, promised, &self.limits)?.label_map(path)
            }
        }
    }

    /// As [`survey_series`](crate::survey_series).
    pub fn survey_series(&self, dir: &Path) -> Result<SeriesSurvey> {
        match &self.workers {
            None => series::survey_series(dir, &self.limits),
            Some(workers) => series::survey_with(dir, |path| self.header(workers, path)),
        }
    }

    /// As [`read_series`](crate::read_series). The files are decoded one by one; the volume is put together here.
    pub fn read_series(&self, files: &[PathBuf]) -> Result<Scan> {
        match &self.workers {
            None => series::read_series(files, &self.limits),
            Some(workers) => series::read_series_from(files, &self.limits, &RemoteSlices { decoder: self, workers }),
        }
    }

    /// What a DICOM segmentation says beside its pixels.
    pub fn read_segmentation(&self, path: &Path) -> Result<SegmentationFacts> {
        match &self.workers {
            None => Ok(Segmentation::read(path, &self.limits)?.facts),
            Some(workers) => self.document(workers, path, Ask::Segmentation),
        }
    }

    /// As [`Segmentation::label_map`].
    pub fn draw_segment(&self, path: &Path, number: u16, volume: &Volume) -> Result<LabelMap> {
        let Some(workers) = &self.workers else {
            return Segmentation::read(path, &self.limits)?.label_map(number, volume);
        };
        let voxels = volume.dims.iter().product::<usize>() as u64;
        let promised = Promised { file_bytes: self.limits.check_file(path)?, voxels, is_alone: true };
        let Volume { dims, spacing, affine, .. } = *volume;
        let grid = worker::Grid { dims, spacing, affine };
        let map = workers.ask(path, Ask::Segment { number, grid }, promised, &self.limits)?.label_map(path)?;
        if map.dims != dims { Err(worker::another(path)) } else { Ok(LabelMap { spacing, affine, ..map }) }
    }

    /// As [`StructureSet::read`].
    pub fn read_structures(&self, path: &Path) -> Result<StructureSet> {
        match &self.workers {
            None => StructureSet::read(path, &self.limits),
            Some(workers) => {
                let set: StructureSet = self.document(workers, path, Ask::Structures)?;
                Ok(StructureSet { path: path.into(), ..set })
            }
        }
    }

    /// As [`read_measurements`](crate::read_measurements).
    pub fn read_measurements(&self, path: &Path) -> Result<MeasurementReport> {
        match &self.workers {
            None => measurement_report::read_measurements(path, &self.limits),
            Some(workers) => self.document(workers, path, Ask::Measurements),
        }
    }

    /// As [`instances`](crate::instances).
    pub fn instances(&self, files: &[PathBuf]) -> Result<Vec<Instance>> {
        let Some(workers) = &self.workers else { return placement::instances(files, &self.limits) };
        let read = |path: &PathBuf| {
            let instance = self.header(workers, path)?.instance;
            Ok(instance.map(|instance| Instance { path: path.clone(), ..instance }))
        };
        files.iter().filter_map(|path| read(path).transpose()).collect()
    }

    /// As [`display`](crate::display).
    pub fn display(&self, path: &Path, slice: Option<SliceRef>) -> Result<Rgb8> {
        self.display_with(path, slice, WindowRule::default())
    }

    /// As [`display_with`](crate::display_with).
    pub fn display_with(&self, path: &Path, slice: Option<SliceRef>, rule: WindowRule) -> Result<Rgb8> {
        let scan = if path.is_dir() { self.read_folder(path)? } else { self.read(path)? };
        match (scan.content, slice) {
            (Content::Picture(picture), None) => Ok(picture),
            (Content::Picture(_), Some(slice)) => Err(no_slice(path, slice, 0)),
            (Content::Volume(volume), slice) => {
                let slice = slice.unwrap_or_else(|| volume.middle(Axis::Axial));
                let plane = volume.plane(slice).ok_or_else(|| no_slice(path, slice, volume.num_slices(slice.axis)))?;
                Ok(render(&plane, window(&volume, rule)))
            }
        }
    }

    /// The one series in a folder.
    fn read_folder(&self, dir: &Path) -> Result<Scan> {
        match self.survey_series(dir)?.series.as_slice() {
            [series] => self.read_series(&series.files),
            several => Err(Error::SeriesCount { path: dir.into(), count: several.len() }),
        }
    }

    /// What needs more than the bytes of one file is read in this process: a slide, of which only some tiles are wanted, and a
    /// header whose voxels lie beside it. Both have passed the gate.
    fn scan(&self, workers: &Workers, path: &Path) -> Result<Scan> {
        if let Some(scan) = crate::read_slide(path, &self.limits)? {
            return Ok(scan);
        }
        let promised = gate::check(path, &self.limits)?;
        if !promised.is_alone {
            return crate::read_gated(path, &self.limits);
        }
        workers.ask(path, Ask::Scan, promised, &self.limits)?.scan(path)
    }

    fn ask(&self, workers: &Workers, path: &Path, ask: Ask) -> Result<Answered> {
        workers.ask(path, ask, gate::check(path, &self.limits)?, &self.limits)
    }

    /// An object without pixels, or whose frames are decoded one by one: its size is no volume's.
    fn document<T: DeserializeOwned>(&self, workers: &Workers, path: &Path, ask: Ask) -> Result<T> {
        let promised = Promised { file_bytes: self.limits.check_file(path)?, voxels: 0, is_alone: true };
        workers.ask(path, ask, promised, &self.limits)?.document(path)
    }

    /// As [`DicomSummary::read`].
    pub fn dicom_summary(&self, path: &Path) -> Result<DicomSummary> {
        match &self.workers {
            None => DicomSummary::read(path, &self.limits),
            Some(workers) => self.ask_header(workers, path, Ask::Summary, |answered| answered.summary(path)),
        }
    }

    fn header(&self, workers: &Workers, path: &Path) -> Result<HeaderFacts> {
        self.ask_header(workers, path, Ask::Header, |answered| answered.header(path))
    }

    /// What the header of a DICOM file says: its first part usually holds it, the whole file always.
    fn ask_header<T>(
        &self,
        workers: &Workers,
        path: &Path,
        ask: Ask,
        taken: impl Fn(Answered) -> Result<T>,
    ) -> Result<T> {
        let file_bytes = self.limits.check_file(path)?;
        let header = |file_bytes| {
            let promised = Promised { file_bytes, voxels: 0, is_alone: true };
            taken(workers.ask(path, ask, promised, &self.limits)?)
        };
        if file_bytes > HEADER_BYTES
            && let Ok(facts) = header(HEADER_BYTES)
        {
            return Ok(facts);
        }
        header(file_bytes)
    }
}

/// Files of a series, decoded in other processes.
struct RemoteSlices<'a> {
    decoder: &'a Decoder,
    workers: &'a Workers,
}

impl SliceSource for RemoteSlices<'_> {
    fn head(&self, path: &Path) -> Result<Slice> {
        // The layout is not gated but read: what is wrong with one file of a series is said by the same words in both forms.
        let file_bytes = self.decoder.limits.check_file(path)?;
        let promised = Promised { file_bytes, voxels: 0, is_alone: true };
        self.workers.ask(path, Ask::SliceHead, promised, &self.decoder.limits)?.slice_head(path)
    }

    fn pixels(&self, path: &Path) -> Result<SlicePixels> {
        self.decoder.ask(self.workers, path, Ask::SlicePixels)?.slice_pixels(path)
    }

    fn whole(&self, path: &Path) -> Result<Scan> {
        self.decoder.read(path)
    }
}

fn no_slice(path: &Path, slice: SliceRef, count: usize) -> Error {
    Error::NoSlice { path: path.into(), axis: slice.axis.key(), index: slice.index, count }
}
