//! The network: vision encoder, two-layer projector, decoder. GMAI-VL (CLIP and InternLM2; paper, section 4.1) and every LLaVA of
//! the same plan (CLIP or SigLIP; Llama, Mistral or Qwen2).
//!
//! ```text
//! config/         config.json with transformers' defaults, checked
//! layers.rs       linear, norms, activations, attention: what the parts share
//! rope.rs         rotary positions and their scaling
//! vision.rs       pixels -> patch features              vision_tower.*
//! projector.rs    patch features -> image tokens        multi_modal_projector.*
//! decoder.rs      token embeddings -> logits            language_model.*
//! internlm2.rs    InternLM2's block                     llama.rs        Llama's, Mistral's and Qwen2's
//! gmai_vl.rs      the three put together
//! contrastive.rs  image-text contrastive head for vision pretraining (SigLIP form)
//! parameter.rs    walking over parameters by checkpoint name
//! fused/          hand-written CPU kernels with gradients: attention within samples
//! host/           answering on the CPU: whole blocks on slices          cached.rs  passes with a key-value cache
//! kv_cache.rs     keys and values of earlier tokens
//! checkpoint.rs   a folder -> a network and back        layout.rs       how libraries name the same parameter
//! weights.rs      named tensors -> parameters           tensor_file.rs  one safetensors file
//! identity.rs     a name for exactly these weights                      device.rs        where tensors live
//! ```
//!
//! A module's fields have the names of the published checkpoint, so a parameter's path is its checkpoint key.

#![recursion_limit = "256"]

mod cached;
pub mod checkpoint;
pub mod config;
pub mod contrastive;
pub mod decoder;
pub mod device;
mod error;
pub mod fused;
pub mod gmai_vl;
mod host;
mod identity;
pub mod initialise;
pub mod internlm2;
pub mod kv_cache;
pub mod layers;
pub mod layout;
pub mod llama;
pub mod parameter;
pub mod projector;
pub mod rope;
mod tensor_file;
pub mod vision;
pub mod weights;

pub use config::{Config, TextConfig, VisionConfig, Written};
pub use error::{Error, Result};
pub use gmai_vl::GmaiVl;
pub use kv_cache::KvCache;
pub use parameter::{ParameterMut, Parameters};
