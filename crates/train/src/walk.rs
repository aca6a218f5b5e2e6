//! The walk over the network's segments: forward, then backward one segment at a time.
//!
//! A frozen segment with nothing trainable before it runs without a tape. A segment on the tape either keeps its
//! intermediate tensors, or (recompute) only its input, and runs again in the backward pass: activation memory is then one
//! segment's. Each segment's gradients are taken off and its tape freed before the one below is touched.

use crate::gradients::Gradients;
use burn::tensor::Tensor;
use gmai_model::Parameters;

/// Whether a segment's parameters move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Parameters get gradients.
    Trained,
    /// Parameters stay; gradients only pass through.
    Frozen,
}

/// What the backward pass needs of each segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// Keep intermediate tensors: fastest.
    Keep,
    /// Keep inputs only and run each segment again.
    Recompute,
}

type Backward = Box<dyn FnOnce(Tensor<3>, &mut Gradients) -> Tensor<3>>;

/// Segments passed so far, with how to go back through each.
pub struct Tape {
    memory: Memory,
    steps: Vec<Backward>,
}

impl Tape {
    /// An empty tape.
    pub fn new(memory: Memory) -> Tape {
        Tape { memory, steps: Vec::new() }
    }

    /// Whether something before this point trains, so that gradients must flow on.
    pub fn is_recording(&self) -> bool {
        !self.steps.is_empty()
    }

    /// Runs one segment: `[B, T, D]` to `[B, T, D']`. `name` is the module's checkpoint path.
    pub fn run<M, F>(&mut self, name: &str, module: &M, mode: Mode, x: Tensor<3>, forward: F) -> Tensor<3>
    where
        M: Parameters + Clone + 'static,
        F: Fn(&M, Tensor<3>) -> Tensor<3> + 'static,
    {
        if mode == Mode::Frozen && !self.is_recording() {
            return forward(module, x);
        }
        let name = name.to_owned();
        match self.memory {
            Memory::Keep => {
                let segment = Segment::record(name, module, mode, x, &forward);
                let y = segment.output.clone().inner();
                self.steps.push(Box::new(move |gradient, gradients| segment.back(gradient, gradients)));
                y
            }
            Memory::Recompute => {
                let y = forward(module, x.clone());
                let module = module.clone();
                self.steps.push(Box::new(move |gradient, gradients| {
                    Segment::record(name, &module, mode, x, &forward).back(gradient, gradients)
                }));
                y
            }
        }
    }

    /// Adds a hand-made step: given the gradient of its output it returns that of its input.
    pub fn push(&mut self, step: impl FnOnce(Tensor<3>, &mut Gradients) -> Tensor<3> + 'static) {
        self.steps.push(Box::new(step));
    }

    /// Goes back through all segments, from the gradient of the last output; returns that of the first recorded input.
    pub fn backward(self, gradient: Tensor<3>, gradients: &mut Gradients) -> Tensor<3> {
        self.steps.into_iter().rev().fold(gradient, |gradient, step| step(gradient, gradients))
    }
}

/// One segment that has run with a tape.
struct Segment<M> {
    name: String,
    module: M,
    mode: Mode,
    input: Tensor<3>,
    output: Tensor<3>,
}

impl<M: Parameters + Clone> Segment<M> {
    fn record(
        name: String,
        module: &M,
        mode: Mode,
        x: Tensor<3>,
        forward: &impl Fn(&M, Tensor<3>) -> Tensor<3>,
    ) -> Self {
        let module = if mode == Mode::Trained { module.tracked() } else { module.clone() };
        let input = x.inner().autodiff().require_grad();
        let output = forward(&module, input.clone());
        Segment { name, module, mode, input, output }
    }

    fn back(mut self, gradient: Tensor<3>, gradients: &mut Gradients) -> Tensor<3> {
        // The sum of (output * gradient) has exactly `gradient` as its derivative by the output.
        let mut taken = (self.output * gradient.autodiff()).sum().backward();
        if self.mode == Mode::Trained {
            collect(&self.name, &mut self.module, &mut taken, gradients);
        }
        self.input.grad_remove(&mut taken).unwrap_or_else(|| self.input.inner().zeros_like())
    }
}

/// Moves the gradients of a tracked module from a finished backward pass into the sums.
pub fn collect(
    name: &str,
    module: &mut impl Parameters,
    taken: &mut burn::tensor::Gradients,
    gradients: &mut Gradients,
) {
    module.visit_parameters(name, &mut |name, mut parameter| {
        if let Some(values) = parameter.take_gradient(taken) {
            gradients.add(name, values);
        }
    });
}
