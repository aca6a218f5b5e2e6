//! Inference: one worker that owns the model and answers requests.
//!
//! ```text
//! engine.rs      a checkpoint folder, loaded; implements Responder
//! defaults.rs    how the checkpoint wants to be asked: generation_config.json
//! prompt.rs      prompts as the model has read them; what further questions about the same pictures share
//! bounded.rs     the store for that
//! generate.rs    one token after another
//! sampling.rs    choosing the next token
//! penalties.rs   what was there before becomes less likely
//! truncation.rs  which tokens stay in the draw
//! stop.rs        stop texts
//! likelihood.rs  how probable given replies are
//! ```
//!
//! What an answer is never depends on what was asked before or beside it: each request has its own random numbers, and what is kept
//! between requests is what would be computed again.

#![recursion_limit = "256"]

mod bounded;
mod defaults;
pub mod engine;
mod error;
mod generate;
mod likelihood;
pub mod penalties;
mod prompt;
pub mod sampling;
pub mod stop;
pub mod truncation;

pub use defaults::Defaults;
pub use engine::{Engine, WorkDone};
pub use error::{Error, Result};
