//! Values by their representation: made-up ones, dates moved, texts decoded, forms checked.

use super::write::padded;
use crate::date;

/// Text of values that may not be empty.
pub(super) const REMOVED: &str = "REMOVED";

/// Whether values of this representation are text that people write.
pub(super) fn is_free_text(vr: [u8; 2]) -> bool {
    matches!(&vr, b"ST" | b"LT" | b"UT" | b"UC" | b"UR")
}

/// Whether values of this representation are stored as characters.
pub(super) fn is_text(vr: [u8; 2]) -> bool {
    is_free_text(vr)
        || matches!(&vr, b"LO" | b"SH" | b"PN" | b"CS" | b"AE" | b"AS" | b"DA" | b"DT" | b"TM" | b"DS" | b"IS" | b"UI")
}

/// A value of the same form that says nothing. `length` is that of the value replaced.
pub(super) fn dummy(vr: [u8; 2], length: usize) -> Vec<u8> {
    let text = match &vr {
        b"PN" => "Anonymous",
        b"DA" => "19000101",
        b"TM" => "000000",
        b"DT" => "19000101000000",
        b"AS" => "000Y",
        b"DS" | b"IS" => "0",
        b"UR" => "urn:removed",
        b"LO" | b"SH" | b"ST" | b"LT" | b"UT" | b"UC" | b"CS" | b"AE" => REMOVED,
        // Numbers become zeros of the same width; documents and unknown bytes two zeros.
        b"US" | b"SS" | b"OW" | b"OB" | b"UN" => return vec![0; 2],
        b"UL" | b"SL" | b"FL" | b"AT" | b"OF" | b"OL" => return vec![0; 4],
        b"FD" | b"OD" | b"SV" | b"UV" | b"OV" => return vec![0; 8],
        _ => return vec![0; length.min(2)],
    };
    padded(text.into(), b' ')
}

/// Moves all dates of a DA or DT value; `None` when one is none. Times stay.
pub(super) fn shifted(vr: [u8; 2], bytes: &[u8], days: i64) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let parts = text.split('\\').map(|part| {
        let part = part.trim_matches(['\0', ' ']);
        match &vr {
            _ if part.is_empty() => Some(String::new()),
            b"DA" => date::shift_da(part, days),
            b"DT" => date::shift_dt(part, days),
            b"TM" => is_time(part).then(|| part.to_string()),
            _ => None,
        }
    });
    let parts: Vec<String> = parts.collect::<Option<_>>()?;
    Some(padded(parts.join("\\").into_bytes(), b' '))
}

fn is_time(text: &str) -> bool {
    text.len() <= 16 && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b':'))
}

/// Whether a value that is kept has the form its representation in the standard asks for: what has not, could be anything.
pub(super) fn has_form(standard: [u8; 2], declared: [u8; 2], bytes: &[u8]) -> bool {
    let is_number = |byte: &u8| byte.is_ascii_digit() || b"+-.eE\\ \0".contains(byte);
    let parts = || bytes.split(|byte| *byte == b'\\').map(|part| part.trim_ascii());
    match &standard {
        b"DS" | b"IS" => bytes.iter().all(is_number),
        b"CS" => {
            parts().all(|part| part.len() <= 17) && bytes.iter().all(|byte| (0x20..0x7F).contains(byte) || *byte == 0)
        }
        b"AS" => parts().all(|part| part.len() <= 5),
        b"DA" => parts().all(|part| part.len() <= 10 && part.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')),
        b"TM" => parts()
            .all(|part| part.len() <= 17 && part.iter().all(|byte| byte.is_ascii_digit() || b".:\0".contains(byte))),
        b"DT" => parts()
            .all(|part| part.len() <= 27 && part.iter().all(|byte| byte.is_ascii_digit() || b".+-\0".contains(byte))),
        b"UI" => bytes.iter().all(|byte| byte.is_ascii_digit() || b".\\\0 ".contains(byte)),
        b"LO" | b"SH" | b"PN" | b"ST" | b"LT" | b"UT" | b"UC" | b"UR" | b"AE" | b"SQ" | b"UN" => true,
        // Numbers and bytes: a text representation in their place is a smuggler's.
        _ => !is_text(declared),
    }
}

/// The age of a value of AS in years when it is above 89 (then it identifies, 45 CFR 164.514).
pub(super) fn is_above_89(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_matches(['\0', ' ']);
    text.strip_suffix('Y').and_then(|years| years.parse::<u32>().ok()).is_some_and(|years| years > 89)
}

/// How the texts of a file are written (SpecificCharacterSet).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Charset {
    /// ASCII or UTF-8.
    Utf8,
    /// ISO 8859-1.
    Latin1,
    /// Anything else: only the ASCII part can be read.
    Other,
}

impl Charset {
    pub(super) fn of(value: Option<&[u8]>) -> Charset {
        let text = String::from_utf8_lossy(value.unwrap_or_default()).to_string();
        match text.trim_matches(['\0', ' ']) {
            "" | "ISO_IR 6" | "ISO 2022 IR 6" | "ISO_IR 192" => Charset::Utf8,
            "ISO_IR 100" | "ISO 2022 IR 100" => Charset::Latin1,
            _ => Charset::Other,
        }
    }

    /// The text, or `None` when it cannot be read with certainty.
    pub(super) fn decode(self, bytes: &[u8]) -> Option<String> {
        match self {
            Charset::Utf8 => std::str::from_utf8(bytes).ok().map(str::to_string),
            Charset::Latin1 => Some(bytes.iter().map(|byte| char::from(*byte)).collect()),
            Charset::Other if bytes.is_ascii() && !bytes.contains(&0x1B) => {
                Some(String::from_utf8_lossy(bytes).to_string())
            }
            Charset::Other => None,
        }
    }

    /// The bytes; letters that the set lacks become question marks.
    pub(super) fn encode(self, text: &str) -> Vec<u8> {
        match self {
            Charset::Utf8 => text.as_bytes().to_vec(),
            Charset::Latin1 => text.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap_or(b'?')).collect(),
            Charset::Other => text.chars().map(|letter| if letter.is_ascii() { letter as u8 } else { b'?' }).collect(),
        }
    }
}

/// Longest value of a representation in characters (PS3.5 6.2).
pub(super) fn longest(vr: [u8; 2]) -> usize {
    match &vr {
        b"SH" | b"AE" | b"CS" => 16,
        b"LO" | b"PN" => 64,
        b"ST" => 1024,
        b"LT" => 10240,
        _ => usize::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dummies_have_even_length() {
        for vr in [b"PN", b"DA", b"TM", b"AS", b"DS", b"LO", b"US", b"FD", b"UR", b"OB"] {
            assert_eq!(dummy(*vr, 5).len() % 2, 0);
        }
    }

    #[test]
    fn text_in_place_of_numbers_has_not_the_form() {
        assert!(!has_form(*b"US", *b"LO", b"Smith"));
        assert!(has_form(*b"US", *b"US", &[1, 0]));
        assert!(!has_form(*b"DS", *b"DS", b"1.5\\Smith "));
        assert!(!has_form(*b"CS", *b"CS", b"A VERY LONG NAME OF A PERSON"));
    }

    #[test]
    fn all_values_of_a_date_move() {
        assert_eq!(shifted(*b"DA", b"20240301\\20240302", -1).as_deref(), Some(&b"20240229\\20240301 "[..]));
        assert_eq!(shifted(*b"DA", b"yesterday", -1), None);
    }
}
