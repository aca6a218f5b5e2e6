//! Samples to batches: soft packing into rows, labels to targets, pictures to pixel values.

use crate::data::{Dataset, Example};
use crate::error::Result;
use gmai_model::gmai_vl::TokenRows;
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
pub fn pack(order: &[usize], length: impl Fn(usize) -> usize, max_length: usize) -> Vec<Vec<usize>> {
    let mut rows: Vec<Vec<usize>> = Vec::new();
    let mut used = usize::MAX;
    for &sample in order {
        let tokens = length(sample);
        match rows.last_mut() {
            Some(row) if used.saturating_add(tokens) <= max_length => {
                row.push(sample);
                used += tokens;
            }
            _ => {
                rows.push(vec![sample]);
                used = tokens;
            }
        }
    }
    rows
}

/// Lays the examples of each row end to end; short rows are padded, and padding is a sample of its own.
pub fn collate(rows: &[Vec<usize>], dataset: &Dataset, processor: &Processor) -> Result<PackedBatch> {
    let longest = rows.iter().map(|row| row.iter().map(|&sample| dataset.examples[sample].len()).sum::<usize>());
    let tokens = longest.max().unwrap_or(0);
    let mut packed = TokenRows { input_ids: Vec::new(), positions: Vec::new(), samples: Vec::new() };
    let mut batch_targets = Vec::new();
    let mut pixel_values = Vec::new();
    let mut counts = BatchCounts::default();
    for (row_index, row) in rows.iter().enumerate() {
        let (mut ids, mut positions, mut samples) = (Vec::new(), Vec::new(), Vec::new());
        for (number, &sample) in row.iter().enumerate() {
            let example = &dataset.examples[sample];
            append_targets(example, row_index * tokens + ids.len(), &mut batch_targets);
            ids.extend_from_slice(&example.input_ids);
            positions.extend(0..example.len());
            samples.extend(std::iter::repeat_n(number as u32, example.len()));
            for &image in &example.images {
                dataset.append_pixels(image, processor, &mut pixel_values)?;
            }
            counts.samples += 1;
            counts.image_tokens += example.num_image_tokens;
        }
        counts.tokens += ids.len();
        counts.padding += tokens - ids.len();
        positions.extend(0..tokens - ids.len());
        samples.resize(tokens, u32::MAX);
        ids.resize(tokens, 0); // Any id will do: padding is never a target and no sample sees it.
        packed.input_ids.push(ids);
        packed.positions.push(positions);
        packed.samples.push(samples);
    }
    Ok(PackedBatch { rows: packed, targets: batch_targets, pixel_values, counts })
}

/// The label at t + 1 is what position t should predict; the last token of a sample predicts nothing.
fn append_targets(example: &Example, start: usize, targets: &mut Vec<Target>) {
    let labels = example.labels.iter().enumerate().skip(1);
    targets.extend(
        labels
            .filter(|(_, label)| **label != IGNORE)
            .map(|(token, &label)| Target { position: start + token - 1, label: label as u32 }),
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
mod tests {
    use super::*;

    #[test]
    fn next_fit_packing_keeps_the_order_and_the_limit() {
        let lengths = [4, 5, 3, 9, 1, 12];
        let rows = pack(&[0, 1, 2, 3, 4, 5], |sample| lengths[sample], 10);
        assert_eq!(rows, [vec![0, 1], vec![2], vec![3, 4], vec![5]]);
    }

    #[test]
    fn targets_are_the_next_labelled_tokens() {
        let example =
            Example { input_ids: vec![7, 8, 9, 10], labels: vec![IGNORE, IGNORE, 9, 10], ..Example::default() };
        let mut targets = Vec::new();
        append_targets(&example, 100, &mut targets);
        assert_eq!(targets, [Target { position: 101, label: 9 }, Target { position: 102, label: 10 }]);
    }

    #[test]
    fn equal_facts_match_each_other() {
        assert_eq!(matching_facts(&["a", "b", "a"])[0], [true, false, true]);
    }
}
