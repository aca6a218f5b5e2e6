//! The secret of a project, and what is derived from it: pseudonyms, UIDs, date shifts. Without it nothing can be led back.
//!
//! The key file also keeps the map from keyed hashes of patient ids to pseudonyms. Destroying the file ([`forget`]) destroys
//! both: crypto-shredding.

use crate::error::{Error, Result};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const FIRST_LINE: &str = "gmai-deid key 1";

/// Largest key file read, in bytes: about a million patients.
const MAX_KEY_FILE_BYTES: u64 = 128 << 20;

/// Longest date shift in days: ten years. Shifts go into the past, so that no date lies in the future.
const MAX_SHIFT_DAYS: u64 = 3652;

/// The secret from which everything is derived.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; 32]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(secret)")
    }
}

impl Key {
    /// Wraps 32 secret bytes.
    pub fn new(secret: [u8; 32]) -> Key {
        Key(secret)
    }

    /// A new secret from the system's random source.
    pub fn random() -> Result<Key> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|error| Error::Random(error.to_string()))?;
        Ok(Key(secret))
    }

    /// HMAC-SHA256 (RFC 2104) of `value`, for one purpose: values of different purposes never meet.
    pub fn hash(&self, purpose: &str, value: &[u8]) -> [u8; 32] {
        hmac_sha256(&self.0, &[purpose.as_bytes(), &[0], value])
    }

    /// The pseudonym of a patient: `P` and 15 letters or digits (75 bits), which fits DICOM's shortest text, SH.
    pub fn pseudonym(&self, patient: &str) -> String {
        self.short("patient", patient, 'P')
    }

    /// A pseudonym for anything else, e.g. an accession number: `prefix` and 15 letters or digits.
    pub fn short(&self, purpose: &str, value: &str, prefix: char) -> String {
        const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"; // Crockford's: no letter looks like a digit.
        let hash = self.hash(purpose, normalised(value).as_bytes());
        let mut text = String::from(prefix);
        for group in hash[..10].chunks(5) {
            let bits = group.iter().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
            text.extend((0..8).rev().map(|index| char::from(LETTERS[(bits >> (5 * index) & 31) as usize])));
        }
        text.truncate(16);
        text
    }

    /// Days that all dates of a patient are moved by: from -1 to -3652, never 0.
    pub fn shift_days(&self, patient: &str) -> i64 {
        let hash = self.hash("shift", normalised(patient).as_bytes());
        let number = u64::from_be_bytes(hash[..8].try_into().expect("a hash has 32 bytes"));
        -((number % MAX_SHIFT_DAYS) as i64 + 1)
    }

    /// The UID that stands for `uid`: `2.25.` and a UUID of version 8 as a decimal number (PS3.5 B.2). Different UIDs give
    /// different ones but for a chance of about `n * n / 2^123` among `n`.
    pub fn uid(&self, uid: &str) -> String {
        let hash = self.hash("uid", uid.trim_end_matches(['\0', ' ']).trim_start().as_bytes());
        let mut number = u128::from_be_bytes(hash[..16].try_into().expect("a hash has 32 bytes"));
        number = number & !(0xF << 76) | 0x8 << 76; // Version 8, RFC 9562.
        number = number & !(0x3 << 62) | 0x2 << 62; // Variant.
        format!("2.25.{number}")
    }
}

/// Pads and letter case do not make another patient.
fn normalised(value: &str) -> String {
    value.trim_matches(|c: char| c == '\0' || c.is_whitespace()).to_uppercase()
}

fn hmac_sha256(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let padded = |pad: u8| {
        let mut block = [pad; 64];
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        block
    };
    let mut inner = Sha256::new_with_prefix(padded(0x36));
    parts.iter().for_each(|part| inner.update(part));
    let mut outer = Sha256::new_with_prefix(padded(0x5C));
    outer.update(inner.finalize());
    outer.finalize().into()
}

/// A key with the pseudonyms given so far, kept in a file of its own that only its owner can read.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
    key: Key,
    /// Keyed hash of a patient id in hex -> pseudonym.
    patients: BTreeMap<String, String>,
}

impl KeyFile {
    /// Opens a key file, or makes one with a new secret where there is none. A new file is on disk when this returns.
    pub fn open_or_create(path: &Path) -> Result<KeyFile> {
        match File::open(path) {
            Ok(file) => KeyFile::read(path, file),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let file = KeyFile { path: path.into(), key: Key::random()?, patients: BTreeMap::new() };
                file.save()?;
                Ok(file)
            }
            Err(error) => Err(Error::io(path, error)),
        }
    }

    fn read(path: &Path, file: File) -> Result<KeyFile> {
        let wrong = |reason: &str| Error::KeyFile { path: path.into(), reason: reason.into() };
        check_permissions(path, &file)?;
        let mut text = String::new();
        file.take(MAX_KEY_FILE_BYTES).read_to_string(&mut text).map_err(|error| Error::io(path, error))?;
        let mut lines = text.lines();
        if lines.next() != Some(FIRST_LINE) {
            return Err(wrong("is not a key file"));
        }
        let secret = lines.next().and_then(|line| line.strip_prefix("secret ")).and_then(from_hex);
        let key = Key(secret.ok_or_else(|| wrong("line 2 is not `secret` and 64 hexadecimal digits"))?);
        let mut patients = BTreeMap::new();
        for line in lines {
            let parts: Vec<&str> = line.split(' ').collect();
            let ["patient", hash, pseudonym] = parts[..] else { return Err(wrong("has a line that is no patient")) };
            patients.insert(hash.to_owned(), pseudonym.to_owned());
        }
        Ok(KeyFile { path: path.into(), key, patients })
    }

    /// The secret.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Number of patients known.
    pub fn num_patients(&self) -> usize {
        self.patients.len()
    }

    /// Notes a patient; fails when another patient has the same pseudonym.
    pub fn note(&mut self, patient: &str) -> Result<String> {
        let hash = hex(&self.key.hash("map", normalised(patient).as_bytes()));
        let pseudonym = self.key.pseudonym(patient);
        if !self.patients.contains_key(&hash) && self.patients.values().any(|known| *known == pseudonym) {
            return Err(Error::KeyFile { path: self.path.clone(), reason: format!("gives two patients {pseudonym}") });
        }
        self.patients.insert(hash, pseudonym.clone());
        Ok(pseudonym)
    }

    /// Writes the file beside itself and renames it, readable by its owner alone.
    pub fn save(&self) -> Result<()> {
        let mut text = format!("{FIRST_LINE}\nsecret {}\n", hex(&self.key.0));
        for (hash, pseudonym) in &self.patients {
            let _ = writeln!(text, "patient {hash} {pseudonym}");
        }
        let aside = self.path.with_extension("new");
        let write = || -> std::io::Result<()> {
            let _ = std::fs::remove_file(&aside);
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options.open(&aside)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&aside, &self.path)
        };
        write().map_err(|error| Error::io(&self.path, error))
    }
}

/// Destroys a key file: overwritten, synced, removed. What was de-identified with it can never again be led back or joined
/// with new data. Copies made elsewhere (backups, snapshots) are beyond reach and must be destroyed by their keepers.
pub fn forget(path: &Path) -> Result<()> {
    // Nothing but a key file may be destroyed by mistake.
    KeyFile::read(path, File::open(path).map_err(|error| Error::io(path, error))?)?;
    let destroy = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).open(path)?;
        let length = file.metadata()?.len();
        for byte in [0xFF, 0x00] {
            file.seek(SeekFrom::Start(0))?;
            std::io::copy(&mut std::io::repeat(byte).take(length), &mut file)?;
            file.sync_all()?;
        }
        std::fs::remove_file(path)
    };
    destroy().map_err(|error| Error::io(path, error))
}

#[cfg(unix)]
fn check_permissions(path: &Path, file: &File) -> Result<()> {
    let mode = file.metadata().map_err(|error| Error::io(path, error))?.mode();
    use std::os::unix::fs::MetadataExt;
    if mode & 0o077 != 0 {
        return Err(Error::KeyFile {
            path: path.into(),
            reason: format!("can be read by others (mode {:o}), run chmod 600 on it", mode & 0o777),
        });
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_permissions(_: &Path, _: &File) -> Result<()> {
    Ok(())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn hmac_is_rfc_4231s() {
        // Test case 2 has a key of 4 bytes; a key is padded with zeros.
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex(&hmac_sha256(&key, &[b"what do ya ", b"want for nothing?"])), expected);
    }

    #[test]
    fn uids_are_valid_and_never_meet() {
        let key = Key::new([7; 32]);
        let uids: BTreeSet<String> = (0..100_000).map(|index| key.uid(&format!("1.2.840.113619.{index}"))).collect();
        assert_eq!(uids.len(), 100_000);
        for uid in &uids {
            let number = uid.strip_prefix("2.25.").unwrap();
            assert!(uid.len() <= 64 && !number.starts_with('0') && number.bytes().all(|byte| byte.is_ascii_digit()));
        }
        assert_eq!(key.uid("1.2.3\0"), key.uid("1.2.3"));
        assert_ne!(key.uid("1.2.3"), Key::new([8; 32]).uid("1.2.3"));
    }

    #[test]
    fn shifts_go_back_by_at_most_ten_years() {
        let key = Key::new([1; 32]);
        let shifts: Vec<i64> = (0..2000).map(|index| key.shift_days(&index.to_string())).collect();
        assert!(shifts.iter().all(|days| (-3652..=-1).contains(days)));
        assert_eq!(key.shift_days("abc "), key.shift_days("ABC"));
    }

    #[test]
    fn key_file_keeps_secret_and_map_until_it_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("project.key");
        let mut file = KeyFile::open_or_create(&path).unwrap();
        let pseudonym = file.note("MRN-1").unwrap();
        file.save().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(&pseudonym) && !text.contains("MRN-1"));
        let mut again = KeyFile::open_or_create(&path).unwrap();
        assert_eq!((again.num_patients(), again.note("mrn-1").unwrap()), (1, pseudonym.clone()));
        forget(&path).unwrap();
        assert!(!path.exists());
        assert_ne!(KeyFile::open_or_create(&path).unwrap().note("MRN-1").unwrap(), pseudonym);
    }

    #[test]
    fn only_key_files_are_destroyed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("thesis.txt");
        std::fs::write(&path, "important").unwrap();
        assert!(forget(&path).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "important");
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("project.key");
        KeyFile::open_or_create(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(KeyFile::open_or_create(&path).unwrap_err().to_string().contains("chmod 600"));
    }
}
