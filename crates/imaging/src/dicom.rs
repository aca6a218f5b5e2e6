//! One DICOM file: a picture, or a volume when it holds several grey frames.

use crate::data_set::{Attributes, DicomFile};
use crate::digest::sha256_bytes;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::orient::{self, Stored};
use crate::pixels::{Frames, Layout, Photometric};
use crate::render::to_byte;
use crate::sniff::FileKind;
use crate::stack::{self, SliceGeometry, Stack};
use crate::volume::Volume;
use crate::window::widened;
use crate::{Content, Scan};
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use gmai_schema::{Modality, Rgb8, WindowRef};
use std::path::Path;

/// Reads one DICOM file.
pub(crate) fn read(path: &Path, limits: &Limits) -> Result<Scan> {
    limits.check_file(path)?;
    let bytes = std::fs::read(path).map_err(|source| Error::io(path, source))?;
    let sha256 = sha256_bytes(&bytes);
    let file = DicomFile::from_bytes(path, bytes, limits)?;
    let mut scan = Scan { sha256, ..identified(&file.root()) };
    let frames = Frames::open(&file, limits)?;
    if frames.layout.photometric.is_grey() && frames.layout.frames > 1 {
        scan.content = Content::Volume(read_frames(&file, &frames, limits, &mut scan.notes)?);
        return Ok(scan);
    }
    if frames.layout.frames > 1 {
        scan.notes.push(format!("{} colour frames, the first is used", frames.layout.frames));
    }
    if file.root().text(tags::IMAGE_TYPE).is_some_and(|text| text.split('\\').any(|part| part == "MOSAIC")) {
        scan.notes.push("Siemens mosaic: the slices of a volume lie side by side in one picture".to_string());
    }
    let pixels = match frames.layout.photometric {
        Photometric::Monochrome1 | Photometric::Monochrome2 => grey_picture(&file, &frames, &mut scan)?,
        Photometric::Palette => palette_picture(&file, &frames)?,
        _ => frames.colour(0)?,
    };
    let picture = Rgb8::new(u32::from(frames.layout.columns), u32::from(frames.layout.rows), pixels);
    scan.content = Content::Picture(picture.ok_or_else(|| Error::decode(path, "pixels do not fill the picture"))?);
    Ok(scan)
}

/// A scan with what the header says of patient and acquisition; pixels and hash are filled in by the caller.
pub(crate) fn identified(root: &Attributes<'_>) -> Scan {
    Scan {
        kind: FileKind::Dicom,
        content: Content::Picture(Rgb8::filled(1, 1, [0; 3])),
        modality: root.text(tags::MODALITY).and_then(|code| modality(&code)),
        patient: root.text(tags::PATIENT_ID),
        study: root.text(tags::STUDY_INSTANCE_UID),
        series: root.text(tags::SERIES_INSTANCE_UID),
        sha256: String::new(),
        window: None,
        notes: Vec::new(),
    }
}

/// The modality that a DICOM code stands for (PS3.3 C.7.3.1.1.1); `None` for codes that do not name an image modality of
/// the vocabulary.
pub(crate) fn modality(code: &str) -> Option<Modality> {
    Some(match code {
        "CT" => Modality::Ct,
        "MR" => Modality::Mr,
        "CR" | "DX" | "DR" | "RG" | "RF" | "XA" | "MG" | "PX" | "IO" => Modality::XRay,
        "US" | "IVUS" => Modality::Ultrasound,
        "PT" => Modality::Pet,
        "SM" => Modality::Pathology,
        "GM" => Modality::Microscopy,
        "ES" => Modality::Endoscopy,
        "DMS" => Modality::Dermoscopy,
        "OP" => Modality::Fundus,
        "OPT" => Modality::Oct,
        _ => return None,
    })
}

/// The item of a functional group that holds for `frame`: the frame's own, else the one shared by all (PS3.3 C.7.6.16).
fn functional_group<'a>(root: &Attributes<'a>, frame: u32, group: Tag) -> Option<Attributes<'a>> {
    let own = root.items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).get(frame as usize).copied();
    let shared = root.items(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE).first().copied();
    [own, shared].into_iter().flatten().find_map(|item| item.items(group).first().copied())
}

/// Stored values to values with a unit (Hounsfield units for CT): slope and intercept of the frame or of the file.
pub(crate) fn rescale(root: &Attributes<'_>, frame: u32, values: &mut [f32]) {
    let group = functional_group(root, frame, tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE).unwrap_or(*root);
    let slope = group.decimal(tags::RESCALE_SLOPE).filter(|slope| *slope != 0.0).unwrap_or(1.0);
    let intercept = group.decimal(tags::RESCALE_INTERCEPT).unwrap_or(0.0);
    if slope != 1.0 || intercept != 0.0 {
        for value in values {
            *value = (f64::from(*value) * slope + intercept) as f32;
        }
    }
}

/// All grey frames as one volume, in the order of their positions where those are known.
fn read_frames(file: &DicomFile, frames: &Frames<'_>, limits: &Limits, notes: &mut Vec<String>) -> Result<Volume> {
    let root = file.root();
    let layout = &frames.layout;
    let (columns, rows) = (usize::from(layout.columns), usize::from(layout.rows));
    limits.check_voxels(&file.path, [columns, rows, layout.frames as usize])?;
    let stack = frame_stack(&root, layout, notes);
    let mut values = Vec::with_capacity(columns * rows * stack.order.len());
    for index in &stack.order {
        let mut frame = frames.grey(*index as u32)?;
        rescale(&root, *index as u32, &mut frame);
        values.extend(frame);
    }
    let dims = [columns, rows, stack.order.len()];
    let ras = orient::to_ras(&file.path, Stored { dims, affine: stack.affine, values })?;
    let mut volume = Volume::from_ras(ras);
    if layout.photometric == Photometric::Monochrome1 {
        invert(&mut volume.values, notes);
    }
    Ok(volume)
}

/// MONOCHROME1 shows low values bright. A volume has no such switch, so its values are mirrored within their range.
pub(crate) fn invert(values: &mut [f32], notes: &mut Vec<String>) {
    let range = value_range(values, None);
    values.iter_mut().for_each(|value| *value = range.low + range.high - *value);
    notes.push("MONOCHROME1: values are mirrored so that bright means bright".to_string());
}

/// Order and geometry of the frames: from their own positions, from offsets along the normal (RT dose), or as stored.
fn frame_stack(root: &Attributes<'_>, layout: &Layout, notes: &mut Vec<String>) -> Stack {
    let own: Option<Vec<SliceGeometry>> = (0..layout.frames).map(|frame| frame_geometry(root, frame)).collect();
    let by_offset = || {
        let first = SliceGeometry::read(root, root, root)?;
        let offsets = root.decimals(tags::GRID_FRAME_OFFSET_VECTOR)?;
        let slices: Vec<_> = offsets.iter().map(|offset| first.moved(*offset)).collect();
        (slices.len() == layout.frames as usize).then_some(slices)
    };
    if let Some(slices) = own.or_else(by_offset) {
        match stack::arrange(&slices) {
            Ok(stack) => {
                if stack.repeats > 1 {
                    notes.push(format!("{} frames at each position, the first is used", stack.repeats));
                }
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

fn frame_geometry(root: &Attributes<'_>, frame: u32) -> Option<SliceGeometry> {
    let position = functional_group(root, frame, tags::PLANE_POSITION_SEQUENCE)?;
    let orientation = functional_group(root, frame, tags::PLANE_ORIENTATION_SEQUENCE)?;
    let measures = functional_group(root, frame, tags::PIXEL_MEASURES_SEQUENCE)?;
    SliceGeometry::read(&position, &orientation, &measures)
}

/// One grey frame: rescaled, windowed by the file's own window or from its smallest to its largest value.
fn grey_picture(file: &DicomFile, frames: &Frames<'_>, scan: &mut Scan) -> Result<Vec<u8>> {
    let root = file.root();
    let mut values = frames.grey(0)?;
    let padding = padding_value(&root, &frames.layout);
    let stored_range = value_range(&values, padding);
    rescale(&root, 0, &mut values);
    let voi = functional_group(&root, 0, tags::FRAME_VOILUT_SEQUENCE).unwrap_or(root);
    let window = match file_window(&voi) {
        Some(window) => window,
        None => {
            if root.has(tags::VOILUT_SEQUENCE) {
                scan.notes.push("the VOI lookup table is not applied; full range shown".to_string());
            }
            let mut ends = [stored_range.low, stored_range.high];
            rescale(&root, 0, &mut ends);
            widened(WindowRef { low: ends[0].min(ends[1]), high: ends[0].max(ends[1]) })
        }
    };
    scan.window = Some(window);
    let dark_high = frames.layout.photometric == Photometric::Monochrome1;
    let shade = |value: &f32| {
        let byte = to_byte(*value, window);
        if dark_high { 255 - byte } else { byte }
    };
    Ok(values.iter().flat_map(|value| [shade(value); 3]).collect())
}

/// The first window of the file (PS3.3 C.11.2.1.2); a sigmoid is taken as the linear window of the same width.
fn file_window(voi: &Attributes<'_>) -> Option<WindowRef> {
    let centre = voi.decimal(tags::WINDOW_CENTER)?;
    let width = voi.decimal(tags::WINDOW_WIDTH).filter(|width| *width >= 1e-6)?;
    let exact = voi.text(tags::VOILUT_FUNCTION).is_some_and(|function| function != "LINEAR");
    let (middle, half) =
        if exact || width <= 1.0 { (centre, width / 2.0) } else { (centre - 0.5, (width - 1.0) / 2.0) };
    Some(widened(WindowRef { low: (middle - half) as f32, high: (middle + half) as f32 }))
}

/// The stored value that marks pixels outside the image, e.g. around the circle of a CT.
fn padding_value(root: &Attributes<'_>, layout: &Layout) -> Option<f32> {
    let word = root.short(tags::PIXEL_PADDING_VALUE)?;
    Some(layout.sample(u32::from(word)))
}

fn value_range(values: &[f32], padding: Option<f32>) -> WindowRef {
    let range = |skipped: Option<f32>| {
        let counted = values.iter().copied().filter(|value| Some(*value) != skipped);
        counted.fold([f32::INFINITY, f32::NEG_INFINITY], |[low, high], value| [low.min(value), high.max(value)])
    };
    let [low, high] = range(padding);
    if low <= high { WindowRef { low, high } } else { WindowRef { low: 0.0, high: 0.0 } }
}

/// Palette colour: each stored index looked up in three tables (PS3.3 C.7.6.3.1.5 and .6).
fn palette_picture(file: &DicomFile, frames: &Frames<'_>) -> Result<Vec<u8>> {
    let indices = frames.grey(0)?;
    let root = file.root();
    let channels = [
        (tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR, tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA),
        (tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR, tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA),
        (tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR, tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA),
    ];
    let mut tables = Vec::with_capacity(3);
    for (descriptor, data) in channels {
        tables.push(ColourTable::read(file, &root, descriptor, data)?);
    }
    Ok(indices.iter().flat_map(|index| [0, 1, 2].map(|channel| tables[channel].look_up(*index))).collect())
}

struct ColourTable {
    first: f32,
    bytes: Vec<u8>,
}

impl ColourTable {
    fn read(file: &DicomFile, root: &Attributes<'_>, descriptor: Tag, data: Tag) -> Result<ColourTable> {
        let words = root.shorts(descriptor);
        let &[count, first, bits] = words.as_slice() else {
            return Err(file.malformed(descriptor, "needs three numbers"));
        };
        let entries = if count == 0 { 1 << 16 } else { usize::from(count) };
        let raw = root.bytes(data).unwrap_or_default();
        let bytes: Vec<u8> = if bits <= 8 && raw.len() < entries * 2 {
            raw.iter().copied().take(entries).collect()
        } else {
            let words: Vec<u16> = root.shorts(data).into_iter().take(entries).collect();
            // Writers put 8-bit colours into words either way; the descriptor often lies about it.
            let wide = words.iter().any(|word| *word > 255);
            words.iter().map(|word| if wide { (word >> 8) as u8 } else { *word as u8 }).collect()
        };
        if bytes.is_empty() {
            let reason = "is missing or empty; segmented palettes are not supported";
            return Err(file.malformed(data, reason));
        }
        Ok(ColourTable { first: f32::from(first), bytes })
    }

    fn look_up(&self, index: f32) -> u8 {
        let place = (index - self.first).max(0.0) as usize;
        self.bytes[place.min(self.bytes.len() - 1)]
    }
}
