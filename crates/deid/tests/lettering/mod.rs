//! Lettering for made-up overlays: a dot-matrix and a plotter font, turned, mixed into pictures. Shared by tests and `examples/burned_in.rs`.

use gmai_schema::Rgb8;

/// Letters as coverage: 0 outside, 255 inside.
#[derive(Clone)]
pub struct Mask {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Coverage, row by row.
    pub alpha: Vec<u8>,
}

/// Columns of dots, lowest bit on top, as character displays have them.
const DOTS: [(char, [u8; 5]); 41] = [
    ('A', [0x7C, 0x12, 0x11, 0x12, 0x7C]),
    ('B', [0x7F, 0x49, 0x49, 0x49, 0x36]),
    ('C', [0x3E, 0x41, 0x41, 0x41, 0x22]),
    ('D', [0x7F, 0x41, 0x41, 0x41, 0x3E]),
    ('E', [0x7F, 0x49, 0x49, 0x49, 0x41]),
    ('F', [0x7F, 0x09, 0x09, 0x09, 0x01]),
    ('G', [0x3E, 0x41, 0x41, 0x51, 0x73]),
    ('H', [0x7F, 0x08, 0x08, 0x08, 0x7F]),
    ('I', [0x00, 0x41, 0x7F, 0x41, 0x00]),
    ('J', [0x20, 0x40, 0x41, 0x3F, 0x01]),
    ('K', [0x7F, 0x08, 0x14, 0x22, 0x41]),
    ('L', [0x7F, 0x40, 0x40, 0x40, 0x40]),
    ('M', [0x7F, 0x02, 0x1C, 0x02, 0x7F]),
    ('N', [0x7F, 0x04, 0x08, 0x10, 0x7F]),
    ('O', [0x3E, 0x41, 0x41, 0x41, 0x3E]),
    ('P', [0x7F, 0x09, 0x09, 0x09, 0x06]),
    ('Q', [0x3E, 0x41, 0x51, 0x21, 0x5E]),
    ('R', [0x7F, 0x09, 0x19, 0x29, 0x46]),
    ('S', [0x26, 0x49, 0x49, 0x49, 0x32]),
    ('T', [0x03, 0x01, 0x7F, 0x01, 0x03]),
    ('U', [0x3F, 0x40, 0x40, 0x40, 0x3F]),
    ('V', [0x1F, 0x20, 0x40, 0x20, 0x1F]),
    ('W', [0x3F, 0x40, 0x38, 0x40, 0x3F]),
    ('X', [0x63, 0x14, 0x08, 0x14, 0x63]),
    ('Y', [0x03, 0x04, 0x78, 0x04, 0x03]),
    ('Z', [0x61, 0x59, 0x49, 0x4D, 0x43]),
    ('0', [0x3E, 0x51, 0x49, 0x45, 0x3E]),
    ('1', [0x00, 0x42, 0x7F, 0x40, 0x00]),
    ('2', [0x72, 0x49, 0x49, 0x49, 0x46]),
    ('3', [0x21, 0x41, 0x49, 0x4D, 0x33]),
    ('4', [0x18, 0x14, 0x12, 0x7F, 0x10]),
    ('5', [0x27, 0x45, 0x45, 0x45, 0x39]),
    ('6', [0x3C, 0x4A, 0x49, 0x49, 0x31]),
    ('7', [0x41, 0x21, 0x11, 0x09, 0x07]),
    ('8', [0x36, 0x49, 0x49, 0x49, 0x36]),
    ('9', [0x46, 0x49, 0x49, 0x29, 0x1E]),
    ('/', [0x20, 0x10, 0x08, 0x04, 0x02]),
    ('-', [0x08, 0x08, 0x08, 0x08, 0x08]),
    (':', [0x00, 0x36, 0x36, 0x00, 0x00]),
    (',', [0x00, 0x50, 0x30, 0x00, 0x00]),
    ('.', [0x00, 0x60, 0x60, 0x00, 0x00]),
];

/// Pen strokes on a grid of 5 x 7 points, each point two digits (column, row), strokes apart by a space.
const STROKES: [(char, &str); 40] = [
    ('A', "062046 1434"),
    ('B', "00063645340300 0313 0030413303"),
    ('C', "4130100105163645"),
    ('D', "00062644422000"),
    ('E', "40000646 0333"),
    ('F', "400006 0333"),
    ('G', "41301001051636454323"),
    ('H', "0006 4046 0343"),
    ('I', "1030 2026 1636"),
    ('J', "4045361605"),
    ('K', "0006 4003 0346"),
    ('L', "000646"),
    ('M', "0600234046"),
    ('N', "06004640"),
    ('O', "100105163645413010"),
    ('P', "06003041423303"),
    ('Q', "100105163645413010 3446"),
    ('R', "06003041423303 2346"),
    ('S', "413010010213334445361605"),
    ('T', "0040 2026"),
    ('U', "000516364540"),
    ('V', "002640"),
    ('W', "0016233640"),
    ('X', "0046 4006"),
    ('Y', "002340 2326"),
    ('Z', "00400646"),
    ('0', "100105163645413010 0541"),
    ('1', "122026 1636"),
    ('2', "0110304142330646"),
    ('3', "0040233344453616"),
    ('4', "36300444"),
    ('5', "4000033344453606"),
    ('6', "40200305163645443303"),
    ('7', "00402216"),
    ('8', "103041423313020110 1304051636454433"),
    ('9', "06264341301001021343"),
    ('/', "0640"),
    ('-', "1333"),
    (':', "2122 2425"),
    ('.', "2526"),
];

/// Text in the dot-matrix font, each dot `scale` pixels wide.
pub fn dots(text: &str, scale: usize) -> Mask {
    let count = text.chars().count();
    let (width, height) = (count * 6 * scale, 7 * scale);
    let mut alpha = vec![0; width * height];
    for (index, letter) in text.chars().enumerate() {
        let Some((_, columns)) = DOTS.iter().find(|(known, _)| *known == letter.to_ascii_uppercase()) else { continue };
        for (column, bits) in columns.iter().enumerate() {
            for row in (0..7).filter(|row| bits >> row & 1 == 1) {
                for y in row * scale..(row + 1) * scale {
                    let start = y * width + (index * 6 + column) * scale;
                    alpha[start..start + scale].fill(255);
                }
            }
        }
    }
    Mask { width, height, alpha }
}

/// Text as a plotter draws it, `height` pixels high, with a pen of `pen` pixels.
pub fn strokes(text: &str, height: f32, pen: f32) -> Mask {
    let step = height / 6.0;
    let margin = pen + 1.0;
    let width = (text.chars().count() as f32 * 6.0 * step + 2.0 * margin) as usize;
    let rows = (height + 2.0 * margin) as usize + 1;
    let mut alpha = vec![0u8; width * rows];
    for (index, letter) in text.chars().enumerate() {
        let Some((_, paths)) = STROKES.iter().find(|(known, _)| *known == letter.to_ascii_uppercase()) else {
            continue;
        };
        for path in paths.split(' ') {
            let digits: Vec<f32> = path.bytes().map(|byte| f32::from(byte - b'0')).collect();
            let points: Vec<[f32; 2]> = digits
                .chunks_exact(2)
                .map(|point| [margin + (index as f32 * 6.0 + point[0]) * step, margin + point[1] * step])
                .collect();
            points.windows(2).for_each(|ends| segment(&mut alpha, width, ends[0], ends[1], pen / 2.0));
        }
    }
    Mask { width, height: rows, alpha }
}

fn segment(alpha: &mut [u8], width: usize, a: [f32; 2], b: [f32; 2], radius: f32) {
    let rows = alpha.len() / width;
    let reach = radius + 1.0;
    let range =
        |low: f32, high: f32, end: usize| (low - reach).max(0.0) as usize..((high + reach) as usize + 1).min(end);
    for y in range(a[1].min(b[1]), a[1].max(b[1]), rows) {
        for x in range(a[0].min(b[0]), a[0].max(b[0]), width) {
            let p = [x as f32 + 0.5 - a[0], y as f32 + 0.5 - a[1]];
            let d = [b[0] - a[0], b[1] - a[1]];
            let length = (d[0] * d[0] + d[1] * d[1]).max(1e-6);
            let t = ((p[0] * d[0] + p[1] * d[1]) / length).clamp(0.0, 1.0);
            let distance = (p[0] - t * d[0]).hypot(p[1] - t * d[1]);
            let cover = ((radius + 0.5 - distance).clamp(0.0, 1.0) * 255.0) as u8;
            let place = &mut alpha[y * width + x];
            *place = (*place).max(cover);
        }
    }
}

/// The mask turned by an angle in degrees about its centre, with linear interpolation.
pub fn turned(mask: &Mask, degrees: f32) -> Mask {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (w, h) = (mask.width as f32, mask.height as f32);
    let width = (w * cos.abs() + h * sin.abs()).ceil() as usize + 1;
    let height = (w * sin.abs() + h * cos.abs()).ceil() as usize + 1;
    let at = |x: isize, y: isize| {
        let inside = (0..mask.width as isize).contains(&x) && (0..mask.height as isize).contains(&y);
        if inside { f32::from(mask.alpha[y as usize * mask.width + x as usize]) } else { 0.0 }
    };
    let mut alpha = Vec::with_capacity(width * height);
    for y in 0..height {
        for x in 0..width {
            let (dx, dy) = (x as f32 + 0.5 - width as f32 / 2.0, y as f32 + 0.5 - height as f32 / 2.0);
            let (sx, sy) = (dx * cos + dy * sin + w / 2.0 - 0.5, dy * cos - dx * sin + h / 2.0 - 0.5);
            let (fx, fy) = (sx.floor(), sy.floor());
            let (tx, ty) = (sx - fx, sy - fy);
            let (ix, iy) = (fx as isize, fy as isize);
            let top = at(ix, iy) * (1.0 - tx) + at(ix + 1, iy) * tx;
            let bottom = at(ix, iy + 1) * (1.0 - tx) + at(ix + 1, iy + 1) * tx;
            alpha.push((top * (1.0 - ty) + bottom * ty) as u8);
        }
    }
    Mask { width, height, alpha }
}

/// The picture with letters of one colour at a place.
pub fn written(picture: &Rgb8, mask: &Mask, left: usize, top: usize, colour: [u8; 3]) -> Rgb8 {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let mut pixels = picture.pixels().to_vec();
    for y in 0..mask.height.min(height.saturating_sub(top)) {
        for x in 0..mask.width.min(width.saturating_sub(left)) {
            let cover = u32::from(mask.alpha[y * mask.width + x]);
            let start = ((top + y) * width + left + x) * 3;
            for channel in 0..3 {
                let old = u32::from(pixels[start + channel]);
                pixels[start + channel] = ((old * (255 - cover) + u32::from(colour[channel]) * cover) / 255) as u8;
            }
        }
    }
    Rgb8::new(picture.width(), picture.height(), pixels).expect("the size has not changed")
}
