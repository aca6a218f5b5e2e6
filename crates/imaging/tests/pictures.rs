//! Small picture files of every kind against what Pillow reads from them (`pictures/make.py` made them), and damaged ones.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

use gmai_imaging::{DeepGrey, Error, Limits, read_picture};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures")
}

#[test]
fn every_kind_of_picture_file_has_the_pixels_that_pillow_reads() {
    let expected = std::fs::read_to_string(folder().join("expected.txt")).unwrap();
    for line in expected.lines() {
        let [name, width, height, sha256] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let picture = read_picture(&folder().join(name), DeepGrey::Clip, &Limits::default()).unwrap();
        assert_eq!(
            (picture.width().to_string(), picture.height().to_string()),
            (width.into(), height.into()),
            "{name}"
        );
        let found: String = Sha256::digest(picture.pixels()).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, sha256, "{name}");
    }
    assert!(expected.lines().count() > 20);
}

/// The error of a picture file with these bytes.
fn read_bytes(bytes: &[u8], name: &str, limits: &Limits) -> gmai_imaging::Result<gmai_schema::Rgb8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    read_picture(&path, DeepGrey::Stretch, limits)
}

#[test]
fn jpeg_files_that_end_too_early_are_refused() {
    for name in ["420.jpg", "420_progressive.jpg", "420_restarts.jpg", "cmyk.jpg", "grey.jpg"] {
        let bytes = std::fs::read(folder().join(name)).unwrap();
        for length in [4, bytes.len() / 3, bytes.len() / 2, bytes.len() - 20, bytes.len() - 2, bytes.len() - 1] {
            let error = read_bytes(&bytes[..length], name, &Limits::default()).unwrap_err();
            assert!(matches!(error, Error::Decode { .. }), "{name} {length}: {error}");
        }
    }
}

#[test]
fn damaged_files_are_errors_or_pictures_and_never_a_panic() {
    let names = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut state = 11u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let limits = Limits { max_pixels: 1 << 16, ..Limits::default() };
    for path in names.filter(|path| path.extension().is_some_and(|end| end == "jpg" || end == "tif" || end == "png")) {
        let bytes = std::fs::read(&path).unwrap();
        for _ in 0..40 {
            let mut damaged = bytes.clone();
            for _ in 0..1 + random(4) {
                let at = random(damaged.len());
                damaged[at] = random(256) as u8;
            }
            // What the decoders give up on by a panic is turned into this error; ours must not need it.
            if let Err(Error::Decode { reason, .. }) = read_bytes(&damaged, "damaged", &limits) {
                let is_jpeg = bytes.starts_with(&[0xFF, 0xD8]);
                assert!(!(is_jpeg && reason.contains("gave up")), "{}", path.display());
            }
        }
    }
}

#[test]
fn sizes_beyond_the_limit_are_refused_before_anything_is_decoded() {
    let mut bytes = std::fs::read(folder().join("420.jpg")).unwrap();
    let frame = bytes.windows(2).position(|two| two == [0xFF, 0xC0]).unwrap();
    bytes[frame + 5..frame + 9].copy_from_slice(&[0xFF, 0xFF, 0xFF, 0xFF]);
    let error = read_bytes(&bytes, "huge.jpg", &Limits::default()).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}

#[test]
fn coding_that_is_not_read_is_named() {
    let mut bytes = std::fs::read(folder().join("420.jpg")).unwrap();
    let frame = bytes.windows(2).position(|two| two == [0xFF, 0xC0]).unwrap();
    for (code, named) in [(0xC9, "arithmetic"), (0xC3, "lossless")] {
        bytes[frame + 1] = code;
        let error = read_bytes(&bytes, "other.jpg", &Limits::default()).unwrap_err();
        assert!(error.to_string().contains(named), "{error}");
    }
}
