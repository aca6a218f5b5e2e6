//! Masks and label maps told from images by their values.

use super::files::{FileFacts, Holds};
use super::pairing;
use gmai_schema::Rgb8;
use std::collections::{BTreeMap, BTreeSet};

/// Share of pixels that must be almost black or almost white: JPEG masks are not exactly two-valued.
const MASK_SHARE: f64 = 0.97;

/// Whether a picture is grey with two values, or almost so.
pub(super) fn is_mask_like(picture: &Rgb8) -> bool {
    let mut histogram = [0u64; 256];
    for pixel in picture.pixels().chunks_exact(3) {
        if pixel.iter().max().zip(pixel.iter().min()).is_some_and(|(max, min)| max - min > 12) {
            return false;
        }
        histogram[usize::from(pixel[0])] += 1;
    }
    let total: u64 = histogram.iter().sum();
    let extreme: u64 = histogram[..32].iter().sum::<u64>() + histogram[224..].iter().sum::<u64>();
    let levels = histogram.iter().filter(|count| **count > 0).count();
    let black = histogram[..32].iter().sum::<u64>();
    levels <= 2 || (extreme as f64 >= MASK_SHARE * total as f64 && extreme > black && black > 0)
}

/// A label map has no more classes: the largest in use (TotalSegmentator) has 117.
const MAX_CLASSES: usize = 200;
/// Share of voxels that equal their neighbour in a label map; noise keeps images below it.
const FLAT_SHARE: f64 = 0.75;

/// What the values of a volume say about whether it is a label map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Likeness {
    /// An image.
    Image,
    /// Zeros alone: an image of nothing, or a map in which nothing is marked.
    Empty,
    /// Few whole numbers, scattered: the name must tell.
    Few,
    /// Few whole numbers in flat areas: a label map.
    Flat,
}

/// Judges values, x fastest, of rows of `width`.
pub(super) fn likeness(values: &[f32], width: usize) -> Likeness {
    let mut classes: BTreeSet<u16> = BTreeSet::new();
    let mut last = u16::MAX;
    for value in values {
        if value.fract() != 0.0 || !(0.0..=65_534.0).contains(value) {
            return Likeness::Image;
        }
        let class = *value as u16;
        if class != last {
            last = class;
            if classes.insert(class) && classes.len() > MAX_CLASSES {
                return Likeness::Image;
            }
        }
    }
    if classes.len() <= 1 {
        return if classes.first() == Some(&0) { Likeness::Empty } else { Likeness::Image };
    }
    let rows = values.chunks_exact(width.max(1));
    let equal: usize = rows.map(|row| row.windows(2).filter(|pair| pair[0] == pair[1]).count()).sum();
    let is_flat = classes.len() == 2 || equal as f64 >= FLAT_SHARE * values.len() as f64;
    if is_flat { Likeness::Flat } else { Likeness::Few }
}

/// Pictures that were not decoded are masks when most of those beside them are.
pub(super) fn guess_masks(files: &mut [FileFacts], decoded: &[bool]) {
    let mut votes: BTreeMap<(String, String), i64> = BTreeMap::new();
    let key = |file: &FileFacts| (file.folder().to_owned(), file.ending().to_owned());
    for (file, _) in files.iter().zip(decoded).filter(|(_, decoded)| **decoded) {
        if let Some(picture) = file.picture() {
            *votes.entry(key(file)).or_default() += if picture.mask_like { 1 } else { -1 };
        }
    }
    for (file, _) in files.iter_mut().zip(decoded).filter(|(_, decoded)| !**decoded) {
        let by_name = pairing::says_mask(&file.path);
        let likely = votes.get(&key(file)).map_or(by_name, |votes| *votes > 0);
        if let Holds::Picture(picture) = &mut file.holds {
            picture.mask_like = likely;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn label_maps_are_told_from_grey_volumes() {
        let flat: Vec<f32> = (0..600).map(|index| (index / 100) as f32).collect();
        let noise: Vec<f32> = (0..600).map(|index| ((index * 37) % 101) as f32).collect();
        let wide: Vec<f32> = (0..600).map(|index| ((index * 37) % 503) as f32).collect();
        assert_eq!(
            [&flat, &noise, &wide].map(|values| likeness(values, 10)),
            [Likeness::Flat, Likeness::Few, Likeness::Image]
        );
        assert_eq!(likeness(&[0.0, 0.5, 1.0, 1.0], 2), Likeness::Image, "fractions");
        assert_eq!([likeness(&[0.0; 8], 2), likeness(&[7.0; 8], 2)], [Likeness::Empty, Likeness::Image]);
        assert_eq!(likeness(&[-1.0, 0.0, f32::NAN], 3), Likeness::Image);
    }

    #[test]
    fn almost_black_and_white_is_a_mask() {
        let grey = |value: &dyn Fn(u32) -> u8| {
            let pixels = (0..100).flat_map(|index| [value(index); 3]).collect();
            Rgb8::new(10, 10, pixels).unwrap()
        };
        assert!(is_mask_like(&grey(&|index| if index < 40 { 250 } else { 3 })));
        assert!(!is_mask_like(&grey(&|index| (index * 2) as u8)));
        assert!(!is_mask_like(&Rgb8::filled(4, 4, [200, 10, 10])));
    }
}
