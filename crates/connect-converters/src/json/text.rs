//! Texts in JSON's quotes.
//!
//! Lives here: which characters Jackson escapes, and a copy that looks for them eight bytes at a time.
//! Never here: what the text is for.

use super::swar;

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Appends a text in double quotes. Escaped are quotes, backslashes, control characters, and characters
/// beyond U+FFFF as two UTF-16 units; all others stand as they are, in UTF-8.
///
/// Source: `UTF8JsonGenerator` of Jackson 2.21.
#[inline]
pub(super) fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    write_unquoted(text.as_bytes(), out);
    out.push(b'"');
}

#[inline]
fn write_unquoted(bytes: &[u8], out: &mut Vec<u8>) {
    let plain = swar::copy_unescaped(bytes, out);
    if plain < bytes.len() {
        write_escaped(&bytes[plain..], out);
    }
}

/// `bytes` are UTF-8 and begin with something to escape.
#[cold]
fn write_escaped(mut bytes: &[u8], out: &mut Vec<u8>) {
    while let [first, rest @ ..] = bytes {
        bytes = match first {
            b'"' | b'\\' => {
                out.extend_from_slice(&[b'\\', *first]);
                rest
            }
            0..0x20 => {
                write_control(*first, out);
                rest
            }
            0xF0.. => {
                let (four, rest) = bytes.split_at(4);
                write_pair(four, out);
                rest
            }
            _ => unreachable!("only these stop a copy"),
        };
        let plain = swar::copy_unescaped(bytes, out);
        bytes = &bytes[plain..];
    }
}

fn write_control(byte: u8, out: &mut Vec<u8>) {
    let short = match byte {
        0x08 => b'b',
        0x09 => b't',
        0x0A => b'n',
        0x0C => b'f',
        0x0D => b'r',
        _ => return write_unit(byte.into(), out),
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// The four bytes of a character beyond U+FFFF.
fn write_pair(four: &[u8], out: &mut Vec<u8>) {
    let code = four[1..]
        .iter()
        .fold(u32::from(four[0] & 0x07), |code, byte| {
            code << 6 | u32::from(byte & 0x3F)
        });
    let code = code - 0x1_0000;
    write_unit(0xD800 | (code >> 10) as u16, out);
    write_unit(0xDC00 | (code & 0x3FF) as u16, out);
}

fn write_unit(unit: u16, out: &mut Vec<u8>) {
    let digit = |shift: u16| HEX[usize::from(unit >> shift & 0xF)];
    out.extend_from_slice(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_as_jackson_does() {
        let rows = [
            ("", r#""""#),
            ("plain", r#""plain""#),
            (
                "a rather long text without any escapes",
                r#""a rather long text without any escapes""#,
            ),
            ("q\"b\\s/", r#""q\"b\\s/""#),
            (
                "\u{8}\t\n\u{c}\r\0\u{1f}\u{7f}",
                "\"\\b\\t\\n\\f\\r\\u0000\\u001F\u{7f}\"",
            ),
            ("é€\u{ffff}", "\"é€\u{ffff}\""),
            (
                "0123456789😀0123456789",
                r#""0123456789\uD83D\uDE000123456789""#,
            ),
            ("\u{10ffff}\u{10000}", r#""\uDBFF\uDFFF\uD800\uDC00""#),
        ];
        for (text, expected) in rows {
            let mut out = b"before".to_vec();
            write_text(text, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), format!("before{expected}"));
        }
    }
}
