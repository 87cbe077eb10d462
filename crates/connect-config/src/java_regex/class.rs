//! Sets of characters: what `.`, `\d`, `\h` and their like stand for, and letters without regard to case.
//!
//! Never here: reading patterns.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

/// The set of these ranges, both ends included.
pub(super) fn ranges(ranges: &[(char, char)]) -> ClassUnicode {
    ClassUnicode::new(
        ranges
            .iter()
            .map(|(start, end)| ClassUnicodeRange::new(*start, *end)),
    )
}

pub(super) fn one(c: char) -> ClassUnicode {
    ranges(&[(c, c)])
}

pub(super) fn any() -> ClassUnicode {
    ranges(&[('\0', char::MAX)])
}

pub(super) fn negated(mut set: ClassUnicode) -> ClassUnicode {
    set.negate();
    set
}

pub(super) fn union(mut set: ClassUnicode, other: &ClassUnicode) -> ClassUnicode {
    set.union(other);
    set
}

/// A class of Unicode by the name that the `regex` crate knows it by, such as `\p{Lu}`.
pub(super) fn unicode(class: &str) -> Option<ClassUnicode> {
    let hir = regex_syntax::Parser::new().parse(class).ok()?;
    match hir.into_kind() {
        HirKind::Class(Class::Unicode(set)) => Some(set),
        // A class of one character.
        HirKind::Literal(literal) => {
            let mut chars = std::str::from_utf8(&literal.0).ok()?.chars();
            let c = chars.next()?;
            chars.next().is_none().then(|| one(c))
        }
        _ => None,
    }
}

/// The class of that name, which this crate chose and so is known.
pub(super) fn known(class: &str) -> ClassUnicode {
    unicode(class).unwrap_or_else(|| unreachable!("the tables of Unicode have {class}"))
}

pub(super) fn digit(in_unicode: bool) -> ClassUnicode {
    if in_unicode {
        known(r"\p{Nd}")
    } else {
        ranges(&[('0', '9')])
    }
}

pub(super) fn space(in_unicode: bool) -> ClassUnicode {
    if in_unicode {
        known(r"\p{White_Space}")
    } else {
        ranges(&[(' ', ' '), ('\t', '\r')])
    }
}

pub(super) fn word(in_unicode: bool) -> ClassUnicode {
    if in_unicode {
        known(r"[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]")
    } else {
        ranges(&[('a', 'z'), ('A', 'Z'), ('_', '_'), ('0', '9')])
    }
}

pub(super) fn horizontal_space() -> ClassUnicode {
    ranges(&[
        (' ', ' '),
        ('\t', '\t'),
        ('\u{A0}', '\u{A0}'),
        ('\u{1680}', '\u{1680}'),
        ('\u{180E}', '\u{180E}'),
        ('\u{2000}', '\u{200A}'),
        ('\u{202F}', '\u{202F}'),
        ('\u{205F}', '\u{205F}'),
        ('\u{3000}', '\u{3000}'),
    ])
}

pub(super) fn vertical_space() -> ClassUnicode {
    ranges(&[('\n', '\r'), ('\u{85}', '\u{85}'), ('\u{2028}', '\u{2029}')])
}

/// What `.` matches.
pub(super) fn dot(dot_all: bool, unix_lines: bool) -> ClassUnicode {
    if dot_all {
        any()
    } else if unix_lines {
        negated(one('\n'))
    } else {
        negated(ranges(&[
            ('\n', '\n'),
            ('\r', '\r'),
            ('\u{85}', '\u{85}'),
            ('\u{2028}', '\u{2029}'),
        ]))
    }
}

/// The set and the other case of its letters: of ASCII, or of all scripts.
pub(super) fn ignoring_case(mut set: ClassUnicode, in_unicode: bool) -> ClassUnicode {
    if in_unicode {
        set.try_case_fold_simple()
            .expect("the tables of cases are compiled in");
        return set;
    }
    let mut letters = set.clone();
    letters.intersect(&ranges(&[('A', 'Z'), ('a', 'z')]));
    let other_case = letters.ranges().iter().map(|range| {
        let swap = |c: char| char::from(c as u8 ^ 0x20);
        ClassUnicodeRange::new(swap(range.start()), swap(range.end()))
    });
    set.union(&ClassUnicode::new(other_case));
    set
}
