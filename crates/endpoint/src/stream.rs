//! A reply in pieces: server-sent events, each with a piece of the text, ended by `[DONE]`.

use crate::failure::Failure;
use crate::ledger::Usage;
use crate::reply::{LogProbabilities, Reply, finish};
use gmai_schema::WrittenToken;
use serde::Deserialize;
use std::io::{BufRead, BufReader, Read};

/// The longest line that is read: one event holds one token, or a few.
const MAX_LINE_BYTES: u64 = 1 << 20;

#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Usage>,
    error: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Delta,
    finish_reason: Option<String>,
    logprobs: Option<LogProbabilities>,
}

#[derive(Default, Deserialize)]
struct Delta {
    content: Option<String>,
}

/// Reads a stream to its end; `on_text` receives each piece.
pub(crate) fn read(stream: impl Read, on_text: &mut dyn FnMut(&str)) -> Result<Reply, Failure> {
    let mut reader = BufReader::new(stream);
    let mut text = String::new();
    let mut tokens: Vec<WrittenToken> = Vec::new();
    let (mut reason, mut usage, mut done) = (None, None, false);
    let mut line = Vec::new();
    while !done {
        line.clear();
        let read = (&mut reader).take(MAX_LINE_BYTES).read_until(b'\n', &mut line);
        if read.map_err(|error| Failure::Torn { reason: error.to_string() })? == 0 {
            break;
        }
        let event = String::from_utf8_lossy(&line);
        let Some(data) = event.trim().strip_prefix("data:").map(str::trim) else { continue };
        if data == "[DONE]" {
            done = true;
            continue;
        }
        let event: Event = serde_json::from_str(data)
            .map_err(|error| Failure::Foreign { reason: format!("an event of the stream: {error}") })?;
        if let Some(error) = event.error {
            return Err(Failure::Torn { reason: format!("the endpoint reports {error}") });
        }
        usage = event.usage.or(usage);
        if let Some(choice) = event.choices.into_iter().next() {
            let piece = choice.delta.content.unwrap_or_default();
            if !piece.is_empty() {
                on_text(&piece);
                text += &piece;
            }
            tokens.extend(choice.logprobs.map_or(Vec::new(), LogProbabilities::tokens));
            reason = choice.finish_reason.or(reason);
        }
    }
    match reason {
        Some(reason) => Ok(Reply { text, finish: finish(&reason), usage, tokens }),
        None => Err(Failure::Torn { reason: "the stream ended before the reply did".to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECES: &str = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\n: a comment\n\
        data: {\"choices\":[{\"delta\":{\"content\":\"This \"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"region\"}}]}\n\n";
    const END: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
        data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";

    #[test]
    fn pieces_are_joined() {
        let mut heard = Vec::new();
        let reply =
            read(format!("{PIECES}{END}").as_bytes(), &mut |piece| heard.push(piece.to_string())).expect("whole");
        assert_eq!((reply.text.as_str(), heard.len()), ("This region", 2));
        assert_eq!(reply.usage, Some(Usage { prompt_tokens: 3, completion_tokens: 2 }));
    }

    #[test]
    fn a_stream_without_its_end_is_torn() {
        for cut in [PIECES.len(), PIECES.len() - 30, 0] {
            let result = read(&PIECES.as_bytes()[..cut], &mut |_| {});
            assert!(matches!(result, Err(Failure::Torn { .. } | Failure::Foreign { .. })), "{cut}");
        }
    }
}
