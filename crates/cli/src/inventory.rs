//! `gmai inventory`: what lies in a folder.

use crate::args::InventoryArguments;
use crate::output::Output;
use crate::progress::Bars;
use anyhow::{Context, Result};
use gmai_curate::inventory::{self, Inventory};
use gmai_imaging::Limits;
use std::fs;
use std::path::Path;

/// Runs the command.
pub fn run(arguments: &InventoryArguments, output: Output) -> Result<()> {
    let found = look(&arguments.folder, arguments.out.as_deref(), output)?;
    output.document(&found)
}

/// Looks through the folder, shows what is there, and writes page, facts and draft config below `out`.
pub fn look(folder: &Path, out: Option<&Path>, output: Output) -> Result<Inventory> {
    let mut bars = Bars::default();
    let found = inventory::inventory(folder, &Limits::default(), &mut |progress| bars.show(progress))?;
    drop(bars);
    output.line(inventory::inventory_text(&found))?;
    let Some(out) = out else { return Ok(found) };
    fs::create_dir_all(out).with_context(|| format!("cannot make the folder {}", out.display()))?;
    let files = [
        ("inventory.html", inventory::inventory_html(&found)),
        ("inventory.json", serde_json::to_string_pretty(&found)? + "\n"),
        ("draft.toml", found.draft_config.clone()),
    ];
    for (name, text) in files {
        let path = out.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    output.line(format!(
        "written: inventory.html, inventory.json, draft.toml (a start for gmai curate) in {}",
        out.display()
    ))?;
    Ok(found)
}
