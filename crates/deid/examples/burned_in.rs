//! T-15: made-up overlays over real pictures. `GMAI_SHARED=../shared cargo run --release -p gmai-deid --example burned_in -- report 500`.
//!
//! Pictures come from `$GMAI_SHARED/data`. Backgrounds are split by the hash of their name: `develop` has the half that thresholds were
//! tuned on, `report` the other. Fonts: a dot matrix, a plotter font, and every TrueType file in the folder named by the third argument
//! (the system's fonts by default). With `--show DIR` misses and false alarms are written as PNG.

#[path = "../tests/lettering/mod.rs"]
mod lettering;

use gmai_deid::picture::{Found, detect_rgb};
use gmai_imaging::{DeepGrey, Limits, read_picture};
use gmai_schema::Rgb8;
use lettering::Mask;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Sets whose pictures have no text of their own. Chest films, ultrasound and endoscopy carry markers and labels: as background only.
const CLEAN: [&str; 6] = [
    "isic2017-skin",
    "bccd-blood-cells-voc",
    "chase-db1-retina",
    "dsb2018-nuclei",
    "wsi-histology",
    "chula-rbc12-points",
];
const MARKED: [&str; 4] =
    ["nih-chestxray14-sample", "busi-breast-ultrasound", "covid-cxr-hannover", "hyperkvasir-polyps"];

const TEXTS: [&str; 12] = [
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

struct Made {
    picture: Rgb8,
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
    let fonts_dir =
        arguments.get(2).filter(|dir| !dir.starts_with("--")).cloned().unwrap_or_else(|| "/usr/share/fonts".into());
    let show = arguments
        .iter()
        .position(|argument| argument == "--show")
        .and_then(|at| arguments.get(at + 1))
        .map(PathBuf::from);
    let shared =
        std::env::var_os("GMAI_SHARED").map(PathBuf::from).expect("GMAI_SHARED names the folder of shared data");
    let clean = pictures(&shared, &CLEAN, &half, 40);
    let marked = pictures(&shared, &MARKED, &half, 40);
    let fonts = fonts(Path::new(&fonts_dir));
    println!(
        "{half} half: {} clean pictures, {} with text of their own, {} TrueType fonts",
        clean.len(),
        marked.len(),
        fonts.len()
    );
    false_alarms(&clean, "clean", show.as_deref());
    false_alarms(&marked, "marked", None);
    let backgrounds: Vec<&PathBuf> = clean.iter().chain(&marked).collect();
    recall(&backgrounds, &fonts, count, show.as_deref());
}

fn false_alarms(paths: &[PathBuf], name: &str, show: Option<&Path>) {
    let mut by_set: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    for path in paths {
        let Some(picture) = open(path) else { continue };
        let found = detect_rgb(&picture);
        let counts = by_set.entry(set_of(path)).or_default();
        counts[1] += 1;
        if found.is_flagged() {
            counts[0] += 1;
            if name == "clean" {
                println!("false alarm: {} {}", path.file_name().unwrap_or_default().to_string_lossy(), best(&found));
                save(show, "false", path, &picture);
            }
        } else if std::env::args().any(|argument| argument == "--all") {
            println!("quiet: {} {}", path.file_name().unwrap_or_default().to_string_lossy(), best(&found));
        }
    }
    let total = by_set.values().fold([0, 0], |sum, counts| [sum[0] + counts[0], sum[1] + counts[1]]);
    println!("{name} pictures flagged: {}/{} = {:.3}", total[0], total[1], total[0] as f64 / total[1].max(1) as f64);
    by_set.iter().for_each(|(set, counts)| println!("  {set}: {}/{}", counts[0], counts[1]));
}

fn recall(backgrounds: &[&PathBuf], fonts: &[(String, fontdue::Font)], count: usize, show: Option<&Path>) {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let (mut found_count, mut made_count) = (0, 0);
    let mut slices: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    let mut seconds = 0.0;
    while made_count < count {
        let path = backgrounds[random.below(backgrounds.len())];
        let Some(background) = open(path) else { continue };
        let Some(made) = made_up(&background, fonts, &mut random, made_count) else { continue };
        made_count += 1;
        let started = std::time::Instant::now();
        let found = detect_rgb(&made.picture);
        seconds += started.elapsed().as_secs_f64();
        // A box must touch the letters: a marker of the picture's own does not count.
        let flagged = found.is_flagged();
        found_count += usize::from(flagged);
        let keys = [
            format!("font {}", made.font),
            format!("contrast {:03}", made.contrast),
            format!("angle {:+04}", made.angle),
            format!("size {:02}", made.size),
        ];
        for key in keys {
            let slice = slices.entry(key).or_default();
            slice[0] += usize::from(flagged);
            slice[1] += 1;
        }
        if !flagged {
            println!(
                "missed {made_count}: {} on {} {}",
                made.what,
                path.file_name().unwrap_or_default().to_string_lossy(),
                best(&found)
            );
            save(show, &format!("missed{made_count}"), path, &made.picture);
        }
    }
    println!(
        "recall: {found_count}/{made_count} = {:.4}; {:.3} s a picture",
        found_count as f64 / made_count as f64,
        seconds / made_count as f64
    );
    slices.iter().for_each(|(key, slice)| println!("  {key}: {}/{}", slice[0], slice[1]));
}

/// One overlay: font, size, contrast, angle, place and text drawn by lot; every second one goes through JPEG.
fn made_up(background: &Rgb8, fonts: &[(String, fontdue::Font)], random: &mut Random, index: usize) -> Option<Made> {
    let text = TEXTS[random.below(TEXTS.len())];
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
    let value = if (level < 128.0 || level < contrast as f32) && level + contrast as f32 <= 255.0 || level < 128.0 {
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
    let what = format!("{text:?} {font} size {size} contrast {contrast} angle {angle} at {left},{top}");
    Some(Made { picture, what, font, contrast, angle, size })
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

fn fonts(dir: &Path) -> Vec<(String, fontdue::Font)> {
    let wanted = [
        "DejaVuSans.ttf",
        "DejaVuSans-Bold.ttf",
        "DejaVuSerif.ttf",
        "DejaVuSansMono.ttf",
        "DejaVuSansCondensed.ttf",
        "DejaVuSerif-Italic.ttf",
        "DejaVuSans-ExtraLight.ttf",
    ];
    let mut found = Vec::new();
    walk(dir, &mut |path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_font = name.ends_with(".ttf") && (!name.starts_with("DejaVu") || wanted.contains(&name.as_str()));
        if is_font
            && let Ok(bytes) = std::fs::read(path)
            && let Ok(font) = fontdue::Font::from_bytes(bytes, fontdue::FontSettings::default())
        {
            found.push((name.trim_end_matches(".ttf").to_string(), font));
        }
    });
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found.truncate(12);
    found
}

fn walk(dir: &Path, visit: &mut dyn FnMut(&Path)) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() { walk(&path, visit) } else { visit(&path) }
    }
}

/// Pictures of sets, masks left out, of one half, at most `most` of each set.
fn pictures(shared: &Path, sets: &[&str], half: &str, most: usize) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for set in sets {
        let mut found = Vec::new();
        walk(&shared.join("data").join(set), &mut |path| {
            let name = path.to_string_lossy().to_lowercase();
            let is_picture = [".png", ".jpg", ".jpeg", ".tif"].iter().any(|ending| name.ends_with(ending));
            let is_mask = ["mask", "1stho", "2ndho", "superpixel", "segmentation"]
                .iter()
                .any(|word| name[name.len() / 3..].contains(word));
            if is_picture && !is_mask && in_half(path, half) {
                found.push(path.to_path_buf());
            }
        });
        let step = found.len().div_ceil(most).max(1);
        all.extend(found.into_iter().step_by(step));
    }
    all
}

fn in_half(path: &Path, half: &str) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let even = Sha256::digest(name.as_bytes())[0].is_multiple_of(2);
    if half == "develop" { even } else { !even }
}

/// A picture of at least 200 and at most 1100 pixels: larger ones are shown smaller everywhere.
fn open(path: &Path) -> Option<Rgb8> {
    let picture = read_picture(path, DeepGrey::Stretch, &Limits::default()).ok()?;
    let (width, height) = (picture.width(), picture.height());
    if width.min(height) < 200 {
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

fn set_of(path: &Path) -> String {
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let data = parts.iter().position(|part| part == "data").unwrap_or(0);
    parts.get(data + 1).cloned().unwrap_or_default()
}

fn best(found: &Found) -> String {
    found.lines.first().map_or("no line".into(), |line| {
        format!("score {:.2}, {} letters, {:?} {:?}", line.score, line.num_letters, line.area, line.features)
    })
}

fn save(show: Option<&Path>, prefix: &str, path: &Path, picture: &Rgb8) {
    let Some(dir) = show else { return };
    let name = format!("{prefix}-{}.png", path.file_stem().unwrap_or_default().to_string_lossy());
    let buffer =
        image::RgbImage::from_raw(picture.width(), picture.height(), picture.pixels().to_vec()).expect("a picture");
    std::fs::create_dir_all(dir)
        .and_then(|()| buffer.save(dir.join(name)).map_err(std::io::Error::other))
        .expect("a folder to write to");
}
