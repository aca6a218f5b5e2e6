//! Palette colour: each stored index looked up in three tables (PS3.3 C.7.6.3.1.5 and .6).

use crate::data_set::DicomFile;
use crate::error::Result;
use crate::lookup::{Table, TableTags};
use crate::pixels::Frames;

/// Frame `frame` as red, green and blue bytes.
pub(crate) fn picture(file: &DicomFile, frames: &Frames<'_>, frame: u32) -> Result<Vec<u8>> {
    let root = file.root();
    let mut tables = Vec::with_capacity(3);
    for place in TableTags::PALETTE {
        let table = Table::read(&root, place, frames.layout.signed);
        tables.push(table.map_err(|(tag, reason)| file.malformed(tag, reason))?);
    }
    // Writers put 8-bit colours into words either way, and the descriptor often lies about it: of all entries the upper byte counts if
    // any of them needs it.
    let shift = if tables.iter().any(|table| table.used_bits() > 8) { 8 } else { 0 };
    let colours: Vec<Vec<u8>> =
        tables.iter().map(|table| table.entries.iter().map(|entry| (entry >> shift) as u8).collect()).collect();
    let indices = frames.grey(frame)?;
    Ok(indices
        .iter()
        .flat_map(|index| [0, 1, 2].map(|channel| colours[channel][tables[channel].place(*index)]))
        .collect())
}
