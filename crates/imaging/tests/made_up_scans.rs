//! Scans with known values, written by testkit and read back.
#![allow(clippy::unwrap_used)]

use gmai_imaging::{
    Content, Error, FileKind, Limits, Scan, Volume, WindowRule, display, group_series, read, read_label_map, read_mask,
    read_series, render, sha256_file, survey_series, window,
};
use gmai_schema::{Axis, Modality, SliceRef, WindowRef};
use gmai_testkit::{DicomImage, NiftiImage, NiftiVoxels, ScanSet, write_dicom, write_nifti};
use std::path::{Path, PathBuf};

fn limits() -> Limits {
    Limits::default()
}

fn volume(scan: Scan) -> Volume {
    match scan.content {
        Content::Volume(volume) => volume,
        Content::Picture(picture) => panic!("a volume was expected, not {picture:?}"),
    }
}

fn greys(scan: &Scan) -> Vec<u8> {
    match &scan.content {
        Content::Picture(picture) => picture.pixels().iter().step_by(3).copied().collect(),
        Content::Volume(_) => panic!("a picture was expected"),
    }
}

#[test]
fn dicom_is_rescaled_before_the_window_is_applied() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.dcm");
    // Stored 864, 1064, 1264 are -160, 40 and 240 Hounsfield units.
    let image =
        DicomImage { intercept: -1024.0, window: Some([40.5, 401.0]), ..DicomImage::ct(3, 1, vec![864, 1064, 1264]) };
    write_dicom(&path, &image).unwrap();
    let scan = read(&path, &limits()).unwrap();
    assert_eq!((scan.kind, scan.modality, scan.patient.as_deref()), (FileKind::Dicom, Some(Modality::Ct), Some("P0")));
    assert_eq!(scan.window, Some(WindowRef { low: -160.0, high: 240.0 }));
    assert_eq!(greys(&scan), [0, 128, 255]);
    assert_eq!(scan.sha256, sha256_file(&path).unwrap());
}

#[test]
fn monochrome1_is_shown_inverted_and_no_window_means_full_range() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.dcm");
    let image = DicomImage { photometric: "MONOCHROME1".to_string(), ..DicomImage::ct(3, 1, vec![-5, 0, 5]) };
    write_dicom(&path, &image).unwrap();
    assert_eq!(greys(&read(&path, &limits()).unwrap()), [255, 127, 0]);
}

/// Three axial slices of 2 x 2 pixels whose names run against their positions; the value is 10 z + column + 2 row.
fn write_stack(dir: &Path, heights: &[f64]) -> Vec<PathBuf> {
    let slice = |(index, z): (usize, &f64)| {
        let path = dir.join(format!("{}.dcm", 9 - index));
        let values = (0..4).map(|pixel| *z as i16 * 10 + pixel).collect();
        let image = DicomImage {
            position: [0.0, 0.0, *z],
            instance: format!("2.25.3.{index}"),
            instance_number: index as u32,
            ..DicomImage::ct(2, 2, values)
        };
        write_dicom(&path, &image).unwrap();
        path
    };
    heights.iter().enumerate().map(slice).collect()
}

#[test]
fn series_is_ordered_by_position_and_shown_as_radiologists_expect() {
    let dir = tempfile::tempdir().unwrap();
    let files = write_stack(dir.path(), &[4.0, 0.0, 2.0]);
    let scan = read_series(&files, &limits()).unwrap();
    let reversed: Vec<PathBuf> = files.iter().rev().cloned().collect();
    assert_eq!(read_series(&reversed, &limits()).unwrap().sha256, scan.sha256);
    let volume = volume(scan);
    assert_eq!((volume.dims, volume.spacing), ([2, 2, 3], [1.0, 1.0, 2.0]));
    // DICOM columns run to the patient's left and rows to the back, so the picture equals the stored one.
    let axial = volume.plane(SliceRef { axis: Axis::Axial, index: 1 }).unwrap();
    assert_eq!(axial.values, [20.0, 21.0, 22.0, 23.0]);
    let coronal = volume.plane(SliceRef { axis: Axis::Coronal, index: 0 }).unwrap();
    assert_eq!(coronal.values, [42.0, 43.0, 22.0, 23.0, 2.0, 3.0]);
    assert_eq!(render(&coronal, WindowRef { low: 0.0, high: 43.0 }).height(), 6);
}

#[test]
fn series_with_a_missing_slice_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let files = write_stack(dir.path(), &[0.0, 1.0, 2.0, 4.0]);
    assert!(matches!(read_series(&files, &limits()), Err(Error::SliceGap { .. })));
    assert!(read_series(&[], &limits()).is_err());
}

#[test]
fn directions_under_one_series_uid_are_series_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    write_stack(dir.path(), &[0.0, 1.0]);
    let orientation = [0.0, 1.0, 0.0, 0.0, 0.0, -1.0];
    for (name, x) in [("scout1.dcm", 0.0), ("scout2.dcm", 3.0)] {
        let position = [x, 0.0, 0.0];
        let image = DicomImage { orientation, position, ..DicomImage::ct(2, 2, vec![0; 4]) };
        write_dicom(&dir.path().join(name), &image).unwrap();
    }
    let series = group_series(dir.path(), &limits()).unwrap();
    assert_eq!(series.iter().map(|series| series.files.len()).collect::<Vec<_>>(), [2, 2]);
    assert!(series.iter().all(|one| one.uid == series[0].uid));
    let parts: Vec<&str> = series.iter().map(|series| series.part.as_deref().unwrap()).collect();
    assert!(parts.iter().all(|part| part.starts_with("directions ")) && parts[0] != parts[1], "{parts:?}");
    for series in &series {
        assert_eq!(volume(read_series(&series.files, &limits()).unwrap()).dims.iter().product::<usize>(), 8);
    }
}

#[test]
fn files_that_repeat_another_are_left_out_with_a_note() {
    let dir = tempfile::tempdir().unwrap();
    let mut files = write_stack(dir.path(), &[0.0, 1.0, 2.0]);
    let plain = volume(read_series(&files, &limits()).unwrap());
    let copy = dir.path().join("copy.dcm");
    std::fs::copy(&files[1], &copy).unwrap();
    files.push(copy);
    let scan = read_series(&files, &limits()).unwrap();
    assert!(scan.notes.iter().any(|note| note.starts_with("1 files repeat")), "{:?}", scan.notes);
    assert_eq!(volume(scan).values, plain.values);
}

#[test]
fn gantry_tilt_is_kept_in_the_affine_and_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let files: Vec<PathBuf> = (0..3)
        .map(|index| {
            let path = dir.path().join(format!("{index}.dcm"));
            let z = f64::from(index) * 2.0;
            let image = DicomImage { position: [0.0, z * 0.5, z], ..DicomImage::ct(2, 2, vec![0; 4]) };
            write_dicom(&path, &image).unwrap();
            path
        })
        .collect();
    let scan = read_series(&files, &limits()).unwrap();
    assert!(scan.notes.iter().any(|note| note.contains("26.6 degrees")), "{:?}", scan.notes); // atan 0.5
    // The front moves back by 1 mm from slice to slice: in RAS y falls.
    assert!((volume(scan).affine[1][2] + 1.0).abs() < 1e-9);
}

#[test]
fn mixed_series_are_refused_by_name_of_what_differs() {
    let dir = tempfile::tempdir().unwrap();
    let mut files = write_stack(dir.path(), &[0.0, 1.0]);
    let write = |name: &str, image: DicomImage| {
        let path = dir.path().join(name);
        write_dicom(&path, &image).unwrap();
        path
    };
    let field = |files: &[PathBuf]| match read_series(files, &limits()) {
        Err(Error::MixedSeries { field, .. }) => field,
        other => panic!("a mixed series was read: {other:?}"),
    };
    files.push(write("other.dcm", DicomImage { series: "2.25.77".to_string(), ..DicomImage::ct(2, 2, vec![0; 4]) }));
    assert_eq!(field(&files), "SeriesInstanceUID");
    *files.last_mut().unwrap() = write("size.dcm", DicomImage::ct(3, 2, vec![0; 6]));
    assert_eq!(field(&files), "Rows, Columns, NumberOfFrames");
    let orientation = [0.0, 1.0, 0.0, 0.0, 0.0, -1.0];
    *files.last_mut().unwrap() = write("scout.dcm", DicomImage { orientation, ..DicomImage::ct(2, 2, vec![0; 4]) });
    assert_eq!(field(&files), "ImageOrientationPatient");
}

#[test]
fn folder_is_grouped_into_series_and_the_rest_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    write_stack(&dir.path().join("a"), &[0.0, 1.0]);
    write_dicom(
        &dir.path().join("b/1"),
        &DicomImage { series: "2.25.77".to_string(), ..DicomImage::ct(1, 1, vec![0]) },
    )
    .unwrap();
    std::fs::write(dir.path().join("README.txt"), "made up").unwrap();
    let survey = survey_series(dir.path(), &limits()).unwrap();
    let sizes: Vec<usize> = survey.series.iter().map(|series| series.files.len()).collect();
    assert_eq!((sizes, survey.other_files.len(), survey.unreadable.len()), (vec![2, 1], 1, 0));
    assert!(matches!(display(dir.path(), None, &limits()), Err(Error::SeriesCount { count: 2, .. })));
    assert_eq!(display(&dir.path().join("a"), None, &limits()).unwrap().width(), 2);
}

#[test]
fn nifti_slope_of_zero_leaves_values_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.nii.gz");
    let values = vec![0, 1, -2, 300, 4, 5, 6, 7];
    let image = NiftiImage::new([2, 2, 2], NiftiVoxels::I16(values.clone()));
    write_nifti(&path, &image).unwrap();
    let expected: Vec<f32> = values.iter().map(|value| f32::from(*value)).collect();
    assert_eq!(volume(read(&path, &limits()).unwrap()).values, expected);
    write_nifti(&path, &NiftiImage { slope: 2.0, intercept: 1.0, ..image }).unwrap();
    let expected: Vec<f32> = expected.iter().map(|value| value * 2.0 + 1.0).collect();
    assert_eq!(volume(read(&path, &limits()).unwrap()).values, expected);
}

#[test]
fn nifti_that_runs_to_the_left_is_mirrored() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.nii");
    let affine = [[-1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]];
    write_nifti(&path, &NiftiImage { affine, ..NiftiImage::new([2, 1, 1], NiftiVoxels::F32(vec![1.0, 2.0])) }).unwrap();
    assert_eq!(volume(read(&path, &limits()).unwrap()).values, [2.0, 1.0]);
}

#[test]
fn several_volumes_give_the_first_and_a_note() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.nii");
    write_nifti(&path, &NiftiImage::new([2, 1, 1], NiftiVoxels::U8(vec![1, 2, 3, 4]))).unwrap();
    let scan = read(&path, &limits()).unwrap();
    assert_eq!(scan.notes.len(), 1);
    assert_eq!(volume(scan).values, [1.0, 2.0]);
}

#[test]
fn mask_threshold_fits_what_the_file_holds() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mask.png");
    let inside = |pixels: &[u8]| {
        gmai_testkit::write_grey_png(&path, pixels.len() as u32, 1, pixels).unwrap();
        read_mask(&path, &limits()).unwrap().inside
    };
    assert_eq!(inside(&[0, 1, 0]), [false, true, false]);
    assert_eq!(inside(&[3, 127, 128, 255]), [false, false, true, true]);
    gmai_testkit::write_grey16_png(&path, 2, 1, &[0, 65535]).unwrap();
    assert_eq!(read_mask(&path, &limits()).unwrap().inside, [false, true]);
}

#[test]
fn made_up_hospital_is_read_completely() {
    let dir = tempfile::tempdir().unwrap();
    gmai_testkit::write_quickstart_data(dir.path(), 1, ScanSet::TINY).unwrap();
    let series = group_series(&dir.path().join("ct"), &limits()).unwrap();
    assert_eq!(series.len(), ScanSet::TINY.ct_patients);
    let ct = volume(read_series(&series[1].files, &limits()).unwrap());
    assert_eq!(ct.dims, [48, 48, 24]);
    let range = ct.value_range();
    assert!(range.low <= -980.0 && (400.0..800.0).contains(&range.high), "{range:?}");
    // The liver (140 HU) lies on the patient's right: on the left of an axial picture.
    let picture = render(&ct.plane(ct.middle(Axis::Axial)).unwrap(), window(&ct, WindowRule::CT_SOFT_TISSUE));
    assert!(picture.pixel(10, 24)[0] > picture.pixel(37, 24)[0] + 30);

    for index in 1..=ScanSet::TINY.mr_patients {
        let name = format!("mr_{index:03}.nii.gz");
        let image = volume(read(&dir.path().join("mr/images").join(&name), &limits()).unwrap());
        let labels = read_label_map(&dir.path().join("mr/labels").join(&name), &limits()).unwrap();
        assert!(labels.matches(&image));
        assert!(!labels.matches(&ct));
        // Class 1 is the patient's left: on the right half of the picture.
        let plane = labels.plane(image.middle(Axis::Axial)).unwrap();
        let left = plane.mask(1).tight_box().unwrap();
        assert!(left.left >= 20, "{left:?}");
        assert!(plane.mask(2).tight_box().unwrap().right <= 20);
    }
    let mask = read_mask(&dir.path().join("ultrasound/masks/us_004.png"), &limits()).unwrap();
    assert_eq!(mask.components().len(), 2);
}
