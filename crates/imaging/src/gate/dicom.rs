//! DICOM headers: the attributes of the image pixel module and the length of the pixel element.

use super::{Header, MAX_HEADER_BYTES};
use crate::data_set::{DicomFile, HEADER_BYTES};
use crate::error::{Error, Result};
use crate::pixels::Layout;
use std::fs::File;
use std::io::{Read, Seek};

/// The voxels that the file promises; 0 when it is no volume.
pub(super) fn voxels(header: &Header, mut file: File) -> Result<u64> {
    let Some(sizes) = read_sizes(header, &mut file)? else { return Ok(0) };
    if let Some(claimed) = sizes.claimed_pixels()
        && claimed.end > header.file_bytes
    {
        let available = header.file_bytes.saturating_sub(claimed.start);
        let (field, needed) = ("PixelData".to_string(), claimed.end - claimed.start);
        return Err(Error::Truncated { path: header.path.into(), field, needed, available });
    }
    match Layout::read(&sizes, header.limits) {
        Ok(layout) if layout.photometric.is_grey() && layout.frames > 1 => {
            let dims = [usize::from(layout.columns), usize::from(layout.rows), layout.frames as usize];
            Ok(header.limits.check_voxels(header.path, dims)? as u64)
        }
        Err(error @ Error::TooLarge { .. }) => Err(error),
        // One picture; or no image, or attributes that do not fit together: the reader says which.
        Ok(_) | Err(_) => Ok(0),
    }
}

/// Reads as much as the header needs: first what nearly all need, then more. `None` when no end of it was found.
fn read_sizes(header: &Header, file: &mut File) -> Result<Option<DicomFile>> {
    let mut length = HEADER_BYTES;
    loop {
        file.rewind().map_err(|source| Error::io(header.path, source))?;
        let mut head = Vec::new();
        file.take(length).read_to_end(&mut head).map_err(|source| Error::io(header.path, source))?;
        if let Ok(sizes) = DicomFile::sizes_from_bytes(header.path, head, header.limits) {
            return Ok(Some(sizes));
        }
        if length >= header.file_bytes.min(MAX_HEADER_BYTES) {
            return Ok(None);
        }
        length *= 16;
    }
}

#[cfg(test)]
mod tests {
    use crate::error::Error;
    use crate::gate::tests::judged;
    use gmai_testkit::hostile;

    #[test]
    fn pixel_element_may_not_claim_more_than_the_file_has() {
        let error = judged(&hostile::dicom_claiming_4_gib());
        assert!(
            matches!(&error, Err(Error::Truncated { field, needed: 0xFFFF_FFF0, available, .. })
                if field == "PixelData" && *available < 288),
            "{error:?}"
        );
    }
}
