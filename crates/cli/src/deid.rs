//! `gmai deid`: a folder without what tells who the patients are; and how to forget who they were.

use crate::args::{DeidCommand, DeidRunArguments};
use crate::output::Output;
use crate::progress::Bars;
use anyhow::{Context, Result, bail};
use gmai_deid::text::{Finder, Known, Style, TextDates};
use gmai_deid::{Job, KeyFile, Profile, ProfileOption};
use gmai_imaging::Limits;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;

/// Runs the command.
pub fn run(command: &DeidCommand, output: Output) -> Result<()> {
    match command {
        DeidCommand::Run(arguments) => folder(arguments, output),
        DeidCommand::Text { file, key } => text(file.as_deref(), key),
        DeidCommand::Forget { key } => {
            gmai_deid::forget(key)?;
            output.line(format!("{} is destroyed; destroy its copies in backups too", key.display()))?;
            output.document(&serde_json::json!({ "forgotten": key }))
        }
    }
}

fn folder(arguments: &DeidRunArguments, output: Output) -> Result<()> {
    let profile = profile(arguments)?;
    for (path, what) in [(Some(&arguments.key), "key file"), (arguments.worklist.as_ref(), "worklist")] {
        if let Some(path) = path
            && (lies_in(path, &arguments.out) || lies_in(path, &arguments.folder))
        {
            bail!(
                "{}: the {what} must lie outside the input and the output folder; it leads back to the patients",
                path.display()
            );
        }
    }
    let mut key_file = KeyFile::open_or_create(&arguments.key)?;
    let job = Job {
        input: &arguments.folder,
        out: &arguments.out,
        profile: &profile,
        limits: Limits::default(),
        worklist: arguments.worklist.as_deref(),
    };
    let mut bars = Bars::default();
    let report = gmai_deid::run(&job, &mut key_file, &mut |progress| bars.show(progress))?;
    drop(bars);
    output.line(report.text())?;
    output.line(format!("report: {}", arguments.out.join("deid-report.html").display()))?;
    output.document(&report)
}

/// The profile of the config file, with what the options add.
fn profile(arguments: &DeidRunArguments) -> Result<Profile> {
    let mut profile = match &arguments.profile {
        Some(path) => {
            let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            toml::from_str(&text).with_context(|| format!("{}: not a profile", path.display()))?
        }
        None => Profile::default(),
    };
    for key in &arguments.options {
        let Some(option) = ProfileOption::from_key(key) else {
            let known: Vec<&str> = ProfileOption::ALL.iter().map(|option| option.key()).collect();
            bail!("no option {key}; there are {}", known.join(", "));
        };
        profile.options.insert(option);
    }
    if let Some(replacement) = arguments.replacement {
        profile.replacement = replacement.into();
    }
    if let Some(burned_in) = arguments.burned_in {
        profile.burned_in = burned_in.into();
    }
    profile.check()?;
    Ok(profile)
}

/// Whether a path lies in a folder, links resolved as far as both exist.
fn lies_in(path: &Path, folder: &Path) -> bool {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| absolute(path));
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    real(parent).starts_with(real(folder))
}

/// Cleans one text, from a file or standard input, to standard output.
fn text(file: Option<&Path>, key: &Path) -> Result<()> {
    let mut text = String::new();
    match file {
        Some(path) => text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?,
        None => {
            std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
        }
    }
    let key_file = KeyFile::open_or_create(key)?;
    let profile = Profile::default();
    let style =
        Style { replacement: profile.replacement, dates: TextDates::of(&profile), key: key_file.key(), patient: "" };
    let cleaned = style.replace(&text, &Finder::new().find(&text, &Known::default()));
    std::io::stdout().lock().write_all(cleaned.as_bytes())?;
    Ok(())
}
