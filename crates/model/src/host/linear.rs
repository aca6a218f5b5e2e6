//! Rows by weight matrices.

use super::view::View;
use crate::layers::Linear;
use gemm::Parallelism;
use rayon::prelude::*;
use wide::f32x8;

/// Up to this many rows each output is a dot product: the time is that of reading the weights once, and a row's numbers are the same
/// however many stand beside it. Beyond, packing the weights for a matrix product pays.
pub(crate) const FEW_ROWS: usize = 16;

/// Weight rows that a task reads side by side, so that no sum waits for the one before it.
const WEIGHT_ROWS: usize = 4;

/// Weights read by one task, bytes: long enough to pay for its start.
const TASK_BYTES: usize = 128 << 10;

/// A linear layer's values.
#[derive(Clone)]
pub(crate) struct HostLinear {
    weight: View, // [O, I]
    bias: Option<View>,
    inputs: usize,
    outputs: usize,
}

/// What a product does with the values that stand in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Onto {
    /// Replaces them.
    Nothing,
    /// Is added to them.
    Residual,
}

impl HostLinear {
    /// `None` where the parameters cannot be seen as slices.
    pub fn of(linear: &Linear) -> Option<HostLinear> {
        let bias = match &linear.bias {
            Some(bias) => Some(View::of(bias)?),
            None => None,
        };
        HostLinear::new(&linear.weight, bias)
    }

    /// From a matrix `[O, I]`.
    pub fn new(weight: &burn::tensor::Tensor<2>, bias: Option<View>) -> Option<HostLinear> {
        let [outputs, inputs] = weight.dims();
        Some(HostLinear { weight: View::of(weight)?, bias, inputs, outputs })
    }

    /// O
    pub fn outputs(&self) -> usize {
        self.outputs
    }
}

/// `x W^T + b` of each part side by side: `x` `[N, I]`, `out` `[N, sum of O]`.
pub(crate) fn product(parts: &[&HostLinear], x: &[f32], out: &mut [f32], onto: Onto) {
    let inputs = parts[0].inputs;
    let width: usize = parts.iter().map(|part| part.outputs).sum();
    let num_rows = x.len() / inputs;
    assert!(parts.iter().all(|part| part.inputs == inputs), "the parts read the same input");
    assert_eq!(x.len(), num_rows * inputs, "whole rows");
    assert_eq!(out.len(), num_rows * width, "out has the product's size");
    if num_rows <= FEW_ROWS {
        few_rows(parts, x, inputs, out, width, onto);
    } else {
        many_rows(parts, x, out, width, onto);
    }
}

/// One matrix product per part. Biases are laid down first and added onto.
fn many_rows(parts: &[&HostLinear], x: &[f32], out: &mut [f32], width: usize, onto: Onto) {
    let num_rows = out.len() / width;
    lay_biases(parts, out, width, onto);
    let mut column = 0;
    for part in parts {
        let weight = part.weight.values();
        // SAFETY: `out` holds num_rows * width values and columns `column..column + outputs` lie within a row; `x` holds
        // num_rows * inputs and `weight` outputs * inputs values (checked in `product`; a matrix is as large as its shape).
        unsafe {
            gemm::gemm(
                num_rows,
                part.outputs,
                part.inputs,
                out.as_mut_ptr().add(column),
                1,
                width as isize,
                onto == Onto::Residual || part.bias.is_some(),
                x.as_ptr(),
                1,
                part.inputs as isize,
                weight.as_ptr(),
                part.inputs as isize,
                1,
                1.0,
                1.0,
                false,
                false,
                false,
                Parallelism::Rayon(0),
            );
        }
        column += part.outputs;
    }
}

fn lay_biases(parts: &[&HostLinear], out: &mut [f32], width: usize, onto: Onto) {
    if parts.iter().all(|part| part.bias.is_none()) {
        return;
    }
    out.par_chunks_mut(width).with_min_len(16).for_each(|row| {
        let mut row = row;
        for part in parts {
            let (own, rest) = row.split_at_mut(part.outputs);
            match (&part.bias, onto) {
                (Some(bias), Onto::Nothing) => own.copy_from_slice(bias.values()),
                (Some(bias), Onto::Residual) => own.iter_mut().zip(bias.values()).for_each(|(out, bias)| *out += bias),
                (None, _) => (),
            }
            row = rest;
        }
    });
}

/// Dot products, each task a run of outputs for all rows.
fn few_rows(parts: &[&HostLinear], x: &[f32], inputs: usize, out: &mut [f32], width: usize, onto: Onto) {
    let num_rows = x.len() / inputs;
    let rows: Vec<&[f32]> = x.chunks_exact(inputs).collect();
    // Outputs lie together while they are made, so that tasks own runs of memory: [sum of O, N].
    let mut columns = vec![0.0; width * num_rows];
    let per_task = (TASK_BYTES / (inputs * size_of::<f32>())).clamp(1, 512).next_multiple_of(WEIGHT_ROWS);
    let mut tasks = Vec::new();
    let mut rest = columns.as_mut_slice();
    for part in parts {
        let (own, after) = rest.split_at_mut(part.outputs * num_rows);
        tasks.extend(own.chunks_mut(per_task * num_rows).enumerate().map(|(task, own)| (*part, task * per_task, own)));
        rest = after;
    }
    tasks.into_par_iter().for_each(|(part, first, own)| {
        let weight = &part.weight.values()[first * inputs..];
        for (own, weight) in own.chunks_mut(WEIGHT_ROWS * num_rows).zip(weight.chunks(WEIGHT_ROWS * inputs)) {
            dots(weight, &rows, own);
        }
        if let Some(bias) = &part.bias {
            for (own, bias) in own.chunks_exact_mut(num_rows).zip(&bias.values()[first..]) {
                own.iter_mut().for_each(|value| *value += bias);
            }
        }
    });
    for (row, out) in out.chunks_exact_mut(width).enumerate() {
        let own = columns[row..].iter().step_by(num_rows);
        match onto {
            Onto::Nothing => out.iter_mut().zip(own).for_each(|(out, value)| *out = *value),
            Onto::Residual => out.iter_mut().zip(own).for_each(|(out, value)| *out += *value),
        }
    }
}

/// Dot products of up to [`WEIGHT_ROWS`] rows of weights with all rows: `[weight rows, N]`.
fn dots(weights: &[f32], rows: &[&[f32]], out: &mut [f32]) {
    let (inputs, num_rows) = (rows[0].len(), rows.len());
    if out.len() < WEIGHT_ROWS * num_rows {
        for (weight, out) in weights.chunks_exact(inputs).zip(out.chunks_exact_mut(num_rows)) {
            rows.iter().zip(out).for_each(|(row, out)| [[*out]] = tile([weight], [row]));
        }
        return;
    }
    let weight = |index: usize| &weights[index * inputs..][..inputs];
    let weights = [weight(0), weight(1), weight(2), weight(3)];
    let mut index = 0;
    while index + 2 <= num_rows {
        let sums = tile(weights, [rows[index], rows[index + 1]]);
        for (own, sums) in out.chunks_exact_mut(num_rows).zip(sums) {
            own[index..index + 2].copy_from_slice(&sums);
        }
        index += 2;
    }
    if index < num_rows {
        let sums = tile(weights, [rows[index]]);
        out.chunks_exact_mut(num_rows).zip(sums).for_each(|(own, [sum])| own[index] = sum);
    }
}

/// Dot products of `W` rows with `R` rows. Each is summed in the same order, eight lanes and then the rest, whatever `W` and `R` are.
#[inline(always)]
fn tile<const W: usize, const R: usize>(weights: [&[f32]; W], rows: [&[f32]; R]) -> [[f32; R]; W] {
    let len = rows[0].len();
    let weight_lanes = weights.map(|weight| weight[..len].as_chunks::<8>());
    let row_lanes = rows.map(|row| row[..len].as_chunks::<8>());
    let mut sums = [[f32x8::ZERO; R]; W];
    for index in 0..len / 8 {
        let row = row_lanes.map(|(lanes, _)| f32x8::new(lanes[index]));
        for (sums, (lanes, _)) in sums.iter_mut().zip(&weight_lanes) {
            let weight = f32x8::new(lanes[index]);
            for (sum, row) in sums.iter_mut().zip(row) {
                *sum = weight.mul_add(row, *sum);
            }
        }
    }
    let mut out = [[0.0; R]; W];
    for ((out, sums), (_, weight_rest)) in out.iter_mut().zip(sums).zip(&weight_lanes) {
        for ((out, sum), (_, row_rest)) in out.iter_mut().zip(sums).zip(&row_lanes) {
            let rest = weight_rest.iter().zip(*row_rest).fold(0.0, |sum: f32, (a, b)| a.mul_add(*b, sum));
            *out = sum.reduce_add() + rest;
        }
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::device::cpu;
    use crate::initialise::Initialiser;

    fn linear(outputs: usize, inputs: usize, bias: bool) -> HostLinear {
        let init = Initialiser::new(outputs as u64, &cpu());
        let mut linear = Linear::new("l", [inputs, outputs], bias, 1.0, &init);
        linear.bias = linear.bias.map(|_| init.normal("b", [outputs], 1.0));
        HostLinear::of(&linear).unwrap()
    }

    fn wave(len: usize) -> Vec<f32> {
        (0..len).map(|index| (index as f32 * 0.37).sin()).collect()
    }

    /// In f64, by definition.
    fn expected(parts: &[&HostLinear], x: &[f32], before: &[f32]) -> Vec<f64> {
        let inputs = parts[0].inputs;
        let mut out: Vec<f64> = before.iter().map(|&value| f64::from(value)).collect();
        let mut index = 0;
        for row in x.chunks_exact(inputs) {
            for part in parts {
                for output in 0..part.outputs {
                    let weight = &part.weight.values()[output * inputs..][..inputs];
                    out[index] += row.iter().zip(weight).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
                    out[index] += part.bias.as_ref().map_or(0.0, |bias| f64::from(bias.values()[output]));
                    index += 1;
                }
            }
        }
        out
    }

    #[test]
    fn products_are_right_for_few_and_many_rows_with_and_without_residual() {
        let (first, second) = (linear(37, 45, true), linear(19, 45, false));
        let parts = [&first, &second];
        for num_rows in [1, 3, 4, 7, FEW_ROWS, FEW_ROWS + 1, 70] {
            let x = wave(num_rows * 45);
            for onto in [Onto::Nothing, Onto::Residual] {
                let before = wave(num_rows * 56);
                let mut out = before.clone();
                product(&parts, &x, &mut out, onto);
                let zeros = vec![0.0; before.len()];
                let want = expected(&parts, &x, if onto == Onto::Residual { &before } else { &zeros });
                let worst = out.iter().zip(&want).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
                assert!(worst < 2e-5, "{num_rows} rows, {onto:?}: {worst}");
            }
        }
    }

    #[test]
    fn a_row_is_the_same_bit_for_bit_however_many_stand_beside_it() {
        let linear = linear(33, 77, true);
        let x = wave(FEW_ROWS * 77);
        let mut together = vec![0.0; FEW_ROWS * 33];
        product(&[&linear], &x, &mut together, Onto::Nothing);
        for (x, together) in x.chunks_exact(77).zip(together.chunks_exact(33)) {
            let mut alone = vec![0.0; 33];
            product(&[&linear], x, &mut alone, Onto::Nothing);
            assert_eq!(alone, together);
        }
    }
}
