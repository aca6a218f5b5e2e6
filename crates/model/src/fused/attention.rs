//! Attention within samples, straight from the packed projection, with rotary positions: forward and backward on slices.
//!
//! Shapes: N flattened tokens, W width of a projected row, H query heads, C head width; per sample: n tokens, G queries per group.

use super::vector::softmax;
use gemm::Parallelism;
use rayon::prelude::*;
use std::ops::Range;

/// Where queries, keys and values stand in a projected row, and which tokens form a sample.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionLayout {
    /// C
    pub head_dim: usize,
    /// W
    pub row_width: usize,
    /// One per key-value head. Query heads are numbered in the order of the groups.
    pub groups: Vec<HeadGroup>,
    /// Whether a token sees only itself and earlier ones.
    pub causal: bool,
    /// Samples as ranges of flattened tokens, ascending and disjoint. Tokens outside get 0.
    pub samples: Vec<Range<usize>>,
    /// Branch of each flattened token within its sample; empty when no sample has branches. A causal token sees branch 0 and its own.
    pub branches: Vec<u32>,
    /// Rotation of queries and keys, if any.
    pub rotary: Option<Rotary>,
}

/// A key-value head with the queries that read it: offsets into a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadGroup {
    /// Each query head.
    pub queries: Vec<usize>,
    /// The key.
    pub key: usize,
    /// The value.
    pub value: usize,
}

/// Cosines and sines `[N, C / 2]` of each token's rotation.
#[derive(Debug, Clone, PartialEq)]
pub struct Rotary {
    /// `[N, C / 2]`
    pub cos: Vec<f32>,
    /// `[N, C / 2]`
    pub sin: Vec<f32>,
}

impl AttentionLayout {
    /// H
    pub fn num_heads(&self) -> usize {
        self.groups.iter().map(|group| group.queries.len()).sum()
    }

    fn scale(&self) -> f32 {
        (self.head_dim as f32).powf(-0.5)
    }

    /// `[N, W]` to `[N, H * C]`.
    pub fn forward(&self, rows: &[f32]) -> Vec<f32> {
        let num_tokens = rows.len() / self.row_width;
        let width = self.num_heads() * self.head_dim;
        let mut out = vec![0.0; num_tokens * width];
        let pieces = split(&mut out, &self.samples, width);
        self.samples.par_iter().zip(pieces).for_each(|(sample, out)| {
            let mut first_head = 0;
            for group in &self.groups {
                let Loaded { q, k, v } = self.load(rows, sample, group);
                let weights = self.weights(&q, &k, sample);
                let mut mixed = vec![0.0; q.len()];
                multiply(&mut mixed, Matrix::rows(&weights, sample.len()), Matrix::rows(&v, self.head_dim), 1.0);
                self.store(
                    &mixed,
                    out,
                    width,
                    (0..group.queries.len()).map(|query| (first_head + query) * self.head_dim),
                );
                first_head += group.queries.len();
            }
        });
        out
    }

    /// Gradient by the projected rows `[N, W]`, given that by the output `[N, H * C]`. Weights are computed again rather than kept.
    pub fn backward(&self, rows: &[f32], gradient: &[f32]) -> Vec<f32> {
        let width = self.num_heads() * self.head_dim;
        let mut out = vec![0.0; rows.len()];
        let pieces = split(&mut out, &self.samples, self.row_width);
        self.samples.par_iter().zip(pieces).for_each(|(sample, out)| {
            let mut first_head = 0;
            for group in &self.groups {
                let heads = (0..group.queries.len()).map(|query| (first_head + query) * self.head_dim);
                let mixed_gradient = self.gather(gradient, width, sample, heads);
                self.group_backward(rows, sample, group, &mixed_gradient, out);
                first_head += group.queries.len();
            }
        });
        out
    }

    fn group_backward(
        &self,
        rows: &[f32],
        sample: &Range<usize>,
        group: &HeadGroup,
        mixed_gradient: &[f32],
        out: &mut [f32],
    ) {
        let (n, head_dim) = (sample.len(), self.head_dim);
        let Loaded { q, k, v } = self.load(rows, sample, group);
        let weights = self.weights(&q, &k, sample); // [G n, n]
        let (mut dq, mut dk, mut dv) = (vec![0.0; q.len()], vec![0.0; k.len()], vec![0.0; v.len()]);
        let dmixed = Matrix::rows(mixed_gradient, head_dim); // [G n, C]
        multiply(&mut dv, Matrix::rows(&weights, n).transposed(), dmixed, 1.0);
        let mut dscores = vec![0.0; weights.len()];
        multiply(&mut dscores, dmixed, Matrix::rows(&v, head_dim).transposed(), 1.0);
        for (scores, weights) in dscores.chunks_exact_mut(n).zip(weights.chunks_exact(n)) {
            let dot: f32 = scores.iter().zip(weights).map(|(a, b)| a * b).sum();
            scores.iter_mut().zip(weights).for_each(|(score, weight)| *score = weight * (*score - dot));
        }
        // `q` is already scaled, so the factor belongs to dq alone.
        multiply(&mut dq, Matrix::rows(&dscores, n), Matrix::rows(&k, head_dim), self.scale());
        multiply(&mut dk, Matrix::rows(&dscores, n).transposed(), Matrix::rows(&q, head_dim), 1.0);
        self.rotate(&mut dq, sample, Turn::Back);
        self.rotate(&mut dk, sample, Turn::Back);
        self.store(&dq, out, self.row_width, group.queries.iter().copied());
        self.store(&dk, out, self.row_width, std::iter::once(group.key));
        self.store(&dv, out, self.row_width, std::iter::once(group.value));
    }

    /// Rotated and scaled queries `[G n, C]`, rotated keys `[n, C]`, values `[n, C]`.
    fn load(&self, rows: &[f32], sample: &Range<usize>, group: &HeadGroup) -> Loaded {
        let mut q = self.gather(rows, self.row_width, sample, group.queries.iter().copied());
        let mut k = self.gather(rows, self.row_width, sample, std::iter::once(group.key));
        let v = self.gather(rows, self.row_width, sample, std::iter::once(group.value));
        self.rotate(&mut q, sample, Turn::Forth);
        self.rotate(&mut k, sample, Turn::Forth);
        let scale = self.scale();
        q.iter_mut().for_each(|value| *value *= scale);
        Loaded { q, k, v }
    }

    /// Copies the head at each offset of the sample's rows: `[heads * n, C]`.
    fn gather(
        &self,
        rows: &[f32],
        width: usize,
        sample: &Range<usize>,
        offsets: impl Iterator<Item = usize>,
    ) -> Vec<f32> {
        let mut out = Vec::new();
        for offset in offsets {
            for token in sample.clone() {
                let start = token * width + offset;
                out.extend_from_slice(&rows[start..start + self.head_dim]);
            }
        }
        out
    }

    /// The reverse of [`Self::gather`], into the sample's own rows.
    fn store(&self, heads: &[f32], out: &mut [f32], width: usize, offsets: impl Iterator<Item = usize>) {
        let num_tokens = out.len() / width;
        for (head, offset) in heads.chunks_exact(num_tokens * self.head_dim).zip(offsets) {
            for (row, values) in out.chunks_exact_mut(width).zip(head.chunks_exact(self.head_dim)) {
                row[offset..offset + self.head_dim].copy_from_slice(values);
            }
        }
    }

    /// Softmax of scores, `[G n, n]`; 0 where a token is not seen.
    fn weights(&self, q: &[f32], k: &[f32], sample: &Range<usize>) -> Vec<f32> {
        let n = sample.len();
        let branches = self.branches.get(sample.clone()).unwrap_or_default();
        let num_shared = branches.iter().take_while(|&&branch| branch == 0).count();
        let mut scores = vec![0.0; q.len() / self.head_dim * n];
        multiply(&mut scores, Matrix::rows(q, self.head_dim), Matrix::rows(k, self.head_dim).transposed(), 1.0);
        for (index, row) in scores.chunks_exact_mut(n).enumerate() {
            let seen = if self.causal { index % n + 1 } else { n };
            let (visible, hidden) = row.split_at_mut(seen);
            if num_shared < seen && branches.len() == n {
                let own = branches[index % n];
                let start = num_shared + branches[num_shared..seen].iter().take_while(|&&branch| branch != own).count();
                visible[num_shared..start].fill(f32::NEG_INFINITY);
            }
            softmax(visible);
            hidden.fill(0.0);
        }
        scores
    }

    /// Rotates each head in place (NeoX layout: the two halves of a head turn against each other).
    fn rotate(&self, heads: &mut [f32], sample: &Range<usize>, turn: Turn) {
        let Some(Rotary { cos, sin }) = &self.rotary else { return };
        let half = self.head_dim / 2;
        for (index, head) in heads.chunks_exact_mut(self.head_dim).enumerate() {
            let token = sample.start + index % sample.len();
            let (cos, sin) = (&cos[token * half..][..half], &sin[token * half..][..half]);
            let (first, second) = head.split_at_mut(half);
            for (((a, b), cos), sin) in first.iter_mut().zip(second).zip(cos).zip(sin) {
                let sin = if turn == Turn::Forth { *sin } else { -sin };
                (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
            }
        }
    }
}

struct Loaded {
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
}

#[derive(Clone, Copy, PartialEq)]
enum Turn {
    Forth,
    Back,
}

/// Cuts `out` into the rows of each sample.
fn split<'a>(out: &'a mut [f32], samples: &[Range<usize>], width: usize) -> Vec<&'a mut [f32]> {
    let mut pieces = Vec::with_capacity(samples.len());
    let (mut rest, mut position) = (out, 0);
    for sample in samples {
        let (_, from_start) = rest.split_at_mut((sample.start - position) * width);
        let (piece, after) = from_start.split_at_mut(sample.len() * width);
        pieces.push(piece);
        (rest, position) = (after, sample.end);
    }
    pieces
}

/// A matrix over a slice: rows, columns, and the steps between them.
#[derive(Clone, Copy)]
struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_step: usize,
    column_step: usize,
}

impl<'a> Matrix<'a> {
    /// Contiguous rows of `columns` values.
    fn rows(values: &'a [f32], columns: usize) -> Matrix<'a> {
        let rows = values.len() / columns;
        assert_eq!(rows * columns, values.len(), "whole rows");
        Matrix { values, rows, columns, row_step: columns, column_step: 1 }
    }

    fn transposed(self) -> Matrix<'a> {
        Matrix {
            rows: self.columns,
            columns: self.rows,
            row_step: self.column_step,
            column_step: self.row_step,
            ..self
        }
    }
}

/// `out = factor * a b`, on this thread; `out` is contiguous.
fn multiply(out: &mut [f32], a: Matrix<'_>, b: Matrix<'_>, factor: f32) {
    assert_eq!(a.columns, b.rows, "inner sizes agree");
    assert_eq!(out.len(), a.rows * b.columns, "out has the product's size");
    if out.is_empty() {
        return;
    }
    // SAFETY: the slices hold rows * columns values each (checked in `Matrix::rows` and above), and the steps stay inside them.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            out.as_mut_ptr(),
            1,
            b.columns as isize,
            false,
            a.values.as_ptr(),
            a.column_step as isize,
            a.row_step as isize,
            b.values.as_ptr(),
            b.column_step as isize,
            b.row_step as isize,
            0.0,
            factor,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two packed heads groups with two queries each, two samples and a padding token, rotary positions.
    fn layout() -> AttentionLayout {
        let head_dim = 4;
        let group = |start: usize| HeadGroup {
            queries: vec![start, start + head_dim],
            key: start + 2 * head_dim,
            value: start + 3 * head_dim,
        };
        let angles: Vec<f32> = (0..8 * 2).map(|index| index as f32 * 0.37).collect();
        AttentionLayout {
            head_dim,
            row_width: 32,
            groups: vec![group(0), group(16)],
            causal: true,
            samples: vec![0..3, 3..7],
            branches: Vec::new(),
            rotary: Some(Rotary {
                cos: angles.iter().map(|angle| angle.cos()).collect(),
                sin: angles.iter().map(|angle| angle.sin()).collect(),
            }),
        }
    }

    fn wave(len: usize, phase: f32) -> Vec<f32> {
        (0..len).map(|index| (index as f32 * 0.71 + phase).sin()).collect()
    }

    #[test]
    fn a_sample_does_not_depend_on_its_neighbours() {
        let layout = layout();
        let mut rows = wave(8 * 32, 0.0);
        let before = layout.forward(&rows);
        rows[..3 * 32].iter_mut().for_each(|value| *value += 1.0);
        let after = layout.forward(&rows);
        assert_eq!(before[3 * 16..], after[3 * 16..]);
        assert_ne!(before[..3 * 16], after[..3 * 16]);
        assert!(after[7 * 16..].iter().all(|&value| value == 0.0), "padding stays 0");
    }

    #[test]
    fn branches_see_the_shared_beginning_and_themselves() {
        // Two branches after one shared token give what each would give alone after it.
        let mut branched = layout();
        branched.samples = std::iter::once(0..7).collect();
        branched.branches = vec![0, 1, 1, 1, 2, 2, 2, 0];
        let rows = wave(8 * 32, 0.0);
        let together = branched.forward(&rows);
        let rotary = branched.rotary.clone().unwrap();
        let alone = |tokens: &[usize]| {
            let pick = |values: &[f32], width: usize| -> Vec<f32> {
                tokens.iter().flat_map(|&token| values[token * width..(token + 1) * width].to_vec()).collect()
            };
            let mut layout = layout();
            layout.samples = std::iter::once(0..tokens.len()).collect();
            layout.rotary = Some(Rotary { cos: pick(&rotary.cos, 2), sin: pick(&rotary.sin, 2) });
            (layout.forward(&pick(&rows, 32)), pick(&together, 16))
        };
        for tokens in [[0, 1, 2, 3], [0, 4, 5, 6]] {
            let (want, got) = alone(&tokens);
            assert!(want.iter().zip(&got).all(|(a, b)| (a - b).abs() < 1e-6), "{tokens:?}");
        }
    }

    #[test]
    fn gradient_equals_finite_differences() {
        for branches in [Vec::new(), vec![0, 1, 2, 0, 1, 2, 2, 0]] {
            gradient_check(AttentionLayout { branches, ..layout() });
        }
    }

    fn gradient_check(layout: AttentionLayout) {
        let rows = wave(8 * 32, 0.3);
        let weights = wave(8 * 16, 1.1);
        let objective =
            |rows: &[f32]| -> f64 { layout.forward(rows).iter().zip(&weights).map(|(a, b)| f64::from(a * b)).sum() };
        let gradient = layout.backward(&rows, &weights);
        for index in (0..rows.len()).step_by(5) {
            let step = 1e-2;
            let mut shifted = rows.clone();
            shifted[index] += step;
            let up = objective(&shifted);
            shifted[index] -= 2.0 * step;
            let numeric = (up - objective(&shifted)) / (2.0 * f64::from(step));
            assert!(
                (f64::from(gradient[index]) - numeric).abs() < 1e-3,
                "{index}: {} against {numeric}",
                gradient[index]
            );
        }
    }
}
