//! Real scans, where they are at hand: the folder named by GMAI_SHARED, or `shared` beside the repository.
#![allow(clippy::unwrap_used)]

use gmai_imaging::{
    Content, Error, FileKind, Limits, Scan, Slide, Volume, group_series, read, read_dicom_samples, read_label_map,
    read_series, sniff,
};
use gmai_schema::Axis;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A data set's folder; `None` (with a word on stderr) when it is not there.
fn data(set: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var_os("GMAI_SHARED").map_or_else(beside, PathBuf::from);
    let folder = shared.join("data").join(set);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: no {} (set GMAI_SHARED to the folder of shared data)", folder.display());
    None
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut entries: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

fn nifti_below(dir: &Path) -> Vec<PathBuf> {
    files_below(dir).into_iter().filter(|path| sniff(path).unwrap() == Some(FileKind::Nifti)).collect()
}

fn volume(scan: Scan) -> Volume {
    match scan.content {
        Content::Volume(volume) => volume,
        Content::Picture(picture) => panic!("a volume was expected, not {picture:?}"),
    }
}

#[test]
fn hippocampus_volumes_lie_on_the_grid_of_their_label_maps() {
    let Some(folder) = data("msd-hippocampus-mr") else { return };
    let images = nifti_below(&folder.join("images"));
    assert!(!images.is_empty());
    for path in images {
        let image = volume(read(&path, &Limits::default()).unwrap());
        let labels =
            read_label_map(&folder.join("labels").join(path.file_name().unwrap()), &Limits::default()).unwrap();
        assert!(labels.matches(&image), "{}", path.display());
        let classes: Vec<u16> = labels.class_sizes().into_keys().collect();
        assert!(!classes.is_empty() && classes.iter().all(|class| [1, 2].contains(class)), "{classes:?}");
    }
}

#[test]
fn organ_volumes_and_label_maps_are_read() {
    let Some(folder) = data("ct-mr-organ-segmentation") else { return };
    let paths = nifti_below(&folder);
    assert!(!paths.is_empty());
    for path in &paths {
        let volume = volume(read(path, &Limits::default()).unwrap_or_else(|error| panic!("{error}")));
        assert_eq!(volume.values.len(), volume.dims.iter().product::<usize>());
        if path.file_name().unwrap().to_string_lossy().contains("_seg") {
            read_label_map(path, &Limits::default()).unwrap_or_else(|error| panic!("{error}"));
        }
    }
    println!("{} NIfTI files read", paths.len());
}

#[test]
fn jpeg_2000_series_lies_on_the_grid_of_its_label_map() {
    let Some(folder) = data("ct-mr-organ-segmentation") else { return };
    for series in group_series(&folder, &Limits::default()).unwrap() {
        let scan = read_series(&series.files, &Limits::default()).unwrap_or_else(|error| panic!("{error}"));
        println!("{} files: {:?}", series.files.len(), scan.notes);
        let image = volume(scan);
        let range = image.value_range();
        assert!(range.low >= -3100.0 && range.high > 200.0, "no Hounsfield units: {range:?}");
        let labels = read_label_map(&folder.join("example_seg_dicom.nii.gz"), &Limits::default()).unwrap();
        assert!(labels.matches(&image));
        // The label map was made from this series: its affine is that of another converter.
        for (own, expected) in image.affine.iter().flatten().zip(labels.affine.iter().flatten()) {
            assert!((own - expected).abs() < 1e-3, "{:?} {:?}", image.affine, labels.affine);
        }
    }
}

/// dcm2niix is the reference: the first volume of its NIfTI must equal ours voxel by voxel and lie in the same place, mosaics included.
#[test]
fn series_equals_the_reference_conversion() {
    let Some(folder) = data("dicom-series-to-nifti") else { return };
    let references: Vec<(PathBuf, Volume)> = nifti_below(&folder)
        .into_iter()
        .map(|path| (path.clone(), volume(read(&path, &Limits::default()).unwrap())))
        .collect();
    let all_series = group_series(&folder, &Limits::default()).unwrap();
    assert!(!all_series.is_empty() && !references.is_empty());
    let mut matched = BTreeSet::new();
    for series in &all_series {
        let scan = read_series(&series.files, &Limits::default()).unwrap_or_else(|error| panic!("{error}"));
        println!("{} files, {:?}: {:?}", series.files.len(), series.description, scan.notes);
        let ours = volume(scan);
        let equal = |reference: &Volume| reference.dims == ours.dims && reference.values == ours.values;
        let Some((path, reference)) = references.iter().find(|(_, reference)| equal(reference)) else {
            panic!("{}: no reference has the values of this series", series.files[0].display())
        };
        matched.insert(path.clone());
        for axis in Axis::ALL {
            assert_eq!(ours.num_slices(axis), reference.num_slices(axis));
        }
        for (own, expected) in ours.affine.iter().flatten().zip(reference.affine.iter().flatten()) {
            assert!((own - expected).abs() < 1e-3, "{:?} {:?}", ours.affine, reference.affine);
        }
    }
    assert_eq!(matched.len(), references.len(), "some references had no series");
}

/// Why a file of the matrix may be refused. Everything else must be decoded.
fn may_be_refused(error: &Error) -> bool {
    match error {
        // Reports, plans, structures, waveforms and directories hold no picture.
        Error::MissingAttribute { name, .. } => ["PixelData", "Rows", "Columns"].contains(name),
        // Files that the origin project cut off or damaged on purpose.
        Error::Truncated { .. } => true,
        Error::Decode { reason, .. } => reason.contains("no JPEG 2000 header"),
        _ => false,
    }
}

#[test]
fn every_file_of_the_matrix_is_decoded_or_refused_for_a_listed_reason() {
    let Some(folder) = data("dicom-transfer-syntaxes") else { return };
    let mut outcomes: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    let mut unlisted = Vec::new();
    let mut num_files = 0;
    for path in files_below(&folder) {
        if sniff(&path).unwrap() != Some(FileKind::Dicom) {
            // Licences, tables and JSON lie among the files; whatever says DICM must be known as DICOM.
            assert_ne!(std::fs::read(&path).unwrap().get(128..132), Some(&b"DICM"[..]), "{}", path.display());
            continue;
        }
        num_files += 1;
        let outcome = outcomes.entry(transfer_syntax(&path)).or_default();
        match (read(&path, &Limits::default()), read_dicom_samples(&path, &Limits::default())) {
            (Ok(_), Ok(_)) => outcome[0] += 1,
            (Err(error), _) if may_be_refused(&error) => {
                println!("refused: {error}");
                outcome[1] += 1;
            }
            (Err(error), _) | (_, Err(error)) => unlisted.push(error.to_string()),
        }
    }
    for (syntax, [decoded, refused]) in &outcomes {
        println!("{syntax}: {decoded} decoded, {refused} refused");
    }
    assert!(unlisted.is_empty(), "neither decoded nor refused for a listed reason:\n{}", unlisted.join("\n"));
    assert!(num_files > 0);
    let [decoded, refused] = outcomes.values().fold([0, 0], |sum, two| [sum[0] + two[0], sum[1] + two[1]]);
    println!("{num_files} files: {decoded} decoded, {refused} refused");
}

/// The UID as the meta group has it, found as text: independent of the reader under test.
fn transfer_syntax(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    let head = &bytes[..bytes.len().min(1024)];
    let marker = [0x02, 0x00, 0x10, 0x00, b'U', b'I'];
    let Some(at) = head.windows(6).position(|window| window == marker) else { return "none".to_string() };
    let length = usize::from(head[at + 6]);
    String::from_utf8_lossy(&head[at + 8..at + 8 + length]).trim_matches('\0').to_string()
}

/// Words in names of the matrix that tell how a picture is stored, not which picture it is.
const STORAGE_WORDS: [&str; 19] = [
    "rle",
    "RLE",
    "expb",
    "bigendian",
    "big_endian",
    "implicit",
    "padded",
    "deflate",
    "j2k",
    "jp2klossless",
    "jpeg_2k_lossless",
    "jpeg_ls_lossless",
    "gdcm2k_uncompressed",
    "jpeg_gdcm",
    "ILV0",
    "ILV1",
    "ILV2",
    "pl",
    "px",
];

/// The picture that a file name speaks of: its words without those of storage.
fn picture_of(path: &Path) -> String {
    let mut stem = format!("_{}_", path.file_stem().unwrap().to_string_lossy().replace('-', "_"));
    for word in STORAGE_WORDS {
        stem = stem.replace(&format!("_{word}_"), "_");
    }
    stem
}

/// Losslessly stored, a picture has the same numbers whatever the transfer syntax: the names say which files are the same picture.
#[test]
fn one_picture_in_many_transfer_syntaxes_has_the_same_numbers() {
    let Some(folder) = data("dicom-transfer-syntaxes") else { return };
    let mut pictures: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for path in files_below(&folder).into_iter().filter(|path| path.extension().is_some_and(|end| end == "dcm")) {
        pictures.entry(picture_of(&path)).or_default().push(path);
    }
    let mut compared = 0;
    for files in pictures.values().filter(|files| files.len() > 1) {
        let samples: Vec<_> = files
            .iter()
            .map(|path| read_dicom_samples(path, &Limits::default()))
            .filter_map(|read| read.ok())
            .collect();
        assert!(samples.len() == files.len() || samples.is_empty(), "some of these are not read: {files:?}");
        for (path, other) in files.iter().zip(&samples).skip(1) {
            assert!(*other == samples[0], "{} differs from {}", path.display(), files[0].display());
            compared += 1;
        }
    }
    println!("{compared} files equal another in a different transfer syntax");
    assert!(compared > 0);
}

#[test]
fn nrrd_images_lie_on_the_grid_of_their_label_maps() {
    let Some(folder) = data("nrrd-image-label") else { return };
    let mut compared = 0;
    for path in files_below(&folder).into_iter().filter(|path| sniff(path).unwrap() == Some(FileKind::Nrrd)) {
        let name = path.file_name().unwrap().to_string_lossy().to_string();
        let Some(stem) = name.strip_suffix("_image.nrrd") else { continue };
        let image = volume(read(&path, &Limits::default()).unwrap_or_else(|error| panic!("{error}")));
        let labels = read_label_map(&folder.join(format!("{stem}_label.nrrd")), &Limits::default())
            .unwrap_or_else(|e| panic!("{e}"));
        assert!(labels.matches(&image), "{name}");
        assert_eq!(labels.class_sizes().keys().collect::<Vec<_>>(), [&1], "{name}");
        compared += 1;
    }
    assert!(compared > 0);
}

#[test]
fn segmentations_in_nrrd_are_label_maps() {
    let Some(folder) = data("dicom-seg-sr") else { return };
    let files: Vec<PathBuf> =
        files_below(&folder).into_iter().filter(|path| sniff(path).unwrap() == Some(FileKind::Nrrd)).collect();
    assert!(!files.is_empty());
    for path in files {
        let labels = read_label_map(&path, &Limits::default()).unwrap_or_else(|error| panic!("{error}"));
        assert!(!labels.class_sizes().is_empty(), "{}", path.display());
    }
}

/// Tiles put together must give the level, and the level the picture that other code reads from the file.
#[test]
fn slide_levels_are_made_of_their_tiles() {
    let Some(folder) = data("wsi-histology") else { return };
    let mut opened = 0;
    for path in files_below(&folder).into_iter().filter(|path| path.extension().is_some_and(|end| end == "svs")) {
        let Ok(mut slide) = Slide::open(&path, &Limits::default()) else {
            let error = read(&path, &Limits::default()).unwrap_err();
            println!("refused: {error}");
            assert!(error.to_string().contains("not an image"), "{error}");
            continue;
        };
        opened += 1;
        let names: Vec<&str> = slide.pictures().iter().map(|picture| picture.name).collect();
        println!("{}: {:?}, {names:?}, {:?} um", path.display(), slide.levels(), slide.microns_per_pixel());
        assert!(slide.microns_per_pixel().is_some_and(|side| (0.1..2.0).contains(&side)));
        for index in 0..slide.levels().len() {
            let level = slide.levels()[index].clone();
            let whole = slide.level(index).unwrap();
            assert_eq!((whole.width(), whole.height()), (level.width, level.height));
            let [across, down] = level.tiles();
            for (column, row) in [(0, 0), (across - 1, 0), (0, down - 1), (across - 1, down - 1)] {
                let tile = slide.tile(index, column, row).unwrap();
                let (left, top) = (column * level.tile[0], row * level.tile[1]);
                assert!(left + tile.width() <= level.width && top + tile.height() <= level.height);
                for (x, y) in [(0, 0), (tile.width() - 1, tile.height() / 2), (tile.width() / 2, tile.height() - 1)] {
                    assert_eq!(tile.pixel(x, y), whole.pixel(left + x, top + y));
                }
            }
            assert!(slide.tile(index, across, 0).is_err());
        }
        for picture in slide.pictures().to_vec() {
            let pixels = slide.picture(&picture).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!((pixels.width(), pixels.height()), (picture.width, picture.height));
        }
        assert!(slide.tile(99, 0, 0).is_err());
    }
    assert!(opened > 0);
}

/// Real files of every reader, changed at random or cut off: an error or pixels, never a panic, never more than the limit.
#[test]
fn damaged_real_files_are_errors_or_pixels() {
    let Some(matrix) = data("dicom-transfer-syntaxes") else { return };
    let others =
        ["nrrd-image-label", "wsi-histology", "dicom-seg-sr", "dicom-series-to-nifti"].into_iter().filter_map(data);
    let mut state = 5u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let limits = Limits { max_file_bytes: 64 << 20, max_pixels: 4 << 20, max_voxels: 8 << 20 };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("damaged");
    let mut tried = 0;
    for file in std::iter::once(matrix).chain(others).flat_map(|folder| files_below(&folder)) {
        let bytes = std::fs::read(&file).unwrap();
        // Large files are slow to decode a second time; others of their kind are small.
        if sniff(&file).unwrap().is_none() || bytes.len() > 300_000 {
            continue;
        }
        for round in 0..6 {
            let mut damaged = bytes.clone();
            if round % 3 == 2 {
                damaged.truncate(random(bytes.len()));
            }
            for _ in 0..random(8) * usize::from(!damaged.is_empty()) {
                // Half of the changes where headers are.
                let span = if random(2) == 0 { damaged.len().min(2048) } else { damaged.len() };
                let at = random(span);
                damaged[at] = random(256) as u8;
            }
            std::fs::write(&path, &damaged).unwrap();
            let _ = read(&path, &limits);
            let _ = read_label_map(&path, &limits);
            tried += 1;
        }
    }
    println!("{tried} damaged files tried");
}
