//! Resampling of 8-bit RGB exactly as Pillow 13 does it (`src/libImaging/Resample.c`): a horizontal pass, rounding to 8 bits, a vertical pass,
//! with fixed-point weights; the other way round where the height shrinks by far more pixels than the width. The released models were trained
//! on pictures resized so; every other resizer we measured differs. (Pillow before 13 always began horizontally: for such tall pictures its
//! values differ by rounding.)
//!
//! Two things are done differently without changing a value: a border of one colour is never stored (its weights are summed up instead),
//! and only the wanted window of the result is computed. Both keep memory in proportion to the picture and the window, whatever its shape.

use rayon::prelude::*;
use std::ops::Range;

/// Bits after the binary point of a weight: 32 less 8 for the pixel and 2 for sign and overshoot (Pillow's `PRECISION_BITS`).
const PRECISION_BITS: u32 = 32 - 8 - 2;

/// Rows that the horizontal pass takes at once: four vector registers of 32-bit sums.
const LANES: usize = 32;
/// Side of the squares of bytes in which rows are laid side by side: a 64-bit word.
const SQUARE: usize = 8;

/// Bytes of one pixel.
const CHANNELS: usize = 3;

/// The interpolation kernel, with Pillow's number in `preprocessor_config.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Filter {
    /// The pixel under the centre of the result's; 0.
    Nearest,
    /// Windowed sinc over three lobes; 1.
    Lanczos,
    /// Triangle; 2.
    Bilinear,
    /// Cubic with a = -0.5; 3. CLIP's.
    Bicubic,
    /// Mean of the pixels covered; 4.
    Box,
    /// Windowed sinc over one lobe; 5.
    Hamming,
}

impl TryFrom<u8> for Filter {
    type Error = String;

    fn try_from(number: u8) -> Result<Filter, String> {
        match number {
            0 => Ok(Filter::Nearest),
            1 => Ok(Filter::Lanczos),
            2 => Ok(Filter::Bilinear),
            3 => Ok(Filter::Bicubic),
            4 => Ok(Filter::Box),
            5 => Ok(Filter::Hamming),
            _ => Err(format!(
                "resample {number} is not known; 0 nearest, 1 Lanczos, 2 bilinear, 3 bicubic, 4 box and 5 Hamming are"
            )),
        }
    }
}

impl From<Filter> for u8 {
    fn from(filter: Filter) -> u8 {
        match filter {
            Filter::Nearest => 0,
            Filter::Lanczos => 1,
            Filter::Bilinear => 2,
            Filter::Bicubic => 3,
            Filter::Box => 4,
            Filter::Hamming => 5,
        }
    }
}

impl Filter {
    /// Half the kernel's width, in pixels of the coarser grid.
    fn support(self) -> f64 {
        match self {
            Filter::Lanczos => 3.0,
            Filter::Bilinear | Filter::Hamming => 1.0,
            Filter::Bicubic => 2.0,
            Filter::Box | Filter::Nearest => 0.5,
        }
    }

    /// The kernel at `x`. Written operation by operation as in Pillow: another order rounds differently.
    fn weight(self, x: f64) -> f64 {
        const A: f64 = -0.5;
        match self {
            Filter::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Filter::Lanczos => 0.0,
            Filter::Bilinear => (1.0 - x.abs()).max(0.0),
            Filter::Bicubic => match x.abs() {
                x if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
                x if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
                _ => 0.0,
            },
            Filter::Box | Filter::Nearest if x > -0.5 && x <= 0.5 => 1.0,
            Filter::Box | Filter::Nearest => 0.0,
            Filter::Hamming => match x.abs() {
                0.0 => 1.0,
                x if x < 1.0 => {
                    let x = x * std::f64::consts::PI;
                    x.sin() / x * (0.54 + 0.46 * x.cos())
                }
                _ => 0.0,
            },
        }
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let x = x * std::f64::consts::PI;
    x.sin() / x
}

/// Width and height in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// A picture lying on a canvas of one colour, which may be larger than it.
#[derive(Debug, Clone, Copy)]
pub struct Canvas<'a> {
    /// The picture's rows, three bytes a pixel.
    pub pixels: &'a [u8],
    /// Size of the picture.
    pub picture: Extent,
    /// Size of the canvas.
    pub canvas: Extent,
    /// Column of the canvas where the picture begins.
    pub left: usize,
    /// Row of the canvas where the picture begins.
    pub top: usize,
    /// Colour around the picture.
    pub background: [u8; 3],
}

/// The part of a resized canvas that is wanted. Where it reaches beyond the canvas the result is black (0).
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// First column; negative when the window begins left of the canvas.
    pub left: i64,
    /// First row; negative when the window begins above the canvas.
    pub top: i64,
    /// Size of the window.
    pub extent: Extent,
}

/// Resizes the canvas to `resized` and returns the pixels of `window`, row by row, three bytes each.
pub fn resample(source: &Canvas, filter: Filter, resized: Extent, window: Window) -> Vec<u8> {
    if filter == Filter::Nearest {
        return nearest(source, resized, window);
    }
    let Window { left, top, extent } = window;
    let columns = Visible::new(left, extent.width, resized.width);
    let rows = Visible::new(top, extent.height, resized.height);
    let mut out = vec![0; extent.width * extent.height * CHANNELS];
    if columns.outputs.is_empty() || rows.outputs.is_empty() {
        return out;
    }
    let (canvas, picture) = (source.canvas, source.picture);
    let scale_x = Scale { filter, input: canvas.width, output: resized.width };
    let scale_y = Scale { filter, input: canvas.height, output: resized.height };
    let across = Weights::new(scale_x, columns.outputs, source.left..source.left + picture.width);
    let down = Weights::new(scale_y, rows.outputs, source.top..source.top + picture.height);

    let start = columns.at * CHANNELS;
    let row_bytes = across.len() * CHANNELS;
    let (out_row_bytes, skipped, place) = (extent.width * CHANNELS, rows.at, start..start + row_bytes);
    if is_vertical_first(canvas, resized) {
        let narrow = across.squeezed(&down.mixed(source), picture.width, source.background);
        for (out_row, row) in out.chunks_exact_mut(out_row_bytes).skip(skipped).zip(narrow.chunks_exact(row_bytes)) {
            out_row[place.clone()].copy_from_slice(row);
        }
        return out;
    }
    let needed = down.needed();
    let picture_row = picture.width * CHANNELS;
    let sources = &source.pixels[needed.start * picture_row..needed.end * picture_row];
    // The picture's needed rows after the horizontal pass, and a canvas row that the picture does not touch.
    let squeezed = across.squeezed(sources, picture.width, source.background);
    let border = across.squeezed(&source.background.repeat(picture.width), picture.width, source.background);
    out.par_chunks_mut(out_row_bytes).skip(skipped).take(down.len()).enumerate().for_each(|(index, out_row)| {
        down.mix_rows(index, &squeezed, needed.start, &border, &mut out_row[place.clone()]);
    });
    out
}

/// Whether the vertical pass comes first: the height loses more than twice as many pixels as the width.
fn is_vertical_first(canvas: Extent, resized: Extent) -> bool {
    let lost = |from: usize, to: usize| from as i64 - to as i64;
    let (down, across) = (lost(canvas.height, resized.height), lost(canvas.width, resized.width));
    down > 0 && down > 2 * across
}

/// The part of a window's axis that lies on the resized canvas.
struct Visible {
    /// Place in the window of the first visible output.
    at: usize,
    /// Indices on the resized canvas.
    outputs: Range<usize>,
}

impl Visible {
    fn new(start: i64, length: usize, limit: usize) -> Visible {
        let end = (start.saturating_add_unsigned(length as u64)).clamp(0, limit as i64) as usize;
        let first = start.clamp(0, limit as i64) as usize;
        Visible { at: start.min(0).unsigned_abs() as usize, outputs: first..end.max(first) }
    }
}

/// The resize of one axis.
#[derive(Clone, Copy)]
struct Scale {
    filter: Filter,
    input: usize,
    output: usize,
}

/// What one output pixel of an axis is mixed from.
struct Taps {
    /// First picture pixel (counted in the picture, not on the canvas).
    start: usize,
    /// Fixed-point weights of the picture's pixels from `start` on.
    weights: Range<usize>,
    /// Sum of the fixed-point weights that fall on the border.
    border: i32,
}

/// Fixed-point weights of one axis.
struct Weights {
    taps: Vec<Taps>,
    weights: Vec<i32>,
}

impl Weights {
    /// Weights for `outputs`; `placed` is where the picture lies on the canvas.
    fn new(scale: Scale, outputs: Range<usize>, placed: Range<usize>) -> Weights {
        let mut result = Weights { taps: Vec::with_capacity(outputs.len()), weights: Vec::new() };
        for output in outputs {
            let (first, fixed) = scale.weights_of(output);
            let inside = placed.start.clamp(first, first + fixed.len())..placed.end.clamp(first, first + fixed.len());
            let border =
                fixed.iter().sum::<i32>() - fixed[inside.start - first..inside.end - first].iter().sum::<i32>();
            let begin = result.weights.len();
            result.weights.extend_from_slice(&fixed[inside.start - first..inside.end - first]);
            // An empty range may lie before or behind the picture: clamped, it still points into it.
            let start = inside.start.clamp(placed.start, placed.end) - placed.start;
            result.taps.push(Taps { start, weights: begin..result.weights.len(), border });
        }
        result
    }

    fn len(&self) -> usize {
        self.taps.len()
    }

    /// Every picture pixel that some output is mixed from.
    fn needed(&self) -> Range<usize> {
        let used = || self.taps.iter().filter(|taps| !taps.weights.is_empty());
        let start = used().map(|taps| taps.start).min().unwrap_or(0);
        let end = used().map(|taps| taps.start + taps.weights.len()).max().unwrap_or(0);
        start..end
    }

    /// The horizontal pass over all rows.
    fn squeezed(&self, rows: &[u8], width: usize, background: [u8; 3]) -> Vec<u8> {
        let (wide, narrow) = (width * CHANNELS, self.len() * CHANNELS);
        let mut out = vec![0; rows.len() / wide * narrow];
        out.par_chunks_mut(narrow * LANES).zip(rows.par_chunks(wide * LANES)).for_each_init(
            || vec![[0; LANES]; wide],
            |turned, (out, rows)| self.squeeze_rows(rows, turned, background, out),
        );
        out
    }

    /// The vertical pass over the picture at its full width.
    fn mixed(&self, source: &Canvas) -> Vec<u8> {
        let row_bytes = source.picture.width * CHANNELS;
        let border = source.background.repeat(source.picture.width);
        let mut out = vec![0; self.len() * row_bytes];
        out.par_chunks_mut(row_bytes)
            .enumerate()
            .for_each(|(index, out_row)| self.mix_rows(index, source.pixels, 0, &border, out_row));
        out
    }

    /// The horizontal pass over at most [`LANES`] rows at once, which fill vector registers. `turned` is working space.
    fn squeeze_rows(&self, rows: &[u8], turned: &mut [[u8; LANES]], background: [u8; 3], out: &mut [u8]) {
        turn(rows, turned);
        let row_bytes = self.len() * CHANNELS;
        let pixels = turned.as_chunks::<CHANNELS>().0;
        for (column, taps) in self.taps.iter().enumerate() {
            let weights = &self.weights[taps.weights.clone()];
            let mut sums = background.map(|value| [ROUND + taps.border * i32::from(value); LANES]);
            for (pixel, &weight) in pixels[taps.start..].iter().zip(weights) {
                for (sums, values) in sums.iter_mut().zip(pixel) {
                    add_weighted(sums, values, weight);
                }
            }
            let [red, green, blue] = sums.map(|sums| sums.map(to_byte));
            let pixels = (0..LANES).map(|lane| [red[lane], green[lane], blue[lane]]);
            for (out_row, pixel) in out.chunks_exact_mut(row_bytes).zip(pixels) {
                out_row[column * CHANNELS..][..CHANNELS].copy_from_slice(&pixel);
            }
        }
    }

    /// The vertical pass for one output row. `squeezed` holds the picture's rows from `first_row` on.
    fn mix_rows(&self, index: usize, squeezed: &[u8], first_row: usize, border: &[u8], out: &mut [u8]) {
        let taps = &self.taps[index];
        let weights = &self.weights[taps.weights.clone()];
        let row_bytes = out.len();
        // Without weights the start may lie anywhere.
        let rows = squeezed.get(taps.start.saturating_sub(first_row) * row_bytes..).unwrap_or_default();
        let mut sums: Vec<i32> = border.iter().map(|&value| ROUND + taps.border * i32::from(value)).collect();
        for (row, &weight) in rows.chunks_exact(row_bytes).zip(weights) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += i32::from(value) * weight;
            }
        }
        for (byte, sum) in out.iter_mut().zip(sums) {
            *byte = to_byte(sum);
        }
    }
}

/// One tap for [`LANES`] sums. So many that the compiler puts sums, not taps, into one register: half the time.
#[inline(always)]
fn add_weighted(sums: &mut [i32; LANES], values: &[u8; LANES], weight: i32) {
    for (sum, &value) in sums.iter_mut().zip(values) {
        *sum += i32::from(value) * weight;
    }
}

/// Lays at most [`LANES`] rows side by side: byte `x` of row `y` goes to place `x`, lane `y`.
fn turn(rows: &[u8], turned: &mut [[u8; LANES]]) {
    let row_bytes = turned.len();
    let groups = rows.chunks(row_bytes * SQUARE);
    for (group, rows) in groups.enumerate() {
        let first_lane = group * SQUARE;
        let mut done = 0;
        if rows.len() == row_bytes * SQUARE {
            let row = |lane: usize| rows[lane * row_bytes..(lane + 1) * row_bytes].as_chunks::<SQUARE>().0;
            let rows: [_; SQUARE] = std::array::from_fn(row);
            for (block, places) in turned.as_chunks_mut::<SQUARE>().0.iter_mut().enumerate() {
                let square = transposed(std::array::from_fn(|lane| u64::from_le_bytes(rows[lane][block])));
                for (place, column) in places.iter_mut().zip(square) {
                    place[first_lane..first_lane + SQUARE].copy_from_slice(&column.to_le_bytes());
                }
            }
            done = row_bytes / SQUARE * SQUARE;
        }
        for (lane, row) in rows.chunks_exact(row_bytes).enumerate() {
            for (place, &value) in turned.iter_mut().zip(row).skip(done) {
                place[first_lane + lane] = value;
            }
        }
    }
}

/// Transposes a square of 8 x 8 bytes: quarters change places, then quarters of quarters, then bytes.
#[inline(always)]
fn transposed(mut rows: [u64; SQUARE]) -> [u64; SQUARE] {
    for (distance, mask) in [(4, 0x0000_0000_FFFF_FFFF), (2, 0x0000_FFFF_0000_FFFF), (1, 0x00FF_00FF_00FF_00FF)] {
        let shift = 8 * distance as u32;
        for upper in (0..SQUARE).filter(|row| row & distance == 0) {
            let lower = upper + distance;
            let exchanged = ((rows[upper] >> shift) ^ rows[lower]) & mask;
            rows[lower] ^= exchanged;
            rows[upper] ^= exchanged << shift;
        }
    }
    rows
}

/// The nearest pixels, as Pillow's `ImagingScaleAffine` finds them: positions are summed up step by step, with that sum's rounding.
fn nearest(source: &Canvas, resized: Extent, window: Window) -> Vec<u8> {
    let columns = nearest_inputs(source.canvas.width, resized.width);
    let rows = nearest_inputs(source.canvas.height, resized.height);
    let at = |inputs: &[usize], start: i64, index: usize| -> Option<usize> {
        inputs.get(usize::try_from(start + index as i64).ok()?).copied()
    };
    let extent = window.extent;
    let mut out = vec![0; extent.width * extent.height * CHANNELS];
    for (y, out_row) in out.chunks_exact_mut((extent.width * CHANNELS).max(1)).enumerate() {
        let Some(row) = at(&rows, window.top, y) else { continue };
        for (x, pixel) in out_row.as_chunks_mut::<CHANNELS>().0.iter_mut().enumerate() {
            let Some(column) = at(&columns, window.left, x) else { continue };
            let (right, below) = (column.wrapping_sub(source.left), row.wrapping_sub(source.top));
            *pixel = source.background;
            if right < source.picture.width && below < source.picture.height {
                let place = (below * source.picture.width + right) * CHANNELS;
                pixel.copy_from_slice(&source.pixels[place..place + CHANNELS]);
            }
        }
    }
    out
}

/// For each output of an axis the input it takes.
fn nearest_inputs(input: usize, output: usize) -> Vec<usize> {
    let step = input as f64 / output as f64;
    let mut position = step * 0.5;
    let mut inputs = Vec::with_capacity(output);
    for _ in 0..output {
        inputs.push((position as usize).min(input - 1));
        position += step;
    }
    inputs
}

/// One half, in fixed point: sums start here so that the shift rounds.
const ROUND: i32 = 1 << (PRECISION_BITS - 1);

fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

impl Scale {
    /// First input pixel of `output` and the fixed-point weights from there (Pillow's `precompute_coeffs`, `normalize_coeffs_8bpc`).
    fn weights_of(self, output: usize) -> (usize, Vec<i32>) {
        let scale = self.input as f64 / self.output as f64;
        let filter_scale = scale.max(1.0);
        let support = self.filter.support() * filter_scale;
        let inverse = 1.0 / filter_scale;
        let center = (output as f64 + 0.5) * scale;
        // `as` truncates toward zero as C's cast does; negative starts are cut at 0 either way.
        let first = (center - support + 0.5).max(0.0) as usize;
        let end = ((center + support + 0.5) as usize).min(self.input);
        let mut weights: Vec<f64> =
            (first..end).map(|input| self.filter.weight((input as f64 - center + 0.5) * inverse)).collect();
        let sum: f64 = weights.iter().sum();
        if sum != 0.0 {
            weights.iter_mut().for_each(|weight| *weight /= sum);
        }
        let one = f64::from(1u32 << PRECISION_BITS);
        let fixed =
            weights.iter().map(|weight| (weight * one + if *weight < 0.0 { -0.5 } else { 0.5 }) as i32).collect();
        (first, fixed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILTERS: [Filter; 6] =
        [Filter::Nearest, Filter::Lanczos, Filter::Bilinear, Filter::Bicubic, Filter::Box, Filter::Hamming];

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 7u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..length).map(|_| next()).collect()
    }

    fn bare(pixels: &[u8], picture: Extent) -> Canvas<'_> {
        Canvas { pixels, picture, canvas: picture, left: 0, top: 0, background: [0; 3] }
    }

    fn whole(extent: Extent) -> Window {
        Window { left: 0, top: 0, extent }
    }

    #[test]
    fn same_size_changes_nothing() {
        let picture = Extent { width: 7, height: 5 };
        let pixels = noise(7 * 5 * 3);
        for filter in FILTERS {
            assert_eq!(resample(&bare(&pixels, picture), filter, picture, whole(picture)), pixels, "{filter:?}");
        }
    }

    #[test]
    fn rows_laid_side_by_side_are_the_rows() {
        for (width, height) in [(1, LANES), (5, 3), (8, 9), (19, LANES - 1), (27, LANES)] {
            let rows = noise(width * height);
            let mut turned = vec![[0; LANES]; width];
            turn(&rows, &mut turned);
            for (place, lanes) in turned.iter().enumerate() {
                assert!((0..height).all(|lane| lanes[lane] == rows[lane * width + place]), "{width} x {height}");
            }
        }
    }

    #[test]
    fn a_picture_that_loses_far_more_height_than_width_is_resized_vertically_first() {
        let (picture, resized) = (Extent { width: 20, height: 90 }, Extent { width: 16, height: 30 });
        let between = Extent { width: 20, height: 30 };
        let pixels = noise(20 * 90 * 3);
        for filter in FILTERS {
            let whole_way = resample(&bare(&pixels, picture), filter, resized, whole(resized));
            let vertical = resample(&bare(&pixels, picture), filter, between, whole(between));
            let then_horizontal = resample(&bare(&vertical, between), filter, resized, whole(resized));
            assert_eq!(whole_way, then_horizontal, "{filter:?}");
        }
        assert!(!is_vertical_first(Extent { width: 60, height: 90 }, Extent { width: 40, height: 60 }));
    }

    #[test]
    fn box_halving_is_the_rounded_mean() {
        let pixels = [0, 10, 255, 3, 20, 255, 0, 30, 255, 3, 41, 254];
        let out = resample(
            &bare(&pixels, Extent { width: 2, height: 2 }),
            Filter::Box,
            Extent { width: 1, height: 1 },
            whole(Extent { width: 1, height: 1 }),
        );
        // Rows first, each rounded to 8 bits: (1.5 -> 2, 2), (15, 35.5 -> 36), (255, 254.5 -> 255).
        assert_eq!(out, [2, 26, 255]);
    }

    #[test]
    fn implied_border_equals_a_painted_one() {
        let (picture, canvas) = (Extent { width: 9, height: 4 }, Extent { width: 11, height: 13 });
        let (pixels, background) = (noise(9 * 4 * 3), [122, 116, 104]);
        let source = Canvas { pixels: &pixels, picture, canvas, left: 1, top: 6, background };
        let mut painted = background.repeat(11 * 13);
        for row in 0..4 {
            let at = ((row + 6) * 11 + 1) * 3;
            painted[at..at + 27].copy_from_slice(&pixels[row * 27..(row + 1) * 27]);
        }
        for filter in FILTERS {
            for resized in
                [Extent { width: 5, height: 6 }, Extent { width: 30, height: 40 }, Extent { width: 30, height: 4 }]
            {
                let implied = resample(&source, filter, resized, whole(resized));
                assert_eq!(implied, resample(&bare(&painted, canvas), filter, resized, whole(resized)), "{filter:?}");
            }
        }
    }

    #[test]
    fn a_window_equals_the_same_part_of_the_whole_and_is_black_beyond() {
        let picture = Extent { width: 8, height: 6 };
        let pixels = noise(8 * 6 * 3);
        let resized = Extent { width: 12, height: 10 };
        let full = resample(&bare(&pixels, picture), Filter::Bicubic, resized, whole(resized));
        let window = Window { left: -2, top: 3, extent: Extent { width: 16, height: 9 } };
        let part = resample(&bare(&pixels, picture), Filter::Bicubic, resized, window);
        for y in 0..9i64 {
            for x in 0..16i64 {
                let (column, row) = (x - 2, y + 3);
                let inside = (0..12).contains(&column) && (0..10).contains(&row);
                let at = ((row * 12 + column) * 3) as usize;
                let expected = if inside { &full[at..at + 3] } else { &[0u8; 3][..] };
                let here = ((y * 16 + x) * 3) as usize;
                assert_eq!(&part[here..here + 3], expected, "column {x} row {y}");
            }
        }
    }
}
