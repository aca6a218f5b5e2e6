//! Which slices of a volume become pictures, and what is marked in each.

use crate::config::Regions;
use crate::inputs::Inputs;
use crate::kind::{Instances, SliceChoice, SliceRules};
use crate::ledger::{Defect, Ledger, Of};
use crate::regions::{Marked, Name, look_up, mask_boxes, without_path};
use crate::source::{DicomMarks, LabelFile, ObjectKind};
use gmai_imaging::{Decoder, Geometry, LabelMap, Volume};
use gmai_schema::{Axis, Region, SliceRef};
use std::collections::BTreeMap;

/// What is marked in each slice of a volume.
pub(crate) type MarkedSlices = BTreeMap<(Axis, usize), Marked>;

/// What label maps, segmentations and structure sets say about a volume.
#[derive(Default)]
pub(crate) struct Labelled {
    pub(crate) slices: MarkedSlices,
    /// Label files, segments and structures that could be used.
    pub(crate) num_used: u64,
}

/// Reads the label maps of a volume one after the other. Defective ones are quarantined, the others are used.
pub(crate) fn read_labels(volume: &Volume, files: &[LabelFile], reading: &Reading, ledger: &mut Ledger) -> Labelled {
    let mut labelled = Labelled::default();
    for label in files {
        match read_label(volume, label, reading) {
            Ok(map) => labelled.add(volume, &map, label.class.as_deref(), reading),
            Err(defect) => ledger.quarantine(Of::Annotations, defect),
        }
    }
    labelled
}

/// Draws the segmentations and structures of a series on its volume, each segment and structure for itself.
pub(crate) fn read_objects(
    volume: &Volume,
    objects: &[DicomMarks],
    reading: &Reading,
    (labelled, ledger): (&mut Labelled, &mut Ledger),
) {
    for object in objects {
        let path = reading.inputs.path(&object.file);
        let result = match object.kind {
            ObjectKind::Segmentation => reading.decoder.read_segmentation(&path).map(|segmentation| {
                for segment in &segmentation.segments {
                    let draw = || reading.decoder.draw_segment(&path, segment.number, volume).map(Some);
                    labelled.draw(volume, (&object.file, &segment.label), draw, (reading, &mut *ledger));
                }
            }),
            ObjectKind::Structures => reading.decoder.read_structures(&path).map(|set| {
                for roi in &set.rois {
                    let draw = || set.draw(roi, volume).map(|drawn| (drawn.num_inside > 0).then_some(drawn.map));
                    labelled.draw(volume, (&object.file, &roi.name), draw, (reading, &mut *ledger));
                }
            }),
        };
        if let Err(error) = result {
            // It was read once before: the file changed meanwhile. All that it marks is lost.
            let reason = without_path(&error, reading.inputs);
            for _ in 0..object.len() {
                ledger.quarantine(Of::Annotations, Defect::new(&object.file, "file", reason.clone(), "read it again"));
            }
        }
    }
}

impl Labelled {
    fn add(&mut self, volume: &Volume, map: &LabelMap, class: Option<&str>, reading: &Reading) {
        self.num_used += 1;
        for axis in &reading.rules.axes {
            for index in 0..volume.num_slices(*axis) {
                mark_slice(map, class, SliceRef { axis: *axis, index }, reading, &mut self.slices);
            }
        }
    }

    /// Adds one segment or structure, or accounts for why it is not used.
    fn draw(
        &mut self,
        volume: &Volume,
        (file, name): (&str, &str),
        draw: impl FnOnce() -> gmai_imaging::Result<Option<LabelMap>>,
        (reading, ledger): (&Reading, &mut Ledger),
    ) {
        match look_up(reading.regions, name) {
            Name::Known(_) => match draw() {
                Ok(Some(map)) => self.add(volume, &map, Some(name), reading),
                Ok(None) => {
                    ledger.skip(Of::Annotations, "the structure has no contour on the slices that are there", 1)
                }
                Err(error) => {
                    let reason = without_path(&error, reading.inputs);
                    let remedy = "pair it with the series it was drawn on, or resample it to that grid";
                    ledger.quarantine(Of::Annotations, Defect::new(file, name, reason, remedy));
                }
            },
            Name::LeftOut => ledger.skip(Of::Annotations, "the config lists the region name as unknown", 1),
            Name::Unlisted => {
                let reason = format!("region name `{name}` is not in the config");
                let remedy = "add the name to `terms` or to `unknown` under [source.regions]";
                ledger.quarantine(Of::Annotations, Defect::new(file, name, reason, remedy));
            }
        }
    }
}

/// How label maps are read and slices chosen.
pub(crate) struct Reading<'a> {
    pub(crate) regions: &'a Regions,
    pub(crate) instances: Instances,
    pub(crate) rules: &'a SliceRules,
    pub(crate) inputs: &'a Inputs,
    pub(crate) decoder: &'a Decoder,
}

fn read_label(volume: &Volume, label: &LabelFile, reading: &Reading) -> Result<LabelMap, Defect> {
    let map = reading.decoder.read_label_map(&reading.inputs.path(&label.file)).map_err(|error| {
        Defect::new(&label.file, "file", without_path(&error, reading.inputs), "replace the label map")
    })?;
    if !map.matches(volume) {
        let reason = format!(
            "the label map has {:?} voxels of {:?} mm, the volume {:?} of {:?} mm, or they lie elsewhere in the patient",
            map.dims, map.spacing, volume.dims, volume.spacing
        );
        let remedy = "pair the label map with the volume it was drawn on, or resample it to that grid";
        return Err(Defect::new(&label.file, "grid", reason, remedy));
    }
    let names: Vec<String> = match &label.class {
        Some(class) => vec![class.clone()],
        None => map.class_sizes().keys().map(u16::to_string).collect(),
    };
    for name in names {
        if let Name::Unlisted = look_up(reading.regions, &name) {
            let reason = format!("class `{name}` is not in the config");
            let remedy =
                "add it to `terms` or to `unknown` under [source.regions]; `unknown = [\"*\"]` leaves all others out";
            return Err(Defect::new(&label.file, "class", reason, remedy));
        }
    }
    Ok(map)
}

/// Adds what a label map marks in one slice. `class` is the raw name of what it marks; without it, its values are class numbers.
fn mark_slice(map: &LabelMap, class: Option<&str>, slice: SliceRef, reading: &Reading, slices: &mut MarkedSlices) {
    let Some(plane) = map.plane(slice) else { return };
    for value in plane.classes() {
        let name = class.map_or_else(|| value.to_string(), str::to_string);
        let Name::Known(rule) = look_up(reading.regions, &name) else { continue };
        let found = mask_boxes(&plane.mask(value), reading.instances, reading.regions.min_mask_share);
        let marked = slices.entry((slice.axis, slice.index)).or_default();
        marked.incomplete |= found.some_too_small;
        marked.area += found.area;
        let region = |(bounds, mask)| Region { term: rule.term(), bounds, mask };
        marked.regions.extend(found.boxes.into_iter().map(region));
    }
}

/// Chooses slices and accounts for all others. `labelled` is `None` when the volume has no label map.
pub(crate) fn choose(
    volume: &Volume,
    rules: &SliceRules,
    labelled: Option<&MarkedSlices>,
    ledger: &mut Ledger,
) -> Vec<SliceRef> {
    let mut chosen = Vec::new();
    for axis in rules.axes.iter().copied() {
        let count = volume.num_slices(axis);
        ledger.found(Of::Images, count as u64);
        let first = volume.plane(SliceRef { axis, index: 0 });
        if first.is_none_or(|plane| is_thin(plane.geometry())) {
            // SA-Med2D-20M's rule.
            ledger.skip(Of::Images, "the short side of the slice is below half of its long side", count as u64);
            continue;
        }
        let qualifies = |index: &usize| match (rules.choose, labelled) {
            (SliceChoice::Annotated | SliceChoice::Largest, Some(slices)) => {
                slices.get(&(axis, *index)).is_some_and(|marked| !marked.regions.is_empty())
            }
            _ => true,
        };
        let qualified: Vec<usize> = (0..count).filter(qualifies).collect();
        ledger.skip(Of::Images, "nothing is marked in the slice", (count - qualified.len()) as u64);
        let stepped: Vec<usize> = qualified.iter().copied().step_by(rules.every).collect();
        ledger.skip(
            Of::Images,
            "the slice lies between those that `every` takes",
            (qualified.len() - stepped.len()) as u64,
        );
        let kept = match (rules.choose, labelled) {
            (SliceChoice::Largest, Some(slices)) => {
                let area = |index: usize| slices.get(&(axis, index)).map_or(0, |marked| marked.area);
                largest(&stepped, rules.max_per_axis, area)
            }
            _ => evenly(&stepped, rules.max_per_axis),
        };
        ledger.skip(Of::Images, "the volume has more slices than `max_per_axis`", (stepped.len() - kept.len()) as u64);
        chosen.extend(kept.into_iter().map(|index| SliceRef { axis, index }));
    }
    chosen
}

fn is_thin(geometry: Geometry) -> bool {
    let size = geometry.display_size();
    size.width.min(size.height) * 2 < size.width.max(size.height)
}

/// At most `count` of `all`, evenly spaced, from the middle of as many equal parts.
fn evenly(all: &[usize], count: usize) -> Vec<usize> {
    if all.len() <= count {
        return all.to_vec();
    }
    (0..count).map(|part| all[(2 * part + 1) * all.len() / (2 * count)]).collect()
}

/// The `count` of `all` with the largest area, in their order; of equal ones the first.
fn largest(all: &[usize], count: usize, area: impl Fn(usize) -> usize) -> Vec<usize> {
    let mut sorted = all.to_vec();
    sorted.sort_by_key(|index| std::cmp::Reverse(area(*index)));
    sorted.truncate(count);
    sorted.sort_unstable();
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_with_the_largest_area_are_taken() {
        let area = |index: usize| [3, 9, 9, 1, 7][index];
        assert_eq!(largest(&[0, 1, 2, 3, 4], 3, area), [1, 2, 4]);
        assert_eq!(largest(&[0, 1, 2, 3, 4], 1, area), [1]);
        assert_eq!(largest(&[3], 2, area), [3]);
    }

    #[test]
    fn slices_are_spaced_evenly() {
        let all: Vec<usize> = (10..20).collect();
        assert_eq!(evenly(&all, 10), all);
        assert_eq!(evenly(&all, 2), [12, 17]);
        assert_eq!(evenly(&all, 1), [15]);
        assert_eq!(evenly(&all, 0), Vec::<usize>::new());
    }
}
