//! Every file of a folder: its format, its hash where another has its length, what it holds, and whether it can be read.

use super::dicom::{Catalogue, DicomFacts};
use super::header::{self, Header};
use super::mask_like::{Likeness, guess_masks, is_mask_like, likeness};
use super::{Coverage, FileNote, FormatCount, PictureSizes, VolumeSizes, walk};
use crate::Result;
use crate::similarity::Fingerprint;
use gmai_imaging::{Content, Decoder, DicomSummary, FileKind, Scan, Slide, sha256_file, sniff};
use gmai_schema::{Progress, Rgb8};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

/// What one file holds.
#[derive(Debug, Clone)]
pub(super) enum Holds {
    /// A picture.
    Picture(Picture),
    /// A volume in NIfTI, NRRD or MetaImage.
    Volume(VolumeFacts),
    /// A DICOM file.
    Dicom(DicomFacts),
    /// Text that may annotate, by its first bytes.
    Text(TextKind),
    /// An image format whose content cannot be read.
    Broken { kind: Option<FileKind>, reason: String },
    /// Anything else.
    Other,
}

/// A picture file.
#[derive(Debug, Clone)]
pub(super) struct Picture {
    pub kind: FileKind,
    /// 0 where it could not be told without decoding.
    pub width: u32,
    pub height: u32,
    pub depth: String,
    pub mask_like: bool,
    /// Whether the file carries EXIF or text beside its pixels.
    pub has_metadata: bool,
    /// Absent when it was not decoded, and of masks.
    pub print: Option<Box<Fingerprint>>,
    pub slide: Option<SlideFacts>,
}

/// What a whole slide has beside its overview.
#[derive(Debug, Clone)]
pub(super) struct SlideFacts {
    pub levels: usize,
    pub microns_per_pixel: Option<f64>,
    /// Whether the picture of the glass or of its label comes with it.
    pub shows_label: bool,
}

/// A volume file.
#[derive(Debug, Clone)]
pub(super) struct VolumeFacts {
    pub kind: FileKind,
    pub dims: [usize; 3],
    pub spacing: [f64; 3],
    pub depth: String,
    /// `None` when it was not decoded.
    pub likeness: Option<Likeness>,
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
    /// Hex; empty when no other file has its length, or when it cannot be read at all.
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

    pub(super) fn picture(&self) -> Option<&Picture> {
        match &self.holds {
            Holds::Picture(picture) => Some(picture),
            _ => None,
        }
    }

    pub(super) fn volume(&self) -> Option<&VolumeFacts> {
        match &self.holds {
            Holds::Volume(volume) => Some(volume),
            _ => None,
        }
    }

    pub(super) fn dicom(&self) -> Option<&DicomFacts> {
        match &self.holds {
            Holds::Dicom(dicom) => Some(dicom),
            _ => None,
        }
    }

    /// Whether it is a picture file, DICOM aside.
    pub(super) fn is_picture(&self) -> bool {
        self.picture().is_some()
    }

    /// Whether it holds something to be shown.
    pub(super) fn is_image(&self) -> bool {
        match &self.holds {
            Holds::Picture(_) | Holds::Volume(_) => true,
            Holds::Dicom(dicom) => dicom.is_image(),
            _ => false,
        }
    }

    pub(super) fn print(&self) -> Option<&Fingerprint> {
        match &self.holds {
            Holds::Picture(picture) => picture.print.as_deref(),
            Holds::Dicom(dicom) => dicom.print.as_deref(),
            _ => None,
        }
    }
}

/// Folder and name of a path.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// A file name without its ending; `.nii.gz` is one ending, and digits behind the last dot are none (as in names made of UIDs).
pub(super) fn stem(name: &str) -> &str {
    let inner = name.strip_suffix(".gz").filter(|inner| inner.ends_with(".nii")).unwrap_or(name);
    match inner.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() && !ending.bytes().all(|byte| byte.is_ascii_digit()) => stem,
        _ => inner,
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

/// All files with what holds for them together.
pub(super) struct Examined {
    /// Sorted by path.
    pub files: Vec<FileFacts>,
    pub catalogue: Catalogue,
    pub coverage: Coverage,
    /// Folders that cannot be opened.
    pub unreadable: Vec<FileNote>,
}

/// Files examined between two reports of progress.
const BATCH: usize = 64;

/// Walks the folder and looks at every file. At most about `max_decoded` images are decoded.
pub(super) fn examine_all(
    dir: &Path,
    decoder: &Decoder,
    max_decoded: u64,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Examined> {
    let walk::Found { entries, links_not_followed, left_out, unreadable } = walk::walk(dir)?;
    let mut coverage = Coverage { links_not_followed, left_out, ..Coverage::default() };
    let mut report = |phase: &str, done: usize| {
        let (done, total) = (done as u64, entries.len() as u64);
        on_progress(Progress { phase: phase.to_owned(), done, total, note: String::new() });
    };
    let mut kinds: Vec<std::result::Result<Option<FileKind>, String>> = Vec::with_capacity(entries.len());
    for batch in entries.chunks(BATCH * 16) {
        let sniffed = batch.par_iter().map(|entry| sniff(&dir.join(&entry.path)).map_err(|error| error.to_string()));
        kinds.par_extend(sniffed);
        report("tell formats", kinds.len());
    }
    let folders: Vec<&str> = entries.iter().map(|entry| split(&entry.path).0).collect();
    let chosen = walk::choose(&folders, &kinds, max_decoded);
    let mut lengths: BTreeMap<u64, u32> = BTreeMap::new();
    entries.iter().for_each(|entry| *lengths.entry(entry.bytes).or_default() += 1);
    let mut files: Vec<FileFacts> = Vec::with_capacity(entries.len());
    let mut catalogue = Catalogue::default();
    let order: Vec<usize> = (0..entries.len()).collect();
    for batch in order.chunks(BATCH) {
        let looked: Vec<(String, Looked)> = batch
            .par_iter()
            .map(|&index| {
                let path = dir.join(&entries[index].path);
                let is_twin = entries[index].bytes > 0 && lengths[&entries[index].bytes] > 1;
                let sha256 = if is_twin { sha256_file(&path).unwrap_or_default() } else { String::new() };
                (sha256, look(&path, &entries[index], kinds[index].clone(), chosen[index], decoder))
            })
            .collect();
        for (&index, (sha256, looked)) in batch.iter().zip(looked) {
            let holds = match looked {
                Looked::Done(holds) => holds,
                Looked::Dicom { summary, failure, print } => {
                    Holds::Dicom(catalogue.add((index, folders[index]), *summary, failure, print))
                }
            };
            let is_image = kinds[index].as_ref().is_ok_and(Option::is_some);
            coverage.images += u64::from(is_image);
            coverage.decoded += u64::from(is_image && chosen[index]);
            files.push(FileFacts { path: entries[index].path.clone(), bytes: entries[index].bytes, sha256, holds });
        }
        report("look at files", files.len());
    }
    guess_masks(&mut files, &chosen);
    Ok(Examined { files, catalogue, coverage, unreadable })
}

/// What one look gave; DICOM joins the catalogue in order.
enum Looked {
    Done(Holds),
    Dicom { summary: Box<DicomSummary>, failure: Option<String>, print: Option<Box<Fingerprint>> },
}

fn look(
    path: &Path,
    entry: &walk::Entry,
    kind: std::result::Result<Option<FileKind>, String>,
    decode: bool,
    decoder: &Decoder,
) -> Looked {
    if !entry.is_utf8 {
        let reason = "the file name is not valid UTF-8; rename the file".to_owned();
        return Looked::Done(Holds::Broken { kind: None, reason });
    }
    let kind = match kind {
        Ok(Some(kind)) => kind,
        Ok(None) => return Looked::Done(look_at_text(path, entry.bytes)),
        Err(reason) => return Looked::Done(Holds::Broken { kind: None, reason }),
    };
    if kind == FileKind::Dicom {
        return look_at_dicom(path, decode, decoder);
    }
    let header = header::read(path, kind);
    let is_volume = kind.may_be_volume();
    if !decode {
        return Looked::Done(match header.size {
            Some(size) if is_volume => Holds::Volume(volume_facts(kind, size, header, None)),
            Some([width, height, _]) => Holds::Picture(Picture {
                kind,
                width: width as u32,
                height: height as u32,
                depth: header.depth,
                has_metadata: header.has_metadata,
                mask_like: false,
                print: None,
                slide: None,
            }),
            None => Holds::Broken { kind: Some(kind), reason: "the header cannot be read".to_owned() },
        });
    }
    Looked::Done(match decoder.read(path).map(|scan| scan.content) {
        Ok(Content::Picture(picture)) => Holds::Picture(picture_facts(path, kind, &picture, header, decoder)),
        Ok(Content::Volume(volume)) => {
            let likeness = likeness(&volume.values, volume.dims[0]);
            let spacing = volume.spacing.map(f64::from);
            let header = Header { spacing: Some(spacing), ..header };
            Holds::Volume(volume_facts(kind, volume.dims, header, Some(likeness)))
        }
        Err(error) => Holds::Broken { kind: Some(kind), reason: error.to_string() },
    })
}

fn volume_facts(kind: FileKind, dims: [usize; 3], header: Header, likeness: Option<Likeness>) -> VolumeFacts {
    VolumeFacts { kind, dims, spacing: header.spacing.unwrap_or_default(), depth: header.depth, likeness }
}

fn picture_facts(path: &Path, kind: FileKind, picture: &Rgb8, header: Header, decoder: &Decoder) -> Picture {
    let mask_like = is_mask_like(picture);
    let slide = match kind {
        FileKind::Tiff => Slide::open(path, decoder.limits()).ok(),
        _ => None,
    };
    let finest = slide.as_ref().and_then(|slide| slide.levels().first());
    let (width, height) = finest.map_or((picture.width(), picture.height()), |level| (level.width, level.height));
    let slide = slide.as_ref().map(|slide| SlideFacts {
        levels: slide.levels().len(),
        microns_per_pixel: slide.microns_per_pixel(),
        shows_label: slide.pictures().iter().any(|picture| matches!(picture.name, "label" | "macro")),
    });
    let print = (!mask_like).then(|| Box::new(Fingerprint::of(picture)));
    let Header { depth, has_metadata, .. } = header;
    Picture { kind, width, height, depth, mask_like, has_metadata, print, slide }
}

/// The header first: reports and plans are DICOM without pixels.
fn look_at_dicom(path: &Path, decode: bool, decoder: &Decoder) -> Looked {
    let summary = match decoder.dicom_summary(path) {
        Ok(summary) => Box::new(summary),
        Err(error) => {
            return Looked::Done(Holds::Broken { kind: Some(FileKind::Dicom), reason: error.to_string() });
        }
    };
    let (mut failure, mut print) = (None, None);
    if decode && super::dicom::is_image(&summary) {
        match decoder.read(path) {
            // Neighbouring slices of a volume resemble each other and are no copies.
            Ok(Scan { content: Content::Picture(picture), .. }) if !super::dicom::is_slice(&summary) => {
                print = Some(Box::new(Fingerprint::of(&picture)));
            }
            Ok(_) => {}
            Err(error) => failure = Some(error.to_string()),
        }
    }
    Looked::Dicom { summary, failure, print }
}

/// Endings that promise an image.
const IMAGE_ENDINGS: [&str; 16] = [
    ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".dcm", ".nii", ".nii.gz", ".gif", ".nrrd", ".nhdr",
    ".mha", ".mhd", ".svs",
];

/// Bytes read to tell text from other content.
const HEAD_BYTES: u64 = 4096;

fn look_at_text(path: &Path, bytes: u64) -> Holds {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    if name.starts_with("._") {
        return Holds::Other; // What macOS leaves beside each file on other disks.
    }
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

/// Files per format, most frequent first.
pub(super) fn formats(files: &[FileFacts]) -> Vec<FormatCount> {
    let mut counts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for file in files {
        let count = counts.entry(format_of(file)).or_default();
        count.0 += 1;
        count.1 += file.bytes;
    }
    let mut formats: Vec<FormatCount> =
        counts.into_iter().map(|(format, (files, bytes))| FormatCount { format, files, bytes }).collect();
    formats.sort_by(|a, b| b.files.cmp(&a.files).then_with(|| a.format.cmp(&b.format)));
    formats
}

/// The format of a file in a word or two.
pub(super) fn format_of(file: &FileFacts) -> String {
    let named = |what: &str| format!("{what} {}", file.ending().to_lowercase()).trim_end().to_owned();
    match &file.holds {
        Holds::Picture(Picture { slide: Some(_), .. }) => "whole slide".to_owned(),
        Holds::Picture(Picture { kind, .. }) | Holds::Volume(VolumeFacts { kind, .. }) => kind.key().to_owned(),
        Holds::Broken { kind: Some(kind), .. } => kind.key().to_owned(),
        Holds::Dicom(_) => FileKind::Dicom.key().to_owned(),
        Holds::Text(TextKind::Json) => "json".to_owned(),
        Holds::Text(TextKind::Xml) => "xml".to_owned(),
        Holds::Text(TextKind::Plain) => named("text"),
        Holds::Other | Holds::Broken { kind: None, .. } => named("other"),
    }
}

/// The range of picture sizes.
pub(super) fn picture_sizes(files: &[FileFacts]) -> Option<PictureSizes> {
    let pictures = files.iter().filter_map(FileFacts::picture).filter(|picture| picture.width > 0);
    let sizes: Vec<(u32, u32)> = pictures.map(|picture| (picture.width, picture.height)).collect();
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
    for volume in files.iter().filter_map(FileFacts::volume) {
        *counts.entry(volume.dims).or_default() += 1;
    }
    let mut sizes: Vec<VolumeSizes> = counts.into_iter().map(|(dims, count)| VolumeSizes { dims, count }).collect();
    sizes.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.dims.cmp(&b.dims)));
    sizes
}

/// Images that cannot be read, sorted by path. Reasons are told without the path, which stands beside them.
pub(super) fn broken(dir: &Path, files: &[FileFacts]) -> Vec<FileNote> {
    let reason = |file: &FileFacts| {
        let reason = match &file.holds {
            Holds::Broken { reason, .. } => reason,
            Holds::Dicom(dicom) => dicom.failure.as_ref()?,
            _ => return None,
        };
        let path = format!("{}: ", dir.join(&file.path).display());
        Some(reason.strip_prefix(&path).unwrap_or(reason).to_owned())
    };
    files.iter().filter_map(|file| Some(FileNote { path: file.path.clone(), reason: reason(file)? })).collect()
}
