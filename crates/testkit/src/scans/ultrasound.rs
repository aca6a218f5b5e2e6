//! Ultrasound-like pictures: speckle in layers with one or two dark lesions, and the mask of the lesions beside them.

use super::canvas::{Canvas, Ellipse, fade};
use super::noise::{Noise, generator};
use super::{FolderSummary, ScanSet};
use crate::error::Result;
use crate::picture_file::write_grey_png;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use std::path::Path;

/// One or two lesions that do not touch, in shares of the picture.
fn draw_lesions(random: &mut ChaCha8Rng, count: usize) -> Vec<Ellipse> {
    (0..count)
        .map(|index| {
            // Each lesion keeps to its own part of the picture's width.
            let middle = (index as f32 + 0.5) / count as f32;
            let width = if count == 1 { 0.17 } else { 0.12 };
            let radii = [random.random_range(0.75 * width..width), random.random_range(0.08f32..0.13)];
            let centre = [middle + random.random_range(-0.06f32..0.06), random.random_range(0.35f32..0.65)];
            Ellipse { centre, radii, angle: random.random_range(-0.3..0.3), softness: 0.08 }
        })
        .collect()
}

fn shade(x: f32, y: f32, lesions: &[Ellipse], noise: Noise) -> f32 {
    // A fan-shaped field on black, as a curved probe shows it.
    let [dx, dy] = [x - 0.5, y + 0.35];
    let (distance, angle) = (dx.hypot(dy), dx.atan2(dy));
    let field = fade(angle.abs(), 0.58, 0.62) * fade((distance - 0.88).abs(), 0.46, 0.48);
    let layers = 0.5 + 0.12 * noise.at(x * 2.0, y * 14.0, 3.0) - 0.15 * (distance - 0.8);
    let mut echo = layers;
    for lesion in lesions {
        let shadow = fade((x - lesion.centre[0]).abs(), 0.6 * lesion.radii[0], lesion.radii[0]);
        if y > lesion.centre[1] {
            echo += 0.16 * shadow; // Enhancement behind fluid.
        }
        echo += (0.06 - echo) * lesion.cover(x, y);
    }
    // Speckle multiplies the echo: long across the beam, short along it.
    let speckle = noise.at(angle * 70.0, distance * 90.0, 0.0) + noise.at(angle * 43.0, distance * 61.0, 9.0);
    field * echo * (1.0 + 0.55 * speckle).max(0.0)
}

pub(super) fn write(dir: &Path, seed: u64, size: ScanSet) -> Result<FolderSummary> {
    let side = size.picture_size as u32;
    for index in 0..size.pictures {
        let name = format!("us_{:03}.png", index + 1);
        let mut random = generator(seed, &name);
        let lesions = draw_lesions(&mut random, if index % 4 == 3 { 2 } else { 1 });
        let noise = Noise { seed: random.random_range(0..u64::MAX) };
        let scale = size.picture_size as f32;
        let picture = Canvas::paint(size.picture_size, |x, y| [shade(x / scale, y / scale, &lesions, noise); 3]);
        write_grey_png(&dir.join("ultrasound/images").join(&name), side, side, &picture.grey())?;
        let inside = |x: f32, y: f32| lesions.iter().any(|lesion| lesion.reach(x / scale, y / scale) <= 1.0);
        let mask = Canvas::paint(size.picture_size, |x, y| if inside(x, y) { [1.0; 3] } else { [0.0; 3] });
        write_grey_png(&dir.join("ultrasound/masks").join(&name), side, side, &mask.grey())?;
    }
    let about = "ultrasound-like PNG; lesion masks beside them";
    Ok(FolderSummary { folder: "ultrasound", num_items: size.pictures, num_files: 2 * size.pictures, about })
}
