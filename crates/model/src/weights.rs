//! Named tensors of files to the parameters of a module, and back.

use crate::error::{Error, Result};
use crate::identity::Identity;
use crate::layout::KeyLayout;
use crate::parameter::{ParameterMut, Parameters, Resident};
use crate::tensor_file::{TensorFile, to_bytes, write};
use burn::tensor::{Device, bf16};
use safetensors::tensor::Dtype;
use sha2::Digest;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

pub use crate::tensor_file::{OwnedTensor, load_tensors, save_tensors};

/// Number format that parameters have in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// Single precision: trains, and takes the CPU kernels.
    #[default]
    F32,
    /// Brain floats: half the memory, for answering only.
    Bf16,
}

/// How parameters come from files into memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Residence {
    /// As values of their own in this number format.
    Copied(Precision),
    /// As f32; values that are stored as f32 stay in the mapped file until they are changed.
    Mapped,
}

/// Where each parameter's values lie.
pub(crate) struct Found<'a> {
    places: BTreeMap<String, (&'a TensorFile, String)>,
}

/// Fills `module` from `files` whose tensors have the module's own names; `folder` is named in errors.
pub fn load(module: &mut impl Parameters, folder: &Path, files: &[PathBuf], device: &Device) -> Result<()> {
    let files: Vec<TensorFile> = files.iter().map(|path| TensorFile::open(path)).collect::<Result<_>>()?;
    let found = find(module, folder, &files, KeyLayout::default(), &|_| false, &[])?;
    fill(module, folder, &found, Residence::Copied(Precision::F32), device, None)
}

/// Finds every parameter of `module` in `files`. Missing, unexpected, doubled and misshapen tensors are listed together.
///
/// `is_known` names tensors that may lie in the files without being parameters; `absent` are keys of the config whose
/// defaults may be the reason.
pub(crate) fn find<'a>(
    module: &mut impl Parameters,
    folder: &Path,
    files: &'a [TensorFile],
    layout: KeyLayout,
    is_known: &dyn Fn(&str) -> bool,
    absent: &[String],
) -> Result<Found<'a>> {
    let mut wanted: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    module.visit_parameters("", &mut |name, parameter| {
        wanted.insert(name.to_owned(), parameter.dims());
    });
    let mut places: BTreeMap<String, (&TensorFile, String)> = BTreeMap::new();
    let (mut unexpected, mut misshapen) = (Vec::new(), Vec::new());
    for file in files {
        for key in file.names() {
            let name = layout.name(&key);
            if is_known(&name) {
                continue;
            }
            let info = file.info(&key).expect("the key is from this file");
            match wanted.get(&name) {
                None => unexpected.push(key),
                Some(_) if places.contains_key(&name) => unexpected.push(format!("{key} (a second time)")),
                Some(dims) => {
                    if *dims != info.shape {
                        misshapen.push(format!("{key}: wanted {dims:?}, found {:?}", info.shape));
                    } else if !matches!(info.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
                        misshapen.push(format!("{key}: wanted f32, f16 or bf16, found {:?}", info.dtype));
                    }
                    places.insert(name, (file, key));
                }
            }
        }
    }
    let missing: Vec<String> =
        wanted.keys().filter(|name| !places.contains_key(*name)).map(|name| layout.key(name)).collect();
    if missing.is_empty() && unexpected.is_empty() && misshapen.is_empty() {
        return Ok(Found { places });
    }
    let defaults = if absent.is_empty() {
        String::new()
    } else {
        format!("; config.json leaves out {}, so transformers' defaults were taken", absent.join(", "))
    };
    Err(Error::Weights { path: folder.to_owned(), missing, unexpected, misshapen, defaults })
}

/// Reads every parameter from its place, one after the other, and tells `identity` what was read. Values that are no numbers are
/// refused, all names together.
pub(crate) fn fill(
    module: &mut impl Parameters,
    folder: &Path,
    found: &Found<'_>,
    residence: Residence,
    device: &Device,
    mut identity: Option<&mut Identity>,
) -> Result<()> {
    let mut broken = Vec::new();
    let mut failed = None;
    module.visit_parameters("", &mut |name, mut parameter| {
        let (file, key) = &found.places[name];
        let info = file.info(key).expect("found in this file");
        let mut tensor = identity.as_deref_mut().map(|identity| identity.tensor(name, &info.shape, info.dtype));
        let mut on_bytes = |bytes: &[u8]| tensor.iter_mut().for_each(|tensor| tensor.update(bytes));
        let read = match residence {
            Residence::Mapped if file.mapped(info).is_some() => file.check(key, info, &mut on_bytes).inspect(|_| {
                let bytes = file.mapped(info).expect("asked just now");
                parameter.replace(Resident::Mapped(bytes), device);
            }),
            Residence::Mapped | Residence::Copied(Precision::F32) => {
                file.values(key, info, |value| value, &mut on_bytes).map(|read| {
                    parameter.replace(Resident::F32(read.values), device);
                    read.finite
                })
            }
            Residence::Copied(Precision::Bf16) => file.values(key, info, bf16::from_f32, &mut on_bytes).map(|read| {
                parameter.replace(Resident::Bf16(read.values), device);
                read.finite
            }),
        };
        match read {
            Ok(true) => (),
            Ok(false) => broken.push(key.clone()),
            Err(error) => failed = Some(error),
        }
    });
    match failed {
        Some(error) => Err(error),
        None if broken.is_empty() => Ok(()),
        None => Err(Error::NotNumbers { path: folder.to_owned(), names: broken }),
    }
}

/// Writes every parameter of `module` as f32 into one safetensors file.
pub fn save(module: &mut impl Parameters, path: &Path) -> Result<()> {
    let mut tensors: BTreeMap<String, StoredTensor> = BTreeMap::new();
    module.visit_parameters("", &mut |name, parameter: ParameterMut<'_>| {
        tensors.insert(name.to_owned(), Handle::of(&parameter).stored(Dtype::F32));
    });
    write(&tensors, path)
}

/// A parameter that is read when it is written: shares the parameter's memory.
pub(crate) struct Handle {
    shape: Vec<usize>,
    read: Rc<dyn Fn() -> Vec<f32>>,
}

impl Handle {
    /// Of a parameter as it is now.
    pub fn of(parameter: &ParameterMut<'_>) -> Handle {
        Handle { shape: parameter.dims(), read: parameter.reader().into() }
    }

    /// Number of values.
    pub fn num_values(&self) -> usize {
        self.shape.iter().product()
    }

    /// To be written as `dtype`.
    pub fn stored(&self, dtype: Dtype) -> StoredTensor {
        let read = self.read.clone();
        StoredTensor { shape: self.shape.clone(), dtype, bytes: Box::new(move || to_bytes(&read(), dtype)) }
    }
}

/// A tensor on its way into a file: its bytes are made when they are asked for.
pub(crate) struct StoredTensor {
    shape: Vec<usize>,
    dtype: Dtype,
    bytes: Box<dyn Fn() -> Vec<u8>>,
}

impl StoredTensor {
    /// Bytes as they were read.
    pub fn raw(shape: Vec<usize>, dtype: Dtype, bytes: Arc<Vec<u8>>) -> StoredTensor {
        StoredTensor { shape, dtype, bytes: Box::new(move || bytes.to_vec()) }
    }
}

impl safetensors::View for &StoredTensor {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned((self.bytes)())
    }
    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.bitsize() / 8
    }
}
