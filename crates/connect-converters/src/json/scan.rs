//! The words of JSON: space, texts, numbers, literals, and where one value ends.
//!
//! Lives here: [`Scanner`], a position in a text that was checked to be UTF-8, and the grammar that Jackson
//! accepts with leading zeros allowed.
//! Lives elsewhere: what is made of a value (`free`, `typed`, `node`), bytes that are no UTF-8 (`encoding`).
//! Never here: Connect's data model.
//! Source: `UTF8StreamJsonParser` and `StreamReadConstraints` of Jackson 2.21.

use super::number::Number;
use super::swar;
use std::borrow::Cow;
use std::fmt;

/// Objects and arrays inside each other that Jackson reads at most.
const NESTING_MAX: u32 = 1000;
/// Digits of a number that Jackson reads at most.
const NUMBER_LENGTH_MAX: usize = 1000;
/// Bytes of a member's name that Jackson reads at most.
const NAME_LENGTH_MAX: usize = 50_000;
/// UTF-16 units of a text that Jackson reads at most.
const TEXT_LENGTH_MAX: usize = 20_000_000;

/// Where a text stops to be JSON, and what would have gone on. A pointer, to keep good results small.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError(Box<Unexpected>);

#[derive(Debug, PartialEq, Eq)]
struct Unexpected {
    at: usize,
    found: Option<u8>,
    expected: &'static str,
}

impl SyntaxError {
    #[cold]
    pub(crate) fn new(at: usize, found: Option<u8>, expected: &'static str) -> Self {
        Self(Box::new(Unexpected {
            at,
            found,
            expected,
        }))
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "expected {} at byte {}, found ",
            self.0.expected, self.0.at
        )?;
        match self.0.found {
            None => f.write_str("the end"),
            Some(byte) if byte.is_ascii_graphic() => write!(f, "'{}'", char::from(byte)),
            Some(byte) => write!(f, "byte 0x{byte:02X}"),
        }
    }
}

impl std::error::Error for SyntaxError {}

pub(super) type Scan<T> = Result<T, SyntaxError>;

/// A text or name as it stands, or with its escapes replaced.
pub(super) type Text<'a> = Cow<'a, str>;

/// What stands in quotes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quoted {
    Name,
    Text,
}

pub(super) struct Scanner<'a> {
    text: &'a [u8],
    pub(super) at: usize,
    depth: u32,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text: text.as_bytes(),
            at: 0,
            depth: 0,
        }
    }

    /// Goes on at `at`, which lies `depth` objects deep and between two values.
    pub(super) fn resumed(text: &'a str, at: usize, depth: u32) -> Self {
        Self {
            text: text.as_bytes(),
            at,
            depth,
        }
    }

    /// The byte at the position; 0 at the end, which no value begins with either.
    #[inline(always)]
    pub(super) fn peek(&self) -> u8 {
        match self.text.get(self.at) {
            Some(byte) => *byte,
            None => 0,
        }
    }

    /// What is left.
    #[inline(always)]
    pub(super) fn rest(&self) -> &'a [u8] {
        // SAFETY: `at` never passes the end: it grows over bytes that were seen only.
        unsafe { self.text.get_unchecked(self.at..) }
    }

    /// What was read from `start` on.
    pub(super) fn since(&self, start: usize) -> &'a str {
        self.between(start, self.at)
    }

    #[inline(always)]
    fn between(&self, start: usize, end: usize) -> &'a str {
        let bytes = &self.text[start..end];
        // SAFETY: the text is UTF-8 as a whole, and both ends lie beside an ASCII byte or at its ends.
        unsafe { std::str::from_utf8_unchecked(bytes) }
    }

    #[cold]
    pub(super) fn unexpected(&self, expected: &'static str) -> SyntaxError {
        SyntaxError::new(self.at, self.text.get(self.at).copied(), expected)
    }

    /// Steps over bytes that were recognized, and over space behind them, which they may not have had when
    /// they were learned.
    #[inline(always)]
    pub(super) fn step_over(&mut self, length: usize) {
        self.at += length;
        if self.peek() <= b' ' {
            self.skip_space();
        }
    }

    #[inline(always)]
    pub(super) fn skip_space(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
    }

    /// Steps into an object or array.
    #[inline(always)]
    pub(super) fn enter(&mut self) -> Scan<()> {
        if self.depth == NESTING_MAX {
            return Err(self.unexpected("no more than 1000 objects and arrays inside each other"));
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    /// Steps out over the bracket that closes.
    #[inline(always)]
    pub(super) fn leave(&mut self) {
        self.depth -= 1;
        self.at += 1;
    }

    /// Inside an object: the name of the next member, the position then at its value; `None` at the closing
    /// brace, which is left to [`Self::leave`].
    pub(super) fn next_member(&mut self, first: bool) -> Scan<Option<Text<'a>>> {
        self.skip_space();
        match self.peek() {
            b'}' => return Ok(None),
            b',' if !first => {
                self.at += 1;
                self.skip_space();
            }
            _ if first => {}
            _ => return Err(self.unexpected("',' or '}'")),
        }
        if self.peek() != b'"' {
            return Err(self.unexpected("a name in double quotes"));
        }
        let name = self.quoted(Quoted::Name)?;
        if name.len() > NAME_LENGTH_MAX {
            return Err(self.unexpected("a name of no more than 50000 bytes"));
        }
        self.skip_space();
        if self.peek() != b':' {
            return Err(self.unexpected("':'"));
        }
        self.at += 1;
        self.skip_space();
        Ok(Some(name))
    }

    /// Inside an array: whether there is another element, the position then at it; `false` at the closing
    /// bracket, which is left to [`Self::leave`].
    #[inline]
    pub(super) fn next_element(&mut self, first: bool) -> Scan<bool> {
        self.skip_space();
        match self.peek() {
            b']' => return Ok(false),
            b',' if !first => {
                self.at += 1;
                self.skip_space();
            }
            _ if first => {}
            _ => return Err(self.unexpected("',' or ']'")),
        }
        Ok(true)
    }

    /// A text in double quotes; the position is at the opening one.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn string(&mut self) -> Scan<Text<'a>> {
        self.quoted(Quoted::Text)
    }

    #[inline(always)]
    fn quoted(&mut self, what: Quoted) -> Scan<Text<'a>> {
        self.at += 1;
        let start = self.at;
        self.at += swar::plain_prefix(self.rest());
        if self.peek() == b'"' {
            let text = self.between(start, self.at);
            if text.len() > TEXT_LENGTH_MAX {
                check_length(text).map_err(|expected| self.unexpected(expected))?;
            }
            self.at += 1;
            return Ok(Cow::Borrowed(text));
        }
        self.quoted_with_escapes(start, what)
    }

    #[cold]
    fn quoted_with_escapes(&mut self, start: usize, what: Quoted) -> Scan<Text<'a>> {
        let mut text = self.between(start, self.at).to_string();
        loop {
            match self.peek() {
                b'"' => break,
                b'\\' => {
                    self.at += 1;
                    self.escape(&mut text, what)?;
                }
                _ if self.at == self.text.len() => return Err(self.unexpected("'\"'")),
                _ => return Err(self.unexpected("an escape in place of a control character")),
            }
            let start = self.at;
            self.at += swar::plain_prefix(self.rest());
            text.push_str(self.between(start, self.at));
        }
        check_length(&text).map_err(|expected| self.unexpected(expected))?;
        self.at += 1;
        Ok(Cow::Owned(text))
    }

    fn escape(&mut self, text: &mut String, what: Quoted) -> Scan<()> {
        let char = match self.peek() {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = self.hex4()?;
                let char = self.paired(unit, what)?;
                text.push(char);
                return Ok(());
            }
            _ => return Err(self.unexpected("one of \" \\ / b f n r t u after '\\'")),
        };
        self.at += 1;
        text.push(char);
        Ok(())
    }

    /// The character of a UTF-16 unit, with the unit of the escape behind it where the two are a pair. Half
    /// a pair, which a Java string can hold and ours cannot, becomes U+FFFD; Jackson refuses it in names.
    fn paired(&mut self, unit: u16, what: Quoted) -> Scan<char> {
        if let Some(char) = char::from_u32(unit.into()) {
            return Ok(char);
        }
        let behind = self.at;
        if unit < 0xDC00 && self.rest().starts_with(b"\\u") {
            self.at += 1;
            let low = self.hex4()?;
            if let Some(Ok(char)) = char::decode_utf16([unit, low]).next() {
                return Ok(char);
            }
            self.at = behind;
        }
        match what {
            Quoted::Text => Ok(char::REPLACEMENT_CHARACTER),
            Quoted::Name => Err(self.unexpected("both halves of a surrogate pair in a name")),
        }
    }

    /// `uXXXX`, the position at the `u`.
    fn hex4(&mut self) -> Scan<u16> {
        self.at += 1;
        let mut unit = 0;
        for _ in 0..4 {
            let Some(digit) = char::from(self.peek()).to_digit(16) else {
                return Err(self.unexpected("a hexadecimal digit"));
            };
            unit = unit << 4 | digit as u16;
            self.at += 1;
        }
        Ok(unit)
    }

    /// `true`, `false` or `null`.
    #[inline]
    pub(super) fn literal(&mut self, word: &'static str) -> Scan<()> {
        if !self.rest().starts_with(word.as_bytes()) {
            return Err(self.unexpected("a value"));
        }
        self.at += word.len();
        Ok(())
    }

    /// A number; the position is at its sign or first digit.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn number(&mut self) -> Scan<Number<'a>> {
        let start = self.at;
        let negative = self.peek() == b'-';
        self.at += usize::from(negative);
        let first_digit = self.at;
        let magnitude = self.digits(0);
        let whole_digits = self.at - first_digit;
        if whole_digits == 0 {
            return Err(self.unexpected(if negative { "a digit" } else { "a value" }));
        }
        if matches!(self.peek(), b'.' | b'e' | b'E') {
            return self.real(start, negative, magnitude, whole_digits);
        }
        if whole_digits > 18 {
            return self.long_integer(start, negative, magnitude);
        }
        let low = magnitude as i64;
        Ok(Number::Integer {
            low: if negative { -low } else { low },
            raw: None,
        })
    }

    /// Digits behind those that made `value`; what does not fit is lost at the top.
    #[inline(always)]
    fn digits(&mut self, mut value: u64) -> u64 {
        while let Some(eight) = swar::eight_digits(self.rest()) {
            value = value.wrapping_mul(100_000_000).wrapping_add(eight);
            self.at += 8;
        }
        loop {
            let digit = self.peek().wrapping_sub(b'0');
            if digit > 9 {
                return value;
            }
            value = value.wrapping_mul(10).wrapping_add(digit.into());
            self.at += 1;
        }
    }

    #[cold]
    fn long_integer(&mut self, start: usize, negative: bool, magnitude: u64) -> Scan<Number<'a>> {
        let raw = self.since(start);
        let significant = raw.trim_start_matches('-').trim_start_matches('0');
        if significant.len() > NUMBER_LENGTH_MAX {
            return Err(self.unexpected("a number of no more than 1000 digits"));
        }
        let low = magnitude as i64;
        let low = if negative { low.wrapping_neg() } else { low };
        let fits = significant.len() <= 18 || raw.parse::<i64>().is_ok();
        Ok(Number::Integer {
            low,
            raw: (!fits).then_some(raw),
        })
    }

    fn real(
        &mut self,
        start: usize,
        negative: bool,
        mut mantissa: u64,
        whole_digits: usize,
    ) -> Scan<Number<'a>> {
        let mut fraction_digits = 0;
        if self.peek() == b'.' {
            self.at += 1;
            let first = self.at;
            mantissa = self.digits(mantissa);
            fraction_digits = self.at - first;
            if fraction_digits == 0 {
                return Err(self.unexpected("a digit after '.'"));
            }
        }
        let mut exponent = 0;
        let mut exponent_digits = 0;
        if matches!(self.peek(), b'e' | b'E') {
            self.at += 1;
            let minus = self.peek() == b'-';
            if minus || self.peek() == b'+' {
                self.at += 1;
            }
            let first = self.at;
            exponent = self.digits(0).min(i64::MAX as u64) as i64;
            exponent_digits = self.at - first;
            if exponent_digits == 0 {
                return Err(self.unexpected("a digit of the exponent"));
            }
            if minus {
                exponent = -exponent;
            }
        }
        let raw = self.since(start);
        let leading_zeros = raw.len() - raw.trim_start_matches(['-', '0']).len();
        let leading_zeros = leading_zeros - usize::from(negative);
        let counted = (whole_digits - leading_zeros.min(whole_digits)).max(1);
        if counted + fraction_digits + exponent_digits > NUMBER_LENGTH_MAX {
            return Err(self.unexpected("a number of no more than 1000 digits"));
        }
        // A BigDecimal's scale has 32 bits, and its reader takes ten digits of an exponent.
        let scale = fraction_digits as i64 - exponent;
        let Ok(scale) = i32::try_from(scale) else {
            return Err(self.unexpected("an exponent of no more than 31 bits"));
        };
        Ok(Number::Real {
            negative,
            mantissa: (whole_digits + fraction_digits <= 19).then_some(mantissa),
            scale,
            raw,
        })
    }

    /// Steps over one value, whatever it is, and checks it all the same.
    pub(super) fn skip_value(&mut self) -> Scan<()> {
        match self.peek() {
            b'"' => {
                self.string()?;
            }
            b'{' => {
                self.enter()?;
                let mut first = true;
                while self.next_member(first)?.is_some() {
                    first = false;
                    self.skip_value()?;
                }
                self.leave();
            }
            b'[' => {
                self.enter()?;
                let mut first = true;
                while self.next_element(first)? {
                    first = false;
                    self.skip_value()?;
                }
                self.leave();
            }
            b't' => self.literal("true")?,
            b'f' => self.literal("false")?,
            b'n' => self.literal("null")?,
            _ => {
                self.number()?;
            }
        }
        Ok(())
    }

    /// Behind the one value of a record. Anything may follow an object, an array or a text; a number wants
    /// space or the end, a literal anything that could not go on as a word.
    ///
    /// `first` is the byte that the value began with.
    pub(super) fn end_of_document(&self, first: u8) -> Scan<()> {
        match (first, self.rest().first()) {
            (_, None) | (b'{' | b'[' | b'"', _) => Ok(()),
            (b't' | b'f' | b'n', Some(_)) => match self.since_now().chars().next() {
                Some(char) if char >= '0' && goes_on_as_word(char) => {
                    Err(self.unexpected("the end of the literal"))
                }
                _ => Ok(()),
            },
            (_, Some(b' ' | b'\t' | b'\n' | b'\r')) => Ok(()),
            _ => Err(self.unexpected("space after the number")),
        }
    }

    fn since_now(&self) -> &'a str {
        self.between(self.at, self.text.len())
    }
}

/// `Character.isJavaIdentifierPart`; Jackson fails on anything beyond ASCII here, whatever it is.
fn goes_on_as_word(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '_' | '\u{7f}'..)
}

fn check_length(text: &str) -> Result<(), &'static str> {
    let too_long =
        text.len() > TEXT_LENGTH_MAX && text.encode_utf16().nth(TEXT_LENGTH_MAX).is_some();
    if too_long {
        return Err("a text of no more than 20000000 characters");
    }
    Ok(())
}
