//! UTF-16 and UTF-32 as Java reads and writes them.
//!
//! Lives here: byte order marks, and how many U+FFFD stand for malformed bytes.
//! Source: `sun.nio.cs` of OpenJDK 17.

const REPLACEMENT: u16 = 0xFFFD;
const MARK: u16 = 0xFEFF;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Big,
    Little,
}

pub(super) struct Utf16 {
    /// `None`: the mark says it.
    pub order: Option<ByteOrder>,
    /// The mark that is written and, where none is read, believed.
    pub mark: Option<ByteOrder>,
}

impl Utf16 {
    pub(super) fn decode(&self, bytes: &[u8]) -> Vec<u16> {
        let (mut order, rest) = match (self.order, bytes) {
            (Some(order), _) => (order, bytes),
            (None, [0xFE, 0xFF, rest @ ..]) => (ByteOrder::Big, rest),
            (None, [0xFF, 0xFE, rest @ ..]) => (ByteOrder::Little, rest),
            (None, _) => (ByteOrder::Big, bytes),
        };
        if self.order.is_none() && rest.len() == bytes.len() {
            order = self.mark.unwrap_or(ByteOrder::Big);
        }
        let unit = |pair: &[u8; 2]| match order {
            ByteOrder::Big => u16::from_be_bytes(*pair),
            ByteOrder::Little => u16::from_le_bytes(*pair),
        };
        let (pairs, odd) = rest.as_chunks::<2>();
        let mut units = Vec::with_capacity(pairs.len() + 1);
        let mut pairs = pairs.iter().map(unit).peekable();
        let mut half = false;
        while let Some(unit) = pairs.next() {
            match unit {
                0xD800..0xDC00 => match pairs.peek() {
                    Some(low @ 0xDC00..0xE000) => {
                        units.extend([unit, *low]);
                        pairs.next();
                    }
                    // Both units are replaced as one.
                    Some(_) => {
                        units.push(REPLACEMENT);
                        pairs.next();
                    }
                    None => half = true,
                },
                0xDC00..0xE000 => units.push(REPLACEMENT),
                _ => units.push(unit),
            }
        }
        // What is left over at the end is replaced as one.
        if half || !odd.is_empty() {
            units.push(REPLACEMENT);
        }
        units
    }

    pub(super) fn encode(&self, text: &str, out: &mut Vec<u8>) {
        let order = self.order.or(self.mark).unwrap_or(ByteOrder::Big);
        let mark = self.mark.filter(|_| !text.is_empty()).map(|_| MARK);
        for unit in mark.into_iter().chain(text.encode_utf16()) {
            out.extend_from_slice(&match order {
                ByteOrder::Big => unit.to_be_bytes(),
                ByteOrder::Little => unit.to_le_bytes(),
            });
        }
    }
}

pub(super) struct Utf32 {
    /// `None`: the mark says it.
    pub order: Option<ByteOrder>,
}

impl Utf32 {
    pub(super) fn decode(&self, bytes: &[u8]) -> Vec<u16> {
        let (order, rest) = match (self.order, bytes) {
            (None | Some(ByteOrder::Big), [0, 0, 0xFE, 0xFF, rest @ ..]) => (ByteOrder::Big, rest),
            (None | Some(ByteOrder::Little), [0xFF, 0xFE, 0, 0, rest @ ..]) => {
                (ByteOrder::Little, rest)
            }
            (order, bytes) => (order.unwrap_or(ByteOrder::Big), bytes),
        };
        let (fours, odd) = rest.as_chunks::<4>();
        let mut units = Vec::with_capacity(fours.len() + 1);
        for four in fours {
            let code = match order {
                ByteOrder::Big => u32::from_be_bytes(*four),
                ByteOrder::Little => u32::from_le_bytes(*four),
            };
            match char::from_u32(code) {
                Some(char) => units.extend_from_slice(char.encode_utf16(&mut [0; 2])),
                None => units.push(REPLACEMENT),
            }
        }
        if !odd.is_empty() {
            units.push(REPLACEMENT);
        }
        units
    }

    pub(super) fn encode(&self, text: &str, out: &mut Vec<u8>) {
        for char in text.chars() {
            let code = u32::from(char);
            out.extend_from_slice(&match self.order {
                Some(ByteOrder::Little) => code.to_le_bytes(),
                _ => code.to_be_bytes(),
            });
        }
    }
}
