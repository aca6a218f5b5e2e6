//! Chest-X-ray-like pictures in three classes, each with a report of one or two sentences made from the same numbers.

use super::canvas::{Canvas, Ellipse, fade};
use super::noise::{Noise, generator};
use super::{FolderSummary, ScanSet};
use crate::error::{Result, write_file};
use crate::picture_file::write_grey_png;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use std::fmt::Write;
use std::path::Path;

/// The patient's side; the right lung is on the left of the picture.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Right,
    Left,
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Side::Right => "right",
            Side::Left => "left",
        }
    }

    fn opposite(self) -> Side {
        match self {
            Side::Right => Side::Left,
            Side::Left => Side::Right,
        }
    }
}

enum Finding {
    Normal,
    /// Fluid that covers the lowest part of a lung; the share of its height.
    Effusion(Side, f32),
    /// A round shadow: place in the lung (-0.5 to 0.5) and radius as a share of the picture.
    Nodule(Side, [f32; 2], f32),
}

impl Finding {
    fn draw(random: &mut ChaCha8Rng, class: usize) -> Finding {
        let side = if random.random_range(0..2) == 0 { Side::Right } else { Side::Left };
        match class {
            0 => Finding::Normal,
            1 => Finding::Effusion(side, random.random_range(0.30..0.60)),
            _ => {
                let place = [random.random_range(-0.35..0.35), random.random_range(-0.4..0.4)];
                Finding::Nodule(side, place, random.random_range(0.055..0.085))
            }
        }
    }

    fn class(&self) -> &'static str {
        match self {
            Finding::Normal => "normal",
            Finding::Effusion(..) => "effusion",
            Finding::Nodule(..) => "nodule",
        }
    }

    fn side(&self) -> &'static str {
        match self {
            Finding::Normal => "",
            Finding::Effusion(side, _) | Finding::Nodule(side, ..) => side.name(),
        }
    }

    fn report(&self) -> String {
        match self {
            Finding::Normal => "The lungs are clear. No pleural effusion.".to_string(),
            Finding::Effusion(side, share) => {
                let amount = if *share > 0.45 { "Large" } else { "Moderate" };
                format!("{amount} {} pleural effusion. The {} lung is clear.", side.name(), side.opposite().name())
            }
            Finding::Nodule(side, place, _) => {
                let zone = if place[1] < 0.0 { "upper" } else { "lower" };
                format!("Round nodule in the {} {zone} zone. No pleural effusion.", side.name())
            }
        }
    }
}

/// Placement of the organs, in shares of the picture.
struct Chest {
    lungs: [Ellipse; 2],
    heart: Ellipse,
    rib_phase: f32,
    noise: Noise,
}

impl Chest {
    fn draw(random: &mut ChaCha8Rng) -> Chest {
        let mut near = |value: f32| value + random.random_range(-0.015f32..0.015);
        let lung = |centre: [f32; 2], tilt: f32, height: f32| Ellipse {
            centre,
            radii: [0.155, height],
            angle: tilt,
            softness: 0.07,
        };
        let height = near(0.33);
        let lungs = [lung([near(0.30), near(0.46)], 0.10, height), lung([near(0.70), near(0.46)], -0.10, height)];
        let heart = Ellipse { centre: [near(0.54), near(0.62)], radii: [0.14, 0.15], angle: 0.6, softness: 0.12 };
        let noise = Noise { seed: random.random_range(0..u64::MAX) };
        Chest { lungs, heart, rib_phase: random.random_range(0.0..1.0), noise }
    }

    fn lung(&self, side: Side) -> &Ellipse {
        match side {
            Side::Right => &self.lungs[0],
            Side::Left => &self.lungs[1],
        }
    }

    /// Brightness at a place: air is dark, bone and fluid are bright.
    fn shade(&self, x: f32, y: f32, finding: &Finding) -> f32 {
        let body = fade(((x - 0.5) / 0.47).abs().max((y - 0.62) / 0.6), 0.92, 1.02);
        let mut value = 0.02 + 0.52 * body;
        let mut lay = |cover: f32, brightness: f32| value += (brightness - value) * cover;
        let lung = self.lungs.iter().map(|lung| lung.cover(x, y)).fold(0.0, f32::max);
        lay(0.9 * lung, 0.16);
        let rib = (y * 9.0 + 2.2 * (x - 0.5).abs() + self.rib_phase).rem_euclid(1.0);
        lay(0.22 * fade((rib - 0.5).abs(), 0.10, 0.2) * body, 0.75);
        lay(0.75 * fade((x - 0.5).abs(), 0.035, 0.06), 0.78); // Spine.
        lay(0.8 * self.heart.cover(x, y), 0.72);
        match finding {
            Finding::Normal => {}
            Finding::Effusion(side, share) => {
                let lung = self.lung(*side);
                // The surface rises towards the chest wall.
                let outward = (x - lung.centre[0]) * if *side == Side::Right { -1.0 } else { 1.0 };
                let surface = lung.centre[1] + lung.radii[1] * (1.0 - 2.0 * share) - 0.35 * outward;
                lay(0.92 * lung.cover(x, y) * fade(surface - y, 0.0, 0.04), 0.88);
            }
            Finding::Nodule(side, place, radius) => {
                let lung = self.lung(*side);
                let centre = [0, 1].map(|axis| lung.centre[axis] + place[axis] * lung.radii[axis] * 1.2);
                lay(0.9 * Ellipse::circle(centre, *radius).cover(x, y), 0.85);
            }
        }
        value + 0.035 * self.noise.rough(x * 30.0, y * 30.0, 0.0)
    }
}

pub(super) fn write(dir: &Path, seed: u64, size: ScanSet) -> Result<FolderSummary> {
    let mut table = "file,patient,finding,side,report\n".to_string();
    for index in 0..size.pictures {
        let name = format!("xray_{:03}.png", index + 1);
        let mut random = generator(seed, &name);
        let finding = Finding::draw(&mut random, index % 3);
        let chest = Chest::draw(&mut random);
        let scale = size.picture_size as f32;
        let canvas = Canvas::paint(size.picture_size, |x, y| [chest.shade(x / scale, y / scale, &finding); 3]);
        let file = format!("xray/{}/{name}", finding.class());
        write_grey_png(&dir.join(&file), size.picture_size as u32, size.picture_size as u32, &canvas.grey())?;
        // Two pictures of each patient, three apart so that they share the class.
        let patient = format!("XR{:03}", index / 6 * 3 + index % 3 + 1);
        let (class, side, report) = (finding.class(), finding.side(), finding.report());
        writeln!(table, "{file},{patient},{class},{side},\"{report}\"").expect("writing to text does not fail");
    }
    write_file(&dir.join("xray_reports.csv"), table.as_bytes())?;
    let about = "chest-X-ray-like PNG in class folders; a short report for each in xray_reports.csv";
    Ok(FolderSummary { folder: "xray", num_items: size.pictures, num_files: size.pictures + 1, about })
}
