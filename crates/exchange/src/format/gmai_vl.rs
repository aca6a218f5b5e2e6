//! The layout in which GMAI-VL-5.5M was published: LLaVA objects with `width` and `height` in `annotations/*.jsonl`, pictures at
//! `images/<dim>/<task>/<modality>/<source>/...`, packed into `zips/images_chunk_001.zip` and on without the leading `images/`.

use super::{Row, Sink, split_of_name};
use crate::companion::ExportedFile;
use crate::incoming::{Incoming, Picture, Reading};
use crate::item_file::{ItemFile, Layout};
use crate::receiver::Receiver;
use crate::{Error, ExportOptions, Result, paths, picture};
use gmai_schema::{Modality, Split};
use gmai_shard::{Manifest, OriginalTask, SourceSummary};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Rows of one jsonl part.
const ROWS_PER_PART: u64 = 100_000;

/// Files of one zip: more need another format of the directory, which old tools do not read.
const FILES_PER_CHUNK: usize = 60_000;

/// A zip under construction.
struct Chunk {
    path: PathBuf,
    zip: ZipWriter<BufWriter<File>>,
    files: usize,
    bytes: u64,
}

/// Writes the published layout.
pub(crate) struct GmaiVlSink {
    folder: PathBuf,
    chunk_bytes: u64,
    /// What the sources' annotations were: `cls`, `seg`, `det`, `vqa` or `report`.
    tasks: BTreeMap<String, &'static str>,
    part: Option<(Split, usize, ItemFile)>,
    chunk: Option<Chunk>,
    chunks: usize,
    /// Hashes of the names that were packed: 8 bytes a picture.
    packed: HashSet<u64>,
    finished: Vec<ExportedFile>,
}

/// The published word for what a source's annotations were made for.
fn task_word(source: &SourceSummary) -> &'static str {
    match source.original_task() {
        Some(OriginalTask::Detection) => "det",
        Some(OriginalTask::Segmentation) => "seg",
        Some(OriginalTask::QuestionAnswering) => "vqa",
        Some(OriginalTask::Report) => "report",
        Some(OriginalTask::Classification) | None => "cls",
    }
}

/// The published word for a modality where it is known, else the vocabulary's key.
fn modality_word(modality: Option<Modality>) -> &'static str {
    match modality {
        Some(Modality::Pathology) => "histopathology",
        Some(modality) => modality.key(),
        None => "unknown",
    }
}

impl GmaiVlSink {
    pub(crate) fn new(folder: &Path, manifest: &Manifest, options: &ExportOptions) -> GmaiVlSink {
        let tasks = manifest.sources.iter().map(|source| (source.facts.name.clone(), task_word(source)));
        GmaiVlSink {
            folder: folder.to_path_buf(),
            chunk_bytes: options.chunk_bytes,
            tasks: tasks.collect(),
            part: None,
            chunk: None,
            chunks: 0,
            packed: HashSet::new(),
            finished: Vec::new(),
        }
    }

    fn close_chunk(&mut self) -> Result<()> {
        let Some(chunk) = self.chunk.take() else { return Ok(()) };
        chunk.zip.finish().map_err(|error| Error::archive(&chunk.path, error))?;
        Ok(())
    }

    /// Packs a picture under `member` once.
    fn pack(&mut self, member: &str, bytes: &[u8]) -> Result<()> {
        let mut hasher = DefaultHasher::new();
        member.hash(&mut hasher);
        if !self.packed.insert(hasher.finish()) {
            return Ok(());
        }
        let is_full =
            |chunk: &Chunk| chunk.files >= FILES_PER_CHUNK || chunk.bytes + bytes.len() as u64 > self.chunk_bytes;
        if self.chunk.as_ref().is_some_and(is_full) {
            self.close_chunk()?;
        }
        if self.chunk.is_none() {
            self.chunks += 1;
            let path = self.folder.join("zips").join(format!("images_chunk_{:03}.zip", self.chunks));
            std::fs::create_dir_all(self.folder.join("zips")).map_err(Error::io(&path))?;
            let file = File::create(&path).map_err(Error::io(&path))?;
            self.chunk = Some(Chunk { path, zip: ZipWriter::new(BufWriter::new(file)), files: 0, bytes: 0 });
        }
        let chunk = self.chunk.as_mut().expect("opened above");
        // Stored, not deflated: PNG and JPEG do not shrink.
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        let options = options.last_modified_time(zip::DateTime::default());
        chunk.zip.start_file(member, options).map_err(|error| Error::archive(&chunk.path, error))?;
        std::io::Write::write_all(&mut chunk.zip, bytes).map_err(Error::io(&chunk.path))?;
        chunk.files += 1;
        chunk.bytes += bytes.len() as u64;
        Ok(())
    }

    fn part(&mut self, split: Split) -> Result<&mut ItemFile> {
        let number = match &self.part {
            Some((open, number, file)) if *open == split && file.rows() < ROWS_PER_PART => *number,
            Some((open, number, _)) if *open == split => number + 1,
            _ => 1,
        };
        if self.part.as_ref().is_none_or(|(open, old, _)| (*open, *old) != (split, number)) {
            if let Some((_, _, file)) = self.part.take() {
                self.finished.push(file.finish()?);
            }
            let name = format!("annotations/{}_part_{number:03}.jsonl", split.key());
            self.part = Some((split, number, ItemFile::create(&self.folder, &name, Layout::Lines)?));
        }
        Ok(&mut self.part.as_mut().expect("opened above").2)
    }
}

impl Sink for GmaiVlSink {
    fn push(&mut self, row: &Row) -> Result<()> {
        let conversation = row.conversation;
        let dimension = if conversation.provenance.slice.is_some() { "3d" } else { "2d" };
        let task = self.tasks.get(&conversation.source).copied().unwrap_or("cls");
        let modality = modality_word(conversation.modality);
        let source = paths::part(&conversation.source);
        let (mut names, mut first) = (Vec::new(), None);
        for image in row.images {
            let member = format!("{dimension}/{task}/{modality}/{source}/{}", picture::name(image));
            self.pack(&member, &image.bytes)?;
            names.push(format!("images/{member}"));
            first.get_or_insert((member, picture::dimensions(image)));
        }
        let id = first.as_ref().map_or(conversation.id.clone(), |(member, _)| member.replace('/', "#"));
        let mut object = super::llava::record(row, &id, &names);
        if let Some((_, (width, height))) = first {
            object.insert("width".to_string(), json!(width));
            object.insert("height".to_string(), json!(height));
        }
        self.part(conversation.split)?.push(&Value::Object(object))
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<ExportedFile>> {
        self.close_chunk()?;
        if let Some((_, _, file)) = self.part.take() {
            self.finished.push(file.finish()?);
        }
        Ok(self.finished)
    }
}

/// Modality words of published paths.
fn modality_of(word: &str) -> Option<Modality> {
    let word = word.to_lowercase().replace(['-', ' '], "_");
    let synonym = match word.as_str() {
        "histopathology" | "histology" | "pathology" => Some(Modality::Pathology),
        "mri" | "mr" | "mr_mri" => Some(Modality::Mr),
        "xray" | "x_ray" | "dr" => Some(Modality::XRay),
        "fundus" | "fundus_photography" | "fundus_photo" => Some(Modality::Fundus),
        "us" | "ultrasound" => Some(Modality::Ultrasound),
        "endoscope" | "endoscopy" | "colonoscopy" => Some(Modality::Endoscopy),
        "ir" | "infrared_reflectance_imaging" => Some(Modality::InfraredReflectance),
        _ => None,
    };
    synonym.or_else(|| Modality::from_key(&word))
}

/// Reads `annotations/*.jsonl`, or all jsonl files of the folder, with pictures from `images/` or from the zips.
pub(crate) fn read(source: &Path, receiver: &mut Receiver) -> Result<()> {
    let annotations = source.join("annotations");
    let expected = "GMAI-VL annotations (annotations/*.jsonl)";
    let reading = match annotations.is_dir() {
        true => Reading::find(&annotations, expected)?.seen_from(source),
        false => Reading::find(source, expected)?,
    };
    receiver.add_zips(&reading.root)?;
    for file in &reading.files {
        let split = split_of_name(file);
        reading.items(file, receiver, &mut |value| {
            let row = super::llava::parse(&value)?;
            // images / dim / task / modality / source / ...
            let path = match row.images.first() {
                Some(Picture::Named(path)) => path.clone(),
                _ => String::new(),
            };
            let parts: Vec<&str> = path.split('/').collect();
            let (modality, source) = match parts.as_slice() {
                ["images", _, _, modality, source, _, ..] => (modality_of(modality), Some((*source).to_string())),
                _ => (None, None),
            };
            Ok(Incoming { split, modality, source, ..row })
        })?;
    }
    Ok(())
}
