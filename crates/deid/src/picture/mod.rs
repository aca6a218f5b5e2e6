//! Text burned into pictures: found by the form of its strokes and lines, flagged, painted over.
//!
//! ```text
//! picture -> stroke.rs (small sharp thin components, light or dark) -> line.rs (rows of them at any angle) -> boxes
//! ```
//! It does not read: it says that something looks written, and where. What it misses is measured in `docs/deid.md`.

mod line;
mod score;
mod stroke;

pub use line::{FLAG_SCORE, TextLine};
pub use score::Features;

use gmai_schema::Rgb8;

/// A grey picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grey {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Grey {
    /// Wraps `width * height` values, at least one; `None` otherwise.
    pub fn new(width: usize, height: usize, pixels: Vec<u8>) -> Option<Grey> {
        let expected = width.checked_mul(height)?;
        (expected > 0 && pixels.len() == expected).then_some(Grey { width, height, pixels })
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Values, row by row.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Luma of a picture (ITU-R 601).
    pub fn of(picture: &Rgb8) -> Grey {
        let luma = |pixel: &[u8]| {
            ((u32::from(pixel[0]) * 299 + u32::from(pixel[1]) * 587 + u32::from(pixel[2]) * 114 + 500) / 1000) as u8
        };
        let pixels = picture.pixels().chunks_exact(3).map(luma).collect();
        Grey { width: picture.width() as usize, height: picture.height() as usize, pixels }
    }

    fn channel(picture: &Rgb8, channel: usize) -> Grey {
        let pixels = picture.pixels().iter().skip(channel).step_by(3).copied().collect();
        Grey { width: picture.width() as usize, height: picture.height() as usize, pixels }
    }
}

/// A box in pixels; `right` and `bottom` lie outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct PixelRect {
    /// First column.
    pub left: usize,
    /// First row.
    pub top: usize,
    /// Column after the last.
    pub right: usize,
    /// Row after the last.
    pub bottom: usize,
}

impl PixelRect {
    /// The smallest box around both.
    fn around(self, other: PixelRect) -> PixelRect {
        PixelRect {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }

    /// The box grown by `by` on every side, within the picture.
    fn grown(self, by: usize, width: usize, height: usize) -> PixelRect {
        PixelRect {
            left: self.left.saturating_sub(by),
            top: self.top.saturating_sub(by),
            right: (self.right + by).min(width),
            bottom: (self.bottom + by).min(height),
        }
    }
}

/// What was found in a picture.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// Lines that look written, best first.
    pub lines: Vec<TextLine>,
}

impl Found {
    /// Whether something looks written.
    pub fn is_flagged(&self) -> bool {
        self.lines.iter().any(|line| line.score >= line::FLAG_SCORE)
    }

    /// Boxes to paint over: lines that were found, and the weaker ones too once one is certain.
    pub fn boxes(&self) -> Vec<PixelRect> {
        self.lines.iter().filter(|line| line.score >= line::COVER_SCORE).map(|line| line.cover).collect()
    }
}

/// Looks for text in the frames of a picture; of many frames, in some and in their mean, where only what stands still is sharp.
pub fn detect(frames: &[Grey]) -> Found {
    let mut lines = Vec::new();
    let chosen = [0, frames.len() / 2, frames.len().saturating_sub(1)];
    for (index, frame) in frames.iter().enumerate().filter(|(index, _)| chosen.contains(index)) {
        debug_assert!(index < frames.len());
        lines.extend(line::find(frame, &stroke::find(frame)));
    }
    if let Some(mean) = mean(frames) {
        // What stays sharp while everything moves is more likely written.
        lines.extend(line::find(&mean, &stroke::find(&mean)).into_iter().map(|line| line.raised(line::STILL_BONUS)));
    }
    Found { lines: line::best(lines) }
}

/// As [`detect`] for one picture: in its luma, and in its channels when it is coloured (red on black has little luma).
pub fn detect_rgb(picture: &Rgb8) -> Found {
    let found = detect(&[Grey::of(picture)]);
    let coloured = picture.pixels().chunks_exact(3).any(|pixel| {
        let [low, high] = [pixel.iter().min(), pixel.iter().max()].map(|value| value.copied().unwrap_or(0));
        high - low > 40
    });
    if found.is_flagged() || !coloured {
        return found;
    }
    let mut lines = found.lines;
    for channel in 0..3 {
        let grey = Grey::channel(picture, channel);
        lines.extend(line::find(&grey, &stroke::find(&grey)));
    }
    Found { lines: line::best(lines) }
}

/// The mean of three or more frames of one size.
fn mean(frames: &[Grey]) -> Option<Grey> {
    let first = frames.first().filter(|_| frames.len() >= 3)?;
    let length = first.pixels.len();
    let mut sums = vec![0u32; length];
    let mut count = 0u32;
    for frame in frames.iter().filter(|frame| frame.pixels.len() == length).take(64) {
        sums.iter_mut().zip(&frame.pixels).for_each(|(sum, value)| *sum += u32::from(*value));
        count += 1;
    }
    let pixels = sums.into_iter().map(|sum| (sum / count) as u8).collect();
    Grey::new(first.width, first.height, pixels)
}

/// The picture with boxes painted black.
pub fn blanked(picture: &Rgb8, boxes: &[PixelRect]) -> Rgb8 {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let mut pixels = picture.pixels().to_vec();
    for area in boxes {
        for row in area.top..area.bottom.min(height) {
            pixels[(row * width + area.left.min(width)) * 3..(row * width + area.right.min(width)) * 3].fill(0);
        }
    }
    Rgb8::new(picture.width(), picture.height(), pixels).expect("the size has not changed")
}

#[cfg(test)]
mod tests;
