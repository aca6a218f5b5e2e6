//! A folder that appears whole or not at all.

use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// A folder under construction beside its place.
pub(crate) struct Staging {
    partial: PathBuf,
    out: PathBuf,
}

impl Staging {
    /// Begins a folder that is to stand at `out`. What an interrupted run left is removed; an existing `out` is refused unless empty.
    pub(crate) fn create(out: &Path) -> Result<Staging> {
        let is_empty = |mut entries: std::fs::ReadDir| entries.next().is_none();
        if out.exists() && !std::fs::read_dir(out).is_ok_and(is_empty) {
            return Err(Error::Exists { path: out.to_path_buf() });
        }
        let name = out.file_name().ok_or_else(|| Error::Exists { path: out.to_path_buf() })?;
        let partial = out.with_file_name(format!(".{}.partial", name.to_string_lossy()));
        if partial.exists() {
            std::fs::remove_dir_all(&partial).map_err(Error::io(&partial))?;
        }
        std::fs::create_dir_all(&partial).map_err(Error::io(&partial))?;
        Ok(Staging { partial, out: out.to_path_buf() })
    }

    /// Where to write until it is finished.
    pub(crate) fn folder(&self) -> &Path {
        &self.partial
    }

    /// Puts the folder into its place.
    pub(crate) fn finish(self) -> Result<()> {
        if self.out.exists() {
            std::fs::remove_dir(&self.out).map_err(Error::io(&self.out))?;
        }
        std::fs::rename(&self.partial, &self.out).map_err(Error::io(&self.out))
    }
}
