//! Files from outside that are cut off, empty, of another format or lie about their size.
#![allow(clippy::unwrap_used)]

use gmai_imaging::{Error, Limits, read, read_label_map, read_mask, sniff};
use gmai_testkit::hostile;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;

struct Written {
    path: PathBuf,
    _dir: TempDir,
}

fn written(name: &str, bytes: &[u8]) -> Written {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    Written { path, _dir: dir }
}

fn refusal(name: &str, bytes: &[u8]) -> Error {
    let file = written(name, bytes);
    let start = Instant::now();
    let error = read(&file.path, &Limits::default()).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(2), "{name} took {:?}", start.elapsed());
    assert!(error.to_string().contains(name), "the message does not name the file: {error}");
    error
}

#[test]
fn dicom_that_claims_4_gib_is_refused_at_once() {
    let error = refusal("small.dcm", &hostile::dicom_claiming_4_gib());
    assert!(matches!(error, Error::Truncated { ref field, .. } if field == "PixelData"), "{error}");
}

/// Run lengths of one pixel in a file that claims 99,999,999 frames.
#[test]
fn dicom_that_claims_more_frames_than_it_has_fragments_is_refused_at_once() {
    let mut bytes = [vec![0; 128], b"DICM".to_vec()].concat();
    let mut short = |group: u16, element: u16, vr: &[u8; 2], value: &[u8]| {
        bytes.extend([group.to_le_bytes(), element.to_le_bytes()].concat());
        bytes.extend(vr);
        bytes.extend((value.len() as u16).to_le_bytes());
        bytes.extend(value);
    };
    short(0x0002, 0x0010, b"UI", b"1.2.840.10008.1.2.5\0");
    short(0x0028, 0x0002, b"US", &[1, 0]);
    short(0x0028, 0x0004, b"CS", b"MONOCHROME2 ");
    short(0x0028, 0x0008, b"IS", b"99999999");
    short(0x0028, 0x0010, b"US", &[1, 0]);
    short(0x0028, 0x0011, b"US", &[1, 0]);
    short(0x0028, 0x0100, b"US", &[8, 0]);
    bytes.extend(b"\xE0\x7F\x10\x00OB\0\0\xFF\xFF\xFF\xFF\xFE\xFF\x00\xE0\0\0\0\0\xFE\xFF\x00\xE0");
    let frame = [&[1u8, 0, 0, 0, 64, 0, 0, 0][..], &[0; 56], &[0, 7]].concat();
    bytes.extend((frame.len() as u32).to_le_bytes());
    bytes.extend(&frame);
    bytes.extend(b"\xFE\xFF\xDD\xE0\0\0\0\0");
    let error = refusal("frames.dcm", &bytes);
    assert!(error.to_string().contains("1 fragments cannot hold 99999999 frames"), "{error}");
}

#[test]
fn nifti_that_claims_too_many_voxels_is_refused_at_once() {
    let error = refusal("claims.nii.gz", &hostile::nifti_gz_claiming_too_much().unwrap());
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}

#[test]
fn gzip_bomb_behind_the_voxels_is_not_unpacked() {
    let error = refusal("bomb.nii.gz", &hostile::nifti_gz_bomb(64).unwrap());
    assert!(matches!(error, Error::Malformed { ref field, .. } if field == "file size"), "{error}");
}

#[test]
fn truncated_nifti_is_refused() {
    let plain = refusal("short.nii", &hostile::truncated_nifti().unwrap());
    assert!(matches!(plain, Error::Truncated { .. }), "{plain}");
    let gzipped = refusal("short.nii.gz", &hostile::truncated_nifti_gz().unwrap());
    assert!(matches!(gzipped, Error::Truncated { .. } | Error::Decode { .. }), "{gzipped}");
}

#[test]
fn png_that_claims_too_many_pixels_is_refused_before_decoding() {
    let error = refusal("huge.png", &hostile::png_claiming_too_much());
    assert!(matches!(error, Error::TooLarge { .. } | Error::Malformed { .. }), "{error}");
}

#[test]
fn empty_file_and_text_are_told_apart_from_images() {
    assert!(matches!(refusal("empty.png", b""), Error::Empty { .. }));
    assert!(matches!(refusal("notes.dcm", b"Study done in the morning."), Error::NotAnImage { .. }));
    let text = written("list.csv", b"file,label\na.png,1\n");
    assert_eq!(sniff(&text.path).unwrap(), None);
    assert!(read_mask(&text.path, &Limits::default()).is_err());
    assert!(matches!(read(&text.path.with_file_name("absent.png"), &Limits::default()), Err(Error::Io { .. })));
}

#[test]
fn picture_is_no_label_map() {
    let file = written("mask.png", &hostile::png_claiming_too_much());
    assert!(matches!(read_label_map(&file.path, &Limits::default()), Err(Error::WrongKind { .. })));
}

#[test]
fn every_truncation_and_many_changes_of_a_slice_end_without_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("slice.dcm");
    gmai_testkit::write_dicom(&path, &gmai_testkit::DicomImage::ct(4, 4, vec![7; 16])).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    for end in (0..bytes.len()).step_by(3) {
        std::fs::write(&path, &bytes[..end]).unwrap();
        assert!(read(&path, &Limits::default()).is_err(), "a file of {end} bytes was read");
    }
    for at in 128..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0xFF;
        std::fs::write(&path, &changed).unwrap();
        let _ = read(&path, &Limits::default());
    }
}
