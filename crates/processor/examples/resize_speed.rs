//! Times the tile of a made-up picture of 2048 x 2500 pixels: `cargo run --release -p gmai-processor --example resize_speed`.
#![allow(clippy::print_stdout)] // Printing the figures is what it is for.

use gmai_processor::{ImageConfig, ImageProcessor, Padding, Result};
use gmai_schema::Rgb8;
use std::time::Instant;

const WIDTH: u32 = 2048;
const HEIGHT: u32 = 2500;
const TILE: usize = 336;
const ROUNDS: usize = 30;

fn main() -> Result<()> {
    let bytes = (0..WIDTH as usize * HEIGHT as usize * 3).map(|place| (place.wrapping_mul(2_654_435_761) >> 13) as u8);
    let picture = Rgb8::new(WIDTH, HEIGHT, bytes.collect()).expect("as many bytes as pixels need");
    for padding in [Padding::None, Padding::Square] {
        let processor = ImageProcessor::new(ImageConfig { padding, ..ImageConfig::clip(TILE) })?;
        let mut milliseconds: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let start = Instant::now();
                std::hint::black_box(processor.pixels(&picture));
                start.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        milliseconds.sort_by(f64::total_cmp);
        let (least, median) = (milliseconds[0], milliseconds[ROUNDS / 2]);
        println!(
            "{WIDTH} x {HEIGHT} -> {TILE} x {TILE}, padding {padding:?}: median {median:.1} ms, least {least:.1} ms"
        );
    }
    Ok(())
}
