//! Which pictures are the same, or nearly: they must stay on one side of the split.

use crate::inputs::hash_of;
use gmai_schema::Rgb8;
use std::collections::BTreeMap;

/// Side of the thumbnail that confirms a suspicion.
const THUMBNAIL_SIDE: usize = 16;

/// Difference hashes may differ in this many of 64 bits: recompression and small resizing move one or two.
const MAX_HASH_DISTANCE: u32 = 2;

/// Bit ranges of the hash by which candidates are found: with three parts and at most two wrong bits, one part is equal.
const HASH_PARTS: [(u32, u64); 3] = [(0, (1 << 22) - 1), (22, (1 << 21) - 1), (43, (1 << 21) - 1)];

/// Mean difference of two thumbnails, in grey levels, up to which pictures count as nearly the same. On the seventeen open sources this
/// finds the five ultrasound pictures that are known to lie in two class folders, and no other pair with contradicting labels.
const MAX_THUMBNAIL_DIFFERENCE: f32 = 2.0;

/// What is kept of a picture to compare it with others.
#[derive(Debug, Clone)]
pub(crate) struct Fingerprint {
    /// SHA-256 over size and pixels.
    pub(crate) pixels: String,
    /// 64-bit difference hash: whether each cell of a 9 x 8 grid is darker than its right neighbour.
    difference_hash: u64,
    thumbnail: Vec<u8>,
    mean: f32,
}

/// Mean grey of each cell of a grid laid over the picture.
fn grid(picture: &Rgb8, columns: usize, rows: usize) -> Vec<f32> {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let range = |index: usize, count: usize, size: usize| {
        let start = (index * size / count).min(size - 1);
        start..((index + 1) * size / count).clamp(start + 1, size)
    };
    let mut cells = Vec::with_capacity(columns * rows);
    for row in 0..rows {
        for column in 0..columns {
            let (xs, ys) = (range(column, columns, width), range(row, rows, height));
            let num_pixels = (xs.len() * ys.len()) as f32;
            let sum: u64 = ys
                .map(|y| {
                    let line = &picture.pixels()[(y * width + xs.start) * 3..(y * width + xs.end) * 3];
                    line.chunks_exact(3).map(luma).sum::<u64>()
                })
                .sum();
            cells.push(sum as f32 / 1000.0 / num_pixels);
        }
    }
    cells
}

/// Brightness (ITU-R BT.601) in thousandths of a grey level.
fn luma(pixel: &[u8]) -> u64 {
    299 * u64::from(pixel[0]) + 587 * u64::from(pixel[1]) + 114 * u64::from(pixel[2])
}

impl Fingerprint {
    /// The fingerprint of a picture.
    pub(crate) fn of(picture: &Rgb8) -> Fingerprint {
        let cells = grid(picture, 9, 8);
        let bit = |index: usize| {
            let cell = index / 8 * 9 + index % 8;
            u64::from(cells[cell] < cells[cell + 1]) << index
        };
        let thumbnail = grid(picture, THUMBNAIL_SIDE, THUMBNAIL_SIDE);
        let mean = thumbnail.iter().sum::<f32>() / thumbnail.len() as f32;
        Fingerprint {
            pixels: hash_of_pixels(picture),
            difference_hash: (0..64).map(bit).sum(),
            thumbnail: thumbnail.iter().map(|grey| grey.round() as u8).collect(),
            mean,
        }
    }

    /// Whether two pictures are nearly the same.
    fn resembles(&self, other: &Fingerprint) -> bool {
        if (self.difference_hash ^ other.difference_hash).count_ones() > MAX_HASH_DISTANCE {
            return false;
        }
        let pairs = self.thumbnail.iter().zip(&other.thumbnail);
        let difference: f32 = pairs.map(|(first, second)| f32::from(first.abs_diff(*second))).sum();
        difference / self.thumbnail.len() as f32 <= MAX_THUMBNAIL_DIFFERENCE
    }
}

fn hash_of_pixels(picture: &Rgb8) -> String {
    use sha2::{Digest, Sha256};
    let mut hasher = Sha256::new();
    hasher.update(picture.width().to_le_bytes());
    hasher.update(picture.height().to_le_bytes());
    hasher.update(picture.pixels());
    let digest: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    hash_of(&[&digest])
}

/// Pairs of indices of nearly equal pictures. Entries without a fingerprint resemble nothing.
pub(crate) fn near_pairs(prints: &[Option<&Fingerprint>]) -> Vec<[usize; 2]> {
    let mut pairs = Vec::new();
    for (shift, mask) in HASH_PARTS {
        let mut buckets: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (index, print) in prints.iter().enumerate() {
            if let Some(print) = print {
                buckets.entry(print.difference_hash >> shift & mask).or_default().push(index);
            }
        }
        for bucket in buckets.into_values().filter(|bucket| bucket.len() > 1) {
            sweep(prints, bucket, &mut pairs);
        }
    }
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

/// Compares the pictures of a bucket with those of nearly the same brightness: a bucket of dark pictures may be large.
fn sweep(prints: &[Option<&Fingerprint>], bucket: Vec<usize>, pairs: &mut Vec<[usize; 2]>) {
    let mut sorted: Vec<(&Fingerprint, usize)> =
        bucket.into_iter().filter_map(|index| Some((prints[index]?, index))).collect();
    sorted.sort_by(|first, second| first.0.mean.total_cmp(&second.0.mean).then(first.1.cmp(&second.1)));
    // Rounding of the thumbnail can hide up to one grey level of the means' distance.
    let reach = MAX_THUMBNAIL_DIFFERENCE + 1.0;
    for (position, (print, index)) in sorted.iter().enumerate() {
        let near = sorted[position + 1..].iter().take_while(|(other, _)| other.mean - print.mean <= reach);
        for (other, other_index) in near {
            if print.resembles(other) {
                pairs.push([*index.min(other_index), *index.max(other_index)]);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A smooth picture that depends on `seed`.
    fn picture(seed: u32, size: u32) -> Rgb8 {
        let wave = |x: f64, y: f64| {
            let phase = f64::from(seed);
            127.0 + 60.0 * (x * (5.0 + phase) + phase).sin() + 60.0 * (y * (7.0 - phase) + 2.0 * phase).cos()
        };
        let pixel = |index: u32| {
            let (x, y) = (f64::from(index % size) / f64::from(size), f64::from(index / size) / f64::from(size));
            [wave(x, y) as u8; 3]
        };
        Rgb8::new(size, size, (0..size * size).flat_map(pixel).collect()).unwrap()
    }

    fn pairs(pictures: &[Rgb8]) -> Vec<[usize; 2]> {
        let prints: Vec<Fingerprint> = pictures.iter().map(Fingerprint::of).collect();
        near_pairs(&prints.iter().map(Some).collect::<Vec<_>>())
    }

    #[test]
    fn resized_and_slightly_changed_copies_are_found() {
        let original = picture(1, 128);
        let mut noisy = original.pixels().to_vec();
        noisy.iter_mut().step_by(17).for_each(|byte| *byte = byte.saturating_add(3));
        let noisy = Rgb8::new(128, 128, noisy).unwrap();
        assert_eq!(pairs(&[original, picture(2, 128), noisy, picture(1, 96)]), [[0, 2], [0, 3], [2, 3]]);
    }

    #[test]
    fn flat_pictures_of_different_brightness_are_not_the_same() {
        let flat = |grey: u8| Rgb8::filled(20, 20, [grey; 3]);
        assert_eq!(pairs(&[flat(0), flat(100), flat(200), flat(100)]), [[1, 3]]);
    }

    #[test]
    fn tiny_pictures_have_a_fingerprint() {
        let print = Fingerprint::of(&Rgb8::filled(1, 2, [3; 3]));
        assert_eq!(print.thumbnail, vec![3; 256]);
    }
}
