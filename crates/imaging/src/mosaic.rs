//! Siemens mosaics: the slices of a volume side by side in one picture. Their number and direction stand in the maker's own elements,
//! "CSA headers", as dcm2niix and nibabel read them.

use crate::data_set::{Attributes, DicomFile};
use crate::error::Result;
use crate::grey::{Rescale, padding};
use crate::limits::Limits;
use crate::orient::{self, Affine, Stored};
use crate::pixels::{Frames, Layout};
use crate::stack::SliceGeometry;
use crate::volume::Volume;
use dicom_core::Tag;
use dicom_dictionary_std::tags;

/// NumberOfImagesInMosaic in the elements of the series.
const NUMBER_OF_IMAGES: Tag = Tag(0x0019, 0x100A);
/// CSA header of the image.
const CSA_IMAGE_HEADER: Tag = Tag(0x0029, 0x1010);
/// More than any sequence makes.
const MAX_SLICES: usize = 4096;
/// More elements than any CSA header has.
const MAX_CSA_ELEMENTS: u32 = 1024;

/// How a mosaic is cut.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mosaic {
    slices: usize,
    /// Slices side by side.
    across: usize,
    /// Columns and rows of a slice.
    size: [usize; 2],
    affine: Affine,
}

/// Whether a file says that it is a mosaic.
pub(crate) fn is_mosaic(root: &Attributes<'_>) -> bool {
    root.text(tags::IMAGE_TYPE).is_some_and(|text| text.split('\\').any(|part| part == "MOSAIC"))
}

impl Mosaic {
    /// What the file says; the error tells in words why its slices cannot be found.
    pub(crate) fn read(root: &Attributes<'_>, layout: &Layout) -> std::result::Result<Mosaic, &'static str> {
        let csa = root.bytes(CSA_IMAGE_HEADER).unwrap_or_default();
        let number = |name: &str| csa_values(csa, name)?.first().map(|number| *number as usize);
        let slices = number("NumberOfImagesInMosaic").or_else(|| root.short(NUMBER_OF_IMAGES).map(usize::from));
        let slices = slices.filter(|count| (1..=MAX_SLICES).contains(count)).ok_or("their number is not given")?;
        let across = (1..).find(|across| across * across >= slices).ok_or("their number is not given")?;
        let (columns, rows) = (usize::from(layout.columns), usize::from(layout.rows));
        if !columns.is_multiple_of(across) || !rows.is_multiple_of(across) {
            return Err("rows and columns cannot be divided");
        }
        let size = [columns / across, rows / across];
        let geometry = SliceGeometry::read(root, root, root).ok_or("position, orientation or spacing is missing")?;
        let normal = csa_values(csa, "SliceNormalVector").and_then(|normal| <[f64; 3]>::try_from(normal).ok());
        let normal = normal.unwrap_or_else(|| geometry.normal());
        let step = geometry.thickness.filter(|step| *step > 0.0).ok_or("the distance of slices is missing")?;
        // The position is that of a picture of the mosaic's size around the same centre.
        let shift = [(columns - size[0]) as f64 / 2.0, (rows - size[1]) as f64 / 2.0];
        let mut affine = [[0.0; 4]; 3];
        for (axis, line) in affine.iter_mut().enumerate() {
            let sign = if axis < 2 { -1.0 } else { 1.0 };
            let (along_row, along_column) =
                (geometry.row[axis] * geometry.spacing[0], geometry.column[axis] * geometry.spacing[1]);
            let start = geometry.position[axis] + along_row * shift[0] + along_column * shift[1];
            *line = [sign * along_row, sign * along_column, sign * normal[axis] * step, sign * start];
        }
        Ok(Mosaic { slices, across, size, affine })
    }

    /// Cuts the picture into its slices.
    pub(crate) fn volume(&self, file: &DicomFile, frames: &Frames<'_>, limits: &Limits) -> Result<Volume> {
        let [columns, rows] = self.size;
        let count = limits.check_voxels(&file.path, [columns, rows, self.slices])?;
        let mut picture = frames.grey(0)?;
        let rescale = Rescale::read(file, &frames.layout, 0)?;
        rescale.apply(&mut picture);
        let stride = columns * self.across;
        let mut values = Vec::with_capacity(count);
        for slice in 0..self.slices {
            let corner = slice / self.across * rows * stride + slice % self.across * columns;
            for row in 0..rows {
                values.extend_from_slice(&picture[corner + row * stride..][..columns]);
            }
        }
        let dims = [columns, rows, self.slices];
        let ras = orient::to_ras(&file.path, Stored { dims, affine: self.affine, values })?;
        Ok(Volume { padding: padding(&file.root(), &frames.layout, &rescale), ..Volume::from_ras(ras) })
    }
}

/// The numbers of a named element in a CSA header of the second kind; `None` when it is absent or the header is damaged.
fn csa_values(header: &[u8], name: &str) -> Option<Vec<f64>> {
    let word = |at: usize| header.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    if !header.starts_with(b"SV10") {
        return None;
    }
    let count = word(8)?.min(MAX_CSA_ELEMENTS);
    let mut at = 16;
    for _ in 0..count {
        let element_name = header.get(at..at + 64)?;
        let element_name = element_name.split(|byte| *byte == 0).next()?;
        let items = word(at + 76)?.min(MAX_CSA_ELEMENTS);
        at += 84;
        let mut numbers = Vec::new();
        for _ in 0..items {
            let length = word(at + 4)? as usize;
            let text = header.get(at + 16..(at + 16).checked_add(length)?)?;
            let text = String::from_utf8_lossy(text);
            numbers.extend(text.trim_matches(|c: char| c == '\0' || c.is_whitespace()).parse::<f64>().ok());
            at += 16 + length.checked_next_multiple_of(4)?;
        }
        if element_name == name.as_bytes() {
            return Some(numbers.into_iter().filter(|number| number.is_finite()).collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with one element.
    fn header(name: &str, items: &[&str]) -> Vec<u8> {
        let mut bytes = b"SV10\x04\x03\x02\x01".to_vec();
        bytes.extend([1, 0, 0, 0, 77, 0, 0, 0]);
        let mut field = name.as_bytes().to_vec();
        field.resize(64, 0);
        bytes.extend(field);
        for word in [3, u32::from_le_bytes(*b"FD\0\0"), 4, items.len() as u32, 77] {
            bytes.extend(word.to_le_bytes());
        }
        for item in items {
            for word in [0, item.len() as u32, 77, 0] {
                bytes.extend(word.to_le_bytes());
            }
            bytes.extend(item.as_bytes());
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }

    #[test]
    fn numbers_are_found_by_name() {
        let bytes = header("SliceNormalVector", &["0.5 ", "-0.25", "", "1"]);
        assert_eq!(csa_values(&bytes, "SliceNormalVector"), Some(vec![0.5, -0.25, 1.0]));
        assert_eq!(csa_values(&bytes, "NumberOfImagesInMosaic"), None);
    }

    #[test]
    fn damaged_headers_give_nothing() {
        let bytes = header("SliceNormalVector", &["0.5", "1"]);
        for end in 0..bytes.len() {
            let _ = csa_values(&bytes[..end], "SliceNormalVector");
        }
        let mut lying = bytes.clone();
        lying[104..108].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(csa_values(&lying, "SliceNormalVector"), None);
    }
}
