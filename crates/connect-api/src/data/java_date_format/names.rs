//! Names of eras, months, days, halves of the day and zones.

use std::sync::LazyLock;

pub(super) const ERAS: [&str; 2] = ["BC", "AD"];
pub(super) const ERAS_LONG: [&str; 2] = ["Before Christ", "Anno Domini"];
pub(super) const AM_PM: [&str; 2] = ["AM", "PM"];

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

pub(super) const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

/// Short names of months and days are the first three letters of the long ones.
pub(super) const SHORT: usize = 3;

/// The longest of the names that the text begins with, whatever the case: its index and length.
pub(super) fn longest<'a>(
    text: &str,
    names: impl IntoIterator<Item = (usize, &'a str)>,
) -> Option<(usize, usize)> {
    let begins = |(_, name): &(usize, &str)| begins_with(text, name);
    let found = names.into_iter().filter(begins);
    let found = found.max_by_key(|(index, name)| (name.len(), usize::MAX - index));
    found.map(|(index, name)| (index, name.len()))
}

/// Whether a text begins with an ASCII name, whatever the case.
pub(super) fn begins_with(text: &str, name: &str) -> bool {
    let start = text.as_bytes().get(..name.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
}

/// Names of zones with minutes east of UTC, in the order in which Java tries them.
static ZONES: LazyLock<Vec<(&str, i32)>> = LazyLock::new(|| {
    let lines = include_str!("zone_names.txt").lines();
    let zones = lines.filter_map(|line| {
        let (name, minutes) = line.split_once('\t')?;
        Some((name, minutes.parse().ok()?))
    });
    zones.collect()
});

/// The first zone whose name the text begins with: minutes east of UTC, and the length of the name.
pub(super) fn zone(text: &str) -> Option<(i32, usize)> {
    let found = ZONES.iter().find(|(name, _)| begins_with(text, name))?;
    Some((found.1, found.0.len()))
}
