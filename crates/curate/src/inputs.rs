//! The files of a source, their hashes, and one hash over all of them.

use crate::{Error, Result};
use gmai_schema::Progress;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Files hashed between two reports of progress.
const FILES_PER_REPORT: usize = 256;

/// The files below a source's root.
pub(crate) struct Inputs {
    root: PathBuf,
    /// Paths relative to the root, `/` between parts, sorted.
    pub(crate) files: BTreeSet<String>,
    /// Names that are not valid UTF-8, as far as they can be shown.
    pub(crate) unreadable_names: Vec<String>,
    total_hash: String,
}

/// Lower-case hex of the SHA-256 of several parts, each preceded by its length so that none can run into the next.
pub(crate) fn hash_of(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    parts.iter().for_each(|part| add_part(&mut hasher, part));
    hex(hasher)
}

fn add_part(hasher: &mut Sha256, part: &str) {
    hasher.update((part.len() as u64).to_le_bytes());
    hasher.update(part);
}

fn hex(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Inputs {
    /// Some of the files of a folder, for those who look at a few of them.
    pub(crate) fn some(root: &Path, files: BTreeSet<String>) -> Inputs {
        Inputs { root: root.to_path_buf(), files, unreadable_names: Vec::new(), total_hash: String::new() }
    }

    /// Lists the files below `root`.
    pub(crate) fn list(root: &Path) -> Result<Inputs> {
        let mut inputs = Inputs {
            root: root.to_path_buf(),
            files: BTreeSet::new(),
            unreadable_names: Vec::new(),
            total_hash: String::new(),
        };
        for entry in walkdir::WalkDir::new(root).follow_links(true) {
            let entry = entry.map_err(|error| {
                let path = error.path().unwrap_or(root).to_path_buf();
                Error::io(path)(error.into())
            })?;
            if !entry.file_type().is_file() {
                continue;
            }
            let relative = entry.path().strip_prefix(root).expect("walkdir stays below its root");
            match relative.to_str() {
                Some(name) => inputs.files.insert(name.replace(std::path::MAIN_SEPARATOR, "/")),
                None => {
                    inputs.unreadable_names.push(relative.to_string_lossy().into_owned());
                    false
                }
            };
        }
        inputs.unreadable_names.sort();
        Ok(inputs)
    }

    /// Where a file lies.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.root.join(file)
    }

    /// The source's folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Hashes the contents of all files. A file that cannot be read gets a hash of its own kind; reading it fails later, with a line.
    pub(crate) fn hash(&mut self, phase: &str, on_progress: &mut dyn FnMut(Progress)) {
        let mut total = Sha256::new();
        let (mut done, num_files) = (0, self.files.len() as u64);
        let report = |done| Progress { phase: phase.to_string(), done, total: num_files, note: String::new() };
        on_progress(report(0));
        let mut files = self.files.iter();
        loop {
            let chunk: Vec<&String> = files.by_ref().take(FILES_PER_REPORT).collect();
            if chunk.is_empty() {
                break;
            }
            let hashes: Vec<String> = chunk
                .par_iter()
                .map(|file| {
                    gmai_imaging::sha256_file(&self.root.join(file)).unwrap_or_else(|_| "unreadable".to_string())
                })
                .collect();
            for (file, hash) in chunk.iter().zip(&hashes) {
                add_part(&mut total, file);
                add_part(&mut total, hash);
            }
            done += chunk.len() as u64;
            on_progress(report(done));
        }
        self.total_hash = hex(total);
    }

    /// One hash over all paths and contents.
    pub(crate) fn total_hash(&self) -> &str {
        &self.total_hash
    }
}
