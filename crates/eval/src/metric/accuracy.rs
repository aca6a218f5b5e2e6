//! Exact match: the reply is one of the right answers, up to case, articles, punctuation and width.

use crate::normalise::normalise;

/// Whether `reply` equals one of `answers` after [`normalise`]. An empty reply never matches.
pub fn exact_match(reply: &str, answers: &[String]) -> bool {
    let reply = normalise(reply);
    !reply.is_empty() && answers.iter().any(|answer| normalise(answer) == reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_articles_and_punctuation_do_not_matter() {
        let answers = ["Right lung".to_string()];
        assert!(exact_match("the right lung.", &answers));
        assert!(!exact_match("left lung", &answers));
        assert!(!exact_match("", &["".to_string()]));
    }
}
