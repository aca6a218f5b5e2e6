//! CT-like series of the upper abdomen: body, fat, spine, liver on the patient's right, two kidneys; half of the patients
//! have a large dark lesion in the liver.

use super::FolderSummary;
use super::canvas::fade;
use super::noise::{Noise, generator, hash_of};
use crate::dicom_file::{DicomImage, write_dicom};
use crate::error::{Result, write_file};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use std::fmt::Write;
use std::path::Path;

const SIZE: usize = 48;
const SLICES: usize = 24;
/// Distance between pixels and between slices in mm: a field of 350 mm and a length of 192 mm.
const PIXEL_MM: f32 = 7.3;
const SLICE_MM: f32 = 8.0;
/// Stored value of 0 Hounsfield units, as most scanners write it.
const INTERCEPT: f32 = -1024.0;

/// One patient's anatomy; lengths in mm, x to the left, y to the back, z to the head, origin in the middle.
struct Anatomy {
    body: [f32; 2],
    liver: [f32; 3],
    kidney_drop: f32,
    lesion: Option<Ball>,
    noise: Noise,
}

struct Ball {
    centre: [f32; 3],
    radius: f32,
}

impl Ball {
    /// Three times as long from head to feet as across, so that nearly every slice through the liver shows it.
    fn cover(&self, place: [f32; 3]) -> f32 {
        let [x, y, z] = [0, 1, 2].map(|axis| (place[axis] - self.centre[axis]) / self.radius);
        fade((x * x + y * y + z * z / 9.0).sqrt(), 0.85, 1.15)
    }
}

impl Anatomy {
    fn draw(random: &mut ChaCha8Rng, with_lesion: bool) -> Anatomy {
        let body = [random.random_range(135.0..155.0), random.random_range(100.0..115.0)];
        let liver = [-62.0 + random.random_range(-5.0..5.0), -18.0 + random.random_range(-5.0..5.0), 10.0];
        let lesion = with_lesion.then(|| Ball {
            centre: [0, 1, 2].map(|axis| liver[axis] + random.random_range(-10.0..10.0)),
            radius: random.random_range(24.0..32.0),
        });
        let noise = Noise { seed: random.random_range(0..u64::MAX) };
        Anatomy { body, liver, kidney_drop: random.random_range(0.0..25.0), lesion, noise }
    }

    /// Hounsfield units at a place.
    fn value(&self, place: [f32; 3]) -> f32 {
        let [x, y, z] = place;
        let reach = |centre: [f32; 3], radii: [f32; 3]| {
            let part = |axis: usize| ((place[axis] - centre[axis]) / radii[axis]).powi(2);
            (part(0) + part(1) + part(2)).sqrt()
        };
        let body = ((x / self.body[0]).powi(2) + (y / self.body[1]).powi(2)).sqrt();
        let mut value = -1000.0;
        let mut lay = |cover: f32, units: f32| value += (units - value) * cover;
        lay(fade(body, 0.97, 1.03), -95.0); // Fat under the skin.
        lay(fade(body, 0.80, 0.88), 45.0); // Muscle and bowel.
        let liver = fade(reach(self.liver, [58.0, 52.0, 85.0]), 0.93, 1.07);
        lay(liver, 140.0);
        for side in [-1.0, 1.0] {
            let kidney = [side * 60.0, 48.0, -25.0 - self.kidney_drop];
            lay(fade(reach(kidney, [20.0, 24.0, 50.0]), 0.9, 1.1), 200.0);
        }
        // Vertebrae every 32 mm with discs between.
        let bone = if (z / 32.0).rem_euclid(1.0) < 0.75 { 620.0 } else { 110.0 };
        lay(fade(reach([0.0, 62.0, z], [22.0, 20.0, 1.0]), 0.9, 1.1), bone);
        if let Some(lesion) = &self.lesion {
            lay(liver * lesion.cover(place), -10.0);
        }
        if body < 1.0 { value + 14.0 * self.noise.rough(x / 14.0, y / 14.0, z / 14.0) } else { value }
    }
}

pub(super) fn write(dir: &Path, seed: u64, patients: usize) -> Result<FolderSummary> {
    let mut table = "folder,patient,finding\n".to_string();
    for index in 0..patients {
        let patient = format!("CT{:03}", index + 1);
        let with_lesion = index % 2 == 1;
        let mut random = generator(seed, &patient);
        let anatomy = Anatomy::draw(&mut random, with_lesion);
        write_series(&dir.join("ct").join(&patient), seed, &patient, &anatomy)?;
        let finding = if with_lesion { "liver lesion" } else { "normal" };
        writeln!(table, "ct/{patient},{patient},{finding}").expect("writing to text does not fail");
    }
    write_file(&dir.join("ct_labels.csv"), table.as_bytes())?;
    let about = "CT-like DICOM series; a finding for each patient in ct_labels.csv";
    Ok(FolderSummary { folder: "ct", num_items: patients, num_files: patients * SLICES + 1, about })
}

fn write_series(dir: &Path, seed: u64, patient: &str, anatomy: &Anatomy) -> Result<()> {
    let uid = |part: &str| format!("2.25.{}", hash_of(&format!("{seed}/{patient}/{part}")));
    let half = (SIZE - 1) as f32 / 2.0 * PIXEL_MM;
    for slice in 0..SLICES {
        let z = (slice as f32 - (SLICES - 1) as f32 / 2.0) * SLICE_MM;
        let at = |index: usize| index as f32 * PIXEL_MM - half;
        let stored = |x: f32, y: f32| (anatomy.value([x, y, z]) - INTERCEPT).round().clamp(0.0, 4095.0) as i16;
        let values = (0..SIZE * SIZE).map(|index| stored(at(index % SIZE), at(index / SIZE))).collect();
        let image = DicomImage {
            patient: patient.to_string(),
            study: uid("study"),
            series: uid("series"),
            instance: uid(&format!("slice {slice}")),
            instance_number: slice as u32 + 1,
            intercept: f64::from(INTERCEPT),
            window: Some([40.0, 400.0]),
            position: [f64::from(-half), f64::from(-half), f64::from(z)],
            spacing: [f64::from(PIXEL_MM); 2].map(rounded),
            thickness: f64::from(SLICE_MM),
            ..DicomImage::ct(SIZE as u16, SIZE as u16, values)
        };
        // Names run against the order in the patient: readers must sort by position.
        write_dicom(&dir.join(format!("image_{:03}.dcm", SLICES - slice)), &image)?;
    }
    Ok(())
}

/// 7.3 as text, not 7.300000190734863.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
