//! An instant as text.

use super::names::{AM_PM, DAYS, ERAS, MONTHS, SHORT};
use super::week::{first_of_month, first_of_year, week_of_month, week_of_year, week_year};
use super::{Item, Letter};
use crate::data::calendar::{CivilTime, MS_PER_DAY, day_of_week};

pub(super) fn append(items: &[Item], ms: i64, time: &CivilTime, out: &mut Vec<u8>) {
    for item in items {
        match item {
            Item::Literal(text) => out.extend_from_slice(text.as_bytes()),
            Item::Field(letter, count) => append_field(*letter, *count, ms, time, out),
        }
    }
}

fn append_field(letter: Letter, count: usize, ms: i64, time: &CivilTime, out: &mut Vec<u8>) {
    let date = time.date;
    let day = ms.div_euclid(MS_PER_DAY);
    let number = match letter {
        // Short, however many letters there are.
        Letter::Era => return put(ERAS[usize::from(date.year > 0)], out),
        Letter::Year | Letter::WeekYear => {
            let year = match letter {
                Letter::Year => date.year_of_era() as i64,
                _ => week_year(date, day),
            };
            if count == 2 {
                return pad(year.rem_euclid(100), 2, out);
            }
            year
        }
        Letter::Month | Letter::MonthAlone => {
            let name = MONTHS[usize::from(date.month) - 1];
            match count {
                ..=2 => date.month.into(),
                3 => return put(&name[..SHORT], out),
                _ => return put(name, out),
            }
        }
        Letter::DayName => {
            let name = DAYS[day_of_week(day)];
            return put(if count >= 4 { name } else { &name[..SHORT] }, out);
        }
        Letter::DayNumber => match day_of_week(day) {
            0 => 7,
            weekday => weekday as i64,
        },
        Letter::AmPm => return put(AM_PM[usize::from(time.hour >= 12)], out),
        Letter::WeekOfYear => week_of_year(date, day),
        Letter::WeekOfMonth => week_of_month(date, day),
        Letter::DayOfYear => day - first_of_year(date) + 1,
        Letter::DayOfMonth => date.day.into(),
        Letter::DayOfWeekInMonth => (day - first_of_month(date)) / 7 + 1,
        Letter::Hour0To23 => time.hour.into(),
        Letter::Hour1To24 => match time.hour {
            0 => 24,
            hour => hour.into(),
        },
        Letter::Hour0To11 => i64::from(time.hour % 12),
        Letter::Hour1To12 => match time.hour % 12 {
            0 => 12,
            hour => hour.into(),
        },
        Letter::Minute => time.minute.into(),
        Letter::Second => time.second.into(),
        Letter::Millisecond => time.millisecond.into(),
        Letter::ZoneName => {
            let name = if count >= 4 {
                "Coordinated Universal Time"
            } else {
                "UTC"
            };
            return put(name, out);
        }
        Letter::ZoneRfc822 => return put("+0000", out),
        Letter::ZoneIso8601 => return put("Z", out),
    };
    pad(number, count, out);
}

fn put(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(text.as_bytes());
}

/// A number with zeros before it to so many digits.
#[inline]
fn pad(number: i64, digits: usize, out: &mut Vec<u8>) {
    let digit = |power: i64| b'0' + (number / power % 10) as u8;
    match (digits, number) {
        (2, 0..=99) => out.extend_from_slice(&[digit(10), digit(1)]),
        (3, 0..=999) => out.extend_from_slice(&[digit(100), digit(10), digit(1)]),
        (4, 0..=9999) => {
            out.extend_from_slice(&[digit(1000), digit(100), digit(10), digit(1)]);
        }
        _ => pad_slowly(number, digits, out),
    }
}

fn pad_slowly(number: i64, digits: usize, out: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    if number < 0 {
        out.push(b'-');
    }
    let text = buffer.format(number.unsigned_abs());
    out.extend(std::iter::repeat_n(b'0', digits.saturating_sub(text.len())));
    put(text, out);
}
