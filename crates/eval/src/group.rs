//! The groups under which scores are reported.

use crate::baseline::Kind;
use gmai_schema::{Question, Task};
use serde::{Deserialize, Serialize};

/// A property of questions that splits them into groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// Where the questions come from.
    Source,
    /// What is asked, within its source.
    Attribute,
    /// How the image was acquired.
    Modality,
    /// What the question examines.
    Task,
    /// Language of the prompt.
    Language,
    /// Multiple choice, yes or no, open.
    Kind,
}

impl Dimension {
    /// Every dimension, in the order of the report.
    pub const ALL: [Dimension; 6] = [
        Dimension::Source,
        Dimension::Attribute,
        Dimension::Modality,
        Dimension::Task,
        Dimension::Language,
        Dimension::Kind,
    ];

    /// The key written in files.
    pub fn key(self) -> &'static str {
        match self {
            Dimension::Source => "source",
            Dimension::Attribute => "attribute",
            Dimension::Modality => "modality",
            Dimension::Task => "task",
            Dimension::Language => "language",
            Dimension::Kind => "kind",
        }
    }

    /// The group of `question`.
    pub fn group(self, question: &Question) -> String {
        match self {
            Dimension::Source => question.source.clone(),
            Dimension::Attribute => format!("{} / {}", question.source, question.attribute),
            Dimension::Modality => question.modality.map_or("not stated", |modality| modality.key()).to_string(),
            Dimension::Task => question.task.key().to_string(),
            Dimension::Language => question.language.key().to_string(),
            Dimension::Kind => Kind::of(&question.quiz).key().to_string(),
        }
    }
}

/// Attributes that gmai asks of every source, whatever it labels; all others are the source's own.
const GENERAL_ATTRIBUTES: [&str; 5] = ["modality", "region", "count", "report", "question"];

/// Whether this is a label question: closed, and about what the source itself labels (its attributes), not about modality,
/// regions or counts, and not a question that people wrote.
pub fn is_label_question(question: &Question) -> bool {
    Kind::of(&question.quiz) != Kind::Open
        && question.task != Task::QuestionAnswering
        && !GENERAL_ATTRIBUTES.contains(&question.attribute.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::tests::{choice, open};

    #[test]
    fn label_questions_are_closed_and_about_the_sources_own_attributes() {
        let diagnosis = choice("q", &["melanoma", "nevus"], 0);
        assert!(is_label_question(&diagnosis));
        assert!(!is_label_question(&Question { attribute: "modality".into(), ..diagnosis.clone() }));
        assert!(!is_label_question(&Question { task: Task::QuestionAnswering, ..diagnosis }));
        assert!(!is_label_question(&open("q", &["melanoma"])));
    }

    #[test]
    fn an_attribute_is_named_with_its_source() {
        let question = Question { modality: None, ..choice("q", &["melanoma", "nevus"], 0) };
        assert_eq!(Dimension::Attribute.group(&question), "made_up / diagnosis");
        assert_eq!(Dimension::Modality.group(&question), "not stated");
    }
}
