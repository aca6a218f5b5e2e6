//! Bad files among good ones: each is quarantined for what is wrong with it, and nothing else happens.

use crate::world::{World, source};
use gmai_testkit::{DicomImage, NiftiImage, NiftiVoxels, hostile, nifti_bytes, write_dicom, write_nifti};
use std::path::Path;

/// A bad file and words of the reason why it cannot be used.
struct Bad {
    name: &'static str,
    bytes: Vec<u8>,
    reason: &'static str,
}

fn bad(name: &'static str, bytes: Vec<u8>, reason: &'static str) -> Bad {
    Bad { name, bytes, reason }
}

fn ct(seed: i16) -> DicomImage {
    let values = (0..48 * 48).map(|index: i32| ((index * 37 * i32::from(seed + 3)) % 1200 - 400) as i16).collect();
    DicomImage { window: Some([40.0, 400.0]), patient: format!("P{seed}"), ..DicomImage::ct(48, 48, values) }
}

/// Where the value of an element begins that is written in explicit VR little endian with a short length.
fn value_of(bytes: &[u8], [group, element]: [u16; 2]) -> usize {
    let tag = [group.to_le_bytes(), element.to_le_bytes()].concat();
    bytes.windows(4).position(|window| window == tag).unwrap() + 8
}

fn changed(bytes: &[u8], tag: [u16; 2], value: &[u8]) -> Vec<u8> {
    let (mut copy, at) = (bytes.to_vec(), value_of(bytes, tag));
    copy[at..at + value.len()].copy_from_slice(value);
    copy
}

const SYNTAX: [u16; 2] = [0x0002, 0x0010];
const ROWS: [u16; 2] = [0x0028, 0x0010];
const COLUMNS: [u16; 2] = [0x0028, 0x0011];
const BITS_ALLOCATED: [u16; 2] = [0x0028, 0x0100];

fn bad_dicom(good: &[u8]) -> Vec<Bad> {
    let pixels = good.windows(4).position(|window| window == [0xE0, 0x7F, 0x10, 0x00]).unwrap();
    let mut wrong_vr = good.to_vec();
    let at = value_of(good, ROWS);
    wrong_vr[at - 4..at - 2].copy_from_slice(b"OB"); // Its length has four bytes and stands further on.
    let mut long_text = good.to_vec();
    let at = value_of(good, [0x0008, 0x103E]);
    long_text[at - 2..at].copy_from_slice(&0xFFF0u16.to_le_bytes());
    vec![
        bad("empty.dcm", Vec::new(), "the file is empty"),
        bad("zeros.dcm", vec![0; 4096], "not an image"),
        bad("cut-in-pixels.dcm", good[..good.len() - 100].to_vec(), "truncated: PixelData needs 4608 bytes, 4508"),
        bad("cut-in-header.dcm", good[..at + 5].to_vec(), "truncated: SeriesDescription"),
        bad("claims-4-gib.dcm", hostile::dicom_claiming_4_gib(), "truncated: PixelData needs 4294967280 bytes"),
        bad("wrong-vr.dcm", wrong_vr, "truncated: Rows needs"),
        bad("other-endianness.dcm", changed(good, SYNTAX, b"1.2.840.10008.1.2.2"), "truncated: element (0800,1600)"),
        bad("other-syntax.dcm", changed(good, SYNTAX, b"1.2.840.10008.1.2\0\0"), "truncated: SOPClassUID needs"),
        bad("private-syntax.dcm", changed(good, SYNTAX, b"1.2.840.113619.5.2\0\0"), "TransferSyntaxUID"),
        bad("no-rows.dcm", changed(good, ROWS, &[0, 0]), "image size in pixels: is 0"),
        bad(
            "claims-columns.dcm",
            changed(good, COLUMNS, &[0xFF, 0xFF]),
            "truncated: PixelData needs 6291360 bytes, 4608",
        ),
        bad("odd-bits.dcm", changed(good, BITS_ALLOCATED, &[13, 0]), "BitsAllocated: 13 bits"),
        bad("no-pixels.dcm", good[..pixels].to_vec(), "missing attribute PixelData"),
        bad("lying-length.dcm", long_text, "truncated: SeriesDescription needs 65520 bytes"),
    ]
}

fn bad_png(good: &[u8]) -> Vec<Bad> {
    let mut noise = good.to_vec();
    let middle = noise.len() / 2;
    noise[middle..middle + 8].copy_from_slice(&[0xA5; 8]);
    vec![
        bad("claims-pixels.png", hostile::png_claiming_too_much(), "image size in pixels is 3600000000"),
        bad("cut.png", good[..good.len() / 2].to_vec(), "the file ends too early"),
        bad("noise.png", noise, "CRC error"),
        bad("text.png", b"<html>404</html>".to_vec(), "not an image"),
    ]
}

fn bad_nifti() -> Vec<Bad> {
    let good = nifti_bytes(Path::new("good.nii"), &NiftiImage::new([4, 4, 4], NiftiVoxels::U8(vec![1; 64]))).unwrap();
    let mut swapped = good.clone();
    (40..56).step_by(2).for_each(|at| swapped[at..at + 2].reverse()); // Its sizes are big endian, all else is not.
    vec![
        bad("cut.nii.gz", hostile::truncated_nifti_gz().unwrap(), "truncated: voxel data needs 4448 bytes"),
        bad(
            "claims-voxels.nii.gz",
            hostile::nifti_gz_claiming_too_much().unwrap(),
            "volume size in voxels is 35181150961663",
        ),
        bad("bomb.nii.gz", hostile::nifti_gz_bomb(300).unwrap(), "more data follows the voxels"),
        bad("other-endianness.nii.gz", swapped, "vox_offset"),
    ]
}

const FINDINGS: &str = "[[source.attribute]]\nkey = \"finding\"\nname = { en = \"finding\" }\ntask = \"disease_diagnosis\"\nfrom = \"class\"\n\
    values = [{ is = \"a\", en = \"first\" }, { is = \"b\", en = \"second\" }]\n";

#[test]
fn bad_files_of_twenty_kinds_are_quarantined_for_what_is_wrong_and_stop_nothing() {
    let world = World::new("bad_files");
    for index in 0..40 {
        let class = if index % 2 == 0 { "a" } else { "b" };
        write_dicom(&world.path(&format!("dicom/{class}/{index}.dcm")), &ct(index)).unwrap();
        world.picture(&format!("png/{class}/{index}.png"), index as u32, 40, 40);
        let voxels = (0..12 * 12 * 12).map(|voxel| (voxel * (index as i32 + 7) % 200) as i16).collect();
        let volume = NiftiImage::new([12; 3], NiftiVoxels::I16(voxels));
        write_nifti(&world.path(&format!("nifti/images/{index}.nii.gz")), &volume).unwrap();
    }
    let mut bad: Vec<(String, Bad)> = Vec::new();
    let dicom = std::fs::read(world.path("dicom/a/0.dcm")).unwrap();
    bad.extend(bad_dicom(&dicom).into_iter().map(|bad| (format!("dicom/a/{}", bad.name), bad)));
    let png = std::fs::read(world.path("png/a/0.png")).unwrap();
    bad.extend(bad_png(&png).into_iter().map(|bad| (format!("png/b/{}", bad.name), bad)));
    bad.extend(bad_nifti().into_iter().map(|bad| (format!("nifti/images/{}", bad.name), bad)));
    assert!(bad.len() >= 20);
    for (file, bad) in &bad {
        world.write(file, &bad.bytes);
    }
    for file in std::fs::read_dir(world.path("nifti/images/0.nii.gz").parent().unwrap()).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let label = NiftiImage::new(
            [12; 3],
            NiftiVoxels::U8((0..12 * 12 * 12).map(|voxel| u8::from(voxel % 12 > 4)).collect()),
        );
        write_nifti(&world.path(&format!("nifti/labels/{name}")), &label).unwrap();
    }
    let pictures = |ending: &str| {
        format!(
            "modality = \"ct\"\nkind = {{ class_folders = {{ images = \"{ending}/{{class}}/{{stem}}.{ending2}\" }} }}\n{FINDINGS}",
            ending2 = if ending == "dicom" { "dcm" } else { ending }
        )
    };
    let volumes = "modality = \"mr\"\nkind = { nifti_label_map = { volumes = \"nifti/images/{stem}.nii.gz\", labels = \"nifti/labels/{stem}.nii.gz\", instances = \"whole\" } }\n\
        [source.regions]\ntask = \"disease_diagnosis\"\nexhaustive = false\nterms = [{ is = \"1\", en = \"lesion\" }]\n";
    let made = world.curate(
        &(source("slices", &pictures("dicom")) + &source("drawn", &pictures("png")) + &source("volumes", volumes)),
    );
    for (file, bad) in &bad {
        let line = made.line(file);
        assert!(line.reason.contains(bad.reason), "{file}: {}", line.reason);
    }
    assert_eq!(made.quarantined.len(), bad.len(), "no good file was left out");
    let good: u64 = made.summary.manifest.sources[..2].iter().map(|source| source.images.used).sum();
    assert_eq!(good, 80);
    let volumes = made.files().into_iter().filter(|file| file.starts_with("nifti/")).count();
    assert_eq!(volumes, 40);
}
