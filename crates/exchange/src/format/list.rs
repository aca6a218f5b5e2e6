//! A list file over LLaVA files: `{"name": {"image_dir", "annotations", "sample_ratio", "length"}}`, as GMAI-VL's trainer reads it;
//! InternVL's keys are `root`, `annotation` and `repeat_time`.

use super::{Row, Sink, split_of_name};
use crate::companion::ExportedFile;
use crate::incoming::{Defect, Incoming, Picture, Reading};
use crate::item_file::{ItemFile, Layout};
use crate::receiver::Receiver;
use crate::{Error, Ratios, Result, digest, paths, picture};
use gmai_schema::Split;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The list of the training files.
const LIST_FILE: &str = "list.json";

/// Files of one source and split each, and lists over them.
pub(crate) struct ListSink {
    folder: PathBuf,
    ratios: BTreeMap<String, f64>,
    open: Option<(Split, String, ItemFile)>,
    finished: Vec<(Split, String, ExportedFile)>,
}

impl ListSink {
    pub(crate) fn new(folder: &Path, ratios: &BTreeMap<String, f64>) -> ListSink {
        ListSink { folder: folder.to_path_buf(), ratios: ratios.clone(), open: None, finished: Vec::new() }
    }

    fn close(&mut self) -> Result<()> {
        if let Some((split, source, file)) = self.open.take() {
            self.finished.push((split, source, file.finish()?));
        }
        Ok(())
    }

    /// The entries of one split, in both ways of writing them.
    fn entries(&self, split: Split) -> [Map<String, Value>; 2] {
        let mut lists = [Map::new(), Map::new()];
        for (_, source, file) in self.finished.iter().filter(|(own, _, _)| *own == split) {
            let name = file.file.trim_start_matches("annotations/").trim_end_matches(".jsonl");
            let ratio = self.ratios.get(source).copied().unwrap_or(1.0);
            let published = json!({"image_dir": ".", "annotations": file.file, "sample_ratio": ratio, "length": file.rows, "data_augment": false});
            let intern_vl = json!({"root": ".", "annotation": file.file, "repeat_time": ratio, "length": file.rows, "data_augment": false});
            lists[0].insert(name.to_string(), published);
            lists[1].insert(name.to_string(), intern_vl);
        }
        lists
    }
}

impl Sink for ListSink {
    fn push(&mut self, row: &Row) -> Result<()> {
        let (split, source) = (row.conversation.split, &row.conversation.source);
        if self.open.as_ref().is_none_or(|(open, name, _)| (*open, name) != (split, source)) {
            self.close()?;
            // Sources whose rows do not stand together get several files.
            let same = self.finished.iter().filter(|(own, name, _)| (*own, name) == (split, source)).count();
            let number = if same == 0 { String::new() } else { format!(".{same}") };
            let name = format!("annotations/{}.{}{number}.jsonl", paths::part(source), split.key());
            if self.folder.join(&name).exists() {
                let reason = format!("two sources are called `{}` in file names; rename one", paths::part(source));
                return Err(Error::bad_file(&self.folder.join(&name), "source", reason));
            }
            self.open = Some((split, source.clone(), ItemFile::create(&self.folder, &name, Layout::Lines)?));
        }
        let images = row.images.iter().map(|image| picture::write(&self.folder, image)).collect::<Result<Vec<_>>>()?;
        let (_, _, file) = self.open.as_mut().expect("opened above");
        file.push(&Value::Object(super::llava::record(row, &row.conversation.id, &images)))
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<ExportedFile>> {
        self.close()?;
        for split in Split::ALL {
            // Training reads list.json: rows of other splits must not get into it by accident.
            let ending = if split == Split::Train { String::new() } else { format!(".{}", split.key()) };
            let names = [format!("list{ending}.json"), format!("internvl_meta{ending}.json")];
            for (name, list) in names.iter().zip(self.entries(split)) {
                if !list.is_empty() {
                    let path = self.folder.join(name);
                    let text = serde_json::to_string_pretty(&Value::Object(list)).expect("text is JSON");
                    std::fs::write(&path, text + "\n").map_err(Error::io(path))?;
                }
            }
        }
        Ok(self.finished.into_iter().map(|(_, _, file)| file).collect())
    }
}

/// An entry of a list file, in either way of writing.
struct Entry {
    annotations: String,
    image_dir: String,
    ratio: f64,
}

impl Entry {
    fn parse(value: &Value) -> std::result::Result<Entry, String> {
        let text = |keys: [&str; 2]| keys.iter().find_map(|key| value.get(*key).and_then(Value::as_str));
        let annotations =
            text(["annotations", "annotation"]).ok_or("neither `annotations` nor `annotation` names a file")?;
        let image_dir = text(["image_dir", "root"]).unwrap_or(".");
        let ratio = ["sample_ratio", "repeat_time", "repeat"].iter().find_map(|key| value.get(*key));
        let ratio = ratio.map_or(Some(1.0), Value::as_f64).filter(|ratio| ratio.is_finite() && *ratio >= 0.0);
        let ratio = ratio.ok_or("sample_ratio is no number of 0 or more")?;
        let image_dir = if image_dir.is_empty() { "." } else { image_dir };
        Ok(Entry { annotations: annotations.to_string(), image_dir: image_dir.to_string(), ratio })
    }
}

/// Reads every entry of the list files in a folder, or of one list file.
pub(crate) fn read(source: &Path, ratios: Ratios, receiver: &mut Receiver) -> Result<()> {
    let lists = match source.is_dir() {
        false => vec![source.to_path_buf()],
        true => {
            let of_split = |split: Split| format!("list.{}.json", split.key());
            let names = [LIST_FILE.to_string(), of_split(Split::Validation), of_split(Split::Test)];
            let names = names.into_iter().chain([LIST_FILE, "meta.json", "internvl_meta.json"].map(str::to_string));
            let found: Vec<PathBuf> = names.map(|name| source.join(name)).filter(|path| path.is_file()).collect();
            // InternVL's list repeats the published one.
            let own = found.iter().any(|path| path.ends_with(LIST_FILE));
            let mut found: Vec<PathBuf> =
                found.into_iter().filter(|path| !own || !path.ends_with("internvl_meta.json")).collect();
            found.dedup();
            let mut seen = std::collections::BTreeSet::new();
            found.retain(|path| seen.insert(path.clone()));
            found
        }
    };
    if lists.is_empty() {
        return Err(Error::NoFiles { path: source.to_path_buf(), expected: "list file (list.json, or give its path)" });
    }
    for list in &lists {
        read_list(list, ratios, receiver)?;
    }
    Ok(())
}

fn read_list(list: &Path, ratios: Ratios, receiver: &mut Receiver) -> Result<()> {
    let root = list.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let text = std::fs::read_to_string(list).map_err(Error::io(list))?;
    let entries: Map<String, Value> =
        serde_json::from_str(&text).map_err(|error| super::llava::not_understood(list, error.to_string()))?;
    let list_name = list.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for (name, value) in &entries {
        let checked = Entry::parse(value).and_then(|entry| {
            paths::below(root, &entry.annotations)?;
            if entry.image_dir != "." {
                paths::below(root, &entry.image_dir)?;
            }
            Ok(entry)
        });
        let entry = match checked {
            Ok(entry) => entry,
            Err(reason) => {
                let remedy = "correct the entry: paths are counted from the folder of the list file and stay below it"
                    .to_string();
                receiver.defect(Defect { file: list_name.clone(), place: name.clone(), reason, remedy })?;
                continue;
            }
        };
        if entry.ratio > 1.0 && ratios == Ratios::Apply {
            let reason = format!(
                "sample_ratio is {}: rows of a dataset are unique; repeat them in training, or set it to 1",
                entry.ratio
            );
            return Err(Error::bad_file(list, name.clone(), reason));
        }
        let split = split_of_name(name).or_else(|| split_of_name(&entry.annotations));
        let source = name.split('.').next().unwrap_or(name).to_string();
        let reading = Reading::of_files(root, vec![entry.annotations.clone()]);
        reading.items(&entry.annotations, receiver, &mut |value| {
            let mut row = super::llava::parse(&value)?;
            for picture in &mut row.images {
                if let (Picture::Named(path), false) = (&mut *picture, entry.image_dir == ".") {
                    *path = format!("{}/{path}", entry.image_dir.trim_end_matches('/'));
                }
            }
            row.is_left_out = ratios == Ratios::Apply && !is_drawn(&value, entry.ratio);
            Ok(Incoming { split, source: Some(source.clone()), ..row })
        })?;
    }
    Ok(())
}

/// Whether a row belongs to a share of `ratio`: by a hash of its content, so that the same rows are taken every time.
fn is_drawn(value: &Value, ratio: f64) -> bool {
    let hash = digest::of_bytes(value.to_string().as_bytes());
    let number = u64::from_str_radix(&hash[..13], 16).expect("a hash is hexadecimal"); // 52 bits: exact as f64.
    (number as f64 / (1_u64 << 52) as f64) < ratio
}
