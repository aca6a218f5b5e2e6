//! Rows on their way in, as a format gives them, before anything is checked.

use crate::companion::{COMPANION_FILE, QUARANTINE_FILE};
use crate::items::{Item, Items};
use crate::receiver::Receiver;
use crate::{Error, Result};
use gmai_schema::{Modality, Split, Turn};
use serde_json::Value;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// Files beside annotations that hold none.
const OTHER_FILES: [&str; 3] = [COMPANION_FILE, QUARANTINE_FILE, "dataset_info.json"];

/// A picture as a row names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Picture {
    /// A path below the folder of pictures.
    Named(String),
    /// The bytes of a file.
    Inline(Vec<u8>),
}

/// A row as a format gives it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Incoming {
    /// The file it stands in, relative to what is imported.
    pub(crate) file: String,
    /// Where in the file.
    pub(crate) place: String,
    /// The format's own id.
    pub(crate) id: Option<String>,
    pub(crate) turns: Vec<Turn>,
    pub(crate) images: Vec<Picture>,
    /// Text of the side field; only our own exports have one.
    pub(crate) side: Option<String>,
    /// The split that the file stands for.
    pub(crate) split: Option<Split>,
    /// The source, where the format tells.
    pub(crate) source: Option<String>,
    /// The modality, where the format tells.
    pub(crate) modality: Option<Modality>,
    /// Whether the answer describes the whole picture.
    pub(crate) is_caption: bool,
    /// Whether a sampling ratio leaves it out.
    pub(crate) is_left_out: bool,
}

/// A defective row, or a part of a format that cannot be read.
#[derive(Debug, Clone)]
pub(crate) struct Defect {
    pub(crate) file: String,
    pub(crate) place: String,
    pub(crate) reason: String,
    pub(crate) remedy: String,
}

impl Defect {
    /// A defect of one row.
    pub(crate) fn of_row(file: &str, place: impl Into<String>, reason: impl Into<String>) -> Defect {
        let remedy = "correct the row and import again".to_string();
        Defect { file: file.to_string(), place: place.into(), reason: reason.into(), remedy }
    }
}

/// The files of an import.
pub(crate) struct Reading {
    /// The folder that their names are relative to.
    pub(crate) root: PathBuf,
    /// Names, `/` between parts, in order.
    pub(crate) files: Vec<String>,
}

impl Reading {
    /// A JSON file, or the JSON files that lie in a folder.
    pub(crate) fn find(source: &Path, expected: &'static str) -> Result<Reading> {
        Reading::find_with(source, expected, &["json", "jsonl"])
    }

    /// A file, or the files with these endings that lie in a folder.
    pub(crate) fn find_with(source: &Path, expected: &'static str, endings: &[&str]) -> Result<Reading> {
        if source.is_file() {
            let name = source.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let root = source.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            return Ok(Reading { root: root.to_path_buf(), files: vec![name] });
        }
        let mut files = Vec::new();
        for entry in std::fs::read_dir(source).map_err(Error::io(source))? {
            let path = entry.map_err(Error::io(source))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
            if path.is_file() && endings.contains(&ending.as_str()) && !OTHER_FILES.contains(&name.as_str()) {
                files.push(name);
            }
        }
        files.sort();
        match files.is_empty() {
            true => Err(Error::NoFiles { path: source.to_path_buf(), expected }),
            false => Ok(Reading { root: source.to_path_buf(), files }),
        }
    }

    /// The same files, with names relative to `folder`, which holds the reading's own.
    pub(crate) fn seen_from(self, folder: &Path) -> Reading {
        let prefix = self.root.strip_prefix(folder).unwrap_or(Path::new("")).to_string_lossy().into_owned();
        let files = self.files.into_iter().map(|file| format!("{prefix}/{file}")).collect();
        Reading { root: folder.to_path_buf(), files }
    }

    /// Named files below `root`.
    pub(crate) fn of_files(root: &Path, files: Vec<String>) -> Reading {
        Reading { root: root.to_path_buf(), files }
    }

    /// Gives every item of a JSON file to `receiver`, as `parse` reads it.
    pub(crate) fn items(
        &self,
        file: &str,
        receiver: &mut Receiver,
        parse: &mut dyn FnMut(Value) -> std::result::Result<Incoming, String>,
    ) -> Result<()> {
        let path = self.root.join(file);
        let reader = BufReader::new(File::open(&path).map_err(Error::io(&path))?);
        for (index, item) in Items::new(reader).enumerate() {
            let place = format!("row {}", index + 1);
            let row = match item.map_err(Error::io(&path))? {
                Item::Value(value) => parse(value),
                Item::Bad(reason) => Err(reason),
            };
            match row {
                Ok(row) => receiver.row(Incoming { file: file.to_string(), place, ..row })?,
                Err(reason) => receiver.defect(Defect::of_row(file, place, reason))?,
            }
        }
        Ok(())
    }
}
