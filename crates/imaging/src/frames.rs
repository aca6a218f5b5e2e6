//! Files with several grey frames: which of them form a volume, and how it lies in the patient (functional groups, PS3.3 C.7.6.16).

use crate::data_set::{Attributes, DicomFile};
use crate::error::Result;
use crate::grey::{Rescale, padding};
use crate::limits::Limits;
use crate::orient::{self, Stored};
use crate::pixels::{Frames, Layout, Photometric};
use crate::stack::{self, SliceGeometry, Stack};
use crate::volume::Volume;
use dicom_core::Tag;
use dicom_dictionary_std::tags;

/// The item of a functional group that holds for `frame`: the frame's own, else the one shared by all.
pub(crate) fn functional_group<'a>(root: &Attributes<'a>, frame: u32, group: Tag) -> Option<Attributes<'a>> {
    let own = root.item(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, frame as usize);
    let shared = root.item(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, 0);
    [own, shared].into_iter().flatten().find_map(|item| item.item(group, 0))
}

/// The frames of one volume, in order: those that share direction, time, echo and diffusion weighting with the first.
pub(crate) fn read_volume(
    file: &DicomFile,
    frames: &Frames<'_>,
    limits: &Limits,
    notes: &mut Vec<String>,
) -> Result<Volume> {
    let root = file.root();
    let layout = &frames.layout;
    let (columns, rows) = (usize::from(layout.columns), usize::from(layout.rows));
    let stack = frame_stack(&root, layout, notes);
    limits.check_voxels(&file.path, [columns, rows, stack.order.len()])?;
    let mut values = Vec::with_capacity(columns * rows * stack.order.len());
    let mut marked = None;
    for index in &stack.order {
        let mut frame = frames.grey(*index as u32)?;
        let rescale = Rescale::read(file, layout, *index as u32)?;
        rescale.apply(&mut frame);
        marked = marked.or_else(|| padding(&root, layout, &rescale));
        values.extend(frame);
    }
    let dims = [columns, rows, stack.order.len()];
    let ras = orient::to_ras(&file.path, Stored { dims, affine: stack.affine, values })?;
    let mut volume = Volume { padding: marked, ..Volume::from_ras(ras) };
    if layout.photometric == Photometric::Monochrome1 {
        volume.mirror_values(notes);
    }
    Ok(volume)
}

/// What tells the volumes in one file apart; frames are taken in this order.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
struct Part {
    stack: String,
    time: u32,
    echo_ms: f64,
    b_value: f64,
}

impl Part {
    fn read(root: &Attributes<'_>, frame: u32) -> Part {
        let content = functional_group(root, frame, tags::FRAME_CONTENT_SEQUENCE);
        let of = |group: Tag, value: Tag| functional_group(root, frame, group)?.double(value);
        Part {
            stack: content.and_then(|content| content.text(tags::STACK_ID)).unwrap_or_default(),
            time: content.and_then(|content| content.long(tags::TEMPORAL_POSITION_INDEX)).unwrap_or(0),
            echo_ms: of(tags::MR_ECHO_SEQUENCE, tags::EFFECTIVE_ECHO_TIME).unwrap_or(0.0),
            b_value: of(tags::MR_DIFFUSION_SEQUENCE, tags::DIFFUSION_B_VALUE).unwrap_or(0.0),
        }
    }
}

/// Order and geometry of the frames: from their own positions, from offsets along the normal (RT dose), or as stored.
fn frame_stack(root: &Attributes<'_>, layout: &Layout, notes: &mut Vec<String>) -> Stack {
    let own: Option<Vec<SliceGeometry>> = (0..layout.frames).map(|frame| frame_geometry(root, frame)).collect();
    let by_offset = || {
        let first = SliceGeometry::read(root, root, root)?;
        let offsets = root.decimals(tags::GRID_FRAME_OFFSET_VECTOR)?;
        // C.8.8.3.2: relative to the first frame, or places along the axis of which the first is that of the first frame.
        let start = *offsets.first()?;
        let slices: Vec<_> = offsets.iter().map(|offset| first.moved(*offset - start)).collect();
        (slices.len() == layout.frames as usize).then_some(slices)
    };
    if let Some(slices) = own.or_else(by_offset) {
        let chosen = first_part(root, &slices, notes);
        let geometry: Vec<SliceGeometry> = chosen.iter().map(|index| slices[*index].clone()).collect();
        match stack::arrange(&geometry) {
            Ok(mut stack) => {
                stack.order.iter_mut().for_each(|index| *index = chosen[*index]);
                stack.describe("frames", notes);
                return stack;
            }
            Err(reason) => notes.push(format!("frames are kept in the order of the file: {reason}")),
        }
    }
    let spacing = root.decimal_array(tags::PIXEL_SPACING).or_else(|| root.decimal_array(tags::IMAGER_PIXEL_SPACING));
    let [down, across] = spacing.unwrap_or([1.0, 1.0]);
    let between = root.decimal(tags::SPACING_BETWEEN_SLICES).or_else(|| root.decimal(tags::SLICE_THICKNESS));
    notes.push("frames without position in the patient: sides are as on the stored picture".to_string());
    Stack::as_stored(layout.frames as usize, [across, down, between.unwrap_or(1.0)])
}

/// The frames of the first part (see [`Part`]) that face one way.
fn first_part(root: &Attributes<'_>, slices: &[SliceGeometry], notes: &mut Vec<String>) -> Vec<usize> {
    let parts: Vec<Part> = (0..slices.len()).map(|frame| Part::read(root, frame as u32)).collect();
    let first = parts.iter().filter(|part| part.echo_ms.is_finite() && part.b_value.is_finite());
    let first = first.min_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    let in_first = |index: &usize| first.is_none_or(|first| parts[*index] == *first);
    let chosen: Vec<usize> = (0..slices.len()).filter(in_first).collect();
    let facing: Vec<usize> =
        chosen.iter().copied().filter(|index| slices[*index].is_parallel(&slices[chosen[0]])).collect();
    if facing.len() < slices.len() {
        notes.push(format!(
            "{} of {} frames form the first volume; others differ in stack, direction, time, echo or diffusion weighting",
            facing.len(),
            slices.len()
        ));
    }
    facing
}

fn frame_geometry(root: &Attributes<'_>, frame: u32) -> Option<SliceGeometry> {
    let position = functional_group(root, frame, tags::PLANE_POSITION_SEQUENCE)?;
    let orientation = functional_group(root, frame, tags::PLANE_ORIENTATION_SEQUENCE)?;
    let measures = functional_group(root, frame, tags::PIXEL_MEASURES_SEQUENCE)?;
    SliceGeometry::read(&position, &orientation, &measures)
}
