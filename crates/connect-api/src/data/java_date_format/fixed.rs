//! Patterns whose text always has the same places, such as `yyyy-MM-dd'T'HH:mm:ss.SSS`: written as a template whose
//! digits are filled in.
//!
//! Never here: years beyond four digits, which the caller writes the general way.

use super::{Item, Letter};
use crate::data::append::TWO_DIGITS;
use crate::data::calendar::CivilTime;

/// The text with zeros for digits, and where which digits go.
#[derive(Clone, Debug)]
pub(super) struct Template {
    text: Box<[u8]>,
    digits: Box<[(usize, Digits)]>,
}

#[derive(Clone, Copy, Debug)]
enum Digits {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
}

impl Template {
    /// `None`: the pattern has other fields, or the same in another width.
    pub(super) fn of(items: &[Item]) -> Option<Self> {
        let mut text = Vec::new();
        let mut digits = Vec::new();
        for item in items {
            let (kind, width) = match item {
                Item::Literal(literal) => {
                    text.extend_from_slice(literal.as_bytes());
                    continue;
                }
                Item::Field(Letter::Year, 4) => (Digits::Year, 4),
                Item::Field(Letter::Month, 2) => (Digits::Month, 2),
                Item::Field(Letter::DayOfMonth, 2) => (Digits::Day, 2),
                Item::Field(Letter::Hour0To23, 2) => (Digits::Hour, 2),
                Item::Field(Letter::Minute, 2) => (Digits::Minute, 2),
                Item::Field(Letter::Second, 2) => (Digits::Second, 2),
                Item::Field(Letter::Millisecond, 3) => (Digits::Millisecond, 3),
                Item::Field(Letter::ZoneIso8601, _) => {
                    text.push(b'Z');
                    continue;
                }
                Item::Field(..) => return None,
            };
            digits.push((text.len(), kind));
            text.resize(text.len() + width, b'0');
        }
        Some(Self {
            text: text.into(),
            digits: digits.into(),
        })
    }

    /// Appends the text. The year must have at most four digits and lie after Christ.
    #[inline]
    pub(super) fn append(&self, time: &CivilTime, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.text);
        let text = &mut out[start..];
        let two = |number: u16| TWO_DIGITS[usize::from(number)];
        for (at, kind) in &self.digits {
            match kind {
                Digits::Year => {
                    let year = time.date.year as u16;
                    put(text, *at, two(year / 100));
                    put(text, *at + 2, two(year % 100));
                }
                Digits::Month => put(text, *at, two(time.date.month.into())),
                Digits::Day => put(text, *at, two(time.date.day.into())),
                Digits::Hour => put(text, *at, two(time.hour.into())),
                Digits::Minute => put(text, *at, two(time.minute.into())),
                Digits::Second => put(text, *at, two(time.second.into())),
                Digits::Millisecond => {
                    put(text, *at, [b'0' + (time.millisecond / 100) as u8]);
                    put(text, *at + 1, two(time.millisecond % 100));
                }
            }
        }
    }
}

/// Digits over the zeros of the template.
#[inline(always)]
fn put<const N: usize>(text: &mut [u8], at: usize, digits: [u8; N]) {
    text[at..at + N].copy_from_slice(&digits);
}
