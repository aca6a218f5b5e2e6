//! The learning rate over a stage: linear warm-up, then cosine to 0 (paper, section 4.2).

/// Factor on the peak rate at `step` (from 0) of `num_steps`.
pub fn factor(step: usize, num_steps: usize, warmup_share: f64) -> f64 {
    let warmup = (num_steps as f64 * warmup_share).ceil() as usize;
    if step < warmup {
        return (step + 1) as f64 / (warmup + 1) as f64;
    }
    let progress = (step - warmup) as f64 / (num_steps - warmup).max(1) as f64;
    0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
}

#[cfg(test)]
mod tests {
    use super::factor;

    #[test]
    fn rises_to_one_and_falls_towards_zero() {
        let factors: Vec<f64> = (0..100).map(|step| factor(step, 100, 0.03)).collect();
        assert!((factors[0] - 0.25).abs() < 1e-12);
        assert_eq!(factors[3], 1.0);
        assert!(factors[3..].windows(2).all(|pair| pair[1] < pair[0]));
        assert!(factors[99] < 1e-3);
    }
}
