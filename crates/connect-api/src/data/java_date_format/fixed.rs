//! Patterns whose text always has the same places, such as `yyyy-MM-dd'T'HH:mm:ss.SSS`: written as a template whose
//! digits are filled in.
//!
//! Never here: years beyond four digits, which the caller writes the general way.

use super::{Item, Letter};
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
        for (at, kind) in &self.digits {
            let two = |number: u16| [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
            let number = match kind {
                Digits::Year => {
                    let year = time.date.year as u16;
                    if let Some(place) = text.get_mut(*at..*at + 4) {
                        place[..2].copy_from_slice(&two(year / 100));
                        place[2..].copy_from_slice(&two(year % 100));
                    }
                    continue;
                }
                Digits::Millisecond => {
                    let ms = time.millisecond;
                    if let Some(place) = text.get_mut(*at..*at + 3) {
                        place[0] = b'0' + (ms / 100) as u8;
                        place[1..].copy_from_slice(&two(ms % 100));
                    }
                    continue;
                }
                Digits::Month => time.date.month,
                Digits::Day => time.date.day,
                Digits::Hour => time.hour,
                Digits::Minute => time.minute,
                Digits::Second => time.second,
            };
            if let Some(place) = text.get_mut(*at..*at + 2) {
                place.copy_from_slice(&two(number.into()));
            }
        }
    }
}
