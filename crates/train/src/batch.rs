//! Samples to batches: soft packing into rows, labels to targets, pictures to pixel values.
//!
//! Conversations about one picture begin with the same tokens, most of them image tokens. Where they stand side by side in a row, that
//! beginning is laid down once and each conversation goes on from it as a branch that does not see the others: the loss and the gradients of
//! each standing alone, without computing the picture again.

use crate::data::{Dataset, Example};
use crate::error::Result;
use gmai_model::gmai_vl::TokenRows;
use gmai_model::layers::PADDING;
use gmai_processor::{IGNORE, Processor};
use std::collections::BTreeMap;

/// A position whose next token counts in the loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Index into the flattened rows, `row * T + token`.
    pub position: usize,
    /// The token that should follow.
    pub label: u32,
}

/// Packed rows ready for the network.
#[derive(Debug, Clone)]
pub struct PackedBatch {
    /// Ids, positions and sample numbers.
    pub rows: TokenRows,
    /// What should be predicted where.
    pub targets: Vec<Target>,
    /// Pictures in the order of their tokens, each `[3, size, size]`.
    pub pixel_values: Vec<f32>,
    /// Counts for the log.
    pub counts: BatchCounts,
}

/// What a batch is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BatchCounts {
    /// Tokens that are not padding.
    pub tokens: usize,
    /// Of these, image tokens.
    pub image_tokens: usize,
    /// Padding.
    pub padding: usize,
    /// Samples.
    pub samples: usize,
}

impl std::ops::AddAssign for BatchCounts {
    fn add_assign(&mut self, other: BatchCounts) {
        self.tokens += other.tokens;
        self.image_tokens += other.image_tokens;
        self.padding += other.padding;
        self.samples += other.samples;
    }
}

/// Image-text pairs for the contrastive loss.
#[derive(Debug, Clone)]
pub struct ContrastiveBatch {
    /// Pictures, each `[3, size, size]`.
    pub pixel_values: Vec<f32>,
    /// One pooled text feature per pair.
    pub texts: Vec<Vec<f32>>,
    /// Whether text j describes image i: the same facts may be said in other words, so more than the diagonal may match.
    pub matches: Vec<Vec<bool>>,
}

/// Packs sample numbers, taken in the given order, into rows of at most `max_length` tokens: next fit (paper 3.3).
///
/// `length` gives the tokens that a sample adds to a row, from the sample before it there (if any) and the sample.
pub fn pack(order: &[usize], length: impl Fn(Option<usize>, usize) -> usize, max_length: usize) -> Vec<Vec<usize>> {
    let mut rows: Vec<Vec<usize>> = Vec::new();
    let mut used = usize::MAX;
    for &sample in order {
        let more = |row: &Vec<usize>| length(row.last().copied(), sample);
        match rows.last_mut() {
            Some(row) if used.saturating_add(more(row)) <= max_length => {
                used += more(row);
                row.push(sample);
            }
            _ => {
                rows.push(vec![sample]);
                used = length(None, sample);
            }
        }
    }
    rows
}

/// Lays the examples of each row end to end; short rows are padded, and padding is a sample of its own.
pub fn collate(rows: &[Vec<usize>], dataset: &Dataset, processor: &Processor) -> Result<PackedBatch> {
    let rows: Vec<Row> = rows.iter().map(|row| Row::new(row.iter().map(|&sample| &dataset.examples[sample]))).collect();
    let tokens = rows.iter().map(|row| row.input_ids.len()).max().unwrap_or(0);
    let mut batch = PackedBatch {
        rows: TokenRows::default(),
        targets: Vec::new(),
        pixel_values: Vec::new(),
        counts: BatchCounts::default(),
    };
    for (index, row) in rows.into_iter().enumerate() {
        for &image in &row.images {
            dataset.append_pixels(image, processor, &mut batch.pixel_values)?;
        }
        batch.append(index, row, tokens);
    }
    Ok(batch)
}

impl PackedBatch {
    /// Adds row `index`, padded to `tokens`; its pictures are added elsewhere.
    fn append(&mut self, index: usize, mut row: Row, tokens: usize) {
        let padding = tokens - row.input_ids.len();
        self.counts += BatchCounts { padding, ..row.counts };
        let moved = |target: Target| Target { position: index * tokens + target.position, ..target };
        self.targets.extend(row.targets.into_iter().map(moved));
        row.input_ids.resize(tokens, 0); // Any id will do: padding is never a target and no sample sees it.
        row.positions.extend(0..padding);
        row.samples.resize(tokens, PADDING);
        row.branches.resize(tokens, 0);
        self.rows.input_ids.push(row.input_ids);
        self.rows.positions.push(row.positions);
        self.rows.samples.push(row.samples);
        self.rows.branches.push(row.branches);
    }
}

/// One row before padding.
#[derive(Default)]
struct Row {
    input_ids: Vec<u32>,
    positions: Vec<usize>,
    samples: Vec<u32>,
    branches: Vec<u32>,
    targets: Vec<Target>,
    images: Vec<usize>,
    counts: BatchCounts,
}

impl Row {
    fn new<'a>(examples: impl Iterator<Item = &'a Example>) -> Row {
        let mut row = Row::default();
        let (mut sample, mut branch) = (0, 0);
        let mut previous: Option<&Example> = None;
        for example in examples {
            if previous.is_some_and(|previous| example.shares_opening(previous)) {
                branch += 1;
            } else {
                sample += u32::from(previous.is_some());
                branch = 1;
            }
            row.push(example, previous, sample, branch);
            previous = Some(example);
        }
        row
    }

    /// Appends `example`, but for a beginning that `previous` has laid down already.
    fn push(&mut self, example: &Example, previous: Option<&Example>, sample: u32, branch: u32) {
        let added = example.len_after(previous);
        let shared = example.len() - added; // Tokens that stand in the row already.
        append_targets(example, shared, self.input_ids.len(), &mut self.targets);
        self.input_ids.extend_from_slice(&example.input_ids[shared..]);
        self.positions.extend(shared..example.len());
        self.samples.extend(std::iter::repeat_n(sample, added));
        let opening = example.opening.map_or(0, |opening| opening.num_tokens);
        self.branches.extend((shared..example.len()).map(|token| if token < opening { 0 } else { branch }));
        self.images.extend_from_slice(&example.images[usize::from(shared > 0)..]);
        let shared_image_tokens = example.opening.filter(|_| shared > 0).map_or(0, |opening| opening.num_image_tokens);
        self.counts += BatchCounts {
            tokens: added,
            image_tokens: example.num_image_tokens - shared_image_tokens,
            padding: 0,
            samples: 1,
        };
    }
}

/// The label at t + 1 is what position t should predict; the last token of a sample predicts nothing. The first `shared` tokens stand elsewhere
/// in the row; the first after them is laid at `start`.
fn append_targets(example: &Example, shared: usize, start: usize, targets: &mut Vec<Target>) {
    let labels = example.labels.iter().enumerate().skip(shared + 1);
    targets.extend(
        labels
            .filter(|(_, label)| **label != IGNORE)
            .map(|(token, &label)| Target { position: start + token - shared - 1, label: label as u32 }),
    );
}

/// Marks which texts describe which images: those whose facts are equal.
pub fn matching_facts(facts: &[&str]) -> Vec<Vec<bool>> {
    let mut numbers = BTreeMap::new();
    let ids: Vec<usize> = facts
        .iter()
        .map(|&fact| {
            let next = numbers.len();
            *numbers.entry(fact).or_insert(next)
        })
        .collect();
    ids.iter().map(|a| ids.iter().map(|b| a == b).collect()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn next_fit_packing_keeps_the_order_and_the_limit() {
        let lengths = [4, 5, 3, 9, 1, 12];
        let rows = pack(&[0, 1, 2, 3, 4, 5], |_, sample| lengths[sample], 10);
        assert_eq!(rows, [vec![0, 1], vec![2], vec![3, 4], vec![5]]);
    }

    #[test]
    fn targets_are_the_next_labelled_tokens() {
        let example =
            Example { input_ids: vec![7, 8, 9, 10], labels: vec![IGNORE, IGNORE, 9, 10], ..Example::default() };
        let mut targets = Vec::new();
        append_targets(&example, 0, 100, &mut targets);
        assert_eq!(targets, [Target { position: 101, label: 9 }, Target { position: 102, label: 10 }]);
    }

    #[test]
    fn a_shared_picture_changes_neither_loss_nor_gradients() {
        use crate::data::Opening;
        use crate::gradients::Gradients;
        use crate::objective::next_token;
        use crate::recipe::{Part, Recipe};
        let config: gmai_model::Config =
            serde_json::from_str(include_str!("../../../configs/model/tiny.json")).unwrap();
        let (image_token, num_image_tokens) = (config.image_token_index, config.num_image_tokens());
        let size = config.vision_config.image_size;
        let model = gmai_model::GmaiVl::new(config, 3, &gmai_model::device::cpu()).unwrap();
        let example = |words: &[u32]| {
            let mut input_ids = vec![5, 6];
            input_ids.extend(std::iter::repeat_n(image_token, num_image_tokens));
            let opening = Some(Opening { number: 0, num_tokens: input_ids.len(), num_image_tokens });
            input_ids.extend(words);
            let mut labels = vec![IGNORE; input_ids.len()];
            let answer = input_ids.len() - 3;
            labels[answer..].iter_mut().zip(&input_ids[answer..]).for_each(|(label, &id)| *label = i64::from(id));
            Example { input_ids, labels, images: vec![0], num_image_tokens, opening }
        };
        let examples = [example(&[9, 10, 11, 12, 13]), example(&[20, 21, 22, 23, 24, 25])];
        let recipe = Recipe::parse(
            "name = 't'\nseed = 1\nmax_length = 64\nmodel = { start_from = 'm' }\n[[stage]]\nname = 'one'\nobjective = 'instruction'\n\
             trainable = ['vision', 'projector', 'language']\nlearning_rate = 1e-3\nepochs = 1.0\nbatch_rows = 2\n",
            std::path::Path::new("t"),
        )
        .unwrap();
        assert_eq!(recipe.stages[0].trainable, [Part::Vision, Part::Projector, Part::Language]);
        let result = |rows: Vec<Row>| {
            let picture: Vec<f32> = (0..3 * size * size).map(|index| (index as f32 * 0.013).sin()).collect();
            let tokens = rows.iter().map(|row| row.input_ids.len()).max().unwrap();
            let mut batch = PackedBatch {
                rows: TokenRows::default(),
                targets: Vec::new(),
                pixel_values: rows.iter().flat_map(|row| picture.repeat(row.images.len())).collect(),
                counts: BatchCounts::default(),
            };
            for (index, row) in rows.into_iter().enumerate() {
                batch.append(index, row, tokens);
            }
            let mut gradients = Gradients::default();
            let loss = next_token(&model, &batch, &recipe.stages[0], &mut gradients).unwrap();
            (loss, gradients, batch.counts)
        };
        let (loss, shared, counts) = result(vec![Row::new(examples.iter())]);
        let (separate_loss, separate, _) = result(examples.iter().map(|one| Row::new([one].into_iter())).collect());
        assert_eq!(
            (counts.tokens, counts.image_tokens, counts.samples),
            (2 + num_image_tokens + 11, num_image_tokens, 2)
        );
        assert_eq!(loss.count, separate_loss.count);
        assert!((loss.sum - separate_loss.sum).abs() < 1e-4, "{loss:?} {separate_loss:?}");
        for name in separate.names() {
            let (a, b) = (shared.get(name).unwrap(), separate.get(name).unwrap());
            let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|value| value * value).sum::<f32>().sqrt();
            let difference = norm(&mut a.iter().zip(b).map(|(a, b)| a - b));
            assert!(difference < 1e-4 * norm(&mut b.iter().copied()) + 1e-6, "{name}: {difference}");
        }
    }

    #[test]
    fn equal_facts_match_each_other() {
        assert_eq!(matching_facts(&["a", "b", "a"])[0], [true, false, true]);
    }
}
