//! Decoding in processes of their own: the same results as here, and what becomes of processes that misbehave.
#![allow(clippy::unwrap_used)]

use gmai_imaging::{
    Content, Decoder, DeepGrey, Error, FileKind, LabelMap, Limits, Mask, Scan, Volume, WorkerOptions, read, sniff,
};
use gmai_schema::Rgb8;
use gmai_testkit::{DicomImage, NiftiImage, NiftiVoxels, hostile};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn options(kind: Option<&str>) -> WorkerOptions {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_gmai-decode-worker"));
    WorkerOptions::new(program, kind.map(Into::into).into_iter().collect())
}

fn workers(limits: Limits) -> Decoder {
    Decoder::with_workers(options(None), limits).unwrap()
}

/// Pixels and facts as text: equal texts are equal bits.
fn told(scan: gmai_imaging::Result<Scan>) -> String {
    match scan {
        Err(error) => error.to_string(),
        Ok(mut scan) => {
            let content = match &mut scan.content {
                Content::Picture(picture) => format!("{picture:?} {:016x}", hash(picture.pixels().iter().copied())),
                Content::Volume(volume) => {
                    let values = std::mem::take(&mut volume.values);
                    format!(
                        "{} values {:016x}",
                        values.len(),
                        hash(values.iter().flat_map(|value| value.to_le_bytes()))
                    )
                }
            };
            format!("{scan:?} {content}")
        }
    }
}

fn hash(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

fn told_picture(picture: gmai_imaging::Result<Rgb8>) -> String {
    picture.map_or_else(
        |error| error.to_string(),
        |picture| format!("{picture:?} {:016x}", hash(picture.pixels().iter().copied())),
    )
}

fn told_mask(mask: gmai_imaging::Result<Mask>) -> String {
    mask.map_or_else(
        |error| error.to_string(),
        |mask| {
            format!(
                "{} x {} {:016x}",
                mask.width,
                mask.height,
                hash(mask.inside.iter().map(|inside| u8::from(*inside)))
            )
        },
    )
}

fn told_map(map: gmai_imaging::Result<LabelMap>) -> String {
    map.map_or_else(
        |error| error.to_string(),
        |map| {
            let values = hash(map.values.iter().flat_map(|value| value.to_le_bytes()));
            format!("{:?} {:?} {:?} {values:016x}", map.dims, map.spacing, map.affine)
        },
    )
}

/// Compares all that can be asked of one file.
fn compare(here: &Decoder, there: &Decoder, path: &Path) {
    assert_eq!(told(there.read(path)), told(here.read(path)));
    match sniff(path).unwrap() {
        Some(FileKind::Nifti | FileKind::Nrrd | FileKind::MetaImage) => {
            assert_eq!(told_map(there.read_label_map(path)), told_map(here.read_label_map(path)));
        }
        Some(FileKind::Dicom) | None => {}
        Some(_) => {
            let clipped = |decoder: &Decoder| told_picture(decoder.read_picture(path, DeepGrey::Clip));
            assert_eq!(clipped(there), clipped(here));
            assert_eq!(told_mask(there.read_mask(path)), told_mask(here.read_mask(path)));
        }
    }
}

/// What a file says as a segmentation, as structures, as a report and as an instance, in both forms.
fn compare_objects(here: &Decoder, there: &Decoder, path: &Path, volume: &Volume) -> usize {
    let objects = |decoder: &Decoder| {
        let segmentation = decoder.read_segmentation(path).map_err(|error| error.to_string());
        let segments = segmentation.as_ref().map(|facts| facts.segments.clone()).unwrap_or_default();
        let drawn = segments.iter().map(|one| told_map(decoder.draw_segment(path, one.number, volume)));
        let drawn: Vec<String> = drawn.collect();
        let structures = decoder.read_structures(path).map_err(|error| error.to_string());
        let report = decoder.read_measurements(path).map_err(|error| error.to_string());
        let num_read = [segmentation.is_ok(), structures.is_ok(), report.is_ok()].iter().filter(|read| **read).count();
        let instances = decoder.instances(&[path.to_path_buf()]).map_err(|error| error.to_string());
        (format!("{segmentation:?} {drawn:?} {structures:?} {report:?} {instances:?}"), num_read)
    };
    let (expected, found) = (objects(here), objects(there));
    assert_eq!(expected.0, found.0, "{}", path.display());
    expected.1
}

fn files_below(dir: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() { files_below(&path, files) } else { files.push(path) }
    }
}

fn nrrd(sizes: &str, more: &str) -> String {
    format!("NRRD0005\ntype: uchar\ndimension: 3\nsizes: {sizes}\nspace: RAS\nencoding: raw\n{more}\n")
}

fn meta(sizes: &str, file: &str) -> String {
    format!("ObjectType = Image\nNDims = 3\nDimSize = {sizes}\nElementType = MET_UCHAR\nElementDataFile = {file}\n")
}

/// Every kind of file, good and bad, alone and in two parts.
fn made_up_files(dir: &Path) -> Vec<PathBuf> {
    gmai_testkit::write_grey16_png(&dir.join("deep.png"), 3, 2, &[0, 300, 9000, 1, 2, 65535]).unwrap();
    gmai_testkit::write_grey_png(&dir.join("mask.png"), 3, 2, &[0, 255, 255, 0, 0, 7]).unwrap();
    let slice = |z: i16| DicomImage::ct(4, 3, (0..12).map(|value| value * 100 + z).collect());
    gmai_testkit::write_dicom(&dir.join("slice.dcm"), &slice(1)).unwrap();
    let labels = NiftiImage::new([3, 2, 2], NiftiVoxels::U8(vec![0, 1, 2, 0, 1, 2, 0, 0, 0, 3, 3, 3]));
    gmai_testkit::write_nifti(&dir.join("labels.nii.gz"), &labels).unwrap();
    for (name, bytes) in [
        ("bomb.nii.gz", hostile::nifti_gz_bomb(64).unwrap()),
        ("claim.nii.gz", hostile::nifti_gz_claiming_too_much().unwrap()),
        ("short.nii", hostile::truncated_nifti().unwrap()),
        ("claim.dcm", hostile::dicom_claiming_4_gib()),
        ("claim.png", hostile::png_claiming_too_much()),
        ("empty.png", Vec::new()),
        ("notes.txt", b"no image".to_vec()),
        ("alone.nrrd", [nrrd("2 2 1", "").as_bytes(), &[1, 2, 3, 4]].concat()),
        ("apart.nhdr", nrrd("2 2 1", "data file: apart.raw\n").into_bytes()),
        ("apart.raw", vec![4, 3, 2, 1]),
        ("claim.nrrd", nrrd("700 700 700", "").into_bytes()),
        ("alone.mha", [meta("2 2 1", "LOCAL").as_bytes(), &[1, 2, 3, 4]].concat()),
        ("apart.mhd", meta("2 2 1", "apart.raw").into_bytes()),
        ("lost.mhd", meta("2 2 1", "absent.raw").into_bytes()),
        ("claim.mha", meta("700 700 700", "LOCAL").into_bytes()),
    ] {
        std::fs::write(dir.join(name), bytes).unwrap();
    }
    let mut files = Vec::new();
    files_below(dir, &mut files);
    files
}

#[test]
fn made_up_files_are_read_or_refused_by_the_same_words() {
    let dir = tempfile::tempdir().unwrap();
    let (here, there) = (Decoder::default(), workers(Limits::default()));
    let mut files = made_up_files(dir.path());
    files_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures"), &mut files);
    for path in &files {
        compare(&here, &there, path);
    }
    assert_eq!(told(there.read(&dir.path().join("absent.png"))), told(here.read(&dir.path().join("absent.png"))));
    let surveyed = |decoder: &Decoder| format!("{:?}", decoder.survey_series(dir.path()).unwrap());
    assert_eq!(surveyed(&there), surveyed(&here));
}

/// Every image of every shared set, both ways; and every series.
#[test]
fn shared_data_is_the_same_in_both_forms() {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var_os("GMAI_SHARED").map_or_else(beside, PathBuf::from).join("data");
    if !shared.is_dir() {
        eprintln!("skipped: no {} (set GMAI_SHARED to the folder of shared data)", shared.display());
        return;
    }
    let (here, there) = (Decoder::default(), workers(Limits::default()));
    let (mut num_files, mut num_series) = (0, 0);
    let mut sets: Vec<_> = std::fs::read_dir(&shared).unwrap().map(|entry| entry.unwrap().path()).collect();
    sets.sort();
    for set in sets.iter().filter(|path| path.is_dir()) {
        let mut files = Vec::new();
        files_below(set, &mut files);
        let images: Vec<_> = files.into_iter().filter(|path| sniff(path).unwrap().is_some()).collect();
        // A set has many pictures of one make: every 8th of a large one is enough to see a difference.
        let step = if images.len() > 200 { 8 } else { 1 };
        for path in images.iter().step_by(step) {
            compare(&here, &there, path);
            num_files += 1;
        }
        let (ours, theirs) = (here.survey_series(set).unwrap(), there.survey_series(set).unwrap());
        assert_eq!(format!("{theirs:?}"), format!("{ours:?}"));
        for series in ours.series {
            assert_eq!(told(there.read_series(&series.files)), told(here.read_series(&series.files)));
            num_series += 1;
        }
    }
    println!("{num_files} files and {num_series} series are the same in both forms");
    assert!(num_files > 0);
}

struct Picture {
    path: PathBuf,
    _dir: TempDir,
}

/// A black picture in a file of a few KiB.
#[test]
fn segmentations_structures_and_reports_are_the_same_in_both_forms() {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var_os("GMAI_SHARED").map_or_else(beside, PathBuf::from).join("data");
    if !shared.is_dir() {
        eprintln!("skipped: no {} (set GMAI_SHARED to the folder of shared data)", shared.display());
        return;
    }
    let (here, there) = (Decoder::default(), workers(Limits::default()));
    let (mut images, mut objects) = (Vec::new(), Vec::new());
    files_below(&shared.join("dicom-seg-sr/dcmqi/data/segmentations/ct-3slice"), &mut images);
    let Content::Volume(volume) = here.read_series(&images).unwrap().content else { panic!("a series is a volume") };
    files_below(&shared.join("dicom-seg-sr"), &mut objects);
    files_below(&shared.join("dicom-rtstruct"), &mut objects);
    objects.retain(|path| sniff(path).unwrap() == Some(FileKind::Dicom));
    let num_read: usize = objects.iter().map(|path| compare_objects(&here, &there, path, &volume)).sum();
    assert!(num_read >= 8, "{num_read} of {} files are objects", objects.len());
}

fn black(side: u32) -> Picture {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("black.png");
    gmai_testkit::write_grey_png(&path, side, side, &vec![0; (side * side) as usize]).unwrap();
    Picture { path, _dir: dir }
}

#[test]
fn process_that_misbehaves_is_one_error_of_one_file() {
    let picture = black(64);
    for (kind, words) in [
        ("dies", "crashed"),
        ("leaves", "ended"),
        ("babbles", "answered a message"),
        ("hangs", "no answer came within 12 s"),
    ] {
        let decoder = Decoder::with_workers(WorkerOptions { cpu_seconds: 1, ..options(Some(kind)) }, Limits::default());
        let error = decoder.unwrap().read(&picture.path).unwrap_err();
        assert!(matches!(error, Error::DecodingStopped { .. }), "{error}");
        assert!(error.to_string().contains(words) && error.to_string().contains("black.png"), "{error}");
    }
}

#[test]
fn program_that_is_no_decoding_process_is_found_at_the_start() {
    let absent = WorkerOptions::new(PathBuf::from("no such program"), Vec::new());
    assert!(matches!(Decoder::with_workers(absent, Limits::default()), Err(Error::NoDecodingProcess { .. })));
    let other = WorkerOptions::new(PathBuf::from("/bin/echo"), vec!["good morning, who is there?".into()]);
    assert!(matches!(Decoder::with_workers(other, Limits::default()), Err(Error::NoDecodingProcess { .. })));
}

#[cfg(target_os = "linux")]
#[test]
fn memory_and_time_of_one_file_are_limited_and_the_next_is_read() {
    let (small, large) = (black(64), black(9000));
    let tight = WorkerOptions { memory_bytes: 200 << 20, ..options(None) };
    let decoder = Decoder::with_workers(tight, Limits::default()).unwrap();
    decoder.read(&small.path).unwrap();
    let error = decoder.read(&large.path).unwrap_err();
    assert!(error.to_string().contains("more than 200 MiB of memory"), "{error}");
    decoder.read(&small.path).unwrap();

    let hasty = Decoder::with_workers(WorkerOptions { cpu_seconds: 0, ..options(None) }, Limits::default()).unwrap();
    // No processor time and no time to wait: the watchdog ends it at once.
    let error = hasty.read(&large.path).unwrap_err();
    assert!(matches!(error, Error::DecodingStopped { .. }), "{error}");
}

#[test]
fn processes_are_shared_between_threads_and_clones() {
    let picture = black(300);
    let decoder = workers(Limits::default());
    let expected = told(read(&picture.path, &Limits::default()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let (decoder, expected, path) = (decoder.clone(), &expected, &picture.path);
            scope.spawn(move || {
                for _ in 0..25 {
                    assert_eq!(&told(decoder.read(path)), expected);
                }
            });
        }
    });
}

#[test]
fn hostile_files_are_refused_at_once_without_any_process() {
    let dir = tempfile::tempdir().unwrap();
    let decoder = workers(Limits::default());
    for path in made_up_files(dir.path()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.starts_with("claim") {
            continue;
        }
        let start = Instant::now();
        assert!(decoder.read(&path).is_err(), "{name}");
        assert!(start.elapsed() < Duration::from_millis(200), "{name} took {:?}", start.elapsed());
    }
}
