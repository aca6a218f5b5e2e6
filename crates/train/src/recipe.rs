//! A run as written in its file: model, tokenizer, and the list of stages.

use crate::error::{Error, Result};
use gmai_schema::Form;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A training run as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Name of the run.
    pub name: String,
    /// Seed of weights, order and phrasing.
    pub seed: u64,
    /// Longest row in tokens: samples are packed up to it (soft packing, paper 3.3).
    pub max_length: usize,
    /// What is trained.
    pub model: ModelSource,
    /// Optimizer settings shared by the stages.
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    /// When to write checkpoints.
    #[serde(default)]
    pub checkpoint: CheckpointConfig,
    /// The stages in order.
    #[serde(rename = "stage")]
    pub stages: Vec<Stage>,
}

/// Where the model comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelSource {
    /// A checkpoint folder with tokenizer and processor.
    StartFrom(PathBuf),
    /// Fresh weights of these sizes and a tokenizer trained on the dataset's text.
    Fresh(FreshModel),
}

/// Sizes of a model that starts from nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreshModel {
    /// Vision encoder sizes.
    pub vision: FreshVision,
    /// Language model sizes.
    pub language: FreshLanguage,
}

/// Vision encoder sizes; the keys are CLIP's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreshVision {
    /// Width of the hidden states.
    pub hidden_size: usize,
    /// Width inside the feed-forward part.
    pub intermediate_size: usize,
    /// Blocks; features are taken after the last but one.
    pub num_hidden_layers: usize,
    /// Attention heads.
    pub num_attention_heads: usize,
    /// Side of the square input in pixels.
    pub image_size: usize,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// Width of the image-text embedding of contrastive pretraining.
    pub projection_dim: usize,
}

/// Language model sizes; the keys are InternLM2's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreshLanguage {
    /// Entries of the tokenizer to train, special tokens included.
    pub vocab_size: usize,
    /// Width of the hidden states.
    pub hidden_size: usize,
    /// Width inside the feed-forward part.
    pub intermediate_size: usize,
    /// Decoder blocks.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key-value heads.
    pub num_key_value_heads: usize,
    /// Longest sequence without rotary scaling.
    pub max_position_embeddings: usize,
}

/// AdamW (paper, section 4.2 and table 8 of v1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay; applied to matrices only.
    pub weight_decay: f64,
    /// Largest global gradient norm; longer gradients are scaled down to it.
    pub clip_norm: f64,
    /// Share of a stage's steps over which the rate rises linearly from 0.
    pub warmup_share: f64,
}

impl Default for OptimizerConfig {
    fn default() -> OptimizerConfig {
        OptimizerConfig {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            clip_norm: 1.0,
            warmup_share: 0.03,
        }
    }
}

/// When to write checkpoints that a run can resume from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointConfig {
    /// Steps between checkpoints within a stage; each stage also ends with one.
    pub every_steps: usize,
    /// Resumable checkpoints to keep; older ones are deleted. The end of each stage is always kept.
    pub keep: usize,
}

impl Default for CheckpointConfig {
    fn default() -> CheckpointConfig {
        CheckpointConfig { every_steps: 500, keep: 2 }
    }
}

/// One stage: what trains, on what, how fast.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Name, used in file names, e.g. `shallow_alignment`.
    pub name: String,
    /// What is minimised.
    pub objective: Objective,
    /// The parts whose parameters move; the others stay bit-equal.
    pub trainable: Vec<Part>,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Learning rates of single parts, in place of `learning_rate`.
    #[serde(default)]
    pub part_learning_rate: std::collections::BTreeMap<Part, f64>,
    /// Passes over the stage's samples; may be a fraction.
    pub epochs: f64,
    /// Rows (packs of samples) per optimizer step; for contrastive pretraining, image-text pairs.
    pub batch_rows: usize,
    /// Rows computed at once; bounds memory. Defaults to `batch_rows`.
    #[serde(default)]
    pub micro_batch_rows: Option<usize>,
    /// Forms of conversation to train on; all when empty.
    #[serde(default)]
    pub forms: Vec<Form>,
    /// Conversations about one picture that are put side by side, so that they share its image tokens in a row; see [`crate::batch`].
    /// With 1 the order is random, and only those that meet by chance share.
    #[serde(default = "one")]
    pub conversations_per_image: usize,
    /// Whether block inputs are kept and blocks run again in the backward pass: less memory, more time.
    #[serde(default)]
    pub recompute: bool,
}

fn one() -> usize {
    1
}

/// What a stage minimises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// Next-token loss on the replies, images shown: the paper's three stages.
    Instruction,
    /// Next-token loss on every token, images left out: language pretraining.
    Language,
    /// Image-text contrastive loss: vision pretraining.
    Contrastive,
}

/// A part of the network that trains or stays frozen as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// `vision_tower.*`
    Vision,
    /// `multi_modal_projector.*`
    Projector,
    /// `language_model.*`
    Language,
}

impl Part {
    /// The part that a parameter belongs to; `None` for the contrastive head, which only exists while it trains.
    pub fn of(parameter: &str) -> Option<Part> {
        match parameter.split('.').next() {
            Some("vision_tower") => Some(Part::Vision),
            Some("multi_modal_projector") => Some(Part::Projector),
            Some("language_model") => Some(Part::Language),
            _ => None,
        }
    }
}

impl Recipe {
    /// Reads and checks a recipe file; a relative `start_from` is taken from the file's folder.
    pub fn load(path: &Path) -> Result<Recipe> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
        let mut recipe = Recipe::parse(&text, path)?;
        if let ModelSource::StartFrom(folder) = &mut recipe.model
            && let Some(parent) = path.parent()
        {
            *folder = parent.join(&*folder);
        }
        Ok(recipe)
    }

    /// Parses a recipe; `origin` is named in errors.
    pub fn parse(text: &str, origin: &Path) -> Result<Recipe> {
        let recipe: Recipe = toml::from_str(text)
            .map_err(|error| Error::Recipe { path: origin.to_owned(), reason: error.to_string() })?;
        recipe.check()?;
        Ok(recipe)
    }

    /// Refuses values that cannot be carried out.
    pub fn check(&self) -> Result<()> {
        let refuse = |field: String, reason: &str| Err(Error::Setting { field, reason: reason.to_owned() });
        if self.stages.is_empty() {
            return refuse("stage".into(), "a run needs at least one [[stage]]");
        }
        for (index, stage) in self.stages.iter().enumerate() {
            let field = |key: &str| format!("stage.{}.{key}", stage.name);
            if stage.name.is_empty() || !stage.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
                return refuse(format!("stage {index}, name"), "use letters, digits, - and _: it becomes a file name");
            }
            if self.stages[..index].iter().any(|earlier| earlier.name == stage.name) {
                return refuse(field("name"), "two stages have this name");
            }
            if stage.trainable.is_empty() {
                return refuse(field("trainable"), "name at least one of \"vision\", \"projector\", \"language\"");
            }
            if !(stage.learning_rate > 0.0 && stage.epochs > 0.0) {
                return refuse(field("learning_rate"), "learning_rate and epochs must be above 0");
            }
            if stage.batch_rows == 0 || stage.micro_batch_rows == Some(0) {
                return refuse(field("batch_rows"), "must be at least 1");
            }
            if stage.conversations_per_image == 0 {
                return refuse(field("conversations_per_image"), "must be at least 1");
            }
            if stage.conversations_per_image > 1 && stage.objective != Objective::Instruction {
                return refuse(
                    field("conversations_per_image"),
                    "only objective \"instruction\" shows pictures to conversations",
                );
            }
            let wanted: &[Part] = match stage.objective {
                Objective::Instruction => &[Part::Vision, Part::Projector, Part::Language],
                Objective::Language => &[Part::Language],
                Objective::Contrastive => &[Part::Vision],
            };
            if let Some(part) = stage.trainable.iter().find(|part| !wanted.contains(part)) {
                let reason = format!("{part:?} takes no part in this objective; allowed: {wanted:?}");
                return Err(Error::Setting { field: field("trainable"), reason });
            }
            if let Some(part) = stage.part_learning_rate.keys().find(|part| !stage.trainable.contains(part)) {
                let reason = format!("{part:?} is not trainable in this stage");
                return Err(Error::Setting { field: field("part_learning_rate"), reason });
            }
        }
        Ok(())
    }
}

impl Stage {
    /// Peak learning rate of a parameter; `None` when it stays frozen.
    pub fn learning_rate_of(&self, parameter: &str) -> Option<f64> {
        match Part::of(parameter) {
            None => Some(self.learning_rate),
            Some(part) if self.trainable.contains(&part) => {
                Some(self.part_learning_rate.get(&part).copied().unwrap_or(self.learning_rate))
            }
            Some(_) => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const RECIPE: &str = r#"
        name = "t"
        seed = 1
        max_length = 64
        [model.start_from]
    "#;

    fn stage(extra: &str) -> String {
        format!(
            "name = \"t\"\nseed = 1\nmax_length = 64\nmodel = {{ start_from = \"m\" }}\n[[stage]]\nname = \"one\"\nobjective = \"instruction\"\n\
             trainable = [\"projector\"]\nlearning_rate = 1e-3\nepochs = 1.0\nbatch_rows = 2\n{extra}"
        )
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let error = Recipe::parse(&stage("lerning_rate = 2\n"), Path::new("r.toml")).unwrap_err().to_string();
        assert!(error.contains("r.toml") && error.contains("lerning_rate") && error.contains("line"), "{error}");
        assert!(Recipe::parse(RECIPE, Path::new("r.toml")).is_err());
    }

    #[test]
    fn a_part_rate_for_a_frozen_part_is_refused() {
        let text = stage("part_learning_rate = { vision = 1e-4 }\n");
        assert!(Recipe::parse(&text, Path::new("r.toml")).unwrap_err().to_string().contains("not trainable"));
    }

    #[test]
    fn conversations_share_pictures_only_where_pictures_are_shown() {
        let text = stage("conversations_per_image = 4\n");
        assert_eq!(Recipe::parse(&text, Path::new("r.toml")).unwrap().stages[0].conversations_per_image, 4);
        let language = text.replace("\"instruction\"", "\"language\"").replace("\"projector\"", "\"language\"");
        for text in [language, stage("conversations_per_image = 0\n")] {
            let error = Recipe::parse(&text, Path::new("r.toml")).unwrap_err().to_string();
            assert!(error.contains("stage.one.conversations_per_image"), "{error}");
        }
    }

    #[test]
    fn rates_follow_the_part_of_a_parameter() {
        let recipe = Recipe::parse(&stage(""), Path::new("r.toml")).unwrap();
        let rate = |name| recipe.stages[0].learning_rate_of(name);
        assert_eq!(rate("multi_modal_projector.linear_1.weight"), Some(1e-3));
        assert_eq!(rate("language_model.output.weight"), None);
        assert_eq!(rate("logit_scale"), Some(1e-3));
    }
}
