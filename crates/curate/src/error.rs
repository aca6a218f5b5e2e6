//! Why a dataset cannot be made. Defects of single inputs are not errors: they are counted or quarantined and the rest goes on.

use std::path::PathBuf;

/// Why a curate run stops.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    #[error("{path}: {source}; check that the path exists, may be used, and that the disk has room")]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The config is not valid TOML, or has an unknown key or a wrong value; the message holds line and key.
    #[error("{path}: {reason}\ndocs/curate.md lists all keys")]
    Config {
        /// The config file.
        path: PathBuf,
        /// What the parser said, with the line.
        reason: String,
    },
    /// A key of the config has a value that cannot be used.
    #[error("{path}: {key}: {reason}")]
    ConfigValue {
        /// The config file.
        path: PathBuf,
        /// The key, with the source's name.
        key: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A file that the config names does not exist or cannot be understood as a whole.
    #[error("{path}: {field}: {reason}")]
    Annotation {
        /// The annotation file.
        path: PathBuf,
        /// Where in the file.
        field: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The dataset folder cannot be written or read.
    #[error(transparent)]
    Shard(#[from] gmai_shard::Error),
    /// A prompt template cannot be used.
    #[error("template {name}: {reason}; docs/author.md tells what templates are given")]
    Template {
        /// Name of the template, or its file.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// A page cannot be written: a defect of gmai.
    #[error("the page cannot be written: {reason}; this is a defect of gmai, please report it")]
    Page {
        /// What the template engine said.
        reason: String,
    },
    /// The model that writes texts failed for good.
    #[error(
        "texts by a language model: {reason}\nnothing that was answered is lost: the same command goes on from there"
    )]
    Author {
        /// What the model's side said.
        reason: String,
    },
    /// The folder holds a dataset made from something else.
    #[error(
        "{folder}: holds a finished dataset made from {difference}; choose another --out, or delete this folder to make it anew"
    )]
    OtherDataset {
        /// The dataset folder.
        folder: PathBuf,
        /// What differs.
        difference: &'static str,
    },
    /// Another process makes a dataset in the folder.
    #[error("{folder}: another run of gmai is using it; wait for its end, or choose another --out")]
    Busy {
        /// The folder of its unfinished work.
        folder: PathBuf,
    },
    /// A file that the run itself keeps is not what it wrote.
    #[error("{path}: {reason}; delete it and run the command again")]
    Work {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The run would have produced no row.
    #[error(
        "{path}: no input gave a pair; {num_quarantined} inputs were quarantined, {num_skipped} skipped: see {quarantine}"
    )]
    Nothing {
        /// The config file.
        path: PathBuf,
        /// Defective inputs.
        num_quarantined: u64,
        /// Inputs left out by a rule.
        num_skipped: u64,
        /// The file that names the defective ones.
        quarantine: PathBuf,
    },
    /// A defect of gmai: an input was lost on the way.
    #[error(
        "source {name}: {what} do not add up ({tally}); this is a defect of gmai, please report it with the config"
    )]
    DoesNotAddUp {
        /// Name of the source.
        name: String,
        /// `images` or `annotations`.
        what: &'static str,
        /// The counts.
        tally: String,
    },
}

impl Error {
    /// Wraps an error of the operating system with the path it is about.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.into();
        move |source| Error::Io { path, source }
    }
}
