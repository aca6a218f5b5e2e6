//! Choosing the next token from its log-probabilities.

use crate::error::{Error, Result};
use gmai_schema::Sampling;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Draws tokens for one reply; the same settings and logits give the same tokens.
pub struct Sampler {
    settings: Sampling,
    rng: ChaCha8Rng,
}

impl Sampler {
    /// Refuses settings out of range.
    pub fn new(settings: Sampling) -> Result<Sampler> {
        if !(settings.temperature >= 0.0 && settings.temperature.is_finite()) {
            let (field, value) = ("temperature", settings.temperature);
            return Err(Error::Sampling { field, value, remedy: "give 0 (likeliest token) or more" });
        }
        if !(settings.top_p > 0.0 && settings.top_p <= 1.0) {
            let (field, value) = ("top_p", settings.top_p);
            return Err(Error::Sampling { field, value, remedy: "give a share above 0, at most 1" });
        }
        Ok(Sampler { settings, rng: ChaCha8Rng::seed_from_u64(settings.seed) })
    }

    /// The next token, by its index in `log_probabilities` (natural logarithms that sum to 1 in probability).
    pub fn choose(&mut self, log_probabilities: &[f32]) -> usize {
        let mut order: Vec<usize> = (0..log_probabilities.len()).collect();
        // Ties go to the lower id, so that the order never depends on the sort.
        let better = |a: &usize, b: &usize| log_probabilities[*b].total_cmp(&log_probabilities[*a]).then(a.cmp(b));
        if self.settings.temperature == 0.0 {
            return order.into_iter().min_by(better).unwrap_or(0);
        }
        order.sort_unstable_by(better);
        if self.settings.top_k > 0 {
            order.truncate(self.settings.top_k);
        }
        let top = order.first().map_or(0.0, |&best| log_probabilities[best]);
        let weight = |token: &usize| f64::from((log_probabilities[*token] - top) / self.settings.temperature).exp();
        let mut weights: Vec<f64> = order.iter().map(weight).collect();
        let total: f64 = weights.iter().sum();
        let mut kept = 0.0;
        let nucleus = weights.iter().position(|weight| {
            kept += weight;
            kept >= total * f64::from(self.settings.top_p)
        });
        weights.truncate(nucleus.map_or(weights.len(), |last| last + 1));
        let mut left = self.rng.random::<f64>() * weights.iter().sum::<f64>();
        for (token, weight) in order.iter().zip(&weights) {
            left -= weight;
            if left < 0.0 {
                return *token;
            }
        }
        order[weights.len() - 1] // Rounding left a crumb.
    }
}

/// Logits to natural log-probabilities.
pub fn log_softmax(logits: &[f32]) -> Vec<f32> {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&logit| f64::from(logit - top).exp()).sum();
    let log_sum = sum.ln() as f32;
    logits.iter().map(|&logit| logit - top - log_sum).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn draws(settings: Sampling, count: usize) -> Vec<usize> {
        let log_probabilities = log_softmax(&[2.0, 1.0, 0.0, -5.0]);
        let mut sampler = Sampler::new(settings).unwrap();
        (0..count).map(|_| sampler.choose(&log_probabilities)).collect()
    }

    #[test]
    fn temperature_zero_takes_the_likeliest_and_the_first_of_equals() {
        assert_eq!(draws(Sampling::greedy(1), 3), [0, 0, 0]);
        assert_eq!(Sampler::new(Sampling::greedy(1)).unwrap().choose(&[-1.0, -0.5, -0.5]), 1);
    }

    #[test]
    fn frequencies_follow_the_probabilities() {
        let settings = Sampling { temperature: 1.0, ..Sampling::greedy(1) };
        let first = draws(settings, 4000).iter().filter(|&&token| token == 0).count() as f64 / 4000.0;
        let expected = f64::from(log_softmax(&[2.0, 1.0, 0.0, -5.0])[0]).exp();
        assert!((first - expected).abs() < 0.03, "{first} against {expected}");
    }

    #[test]
    fn top_k_and_top_p_cut_the_tail() {
        let settings = Sampling { temperature: 1.0, top_k: 2, ..Sampling::greedy(1) };
        assert!(draws(settings, 500).iter().all(|&token| token < 2));
        let settings = Sampling { temperature: 1.0, top_p: 0.5, ..Sampling::greedy(1) };
        assert!(draws(settings, 500).iter().all(|&token| token == 0));
        assert!(Sampler::new(Sampling { top_p: 0.0, ..settings }).is_err());
    }

    #[test]
    fn equal_seeds_give_equal_tokens() {
        let settings = Sampling { temperature: 1.0, seed: 9, ..Sampling::greedy(1) };
        assert_eq!(draws(settings, 50), draws(settings, 50));
        assert_ne!(draws(settings, 50), draws(Sampling { seed: 10, ..settings }, 50));
    }
}
