//! One token after another, from prompts that were read: one reply, or several side by side.

use crate::engine::Loaded;
use crate::error::Result;
use crate::prompt::{Prompt, token_logits};
use crate::sampling::{Sampler, log_softmax};
use crate::stop::{Released, StopFilter};
use gmai_model::KvCache;
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

/// A reply as far as it is written.
pub(crate) struct Reply<'a> {
    loaded: &'a Loaded,
    writing: Writing<'a>,
    sampler: Sampler,
    decoder: StreamDecoder<'a>,
    filter: StopFilter,
    cache: KvCache,
    /// Logits of the next token.
    logits: Vec<f32>,
    answer: Answer,
    /// Whether a stop text came: what waits behind it is not part of the reply.
    stopped: bool,
}

/// What comes after a token was chosen.
pub(crate) enum Next {
    /// The model has to read it.
    Read(u32),
    /// The reply is complete.
    Done,
}

impl<'a> Reply<'a> {
    /// A reply to `prompt` with nothing written; `answer` holds what is known of it before.
    pub fn new(
        loaded: &'a Loaded,
        prompt: Prompt,
        writing: Writing<'a>,
        sampler: Sampler,
        mut answer: Answer,
    ) -> Reply<'a> {
        let Prompt { cache, logits, .. } = prompt;
        answer.finish = FinishReason::Length;
        let decoder = StreamDecoder::new(loaded.processor.tokenizer());
        let filter = StopFilter::new(writing.stop);
        Reply { loaded, writing, sampler, decoder, filter, cache, logits, answer, stopped: false }
    }

    /// Chooses the next token, handing out text as it comes: whole characters, and nothing that a stop text may begin with.
    pub fn write(&mut self, on_text: &mut dyn FnMut(&str)) -> Result<Next> {
        let logits = std::mem::take(&mut self.logits);
        let log_probabilities = log_softmax(&logits);
        let token = self.sampler.choose(logits)?;
        self.answer.num_tokens += 1;
        self.answer.log_probability += f64::from(log_probabilities[token as usize]);
        if let Some(count) = self.writing.top_log_probabilities {
            self.answer.tokens.push(told(self.loaded.processor.tokenizer(), &log_probabilities, token, count));
        }
        if self.loaded.stop_ids.contains(&token) {
            self.answer.finish = FinishReason::Stop;
            return Ok(Next::Done);
        }
        let text = self.decoder.push(token)?;
        self.show(&text, on_text);
        let done = self.stopped || self.answer.num_tokens == self.writing.max_tokens;
        Ok(if done { Next::Done } else { Next::Read(token) })
    }

    fn show(&mut self, text: &str, on_text: &mut dyn FnMut(&str)) {
        match self.filter.push(text) {
            Released::Text(text) => emit(&text, on_text, &mut self.answer),
            Released::End(text) => {
                emit(&text, on_text, &mut self.answer);
                self.answer.finish = FinishReason::Stop;
                self.stopped = true;
            }
        }
    }

    /// Hands out what was held back; the whole answer.
    pub fn finish(mut self, on_text: &mut dyn FnMut(&str)) -> Result<Answer> {
        if !self.stopped {
            let text =
                std::mem::replace(&mut self.decoder, StreamDecoder::new(self.loaded.processor.tokenizer())).finish()?;
            self.show(&text, on_text);
        }
        if !self.stopped {
            emit(&self.filter.finish(), on_text, &mut self.answer);
        }
        Ok(self.answer)
    }

    /// Bytes of its keys and values.
    pub fn num_bytes(&self) -> usize {
        self.cache.num_bytes()
    }
}

/// Lets the model read the token that each reply chose, all in one pass.
pub(crate) fn read(loaded: &Loaded, replies: &mut [(&mut Reply<'_>, u32)]) -> Result<()> {
    let tokens: Vec<Vec<u32>> = replies.iter().map(|(_, token)| vec![*token]).collect();
    let x = loaded.model.embed(&TokenRows::from_sequences(&tokens), None)?;
    let mut caches: Vec<&mut KvCache> = replies.iter_mut().map(|(reply, _)| &mut reply.cache).collect();
    let hidden = loaded.model.decode_together(x, &mut caches);
    for ((reply, _), logits) in replies.iter_mut().zip(token_logits(&loaded.model, hidden)) {
        reply.logits = logits;
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
