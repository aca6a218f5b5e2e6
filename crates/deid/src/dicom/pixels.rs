//! Boxes painted over in uncompressed pixels, in every frame. All other bytes stay.

use super::text_of;
use super::tree::{DataSet, Element, Value};
use crate::picture::PixelRect;
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use std::borrow::Cow;

/// How samples lie in the pixel element.
struct Layout {
    rows: usize,
    columns: usize,
    samples: usize,
    /// Bytes of one sample.
    width: usize,
    /// Each colour in a plane of its own.
    planar: bool,
}

/// Paints boxes black; false when the pixels are compressed or lie in a way that is not plain, so nothing was painted.
pub(super) fn blank(data_set: &mut DataSet, boxes: &[PixelRect], big_endian: bool) -> bool {
    let Some(layout) = layout(data_set, big_endian) else { return false };
    let photometric = text_of(data_set, tags::PHOTOMETRIC_INTERPRETATION);
    // White on black everywhere but here; chroma of YBR is 128 where there is no colour. 4:2:2 shares samples between pixels.
    let fill: [u8; 3] = match photometric.as_str() {
        "MONOCHROME1" => [0xFF; 3],
        "MONOCHROME2" | "RGB" => [0; 3],
        "YBR_FULL" => [0, 128, 128],
        _ => return false,
    };
    if photometric == "MONOCHROME1" && layout.width != 1 {
        return false;
    }
    let Some(Element { value: Value::Bytes(bytes), .. }) = data_set.get_mut(&tags::PIXEL_DATA) else { return false };
    let frame = layout.rows * layout.columns * layout.samples * layout.width;
    if frame == 0 || bytes.len() < frame {
        return false;
    }
    let mut pixels = bytes.to_vec();
    for frame in pixels.chunks_exact_mut(frame) {
        boxes.iter().for_each(|area| paint(frame, &layout, *area, fill));
    }
    *bytes = Cow::Owned(pixels);
    true
}

fn layout(data_set: &DataSet, big_endian: bool) -> Option<Layout> {
    let number = |tag: Tag| {
        let bytes: [u8; 2] = data_set.get(&tag)?.plain().get(..2)?.try_into().ok()?;
        Some(usize::from(if big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }))
    };
    let width = match number(tags::BITS_ALLOCATED)? {
        8 => 1,
        16 if !big_endian => 2,
        _ => return None,
    };
    let samples = number(tags::SAMPLES_PER_PIXEL).unwrap_or(1);
    if !matches!(samples, 1 | 3) {
        return None;
    }
    let planar = number(tags::PLANAR_CONFIGURATION) == Some(1) && samples == 3;
    Some(Layout { rows: number(tags::ROWS)?, columns: number(tags::COLUMNS)?, samples, width, planar })
}

fn paint(frame: &mut [u8], layout: &Layout, area: PixelRect, fill: [u8; 3]) {
    let Layout { rows, columns, samples, width, planar } = *layout;
    for row in area.top..area.bottom.min(rows) {
        for column in area.left..area.right.min(columns) {
            for (sample, value) in fill.iter().take(samples).enumerate() {
                let index = if planar {
                    (sample * rows + row) * columns + column
                } else {
                    (row * columns + column) * samples + sample
                };
                frame[index * width..(index + 1) * width].fill(*value);
            }
        }
    }
}
