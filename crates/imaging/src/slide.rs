//! Whole-slide pictures in TIFF (Aperio SVS and other tiled pyramids): levels and associated pictures listed, tiles read one at a time.

use crate::digest::sha256_file;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::pixels::rgb_of_ybr;
use crate::sniff::FileKind;
use crate::tiff::{self, tiff_error};
use crate::{Content, Scan, jpeg2000};
use ::tiff::decoder::Decoder;
use ::tiff::tags::Tag;
use gmai_jpeg::Unmarked;
use gmai_schema::Rgb8;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// More pictures than any slide holds.
const MAX_DIRECTORIES: usize = 256;
/// Longer lists of tiles are refused, in bytes.
const MAX_TAG_BYTES: usize = 64 << 20;
/// Sides of neighbouring levels are rounded; their ratios agree within this.
const RATIO_TOLERANCE: f64 = 0.02;

/// Compression (tag 259).
const JPEG: u16 = 7;
const APERIO_JPEG_2000_YBR: u16 = 33003;
const APERIO_JPEG_2000_RGB: u16 = 33005;
/// PhotometricInterpretation (tag 262).
const PHOTOMETRIC_RGB: u16 = 2;
/// NewSubfileType (tag 254) of Aperio's photograph of the whole glass.
const MACRO: u32 = 9;

/// One resolution of a slide.
#[derive(Debug, Clone, PartialEq)]
pub struct SlideLevel {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Columns and rows of a tile.
    pub tile: [u32; 2],
    /// How many pixels of the first level lie side by side in one of this.
    pub downsample: f64,
    directory: usize,
}

impl SlideLevel {
    /// Tiles across and down; the last ones may be cut off.
    pub fn tiles(&self) -> [u32; 2] {
        [self.width.div_ceil(self.tile[0]), self.height.div_ceil(self.tile[1])]
    }
}

/// A picture that comes with a slide: `thumbnail`, `label`, `macro`, or `other`. A label often shows names.
#[derive(Debug, Clone, PartialEq)]
pub struct SlidePicture {
    /// What it is.
    pub name: &'static str,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    directory: usize,
}

/// A slide, opened: tiles are read from the file when they are asked for.
#[derive(Debug)]
pub struct Slide {
    path: PathBuf,
    decoder: Decoder<BufReader<File>>,
    limits: Limits,
    levels: Vec<SlideLevel>,
    pictures: Vec<SlidePicture>,
    microns_per_pixel: Option<f64>,
}

/// What one directory of the file says.
struct Directory {
    width: u32,
    height: u32,
    tile: Option<[u32; 2]>,
    subfile: u32,
    description: String,
}

impl Slide {
    /// Opens a slide; no pixel is decoded. The file may be of any length.
    pub fn open(path: &Path, limits: &Limits) -> Result<Slide> {
        Slide::open_if_tiled(path, limits)?
            .ok_or_else(|| Error::malformed(path, "TileWidth", "the first picture is not made of tiles: no slide"))
    }

    /// As [`Slide::open`]; `None` for a TIFF whose first picture is not made of tiles.
    pub(crate) fn open_if_tiled(path: &Path, limits: &Limits) -> Result<Option<Slide>> {
        let file = File::open(path).map_err(|source| Error::io(path, source))?;
        let failed = |error: ::tiff::TiffError| tiff_error(path, error);
        let mut bounds = tiff::bounds(limits);
        bounds.ifd_value_size = MAX_TAG_BYTES;
        let mut decoder = Decoder::new(BufReader::new(file)).map_err(failed)?.with_limits(bounds);
        let mut directories = vec![Directory::read(&mut decoder).map_err(failed)?];
        if directories[0].tile.is_none() {
            return Ok(None);
        }
        while decoder.more_images() && directories.len() < MAX_DIRECTORIES {
            decoder.next_image().map_err(failed)?;
            directories.push(Directory::read(&mut decoder).map_err(failed)?);
        }
        let (levels, pictures) = sorted(&directories);
        let microns_per_pixel = number_of(&directories[0].description, "MPP");
        Ok(Some(Slide { path: path.into(), decoder, limits: *limits, levels, pictures, microns_per_pixel }))
    }

    /// Resolutions, the finest first.
    pub fn levels(&self) -> &[SlideLevel] {
        &self.levels
    }

    /// Pictures that come with the slide.
    pub fn pictures(&self) -> &[SlidePicture] {
        &self.pictures
    }

    /// Side of a pixel of the first level in micrometres, where the file says it (Aperio).
    pub fn microns_per_pixel(&self) -> Option<f64> {
        self.microns_per_pixel
    }

    /// One tile of a level, cut off where the picture ends.
    pub fn tile(&mut self, level: usize, column: u32, row: u32) -> Result<Rgb8> {
        let Some(level) = self.levels.get(level).cloned() else {
            let reason = format!("level {level} of {} was asked for", self.levels.len());
            return Err(Error::malformed(&self.path, "levels", reason));
        };
        let [across, down] = level.tiles();
        if column >= across || row >= down {
            let reason = format!("tile {column}, {row} of {across} x {down} was asked for");
            return Err(Error::malformed(&self.path, "tiles", reason));
        }
        let width = level.tile[0].min(level.width - column * level.tile[0]);
        let height = level.tile[1].min(level.height - row * level.tile[1]);
        let mut chunks = Chunks::open(self, level.directory)?;
        let picture = chunks.read(row * across + column)?;
        cropped(&picture, width, height)
            .ok_or_else(|| Error::decode(&self.path, "a tile has fewer pixels than it should"))
    }

    /// A whole level, if `Limits::max_pixels` allows it.
    pub fn level(&mut self, level: usize) -> Result<Rgb8> {
        match self.levels.get(level).map(|level| level.directory) {
            Some(directory) => self.directory(directory),
            None => {
                let reason = format!("level {level} of {} was asked for", self.levels.len());
                Err(Error::malformed(&self.path, "levels", reason))
            }
        }
    }

    /// One of the [`Slide::pictures`].
    pub fn picture(&mut self, picture: &SlidePicture) -> Result<Rgb8> {
        self.directory(picture.directory)
    }

    /// The whole picture of a directory, put together from its tiles or strips.
    fn directory(&mut self, directory: usize) -> Result<Rgb8> {
        let mut chunks = Chunks::open(self, directory)?;
        let [width, height] = chunks.size;
        let pixels = chunks.limits.check_pixels(&chunks.path, u64::from(width), u64::from(height))?;
        let [chunk_width, chunk_height] = chunks.chunk;
        let across = width.div_ceil(chunk_width);
        let mut out = vec![0; pixels * 3];
        for index in 0..across * height.div_ceil(chunk_height) {
            let picture = chunks.read(index)?;
            let (left, top) = (index % across * chunk_width, index / across * chunk_height);
            let (wide, high) = (chunk_width.min(width - left), chunk_height.min(height - top));
            if picture.width() < wide || picture.height() < high {
                return Err(Error::decode(&chunks.path, "a tile has fewer pixels than it should"));
            }
            for row in 0..high {
                let from = row as usize * picture.width() as usize * 3;
                let to = ((top + row) as usize * width as usize + left as usize) * 3;
                let length = wide as usize * 3;
                out[to..to + length].copy_from_slice(&picture.pixels()[from..from + length]);
            }
        }
        Rgb8::new(width, height, out).ok_or_else(|| Error::malformed(&chunks.path, "image size", "is 0"))
    }
}

/// Pixels of a picture that stands for a slide: a larger first picture of tiles is too much to show or to learn from as one.
const MAX_OVERVIEW_PIXELS: u64 = 4096 * 4096;

/// What [`read`](crate::read) gives for a slide: its finest level or thumbnail that is small enough. `None` for a TIFF whose first picture
/// is not made of tiles or is small enough itself.
pub(crate) fn read_overview(path: &Path, limits: &Limits) -> Result<Option<Scan>> {
    let Some(mut slide) = Slide::open_if_tiled(path, limits)? else { return Ok(None) };
    let most = MAX_OVERVIEW_PIXELS.min(limits.max_pixels);
    let pixels = |width: u32, height: u32| u64::from(width) * u64::from(height);
    let first = slide.levels[0].clone();
    if pixels(first.width, first.height) <= most {
        return Ok(None);
    }
    let levels = slide.levels.iter().map(|level| (level.width, level.height, level.directory));
    let thumbnails = slide.pictures.iter().filter(|picture| picture.name == "thumbnail");
    let candidates = levels.chain(thumbnails.map(|picture| (picture.width, picture.height, picture.directory)));
    let chosen = candidates.filter(|(width, height, _)| pixels(*width, *height) <= most);
    let Some((width, height, directory)) = chosen.max_by_key(|(width, height, _)| pixels(*width, *height)) else {
        let (what, found) = ("smallest level of the slide in pixels", pixels(first.width, first.height));
        return Err(Error::TooLarge { path: path.into(), what, found, limit: most });
    };
    let picture = slide.directory(directory)?;
    let note = format!(
        "a slide of {} x {} pixels in {} levels, shown at {width} x {height}",
        first.width,
        first.height,
        slide.levels.len()
    );
    Ok(Some(Scan {
        kind: FileKind::Tiff,
        content: Content::Picture(picture),
        modality: None,
        patient: None,
        study: None,
        series: None,
        sha256: sha256_file(path)?,
        window: None,
        notes: vec![note],
    }))
}

impl Directory {
    fn read<R: Read + Seek>(decoder: &mut Decoder<R>) -> ::tiff::TiffResult<Directory> {
        let (width, height) = decoder.dimensions()?;
        let tile_width = decoder.find_tag_unsigned::<u32>(Tag::TileWidth)?;
        let tile_height = decoder.find_tag_unsigned::<u32>(Tag::TileLength)?;
        let tile = tile_width.zip(tile_height).filter(|(wide, high)| *wide > 0 && *high > 0);
        Ok(Directory {
            width,
            height,
            tile: tile.map(|(wide, high)| [wide, high]),
            subfile: decoder.find_tag_unsigned::<u32>(Tag::NewSubfileType)?.unwrap_or(0),
            description: decoder.get_tag_ascii_string(Tag::ImageDescription).unwrap_or_default(),
        })
    }

    /// What an associated picture is: Aperio writes it into the second line of the description.
    fn name(&self) -> &'static str {
        let second = self.description.lines().nth(1).unwrap_or_default().trim_start();
        match second {
            _ if second.starts_with("label") => "label",
            _ if second.starts_with("macro") || self.subfile == MACRO => "macro",
            _ if second.contains("->") => "thumbnail",
            _ => "other",
        }
    }
}

/// Levels are tiled pictures with the sides of the first in one ratio, each smaller than the one before; the rest comes with the slide.
fn sorted(directories: &[Directory]) -> (Vec<SlideLevel>, Vec<SlidePicture>) {
    let first = &directories[0];
    let mut levels: Vec<SlideLevel> = Vec::new();
    let mut pictures = Vec::new();
    for (index, directory) in directories.iter().enumerate() {
        let Directory { width, height, .. } = *directory;
        let ratios =
            [f64::from(first.width) / f64::from(width.max(1)), f64::from(first.height) / f64::from(height.max(1))];
        let is_smaller = levels.last().is_none_or(|level| width < level.width && height <= level.height);
        let keeps_shape = (ratios[0] / ratios[1] - 1.0).abs() <= RATIO_TOLERANCE * ratios[0].max(1.0).log2().max(1.0);
        match directory.tile {
            Some(tile) if index == 0 || (is_smaller && keeps_shape && directory.name() != "macro") => {
                levels.push(SlideLevel {
                    width,
                    height,
                    tile,
                    downsample: (ratios[0] + ratios[1]) / 2.0,
                    directory: index,
                });
            }
            _ => pictures.push(SlidePicture { name: directory.name(), width, height, directory: index }),
        }
    }
    (levels, pictures)
}

/// A number in an Aperio description, `... |MPP = 0.4990|...`.
fn number_of(description: &str, key: &str) -> Option<f64> {
    let field = description.split('|').find_map(|field| {
        let (name, value) = field.split_once('=')?;
        (name.trim() == key).then_some(value)
    })?;
    field.trim().parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0)
}

fn cropped(picture: &Rgb8, width: u32, height: u32) -> Option<Rgb8> {
    if picture.width() < width || picture.height() < height {
        return None;
    }
    let row = |row: u32| {
        let start = row as usize * picture.width() as usize * 3;
        &picture.pixels()[start..start + width as usize * 3]
    };
    Rgb8::new(width, height, (0..height).flat_map(row).copied().collect())
}

/// The tiles or strips of one directory.
struct Chunks<'a> {
    path: PathBuf,
    limits: Limits,
    decoder: &'a mut Decoder<BufReader<File>>,
    size: [u32; 2],
    /// Columns and rows of a tile or strip.
    chunk: [u32; 2],
    compression: u16,
    photometric: u16,
    /// Places and lengths in the file; only where this module decodes the bytes itself.
    places: Vec<(u64, u64)>,
    jpeg_tables: Vec<u8>,
}

impl<'a> Chunks<'a> {
    fn open(slide: &'a mut Slide, directory: usize) -> Result<Chunks<'a>> {
        let path = slide.path.clone();
        let failed = |error: ::tiff::TiffError| tiff_error(&path, error);
        let decoder = &mut slide.decoder;
        decoder.seek_to_image(directory).map_err(failed)?;
        let (width, height) = decoder.dimensions().map_err(failed)?;
        let (chunk_width, chunk_height) = decoder.chunk_dimensions();
        slide.limits.check_pixels(&path, u64::from(chunk_width), u64::from(chunk_height))?;
        let compression = decoder.find_tag_unsigned::<u16>(Tag::Compression).map_err(failed)?.unwrap_or(1);
        let photometric =
            decoder.find_tag_unsigned::<u16>(Tag::PhotometricInterpretation).map_err(failed)?.unwrap_or(0);
        let planes = decoder.find_tag_unsigned::<u16>(Tag::PlanarConfiguration).map_err(failed)?.unwrap_or(1);
        let is_own = matches!(compression, JPEG | APERIO_JPEG_2000_YBR | APERIO_JPEG_2000_RGB) && planes == 1;
        let mut places = Vec::new();
        if is_own {
            let (offsets, counts) = match decoder.get_chunk_type() {
                ::tiff::decoder::ChunkType::Tile => (Tag::TileOffsets, Tag::TileByteCounts),
                ::tiff::decoder::ChunkType::Strip => (Tag::StripOffsets, Tag::StripByteCounts),
            };
            let offsets = decoder.get_tag_u64_vec(offsets).map_err(failed)?;
            places = offsets.into_iter().zip(decoder.get_tag_u64_vec(counts).map_err(failed)?).collect();
        }
        let tables = decoder.find_tag(Tag::JPEGTables).map_err(failed)?;
        let jpeg_tables = tables.map(|tables| tables.into_u8_vec()).transpose().map_err(failed)?.unwrap_or_default();
        let (size, chunk) = ([width, height], [chunk_width.max(1), chunk_height.max(1)]);
        let limits = slide.limits;
        Ok(Chunks { path, limits, decoder, size, chunk, compression, photometric, places, jpeg_tables })
    }

    /// Decodes one tile or strip; it may be larger than what of it lies in the picture.
    fn read(&mut self, index: u32) -> Result<Rgb8> {
        if self.places.is_empty() {
            let limits = self.limits;
            let path = self.path.clone();
            let decoder = &mut *self.decoder;
            // A decoder that panics on hostile bytes must not end a run over thousands of files.
            return catch_unwind(AssertUnwindSafe(|| tiff::decode_chunk(&path, decoder, index, &limits)))
                .unwrap_or_else(|_| Err(Error::decode(&self.path, "the decoder gave up")));
        }
        let bytes = self.bytes(index)?;
        let max_pixels = u64::from(self.chunk[0]) * u64::from(self.chunk[1]);
        if self.compression == JPEG {
            return self.jpeg(&bytes, max_pixels);
        }
        let decoded = jpeg2000::decode(&bytes, max_pixels).map_err(|reason| Error::decode(&self.path, reason))?;
        if decoded.head.channels != 3 || decoded.head.bits > 8 {
            let value = format!("JPEG 2000 of {} x {} bits", decoded.head.channels, decoded.head.bits);
            let remedy = "convert the slide to 8-bit RGB";
            return Err(Error::Unsupported { path: self.path.clone(), field: "TIFF pixel format", value, remedy });
        }
        let mut pixels: Vec<u8> = decoded.values.iter().map(|value| (*value).clamp(0, 255) as u8).collect();
        if self.compression == APERIO_JPEG_2000_YBR {
            pixels.as_chunks_mut::<3>().0.iter_mut().for_each(|pixel| *pixel = rgb_of_ybr(*pixel));
        }
        Rgb8::new(decoded.head.width, decoded.head.height, pixels)
            .ok_or_else(|| Error::decode(&self.path, "a tile has no pixels"))
    }

    fn jpeg(&self, bytes: &[u8], max_pixels: u64) -> Result<Rgb8> {
        // The tables stand in a stream of their own, from its start to its end marker.
        let tables = self.jpeg_tables.strip_suffix(&[0xFF, 0xD9]).unwrap_or(&self.jpeg_tables);
        let stream = match (tables, bytes.strip_prefix(&[0xFF, 0xD8])) {
            ([], _) | (_, None) => bytes.to_vec(),
            (tables, Some(rest)) => [tables, rest].concat(),
        };
        let unmarked = if self.photometric == PHOTOMETRIC_RGB { Unmarked::Rgb } else { Unmarked::Usual };
        let picture =
            gmai_jpeg::decode_with(&stream, max_pixels, unmarked).map_err(|error| Error::decode(&self.path, error))?;
        Rgb8::new(picture.width, picture.height, picture.into_rgb())
            .ok_or_else(|| Error::decode(&self.path, "a tile has no pixels"))
    }

    /// The bytes of a tile or strip.
    fn bytes(&mut self, index: u32) -> Result<Vec<u8>> {
        let Some(&(offset, length)) = self.places.get(index as usize).filter(|(_, length)| *length > 0) else {
            return Err(Error::malformed(&self.path, "TileByteCounts", format!("tile {index} is missing")));
        };
        let pixels = u64::from(self.chunk[0]) * u64::from(self.chunk[1]);
        // Compressed data is not longer than twice the pixels, with room for headers.
        let limit = pixels.saturating_mul(6).saturating_add(1 << 16);
        if length > limit {
            let (path, what) = (self.path.clone(), "bytes of one tile");
            return Err(Error::TooLarge { path, what, found: length, limit });
        }
        let source = self.decoder.inner();
        source.seek(SeekFrom::Start(offset)).map_err(|error| Error::io(&self.path, error))?;
        let mut bytes = Vec::new();
        source.take(length).read_to_end(&mut bytes).map_err(|error| Error::io(&self.path, error))?;
        if (bytes.len() as u64) < length {
            let (field, available) = (format!("tile {index}"), bytes.len() as u64);
            return Err(Error::Truncated { path: self.path.clone(), field, needed: length, available });
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(width: u32, height: u32, tile: Option<[u32; 2]>, description: &str) -> Directory {
        Directory { width, height, tile, subfile: 0, description: description.to_string() }
    }

    #[test]
    fn levels_and_associated_pictures_are_told_apart() {
        let tile = Some([240, 240]);
        let (levels, pictures) = sorted(&[
            directory(10_000, 7_001, tile, "Aperio\nbase|MPP = 0.25"),
            directory(1_024, 717, None, "Aperio\n10000x7001 -> 1024x717"),
            directory(2_500, 1_750, tile, ""),
            directory(625, 437, tile, ""),
            directory(387, 463, None, "Aperio\nlabel 387x463"),
            directory(1_280, 431, None, "Aperio\nmacro 1280x431"),
        ]);
        let sizes: Vec<u32> = levels.iter().map(|level| level.width).collect();
        assert_eq!(sizes, [10_000, 2_500, 625]);
        assert!((levels[2].downsample - 16.0).abs() < 0.1);
        assert_eq!(levels[0].tiles(), [42, 30]);
        let names: Vec<&str> = pictures.iter().map(|picture| picture.name).collect();
        assert_eq!(names, ["thumbnail", "label", "macro"]);
        assert_eq!(number_of("a|MPP = 0.25|AppMag = 20", "MPP"), Some(0.25));
        assert_eq!(number_of("a|MPP = x", "MPP"), None);
    }
}
