//! How probable given replies are after a prompt.

use crate::engine::Loaded;
use crate::error::Result;
use crate::prompt::{Prompt, token_logits};
use crate::sampling::log_softmax;
use gmai_model::gmai_vl::TokenRows;
use gmai_schema::OptionLikelihood;

/// Log-probability of each option as the whole reply: its tokens and the end of the turn.
pub(crate) fn score_options(loaded: &Loaded, prompt: &Prompt, options: &[String]) -> Result<Vec<OptionLikelihood>> {
    let mut scored = Vec::with_capacity(options.len());
    for option in options {
        let ids = loaded.processor.encode_reply(option)?;
        loaded.require_room(prompt.input_ids.len() + ids.len())?;
        let log_probability = reply_log_probability(loaded, prompt, &ids)?;
        scored.push(OptionLikelihood {
            text: option.clone(),
            log_probability,
            num_tokens: ids.len(),
            probability: 0.0,
        });
    }
    let top = scored.iter().map(|option| option.log_probability).fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = scored.iter().map(|option| (option.log_probability - top).exp()).sum();
    for option in &mut scored {
        option.probability = (option.log_probability - top).exp() / total;
    }
    Ok(scored)
}

/// The first token's probability comes from the prompt; the others from one pass over the reply.
fn reply_log_probability(loaded: &Loaded, prompt: &Prompt, ids: &[u32]) -> Result<f64> {
    let Some((&first, rest)) = ids.split_first() else { return Ok(0.0) };
    let log_probability = |logits: &[f32], id: u32| f64::from(log_softmax(logits)[id as usize]);
    let mut sum = log_probability(&prompt.logits, first);
    if !rest.is_empty() {
        let rows = TokenRows::from_sequences(&[ids[..rest.len()].to_vec()]);
        let mut cache = prompt.cache.clone();
        let hidden = loaded.model.decode_cached(loaded.model.embed(&rows, None)?, &mut cache);
        let following = token_logits(&loaded.model, hidden);
        sum += following.iter().zip(rest).map(|(logits, &id)| log_probability(logits, id)).sum::<f64>();
    }
    Ok(sum)
}
