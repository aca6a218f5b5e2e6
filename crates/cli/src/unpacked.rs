//! Archives that lie in a folder: found by content, and unpacked where the user says so.

use crate::progress::Bars;
use anyhow::{Context, Result, bail};
use gmai_archive::{Kind, Limits, Unpacked};
use gmai_schema::Progress;
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};

/// An archive, and what came out of it.
#[derive(Debug, Serialize)]
pub struct Archive {
    /// The file.
    pub path: PathBuf,
    /// Its format.
    pub kind: &'static str,
    /// Its length in bytes.
    pub bytes: u64,
    /// Why it was not unpacked, or what was left out.
    pub notes: Vec<String>,
    /// The folder that it became; absent when it was not unpacked.
    pub folder: Option<PathBuf>,
}

/// Folders nested deeper than this are not searched.
const MAX_DEPTH: usize = 32;

/// The archives below a folder, or the one that `place` itself is; sorted. Links are not followed.
pub fn find(place: &Path) -> Result<Vec<Archive>> {
    let mut found = Vec::new();
    search(place, 0, &mut found)?;
    Ok(found)
}

fn search(place: &Path, depth: usize, found: &mut Vec<Archive>) -> Result<()> {
    let facts = fs::symlink_metadata(place).with_context(|| place.display().to_string())?;
    if facts.is_dir() && depth < MAX_DEPTH {
        let entries = fs::read_dir(place).with_context(|| place.display().to_string())?;
        let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
        paths.sort();
        return paths.iter().try_for_each(|path| search(path, depth + 1, found));
    }
    // A file that cannot be opened is the inventory's to report.
    if facts.is_file()
        && let Ok(Some(kind)) = gmai_archive::sniff(place)
    {
        let path = place.to_path_buf();
        found.push(Archive { path, kind: kind.key(), bytes: facts.len(), notes: Vec::new(), folder: None });
    }
    Ok(())
}

/// Unpacks each archive into a folder of its own below `into`, named after its path below `root`. One that is refused has a
/// note and the next goes on.
pub fn unpack(archives: &mut [Archive], root: &Path, into: &Path) -> Result<()> {
    let mut bars = Bars::default();
    for archive in archives {
        let below = archive.path.strip_prefix(root).ok().filter(|path| !path.as_os_str().is_empty());
        let name = below.or(archive.path.file_name().map(Path::new)).context("the archive has no name")?;
        let folder = into.join(name);
        if folder.is_dir() {
            bail!("{}: exists already; remove it or give another --unpack", folder.display());
        }
        let phase = format!("unpack {}", name.display());
        let total = archive.bytes;
        let mut show = |done: u64| {
            bars.show(Progress { phase: phase.clone(), done: done.min(total), total, note: String::new() });
        };
        show(0);
        match gmai_archive::unpack(&archive.path, &folder, &Limits::default(), &mut show) {
            Ok(Unpacked { left_out, .. }) => {
                archive.notes.extend(left_out.into_iter().map(|entry| format!("{}: {}", entry.name, entry.reason)));
                archive.folder = Some(folder);
            }
            Err(error) => archive.notes.push(error.to_string()),
        }
        show(total);
    }
    Ok(())
}

/// Whether a file is an archive.
pub fn is_archive(path: &Path) -> Result<bool> {
    let kind: Option<Kind> = if path.is_file() { gmai_archive::sniff(path)? } else { None };
    Ok(kind.is_some())
}
