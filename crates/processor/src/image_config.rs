//! `preprocessor_config.json` as transformers' CLIP, SigLIP and LLaVA image processors write it, now and in older versions.
//!
//! Keys that are absent mean what the class takes for them; keys that are null are absent; keys that would change the pictures and are not
//! known are refused by name.

use crate::error::{Error, Result};
use crate::image::{CLIP_MEAN, CLIP_STD, Fit, ImageConfig, Normalization, Padding};
use crate::resize::{Extent, Filter};
use serde_json::{Map, Value, json};
use std::path::Path;

/// Keys that change nothing: pictures always arrive as RGB in 8 bits, and the rest is a matter of Python.
const WITHOUT_EFFECT: [&str; 11] = [
    "_valid_processor_keys",
    "auto_map",
    "data_format",
    "default_to_square",
    "device",
    "disable_grouping",
    "do_convert_rgb",
    "feature_extractor_type",
    "input_data_format",
    "processor_class",
    "return_tensors",
];

/// The image processors whose steps are known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Shorter side, centre crop.
    Clip,
    /// Both sides, no crop.
    Siglip,
}

impl Class {
    fn of(name: Option<&str>) -> Result<Class> {
        let name = name.unwrap_or("CLIPImageProcessor");
        let base =
            name.trim_end_matches("Fast").trim_end_matches("ImageProcessor").trim_end_matches("FeatureExtractor");
        match base {
            "CLIP" | "Llava" | "ChineseCLIP" => Ok(Class::Clip),
            "Siglip" => Ok(Class::Siglip),
            _ => Err(refused(
                "image_processor_type",
                format!("{name:?} is not known; CLIP, SigLIP and LLaVA processors are"),
            )),
        }
    }
}

/// Reads the text of a file; see [`ImageConfig::from_json`].
pub(crate) fn read(text: &str, path: &Path, unstated: Padding) -> Result<ImageConfig> {
    let map: Map<String, Value> =
        serde_json::from_str(text).map_err(|source| Error::Json { path: path.to_path_buf(), source })?;
    let mut keys = Keys(map.into_iter().filter(|(_, value)| !value.is_null()).collect());
    let class_name = keys.0.remove("image_processor_type").or_else(|| keys.0.get("feature_extractor_type").cloned());
    let class = Class::of(class_name.as_ref().and_then(Value::as_str))?;
    let config = config(&mut keys, class, unstated)?;
    match keys.0.keys().find(|key| !WITHOUT_EFFECT.contains(&key.as_str())) {
        Some(key) => Err(refused(key, "this key is not known, and it may change the pictures".to_string())),
        None => Ok(config),
    }
}

fn config(keys: &mut Keys, class: Class, unstated: Padding) -> Result<ImageConfig> {
    let padding = match keys.flag("do_pad")? {
        None => unstated,
        Some(true) => Padding::Square,
        Some(false) => Padding::None,
    };
    let size = keys.size("size", class == Class::Siglip)?;
    let fit = match (keys.flag("do_resize")?, size) {
        (Some(false), _) => Fit::Keep,
        (_, Some(fit)) => fit,
        (_, None) => return Err(refused("size", "is missing".to_string())),
    };
    let crop_size = keys.size("crop_size", true)?;
    let crop = match (keys.flag("do_center_crop")?.unwrap_or(class == Class::Clip), crop_size) {
        (false, _) => None,
        (true, Some(Fit::Stretch(extent))) => Some(extent),
        (true, Some(_)) => return Err(refused("crop_size", "must be a number, or height and width".to_string())),
        (true, None) => return Err(refused("crop_size", "is missing, and do_center_crop asks for it".to_string())),
    };
    let filter = match keys.0.remove("resample") {
        None => Filter::Bicubic,
        Some(value) => serde_json::from_value(value).map_err(|error| refused("resample", error.to_string()))?,
    };
    let factor = keys.number("rescale_factor")?.unwrap_or(1.0 / 255.0);
    let rescale_factor = keys.flag("do_rescale")?.unwrap_or(true).then_some(factor);
    let (mean, std) = (keys.channels("image_mean")?, keys.channels("image_std")?);
    let normalization = match keys.flag("do_normalize")?.unwrap_or(true) {
        true if mean.is_none() => {
            return Err(refused("image_mean", "is missing, and do_normalize asks for it".to_string()));
        }
        true if std.is_none() => {
            return Err(refused("image_std", "is missing, and do_normalize asks for it".to_string()));
        }
        true => Normalization::MeanAndDeviation,
        false => Normalization::None,
    };
    let (mean, std) = (mean.unwrap_or(CLIP_MEAN), std.unwrap_or(CLIP_STD));
    Ok(ImageConfig { padding, fit, filter, crop, rescale_factor, normalization, mean, std })
}

/// What is left of a file's keys: each is taken out when it is read.
struct Keys(Map<String, Value>);

impl Keys {
    fn flag(&mut self, key: &str) -> Result<Option<bool>> {
        let value = self.0.remove(key);
        value
            .map(|value| value.as_bool().ok_or_else(|| refused(key, format!("must be true or false, found {value}"))))
            .transpose()
    }

    fn number(&mut self, key: &str) -> Result<Option<f64>> {
        let value = self.0.remove(key);
        value
            .map(|value| value.as_f64().ok_or_else(|| refused(key, format!("must be a number, found {value}"))))
            .transpose()
    }

    fn channels(&mut self, key: &str) -> Result<Option<[f64; 3]>> {
        let Some(value) = self.0.remove(key) else { return Ok(None) };
        let three = serde_json::from_value(value.clone());
        three.map(Some).map_err(|_| refused(key, format!("must be three numbers, found {value}")))
    }

    /// A size as a number, `shortest_edge`, or `height` and `width`. A number alone is a square or the shorter side.
    fn size(&mut self, key: &str, number_is_square: bool) -> Result<Option<Fit>> {
        let Some(value) = self.0.remove(key) else { return Ok(None) };
        let pixels = |value: &Value| value.as_u64().and_then(|pixels| usize::try_from(pixels).ok());
        let named = |name: &str| value.get(name).and_then(pixels);
        let names: Vec<&str> = value.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        let fit = match (pixels(&value), &names[..]) {
            (Some(side), _) if number_is_square => Some(Fit::Stretch(Extent { width: side, height: side })),
            (Some(edge), _) => Some(Fit::ShortestEdge(edge)),
            (None, ["shortest_edge"]) => named("shortest_edge").map(Fit::ShortestEdge),
            (None, ["height", "width"] | ["width", "height"]) => {
                named("width").zip(named("height")).map(|(width, height)| Fit::Stretch(Extent { width, height }))
            }
            _ => None,
        };
        let expected = "must be a number of pixels, {\"shortest_edge\": n} or {\"height\": n, \"width\": n}";
        fit.map(Some).ok_or_else(|| refused(key, format!("{expected}, found {value}")))
    }
}

fn refused(field: &str, reason: String) -> Error {
    Error::ImageConfig { field: field.to_string(), reason }
}

/// The text of a file that reads back as `config`.
pub(crate) fn write(config: &ImageConfig) -> String {
    let extent = |extent: Extent| json!({ "height": extent.height, "width": extent.width });
    let (class, size) = match config.fit {
        Fit::Stretch(size) if config.crop.is_none() => ("SiglipImageProcessor", extent(size)),
        Fit::Stretch(size) => ("CLIPImageProcessor", extent(size)),
        Fit::ShortestEdge(edge) => ("CLIPImageProcessor", json!({ "shortest_edge": edge })),
        Fit::Keep => ("CLIPImageProcessor", Value::Null),
    };
    let file = json!({
        "crop_size": config.crop.map(extent),
        "do_center_crop": config.crop.is_some(),
        "do_convert_rgb": true,
        "do_normalize": config.normalization == Normalization::MeanAndDeviation,
        "do_pad": config.padding == Padding::Square,
        "do_rescale": config.rescale_factor.is_some(),
        "do_resize": config.fit != Fit::Keep,
        "image_mean": config.mean,
        "image_processor_type": class,
        "image_std": config.std,
        "resample": u8::from(config.filter),
        "rescale_factor": config.rescale_factor.unwrap_or(1.0 / 255.0),
        "size": size,
    });
    format!("{file:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<ImageConfig> {
        read(text, Path::new("preprocessor_config.json"), Padding::None)
    }

    #[test]
    fn a_config_reads_back_as_written() {
        let wide = Extent { width: 96, height: 64 };
        for config in [
            ImageConfig::clip(336),
            ImageConfig { padding: Padding::None, filter: Filter::Lanczos, ..ImageConfig::clip(56) },
            ImageConfig { fit: Fit::Stretch(wide), crop: None, ..ImageConfig::clip(64) },
            ImageConfig { fit: Fit::Keep, rescale_factor: None, ..ImageConfig::clip(64) },
            ImageConfig { normalization: Normalization::None, filter: Filter::Nearest, ..ImageConfig::clip(8) },
        ] {
            assert_eq!(parsed(&config.to_json()).expect("own output"), config);
        }
    }

    #[test]
    fn files_of_older_and_newer_versions_are_read() {
        let old = r#"{"crop_size": 224, "do_center_crop": true, "do_normalize": true, "do_resize": true, "resample": 3, "size": 224,
            "feature_extractor_type": "CLIPFeatureExtractor", "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}"#;
        let old = parsed(old).expect("as openai/clip-vit writes");
        assert_eq!((old.fit, old.tile()), (Fit::ShortestEdge(224), Some(Extent { width: 224, height: 224 })));
        assert_eq!(old.rescale_factor, Some(1.0 / 255.0));
        let siglip = r#"{"do_convert_rgb": null, "do_resize": true, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
            "image_processor_type": "SiglipImageProcessorFast", "size": {"height": 384, "width": 384}, "pad_size": null, "resample": 2}"#;
        let siglip = parsed(siglip).expect("as google/siglip writes");
        assert_eq!((siglip.crop, siglip.filter, siglip.padding), (None, Filter::Bilinear, Padding::None));
    }

    #[test]
    fn an_absent_do_pad_means_what_the_caller_says() {
        let text = ImageConfig::clip(8).to_json().replace("\"do_pad\": true,", "");
        for padding in [Padding::None, Padding::Square] {
            assert_eq!(read(&text, Path::new("p.json"), padding).expect("complete").padding, padding);
        }
    }

    #[test]
    fn unknown_keys_and_impossible_values_are_refused_by_name() {
        let good = ImageConfig::clip(8).to_json();
        for (from, to, named) in [
            ("\"do_pad\"", "\"do_tile\"", "do_tile"),
            ("\"resample\": 3", "\"resample\": 9", "resample 9"),
            ("\"do_rescale\": true", "\"do_rescale\": 1", "do_rescale"),
            ("\"shortest_edge\": 8", "\"longest_edge\": 8", "size"),
            ("\"shortest_edge\": 8", "\"shortest_edge\": -8", "size"),
            ("\"rescale_factor\": 0", "\"rescale_factor\": \"a\", \"b\": 0", "rescale_factor"),
            ("CLIPImageProcessor", "Pix2StructImageProcessor", "Pix2Struct"),
            ("\"image_mean\": [", "\"image_mean\": [0.5,", "image_mean"),
            ("\"size\"", "\"processor_class\"", "size: is missing"),
        ] {
            assert!(good.contains(from), "{from}");
            let error = parsed(&good.replace(from, to)).expect_err(named);
            assert!(error.to_string().contains(named), "{error}");
        }
    }
}
