//! The GMAI-VL network: CLIP vision encoder, two-layer projector, InternLM2 language model (paper, section 4.1).
//!
//! ```text
//! config.rs       the checkpoint's config.json
//! layers.rs       linear, norms, rotary positions, attention: what the parts share
//! clip_vit.rs     pixels -> patch features           vision_tower.*
//! projector.rs    patch features -> image tokens      multi_modal_projector.*
//! internlm2.rs    token embeddings -> hidden states   language_model.*
//! gmai_vl.rs      the three put together
//! contrastive.rs  image-text contrastive head for vision pretraining (SigLIP form)
//! parameter.rs    walking over parameters by checkpoint name
//! fused/          hand-written CPU kernels: attention within samples
//! kv_cache.rs     keys and values of earlier tokens
//! weights.rs      safetensors in and out
//! device.rs       where tensors live
//! ```
//!
//! A module's fields have the names of the published checkpoint, so a parameter's path is its checkpoint key.

#![recursion_limit = "256"]

pub mod clip_vit;
pub mod config;
pub mod contrastive;
pub mod device;
mod error;
pub mod fused;
pub mod gmai_vl;
pub mod initialise;
pub mod internlm2;
pub mod kv_cache;
pub mod layers;
pub mod parameter;
pub mod projector;
pub mod weights;

pub use config::{Config, TextConfig, VisionConfig};
pub use error::{Error, Result};
pub use gmai_vl::GmaiVl;
pub use kv_cache::KvCache;
pub use parameter::{ParameterMut, Parameters};
