//! Which pictures are the same, or nearly: they must stay on one side of the split.

use crate::sorted::{Sorted, Sorter};
use crate::{Error, Result};
use gmai_schema::Rgb8;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Side of the thumbnail that confirms a suspicion.
const THUMBNAIL_SIDE: usize = 16;

/// Difference hashes may differ in this many of 64 bits: recompression and small resizing move one or two.
const MAX_HASH_DISTANCE: u32 = 2;

/// Bit ranges of the hash by which candidates are found: with three parts and at most two wrong bits, one part is equal.
const HASH_PARTS: [(u32, u64); 3] = [(0, (1 << 22) - 1), (22, (1 << 21) - 1), (43, (1 << 21) - 1)];

/// Mean difference of two thumbnails, in grey levels, up to which pictures count as nearly the same. On the seventeen open sources this
/// finds the five ultrasound pictures that are known to lie in two class folders, and no other pair with contradicting labels.
const MAX_THUMBNAIL_DIFFERENCE: f32 = 2.0;

/// Cells of the thumbnail.
const THUMBNAIL_BYTES: usize = THUMBNAIL_SIDE * THUMBNAIL_SIDE;

/// Bytes of a fingerprint on disk.
pub(crate) const PRINT_BYTES: usize = 16 + 8 + 4 + THUMBNAIL_BYTES;

/// What is kept of a picture to compare it with others.
#[derive(Debug, Clone)]
pub(crate) struct Fingerprint {
    /// The first half of a SHA-256 over size and pixels.
    pub(crate) pixels: [u8; 16],
    /// 64-bit difference hash: whether each cell of a 9 x 8 grid is darker than its right neighbour.
    difference_hash: u64,
    mean: f32,
    thumbnail: [u8; THUMBNAIL_BYTES],
}

/// Mean grey of each cell of a grid laid over the picture.
fn grid(pixels: &Pixels, columns: usize, rows: usize) -> Vec<f32> {
    let range = |index: usize, count: usize, size: usize| {
        let start = (index * size / count).min(size - 1);
        start..((index + 1) * size / count).clamp(start + 1, size)
    };
    let line_bytes = pixels.width * pixels.channels;
    let mut cells = Vec::with_capacity(columns * rows);
    let mut sums = vec![0u32; line_bytes];
    for row in 0..rows {
        let ys = range(row, rows, pixels.height);
        // Whole lines are added up first: bytes side by side are added many at a time.
        sums.fill(0);
        for line in pixels.bytes[ys.start * line_bytes..ys.end * line_bytes].chunks_exact(line_bytes) {
            sums.iter_mut().zip(line).for_each(|(sum, byte)| *sum += u32::from(*byte));
        }
        for column in 0..columns {
            let xs = range(column, columns, pixels.width);
            let num_pixels = (xs.len() * ys.len()) as f32;
            let sums = &sums[xs.start * pixels.channels..xs.end * pixels.channels];
            let brightness: u64 = match pixels.channels {
                1 => sums.iter().map(|sum| 1000 * u64::from(*sum)).sum(),
                _ => sums.chunks_exact(3).map(luma).sum(),
            };
            cells.push(brightness as f32 / 1000.0 / num_pixels);
        }
    }
    cells
}

/// Brightness (ITU-R BT.601) in thousandths of a grey level; 1000 times the level of a grey pixel.
fn luma(pixel: &[u32]) -> u64 {
    299 * u64::from(pixel[0]) + 587 * u64::from(pixel[1]) + 114 * u64::from(pixel[2])
}

/// The pixels of a picture, with one byte each where all are grey.
struct Pixels<'a> {
    width: usize,
    height: usize,
    channels: usize,
    bytes: Cow<'a, [u8]>,
}

impl Pixels<'_> {
    fn of(picture: &Rgb8) -> Pixels<'_> {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        match gmai_shard::grey_plane(picture) {
            Some(grey) => Pixels { width, height, channels: 1, bytes: Cow::Owned(grey) },
            None => Pixels { width, height, channels: 3, bytes: Cow::Borrowed(picture.pixels()) },
        }
    }

    /// The first half of a SHA-256 over size, channels and bytes.
    fn hash(&self) -> [u8; 16] {
        let mut hasher = Sha256::new();
        for number in [self.width, self.height, self.channels] {
            hasher.update((number as u64).to_le_bytes());
        }
        hasher.update(&self.bytes);
        let mut half = [0; 16];
        half.copy_from_slice(&hasher.finalize()[..16]);
        half
    }
}

impl Fingerprint {
    /// The fingerprint of a picture.
    pub(crate) fn of(picture: &Rgb8) -> Fingerprint {
        let pixels = Pixels::of(picture);
        let cells = grid(&pixels, 9, 8);
        let bit = |index: usize| {
            let cell = index / 8 * 9 + index % 8;
            u64::from(cells[cell] < cells[cell + 1]) << index
        };
        let difference_hash = (0..64).map(bit).sum();
        let cells = grid(&pixels, THUMBNAIL_SIDE, THUMBNAIL_SIDE);
        let mean = cells.iter().sum::<f32>() / cells.len() as f32;
        let mut thumbnail = [0; THUMBNAIL_BYTES];
        thumbnail.iter_mut().zip(cells).for_each(|(byte, grey)| *byte = grey.round() as u8);
        Fingerprint { pixels: pixels.hash(), difference_hash, mean, thumbnail }
    }

    /// As it stands on disk.
    pub(crate) fn to_bytes(&self) -> [u8; PRINT_BYTES] {
        let mut bytes = [0; PRINT_BYTES];
        bytes[..16].copy_from_slice(&self.pixels);
        bytes[16..24].copy_from_slice(&self.difference_hash.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.mean.to_le_bytes());
        bytes[28..].copy_from_slice(&self.thumbnail);
        bytes
    }

    /// From its bytes on disk.
    pub(crate) fn from_bytes(bytes: &[u8; PRINT_BYTES]) -> Fingerprint {
        let (mut pixels, mut hash, mut mean, mut thumbnail) = ([0; 16], [0; 8], [0; 4], [0; THUMBNAIL_BYTES]);
        pixels.copy_from_slice(&bytes[..16]);
        hash.copy_from_slice(&bytes[16..24]);
        mean.copy_from_slice(&bytes[24..28]);
        thumbnail.copy_from_slice(&bytes[28..]);
        Fingerprint { pixels, difference_hash: u64::from_le_bytes(hash), mean: f32::from_le_bytes(mean), thumbnail }
    }
}

/// Finds pairs of nearly equal pictures. Memory does not grow with their number.
pub(crate) struct Similar {
    /// For each part of the hash: the part, brightness, number of the print, its owner, the whole hash.
    parts: Vec<Sorter<24>>,
    pairs: Sorter<8>,
    thumbnails: BufWriter<File>,
    path: PathBuf,
    num_prints: u32,
}

impl Similar {
    /// An empty comparison with its temporary files in `folder`.
    pub(crate) fn new(folder: &Path) -> Result<Similar> {
        let parts = ["part-0.sort", "part-1.sort", "part-2.sort"].map(|name| Sorter::new(folder, name)).into();
        let path = folder.join("thumbnails");
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path);
        let thumbnails = BufWriter::new(file.map_err(Error::io(&path))?);
        Ok(Similar { parts, pairs: Sorter::new(folder, "pairs.sort"), thumbnails, path, num_prints: 0 })
    }

    /// Adds a picture of a record.
    pub(crate) fn add(&mut self, owner: u32, print: &Fingerprint) -> Result<()> {
        for (part, (shift, mask)) in self.parts.iter_mut().zip(HASH_PARTS) {
            let mut entry = [0; 24];
            entry[..4].copy_from_slice(&((print.difference_hash >> shift & mask) as u32).to_be_bytes());
            // A brightness is not negative: its bits sort as it does.
            entry[4..8].copy_from_slice(&print.mean.to_bits().to_be_bytes());
            entry[8..12].copy_from_slice(&self.num_prints.to_be_bytes());
            entry[12..16].copy_from_slice(&owner.to_be_bytes());
            entry[16..].copy_from_slice(&print.difference_hash.to_be_bytes());
            part.push(entry)?;
        }
        self.thumbnails.write_all(&print.thumbnail).map_err(Error::io(&self.path))?;
        self.num_prints += 1;
        Ok(())
    }

    /// Pairs of records of which two pictures are nearly equal, the smaller first, perhaps several times.
    pub(crate) fn finish(self) -> Result<Sorted<8>> {
        let Similar { parts, mut pairs, thumbnails, path, .. } = self;
        let file = thumbnails.into_inner().map_err(|error| Error::io(&path)(error.into_error()))?;
        let mut thumbnails = Thumbnails { file, path };
        for part in parts {
            let sorted = part.finish()?;
            let mut entries = sorted.entries()?;
            let mut next = || Ok(entries.next()?.map(|entry| Place::of(&entry)));
            sweep(&mut next, &mut |place, other| {
                if thumbnails.resemble(other.print, place.print)? {
                    let (first, second) = (other.owner.min(place.owner), other.owner.max(place.owner));
                    pairs.push(((u64::from(first) << 32) | u64::from(second)).to_be_bytes())?;
                }
                Ok(())
            })?;
        }
        pairs.finish()
    }
}

/// Pairs of indices of nearly equal pictures, in memory. Entries without a fingerprint resemble nothing.
pub(crate) fn near_pairs(prints: &[Option<&Fingerprint>]) -> Vec<[usize; 2]> {
    let mut pairs = BTreeSet::new();
    for (shift, mask) in HASH_PARTS {
        let place = |(index, print): (usize, &Option<&Fingerprint>)| {
            let (hash, mean) = ((*print)?.difference_hash, (*print)?.mean);
            Some(Place { part: (hash >> shift & mask) as u32, mean, print: index as u32, owner: index as u32, hash })
        };
        let mut places: Vec<Place> = prints.iter().enumerate().filter_map(place).collect();
        places.sort_by(|a, b| a.part.cmp(&b.part).then(a.mean.total_cmp(&b.mean)).then(a.print.cmp(&b.print)));
        let mut places = places.into_iter();
        let swept = sweep(&mut || Ok(places.next()), &mut |place, other| {
            let [one, two] = [place.print, other.print].map(|index| index as usize);
            if let (Some(first), Some(second)) = (prints[one], prints[two])
                && alike(&first.thumbnail, &second.thumbnail)
            {
                pairs.insert([one.min(two), one.max(two)]);
            }
            Ok(())
        });
        swept.expect("nothing here reads from disk");
    }
    pairs.into_iter().collect()
}

/// Visits the pairs of `next`'s places, sorted by part and brightness, whose hashes resemble each other.
fn sweep(
    next: &mut dyn FnMut() -> Result<Option<Place>>,
    on_pair: &mut dyn FnMut(&Place, &Place) -> Result<()>,
) -> Result<()> {
    let mut near: VecDeque<Place> = VecDeque::new();
    while let Some(place) = next()? {
        // Pictures of one bucket come by brightness: a bucket of dark pictures may be large.
        while near.front().is_some_and(|first| !first.is_near(&place)) {
            near.pop_front();
        }
        for other in near.iter().filter(|other| other.owner != place.owner && other.hash_resembles(&place)) {
            on_pair(&place, other)?;
        }
        near.push_back(place);
    }
    Ok(())
}

/// Whether two thumbnails differ by as little as those of copies.
fn alike(first: &[u8; THUMBNAIL_BYTES], second: &[u8; THUMBNAIL_BYTES]) -> bool {
    let difference: f32 = first.iter().zip(second).map(|(a, b)| f32::from(a.abs_diff(*b))).sum();
    difference / THUMBNAIL_BYTES as f32 <= MAX_THUMBNAIL_DIFFERENCE
}

/// A picture among those with an equal part of the hash.
struct Place {
    part: u32,
    mean: f32,
    print: u32,
    owner: u32,
    hash: u64,
}

impl Place {
    fn of(entry: &[u8; 24]) -> Place {
        let number = |at: usize| u32::from_be_bytes([entry[at], entry[at + 1], entry[at + 2], entry[at + 3]]);
        let hash = u64::from(number(16)) << 32 | u64::from(number(20));
        Place { part: number(0), mean: f32::from_bits(number(4)), print: number(8), owner: number(12), hash }
    }

    /// Whether a brighter one may be nearly the same picture.
    fn is_near(&self, brighter: &Place) -> bool {
        // Rounding of the thumbnail can hide up to one grey level of the means' distance.
        self.part == brighter.part && brighter.mean - self.mean <= MAX_THUMBNAIL_DIFFERENCE + 1.0
    }

    fn hash_resembles(&self, other: &Place) -> bool {
        (self.hash ^ other.hash).count_ones() <= MAX_HASH_DISTANCE
    }
}

/// The thumbnails of all prints.
struct Thumbnails {
    file: File,
    path: PathBuf,
}

impl Thumbnails {
    fn get(&mut self, print: u32) -> Result<[u8; THUMBNAIL_BYTES]> {
        let mut thumbnail = [0; THUMBNAIL_BYTES];
        let start = u64::from(print) * THUMBNAIL_BYTES as u64;
        self.file.seek(SeekFrom::Start(start)).map_err(Error::io(&self.path))?;
        self.file.read_exact(&mut thumbnail).map_err(Error::io(&self.path))?;
        Ok(thumbnail)
    }

    fn resemble(&mut self, first: u32, second: u32) -> Result<bool> {
        Ok(alike(&self.get(first)?, &self.get(second)?))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A smooth picture that depends on `seed`.
    fn picture(seed: u32, size: u32) -> Rgb8 {
        let wave = |x: f64, y: f64| {
            let phase = f64::from(seed);
            127.0 + 60.0 * (x * (5.0 + phase) + phase).sin() + 60.0 * (y * (7.0 - phase) + 2.0 * phase).cos()
        };
        let pixel = |index: u32| {
            let (x, y) = (f64::from(index % size) / f64::from(size), f64::from(index / size) / f64::from(size));
            [wave(x, y) as u8; 3]
        };
        Rgb8::new(size, size, (0..size * size).flat_map(pixel).collect()).unwrap()
    }

    fn pairs(pictures: &[Rgb8]) -> Vec<[u32; 2]> {
        let folder = tempfile::tempdir().unwrap();
        let mut similar = Similar::new(folder.path()).unwrap();
        for (index, picture) in pictures.iter().enumerate() {
            let print = Fingerprint::of(picture);
            assert_eq!(Fingerprint::from_bytes(&print.to_bytes()).to_bytes(), print.to_bytes());
            similar.add(index as u32, &print).unwrap();
        }
        let sorted = similar.finish().unwrap();
        let mut entries = sorted.entries().unwrap();
        let pairs = std::iter::from_fn(|| entries.next().unwrap()).map(u64::from_be_bytes);
        let mut pairs: Vec<[u32; 2]> = pairs.map(|pair| [(pair >> 32) as u32, pair as u32]).collect();
        pairs.dedup();
        let prints: Vec<Fingerprint> = pictures.iter().map(Fingerprint::of).collect();
        let in_memory = near_pairs(&prints.iter().map(Some).collect::<Vec<_>>());
        assert_eq!(in_memory, pairs.iter().map(|pair| pair.map(|index| index as usize)).collect::<Vec<_>>());
        pairs
    }

    #[test]
    fn resized_and_slightly_changed_copies_are_found() {
        let original = picture(1, 128);
        let mut noisy = original.pixels().to_vec();
        noisy.iter_mut().step_by(17).for_each(|byte| *byte = byte.saturating_add(3));
        let noisy = Rgb8::new(128, 128, noisy).unwrap();
        assert_eq!(pairs(&[original, picture(2, 128), noisy, picture(1, 96)]), [[0, 2], [0, 3], [2, 3]]);
    }

    #[test]
    fn flat_pictures_of_different_brightness_are_not_the_same() {
        let flat = |grey: u8| Rgb8::filled(20, 20, [grey; 3]);
        assert_eq!(pairs(&[flat(0), flat(100), flat(200), flat(100)]), [[1, 3]]);
    }

    #[test]
    fn tiny_pictures_have_a_fingerprint() {
        let print = Fingerprint::of(&Rgb8::filled(1, 2, [3; 3]));
        assert_eq!(print.thumbnail, [3; 256]);
    }
}
