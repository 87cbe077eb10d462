//! Days and dates as `java.util.GregorianCalendar` counts them, in UTC.
//!
//! Lives here: the Gregorian calendar from 1582-10-15 on and the Julian one before, dates of a day number,
//! and the lenient way back, where month 13 is the next January.
//! Never here: time zones, patterns.

/// Milliseconds of a day.
pub const MS_PER_DAY: i64 = 86_400_000;

/// 1582-10-15, the first day of the Gregorian calendar, in days since 1970-01-01.
pub(super) const CUTOVER_DAY: i64 = -141_427;
pub(super) const CUTOVER_YEAR: i32 = 1582;

/// A day of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CivilDate {
    /// 0 is 1 BC, -1 is 2 BC.
    pub year: i64,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

impl CivilDate {
    /// The date of a day, counted from 1970-01-01.
    #[inline]
    pub fn of_day(day: i64) -> Self {
        if let Ok(day @ 0..USUAL_DAYS) = u32::try_from(day) {
            usual_date(day)
        } else if day >= CUTOVER_DAY {
            gregorian_date(day)
        } else {
            julian_date(day)
        }
    }

    /// The year as texts show it, which have no era: 2 for 2 BC.
    pub fn year_of_era(self) -> u64 {
        if self.year > 0 {
            self.year.unsigned_abs()
        } else {
            1 + self.year.unsigned_abs()
        }
    }
}

/// An instant as date and time of day in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CivilTime {
    pub date: CivilDate,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
    pub millisecond: u16,
}

impl CivilTime {
    /// `ms` since the epoch.
    pub fn of_ms(ms: i64) -> Self {
        let ms_of_day = ms.rem_euclid(MS_PER_DAY) as u32;
        Self {
            date: CivilDate::of_day(ms.div_euclid(MS_PER_DAY)),
            hour: (ms_of_day / 3_600_000) as u8,
            minute: (ms_of_day / 60_000 % 60) as u8,
            second: (ms_of_day / 1000 % 60) as u8,
            millisecond: (ms_of_day % 1000) as u16,
        }
    }
}

/// The instant with its date set to January 1 of 1970, as Java's calendar does it: before Christ that is 1970 BC.
pub fn time_of_day(ms: i64) -> i64 {
    let ms_of_day = ms.rem_euclid(MS_PER_DAY);
    if CivilDate::of_day(ms.div_euclid(MS_PER_DAY)).year > 0 {
        return ms_of_day;
    }
    let new_year = LenientFields {
        year: 1 - 1970,
        ..LenientFields::EPOCH
    };
    new_year.to_ms() + ms_of_day
}

/// 0 for Sunday to 6 for Saturday.
pub fn day_of_week(day: i64) -> usize {
    const EPOCH: i64 = 4;
    (day + EPOCH).rem_euclid(7) as usize
}

/// Fields of a date and time as a text gave them; any numbers, the calendar bends them.
#[derive(Clone, Copy, Debug)]
pub struct LenientFields {
    pub year: i32,
    /// 1 for January.
    pub month: i32,
    pub day: i32,
    pub hour: i32,
    pub minute: i32,
    pub second: i32,
    pub millisecond: i32,
}

impl LenientFields {
    /// Midnight of 1970-01-01.
    pub const EPOCH: Self = Self {
        year: 1970,
        month: 1,
        day: 1,
        hour: 0,
        minute: 0,
        second: 0,
        millisecond: 0,
    };

    /// The instant in milliseconds since the epoch, wrapped around where Java's `long` wraps.
    ///
    /// A date of the ten days that the change of calendars left out is read as Julian.
    /// Source: `GregorianCalendar.computeTime`.
    pub fn to_ms(self) -> i64 {
        let minutes = i64::from(self.hour) * 60 + i64::from(self.minute);
        let seconds = minutes * 60 + i64::from(self.second);
        let time = seconds * 1000 + i64::from(self.millisecond);
        let month = i64::from(self.month.wrapping_sub(1));
        let year = i64::from(self.year.wrapping_add(month.div_euclid(12) as i32));
        let month = month.rem_euclid(12) + 1;
        let days_after_first = i64::from(self.day) - 1 + time.div_euclid(MS_PER_DAY);
        let gregorian = days_to_month(year, month, Leap::Gregorian) + days_after_first;
        let day = if self.year >= CUTOVER_YEAR && gregorian >= CUTOVER_DAY {
            gregorian
        } else {
            days_to_month(year, month, Leap::Julian) + days_after_first
        };
        day.wrapping_mul(MS_PER_DAY)
            .wrapping_add(time.rem_euclid(MS_PER_DAY))
    }
}

/// Which years have a 29th of February.
#[derive(Clone, Copy)]
pub(super) enum Leap {
    Gregorian,
    Julian,
}

/// Days from 1970-01-01 to the first of a month (1 to 12). Years count from March here, so that the leap day
/// ends them.
pub(super) fn days_to_month(year: i64, month: i64, leap: Leap) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month_of_year = (month + 9) % 12;
    let days_before_year = year * 365
        + year.div_euclid(4)
        + match leap {
            Leap::Gregorian => year.div_euclid(400) - year.div_euclid(100),
            Leap::Julian => -2,
        };
    days_before_year + (153 * month_of_year + 2) / 5 - MARCH_0000_TO_EPOCH
}

/// Days from 0000-03-01 (Gregorian, reckoned back) to 1970-01-01.
const MARCH_0000_TO_EPOCH: i64 = 719_468;

/// Days from 1970 on whose dates are worked out the quick way: some 183,000 years.
const USUAL_DAYS: u32 = 1 << 26;

/// [`gregorian_date`] with three multiplications in place of most divisions.
///
/// Source: Neri and Schneider, "Euclidean affine functions and their application to calendar algorithms", 2022.
#[inline]
fn usual_date(day: u32) -> CivilDate {
    let day = day + MARCH_0000_TO_EPOCH as u32;
    let quarters = 4 * day + 3;
    let century = quarters / 146_097;
    let quarters = (quarters % 146_097) | 3;
    let product = 2_939_745 * u64::from(quarters);
    let year_of_century = (product >> 32) as u32;
    let day_of_year = (product as u32) / (4 * 2_939_745);
    let product = 2141 * day_of_year + 197_913;
    let (month, day) = (product >> 16, (product & 0xFFFF) / 2141);
    // Years begin in March.
    let is_next_year = day_of_year >= 306;
    CivilDate {
        year: (100 * century + year_of_century + u32::from(is_next_year)).into(),
        month: if is_next_year { month - 12 } else { month } as u8,
        day: day as u8 + 1,
    }
}

fn gregorian_date(day: i64) -> CivilDate {
    const DAYS_PER_ERA: i64 = 146_097;
    let day = day + MARCH_0000_TO_EPOCH;
    let era = day.div_euclid(DAYS_PER_ERA);
    let day_of_era = day.rem_euclid(DAYS_PER_ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    date_of(era * 400 + year_of_era, day_of_year)
}

fn julian_date(day: i64) -> CivilDate {
    const DAYS_PER_ERA: i64 = 1461;
    let day = day + MARCH_0000_TO_EPOCH + 2;
    let era = day.div_euclid(DAYS_PER_ERA);
    let day_of_era = day.rem_euclid(DAYS_PER_ERA);
    let year_of_era = (day_of_era - day_of_era / 1460) / 365;
    date_of(era * 4 + year_of_era, day_of_era - 365 * year_of_era)
}

/// `year` and `day_of_year` count from the first of March.
fn date_of(year: i64, day_of_year: i64) -> CivilDate {
    let month_of_year = (5 * day_of_year + 2) / 153;
    let month = if month_of_year < 10 {
        month_of_year + 3
    } else {
        month_of_year - 9
    };
    CivilDate {
        year: if month <= 2 { year + 1 } else { year },
        month: month as u8,
        day: (day_of_year - (153 * month_of_year + 2) / 5 + 1) as u8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_the_dates_of_java() {
        let rows = [
            (0, (1970, 1, 1)),
            (-1, (1969, 12, 31)),
            (19_782, (2024, 2, 29)),
            (-141_427, (1582, 10, 15)),
            (-141_428, (1582, 10, 4)),
            (-719_162, (1, 1, 3)),
            (-719_164, (1, 1, 1)),
            (-719_165, (0, 12, 31)),
            (-719_530, (0, 1, 1)),
            (2_932_897, (10_000, 1, 1)),
            (106_751_991_167, (292_278_994, 8, 17)),
            (-106_751_991_168, (-292_269_054, 12, 2)),
        ];
        for (day, (year, month, of_month)) in rows {
            let date = CivilDate::of_day(day);
            assert_eq!((date.year, date.month, date.day), (year, month, of_month));
        }
    }

    #[test]
    fn usual_dates_are_found_the_quick_way() {
        let ends = USUAL_DAYS - 400_000..USUAL_DAYS;
        for day in (0..400_000).chain((0..USUAL_DAYS).step_by(997)).chain(ends) {
            assert_eq!(usual_date(day), gregorian_date(day.into()), "day {day}");
        }
    }

    #[test]
    fn dates_go_back_to_their_days() {
        for day in (-1_200_000..1_200_000).step_by(7) {
            let date = CivilDate::of_day(day);
            let fields = LenientFields {
                year: date.year as i32,
                month: date.month.into(),
                day: date.day.into(),
                ..LenientFields::EPOCH
            };
            assert_eq!(fields.to_ms(), day * MS_PER_DAY, "{date:?}");
        }
    }

    /// Observed on Java 17.
    #[test]
    fn impossible_dates_bend_as_in_java() {
        let rows = [
            ((2019, 13, 45), 1_581_638_400_000),
            ((0, 1, 1), -62_167_392_000_000),
            ((2019, -8, 1), 1_522_540_800_000),
            ((-19, 1, 1), -62_766_921_600_000),
            ((1582, 10, 10), -12_218_860_800_000),
            ((1582, 10, 14), -12_218_515_200_000),
            ((1582, 10, 99), -12_212_035_200_000),
            ((1582, 99, 99), -11_978_064_000_000),
            ((1583, 0, 0), -12_215_318_400_000),
            ((1582, 23, 1), -12_186_288_000_000),
            ((1581, 23, 1), -12_216_960_000_000),
            ((1583, -3, 1), -12_222_230_400_000),
            ((1583, -9, 1), -12_238_128_000_000),
            ((1500, 2, 29), -14_825_894_400_000),
            ((1900, 2, 29), -2_203_891_200_000),
            ((1_000_000_000, 1, 1), -5_336_598_314_638_303_232),
            ((2_000_000_000, 12, 31), 7_773_609_643_188_145_152),
            ((2019, 8, i32::MAX), 185_544_151_632_000_000),
            ((2019, i32::MAX, 1), 5_647_338_074_361_600_000),
        ];
        for ((year, month, day), ms) in rows {
            let fields = LenientFields {
                year,
                month,
                day,
                ..LenientFields::EPOCH
            };
            assert_eq!(fields.to_ms(), ms, "{year}-{month}-{day}");
        }
    }
}
