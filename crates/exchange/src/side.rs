//! The side field `gmai`: what a row knows beyond its text and pictures, as JSON text in one string.
//!
//! A string, not an object: table readers (pandas, Hugging Face `datasets`) infer one type per column, and objects that differ from
//! row to row stop them.

use crate::digest;
use gmai_schema::{Conversation, Role, Turn};
use gmai_shard::EncodedImage;
use serde::{Deserialize, Serialize};

/// Name of the side field in every format.
pub(crate) const SIDE_FIELD: &str = "gmai";

/// Version of the side field.
const VERSION: u32 = 1;

/// All of a row but its text and its pictures' bytes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Side {
    version: u32,
    /// The row without its turns: those stand in the format's own fields.
    conversation: Conversation,
    /// Keys of the pictures, in order.
    images: Vec<String>,
    /// Hash of the turns as exported: a later edit shows.
    text_sha256: String,
}

/// A row that came back.
pub(crate) struct Restored {
    /// The row with its text.
    pub(crate) conversation: Conversation,
    /// Whether the text is another than was exported. Then the id is new and nothing is known of what counts as right.
    pub(crate) is_edited: bool,
}

/// The name of a speaker in LLaVA's files.
pub(crate) fn role_key(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::Human => "human",
        Role::Assistant => "gpt",
    }
}

/// Hash of who says what.
pub(crate) fn text_sha256(turns: &[Turn]) -> String {
    let parts: Vec<&str> = turns.iter().flat_map(|turn| [role_key(turn.from), turn.value.as_str()]).collect();
    digest::of_parts(&parts)
}

impl Side {
    /// The side field's text for a row.
    pub(crate) fn text(conversation: &Conversation, images: &[EncodedImage]) -> String {
        let side = Side {
            version: VERSION,
            conversation: Conversation { turns: Vec::new(), ..conversation.clone() },
            images: images.iter().map(|image| image.path.clone()).collect(),
            text_sha256: text_sha256(&conversation.turns),
        };
        serde_json::to_string(&side).expect("text and numbers are JSON")
    }

    /// Reads a side field; the reason when it cannot be understood.
    pub(crate) fn parse(text: &str) -> Result<Side, String> {
        let side: Side = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match side.version {
            VERSION => Ok(side),
            other => Err(format!("version is {other}, this program reads {VERSION}")),
        }
    }

    /// Keys of the pictures that the row was exported with.
    pub(crate) fn images(&self) -> &[String] {
        &self.images
    }

    /// The row with the text that was found.
    pub(crate) fn restore(self, turns: Vec<Turn>) -> Restored {
        let found = text_sha256(&turns);
        let is_edited = found != self.text_sha256;
        let mut conversation = Conversation { turns, ..self.conversation };
        if is_edited {
            conversation.id = digest::of_parts(&[&conversation.id, &found]);
            conversation.quiz = None;
            conversation.generator = format!("{}, edited", conversation.generator);
        }
        Restored { conversation, is_edited }
    }
}
