//! What the contrastive stage holds pictures against: one feature per fact, from the frozen language model's states over its wordings.

use crate::batch::pack;
use crate::data::Dataset;
use crate::error::Result;
use burn::tensor::Tensor;
use gmai_model::GmaiVl;
use gmai_model::gmai_vl::TokenRows;
use gmai_schema::Progress;
use std::collections::BTreeMap;

/// A feature `[D]` for each caption of the dataset, the same for equal facts. The language model is frozen in contrastive stages, so this is done once.
pub fn text_features(
    model: &GmaiVl,
    dataset: &Dataset<'_>,
    max_length: usize,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Vec<Vec<f32>>> {
    const ROWS_AT_ONCE: usize = 16;
    let width = model.config.text_config.hidden_size;
    let captions = &dataset.captions;
    let order: Vec<usize> = (0..captions.len()).collect();
    let mut features = vec![Vec::new(); captions.len()];
    let rows = pack(&order, |_, sample| captions[sample].input_ids.len(), max_length);
    for (done, rows) in rows.chunks(ROWS_AT_ONCE).enumerate() {
        let (packed, places) = caption_rows(rows, dataset);
        let hidden = model.decode(&packed, model.embed(&packed, None)?);
        let normed: Tensor<3> = model.language_model.model.norm.forward(hidden);
        let values = normed.into_data().try_to_vec::<f32>().expect("hidden states are f32");
        for (sample, range) in places {
            let mut mean = vec![0.0; width];
            for token in values[range.start * width..range.end * width].chunks_exact(width) {
                mean.iter_mut().zip(token).for_each(|(mean, value)| *mean += value / range.len() as f32);
            }
            features[sample] = mean;
        }
        let (done, total) = ((done * ROWS_AT_ONCE + packed.input_ids.len()) as u64, order.len() as u64);
        on_progress(Progress { phase: "text features".into(), done: done.min(total), total, note: String::new() });
    }
    let facts: Vec<&str> = captions.iter().map(|caption| caption.facts.as_str()).collect();
    Ok(contrast(&features, &facts))
}

/// Makes mean-pooled text features tell facts apart: the mean over the wordings of each fact (CLIP's prompt ensembling, arXiv 2103.00020
/// section 3.1.4), then every dimension centred and scaled over the facts. Mean states of a decoder are nearly parallel without it.
fn contrast(features: &[Vec<f32>], facts: &[&str]) -> Vec<Vec<f32>> {
    let width = features.first().map_or(0, Vec::len);
    let mut means: BTreeMap<&str, (Vec<f32>, f32)> = BTreeMap::new();
    for (feature, &fact) in features.iter().zip(facts) {
        let (sum, count) = means.entry(fact).or_insert_with(|| (vec![0.0; width], 0.0));
        sum.iter_mut().zip(feature).for_each(|(sum, value)| *sum += value);
        *count += 1.0;
    }
    for (sum, count) in means.values_mut() {
        sum.iter_mut().for_each(|value| *value /= *count);
    }
    let num_facts = means.len().max(1) as f32;
    for dimension in 0..width {
        let centre = means.values().map(|(mean, _)| mean[dimension]).sum::<f32>() / num_facts;
        let variance = means.values().map(|(mean, _)| (mean[dimension] - centre).powi(2)).sum::<f32>() / num_facts;
        for (mean, _) in means.values_mut() {
            mean[dimension] = (mean[dimension] - centre) / variance.sqrt().max(1e-6);
        }
    }
    facts.iter().map(|fact| means[fact].0.clone()).collect()
}

type Places = Vec<(usize, std::ops::Range<usize>)>;

/// Captions end to end in padded rows, with the place of each in the flattened rows.
fn caption_rows(rows: &[Vec<usize>], dataset: &Dataset<'_>) -> (TokenRows, Places) {
    let length = |sample: usize| dataset.captions[sample].input_ids.len();
    let tokens = rows.iter().map(|row| row.iter().map(|&sample| length(sample)).sum::<usize>()).max().unwrap_or(0);
    let mut packed = TokenRows::default();
    let mut places = Vec::new();
    for (row_index, row) in rows.iter().enumerate() {
        let (mut ids, mut positions, mut samples) = (Vec::new(), Vec::new(), Vec::new());
        for (number, &sample) in row.iter().enumerate() {
            let start = row_index * tokens + ids.len();
            places.push((sample, start..start + length(sample)));
            ids.extend_from_slice(&dataset.captions[sample].input_ids);
            positions.extend(0..length(sample));
            samples.extend(std::iter::repeat_n(number as u32, length(sample)));
        }
        positions.extend(0..tokens - ids.len());
        samples.resize(tokens, u32::MAX);
        ids.resize(tokens, 0);
        packed.input_ids.push(ids);
        packed.positions.push(positions);
        packed.branches.push(vec![0; samples.len()]);
        packed.samples.push(samples);
    }
    (packed, places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearly_parallel_features_come_out_apart_and_wordings_of_a_fact_together() {
        // A large common part, a small part that tells the facts, a smaller one that tells the wordings.
        let feature = |fact: f32, wording: f32| vec![100.0 + fact, 50.0 - 2.0 * fact + wording];
        let features = [feature(0.0, 0.1), feature(1.0, 0.0), feature(0.0, -0.1), feature(2.0, 0.0)];
        let made = contrast(&features, &["a", "b", "a", "c"]);
        assert_eq!(made[0], made[2]);
        for dimension in [0, 1] {
            let values = [&made[0], &made[1], &made[3]].map(|feature| feature[dimension]);
            assert!(values.iter().sum::<f32>().abs() < 1e-4, "centred: {values:?}");
            assert!((values.iter().map(|value| value * value).sum::<f32>() / 3.0 - 1.0).abs() < 1e-4, "{values:?}");
        }
        let cosine = |a: &[f32], b: &[f32]| {
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
            dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
        };
        assert!(cosine(&features[0], &features[3]) > 0.99 && cosine(&made[0], &made[3]) < -0.9);
    }

    #[test]
    fn a_dimension_that_tells_nothing_stays_finite() {
        let made = contrast(&[vec![1.0, 3.0], vec![1.0, 4.0]], &["a", "b"]);
        assert_eq!((made[0][0], made[1][0]), (0.0, 0.0));
        assert!(contrast(&[], &[]).is_empty());
    }
}
