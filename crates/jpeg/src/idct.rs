//! The inverse cosine transform as libjpeg's `jpeg_idct_islow` computes it: Loeffler, Ligtenberg and Moschytz with 13-bit constants, columns
//! first, two extra bits kept between the passes. Every step is as there, so every rounding is.

/// Bits of the constants after the binary point.
const CONSTANT_BITS: u32 = 13;

/// A sample of 8 or of 12 bits: the two depths that frames of the cosine transform have.
pub(crate) trait Sample: Copy + Default + Into<u16> {
    /// Extra bits kept after the first pass: as many as 32-bit arithmetic has room for (`jddctmgr.c`, `jidctint.c`).
    const PASS_BITS: u32;

    /// The sample nearest to a value around 0.
    fn from_centred(value: i32) -> Self;
}

impl Sample for u8 {
    const PASS_BITS: u32 = 2;

    #[inline(always)]
    fn from_centred(value: i32) -> u8 {
        value.saturating_add(128).clamp(0, 255) as u8
    }
}

/// 12 bits in 16.
impl Sample for u16 {
    const PASS_BITS: u32 = 1;

    #[inline(always)]
    fn from_centred(value: i32) -> u16 {
        value.saturating_add(2048).clamp(0, 4095) as u16
    }
}

const FIX_0_298631336: i32 = 2446;
const FIX_0_390180644: i32 = 3196;
const FIX_0_541196100: i32 = 4433;
const FIX_0_765366865: i32 = 6270;
const FIX_0_899976223: i32 = 7373;
const FIX_1_175875602: i32 = 9633;
const FIX_1_501321110: i32 = 12299;
const FIX_1_847759065: i32 = 15137;
const FIX_1_961570560: i32 = 16069;
const FIX_2_053119869: i32 = 16819;
const FIX_2_562915447: i32 = 20995;
const FIX_3_072711026: i32 = 25172;

/// Eight columns (or rows) at once: a vector register.
type Lanes = [i32; 8];

/// Transforms one block of quantised coefficients, in natural order, and writes 8 rows of 8 samples, `stride` apart.
pub(crate) fn block_to_samples<S: Sample>(coefficients: &[i16; 64], steps: &[u16; 64], out: &mut [S], stride: usize) {
    let mut rows = [[0; 8]; 8];
    for (row, (values, steps)) in
        rows.iter_mut().zip(coefficients.as_chunks::<8>().0.iter().zip(steps.as_chunks::<8>().0))
    {
        for (place, (value, step)) in row.iter_mut().zip(values.iter().zip(steps)) {
            *place = i32::from(*value).wrapping_mul(i32::from(*step));
        }
    }
    let columns = transposed(&pass(&rows, CONSTANT_BITS - S::PASS_BITS));
    let samples = transposed(&pass(&columns, CONSTANT_BITS + S::PASS_BITS + 3));
    for (row, values) in samples.iter().enumerate() {
        out[row * stride..row * stride + 8].copy_from_slice(&values.map(S::from_centred));
    }
}

/// A block of which only the mean is coded: what the transform gives then, in one step.
pub(crate) fn mean_to_samples<S: Sample>(mean: i16, step: u16, out: &mut [S], stride: usize) {
    let value = S::from_centred(i32::from(mean).wrapping_mul(i32::from(step)).wrapping_add(4) >> 3);
    for row in 0..8 {
        out[row * stride..row * stride + 8].fill(value);
    }
}

fn transposed(rows: &[Lanes; 8]) -> [Lanes; 8] {
    std::array::from_fn(|column| std::array::from_fn(|row| rows[row][column]))
}

fn each(a: &Lanes, b: &Lanes, operation: impl Fn(i32, i32) -> i32) -> Lanes {
    std::array::from_fn(|lane| operation(a[lane], b[lane]))
}

fn sum(a: &Lanes, b: &Lanes) -> Lanes {
    each(a, b, i32::wrapping_add)
}

fn difference(a: &Lanes, b: &Lanes) -> Lanes {
    each(a, b, i32::wrapping_sub)
}

fn times(a: &Lanes, constant: i32) -> Lanes {
    a.map(|value| value.wrapping_mul(constant))
}

/// One pass over eight lanes; results are rounded and lose `shift` bits.
#[inline(always)]
fn pass(input: &[Lanes; 8], shift: u32) -> [Lanes; 8] {
    let z1 = times(&sum(&input[2], &input[6]), FIX_0_541196100);
    let even2 = sum(&z1, &times(&input[6], -FIX_1_847759065));
    let even3 = sum(&z1, &times(&input[2], FIX_0_765366865));
    let even0 = times(&sum(&input[0], &input[4]), 1 << CONSTANT_BITS);
    let even1 = times(&difference(&input[0], &input[4]), 1 << CONSTANT_BITS);
    let even = [sum(&even0, &even3), sum(&even1, &even2), difference(&even1, &even2), difference(&even0, &even3)];

    let z1 = times(&sum(&input[7], &input[1]), -FIX_0_899976223);
    let z2 = times(&sum(&input[5], &input[3]), -FIX_2_562915447);
    let z3 = sum(&input[7], &input[3]);
    let z4 = sum(&input[5], &input[1]);
    let z5 = times(&sum(&z3, &z4), FIX_1_175875602);
    let z3 = sum(&times(&z3, -FIX_1_961570560), &z5);
    let z4 = sum(&times(&z4, -FIX_0_390180644), &z5);
    let odd = [
        sum(&sum(&times(&input[1], FIX_1_501321110), &z1), &z4),
        sum(&sum(&times(&input[3], FIX_3_072711026), &z2), &z3),
        sum(&sum(&times(&input[5], FIX_2_053119869), &z2), &z4),
        sum(&sum(&times(&input[7], FIX_0_298631336), &z1), &z3),
    ];
    let rounded = |lanes: Lanes| lanes.map(|value| value.wrapping_add(1 << (shift - 1)) >> shift);
    std::array::from_fn(|index| match index {
        0..4 => rounded(sum(&even[index], &odd[index])),
        _ => rounded(difference(&even[7 - index], &odd[7 - index])),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_way_for_means_equals_the_whole_transform() {
        fn check<S: Sample + PartialEq + std::fmt::Debug>(mean: i16, step: u16) {
            let mut coefficients = [0; 64];
            coefficients[0] = mean;
            let mut steps = [1; 64];
            steps[0] = step;
            let (mut whole, mut short) = ([S::default(); 64], [S::default(); 64]);
            block_to_samples(&coefficients, &steps, &mut whole, 8);
            mean_to_samples(mean, step, &mut short, 8);
            assert_eq!(whole, short, "{mean} x {step}");
        }
        for mean in [-2000i16, -1024, -17, -1, 0, 1, 3, 4, 5, 100, 1023, 2000] {
            for step in [1u16, 2, 7, 8] {
                check::<u8>(mean, step);
                check::<u16>(mean, step);
            }
        }
    }

    #[test]
    fn a_block_is_the_sum_of_its_cosines() {
        let mut coefficients = [0i16; 64];
        (coefficients[0], coefficients[1], coefficients[8], coefficients[27], coefficients[63]) =
            (80, -300, 120, 55, 40);
        let mut out = [0u8; 64];
        block_to_samples(&coefficients, &[1; 64], &mut out, 8);
        for (place, sample) in out.iter().enumerate() {
            let mut exact = 128.0;
            for (index, value) in coefficients.iter().enumerate() {
                let wave = |frequency: usize, at: usize| {
                    let scale = if frequency == 0 { 0.5f64.sqrt() } else { 1.0 };
                    scale * (std::f64::consts::PI * frequency as f64 * (2 * at + 1) as f64 / 16.0).cos() / 2.0
                };
                exact += f64::from(*value) * wave(index / 8, place / 8) * wave(index % 8, place % 8);
            }
            assert!((f64::from(*sample) - exact.clamp(0.0, 255.0)).abs() <= 1.0, "{place}: {sample} {exact}");
        }
    }
}
