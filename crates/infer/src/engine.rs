//! A loaded checkpoint that answers.

use crate::error::{Error, Result};
use crate::generate::{ImageFeatures, Prompt, generate};
use crate::likelihood::score_options;
use crate::sampling::Sampler;
use gmai_model::{GmaiVl, device};
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
    checkpoint: String,
}

impl Engine {
    /// Loads a checkpoint folder.
    pub fn open(folder: &Path) -> Result<Engine> {
        let model = GmaiVl::from_folder(folder, &device::default_device())?;
        let processor = Processor::from_folder(folder, model.config.num_image_tokens())?;
        Ok(Engine { model, processor, checkpoint: identity(folder)? })
    }

    /// Identity of the weights: hash of configuration and weight files.
    pub fn checkpoint(&self) -> &str {
        &self.checkpoint
    }

    /// Tokens of the prompt with its image features in place, run through the model once.
    fn prefill(&self, request: &ChatRequest, turns: &[Turn], features: Option<&ImageFeatures>) -> Result<Prompt> {
        let encoded = self.processor.encode_prompt(turns, request.images.len())?;
        let limit = self.model.config.text_config.max_position_embeddings;
        let wanted = encoded.input_ids.len() + request.sampling.max_tokens;
        if wanted > limit {
            return Err(Error::TooLong {
                tokens: encoded.input_ids.len(),
                limit: limit - request.sampling.max_tokens.min(limit),
            });
        }
        Ok(Prompt::new(&self.model, encoded.input_ids, features)?)
    }

    /// Image tokens of the request's pictures, computed once however many prompts use them.
    fn image_features(&self, request: &ChatRequest) -> Result<Option<ImageFeatures>> {
        if request.images.is_empty() {
            return Ok(None);
        }
        let size = self.model.config.vision_config.image_size;
        let mut pixel_values = vec![0.0; request.images.len() * 3 * size * size];
        for (image, out) in request.images.iter().zip(pixel_values.chunks_exact_mut(3 * size * size)) {
            self.processor.normalize(&self.processor.pixels(image), out)?;
        }
        Ok(Some(ImageFeatures::new(&self.model, &pixel_values)))
    }

    fn answer(&self, request: &ChatRequest, on_text: &mut dyn FnMut(&str)) -> Result<Answer> {
        let mut sampler = Sampler::new(request.sampling)?;
        let features = self.image_features(request)?;
        let prompt = self.prefill(request, &request.turns, features.as_ref())?;
        let options = match &request.option_turns {
            Some(turns) if *turns != request.turns => {
                let prompt = self.prefill(request, turns, features.as_ref())?;
                score_options(self, &prompt, &request.options)?
            }
            _ => score_options(self, &prompt, &request.options)?,
        };
        let mut answer = Answer {
            text: String::new(),
            num_tokens: 0,
            log_probability: 0.0,
            options,
            finish: FinishReason::NotAsked,
            checkpoint: self.checkpoint.clone(),
        };
        if request.sampling.max_tokens > 0 {
            generate(self, prompt, request.sampling.max_tokens, &mut sampler, on_text, &mut answer)?;
        }
        Ok(answer)
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
            Error::Processor(_) | Error::TooLong { .. } | Error::Sampling { .. } => {
                ResponderError::Refused { reason: error.to_string() }
            }
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
