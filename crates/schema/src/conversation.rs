//! Conversations: what the model is trained on, and (in the test split) asked.

use crate::annotation::{BoundingBox, Label};
use crate::record::Provenance;
use crate::vocabulary::{Department, Language, Modality, Task};
use serde::{Deserialize, Serialize};

/// Who speaks. The names on disk are LLaVA's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role {
    /// Instructions before the first turn.
    #[serde(rename = "system")]
    System,
    /// The person asking.
    #[serde(rename = "human")]
    Human,
    /// The model.
    #[serde(rename = "gpt")]
    Assistant,
}

/// One message. `<image>` in a human turn stands for the next image of the conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    /// Who speaks.
    pub from: Role,
    /// What is said.
    pub value: String,
}

impl Turn {
    /// A turn of the person asking.
    pub fn human(value: impl Into<String>) -> Turn {
        Turn { from: Role::Human, value: value.into() }
    }

    /// A turn of the model.
    pub fn assistant(value: impl Into<String>) -> Turn {
        Turn { from: Role::Assistant, value: value.into() }
    }
}

/// The marker of an image in a turn's text.
pub const IMAGE_MARKER: &str = "<image>";

/// What ends a question whose answer is the letter of an option.
pub fn letter_instruction(language: Language) -> &'static str {
    match language {
        Language::En => "Answer with the option's letter from the given choices directly.",
        Language::Zh => "请直接回答选项字母。",
        Language::Ja => "選択肢の記号だけで答えてください。",
    }
}

/// What ends a question whose answer is a name.
pub fn short_answer_instruction(language: Language) -> &'static str {
    match language {
        Language::En => " Answer with a short phrase.",
        Language::Zh => "请用简短的词语回答。",
        Language::Ja => "短い語句で答えてください。",
    }
}

/// A multiple-choice prompt as an open one: its options are left out and a short answer is asked for. A prompt without these options stays as it is.
pub fn open_form(prompt: &str, options: &[String], language: Language) -> String {
    let first = options.first().map(|option| format!("\nA. {option}"));
    match first.and_then(|first| prompt.find(&first)) {
        Some(end) => format!("{}{}", &prompt[..end], short_answer_instruction(language)),
        None => prompt.to_owned(),
    }
}

/// The kinds of image-text pair (paper, figure 1a, and multiple choice).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// A description of the whole image.
    ImageCaption,
    /// A description of the part inside a `<box>`; starts with "This region".
    RegionCaption,
    /// The name of what lies in a `<box>`, inside `<ref>`; or the box of what is named.
    Perception,
    /// One question with its answer.
    Instruction,
    /// Several turns on one image.
    Conversation,
    /// A question with lettered options.
    MultipleChoice,
}

impl Form {
    /// Every form, in the order of the paper's figure.
    pub const ALL: [Form; 6] = [
        Form::ImageCaption,
        Form::RegionCaption,
        Form::Perception,
        Form::Instruction,
        Form::Conversation,
        Form::MultipleChoice,
    ];

    /// The key written in shards.
    pub fn key(self) -> &'static str {
        match self {
            Form::ImageCaption => "image_caption",
            Form::RegionCaption => "region_caption",
            Form::Perception => "perception",
            Form::Instruction => "instruction",
            Form::Conversation => "conversation",
            Form::MultipleChoice => "multiple_choice",
        }
    }

    /// The form with this key; `None` for any other text.
    pub fn from_key(key: &str) -> Option<Form> {
        Form::ALL.into_iter().find(|form| form.key() == key)
    }
}

/// Which part of a dataset a conversation belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// For fitting parameters.
    Train,
    /// For choosing settings.
    Validation,
    /// For reporting.
    Test,
}

impl Split {
    /// The three splits.
    pub const ALL: [Split; 3] = [Split::Train, Split::Validation, Split::Test];

    /// The key written in shards and in file names.
    pub fn key(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Validation => "validation",
            Split::Test => "test",
        }
    }

    /// The split with this key; `None` for any other text.
    pub fn from_key(key: &str) -> Option<Split> {
        Split::ALL.into_iter().find(|split| split.key() == key)
    }
}

/// The checkable side of a single-turn conversation: what counts as right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Quiz {
    /// Lettered options, of which one is right.
    MultipleChoice {
        /// Option texts in the order of their letters, A first.
        options: Vec<String>,
        /// Index of the right option.
        answer: usize,
    },
    /// A question to be answered with yes or no (in the conversation's language).
    YesNo {
        /// Whether "yes" is right.
        answer: bool,
    },
    /// A short free answer.
    Open {
        /// Texts that count as right.
        answers: Vec<String>,
    },
}

/// One image-text training item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Conversation {
    /// Hash of record id, form, attribute, language and text.
    pub id: String,
    /// Id of the record it was made from.
    pub record: String,
    /// The turns, beginning with a human one.
    pub turns: Vec<Turn>,
    /// What kind of pair it is.
    pub form: Form,
    /// What is right, when a reply can be checked mechanically.
    pub quiz: Option<Quiz>,
    /// What is asked: an attribute key of the source, `modality`, `region`, `count`, or the source's own kind.
    pub attribute: Option<String>,
    /// Name of the source.
    pub source: String,
    /// What the question examines.
    pub task: Task,
    /// How the image was acquired; `None` when the source does not say.
    pub modality: Option<Modality>,
    /// Clinical department.
    pub department: Department,
    /// The record's labels.
    pub labels: Vec<Label>,
    /// Boxes that the text speaks of.
    pub boxes: Vec<BoundingBox>,
    /// Language of every turn.
    pub language: Language,
    /// Pseudonym of the patient.
    pub patient: String,
    /// Part of the dataset; decided by patient.
    pub split: Split,
    /// What wrote the text: a template id with its version, or `source` for text taken over from people.
    pub generator: String,
    /// The trail back to the files.
    pub provenance: Provenance,
}
