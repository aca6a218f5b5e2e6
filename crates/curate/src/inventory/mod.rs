//! What lies in a folder, before any config is written: formats, annotations, pairs of image and mask, repeated and broken files,
//! identifiers at risk, what each group of images is good for and what stands in the way of the rest, and a draft of the config
//! for `gmai curate`.
//!
//! ```text
//! walk.rs         the files, and which images are decoded when there are many; files.rs, what each holds; header.rs, without decoding;
//!                 mask_like.rs tells masks from images by their values
//! dicom.rs        series, and objects that mark or measure them
//! annotations.rs  what annotates: boxes.rs, tables.rs with columns.rs, texts.rs
//! layout.rs       which images belong together: dicom_groups.rs, mask_groups.rs with pairing.rs, class_groups.rs, text_groups.rs;
//!                 joining.rs gives tables to the images they describe
//! group_facts.rs  what the images of a group have in common; repeats.rs, which are the same; identifiers.rs, what could name people
//! uses.rs         what a group is good for
//! draft.rs        the config; found.rs, the result; page.rs with thumbnails.rs, the HTML page; text.rs, the summary for a terminal
//! ```
//! Files are told by content, never by ending. Counts of files and annotations are exact; of very many images only some are decoded,
//! and the result says how many.

mod annotations;
mod boxes;
mod class_groups;
mod columns;
mod dicom;
mod dicom_groups;
mod draft;
mod files;
mod found;
mod group_facts;
mod header;
mod identifiers;
mod joining;
mod layout;
mod mask_groups;
mod mask_like;
mod page;
mod pairing;
mod repeats;
mod tables;
mod text;
mod text_groups;
mod texts;
mod thumbnails;
mod uses;
mod walk;

#[cfg(test)]
mod tests;

pub(crate) use found::Thumbnail;
pub use found::{
    AnnotationKind, AnnotationSet, Contradiction, Coverage, FileNote, FormatCount, Group, GroupFacts, IdentifierRisk,
    Inventory, Layout, Leak, ObjectFacts, PictureSizes, Repeats, SeriesFacts, Told, VolumeSizes,
};
pub use page::inventory_html;
pub use text::inventory_text;
pub use uses::{Blocked, Use, UseKind};

use crate::Result;
use gmai_imaging::Decoder;
use gmai_schema::Progress;
use layout::Builder;
use std::collections::BTreeSet;
use std::path::Path;

/// How a folder is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Images that are decoded; of more, evenly spread ones of each folder. A volume counts as twenty.
    pub max_decoded: u64,
}

impl Default for Options {
    /// Some minutes on two cores for pictures of common size.
    fn default() -> Options {
        Options { max_decoded: 50_000 }
    }
}

/// Looks at every file below `dir`.
///
/// A file that cannot be read is listed, not an error; an error is a folder that cannot be opened.
pub fn inventory(
    dir: &Path,
    decoder: &Decoder,
    options: Options,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Inventory> {
    let files::Examined { files, catalogue, coverage, unreadable } =
        files::examine_all(dir, decoder, options.max_decoded, on_progress)?;
    let objects = catalogue.object_facts(dir, &files, decoder);
    let annotations::Found { annotations, broken } = annotations::find(dir, &files, &catalogue, on_progress);
    let builder = Builder {
        dir,
        decoder,
        files: &files,
        catalogue: &catalogue,
        objects: &objects,
        taken: BTreeSet::new(),
        groups: Vec::new(),
    };
    let mut buildings = layout::groups(builder, &annotations);
    for building in &mut buildings {
        group_facts::fill(building, &files, &catalogue);
        uses::fill(building);
        building.group.legend = thumbnails::legend(building);
    }
    thumbnails::draw(dir, decoder, (&files, &catalogue), &mut buildings, on_progress);
    let repeats = repeats::find(&files, &catalogue, &buildings);
    let groups: Vec<Group> = buildings.into_iter().map(|building| building.group).collect();
    let mut all_broken = files::broken(dir, &files);
    all_broken.extend(broken);
    all_broken.extend(unreadable);
    all_broken.sort_by(|a, b| a.path.cmp(&b.path));
    let outside = catalogue.without_series.iter().map(|file| FileNote {
        path: files[*file].path.clone(),
        reason:
            "SeriesInstanceUID is missing: slices of one folder are taken for one series, others for single pictures"
                .to_owned(),
    });
    Ok(Inventory {
        root: dir.display().to_string(),
        num_files: files.len() as u64,
        num_bytes: files.iter().map(|file| file.bytes).sum(),
        coverage,
        formats: files::formats(&files),
        pictures: files::picture_sizes(&files),
        series: catalogue.series_facts(&files),
        outside_series: outside.collect(),
        objects,
        volumes: files::volume_sizes(&files),
        identifiers: identifiers::find(dir, &files, &catalogue, &annotations),
        annotations: annotations.into_iter().map(|annotation| annotation.set).collect(),
        draft_config: draft::config(dir, &groups),
        groups,
        repeats,
        broken: all_broken,
    })
}
