//! Hand-written CPU kernels for what dominates a step beside matrix products, each with its backward pass.
//!
//! burn composes attention from some twenty element-wise passes over `[B, H, T, T]`, one thread each, across sample
//! borders. Here every sample is its own small problem, and samples are spread over the threads.

pub mod attention;
pub mod elementwise;
mod extension;
pub mod vector;

pub use attention::{AttentionLayout, HeadGroup, Rotary};
pub use extension::{is_available, packed_attention, quick_gelu, swiglu, takes};
