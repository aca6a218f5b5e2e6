//! The folder that an archive becomes: made beside its final place, filled, then renamed. It is finished or not there.

use crate::budget::{Budget, Limits};
use crate::{Error, Result, name, tar, zip};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// A format that is unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Zip, entries stored or deflated.
    Zip,
    /// Tar.
    Tar,
    /// Tar within gzip.
    TarGz,
}

impl Kind {
    /// The key written in reports.
    pub fn key(self) -> &'static str {
        match self {
            Kind::Zip => "zip",
            Kind::Tar => "tar",
            Kind::TarGz => "tar.gz",
        }
    }
}

/// What came out of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    /// Its format.
    pub kind: Kind,
    /// Files written.
    pub num_files: u64,
    /// Their bytes.
    pub num_bytes: u64,
    /// Entries that were not written.
    pub left_out: Vec<LeftOut>,
}

/// An entry that was not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// Bytes of a tar header; the magic stands at 257.
const HEAD_BYTES: u64 = 512;

/// The kind of archive, told by content; `None` for any other file (a gzip file with something else than tar included).
pub fn sniff(path: &Path) -> Result<Option<Kind>> {
    let mut head = Vec::new();
    File::open(path).and_then(|file| file.take(2 * HEAD_BYTES).read_to_end(&mut head)).map_err(Error::io(path))?;
    let is_tar = |head: &[u8]| head.get(257..262) == Some(b"ustar");
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        return Ok(Some(Kind::Zip));
    }
    if head.starts_with(&[0x1F, 0x8B]) {
        let mut inner = Vec::new();
        // The head is cut off in mid-stream: an error after enough bytes is expected.
        let _ = flate2::read::GzDecoder::new(head.as_slice()).take(HEAD_BYTES).read_to_end(&mut inner);
        return Ok(is_tar(&inner).then_some(Kind::TarGz));
    }
    Ok(is_tar(&head).then_some(Kind::Tar))
}

/// Unpacks `archive` into `folder`, which must not exist yet; `on_progress` is told how many bytes of the archive were used.
///
/// Links, devices and encrypted entries are left out and listed. An archive that is refused leaves nothing behind.
pub fn unpack(archive: &Path, folder: &Path, limits: &Limits, on_progress: &mut dyn FnMut(u64)) -> Result<Unpacked> {
    let kind = sniff(archive)?.ok_or_else(|| Error::NotAnArchive { path: archive.into() })?;
    if folder.symlink_metadata().is_ok() {
        return Err(Error::Exists { path: folder.into() });
    }
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent).map_err(Error::io(parent))?;
    }
    let staging = Staging::create(folder)?;
    let mut sink = Sink {
        archive,
        root: &staging.path,
        budget: Budget::new(archive, limits),
        num_files: 0,
        left_out: Vec::new(),
        on_progress,
    };
    match kind {
        Kind::Zip => zip::unpack(archive, &mut sink)?,
        Kind::Tar | Kind::TarGz => tar::unpack(archive, kind, &mut sink)?,
    }
    let Sink { budget, num_files, left_out, .. } = sink;
    let num_bytes = budget.num_bytes();
    fs::rename(&staging.path, folder).map_err(Error::io(folder))?;
    Ok(Unpacked { kind, num_files, num_bytes, left_out })
}

/// A folder that is removed unless it was renamed.
struct Staging {
    path: PathBuf,
}

impl Staging {
    /// Makes a new folder beside `folder`: whatever lies there under that name is not ours, so it is an error.
    fn create(folder: &Path) -> Result<Staging> {
        let mut name = folder.file_name().unwrap_or_default().to_os_string();
        name.push(".unpacking");
        let path = folder.with_file_name(name);
        match fs::create_dir(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(Error::Exists { path }),
            made => made.map_err(Error::io(&path)).map(|()| Staging { path }),
        }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // After the rename there is nothing; before it, what cannot be removed is seen by the next run (`Exists`).
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Where entries go.
pub(crate) struct Sink<'a> {
    pub(crate) archive: &'a Path,
    root: &'a Path,
    pub(crate) budget: Budget<'a>,
    num_files: u64,
    left_out: Vec<LeftOut>,
    on_progress: &'a mut dyn FnMut(u64),
}

/// Entries that are listed by name; more are an attack or a mistake, and are only counted.
const MAX_LEFT_OUT: usize = 10_000;

impl Sink<'_> {
    /// The place of an entry below the folder. Its folders are made; none of them can be a link, for no link is ever made.
    fn place(&self, entry: &[u8]) -> Result<Option<PathBuf>> {
        let parts = name::parts(entry).map_err(|reason| Error::Name {
            path: self.archive.into(),
            entry: name::readable(&entry[..entry.len().min(200)]),
            reason,
        })?;
        let Some((last, folders)) = parts.split_last() else { return Ok(None) };
        let folder = folders.iter().fold(self.root.to_path_buf(), |path, part| path.join(part));
        fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        Ok(Some(folder.join(last)))
    }

    /// Makes a folder.
    pub(crate) fn folder(&mut self, entry: &[u8]) -> Result<()> {
        let Some(path) = self.place(entry)? else { return Ok(()) };
        fs::create_dir_all(&path).map_err(Error::io(&path))
    }

    /// Writes a file from `content`; `consumed` tells how many bytes of the archive were read by now. Gives its length.
    pub(crate) fn file(&mut self, entry: &[u8], content: &mut dyn Read, consumed: &dyn Fn() -> u64) -> Result<u64> {
        let Some(path) = self.place(entry)? else {
            return Err(Error::malformed(self.archive, name::readable(entry), "a file without a name"));
        };
        let mut file = match File::options().write(true).create_new(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                self.leave_out(entry, "a file of this name was unpacked before");
                return Ok(0);
            }
            Err(error) => return Err(Error::io(&path)(error)),
        };
        let mut buffer = vec![0; 1 << 16];
        let mut length = 0;
        loop {
            let count = content
                .read(&mut buffer)
                .map_err(|error| Error::malformed(self.archive, name::readable(entry), error.to_string()))?;
            if count == 0 {
                break;
            }
            length += count as u64;
            self.budget.bytes(count as u64, consumed())?;
            file.write_all(&buffer[..count]).map_err(Error::io(&path))?;
        }
        self.num_files += 1;
        (self.on_progress)(consumed());
        Ok(length)
    }

    /// Notes an entry that is not written.
    pub(crate) fn leave_out(&mut self, entry: &[u8], reason: &str) {
        if self.left_out.len() < MAX_LEFT_OUT {
            let name = name::readable(&entry[..entry.len().min(name::MAX_NAME_BYTES)]);
            self.left_out.push(LeftOut { name, reason: reason.to_string() });
        }
    }
}
