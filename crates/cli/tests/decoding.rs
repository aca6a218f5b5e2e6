//! The program as its own decoding process: what it finds does not depend on where images are decoded; archives are looked into.
#![allow(clippy::unwrap_used)]

use gmai_testkit::{DicomImage, NiftiImage, NiftiVoxels, hostile};
use std::path::Path;
use std::process::{Command, Output};

fn gmai(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gmai")).args(arguments).output().unwrap()
}

/// A folder with good, hostile and broken files.
fn write_mixed(dir: &Path) {
    std::fs::create_dir_all(dir.join("scans")).unwrap();
    gmai_testkit::write_grey_png(&dir.join("scans/a.png"), 40, 30, &[90; 1200]).unwrap();
    for z in 0..3 {
        let slice = DicomImage::ct(8, 6, (0..48).map(|value| value * 10 + z).collect());
        gmai_testkit::write_dicom(&dir.join(format!("scans/{z}.dcm")), &slice).unwrap();
    }
    let volume = NiftiImage::new([4, 3, 2], NiftiVoxels::U8((0..24).collect()));
    gmai_testkit::write_nifti(&dir.join("scans/v.nii.gz"), &volume).unwrap();
    for (name, bytes) in [
        ("claim.dcm", hostile::dicom_claiming_4_gib()),
        ("claim.png", hostile::png_claiming_too_much()),
        ("short.nii", hostile::truncated_nifti().unwrap()),
        ("empty.png", Vec::new()),
    ] {
        std::fs::write(dir.join(name), bytes).unwrap();
    }
}

#[test]
fn inventory_is_the_same_wherever_images_are_decoded() {
    let dir = tempfile::tempdir().unwrap();
    write_mixed(dir.path());
    let folder = dir.path().to_str().unwrap();
    let there = gmai(&["inventory", folder, "--json"]);
    let here = gmai(&["inventory", folder, "--json", "--in-process"]);
    assert!(there.status.success() && here.status.success(), "{}", String::from_utf8_lossy(&there.stderr));
    let text = String::from_utf8(there.stdout).unwrap();
    assert_eq!(text, String::from_utf8(here.stdout).unwrap());
    let found: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(found["broken"].as_array().unwrap().len(), 4, "{text}"); // claim.dcm too: its pixels are not there.
    assert_eq!(found["series"].as_array().unwrap().len(), 1, "{text}");
}

#[test]
fn archives_are_listed_and_unpacked_only_where_asked() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    write_mixed(&at("inside"));
    std::fs::create_dir(at("export")).unwrap();
    let mut tar = tar::Builder::new(std::fs::File::create(at("export/all.tar")).unwrap());
    tar.append_dir_all("inside", at("inside")).unwrap();
    tar.into_inner().unwrap();
    let text = |name: &str| at(name).to_str().unwrap().to_string();

    let listed = gmai(&["inventory", &text("export")]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("all.tar (tar"), "{listed:?}");
    assert!(String::from_utf8_lossy(&listed.stdout).contains("--unpack DIR"));

    let refused = gmai(&["inventory", &text("export/all.tar")]);
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("--unpack DIR"));

    let found = gmai(&["inventory", &text("export/all.tar"), "--unpack", &text("new"), "--json"]);
    let found: serde_json::Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!(found["num_files"], 9, "{found}");
    assert!(at("new/all.tar/inside/scans/a.png").is_file());
}
