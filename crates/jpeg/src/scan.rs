//! Scans: entropy-coded blocks to samples. Sequential blocks are transformed at once; progressive ones are collected first.

use crate::bits::{BitReader, HuffmanTable};
use crate::error::{Error, Result};
use crate::frame::Planes;
use crate::header::{
    Frame, Header, NATURAL_ORDER, ScanComponent, ScanHeader, Segment, Tables, next_marker, read_segments,
};
use crate::idct::Sample;

/// More scans than any encoder writes: each may cost a walk over the whole picture and take a few bytes only.
const MAX_SCANS: usize = 500;

/// Decodes all scans into planes of samples.
pub(crate) fn decode<S: Sample>(header: &Header, bytes: &[u8]) -> Result<Planes<S>> {
    let mut decoder = Decoder::new(&header.frame);
    let mut tables = header.tables.clone();
    let (mut scan, mut at) = (header.first_scan.clone(), header.data_start);
    for _ in 0..MAX_SCANS {
        decoder.keep_steps(&scan, &tables)?;
        at = decoder.scan(&scan, &tables, bytes, at)?;
        if decoder.is_complete() {
            // What follows does not matter, but something must: a file without its end is refused, as Pillow does.
            next_marker(bytes, at)?;
            return Ok(decoder.planes);
        }
        let mut frame = Some(header.frame.clone());
        match read_segments(bytes, at, &mut tables, &mut frame)? {
            Segment::Scan(next, data_start) => (scan, at) = (next, data_start),
            Segment::End => return decoder.finish(),
        }
    }
    Err(Error::Damaged("it has more scans than any encoder writes"))
}

/// What is known of a component so far.
#[derive(Debug)]
struct Progress {
    /// Quantisation steps, as they stood when its first scan began.
    steps: Option<[u16; 64]>,
    /// Quantised coefficients in natural order, block by block; progressive frames only.
    coefficients: Vec<[i16; 64]>,
    /// For each coefficient in zigzag order the lowest bit known; `None` before its first scan.
    known: [Option<u8>; 64],
}

struct Decoder<'a, S> {
    frame: &'a Frame,
    planes: Planes<S>,
    progress: Vec<Progress>,
}

impl<'a, S: Sample> Decoder<'a, S> {
    fn new(frame: &'a Frame) -> Decoder<'a, S> {
        let planes = Planes::<S>::new(frame);
        let progress = planes.components.iter().map(|plane| {
            let num_blocks =
                if frame.is_progressive() { plane.shape.padded_across * plane.shape.padded_down } else { 0 };
            Progress { steps: None, coefficients: vec![[0; 64]; num_blocks], known: [None; 64] }
        });
        Decoder { frame, progress: progress.collect(), planes }
    }

    /// Sequential frames are complete when each component had its scan. Progressive ones may always be refined.
    fn is_complete(&self) -> bool {
        !self.frame.is_progressive() && self.progress.iter().all(|progress| progress.known[0].is_some())
    }

    fn keep_steps(&mut self, scan: &ScanHeader, tables: &Tables) -> Result<()> {
        for component in &scan.components {
            let progress = &mut self.progress[component.index];
            if progress.steps.is_none() {
                let table = tables.quantisation[self.frame.components[component.index].quantisation];
                progress.steps = Some(table.ok_or(Error::Damaged("a quantisation table is missing"))?);
            }
        }
        Ok(())
    }

    /// Decodes one scan; gives the place after it.
    fn scan(&mut self, scan: &ScanHeader, tables: &Tables, bytes: &[u8], at: usize) -> Result<usize> {
        let mut state = ScanState::new(scan, tables, BitReader::new(bytes, at))?;
        if let [component] = scan.components[..] {
            let shape = self.planes.components[component.index].shape.clone();
            for row in 0..shape.blocks_down {
                for column in 0..shape.blocks_across {
                    state.begin_mcu()?;
                    self.block(&mut state, 0, component, column, row)?;
                }
            }
        } else {
            self.interleaved(&mut state, scan)?;
        }
        for component in &scan.components {
            let known = &mut self.progress[component.index].known[scan.first..=scan.last];
            known.fill(Some(scan.low));
        }
        Ok(state.reader.position())
    }

    /// A scan of several components: MCU by MCU, in each every component's blocks.
    fn interleaved(&mut self, state: &mut ScanState, scan: &ScanHeader) -> Result<()> {
        let sampling = |component: &ScanComponent| &self.frame.components[component.index];
        // A.2.3: more blocks in an MCU are not allowed, and no decoder reads them.
        if scan.components.iter().map(|component| sampling(component).across * sampling(component).down).sum::<usize>()
            > 10
        {
            return Err(Error::Damaged("an MCU has more than ten blocks"));
        }
        let mcus_across = usize::from(self.frame.width).div_ceil(8 * self.frame.max_across());
        let mcus_down = usize::from(self.frame.height).div_ceil(8 * self.frame.max_down());
        for mcu_row in 0..mcus_down {
            for mcu_column in 0..mcus_across {
                state.begin_mcu()?;
                for (place, component) in scan.components.iter().enumerate() {
                    let (across, down) =
                        (self.frame.components[component.index].across, self.frame.components[component.index].down);
                    for row in mcu_row * down..(mcu_row + 1) * down {
                        for column in mcu_column * across..(mcu_column + 1) * across {
                            self.block(state, place, *component, column, row)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Decodes one block.
    fn block(
        &mut self,
        state: &mut ScanState,
        place: usize,
        component: ScanComponent,
        column: usize,
        row: usize,
    ) -> Result<()> {
        let plane = &mut self.planes.components[component.index];
        let progress = &mut self.progress[component.index];
        if self.frame.is_progressive() {
            let block = &mut progress.coefficients[row * plane.shape.padded_across + column];
            return state.progressive_block(place, block);
        }
        let mut block = [0; 64];
        state.sequential_block(place, &mut block)?;
        let steps = progress.steps.as_ref().ok_or(Error::Damaged("a quantisation table is missing"))?;
        plane.put(column, row, &block, steps);
        Ok(())
    }

    /// Transforms what progressive scans have collected.
    fn finish(mut self) -> Result<Planes<S>> {
        for (plane, progress) in self.planes.components.iter_mut().zip(&self.progress) {
            let steps = progress.steps.as_ref().ok_or(Error::Damaged("a component has no scan"))?;
            // libjpeg smooths over coefficients that it waits for; a finished file has them all.
            if progress.known.iter().take(10).any(|bit| *bit != Some(0)) {
                return Err(Error::Damaged("scans with the detail of the picture are missing; copy the file again"));
            }
            for (index, block) in progress.coefficients.iter().enumerate() {
                let (row, column) = (index / plane.shape.padded_across, index % plane.shape.padded_across);
                plane.put(column, row, block, steps);
            }
        }
        Ok(self.planes)
    }
}

/// The state of one scan.
struct ScanState<'a> {
    reader: BitReader<'a>,
    header: &'a ScanHeader,
    /// Per component of the scan; only those that the scan's coefficients need.
    dc: Vec<Option<&'a HuffmanTable>>,
    ac: Vec<Option<&'a HuffmanTable>>,
    /// The last mean of each component of the scan.
    predictions: Vec<i32>,
    /// Blocks that still have nothing in this band.
    end_of_band_run: u32,
    restart_interval: usize,
    mcus_to_restart: usize,
    next_restart: u8,
}

impl<'a> ScanState<'a> {
    fn new(header: &'a ScanHeader, tables: &'a Tables, reader: BitReader<'a>) -> Result<ScanState<'a>> {
        let needs_dc = header.first == 0 && header.high == 0;
        let needs_ac = header.last > 0;
        let (mut dc, mut ac) = (Vec::new(), Vec::new());
        for component in &header.components {
            let missing = Error::Damaged("a Huffman table is missing");
            let dc_table = tables.dc[component.dc].as_ref().filter(|_| needs_dc);
            if needs_dc && !dc_table.ok_or(missing.clone())?.fits_differences(15) {
                return Err(Error::Damaged("a Huffman table is not possible"));
            }
            let ac_table = tables.ac[component.ac].as_ref().filter(|_| needs_ac);
            if needs_ac && ac_table.is_none() {
                return Err(missing);
            }
            dc.push(dc_table);
            ac.push(ac_table);
        }
        Ok(ScanState {
            reader,
            header,
            dc,
            ac,
            predictions: vec![0; header.components.len()],
            end_of_band_run: 0,
            restart_interval: tables.restart_interval,
            mcus_to_restart: tables.restart_interval,
            next_restart: 0,
        })
    }

    /// Passes over a restart marker where one is due.
    fn begin_mcu(&mut self) -> Result<()> {
        if self.restart_interval == 0 {
            return Ok(());
        }
        if self.mcus_to_restart == 0 {
            self.reader.restart(self.next_restart)?;
            self.next_restart = (self.next_restart + 1) % 8;
            self.mcus_to_restart = self.restart_interval;
            self.predictions.fill(0);
            self.end_of_band_run = 0;
        }
        self.mcus_to_restart -= 1;
        Ok(())
    }

    fn mean(&mut self, place: usize) -> Result<i32> {
        let table = self.dc[place].ok_or(Error::Damaged("a Huffman table is missing"))?;
        let count = self.reader.symbol(table)?;
        let difference = self.reader.signed(u32::from(count))?;
        self.predictions[place] = self.predictions[place].wrapping_add(difference);
        Ok(self.predictions[place])
    }

    /// A whole block (F.2.2).
    fn sequential_block(&mut self, place: usize, block: &mut [i16; 64]) -> Result<()> {
        block[0] = self.mean(place)? as i16;
        let table = self.ac[place].ok_or(Error::Damaged("a Huffman table is missing"))?;
        let mut index = 1;
        while index < 64 {
            let symbol = self.reader.symbol(table)?;
            let (run, count) = (usize::from(symbol >> 4), u32::from(symbol & 15));
            if count == 0 {
                if run != 15 {
                    break;
                }
                index += 16;
                continue;
            }
            index += run;
            let value = self.reader.signed(count)?;
            block[natural(index)?] = value as i16;
            index += 1;
        }
        Ok(())
    }

    fn progressive_block(&mut self, place: usize, block: &mut [i16; 64]) -> Result<()> {
        let low = self.header.low;
        match (self.header.first, self.header.high) {
            (0, 0) => block[0] = (self.mean(place)? << low) as i16,
            (0, _) => block[0] |= (self.reader.bits(1)? << low) as i16,
            (_, 0) => self.first_band(place, block)?,
            _ => self.refine_band(place, block)?,
        }
        Ok(())
    }

    /// The number of blocks after this one whose band is empty (G.1.2.2).
    fn empty_run(&mut self, log: u32) -> Result<u32> {
        Ok((1 << log) + self.reader.bits(log)? - 1)
    }

    /// First bits of a band of coefficients (G.1.2.2).
    fn first_band(&mut self, place: usize, block: &mut [i16; 64]) -> Result<()> {
        if self.end_of_band_run > 0 {
            self.end_of_band_run -= 1;
            return Ok(());
        }
        let table = self.ac[place].ok_or(Error::Damaged("a Huffman table is missing"))?;
        let mut index = self.header.first;
        while index <= self.header.last {
            let symbol = self.reader.symbol(table)?;
            let (run, count) = (usize::from(symbol >> 4), u32::from(symbol & 15));
            if count == 0 && run != 15 {
                self.end_of_band_run = self.empty_run(run as u32)?;
                break;
            }
            index += run;
            if count > 0 {
                let value = self.reader.signed(count)?;
                block[natural(index)?] = (value << self.header.low) as i16;
            }
            index += 1;
        }
        Ok(())
    }

    /// One more bit of a band (G.1.2.3): new coefficients appear, known ones get a correction bit.
    fn refine_band(&mut self, place: usize, block: &mut [i16; 64]) -> Result<()> {
        let table = self.ac[place].ok_or(Error::Damaged("a Huffman table is missing"))?;
        let bit = 1i16 << self.header.low;
        let last = self.header.last;
        let mut index = self.header.first;
        if self.end_of_band_run == 0 {
            while index <= last {
                let symbol = self.reader.symbol(table)?;
                let (mut zeros_to_skip, count) = (u32::from(symbol >> 4), symbol & 15);
                let mut value = 0;
                if count != 0 {
                    // Its size is 1; anything else is taken for it, as libjpeg does.
                    value = if self.reader.bits(1)? == 1 { bit } else { -bit };
                } else if zeros_to_skip != 15 {
                    // This block is the first of the run: its known coefficients are corrected below.
                    self.end_of_band_run = self.empty_run(zeros_to_skip)? + 1;
                    break;
                }
                while index <= last {
                    let coefficient = &mut block[natural(index)?];
                    if *coefficient != 0 {
                        correct(&mut self.reader, coefficient, bit)?;
                    } else if zeros_to_skip == 0 {
                        break;
                    } else {
                        zeros_to_skip -= 1;
                    }
                    index += 1;
                }
                if value != 0 {
                    block[natural(index)?] = value;
                }
                index += 1;
            }
        }
        if self.end_of_band_run > 0 {
            for index in index..=last {
                let coefficient = &mut block[natural(index)?];
                if *coefficient != 0 {
                    correct(&mut self.reader, coefficient, bit)?;
                }
            }
            self.end_of_band_run -= 1;
        }
        Ok(())
    }
}

/// Reads the correction bit of a coefficient that is not 0.
fn correct(reader: &mut BitReader, coefficient: &mut i16, bit: i16) -> Result<()> {
    if reader.bits(1)? == 1 && *coefficient & bit == 0 {
        *coefficient = coefficient.wrapping_add(if *coefficient >= 0 { bit } else { -bit });
    }
    Ok(())
}

fn natural(index: usize) -> Result<usize> {
    NATURAL_ORDER.get(index).map(|place| usize::from(*place)).ok_or_else(too_long)
}

#[cold]
fn too_long() -> Error {
    Error::Damaged("a block has more than 64 coefficients; the file is damaged")
}
