//! How much a row of strokes looks written.

use super::line::distance;
use super::stroke::Stroke;
use super::{Grey, PixelRect};
use std::sync::LazyLock;

/// What speaks for a line, and against it.
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
    /// How far tops or bottoms lie off one line (the better of both), in letter sizes.
    pub alignment: f32,
    /// Other strokes around the line, for each of its letters: many in texture, few beside text.
    pub clutter: f32,
    /// Share of a letter's box that it fills.
    pub fill: f32,
    /// Spread of that share: letters differ, dots of a pattern do not.
    pub fill_spread: f32,
    /// Distance between letters, in letter sizes.
    pub pitch: f32,
    /// Relative spread of extents along the line: I and W differ.
    pub width_spread: f32,
}

/// The straight row that strokes stand in.
pub(super) struct Row {
    start: [f32; 2],
    direction: [f32; 2],
    /// Mean extent across the row, at least 1.
    pub(super) size: f32,
}

impl Row {
    /// From the first stroke to the last; `None` when they are at one place.
    pub(super) fn of(letters: &[&Stroke]) -> Option<Row> {
        let (a, b) = (letters.first()?.centre, letters.last()?.centre);
        let length = distance(a, b);
        if length < 1.0 {
            return None;
        }
        let direction = [(b[0] - a[0]) / length, (b[1] - a[1]) / length];
        let mut row = Row { start: a, direction, size: 1.0 };
        row.size = mean(letters, |letter| row.across(letter)).max(1.0);
        Some(row)
    }

    /// Extent across the row: along it, letters differ as I and W do.
    fn across(&self, letter: &Stroke) -> f32 {
        letter.width() as f32 * self.direction[1].abs() + letter.height() as f32 * self.direction[0].abs()
    }

    fn along(&self, letter: &Stroke) -> f32 {
        letter.width() as f32 * self.direction[0].abs() + letter.height() as f32 * self.direction[1].abs()
    }

    fn offset(&self, at: [f32; 2]) -> f32 {
        (at[0] - self.start[0]) * self.direction[1] - (at[1] - self.start[1]) * self.direction[0]
    }

    fn place(&self, letter: &Stroke) -> f32 {
        (letter.centre[0] - self.start[0]) * self.direction[0] + (letter.centre[1] - self.start[1]) * self.direction[1]
    }

    /// The box moved along the row by a number of letter sizes, both ways, and what lies between.
    pub(super) fn lengthened(&self, area: PixelRect, letters: f32, grey: &Grey) -> PixelRect {
        let by = |axis: usize| (self.direction[axis].abs() * letters * self.size).ceil() as usize;
        PixelRect {
            left: area.left.saturating_sub(by(0)),
            top: area.top.saturating_sub(by(1)),
            right: (area.right + by(0)).min(grey.width()),
            bottom: (area.bottom + by(1)).min(grey.height()),
        }
    }

    /// How far the edges on one side lie off a line of their own, in pixels; the better side. Half of the letters may stand out, as
    /// those with descenders do.
    fn alignment(&self, letters: &[&Stroke]) -> f32 {
        let side = |sign: f32| {
            let edge = |letter: &&Stroke| self.offset(letter.centre) + sign * 0.5 * self.across(letter);
            let mut edges: Vec<f32> = letters.iter().map(edge).collect();
            let middle = median(&mut edges);
            let mut off: Vec<f32> = edges.iter().map(|edge| (edge - middle).abs()).collect();
            median(&mut off)
        };
        side(1.0).min(side(-1.0))
    }
}

fn median(values: &mut [f32]) -> f32 {
    values.sort_by(f32::total_cmp);
    values[values.len() / 2]
}

fn mean(letters: &[&Stroke], value: impl Fn(&Stroke) -> f32) -> f32 {
    letters.iter().map(|letter| value(letter)).sum::<f32>() / letters.len() as f32
}

fn spread(letters: &[&Stroke], value: impl Fn(&Stroke) -> f32) -> f32 {
    let middle = mean(letters, &value);
    mean(letters, |letter| (value(letter) - middle).powi(2)).sqrt()
}

fn fill(letter: &Stroke) -> f32 {
    letter.num_pixels as f32 / (letter.width() * letter.height()) as f32
}

impl Features {
    /// Of a row of at least two strokes, with the number of other strokes around it.
    pub(super) fn of(row: &Row, letters: &[&Stroke], num_others: usize) -> Features {
        let mut places: Vec<f32> = letters.iter().map(|letter| row.place(letter)).collect();
        places.sort_by(f32::total_cmp);
        let gaps: Vec<f32> = places.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean_gap = gaps.iter().sum::<f32>() / gaps.len() as f32;
        let gap_variance = gaps.iter().map(|gap| (gap - mean_gap).powi(2)).sum::<f32>() / gaps.len() as f32;
        let contrast = mean(letters, |letter| letter.contrast);
        let thickness = mean(letters, |letter| letter.thickness);
        Features {
            straightness: spread(letters, |letter| row.offset(letter.centre)) / row.size,
            size_spread: spread(letters, |letter| row.across(letter)) / row.size,
            level_spread: spread(letters, |letter| letter.level) / contrast.max(1.0),
            sharpness: mean(letters, |letter| letter.sharpness),
            thinness: thickness / row.size,
            contrast,
            gap_spread: gap_variance.sqrt() / mean_gap.max(0.1),
            thickness_spread: spread(letters, |letter| letter.thickness) / thickness.max(0.1),
            size: row.size,
            alignment: row.alignment(letters) / row.size,
            clutter: num_others as f32 / letters.len() as f32,
            fill: mean(letters, fill),
            fill_spread: spread(letters, fill),
            pitch: mean_gap / row.size,
            width_spread: spread(letters, |letter| row.along(letter)) / row.size,
        }
    }

    /// How much a line of that many letters looks written, in log odds.
    pub(super) fn score(&self, num_letters: usize) -> f32 {
        static FOREST: LazyLock<Forest> = LazyLock::new(|| Forest::read(include_str!("trees.txt")));
        let letters = (num_letters as f32).min(12.0);
        let log = |value: f32| value.max(1e-3).ln();
        let log_size = log(self.size);
        FOREST.score(&[
            letters,
            log(letters),
            self.sharpness,
            self.level_spread,
            self.straightness,
            self.size_spread,
            self.gap_spread,
            self.thickness_spread,
            (self.contrast / 100.0).min(1.5),
            log(self.contrast),
            log_size,
            log(self.thinness),
            self.alignment.min(0.5),
            self.clutter.min(6.0),
            log(self.clutter + 0.3),
            self.fill,
            self.fill_spread,
            self.pitch.min(3.0),
            self.width_spread.min(1.0),
            if self.pitch < 3.0 { (self.pitch - 0.8).powi(2) } else { 4.8 },
            log_size * log_size,
        ])
    }
}

/// What trees ask for, in the order in which [`Features::score`] gives it.
const NAMES: [&str; 21] = [
    "letters",
    "log_letters",
    "sharpness",
    "level_spread",
    "straightness",
    "size_spread",
    "gap_spread",
    "thickness_spread",
    "contrast",
    "log_contrast",
    "log_size",
    "log_thinness",
    "alignment",
    "clutter",
    "log_clutter",
    "fill",
    "fill_spread",
    "pitch",
    "width_spread",
    "pitch_off",
    "log_size_squared",
];

/// Regression trees whose values add up.
struct Forest {
    start: f32,
    trees: Vec<Node>,
}

enum Node {
    Leaf(f32),
    Split { feature: usize, threshold: f32, below: Box<Node>, above: Box<Node> },
}

impl Forest {
    /// Reads the file of this crate.
    fn read(text: &'static str) -> Forest {
        let mut lines = text.lines().filter(|line| !line.starts_with('#'));
        let start = lines.next().and_then(|line| line.parse().ok()).expect("the file begins with a number");
        let trees = lines.map(|line| {
            let spaced = line.replace('(', "( ").replace(')', " )");
            Node::read(&mut spaced.split_whitespace()).expect("each line of the file is a tree")
        });
        Forest { start, trees: trees.collect() }
    }

    fn score(&self, values: &[f32; NAMES.len()]) -> f32 {
        self.start + self.trees.iter().map(|tree| tree.value(values)).sum::<f32>()
    }
}

impl Node {
    fn read<'t>(words: &mut impl Iterator<Item = &'t str>) -> Option<Node> {
        match words.next()? {
            "(" => {
                let name = words.next()?;
                let feature = NAMES.iter().position(|known| *known == name)?;
                let threshold = words.next()?.parse().ok()?;
                let (below, above) = (Box::new(Node::read(words)?), Box::new(Node::read(words)?));
                (words.next()? == ")").then_some(Node::Split { feature, threshold, below, above })
            }
            value => Some(Node::Leaf(value.parse().ok()?)),
        }
    }

    fn value(&self, values: &[f32; NAMES.len()]) -> f32 {
        match self {
            Node::Leaf(value) => *value,
            Node::Split { feature, threshold, below, above } => {
                if values[*feature] <= *threshold {
                    below.value(values)
                } else {
                    above.value(values)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_add_up() {
        let forest = Forest::read("0.5\n(letters 4 -1 (fill 0.5 1 2))\n(size_spread 0.1 10 20)");
        let mut values = [0.0; NAMES.len()];
        assert_eq!(forest.score(&values), 0.5 - 1.0 + 10.0);
        (values[0], values[15], values[5]) = (5.0, 0.6, 0.2);
        assert_eq!(forest.score(&values), 0.5 + 2.0 + 20.0);
    }
}
