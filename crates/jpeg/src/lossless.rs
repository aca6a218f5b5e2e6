//! Lossless frames (ITU T.81 annex H): each sample is the difference to a prediction from its neighbours.

use crate::bits::{BitReader, HuffmanTable};
use crate::error::{Error, Result};
use crate::header::{Frame, Header, ScanHeader, Segment, Tables, next_marker, read_segments};

/// Decodes all scans; the channels of a pixel side by side.
pub(crate) fn decode(header: &Header, bytes: &[u8]) -> Result<Vec<u16>> {
    let frame = &header.frame;
    if frame.components.iter().any(|component| (component.across, component.down) != (1, 1))
        && frame.components.len() > 1
    {
        return Err(Error::Unsupported { what: "JPEG sampling", value: "in a lossless file".to_string() });
    }
    let channels = frame.components.len();
    // Grows row by row: a header alone must not take memory.
    let mut values = Vec::new();
    let mut tables = header.tables.clone();
    let (mut scan, mut at) = (header.first_scan.clone(), header.data_start);
    let mut is_done = vec![false; channels];
    loop {
        at = decode_scan(frame, &scan, &tables, Place { bytes, at }, &mut values)?;
        for component in &scan.components {
            if std::mem::replace(&mut is_done[component.index], true) {
                return Err(Error::Damaged("a component has two scans"));
            }
        }
        if is_done.iter().all(|done| *done) {
            next_marker(bytes, at)?;
            return Ok(values);
        }
        match read_segments(bytes, at, &mut tables, &mut Some(frame.clone()))? {
            Segment::Scan(next, data_start) => (scan, at) = (next, data_start),
            Segment::End => return Err(Error::Damaged("a component has no scan")),
        }
    }
}

/// Where entropy-coded data begins.
struct Place<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Decodes one scan into the channels that it is about; gives the place after it.
fn decode_scan(
    frame: &Frame,
    scan: &ScanHeader,
    tables: &Tables,
    place: Place<'_>,
    values: &mut Vec<u16>,
) -> Result<usize> {
    let (width, channels) = (usize::from(frame.width), frame.components.len());
    let mut state = State::new(frame, scan, tables, BitReader::new(place.bytes, place.at))?;
    let mut above = vec![vec![0u16; width]; scan.components.len()];
    let mut current = above.clone();
    for row in 0..usize::from(frame.height) {
        for column in 0..width {
            state.begin_pixel(column == 0)?;
            for (index, (current, above)) in current.iter_mut().zip(&above).enumerate() {
                let prediction = state.prediction(column, current, above);
                current[column] = prediction.wrapping_add(state.difference(index)?) & state.mask;
            }
        }
        state.is_first_row = false;
        if values.len() < (row + 1) * width * channels {
            values.resize((row + 1) * width * channels, 0);
        }
        let pixels = values[row * width * channels..].chunks_exact_mut(channels);
        for (column, pixel) in pixels.take(width).enumerate() {
            for (component, current) in scan.components.iter().zip(&current) {
                pixel[component.index] = current[column] << scan.low;
            }
        }
        std::mem::swap(&mut above, &mut current);
    }
    Ok(state.reader.position())
}

struct State<'a> {
    reader: BitReader<'a>,
    tables: Vec<&'a HuffmanTable>,
    predictor: usize,
    /// Half of the range: what the first sample is predicted to be.
    start: u16,
    /// Bits that a sample has before the point transform is undone.
    mask: u16,
    /// The first row, of the scan or after a restart: predictions look to the left only.
    is_first_row: bool,
    /// The first sample of the scan or after a restart.
    is_first_sample: bool,
    restart_interval: usize,
    pixels_to_restart: usize,
    next_restart: u8,
}

impl<'a> State<'a> {
    fn new(frame: &Frame, scan: &ScanHeader, tables: &'a Tables, reader: BitReader<'a>) -> Result<State<'a>> {
        let table = |component: &crate::header::ScanComponent| {
            let table = tables.dc[component.dc].as_ref().ok_or(Error::Damaged("a Huffman table is missing"))?;
            let fits = table.fits_differences(16);
            fits.then_some(table).ok_or(Error::Damaged("a Huffman table is not possible"))
        };
        let bits = u32::from(frame.bits - scan.low);
        let width = usize::from(frame.width);
        // H.1.1: the interval is a whole number of rows; the prediction starts anew there.
        if !tables.restart_interval.is_multiple_of(width) {
            let value = format!("of {} samples in rows of {width}", tables.restart_interval);
            return Err(Error::Unsupported { what: "lossless JPEG restart interval", value });
        }
        Ok(State {
            reader,
            tables: scan.components.iter().map(table).collect::<Result<_>>()?,
            predictor: scan.first,
            start: 1 << (bits - 1),
            mask: ((1u32 << bits) - 1) as u16,
            is_first_row: true,
            is_first_sample: true,
            restart_interval: tables.restart_interval,
            pixels_to_restart: tables.restart_interval,
            next_restart: 0,
        })
    }

    fn begin_pixel(&mut self, is_row_start: bool) -> Result<()> {
        self.is_first_sample = self.is_first_row && is_row_start;
        if self.restart_interval == 0 {
            return Ok(());
        }
        if self.pixels_to_restart == 0 {
            self.reader.restart(self.next_restart)?;
            self.next_restart = (self.next_restart + 1) % 8;
            self.pixels_to_restart = self.restart_interval;
            (self.is_first_row, self.is_first_sample) = (true, true);
        }
        self.pixels_to_restart -= 1;
        Ok(())
    }

    /// H.1.2.1 and table H.1.
    #[inline]
    fn prediction(&self, column: usize, current: &[u16], above: &[u16]) -> u16 {
        if self.is_first_sample {
            return self.start;
        }
        if self.is_first_row {
            return current[column - 1];
        }
        if column == 0 {
            return above[0];
        }
        let [left, up, corner] = [current[column - 1], above[column], above[column - 1]].map(i32::from);
        let value = match self.predictor {
            1 => left,
            2 => up,
            3 => corner,
            4 => left + up - corner,
            5 => left + ((up - corner) >> 1),
            6 => up + ((left - corner) >> 1),
            _ => (left + up) >> 1,
        };
        value as u16
    }

    #[inline]
    fn difference(&mut self, index: usize) -> Result<u16> {
        let count = self.reader.symbol(self.tables[index])?;
        // H.1.2.2: sixteen bits stand for the one difference 32768 and are followed by nothing.
        Ok(if count == 16 { 32768 } else { self.reader.signed(u32::from(count))? as u16 })
    }
}
