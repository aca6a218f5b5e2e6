//! A loaded checkpoint that answers.

use crate::defaults::Defaults;
use crate::error::{Error, Result};
use crate::generate::{Writing, generate};
use crate::likelihood::score_options;
use crate::prompt::{Pictures, Prompt, PromptReader};
use crate::sampling::Sampler;
use gmai_model::config::RopeScaling;
use gmai_model::{GmaiVl, TextConfig, device};
use gmai_processor::Processor;
use gmai_schema::{Answer, ChatRequest, FinishReason, Responder, ResponderError, Turn};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A model with its processor, owned by one worker.
pub struct Engine {
    pub(crate) model: GmaiVl,
    pub(crate) processor: Processor,
    /// Ids that end a reply: the template's end of turn, the model's end of text, those of `generation_config.json`.
    pub(crate) stop_ids: Vec<u32>,
    defaults: Defaults,
    reader: PromptReader,
    checkpoint: String,
}

impl Engine {
    /// Loads a checkpoint folder.
    pub fn open(folder: &Path) -> Result<Engine> {
        let model = GmaiVl::from_folder(folder, &device::default_device())?;
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
        let checkpoint = identity(folder)?;
        Ok(Engine { model, processor, stop_ids, defaults, reader: PromptReader::new(), checkpoint })
    }

    /// Identity of the weights: hash of configuration and weight files.
    pub fn checkpoint(&self) -> &str {
        &self.checkpoint
    }

    /// What the checkpoint says about how it wants to be asked.
    pub fn defaults(&self) -> &Defaults {
        &self.defaults
    }

    /// Pictures that were encoded and prompt tokens that were read so far; what was kept from an earlier request counts once.
    pub fn work_done(&self) -> WorkDone {
        WorkDone { num_pictures: self.reader.num_encoded, num_prompt_tokens: self.reader.num_read }
    }

    /// The most tokens that prompt and reply may have together.
    pub fn longest_sequence(&self) -> usize {
        longest_sequence(&self.model.config.text_config)
    }

    pub(crate) fn require_room(&self, tokens: usize) -> Result<()> {
        let limit = self.longest_sequence();
        if tokens > limit { Err(Error::TooLong { tokens, limit }) } else { Ok(()) }
    }

    /// Turns with their image features in place, run through the model.
    fn prefill(&mut self, turns: &[Turn], num_images: usize, pictures: Option<&Pictures>) -> Result<Prompt> {
        let encoded = self.processor.encode_prompt(turns, num_images)?;
        self.require_room(encoded.input_ids.len())?;
        self.reader.read(&self.model, encoded.input_ids, pictures)
    }

    fn answer(&mut self, request: &ChatRequest, on_text: &mut dyn FnMut(&str)) -> Result<Answer> {
        Sampler::new(request.sampling, Vec::new(), Vec::new())?; // Wrong settings are refused before the work.
        let pictures = self.reader.pictures(&self.model, &self.processor, &request.images)?;
        let prompt = self.prefill(&request.turns, request.images.len(), pictures.as_ref())?;
        let options = match &request.option_turns {
            Some(turns) if *turns != request.turns && !request.options.is_empty() => {
                let prompt = self.prefill(turns, request.images.len(), pictures.as_ref())?;
                score_options(self, &prompt, &request.options)?
            }
            _ => score_options(self, &prompt, &request.options)?,
        };
        let mut answer = Answer {
            text: String::new(),
            num_tokens: 0,
            log_probability: 0.0,
            tokens: Vec::new(),
            options,
            finish: FinishReason::NotAsked,
            checkpoint: self.checkpoint.clone(),
        };
        if request.sampling.max_tokens > 0 {
            let room = self.longest_sequence() - prompt.input_ids.len();
            let writing = Writing {
                // The last token is only written, never read, so it needs no place.
                max_tokens: request.sampling.max_tokens.min(room + 1),
                stop: &request.stop,
                top_log_probabilities: request.top_log_probabilities,
            };
            // The image token stands for a picture: it is never a reply.
            let forbidden = vec![self.model.config.image_token_index];
            let mut sampler = Sampler::new(request.sampling, prompt.input_ids.clone(), forbidden)?;
            generate(self, prompt, &writing, &mut sampler, on_text, &mut answer)?;
        }
        Ok(answer)
    }
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
        if !request.turns.last().is_some_and(|turn: &Turn| turn.from == gmai_schema::Role::Human) {
            return Err(ResponderError::Refused { reason: "turns: the last one must be from \"human\"".to_owned() });
        }
        self.answer(request, on_text).map_err(|error| match error {
            Error::Processor(_)
            | Error::TooLong { .. }
            | Error::Sampling { .. }
            | Error::NothingLeft { .. }
            | Error::UnknownToken { .. } => ResponderError::Refused { reason: error.to_string() },
            _ => ResponderError::Failed { checkpoint: self.checkpoint.clone(), reason: error.to_string() },
        })
    }
}

/// Hash over `config.json` and every safetensors file, by name.
fn identity(folder: &Path) -> Result<String> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io { path, source }
    };
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .map_err(io(folder))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| {
            path.extension().is_some_and(|extension| extension == "safetensors")
                || path.file_name().is_some_and(|name| name == "config.json")
        })
        .collect();
    files.sort();
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    for path in files {
        let mut file = File::open(&path).map_err(io(&path))?;
        loop {
            let count = file.read(&mut buffer).map_err(io(&path))?;
            if count == 0 {
                break;
            }
            digest.update(&buffer[..count]);
        }
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
