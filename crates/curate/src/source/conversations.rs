//! Conversations of others: LLaVA and ShareGPT (`conversations` of `from` and `value`, `<image>` for each picture), and OpenAI
//! (`messages` of `role` and `content`, pictures as parts of the content or as `<image>`).
//!
//! Entries about the same pictures become one item. Where the number of markers is not the number of pictures, nobody knows which
//! picture a marker stands for, and the entry is quarantined.

use super::qa_json::entries;
use super::{Folder, ImageFiles, Item};
use crate::Result;
use crate::kind::Conversations;
use crate::ledger::{Defect, Ledger, Of};
use crate::sheet::scalar;
use gmai_schema::conversation::IMAGE_MARKER;
use gmai_schema::{Dialogue, Language, Role, Turn};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Pictures of one conversation: what a context can hold many times over.
const MAX_PICTURES: usize = 64;

pub(super) fn read(folder: &Folder, kind: &Conversations, ledger: &mut Ledger) -> Result<Vec<Item>> {
    let mut items: BTreeMap<String, Item> = BTreeMap::new();
    for file in folder.matching(&kind.files)?.into_keys() {
        for entry in entries(folder, &file, ledger) {
            let read = match &entry.value {
                Value::Object(object) => conversation(kind, folder, object),
                other => Err(Problem::new("entry", format!("an object is needed, found {other}"))),
            };
            match read {
                Ok(read) => add(&file, &entry.place, read, &mut items),
                Err(Problem { field, reason }) => {
                    ledger.found(Of::Annotations, 1);
                    let field = format!("{}, {field}", entry.place);
                    ledger
                        .quarantine(Of::Annotations, Defect::new(&file, field, reason, "correct or remove the entry"));
                }
            }
        }
    }
    Ok(items.into_values().collect())
}

/// A conversation with its pictures, in the order of the markers.
struct Read {
    pictures: Vec<String>,
    dialogue: Dialogue,
    fields: BTreeMap<String, String>,
}

#[derive(Debug)]
struct Problem {
    field: String,
    reason: String,
}

impl Problem {
    fn new(field: impl Into<String>, reason: impl Into<String>) -> Problem {
        Problem { field: field.into(), reason: reason.into() }
    }
}

fn add(file: &str, place: &str, read: Read, items: &mut BTreeMap<String, Item>) {
    // A text of its own is an item of its own.
    let key = match read.pictures.is_empty() {
        true => format!("{file}#{place}"),
        false => read.pictures.join("\n"),
    };
    let item = items.entry(key.clone()).or_insert_with(|| {
        let (name, image) = match read.pictures.as_slice() {
            [] => (key, ImageFiles::Nothing),
            [only] => (only.clone(), ImageFiles::Picture),
            several => (several[0].clone(), ImageFiles::Pictures(several.to_vec())),
        };
        let mut item = Item::new(name, image, read.fields.clone());
        item.annotation = Some(file.to_string());
        item
    });
    // Fields on which the entries of one picture differ say nothing about the picture.
    item.fields.retain(|name, value| read.fields.get(name) == Some(&*value));
    item.dialogues.push(read.dialogue);
}

fn conversation(
    kind: &Conversations,
    folder: &Folder,
    object: &Map<String, Value>,
) -> std::result::Result<Read, Problem> {
    let (key, list) = ["conversations", "messages"]
        .into_iter()
        .find_map(|key| object.get(key).and_then(Value::as_array).map(|list| (key, list)))
        .ok_or_else(|| Problem::new("conversations", "there is no list `conversations` or `messages`"))?;
    let mut pictures = listed_pictures(object)?;
    let mut turns = Vec::new();
    let mut parts = Vec::new();
    for (index, message) in list.iter().enumerate() {
        let field = format!("{key}, message {}", index + 1);
        turns.push(turn(message, &mut parts).map_err(|reason| Problem::new(field, reason))?);
    }
    if !parts.is_empty() && !pictures.is_empty() {
        return Err(Problem::new("images", "pictures are named both beside and inside the messages"));
    }
    pictures.append(&mut parts);
    check_roles(&turns).map_err(|reason| Problem::new(key, reason))?;
    let markers: usize = turns.iter().map(|turn| turn.value.matches(IMAGE_MARKER).count()).sum();
    if markers != pictures.len() {
        let reason = format!("{markers} `{IMAGE_MARKER}` in the text, {} pictures", pictures.len());
        return Err(Problem::new("image", reason));
    }
    if pictures.len() > MAX_PICTURES {
        return Err(Problem::new("image", format!("{} pictures are more than {MAX_PICTURES}", pictures.len())));
    }
    let pictures = pictures.iter().map(|name| existing(kind, folder, name)).collect::<std::result::Result<_, _>>()?;
    let text: String = turns.iter().map(|turn| turn.value.as_str()).collect();
    let has = |range: std::ops::RangeInclusive<char>| text.chars().any(|letter| range.contains(&letter));
    let language = match (has('\u{3040}'..='\u{30ff}'), has('\u{4e00}'..='\u{9fff}')) {
        (true, _) => Language::Ja,
        (false, true) => Language::Zh,
        (false, false) => Language::En,
    };
    let fields = object.iter().filter_map(|(key, value)| Some((key.clone(), scalar(value)?))).collect();
    let own_kind = kind.kind_key.as_ref().and_then(|key| object.get(key)).and_then(scalar);
    Ok(Read { pictures, dialogue: Dialogue { turns, language, kind: own_kind }, fields })
}

/// Pictures that the entry names beside its messages: a path or a list of paths.
fn listed_pictures(object: &Map<String, Value>) -> std::result::Result<Vec<String>, Problem> {
    let Some((key, value)) = ["image", "images"].into_iter().find_map(|key| Some((key, object.get(key)?))) else {
        return Ok(Vec::new());
    };
    let path = |value: &Value| match value {
        Value::String(path) if !path.is_empty() => Ok(path.clone()),
        Value::Object(image) => match image.get("path").and_then(Value::as_str) {
            Some(path) => Ok(path.to_string()),
            None => Err(Problem::new(key, "the picture has no `path`")),
        },
        other => Err(Problem::new(key, format!("a path is needed, found {other}"))),
    };
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(list) => list.iter().map(path).collect(),
        one => Ok(vec![path(one)?]),
    }
}

/// One message; pictures inside it are added to `pictures` and leave a marker.
fn turn(message: &Value, pictures: &mut Vec<String>) -> std::result::Result<Turn, String> {
    let text = |key: &str| message.get(key).and_then(Value::as_str);
    let speaker = text("from").or_else(|| text("role")).ok_or("the message has no `from` or `role`")?;
    let from = match speaker {
        "system" | "developer" => Role::System,
        "human" | "user" => Role::Human,
        "gpt" | "assistant" | "bot" | "model" | "chatgpt" => Role::Assistant,
        other => return Err(format!("`{other}` is none of the speakers system, human, user, gpt, assistant")),
    };
    let value = match message.get("value").or_else(|| message.get("content")) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            let parts: std::result::Result<Vec<String>, String> =
                parts.iter().map(|part| content(part, pictures)).collect();
            parts?.join("\n")
        }
        _ => return Err("the message has no text in `value` or `content`".to_string()),
    };
    if value.trim().is_empty() {
        return Err("the message is empty".to_string());
    }
    if from != Role::Human && value.contains(IMAGE_MARKER) {
        return Err(format!("only the person asking may show a picture; {speaker} has `{IMAGE_MARKER}`"));
    }
    Ok(Turn { from, value: value.trim().to_string() })
}

/// One part of an OpenAI message.
fn content(part: &Value, pictures: &mut Vec<String>) -> std::result::Result<String, String> {
    let path = |key: &str| {
        let value = part.get(key)?;
        value.as_str().or_else(|| value.get("url").and_then(Value::as_str)).map(str::to_string)
    };
    match part.get("type").and_then(Value::as_str) {
        Some("text" | "input_text" | "output_text") => {
            part.get("text").and_then(Value::as_str).map(str::to_string).ok_or("a text part has no `text`".to_string())
        }
        Some("image_url" | "input_image" | "image") => {
            let url = path("image_url").or_else(|| path("image")).or_else(|| path("url"));
            let url = url.ok_or("an image part has no `image_url`")?;
            pictures.push(url.strip_prefix("file://").unwrap_or(&url).to_string());
            Ok(IMAGE_MARKER.to_string())
        }
        other => Err(format!("a part of type {other:?} is neither text nor image")),
    }
}

/// Turns alternate between the person asking and the model, after at most one system message.
fn check_roles(turns: &[Turn]) -> std::result::Result<(), String> {
    let spoken = match turns {
        [first, rest @ ..] if first.from == Role::System => rest,
        all => all,
    };
    if spoken.is_empty() || !spoken.len().is_multiple_of(2) {
        return Err(format!("{} messages are no questions with their answers", spoken.len()));
    }
    let expected = [Role::Human, Role::Assistant];
    match spoken.iter().enumerate().find(|(index, turn)| turn.from != expected[index % 2]) {
        None => Ok(()),
        Some((index, _)) => Err(format!("message {} of the conversation is not the speaker's turn", index + 1)),
    }
}

/// The picture's path below the root.
fn existing(kind: &Conversations, folder: &Folder, name: &str) -> std::result::Result<String, Problem> {
    if name.starts_with("data:") || name.contains("://") {
        let shown: String = name.chars().take(40).collect();
        return Err(Problem::new("image", format!("`{shown}` is no file: only pictures in files are read")));
    }
    let path = match kind.image_folder.as_deref().map(|parent| parent.trim_end_matches('/')) {
        None | Some("") => name.to_string(),
        Some(parent) => format!("{parent}/{name}"),
    };
    let path = path.trim_start_matches("./").to_string();
    match folder.inputs.files.contains(&path) {
        true => Ok(path),
        false => Err(Problem::new("image", format!("label without image: `{path}` does not exist"))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn turns(text: &str) -> std::result::Result<(Vec<Turn>, Vec<String>), String> {
        let value: Value = serde_json::from_str(text).unwrap();
        let mut pictures = Vec::new();
        let turns = value.as_array().unwrap().iter().map(|message| turn(message, &mut pictures));
        let turns = turns.collect::<std::result::Result<Vec<_>, _>>()?;
        check_roles(&turns)?;
        Ok((turns, pictures))
    }

    #[test]
    fn the_three_spellings_say_the_same() {
        let llava =
            turns(r#"[{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "A lung."}]"#).unwrap();
        let openai = r#"[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "a.png"}}, {"type": "text", "text": "What?"}]},
            {"role": "assistant", "content": "A lung."}]"#;
        let openai = turns(openai).unwrap();
        assert_eq!(llava.0, openai.0);
        assert_eq!(openai.1, ["a.png"]);
    }

    #[test]
    fn disorder_is_named() {
        let one = |text: &str| turns(text).unwrap_err();
        assert!(
            one(r#"[{"from": "gpt", "value": "A"}, {"from": "human", "value": "B"}]"#)
                .contains("not the speaker's turn")
        );
        assert!(one(r#"[{"from": "human", "value": "A"}]"#).contains("1 messages are no questions"));
        assert!(one(r#"[{"from": "nurse", "value": "A"}]"#).contains("`nurse`"));
        assert!(one(r#"[{"from": "human", "value": " "}]"#).contains("empty"));
        assert!(
            one(r#"[{"from": "human", "value": "A"}, {"from": "gpt", "value": "<image>"}]"#)
                .contains("only the person asking")
        );
        assert!(one(r#"[{"role": "user", "content": [{"type": "audio"}]}]"#).contains("neither text nor image"));
    }
}
