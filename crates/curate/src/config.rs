//! The file that `gmai curate` reads: which sources there are and what holds for them. docs/curate.md explains every key.

use crate::kind::Kind;
use crate::pattern::Pattern;
use crate::{Error, Result, author, instruct};
use gmai_schema::{BodyPart, Department, Modality, Task, Term};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A curate config as written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What holds for the dataset as a whole.
    pub dataset: Dataset,
    /// How texts are written.
    #[serde(default)]
    pub instruct: instruct::Options,
    /// Texts by a language model, beside those of templates.
    #[serde(default)]
    pub author: Option<author::Options>,
    /// The sources, in the order in which their rows are written.
    #[serde(rename = "source")]
    pub sources: Vec<Source>,
    /// Folders that were looked at and are not used, with the reason; the card lists them.
    #[serde(default)]
    pub refused: Vec<Refused>,
}

/// `[[refused]]`: a folder that is not used.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// Name of the data.
    pub name: String,
    /// Where they lie; only for people.
    pub root: String,
    /// Why they are not used.
    pub reason: String,
}

/// `[dataset]`: what holds for the dataset as a whole.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dataset {
    /// Name of the dataset.
    pub name: String,
    /// Seed of the split and of the patients' pseudonyms.
    pub seed: u64,
    /// Shares of the patients in each split.
    #[serde(default)]
    pub split: SplitShares,
    /// Longer side of stored pictures in pixels; larger ones are made smaller.
    #[serde(default = "default_max_side")]
    pub max_side: u32,
    /// What is taken out because it may tell who somebody is.
    #[serde(default)]
    pub deidentify: crate::deidentify::Deidentify,
}

/// The default longer side: three times what a 336-pixel encoder sees, so that crops keep detail, and common camera and X-ray
/// pictures stay the compressed files they are.
fn default_max_side() -> u32 {
    1024
}

/// Shares of the patients in each split; they must add up to 1.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitShares {
    /// For fitting parameters.
    pub train: f64,
    /// For choosing settings.
    pub validation: f64,
    /// For reporting.
    pub test: f64,
}

impl Default for SplitShares {
    fn default() -> SplitShares {
        SplitShares { train: 0.8, validation: 0.05, test: 0.15 }
    }
}

/// `[[source]]`: one folder of data.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Name of the source, unique in the file.
    pub name: String,
    /// Folder that all paths are relative to; relative to the config file itself. May contain `${NAME}`.
    pub root: String,
    /// Licence of the data.
    pub licence: String,
    /// Clinical department of all images; exactly one of `department` and `department_by`.
    pub department: Option<Department>,
    /// Clinical department by a field's value.
    pub department_by: Option<By<Department>>,
    /// How all images were acquired. Without it and `modality_by`, a DICOM header may say so; otherwise nothing is said about it.
    pub modality: Option<Modality>,
    /// How images were acquired, by a field's value.
    pub modality_by: Option<By<Modality>>,
    /// What part of the body all images show.
    pub body_part: Option<BodyPart>,
    /// What part of the body images show, by a field's value. An empty value says nothing.
    pub body_part_by: Option<By<BodyPart>>,
    /// Field with the patient's identifier. It is never written out, only a keyed hash of it.
    pub patient: Option<String>,
    /// Field with a report, taken over verbatim but for dates.
    pub report: Option<String>,
    /// How the folder is read.
    pub kind: Kind,
    /// Tables whose rows are joined to images.
    #[serde(default, rename = "table")]
    pub tables: Vec<Table>,
    /// What is known of each image as a whole.
    #[serde(default, rename = "attribute")]
    pub attributes: Vec<AttributeRule>,
    /// What boxes and masks mark.
    pub regions: Option<Regions>,
    /// Names of measurements, sites and findings as the data have them, and what they are called. Others keep their own name in
    /// English and are not spoken of in Chinese.
    #[serde(default, rename = "measurement")]
    pub measurements: Vec<ValueRule>,
}

/// A property that depends on the value of a field.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct By<T> {
    /// Field that decides.
    pub from: String,
    /// Property for each value. Any other value must be a word of the vocabulary, in English or Chinese; what is neither
    /// quarantines the image.
    #[serde(default = "BTreeMap::new")]
    pub values: BTreeMap<String, T>,
}

/// `[[source.table]]`: a table (CSV, TSV, JSON, JSON lines, by its ending) with one row per image, or per patient.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The file.
    pub file: String,
    /// Column that names the image or patient.
    pub key: String,
    /// What the key equals, made of the image's fields, e.g. `{stem}` or `{patient}`.
    pub matches: Pattern,
    /// Character between columns; a tab for `.tsv` and `.tab` files, else a comma.
    pub delimiter: Option<char>,
}

/// A raw value and what it means.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValueRule {
    /// What the data say, e.g. `AbdomenCT` or `1.0`.
    pub is: String,
    /// English name as used in the middle of a sentence.
    pub en: String,
    /// Chinese name; without it nothing about the value is said in Chinese.
    pub zh: Option<String>,
}

impl ValueRule {
    /// The name in both languages.
    pub fn term(&self) -> Term {
        Term { en: self.en.clone(), zh: self.zh.clone() }
    }
}

/// `[[source.attribute]]`: something known of each image as a whole.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttributeRule {
    /// Key in records and shards, e.g. `diagnosis`.
    pub key: String,
    /// What it is called in a sentence.
    pub name: Term,
    /// What questions about it examine.
    pub task: Task,
    /// Field that it is read from; exactly one of `from` and `flags`.
    #[serde(default)]
    pub from: String,
    /// Reads it from one field per value: `is` names the field.
    pub flags: Option<Flags>,
    /// Text between several values; makes the attribute multi-label.
    pub separator: Option<String>,
    /// Whether the values are steps of a scale, the lowest first: severity grades.
    #[serde(default)]
    pub ordinal: bool,
    /// Every value. Several raw values may have the same names.
    pub values: Vec<ValueRule>,
    /// Raw values that say nothing. An empty field always says nothing.
    #[serde(default)]
    pub unknown: Vec<String>,
}

/// `flags` of an attribute: each value has a field of its own, as in tables with a column per class.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flags {
    /// What a field says when its value holds.
    #[serde(default = "ones")]
    pub present: Vec<String>,
    /// What a field says when its value does not hold. Of a value whose field is empty or `unknown` nothing is said.
    #[serde(default = "zeros")]
    pub absent: Vec<String>,
    /// Whether exactly one value holds in each image; an image with none or several is then defective.
    #[serde(default)]
    pub single: bool,
}

fn ones() -> Vec<String> {
    ["1", "1.0", "true", "True", "TRUE"].map(str::to_string).to_vec()
}

fn zeros() -> Vec<String> {
    ["0", "0.0", "false", "False", "FALSE"].map(str::to_string).to_vec()
}

/// `[source.regions]`: what boxes and masks mark.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Regions {
    /// What questions about regions examine.
    pub task: Task,
    /// Whether every instance in an image is marked, so that counts and absence may be stated.
    pub exhaustive: bool,
    /// Every name. Kinds with masks of a single meaning use the only entry.
    pub terms: Vec<ValueRule>,
    /// Raw names that are left out, as counted skips.
    #[serde(default)]
    pub unknown: Vec<String>,
    /// Share of the image below which a mask is left out.
    #[serde(default = "default_min_mask_share")]
    pub min_mask_share: f64,
}

/// SA-Med2D-20M's rule: 100 pixels of a 256 x 256 picture.
fn default_min_mask_share() -> f64 {
    100.0 / (256.0 * 256.0)
}

impl Config {
    /// Reads a config. `variables` are what `${NAME}` in a `root` stands for.
    ///
    /// Afterwards every `root` is a path that can be opened from the working folder.
    pub fn load(path: &Path, variables: &BTreeMap<String, String>) -> Result<Config> {
        let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
        Config::parse(path, &text)?.resolved(path, variables)
    }

    /// Reads a config from text that came from `path`; roots stay as written.
    pub fn parse(path: &Path, text: &str) -> Result<Config> {
        let refuse = |error: toml::de::Error| Error::Config {
            path: path.to_path_buf(),
            reason: error.to_string().trim_end().to_string(),
        };
        toml::from_str(text).map_err(refuse)
    }

    /// Puts variables into every root and makes it relative to the folder of `path`.
    pub fn resolved(mut self, path: &Path, variables: &BTreeMap<String, String>) -> Result<Config> {
        let folder = path.parent().unwrap_or(Path::new(""));
        for source in &mut self.sources {
            let key = format!("source `{}`, root", source.name);
            source.root = resolved_path(path, &key, &source.root, folder, variables)?;
        }
        if let Some(file) = &mut self.dataset.deidentify.key {
            *file = resolved_path(path, "dataset.deidentify.key", file, folder, variables)?;
        }
        Ok(self)
    }
}

/// Puts variables into a path of the config and makes it relative to the config's folder.
fn resolved_path(
    path: &Path,
    key: &str,
    written: &str,
    folder: &Path,
    variables: &BTreeMap<String, String>,
) -> Result<String> {
    let refuse = |reason: String| Error::ConfigValue { path: path.to_path_buf(), key: key.to_string(), reason };
    let mut resolved = String::new();
    let mut rest = written;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').ok_or_else(|| refuse("`${` is not closed by `}`".to_string()))?;
        let value = variables.get(name).ok_or_else(|| {
            refuse(format!("${{{name}}} has no value; set the environment variable {name} or write the folder out"))
        })?;
        resolved.push_str(before);
        resolved.push_str(value);
        rest = after;
    }
    resolved.push_str(rest);
    let full: PathBuf = folder.join(resolved); // An absolute root replaces the folder.
    full.to_str().map(str::to_string).ok_or_else(|| refuse("the path is not valid UTF-8".to_string()))
}
