//! The inventory as plain text for a terminal.

use super::{Group, Inventory};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Classes named per group.
const MAX_CLASSES: usize = 8;
/// Lines per list; the rest is counted.
const MAX_LINES: usize = 8;
/// Groups written out.
const MAX_GROUPS: usize = 60;
/// Letters of a line about one file.
const MAX_LETTERS: usize = 220;

/// A summary that fits a terminal; lists are cut and say so.
pub fn inventory_text(inventory: &Inventory) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        let _ = writeln!(out, "{text}"); // Writing to a String cannot fail.
    };
    line(format!("{}: {} files, {}", inventory.root, number(inventory.num_files), bytes(inventory.num_bytes)));
    let formats = inventory.formats.iter().take(12).map(|format| format!("{} {}", number(format.files), format.format));
    line(format!("formats: {}", formats.collect::<Vec<_>>().join(", ")));
    let coverage = inventory.coverage;
    if coverage.decoded < coverage.images {
        let (decoded, images) = (number(coverage.decoded), number(coverage.images));
        line(format!("{decoded} of {images} images were decoded, evenly spread; of the others the header was read"));
    }
    line(String::new());
    for group in inventory.groups.iter().take(MAX_GROUPS) {
        line(group_text(group));
    }
    if inventory.groups.len() > MAX_GROUPS {
        line(format!("and {} more groups", inventory.groups.len() - MAX_GROUPS));
    }
    let repeats = &inventory.repeats;
    section(&mut line, "files that cannot be read", &inventory.broken, |broken| {
        format!("{}: {}", broken.path, broken.reason)
    });
    section(&mut line, "pictures under two labels", &repeats.contradictions, |one| {
        format!("{} = {} ({} or {})", one.paths[0], one.paths[1], one.labels[0], one.labels[1])
    });
    section(&mut line, "leaks between parts of a split", &repeats.leaks, |leak| {
        format!("{}: {} ({}) and {} ({})", leak.what, leak.paths[0], leak.parts[0], leak.paths[1], leak.parts[1])
    });
    section(&mut line, "equal images", &repeats.equal, |paths| paths.join(" = "));
    section(&mut line, "nearly equal pictures", &repeats.alike, |pair| pair.join(" ~ "));
    section(&mut line, "DICOM images without a SeriesInstanceUID", &inventory.outside_series, |note| note.path.clone());
    section(&mut line, "identifiers at risk (values are not shown)", &inventory.identifiers, |risk| {
        format!("{}: {} files, e.g. {}", risk.what, number(risk.files), risk.example)
    });
    out
}

fn section<T>(line: &mut dyn FnMut(String), title: &str, items: &[T], text: impl Fn(&T) -> String) {
    if items.is_empty() {
        return;
    }
    line(format!("{title}: {}", items.len()));
    for item in items.iter().take(MAX_LINES) {
        let whole = text(item).replace(['\n', '\r'], " ");
        let short: String = whole.chars().take(MAX_LETTERS).collect();
        line(format!("  {short}{}", if short.len() < whole.len() { " ..." } else { "" }));
    }
    if items.len() > MAX_LINES {
        line(format!("  and {} more", items.len() - MAX_LINES));
    }
}

fn group_text(group: &Group) -> String {
    let count = quantity(group.images, group.layout.unit());
    let mut out = format!("{}: {count}, {}", folder_name(&group.place()), group.layout.name());
    let modalities: Vec<&str> = group.facts.modalities.keys().map(String::as_str).collect();
    if !modalities.is_empty() {
        let _ = write!(out, ", {}", modalities.join(", "));
    }
    if let Some(patients) = &group.facts.patients {
        let _ = write!(out, ", {}", quantity(patients.count, "patients"));
    }
    let made = group.uses.iter().filter(|one| one.blocked.is_none());
    let made: Vec<String> =
        made.map(|one| format!("{} ({})", one.kind.name(), quantity(one.items, one.unit))).collect();
    let _ = match made.is_empty() {
        true => write!(out, "\n  good for: nothing yet"),
        false => write!(out, "\n  good for: {}", made.join(", ")),
    };
    if made.is_empty()
        && let Some(blocked) = group.uses.iter().find_map(|one| one.blocked.as_ref())
    {
        let _ = write!(out, ": {}; {}", blocked.reason, blocked.remedy);
    }
    if !group.classes.is_empty() {
        let _ = write!(out, "\n  classes: {}", classes(group, MAX_CLASSES));
    }
    for note in group.notes.iter().take(MAX_LINES) {
        let _ = write!(out, "\n  note: {note}");
    }
    out
}

/// The commonest classes with their numbers.
fn classes(group: &Group, most: usize) -> String {
    let classes = by_frequency(&group.classes);
    let mut shown: Vec<String> = classes.iter().take(most).map(|(class, count)| format!("{class} {count}")).collect();
    if classes.len() > most {
        shown.push(format!("and {} more", classes.len() - most));
    }
    shown.join(", ")
}

/// Names with their numbers, the commonest first; numbers among equals in their own order.
pub(super) fn by_frequency(counts: &BTreeMap<String, u64>) -> Vec<(&String, &u64)> {
    let mut all: Vec<(&String, &u64)> = counts.iter().collect();
    let own = |name: &String| name.parse::<u64>().unwrap_or(u64::MAX);
    all.sort_by(|a, b| b.1.cmp(a.1).then_with(|| own(a.0).cmp(&own(b.0))).then_with(|| a.0.cmp(b.0)));
    all
}

/// A number of things; `unit` is in the plural.
pub(super) fn quantity(count: u64, unit: &str) -> String {
    let unit = match (count, unit) {
        (1, "boxes") => "box",
        (1, "series") => "series",
        (1, _) => unit.strip_suffix('s').unwrap_or(unit),
        _ => unit,
    };
    format!("{} {unit}", number(count))
}

/// The folder as it is shown.
pub(super) fn folder_name(folder: &str) -> &str {
    if folder.is_empty() { "." } else { folder }
}

/// A number with commas between thousands.
pub(super) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number of bytes in the unit that reads best.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} bytes") } else { format!("{value:.1} {}", UNITS[unit]) }
}
