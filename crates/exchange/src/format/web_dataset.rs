//! WebDataset: numbered tar files; the files of one sample stand together and share their name up to the first dot.

use super::{Row, Sink, split_of_name};
use crate::companion::ExportedFile;
use crate::incoming::{Defect, Incoming, Picture, Reading};
use crate::receiver::Receiver;
use crate::{Error, Result, digest, picture};
use gmai_schema::conversation::IMAGE_MARKER;
use gmai_schema::{Split, Turn};
use serde_json::Value;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Endings of pictures; WebDataset decodes by ending.
const PICTURE_ENDINGS: [&str; 7] = ["png", "jpg", "jpeg", "webp", "bmp", "tif", "tiff"];

/// The most pictures of one sample: a sample is held in memory.
const MAX_PICTURES: usize = 64;

struct OpenShard {
    name: String,
    path: PathBuf,
    archive: tar::Builder<BufWriter<File>>,
    rows: u64,
}

/// Tar files of up to `samples_per_shard` rows.
pub(crate) struct WebDatasetSink {
    folder: PathBuf,
    samples_per_shard: u64,
    split: Option<Split>,
    /// Number of the next shard, and of the next sample, of the split.
    next_shard: usize,
    next_sample: u64,
    open: Option<OpenShard>,
    finished: Vec<ExportedFile>,
}

impl WebDatasetSink {
    pub(crate) fn new(folder: &Path, samples_per_shard: u64) -> WebDatasetSink {
        WebDatasetSink {
            folder: folder.to_path_buf(),
            samples_per_shard: samples_per_shard.max(1),
            split: None,
            next_shard: 0,
            next_sample: 0,
            open: None,
            finished: Vec::new(),
        }
    }

    fn close(&mut self) -> Result<()> {
        let Some(shard) = self.open.take() else { return Ok(()) };
        let mut file = shard.archive.into_inner().map_err(Error::io(&shard.path))?;
        file.flush().map_err(Error::io(&shard.path))?;
        let sha256 = digest::of_file(&shard.path)?;
        self.finished.push(ExportedFile { file: shard.name, rows: shard.rows, sha256 });
        Ok(())
    }

    fn shard(&mut self, split: Split) -> Result<&mut OpenShard> {
        if self.split != Some(split) {
            self.close()?;
            (self.split, self.next_shard, self.next_sample) = (Some(split), 0, 0);
        }
        if self.open.as_ref().is_some_and(|shard| shard.rows >= self.samples_per_shard) {
            self.close()?;
        }
        if self.open.is_none() {
            let name = format!("{}-{:06}.tar", split.key(), self.next_shard);
            let path = self.folder.join(&name);
            let file = File::create(&path).map_err(Error::io(&path))?;
            self.next_shard += 1;
            self.open = Some(OpenShard { name, path, archive: tar::Builder::new(BufWriter::new(file)), rows: 0 });
        }
        Ok(self.open.as_mut().expect("opened above"))
    }
}

impl OpenShard {
    /// Adds a file without owner or time: equal datasets give equal archives.
    fn add(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        self.archive.append_data(&mut header, name, bytes).map_err(Error::io(&self.path))
    }
}

impl Sink for WebDatasetSink {
    fn push(&mut self, row: &Row) -> Result<()> {
        let split = row.conversation.split;
        self.shard(split)?; // May begin the count of the split anew.
        let key = format!("{:09}", self.next_sample);
        self.next_sample += 1;
        let shard = self.shard(split)?;
        let mut names = Vec::new();
        for (index, image) in row.images.iter().enumerate() {
            let ending = if image.path.ends_with(".png") { "png" } else { "jpg" };
            let name =
                if row.images.len() == 1 { format!("{key}.{ending}") } else { format!("{key}.{index}.{ending}") };
            shard.add(&name, &image.bytes)?;
            names.push(name);
        }
        let record = Value::Object(super::llava::record(row, &row.conversation.id, &names));
        shard.add(&format!("{key}.json"), record.to_string().as_bytes())?;
        shard.rows += 1;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<ExportedFile>> {
        self.close()?;
        Ok(self.finished)
    }
}

/// The files of one sample.
#[derive(Default)]
struct Group {
    key: String,
    json: Option<Vec<u8>>,
    text: Option<Vec<u8>>,
    pictures: Vec<(String, Vec<u8>)>,
    defect: Option<String>,
}

/// Reads a tar file, or all of a folder.
pub(crate) fn read(source: &Path, receiver: &mut Receiver) -> Result<()> {
    let reading = Reading::find_with(source, "WebDataset shard (*.tar)", &["tar"])?;
    for file in &reading.files {
        read_shard(&reading, file, receiver)?;
    }
    Ok(())
}

fn read_shard(reading: &Reading, file: &str, receiver: &mut Receiver) -> Result<()> {
    let path = reading.root.join(file);
    let mut archive = tar::Archive::new(BufReader::new(File::open(&path).map_err(Error::io(&path))?));
    let mut group = Group::default();
    let mut samples = 0_u64;
    let broken = |error: std::io::Error, samples: u64| Defect {
        file: file.to_string(),
        place: format!("after sample {samples}"),
        reason: format!("the archive cannot be read on: {error}"),
        remedy: "fetch or export the shard again".to_string(),
    };
    let entries = archive.entries().map_err(Error::io(&path))?;
    for entry in entries {
        let mut entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                receiver.defect(broken(error, samples))?;
                break;
            }
        };
        if !entry.header().entry_type().is_file() {
            continue; // Folders, links and extended headers hold no data of a sample.
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let (folder, base) = name.rsplit_once('/').map_or(("", name.as_str()), |(folder, base)| (folder, base));
        let (stem, ending) = base.split_once('.').unwrap_or((base, ""));
        let key = if folder.is_empty() { stem.to_string() } else { format!("{folder}/{stem}") };
        if key != group.key {
            deliver(std::mem::take(&mut group), file, &mut samples, receiver)?;
            group.key = key;
        }
        let size = entry.size();
        match picture::read_limited(&mut entry) {
            Ok(bytes) if bytes.len() as u64 == size => group.add(base, ending, bytes),
            Ok(_) => group.defect = Some(format!("{base}: the archive ends inside the file")),
            Err(reason) => group.defect = Some(format!("{base}: {reason}")),
        }
    }
    deliver(group, file, &mut samples, receiver)
}

impl Group {
    fn add(&mut self, base: &str, ending: &str, bytes: Vec<u8>) {
        let last = ending.rsplit('.').next().unwrap_or(ending).to_lowercase();
        if last == "json" {
            self.json = Some(bytes);
        } else if ["txt", "text", "caption"].contains(&last.as_str()) {
            self.text = Some(bytes);
        } else if PICTURE_ENDINGS.contains(&last.as_str()) {
            if self.pictures.len() == MAX_PICTURES {
                self.defect = Some(format!("more than {MAX_PICTURES} pictures in one sample"));
            } else {
                self.pictures.push((base.to_string(), bytes));
            }
        }
    }

    /// The sample as a row: a JSON object with conversations, or a text that describes the picture.
    fn row(self) -> std::result::Result<Incoming, String> {
        if let Some(reason) = self.defect {
            return Err(reason);
        }
        let value: Option<Value> = match &self.json {
            Some(bytes) => Some(serde_json::from_slice(bytes).map_err(|error| format!("{}.json: {error}", self.key))?),
            None => None,
        };
        let mut pictures = self.pictures;
        let take = |pictures: &mut Vec<(String, Vec<u8>)>, name: &str| {
            let index = pictures.iter().position(|(own, _)| own == name)?;
            Some(Picture::Inline(pictures.swap_remove(index).1))
        };
        let mut row = match value {
            Some(value) if value.get("conversations").is_some() => super::llava::parse(&value)?,
            Some(value) if value.get("caption").is_some_and(Value::is_string) => caption(value["caption"].as_str()),
            _ => match &self.text {
                Some(text) => caption(Some(&String::from_utf8_lossy(text))),
                None => return Err("neither a .json with `conversations` nor a .txt with a caption".to_string()),
            },
        };
        let named = std::mem::take(&mut row.images);
        for name in named {
            let Picture::Named(name) = name else { continue };
            let base = name.rsplit('/').next().unwrap_or(&name);
            // Records of others name the file as it was before it went into the archive: then the order decides.
            row.images.extend(take(&mut pictures, base));
        }
        row.images.extend(pictures.into_iter().map(|(_, bytes)| Picture::Inline(bytes)));
        Ok(Incoming { id: row.id.or(Some(self.key)), ..row })
    }
}

/// A caption as an exchange: the question is ours.
fn caption(text: Option<&str>) -> Incoming {
    let question = format!("{IMAGE_MARKER}\nDescribe this image.");
    let turns = vec![Turn::human(question), Turn::assistant(text.unwrap_or_default().trim())];
    Incoming { turns, is_caption: true, ..Incoming::default() }
}

fn deliver(group: Group, file: &str, samples: &mut u64, receiver: &mut Receiver) -> Result<()> {
    if group.key.is_empty() {
        return Ok(());
    }
    *samples += 1;
    let place = format!("sample {}", group.key);
    match group.row() {
        Ok(row) => receiver.row(Incoming { file: file.to_string(), place, split: split_of_name(file), ..row }),
        Err(reason) => receiver.defect(Defect::of_row(file, place, reason)),
    }
}
