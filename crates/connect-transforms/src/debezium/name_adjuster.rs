//! Names made fit for Avro: `schema.name.adjustment.mode` and `field.name.adjustment.mode`.
//!
//! Source: `SchemaNameAdjuster` of Debezium. Java works on UTF-16 units, so a character beyond the basic plane is
//! replaced twice.

use std::borrow::Cow;

/// The words of both keys.
pub(super) const MODES: &[&str] = &["none", "avro", "avro_unicode"];

#[derive(Clone, Copy, Default, PartialEq)]
pub(super) enum NameAdjuster {
    #[default]
    None,
    /// Other characters become `_`.
    Avro { dots: bool },
    /// Other characters, `_` among them, become `_u` and their number in hexadecimal digits.
    AvroUnicode { dots: bool },
}

impl NameAdjuster {
    /// For names of schemas, in which dots separate.
    pub(super) fn of_schemas(word: &str) -> Self {
        Self::of_word(word, true)
    }

    /// For names of fields, in which dots are characters as any other.
    pub(super) fn of_fields(word: &str) -> Self {
        Self::of_word(word, false)
    }

    fn of_word(word: &str, dots: bool) -> Self {
        match word {
            "avro" => Self::Avro { dots },
            "avro_unicode" => Self::AvroUnicode { dots },
            _ => Self::None,
        }
    }

    pub(super) fn adjust<'a>(self, name: &'a str) -> Cow<'a, str> {
        let (dots, unicode) = match self {
            Self::None => return name.into(),
            Self::Avro { dots } => (dots, false),
            Self::AvroUnicode { dots } => (dots, true),
        };
        let fits = |at: usize, c: char| {
            c.is_ascii_alphabetic()
                || (c == '_' && !unicode)
                || (at > 0 && (c.is_ascii_digit() || (dots && c == '.')))
        };
        if name.char_indices().all(|(at, c)| fits(at, c)) {
            return name.into();
        }
        let mut adjusted = String::with_capacity(name.len() + 8);
        for (at, c) in name.char_indices() {
            if fits(at, c) {
                adjusted.push(c);
                continue;
            }
            for unit in c.encode_utf16(&mut [0; 2]) {
                replace(*unit, unicode, &mut adjusted);
            }
            // Names that differ in their first digit alone stay different.
            if at == 0 && !unicode && c.is_numeric() {
                adjusted.push(c);
            }
        }
        adjusted.into()
    }
}

fn replace(unit: u16, unicode: bool, adjusted: &mut String) {
    adjusted.push('_');
    if unicode {
        // As in Java, a number below 16 has three digits and one above 0xff no leading zeros.
        let zeros = if unit <= 0xff { "00" } else { "" };
        adjusted.push_str(&format!("u{zeros}{unit:x}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_adjusted_as_in_java() {
        let rows = [
            ("avro", "a.b-c", "a.b_c"),
            ("avro", "1a", "_1a"),
            ("avro", "-a", "_a"),
            ("avro", "é", "_"),
            ("avro_unicode", "a_b", "a_u005fb"),
            ("avro_unicode", "1", "_u0031"),
            ("avro_unicode", "\t", "_u009"),
            ("avro_unicode", "\u{4e2d}", "_u4e2d"),
            ("avro_unicode", "\u{100}", "_u100"),
            ("none", "a-b", "a-b"),
        ];
        for (mode, name, adjusted) in rows {
            assert_eq!(
                NameAdjuster::of_schemas(mode).adjust(name),
                adjusted,
                "{mode} {name}"
            );
        }
        assert_eq!(NameAdjuster::of_fields("avro").adjust("a.b"), "a_b");
    }
}
