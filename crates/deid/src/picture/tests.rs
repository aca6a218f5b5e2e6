use super::*;

#[path = "../../tests/lettering/mod.rs"]
mod lettering;

/// Soft shapes with grain, as a scan has.
fn scan(seed: u32) -> Rgb8 {
    let mut state = seed.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
    let mut pixels = Vec::new();
    for y in 0..240i32 {
        for x in 0..320i32 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let grain = (state >> 24) as i32 % 13 - 6;
            let [dx, dy] = [f64::from(x - 160) / 110.0, f64::from(y - 120) / 80.0];
            let body = (140.0 * (1.3 - dx * dx - dy * dy)).clamp(0.0, 120.0) as i32;
            pixels.extend([(20 + body + grain).clamp(0, 255) as u8; 3]);
        }
    }
    Rgb8::new(320, 240, pixels).expect("a picture")
}

#[test]
fn clean_scans_are_not_flagged() {
    for seed in 0..8 {
        let found = detect_rgb(&scan(seed));
        assert!(!found.is_flagged(), "seed {seed}: {:?}", found.lines.first());
    }
}

#[test]
fn lettering_is_flagged_at_any_angle_and_boxed() {
    for (angle, seed) in [(0.0, 1), (90.0, 2), (180.0, 3), (270.0, 4), (5.0, 5), (-15.0, 6), (45.0, 7)] {
        for mask in [lettering::dots("SMITH 12/03/1975", 2), lettering::strokes("SMITH 12/03/1975", 14.0, 2.0)] {
            let mask = lettering::turned(&mask, angle);
            let (left, top) = (10, 10);
            let picture = lettering::written(&scan(seed), &mask, left, top, [230; 3]);
            let found = detect_rgb(&picture);
            assert!(found.is_flagged(), "angle {angle}: {:?}", found.lines.first());
            let blank = blanked(&picture, &found.boxes());
            let letters = (0..mask.alpha.len()).filter(|at| mask.alpha[*at] >= 128);
            let left_over = letters
                .filter(|at| blank.pixel((left + at % mask.width) as u32, (top + at / mask.width) as u32) != [0; 3])
                .count();
            assert_eq!(left_over, 0, "angle {angle}: every pixel of the letters is painted over");
        }
    }
}

#[test]
fn text_that_stands_still_is_found_in_a_moving_cine() {
    let mask = lettering::dots("ID 4711382", 2);
    let frames: Vec<Grey> =
        (0..6).map(|seed| Grey::of(&lettering::written(&scan(seed), &mask, 12, 200, [200; 3]))).collect();
    assert!(detect(&frames).is_flagged());
    let clean: Vec<Grey> = (0..6).map(|seed| Grey::of(&scan(seed))).collect();
    assert!(!detect(&clean).is_flagged());
}

#[test]
fn coloured_text_of_equal_luma_is_found() {
    let mask = lettering::dots("DOE JANE 1962", 3);
    let grey = Rgb8::filled(320, 240, [76; 3]);
    assert!(detect_rgb(&lettering::written(&grey, &mask, 20, 20, [255, 0, 0])).is_flagged());
}

#[test]
fn tiny_and_flat_pictures_are_quiet() {
    for (width, height) in [(1, 1), (3, 200), (200, 3), (64, 64)] {
        assert!(!detect_rgb(&Rgb8::filled(width, height, [9; 3])).is_flagged());
    }
    assert!(!detect(&[]).is_flagged());
}
