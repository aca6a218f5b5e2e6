//! Rotary positions: frequencies with their scaling, angles, and the rotation.
//!
//! Shapes: B batch, T tokens, H heads, C head width.

use crate::config::{RopeScaling, TextConfig, TextType};
use crate::fused::Rotary;
use burn::tensor::{DType, Device, Tensor, TensorData};
use std::f64::consts::PI;

/// How fast each pair of a head's values turns from token to token.
#[derive(Debug, Clone, PartialEq)]
pub struct Frequencies {
    /// Radians per position. `[C / 2]`
    pub per_position: Vec<f32>,
    /// What positions are divided by before.
    pub position_divisor: f32,
}

impl Frequencies {
    /// Frequencies for sequences that reach `longest` tokens; computed in f64, then rounded as the reference does.
    ///
    /// Dynamic NTK: beyond `max_position_embeddings` the base grows with the longest sequence, so frequencies are made per
    /// forward pass.
    pub fn new(config: &TextConfig, longest: usize) -> Frequencies {
        let width = config.head_dim as f64;
        let base = match config.rope_scaling {
            Some(RopeScaling::Dynamic { factor }) if longest > config.max_position_embeddings => {
                let stretch = factor * longest as f64 / config.max_position_embeddings as f64;
                config.rope_theta * (stretch - (factor - 1.0)).powf(width / (width - 2.0))
            }
            _ => config.rope_theta,
        };
        let plain = (0..config.head_dim / 2).map(|index| 1.0 / base.powf(2.0 * index as f64 / width));
        let mut position_divisor = 1.0;
        let per_position = match config.rope_scaling {
            // The same product, rounded elsewhere: the release divides positions, transformers frequencies.
            Some(RopeScaling::Linear { factor }) if config.model_type == TextType::InternLm2 => {
                position_divisor = factor as f32;
                plain.map(|frequency| frequency as f32).collect()
            }
            Some(RopeScaling::Linear { factor }) => plain.map(|frequency| (frequency / factor) as f32).collect(),
            Some(scaling @ RopeScaling::Llama3 { .. }) => {
                plain.map(|frequency| llama3(frequency, &scaling) as f32).collect()
            }
            _ => plain.map(|frequency| frequency as f32).collect(),
        };
        Frequencies { per_position, position_divisor }
    }
}

/// Llama 3.1's rule (`_compute_llama3_parameters` of transformers).
fn llama3(frequency: f64, scaling: &RopeScaling) -> f64 {
    let RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_position_embeddings } = *scaling
    else {
        return frequency;
    };
    let turns = original_max_position_embeddings as f64 * frequency / (2.0 * PI); // within the original length
    if turns < low_freq_factor {
        return frequency / factor;
    }
    if turns > high_freq_factor {
        return frequency;
    }
    let smooth = (turns - low_freq_factor) / (high_freq_factor - low_freq_factor);
    (1.0 - smooth) * frequency / factor + smooth * frequency
}

/// Angles of rotary positions, `[B * T, C / 2]`.
#[derive(Debug, Clone)]
pub struct RotaryAngles {
    half: usize,
    angles: Vec<f32>,
}

impl RotaryAngles {
    /// Angles of `positions[b][t]`.
    pub fn new(positions: &[Vec<usize>], frequencies: &Frequencies) -> RotaryAngles {
        let mut angles = Vec::new();
        for &position in positions.iter().flatten() {
            let position = position as f32 / frequencies.position_divisor;
            angles.extend(frequencies.per_position.iter().map(|frequency| position * frequency));
        }
        RotaryAngles { half: frequencies.per_position.len(), angles }
    }
}

impl From<RotaryAngles> for Rotary {
    fn from(angles: RotaryAngles) -> Rotary {
        let of = |function: fn(f32) -> f32| angles.angles.iter().map(|&angle| function(angle)).collect();
        Rotary { cos: of(f32::cos), sin: of(f32::sin) }
    }
}

/// Sines and cosines of rotary positions (NeoX layout: the two halves of a head rotate against each other).
#[derive(Debug, Clone)]
pub struct RotaryPositions {
    cos: Tensor<4>, // [B, 1, T, C]
    sin: Tensor<4>, // [B, 1, T, C]
}

impl RotaryPositions {
    /// Tables of the angles of `batch` rows.
    pub fn new(angles: &RotaryAngles, batch: usize, device: &Device) -> RotaryPositions {
        let half = angles.half;
        let shape = [batch, 1, angles.angles.len() / half / batch.max(1), 2 * half];
        let table = |function: fn(f32) -> f32| {
            let row = |angles: &[f32]| {
                let values: Vec<f32> = angles.iter().map(|&angle| function(angle)).collect();
                values.repeat(2)
            };
            let values: Vec<f32> = angles.angles.chunks_exact(half).flat_map(row).collect();
            Tensor::from_data(TensorData::new(values, shape), device)
        };
        RotaryPositions { cos: table(f32::cos), sin: table(f32::sin) }
    }

    /// Rotates `[B, H, T, C]`.
    pub fn rotate(&self, x: Tensor<4>) -> Tensor<4> {
        let half = x.dims()[3] / 2;
        let dtype = x.dtype();
        let x = x.cast(DType::F32);
        let first = x.clone().narrow(3, 0, half);
        let second = x.clone().narrow(3, half, half);
        let turned = Tensor::cat(vec![second.neg(), first], 3); // [B, H, T, C]
        (x * self.cos.clone() + turned * self.sin.clone()).cast(dtype)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn text(scaling: Option<RopeScaling>) -> TextConfig {
        let config: crate::Config = serde_json::from_str(include_str!("../../../configs/model/tiny.json")).unwrap();
        TextConfig { rope_scaling: scaling, head_dim: 8, rope_theta: 10000.0, ..config.text_config }
    }

    #[test]
    fn llama3_keeps_high_frequencies_and_divides_low_ones() {
        let scaling = RopeScaling::Llama3 {
            factor: 8.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position_embeddings: 256,
        };
        let (plain, scaled) = (Frequencies::new(&text(None), 9), Frequencies::new(&text(Some(scaling)), 9));
        let ratio: Vec<f32> = plain.per_position.iter().zip(&scaled.per_position).map(|(a, b)| a / b).collect();
        // 256 tokens hold 40.7, 4.07, 0.407, 0.0407 turns.
        assert_eq!(ratio, [1.0, 1.0, 8.0, 8.0]);
    }

    #[test]
    fn dynamic_scaling_starts_beyond_the_longest_trained_sequence() {
        let config = text(Some(RopeScaling::Dynamic { factor: 2.0 }));
        let at = |longest| Frequencies::new(&config, longest);
        assert_eq!(at(512), Frequencies::new(&text(None), 512));
        assert!(at(513).per_position[3] < at(512).per_position[3]);
        // Twice the length with factor 2: the base grows by 3^(8 / 6).
        let grown = f64::from(at(512).per_position[3] / at(1024).per_position[3]);
        assert!((grown - 3f64.powf(8.0 / 6.0 * 0.75)).abs() < 1e-5, "{grown}");
    }

    #[test]
    fn linear_scaling_is_the_same_product_in_both_families() {
        let config = text(Some(RopeScaling::Linear { factor: 4.0 }));
        let release = Frequencies::new(&config, 9);
        let transformers = Frequencies::new(&TextConfig { model_type: TextType::Llama, ..config }, 9);
        assert_eq!((release.position_divisor, transformers.position_divisor), (4.0, 1.0));
        assert!((release.per_position[1] / 4.0 - transformers.per_position[1]).abs() < 1e-9);
    }
}
