//! An 8-bit RGB picture: what imaging renders, shards store and the processor takes.

/// Pixels in rows from the top left, three bytes (red, green, blue) each.
#[derive(Clone, PartialEq, Eq)]
pub struct Rgb8 {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

impl Rgb8 {
    /// Wraps `pixels`, which must hold `width * height * 3` bytes and at least one pixel; `None` otherwise.
    pub fn new(width: u32, height: u32, pixels: Vec<u8>) -> Option<Rgb8> {
        let expected = (width as usize).checked_mul(height as usize)?.checked_mul(3)?;
        (expected > 0 && pixels.len() == expected).then_some(Rgb8 { width, height, pixels })
    }

    /// A picture of one colour. `width` and `height` must not be 0.
    pub fn filled(width: u32, height: u32, colour: [u8; 3]) -> Rgb8 {
        assert!(width > 0 && height > 0, "a picture has at least one pixel");
        Rgb8 { width, height, pixels: colour.repeat(width as usize * height as usize) }
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// All bytes, row by row.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// All bytes, by value.
    pub fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }

    /// The pixel in column `x` of row `y`.
    pub fn pixel(&self, x: u32, y: u32) -> [u8; 3] {
        let start = (y as usize * self.width as usize + x as usize) * 3;
        [self.pixels[start], self.pixels[start + 1], self.pixels[start + 2]]
    }
}

impl std::fmt::Debug for Rgb8 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rgb8({} x {})", self.width, self.height)
    }
}
