//! Folders of DICOM files: which series they hold, and each series as a volume.

use crate::data_set::{Attributes, DicomFile};
use crate::dicom;
use crate::digest::{sha256_bytes, sha256_of_hashes};
use crate::error::{Error, Result};
use crate::grey::{self, Rescale};
use crate::limits::Limits;
use crate::mosaic::{self, Mosaic};
use crate::orient::{self, Stored};
use crate::pixels::{Frames, Layout, Photometric};
use crate::placement::Instance;
use crate::sniff::{FileKind, sniff};
use crate::stack::{self, SliceGeometry, Stack};
use crate::volume::Volume;
use crate::{Content, Scan};
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use gmai_schema::{Modality, WindowRef};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A gap wider than this many usual distances means that files are missing.
const MAX_GAP: f64 = 1.5;
/// Folders nested deeper than this are not searched.
const MAX_FOLDER_DEPTH: usize = 32;

/// The image files of one series in a folder, as their headers describe them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// SeriesInstanceUID.
    pub uid: String,
    /// What tells this from other volumes under the same SeriesInstanceUID (direction, size, echo, diffusion weighting, kind of MR image);
    /// `None` when there is only one.
    pub part: Option<String>,
    /// Its files, sorted by path.
    pub files: Vec<PathBuf>,
    /// Raw PatientID of the first file.
    pub patient: Option<String>,
    /// StudyInstanceUID of the first file.
    pub study: Option<String>,
    /// How it was acquired; `None` when the code is not one of the vocabulary.
    pub modality: Option<Modality>,
    /// SeriesDescription; free text that may hold names.
    pub description: Option<String>,
    /// BodyPartExamined.
    pub body_part: Option<String>,
}

/// What a folder holds.
#[derive(Debug, Default)]
pub struct SeriesSurvey {
    /// Series with images, sorted by their first file.
    pub series: Vec<Series>,
    /// Files that are not DICOM.
    pub other_files: Vec<PathBuf>,
    /// DICOM files without pixels or without a series (reports, plans, directories).
    pub without_images: Vec<PathBuf>,
    /// DICOM files whose header cannot be read.
    pub unreadable: Vec<(PathBuf, Error)>,
}

/// The DICOM series below a folder; all other files are ignored (see [`survey_series`] for what they are).
pub fn group_series(dir: &Path, limits: &Limits) -> Result<Vec<Series>> {
    Ok(survey_series(dir, limits)?.series)
}

/// Sorts every file below a folder into series, reading headers only. What cannot lie in one volume is apart: a localizer of three
/// directions is three series. A series in time stays one.
pub fn survey_series(dir: &Path, limits: &Limits) -> Result<SeriesSurvey> {
    survey_with(dir, |path| Ok(HeaderFacts::of(&DicomFile::read_header(path, limits)?)))
}

/// What the header of a DICOM file says of its series.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HeaderFacts {
    /// SeriesInstanceUID of a file with pixels.
    uid: Option<String>,
    part: Part,
    patient: Option<String>,
    study: Option<String>,
    modality: Option<Modality>,
    description: Option<String>,
    body_part: Option<String>,
    /// The file among those of its series.
    pub(crate) instance: Option<Instance>,
}

impl HeaderFacts {
    pub(crate) fn of(header: &DicomFile) -> HeaderFacts {
        let root = header.root();
        let has_pixels = root.has(tags::PIXEL_DATA) && root.has(tags::ROWS);
        HeaderFacts {
            uid: root.text(tags::SERIES_INSTANCE_UID).filter(|_| has_pixels),
            part: Part::read(&root),
            patient: root.text(tags::PATIENT_ID),
            study: root.text(tags::STUDY_INSTANCE_UID),
            modality: root.text(tags::MODALITY).and_then(|code| dicom::modality(&code)),
            description: root.text(tags::SERIES_DESCRIPTION),
            body_part: root.text(tags::BODY_PART_EXAMINED),
            instance: Instance::of(&header.path, &root),
        }
    }
}

/// As [`survey_series`], with headers that `header` reads.
pub(crate) fn survey_with(dir: &Path, header: impl Fn(&Path) -> Result<HeaderFacts>) -> Result<SeriesSurvey> {
    let mut files = Vec::new();
    collect_files(dir, 0, &mut files)?;
    let mut survey = SeriesSurvey::default();
    let mut by_part: BTreeMap<(String, Part), Series> = BTreeMap::new();
    for path in files {
        if sniff(&path)? != Some(FileKind::Dicom) {
            survey.other_files.push(path);
            continue;
        }
        let facts = match header(&path) {
            Ok(facts) => facts,
            Err(error) => {
                survey.unreadable.push((path, error));
                continue;
            }
        };
        let Some(uid) = facts.uid else {
            survey.without_images.push(path);
            continue;
        };
        let series = by_part.entry((uid.clone(), facts.part)).or_insert_with(|| Series {
            uid,
            part: None,
            files: Vec::new(),
            patient: facts.patient,
            study: facts.study,
            modality: facts.modality,
            description: facts.description,
            body_part: facts.body_part,
        });
        series.files.push(path);
    }
    let parts: Vec<(String, Part)> = by_part.keys().cloned().collect();
    for ((uid, part), series) in &mut by_part {
        let others: Vec<&Part> = parts.iter().filter(|(other, _)| other == uid).map(|(_, part)| part).collect();
        series.part = (others.len() > 1).then(|| part.differences(&others));
    }
    survey.series = by_part.into_values().collect();
    survey.series.sort_by(|a, b| a.files.cmp(&b.files));
    Ok(survey)
}

/// What the values of a [`Part`] are.
const PART_NAMES: [&str; 5] = ["directions", "size", "echo", "b-value", "kind"];

/// Attributes in which all files of one volume agree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Part([String; 5]);

impl Part {
    pub(crate) fn read(root: &Attributes<'_>) -> Part {
        let directions = root.decimals(tags::IMAGE_ORIENTATION_PATIENT).unwrap_or_default();
        // Headers are rounded: slices of one volume differ in later digits.
        let rounded: Vec<String> = directions.iter().map(|part| format!("{:.2}", part + 0.0)).collect();
        let size = [tags::COLUMNS, tags::ROWS].map(|tag| root.short(tag).unwrap_or(0).to_string()).join(" x ");
        let echo = root.text(tags::ECHO_NUMBERS).or_else(|| root.text(tags::ECHO_TIME)).unwrap_or_default();
        let b_value = root.double(tags::DIFFUSION_B_VALUE).map(|value| value.to_string()).unwrap_or_default();
        let is_mr = root.text(tags::MODALITY).as_deref() == Some("MR");
        let kind = root.text(tags::IMAGE_TYPE).filter(|_| is_mr).unwrap_or_default();
        let kind = kind.split('\\').skip(2).collect::<Vec<_>>().join(" ");
        Part([rounded.join(" ").replace("-0.00", "0.00"), size, echo, b_value, kind])
    }

    /// All of it as one text, equal where the parts are.
    pub(crate) fn key(&self) -> String {
        self.0.join("|")
    }

    /// What is not alike in all parts, in words.
    fn differences(&self, parts: &[&Part]) -> String {
        let differs = |index: &usize| parts.iter().any(|part| part.0[*index] != self.0[*index]);
        let named = |index: usize| format!("{} {}", PART_NAMES[index], self.0[index]);
        (0..self.0.len()).filter(differs).map(named).collect::<Vec<_>>().join(", ")
    }
}

/// All files below a folder, sorted; links to folders are not followed.
fn collect_files(dir: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(dir).map_err(|source| Error::io(dir, source))?;
    let mut entries = entries.collect::<std::io::Result<Vec<_>>>().map_err(|source| Error::io(dir, source))?;
    entries.sort_by_key(|entry| entry.file_name());
    for entry in entries {
        let path = entry.path();
        let kind = entry.file_type().map_err(|source| Error::io(&path, source))?;
        if kind.is_dir() && depth < MAX_FOLDER_DEPTH {
            collect_files(&path, depth + 1, files)?;
        } else if kind.is_file() || (kind.is_symlink() && path.is_file()) {
            files.push(path);
        }
    }
    Ok(())
}

/// Reads the files of one grey DICOM series as a volume, slices ordered by their position along the normal.
///
/// Refused: files of different series, size, orientation or spacing; missing slices; colour. A time series gives its
/// first volume, with a note; of files that repeat another one is used, with a note. The hash covers all files, whatever their order.
pub fn read_series(files: &[PathBuf], limits: &Limits) -> Result<Scan> {
    read_series_from(files, limits, limits)
}

/// Gives the files of a series one by one: read in this process, or in another.
pub(crate) trait SliceSource {
    /// What must be known of a file before its pixels are decoded.
    fn head(&self, path: &Path) -> Result<Slice>;
    /// Its pixels.
    fn pixels(&self, path: &Path) -> Result<SlicePixels>;
    /// The file as [`read`](crate::read) gives it.
    fn whole(&self, path: &Path) -> Result<Scan>;
}

/// The pixels of one file of a series, and what its header says.
pub(crate) struct SlicePixels {
    /// A scan without content.
    pub(crate) scan: Scan,
    /// Rescaled, row by row.
    pub(crate) values: Vec<f32>,
    /// Values that mark what was not imaged.
    pub(crate) padding: Option<WindowRef>,
}

impl SlicePixels {
    pub(crate) fn of(path: &Path, bytes: Vec<u8>, limits: &Limits) -> Result<SlicePixels> {
        let file = DicomFile::from_bytes(path, bytes, limits)?;
        let frames = Frames::open(&file, limits)?;
        let mut values = frames.grey(0)?;
        let rescale = Rescale::read(&file, &frames.layout, 0)?;
        rescale.apply(&mut values);
        let padding = grey::padding(&file.root(), &frames.layout, &rescale);
        Ok(SlicePixels { scan: dicom::identified(&file.root()), values, padding })
    }
}

/// In this process.
impl SliceSource for Limits {
    fn head(&self, path: &Path) -> Result<Slice> {
        self.check_file(path)?;
        Slice::of(path, std::fs::read(path).map_err(|source| Error::io(path, source))?, self)
    }

    fn pixels(&self, path: &Path) -> Result<SlicePixels> {
        self.check_file(path)?;
        SlicePixels::of(path, std::fs::read(path).map_err(|source| Error::io(path, source))?, self)
    }

    fn whole(&self, path: &Path) -> Result<Scan> {
        dicom::read(path, self)
    }
}

/// As [`read_series`], with files that `source` gives.
pub(crate) fn read_series_from(files: &[PathBuf], limits: &Limits, source: &impl SliceSource) -> Result<Scan> {
    if files.is_empty() {
        return Err(Error::malformed(Path::new("series"), "files", "no file was given"));
    }
    let mut slices = files.iter().map(|path| source.head(path)).collect::<Result<Vec<_>>>()?;
    // A series in time: the earliest comes first, and among equals the path decides.
    slices.sort_by(|a, b| a.time.cmp(&b.time).then_with(|| a.path.cmp(&b.path)));
    check_same(&slices)?;
    let sha256 = sha256_of_hashes(slices.iter().map(|slice| slice.sha256.clone()).collect());
    if slices[0].is_volume {
        let mut scan = source.whole(&slices[0].path)?;
        if slices.len() > 1 {
            scan.notes.push(format!("{} files, each a volume (time), the first is used", slices.len()));
            scan.sha256 = sha256;
        }
        return Ok(scan);
    }
    let mut notes = Vec::new();
    drop_copies(&mut slices, &mut notes);
    let stack = arrange(&slices, &mut notes)?;
    Ok(Scan { sha256, ..read_stack(&slices, &stack, notes, limits, source)? })
}

/// Leaves out files that repeat another of the series: the same bytes, or the same SOPInstanceUID at the same place and time.
fn drop_copies(slices: &mut Vec<Slice>, notes: &mut Vec<String>) {
    let before = slices.len();
    let mut bytes = BTreeSet::new();
    let mut instances = BTreeSet::new();
    slices.retain(|slice| {
        let is_new = bytes.insert(slice.sha256.clone());
        // The name alone is not enough: de-identification may have given all files the same one.
        let position = slice.geometry.as_ref().map(|geometry| geometry.position.map(f64::to_bits));
        let instance = slice.instance.as_ref().zip(position).map(|(uid, place)| (uid.clone(), place, slice.time));
        instance.is_none_or(|instance| instances.insert(instance)) && is_new
    });
    if slices.len() < before {
        notes.push(format!("{} files repeat another of the series and are left out", before - slices.len()));
    }
}

/// Decodes the slices of a stack.
fn read_stack(
    slices: &[Slice],
    stack: &Stack,
    mut notes: Vec<String>,
    limits: &Limits,
    source: &impl SliceSource,
) -> Result<Scan> {
    let Slice { path: first, layout, .. } = &slices[0];
    let dims = [usize::from(layout.columns), usize::from(layout.rows), stack.order.len()];
    let count = limits.check_voxels(first, dims)?;
    let mut values = Vec::with_capacity(count);
    let mut scan = None;
    let mut padding = None;
    for index in &stack.order {
        let slice = source.pixels(&slices[*index].path)?;
        if values.len() + slice.values.len() > count {
            return Err(Error::decode(&slices[*index].path, "the file changed while it was read"));
        }
        values.extend(slice.values);
        padding = padding.or(slice.padding);
        scan.get_or_insert(slice.scan);
    }
    if values.len() != count {
        return Err(Error::decode(first, "a file of the series changed while it was read"));
    }
    let ras = orient::to_ras(first, Stored { dims, affine: stack.affine, values })?;
    let mut volume = Volume { padding, ..Volume::from_ras(ras) };
    if layout.photometric == Photometric::Monochrome1 {
        volume.mirror_values(&mut notes);
    }
    let scan = scan.ok_or_else(|| Error::malformed(first, "series", "holds no slice"))?;
    Ok(Scan { content: Content::Volume(volume), notes, ..scan })
}

/// What must be known of a file before its pixels are decoded.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Slice {
    /// Not sent between processes: each knows it.
    #[serde(skip)]
    pub(crate) path: PathBuf,
    sha256: String,
    series: Option<String>,
    instance: Option<String>,
    layout: Layout,
    /// Whether the file alone is a volume: several frames, or a mosaic.
    is_volume: bool,
    geometry: Option<SliceGeometry>,
    /// TemporalPositionIdentifier, AcquisitionNumber, EchoNumbers, InstanceNumber; 0 where absent.
    time: [i64; 4],
}

impl Slice {
    pub(crate) fn of(path: &Path, bytes: Vec<u8>, limits: &Limits) -> Result<Slice> {
        let sha256 = sha256_bytes(&bytes);
        let file = DicomFile::from_bytes(path, bytes, limits)?;
        let root = file.root();
        let number = |tag: Tag| root.decimal(tag).unwrap_or(0.0) as i64;
        let layout = Layout::read(&file, limits)?;
        Ok(Slice {
            path: path.into(),
            sha256,
            series: root.text(tags::SERIES_INSTANCE_UID),
            instance: root.text(tags::SOP_INSTANCE_UID),
            is_volume: layout.frames > 1
                || (layout.photometric.is_grey() && mosaic::is_mosaic(&root) && Mosaic::read(&root, &layout).is_ok()),
            layout,
            geometry: SliceGeometry::read(&root, &root, &root),
            time: [
                number(tags::TEMPORAL_POSITION_IDENTIFIER),
                number(tags::ACQUISITION_NUMBER),
                number(tags::ECHO_NUMBERS),
                number(tags::INSTANCE_NUMBER),
            ],
        })
    }
}

/// Fails at the first file that cannot be in one volume with the first.
fn check_same(slices: &[Slice]) -> Result<()> {
    let first = &slices[0];
    if !first.layout.photometric.is_grey() {
        let (path, value) = (first.path.clone(), format!("{:?}", first.layout.photometric));
        let remedy = "only grey series form volumes; use the files one by one";
        return Err(Error::Unsupported { path, field: "PhotometricInterpretation", value, remedy });
    }
    for slice in slices {
        let mixed = |field, expected: String, found: String| {
            Err(Error::MixedSeries { path: slice.path.clone(), field, expected, found })
        };
        if slice.series != first.series {
            let name = |uid: &Option<String>| uid.clone().unwrap_or_else(|| "absent".to_string());
            return mixed("SeriesInstanceUID", name(&first.series), name(&slice.series));
        }
        let size = |layout: &Layout| format!("{} x {}, {} frames", layout.columns, layout.rows, layout.frames);
        if size(&slice.layout) != size(&first.layout) {
            return mixed("Rows, Columns, NumberOfFrames", size(&first.layout), size(&slice.layout));
        }
        if slice.layout.photometric != first.layout.photometric {
            let name = |layout: &Layout| format!("{:?}", layout.photometric);
            return mixed("PhotometricInterpretation", name(&first.layout), name(&slice.layout));
        }
        if let (Some(own), Some(expected)) = (&slice.geometry, &first.geometry) {
            if !own.is_parallel(expected) {
                let directions = |geometry: &SliceGeometry| format!("{:?} {:?}", geometry.row, geometry.column);
                return mixed("ImageOrientationPatient", directions(expected), directions(own));
            }
            if (0..2).any(|axis| (own.spacing[axis] - expected.spacing[axis]).abs() > 1e-3 * expected.spacing[axis]) {
                return mixed("PixelSpacing", format!("{:?}", expected.spacing), format!("{:?}", own.spacing));
            }
        }
    }
    Ok(())
}

fn arrange(slices: &[Slice], notes: &mut Vec<String>) -> Result<Stack> {
    let mut places = Vec::with_capacity(slices.len());
    for slice in slices {
        match &slice.geometry {
            Some(geometry) => places.push(geometry.clone()),
            None if slices.len() == 1 => {
                notes.push("no position in the patient: sides are as on the stored picture".to_string());
                return Ok(Stack::as_stored(1, [1.0; 3]));
            }
            None => {
                let name = "ImagePositionPatient, ImageOrientationPatient or PixelSpacing";
                return Err(Error::MissingAttribute { path: slice.path.clone(), name });
            }
        }
    }
    let stack =
        stack::arrange(&places).map_err(|reason| Error::malformed(&slices[0].path, "ImagePositionPatient", reason))?;
    if let Some((index, gap_mm)) = stack.uneven.iter().copied().find(|(_, gap)| *gap > MAX_GAP * stack.step_mm) {
        let path = slices[stack.order[index]].path.clone();
        return Err(Error::SliceGap { path, gap_mm, spacing_mm: stack.step_mm });
    }
    stack.describe("images", notes);
    Ok(stack)
}
