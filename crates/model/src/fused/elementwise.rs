//! Activations on slices, forward and backward, spread over the threads.

use super::vector::{exp, sigmoid};
use rayon::prelude::*;

/// Values handled by one task: large enough to pay for its start, small enough to stay in a core's cache.
const PIECE: usize = 8 * 1024;

/// `silu(a) * b`, the gate of Llama's feed-forward part.
pub fn swiglu(a: &[f32], b: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; a.len()];
    out.par_chunks_mut(PIECE).zip(a.par_chunks(PIECE).zip(b.par_chunks(PIECE))).for_each(|(out, (a, b))| {
        for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
            *out = a * sigmoid(*a) * b;
        }
    });
    out
}

/// Gradients of [`swiglu`] by `a` and by `b`.
pub fn swiglu_backward(a: &[f32], b: &[f32], gradient: &[f32]) -> [Vec<f32>; 2] {
    let (mut da, mut db) = (vec![0.0; a.len()], vec![0.0; b.len()]);
    let inputs = a.par_chunks(PIECE).zip(b.par_chunks(PIECE)).zip(gradient.par_chunks(PIECE));
    da.par_chunks_mut(PIECE).zip(db.par_chunks_mut(PIECE)).zip(inputs).for_each(|((da, db), ((a, b), gradient))| {
        for index in 0..a.len() {
            let gate = sigmoid(a[index]);
            let silu = a[index] * gate;
            da[index] = gradient[index] * b[index] * (gate + silu * (1.0 - gate));
            db[index] = gradient[index] * silu;
        }
    });
    [da, db]
}

/// Slope inside CLIP's approximate GELU.
const QUICK: f32 = 1.702;

/// `x * sigmoid(1.702 x)`, CLIP's approximate GELU.
pub fn quick_gelu(x: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; x.len()];
    out.par_chunks_mut(PIECE).zip(x.par_chunks(PIECE)).for_each(|(out, x)| {
        for (out, x) in out.iter_mut().zip(x) {
            *out = x * sigmoid(QUICK * x);
        }
    });
    out
}

/// Gradient of [`quick_gelu`].
pub fn quick_gelu_backward(x: &[f32], gradient: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; x.len()];
    out.par_chunks_mut(PIECE).zip(x.par_chunks(PIECE).zip(gradient.par_chunks(PIECE))).for_each(
        |(out, (x, gradient))| {
            for ((out, x), gradient) in out.iter_mut().zip(x).zip(gradient) {
                let gate = sigmoid(QUICK * x);
                *out = gradient * (gate + QUICK * x * gate * (1.0 - gate));
            }
        },
    );
    out
}

/// Summed cross-entropy of `logits` `[n, V]` against `labels`, and its gradient by the logits (softmax minus one-hot).
pub fn cross_entropy(logits: &[f32], labels: &[u32]) -> (f64, Vec<f32>) {
    let vocabulary = logits.len() / labels.len().max(1);
    let mut gradient = vec![0.0; logits.len()];
    let losses: Vec<f64> = gradient
        .par_chunks_exact_mut(vocabulary.max(1))
        .zip(logits.par_chunks_exact(vocabulary.max(1)))
        .zip(labels.par_iter())
        .map(|((gradient, logits), &label)| {
            let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            gradient.iter_mut().zip(logits).for_each(|(out, logit)| *out = exp(logit - top));
            let sum: f32 = gradient.iter().sum();
            let factor = 1.0 / sum;
            gradient.iter_mut().for_each(|value| *value *= factor);
            gradient[label as usize] -= 1.0;
            f64::from(top) + f64::from(sum).ln() - f64::from(logits[label as usize])
        })
        .collect();
    (losses.iter().sum(), gradient) // Summed in order: the result does not depend on the threads.
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(forward: impl Fn(&[f32]) -> f64, x: &[f32], gradient: &[f32]) {
        for index in 0..x.len() {
            let mut shifted = x.to_vec();
            shifted[index] += 1e-2;
            let up = forward(&shifted);
            shifted[index] -= 2e-2;
            let numeric = (up - forward(&shifted)) / 2e-2;
            assert!(
                (f64::from(gradient[index]) - numeric).abs() < 2e-3,
                "{index}: {} against {numeric}",
                gradient[index]
            );
        }
    }

    fn sum(values: &[f32]) -> f64 {
        values.iter().map(|&value| f64::from(value)).sum()
    }

    #[test]
    fn gradients_equal_finite_differences() {
        let a: Vec<f32> = (0..20).map(|index| index as f32 * 0.4 - 4.0).collect();
        let b: Vec<f32> = a.iter().map(|value| (value * 1.3).cos()).collect();
        let ones = vec![1.0; a.len()];
        let [da, db] = swiglu_backward(&a, &b, &ones);
        check(|a| sum(&swiglu(a, &b)), &a, &da);
        check(|b| sum(&swiglu(&a, b)), &b, &db);
        check(|x| sum(&quick_gelu(x)), &a, &quick_gelu_backward(&a, &ones));
        let labels = [3, 0, 4, 1];
        check(|logits| cross_entropy(logits, &labels).0, &a, &cross_entropy(&a, &labels).1);
    }

    #[test]
    fn uniform_logits_cost_the_logarithm_of_the_vocabulary() {
        assert!((cross_entropy(&[0.5; 14], &[0, 6]).0 - 2.0 * 7f64.ln()).abs() < 1e-6);
    }
}
