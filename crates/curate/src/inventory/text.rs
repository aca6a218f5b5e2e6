//! The inventory as plain text for a terminal.

use super::{Group, Inventory};
use std::fmt::Write;

/// Classes named per group.
const MAX_CLASSES: usize = 12;
/// Lines per list; the rest is counted.
const MAX_LINES: usize = 20;

/// A summary that fits a terminal; lists are cut and say so.
pub fn inventory_text(inventory: &Inventory) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        let _ = writeln!(out, "{text}"); // Writing to a String cannot fail.
    };
    line(format!("{}: {} files, {}", inventory.root, inventory.num_files, bytes(inventory.num_bytes)));
    let formats = inventory.formats.iter().map(|format| format!("{} {}", format.files, format.format));
    line(format!("formats: {}", formats.collect::<Vec<_>>().join(", ")));
    if let Some(sizes) = &inventory.pictures {
        line(format!(
            "pictures: {}, {} to {} pixels wide, {} to {} high",
            sizes.count, sizes.width.0, sizes.width.1, sizes.height.0, sizes.height.1
        ));
    }
    let volumes: u64 = inventory.volumes.iter().map(|size| size.count).sum();
    if volumes > 0 {
        line(format!("NIfTI volumes: {volumes} in {} sizes", inventory.volumes.len()));
    }
    if !inventory.series.is_empty() {
        let files: u64 = inventory.series.iter().map(|series| series.files).sum();
        line(format!("DICOM series: {} with {files} files", inventory.series.len()));
    }
    line(String::new());
    for group in &inventory.groups {
        line(group_text(group));
    }
    section(&mut line, "annotations", &inventory.annotations, |set| {
        format!(
            "{} ({}): {} entries, {} images",
            folder_name(&set.path),
            set.kind.name(),
            set.entries,
            set.matched_images
        )
    });
    section(
        &mut line,
        "DICOM files without pixels or without a SeriesInstanceUID",
        &inventory.outside_series,
        |note| note.reason.clone(),
    );
    section(&mut line, "equal files", &inventory.duplicates, |paths| paths.join(" = "));
    section(&mut line, "files that cannot be read", &inventory.broken, |broken| broken.reason.clone());
    section(&mut line, "identifiers at risk (values are not shown)", &inventory.identifiers, |risk| {
        format!("{}: {} files, e.g. {}", risk.what, risk.files, risk.example)
    });
    out
}

fn section<T>(line: &mut dyn FnMut(String), title: &str, items: &[T], text: impl Fn(&T) -> String) {
    if items.is_empty() {
        return;
    }
    line(format!("{title}: {}", items.len()));
    items.iter().take(MAX_LINES).for_each(|item| line(format!("  {}", text(item))));
    if items.len() > MAX_LINES {
        line(format!("  and {} more", items.len() - MAX_LINES));
    }
}

fn group_text(group: &Group) -> String {
    let mut out = format!("{}: {} images, {}", folder_name(&group.folder), group.images, group.layout.name());
    if let Some(modality) = group.modality {
        let _ = write!(out, ", modality {modality}");
    }
    let _ = write!(out, "\n  pairs: {}", pair_forms(group));
    if !group.classes.is_empty() {
        let _ = write!(out, "\n  classes: {}", classes(group, MAX_CLASSES));
    }
    for note in &group.notes {
        let _ = write!(out, "\n  note: {note}");
    }
    out
}

/// The forms of pair that a group supports, or why there are none.
pub(super) fn pair_forms(group: &Group) -> String {
    if group.forms.is_empty() {
        return "none yet: say in the config what is known of these images".to_owned();
    }
    group.forms.iter().map(|form| form.key().replace('_', " ")).collect::<Vec<_>>().join(", ")
}

/// The commonest classes with their numbers.
pub(super) fn classes(group: &Group, most: usize) -> String {
    let mut classes: Vec<(&String, &u64)> = group.classes.iter().collect();
    classes.sort_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
    let mut shown: Vec<String> = classes.iter().take(most).map(|(class, count)| format!("{class} {count}")).collect();
    if classes.len() > most {
        shown.push(format!("and {} more", classes.len() - most));
    }
    shown.join(", ")
}

/// The folder as it is shown.
pub(super) fn folder_name(folder: &str) -> &str {
    if folder.is_empty() { "." } else { folder }
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
