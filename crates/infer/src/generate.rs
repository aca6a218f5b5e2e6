//! One token after another, from a prompt that was read.

use crate::engine::Engine;
use crate::error::Result;
use crate::prompt::{Prompt, token_logits};
use crate::sampling::{Sampler, log_softmax};
use crate::stop::{Released, StopFilter};
use gmai_model::gmai_vl::TokenRows;
use gmai_processor::{StreamDecoder, Tokenizer};
use gmai_schema::{Answer, FinishReason, TokenLikelihood, WrittenToken};

/// What ends a reply, and what is told of it.
pub(crate) struct Writing<'a> {
    /// The most tokens to write; above 0.
    pub max_tokens: usize,
    /// Texts that end it.
    pub stop: &'a [String],
    /// How many likeliest tokens are told for each place.
    pub top_log_probabilities: Option<usize>,
}

/// Writes the reply into `answer`, handing out text as it comes: whole characters, and nothing that a stop text may begin with.
pub(crate) fn generate(
    engine: &Engine,
    prompt: Prompt,
    writing: &Writing<'_>,
    sampler: &mut Sampler,
    on_text: &mut dyn FnMut(&str),
    answer: &mut Answer,
) -> Result<()> {
    let Prompt { mut cache, mut logits, .. } = prompt;
    let tokenizer = engine.processor.tokenizer();
    let mut decoder = StreamDecoder::new(tokenizer);
    let mut filter = StopFilter::new(writing.stop);
    answer.finish = FinishReason::Length;
    for written in 1..=writing.max_tokens {
        let log_probabilities = log_softmax(&logits);
        let token = sampler.choose(logits)?;
        answer.num_tokens = written;
        answer.log_probability += f64::from(log_probabilities[token as usize]);
        if let Some(count) = writing.top_log_probabilities {
            answer.tokens.push(told(tokenizer, &log_probabilities, token, count));
        }
        if engine.stop_ids.contains(&token) {
            answer.finish = FinishReason::Stop;
            break;
        }
        match filter.push(&decoder.push(token)?) {
            Released::Text(text) => emit(&text, on_text, answer),
            Released::End(text) => {
                emit(&text, on_text, answer);
                answer.finish = FinishReason::Stop;
                return Ok(());
            }
        }
        if written == writing.max_tokens {
            break;
        }
        let rows = TokenRows::from_sequences(&[vec![token]]);
        let hidden = engine.model.decode_cached(engine.model.embed(&rows, None)?, &mut cache);
        logits = token_logits(&engine.model, hidden).remove(0);
    }
    match filter.push(&decoder.finish()?) {
        Released::Text(text) => {
            emit(&text, on_text, answer);
            emit(&filter.finish(), on_text, answer);
        }
        Released::End(text) => {
            emit(&text, on_text, answer);
            answer.finish = FinishReason::Stop;
        }
    }
    Ok(())
}

fn emit(text: &str, on_text: &mut dyn FnMut(&str), answer: &mut Answer) {
    if !text.is_empty() {
        on_text(text);
        answer.text.push_str(text);
    }
}

fn told(tokenizer: &Tokenizer, log_probabilities: &[f32], chosen: u32, count: usize) -> WrittenToken {
    let likelihood = |id: u32| TokenLikelihood {
        id,
        text: tokenizer.token_text(id).unwrap_or_default(),
        log_probability: log_probabilities[id as usize],
    };
    let mut order: Vec<u32> = (0..log_probabilities.len() as u32).collect();
    let better =
        |a: &u32, b: &u32| log_probabilities[*b as usize].total_cmp(&log_probabilities[*a as usize]).then(a.cmp(b));
    let count = count.min(order.len());
    if count < order.len() {
        order.select_nth_unstable_by(count, better);
        order.truncate(count);
    }
    order.sort_unstable_by(better);
    WrittenToken { chosen: likelihood(chosen), top: order.into_iter().map(likelihood).collect() }
}
