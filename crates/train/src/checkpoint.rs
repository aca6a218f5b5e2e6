//! Checkpoints: a Hugging Face folder (model, tokenizer, processor) with a `training/` folder to resume from.
//!
//! A checkpoint is written aside, flushed to disk and renamed, so a folder with its final name is always whole.

use crate::error::{Error, Result};
use crate::optimizer::AdamW;
use gmai_model::contrastive::ContrastiveHead;
use gmai_model::weights::{load_tensors, save_tensors};
use gmai_model::{GmaiVl, weights};
use gmai_processor::Processor;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Hash of plan and dataset: a checkpoint only continues the run it came from.
    pub run: String,
    /// Index of the stage in the plan.
    pub stage_index: usize,
    /// Name of the stage.
    pub stage: String,
    /// Steps of the stage that are done.
    pub step: usize,
    /// Whether the stage is finished.
    pub finished: bool,
    /// Steps the optimizer has taken.
    pub optimizer_steps: u32,
}

/// What a run is made of while it goes on.
pub struct TrainingState {
    /// The network.
    pub model: GmaiVl,
    /// Text and picture encoding that belongs to it.
    pub processor: Processor,
    /// Contrastive head, in stages that use one.
    pub head: Option<ContrastiveHead>,
    /// Moments of the trained parameters.
    pub optimizer: AdamW,
}

/// Folder of the checkpoint at `position` below the run folder.
pub fn folder_name(position: &Position) -> String {
    let (number, stage) = (position.stage_index + 1, &position.stage);
    if position.finished {
        format!("{number:02}-{stage}")
    } else {
        format!("{number:02}-{stage}-step-{}", position.step)
    }
}

/// Writes a checkpoint below `folder`; returns its path.
pub fn write(folder: &Path, state: &TrainingState, position: &Position) -> Result<PathBuf> {
    let name = folder_name(position);
    let partial = folder.join(format!(".partial-{name}"));
    let target = folder.join(name);
    remove(&partial)?;
    let training = partial.join("training");
    fs::create_dir_all(&training).map_err(io(&training))?;
    state.model.save(&partial)?;
    state.processor.save(&partial)?;
    if !position.finished {
        save_tensors(&state.optimizer.to_tensors(), &training.join("optimizer.safetensors"))?;
        if let Some(head) = &state.head {
            weights::save(&mut head.clone(), &training.join("head.safetensors"))?;
        }
    }
    let text = serde_json::to_string_pretty(position).expect("a position is plain data");
    let path = training.join("position.json");
    fs::write(&path, text).map_err(io(&path))?;
    flush(&partial)?;
    remove(&target)?;
    fs::rename(&partial, &target).map_err(io(&target))?;
    flush_folder(folder)?;
    Ok(target)
}

/// The latest whole checkpoint below `folder`, if there is one.
pub fn latest(folder: &Path) -> Result<Option<(PathBuf, Position)>> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(None) };
    let mut best: Option<(PathBuf, Position)> = None;
    for entry in entries {
        let path = entry.map_err(io(folder))?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let file = path.join("training/position.json");
        if hidden || !file.exists() {
            continue;
        }
        let text = fs::read_to_string(&file).map_err(io(&file))?;
        let position: Position = serde_json::from_str(&text)
            .map_err(|error| Error::Checkpoint { path: file.clone(), reason: error.to_string() })?;
        let rank = |position: &Position| (position.stage_index, position.finished, position.step);
        if best.as_ref().is_none_or(|(_, other)| rank(&position) > rank(other)) {
            best = Some((path, position));
        }
    }
    Ok(best)
}

/// Loads what a run needs to go on from `folder`.
pub fn load(
    folder: &Path,
    position: &Position,
    new_head: impl FnOnce(&GmaiVl) -> ContrastiveHead,
) -> Result<TrainingState> {
    let device = gmai_model::device::default_device();
    let model = GmaiVl::from_folder(folder, &device)?;
    let processor = Processor::from_folder(folder, model.config.num_image_tokens())?;
    let training = folder.join("training");
    let mut state = TrainingState { model, processor, head: None, optimizer: AdamW::default() };
    if position.finished {
        return Ok(state);
    }
    let path = training.join("optimizer.safetensors");
    state.optimizer = AdamW::from_tensors(load_tensors(&path)?, position.optimizer_steps)
        .ok_or_else(|| Error::Checkpoint { path, reason: "optimizer moments are incomplete".into() })?;
    let path = training.join("head.safetensors");
    if path.exists() {
        let mut head = new_head(&state.model);
        weights::load(&mut head, &training, &[path], &device)?;
        state.head = Some(head);
    }
    Ok(state)
}

/// Deletes resumable checkpoints of unfinished stages but the newest `keep`; ends of stages stay.
pub fn prune(folder: &Path, stage_index: usize, stage: &str, keep: usize) -> Result<()> {
    let prefix = format!("{:02}-{stage}-step-", stage_index + 1);
    let mut steps: Vec<(usize, PathBuf)> = fs::read_dir(folder)
        .map_err(io(folder))?
        .filter_map(|entry| entry.ok())
        .filter_map(|entry| {
            let step = entry.file_name().to_string_lossy().strip_prefix(&prefix)?.parse().ok()?;
            Some((step, entry.path()))
        })
        .collect();
    steps.sort();
    steps.truncate(steps.len().saturating_sub(keep));
    steps.iter().try_for_each(|(_, path)| remove(path))
}

fn remove(path: &Path) -> Result<()> {
    if path.exists() { fs::remove_dir_all(path).map_err(io(path)) } else { Ok(()) }
}

/// Flushes every file below `folder` to disk.
fn flush(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(io(folder))? {
        let path = entry.map_err(io(folder))?.path();
        if path.is_dir() {
            flush(&path)?;
        } else {
            File::open(&path).and_then(|file| file.sync_all()).map_err(io(&path))?;
        }
    }
    flush_folder(folder)
}

fn flush_folder(folder: &Path) -> Result<()> {
    // Windows cannot open folders; there the rename alone has to do.
    if cfg!(unix) {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(io(folder))?;
    }
    Ok(())
}

/// Names the file in an I/O error.
pub(crate) fn io(path: &Path) -> impl Fn(std::io::Error) -> Error + '_ {
    move |source| Error::Io { path: path.to_owned(), source }
}
