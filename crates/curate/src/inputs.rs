//! The files of a source, their hashes, and one hash over all of them.

use crate::{Error, Result};
use gmai_schema::Progress;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
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
    hashes: BTreeMap<String, String>,
}

/// Lower-case hex of the SHA-256 of several parts, each preceded by its length so that none can run into the next.
pub(crate) fn hash_of(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Inputs {
    /// Some of the files of a folder, for those who look at a few of them.
    pub(crate) fn some(root: &Path, files: BTreeSet<String>) -> Inputs {
        Inputs { root: root.to_path_buf(), files, unreadable_names: Vec::new(), hashes: BTreeMap::new() }
    }

    /// Lists the files below `root`.
    pub(crate) fn list(root: &Path) -> Result<Inputs> {
        let mut inputs = Inputs {
            root: root.to_path_buf(),
            files: BTreeSet::new(),
            unreadable_names: Vec::new(),
            hashes: BTreeMap::new(),
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
        let files: Vec<&String> = self.files.iter().collect();
        let mut hashes = BTreeMap::new();
        let total = files.len() as u64;
        let report = |done| Progress { phase: phase.to_string(), done, total, note: String::new() };
        on_progress(report(0));
        for chunk in files.chunks(FILES_PER_REPORT) {
            let done: Vec<(String, String)> = chunk
                .par_iter()
                .map(|file| {
                    let hash = gmai_imaging::sha256_file(&self.root.join(file));
                    ((*file).clone(), hash.unwrap_or_else(|_| "unreadable".to_string()))
                })
                .collect();
            hashes.extend(done);
            on_progress(report(hashes.len() as u64));
        }
        self.hashes = hashes;
    }

    /// One hash over all paths and contents.
    pub(crate) fn total_hash(&self) -> String {
        let parts: Vec<&str> = self.hashes.iter().flat_map(|(file, hash)| [file.as_str(), hash.as_str()]).collect();
        hash_of(&parts)
    }
}
