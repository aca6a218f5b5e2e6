//! `gmai model convert`: a model in another layout.

use crate::args::{ConvertOuttype, ConvertTo};
use crate::engine::model_folder;
use crate::output::Output;
use anyhow::{Context, Result};
use gmai_convert::{Layout, Outtype, to_gguf, to_hugging_face};
use std::path::{Path, PathBuf};

/// What is to be converted, and how.
pub struct Order<'a> {
    /// The model folder or run folder.
    pub folder: &'a Path,
    /// The layout to write.
    pub to: ConvertTo,
    /// Number format of GGUF files.
    pub outtype: ConvertOuttype,
    /// Name of the model; the folder's when not given.
    pub name: Option<&'a str>,
    /// Folder to make.
    pub out: &'a Path,
}

/// Runs the command.
pub fn run(order: &Order<'_>, output: Output) -> Result<()> {
    let folder = model_folder(order.folder)?;
    let outtype = match order.outtype {
        ConvertOuttype::F32 => Outtype::F32,
        ConvertOuttype::F16 => Outtype::F16,
        ConvertOuttype::Q8_0 => Outtype::Q8_0,
    };
    let converted = match order.to {
        ConvertTo::HfLlava => to_hugging_face(&folder, Layout::HfLlava, order.out),
        ConvertTo::EnhancedLlava => to_hugging_face(&folder, Layout::EnhancedLlava, order.out),
        ConvertTo::Gguf => to_gguf(&folder, outtype, &name(order)?, order.out),
    };
    let converted = converted.with_context(|| format!("cannot convert {}", folder.display()))?;
    for note in &converted.notes {
        output.line(format!("note: {note}"))?;
    }
    for file in &converted.files {
        output.line(file.display().to_string())?;
    }
    output.line(format!("{} tensors in {}", converted.num_tensors, order.out.display()))?;
    output.document(&converted)
}

/// The given name, or that of the folder as the user wrote it.
fn name(order: &Order<'_>) -> Result<String> {
    if let Some(name) = order.name {
        anyhow::ensure!(!name.is_empty() && !name.contains(['/', '\\']), "--name {name}: give a name without slashes");
        return Ok(name.to_owned());
    }
    let whole: PathBuf = order.folder.canonicalize()?;
    let last = whole.file_name().map(|name| name.to_string_lossy().into_owned());
    last.context("the folder has no name; give --name")
}
