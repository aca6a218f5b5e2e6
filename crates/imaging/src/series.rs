//! Folders of DICOM files: which series they hold, and each series as a volume.

use crate::data_set::DicomFile;
use crate::dicom;
use crate::digest::{sha256_bytes, sha256_of_hashes};
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::orient::{self, Stored};
use crate::pixels::{Frames, Layout, Photometric};
use crate::sniff::{FileKind, sniff};
use crate::stack::{self, SliceGeometry, Stack};
use crate::volume::Volume;
use crate::{Content, Scan};
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use gmai_schema::Modality;
use std::collections::BTreeMap;
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

/// Sorts every file below a folder into series, reading headers only.
pub fn survey_series(dir: &Path, limits: &Limits) -> Result<SeriesSurvey> {
    let mut files = Vec::new();
    collect_files(dir, 0, &mut files)?;
    let mut survey = SeriesSurvey::default();
    let mut by_uid: BTreeMap<String, Series> = BTreeMap::new();
    for path in files {
        if sniff(&path)? != Some(FileKind::Dicom) {
            survey.other_files.push(path);
            continue;
        }
        let header = match DicomFile::read_header(&path, limits) {
            Ok(header) => header,
            Err(error) => {
                survey.unreadable.push((path, error));
                continue;
            }
        };
        let root = header.root();
        let uid = root.text(tags::SERIES_INSTANCE_UID).filter(|_| root.has(tags::PIXEL_DATA) && root.has(tags::ROWS));
        let Some(uid) = uid else {
            survey.without_images.push(path);
            continue;
        };
        let series = by_uid.entry(uid.clone()).or_insert_with(|| Series {
            uid,
            files: Vec::new(),
            patient: root.text(tags::PATIENT_ID),
            study: root.text(tags::STUDY_INSTANCE_UID),
            modality: root.text(tags::MODALITY).and_then(|code| dicom::modality(&code)),
            description: root.text(tags::SERIES_DESCRIPTION),
            body_part: root.text(tags::BODY_PART_EXAMINED),
        });
        series.files.push(path);
    }
    survey.series = by_uid.into_values().collect();
    survey.series.sort_by(|a, b| a.files.cmp(&b.files));
    Ok(survey)
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
/// first volume, with a note. The hash covers all files, whatever their order.
pub fn read_series(files: &[PathBuf], limits: &Limits) -> Result<Scan> {
    let Some(first) = files.first() else {
        return Err(Error::malformed(Path::new("series"), "files", "no file was given"));
    };
    let mut slices = files.iter().map(|path| Slice::read(path, limits)).collect::<Result<Vec<_>>>()?;
    if let [single] = slices.as_slice()
        && single.layout.frames > 1
    {
        return dicom::read(first, limits);
    }
    // A series in time: the earliest comes first, and among equals the path decides.
    slices.sort_by(|a, b| a.time.cmp(&b.time).then_with(|| a.path.cmp(&b.path)));
    check_same(&slices)?;
    let mut notes = Vec::new();
    let stack = arrange(&slices, &mut notes)?;
    let layout = &slices[0].layout;
    let dims = [usize::from(layout.columns), usize::from(layout.rows), stack.order.len()];
    let count = limits.check_voxels(first, dims)?;
    let mut values = Vec::with_capacity(count);
    let mut scan = None;
    for index in &stack.order {
        let file = DicomFile::read(&slices[*index].path, limits)?;
        let frames = Frames::open(&file, limits)?;
        let mut slice = frames.grey(0)?;
        dicom::rescale(&file.root(), 0, &mut slice);
        values.extend(slice);
        scan.get_or_insert_with(|| dicom::identified(&file.root()));
    }
    if values.len() != count {
        return Err(Error::decode(first, "a file of the series changed while it was read"));
    }
    if layout.photometric == Photometric::Monochrome1 {
        dicom::invert(&mut values, &mut notes);
    }
    let volume = Volume::from_ras(orient::to_ras(first, Stored { dims, affine: stack.affine, values })?);
    let sha256 = sha256_of_hashes(slices.into_iter().map(|slice| slice.sha256).collect());
    let scan = scan.ok_or_else(|| Error::malformed(first, "series", "holds no slice"))?;
    Ok(Scan { content: Content::Volume(volume), sha256, notes, ..scan })
}

/// What must be known of a file before its pixels are decoded.
struct Slice {
    path: PathBuf,
    sha256: String,
    series: Option<String>,
    layout: Layout,
    geometry: Option<SliceGeometry>,
    /// TemporalPositionIdentifier, AcquisitionNumber, EchoNumbers, InstanceNumber; 0 where absent.
    time: [i64; 4],
}

impl Slice {
    fn read(path: &Path, limits: &Limits) -> Result<Slice> {
        limits.check_file(path)?;
        let bytes = std::fs::read(path).map_err(|source| Error::io(path, source))?;
        let sha256 = sha256_bytes(&bytes);
        let file = DicomFile::from_bytes(path, bytes, limits)?;
        let root = file.root();
        let number = |tag: Tag| root.decimal(tag).unwrap_or(0.0) as i64;
        Ok(Slice {
            path: path.into(),
            sha256,
            series: root.text(tags::SERIES_INSTANCE_UID),
            layout: Layout::read(&file, limits)?,
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
    if !stack.uneven.is_empty() {
        let count = stack.uneven.len();
        notes.push(format!("{count} distances between slices differ from {:.3} mm by more than 1 %", stack.step_mm));
    }
    if stack.repeats > 1 {
        notes.push(format!("{} images at each position (time or echo), the first is used", stack.repeats));
    }
    Ok(stack)
}
