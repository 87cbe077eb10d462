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
            let Some(place) = text.get_mut(*at..) else {
                continue;
            };
            match kind {
                Digits::Year => {
                    let year = time.date.year as u16;
                    put(place, TWO_DIGITS[usize::from(year / 100)]);
                    put(&mut place[2..], TWO_DIGITS[usize::from(year % 100)]);
                }
                Digits::Month => put(place, TWO_DIGITS[usize::from(time.date.month)]),
                Digits::Day => put(place, TWO_DIGITS[usize::from(time.date.day)]),
                Digits::Hour => put(place, TWO_DIGITS[usize::from(time.hour)]),
                Digits::Minute => put(place, TWO_DIGITS[usize::from(time.minute)]),
                Digits::Second => put(place, TWO_DIGITS[usize::from(time.second)]),
                Digits::Millisecond => {
                    let ms = time.millisecond;
                    put(place, [b'0' + (ms / 100) as u8]);
                    put(&mut place[1..], TWO_DIGITS[usize::from(ms % 100)]);
                }
            }
        }
    }
}

/// Digits over the zeros at the front.
#[inline(always)]
fn put<const N: usize>(place: &mut [u8], digits: [u8; N]) {
    if let Some(place) = place.first_chunk_mut() {
        *place = digits;
    }
}

/// 00 to 99.
const TWO_DIGITS: [[u8; 2]; 100] = {
    let mut all = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        all[number] = [b'0' + number as u8 / 10, b'0' + number as u8 % 10];
        number += 1;
    }
    all
};
