//! Java's character sets by Java's names.
//!
//! Lives here: [`Charset`], which reads and writes as `new String(bytes, charset)` and `getBytes(charset)` do:
//! what cannot be read becomes U+FFFD as often as in Java, what cannot be written `?`.
//! Lives elsewhere: UTF-8 ([`Str::from_utf8_lossy`]), UTF-16 and UTF-32 (`unicode`), GB18030 (`gb18030`),
//! tables for the rest (`tables`).
//! Not known, and therefore refused by name: character sets with shift states (ISO-2022-*, EBCDIC of two
//! bytes), Big5-HKSCS and what only few Java systems name.

mod gb18030;
mod tables;
mod unicode;

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

/// The character sets that are no tables, by Java's names for them.
fn unicode_for_name(name: &str) -> Option<Kind> {
    use ByteOrder::{Big, Little};
    let utf16 = |order, mark| Kind::Utf16(Utf16 { order, mark });
    let utf32 = |order| Kind::Utf32(Utf32 { order });
    Some(match name.to_ascii_lowercase().as_str() {
        "utf-8" | "utf8" | "unicode-1-1-utf-8" => Kind::Utf8,
        "utf-16" | "utf_16" | "utf16" | "unicode" | "unicodebig" => utf16(None, Some(Big)),
        "utf-16be" | "utf_16be" | "x-utf-16be" | "iso-10646-ucs-2" | "unicodebigunmarked" => {
            utf16(Some(Big), None)
        }
        "utf-16le" | "utf_16le" | "x-utf-16le" | "unicodelittleunmarked" => {
            utf16(Some(Little), None)
        }
        "x-utf-16le-bom" | "unicodelittle" => utf16(None, Some(Little)),
        "utf-32" | "utf_32" | "utf32" => utf32(None),
        "utf-32be" | "utf_32be" | "x-utf-32be" => utf32(Some(Big)),
        "utf-32le" | "utf_32le" | "x-utf-32le" => utf32(Some(Little)),
        "gb18030" | "gb18030-2022" => Kind::Gb18030,
        _ => return None,
    })
}

impl Charset {
    pub(crate) const UTF_8: Self = Charset(Kind::Utf8);

    /// The character set of that name, whatever the case of its letters. `None`: Java or we do not know it.
    ///
    /// Cost: the first time a table is named, some milliseconds.
    pub(crate) fn for_name(name: &str) -> Option<Self> {
        let kind = match unicode_for_name(name) {
            Some(kind) => kind,
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
            Kind::Utf8 => {
                return match std::str::from_utf8(&bytes) {
                    Ok(text) => bytes.share_str(text),
                    Err(_) => Str::from_utf8_lossy(bytes.to_bytes()),
                };
            }
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
