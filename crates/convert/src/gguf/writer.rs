//! The GGUF container, version 3, little-endian: header, keys with values, tensor table, then the tensors, each at a multiple of 32 bytes.

use crate::checkpoint::Checkpoint;
use crate::error::{Result, io};
use crate::gather::Gather;
use crate::gguf::quantize::{Number, encode};
use std::fs::File as SystemFile;
use std::io::{BufWriter, Write};
use std::path::Path;

const MAGIC: &[u8; 4] = b"GGUF";
const VERSION: u32 = 3;
/// Tensors begin at multiples of this, bytes; the format's default.
const ALIGNMENT: usize = 32;

/// A value of a key.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A count or an id.
    U32(u32),
    /// A real number.
    F32(f32),
    /// Yes or no.
    Bool(bool),
    /// UTF-8 text.
    Text(String),
    /// Signed numbers.
    I32s(Vec<i32>),
    /// Real numbers.
    F32s(Vec<f32>),
    /// Texts.
    Texts(Vec<String>),
}

/// Where a tensor's values come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// Rows of the checkpoint.
    Stored(Gather),
    /// Values made here.
    Made(Vec<f32>),
}

/// A tensor to write.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// llama.cpp's name for it.
    pub name: String,
    /// Sizes, slowest first; the file has them the other way round.
    pub shape: Vec<usize>,
    /// How its values are written.
    pub number: Number,
    /// Where they come from.
    pub source: Source,
}

/// A file to write.
#[derive(Debug, Default)]
pub struct File {
    keys: Vec<(String, Value)>,
    tensors: Vec<Tensor>,
}

impl File {
    /// Adds a key. Keys are written in the order in which they are added.
    pub fn key(&mut self, key: impl Into<String>, value: Value) {
        self.keys.push((key.into(), value));
    }

    /// Adds a count.
    pub fn count(&mut self, key: impl Into<String>, count: usize) {
        self.key(key, Value::U32(count as u32));
    }

    /// Adds a text.
    pub fn text(&mut self, key: impl Into<String>, text: &str) {
        self.key(key, Value::Text(text.to_owned()));
    }

    /// Adds a tensor.
    pub fn tensor(&mut self, tensor: Tensor) {
        self.tensors.push(tensor);
    }

    /// Number of tensors.
    pub fn num_tensors(&self) -> usize {
        self.tensors.len()
    }

    /// Writes the file, one tensor at a time.
    pub fn write(&self, checkpoint: &Checkpoint, path: &Path) -> Result<()> {
        let mut out = BufWriter::with_capacity(1 << 20, SystemFile::create(path).map_err(io(path))?);
        out.write_all(&self.head()).map_err(io(path))?;
        for tensor in &self.tensors {
            let values = match &tensor.source {
                Source::Stored(gather) => gather.values(checkpoint)?,
                Source::Made(values) => values.clone(),
            };
            let mut bytes = encode(&values, tensor.number);
            bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
            out.write_all(&bytes).map_err(io(path))?;
        }
        let file = out.into_inner().map_err(|error| error.into_error()).map_err(io(path))?;
        file.sync_all().map_err(io(path))
    }

    /// Everything before the tensors, filled up to where they begin.
    fn head(&self) -> Vec<u8> {
        let mut head = Vec::new();
        head.extend_from_slice(MAGIC);
        head.extend_from_slice(&VERSION.to_le_bytes());
        head.extend_from_slice(&(self.tensors.len() as u64).to_le_bytes());
        head.extend_from_slice(&(self.keys.len() as u64).to_le_bytes());
        for (key, value) in &self.keys {
            put_text(&mut head, key);
            put_value(&mut head, value);
        }
        let mut offset = 0;
        for tensor in &self.tensors {
            put_text(&mut head, &tensor.name);
            head.extend_from_slice(&(tensor.shape.len() as u32).to_le_bytes());
            for &size in tensor.shape.iter().rev() {
                head.extend_from_slice(&(size as u64).to_le_bytes());
            }
            head.extend_from_slice(&tensor.number.type_id().to_le_bytes());
            head.extend_from_slice(&(offset as u64).to_le_bytes());
            let num_values: usize = tensor.shape.iter().product();
            offset += tensor.number.num_bytes(num_values).next_multiple_of(ALIGNMENT);
        }
        head.resize(head.len().next_multiple_of(ALIGNMENT), 0);
        head
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u64).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Numbers of the value types, as the format defines them.
fn put_value(out: &mut Vec<u8>, value: &Value) {
    const U32: u32 = 4;
    const I32: u32 = 5;
    const F32: u32 = 6;
    const BOOL: u32 = 7;
    const TEXT: u32 = 8;
    const ARRAY: u32 = 9;
    let mut array = |kind: u32, length: usize| {
        out.extend_from_slice(&ARRAY.to_le_bytes());
        out.extend_from_slice(&kind.to_le_bytes());
        out.extend_from_slice(&(length as u64).to_le_bytes());
    };
    let (kind, bytes): (u32, Vec<u8>) = match value {
        Value::I32s(values) => {
            array(I32, values.len());
            values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
            return;
        }
        Value::F32s(values) => {
            array(F32, values.len());
            values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
            return;
        }
        Value::Texts(values) => {
            array(TEXT, values.len());
            values.iter().for_each(|value| put_text(out, value));
            return;
        }
        Value::Text(text) => {
            out.extend_from_slice(&TEXT.to_le_bytes());
            put_text(out, text);
            return;
        }
        Value::U32(value) => (U32, value.to_le_bytes().to_vec()),
        Value::F32(value) => (F32, value.to_le_bytes().to_vec()),
        Value::Bool(value) => (BOOL, vec![u8::from(*value)]),
    };
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&bytes);
}
