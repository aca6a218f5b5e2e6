//! `gmai model init|info|convert|parity`: model folders.

use crate::args::ModelCommand;
use crate::convert;
use crate::engine;
use crate::output::Output;
use anyhow::{Context, Result, bail};
use gmai_model::{Config, GmaiVl, Parameters};
use gmai_processor::Processor;
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Runs the command.
pub fn run(command: &ModelCommand, output: Output) -> Result<()> {
    match command {
        ModelCommand::Init { config, tokenizer, out, seed } => {
            init(config, tokenizer, out, *seed)?;
            info(out, output)
        }
        ModelCommand::Info { folder } => info(folder, output),
        ModelCommand::Convert { folder, to, outtype, name, out } => {
            let order = convert::Order { folder, to: *to, outtype: *outtype, name: name.as_deref(), out };
            convert::run(&order, output)
        }
        ModelCommand::Parity { folder, out } => parity(folder, out.as_deref(), output),
    }
}

/// What a model folder holds.
#[derive(Debug, Serialize)]
struct Info {
    model_type: String,
    image_size: usize,
    patch_size: usize,
    vision_blocks: usize,
    image_tokens: usize,
    language_blocks: usize,
    hidden_size: usize,
    vocab_size: usize,
    max_tokens: usize,
    /// Parameters of each part, and of all.
    parameters: BTreeMap<String, usize>,
    num_parameters: usize,
}

impl Info {
    fn new(config: &Config, parameters: BTreeMap<String, usize>) -> Info {
        Info {
            model_type: config.model_type.name().to_string(),
            image_size: config.vision_config.image_size,
            patch_size: config.vision_config.patch_size,
            vision_blocks: config.num_vision_blocks(),
            image_tokens: config.num_image_tokens(),
            language_blocks: config.text_config.num_hidden_layers,
            hidden_size: config.text_config.hidden_size,
            vocab_size: config.text_config.vocab_size,
            max_tokens: config.text_config.max_position_embeddings,
            num_parameters: parameters.values().sum(),
            parameters,
        }
    }
}

/// Makes a model folder with weights drawn from `seed`.
fn init(config: &Path, tokenizer: &Path, out: &Path, seed: u64) -> Result<()> {
    let text = fs::read_to_string(config).with_context(|| format!("cannot read {}", config.display()))?;
    let architecture: Config = serde_json::from_str(&text).with_context(|| config.display().to_string())?;
    architecture.check()?;
    let processor = Processor::from_folder(&engine::model_folder(tokenizer)?, architecture.num_image_tokens())?;
    let pairs = [
        ("text_config.vocab_size", architecture.text_config.vocab_size, processor.vocab_size()),
        ("image_token_index", architecture.image_token_index as usize, processor.image_token_id() as usize),
        ("vision_config.image_size", architecture.vision_config.image_size, processor.image_size()),
    ];
    for (field, written, needed) in pairs {
        if written != needed {
            bail!(
                "{}: {field} is {written}, the tokenizer folder {} has {needed}",
                config.display(),
                tokenizer.display()
            );
        }
    }
    if out.exists() {
        bail!("{}: exists; choose another --out", out.display());
    }
    let model = GmaiVl::new(architecture, seed, &gmai_model::device::default_device())?;
    let partial = out.with_extension("partial");
    fs::create_dir_all(&partial).with_context(|| format!("cannot make the folder {}", partial.display()))?;
    model.save(&partial)?;
    processor.save(&partial)?;
    fs::rename(&partial, out).with_context(|| format!("cannot make the folder {}", out.display()))
}

fn info(folder: &Path, output: Output) -> Result<()> {
    let folder = engine::model_folder(folder)?;
    // The whole checkpoint is read: a folder with a missing or misshapen weight must not look sound.
    let mut model = GmaiVl::from_folder(&folder, &gmai_model::device::default_device())?;
    let mut parameters = BTreeMap::<String, usize>::new();
    model.visit_parameters("", &mut |name, parameter| {
        let part = name.split('.').next().unwrap_or(name);
        *parameters.entry(part.to_string()).or_default() += parameter.num_values();
    });
    let info = Info::new(&model.config, parameters);
    output.document(&info)?;
    output.line(format!("{}: {}, {} parameters", folder.display(), info.model_type, thousands(info.num_parameters)))?;
    for (part, number) in &info.parameters {
        output.line(format!("  {part:22} {:>14}", thousands(*number)))?;
    }
    output.line(format!(
        "  a picture of {size} x {size} pixels in patches of {patch} becomes {tokens} tokens after {blocks} vision blocks",
        size = info.image_size,
        patch = info.patch_size,
        tokens = info.image_tokens,
        blocks = info.vision_blocks
    ))?;
    output.line(format!(
        "  {} language blocks of width {}, {} words, rotary positions for {} tokens",
        info.language_blocks, info.hidden_size, info.vocab_size, info.max_tokens
    ))?;
    Ok(())
}

/// Every quantity of the folder's vectors, one line each.
fn parity(folder: &Path, out: Option<&Path>, output: Output) -> Result<()> {
    let report = gmai_train::parity::run(folder)?;
    if let Some(out) = out {
        report.save(out)?;
    }
    output.document(&json!({ "folder": folder, "pass": report.passes(), "quantities": report.lines }))?;
    let width = report.lines.iter().map(|line| line.name.len()).max().unwrap_or(0);
    for line in &report.lines {
        let number = |value: Option<f64>| value.map_or_else(|| "-".to_string(), |value| format!("{value:.1e}"));
        output.line(format!(
            "{} {:8} {:width$} {:18} {:>8} {:>8}  {}",
            if line.pass { "pass" } else { "FAIL" },
            line.case,
            line.name,
            format!("{:?}", line.shape),
            number(line.max_absolute),
            number(line.max_relative),
            line.tolerance
        ))?;
    }
    let failed = report.lines.iter().filter(|line| !line.pass).count();
    if failed > 0 {
        bail!("{}: {failed} of {} quantities are out of tolerance", folder.display(), report.lines.len());
    }
    output.line(format!("{}: all {} quantities within tolerance", folder.display(), report.lines.len()))?;
    Ok(())
}

/// `1234567` as `1,234,567`.
pub fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_numbers_are_grouped() {
        assert_eq!([7, 1234, 1_234_567].map(thousands), ["7", "1,234", "1,234,567"]);
    }
}
