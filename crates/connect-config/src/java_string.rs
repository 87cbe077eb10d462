//! The methods of `java.lang.String` whose answers users of Kafka Connect can see.
//!
//! Lives here: `trim`, `equalsIgnoreCase`, `hashCode`, and the order in which a `HashSet` of strings
//! is walked, because a message of `ConfigDef` prints one.
//! Never here: configuration.

/// `String.trim`: drops characters up to U+0020 at both ends, and no other white space.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ')
}

/// `String.equalsIgnoreCase`: per UTF-16 unit, equal after simple upper casing or after lower casing that.
///
/// A long s counts as an s, so `falſe` is false.
pub(crate) fn equals_ignore_case(left: &str, right: &str) -> bool {
    let mut right = right.chars();
    let all = left
        .chars()
        .all(|l| right.next().is_some_and(|r| same_ignoring_case(l, r)));
    all && right.next().is_none()
}

fn same_ignoring_case(left: char, right: char) -> bool {
    if left == right {
        return true;
    }
    // Characters beyond the Basic Multilingual Plane are two units, which have no case each.
    if left > '\u{FFFF}' || right > '\u{FFFF}' {
        return false;
    }
    let (left, right) = (
        simple(left, left.to_uppercase()),
        simple(right, right.to_uppercase()),
    );
    left == right || simple(left, left.to_lowercase()) == simple(right, right.to_lowercase())
}

/// Java's per-character case mapping has no mapping to several characters.
fn simple(original: char, mut mapped: impl ExactSizeIterator<Item = char>) -> char {
    if mapped.len() == 1 {
        mapped.next().unwrap_or(original)
    } else {
        original
    }
}

/// White space of a Java regular expression without flags, `\s`.
pub(crate) fn is_regex_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\u{B}' | '\u{C}' | '\r')
}

fn hash_code(text: &str) -> i32 {
    text.encode_utf16().fold(0i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    })
}

/// Duplicates dropped, in the order in which Java walks a `HashSet` that was filled in the given order.
pub(crate) fn hash_set_order(values: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut distinct: Vec<String> = Vec::new();
    for value in values {
        if !distinct.contains(&value) {
            distinct.push(value);
        }
    }
    // A table of 16 buckets doubles when more than three quarters full; a bucket keeps insertion order.
    let mut buckets: usize = 16;
    while distinct.len() * 4 > buckets * 3 {
        buckets *= 2;
    }
    distinct.sort_by_key(|value| {
        let hash = hash_code(value).cast_unsigned();
        (hash ^ hash >> 16) as usize & (buckets - 1)
    });
    distinct
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trim_stops_at_the_space() {
        assert_eq!(trim("\u{0}\t a\u{A0} \u{1F}\n"), "a\u{A0}");
        assert_eq!(trim("\u{2003}a"), "\u{2003}a");
    }

    #[test]
    fn case_is_compared_as_in_java() {
        let rows = [
            ("TrUe", "true", true),
            ("fal\u{17F}e", "false", true),
            ("tru", "true", false),
            ("truee", "true", false),
            ("stra\u{DF}e", "STRASSE", false),
        ];
        for (left, right, expected) in rows {
            assert_eq!(equals_ignore_case(left, right), expected, "{left} {right}");
        }
    }
}
