//! Which shards of an unfinished dataset are whole: one line each, added when a shard has its name.

use crate::hashing::sha256_file;
use crate::{Error, Result, ShardFile};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The list of whole shards.
pub(crate) struct Finished {
    path: PathBuf,
    file: File,
    shards: Vec<ShardFile>,
}

impl Finished {
    /// Reads the list at `path` as far as the shards in `folder` are what it says, and goes on from there.
    ///
    /// A shard counts only when all of its split before it do, since rows are counted from the first.
    pub(crate) fn open(folder: &Path, path: &Path) -> Result<Finished> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Error::io(path)(error)),
        };
        let mut shards: Vec<ShardFile> = Vec::new();
        for line in text.lines() {
            // A line that the end of the run tore is the last one.
            let Ok(shard) = serde_json::from_str::<ShardFile>(line) else { break };
            let number = shards.iter().filter(|other| other.split == shard.split).count();
            let is_next = shard.file == format!("{}-{number:05}.parquet", shard.split.key());
            if is_next && sha256_file(&folder.join(&shard.file)).is_ok_and(|sha256| sha256 == shard.sha256) {
                shards.push(shard);
            }
        }
        let mut finished = Finished {
            file: File::create(path).map_err(Error::io(path))?,
            path: path.to_path_buf(),
            shards: Vec::new(),
        };
        shards.iter().try_for_each(|shard| finished.add(shard))?;
        Ok(finished)
    }

    /// The whole shards.
    pub(crate) fn shards(&self) -> &[ShardFile] {
        &self.shards
    }

    /// Notes that a shard is whole.
    pub(crate) fn add(&mut self, shard: &ShardFile) -> Result<()> {
        let mut line = serde_json::to_string(shard).expect("a shard has only text keys");
        line.push('\n');
        self.file.write_all(line.as_bytes()).map_err(Error::io(&self.path))?;
        self.shards.push(shard.clone());
        Ok(())
    }
}
