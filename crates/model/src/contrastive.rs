//! Image-text contrastive head for vision pretraining, in the sigmoid form of SigLIP (arXiv 2303.15343).
//!
//! Shapes: B pairs, N patches, D width, E embedding width.

use crate::config::Config;
use crate::initialise::Initialiser;
use crate::layers::{LayerNorm, Linear};
use crate::parameter::parameters;
use burn::tensor::{Device, Tensor, TensorData, activation};

/// Projections of both sides into one space, with the loss's temperature and bias. Not part of a released checkpoint.
#[derive(Debug, Clone)]
pub struct ContrastiveHead {
    /// Pooled image feature to the shared space.
    pub visual_projection: Linear,
    /// Pooled text feature to the shared space.
    pub text_projection: Linear,
    /// Logarithm of the temperature. `[1]`
    pub logit_scale: Tensor<1>,
    /// Added to every logit: starts very negative because most pairs do not match. `[1]`
    pub logit_bias: Tensor<1>,
}
parameters!(ContrastiveHead { visual_projection, text_projection, logit_scale, logit_bias });

impl ContrastiveHead {
    /// Fresh weights; the temperature starts at 10 as in SigLIP.
    ///
    /// The bias starts at the log-odds of a match, `match_rate` being the share of pairs that do: SigLIP's -10 fits batches of thousands
    /// where one text in a batch matches, not small ones where many images share a label.
    pub fn new(config: &Config, match_rate: f64, init: &Initialiser) -> ContrastiveHead {
        let rate = match_rate.clamp(1e-5, 1.0 - 1e-5);
        let (vision, text) = (config.vision_config.hidden_size, config.text_config.hidden_size);
        let embedding = config.vision_config.projection_dim;
        let linear =
            |name: &str, inputs: usize| Linear::new(name, [inputs, embedding], false, (inputs as f64).powf(-0.5), init);
        ContrastiveHead {
            visual_projection: linear("visual_projection", vision),
            text_projection: linear("text_projection", text),
            logit_scale: init.constant([1], 10.0_f32.ln()),
            logit_bias: init.constant([1], (rate / (1.0 - rate)).ln() as f32),
        }
    }

    /// Image states `[B, R, D]` after the last block to unit vectors `[B, E]`: the mean over patches, so that every patch learns to
    /// carry meaning. Rows before `first_patch` (CLIP's class token) are left out.
    pub fn embed_images(&self, hidden: Tensor<3>, norm: &LayerNorm, first_patch: usize) -> Tensor<2> {
        let patches = hidden.dims()[1] - first_patch;
        let pooled = norm.forward(hidden).narrow(1, first_patch, patches).mean_dim(1).squeeze_dim(1); // [B, D]
        unit(self.visual_projection.forward_rows(pooled))
    }

    /// Pooled text features `[B, D_language]` to unit vectors `[B, E]`.
    pub fn embed_texts(&self, pooled: Tensor<2>) -> Tensor<2> {
        unit(self.text_projection.forward_rows(pooled))
    }

    /// Mean over images of the summed pair losses; `matches[i][j]` says whether text j describes image i.
    pub fn loss(&self, images: Tensor<2>, texts: Tensor<2>, matches: &[Vec<bool>], device: &Device) -> Tensor<1> {
        let [batch, _] = images.dims();
        let signs: Vec<f32> = matches.iter().flatten().map(|&same| if same { 1.0 } else { -1.0 }).collect();
        let signs: Tensor<2> = Tensor::from_data(TensorData::new(signs, [batch, texts.dims()[0]]), device);
        let scale: Tensor<2> = self.logit_scale.clone().exp().unsqueeze();
        let bias: Tensor<2> = self.logit_bias.clone().unsqueeze();
        let logits = images.matmul(texts.transpose()) * scale + bias;
        activation::log_sigmoid(logits * signs).sum().neg() / batch as f64
    }
}

/// Scales each row to length 1.
fn unit(x: Tensor<2>) -> Tensor<2> {
    let length = ((x.clone() * x.clone()).sum_dim(1) + 1e-12).sqrt();
    x / length
}
