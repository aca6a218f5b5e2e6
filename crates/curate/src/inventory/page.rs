//! The inventory as one HTML page that needs nothing else.

use super::text::{bytes, classes, folder_name, pair_forms};
use super::{Group, Inventory};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gmai_imaging::Decoder;
use gmai_schema::{Progress, Rgb8};
use image::imageops::FilterType;
use image::{ImageFormat, RgbImage};
use rayon::prelude::*;
use std::io::Cursor;
use std::path::Path;

/// Longer side of a thumbnail, in pixels.
const THUMBNAIL_SIDE: u32 = 112;
/// Classes named per group.
const MAX_CLASSES: usize = 40;
/// Rows per table; the rest is counted.
const MAX_ROWS: usize = 200;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:#1c2733}\
h1{font-size:1.6em}h2{margin-top:2em;border-bottom:1px solid #d5dde5}section{margin:1.5em 0;padding:1em;border:1px solid #d5dde5;border-radius:8px}\
section h3{margin:0 0 .3em}table{border-collapse:collapse}td,th{padding:.15em .8em .15em 0;text-align:left;vertical-align:top}\
img{margin:.4em .4em 0 0;border-radius:4px;background:#000}.note{color:#8a4b00}pre{background:#f4f7fa;padding:1em;overflow:auto;border-radius:8px}\
.muted{color:#5f6f7f}";

/// Draws the samples of every group; those that cannot be drawn are left out.
pub(super) fn draw_thumbnails(
    dir: &Path,
    decoder: &Decoder,
    groups: &mut [Group],
    on_progress: &mut dyn FnMut(Progress),
) {
    let total = groups.len() as u64;
    for (done, group) in groups.iter_mut().enumerate() {
        group.thumbnails = group
            .samples
            .par_iter()
            .filter_map(|path| thumbnail(&decoder.display(&dir.join(path), None).ok()?))
            .collect();
        let done = done as u64 + 1;
        on_progress(Progress { phase: "draw samples".to_owned(), done, total, note: String::new() });
    }
}

/// A small PNG in base64; `None` when the picture cannot be encoded.
fn thumbnail(picture: &Rgb8) -> Option<String> {
    let (width, height) = (picture.width(), picture.height());
    let full = RgbImage::from_raw(width, height, picture.pixels().to_vec())?;
    let scale = f64::from(THUMBNAIL_SIDE) / f64::from(width.max(height));
    let side = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
    let small = image::imageops::resize(&full, side(width), side(height), FilterType::Triangle);
    let mut png = Cursor::new(Vec::new());
    small.write_to(&mut png, ImageFormat::Png).ok()?;
    Some(STANDARD.encode(png.into_inner()))
}

/// A self-contained page: groups with samples, annotations, what is wrong, identifiers, and the draft config.
pub fn inventory_html(inventory: &Inventory) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Inventory of {root}</title><style>{STYLE}</style></head><body>\
         <h1>Inventory of {root}</h1><p>{files} files, {size}</p>",
        root = escape(&inventory.root),
        files = inventory.num_files,
        size = bytes(inventory.num_bytes),
    );
    let formats = inventory.formats.iter().map(|one| vec![one.format.clone(), one.files.to_string(), bytes(one.bytes)]);
    table(&mut page, "Formats", &["format", "files", "size"], formats.collect());
    if let Some(sizes) = &inventory.pictures {
        page.push_str(&format!(
            "<p>{} pictures, {} to {} pixels wide, {} to {} high, {} different sizes</p>",
            sizes.count, sizes.width.0, sizes.width.1, sizes.height.0, sizes.height.1, sizes.different
        ));
    }
    page.push_str("<h2>Groups of images</h2>");
    inventory.groups.iter().for_each(|group| section(&mut page, group));
    lists(&mut page, inventory);
    page.push_str(&format!("<h2>Draft of a config</h2><pre>{}</pre></body></html>\n", escape(&inventory.draft_config)));
    page
}

fn section(page: &mut String, group: &Group) {
    page.push_str(&format!(
        "<section><h3>{}</h3><p>{} images, {} annotated: {}</p><p>Pairs: {}</p>",
        escape(folder_name(&group.folder)),
        group.images,
        group.annotated,
        group.layout.name(),
        escape(&pair_forms(group))
    ));
    if let Some(modality) = group.modality {
        page.push_str(&format!("<p>Modality: {modality}</p>"));
    }
    if !group.classes.is_empty() {
        page.push_str(&format!("<p class=\"muted\">{}</p>", escape(&classes(group, MAX_CLASSES))));
    }
    for note in &group.notes {
        page.push_str(&format!("<p class=\"note\">{}</p>", escape(note)));
    }
    for (picture, path) in group.thumbnails.iter().zip(&group.samples) {
        page.push_str(&format!("<img alt=\"\" title=\"{}\" src=\"data:image/png;base64,{picture}\">", escape(path)));
    }
    page.push_str("</section>");
}

fn lists(page: &mut String, inventory: &Inventory) {
    let annotations = inventory.annotations.iter().map(|set| {
        vec![set.path.clone(), set.kind.name().to_owned(), set.entries.to_string(), set.matched_images.to_string()]
    });
    table(page, "Annotations", &["file or folder", "kind", "entries", "images"], annotations.collect());
    let series = inventory.series.iter().map(|series| {
        let modality = series.modality.map_or("not stated".to_owned(), |modality| modality.to_string());
        let body_part = series.body_part.clone().unwrap_or_default();
        vec![folder_name(&series.folder).to_owned(), series.files.to_string(), modality, body_part]
    });
    table(page, "DICOM series", &["folder", "files", "modality", "body part"], series.collect());
    let outside = inventory.outside_series.iter().map(|note| vec![note.path.clone(), note.reason.clone()]);
    table(page, "DICOM files without pixels or without a SeriesInstanceUID", &["file", "reason"], outside.collect());
    let volumes = inventory.volumes.iter().map(|size| {
        let [x, y, z] = size.dims;
        vec![format!("{x} × {y} × {z}"), size.count.to_string()]
    });
    table(page, "NIfTI volumes", &["voxels", "volumes"], volumes.collect());
    let risks =
        inventory.identifiers.iter().map(|risk| vec![risk.what.clone(), risk.files.to_string(), risk.example.clone()]);
    table(page, "Identifiers at risk", &["what", "files", "for example"], risks.collect());
    let broken = inventory.broken.iter().map(|broken| vec![broken.path.clone(), broken.reason.clone()]);
    table(page, "Files that cannot be read", &["file", "reason"], broken.collect());
    let duplicates = inventory.duplicates.iter().map(|paths| vec![paths.join(" = ")]);
    table(page, "Equal files", &["files"], duplicates.collect());
}

fn table(page: &mut String, title: &str, header: &[&str], rows: Vec<Vec<String>>) {
    if rows.is_empty() {
        return;
    }
    page.push_str(&format!("<h2>{title}</h2><table><tr>"));
    header.iter().for_each(|name| page.push_str(&format!("<th>{name}</th>")));
    page.push_str("</tr>");
    for row in rows.iter().take(MAX_ROWS) {
        page.push_str("<tr>");
        row.iter().for_each(|cell| page.push_str(&format!("<td>{}</td>", escape(cell))));
        page.push_str("</tr>");
    }
    page.push_str("</table>");
    if rows.len() > MAX_ROWS {
        page.push_str(&format!("<p>and {} more</p>", rows.len() - MAX_ROWS));
    }
}

/// Text as HTML: names of files come from outside.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
