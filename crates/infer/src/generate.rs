//! Prefill, then one token after another.

use crate::engine::Engine;
use crate::error::Result;
use crate::sampling::{Sampler, log_softmax};
use burn::tensor::Tensor;
use gmai_model::gmai_vl::TokenRows;
use gmai_model::{GmaiVl, KvCache};
use gmai_processor::StreamDecoder;
use gmai_schema::{Answer, FinishReason};

/// A prompt that the model has read: what follows starts from here, as often as needed.
#[derive(Clone)]
pub(crate) struct Prompt {
    /// Keys and values of the prompt's tokens.
    pub cache: KvCache,
    /// Log-probabilities of the first token of the reply.
    pub log_probabilities: Vec<f32>,
}

/// What the language model reads in place of pictures.
pub(crate) struct ImageFeatures(Tensor<3>); // [I, N, D]

impl ImageFeatures {
    /// Runs the vision encoder and the projector on normalised pictures.
    pub fn new(model: &GmaiVl, pixel_values: &[f32]) -> ImageFeatures {
        ImageFeatures(model.image_features(model.patches(pixel_values)))
    }
}

impl Prompt {
    /// Reads `input_ids` with the given image features.
    pub fn new(model: &GmaiVl, input_ids: Vec<u32>, features: Option<&ImageFeatures>) -> gmai_model::Result<Prompt> {
        let rows = TokenRows::from_sequences(&[input_ids]);
        let mut cache = KvCache::new(model.config.text_config.num_hidden_layers);
        let embedded = model.embed(&rows, features.map(|features| features.0.clone()))?;
        let hidden = model.decode_cached(embedded, &mut cache);
        let last = hidden.dims()[1] - 1;
        let mut log_probabilities = token_log_probabilities(model, hidden.narrow(1, last, 1));
        Ok(Prompt { cache, log_probabilities: log_probabilities.remove(0) })
    }
}

/// Log-probabilities of the next token after each position of hidden states `[B, T, D]`, one list per row and token.
pub(crate) fn token_log_probabilities(model: &GmaiVl, hidden: Tensor<3>) -> Vec<Vec<f32>> {
    let [batch, tokens, width] = hidden.dims();
    let logits = model.language_model.logits(hidden.reshape([batch * tokens, width]));
    let vocabulary = logits.dims()[1];
    let values = logits.into_data().try_to_vec::<f32>().expect("logits are f32");
    let image_token = model.config.image_token_index as usize;
    let mut rows: Vec<Vec<f32>> = values.chunks_exact(vocabulary).map(log_softmax).collect();
    // The image token stands for a picture: it is never a reply.
    rows.iter_mut().filter_map(|row| row.get_mut(image_token)).for_each(|value| *value = f32::NEG_INFINITY);
    rows
}

/// Writes the reply into `answer`, handing out text as it comes.
pub(crate) fn generate(
    engine: &Engine,
    prompt: Prompt,
    max_tokens: usize,
    sampler: &mut Sampler,
    on_text: &mut dyn FnMut(&str),
    answer: &mut Answer,
) -> Result<()> {
    let Prompt { mut cache, mut log_probabilities } = prompt;
    let stops = [engine.processor.end_of_turn_id(), engine.model.config.text_config.eos_token_id];
    let mut decoder = StreamDecoder::new(engine.processor.tokenizer());
    answer.finish = FinishReason::Length;
    for written in 1..=max_tokens {
        let token = sampler.choose(&log_probabilities);
        answer.num_tokens = written;
        answer.log_probability += f64::from(log_probabilities[token]);
        if stops.contains(&(token as u32)) {
            answer.finish = FinishReason::Stop;
            break;
        }
        emit(decoder.push(token as u32)?, on_text, answer);
        if written < max_tokens {
            let rows = TokenRows::from_sequences(&[vec![token as u32]]);
            let hidden = engine.model.decode_cached(engine.model.embed(&rows, None)?, &mut cache);
            log_probabilities = token_log_probabilities(&engine.model, hidden).remove(0);
        }
    }
    emit(decoder.finish()?, on_text, answer);
    Ok(())
}

fn emit(text: String, on_text: &mut dyn FnMut(&str), answer: &mut Answer) {
    if !text.is_empty() {
        on_text(&text);
        answer.text.push_str(&text);
    }
}
