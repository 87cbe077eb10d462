//! The text of a JSON document, whatever Unicode encoding it is in.
//!
//! Lives here: the guess from the first four bytes, and the decoders that are laxer than Rust's.
//! Never here: JSON.
//! Source: `ByteSourceJsonBootstrapper` of Jackson 2.21 and RFC 4627, section 3.

use super::scan::SyntaxError;

/// What the bytes are as text.
pub(super) enum Decoded<'a> {
    /// The bytes from that position on.
    InPlace(&'a str),
    /// A text of its own; what lies behind a malformed place is cut off, and the place marked so that it is
    /// no JSON.
    Recoded(String),
}

/// Stands where bytes are malformed. No value begins with it, no number or literal ends before it, and
/// nothing follows: an object, array or text that is complete stays so, everything else fails.
const MALFORMED: char = 'x';

/// Cost: one pass over UTF-8, no copy.
#[inline]
pub(super) fn decode(bytes: &[u8]) -> Result<Decoded<'_>, SyntaxError> {
    let suspicious = match bytes {
        [first, second, ..] => *second == 0 || matches!(first, 0 | 0xEF | 0xFE | 0xFF),
        _ => false,
    };
    if suspicious {
        return decode_by_signature(bytes);
    }
    Ok(utf8(bytes))
}

#[inline]
fn utf8(bytes: &[u8]) -> Decoded<'_> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Decoded::InPlace(text),
        Err(_) => Decoded::Recoded(lax_utf8(bytes)),
    }
}

#[cold]
fn decode_by_signature(bytes: &[u8]) -> Result<Decoded<'_>, SyntaxError> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let (units, odd) = bytes.as_chunks::<2>();
        let mut text: String = char::decode_utf16(units.iter().map(|pair| unit(*pair)))
            .map(|char| char.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect();
        if !odd.is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
        Ok(Decoded::Recoded(text))
    };
    let utf32 = |bytes: &[u8], unit: fn([u8; 4]) -> u32| {
        let (units, odd) = bytes.as_chunks::<4>();
        let mut text = String::with_capacity(units.len());
        for unit in units.iter().map(|four| unit(*four)) {
            match char::from_u32(unit) {
                Some(char) => text.push(char),
                None if unit < 0x11_0000 => text.push(char::REPLACEMENT_CHARACTER),
                None => {
                    text.push(MALFORMED);
                    return Ok(Decoded::Recoded(text));
                }
            }
        }
        if !odd.is_empty() {
            text.push(MALFORMED);
        }
        Ok(Decoded::Recoded(text))
    };
    let unusual = || {
        let expected = "the bytes of UTF-32 in their usual order";
        SyntaxError::new(0, bytes.first().copied(), expected)
    };
    match bytes {
        [0, 0, 0xFE, 0xFF, rest @ ..] => utf32(rest, u32::from_be_bytes),
        [0xFF, 0xFE, 0, 0, rest @ ..] => utf32(rest, u32::from_le_bytes),
        [0, 0, 0xFF, 0xFE, ..] | [0xFE, 0xFF, 0, 0, ..] => Err(unusual()),
        [0xFE, 0xFF, rest @ ..] if bytes.len() >= 4 => utf16(rest, u16::from_be_bytes),
        [0xFF, 0xFE, rest @ ..] if bytes.len() >= 4 => utf16(rest, u16::from_le_bytes),
        [0xEF, 0xBB, 0xBF, rest @ ..] if bytes.len() >= 4 => Ok(utf8(rest)),
        [0, 0, 0, _, ..] => utf32(bytes, u32::from_be_bytes),
        [_, 0, 0, 0, ..] => utf32(bytes, u32::from_le_bytes),
        [0, _, 0, 0, ..] | [0, 0, _, 0, ..] => Err(unusual()),
        [0, _, ..] => utf16(bytes, u16::from_be_bytes),
        [_, 0, ..] => utf16(bytes, u16::from_le_bytes),
        _ => Ok(utf8(bytes)),
    }
}

/// UTF-8 as Jackson reads it: any sequence whose bytes begin right and that is no half of a surrogate pair,
/// also one that is longer than it need be.
#[cold]
fn lax_utf8(bytes: &[u8]) -> String {
    let mut units = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    let complete = loop {
        let [first, behind @ ..] = rest else {
            break true;
        };
        let (bits, more) = match first {
            0x00..=0x7F => (u32::from(*first), 0),
            0xC0..=0xDF => (u32::from(first & 0x1F), 1),
            0xE0..=0xEF => (u32::from(first & 0x0F), 2),
            0xF0..=0xF7 => (u32::from(first & 0x07), 3),
            _ => break false,
        };
        let Some(continuation) = behind.get(..more) else {
            break false;
        };
        if continuation.iter().any(|byte| byte & 0xC0 != 0x80) {
            break false;
        }
        let code = continuation
            .iter()
            .fold(bits, |code, byte| code << 6 | u32::from(byte & 0x3F));
        match (more, code) {
            (2, 0xD800..=0xDFFF) => break false,
            (3, _) => {
                let code = code.wrapping_sub(0x1_0000);
                units.push(0xD800 | (code >> 10) as u16);
                units.push(0xDC00 | (code & 0x3FF) as u16);
            }
            // Written long, a quote ends no text and a control character is none: as if it were escaped.
            (1.., 0x00..=0x7F) => units.extend(format!("\\u{code:04X}").encode_utf16()),
            _ => units.push(code as u16),
        }
        rest = &behind[more..];
    };
    let mut text = String::from_utf16_lossy(&units);
    if !complete {
        text.push(MALFORMED);
    }
    text
}
