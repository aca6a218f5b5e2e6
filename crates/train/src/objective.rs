//! What a stage minimises, computed with gradients: next-token loss over packed rows, and image-text contrastive loss.

use crate::batch::{ContrastiveBatch, PackedBatch};
use crate::error::Result;
use crate::gradients::Gradients;
use crate::recipe::{Part, Stage};
use crate::walk::{Memory, Mode, Tape, collect};
use burn::tensor::{Int, Tensor, TensorData};
use gmai_model::contrastive::ContrastiveHead;
use gmai_model::decoder::TokenContext;
use gmai_model::fused::elementwise::cross_entropy;
use gmai_model::gmai_vl::TokenRows;
use gmai_model::{GmaiVl, Parameters};

/// A loss before it is divided: sums and counts add up over micro-batches whatever their size.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LossSum {
    /// Sum over the counted tokens (or pairs).
    pub sum: f64,
    /// How many were counted.
    pub count: usize,
}

/// Hidden rows whose logits are computed at once: bounds memory to this many rows of the vocabulary.
const HEAD_ROWS: usize = 1024;

/// Adds the gradients of the summed next-token loss of `batch`.
///
/// # Errors
/// Ids, image tokens or lengths that do not fit the model.
pub fn next_token(model: &GmaiVl, batch: &PackedBatch, stage: &Stage, gradients: &mut Gradients) -> Result<LossSum> {
    model.check_length(&batch.rows)?;
    next_token_in(model, batch, &model.context(&batch.rows), stage, gradients)
}

/// [`next_token`] with `context` telling which tokens see each other, whatever the rows' lengths.
///
/// # Errors
/// Ids or image tokens that do not fit the model.
pub fn next_token_in(
    model: &GmaiVl,
    batch: &PackedBatch,
    context: &TokenContext,
    stage: &Stage,
    gradients: &mut Gradients,
) -> Result<LossSum> {
    let mode = |part| if stage.trainable.contains(&part) { Mode::Trained } else { Mode::Frozen };
    let mut tape = Tape::new(if stage.recompute { Memory::Recompute } else { Memory::Keep });
    let features = match batch.pixel_values.is_empty() {
        true => None,
        false => Some(image_features(model, batch, mode(Part::Vision), mode(Part::Projector), &mut tape)),
    };
    let x = embed(model, &batch.rows, features, mode(Part::Language), &mut tape)?;
    let hidden = decode(model, context, x, mode(Part::Language), &mut tape);
    let (loss, gradient) = head(model, batch, hidden, mode(Part::Language), gradients);
    if tape.is_recording() {
        tape.backward(gradient, gradients);
    }
    Ok(loss)
}

/// The summed next-token loss of `batch`, without gradients.
pub fn next_token_value(model: &GmaiVl, batch: &PackedBatch) -> Result<LossSum> {
    let features = (!batch.pixel_values.is_empty()).then(|| model.image_features(model.patches(&batch.pixel_values)));
    let hidden = model.decode(&batch.rows, model.embed(&batch.rows, features)?);
    Ok(head(model, batch, hidden, Mode::Frozen, &mut Gradients::default()).0)
}

/// Pictures to image tokens, segment by segment.
fn image_features(model: &GmaiVl, batch: &PackedBatch, vision: Mode, projector: Mode, tape: &mut Tape) -> Tensor<3> {
    let selected = vision_states(model, &batch.pixel_values, model.config.num_vision_blocks(), vision, tape);
    let selecting = model.clone();
    tape.run("multi_modal_projector", &model.multi_modal_projector, projector, selected, move |module, x| {
        module.forward(selecting.select_features(x))
    })
}

/// Pictures through the first `num_blocks` vision blocks: `[I, N + 1, D]`.
fn vision_states(model: &GmaiVl, pixel_values: &[f32], num_blocks: usize, mode: Mode, tape: &mut Tape) -> Tensor<3> {
    let vision = &model.vision_tower.vision_model;
    let prefix = "vision_tower.vision_model";
    let patches = model.patches(pixel_values);
    let mut x =
        tape.run(&format!("{prefix}.embeddings"), &vision.embeddings, mode, patches, |module, x| module.forward(x));
    if let Some(norm) = &vision.pre_layrnorm {
        x = tape.run(&format!("{prefix}.pre_layrnorm"), norm, mode, x, |module, x| module.forward(x));
    }
    for (index, block) in vision.encoder.layers[..num_blocks].iter().enumerate() {
        x = tape.run(&format!("{prefix}.encoder.layers.{index}"), block, mode, x, |module, x| module.forward(x));
    }
    x
}

/// Token embeddings with the image features spliced in: `[B, T, D]`.
fn embed(
    model: &GmaiVl,
    rows: &TokenRows,
    features: Option<Tensor<3>>,
    language: Mode,
    tape: &mut Tape,
) -> Result<Tensor<3>> {
    if language == Mode::Frozen && !tape.is_recording() {
        return Ok(model.embed(rows, features)?);
    }
    let num_features = features.as_ref().map_or(0, |features| features.dims()[0] * features.dims()[1]);
    let splice = model.splice(rows, num_features)?;
    let table = &model.language_model.model.tok_embeddings;
    let mut table = if language == Mode::Trained { table.tracked() } else { table.clone() };
    let features = features.map(|features| features.inner().autodiff().require_grad());
    let x = splice.apply(table.forward(model.ids(rows)), features.clone());
    let name = format!("language_model.{}", model.language_model.embeddings_name());
    let y = x.clone().inner();
    tape.push(move |gradient, gradients| {
        let mut taken = (x * gradient.clone().autodiff()).sum().backward();
        collect(&name, &mut table, &mut taken, gradients);
        match features {
            Some(features) => features.grad_remove(&mut taken).unwrap_or_else(|| features.inner().zeros_like()),
            None => gradient, // Nothing lies below the embedding of a row without images.
        }
    });
    Ok(y)
}

/// Embedded rows through the decoder blocks.
fn decode(model: &GmaiVl, context: &TokenContext, mut x: Tensor<3>, language: Mode, tape: &mut Tape) -> Tensor<3> {
    for (index, block) in model.language_model.model.layers.iter().enumerate() {
        let context = context.clone();
        x = tape.run(&format!("language_model.model.layers.{index}"), block, language, x, move |module, x| {
            module.forward(x, &context, None)
        });
    }
    x
}

/// Loss over the labelled positions and its gradient by the hidden states `[B, T, D]`. Logits exist only for these positions, a piece at a time.
fn head(
    model: &GmaiVl,
    batch: &PackedBatch,
    hidden: Tensor<3>,
    language: Mode,
    gradients: &mut Gradients,
) -> (LossSum, Tensor<3>) {
    let device = model.device();
    let [rows, tokens, width] = hidden.dims();
    let flat = hidden.reshape([rows * tokens, width]);
    let mut gradient: Tensor<2> = flat.zeros_like();
    let mut sum = 0.0;
    for targets in batch.targets.chunks(HEAD_ROWS) {
        let count = targets.len();
        let places: Vec<i32> = targets.iter().map(|target| target.position as i32).collect();
        let places: Tensor<1, Int> = Tensor::from_data(TensorData::new(places, [count]), device);
        let labels: Vec<u32> = targets.iter().map(|target| target.label).collect();
        let mut norm = model.language_model.model.norm.clone();
        if language == Mode::Trained {
            norm = norm.tracked();
        }
        let leaf = flat.clone().select(0, places.clone()).inner().autodiff().require_grad(); // [n, D]
        let normed: Tensor<2> = norm.forward(leaf.clone().unsqueeze::<3>()).squeeze_dim(0);
        // The head's own gradients are written out: a tape would copy the logits, by far the largest tensor, several times.
        let (weight, rows) = (model.language_model.head().clone(), normed.clone().inner());
        let logits = rows.clone().matmul(weight.clone().transpose()); // [n, V]
        let shape = logits.dims();
        let values = logits.into_data().try_to_vec::<f32>().expect("logits are f32");
        let (loss, by_logits) = cross_entropy(&values, &labels);
        sum += loss;
        let by_logits: Tensor<2> = Tensor::from_data(TensorData::new(by_logits, shape), device);
        if language == Mode::Trained {
            let by_weight = by_logits.clone().transpose().matmul(rows).into_data();
            let name = format!("language_model.{}", model.language_model.head_name()); // The embedding's, when they are one.
            gradients.add(&name, by_weight.try_to_vec().expect("gradients are f32"));
        }
        let by_normed = by_logits.matmul(weight); // [n, D]
        let mut taken = (normed * by_normed.autodiff()).sum().backward();
        if language == Mode::Trained {
            collect("language_model.model.norm", &mut norm, &mut taken, gradients);
        }
        if let Some(leaf_gradient) = leaf.grad_remove(&mut taken) {
            gradient = gradient.select_assign(0, places, leaf_gradient, burn::tensor::IndexingUpdateOp::Add);
        }
    }
    (LossSum { sum, count: batch.targets.len() }, gradient.reshape([rows, tokens, width]))
}

/// Adds the gradients of the contrastive loss of `batch` (mean over its images, times their number).
pub fn contrastive(
    model: &GmaiVl,
    head: &ContrastiveHead,
    batch: &ContrastiveBatch,
    stage: &Stage,
    gradients: &mut Gradients,
) -> LossSum {
    let memory = if stage.recompute { Memory::Recompute } else { Memory::Keep };
    let mut tape = Tape::new(memory);
    let num_blocks = model.config.vision_config.num_hidden_layers;
    let hidden = vision_states(model, &batch.pixel_values, num_blocks, Mode::Trained, &mut tape);
    let device = model.device();
    let count = batch.texts.len();
    let width = batch.texts.first().map_or(0, Vec::len);
    let texts: Tensor<2> = Tensor::from_data(TensorData::new(batch.texts.concat(), [count, width]), device);
    let mut tracked = head.tracked();
    let mut norm = model.vision_tower.vision_model.post_layernorm.tracked();
    let leaf = hidden.autodiff().require_grad();
    let images = tracked.embed_images(leaf.clone(), &norm, model.config.vision_config.first_patch());
    let loss = tracked.loss(images, tracked.embed_texts(texts.autodiff()), &batch.matches, device) * count as f64;
    let sum = f64::from(loss.clone().inner().into_scalar::<f32>());
    let mut taken = loss.backward();
    collect("", &mut tracked, &mut taken, gradients);
    collect("vision_tower.vision_model.post_layernorm", &mut norm, &mut taken, gradients);
    if let Some(gradient) = leaf.grad_remove(&mut taken) {
        tape.backward(gradient, gradients);
    }
    LossSum { sum, count }
}
