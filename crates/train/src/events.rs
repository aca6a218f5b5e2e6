//! The log of a run: `events.jsonl`, one line per step. It holds no time, so equal runs have equal logs.

use crate::checkpoint::{Position, io};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// One optimizer step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepEvent {
    /// Index of the stage.
    pub stage_index: usize,
    /// Name of the stage.
    pub stage: String,
    /// Steps done after this one.
    pub step: usize,
    /// Steps of the stage.
    pub num_steps: usize,
    /// Mean loss before the step.
    pub loss: f64,
    /// Peak rate times schedule.
    pub learning_rate: f64,
    /// Global gradient norm before clipping.
    pub gradient_norm: f64,
    /// Tokens without padding; pairs in contrastive stages.
    pub tokens: usize,
    /// Image tokens among them.
    pub image_tokens: usize,
    /// Padding tokens.
    pub padding: usize,
    /// Samples.
    pub samples: usize,
}

/// Appends events to the run's log.
pub struct EventLog {
    path: PathBuf,
    file: File,
}

impl EventLog {
    /// Opens the log of the run in `folder`, keeping only what happened before `position` (nothing without one).
    pub fn open(folder: &Path, position: Option<&Position>) -> Result<EventLog> {
        let path = folder.join("events.jsonl");
        let kept: Vec<StepEvent> = match position {
            Some(position) => read(&path)?
                .into_iter()
                .filter(|event| (event.stage_index, event.step) <= (position.stage_index, position.step))
                .collect(),
            None => Vec::new(),
        };
        let partial = folder.join(".events.jsonl.partial");
        let text: String = kept.iter().map(line).collect();
        fs::write(&partial, text).map_err(io(&partial))?;
        fs::rename(&partial, &path).map_err(io(&path))?;
        let file = OpenOptions::new().append(true).open(&path).map_err(io(&path))?;
        Ok(EventLog { path, file })
    }

    /// Appends one event.
    pub fn push(&mut self, event: &StepEvent) -> Result<()> {
        self.file.write_all(line(event).as_bytes()).map_err(io(&self.path))
    }
}

/// Reads a log; a torn last line (the process was killed while writing it) is dropped.
pub fn read(path: &Path) -> Result<Vec<StepEvent>> {
    let text = fs::read_to_string(path).map_err(io(path))?;
    let mut events = Vec::new();
    for (number, line) in text.split_inclusive('\n').enumerate() {
        match serde_json::from_str(line) {
            Ok(event) => events.push(event),
            Err(_) if !line.ends_with('\n') => break,
            Err(error) => {
                let reason = format!("line {}: {error}", number + 1);
                return Err(Error::Checkpoint { path: path.to_owned(), reason });
            }
        }
    }
    Ok(events)
}

fn line(event: &StepEvent) -> String {
    serde_json::to_string(event).expect("an event is plain data") + "\n"
}
