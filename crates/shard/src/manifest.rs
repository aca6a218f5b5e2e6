//! `manifest.json`: what a dataset folder holds and what made it.

use crate::{Error, Result};
use gmai_schema::{Conversation, SourceFacts, Split};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Version of the shard columns and of this manifest. A reader refuses any other.
pub const SCHEMA_VERSION: u32 = 1;

/// Name of the manifest in a dataset folder.
pub(crate) const MANIFEST_FILE: &str = "manifest.json";

/// What a dataset folder holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`SCHEMA_VERSION`] of the program that wrote the folder.
    pub schema_version: u32,
    /// Name of the dataset.
    pub name: String,
    /// Program and version that made the dataset, e.g. `gmai 0.1.0`.
    pub program: String,
    /// SHA-256 of the configuration that made it.
    pub config_sha256: String,
    /// SHA-256 over the relative paths and contents of all files in the sources' folders.
    pub inputs_sha256: String,
    /// Seed of the split and of the text.
    pub seed: u64,
    /// How many rows there are, by what.
    pub counts: Counts,
    /// The sources, in the order of the configuration.
    pub sources: Vec<SourceSummary>,
    /// The shards, by split and number.
    pub shards: Vec<ShardFile>,
    /// Lines of `quarantine.jsonl`.
    pub num_quarantined: u64,
    /// SHA-256 of `quarantine.jsonl`.
    pub quarantine_sha256: String,
}

/// One shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardFile {
    /// File name in the dataset folder.
    pub file: String,
    /// The split that all of its rows belong to.
    pub split: Split,
    /// Number of rows.
    pub rows: u64,
    /// Size of the file.
    pub bytes: u64,
    /// SHA-256 of the file in hex.
    pub sha256: String,
}

/// Rows of a dataset, counted along several lines; each adds up to the number of rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// By split.
    pub split: BTreeMap<String, u64>,
    /// By form.
    pub form: BTreeMap<String, u64>,
    /// By language.
    pub language: BTreeMap<String, u64>,
    /// By source.
    pub source: BTreeMap<String, u64>,
    /// By task.
    pub task: BTreeMap<String, u64>,
    /// By modality; `unknown` where the source does not say.
    pub modality: BTreeMap<String, u64>,
}

impl Counts {
    /// Counts one row.
    pub fn add(&mut self, conversation: &Conversation) {
        let modality = conversation.modality.map_or("unknown", |modality| modality.key());
        for (map, key) in [
            (&mut self.split, conversation.split.key()),
            (&mut self.form, conversation.form.key()),
            (&mut self.language, conversation.language.key()),
            (&mut self.source, conversation.source.as_str()),
            (&mut self.task, conversation.task.key()),
            (&mut self.modality, modality),
        ] {
            *map.entry(key.to_string()).or_default() += 1;
        }
    }
}

/// What became of the inputs of one kind: `given == used + skipped + quarantined`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// Inputs that were found.
    pub given: u64,
    /// Inputs that are in the dataset.
    pub used: u64,
    /// Sound inputs that were left out by a rule, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// Defective inputs, each with a line in `quarantine.jsonl`.
    pub quarantined: u64,
}

impl Tally {
    /// Whether every input is accounted for.
    pub fn adds_up(&self) -> bool {
        self.given == self.used + self.num_skipped() + self.quarantined
    }

    /// Inputs left out by a rule.
    pub fn num_skipped(&self) -> u64 {
        self.skipped.values().sum()
    }
}

/// What became of the texts that a language model was asked for: `asked == passed + quarantined + unanswered`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authored {
    /// Texts that were wanted.
    pub asked: u64,
    /// Texts that passed every check and are in the dataset; a reply of several questions counts once.
    pub passed: u64,
    /// Of these, the ones that passed in the first attempt.
    pub passed_at_once: u64,
    /// Texts that failed in every attempt, each with a line in `quarantine.jsonl`.
    pub quarantined: u64,
    /// Texts that the model refused to write, each with a line in `quarantine.jsonl`.
    pub unanswered: u64,
    /// How many replies broke which rule, all attempts together.
    pub broken_rules: BTreeMap<String, u64>,
}

impl Authored {
    /// Whether every text is accounted for.
    pub fn adds_up(&self) -> bool {
        self.asked == self.passed + self.quarantined + self.unanswered && self.passed_at_once <= self.passed
    }
}

/// How far observers agree who drew the same thing on one picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    /// Pairs of masks that were compared.
    pub pairs: u64,
    /// Mean of their Dice coefficients.
    pub mean_dice: f64,
    /// The smallest of them.
    pub least_dice: f64,
    /// Pairs below the least that the config allows: their pictures are quarantined.
    pub num_below: u64,
}

/// What was looked at and taken out because it may tell who somebody is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deidentified {
    /// Texts that were searched; a report's sections count by themselves.
    pub texts: u64,
    /// Identifiers that were replaced in them, by kind.
    pub identifiers: BTreeMap<String, u64>,
    /// Pictures that were searched for burned-in text.
    pub pictures: u64,
    /// Of these, the ones that were quarantined because something looks written.
    pub pictures_with_text: u64,
    /// Records whose file names were replaced.
    pub names: u64,
}

impl Deidentified {
    /// Adds the account of a part.
    pub fn absorb(&mut self, part: Deidentified) {
        self.texts += part.texts;
        self.pictures += part.pictures;
        self.pictures_with_text += part.pictures_with_text;
        self.names += part.names;
        for (kind, count) in part.identifiers {
            *self.identifiers.entry(kind).or_default() += count;
        }
    }
}

/// What one source gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSummary {
    /// What holds for all of its images, with the answer space of its questions.
    pub facts: SourceFacts,
    /// Kind of the source in the config, e.g. `class_folders`.
    pub kind: String,
    /// Images, slices of volumes, and texts without image.
    pub images: Tally,
    /// Annotation entries: table rows, boxes, masks, questions. 0 where the folder name is the annotation.
    pub annotations: Tally,
    /// How far its observers agree, where several drew the same thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement: Option<Agreement>,
    /// Rows of the dataset made from it.
    pub pairs: u64,
    /// Texts by a language model; absent when none was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authored: Option<Authored>,
    /// What was searched for identifiers; absent when nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deidentified: Option<Deidentified>,
}

/// What the annotations of a source were made for (the paper's original tasks, 1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OriginalTask {
    /// A class, a grade or a measurement of the whole image.
    Classification,
    /// Boxes and points.
    Detection,
    /// Masks, label maps and contours.
    Segmentation,
    /// Reports in running text.
    Report,
    /// Questions with answers, and conversations.
    QuestionAnswering,
}

impl SourceSummary {
    /// What the annotations were made for, by the kind under which `gmai curate` read them; `None` for kinds of other programs.
    pub fn original_task(&self) -> Option<OriginalTask> {
        match self.kind.as_str() {
            "class_folders" | "csv_labels" => Some(OriginalTask::Classification),
            "voc" | "coco" | "yolo" | "kitti" | "labelme" | "csv_boxes" | "points" => Some(OriginalTask::Detection),
            "instance_masks" | "mask_beside" | "observer_masks" | "nifti_label_map" => Some(OriginalTask::Segmentation),
            "dicom_series" if self.facts.region_terms.is_empty() => Some(OriginalTask::Classification),
            "dicom_series" => Some(OriginalTask::Segmentation),
            "qa_json" | "conversations" => Some(OriginalTask::QuestionAnswering),
            "text_report" | "report_table" | "fhir" | "hl7v2" | "ccda" | "bioc" => Some(OriginalTask::Report),
            _ => None,
        }
    }
}

impl Manifest {
    /// Reads and checks the manifest of a dataset folder.
    pub(crate) fn read(folder: &Path) -> Result<Manifest> {
        let path = folder.join(MANIFEST_FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::Unfinished { folder: folder.to_path_buf() });
            }
            Err(error) => return Err(Error::io(path)(error)),
        };
        let refuse = |reason: String| Error::BadManifest { path: path.clone(), reason };
        // The version is looked at first: an unknown version may have other fields.
        let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| refuse(error.to_string()))?;
        let version = value.get("schema_version").and_then(serde_json::Value::as_u64);
        if version != Some(u64::from(SCHEMA_VERSION)) {
            let found = version.map_or("missing".to_string(), |version| version.to_string());
            return Err(refuse(format!("schema_version is {found}, this program reads {SCHEMA_VERSION}")));
        }
        let manifest: Manifest = serde_json::from_value(value).map_err(|error| refuse(error.to_string()))?;
        for shard in &manifest.shards {
            let is_plain = Path::new(&shard.file).file_name().is_some_and(|name| name == shard.file.as_str());
            if !is_plain {
                return Err(refuse(format!("shards: `{}` is not a plain file name", shard.file)));
            }
        }
        Ok(manifest)
    }

    /// Rows of one split.
    pub fn num_rows(&self, split: Split) -> u64 {
        self.shards.iter().filter(|shard| shard.split == split).map(|shard| shard.rows).sum()
    }
}
