//! Fundus-like colour pictures of left and right eyes, with drusen, haemorrhages, both or neither.

use super::canvas::{Canvas, Ellipse, fade};
use super::noise::{Noise, generator};
use super::{FolderSummary, ScanSet};
use crate::error::{Result, write_file};
use crate::picture_file::write_rgb_png;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use std::fmt::Write;
use std::path::Path;

const DRUSEN: [f32; 3] = [0.98, 0.86, 0.40];
const BLOOD: [f32; 3] = [0.30, 0.02, 0.03];

#[derive(Clone, Copy)]
struct Findings {
    drusen: bool,
    haemorrhage: bool,
}

impl Findings {
    fn text(self) -> &'static str {
        match (self.drusen, self.haemorrhage) {
            (false, false) => "no finding",
            (true, false) => "drusen",
            (false, true) => "haemorrhage",
            (true, true) => "drusen|haemorrhage",
        }
    }
}

/// The retina of one eye; `nasal` is 1 when the optic disc lies to the right of the picture (a right eye), else -1.
fn draw(random: &mut ChaCha8Rng, size: usize, nasal: f32, findings: Findings) -> Canvas {
    let scale = size as f32;
    let noise = Noise { seed: random.random_range(0..u64::MAX) };
    let disc = [0.5 + nasal * 0.24, 0.5 + random.random_range(-0.03f32..0.03)];
    let mut canvas = Canvas::paint(size, |x, y| {
        let [x, y] = [x / scale, y / scale];
        let field = fade((x - 0.5).hypot(y - 0.5), 0.455, 0.475);
        let grain = 0.06 * noise.rough(x * 9.0, y * 9.0, 0.0);
        let macula = 0.18 * fade((x - 0.5 + nasal * 0.06).hypot(y - 0.5), 0.02, 0.14);
        let vessel = 0.75 * vessels(x, y, disc, nasal, noise);
        let red = (0.80 + grain - 0.5 * macula) * (1.0 - 0.35 * vessel);
        let green = (0.40 + grain - macula) * (1.0 - 0.70 * vessel);
        [red * field, green * field, (0.16 + 0.5 * grain) * (1.0 - 0.6 * vessel) * field]
    });
    let spot = |centre: [f32; 2], radius: f32| Ellipse::circle(centre.map(|part| part * scale), radius * scale);
    canvas.fill(&spot(disc, 0.075), [1.0, 0.88, 0.62], 0.95);
    if findings.drusen {
        for _ in 0..random.random_range(14..22) {
            let centre = place(random, nasal, 0.05..0.21);
            canvas.fill(&spot(centre, random.random_range(0.013..0.026)), DRUSEN, 0.95);
        }
    }
    if findings.haemorrhage {
        for _ in 0..random.random_range(4..8) {
            let centre = place(random, nasal, 0.14..0.34);
            let radii = [random.random_range(0.028f32..0.055), random.random_range(0.022f32..0.045)];
            let shape = Ellipse {
                radii: radii.map(|radius| radius * scale),
                angle: random.random_range(0.0..3.0),
                ..spot(centre, 0.01)
            };
            canvas.fill(&shape, BLOOD, 0.95);
        }
    }
    canvas
}

/// A random place around the macula, away from the optic disc.
fn place(random: &mut ChaCha8Rng, nasal: f32, distance: std::ops::Range<f32>) -> [f32; 2] {
    // Angles measured from the side away from the disc.
    let (angle, reach) = (random.random_range(-2.2f32..2.2), random.random_range(distance));
    [0.5 - nasal * (0.06 + reach * angle.cos()), 0.5 + reach * angle.sin()]
}

/// How much of a vessel lies at a place: four arcs that leave the disc upwards and downwards.
fn vessels(x: f32, y: f32, disc: [f32; 2], nasal: f32, noise: Noise) -> f32 {
    let along = (disc[0] - x) * nasal;
    let wave = 0.012 * noise.at(x * 12.0, y * 3.0, 7.0);
    let mut most: f32 = 0.0;
    for (bend, width) in [(0.30, 0.012), (-0.30, 0.012), (0.16, 0.008), (-0.16, 0.008)] {
        let course = disc[1] + bend * (along.max(0.0) * 3.0).sqrt() - 0.2 * bend * along + wave;
        let thin = width * (1.0 - 0.6 * along.clamp(0.0, 1.0));
        if along > 0.0 {
            most = most.max(fade((y - course).abs(), 0.5 * thin, 1.4 * thin));
        }
    }
    most
}

pub(super) fn write(dir: &Path, seed: u64, size: ScanSet) -> Result<FolderSummary> {
    let mut table = "file,patient,eye,findings\n".to_string();
    for index in 0..size.pictures {
        // Both eyes of a patient follow each other.
        let patient = format!("FU{:03}", index / 2 + 1);
        let (eye, nasal) = if index % 2 == 0 { ("right", 1.0) } else { ("left", -1.0) };
        let case = index * 5 / 2 % 4;
        let findings = Findings { drusen: case & 1 == 1, haemorrhage: case & 2 == 2 };
        let file = format!("fundus/{}_{eye}.png", patient.to_lowercase());
        let mut random = generator(seed, &file);
        write_rgb_png(&dir.join(&file), &draw(&mut random, size.picture_size, nasal, findings).rgb())?;
        writeln!(table, "{file},{patient},{eye},{}", findings.text()).expect("writing to text does not fail");
    }
    write_file(&dir.join("fundus_labels.csv"), table.as_bytes())?;
    let about = "fundus-like PNG of both eyes; several findings at once in fundus_labels.csv";
    Ok(FolderSummary { folder: "fundus", num_items: size.pictures, num_files: size.pictures + 1, about })
}
