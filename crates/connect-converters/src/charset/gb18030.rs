//! GB18030: all of Unicode in one, two or four bytes.
//!
//! Lives here: where Java differs from `encoding_rs`: one code of two bytes, and how malformed bytes count.
//! Source: `sun.nio.cs.GB18030` of OpenJDK 17.

use encoding_rs::GB18030;

/// What `encoding_rs` takes for a space, and Java for a private character.
const PRIVATE: ([u8; 2], char) = ([0xA3, 0xA0], '\u{E5E5}');

pub(super) fn decode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, behind @ ..] = rest {
        let length = match (first, behind) {
            (0..=0x7F, _) => 1,
            (0x81..=0xFE, [0x40..=0x7E | 0x80..=0xFE, ..]) => 2,
            (0x81..=0xFE, [0x30..=0x39, 0x81..=0xFE, 0x30..=0x39, ..]) => 4,
            _ => {
                text.push(char::REPLACEMENT_CHARACTER);
                rest = &rest[malformed_length(*first, behind)..];
                continue;
            }
        };
        let (code, behind) = rest.split_at(length);
        if code == PRIVATE.0 {
            text.push(PRIVATE.1);
        } else {
            match GB18030.decode_without_bom_handling_and_without_replacement(code) {
                Some(decoded) => text.push_str(&decoded),
                None => text.push(char::REPLACEMENT_CHARACTER),
            }
        }
        rest = behind;
    }
    text
}

/// How many bytes one U+FFFD stands for.
fn malformed_length(first: u8, behind: &[u8]) -> usize {
    if !(0x81..=0xFE).contains(&first) {
        return 1;
    }
    match behind {
        // A code of four bytes, cut off or wrong in its third or fourth byte.
        [0x30..=0x39, rest @ ..] if rest.len() < 2 => 2 + rest.len(),
        [0x30..=0x39, 0x81..=0xFE, ..] => 4,
        [0x30..=0x39, ..] => 3,
        [0x3A..=0x3F | 0x7F | 0xFF, ..] => 2,
        _ => 1,
    }
}

pub(super) fn encode(text: &str, out: &mut Vec<u8>) {
    for (i, part) in text.split(PRIVATE.1).enumerate() {
        if i > 0 {
            out.extend_from_slice(&PRIVATE.0);
        }
        let (bytes, _, _) = GB18030.encode(part);
        out.extend_from_slice(&bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What OpenJDK 17 answers; `�` once for each time that it replaces.
    #[test]
    fn malformed_bytes_count_as_in_java() {
        let rows: &[(&[u8], &str)] = &[
            (b"\xD6\xD0a", "中a"),
            (b"\x84\x31\xA4\x30", "\u{FFF6}"),
            (b"\x90\x30\x81\x30", "\u{10000}"),
            (b"\xA3\xA0", "\u{E5E5}"),
            (b"\xE3\x32\x9A\x36A", "\u{FFFD}A"),
            (b"\x80A", "\u{FFFD}A"),
            (b"\xFFA", "\u{FFFD}A"),
            (b"\x81 A", "\u{FFFD} A"),
            (b"\x81\x3AA", "\u{FFFD}A"),
            (b"\x81\x7FA", "\u{FFFD}A"),
            (b"\x81\x30 AB", "\u{FFFD}AB"),
            (b"\x81\x30\x81 A", "\u{FFFD}A"),
            (b"\x81", "\u{FFFD}"),
            (b"\x81\x30", "\u{FFFD}"),
            (b"\x81\x30\x81", "\u{FFFD}"),
        ];
        for (bytes, text) in rows {
            assert_eq!(decode(bytes), *text, "{}", bytes.escape_ascii());
        }
    }
}
