//! A checkpoint's own chat template, run by minijinja.
//!
//! The template never sees what people wrote. It is rendered with a placeholder for each turn's text; the result is cut at control tokens
//! and placeholders, and only then the texts are put in. So no text can forge a control token, and what is learned is known by construction.

use crate::chat_template::{Content, Ending, Piece, Pieces, role_name};
use crate::error::{Error, Result};
use crate::folder::TokenizerConfig;
use crate::tokenizer::{Markup, Tokenizer};
use gmai_schema::{Role, Turn};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, Value, context};

/// Steps a template may take per rendering: a template of the longest conversations takes a few thousand.
const MAX_STEPS: u64 = 200_000;
/// Stand around a turn's index in a placeholder; private-use characters that no template writes.
const OPEN: char = '\u{F0000}';
const CLOSE: char = '\u{F0001}';
/// The template's name inside its environment.
const NAME: &str = "chat_template";

/// A compiled template with what is known of how it ends a reply.
#[derive(Debug, Clone)]
pub(crate) struct JinjaTemplate {
    environment: Environment<'static>,
    source: String,
    bos_token: String,
    eos_token: String,
    reply_tail: Vec<Piece>,
    end_of_turn: u32,
}

impl JinjaTemplate {
    /// Compiles `source` and finds out by a trial conversation how it ends a reply.
    pub(crate) fn new(source: &str, config: &TokenizerConfig, tokenizer: &Tokenizer) -> Result<JinjaTemplate> {
        let mut environment = Environment::new();
        environment.set_fuel(Some(MAX_STEPS));
        // As transformers compiles templates.
        environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(failed)?);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function(
            "raise_exception",
            |message: String| -> std::result::Result<Value, minijinja::Error> {
                Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
            },
        );
        environment.add_template_owned(NAME, without_generation_tags(source)).map_err(failed)?;
        let mut template = JinjaTemplate {
            environment,
            source: source.to_string(),
            bos_token: config.bos_token.clone().unwrap_or_default(),
            eos_token: config.eos_token.clone().unwrap_or_default(),
            reply_tail: Vec::new(),
            end_of_turn: 0,
        };
        let trial = template.pieces(tokenizer, &[Turn::human("a"), Turn::assistant("b")], Ending::Closed)?;
        template.reply_tail = trial.into_iter().filter(|piece| piece.learned).skip(1).collect();
        let Some(Piece { content: Content::Control(id), .. }) = template.reply_tail.last() else {
            return Err(refused("the assistant's turn is not ended by a special token, so a reply would have no end"));
        };
        template.end_of_turn = *id;
        Ok(template)
    }

    /// The text as found in the checkpoint.
    pub(crate) fn source(&self) -> &str {
        &self.source
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
        let rendered = self.render(turns, ending)?;
        let mut pieces = Pieces::default();
        let mut num_seen = vec![0usize; turns.len()];
        let mut in_reply = false; // Between an assistant's text and the control token that ends it.
        for part in tokenizer.split_markup(&rendered) {
            match part {
                Markup::Control(_, id) if in_reply => {
                    pieces.learned_control(id);
                    in_reply = false;
                }
                Markup::Control(_, id) => pieces.control(id),
                Markup::Text(text) => {
                    for fragment in fragments(text, turns.len()) {
                        match fragment {
                            Fragment::Turn(index) => {
                                num_seen[index] += 1;
                                pieces.turn(&turns[index]);
                                in_reply = turns[index].from == Role::Assistant;
                            }
                            Fragment::Literal(text) if in_reply => pieces.learned_text(text),
                            Fragment::Literal(text) => pieces.text(text),
                        }
                    }
                }
            }
        }
        if let Some(index) = num_seen.iter().position(|count| *count != 1) {
            let role = role_name(turns[index].from);
            return Err(refused(&format!("writes turn {index} ({role}) {} times instead of once", num_seen[index])));
        }
        if in_reply && ending == Ending::Closed {
            return Err(refused("the assistant's turn is not ended by a special token, so a reply would have no end"));
        }
        let mut pieces = pieces.0;
        if turns.last().is_some_and(|turn| turn.from == Role::Assistant) && ending == Ending::Closed {
            // A separator after the last reply is never learned and nothing comes after it.
            while pieces.last().is_some_and(|piece| !piece.learned) {
                pieces.pop();
            }
        }
        Ok(pieces)
    }

    fn render(&self, turns: &[Turn], ending: Ending) -> Result<String> {
        let messages: Vec<Value> = turns
            .iter()
            .enumerate()
            .map(|(index, turn)| context! { role => role_name(turn.from), content => format!("{OPEN}{index}{CLOSE}") })
            .collect();
        let values = context! {
            messages,
            add_generation_prompt => ending == Ending::AwaitingReply,
            bos_token => &self.bos_token,
            eos_token => &self.eos_token,
        };
        self.environment.get_template(NAME).and_then(|template| template.render(values)).map_err(failed)
    }
}

enum Fragment<'a> {
    /// The place of a turn's text.
    Turn(usize),
    /// The template's own words.
    Literal(&'a str),
}

/// Cuts rendered text at its placeholders.
fn fragments(text: &str, num_turns: usize) -> Vec<Fragment<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN) {
        let Some((number, after)) = after.split_once(CLOSE) else { break };
        if !before.is_empty() {
            found.push(Fragment::Literal(before));
        }
        if let Some(index) = number.parse().ok().filter(|index| *index < num_turns) {
            found.push(Fragment::Turn(index));
        }
        rest = after;
    }
    if !rest.is_empty() {
        found.push(Fragment::Literal(rest));
    }
    found
}

/// Puts a plain block in the place of `{% generation %}`: transformers' own tag for what is learned, which Jinja does not know.
fn without_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let Some(length) = rest[start..].find("%}") else { break };
        let tag = &rest[start..start + length + 2];
        let word = tag.trim_matches(['{', '%', '}', '-', '+', ' ', '\t', '\n', '\r']);
        out.push_str(&rest[..start]);
        match word {
            "generation" => out.push_str(&tag.replace("generation", "if true")),
            "endgeneration" => out.push_str(&tag.replace("endgeneration", "endif")),
            _ => out.push_str(tag),
        }
        rest = &rest[start + length + 2..];
    }
    out.push_str(rest);
    out
}

fn refused(reason: &str) -> Error {
    Error::ChatTemplate { reason: reason.to_string() }
}

fn failed(source: minijinja::Error) -> Error {
    let reason = match source.kind() {
        ErrorKind::OutOfFuel => format!("takes more than {MAX_STEPS} steps; it must not loop without end"),
        _ => format!("{source:#}"),
    };
    Error::ChatTemplate { reason }
}
