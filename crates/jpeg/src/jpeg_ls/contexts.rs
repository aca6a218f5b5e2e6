//! Coding parameters, and what the decoder learns while it reads: one set of counters for each context (T.87 A.2 to A.6, C.2.4).

use super::Preset;
use crate::error::{Error, Result};

/// Contexts of the regular mode: 9 x 9 x 9 quantised gradients, of which those that differ by sign are one.
const NUM_REGULAR: usize = 365;
/// Corrections of a prediction stay within these (A.6.2).
const CORRECTIONS: std::ops::RangeInclusive<i32> = -128..=127;

/// What is fixed for one scan.
#[derive(Debug, Clone)]
pub(super) struct Coding {
    /// Largest error of a sample; 0 for lossless.
    pub(super) near: i32,
    pub(super) max_value: i32,
    thresholds: [i32; 3],
    reset: i32,
    /// Number of different prediction errors.
    range: i32,
    /// Bits of a prediction error.
    pub(super) error_bits: u32,
    /// Longest code, in bits.
    pub(super) limit: u32,
}

impl Coding {
    pub(super) fn new(bits: u8, near: u8, preset: Preset) -> Result<Coding> {
        let largest = (1i32 << bits) - 1;
        let max_value = if preset.max_value == 0 { largest } else { i32::from(preset.max_value) };
        let near = i32::from(near);
        if max_value > largest || near > max_value / 2 {
            return Err(Error::Damaged("the largest value or error does not fit the bits of a sample"));
        }
        let mut thresholds = default_thresholds(max_value, near);
        for (threshold, preset) in thresholds.iter_mut().zip(preset.thresholds) {
            if preset != 0 {
                *threshold = i32::from(preset);
            }
        }
        let reset = if preset.reset == 0 { 64 } else { i32::from(preset.reset) };
        let [low, middle, high] = thresholds;
        if !(near < low && low <= middle && middle <= high && high <= max_value) || reset < 3 {
            return Err(Error::Damaged("the coding parameters are not possible"));
        }
        let range = (max_value + 2 * near) / (2 * near + 1) + 1;
        let value_bits = bits_of(max_value + 1).max(2);
        Ok(Coding {
            near,
            max_value,
            thresholds,
            reset,
            range,
            error_bits: bits_of(range),
            limit: 2 * (value_bits + value_bits.max(8)),
        })
    }

    /// Quantised gradient, -4 to 4 (A.3.3).
    #[inline]
    fn quantised(&self, gradient: i32) -> i32 {
        let [low, middle, high] = self.thresholds;
        let size = gradient.abs();
        let level = if size <= self.near {
            0
        } else if size < low {
            1
        } else if size < middle {
            2
        } else if size < high {
            3
        } else {
            4
        };
        if gradient < 0 { -level } else { level }
    }

    /// The number of three gradients' context; its sign tells which of two mirrored ones it is. 0 asks for run mode.
    #[inline]
    pub(super) fn context(&self, near: Neighbours) -> i32 {
        let Neighbours { left, up, corner, beyond } = near;
        81 * self.quantised(beyond - up) + 9 * self.quantised(up - corner) + self.quantised(corner - left)
    }

    /// A sample from its prediction and the (signed) error (A.4.5, A.7.2).
    #[inline]
    pub(super) fn sample(&self, prediction: i32, error: i32) -> i32 {
        let step = 2 * self.near + 1;
        let mut value = prediction + error * step;
        if value < -self.near {
            value += self.range * step;
        } else if value > self.max_value + self.near {
            value -= self.range * step;
        }
        value.clamp(0, self.max_value)
    }
}

/// Samples around the one that is decoded: Ra, Rb, Rc and Rd of the standard.
#[derive(Clone, Copy)]
pub(super) struct Neighbours {
    pub(super) left: i32,
    pub(super) up: i32,
    pub(super) corner: i32,
    pub(super) beyond: i32,
}

impl Neighbours {
    /// The median of left, up and the plane through all three (A.4.1).
    #[inline]
    pub(super) fn median(self) -> i32 {
        let (low, high) = (self.left.min(self.up), self.left.max(self.up));
        if self.corner >= high {
            low
        } else if self.corner <= low {
            high
        } else {
            self.left + self.up - self.corner
        }
    }
}

/// Bits that tell `count` values apart.
fn bits_of(count: i32) -> u32 {
    (count - 1).checked_ilog2().map_or(0, |log| log + 1)
}

/// C.2.4.1.1.1.
fn default_thresholds(max_value: i32, near: i32) -> [i32; 3] {
    const BASIC: [i32; 3] = [3, 7, 21];
    let mut thresholds = [0; 3];
    let mut least = near + 1;
    for (index, threshold) in thresholds.iter_mut().enumerate() {
        let (basic, floor) = (BASIC[index], index as i32 + 2);
        let widened = near * (2 * index as i32 + 3);
        let wanted = if max_value >= 128 {
            let factor = (max_value.min(4095) + 128) / 256;
            factor * (basic - floor) + floor + widened
        } else {
            let factor = 256 / (max_value + 1);
            floor.max(basic / factor + widened)
        };
        *threshold = if wanted > max_value || wanted < least { least } else { wanted };
        least = *threshold;
    }
    thresholds
}

/// Counters of one context (A.2.1).
#[derive(Debug, Clone, Copy)]
pub(super) struct Context {
    /// A: sum of sizes of errors.
    sizes: i32,
    /// B: sum of errors, for the bias.
    bias: i32,
    /// C: what is added to predictions.
    pub(super) correction: i32,
    /// N: how often it occurred.
    count: i32,
}

impl Context {
    /// Parameter of the Golomb code.
    #[inline]
    pub(super) fn golomb(&self) -> u32 {
        golomb(self.count, self.sizes)
    }

    /// A.5.2: whether errors -1, 0, ... are coded in mirrored order.
    #[inline]
    pub(super) fn is_mirrored(&self) -> bool {
        2 * self.bias <= -self.count
    }

    /// A.6.
    #[inline]
    pub(super) fn learn(&mut self, coding: &Coding, error: i32) {
        // Saturating: only a damaged file with an absurd reset comes near the ends.
        self.bias = self.bias.saturating_add(error * (2 * coding.near + 1));
        self.sizes = self.sizes.saturating_add(error.abs());
        if self.count == coding.reset {
            (self.sizes, self.bias, self.count) = (self.sizes >> 1, self.bias >> 1, self.count >> 1);
        }
        self.count += 1;
        if self.bias <= -self.count {
            self.bias = (self.bias + self.count).max(1 - self.count);
            self.correction = (self.correction - 1).max(*CORRECTIONS.start());
        } else if self.bias > 0 {
            self.bias = (self.bias - self.count).min(0);
            self.correction = (self.correction + 1).min(*CORRECTIONS.end());
        }
    }
}

/// Smallest k for which `count * 2^k` reaches `sizes` (A.5.1).
#[inline]
fn golomb(count: i32, sizes: i32) -> u32 {
    let mut k = 0;
    while (i64::from(count) << k) < i64::from(sizes) && k < 24 {
        k += 1;
    }
    k
}

/// Counters of the two contexts of a run's end (A.7.2): 0 where left and up differ, 1 where they are alike.
#[derive(Debug, Clone, Copy)]
pub(super) struct RunContext {
    kind: i32,
    sizes: i32,
    count: i32,
    /// Nn: how often the error was negative.
    negatives: i32,
}

impl RunContext {
    #[inline]
    pub(super) fn golomb(&self) -> u32 {
        golomb(self.count, if self.kind == 1 { self.sizes.saturating_add(self.count >> 1) } else { self.sizes })
    }

    /// The error that a code stands for (A.7.2.2), and what the context learns from it.
    #[inline]
    pub(super) fn error(&mut self, coding: &Coding, code: i32, golomb: u32) -> i32 {
        let mapped = code + self.kind;
        let is_odd = mapped & 1 == 1;
        let size = (mapped + 1) >> 1;
        let odd_is_negative = golomb != 0 || 2 * self.negatives >= self.count;
        let error = if odd_is_negative == is_odd { -size } else { size };
        self.negatives += i32::from(error < 0);
        self.sizes = self.sizes.saturating_add((code + 1 - self.kind) >> 1);
        if self.count == coding.reset {
            (self.sizes, self.count, self.negatives) = (self.sizes >> 1, self.count >> 1, self.negatives >> 1);
        }
        self.count += 1;
        error
    }
}

/// All counters of a scan.
#[derive(Debug, Clone)]
pub(super) struct Contexts {
    pub(super) regular: Vec<Context>,
    pub(super) run: [RunContext; 2],
}

impl Contexts {
    pub(super) fn new(coding: &Coding) -> Contexts {
        let sizes = ((coding.range + 32) >> 6).max(2);
        let run = |kind| RunContext { kind, sizes, count: 1, negatives: 0 };
        Contexts {
            regular: vec![Context { sizes, bias: 0, correction: 0, count: 1 }; NUM_REGULAR],
            run: [run(0), run(1)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The standard's own table of defaults for lossless 8, 12 and 16 bits.
    #[test]
    fn default_thresholds_are_those_of_the_standard() {
        assert_eq!(default_thresholds(255, 0), [3, 7, 21]);
        assert_eq!(default_thresholds(1023, 0), [6, 19, 72]);
        assert_eq!(default_thresholds(4095, 0), [18, 67, 276]);
        assert_eq!(default_thresholds(65535, 0), [18, 67, 276]);
        assert_eq!(default_thresholds(255, 3), [12, 22, 42]);
    }

    #[test]
    fn impossible_parameters_are_refused() {
        let preset = Preset { thresholds: [9, 3, 4], ..Preset::default() };
        assert!(Coding::new(8, 0, preset).is_err());
        assert!(Coding::new(8, 200, Preset::default()).is_err());
        assert!(Coding::new(8, 0, Preset { max_value: 300, ..Preset::default() }).is_err());
        assert!(Coding::new(2, 0, Preset::default()).is_ok());
    }
}
