//! A text as an instant.

use super::fields::{Century, Field, Fields, weekday_of_iso};
use super::names::{self, AM_PM, DAYS, ERAS, ERAS_LONG, MONTHS, SHORT};
use super::{Item, Letter};
use crate::data::java_integer::Reader;

pub(super) fn read(items: &[Item], century: &Century, text: &str) -> Option<i64> {
    let mut reading = Reading {
        text,
        at: 0,
        fields: Fields::default(),
        ambiguous_year: false,
        century,
    };
    for (i, item) in items.iter().enumerate() {
        match item {
            Item::Literal(literal) => {
                if !text[reading.at..].starts_with(&**literal) {
                    return None;
                }
                reading.at += literal.len();
            }
            Item::Field(letter, count) => {
                let bounded = matches!(items.get(i + 1), Some(Item::Field(next, next_count))
                    if next.begins_with_a_number(*next_count));
                reading.field(*letter, *count, bounded)?;
            }
        }
    }
    if reading.at == 0 {
        return None;
    }
    let mut fields = reading.fields;
    fields.normalize_week_date();
    Some(if reading.ambiguous_year {
        century.place(fields)
    } else {
        fields.to_ms()
    })
}

impl Letter {
    /// Whether a number before this field, without anything between, must end after as many digits as it has letters.
    fn begins_with_a_number(self, count: usize) -> bool {
        match self {
            Letter::Month | Letter::MonthAlone => count <= 2,
            Letter::Era
            | Letter::DayName
            | Letter::AmPm
            | Letter::ZoneName
            | Letter::ZoneRfc822
            | Letter::ZoneIso8601 => false,
            _ => true,
        }
    }
}

struct Reading<'a> {
    text: &'a str,
    at: usize,
    fields: Fields,
    ambiguous_year: bool,
    century: &'a Century,
}

impl Reading<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn field(&mut self, letter: Letter, count: usize, bounded: bool) -> Option<()> {
        let start = self.at;
        let blanks = self.rest().len() - self.rest().trim_start_matches([' ', '\t']).len();
        self.at += blanks;
        if self.rest().is_empty() {
            return None;
        }
        let field = match letter {
            Letter::Era => {
                let eras = ERAS.iter().chain(&ERAS_LONG);
                return self.name_at(
                    start,
                    Field::Era,
                    eras.enumerate().map(|(i, name)| (i % 2, *name)),
                );
            }
            Letter::Month | Letter::MonthAlone if count > 2 => {
                return self.name_at(start, Field::Month, long_and_short(&MONTHS, 0));
            }
            Letter::DayName => {
                return self.name_at(start, Field::DayOfWeek, long_and_short(&DAYS, 1));
            }
            Letter::AmPm => {
                return self.name_at(start, Field::AmPm, AM_PM.iter().copied().enumerate());
            }
            Letter::ZoneName | Letter::ZoneRfc822 => return self.zone(),
            Letter::ZoneIso8601 => return self.iso_zone(count),
            Letter::Year => Field::Year,
            Letter::WeekYear => Field::WeekYear,
            Letter::Month | Letter::MonthAlone => Field::Month,
            Letter::WeekOfYear => Field::WeekOfYear,
            Letter::WeekOfMonth => Field::WeekOfMonth,
            Letter::DayOfYear => Field::DayOfYear,
            Letter::DayOfMonth => Field::DayOfMonth,
            Letter::DayOfWeekInMonth => Field::DayOfWeekInMonth,
            Letter::DayNumber => Field::DayOfWeek,
            Letter::Hour0To23 | Letter::Hour1To24 => Field::HourOfDay,
            Letter::Hour0To11 | Letter::Hour1To12 => Field::Hour,
            Letter::Minute => Field::Minute,
            Letter::Second => Field::Second,
            Letter::Millisecond => Field::Millisecond,
        };
        let begin = self.at;
        let mut value = self.number(start, bounded.then_some(count))?;
        match letter {
            Letter::Year | Letter::WeekYear if count <= 2 => {
                let digits = &self.text.as_bytes()[begin..self.at];
                if digits.len() == 2 && digits.iter().all(u8::is_ascii_digit) {
                    let start_year = self.century.start_year;
                    self.ambiguous_year = value == start_year % 100;
                    let next = if value < start_year % 100 { 100 } else { 0 };
                    value += start_year / 100 * 100 + next;
                }
            }
            Letter::Month | Letter::MonthAlone => value = value.wrapping_sub(1),
            Letter::DayNumber => value = weekday_of_iso(value),
            Letter::Hour1To24 if value == 24 => value = 0,
            Letter::Hour1To12 if value == 12 => value = 0,
            _ => {}
        }
        self.fields.set(field, value);
        Some(())
    }

    /// A name; blanks before it are not skipped.
    fn name_at<'n>(
        &mut self,
        start: usize,
        field: Field,
        names: impl IntoIterator<Item = (usize, &'n str)>,
    ) -> Option<()> {
        self.at = start;
        let (index, length) = names::longest(self.rest(), names)?;
        self.at += length;
        self.fields.set(field, index as i32);
        Some(())
    }

    /// A number; of so many characters at most, counted from the start of the field with its blanks.
    fn number(&mut self, start: usize, length_max: Option<usize>) -> Option<i32> {
        let end = match length_max {
            None => self.text.len(),
            Some(length) => {
                let field = &self.text[start..];
                let mut ends = field.char_indices().map(|(at, _)| at).chain([field.len()]);
                start + ends.nth(length)?
            }
        };
        if end <= self.at {
            return None;
        }
        let mut reader = Reader {
            rest: &self.text[self.at..end],
        };
        let number = reader.number()?;
        self.at = end - reader.rest.len();
        Some(number)
    }

    /// `GMT+h:mm`, `+hhmm`, or a name.
    fn zone(&mut self) -> Option<()> {
        let sign = sign_of(self.rest());
        if sign != 0 {
            self.at += 1;
            return self.numeric_zone(sign, 0, Colon::Absent);
        }
        if names::begins_with(self.rest(), "GMT") {
            self.at += 3;
            let sign = sign_of(self.rest());
            if sign == 0 {
                self.fields.set_zone(0);
                return Some(());
            }
            self.at += 1;
            return self.numeric_zone(sign, 0, Colon::Needed);
        }
        let (minutes, length) = names::zone(self.rest())?;
        self.at += length;
        self.fields.set_zone(minutes);
        Some(())
    }

    fn iso_zone(&mut self, count: usize) -> Option<()> {
        if self.rest().starts_with('Z') {
            self.at += 1;
            self.fields.set_zone(0);
            return Some(());
        }
        let sign = sign_of(self.rest());
        if sign == 0 {
            return None;
        }
        self.at += 1;
        let colon = if count == 3 {
            Colon::Needed
        } else {
            Colon::Absent
        };
        self.numeric_zone(sign, count, colon)
    }

    /// Hours and minutes behind the sign; `count` 1 has hours only, and 0 may have one digit of them.
    fn numeric_zone(&mut self, sign: i32, count: usize, colon: Colon) -> Option<()> {
        let mut hours = self.digit()?;
        match self.digit() {
            Some(digit) => hours = hours * 10 + digit,
            None if count > 0 || colon == Colon::Absent => return None,
            None => {}
        }
        if hours > 23 {
            return None;
        }
        let mut minutes = 0;
        if count != 1 {
            if colon == Colon::Needed {
                self.rest().strip_prefix(':')?;
                self.at += 1;
            }
            minutes = self.digit()? * 10 + self.digit()?;
            if minutes > 59 {
                return None;
            }
        }
        self.fields.set_zone(sign * (hours * 60 + minutes));
        Some(())
    }

    fn digit(&mut self) -> Option<i32> {
        let byte = self.text.as_bytes().get(self.at)?;
        let digit = byte.is_ascii_digit().then(|| i32::from(byte - b'0'))?;
        self.at += 1;
        Some(digit)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Colon {
    Needed,
    Absent,
}

fn sign_of(text: &str) -> i32 {
    match text.as_bytes().first() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => 0,
    }
}

/// Long and short names with what they stand for; the first stands for `first`.
fn long_and_short<'a>(
    names: &'a [&'a str],
    first: usize,
) -> impl Iterator<Item = (usize, &'a str)> {
    let numbered = names.iter().enumerate();
    numbered.flat_map(move |(i, name)| [(i + first, *name), (i + first, &name[..SHORT])])
}
