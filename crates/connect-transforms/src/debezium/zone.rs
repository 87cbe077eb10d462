//! Time zones as `java.time.ZoneId` knows them: offsets and names.
//!
//! Lives here: the offset of a zone at a local time or at an instant.
//! Never here: the rules themselves, which come with `jiff`, built in, so that no machine's own change an answer.

use super::iso_time::{civil_of_day, offset_of};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};

/// Names that `java.util.TimeZone` has and `ZoneId` refuses.
const REFUSED: [&str; 25] = [
    "ACT", "AET", "AGT", "ART", "AST", "BET", "BST", "CAT", "CNT", "CST", "CTT", "EAT", "ECT",
    "IET", "IST", "JST", "MIT", "NET", "NST", "PLT", "PNT", "PRT", "PST", "SST", "VST",
];

const SECONDS_PER_DAY: i64 = 86_400;
/// Rules repeat after 400 years.
const SECONDS_PER_ERA: i64 = 146_097 * SECONDS_PER_DAY;

#[derive(Clone, Debug)]
pub(super) enum Zone {
    /// Seconds to add to UTC.
    Offset(i32),
    Named(TimeZone),
    /// What passes configuration in Java and fails with the first value, with the reason.
    Refused(String),
}

impl Zone {
    /// `None`: neither an offset nor a known name. Names are case-sensitive.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some(zone) = parse_offset(text) {
            return Some(zone);
        }
        if REFUSED.contains(&text) {
            return Some(Self::Refused(format!("Unknown time-zone ID: {text}")));
        }
        let database = TimeZoneDatabase::bundled();
        let is_known = database.available().any(|name| name.as_str() == text);
        let java_lacks = text == "Factory" || text == "posixrules" || text == "localtime";
        match is_known && !java_lacks {
            true => database.get(text).ok().map(Self::Named),
            false => None,
        }
    }

    /// The offset in seconds that the zone has at a local time, in seconds since 1970 of that place; the one before
    /// the change where clocks skip or repeat it.
    pub(super) fn offset_at_local(&self, seconds: i64) -> Result<i32, String> {
        match self {
            Zone::Offset(offset) => Ok(*offset),
            Zone::Refused(reason) => Err(reason.clone()),
            Zone::Named(zone) => {
                let offset = match zone.to_ambiguous_timestamp(local_time(seconds)?).offset() {
                    AmbiguousOffset::Unambiguous { offset } => offset,
                    AmbiguousOffset::Gap { before, .. } => before,
                    AmbiguousOffset::Fold { before, .. } => before,
                };
                Ok(offset.seconds())
            }
        }
    }

    /// The offset in seconds at an instant, in seconds since the epoch.
    pub(super) fn offset_at(&self, seconds: i64) -> Result<i32, String> {
        match self {
            Zone::Offset(offset) => Ok(*offset),
            Zone::Refused(reason) => Err(reason.clone()),
            Zone::Named(zone) => {
                let instant = Timestamp::from_second(within_range(seconds));
                let instant = instant.map_err(|cause| cause.to_string())?;
                Ok(zone.to_offset(instant).seconds())
            }
        }
    }

    /// The offset that the zone has now.
    pub(super) fn offset_now(&self) -> Result<i32, String> {
        self.offset_at(Timestamp::now().as_second())
    }
}

/// `[+-]hh:mm` or `[+-]hh:mm:ss`; `None` for any other form.
fn parse_offset(text: &str) -> Option<Zone> {
    let negative = match text.as_bytes().first()? {
        b'-' => true,
        b'+' => false,
        _ => return None,
    };
    let parts: Vec<&str> = text[1..].split(':').collect();
    let two_digits =
        |part: &&str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !(2..=3).contains(&parts.len()) || !parts.iter().all(two_digits) {
        return None;
    }
    let number = |at: usize| {
        parts
            .get(at)
            .and_then(|part| part.parse().ok())
            .unwrap_or(0)
    };
    Some(match offset_of(negative, number(0), number(1), number(2)) {
        Some(offset) => Zone::Offset(offset),
        None => Zone::Refused(format!("Zone offset not in valid range: {text}")),
    })
}

/// Brings seconds into the years 1 to 9998 that `jiff` reckons with. Later years have the rules of a year 400, 800 …
/// years before, earlier ones those of the first.
fn within_range(seconds: i64) -> i64 {
    const FIRST: i64 = -62_000_000_000;
    const LAST: i64 = 253_000_000_000;
    if seconds > LAST {
        return LAST - SECONDS_PER_ERA + (seconds - LAST) % SECONDS_PER_ERA;
    }
    seconds.max(FIRST)
}

fn local_time(seconds: i64) -> Result<DateTime, String> {
    let seconds = within_range(seconds);
    let (year, month, day) = civil_of_day(seconds.div_euclid(SECONDS_PER_DAY));
    let second = seconds.rem_euclid(SECONDS_PER_DAY);
    DateTime::new(
        year as i16,
        month as i8,
        day as i8,
        (second / 3600) as i8,
        (second / 60 % 60) as i8,
        (second % 60) as i8,
        0,
    )
    .map_err(|cause| cause.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `ZoneId.of(zone).getRules().getOffset(LocalDateTime)` answers.
    #[test]
    fn offsets_are_those_of_java_in_gaps_and_overlaps() {
        // 2024-03-10T02:30 is skipped, 2024-11-03T01:30 comes twice.
        let rows = [
            ("America/New_York", 1_710_037_800, -18_000),
            ("America/New_York", 1_730_597_400, -14_400),
            ("America/New_York", 1_720_000_000, -14_400),
            ("Europe/Berlin", 1_720_000_000, 7200),
            ("+05:30", 0, 19_800),
            ("-00:00:30", 0, -30),
            // In the year 12024 as in 2024.
            ("Europe/Berlin", 1_720_000_000 + 25 * SECONDS_PER_ERA, 7200),
        ];
        for (zone, local, offset) in rows {
            let got = Zone::parse(zone).unwrap().offset_at_local(local);
            assert_eq!(got, Ok(offset), "{zone} {local}");
        }
    }

    #[test]
    fn some_names_are_refused_at_once_and_some_later() {
        assert!(Zone::parse("Mars/Olympus").is_none());
        assert!(Zone::parse("europe/berlin").is_none());
        assert!(Zone::parse("+1:00").is_none());
        for late in ["PST", "+25:00", "+18:01"] {
            assert!(
                Zone::parse(late).unwrap().offset_at_local(0).is_err(),
                "{late}"
            );
        }
    }
}
