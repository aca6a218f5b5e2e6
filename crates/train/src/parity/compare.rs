//! One quantity against its reference.

use super::Tensors;
use gmai_model::weights::OwnedTensor;
use serde::Serialize;

/// Outcome for one quantity.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// What the name starts with, e.g. `batch`.
    pub case: String,
    /// The rest of the name.
    pub name: String,
    /// Shape of the reference.
    pub shape: Vec<usize>,
    /// Largest difference of a value; `null` when nothing of that shape was computed.
    pub max_absolute: Option<f64>,
    /// Gradients: norm of the difference over the norm. Others: largest difference over the largest value.
    pub max_relative: Option<f64>,
    /// What is asked, e.g. `absolute 2e-4`.
    pub tolerance: String,
    /// Whether it is met.
    pub pass: bool,
}

/// What is asked of a quantity.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Tolerance {
    /// Largest difference of a value.
    Absolute(f64),
    /// Largest difference over the largest value.
    Relative(f64),
    /// Norm of the difference over the norm.
    Norm(f64),
    /// No difference.
    Equal,
}

impl Tolerance {
    /// Sums run in another order than the reference's, over a few blocks in f32.
    fn of(name: &str) -> Tolerance {
        let last = name.rsplit('.').next().unwrap_or(name);
        if name.contains(".grad.") {
            return Tolerance::Norm(1e-3);
        }
        match last {
            "tokens" => Tolerance::Equal,
            "logprobs" => Tolerance::Absolute(1e-3),
            "loss" => Tolerance::Relative(1e-5),
            "losses" => Tolerance::Absolute(1e-4),
            "grad_norm" | "grad_norms" => Tolerance::Relative(1e-3),
            _ => Tolerance::Absolute(2e-4),
        }
    }

    fn text(self) -> String {
        match self {
            Tolerance::Absolute(most) => format!("absolute {most:e}"),
            Tolerance::Relative(most) => format!("relative {most:e}"),
            Tolerance::Norm(most) => format!("norm {most:e}"),
            Tolerance::Equal => "equal".to_owned(),
        }
    }
}

/// A gradient below this share of the whole gradient's norm is rounding: keys' biases shift all scores of a query alike, so their
/// true gradient is 0 and what is found is noise.
const NOISE: f64 = 1e-6;

/// Compares `computed` with `reference`. `mask` tells which rows of the last dimension carry meaning, for logits.
pub(super) fn line(
    full_name: &str,
    reference: &OwnedTensor,
    computed: Option<&OwnedTensor>,
    mask: Option<&[bool]>,
    vectors: &Tensors,
) -> Line {
    let (case, name) = full_name.split_once('.').unwrap_or(("", full_name));
    let tolerance = Tolerance::of(full_name);
    let line = Line {
        case: case.to_owned(),
        name: name.to_owned(),
        shape: reference.shape.clone(),
        max_absolute: None,
        max_relative: None,
        tolerance: tolerance.text(),
        pass: false,
    };
    let Some(computed) = computed.filter(|computed| computed.shape == reference.shape) else { return line };
    let width = match (mask, name) {
        (Some(mask), "logits") if !mask.is_empty() => reference.values.len() / mask.len(),
        _ => 0,
    };
    let counts = |index: usize| mask.filter(|_| width > 0).is_none_or(|mask| mask[index / width]);
    let pairs = reference.values.iter().zip(&computed.values).enumerate().filter(|(index, _)| counts(*index));
    let pairs: Vec<(f64, f64)> = pairs.map(|(_, (a, b))| (f64::from(*a), f64::from(*b))).collect();
    // NaN on either side is the largest difference of all.
    let gap = |(a, b): &(f64, f64)| if a.is_nan() || b.is_nan() { f64::INFINITY } else { (a - b).abs() };
    let absolute = pairs.iter().map(gap).fold(0.0, f64::max);
    let relative = match tolerance {
        Tolerance::Norm(_) => {
            let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
            let size = norm(&mut pairs.iter().map(|(a, _)| *a));
            let whole = vectors.get(&format!("{case}.grad_norm")).map_or(0.0, |norm| f64::from(norm.values[0]));
            norm(&mut pairs.iter().map(gap)) / size.max(NOISE * whole / 1e-3).max(f64::MIN_POSITIVE)
        }
        _ => absolute / pairs.iter().map(|(a, _)| a.abs()).fold(f64::MIN_POSITIVE, f64::max),
    };
    let pass = match tolerance {
        Tolerance::Absolute(most) => absolute <= most,
        Tolerance::Relative(most) | Tolerance::Norm(most) => relative <= most,
        Tolerance::Equal => absolute == 0.0,
    };
    Line { max_absolute: Some(absolute), max_relative: Some(relative), pass, ..line }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(values: &[f32]) -> OwnedTensor {
        OwnedTensor { shape: vec![values.len()], values: values.to_vec() }
    }

    fn compared(name: &str, reference: &[f32], computed: &[f32]) -> Line {
        line(name, &tensor(reference), Some(&tensor(computed)), None, &Tensors::new())
    }

    #[test]
    fn each_quantity_has_its_tolerance() {
        assert!(compared("one.logits", &[1.0], &[1.0001]).pass);
        assert!(!compared("one.logits", &[1.0], &[1.0003]).pass);
        assert!(!compared("one.loss", &[1.0], &[1.0001]).pass);
        assert!(compared("batch.grad.w", &[3.0, 4.0], &[3.0, 4.004]).pass);
        assert!(!compared("batch.grad.w", &[3.0, 4.0], &[3.0, 4.006]).pass);
        assert!(!compared("greedy.tokens", &[7.0], &[8.0]).pass);
    }

    #[test]
    fn nan_and_missing_tensors_do_not_pass() {
        assert!(!compared("one.logits", &[1.0], &[f32::NAN]).pass);
        assert!(!line("one.logits", &tensor(&[1.0]), None, None, &Tensors::new()).pass);
        assert!(!compared("one.logits", &[1.0], &[1.0, 1.0]).pass);
    }

    #[test]
    fn logits_count_where_the_reference_does_not_pad() {
        let reference = OwnedTensor { shape: vec![1, 2, 2], values: vec![1.0, 2.0, 9.0, 9.0] };
        let computed = OwnedTensor { shape: vec![1, 2, 2], values: vec![1.0, 2.0, 0.0, 0.0] };
        let mask = [true, false];
        assert!(line("batch.logits", &reference, Some(&computed), Some(&mask), &Tensors::new()).pass);
    }
}
