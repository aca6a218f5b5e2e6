//! DICOM run lengths (PS3.5 annex G): the bytes of a frame's samples, highest first, each in a segment of its own.

/// Segments that the header of a frame has room for.
const MAX_SEGMENTS: usize = 15;
const HEADER_BYTES: usize = 64;

/// The segments of one frame, `length` bytes each. The error says in words what is wrong.
pub(crate) fn decode(stream: &[u8], num_segments: usize, length: usize) -> Result<Vec<Vec<u8>>, String> {
    let header = stream.get(..HEADER_BYTES).ok_or("the header of run lengths is cut off")?;
    let word =
        |index: usize| header.as_chunks::<4>().0.get(index).map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize);
    if word(0) != num_segments || num_segments > MAX_SEGMENTS {
        return Err(format!("{} segments of run lengths, the attributes give {num_segments}", word(0)));
    }
    let mut segments = Vec::with_capacity(num_segments);
    for index in 1..=num_segments {
        let end = if index < num_segments { word(index + 1) } else { stream.len() };
        let bytes = stream.get(word(index)..end).filter(|_| word(index) >= HEADER_BYTES);
        let bytes = bytes.ok_or_else(|| format!("segment {index} of the run lengths lies outside the frame"))?;
        segments
            .push(unpack(bytes, length).ok_or_else(|| format!("segment {index} of the run lengths ends too early"))?);
    }
    Ok(segments)
}

/// PackBits (G.3.1): a count and bytes as they are, or a count and one byte that is repeated. `None` when too few come out.
fn unpack(bytes: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut at = 0;
    while out.len() < length {
        let count = *bytes.get(at)? as i8;
        at += 1;
        match count {
            0.. => {
                let count = count as usize + 1;
                out.extend_from_slice(bytes.get(at..at + count)?);
                at += count;
            }
            -128 => {} // Nothing.
            _ => {
                let byte = *bytes.get(at)?;
                out.resize(out.len() + usize::from(count.unsigned_abs()) + 1, byte);
                at += 1;
            }
        }
    }
    out.truncate(length);
    Some(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn frame(segments: &[&[u8]]) -> Vec<u8> {
        let mut header = vec![segments.len() as u32];
        let mut at = 64;
        for segment in segments {
            header.push(at);
            at += segment.len() as u32;
        }
        header.resize(16, 0);
        header.iter().flat_map(|word| word.to_le_bytes()).chain(segments.concat()).collect()
    }

    #[test]
    fn runs_and_plain_bytes_alternate() {
        let stream = frame(&[&[2, 7, 8, 9, 0x80, 0xFE, 5], &[0xFB, 1]]);
        assert_eq!(decode(&stream, 2, 6).unwrap(), [vec![7, 8, 9, 5, 5, 5], vec![1; 6]]);
    }

    #[test]
    fn damaged_frames_are_refused() {
        let stream = frame(&[&[2, 7, 8, 9]]);
        assert!(decode(&stream, 1, 4).is_err(), "too few bytes");
        assert!(decode(&stream, 2, 3).is_err(), "another number of segments");
        assert!(decode(&stream[..60], 1, 3).is_err(), "no header");
        let mut outside = stream.clone();
        outside[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(decode(&outside, 1, 3).is_err(), "a segment outside the frame");
        for end in 0..stream.len() {
            assert!(decode(&stream[..end], 1, 3).is_err());
        }
    }
}
