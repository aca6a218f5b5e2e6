//! SHA-256 of files: the identity of an image through the whole chain.

use crate::error::{Error, Result};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// SHA-256 of a file's bytes in lower-case hex.
pub fn sha256_file(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(|source| Error::io(path, source))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(|source| Error::io(path, source))? {
            0 => return Ok(hex(&hasher.finalize())),
            count => hasher.update(&buffer[..count]),
        }
    }
}

pub(crate) fn sha256_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Identity of a series: SHA-256 over the sorted hex hashes of its files, each followed by a line feed.
pub(crate) fn sha256_of_hashes(mut hashes: Vec<String>) -> String {
    hashes.sort_unstable();
    let text: String = hashes.iter().flat_map(|hash| [hash.as_str(), "\n"]).collect();
    sha256_bytes(text.as_bytes())
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_of_a_series_does_not_depend_on_file_order() {
        assert_eq!(sha256_bytes(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        let [a, b] = [sha256_bytes(b"a"), sha256_bytes(b"b")];
        assert_eq!(sha256_of_hashes(vec![a.clone(), b.clone()]), sha256_of_hashes(vec![b, a]));
    }
}
