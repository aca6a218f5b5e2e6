//! Real sets, read by the kinds that they were made for: every count is derived again from the files, apart from the readers.

use crate::world::{Made, World, source};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A set of the shared data, or `None` with a note.
fn set(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = std::env::var_os("GMAI_SHARED").map_or(beside, PathBuf::from).join("data").join(name);
    if !folder.is_dir() {
        eprintln!("skipped: no {}; set GMAI_SHARED to the folder that holds data/", folder.display());
        return None;
    }
    Some(folder)
}

/// Runs one source over a real folder.
fn curate(test: &str, folder: &Path, rest: &str) -> Made {
    let world = World::new(&format!("real_{test}"));
    let text = source("real", rest).replace("${DATA}", &folder.display().to_string());
    world.curate(&text)
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .collect();
    found.sort();
    found
}

fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().filter(|line| !line.trim().is_empty()).map(str::to_string).collect()
}

const CELLS: &str = "[source.regions]\ntask = \"cell_recognition\"\nexhaustive = false\nterms = [{ is = \"rbc\", en = \"red blood cell\" }, { is = \"wbc\", en = \"white blood cell\" }]\n";

#[test]
fn kitti_and_table_say_the_same() {
    let Some(folder) = set("blood-cells-kitti-csv") else { return };
    let kitti = "modality = \"microscopy\"\nkind = { kitti = { images = \"images/{stem}.png\", labels = \"labels/{stem}.txt\" } }\n";
    let kitti = curate("kitti", &folder, &format!("{kitti}{CELLS}"));
    let table = "modality = \"microscopy\"\n[source.kind.csv_boxes]\nimages = \"images/{stem}.png\"\nfiles = [\"annotations.csv\"]\nkey = \"image\"\n\
        matches = \"{stem}.png\"\nlabel = \"label\"\ncolumns = { edges = [\"xmin\", \"ymin\", \"xmax\", \"ymax\"] }\nunits = \"fractions\"\n";
    let table = curate("csv_boxes", &folder, &format!("{table}{CELLS}"));
    let pictures = files(&folder.join("images"), "png").len() as u64;
    let text_boxes: u64 = files(&folder.join("labels"), "txt").iter().map(|path| lines(path).len() as u64).sum();
    let rows = lines(&folder.join("annotations.csv")).len() as u64 - 1;
    for (made, given) in [(&kitti, text_boxes), (&table, rows)] {
        assert_eq!((made.source().images.given, made.source().annotations.given), (pictures, given));
        assert_eq!(made.source().images.used, pictures);
    }
    // What one file leaves out the other must leave out too: they hold the same boxes.
    assert_eq!(kitti.source().annotations.used, table.source().annotations.used);
    let boxes = |made: &Made| -> std::collections::BTreeSet<String> {
        made.samples.iter().flat_map(|sample| &sample.conversation.boxes).map(|bounds| bounds.to_string()).collect()
    };
    assert!(boxes(&kitti).intersection(&boxes(&table)).count() > 0);
}

#[test]
fn every_point_is_used_or_quarantined() {
    let Some(folder) = set("chula-rbc12-points") else { return };
    let terms: Vec<String> =
        (0..=12).map(|class| format!("{{ is = \"{class}\", en = \"cell of class {class}\" }}")).collect();
    let config = format!(
        "modality = \"microscopy\"\nkind = {{ points = {{ images = \"Dataset/{{stem}}.jpg\", labels = \"Label/{{stem}}.txt\" }} }}\n\
         [source.regions]\ntask = \"cell_recognition\"\nexhaustive = true\nterms = [{}]\n",
        terms.join(", ")
    );
    let made = curate("points", &folder, &config);
    let labels = files(&folder.join("Label"), "txt");
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut given = 0;
    for path in &labels {
        let stem = path.file_stem().unwrap().to_str().unwrap().to_string();
        for line in lines(path) {
            let class = line.split_whitespace().nth(2).unwrap().to_string();
            *counts.entry((format!("Dataset/{stem}.jpg"), class)).or_default() += 1;
            given += 1;
        }
    }
    let annotations = &made.source().annotations;
    assert_eq!((made.source().images.given, annotations.given), (labels.len() as u64, given));
    assert_eq!(annotations.used + annotations.quarantined, given);
    let mut asked = 0;
    for conversation in made.of("real").filter(|conversation| conversation.attribute.as_deref() == Some("count")) {
        let question = &conversation.turns[0].value;
        let class = question.split("cell of class ").nth(1).unwrap();
        let class: String = class.chars().take_while(char::is_ascii_digit).collect();
        let number = counts.get(&(conversation.provenance.file.clone(), class)).copied().unwrap_or(0);
        let answer = &conversation.turns[1].value;
        let numbers: Vec<&str> = answer.split(|letter: char| !letter.is_ascii_digit()).collect();
        assert!(numbers.contains(&number.to_string().as_str()), "{question} {answer}: {number}");
        asked += 1;
    }
    assert!(asked > 0);
}

#[test]
fn two_observers_of_vessels_agree_as_far_as_their_masks_do() {
    let Some(folder) = set("chase-db1-retina") else { return };
    let config = "modality = \"fundus\"\npatient = \"child\"\n[source.kind.observer_masks]\nimages = \"Image_{child:2}{eye:1}.jpg\"\n\
        masks = [\"Image_{child:2}{eye:1}_1stHO.png\", \"Image_{child:2}{eye:1}_2ndHO.png\"]\ninstances = \"whole\"\nleast_dice = 0.76\n\
        [source.regions]\ntask = \"blood_vessel_recognition\"\nexhaustive = false\nterms = [{ is = \"vessels\", en = \"retinal vessel tree\" }]\n";
    let made = curate("observers", &folder, config);
    let white = |path: &Path| -> Vec<bool> {
        image::open(path).unwrap().to_luma8().into_raw().into_iter().map(|value| value > 127).collect()
    };
    let mut dice = Vec::new();
    for picture in files(&folder, "jpg") {
        let mask = |observer: &str| {
            let stem = picture.file_stem().unwrap().to_str().unwrap();
            white(&folder.join(format!("{stem}_{observer}.png")))
        };
        let (first, second) = (mask("1stHO"), mask("2ndHO"));
        let count = |mask: &[bool]| mask.iter().filter(|inside| **inside).count();
        let both = first.iter().zip(&second).filter(|(one, other)| **one && **other).count();
        dice.push(2.0 * both as f64 / (count(&first) + count(&second)) as f64);
    }
    let agreement = made.source().agreement.as_ref().unwrap();
    let mean = dice.iter().sum::<f64>() / dice.len() as f64;
    let least = dice.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(agreement.pairs, dice.len() as u64);
    assert!((agreement.mean_dice - mean).abs() < 1e-9 && (agreement.least_dice - least).abs() < 1e-9);
    let below = dice.iter().filter(|dice| **dice < 0.76).count() as u64;
    assert_eq!((agreement.num_below, made.source().images.quarantined), (below, below));
    assert_eq!(made.source().images.used, dice.len() as u64 - below);
    assert_eq!(made.source().annotations.used, 2 * (dice.len() as u64 - below));
}

/// Voxels above 0 in each slice of a gzipped NRRD label map of 16-bit numbers.
fn nrrd_slices(path: &Path) -> Vec<usize> {
    let bytes = std::fs::read(path).unwrap();
    let end = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap() + 2;
    let header = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let sizes = header.lines().find_map(|line| line.strip_prefix("sizes: ")).unwrap();
    let sizes: Vec<usize> = sizes.split(' ').map(|size| size.parse().unwrap()).collect();
    let mut raw = Vec::new();
    flate2::read::GzDecoder::new(&bytes[end..]).read_to_end(&mut raw).unwrap();
    let values: Vec<bool> = raw.chunks_exact(2).map(|pair| pair != [0, 0]).collect();
    values.chunks_exact(sizes[0] * sizes[1]).map(|slice| slice.iter().filter(|inside| **inside).count()).collect()
}

#[test]
fn a_dicom_segmentation_marks_the_voxels_of_its_nrrd_twin() {
    let Some(folder) = set("dicom-seg-sr/dcmqi/data/segmentations") else { return };
    let limits = gmai_imaging::Limits::default();
    let scan = gmai_imaging::read_series(&files(&folder.join("ct-3slice"), "dcm"), &limits).unwrap();
    let gmai_imaging::Content::Volume(volume) = scan.content else { panic!("no volume") };
    let segmentation = gmai_imaging::Segmentation::read(&folder.join("liver.dcm"), &limits).unwrap();
    let [liver] = segmentation.facts.segments.as_slice() else { panic!("{:?}", segmentation.facts) };
    let map = segmentation.label_map(liver.number, &volume).unwrap();
    let plane = volume.dims[0] * volume.dims[1];
    let slices: Vec<usize> =
        map.values.chunks_exact(plane).map(|slice| slice.iter().filter(|value| **value == 1).count()).collect();
    assert_eq!(slices, nrrd_slices(&folder.join("liver_seg.nrrd")));
    // A segmentation of another grid is refused by name.
    let other = gmai_imaging::read_series(&files(&folder.join("23x38x3/image"), "dcm"), &limits).unwrap();
    let gmai_imaging::Content::Volume(other) = other.content else { panic!("no volume") };
    assert!(segmentation.label_map(liver.number, &other).is_err());
}

#[test]
fn segmentations_are_given_to_their_series_and_others_are_quarantined() {
    let Some(folder) = set("dicom-seg-sr") else { return };
    let kind = "[source.kind.dicom_series]\nfiles = \"ct-3slice/*.dcm\"\nsegmentations = [\"liver.dcm\", \"partial_overlaps.dcm\", \"sparse-labelmap-ppv5.dcm\"]\n\
        slices = { axes = [\"axial\"], choose = \"largest\", max_per_axis = 2, window = [\"abdomen\", \"lung\"] }\n";
    let regions = "[source.regions]\ntask = \"organ_recognition_abdomen\"\nexhaustive = false\nunknown = [\"*\"]\nterms = [{ is = \"Liver\", en = \"liver\" }]\n";
    let made = curate("seg", &folder.join("dcmqi/data/segmentations"), &format!("{kind}{regions}"));
    let tally = &made.source().images;
    assert_eq!((tally.given, tally.used), (3 + 2, 4), "two of three slices, each in two windows");
    assert_eq!(made.source().annotations.used, 1);
    assert_eq!(made.source().annotations.num_skipped(), 5, "the drawings named by colours");
    assert!(made.line("sparse-labelmap-ppv5.dcm").reason.contains("label without image"));
    let windows: std::collections::BTreeSet<String> =
        made.of("real").map(|conversation| format!("{:?}", conversation.provenance.window)).collect();
    assert_eq!(windows.len(), 2);
    // The slices with the largest liver, by the voxel counts of the NRRD twin.
    let mut areas: Vec<(usize, usize)> = nrrd_slices(&folder.join("dcmqi/data/segmentations/liver_seg.nrrd"))
        .into_iter()
        .enumerate()
        .map(|(z, area)| (area, z))
        .collect();
    areas.sort();
    let expected: std::collections::BTreeSet<usize> = areas[1..].iter().map(|(_, z)| *z).collect();
    let found: std::collections::BTreeSet<usize> =
        made.of("real").map(|conversation| conversation.provenance.slice.unwrap().index).collect();
    assert_eq!(found, expected);

    let kind = "[source.kind.dicom_series]\nfiles = \"ct_image.dcm\"\nsegmentations = \"seg_image_ct_*.dcm\"\nmeasurements = \"sr_document.dcm\"\n\
        slices = { axes = [\"axial\"], window = \"bone\" }\n[source.regions]\ntask = \"bone_recognition\"\nexhaustive = false\nterms = [{ is = \"first segment\", en = \"bone\" }]\n";
    let made = curate("seg_sr", &folder.join("highdicom"), kind);
    assert_eq!((made.source().images.used, made.source().annotations.used), (1, 2));
    let measured: Vec<_> =
        made.of("real").filter(|conversation| conversation.attribute.as_deref() == Some("measurement")).collect();
    assert!(!measured.is_empty());
    for conversation in measured {
        assert_eq!(conversation.turns[1].value, "1.7 cm2");
        assert!(
            conversation.turns[0].value.contains("(spinal cord, cervico-thoracic spine (Vertebral foramen))"),
            "{conversation:?}"
        );
    }
    let lost: Vec<_> = made.quarantined.iter().map(|line| line.file.as_str()).collect();
    assert_eq!(lost, ["seg_image_ct_binary.dcm", "seg_image_ct_binary_fractional.dcm"]);
}

#[test]
fn one_bit_frames_are_read_as_one_stream_and_fractions_from_one_half() {
    let Some(folder) = set("dicom-seg-sr/highdicom") else { return };
    let limits = gmai_imaging::Limits::default();
    // Frames of 10 x 10 bits are no whole bytes; slide segmentations have no place in a patient.
    let error = gmai_imaging::Segmentation::read(&folder.join("seg_image_sm_control.dcm"), &limits).err().unwrap();
    assert!(error.to_string().contains("slide microscopy"), "{error}");
    let files = ["seg_image_ct_binary.dcm", "seg_image_ct_binary_fractional.dcm"];
    let [binary, fractional] = files.map(|file| gmai_imaging::Segmentation::read(&folder.join(file), &limits).unwrap());
    let marked = |read: gmai_imaging::Segmentation| (read.facts.segments, read.facts.images);
    assert_eq!(marked(binary), marked(fractional));
}

#[test]
fn the_measurements_of_a_report_are_all_found() {
    let Some(folder) = set("dicom-seg-sr/dcmqi/data/sr-example") else { return };
    let report = gmai_imaging::read_measurements(&folder.join("sr.dcm"), &gmai_imaging::Limits::default()).unwrap();
    // Every measured value has one NumericValue (0040,A30A); the two of the image library are no measurements.
    let bytes = std::fs::read(folder.join("sr.dcm")).unwrap();
    let numbers = bytes.windows(4).filter(|tag| *tag == [0x40, 0x00, 0x0A, 0xA3]).count();
    assert_eq!(report.measurements.len(), numbers - 2);
    let volume = report.measurements.iter().find(|measurement| measurement.name == "Volume").unwrap();
    assert_eq!((volume.value.as_str(), volume.unit.as_str()), ("33.5824", "ml"));
    assert_eq!(volume.site.as_deref(), Some("pharyngeal tonsil (adenoid)"));
    let mean = report.measurements.iter().find(|measurement| measurement.name == "SUVbw (Mean)").unwrap();
    assert_eq!((mean.value.as_str(), mean.unit.as_str()), ("6.01529", "g/ml"));
    assert_eq!(mean.finding.as_deref(), Some("Neoplasm, Primary"));
}

#[test]
fn structures_without_contours_on_the_slices_are_skipped() {
    let Some(folder) = set("dicom-rtstruct/dicompyler-core") else { return };
    let kind = "[source.kind.dicom_series]\nfiles = \"ct.*.dcm\"\nstructures = \"rtss.dcm\"\nslices = { axes = [\"axial\"], window = \"abdomen\" }\n\
        [source.regions]\ntask = \"organ_recognition_thorax\"\nexhaustive = false\nunknown = [\"*\"]\nterms = [{ is = \"BODY\", en = \"body\" }, { is = \"Heart\", en = \"heart\" }]\n";
    let made = curate("rtstruct", &folder, kind);
    // Every structure has one ROIName (3006,0026).
    let bytes = std::fs::read(folder.join("rtss.dcm")).unwrap();
    let rois = bytes.windows(4).filter(|tag| *tag == [0x06, 0x30, 0x26, 0x00]).count() as u64;
    let annotations = &made.source().annotations;
    assert_eq!((annotations.given, annotations.used, annotations.num_skipped()), (rois, 1, rois - 1));
    assert!(annotations.skipped.keys().any(|reason| reason.contains("no contour on the slices")));
    assert!(made.of("real").any(|conversation| !conversation.boxes.is_empty()));
    let limits = gmai_imaging::Limits::default();
    let set = gmai_imaging::StructureSet::read(&folder.join("rtss.dcm"), &limits).unwrap();
    let scan = gmai_imaging::read_series(
        &files(&folder, "dcm").into_iter().filter(|path| path.file_name().unwrap() == "ct.0.dcm").collect::<Vec<_>>(),
        &limits,
    )
    .unwrap();
    let gmai_imaging::Content::Volume(volume) = scan.content else { panic!("no volume") };
    let body = set.rois.iter().find(|roi| roi.name == "BODY").unwrap();
    let drawn = set.draw(body, &volume).unwrap();
    let inside = drawn.map.values.iter().filter(|value| **value == 1).count();
    // The contours enclose air-filled couch and patient: most of what is inside must be tissue or lung, most outside air.
    let mean = |wanted: u16| {
        let all = volume
            .values
            .iter()
            .zip(&drawn.map.values)
            .filter(|(_, value)| **value == wanted)
            .map(|(grey, _)| f64::from(*grey));
        let (sum, count) = all.fold((0.0, 0.0), |(sum, count), grey| (sum + grey, count + 1.0));
        sum / count
    };
    assert!(inside > 10_000 && mean(1) > -500.0 && mean(0) < -800.0, "{inside} {} {}", mean(1), mean(0));
    assert_eq!((drawn.num_inside, drawn.num_inside + drawn.num_outside), (4, body.num_contours()));
}

#[test]
fn damaged_objects_end_in_errors() {
    let Some(folder) = set("dicom-seg-sr/highdicom") else { return };
    let limits = gmai_imaging::Limits::default();
    let scan = gmai_imaging::read_series(&[folder.join("ct_image.dcm")], &limits).unwrap();
    let gmai_imaging::Content::Volume(volume) = scan.content else { panic!("no volume") };
    let world = World::new("real_damaged");
    let path = world.path("damaged.dcm");
    let mut state = 7u64;
    let mut draw = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    };
    let structures = set("dicom-rtstruct/dicompyler-core").map(|folder| folder.join("rtss.dcm"));
    let (mut read, mut refused) = (0, 0);
    for original in ["seg_image_ct_binary_single_frame.dcm", "sr_document.dcm"]
        .map(|file| folder.join(file))
        .into_iter()
        .chain(structures)
    {
        let mut bytes = std::fs::read(original).unwrap();
        bytes.truncate(60_000);
        for _ in 0..150 {
            let mut damaged = bytes.clone();
            for _ in 0..1 + draw(8) {
                let place = draw(damaged.len());
                damaged[place] = draw(256) as u8;
            }
            damaged.truncate(if draw(2) == 0 { damaged.len() } else { draw(damaged.len()) });
            std::fs::write(&path, damaged).unwrap();
            let segmentation = gmai_imaging::Segmentation::read(&path, &limits);
            let drawn = segmentation
                .map(|found| found.facts.segments.iter().all(|one| found.label_map(one.number, &volume).is_ok()));
            let structures = gmai_imaging::StructureSet::read(&path, &limits);
            let structures = structures.map(|found| found.rois.iter().all(|roi| found.draw(roi, &volume).is_ok()));
            let measured = gmai_imaging::read_measurements(&path, &limits);
            match drawn.is_ok() || structures.is_ok() || measured.is_ok() {
                true => read += 1,
                false => refused += 1,
            }
        }
    }
    assert!(read > 0 && refused > 0, "{read} {refused}");
}

#[test]
fn clinical_messages_give_reports_by_section() {
    let Some(folder) = set("clinical-reports-fhir-hl7") else { return };
    let run = |test: &str, kind: &str| curate(test, &folder, &format!("kind = {{ {kind} }}"));
    let ccda = run("ccda", "ccda = { files = \"hl7/Ccda/{stem}.ccda\" }");
    let texts: String =
        ccda.of("real").flat_map(|conversation| &conversation.turns).map(|turn| turn.value.as_str()).collect();
    assert!(texts.contains("Round density in left superior hilus") && !texts.contains("http://"));
    let fhir = run("fhir", "fhir = { files = \"fhir-r4/{stem}.json\" }");
    let resources = files(&folder.join("fhir-r4"), "json");
    let concluded = resources.iter().filter(|path| {
        let value: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        value["resourceType"] == "DiagnosticReport"
            && (value["conclusion"].is_string() || value["conclusionCode"].is_array())
    });
    let concluded = concluded.count() as u64;
    assert_eq!(fhir.source().images.given, resources.len() as u64);
    let said_nothing = fhir.source().images.skipped.iter().filter(|(reason, _)| reason.contains("nothing can be said"));
    let said_nothing: u64 = said_nothing.map(|(_, count)| count).sum();
    assert_eq!(fhir.source().images.used + said_nothing, concluded);
    let bioc = run("bioc", "bioc = { files = \"negbio/examples/{stem}.xml\" }");
    let xml = std::fs::read_to_string(folder.join("negbio/examples/1.xml")).unwrap();
    assert_eq!(bioc.source().images.given, xml.matches("<document>").count() as u64);
    let hl7 = run("hl7", "hl7v2 = { files = \"hl7/Hl7v2/{stem}.hl7\" }");
    assert_eq!(hl7.source().images.given, files(&folder.join("hl7/Hl7v2"), "hl7").len() as u64);
    let asked: Vec<_> =
        hl7.of("real").filter(|conversation| conversation.attribute.as_deref() == Some("measurement")).collect();
    assert!(asked.iter().any(|conversation| conversation.provenance.file.ends_with("LAB-ORU-1.hl7")));
    for made in [&ccda, &fhir, &bioc, &hl7] {
        for conversation in made.of("real") {
            let text: String = conversation.turns.iter().map(|turn| turn.value.as_str()).collect();
            for name in ["DUCK", "Huckleberry", "Roel", "Everywoman", "Henry Seven", "1941", "2012-"] {
                assert!(!text.contains(name), "{name}: {text}");
            }
        }
    }
}
