//! Grey values of DICOM: stored numbers to values with a unit, and those to what is shown (PS3.3 C.11.1, C.11.2).

use crate::data_set::{Attributes, DicomFile};
use crate::error::Result;
use crate::frames::functional_group;
use crate::lookup::{Table, TableTags};
use crate::pixels::{Layout, Photometric};
use crate::render::to_byte;
use crate::window::widened;
use dicom_dictionary_std::tags;
use gmai_schema::WindowRef;

/// Stored numbers to values with a unit: Hounsfield units for CT.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Rescale {
    Linear { slope: f64, intercept: f64 },
    Table(Table),
}

impl Rescale {
    /// Of one frame: its own, the shared one, or that of the file.
    pub(crate) fn read(file: &DicomFile, layout: &Layout, frame: u32) -> Result<Rescale> {
        let root = file.root();
        if let Some(item) = root.items(tags::MODALITY_LUT_SEQUENCE).first() {
            let table = Table::read(item, TableTags::ITEM, layout.signed);
            return table.map(Rescale::Table).map_err(|(tag, reason)| file.malformed(tag, reason));
        }
        let group = functional_group(&root, frame, tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE).unwrap_or(root);
        Ok(Rescale::Linear {
            slope: group.decimal(tags::RESCALE_SLOPE).filter(|slope| *slope != 0.0).unwrap_or(1.0),
            intercept: group.decimal(tags::RESCALE_INTERCEPT).unwrap_or(0.0),
        })
    }

    pub(crate) fn apply(&self, values: &mut [f32]) {
        match self {
            Rescale::Linear { slope, intercept } if *slope == 1.0 && *intercept == 0.0 => {}
            Rescale::Linear { slope, intercept } => {
                for value in values {
                    *value = (f64::from(*value) * slope + intercept) as f32;
                }
            }
            Rescale::Table(table) => values.iter_mut().for_each(|value| *value = f32::from(table.look_up(*value))),
        }
    }
}

/// Values that mark pixels outside the image, e.g. around the circle of a CT: they take no part in finding a window (C.7.5.1.1.2).
pub(crate) fn padding(root: &Attributes<'_>, layout: &Layout, rescale: &Rescale) -> Option<WindowRef> {
    let first = layout.sample(u32::from(root.short(tags::PIXEL_PADDING_VALUE)?));
    let last = root.short(tags::PIXEL_PADDING_RANGE_LIMIT).map_or(first, |word| layout.sample(u32::from(word)));
    let mut ends = [first, last];
    rescale.apply(&mut ends);
    Some(WindowRef { low: ends[0].min(ends[1]), high: ends[0].max(ends[1]) })
}

/// Smallest and largest finite value outside `padding`; 0 and 0 when there is none.
pub(crate) fn value_range(values: &[f32], padding: Option<WindowRef>) -> WindowRef {
    let counts =
        |value: &f32| value.is_finite() && padding.is_none_or(|padding| *value < padding.low || *value > padding.high);
    let start = [f32::INFINITY, f32::NEG_INFINITY];
    let grow = |[low, high]: [f32; 2], value: f32| [low.min(value), high.max(value)];
    let [low, high] = values.iter().copied().filter(counts).fold(start, grow);
    if low <= high { WindowRef { low, high } } else { WindowRef { low: 0.0, high: 0.0 } }
}

/// How values are shown.
#[derive(Debug, Clone, PartialEq)]
enum Shades {
    Window(WindowRef),
    /// C.11.2.1.3.1.
    Sigmoid {
        centre: f32,
        width: f32,
    },
    Table(Table),
}

impl Shades {
    fn byte(&self, value: f32) -> u8 {
        match self {
            Shades::Window(window) => to_byte(value, *window),
            Shades::Sigmoid { centre, width } => {
                let share = 1.0 / (1.0 + (-4.0 * (value - centre) / width).exp());
                (share * 255.0 + 0.5) as u8
            }
            Shades::Table(table) => {
                let entry = u32::from(table.look_up(value));
                let most = (1u32 << u32::from(table.bits.clamp(1, 16)).max(table.used_bits())) - 1;
                ((entry * 255 + most / 2) / most) as u8
            }
        }
    }
}

/// A grey frame made visible.
pub(crate) struct Shown {
    pub(crate) pixels: Vec<u8>,
    /// The window used; `None` when a table was.
    pub(crate) window: Option<WindowRef>,
    pub(crate) notes: Vec<String>,
}

/// Shows one frame of stored numbers: rescaled, then through the file's own window or table, else from its smallest to its largest value.
pub(crate) fn show(file: &DicomFile, layout: &Layout, frame: u32, mut values: Vec<f32>) -> Result<Shown> {
    let root = file.root();
    let rescale = Rescale::read(file, layout, frame)?;
    rescale.apply(&mut values);
    let mut notes = Vec::new();
    let voi = functional_group(&root, frame, tags::FRAME_VOILUT_SEQUENCE).unwrap_or(root);
    let tables = voi.items(tags::VOILUT_SEQUENCE);
    let shades = match (file_window(&voi, &mut notes), tables.first()) {
        (Some(shades), _) => shades,
        (None, Some(item)) => {
            let is_signed = value_range(&values, None).low < 0.0;
            let table = Table::read(item, TableTags::ITEM, is_signed);
            notes.push("shown through the VOI lookup table of the file".to_string());
            Shades::Table(table.map_err(|(tag, reason)| file.malformed(tag, reason))?)
        }
        (None, None) => Shades::Window(widened(value_range(&values, padding(&root, layout, &rescale)))),
    };
    let window = match &shades {
        Shades::Window(window) => Some(*window),
        Shades::Sigmoid { centre, width } => Some(WindowRef { low: centre - width / 2.0, high: centre + width / 2.0 }),
        Shades::Table(_) => None,
    };
    let dark_high = layout.photometric == Photometric::Monochrome1;
    let shade = |value: &f32| {
        let byte = shades.byte(*value);
        if dark_high { 255 - byte } else { byte }
    };
    Ok(Shown { pixels: values.iter().flat_map(|value| [shade(value); 3]).collect(), window, notes })
}

/// The first window of the file (C.11.2.1.2).
fn file_window(voi: &Attributes<'_>, notes: &mut Vec<String>) -> Option<Shades> {
    let centres = voi.decimals(tags::WINDOW_CENTER)?;
    let centre = *centres.first()?;
    let width = voi.decimal(tags::WINDOW_WIDTH).filter(|width| *width >= 1e-6)?;
    if centres.len() > 1 {
        notes.push(format!("{} windows in the file, the first is used", centres.len()));
    }
    let function = voi.text(tags::VOILUT_FUNCTION).unwrap_or_default();
    if function == "SIGMOID" {
        return Some(Shades::Sigmoid { centre: centre as f32, width: width as f32 });
    }
    let exact = function == "LINEAR_EXACT" || width <= 1.0;
    let (middle, half) = if exact { (centre, width / 2.0) } else { (centre - 0.5, (width - 1.0) / 2.0) };
    Some(Shades::Window(widened(WindowRef { low: (middle - half) as f32, high: (middle + half) as f32 })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_does_not_widen_the_range() {
        let values = [-2000.0, -1000.0, 300.0, f32::NAN];
        let padding = WindowRef { low: -2048.0, high: -1999.0 };
        assert_eq!(value_range(&values, Some(padding)), WindowRef { low: -1000.0, high: 300.0 });
        assert_eq!(value_range(&values, None).low, -2000.0);
        assert_eq!(value_range(&[-2000.0], Some(padding)), WindowRef { low: 0.0, high: 0.0 });
    }

    #[test]
    fn sigmoid_is_half_bright_at_its_centre() {
        let shades = Shades::Sigmoid { centre: 50.0, width: 100.0 };
        assert_eq!(shades.byte(50.0), 128);
        assert_eq!(shades.byte(0.0), 30); // 255 / (1 + e^2)
        assert_eq!((shades.byte(-1e9), shades.byte(1e9)), (0, 255));
    }
}
