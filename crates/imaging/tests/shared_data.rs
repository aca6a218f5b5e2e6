//! Real scans, where they are at hand: the folder named by GMAI_SHARED, or `shared` beside the repository.
#![allow(clippy::unwrap_used)]

use gmai_imaging::{
    Content, Error, FileKind, Limits, Scan, Volume, group_series, read, read_label_map, read_series, sniff,
};
use gmai_schema::Axis;
use std::collections::BTreeMap;
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
        let labels = read_label_map(&folder.join("example_seg_dicom.nii.gz"), &Limits::default());
        assert!(labels.is_ok_and(|labels| labels.matches(&image)));
    }
}

/// dcm2niix is the reference: the first volume of its NIfTI must equal ours voxel by voxel, wherever each puts them.
#[test]
fn series_equals_the_reference_conversion() {
    let Some(folder) = data("dicom-series-to-nifti") else { return };
    let references: Vec<Volume> =
        nifti_below(&folder).iter().map(|path| volume(read(path, &Limits::default()).unwrap())).collect();
    let mut compared = 0;
    for series in group_series(&folder, &Limits::default()).unwrap() {
        let Ok(scan) = read_series(&series.files, &Limits::default()) else { continue };
        println!("{}: {:?} {:?}", series.uid, series.description, scan.notes);
        let ours = volume(scan);
        let Some(reference) = references.iter().find(|reference| reference.dims == ours.dims) else { continue };
        compared += 1;
        assert_eq!(ours.values, reference.values, "{}", series.files[0].display());
        for axis in Axis::ALL {
            assert_eq!(ours.num_slices(axis), reference.num_slices(axis));
        }
        for (own, expected) in ours.affine.iter().flatten().zip(reference.affine.iter().flatten()) {
            assert!((own - expected).abs() < 0.02, "{:?} {:?}", ours.affine, reference.affine);
        }
    }
    assert!(compared > 0, "no series had a reference of its size");
}

/// Transfer syntaxes whose every intact image must open.
const READ: [&str; 12] = [
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.57",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.4.201",
    "1.2.840.10008.1.2.4.203",
    "1.2.840.10008.1.2.5",
];

/// How many files of a transfer syntax ended in which way.
#[derive(Default)]
struct Outcome {
    read: usize,
    without_image: usize,
    unsupported: usize,
    refused: usize,
}

#[test]
fn transfer_syntaxes_open_or_say_why_not() {
    let Some(folder) = data("dicom-transfer-syntaxes") else { return };
    let mut outcomes: BTreeMap<String, Outcome> = BTreeMap::new();
    for path in files_below(&folder) {
        if sniff(&path).unwrap() != Some(FileKind::Dicom) {
            continue;
        }
        let outcome = outcomes.entry(transfer_syntax(&path)).or_default();
        match read(&path, &Limits::default()) {
            Ok(_) => outcome.read += 1,
            Err(Error::MissingAttribute { .. }) => outcome.without_image += 1,
            Err(Error::Unsupported { .. }) => outcome.unsupported += 1,
            Err(error) => {
                println!("{error}");
                outcome.refused += 1;
            }
        }
    }
    let mut all = Outcome::default();
    for (syntax, Outcome { read, without_image, unsupported, refused }) in &outcomes {
        println!(
            "{syntax}: {read} read, {without_image} without image, {unsupported} not supported, {refused} refused"
        );
        all.read += read;
        all.refused += refused;
    }
    for syntax in READ {
        assert!(outcomes.get(syntax).is_none_or(|outcome| outcome.read > 0), "no file of {syntax} was read");
    }
    println!("{} read, {} refused", all.read, all.refused);
    assert!(all.refused * 20 <= all.read, "{} of {} images were refused", all.refused, all.read + all.refused);
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
