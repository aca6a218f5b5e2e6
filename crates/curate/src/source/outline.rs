//! Drawn outlines as pixels: a pixel is inside when its middle is.

use gmai_schema::RleMask;

/// Larger pictures get boxes alone: a file may state any size, and the mask is held as a whole while it is drawn.
const MAX_PIXELS: u64 = 100_000_000;

/// The box around points: left, top, right, bottom; not-a-number when one of them is.
pub(super) fn edges(points: &[[f64; 2]]) -> [f64; 4] {
    if points.is_empty() || points.iter().flatten().any(|number| !number.is_finite()) {
        return [f64::NAN; 4];
    }
    let fold = |axis: usize, pick: fn(f64, f64) -> f64| points.iter().map(|point| point[axis]).reduce(pick);
    [fold(0, f64::min), fold(1, f64::min), fold(0, f64::max), fold(1, f64::max)].map(|edge| edge.unwrap_or(f64::NAN))
}

/// The pixels inside any of the polygons, each by the even-odd rule; `None` when the picture is too large or nothing is inside.
pub(super) fn union(width: u32, height: u32, polygons: &[Vec<[f64; 2]>]) -> Option<RleMask> {
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return None;
    }
    let mut inside = vec![false; width as usize * height as usize];
    for polygon in polygons.iter().filter(|polygon| polygon.iter().flatten().all(|number| number.is_finite())) {
        fill(&mut inside, [width as usize, height as usize], polygon);
    }
    RleMask::from_rows(width, height, &inside).filter(|mask| mask.area() > 0)
}

/// The corners of a polygon that stands for a circle.
pub(super) fn circle(center: [f64; 2], on_it: [f64; 2]) -> Vec<[f64; 2]> {
    /// Corners enough that a circle across a large picture misses no pixel.
    const CORNERS: usize = 360;
    let radius = (center[0] - on_it[0]).hypot(center[1] - on_it[1]);
    let corner = |index: usize| {
        let (sine, cosine) = (index as f64 * std::f64::consts::TAU / CORNERS as f64).sin_cos();
        [center[0] + radius * cosine, center[1] + radius * sine]
    };
    (0..CORNERS).map(corner).collect()
}

fn fill(inside: &mut [bool], [width, height]: [usize; 2], polygon: &[[f64; 2]]) {
    let mut crossings = Vec::new();
    for row in 0..height {
        let y = row as f64 + 0.5;
        crossings.clear();
        for (index, from) in polygon.iter().enumerate() {
            let to = polygon[(index + 1) % polygon.len()];
            // Half-open: a corner on the line belongs to one of its two edges.
            if (from[1] <= y) != (to[1] <= y) {
                crossings.push(from[0] + (y - from[1]) / (to[1] - from[1]) * (to[0] - from[0]));
            }
        }
        crossings.sort_by(f64::total_cmp);
        for pair in crossings.chunks_exact(2) {
            let first = (pair[0] - 0.5).ceil().max(0.0) as usize;
            let end = (pair[1] - 0.5).ceil().clamp(0.0, width as f64) as usize;
            inside[row * width..(row + 1) * width].iter_mut().take(end).skip(first).for_each(|pixel| *pixel = true);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn polygons_hold_the_pixels_whose_middle_is_inside() {
        let square = vec![[1.0, 1.0], [4.0, 1.0], [4.0, 3.0], [1.0, 3.0]];
        let mask = union(6, 4, std::slice::from_ref(&square)).unwrap();
        assert_eq!((mask.area(), mask.bounds()), (6, Some([1, 1, 4, 3])));
        let two = union(6, 4, &[square, vec![[4.6, 0.0], [9.0, 0.0], [9.0, 4.0], [4.6, 4.0]]]).unwrap();
        assert_eq!(two.area(), 6 + 4, "the part outside the picture is cut off, column 4 has its middle outside");
        assert!(union(6, 4, &[vec![[1.1, 1.1], [1.2, 1.1], [1.2, 1.2]]]).is_none(), "no middle is inside");
        assert!(union(60_000, 60_000, &[]).is_none());
    }

    #[test]
    fn a_circle_has_its_area() {
        let mask = union(100, 100, &[circle([50.0, 50.0], [80.0, 50.0])]).unwrap();
        assert!((mask.area() as f64 - std::f64::consts::PI * 900.0).abs() < 12.0, "{}", mask.area());
    }

    #[test]
    fn edges_of_wrong_points_are_no_numbers() {
        assert_eq!(edges(&[[3.0, 1.0], [0.5, 7.0]]), [0.5, 1.0, 3.0, 7.0]);
        assert!(edges(&[[f64::NAN, 1.0]])[2].is_nan() && edges(&[])[0].is_nan());
    }
}
