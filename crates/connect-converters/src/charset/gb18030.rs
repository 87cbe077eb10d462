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
    match (first, behind) {
        (0x81..=0xFE, []) => 1,
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
