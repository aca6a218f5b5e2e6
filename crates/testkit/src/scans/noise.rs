//! Seeded randomness: a generator for each item, and value noise for texture.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The generator of one item: items do not change when others are added or left out.
pub(crate) fn generator(seed: u64, item: &str) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed ^ hash_of(item))
}

/// FNV-1a: a fixed hash, where the standard library's may change between versions.
pub(crate) fn hash_of(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

/// Smooth noise over the plane or space: values on a unit lattice, blended in between.
#[derive(Clone, Copy)]
pub(crate) struct Noise {
    pub(crate) seed: u64,
}

impl Noise {
    /// Between -1 and 1; features are about one unit wide.
    pub(crate) fn at(&self, x: f32, y: f32, z: f32) -> f32 {
        let cell = [x.floor(), y.floor(), z.floor()];
        let inside = [x - cell[0], y - cell[1], z - cell[2]].map(|t| t * t * (3.0 - 2.0 * t));
        let base = cell.map(|value| value as i64);
        let corner = |dx: i64, dy: i64, dz: i64| self.lattice([base[0] + dx, base[1] + dy, base[2] + dz]);
        let mix = |a: f32, b: f32, t: f32| a + (b - a) * t;
        let edge = |dy: i64, dz: i64| mix(corner(0, dy, dz), corner(1, dy, dz), inside[0]);
        let face = |dz: i64| mix(edge(0, dz), edge(1, dz), inside[1]);
        mix(face(0), face(1), inside[2])
    }

    /// Two octaves, for tissue that is uneven at several sizes.
    pub(crate) fn rough(&self, x: f32, y: f32, z: f32) -> f32 {
        0.65 * self.at(x, y, z) + 0.35 * self.at(2.3 * x + 17.0, 2.3 * y + 5.0, 2.3 * z)
    }

    /// splitmix64 over the lattice point.
    fn lattice(&self, [x, y, z]: [i64; 3]) -> f32 {
        let point = (x as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
            ^ (y as u64).wrapping_mul(0xC2B2_AE3D_27D4_EB4F)
            ^ (z as u64).wrapping_mul(0x1656_67B1_9E37_79F9);
        let mut bits = (point ^ self.seed).wrapping_add(0x9E37_79B9_7F4A_7C15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^= bits >> 31;
        (bits >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_stays_in_range_and_depends_on_the_seed() {
        let values = |seed| -> Vec<f32> {
            (0..1000).map(|i| Noise { seed }.rough(i as f32 * 0.37, i as f32 * 0.11, 0.5)).collect()
        };
        assert!(values(1).iter().all(|value| (-1.0..=1.0).contains(value)));
        assert_eq!(values(1), values(1));
        assert_ne!(values(1), values(2));
    }
}
