//! A model folder: `config.json` and its tensors, mapped into memory, under the names of older LLaVA checkpoints.

use crate::error::{Error, Result, io};
use memmap2::Mmap;
use safetensors::tensor::{Dtype, SafeTensors};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

const SINGLE_FILE: &str = "model.safetensors";
const INDEX_FILE: &str = "model.safetensors.index.json";
/// Largest JSON file that is read, bytes.
const MAX_JSON_BYTES: u64 = 256 << 20;

/// An opened model folder.
#[derive(Debug)]
pub struct Checkpoint {
    folder: PathBuf,
    config: Value,
    files: Vec<WeightFile>,
    tensors: BTreeMap<String, Stored>,
}

#[derive(Debug)]
struct WeightFile {
    name: String,
    map: Mmap,
}

#[derive(Debug, Clone, PartialEq)]
struct Stored {
    file: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Range<usize>,
}

/// A tensor as it is stored.
#[derive(Debug, Clone, Copy)]
pub struct Tensor<'a> {
    /// Number format.
    pub dtype: Dtype,
    /// Sizes along each dimension.
    pub shape: &'a [usize],
    /// Values in row-major order, little-endian.
    pub bytes: &'a [u8],
    /// Which of the checkpoint's files it lies in.
    pub file: usize,
}

impl Checkpoint {
    /// Maps a folder's files. No weight is read yet.
    pub fn open(folder: &Path) -> Result<Checkpoint> {
        let config = read_json(&folder.join("config.json"))?;
        let mut checkpoint =
            Checkpoint { folder: folder.to_owned(), config, files: Vec::new(), tensors: BTreeMap::new() };
        for name in weight_files(folder)? {
            checkpoint.map(name)?;
        }
        Ok(checkpoint)
    }

    fn map(&mut self, name: String) -> Result<()> {
        let path = self.folder.join(&name);
        let file = File::open(&path).map_err(io(&path))?;
        // SAFETY: the map is only read; another process truncating the file meanwhile is the operator's fault.
        let map = unsafe { Mmap::map(&file) }.map_err(io(&path))?;
        let damaged = |reason: String| Error::Damaged { path: path.clone(), reason };
        let (header, metadata) = SafeTensors::read_metadata(&map).map_err(|error| damaged(error.to_string()))?;
        let start = header + size_of::<u64>();
        for (name, info) in metadata.tensors() {
            // A buffer of old CLIP checkpoints, 0, 1, 2, ...: carries no information.
            if name.ends_with("embeddings.position_ids") || name.ends_with("rotary_emb.inv_freq") {
                continue;
            }
            let bytes = start + info.data_offsets.0..start + info.data_offsets.1;
            if bytes.end > map.len() {
                return Err(damaged(format!("{name} ends beyond the file")));
            }
            let stored = Stored { file: self.files.len(), dtype: info.dtype, shape: info.shape.clone(), bytes };
            if self.tensors.insert(old_name(&name), stored).is_some() {
                return Err(damaged(format!("{name} is stored twice")));
            }
        }
        self.files.push(WeightFile { name, map });
        Ok(())
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The whole `config.json`.
    pub fn config(&self) -> &Value {
        &self.config
    }

    /// Names of the weight files, in their order.
    pub fn file_names(&self) -> Vec<&str> {
        self.files.iter().map(|file| file.name.as_str()).collect()
    }

    /// Names of all tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// A tensor by its name.
    pub fn tensor(&self, name: &str) -> Option<Tensor<'_>> {
        let stored = self.tensors.get(name)?;
        Some(Tensor {
            dtype: stored.dtype,
            shape: &stored.shape,
            bytes: &self.files[stored.file].map[stored.bytes.clone()],
            file: stored.file,
        })
    }

    /// A JSON file of the folder, if it is there.
    pub fn json(&self, name: &str) -> Result<Option<Value>> {
        let path = self.folder.join(name);
        if path.exists() { read_json(&path).map(Some) } else { Ok(None) }
    }

    /// A text file of the folder, if it is there.
    pub fn text(&self, name: &str) -> Result<Option<String>> {
        let path = self.folder.join(name);
        if path.exists() { read_text(&path).map(Some) } else { Ok(None) }
    }
}

/// Newer transformers store LLaVA under other names than the published checkpoints have; readers of the new ones also take the old.
fn old_name(name: &str) -> String {
    for (new, old) in [
        ("model.language_model.", "language_model.model."),
        ("lm_head.", "language_model.lm_head."),
        ("model.vision_tower.", "vision_tower."),
        ("model.multi_modal_projector.", "multi_modal_projector."),
    ] {
        if let Some(rest) = name.strip_prefix(new) {
            return format!("{old}{rest}");
        }
    }
    name.to_owned()
}

fn weight_files(folder: &Path) -> Result<Vec<String>> {
    let path = folder.join(INDEX_FILE);
    if !path.exists() {
        return Ok(vec![SINGLE_FILE.to_owned()]);
    }
    let index = read_json(&path)?;
    let damaged = |reason: &str| Error::Damaged { path: path.clone(), reason: reason.to_owned() };
    let map = index["weight_map"].as_object().ok_or_else(|| damaged("it has no weight_map"))?;
    let names: BTreeSet<&str> = map.values().filter_map(Value::as_str).collect();
    if names.iter().any(|name| name.contains(['/', '\\'])) {
        return Err(damaged("weight_map names a file outside the folder"));
    }
    Ok(names.into_iter().map(str::to_owned).collect())
}

fn read_text(path: &Path) -> Result<String> {
    let bytes = std::fs::metadata(path).map_err(io(path))?.len();
    if bytes > MAX_JSON_BYTES {
        return Err(Error::Damaged { path: path.to_owned(), reason: format!("{bytes} bytes are too many") });
    }
    std::fs::read_to_string(path).map_err(io(path))
}

fn read_json(path: &Path) -> Result<Value> {
    let damaged = |error: serde_json::Error| Error::Damaged { path: path.to_owned(), reason: error.to_string() };
    serde_json::from_str(&read_text(path)?).map_err(damaged)
}
