//! What makes tokens less likely because they were there before. Definitions as in transformers' logits processors.

use std::collections::HashSet;

/// Divides the logits of all tokens in `history` by `penalty`, or multiplies them where they are negative, once each.
///
/// `RepetitionPenaltyLogitsProcessor`; Keskar et al., arXiv 1909.05858. 1 changes nothing.
pub fn repetition(logits: &mut [f32], history: &[u32], penalty: f32) {
    if penalty == 1.0 {
        return;
    }
    let seen: HashSet<u32> = history.iter().copied().collect();
    for id in seen {
        if let Some(logit) = logits.get_mut(id as usize) {
            *logit = if *logit < 0.0 { *logit * penalty } else { *logit / penalty };
        }
    }
}

/// Forbids every token that would complete a run of `size` tokens that `history` already has. 0 forbids nothing.
///
/// `NoRepeatNGramLogitsProcessor`. A size of 1 forbids every token of the history.
pub fn no_repeat_ngram(logits: &mut [f32], history: &[u32], size: usize) {
    if size == 0 || history.len() < size {
        return;
    }
    let ending = &history[history.len() + 1 - size..];
    for run in history.windows(size) {
        if run[..size - 1] == *ending
            && let Some(logit) = logits.get_mut(run[size - 1] as usize)
        {
            *logit = f32::NEG_INFINITY;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_token_loses_whatever_its_sign() {
        let mut logits = [2.0, -2.0, 1.0, 0.5];
        repetition(&mut logits, &[0, 1, 0, 9], 2.0);
        assert_eq!(logits, [1.0, -4.0, 1.0, 0.5]); // Token 0 once, although it stands there twice; 9 has no logit.
        repetition(&mut logits, &[2], 1.0);
        assert_eq!(logits[2], 1.0);
    }

    #[test]
    fn only_the_token_that_completes_a_known_run_is_forbidden() {
        let forbidden = |history: &[u32], size| {
            let mut logits = [0.0; 5];
            no_repeat_ngram(&mut logits, history, size);
            (0..5).filter(|&id| logits[id] == f32::NEG_INFINITY).collect::<Vec<_>>()
        };
        // 1 2 3 and 1 2 4 were there, and the history ends with 1 2.
        assert_eq!(forbidden(&[1, 2, 3, 1, 2, 4, 1, 2], 3), [3, 4]);
        assert_eq!(forbidden(&[1, 2, 3, 2], 2), [3]);
        assert_eq!(forbidden(&[1, 2], 3), [] as [usize; 0]);
        assert_eq!(forbidden(&[1, 2], 1), [1, 2]);
        assert_eq!(forbidden(&[1, 2, 1], 0), [] as [usize; 0]);
        // The two tokens at the end are one run of two already: writing 2 after 2 would repeat it.
        assert_eq!(forbidden(&[2, 2], 2), [2]);
    }
}
