//! From verdicts to numbers: every score with its n, its interval and its baselines.

use crate::baseline::{MajorityAnswers, chance};
use crate::group::{Dimension, is_label_question};
use crate::interval::{Interval, Sample, difference_interval, mean_interval, num_patients};
use crate::score::{Outcome, Protocol, Verdict};
use gmai_schema::{Question, Quiz};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is averaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Accuracy on closed questions by the likeliest option.
    ChoiceLikelihood,
    /// Accuracy on closed questions by the written answer.
    ChoiceGenerated,
    /// Share of open questions answered exactly, after normalisation.
    OpenExact,
    /// Mean token F1 on open questions.
    OpenTokenF1,
}

impl Measure {
    /// Every measure, in the order of the report.
    pub const ALL: [Measure; 4] =
        [Measure::ChoiceLikelihood, Measure::ChoiceGenerated, Measure::OpenExact, Measure::OpenTokenF1];

    /// The key written in files.
    pub fn key(self) -> &'static str {
        match self {
            Measure::ChoiceLikelihood => "choice_likelihood",
            Measure::ChoiceGenerated => "choice_generated",
            Measure::OpenExact => "open_exact",
            Measure::OpenTokenF1 => "open_token_f1",
        }
    }

    /// The name a reader sees.
    pub fn name(self) -> &'static str {
        match self {
            Measure::ChoiceLikelihood => "accuracy, likeliest option",
            Measure::ChoiceGenerated => "accuracy, written answer",
            Measure::OpenExact => "exact match",
            Measure::OpenTokenF1 => "token F1",
        }
    }

    fn protocol(self) -> Protocol {
        match self {
            Measure::ChoiceLikelihood => Protocol::Likelihood,
            _ => Protocol::Generated,
        }
    }

    fn concerns(self, question: &Question) -> bool {
        let open = matches!(question.quiz, Quiz::Open { .. });
        open == matches!(self, Measure::OpenExact | Measure::OpenTokenF1)
    }

    fn value(self, verdict: &Verdict) -> f64 {
        match self {
            Measure::OpenTokenF1 => verdict.token_f1.unwrap_or(0.0),
            _ => verdict.accuracy(),
        }
    }
}

/// A reason to read a number with care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Caution {
    /// Fewer than [`MIN_QUESTIONS`] questions.
    FewQuestions,
    /// Fewer than [`MIN_PATIENTS`] patients.
    FewPatients,
    /// The interval reaches further than [`WIDE_HALF_WIDTH`] to either side, on average.
    WideInterval,
    /// More than [`MANY_UNPARSED`] of the replies could not be read.
    ManyUnparsed,
    /// Some questions have no reply or were refused; they count as wrong.
    Incomplete,
}

/// Below this many questions a score is an impression, not a measurement.
pub const MIN_QUESTIONS: usize = 50;
/// Below this many patients an interval says little about other patients.
pub const MIN_PATIENTS: usize = 10;
/// Half width above which an interval is called wide: ten points.
pub const WIDE_HALF_WIDTH: f64 = 0.10;
/// Share of unread replies above which the score says more about reading than about knowing.
pub const MANY_UNPARSED: f64 = 0.02;

impl Caution {
    /// The caution in words.
    pub fn text(self) -> &'static str {
        match self {
            Caution::FewQuestions => "fewer than 50 questions",
            Caution::FewPatients => "fewer than 10 patients",
            Caution::WideInterval => "wide interval",
            Caution::ManyUnparsed => "over 2 % unread",
            Caution::Incomplete => "replies missing or refused",
        }
    }
}

/// One score with all that is needed to judge it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The group of questions, e.g. `ct`.
    pub group: String,
    /// What is averaged.
    pub measure: Measure,
    /// Number of questions.
    pub num_questions: usize,
    /// Number of patients they come from.
    pub num_patients: usize,
    /// Replies in which no answer could be read; they count as wrong.
    pub num_unparsed: usize,
    /// Requests the model refused; they count as wrong.
    pub num_refused: usize,
    /// Questions without a reply; they count as wrong.
    pub num_missing: usize,
    /// The score before the real pictures, 0 to 1.
    pub score: Interval,
    /// Expected score of a blind draw.
    pub chance: f64,
    /// Score of always giving the answer most frequent in training; `None` when no training answers were given.
    pub majority: Option<f64>,
    /// The same model's score before blank pictures, on the questions asked both ways.
    pub blank: Option<Interval>,
    /// Real minus blank, paired by question.
    pub gain: Option<Interval>,
    /// Reasons for care.
    pub cautions: Vec<Caution>,
}

/// Scores split by one property of the questions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// The property.
    pub dimension: Dimension,
    /// Its groups by name, each with the measures that apply.
    pub rows: Vec<Row>,
}

/// Everything that is reported of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Version of this structure, for readers of `summary.json`.
    pub schema_version: u32,
    /// Questions in all.
    pub num_questions: usize,
    /// Patients in all.
    pub num_patients: usize,
    /// All closed questions, label questions alone, all open questions.
    pub overall: Vec<Row>,
    /// The splits.
    pub tables: Vec<Table>,
}

/// Group name of the row over all closed questions.
pub const ALL_CLOSED: &str = "all closed questions";
/// Group name of the row over label questions (see [`is_label_question`]).
pub const LABEL_QUESTIONS: &str = "label questions";
/// Group name of the row over all open questions.
pub const ALL_OPEN: &str = "all open questions";

impl Summary {
    /// The overall row of `group` (e.g. [`LABEL_QUESTIONS`]) and `measure`.
    pub fn overall_row(&self, group: &str, measure: Measure) -> Option<&Row> {
        self.overall.iter().find(|row| row.group == group && row.measure == measure)
    }

    /// The row of one group in one table.
    pub fn row(&self, dimension: Dimension, group: &str, measure: Measure) -> Option<&Row> {
        let table = self.tables.iter().find(|table| table.dimension == dimension)?;
        table.rows.iter().find(|row| row.group == group && row.measure == measure)
    }
}

/// Sums up a run before real pictures (`real`), with the run before blank ones (`blank`, may be empty) beside it.
///
/// An empty `majority` leaves that baseline out.
pub fn summarise(questions: &[Question], real: &[Verdict], blank: &[Verdict], majority: &MajorityAnswers) -> Summary {
    let verdicts = Verdicts { real: index(real), blank: index(blank), majority };
    type Belongs = fn(&Question) -> bool;
    let overall_groups: [(&str, Belongs); 3] = [
        (ALL_CLOSED, |question| Measure::ChoiceLikelihood.concerns(question)),
        (LABEL_QUESTIONS, is_label_question),
        (ALL_OPEN, |question| Measure::OpenExact.concerns(question)),
    ];
    let overall = overall_groups
        .iter()
        .flat_map(|(name, belongs)| {
            let members: Vec<&Question> = questions.iter().filter(|question| belongs(question)).collect();
            verdicts.rows(name, &members)
        })
        .collect();
    let tables = Dimension::ALL
        .iter()
        .map(|&dimension| {
            let mut groups: BTreeMap<String, Vec<&Question>> = BTreeMap::new();
            for question in questions {
                groups.entry(dimension.group(question)).or_default().push(question);
            }
            let rows = groups.iter().flat_map(|(name, members)| verdicts.rows(name, members)).collect();
            Table { dimension, rows }
        })
        .collect();
    let patients: Vec<Sample<'_>> =
        questions.iter().map(|question| Sample { patient: &question.patient, score: 0.0 }).collect();
    Summary {
        schema_version: 1,
        num_questions: questions.len(),
        num_patients: num_patients(&patients),
        overall,
        tables,
    }
}

/// Run `a` minus run `b` on the questions that both answered, paired by question, with an interval by patient.
///
/// `None` when they share no question of this measure. Never compare two runs by whether their own intervals overlap.
pub fn compare(questions: &[Question], a: &[Verdict], b: &[Verdict], measure: Measure) -> Option<Interval> {
    let (a, b) = (index(a), index(b));
    let members: Vec<&Question> = questions.iter().filter(|question| measure.concerns(question)).collect();
    difference_interval(&differences(&members, &a, &b, measure))
}

type Index<'a> = BTreeMap<(&'a str, Protocol), &'a Verdict>;

fn index(verdicts: &[Verdict]) -> Index<'_> {
    verdicts.iter().map(|verdict| ((verdict.question.as_str(), verdict.protocol), verdict)).collect()
}

fn differences<'a>(members: &[&'a Question], a: &Index<'_>, b: &Index<'_>, measure: Measure) -> Vec<Sample<'a>> {
    members
        .iter()
        .filter_map(|question| {
            let key = (question.id.as_str(), measure.protocol());
            let score = measure.value(a.get(&key)?) - measure.value(b.get(&key)?);
            Some(Sample { patient: &question.patient, score })
        })
        .collect()
}

struct Verdicts<'a> {
    real: Index<'a>,
    blank: Index<'a>,
    majority: &'a MajorityAnswers,
}

impl Verdicts<'_> {
    fn rows(&self, group: &str, members: &[&Question]) -> Vec<Row> {
        Measure::ALL.iter().filter_map(|&measure| self.row(group, members, measure)).collect()
    }

    /// `None` when no question of the group was judged by this measure.
    fn row(&self, group: &str, members: &[&Question], measure: Measure) -> Option<Row> {
        let judged: Vec<(&Question, &Verdict)> = members
            .iter()
            .filter(|question| measure.concerns(question))
            .filter_map(|question| Some((*question, *self.real.get(&(question.id.as_str(), measure.protocol()))?)))
            .collect();
        let questions: Vec<&Question> = judged.iter().map(|(question, _)| *question).collect();
        let samples: Vec<Sample<'_>> = judged
            .iter()
            .map(|(question, verdict)| Sample { patient: &question.patient, score: measure.value(verdict) })
            .collect();
        let blank: Vec<Sample<'_>> = judged
            .iter()
            .filter_map(|(question, _)| {
                let verdict = self.blank.get(&(question.id.as_str(), measure.protocol()))?;
                Some(Sample { patient: &question.patient, score: measure.value(verdict) })
            })
            .collect();
        let count = |outcome| judged.iter().filter(|(_, verdict)| verdict.outcome == outcome).count();
        let row = Row {
            group: group.to_string(),
            measure,
            num_questions: judged.len(),
            num_patients: num_patients(&samples),
            num_unparsed: count(Outcome::Unparsed),
            num_refused: count(Outcome::Refused),
            num_missing: count(Outcome::Missing),
            score: mean_interval(&samples)?,
            chance: mean(questions.iter().map(|question| chance(&question.quiz))),
            majority: (!self.majority.is_empty())
                .then(|| mean(questions.iter().map(|q| self.majority_score(q, measure)))),
            blank: mean_interval(&blank),
            gain: difference_interval(&differences(&questions, &self.real, &self.blank, measure)),
            cautions: Vec::new(),
        };
        Some(Row { cautions: cautions(&row), ..row })
    }

    fn majority_score(&self, question: &Question, measure: Measure) -> f64 {
        let score = self.majority.score(question);
        if measure == Measure::OpenTokenF1 { score.token_f1 } else { score.accuracy }
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

fn cautions(row: &Row) -> Vec<Caution> {
    let checks = [
        (Caution::FewQuestions, row.num_questions < MIN_QUESTIONS),
        (Caution::FewPatients, row.num_patients < MIN_PATIENTS),
        (Caution::WideInterval, row.score.half_width() > WIDE_HALF_WIDTH),
        (Caution::ManyUnparsed, row.num_unparsed as f64 > MANY_UNPARSED * row.num_questions as f64),
        (Caution::Incomplete, row.num_missing + row.num_refused > 0),
    ];
    checks.into_iter().filter(|(_, applies)| *applies).map(|(caution, _)| caution).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::interval::Method;
    use crate::reply::Control;
    use crate::score::tests::{choice, open};

    fn verdict(question: &Question, right: bool) -> Verdict {
        Verdict {
            question: question.id.clone(),
            control: Control::Real,
            protocol: Protocol::Likelihood,
            outcome: if right { Outcome::Right } else { Outcome::Wrong },
            answer: None,
            token_f1: None,
            probability: None,
        }
    }

    #[test]
    fn scores_stand_beside_their_baselines() {
        let questions: Vec<Question> = (0..8).map(|i| choice(&format!("q{i}"), &["x", "y", "z", "w"], i % 4)).collect();
        let real: Vec<Verdict> = questions.iter().enumerate().map(|(i, q)| verdict(q, i != 0)).collect();
        let blank: Vec<Verdict> = questions.iter().enumerate().map(|(i, q)| verdict(q, i % 4 == 0)).collect();
        let summary = summarise(&questions, &real, &blank, &MajorityAnswers::from_questions(&questions[..1]));
        let row = summary.overall_row(LABEL_QUESTIONS, Measure::ChoiceLikelihood).unwrap();
        assert_eq!((row.num_questions, row.num_patients), (8, 8));
        assert_eq!((row.score.estimate, row.score.method), (0.875, Method::Wilson));
        // The one training answer is "x", right for two of eight.
        assert_eq!((row.chance, row.majority), (0.25, Some(0.25)));
        assert_eq!(row.blank.unwrap().estimate, 0.25);
        // 5 of 8 gained, 1 lost... by hand: right only when real 6 (i = 1,2,3,5,6,7), only when blank 1 (i = 0): (6 - 1) / 8.
        assert_eq!(row.gain.unwrap().estimate, 0.625);
        assert!(row.cautions.contains(&Caution::FewQuestions) && row.cautions.contains(&Caution::WideInterval));
        assert_eq!(summary.row(Dimension::Modality, "ct", Measure::ChoiceLikelihood).unwrap().num_questions, 8);
    }

    #[test]
    fn rows_without_judged_questions_are_left_out_and_open_ones_have_their_own() {
        let question = open("q", &["lung"]);
        let verdicts = [Verdict { protocol: Protocol::Generated, token_f1: Some(0.4), ..verdict(&question, false) }];
        let summary = summarise(std::slice::from_ref(&question), &verdicts, &[], &MajorityAnswers::default());
        let seen: Vec<_> = summary.overall.iter().map(|row| (row.group.as_str(), row.measure)).collect();
        assert_eq!(seen, [(ALL_OPEN, Measure::OpenExact), (ALL_OPEN, Measure::OpenTokenF1)]);
        let row = &summary.overall[1];
        assert_eq!((row.score.estimate, row.majority, row.blank, row.gain), (0.4, None, None, None));
    }

    #[test]
    fn questions_of_one_patient_are_one_cluster() {
        let questions: Vec<Question> = (0..20)
            .map(|i| Question { patient: format!("p{}", i / 10), ..choice(&format!("q{i}"), &["x", "y"], 0) })
            .collect();
        let verdicts: Vec<Verdict> = questions.iter().enumerate().map(|(i, q)| verdict(q, i < 10)).collect();
        let row = &summarise(&questions, &verdicts, &[], &MajorityAnswers::default()).overall[0];
        // One patient all right, one all wrong: nothing is known, whatever the number of questions.
        assert_eq!((row.score.low, row.score.high), (0.0, 1.0));
    }

    #[test]
    fn two_runs_are_compared_question_by_question() {
        let questions: Vec<Question> = (0..60).map(|i| choice(&format!("q{i}"), &["x", "y"], 0)).collect();
        let a: Vec<Verdict> = questions.iter().map(|q| verdict(q, true)).collect();
        let b: Vec<Verdict> = questions.iter().enumerate().map(|(i, q)| verdict(q, i % 3 != 0)).collect();
        let difference = compare(&questions, &a, &b, Measure::ChoiceLikelihood).unwrap();
        assert!((difference.estimate - 1.0 / 3.0).abs() < 1e-12 && difference.low > 0.2 && difference.high < 0.47);
        assert!(compare(&questions, &a, &b, Measure::OpenExact).is_none());
    }

    #[test]
    fn the_summary_is_read_back_from_json() {
        let question = choice("q", &["x", "y"], 0);
        let verdicts = [verdict(&question, true)];
        let summary = summarise(std::slice::from_ref(&question), &verdicts, &[], &MajorityAnswers::default());
        let json = serde_json::to_string(&summary).unwrap();
        assert_eq!(serde_json::from_str::<Summary>(&json).unwrap().overall[0].group, ALL_CLOSED);
    }
}
