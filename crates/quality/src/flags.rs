//! What is odd about a single picture, from its pixels alone.

use crate::fingerprint::{Fingerprint, luma};
use gmai_schema::Rgb8;
use serde::Serialize;

/// An oddity of a picture. None is a defect by itself: a person decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// One value, but for a handful of pixels.
    Blank,
    /// Hardly any structure.
    NearlyConstant,
    /// Nearly all pixels are black.
    VeryDark,
    /// Nearly all pixels are white.
    VeryBright,
    /// Few grey levels between the darkest and the brightest parts.
    LowContrast,
    /// A short side of less than 32 pixels.
    Tiny,
    /// Edges of 8 x 8 blocks stand out: heavy JPEG compression.
    Blocky,
    /// A chest X-ray whose mirror axis lies level: it probably lies on its side.
    Sideways,
}

impl Flag {
    /// Every flag.
    pub const ALL: [Flag; 8] = [
        Flag::Blank,
        Flag::NearlyConstant,
        Flag::VeryDark,
        Flag::VeryBright,
        Flag::LowContrast,
        Flag::Tiny,
        Flag::Blocky,
        Flag::Sideways,
    ];

    /// The flag in words.
    pub fn words(self) -> &'static str {
        match self {
            Flag::Blank => "blank",
            Flag::NearlyConstant => "nearly constant",
            Flag::VeryDark => "very dark",
            Flag::VeryBright => "very bright",
            Flag::LowContrast => "low contrast",
            Flag::Tiny => "tiny",
            Flag::Blocky => "JPEG blocks visible",
            Flag::Sideways => "chest X-ray on its side, suspected",
        }
    }
}

/// Short side below which nothing can be made out.
const TINY_SIDE: u32 = 32;
/// Share of pixels of one value from which a picture is blank.
const BLANK_SHARE: f64 = 0.999;
/// Standard deviation, in grey levels, below which a picture is nearly constant.
const CONSTANT_SPREAD: f64 = 3.0;
/// Grey level below which 99 % of the pixels of a very dark picture lie.
const DARK_LEVEL: usize = 40;
/// Grey level above which 99 % of the pixels of a very bright picture lie.
const BRIGHT_LEVEL: usize = 215;
/// Grey levels between the 1st and the 99th percentile of a picture of low contrast.
const LOW_CONTRAST: usize = 32;
/// Bends across block edges against bends within blocks. An ultrasound picture has 0.9 uncompressed, 1.3 at JPEG quality 90, 2.3 at 50,
/// 3.4 at 20, 4.6 at 10 and 6.0 at 5.
const BLOCK_RATIO: f64 = 3.2;
/// Sides from which blocks are looked for: small pictures have too few edges.
const MIN_BLOCK_SIDE: u32 = 64;
/// By how much the symmetry about a level axis must exceed that about an upright one. Of 20 NIH pictures the 9 that lie have 0.47 and
/// more, the others -0.32 and less; of 40 upright bedside pictures of another hospital, 8 have more: it is a suspicion, not a finding.
const SIDEWAYS_MARGIN: f32 = 0.45;

/// Whether a picture is known to show a chest X-ray.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shows {
    /// A chest X-ray, frontal or lateral.
    ChestXRay,
    /// Something else, or nobody knows.
    Anything,
}

/// What is odd about a picture.
pub fn flags(picture: &Rgb8, print: &Fingerprint, shows: Shows) -> Vec<Flag> {
    let grey: Vec<u8> = picture.pixels().chunks_exact(3).map(|pixel| (luma(pixel) / 1000) as u8).collect();
    let mut histogram = [0_u64; 256];
    for value in &grey {
        histogram[usize::from(*value)] += 1;
    }
    let count = grey.len() as f64;
    let percentile = |share: f64| {
        let mut below = 0.0;
        histogram.iter().position(|number| {
            below += *number as f64 / count;
            below >= share
        })
    };
    let (low, high) = (percentile(0.01).unwrap_or(0), percentile(0.99).unwrap_or(255));
    let mean = grey.iter().map(|value| f64::from(*value)).sum::<f64>() / count;
    let spread = (grey.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>() / count).sqrt();
    let most = histogram.iter().max().copied().unwrap_or(0) as f64 / count;
    let mut found = Vec::new();
    // One flag says why nothing can be seen; the weaker ones would repeat it.
    if most >= BLANK_SHARE {
        found.push(Flag::Blank);
    } else if spread < CONSTANT_SPREAD {
        found.push(Flag::NearlyConstant);
    } else if high < DARK_LEVEL {
        found.push(Flag::VeryDark);
    } else if low > BRIGHT_LEVEL {
        found.push(Flag::VeryBright);
    } else if high - low < LOW_CONTRAST {
        found.push(Flag::LowContrast);
    }
    if picture.width().min(picture.height()) < TINY_SIDE {
        found.push(Flag::Tiny);
    }
    if block_ratio(&grey, picture.width() as usize).is_some_and(|ratio| ratio > BLOCK_RATIO) {
        found.push(Flag::Blocky);
    }
    let [upright, level] = print.symmetry();
    if shows == Shows::ChestXRay && print.is_telling() && level - upright > SIDEWAYS_MARGIN {
        found.push(Flag::Sideways);
    }
    found
}

/// Mean bend of the grey values at the edges of 8 x 8 blocks, against the mean bend elsewhere; `None` for small or flat pictures.
///
/// A bend is by how much a step differs from the mean of the steps beside it: a slope has none, however steep.
fn block_ratio(grey: &[u8], width: usize) -> Option<f64> {
    let height = grey.len() / width;
    if width.min(height) < MIN_BLOCK_SIDE as usize {
        return None;
    }
    let (mut edges, mut inside) = ([0_u64; 2], [0_u64; 2]);
    // Four neighbours, `stride` apart; the step between the second and the third is looked at.
    let bend = |start: usize, stride: usize| {
        let value = |index: usize| i32::from(grey[start + index * stride]);
        let [before, step, after] = [value(1) - value(0), value(2) - value(1), value(3) - value(2)];
        (2 * step - before - after).unsigned_abs()
    };
    let mut add = |is_edge: bool, bend: u32| {
        let sums = if is_edge { &mut edges } else { &mut inside };
        sums[0] += u64::from(bend);
        sums[1] += 1;
    };
    for y in 0..height {
        for x in 0..width {
            if x + 3 < width {
                add((x + 2) % 8 == 0, bend(y * width + x, 1));
            }
            if y + 3 < height {
                add((y + 2) % 8 == 0, bend(y * width + x, width));
            }
        }
    }
    let mean = |sums: [u64; 2]| sums[0] as f64 / sums[1].max(1) as f64;
    // Below a tenth of a level there is nothing to compare.
    (mean(inside) > 0.1).then(|| mean(edges) / mean(inside))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::fingerprint::tests::picture;

    fn of(picture: &Rgb8) -> Vec<Flag> {
        flags(picture, &Fingerprint::of(picture), Shows::Anything)
    }

    fn mapped(picture: &Rgb8, map: impl Fn(u8) -> u8) -> Rgb8 {
        let pixels = picture.pixels().iter().map(|byte| map(*byte)).collect();
        Rgb8::new(picture.width(), picture.height(), pixels).unwrap()
    }

    #[test]
    fn each_oddity_is_named_once() {
        let sound = picture(1, 128, 96);
        assert!(of(&sound).is_empty());
        assert_eq!(of(&Rgb8::filled(64, 64, [0; 3])), [Flag::Blank]);
        assert_eq!(of(&mapped(&sound, |byte| 100 + byte / 64)), [Flag::NearlyConstant]);
        assert_eq!(of(&mapped(&sound, |byte| byte / 8)), [Flag::VeryDark]);
        assert_eq!(of(&mapped(&sound, |byte| 220 + byte / 8)), [Flag::VeryBright]);
        assert_eq!(of(&mapped(&sound, |byte| 100 + byte / 9)), [Flag::LowContrast]);
        assert_eq!(of(&picture(1, 31, 80)), [Flag::Tiny]);
    }

    #[test]
    fn heavy_compression_shows_its_blocks_and_light_compression_does_not() {
        let noise = |index: u32| (index.wrapping_mul(2_654_435_761) >> 24) as u8 / 8;
        let smooth = picture(2, 256, 256);
        let pixels = smooth
            .pixels()
            .iter()
            .enumerate()
            .map(|(index, byte)| byte.saturating_add(noise(index as u32 / 3)))
            .collect();
        let grainy = Rgb8::new(256, 256, pixels).unwrap();
        let compressed = |quality: u8| {
            let mut bytes = Vec::new();
            let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, quality);
            image::ImageEncoder::write_image(encoder, grainy.pixels(), 256, 256, image::ExtendedColorType::Rgb8)
                .unwrap();
            let decoded = image::load_from_memory(&bytes).unwrap().into_rgb8();
            Rgb8::new(256, 256, decoded.into_raw()).unwrap()
        };
        assert_eq!(of(&compressed(5)), [Flag::Blocky]);
        assert!(of(&compressed(90)).is_empty());
    }

    #[test]
    fn only_chest_x_rays_lie_on_their_side() {
        // Symmetric about a level axis, as a chest on its side is.
        let grey = |x: u32, y: u32| {
            (f64::from(x) * 1.9 + 40.0 * (f64::from(y.abs_diff(63)) / 9.0).cos()).clamp(0.0, 255.0) as u8
        };
        let pixels = (0..128 * 127).flat_map(|index| [grey(index % 128, index / 128); 3]).collect();
        let lying = Rgb8::new(128, 127, pixels).unwrap();
        assert_eq!(flags(&lying, &Fingerprint::of(&lying), Shows::ChestXRay), [Flag::Sideways]);
        assert!(of(&lying).is_empty());
    }
}
