//! Base64 as Jackson writes and reads it: the standard alphabet, padded, without line breaks.
//!
//! Lives here: both directions.
//! Never here: JSON's quotes.
//! Source: `Base64Variants.MIME_NO_LINEFEEDS` and `TextNode.getBinaryValue` of Jackson 2.21.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const PADDING: u8 = b'=';
/// The value of a byte that is no digit.
const NONE: u8 = 0xFF;

const VALUES: [u8; 256] = {
    let mut values = [NONE; 256];
    let mut i = 0;
    while i < 64 {
        values[ALPHABET[i] as usize] = i as u8;
        i += 1;
    }
    values
};

/// Appends the text of `bytes`.
pub(super) fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len().div_ceil(3) * 4);
    let digit = |bits: u32| ALPHABET[(bits & 0x3F) as usize];
    let (triples, rest) = bytes.as_chunks::<3>();
    for [a, b, c] in triples {
        let bits = u32::from(*a) << 16 | u32::from(*b) << 8 | u32::from(*c);
        out.extend_from_slice(&[
            digit(bits >> 18),
            digit(bits >> 12),
            digit(bits >> 6),
            digit(bits),
        ]);
    }
    match rest {
        [a, b] => {
            let bits = u32::from(*a) << 16 | u32::from(*b) << 8;
            out.extend_from_slice(&[
                digit(bits >> 18),
                digit(bits >> 12),
                digit(bits >> 6),
                PADDING,
            ]);
        }
        [a] => {
            let bits = u32::from(*a) << 16;
            out.extend_from_slice(&[digit(bits >> 18), digit(bits >> 12), PADDING, PADDING]);
        }
        _ => {}
    }
}

/// The bytes that a text stands for. Blanks around groups of four are skipped, text after padding is read
/// on, spare bits are ignored. `None`: anything else, unpadded or URL-safe text among it.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.as_bytes();
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let mut at = 0;
    loop {
        while text.get(at).is_some_and(|byte| *byte <= b' ') {
            at += 1;
        }
        if at == text.len() {
            return Some(bytes);
        }
        let group = text.get(at..at + 4)?;
        at += 4;
        let value = |i: usize| {
            let value = VALUES[usize::from(group[i])];
            (value != NONE).then_some(u32::from(value))
        };
        let bits = value(0)? << 18 | value(1)? << 12;
        match (group[2], group[3]) {
            (PADDING, PADDING) => bytes.push((bits >> 16) as u8),
            (_, PADDING) => {
                let bits = bits | value(2)? << 6;
                bytes.extend_from_slice(&[(bits >> 16) as u8, (bits >> 8) as u8]);
            }
            _ => {
                let bits = bits | value(2)? << 6 | value(3)?;
                bytes.extend_from_slice(&[(bits >> 16) as u8, (bits >> 8) as u8, bits as u8]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for length in 0..50 {
            let bytes: Vec<u8> = (0..length).map(|i| (i * 37 + 200) as u8).collect();
            let mut text = Vec::new();
            encode(&bytes, &mut text);
            let text = String::from_utf8(text).unwrap();
            assert_eq!(decode(&text), Some(bytes), "{text}");
        }
    }

    #[test]
    fn reads_what_jackson_reads() {
        let rows: &[(&str, Option<&[u8]>)] = &[
            ("", Some(b"")),
            ("  ", Some(b"")),
            ("aGk=", Some(b"hi")),
            ("  aGk=\n", Some(b"hi")),
            ("aGk=aGk=", Some(b"hihi")),
            ("aGlp\n aGlp", Some(b"hiihii")),
            ("aGl=", Some(b"hi")),
            ("aGk", None),
            ("aG k=", None),
            ("a===", None),
            ("aG=k", None),
            ("a-_b", None),
        ];
        for (text, expected) in rows {
            assert_eq!(decode(text).as_deref(), *expected, "{text:?}");
        }
    }
}
