//! The files below a folder, and which of them are decoded when there are many.

use super::FileNote;
use super::files::split;
use crate::{Error, Result};
use gmai_imaging::FileKind;
use std::collections::BTreeMap;
use std::path::Path;

/// A regular file.
pub(super) struct Entry {
    /// Relative to the folder, `/` between parts.
    pub path: String,
    pub bytes: u64,
    /// Whether the name could be written as it is.
    pub is_utf8: bool,
}

/// What a walk gave.
pub(super) struct Found {
    /// Sorted by path.
    pub entries: Vec<Entry>,
    pub links_not_followed: u64,
    pub left_out: u64,
    pub unreadable: Vec<FileNote>,
}

/// Folders that belong to other programs: their files are no data of the user's.
const FOREIGN: [&str; 6] = [".git", ".svn", ".hg", "__MACOSX", ".ipynb_checkpoints", "@eaDir"];

/// Folders nested deeper than this are not searched: no archive is, and a loop of mounts would be.
const MAX_DEPTH: usize = 64;

/// Lists the files. Links to files count as files; links to folders are not followed, so that no loop is walked.
pub(super) fn walk(dir: &Path) -> Result<Found> {
    let mut found = Found { entries: Vec::new(), links_not_followed: 0, left_out: 0, unreadable: Vec::new() };
    let mut walker = walkdir::WalkDir::new(dir).follow_links(false).max_depth(MAX_DEPTH).into_iter();
    while let Some(entry) = walker.next() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let path = error.path().unwrap_or(dir).to_path_buf();
                if path == dir {
                    return Err(Error::Io { path, source: error.into() });
                }
                let reason = format!("{error}; it cannot be opened");
                found.unreadable.push(FileNote { path: relative(dir, &path).0, reason });
                continue;
            }
        };
        let name = entry.file_name().to_string_lossy();
        if entry.depth() > 0 && entry.file_type().is_dir() && FOREIGN.contains(&name.as_ref()) {
            walker.skip_current_dir();
            found.left_out += count_files(entry.path());
            continue;
        }
        let is_link = entry.path_is_symlink();
        let facts = if is_link { std::fs::metadata(entry.path()).ok() } else { entry.metadata().ok() };
        match facts {
            Some(facts) if facts.is_file() => {
                let (path, is_utf8) = relative(dir, entry.path());
                found.entries.push(Entry { path, bytes: facts.len(), is_utf8 });
            }
            Some(facts) if is_link && facts.is_dir() && entry.depth() > 0 => found.links_not_followed += 1,
            None if is_link => {
                let reason = "a link to a file that is not there; fetch the file or remove the link".to_owned();
                found.unreadable.push(FileNote { path: relative(dir, entry.path()).0, reason });
            }
            _ => {}
        }
    }
    found.entries.sort_by(|a, b| a.path.cmp(&b.path));
    found.unreadable.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn relative(dir: &Path, path: &Path) -> (String, bool) {
    let relative = path.strip_prefix(dir).unwrap_or(path);
    let parts: Vec<_> = relative.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    (parts.join("/"), relative.to_str().is_some())
}

fn count_files(dir: &Path) -> u64 {
    let entries = walkdir::WalkDir::new(dir).follow_links(false).into_iter().filter_map(std::result::Result::ok);
    entries.filter(|entry| entry.file_type().is_file()).count() as u64
}

/// What decoding a volume costs, in pictures.
const VOLUME_COST: u64 = 20;

/// Which files are decoded: all images, or of each folder evenly spread ones when they cost more than `most` pictures.
pub(super) fn choose(
    folders: &[&str],
    kinds: &[std::result::Result<Option<FileKind>, String>],
    most: u64,
) -> Vec<bool> {
    let cost = |kind: &std::result::Result<Option<FileKind>, String>| match kind {
        Ok(Some(FileKind::Nifti | FileKind::Nrrd | FileKind::MetaImage)) => VOLUME_COST,
        Ok(Some(_)) => 1,
        _ => 0,
    };
    let total: u64 = kinds.iter().map(cost).sum();
    if total <= most {
        return kinds.iter().map(|kind| cost(kind) > 0).collect();
    }
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    let mut chosen = Vec::with_capacity(kinds.len());
    for (folder, kind) in folders.iter().zip(kinds) {
        if cost(kind) == 0 || most == 0 {
            chosen.push(false);
            continue;
        }
        let before = seen.entry(folder).or_default();
        let share = |count: u64| u128::from(count) * u128::from(most) / u128::from(total);
        chosen.push(share(*before + 1) > share(*before) || *before == 0);
        *before += 1;
    }
    chosen
}

/// Words by which parts of an official split are known.
pub(super) fn split_part(path: &str) -> Option<&'static str> {
    let part = |folder: &str| {
        folder.split(|letter: char| !letter.is_alphabetic()).find_map(|word| match word.to_lowercase().as_str() {
            "train" | "training" | "tr" => Some("train"),
            "test" | "testing" | "ts" => Some("test"),
            "val" | "valid" | "validation" | "dev" => Some("validation"),
            _ => None,
        })
    };
    split(path).0.split('/').find_map(part)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn large_folders_are_sampled_evenly_and_small_ones_not_forgotten() {
        let folders: Vec<&str> = (0..1000).map(|index| if index < 990 { "large" } else { "small" }).collect();
        let kinds: Vec<_> = (0..1000).map(|_| Ok(Some(FileKind::Png))).collect();
        assert!(choose(&folders, &kinds, 1000).iter().all(|chosen| *chosen));
        let chosen = choose(&folders, &kinds, 100);
        let count = chosen.iter().filter(|chosen| **chosen).count();
        assert!((99..=102).contains(&count), "{count}");
        assert!(chosen[990..].iter().any(|chosen| *chosen) && chosen[450..470].iter().any(|chosen| *chosen));
        assert!(choose(&folders, &kinds, 0).iter().all(|chosen| !chosen));
    }

    #[test]
    fn parts_of_a_split_are_told_by_folders() {
        assert_eq!(split_part("ISIC-2017_Training_Data/a.jpg"), Some("train"));
        assert_eq!(split_part("ISIC-2017_Test_v2_Data/a.jpg"), Some("test"));
        assert_eq!(split_part("valid/x/a.jpg"), Some("validation"));
        assert_eq!(split_part("latest/train.jpg"), None);
    }
}
