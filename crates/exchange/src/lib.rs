//! Dataset folders to the formats that others read, and back.
//!
//! ```text
//! export.rs, import.rs   one dataset to a format; a format to one dataset folder
//! format/<name>.rs       one format each: a sink of rows and a reader
//! incoming.rs            rows as a format gives them; receiver.rs checks them and writes the sound ones
//! facts.rs               what an import must be told, since other formats do not say it
//! side.rs                the side field `gmai` with all that a row knows beyond text and pictures
//! companion.rs           gmai_export.json: what the dataset was; an untouched export comes back as the very same dataset
//! items.rs, item_file.rs JSON objects one by one, read and written
//! picture.rs, paths.rs, zips.rs, staging.rs, digest.rs
//! ```
//! Rows stream: memory holds one row, and 8 bytes per picture where an archive must not hold one twice. An export appears whole or not
//! at all; an import has its manifest last. Defective rows are quarantined by file, row and reason.

mod companion;
mod digest;
mod error;
mod export;
mod facts;
mod format;
mod import;
mod incoming;
mod item_file;
mod items;
mod paths;
mod picture;
mod receiver;
mod side;
mod staging;
mod zips;

pub use error::Error;
pub use export::{ExportOptions, ExportSummary, Pictures, export};
pub use facts::{FactsFile, GivenFacts};
pub use format::Format;
pub use import::{ImportOptions, ImportSummary, Markers, Ratios, exported_manifest, import};

/// What functions of this crate return.
pub type Result<T> = std::result::Result<T, Error>;
