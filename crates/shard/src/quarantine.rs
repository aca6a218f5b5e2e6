//! What was left out of a dataset because it is defective.

use serde::{Deserialize, Serialize};

/// One defective input: a line of `quarantine.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quarantined {
    /// Name of the source in the config.
    pub source: String,
    /// The defective file, relative to the source's folder.
    pub file: String,
    /// What in the file is defective, e.g. `object 3, bndbox`; `file` when it is the whole.
    pub field: String,
    /// What is wrong with it.
    pub reason: String,
    /// What a person can do about it.
    pub remedy: String,
}
