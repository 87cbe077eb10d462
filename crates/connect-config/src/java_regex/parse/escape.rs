//! Escapes and character classes.
//!
//! Lives here: what follows a `\` inside and outside of brackets, and what stands between brackets, with unions,
//! intersections and negation computed into one set.

use regex_syntax::hir::ClassUnicode;

use super::super::property::property;
use super::super::{Result, class};
use super::{Anchor, Node, Parser};

/// The pattern with everything between `\Q` and `\E` escaped character by character.
pub(super) fn without_quotes(pattern: &str) -> Vec<char> {
    let mut out = Vec::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        if let Some(quoted) = rest.strip_prefix("\\Q") {
            let (quoted, behind) = quoted.split_once("\\E").unwrap_or((quoted, ""));
            for (i, c) in quoted.chars().enumerate() {
                if i == 0 && c.is_ascii_digit() {
                    // It must not end an escape that stands before the quote.
                    out.extend(['\\', 'x', '3', c]);
                } else if c.is_ascii() && !c.is_ascii_alphanumeric() {
                    out.extend(['\\', c]);
                } else {
                    out.push(c);
                }
            }
            rest = behind;
            continue;
        }
        out.push(c);
        rest = &rest[c.len_utf8()..];
        // The second of two backslashes begins nothing.
        if c == '\\'
            && let Some(escaped) = rest.chars().next()
        {
            out.push(escaped);
            rest = &rest[escaped.len_utf8()..];
        }
    }
    out
}

/// What an escape stands for.
enum Escaped {
    Char(char),
    Set(ClassUnicode),
}

impl Parser<'_> {
    /// An escape outside of brackets; the next character is its backslash.
    pub(super) fn escaped_atom(&mut self) -> Result<Node> {
        let unix = self.flags.unix_lines;
        let unicode = self.flags.unicode_classes;
        let anchor = match self.second() {
            Some('A') => Anchor::Start,
            Some('z') => Anchor::End,
            Some('Z') => Anchor::EndBeforeLast { unix },
            Some('B') => Anchor::WordBoundary {
                unicode,
                negated: true,
            },
            Some('b') => {
                if self.chars[self.at + 2..].starts_with(&['{', 'g', '}']) {
                    return self.unsupported("\\b{…}, the boundary of graphemes", "");
                }
                Anchor::WordBoundary {
                    unicode,
                    negated: false,
                }
            }
            Some('R') => {
                self.at += 2;
                return Ok(line_break());
            }
            Some('G') => return self.unsupported("\\G, the end of the previous match", ""),
            Some('X') => {
                return self.unsupported("\\X, a grapheme", "; \\P{M}\\p{M}* comes near it");
            }
            Some('k') => return self.named_reference(),
            Some('1'..='9') => return Ok(self.numbered_reference()),
            _ => {
                return Ok(Node::Set(match self.escape()? {
                    Escaped::Char(c) => self.literal(c),
                    Escaped::Set(set) => set,
                }));
            }
        };
        self.at += 2;
        Ok(Node::Anchor(anchor))
    }

    fn named_reference(&mut self) -> Result<Node> {
        self.at += 2;
        if self.take_raw() != Some('<') {
            return self.fail("\\k is not followed by '<' for named capturing group");
        }
        let name = match self.take_raw() {
            Some(first) => self.group_name(first)?,
            None => return self.fail("capturing group name does not start with a Latin letter"),
        };
        let Some((_, group)) = self.names.iter().find(|(known, _)| *known == name) else {
            return self.fail(format!("named capturing group <{name}> does not exist"));
        };
        Ok(Node::BackReference {
            group: *group,
            ignore_case: self.flags.ignore_case,
        })
    }

    /// As many digits as there are groups for so far. A group that is not there never matches.
    fn numbered_reference(&mut self) -> Node {
        self.at += 1;
        let mut group = 0;
        while let Some(digit) = self.chars.get(self.at).and_then(|c| c.to_digit(10)) {
            let longer = group * 10 + digit as usize;
            if group > 0 && longer > self.group_count {
                break;
            }
            group = longer;
            self.at += 1;
        }
        if group > self.group_count {
            return Node::Set(class::ranges(&[]));
        }
        Node::BackReference {
            group,
            ignore_case: self.flags.ignore_case,
        }
    }

    /// An escape that stands for one character or a set; the next character is its backslash.
    fn escape(&mut self) -> Result<Escaped> {
        self.at += 1;
        let unicode = self.flags.unicode_classes;
        let Some(c) = self.take_raw() else {
            return self.fail_at("Unexpected internal error", self.at);
        };
        let set = match c {
            '0' => return self.octal().map(Escaped::Char),
            'a' => return Ok(Escaped::Char('\u{7}')),
            'e' => return Ok(Escaped::Char('\u{1B}')),
            'f' => return Ok(Escaped::Char('\u{C}')),
            'n' => return Ok(Escaped::Char('\n')),
            'r' => return Ok(Escaped::Char('\r')),
            't' => return Ok(Escaped::Char('\t')),
            'c' => {
                let Some(control) = self.take_raw() else {
                    return self.fail("Illegal control escape sequence");
                };
                let code = u32::from(control) ^ 64;
                return Ok(Escaped::Char(char::from_u32(code).unwrap_or(control)));
            }
            'x' => return self.hexadecimal(),
            'u' => return self.utf16(),
            'd' => class::digit(unicode),
            'D' => class::negated(class::digit(unicode)),
            's' => class::space(unicode),
            'S' => class::negated(class::space(unicode)),
            'w' => class::word(unicode),
            'W' => class::negated(class::word(unicode)),
            'h' => class::horizontal_space(),
            'H' => class::negated(class::horizontal_space()),
            'v' => class::vertical_space(),
            'V' => class::negated(class::vertical_space()),
            'p' => self.property()?,
            'P' => class::negated(self.property()?),
            'N' => {
                return self.unsupported("\\N, a character by its name", "; write \\x{…} instead");
            }
            _ if c.is_ascii_alphanumeric() => {
                return self.fail("Illegal/unsupported escape sequence");
            }
            _ => return Ok(Escaped::Char(c)),
        };
        Ok(Escaped::Set(set))
    }

    fn property(&mut self) -> Result<ClassUnicode> {
        let name = match self.take_raw() {
            Some('{') => {
                let rest = &self.chars[self.at..];
                let Some(length) = rest.iter().position(|c| *c == '}') else {
                    return self.fail_at("Unclosed character family", self.chars.len());
                };
                let name: String = rest[..length].iter().collect();
                self.at += length + 1;
                if name.is_empty() {
                    return self.fail("Empty character family");
                }
                name
            }
            Some(c) => c.to_string(),
            None => return self.fail_at("Unexpected internal error", self.at),
        };
        let flags = self.flags;
        property(&name, flags.ignore_case, flags.unicode_classes).or_else(|what| self.fail(what))
    }

    fn octal(&mut self) -> Result<char> {
        let mut value = 0;
        let mut digits = 0;
        while let Some(digit) = self.chars.get(self.at).and_then(|c| c.to_digit(8)) {
            if digits == 3 || digits == 2 && value > 0o37 {
                break;
            }
            value = value * 8 + digit;
            digits += 1;
            self.at += 1;
        }
        match char::from_u32(value) {
            Some(c) if digits > 0 => Ok(c),
            _ => self.fail_at("Illegal octal escape sequence", self.at),
        }
    }

    fn hex_digits(&mut self, count: usize) -> Option<u32> {
        let digits = self.chars.get(self.at..self.at + count)?;
        let value = digits
            .iter()
            .try_fold(0, |value, c| Some(value * 16 + c.to_digit(16)?))?;
        self.at += count;
        Some(value)
    }

    fn hexadecimal(&mut self) -> Result<Escaped> {
        if self.chars.get(self.at) != Some(&'{') {
            return match self.hex_digits(2).and_then(char::from_u32) {
                Some(c) => Ok(Escaped::Char(c)),
                None => self.fail_at("Illegal hexadecimal escape sequence", self.at + 1),
            };
        }
        self.at += 1;
        let mut code: u32 = 0;
        while let Some(digit) = self.chars.get(self.at).and_then(|c| c.to_digit(16)) {
            code = code.saturating_mul(16).saturating_add(digit);
            self.at += 1;
            if code > u32::from(char::MAX) {
                return self.fail_at("Hexadecimal codepoint is too big", self.at);
            }
        }
        if self.take_raw() != Some('}') {
            return self.fail_at("Unclosed hexadecimal escape sequence", self.at);
        }
        Ok(char_or_surrogate(code))
    }

    /// `\uhhhh`, two of which may be one character.
    fn utf16(&mut self) -> Result<Escaped> {
        let Some(first) = self.hex_digits(4) else {
            return self.fail_at("Illegal Unicode escape sequence", self.at);
        };
        if (0xD800..0xDC00).contains(&first) && self.chars[self.at..].starts_with(&['\\', 'u']) {
            let back = self.at;
            self.at += 2;
            match self.hex_digits(4) {
                Some(second) if (0xDC00..0xE000).contains(&second) => {
                    let code = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                    return Ok(char_or_surrogate(code));
                }
                _ => self.at = back,
            }
        }
        Ok(char_or_surrogate(first))
    }

    /// What stands between brackets; the opening one is read. `to_bracket`: the closing one is read too.
    pub(super) fn class(&mut self, to_bracket: bool) -> Result<ClassUnicode> {
        self.deeper()?;
        let opened = self.at.checked_sub(1).and_then(|at| self.chars.get(at)) == Some(&'[');
        let negated = opened && self.peek() == Some('^');
        if negated {
            self.at += 1;
        }
        let mut set: Option<ClassUnicode> = None;
        loop {
            let part = match self.peek() {
                None => {
                    return self.fail_at(
                        "Unclosed character class",
                        self.chars.len().saturating_sub(1),
                    );
                }
                Some('[') => {
                    self.at += 1;
                    self.class(true)?
                }
                Some('&') if self.second() == Some('&') => {
                    self.at += 2;
                    set = Some(self.intersection(set)?);
                    continue;
                }
                Some(']') if set.is_some() => {
                    if to_bracket {
                        self.at += 1;
                    }
                    self.depth -= 1;
                    let set = set.unwrap_or_else(|| class::ranges(&[]));
                    return Ok(if negated { class::negated(set) } else { set });
                }
                Some(_) => self.range()?,
            };
            set = Some(match set {
                None => part,
                Some(set) => class::union(set, &part),
            });
        }
    }

    /// What follows `&&`, up to the bracket or the next `&`, and its intersection with what is on the left.
    fn intersection(&mut self, left: Option<ClassUnicode>) -> Result<ClassUnicode> {
        let mut right: Option<ClassUnicode> = None;
        loop {
            let part = match self.peek() {
                Some(']' | '&') => break,
                None => {
                    return self.fail_at(
                        "Unclosed character class",
                        self.chars.len().saturating_sub(1),
                    );
                }
                Some('[') => {
                    self.at += 1;
                    self.class(true)?
                }
                Some(_) => self.class(false)?,
            };
            right = Some(match right {
                None => part,
                Some(right) => class::union(right, &part),
            });
        }
        match (left, right) {
            (Some(mut left), Some(right)) => {
                left.intersect(&right);
                Ok(left)
            }
            (Some(one), None) | (None, Some(one)) => Ok(one),
            (None, None) => self.fail_at("Bad class syntax", self.at),
        }
    }

    /// One character, a range of them or an escape that is a set.
    fn range(&mut self) -> Result<ClassUnicode> {
        let Some(start) = self.class_item()? else {
            return Ok(class::ranges(&[]));
        };
        let start = match start {
            Escaped::Set(set) => return Ok(set),
            Escaped::Char(c) => c,
        };
        if self.peek() == Some('-') && !matches!(self.second(), Some('[' | ']')) {
            self.at += 1;
            if self.peek() == Some('\\') && matches!(self.second(), Some('p' | 'P')) {
                self.at += 2;
                return self.fail("Illegal/unsupported escape sequence");
            }
            return match self.class_item()? {
                Some(Escaped::Char(end)) if end >= start => {
                    Ok(self.folded(class::ranges(&[(start, end)])))
                }
                None => self.fail_at("Illegal character range", self.at),
                Some(_) => self.fail("Illegal character range"),
            };
        }
        Ok(self.literal(start))
    }

    fn class_item(&mut self) -> Result<Option<Escaped>> {
        match self.peek() {
            Some('\\') => {
                if matches!(
                    self.second(),
                    Some('A' | 'b' | 'B' | 'G' | 'R' | 'X' | 'z' | 'Z' | 'k' | '1'..='9')
                ) {
                    self.at += 2;
                    return self.fail("Illegal/unsupported escape sequence");
                }
                self.escape().map(Some)
            }
            Some(c) => {
                self.at += 1;
                Ok(Some(Escaped::Char(c)))
            }
            None => Ok(None),
        }
    }
}

/// Half of a character, which texts do not have here, is a set of none.
fn char_or_surrogate(code: u32) -> Escaped {
    match char::from_u32(code) {
        Some(c) => Escaped::Char(c),
        None => Escaped::Set(class::ranges(&[])),
    }
}

/// `\R`.
fn line_break() -> Node {
    Node::Group(Box::new(Node::Alternation(vec![
        Node::Sequence(vec![
            Node::Set(class::one('\r')),
            Node::Set(class::one('\n')),
        ]),
        Node::Set(class::vertical_space()),
    ])))
}
