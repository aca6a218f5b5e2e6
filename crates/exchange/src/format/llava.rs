//! LLaVA: `{id, image, conversations: [{from, value}]}`, in a list or one a line. `image` is a path, or a list of paths.

use super::{Row, Sink, split_of_name};
use crate::companion::ExportedFile;
use crate::incoming::{Incoming, Picture, Reading};
use crate::item_file::{ItemFile, Layout};
use crate::receiver::Receiver;
use crate::side::{SIDE_FIELD, role_key};
use crate::{Error, Result, picture};
use gmai_schema::{Role, Split, Turn};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// An object in LLaVA's form.
pub(crate) fn record(row: &Row, id: &str, images: &[String]) -> Map<String, Value> {
    let turns = row.conversation.turns.iter();
    let turns: Vec<Value> = turns.map(|turn| json!({"from": role_key(turn.from), "value": turn.value})).collect();
    let mut record = Map::new();
    record.insert("id".to_string(), json!(id));
    match images {
        [] => {}
        [one] => _ = record.insert("image".to_string(), json!(one)),
        several => _ = record.insert("image".to_string(), json!(several)),
    }
    record.insert("conversations".to_string(), Value::Array(turns));
    record.insert(SIDE_FIELD.to_string(), json!(row.side));
    record
}

/// Files of one split each, opened when the first row comes.
pub(crate) struct LlavaSink {
    folder: PathBuf,
    layout: Layout,
    open: Option<(Split, ItemFile)>,
    finished: Vec<ExportedFile>,
}

impl LlavaSink {
    pub(crate) fn new(folder: &Path, layout: Layout) -> LlavaSink {
        LlavaSink { folder: folder.to_path_buf(), layout, open: None, finished: Vec::new() }
    }
}

impl Sink for LlavaSink {
    fn push(&mut self, row: &Row) -> Result<()> {
        let split = row.conversation.split;
        if self.open.as_ref().is_none_or(|(open, _)| *open != split) {
            if let Some((_, file)) = self.open.take() {
                self.finished.push(file.finish()?);
            }
            let extension = if self.layout == Layout::List { "json" } else { "jsonl" };
            let name = format!("{}.{extension}", split.key());
            self.open = Some((split, ItemFile::create(&self.folder, &name, self.layout)?));
        }
        let written = row.images.iter().map(|image| picture::write(&self.folder, image));
        let images: Vec<String> = written.collect::<Result<_>>()?;
        let (_, file) = self.open.as_mut().expect("opened above");
        file.push(&Value::Object(record(row, &row.conversation.id, &images)))
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
    let reading = Reading::find(source, "LLaVA file (*.json or *.jsonl)")?;
    for file in &reading.files {
        let split = split_of_name(file);
        reading.items(file, receiver, &mut |value| Ok(Incoming { split, ..parse(&value)? }))?;
    }
    Ok(())
}

/// An object in LLaVA's form as a row; the reason when it is something else.
pub(crate) fn parse(value: &Value) -> std::result::Result<Incoming, String> {
    let object = value.as_object().ok_or("the item is no JSON object")?;
    let turns = object.get("conversations").or_else(|| object.get("conversation"));
    let turns = turns.and_then(Value::as_array).ok_or("conversations: missing, or no list")?;
    let turns = turns.iter().enumerate().map(|(index, turn)| {
        let field = |name: &str| turn.get(name).and_then(Value::as_str);
        let missing = |name: &str| format!("conversations, turn {}: `{name}` is missing or no text", index + 1);
        let from = field("from").ok_or_else(|| missing("from"))?;
        let value = field("value").ok_or_else(|| missing("value"))?;
        let role =
            role_of(from).ok_or_else(|| format!("conversations, turn {}: unknown speaker `{from}`", index + 1))?;
        Ok(Turn { from: role, value: value.to_string() })
    });
    let turns = turns.collect::<std::result::Result<Vec<Turn>, String>>()?;
    let images = paths(object.get("image").or_else(|| object.get("images")))?;
    let side = object.get(SIDE_FIELD).and_then(Value::as_str).map(str::to_string);
    let images = images.into_iter().map(Picture::Named).collect();
    Ok(Incoming { id: id_of(object), turns, images, side, ..Incoming::default() })
}

/// The id as text: some files have numbers.
pub(crate) fn id_of(object: &Map<String, Value>) -> Option<String> {
    match object.get("id") {
        Some(Value::String(id)) => Some(id.clone()),
        Some(Value::Number(id)) => Some(id.to_string()),
        _ => None,
    }
}

/// The speaker that a word means in LLaVA's and ShareGPT's files.
pub(crate) fn role_of(word: &str) -> Option<Role> {
    match word {
        "human" | "user" => Some(Role::Human),
        "gpt" | "assistant" => Some(Role::Assistant),
        "system" => Some(Role::System),
        _ => None,
    }
}

/// One path, or a list of paths; nothing where there is no picture.
pub(crate) fn paths(value: Option<&Value>) -> std::result::Result<Vec<String>, String> {
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(path)) if path.is_empty() => Ok(Vec::new()),
        Some(Value::String(path)) => Ok(vec![path.clone()]),
        Some(Value::Array(list)) => {
            let path =
                |item: &Value| item.as_str().map(str::to_string).ok_or_else(|| format!("image: `{item}` is no path"));
            list.iter().map(path).collect()
        }
        Some(other) => Err(format!("image: `{other}` is no path")),
    }
}

/// The error of a file from which nothing can be read.
pub(crate) fn not_understood(path: &Path, reason: impl Into<String>) -> Error {
    Error::bad_file(path, "JSON", reason)
}
