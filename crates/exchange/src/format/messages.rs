//! OpenAI chat `messages`, one object a line. A picture is a content part `image_url`: a path below the folder, or a `data:` URL.

use super::{Row, Sink, split_of_name};
use crate::companion::ExportedFile;
use crate::incoming::{Incoming, Picture, Reading};
use crate::item_file::{ItemFile, Layout};
use crate::receiver::Receiver;
use crate::side::SIDE_FIELD;
use crate::{Pictures, Result, picture};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gmai_schema::conversation::IMAGE_MARKER;
use gmai_schema::{Role, Split, Turn};
use gmai_shard::EncodedImage;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// One file per split.
pub(crate) struct MessagesSink {
    folder: PathBuf,
    pictures: Pictures,
    open: Option<(Split, ItemFile)>,
    finished: Vec<ExportedFile>,
}

impl MessagesSink {
    pub(crate) fn new(folder: &Path, pictures: Pictures) -> MessagesSink {
        MessagesSink { folder: folder.to_path_buf(), pictures, open: None, finished: Vec::new() }
    }

    fn url(&self, image: &EncodedImage) -> Result<String> {
        match self.pictures {
            Pictures::Files => picture::write(&self.folder, image),
            Pictures::Inline => {
                let kind = if image.path.ends_with(".png") { "png" } else { "jpeg" };
                Ok(format!("data:image/{kind};base64,{}", STANDARD.encode(&image.bytes)))
            }
        }
    }
}

/// A turn's text as content parts: every marker becomes the next picture.
fn content(text: &str, urls: &mut impl Iterator<Item = String>) -> Value {
    if !text.contains(IMAGE_MARKER) {
        return json!(text);
    }
    let mut parts = Vec::new();
    for (index, piece) in text.split(IMAGE_MARKER).enumerate() {
        if index > 0 {
            parts.push(json!({"type": "image_url", "image_url": {"url": urls.next()}}));
        }
        if !piece.is_empty() {
            parts.push(json!({"type": "text", "text": piece}));
        }
    }
    Value::Array(parts)
}

impl Sink for MessagesSink {
    fn push(&mut self, row: &Row) -> Result<()> {
        let split = row.conversation.split;
        if self.open.as_ref().is_none_or(|(open, _)| *open != split) {
            if let Some((_, file)) = self.open.take() {
                self.finished.push(file.finish()?);
            }
            self.open =
                Some((split, ItemFile::create(&self.folder, &format!("{}.jsonl", split.key()), Layout::Lines)?));
        }
        let urls = row.images.iter().map(|image| self.url(image)).collect::<Result<Vec<_>>>()?;
        let mut urls = urls.into_iter();
        let message = |turn: &Turn| {
            let role = match turn.from {
                Role::System => "system",
                Role::Human => "user",
                Role::Assistant => "assistant",
            };
            json!({"role": role, "content": content(&turn.value, &mut urls)})
        };
        let messages: Vec<Value> = row.conversation.turns.iter().map(message).collect();
        let mut object = Map::new();
        object.insert("id".to_string(), json!(row.conversation.id));
        object.insert("messages".to_string(), Value::Array(messages));
        object.insert(SIDE_FIELD.to_string(), json!(row.side));
        let (_, file) = self.open.as_mut().expect("opened above");
        file.push(&Value::Object(object))
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<ExportedFile>> {
        if let Some((_, file)) = self.open.take() {
            self.finished.push(file.finish()?);
        }
        Ok(self.finished)
    }
}

/// Reads a file, or all JSON files of a folder.
pub(crate) fn read(source: &Path, receiver: &mut Receiver) -> Result<()> {
    let reading = Reading::find(source, "file with OpenAI messages (*.jsonl or *.json)")?;
    for file in &reading.files {
        let split = split_of_name(file);
        reading.items(file, receiver, &mut |value| Ok(Incoming { split, ..parse(&value)? }))?;
    }
    Ok(())
}

fn parse(value: &Value) -> std::result::Result<Incoming, String> {
    let object = value.as_object().ok_or("the item is no JSON object")?;
    let messages = object.get("messages").and_then(Value::as_array).ok_or("messages: missing, or no list")?;
    let side = object.get(SIDE_FIELD).and_then(Value::as_str).map(str::to_string);
    let (mut turns, mut images) = (Vec::new(), Vec::new());
    for (index, message) in messages.iter().enumerate() {
        let place = format!("messages, message {}", index + 1);
        let role = match message.get("role").and_then(Value::as_str) {
            Some("user") => Role::Human,
            Some("assistant") => Role::Assistant,
            Some("system" | "developer") => Role::System,
            other => return Err(format!("{place}: role `{}` is not read", other.unwrap_or("(missing)"))),
        };
        let mut text = String::new();
        match message.get("content") {
            Some(Value::String(content)) => text.push_str(content),
            Some(Value::Array(parts)) => {
                for part in parts {
                    // Our own parts hold every line break; others separate picture and text by the part alone.
                    read_part(part, side.is_some(), &mut text, &mut images)
                        .map_err(|reason| format!("{place}: {reason}"))?;
                }
            }
            _ => return Err(format!("{place}: content is neither text nor a list of parts")),
        }
        turns.push(Turn { from: role, value: text });
    }
    // Top-level `images` is what several trainers read beside plain text with markers.
    images.extend(super::llava::paths(object.get("images"))?.into_iter().map(Picture::Named));
    Ok(Incoming { id: super::llava::id_of(object), turns, images, side, ..Incoming::default() })
}

fn read_part(
    part: &Value,
    is_exact: bool,
    text: &mut String,
    images: &mut Vec<Picture>,
) -> std::result::Result<(), String> {
    let separate = |text: &mut String| {
        if !is_exact && !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
    };
    match part.get("type").and_then(Value::as_str) {
        Some("text" | "input_text" | "output_text") => {
            let piece = part.get("text").and_then(Value::as_str).ok_or("a text part without `text`")?;
            if !piece.starts_with('\n') {
                separate(text);
            }
            text.push_str(piece);
        }
        Some("image_url" | "image" | "input_image") => {
            let place = part.get("image_url").or_else(|| part.get("image"));
            let url = place.and_then(|place| place.as_str().or_else(|| place.get("url").and_then(Value::as_str)));
            images.push(picture_of(url.ok_or("a picture part without a url")?)?);
            separate(text);
            text.push_str(IMAGE_MARKER);
        }
        other => return Err(format!("part of type `{}` is not read", other.unwrap_or("(missing)"))),
    }
    Ok(())
}

fn picture_of(url: &str) -> std::result::Result<Picture, String> {
    if let Some(data) = url.strip_prefix("data:") {
        let (_, base64) = data.split_once(";base64,").ok_or("a data URL that is not base64")?;
        let bytes = STANDARD.decode(base64).map_err(|error| format!("a data URL: {error}"))?;
        return Ok(Picture::Inline(bytes));
    }
    if url.starts_with("http://") || url.starts_with("https://") {
        return Err(format!("`{url}` lies on the network and is not fetched; download it and give its path"));
    }
    Ok(Picture::Named(url.strip_prefix("file://").unwrap_or(url).to_string()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_others_are_set_apart_and_our_own_are_exact() {
        let message =
            |text: &str| json!([{"type": "image_url", "image_url": {"url": "a.png"}}, {"type": "text", "text": text}]);
        let row =
            |content: Value, side: Value| json!({"messages": [{"role": "user", "content": content}], "gmai": side});
        assert_eq!(parse(&row(message("What?"), Value::Null)).unwrap().turns[0].value, "<image>\nWhat?");
        assert_eq!(parse(&row(message(" What?"), json!("{}"))).unwrap().turns[0].value, "<image> What?");
    }

    #[test]
    fn the_network_is_never_asked() {
        assert!(picture_of("https://example.org/a.png").unwrap_err().contains("not fetched"));
        assert!(
            matches!(picture_of("data:image/png;base64,AAAA").unwrap(), Picture::Inline(bytes) if bytes == [0, 0, 0])
        );
        assert!(picture_of("data:image/png;base64,?").is_err());
    }

    #[test]
    fn text_and_pictures_keep_their_order() {
        let mut urls = ["a", "b"].map(str::to_string).into_iter();
        let parts = content("<image> and <image>\nDiffer?", &mut urls);
        let kinds: Vec<&str> = parts.as_array().unwrap().iter().map(|part| part["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["image_url", "text", "image_url", "text"]);
    }
}
