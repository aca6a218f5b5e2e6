//! Masks as run lengths, in COCO's order: down the columns, background first.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Largest side of a mask in pixels: what a hostile file may make us hold.
const MAX_SIDE: u32 = 1 << 16;

/// Which pixels of a picture belong to something, as alternating run lengths of background and foreground.
///
/// Written as COCO writes a compressed RLE: `{"size": [height, width], "counts": "..."}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RleMask {
    width: u32,
    height: u32,
    /// Lengths of runs, the first of background; they add up to `width * height`.
    counts: Vec<u32>,
}

impl RleMask {
    /// Takes run lengths over: COCO's uncompressed form. The error says what does not fit.
    pub fn from_counts(width: u32, height: u32, counts: Vec<u32>) -> Result<RleMask, String> {
        if width == 0 || height == 0 || width > MAX_SIDE || height > MAX_SIDE {
            return Err(format!("a mask of {width} x {height} pixels is not possible"));
        }
        let total: u64 = counts.iter().map(|count| u64::from(*count)).sum();
        let pixels = u64::from(width) * u64::from(height);
        if total != pixels {
            return Err(format!("the runs cover {total} pixels, the mask has {pixels}"));
        }
        Ok(RleMask { width, height, counts })
    }

    /// Reads COCO's compressed counts: six bits a letter, least significant first, from the third run on the difference to the run two
    /// before (cocoapi, `rleFrString`). The error says what does not fit.
    pub fn from_compressed(width: u32, height: u32, text: &str) -> Result<RleMask, String> {
        let mut counts: Vec<u32> = Vec::new();
        let mut letters = text.bytes();
        while let Some(first) = letters.next() {
            let (mut value, mut shift, mut letter) = (0i64, 0u32, first);
            loop {
                if !(48..48 + 64).contains(&letter) || shift > 40 {
                    return Err(format!("byte {letter} is no letter of compressed counts"));
                }
                let bits = i64::from(letter - 48);
                value |= (bits & 0x1f) << shift;
                shift += 5;
                if bits & 0x20 == 0 {
                    if bits & 0x10 != 0 {
                        value |= -1i64 << shift;
                    }
                    break;
                }
                letter = letters.next().ok_or("the compressed counts end within a number")?;
            }
            if counts.len() > 2 {
                value += i64::from(counts[counts.len() - 2]);
            }
            counts.push(u32::try_from(value).map_err(|_| format!("{value} is no run length"))?);
        }
        RleMask::from_counts(width, height, counts)
    }

    /// Encodes a mask given row by row from the top left; `None` when `inside` does not fill it.
    pub fn from_rows(width: u32, height: u32, inside: &[bool]) -> Option<RleMask> {
        if width == 0 || height == 0 || inside.len() as u64 != u64::from(width) * u64::from(height) {
            return None;
        }
        let mut counts = vec![0];
        let mut is_inside = false;
        for x in 0..width as usize {
            for y in 0..height as usize {
                if inside[y * width as usize + x] != is_inside {
                    is_inside = !is_inside;
                    counts.push(0);
                }
                *counts.last_mut()? += 1;
            }
        }
        Some(RleMask { width, height, counts })
    }

    /// Pixels across.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Pixels down.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Pixels inside.
    pub fn area(&self) -> u64 {
        self.counts.iter().skip(1).step_by(2).map(|count| u64::from(*count)).sum()
    }

    /// The mask row by row from the top left.
    pub fn to_rows(&self) -> Vec<bool> {
        let (width, height) = (self.width as usize, self.height as usize);
        let mut inside = vec![false; width * height];
        let mut place = 0;
        for (index, count) in self.counts.iter().enumerate() {
            for step in place..place + *count as usize {
                inside[step % height * width + step / height] = index % 2 == 1;
            }
            place += *count as usize;
        }
        inside
    }

    /// Edges of the smallest box around all pixels inside: left, top, right, bottom, the last two exclusive; `None` for an empty mask.
    pub fn bounds(&self) -> Option<[u32; 4]> {
        let height = u64::from(self.height);
        let mut edges: Option<[u64; 4]> = None;
        let mut start = 0u64;
        for (index, count) in self.counts.iter().enumerate() {
            let end = start + u64::from(*count);
            if index % 2 == 1 && end > start {
                let (first, last) = (start / height, (end - 1) / height);
                // A run over a column's end covers the whole height between its columns.
                let (top, bottom) = if first == last { (start % height, (end - 1) % height + 1) } else { (0, height) };
                let [l, t, r, b] = edges.unwrap_or([first, top, last + 1, bottom]);
                edges = Some([l.min(first), t.min(top), r.max(last + 1), b.max(bottom)]);
            }
            start = end;
        }
        edges.map(|edges| edges.map(|edge| edge as u32))
    }

    /// COCO's compressed counts (cocoapi, `rleToString`).
    pub fn compressed(&self) -> String {
        let mut text = String::new();
        for (index, count) in self.counts.iter().enumerate() {
            let mut value = i64::from(*count);
            if index > 2 {
                value -= i64::from(self.counts[index - 2]);
            }
            loop {
                let bits = (value & 0x1f) as u8;
                value >>= 5;
                let more = if bits & 0x10 != 0 { value != -1 } else { value != 0 };
                text.push(char::from(48 + bits + if more { 0x20 } else { 0 }));
                if !more {
                    break;
                }
            }
        }
        text
    }

    /// Dice coefficient with a mask of the same size: 1 when both are empty; `None` when the sizes differ.
    pub fn dice(&self, other: &RleMask) -> Option<f64> {
        if (self.width, self.height) != (other.width, other.height) {
            return None;
        }
        let total = self.area() + other.area();
        let both = self.to_rows().iter().zip(other.to_rows()).filter(|(one, two)| **one && *two).count();
        Some(if total == 0 { 1.0 } else { 2.0 * both as f64 / total as f64 })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    size: [u32; 2],
    counts: String,
}

impl Serialize for RleMask {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Written { size: [self.height, self.width], counts: self.compressed() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RleMask {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RleMask, D::Error> {
        let Written { size: [height, width], counts } = Written::deserialize(deserializer)?;
        RleMask::from_compressed(width, height, &counts).map_err(D::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn mask(rows: &[&str]) -> RleMask {
        let inside: Vec<bool> = rows.iter().flat_map(|row| row.bytes().map(|byte| byte == b'#')).collect();
        RleMask::from_rows(rows[0].len() as u32, rows.len() as u32, &inside).unwrap()
    }

    #[test]
    fn runs_go_down_the_columns_and_come_back() {
        let mask = mask(&["..#", ".##"]);
        assert_eq!(mask.counts, [3, 3]);
        assert_eq!((mask.area(), mask.bounds()), (3, Some([1, 0, 3, 2])));
        assert_eq!(RleMask::from_rows(3, 2, &mask.to_rows()).unwrap(), mask);
        let read: RleMask = serde_json::from_str(&serde_json::to_string(&mask).unwrap()).unwrap();
        assert_eq!(read, mask);
    }

    #[test]
    fn compressed_counts_equal_those_of_the_reference() {
        // Written by pycocotools 2.0.11: encode() and frPyObjects().
        let square = mask(&["....", ".##.", ".##.", "...."]);
        assert_eq!(square.counts, [5, 2, 2, 2, 5]);
        assert_eq!(square.compressed(), "52203");
        let large = RleMask::from_counts(100, 100, vec![1234, 56, 7000, 78, 1632]).unwrap();
        assert_eq!(large.compressed(), "bV1h1hj6f0XhJ");
        assert_eq!(RleMask::from_compressed(100, 100, "bV1h1hj6f0XhJ").unwrap(), large);
        let holes = RleMask::from_compressed(7, 9, "27200KO213007JO").unwrap();
        assert_eq!((holes.area(), holes.bounds()), (35, Some([0, 0, 7, 9])));
        assert!(!holes.to_rows()[4 * 7 + 2] && holes.to_rows()[4 * 7 + 3] && holes.to_rows()[6]);
    }

    #[test]
    fn wrong_counts_are_refused() {
        assert!(RleMask::from_counts(2, 2, vec![1, 1]).unwrap_err().contains("cover 2 pixels"));
        assert!(RleMask::from_counts(0, 2, vec![]).is_err());
        assert!(RleMask::from_compressed(2, 2, "ooooooooooooooo").is_err());
        assert!(RleMask::from_compressed(2, 2, "\u{1}").is_err());
        assert!(RleMask::from_compressed(4, 4, "5").is_err());
    }

    #[test]
    fn dice_is_the_share_of_what_is_common() {
        let (left, right) = (mask(&["##.", "..."]), mask(&[".##", "..."]));
        assert_eq!(left.dice(&right), Some(0.5));
        assert_eq!(left.dice(&mask(&["#"])), None);
        assert_eq!(mask(&["."]).dice(&mask(&["."])), Some(1.0));
    }
}
