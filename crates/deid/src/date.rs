//! Calendar days, and DICOM dates moved by days.

/// A day of the Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day {
    /// Year.
    pub year: i64,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
}

impl Day {
    /// A day that exists, in the years 1 to 9999.
    pub fn new(year: i64, month: u32, day: u32) -> Option<Day> {
        let exists = (1..=9999).contains(&year) && (1..=12).contains(&month);
        (exists && (1..=days_in_month(year, month)).contains(&day)).then_some(Day { year, month, day })
    }

    /// The day `days` later (earlier when negative), within the years 1 to 9999.
    pub fn shifted(self, days: i64) -> Day {
        Day::from_number(self.number().saturating_add(days).clamp(-719_162, 2_932_896))
    }

    /// Days since 1970-01-01 (algorithm of H. Hinnant, "chrono-compatible low-level date algorithms").
    fn number(self) -> i64 {
        let year = if self.month <= 2 { self.year - 1 } else { self.year };
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let month = (i64::from(self.month) + 9) % 12;
        let day_of_year = (153 * month + 2) / 5 + i64::from(self.day) - 1;
        era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
    }

    fn from_number(number: i64) -> Day {
        let days = number + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * day_of_year + 2) / 153;
        let day = (day_of_year - (153 * month + 2) / 5 + 1) as u32;
        let month = if month < 10 { month + 3 } else { month - 9 };
        Day { year: year_of_era + era * 400 + i64::from(month <= 2), month: month as u32, day }
    }
}

fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Moves a DICOM DA value (`YYYYMMDD`, or the old `YYYY.MM.DD`); `None` when it is not one.
pub(crate) fn shift_da(text: &str, days: i64) -> Option<String> {
    let digits: String = match text.len() {
        8 => text.into(),
        10 if text.as_bytes()[4] == b'.' && text.as_bytes()[7] == b'.' => text.replace('.', ""),
        _ => return None,
    };
    let day = day_of_digits(&digits)?.shifted(days);
    Some(format!("{:04}{:02}{:02}", day.year, day.month, day.day))
}

/// Moves a DICOM DT value (`YYYYMMDDHHMMSS.FFFFFF&ZZXX`, cut off at any component); time and zone stay. A value without a day
/// is moved as its first day and cut again.
pub(crate) fn shift_dt(text: &str, days: i64) -> Option<String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let valid_rest = rest.bytes().all(|byte| byte.is_ascii_digit() || b".+-".contains(&byte)) && rest.len() <= 12;
    if !valid_rest || digits.len() > 14 {
        return None;
    }
    let padded = match digits.len() {
        4 => format!("{digits}0101"),
        6 => format!("{digits}01"),
        8.. => digits[..8].to_string(),
        _ => return None,
    };
    let day = day_of_digits(&padded)?.shifted(days);
    let moved = format!("{:04}{:02}{:02}", day.year, day.month, day.day);
    Some(format!("{}{}{rest}", &moved[..digits.len().min(8)], digits.get(8..).unwrap_or_default()))
}

fn day_of_digits(digits: &str) -> Option<Day> {
    if digits.len() != 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Day::new(digits[..4].parse().ok()?, digits[4..6].parse().ok()?, digits[6..].parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shifting_there_and_back_gives_the_same_day() {
        for (year, month, day) in [(1970, 1, 1), (2000, 2, 29), (1900, 2, 28), (2024, 12, 31), (1969, 7, 20)] {
            let day = Day::new(year, month, day).expect("exists");
            for shift in [-3652, -366, -1, 1, 59, 100_000] {
                assert_eq!(day.shifted(shift).shifted(-shift), day);
            }
        }
        assert_eq!(Day::new(2024, 2, 28).expect("exists").shifted(2), Day::new(2024, 3, 1).expect("exists"));
        assert_eq!(Day::new(2023, 2, 29), None);
    }

    #[test]
    fn dicom_dates_keep_their_form() {
        assert_eq!(shift_da("20240301", -1).as_deref(), Some("20240229"));
        assert_eq!(shift_da("2024.03.01", -1).as_deref(), Some("20240229"));
        assert_eq!(shift_da("2024", -1), None);
        assert_eq!(shift_dt("20240301101112.5+0100", -1).as_deref(), Some("20240229101112.5+0100"));
        assert_eq!(shift_dt("202403", -1).as_deref(), Some("202402"));
        assert_eq!(shift_dt("Monday", -1), None);
    }
}
