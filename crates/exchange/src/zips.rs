//! Pictures that lie in zip files beside the annotations.

use crate::{Error, Result, picture};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use zip::ZipArchive;

/// The zips of an import. Memory holds their directories, some hundred bytes a member.
#[derive(Default)]
pub(crate) struct Zips {
    archives: Vec<(PathBuf, ZipArchive<BufReader<File>>)>,
}

impl Zips {
    /// Opens every `*.zip` of `folder` and of its folder `zips`.
    pub(crate) fn open(folder: &Path) -> Result<Zips> {
        let mut paths = Vec::new();
        for folder in [folder.to_path_buf(), folder.join("zips")] {
            let Ok(entries) = std::fs::read_dir(&folder) else { continue };
            for entry in entries {
                let path = entry.map_err(Error::io(&folder))?.path();
                if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("zip")) && path.is_file() {
                    paths.push(path);
                }
            }
        }
        paths.sort();
        let mut zips = Zips::default();
        for path in paths {
            let file = BufReader::new(File::open(&path).map_err(Error::io(&path))?);
            let archive =
                ZipArchive::new(file).map_err(|error| Error::archive(&path, format!("{error}; fetch it again")))?;
            zips.archives.push((path, archive));
        }
        Ok(zips)
    }

    /// The bytes of the member that `name` means: `name` itself, or without the leading `images/`; `None` when no zip has it.
    pub(crate) fn read(&mut self, name: &str) -> Option<std::result::Result<Vec<u8>, String>> {
        let bare = name.strip_prefix("images/").unwrap_or(name);
        for (path, archive) in &mut self.archives {
            let index = [bare, name].into_iter().find_map(|name| archive.index_for_name(name));
            if let Some(index) = index {
                let member = archive.by_index(index).map_err(|error| error.to_string());
                let bytes = member.and_then(picture::read_limited);
                return Some(bytes.map_err(|reason| format!("{}, {bare}: {reason}", path.display())));
            }
        }
        None
    }
}
