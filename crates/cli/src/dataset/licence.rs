//! `--licence-policy`: what the licences of a dataset's sources allow.

use crate::output::Output;
use anyhow::{Result, bail};
use gmai_quality::licence::{Judged, Policy};

/// Judges sources, given as name and licence, by the policy that was asked for; none without one.
pub fn judge<'a>(policy: Option<&str>, sources: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Vec<Judged>> {
    match policy {
        Some(word) => Ok(Policy::find(word)?.judge(sources)),
        None => Ok(Vec::new()),
    }
}

/// Shows every refused source.
pub fn show(judged: &[Judged], output: Output) -> Result<u64> {
    let mut refused = 0;
    for line in judged {
        if let Some(reason) = &line.refused {
            refused += 1;
            output.line(format!("licence: source {} refused: {reason}", line.source))?;
        }
    }
    Ok(refused)
}

/// Stops when a source is refused.
pub fn demand<'a>(policy: Option<&str>, sources: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<()> {
    let refused: Vec<String> = judge(policy, sources)?
        .into_iter()
        .filter_map(|line| Some(format!("{}: {}", line.source, line.refused?)))
        .collect();
    if !refused.is_empty() {
        bail!(
            "--licence-policy {} refuses {} sources; leave them out or choose another policy\n  {}",
            policy.unwrap_or_default(),
            refused.len(),
            refused.join("\n  ")
        );
    }
    Ok(())
}
