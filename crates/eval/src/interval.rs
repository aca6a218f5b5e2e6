//! 95 % intervals for shares, means and paired differences, by patient where a patient gave several questions.
//!
//! Wilson where each patient gave one question; else a cluster bootstrap over patients, whose percentiles are widened as
//! Hesterberg 2015 ("What teachers should know about the bootstrap", expanded percentile) describes, because plain
//! percentiles cover too little when there are few patients. Where every score is the same the bootstrap has nothing to
//! draw from, and the Wilson interval over the number of patients is given: it never claims certainty.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How an interval was computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Wilson's score interval; every patient gave one question.
    Wilson,
    /// Bootstrap over patients with expanded percentiles.
    ClusterBootstrap,
    /// Wilson's interval over patients: all scores (or differences) are the same.
    WilsonOverPatients,
}

/// An estimate with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The share, mean or difference.
    pub estimate: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// How it was computed.
    pub method: Method,
}

impl Interval {
    /// Half the distance between the ends.
    pub fn half_width(&self) -> f64 {
        (self.high - self.low) / 2.0
    }

    /// Whether the two intervals share no value.
    pub fn is_apart_from(&self, other: &Interval) -> bool {
        self.low > other.high || other.low > self.high
    }
}

/// One scored question with its patient.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample<'a> {
    /// Pseudonym of the patient.
    pub patient: &'a str,
    /// Score 0 to 1, or a difference of two such scores, -1 to 1.
    pub score: f64,
}

/// The 97.5 % quantile of the standard normal distribution.
const Z: f64 = 1.959_963_984_540_054;
/// Draws of a bootstrap: the Monte-Carlo error of an end is then below a fortieth of the interval's width.
const DRAWS: usize = 2_000;
/// Seed of every bootstrap: the same scores give the same interval.
const SEED: u64 = 0x6761_6d69;

/// Wilson's interval for `right` of `n` (Wilson 1927); `n` must not be 0.
pub fn wilson(right: f64, n: f64) -> Interval {
    let share = right / n;
    let denominator = 1.0 + Z * Z / n;
    let centre = (share + Z * Z / (2.0 * n)) / denominator;
    let half = Z / denominator * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    Interval {
        estimate: share,
        // Exactly 0 and 1 where the formula means them, whatever the rounding.
        low: if right <= 0.0 { 0.0 } else { (centre - half).max(0.0) },
        high: if right >= n { 1.0 } else { (centre + half).min(1.0) },
        method: Method::Wilson,
    }
}

/// The mean score with its interval; `None` without samples.
pub fn mean_interval(samples: &[Sample<'_>]) -> Option<Interval> {
    let clusters = clusters(samples);
    let first = samples.first()?.score;
    let mean = mean(&clusters);
    if samples.iter().all(|sample| sample.score == first) && (first == 0.0 || first == 1.0) {
        let num_patients = clusters.len() as f64;
        let method = if clusters.len() == samples.len() { Method::Wilson } else { Method::WilsonOverPatients };
        return Some(Interval { method, ..wilson(first * num_patients, num_patients) });
    }
    let binary = samples.iter().all(|sample| sample.score == 0.0 || sample.score == 1.0);
    if binary && clusters.len() == samples.len() {
        let right: f64 = samples.iter().map(|sample| sample.score).sum();
        return Some(wilson(right, samples.len() as f64));
    }
    if clusters.len() == 1 || samples.iter().all(|sample| sample.score == first) {
        // One patient, or one fractional score throughout: how patients differ is unknown. Wilson's width, the widest for a share.
        let num_patients = clusters.len() as f64;
        let interval = wilson(mean * num_patients, num_patients);
        return Some(Interval { estimate: mean, method: Method::WilsonOverPatients, ..interval });
    }
    let (low, high) = bootstrap(&clusters);
    Some(Interval { estimate: mean, low, high, method: Method::ClusterBootstrap })
}

/// The mean paired difference (one per question) with its interval by patient; `None` without samples.
pub fn difference_interval(differences: &[Sample<'_>]) -> Option<Interval> {
    let clusters = clusters(differences);
    let first = differences.first()?.score;
    let mean = mean(&clusters);
    if clusters.len() > 1 && differences.iter().any(|difference| difference.score != first) {
        let (low, high) = bootstrap(&clusters);
        return Some(Interval { estimate: mean, low, high, method: Method::ClusterBootstrap });
    }
    // All the same: with so many patients up to this share could still differ.
    let unseen = wilson(0.0, clusters.len() as f64).high;
    let (low, high) = ((mean - unseen).max(-1.0), (mean + unseen).min(1.0));
    Some(Interval { estimate: mean, low, high, method: Method::WilsonOverPatients })
}

/// Number of different patients.
pub fn num_patients(samples: &[Sample<'_>]) -> usize {
    clusters(samples).len()
}

/// All questions of one patient.
#[derive(Debug, Clone, Copy, Default)]
struct Cluster {
    sum: f64,
    count: f64,
}

/// Clusters in the order of their patients' names, so that the order of the questions does not matter.
fn clusters(samples: &[Sample<'_>]) -> Vec<Cluster> {
    let mut by_patient: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for sample in samples {
        by_patient.entry(sample.patient).or_default().push(sample.score);
    }
    by_patient
        .into_values()
        .map(|mut scores| {
            scores.sort_by(f64::total_cmp); // Sums of fractions depend on their order.
            Cluster { sum: scores.iter().sum(), count: scores.len() as f64 }
        })
        .collect()
}

fn mean(clusters: &[Cluster]) -> f64 {
    let total = clusters.iter().fold(Cluster::default(), |total, cluster| Cluster {
        sum: total.sum + cluster.sum,
        count: total.count + cluster.count,
    });
    if total.count == 0.0 { 0.0 } else { total.sum / total.count }
}

/// Expanded percentiles of the mean over resampled patients; at least two clusters.
fn bootstrap(clusters: &[Cluster]) -> (f64, f64) {
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let num_clusters = clusters.len() as u64;
    let mut means: Vec<f64> = (0..DRAWS)
        .map(|_| {
            let (mut sum, mut count) = (0.0, 0.0);
            for _ in 0..num_clusters {
                // Multiply-shift: an index below the number of clusters; its bias is below 2^-32 times that number.
                let cluster = clusters[((u64::from(random.next_u32()) * num_clusters) >> 32) as usize];
                sum += cluster.sum;
                count += cluster.count;
            }
            sum / count
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let freedom = num_clusters as f64 - 1.0;
    let tail = normal_tail((num_clusters as f64 / freedom).sqrt() * student_quantile(freedom));
    (quantile(&means, tail), quantile(&means, 1.0 - tail))
}

/// Linear interpolation between order statistics (Hyndman and Fan, type 7).
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let position = share * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (position - below as f64)
}

/// The 97.5 % quantile of Student's t: Cornish-Fisher expansion (Abramowitz and Stegun 26.7.5), exact values where it is poor.
fn student_quantile(freedom: f64) -> f64 {
    const EXACT: [f64; 4] = [12.706_205, 4.302_653, 3.182_446, 2.776_445];
    if let Some(exact) = EXACT.get(freedom as usize - 1) {
        return *exact;
    }
    let z = Z;
    let terms = [
        (z.powi(3) + z) / 4.0,
        (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0,
        (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0,
        (79.0 * z.powi(9) + 776.0 * z.powi(7) + 1482.0 * z.powi(5) - 1920.0 * z.powi(3) - 945.0 * z) / 92_160.0,
    ];
    terms.iter().zip(1..).fold(z, |sum, (term, power)| sum + term / freedom.powi(power))
}

/// Probability that a standard normal value exceeds `z >= 0` (Abramowitz and Stegun 26.2.17, error below 7.5e-8).
fn normal_tail(z: f64) -> f64 {
    const B: [f64; 5] = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let polynomial = B.iter().rev().fold(0.0, |sum, b| (sum + b) * t);
    ((-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * polynomial).max(0.0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn wilson_agrees_with_the_published_values() {
        // statsmodels proportion_confint(7, 10, method="wilson").
        let interval = wilson(7.0, 10.0);
        assert!((interval.low - 0.396_778_147_461_145).abs() < 1e-12);
        assert!((interval.high - 0.892_208_732_593_699).abs() < 1e-12);
        assert_eq!((wilson(0.0, 5.0).low, wilson(5.0, 5.0).high), (0.0, 1.0));
    }

    #[test]
    fn student_and_normal_match_their_tables() {
        for (freedom, expected) in [(1.0, 12.7062), (5.0, 2.5706), (9.0, 2.2622), (30.0, 2.0423), (1000.0, 1.9623)] {
            assert!((student_quantile(freedom) - expected).abs() < 2e-3, "{freedom}: {}", student_quantile(freedom));
        }
        assert!((normal_tail(Z) - 0.025).abs() < 1e-7);
    }

    fn named(patients: &[String], scores: &[f64]) -> Vec<(String, f64)> {
        patients.iter().cloned().zip(scores.iter().copied()).collect()
    }

    fn samples(pairs: &[(String, f64)]) -> Vec<Sample<'_>> {
        pairs.iter().map(|(patient, score)| Sample { patient, score: *score }).collect()
    }

    #[test]
    fn one_question_a_patient_gives_wilson_and_more_give_the_bootstrap() {
        let alone = named(&["a", "b", "c"].map(String::from), &[1.0, 0.0, 1.0]);
        assert_eq!(mean_interval(&samples(&alone)).unwrap().method, Method::Wilson);
        let shared = named(&["a", "a", "b", "c"].map(String::from), &[1.0, 0.0, 1.0, 1.0]);
        let interval = mean_interval(&samples(&shared)).unwrap();
        assert_eq!((interval.method, interval.estimate), (Method::ClusterBootstrap, 0.75));
        assert!(mean_interval(&[]).is_none());
    }

    #[test]
    fn all_right_is_never_certain() {
        let scores = named(&["a", "a", "b", "b"].map(String::from), &[1.0; 4]);
        let interval = mean_interval(&samples(&scores)).unwrap();
        // Two patients, not four questions.
        assert_eq!((interval.low, interval.high), (wilson(2.0, 2.0).low, 1.0));
        let same = named(&["a", "b"].map(String::from), &[0.0; 2]);
        let difference = difference_interval(&samples(&same)).unwrap();
        assert!(difference.low < -0.3 && difference.high > 0.3);
    }

    #[test]
    fn the_order_of_the_questions_does_not_matter() {
        let mut pairs: Vec<(String, f64)> = (0..40).map(|i| (format!("p{}", i % 7), f64::from(i % 10) / 9.7)).collect();
        let forward = mean_interval(&samples(&pairs)).unwrap();
        pairs.reverse();
        assert_eq!(forward, mean_interval(&samples(&pairs)).unwrap());
    }

    fn uniform(random: &mut ChaCha8Rng) -> f64 {
        f64::from(random.next_u32()) / 4_294_967_296.0
    }

    /// Share of `trials` in which the interval holds the true mean. Each patient has a probability of its own (uniform on
    /// 0.3 to 0.9, mean 0.6) and 1 to 6 questions; with `paired`, the difference of two such runs, whose true mean is 0.
    fn coverage(num_patients: usize, trials: usize, paired: bool) -> f64 {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let mut held = 0usize;
        for _ in 0..trials {
            let mut pairs = Vec::new();
            for patient in 0..num_patients {
                let (first, second) = (0.3 + 0.6 * uniform(&mut random), 0.3 + 0.6 * uniform(&mut random));
                for _ in 0..1 + patient % 6 {
                    let right = f64::from(uniform(&mut random) < first);
                    let other = f64::from(uniform(&mut random) < second);
                    pairs.push((format!("p{patient}"), if paired { right - other } else { right }));
                }
            }
            let samples = samples(&pairs);
            let interval = if paired { difference_interval(&samples) } else { mean_interval(&samples) }.unwrap();
            let truth = if paired { 0.0 } else { 0.6 };
            held += usize::from(interval.low <= truth && truth <= interval.high);
        }
        held as f64 / trials as f64
    }

    #[test]
    fn clustered_intervals_cover_the_truth() {
        // 400 trials: the standard error of a coverage of 0.95 is 0.011.
        for num_patients in [8, 15, 60] {
            for paired in [false, true] {
                let share = coverage(num_patients, 400, paired);
                assert!((0.92..=0.985).contains(&share), "{num_patients} patients, paired {paired}: {share}");
            }
        }
    }

    #[test]
    fn wilson_covers_the_truth_near_the_edge() {
        let mut random = ChaCha8Rng::seed_from_u64(11);
        let held = (0..2_000)
            .filter(|_| {
                let right = (0..40).filter(|_| uniform(&mut random) < 0.93).count();
                let interval = wilson(right as f64, 40.0);
                interval.low <= 0.93 && 0.93 <= interval.high
            })
            .count();
        assert!((0.93..=0.99).contains(&(held as f64 / 2_000.0)), "{held}");
    }
}
