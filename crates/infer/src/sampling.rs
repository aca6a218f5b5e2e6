//! Choosing the next token from its logits.
//!
//! Order, as in transformers: repetition penalty, no-repeat n-gram, forbidden tokens; then, unless the temperature is 0, temperature, top-k,
//! top-p, min-p and the draw.

use crate::error::{Error, Result};
use crate::penalties;
use crate::truncation::candidates;
use gmai_schema::Sampling;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Draws tokens for one reply; the same settings, history and logits give the same tokens.
pub struct Sampler {
    settings: Sampling,
    rng: ChaCha8Rng,
    /// Prompt and reply so far; an image stands as its image tokens.
    history: Vec<u32>,
    forbidden: Vec<u32>,
}

impl Sampler {
    /// Refuses settings out of range. `forbidden` tokens are never chosen.
    pub fn new(settings: Sampling, prompt: Vec<u32>, forbidden: Vec<u32>) -> Result<Sampler> {
        check(&settings)?;
        Ok(Sampler { settings, rng: ChaCha8Rng::seed_from_u64(settings.seed), history: prompt, forbidden })
    }

    /// The next token, by its index in `logits`; it becomes part of the history. Refused when no token is left.
    pub fn choose(&mut self, mut logits: Vec<f32>) -> Result<u32> {
        // A number that is none would order the tokens at random: the weights or the input are broken.
        if logits.iter().any(|logit| logit.is_nan()) {
            return Err(Error::NotANumber { position: self.history.len() });
        }
        penalties::repetition(&mut logits, &self.history, self.settings.repetition_penalty);
        penalties::no_repeat_ngram(&mut logits, &self.history, self.settings.no_repeat_ngram_size);
        for &id in &self.forbidden {
            if let Some(logit) = logits.get_mut(id as usize) {
                *logit = f32::NEG_INFINITY;
            }
        }
        let token = if self.settings.temperature == 0.0 { likeliest(&logits) } else { self.draw(&logits) };
        let token = token.ok_or(Error::NothingLeft { position: self.history.len() })? as u32;
        self.history.push(token);
        Ok(token)
    }

    fn draw(&mut self, logits: &[f32]) -> Option<usize> {
        let kept = candidates(logits, &self.settings);
        let mut left = self.rng.random::<f64>();
        for candidate in &kept {
            left -= candidate.probability;
            if left < 0.0 {
                return Some(candidate.id);
            }
        }
        kept.last().map(|candidate| candidate.id) // Rounding left a crumb.
    }
}

/// The first of the largest logits; `None` when all are minus infinity.
fn likeliest(logits: &[f32]) -> Option<usize> {
    let best = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    logits.iter().position(|&logit| logit == best && logit > f32::NEG_INFINITY)
}

fn check(settings: &Sampling) -> Result<()> {
    let refuse = |field, value, remedy| Err(Error::Sampling { field, value, remedy });
    if !(settings.temperature >= 0.0 && settings.temperature.is_finite()) {
        return refuse("temperature", settings.temperature, "give 0 (likeliest token) or more");
    }
    if !(settings.top_p > 0.0 && settings.top_p <= 1.0) {
        return refuse("top_p", settings.top_p, "give a share above 0, at most 1");
    }
    if !(settings.min_p >= 0.0 && settings.min_p <= 1.0) {
        return refuse("min_p", settings.min_p, "give a share from 0 to 1");
    }
    if !(settings.repetition_penalty > 0.0 && settings.repetition_penalty.is_finite()) {
        return refuse("repetition_penalty", settings.repetition_penalty, "give 1 (none) or another number above 0");
    }
    Ok(())
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

    const LOGITS: [f32; 4] = [2.0, 1.0, 0.0, -5.0];

    fn sampler(settings: Sampling) -> Sampler {
        Sampler::new(settings, Vec::new(), Vec::new()).unwrap()
    }

    fn draws(settings: Sampling, count: usize) -> Vec<u32> {
        let mut sampler = sampler(settings);
        (0..count).map(|_| sampler.choose(LOGITS.to_vec()).unwrap()).collect()
    }

    #[test]
    fn temperature_zero_takes_the_likeliest_and_the_first_of_equals() {
        assert_eq!(draws(Sampling::greedy(1), 3), [0, 0, 0]);
        assert_eq!(sampler(Sampling::greedy(1)).choose(vec![-1.0, -0.5, -0.5]).unwrap(), 1);
    }

    #[test]
    fn frequencies_follow_the_probabilities() {
        let settings = Sampling { temperature: 1.0, ..Sampling::greedy(1) };
        let first = draws(settings, 4000).iter().filter(|&&token| token == 0).count() as f64 / 4000.0;
        let expected = f64::from(log_softmax(&LOGITS)[0]).exp();
        assert!((first - expected).abs() < 0.03, "{first} against {expected}");
    }

    #[test]
    fn forbidden_tokens_are_never_chosen_and_leaving_none_is_an_error() {
        for temperature in [0.0, 1.0] {
            let settings = Sampling { temperature, ..Sampling::greedy(1) };
            let mut sampler = Sampler::new(settings, Vec::new(), vec![0, 77]).unwrap();
            assert!((0..50).all(|_| sampler.choose(LOGITS.to_vec()).unwrap() != 0));
            assert!(sampler.choose(vec![f32::NEG_INFINITY; 4]).is_err());
            assert!(sampler.choose(vec![0.0, f32::NAN]).is_err());
        }
    }

    #[test]
    fn penalties_act_on_prompt_and_reply_before_the_choice() {
        let settings = Sampling { repetition_penalty: 4.0, ..Sampling::greedy(1) };
        let mut sampler = Sampler::new(settings, vec![0], Vec::new()).unwrap();
        // Token 0 falls to 0.5, so 1 is chosen; then 1 falls to 0.25.
        assert_eq!([(); 3].map(|()| sampler.choose(LOGITS.to_vec()).unwrap()), [1, 0, 0]);
        let settings = Sampling { no_repeat_ngram_size: 2, ..Sampling::greedy(1) };
        let mut sampler = Sampler::new(settings, vec![0, 0], Vec::new()).unwrap();
        assert_eq!([(); 4].map(|()| sampler.choose(LOGITS.to_vec()).unwrap()), [1, 0, 2, 0]);
    }

    #[test]
    fn equal_seeds_give_equal_tokens() {
        let settings = Sampling { temperature: 1.0, seed: 9, ..Sampling::greedy(1) };
        assert_eq!(draws(settings, 50), draws(settings, 50));
        assert_ne!(draws(settings, 50), draws(Sampling { seed: 10, ..settings }, 50));
    }

    #[test]
    fn settings_out_of_range_are_refused_by_name() {
        let good = Sampling::greedy(1);
        for (settings, field) in [
            (Sampling { temperature: -1.0, ..good }, "temperature"),
            (Sampling { temperature: f32::NAN, ..good }, "temperature"),
            (Sampling { top_p: 0.0, ..good }, "top_p"),
            (Sampling { min_p: 1.5, ..good }, "min_p"),
            (Sampling { repetition_penalty: 0.0, ..good }, "repetition_penalty"),
        ] {
            let error = Sampler::new(settings, Vec::new(), Vec::new()).err().unwrap().to_string();
            assert!(error.starts_with(field), "{error}");
        }
    }
}
