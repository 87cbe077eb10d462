//! What the workers move, and what must come out: files of lines of one length, made once and kept.
//!
//! Lives here: the shapes of lines, each a pure function of the line's number, and the files of them.
//! Lives elsewhere: how a file gets into a topic (`load`), the comparison afterwards (`verify`).
//! Never here: chance. The same line comes out on every machine and every day.
//!
//! All lines of a shape have one length, so that the size of an output says how many records it holds.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Counts up when a shape changes: files of another version are not used.
const VERSION: u32 = 1;

/// Bytes of a line of [`Shape::Text`] without its end.
pub const TEXT_BYTES: usize = 100;

/// What a line holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// 100 bytes: a number and words.
    Text,
    /// A JSON object of six members.
    Json,
    /// The same in the envelope of `JsonConverter` with `schemas.enable=true`.
    JsonWithSchema,
    /// The same as `FileStreamSink` writes it when it was read with a schema.
    StructText,
    /// The same as `FileStreamSink` writes it when it was read without: a Java map.
    MapText,
    /// [`Shape::StructText`] after the chain of transforms of the cases that have one.
    StructChainText,
    /// [`Shape::MapText`] after it.
    MapChainText,
}

const SCHEMA: &str = concat!(
    r#"{"schema":{"type":"struct","fields":["#,
    r#"{"type":"int64","optional":false,"field":"id"},"#,
    r#"{"type":"string","optional":false,"field":"name"},"#,
    r#"{"type":"double","optional":false,"field":"amount"},"#,
    r#"{"type":"boolean","optional":false,"field":"active"},"#,
    r#"{"type":"string","optional":false,"field":"city"},"#,
    r#"{"type":"int64","optional":false,"field":"ts"}"#,
    r#"],"optional":false,"name":"customer"},"payload":"#,
);

impl Shape {
    fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::JsonWithSchema => "json-with-schema",
            Self::StructText => "struct-text",
            Self::MapText => "map-text",
            Self::StructChainText => "struct-chain-text",
            Self::MapChainText => "map-chain-text",
        }
    }

    /// Java's maps have no order that counts.
    pub fn is_map(self) -> bool {
        matches!(self, Self::MapText | Self::MapChainText)
    }

    /// Bytes of each line, its end included. Makes a line to see: keep the answer.
    fn line_bytes(self) -> u64 {
        let mut line = Vec::new();
        self.append(0, &Words::new(), &mut line);
        line.len() as u64 + 1
    }

    /// Appends line `number` without its end.
    fn append(self, number: u64, words: &Words, to: &mut Vec<u8>) {
        let customer = Customer::of(number);
        let Customer {
            id,
            tenths,
            active,
            city,
            ts,
        } = customer;
        let (whole, tenth) = (tenths / 10, tenths % 10);
        let written = match self {
            Self::Text => {
                words.append_text(number, to);
                Ok(())
            }
            Self::Json | Self::JsonWithSchema => {
                let (open, close) = match self {
                    Self::Json => ("", ""),
                    _ => (SCHEMA, "}"),
                };
                write!(
                    to,
                    r#"{open}{{"id":{id},"name":"customer-{id}","amount":{whole}.{tenth},"active":{active},"city":"{city}","ts":{ts}}}{close}"#
                )
            }
            Self::StructText => write!(
                to,
                "Struct{{id={id},name=customer-{id},amount={whole}.{tenth},active={active},city={city},ts={ts}}}"
            ),
            Self::MapText => write!(
                to,
                "{{id={id}, name=customer-{id}, amount={whole}.{tenth}, active={active}, city={city}, ts={ts}}}"
            ),
            Self::StructChainText => write!(
                to,
                "Struct{{id={id},customer=customer-{id},amount={whole},ts={},partition=0,site=ams}}",
                date(ts)
            ),
            Self::MapChainText => write!(
                to,
                "{{id={id}, customer=customer-{id}, amount={whole}, ts={}, partition=0, site=ams}}",
                date(ts)
            ),
        };
        written.expect("a Vec takes all that is written");
    }
}

/// Milliseconds since 1970 as `yyyy-MM-dd'T'HH:mm:ss.SSS` in UTC.
fn date(ms: u64) -> String {
    let (days, ms) = (ms / 86_400_000, ms % 86_400_000);
    // Years that begin in March, so that a leap day is the last of its year. Day 0 is 1 March of the year 0.
    let day = days + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    format!(
        "{:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}",
        era * 400 + year + later,
        ms / 3_600_000,
        ms / 60_000 % 60,
        ms / 1_000 % 60,
        ms % 1_000
    )
}

/// The values of one JSON record. Every field is as wide in all of them.
struct Customer {
    id: u64,
    /// Of `amount`.
    tenths: u64,
    active: bool,
    city: &'static str,
    ts: u64,
}

/// `true` is a letter shorter than `false`, so their cities are a letter longer.
const ACTIVE_CITIES: [&str; 5] = [
    "Amsterdam",
    "Barcelona",
    "Stockholm",
    "Frankfurt",
    "Edinburgh",
];
const INACTIVE_CITIES: [&str; 5] = ["Brussels", "Helsinki", "Budapest", "Toulouse", "Salzburg"];

impl Customer {
    fn of(number: u64) -> Self {
        let active = !number.is_multiple_of(3);
        let cities = if active {
            ACTIVE_CITIES
        } else {
            INACTIVE_CITIES
        };
        Self {
            id: 1_000_000 + number % 9_000_000,
            tenths: 1_000 + number.wrapping_mul(7_919) % 9_000,
            active,
            city: cities[(number / 7 % 5) as usize],
            ts: 1_700_000_000_000 + number * 37,
        }
    }
}

/// Ends of text lines, to choose from.
struct Words {
    tails: Vec<u8>,
}

const WORDS: [&str; 16] = [
    "order",
    "payment",
    "shipped",
    "warehouse",
    "north",
    "invoice",
    "customer",
    "retry",
    "accepted",
    "pending",
    "gateway",
    "eu-west",
    "basket",
    "refund",
    "priority",
    "standard",
];

/// Digits of a text line, and the space after them.
const NUMBER_BYTES: usize = 11;
const TAIL_BYTES: usize = TEXT_BYTES - NUMBER_BYTES;
const TAILS: u64 = 4096;

impl Words {
    fn new() -> Self {
        let mut tails = Vec::with_capacity(TAIL_BYTES * TAILS as usize);
        // Xorshift: the same words everywhere.
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        for tail in 1..=TAILS as usize {
            while tails.len() < tail * TAIL_BYTES {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                tails.extend_from_slice(WORDS[(state >> 32) as usize % WORDS.len()].as_bytes());
                tails.push(b' ');
                tails.extend_from_slice((state % 9_973).to_string().as_bytes());
                tails.push(b' ');
            }
            tails.truncate(tail * TAIL_BYTES);
        }
        Self { tails }
    }

    fn append_text(&self, number: u64, to: &mut Vec<u8>) {
        let mut digits = *b"0000000000 ";
        let mut rest = number;
        for digit in digits[..NUMBER_BYTES - 1].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        to.extend_from_slice(&digits);
        let tail = (number.wrapping_mul(2_654_435_761) >> 8) % TAILS;
        to.extend_from_slice(&self.tails[tail as usize * TAIL_BYTES..][..TAIL_BYTES]);
    }
}

/// A file of `records` lines of one shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines {
    pub shape: Shape,
    pub records: u64,
    /// Of each line, its end included.
    pub line_bytes: u64,
    pub file: PathBuf,
}

impl Lines {
    /// The file in `dir`, written now unless an earlier run has left it.
    pub fn in_dir(dir: &Path, shape: Shape, records: u64) -> Result<Self> {
        let file = dir.join(format!("{}-{records}-v{VERSION}.txt", shape.name()));
        let lines = Self {
            shape,
            records,
            line_bytes: shape.line_bytes(),
            file,
        };
        let made = fs::metadata(&lines.file).is_ok_and(|file| file.len() == lines.bytes());
        if !made {
            lines
                .write()
                .with_context(|| format!("could not write {}", lines.file.display()))?;
        }
        Ok(lines)
    }

    /// Size of the whole file.
    pub fn bytes(&self) -> u64 {
        self.records * self.line_bytes
    }

    fn write(&self) -> Result<()> {
        let dir = self.file.parent().context("the file has no directory")?;
        fs::create_dir_all(dir)?;
        // Whoever is interrupted leaves nothing that looks complete.
        let partial = self.file.with_extension("partial");
        let mut out = BufWriter::with_capacity(1 << 20, File::create(&partial)?);
        let words = Words::new();
        let mut line = Vec::new();
        for number in 0..self.records {
            line.clear();
            self.shape.append(number, &words, &mut line);
            line.push(b'\n');
            out.write_all(&line)?;
        }
        out.into_inner().map_err(|error| error.into_error())?;
        Ok(fs::rename(&partial, &self.file)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(shape: Shape, number: u64, words: &Words) -> String {
        let mut line = Vec::new();
        shape.append(number, words, &mut line);
        String::from_utf8(line).expect("lines are ASCII")
    }

    #[test]
    fn lines_of_a_shape_have_one_length() {
        let words = Words::new();
        for shape in [
            Shape::Text,
            Shape::Json,
            Shape::JsonWithSchema,
            Shape::StructText,
            Shape::MapText,
            Shape::StructChainText,
            Shape::MapChainText,
        ] {
            let line_bytes = shape.line_bytes();
            for number in (0..8_000_000).step_by(7_919) {
                let mut line = Vec::new();
                shape.append(number, &words, &mut line);
                assert_eq!(line.len() as u64 + 1, line_bytes, "{shape:?} {number}");
            }
        }
        assert_eq!(Shape::Text.line_bytes(), TEXT_BYTES as u64 + 1);
    }

    #[test]
    fn the_record_in_its_forms() {
        let rows = [
            (
                Shape::Json,
                r#"{"id":1000007,"name":"customer-1000007","amount":243.3,"active":true,"city":"Barcelona","ts":1700000000259}"#,
            ),
            (
                Shape::StructText,
                "Struct{id=1000007,name=customer-1000007,amount=243.3,active=true,city=Barcelona,ts=1700000000259}",
            ),
            (
                Shape::MapText,
                "{id=1000007, name=customer-1000007, amount=243.3, active=true, city=Barcelona, ts=1700000000259}",
            ),
            (
                Shape::StructChainText,
                "Struct{id=1000007,customer=customer-1000007,amount=243,ts=2023-11-14T22:13:20.259,partition=0,site=ams}",
            ),
            (
                Shape::MapChainText,
                "{id=1000007, customer=customer-1000007, amount=243, ts=2023-11-14T22:13:20.259, partition=0, site=ams}",
            ),
        ];
        for (shape, expected) in rows {
            assert_eq!(line(shape, 7, &Words::new()), expected);
        }
    }

    #[test]
    fn the_envelope_is_json_around_the_record() {
        let envelope: serde_json::Value =
            serde_json::from_str(&line(Shape::JsonWithSchema, 7, &Words::new())).expect("JSON");
        let record: serde_json::Value =
            serde_json::from_str(&line(Shape::Json, 7, &Words::new())).expect("JSON");
        assert_eq!(envelope["payload"], record);
        let fields = envelope["schema"]["fields"].as_array().map(Vec::len);
        assert_eq!(fields, Some(6));
    }

    #[test]
    fn dates_know_leap_years() {
        let rows = [
            (0, "1970-01-01T00:00:00.000"),
            (951_782_400_001, "2000-02-29T00:00:00.001"),
            (1_704_067_199_999, "2023-12-31T23:59:59.999"),
            (1_709_251_200_000, "2024-03-01T00:00:00.000"),
        ];
        for (ms, expected) in rows {
            assert_eq!(date(ms), expected);
        }
    }

    #[test]
    fn text_lines_differ() {
        let words = Words::new();
        let lines: std::collections::HashSet<String> = (0..1_000)
            .map(|number| line(Shape::Text, number, &words))
            .collect();
        assert_eq!(lines.len(), 1_000);
    }
}
