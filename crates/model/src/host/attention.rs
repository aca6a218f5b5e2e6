//! Attention for answering: queries over the keys and values of their sequence, spread over heads and runs of queries.

use crate::fused::vector::{lane_sum, softmax};
use crate::fused::{HeadGroup, Rotary};
use gemm::Parallelism;
use rayon::prelude::*;
use std::sync::Arc;

/// Queries of one task: their scores against 600 keys stay in a core's second-level cache.
const TILE: usize = 64;

/// Room for tokens when a reply begins, so that its first tokens do not move what is there.
const REPLY_TOKENS: usize = 32;

/// Below this many multiplications attention of single tokens stays on one thread.
const MIN_PARALLEL: usize = 64 << 10;

/// Keys, rotated, and values of a run of tokens in one block. Clones of a cache share it.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    heads: Vec<HeadSegment>, // [K]
    tokens: usize,
    /// Whether single tokens are added to it: a reply, not a prompt.
    grows: bool,
}

#[derive(Debug, Clone)]
struct HeadSegment {
    keys: Vec<f32>,   // [S, C]
    values: Vec<f32>, // [S, C]
}

impl Segment {
    /// Numbers that keys and values are.
    pub fn num_values(&self) -> usize {
        self.heads.iter().map(|head| head.keys.len() + head.values.len()).sum()
    }
}

/// Where heads stand in a projected row, and how the rows of a pass are rotated.
pub(crate) struct Projected<'a> {
    /// `[N, W]`
    pub rows: &'a [f32],
    /// W
    pub row_width: usize,
    /// C
    pub head_dim: usize,
    /// One per key-value head.
    pub groups: &'a [HeadGroup],
    /// Of each row.
    pub rotary: &'a Rotary,
}

impl Projected<'_> {
    fn head(&self, row: usize, offset: usize) -> &[f32] {
        &self.rows[row * self.row_width + offset..][..self.head_dim]
    }

    /// Appends a head of a row, rotated and scaled.
    fn push_rotated(&self, row: usize, offset: usize, scale: f32, out: &mut Vec<f32>) {
        let half = self.head_dim / 2;
        let (cos, sin) = (&self.rotary.cos[row * half..][..half], &self.rotary.sin[row * half..][..half]);
        let (first, second) = self.head(row, offset).split_at(half);
        let pairs = || first.iter().zip(second).zip(cos.iter().zip(sin));
        out.extend(pairs().map(|((a, b), (cos, sin))| (a * cos - b * sin) * scale));
        out.extend(pairs().map(|((a, b), (cos, sin))| (b * cos + a * sin) * scale));
    }

    fn num_query_heads(&self) -> usize {
        self.groups.iter().map(|group| group.queries.len()).sum()
    }
}

/// New rows of one sequence and what it has in its cache.
pub(crate) struct SequenceKeys<'a> {
    /// First of its rows in the pass.
    pub first_row: usize,
    /// How many rows it has.
    pub num_rows: usize,
    /// What it read so far, the new rows included.
    pub segments: &'a [Arc<Segment>],
}

/// Adds keys and values of `num_rows` rows from `first_row` on.
pub(crate) fn remember(projected: &Projected<'_>, first_row: usize, num_rows: usize, segments: &mut Vec<Arc<Segment>>) {
    if num_rows == 1 {
        let shared = match segments.last_mut() {
            Some(last) => last.grows.then(|| Arc::get_mut(last)).flatten().is_none(),
            None => true,
        };
        if shared {
            let room = || Vec::with_capacity(REPLY_TOKENS * projected.head_dim);
            let heads = projected.groups.iter().map(|_| HeadSegment { keys: room(), values: room() }).collect();
            segments.push(Arc::new(Segment { heads, tokens: 0, grows: true }));
        }
        let last = segments.last_mut().and_then(Arc::get_mut).expect("a segment of one owner was just seen to");
        for (group, head) in projected.groups.iter().zip(&mut last.heads) {
            projected.push_rotated(first_row, group.key, 1.0, &mut head.keys);
            head.values.extend_from_slice(projected.head(first_row, group.value));
        }
        last.tokens += 1;
        return;
    }
    let of = |group: &HeadGroup| {
        let size = num_rows * projected.head_dim;
        let mut head = HeadSegment { keys: Vec::with_capacity(size), values: Vec::with_capacity(size) };
        for row in first_row..first_row + num_rows {
            projected.push_rotated(row, group.key, 1.0, &mut head.keys);
            head.values.extend_from_slice(projected.head(row, group.value));
        }
        head
    };
    let heads = projected.groups.par_iter().map(of).collect();
    segments.push(Arc::new(Segment { heads, tokens: num_rows, grows: false }));
}

/// Each row's heads mixed over the keys it sees: `out` `[N, H * C]`.
pub(crate) fn attend(projected: &Projected<'_>, sequences: &[SequenceKeys<'_>], out: &mut [f32]) {
    let width = projected.num_query_heads() * projected.head_dim;
    let (mut tasks, mut work) = (Vec::new(), 0);
    for sequence in sequences {
        let total: usize = sequence.segments.iter().map(|segment| segment.tokens).sum();
        work += sequence.num_rows * total * width;
        let mut first_head = 0;
        for (group, heads) in projected.groups.iter().enumerate() {
            for first in (0..sequence.num_rows).step_by(TILE) {
                let rows = first..(first + TILE).min(sequence.num_rows);
                tasks.push(Task { sequence, group, first_head, rows, past: total - sequence.num_rows });
            }
            first_head += heads.queries.len();
        }
    }
    let out = Columns { start: out.as_mut_ptr(), len: out.len(), width };
    let run = |task: &Task<'_>| task.run(projected, &out);
    if work < MIN_PARALLEL { tasks.iter().for_each(run) } else { tasks.par_iter().for_each(run) }
}

/// Some queries of one key-value head.
struct Task<'a> {
    sequence: &'a SequenceKeys<'a>,
    group: usize,
    first_head: usize,
    /// Within the sequence's new rows.
    rows: std::ops::Range<usize>,
    /// Tokens before the new rows.
    past: usize,
}

impl Task<'_> {
    fn run(&self, projected: &Projected<'_>, out: &Columns) {
        let (head_dim, group) = (projected.head_dim, &projected.groups[self.group]);
        let scale = (head_dim as f32).powf(-0.5);
        let num_rows = self.rows.len();
        let mut q = Vec::with_capacity(group.queries.len() * num_rows * head_dim); // [G, n, C]
        for &query in &group.queries {
            for row in self.rows.clone() {
                projected.push_rotated(self.sequence.first_row + row, query, scale, &mut q);
            }
        }
        let mixed = if self.sequence.num_rows == 1 { self.single(&q, head_dim) } else { self.tile(&q, head_dim) };
        for (index, mixed) in mixed.chunks_exact(head_dim).enumerate() {
            let row = self.sequence.first_row + self.rows.start + index % num_rows;
            let column = (self.first_head + index / num_rows) * head_dim;
            // SAFETY: no other task has this key-value head's queries of these rows.
            unsafe { out.write(row, column, mixed) };
        }
    }

    /// One token: sums run over keys in order, however they are cut into segments. `[G, C]`
    fn single(&self, q: &[f32], head_dim: usize) -> Vec<f32> {
        let keys = self.past + 1;
        let segments = || self.sequence.segments.iter().map(|segment| &segment.heads[self.group]);
        let mut scores = Vec::with_capacity(q.len() / head_dim * keys); // [G, S]
        for q in q.chunks_exact(head_dim) {
            for head in segments() {
                scores.extend(head.keys.chunks_exact(head_dim).map(|key| dot(q, key)));
            }
        }
        let mut mixed = vec![0.0; q.len()];
        for (scores, mixed) in scores.chunks_exact_mut(keys).zip(mixed.chunks_exact_mut(head_dim)) {
            softmax(scores);
            let mut weights = scores.iter();
            for head in segments() {
                for (value, weight) in head.values.chunks_exact(head_dim).zip(&mut weights) {
                    mixed.iter_mut().zip(value).for_each(|(out, value)| *out = weight.mul_add(*value, *out));
                }
            }
        }
        mixed
    }

    /// Several tokens, as matrix products; keys that none of them sees are left out. `[G n, C]`
    fn tile(&self, q: &[f32], head_dim: usize) -> Vec<f32> {
        let num_rows = self.rows.len();
        let keys = self.past + self.rows.end;
        let all = q.len() / head_dim; // G n
        let mut scores = vec![0.0; all * keys];
        let mut first = 0;
        for segment in self.sequence.segments {
            let seen = segment.tokens.min(keys - first);
            let head = &segment.heads[self.group];
            let a = Grid { values: q, rows: all, columns: head_dim, row_step: head_dim, column_step: 1 };
            let b = Grid::rows(&head.keys[..seen * head_dim], head_dim).transposed();
            multiply(&mut scores[first..], keys, a, b, Sum::Fresh);
            first += seen;
        }
        for (index, row) in scores.chunks_exact_mut(keys).enumerate() {
            let (visible, hidden) = row.split_at_mut(self.past + self.rows.start + index % num_rows + 1);
            softmax(visible);
            hidden.fill(0.0);
        }
        let mut mixed = vec![0.0; q.len()];
        let mut first = 0;
        for segment in self.sequence.segments {
            let seen = segment.tokens.min(keys - first);
            let head = &segment.heads[self.group];
            let a = Grid { values: &scores[first..], rows: all, columns: seen, row_step: keys, column_step: 1 };
            multiply(&mut mixed, head_dim, a, Grid::rows(&head.values[..seen * head_dim], head_dim), Sum::Added);
            first += seen;
        }
        mixed
    }
}

/// Pictures, each of whose rows sees all of its own: `rows` `[N, 3 D]` queries, keys and values side by side, `out` `[N, D]`.
pub(crate) fn attend_pictures(rows: &[f32], width: usize, num_heads: usize, rows_per_picture: usize, out: &mut [f32]) {
    let head_dim = width / num_heads;
    let num_pictures = out.len() / width / rows_per_picture;
    let mut tasks = Vec::new();
    for picture in 0..num_pictures {
        for head in 0..num_heads {
            tasks.extend((0..rows_per_picture).step_by(TILE).map(|first| (picture, head, first)));
        }
    }
    let scale = (head_dim as f32).powf(-0.5);
    let out = Columns { start: out.as_mut_ptr(), len: out.len(), width };
    tasks.into_par_iter().for_each(|(picture, head, first)| {
        let picture_row = picture * rows_per_picture;
        let num_rows = TILE.min(rows_per_picture - first);
        let grid = |row: usize, count: usize, part: usize| Grid {
            values: &rows[row * 3 * width + part * width + head * head_dim..],
            rows: count,
            columns: head_dim,
            row_step: 3 * width,
            column_step: 1,
        };
        let mut scores = vec![0.0; num_rows * rows_per_picture];
        let (q, k) = (grid(picture_row + first, num_rows, 0), grid(picture_row, rows_per_picture, 1));
        multiply(&mut scores, rows_per_picture, q, k.transposed(), Sum::Fresh);
        for row in scores.chunks_exact_mut(rows_per_picture) {
            row.iter_mut().for_each(|score| *score *= scale);
            softmax(row);
        }
        let mut mixed = vec![0.0; num_rows * head_dim];
        let v = grid(picture_row, rows_per_picture, 2);
        multiply(&mut mixed, head_dim, Grid::rows(&scores, rows_per_picture), v, Sum::Fresh);
        for (index, mixed) in mixed.chunks_exact(head_dim).enumerate() {
            // SAFETY: no other task has this head of these rows.
            unsafe { out.write(picture_row + first + index, head * head_dim, mixed) };
        }
    });
}

/// A matrix that tasks fill side by side.
struct Columns {
    start: *mut f32,
    len: usize,
    width: usize,
}

// SAFETY: tasks write through `write` alone, whose callers own what they write.
unsafe impl Sync for Columns {}

impl Columns {
    /// Writes values into a row from `column` on.
    ///
    /// # Safety
    /// No other thread reads or writes these places meanwhile.
    unsafe fn write(&self, row: usize, column: usize, values: &[f32]) {
        let start = row * self.width + column;
        assert!(column + values.len() <= self.width && start + values.len() <= self.len, "inside the matrix");
        // SAFETY: inside the matrix (checked above), and the caller owns the places.
        unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), self.start.add(start), values.len()) };
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            sums[lane] = a[lane].mul_add(b[lane], sums[lane]);
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    lane_sum(&sums, |value| value) + rest
}

/// A matrix in a slice, with the steps between rows and columns.
#[derive(Clone, Copy)]
struct Grid<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_step: usize,
    column_step: usize,
}

impl<'a> Grid<'a> {
    /// Contiguous rows.
    fn rows(values: &'a [f32], columns: usize) -> Grid<'a> {
        Grid { values, rows: values.len() / columns, columns, row_step: columns, column_step: 1 }
    }

    fn transposed(self) -> Grid<'a> {
        let Grid { values, rows, columns, row_step, column_step } = self;
        Grid { values, rows: columns, columns: rows, row_step: column_step, column_step: row_step }
    }

    fn is_inside(&self) -> bool {
        let last = (self.rows - 1) * self.row_step + (self.columns - 1) * self.column_step;
        last < self.values.len()
    }
}

/// What stood in the place of a product.
#[derive(Clone, Copy, PartialEq)]
enum Sum {
    Fresh,
    Added,
}

/// `a b` into rows of `out` that begin `out_step` apart, on this thread.
fn multiply(out: &mut [f32], out_step: usize, a: Grid<'_>, b: Grid<'_>, sum: Sum) {
    assert_eq!(a.columns, b.rows, "inner sizes agree");
    if a.rows == 0 || b.columns == 0 || a.columns == 0 {
        return;
    }
    let inside = (a.rows - 1) * out_step + b.columns <= out.len() && b.columns <= out_step;
    assert!(inside && a.is_inside() && b.is_inside(), "every place lies in its slice");
    // SAFETY: all places that the steps reach lie in their slices (checked above).
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            out.as_mut_ptr(),
            1,
            out_step as isize,
            sum == Sum::Added,
            a.values.as_ptr(),
            a.column_step as isize,
            a.row_step as isize,
            b.values.as_ptr(),
            b.column_step as isize,
            b.row_step as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
