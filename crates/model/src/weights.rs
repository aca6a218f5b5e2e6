//! Weights on disk: Hugging Face folders with `model.safetensors`, or shards listed in `model.safetensors.index.json`.

use crate::config::Config;
use crate::error::{Error, Result};
use crate::gmai_vl::GmaiVl;
use crate::parameter::{ParameterMut, Parameters};
use burn::tensor::Device;
use memmap2::Mmap;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};

const SINGLE_FILE: &str = "model.safetensors";
const INDEX_FILE: &str = "model.safetensors.index.json";

impl GmaiVl {
    /// Loads the checkpoint in `folder` (`config.json` and safetensors) onto `device`, as f32.
    ///
    /// Every parameter must be there with its shape and nothing else may be: all differences are listed together.
    pub fn from_folder(folder: &Path, device: &Device) -> Result<GmaiVl> {
        let config = Config::from_folder(folder)?;
        // Seed 0: every value is replaced below.
        let mut model = GmaiVl::new(config, 0, device)?;
        load(&mut model, folder, &weight_files(folder)?, device)?;
        Ok(model)
    }

    /// Writes `config.json` and `model.safetensors` into `folder`.
    pub fn save(&self, folder: &Path) -> Result<()> {
        let path = folder.join("config.json");
        let mut text = serde_json::to_string_pretty(&self.config).expect("a config is plain data");
        text.push('\n');
        std::fs::write(&path, text).map_err(|source| Error::Io { path, source })?;
        save(&mut self.clone(), &folder.join(SINGLE_FILE))
    }
}

/// The safetensors files of a checkpoint folder.
fn weight_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let index = folder.join(INDEX_FILE);
    if !index.exists() {
        return Ok(vec![folder.join(SINGLE_FILE)]);
    }
    let text = std::fs::read_to_string(&index).map_err(|source| Error::Io { path: index.clone(), source })?;
    let damaged = |reason: String| Error::Damaged { path: index.clone(), reason };
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
    let map = value["weight_map"].as_object().ok_or_else(|| damaged("no weight_map".to_owned()))?;
    let names: BTreeSet<&str> = map.values().filter_map(|file| file.as_str()).collect();
    if names.iter().any(|name| name.contains(['/', '\\'])) {
        return Err(damaged("weight_map names a file outside the folder".to_owned()));
    }
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}

/// Fills `module` from `files`; `folder` is named in errors.
pub fn load(module: &mut impl Parameters, folder: &Path, files: &[PathBuf], device: &Device) -> Result<()> {
    let mut wanted: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    module.visit_parameters("", &mut |name, parameter| {
        wanted.insert(name.to_owned(), parameter.dims());
    });
    let mut found: HashMap<String, Vec<f32>> = HashMap::new();
    let (mut unexpected, mut misshapen) = (Vec::new(), Vec::new());
    for path in files {
        let file = File::open(path).map_err(|source| Error::Io { path: path.clone(), source })?;
        // SAFETY: the map is read once below and dropped; another process truncating the file meanwhile is the operator's fault.
        let map = unsafe { Mmap::map(&file) }.map_err(|source| Error::Io { path: path.clone(), source })?;
        let damaged = |reason: String| Error::Damaged { path: path.clone(), reason };
        let tensors = SafeTensors::deserialize(&map).map_err(|error| damaged(error.to_string()))?;
        for (name, view) in tensors.iter() {
            // A buffer of old CLIP checkpoints, 0, 1, 2, ...: carries no information.
            if name.ends_with("embeddings.position_ids") {
                continue;
            }
            match wanted.get(name) {
                None => unexpected.push(name.to_owned()),
                Some(dims) if dims.as_slice() != view.shape() => {
                    misshapen.push(format!("{name}: wanted {dims:?}, found {:?}", view.shape()));
                }
                Some(_) => {
                    let values = to_f32(&view).ok_or_else(|| damaged(format!("{name}: type {:?}", view.dtype())))?;
                    found.insert(name.to_owned(), values);
                }
            }
        }
    }
    let misnamed = |name: &&String| misshapen.iter().any(|line| line.starts_with(&format!("{name}:")));
    let missing: Vec<String> =
        wanted.keys().filter(|name| !found.contains_key(*name)).filter(|name| !misnamed(name)).cloned().collect();
    if !(missing.is_empty() && unexpected.is_empty() && misshapen.is_empty()) {
        unexpected.sort();
        return Err(Error::Weights { path: folder.to_owned(), missing, unexpected, misshapen });
    }
    module.visit_parameters("", &mut |name, mut parameter| {
        let values = found.remove(name).expect("every name was checked above");
        parameter.set(values, device);
    });
    Ok(())
}

/// Writes every parameter of `module` as f32 into one safetensors file.
pub fn save(module: &mut impl Parameters, path: &Path) -> Result<()> {
    let mut tensors: BTreeMap<String, OwnedTensor> = BTreeMap::new();
    module.visit_parameters("", &mut |name, parameter: ParameterMut<'_>| {
        tensors.insert(name.to_owned(), OwnedTensor { shape: parameter.dims(), values: parameter.to_vec() });
    });
    save_tensors(&tensors, path)
}

/// A tensor by value, as it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnedTensor {
    /// Sizes along each dimension.
    pub shape: Vec<usize>,
    /// Values in row-major order.
    pub values: Vec<f32>,
}

impl safetensors::View for &OwnedTensor {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }
    fn data_len(&self) -> usize {
        self.values.len() * 4
    }
}

/// Writes named tensors into one safetensors file.
pub fn save_tensors(tensors: &BTreeMap<String, OwnedTensor>, path: &Path) -> Result<()> {
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]); // transformers refuses files without it
    safetensors::serialize_to_file(tensors, Some(metadata), path)
        .map_err(|error| Error::Damaged { path: path.to_owned(), reason: error.to_string() })
}

/// Reads every tensor of a safetensors file as f32.
pub fn load_tensors(path: &Path) -> Result<BTreeMap<String, OwnedTensor>> {
    let bytes = std::fs::read(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
    let damaged = |reason: String| Error::Damaged { path: path.to_owned(), reason };
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| damaged(error.to_string()))?;
    tensors
        .iter()
        .map(|(name, view)| {
            let values = to_f32(&view).ok_or_else(|| damaged(format!("{name}: type {:?}", view.dtype())))?;
            Ok((name.to_owned(), OwnedTensor { shape: view.shape().to_vec(), values }))
        })
        .collect()
}

/// The values of a stored tensor as f32; `None` for types that weights do not have.
fn to_f32(view: &TensorView<'_>) -> Option<Vec<f32>> {
    let bytes = view.data();
    let pairs = || bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    match view.dtype() {
        Dtype::F32 => {
            Some(bytes.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect())
        }
        Dtype::BF16 => Some(pairs().map(|bits| f32::from_bits(u32::from(bits) << 16)).collect()),
        Dtype::F16 => Some(pairs().map(f16_to_f32).collect()),
        Dtype::I64 => {
            let eight =
                bytes.chunks_exact(8).map(|b| i64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]));
            Some(eight.map(|value| value as f32).collect())
        }
        _ => None,
    }
}

/// IEEE 754 half precision to single.
fn f16_to_f32(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from((bits >> 10) & 0x1f);
    let fraction = f32::from(bits & 0x3ff);
    match exponent {
        0 => sign * fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => sign * f32::INFINITY,
        31 => f32::NAN,
        _ => sign * (1.0 + fraction / 1024.0) * 2f32.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_values_are_exact() {
        assert_eq!(f16_to_f32(0x3c00), 1.0);
        assert_eq!(f16_to_f32(0xc000), -2.0);
        assert_eq!(f16_to_f32(0x7bff), 65504.0);
        assert_eq!(f16_to_f32(0x0001), 2f32.powi(-24));
        assert!(f16_to_f32(0x7c01).is_nan());
    }
}
