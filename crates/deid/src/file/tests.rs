use super::*;
use crate::key::Key;
use gmai_imaging::{DeepGrey, Limits, read_picture};
use gmai_schema::Rgb8;
use std::path::Path;

const CANARY: &[u8] = b"CANARY-SMITH";

fn holds_canary(bytes: &[u8]) -> bool {
    bytes.windows(CANARY.len()).any(|window| window == CANARY)
}

fn picture() -> Rgb8 {
    Rgb8::new(8, 6, (0..8 * 6 * 3).map(|value| (value * 5 % 251) as u8).collect()).unwrap()
}

fn encoded(format: image::ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let picture = picture();
    let buffer = image::RgbImage::from_raw(8, 6, picture.pixels().to_vec()).unwrap();
    buffer.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn decoded(bytes: &[u8], name: &str) -> Rgb8 {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    read_picture(&path, DeepGrey::Stretch, &Limits::default()).unwrap()
}

#[test]
fn png_texts_go_and_pixels_stay() {
    let png = encoded(image::ImageFormat::Png);
    let text = [&(CANARY.len() as u32 + 5).to_be_bytes()[..], b"tEXtName\0", CANARY, &[0; 4]].concat();
    let dirty = [&png[..33], &text, &png[33..], b"trailing ", CANARY].concat();
    assert!(holds_canary(&dirty));
    let clean = clean_png(&dirty).unwrap();
    assert!(!holds_canary(&clean.bytes));
    assert_eq!(clean.bytes, png);
    assert_eq!(clean.removed["tEXt"], 1);
    for end in 0..dirty.len() {
        let _ = clean_png(&dirty[..end]);
    }
}

#[test]
fn jpeg_exif_and_comments_go_but_orientation_stays() {
    let jpeg = encoded(image::ImageFormat::Jpeg);
    let comment = [&[0xFF, 0xFE], &(CANARY.len() as u16 + 2).to_be_bytes()[..], CANARY].concat();
    let tiff = [b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0", CANARY].concat();
    let exif = [&[0xFF, 0xE1], &(tiff.len() as u16 + 8).to_be_bytes()[..], b"Exif\0\0", &tiff].concat();
    let dirty = [&jpeg[..2], &comment, &exif, &jpeg[2..], CANARY].concat();
    let clean = clean_jpeg(&dirty).unwrap();
    assert!(!holds_canary(&clean.bytes));
    assert_eq!(decoded(&clean.bytes, "a.jpg"), decoded(&jpeg, "b.jpg"));
    let exif = clean.bytes.windows(6).position(|window| window == b"Exif\0\0").unwrap();
    assert_eq!(clean.bytes[exif + 6 + 19], 6, "orientation");
    for end in 0..dirty.len() {
        let _ = clean_jpeg(&dirty[..end]);
    }
}

#[test]
fn tiff_texts_go_and_pixels_stay() {
    let tiff = encoded(image::ImageFormat::Tiff);
    // Bytes that no directory names, at the end of the file.
    let dirty = [&tiff[..], CANARY].concat();
    let clean = clean_tiff(&dirty).unwrap();
    assert!(!holds_canary(&clean.bytes));
    assert_eq!(decoded(&clean.bytes, "a.tif"), picture());
    for end in 0..dirty.len() {
        let _ = clean_tiff(&dirty[..end]);
    }
}

/// Two directories of one strip each; the second is named a label.
fn made_up_slide() -> Vec<u8> {
    let mut bytes = b"II*\0\x08\0\0\0".to_vec();
    let description =
        [b"Aperio Image Library|AppMag = 20|User = CANARY-SMITH|MPP = 0.5".as_slice(), b"Aperio label CANARY-SMITH"];
    let places = [8usize, 200];
    for (index, at) in places.into_iter().enumerate() {
        bytes.resize(at, 0);
        let text_at = at + 104;
        let pixels_at = at + 180;
        let entries: [(u16, u16, u32, u32); 8] = [
            (254, 4, 1, index as u32),
            (256, 3, 1, 4),
            (257, 3, 1, 1),
            (258, 3, 1, 8),
            (262, 3, 1, 1),
            (270, 2, description[index].len() as u32 + 1, text_at as u32),
            (273, 4, 1, pixels_at as u32),
            (279, 4, 1, 4),
        ];
        bytes.extend(8u16.to_le_bytes());
        for (tag, kind, count, value) in entries {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(kind.to_le_bytes());
            bytes.extend(count.to_le_bytes());
            bytes.extend(value.to_le_bytes());
        }
        bytes.extend(if index == 0 { 200u32 } else { 0 }.to_le_bytes());
        bytes.resize(text_at, 0);
        bytes.extend(description[index]);
        bytes.resize(pixels_at, 0);
        bytes.extend([9, 8, 7, if index == 0 { 6 } else { 66 }]);
    }
    bytes
}

#[test]
fn slide_labels_go_and_magnification_stays() {
    let slide = made_up_slide();
    let clean = clean_tiff(&slide).unwrap();
    assert!(!holds_canary(&clean.bytes));
    let text = String::from_utf8_lossy(&clean.bytes).to_string();
    assert!(text.contains("Aperio|AppMag = 20|MPP = 0.5"), "{text}");
    assert_eq!(clean.removed["label or macro picture"], 1);
    assert!(clean.bytes.windows(4).any(|window| window == [9, 8, 7, 6]), "pixels of the slide");
    assert!(!clean.bytes.windows(4).any(|window| window == [9, 8, 7, 66]), "pixels of the label");
}

#[test]
fn nifti_texts_and_extensions_go_and_voxels_stay() {
    let image = gmai_testkit::NiftiImage::new([2, 2, 2], gmai_testkit::NiftiVoxels::U8((1..9).collect()));
    let plain = gmai_testkit::nifti_bytes(Path::new("a.nii"), &image).unwrap();
    let mut dirty = plain.clone();
    dirty[148..148 + CANARY.len()].copy_from_slice(CANARY);
    dirty[228..228 + CANARY.len()].copy_from_slice(CANARY);
    let clean = clean_nifti(&dirty, 1 << 20).unwrap();
    assert!(!holds_canary(&clean.bytes));
    assert_eq!(clean.bytes[352..], plain[352..]);
    assert!(clean.removed.contains_key("descrip") && clean.removed.contains_key("aux_file"));
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, &dirty).unwrap();
    let clean = clean_nifti(&encoder.finish().unwrap(), 1 << 20).unwrap();
    assert_eq!(clean_nifti(&clean.bytes, 1 << 20).unwrap().bytes, clean.bytes);
    assert!(clean_nifti(&clean.bytes, 100).is_err());
}

#[test]
fn names_become_pseudonyms_and_pairs_stay_pairs() {
    let key = Key::new([5; 32]);
    let picture = clean_path(Path::new("images/SMITH_JOHN 19700101.PNG"), &key);
    let mask = clean_path(Path::new("masks/SMITH_JOHN 19700101.png"), &key);
    assert_eq!(picture.file_name(), mask.file_name());
    assert!(picture.starts_with("images") && picture.extension().unwrap() == "png");
    assert!(!picture.to_string_lossy().contains("SMITH"));
    assert!(!clean_path(Path::new("scans/John.Smith"), &key).to_string_lossy().contains("Smith"));
    assert_eq!(clean_path(Path::new("../../etc/passwd"), &key).components().count(), 2);
}
