//! Java's character sets by Java's names.
//!
//! Lives here: [`Charset`], which reads and writes as `new String(bytes, charset)` and `getBytes(charset)` do:
//! what cannot be read becomes U+FFFD as often as in Java, what cannot be written `?`.
//! Lives elsewhere: UTF-8 ([`Str::from_utf8_lossy`]), UTF-16 and UTF-32 (`unicode`), GB18030 (`gb18030`),
//! tables for the rest (`tables`).
//! Not known, and therefore refused by name: character sets with shift states (ISO-2022-*, EBCDIC of two
//! bytes), Big5-HKSCS and what only few Java systems name.

mod unicode;
mod tables;
mod gb18030;

use connect_api::data::{SharedSlice, Str};
use std::sync::Arc;
use tables::Table;
use unicode::{ByteOrder, Utf16, Utf32};

pub(crate) struct Charset(Kind);

enum Kind {
    Utf8,
    Utf16(Utf16),
    Utf32(Utf32),
    Gb18030,
    Table(Arc<Table>),
}

/// Names of the character sets that are no tables; the first one is Java's, the others mean the same.
const UNICODE: &[(&[&str], fn() -> Kind)] = &[
    (&["UTF-8", "UTF8", "unicode-1-1-utf-8"], || Kind::Utf8),
    (&["UTF-16", "UTF_16", "utf16", "unicode", "UnicodeBig"], || {
        Kind::Utf16(Utf16 { order: None, mark: Some(ByteOrder::Big) })
    }),
    (
        &["UTF-16BE", "UTF_16BE", "X-UTF-16BE", "ISO-10646-UCS-2", "UnicodeBigUnmarked"],
        || Kind::Utf16(Utf16 { order: Some(ByteOrder::Big), mark: None }),
    ),
    (
        &["UTF-16LE", "UTF_16LE", "X-UTF-16LE", "UnicodeLittleUnmarked"],
        || Kind::Utf16(Utf16 { order: Some(ByteOrder::Little), mark: None }),
    ),
    (&["x-UTF-16LE-BOM", "UnicodeLittle"], || {
        Kind::Utf16(Utf16 { order: None, mark: Some(ByteOrder::Little) })
    }),
    (&["UTF-32", "UTF_32", "UTF32"], || {
        Kind::Utf32(Utf32 { order: None })
    }),
    (&["UTF-32BE", "UTF_32BE", "X-UTF-32BE"], || {
        Kind::Utf32(Utf32 { order: Some(ByteOrder::Big) })
    }),
    (&["UTF-32LE", "UTF_32LE", "X-UTF-32LE"], || {
        Kind::Utf32(Utf32 { order: Some(ByteOrder::Little) })
    }),
    (&["GB18030", "gb18030-2022"], || Kind::Gb18030),
];

impl Charset {
    pub(crate) const UTF_8: Self = Charset(Kind::Utf8);

    /// The character set of that name, whatever the case of its letters. `None`: Java or we do not know it.
    ///
    /// Cost: the first time a table is named, some milliseconds.
    pub(crate) fn for_name(name: &str) -> Option<Self> {
        let same = |known: &&str| known.eq_ignore_ascii_case(name);
        let unicode = UNICODE.iter().find(|(names, _)| names.iter().any(|n| same(&n)));
        let kind = match unicode {
            Some((_, kind)) => kind(),
            None => Kind::Table(tables::for_name(name)?),
        };
        Some(Self(kind))
    }

    #[inline]
    pub(crate) fn is_utf_8(&self) -> bool {
        matches!(self.0, Kind::Utf8)
    }

    /// The text of bytes. Of good UTF-8 it is a part of the buffer, all else is copied.
    #[inline]
    pub(crate) fn decode(&self, bytes: SharedSlice<'_>) -> Str {
        let units = match &self.0 {
            Kind::Utf8 => return Str::from_utf8_lossy(bytes.to_bytes()),
            Kind::Utf16(utf16) => utf16.decode(&bytes),
            Kind::Utf32(utf32) => utf32.decode(&bytes),
            Kind::Gb18030 => return gb18030::decode(&bytes).into(),
            Kind::Table(table) => table.decode(&bytes),
        };
        String::from_utf16_lossy(&units).into()
    }

    /// Appends the bytes of a text.
    pub(crate) fn encode(&self, text: &str, out: &mut Vec<u8>) {
        match &self.0 {
            Kind::Utf8 => out.extend_from_slice(text.as_bytes()),
            Kind::Utf16(utf16) => utf16.encode(text, out),
            Kind::Utf32(utf32) => utf32.encode(text, out),
            Kind::Gb18030 => gb18030::encode(text, out),
            Kind::Table(table) => table.encode(text, out),
        }
    }
}
