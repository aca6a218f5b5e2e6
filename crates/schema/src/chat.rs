//! What is asked of a model, what it says, and the one trait that stands between.

use crate::conversation::Turn;
use crate::image::Rgb8;
use serde::{Deserialize, Serialize};

/// How the next token is chosen. The settings act in the order in which they stand here, as in transformers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    /// The most tokens to write.
    pub max_tokens: usize,
    /// Makes tokens that already stand in prompt or reply less likely: their logits are divided (multiplied where negative) by it; 1 does nothing.
    #[serde(default = "one")]
    pub repetition_penalty: f32,
    /// No run of this many tokens is written that already stands in prompt or reply; 0 allows all.
    #[serde(default)]
    pub no_repeat_ngram_size: usize,
    /// 0 takes the likeliest token; higher is more varied.
    pub temperature: f32,
    /// Keep this many likeliest tokens, and those as likely as the last of them; 0 keeps all.
    pub top_k: usize,
    /// Keep the likeliest tokens whose probabilities sum to this; 1 keeps all.
    pub top_p: f32,
    /// Keep tokens at least this share as likely as the likeliest; 0 keeps all.
    #[serde(default)]
    pub min_p: f32,
    /// Seed of the draw. Same request, same seed, same text.
    pub seed: u64,
}

fn one() -> f32 {
    1.0
}

impl Default for Sampling {
    /// Greedy, up to 256 tokens.
    fn default() -> Sampling {
        Sampling::greedy(256)
    }
}

impl Sampling {
    /// The likeliest token each time.
    pub fn greedy(max_tokens: usize) -> Sampling {
        Sampling {
            max_tokens,
            repetition_penalty: 1.0,
            no_repeat_ngram_size: 0,
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            seed: 0,
        }
    }
}

/// A conversation that waits for the model's turn. Fill what is needed, and `..ChatRequest::default()`.
#[derive(Debug, Clone, Default)]
pub struct ChatRequest {
    /// Turns so far; the last is a human one.
    pub turns: Vec<Turn>,
    /// One picture per `<image>` in the turns, in order.
    pub images: Vec<Rgb8>,
    /// Replies whose likelihood is wanted, e.g. `["A", "B"]` or `["yes", "no"]`; may be empty.
    pub options: Vec<String>,
    /// Turns after which the options are weighed, when not `turns`: the bare question, where `turns` also lists lettered options.
    pub option_turns: Option<Vec<Turn>>,
    /// How to choose tokens. `max_tokens` 0 asks for option likelihoods only.
    pub sampling: Sampling,
    /// Texts that end the reply where they would begin; they are not part of it.
    pub stop: Vec<String>,
    /// JSON schema, as text, that the reply shall follow. Who cannot enforce it answers freely: the caller reads the reply with care.
    pub reply_schema: Option<String>,
    /// How many likeliest tokens are told for each place of the reply; `None` tells no single tokens.
    pub top_log_probabilities: Option<usize>,
}

/// How likely the model finds one given reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OptionLikelihood {
    /// The reply as given in the request.
    pub text: String,
    /// Sum of its tokens' log-probabilities, including the end of the turn.
    pub log_probability: f64,
    /// Number of those tokens.
    pub num_tokens: usize,
    /// Probability among the request's options (softmax of the sums).
    pub probability: f64,
}

/// Why writing stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model ended its turn, or a stop text came.
    Stop,
    /// `max_tokens` or the model's longest sequence was reached.
    Length,
    /// Only option likelihoods were asked for.
    NotAsked,
}

/// A token and how likely the model found it, before any setting of [`Sampling`] acted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenLikelihood {
    /// Id in the tokenizer.
    pub id: u32,
    /// How the vocabulary writes it, e.g. `▁lung` or `<0x0A>`.
    pub text: String,
    /// Natural logarithm of its probability.
    pub log_probability: f32,
}

/// One place of a reply: what was written there, and what else was likely.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WrittenToken {
    /// The token that was chosen.
    pub chosen: TokenLikelihood,
    /// The likeliest tokens at this place, likeliest first; as many as the request asked for.
    pub top: Vec<TokenLikelihood>,
}

/// What the model said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The reply, without the end-of-turn marker.
    pub text: String,
    /// Tokens written, including the end of the turn when it was reached.
    pub num_tokens: usize,
    /// Sum of their log-probabilities.
    pub log_probability: f64,
    /// Each token that was written, when the request asks for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<WrittenToken>,
    /// Likelihood of each option of the request, in its order.
    pub options: Vec<OptionLikelihood>,
    /// Why writing stopped.
    pub finish: FinishReason,
    /// Identity of the weights that answered.
    pub checkpoint: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResponderError {
    /// The request cannot be answered as it stands.
    #[error("request refused: {reason}")]
    Refused {
        /// What is wrong with it, naming the field.
        reason: String,
    },
    /// The model failed.
    #[error("model {checkpoint} failed: {reason}")]
    Failed {
        /// Identity of the weights.
        checkpoint: String,
        /// What happened.
        reason: String,
    },
}

/// Something that answers: our own model, a remote endpoint, or a script in tests.
pub trait Responder {
    /// Answers one request; `on_text` receives each piece of the reply as it is written.
    fn respond(&mut self, request: &ChatRequest, on_text: &mut dyn FnMut(&str)) -> Result<Answer, ResponderError>;

    /// Answers several requests; the result has one entry per request, in order. Never differs from asking one by one.
    fn respond_all(&mut self, requests: &[ChatRequest]) -> Vec<Result<Answer, ResponderError>> {
        requests.iter().map(|request| self.respond(request, &mut |_| {})).collect()
    }
}
