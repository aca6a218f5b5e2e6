//! A name for exactly these weights, taken while they are read.

use safetensors::tensor::Dtype;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Hashes of the parameters read so far, by the names that they have in this program.
#[derive(Default)]
pub(crate) struct Identity {
    tensors: BTreeMap<String, Sha256>,
}

impl Identity {
    /// The hash of a parameter, to be fed with its stored bytes.
    pub fn tensor(&mut self, name: &str, shape: &[usize], dtype: Dtype) -> &mut Sha256 {
        let tensor = self.tensors.entry(name.to_owned()).or_default();
        tensor.update(format!("{name} {dtype:?} {shape:?} "));
        tensor
    }

    /// SHA-256 over the config's text and all parameters, in hex.
    pub fn name(self, config: &str) -> String {
        let mut whole = Sha256::new();
        whole.update(Sha256::digest(config));
        for tensor in self.tensors.into_values() {
            whole.update(tensor.finalize());
        }
        whole.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
