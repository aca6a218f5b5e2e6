//! T-15: made-up overlays over real pictures. `GMAI_SHARED=../shared cargo run --release -p gmai-deid --example burned_in -- report 500`.
//!
//! Pictures come from `$GMAI_SHARED/data`: picture files, and slices of CT and MR volumes. Backgrounds and fonts are split by the hash of their
//! name: `develop` has the half that thresholds were tuned on, `report` the other, with other texts and another seed. Fonts: a dot matrix, a
//! plotter font, and the TrueType files of the system's font folder. A picture counts as found when a flagged line lies on its letters.
//! `--show DIR` writes misses and false alarms as PNG, `--dump FILE` the features of every candidate line, to tune with.
#![allow(clippy::print_stdout)]

#[path = "../tests/lettering/mod.rs"]
mod lettering;

use gmai_deid::picture::{FLAG_SCORE, Found, PixelRect, detect_rgb};
use gmai_imaging::{Content, DeepGrey, Limits, WindowRule, read_picture};
use gmai_schema::{Axis, Rgb8, SliceRef};
use lettering::Mask;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Sets whose pictures have no text of their own, by modality. Of volumes every twelfth slice is taken.
const CLEAN: [(&str, &str); 9] = [
    ("isic2017-skin", "dermoscopy"),
    ("bccd-blood-cells-voc", "microscopy"),
    ("chula-rbc12-points", "microscopy"),
    ("dsb2018-nuclei", "microscopy"),
    ("wsi-histology", "histology"),
    ("chase-db1-retina", "fundus"),
    ("ct-mr-organ-segmentation", "CT, MR"),
    ("dicom-series-to-nifti", "MR"),
    ("dicom-rtstruct", "CT"),
];
/// Sets whose pictures partly carry markers, labels and callipers of their own: as background only.
const MARKED: [&str; 4] =
    ["nih-chestxray14-sample", "busi-breast-ultrasound", "covid-cxr-hannover", "hyperkvasir-polyps"];
/// Smallest side of a slice, and of other pictures.
const MIN_SIDES: [u32; 2] = [100, 200];

const TEXTS: [&str; 24] = [
    "SMITH, JOHN",
    "ID: 4711382",
    "12/03/1975",
    "DOE JANE 1962-11-30",
    "MRN 00938271",
    "GARCIA LOPEZ MARIA",
    "22-07-2019 10:15",
    "ST MARY HOSPITAL",
    "DR. WILSON",
    "A: 83Y F",
    "4711-22",
    "KELLER R. 03.05.1944",
    "NOVAK, PETRA",
    "PID 90331-7",
    "1948.06.02",
    "OKAFOR CHIDI 30-01-88",
    "ACC 5520917",
    "LEE",
    "09:41:27",
    "CITY GENERAL",
    "TECH: AB",
    "AGE 067Y",
    "X0412",
    "MUELLER HANS 17/09/36",
];

/// A small generator (xorshift64*): the same seed gives the same pictures.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// A picture file, or a slice of a volume.
#[derive(Clone)]
struct Background {
    path: PathBuf,
    slice: Option<SliceRef>,
    group: String,
}

struct Made {
    picture: Rgb8,
    /// Where the letters' own pixels are.
    letters: Vec<(usize, usize)>,
    area: PixelRect,
    what: String,
    font: String,
    contrast: usize,
    angle: i32,
    size: usize,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let half = arguments.first().cloned().unwrap_or_else(|| "report".into());
    let count: usize = arguments.get(1).and_then(|count| count.parse().ok()).unwrap_or(500);
    let option = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).map(PathBuf::from)
    };
    let show = option("--show");
    let mut dump = option("--dump").map(|path| std::fs::File::create(path).expect("a file to write to"));
    let shared =
        std::env::var_os("GMAI_SHARED").map(PathBuf::from).expect("GMAI_SHARED names the folder of shared data");
    let data = shared.join("data");
    let clean: Vec<Background> =
        CLEAN.iter().flat_map(|(set, modality)| backgrounds(&data, set, modality, &half, 120)).collect();
    let marked: Vec<Background> = MARKED.iter().flat_map(|set| backgrounds(&data, set, "marked", &half, 40)).collect();
    let fonts = fonts(Path::new("/usr/share/fonts"), &half);
    println!(
        "{half} half: {} clean pictures, {} with marks of their own, {} TrueType fonts",
        clean.len(),
        marked.len(),
        fonts.len()
    );
    quiet(&clean, "clean", show.as_deref(), &mut dump);
    quiet(&marked, "marked", show.as_deref(), &mut dump);
    let all: Vec<Background> = clean.into_iter().chain(marked).collect();
    Trial { half: &half, backgrounds: &all, fonts: &fonts, show: show.as_deref() }.run(count, &mut dump);
}

/// Pictures as they are: what is flagged in those without text is a false alarm.
fn quiet(pictures: &[Background], name: &str, show: Option<&Path>, dump: &mut Option<std::fs::File>) {
    let mut by_set: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    for (number, background) in pictures.iter().enumerate() {
        let Some(picture) = open(background) else { continue };
        let found = detect_rgb(&picture);
        write_features(dump, name, number, &found, |_| false);
        let counts = by_set.entry(background.group.clone()).or_default();
        counts[1] += 1;
        if found.is_flagged() {
            counts[0] += 1;
            println!("flagged, {name}: {} {}", title(background), best(&found));
            save(show, name, background, &picture, &found.boxes());
        }
    }
    let total = by_set.values().fold([0, 0], |sum, counts| [sum[0] + counts[0], sum[1] + counts[1]]);
    println!("{name} pictures flagged: {}/{} = {:.4}", total[0], total[1], total[0] as f64 / total[1].max(1) as f64);
    by_set.iter().for_each(|(set, counts)| println!("  {set}: {}/{}", counts[0], counts[1]));
}

/// Overlays over backgrounds.
struct Trial<'t> {
    half: &'t str,
    backgrounds: &'t [Background],
    fonts: &'t [(String, fontdue::Font)],
    show: Option<&'t Path>,
}

/// What came of the overlays.
#[derive(Default)]
struct Outcome {
    made: usize,
    flagged: usize,
    found: usize,
    covered: usize,
    letters: [usize; 2],
    slices: BTreeMap<String, [usize; 2]>,
    seconds: f64,
}

impl Trial<'_> {
    fn run(&self, count: usize, dump: &mut Option<std::fs::File>) {
        let mut random = Random(if self.half == "develop" { 0x9E37_79B9_7F4A_7C15 } else { 0xD1B5_4A32_D192_ED03 });
        let mut outcome = Outcome::default();
        while outcome.made < count {
            let background = &self.backgrounds[random.below(self.backgrounds.len())];
            let Some(picture) = open(background) else { continue };
            let Some(made) = made_up(&picture, self.fonts, &mut random, outcome.made, self.half) else { continue };
            outcome.made += 1;
            self.judge(background, &made, &mut outcome, dump);
        }
        let Outcome { made, flagged, found, covered, letters, slices, seconds } = outcome;
        let share = |part: usize, all: usize| part as f64 / all.max(1) as f64;
        println!(
            "recall, the letters found: {found}/{made} = {:.4}; picture flagged: {flagged}/{made} = {:.4}",
            share(found, made),
            share(flagged, made)
        );
        println!(
            "blanking of flagged pictures: every pixel of the letters covered in {covered}/{flagged} = {:.4}; pixels {:.5}",
            share(covered, flagged),
            share(letters[0], letters[1])
        );
        println!("{:.3} s a picture", seconds / made.max(1) as f64);
        slices.iter().for_each(|(key, slice)| println!("  {key}: {}/{}", slice[0], slice[1]));
    }

    fn judge(&self, background: &Background, made: &Made, outcome: &mut Outcome, dump: &mut Option<std::fs::File>) {
        let started = std::time::Instant::now();
        let found = detect_rgb(&made.picture);
        outcome.seconds += started.elapsed().as_secs_f64();
        write_features(dump, "made", outcome.made, &found, |area| lies_on(area, made));
        let hit = found.lines.iter().any(|line| line.score >= FLAG_SCORE && lies_on(line.area, made));
        outcome.found += usize::from(hit);
        for key in [
            format!("font {}", made.font),
            format!("contrast {:03}", made.contrast),
            format!("angle {:+04}", made.angle),
            format!("size {:02}", made.size),
            format!("on {}", background.group),
        ] {
            let slice = outcome.slices.entry(key).or_default();
            slice[0] += usize::from(hit);
            slice[1] += 1;
        }
        if !hit {
            println!("missed {}: {} on {} {}", outcome.made, made.what, title(background), best(&found));
            save(self.show, &format!("missed{}", outcome.made), background, &made.picture, &[]);
        }
        if found.is_flagged() {
            outcome.flagged += 1;
            let boxes = found.boxes();
            let inside = |x: usize, y: usize| {
                boxes.iter().any(|area| (area.left..area.right).contains(&x) && (area.top..area.bottom).contains(&y))
            };
            let covered = made.letters.iter().filter(|(x, y)| inside(*x, *y)).count();
            outcome.letters[0] += covered;
            outcome.letters[1] += made.letters.len();
            outcome.covered += usize::from(covered == made.letters.len());
            if hit && covered < made.letters.len() {
                println!("not all covered {}: {covered} of {}: {}", outcome.made, made.letters.len(), made.what);
                save(self.show, &format!("uncovered{}", outcome.made), background, &made.picture, &boxes);
            }
        }
    }
}

/// Whether most of a box lies where the letters are.
fn lies_on(area: PixelRect, made: &Made) -> bool {
    let across = |low: usize, high: usize, other: [usize; 2]| high.min(other[1]).saturating_sub(low.max(other[0]));
    let width = across(area.left, area.right, [made.area.left, made.area.right]);
    let height = across(area.top, area.bottom, [made.area.top, made.area.bottom]);
    2 * width * height >= (area.right - area.left) * (area.bottom - area.top)
}

/// A line for each candidate: what the picture is, its number, whether it is of the letters, its score, letters, features.
fn write_features(
    dump: &mut Option<std::fs::File>,
    name: &str,
    number: usize,
    found: &Found,
    is_text: impl Fn(PixelRect) -> bool,
) {
    let Some(file) = dump else { return };
    for line in &found.lines {
        let features = format!("{:?}", line.features);
        let facts = [u8::from(is_text(line.area)).to_string(), line.score.to_string(), line.num_letters.to_string()];
        std::io::Write::write_all(file, format!("{name}\t{number}\t{}\t{features}\n", facts.join("\t")).as_bytes())
            .expect("a file to write to");
    }
}

/// One overlay: font, size, contrast, angle, place and text drawn by lot; every second one goes through JPEG.
fn made_up(
    background: &Rgb8,
    fonts: &[(String, fontdue::Font)],
    random: &mut Random,
    index: usize,
    half: &str,
) -> Option<Made> {
    let text = TEXTS[random.below(12) + if half == "develop" { 0 } else { 12 }];
    let size = [10, 12, 14, 18, 24, 32, 40][random.below(7)];
    let kind = index % (fonts.len() + 2);
    let (font, mask) = match kind {
        0 => ("dots".to_string(), lettering::dots(text, (size / 7).max(1))),
        1 => ("plotter".to_string(), lettering::strokes(text, size as f32, (size as f32 / 9.0).max(1.2))),
        kind => (fonts[kind - 2].0.clone(), outline(text, &fonts[kind - 2].1, size as f32 * 1.35)),
    };
    let angle = [0, 0, 0, 0, 90, 270, 180, 5, -5, 15, -30, 45][random.below(12)];
    let mask = if angle == 0 { mask } else { lettering::turned(&mask, angle as f32) };
    let (width, height) = (background.width() as usize, background.height() as usize);
    if mask.width + 4 > width || mask.height + 4 > height {
        return None;
    }
    // Mostly near a border, where machines write; a third anywhere.
    let mut left = random.below(width - mask.width);
    let mut top = random.below(height - mask.height);
    if random.below(3) > 0 {
        top = if random.below(2) == 0 {
            top.min(height / 12)
        } else {
            top.max(height.saturating_sub(mask.height + height / 12))
        };
        left = left.min(width - mask.width);
    }
    let contrast = [40, 60, 90, 130, 255][random.below(5)];
    let level = mean_level(background, left, top, &mask);
    let value = if level < 128.0 || (level < contrast as f32 && level + contrast as f32 <= 255.0) {
        (level + contrast as f32).min(255.0) as u8
    } else {
        (level - contrast as f32).max(0.0) as u8
    };
    let colour = match random.below(6) {
        0 if contrast == 255 && level < 128.0 => [255, 255, 0],
        1 if contrast == 255 && level < 128.0 => [0, 255, 0],
        _ => [value; 3],
    };
    let mut picture = lettering::written(background, &mask, left, top, colour);
    if index.is_multiple_of(2) {
        picture = through_jpeg(&picture, 75 + (random.below(20) as u8));
    }
    let letters = (0..mask.alpha.len()).filter(|at| mask.alpha[*at] >= 96);
    let letters = letters.map(|at| (left + at % mask.width, top + at / mask.width)).collect();
    // A line's box has a margin of 0.4 letters and two pixels.
    let margin = size / 2 + 4;
    let area = PixelRect {
        left: left.saturating_sub(margin),
        top: top.saturating_sub(margin),
        right: left + mask.width + margin,
        bottom: top + mask.height + margin,
    };
    let what = format!("{text:?} {font} size {size} contrast {contrast} angle {angle} at {left},{top}");
    Some(Made { picture, letters, area, what, font, contrast, angle, size })
}

fn mean_level(picture: &Rgb8, left: usize, top: usize, mask: &Mask) -> f32 {
    let mut sum = 0.0;
    for y in 0..mask.height {
        for x in 0..mask.width {
            let [r, g, b] = picture.pixel((left + x) as u32, (top + y) as u32).map(f32::from);
            sum += 0.299 * r + 0.587 * g + 0.114 * b;
        }
    }
    sum / (mask.width * mask.height) as f32
}

fn outline(text: &str, font: &fontdue::Font, size: f32) -> Mask {
    let height = (size * 1.5) as usize;
    let base = (size * 1.1) as i32;
    let glyphs: Vec<_> = text.chars().map(|letter| font.rasterize(letter, size)).collect();
    let width = glyphs.iter().map(|(metrics, _)| metrics.advance_width).sum::<f32>() as usize + 4;
    let mut alpha = vec![0u8; width * height];
    let mut pen = 1.0f32;
    for (metrics, coverage) in &glyphs {
        let (left, top) = (pen as i32 + metrics.xmin, base - metrics.height as i32 - metrics.ymin);
        for y in 0..metrics.height {
            for x in 0..metrics.width {
                let (px, py) = (left + x as i32, top + y as i32);
                if (0..width as i32).contains(&px) && (0..height as i32).contains(&py) {
                    let place = &mut alpha[py as usize * width + px as usize];
                    *place = (*place).max(coverage[y * metrics.width + x]);
                }
            }
        }
        pen += metrics.advance_width;
    }
    Mask { width, height, alpha }
}

fn through_jpeg(picture: &Rgb8, quality: u8) -> Rgb8 {
    let mut bytes = Vec::new();
    let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, quality);
    let encoded =
        image::RgbImage::from_raw(picture.width(), picture.height(), picture.pixels().to_vec()).expect("a picture");
    encoded.write_with_encoder(encoder).expect("written to memory");
    let decoded = image::load_from_memory(&bytes).expect("just written").to_rgb8();
    Rgb8::new(picture.width(), picture.height(), decoded.into_raw()).expect("same size")
}

/// TrueType fonts of one half, at most twelve, spread over the families.
fn fonts(dir: &Path, half: &str) -> Vec<(String, fontdue::Font)> {
    let mut found = Vec::new();
    walk(dir, &mut |path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".ttf")
            && !name.contains("Math")
            && in_half(path, half)
            && let Ok(bytes) = std::fs::read(path)
            && let Ok(font) = fontdue::Font::from_bytes(bytes, fontdue::FontSettings::default())
        {
            found.push((name.trim_end_matches(".ttf").to_string(), font));
        }
    });
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let step = found.len().div_ceil(12).max(1);
    found.into_iter().step_by(step).collect()
}

fn walk(dir: &Path, visit: &mut dyn FnMut(&Path)) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() { walk(&path, visit) } else { visit(&path) }
    }
}

/// Pictures of a set, masks left out, of one half, at most `most`.
fn backgrounds(data: &Path, set: &str, modality: &str, half: &str, most: usize) -> Vec<Background> {
    let mut found = Vec::new();
    let group = format!("{modality}, {set}");
    walk(&data.join(set), &mut |path| {
        let inside = path.strip_prefix(data).unwrap_or(path).to_string_lossy().to_lowercase();
        let ends = |endings: &[&str]| endings.iter().any(|ending| inside.ends_with(ending));
        let is_mask = ["mask", "1stho", "2ndho", "superpixel", "_segmentation.", "seg", "tissue", "report", "/ref/"]
            .iter()
            .any(|word| inside[set.len()..].contains(word));
        if is_mask {
            return;
        }
        if ends(&[".png", ".jpg", ".jpeg", ".tif"]) && in_half(path, half) {
            found.push(Background { path: path.into(), slice: None, group: group.clone() });
        } else if ends(&[".nii.gz", ".dcm"]) {
            let Ok(scan) = gmai_imaging::read(path, &Limits::default()) else { return };
            if let Content::Volume(volume) = scan.content {
                let slices = (0..volume.num_slices(Axis::Axial)).step_by(12);
                let slice = |index| SliceRef { axis: Axis::Axial, index };
                let of = |index| Background { path: path.into(), slice: Some(slice(index)), group: group.clone() };
                found.extend(slices.map(of).filter(|one| in_half(Path::new(&title(one)), half)));
            }
        }
    });
    let step = found.len().div_ceil(most).max(1);
    found.into_iter().step_by(step).collect()
}

fn title(background: &Background) -> String {
    let name = background.path.file_name().unwrap_or_default().to_string_lossy();
    background.slice.map_or(name.to_string(), |slice| format!("{name} slice {}", slice.index))
}

fn in_half(path: &Path, half: &str) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let even = Sha256::digest(name.as_bytes())[0].is_multiple_of(2);
    if half == "develop" { even } else { !even }
}

/// A picture of at least 200 and at most 1100 pixels: larger ones are shown smaller everywhere.
fn open(background: &Background) -> Option<Rgb8> {
    let picture = match background.slice {
        None => read_picture(&background.path, DeepGrey::Stretch, &Limits::default()).ok()?,
        Some(slice) => {
            let Content::Volume(volume) = gmai_imaging::read(&background.path, &Limits::default()).ok()?.content else {
                return None;
            };
            gmai_imaging::render(&volume.plane(slice)?, gmai_imaging::window(&volume, WindowRule::default()))
        }
    };
    let (width, height) = (picture.width(), picture.height());
    if width.min(height) < MIN_SIDES[usize::from(background.slice.is_none())] {
        return None;
    }
    let factor = width.max(height).div_ceil(1100);
    if factor == 1 {
        return Some(picture);
    }
    let (small_width, small_height) = (width / factor, height / factor);
    let mut pixels = Vec::new();
    for y in 0..small_height {
        for x in 0..small_width {
            for channel in 0..3 {
                let mut sum = 0u32;
                for dy in 0..factor {
                    sum += (0..factor)
                        .map(|dx| u32::from(picture.pixel(x * factor + dx, y * factor + dy)[channel]))
                        .sum::<u32>();
                }
                pixels.push((sum / (factor * factor)) as u8);
            }
        }
    }
    Rgb8::new(small_width, small_height, pixels)
}

fn best(found: &Found) -> String {
    found.lines.first().map_or("no line".into(), |line| {
        format!("score {:.2}, {} letters, {:?} {:?}", line.score, line.num_letters, line.area, line.features)
    })
}

fn save(show: Option<&Path>, prefix: &str, background: &Background, picture: &Rgb8, boxes: &[PixelRect]) {
    let Some(dir) = show else { return };
    let name = format!("{prefix}-{}.png", title(background).replace(' ', "_"));
    let mut pixels = picture.pixels().to_vec();
    for area in boxes {
        let width = picture.width() as usize;
        for x in area.left..area.right {
            for y in [area.top, area.bottom - 1] {
                pixels[(y * width + x) * 3..][..3].copy_from_slice(&[255, 0, 0]);
            }
        }
    }
    let buffer = image::RgbImage::from_raw(picture.width(), picture.height(), pixels).expect("a picture");
    std::fs::create_dir_all(dir)
        .and_then(|()| buffer.save(dir.join(name)).map_err(std::io::Error::other))
        .expect("a folder to write to");
}
