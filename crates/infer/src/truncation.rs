//! Which tokens stay in the draw, and with what weight. Definitions as in transformers' logits warpers.

use gmai_schema::Sampling;

/// A token that may be drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Its id.
    pub id: usize,
    /// Its probability among the candidates; they sum to 1.
    pub probability: f64,
}

/// The tokens that temperature, top-k, top-p and min-p leave, in this order, likeliest first; ties go to the lower id.
///
/// At least one token stays, unless every logit is minus infinity. `settings.temperature` must be above 0.
pub fn candidates(logits: &[f32], settings: &Sampling) -> Vec<Candidate> {
    let scaled = |id: usize| f64::from(logits[id]) / f64::from(settings.temperature);
    let mut order: Vec<usize> = (0..logits.len()).filter(|&id| logits[id] > f32::NEG_INFINITY).collect();
    order.sort_unstable_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
    top_k(&mut order, logits, settings.top_k);
    let Some(&best) = order.first() else { return Vec::new() };
    let weigh = |&id: &usize| Candidate { id, probability: (scaled(id) - scaled(best)).exp() };
    let mut kept: Vec<Candidate> = order.iter().map(weigh).collect();
    normalise(&mut kept);
    top_p(&mut kept, f64::from(settings.top_p));
    min_p(&mut kept, f64::from(settings.min_p));
    kept
}

/// `TopKLogitsWarper`: the `k` likeliest, and all that are as likely as the last of them. 0 keeps all.
fn top_k(order: &mut Vec<usize>, logits: &[f32], k: usize) {
    if k > 0 && k < order.len() {
        let lowest = logits[order[k - 1]];
        order.retain(|&id| logits[id] >= lowest);
    }
}

/// `TopPLogitsWarper`: drops from the unlikely end all whose probabilities sum to at most `1 - p`.
fn top_p(kept: &mut Vec<Candidate>, p: f64) {
    if p >= 1.0 {
        return;
    }
    let mut tail = 0.0;
    while kept.len() > 1 {
        tail += kept[kept.len() - 1].probability;
        if tail > 1.0 - p {
            break;
        }
        kept.pop();
    }
    normalise(kept);
}

/// `MinPLogitsWarper`: drops what is less than `share` times as likely as the likeliest.
fn min_p(kept: &mut Vec<Candidate>, share: f64) {
    let Some(best) = kept.first().map(|candidate| candidate.probability) else { return };
    kept.retain(|candidate| candidate.probability >= share * best);
    normalise(kept);
}

fn normalise(kept: &mut [Candidate]) {
    let sum: f64 = kept.iter().map(|candidate| candidate.probability).sum();
    kept.iter_mut().for_each(|candidate| candidate.probability /= sum);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Probabilities 0.5, 0.25, 0.15, 0.1 for the ids 2, 0, 3, 1.
    fn logits() -> [f32; 4] {
        [0.25_f32.ln(), 0.1_f32.ln(), 0.5_f32.ln(), 0.15_f32.ln()]
    }

    fn kept(settings: Sampling) -> Vec<usize> {
        candidates(&logits(), &settings).iter().map(|candidate| candidate.id).collect()
    }

    fn drawn() -> Sampling {
        Sampling { temperature: 1.0, ..Sampling::greedy(1) }
    }

    #[test]
    fn temperature_sharpens_as_worked_out_by_hand() {
        let found = candidates(&logits(), &Sampling { temperature: 0.5, ..drawn() });
        let squares = [0.25, 0.0625, 0.0225, 0.01];
        let sum: f64 = squares.iter().sum();
        for (candidate, square) in found.iter().zip(squares) {
            assert!((candidate.probability - square / sum).abs() < 1e-6, "{candidate:?}");
        }
    }

    #[test]
    fn top_k_keeps_ties_with_the_last() {
        assert_eq!(kept(Sampling { top_k: 2, ..drawn() }), [2, 0]);
        assert_eq!(kept(Sampling { top_k: 9, ..drawn() }), [2, 0, 3, 1]);
        let tied = candidates(&[1.0, 0.0, 1.0, 1.0], &Sampling { top_k: 2, ..drawn() });
        assert_eq!(tied.iter().map(|candidate| candidate.id).collect::<Vec<_>>(), [0, 2, 3]);
    }

    #[test]
    fn top_p_drops_the_tail_below_one_minus_p() {
        assert_eq!(kept(Sampling { top_p: 0.8, ..drawn() }), [2, 0, 3]); // 0.1 goes, 0.1 + 0.15 would exceed 0.2.
        assert_eq!(kept(Sampling { top_p: 0.7, ..drawn() }), [2, 0]);
        assert_eq!(kept(Sampling { top_p: 0.01, ..drawn() }), [2]);
        // After top-k the two left have 2/3 and 1/3.
        assert_eq!(kept(Sampling { top_k: 2, top_p: 0.6, ..drawn() }), [2]);
    }

    #[test]
    fn min_p_counts_from_the_likeliest() {
        assert_eq!(kept(Sampling { min_p: 0.4, ..drawn() }), [2, 0]);
        assert_eq!(kept(Sampling { min_p: 0.25, ..drawn() }), [2, 0, 3]);
        assert_eq!(kept(Sampling { min_p: 1.0, ..drawn() }), [2]);
    }

    #[test]
    fn what_stays_sums_to_one_and_forbidden_tokens_never_stay() {
        let mut values = logits();
        values[2] = f32::NEG_INFINITY;
        let found = candidates(&values, &Sampling { top_p: 0.9, ..drawn() });
        assert!(found.iter().all(|candidate| candidate.id != 2));
        assert!((found.iter().map(|candidate| candidate.probability).sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(candidates(&[f32::NEG_INFINITY; 3], &drawn()).is_empty());
    }
}
