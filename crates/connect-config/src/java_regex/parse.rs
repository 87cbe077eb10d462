//! A Java pattern as a tree, with Java's messages for what it refuses.
//!
//! Lives here: the grammar outside of character classes, and the tree ([`Node`]).
//! Lives elsewhere: classes and escapes (`parse/escape.rs`).
//! Source: the documentation of `java.util.regex.Pattern` of Java 17, and what it answers.

use regex_syntax::hir::ClassUnicode;

use super::{JavaRegexError, Result, class};

mod escape;

#[derive(Debug, Clone)]
pub(super) enum Node {
    Empty,
    /// One character of a set; of an empty set, none.
    Set(ClassUnicode),
    Sequence(Vec<Node>),
    Alternation(Vec<Node>),
    /// Numbered in the order in which they are written.
    Capture(Box<Node>),
    Group(Box<Node>),
    Atomic(Box<Node>),
    Look(Look, Box<Node>),
    Repeat {
        node: Box<Node>,
        min: u32,
        max: Option<u32>,
        greed: Greed,
    },
    Anchor(Anchor),
    BackReference {
        group: usize,
        ignore_case: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    Ahead,
    NotAhead,
    Behind,
    NotBehind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Greed {
    Greedy,
    Lazy,
    Possessive,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    /// Of the text.
    Start,
    End,
    /// Of the text, or before its last line end.
    EndBeforeLast {
        unix: bool,
    },
    StartOfLine {
        unix: bool,
    },
    EndOfLine {
        unix: bool,
    },
    WordBoundary {
        unicode: bool,
        negated: bool,
    },
}

impl Node {
    pub(super) fn has_line_anchors(&self) -> bool {
        match self {
            Node::Anchor(anchor) => matches!(
                anchor,
                Anchor::EndBeforeLast { .. }
                    | Anchor::StartOfLine { .. }
                    | Anchor::EndOfLine { .. }
            ),
            Node::Sequence(nodes) | Node::Alternation(nodes) => {
                nodes.iter().any(Node::has_line_anchors)
            }
            Node::Capture(node)
            | Node::Group(node)
            | Node::Atomic(node)
            | Node::Look(_, node)
            | Node::Repeat { node, .. } => node.has_line_anchors(),
            Node::Empty | Node::Set(_) | Node::BackReference { .. } => false,
        }
    }

    pub(super) fn is_zero_width(&self) -> bool {
        match self {
            Node::Empty | Node::Anchor(_) | Node::Look(..) => true,
            Node::Set(_) | Node::BackReference { .. } | Node::Capture(_) => false,
            Node::Sequence(nodes) | Node::Alternation(nodes) => {
                nodes.iter().all(Node::is_zero_width)
            }
            Node::Group(node) | Node::Atomic(node) | Node::Repeat { node, .. } => {
                node.is_zero_width()
            }
        }
    }
}

pub(super) struct Parsed {
    pub root: Node,
    pub names: Vec<(String, usize)>,
    pub group_count: usize,
}

pub(super) fn parse(pattern: &str) -> Result<Parsed> {
    let mut parser = Parser {
        pattern,
        chars: escape::without_quotes(pattern),
        at: 0,
        flags: Flags::default(),
        names: Vec::new(),
        group_count: 0,
        depth: 0,
    };
    let root = parser.alternation()?;
    if parser.peek() == Some(')') {
        if parser.at == 0 {
            // Java points before the text, which it does not print.
            let message = format!("Unmatched closing ')'\n{pattern}");
            return Err(JavaRegexError::new(message));
        }
        return parser.fail("Unmatched closing ')'");
    }
    Ok(Parsed {
        root,
        names: parser.names,
        group_count: parser.group_count,
    })
}

/// Deepest nesting of groups and classes. Java overflows its stack somewhere above.
const DEPTH_MAX: usize = 250;

#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    ignore_case: bool,
    unicode_case: bool,
    multiline: bool,
    dot_all: bool,
    comments: bool,
    unix_lines: bool,
    unicode_classes: bool,
}

struct Parser<'p> {
    pattern: &'p str,
    /// The pattern without `\Q…\E`.
    chars: Vec<char>,
    /// The next character to read.
    at: usize,
    flags: Flags,
    names: Vec<(String, usize)>,
    group_count: usize,
    depth: usize,
}

impl Parser<'_> {
    /// Java's message, which points at the character that was read last.
    fn fail<T>(&self, what: impl AsRef<str>) -> Result<T> {
        self.fail_at(what, self.at.saturating_sub(1))
    }

    fn fail_at<T>(&self, what: impl AsRef<str>, index: usize) -> Result<T> {
        let mut message = format!("{} near index {index}\n{}", what.as_ref(), self.pattern);
        if index < self.pattern.encode_utf16().count() {
            message.push('\n');
            message.extend(std::iter::repeat_n(' ', index));
            message.push('^');
        }
        Err(JavaRegexError::new(message))
    }

    fn unsupported<T>(&self, what: &str, instead: &str) -> Result<T> {
        Err(JavaRegexError::new(format!(
            "the regular expression {:?} has {what}, which Millstream does not support{instead}",
            self.pattern
        )))
    }

    /// The next character, blanks and comments skipped under `(?x)`.
    fn peek(&mut self) -> Option<char> {
        if self.flags.comments {
            self.skip_comments();
        }
        self.chars.get(self.at).copied()
    }

    /// The character behind the next one, blanks or not.
    fn second(&self) -> Option<char> {
        self.chars.get(self.at + 1).copied()
    }

    fn take_raw(&mut self) -> Option<char> {
        let c = self.chars.get(self.at).copied()?;
        self.at += 1;
        Some(c)
    }

    fn skip_comments(&mut self) {
        while let Some(c) = self.chars.get(self.at) {
            match c {
                ' ' | '\t'..='\r' => self.at += 1,
                '#' => {
                    let unix = self.flags.unix_lines;
                    let ends = |c: &char| {
                        *c == '\n'
                            || !unix && matches!(c, '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
                    };
                    let rest = &self.chars[self.at..];
                    self.at += rest.iter().position(ends).unwrap_or(rest.len());
                }
                _ => return,
            }
        }
    }

    fn alternation(&mut self) -> Result<Node> {
        let mut choices = vec![self.sequence()?];
        while self.peek() == Some('|') {
            self.at += 1;
            choices.push(self.sequence()?);
        }
        Ok(match choices.len() {
            1 => choices.remove(0),
            _ => Node::Alternation(choices),
        })
    }

    fn sequence(&mut self) -> Result<Node> {
        let mut nodes = Vec::new();
        while let Some(c) = self.peek() {
            let unix = self.flags.unix_lines;
            let atom = match c {
                '|' | ')' => break,
                '(' => match self.group()? {
                    Some(group) => group,
                    None => continue, // flags for what follows
                },
                '[' => {
                    self.at += 1;
                    let set = self.class(true)?;
                    Node::Set(set)
                }
                '\\' => self.escaped_atom()?,
                '^' => {
                    self.at += 1;
                    Node::Anchor(if self.flags.multiline {
                        Anchor::StartOfLine { unix }
                    } else {
                        Anchor::Start
                    })
                }
                '$' => {
                    self.at += 1;
                    Node::Anchor(if self.flags.multiline {
                        Anchor::EndOfLine { unix }
                    } else {
                        Anchor::EndBeforeLast { unix }
                    })
                }
                '.' => {
                    self.at += 1;
                    Node::Set(class::dot(self.flags.dot_all, unix))
                }
                '*' | '+' | '?' => {
                    self.at += 1;
                    return self.fail(format!("Dangling meta character '{c}'"));
                }
                // Java repeats nothing here.
                '{' => Node::Empty,
                _ => {
                    self.at += 1;
                    Node::Set(self.literal(c))
                }
            };
            nodes.push(self.repeated(atom)?);
        }
        Ok(match nodes.len() {
            0 => Node::Empty,
            1 => nodes.remove(0),
            _ => Node::Sequence(nodes),
        })
    }

    fn literal(&self, c: char) -> ClassUnicode {
        self.folded(class::one(c))
    }

    fn folded(&self, set: ClassUnicode) -> ClassUnicode {
        if self.flags.ignore_case {
            class::ignoring_case(set, self.flags.unicode_case)
        } else {
            set
        }
    }

    /// An atom with the quantifier that follows it, if any.
    fn repeated(&mut self, atom: Node) -> Result<Node> {
        let (min, max) = match self.peek() {
            Some('?') => (0, Some(1)),
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('{') => return self.counted(atom),
            _ => return Ok(atom),
        };
        self.at += 1;
        Ok(self.with_greed(atom, min, max))
    }

    fn with_greed(&mut self, atom: Node, min: u32, max: Option<u32>) -> Node {
        let greed = match self.peek() {
            Some('?') => Greed::Lazy,
            Some('+') => Greed::Possessive,
            _ => Greed::Greedy,
        };
        if greed != Greed::Greedy {
            self.at += 1;
        }
        Node::Repeat {
            node: Box::new(atom),
            min,
            max,
            greed,
        }
    }

    fn counted(&mut self, atom: Node) -> Result<Node> {
        if !self.second().is_some_and(|c| c.is_ascii_digit()) {
            return self.illegal_repetition();
        }
        self.at += 1;
        let min = self.count()?;
        let mut max = Some(min);
        if self.chars.get(self.at) == Some(&',') {
            self.at += 1;
            max = match self.chars.get(self.at) {
                Some('}') => None,
                _ => Some(self.count()?),
            };
        }
        let end = self.take_raw();
        if end != Some('}') {
            return self.fail_at(
                "Unclosed counted closure",
                self.at.saturating_sub(usize::from(end.is_some())),
            );
        }
        if max.is_some_and(|max| max < min) {
            return self.fail("Illegal repetition range");
        }
        Ok(self.with_greed(atom, min, max))
    }

    /// Digits, perhaps none, which count as 0.
    fn count(&mut self) -> Result<u32> {
        let mut number: u32 = 0;
        while let Some(digit) = self.chars.get(self.at).and_then(|c| c.to_digit(10)) {
            self.at += 1;
            let next = number.checked_mul(10).and_then(|n| n.checked_add(digit));
            match next.filter(|n| i32::try_from(*n).is_ok()) {
                Some(next) => number = next,
                None => return self.fail_at("Illegal repetition range", self.at),
            }
        }
        Ok(number)
    }

    fn illegal_repetition<T>(&self) -> Result<T> {
        self.fail_at("Illegal repetition", self.at + 1)
    }

    /// What begins with `(`; `None` when it only sets flags.
    fn group(&mut self) -> Result<Option<Node>> {
        let outside = self.flags;
        self.at += 1;
        self.deeper()?;
        let mut look = None;
        let mut atomic = false;
        let mut captures = false;
        if self.chars.get(self.at) == Some(&'?') {
            self.at += 1;
            match self.take_raw() {
                Some(':') => {}
                Some('=') => look = Some(Look::Ahead),
                Some('!') => look = Some(Look::NotAhead),
                Some('>') => atomic = true,
                Some('<') => match self.take_raw() {
                    Some('=') => look = Some(Look::Behind),
                    Some('!') => look = Some(Look::NotBehind),
                    Some(c) => {
                        let name = self.group_name(c)?;
                        if self.names.iter().any(|(known, _)| *known == name) {
                            return self.fail(format!(
                                "Named capturing group <{name}> is already defined"
                            ));
                        }
                        captures = true;
                        self.names.push((name, self.group_count + 1));
                    }
                    None => {
                        let what = "capturing group name does not start with a Latin letter";
                        return self.fail_at(what, self.at);
                    }
                },
                Some('$' | '@') => return self.fail("Unknown group type"),
                modifier => {
                    self.at -= usize::from(modifier.is_some());
                    self.inline_flags()?;
                    match self.take_raw() {
                        Some(')') => {
                            self.depth -= 1;
                            return Ok(None);
                        }
                        Some(':') => {}
                        Some(_) => return self.fail("Unknown inline modifier"),
                        None => return self.fail_at("Unknown inline modifier", self.at),
                    }
                }
            }
        } else {
            captures = true;
        }
        if captures {
            self.group_count += 1;
        }
        let inner = self.alternation()?;
        if self.peek() != Some(')') {
            return self.fail_at("Unclosed group", self.chars.len());
        }
        self.at += 1;
        self.depth -= 1;
        self.flags = outside;
        let inner = Box::new(inner);
        Ok(Some(match look {
            Some(look) => Node::Look(look, inner),
            None if atomic => Node::Atomic(inner),
            None if captures => Node::Capture(inner),
            None => Node::Group(inner),
        }))
    }

    fn deeper(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return self.unsupported("more than 250 groups inside each other", "");
        }
        Ok(())
    }

    /// The name of a group up to its `>`; `first` is read already.
    fn group_name(&mut self, first: char) -> Result<String> {
        if !first.is_ascii_alphabetic() {
            return self.fail("capturing group name does not start with a Latin letter");
        }
        let mut name = String::from(first);
        loop {
            match self.take_raw() {
                Some(c) if c.is_ascii_alphanumeric() => name.push(c),
                Some('>') => return Ok(name),
                _ => return self.fail("named capturing group is missing trailing '>'"),
            }
        }
    }

    fn inline_flags(&mut self) -> Result<()> {
        let mut on = true;
        loop {
            let flags = &mut self.flags;
            match self.chars.get(self.at) {
                Some('i') => flags.ignore_case = on,
                Some('u') => flags.unicode_case = on,
                Some('m') => flags.multiline = on,
                Some('s') => flags.dot_all = on,
                Some('x') => flags.comments = on,
                Some('d') => flags.unix_lines = on,
                Some('U') => {
                    flags.unicode_classes = on;
                    flags.unicode_case = on;
                }
                Some('c') => {
                    return self.unsupported(
                        "the flag (?c), canonical equivalence",
                        "; normalize the texts instead",
                    );
                }
                Some('-') if on => on = false,
                _ => return Ok(()),
            }
            self.at += 1;
        }
    }
}
