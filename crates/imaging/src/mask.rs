//! A drawn region: which pixels belong to it, its box and its parts.

use crate::error::{Error, Result};
use crate::gate;
use crate::limits::Limits;
use crate::raster;
use std::path::Path;

/// Which pixels of a picture belong to something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// One entry a pixel, row by row from the top left.
    pub inside: Vec<bool>,
}

/// Pixel edges; `right` and `bottom` are the first column and row outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelBox {
    /// First column inside.
    pub left: u32,
    /// First row inside.
    pub top: u32,
    /// First column to the right of the box.
    pub right: u32,
    /// First row below the box.
    pub bottom: u32,
}

impl PixelBox {
    /// Pixels across.
    pub fn width(&self) -> u32 {
        self.right - self.left
    }

    /// Pixels down.
    pub fn height(&self) -> u32 {
        self.bottom - self.top
    }

    fn around(x: u32, y: u32) -> PixelBox {
        PixelBox { left: x, top: y, right: x + 1, bottom: y + 1 }
    }

    fn include(&mut self, x: u32, y: u32) {
        self.left = self.left.min(x);
        self.top = self.top.min(y);
        self.right = self.right.max(x + 1);
        self.bottom = self.bottom.max(y + 1);
    }
}

/// One connected part of a mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Component {
    /// Its tight box.
    pub bounds: PixelBox,
    /// Its area.
    pub num_pixels: usize,
}

impl Mask {
    /// Pixels inside.
    pub fn num_pixels(&self) -> usize {
        self.inside.iter().filter(|inside| **inside).count()
    }

    /// The smallest box around all pixels inside; `None` for an empty mask.
    pub fn tight_box(&self) -> Option<PixelBox> {
        let mut bounds: Option<PixelBox> = None;
        for index in (0..self.inside.len()).filter(|index| self.inside[*index]) {
            let [x, y] = self.place(index);
            bounds.get_or_insert(PixelBox::around(x, y)).include(x, y);
        }
        bounds
    }

    /// The connected parts (pixels touch at sides or corners), in the order of their first pixel from the top left.
    pub fn components(&self) -> Vec<Component> {
        let mut seen = vec![false; self.inside.len()];
        let mut components = Vec::new();
        let mut waiting = Vec::new();
        for start in 0..self.inside.len() {
            if !self.inside[start] || seen[start] {
                continue;
            }
            let [x, y] = self.place(start);
            let mut component = Component { bounds: PixelBox::around(x, y), num_pixels: 0 };
            seen[start] = true;
            waiting.push(start);
            while let Some(index) = waiting.pop() {
                let [x, y] = self.place(index);
                component.bounds.include(x, y);
                component.num_pixels += 1;
                for neighbour in self.neighbours(x, y) {
                    if self.inside[neighbour] && !seen[neighbour] {
                        seen[neighbour] = true;
                        waiting.push(neighbour);
                    }
                }
            }
            components.push(component);
        }
        components
    }

    fn place(&self, index: usize) -> [u32; 2] {
        let width = self.width as usize;
        [(index % width) as u32, (index / width) as u32]
    }

    fn neighbours(&self, x: u32, y: u32) -> impl Iterator<Item = usize> + use<> {
        let width = self.width as usize;
        let rows = y.saturating_sub(1)..=(y + 1).min(self.height - 1);
        let columns = x.saturating_sub(1)..=(x + 1).min(self.width - 1);
        rows.flat_map(move |row| columns.clone().map(move |column| row as usize * width + column as usize))
    }
}

/// Reads a mask picture: inside is what is brighter than the middle of its range (JPEG masks have soft edges). A picture
/// whose values are only 0 and 1 is inside where it is 1.
pub fn read_mask(path: &Path, limits: &Limits) -> Result<Mask> {
    gate::check(path, limits)?;
    let bytes = std::fs::read(path).map_err(|source| Error::io(path, source))?;
    from_bytes(path, &bytes, limits)
}

/// As [`read_mask`], from the file's bytes.
pub(crate) fn from_bytes(path: &Path, bytes: &[u8], limits: &Limits) -> Result<Mask> {
    let grey = raster::decode_grey(path, bytes, limits)?;
    let brightest = grey.values.iter().copied().max().unwrap_or(0);
    let threshold = match brightest {
        0..=1 => 0,
        2..=255 => 127,
        _ => 127 * 257,
    };
    let inside = grey.values.iter().map(|value| *value > threshold).collect();
    Ok(Mask { width: grey.width, height: grey.height, inside })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(rows: &[&str]) -> Mask {
        let inside = rows.iter().flat_map(|row| row.bytes().map(|byte| byte == b'#')).collect();
        Mask { width: rows[0].len() as u32, height: rows.len() as u32, inside }
    }

    #[test]
    fn parts_that_touch_at_a_corner_are_one() {
        let mask = mask(&["#...#", ".#..#", "....."]);
        let components = mask.components();
        assert_eq!(components.len(), 2);
        assert_eq!(
            components[0],
            Component { bounds: PixelBox { left: 0, top: 0, right: 2, bottom: 2 }, num_pixels: 2 }
        );
        assert_eq!(components[1].bounds, PixelBox { left: 4, top: 0, right: 5, bottom: 2 });
        assert_eq!(mask.tight_box(), Some(PixelBox { left: 0, top: 0, right: 5, bottom: 2 }));
        assert_eq!(mask.num_pixels(), 4);
    }

    #[test]
    fn empty_mask_has_no_box() {
        assert_eq!(mask(&["...", "..."]).tight_box(), None);
        assert!(mask(&["..."]).components().is_empty());
    }
}
