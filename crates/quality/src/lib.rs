//! A finished dataset, looked at: what it holds, what is wrong with it, whether people find it good, and what its licences allow.
//!
//! ```text
//! stats.rs         the distributions of the GMAI-VL paper; stats_page.rs and figure.rs draw them
//! pictures.rs      every picture with its fingerprint.rs and flags.rs; near.rs finds copies among many
//! audit.rs         copies, leaks, contradictions, balance; benchmark.rs, what must not be in training data
//! audit_page.rs    the findings with pictures
//! review.rs        samples for people or models to score, and the verdict; review_page.rs
//! licence.rs       what licences allow, and policies
//! html.rs          what the pages share
//! ```
//! Nothing here changes a dataset.

mod audit;
pub mod audit_page;
mod benchmark;
mod error;
mod figure;
mod fingerprint;
mod flags;
mod html;
pub mod licence;
mod near;
pub mod pictures;
pub mod review;
mod review_page;
pub mod stats;
mod stats_page;

pub use audit::{Audit, Balance, BenchmarkHit, Copies, Place, audit};
pub use benchmark::Benchmark;
pub use error::Error;
pub use fingerprint::{Fingerprint, Pose};
pub use flags::{Flag, Shows, flags};
pub use near::{Index, Pair, Relation};
pub use review_page::review_html;
pub use stats::{Stats, TokenCounter, stats};
pub use stats_page::{samples, stats_html};

/// What functions of this crate return.
pub type Result<T> = std::result::Result<T, Error>;
