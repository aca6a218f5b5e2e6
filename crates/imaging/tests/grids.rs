//! Made-up NRRD, MetaImage and NIfTI files: every number format and layout with known values, and damaged ones.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use gmai_imaging::{Content, Error, FileKind, Limits, Scan, Volume, read, read_label_map, sniff};
use std::io::Write;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn volume(path: &Path) -> (Volume, Scan) {
    let scan = read(path, &Limits::default()).unwrap_or_else(|error| panic!("{error}"));
    match scan.content.clone() {
        Content::Volume(volume) => (volume, scan),
        Content::Picture(_) => panic!("{}: a picture", path.display()),
    }
}

fn refusal(path: &Path) -> Error {
    read(path, &Limits::default()).unwrap_err()
}

fn put(dir: &TempDir, name: &str, parts: &[&[u8]]) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, parts.concat()).unwrap();
    path
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The same numbers in every format that NRRD and MetaImage have.
fn formats() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let numbers = [0i64, 1, 2, 3, 100, 5, 6, 127];
    macro_rules! bytes {
        ($kind:ty) => {
            numbers.iter().flat_map(|number| (*number as $kind).to_le_bytes()).collect::<Vec<u8>>()
        };
    }
    vec![
        ("uchar", "MET_UCHAR", bytes!(u8)),
        ("signed char", "MET_CHAR", bytes!(i8)),
        ("short", "MET_SHORT", bytes!(i16)),
        ("unsigned short", "MET_USHORT", bytes!(u16)),
        ("int", "MET_INT", bytes!(i32)),
        ("uint32_t", "MET_UINT", bytes!(u32)),
        ("int64", "MET_LONG_LONG", bytes!(i64)),
        ("unsigned long long", "MET_ULONG_LONG", bytes!(u64)),
        ("float", "MET_FLOAT", bytes!(f32)),
        ("double", "MET_DOUBLE", bytes!(f64)),
    ]
}

/// What `formats` holds, in RAS: x and y of LPS are mirrored.
const IN_RAS: [f32; 8] = [3.0, 2.0, 1.0, 0.0, 127.0, 6.0, 5.0, 100.0];

fn nrrd_header(kind: &str, encoding: &str, more: &str) -> String {
    format!(
        "NRRD0005\n# made up\ntype: {kind}\ndimension: 3\nspace: left-posterior-superior\nsizes: 2 2 2\n\
         space directions: (2,0,0) (0,3,0) (0,0,4)\nspace origin: (10,20,30)\nendian: little\nencoding: {encoding}\n{more}"
    )
}

#[test]
fn nrrd_of_every_number_format_is_read() {
    let dir = tempfile::tempdir().unwrap();
    for (kind, _, bytes) in formats() {
        for (encoding, data) in [("raw", bytes.clone()), ("gzip", gzip(&bytes))] {
            let path = put(&dir, "a.nrrd", &[nrrd_header(kind, encoding, "key:=value: 1\n\n").as_bytes(), &data]);
            assert_eq!(sniff(&path).unwrap(), Some(FileKind::Nrrd));
            let (volume, scan) = volume(&path);
            assert_eq!((volume.dims, volume.spacing), ([2, 2, 2], [2.0, 3.0, 4.0]), "{kind}");
            assert_eq!(volume.values, IN_RAS, "{kind} {encoding}");
            assert_eq!(
                volume.affine,
                [[2.0, 0.0, 0.0, -12.0], [0.0, 3.0, 0.0, -23.0], [0.0, 0.0, 4.0, 30.0]],
                "{kind}"
            );
            assert!(scan.notes.is_empty(), "{:?}", scan.notes);
            assert_eq!(read_label_map(&path, &Limits::default()).unwrap().class_sizes().len(), 7);
        }
    }
}

#[test]
fn nrrd_in_two_files_in_text_and_in_big_endian_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let (_, _, bytes) = formats().swap_remove(2);
    put(&dir, "a.raw.gz", &[&gzip(&bytes)]);
    let detached = put(&dir, "a.nhdr", &[nrrd_header("short", "gzip", "data file: a.raw.gz\n").as_bytes()]);
    let (whole, scan) = volume(&detached);
    assert_eq!(whole.values, IN_RAS);
    put(&dir, "a.raw.gz", &[&gzip(&[&bytes[..14], &[9, 0]].concat())]);
    assert_ne!(volume(&detached).1.sha256, scan.sha256, "the hash covers the voxels too");

    let text = put(&dir, "t.nrrd", &[nrrd_header("short", "ascii", "\n").as_bytes(), b"0 1 2 3\n100 5 6 127\n"]);
    assert_eq!(volume(&text).0.values, IN_RAS);

    let swapped: Vec<u8> = bytes.chunks(2).flat_map(|pair| [pair[1], pair[0]]).collect();
    let header = nrrd_header("short", "raw", "byte skip: 3\n\n").replace("endian: little", "endian: big");
    let path = put(&dir, "b.nrrd", &[header.as_bytes(), b"abc", &swapped]);
    assert_eq!(volume(&path).0.values, IN_RAS);
}

#[test]
fn nrrd_axes_that_are_no_space_are_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let channels = "NRRD0005\ntype: uchar\ndimension: 4\nspace: RAS\nsizes: 3 2 1 1\nkinds: vector domain domain domain\n\
                    space directions: none (1,0,0) (0,1,0) (0,0,1)\nencoding: raw\n\n";
    let path = put(&dir, "c.nrrd", &[channels.as_bytes(), &[1, 2, 3, 4, 5, 6]]);
    let (vector, scan) = volume(&path);
    assert_eq!((vector.dims, vector.values), ([2, 1, 1], vec![1.0, 4.0]));
    assert!(scan.notes[0].contains("3 numbers a voxel"), "{:?}", scan.notes);
    let colour = channels.replace("vector", "RGB-color");
    let path = put(&dir, "d.nrrd", &[colour.as_bytes(), &[255, 255, 255, 0, 255, 0]]);
    let values = volume(&path).0.values;
    assert!((values[0] - 255.0).abs() < 0.1 && (values[1] - 149.685).abs() < 0.1, "{values:?}");
    let series = "NRRD0005\ntype: uchar\ndimension: 4\nsizes: 2 1 1 2\nspacings: 2 3 4 nan\nencoding: raw\n\n";
    let path = put(&dir, "e.nrrd", &[series.as_bytes(), &[1, 2, 3, 4]]);
    let (first, scan) = volume(&path);
    assert_eq!((first.values, first.spacing), (vec![2.0, 1.0], [2.0, 3.0, 4.0]));
    assert!(scan.notes.iter().any(|note| note.contains("2 volumes")), "{:?}", scan.notes);
    assert!(scan.notes.iter().any(|note| note.contains("sides are not known")), "{:?}", scan.notes);
}

#[test]
fn damaged_nrrd_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (_, _, bytes) = formats().swap_remove(2);
    let raw = nrrd_header("short", "raw", "\n");
    let refused = |header: &str| refusal(&put(&dir, "x.nrrd", &[header.as_bytes(), &bytes]));
    assert!(matches!(refused(&raw.replace("sizes: 2 2 2", "sizes: 2 2 3")), Error::Truncated { .. }));
    assert!(matches!(refused(&raw.replace("2 2 2", "90000 90000 90000")), Error::TooLarge { .. }));
    for (from, to) in [
        ("sizes: 2 2 2", "sizes: 2 0 2"),
        ("dimension: 3", "dimension: 4"),
        ("(0,3,0)", "(0,x,0)"),
        ("(0,3,0)", "(0,0,0)"),
        ("type: short", "type: block"),
        ("encoding: raw", "encoding: bzip2"),
        ("endian: little", "endian: middle"),
        ("encoding: raw", "encoding: raw\ndata file: ../outside.raw"),
        ("encoding: raw", "encoding: raw\ndata file: /etc/hostname"),
        ("encoding: raw", "encoding: raw\ndata file: LIST"),
    ] {
        let error = refused(&raw.replace(from, to));
        assert!(matches!(error, Error::Malformed { .. } | Error::Unsupported { .. }), "{to}: {error}");
    }
    let whole = [raw.as_bytes(), &bytes].concat();
    for end in 8..whole.len() {
        assert!(read(&put(&dir, "y.nrrd", &[&whole[..end]]), &Limits::default()).is_err(), "{end} bytes");
    }
}

fn meta_header(kind: &str, more: &str, file: &str) -> String {
    format!(
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n{more}\
         TransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 10 20 30\nElementSpacing = 2 3 4\nDimSize = 2 2 2\n\
         ElementType = {kind}\nElementDataFile = {file}\n"
    )
}

#[test]
fn metaimage_of_every_number_format_is_read() {
    let dir = tempfile::tempdir().unwrap();
    for (_, kind, bytes) in formats() {
        put(&dir, "beside.raw", &[&bytes]);
        let packed = zlib(&bytes);
        let files = [
            put(&dir, "a.mha", &[meta_header(kind, "", "LOCAL").as_bytes(), &bytes]),
            put(&dir, "b.mha", &[meta_header(kind, "CompressedData = True\n", "LOCAL").as_bytes(), &packed]),
            put(&dir, "c.mhd", &[meta_header(kind, "", "beside.raw").as_bytes()]),
        ];
        for path in files {
            assert_eq!(sniff(&path).unwrap(), Some(FileKind::MetaImage));
            let (volume, _) = volume(&path);
            assert_eq!(volume.values, IN_RAS, "{kind} {}", path.display());
            assert_eq!(volume.affine[0], [2.0, 0.0, 0.0, -12.0]);
        }
    }
}

/// A quarter turn about z: the columns run to the back, the rows to the right.
#[test]
fn metaimage_rows_of_the_matrix_are_directions_of_axes() {
    let dir = tempfile::tempdir().unwrap();
    let header = meta_header("MET_UCHAR", "", "LOCAL").replace("1 0 0 0 1 0 0 0 1", "0 1 0 -1 0 0 0 0 1");
    let path = put(&dir, "a.mha", &[header.as_bytes(), &[0, 1, 2, 3, 4, 5, 6, 7]]);
    let (volume, _) = volume(&path);
    // RAS x = right = second axis forward; RAS y = front = first axis backward.
    assert_eq!(volume.spacing, [3.0, 2.0, 4.0]);
    assert_eq!(&volume.values[..4], [1.0, 3.0, 0.0, 2.0]);
    assert_eq!(volume.affine[0], [3.0, 0.0, 0.0, -10.0]);
    assert_eq!(volume.affine[1], [0.0, 2.0, 0.0, -22.0]);
}

#[test]
fn damaged_metaimage_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let header = meta_header("MET_UCHAR", "", "LOCAL");
    let bytes = [0, 1, 2, 3, 4, 5, 6, 7];
    for (from, to) in [
        ("DimSize = 2 2 2", "DimSize = 2 2 3"),
        ("DimSize = 2 2 2", "DimSize = 2 -2 2"),
        ("DimSize = 2 2 2", "DimSize = 90000 90000 90000"),
        ("NDims = 3", "NDims = 2"),
        ("ElementSpacing = 2 3 4", "ElementSpacing = 2 nan 4"),
        ("Offset = 10 20 30", "Offset = 10 20"),
        ("MET_UCHAR", "MET_STRING"),
        ("= LOCAL", "= ../outside.raw"),
        ("= LOCAL", "= LIST"),
        ("= LOCAL", "= absent.raw"),
    ] {
        let path = put(&dir, "x.mha", &[header.replace(from, to).as_bytes(), &bytes]);
        assert!(read(&path, &Limits::default()).is_err(), "{to}");
    }
    let whole = [header.as_bytes(), &bytes].concat();
    for end in 40..whole.len() {
        assert!(read(&put(&dir, "y.mha", &[&whole[..end]]), &Limits::default()).is_err(), "{end} bytes");
    }
}

/// A NIfTI-1 header of 2 x 1 x 1 voxels with sform 1 mm, to be changed at will.
fn nifti(datatype: i16, magic: &[u8; 4], offset: f32) -> Vec<u8> {
    let mut bytes = vec![0; 352];
    bytes[..4].copy_from_slice(&348i32.to_le_bytes());
    for (index, size) in [3i16, 2, 1, 1].iter().enumerate() {
        bytes[40 + 2 * index..42 + 2 * index].copy_from_slice(&size.to_le_bytes());
    }
    bytes[70..72].copy_from_slice(&datatype.to_le_bytes());
    bytes[108..112].copy_from_slice(&offset.to_le_bytes());
    bytes[254..256].copy_from_slice(&1i16.to_le_bytes());
    for row in 0..3 {
        bytes[280 + 20 * row..284 + 20 * row].copy_from_slice(&1.0f32.to_le_bytes());
    }
    bytes[344..348].copy_from_slice(magic);
    bytes
}

#[test]
fn nifti_colour_is_read_as_luminance() {
    let dir = tempfile::tempdir().unwrap();
    let path = put(&dir, "rgb.nii", &[&nifti(128, b"n+1\0", 352.0), &[255, 255, 255, 255, 0, 0]]);
    let (rgb, scan) = volume(&path);
    assert!((rgb.values[0] - 255.0).abs() < 0.1 && (rgb.values[1] - 76.245).abs() < 0.1, "{:?}", rgb.values);
    assert!(scan.notes[0].contains("luminance"), "{:?}", scan.notes);
    let path = put(&dir, "rgba.nii", &[&nifti(2304, b"n+1\0", 352.0), &[0, 255, 0, 9, 0, 0, 0, 9]]);
    assert_eq!(volume(&path).0.values[1], 0.0);
}

#[test]
fn nifti_slope_of_zero_leaves_values_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    for (slope, intercept, expected) in
        [(0.0f32, 7.0f32, [3.0, 4.0]), (2.0, 1.0, [7.0, 9.0]), (f32::NAN, 0.0, [3.0, 4.0])]
    {
        let mut bytes = nifti(2, b"n+1\0", 352.0);
        bytes[112..116].copy_from_slice(&slope.to_le_bytes());
        bytes[116..120].copy_from_slice(&intercept.to_le_bytes());
        assert_eq!(volume(&put(&dir, "a.nii", &[&bytes, &[3, 4]])).0.values, expected);
    }
}

#[test]
fn nifti_in_two_files_is_read_from_its_header() {
    let dir = tempfile::tempdir().unwrap();
    let header = put(&dir, "a.hdr", &[&nifti(4, b"ni1\0", 0.0)[..348]]);
    let error = refusal(&header);
    assert!(error.to_string().contains("a.img"), "{error}");
    put(&dir, "a.img", &[&[1, 0, 2, 0]]);
    assert_eq!(volume(&header).0.values, [1.0, 2.0]);
    put(&dir, "a.img", &[&[1, 0, 2]]);
    assert!(matches!(refusal(&header), Error::Truncated { .. }));
}

/// No header, however absurd, may cause a panic: seeded random changes in all fields.
#[test]
fn changed_headers_of_every_grid_format_are_errors_or_volumes() {
    let dir = tempfile::tempdir().unwrap();
    let files = [
        ("a.nii", [nifti(4, b"n+1\0", 352.0), vec![1, 0, 2, 0]].concat()),
        ("a.nrrd", [nrrd_header("uchar", "raw", "\n").as_bytes(), &[0, 1, 2, 3, 4, 5, 6, 7]].concat()),
        ("a.mha", [meta_header("MET_UCHAR", "", "LOCAL").as_bytes(), &[0, 1, 2, 3, 4, 5, 6, 7]].concat()),
    ];
    let mut state = 7u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let limits = Limits { max_voxels: 1 << 16, ..Limits::default() };
    for (name, bytes) in files {
        for _ in 0..1500 {
            let mut damaged = bytes.clone();
            for _ in 0..1 + random(4) {
                let at = random(damaged.len());
                damaged[at] = if random(2) == 0 { b'0' + random(10) as u8 } else { random(256) as u8 };
            }
            let _ = read(&put(&dir, name, &[&damaged]), &limits);
        }
    }
}
