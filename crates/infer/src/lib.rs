//! Inference: one worker that owns the model and answers requests.
//!
//! ```text
//! engine.rs     a checkpoint folder, loaded; implements Responder
//! generate.rs   prefill, then one token after another
//! likelihood.rs how probable given replies are
//! sampling.rs   choosing the next token
//! ```

#![recursion_limit = "256"]

pub mod engine;
mod error;
mod generate;
mod likelihood;
pub mod sampling;

pub use engine::Engine;
pub use error::{Error, Result};
