//! Writes JSON objects to a file one by one, as a list or one a line.

use crate::companion::ExportedFile;
use crate::{Error, Result, digest};
use serde_json::Value;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// How objects stand in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// A JSON list.
    List,
    /// One object a line.
    Lines,
}

/// A file under construction.
pub(crate) struct ItemFile {
    name: String,
    path: PathBuf,
    file: BufWriter<File>,
    layout: Layout,
    rows: u64,
}

impl ItemFile {
    /// Begins the file `name` in `folder`, with the folders that lead to it.
    pub(crate) fn create(folder: &Path, name: &str, layout: Layout) -> Result<ItemFile> {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(Error::io(parent))?;
        }
        let file = BufWriter::new(File::create(&path).map_err(Error::io(&path))?);
        Ok(ItemFile { name: name.to_string(), path, file, layout, rows: 0 })
    }

    /// Objects written so far.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Writes one object.
    pub(crate) fn push(&mut self, value: &Value) -> Result<()> {
        let before = match (self.layout, self.rows) {
            (Layout::List, 0) => "[\n",
            (Layout::List, _) => ",\n",
            (Layout::Lines, 0) => "",
            (Layout::Lines, _) => "\n",
        };
        self.rows += 1;
        let written = self.file.write_all(before.as_bytes());
        written.map_err(Error::io(&self.path))?;
        serde_json::to_writer(&mut self.file, value).map_err(|error| Error::io(&self.path)(error.into()))
    }

    /// Closes the file.
    pub(crate) fn finish(mut self) -> Result<ExportedFile> {
        let end = match (self.layout, self.rows) {
            (Layout::List, 0) => "[]\n",
            (Layout::List, _) => "\n]\n",
            (Layout::Lines, 0) => "",
            (Layout::Lines, _) => "\n",
        };
        self.file.write_all(end.as_bytes()).and_then(|()| self.file.flush()).map_err(Error::io(&self.path))?;
        Ok(ExportedFile { file: self.name, rows: self.rows, sha256: digest::of_file(&self.path)? })
    }
}
