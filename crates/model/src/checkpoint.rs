//! A Hugging Face folder to a network and back: `config.json`, one safetensors file or shards with an index, and what lies beside.
//!
//! What was read is written again in the same form: key layout, number format of each tensor, division into files, the config's
//! text, tokenizer and processor files.

use crate::config::Config;
use crate::error::{Error, Result};
use crate::gmai_vl::GmaiVl;
use crate::identity::Identity;
use crate::layout::KeyLayout;
use crate::parameter::Parameters;
use crate::tensor_file::{TensorFile, write};
use crate::weights::{Handle, Precision, Residence, StoredTensor, fill, find};
use burn::tensor::Device;
use safetensors::tensor::Dtype;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const SINGLE_FILE: &str = "model.safetensors";
const INDEX_FILE: &str = "model.safetensors.index.json";

/// Weights beyond this are written as shards, as transformers does: 5 GB.
const MAX_SHARD_BYTES: usize = 5_000_000_000;

/// Files beside the weights that a checkpoint folder keeps when it is loaded and saved again.
const COMPANIONS: [&str; 16] = [
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "preprocessor_config.json",
    "processor_config.json",
    "chat_template.json",
    "chat_template.jinja",
    "generation_config.json",
    "configuration_llava.py",
    "modeling_llava.py",
    "configuration_internlm2.py",
    "modeling_internlm2.py",
];

/// A companion larger than this is no tokenizer.
const MAX_COMPANION_BYTES: u64 = 64 << 20;

/// How a checkpoint lies on disk, so that it is saved as it was.
#[derive(Debug, Clone, Default)]
pub struct StoredForm {
    layout: KeyLayout,
    /// Weight files in order; empty for a network made here: then one file, or shards by size.
    files: Vec<StoredFile>,
    companions: Arc<Vec<Companion>>,
}

/// A file beside the weights.
#[derive(Debug)]
struct Companion {
    name: &'static str,
    bytes: Vec<u8>,
}

#[derive(Debug, Clone)]
struct StoredFile {
    name: String,
    tensors: Vec<StoredKey>,
}

#[derive(Debug, Clone)]
struct StoredKey {
    key: String,
    dtype: Dtype,
    content: Content,
}

/// What is written under a key.
#[derive(Debug, Clone)]
enum Content {
    /// The parameter of that name.
    Parameter(String),
    /// A buffer that carries no information, as it was read.
    Buffer { shape: Vec<usize>, bytes: Arc<Vec<u8>> },
}

impl GmaiVl {
    /// Loads the checkpoint in `folder` (`config.json` and safetensors) onto `device`, as f32.
    ///
    /// Every parameter must be there with its shape and nothing else may be: all differences are listed together.
    pub fn from_folder(folder: &Path, device: &Device) -> Result<GmaiVl> {
        GmaiVl::from_folder_as(folder, Precision::F32, device)
    }

    /// Loads a checkpoint into the given number format. One tensor at a time: memory peaks at the loaded weights and some megabytes.
    pub fn from_folder_as(folder: &Path, precision: Precision, device: &Device) -> Result<GmaiVl> {
        GmaiVl::read_folder(folder, Residence::Copied(precision), device, None)
    }

    /// Opens a checkpoint for answering, as f32: what is stored as f32 stays in the mapped files, so that memory holds what is used, once for
    /// all processes. The files may be replaced meanwhile, not written into.
    ///
    /// Also returns what identifies the network: a hash of its config and of every parameter as stored, taken while the files are
    /// checked. It is the same however the tensors are divided into files and named in them.
    pub fn map_folder(folder: &Path, device: &Device) -> Result<(GmaiVl, String)> {
        let mut identity = Identity::default();
        let model = GmaiVl::read_folder(folder, Residence::Mapped, device, Some(&mut identity))?;
        let name = identity.name(&model.config.to_text());
        Ok((model, name))
    }

    fn read_folder(
        folder: &Path,
        residence: Residence,
        device: &Device,
        identity: Option<&mut Identity>,
    ) -> Result<GmaiVl> {
        let config = Config::from_folder(folder)?;
        let absent = config.written.absent().to_vec();
        let mut model = GmaiVl::shapes_only(config, device)?;
        let files: Vec<TensorFile> =
            weight_files(folder)?.iter().map(|path| TensorFile::open(path)).collect::<Result<_>>()?;
        let layout = KeyLayout::of(files.iter().flat_map(|file| file.names()));
        let head = tied_head(&model);
        let is_known = |name: &str| is_buffer(name) || head.as_ref().is_some_and(|head| head.name == name);
        let found = find(&mut model, folder, &files, layout, &is_known, &absent)?;
        if let Some(head) = &head {
            head.check(folder, &files, layout)?;
        }
        let form = StoredForm { layout, files: stored_files(&files, layout, head), companions: companions(folder)? };
        fill(&mut model, folder, &found, residence, device, identity)?;
        model.form = Arc::new(form);
        Ok(model)
    }

    /// Writes config, weights and companion files into `folder`, in the form that was loaded; a network made here as one file of
    /// the config's `torch_dtype`, or shards with an index beyond 5 GB.
    pub fn save(&self, folder: &Path) -> Result<()> {
        self.save_sharded(folder, MAX_SHARD_BYTES)
    }

    /// [`GmaiVl::save`] with another size of shards for a network that was made here.
    pub fn save_sharded(&self, folder: &Path, max_shard_bytes: usize) -> Result<()> {
        let io = |path: PathBuf| move |source| Error::Io { path, source };
        for Companion { name, bytes } in self.form.companions.iter() {
            let path = folder.join(name);
            std::fs::write(&path, bytes).map_err(io(path))?;
        }
        let path = folder.join("config.json");
        std::fs::write(&path, self.config.to_text()).map_err(io(path))?;
        let mut parameters = Handles::new();
        self.clone().visit_parameters("", &mut |name, parameter| {
            parameters.insert(name.to_owned(), Handle::of(&parameter));
        });
        let files = match self.form.files.is_empty() {
            true => fresh_files(&parameters, self.form.layout, stored_dtype(&self.config.torch_dtype), max_shard_bytes),
            false => self.form.files.clone(),
        };
        for file in &files {
            let mut tensors = BTreeMap::new();
            for StoredKey { key, dtype, content } in &file.tensors {
                let tensor = match content {
                    Content::Parameter(name) => parameters[name].stored(*dtype),
                    Content::Buffer { shape, bytes } => StoredTensor::raw(shape.clone(), *dtype, bytes.clone()),
                };
                tensors.insert(key, tensor);
            }
            write(&tensors, &folder.join(&file.name))?;
        }
        if files.len() > 1 || files.iter().any(|file| file.name != SINGLE_FILE) {
            let path = folder.join(INDEX_FILE);
            std::fs::write(&path, index_text(&files, &parameters)).map_err(io(path))?;
        }
        Ok(())
    }

    /// From now on every parameter is saved as f32, whatever it was read as: training changes less than half precision can hold.
    pub fn store_as_f32(&mut self) {
        let mut form = (*self.form).clone();
        let half = |dtype: Dtype| matches!(dtype, Dtype::F16 | Dtype::BF16);
        if form.files.iter().flat_map(|file| &file.tensors).any(|tensor| half(tensor.dtype)) {
            form.files.clear(); // Twice as large now: divided anew.
            self.config.torch_dtype = "float32".to_owned();
        }
        self.form = Arc::new(form);
    }
}

/// An output head that shares the embedding and is stored all the same.
struct TiedHead {
    name: String,
    embeddings: String,
}

fn tied_head(model: &GmaiVl) -> Option<TiedHead> {
    let language = &model.language_model;
    language.output.is_none().then(|| TiedHead {
        name: format!("language_model.{}", language.separate_head_name()),
        embeddings: format!("language_model.{}", language.head_name()),
    })
}

impl TiedHead {
    /// A stored copy must equal the embedding: otherwise the config contradicts the weights.
    fn check(&self, folder: &Path, files: &[TensorFile], layout: KeyLayout) -> Result<()> {
        let bytes = |name: &str| {
            let key = layout.key(name);
            files.iter().find_map(|file| file.info(&key).map(|info| (info.dtype, file.bytes(info))))
        };
        match bytes(&self.name) {
            Some(copy) if Some(copy) != bytes(&self.embeddings) => Err(Error::Weights {
                path: folder.to_owned(),
                missing: Vec::new(),
                unexpected: vec![format!(
                    "{} (tie_word_embeddings is true, and it differs from the embedding)",
                    layout.key(&self.name)
                )],
                misshapen: Vec::new(),
                defaults: String::new(),
            }),
            _ => Ok(()),
        }
    }
}

/// Buffers of old checkpoints, such as 0, 1, 2, ...: they carry no information.
fn is_buffer(name: &str) -> bool {
    name.ends_with("embeddings.position_ids") || name.ends_with("rotary_emb.inv_freq")
}

/// The safetensors files of a checkpoint folder.
fn weight_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let index = folder.join(INDEX_FILE);
    if !index.exists() {
        return Ok(vec![folder.join(SINGLE_FILE)]);
    }
    let text = std::fs::read_to_string(&index).map_err(|source| Error::Io { path: index.clone(), source })?;
    let damaged = |reason: String| Error::Damaged { path: index.clone(), reason };
    let value: Value = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
    let map = value["weight_map"].as_object().ok_or_else(|| damaged("no weight_map".to_owned()))?;
    let names: BTreeSet<&str> = map.values().filter_map(|file| file.as_str()).collect();
    if names.iter().any(|name| name.contains(['/', '\\'])) {
        return Err(damaged("weight_map names a file outside the folder".to_owned()));
    }
    if names.is_empty() {
        return Err(damaged("weight_map names no file".to_owned()));
    }
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}

fn companions(folder: &Path) -> Result<Arc<Vec<Companion>>> {
    let mut found = Vec::new();
    for name in COMPANIONS {
        let path = folder.join(name);
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() && metadata.len() <= MAX_COMPANION_BYTES => {
                let bytes = std::fs::read(&path).map_err(|source| Error::Io { path, source })?;
                found.push(Companion { name, bytes });
            }
            _ => (),
        }
    }
    Ok(Arc::new(found))
}

/// What the files hold, to be written again.
fn stored_files(files: &[TensorFile], layout: KeyLayout, head: Option<TiedHead>) -> Vec<StoredFile> {
    let stored = |file: &TensorFile, key: String| {
        let info = file.info(&key).expect("the key is from this file");
        let name = layout.name(&key);
        let content = if is_buffer(&name) {
            Content::Buffer { shape: info.shape.clone(), bytes: Arc::new(file.bytes(info).to_vec()) }
        } else {
            match &head {
                Some(head) if head.name == name => Content::Parameter(head.embeddings.clone()),
                _ => Content::Parameter(name),
            }
        };
        StoredKey { key, dtype: info.dtype, content }
    };
    let of_file = |file: &TensorFile| StoredFile {
        name: file.path().file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        tensors: file.names().into_iter().map(|key| stored(file, key)).collect(),
    };
    files.iter().map(of_file).collect()
}

type Handles = BTreeMap<String, Handle>;

/// One file, or shards of at most `max_shard_bytes` (one tensor at least), in the order of the names.
fn fresh_files(parameters: &Handles, layout: KeyLayout, dtype: Dtype, max_shard_bytes: usize) -> Vec<StoredFile> {
    let mut shards: Vec<Vec<StoredKey>> = vec![Vec::new()];
    let mut used = 0;
    for (name, parameter) in parameters {
        let bytes = parameter.num_values() * dtype.bitsize() / 8;
        let key = StoredKey { key: layout.key(name), dtype, content: Content::Parameter(name.clone()) };
        match shards.last_mut() {
            Some(shard) if shard.is_empty() || used + bytes <= max_shard_bytes => {
                shard.push(key);
                used += bytes;
            }
            _ => {
                shards.push(vec![key]);
                used = bytes;
            }
        }
    }
    let count = shards.len();
    let file = |(index, tensors)| {
        let name = match count {
            1 => SINGLE_FILE.to_owned(),
            _ => format!("model-{:05}-of-{count:05}.safetensors", index + 1),
        };
        StoredFile { name, tensors }
    };
    shards.into_iter().enumerate().map(file).collect()
}

/// The index of shards, as transformers writes it.
fn index_text(files: &[StoredFile], parameters: &Handles) -> String {
    let mut total = 0;
    let mut map = BTreeMap::new();
    for file in files {
        for StoredKey { key, dtype, content } in &file.tensors {
            let values = match content {
                Content::Parameter(name) => parameters[name].num_values(),
                Content::Buffer { shape, .. } => shape.iter().product(),
            };
            total += values * dtype.bitsize() / 8;
            map.insert(key, &file.name);
        }
    }
    let index = json!({ "metadata": { "total_size": total }, "weight_map": map });
    let mut text = serde_json::to_string_pretty(&index).expect("an index is plain data");
    text.push('\n');
    text
}

/// The number format that PyTorch's name stands for; f32 for all that weights are not stored in.
fn stored_dtype(name: &str) -> Dtype {
    match name {
        "bfloat16" => Dtype::BF16,
        "float16" => Dtype::F16,
        _ => Dtype::F32,
    }
}
