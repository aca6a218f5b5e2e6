//! Encoded pictures on their way from reading to writing: the split is known only after all pictures were compared, and memory does
//! not hold them that long.

use crate::{Error, Result};
use gmai_shard::EncodedImage;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A temporary file of pictures, removed when dropped.
pub(crate) struct Spool {
    path: PathBuf,
    file: File,
    end: u64,
}

/// Where a picture lies in the spool.
#[derive(Debug, Clone)]
pub(crate) struct Spooled {
    key: String,
    start: u64,
    length: usize,
}

impl Spool {
    /// An empty spool in `folder`; one that an interrupted run left there is overwritten.
    pub(crate) fn create(folder: &Path) -> Result<Spool> {
        let path = folder.join("pictures.partial");
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path);
        Ok(Spool { file: file.map_err(Error::io(&path))?, path, end: 0 })
    }

    /// Adds a picture.
    pub(crate) fn put(&mut self, picture: EncodedImage) -> Result<Spooled> {
        self.file.seek(SeekFrom::Start(self.end)).map_err(Error::io(&self.path))?;
        self.file.write_all(&picture.bytes).map_err(Error::io(&self.path))?;
        let spooled = Spooled { key: picture.path, start: self.end, length: picture.bytes.len() };
        self.end += picture.bytes.len() as u64;
        Ok(spooled)
    }

    /// Gives a picture back.
    pub(crate) fn get(&mut self, spooled: &Spooled) -> Result<EncodedImage> {
        let mut bytes = vec![0; spooled.length];
        self.file.seek(SeekFrom::Start(spooled.start)).map_err(Error::io(&self.path))?;
        self.file.read_exact(&mut bytes).map_err(Error::io(&self.path))?;
        Ok(EncodedImage { bytes, path: spooled.key.clone() })
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // Failing to remove it does no harm: the next run overwrites it, and readers go by the manifest.
        let _ = std::fs::remove_file(&self.path);
    }
}
