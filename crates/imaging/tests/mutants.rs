//! Damaged copies of real files of every reader: each is read or refused, and no process that reads them dies.
#![allow(clippy::unwrap_used)]

use gmai_imaging::{Decoder, FileKind, Limits, WorkerOptions, sniff};
use gmai_testkit::{DicomImage, NiftiImage, NiftiVoxels, mutant};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const NUM_MUTANTS: u64 = 2000;
const SEED: u64 = 20_261_124;
/// Larger files are left to `examples/mutants.rs`: they would take the time of many small ones.
const MAX_FILE_BYTES: u64 = 100_000;

/// The smallest files of each kind and, for DICOM, of each transfer syntax.
fn specimens(dir: &Path) -> Vec<PathBuf> {
    gmai_testkit::write_grey16_png(&dir.join("deep.png"), 30, 20, &[300; 600]).unwrap();
    gmai_testkit::write_dicom(&dir.join("slice.dcm"), &DicomImage::ct(8, 8, vec![7; 64])).unwrap();
    let volume = NiftiImage::new([6, 5, 4], NiftiVoxels::U8((0..120).collect()));
    gmai_testkit::write_nifti(&dir.join("volume.nii"), &volume).unwrap();
    gmai_testkit::write_nifti(&dir.join("volume.nii.gz"), &volume).unwrap();
    let header = "NRRD0005\ntype: uchar\ndimension: 3\nsizes: 6 5 4\nspace: RAS\nencoding: raw\n\n";
    std::fs::write(dir.join("a.nrrd"), [header.as_bytes(), &[5; 120]].concat()).unwrap();
    let header = "ObjectType = Image\nNDims = 3\nDimSize = 6 5 4\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n";
    std::fs::write(dir.join("a.mha"), [header.as_bytes(), &[5; 120]].concat()).unwrap();
    image::RgbImage::from_fn(20, 15, |x, y| image::Rgb([x as u8, y as u8, 9])).save(dir.join("a.bmp")).unwrap();
    image::RgbImage::from_fn(20, 15, |x, y| image::Rgb([x as u8, y as u8, 9])).save(dir.join("a.webp")).unwrap();
    let mut files: Vec<PathBuf> = Vec::new();
    files_below(dir, &mut files);
    files_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures"), &mut files);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var_os("GMAI_SHARED").map_or_else(beside, PathBuf::from).join("data");
    if !shared.is_dir() {
        eprintln!("real files skipped: no {} (set GMAI_SHARED to the folder of shared data)", shared.display());
    } else {
        let mut real = Vec::new();
        files_below(&shared, &mut real);
        files.extend(real.into_iter().filter(|path| path.metadata().unwrap().len() <= MAX_FILE_BYTES));
    }
    let mut by_kind: BTreeMap<String, Vec<(u64, PathBuf)>> = BTreeMap::new();
    for path in files {
        if let Some(kind) = sniff(&path).unwrap() {
            let detail = if kind == FileKind::Dicom { transfer_syntax(&path) } else { ending(&path) };
            by_kind.entry(format!("{} {detail}", kind.key())).or_default().push((path.metadata().unwrap().len(), path));
        }
    }
    by_kind
        .into_values()
        .flat_map(|mut files| {
            files.sort();
            files.into_iter().take(6).map(|(_, path)| path)
        })
        .collect()
}

fn ending(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().into_owned()
}

/// The UID as the meta group has it, found as text.
fn transfer_syntax(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    let marker = [0x02, 0x00, 0x10, 0x00, b'U', b'I'];
    let at = bytes.windows(6).take(1024).position(|window| window == marker);
    at.and_then(|at| bytes.get(at + 8..at + 32))
        .map(|uid| String::from_utf8_lossy(uid).into_owned())
        .unwrap_or_default()
}

fn files_below(dir: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() { files_below(&path, files) } else { files.push(path) }
    }
}

#[test]
fn damaged_files_are_read_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let specimens: Vec<(String, Vec<u8>)> = specimens(dir.path())
        .iter()
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(path).unwrap()))
        .collect();
    let options = WorkerOptions::new(PathBuf::from(env!("CARGO_BIN_EXE_gmai-decode-worker")), Vec::new());
    let decoder = Decoder::with_workers(options, Limits::default()).unwrap();
    let start = Instant::now();
    let (mut read, mut refused) = (0, 0);
    for index in 0..NUM_MUTANTS {
        let (name, bytes) = &specimens[index as usize % specimens.len()];
        let path = dir.path().join(format!("{index}-{name}"));
        std::fs::write(&path, mutant(bytes, SEED, index)).unwrap();
        let begun = Instant::now();
        match decoder.read(&path) {
            Ok(_) => read += 1,
            Err(error) => {
                let told = error.to_string();
                assert!(!told.contains("decoding was stopped") && !told.contains("the reader gave up"), "{told}");
                refused += 1;
            }
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{} took {:?}", path.display(), begun.elapsed());
        std::fs::remove_file(&path).unwrap();
    }
    println!("{} files, {read} copies read, {refused} refused in {:?}", specimens.len(), start.elapsed());
    assert!(read > 0 && refused > 0);
}
