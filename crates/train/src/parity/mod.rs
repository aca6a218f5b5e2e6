//! Whether a checkpoint gives the numbers of the reference implementation: every quantity of its `vectors.safetensors`, computed
//! here and compared.
//!
//! ```text
//! mod.rs      the cases, and the report      merge.rs    how the reference merges pictures into rows
//! case.rs     one case's quantities          compare.rs  tolerances
//! ```
//! Keys are explained where the vectors are made (`scripts/reference_vectors.py`).

mod case;
mod compare;
pub mod merge;

use crate::error::{Error, Result};
use case::Case;
pub use compare::Line;
use gmai_model::weights::{OwnedTensor, load_tensors};
use gmai_model::{Config, GmaiVl, device};
use safetensors::Dtype;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Tensors under the names of the vectors file.
type Tensors = BTreeMap<String, OwnedTensor>;

/// File of reference tensors in a checkpoint folder.
pub const VECTORS_FILE: &str = "vectors.safetensors";

/// Settings of the training stages among the vectors.
const SETTINGS_FILE: &str = "vectors.json";

/// What was compared.
pub struct Report {
    /// One line per quantity, in the order of their names.
    pub lines: Vec<Line>,
    /// What was computed here, under the same names.
    tensors: Tensors,
}

/// Computes every quantity of the vectors beside a checkpoint.
///
/// # Errors
/// Folders without a readable checkpoint or vectors; inputs that do not fit the model. A difference is no error but a line.
pub fn run(folder: &Path) -> Result<Report> {
    let mut model = GmaiVl::from_folder(folder, &device::default_device())?;
    without_length_limit(&mut model.config);
    let vectors = load_tensors(&folder.join(VECTORS_FILE))?;
    let mut computed = Tensors::new();
    let mut masks = BTreeMap::new();
    for name in case_names(&vectors) {
        let case = Case::new(&name, &vectors, &model)?;
        case.compute(&model, &mut computed)?;
        masks.insert(name.clone(), case.mask());
    }
    for (stage, settings) in stages(folder)? {
        let case = Case::new("batch", &vectors, &model)?;
        case.train(&model, &stage, &settings, &mut computed)?;
    }
    let lines = vectors
        .iter()
        .filter(|(name, _)| !is_input(name))
        .map(|(name, reference)| {
            let case = name.split('.').next().unwrap_or(name);
            compare::line(name, reference, computed.get(name), masks.get(case).map(Vec::as_slice), &vectors)
        })
        .collect();
    Ok(Report { lines, tensors: computed })
}

impl Report {
    /// Whether every quantity lies within its tolerance.
    pub fn passes(&self) -> bool {
        self.lines.iter().all(|line| line.pass)
    }

    /// Writes what was computed here, under the names of the vectors.
    pub fn save(&self, path: &Path) -> Result<()> {
        let views = self.tensors.iter().map(|(name, tensor)| (name, View { tensor, integer: is_integer(name) }));
        safetensors::serialize_to_file(views, None, path).map_err(|error| {
            Error::Model(gmai_model::Error::Damaged { path: path.to_owned(), reason: error.to_string() })
        })
    }
}

/// The reference sets no limit to a sequence, so neither does the comparison with it.
fn without_length_limit(config: &mut Config) {
    let text = &mut config.text_config;
    text.sliding_window = None;
    if text.max_tokens().is_some() {
        text.max_position_embeddings = usize::MAX >> 16;
    }
}

/// Names before the first dot that come with token ids.
fn case_names(vectors: &Tensors) -> BTreeSet<String> {
    vectors.keys().filter_map(|key| key.strip_suffix(".input_ids")).map(str::to_owned).collect()
}

fn is_input(name: &str) -> bool {
    ["input_ids", "pixel_values", "labels", "attention_mask"].iter().any(|input| name.ends_with(&format!(".{input}")))
}

fn is_integer(name: &str) -> bool {
    name.ends_with(".tokens")
}

/// Stages of the settings file, by name; none without the file.
fn stages(folder: &Path) -> Result<BTreeMap<String, Value>> {
    let path = folder.join(SETTINGS_FILE);
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    let text = std::fs::read_to_string(&path).map_err(|source| Error::Io { path: path.clone(), source })?;
    let value: Value =
        serde_json::from_str(&text).map_err(|error| Error::Recipe { path, reason: error.to_string() })?;
    let stages = value["stages"].as_object().cloned().unwrap_or_default();
    Ok(stages.into_iter().collect())
}

/// A tensor as it is written: token ids as integers.
struct View<'a> {
    tensor: &'a OwnedTensor,
    integer: bool,
}

impl safetensors::View for View<'_> {
    fn dtype(&self) -> Dtype {
        if self.integer { Dtype::I64 } else { Dtype::F32 }
    }
    fn shape(&self) -> &[usize] {
        &self.tensor.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        let values = self.tensor.values.iter();
        Cow::Owned(match self.integer {
            true => values.flat_map(|value| (*value as i64).to_le_bytes()).collect(),
            false => values.flat_map(|value| value.to_le_bytes()).collect(),
        })
    }
    fn data_len(&self) -> usize {
        self.tensor.values.len() * if self.integer { 8 } else { 4 }
    }
}
