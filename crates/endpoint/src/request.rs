//! A chat request as the endpoint's JSON, and the key that names it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gmai_schema::conversation::IMAGE_MARKER;
use gmai_schema::{ChatRequest, ResponderError, Rgb8, Role};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// What an endpoint turned out not to know. Found by asking, kept as long as the program runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// How far JSON replies can be enforced.
    pub(crate) json: JsonMode,
    /// Whether the limit of a reply is called `max_completion_tokens`.
    pub(crate) names_completion_tokens: bool,
    /// Whether usage cannot be asked for in streams.
    pub(crate) streams_without_usage: bool,
}

/// How a JSON reply is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum JsonMode {
    /// The schema is sent.
    #[default]
    Schema,
    /// Any JSON object.
    Object,
    /// Only the prompt asks for it.
    PromptAlone,
}

/// The name of a request: equal for the same model, turns, pictures and settings, and different otherwise.
///
/// How the endpoint is reached, and how patiently, is no part of it.
pub fn key(model: &str, request: &ChatRequest) -> String {
    let mut hash = Sha256::new();
    let mut feed = |part: &[u8]| {
        hash.update((part.len() as u64).to_le_bytes()); // Lengths keep neighbouring parts apart.
        hash.update(part);
    };
    feed(b"gmai-chat@1");
    feed(model.as_bytes());
    for turn in &request.turns {
        feed(format!("{:?}", turn.from).as_bytes());
        feed(turn.value.as_bytes());
    }
    for image in &request.images {
        feed(&[image.width().to_le_bytes(), image.height().to_le_bytes()].concat());
        feed(image.pixels());
    }
    let settings = json!({
        "sampling": request.sampling, "stop": request.stop, "schema": request.reply_schema,
        "logprobs": request.top_log_probabilities,
    });
    feed(settings.to_string().as_bytes());
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The body of a request, without `stream` fields.
///
/// # Errors
/// The request asks for what no endpoint gives, or its images and markers do not match.
pub(crate) fn body(model: &str, request: &ChatRequest, dialect: Dialect) -> Result<Value, ResponderError> {
    let mut body = Map::new();
    body.insert("model".into(), model.into());
    body.insert("messages".into(), messages(request)?);
    let sampling = &request.sampling;
    let limit = if dialect.names_completion_tokens { "max_completion_tokens" } else { "max_tokens" };
    body.insert(limit.into(), sampling.max_tokens.into());
    body.insert("temperature".into(), f64::from(sampling.temperature).into());
    body.insert("top_p".into(), f64::from(sampling.top_p).into());
    body.insert("seed".into(), sampling.seed.into());
    // Not part of OpenAI's interface, but of vLLM's, SGLang's and llama.cpp's; sent only where it says something.
    if sampling.top_k > 0 {
        body.insert("top_k".into(), sampling.top_k.into());
    }
    if sampling.min_p > 0.0 {
        body.insert("min_p".into(), f64::from(sampling.min_p).into());
    }
    if sampling.repetition_penalty != 1.0 {
        body.insert("repetition_penalty".into(), f64::from(sampling.repetition_penalty).into());
    }
    if !request.stop.is_empty() {
        body.insert("stop".into(), request.stop.clone().into());
    }
    if let Some(count) = request.top_log_probabilities {
        body.insert("logprobs".into(), true.into());
        body.insert("top_logprobs".into(), count.into());
    }
    if let Some(schema) = &request.reply_schema {
        let schema: Value = serde_json::from_str(schema).map_err(|error| refused(format!("reply_schema: {error}")))?;
        let format = match dialect.json {
            JsonMode::Schema => {
                Some(json!({"type": "json_schema", "json_schema": {"name": "reply", "strict": true, "schema": schema}}))
            }
            JsonMode::Object => Some(json!({"type": "json_object"})),
            JsonMode::PromptAlone => None,
        };
        body.extend(format.map(|format| ("response_format".to_string(), format)));
    }
    Ok(Value::Object(body))
}

fn refused(reason: String) -> ResponderError {
    ResponderError::Refused { reason }
}

fn messages(request: &ChatRequest) -> Result<Value, ResponderError> {
    if !request.options.is_empty() || request.option_turns.is_some() || request.sampling.max_tokens == 0 {
        let reason = "options: an endpoint does not tell how likely given replies are; ask for written answers instead";
        return Err(refused(reason.to_string()));
    }
    let mut images = request.images.iter();
    let mut messages = Vec::new();
    for turn in &request.turns {
        let role = match turn.from {
            Role::System => "system",
            Role::Human => "user",
            Role::Assistant => "assistant",
        };
        let num_markers = if turn.from == Role::Human { turn.value.matches(IMAGE_MARKER).count() } else { 0 };
        let content = match num_markers {
            0 => Value::String(turn.value.clone()),
            _ => parts(&turn.value, &mut images)?,
        };
        messages.push(json!({"role": role, "content": content}));
    }
    match images.count() {
        0 => Ok(Value::Array(messages)),
        left => Err(refused(format!("images: {left} more than `{IMAGE_MARKER}` in the turns"))),
    }
}

/// Text and pictures of one turn, in their order.
fn parts<'a>(text: &str, images: &mut impl Iterator<Item = &'a Rgb8>) -> Result<Value, ResponderError> {
    let mut parts = Vec::new();
    for (index, piece) in text.split(IMAGE_MARKER).enumerate() {
        if index > 0 {
            let image =
                images.next().ok_or_else(|| refused(format!("images: fewer than `{IMAGE_MARKER}` in the turns")))?;
            parts.push(json!({"type": "image_url", "image_url": {"url": data_url(image)?}}));
        }
        if !piece.trim().is_empty() {
            parts.push(json!({"type": "text", "text": piece.trim()}));
        }
    }
    Ok(Value::Array(parts))
}

/// A picture as a data URL of a PNG: nothing of it is lost.
fn data_url(image: &Rgb8) -> Result<String, ResponderError> {
    let mut bytes = Vec::new();
    PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Adaptive)
        .write_image(image.pixels(), image.width(), image.height(), ExtendedColorType::Rgb8)
        .map_err(|error| refused(format!("images: {error}")))?;
    Ok(format!("data:image/png;base64,{}", STANDARD.encode(bytes)))
}

/// Tokens that a request is expected to take, erring high: a token is at least two bytes of Latin or one character of other scripts.
pub(crate) fn expected_prompt_tokens(request: &ChatRequest, image_tokens: u64) -> u64 {
    let text: usize = request.turns.iter().map(|turn| turn.value.len().div_ceil(2) + 8).sum();
    text as u64 + request.images.len() as u64 * image_tokens
}

#[cfg(test)]
mod tests {
    use super::*;
    use gmai_schema::{Sampling, Turn};

    fn request(text: &str, shades: &[u8]) -> ChatRequest {
        ChatRequest {
            turns: vec![Turn::human(text)],
            images: shades.iter().map(|shade| Rgb8::filled(2, 2, [*shade; 3])).collect(),
            sampling: Sampling::greedy(32),
            ..ChatRequest::default()
        }
    }

    #[test]
    fn pictures_stand_where_their_markers_stand() {
        let body = body("m", &request("<image>\nWhat?<image>", &[1, 2]), Dialect::default()).expect("well-formed");
        let kinds: Vec<&str> = body["messages"][0]["content"]
            .as_array()
            .expect("parts")
            .iter()
            .map(|part| part["type"].as_str().expect("a kind"))
            .collect();
        assert_eq!(kinds, ["image_url", "text", "image_url"]);
        let url = body["messages"][0]["content"][0]["image_url"]["url"].as_str().expect("a URL");
        assert!(url.starts_with("data:image/png;base64,iVBOR"));
    }

    #[test]
    fn markers_and_pictures_must_match() {
        for (text, shades) in [("no marker", &[1u8][..]), ("<image><image>", &[1])] {
            assert!(body("m", &request(text, shades), Dialect::default()).is_err(), "{text}");
        }
    }

    #[test]
    fn likelihoods_of_options_are_refused_by_name() {
        let asked = ChatRequest { options: vec!["A".into()], ..request("x", &[]) };
        let error = body("m", &asked, Dialect::default()).expect_err("no endpoint gives them");
        assert!(error.to_string().contains("options"));
    }

    #[test]
    fn the_key_changes_with_everything_that_changes_the_answer() {
        let base = request("<image>a", &[1]);
        let keys = [
            key("m", &base),
            key("n", &base),
            key("m", &request("<image>b", &[1])),
            key("m", &request("<image>a", &[2])),
            key("m", &ChatRequest { sampling: Sampling::greedy(33), ..base.clone() }),
            key("m", &ChatRequest { reply_schema: Some("{}".into()), ..base.clone() }),
        ];
        let different: std::collections::BTreeSet<&String> = keys.iter().collect();
        assert_eq!(different.len(), keys.len());
        assert_eq!(key("m", &base), key("m", &base.clone()));
    }

    #[test]
    fn a_schema_is_sent_as_far_as_the_endpoint_knows_it() {
        let asked = ChatRequest { reply_schema: Some(r#"{"type":"object"}"#.into()), ..request("x", &[]) };
        let format =
            |json| body("m", &asked, Dialect { json, ..Dialect::default() }).expect("fine")["response_format"].clone();
        assert_eq!(format(JsonMode::Schema)["json_schema"]["schema"]["type"], "object");
        assert_eq!(format(JsonMode::Object)["type"], "json_object");
        assert!(format(JsonMode::PromptAlone).is_null());
    }
}
