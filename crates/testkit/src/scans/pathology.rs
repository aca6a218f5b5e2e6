//! Stained-tissue-like colour pictures with two kinds of cell and COCO boxes around every one of them.

use super::canvas::{Canvas, Ellipse};
use super::noise::{Noise, generator};
use super::{FolderSummary, ScanSet};
use crate::error::{Result, write_file};
use crate::picture_file::write_rgb_png;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use std::path::Path;

/// Attempts to place a cell where it does not touch another.
const MAX_ATTEMPTS: usize = 40;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Small, round, dark.
    Lymphocyte,
    /// Large, oval, pale, with a dark nucleolus.
    TumourCell,
}

impl Kind {
    fn category(self) -> u32 {
        match self {
            Kind::Lymphocyte => 1,
            Kind::TumourCell => 2,
        }
    }
}

struct Cell {
    kind: Kind,
    shape: Ellipse,
}

impl Cell {
    fn draw(random: &mut ChaCha8Rng, kind: Kind, scale: f32) -> Cell {
        let (small, large) = match kind {
            Kind::Lymphocyte => (0.032, 0.040),
            Kind::TumourCell => (0.065, 0.090),
        };
        let radius = random.random_range(small..large) * scale;
        let flat = if kind == Kind::Lymphocyte { 1.0 } else { random.random_range(0.7f32..0.9) };
        let radii = [radius, radius * flat];
        // Whole cells only: a margin of one radius and one pixel.
        let inside = radius + 1.0..scale - radius - 1.0;
        let centre = [random.random_range(inside.clone()), random.random_range(inside)];
        Cell { kind, shape: Ellipse { centre, radii, angle: random.random_range(0.0..3.0), softness: 0.1 } }
    }

    fn touches(&self, other: &Cell) -> bool {
        let [dx, dy] = [0, 1].map(|axis| self.shape.centre[axis] - other.shape.centre[axis]);
        dx.hypot(dy) < self.shape.radii[0] + other.shape.radii[0] + 2.0
    }

    fn paint(&self, canvas: &mut Canvas) {
        match self.kind {
            Kind::Lymphocyte => canvas.fill(&self.shape, [0.20, 0.10, 0.42], 0.95),
            Kind::TumourCell => {
                canvas.fill(&self.shape, [0.58, 0.38, 0.70], 0.9);
                let nucleolus = Ellipse::circle(self.shape.centre, 0.3 * self.shape.radii[1]);
                canvas.fill(&nucleolus, [0.35, 0.12, 0.48], 0.9);
            }
        }
    }

    /// COCO's `[x, y, width, height]` in whole pixels.
    fn bounds(&self) -> [u32; 4] {
        let half = self.shape.half_box();
        let low = [0, 1].map(|axis| (self.shape.centre[axis] - half[axis]).floor().max(0.0));
        let high = [0, 1].map(|axis| (self.shape.centre[axis] + half[axis]).ceil());
        [low[0], low[1], high[0] - low[0], high[1] - low[1]].map(|value| value as u32)
    }
}

/// Pink tissue with fibres; slides rich in one kind of cell and slides rich in the other.
fn draw(random: &mut ChaCha8Rng, size: usize, counts: [usize; 2]) -> (Canvas, Vec<Cell>) {
    let scale = size as f32;
    let noise = Noise { seed: random.random_range(0..u64::MAX) };
    let mut canvas = Canvas::paint(size, |x, y| {
        let fibre = noise.rough(x / scale * 5.0 + y / scale * 3.0, y / scale * 16.0, 0.0);
        let grain = noise.at(x / scale * 40.0, y / scale * 40.0, 5.0);
        let tone = 0.07 * fibre + 0.03 * grain;
        [0.92 + 0.5 * tone, 0.66 + 1.3 * tone, 0.78 + tone]
    });
    let mut cells: Vec<Cell> = Vec::new();
    // Large cells first: small ones fit in between.
    for (kind, count) in [(Kind::TumourCell, counts[1]), (Kind::Lymphocyte, counts[0])] {
        for _ in 0..count {
            let fits = (0..MAX_ATTEMPTS)
                .map(|_| Cell::draw(random, kind, scale))
                .find(|cell| !cells.iter().any(|other| cell.touches(other)));
            cells.extend(fits);
        }
    }
    cells.iter().for_each(|cell| cell.paint(&mut canvas));
    (canvas, cells)
}

pub(super) fn write(dir: &Path, seed: u64, size: ScanSet) -> Result<FolderSummary> {
    let mut images = Vec::new();
    let mut annotations = Vec::new();
    for index in 0..size.pictures {
        let name = format!("tissue_{:03}.png", index + 1);
        let mut random = generator(seed, &name);
        let counts = match index % 3 {
            0 => [random.random_range(10..16), random.random_range(0..2)],
            1 => [random.random_range(0..3), random.random_range(6..10)],
            _ => [random.random_range(5..9), random.random_range(3..6)],
        };
        let (canvas, cells) = draw(&mut random, size.picture_size, counts);
        write_rgb_png(&dir.join("pathology/images").join(&name), &canvas.rgb())?;
        let image_id = index + 1;
        images.push(json!({
            "id": image_id, "file_name": name, "width": size.picture_size, "height": size.picture_size,
        }));
        for cell in &cells {
            let bounds = cell.bounds();
            annotations.push(json!({
                "id": annotations.len() + 1, "image_id": image_id, "category_id": cell.kind.category(),
                "bbox": bounds, "area": bounds[2] * bounds[3], "iscrowd": 0,
            }));
        }
    }
    let document = json!({
        "info": { "description": "made-up tissue; shows no patient" },
        "categories": [
            { "id": Kind::Lymphocyte.category(), "name": "lymphocyte" },
            { "id": Kind::TumourCell.category(), "name": "tumour cell" },
        ],
        "images": images,
        "annotations": annotations,
    });
    write_file(&dir.join("pathology/annotations.json"), format!("{document:#}\n").as_bytes())?;
    let about = "stained-tissue-like PNG; COCO boxes of two kinds of cell";
    Ok(FolderSummary { folder: "pathology", num_items: size.pictures, num_files: size.pictures + 1, about })
}
