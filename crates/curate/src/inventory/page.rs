//! The inventory as one HTML page that needs nothing else.

use super::text::{by_frequency, bytes, folder_name, number, quantity};
use super::{Group, Inventory, Thumbnail, Use};
use crate::{Error, Result};
use askama::Template;
use gmai_schema::Language;
use std::collections::BTreeMap;

/// Classes drawn as bars, per group.
const MAX_BARS: usize = 14;
/// Classes named behind them.
const MAX_CLASSES: usize = 400;
/// Rows shown at once per table, and behind a click.
const MAX_ROWS: usize = 12;
const MAX_HIDDEN: usize = 300;
/// Notes shown per group.
const MAX_NOTES: usize = 12;
/// Groups shown in full; a tree with more is better looked at part by part.
const MAX_GROUPS: usize = 400;

#[derive(Template)]
#[template(path = "inventory.html")]
struct Page<'a> {
    inventory: &'a Inventory,
    coverage: String,
    cards: Vec<Card>,
    groups: Vec<Section<'a>>,
    lists: Vec<List>,
    draft_lines: usize,
}

struct Card {
    name: &'static str,
    value: String,
    detail: String,
    is_wrong: bool,
}

struct Section<'a> {
    name: String,
    layout: &'static str,
    count: String,
    modality: String,
    patients: String,
    summary: String,
    pictures: &'a [Thumbnail],
    facts: Vec<(&'static str, String)>,
    classes_title: String,
    classes: Vec<Bar>,
    more_classes: String,
    num_more: usize,
    made: Vec<Made>,
    blocked: Vec<NotYet>,
    notes: Vec<String>,
}

struct Bar {
    name: String,
    count: String,
    percent: u64,
    colour: String,
}

struct Made {
    kind: &'static str,
    items: String,
    quantity: String,
    forms: String,
}

struct NotYet {
    kind: &'static str,
    reason: String,
    remedy: String,
}

struct List {
    title: &'static str,
    total: String,
    explained: &'static str,
    header: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    hidden: Vec<Vec<String>>,
    left_out: usize,
    is_wrong: bool,
}

/// A self-contained page: what each group is and what it is good for, what is wrong, identifiers, and the draft config.
///
/// # Errors
/// When the template cannot be filled, which is a defect of gmai.
pub fn inventory_html(inventory: &Inventory) -> Result<String> {
    // A group that is all of the folder has the folder's own name.
    let root = inventory.root.rsplit('/').find(|name| !name.is_empty() && *name != ".").unwrap_or(".").to_owned();
    let page = Page {
        inventory,
        coverage: coverage(inventory),
        cards: cards(inventory),
        groups: inventory.groups.iter().take(MAX_GROUPS).map(|group| section(group, &root)).collect(),
        lists: lists(inventory),
        draft_lines: inventory.draft_config.lines().count(),
    };
    page.render().map_err(|error| Error::Page { reason: error.to_string() })
}

fn coverage(inventory: &Inventory) -> String {
    let coverage = inventory.coverage;
    let mut said = match coverage.decoded == coverage.images {
        true => format!("All {} images were decoded.", number(coverage.images)),
        false => format!(
            "{} of {} images were decoded, evenly spread; of the others the header was read.",
            number(coverage.decoded),
            number(coverage.images)
        ),
    };
    if coverage.links_not_followed > 0 {
        said += &format!(" {} links to folders were not followed.", coverage.links_not_followed);
    }
    if coverage.left_out > 0 {
        said += &format!(" {} files of other programs (.git and the like) were left out.", number(coverage.left_out));
    }
    if inventory.groups.len() > MAX_GROUPS {
        said += &format!(" {MAX_GROUPS} of {} groups are shown; inventory.json has all.", inventory.groups.len());
    }
    said
}

fn cards(inventory: &Inventory) -> Vec<Card> {
    let card = |name, value: usize, detail: &str, is_wrong: bool| Card {
        name,
        value: number(value as u64),
        detail: detail.to_owned(),
        is_wrong: is_wrong && value > 0,
    };
    let repeats = &inventory.repeats;
    let usable = inventory.groups.iter().filter(|group| !group.forms.is_empty()).count();
    vec![
        card("files", inventory.num_files as usize, &bytes(inventory.num_bytes), false),
        card("images", inventory.coverage.images as usize, "pictures, volumes, DICOM", false),
        card("groups", inventory.groups.len(), &format!("{usable} can be used as they are"), false),
        card("unreadable", inventory.broken.len(), "files, with the reason", true),
        card(
            "repeated",
            repeats.equal.len() + repeats.alike.len(),
            &format!("{} under two labels", repeats.contradictions.len()),
            !repeats.contradictions.is_empty(),
        ),
        card("leaks", repeats.leaks.len(), "between parts of a split", true),
        card("identifiers", inventory.identifiers.len(), "kinds that may name people", true),
    ]
}

fn section<'a>(group: &'a Group, root: &str) -> Section<'a> {
    let mut classes = by_frequency(&group.classes);
    let most = classes.first().map_or(1, |class| *class.1).max(1);
    let rest = classes.split_off(classes.len().min(MAX_BARS));
    let more: Vec<String> = rest.iter().take(MAX_CLASSES).map(|(name, count)| format!("{name} {count}")).collect();
    let bar = |(name, count): &(&String, &u64)| Bar {
        name: (*name).clone(),
        count: number(**count),
        percent: (**count * 100 / most).max(1),
        colour: group.legend.get(*name).cloned().unwrap_or_default(),
    };
    let made = |one: &Use| Made {
        kind: one.kind.name(),
        items: number(one.items),
        quantity: quantity(one.items, one.unit),
        forms: one.forms.iter().map(|form| form.key().replace('_', " ")).collect::<Vec<_>>().join(", "),
    };
    let not_yet = |one: &Use| {
        let blocked = one.blocked.as_ref()?;
        Some(NotYet { kind: one.kind.name(), reason: sentence(&blocked.reason), remedy: sentence(&blocked.remedy) })
    };
    let mut notes: Vec<String> = group.notes.iter().take(MAX_NOTES).cloned().collect();
    if group.notes.len() > MAX_NOTES {
        notes.push(format!("and {} more", group.notes.len() - MAX_NOTES));
    }
    let unit = group.layout.unit();
    Section {
        name: Some(group.place()).filter(|place| !place.is_empty()).unwrap_or_else(|| root.to_owned()),
        layout: group.layout.name(),
        count: quantity(group.images, unit),
        modality: names(&group.facts.modalities),
        patients: group.facts.patients.as_ref().map_or(String::new(), |told| number(told.count)),
        summary: format!(
            "{}: {}, {} annotated",
            group.layout.name(),
            quantity(group.images, unit),
            number(group.annotated)
        ),
        pictures: &group.thumbnails,
        facts: facts(group),
        classes_title: format!("Classes ({})", classes.len() + rest.len()),
        classes: classes.iter().map(bar).collect(),
        num_more: rest.len(),
        more_classes: more.join(", "),
        made: group.uses.iter().filter(|one| one.blocked.is_none()).map(made).collect(),
        blocked: group.uses.iter().filter_map(not_yet).collect(),
        notes,
    }
}

/// A text with a capital at its beginning, unless it begins with the name of a file.
fn sentence(text: &str) -> String {
    let first = text.split_whitespace().next().unwrap_or_default();
    let mut letters = text.chars();
    match letters.next() {
        Some(letter) if !first.contains('.') => letter.to_uppercase().chain(letters).collect(),
        _ => text.to_owned(),
    }
}

fn names(counts: &BTreeMap<String, u64>) -> String {
    counts.keys().cloned().collect::<Vec<_>>().join(", ")
}

fn facts(group: &Group) -> Vec<(&'static str, String)> {
    let facts = &group.facts;
    let counted = |counts: &BTreeMap<String, u64>| match by_frequency(counts).as_slice() {
        [(only, _)] => (*only).clone(),
        all => all.iter().map(|(name, count)| format!("{name} ({})", number(**count))).collect::<Vec<_>>().join(", "),
    };
    let mut rows = Vec::new();
    let mut add = |name: &'static str, value: String| {
        if !value.is_empty() {
            rows.push((name, value));
        }
    };
    add("modality", counted(&facts.modalities));
    add("body part", counted(&facts.body_parts));
    add("format", counted(&facts.formats));
    add("size", counted(&facts.sizes));
    add("values", counted(&facts.depths));
    add("spacing", facts.spacing.as_ref().map_or(String::new(), spacing));
    add("series", if facts.series > 0 { number(facts.series) } else { String::new() });
    add("studies", facts.studies.map_or(String::new(), number));
    let patients = facts.patients.as_ref().map(|told| format!("{} by {}", number(told.count), told.by));
    add(
        "patients",
        patients.unwrap_or_else(|| {
            if group.layout.is_text() { String::new() } else { "not told apart by these files".to_owned() }
        }),
    );
    add("official split", counted(&facts.splits));
    add("entries", if group.entries > 0 { number(group.entries) } else { String::new() });
    rows
}

/// `0.7 to 0.9 × 0.7 to 0.9 × 5 mm`, or micrometres for slides.
fn spacing(ranges: &[(f64, f64); 3]) -> String {
    let is_fine = ranges[0].1 < 0.02;
    let scale = if is_fine { 1000.0 } else { 1.0 };
    let short = |value: f64| {
        let text = format!("{:.3}", value * scale);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    let axes = ranges.iter().filter(|range| range.1 > 0.0).map(|(low, high)| match short(*low) == short(*high) {
        true => short(*low),
        false => format!("{} to {}", short(*low), short(*high)),
    });
    format!("{} {}", axes.collect::<Vec<_>>().join(" × "), if is_fine { "µm" } else { "mm" })
}

fn list(title: &'static str, header: &[&'static str], rows: Vec<Vec<String>>) -> List {
    let total = if rows.len() > 1 { number(rows.len() as u64) } else { String::new() };
    let left_out = rows.len().saturating_sub(MAX_ROWS + MAX_HIDDEN);
    let mut rows = rows.into_iter();
    List {
        title,
        total,
        explained: "",
        header: header.to_vec(),
        rows: rows.by_ref().take(MAX_ROWS).collect(),
        hidden: rows.take(MAX_HIDDEN).collect(),
        left_out,
        is_wrong: false,
    }
}

fn lists(inventory: &Inventory) -> Vec<List> {
    let repeats = &inventory.repeats;
    let contradictions = repeats.contradictions.iter().map(|one| {
        let how = if one.is_equal { "equal" } else { "nearly equal" };
        let mut row: Vec<String> = one.paths.to_vec();
        row.extend(one.labels.clone());
        row.push(how.to_owned());
        row
    });
    let leaks = repeats.leaks.iter().map(|leak| {
        vec![
            leak.paths[0].clone(),
            leak.paths[1].clone(),
            format!("{} and {}", leak.parts[0], leak.parts[1]),
            leak.what.to_owned(),
        ]
    });
    let broken = inventory.broken.iter().map(|broken| vec![broken.path.clone(), broken.reason.clone()]);
    let risks =
        inventory.identifiers.iter().map(|risk| vec![risk.what.clone(), number(risk.files), risk.example.clone()]);
    let mut lists = vec![
        List { is_wrong: true, ..list("Files that cannot be read", &["file", "reason"], broken.collect()) },
        List {
            is_wrong: true,
            explained: "The same picture says two things. Decide which is right, or leave both out.",
            ..list(
                "Pictures under two labels",
                &["one", "other", "label of one", "label of other", "pixels"],
                contradictions.collect(),
            )
        },
        List {
            is_wrong: true,
            explained: "Scores on such a test set are too good. gmai curate keeps them on one side of its own split.",
            ..list(
                "Leaks between parts of an official split",
                &["one", "other", "parts", "what is the same"],
                leaks.collect(),
            )
        },
        List {
            explained: "Values are never shown. gmai deid removes them.",
            ..list("Identifiers at risk", &["what", "files", "for example"], risks.collect())
        },
        list("Equal images", &["files"], repeats.equal.iter().map(|paths| vec![shortened(paths)]).collect()),
        list("Nearly equal pictures", &["one", "other"], repeats.alike.iter().map(|pair| pair.to_vec()).collect()),
    ];
    lists.extend(inputs(inventory));
    lists.retain(|list| !list.rows.is_empty());
    lists
}

/// Equal files in a line; of many the first.
fn shortened(paths: &[String]) -> String {
    const MOST: usize = 6;
    let shown = paths.iter().take(MOST).cloned().collect::<Vec<_>>().join(" = ");
    if paths.len() > MOST { format!("{shown} and {} more", paths.len() - MOST) } else { shown }
}

/// Tables of what was found where.
fn inputs(inventory: &Inventory) -> Vec<List> {
    let annotations = inventory.annotations.iter().map(|set| {
        let path = folder_name(&set.path).to_owned();
        vec![path, set.kind.name().to_owned(), number(set.files), number(set.entries), number(set.matched_images)]
    });
    let objects = inventory.objects.iter().map(|object| {
        let names = object.names.iter().take(8).cloned().collect::<Vec<_>>().join(", ");
        let series = if object.has_series { "yes" } else { "no" };
        vec![object.path.clone(), object.kind.to_owned(), number(object.entries), names, series.to_owned()]
    });
    let series = inventory.series.iter().map(|series| {
        let modality =
            series.modality.map_or("not stated".to_owned(), |modality| modality.name(Language::En).to_owned());
        let [columns, rows] = series.size;
        let frames = if series.frames > 1 { format!(" × {}", series.frames) } else { String::new() };
        let step = |value: f64| if value > 0.0 { format!("{value:.2}") } else { "?".to_owned() };
        vec![
            folder_name(&series.folder).to_owned(),
            number(series.files),
            modality,
            series.body_part.clone().unwrap_or_default(),
            format!("{columns} × {rows}{frames}"),
            format!("{} bits", series.bits),
            series.spacing.map(step).join(" × "),
        ]
    });
    let outside = inventory.outside_series.iter().map(|note| vec![note.path.clone(), note.reason.clone()]);
    let volumes = inventory.volumes.iter().map(|size| {
        let [x, y, z] = size.dims;
        vec![format!("{x} × {y} × {z}"), number(size.count)]
    });
    let formats = inventory.formats.iter().map(|one| vec![one.format.clone(), number(one.files), bytes(one.bytes)]);
    vec![
        list("Annotation files", &["file or folder", "kind", "files", "entries", "images"], annotations.collect()),
        list(
            "DICOM objects that are no images",
            &["file", "kind", "entries", "names", "series is here"],
            objects.collect(),
        ),
        list(
            "DICOM series",
            &["folder", "files", "modality", "body part", "size", "values", "spacing in mm"],
            series.collect(),
        ),
        list("DICOM images without a SeriesInstanceUID", &["file", "remedy"], outside.collect()),
        list("Volumes", &["voxels", "volumes"], volumes.collect()),
        list("Formats", &["format", "files", "size"], formats.collect()),
    ]
}
