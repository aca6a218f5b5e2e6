//! A loaded checkpoint that answers.

use crate::defaults::Defaults;
use crate::error::{Error, Result};
use crate::generate::{Next, Reply, Writing, read};
use crate::likelihood::score_options;
use crate::prompt::{Pictures, Prompt, PromptReader};
use crate::sampling::Sampler;
use gmai_model::config::RopeScaling;
use gmai_model::{GmaiVl, TextConfig, device};
use gmai_processor::Processor;
use gmai_schema::{Answer, ChatRequest, FinishReason, Responder, ResponderError, Role, Turn};
use std::path::Path;

/// Replies that are written side by side: as many as cost one reading of the weights.
const MAX_TOGETHER: usize = 16;

/// Keys and values of replies that are written side by side, bytes; one reply may have more.
const MAX_TOGETHER_BYTES: usize = 1 << 30;

/// A model with its processor, owned by one worker.
pub struct Engine {
    loaded: Loaded,
    reader: PromptReader,
}

/// What does not change from request to request.
pub(crate) struct Loaded {
    pub model: GmaiVl,
    pub processor: Processor,
    /// Ids that end a reply: the template's end of turn, the model's end of text, those of `generation_config.json`.
    pub stop_ids: Vec<u32>,
    defaults: Defaults,
    checkpoint: String,
}

impl Engine {
    /// Loads a checkpoint folder.
    pub fn open(folder: &Path) -> Result<Engine> {
        let (model, checkpoint) = GmaiVl::map_folder(folder, &device::default_device())?;
        let processor = Processor::from_folder(folder, model.config.num_image_tokens())?;
        let defaults = Defaults::from_folder(folder)?;
        let config = &model.config;
        for (field, written, needed) in [
            ("image_token_index", config.image_token_index as usize, processor.image_token_id() as usize),
            ("vision_config.image_size", config.vision_config.image_size, processor.image_size()),
        ] {
            if written != needed {
                return Err(Error::Disagreement { field, written, needed });
            }
        }
        let mut stop_ids = defaults.stop_ids.clone();
        stop_ids.push(processor.end_of_turn_id());
        stop_ids.extend(&config.text_config.eos_token_id);
        let loaded = Loaded { model, processor, stop_ids, defaults, checkpoint };
        Ok(Engine { loaded, reader: PromptReader::new() })
    }

    /// Identity of the weights: hash of configuration and weight files.
    pub fn checkpoint(&self) -> &str {
        &self.loaded.checkpoint
    }

    /// What the checkpoint says about how it wants to be asked.
    pub fn defaults(&self) -> &Defaults {
        &self.loaded.defaults
    }

    /// Pictures that were encoded and prompt tokens that were read so far; what was kept from an earlier request counts once.
    pub fn work_done(&self) -> WorkDone {
        WorkDone { num_pictures: self.reader.num_encoded, num_prompt_tokens: self.reader.num_read }
    }

    /// The most tokens that prompt and reply may have together.
    pub fn longest_sequence(&self) -> usize {
        self.loaded.longest_sequence()
    }
}

impl Loaded {
    fn longest_sequence(&self) -> usize {
        longest_sequence(&self.model.config.text_config)
    }

    /// Refuses a sequence of more tokens than the model takes.
    pub fn require_room(&self, tokens: usize) -> Result<()> {
        let limit = self.longest_sequence();
        if tokens > limit { Err(Error::TooLong { tokens, limit }) } else { Ok(()) }
    }

    /// Turns with their image features in place, run through the model.
    fn prefill(
        &self,
        reader: &mut PromptReader,
        turns: &[Turn],
        num_images: usize,
        pictures: Option<&Pictures>,
    ) -> Result<Prompt> {
        let encoded = self.processor.encode_prompt(turns, num_images)?;
        self.require_room(encoded.input_ids.len())?;
        reader.read(&self.model, encoded.input_ids, pictures)
    }

    /// Reads the prompt and weighs the options; the reply has yet to be written, if one is asked for.
    fn begin<'a>(&'a self, reader: &mut PromptReader, request: &'a ChatRequest) -> Result<Begun<'a>> {
        if !request.turns.last().is_some_and(|turn: &Turn| turn.from == Role::Human) {
            return Err(Error::NotAsked);
        }
        Sampler::new(request.sampling, Vec::new(), Vec::new())?; // Wrong settings are refused before the work.
        let num_images = request.images.len();
        let pictures = reader.pictures(&self.model, &self.processor, &request.images)?;
        let prompt = self.prefill(reader, &request.turns, num_images, pictures.as_ref())?;
        let options = match &request.option_turns {
            Some(turns) if *turns != request.turns && !request.options.is_empty() => {
                let prompt = self.prefill(reader, turns, num_images, pictures.as_ref())?;
                score_options(self, &prompt, &request.options)?
            }
            _ => score_options(self, &prompt, &request.options)?,
        };
        let answer = Answer {
            text: String::new(),
            num_tokens: 0,
            log_probability: 0.0,
            tokens: Vec::new(),
            options,
            finish: FinishReason::NotAsked,
            checkpoint: self.checkpoint.clone(),
        };
        if request.sampling.max_tokens == 0 {
            return Ok(Begun::Complete(answer));
        }
        let room = self.longest_sequence() - prompt.input_ids.len();
        let writing = Writing {
            // The last token is only written, never read, so it needs no place.
            max_tokens: request.sampling.max_tokens.min(room + 1),
            stop: &request.stop,
            top_log_probabilities: request.top_log_probabilities,
        };
        // The image token stands for a picture: it is never a reply.
        let forbidden = vec![self.model.config.image_token_index];
        let sampler = Sampler::new(request.sampling, prompt.input_ids.clone(), forbidden)?;
        Ok(Begun::Writing(Box::new(Reply::new(self, prompt, writing, sampler, answer))))
    }

    fn told(&self, error: Error) -> ResponderError {
        match error {
            Error::Processor(_)
            | Error::NotAsked
            | Error::TooLong { .. }
            | Error::Sampling { .. }
            | Error::NothingLeft { .. }
            | Error::UnknownToken { .. } => ResponderError::Refused { reason: error.to_string() },
            _ => ResponderError::Failed { checkpoint: self.checkpoint.clone(), reason: error.to_string() },
        }
    }
}

/// A request whose prompt was read.
enum Begun<'a> {
    /// Nothing is to be written.
    Complete(Answer),
    /// The reply is to be written.
    Writing(Box<Reply<'a>>),
}

/// What an engine has computed so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkDone {
    /// Pictures that went through the vision encoder.
    pub num_pictures: usize,
    /// Prompt tokens that went through the language model.
    pub num_prompt_tokens: usize,
}

/// The most tokens a sequence may have: the model's own limit; dynamic NTK scaling has none, so it is `max_position_embeddings` times the factor there.
fn longest_sequence(config: &TextConfig) -> usize {
    match (config.max_tokens(), &config.rope_scaling) {
        (Some(limit), _) => limit,
        (None, Some(RopeScaling::Dynamic { factor })) => {
            (config.max_position_embeddings as f64 * factor.max(1.0)) as usize
        }
        (None, _) => config.max_position_embeddings,
    }
}

impl Responder for Engine {
    fn respond(
        &mut self,
        request: &ChatRequest,
        on_text: &mut dyn FnMut(&str),
    ) -> std::result::Result<Answer, ResponderError> {
        let loaded = &self.loaded;
        let mut answer = || -> Result<Answer> {
            let mut reply = match loaded.begin(&mut self.reader, request)? {
                Begun::Complete(answer) => return Ok(answer),
                Begun::Writing(reply) => reply,
            };
            while let Next::Read(token) = reply.write(on_text)? {
                read(loaded, &mut [(&mut *reply, token)])?;
            }
            reply.finish(on_text)
        };
        answer().map_err(|error| loaded.told(error))
    }

    /// Replies are written side by side, one pass over the weights for a token of each. When one is complete, the next request joins.
    fn respond_all(&mut self, requests: &[ChatRequest]) -> Vec<std::result::Result<Answer, ResponderError>> {
        let Engine { loaded, reader } = self;
        let mut answers: Vec<Option<Result<Answer>>> = requests.iter().map(|_| None).collect();
        let mut waiting = requests.iter().enumerate();
        let mut writing: Vec<(usize, Box<Reply<'_>>)> = Vec::new();
        loop {
            while writing.len() < MAX_TOGETHER && bytes(&writing) < MAX_TOGETHER_BYTES {
                let Some((index, request)) = waiting.next() else { break };
                match loaded.begin(reader, request) {
                    Ok(Begun::Writing(reply)) => writing.push((index, reply)),
                    Ok(Begun::Complete(answer)) => answers[index] = Some(Ok(answer)),
                    Err(error) => answers[index] = Some(Err(error)),
                }
            }
            if writing.is_empty() {
                break;
            }
            writing = step(loaded, writing, &mut answers);
        }
        let answer = |answer: Option<Result<Answer>>| answer.expect("every request was begun and ended");
        answers.into_iter().map(|slot| answer(slot).map_err(|error| loaded.told(error))).collect()
    }
}

fn bytes(writing: &[(usize, Box<Reply<'_>>)]) -> usize {
    writing.iter().map(|(_, reply)| reply.num_bytes()).sum()
}

/// One token of each reply; those that go on.
fn step<'a>(
    loaded: &'a Loaded,
    writing: Vec<(usize, Box<Reply<'a>>)>,
    answers: &mut [Option<Result<Answer>>],
) -> Vec<(usize, Box<Reply<'a>>)> {
    let mut chosen = Vec::with_capacity(writing.len());
    for (index, mut reply) in writing {
        match reply.write(&mut |_| {}) {
            Ok(Next::Read(token)) => chosen.push((index, reply, token)),
            Ok(Next::Done) => answers[index] = Some(reply.finish(&mut |_| {})),
            Err(error) => answers[index] = Some(Err(error)),
        }
    }
    let mut rows: Vec<(&mut Reply<'_>, u32)> =
        chosen.iter_mut().map(|(_, reply, token)| (&mut **reply, *token)).collect();
    if let Err(error) = if rows.is_empty() { Ok(()) } else { read(loaded, &mut rows) } {
        let reason = error.to_string();
        for (index, _, _) in chosen {
            answers[index] = Some(Err(Error::Together { reason: reason.clone() }));
        }
        return Vec::new();
    }
    chosen.into_iter().map(|(index, reply, _)| (index, reply)).collect()
}
