//! Training: a list of stages over one loop.
//!
//! ```text
//! recipe.rs      the run as written          plan.rs        the run counted out, step by step
//! data.rs        the training split in memory   batch.rs    samples to packed rows
//! objective.rs   losses with gradients       walk.rs        forward and backward, segment by segment
//! gradients.rs   sums, norm, clipping        optimizer.rs   AdamW        schedule.rs   the rate
//! run.rs         stages, steps, checkpoints  checkpoint.rs  folders to resume from
//! text_feature.rs what pictures are held against         events.rs   the log
//! parity/        a checkpoint against the reference's numbers
//! ```

#![recursion_limit = "256"]

pub mod batch;
pub mod checkpoint;
pub mod data;
mod error;
pub mod events;
pub mod gradients;
pub mod objective;
pub mod optimizer;
pub mod parity;
pub mod plan;
pub mod recipe;
pub mod run;
pub mod schedule;
mod text_feature;
pub mod walk;

pub use error::{Error, Result};
pub use events::StepEvent;
pub use plan::StagePlan;
pub use recipe::{Objective, Part, Recipe, Stage};
pub use run::{Hooks, RunOptions, RunSummary, run};
