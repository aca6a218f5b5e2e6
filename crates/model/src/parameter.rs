//! Walking over a module's parameters by their checkpoint names.
//!
//! burn's own `Module` carries ids and device state with each parameter; the trainer here needs only names and tensors.

use burn::tensor::{AllocationProperty, Bytes, DType, Device, Gradients, Tensor, TensorData, bf16};

/// A parameter of any rank, borrowed from its module.
pub enum ParameterMut<'a> {
    /// A vector.
    One(&'a mut Tensor<1>),
    /// A matrix.
    Two(&'a mut Tensor<2>),
    /// A learned query `[1, 1, D]`.
    Three(&'a mut Tensor<3>),
    /// A convolution kernel `[out, in, height, width]`.
    Four(&'a mut Tensor<4>),
}

macro_rules! each_rank {
    ($self:expr, $tensor:ident => $body:expr) => {
        match $self {
            ParameterMut::One($tensor) => $body,
            ParameterMut::Two($tensor) => $body,
            ParameterMut::Three($tensor) => $body,
            ParameterMut::Four($tensor) => $body,
        }
    };
}

impl ParameterMut<'_> {
    /// Sizes along each dimension.
    pub fn dims(&self) -> Vec<usize> {
        each_rank!(self, tensor => tensor.dims().to_vec())
    }

    /// Number of values.
    pub fn num_values(&self) -> usize {
        self.dims().iter().product()
    }

    /// The values in row-major order.
    pub fn to_vec(&self) -> Vec<f32> {
        self.reader()()
    }

    /// Gives the values when called. Shares the parameter's memory; a parameter that is replaced meanwhile does not change it.
    pub fn reader(&self) -> Box<dyn Fn() -> Vec<f32>> {
        each_rank!(self, tensor => {
            let tensor = (**tensor).clone();
            Box::new(move || {
                let data = tensor.clone().into_data().convert_dtype(DType::F32);
                data.try_to_vec::<f32>().expect("converted to f32")
            })
        })
    }

    /// Replaces the values; `values` must hold as many as before.
    pub fn set(&mut self, values: Vec<f32>, device: &Device) {
        self.replace(Resident::F32(values), device);
    }

    /// Replaces the values and their number format.
    pub fn replace(&mut self, values: Resident, device: &Device) {
        let dims = self.dims();
        let (data, dtype) = match values {
            Resident::F32(values) => (TensorData::new(values, dims), DType::F32),
            Resident::Bf16(values) => (TensorData::new(values, dims), DType::BF16),
            Resident::Mapped(bytes) => {
                let bytes = Bytes::from_shared(bytes, AllocationProperty::File);
                (TensorData::from_bytes(bytes, dims, DType::F32), DType::F32)
            }
        };
        each_rank!(self, tensor => **tensor = Tensor::from_data(data, (device, dtype)))
    }

    /// Starts recording: the parameter becomes a leaf whose gradient is kept.
    pub fn track(&mut self) {
        each_rank!(self, tensor => **tensor = (**tensor).clone().inner().autodiff().require_grad())
    }

    /// Takes this parameter's gradient, if the backward pass reached it.
    pub fn take_gradient(&mut self, gradients: &mut Gradients) -> Option<Vec<f32>> {
        each_rank!(self, tensor => tensor
            .grad_remove(gradients)
            .map(|gradient| gradient.into_data().try_to_vec::<f32>().expect("gradients are f32")))
    }
}

/// Values on their way into a parameter, in the number format that they keep.
pub enum Resident {
    /// Single precision.
    F32(Vec<f32>),
    /// Brain floats.
    Bf16(Vec<bf16>),
    /// Single precision in a mapped file: little-endian, aligned.
    Mapped(bytes::Bytes),
}

/// Something with named parameters.
pub trait Parameters {
    /// Calls `visit` with the name and tensor of each parameter, in a fixed order.
    fn visit_parameters(&mut self, name: &str, visit: &mut dyn FnMut(&str, ParameterMut<'_>));

    /// Number of values in all parameters.
    fn num_parameters(&self) -> usize
    where
        Self: Clone,
    {
        let mut total = 0;
        self.clone().visit_parameters("", &mut |_, parameter| total += parameter.num_values());
        total
    }

    /// A copy whose parameters record what is computed with them.
    fn tracked(&self) -> Self
    where
        Self: Clone,
    {
        let mut copy = self.clone();
        copy.visit_parameters("", &mut |_, mut parameter| parameter.track());
        copy
    }
}

/// `parent.child`, or `child` at the root.
pub fn join(parent: &str, child: &str) -> String {
    if parent.is_empty() { child.to_owned() } else { format!("{parent}.{child}") }
}

impl Parameters for Tensor<1> {
    fn visit_parameters(&mut self, name: &str, visit: &mut dyn FnMut(&str, ParameterMut<'_>)) {
        visit(name, ParameterMut::One(self));
    }
}

impl Parameters for Tensor<2> {
    fn visit_parameters(&mut self, name: &str, visit: &mut dyn FnMut(&str, ParameterMut<'_>)) {
        visit(name, ParameterMut::Two(self));
    }
}

impl Parameters for Tensor<3> {
    fn visit_parameters(&mut self, name: &str, visit: &mut dyn FnMut(&str, ParameterMut<'_>)) {
        visit(name, ParameterMut::Three(self));
    }
}

impl Parameters for Tensor<4> {
    fn visit_parameters(&mut self, name: &str, visit: &mut dyn FnMut(&str, ParameterMut<'_>)) {
        visit(name, ParameterMut::Four(self));
    }
}

impl<T: Parameters> Parameters for Option<T> {
    fn visit_parameters(&mut self, name: &str, visit: &mut dyn FnMut(&str, ParameterMut<'_>)) {
        if let Some(inner) = self {
            inner.visit_parameters(name, visit);
        }
    }
}

impl<T: Parameters> Parameters for Vec<T> {
    fn visit_parameters(&mut self, name: &str, visit: &mut dyn FnMut(&str, ParameterMut<'_>)) {
        for (index, item) in self.iter_mut().enumerate() {
            item.visit_parameters(&join(name, &index.to_string()), visit);
        }
    }
}

/// Implements [`Parameters`] for a struct: each listed field is visited under its own name.
macro_rules! parameters {
    ($type:ty { $($field:ident),+ $(,)? }) => {
        impl $crate::parameter::Parameters for $type {
            fn visit_parameters(&mut self, name: &str, visit: &mut dyn FnMut(&str, $crate::parameter::ParameterMut<'_>)) {
                $( self.$field.visit_parameters(&$crate::parameter::join(name, stringify!($field)), visit); )+
            }
        }
    };
}
pub(crate) use parameters;
