//! `gmai inventory`: what lies in a folder.

use crate::args::InventoryArguments;
use crate::output::Output;
use crate::progress::Bars;
use crate::unpacked::{self, Archive};
use anyhow::{Context, Result, bail};
use gmai_curate::inventory::{self, Inventory, Options};
use gmai_imaging::Decoder;
use std::fs;
use std::path::Path;

/// Runs the command.
pub fn run(arguments: &InventoryArguments, output: Output) -> Result<()> {
    let decoder = arguments.decoding.decoder()?;
    let out = arguments.out.as_deref();
    let options = Options { max_decoded: arguments.max_decoded };
    let look = |folder: &Path, out: Option<&Path>| look(folder, out, (&decoder, options), output);
    if unpacked::is_archive(&arguments.folder)? {
        let Some(into) = &arguments.unpack else {
            bail!("{}: an archive; say where it may be unpacked with --unpack DIR", arguments.folder.display());
        };
        let mut archives = unpacked::find(&arguments.folder)?;
        unpacked::unpack(&mut archives, &arguments.folder, into)?;
        tell(&archives, out, output)?;
        let Some(folder) = archives.first().and_then(|archive| archive.folder.as_deref()) else {
            bail!("{}: not unpacked, for the reason above", arguments.folder.display());
        };
        return output.document(&look(folder, out)?);
    }
    // Before anything is unpacked: the folder named by --unpack may lie within.
    let mut archives = unpacked::find(&arguments.folder)?;
    let found = look(&arguments.folder, out)?;
    if let Some(into) = &arguments.unpack {
        unpacked::unpack(&mut archives, &arguments.folder, into)?;
    }
    tell(&archives, out, output)?;
    if let Some(into) = arguments.unpack.as_deref().filter(|_| archives.iter().any(|archive| archive.folder.is_some()))
    {
        output.line(format!("\nWhat was unpacked below {}:", into.display()))?;
        look(into, out.map(|out| out.join("unpacked")).as_deref())?;
    }
    output.document(&found)
}

/// Lists the archives, and writes the list below `out`.
fn tell(archives: &[Archive], out: Option<&Path>, output: Output) -> Result<()> {
    if archives.is_empty() {
        return Ok(());
    }
    output.line("Archives:")?;
    for archive in archives {
        let fate = match &archive.folder {
            Some(folder) => format!("unpacked into {}", folder.display()),
            None if archive.notes.is_empty() => "not looked into; --unpack DIR unpacks it".to_string(),
            None => "refused".to_string(),
        };
        output.line(format!("  {} ({}, {} bytes): {fate}", archive.path.display(), archive.kind, archive.bytes))?;
        for note in archive.notes.iter().take(MAX_NOTES) {
            output.line(format!("    {note}"))?;
        }
        if archive.notes.len() > MAX_NOTES {
            output.line(format!("    and {} more", archive.notes.len() - MAX_NOTES))?;
        }
    }
    let Some(out) = out else { return Ok(()) };
    fs::create_dir_all(out).with_context(|| format!("cannot make the folder {}", out.display()))?;
    let path = out.join("archives.json");
    fs::write(&path, serde_json::to_string_pretty(archives)? + "\n")
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Notes shown of one archive; archives.json has all of them.
const MAX_NOTES: usize = 5;

/// Looks through the folder, shows what is there, and writes page, facts and draft config below `out`.
pub fn look(
    folder: &Path,
    out: Option<&Path>,
    (decoder, options): (&Decoder, Options),
    output: Output,
) -> Result<Inventory> {
    let mut bars = Bars::default();
    let found = inventory::inventory(folder, decoder, options, &mut |progress| bars.show(progress))?;
    drop(bars);
    output.line(inventory::inventory_text(&found))?;
    let Some(out) = out else { return Ok(found) };
    fs::create_dir_all(out).with_context(|| format!("cannot make the folder {}", out.display()))?;
    let files = [
        ("inventory.html", inventory::inventory_html(&found)?),
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
