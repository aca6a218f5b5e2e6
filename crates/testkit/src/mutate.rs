//! Damaged copies of files, for tests of readers: from a seed, so that a crash that is found can be found again.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Where headers stand in most formats, in bytes: half of all changes fall here.
const HEADER_BYTES: usize = 512;
/// Changes made to one copy.
const MAX_CHANGES: u32 = 4;
/// Numbers at which arithmetic goes wrong.
const BOUNDARIES: [u64; 10] = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0xFFFF_FFF0, 0xFFFF_FFFF_FFFF_FFFF];

/// The damaged copy number `index` of `bytes`: up to four changes (bits, bytes, numbers, parts lost, doubled or moved).
/// Equal seeds and indices give equal copies.
pub fn mutant(bytes: &[u8], seed: u64, index: u64) -> Vec<u8> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(index);
    let mut copy = bytes.to_vec();
    for _ in 0..random.random_range(1..=MAX_CHANGES) {
        if copy.is_empty() {
            break;
        }
        change(&mut copy, &mut random);
    }
    copy
}

fn change(copy: &mut Vec<u8>, random: &mut ChaCha8Rng) {
    let reach = if random.random_bool(0.5) { copy.len().min(HEADER_BYTES) } else { copy.len() };
    let at = random.random_range(0..reach);
    let length = random.random_range(1..=64usize).min(copy.len() - at);
    match random.random_range(0..8u32) {
        0 => copy[at] ^= 1 << random.random_range(0..8u32),
        1 => copy[at] = random.random(),
        2 | 3 => {
            let number = BOUNDARIES[random.random_range(0..BOUNDARIES.len())];
            let width = [1, 2, 4, 8][random.random_range(0..4usize)].min(copy.len() - at);
            let bytes = if random.random_bool(0.5) {
                number.to_le_bytes()
            } else {
                number.rotate_right(8 * width as u32).to_be_bytes()
            };
            copy[at..at + width].copy_from_slice(&bytes[..width]);
        }
        4 => copy.truncate(at),
        5 => drop(copy.drain(at..at + length)),
        6 => {
            let part = copy[at..at + length].to_vec();
            let to = random.random_range(0..=copy.len());
            copy.splice(to..to, part);
        }
        _ => copy[at..at + length].fill(if random.random_bool(0.5) { 0 } else { 0xFF }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_come_back_by_their_number_and_differ() {
        let bytes: Vec<u8> = (0..=255).collect();
        let copies: std::collections::BTreeSet<Vec<u8>> = (0..100).map(|index| mutant(&bytes, 7, index)).collect();
        assert!(copies.len() > 90, "{} of 100 copies differ", copies.len());
        assert_eq!(mutant(&bytes, 7, 42), mutant(&bytes, 7, 42));
        assert!(mutant(&[], 7, 0).is_empty());
    }
}
