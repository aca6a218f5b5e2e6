//! One scan: regular mode, run mode, and how components take turns (T.87 A.4 to A.8, B).

use super::Interleave;
use super::bits::BitReader;
use super::contexts::{Coding, Contexts, Neighbours};
use crate::error::Result;

/// Log of the length of runs, by run index (A.7.1.1).
const RUN_LOGS: [u32; 32] =
    [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// All that a scan is decoded by.
pub(super) struct Scan {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) bits: u8,
    /// Components of the frame.
    pub(super) channels: usize,
    /// Those of this scan.
    pub(super) components: Vec<usize>,
    pub(super) interleave: Interleave,
    pub(super) coding: Coding,
    /// Lines between restart markers; 0 without.
    pub(super) restart_lines: usize,
}

/// The line that is decoded and the one above; a sample of padding on either side.
struct Lines {
    above: Vec<i32>,
    current: Vec<i32>,
    run_index: usize,
}

impl Lines {
    fn new(width: usize) -> Lines {
        Lines { above: vec![0; width + 2], current: vec![0; width + 2], run_index: 0 }
    }

    /// A.2.1: left of a line lies what stands above it, right of it what stands left of that.
    fn begin(&mut self) {
        let last = self.above.len() - 1;
        self.above[last] = self.above[last - 1];
        self.current[0] = self.above[1];
    }

    /// Around the sample at `place`, counted from 1.
    #[inline]
    fn neighbours(&self, place: usize) -> Neighbours {
        Neighbours {
            left: self.current[place - 1],
            up: self.above[place],
            corner: self.above[place - 1],
            beyond: self.above[place + 1],
        }
    }
}

struct Decoder<'a> {
    coding: &'a Coding,
    contexts: Contexts,
    reader: BitReader<'a>,
}

/// Decodes a scan from `at` on into its channels of `values`; gives the place after it.
pub(super) fn decode_scan(scan: &Scan, bytes: &[u8], at: usize, values: &mut Vec<u16>) -> Result<usize> {
    let new_contexts = Contexts::new(&scan.coding);
    let mut decoder =
        Decoder { coding: &scan.coding, contexts: new_contexts.clone(), reader: BitReader::new(bytes, at) };
    let new_lines = || scan.components.iter().map(|_| Lines::new(scan.width)).collect::<Vec<_>>();
    let mut lines = new_lines();
    let mut next_restart = 0;
    for row in 0..scan.height {
        if scan.restart_lines > 0 && row > 0 && row.is_multiple_of(scan.restart_lines) {
            decoder.reader.restart(next_restart)?;
            next_restart = (next_restart + 1) % 8;
            decoder.contexts = new_contexts.clone();
            lines = new_lines();
        }
        lines.iter_mut().for_each(Lines::begin);
        if scan.interleave == Interleave::Sample {
            decoder.pixels(&mut lines, scan.width)?;
        } else {
            for line in &mut lines {
                decoder.line(line, scan.width)?;
            }
        }
        // Grows with what was decoded: a header alone must not take memory.
        let row_samples = scan.width * scan.channels;
        if values.len() < (row + 1) * row_samples {
            values.resize((row + 1) * row_samples, 0);
        }
        for (channel, line) in scan.components.iter().zip(&mut lines) {
            let row = values[row * row_samples..].iter_mut().skip(*channel).step_by(scan.channels);
            for (value, sample) in row.zip(&line.current[1..=scan.width]) {
                *value = *sample as u16;
            }
            std::mem::swap(&mut line.above, &mut line.current);
        }
    }
    Ok(decoder.reader.position())
}

impl Decoder<'_> {
    /// A line of one component.
    fn line(&mut self, line: &mut Lines, width: usize) -> Result<()> {
        let mut place = 1;
        while place <= width {
            let near = line.neighbours(place);
            let context = self.coding.context(near);
            if context != 0 {
                line.current[place] = self.regular(near, context)?;
                place += 1;
                continue;
            }
            let (length, is_interrupted) = self.run(&mut line.run_index, width + 1 - place)?;
            line.current[place..place + length].fill(near.left);
            place += length;
            if is_interrupted {
                let (left, up) = (near.left, line.above[place]);
                let kind = usize::from((left - up).abs() <= self.coding.near);
                let error = self.run_error(kind, line.run_index)?;
                line.current[place] = match kind {
                    1 => self.coding.sample(left, error),
                    _ => self.coding.sample(up, if left > up { -error } else { error }),
                };
                line.run_index = line.run_index.saturating_sub(1);
                place += 1;
            }
        }
        Ok(())
    }

    /// A line of all components, sample by sample: runs are of whole pixels.
    fn pixels(&mut self, lines: &mut [Lines], width: usize) -> Result<()> {
        let mut place = 1;
        while place <= width {
            let contexts: Vec<i32> = lines.iter().map(|line| self.coding.context(line.neighbours(place))).collect();
            if contexts.iter().any(|context| *context != 0) {
                for (line, context) in lines.iter_mut().zip(contexts) {
                    line.current[place] = self.regular(line.neighbours(place), context)?;
                }
                place += 1;
                continue;
            }
            let (length, is_interrupted) = self.run(&mut lines[0].run_index, width + 1 - place)?;
            for line in lines.iter_mut() {
                let left = line.current[place - 1];
                line.current[place..place + length].fill(left);
            }
            place += length;
            if is_interrupted {
                let run_index = lines[0].run_index;
                for line in lines.iter_mut() {
                    let (left, up) = (line.current[place - 1], line.above[place]);
                    let error = self.run_error(0, run_index)?;
                    line.current[place] = self.coding.sample(up, if left > up { -error } else { error });
                }
                lines[0].run_index = run_index.saturating_sub(1);
                place += 1;
            }
        }
        Ok(())
    }

    /// One sample by its context (A.4 to A.6).
    #[inline]
    fn regular(&mut self, near: Neighbours, context: i32) -> Result<i32> {
        let sign = if context < 0 { -1 } else { 1 };
        let entry = &mut self.contexts.regular[context.unsigned_abs() as usize];
        let golomb = entry.golomb();
        let prediction = (near.median() + sign * entry.correction).clamp(0, self.coding.max_value);
        let code = golomb_code(&mut self.reader, self.coding, golomb, self.coding.limit)?;
        let half = code >> 1;
        let is_mirrored = self.coding.near == 0 && golomb == 0 && entry.is_mirrored();
        // A.5.2: even codes are errors 0, 1, ..., odd ones -1, -2, ...; mirrored, the other way round.
        let error = match (code & 1 == 1, is_mirrored) {
            (false, false) => half,
            (true, false) => -half - 1,
            (true, true) => half,
            (false, true) => -half - 1,
        };
        entry.learn(self.coding, error);
        Ok(self.coding.sample(prediction, sign * error))
    }

    /// Length of a run of at most `most` samples, and whether another sample interrupts it before the line ends (A.7.1).
    fn run(&mut self, run_index: &mut usize, most: usize) -> Result<(usize, bool)> {
        let mut length = 0;
        while self.reader.bits(1)? == 1 {
            let step = 1 << RUN_LOGS[*run_index];
            if length + step > most {
                return Ok((most, false));
            }
            length += step;
            *run_index = (*run_index + 1).min(31);
            if length == most {
                return Ok((most, false));
            }
        }
        length += self.reader.bits(RUN_LOGS[*run_index])? as usize;
        if length >= most {
            return Err(crate::Error::Damaged("a run goes beyond its line"));
        }
        Ok((length, true))
    }

    /// The prediction error of the sample that ends a run (A.7.2).
    fn run_error(&mut self, kind: usize, run_index: usize) -> Result<i32> {
        let context = &mut self.contexts.run[kind];
        let golomb = context.golomb();
        let limit = self.coding.limit - RUN_LOGS[run_index] - 1;
        let code = golomb_code(&mut self.reader, self.coding, golomb, limit)?;
        Ok(context.error(self.coding, code, golomb))
    }
}

/// A Golomb code of limited length (A.5.3).
#[inline]
fn golomb_code(reader: &mut BitReader<'_>, coding: &Coding, golomb: u32, limit: u32) -> Result<i32> {
    let most = limit.saturating_sub(coding.error_bits + 1);
    let zeros = reader.zeros(most)?;
    if zeros < most {
        // A damaged file may ask for more than any error: later sums must not overflow.
        let code = i64::from(zeros) << golomb | i64::from(reader.bits(golomb)?);
        return i32::try_from(code)
            .ok()
            .filter(|code| *code <= 1 << 20)
            .ok_or(crate::Error::Damaged("it holds an unknown code"));
    }
    Ok(reader.bits(coding.error_bits)? as i32 + 1)
}
