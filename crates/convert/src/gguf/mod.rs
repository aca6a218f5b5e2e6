//! Files for llama.cpp: the language model, and `mmproj` with vision encoder and projector.
//!
//! ```text
//! writer.rs        the container: header, keys, tensor table, tensors one after the other
//! quantize.rs      values -> f32, f16 or blocks of q8_0
//! language.rs      keys and tensors of the language model
//! vision.rs        keys and tensors of mmproj
//! vocabulary.rs    tokens with scores and types, special tokens, chat template
//! sentencepiece.rs reading tokenizer.model
//! pretokenizer.rs  which of llama.cpp's pre-tokenizers a tokenizer.json means
//! ```
//!
//! Names and keys: llama.cpp's gguf-py and clip.cpp. InternLM2 is written as architecture `llama`, which every llama.cpp and every program
//! built on it runs.

mod language;
mod pretokenizer;
mod quantize;
mod sentencepiece;
mod vision;
mod vocabulary;
mod writer;

pub use quantize::Outtype;

use crate::Converted;
use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result, io};
use crate::gather::Gather;
use crate::packing;
use crate::shapes::Shapes;
use std::path::Path;
use writer::File;

/// Converts the checkpoint in `folder` to `<name>-<outtype>.gguf` and `mmproj-<name>-<outtype>.gguf` in the new folder `out`.
///
/// `name` is also the model's name inside the files.
pub fn to_gguf(folder: &Path, outtype: Outtype, name: &str, out: &Path) -> Result<Converted> {
    if out.exists() {
        return Err(Error::Exists { path: out.to_owned() });
    }
    let checkpoint = Checkpoint::open(folder)?;
    let shapes = Shapes::read(&checkpoint)?;
    shapes.check(&checkpoint)?;
    let tensors = packing::unpacked(&checkpoint, &shapes)?;
    let mut notes = Vec::new();
    let model = Model { checkpoint: &checkpoint, shapes: &shapes, tensors: &tensors, outtype, name };
    let language = language::file(&model, &mut notes)?;
    let vision = vision::file(&model, &mut notes)?;
    let mut partial = out.file_name().unwrap_or_default().to_owned();
    partial.push(".partial");
    let partial = out.with_file_name(partial);
    if partial.exists() {
        std::fs::remove_dir_all(&partial).map_err(io(&partial))?;
    }
    std::fs::create_dir_all(&partial).map_err(io(&partial))?;
    let mut files = Vec::new();
    let mut num_tensors = 0;
    for (prefix, file) in [("", language), ("mmproj-", vision)] {
        let file_name = format!("{prefix}{name}-{}.gguf", outtype.key());
        num_tensors += file.num_tensors();
        file.write(&checkpoint, &partial.join(&file_name))?;
        files.push(out.join(file_name));
    }
    std::fs::rename(&partial, out).map_err(io(out))?;
    Ok(Converted { files, num_tensors, notes })
}

/// What both files are made from.
struct Model<'a> {
    checkpoint: &'a Checkpoint,
    shapes: &'a Shapes,
    /// Under Hugging Face's names, projections apart.
    tensors: &'a [Gather],
    outtype: Outtype,
    /// The model's name inside the files.
    name: &'a str,
}

impl Model<'_> {
    /// A file with the keys that every GGUF begins with.
    fn begin(&self, architecture: &str, kind: &str) -> File {
        let mut file = File::default();
        file.text("general.architecture", architecture);
        file.text("general.type", kind);
        file.text("general.name", self.name);
        file.count("general.file_type", self.outtype.file_type());
        file.count("general.quantization_version", 2);
        file
    }
}
