//! One checkpoint, other layouts: for transformers, vLLM and SGLang (Hugging Face LLaVA), for llama.cpp (GGUF), and back.
//!
//! ```text
//! checkpoint.rs   a model folder: config.json and its tensors, mapped, under one set of names
//! shapes.rs       the sizes of the network as config.json has them; which tensors there must be
//! gather.rs       a tensor made of rows of stored tensors: all that renaming, packing and unpacking need
//! packing.rs      InternLM2's wqkv <-> Llama's q, k, v
//! hugging_face.rs folders for transformers: config, weights, tokenizer, processor
//! template.rs     chat templates that also take lists of text and images
//! gguf/           files for llama.cpp: language model and mmproj
//! ```
//!
//! Works on names, bytes and JSON; no network is built. One tensor is held at a time.

pub mod checkpoint;
mod error;
pub mod gather;
pub mod gguf;
pub mod hugging_face;
pub mod packing;
pub mod shapes;
pub mod template;

pub use checkpoint::Checkpoint;
pub use error::{Error, Result};
pub use gguf::{Outtype, to_gguf};
pub use hugging_face::{Layout, to_hugging_face};

use serde::Serialize;
use std::path::PathBuf;

/// What a conversion wrote.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Converted {
    /// The files, in the order they were written.
    pub files: Vec<PathBuf>,
    /// Tensors in them.
    pub num_tensors: usize,
    /// What a user should know: files that were missing, what the other program does not do.
    pub notes: Vec<String>,
}
