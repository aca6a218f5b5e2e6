//! Fresh weights: each parameter is drawn from its own stream, seeded by its name, so the order of creation never matters.

use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Makes parameters for modules that start from nothing.
pub struct Initialiser {
    seed: Option<u64>,
    device: Device,
}

impl Initialiser {
    /// Parameters drawn from `seed` on `device`.
    pub fn new(seed: u64, device: &Device) -> Initialiser {
        Initialiser { seed: Some(seed), device: device.clone() }
    }

    /// Parameters that have a shape and take no memory, for a module whose values are all replaced.
    pub fn shapes_only(device: &Device) -> Initialiser {
        Initialiser { seed: None, device: device.clone() }
    }

    /// Normal values with mean 0 and the given standard deviation.
    pub fn normal<const D: usize>(&self, name: &str, dims: [usize; D], deviation: f64) -> Tensor<D> {
        let Some(seed) = self.seed else { return self.shape(dims) };
        // FNV-1a: any fixed hash would do, it only has to differ between names.
        let stream = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ stream);
        let values: Vec<f32> =
            (0..dims.iter().product()).map(|_| (standard_normal(&mut rng) * deviation) as f32).collect();
        Tensor::from_data(TensorData::new(values, dims), &self.device)
    }

    /// One value throughout.
    pub fn constant<const D: usize>(&self, dims: [usize; D], value: f32) -> Tensor<D> {
        match self.seed {
            Some(_) => Tensor::full(dims, value, &self.device),
            None => self.shape(dims),
        }
    }

    /// One value, seen as many.
    fn shape<const D: usize>(&self, dims: [usize; D]) -> Tensor<D> {
        Tensor::<D>::zeros([1; D], &self.device).expand(dims)
    }
}

/// One draw by the Box-Muller transform.
fn standard_normal(rng: &mut ChaCha8Rng) -> f64 {
    let radius: f64 = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    let angle = 2.0 * std::f64::consts::PI * rng.random::<f64>();
    radius * angle.cos()
}
