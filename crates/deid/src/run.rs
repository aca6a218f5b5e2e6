//! A folder in, a de-identified folder out. Each file ends as written, left out or quarantined.

use crate::dicom::{self, Identifier, PixelText, Settings};
use crate::error::{Error, Result};
use crate::file::{self, Stripped};
use crate::key::KeyFile;
use crate::picture::{self, Found, Grey};
use crate::profile::{BurnedIn, Profile};
use crate::report::{FlaggedPicture, Report};
use crate::residual::Search;
use crate::text::{Finder, Known, Style, TextDates};
use gmai_imaging::{Content, DeepGrey, FileKind, Limits, Scan, WindowRule};
use gmai_schema::{Axis, Progress, SliceRef};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Frames of a volume or cine looked at for burned-in text.
const MAX_FRAMES: usize = 8;
/// Largest report text read, in bytes.
const MAX_TEXT_BYTES: u64 = 64 << 20;

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub struct Job<'j> {
    /// Folder to read.
    pub input: &'j Path,
    /// Folder to make.
    pub out: &'j Path,
    /// What is asked for.
    pub profile: &'j Profile,
    /// Bounds on one file.
    pub limits: Limits,
    /// A list of input paths with what became of them, for the owner of the data only.
    pub worklist: Option<&'j Path>,
}

/// How a file ended.
enum Outcome {
    Written(PathBuf),
    LeftOut(String),
    Quarantined(String),
}

/// De-identifies a folder. Bad files do not stop it. The key file is saved before anything is written.
///
/// Errors: input and output within one another, an output folder that is not empty, the system refusing to write.
pub fn run(job: &Job, key_file: &mut KeyFile, progress: &mut dyn FnMut(Progress)) -> Result<Report> {
    job.profile.check()?;
    check_places(job)?;
    let files = files_of(job.input)?;
    let mut state = Run::new(job, key_file);
    let total = files.len() as u64;
    // DICOM first: reports are then known to belong to patients.
    let (texts, others): (Vec<_>, Vec<_>) = files.into_iter().partition(|path| is_text_file(path));
    let mut outcomes = BTreeMap::new();
    for (done, path) in others.into_iter().chain(texts).enumerate() {
        progress(Progress { phase: "de-identify".into(), done: done as u64, total, note: String::new() });
        let outcome = state.one(&path)?;
        outcomes.insert(path, outcome);
    }
    progress(Progress { phase: "de-identify".into(), done: total, total, note: String::new() });
    state.key_file.save()?;
    state.second_reading(&mut outcomes, progress)?;
    state.finish(outcomes)
}

fn check_places(job: &Job) -> Result<()> {
    let place = |path: &Path, reason| Err(Error::Place { path: path.into(), reason });
    let input = fs::canonicalize(job.input).map_err(|error| Error::io(job.input, error))?;
    fs::create_dir_all(job.out).map_err(|error| Error::io(job.out, error))?;
    let out = fs::canonicalize(job.out).map_err(|error| Error::io(job.out, error))?;
    if input.starts_with(&out) || out.starts_with(&input) {
        return place(job.out, "the output folder lies in the input folder or around it; choose another");
    }
    let mut entries = fs::read_dir(&out).map_err(|error| Error::io(job.out, error))?;
    if entries.next().is_some() {
        return place(job.out, "the output folder is not empty; choose a new one");
    }
    Ok(())
}

/// All files in the order of their names. Links are not followed: they may lead out of the folder.
fn files_of(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(dir).sort_by_file_name() {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(dir).to_path_buf();
            Error::Io { path, source: error.into() }
        })?;
        if !entry.file_type().is_dir() {
            files.push(entry.into_path());
        }
    }
    Ok(files)
}

fn ending(path: &Path) -> String {
    path.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default()
}

fn is_text_file(path: &Path) -> bool {
    ending(path) == "txt"
}

struct Run<'r> {
    job: &'r Job<'r>,
    key_file: &'r mut KeyFile,
    finder: Finder,
    report: Report,
    taken: BTreeSet<PathBuf>,
    /// Direct identifiers of each patient.
    patients: BTreeMap<String, BTreeSet<Identifier>>,
}

impl<'r> Run<'r> {
    fn new(job: &'r Job<'r>, key_file: &'r mut KeyFile) -> Run<'r> {
        let report = Report { profile: job.profile.name(), ..Report::default() };
        Run { job, key_file, finder: Finder::new(), report, taken: BTreeSet::new(), patients: BTreeMap::new() }
    }

    fn one(&mut self, path: &Path) -> Result<Outcome> {
        self.report.given += 1;
        let relative = path.strip_prefix(self.job.input).unwrap_or(path);
        for risk in relative.iter().filter_map(|part| file::risk_in_name(&part.to_string_lossy())) {
            *self.report.risky_names.entry(risk.into()).or_default() += 1;
        }
        let is_plain = fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_file());
        if !is_plain {
            return Ok(Outcome::LeftOut("not a plain file".into()));
        }
        let length = fs::metadata(path).map_err(|error| Error::io(path, error))?.len();
        if length > self.job.limits.max_file_bytes {
            return Ok(Outcome::LeftOut("larger than the limit".into()));
        }
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) => return Ok(Outcome::LeftOut(format!("cannot be read: {}", error.kind()))),
        };
        if is_text_file(path) {
            return self.text(relative, &bytes);
        }
        match gmai_imaging::sniff(path) {
            Ok(Some(FileKind::Dicom)) => self.dicom(path, &bytes),
            Ok(Some(kind)) => self.picture(path, relative, kind, &bytes),
            Ok(None) => Ok(Outcome::LeftOut("kind of file that is not covered (tables, JSON, XML, unknown)".into())),
            Err(_) => Ok(Outcome::LeftOut("kind of file cannot be told".into())),
        }
    }

    fn dicom(&mut self, path: &Path, bytes: &[u8]) -> Result<Outcome> {
        let looked = self.look(gmai_imaging::read(path, &self.job.limits).ok());
        let flagged = looked.as_ref().filter(|looked| looked.found.is_flagged());
        let boxes = match flagged {
            Some(looked) if self.job.profile.burned_in == BurnedIn::Blank => looked.found.boxes(),
            _ => Vec::new(),
        };
        let pixel_text = match (&looked, flagged) {
            (None, _) => PixelText::NotExamined,
            (_, None) => PixelText::NoneFound,
            (_, Some(looked)) if !boxes.is_empty() && looked.is_upright => PixelText::Blanked,
            _ => PixelText::Found,
        };
        let blank = if pixel_text == PixelText::Blanked { &boxes[..] } else { &[] };
        let settings = Settings {
            profile: self.job.profile,
            key: &self.key_file.key().clone(),
            finder: &self.finder,
            pixel_text,
            blank,
            max_bytes: self.job.limits.max_file_bytes,
        };
        let cleaned = match dicom::deidentify(bytes, &settings) {
            Ok(cleaned) => cleaned,
            Err(error) => return Ok(Outcome::LeftOut(format!("DICOM that cannot be read: {}", kind_of(&error)))),
        };
        let name = self.free_name(&PathBuf::from(&cleaned.pseudonym).join(dicom_name(&cleaned, bytes, self.key_file)));
        if let Some(looked) = flagged {
            self.flag(&name, &looked.found);
            match self.job.profile.burned_in {
                BurnedIn::Flag => {}
                BurnedIn::Blank if pixel_text == PixelText::Blanked && cleaned.concerns.is_empty() => {
                    self.report.pictures.blanked += 1
                }
                _ => return Ok(Outcome::Quarantined("text seems to be burned into the picture".into())),
            }
        }
        if let Some(concern) = cleaned.concerns.first() {
            return Ok(Outcome::Quarantined(concern.clone()));
        }
        let search = Search::new(&cleaned.identifiers)?;
        let residue: BTreeSet<_> =
            search.in_header(&cleaned.header_bytes).into_iter().chain(search.in_file(&cleaned.bytes)).collect();
        if residue.iter().any(|residue| residue.identifier.kind.is_direct()) {
            self.report.residual.files_with_findings += 1;
            return Ok(Outcome::Quarantined("a removed identifier stands elsewhere in the file".into()));
        }
        self.report.residual.repeated_texts += residue.len() as u64;
        for (attribute, tally) in &cleaned.tallies {
            self.report.attributes.entry(attribute.clone()).or_default().add(tally);
        }
        for what in &cleaned.suspicious {
            *self.report.suspicious_texts.entry(what.clone()).or_default() += 1;
        }
        self.key_file.note(&cleaned.patient)?;
        let direct = cleaned.identifiers.into_iter().filter(|identifier| identifier.kind.is_direct());
        self.patients.entry(cleaned.patient).or_default().extend(direct);
        self.write(&name, &cleaned.bytes)
    }

    fn picture(&mut self, path: &Path, relative: &Path, kind: FileKind, bytes: &[u8]) -> Result<Outcome> {
        let stripped = match kind {
            FileKind::Png => file::clean_png(bytes),
            FileKind::Jpeg => file::clean_jpeg(bytes),
            FileKind::Tiff => file::clean_tiff(bytes),
            FileKind::Webp => file::clean_webp(bytes),
            FileKind::Nifti => file::clean_nifti(bytes, self.job.limits.max_file_bytes),
            _ => Err(Error::Unsupported { what: kind.key().into(), remedy: "convert it to PNG" }),
        };
        let mut stripped: Stripped = match stripped {
            Ok(stripped) => stripped,
            Err(error) => {
                return Ok(Outcome::LeftOut(format!("{} that cannot be read: {}", kind.key(), kind_of(&error))));
            }
        };
        let mut name = file::clean_path(relative, self.key_file.key());
        // Voxels of NIfTI are not pictures of a screen: nothing is burned into them.
        if kind != FileKind::Nifti {
            let picture = gmai_imaging::read_picture(path, DeepGrey::Stretch, &self.job.limits).ok();
            let found = picture.as_ref().map(picture::detect_rgb);
            self.count(found.is_some());
            if let (Some(found), Some(picture)) = (found.filter(Found::is_flagged), picture) {
                if self.job.profile.burned_in == BurnedIn::Blank {
                    stripped.bytes = png_of(&picture::blanked(&picture, &found.boxes()))?;
                    name.set_extension("png");
                    self.report.pictures.blanked += 1;
                }
                self.flag(&name, &found);
                if self.job.profile.burned_in == BurnedIn::Quarantine {
                    return Ok(Outcome::Quarantined("text seems to be burned into the picture".into()));
                }
            }
        }
        for (what, count) in stripped.removed {
            *self.report.side_matter.entry(format!("{}: {what}", kind.key())).or_default() += count;
        }
        let name = self.free_name(&name);
        self.write(&name, &stripped.bytes)
    }

    fn text(&mut self, relative: &Path, bytes: &[u8]) -> Result<Outcome> {
        if bytes.len() as u64 > MAX_TEXT_BYTES {
            return Ok(Outcome::LeftOut("text larger than the limit".into()));
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            return Ok(Outcome::LeftOut("text that is not UTF-8; convert it first".into()));
        };
        let shown = relative.to_string_lossy();
        let stem = relative.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let belongs = |patient: &&String| {
            let id = Known::new([(*patient).clone()]);
            patient.chars().count() >= 4 && (id.stands_in(text) || id.stands_in(&shown))
        };
        let patient = self.patients.keys().find(belongs).cloned();
        let direct = patient.as_ref().and_then(|patient| self.patients.get(patient));
        let known = Known::new(direct.into_iter().flatten().map(|identifier| identifier.text.clone()));
        let spans = self.finder.find(text, &known);
        let patient = patient.unwrap_or(stem);
        let profile = self.job.profile;
        let style = Style {
            replacement: profile.replacement,
            dates: TextDates::of(profile),
            key: self.key_file.key(),
            patient: &patient,
        };
        let cleaned = style.replace(text, &spans);
        for span in &spans {
            *self.report.text_identifiers.entry(span.kind.key().into()).or_default() += 1;
        }
        let name = self.free_name(&file::clean_path(relative, self.key_file.key()));
        self.write(&name, cleaned.as_bytes())
    }

    /// Looks for text in the frames of a scan.
    fn look(&mut self, scan: Option<Scan>) -> Option<Looked> {
        let looked = scan.map(|scan| match scan.content {
            Content::Picture(picture) => Looked { found: picture::detect_rgb(&picture), is_upright: true },
            Content::Volume(volume) => {
                let count = volume.num_slices(Axis::Axial);
                let window = gmai_imaging::window(&volume, WindowRule::default());
                let step = count.div_ceil(MAX_FRAMES).max(1);
                let planes =
                    (0..count).step_by(step).filter_map(|index| volume.plane(SliceRef { axis: Axis::Axial, index }));
                let frames: Vec<Grey> = planes.map(|plane| Grey::of(&gmai_imaging::render(&plane, window))).collect();
                // Planes are turned into patient orientation: boxes do not lie where the file has them.
                Looked { found: picture::detect(&frames), is_upright: false }
            }
        });
        self.count(looked.is_some());
        looked
    }

    fn count(&mut self, examined: bool) {
        self.report.pictures.examined += u64::from(examined);
        self.report.pictures.not_examined += u64::from(!examined);
    }

    fn flag(&mut self, name: &Path, found: &Found) {
        self.report.pictures.flagged += 1;
        let score = found.lines.first().map_or(0.0, |line| line.score);
        self.report.flagged.push(FlaggedPicture { file: name.display().to_string(), boxes: found.boxes(), score });
    }

    /// The name, or the first free one with a number: two names may have the same pseudonym parts.
    fn free_name(&mut self, name: &Path) -> PathBuf {
        let stem = name.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let ending = name.extension().map(|ending| format!(".{}", ending.to_string_lossy())).unwrap_or_default();
        let numbered = (1..).map(|number| match number {
            1 => name.to_path_buf(),
            number => name.with_file_name(format!("{stem}-{number}{ending}")),
        });
        let mut numbered = numbered.skip_while(|name| self.taken.contains(name));
        let free = numbered.next().expect("numbers do not end");
        self.taken.insert(free.clone());
        free
    }

    fn write(&self, name: &Path, bytes: &[u8]) -> Result<Outcome> {
        let path = self.job.out.join(name);
        let parent = path.parent().expect("a name below the output folder has a parent");
        fs::create_dir_all(parent).map_err(|error| Error::io(parent, error))?;
        fs::write(&path, bytes).map_err(|error| Error::io(&path, error))?;
        Ok(Outcome::Written(path))
    }

    /// Reads every written file again and searches it for the identifiers of all patients.
    fn second_reading(
        &mut self,
        outcomes: &mut BTreeMap<PathBuf, Outcome>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<()> {
        let all: BTreeSet<&Identifier> = self.patients.values().flatten().collect();
        let search = Search::new(all.iter().copied())?;
        self.report.residual.identifiers = all.len() as u64;
        let total = outcomes.len() as u64;
        for (done, outcome) in outcomes.values_mut().enumerate() {
            progress(Progress { phase: "read again".into(), done: done as u64 + 1, total, note: String::new() });
            let Outcome::Written(path) = outcome else { continue };
            let bytes = fs::read(&*path).map_err(|error| Error::io(path, error))?;
            self.report.residual.files += 1;
            let residue = if is_text_file(path) { search.in_header(&bytes) } else { search.in_file(&bytes) };
            if !residue.is_empty() {
                fs::remove_file(&*path).map_err(|error| Error::io(path, error))?;
                self.report.residual.files_with_findings += 1;
                *outcome = Outcome::Quarantined("an identifier of some patient stands in the finished file".into());
            }
        }
        Ok(())
    }

    fn finish(mut self, outcomes: BTreeMap<PathBuf, Outcome>) -> Result<Report> {
        let mut worklist = String::new();
        for (path, outcome) in &outcomes {
            let (what, detail) = match outcome {
                Outcome::Written(out) => {
                    self.report.written += 1;
                    ("written", out.strip_prefix(self.job.out).unwrap_or(out).display().to_string())
                }
                Outcome::LeftOut(reason) => {
                    *self.report.left_out.entry(reason.clone()).or_default() += 1;
                    ("left out", reason.clone())
                }
                Outcome::Quarantined(reason) => {
                    *self.report.quarantined.entry(reason.clone()).or_default() += 1;
                    ("quarantined", reason.clone())
                }
            };
            worklist.push_str(&format!("{}\t{what}\t{detail}\n", path.display()));
        }
        self.report.patients = self.patients.len() as u64;
        self.report.not_covered = not_covered(self.job.profile);
        if let Some(path) = self.job.worklist {
            write_private(path, &worklist)?;
        }
        for (name, text) in [("deid-report.json", self.report.json()?), ("deid-report.html", self.report.html()?)] {
            let path = self.job.out.join(name);
            fs::write(&path, text).map_err(|error| Error::io(&path, error))?;
        }
        Ok(self.report)
    }
}

struct Looked {
    found: Found,
    /// Whether boxes lie where the file has its pixels.
    is_upright: bool,
}

fn dicom_name(cleaned: &dicom::Deidentified, bytes: &[u8], key_file: &KeyFile) -> String {
    let uid = cleaned.instance_uid.clone();
    let uid = if uid.is_empty() { crate::key::hex(&key_file.key().hash("file", bytes)[..16]) } else { uid };
    format!("{uid}.dcm")
}

/// The kind of an error, without a word of the file's own.
fn kind_of(error: &Error) -> &'static str {
    match error {
        Error::Truncated { .. } => "truncated",
        Error::Malformed { .. } => "malformed",
        Error::TooLarge { .. } => "too large",
        Error::Unsupported { .. } => "not supported",
        _ => "failed",
    }
}

fn png_of(picture: &gmai_schema::Rgb8) -> Result<Vec<u8>> {
    let buffer = image::RgbImage::from_raw(picture.width(), picture.height(), picture.pixels().to_vec());
    let buffer = buffer.expect("a picture has the size it says");
    let mut bytes = std::io::Cursor::new(Vec::new());
    buffer.write_to(&mut bytes, image::ImageFormat::Png).map_err(|error| Error::Picture(error.to_string()))?;
    Ok(bytes.into_inner())
}

fn not_covered(profile: &Profile) -> Vec<String> {
    let mut lines = vec![
        "Faces can be rebuilt from head CT and MR; no defacing is done.".to_string(),
        "Burned-in text is found by its form: the detector's misses and false alarms are in docs/deid.md.".to_string(),
        "Identifiers in report texts are found by rules and lexicons: recall by kind is in docs/deid.md.".to_string(),
        "Rare diseases, implants, tattoos and the like can identify a person; nobody looked for them.".to_string(),
    ];
    if profile.burned_in == BurnedIn::Flag {
        lines.push("Flagged pictures were written as they are: a person must look at them.".into());
    }
    lines
}

#[cfg(unix)]
fn write_private(path: &Path, text: &str) -> Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| Error::io(path, error))
}

#[cfg(not(unix))]
fn write_private(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|error| Error::io(path, error))
}
