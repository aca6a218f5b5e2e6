//! Small functions of slices in forms that compilers turn into vector code.

/// Running values of a reduction: two registers of eight. The order of a sum depends on its length alone.
const LANES: usize = 16;

/// `e^x` for x of at most 0, within 2 units in the last place; a form that compilers turn into vector code, unlike libm's.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2; e^r by the polynomial of Cephes' expf, 2^n through the exponent bits.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // Below this the result is no normal number; softmax weights that small are 0.
    let clamped = x.max(-87.0);
    let n = (clamped * std::f32::consts::LOG2_E).round_ties_even();
    let r = clamped - n * LN2_HIGH - n * LN2_LOW;
    let mut p = 1.987_569_1e-4;
    for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = p * r + coefficient;
    }
    let power = f32::from_bits(((n as i32 + 127) << 23) as u32);
    let result = (p * r * r + r + 1.0) * power;
    if x < -87.0 { 0.0 } else { result }
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    let small = exp(-x.abs()); // exp is made for arguments of at most 0
    if x >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) }
}

/// Sum of `value` over a slice, in lanes.
#[inline(always)]
pub fn lane_sum(x: &[f32], value: impl Fn(f32) -> f32) -> f32 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut lanes = [0.0f32; LANES];
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += value(*x);
        }
    }
    let mut tail = 0.0;
    for x in rest {
        tail += value(*x);
    }
    fold_lanes(lanes, |a, b| a + b) + tail
}

/// Largest value of a slice; minus infinity when it is empty.
#[inline(always)]
pub fn lane_max(x: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, *x);
        }
    }
    rest.iter().copied().fold(fold_lanes(lanes, larger), larger)
}

#[inline(always)]
fn fold_lanes(mut lanes: [f32; LANES], both: impl Fn(f32, f32) -> f32) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] = both(lanes[lane], lanes[lane + half]);
        }
        half /= 2;
    }
    lanes[0]
}

/// Softmax in place, over a slice that is not empty.
pub fn softmax(row: &mut [f32]) {
    let top = lane_max(row);
    row.iter_mut().for_each(|value| *value = exp(*value - top));
    let factor = 1.0 / lane_sum(row, |value| value);
    row.iter_mut().for_each(|value| *value *= factor);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_within_two_units_in_the_last_place() {
        for index in 0..100_000 {
            let x = -86.9 * index as f32 / 100_000.0;
            let (got, want) = (exp(x), f64::from(x).exp());
            assert!((f64::from(got) / want - 1.0).abs() < 2.5e-7, "{x}: {got} against {want}");
        }
        assert_eq!((exp(0.0), exp(-200.0), exp(f32::NEG_INFINITY)), (1.0, 0.0, 0.0));
    }

    #[test]
    fn reductions_are_right_for_every_length() {
        for len in 0..70 {
            let x: Vec<f32> = (0..len).map(|index| (index as f32 * 0.7).sin() - 2.0).collect();
            let sum: f64 = x.iter().map(|&value| f64::from(value)).sum();
            assert!((f64::from(lane_sum(&x, |value| value)) - sum).abs() < 1e-4);
            assert_eq!(lane_max(&x), x.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        }
    }
}
