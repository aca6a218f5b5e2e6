//! The made-up hospital of the quickstart: six folders, each with the kind of annotation that such data has.
//!
//! ```text
//! ct/<patient>/*.dcm + ct_labels.csv            DICOM series, one finding for each patient
//! mr/images/*.nii.gz + mr/labels/*.nii.gz       volumes with label maps: 1 left, 2 right structure, 3 lesion
//! xray/<finding>/*.png + xray_reports.csv       class folders, and a short report for each picture
//! ultrasound/images/*.png + ultrasound/masks/   masks beside the pictures
//! fundus/*.png + fundus_labels.csv              several findings at once, patient and eye
//! pathology/images/*.png + annotations.json     COCO boxes of two kinds of cell
//! ```

mod canvas;
mod ct;
mod fundus;
mod mr;
mod noise;
mod pathology;
mod ultrasound;
mod xray;

use crate::error::Result;
use std::path::Path;

/// How much is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanSet {
    /// CT series, one a patient.
    pub ct_patients: usize,
    /// MR volumes with label map, one a patient.
    pub mr_patients: usize,
    /// Pictures of each of X-ray, ultrasound, fundus and pathology.
    pub pictures: usize,
    /// Width and height of those pictures in pixels.
    pub picture_size: usize,
}

impl ScanSet {
    /// Enough to train and test the quickstart's network.
    pub const QUICKSTART: ScanSet = ScanSet { ct_patients: 24, mr_patients: 16, pictures: 96, picture_size: 112 };
    /// The least that has every class, for tests.
    pub const TINY: ScanSet = ScanSet { ct_patients: 2, mr_patients: 2, pictures: 6, picture_size: 64 };
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanSetSummary {
    /// One entry a modality.
    pub folders: Vec<FolderSummary>,
}

impl ScanSetSummary {
    /// Files of all folders, annotation files included.
    pub fn num_files(&self) -> usize {
        self.folders.iter().map(|folder| folder.num_files).sum()
    }
}

/// What was made of one modality.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderSummary {
    /// Name of the folder.
    pub folder: &'static str,
    /// Pictures or volumes.
    pub num_items: usize,
    /// Files, annotation files included.
    pub num_files: usize,
    /// What they are and how they are annotated, in a few words.
    pub about: &'static str,
}

/// Writes a complete set of made-up scans below `dir`. Equal arguments give equal bytes.
pub fn write_quickstart_data(dir: &Path, seed: u64, size: ScanSet) -> Result<ScanSetSummary> {
    let folders = vec![
        ct::write(dir, seed, size.ct_patients)?,
        mr::write(dir, seed, size.mr_patients)?,
        xray::write(dir, seed, size)?,
        ultrasound::write(dir, seed, size)?,
        fundus::write(dir, seed, size)?,
        pathology::write(dir, seed, size)?,
    ];
    Ok(ScanSetSummary { folders })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    fn contents(dir: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>, root: &Path) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                contents(&path, files, root);
            } else {
                files.insert(path.strip_prefix(root).unwrap().into(), std::fs::read(&path).unwrap());
            }
        }
    }

    fn written(seed: u64) -> BTreeMap<PathBuf, Vec<u8>> {
        let dir = tempfile::tempdir().unwrap();
        let summary = write_quickstart_data(dir.path(), seed, ScanSet::TINY).unwrap();
        let mut files = BTreeMap::new();
        contents(dir.path(), &mut files, dir.path());
        assert_eq!(files.len(), summary.num_files());
        files
    }

    #[test]
    fn equal_seeds_give_equal_bytes_and_others_do_not() {
        let first = written(7);
        assert!(first == written(7), "the same seed gave other bytes");
        let other = written(8);
        let picture = first.keys().find(|path| path.starts_with("xray")).unwrap();
        assert!(first[picture] != other[picture]);
    }

    #[test]
    fn reports_and_labels_name_every_picture() {
        let files = written(7);
        for (folder, table) in [("xray", "xray_reports.csv"), ("fundus", "fundus_labels.csv")] {
            let text = std::str::from_utf8(&files[Path::new(table)]).unwrap();
            let pictures: Vec<_> = files.keys().filter(|path| path.starts_with(folder)).collect();
            assert_eq!(text.lines().count(), pictures.len() + 1);
            for path in pictures {
                let name = path.to_str().unwrap();
                assert!(text.lines().any(|line| line.starts_with(&format!("{name},"))), "{name} is not in {table}");
            }
        }
    }
}
