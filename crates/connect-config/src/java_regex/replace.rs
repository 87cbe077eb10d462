//! Replacement texts: `$1`, `${name}` and `\`.
//!
//! Source: `Matcher.appendReplacement`, messages observed on Java 17.

use super::{Groups, JavaRegexError, Result};

/// Appends what a match is replaced with.
pub(super) fn append(replacement: &str, found: &Groups<'_>, out: &mut String) -> Result<()> {
    let mut rest = replacement;
    while let Some(special) = rest.find(['\\', '$']) {
        out.push_str(&rest[..special]);
        let after = &rest[special + 1..];
        if rest.as_bytes()[special] == b'\\' {
            let Some(escaped) = after.chars().next() else {
                return fail("character to be escaped is missing");
            };
            out.push(escaped);
            rest = &after[escaped.len_utf8()..];
        } else if let Some(named) = after.strip_prefix('{') {
            let end = named.find(|c: char| !c.is_ascii_alphanumeric());
            let name = &named[..end.unwrap_or(named.len())];
            let Some(behind) = named[name.len()..].strip_prefix('}') else {
                return fail("named capturing group is missing trailing '}'");
            };
            match name.as_bytes().first() {
                None => return fail("named capturing group is missing trailing '}'"),
                Some(first) if first.is_ascii_digit() => {
                    return fail(format!(
                        "capturing group name {{{name}}} starts with digit character"
                    ));
                }
                Some(_) => {}
            }
            let Some(group) = found.named(name) else {
                return fail(format!("No group with name {{{name}}}"));
            };
            out.push_str(group.unwrap_or_default());
            rest = behind;
        } else {
            rest = append_numbered(after, found, out)?;
        }
    }
    out.push_str(rest);
    Ok(())
}

/// A group by its number; as many digits as there are groups for.
fn append_numbered<'r>(digits: &'r str, found: &Groups<'_>, out: &mut String) -> Result<&'r str> {
    let digit = |at: usize| {
        let byte = digits.as_bytes().get(at)?;
        byte.is_ascii_digit().then(|| usize::from(byte - b'0'))
    };
    if digits.is_empty() {
        return fail("Illegal group reference: group index is missing");
    }
    let Some(mut number) = digit(0) else {
        return fail("Illegal group reference");
    };
    let mut length = 1;
    while let Some(next) = digit(length) {
        let longer = number * 10 + next;
        if longer > found.group_count() {
            break;
        }
        number = longer;
        length += 1;
    }
    let Some(group) = found.get(number) else {
        return fail(format!("No group {number}"));
    };
    out.push_str(group.unwrap_or_default());
    Ok(&digits[length..])
}

fn fail<T>(message: impl Into<String>) -> Result<T> {
    Err(JavaRegexError::new(message))
}
