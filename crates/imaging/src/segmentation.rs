//! DICOM Segmentations (PS3.3 A.51, C.8.20): what they mark, as label maps on the volume that they refer to.
//!
//! Frames are put where their position and orientation say, pixel by pixel; they need not cover the volume or be in its order.
//! Fractional frames are inside from one half. Slide microscopy has no such places and is refused.

use crate::data_set::{Attributes, DicomFile};
use crate::error::{Error, Result};
use crate::label::LabelMap;
use crate::limits::Limits;
use crate::pixels::Frames;
use crate::placement::{self, Grid};
use crate::stack::SliceGeometry;
use crate::volume::Volume;
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;

/// Pixels of a frame may miss the middles of voxels by this share of a voxel: headers are rounded.
const GRID_TOLERANCE: f64 = 0.25;

/// Something that a segmentation marks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// SegmentNumber.
    pub number: u16,
    /// SegmentLabel.
    pub label: String,
    /// Meaning of the SegmentedPropertyType, e.g. `Liver`.
    pub meaning: Option<String>,
}

/// What a segmentation says beside its pixels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentationFacts {
    /// SeriesInstanceUID of the images that were segmented, where the file names it.
    pub series: Option<String>,
    /// SOPInstanceUIDs of the images that were segmented.
    pub images: BTreeSet<String>,
    /// SOPInstanceUID of the segmentation itself.
    pub uid: Option<String>,
    /// Everything that is marked, by number; the background of label maps is left out.
    pub segments: Vec<Segment>,
}

/// A segmentation file; pixels are decoded when a label map is asked for.
pub struct Segmentation {
    file: DicomFile,
    limits: Limits,
    coding: Coding,
    frames: Vec<Frame>,
    /// What it says beside its pixels.
    pub facts: SegmentationFacts,
}

/// What a stored value says (SegmentationType).
#[derive(Debug, Clone, Copy, PartialEq)]
enum Coding {
    /// 1 is inside.
    Binary,
    /// Inside from half of MaximumFractionalValue.
    Fractional { half: f32 },
    /// The value is the segment's number.
    LabelMap,
}

struct Frame {
    /// `None` in label maps.
    segment: Option<u16>,
    geometry: SliceGeometry,
}

impl Segmentation {
    /// Reads a segmentation without its pixels.
    pub fn read(path: &Path, limits: &Limits) -> Result<Segmentation> {
        Segmentation::of(DicomFile::read(path, limits)?, limits)
    }

    /// As [`read`](Segmentation::read), of a file that was taken apart already.
    pub(crate) fn of(file: DicomFile, limits: &Limits) -> Result<Segmentation> {
        let path = &file.path;
        let root = file.root();
        let missing = |name| Error::MissingAttribute { path: path.clone(), name };
        if root.text(tags::MODALITY).as_deref() != Some("SEG") {
            let value = root.text(tags::MODALITY).unwrap_or_default();
            let remedy = "give DICOM Segmentation objects";
            return Err(Error::Unsupported { path: path.into(), field: "Modality", value, remedy });
        }
        let coding = coding(path, &root)?;
        let layout = Frames::open(&file, limits)?.layout;
        let groups = root.items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
        if groups.len() != layout.frames as usize {
            let reason = format!("{} items for {} frames", groups.len(), layout.frames);
            return Err(file.malformed(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, reason));
        }
        let shared = root.items(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE).first().copied();
        let mut images = BTreeSet::new();
        let mut frames = Vec::with_capacity(groups.len());
        for own in &groups {
            let group = |tag: Tag| {
                let found = own.items(tag).first().copied();
                found.or_else(|| shared.as_ref().and_then(|shared| shared.items(tag).first().copied()))
            };
            let place =
                [tags::PLANE_POSITION_SEQUENCE, tags::PLANE_ORIENTATION_SEQUENCE, tags::PIXEL_MEASURES_SEQUENCE];
            let geometry = match place.map(group) {
                [Some(position), Some(orientation), Some(measures)] => {
                    SliceGeometry::read(&position, &orientation, &measures)
                }
                _ if group(tags::PLANE_POSITION_SLIDE_SEQUENCE).is_some() => return Err(of_slide(path)),
                _ => None,
            };
            let geometry = geometry.ok_or_else(|| missing("PlanePositionSequence"))?;
            let number = group(tags::SEGMENT_IDENTIFICATION_SEQUENCE)
                .and_then(|group| group.short(tags::REFERENCED_SEGMENT_NUMBER));
            if number.is_none() && coding != Coding::LabelMap {
                return Err(missing("ReferencedSegmentNumber"));
            }
            for derivation in own.items(tags::DERIVATION_IMAGE_SEQUENCE) {
                let sources = derivation.items(tags::SOURCE_IMAGE_SEQUENCE);
                images.extend(sources.iter().filter_map(|image| image.text(tags::REFERENCED_SOP_INSTANCE_UID)));
            }
            frames.push(Frame { segment: number, geometry });
        }
        let referenced = root.items(tags::REFERENCED_SERIES_SEQUENCE);
        for series in &referenced {
            let instances = series.items(tags::REFERENCED_INSTANCE_SEQUENCE);
            images.extend(instances.iter().filter_map(|image| image.text(tags::REFERENCED_SOP_INSTANCE_UID)));
        }
        let series = referenced.first().and_then(|series| series.text(tags::SERIES_INSTANCE_UID));
        let uid = root.text(tags::SOP_INSTANCE_UID);
        let segments = segments(path, &root)?;
        let facts = SegmentationFacts { series, images, uid, segments };
        Ok(Segmentation { file, limits: *limits, coding, frames, facts })
    }

    /// What one segment marks, on the grid of `volume`: 1 inside, 0 elsewhere.
    ///
    /// Refused when a frame's pixels are no voxels of the volume, or when something outside of it is marked.
    pub fn label_map(&self, segment: u16, volume: &Volume) -> Result<LabelMap> {
        let path = &self.file.path;
        let frames = Frames::open(&self.file, &self.limits)?;
        let [rows, columns] = [frames.layout.rows, frames.layout.columns].map(usize::from);
        let grid = Grid::new(&volume.affine).ok_or_else(|| placement::no_grid(path))?;
        let mut values = placement::blank(volume);
        for (number, frame) in self.frames.iter().enumerate() {
            if frame.segment.is_some_and(|own| own != segment) {
                continue;
            }
            let placed = grid.place(&frame.geometry);
            let pixels = frames.grey(number as u32)?;
            if pixels.len() != rows * columns {
                return Err(Error::decode(path, format!("frame {} has {} pixels", number + 1, pixels.len())));
            }
            for (pixel, _) in pixels.into_iter().enumerate().filter(|(_, value)| self.is_inside(*value, segment)) {
                let at = placed.at(pixel % columns, pixel / columns);
                match placement::index(at, volume.dims, GRID_TOLERANCE) {
                    Ok(Some(voxel)) => values[voxel] = 1,
                    Ok(None) => return Err(outside(path, number)),
                    Err(miss) => return Err(off_grid(path, number, miss)),
                }
            }
        }
        Ok(LabelMap { dims: volume.dims, spacing: volume.spacing, values, affine: volume.affine })
    }

    fn is_inside(&self, value: f32, segment: u16) -> bool {
        match self.coding {
            Coding::Binary => value != 0.0,
            Coding::Fractional { half } => value >= half,
            Coding::LabelMap => value == f32::from(segment) && value != 0.0,
        }
    }
}

fn coding(path: &Path, root: &Attributes<'_>) -> Result<Coding> {
    let kind = root.text(tags::SEGMENTATION_TYPE).unwrap_or_default();
    match kind.as_str() {
        "BINARY" => Ok(Coding::Binary),
        "FRACTIONAL" => {
            let full = root.short(tags::MAXIMUM_FRACTIONAL_VALUE).filter(|value| *value > 0).unwrap_or(255);
            Ok(Coding::Fractional { half: f32::from(full) / 2.0 })
        }
        "LABELMAP" => Ok(Coding::LabelMap),
        _ => {
            let remedy = "BINARY, FRACTIONAL and LABELMAP are read";
            Err(Error::Unsupported { path: path.into(), field: "SegmentationType", value: kind, remedy })
        }
    }
}

fn segments(path: &Path, root: &Attributes<'_>) -> Result<Vec<Segment>> {
    let mut segments = Vec::new();
    for item in root.items(tags::SEGMENT_SEQUENCE) {
        let number = item.short(tags::SEGMENT_NUMBER);
        let number = number.ok_or_else(|| Error::MissingAttribute { path: path.into(), name: "SegmentNumber" })?;
        let meaning = item.items(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE);
        let meaning = meaning.first().and_then(|code| code.text(tags::CODE_MEANING));
        let label = item.text(tags::SEGMENT_LABEL).or_else(|| meaning.clone()).unwrap_or_else(|| number.to_string());
        if number != 0 {
            segments.push(Segment { number, label, meaning });
        }
    }
    segments.sort_by_key(|segment| segment.number);
    Ok(segments)
}

fn of_slide(path: &Path) -> Error {
    let (field, value) = ("PlanePositionSlideSequence", "(slide microscopy)".to_string());
    Error::Unsupported { path: path.into(), field, value, remedy: "segmentations of volumes are read" }
}

fn outside(path: &Path, frame: usize) -> Error {
    let reason = format!("frame {} marks something outside the volume", frame + 1);
    Error::malformed(path, "PlanePositionSequence", reason)
}

fn off_grid(path: &Path, frame: usize, miss: f64) -> Error {
    let reason = format!(
        "pixels of frame {} lie {miss:.2} voxels beside those of the volume: it is another grid, resample the segmentation",
        frame + 1
    );
    Error::malformed(path, "PlanePositionSequence", reason)
}
