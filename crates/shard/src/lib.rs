//! The training format on disk: a dataset folder of Parquet shards with a manifest.
//!
//! ```text
//! manifest.json          written last: without it the folder is unfinished and no reader opens it    manifest.rs
//! train-00000.parquet    rows of one split, about 100 to a row group                                  columns.rs
//! validation-00000.parquet, test-00000.parquet
//! card.md                what the data are, for people
//! quarantine.jsonl       what was left out because it is defective, one JSON object a line            quarantine.rs
//! ```
//! [`Writer`] makes such a folder and [`Reader`] reads it. Hugging Face `datasets` reads the shards as they are: column `images` is a
//! list of its `Image` feature, `conversations` a list of `{from, value}`.

mod columns;
mod error;
mod finished;
mod hashing;
mod manifest;
mod metadata;
mod picture;
mod quarantine;
mod reader;
mod writer;

pub use error::Error;
pub use manifest::{
    Agreement, Authored, Counts, Deidentified, Manifest, OriginalTask, SCHEMA_VERSION, ShardFile, SourceSummary, Tally,
};
pub use metadata::{bare_jpeg, bare_png};
pub use picture::{EncodedImage, encode_png, grey_plane};
pub use quarantine::Quarantined;
pub use reader::{Reader, Sample, Samples};
pub use writer::{Writer, WriterOptions, WriterSummary};

/// What functions of this crate return.
pub type Result<T> = std::result::Result<T, Error>;
