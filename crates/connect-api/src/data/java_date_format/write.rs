//! An instant as text.

use super::names::{AM_PM, DAYS, ERAS, ERAS_LONG, MONTHS, SHORT};
use super::week::{first_of_month, first_of_year, week_of_month, week_of_year, week_year};
use super::{Item, Letter};
use crate::data::calendar::{CivilTime, MS_PER_DAY, day_of_week};

pub(super) fn append(items: &[Item], ms: i64, out: &mut String) {
    let time = CivilTime::of_ms(ms);
    for item in items {
        match item {
            Item::Literal(text) => out.push_str(text),
            Item::Field(letter, count) => append_field(*letter, *count, ms, &time, out),
        }
    }
}

fn append_field(letter: Letter, count: usize, ms: i64, time: &CivilTime, out: &mut String) {
    let date = time.date;
    let day = ms.div_euclid(MS_PER_DAY);
    let number = match letter {
        Letter::Era => {
            let names = if count >= 4 { ERAS_LONG } else { ERAS };
            return out.push_str(names[usize::from(date.year > 0)]);
        }
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
                3 => return out.push_str(&name[..SHORT]),
                _ => return out.push_str(name),
            }
        }
        Letter::DayName => {
            let name = DAYS[day_of_week(day)];
            return out.push_str(if count >= 4 { name } else { &name[..SHORT] });
        }
        Letter::DayNumber => match day_of_week(day) {
            0 => 7,
            weekday => weekday as i64,
        },
        Letter::AmPm => return out.push_str(AM_PM[usize::from(time.hour >= 12)]),
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
            return out.push_str(if count >= 4 {
                "Coordinated Universal Time"
            } else {
                "UTC"
            });
        }
        Letter::ZoneRfc822 => return out.push_str("+0000"),
        Letter::ZoneIso8601 => return out.push('Z'),
    };
    pad(number, count, out);
}

/// A number with zeros before it to so many digits.
fn pad(number: i64, digits: usize, out: &mut String) {
    let mut buffer = itoa::Buffer::new();
    if number < 0 {
        out.push('-');
    }
    let text = buffer.format(number.unsigned_abs());
    out.extend(std::iter::repeat_n('0', digits.saturating_sub(text.len())));
    out.push_str(text);
}
