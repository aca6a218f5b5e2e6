//! A checkpoint's own chat template, run by minijinja.
//!
//! The template does not see what people wrote. It is rendered with a placeholder for each text; the result is cut at control tokens and
//! placeholders, and only then the texts are put in. So no text can forge a control token, and what is learned is known by construction.
//! Spaces around a text stay outside its placeholder, because templates trim them.
//!
//! A few templates look into texts (they split off what stands before `</think>`, say). They are found by rendering the texts themselves as
//! well: where that gives something else, a prompt is made of it, as transformers would, unless a text spells out a control token.

use crate::chat_template::{Content, Ending, Piece, Pieces, role_name};
use crate::error::{Error, Result};
use crate::folder::TokenizerConfig;
use crate::jinja_environment::{self, NAME, failed};
use crate::tokenizer::{Markup, Tokenizer};
use gmai_schema::conversation::IMAGE_MARKER;
use gmai_schema::{Role, Turn};
use minijinja::{Environment, Value, context};

/// Stand around a text's index in a placeholder; private-use characters that no template writes.
const OPEN: char = '\u{F0000}';
const CLOSE: char = '\u{F0001}';

/// How a template wants the content of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// As one text, with `<image>` where an image stands (language models' templates).
    Text,
    /// As a list of texts and images; the template writes the image tokens (processors' templates).
    Parts,
}

/// A compiled template with what is known of how it ends a reply.
#[derive(Debug, Clone)]
pub(crate) struct JinjaTemplate {
    environment: Environment<'static>,
    source: String,
    bos_token: String,
    eos_token: String,
    image_token: Option<u32>,
    style: Style,
    /// Put before sequences whose template does not write it.
    prefix: Vec<u32>,
    /// What a sequence ends with when a reply is awaited (a control token, a text), what the template puts before the reply itself, and what
    /// ends it.
    reply_context: Vec<Piece>,
    reply_lead: String,
    reply_tail: Vec<Piece>,
    end_of_turn: u32,
}

impl JinjaTemplate {
    /// Compiles `source` and finds out by trial conversations how it takes images and how it ends a reply.
    pub(crate) fn new(
        source: &str,
        config: &TokenizerConfig,
        tokenizer: &Tokenizer,
        image_token: &str,
    ) -> Result<JinjaTemplate> {
        let mut template = JinjaTemplate {
            environment: jinja_environment::compile(source)?,
            source: source.to_string(),
            bos_token: config.bos_token.clone().unwrap_or_default(),
            eos_token: config.eos_token.clone().unwrap_or_default(),
            image_token: tokenizer.control_id(image_token),
            style: Style::Parts,
            prefix: Vec::new(),
            reply_context: Vec::new(),
            reply_lead: String::new(),
            reply_tail: Vec::new(),
            end_of_turn: 0,
        };
        if template.takes_parts(tokenizer) {
            // Such templates are rendered to text, which the processor then gives to the tokenizer as it would any other.
            template.prefix = tokenizer.prefix()?;
        } else {
            template.style = Style::Text;
        }
        template.learn_how_replies_stand(tokenizer)?;
        Ok(template)
    }

    /// Whether a list of parts comes out whole, its image as one image token.
    fn takes_parts(&self, tokenizer: &Tokenizer) -> bool {
        let turns = [Turn::human(format!("{IMAGE_MARKER}\na")), Turn::assistant("b")];
        let pieces = self.pieces(tokenizer, &turns, Ending::Closed);
        let count = |pieces: Vec<Piece>| pieces.iter().filter(|piece| piece.content == Content::Image).count();
        pieces.is_ok_and(|pieces| count(pieces) == 1)
    }

    fn learn_how_replies_stand(&mut self, tokenizer: &Tokenizer) -> Result<()> {
        let turns = [Turn::human("a"), Turn::assistant("b")];
        let whole = self.pieces(tokenizer, &turns, Ending::Closed)?;
        let is_reply = |piece: &Piece| piece.learned && piece.content == Content::Text("b".to_string());
        let at = whole.iter().position(is_reply).ok_or_else(|| refused("does not write the assistant's turn"))?;
        self.reply_tail = whole[at + 1..].iter().filter(|piece| piece.learned).cloned().collect();
        let Some(Piece { content: Content::Control(id), .. }) = self.reply_tail.last() else {
            return Err(refused("the assistant's turn is not ended by a special token, so a reply would have no end"));
        };
        self.end_of_turn = *id;
        let prompt = self.pieces(tokenizer, &turns[..1], Ending::AwaitingReply)?;
        let text = |piece: Option<&Piece>| match piece {
            Some(Piece { content: Content::Text(text), .. }) => text.clone(),
            _ => String::new(),
        };
        let num_texts = usize::from(!text(prompt.last()).is_empty());
        // Any control token will do for what stands before the text, as long as something does.
        let usual = Piece { content: Content::Control(self.end_of_turn), learned: false };
        let control = prompt.iter().rev().nth(num_texts).filter(|piece| matches!(piece.content, Content::Control(_)));
        let last_text = prompt.last().filter(|_| num_texts == 1);
        self.reply_context = [control.or(Some(&usual)), last_text].into_iter().flatten().cloned().collect();
        let before = text(at.checked_sub(1).and_then(|before| whole.get(before)));
        // `ASSISTANT:` awaits a reply, `ASSISTANT: ` stands before one: the model writes the space.
        self.reply_lead = before.strip_prefix(&text(prompt.last())).unwrap_or_default().to_string();
        Ok(())
    }

    /// The text as found in the checkpoint.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// The end of a sequence that awaits a reply: tokens depend on what stands before them.
    pub(crate) fn reply_context(&self) -> &[Piece] {
        &self.reply_context
    }

    /// What the template writes between that and the reply.
    pub(crate) fn reply_lead(&self) -> &str {
        &self.reply_lead
    }

    /// What the template writes after a reply, up to and with the control token that ends it.
    pub(crate) fn reply_tail(&self) -> &[Piece] {
        &self.reply_tail
    }

    /// The control token that ends a reply.
    pub(crate) fn end_of_turn(&self) -> u32 {
        self.end_of_turn
    }

    /// The pieces of a conversation.
    pub(crate) fn pieces(&self, tokenizer: &Tokenizer, turns: &[Turn], ending: Ending) -> Result<Vec<Piece>> {
        let messages: Vec<Message> = turns.iter().map(|turn| Message::new(turn, self.style)).collect();
        let rendered = self.render(&messages, ending, Written::Placeholders)?;
        let texts: Vec<&Text> = messages.iter().flat_map(Message::texts).collect();
        let as_written = self.render(&messages, ending, Written::Texts)?;
        if filled_in(&rendered, &texts) != as_written {
            let is_safe = !texts.iter().any(|text| tokenizer.spells_control(&text.core));
            match ending {
                Ending::Closed => {
                    return Err(refused("changes what a turn says, so it cannot be told what is learned"));
                }
                Ending::AwaitingReply if is_safe => return Ok(self.with_prefix(self.of_markup(tokenizer, &as_written))),
                Ending::AwaitingReply => {}
            }
        }
        let mut pieces = self.of_placeholders(tokenizer, &rendered, &texts, ending)?;
        if turns.last().is_some_and(|turn| turn.from == Role::Assistant) && ending == Ending::Closed {
            // A separator after the last reply is never learned and nothing comes after it.
            while pieces.last().is_some_and(|piece| !piece.learned) {
                pieces.pop();
            }
        }
        Ok(self.with_prefix(pieces))
    }

    /// Trusted text, cut at its control tokens.
    fn of_markup(&self, tokenizer: &Tokenizer, text: &str) -> Vec<Piece> {
        let mut pieces = Pieces::default();
        for part in tokenizer.split_markup(text) {
            match part {
                Markup::Control(_, id) => self.push_control(id, &mut pieces),
                Markup::Text(text) => pieces.text(text),
            }
        }
        pieces.0
    }

    fn push_control(&self, id: u32, pieces: &mut Pieces) {
        if self.image_token == Some(id) { pieces.image() } else { pieces.control(id) }
    }

    fn of_placeholders(
        &self,
        tokenizer: &Tokenizer,
        rendered: &str,
        texts: &[&Text],
        ending: Ending,
    ) -> Result<Vec<Piece>> {
        let mut pieces = Pieces::default();
        let mut num_seen = vec![0usize; texts.len()];
        let mut in_reply = false; // Between an assistant's text and the control token that ends it.
        for part in tokenizer.split_markup(rendered) {
            match part {
                Markup::Control(_, id) if in_reply => {
                    pieces.learned_control(id);
                    in_reply = false;
                }
                Markup::Control(_, id) => self.push_control(id, &mut pieces),
                Markup::Text(text) => {
                    for fragment in fragments(text, texts.len()) {
                        match fragment {
                            Fragment::Text(index) => {
                                num_seen[index] += 1;
                                in_reply = texts[index].role == Role::Assistant;
                                push_text(texts[index], &mut pieces);
                            }
                            Fragment::Literal(text) if in_reply => pieces.learned_text(text),
                            Fragment::Literal(text) => pieces.text(text),
                        }
                    }
                }
            }
        }
        if let Some(index) = num_seen.iter().position(|count| *count != 1) {
            let (turn, role) = (texts[index].turn_name(texts), role_name(texts[index].role));
            return Err(refused(&format!("writes turn {turn} ({role}) {} times instead of once", num_seen[index])));
        }
        if in_reply && ending == Ending::Closed {
            return Err(refused("the assistant's turn is not ended by a special token, so a reply would have no end"));
        }
        Ok(pieces.0)
    }

    /// Puts the token that begins a text in front, where the tokenizer wants one and the template did not write it.
    fn with_prefix(&self, mut pieces: Vec<Piece>) -> Vec<Piece> {
        let is_there = |id: &u32| pieces.first().is_some_and(|piece| piece.content == Content::Control(*id));
        let missing: Vec<u32> = self.prefix.iter().copied().filter(|id| !is_there(id)).collect();
        let missing = missing.into_iter().map(|id| Piece { content: Content::Beginning(id), learned: false });
        pieces.splice(0..0, missing);
        pieces
    }

    fn render(&self, messages: &[Message], ending: Ending, written: Written) -> Result<String> {
        let mut num_texts = 0;
        let messages: Vec<Value> = messages.iter().map(|message| message.value(&mut num_texts, written)).collect();
        let values = context! {
            messages,
            add_generation_prompt => ending == Ending::AwaitingReply,
            bos_token => &self.bos_token,
            eos_token => &self.eos_token,
        };
        self.environment.get_template(NAME).and_then(|template| template.render(values)).map_err(failed)
    }
}

/// What is put into a message: its text or a sign for it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    Texts,
    Placeholders,
}

/// A text of a turn, without the spaces around it.
#[derive(Debug)]
struct Text {
    before: String,
    core: String,
    after: String,
    role: Role,
}

impl Text {
    fn new(text: &str, role: Role) -> Text {
        // What Python's `str.strip` strips, and so templates' `trim`.
        let is_space = |c: char| c.is_whitespace() || ('\u{1C}'..='\u{1F}').contains(&c);
        let core = text.trim_matches(is_space);
        let start = if core.is_empty() { text.len() } else { text.len() - text.trim_start_matches(is_space).len() };
        let (before, after) = (text[..start].to_string(), text[start + core.len()..].to_string());
        Text { before, core: core.to_string(), after, role }
    }

    fn written(&self, index: usize, written: Written) -> String {
        match written {
            Written::Texts => format!("{}{}{}", self.before, self.core, self.after),
            Written::Placeholders => format!("{}{OPEN}{index}{CLOSE}{}", self.before, self.after),
        }
    }

    fn turn_name(&self, texts: &[&Text]) -> usize {
        texts.iter().position(|text| std::ptr::eq(*text, self)).unwrap_or(0)
    }
}

/// A turn as a template takes it.
#[derive(Debug)]
struct Message {
    role: Role,
    parts: Vec<Part>,
    style: Style,
}

#[derive(Debug)]
enum Part {
    Text(Text),
    Image,
}

impl Message {
    fn new(turn: &Turn, style: Style) -> Message {
        let role = turn.from;
        let parts = match style {
            Style::Text => vec![Part::Text(Text::new(&turn.value, role))],
            Style::Parts if role == Role::Human => split_at_images(&turn.value),
            Style::Parts => vec![Part::Text(Text::new(&turn.value, role))],
        };
        Message { role, parts, style }
    }

    fn texts(&self) -> impl Iterator<Item = &Text> {
        self.parts.iter().filter_map(|part| if let Part::Text(text) = part { Some(text) } else { None })
    }

    fn value(&self, num_texts: &mut usize, written: Written) -> Value {
        let mut value = |part: &Part| match part {
            Part::Image => context! { type => "image" },
            Part::Text(text) => {
                *num_texts += 1;
                context! { type => "text", text => text.written(*num_texts - 1, written) }
            }
        };
        let parts: Vec<Value> = self.parts.iter().map(&mut value).collect();
        let content = match self.style {
            Style::Parts => Value::from(parts),
            Style::Text => parts.first().and_then(|part| part.get_attr("text").ok()).unwrap_or_default(),
        };
        context! { role => role_name(self.role), content }
    }
}

/// The texts and images of a turn in order. One line break beside an image belongs to the marker's notation, not to the text.
fn split_at_images(value: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let texts: Vec<&str> = value.split(IMAGE_MARKER).collect();
    for (index, text) in texts.iter().enumerate() {
        let text = if index > 0 { text.strip_prefix('\n').unwrap_or(text) } else { text };
        let is_last = index + 1 == texts.len();
        let text = if is_last { text } else { text.strip_suffix('\n').unwrap_or(text) };
        if !text.is_empty() {
            parts.push(Part::Text(Text::new(text, Role::Human)));
        }
        if !is_last {
            parts.push(Part::Image);
        }
    }
    parts
}

/// Puts a text in its place, with its images where they are written in it.
fn push_text(text: &Text, pieces: &mut Pieces) {
    match text.role {
        Role::Assistant => pieces.learned_text(&text.core),
        Role::System => pieces.text(&text.core),
        Role::Human => pieces.turn(&Turn::human(text.core.as_str())),
    }
}

enum Fragment<'a> {
    /// The place of a text.
    Text(usize),
    /// The template's own words.
    Literal(&'a str),
}

/// Cuts rendered text at its placeholders.
fn fragments(text: &str, num_texts: usize) -> Vec<Fragment<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN) {
        let Some((number, after)) = after.split_once(CLOSE) else { break };
        if !before.is_empty() {
            found.push(Fragment::Literal(before));
        }
        if let Some(index) = number.parse().ok().filter(|index| *index < num_texts) {
            found.push(Fragment::Text(index));
        }
        rest = after;
    }
    if !rest.is_empty() {
        found.push(Fragment::Literal(rest));
    }
    found
}

/// Rendered text with the texts in their places.
fn filled_in(rendered: &str, texts: &[&Text]) -> String {
    let part = |fragment| match fragment {
        Fragment::Text(index) => texts.get::<usize>(index).map_or("", |text| text.core.as_str()),
        Fragment::Literal(text) => text,
    };
    fragments(rendered, texts.len()).into_iter().map(part).collect()
}

fn refused(reason: &str) -> Error {
    Error::ChatTemplate { reason: reason.to_string() }
}
