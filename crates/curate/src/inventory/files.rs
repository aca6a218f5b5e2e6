//! Every file of a folder: its format, hash, pixels, and whether it can be read.

use super::{FileNote, FormatCount, PictureSizes, SeriesFacts, VolumeSizes};
use crate::{Error, Result};
use gmai_imaging::{Content, Decoder, FileKind, Series, sha256_file, sniff};
use gmai_schema::{Progress, Rgb8};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

/// What one file holds.
#[derive(Debug, Clone)]
pub(super) enum Holds {
    /// A picture.
    Picture { kind: FileKind, width: u32, height: u32, mask_like: bool },
    /// A volume in NIfTI.
    Volume { dims: [usize; 3] },
    /// A DICOM file; its series is told by the survey.
    Dicom,
    /// Text that may annotate, by its first bytes.
    Text(TextKind),
    /// An image format whose content cannot be read.
    Broken { kind: Option<FileKind>, reason: String },
    /// Anything else.
    Other,
}

/// What text looks like by its first characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextKind {
    Json,
    Xml,
    Plain,
}

/// One file.
#[derive(Debug, Clone)]
pub(super) struct FileFacts {
    /// Relative to the folder looked at, `/` between parts.
    pub path: String,
    pub bytes: u64,
    /// Hex; empty when the file cannot be read at all.
    pub sha256: String,
    pub holds: Holds,
}

impl FileFacts {
    /// Folder part of the path, without a slash at its end.
    pub(super) fn folder(&self) -> &str {
        split(&self.path).0
    }

    /// Last part of the path.
    pub(super) fn name(&self) -> &str {
        split(&self.path).1
    }

    /// Name without its ending.
    pub(super) fn stem(&self) -> &str {
        stem(self.name())
    }

    /// Ending of the name with its dot; may be empty.
    pub(super) fn ending(&self) -> &str {
        &self.name()[self.stem().len()..]
    }

    pub(super) fn is_picture(&self) -> bool {
        matches!(self.holds, Holds::Picture { .. })
    }
}

/// Folder and name of a path.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// A file name without its ending; `.nii.gz` is one ending.
pub(super) fn stem(name: &str) -> &str {
    let inner = name.strip_suffix(".gz").filter(|inner| inner.ends_with(".nii")).unwrap_or(name);
    match inner.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => inner,
    }
}

/// Files examined between two reports of progress.
const BATCH: usize = 64;

/// Walks the folder and looks at every file; the result is sorted by path.
pub(super) fn examine_all(
    dir: &Path,
    decoder: &Decoder,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Vec<FileFacts>> {
    let mut paths = Vec::new();
    for entry in walkdir::WalkDir::new(dir).follow_links(false) {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(dir).to_path_buf();
            Error::Io { path, source: error.into() }
        })?;
        if entry.file_type().is_file() {
            paths.push(entry.into_path());
        }
    }
    paths.sort();
    let mut files = Vec::with_capacity(paths.len());
    for batch in paths.chunks(BATCH) {
        files.par_extend(batch.par_iter().map(|path| examine(dir, path, decoder)));
        on_progress(Progress {
            phase: "look at files".to_owned(),
            done: files.len() as u64,
            total: paths.len() as u64,
            note: String::new(),
        });
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn examine(dir: &Path, path: &Path, decoder: &Decoder) -> FileFacts {
    let relative = path.strip_prefix(dir).unwrap_or(path);
    let parts: Vec<_> = relative.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    let bytes = std::fs::metadata(path).map(|metadata| metadata.len()).unwrap_or(0);
    let (sha256, holds) = match sha256_file(path) {
        Ok(sha256) => (sha256, look(path, bytes, decoder)),
        Err(error) => (String::new(), Holds::Broken { kind: None, reason: error.to_string() }),
    };
    FileFacts { path: parts.join("/"), bytes, sha256, holds }
}

fn look(path: &Path, bytes: u64, decoder: &Decoder) -> Holds {
    let kind = match sniff(path) {
        Ok(Some(kind)) => kind,
        Ok(None) => return look_at_text(path, bytes),
        Err(error) => return Holds::Broken { kind: None, reason: error.to_string() },
    };
    if kind == FileKind::Dicom {
        return Holds::Dicom; // Reports and plans are DICOM without pixels: the survey tells them apart first.
    }
    match decoder.read(path).map(|scan| scan.content) {
        Ok(Content::Picture(picture)) => {
            Holds::Picture { kind, width: picture.width(), height: picture.height(), mask_like: is_mask_like(&picture) }
        }
        Ok(Content::Volume(volume)) => Holds::Volume { dims: volume.dims },
        Err(error) => Holds::Broken { kind: Some(kind), reason: error.to_string() },
    }
}

/// Endings that promise an image.
const IMAGE_ENDINGS: [&str; 11] =
    [".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".dcm", ".nii", ".nii.gz", ".gif"];

/// Bytes read to tell text from other content.
const HEAD_BYTES: u64 = 4096;

fn look_at_text(path: &Path, bytes: u64) -> Holds {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    if IMAGE_ENDINGS.iter().any(|ending| name.ends_with(ending)) {
        let reason = if bytes == 0 {
            format!("{}: the file is empty; copy it again", path.display())
        } else {
            format!("{}: the name promises an image, the content is none that gmai reads", path.display())
        };
        return Holds::Broken { kind: None, reason };
    }
    let mut head = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head));
    if read.is_err() || head.is_empty() || head.contains(&0) {
        return Holds::Other;
    }
    let text = String::from_utf8_lossy(&head);
    let first = text.trim_start_matches('\u{feff}').trim_start();
    match first.chars().next() {
        Some('{' | '[') => Holds::Text(TextKind::Json),
        Some('<') => Holds::Text(TextKind::Xml),
        Some(_) => Holds::Text(TextKind::Plain),
        None => Holds::Other,
    }
}

/// Share of pixels that must be almost black or almost white: JPEG masks are not exactly two-valued.
const MASK_SHARE: f64 = 0.97;

/// Whether a picture is grey with two values, or a few small ones as class numbers.
fn is_mask_like(picture: &Rgb8) -> bool {
    let mut histogram = [0u64; 256];
    for pixel in picture.pixels().chunks_exact(3) {
        if pixel.iter().max().zip(pixel.iter().min()).is_some_and(|(max, min)| max - min > 12) {
            return false;
        }
        histogram[usize::from(pixel[0])] += 1;
    }
    let total: u64 = histogram.iter().sum();
    let extreme: u64 = histogram[..32].iter().sum::<u64>() + histogram[224..].iter().sum::<u64>();
    let levels = histogram.iter().filter(|count| **count > 0).count();
    let black = histogram[..32].iter().sum::<u64>();
    levels <= 2 || (extreme as f64 >= MASK_SHARE * total as f64 && extreme > black && black > 0)
}

/// The DICOM series of a folder.
pub(super) struct Survey {
    /// Series with images: their files as relative paths.
    pub series: Vec<(Series, Vec<String>)>,
    /// DICOM images that cannot be decoded.
    pub broken: Vec<FileNote>,
    /// DICOM files without pixels or without a SeriesInstanceUID.
    pub outside: Vec<FileNote>,
}

impl Survey {
    /// What is shown of each series.
    pub(super) fn facts(&self) -> Vec<SeriesFacts> {
        self.series
            .iter()
            .map(|(series, files)| SeriesFacts {
                folder: common_folder(files.iter().map(String::as_str)),
                files: files.len() as u64,
                modality: series.modality,
                body_part: series.body_part.clone(),
            })
            .collect()
    }
}

/// Groups DICOM files into series and decodes each once.
pub(super) fn dicom_series(
    dir: &Path,
    decoder: &Decoder,
    files: &[FileFacts],
    on_progress: &mut dyn FnMut(Progress),
) -> Survey {
    let dicom: BTreeSet<&str> =
        files.iter().filter(|file| matches!(file.holds, Holds::Dicom)).map(|file| file.path.as_str()).collect();
    if dicom.is_empty() {
        return Survey { series: Vec::new(), broken: Vec::new(), outside: Vec::new() };
    }
    let relative = |path: &Path| {
        let path = path.strip_prefix(dir).unwrap_or(path);
        path.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
    };
    let found = match decoder.survey_series(dir) {
        Ok(found) => found,
        // Without the survey no series is known; the reason stands in the list and the pictures go on.
        Err(error) => {
            let path = dicom.first().map_or(String::new(), |path| (*path).to_owned());
            return Survey {
                series: Vec::new(),
                broken: vec![FileNote { path, reason: error.to_string() }],
                outside: Vec::new(),
            };
        }
    };
    let mut broken: Vec<FileNote> = found
        .unreadable
        .iter()
        .map(|(path, error)| FileNote { path: relative(path), reason: error.to_string() })
        .collect();
    let outside = found
        .without_images
        .par_iter()
        .map(|path| FileNote { path: relative(path), reason: why_outside(path, decoder) });
    let outside = outside.collect();
    let mut series = Vec::new();
    let (mut done, total) = (0, found.series.iter().map(|one| one.files.len() as u64).sum());
    for one in found.series {
        let failed: Vec<FileNote> = one
            .files
            .par_iter()
            .filter_map(|path| Some(FileNote { path: relative(path), reason: decoder.read(path).err()?.to_string() }))
            .collect();
        broken.extend(failed);
        done += one.files.len() as u64;
        on_progress(Progress { phase: "decode DICOM".to_owned(), done, total, note: String::new() });
        let paths = one.files.iter().map(|path| relative(path)).collect();
        series.push((one, paths));
    }
    Survey { series, broken, outside }
}

/// Why a DICOM file is in no series.
fn why_outside(path: &Path, decoder: &Decoder) -> String {
    match decoder.read(path) {
        Ok(_) => {
            format!("{}: SeriesInstanceUID is missing; the file can only be used as a single image", path.display())
        }
        Err(error) => error.to_string(),
    }
}

/// The deepest folder that holds all paths.
pub(super) fn common_folder<'a>(paths: impl Iterator<Item = &'a str>) -> String {
    let mut common: Option<Vec<&str>> = None;
    for path in paths {
        let folder: Vec<&str> = split(path).0.split('/').filter(|part| !part.is_empty()).collect();
        common = Some(match common {
            None => folder,
            Some(parts) => {
                let equal = parts.iter().zip(&folder).take_while(|(a, b)| a == b).count();
                parts[..equal].to_vec()
            }
        });
    }
    common.unwrap_or_default().join("/")
}

/// Files per format, most frequent first.
pub(super) fn formats(files: &[FileFacts]) -> Vec<FormatCount> {
    let mut counts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for file in files {
        let format = match &file.holds {
            Holds::Picture { kind, .. } | Holds::Broken { kind: Some(kind), .. } => kind.key().to_owned(),
            Holds::Volume { .. } => FileKind::Nifti.key().to_owned(),
            Holds::Dicom => FileKind::Dicom.key().to_owned(),
            Holds::Text(TextKind::Json) => "json".to_owned(),
            Holds::Text(TextKind::Xml) => "xml".to_owned(),
            Holds::Text(TextKind::Plain) => format!("text {}", file.ending().to_lowercase()).trim_end().to_owned(),
            Holds::Other | Holds::Broken { kind: None, .. } => {
                format!("other {}", file.ending().to_lowercase()).trim_end().to_owned()
            }
        };
        let count = counts.entry(format).or_default();
        count.0 += 1;
        count.1 += file.bytes;
    }
    let mut formats: Vec<FormatCount> =
        counts.into_iter().map(|(format, (files, bytes))| FormatCount { format, files, bytes }).collect();
    formats.sort_by(|a, b| b.files.cmp(&a.files).then_with(|| a.format.cmp(&b.format)));
    formats
}

/// The range of picture sizes.
pub(super) fn picture_sizes(files: &[FileFacts]) -> Option<PictureSizes> {
    let sizes: Vec<(u32, u32)> = files
        .iter()
        .filter_map(|file| match file.holds {
            Holds::Picture { width, height, .. } => Some((width, height)),
            _ => None,
        })
        .collect();
    let range = |values: Vec<u32>| Some((*values.iter().min()?, *values.iter().max()?));
    Some(PictureSizes {
        count: sizes.len() as u64,
        width: range(sizes.iter().map(|size| size.0).collect())?,
        height: range(sizes.iter().map(|size| size.1).collect())?,
        different: sizes.iter().collect::<BTreeSet<_>>().len() as u64,
    })
}

/// Volumes per size, most frequent first.
pub(super) fn volume_sizes(files: &[FileFacts]) -> Vec<VolumeSizes> {
    let mut counts: BTreeMap<[usize; 3], u64> = BTreeMap::new();
    for file in files {
        if let Holds::Volume { dims } = file.holds {
            *counts.entry(dims).or_default() += 1;
        }
    }
    let mut sizes: Vec<VolumeSizes> = counts.into_iter().map(|(dims, count)| VolumeSizes { dims, count }).collect();
    sizes.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.dims.cmp(&b.dims)));
    sizes
}

/// Files with equal bytes; empty files are broken, not equal.
pub(super) fn duplicates(files: &[FileFacts]) -> Vec<Vec<String>> {
    let mut by_hash: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for file in files.iter().filter(|file| file.bytes > 0 && !file.sha256.is_empty()) {
        by_hash.entry(&file.sha256).or_default().push(file.path.clone());
    }
    let mut equal: Vec<Vec<String>> = by_hash.into_values().filter(|paths| paths.len() > 1).collect();
    equal.sort();
    equal
}

/// Images that cannot be read, sorted by path.
pub(super) fn broken(files: &[FileFacts], survey: &Survey) -> Vec<FileNote> {
    let mut broken = survey.broken.clone();
    for file in files {
        if let Holds::Broken { reason, .. } = &file.holds {
            broken.push(FileNote { path: file.path.clone(), reason: reason.clone() });
        }
    }
    broken.sort_by(|a, b| a.path.cmp(&b.path));
    broken
}
