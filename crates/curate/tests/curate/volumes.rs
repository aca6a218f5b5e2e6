//! NIfTI volumes and DICOM series.

use crate::world::{World, source};
use gmai_testkit::{DicomImage, NiftiImage, NiftiVoxels, write_dicom, write_nifti};
use std::collections::BTreeSet;

const DIMS: [usize; 3] = [30, 24, 20];

/// A volume with a bright block, and its label map.
fn write_pair(world: &World, stem: &str, seed: usize) {
    let inside = |x: usize, y: usize, z: usize| (5..15).contains(&x) && (6..18).contains(&y) && (8..12).contains(&z);
    let count = DIMS.iter().product::<usize>();
    let place = |index: usize| (index % DIMS[0], index / DIMS[0] % DIMS[1], index / DIMS[0] / DIMS[1]);
    let label = |index: usize| {
        let (x, y, z) = place(index);
        u8::from(inside(x, y, z))
    };
    let voxels: Vec<i16> = (0..count).map(|i| i16::from(label(i)) * 100 + ((i * (seed + 3)) % 17) as i16).collect();
    let image = NiftiImage::new(DIMS, NiftiVoxels::I16(voxels));
    write_nifti(&world.path(&format!("images/{stem}.nii.gz")), &image).unwrap();
    let labels = NiftiImage::new(DIMS, NiftiVoxels::U8((0..count).map(label).collect()));
    write_nifti(&world.path(&format!("labels/{stem}.nii.gz")), &labels).unwrap();
}

const NIFTI: &str = r#"
modality = "mr"
[source.kind.nifti_label_map]
volumes = "images/{stem}.nii.gz"
labels = "labels/{stem}.nii.gz"
instances = "whole"
slices = { max_per_axis = 3 }
[[source.attribute]]
key = "plane"
name = { en = "imaging plane" }
task = "attribute_recognition"
from = "axis"
values = [{ is = "axial", en = "axial plane" }, { is = "coronal", en = "coronal plane" }, { is = "sagittal", en = "sagittal plane" }]
[source.regions]
task = "organ_recognition_abdomen"
exhaustive = true
terms = [{ is = "1", en = "liver", zh = "肝脏" }]
"#;

#[test]
fn volumes_become_slices_along_three_axes_with_boxes() {
    let world = World::new("nifti");
    write_pair(&world, "a", 1);
    write_pair(&world, "b", 2);
    let made = world.curate(&source("liver", NIFTI));
    let images = &made.source().images;
    assert_eq!((images.given, images.used), (2 * (30 + 24 + 20), 2 * 9));
    assert_eq!(made.source().annotations.used, 2, "a label map is one annotation");
    let planes: BTreeSet<String> =
        made.samples.iter().flat_map(|s| &s.conversation.labels).map(|label| label.value.en.clone()).collect();
    assert_eq!(planes.len(), 3);
    for sample in &made.samples {
        let provenance = &sample.conversation.provenance;
        let slice = provenance.slice.unwrap();
        let (width, height) = match slice.axis {
            gmai_schema::Axis::Axial => (30, 24),
            gmai_schema::Axis::Coronal => (30, 20),
            gmai_schema::Axis::Sagittal => (24, 20),
        };
        let picture = made.picture(sample).decode().unwrap();
        assert_eq!((picture.width(), picture.height()), (width, height), "{slice:?}");
        // The box must lie around the bright pixels: turned the same way as the picture.
        for bounds in &sample.conversation.boxes {
            let bright = |x: u32, y: u32| picture.pixel(x, y)[0] > 200;
            let columns: Vec<u32> = (0..width).filter(|x| (0..height).any(|y| bright(*x, y))).collect();
            let rows: Vec<u32> = (0..height).filter(|y| (0..width).any(|x| bright(x, *y))).collect();
            let left = columns[0] as f32 / width as f32;
            let bottom = (rows[rows.len() - 1] + 1) as f32 / height as f32;
            assert!((bounds.x1 - left).abs() < 1e-5 && (bounds.y2 - bottom).abs() < 1e-5, "{slice:?}: {bounds}");
        }
        assert!(provenance.window.is_some());
    }
    assert!(made.samples.iter().any(|sample| !sample.conversation.boxes.is_empty()));
}

#[test]
fn label_maps_that_do_not_fit_are_quarantined_and_the_rest_goes_on() {
    let world = World::new("nifti_defects");
    for stem in ["good", "other_shape", "unlisted", "truncated", "zero", "no_label"] {
        write_pair(&world, stem, 1);
    }
    let small = NiftiImage::new([5, 5, 5], NiftiVoxels::U8(vec![1; 125]));
    write_nifti(&world.path("labels/other_shape.nii.gz"), &small).unwrap();
    let count = DIMS.iter().product();
    write_nifti(&world.path("labels/unlisted.nii.gz"), &NiftiImage::new(DIMS, NiftiVoxels::U8(vec![7; count])))
        .unwrap();
    world.write("images/truncated.nii.gz", gmai_testkit::hostile::truncated_nifti_gz().unwrap());
    world.write("labels/zero.nii.gz", "");
    std::fs::remove_file(world.path("labels/no_label.nii.gz")).unwrap();
    world.write("labels/orphan.nii.gz", "");
    let made = world.curate(&source("liver", NIFTI));
    assert_eq!(made.files(), BTreeSet::from(["images/good.nii.gz"]));
    assert_eq!(made.line("labels/other_shape.nii.gz").field, "grid");
    assert!(made.line("labels/other_shape.nii.gz").reason.contains("[5, 5, 5]"));
    assert!(made.line("labels/unlisted.nii.gz").reason.contains("class `7`"));
    assert!(made.line("labels/zero.nii.gz").reason.contains("empty"));
    assert!(made.line("labels/orphan.nii.gz").reason.starts_with("label without image"));
    for file in ["images/other_shape.nii.gz", "images/unlisted.nii.gz", "images/zero.nii.gz", "images/no_label.nii.gz"]
    {
        assert!(made.line(file).reason.starts_with("image without label"), "{file}");
    }
    assert_eq!(made.line("images/truncated.nii.gz").field, "file");
}

#[test]
fn one_file_per_class_is_read_by_its_name() {
    let world = World::new("nifti_classes");
    write_pair(&world, "ct", 1);
    std::fs::create_dir_all(world.path("masks/x").parent().unwrap()).unwrap();
    std::fs::rename(world.path("labels/ct.nii.gz"), world.path("masks/liver.nii.gz")).unwrap();
    let config = NIFTI.replace("labels/{stem}", "masks/{class}").replace("is = \"1\"", "is = \"liver\"");
    let made = world.curate(&source("liver", &config));
    assert_eq!(made.source().images.used, 9);
    assert!(made.samples.iter().any(|sample| !sample.conversation.boxes.is_empty()));
}

const DICOM: &str = r#"
patient = "PatientID"
[source.kind.dicom_series]
files = "ct/{patient}/*"
slices = { axes = ["axial"], max_per_axis = 2, window = { fixed = { low = -100, high = 100 } } }
[[source.table]]
file = "labels.csv"
key = "patient"
matches = "{patient}"
[[source.attribute]]
key = "finding"
name = { en = "finding" }
task = "disease_diagnosis"
from = "finding"
values = [{ is = "lesion", en = "lesion" }, { is = "normal", en = "no lesion" }]
"#;

#[test]
fn dicom_series_become_slices_with_labels_from_a_table() {
    let world = World::new("dicom");
    for patient in 0..3u32 {
        for slice in 0..4u32 {
            let values: Vec<i16> = (0..16 * 16).map(|i| ((i * (patient as i32 + 5)) % 150) as i16 - 75).collect();
            let mut image = DicomImage::ct(16, 16, values);
            image.patient = format!("secret-{patient}");
            image.series = format!("2.25.10{patient}");
            image.study = format!("2.25.20{patient}");
            image.instance = format!("2.25.30{patient}{slice}");
            image.instance_number = slice + 1;
            image.position = [0.0, 0.0, slice as f64 * 2.0];
            write_dicom(&world.path(&format!("ct/p{patient}/{slice}.dcm")), &image).unwrap();
        }
    }
    world.write("ct/p0/readme.txt", "not DICOM");
    world.write("ct/p1/hostile.dcm", gmai_testkit::hostile::dicom_claiming_4_gib());
    world.write("labels.csv", "patient,finding\np0,lesion\np1,normal\np2,normal\np9,normal\n");
    let made = world.curate(&source("ct", DICOM));
    assert_eq!(made.source().images.used, 6);
    assert_eq!(made.labels("ct/p0/0.dcm"), ["finding=lesion"]);
    assert!(
        made.of("ct").all(|conversation| conversation.modality == Some(gmai_schema::Modality::Ct)),
        "from the header"
    );
    let patients: BTreeSet<_> = made.of("ct").map(|conversation| conversation.patient.as_str()).collect();
    assert!(patients.len() == 3 && patients.iter().all(|patient| !patient.contains("secret")));
    assert_eq!(made.line("ct/p0/readme.txt").reason, "the file is not DICOM");
    assert!(!made.line("ct/p1/hostile.dcm").reason.is_empty());
    assert!(made.line("labels.csv").reason.contains("`p9`"));
}
