//! Strokes: small connected pieces, lighter or darker than what surrounds them, thin and with sharp edges.

use super::{Grey, PixelRect};

/// Half widths of the window over which the surroundings are judged, in pixels: for thin and for thick strokes.
const RADII: [usize; 2] = [4, 10];
/// How much a stroke must differ from its surroundings, in grey values.
const CONTRASTS: [u8; 3] = [20, 45, 100];
/// Smallest and largest extent of a letter, in pixels.
const MIN_EXTENT: usize = 5;
const MAX_EXTENT: usize = 140;
/// More pieces than this at one contrast are texture; the strongest are taken.
const MAX_STROKES: usize = 4000;

/// One connected piece.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stroke {
    pub(super) area: PixelRect,
    pub(super) num_pixels: usize,
    /// Centre of its pixels.
    pub(super) centre: [f32; 2],
    /// Its value: the mean of the half that differs most.
    pub(super) level: f32,
    /// How much it differs from its surroundings.
    pub(super) contrast: f32,
    /// Mean width of the stroke.
    pub(super) thickness: f32,
    /// Share of its edge at which the difference ends within two pixels.
    pub(super) sharpness: f32,
}

impl Stroke {
    pub(super) fn width(&self) -> usize {
        self.area.right - self.area.left
    }

    pub(super) fn height(&self) -> usize {
        self.area.bottom - self.area.top
    }

    /// The larger extent.
    pub(super) fn extent(&self) -> f32 {
        self.width().max(self.height()) as f32
    }
}

/// Strokes of one polarity, window and contrast belong together: text is written in one colour.
pub(super) fn find(grey: &Grey) -> Vec<Vec<Stroke>> {
    let mut sets = Vec::new();
    let inverted = Grey { pixels: grey.pixels.iter().map(|value| 255 - value).collect(), ..*grey };
    for picture in [grey, &inverted] {
        for radius in RADII {
            let above = top_hat(picture, radius);
            for contrast in CONTRASTS {
                sets.push(components(picture, &above, contrast, radius));
            }
        }
    }
    sets
}

/// How much each pixel is lighter than the lightest surroundings that a window fits into (white top-hat).
fn top_hat(grey: &Grey, radius: usize) -> Vec<u8> {
    let eroded = filter(grey, &grey.pixels, radius, u8::min);
    let opened = filter(grey, &eroded, radius, u8::max);
    grey.pixels.iter().zip(opened).map(|(value, opened)| value - opened.min(*value)).collect()
}

/// Minimum or maximum over a square window, rows then columns (van Herk's running pieces would be faster for large windows).
fn filter(grey: &Grey, pixels: &[u8], radius: usize, choose: fn(u8, u8) -> u8) -> Vec<u8> {
    let (width, height) = (grey.width, grey.height);
    let mut rows = pixels.to_vec();
    for row in 0..height {
        running(&pixels[row * width..(row + 1) * width], &mut rows[row * width..(row + 1) * width], radius, choose);
    }
    // Columns by whole rows: the inner loop runs along memory.
    let mut both = rows.clone();
    for row in 0..height {
        let target = &mut both[row * width..(row + 1) * width];
        for other in row.saturating_sub(radius)..(row + radius + 1).min(height) {
            let source = &rows[other * width..(other + 1) * width];
            target.iter_mut().zip(source).for_each(|(value, other)| *value = choose(*value, *other));
        }
    }
    both
}

fn running(source: &[u8], target: &mut [u8], radius: usize, choose: fn(u8, u8) -> u8) {
    for (index, value) in target.iter_mut().enumerate() {
        let window = &source[index.saturating_sub(radius)..(index + radius + 1).min(source.len())];
        *value = window.iter().copied().fold(source[index], choose);
    }
}

/// Connected pieces (8 neighbours) of what differs by `contrast`.
fn components(grey: &Grey, above: &[u8], contrast: u8, radius: usize) -> Vec<Stroke> {
    let (width, height) = (grey.width, grey.height);
    let mut seen = vec![false; above.len()];
    let mut strokes = Vec::new();
    let mut pixels: Vec<usize> = Vec::new();
    for start in 0..above.len() {
        if seen[start] || above[start] < contrast {
            continue;
        }
        pixels.clear();
        pixels.push(start);
        seen[start] = true;
        let mut next = 0;
        while let Some(&at) = pixels.get(next) {
            next += 1;
            let (x, y) = (at % width, at / width);
            for row in y.saturating_sub(1)..(y + 2).min(height) {
                for column in x.saturating_sub(1)..(x + 2).min(width) {
                    let neighbour = row * width + column;
                    if !seen[neighbour] && above[neighbour] >= contrast {
                        seen[neighbour] = true;
                        pixels.push(neighbour);
                    }
                }
            }
        }
        strokes.extend(stroke(grey, above, contrast, radius, &pixels));
    }
    if strokes.len() > MAX_STROKES {
        strokes.sort_by(|a, b| b.contrast.total_cmp(&a.contrast));
        strokes.truncate(MAX_STROKES);
    }
    strokes
}

/// The piece as a stroke, when it has the size and the thinness of one.
fn stroke(grey: &Grey, above: &[u8], contrast: u8, radius: usize, pixels: &[usize]) -> Option<Stroke> {
    let width = grey.width;
    if pixels.len() < 6 || pixels.len() > MAX_EXTENT * MAX_EXTENT / 2 {
        return None;
    }
    let mut area = PixelRect { left: usize::MAX, top: usize::MAX, right: 0, bottom: 0 };
    let mut sums = [0.0f64; 2];
    for &at in pixels {
        let (x, y) = (at % width, at / width);
        area.left = area.left.min(x);
        area.right = area.right.max(x + 1);
        area.top = area.top.min(y);
        area.bottom = area.bottom.max(y + 1);
        sums[0] += x as f64;
        sums[1] += y as f64;
    }
    let (w, h) = (area.right - area.left, area.bottom - area.top);
    let (small, large) = (w.min(h), w.max(h));
    if large < MIN_EXTENT || small > MAX_EXTENT || large > 8 * MAX_EXTENT {
        return None;
    }
    let mut values: Vec<u8> = pixels.iter().map(|at| above[*at]).collect();
    values.sort_unstable();
    let upper = &values[values.len() / 2..];
    let strength = upper.iter().map(|value| f32::from(*value)).sum::<f32>() / upper.len() as f32;
    let median = values[values.len() / 2];
    let mut levels = (0.0f32, 0usize);
    let mut edges = (0usize, 0usize);
    for &at in pixels {
        if above[at] >= median {
            levels = (levels.0 + f32::from(grey.pixels[at]), levels.1 + 1);
        }
        let edge = edge_of(grey, above, contrast, at, strength);
        edges = (edges.0 + edge.0, edges.1 + edge.1);
    }
    let count = pixels.len();
    let thickness = 2.0 * count as f32 / edges.1.max(1) as f32;
    // A stroke as wide as the window would have been part of the surroundings.
    if thickness > 2.0 * radius as f32 {
        return None;
    }
    Some(Stroke {
        area,
        num_pixels: count,
        centre: [(sums[0] / count as f64) as f32 + 0.5, (sums[1] / count as f64) as f32 + 0.5],
        level: levels.0 / levels.1.max(1) as f32,
        contrast: strength,
        thickness,
        sharpness: edges.0 as f32 / edges.1.max(1) as f32,
    })
}

/// Sides of a pixel that lie at the edge: how many are sharp, how many there are.
fn edge_of(grey: &Grey, above: &[u8], contrast: u8, at: usize, strength: f32) -> (usize, usize) {
    let (x, y) = ((at % grey.width) as isize, (at / grey.width) as isize);
    let mut edges = (0, 0);
    for (dx, dy) in [(1, 0), (-1, 0), (0, 1), (0, -1)] {
        let value = |steps: isize| {
            let (x, y) = (x + dx * steps, y + dy * steps);
            let inside = (0..grey.width as isize).contains(&x) && (0..grey.height as isize).contains(&y);
            inside.then(|| above[y as usize * grey.width + x as usize])
        };
        let outside = value(1);
        if outside.is_some_and(|value| value >= contrast) {
            continue;
        }
        edges.1 += 1;
        let lowest = [outside, value(2)].into_iter().flatten().min();
        // A picture's border cuts sharply.
        if lowest.is_none_or(|lowest| f32::from(lowest) < 0.35 * strength) {
            edges.0 += 1;
        }
    }
    edges
}
