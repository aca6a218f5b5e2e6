//! Archives that want out of their folder, or more room than they deserve; and honest ones.
#![allow(clippy::unwrap_used)]

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use gmai_archive::{Error, Kind, Limits, Unpacked, sniff, unpack};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// An entry of a zip file as a hostile writer may have it.
#[derive(Clone)]
struct Entry {
    name: Vec<u8>,
    content: Vec<u8>,
    mode: u32,
    flags: u16,
    /// What directory and header say instead of the true values.
    claimed_size: Option<u32>,
    claimed_checksum: Option<u32>,
    /// Whether the directory points at the data of the first entry.
    is_on_first: bool,
}

fn entry(name: &str, content: &[u8]) -> Entry {
    Entry {
        name: name.into(),
        content: content.to_vec(),
        mode: 0o100_644,
        flags: 0,
        claimed_size: None,
        claimed_checksum: None,
        is_on_first: false,
    }
}

fn zip(entries: &[Entry]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&entry.content).unwrap();
        let packed = encoder.finish().unwrap();
        let mut checksum = flate2::Crc::new();
        checksum.update(&entry.content);
        let mut common = Vec::new();
        common.extend(20u16.to_le_bytes());
        common.extend(entry.flags.to_le_bytes());
        common.extend(8u16.to_le_bytes());
        common.extend([0; 4]);
        common.extend(entry.claimed_checksum.unwrap_or(checksum.sum()).to_le_bytes());
        common.extend((packed.len() as u32).to_le_bytes());
        common.extend(entry.claimed_size.unwrap_or(entry.content.len() as u32).to_le_bytes());
        common.extend((entry.name.len() as u16).to_le_bytes());
        common.extend(0u16.to_le_bytes());
        let place = if entry.is_on_first { 0 } else { bytes.len() as u32 };
        if !entry.is_on_first {
            bytes.extend(b"PK\x03\x04");
            bytes.extend(&common);
            bytes.extend(&entry.name);
            bytes.extend(&packed);
        }
        directory.extend(b"PK\x01\x02\x14\x03");
        directory.extend(&common);
        directory.extend([0; 6]);
        directory.extend((entry.mode << 16).to_le_bytes());
        directory.extend(place.to_le_bytes());
        directory.extend(&entry.name);
    }
    let start = bytes.len() as u32;
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend((entries.len() as u16).to_le_bytes());
    bytes.extend((entries.len() as u16).to_le_bytes());
    bytes.extend((directory.len() as u32).to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend([0; 2]);
    bytes
}

/// One header block and its content.
fn block(name: &[u8], kind: u8, target: &str, content: &[u8]) -> Vec<u8> {
    let mut header = [0u8; 512];
    header[..name.len()].copy_from_slice(name);
    header[100..107].copy_from_slice(b"0000644");
    header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
    header[156] = kind;
    header[157..157 + target.len()].copy_from_slice(target.as_bytes());
    header[257..265].copy_from_slice(b"ustar\x0000");
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let mut bytes = header.to_vec();
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn tar(blocks: &[Vec<u8>]) -> Vec<u8> {
    [blocks.concat(), vec![0; 1024]].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What became of an archive, and all that then lay beside it.
struct Outcome {
    result: gmai_archive::Result<Unpacked>,
    files: BTreeMap<PathBuf, Vec<u8>>,
    _dir: TempDir,
}

fn tried(bytes: &[u8], limits: &Limits) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("a");
    std::fs::write(&archive, bytes).unwrap();
    let result = unpack(&archive, &dir.path().join("in/out"), limits, &mut |_| {});
    let mut files = BTreeMap::new();
    collect(dir.path(), dir.path(), &mut files);
    files.remove(Path::new("a"));
    Outcome { result, files, _dir: dir }
}

fn collect(root: &Path, dir: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        assert!(!entry.file_type().unwrap().is_symlink(), "a link was made: {:?}", entry.path());
        let path = entry.path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            files.insert(path.strip_prefix(root).unwrap().to_path_buf(), std::fs::read(&path).unwrap());
        }
    }
}

/// Asserts that an archive is refused and leaves nothing, inside or outside.
fn refused(bytes: &[u8], limits: &Limits) -> Error {
    let outcome = tried(bytes, limits);
    assert!(outcome.files.is_empty(), "left behind: {:?}", outcome.files.keys());
    assert!(!outcome._dir.path().join("in/out").exists() && !outcome._dir.path().join("in/out.unpacking").exists());
    outcome.result.unwrap_err()
}

#[test]
fn honest_archives_are_unpacked_and_nested_ones_stay_as_they_are() {
    let inner = zip(&[entry("x", b"deep")]);
    let contents: [(&str, &[u8]); 3] =
        [("scans/a.png", b"one"), ("scans/b/c.nii", &[7; 100_000]), ("inner.zip", &inner)];
    let zipped = zip(&contents.map(|(name, content)| entry(name, content)));
    let blocks = contents.map(|(name, content)| block(name.as_bytes(), b'0', "", content));
    let tarred = tar(&blocks);
    for (bytes, kind) in [(zipped, Kind::Zip), (gzip(&tarred), Kind::TarGz), (tarred, Kind::Tar)] {
        let outcome = tried(&bytes, &Limits::default());
        let unpacked = outcome.result.unwrap();
        assert_eq!((unpacked.kind, unpacked.num_files, unpacked.left_out.len()), (kind, 3, 0));
        let expected = contents.map(|(name, content)| (Path::new("in/out").join(name), content.to_vec()));
        assert_eq!(outcome.files, BTreeMap::from(expected));
    }
}

#[test]
fn names_that_lead_out_refuse_the_archive() {
    for name in ["../evil", "a/../../evil", "/tmp/evil", "..\\evil", "C:\\evil", "a/..", "ok/\0"] {
        let bytes = zip(&[entry("good", b"1"), entry(name, b"2")]);
        assert!(matches!(refused(&bytes, &Limits::default()), Error::Name { .. }), "{name}");
        if !name.contains('\0') {
            let bytes = tar(&[block(b"good", b'0', "", b"1"), block(name.as_bytes(), b'0', "", b"2")]);
            assert!(matches!(refused(&bytes, &Limits::default()), Error::Name { .. }), "{name}");
        }
    }
    let long = [&b"../"[..], &[b'x'; 200]].concat();
    let pax = |path: &str| {
        let line = format!(" path={path}\n");
        let length = line.len() + 2;
        format!("{length}{line}").into_bytes()
    };
    for (kind, content) in [(b'L', long), (b'x', pax("../evil"))] {
        let bytes = tar(&[block(b"long", kind, "", &content), block(b"good", b'0', "", b"1")]);
        assert!(matches!(refused(&bytes, &Limits::default()), Error::Name { .. }), "{}", char::from(kind));
    }
}

#[test]
fn links_and_devices_are_left_out_and_nothing_is_written_through_them() {
    let link = Entry { mode: 0o120_777, ..entry("link", b"/tmp") };
    let bytes = zip(&[link, entry("link/evil", b"2")]);
    let outcome = tried(&bytes, &Limits::default());
    assert_eq!(outcome.result.unwrap().left_out.len(), 1);
    assert_eq!(outcome.files.keys().collect::<Vec<_>>(), [Path::new("in/out/link/evil")]);

    let kinds = [b'1', b'2', b'3', b'4', b'6', b'S'];
    let mut blocks: Vec<_> = kinds.iter().map(|kind| block(&[b'n', *kind], *kind, "../../outside", b"")).collect();
    blocks.push(block(b"n2/evil", b'0', "", b"2"));
    let outcome = tried(&tar(&blocks), &Limits::default());
    assert_eq!(outcome.result.unwrap().left_out.len(), kinds.len());
    assert_eq!(outcome.files.keys().collect::<Vec<_>>(), [Path::new("in/out/n2/evil")]);
}

#[test]
fn bombs_are_refused_on_what_really_comes_out() {
    let zeros = vec![0; 64 << 20];
    let expansion = |error: Error| matches!(error, Error::TooLarge { what, .. } if what.starts_with("expansion"));
    assert!(expansion(refused(&zip(&[entry("zeros", &zeros)]), &Limits::default())));
    assert!(expansion(refused(&gzip(&tar(&[block(b"zeros", b'0', "", &zeros)])), &Limits::default())));
    // Skipped content and long names come out of gzip as well.
    assert!(expansion(refused(&gzip(&tar(&[block(b"zeros", b'S', "", &zeros)])), &Limits::default())));
    let long_name = refused(&gzip(&tar(&[block(b"zeros", b'L', "", &zeros)])), &Limits::default());
    assert!(matches!(long_name, Error::TooLarge { what: "extended header in bytes", .. }), "{long_name}");
    let small = Limits { max_bytes: 1000, ..Limits::default() };
    assert!(matches!(refused(&zip(&[entry("a", &[1; 1001])]), &small), Error::TooLarge { limit: 1000, .. }));
    let few = Limits { max_entries: 999, ..Limits::default() };
    let many: Vec<Entry> = (0..1000).map(|index| entry(&format!("f{index}"), b"")).collect();
    assert!(matches!(refused(&zip(&many), &few), Error::TooLarge { limit: 999, .. }));
    let many: Vec<_> = (0..1000).map(|index| block(format!("f{index}").as_bytes(), b'5', "", b"")).collect();
    assert!(matches!(refused(&gzip(&tar(&many)), &few), Error::TooLarge { limit: 999, .. }));
}

#[test]
fn entries_over_each_other_and_sizes_that_lie_are_refused() {
    let first = entry("a", &(0..200_000u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>());
    let over = Entry { name: b"b".to_vec(), is_on_first: true, ..first.clone() };
    assert!(refused(&zip(&[first, over]), &Limits::default()).to_string().contains("overlap"));
    for claimed in [0, 1, 2, 4, u32::MAX - 1] {
        let lies = Entry { claimed_size: Some(claimed), ..entry("a", b"abc") };
        assert!(matches!(refused(&zip(&[lies]), &Limits::default()), Error::Malformed { .. }), "{claimed}");
    }
    let damaged = Entry { claimed_checksum: Some(1), ..entry("a", b"abc") };
    assert!(matches!(refused(&zip(&[damaged]), &Limits::default()), Error::Malformed { .. }));
    let mut long = block(b"a", b'0', "", b"");
    long[124..135].copy_from_slice(b"77777777777");
    let error = refused(&tar(&[long]), &Limits::default()); // Its checksum is wrong now, too.
    assert!(matches!(error, Error::Malformed { .. }));
}

#[test]
fn encrypted_and_repeated_entries_are_listed() {
    let secret = Entry { flags: 1, ..entry("secret", b"abc") };
    let outcome = tried(&zip(&[secret, entry("a", b"1"), entry("a", b"2")]), &Limits::default());
    let unpacked = outcome.result.unwrap();
    assert_eq!(unpacked.left_out.iter().map(|left| left.name.as_str()).collect::<Vec<_>>(), ["secret", "a"]);
    assert_eq!(outcome.files.values().collect::<Vec<_>>(), [b"1"]);
}

#[test]
fn every_part_of_an_archive_ends_as_an_error_or_a_whole_folder() {
    let contents = [entry("a/b", &[3; 700]), entry("c", b"hello")];
    let tarred = tar(&[block(b"a/b", b'0', "", &[3; 700]), block(b"c", b'0', "", b"hello")]);
    for bytes in [zip(&contents), gzip(&tarred), tarred] {
        for end in (0..bytes.len()).step_by(if bytes.len() > 1000 { 23 } else { 3 }) {
            let outcome = tried(&bytes[..end], &Limits::default());
            assert_eq!(outcome.result.is_err(), outcome.files.is_empty(), "{end} bytes");
        }
        for at in (0..bytes.len().min(1200)).step_by(7) {
            let mut changed = bytes.clone();
            changed[at] ^= 0x55;
            let outcome = tried(&changed, &Limits::default());
            assert!(outcome.files.keys().all(|path| path.starts_with("in/out")), "{:?}", outcome.files.keys());
        }
    }
}

#[test]
fn other_files_are_no_archives_and_what_exists_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("scan.nii.gz"), gzip(&[5; 2000])).unwrap();
    assert_eq!(sniff(&at("scan.nii.gz")).unwrap(), None);
    assert!(matches!(
        unpack(&at("scan.nii.gz"), &at("out"), &Limits::default(), &mut |_| {}),
        Err(Error::NotAnArchive { .. })
    ));
    std::fs::write(at("a.zip"), zip(&[entry("a", b"1")])).unwrap();
    std::fs::create_dir(at("out")).unwrap();
    assert!(matches!(unpack(&at("a.zip"), &at("out"), &Limits::default(), &mut |_| {}), Err(Error::Exists { .. })));
    std::fs::create_dir(at("new.unpacking")).unwrap();
    assert!(matches!(unpack(&at("a.zip"), &at("new"), &Limits::default(), &mut |_| {}), Err(Error::Exists { .. })));
    assert!(at("new.unpacking").is_dir(), "a folder of others was removed");
}
