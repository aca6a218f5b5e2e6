//! `card.md`: what a dataset is, for people.

use crate::config::Config;
use crate::deidentify::{BurnedIn, Deidentify, Names, Texts};
use gmai_shard::{Counts, SourceSummary, Tally};
use std::collections::BTreeMap;

/// What every reader of a dataset must know.
const LIMITS: &str = "\
- File metadata (EXIF, comments, DICOM headers) is not stored.
- Text of generator `template:...` states what the annotation says, right or wrong. Text of generator `model:...` was written by a language model and
  checked against the annotation by rules; what the rules do not see may still be wrong. Text of generator `source` is people's.
- The split keeps patients, equal files and nearly equal pictures on one side. Where no patient is known, the file stands for one:
  different pictures of the same person may then lie on both sides.
- Not for use in care. Licences differ by source: see below before you share the data or a model made from them.
";

/// The card of a dataset.
pub(crate) fn card(config: &Config, counts: &Counts, sources: &[SourceSummary]) -> String {
    let mut text = format!(
        "# {}\n\nImage-text pairs made by `gmai curate` from annotated medical images.\n\n",
        config.dataset.name
    );
    let total: u64 = counts.split.values().sum();
    text += &format!("{total} rows, seed {}.\n\n", config.dataset.seed);
    for (title, map) in [
        ("Split", &counts.split),
        ("Form", &counts.form),
        ("Language", &counts.language),
        ("Modality", &counts.modality),
        ("Task", &counts.task),
    ] {
        text += &table(title, map);
    }
    text += "## Sources\n\n| source | kind | licence | images used | of | annotations used | of | rows |\n|---|---|---|---|---|---|---|---|\n";
    for source in sources {
        let (images, annotations) = (&source.images, &source.annotations);
        text += &format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} |\n",
            cell(&source.facts.name),
            source.kind,
            cell(&source.facts.licence),
            images.used,
            images.given,
            annotations.used,
            annotations.given,
            source.pairs
        );
    }
    text += &authored(sources);
    text += &agreements(sources);
    text += &refused(config);
    text += "\n## Left out\n\n| source | what | reason | count |\n|---|---|---|---|\n";
    for source in sources {
        for (what, tally) in [("images", &source.images), ("annotations", &source.annotations)] {
            text += &left_out(&source.facts.name, what, tally);
        }
    }
    text + &deidentified(sources) + "\n## What to know\n\n" + &privacy(&config.dataset.deidentify) + LIMITS
}

/// What was searched for identifiers, where anything was.
fn deidentified(sources: &[SourceSummary]) -> String {
    let line = |source: &SourceSummary| {
        let account = source.deidentified.as_ref()?;
        let kinds: Vec<String> = account.identifiers.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        Some(format!(
            "| {} | {} | {} | {} | {} | {} |\n",
            cell(&source.facts.name),
            account.texts,
            kinds.join(", "),
            account.pictures,
            account.pictures_with_text,
            account.names
        ))
    };
    let lines: String = sources.iter().filter_map(line).collect();
    match lines.is_empty() {
        true => String::new(),
        false => format!(
            "\n## De-identification\n\nFound by rules with measured recall, not with certainty (docs/deid.md).\n\n| source | texts searched | \
             identifiers replaced | pictures searched | with text, left out | names replaced |\n|---|---|---|---|---|---|\n{lines}"
        ),
    }
}

/// What the settings leave to know.
fn privacy(options: &Deidentify) -> String {
    let texts = match options.texts {
        Texts::Reports => {
            "Reports lost the identifiers that rules find. Questions, answers and dialogues of others are as the sources have them."
        }
        Texts::All => "Reports, questions, answers and dialogues lost the identifiers that rules find.",
        Texts::None => "Texts are as the sources have them, but for dates in reports.",
    };
    let pictures = match options.burned_in {
        BurnedIn::Keep => {
            "Burned-in text (names, dates, callipers) is **not** looked for: pictures are stored as the sources have them."
        }
        BurnedIn::Quarantine => {
            "Pictures in which something looks written are left out; what the search misses is in docs/deid.md."
        }
    };
    let names = match options.names {
        Names::Keep => "Paths in `provenance` are the sources' own and may hold identifiers.",
        Names::Pseudonyms => "Paths in `provenance` are keyed pseudonyms.",
    };
    let patients = match options.key {
        None => {
            "Patients are pseudonyms: hashes keyed by the seed. Whoever knows seed and identifiers can find them again."
        }
        Some(_) => "Patients are pseudonyms keyed by a secret: without the key file nobody finds them again.",
    };
    [texts, pictures, names, patients].map(|line| format!("- {line}\n")).concat()
}

/// How texts by a language model fared, where there are any.
fn authored(sources: &[SourceSummary]) -> String {
    let written: Vec<_> = sources.iter().filter_map(|source| Some((source, source.authored.as_ref()?))).collect();
    if written.is_empty() {
        return String::new();
    }
    let mut text = "\n## Texts by a language model\n\nEach was checked against the annotation; rows name the model in `generator`. \
        Rules count replies, all attempts together.\n\n| source | asked | passed | at once | quarantined | unanswered | broken rules |\n|---|---|---|---|---|---|---|\n"
        .to_string();
    for (source, account) in written {
        let percent = |part: u64| format!("{part} ({:.1} %)", 100.0 * part as f64 / account.asked.max(1) as f64);
        let rules: Vec<String> = account.broken_rules.iter().map(|(rule, count)| format!("{rule} {count}")).collect();
        text += &format!(
            "| {} | {} | {} | {} | {} | {} | {} |\n",
            cell(&source.facts.name),
            account.asked,
            percent(account.passed),
            percent(account.passed_at_once),
            account.quarantined,
            account.unanswered,
            rules.join(", ")
        );
    }
    text
}

/// How far observers agree, where a source has several.
fn agreements(sources: &[SourceSummary]) -> String {
    let line = |source: &SourceSummary| {
        let found = source.agreement.as_ref()?;
        Some(format!(
            "| {} | {} | {:.3} | {:.3} | {} |\n",
            cell(&source.facts.name),
            found.pairs,
            found.mean_dice,
            found.least_dice,
            found.num_below
        ))
    };
    let lines: String = sources.iter().filter_map(line).collect();
    match lines.is_empty() {
        true => String::new(),
        false => format!(
            "\n## Agreement between observers\n\n| source | pairs of masks | mean Dice | least Dice | below the config's least |\n|---|---|---|---|---|\n{lines}"
        ),
    }
}

/// Data that were looked at and are not used.
fn refused(config: &Config) -> String {
    let line = |refused: &crate::config::Refused| format!("| {} | {} |\n", cell(&refused.name), cell(&refused.reason));
    let lines: String = config.refused.iter().map(line).collect();
    match lines.is_empty() {
        true => String::new(),
        false => format!("\n## Refused\n\n| data | why |\n|---|---|\n{lines}"),
    }
}

/// Text that does not end a table cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn table(title: &str, counts: &BTreeMap<String, u64>) -> String {
    let rows: String = counts.iter().map(|(key, count)| format!("| {key} | {count} |\n")).collect();
    format!("| {} | rows |\n|---|---|\n{rows}\n", title.to_lowercase())
}

fn left_out(source: &str, what: &str, tally: &Tally) -> String {
    let skipped = tally.skipped.iter().map(|(reason, count)| (cell(reason), *count));
    let quarantined =
        (tally.quarantined > 0).then(|| ("defective: see quarantine.jsonl".to_string(), tally.quarantined));
    let line = |(reason, count): (String, u64)| format!("| {} | {what} | {reason} | {count} |\n", cell(source));
    skipped.chain(quarantined).map(line).collect()
}
