//! The endpoint's JSON as text, tokens and usage.

use crate::failure::Failure;
use crate::ledger::Usage;
use gmai_schema::{FinishReason, TokenLikelihood, WrittenToken};
use serde::{Deserialize, Serialize};

/// The id of a token whose number the endpoint does not tell.
const UNKNOWN_ID: u32 = u32::MAX;

/// What came of one exchange.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// What the model wrote.
    pub text: String,
    /// Why it stopped.
    pub finish: FinishReason,
    /// Tokens read and written, where the endpoint tells.
    pub usage: Option<Usage>,
    /// Each token, where asked for and told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<WrittenToken>,
}

#[derive(Deserialize)]
struct Wire {
    choices: Vec<Choice>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
    finish_reason: Option<String>,
    logprobs: Option<LogProbabilities>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
    refusal: Option<String>,
}

/// `logprobs` of a choice.
#[derive(Deserialize)]
pub(crate) struct LogProbabilities {
    content: Option<Vec<Token>>,
}

#[derive(Deserialize)]
struct Token {
    token: String,
    logprob: f32,
    #[serde(default)]
    top_logprobs: Vec<TopToken>,
}

#[derive(Deserialize)]
struct TopToken {
    token: String,
    logprob: f32,
}

impl LogProbabilities {
    /// The tokens in gmai's words.
    pub(crate) fn tokens(self) -> Vec<WrittenToken> {
        let likelihood = |text: String, log_probability| TokenLikelihood { id: UNKNOWN_ID, text, log_probability };
        let written = |token: Token| WrittenToken {
            chosen: likelihood(token.token, token.logprob),
            top: token.top_logprobs.into_iter().map(|top| likelihood(top.token, top.logprob)).collect(),
        };
        self.content.unwrap_or_default().into_iter().map(written).collect()
    }
}

/// The end of a reply in gmai's words.
pub(crate) fn finish(reason: &str) -> FinishReason {
    if reason == "length" { FinishReason::Length } else { FinishReason::Stop }
}

/// Reads a whole response.
pub(crate) fn read(bytes: &[u8]) -> Result<Reply, Failure> {
    let foreign = |reason: String| Failure::Foreign { reason };
    let wire: Wire = serde_json::from_slice(bytes).map_err(|error| match error.is_eof() {
        true => Failure::Torn { reason: error.to_string() },
        false => foreign(error.to_string()),
    })?;
    let choice = wire.choices.into_iter().next().ok_or_else(|| foreign("`choices` is empty".to_string()))?;
    let text = choice.message.content.or(choice.message.refusal);
    Ok(Reply {
        text: text.ok_or_else(|| foreign("`message.content` is missing".to_string()))?,
        finish: finish(choice.finish_reason.as_deref().unwrap_or("stop")),
        usage: wire.usage,
        tokens: choice.logprobs.map_or(Vec::new(), LogProbabilities::tokens),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_usage_and_tokens_are_read() {
        let body = br#"{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"length",
            "logprobs":{"content":[{"token":"Hi","logprob":-0.5,"bytes":null,"top_logprobs":[{"token":"Hi","logprob":-0.5}]}]}}],
            "usage":{"prompt_tokens":7,"completion_tokens":1,"total_tokens":8}}"#;
        let reply = read(body).expect("well-formed");
        assert_eq!((reply.text.as_str(), reply.finish), ("Hi", FinishReason::Length));
        assert_eq!(reply.usage, Some(Usage { prompt_tokens: 7, completion_tokens: 1 }));
        assert_eq!(reply.tokens[0].top[0].log_probability, -0.5);
    }

    #[test]
    fn halves_are_torn_and_other_things_foreign() {
        assert!(matches!(read(br#"{"choices":[{"mess"#), Err(Failure::Torn { .. })));
        for body in [&b"<html>"[..], b"{}", br#"{"choices":[]}"#, br#"{"choices":[{"message":{}}]}"#] {
            assert!(matches!(read(body), Err(Failure::Foreign { .. })), "{}", String::from_utf8_lossy(body));
        }
    }
}
