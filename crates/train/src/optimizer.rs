//! AdamW with decoupled weight decay (arXiv 1711.05101), state by parameter name.

use crate::gradients::Gradients;
use crate::recipe::OptimizerConfig;
use burn::tensor::Device;
use gmai_model::Parameters;
use gmai_model::weights::OwnedTensor;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Moments of every trained parameter and the number of steps taken.
#[derive(Debug, Clone, Default)]
pub struct AdamW {
    moments: BTreeMap<String, Moments>,
    num_steps: u32,
}

#[derive(Debug, Clone)]
struct Moments {
    first: Vec<f32>,
    second: Vec<f32>,
}

/// Values are updated in pieces of this many, spread over the threads; each value's result does not depend on the pieces.
const PIECE: usize = 16 * 1024;

impl AdamW {
    /// Moves each parameter of `module` that has a gradient; `rate` gives its learning rate, `None` leaves it alone.
    pub fn step(
        &mut self,
        module: &mut impl Parameters,
        gradients: &Gradients,
        config: &OptimizerConfig,
        rate: &dyn Fn(&str) -> Option<f64>,
        device: &Device,
    ) {
        module.visit_parameters("", &mut |name, mut parameter| {
            let (Some(gradient), Some(rate)) = (gradients.get(name), rate(name)) else { return };
            let moments = self
                .moments
                .entry(name.to_owned())
                .or_insert_with(|| Moments { first: vec![0.0; gradient.len()], second: vec![0.0; gradient.len()] });
            // Biases and norms are not decayed: they do not add up over inputs.
            let decay = if parameter.dims().len() > 1 { config.weight_decay } else { 0.0 };
            let update = Update::new(config, rate, decay, self.num_steps + 1);
            let mut values = parameter.to_vec();
            values
                .par_chunks_mut(PIECE)
                .zip(gradient.par_chunks(PIECE))
                .zip(moments.first.par_chunks_mut(PIECE).zip(moments.second.par_chunks_mut(PIECE)))
                .for_each(|((values, gradient), (first, second))| update.apply(values, gradient, first, second));
            parameter.set(values, device);
        });
        self.num_steps += 1;
    }

    /// State as named tensors, for a checkpoint.
    pub fn to_tensors(&self) -> BTreeMap<String, OwnedTensor> {
        let tensor = |values: &Vec<f32>| OwnedTensor { shape: vec![values.len()], values: values.clone() };
        let pair = |(name, moments): (&String, &Moments)| {
            [(format!("first.{name}"), tensor(&moments.first)), (format!("second.{name}"), tensor(&moments.second))]
        };
        self.moments.iter().flat_map(pair).collect()
    }

    /// State from named tensors; `None` if a moment lacks its twin.
    pub fn from_tensors(mut tensors: BTreeMap<String, OwnedTensor>, num_steps: u32) -> Option<AdamW> {
        let mut moments = BTreeMap::new();
        let names: Vec<String> =
            tensors.keys().filter_map(|key| key.strip_prefix("first.")).map(str::to_owned).collect();
        for name in names {
            let first = tensors.remove(&format!("first.{name}"))?.values;
            let second = tensors.remove(&format!("second.{name}"))?.values;
            moments.insert(name, Moments { first, second });
        }
        tensors.is_empty().then_some(AdamW { moments, num_steps })
    }

    /// Steps taken.
    pub fn num_steps(&self) -> u32 {
        self.num_steps
    }
}

/// The numbers that one step shares, in the order of PyTorch's AdamW.
struct Update {
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    keep: f32,
    step_size: f32,
    root_correction: f32,
}

impl Update {
    fn new(config: &OptimizerConfig, rate: f64, decay: f64, step: u32) -> Update {
        let step = i32::try_from(step).unwrap_or(i32::MAX);
        Update {
            beta1: config.beta1 as f32,
            beta2: config.beta2 as f32,
            epsilon: config.epsilon as f32,
            keep: (1.0 - rate * decay) as f32,
            step_size: (rate / (1.0 - config.beta1.powi(step))) as f32,
            root_correction: (1.0 - config.beta2.powi(step)).sqrt() as f32,
        }
    }

    fn apply(&self, values: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32]) {
        for (((value, &gradient), first), second) in values.iter_mut().zip(gradient).zip(first).zip(second) {
            *first += (1.0 - self.beta1) * (gradient - *first);
            *second = self.beta2 * *second + (1.0 - self.beta2) * gradient * gradient;
            let denominator = second.sqrt() / self.root_correction + self.epsilon;
            *value = *value * self.keep - self.step_size * *first / denominator;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_step_moves_by_the_rate_against_the_sign() {
        let config = OptimizerConfig::default();
        let update = Update::new(&config, 0.1, 0.0, 1);
        let (mut values, mut first, mut second) = ([1.0, 1.0], [0.0; 2], [0.0; 2]);
        update.apply(&mut values, &[0.5, -2.0], &mut first, &mut second);
        assert!((values[0] - 0.9).abs() < 1e-5 && (values[1] - 1.1).abs() < 1e-5, "{values:?}");
    }

    #[test]
    fn state_survives_a_round_trip() {
        let moments = Moments { first: vec![1.0], second: vec![2.0] };
        let optimizer = AdamW { moments: BTreeMap::from([("w".to_owned(), moments)]), num_steps: 3 };
        let restored = AdamW::from_tensors(optimizer.to_tensors(), 3);
        assert!(restored.is_some_and(|restored| restored.to_tensors() == optimizer.to_tensors()));
    }
}
