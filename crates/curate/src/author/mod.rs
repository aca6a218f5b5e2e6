//! Texts by a language model, guided by the annotation and checked against it: `[author]` of a curate config.
//!
//! ```text
//! options.rs    what [author] says
//! plan.rs       which texts are asked for; estimate.rs, what that will take
//! facts.rs      a record as JSON for the prompt; prompt.rs, the templates
//! reply.rs      what came back, as text
//! write.rs      ask, check, ask again, keep or quarantine
//! ```
//! Any [`gmai_schema::Responder`] writes: this module knows of no network and of no weights. Texts by templates (`instruct/`) stand beside these.

mod estimate;
mod facts;
mod options;
mod plan;
mod prompt;
mod reply;
mod write;

pub use estimate::{Estimate, SourceEstimate};
pub use options::{Options, PerRecord};
pub(crate) use plan::plan;
pub(crate) use prompt::Templates;
pub(crate) use write::{Author, Subject};

pub(crate) use estimate::of_source as estimate_source;

#[cfg(test)]
mod tests;
