//! Zip files (PKWARE APPNOTE.TXT 6.3.10): the central directory, then each entry, stored or deflated, with Zip64 sizes.
//!
//! The directory is read as a stream, entry by entry, so that its size takes no memory. Every length is the directory's
//! claim: what comes out is counted, must have the claimed length and checksum, and together the entries may not use more
//! bytes than the archive has (overlapping entries are how a small file becomes petabytes).

use crate::name::readable;
use crate::unpack::Sink;
use crate::{Error, Result};
use flate2::read::DeflateDecoder;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

const LOCAL_HEADER: u32 = 0x0403_4B50;
const DIRECTORY_ENTRY: u32 = 0x0201_4B50;
const DIRECTORY_END: [u8; 4] = [0x50, 0x4B, 5, 6];
const DIRECTORY_END_64: u32 = 0x0606_4B50;
const LOCATOR_64: u32 = 0x0706_4B50;
/// Bytes of the end record without its comment, and the longest comment.
const END_BYTES: u64 = 22;
const MAX_COMMENT_BYTES: u64 = 65_535;
/// File types in the upper half of the external attributes of Unix archives.
const TYPE_MASK: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;
/// General purpose bit 0.
const ENCRYPTED: u16 = 1;

/// Unpacks all entries.
pub(crate) fn unpack(path: &Path, sink: &mut Sink) -> Result<()> {
    let mut file = File::open(path).map_err(Error::io(path))?;
    let length = file.metadata().map_err(Error::io(path))?.len();
    let directory = Directory::find(path, &mut file, length)?;
    let mut entries = BufReader::new(File::open(path).map_err(Error::io(path))?);
    entries.seek(SeekFrom::Start(directory.start)).map_err(Error::io(path))?;
    let mut archive = Archive { path, file, length: directory.start, used: 0 };
    for index in 0..directory.num_entries {
        sink.budget.entry()?;
        let entry = Entry::read(path, index, &mut entries)?;
        archive.unpack(&entry, sink)?;
    }
    Ok(())
}

struct Directory {
    start: u64,
    num_entries: u64,
}

impl Directory {
    /// Finds the end record, searching backwards from the end of the file.
    fn find(path: &Path, file: &mut File, length: u64) -> Result<Directory> {
        let malformed = |reason: &str| Error::malformed(path, "end of central directory", reason);
        let tail_start = length.saturating_sub(END_BYTES + MAX_COMMENT_BYTES);
        let tail = read_at(path, file, tail_start, length - tail_start)?;
        let at = tail.windows(4).rposition(|window| window == DIRECTORY_END).ok_or_else(|| malformed("is missing"))?;
        let end = tail.get(at..at + END_BYTES as usize).ok_or_else(|| malformed("is cut off"))?;
        let (mut num_entries, mut size, mut start) =
            (u64::from(u16_at(end, 10)), u64::from(u32_at(end, 12)), u64::from(u32_at(end, 16)));
        let locator =
            at.checked_sub(20).and_then(|at| tail.get(at..at + 20)).filter(|bytes| u32_at(bytes, 0) == LOCATOR_64);
        if let Some(locator) = locator {
            let at = u64_at(locator, 8);
            if at.saturating_add(56) > length {
                return Err(malformed("the Zip64 record lies outside the file"));
            }
            let record = read_at(path, file, at, 56)?;
            if u32_at(&record, 0) != DIRECTORY_END_64 {
                return Err(malformed("the Zip64 record is missing"));
            }
            (num_entries, size, start) = (u64_at(&record, 32), u64_at(&record, 40), u64_at(&record, 48));
        }
        if start.checked_add(size).is_none_or(|end| end > length) {
            return Err(malformed("the central directory lies outside the file"));
        }
        Ok(Directory { start, num_entries })
    }
}

/// One entry as the central directory has it.
struct Entry {
    name: Vec<u8>,
    flags: u16,
    method: u16,
    checksum: u32,
    packed: u64,
    unpacked: u64,
    local_header: u64,
    /// Unix file type; 0 where the archive has none.
    file_type: u32,
}

impl Entry {
    fn read(path: &Path, index: u64, directory: &mut impl Read) -> Result<Entry> {
        let failed = |reason: &str| Error::malformed(path, format!("central directory, entry {index}"), reason);
        let fixed = take::<46>(directory).ok_or_else(|| failed("is cut off"))?;
        if u32_at(&fixed, 0) != DIRECTORY_ENTRY {
            return Err(failed("does not begin with its signature"));
        }
        let [name, extra, comment] = [28, 30, 32].map(|at| usize::from(u16_at(&fixed, at)));
        let mut rest = vec![0; name + extra + comment];
        directory.read_exact(&mut rest).map_err(|_| failed("is cut off"))?;
        let made_on_unix = matches!(fixed[5], 3 | 19);
        let mut entry = Entry {
            name: rest[..name].to_vec(),
            flags: u16_at(&fixed, 8),
            method: u16_at(&fixed, 10),
            checksum: u32_at(&fixed, 16),
            packed: u64::from(u32_at(&fixed, 20)),
            unpacked: u64::from(u32_at(&fixed, 24)),
            local_header: u64::from(u32_at(&fixed, 42)),
            file_type: if made_on_unix { u32_at(&fixed, 38) >> 16 & TYPE_MASK } else { 0 },
        };
        entry.widen(&rest[name..name + extra]).ok_or_else(|| failed("its Zip64 sizes are cut off"))?;
        Ok(entry)
    }

    /// Takes sizes from the Zip64 field (4.5.3) where the fixed ones are full.
    fn widen(&mut self, mut extra: &[u8]) -> Option<()> {
        const FULL: u64 = u32::MAX as u64;
        while extra.len() >= 4 {
            let (id, length) = (u16_at(extra, 0), usize::from(u16_at(extra, 2)));
            let Some(field) = extra.get(4..4 + length) else { break };
            if id == 1 {
                let mut numbers = field.chunks_exact(8).map(|bytes| u64_at(bytes, 0));
                for size in [&mut self.unpacked, &mut self.packed, &mut self.local_header] {
                    if *size == FULL {
                        *size = numbers.next()?;
                    }
                }
            }
            extra = &extra[4 + length..];
        }
        Some(())
    }
}

struct Archive<'a> {
    path: &'a Path,
    file: File,
    /// Bytes before the central directory.
    length: u64,
    /// Of those, bytes that entries were read from.
    used: u64,
}

impl Archive<'_> {
    fn unpack(&mut self, entry: &Entry, sink: &mut Sink) -> Result<()> {
        if entry.name.ends_with(b"/") || entry.name.ends_with(b"\\") || entry.file_type == FOLDER {
            return sink.folder(&entry.name);
        }
        // The name is judged before anything else: an archive with a bad one is refused even if the entry would be left out.
        if crate::name::parts(&entry.name).is_ok() {
            let reason = match (entry.file_type, entry.method) {
                (kind, _) if kind != 0 && kind != REGULAR => Some("a link or device, not a file"),
                _ if entry.flags & ENCRYPTED != 0 => Some("it is encrypted; unpack the archive by hand"),
                (_, 0 | 8) => None,
                _ => Some("its compression is neither none nor deflate; pack the archive again"),
            };
            if let Some(reason) = reason {
                sink.leave_out(&entry.name, reason);
                return Ok(());
            }
        }
        let malformed = |reason: String| Error::malformed(self.path, readable(&entry.name), reason);
        let start = self.data_start(entry)?;
        if start.checked_add(entry.packed).is_none_or(|end| end > self.length) {
            return Err(malformed("its data lies outside the archive".into()));
        }
        self.used = self.used.saturating_add(entry.packed);
        if self.used > self.length {
            return Err(malformed("entries overlap".into()));
        }
        self.file.seek(SeekFrom::Start(start)).map_err(Error::io(self.path))?;
        let packed = BufReader::new((&self.file).take(entry.packed));
        let mut checksum = flate2::Crc::new();
        let content: Box<dyn Read + '_> =
            if entry.method == 8 { Box::new(DeflateDecoder::new(packed)) } else { Box::new(packed) };
        // One byte more than claimed is enough to know that the claim is wrong.
        let mut content = Summed { source: content.take(entry.unpacked.saturating_add(1)), checksum: &mut checksum };
        let used = self.used;
        let length = sink.file(&entry.name, &mut content, &|| used)?;
        let is_whole = length == entry.unpacked && checksum.sum() == entry.checksum;
        // A name that occurs twice is listed, and nothing of it was read.
        if !is_whole && checksum.amount() > 0 || length != entry.unpacked && length > 0 {
            return Err(malformed(format!("has other content than the directory says ({} bytes)", entry.unpacked)));
        }
        Ok(())
    }

    /// Where the data of an entry begins: behind a local header whose name and extra field have lengths of their own.
    fn data_start(&mut self, entry: &Entry) -> Result<u64> {
        let malformed = |reason: &str| Error::malformed(self.path, readable(&entry.name), reason);
        if entry.local_header.checked_add(30).is_none_or(|end| end > self.length) {
            return Err(malformed("its header lies outside the archive"));
        }
        let header = read_at(self.path, &mut self.file, entry.local_header, 30)?;
        if u32_at(&header, 0) != LOCAL_HEADER {
            return Err(malformed("its header does not begin with its signature"));
        }
        Ok(entry.local_header + 30 + u64::from(u16_at(&header, 26)) + u64::from(u16_at(&header, 28)))
    }
}

/// Adds up what passes.
struct Summed<'a, R> {
    source: R,
    checksum: &'a mut flate2::Crc,
}

impl<R: Read> Read for Summed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.checksum.update(&buffer[..count]);
        Ok(count)
    }
}

fn read_at(path: &Path, file: &mut File, at: u64, length: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(at)).and_then(|_| file.take(length).read_to_end(&mut bytes)).map_err(Error::io(path))?;
    if (bytes.len() as u64) < length {
        return Err(Error::malformed(path, "archive", "became shorter while it was read"));
    }
    Ok(bytes)
}

fn take<const N: usize>(source: &mut impl Read) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    source.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

/// The caller has made sure that the bytes are there.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
