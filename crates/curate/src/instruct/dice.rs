//! Seeded choice, spelled out here so that a new version of a random-number library cannot change a dataset.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

/// The random numbers of one text.
#[derive(Clone)]
pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    /// Numbers that depend on the seed, the record, the slot and the copy, and on nothing else.
    pub(crate) fn new(seed: u64, record: &str, slot: &str, copy: usize) -> Dice {
        let mut hash = Sha256::new();
        hash.update(seed.to_le_bytes());
        for part in [record, slot] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        hash.update((copy as u64).to_le_bytes());
        Dice(ChaCha8Rng::from_seed(hash.finalize().into()))
    }

    /// A number from 0 to `count - 1`; 0 when `count` is 0.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        // Multiply and shift: the bias is below count / 2^64.
        ((u128::from(self.0.next_u64()) * count as u128) >> 64) as usize
    }

    /// True in a `share` of all draws.
    pub(crate) fn chance(&mut self, share: f32) -> bool {
        let fraction = (self.0.next_u64() >> 40) as f32 / (1u64 << 24) as f32; // 24 bits: what an f32 holds exactly.
        fraction < share
    }

    /// One of `items`; `None` when there is none.
    pub(crate) fn choose<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len()))
    }

    /// Brings `items` into random order (Fisher-Yates).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
