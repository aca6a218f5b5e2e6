//! From stored values to the 8-bit picture that people and the model see.

use crate::plane::Plane;
use crate::window::widened;
use gmai_schema::{Rgb8, WindowRef};

/// Shows a slice: square pixels (linear interpolation where the file's are not), `window.low` black, `window.high` white.
pub fn render(plane: &Plane, window: WindowRef) -> Rgb8 {
    let size = plane.geometry().display_size();
    let window = widened(window);
    let columns = linear(plane.width, size.width);
    let mut pixels = Vec::with_capacity(size.width as usize * size.height as usize * 3);
    for row in linear(plane.height, size.height) {
        let upper = &plane.values[row.first * plane.width..][..plane.width];
        let lower = &plane.values[row.second * plane.width..][..plane.width];
        for column in &columns {
            let left = mix(upper[column.first], lower[column.first], row.weight);
            let right = mix(upper[column.second], lower[column.second], row.weight);
            let grey = to_byte(mix(left, right, column.weight), window);
            pixels.extend([grey; 3]);
        }
    }
    Rgb8::new(size.width, size.height, pixels).expect("one pixel was written for each place")
}

/// Position of a value in a window as a byte; what is not a number is black.
pub(crate) fn to_byte(value: f32, window: WindowRef) -> u8 {
    let share = (value - window.low) / (window.high - window.low);
    (share.clamp(0.0, 1.0) * 255.0 + 0.5) as u8
}

/// Two neighbouring pixels and the share of the second.
struct Blend {
    first: usize,
    second: usize,
    weight: f32,
}

fn mix(first: f32, second: f32, weight: f32) -> f32 {
    // A weight of 0 must not let an infinite neighbour in.
    if weight == 0.0 { first } else { first + (second - first) * weight }
}

/// For each of `shown` pixels its neighbours among the `stored` ones, pixel centres aligned.
fn linear(stored: usize, shown: u32) -> Vec<Blend> {
    let scale = stored as f64 / f64::from(shown);
    let blend = |index: u32| {
        let position = ((f64::from(index) + 0.5) * scale - 0.5).clamp(0.0, (stored - 1) as f64);
        let first = position as usize;
        Blend { first, second: (first + 1).min(stored - 1), weight: (position - first as f64) as f32 }
    };
    (0..shown).map(blend).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn window_maps_its_ends_to_black_and_white() {
        let values = vec![-500.0, -160.0, 40.0, f32::NAN];
        let plane = Plane { width: 4, height: 1, values, spacing: [1.0, 1.0] };
        let picture = render(&plane, WindowRef { low: -160.0, high: 240.0 });
        let greys: Vec<u8> = (0..4).map(|x| picture.pixel(x, 0)[0]).collect();
        assert_eq!(greys, [0, 0, 128, 0]);
    }

    #[test]
    fn picture_has_the_size_of_its_mask() {
        let values = vec![0.0, 1.0, 0.0, 1.0, 0.0, 1.0];
        let plane = Plane { width: 2, height: 3, values, spacing: [1.0, 2.5] };
        let picture = render(&plane, WindowRef { low: 0.0, high: 1.0 });
        assert_eq!((picture.width(), picture.height()), (2, 8));
        assert_eq!((picture.pixel(0, 4)[0], picture.pixel(1, 4)[0]), (0, 255));
    }
}
