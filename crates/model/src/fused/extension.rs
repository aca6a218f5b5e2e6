//! The kernels as burn operations: one backend extension, with each operation's place in the tape.

use super::attention::AttentionLayout;
use super::elementwise;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{DType, Device, Shape, Tensor, TensorData};
use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops, OpsKind, unary};
use std::sync::Arc;

/// Kernels for backends whose tensors live in this process's memory.
#[backend_extension(Flex, Autodiff)]
pub trait HostKernels: Backend {
    /// `[N, W]` to `[N, H * C]`; see [`AttentionLayout::forward`].
    fn packed_attention(rows: FloatTensor<Self>, layout: Arc<AttentionLayout>) -> FloatTensor<Self>;

    /// See [`AttentionLayout::backward`].
    fn packed_attention_backward(
        rows: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        layout: Arc<AttentionLayout>,
    ) -> FloatTensor<Self>;

    /// See [`elementwise::swiglu`].
    fn swiglu(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self>;

    /// See [`elementwise::swiglu_backward`].
    fn swiglu_backward(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// See [`elementwise::quick_gelu`].
    fn quick_gelu(x: FloatTensor<Self>) -> FloatTensor<Self>;

    /// See [`elementwise::quick_gelu_backward`].
    fn quick_gelu_backward(x: FloatTensor<Self>, gradient: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl HostKernels for Flex {
    fn packed_attention(rows: FloatTensor<Self>, layout: Arc<AttentionLayout>) -> FloatTensor<Self> {
        let rows = rows.to_contiguous();
        let width = layout.num_heads() * layout.head_dim;
        tensor(layout.forward(values(&rows)), [rows.shape()[0], width].into())
    }

    fn packed_attention_backward(
        rows: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        layout: Arc<AttentionLayout>,
    ) -> FloatTensor<Self> {
        let (rows, gradient) = (rows.to_contiguous(), gradient.to_contiguous());
        tensor(layout.backward(values(&rows), values(&gradient)), rows.shape())
    }

    fn swiglu(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self> {
        let (a, b) = (a.to_contiguous(), b.to_contiguous());
        tensor(elementwise::swiglu(values(&a), values(&b)), a.shape())
    }

    fn swiglu_backward(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (a, b, gradient) = (a.to_contiguous(), b.to_contiguous(), gradient.to_contiguous());
        let [da, db] = elementwise::swiglu_backward(values(&a), values(&b), values(&gradient));
        (tensor(da, a.shape()), tensor(db, b.shape()))
    }

    fn quick_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let x = x.to_contiguous();
        tensor(elementwise::quick_gelu(values(&x)), x.shape())
    }

    fn quick_gelu_backward(x: FloatTensor<Self>, gradient: FloatTensor<Self>) -> FloatTensor<Self> {
        let (x, gradient) = (x.to_contiguous(), gradient.to_contiguous());
        tensor(elementwise::quick_gelu_backward(values(&x), values(&gradient)), x.shape())
    }
}

fn values(tensor: &FloatTensor<Flex>) -> &[f32] {
    tensor.as_slice::<f32>().expect("contiguous f32 values")
}

fn tensor(values: Vec<f32>, shape: Shape) -> FloatTensor<Flex> {
    FloatTensor::<Flex>::from_data(TensorData::new(values, shape))
}

impl<B: HostKernels, C: CheckpointStrategy> HostKernels for Autodiff<B, C> {
    fn packed_attention(rows: FloatTensor<Self>, layout: Arc<AttentionLayout>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct PackedAttention;

        impl<B: HostKernels> Backward<B, 1> for PackedAttention {
            type State = (FloatTensor<B>, Arc<AttentionLayout>);

            fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
                let (rows, layout) = ops.state;
                unary::<B, _>(ops.parents, ops.node, grads, |gradient| {
                    B::packed_attention_backward(rows, gradient, layout)
                });
            }
        }

        match PackedAttention.prepare::<C>([rows.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let rows = rows.into_primitive();
                prep.finish((rows.clone(), layout.clone()), B::packed_attention(rows, layout))
            }
            OpsKind::UnTracked(prep) => prep.finish(B::packed_attention(rows.into_primitive(), layout)),
        }
    }

    fn swiglu(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct SwiGlu;

        impl<B: HostKernels> Backward<B, 2> for SwiGlu {
            type State = [FloatTensor<B>; 2];

            fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
                let [a, b] = ops.state;
                let gradient = grads.consume::<B>(&ops.node);
                let (da, db) = B::swiglu_backward(a, b, gradient);
                for (parent, gradient) in ops.parents.into_iter().zip([da, db]) {
                    if let Some(parent) = parent {
                        grads.register::<B>(parent.id, gradient);
                    }
                }
            }
        }

        match SwiGlu.prepare::<C>([a.node(), b.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (a, b) = (a.into_primitive(), b.into_primitive());
                prep.finish([a.clone(), b.clone()], B::swiglu(a, b))
            }
            OpsKind::UnTracked(prep) => prep.finish(B::swiglu(a.into_primitive(), b.into_primitive())),
        }
    }

    fn quick_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct QuickGelu;

        impl<B: HostKernels> Backward<B, 1> for QuickGelu {
            type State = FloatTensor<B>;

            fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
                let x = ops.state;
                unary::<B, _>(ops.parents, ops.node, grads, |gradient| B::quick_gelu_backward(x, gradient));
            }
        }

        match QuickGelu.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let x = x.into_primitive();
                prep.finish(x.clone(), B::quick_gelu(x))
            }
            OpsKind::UnTracked(prep) => prep.finish(B::quick_gelu(x.into_primitive())),
        }
    }

    // The functions below are only reached by differentiating a gradient, which nothing here does: their results are constants.

    fn packed_attention_backward(
        rows: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        layout: Arc<AttentionLayout>,
    ) -> FloatTensor<Self> {
        Self::from_inner(B::packed_attention_backward(rows.into_primitive(), gradient.into_primitive(), layout))
    }

    fn swiglu_backward(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (da, db) = B::swiglu_backward(a.into_primitive(), b.into_primitive(), gradient.into_primitive());
        (Self::from_inner(da), Self::from_inner(db))
    }

    fn quick_gelu_backward(x: FloatTensor<Self>, gradient: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::from_inner(B::quick_gelu_backward(x.into_primitive(), gradient.into_primitive()))
    }
}

/// Whether tensors on `device` can take the kernels.
pub fn is_available(device: &Device) -> bool {
    device.clone().without_autodiff() == Device::flex()
}

/// Whether the kernels take `x`: f32 in this process's memory.
pub fn takes<const D: usize>(x: &Tensor<D>) -> bool {
    x.dtype() == DType::F32 && is_available(&x.device())
}

/// Projected rows `[N, W]` to mixed heads `[N, H * C]`, recorded when `rows` is.
pub fn packed_attention(rows: Tensor<2>, layout: Arc<AttentionLayout>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::packed_attention(rows.into_dispatch(), layout))
}

/// `silu(a) * b`, recorded when either is.
pub fn swiglu(a: Tensor<3>, b: Tensor<3>) -> Tensor<3> {
    Tensor::from_dispatch(Dispatch::swiglu(a.into_dispatch(), b.into_dispatch()))
}

/// `x * sigmoid(1.702 x)`, recorded when `x` is.
pub fn quick_gelu(x: Tensor<3>) -> Tensor<3> {
    Tensor::from_dispatch(Dispatch::quick_gelu(x.into_dispatch()))
}
