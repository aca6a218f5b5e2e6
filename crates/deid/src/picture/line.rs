//! Lines of text: strokes of one colour, size and thickness in a row, at any angle.

use super::score::{Features, Row};
use super::stroke::Stroke;
use super::{Grey, PixelRect};
use std::collections::{BTreeSet, HashMap};

/// From this score on a picture is flagged, in log odds. Chosen on the `develop` half of `examples/burned_in.rs`: by four-fold
/// cross-validation about one clean picture in twelve is flagged there.
pub const FLAG_SCORE: f32 = -0.5;
/// From this score on a line is painted over once another is flagged.
pub(super) const COVER_SCORE: f32 = -2.0;
/// Added for what stays sharp in the mean of many frames.
pub(super) const STILL_BONUS: f32 = 0.5;
/// Lines below this are not even reported.
const MIN_SCORE: f32 = -4.0;
/// Letter sizes that are painted over beyond the ends of a line: blanks and thin letters part words there.
const END_LETTERS: f32 = 1.5;
/// Most lines reported.
const MAX_LINES: usize = 200;
/// Neighbours looked at for each stroke.
const MAX_NEIGHBOURS: usize = 12;

/// A row of strokes that looks written.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct TextLine {
    /// Where it is.
    pub area: PixelRect,
    /// What to paint over: the area and what may be a letter at its ends.
    pub cover: PixelRect,
    /// Strokes in it: about as many as letters.
    pub num_letters: usize,
    /// How much it looks written, in log odds; from [`FLAG_SCORE`] on it counts.
    pub score: f32,
    /// What the score was made of.
    #[serde(skip)]
    pub features: Features,
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
    /// Every stroke within `reach`, with its distance.
    fn visit(&self, centre: [f32; 2], reach: f32, visit: &mut dyn FnMut(f32, usize)) {
        let (column, row) = Grid::cell_of(centre, self.cell);
        let cells = (reach / self.cell).ceil() as i32;
        for y in row - cells..=row + cells {
            for x in column - cells..=column + cells {
                for &index in self.cells.get(&(x, y)).into_iter().flatten() {
                    let distance = distance(centre, self.strokes[index].centre);
                    if distance <= reach {
                        visit(distance, index);
                    }
                }
            }
        }
    }

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
        let mut found: Vec<(f32, usize)> = Vec::new();
        self.visit(centre, reach, &mut |distance, index| found.push((distance, index)));
        found.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        found.into_iter().map(|(_, index)| index).collect()
    }
}

pub(super) fn distance(a: [f32; 2], b: [f32; 2]) -> f32 {
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
            let Some(line) = judged(grey, &grid, &members) else { continue };
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
fn judged(grey: &Grey, grid: &Grid, members: &[usize]) -> Option<TextLine> {
    let letters: Vec<&Stroke> = members.iter().map(|member| &grid.strokes[*member]).collect();
    let line = Row::of(&letters)?;
    let reach = 2.0 * line.size.max(4.0);
    let mut around = BTreeSet::new();
    for letter in &letters {
        grid.visit(letter.centre, reach, &mut |_, other| {
            around.insert(other);
        });
    }
    let num_others = around.iter().filter(|other| !members.contains(other)).count();
    let features = Features::of(&line, &letters, num_others);
    let score = features.score(letters.len());
    if score < MIN_SCORE {
        return None;
    }
    let area = letters.iter().skip(1).fold(letters[0].area, |area, letter| area.around(letter.area));
    let margin = (line.size * 0.4) as usize + 2;
    let area = area.grown(margin, grey.width(), grey.height());
    let cover = line.lengthened(area, END_LETTERS, grey);
    Some(TextLine { area, cover, num_letters: letters.len(), score, features })
}
