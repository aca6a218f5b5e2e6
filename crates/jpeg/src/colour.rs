//! Rows of components to rows of RGB: libjpeg's conversions (`jdcolor.c`) in 16-bit fixed point, and Pillow's CMYK (`Convert.c`).

/// 1.40200, 1.77200, 0.71414 and 0.34414 in 16 bits after the binary point, as libjpeg rounds them.
const RED_OF_RED: i32 = 91_881;
const BLUE_OF_BLUE: i32 = 116_130;
const GREEN_OF_RED: i32 = 46_802;
const GREEN_OF_BLUE: i32 = 22_554;
const HALF: i32 = 1 << 15;

/// One pixel from luminance and the two colour differences.
#[inline(always)]
fn rgb(luma: u8, blue: u8, red: u8) -> [u8; 3] {
    let (luma, blue, red) = (i32::from(luma), i32::from(blue) - 128, i32::from(red) - 128);
    let clamp = |value: i32| value.clamp(0, 255) as u8;
    [
        clamp(luma + ((RED_OF_RED * red + HALF) >> 16)),
        clamp(luma + ((-GREEN_OF_BLUE * blue - GREEN_OF_RED * red + HALF) >> 16)),
        clamp(luma + ((BLUE_OF_BLUE * blue + HALF) >> 16)),
    ]
}

/// A row of YCbCr.
pub(crate) fn ycc_to_rgb(luma: &[u8], blue: &[u8], red: &[u8], out: &mut [u8]) {
    for (((pixel, luma), blue), red) in out.as_chunks_mut::<3>().0.iter_mut().zip(luma).zip(blue).zip(red) {
        *pixel = rgb(*luma, *blue, *red);
    }
}

/// A row of RGB.
pub(crate) fn interleave(red: &[u8], green: &[u8], blue: &[u8], out: &mut [u8]) {
    for (((pixel, red), green), blue) in out.as_chunks_mut::<3>().0.iter_mut().zip(red).zip(green).zip(blue) {
        *pixel = [*red, *green, *blue];
    }
}

/// A row of CMYK in which 255 means no ink.
pub(crate) fn inverted_cmyk_to_rgb(cyan: &[u8], magenta: &[u8], yellow: &[u8], key: &[u8], out: &mut [u8]) {
    let inks = cyan.iter().zip(magenta).zip(yellow).zip(key);
    for (pixel, (((cyan, magenta), yellow), key)) in out.as_chunks_mut::<3>().0.iter_mut().zip(inks) {
        *pixel = cmyk_to_rgb([255 - cyan, 255 - magenta, 255 - yellow, 255 - key]);
    }
}

/// A row of YCCK: YCbCr of the inverted inks, black as it is.
pub(crate) fn inverted_ycck_to_rgb(luma: &[u8], blue: &[u8], red: &[u8], key: &[u8], out: &mut [u8]) {
    let inks = luma.iter().zip(blue).zip(red).zip(key);
    for (pixel, (((luma, blue), red), key)) in out.as_chunks_mut::<3>().0.iter_mut().zip(inks) {
        // libjpeg gives cyan as 255 less red, Pillow inverts it again.
        let [cyan, magenta, yellow] = rgb(*luma, *blue, *red);
        *pixel = cmyk_to_rgb([cyan, magenta, yellow, 255 - key]);
    }
}

/// One pixel of CMYK in which 0 means no ink, as Pillow converts it.
pub fn cmyk_to_rgb([cyan, magenta, yellow, key]: [u8; 4]) -> [u8; 3] {
    let light = 255 - i32::from(key);
    [cyan, magenta, yellow].map(|ink| {
        let product = i32::from(ink) * light + 128;
        (light - (((product >> 8) + product) >> 8)).clamp(0, 255) as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grey_stays_grey_and_primaries_come_out() {
        for value in [0, 1, 127, 128, 254, 255] {
            assert_eq!(rgb(value, 128, 128), [value; 3]);
        }
        assert_eq!(rgb(76, 85, 255), [254, 0, 0]);
    }

    #[test]
    fn no_ink_is_white_and_black_ink_is_black() {
        assert_eq!(cmyk_to_rgb([0; 4]), [255; 3]);
        assert_eq!(cmyk_to_rgb([10, 20, 30, 255]), [0; 3]);
        assert_eq!(cmyk_to_rgb([255, 0, 128, 0]), [0, 255, 127]);
    }
}
