//! Judging replies. Needs no model and can be repeated.

use crate::extract::{Extracted, option_letter, yes_no};
use crate::metric::{exact_match, token_f1};
use crate::reply::{Control, Reply, prompt_sha256};
use gmai_schema::{FinishReason, OptionLikelihood, Question, Quiz};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How an answer was taken from a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// The likeliest of the option letters, or of yes and no.
    Likelihood,
    /// Read from the text that the model wrote.
    Generated,
}

impl Protocol {
    /// The key written in files.
    pub fn key(self) -> &'static str {
        match self {
            Protocol::Likelihood => "likelihood",
            Protocol::Generated => "generated",
        }
    }
}

/// How a reply was judged. Everything but `Right` counts as wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The answer is right.
    Right,
    /// An answer was read, and it is wrong.
    Wrong,
    /// No answer could be read from the text.
    Unparsed,
    /// The model refused the request, or its likelihoods were unusable.
    Refused,
    /// There is no reply to this question, or only one to an older form of its prompt.
    Missing,
}

/// The judgement of one reply under one protocol.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// Question id.
    pub question: String,
    /// What the model saw.
    pub control: Control,
    /// How the answer was taken.
    pub protocol: Protocol,
    /// The judgement.
    pub outcome: Outcome,
    /// The answer that was read: the option's text, `yes` or `no`, or the open reply; `None` when nothing was read.
    pub answer: Option<String>,
    /// Token F1 with the best right answer; open questions only.
    pub token_f1: Option<f64>,
    /// Probability of the given answer among the options; likelihood protocol only.
    pub probability: Option<f64>,
}

impl Verdict {
    /// 1 if right, else 0.
    pub fn accuracy(&self) -> f64 {
        f64::from(self.outcome == Outcome::Right)
    }
}

/// Judges the replies of one run, in the order of the questions: closed questions under each protocol that was used, open
/// questions by exact match and token F1. Every question gets a verdict; without a usable reply it is [`Outcome::Missing`].
///
/// Where a question has several replies the last counts. Replies to other questions are ignored.
pub fn score(questions: &[Question], replies: &[Reply]) -> Vec<Verdict> {
    let by_question: BTreeMap<&str, &Reply> = replies.iter().map(|reply| (reply.question.as_str(), reply)).collect();
    let control = replies.first().map_or(Control::Real, |reply| reply.control);
    let protocols = closed_protocols(questions, &by_question);
    let mut verdicts = Vec::new();
    for question in questions {
        let reply = by_question
            .get(question.id.as_str())
            .copied()
            .filter(|reply| reply.prompt_sha256 == prompt_sha256(&question.prompt));
        let open = [Protocol::Generated];
        let protocols = if is_open(question) { open.as_slice() } else { &protocols };
        for &protocol in protocols {
            verdicts.push(judge(question, reply, protocol, control));
        }
    }
    verdicts
}

fn is_open(question: &Question) -> bool {
    matches!(question.quiz, Quiz::Open { .. })
}

/// The protocols under which closed questions were asked; likelihood when there is no reply to tell.
fn closed_protocols(questions: &[Question], replies: &BTreeMap<&str, &Reply>) -> Vec<Protocol> {
    let mut protocols = BTreeSet::new();
    for question in questions.iter().filter(|question| !is_open(question)) {
        if let Some(reply) = replies.get(question.id.as_str()) {
            if !reply.options.is_empty() {
                protocols.insert(Protocol::Likelihood);
            }
            if reply.finish != FinishReason::NotAsked {
                protocols.insert(Protocol::Generated);
            }
        }
    }
    if protocols.is_empty() { vec![Protocol::Likelihood] } else { protocols.into_iter().collect() }
}

fn judge(question: &Question, reply: Option<&Reply>, protocol: Protocol, control: Control) -> Verdict {
    let verdict = Verdict {
        question: question.id.clone(),
        control,
        protocol,
        outcome: Outcome::Missing,
        answer: None,
        token_f1: is_open(question).then_some(0.0),
        probability: None,
    };
    let Some(reply) = reply else { return verdict };
    if reply.refused.is_some() {
        return Verdict { outcome: Outcome::Refused, ..verdict };
    }
    let asked = match protocol {
        Protocol::Likelihood => !reply.options.is_empty(),
        Protocol::Generated => reply.finish != FinishReason::NotAsked,
    };
    if !asked {
        return verdict;
    }
    let chosen = (protocol == Protocol::Likelihood).then(|| likeliest(&reply.options)).flatten();
    let probability = chosen.map(|index| reply.options[index].probability);
    match &question.quiz {
        Quiz::Open { answers } => judge_open(verdict, &reply.text, answers),
        Quiz::MultipleChoice { options, answer } => {
            let given = match protocol {
                Protocol::Likelihood => chosen.into(),
                Protocol::Generated => option_letter(&reply.text, options),
            };
            let text = |index: usize| options.get(index).cloned();
            Verdict { probability, ..judge_closed(verdict, given, *answer, text) }
        }
        Quiz::YesNo { answer } => {
            let given = match protocol {
                Protocol::Likelihood => chosen.into(),
                Protocol::Generated => yes_no(&reply.text).found().map(|yes| usize::from(!yes)).into(),
            };
            let text = |index: usize| Some(if index == 0 { "yes" } else { "no" }.to_string());
            Verdict { probability, ..judge_closed(verdict, given, usize::from(!answer), text) }
        }
    }
}

/// Index of the highest log-probability, the first among equals.
fn likeliest(options: &[OptionLikelihood]) -> Option<usize> {
    let mut best: Option<usize> = None;
    for (index, option) in options.iter().enumerate() {
        if best.is_none_or(|best| option.log_probability > options[best].log_probability) {
            best = Some(index);
        }
    }
    best
}

fn judge_closed(
    verdict: Verdict,
    given: Extracted<usize>,
    right: usize,
    text: impl Fn(usize) -> Option<String>,
) -> Verdict {
    match given {
        Extracted::Unparsed => Verdict { outcome: Outcome::Unparsed, ..verdict },
        Extracted::Found(index) => {
            let outcome = if index == right { Outcome::Right } else { Outcome::Wrong };
            Verdict { outcome, answer: text(index), ..verdict }
        }
    }
}

fn judge_open(verdict: Verdict, reply: &str, answers: &[String]) -> Verdict {
    if crate::normalise::normalise(reply).is_empty() {
        return Verdict { outcome: Outcome::Unparsed, ..verdict };
    }
    let outcome = if exact_match(reply, answers) { Outcome::Right } else { Outcome::Wrong };
    Verdict { outcome, answer: Some(reply.trim().to_string()), token_f1: Some(token_f1(reply, answers)), ..verdict }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::*;
    use gmai_schema::{Language, Modality, Task};

    fn question(id: &str, quiz: Quiz) -> Question {
        Question {
            id: id.to_string(),
            prompt: format!("<image>\n{id}?"),
            quiz,
            attribute: "diagnosis".to_string(),
            source: "made_up".to_string(),
            task: Task::DiseaseDiagnosis,
            modality: Some(Modality::Ct),
            language: Language::En,
            patient: id.to_string(),
        }
    }

    pub(crate) fn choice(id: &str, options: &[&str], answer: usize) -> Question {
        let options = options.iter().map(|text| text.to_string()).collect();
        question(id, Quiz::MultipleChoice { options, answer })
    }

    pub(crate) fn yes_no(id: &str, answer: bool) -> Question {
        question(id, Quiz::YesNo { answer })
    }

    pub(crate) fn open(id: &str, answers: &[&str]) -> Question {
        question(id, Quiz::Open { answers: answers.iter().map(|text| text.to_string()).collect() })
    }

    pub(crate) fn reply(question: &Question, text: &str, log_probabilities: &[f64]) -> Reply {
        let total: f64 = log_probabilities.iter().map(|value| value.exp()).sum();
        let options = crate::run::option_texts(question)
            .into_iter()
            .zip(log_probabilities)
            .map(|(text, &log_probability)| OptionLikelihood {
                text,
                log_probability,
                num_tokens: 2,
                probability: log_probability.exp() / total,
            })
            .collect();
        Reply {
            question: question.id.clone(),
            control: Control::Real,
            prompt_sha256: prompt_sha256(&question.prompt),
            image_sha256: Vec::new(),
            settings: String::new(),
            checkpoint: "scripted".to_string(),
            text: text.to_string(),
            num_tokens: 2,
            log_probability: -1.0,
            options,
            finish: FinishReason::Stop,
            refused: None,
        }
    }

    #[test]
    fn likelihood_and_letter_are_judged_apart() {
        let question = choice("q", &["cat", "dog", "cow"], 1);
        let verdicts = score(std::slice::from_ref(&question), &[reply(&question, "C", &[-2.0, -0.5, -3.0])]);
        let seen: Vec<_> = verdicts.iter().map(|v| (v.protocol, v.outcome, v.answer.as_deref().unwrap())).collect();
        let expected = [(Protocol::Likelihood, Outcome::Right, "dog"), (Protocol::Generated, Outcome::Wrong, "cow")];
        assert_eq!(seen, expected);
        // exp(-0.5) / (exp(-2) + exp(-0.5) + exp(-3)) = 0.60653 / 0.79165.
        assert!((verdicts[0].probability.unwrap() - 0.76616).abs() < 1e-4);
    }

    #[test]
    fn chinese_yes_no_is_judged() {
        let question = Question { language: Language::Zh, ..yes_no("q", false) };
        let stored = reply(&question, "否。", &[-3.0, -0.1]);
        assert_eq!(stored.options[1].text, "否");
        let verdicts = score(std::slice::from_ref(&question), &[stored]);
        assert!(verdicts.len() == 2 && verdicts.iter().all(|verdict| verdict.outcome == Outcome::Right));
    }

    #[test]
    fn unread_refused_and_missing_are_told_apart_and_none_is_right() {
        let questions = [yes_no("a", true), yes_no("b", true), yes_no("c", true), yes_no("d", true)];
        let refused = Reply { refused: Some("too many pictures".to_string()), ..reply(&questions[1], "", &[]) };
        let stale = Reply { prompt_sha256: prompt_sha256("an older wording"), ..reply(&questions[3], "Yes", &[]) };
        let replies = [reply(&questions[0], "perhaps", &[]), refused, stale];
        let outcomes: Vec<_> = score(&questions, &replies).into_iter().map(|verdict| verdict.outcome).collect();
        assert_eq!(outcomes, [Outcome::Unparsed, Outcome::Refused, Outcome::Missing, Outcome::Missing]);
    }

    #[test]
    fn open_answers_get_exact_match_and_f1() {
        let question = open("q", &["right lung", "lung"]);
        let verdicts = score(std::slice::from_ref(&question), &[reply(&question, "The right lower lung", &[])]);
        // Against "right lung": P 2/3, R 1, F1 0.8.
        assert_eq!((verdicts[0].outcome, verdicts[0].token_f1), (Outcome::Wrong, Some(0.8)));
    }
}
