//! From an RGB picture to the pixel values of one tile: square padding, resize, centre crop, normalisation, as `CLIPImageProcessor` does.

use crate::error::{Error, Result};
use crate::image_config;
use crate::resize::{Canvas, Extent, Filter, Window, resample};
use gmai_schema::Rgb8;

/// Mean of CLIP's training pictures per channel, 0 to 1 (`OPENAI_CLIP_MEAN`).
pub(crate) const CLIP_MEAN: [f64; 3] = [0.48145466, 0.4578275, 0.40821073];
/// Standard deviation of the same (`OPENAI_CLIP_STD`).
pub(crate) const CLIP_STD: [f64; 3] = [0.26862954, 0.26130258, 0.27577711];
/// Largest side of a tile, pixels: no encoder we know of takes more, and a larger number in a config is a mistake.
const MAX_SIZE: usize = 4096;

/// A picture ready for the vision encoder, still in 8 bits: what a cache would keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pixels {
    /// Columns and rows.
    pub extent: Extent,
    /// Rows from the top left, three bytes (red, green, blue) each.
    pub bytes: Vec<u8>,
}

/// Whether a picture is made square before it is resized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// Centred on a square of the mean colour, so that nothing is cropped: how the released model was trained.
    Square,
    /// Left as it is; the centre crop cuts the longer side.
    None,
}

/// How a picture (padded or not) is brought to size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// The shorter side becomes this many pixels, the shape stays (CLIP).
    ShortestEdge(usize),
    /// Both sides become as given, whatever the shape (SigLIP).
    Stretch(Extent),
    /// It is not resized.
    Keep,
}

/// What happens to a picture before the vision encoder sees it, in this order.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageConfig {
    /// Whether the picture is padded first.
    pub padding: Padding,
    /// How it is brought to size.
    pub fit: Fit,
    /// The interpolation kernel.
    pub filter: Filter,
    /// What is cut out of the centre; beyond a smaller picture there is black.
    pub crop: Option<Extent>,
    /// What a byte is multiplied by, usually 1/255; `None` leaves it.
    pub rescale_factor: Option<f64>,
    /// Whether mean and deviation are taken out after that.
    pub normalization: Normalization,
    /// Mean per channel. Also the colour of the padding.
    pub mean: [f64; 3],
    /// Standard deviation per channel.
    pub std: [f64; 3],
}

/// What happens to values with mean and standard deviation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Normalization {
    /// The mean is subtracted, then it is divided by the deviation.
    MeanAndDeviation,
    /// Nothing.
    None,
}

impl ImageConfig {
    /// CLIP's processing for tiles of `size` pixels, on padded pictures.
    pub fn clip(size: usize) -> ImageConfig {
        ImageConfig {
            padding: Padding::Square,
            fit: Fit::ShortestEdge(size),
            filter: Filter::Bicubic,
            crop: Some(Extent { width: size, height: size }),
            rescale_factor: Some(1.0 / 255.0),
            normalization: Normalization::MeanAndDeviation,
            mean: CLIP_MEAN,
            std: CLIP_STD,
        }
    }

    /// Reads the text of a `preprocessor_config.json`; `path` is named in errors. `unstated` is what an absent `do_pad` means: transformers'
    /// processors do not pad, the GMAI-VL release pads and does not say it.
    pub fn from_json(text: &str, path: &std::path::Path, unstated: Padding) -> Result<ImageConfig> {
        image_config::read(text, path, unstated)
    }

    /// The text of a `preprocessor_config.json` that reads back as this.
    pub fn to_json(&self) -> String {
        image_config::write(self)
    }

    /// Size of every tile; `None` where it depends on the picture.
    pub fn tile(&self) -> Option<Extent> {
        match (self.crop, self.fit) {
            (Some(crop), _) => Some(crop),
            (None, Fit::Stretch(extent)) => Some(extent),
            (None, Fit::ShortestEdge(edge)) if self.padding == Padding::Square => {
                Some(Extent { width: edge, height: edge })
            }
            (None, _) => None,
        }
    }

    /// Checks what [`ImageProcessor`] relies on.
    fn check(&self) -> Result<()> {
        let refuse = |field: &str, reason| Err(Error::ImageConfig { field: field.to_string(), reason });
        let fitted = match self.fit {
            Fit::ShortestEdge(edge) => Extent { width: edge, height: edge },
            Fit::Stretch(extent) => extent,
            Fit::Keep => Extent { width: 1, height: 1 },
        };
        for (field, extent) in [("size", fitted), ("crop_size", self.crop.unwrap_or(fitted))] {
            if !(1..=MAX_SIZE).contains(&extent.width) || !(1..=MAX_SIZE).contains(&extent.height) {
                let found = format!("sides must be 1 to {MAX_SIZE} pixels, found {} x {}", extent.width, extent.height);
                return refuse(field, found);
            }
        }
        if !self.mean.iter().all(|mean| (0.0..=1.0).contains(mean)) {
            return refuse("image_mean", format!("each must be 0 to 1, found {:?}", self.mean));
        }
        if !self.std.iter().all(|std| std.is_finite() && *std > 0.0) {
            return refuse("image_std", format!("each must be above 0, found {:?}", self.std));
        }
        if let Some(factor) = self.rescale_factor.filter(|factor| !(factor.is_finite() && *factor > 0.0)) {
            return refuse("rescale_factor", format!("must be above 0, found {factor}"));
        }
        Ok(())
    }
}

/// Turns pictures into tiles and tiles into numbers.
#[derive(Debug, Clone)]
pub struct ImageProcessor {
    config: ImageConfig,
    /// Colour of the padding: the mean, rounded down to a byte.
    background: [u8; 3],
    /// The final value of each byte, per channel.
    values: [[f32; 256]; 3],
}

impl ImageProcessor {
    /// Prepares the tables; fails when the config cannot be carried out.
    pub fn new(config: ImageConfig) -> Result<ImageProcessor> {
        config.check()?;
        let background = config.mean.map(|mean| (255.0 * mean) as u8);
        let value = |channel: usize, byte: usize| {
            // In NumPy's order and precision: scaled in 64 bits, the rest in 32.
            let scaled = config.rescale_factor.map_or(byte as f32, |factor| (byte as f64 * factor) as f32);
            match config.normalization {
                Normalization::MeanAndDeviation => (scaled - config.mean[channel] as f32) / config.std[channel] as f32,
                Normalization::None => scaled,
            }
        };
        let values = std::array::from_fn(|channel| std::array::from_fn(|byte| value(channel, byte)));
        Ok(ImageProcessor { config, background, values })
    }

    /// What is done to a picture.
    pub fn config(&self) -> &ImageConfig {
        &self.config
    }

    /// The tile of a picture.
    pub fn pixels(&self, picture: &Rgb8) -> Pixels {
        let extent = Extent { width: picture.width() as usize, height: picture.height() as usize };
        let canvas = match self.config.padding {
            Padding::None => extent,
            Padding::Square => {
                let side = extent.width.max(extent.height);
                Extent { width: side, height: side }
            }
        };
        let source = Canvas {
            pixels: picture.pixels(),
            picture: extent,
            canvas,
            left: (canvas.width - extent.width) / 2,
            top: (canvas.height - extent.height) / 2,
            background: self.background,
        };
        let resized = self.resized(canvas);
        let extent = self.config.crop.unwrap_or(resized);
        // Floored division, as Python's: a tile larger than the resized picture has the odd black line at the left and the top.
        let offset = |resized: usize, wanted: usize| (resized as i64 - wanted as i64).div_euclid(2);
        let window =
            Window { left: offset(resized.width, extent.width), top: offset(resized.height, extent.height), extent };
        Pixels { extent, bytes: resample(&source, self.config.filter, resized, window) }
    }

    /// Size of the whole canvas after the resize, before the crop.
    fn resized(&self, canvas: Extent) -> Extent {
        // transformers' get_resize_output_image_size: int(edge * long / short).
        let long = |edge: usize, long: usize, short: usize| edge * long / short;
        match self.config.fit {
            Fit::Keep => canvas,
            Fit::Stretch(extent) => extent,
            Fit::ShortestEdge(edge) if canvas.width <= canvas.height => {
                Extent { width: edge, height: long(edge, canvas.height, canvas.width) }
            }
            Fit::ShortestEdge(edge) => Extent { width: long(edge, canvas.width, canvas.height), height: edge },
        }
    }

    /// Writes the values the network takes: channel by channel, each row by row.
    ///
    /// `out` must have as many places as `pixels` has bytes.
    pub fn normalize(&self, pixels: &Pixels, out: &mut [f32]) -> Result<()> {
        let Extent { width, height } = pixels.extent;
        let plane = width * height;
        if out.len() != 3 * plane || pixels.bytes.len() != 3 * plane {
            return Err(Error::BufferLength { width, height, expected: 3 * plane, given: out.len() });
        }
        for (channel, (values, table)) in out.chunks_exact_mut(plane.max(1)).zip(&self.values).enumerate() {
            for (value, pixel) in values.iter_mut().zip(pixels.bytes.as_chunks::<3>().0) {
                *value = table[usize::from(pixel[channel])];
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn processor(size: usize, padding: Padding) -> ImageProcessor {
        ImageProcessor::new(ImageConfig { padding, ..ImageConfig::clip(size) }).expect("a valid config")
    }

    #[test]
    fn padding_is_the_mean_colour_above_and_below_a_wide_picture() {
        let tile = processor(16, Padding::Square).pixels(&Rgb8::filled(64, 32, [255, 0, 9]));
        assert_eq!(tile.bytes[..3], [122, 116, 104]);
        assert_eq!(tile.bytes[tile.bytes.len() - 3..], [122, 116, 104]);
        assert_eq!(tile.bytes[(8 * 16 + 8) * 3..][..3], [255, 0, 9]);
    }

    #[test]
    fn without_padding_the_longer_side_is_cropped() {
        let tile = processor(8, Padding::None).pixels(&Rgb8::filled(16, 4, [255, 0, 9]));
        assert_eq!(tile.bytes, [255, 0, 9].repeat(64));
    }

    #[test]
    fn a_picture_of_one_column_and_a_hundred_thousand_rows_costs_little() {
        for padding in [Padding::None, Padding::Square] {
            let tile = processor(32, padding).pixels(&Rgb8::filled(1, 100_000, [7, 7, 7]));
            assert_eq!(tile.bytes.len(), 32 * 32 * 3);
        }
    }

    #[test]
    fn a_tile_larger_than_the_resized_picture_is_filled_up_with_black() {
        let config = ImageConfig { fit: Fit::ShortestEdge(3), ..ImageConfig::clip(6) };
        let tile = ImageProcessor::new(config).expect("a valid config").pixels(&Rgb8::filled(5, 5, [9, 9, 9]));
        let lit: Vec<usize> = (0..6).filter(|x| tile.bytes[(3 * 6 + x) * 3] == 9).collect();
        assert_eq!(lit, [2, 3, 4]); // transformers puts ceil(3 / 2) black columns at the left.
    }

    #[test]
    fn normalized_values_are_planes_of_value_minus_mean_over_deviation() {
        let processor = processor(1, Padding::Square);
        let mut out = [0.0; 3];
        processor
            .normalize(&Pixels { extent: Extent { width: 1, height: 1 }, bytes: vec![255, 0, 128] }, &mut out)
            .expect("right length");
        let expected =
            [(1.0 - 0.48145466) / 0.26862954, -0.4578275 / 0.26130258, (128.0 / 255.0 - 0.40821073) / 0.27577711];
        for (value, expected) in out.iter().zip(expected) {
            assert!((f64::from(*value) - expected).abs() < 1e-6, "{value} {expected}");
        }
    }

    #[test]
    fn a_buffer_of_the_wrong_length_is_refused() {
        let tile = Pixels { extent: Extent { width: 2, height: 2 }, bytes: vec![0; 12] };
        let error = processor(2, Padding::Square).normalize(&tile, &mut [0.0; 11]).expect_err("too short");
        assert!(error.to_string().contains("12 places"), "{error}");
    }

    #[test]
    fn without_crop_the_tile_keeps_the_shape_of_the_picture() {
        let config = ImageConfig { crop: None, padding: Padding::None, ..ImageConfig::clip(8) };
        let tile =
            ImageProcessor::new(config.clone()).expect("a valid config").pixels(&Rgb8::filled(10, 25, [1, 2, 3]));
        assert_eq!((tile.extent, config.tile()), (Extent { width: 8, height: 20 }, None));
    }

    #[test]
    fn values_that_are_not_normalised_are_scaled_bytes() {
        let config = ImageConfig { normalization: Normalization::None, ..ImageConfig::clip(1) };
        let mut out = [0.0; 3];
        let tile = Pixels { extent: Extent { width: 1, height: 1 }, bytes: vec![255, 0, 51] };
        ImageProcessor::new(config.clone()).expect("a valid config").normalize(&tile, &mut out).expect("right length");
        assert_eq!(out, [1.0, 0.0, 0.2]);
        let config = ImageConfig { rescale_factor: None, ..config };
        ImageProcessor::new(config).expect("a valid config").normalize(&tile, &mut out).expect("right length");
        assert_eq!(out, [255.0, 0.0, 51.0]);
    }

    #[test]
    fn sizes_beyond_any_encoder_are_refused() {
        let huge = ImageProcessor::new(ImageConfig::clip(1_000_000)).expect_err("too large");
        assert!(huge.to_string().contains("4096"), "{huge}");
    }
}
