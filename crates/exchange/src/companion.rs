//! `gmai_export.json` beside exported files: what the dataset was, so that an import can give back the very same one.

use crate::{Error, Result, digest};
use gmai_shard::Manifest;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Name of the companion file.
pub(crate) const COMPANION_FILE: &str = "gmai_export.json";
/// The dataset's quarantine, beside the companion.
pub(crate) const QUARANTINE_FILE: &str = "gmai_quarantine.jsonl";
/// The dataset's card, beside the companion.
pub(crate) const CARD_FILE: &str = "card.md";

/// A file of an export whose bytes tell whether it was edited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportedFile {
    /// Path in the export, `/` between parts.
    pub(crate) file: String,
    /// Rows in it.
    pub(crate) rows: u64,
    /// SHA-256 of its bytes.
    pub(crate) sha256: String,
}

/// What was exported.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Companion {
    /// Key of the format.
    pub(crate) format: String,
    /// Whether every row of the dataset is there.
    pub(crate) is_whole: bool,
    /// Files with text, in the order in which rows are read back.
    pub(crate) files: Vec<ExportedFile>,
    /// The dataset's manifest.
    pub(crate) manifest: Manifest,
}

impl Companion {
    /// Writes the companion file into `folder`.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(COMPANION_FILE);
        let text = serde_json::to_string_pretty(self).expect("a manifest has only text keys");
        std::fs::write(&path, text + "\n").map_err(Error::io(path))
    }

    /// The companion in `folder`, if there is one.
    pub(crate) fn read(folder: &Path) -> Result<Option<Companion>> {
        let path = folder.join(COMPANION_FILE);
        if !path.is_file() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
        let remedy =
            |error| Error::bad_file(&path, "JSON", format!("{error}; export again, or delete it to import the rest"));
        serde_json::from_str(&text).map(Some).map_err(remedy)
    }

    /// Whether no file was edited since the export.
    pub(crate) fn is_untouched(&self, folder: &Path) -> Result<bool> {
        for exported in &self.files {
            let path = folder.join(&exported.file);
            if !path.is_file() || digest::of_file(&path)? != exported.sha256 {
                return Ok(false);
            }
        }
        Ok(self.is_whole)
    }
}
