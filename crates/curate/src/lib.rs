//! Datasets to records to conversations to shards: `gmai curate`.
//!
//! ```text
//! config.rs          the TOML file; kind/, its part per kind of folder; pattern.rs, file names with placeholders
//! check.rs           what a config must fulfil beyond its grammar
//! inputs.rs          the files of a source and their hashes; sheet.rs and table.rs, tables whatever they are written in
//! source/<kind>.rs   one reader per kind of dataset: files and annotations to items
//! load.rs            one item to records with pictures; slices.rs, labels.rs, regions.rs and agreement.rs are its steps
//! picture.rs         what is stored of a picture
//! similarity.rs      which pictures are the same; split.rs, which records stay together and on which side
//! instruct/          records to conversations
//! author/            records to conversations by a language model; verify/, is what it wrote true to the annotation
//! deidentify.rs      what of a record may tell who somebody is
//! run.rs             all of it in order: reading.rs, then writing.rs; ledger.rs accounts for every input; card.rs writes the data card
//! journal.rs         what was read, on disk: for the second half, and for the run after a killed one; ordered.rs, sorted.rs
//! inventory/         what lies in a folder, before any config is written
//! ```
//! Every input ends as pairs, as a counted skip or as a quarantine line, and [`run`] fails when the sums do not add up.
//! Nothing depends on directory order, on the number of workers, on the clock or on the network.

pub mod author;
pub mod config;
pub mod deidentify;
pub mod instruct;
pub mod inventory;
pub mod kind;
pub mod pattern;
pub mod verify;

mod agreement;
mod card;
mod check;
mod error;
mod inputs;
mod journal;
mod labels;
mod ledger;
mod load;
mod ordered;
mod picture;
mod reading;
mod regions;
mod run;
mod sheet;
mod similarity;
mod slices;
mod sorted;
mod source;
mod split;
mod table;
mod writing;

pub use config::Config;
pub use error::Error;
pub use run::{Job, Outcome, Resumed, SourceRecords, Summary, estimate, records, run, run_with_author};

/// What functions of this crate return.
pub type Result<T> = std::result::Result<T, Error>;
