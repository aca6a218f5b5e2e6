//! `gmai chat`: one question about pictures, answered as it is written.

use crate::args::ChatArguments;
use crate::generation::show_tokens;
use crate::output::Output;
use crate::picture::{self, Picture, View};
use anyhow::{Result, bail};
use gmai_imaging::Decoder;
use gmai_schema::conversation::{IMAGE_MARKER, letter_instruction, open_form};
use gmai_schema::{Answer, ChatRequest, Language, OptionLikelihood, Responder, Turn};
use serde::Serialize;

/// Letters that options can have.
const MAX_OPTIONS: usize = 26;

/// A question ready for the model.
#[derive(Debug, PartialEq)]
pub struct Asked {
    /// The human turn.
    pub prompt: String,
    /// Texts of the options, A first; empty for an open question.
    pub options: Vec<String>,
}

/// The command's result for programs.
#[derive(Debug, Serialize)]
struct Told<'a> {
    pictures: Vec<&'a str>,
    prompt: &'a str,
    answer: &'a Answer,
    options: Vec<Choice<'a>>,
}

/// One option with what the model thinks of it.
#[derive(Debug, Serialize)]
struct Choice<'a> {
    letter: char,
    text: &'a str,
    probability: f64,
}

/// Runs the command.
pub fn run(arguments: &ChatArguments, output: Output) -> Result<()> {
    let view = View::read(arguments.slice.as_deref(), arguments.window.as_deref())?;
    let decoder = if arguments.images.is_empty() { Decoder::default() } else { arguments.decoding.decoder()? };
    let pictures: Vec<Picture> =
        arguments.images.iter().map(|path| picture::read(path, &view, &decoder)).collect::<Result<_>>()?;
    let asked = ask(&arguments.text, pictures.len(), &arguments.options)?;
    let mut engine = crate::engine::open(&arguments.model)?;
    for picture in &pictures {
        output.line(format!("[{}]", picture.caption))?;
    }
    let images = pictures.iter().map(|picture| picture.pixels.clone()).collect();
    let written = ChatRequest {
        sampling: arguments.generation.sampling(engine.defaults()),
        stop: arguments.generation.stop.clone(),
        top_log_probabilities: arguments.generation.logprobs,
        images,
        ..ChatRequest::default()
    };
    let answer = answer(&mut engine, &asked, written, output)?;
    let choices = choices(&asked.options, &answer.options);
    output.document(&Told {
        pictures: pictures.iter().map(|picture| picture.caption.as_str()).collect(),
        prompt: &asked.prompt,
        answer: &answer,
        options: choices,
    })
}

/// Streams the answer to what is asked about the pictures of `request` with its settings, then shows the probability of each option.
pub fn answer(responder: &mut dyn Responder, asked: &Asked, request: ChatRequest, output: Output) -> Result<Answer> {
    // As in evaluation, options are weighed as answers to the bare question.
    let open = open_form(&asked.prompt, &asked.options, language_of(&asked.prompt));
    let request = ChatRequest {
        turns: vec![Turn::human(&asked.prompt)],
        options: asked.options.clone(),
        option_turns: Some(vec![Turn::human(open)]),
        ..request
    };
    let mut closed = None;
    let answer = responder.respond(&request, &mut |text| {
        if closed.is_none() {
            closed = output.piece(text).err(); // The reader may leave before the model has ended.
        }
    })?;
    if let Some(error) = closed {
        return Err(error.into());
    }
    output.line("")?;
    show_tokens(&answer.tokens, output)?;
    for choice in choices(&asked.options, &answer.options) {
        output.line(format!("  {}. {}  {:.1} %", choice.letter, choice.text, 100.0 * choice.probability))?;
    }
    Ok(answer)
}

fn choices<'a>(texts: &'a [String], likelihoods: &'a [OptionLikelihood]) -> Vec<Choice<'a>> {
    let rows = ('A'..='Z').zip(texts).zip(likelihoods);
    rows.map(|((letter, text), option)| Choice { letter, text, probability: option.probability }).collect()
}

/// Chinese when any Chinese character stands in the text.
fn language_of(text: &str) -> Language {
    let is_chinese = |character: char| ('\u{4e00}'..='\u{9fff}').contains(&character);
    if text.chars().any(is_chinese) { Language::Zh } else { Language::En }
}

/// The human turn as training has it: a marker for each picture, the question, the lettered options.
///
/// Options come from `options`, or from lines `A. ...`, `B. ...` of the text itself.
pub fn ask(text: &str, num_images: usize, options: &[String]) -> Result<Asked> {
    if text.trim().is_empty() {
        bail!("the question is empty");
    }
    if options.len() == 1 || options.len() > MAX_OPTIONS {
        bail!("{} times --option: give 2 to {MAX_OPTIONS} options, or none", options.len());
    }
    let markers = text.matches(IMAGE_MARKER).count();
    let mut prompt = match markers {
        0 => format!("{}{}", format!("{IMAGE_MARKER}\n").repeat(num_images), text.trim()),
        given if given == num_images => text.to_string(),
        given => bail!(
            "the text has {given} {IMAGE_MARKER} markers, --image is given {num_images} times; leave the markers out"
        ),
    };
    let written = lettered_lines(text);
    if options.is_empty() {
        return Ok(Asked { prompt, options: written });
    }
    if !written.is_empty() {
        bail!("the text has lettered options of its own; leave out --option");
    }
    for (letter, option) in ('A'..='Z').zip(options) {
        prompt.push_str(&format!("\n{letter}. {option}"));
    }
    prompt.push('\n');
    prompt.push_str(letter_instruction(language_of(&prompt)));
    Ok(Asked { prompt, options: options.to_vec() })
}

/// Texts of the lines that begin with `A. `, `B. ` and so on, in this order; empty when there are fewer than two.
fn lettered_lines(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in text.lines() {
        let letter = ('A'..='Z').nth(found.len());
        let option = letter.and_then(|letter| line.trim().strip_prefix(letter)?.strip_prefix(['.', ')', '、']));
        found.extend(option.map(|option| option.trim().to_string()));
    }
    if found.len() < 2 { Vec::new() } else { found }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(options: &[&str]) -> Vec<String> {
        options.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_question_with_options_reads_as_in_training() {
        let asked = ask("Which organ is this?", 1, &texts(&["brain", "liver"])).unwrap();
        assert_eq!(
            asked.prompt,
            format!("<image>\nWhich organ is this?\nA. brain\nB. liver\n{}", letter_instruction(Language::En))
        );
    }

    #[test]
    fn options_written_in_the_text_are_found() {
        let asked = ask("Which organ is this?\nA. brain\nB. liver\nAnswer with one letter.", 0, &[]).unwrap();
        assert_eq!(asked.options, texts(&["brain", "liver"]));
        assert!(ask("A. is a letter", 0, &[]).unwrap().options.is_empty());
    }

    #[test]
    fn contradictions_are_refused() {
        assert!(ask(" ", 0, &[]).is_err());
        assert!(ask("<image> what?", 2, &[]).is_err());
        assert!(ask("what?", 0, &texts(&["one"])).is_err());
        assert!(ask("what?\nA. x\nB. y", 0, &texts(&["one", "two"])).is_err());
    }
}
