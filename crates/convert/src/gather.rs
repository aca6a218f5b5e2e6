//! A tensor made of rows of stored tensors. Renaming takes all rows of one, packing and unpacking pick rows of several; nothing is computed.

use crate::checkpoint::{Checkpoint, Tensor};
use crate::error::{Error, Result};
use half::{bf16, f16};
use safetensors::tensor::Dtype;
use std::borrow::Cow;
use std::ops::Range;

/// Consecutive rows of one stored tensor. A row is everything behind the first dimension.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// The stored tensor's name.
    pub tensor: String,
    /// Which of its rows.
    pub rows: Range<usize>,
}

/// A tensor to write.
#[derive(Debug, Clone, PartialEq)]
pub struct Gather {
    /// Its new name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its number format, that of what it is made of.
    pub dtype: Dtype,
    /// What it is made of, first to last.
    pub pieces: Vec<Rows>,
}

impl Gather {
    /// A stored tensor as it is, under the name `name`.
    pub fn whole(checkpoint: &Checkpoint, stored: &str, name: &str) -> Result<Gather> {
        let tensor = find(checkpoint, stored)?;
        let num_rows = tensor.shape.first().copied().unwrap_or(1);
        Gather::new(checkpoint, name, vec![Rows { tensor: stored.to_owned(), rows: 0..num_rows }])
    }

    /// The given rows, one after the other.
    pub fn new(checkpoint: &Checkpoint, name: &str, pieces: Vec<Rows>) -> Result<Gather> {
        let first = find(checkpoint, pieces.first().map_or("", |piece| &piece.tensor))?;
        let mut shape = first.shape.to_vec();
        let dtype = first.dtype;
        let mut num_rows = 0;
        for piece in &pieces {
            let tensor = find(checkpoint, &piece.tensor)?;
            if tensor.dtype != dtype || tensor.shape.get(1..) != shape.get(1..) {
                let value = format!("{:?} {:?}", tensor.dtype, tensor.shape);
                let reason = format!("it must have the number format and width of the others in {name}");
                return Err(Error::Unsupported { key: piece.tensor.clone(), value, reason });
            }
            num_rows += piece.rows.len();
        }
        if let Some(rows) = shape.first_mut() {
            *rows = num_rows;
        }
        Ok(Gather { name: name.to_owned(), shape, dtype, pieces })
    }

    /// The same rows in another order: row `i` becomes what row `order[i]` was.
    pub fn reorder(&mut self, order: impl Iterator<Item = usize>) {
        let single = |piece: &Rows| piece.rows.clone().map(|row| (piece.tensor.clone(), row)).collect::<Vec<_>>();
        let rows: Vec<(String, usize)> = self.pieces.iter().flat_map(single).collect();
        self.pieces =
            order.map(|row| Rows { tensor: rows[row].0.clone(), rows: rows[row].1..rows[row].1 + 1 }).collect();
    }

    /// Number of values.
    pub fn num_values(&self) -> usize {
        self.shape.iter().product()
    }

    /// The values as stored.
    pub fn bytes<'a>(&self, checkpoint: &'a Checkpoint) -> Result<Cow<'a, [u8]>> {
        let slice = |piece: &Rows| -> Result<&'a [u8]> {
            let tensor = find(checkpoint, &piece.tensor)?;
            let width = row_bytes(&tensor);
            Ok(&tensor.bytes[piece.rows.start * width..piece.rows.end * width])
        };
        match self.pieces.as_slice() {
            [piece] => slice(piece).map(Cow::Borrowed),
            pieces => {
                let mut joined = Vec::new();
                for piece in pieces {
                    joined.extend_from_slice(slice(piece)?);
                }
                Ok(Cow::Owned(joined))
            }
        }
    }

    /// The values as f32.
    pub fn values(&self, checkpoint: &Checkpoint) -> Result<Vec<f32>> {
        let bytes = self.bytes(checkpoint)?;
        let pairs = || bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
        match self.dtype {
            Dtype::F32 => Ok(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()),
            Dtype::BF16 => Ok(pairs().map(|bits| bf16::from_bits(bits).to_f32()).collect()),
            Dtype::F16 => Ok(pairs().map(|bits| f16::from_bits(bits).to_f32()).collect()),
            other => Err(Error::Unsupported {
                key: self.name.clone(),
                value: format!("{other:?}"),
                reason: "weights are F32, F16 or BF16".to_owned(),
            }),
        }
    }

    /// The file that the first rows lie in.
    pub fn file(&self, checkpoint: &Checkpoint) -> usize {
        self.pieces.first().and_then(|piece| checkpoint.tensor(&piece.tensor)).map_or(0, |tensor| tensor.file)
    }
}

fn find<'a>(checkpoint: &'a Checkpoint, name: &str) -> Result<Tensor<'a>> {
    checkpoint.tensor(name).ok_or_else(|| Error::Tensors {
        path: checkpoint.folder().to_owned(),
        missing: vec![name.to_owned()],
        unexpected: Vec::new(),
        misshapen: Vec::new(),
    })
}

fn row_bytes(tensor: &Tensor<'_>) -> usize {
    tensor.bytes.len() / tensor.shape.first().copied().unwrap_or(1).max(1)
}
