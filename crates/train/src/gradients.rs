//! Gradients by parameter name, summed over micro-batches.

use std::collections::BTreeMap;

/// Sums of gradients; the order of the names is fixed, so sums over all of them are too.
#[derive(Debug, Default, Clone)]
pub struct Gradients {
    sums: BTreeMap<String, Vec<f32>>,
}

impl Gradients {
    /// Adds one gradient to the sum under `name`.
    pub fn add(&mut self, name: &str, values: Vec<f32>) {
        match self.sums.get_mut(name) {
            Some(sum) => sum.iter_mut().zip(&values).for_each(|(sum, value)| *sum += value),
            None => {
                self.sums.insert(name.to_owned(), values);
            }
        }
    }

    /// Multiplies every value.
    pub fn scale(&mut self, factor: f32) {
        for values in self.sums.values_mut() {
            values.iter_mut().for_each(|value| *value *= factor);
        }
    }

    /// Euclidean norm over all values of all parameters.
    pub fn norm(&self) -> f64 {
        let square = |values: &Vec<f32>| values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>();
        self.sums.values().map(square).sum::<f64>().sqrt()
    }

    /// Scales down to `largest` if the norm is above it; returns the norm before.
    pub fn clip(&mut self, largest: f64) -> f64 {
        let norm = self.norm();
        if norm > largest {
            self.scale((largest / (norm + 1e-6)) as f32); // PyTorch's clip_grad_norm_ adds the same 1e-6
        }
        norm
    }

    /// The gradient of one parameter.
    pub fn get(&self, name: &str) -> Option<&[f32]> {
        self.sums.get(name).map(Vec::as_slice)
    }

    /// Names with a gradient.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.sums.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clipping_uses_the_norm_over_all_parameters() {
        let mut gradients = Gradients::default();
        gradients.add("a", vec![3.0]);
        gradients.add("b", vec![2.0]);
        gradients.add("b", vec![2.0]);
        assert_eq!(gradients.clip(1.0), 5.0);
        assert!((gradients.norm() - 1.0).abs() < 1e-5);
        assert!((gradients.get("a").map_or(0.0, |values| values[0]) - 0.6).abs() < 1e-5);
    }
}
