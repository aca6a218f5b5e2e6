//! A folder that a user names -> the engine that answers from it.

use anyhow::{Context, Result, bail};
use gmai_infer::Engine;
use std::path::{Path, PathBuf};

/// Opens a model folder, or the newest checkpoint of a run folder, for answering.
pub fn open(folder: &Path) -> Result<Engine> {
    let folder = model_folder(folder)?;
    Engine::open(&folder).with_context(|| format!("cannot open the model {}", folder.display()))
}

/// The model folder that is meant: the folder itself, or in a run folder the finished model, or else the newest checkpoint.
pub fn model_folder(folder: &Path) -> Result<PathBuf> {
    let finished = folder.join("model");
    for candidate in [folder, &finished] {
        if candidate.join("config.json").is_file() {
            return Ok(candidate.to_path_buf());
        }
    }
    match gmai_train::checkpoint::latest(&folder.join("checkpoints"))? {
        Some((newest, _)) => Ok(newest),
        None => bail!(
            "{}: neither a model folder (no config.json) nor a run folder with a checkpoint; gmai train makes one",
            folder.display()
        ),
    }
}
