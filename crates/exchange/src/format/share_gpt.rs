//! ShareGPT as LLaMA-Factory reads it: `dataset_info.json` names files, columns and speakers.

use super::{Row, Sink, split_of_name};
use crate::companion::ExportedFile;
use crate::incoming::{Defect, Incoming, Picture, Reading};
use crate::item_file::{ItemFile, Layout};
use crate::receiver::Receiver;
use crate::side::{SIDE_FIELD, role_key};
use crate::{Error, Result, paths, picture};
use gmai_schema::{Role, Split, Turn};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// The file that LLaMA-Factory looks datasets up in.
const INFO_FILE: &str = "dataset_info.json";

/// Names of columns and speakers in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Names {
    messages: String,
    images: String,
    system: String,
    role: String,
    content: String,
    user: String,
    assistant: String,
    system_role: String,
}

/// LLaMA-Factory's defaults.
impl Default for Names {
    fn default() -> Names {
        let [messages, images, system, role, content, user, assistant, system_role] =
            ["conversations", "images", "system", "from", "value", "human", "gpt", "system"].map(str::to_string);
        Names { messages, images, system, role, content, user, assistant, system_role }
    }
}

impl Names {
    /// The names that an entry of `dataset_info.json` gives, defaults where it is silent.
    fn of_entry(entry: &Value) -> Names {
        let given = |group: &str, key: &str, default: String| {
            entry.get(group).and_then(|names| names.get(key)).and_then(Value::as_str).map_or(default, str::to_string)
        };
        let default = Names::default();
        Names {
            messages: given("columns", "messages", default.messages),
            images: given("columns", "images", default.images),
            system: given("columns", "system", default.system),
            role: given("tags", "role_tag", default.role),
            content: given("tags", "content_tag", default.content),
            user: given("tags", "user_tag", default.user),
            assistant: given("tags", "assistant_tag", default.assistant),
            system_role: given("tags", "system_tag", default.system_role),
        }
    }

    fn role_of(&self, word: &str) -> Option<Role> {
        [(&self.user, Role::Human), (&self.assistant, Role::Assistant), (&self.system_role, Role::System)]
            .into_iter()
            .find_map(|(name, role)| (name == word).then_some(role))
    }

    fn parse(&self, value: &Value) -> std::result::Result<Incoming, String> {
        let object = value.as_object().ok_or("the item is no JSON object")?;
        let turns = object.get(&self.messages).and_then(Value::as_array);
        let turns = turns.ok_or_else(|| format!("{}: missing, or no list", self.messages))?;
        let mut read = Vec::new();
        if let Some(system) = object.get(&self.system).and_then(Value::as_str).filter(|text| !text.is_empty()) {
            read.push(Turn { from: Role::System, value: system.to_string() });
        }
        for (index, turn) in turns.iter().enumerate() {
            let place = format!("{}, turn {}", self.messages, index + 1);
            let field = |name: &str| turn.get(name).and_then(Value::as_str);
            let word = field(&self.role).ok_or_else(|| format!("{place}: `{}` is missing or no text", self.role))?;
            let text =
                field(&self.content).ok_or_else(|| format!("{place}: `{}` is missing or no text", self.content))?;
            let role = self
                .role_of(word)
                .ok_or_else(|| format!("{place}: speaker `{word}` is not read (no tools, no ranking)"))?;
            read.push(Turn { from: role, value: text.to_string() });
        }
        let images = super::llava::paths(object.get(&self.images))?.into_iter().map(Picture::Named).collect();
        let side = object.get(SIDE_FIELD).and_then(Value::as_str).map(str::to_string);
        Ok(Incoming { id: super::llava::id_of(object), turns: read, images, side, ..Incoming::default() })
    }
}

/// One JSON list per split, and `dataset_info.json` at the end.
pub(crate) struct ShareGptSink {
    folder: PathBuf,
    dataset: String,
    open: Option<(Split, ItemFile)>,
    finished: Vec<(Split, ExportedFile)>,
}

impl ShareGptSink {
    pub(crate) fn new(folder: &Path, dataset: &str) -> ShareGptSink {
        ShareGptSink { folder: folder.to_path_buf(), dataset: paths::part(dataset), open: None, finished: Vec::new() }
    }

    fn close(&mut self) -> Result<()> {
        if let Some((split, file)) = self.open.take() {
            self.finished.push((split, file.finish()?));
        }
        Ok(())
    }
}

impl Sink for ShareGptSink {
    fn push(&mut self, row: &Row) -> Result<()> {
        let split = row.conversation.split;
        if self.open.as_ref().is_none_or(|(open, _)| *open != split) {
            self.close()?;
            self.open = Some((split, ItemFile::create(&self.folder, &format!("{}.json", split.key()), Layout::List)?));
        }
        let images = row.images.iter().map(|image| picture::write(&self.folder, image)).collect::<Result<Vec<_>>>()?;
        let (mut system, mut turns) = (String::new(), Vec::new());
        for (index, turn) in row.conversation.turns.iter().enumerate() {
            match turn.from {
                Role::System if index == 0 => system.clone_from(&turn.value),
                role => turns.push(json!({"from": role_key(role), "value": turn.value})),
            }
        }
        let mut object = Map::new();
        object.insert("id".to_string(), json!(row.conversation.id));
        object.insert("conversations".to_string(), Value::Array(turns));
        object.insert("system".to_string(), json!(system));
        object.insert("images".to_string(), json!(images));
        object.insert(SIDE_FIELD.to_string(), json!(row.side));
        let (_, file) = self.open.as_mut().expect("opened above");
        file.push(&Value::Object(object))
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<ExportedFile>> {
        self.close()?;
        let mut info = Map::new();
        for (split, file) in &self.finished {
            let entry = json!({
                "file_name": file.file,
                "formatting": "sharegpt",
                "columns": {"messages": "conversations", "system": "system", "images": "images"},
                "tags": {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt", "system_tag": "system"},
            });
            info.insert(format!("{}_{}", self.dataset, split.key()), entry);
        }
        let path = self.folder.join(INFO_FILE);
        let text = serde_json::to_string_pretty(&Value::Object(info)).expect("text is JSON");
        std::fs::write(&path, text + "\n").map_err(Error::io(path))?;
        Ok(self.finished.into_iter().map(|(_, file)| file).collect())
    }
}

/// Reads every entry of `dataset_info.json`, or files with default names where there is none.
pub(crate) fn read(source: &Path, receiver: &mut Receiver) -> Result<()> {
    let info = if source.is_dir() { source.join(INFO_FILE) } else { source.to_path_buf() };
    if info.file_name().is_none_or(|name| name != INFO_FILE) || !info.is_file() {
        let reading = Reading::find(source, "ShareGPT file (*.json or *.jsonl)")?;
        for file in &reading.files {
            let split = split_of_name(file);
            reading.items(file, receiver, &mut |value| Ok(Incoming { split, ..Names::default().parse(&value)? }))?;
        }
        return Ok(());
    }
    let root = info.parent().unwrap_or(Path::new(".")).to_path_buf();
    let text = std::fs::read_to_string(&info).map_err(Error::io(&info))?;
    let entries: Map<String, Value> =
        serde_json::from_str(&text).map_err(|error| super::llava::not_understood(&info, error.to_string()))?;
    for (name, entry) in &entries {
        let file = entry.get("file_name").and_then(Value::as_str);
        let formatting = entry.get("formatting").and_then(Value::as_str).unwrap_or("alpaca");
        let reason = match (file, formatting) {
            (Some(file), "sharegpt" | "openai") => match paths::below(&root, file) {
                Ok(_) => {
                    let names = Names::of_entry(entry);
                    let split = split_of_name(name).or_else(|| split_of_name(file));
                    let reading = Reading::of_files(&root, vec![file.to_string()]);
                    reading.items(file, receiver, &mut |value| Ok(Incoming { split, ..names.parse(&value)? }))?;
                    continue;
                }
                Err(reason) => reason,
            },
            (Some(_), other) => format!("formatting `{other}` is not read, only sharegpt"),
            (None, _) => "no file_name: data on the network are not fetched".to_string(),
        };
        let remedy = "correct the entry, or remove it";
        receiver.defect(Defect {
            file: INFO_FILE.to_string(),
            place: name.clone(),
            reason,
            remedy: remedy.to_string(),
        })?;
    }
    Ok(())
}
