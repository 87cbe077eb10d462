//! Dates and times with an offset as Java's `ISO_OFFSET_DATE_TIME` and `ISO_OFFSET_TIME` read and write them.
//!
//! Lives here: texts to numbers and back, in the proleptic Gregorian calendar of `java.time`.
//! Never here: time zones with names.

pub(super) const NANOS_PER_SECOND: i64 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// A local date and time beside its offset, both in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct OffsetDateTime {
    /// Since 1970-01-01T00:00 of the same place.
    pub local_seconds: i64,
    pub nanos: i64,
    pub offset: i32,
}

/// A time of day beside its offset.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct OffsetTime {
    pub second_of_day: i64,
    pub nanos: i64,
    pub offset: i32,
}

impl OffsetDateTime {
    /// `2020-01-31T12:30:15.123+02:00`; seconds may be left out. `None` where Java throws.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut input = Input(text.as_bytes());
        let day = input.date()?;
        input.one_of(b"Tt")?;
        let time = input.offset_time(Minutes::Optional)?;
        Some(Self {
            local_seconds: day * SECONDS_PER_DAY + time.second_of_day,
            nanos: time.nanos,
            offset: time.offset,
        })
    }

    /// The same instant elsewhere.
    pub(super) fn with_offset(self, offset: i32) -> Self {
        Self {
            local_seconds: self.local_seconds + i64::from(offset) - i64::from(self.offset),
            offset,
            ..self
        }
    }

    pub(super) fn text(self) -> String {
        let (year, month, day) = civil_of_day(self.local_seconds.div_euclid(SECONDS_PER_DAY));
        let time = OffsetTime {
            second_of_day: self.local_seconds.rem_euclid(SECONDS_PER_DAY),
            nanos: self.nanos,
            offset: self.offset,
        };
        let year = match year {
            10_000.. => format!("+{year}"),
            0.. => format!("{year:04}"),
            _ => format!("-{:04}", -year),
        };
        format!("{year}-{month:02}-{day:02}T{}", time.text())
    }
}

impl OffsetTime {
    /// `12:30:15.123+02:00`; seconds may be left out. `None` where Java throws.
    pub(super) fn parse(text: &str) -> Option<Self> {
        Input(text.as_bytes()).offset_time(Minutes::Required)
    }

    /// The same instant elsewhere; the day does not show.
    pub(super) fn with_offset(self, offset: i32) -> Self {
        let moved = self.second_of_day + i64::from(offset) - i64::from(self.offset);
        Self {
            second_of_day: moved.rem_euclid(SECONDS_PER_DAY),
            offset,
            ..self
        }
    }

    pub(super) fn text(self) -> String {
        let Self {
            second_of_day: second,
            nanos,
            offset,
        } = self;
        let mut text = format!(
            "{:02}:{:02}:{:02}",
            second / 3600,
            second / 60 % 60,
            second % 60
        );
        if nanos != 0 {
            let digits = format!(".{nanos:09}");
            text.push_str(digits.trim_end_matches('0'));
        }
        text.push_str(&offset_text(offset));
        text
    }
}

/// `Z`, `+02:00`, `-00:00:30`.
fn offset_text(offset: i32) -> String {
    if offset == 0 {
        return "Z".to_string();
    }
    let (sign, size) = if offset < 0 {
        ('-', -offset)
    } else {
        ('+', offset)
    };
    let text = format!("{sign}{:02}:{:02}", size / 3600, size / 60 % 60);
    match size % 60 {
        0 => text,
        seconds => format!("{text}:{seconds:02}"),
    }
}

/// Whether an offset must have minutes. Java reads `+01` behind a date and time, and refuses it behind a time.
#[derive(Clone, Copy, PartialEq)]
enum Minutes {
    Required,
    Optional,
}

/// What is left to read.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn one_of(&mut self, choice: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        if !choice.contains(first) {
            return None;
        }
        self.0 = rest;
        Some(*first)
    }

    /// Exactly two digits, at most `max`.
    fn two_digits(&mut self, max: i64) -> Option<i64> {
        let (digits, rest) = self.0.split_at_checked(2)?;
        let number = number(digits)?;
        self.0 = rest;
        (number <= max).then_some(number)
    }

    fn digits(&mut self, max: usize) -> &[u8] {
        let count = self
            .0
            .iter()
            .take(max)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        digits
    }

    /// Days since 1970-01-01.
    fn date(&mut self) -> Option<i64> {
        let sign = self.one_of(b"+-");
        let digits = self.digits(10);
        let (length, year) = (digits.len(), number(digits)?);
        let year = match sign {
            // Four digits without a sign, more with a plus.
            None if length == 4 => year,
            Some(b'+') if length > 4 && year <= 999_999_999 => year,
            Some(b'-') if length >= 4 && (1..=999_999_999).contains(&year) => -year,
            _ => return None,
        };
        self.one_of(b"-")?;
        let month = self.two_digits(12).filter(|month| *month > 0)?;
        self.one_of(b"-")?;
        let day = self.two_digits(31).filter(|day| *day > 0)?;
        let days = day_of_civil(year, month, day);
        (civil_of_day(days) == (year, month, day)).then_some(days)
    }

    fn offset_time(&mut self, minutes: Minutes) -> Option<OffsetTime> {
        let hour = self.two_digits(23)?;
        self.one_of(b":")?;
        let minute = self.two_digits(59)?;
        let (mut second, mut nanos) = (0, 0);
        if self.one_of(b":").is_some() {
            second = self.two_digits(59)?;
            if self.one_of(b".").is_some() {
                let digits = self.digits(9);
                if !digits.is_empty() {
                    let scale = 10i64.pow(9 - digits.len() as u32);
                    nanos = number(digits)? * scale;
                }
            }
        }
        let offset = self.offset(minutes)?;
        self.0.is_empty().then_some(OffsetTime {
            second_of_day: hour * 3600 + minute * 60 + second,
            nanos,
            offset,
        })
    }

    fn offset(&mut self, minutes: Minutes) -> Option<i32> {
        if self.one_of(b"Zz").is_some() {
            return Some(0);
        }
        let negative = self.one_of(b"+-")? == b'-';
        let hours = self.two_digits(18)?;
        if minutes == Minutes::Optional && self.0.is_empty() {
            return offset_of(negative, hours, 0, 0);
        }
        self.one_of(b":")?;
        let minutes = self.two_digits(59)?;
        let seconds = match self.one_of(b":") {
            Some(_) => self.two_digits(59)?,
            None => 0,
        };
        offset_of(negative, hours, minutes, seconds)
    }
}

/// An offset in seconds, within 18 hours of UTC.
pub(super) fn offset_of(negative: bool, hours: i64, minutes: i64, seconds: i64) -> Option<i32> {
    let size = hours * 3600 + minutes * 60 + seconds;
    let fits = minutes < 60 && seconds < 60 && size <= 18 * 3600;
    fits.then_some(if negative {
        -(size as i32)
    } else {
        size as i32
    })
}

fn number(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Days from 0000-03-01 to 1970-01-01.
const EPOCH: i64 = 719_468;
const DAYS_PER_ERA: i64 = 146_097;

/// The date of a day counted from 1970-01-01, in the proleptic Gregorian calendar.
pub(super) fn civil_of_day(day: i64) -> (i64, i64, i64) {
    let day = day + EPOCH;
    let era = day.div_euclid(DAYS_PER_ERA);
    let of_era = day.rem_euclid(DAYS_PER_ERA);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year + i64::from(month <= 2);
    (year, month, of_year - (153 * from_march + 2) / 5 + 1)
}

fn day_of_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * DAYS_PER_ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year - EPOCH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_and_written_as_in_java() {
        let rows = [
            ("2020-01-31T12:30+02:00", Some("2020-01-31T12:30:00+02:00")),
            (
                "2020-02-29T23:59:59.120000Z",
                Some("2020-02-29T23:59:59.12Z"),
            ),
            (
                "2020-01-01t00:00:00.000000001+18:00",
                Some("2020-01-01T00:00:00.000000001+18:00"),
            ),
            (
                "-0044-03-15T00:00:00-00:00:30",
                Some("-0044-03-15T00:00:00-00:00:30"),
            ),
            (
                "+12345-03-15T00:00:00+00:00",
                Some("+12345-03-15T00:00:00Z"),
            ),
            ("2019-02-29T00:00:00Z", None),
            ("2020-01-01T24:00:00Z", None),
            ("2020-01-01T00:00:00", None),
            ("2020-01-01T00:00:00+18:01", None),
            ("20200-01-01T00:00:00Z", None),
            ("2020-01-01T00:00:00.+01", Some("2020-01-01T00:00:00+01:00")),
            ("2020-01-01T00:00:00+0100", None),
            ("2020-01-01 00:00:00Z", None),
        ];
        for (text, expected) in rows {
            let got = OffsetDateTime::parse(text).map(OffsetDateTime::text);
            assert_eq!(got.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn an_instant_stays_when_the_offset_moves() {
        let time = OffsetDateTime::parse("2020-03-01T01:00:00+02:00").unwrap();
        assert_eq!(time.with_offset(-3600).text(), "2020-02-29T22:00:00-01:00");
        assert_eq!(OffsetTime::parse("23:30:00+00"), None);
        let time = OffsetTime::parse("23:30:00+00:00").unwrap();
        assert_eq!(time.with_offset(3600).text(), "00:30:00+01:00");
    }
}
