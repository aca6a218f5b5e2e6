//! From an RGB picture to the pixel values of one tile: square padding, resize, centre crop, normalisation, as `CLIPImageProcessor` does.

use crate::error::{Error, Result};
use crate::resize::{Canvas, Extent, Filter, Window, resample};
use gmai_schema::Rgb8;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Mean of CLIP's training pictures per channel, 0 to 1 (`OPENAI_CLIP_MEAN`).
const CLIP_MEAN: [f64; 3] = [0.48145466, 0.4578275, 0.40821073];
/// Standard deviation of the same (`OPENAI_CLIP_STD`).
const CLIP_STD: [f64; 3] = [0.26862954, 0.26130258, 0.27577711];
/// Largest side of a tile, pixels: no encoder we know of takes more, and a larger number in a config is a mistake.
const MAX_SIZE: usize = 4096;

/// A picture ready for the vision encoder, still in 8 bits: what a cache would keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pixels {
    /// Side of the square, pixels.
    pub size: usize,
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

/// How a picture (padded or not) becomes a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// The shorter side becomes this many pixels, then the centre is cut out (CLIP).
    ShortestEdge(usize),
    /// Both sides become the tile's side, whatever the shape (SigLIP).
    Stretch,
}

/// What happens to a picture before the vision encoder sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageConfig {
    /// Side of the tile, pixels.
    pub size: usize,
    /// Whether the picture is padded first.
    pub padding: Padding,
    /// How it is brought to size.
    pub fit: Fit,
    /// The interpolation kernel.
    pub filter: Filter,
    /// What a byte is multiplied by first; 1/255.
    pub rescale_factor: f64,
    /// Subtracted per channel after that.
    pub mean: [f64; 3],
    /// Divided by per channel after that.
    pub std: [f64; 3],
}

impl ImageConfig {
    /// CLIP's processing for tiles of `size` pixels, on padded pictures.
    pub fn clip(size: usize) -> ImageConfig {
        ImageConfig {
            size,
            padding: Padding::Square,
            fit: Fit::ShortestEdge(size),
            filter: Filter::Bicubic,
            rescale_factor: 1.0 / 255.0,
            mean: CLIP_MEAN,
            std: CLIP_STD,
        }
    }

    /// Reads the text of a `preprocessor_config.json`; `path` is named in errors.
    pub fn from_json(text: &str, path: &std::path::Path) -> Result<ImageConfig> {
        let file: ImageConfigFile =
            serde_json::from_str(text).map_err(|source| Error::Json { path: path.to_path_buf(), source })?;
        file.into_config()
    }

    /// The text of a `preprocessor_config.json` that reads back as this.
    pub fn to_json(&self) -> String {
        let size = match self.fit {
            Fit::ShortestEdge(edge) => serde_json::json!({ "shortest_edge": edge }),
            Fit::Stretch => serde_json::json!({ "height": self.size, "width": self.size }),
        };
        let file = serde_json::json!({
            "crop_size": { "height": self.size, "width": self.size },
            "do_center_crop": matches!(self.fit, Fit::ShortestEdge(_)),
            "do_convert_rgb": true,
            "do_normalize": true,
            "do_pad": self.padding == Padding::Square,
            "do_rescale": true,
            "do_resize": true,
            "image_mean": self.mean,
            "image_processor_type": "CLIPImageProcessor",
            "image_std": self.std,
            "resample": u8::from(self.filter),
            "rescale_factor": self.rescale_factor,
            "size": size,
        });
        format!("{file:#}\n")
    }

    /// Checks what [`ImageProcessor`] relies on.
    fn check(&self) -> Result<()> {
        let refuse = |field, reason| Err(Error::ImageConfig { field, reason });
        let edge = if let Fit::ShortestEdge(edge) = self.fit { edge } else { self.size };
        if !(1..=MAX_SIZE).contains(&self.size) || !(1..=MAX_SIZE).contains(&edge) {
            return refuse("size", format!("sides must be 1 to {MAX_SIZE} pixels, found {} and {edge}", self.size));
        }
        if !self.mean.iter().all(|mean| (0.0..=1.0).contains(mean)) {
            return refuse("image_mean", format!("each must be 0 to 1, found {:?}", self.mean));
        }
        if !self.std.iter().all(|std| std.is_finite() && *std > 0.0) {
            return refuse("image_std", format!("each must be above 0, found {:?}", self.std));
        }
        if !(self.rescale_factor.is_finite() && self.rescale_factor > 0.0) {
            return refuse("rescale_factor", format!("must be above 0, found {}", self.rescale_factor));
        }
        Ok(())
    }
}

/// `preprocessor_config.json` as `CLIPImageProcessor` and `SiglipImageProcessor` write it, with LLaVA's `do_pad`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ImageConfigFile {
    crop_size: Option<SizeField>,
    #[serde(default)]
    do_center_crop: bool,
    do_normalize: bool,
    /// Not in CLIP's own files. Absent means padded: the GMAI-VL release trains so and does not say it (paper.md 2.4).
    do_pad: Option<bool>,
    do_rescale: bool,
    do_resize: bool,
    image_mean: [f64; 3],
    image_std: [f64; 3],
    resample: Filter,
    rescale_factor: f64,
    size: SizeField,
    // Keys that change nothing here: pictures arrive as RGB, and the class name is a matter of transformers.
    #[serde(default, rename = "do_convert_rgb")]
    _do_convert_rgb: IgnoredAny,
    #[serde(default, rename = "image_processor_type")]
    _image_processor_type: IgnoredAny,
    #[serde(default, rename = "feature_extractor_type")]
    _feature_extractor_type: IgnoredAny,
    #[serde(default, rename = "processor_class")]
    _processor_class: IgnoredAny,
    #[serde(default, rename = "_valid_processor_keys")]
    _valid_processor_keys: IgnoredAny,
}

/// A size in one of the three ways that files have it.
#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(untagged)]
enum SizeField {
    Shortest { shortest_edge: usize },
    Exact { height: usize, width: usize },
    Number(usize),
}

impl ImageConfigFile {
    fn into_config(self) -> Result<ImageConfig> {
        let refuse = |field, reason: &str| Err(Error::ImageConfig { field, reason: reason.to_string() });
        for (field, value) in
            [("do_resize", self.do_resize), ("do_rescale", self.do_rescale), ("do_normalize", self.do_normalize)]
        {
            if !value {
                return refuse(field, "false is not supported; the vision encoders here need it");
            }
        }
        let padding = if self.do_pad.unwrap_or(true) { Padding::Square } else { Padding::None };
        let (fit, resized) = match self.size {
            SizeField::Shortest { shortest_edge: edge } | SizeField::Number(edge) => (Fit::ShortestEdge(edge), edge),
            SizeField::Exact { height, width } if height == width => (Fit::Stretch, height),
            SizeField::Exact { .. } => return refuse("size", "height and width must be equal"),
        };
        let size = match (self.do_center_crop, self.crop_size) {
            (true, Some(SizeField::Number(size))) => size,
            (true, Some(SizeField::Exact { height, width })) if height == width => height,
            (true, _) => return refuse("crop_size", "must be a number, or height and width that are equal"),
            (false, _) if fit == Fit::Stretch || padding == Padding::Square => resized,
            (false, _) => {
                return refuse("do_center_crop", "false gives tiles that are not square; crop, or set do_pad");
            }
        };
        if fit == Fit::Stretch && size != resized {
            return refuse("crop_size", "must equal size where that gives height and width");
        }
        let ImageConfigFile { resample: filter, rescale_factor, image_mean: mean, image_std: std, .. } = self;
        Ok(ImageConfig { size, padding, fit, filter, rescale_factor, mean, std })
    }
}

/// Turns pictures into tiles and tiles into numbers.
#[derive(Debug, Clone)]
pub struct ImageProcessor {
    config: ImageConfig,
    /// Colour of the padding: the mean, rounded down to a byte.
    background: [u8; 3],
    /// The normalised value of each byte, per channel.
    normalized: [[f32; 256]; 3],
}

impl ImageProcessor {
    /// Prepares the tables; fails when the config cannot be carried out.
    pub fn new(config: ImageConfig) -> Result<ImageProcessor> {
        config.check()?;
        let background = config.mean.map(|mean| (255.0 * mean) as u8);
        let table = |channel: usize| {
            let (mean, std) = (config.mean[channel] as f32, config.std[channel] as f32);
            // In NumPy's order and precision: scaled in 64 bits, the rest in 32.
            std::array::from_fn(|byte| ((byte as f64 * config.rescale_factor) as f32 - mean) / std)
        };
        let normalized = std::array::from_fn(table);
        Ok(ImageProcessor { config, background, normalized })
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
        let size = self.config.size;
        let resized = self.resized(canvas);
        // Floored division, as Python's: a tile larger than the resized picture has the odd black line at the left and the top.
        let offset = |resized: usize| (resized as i64 - size as i64).div_euclid(2);
        let window = Window {
            left: offset(resized.width),
            top: offset(resized.height),
            extent: Extent { width: size, height: size },
        };
        Pixels { size, bytes: resample(&source, self.config.filter, resized, window) }
    }

    /// Size of the whole canvas after the resize, before the crop.
    fn resized(&self, canvas: Extent) -> Extent {
        let Fit::ShortestEdge(edge) = self.config.fit else {
            return Extent { width: self.config.size, height: self.config.size };
        };
        // transformers' get_resize_output_image_size: int(edge * long / short).
        let long = |long: usize, short: usize| edge * long / short;
        if canvas.width <= canvas.height {
            Extent { width: edge, height: long(canvas.height, canvas.width) }
        } else {
            Extent { width: long(canvas.width, canvas.height), height: edge }
        }
    }

    /// Writes the values the network takes: channel by channel, each `size` rows of `size`.
    ///
    /// `out` must have `3 * size * size` places.
    pub fn normalize(&self, pixels: &Pixels, out: &mut [f32]) -> Result<()> {
        let plane = pixels.size * pixels.size;
        if out.len() != 3 * plane || pixels.bytes.len() != 3 * plane {
            return Err(Error::BufferLength { size: pixels.size, expected: 3 * plane, given: out.len() });
        }
        for (channel, (values, table)) in out.chunks_exact_mut(plane.max(1)).zip(&self.normalized).enumerate() {
            for (value, pixel) in values.iter_mut().zip(pixels.bytes.chunks_exact(3)) {
                *value = table[usize::from(pixel[channel])];
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

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
        processor.normalize(&Pixels { size: 1, bytes: vec![255, 0, 128] }, &mut out).expect("right length");
        let expected =
            [(1.0 - 0.48145466) / 0.26862954, -0.4578275 / 0.26130258, (128.0 / 255.0 - 0.40821073) / 0.27577711];
        for (value, expected) in out.iter().zip(expected) {
            assert!((f64::from(*value) - expected).abs() < 1e-6, "{value} {expected}");
        }
    }

    #[test]
    fn a_buffer_of_the_wrong_length_is_refused() {
        let tile = Pixels { size: 2, bytes: vec![0; 12] };
        let error = processor(2, Padding::Square).normalize(&tile, &mut [0.0; 11]).expect_err("too short");
        assert!(error.to_string().contains("12 places"), "{error}");
    }

    #[test]
    fn a_config_reads_back_as_written() {
        for config in [
            ImageConfig::clip(336),
            ImageConfig { padding: Padding::None, filter: Filter::Lanczos, ..ImageConfig::clip(56) },
            ImageConfig { fit: Fit::Stretch, ..ImageConfig::clip(64) },
        ] {
            let read = ImageConfig::from_json(&config.to_json(), Path::new("preprocessor_config.json"));
            assert_eq!(read.expect("own output"), config);
        }
    }

    #[test]
    fn unknown_keys_and_impossible_values_are_refused_by_name() {
        let good = ImageConfig::clip(8).to_json();
        for (from, to, named) in [
            ("\"do_pad\"", "\"do_tile\"", "do_tile"),
            ("\"resample\": 3", "\"resample\": 0", "resample 0"),
            ("\"do_rescale\": true", "\"do_rescale\": false", "do_rescale"),
            ("\"shortest_edge\": 8", "\"height\": 8, \"width\": 9", "size"),
        ] {
            assert!(good.contains(from), "{from}");
            let error = ImageConfig::from_json(&good.replace(from, to), Path::new("p.json")).expect_err(named);
            assert!(error.to_string().contains(named), "{error}");
        }
        let huge = ImageProcessor::new(ImageConfig::clip(1_000_000)).expect_err("too large");
        assert!(huge.to_string().contains("4096"), "{huge}");
    }
}
