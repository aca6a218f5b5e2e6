//! A picture in the making: colours from 0 to 1, shapes with soft edges.

use gmai_schema::Rgb8;

/// Square pixels, top left first.
pub(crate) struct Canvas {
    pub(crate) size: usize,
    pub(crate) pixels: Vec<[f32; 3]>,
}

impl Canvas {
    /// Computes every pixel; `shade` sees the pixel's centre in pixels.
    pub(crate) fn paint(size: usize, mut shade: impl FnMut(f32, f32) -> [f32; 3]) -> Canvas {
        let mut pixels = Vec::with_capacity(size * size);
        for y in 0..size {
            pixels.extend((0..size).map(|x| shade(x as f32 + 0.5, y as f32 + 0.5)));
        }
        Canvas { size, pixels }
    }

    /// Lays a colour over a shape; `opacity` from 0 to 1.
    pub(crate) fn fill(&mut self, shape: &Ellipse, colour: [f32; 3], opacity: f32) {
        for (index, pixel) in self.pixels.iter_mut().enumerate() {
            let [x, y] = [(index % self.size) as f32 + 0.5, (index / self.size) as f32 + 0.5];
            let weight = shape.cover(x, y) * opacity;
            if weight > 0.0 {
                for channel in 0..3 {
                    pixel[channel] += (colour[channel] - pixel[channel]) * weight;
                }
            }
        }
    }

    /// The picture in colour.
    pub(crate) fn rgb(&self) -> Rgb8 {
        let bytes = self.pixels.iter().flatten().map(|value| byte(*value)).collect();
        Rgb8::new(self.size as u32, self.size as u32, bytes).expect("a canvas has pixels")
    }

    /// The first channel.
    pub(crate) fn grey(&self) -> Vec<u8> {
        self.pixels.iter().map(|pixel| byte(pixel[0])).collect()
    }
}

fn byte(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8
}

/// An ellipse, turned by `angle` (radians), whose edge fades over `softness` of its radius.
#[derive(Clone, Copy)]
pub(crate) struct Ellipse {
    pub(crate) centre: [f32; 2],
    pub(crate) radii: [f32; 2],
    pub(crate) angle: f32,
    pub(crate) softness: f32,
}

impl Ellipse {
    pub(crate) fn circle(centre: [f32; 2], radius: f32) -> Ellipse {
        Ellipse { centre, radii: [radius; 2], angle: 0.0, softness: 0.15 }
    }

    /// Distance from the centre in radii: 1 on the edge.
    pub(crate) fn reach(&self, x: f32, y: f32) -> f32 {
        let [dx, dy] = [x - self.centre[0], y - self.centre[1]];
        let (sin, cos) = self.angle.sin_cos();
        let across = (dx * cos + dy * sin) / self.radii[0];
        let down = (dy * cos - dx * sin) / self.radii[1];
        (across * across + down * down).sqrt()
    }

    /// 1 inside, 0 outside, in between on the edge.
    pub(crate) fn cover(&self, x: f32, y: f32) -> f32 {
        fade(self.reach(x, y), 1.0 - self.softness, 1.0 + self.softness)
    }

    /// Half width and half height of the upright box around it.
    pub(crate) fn half_box(&self) -> [f32; 2] {
        let (sin, cos) = self.angle.sin_cos();
        let [a, b] = self.radii;
        [((a * cos).powi(2) + (b * sin).powi(2)).sqrt(), ((a * sin).powi(2) + (b * cos).powi(2)).sqrt()]
    }
}

/// 1 below `near`, 0 above `far`, smooth in between.
pub(crate) fn fade(value: f32, near: f32, far: f32) -> f32 {
    let t = ((far - value) / (far - near)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}
