//! What instant the fields of a text make, as `java.util.GregorianCalendar` decides it when they contradict or lack.
//!
//! Lives here: which fields count (those set last), weeks, eras, zones.
//! Source: the documentation of `java.util.Calendar`, and what Java 17 answers.

use crate::data::calendar::{
    CUTOVER_DAY, CUTOVER_YEAR, CivilDate, Leap, MS_PER_DAY, day_of_week, days_to_month,
};

/// A field of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Era,
    Year,
    Month,
    WeekOfYear,
    WeekOfMonth,
    DayOfMonth,
    DayOfYear,
    /// 1 for Sunday.
    DayOfWeek,
    DayOfWeekInMonth,
    AmPm,
    Hour,
    HourOfDay,
    Minute,
    Second,
    Millisecond,
    WeekYear,
}

const FIELDS: usize = 16;

/// Fields with their values, and the order in which they were set.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    values: [i32; FIELDS],
    /// 0: not set.
    stamps: [u32; FIELDS],
    last_stamp: u32,
    /// Minutes east of UTC.
    zone_minutes: i32,
}

/// The hundred years that two digits name.
#[derive(Clone, Debug)]
pub(super) struct Century {
    start_ms: i64,
    pub start_year: i32,
}

impl Century {
    /// From 80 years before now.
    pub(super) fn around(now_ms: i64) -> Self {
        let date = CivilDate::of_day(now_ms.div_euclid(MS_PER_DAY));
        let start_year = date.year as i32 - 80;
        let mut fields = Fields::default();
        fields.set(Field::Year, start_year);
        fields.set(Field::Month, i32::from(date.month) - 1);
        // The 29th of February becomes the 28th in a year without one.
        let day = if date.month == 2 && date.day == 29 && start_year % 4 != 0 {
            28
        } else {
            date.day
        };
        fields.set(Field::DayOfMonth, day.into());
        Self {
            start_ms: fields.to_ms() + now_ms.rem_euclid(MS_PER_DAY),
            start_year,
        }
    }

    /// The instant; a hundred years later when its year is the first of the century and it lies before its start.
    pub(super) fn place(&self, mut fields: Fields) -> i64 {
        let ms = fields.to_ms();
        if ms >= self.start_ms {
            return ms;
        }
        let year = match fields.is_week_date() {
            true => Field::WeekYear,
            false => Field::Year,
        };
        fields.values[year as usize] += 100;
        fields.to_ms()
    }
}

impl Fields {
    pub(super) fn set(&mut self, field: Field, value: i32) {
        self.last_stamp += 1;
        self.values[field as usize] = value;
        self.stamps[field as usize] = self.last_stamp;
    }

    pub(super) fn set_zone(&mut self, minutes: i32) {
        self.zone_minutes = minutes;
    }

    fn stamp(&self, field: Field) -> u32 {
        self.stamps[field as usize]
    }

    fn value(&self, field: Field) -> i64 {
        self.values[field as usize].into()
    }

    fn get(&self, field: Field) -> Option<i64> {
        (self.stamp(field) > 0).then(|| self.value(field))
    }

    fn is_week_date(&self) -> bool {
        self.stamp(Field::WeekYear) > self.stamp(Field::Year)
    }

    /// Milliseconds since the epoch.
    pub(super) fn to_ms(&self) -> i64 {
        let time = self.time_of_day();
        let days_of_time = time.div_euclid(MS_PER_DAY);
        let day = if self.is_week_date() {
            self.day_of_week_date() + days_of_time
        } else {
            self.day(days_of_time)
        };
        let zone = i64::from(self.zone_minutes) * 60_000;
        day.wrapping_mul(MS_PER_DAY)
            .wrapping_add(time.rem_euclid(MS_PER_DAY))
            .wrapping_sub(zone)
    }

    /// `HourOfDay`, or `Hour` with `AmPm`, whichever was set last.
    fn time_of_day(&self) -> i64 {
        let of_day = self.stamp(Field::HourOfDay);
        let (hour, half) = (self.stamp(Field::Hour), self.stamp(Field::AmPm));
        let mut best = of_day.max(both(hour, half));
        if best == 0 {
            best = hour.max(half);
        }
        let hours = if best == 0 {
            0
        } else if best == of_day {
            self.value(Field::HourOfDay)
        } else {
            self.value(Field::Hour) + 12 * self.get(Field::AmPm).unwrap_or(0)
        };
        let minutes = hours * 60 + self.value(Field::Minute);
        let seconds = minutes * 60 + self.value(Field::Second);
        seconds * 1000 + self.value(Field::Millisecond)
    }

    /// The day of a week of a week year.
    fn day_of_week_date(&self) -> i64 {
        let week = self.get(Field::WeekOfYear).unwrap_or(1);
        let weekday = self.get(Field::DayOfWeek).unwrap_or(1);
        let mut new_year = Fields::default();
        new_year.set(Field::Year, self.values[Field::WeekYear as usize]);
        let first = new_year.to_ms().div_euclid(MS_PER_DAY);
        first - day_of_week(first) as i64 + (weekday - 1) + 7 * (week - 1)
    }

    fn day(&self, days_of_time: i64) -> i64 {
        let year = self.get(Field::Year).unwrap_or(1970);
        let year = match self.get(Field::Era) {
            Some(0) => 1 - year,
            _ => year,
        };
        let selection = self.selection();
        let gregorian = days_of_time + self.day_in(&selection, year, Leap::Gregorian);
        if year > CUTOVER_YEAR.into() && gregorian >= CUTOVER_DAY {
            return gregorian;
        }
        let julian = days_of_time + self.day_in(&selection, year, Leap::Julian);
        let from_new_year = matches!(
            selection,
            Selection::DayOfYear | Selection::WeekOfYear { .. }
        );
        if year >= CUTOVER_YEAR.into() && gregorian >= CUTOVER_DAY && !from_new_year {
            gregorian
        } else {
            julian
        }
    }

    /// Which fields say the day.
    fn selection(&self) -> Selection {
        let weekday = self.stamp(Field::DayOfWeek);
        let of_month = self.stamp(Field::DayOfMonth);
        let (week_of_month, week_of_year, weekday_in_month) = (
            self.stamp(Field::WeekOfMonth),
            self.stamp(Field::WeekOfYear),
            self.stamp(Field::DayOfWeekInMonth),
        );
        let day_of_year = self.stamp(Field::DayOfYear);
        let mut by_week_of_month = both(week_of_month, weekday);
        let mut by_weekday_in_month = both(weekday_in_month, weekday);
        let mut by_week_of_year = both(week_of_year, weekday);
        let mut best = of_month
            .max(by_week_of_month)
            .max(by_weekday_in_month)
            .max(day_of_year)
            .max(by_week_of_year);
        let mut of_month = of_month;
        if best == 0 {
            by_week_of_month = week_of_month;
            by_weekday_in_month = weekday_in_month.max(weekday);
            by_week_of_year = week_of_year;
            best = by_week_of_month
                .max(by_weekday_in_month)
                .max(by_week_of_year);
            if best == 0 {
                of_month = self.stamp(Field::Month);
                best = of_month;
            }
        }
        let has_weekday = weekday > 0;
        if best == of_month {
            Selection::DayOfMonth
        } else if best == by_week_of_month && week_of_month >= week_of_year
            || best == by_weekday_in_month && weekday_in_month >= week_of_year
        {
            let by_week = if by_week_of_month == by_weekday_in_month {
                week_of_month >= weekday_in_month
            } else {
                best == by_week_of_month
            };
            if by_week {
                Selection::WeekOfMonth { has_weekday }
            } else {
                Selection::DayOfWeekInMonth { has_weekday }
            }
        } else if best == day_of_year {
            Selection::DayOfYear
        } else {
            Selection::WeekOfYear { has_weekday }
        }
    }

    fn day_in(&self, selection: &Selection, year: i64, leap: Leap) -> i64 {
        let from_new_year = matches!(
            selection,
            Selection::DayOfYear | Selection::WeekOfYear { .. }
        );
        // Months count only where the day is one of a month.
        let month = if from_new_year {
            0
        } else {
            self.value(Field::Month)
        };
        let year = year + month.div_euclid(12);
        let month = month.rem_euclid(12) + 1;
        let first = days_to_month(year, month, leap);
        let weekday = self.value(Field::DayOfWeek);
        match *selection {
            Selection::DayOfMonth => first + self.get(Field::DayOfMonth).unwrap_or(1) - 1,
            Selection::DayOfYear => first + self.value(Field::DayOfYear) - 1,
            Selection::WeekOfMonth { has_weekday } => {
                week_start(first, has_weekday.then_some(weekday))
                    + 7 * (self.value(Field::WeekOfMonth) - 1)
            }
            Selection::WeekOfYear { has_weekday } => {
                week_start(first, has_weekday.then_some(weekday))
                    + 7 * (self.value(Field::WeekOfYear) - 1)
            }
            Selection::DayOfWeekInMonth { has_weekday } => {
                let weekday = if has_weekday { weekday } else { 1 };
                let number = self.get(Field::DayOfWeekInMonth).unwrap_or(1);
                if number >= 0 {
                    weekday_on_or_before(first + 7 * number - 1, weekday)
                } else {
                    let next = days_to_month(year + month / 12, month % 12 + 1, leap);
                    let last = (next - first) + 7 * (number + 1);
                    weekday_on_or_before(first + last - 1, weekday)
                }
            }
        }
    }
}

enum Selection {
    DayOfMonth,
    DayOfYear,
    WeekOfMonth { has_weekday: bool },
    WeekOfYear { has_weekday: bool },
    DayOfWeekInMonth { has_weekday: bool },
}

/// The later of two stamps; 0 when one is not set.
fn both(a: u32, b: u32) -> u32 {
    if a == 0 || b == 0 { 0 } else { a.max(b) }
}

/// A day of the week that holds `first`: its Sunday, or the given one (1 for Sunday).
fn week_start(first: i64, weekday: Option<i64>) -> i64 {
    let sunday = first - day_of_week(first) as i64;
    match weekday {
        None => sunday,
        Some(weekday) => weekday_on_or_before(sunday + 6, weekday),
    }
}

fn weekday_on_or_before(day: i64, weekday: i64) -> i64 {
    let found = day_of_week(day) as i64 + 1;
    day - (found - weekday).rem_euclid(7)
}

/// Day of week and week of a text by ISO's number of the day, where 8 is the Monday of the next week.
impl Fields {
    /// Brings a weekday out of range into the range, when it belongs to a week date.
    pub(super) fn normalize_week_date(&mut self) {
        if !self.is_week_date() {
            return;
        }
        let Some(mut weekday) = self.get(Field::DayOfWeek) else {
            return;
        };
        if (1..=7).contains(&weekday) {
            return;
        }
        let mut week = self.get(Field::WeekOfYear).unwrap_or(1);
        if weekday >= 8 {
            weekday -= 1;
            week += weekday / 7;
            weekday = weekday % 7 + 1;
        } else {
            while weekday <= 0 {
                weekday += 7;
                week -= 1;
            }
        }
        self.set(Field::WeekOfYear, week as i32);
        self.set(Field::DayOfWeek, weekday_of_iso(weekday as i32));
    }
}

/// Monday is 1 in ISO 8601 and 2 in a calendar. Numbers out of range stay.
pub(super) fn weekday_of_iso(iso: i32) -> i32 {
    match iso {
        7 => 1,
        1..=6 => iso + 1,
        other => other,
    }
}
