//! How long to wait before another attempt.

use crate::failure::Failure;
use crate::settings::Settings;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::time::Duration;

/// The wait before attempt `attempt + 1` (`attempt` from 1), after `failure`.
///
/// Doubles from `first_wait_seconds`; of that, a half to the whole is drawn, so that many callers do not come back at the same moment. What the endpoint asks
/// for (`Retry-After`) is the least. The draw depends on `seed` alone: no clock, and another call waits another time.
pub(crate) fn wait(settings: &Settings, failure: &Failure, attempt: u32, seed: u64) -> Duration {
    let doubled = settings.first_wait_seconds * 2f64.powi(attempt.saturating_sub(1).min(30) as i32);
    let capped = doubled.min(settings.longest_wait_seconds);
    let mut generator = ChaCha8Rng::seed_from_u64(seed ^ u64::from(attempt));
    let share = f64::from(generator.next_u32()) / f64::from(u32::MAX);
    let drawn = capped * (0.5 + share / 2.0);
    let asked = failure.retry_after_seconds().unwrap_or(0.0);
    Duration::from_secs_f64(drawn.max(asked).min(settings.longest_wait_seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_with_jitter_up_to_the_longest() {
        let settings = Settings::new("http://h/v1", "m");
        let seconds = |attempt, seed| wait(&settings, &Failure::status(500, None, ""), attempt, seed).as_secs_f64();
        for attempt in 1..=6 {
            let whole = 2f64.powi(attempt as i32 - 1);
            assert!((0.5 * whole..=whole).contains(&seconds(attempt, 7)));
        }
        assert!(seconds(40, 7) <= 60.0);
        assert_ne!(seconds(3, 7), seconds(3, 8));
    }

    #[test]
    fn the_endpoint_may_ask_for_more_but_not_for_ever() {
        let settings = Settings::new("http://h/v1", "m");
        let asked = |value| wait(&settings, &Failure::status(429, Some(value), ""), 1, 1).as_secs_f64();
        assert_eq!(asked(7.0), 7.0);
        assert_eq!(asked(1e9), 60.0);
    }
}
