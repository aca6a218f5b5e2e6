//! From turns to the pieces of a sequence: control tokens, text, images, and which of them the model learns to write.
//!
//! Nothing is ever found again in rendered text: a piece is marked as learned when it is made. What a user typed reaches the tokenizer as
//! text only, so a control token spelled out in it stays text.

use crate::error::{Error, Result};
use crate::jinja_template::JinjaTemplate;
use crate::tokenizer::Tokenizer;
use gmai_schema::conversation::IMAGE_MARKER;
use gmai_schema::{Role, Turn};

/// InternLM2's template as Jinja, for other programs. The published one puts `{{ bos_token }}` in front; training does not (paper.md 2.5).
pub const INTERNLM2_TEMPLATE: &str = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

const START_OF_TURN: &str = "<|im_start|>";
const END_OF_TURN: &str = "<|im_end|>";

/// What a sequence is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// A control token, by id.
    Control(u32),
    /// Plain text, tokenised on its own.
    Text(String),
    /// The next image.
    Image,
}

/// One part of a sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub content: Content,
    /// Whether the model learns to write it.
    pub learned: bool,
}

/// How a sequence ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// After the last turn.
    Closed,
    /// With the head of an assistant turn, ready for the reply.
    AwaitingReply,
}

/// How turns are written as one sequence.
#[derive(Debug, Clone)]
pub(crate) enum ChatTemplate {
    /// `<|im_start|>role\ntext<|im_end|>`, with `\n` between turns; the ids of the two control tokens.
    InternLm2 { start: u32, end: u32 },
    /// The checkpoint's own.
    Jinja(Box<JinjaTemplate>),
}

impl ChatTemplate {
    /// InternLM2's template, which the tokenizer must have the control tokens for.
    pub(crate) fn internlm2(tokenizer: &Tokenizer) -> Result<ChatTemplate> {
        let id = |token: &str, purpose| {
            tokenizer.control_id(token).ok_or_else(|| Error::MissingToken { token: token.to_string(), purpose })
        };
        Ok(ChatTemplate::InternLm2 {
            start: id(START_OF_TURN, "it begins a turn in the InternLM2 template")?,
            end: id(END_OF_TURN, "it ends a turn in the InternLM2 template")?,
        })
    }

    /// Whether `source` is InternLM2's template, with or without the beginning-of-text token that training leaves out.
    pub(crate) fn is_internlm2(source: &str) -> bool {
        // A line break inside Jinja's quotes and a written `\n` mean the same; published files have either.
        let source = source.trim().replace("\\n", "\n");
        source.strip_prefix("{{ bos_token }}").unwrap_or(&source) == INTERNLM2_TEMPLATE.replace("\\n", "\n")
    }

    /// The Jinja text of a template that is not built in.
    pub(crate) fn source(&self) -> Option<&str> {
        match self {
            ChatTemplate::InternLm2 { .. } => None,
            ChatTemplate::Jinja(template) => Some(template.source()),
        }
    }

    /// The control token that ends the assistant's turn: generation stops there.
    pub(crate) fn end_of_turn(&self) -> u32 {
        match self {
            ChatTemplate::InternLm2 { end, .. } => *end,
            ChatTemplate::Jinja(template) => template.end_of_turn(),
        }
    }

    /// The pieces of a conversation.
    pub(crate) fn pieces(&self, tokenizer: &Tokenizer, turns: &[Turn], ending: Ending) -> Result<Vec<Piece>> {
        match self {
            ChatTemplate::InternLm2 { start, end } => Ok(internlm2_pieces(*start, *end, turns, ending)),
            ChatTemplate::Jinja(template) => template.pieces(tokenizer, turns, ending),
        }
    }

    /// The pieces of a reply, exactly as they follow a sequence that ends [`Ending::AwaitingReply`].
    pub(crate) fn reply(&self, text: &str) -> Vec<Piece> {
        let mut pieces = Pieces::default();
        pieces.learned_text(text);
        match self {
            ChatTemplate::InternLm2 { end, .. } => pieces.learned_control(*end),
            ChatTemplate::Jinja(template) => pieces.0.extend_from_slice(template.reply_tail()),
        }
        pieces.0
    }
}

fn internlm2_pieces(start: u32, end: u32, turns: &[Turn], ending: Ending) -> Vec<Piece> {
    let mut pieces = Pieces::default();
    for (index, turn) in turns.iter().enumerate() {
        if index > 0 {
            pieces.text("\n");
        }
        pieces.control(start);
        pieces.text(role_name(turn.from));
        pieces.text("\n");
        pieces.turn(turn);
        match turn.from {
            Role::Assistant => pieces.learned_control(end),
            Role::System | Role::Human => pieces.control(end),
        }
    }
    if ending == Ending::AwaitingReply {
        if !turns.is_empty() {
            pieces.text("\n");
        }
        pieces.control(start);
        pieces.text("assistant\n");
    }
    pieces.0
}

/// The role as templates name it.
pub(crate) fn role_name(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::Human => "user",
        Role::Assistant => "assistant",
    }
}

/// Pieces as they are collected: neighbouring text that is not learned is one piece, because the tokenizer sees it so at inference.
#[derive(Debug, Default)]
pub(crate) struct Pieces(pub Vec<Piece>);

impl Pieces {
    /// A turn's own text, with its images when a person speaks.
    pub(crate) fn turn(&mut self, turn: &Turn) {
        match turn.from {
            Role::Assistant => self.learned_text(&turn.value),
            Role::System => self.text(&turn.value),
            Role::Human => {
                for (index, text) in turn.value.split(IMAGE_MARKER).enumerate() {
                    if index > 0 {
                        self.push(Content::Image, false);
                    }
                    self.text(text);
                }
            }
        }
    }

    pub(crate) fn text(&mut self, text: &str) {
        if let Some(Piece { content: Content::Text(last), learned: false }) = self.0.last_mut() {
            last.push_str(text);
        } else if !text.is_empty() {
            self.push(Content::Text(text.to_string()), false);
        }
    }

    pub(crate) fn learned_text(&mut self, text: &str) {
        if !text.is_empty() {
            self.push(Content::Text(text.to_string()), true);
        }
    }

    pub(crate) fn control(&mut self, id: u32) {
        self.push(Content::Control(id), false);
    }

    pub(crate) fn learned_control(&mut self, id: u32) {
        self.push(Content::Control(id), true);
    }

    fn push(&mut self, content: Content, learned: bool) {
        self.0.push(Piece { content, learned });
    }
}
