//! Token F1: the overlap of reply and answer as bags of words (SQuAD, Rajpurkar 2016); single characters in Chinese.

use crate::normalise::tokens;
use std::collections::BTreeMap;

/// The best F1 of `reply` with any of `answers`, 0 to 1. Two empty texts share nothing: 0.
pub fn token_f1(reply: &str, answers: &[String]) -> f64 {
    let reply = tokens(reply);
    answers.iter().map(|answer| f1(&reply, &tokens(answer))).fold(0.0, f64::max)
}

fn f1(reply: &[String], answer: &[String]) -> f64 {
    let mut left: BTreeMap<&str, usize> = BTreeMap::new();
    for token in answer {
        *left.entry(token).or_default() += 1;
    }
    let mut shared = 0usize;
    for token in reply {
        if let Some(count) = left.get_mut(token.as_str()).filter(|count| **count > 0) {
            *count -= 1;
            shared += 1;
        }
    }
    if shared == 0 {
        return 0.0;
    }
    // 2PR / (P + R) with P = shared / |reply| and R = shared / |answer|.
    2.0 * shared as f64 / (reply.len() + answer.len()) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| text.to_string()).collect()
    }

    #[test]
    fn worked_out_by_hand() {
        // Reply: right, lower, lobe, nodule. Answer: nodule, in, right, lung. Shared 2: P = R = 2/4.
        assert_eq!(token_f1("right lower lobe nodule", &answers(&["a nodule in the right lung"])), 0.5);
        // P = 1/1, R = 1/3, F1 = 2/4.
        assert_eq!(token_f1("lung", &answers(&["right lower lung"])), 0.5);
        // A word counts as often as the answer has it: P = 1/3, R = 1/1.
        assert_eq!(token_f1("lung lung lung", &answers(&["lung"])), 0.5);
    }

    #[test]
    fn the_best_answer_counts_and_nothing_shared_is_zero() {
        assert_eq!(token_f1("heart", &answers(&["liver", "heart"])), 1.0);
        assert_eq!(token_f1("heart", &answers(&["liver"])), 0.0);
        assert_eq!(token_f1("", &answers(&[""])), 0.0);
    }

    #[test]
    fn chinese_is_compared_by_character() {
        // 左肺 against 右肺: one of two characters shared.
        assert_eq!(token_f1("左肺", &answers(&["右肺"])), 0.5);
    }
}
