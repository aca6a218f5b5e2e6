//! The loss curves of a training run, for reports.

use anyhow::{Context, Result};
use gmai_eval::{Curve, CurvePoint};
use std::path::Path;

/// One curve for each stage of the run in `folder`, in the order of the stages.
pub fn read(folder: &Path) -> Result<Vec<Curve>> {
    let path = folder.join("events.jsonl");
    let events = gmai_train::events::read(&path).with_context(|| format!("{}: not a run folder", folder.display()))?;
    let stages = events.chunk_by(|left, right| left.stage_index == right.stage_index);
    let curve = |events: &[gmai_train::StepEvent]| Curve {
        name: "loss".to_string(),
        stage: events[0].stage.clone(), // A chunk has at least one event.
        points: events.iter().map(|event| CurvePoint { step: event.step as u64, value: event.loss }).collect(),
    };
    Ok(stages.map(curve).collect())
}
