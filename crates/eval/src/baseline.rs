//! What a model must beat: chance, and the answer most frequent in training. (The third baseline, a blank picture, is
//! [`crate::Control::Blank`].)

use crate::metric::{exact_match, token_f1};
use crate::normalise::normalise;
use gmai_schema::{Language, Question, Quiz};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Expected score of drawing an answer blindly: 1/options, 1/2 for yes or no, 0 for an open question.
pub fn chance(quiz: &Quiz) -> f64 {
    match quiz {
        Quiz::MultipleChoice { options, .. } => 1.0 / options.len() as f64,
        Quiz::YesNo { .. } => 0.5,
        Quiz::Open { .. } => 0.0,
    }
}

/// Form of a question's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Lettered options.
    MultipleChoice,
    /// Yes or no.
    YesNo,
    /// A short free answer.
    Open,
}

impl Kind {
    /// The kind of a quiz.
    pub fn of(quiz: &Quiz) -> Kind {
        match quiz {
            Quiz::MultipleChoice { .. } => Kind::MultipleChoice,
            Quiz::YesNo { .. } => Kind::YesNo,
            Quiz::Open { .. } => Kind::Open,
        }
    }

    /// The key written in tables.
    pub fn key(self) -> &'static str {
        match self {
            Kind::MultipleChoice => "multiple_choice",
            Kind::YesNo => "yes_no",
            Kind::Open => "open",
        }
    }
}

/// Questions that share a most frequent answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    source: String,
    attribute: String,
    language: &'static str,
    kind: Kind,
}

/// How often each answer is right in the training split, per source, attribute, language and kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MajorityAnswers {
    counts: BTreeMap<Key, BTreeMap<String, u64>>,
}

/// A question's score under the majority baseline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MajorityScore {
    /// Probability of being right (ties are shared); chance where training has no such question.
    pub accuracy: f64,
    /// Token F1 of the most frequent answer; 0 for closed questions.
    pub token_f1: f64,
}

impl MajorityAnswers {
    /// Counts the answers of the training questions.
    pub fn from_questions<'a>(questions: impl IntoIterator<Item = &'a Question>) -> MajorityAnswers {
        let mut answers = MajorityAnswers::default();
        for question in questions {
            answers.observe(&question.source, &question.attribute, question.language, &question.quiz);
        }
        answers
    }

    /// Counts one training question; for callers that have conversations rather than questions.
    pub fn observe(&mut self, source: &str, attribute: &str, language: Language, quiz: &Quiz) {
        let answer = match quiz {
            Quiz::MultipleChoice { options, answer } => options.get(*answer).map(|text| normalise(text)),
            Quiz::YesNo { answer } => Some(yes_no_text(*answer).to_string()),
            Quiz::Open { answers } => answers.first().map(|text| normalise(text)),
        };
        if let Some(answer) = answer {
            *self.counts.entry(key(source, attribute, language, quiz)).or_default().entry(answer).or_default() += 1;
        }
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Score of always giving the answer most frequent in training; among lettered options, the most frequent of them.
    pub fn score(&self, question: &Question) -> MajorityScore {
        let key = key(&question.source, &question.attribute, question.language, &question.quiz);
        let closed = |accuracy| MajorityScore { accuracy, token_f1: 0.0 };
        let Some(counts) = self.counts.get(&key) else { return closed(chance(&question.quiz)) };
        let count = |text: &str| counts.get(text).copied().unwrap_or(0);
        match &question.quiz {
            Quiz::MultipleChoice { options, answer } => {
                let counts: Vec<u64> = options.iter().map(|option| count(&normalise(option))).collect();
                closed(share_of_top(&counts, *answer))
            }
            Quiz::YesNo { answer } => {
                closed(share_of_top(&[count(yes_no_text(true)), count(yes_no_text(false))], usize::from(!answer)))
            }
            Quiz::Open { answers } => {
                // `max_by_key` keeps the last of equals; reversed, that is the first in the alphabet.
                let top = counts.iter().rev().max_by_key(|(_, count)| **count).map_or("", |(text, _)| text.as_str());
                MajorityScore { accuracy: f64::from(exact_match(top, answers)), token_f1: token_f1(top, answers) }
            }
        }
    }
}

fn key(source: &str, attribute: &str, language: Language, quiz: &Quiz) -> Key {
    Key { source: source.to_string(), attribute: attribute.to_string(), language: language.key(), kind: Kind::of(quiz) }
}

fn yes_no_text(answer: bool) -> &'static str {
    if answer { "yes" } else { "no" }
}

/// Probability of hitting `right` when one of the highest counts is drawn.
fn share_of_top(counts: &[u64], right: usize) -> f64 {
    let top = counts.iter().copied().max().unwrap_or(0);
    let tied = counts.iter().filter(|count| **count == top).count();
    if counts.get(right) == Some(&top) { 1.0 / tied as f64 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::tests::{choice, open, yes_no};

    #[test]
    fn chance_is_one_over_the_options() {
        assert_eq!(chance(&choice("q", &["a", "b", "c", "d"], 0).quiz), 0.25);
        assert_eq!(chance(&yes_no("q", true).quiz), 0.5);
        assert_eq!(chance(&open("q", &["x"]).quiz), 0.0);
    }

    #[test]
    fn the_most_frequent_training_answer_is_given_whatever_its_letter() {
        let train = [choice("1", &["cat", "dog"], 0), choice("2", &["dog", "cat"], 1), choice("3", &["dog", "cat"], 0)];
        let majority = MajorityAnswers::from_questions(&train);
        assert_eq!(majority.score(&choice("q", &["dog", "cat"], 1)).accuracy, 1.0);
        assert_eq!(majority.score(&choice("q", &["cat", "dog"], 1)).accuracy, 0.0);
        // Neither option was ever right in training: the two are tied.
        assert_eq!(majority.score(&choice("q", &["cow", "hen"], 1)).accuracy, 0.5);
    }

    #[test]
    fn yes_no_and_open_questions_have_a_majority_too() {
        let train = [
            yes_no("1", false),
            yes_no("2", false),
            yes_no("3", true),
            open("4", &["Left lung"]),
            open("5", &["heart"]),
            open("6", &["left lung."]),
        ];
        let majority = MajorityAnswers::from_questions(&train);
        assert_eq!(majority.score(&yes_no("q", false)).accuracy, 1.0);
        assert_eq!(majority.score(&yes_no("q", true)).accuracy, 0.0);
        let score = majority.score(&open("q", &["right lung"]));
        assert_eq!((score.accuracy, score.token_f1), (0.0, 0.5));
    }

    #[test]
    fn questions_unknown_to_training_get_chance() {
        assert_eq!(MajorityAnswers::default().score(&yes_no("q", true)).accuracy, 0.5);
    }
}
