//! Character sets of one and two bytes, by tables.
//!
//! Lives here: the tables, read from two files when a character set is first named.
//!
//! `single_byte.tsv`: names, then `80=20AC` (byte, character) or `A0-FF=00A0` (bytes in a row, characters in a
//! row), then what is written otherwise than it is read: `0085>15`, nothing behind `>` for not at all.
//! `double_byte.tsv`: names, the character set of `encoding_rs` to begin with, then what Java reads otherwise
//! (nothing behind `=` for not at all), then what it writes otherwise than it reads (of two codes for a
//! character the lower one is written). Both files were made from the answers of OpenJDK 17.
//! Source: `sun.nio.cs.SingleByte`, `DoubleByte` and `EUC_JP` of OpenJDK 17.

use encoding_rs::Encoding;
use std::sync::{Arc, Mutex, PoisonError};

const SINGLE_BYTE: &str = include_str!("single_byte.tsv");
const DOUBLE_BYTE: &str = include_str!("double_byte.tsv");

/// In tables: no character.
const NO_CHAR: u16 = 0xFFFD;
/// In tables: no code.
const NO_CODE: u32 = u32::MAX;
/// Codes that EUC-JP writes in three bytes, the first of which is 8F.
const THREE_BYTES: u32 = 0x8F_0000;

pub(super) struct Table {
    name: &'static str,
    /// Characters of one byte, and of two bytes as one number.
    chars: Vec<u16>,
    /// Characters of EUC-JP's three bytes, by the last two.
    three: Vec<u16>,
    /// Bytes that two-byte codes begin with.
    leads: [bool; 256],
    /// Codes of characters.
    codes: Vec<u32>,
}

/// Tables that were named so far.
static KNOWN: Mutex<Vec<Arc<Table>>> = Mutex::new(Vec::new());

/// The table of a character set, by one of its names.
pub(super) fn for_name(name: &str) -> Option<Arc<Table>> {
    let named = |line: &&str| {
        let names = line.split('\t').next().unwrap_or_default();
        names
            .split(' ')
            .any(|known| known.eq_ignore_ascii_case(name))
    };
    let single = SINGLE_BYTE.lines().find(named).map(|line| (line, false));
    let found = single.or_else(|| DOUBLE_BYTE.lines().find(named).map(|line| (line, true)));
    let (line, double) = found?;
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let canonical = line.split([' ', '\t']).next()?;
    if let Some(table) = known.iter().find(|table| table.name == canonical) {
        return Some(Arc::clone(table));
    }
    let table = Arc::new(Table::parse(canonical, line, double)?);
    known.push(Arc::clone(&table));
    Some(table)
}

impl Table {
    fn parse(name: &'static str, line: &'static str, double: bool) -> Option<Self> {
        let mut columns = line.split('\t').skip(1);
        let base = if double { Some(columns.next()?) } else { None };
        let mut table = Self {
            name,
            chars: vec![NO_CHAR; if double { 0x1_0000 } else { 0x100 }],
            three: Vec::new(),
            leads: [false; 256],
            codes: vec![NO_CODE; 0x1_0000],
        };
        if let Some(base) = base {
            table.begin_with(Encoding::for_label(base.as_bytes())?);
        }
        for token in columns.next()?.split_ascii_whitespace() {
            table.read_as(token)?;
        }
        table.finish_reading();
        for token in columns.next()?.split_ascii_whitespace() {
            table.write_as(token)?;
        }
        Some(table)
    }

    fn begin_with(&mut self, encoding: &'static Encoding) {
        let char_of = |code: &[u8]| {
            let text = encoding.decode_without_bom_handling_and_without_replacement(code)?;
            let mut units = text.encode_utf16();
            match (units.next(), units.next()) {
                (Some(unit), None) => Some(unit),
                _ => None,
            }
        };
        for first in 0..=0xFFu8 {
            if let Some(char) = char_of(&[first]) {
                self.chars[usize::from(first)] = char;
                continue;
            }
            for second in 0..=0xFF {
                if let Some(char) = char_of(&[first, second]) {
                    self.chars[usize::from(u16::from_be_bytes([first, second]))] = char;
                }
            }
        }
        if encoding == encoding_rs::EUC_JP {
            self.three = vec![NO_CHAR; 0x1_0000];
            for code in 0..=0xFFFFu16 {
                let [second, third] = code.to_be_bytes();
                if let Some(char) = char_of(&[0x8F, second, third]) {
                    self.three[usize::from(code)] = char;
                }
            }
        }
    }

    /// `80=20AC`, `A0-FF=00A0`, `8740-879E=`
    fn read_as(&mut self, token: &str) -> Option<()> {
        let (codes, char) = token.split_once('=')?;
        let char = (!char.is_empty()).then(|| hex(char));
        let (first, last) = range(codes)?;
        for code in first..=last {
            let char = match char {
                Some(char) => u16::try_from(char? + (code - first)).ok()?,
                None => NO_CHAR,
            };
            *self.char_of_code(code)? = char;
        }
        Some(())
    }

    fn char_of_code(&mut self, code: u32) -> Option<&mut u16> {
        match code.checked_sub(THREE_BYTES) {
            Some(code) => self.three.get_mut(code as usize),
            None => self.chars.get_mut(code as usize),
        }
    }

    /// What is read is written, too.
    fn finish_reading(&mut self) {
        let three = self.three.iter().enumerate();
        let three = three.map(|(code, char)| (code as u32 | THREE_BYTES, *char));
        let chars = self.chars.iter().enumerate();
        let chars = chars.map(|(code, char)| (code as u32, *char));
        for (code, char) in chars.chain(three) {
            if char == NO_CHAR {
                continue;
            }
            let known = &mut self.codes[usize::from(char)];
            *known = code.min(*known);
            if (0x100..THREE_BYTES).contains(&code) {
                self.leads[(code >> 8) as usize] = true;
            }
        }
    }

    /// `0085>15`, `A2-A3>8191`, `FF5E>`
    fn write_as(&mut self, token: &str) -> Option<()> {
        let (chars, code) = token.split_once('>')?;
        let code = (!code.is_empty()).then(|| hex(code));
        let (first, last) = range(chars)?;
        for char in first..=last {
            self.codes[char as usize] = match code {
                Some(code) => code? + (char - first),
                None => NO_CODE,
            };
        }
        Some(())
    }

    pub(super) fn decode(&self, bytes: &[u8]) -> Vec<u16> {
        let mut units = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        while let [first, behind @ ..] = rest {
            let char = self.chars[usize::from(*first)];
            let (char, length) = if char != NO_CHAR {
                (char, 1)
            } else if self.three.is_empty() {
                self.pair(*first, behind)
            } else {
                self.euc_jp(*first, behind)
            };
            units.push(char);
            rest = &rest[length..];
        }
        units
    }

    /// A code of two bytes. Where there is none, the first byte is replaced alone if it cannot begin one, or
    /// if the second could stand by itself or begin the next.
    fn pair(&self, first: u8, behind: &[u8]) -> (u16, usize) {
        let Some(second) = behind.first() else {
            return (NO_CHAR, 1);
        };
        if self.chars.len() <= 0x100 {
            return (NO_CHAR, 1);
        }
        let char = self.chars[usize::from(u16::from_be_bytes([first, *second]))];
        if char != NO_CHAR {
            return (char, 2);
        }
        let alone = !self.leads[usize::from(first)]
            || self.leads[usize::from(*second)]
            || self.chars[usize::from(*second)] != NO_CHAR;
        (NO_CHAR, if alone { 1 } else { 2 })
    }

    /// A code of two or three bytes, which are replaced as one where they mean nothing.
    fn euc_jp(&self, first: u8, behind: &[u8]) -> (u16, usize) {
        match (first, behind) {
            (0x8F, [second, third, ..]) => {
                let code = u16::from_be_bytes([*second, *third]);
                (self.three[usize::from(code)], 3)
            }
            (0x8F, _) | (_, []) => (NO_CHAR, 1 + behind.len()),
            (_, [second, ..]) => {
                let code = u16::from_be_bytes([first, *second]);
                (self.chars[usize::from(code)], 2)
            }
        }
    }

    pub(super) fn encode(&self, text: &str, out: &mut Vec<u8>) {
        for char in text.chars() {
            let code = self.codes.get(char as usize).copied().unwrap_or(NO_CODE);
            match code.to_be_bytes() {
                _ if code == NO_CODE => out.push(b'?'),
                [0, 0, 0, byte] => out.push(byte),
                [0, 0, bytes @ ..] => out.extend_from_slice(&bytes),
                [_, bytes @ ..] => out.extend_from_slice(&bytes),
            }
        }
    }
}

fn range(token: &str) -> Option<(u32, u32)> {
    match token.split_once('-') {
        Some((first, last)) => Some((hex(first)?, hex(last)?)),
        None => hex(token).map(|only| (only, only)),
    }
}

fn hex(text: &str) -> Option<u32> {
    u32::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_table() {
        for line in SINGLE_BYTE.lines().chain(DOUBLE_BYTE.lines()) {
            let names = line.split('\t').next().unwrap();
            for name in names.split(' ') {
                assert!(for_name(name).is_some(), "{name}");
            }
        }
        assert!(for_name("no-such").is_none());
    }
}
