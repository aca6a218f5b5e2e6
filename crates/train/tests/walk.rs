//! The walk's gradients and the loop's promises on a tiny network: finite differences, frozen parts, recomputation, overfitting.
#![allow(clippy::unwrap_used)]

use gmai_model::gmai_vl::TokenRows;
use gmai_model::{GmaiVl, Parameters, device};
use gmai_train::batch::{BatchCounts, PackedBatch, Target};
use gmai_train::gradients::Gradients;
use gmai_train::objective::{next_token, next_token_value};
use gmai_train::optimizer::AdamW;
use gmai_train::recipe::OptimizerConfig;
use gmai_train::{Objective, Part, Stage};
use std::collections::BTreeMap;

const EVERYTHING: [Part; 3] = [Part::Vision, Part::Projector, Part::Language];

fn stage(trainable: &[Part], learning_rate: f64, recompute: bool) -> Stage {
    Stage {
        name: "reference".to_owned(),
        objective: Objective::Instruction,
        trainable: trainable.to_vec(),
        learning_rate,
        part_learning_rate: BTreeMap::new(),
        epochs: 1.0,
        batch_rows: 3,
        micro_batch_rows: None,
        forms: Vec::new(),
        conversations_per_image: 1,
        recompute,
    }
}

/// Mean loss and its gradients.
fn gradients(model: &GmaiVl, batch: &PackedBatch, stage: &Stage) -> (f64, Gradients) {
    let mut gradients = Gradients::default();
    let loss = next_token(model, batch, stage, &mut gradients).unwrap();
    gradients.scale(1.0 / loss.count as f32);
    (loss.sum / loss.count as f64, gradients)
}

fn norm(values: impl Iterator<Item = f32>) -> f64 {
    values.map(|value| f64::from(value).powi(2)).sum::<f64>().sqrt()
}

fn tiny() -> GmaiVl {
    let config = serde_json::from_str(include_str!("../../../configs/model/tiny.json")).unwrap();
    GmaiVl::new(config, 5, &device::cpu()).unwrap()
}

/// Two rows: two samples with a picture each, and a text; made up, with every second token labelled.
fn made_up_batch(model: &GmaiVl) -> PackedBatch {
    let image = vec![model.config.image_token_index; model.config.num_image_tokens()];
    let sample = |seed: u32, with_image: bool| -> Vec<u32> {
        let mut ids: Vec<u32> = (0..12).map(|index| (seed * 31 + index * 7) % 300).collect();
        if with_image {
            ids.splice(3..3, image.clone());
        }
        ids
    };
    let rows = [vec![sample(1, true), sample(2, false)], vec![sample(3, true)]];
    let tokens = 2 * 12 + image.len();
    let mut packed = TokenRows::default();
    let mut targets = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let (mut ids, mut positions, mut samples) = (Vec::new(), Vec::new(), Vec::new());
        for (number, sample) in row.iter().enumerate() {
            let places = (image.len() + 4..sample.len()).chain(if sample.len() == 12 { 1..12 } else { 0..0 });
            let start = index * tokens + ids.len();
            targets.extend(places.map(|token| Target { position: start + token - 1, label: sample[token] }));
            ids.extend(sample);
            positions.extend(0..sample.len());
            samples.extend(vec![number as u32; sample.len()]);
        }
        positions.extend(0..tokens - ids.len());
        samples.resize(tokens, u32::MAX);
        ids.resize(tokens, 0);
        packed.input_ids.push(ids);
        packed.positions.push(positions);
        packed.branches.push(vec![0; samples.len()]);
        packed.samples.push(samples);
    }
    let size = model.config.vision_config.image_size;
    let pixel_values = (0..2 * 3 * size * size).map(|index| (index as f32 * 0.013).sin()).collect();
    PackedBatch { rows: packed, targets, pixel_values, counts: BatchCounts::default() }
}

#[test]
fn gradients_equal_finite_differences() {
    let model = tiny();
    let batch = made_up_batch(&model);
    let (_, gradients) = gradients(&model, &batch, &stage(&EVERYTHING, 1e-3, false));
    let loss_at = |name: &str, index: usize, shift: f32| {
        let mut shifted = model.clone();
        shifted.visit_parameters("", &mut |found, mut parameter| {
            if found == name {
                let mut values = parameter.to_vec();
                values[index] += shift;
                parameter.set(values, &device::cpu());
            }
        });
        let loss = next_token_value(&shifted, &batch).unwrap();
        loss.sum / loss.count as f64
    };
    for name in [
        "vision_tower.vision_model.embeddings.patch_embedding.weight",
        "vision_tower.vision_model.encoder.layers.0.self_attn.v_proj.weight",
        "vision_tower.vision_model.encoder.layers.1.mlp.fc1.bias",
        "multi_modal_projector.linear_1.weight",
        "language_model.model.tok_embeddings.weight",
        "language_model.model.layers.0.attention.wqkv.weight",
        "language_model.model.layers.1.feed_forward.w3.weight",
        "language_model.model.norm.weight",
        "language_model.output.weight",
    ] {
        let gradient = gradients.get(name).unwrap();
        // The steepest value of each parameter stands out of f32's rounding.
        let index = (0..gradient.len()).max_by(|&a, &b| gradient[a].abs().total_cmp(&gradient[b].abs())).unwrap();
        let step = 2e-2_f32;
        let numeric = (loss_at(name, index, step) - loss_at(name, index, -step)) / (2.0 * f64::from(step));
        let exact = f64::from(gradient[index]);
        assert!((exact - numeric).abs() < 0.03 * exact.abs() + 2e-4, "{name}: {exact} against {numeric}");
    }
}

#[test]
fn recomputing_segments_changes_no_gradient() {
    let model = tiny();
    let batch = made_up_batch(&model);
    let (kept_loss, kept) = gradients(&model, &batch, &stage(&EVERYTHING, 1e-3, false));
    let (loss, recomputed) = gradients(&model, &batch, &stage(&EVERYTHING, 1e-3, true));
    // Not bit-equal: burn computes a layer norm in another order when it records.
    assert!((kept_loss - loss).abs() < 1e-6, "{kept_loss} and {loss}");
    for name in kept.names() {
        let (kept, recomputed) = (kept.get(name).unwrap(), recomputed.get(name).unwrap());
        let difference = norm(kept.iter().zip(recomputed).map(|(a, b)| a - b));
        assert!(difference <= 1e-4 * norm(kept.iter().copied()) + 1e-7, "{name}: off by {difference}");
    }
}

#[test]
fn frozen_parts_stay_bit_equal_and_others_move() {
    for trainable in [vec![Part::Projector], vec![Part::Vision, Part::Projector], EVERYTHING.to_vec()] {
        let mut model = tiny();
        let before = snapshot(&model);
        let stage = stage(&trainable, 1e-3, false);
        let batch = made_up_batch(&model);
        let (_, gradients) = gradients(&model, &batch, &stage);
        let rate = |name: &str| stage.learning_rate_of(name);
        AdamW::default().step(&mut model, &gradients, &OptimizerConfig::default(), &rate, &device::cpu());
        let after = snapshot(&model);
        for part in EVERYTHING {
            let changed =
                before.iter().filter(|(name, values)| Part::of(name) == Some(part) && after[*name] != **values);
            assert_eq!(changed.count() > 0, trainable.contains(&part), "{part:?} in {trainable:?}");
        }
    }
}

fn snapshot(model: &GmaiVl) -> BTreeMap<String, Vec<f32>> {
    let mut values = BTreeMap::new();
    model.clone().visit_parameters("", &mut |name, parameter| {
        values.insert(name.to_owned(), parameter.to_vec());
    });
    values
}

#[test]
fn the_loop_overfits_one_batch() {
    let mut model = tiny();
    let batch = made_up_batch(&model);
    let stage = stage(&EVERYTHING, 3e-3, false);
    let mut optimizer = AdamW::default();
    let mut last = f64::INFINITY;
    for _ in 0..60 {
        let (loss, mut gradients) = gradients(&model, &batch, &stage);
        gradients.clip(1.0);
        let rate = |name: &str| stage.learning_rate_of(name);
        optimizer.step(&mut model, &gradients, &OptimizerConfig::default(), &rate, &device::cpu());
        last = loss;
    }
    assert!(last < 0.05, "loss after 60 steps on one batch: {last}");
}
