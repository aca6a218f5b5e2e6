//! A tensor's values without a copy.

use burn::backend::tensor::FloatTensor;
use burn::backend::{BackendTensor, DispatchTensorKind, Flex};
use burn::tensor::{DType, Tensor, TensorData};

/// f32 values in this process's memory, kept alive; sharing them costs nothing.
#[derive(Clone)]
pub(crate) struct View {
    tensor: FloatTensor<Flex>,
}

impl View {
    /// The values of `tensor`; `None` when they lie elsewhere, have another number format, or are being recorded.
    pub fn of<const D: usize>(tensor: &Tensor<D>) -> Option<View> {
        if tensor.dtype() != DType::F32 {
            return None;
        }
        match tensor.clone().into_dispatch().kind {
            DispatchTensorKind::Flex(BackendTensor::Float(tensor)) => Some(View { tensor: tensor.to_contiguous() }),
            _ => None,
        }
    }

    /// In row-major order.
    pub fn values(&self) -> &[f32] {
        self.tensor.as_slice::<f32>().expect("contiguous f32 values")
    }
}

/// Values as a tensor of the CPU engine, without a copy.
pub(crate) fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), &crate::device::cpu())
}
