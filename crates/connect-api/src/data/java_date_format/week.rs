//! Weeks as `en_US` counts them: from Sunday, week 1 holds the first day of the year or month.

use crate::data::calendar::{CivilDate, LenientFields, MS_PER_DAY, day_of_week};

/// Days from Sunday on or before a day to that day.
fn sunday_on_or_before(day: i64) -> i64 {
    day - day_of_week(day) as i64
}

/// The number of the week that holds `day` in a period that begins with `first`.
fn week_number(first: i64, day: i64) -> i64 {
    (day - sunday_on_or_before(first)).div_euclid(7) + 1
}

pub(super) fn first_of_year(date: CivilDate) -> i64 {
    first_of(date.year, 1)
}

pub(super) fn first_of_month(date: CivilDate) -> i64 {
    first_of(date.year, date.month.into())
}

fn first_of(year: i64, month: i32) -> i64 {
    let fields = LenientFields {
        year: year as i32,
        month,
        ..LenientFields::EPOCH
    };
    fields.to_ms().div_euclid(MS_PER_DAY)
}

pub(super) fn week_of_month(date: CivilDate, day: i64) -> i64 {
    week_number(first_of_month(date), day)
}

/// Of the last days of a year, those whose week holds the next New Year are in week 1.
pub(super) fn week_of_year(date: CivilDate, day: i64) -> i64 {
    if is_in_week_of_next_year(date, day) {
        1
    } else {
        week_number(first_of_year(date), day)
    }
}

pub(super) fn week_year(date: CivilDate, day: i64) -> i64 {
    date.year + i64::from(is_in_week_of_next_year(date, day))
}

fn is_in_week_of_next_year(date: CivilDate, day: i64) -> bool {
    if date.month != 12 {
        return false;
    }
    let next = first_of(date.year + 1, 1);
    day >= sunday_on_or_before(next)
}
