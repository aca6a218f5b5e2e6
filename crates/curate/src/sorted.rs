//! Sorting more than memory should hold: entries of one length go to a temporary file in sorted runs, and come back merged.

use crate::{Error, Result};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Take, Write};
use std::path::{Path, PathBuf};

/// Bytes of entries that are held before a run is written.
const RUN_BYTES: usize = 1 << 20;
/// Bytes of each run that are read ahead while runs are merged.
const READ_BYTES: usize = 1 << 13;

/// Takes entries of `N` bytes in any order, gives them back in the order of their bytes.
pub(crate) struct Sorter<const N: usize> {
    path: PathBuf,
    held: Vec<[u8; N]>,
    runs: Option<Runs>,
}

/// Runs that were written.
struct Runs {
    file: BufWriter<File>,
    /// Where each ends.
    ends: Vec<u64>,
}

impl<const N: usize> Sorter<N> {
    /// A sorter that writes its runs to `folder`, under `name`, when there are more entries than it holds.
    pub(crate) fn new(folder: &Path, name: &str) -> Sorter<N> {
        Sorter { path: folder.join(name), held: Vec::new(), runs: None }
    }

    /// Adds an entry.
    pub(crate) fn push(&mut self, entry: [u8; N]) -> Result<()> {
        self.held.push(entry);
        if self.held.len() * N >= RUN_BYTES { self.write_run() } else { Ok(()) }
    }

    fn write_run(&mut self) -> Result<()> {
        self.held.sort_unstable();
        let wrap = |error| Error::io(&self.path)(error);
        let runs = match &mut self.runs {
            Some(runs) => runs,
            None => {
                let file = File::options().read(true).write(true).create(true).truncate(true).open(&self.path);
                self.runs.insert(Runs { file: BufWriter::new(file.map_err(wrap)?), ends: Vec::new() })
            }
        };
        runs.file.write_all(self.held.as_flattened()).map_err(wrap)?;
        let end = runs.ends.last().copied().unwrap_or_default() + (self.held.len() * N) as u64;
        runs.ends.push(end);
        self.held.clear();
        Ok(())
    }

    /// Ends adding.
    pub(crate) fn finish(mut self) -> Result<Sorted<N>> {
        if self.runs.is_some() && !self.held.is_empty() {
            self.write_run()?;
        }
        let Sorter { path, mut held, runs } = self;
        held.sort_unstable();
        let Some(Runs { mut file, ends }) = runs else { return Ok(Sorted { path, held, ends: Vec::new() }) };
        file.flush().map_err(Error::io(&path))?;
        Ok(Sorted { path, held: Vec::new(), ends })
    }
}

/// Entries that can be gone through in order, any number of times. The temporary file is removed when this is dropped.
pub(crate) struct Sorted<const N: usize> {
    path: PathBuf,
    /// All entries, where nothing was written.
    held: Vec<[u8; N]>,
    /// Where each run ends in the file.
    ends: Vec<u64>,
}

impl<const N: usize> Sorted<N> {
    /// All entries in order.
    pub(crate) fn entries(&self) -> Result<Merged<'_, N>> {
        let mut merged = Merged { sorted: self, next: 0, runs: Vec::new(), heads: BinaryHeap::new() };
        let mut start = 0;
        for (index, end) in self.ends.iter().copied().enumerate() {
            let mut file = File::open(&self.path).map_err(Error::io(&self.path))?;
            file.seek(SeekFrom::Start(start)).map_err(Error::io(&self.path))?;
            merged.runs.push(BufReader::with_capacity(READ_BYTES, file.take(end - start)));
            merged.refill(index)?;
            start = end;
        }
        Ok(merged)
    }

    /// Whether there is no entry.
    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty() && self.ends.is_empty()
    }
}

impl<const N: usize> Drop for Sorted<N> {
    fn drop(&mut self) {
        if !self.ends.is_empty() {
            // Failing to remove it does no harm: it lies in the folder of work, which is removed as a whole.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Sorted entries on their way back.
pub(crate) struct Merged<'a, const N: usize> {
    sorted: &'a Sorted<N>,
    /// The next of those that are held.
    next: usize,
    runs: Vec<BufReader<Take<File>>>,
    /// The next entry of each run.
    heads: BinaryHeap<Reverse<([u8; N], usize)>>,
}

impl<const N: usize> Merged<'_, N> {
    fn refill(&mut self, run: usize) -> Result<()> {
        let mut entry = [0; N];
        let mut filled = 0;
        while filled < N {
            match self.runs[run].read(&mut entry[filled..]).map_err(Error::io(&self.sorted.path))? {
                0 => return Ok(()),
                count => filled += count,
            }
        }
        self.heads.push(Reverse((entry, run)));
        Ok(())
    }

    /// The next entry.
    pub(crate) fn next(&mut self) -> Result<Option<[u8; N]>> {
        if self.runs.is_empty() {
            self.next += 1;
            return Ok(self.sorted.held.get(self.next - 1).copied());
        }
        let Some(Reverse((entry, run))) = self.heads.pop() else { return Ok(None) };
        self.refill(run)?;
        Ok(Some(entry))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_sorted_whether_or_not_they_fit() {
        let folder = tempfile::tempdir().unwrap();
        for count in [0u64, 1, 1000, 3 * (RUN_BYTES as u64 / 16) + 7] {
            let mut sorter = Sorter::<16>::new(folder.path(), "entries");
            let mut expected = Vec::new();
            for index in 0..count {
                let key = index.wrapping_mul(0x9E37_79B9_7F4A_7C15);
                let mut entry = [0; 16];
                entry[..8].copy_from_slice(&(key % 5000).to_be_bytes());
                entry[8..].copy_from_slice(&index.to_be_bytes());
                sorter.push(entry).unwrap();
                expected.push(entry);
            }
            expected.sort_unstable();
            let sorted = sorter.finish().unwrap();
            assert_eq!(sorted.is_empty(), count == 0);
            for _ in 0..2 {
                let mut merged = sorted.entries().unwrap();
                let found: Vec<[u8; 16]> = std::iter::from_fn(|| merged.next().unwrap()).collect();
                assert!(found == expected, "{count}");
            }
            drop(sorted);
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }
}
