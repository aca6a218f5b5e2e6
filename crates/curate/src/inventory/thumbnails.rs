//! Small pictures for the page: a few of each group, read and marked by the same code that a curate run uses.

use super::dicom::{Catalogue, Role};
use super::draft;
use super::files::{FileFacts, Holds, split};
use super::layout::{Building, relative};
use super::{Layout, Thumbnail};
use crate::config::Config;
use crate::deidentify::Cleaner;
use crate::inputs::Inputs;
use crate::labels::Description;
use crate::ledger::Ledger;
use crate::load::{Job, Prepared};
use crate::source::{self, Folder, ImageFiles};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gmai_imaging::{Content, Decoder, LabelMap, Volume, WindowRule, render, window};
use gmai_schema::{Axis, Department, Progress, Region, Rgb8, SliceRef};
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{ExtendedColorType, ImageEncoder, Rgb, RgbImage};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Longer side of a thumbnail, in pixels.
const SIDE: u32 = 224;
/// JPEG quality: edges of boxes and text stay legible.
const QUALITY: u8 = 82;
/// Pictures on a page, over all groups: about 10 KB each.
const MAX_PICTURES: usize = 300;
/// Pictures of a group.
const PER_GROUP: usize = 6;
/// Regions drawn on one picture.
const MAX_REGIONS: usize = 150;
/// Files of a series that is put together for a thumbnail; of longer ones the middle file is shown.
const MAX_SERIES_FILES: usize = 400;
/// Structures drawn on one series: each is a label map of the volume's size.
const MAX_STRUCTURES: usize = 12;

/// Colours of regions by name, told apart on grey and on stained tissue (Okabe and Ito's palette without black).
const COLOURS: [[u8; 3]; 7] =
    [[230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66], [213, 94, 0], [204, 121, 167], [0, 114, 178]];

/// Draws the samples of every group; those that cannot be drawn are left out.
pub(super) fn draw(
    dir: &Path,
    decoder: &Decoder,
    (files, catalogue): (&[FileFacts], &Catalogue),
    buildings: &mut [Building],
    on_progress: &mut dyn FnMut(Progress),
) {
    let most = (MAX_PICTURES / buildings.len().max(1)).clamp(1, PER_GROUP);
    let total = buildings.len() as u64;
    for (done, building) in buildings.iter_mut().enumerate() {
        if done < MAX_PICTURES && !building.images.is_empty() {
            let sampler = Sampler { dir, decoder, files, catalogue, building, most };
            building.group.thumbnails = sampler.thumbnails();
        }
        let done = done as u64 + 1;
        on_progress(Progress { phase: "draw samples".to_owned(), done, total, note: String::new() });
    }
}

struct Sampler<'a> {
    dir: &'a Path,
    decoder: &'a Decoder,
    files: &'a [FileFacts],
    catalogue: &'a Catalogue,
    building: &'a Building,
    most: usize,
}

impl Sampler<'_> {
    fn thumbnails(&self) -> Vec<Thumbnail> {
        if self.building.group.layout == Layout::DicomSeries {
            return self.series();
        }
        let marked = self.marked();
        if !marked.is_empty() {
            return marked;
        }
        let samples = self.samples();
        let draw = |index: &usize| {
            let path = &self.files[*index].path;
            let picture = self.decoder.display(&self.dir.join(path), None).ok()?;
            Some(Thumbnail { path: path.clone(), url: data_url(&shrink(&picture))? })
        };
        samples.par_iter().filter_map(draw).collect()
    }

    /// Evenly spread images: of class folders some of each class.
    fn samples(&self) -> Vec<usize> {
        let images: Vec<usize> = self.building.images.iter().copied().collect();
        let count = images.len().min(self.most);
        (0..count).map(|sample| images[(2 * sample + 1) * images.len() / (2 * count)]).collect()
    }

    /// The samples as curate reads them, with their regions; none when the draft names no regions.
    fn marked(&self) -> Vec<Thumbnail> {
        let group = &self.building.group;
        if group.draft.as_ref().is_none_or(|draft| draft.region_terms.is_empty()) {
            return Vec::new();
        }
        let text = draft::config(self.dir, std::slice::from_ref(group));
        let path = Path::new("draft.toml");
        let Some(source) = Config::parse(path, &text).ok().and_then(|config| config.sources.into_iter().next()) else {
            return Vec::new();
        };
        let samples = self.samples();
        // The samples, their masks, and every text file: annotations are found by the reader itself.
        let mut listed: BTreeSet<usize> = samples.iter().copied().collect();
        listed.extend(samples.iter().filter_map(|sample| self.building.masks.get(sample)).flatten());
        let texts = self.files.iter().enumerate().filter(|(_, file)| matches!(file.holds, Holds::Text(_)));
        listed.extend(texts.map(|(index, _)| index));
        let below = |index: &usize| super::annotations::is_below(&self.files[*index].path, &group.folder);
        let names = listed.iter().filter(|index| below(index));
        let names = names.map(|index| relative(&self.files[*index].path, &group.folder).to_owned()).collect();
        let inputs = Inputs::some(&self.dir.join(&group.folder), names);
        let folder = Folder { source: &source, inputs: &inputs, decoder: self.decoder, config: path };
        let Ok(items) = source::read(&folder, &mut Ledger::default()) else { return Vec::new() };
        let cleaner = Cleaner::idle();
        let job =
            Job { source: &source, inputs: &inputs, decoder: self.decoder, seed: 0, max_side: 4096, cleaner: &cleaner };
        let names: Vec<String> =
            source.regions.iter().flat_map(|regions| &regions.terms).map(|term| term.en.clone()).collect();
        let draw = |item: &source::Item| {
            let loaded = job.load(item, &nothing_known());
            let best = loaded.prepared.into_iter().max_by_key(|prepared| shown_area(&prepared.record.regions))?;
            let Prepared { record, pictures, .. } = best;
            let picture = match item.image {
                ImageFiles::Volume => pictures.first()?.decode().ok()?, // Written by us a moment ago.
                _ => self.decoder.display(&inputs.path(&item.name), None).ok()?,
            };
            let mut small = shrink(&picture);
            mark(&mut small, &record.regions, &names);
            for point in record.points.iter().take(MAX_REGIONS) {
                cross(&mut small, point.x, point.y, colour(&point.term.en, &names));
            }
            let path =
                if group.folder.is_empty() { item.name.clone() } else { format!("{}/{}", group.folder, item.name) };
            Some(Thumbnail { path, url: data_url(&small)? })
        };
        let items: Vec<source::Item> = items.all().take(self.most).collect();
        items.par_iter().filter_map(draw).collect()
    }

    /// Middle slices of evenly spread series, or those in which most is marked.
    fn series(&self) -> Vec<Thumbnail> {
        let of_group: BTreeSet<usize> =
            self.building.images.iter().filter_map(|index| self.files[*index].dicom()?.series).collect();
        let all: Vec<usize> = of_group.into_iter().collect();
        let count = all.len().min(self.most);
        let chosen: Vec<usize> = (0..count).map(|at| all[at * all.len() / count]).collect();
        chosen.par_iter().filter_map(|series| self.one_series(*series)).collect()
    }

    fn one_series(&self, series: usize) -> Option<Thumbnail> {
        let entry = &self.catalogue.series[series];
        let paths: Vec<_> = entry.files.iter().map(|file| self.dir.join(&self.files[*file].path)).collect();
        let folder = split(&self.files[*entry.files.first()?].path).0.to_owned();
        let whole = (paths.len() <= MAX_SERIES_FILES).then(|| self.decoder.read_series(&paths).ok()).flatten();
        let Some(Content::Volume(volume)) = whole.map(|scan| scan.content) else {
            let picture = self.decoder.display(&paths[paths.len() / 2], None).ok()?;
            return Some(Thumbnail { path: folder, url: data_url(&shrink(&picture))? });
        };
        let marked = self.structures(&entry.uid, &volume);
        let slice = fullest(&volume, &marked);
        let picture = render(&volume.plane(slice)?, window(&volume, WindowRule::default()));
        let mut small = shrink(&picture);
        for (number, map) in marked.iter().enumerate() {
            let Some(plane) = map.plane(slice) else { continue };
            let rows: Vec<bool> = plane.values.iter().map(|value| *value > 0).collect();
            tint(&mut small, (plane.width as u32, plane.height as u32), &rows, COLOURS[number % COLOURS.len()]);
        }
        Some(Thumbnail { path: folder, url: data_url(&small)? })
    }

    /// What segmentations and structure sets mark in a series.
    fn structures(&self, uid: &str, volume: &Volume) -> Vec<LabelMap> {
        let mut maps = Vec::new();
        for object in self.catalogue.objects.iter().filter(|object| object.refers_to.iter().any(|other| other == uid)) {
            let path = self.dir.join(&self.files[object.file].path);
            match object.role {
                Role::Segmentation => {
                    let Ok(read) = self.decoder.read_segmentation(&path) else { continue };
                    let numbers = read.segments.iter().map(|segment| segment.number);
                    let draw = |number| self.decoder.draw_segment(&path, number, volume).ok();
                    maps.extend(numbers.take(MAX_STRUCTURES).filter_map(draw));
                }
                Role::Structures => {
                    let Ok(read) = self.decoder.read_structures(&path) else { continue };
                    let rois = read.rois.iter().take(MAX_STRUCTURES);
                    maps.extend(rois.filter_map(|roi| Some(read.draw(roi, volume).ok()?.map)));
                }
                _ => {}
            }
        }
        maps.truncate(MAX_STRUCTURES);
        maps
    }
}

/// The axial slice in which most is marked, else the middle one.
fn fullest(volume: &Volume, marked: &[LabelMap]) -> SliceRef {
    let layer = volume.dims[0] * volume.dims[1];
    let area = |index: &usize| -> usize {
        let inside =
            |map: &LabelMap| map.values[index * layer..(index + 1) * layer].iter().filter(|value| **value > 0).count();
        marked.iter().filter(|map| map.values.len() == layer * volume.dims[2]).map(inside).sum()
    };
    let middle = volume.middle(Axis::Axial);
    let best = (0..volume.dims[2]).max_by_key(area).filter(|index| area(index) > 0);
    best.map_or(middle, |index| SliceRef { axis: Axis::Axial, index })
}

fn nothing_known() -> Description {
    Description {
        labels: Vec::new(),
        absent: Vec::new(),
        body_part: None,
        modality: None,
        department: Department::LaboratoryMedicine,
        patient: None,
        report: None,
    }
}

/// Area of the regions, for choosing the slice that shows most.
fn shown_area(regions: &[Region]) -> u64 {
    regions.iter().map(|region| (region.bounds.area() * 1e6) as u64).sum()
}

fn colour(name: &str, names: &[String]) -> [u8; 3] {
    COLOURS[names.iter().position(|own| own == name).unwrap_or(0) % COLOURS.len()]
}

/// The picture with its longer side at most [`SIDE`]; small ones grow by whole steps, so that their pixels stay what they are.
fn shrink(picture: &Rgb8) -> RgbImage {
    let (width, height) = (picture.width(), picture.height());
    let full = RgbImage::from_raw(width, height, picture.pixels().to_vec()).unwrap_or_else(|| RgbImage::new(1, 1));
    let longer = width.max(height);
    let side = |length: u32, longer: u32| {
        ((u64::from(length) * u64::from(SIDE) + u64::from(longer) / 2) / u64::from(longer)).max(1) as u32
    };
    match SIDE / longer {
        0 => image::imageops::resize(&full, side(width, longer), side(height, longer), FilterType::Triangle),
        1 => full,
        times => image::imageops::resize(&full, width * times, height * times, FilterType::Nearest),
    }
}

/// Draws masks and boxes.
fn mark(picture: &mut RgbImage, regions: &[Region], names: &[String]) {
    let (width, height) = picture.dimensions();
    for region in regions.iter().take(MAX_REGIONS) {
        let colour = colour(&region.term.en, names);
        match &region.mask {
            Some(mask) => tint(picture, (mask.width(), mask.height()), &mask.to_rows(), colour),
            None => {
                let at = |share: f32, side: u32| ((share.clamp(0.0, 1.0) * side as f32) as u32).min(side - 1);
                let bounds = &region.bounds;
                frame(
                    picture,
                    [at(bounds.x1, width), at(bounds.y1, height), at(bounds.x2, width), at(bounds.y2, height)],
                    colour,
                );
            }
        }
    }
}

/// Half the colour over what is inside, all of it on the edge.
fn tint(picture: &mut RgbImage, (columns, rows): (u32, u32), inside: &[bool], colour: [u8; 3]) {
    let (width, height) = picture.dimensions();
    let is_inside = |x: i64, y: i64| {
        if x < 0 || y < 0 || x >= i64::from(width) || y >= i64::from(height) {
            return false;
        }
        let column = x as u64 * u64::from(columns) / u64::from(width);
        let row = y as u64 * u64::from(rows) / u64::from(height);
        inside.get((row * u64::from(columns) + column) as usize).copied().unwrap_or(false)
    };
    for (x, y, pixel) in picture.enumerate_pixels_mut() {
        let (x, y) = (i64::from(x), i64::from(y));
        if !is_inside(x, y) {
            continue;
        }
        let is_edge = [(-1, 0), (1, 0), (0, -1), (0, 1)].iter().any(|(dx, dy)| !is_inside(x + dx, y + dy));
        let share = if is_edge { 255 } else { 80 };
        for (own, new) in pixel.0.iter_mut().zip(colour) {
            *own = ((u16::from(*own) * (255 - share) + u16::from(new) * share) / 255) as u8;
        }
    }
}

fn frame(picture: &mut RgbImage, [left, top, right, bottom]: [u32; 4], colour: [u8; 3]) {
    for x in left..=right {
        for y in [top, bottom] {
            picture.put_pixel(x, y, Rgb(colour));
        }
    }
    for y in top..=bottom {
        for x in [left, right] {
            picture.put_pixel(x, y, Rgb(colour));
        }
    }
}

fn cross(picture: &mut RgbImage, x: f32, y: f32, colour: [u8; 3]) {
    let (width, height) = picture.dimensions();
    let at = |share: f32, side: u32| (share.clamp(0.0, 1.0) * side as f32) as i64;
    let (x, y) = (at(x, width), at(y, height));
    for step in -3..=3 {
        for (x, y) in [(x + step, y), (x, y + step), (x + step, y + 1), (x + 1, y + step)] {
            if (0..i64::from(width)).contains(&x) && (0..i64::from(height)).contains(&y) {
                picture.put_pixel(x as u32, y as u32, Rgb(colour));
            }
        }
    }
}

/// A JPEG in a `data:` URL; `None` when the picture cannot be encoded.
fn data_url(picture: &RgbImage) -> Option<String> {
    let mut bytes = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, QUALITY);
    encoder.write_image(picture.as_raw(), picture.width(), picture.height(), ExtendedColorType::Rgb8).ok()?;
    Some(format!("data:image/jpeg;base64,{}", STANDARD.encode(bytes)))
}

/// How many of the most frequent names are drawn in which colour, for a legend.
pub(super) fn legend(building: &Building) -> BTreeMap<String, String> {
    let names = building.group.draft.iter().flat_map(|draft| &draft.region_terms);
    let colours = names.take(COLOURS.len()).zip(COLOURS);
    colours.map(|(name, [r, g, b])| (name.clone(), format!("#{r:02x}{g:02x}{b:02x}"))).collect()
}
