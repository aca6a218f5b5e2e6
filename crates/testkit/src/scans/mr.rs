//! MR-like head volumes with label maps: a bright structure on each side, in half of the patients a lesion.

use super::FolderSummary;
use super::canvas::fade;
use super::noise::{Noise, generator};
use crate::error::Result;
use crate::nifti_file::{NiftiImage, NiftiVoxels, write_nifti};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use std::path::Path;

const DIMS: [usize; 3] = [40, 40, 32];
/// Distance between voxels in mm.
const STEP: f32 = 5.0;

const LEFT: u8 = 1;
const RIGHT: u8 = 2;
const LESION: u8 = 3;

struct Body {
    centre: [f32; 3],
    radii: [f32; 3],
    class: u8,
    brightness: f32,
}

impl Body {
    fn reach(&self, place: [f32; 3]) -> f32 {
        (0..3).map(|axis| ((place[axis] - self.centre[axis]) / self.radii[axis]).powi(2)).sum::<f32>().sqrt()
    }
}

/// One patient's anatomy; mm in RAS (x to the right), origin in the middle of the head.
struct Anatomy {
    head: [f32; 3],
    bodies: Vec<Body>,
    noise: Noise,
}

impl Anatomy {
    fn draw(random: &mut ChaCha8Rng, with_lesion: bool) -> Anatomy {
        let mut bodies = Vec::new();
        for (class, side) in [(LEFT, -1.0), (RIGHT, 1.0)] {
            let mut vary = |value: f32| value * random.random_range(0.88f32..1.12);
            let centre = [side * vary(36.0), vary(8.0), vary(-8.0)];
            bodies.push(Body { centre, radii: [vary(15.0), vary(28.0), vary(18.0)], class, brightness: 900.0 });
        }
        if with_lesion {
            let side = if random.random_range(0..2) == 0 { -1.0 } else { 1.0 };
            let centre = [side * random.random_range(18.0f32..30.0), random.random_range(-50.0f32..-38.0), 14.0];
            bodies.push(Body {
                centre,
                radii: [random.random_range(14.0f32..19.0); 3],
                class: LESION,
                brightness: 150.0,
            });
        }
        let head = [random.random_range(72.0..80.0), random.random_range(86.0..94.0), random.random_range(70.0..76.0)];
        Anatomy { head, bodies, noise: Noise { seed: random.random_range(0..u64::MAX) } }
    }

    fn value(&self, place: [f32; 3]) -> f32 {
        let head = (0..3).map(|axis| (place[axis] / self.head[axis]).powi(2)).sum::<f32>().sqrt();
        let mut value = 20.0;
        let mut lay = |cover: f32, brightness: f32| value += (brightness - value) * cover;
        lay(fade(head, 0.98, 1.05), 700.0); // Scalp.
        lay(fade(head, 0.90, 0.94), 60.0); // Skull.
        lay(fade(head, 0.82, 0.87), 430.0); // Brain.
        for body in &self.bodies {
            lay(fade(body.reach(place), 0.88, 1.12), body.brightness);
        }
        let grain = self.noise.rough(place[0] / 9.0, place[1] / 9.0, place[2] / 9.0);
        (value * (1.0 + 0.12 * grain)).max(0.0)
    }

    fn class(&self, place: [f32; 3]) -> u8 {
        // Later bodies lie over earlier ones, as in `value`.
        self.bodies.iter().rev().find(|body| body.reach(place) <= 1.0).map_or(0, |body| body.class)
    }
}

pub(super) fn write(dir: &Path, seed: u64, patients: usize) -> Result<FolderSummary> {
    for index in 0..patients {
        let name = format!("mr_{:03}.nii.gz", index + 1);
        let mut random = generator(seed, &name);
        let anatomy = Anatomy::draw(&mut random, index % 2 == 1);
        // Every third file runs from right to left, as many scanners and converters write it.
        let direction = if index % 3 == 2 { -1.0 } else { 1.0 };
        let affine = affine(direction);
        let places = || places(affine);
        let image = NiftiImage {
            affine,
            ..NiftiImage::new(DIMS, NiftiVoxels::I16(places().map(|place| anatomy.value(place) as i16).collect()))
        };
        write_nifti(&dir.join("mr/images").join(&name), &image)?;
        let labels = NiftiImage {
            affine,
            ..NiftiImage::new(DIMS, NiftiVoxels::U8(places().map(|place| anatomy.class(place)).collect()))
        };
        write_nifti(&dir.join("mr/labels").join(&name), &labels)?;
    }
    let about = "MR-like NIfTI volumes; label maps with left and right structure and lesion";
    Ok(FolderSummary { folder: "mr", num_items: patients, num_files: 2 * patients, about })
}

/// 5 mm voxels around the origin; the first axis runs to the right (1) or to the left (-1).
fn affine(direction: f32) -> [[f32; 4]; 3] {
    let half = DIMS.map(|size| (size - 1) as f32 / 2.0 * STEP);
    [[direction * STEP, 0.0, 0.0, -direction * half[0]], [0.0, STEP, 0.0, -half[1]], [0.0, 0.0, STEP, -half[2]]]
}

/// The place of every voxel, first axis fastest.
fn places(affine: [[f32; 4]; 3]) -> impl Iterator<Item = [f32; 3]> {
    (0..DIMS.iter().product()).map(move |index| {
        let voxel = [index % DIMS[0], index / DIMS[0] % DIMS[1], index / (DIMS[0] * DIMS[1])].map(|i| i as f32);
        affine.map(|row| row[0] * voxel[0] + row[1] * voxel[1] + row[2] * voxel[2] + row[3])
    })
}
