//! Tar files, plain or gzipped: ustar, GNU long names and pax paths. Headers are parsed by the tar crate; long names are
//! read here, within a limit, because the crate holds them in memory whatever their size.

use crate::name::MAX_NAME_BYTES;
use crate::unpack::{Kind, Sink};
use crate::{Error, Result};
use flate2::read::MultiGzDecoder;
use std::cell::Cell;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::rc::Rc;
use tar::EntryType;

/// Largest extended header: real ones hold a path and some times.
const MAX_EXTENSION_BYTES: u64 = 1 << 20;

/// Unpacks all entries.
pub(crate) fn unpack(path: &Path, kind: Kind, sink: &mut Sink) -> Result<()> {
    let consumed = Rc::new(Cell::new(0));
    let file = Counted { source: File::open(path).map_err(Error::io(path))?, count: consumed.clone() };
    let file = BufReader::with_capacity(1 << 16, file);
    let stream: Box<dyn Read> = if kind == Kind::TarGz { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let mut archive = tar::Archive::new(stream);
    let failed = |error: std::io::Error| Error::malformed(path, "tar header", error.to_string());
    let mut long_name = None;
    for entry in archive.entries().map_err(failed)?.raw(true) {
        let mut entry = entry.map_err(failed)?;
        sink.budget.entry()?;
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::GNULongName | EntryType::XHeader) {
            let content = extension(path, &mut entry)?;
            let name = if kind == EntryType::XHeader { pax_path(&content) } else { Some(without_zeros(content)) };
            long_name = name.or(long_name);
            continue;
        }
        if matches!(kind, EntryType::GNULongLink | EntryType::XGlobalHeader) {
            continue; // Targets of links are not needed, global headers hold no paths.
        }
        let name = long_name.take().unwrap_or_else(|| entry.path_bytes().into_owned());
        match kind {
            EntryType::Directory => sink.folder(&name)?,
            EntryType::Regular | EntryType::Continuous => {
                let promised = entry.header().entry_size().map_err(failed)?;
                let length = sink.file(&name, &mut entry, &|| consumed.get())?;
                if length != promised && length > 0 {
                    let reason = format!("has {length} bytes where its header says {promised}");
                    return Err(Error::malformed(path, crate::name::readable(&name), reason));
                }
            }
            _ => {
                // A bad name refuses the archive even where nothing would be written.
                crate::name::parts(&name).map_err(|reason| {
                    let entry = crate::name::readable(&name);
                    Error::Name { path: path.into(), entry, reason }
                })?;
                sink.leave_out(&name, "a link, device or sparse file, not a plain file");
            }
        }
        // What is skipped comes out of gzip as well: it counts as if it were written.
        let skipped = std::io::copy(&mut entry, &mut std::io::sink()).map_err(failed)?;
        sink.budget.bytes(skipped, consumed.get())?;
    }
    Ok(())
}

fn extension(path: &Path, entry: &mut impl Read) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    entry
        .take(MAX_EXTENSION_BYTES + 1)
        .read_to_end(&mut content)
        .map_err(|error| Error::malformed(path, "extended header", error.to_string()))?;
    if content.len() as u64 > MAX_EXTENSION_BYTES {
        return Err(Error::TooLarge {
            path: path.into(),
            what: "extended header in bytes",
            limit: MAX_EXTENSION_BYTES,
        });
    }
    Ok(content)
}

fn without_zeros(mut name: Vec<u8>) -> Vec<u8> {
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    name.truncate(end.min(MAX_NAME_BYTES + 1));
    name
}

/// The `path` of a pax header: lines `LENGTH key=value` (POSIX.1-2001).
fn pax_path(mut content: &[u8]) -> Option<Vec<u8>> {
    let mut found = None;
    while !content.is_empty() {
        let space = content.iter().position(|byte| *byte == b' ')?;
        let length: usize = std::str::from_utf8(&content[..space]).ok()?.parse().ok()?;
        let line = content.get(space + 1..length)?;
        if let Some(path) = line.strip_prefix(b"path=") {
            found = Some(path.strip_suffix(b"\n").unwrap_or(path).to_vec());
        }
        content = &content[length..];
    }
    found
}

/// Counts what was read of the archive itself.
struct Counted<R> {
    source: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.count.set(self.count.get() + count as u64);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pax_paths_are_found_and_lies_are_not_followed() {
        assert_eq!(pax_path(b"14 mtime=1.50\n12 path=a/b\n"), Some(b"a/b".to_vec()));
        assert_eq!(pax_path(b"14 mtime=1.50\n"), None);
        assert_eq!(pax_path(b"99 path=a/b\n"), None);
        assert_eq!(pax_path(b"0 path=a/b\n"), None);
        assert_eq!(pax_path(b"99999999999999999999 path=a\n"), None);
    }
}
