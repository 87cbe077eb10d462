//! The text format of `.properties` files, read exactly as `java.util.Properties.load` reads it.
//!
//! Lives here: logical lines, keys, separators, escapes. `tests/properties_java.rs` compares with what
//! Java answered to several hundred tricky texts.
//! Never here: opening files.

use crate::Properties;

/// The only way in which a properties text can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PropertiesError {
    /// A `\u` that is not followed by four hexadecimal digits. The text is Java's.
    #[error("Malformed \\uxxxx encoding.")]
    MalformedUnicodeEscape,
}

impl Properties {
    /// Reads a properties file as `Properties.load(InputStream)` does: each byte is one ISO-8859-1
    /// character. Worker and connector configuration files are read so.
    ///
    /// The last of several equal keys wins. An escaped lone surrogate, which Java would keep, becomes
    /// U+FFFD, since it has no place in a Rust string and in no protocol of Kafka.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PropertiesError> {
        load(bytes.iter().map(|byte| u16::from(*byte)).collect())
    }

    /// Reads a properties text that is already decoded, as `Properties.load(Reader)` does. Java's
    /// `FileConfigProvider` reads its files so, as UTF-8.
    pub fn from_text(text: &str) -> Result<Self, PropertiesError> {
        load(text.encode_utf16().collect())
    }
}

const BACKSLASH: u16 = b'\\' as u16;
const CARRIAGE_RETURN: u16 = b'\r' as u16;
const LINE_FEED: u16 = b'\n' as u16;

fn load(text: Vec<u16>) -> Result<Properties, PropertiesError> {
    let mut properties = Properties::new();
    let mut lines = LogicalLines {
        text: &text,
        at: 0,
        line: Vec::new(),
    };
    while let Some(line) = lines.next_line() {
        let (key, value) = split(line);
        properties.set(unescape(key)?, unescape(value)?);
    }
    Ok(properties)
}

fn is_blank(unit: u16) -> bool {
    matches!(u8::try_from(unit), Ok(b' ' | b'\t' | b'\x0C'))
}

fn is_separator(unit: u16) -> bool {
    matches!(u8::try_from(unit), Ok(b'=' | b':'))
}

fn is_comment_start(unit: u16) -> bool {
    matches!(u8::try_from(unit), Ok(b'#' | b'!'))
}

fn is_line_end(unit: u16) -> bool {
    unit == LINE_FEED || unit == CARRIAGE_RETURN
}

/// Lines after continuations are joined and comments and blank lines are gone.
struct LogicalLines<'a> {
    text: &'a [u16],
    at: usize,
    line: Vec<u16>,
}

impl LogicalLines<'_> {
    /// The next line without leading blanks and without a backslash that continues it. Escapes stay.
    ///
    /// The state machine is the one of Java's `LineReader`, corner for corner: after a continuation a
    /// `#` opens a comment when nothing stands on the line yet, and a blank line ends the line.
    fn next_line(&mut self) -> Option<&[u16]> {
        self.line.clear();
        let mut skip_blanks = true;
        let mut continued = false;
        let mut after_backslash = false;
        while let Some(&unit) = self.text.get(self.at) {
            self.at += 1;
            if skip_blanks {
                if is_blank(unit) || !continued && is_line_end(unit) {
                    continue;
                }
                skip_blanks = false;
                continued = false;
            }
            if self.line.is_empty() && is_comment_start(unit) {
                if !self.skip_past_line_end() {
                    return None;
                }
                skip_blanks = true;
                continue;
            }
            if !is_line_end(unit) {
                self.line.push(unit);
                after_backslash = unit == BACKSLASH && !after_backslash;
                continue;
            }
            if self.line.is_empty() {
                skip_blanks = true;
                continue;
            }
            if !after_backslash {
                return Some(&self.line);
            }
            self.line.pop();
            if self.at == self.text.len() {
                // Even an empty line counts here: a lone backslash and line end is an empty key.
                return Some(&self.line);
            }
            skip_blanks = true;
            continued = true;
            after_backslash = false;
            if unit == CARRIAGE_RETURN && self.text.get(self.at) == Some(&LINE_FEED) {
                self.at += 1;
            }
        }
        if self.line.is_empty() {
            return None;
        }
        if after_backslash {
            self.line.pop();
        }
        Some(&self.line)
    }

    /// False when the text ended before the line did.
    fn skip_past_line_end(&mut self) -> bool {
        match self.text[self.at..]
            .iter()
            .position(|unit| is_line_end(*unit))
        {
            Some(length) => self.at += length + 1,
            None => self.at = self.text.len(),
        }
        self.at < self.text.len()
    }
}

/// Key and value of a logical line, escapes still in them. The key ends at the first unescaped blank,
/// `=` or `:`; blanks and at most one `=` or `:` are between the two.
fn split(line: &[u16]) -> (&[u16], &[u16]) {
    let mut after_backslash = false;
    let key_length = line
        .iter()
        .position(|&unit| {
            let ends = !after_backslash && (is_separator(unit) || is_blank(unit));
            after_backslash = unit == BACKSLASH && !after_backslash;
            ends
        })
        .unwrap_or(line.len());
    let (key, rest) = line.split_at(key_length);
    let rest = without_leading_blanks(rest);
    match rest.split_first() {
        Some((unit, value)) if is_separator(*unit) => (key, without_leading_blanks(value)),
        _ => (key, rest),
    }
}

fn without_leading_blanks(units: &[u16]) -> &[u16] {
    let blanks = units.iter().take_while(|unit| is_blank(**unit)).count();
    &units[blanks..]
}

fn unescape(text: &[u16]) -> Result<String, PropertiesError> {
    let mut units = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&unit, tail)) = rest.split_first() {
        rest = tail;
        if unit != BACKSLASH {
            units.push(unit);
            continue;
        }
        let Some((&escaped, tail)) = rest.split_first() else {
            break;
        };
        rest = tail;
        units.push(match u8::try_from(escaped) {
            Ok(b'u') => {
                let (digits, tail) = rest
                    .split_at_checked(4)
                    .ok_or(PropertiesError::MalformedUnicodeEscape)?;
                rest = tail;
                hex(digits).ok_or(PropertiesError::MalformedUnicodeEscape)?
            }
            Ok(b't') => u16::from(b'\t'),
            Ok(b'n') => LINE_FEED,
            Ok(b'r') => CARRIAGE_RETURN,
            Ok(b'f') => u16::from(b'\x0C'),
            _ => escaped,
        });
    }
    Ok(String::from_utf16_lossy(&units))
}

fn hex(digits: &[u16]) -> Option<u16> {
    digits.iter().try_fold(0, |value: u16, &unit| {
        let digit = char::from(u8::try_from(unit).ok()?).to_digit(16)?;
        Some(value << 4 | u16::try_from(digit).ok()?)
    })
}
