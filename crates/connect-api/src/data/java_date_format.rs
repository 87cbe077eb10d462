//! Times as text by a pattern of `java.text.SimpleDateFormat`, in the language of `en_US` and in UTC.
//!
//! Lives here: patterns and their messages.
//! Lives elsewhere: writing (`write`), reading (`read`), what day the fields of a text make (`fields`), the names of
//! months, days (`names`) and zones (`zone_names.txt`: in the order in which Java tries them, with minutes east of
//! UTC).
//! Never here: a clock. A two-digit year depends on today, which the caller says.
//! Differs from Java: a text whose zone is a name does not change the zone of what is written later.
//! Source: documentation of `SimpleDateFormat`, and what Java 17 answers.

mod fields;
mod fixed;
mod names;
mod read;
mod week;
mod write;

use super::calendar::CivilTime;
use fields::Century;
use fixed::Template;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct JavaDateFormat {
    pattern: Box<str>,
    items: Box<[Item]>,
    /// A shorter way for patterns of a fixed width.
    template: Option<Template>,
    century: Century,
    resolution_ms: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Literal(Box<str>),
    /// A letter and how often it stands there.
    Field(Letter, usize),
}

macro_rules! letters {
    ($($variant:ident = $letter:literal),* $(,)?) => {
        /// The pattern letters.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum Letter {
            $($variant),*
        }

        impl Letter {
            fn of(c: char) -> Option<Self> {
                match c {
                    $($letter => Some(Letter::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

letters! {
    Era = 'G',
    Year = 'y',
    WeekYear = 'Y',
    Month = 'M',
    MonthAlone = 'L',
    WeekOfYear = 'w',
    WeekOfMonth = 'W',
    DayOfYear = 'D',
    DayOfMonth = 'd',
    DayOfWeekInMonth = 'F',
    DayName = 'E',
    DayNumber = 'u',
    AmPm = 'a',
    Hour0To23 = 'H',
    Hour1To24 = 'k',
    Hour0To11 = 'K',
    Hour1To12 = 'h',
    Minute = 'm',
    Second = 's',
    Millisecond = 'S',
    ZoneName = 'z',
    ZoneRfc822 = 'Z',
    ZoneIso8601 = 'X',
}

/// Why a pattern is none, in the words of Java's `IllegalArgumentException`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PatternError(String);

impl JavaDateFormat {
    /// Compiles a pattern. `now_ms` is the present: two digits name a year from 80 years before to 20 years after.
    pub fn new(pattern: &str, now_ms: i64) -> Result<Self, PatternError> {
        let items = items_of(pattern)?;
        let finest = items.iter().map(|item| match item {
            Item::Literal(_) => i64::MAX,
            Item::Field(letter, _) => letter.unit_ms(),
        });
        Ok(Self {
            pattern: pattern.into(),
            resolution_ms: finest.min().unwrap_or(i64::MAX),
            template: Template::of(&items),
            items: items.into(),
            century: Century::around(now_ms),
        })
    }

    /// The pattern as it was written.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// All instants of one unit of so many milliseconds, counted from the epoch, print alike.
    pub fn resolution_ms(&self) -> i64 {
        self.resolution_ms
    }

    /// The text of an instant in milliseconds since the epoch.
    pub fn format(&self, ms: i64) -> String {
        let mut text = Vec::with_capacity(self.pattern.len() + 8);
        self.append(ms, &mut text);
        String::from_utf8(text).expect("literals, names and digits are UTF-8")
    }

    /// Appends the text of an instant.
    pub fn append(&self, ms: i64, out: &mut Vec<u8>) {
        let time = CivilTime::of_ms(ms);
        match &self.template {
            Some(template) if (1..=9999).contains(&time.date.year) => template.append(&time, out),
            _ => write::append(&self.items, ms, &time, out),
        }
    }

    /// The instant that a text names, in milliseconds since the epoch; `None` when it does not match the pattern.
    ///
    /// Lenient: fields out of range roll over, and what follows the last field is ignored.
    pub fn parse(&self, text: &str) -> Option<i64> {
        read::read(&self.items, &self.century, text)
    }
}

impl Letter {
    fn unit_ms(self) -> i64 {
        match self {
            Letter::Millisecond => 1,
            Letter::Second => 1000,
            Letter::Minute => 60_000,
            Letter::Hour0To23
            | Letter::Hour1To24
            | Letter::Hour0To11
            | Letter::Hour1To12
            | Letter::AmPm => 3_600_000,
            Letter::ZoneName | Letter::ZoneRfc822 | Letter::ZoneIso8601 => i64::MAX,
            _ => super::calendar::MS_PER_DAY,
        }
    }
}

fn items_of(pattern: &str) -> Result<Vec<Item>, PatternError> {
    let mut items: Vec<Item> = Vec::new();
    let mut literal = String::new();
    let mut quoted = false;
    let mut chars = pattern.chars().peekable();
    // The letter that is being counted; a quote between two of the same letter makes them two fields.
    let mut open = false;
    while let Some(c) = chars.next() {
        if c == '\'' {
            open = false;
            if chars.next_if_eq(&'\'').is_some() {
                literal.push('\'');
            } else {
                quoted = !quoted;
            }
            continue;
        }
        if quoted || !c.is_ascii_alphabetic() {
            open = false;
            literal.push(c);
            continue;
        }
        let Some(letter) = Letter::of(c) else {
            return Err(PatternError(format!("Illegal pattern character '{c}'")));
        };
        if !literal.is_empty() {
            items.push(Item::Literal(std::mem::take(&mut literal).into()));
        }
        match items.last_mut() {
            Some(Item::Field(last, count)) if open && *last == letter => *count += 1,
            _ => items.push(Item::Field(letter, 1)),
        }
        open = true;
    }
    if quoted {
        return Err(PatternError("Unterminated quote".to_owned()));
    }
    if !literal.is_empty() {
        items.push(Item::Literal(literal.into()));
    }
    for item in &items {
        if let Item::Field(Letter::ZoneIso8601, length @ 4..) = item {
            return Err(PatternError(format!(
                "invalid ISO 8601 format: length={length}"
            )));
        }
    }
    Ok(items)
}

#[cfg(test)]
mod tests;
