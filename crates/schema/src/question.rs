//! One benchmark item.

use crate::conversation::Quiz;
use crate::vocabulary::{Language, Modality, Task};
use serde::{Deserialize, Serialize};

/// A question with what counts as right and the groups it is reported under. Its images travel beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// Unique in its benchmark.
    pub id: String,
    /// The human turn exactly as training has it, with `<image>` markers and, for multiple choice, the lettered options.
    pub prompt: String,
    /// What is right.
    pub quiz: Quiz,
    /// What is asked, e.g. `modality`, `diagnosis`.
    pub attribute: String,
    /// Name of the source.
    pub source: String,
    /// What the question examines.
    pub task: Task,
    /// How the image was acquired; `None` when the source does not say.
    pub modality: Option<Modality>,
    /// Language of the prompt.
    pub language: Language,
    /// Pseudonym of the patient: the cluster of the question when intervals are computed.
    pub patient: String,
}
