//! An image file as a user names it -> the picture that a model sees.

use anyhow::{Result, bail};
use gmai_imaging::{Decoder, WindowRule};
use gmai_schema::{Axis, Rgb8, SliceRef};
use std::path::Path;

/// Which part of a volume is shown, and how.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct View {
    /// The slice; the middle axial one when not given.
    pub slice: Option<SliceRef>,
    /// How values become grey levels; percentiles of the volume when not given.
    pub window: WindowRule,
}

/// A picture with what a user should know of it.
#[derive(Debug)]
pub struct Picture {
    /// The pixels.
    pub pixels: Rgb8,
    /// What is shown, e.g. `brain.nii.gz, 64 x 48 pixels`.
    pub caption: String,
}

impl View {
    /// Reads `axial:12` and `-160:240`.
    pub fn read(slice: Option<&str>, window: Option<&str>) -> Result<View> {
        let window = window.map(read_window).transpose()?.unwrap_or_default();
        Ok(View { slice: slice.map(read_slice).transpose()?, window })
    }
}

fn read_slice(text: &str) -> Result<SliceRef> {
    let (axis, index) = text.split_once(':').unwrap_or((text, ""));
    let axis = Axis::ALL.into_iter().find(|known| known.key() == axis);
    match (axis, index.parse()) {
        (Some(axis), Ok(index)) => Ok(SliceRef { axis, index }),
        _ => {
            bail!("--slice {text}: write axial, coronal or sagittal and the number of the slice from 0, e.g. axial:12")
        }
    }
}

fn read_window(text: &str) -> Result<WindowRule> {
    let numbers = text.split_once(':').and_then(|(low, high)| Some((low.parse().ok()?, high.parse().ok()?)));
    match numbers {
        Some((low, high)) if f32::is_finite(low) && f32::is_finite(high) && low < high => {
            Ok(WindowRule::Fixed { low, high })
        }
        _ => bail!("--window {text}: write the value shown black and the greater one shown white, e.g. -160:240"),
    }
}

/// Reads an image file, or the folder of one DICOM series.
pub fn read(path: &Path, view: &View, decoder: &Decoder) -> Result<Picture> {
    let pixels = decoder.display_with(path, view.slice, view.window)?;
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let slice = view.slice.map(|slice| format!(", {} slice {}", slice.axis.key(), slice.index)).unwrap_or_default();
    let caption = format!("{name}{slice}, {} x {} pixels", pixels.width(), pixels.height());
    Ok(Picture { pixels, caption })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_are_read_as_typed() {
        let view = View::read(Some("coronal:40"), Some("-160:240")).unwrap();
        assert_eq!(view.slice, Some(SliceRef { axis: Axis::Coronal, index: 40 }));
        assert_eq!(view.window, WindowRule::CT_SOFT_TISSUE);
    }

    #[test]
    fn a_wrong_view_says_how_to_write_it() {
        for (slice, window) in
            [(Some("axial"), None), (Some("front:1"), None), (None, Some("9:1")), (None, Some("a:b"))]
        {
            assert!(format!("{:#}", View::read(slice, window).unwrap_err()).contains("e.g."));
        }
    }
}
