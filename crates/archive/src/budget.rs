//! What an archive may become, counted while it is unpacked.

use crate::{Error, Result};
use std::path::Path;

/// Bounds on one archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Entries of any kind.
    pub max_entries: u64,
    /// Bytes on disk, all files together.
    pub max_bytes: u64,
    /// Bytes on disk per byte of the archive. Deflate reaches 1032; pictures and scans stay below 10, label maps below 100
    /// as a rule.
    pub max_ratio: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { max_entries: 1_000_000, max_bytes: 256 << 30, max_ratio: 100 }
    }
}

/// A small archive may expand by more than the ratio up to this many bytes: a tar file of empty masks is no attack.
const FREE_BYTES: u64 = 16 << 20;

/// What was used up.
#[derive(Debug)]
pub(crate) struct Budget<'a> {
    path: &'a Path,
    limits: &'a Limits,
    entries: u64,
    bytes: u64,
}

impl<'a> Budget<'a> {
    pub(crate) fn new(path: &'a Path, limits: &'a Limits) -> Budget<'a> {
        Budget { path, limits, entries: 0, bytes: 0 }
    }

    /// Counts an entry.
    pub(crate) fn entry(&mut self) -> Result<()> {
        self.entries += 1;
        self.check(self.entries, self.limits.max_entries, "number of entries")
    }

    /// Counts bytes that came out after `consumed` bytes of the archive had gone in.
    pub(crate) fn bytes(&mut self, count: u64, consumed: u64) -> Result<()> {
        self.bytes = self.bytes.saturating_add(count);
        self.check(self.bytes, self.limits.max_bytes, "unpacked size in bytes")?;
        if self.bytes > FREE_BYTES {
            let most = consumed.saturating_mul(self.limits.max_ratio);
            if self.bytes > most.max(FREE_BYTES) {
                return self.check(
                    self.limits.max_ratio + 1,
                    self.limits.max_ratio,
                    "expansion (unpacked by packed bytes)",
                );
            }
        }
        Ok(())
    }

    /// Bytes so far.
    pub(crate) fn num_bytes(&self) -> u64 {
        self.bytes
    }

    fn check(&self, found: u64, limit: u64, what: &'static str) -> Result<()> {
        if found > limit { Err(Error::TooLarge { path: self.path.into(), what, limit }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caps_hold_on_what_really_came() {
        let limits = Limits { max_entries: 1, max_bytes: 1 << 30, max_ratio: 100 };
        let mut budget = Budget::new(Path::new("a.zip"), &limits);
        assert!(budget.entry().is_ok());
        assert!(budget.entry().is_err());
        assert!(budget.bytes(FREE_BYTES, 1).is_ok(), "small archives are not measured");
        assert!(budget.bytes(1 << 20, 1 << 10).is_err());
        assert!(budget.bytes(1 << 20, 1 << 30).is_ok());
        assert!(budget.bytes(1 << 30, 1 << 30).is_err());
    }
}
