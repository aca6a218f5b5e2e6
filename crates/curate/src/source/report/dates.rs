//! Takes dates out of text: they tell who somebody is (HIPAA safe harbour names all elements of dates but the year).
//!
//! Years alone, times of day and durations stay. What stands in their place is `[date]`, in Chinese text `[日期]`.

use std::iter::once;

const MONTHS: [&str; 24] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "enero",
    "febrero",
    "marzo",
    "abril",
    "mayo",
    "junio",
    "julio",
    "agosto",
    "septiembre",
    "octubre",
    "noviembre",
    "diciembre",
];

/// A piece of text: a run of digits, a run of letters, or one other character.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Piece<'a> {
    Digits(&'a str),
    Letters(&'a str),
    Other(char),
}

impl Piece<'_> {
    fn length(&self) -> usize {
        match self {
            Piece::Digits(text) | Piece::Letters(text) => text.len(),
            Piece::Other(letter) => letter.len_utf8(),
        }
    }

    /// The number, when it has at most this many digits.
    fn number(&self, most_digits: usize) -> Option<u32> {
        match self {
            Piece::Digits(text) if text.len() <= most_digits => text.parse().ok(),
            _ => None,
        }
    }

    fn is_day(&self) -> bool {
        self.number(2).is_some_and(|number| (1..=31).contains(&number))
    }

    fn is_month_number(&self) -> bool {
        self.number(2).is_some_and(|number| (1..=12).contains(&number))
    }

    fn is_year(&self) -> bool {
        matches!(self, Piece::Digits(text) if text.len() == 4)
            && self.number(4).is_some_and(|year| (1850..=2150).contains(&year))
    }

    /// A name of a month in English or Spanish, or its first three letters.
    fn is_month_name(&self) -> bool {
        let Piece::Letters(text) = self else { return false };
        let text = text.to_lowercase();
        MONTHS
            .iter()
            .any(|month| text == *month || (text.len() >= 3 && text.len() <= 4 && month.starts_with(text.as_str())))
    }

    fn is(&self, letters: &str) -> bool {
        match self {
            Piece::Letters(text) => text.eq_ignore_ascii_case(letters),
            Piece::Other(letter) => letters.chars().eq(once(*letter)),
            Piece::Digits(_) => false,
        }
    }
}

/// The text without dates.
pub(super) fn without(text: &str) -> String {
    let is_chinese = text.chars().any(|letter| ('\u{4e00}'..='\u{9fff}').contains(&letter));
    let mark = if is_chinese { "[日期]" } else { "[date]" };
    let pieces = pieces(text);
    let mut clean = String::with_capacity(text.len());
    let (mut index, mut start) = (0, 0);
    while index < pieces.len() {
        let count = date(&pieces[index..]);
        let taken = count.max(1);
        let length: usize = pieces[index..index + taken].iter().map(Piece::length).sum();
        if count > 0 {
            clean.push_str(mark);
        } else {
            clean.push_str(&text[start..start + length]);
        }
        start += length;
        index += taken;
    }
    clean
}

/// Digits are ASCII; Chinese letters stand alone, so that 年, 月 and 日 are found in a run of them.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_han = |letter: char| ('\u{2e80}'..='\u{9fff}').contains(&letter);
        let run = |belongs: &dyn Fn(char) -> bool| rest.find(|letter| !belongs(letter)).unwrap_or(rest.len());
        let (piece, length) = if first.is_ascii_digit() {
            let length = run(&|letter| letter.is_ascii_digit());
            (Piece::Digits(&rest[..length]), length)
        } else if first.is_alphabetic() && !is_han(first) {
            let length = run(&|letter| letter.is_alphabetic() && !is_han(letter));
            (Piece::Letters(&rest[..length]), length)
        } else {
            (Piece::Other(first), first.len_utf8())
        };
        pieces.push(piece);
        rest = &rest[length..];
    }
    pieces
}

/// Pieces of the date that begins here; 0 when none does.
fn date(pieces: &[Piece]) -> usize {
    numeric(pieces).or_else(|| chinese(pieces)).or_else(|| named(pieces)).or_else(|| compact(pieces)).unwrap_or(0)
}

/// `2012-01-31`, `31/1/2012`, `1.31.12`, `03/2011`; a time behind a `T` goes with it.
fn numeric(pieces: &[Piece]) -> Option<usize> {
    let separator = |index: usize| match pieces.get(index) {
        Some(Piece::Other(letter @ ('-' | '/' | '.'))) => Some(*letter),
        _ => None,
    };
    let first = pieces.first()?;
    let mark = separator(1)?;
    let second = pieces.get(2)?;
    if separator(3) == Some(mark)
        && let Some(third) = pieces.get(4)
    {
        // With points between numbers of one digit it is a section or a dose: `1.2.3`.
        let short_year = |piece: &Piece| matches!(piece, Piece::Digits(text) if text.len() == 2);
        let is_year = |piece: &Piece| piece.is_year() || short_year(piece);
        let begins_with_year = first.is_year() && second.is_month_number() && third.is_day();
        let day_and_month =
            (first.is_day() && second.is_month_number()) || (first.is_month_number() && second.is_day());
        // A fourth part makes it a version, an address or an identifier.
        let goes_on = separator(5) == Some(mark) && matches!(pieces.get(6), Some(Piece::Digits(_)));
        if (begins_with_year || (day_and_month && is_year(third))) && !goes_on {
            return Some(5 + time(&pieces[5..]));
        }
    }
    let month_and_year = mark == '/' && first.is_month_number() && second.is_year();
    let year_and_month = mark == '-' && first.is_year() && second.is_month_number();
    (month_and_year || year_and_month).then_some(3)
}

/// `T12:00:00+01:00` behind a date.
fn time(pieces: &[Piece]) -> usize {
    if !pieces.first().is_some_and(|piece| piece.is("T")) || !matches!(pieces.get(1), Some(Piece::Digits(_))) {
        return 0;
    }
    let belongs =
        |piece: &&Piece| matches!(piece, Piece::Digits(_) | Piece::Other(':' | '.' | '+' | '-')) || piece.is("Z");
    let count = 1 + pieces[1..].iter().take_while(belongs).count();
    // A full stop or hyphen at the end belongs to the sentence.
    count - pieces[1..count].iter().rev().take_while(|piece| matches!(piece, Piece::Other('.' | '-'))).count()
}

/// `2012年1月31日`, `2012年1月`, `1月31日`.
fn chinese(pieces: &[Piece]) -> Option<usize> {
    let followed = |index: usize, letter: &str| pieces.get(index).is_some_and(|piece| piece.is(letter));
    let number = |index: usize| pieces.get(index).is_some_and(|piece| piece.number(2).is_some());
    let day_of_month = |index: usize| number(index) && (followed(index + 1, "日") || followed(index + 1, "号"));
    if pieces.first()?.is_year() && followed(1, "年") && number(2) && followed(3, "月") {
        return Some(if day_of_month(4) { 6 } else { 4 });
    }
    (pieces.first()?.is_month_number() && followed(1, "月") && day_of_month(2)).then_some(4)
}

/// `31 January 2012`, `31st of Jan. 2012`, `31 de enero de 2012`, `January 31, 2012`, `January 2012`.
fn named(pieces: &[Piece]) -> Option<usize> {
    let first = pieces.first()?;
    // Words and numbers with their places; blanks, commas and points between them do not count.
    let words: Vec<(usize, &Piece)> = pieces
        .iter()
        .enumerate()
        .take(14)
        .take_while(|(_, piece)| !matches!(piece, Piece::Other(letter) if !matches!(letter, ' ' | ',' | '.' | '-' | '/' | '\'')))
        .filter(|(_, piece)| !matches!(piece, Piece::Other(_)))
        .filter(|(index, piece)| *index == 0 || !["of", "de", "del", "st", "nd", "rd", "th"].iter().any(|word| piece.is(word)))
        .collect();
    let at = |index: usize| words.get(index).map(|(_, piece)| *piece);
    let end = |index: usize| words[index].0 + 1;
    if first.is_day() && at(1).is_some_and(Piece::is_month_name) {
        if at(2).is_some_and(Piece::is_year) {
            return Some(end(2));
        }
        // `segment 3 may be`: a small letter means a month only where it is joined as in `12 de enero`.
        let is_joined = pieces[1..words[1].0].iter().any(|piece| piece.is("de") || piece.is("of"));
        return (is_joined || at(1).is_some_and(begins_large)).then(|| end(1));
    }
    // `May` alone may be a verb: a month before a number must be followed by a day or a year.
    if first.is_month_name() && begins_large(first) {
        if at(1).is_some_and(Piece::is_day) && at(2).is_some_and(Piece::is_year) {
            return Some(end(2));
        }
        if at(1).is_some_and(Piece::is_year) {
            return Some(end(1));
        }
    }
    None
}

fn begins_large(piece: &Piece) -> bool {
    matches!(piece, Piece::Letters(text) if text.chars().next().is_some_and(char::is_uppercase))
}

/// `20120131` and `20120131120000`.
fn compact(pieces: &[Piece]) -> Option<usize> {
    let Piece::Digits(text) = pieces.first()? else { return None };
    if !matches!(text.len(), 8 | 12 | 14) {
        return None;
    }
    let part = |range: std::ops::Range<usize>| Piece::Digits(&text[range]);
    (part(0..4).is_year() && part(4..6).is_month_number() && part(6..8).is_day()).then_some(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go() {
        for (text, clean) in [
            ("Seen on 2012-12-01T12:00:00+01:00.", "Seen on [date]."),
            ("Admit date: 10/12/1982, discharge 10/22/1982", "Admit date: [date], discharge [date]"),
            ("since 01/15/19 and 07-22-19; 08.03.19 too", "since [date] and [date]; [date] too"),
            ("Dr Henry Seven  17/06/2008", "Dr Henry Seven  [date]"),
            ("on 3 March 2011 and March 3rd, 2011", "on [date] and [date]"),
            ("the 31st of Jan. 2012, comparison January 2012.", "the [date], comparison [date]."),
            ("ingresa el 12 de enero de 2012 con fiebre", "ingresa el [date] con fiebre"),
            ("compared with 03/2011", "compared with [date]"),
            ("received 20141006064500", "received [date]"),
        ] {
            assert_eq!(without(text), clean);
        }
        assert_eq!(without("2012年1月31日检查，1月3日复查，2012年1月"), "[日期]检查，[日期]复查，[日期]");
    }

    #[test]
    fn numbers_that_are_no_dates_stay() {
        for text in [
            "1. Stable. 2. Clear.",
            "section 1.2.3 and 10.5.2",
            "4/5 strength, 3-4 mm, 2/6 murmur, 120/80 mmHg",
            "T2-weighted, L4-L5, 45mm, 7:34 p.m.",
            "in 1994, may 3 lesions",
            "May show a nodule of 12 mm",
            "segment 3 may represent",
            "1.2.840.113619.2.62 and 10.1.1.12.5",
            "量约20ml，第3月",
        ] {
            assert_eq!(without(text), text);
        }
    }
}
