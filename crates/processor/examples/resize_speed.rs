//! Times the tile of a picture of 2048 x 2500 pixels: `cargo run --release -p gmai-processor --example resize_speed [-- FILE.rgb]`.
//! FILE holds its RGB bytes; without it the picture is made up. `RAYON_NUM_THREADS=1` measures one thread. Each line: padding, median and
//! least milliseconds of resize and crop, and of writing the normalised values. `bench/processor/compare.py` sets them beside Pillow.
#![allow(clippy::print_stdout)] // Printing the figures is what it is for.

use gmai_processor::{ImageConfig, ImageProcessor, Padding, Result};
use gmai_schema::Rgb8;
use std::time::Instant;

const WIDTH: u32 = 2048;
const HEIGHT: u32 = 2500;
const TILE: usize = 336;
const ROUNDS: usize = 15;

fn main() -> Result<()> {
    let made_up = || {
        let bytes = 0..WIDTH as usize * HEIGHT as usize * 3;
        bytes.map(|place| (place.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
    };
    let bytes = std::env::args_os().nth(1).and_then(|path| std::fs::read(path).ok()).unwrap_or_else(made_up);
    let picture = Rgb8::new(WIDTH, HEIGHT, bytes).expect("as many bytes as 2048 x 2500 pixels need");
    for padding in [Padding::None, Padding::Square] {
        let processor = ImageProcessor::new(ImageConfig { padding, ..ImageConfig::clip(TILE) })?;
        let mut values = vec![0.0; 3 * TILE * TILE];
        let (mut tile_ms, mut normalize_ms) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let start = Instant::now();
            let tile = std::hint::black_box(processor.pixels(&picture));
            let between = Instant::now();
            processor.normalize(&tile, &mut values)?;
            std::hint::black_box(&values);
            tile_ms.push((between - start).as_secs_f64() * 1e3);
            normalize_ms.push(between.elapsed().as_secs_f64() * 1e3);
        }
        for times in [&mut tile_ms, &mut normalize_ms] {
            times.sort_by(f64::total_cmp);
        }
        println!(
            "{padding:?} tile {:.2} {:.2} normalize {:.2} {:.2}",
            tile_ms[ROUNDS / 2],
            tile_ms[0],
            normalize_ms[ROUNDS / 2],
            normalize_ms[0]
        );
    }
    Ok(())
}
