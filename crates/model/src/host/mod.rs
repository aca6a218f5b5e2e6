//! Answering on the CPU: the blocks as passes over slices, in place, with nothing recorded.
//!
//! ```text
//! view.rs       a parameter's values without a copy
//! linear.rs     rows by a weight matrix: many rows as a matrix product, few rows as dot products
//! rows.rs       norms and activations of rows
//! attention.rs  queries over the keys and values of a sequence
//! decoder.rs    a decoder block over rows of several sequences      vision.rs  a vision block over pictures
//! ```
//! burn composes a block of some thirty operations, each with a fresh result, most of them on one thread. Here a residual sum is written
//! where it stands, projections of one input are one pass, and what a token needs is read once: the weights.
//!
//! The numbers of a row do not depend on the rows beside it: a sequence answers the same alone and together with others, bit for bit.
//! Rows of one token each are always dot products; only a sequence's own length decides how it is read.
//!
//! Shapes: N rows, D width, I and O a matrix's inputs and outputs, H heads, K key-value heads, C head width, S tokens so far.

mod attention;
mod decoder;
mod linear;
mod rows;
mod view;
mod vision;

pub(crate) use attention::Segment;
pub(crate) use decoder::{HostBlock, HostDecoder, Room, SequenceRows};
pub(crate) use linear::{FEW_ROWS, HostLinear, Onto, product};
pub(crate) use rows::{HostNorm, activate};
pub(crate) use view::{View, tensor};
pub(crate) use vision::{HostVisionBlock, VisionShape, run_vision};
