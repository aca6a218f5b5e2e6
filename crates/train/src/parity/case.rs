//! One case of the vectors: its inputs, and everything that the reference gives for them.

use super::Tensors;
use super::merge::{GivenRows, MergedBatch, MergedRows};
use crate::error::{Error, Result};
use crate::gradients::Gradients;
use crate::objective::next_token_in;
use crate::optimizer::AdamW;
use crate::recipe::{Objective, OptimizerConfig, Part, Stage};
use burn::tensor::{Tensor, TensorData};
use gmai_model::gmai_vl::TokenRows;
use gmai_model::layout::KeyLayout;
use gmai_model::weights::OwnedTensor;
use gmai_model::{GmaiVl, Parameters};
use serde_json::Value;
use std::collections::BTreeMap;

/// Inputs of one case.
pub(super) struct Case<'a> {
    name: &'a str,
    vectors: &'a Tensors,
    given: GivenRows,
    merged: MergedRows,
    pixel_values: Vec<f32>,
}

impl<'a> Case<'a> {
    /// Reads the inputs under `name`.
    pub fn new(name: &'a str, vectors: &'a Tensors, model: &GmaiVl) -> Result<Case<'a>> {
        let get = |input: &str| vectors.get(&format!("{name}.{input}"));
        let missing = || Error::Setting { field: format!("{name}.input_ids"), reason: "not among the vectors".into() };
        let ids = get("input_ids").ok_or_else(missing)?;
        let [_, tokens] = ids.shape[..] else {
            let reason = format!("wanted rows of ids, found the shape {:?}", ids.shape);
            return Err(Error::Setting { field: format!("{name}.input_ids"), reason });
        };
        let rows = |tensor: &OwnedTensor| -> Vec<Vec<f32>> {
            tensor.values.chunks(tokens.max(1)).map(<[f32]>::to_vec).collect()
        };
        let filled = |input: &str, value: f32| match get(input) {
            Some(tensor) => rows(tensor),
            None => rows(&OwnedTensor { shape: ids.shape.clone(), values: vec![value; ids.values.len()] }),
        };
        let each = |rows: Vec<Vec<f32>>| rows.into_iter().map(|row| row.into_iter());
        let ignored = model.config.ignore_index as f32;
        let given = GivenRows {
            input_ids: each(rows(ids)).map(|row| row.map(|id| id as u32).collect()).collect(),
            attended: each(filled("attention_mask", 1.0)).map(|row| row.map(|one| one != 0.0).collect()).collect(),
            labels: each(filled("labels", ignored)).map(|row| row.map(|label| label as i64).collect()).collect(),
        };
        let pixel_values = get("pixel_values").map_or_else(Vec::new, |pixels| pixels.values.clone());
        let num_images = get("pixel_values").map_or(0, |pixels| pixels.shape.first().copied().unwrap_or(0));
        let merged = MergedRows::new(&given, num_images, &model.config)?;
        Ok(Case { name, vectors, given, merged, pixel_values })
    }

    /// Which merged places carry meaning. `[B * length]`
    pub fn mask(&self) -> Vec<bool> {
        self.merged.mask()
    }

    /// Computes what the vectors have under this case.
    pub fn compute(&self, model: &GmaiVl, out: &mut Tensors) -> Result<()> {
        let patches = match self.pixel_values.is_empty() {
            true => None,
            false => Some(model.checked_patches(&self.pixel_values)?),
        };
        if self.wants("vision_hidden.") {
            let vision = &model.vision_tower.vision_model;
            let mut x = vision.embed(patches.clone().ok_or_else(|| self.needs_pictures())?);
            self.put(out, "vision_hidden.0", x.clone());
            for (index, block) in vision.encoder.layers.iter().enumerate() {
                x = block.forward(x);
                self.put(out, &format!("vision_hidden.{}", index + 1), x.clone());
            }
        }
        let features = patches.map(|patches| model.image_features(patches));
        if let (true, Some(features)) = (self.wants("image_features"), &features) {
            self.put(out, "image_features", features.clone());
        }
        if self.wants("logits") {
            let logits = self.logits(model, features.clone())?;
            out.insert(self.key("logits"), logits);
        }
        if self.wants("loss") || self.wants("grad") {
            self.loss_and_gradients(model, out)?;
        }
        if self.wants("tokens") { self.greedy(model, features, out) } else { Ok(()) }
    }

    fn key(&self, quantity: &str) -> String {
        format!("{}.{quantity}", self.name)
    }

    fn wants(&self, quantity: &str) -> bool {
        let prefix = self.key(quantity);
        self.vectors.range(prefix.clone()..).next().is_some_and(|(name, _)| name.starts_with(&prefix))
    }

    fn needs_pictures(&self) -> Error {
        Error::Setting { field: self.key("pixel_values"), reason: "not among the vectors".into() }
    }

    fn put(&self, out: &mut Tensors, quantity: &str, x: Tensor<3>) {
        let shape = x.dims().to_vec();
        out.insert(self.key(quantity), OwnedTensor { shape, values: values(x) });
    }

    fn batch(&self, model: &GmaiVl) -> MergedBatch {
        self.merged.batch(self.pixel_values.clone(), &model.config)
    }

    /// Logits where the reference has them; 0 at masked places.
    fn logits(&self, model: &GmaiVl, features: Option<Tensor<3>>) -> Result<OwnedTensor> {
        let mut unlabelled = self.merged.clone();
        unlabelled.rows.iter_mut().flatten().for_each(|place| place.label = model.config.ignore_index);
        let rows = unlabelled.batch(Vec::new(), &model.config).packed.rows;
        let computed = values(model.forward(&rows, features)?);
        let (tokens, vocabulary) = (rows.dims()[1], model.config.text_config.vocab_size);
        let length = self.merged.length;
        let mut out = vec![0.0; self.merged.rows.len() * length * vocabulary];
        for (row_index, row) in self.merged.rows.iter().enumerate() {
            for (token, place) in row.iter().enumerate() {
                let from = (row_index * tokens + token) * vocabulary;
                let to = (row_index * length + place.index) * vocabulary;
                out[to..to + vocabulary].copy_from_slice(&computed[from..from + vocabulary]);
            }
        }
        Ok(OwnedTensor { shape: vec![self.merged.rows.len(), length, vocabulary], values: out })
    }

    fn loss_and_gradients(&self, model: &GmaiVl, out: &mut Tensors) -> Result<()> {
        let everything = [Part::Vision, Part::Projector, Part::Language];
        let (loss, gradients) = step(model, &self.batch(model), &stage(&everything))?;
        out.insert(self.key("loss"), scalar(loss));
        out.insert(self.key("grad_norm"), scalar(gradients.norm()));
        let prefix = self.key("grad.");
        let names = || self.vectors.keys().filter_map(|key| key.strip_prefix(&prefix));
        let layout = KeyLayout::of(names().map(str::to_owned));
        let mut dims = BTreeMap::new();
        model.clone().visit_parameters("", &mut |name, parameter| {
            dims.insert(name.to_owned(), parameter.dims());
        });
        for name in names() {
            let own = layout.name(name);
            let Some(shape) = dims.get(&own) else { continue };
            // A parameter that nothing depends on has no gradient here and zeros in the reference.
            let zeros = || vec![0.0; shape.iter().product()];
            let values = gradients.get(&own).map_or_else(zeros, <[f32]>::to_vec);
            out.insert(format!("{prefix}{name}"), OwnedTensor { shape: shape.clone(), values });
        }
        Ok(())
    }

    /// Likeliest tokens with the image token left out; the whole sequence is computed for each.
    fn greedy(&self, model: &GmaiVl, features: Option<Tensor<3>>, out: &mut Tensors) -> Result<()> {
        let wanted = self.vectors.get(&self.key("tokens")).map_or(0, |tokens| tokens.values.len());
        let num_images = features.as_ref().map_or(0, |features| features.dims()[0]);
        let mut given = self.given.clone();
        let (mut tokens, mut log_probabilities) = (Vec::new(), Vec::new());
        for _ in 0..wanted {
            let merged = MergedRows::new(&given, num_images, &model.config)?;
            let rows: TokenRows = merged.batch(Vec::new(), &model.config).packed.rows;
            let hidden = model.decode(&rows, model.embed(&rows, features.clone())?);
            let [_, length, width] = hidden.dims();
            let last = hidden.narrow(0, 0, 1).narrow(1, length - 1, 1).reshape([1, width]);
            let logits = values(model.language_model.logits(last));
            let token = likeliest(&logits, model.config.image_token_index as usize);
            let top = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            let total: f64 = logits.iter().map(|logit| (f64::from(*logit) - top).exp()).sum();
            log_probabilities.push((f64::from(logits[token]) - top - total.ln()) as f32);
            tokens.push(token as f32);
            given.input_ids[0].push(token as u32);
            given.attended[0].push(true);
            given.labels[0].push(model.config.ignore_index);
        }
        out.insert(self.key("tokens"), OwnedTensor { shape: vec![wanted], values: tokens });
        out.insert(self.key("logprobs"), OwnedTensor { shape: vec![wanted], values: log_probabilities });
        Ok(())
    }

    /// The steps of a training stage on this batch, from the model's weights.
    pub fn train(&self, model: &GmaiVl, name: &str, settings: &Value, out: &mut Tensors) -> Result<()> {
        let settings = StageSettings::read(name, settings)?;
        let mut model = model.clone();
        let batch = self.batch(&model);
        let stage = stage(&settings.trainable);
        let device = model.device().clone();
        let mut optimizer = AdamW::default();
        let (mut losses, mut norms) = (Vec::new(), Vec::new());
        for _ in 0..settings.steps {
            let (loss, mut gradients) = step(&model, &batch, &stage)?;
            losses.push(loss as f32);
            norms.push(gradients.clip(settings.optimizer.clip_norm) as f32);
            let rate = |name: &str| stage.learning_rate_of(name).map(|_| settings.rate);
            optimizer.step(&mut model, &gradients, &settings.optimizer, &rate, &device);
        }
        out.insert(format!("{name}.losses"), OwnedTensor { shape: vec![losses.len()], values: losses });
        out.insert(format!("{name}.grad_norms"), OwnedTensor { shape: vec![norms.len()], values: norms });
        let prefix = format!("{name}.final.");
        let finals: Vec<&str> = self.vectors.keys().filter_map(|key| key.strip_prefix(&prefix)).collect();
        let layout =
            KeyLayout::of(self.vectors.keys().filter_map(|key| key.strip_prefix("batch.grad.")).map(str::to_owned));
        model.visit_parameters("", &mut |own, parameter| {
            if let Some(name) = finals.iter().find(|name| layout.name(name) == own) {
                let tensor = OwnedTensor { shape: parameter.dims(), values: parameter.to_vec() };
                out.insert(format!("{prefix}{name}"), tensor);
            }
        });
        Ok(())
    }
}

/// Mean loss over the labelled tokens, and its gradients.
fn step(model: &GmaiVl, batch: &MergedBatch, stage: &Stage) -> Result<(f64, Gradients)> {
    let mut gradients = Gradients::default();
    let loss = next_token_in(model, &batch.packed, &batch.context(model), stage, &mut gradients)?;
    gradients.scale(1.0 / loss.count.max(1) as f32);
    Ok((loss.sum / loss.count.max(1) as f64, gradients))
}

fn stage(trainable: &[Part]) -> Stage {
    Stage {
        name: "parity".to_owned(),
        objective: Objective::Instruction,
        trainable: trainable.to_vec(),
        learning_rate: 1.0,
        part_learning_rate: BTreeMap::new(),
        epochs: 1.0,
        batch_rows: 1,
        micro_batch_rows: None,
        forms: Vec::new(),
        conversations_per_image: 1,
        recompute: false,
    }
}

/// A stage of `vectors.json`.
struct StageSettings {
    rate: f64,
    steps: usize,
    trainable: Vec<Part>,
    optimizer: OptimizerConfig,
}

impl StageSettings {
    fn read(stage: &str, settings: &Value) -> Result<StageSettings> {
        let wrong = |key: &str, reason: &str| Error::Setting {
            field: format!("vectors.json, stages.{stage}.{key}"),
            reason: reason.to_owned(),
        };
        let number = |key: &str| settings[key].as_f64().ok_or_else(|| wrong(key, "wanted a number"));
        let parts = settings["trainable"].as_array().ok_or_else(|| wrong("trainable", "wanted a list of parts"))?;
        let part = |name: &Value| {
            let whole = |name: &str| Part::of(name).filter(|_| !name.trim_end_matches('.').contains('.'));
            name.as_str().and_then(whole).ok_or_else(|| wrong("trainable", "wanted names of whole parts"))
        };
        // As written: "AdamW betas 0.9 0.999 eps 1e-8 weight_decay 0, constant lr"
        let words: Vec<&str> = settings["optimizer"].as_str().unwrap_or("").split([' ', ',']).collect();
        let after = |word: &str, offset: usize, default: f64| {
            let place = words.iter().position(|found| *found == word);
            place.and_then(|place| words.get(place + offset)?.parse().ok()).unwrap_or(default)
        };
        let weight_decay = after("weight_decay", 1, 0.0);
        if weight_decay != 0.0 {
            return Err(wrong("optimizer", "weight_decay must be 0: the reference decays norms and biases too"));
        }
        Ok(StageSettings {
            rate: number("lr")?,
            steps: number("steps")? as usize,
            trainable: parts.iter().map(part).collect::<Result<_>>()?,
            optimizer: OptimizerConfig {
                beta1: after("betas", 1, 0.9),
                beta2: after("betas", 2, 0.999),
                epsilon: after("eps", 1, 1e-8),
                weight_decay,
                clip_norm: number("max_grad_norm")?,
                warmup_share: 0.0,
            },
        })
    }
}

/// Index of the largest value but `excluded`; the first of equals.
fn likeliest(logits: &[f32], excluded: usize) -> usize {
    let mut best = usize::from(excluded == 0);
    for (index, logit) in logits.iter().enumerate() {
        if index != excluded && *logit > logits[best] {
            best = index;
        }
    }
    best
}

fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    let data: TensorData = x.into_data().convert::<f32>();
    data.try_to_vec().expect("converted to f32")
}

fn scalar(value: f64) -> OwnedTensor {
    OwnedTensor { shape: Vec::new(), values: vec![value as f32] }
}
