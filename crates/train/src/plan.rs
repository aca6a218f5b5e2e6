//! A recipe made definite for one dataset: what each stage does, counted out before it starts.

use crate::batch::pack;
use crate::data::Dataset;
use crate::recipe::{Objective, Recipe, Stage};
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Every step of a stage: the samples of each row, in order. Made from seed and dataset alone, so a resumed run sees the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// `[step][row][sample]`
    pub steps: Vec<Vec<Vec<usize>>>,
}

/// What a stage will do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StagePlan {
    /// The stage as written.
    pub stage: Stage,
    /// Samples in one pass.
    pub num_samples: usize,
    /// Conversations left out, by reason.
    pub skipped: BTreeMap<String, usize>,
    /// Optimizer steps.
    pub num_steps: usize,
    /// Tokens over all steps, image tokens included, padding not.
    pub num_tokens: usize,
    /// Values of the trainable parameters.
    pub num_trainable: usize,
    /// Values of all parameters.
    pub num_parameters: usize,
}

impl Schedule {
    /// Lays out the steps of `stage` over `dataset`.
    pub fn new(recipe: &Recipe, stage_index: usize, dataset: &Dataset<'_>) -> Schedule {
        let stage = &recipe.stages[stage_index];
        let mut steps = Vec::new();
        let mut left = stage.epochs;
        let mut epoch = 0_u64;
        while left > 0.0 {
            let seed = Sha256::digest(format!("{}/{}/{epoch}", recipe.seed, stage.name));
            let mut rng = ChaCha8Rng::from_seed(seed.into());
            let mut order: Vec<usize> = (0..dataset.examples.len()).collect();
            order.shuffle(&mut rng);
            if stage.conversations_per_image > 1 {
                order = side_by_side(&order, dataset, stage.conversations_per_image, &mut rng);
            }
            order.truncate((dataset.examples.len() as f64 * left.min(1.0)).ceil() as usize);
            let rows = match stage.objective {
                Objective::Contrastive => order.into_iter().map(|sample| vec![sample]).collect(),
                _ => pack(&order, |previous, sample| dataset.len_after(previous, sample), recipe.max_length),
            };
            let mut batches: Vec<Vec<Vec<usize>>> = rows.chunks(stage.batch_rows).map(<[_]>::to_vec).collect();
            // A last batch below half size would be a noisy step; its samples come up again in the next epoch.
            if batches.len() > 1 && batches.last().is_some_and(|last| 2 * last.len() < stage.batch_rows) {
                batches.pop();
            }
            steps.extend(batches);
            left -= 1.0;
            epoch += 1;
        }
        Schedule { steps }
    }
}

/// Puts up to `count` samples that share a beginning side by side, in an order as random as before.
fn side_by_side(order: &[usize], dataset: &Dataset<'_>, count: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut bundles: Vec<Vec<usize>> = Vec::new();
    let mut open: BTreeMap<usize, usize> = BTreeMap::new();
    for &sample in order {
        let opening = dataset.examples[sample].opening;
        let place = opening.and_then(|opening| open.get(&opening.number).copied());
        match place.filter(|&place| bundles[place].len() < count) {
            Some(place) => bundles[place].push(sample),
            None => {
                if let Some(opening) = opening {
                    open.insert(opening.number, bundles.len());
                }
                bundles.push(vec![sample]);
            }
        }
    }
    bundles.shuffle(rng);
    bundles.concat()
}

/// Identity of a run: the same recipe over the same dataset, from the same start.
pub fn run_hash(recipe: &Recipe, dataset: &str, start: &str) -> String {
    let recipe = serde_json::to_string(recipe).expect("a recipe is plain data");
    let digest = Sha256::digest(format!("{recipe}\n{dataset}\n{start}"));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
