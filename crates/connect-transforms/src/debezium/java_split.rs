//! `String.split` of Java at one character.
//!
//! Never here: regular expressions.

/// The parts between separators, without the empty ones at the end. A text without a separator is one part,
/// also an empty text.
pub(super) fn split(text: &str, separator: char) -> Vec<&str> {
    let mut parts: Vec<&str> = text.split(separator).collect();
    if parts.len() > 1 {
        while parts.last().is_some_and(|part| part.is_empty()) {
            parts.pop();
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn parts_are_those_of_java() {
        let rows: &[(&str, &[&str])] = &[
            ("", &[""]),
            (",", &[]),
            (",,", &[]),
            ("a", &["a"]),
            ("a,", &["a"]),
            (",a", &["", "a"]),
            ("a,,b,,", &["a", "", "b"]),
        ];
        for (text, parts) in rows {
            assert_eq!(split(text, ','), *parts, "{text}");
        }
    }
}
