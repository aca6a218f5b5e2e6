//! Norms and activations of rows, spread over the threads.

use super::view::View;
use crate::fused::vector::{exp, lane_sum, sigmoid};
use crate::layers::{Activation, LayerNorm, RmsNorm};
use burn::tensor::Tensor;
use rayon::prelude::*;

/// Values handled by one task.
const TASK_VALUES: usize = 16 << 10;

/// A norm's values.
#[derive(Clone)]
pub(crate) enum HostNorm {
    /// Mean 0, variance 1, then scale and shift.
    Layer { weight: View, bias: View, eps: f32 },
    /// Root mean square 1, then scale.
    Rms { weight: View, eps: f32 },
}

impl HostNorm {
    /// `None` where the parameters cannot be seen as slices.
    pub fn layer(norm: &LayerNorm) -> Option<HostNorm> {
        Some(HostNorm::Layer { weight: View::of(&norm.weight)?, bias: View::of(&norm.bias)?, eps: norm.eps as f32 })
    }

    /// `None` where the parameters cannot be seen as slices.
    pub fn rms(norm: &RmsNorm) -> Option<HostNorm> {
        Some(HostNorm::Rms { weight: View::of(&norm.weight)?, eps: norm.eps as f32 })
    }

    /// The same of a tensor's values.
    pub fn forward(&self, x: &View, shape: [usize; 3]) -> Tensor<3> {
        let mut out = vec![0.0; x.values().len()];
        self.apply(x.values(), &mut out);
        super::tensor(out, shape)
    }

    /// Each row of `x` `[N, D]` into `out`.
    pub fn apply(&self, x: &[f32], out: &mut [f32]) {
        match self {
            HostNorm::Layer { weight, bias, eps } => {
                let (weight, bias) = (weight.values(), bias.values());
                by_rows(x, out, weight.len(), |x, out| layer_norm(x, weight, bias, *eps, out));
            }
            HostNorm::Rms { weight, eps } => {
                let weight = weight.values();
                by_rows(x, out, weight.len(), |x, out| rms_norm(x, weight, *eps, out));
            }
        }
    }
}

fn by_rows(x: &[f32], out: &mut [f32], width: usize, norm: impl Fn(&[f32], &mut [f32]) + Sync) {
    let min_len = (TASK_VALUES / width).max(1);
    out.par_chunks_exact_mut(width)
        .zip(x.par_chunks_exact(width))
        .with_min_len(min_len)
        .for_each(|(out, x)| norm(x, out));
}

fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], eps: f32, out: &mut [f32]) {
    let count = x.len() as f32;
    let mean = lane_sum(x, |value| value) / count;
    let variance = lane_sum(x, |value| (value - mean) * (value - mean)) / count;
    let scale = 1.0 / (variance + eps).sqrt();
    for ((out, x), (weight, bias)) in out.iter_mut().zip(x).zip(weight.iter().zip(bias)) {
        *out = ((x - mean) * scale).mul_add(*weight, *bias);
    }
}

fn rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let scale = 1.0 / (lane_sum(x, |value| value * value) / x.len() as f32 + eps).sqrt();
    for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
        *out = x * scale * weight;
    }
}

/// Each value of `x` by itself, in place.
pub(crate) fn activate(activation: Activation, x: &mut [f32]) {
    match activation {
        Activation::QuickGelu => each(x, quick_gelu),
        Activation::Gelu => each(x, gelu),
        Activation::GeluTanh => each(x, gelu_tanh),
        Activation::Silu => each(x, silu),
        Activation::Relu => each(x, relu),
    }
}

// Generic, so that each function is compiled into its loop as vector code.
fn each(x: &mut [f32], function: impl Fn(f32) -> f32 + Sync) {
    x.par_chunks_mut(TASK_VALUES).for_each(|x| x.iter_mut().for_each(|value| *value = function(*value)));
}

/// `activation(gate) * value` of rows `[gate, value]`, each F wide: `x` `[N, 2 F]`, `out` `[N, F]`.
pub(crate) fn gate(activation: Activation, x: &[f32], width: usize, out: &mut [f32]) {
    match activation {
        Activation::QuickGelu => gate_each(x, width, out, quick_gelu),
        Activation::Gelu => gate_each(x, width, out, gelu),
        Activation::GeluTanh => gate_each(x, width, out, gelu_tanh),
        Activation::Silu => gate_each(x, width, out, silu),
        Activation::Relu => gate_each(x, width, out, relu),
    }
}

fn gate_each(x: &[f32], width: usize, out: &mut [f32], function: impl Fn(f32) -> f32 + Sync) {
    let min_len = (TASK_VALUES / width).max(1);
    let rows = out.par_chunks_exact_mut(width).zip(x.par_chunks_exact(2 * width)).with_min_len(min_len);
    rows.for_each(|(out, row)| {
        let (gate, value) = row.split_at(width);
        for ((out, gate), value) in out.iter_mut().zip(gate).zip(value) {
            *out = function(*gate) * value;
        }
    });
}

#[inline(always)]
fn relu(x: f32) -> f32 {
    x.max(0.0)
}

#[inline(always)]
fn silu(x: f32) -> f32 {
    x * sigmoid(x)
}

#[inline(always)]
fn quick_gelu(x: f32) -> f32 {
    x * sigmoid(1.702 * x)
}

/// `x / 2 (1 + tanh u)` is `x sigmoid(2 u)`.
#[inline(always)]
fn gelu_tanh(x: f32) -> f32 {
    const TWICE_ROOT: f32 = 1.595_769; // 2 sqrt(2 / pi)
    x * sigmoid(TWICE_ROOT * (x + 0.044_715 * x * x * x))
}

/// `x P(X <= x)` through the complementary error function (Abramowitz and Stegun, 7.1.26: within 1.5e-7).
#[inline(always)]
fn gelu(x: f32) -> f32 {
    let z = (x * std::f32::consts::FRAC_1_SQRT_2).abs();
    let t = 1.0 / 0.327_591_1f32.mul_add(z, 1.0);
    let mut p = 1.061_405_4f32;
    for coefficient in [-1.453_152_1, 1.421_413_8, -0.284_496_72, 0.254_829_6] {
        p = p.mul_add(t, coefficient);
    }
    let tail = 0.5 * p * t * exp(-z * z); // P(X > |x|)
    if x >= 0.0 { x - x * tail } else { x * tail }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::device::cpu;
    use crate::initialise::Initialiser;
    use burn::tensor::TensorData;

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn activations_equal_those_composed_of_burn_operations() {
        let x: Vec<f32> = (-1200..1200).map(|step| step as f32 * 0.01).collect();
        let y: Vec<f32> = x.iter().map(|value| (value * 3.0).cos()).collect();
        let tensor = |values: &[f32]| Tensor::<3>::from_data(TensorData::new(values.to_vec(), [1, 1, x.len()]), &cpu());
        for activation in
            [Activation::QuickGelu, Activation::Gelu, Activation::GeluTanh, Activation::Silu, Activation::Relu]
        {
            let mut own = x.clone();
            activate(activation, &mut own);
            let composed = values(activation.forward(tensor(&x)));
            assert!(largest_difference(&own, &composed) < 2e-6, "{activation:?}");
            let mut gated = vec![0.0; x.len()];
            gate(activation, &[x.clone(), y.clone()].concat(), x.len(), &mut gated);
            let composed = values(activation.gated(tensor(&x), tensor(&y)));
            assert!(largest_difference(&gated, &composed) < 2e-6, "{activation:?} gated");
        }
    }

    #[test]
    fn norms_equal_those_composed_of_burn_operations() {
        let init = Initialiser::new(3, &cpu());
        let x: Tensor<3> = init.normal("x", [1, 40, 52], 3.0) + 1.0;
        let mut layer = LayerNorm::new(52, 1e-5, &init);
        (layer.weight, layer.bias) = (init.normal("w", [52], 1.0), init.normal("b", [52], 1.0));
        let mut rms = RmsNorm::new(52, 1e-6, &init);
        rms.weight = init.normal("r", [52], 1.0);
        let input = values(x.clone());
        let mut out = vec![0.0; input.len()];
        HostNorm::layer(&layer).unwrap().apply(&input, &mut out);
        assert!(largest_difference(&out, &values(layer.forward(x.clone()))) < 5e-6);
        HostNorm::rms(&rms).unwrap().apply(&input, &mut out);
        assert!(largest_difference(&out, &values(rms.forward(x))) < 5e-6);
    }
}
