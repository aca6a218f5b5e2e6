//! What is kept of a picture to find its copies: equal pixels, recompressed, resized, recoloured, flipped or turned by quarters.

use gmai_schema::Rgb8;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Side of the grey thumbnail.
pub(crate) const SIDE: usize = 32;

/// Side of the block of lowest frequencies that the hash is made of.
const LOW: usize = 8;

/// Standard deviation of a thumbnail, in grey levels, below which a picture shows too little to be compared by its look.
const MIN_SPREAD: f32 = 2.0;

/// The eight ways in which a rectangle of pixels can lie: turned by quarters, and mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pose {
    /// As it is.
    Upright,
    /// A quarter clockwise.
    Quarter,
    /// Upside down.
    Half,
    /// Three quarters clockwise.
    ThreeQuarters,
    /// Left and right exchanged.
    Mirrored,
    /// Mirrored, then a quarter clockwise.
    MirroredQuarter,
    /// Top and bottom exchanged.
    MirroredHalf,
    /// Mirrored, then three quarters clockwise.
    MirroredThreeQuarters,
}

impl Pose {
    /// Every pose, upright first.
    pub const ALL: [Pose; 8] = [
        Pose::Upright,
        Pose::Quarter,
        Pose::Half,
        Pose::ThreeQuarters,
        Pose::Mirrored,
        Pose::MirroredQuarter,
        Pose::MirroredHalf,
        Pose::MirroredThreeQuarters,
    ];

    /// What was done to the picture, in words.
    pub fn words(self) -> &'static str {
        match self {
            Pose::Upright => "as it is",
            Pose::Quarter => "turned by 90°",
            Pose::Half => "turned by 180°",
            Pose::ThreeQuarters => "turned by 270°",
            Pose::Mirrored => "mirrored",
            Pose::MirroredQuarter => "mirrored and turned by 90°",
            Pose::MirroredHalf => "upside down mirrored",
            Pose::MirroredThreeQuarters => "mirrored and turned by 270°",
        }
    }

    /// The cell of the thumbnail that lands at (`x`, `y`).
    fn origin(self, x: usize, y: usize) -> (usize, usize) {
        let last = SIDE - 1;
        match self {
            Pose::Upright => (x, y),
            Pose::Quarter => (y, last - x),
            Pose::Half => (last - x, last - y),
            Pose::ThreeQuarters => (last - y, x),
            Pose::Mirrored => (last - x, y),
            Pose::MirroredQuarter => (y, x),
            Pose::MirroredHalf => (x, last - y),
            Pose::MirroredThreeQuarters => (last - y, last - x),
        }
    }
}

/// A picture's fingerprint: 1.1 KiB, whatever its size.
#[derive(Debug, Clone, PartialEq)]
pub struct Fingerprint {
    /// SHA-256 over width, height and pixels.
    pub pixels: [u8; 32],
    /// Signs of the 64 lowest frequencies of the thumbnail, upright.
    pub hash: u64,
    /// The thumbnail, 32 x 32 mean grey levels.
    cells: Vec<u8>,
    mean: f32,
    spread: f32,
}

/// How alike two pictures are in the pose that fits best.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Likeness {
    pub(crate) pose: Pose,
    /// Correlation of the thumbnails, -1 to 1.
    pub(crate) correlation: f32,
    /// Mean difference of the thumbnails in grey levels.
    pub(crate) difference: f32,
}

/// Mean grey of each cell of a grid laid over the picture.
fn thumbnail(picture: &Rgb8) -> Vec<f32> {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let range = |index: usize, size: usize| {
        let start = (index * size / SIDE).min(size - 1);
        start..((index + 1) * size / SIDE).clamp(start + 1, size)
    };
    let mut cells = Vec::with_capacity(SIDE * SIDE);
    for row in 0..SIDE {
        for column in 0..SIDE {
            let (xs, ys) = (range(column, width), range(row, height));
            let num_pixels = (xs.len() * ys.len()) as f32;
            let line = |y: usize| &picture.pixels()[(y * width + xs.start) * 3..(y * width + xs.end) * 3];
            let sum: u64 = ys.map(|y| line(y).chunks_exact(3).map(luma).sum::<u64>()).sum();
            cells.push(sum as f32 / 1000.0 / num_pixels);
        }
    }
    cells
}

/// Brightness (ITU-R BT.601) in thousandths of a grey level.
pub(crate) fn luma(pixel: &[u8]) -> u64 {
    299 * u64::from(pixel[0]) + 587 * u64::from(pixel[1]) + 114 * u64::from(pixel[2])
}

/// Signs of the lowest frequencies (DCT-II) against their median; the mean brightness is left out.
fn frequency_hash(cells: impl Fn(usize, usize) -> f32) -> u64 {
    let basis = |frequency: usize, place: usize| {
        (std::f32::consts::PI * frequency as f32 * (place as f32 + 0.5) / SIDE as f32).cos()
    };
    let mut table = [[0.0_f32; SIDE]; LOW + 1];
    for (frequency, row) in table.iter_mut().enumerate() {
        for (place, value) in row.iter_mut().enumerate() {
            *value = basis(frequency, place);
        }
    }
    // Columns first: [LOW + 1] frequencies of each row, then of the columns of those.
    let mut partial = [[0.0_f32; SIDE]; LOW + 1];
    for (sums, row) in partial.iter_mut().zip(&table) {
        for (y, sum) in sums.iter_mut().enumerate() {
            *sum = (0..SIDE).map(|x| row[x] * cells(x, y)).sum();
        }
    }
    let mut values = [0.0_f32; LOW * LOW];
    for v in 0..LOW {
        for u in 0..LOW {
            // Frequencies 1 to 8 in each direction: 0 carries the brightness of rows and columns, which borders change most.
            values[v * LOW + u] = (0..SIDE).map(|y| table[v + 1][y] * partial[u + 1][y]).sum();
        }
    }
    let mut sorted = values;
    sorted.sort_by(f32::total_cmp);
    let median = (sorted[31] + sorted[32]) / 2.0;
    (0..64).map(|index| u64::from(values[index] > median) << index).sum()
}

impl Fingerprint {
    /// The fingerprint of a picture.
    pub fn of(picture: &Rgb8) -> Fingerprint {
        let mut hasher = Sha256::new();
        hasher.update(picture.width().to_le_bytes());
        hasher.update(picture.height().to_le_bytes());
        hasher.update(picture.pixels());
        let exact = thumbnail(picture);
        let count = exact.len() as f32;
        let mean = exact.iter().sum::<f32>() / count;
        let spread = (exact.iter().map(|cell| (cell - mean).powi(2)).sum::<f32>() / count).sqrt();
        let cells: Vec<u8> = exact.iter().map(|cell| cell.round() as u8).collect();
        let hash = frequency_hash(|x, y| exact[y * SIDE + x]);
        Fingerprint { pixels: hasher.finalize().into(), hash, cells, mean, spread }
    }

    /// The pixel hash in hex.
    pub fn pixels_hex(&self) -> String {
        self.pixels.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether the picture shows enough to be compared by its look: blank ones all look alike.
    pub(crate) fn is_telling(&self) -> bool {
        self.spread >= MIN_SPREAD
    }

    /// The hash that the picture would have in another pose.
    pub(crate) fn hash_in(&self, pose: Pose) -> u64 {
        if pose == Pose::Upright {
            return self.hash;
        }
        frequency_hash(|x, y| {
            let (x, y) = pose.origin(x, y);
            f32::from(self.cells[y * SIDE + x])
        })
    }

    /// How alike the pictures are when this one is put into `pose`.
    pub(crate) fn likeness(&self, pose: Pose, other: &Fingerprint) -> Likeness {
        let (mut product, mut difference) = (0.0_f32, 0.0_f32);
        for y in 0..SIDE {
            for x in 0..SIDE {
                let (from_x, from_y) = pose.origin(x, y);
                let (own, their) =
                    (f32::from(self.cells[from_y * SIDE + from_x]), f32::from(other.cells[y * SIDE + x]));
                product += (own - self.mean) * (their - other.mean);
                difference += (own - their).abs();
            }
        }
        let count = (SIDE * SIDE) as f32;
        let correlation = product / count / (self.spread * other.spread).max(1e-6);
        Likeness { pose, correlation, difference: difference / count }
    }

    /// Correlation of the picture with its own mirror image, left to right and top to bottom.
    pub(crate) fn symmetry(&self) -> [f32; 2] {
        [Pose::Mirrored, Pose::MirroredHalf].map(|pose| self.likeness(pose, self).correlation)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::*;

    /// A smooth picture without symmetry that depends on `seed`.
    pub(crate) fn picture(seed: u32, width: u32, height: u32) -> Rgb8 {
        let phase = f64::from(seed) * 1.7;
        let pixel = |index: u32| {
            let (x, y) = (f64::from(index % width) / f64::from(width), f64::from(index / width) / f64::from(height));
            let wave = 60.0 * (x * 7.0 + phase).sin() + 50.0 * (y * (5.0 + phase % 3.0) + x * x * 4.0).cos();
            [(127.0 + wave) as u8; 3]
        };
        Rgb8::new(width, height, (0..width * height).flat_map(pixel).collect()).unwrap()
    }

    fn transposed(picture: &Rgb8) -> Rgb8 {
        let (width, height) = (picture.width(), picture.height());
        let pixels = (0..width).flat_map(|y| (0..height).flat_map(move |x| picture.pixel(y, x))).collect();
        Rgb8::new(height, width, pixels).unwrap()
    }

    #[test]
    fn a_transposed_picture_fits_in_that_pose_alone() {
        let original = picture(1, 96, 64);
        let (print, turned) = (Fingerprint::of(&original), Fingerprint::of(&transposed(&original)));
        let best = Pose::ALL.map(|pose| print.likeness(pose, &turned));
        let best = best.iter().max_by(|a, b| a.correlation.total_cmp(&b.correlation)).unwrap();
        assert_eq!(best.pose, Pose::MirroredQuarter);
        assert!(best.correlation > 0.99, "{best:?}");
        assert!((print.hash_in(Pose::MirroredQuarter) ^ turned.hash).count_ones() <= 2);
        assert!((print.hash ^ turned.hash).count_ones() > 7);
    }

    #[test]
    fn poses_are_a_group_of_eight_different_pictures() {
        let print = Fingerprint::of(&picture(3, 64, 64));
        let hashes: std::collections::BTreeSet<u64> = Pose::ALL.iter().map(|pose| print.hash_in(*pose)).collect();
        assert_eq!(hashes.len(), 8);
    }

    #[test]
    fn blank_pictures_are_not_telling() {
        assert!(!Fingerprint::of(&Rgb8::filled(40, 40, [9; 3])).is_telling());
        assert!(Fingerprint::of(&picture(1, 40, 40)).is_telling());
        assert!(!Fingerprint::of(&Rgb8::filled(1, 2, [3; 3])).is_telling());
    }
}
