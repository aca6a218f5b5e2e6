//! From turns to the pieces of a sequence: control tokens, text, images, and which of them the model learns to write.
//!
//! Nothing is ever found again in rendered text: a piece is marked as learned when it is made. What a user typed reaches the tokenizer as
//! text only, so a control token spelled out in it stays text.

use crate::error::{Error, Result};
use crate::folder::TokenizerConfig;
use crate::jinja_template::JinjaTemplate;
use crate::tokenizer::Tokenizer;
use gmai_schema::conversation::IMAGE_MARKER;
use gmai_schema::{Role, Turn};

/// InternLM2's template as Jinja, for other programs. The published one puts `{{ bos_token }}` in front, training code of the field does not:
/// a folder's own template decides, and folders made here have this one.
pub const INTERNLM2_TEMPLATE: &str = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/// What the published form of it begins with.
const BEGINNING_OF_TEXT: &str = "{{ bos_token }}";
const START_OF_TURN: &str = "<|im_start|>";
const END_OF_TURN: &str = "<|im_end|>";

/// What a sequence is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// A control token, by id.
    Control(u32),
    /// A control token that the tokenizer puts before a text; the text after it is still at its beginning.
    Beginning(u32),
    /// Plain text, tokenised together with the text beside it.
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
    /// `<|im_start|>role\ntext<|im_end|>`, with `\n` between turns.
    InternLm2(InternLm2),
    /// The checkpoint's own.
    Jinja(Box<JinjaTemplate>),
}

/// The control tokens of InternLM2's template.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InternLm2 {
    /// Begins a text, in folders whose template says so.
    beginning: Option<u32>,
    start: u32,
    end: u32,
}

impl ChatTemplate {
    /// The template of a folder, or InternLM2's where it has none. `image_token` stands for an image.
    pub(crate) fn new(config: &TokenizerConfig, tokenizer: &Tokenizer, image_token: &str) -> Result<ChatTemplate> {
        let source = config.chat_template.as_deref().unwrap_or(INTERNLM2_TEMPLATE);
        // A line break inside Jinja's quotes and a written `\n` mean the same; published files have either.
        let plain = source.trim().replace("\\n", "\n");
        let without_beginning = plain.strip_prefix(BEGINNING_OF_TEXT);
        if without_beginning.unwrap_or(&plain) != INTERNLM2_TEMPLATE.replace("\\n", "\n") {
            return Ok(ChatTemplate::Jinja(Box::new(JinjaTemplate::new(source, config, tokenizer, image_token)?)));
        }
        let id = |token: &str, purpose| {
            tokenizer.control_id(token).ok_or_else(|| Error::MissingToken { token: token.to_string(), purpose })
        };
        let beginning = config.bos_token.as_deref().filter(|_| without_beginning.is_some());
        Ok(ChatTemplate::InternLm2(InternLm2 {
            beginning: beginning.map(|token| id(token, "it begins a text in the chat template")).transpose()?,
            start: id(START_OF_TURN, "it begins a turn in the InternLM2 template")?,
            end: id(END_OF_TURN, "it ends a turn in the InternLM2 template")?,
        }))
    }

    /// The Jinja text.
    pub(crate) fn source(&self) -> String {
        match self {
            ChatTemplate::InternLm2(InternLm2 { beginning: None, .. }) => INTERNLM2_TEMPLATE.to_string(),
            ChatTemplate::InternLm2(_) => format!("{BEGINNING_OF_TEXT}{INTERNLM2_TEMPLATE}"),
            ChatTemplate::Jinja(template) => template.source().to_string(),
        }
    }

    /// The control token that ends the assistant's turn: generation stops there.
    pub(crate) fn end_of_turn(&self) -> u32 {
        match self {
            ChatTemplate::InternLm2(template) => template.end,
            ChatTemplate::Jinja(template) => template.end_of_turn(),
        }
    }

    /// The pieces of a conversation.
    pub(crate) fn pieces(&self, tokenizer: &Tokenizer, turns: &[Turn], ending: Ending) -> Result<Vec<Piece>> {
        match self {
            ChatTemplate::InternLm2(template) => Ok(template.pieces(turns, ending)),
            ChatTemplate::Jinja(template) => template.pieces(tokenizer, turns, ending),
        }
    }

    /// The pieces of a reply as they follow a sequence that ends [`Ending::AwaitingReply`]. What is not learned stands in that sequence
    /// already; it is there because tokens depend on what stands before them.
    pub(crate) fn reply(&self, text: &str) -> Vec<Piece> {
        let mut pieces = Pieces::default();
        match self {
            ChatTemplate::InternLm2(template) => {
                pieces.control(template.start);
                pieces.text("assistant\n");
                pieces.learned_text(text);
                pieces.learned_control(template.end);
            }
            ChatTemplate::Jinja(template) => {
                pieces.0.extend_from_slice(template.reply_context());
                pieces.learned_text(template.reply_lead());
                pieces.learned_text(text);
                pieces.0.extend_from_slice(template.reply_tail());
            }
        }
        pieces.0
    }
}

impl InternLm2 {
    fn pieces(self, turns: &[Turn], ending: Ending) -> Vec<Piece> {
        let mut pieces = Pieces::default();
        if let Some(beginning) = self.beginning {
            pieces.control(beginning);
        }
        for (index, turn) in turns.iter().enumerate() {
            if index > 0 {
                pieces.text("\n");
            }
            pieces.control(self.start);
            pieces.text(role_name(turn.from));
            pieces.text("\n");
            pieces.turn(turn);
            match turn.from {
                Role::Assistant => pieces.learned_control(self.end),
                Role::System | Role::Human => pieces.control(self.end),
            }
        }
        if ending == Ending::AwaitingReply {
            if !turns.is_empty() {
                pieces.text("\n");
            }
            pieces.control(self.start);
            pieces.text("assistant\n");
        }
        pieces.0
    }
}

/// The role as templates name it.
pub(crate) fn role_name(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::Human => "user",
        Role::Assistant => "assistant",
    }
}

/// Pieces as they are collected.
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
                        self.image();
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

    pub(crate) fn image(&mut self) {
        self.push(Content::Image, false);
    }

    fn push(&mut self, content: Content, learned: bool) {
        self.0.push(Piece { content, learned });
    }
}
