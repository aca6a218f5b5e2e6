//! The projector: patch features to rows in the language model's embedding space.

use crate::config::Config;
use crate::initialise::Initialiser;
use crate::layers::{Activation, Linear};
use crate::parameter::parameters;
use burn::tensor::Tensor;

/// Two linear layers with an activation between them (LLaVA 1.5: an exact GELU).
#[derive(Debug, Clone)]
pub struct Projector {
    /// Vision width to language width.
    pub linear_1: Linear,
    /// Language width to language width.
    pub linear_2: Linear,
    activation: Activation,
}
parameters!(Projector { linear_1, linear_2 });

impl Projector {
    /// Fresh weights.
    pub fn new(name: &str, config: &Config, init: &Initialiser) -> Projector {
        let (inner, outer) = (config.vision_config.hidden_size, config.text_config.hidden_size);
        let bias = config.multimodal_projector_bias;
        let deviation = |inputs: usize| (inputs as f64).powf(-0.5);
        Projector {
            linear_1: Linear::new(&format!("{name}.linear_1"), [inner, outer], bias, deviation(inner), init),
            // The result stands beside token embeddings, whose scale is initializer_range.
            linear_2: Linear::new(&format!("{name}.linear_2"), [outer, outer], bias, 0.5 * deviation(outer), init),
            activation: config.projector_hidden_act,
        }
    }

    /// `[B, N, D_vision]` to `[B, N, D_language]`.
    pub fn forward(&self, features: Tensor<3>) -> Tensor<3> {
        self.linear_2.forward(self.activation.forward(self.linear_1.forward(features)))
    }
}
