//! Lines of text: strokes of one colour, size and thickness in a row, at any angle.

use super::stroke::Stroke;
use super::{Grey, PixelRect};
use std::collections::HashMap;

/// From this score on a picture is flagged. Tuned on one half of the made-up pictures of `examples/burned_in.rs`.
pub(super) const FLAG_SCORE: f32 = 1.0;
/// Added for what stays sharp in the mean of many frames.
pub(super) const STILL_BONUS: f32 = 0.15;
/// Lines below this are not even reported.
const MIN_SCORE: f32 = 0.6;
/// Most lines reported.
const MAX_LINES: usize = 200;
/// Neighbours looked at for each stroke.
const MAX_NEIGHBOURS: usize = 12;

/// A row of strokes that looks written.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct TextLine {
    /// Where it is.
    pub area: PixelRect,
    /// Strokes in it: about as many as letters.
    pub num_letters: usize,
    /// How much it looks written; from 1 on it counts.
    pub score: f32,
    /// What the score was made of.
    #[serde(skip)]
    pub features: Features,
}

/// What speaks for a line.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Features {
    /// Spread of the strokes across the line, in letter sizes.
    pub straightness: f32,
    /// Relative spread of sizes across the line.
    pub size_spread: f32,
    /// Spread of grey values, relative to contrast.
    pub level_spread: f32,
    /// Mean share of sharp edges.
    pub sharpness: f32,
    /// Thickness of strokes, in letter sizes.
    pub thinness: f32,
    /// Mean difference from the surroundings.
    pub contrast: f32,
    /// Relative spread of gaps between letters.
    pub gap_spread: f32,
    /// Relative spread of thickness.
    pub thickness_spread: f32,
    /// Letter size in pixels.
    pub size: f32,
}

impl TextLine {
    pub(super) fn raised(mut self, by: f32) -> TextLine {
        self.score += by;
        self
    }
}

/// Lines in sets of strokes, each set of one polarity, window and contrast.
pub(super) fn find(grey: &Grey, sets: &[Vec<Stroke>]) -> Vec<TextLine> {
    let mut lines = Vec::new();
    for strokes in sets {
        let letters: Vec<Stroke> = strokes.iter().copied().filter(is_letter).collect();
        lines.extend(lines_of(grey, &letters));
    }
    lines
}

/// Best lines first; of overlapping ones the best.
pub(super) fn best(mut lines: Vec<TextLine>) -> Vec<TextLine> {
    lines.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<TextLine> = Vec::new();
    for line in lines {
        if kept.len() == MAX_LINES {
            break;
        }
        if !kept.iter().any(|other| holds(other.area, line.area)) {
            kept.push(line);
        }
    }
    kept
}

/// Whether most of `inner` lies in `outer`.
fn holds(outer: PixelRect, inner: PixelRect) -> bool {
    let width = outer.right.min(inner.right).saturating_sub(outer.left.max(inner.left));
    let height = outer.bottom.min(inner.bottom).saturating_sub(outer.top.max(inner.top));
    10 * width * height >= 8 * (inner.right - inner.left) * (inner.bottom - inner.top)
}

/// Letters are thin for their size, sharp, and neither dots nor rules.
fn is_letter(stroke: &Stroke) -> bool {
    let (small, large) = (stroke.width().min(stroke.height()) as f32, stroke.extent());
    let fill = stroke.num_pixels as f32 / (stroke.width() * stroke.height()) as f32;
    let compact = large / small.max(1.0) <= 12.0;
    stroke.thickness <= 0.42 * large && stroke.sharpness >= 0.55 && compact && fill >= 0.08
}

/// Strokes by cells of a grid.
struct Grid<'s> {
    strokes: &'s [Stroke],
    cell: f32,
    cells: HashMap<(i32, i32), Vec<usize>>,
}

impl Grid<'_> {
    fn new(strokes: &[Stroke], cell: f32) -> Grid<'_> {
        let mut cells: HashMap<(i32, i32), Vec<usize>> = HashMap::new();
        for (index, stroke) in strokes.iter().enumerate() {
            cells.entry(Grid::cell_of(stroke.centre, cell)).or_default().push(index);
        }
        Grid { strokes, cell, cells }
    }

    fn cell_of(centre: [f32; 2], cell: f32) -> (i32, i32) {
        ((centre[0] / cell) as i32, (centre[1] / cell) as i32)
    }

    /// Strokes whose centre is within `reach` of a place, nearest first.
    fn near(&self, centre: [f32; 2], reach: f32) -> Vec<usize> {
        let (column, row) = Grid::cell_of(centre, self.cell);
        let cells = (reach / self.cell).ceil() as i32;
        let mut found: Vec<(f32, usize)> = Vec::new();
        for y in row - cells..=row + cells {
            for x in column - cells..=column + cells {
                for &index in self.cells.get(&(x, y)).into_iter().flatten() {
                    let distance = distance(centre, self.strokes[index].centre);
                    if distance <= reach {
                        found.push((distance, index));
                    }
                }
            }
        }
        found.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        found.into_iter().map(|(_, index)| index).collect()
    }
}

fn distance(a: [f32; 2], b: [f32; 2]) -> f32 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

/// Whether two strokes may be letters of one line.
fn alike(a: &Stroke, b: &Stroke) -> bool {
    let ratio = |x: f32, y: f32| x.max(y) / x.min(y).max(0.5);
    let level = (a.level - b.level).abs();
    let contrast = a.contrast.max(b.contrast);
    ratio(a.extent(), b.extent()) <= 3.0
        && ratio(a.thickness, b.thickness) <= 2.0
        && ratio(a.contrast, b.contrast) <= 2.2
        && level <= (0.3 * contrast).max(12.0)
}

fn lines_of(grey: &Grey, strokes: &[Stroke]) -> Vec<TextLine> {
    if strokes.len() < 3 {
        return Vec::new();
    }
    let grid = Grid::new(strokes, 24.0);
    let mut used: HashMap<usize, f32> = HashMap::new();
    let mut lines = Vec::new();
    for (first, stroke) in strokes.iter().enumerate() {
        let reach = 2.2 * stroke.extent().max(6.0);
        let near = grid.near(stroke.centre, reach);
        let partners = near.into_iter().filter(|other| *other != first && alike(stroke, &strokes[*other]));
        for second in partners.take(MAX_NEIGHBOURS) {
            if second < first {
                continue;
            }
            let members = walk(&grid, first, second);
            if members.len() < 3 {
                continue;
            }
            let Some(line) = judged(grey, strokes, &members) else { continue };
            // The same letters are met from each of their pairs.
            if used.get(&members[0]).is_none_or(|score| *score < line.score) {
                members.iter().for_each(|member| {
                    used.insert(*member, line.score);
                });
                lines.push(line);
            }
        }
    }
    lines
}

/// Goes on from a pair in both directions as long as the next letter is near and on the line.
fn walk(grid: &Grid, first: usize, second: usize) -> Vec<usize> {
    let strokes = grid.strokes;
    let mut members = vec![first, second];
    for turn in 0..2 {
        members.reverse();
        let _ = turn;
        while members.len() < 80 {
            let (start, last) = (members[0], members[members.len() - 1]);
            let before = members[members.len() - 2];
            let from = if members.len() > 2 { start } else { before };
            let (a, b) = (strokes[from].centre, strokes[last].centre);
            let length = distance(a, b).max(0.1);
            let direction = [(b[0] - a[0]) / length, (b[1] - a[1]) / length];
            let size = members.iter().map(|member| strokes[*member].extent()).fold(0.0, f32::max);
            let next = grid.near(b, 2.2 * size.max(6.0)).into_iter().find(|candidate| {
                let other = &strokes[*candidate];
                let offset = [other.centre[0] - b[0], other.centre[1] - b[1]];
                let along = offset[0] * direction[0] + offset[1] * direction[1];
                let across = (offset[0] * direction[1] - offset[1] * direction[0]).abs();
                along > 0.2 * size
                    && across <= 0.35 * size
                    && !members.contains(candidate)
                    && alike(other, &strokes[last])
            });
            match next {
                Some(next) => members.push(next),
                None => break,
            }
        }
    }
    members
}

/// The line of these strokes with its score.
fn judged(grey: &Grey, strokes: &[Stroke], members: &[usize]) -> Option<TextLine> {
    let letters: Vec<&Stroke> = members.iter().map(|member| &strokes[*member]).collect();
    let count = letters.len() as f32;
    let mean = |value: &dyn Fn(&Stroke) -> f32| letters.iter().map(|letter| value(letter)).sum::<f32>() / count;
    let spread = |value: &dyn Fn(&Stroke) -> f32| {
        let mean = mean(value);
        (letters.iter().map(|letter| (value(letter) - mean).powi(2)).sum::<f32>() / count).sqrt()
    };
    let (a, b) = (letters[0].centre, letters[letters.len() - 1].centre);
    let length = distance(a, b);
    if length < 1.0 {
        return None;
    }
    let direction = [(b[0] - a[0]) / length, (b[1] - a[1]) / length];
    // Extents across the line: along it, letters differ as I and W do.
    let across = |letter: &Stroke| {
        let (w, h) = (letter.width() as f32, letter.height() as f32);
        w * direction[1].abs() + h * direction[0].abs()
    };
    let size = mean(&across).max(1.0);
    let offset = |letter: &Stroke| (letter.centre[0] - a[0]) * direction[1] - (letter.centre[1] - a[1]) * direction[0];
    let along = |letter: &Stroke| (letter.centre[0] - a[0]) * direction[0] + (letter.centre[1] - a[1]) * direction[1];
    let mut places: Vec<f32> = letters.iter().map(|letter| along(letter)).collect();
    places.sort_by(f32::total_cmp);
    let gaps: Vec<f32> = places.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let mean_gap = gaps.iter().sum::<f32>() / gaps.len() as f32;
    let gap_variance = gaps.iter().map(|gap| (gap - mean_gap).powi(2)).sum::<f32>() / gaps.len() as f32;
    let contrast = mean(&|letter| letter.contrast);
    let features = Features {
        straightness: spread(&offset) / size,
        size_spread: spread(&across) / size,
        level_spread: spread(&|letter| letter.level) / contrast.max(1.0),
        sharpness: mean(&|letter| letter.sharpness),
        thinness: mean(&|letter| letter.thickness) / size,
        contrast,
        gap_spread: gap_variance.sqrt() / mean_gap.max(0.1),
        thickness_spread: spread(&|letter| letter.thickness) / mean(&|letter| letter.thickness).max(0.1),
        size,
    };
    let score = score(&features, letters.len());
    if score < MIN_SCORE {
        return None;
    }
    let area = letters.iter().skip(1).fold(letters[0].area, |area, letter| PixelRect {
        left: area.left.min(letter.area.left),
        top: area.top.min(letter.area.top),
        right: area.right.max(letter.area.right),
        bottom: area.bottom.max(letter.area.bottom),
    });
    let margin = (size * 0.4) as usize + 2;
    Some(TextLine {
        area: area.grown(margin, grey.width(), grey.height()),
        num_letters: letters.len(),
        score,
        features,
    })
}

/// How much a line looks written.
fn score(features: &Features, num_letters: usize) -> f32 {
    let letters = (num_letters as f32).min(12.0);
    0.07 * letters + 0.9 * features.sharpness
        - 1.2 * features.level_spread
        - 0.9 * features.straightness
        - 0.5 * features.size_spread
        - 0.25 * features.gap_spread
        - 0.4 * features.thickness_spread
        + 0.1 * (features.contrast / 100.0).min(1.5)
}
