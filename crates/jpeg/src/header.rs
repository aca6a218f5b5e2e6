//! The segments of a JPEG file up to the first scan, and those between scans.

use crate::bits::HuffmanTable;
use crate::error::{Error, Result};

/// Zigzag order: where the n-th stored coefficient of a block lies (ITU T.81 figure A.6).
pub(crate) const NATURAL_ORDER: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

/// One colour component as the frame header declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Component {
    /// Its identifier in scan headers.
    pub(crate) id: u8,
    /// Horizontal sampling factor, 1 to 4.
    pub(crate) across: usize,
    /// Vertical sampling factor, 1 to 4.
    pub(crate) down: usize,
    /// Which quantisation table, 0 to 3.
    pub(crate) quantisation: usize,
}

/// The frame header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) width: u16,
    pub(crate) height: u16,
    /// Bits a sample.
    pub(crate) bits: u8,
    pub(crate) coding: Coding,
    pub(crate) components: Vec<Component>,
}

/// How a frame is coded, always by Huffman codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    /// Cosine transform, each block whole: baseline and extended.
    Sequential,
    /// Cosine transform, by bands and bits.
    Progressive,
    /// Differences to a prediction from neighbouring samples (annex H).
    Lossless,
}

impl Frame {
    pub(crate) fn is_progressive(&self) -> bool {
        self.coding == Coding::Progressive
    }

    /// Largest horizontal sampling factor.
    pub(crate) fn max_across(&self) -> usize {
        self.components.iter().map(|component| component.across).max().unwrap_or(1)
    }

    /// Largest vertical sampling factor.
    pub(crate) fn max_down(&self) -> usize {
        self.components.iter().map(|component| component.down).max().unwrap_or(1)
    }
}

/// Tables as they stand; later segments replace them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tables {
    /// Steps in natural order.
    pub(crate) quantisation: [Option<[u16; 64]>; 4],
    pub(crate) dc: [Option<HuffmanTable>; 4],
    pub(crate) ac: [Option<HuffmanTable>; 4],
    /// MCUs between restart markers; 0 without.
    pub(crate) restart_interval: usize,
    /// Transform of an Adobe segment: 0 none, 1 YCbCr, 2 YCCK.
    adobe_transform: Option<u8>,
    has_jfif: bool,
}

/// A scan header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ScanHeader {
    /// Per component: its index in the frame, DC table, AC table.
    pub(crate) components: Vec<ScanComponent>,
    /// First coefficient in zigzag order; in a lossless frame the predictor.
    pub(crate) first: usize,
    /// Last coefficient.
    pub(crate) last: usize,
    /// Bits known before this scan.
    pub(crate) high: u8,
    /// Lowest bit that this scan gives; in a lossless frame the point transform.
    pub(crate) low: u8,
}

/// A component's part in a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ScanComponent {
    pub(crate) index: usize,
    pub(crate) dc: usize,
    pub(crate) ac: usize,
}

/// What the components hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColourSpace {
    Grey,
    Rgb,
    Ycc,
    Cmyk,
    Ycck,
}

/// What three components hold when neither a JFIF nor an Adobe segment says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmarked {
    /// libjpeg's guess: YCbCr, but for components named R, G and B.
    Usual,
    /// Red, green and blue: something around the file (a DICOM header) says so.
    Rgb,
}

/// Everything before the first scan.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) frame: Frame,
    pub(crate) tables: Tables,
    pub(crate) first_scan: ScanHeader,
    /// Where the first scan's entropy-coded data begins.
    pub(crate) data_start: usize,
}

/// What the next segment was.
pub(crate) enum Segment {
    Scan(ScanHeader, usize),
    End,
}

impl Header {
    /// Reads up to the first scan.
    pub(crate) fn read(bytes: &[u8]) -> Result<Header> {
        if !bytes.starts_with(&[0xFF, 0xD8]) {
            return Err(Error::Damaged("it does not begin as a JPEG file does"));
        }
        let (mut tables, mut frame) = (Tables::default(), None);
        match read_segments(bytes, 2, &mut tables, &mut frame)? {
            Segment::Scan(first_scan, data_start) => {
                let frame = frame.ok_or(Error::Damaged("a scan comes before the frame header"))?;
                Ok(Header { frame, tables, first_scan, data_start })
            }
            Segment::End => Err(Error::Damaged("it has no scan")),
        }
    }

    /// What the components hold, by libjpeg's rules: markers first, then component identifiers, then what is usual.
    pub(crate) fn colour_space(&self, unmarked: Unmarked) -> ColourSpace {
        let ids: Vec<u8> = self.frame.components.iter().map(|component| component.id).collect();
        match (ids.len(), self.tables.adobe_transform) {
            (1, _) => ColourSpace::Grey,
            (4, Some(0) | None) => ColourSpace::Cmyk,
            (4, _) => ColourSpace::Ycck,
            _ if self.tables.has_jfif => ColourSpace::Ycc,
            (_, Some(0)) => ColourSpace::Rgb,
            (_, None) if unmarked == Unmarked::Rgb => ColourSpace::Rgb,
            (_, None) if ids == *b"RGB" => ColourSpace::Rgb,
            _ => ColourSpace::Ycc,
        }
    }
}

/// Reads segments from `at` on, until a scan or the end of the image.
pub(crate) fn read_segments(
    bytes: &[u8],
    mut at: usize,
    tables: &mut Tables,
    frame: &mut Option<Frame>,
) -> Result<Segment> {
    loop {
        let (marker, after) = next_marker(bytes, at)?;
        at = after;
        match marker {
            0xD9 => return Ok(Segment::End),
            0x01 | 0xD0..=0xD7 => continue, // Markers without a segment.
            0xD8 => return Err(Error::Damaged("a second picture begins inside the first")),
            _ => {}
        }
        let length = bytes.get(at..at + 2).map(|two| usize::from(u16::from_be_bytes([two[0], two[1]])));
        let length = length.ok_or(Error::Truncated)?;
        if length < 2 {
            return Err(Error::Damaged("a segment is shorter than its own length field"));
        }
        let segment = bytes.get(at + 2..at + length).ok_or(Error::Truncated)?;
        at += length;
        match marker {
            0xC0..=0xC3 if frame.is_some() => return Err(Error::Damaged("it has two frame headers")),
            0xC0 | 0xC1 => *frame = Some(read_frame(segment, Coding::Sequential)?),
            0xC2 => *frame = Some(read_frame(segment, Coding::Progressive)?),
            0xC3 => *frame = Some(read_frame(segment, Coding::Lossless)?),
            0xC4 => read_huffman_tables(segment, tables)?,
            0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                let kind = if matches!(marker, 0xC7 | 0xCB | 0xCF) {
                    "lossless, arithmetic or staged"
                } else {
                    "arithmetic or staged"
                };
                return Err(Error::Unsupported { what: "JPEG coding", value: format!("0x{marker:02X} ({kind})") });
            }
            0xDB => read_quantisation_tables(segment, tables)?,
            0xDD => {
                let interval = segment.get(..2).ok_or(Error::Damaged("the restart interval is cut off"))?;
                tables.restart_interval = usize::from(u16::from_be_bytes([interval[0], interval[1]]));
            }
            0xDA => {
                let frame = frame.as_ref().ok_or(Error::Damaged("a scan comes before the frame header"))?;
                return Ok(Segment::Scan(read_scan(segment, frame)?, at));
            }
            0xE0 if segment.starts_with(b"JFIF\0") => tables.has_jfif = true,
            0xEE if segment.starts_with(b"Adobe") && segment.len() >= 12 => tables.adobe_transform = Some(segment[11]),
            _ => {} // Comments and other programs' data.
        }
    }
}

/// The next marker's code and where its segment begins. Bytes that belong to nothing are passed over, as libjpeg does.
pub(crate) fn next_marker(bytes: &[u8], mut at: usize) -> Result<(u8, usize)> {
    loop {
        match bytes.get(at..at + 2) {
            None => return Err(Error::Truncated),
            Some([0xFF, code]) if !matches!(code, 0 | 0xFF) => return Ok((*code, at + 2)),
            Some(_) => at += 1,
        }
    }
}

fn read_frame(segment: &[u8], coding: Coding) -> Result<Frame> {
    let cut_off = Error::Damaged("the frame header is cut off");
    let [bits, height_high, height_low, width_high, width_low, num_components] =
        segment.get(..6).and_then(|head| <[u8; 6]>::try_from(head).ok()).ok_or(cut_off.clone())?;
    let is_possible = match coding {
        Coding::Lossless => (2..=16).contains(&bits),
        Coding::Sequential | Coding::Progressive => matches!(bits, 8 | 12),
    };
    if !is_possible {
        return Err(Error::Unsupported { what: "JPEG bits a sample", value: bits.to_string() });
    }
    if !matches!(num_components, 1 | 3 | 4) {
        return Err(Error::Unsupported { what: "number of JPEG components", value: num_components.to_string() });
    }
    let list = segment.get(6..6 + 3 * usize::from(num_components)).ok_or(cut_off)?;
    let mut components = Vec::new();
    for [id, sampling, quantisation] in list.as_chunks::<3>().0 {
        let (across, down) = (usize::from(sampling >> 4), usize::from(sampling & 15));
        if !(1..=4).contains(&across) || !(1..=4).contains(&down) || *quantisation > 3 {
            return Err(Error::Damaged("a sampling factor or table number in the frame header is not possible"));
        }
        components.push(Component { id: *id, across, down, quantisation: usize::from(*quantisation) });
    }
    let (width, height) = (u16::from_be_bytes([width_high, width_low]), u16::from_be_bytes([height_high, height_low]));
    Ok(Frame { width, height, bits, coding, components })
}

fn read_huffman_tables(mut segment: &[u8], tables: &mut Tables) -> Result<()> {
    let cut_off = || Error::Damaged("a Huffman table is cut off");
    while !segment.is_empty() {
        let (head, rest) = segment.split_first_chunk::<17>().ok_or_else(cut_off)?;
        let counts: [u8; 16] = std::array::from_fn(|length| head[length + 1]);
        let num_symbols = counts.iter().map(|count| usize::from(*count)).sum::<usize>();
        let symbols = rest.get(..num_symbols).ok_or_else(cut_off)?;
        let table = HuffmanTable::new(&counts, symbols)?;
        let slot = usize::from(head[0] & 15);
        let tables = if head[0] >> 4 == 0 { &mut tables.dc } else { &mut tables.ac };
        if slot > 3 || head[0] > 0x1F {
            return Err(Error::Damaged("a Huffman table has an impossible number"));
        }
        tables[slot] = Some(table);
        segment = &rest[num_symbols..];
    }
    Ok(())
}

fn read_quantisation_tables(mut segment: &[u8], tables: &mut Tables) -> Result<()> {
    while let Some((&head, rest)) = segment.split_first() {
        let bytes_each = if head >> 4 == 0 { 1 } else { 2 };
        let slot = usize::from(head & 15);
        let values = rest.get(..64 * bytes_each).ok_or(Error::Damaged("a quantisation table is cut off"))?;
        if slot > 3 || head > 0x1F {
            return Err(Error::Damaged("a quantisation table has an impossible number"));
        }
        let mut table = [0; 64];
        for (value, natural) in values.chunks_exact(bytes_each).zip(NATURAL_ORDER) {
            table[usize::from(natural)] = value.iter().fold(0, |sum, byte| (sum << 8) | u16::from(*byte));
        }
        tables.quantisation[slot] = Some(table);
        segment = &rest[64 * bytes_each..];
    }
    Ok(())
}

fn read_scan(segment: &[u8], frame: &Frame) -> Result<ScanHeader> {
    let damaged = || Error::Damaged("a scan header is not possible");
    let (&count, rest) = segment.split_first().ok_or_else(damaged)?;
    let count = usize::from(count);
    let list = rest.get(..2 * count).filter(|_| (1..=4).contains(&count)).ok_or_else(damaged)?;
    let mut components: Vec<ScanComponent> = Vec::new();
    for [id, slots] in list.as_chunks::<2>().0 {
        let index = frame.components.iter().position(|component| component.id == *id).ok_or_else(damaged)?;
        let (dc, ac) = (usize::from(slots >> 4), usize::from(slots & 15));
        if dc > 3 || ac > 3 || components.iter().any(|component| component.index == index) {
            return Err(damaged());
        }
        components.push(ScanComponent { index, dc, ac });
    }
    let [first, last, bits] =
        rest.get(2 * count..2 * count + 3).and_then(|end| end.try_into().ok()).ok_or_else(damaged)?;
    let (first, last, high, low) = (usize::from(first), usize::from(last), bits >> 4, bits & 15);
    if frame.coding == Coding::Lossless {
        // H.1: the first number is the predictor, the last the point transform.
        let fits = (1..=7).contains(&first) && low < frame.bits;
        let impossible = Error::Damaged("a scan header of a lossless frame is not possible");
        return fits.then_some(ScanHeader { components, first, last: 0, high: 0, low }).ok_or(impossible);
    }
    if !frame.is_progressive() {
        // libjpeg decodes such scans whole, whatever the header says here.
        return Ok(ScanHeader { components, first: 0, last: 63, high: 0, low: 0 });
    }
    let band_fits = if first == 0 { last == 0 } else { last >= first && last <= 63 && count == 1 };
    let bits_fit = low <= 13 && (high == 0 || high == low + 1);
    if !band_fits || !bits_fit {
        return Err(damaged());
    }
    Ok(ScanHeader { components, first, last, high, low })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zigzag_order_visits_every_place_once() {
        let mut places = NATURAL_ORDER.to_vec();
        places.sort_unstable();
        assert!(places.into_iter().eq(0..64));
    }

    #[test]
    fn files_that_end_inside_their_header_are_truncated() {
        assert_eq!(Header::read(&[0xFF, 0xD8, 0xFF, 0xDB, 0, 67, 0]).expect_err("cut off"), Error::Truncated);
        assert!(matches!(Header::read(b"GIF89a").expect_err("no JPEG"), Error::Damaged(_)));
    }
}
